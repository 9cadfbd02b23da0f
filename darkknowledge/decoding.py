"""Acoustic scores and HCLG to words with times."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import kaldi_decoder
import numpy as np

from darkknowledge.acoustic import tree_of
from darkknowledge.checksums import CHECKSUMS, check_checksums
from darkknowledge.errors import DataError
from darkknowledge.files import read_lines, read_symbols, reading
from darkknowledge.graph.compose import BOUNDARIES, FILES, GRAPH, TREE, WORDS
from darkknowledge.graph.fst import Fst, read_fst
from darkknowledge.graph.hmm_fst import SILENCE_START, WORD_START
from darkknowledge.graph.options import DecodingOptions
from darkknowledge.progress import logger
from darkknowledge.trees import check_tree
from darkknowledge.word_errors import Counts, count_errors
from darkknowledge.zipped import parse_array, refusing

LIST_FILES = f"`sha256sum {GRAPH} {WORDS} > {CHECKSUMS}` in its folder lists its files"
Likelihoods = Iterable[tuple[str, np.ndarray]]


@dataclass(frozen=True)
class Hypothesis:
    """What was recognised in one utterance.

    Attributes
    ----------
    words : tuple of str
    starts, ends : tuple of int
        First frame of each word and the frame after its last; silence belongs to no word.
    score : float
        Cost of the path: language, transitions and scaled acoustics.
    reached_final : bool
        Whether the path ends in a final state; if not, it is incomplete.
    frames : int
        Length of the utterance.
    pdfs : tuple of int
        Of each frame of the path; empty if there is none.
    """

    words: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    score: float
    reached_final: bool
    frames: int
    pdfs: tuple[int, ...] = ()


class Graph:
    """A decoding graph in memory.

    Parameters
    ----------
    folder : path
        Folder of ``HCLG.fst`` and ``words.txt``; ``boundaries.npy``, where it is there, gives
        the words their exact frames, and ``tree.txt`` tells the tree. ``SHA256SUMS`` has the
        checksums of them all.
    model : path, optional
        What it is to be searched with.

    Raises
    ------
    DataError
        If a file is absent, damaged or of another graph than the others, or if the pdfs of the
        graph are of another tree than those of the model.
    """

    def __init__(self, folder: str | Path, model: str | Path | None = None):
        folder = Path(folder)
        path = folder / BOUNDARIES
        mend = f"delete {folder / GRAPH} and run snakemake; if it was made elsewhere, {LIST_FILES}"
        check_checksums(folder, FILES, mend, [BOUNDARIES, TREE])
        if model is not None and (folder / TREE).is_file():
            own = "".join(read_lines(folder / TREE))
            check_tree(folder / GRAPH, own, model, tree_of(model))
        self.has_boundaries = path.is_file()
        self.words = read_symbols(folder / WORDS)
        self._fst = read_fst(folder / GRAPH)
        self.num_pdfs = int(self._fst.ilabel.max(initial=0))
        highest = int(self._fst.olabel.max(initial=0))
        if highest >= len(self.words):
            raise DataError(
                f"{folder / GRAPH}: output label {highest} is not in {WORDS}, which has "
                f"{len(self.words)} lines; make both files together"
            )
        if self.has_boundaries:
            with reading(path), refusing(path, "an array of boundaries"):
                boundaries = parse_array(path.read_bytes())
            if boundaries.shape != (self._fst.num_arcs,) or boundaries.max(initial=0) > 2:
                raise DataError(
                    f"{path}: values of shape {boundaries.shape} up to {boundaries.max(initial=0)} "
                    f"for {self._fst.num_arcs} arcs of {GRAPH}; make both files together"
                )
            # the output label carries the boundary: word + boundary * number of words
            marked = self._fst.olabel + boundaries.astype(np.int32) * len(self.words)
            self._fst = replace(self._fst, olabel=marked)
        self._penalty: float | None = None
        self._built = None

    def fst(self, word_penalty: float = 0.0) -> Fst:
        """Return the graph as arrays, with a cost added to every word.

        An output label is word + boundary * number of words.
        """
        if not word_penalty:
            return self._fst
        has_word = (self._fst.olabel % len(self.words) != 0).astype(np.float32)
        return replace(self._fst, weight=self._fst.weight + np.float32(word_penalty) * has_word)

    def build(self, word_penalty: float = 0.0):
        """Return the graph as kaldi-decoder takes it, with a cost added to every word."""
        if self._penalty != word_penalty:
            self._built = self.fst(word_penalty).to_kaldifst(constant=True)
            self._penalty = word_penalty
        return self._built

    def scaled(
        self, log_likelihoods: np.ndarray, acoustic_scale: float, utterance: str = "utterance"
    ) -> np.ndarray:
        """Check and scale the scores of an utterance.

        Parameters
        ----------
        log_likelihoods : float32 array (N, pdfs)
            Natural logarithms, not yet scaled.
        acoustic_scale : float
        utterance : str
            Its name in messages.

        Returns
        -------
        float32 array (N, pdfs)

        Raises
        ------
        DataError
            If the matrix is empty, has too few columns or holds a NaN or an infinity.
        """
        if log_likelihoods.ndim != 2 or log_likelihoods.shape[1] < self.num_pdfs:
            raise DataError(
                f"{utterance}: likelihoods of shape {log_likelihoods.shape}; expected "
                f"(frames, {self.num_pdfs} pdfs or more): the graph is of another model"
            )
        if not len(log_likelihoods):
            raise DataError(f"{utterance}: no frames")
        scaled = np.multiply(log_likelihoods, acoustic_scale, dtype=np.float32)
        if not np.isfinite(scaled.sum()):
            raise DataError(f"{utterance}: a likelihood is a NaN or infinite")
        return np.ascontiguousarray(scaled)


class Decoder:
    """Beam search over a graph by kaldi-decoder's FasterDecoder.

    Parameters
    ----------
    graph : Graph or path of its folder
    acoustic_scale : float
        Factor of the log-likelihoods.
    beam : float
        Largest difference of scores, in scaled units.
    max_active, min_active : int
        Most and fewest states alive per frame.
    word_penalty : float
        Cost per word.
    """

    def __init__(
        self,
        graph: Graph | str | Path,
        acoustic_scale: float = 0.1,
        beam: float = 13.0,
        max_active: int = 7000,
        min_active: int = 200,
        word_penalty: float = 0.0,
    ):
        self.graph = graph if isinstance(graph, Graph) else Graph(graph)
        self.acoustic_scale = acoustic_scale
        self._fst = self.graph.build(word_penalty)
        self._search = kaldi_decoder.FasterDecoder(
            self._fst,
            kaldi_decoder.FasterDecoderOptions(
                beam=beam, max_active=max_active, min_active=min_active
            ),
        )

    def decode(self, log_likelihoods: np.ndarray, utterance: str = "utterance") -> Hypothesis:
        """Recognise one utterance.

        Parameters
        ----------
        log_likelihoods : float32 array (N, pdfs)
            Natural logarithms, not yet scaled.
        utterance : str
            Its name in messages.

        Returns
        -------
        Hypothesis

        Raises
        ------
        DataError
            If the matrix is empty, has too few columns or holds a NaN or an infinity.
        """
        frames = len(log_likelihoods)
        scaled = self.graph.scaled(log_likelihoods, self.acoustic_scale, utterance)
        self._search.decode(kaldi_decoder.DecodableCtc(scaled))
        found, lattice = self._search.get_best_path()
        if not found:
            return Hypothesis((), (), (), float("inf"), False, frames)
        return self._hypothesis(lattice, self._search.reached_final(), frames)

    def _hypothesis(self, lattice, reached_final: bool, frames: int) -> Hypothesis:
        size = len(self.graph.words)
        frame = 0
        labels, said, marks, pdfs = [], [], [], []
        score = 0.0
        for line in lattice.to_str().splitlines():
            fields = line.split()
            if len(fields) >= 4:
                mark, word = divmod(int(fields[3]), size)
                if mark:
                    marks.append((frame, mark))
                if word:
                    labels.append(word)
                    said.append(frame)
                if fields[2] != "0":
                    pdfs.append(int(fields[2]) - 1)
                    frame += 1
            if len(fields) in (2, 5):
                score += sum(map(float, fields[-1].split(",")))
        if self.graph.has_boundaries:
            starts, ends = _times(len(labels), marks, frames)
        else:
            starts, ends = said, [*said[1:], frames]
        return Hypothesis(
            tuple(self.graph.words[label] for label in labels),
            tuple(starts),
            tuple(ends),
            score,
            reached_final,
            frames,
            tuple(pdfs),
        )


def _times(words: int, marks: list[tuple[int, int]], frames: int) -> tuple[list[int], list[int]]:
    """First and after-last frames of words from where words and silences begin.

    A word whose first phone an incomplete path has not entered gets no frames at the end.
    """
    starts, ends = [], []
    for frame, mark in marks:
        if len(ends) < len(starts):
            ends.append(frame)
        if mark == WORD_START:
            starts.append(frame)
        assert mark in (WORD_START, SILENCE_START)
    ends += [frames] * (len(starts) - len(ends))
    lacking = max(words - len(starts), 0)
    return (starts + [frames] * lacking)[:words], (ends + [frames] * lacking)[:words]


def decode_set(
    likelihoods: Likelihoods, decoder: Decoder, processes: int = 1
) -> dict[str, Hypothesis]:
    """Recognise many utterances.

    Parameters
    ----------
    likelihoods : iterable of (utterance, float32 array (N, pdfs))
        Read one by one, at most two per process ahead.
    decoder : Decoder
        Shared by the processes, which are forked and use no torch.
    processes : int

    Returns
    -------
    dict
        Hypotheses in the order of the input. Incomplete paths are counted in the log.
    """
    hypotheses = dict(decode_each(likelihoods, decoder, processes))
    incomplete = sum(not hypothesis.reached_final for hypothesis in hypotheses.values())
    if incomplete:
        logger.info(
            "%d of %d utterances end in no final state (incomplete path); the first is %s",
            incomplete,
            len(hypotheses),
            next(u for u, hypothesis in hypotheses.items() if not hypothesis.reached_final),
        )
    return hypotheses


_decoder = None


def _decode_one(item: tuple[str, np.ndarray]):
    return _decoder.decode(item[1], item[0])


def decode_each(likelihoods: Likelihoods, decoder, processes: int = 1) -> Iterator[tuple[str, Any]]:
    """Give many utterances to a decoder, each as soon as it is read.

    Parameters
    ----------
    likelihoods : iterable of (utterance, float32 array (N, pdfs))
        Read one by one, at most two per process ahead.
    decoder : Decoder or LatticeDecoder
        Anything with `decode(matrix, utterance)`; shared by the processes, which are forked.
    processes : int

    Yields
    ------
    utterance : str
    result
        What the decoder returned, in the order of the input.
    """
    global _decoder
    if processes <= 1:
        for utterance, matrix in likelihoods:
            yield utterance, decoder.decode(matrix, utterance)
        return
    _decoder = decoder
    try:
        with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
            waiting: deque = deque()
            for utterance, matrix in likelihoods:
                waiting.append((utterance, pool.submit(_decode_one, (utterance, matrix))))
                if len(waiting) > 2 * processes:
                    name, future = waiting.popleft()
                    yield name, future.result()
            for name, future in waiting:
                yield name, future.result()
    finally:
        _decoder = None


def evenly(items: Iterable[str], count: int | None) -> list[str]:
    """Take one item from each of `count` equal parts of the sorted list; all where it is None.

    The place within the part moves by the golden ratio, so that no period of the list, such as
    fourteen conditions of each sentence, is met in step.
    """
    items = sorted(items)
    if count is None or count >= len(items):
        return items
    golden = (5**0.5 - 1) / 2
    return [items[int((i + i * golden % 1) * len(items) / count)] for i in range(count)]


def tune(
    likelihoods: Callable[[], Likelihoods] | Mapping[str, np.ndarray],
    references: Mapping[str, Sequence[str]],
    graph: Graph | str | Path,
    options: DecodingOptions | None = None,
    processes: int = 1,
    log_priors: np.ndarray | None = None,
) -> dict:
    """Choose acoustic scale, prior scale, word penalty and beam on the dev set.

    With the widest beam, the acoustic scale is found by walking from the middle of the grid
    towards fewer errors (the error rate is taken to have one valley), then the penalty likewise,
    then the prior scale; where that moves, scale and penalty are walked from once more; then
    the narrowest beam is taken that loses no more than the tolerance. Nothing is decoded twice.

    Parameters
    ----------
    likelihoods : callable or mapping
        Gives (utterance, matrix) pairs each time it is called, or a mapping of them.
    references : mapping
        Words of each utterance.
    graph : Graph or path of its folder
    options : DecodingOptions
    processes : int
    log_priors : ndarray (pdfs,), optional
        What the likelihoods have had taken off once; the prior scale is 1 where there is none.

    Returns
    -------
    dict
        `acoustic_scale`, `prior_scale`, `word_penalty`, `beam`, `max_active`, `min_active`,
        `dev_wer` in per cent, `utterances`, `incomplete`, and `grid`: every setting tried with
        its errors.
    """
    options = options or DecodingOptions()
    graph = graph if isinstance(graph, Graph) else Graph(graph)
    if isinstance(likelihoods, Mapping):
        table = likelihoods
        likelihoods = table.items
    tried: dict[tuple[float, float, float, float], dict] = {}

    def scaled(prior: float) -> Likelihoods:
        if prior == 1:
            return likelihoods()
        shift = (1 - prior) * log_priors
        return ((utterance, matrix + shift) for utterance, matrix in likelihoods())

    def errors(scale: float, prior: float, penalty: float, beam: float) -> int:
        key = (scale, prior, penalty, beam)
        if key not in tried:
            decoder = Decoder(graph, scale, beam, options.max_active, options.min_active, penalty)
            found = decode_set(scaled(prior), decoder, processes)
            if not found:
                raise DataError("no dev utterances to choose the acoustic scale on")
            counts = sum(
                (count_errors(references[u], h.words, u) for u, h in found.items()), Counts()
            )
            tried[key] = {
                "acoustic_scale": scale,
                "prior_scale": prior,
                "word_penalty": penalty,
                "beam": beam,
                "errors": counts.errors,
                "words": counts.words,
                "wer": round(counts.wer, 4),
                "utterances": len(found),
                "incomplete": sum(not h.reached_final for h in found.values()),
            }
            logger.info(
                "acoustic scale %g, prior scale %g, word penalty %g, beam %g: dev WER %.2f %%",
                scale,
                prior,
                penalty,
                beam,
                counts.wer,
            )
        return tried[key]["errors"]

    widest = max(options.beams)
    start = min(options.word_penalties, key=lambda penalty: (abs(penalty), penalty))
    scales, penalties = sorted(options.acoustic_scales), sorted(options.word_penalties)
    priors = [1.0]
    if log_priors is not None:
        priors = sorted(options.prior_scales)
    prior = nearest = min(priors, key=lambda factor: abs(factor - 1))
    scale = _valley(scales, lambda s: errors(s, prior, start, widest))
    penalty = _valley(penalties, lambda p: errors(scale, prior, p, widest), first=start)
    prior = _valley(priors, lambda k: errors(scale, k, penalty, widest), first=nearest)
    if prior != nearest:
        scale = _valley(scales, lambda s: errors(s, prior, penalty, widest), first=scale)
        penalty = _valley(penalties, lambda p: errors(scale, prior, p, widest), first=penalty)
    best = errors(scale, prior, penalty, widest)
    allowed = best + options.beam_tolerance / 100 * tried[scale, prior, penalty, widest]["words"]
    beam = next(b for b in sorted(options.beams) if errors(scale, prior, penalty, b) <= allowed)
    chosen = tried[scale, prior, penalty, beam]
    for name, value, grid in (
        ("acoustic scale", scale, options.acoustic_scales),
        ("word penalty", penalty, options.word_penalties),
    ):
        if len(grid) > 2 and value in (min(grid), max(grid)):
            logger.info(
                "%s %g lies at the edge of its grid: a wider grid may do better", name, value
            )
    return {
        "acoustic_scale": scale,
        "prior_scale": prior,
        "word_penalty": penalty,
        "beam": beam,
        "max_active": options.max_active,
        "min_active": options.min_active,
        "dev_wer": chosen["wer"],
        "utterances": chosen["utterances"],
        "incomplete": chosen["incomplete"],
        "grid": list(tried.values()),
    }


def _valley(
    values: list[float], errors: Callable[[float], int], first: float | None = None
) -> float:
    """Walk over sorted values from one of them while the errors do not grow."""
    place = values.index(first) if first is not None else len(values) // 2
    best = place
    for step in (1, -1):
        here = place + step
        while 0 <= here < len(values) and errors(values[here]) <= errors(values[here - step]):
            if errors(values[here]) < errors(values[best]):
                best = here
            here += step
        if best != place:
            break
    return values[best]
