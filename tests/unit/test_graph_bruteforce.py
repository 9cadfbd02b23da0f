"""L, G, LG, CLG, HCLG and the self-loops: all their paths, against enumeration.

Each level is enumerated from a plain statement of what it means, up to a number of labels, and
compared as a whole: the labels, the words and the cost of every path.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest

from darkknowledge.errors import DataError
from darkknowledge.graph.arpa import parse_arpa
from darkknowledge.graph.compose import (
    compose_context,
    compose_graph,
    compose_lexicon,
    word_table,
)
from darkknowledge.graph.grammar import grammar_fst
from darkknowledge.graph.hmm_fst import expand_context
from darkknowledge.graph.lexicon_probabilities import LexiconProbabilities, Use
from darkknowledge.graph.lm import estimate
from darkknowledge.graph.options import GraphOptions
from darkknowledge.graph.pronunciation import (
    Pronunciation,
    disambiguate,
    lexicon_fst,
    lexicon_fst_with_probabilities,
    pronunciations,
)
from darkknowledge.hmm.phones import Lexicon, PhoneTable
from tests.unit.test_graph import ToyModel

# AH is said as A, AB has two pronunciations, of which one is that of ZED, and begins ABA
LEXICON = Lexicon(
    {
        "A": [("X",)],
        "AH": [("X",)],
        "AB": [("X", "Y"), ("Z",)],
        "ABA": [("X", "Y", "X")],
        "ZED": [("Z",)],
    }
)
TEXT = [
    sentence.split()
    for sentence in ("A AB", "A AB", "AH A", "ABA ZED A AB", "A <UNK>", "ZED", "AB A AB AH")
]
PHONES = PhoneTable.from_lexicon(LEXICON)
WORDS = word_table(LEXICON)
LABEL = {word: label for label, word in enumerate(WORDS)}
SYMBOL = len(PHONES) + 1
ROUNDED = 1e-2  # determinisation and minimisation round costs to 1/1024, arc by arc
TEN = math.log(10)


def made_up_probabilities():
    """Return values that are all different, some factors above one."""
    keys = [(word, variant) for word in LEXICON for variant in LEXICON[word]]
    uses = {
        key: Use(1.0 - 0.1 * n, 0.15 + 0.11 * n, 0.7 + 0.2 * n, 1.6 - 0.2 * n)
        for n, key in enumerate(keys)
    }
    return LexiconProbabilities(uses, 0.9, 2.3, 0.03, 0.2)


@dataclass
class Sayings:
    """The ways to say words, with silences and disambiguation symbols between them.

    Silence, where it is optional, is said after a word, or not: labels and cost of each.
    """

    silence_probability: float
    probabilities: LexiconProbabilities | None = None
    entries: list[Pronunciation] | None = None

    def __post_init__(self):
        if self.entries is None:
            used = {word: LABEL[word] for word in LEXICON}
            self.entries = pronunciations(LEXICON, PHONES, used, self.probabilities)
        self.numbers = disambiguate(self.entries)
        self.symbol = SYMBOL + max(self.numbers) + 1

    def fst(self):
        places = PHONES.silence_phone, SYMBOL, LABEL["#0"]
        if self.probabilities is None:
            return lexicon_fst(self.entries, self.silence_probability, *places)
        return lexicon_fst_with_probabilities(self.entries, self.probabilities, *places)

    def silences(self, use=None):
        """List (labels, cost, whether it is silence) at the start, or after a pronunciation."""
        silence = PHONES.silence_phone
        if self.probabilities is None:
            p = self.silence_probability
            none = [((), -math.log(1 - p), False)]
            return none + ([((silence, self.symbol), -math.log(p), True)] if p else [])
        p = use.silence_after if use else self.probabilities.silence_first
        return [((self.symbol,), -math.log(1 - p), False), ((silence,), -math.log(p), True)]

    def words(self, after_silence):
        """List (word, labels, cost, use)."""
        for entry, number in zip(self.entries, self.numbers, strict=True):
            labels = entry.phones + ((SYMBOL + number,) if number else ())
            cost = 0.0
            if entry.use:
                factor = entry.use.after_silence if after_silence else entry.use.after_word
                cost = -math.log(entry.use.probability) - math.log(factor)
            yield entry.word, labels, cost, entry.use

    def end(self, after_silence):
        if self.probabilities is None:
            return 0.0
        found = self.probabilities
        return -math.log(found.end_after_silence if after_silence else found.end_after_word)


class AnySentence:
    """A grammar that lets every word follow at no cost."""

    start = ()

    def moves(self, state):
        return [(label, (), 0.0) for label in LABEL.values()]

    def backoff(self, state):
        return None

    def end(self, state):
        return 0.0


class Backoff:
    """A language model as dictionaries: what may follow each history."""

    def __init__(self, model):
        self.rows = {
            tuple(model.words(n)): (model.log_probability[n], model.backoff[n])
            for n in range(1, len(model.prefix))
        }
        self.followed = {ngram[:-1] for ngram in self.rows if ngram != ("<s>",)} | {()}
        self.start, _ = self.shorten(("<s>",))

    def shorten(self, history):
        """Return the longest end of a history that something follows, and the cost on the way."""
        cost = 0.0
        while history not in self.followed:
            cost -= self.rows[history][1] * TEN if history in self.rows else 0.0
            history = history[1:]
        return history, cost

    def moves(self, history):
        for ngram, (logs, _) in self.rows.items():
            if ngram[:-1] == history and ngram[-1] not in ("<s>", "</s>"):
                after, cost = self.shorten(ngram)
                yield LABEL[ngram[-1]], after, cost - logs * TEN

    def backoff(self, history):
        if not history:
            return None
        after, cost = self.shorten(history[1:])
        return after, cost - self.rows[history][1] * TEN

    def end(self, history):
        ngram = (*history, "</s>")
        return -self.rows[ngram][0] * TEN if ngram in self.rows else None


def enumerate_grammar(grammar, longest):
    """Every (labels, words, cost) of at most so many words, #0 where the model backs off."""
    found = []

    def walk(state, labels, words, cost):
        if (end := grammar.end(state)) is not None:
            found.append((labels, words, cost + end))
        if step := grammar.backoff(state):
            walk(step[0], (*labels, LABEL["#0"]), words, cost + step[1])
        if len(words) < longest:
            for label, after, extra in grammar.moves(state):
                walk(after, (*labels, label), (*words, label), cost + extra)

    walk(grammar.start, (), (), 0.0)
    return found


