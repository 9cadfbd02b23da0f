"""N-gram models with back-off: the trie, its ARPA file, probabilities and perplexity."""

import gzip
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write, check_characters, reading
from darkknowledge.progress import logger

BOS = "<s>"
EOS = "</s>"
NEVER = -99.0
# what a packed file may unfold to, in bytes or as a multiple of its own, and what no model has
SMALL = 1 << 22
LARGEST_RATIO = 100
LONGEST_LINE = 1 << 16
MOST_BLANK = 1000


@dataclass(frozen=True)
class NgramModel:
    """A back-off n-gram model as a trie.

    Node 0 is the empty history. The nodes 1 to M are the n-grams, shorter ones first, those of
    one length in the order of their words; words are numbered as in `vocabulary`, so node
    1 + i is the unigram of word i. Each array holds one value per node.

    Attributes
    ----------
    vocabulary : list of str
        The words in sorted order, with ``<s>`` and ``</s>``.
    counts : list of int
        Number of n-grams of each order.
    prefix : int64 array (M + 1,)
        The node without its last word.
    word : int64 array (M + 1,)
        The last word; -1 at node 0.
    log_probability : float64 array (M + 1,)
        log10 of the probability of the last word after the others.
    backoff : float64 array (M + 1,)
        log10 of the weight of the shorter history where this history lacks the word.
    """

    vocabulary: list[str]
    counts: list[int]
    prefix: np.ndarray
    word: np.ndarray
    log_probability: np.ndarray
    backoff: np.ndarray

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return len(self.counts)

    @cached_property
    def index(self) -> dict[str, int]:
        """Number of each word."""
        return {word: i for i, word in enumerate(self.vocabulary)}

    @cached_property
    def keys(self) -> np.ndarray:
        """prefix * V + word of the nodes 1 to M, which is sorted."""
        return self.prefix[1:] * len(self.vocabulary) + self.word[1:]

    @cached_property
    def level(self) -> np.ndarray:
        """Number of words of each node."""
        return np.repeat(np.arange(self.order + 1), [1, *self.counts])

    @cached_property
    def suffix(self) -> np.ndarray:
        """The longest node that is a proper end of each node; 0 for the unigrams."""
        suffix = np.zeros(len(self.prefix), np.int64)
        start = 1 + self.counts[0]
        for count in self.counts[1:]:
            nodes = np.arange(start, start + count)
            history = suffix[self.prefix[nodes]]
            while len(nodes):
                found = self.find(history, self.word[nodes])
                suffix[nodes] = np.where(found >= 0, found, 0)
                lacking = found < 0
                nodes, history = nodes[lacking], suffix[history[lacking]]
            start += count
        return suffix

    def find(self, history: np.ndarray, word: np.ndarray) -> np.ndarray:
        """Return the nodes of histories followed by words, -1 where there is none.

        Parameters
        ----------
        history, word : int64 arrays (n,)

        Returns
        -------
        int64 array (n,)
        """
        keys = np.asarray(history) * len(self.vocabulary) + word
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, place + 1, -1)

    def score(self, history: np.ndarray, word: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log10 p(word | history) and the history that follows.

        Parameters
        ----------
        history, word : int64 arrays (n,)

        Returns
        -------
        log_probability : float64 array (n,)
        node : int64 array (n,)
            The longest node that ends the history followed by the word.
        """
        history = np.array(history, np.int64)
        total = np.zeros(len(history))
        node = np.full(len(history), -1, np.int64)
        left = np.arange(len(history))
        while len(left):
            found = self.find(history[left], word[left])
            hit = found >= 0
            node[left[hit]] = found[hit]
            total[left[hit]] += self.log_probability[found[hit]]
            left = left[~hit]
            total[left] += self.backoff[history[left]]
            history[left] = self.suffix[history[left]]
        return total, node

    def words(self, node: int) -> list[str]:
        """Return the words of a node."""
        words = []
        while node:
            words.append(self.vocabulary[self.word[node]])
            node = int(self.prefix[node])
        return words[::-1]

    def totals(self) -> np.ndarray:
        """Return the sum of p(w | h) over the whole vocabulary except ``<s>`` for every node h.

        Returns
        -------
        float64 array
            One value per history: the nodes shorter than the order; 1 in a proper model.
        """
        histories = 1 + sum(self.counts[:-1])
        kept, shorter = explicit_mass(self)
        total = np.ones(histories)
        total[0] = kept[0]
        for node in range(1, histories):
            weight = 10.0 ** self.backoff[node]
            total[node] = kept[node] + weight * (total[self.suffix[node]] - shorter[node])
        return total


def explicit_mass(model: NgramModel) -> tuple[np.ndarray, np.ndarray]:
    """Sum, for each history, what its own n-grams have and what shorter histories give them.

    Returns
    -------
    kept : float64 array (M + 1,)
        Sum of p(w | h) over the words w that follow h in the trie.
    shorter : float64 array (M + 1,)
        Sum of p(w | suffix of h) over the same words.
    """
    nodes = np.arange(1, len(model.prefix))
    nodes = nodes[model.word[nodes] != model.index[BOS]]
    history, word = model.prefix[nodes], model.word[nodes]
    size = len(model.prefix)
    kept = np.bincount(history, 10.0 ** model.log_probability[nodes], size)
    long = history > 0
    lower = np.zeros(len(nodes))
    lower[long] = 10.0 ** model.score(model.suffix[history[long]], word[long])[0]
    return kept, np.bincount(history, lower, size)


@dataclass(frozen=True)
class Perplexity:
    """Perplexity of a text.

    Attributes
    ----------
    perplexity : float
        10 to the mean of -log10 p over words and sentence ends, unknown words included.
    known : float
        The same without the unknown words, which SRILM's ``ngram -ppl`` leaves out of its sum
        for a model without ``<unk>``.
    words, sentences, unknown : int
        Sizes of the text; unknown words are counted in `words` too.
    """

    perplexity: float
    known: float
    words: int
    sentences: int
    unknown: int


def perplexity(
    model: NgramModel | str | Path,
    sentences: Iterable[Sequence[str]],
    unknown: str = "<UNK>",
) -> Perplexity:
    """Measure the perplexity of sentences.

    Parameters
    ----------
    model : NgramModel or path of an ARPA file
    sentences : iterable of sequences of words
    unknown : str
        The word of the model that stands for words that it lacks.

    Returns
    -------
    Perplexity

    Raises
    ------
    DataError
        If there is no sentence, or a word is unknown and the model has no word for it.
    """
    if not isinstance(model, NgramModel):
        model = read_arpa(model)
    index, fallback = model.index, model.index.get(unknown, -1)
    rows = [[index.get(word, fallback) for word in sentence] for sentence in sentences]
    if not rows:
        raise DataError("perplexity of no sentences; expected at least one")
    if fallback < 0 and any(-1 in row for row in rows):
        raise DataError(f"the text has words that the model lacks, and it has no {unknown}")
    outside = sum(word == fallback for row in rows for word in row)
    lengths = np.array([len(row) + 1 for row in rows])
    table = np.full((len(rows), lengths.max()), -1, np.int64)
    for i, row in enumerate(rows):
        table[i, : len(row) + 1] = [*row, index[EOS]]
    history = np.full(len(rows), 1 + index[BOS], np.int64)
    total = total_unknown = 0.0
    for column in range(table.shape[1]):
        active = np.flatnonzero(lengths > column)
        word = table[active, column]
        logs, history[active] = model.score(history[active], word)
        total += logs.sum()
        total_unknown += logs[word == fallback].sum()
    events = int(lengths.sum())
    return Perplexity(
        perplexity=float(10 ** (-total / events)),
        known=float(10 ** (-(total - total_unknown) / max(events - outside, 1))),
        words=events - len(rows),
        sentences=len(rows),
        unknown=outside,
    )


def write_arpa(path: str | Path, model: NgramModel) -> None:
    """Write a model as an ARPA file: whole or not at all, n-grams in sorted order."""
    has_longer = np.zeros(len(model.prefix), bool)
    has_longer[model.prefix[1:]] = True
    text: list[str] = [""]
    with atomic_write(path) as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {k}={count}\n" for k, count in enumerate(model.counts, 1))
        start = 1
        for k, count in enumerate(model.counts, 1):
            file.write(f"\n\\{k}-grams:\n")
            longer: list[str] = []
            for node in range(start, start + count):
                word = model.vocabulary[model.word[node]]
                ngram = f"{text[model.prefix[node]]} {word}" if k > 1 else word
                line = f"{max(model.log_probability[node], NEVER):.6g}\t{ngram}"
                if has_longer[node]:
                    line += f"\t{max(model.backoff[node], NEVER):.6g}"
                file.write(line + "\n")
                longer.append(ngram)
            text.extend(longer)
            start += count
        file.write("\n\\end\\\n")


def read_arpa(path: str | Path) -> NgramModel:
    """Read an ARPA file, gzipped where its name ends in ``.gz``.

    N-grams with ``<s>`` after the first or ``</s>`` before the last place are left out and
    counted in the log, as Kaldi's arpa2fst does.

    Raises
    ------
    DataError
        If the file is absent or is not a complete ARPA file; the message names the line.
    """
    name = str(path)
    with reading(name, "give the path of an ARPA language model"), open_arpa(path) as file:
        return _Parser(_text_lines(file, path), name).model()


@contextmanager
def open_arpa(path: str | Path) -> Iterator[IO[bytes]]:
    """Open an ARPA file, gzipped where its name ends in ``.gz``, whose damage is then named."""
    try:
        with gzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}); pack it again") from None


def _text_lines(file: IO[bytes], path: str | Path) -> Iterator[str]:
    """Yield the lines of a file that may be packed, no more than so many bytes can hold."""
    most = max(SMALL, LARGEST_RATIO * Path(path).stat().st_size)
    number = total = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        total += len(line)
        if len(line) > LONGEST_LINE or total > most:
            raise DataError(
                f"{path}:{number}: a line above {LONGEST_LINE} bytes, or more than {most} bytes "
                "in all; expected an ARPA language model"
            )
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: not UTF-8 ({error}); save it as UTF-8") from None


def parse_arpa(text: str, name: str = "ARPA text") -> NgramModel:
    """Parse the text of an ARPA file; `name` stands in messages. See :func:`read_arpa`."""
    return _Parser(text.split("\n"), name).model()


class _Parser:
    def __init__(self, text: Iterable[str], name: str):
        self.name = name
        self.number = 0
        self.ended = False
        self.lines = self._lines(text)

    def _lines(self, text: Iterable[str]) -> Iterator[str]:
        blank = 0
        for number, line in enumerate(text, 1):
            self.number = number
            line = line.strip(" \t\r\n")
            blank = 0 if line else blank + 1
            if not line.isprintable():
                check_characters(line.replace("\t", " "), f"{self.name}:{number}")
            if blank > MOST_BLANK:
                raise self._error(f"more than {MOST_BLANK} blank lines")
            if line:
                yield line
        if not self.ended:
            raise self._error("the file ends here; expected \\end\\: it is truncated")

    def _error(self, message: str) -> DataError:
        return DataError(f"{self.name}:{self.number}: {message}")

    def model(self) -> NgramModel:
        for line in self.lines:
            if line == "\\data\\":
                break
        else:
            raise self._error("no \\data\\ line")
        counts, line = self._counts()
        columns: list[tuple[np.ndarray, ...]] = []
        places: dict[tuple[int, ...], int] = {(): 0}
        self.index: dict[str, int] = {}
        skipped = 0
        for k, count in enumerate(counts, 1):
            if line != f"\\{k}-grams:":
                raise self._error(f"{_short(line)}; expected \\{k}-grams:")
            rows, line, left_out = self._section(k, count, k == len(counts), places)
            skipped += left_out
            columns.append(self._sorted(rows, places))
        if line != "\\end\\":
            raise self._error(f"{_short(line)}; expected \\end\\ after {len(counts)} orders")
        self.ended = True
        for line in self.lines:
            raise self._error(f"{_short(line)} follows \\end\\; remove it")
        if skipped:
            logger.info(
                "%s: %d n-grams with %s or %s inside left out", self.name, skipped, BOS, EOS
            )
        while len(columns) > 1 and not len(columns[-1][0]):
            columns.pop()
        prefix, word, logs, backoff = (
            np.concatenate([[first], *arrays])
            for first, arrays in zip((0, -1, 0.0, 0.0), zip(*columns, strict=True), strict=True)
        )
        return NgramModel(
            sorted(self.index),
            [len(column[0]) for column in columns],
            prefix.astype(np.int64),
            word.astype(np.int64),
            logs,
            backoff,
        )

    def _counts(self) -> tuple[list[int], str]:
        counts: list[int] = []
        for line in self.lines:
            if not line.startswith("ngram "):
                break
            left, _, right = line[6:].partition("=")
            if left.strip() != str(len(counts) + 1) or not _is_count(right.strip()):
                raise self._error(f"{_short(line)}; expected ngram {len(counts) + 1}=COUNT")
            counts.append(int(right))
        if not counts:
            raise self._error("no 'ngram 1=COUNT' line after \\data\\")
        return counts, line

    def _section(self, k, count, last, places):
        rows: dict[tuple, tuple[float, float]] = {}
        skipped = 0
        for line in self.lines:
            if line.startswith("\\"):
                break
            if len(rows) + skipped == count:
                raise self._error(f"more than {count} {k}-grams, as many as the header says")
            fields = line.split()
            if len(fields) not in ((k + 1,) if last else (k + 1, k + 2)):
                raise self._error(
                    f"{_short(line)}; expected a log-probability, {k} words"
                    + ("" if last else " and perhaps a back-off weight")
                )
            logs = self._number(fields[0])
            if logs > 0:
                raise self._error(f"log-probability {fields[0]} is above 0")
            backoff = self._number(fields[k + 1]) if len(fields) == k + 2 else 0.0
            words = fields[1 : k + 1]
            if k == 1:
                ngram = (words[0],)
            else:
                try:
                    ngram = tuple([self.index[word] for word in words])
                except KeyError as error:
                    raise self._error(f"word {error.args[0]} has no unigram") from None
                if BOS in words[1:] or EOS in words[:-1]:
                    skipped += 1
                    continue
                if ngram[:-1] not in places:
                    raise self._error(
                        f"{' '.join(words[:-1])} is not among the {k - 1}-grams, "
                        "and an n-gram needs its history"
                    )
            if ngram in rows:
                raise self._error(f"{_short(' '.join(words))} appears twice")
            rows[ngram] = (logs, backoff)
        if len(rows) + skipped != count:
            raise self._error(f"{len(rows) + skipped} {k}-grams; the header says {count}")
        if k == 1:
            for word in (BOS, EOS):
                if (word,) not in rows:
                    raise self._error(f"no unigram {word}; a sentence needs it")
            self.index = {word: i for i, word in enumerate(sorted(w for (w,) in rows))}
            rows = {(self.index[word],): values for (word,), values in rows.items()}
        return rows, line, skipped

    @staticmethod
    def _sorted(rows, places):
        start = len(places)
        ordered = sorted(rows)
        prefix = [places[ngram[:-1]] for ngram in ordered]
        places.update((ngram, start + i) for i, ngram in enumerate(ordered))
        values = [rows[ngram] for ngram in ordered]
        return (
            np.array(prefix, np.int64),
            np.array([ngram[-1] for ngram in ordered], np.int64),
            np.array([logs for logs, _ in values], np.float64),
            np.array([backoff for _, backoff in values], np.float64),
        )

    def _number(self, field: str) -> float:
        try:
            value = float(field)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._error(f"{_short(field)}; expected a finite number")
        return value


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
