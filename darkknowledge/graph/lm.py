"""Interpolated modified Kneser-Ney estimation and relative-entropy pruning of n-gram models."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write, read_lines, reading
from darkknowledge.graph.arpa import (
    BOS,
    EOS,
    NEVER,
    NgramModel,
    explicit_mass,
    open_arpa,
    perplexity,
    read_arpa,
    write_arpa,
)
from darkknowledge.graph.options import LanguageModelOptions
from darkknowledge.progress import logger

__all__ = [
    "estimate",
    "estimate_arpa",
    "perplexity",
    "prune",
    "read_arpa",
    "take_arpa",
    "write_arpa",
]

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class _Table:
    """All n-grams of one length in a text: rows in the order of their words."""

    prefix: np.ndarray
    word: np.ndarray
    suffix: np.ndarray
    starts: np.ndarray
    raw: np.ndarray


def estimate_arpa(
    text: str | Path,
    vocabulary: Iterable[str],
    path: str | Path,
    options: LanguageModelOptions | None = None,
) -> NgramModel:
    """Estimate a language model from a text file and write it as ARPA.

    Parameters
    ----------
    text : path
        One sentence per line, words separated by spaces; empty lines are left out.
    vocabulary : iterable of str
        The words of the lexicon. The model has these, ``<s>``, ``</s>`` and the unknown word.
    path : path
        The ARPA file.
    options : LanguageModelOptions

    Returns
    -------
    NgramModel
    """
    options = options or LanguageModelOptions()
    lines = read_lines(text, "the language model is estimated from it")
    sentences = [line.split() for line in lines if line.strip()]
    for number, line in enumerate(lines, 1):
        if BOS in (words := line.split()) or EOS in words:
            raise DataError(f"{text}:{number}: {BOS} or {EOS} in the text; remove it")
    if not sentences:
        raise DataError(f"{text}: no sentences; expected one per line")
    model = estimate(
        sentences,
        vocabulary,
        order=options.order,
        cutoffs=options.cutoffs,
        pruning=options.pruning,
        unknown=options.unknown,
    )
    write_arpa(path, model)
    logger.info(
        "language model: %d sentences, n-grams %s", len(sentences), " ".join(map(str, model.counts))
    )
    return model


def take_arpa(source: str | Path, vocabulary: Iterable[str], path: str | Path) -> NgramModel:
    """Write a language model that was made elsewhere, once it is known to be sound.

    Parameters
    ----------
    source : path
        An ARPA file, gzipped where its name ends in ``.gz``.
    vocabulary : iterable of str
        The words of the lexicon; the model may have fewer.
    path : path
        Receives the same text.

    Returns
    -------
    NgramModel

    Raises
    ------
    DataError
        If the file is absent or is not a complete ARPA file, or has words that the lexicon lacks.
    """
    model = read_arpa(source)
    lacking = sorted({*model.vocabulary} - {*vocabulary, BOS, EOS})
    if lacking:
        some = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
        raise DataError(
            f"{source}: {len(lacking)} words have no pronunciation: {some}; add them to the "
            "lexicon, or estimate the model with the lexicon's vocabulary"
        )
    with reading(source), open_arpa(source) as given, atomic_write(path, "wb") as file:
        shutil.copyfileobj(given, file)
    logger.info("language model %s: n-grams %s", source, " ".join(map(str, model.counts)))
    return model


def estimate(
    sentences: Iterable[Sequence[str]],
    vocabulary: Iterable[str] | None = None,
    order: int = 3,
    cutoffs: Sequence[int] = (1, 1, 2),
    pruning: float = 0.0,
    unknown: str = "<UNK>",
) -> NgramModel:
    """Estimate an interpolated modified Kneser-Ney model.

    Chen and Goodman (1999), equations 20 to 23: the counts of all orders but the highest are
    numbers of distinct preceding words, except after ``<s>``; each order has three discounts
    from its counts of counts; the unigrams are interpolated with the uniform distribution over
    the vocabulary. N-grams below their cut-off give their whole mass to the shorter history, as
    SRILM's ``ngram-count -kndiscount -interpolate -gtNmin`` does.

    Parameters
    ----------
    sentences : iterable of sequences of words
    vocabulary : iterable of str, optional
        Closed vocabulary; other words become `unknown`. The words of the text when absent.
    order : int
    cutoffs : sequence of int
        Smallest count kept per order, the last value for all higher ones; the first is 1.
    pruning : float
        Threshold of :func:`prune`; 0 keeps all.
    unknown : str

    Returns
    -------
    NgramModel

    Raises
    ------
    DataError
        If there is no sentence or the vocabulary holds a word that cannot be in it.
    """
    sentences = [list(sentence) for sentence in sentences]
    if not sentences:
        raise DataError("language model of no sentences; expected at least one")
    if vocabulary is None:
        vocabulary = {word for sentence in sentences for word in sentence}
    words = sorted({*vocabulary, unknown, BOS, EOS})
    for word in words:
        if word.split() != [word] or word == "<eps>" or word.startswith("#"):
            raise DataError(f"vocabulary: {word!r} cannot be a word; remove it")
    size = len(words)
    index = {word: i for i, word in enumerate(words)}
    bos, eos, unk = index[BOS], index[EOS], index[unknown]
    stream = np.array(
        [
            i
            for sentence in sentences
            for i in (bos, *(index.get(word, unk) for word in sentence), eos)
        ],
        np.int64,
    )
    tables = _collect(stream, eos, size, order)
    order = len(tables)

    counts = _adjusted_counts(tables, bos)
    kept = _kept(tables, counts, [cutoffs[min(k, len(cutoffs) - 1)] for k in range(order)])
    probability, backoff = [], []
    predicted = np.arange(size) != bos
    for k, (table, count, keep) in enumerate(zip(tables, counts, kept, strict=True)):
        discount = np.where(keep, _discounts(count)[np.minimum(count, 3)], count)
        histories = len(tables[k - 1].word) if k else 1
        total = np.bincount(table.prefix, count, histories)
        mass = np.bincount(table.prefix, count - discount, histories)
        weight = 1 - mass / np.maximum(total, 1)
        if k:
            backoff.append(weight)
            lower = probability[-1][table.suffix]
        else:
            lower = predicted / (size - 1)
        own = (count - discount) / np.maximum(total, 1)[table.prefix]
        probability.append(own + weight[table.prefix] * lower)
    backoff.append(np.ones(len(tables[-1].word)))

    model = _model(words, tables, kept, probability, backoff)
    if pruning > 0:
        raw = np.concatenate(
            [[len(stream)], *(t.raw[keep] for t, keep in zip(tables, kept, strict=True))]
        )
        raw[0] -= len(sentences)
        model = prune(model, pruning, raw / raw[0])
    return model


def _collect(stream: np.ndarray, eos: int, size: int, order: int) -> list[_Table]:
    """Find the distinct n-grams of each length that lie within a sentence."""
    sentence = np.concatenate([[0], np.cumsum(stream == eos)[:-1]])
    rows = stream
    raw = np.bincount(stream, minlength=size)
    everything = np.arange(size)
    zeros = np.zeros(size, np.int64)
    tables = [_Table(zeros, everything, zeros, everything, raw)]
    for k in range(2, order + 1):
        last = len(stream) - k + 1
        if last <= 0:
            break
        inside = np.flatnonzero(sentence[:last] == sentence[k - 1 :])
        if not len(inside):
            break
        keys = rows[inside] * size + stream[inside + k - 1]
        unique, first, inverse, raw = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        prefix = unique // size
        tables.append(
            _Table(
                prefix=prefix,
                word=unique % size,
                suffix=rows[inside[first] + 1],
                starts=tables[-1].starts[prefix],
                raw=raw,
            )
        )
        rows = np.full(len(stream), -1, np.int64)
        rows[inside] = inverse
    return tables


def _adjusted_counts(tables: list[_Table], bos: int) -> list[np.ndarray]:
    """Count occurrences at the highest order, distinct preceding words below it."""
    counts = []
    for table, longer in zip(tables[:-1], tables[1:], strict=True):
        distinct = np.bincount(longer.suffix, minlength=len(table.word))
        counts.append(np.where(table.starts == bos, table.raw, distinct))
    counts.append(tables[-1].raw.copy())
    counts[0][bos] = 0
    return counts


def _kept(tables, counts, cutoffs) -> list[np.ndarray]:
    """Mark the n-grams that reach their cut-off or begin one that does."""
    kept: list[np.ndarray] = []
    longer: np.ndarray | None = None
    for table, count, cutoff in reversed(list(zip(tables, counts, cutoffs, strict=True))):
        keep = count >= cutoff if table is not tables[0] else np.ones(len(count), bool)
        if longer is not None:
            keep[longer] = True
        longer = table.prefix[keep]
        kept.insert(0, keep)
    return kept


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Return the discounts of the counts 0, 1, 2 and 3 or more.

    Chen and Goodman (1999), equation 26; where a count of counts that it needs is zero, as in
    small or generated texts, 0.5, 1 and 1.5, as lmplz --discount_fallback takes.
    """
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    if min(n1, n2, n3) == 0:
        return np.array([0.0, *FALLBACK_DISCOUNTS])
    ratio = n1 / (n1 + 2 * n2)
    found = np.array([1 - 2 * ratio * n2 / n1, 2 - 3 * ratio * n3 / n2, 3 - 4 * ratio * n4 / n3])
    if (found <= 0).any():
        return np.array([0.0, *FALLBACK_DISCOUNTS])
    return np.array([0.0, *found])