def enumerate_sayings(sayings, grammar, longest):
    """Every (labels, words, cost) of at most so many labels on the side of the phones."""
    found = []

    def walk(state, silent, labels, words, cost):
        if len(labels) > longest:
            return
        if (end := grammar.end(state)) is not None:
            found.append((labels, words, cost + end + sayings.end(silent)))
        if step := grammar.backoff(state):
            walk(step[0], silent, (*labels, SYMBOL), words, cost + step[1])
        moves = {}
        for label, after, extra in grammar.moves(state):
            moves[label] = after, extra
        for word, spoken, own, use in sayings.words(silent):
            if word in moves:
                after, extra = moves[word]
                for pause, price, quiet in sayings.silences(use):
                    total = cost + own + extra + price
                    walk(after, quiet, labels + spoken + pause, (*words, word), total)

    for pause, price, quiet in sayings.silences():
        walk(grammar.start, quiet, pause, (), price)
    return found


def enumerate_fst(fst, longest, most=100):
    """Every (labels, words, cost) of accepting paths of at most so many input labels and words."""
    arcs = defaultdict(list)
    columns = (fst.source, fst.ilabel, fst.olabel, fst.weight, fst.target)
    for source, i, o, weight, target in zip(*(column.tolist() for column in columns), strict=True):
        arcs[source].append((i, o, weight, target))
    found, waiting = [], [(fst.start, (), (), 0.0)]
    while waiting:
        state, labels, words, cost = waiting.pop()
        if math.isfinite(fst.final[state]):
            found.append((labels, words, cost + float(fst.final[state])))
        for i, o, weight, target in arcs[state]:
            if len(labels) + (i > 0) <= longest and len(words) + (o > 0) <= most:
                after = (*labels, i) if i else labels, (*words, o) if o else words
                waiting.append((target, *after, cost + weight))
    return found


def same_paths(found, expected, tolerance=1e-4):
    """Compare two lists of paths, each with its own cost where several share their labels."""
    tables = []
    for paths in (found, expected):
        table = defaultdict(list)
        for labels, words, cost in paths:
            table[labels, words].append(cost)
        tables.append(table)
    assert tables[0].keys() == tables[1].keys()
    for key, costs in tables[0].items():
        np.testing.assert_allclose(
            sorted(costs), sorted(tables[1][key]), atol=tolerance, err_msg=str(key)
        )
    assert len(expected) > 20


