"""L: words and optional silence as a transducer from phones, disambiguated."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from darkknowledge.errors import DataError
from darkknowledge.graph.fst import Fst, make_fst
from darkknowledge.graph.lexicon_probabilities import LexiconProbabilities, Use


@dataclass(frozen=True)
class Pronunciation:
    """One way to say a word.

    Attributes
    ----------
    word : int
        Label of the word.
    phones : tuple of int
        Phones with word position.
    use : Use, optional
        Its probability and those of silence around it; where all count alike, as in Kaldi's
        lexicon.txt, there is none.
    """

    word: int
    phones: tuple[int, ...]
    use: Use | None = None


def pronunciations(
    lexicon,
    phones,
    word_ids: Mapping[str, int],
    probabilities: LexiconProbabilities | None = None,
) -> list[Pronunciation]:
    """List the pronunciations of words in a fixed order.

    Parameters
    ----------
    lexicon : Lexicon
        Word -> list of pronunciations in base phones.
    phones : PhoneTable
    word_ids : mapping
        The words to list, with their labels.
    probabilities : LexiconProbabilities, optional

    Returns
    -------
    list of Pronunciation

    Raises
    ------
    DataError
        If a word has no pronunciation, an empty one, one of silence alone, or one without
        probability; words are named.
    """
    lacking = sorted(word for word in word_ids if word not in lexicon or not lexicon[word])
    if lacking:
        some = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
        raise DataError(
            f"{len(lacking)} words of the language model have no pronunciation: {some}; "
            "add them to the lexicon or estimate the model with the lexicon's vocabulary"
        )
    found = []
    for word, label in sorted(word_ids.items(), key=lambda item: item[1]):
        for variant in lexicon[word]:
            ids = tuple(phones.positioned(variant)) if variant else ()
            if not ids or set(ids) == {phones.silence_phone}:
                raise DataError(
                    f"word {word} is pronounced as nothing or as silence; silence between words "
                    "is optional everywhere: remove the word"
                )
            use = None
            if probabilities is not None:
                use = probabilities.uses.get((word, tuple(variant)))
                if use is None:
                    raise DataError(
                        f"{word} {' '.join(variant)} has no probability; they were estimated with "
                        "another lexicon: estimate them again"
                    )
            found.append(Pronunciation(label, ids, use))
    return found


def disambiguate(entries: list[Pronunciation]) -> list[int]:
    """Number the pronunciations that another one equals or begins with.

    As Kaldi's add_lex_disambig.pl: those that share their phones get 1, 2 and so on; one that
    begins a longer one gets 1; all others get 0, for no symbol.
    """
    count: dict[tuple[int, ...], int] = {}
    begins: set[tuple[int, ...]] = set()
    for entry in entries:
        count[entry.phones] = count.get(entry.phones, 0) + 1
        begins.update(entry.phones[:i] for i in range(1, len(entry.phones)))
    used: dict[tuple[int, ...], int] = {}
    symbols = []
    for entry in entries:
        if count[entry.phones] > 1 or entry.phones in begins:
            used[entry.phones] = used.get(entry.phones, 0) + 1
        symbols.append(used.get(entry.phones, 0))
    return symbols


def lexicon_fst(
    entries: list[Pronunciation],
    silence_probability: float,
    silence_phone: int,
    first_symbol: int,
    backoff_word: int,
) -> tuple[Fst, list[int]]:
    """Make L as Kaldi's ``make_lexicon_fst.pl`` does with a silence disambiguation symbol.

    Parameters
    ----------
    entries : list of Pronunciation
    silence_probability : float
        Of a silence at the start and after each word; 0 for none.
    silence_phone : int
    first_symbol : int
        Label of the phone symbol ``#0``; ``#1`` and so on follow.
    backoff_word : int
        Label of the word symbol ``#0``, which passes through.

    Returns
    -------
    fst : Fst
    symbols : list of int
        All disambiguation symbols on the side of the phones.
    """
    numbers = disambiguate(entries)
    silence_symbol = first_symbol + max(numbers, default=0) + 1
    start, loop, silence, after = 0, 1, 2, 3
    states = 4
    spoken = silence_probability > 0
    no_cost = -math.log(1 - silence_probability)
    cost = -math.log(silence_probability) if spoken else 0.0
    arcs = [
        (start, loop, 0, 0, no_cost),
        (loop, loop, first_symbol, backoff_word, 0.0),
    ]
    if spoken:
        arcs += [
            (start, after, silence_phone, 0, cost),
            (silence, after, silence_phone, 0, 0.0),
            (after, loop, silence_symbol, 0, 0.0),
        ]
    for entry, number in zip(entries, numbers, strict=True):
        labels = [*entry.phones, first_symbol + number] if number else list(entry.phones)
        here, word = loop, entry.word
        for label in labels[:-1]:
            arcs.append((here, states, label, word, 0.0))
            here, word = states, 0
            states += 1
        arcs.append((here, loop, labels[-1], word, no_cost))
        if spoken:
            arcs.append((here, silence, labels[-1], word, cost))
    symbols = list(range(first_symbol, silence_symbol + 1))
    return make_fst(start, {loop: 0.0}, arcs, states), symbols


def lexicon_fst_with_probabilities(
    entries: list[Pronunciation],
    probabilities: LexiconProbabilities,
    silence_phone: int,
    first_symbol: int,
    backoff_word: int,
) -> tuple[Fst, list[int]]:
    """Make L as Kaldi's ``make_lexicon_fst_silprob.py`` does.

    Words begin and end in one of two states, after silence or straight after a word. The
    silence disambiguation symbol stands where no silence does.

    Parameters
    ----------
    entries : list of Pronunciation
        Each with its use.
    probabilities : LexiconProbabilities
    silence_phone, first_symbol, backoff_word
        As :func:`lexicon_fst`.

    Returns
    -------
    fst : Fst
    symbols : list of int
        All disambiguation symbols on the side of the phones.
    """
    numbers = disambiguate(entries)
    silence_symbol = first_symbol + max(numbers, default=0) + 1
    start, straight, silence = 0, 1, 2
    states = 3

    def silence_or_not(source: int, probability: float) -> list[tuple]:
        return [
            (source, straight, silence_symbol, 0, -math.log(1 - probability)),
            (source, silence, silence_phone, 0, -math.log(probability)),
        ]

    arcs = silence_or_not(start, probabilities.silence_first)
    arcs += [(state, state, first_symbol, backoff_word, 0.0) for state in (straight, silence)]
    for entry, number in zip(entries, numbers, strict=True):
        use = entry.use
        labels = [*entry.phones, first_symbol + number] if number else list(entry.phones)
        for source, factor in ((straight, use.after_word), (silence, use.after_silence)):
            cost = -math.log(use.probability) - math.log(factor)
            arcs.append((source, states, labels[0], entry.word, cost))
        for label in labels[1:]:
            arcs.append((states, states + 1, label, 0, 0.0))
            states += 1
        arcs += silence_or_not(states, use.silence_after)
        states += 1
    final = {
        straight: -math.log(probabilities.end_after_word),
        silence: -math.log(probabilities.end_after_silence),
    }
    return make_fst(start, final, arcs, states), list(range(first_symbol, silence_symbol + 1))