def _model(words, tables, kept, probability, backoff) -> NgramModel:
    number = np.zeros(1, np.int64)
    prefixes, last, logs, weights = [np.zeros(1, np.int64)], [np.full(1, -1)], [[0.0]], [[0.0]]
    start = 1
    counts = []
    with np.errstate(divide="ignore"):
        for table, keep, p, bow in zip(tables, kept, probability, backoff, strict=True):
            prefixes.append(number[table.prefix[keep]])
            number = np.full(len(keep), -1, np.int64)
            number[keep] = start + np.arange(keep.sum())
            start += int(keep.sum())
            last.append(table.word[keep])
            logs.append(np.maximum(np.log10(p[keep]), NEVER))
            weights.append(np.maximum(np.log10(bow[keep]), NEVER))
            counts.append(int(keep.sum()))
    while len(counts) > 1 and counts[-1] == 0:
        counts.pop()
    return NgramModel(
        list(words), counts, *(np.concatenate(x) for x in (prefixes, last, logs, weights))
    )


def prune(
    model: NgramModel, threshold: float, history_probability: np.ndarray | None = None
) -> NgramModel:
    """Remove the n-grams that the model hardly needs, and renormalise the back-off weights.

    Stolcke (1998), equations 3 to 7, as SRILM's ``ngram -prune``: an n-gram goes if removing it
    alone raises the perplexity of the model by less than `threshold` times itself. The highest
    order is pruned first; an n-gram that begins a longer one stays.

    Parameters
    ----------
    model : NgramModel
    threshold : float
        1e-8 to 1e-6 are usual.
    history_probability : float64 array (M + 1,), optional
        Probability of each node as a history. Relative frequencies suit Kneser-Ney models, whose
        shorter n-grams are no marginals (Chelba et al. 2010); by the chain rule when absent.

    Returns
    -------
    NgramModel
    """
    size = len(model.prefix)
    if history_probability is None:
        history_probability = np.ones(size)
        bos = 1 + model.index[BOS]
        for nodes in _levels(model):
            chain = 10.0 ** model.log_probability[nodes]
            history_probability[nodes] = history_probability[model.prefix[nodes]] * chain
            history_probability[nodes[nodes == bos]] = (
                10.0 ** model.log_probability[1 + model.index[EOS]]
            )
    alive = np.ones(size, bool)
    for nodes in _levels(model)[:0:-1]:
        leaf = np.ones(size, bool)
        leaf[model.prefix[alive]] = False
        nodes = nodes[leaf[nodes]]
        history, word = model.prefix[nodes], model.word[nodes]
        kept, shorter = explicit_mass(model)
        logs = model.log_probability[nodes] * np.log(10)
        lower = model.score(model.suffix[history], word)[0] * np.log(10)
        above = np.maximum(1 - kept[history], 1e-12)
        below = np.maximum(1 - shorter[history], 1e-12)
        old = np.log(above) - np.log(below)
        new = np.log(above + np.exp(logs)) - np.log(below + np.exp(lower))
        change = -history_probability[history] * (
            np.exp(logs) * (lower + new - logs) + above * (new - old)
        )
        alive[nodes[np.expm1(change) < threshold]] = False
    return _without(model, alive)


def _levels(model: NgramModel) -> list[np.ndarray]:
    edges = np.cumsum([1, *model.counts])
    return [np.arange(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _without(model: NgramModel, alive: np.ndarray) -> NgramModel:
    number = np.cumsum(alive) - 1
    counts = [int(alive[nodes].sum()) for nodes in _levels(model)]
    while len(counts) > 1 and counts[-1] == 0:
        counts.pop()
    smaller = NgramModel(
        model.vocabulary,
        counts,
        number[model.prefix[alive]],
        model.word[alive],
        model.log_probability[alive],
        model.backoff[alive],
    )
    for nodes in _levels(smaller)[:-1]:
        kept, shorter = explicit_mass(smaller)
        above = np.maximum(1 - kept[nodes], 1e-12)
        below = np.maximum(1 - shorter[nodes], 1e-12)
        smaller.backoff[nodes] = np.log10(above) - np.log10(below)
    childless = np.ones(len(smaller.prefix), bool)
    childless[smaller.prefix] = False
    smaller.backoff[childless] = 0.0
    return smaller