SAYINGS = {
    "even": lambda: Sayings(0.5),
    "seldom": lambda: Sayings(0.2),
    "silent": lambda: Sayings(0.0),
    "probabilities": lambda: Sayings(0.5, made_up_probabilities()),
}


@pytest.fixture(params=SAYINGS)
def sayings(request):
    return SAYINGS[request.param]()


@pytest.fixture(params=[1, 2, 3])
def model(request):
    return estimate(TEXT, [word for word in LEXICON if word != "<UNK>"], request.param, [1, 1, 1])


@pytest.fixture
def trigrams():
    return estimate(TEXT, [word for word in LEXICON if word != "<UNK>"], 3, [1, 1, 2])


def grammar_of(model):
    return grammar_fst(model, {word: LABEL[word] for word in LEXICON}, LABEL["#0"])


def lg_of(sayings, model):
    return compose_lexicon(sayings.fst()[0], grammar_of(model))


def test_lexicon(sayings):
    fst, symbols = sayings.fst()
    assert symbols == list(range(SYMBOL, sayings.symbol + 1))
    loops = (fst.ilabel == SYMBOL) | (fst.olabel == LABEL["#0"])
    assert (fst.source[loops] == fst.target[loops]).all() and (fst.weight[loops] == 0).all()
    assert (fst.ilabel[loops] == SYMBOL).all() and (fst.olabel[loops] == LABEL["#0"]).all()
    found = enumerate_fst(fst.take(~loops), 7)
    same_paths(found, enumerate_sayings(sayings, AnySentence(), 7))
    assert len({labels for labels, _, _ in found}) == len(found), "not one word sequence each"


def test_lexicon_of_phones_that_begin_others():
    # without word positions a word can begin another, and be said as two others
    phones = [(4,), (4,), (4, 5), (4, 5, 4), (5,)]
    entries = [Pronunciation(word, own) for word, own in enumerate(phones, 1)]
    for p in (0.0, 0.4):
        sayings = Sayings(p, entries=entries)
        fst, _ = sayings.fst()
        found = enumerate_fst(fst.take(fst.ilabel != SYMBOL), 6)
        same_paths(found, enumerate_sayings(sayings, AnySentence(), 6))
        assert len({labels for labels, _, _ in found}) == len(found)


def test_grammar(model):
    fst = grammar_of(model)
    for longest in (2, 3):
        expected = enumerate_grammar(Backoff(model), longest)
        same_paths(enumerate_fst(fst, 3 * longest + 2, longest), expected)


def test_grammar_with_cutoffs_skips_histories_that_nothing_follows(trigrams):
    expected = enumerate_grammar(Backoff(trigrams), 3)
    same_paths(enumerate_fst(grammar_of(trigrams), 11, 3), expected)


def test_grammar_pays_for_histories_that_nothing_follows():
    rows = {
        1: ["-99 <s> -0.1", "-1 </s>", "-0.5 A -0.2", "-0.7 AB -0.4"],
        2: ["-0.3 <s> A -0.6", "-0.4 A AB -0.25", "-0.2 A A -0.35"],
        3: ["-0.15 <s> A A"],
    }
    text = "".join(f"ngram {k}={len(lines)}\n" for k, lines in rows.items())
    for k, lines in rows.items():
        text += f"\n\\{k}-grams:\n" + "\n".join(lines) + "\n"
    lm = parse_arpa(f"\\data\\\n{text}\n\\end\\\n")
    fst = grammar_fst(lm, {"A": LABEL["A"], "AB": LABEL["AB"]}, LABEL["#0"])
    assert fst.num_states == 4  # <s> A, A, nothing, and <s>: neither AB nor A AB
    same_paths(enumerate_fst(fst, 14, 4), enumerate_grammar(Backoff(lm), 4))


def test_grammar_refuses_words_without_label(trigrams):
    with pytest.raises(DataError, match="2 words .* no label: AH, ZED"):
        grammar_fst(trigrams, {word: 1 for word in ("A", "AB", "ABA", "<UNK>")}, 7)


def test_lexicon_and_grammar(sayings, trigrams):
    found = enumerate_fst(lg_of(sayings, trigrams), 5)
    expected = enumerate_sayings(sayings, Backoff(trigrams), 5)
    same_paths(found, expected, ROUNDED)
    assert len({labels for labels, _, _ in found}) == len(found), "not deterministic"


def in_context(labels, width):
    """Windows of phones; a phone is put out when the next is known, a symbol at once.

    Where no phone is put out yet, Kaldi puts out #-1, here (0,).
    """
    found, left, waiting = [], 0, None
    for label in labels:
        if label >= SYMBOL:
            found.append((-label,))
        elif width == 1:
            found.append((label,))
        else:
            found.append((left, waiting, label) if waiting else (0,))
            left, waiting = waiting or 0, label
    if width > 1:
        found.append((left, waiting, 0) if waiting else (0,))
    return tuple(found)


@pytest.mark.parametrize("width", [1, 3])
def test_context(sayings, trigrams, width):
    lg = lg_of(sayings, trigrams)
    clg, windows = compose_context(lg, sayings.fst()[1], width, width // 2)
    expected = enumerate_sayings(sayings, Backoff(trigrams), 5)
    found = [
        (tuple(tuple(windows[label]) for label in labels), words, cost)
        for labels, words, cost in enumerate_fst(clg, 5 + width // 2)
    ]
    same_paths(found, [(in_context(o, width), words, cost) for o, words, cost in expected], ROUNDED)


def hmm_paths(model, window, scale, longest):
    """Every way through the states of a phone without self-loops: (pdf, p(stay)) and cost."""
    phone = window[len(window) // 2]
    found = []

    def walk(state, labels, cost):
        if state == model.num_states(phone):
            found.append((labels, cost))
        elif len(labels) < longest:
            pdf = model.pdf(window, state)
            moves = model.transitions(phone, state, pdf)
            stay = dict(moves).get(state, 0.0)
            for following, p in moves:
                if following != state:
                    extra = -scale * math.log(p / (1 - stay))
                    walk(following, (*labels, (pdf, stay)), cost + extra)

    walk(0, (), 0.0)
    return found


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_states(sayings, trigrams, width, scale):
    # four silence states, of which the middle ones lead to each other
    model = ToyModel(PHONES, width, states=2, silence_states=4)
    clg, windows = compose_context(
        lg_of(sayings, trigrams), sayings.fst()[1], width, model.central_position
    )
    expanded, labels, first_symbol = expand_context(clg, windows, model, scale)
    symbols = [label for label in np.unique(clg.ilabel) if max(windows[label], default=1) <= 0]
    longest = 7
    found = []
    for path, words, cost in enumerate_fst(expanded, longest):
        key = tuple(
            (labels.pdf[i], labels.stay[i])
            if i < first_symbol
            else tuple(windows[symbols[i - first_symbol]])
            for i in path
        )
        found.append((key, words, cost))
    expected = []
    for path, words, cost in enumerate_sayings(sayings, Backoff(trigrams), longest):
        ways = [((), cost)]
        for window in in_context(path, width):
            if max(window) <= 0:
                ways = [((*key, window), total) for key, total in ways]
                continue
            ways = [
                (key + more, total + extra)
                for key, total in ways
                for more, extra in hmm_paths(model, window, scale, longest - len(key))
            ]
        expected += [(key, words, total) for key, total in ways if len(key) <= longest]
    same_paths(found, expected, ROUNDED)


def cheapest(fst, longest):
    """(labels, words) -> cost of the cheapest of the paths of at most so many input labels."""
    arcs = defaultdict(list)
    columns = (fst.source, fst.ilabel, fst.olabel, fst.weight, fst.target)
    for source, i, o, weight, target in zip(*(column.tolist() for column in columns), strict=True):
        arcs[source].append((i, o, weight, target))
    best, found = {}, {}
    waiting = [(fst.start, (), (), 0.0)]
    while waiting:
        state, labels, words, cost = waiting.pop()
        if best.get((state, labels, words), math.inf) <= cost:
            continue
        best[state, labels, words] = cost
        if math.isfinite(fst.final[state]):
            total = cost + float(fst.final[state])
            found[labels, words] = min(total, found.get((labels, words), math.inf))
        for i, o, weight, target in arcs[state]:
            if len(labels) + (i > 0) <= longest:
                after = (*labels, i - 1) if i else labels, (*words, o) if o else words
                waiting.append((target, *after, cost + weight))
    return found


def frame_paths(model, window, options, longest):
    """Every way through the states of a phone, self-loops included: pdfs and cost."""
    phone = window[len(window) // 2]
    found = []

    def walk(state, pdfs, cost):
        if state == model.num_states(phone):
            found.append((pdfs, cost))
        elif len(pdfs) < longest:
            pdf = model.pdf(window, state)
            moves = model.transitions(phone, state, pdf)
            stay = dict(moves).get(state, 0.0)
            for following, p in moves:
                if following == state:
                    extra = -options.self_loop_scale * math.log(p)
                else:
                    extra = -options.transition_scale * math.log(p / (1 - stay))
                    extra -= options.self_loop_scale * math.log(1 - stay)
                walk(following, (*pdfs, pdf), cost + extra)

    walk(0, (), 0.0)
    return found


def enumerate_frames(sayings, grammar, model, options, longest):
    """(pdfs, words) -> cost of the cheapest way to say the words in at most so many frames."""
    sentences = {}
    most = longest // min(model.num_states(phone) for phone in range(1, len(PHONES) + 1))
    for _, words, cost in enumerate_grammar(grammar, most):
        sentences[words] = min(cost, sentences.get(words, math.inf))
    spoken = defaultdict(lambda: math.inf)

    def walk(words, place, silent, phones, cost):
        if sum(map(model.num_states, phones)) > longest:
            return
        if place == len(words):
            key = phones, words
            spoken[key] = min(spoken[key], cost + sayings.end(silent))
            return
        for word, labels, own, use in sayings.words(silent):
            if word == words[place]:
                said = phones + tuple(label for label in labels if label < SYMBOL)
                for pause, price, quiet in sayings.silences(use):
                    walk(words, place + 1, quiet, said + pause[: int(quiet)], cost + own + price)

    for words, cost in sentences.items():
        for pause, price, quiet in sayings.silences():
            walk(words, 0, quiet, pause[: int(quiet)], cost + price)
    found = defaultdict(lambda: math.inf)
    for (phones, words), cost in spoken.items():
        ways = {(): cost}
        for window in filter(any, in_context(phones, model.context_width)):
            after = defaultdict(lambda: math.inf)
            for pdfs, total in ways.items():
                for more, extra in frame_paths(model, window, options, longest - len(pdfs)):
                    after[pdfs + more] = min(total + extra, after[pdfs + more])
            ways = after
        for pdfs, total in ways.items():
            found[pdfs, words] = min(total, found[pdfs, words])
    return found


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize(("states", "longest"), [(1, 4), (2, 7)])
@pytest.mark.parametrize("scales", [(1.0, 0.1), (0.5, 1.0)])
def test_whole_graph(sayings, trigrams, width, states, longest, scales):
    model = ToyModel(PHONES, width, states)
    options = GraphOptions(
        silence_probability=sayings.silence_probability,
        pronunciation_probabilities=sayings.probabilities is not None,
        transition_scale=scales[0],
        self_loop_scale=scales[1],
    )
    graph, boundaries, words = compose_graph(
        model, LEXICON, trigrams, options, sayings.probabilities
    )
    assert words == WORDS and len(boundaries) == graph.num_arcs
    found = cheapest(graph, longest)
    expected = enumerate_frames(sayings, Backoff(trigrams), model, options, longest)
    assert found.keys() == expected.keys() and len(found) > 100
    for key, cost in found.items():
        assert cost == pytest.approx(expected[key], abs=ROUNDED), key


def test_one_word_said_in_one_way():
    lexicon = Lexicon({"A": [("X",)]})
    lm = parse_arpa("\\data\\\nngram 1=3\n\\1-grams:\n-99 <s>\n-0.3 </s>\n-0.3 A\n\\end\\\n")
    model = ToyModel(PhoneTable.from_lexicon(lexicon), 3, states=1)
    probabilities = LexiconProbabilities(
        {("A", ("X",)): Use(1.0, 0.3, 1.1, 0.9)}, 0.9, 2.0, 0.1, 0.2
    )
    for given in (None, probabilities):
        options = GraphOptions(pronunciation_probabilities=given is not None)
        graph, _, words = compose_graph(model, lexicon, lm, options, given)
        label = words.index("A")
        said = {spoken for _, spoken in cheapest(graph, 3)}
        assert said == {(label,) * n for n in range(4)} | {()}
