"""Audio files to words with times and confidences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darkknowledge.decoding import Decoder
from darkknowledge.deploy.audio import cut, read_audio
from darkknowledge.deploy.folder import ExportedRun
from darkknowledge.errors import DataError
from darkknowledge.lattices.decoding import LatticeDecoder
from darkknowledge.lattices.paths import Lattice, rescore
from darkknowledge.lattices.states import topological_levels
from darkknowledge.sequence.forward_backward import sum_paths
from darkknowledge.sequence.lattices import LatticeBatch, TrainingLattice

LATTICE_BEAM = 5.0
SUBTITLE_SECONDS = 5.0
SUBTITLE_LETTERS = 80
SUBTITLE_PAUSE = 1.0
SEED = 1


@dataclass(frozen=True)
class SpokenWord:
    """A word that was recognised.

    Attributes
    ----------
    word : str
    start, end : float
        Seconds.
    confidence : float or None
        Probability from 0 to 1 that it was said there; None where it was not asked for.
    """

    word: str
    start: float
    end: float
    confidence: float | None = None


class Transcriber:
    """Recognises recordings of any rate and length.

    Parameters
    ----------
    recogniser : ExportedRun
    confidence : bool
        Whether words get a confidence; it takes a search for lattices.
    """

    def __init__(self, recogniser: ExportedRun, confidence: bool = False):
        self.recogniser = recogniser
        self.confidence = confidence
        kind = LatticeDecoder if confidence else Decoder
        more = {"lattice_beam": LATTICE_BEAM} if confidence else {}
        self._decoder = kind(recogniser.graph, **recogniser.search, **more)

    def file(self, path: str | Path) -> list[SpokenWord]:
        """Recognise a recording.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        return self.words(read_audio(path, self.recogniser.rate))

    def words(self, wave: np.ndarray) -> list[SpokenWord]:
        """Recognise samples (S,) on the scale of 16-bit integers, at the recogniser's rate."""
        options, rate = self.recogniser.features, self.recogniser.rate
        noise = np.random.default_rng(SEED).standard_normal(len(wave), dtype=np.float32)
        wave = wave + options.dither * noise
        parts = [(part.start, self.recogniser.spectra(wave[part])) for part in cut(wave, rate)]
        parts = [(start, matrix) for start, matrix in parts if len(matrix)]
        if not parts:
            return []
        starts, spectra = zip(*parts, strict=True)
        shift = options.frame_shift / 1000
        found: list[SpokenWord] = []
        for start, matrix in zip(starts, self.recogniser.network_input(spectra), strict=True):
            scores, offset = self.recogniser.scores(matrix), start / rate
            for word, first, after, confidence in self._search(scores):
                times = offset + first * shift, offset + after * shift
                found.append(SpokenWord(word, *times, confidence))
        return found

    def _search(self, scores: np.ndarray) -> Iterable[tuple[str, int, int, float | None]]:
        result = self._decoder.decode(scores)
        if not self.confidence:
            return zip(
                result.words, result.starts, result.ends, [None] * len(result.words), strict=True
            )
        if not len(result.arcs):
            return []
        (best,) = rescore(result, [(result.acoustic_scale, result.word_penalty)])
        certain = confidences(result, best.words, best.starts, best.ends)
        return zip(best.words, best.starts, best.ends, certain, strict=True)


def confidences(
    lattice: Lattice, words: Sequence[str], starts: Sequence[int], ends: Sequence[int]
) -> list[float]:
    """Return the probability of each word of a path: that of the arcs that say it at its middle.

    Parameters
    ----------
    lattice : Lattice
    words : sequence of str
    starts, ends : sequences of int
        First frame of each word and the frame after its last.
    """
    arcs = lattice.arcs
    source, target = arcs["source"].astype(np.int64), arcs["target"].astype(np.int64)
    places = np.zeros(lattice.num_states, np.int32)
    level = topological_levels(lattice.num_states, source, target)
    silent = np.full(len(arcs), -1)
    cost = (
        arcs["graph"]
        + lattice.acoustic_scale * arcs["acoustic"]
        + lattice.word_penalty * (arcs["word"] != 0)
    )
    paths = TrainingLattice(source, target, silent, cost, places, level, lattice.frames)
    posterior = sum_paths(LatticeBatch([paths]), -cost.astype(np.float64), np.zeros(len(arcs)))
    found = []
    for word, start, end in zip(words, starts, ends, strict=True):
        middle = (start + end) // 2
        same = arcs["word"] == lattice.words.index(word)
        here = same & (arcs["start"] <= middle) & (middle < np.maximum(arcs["end"], start + 1))
        found.append(min(float(posterior.posterior[here].sum()), 1.0))
    return found


def as_text(files: Sequence[tuple[str, list[SpokenWord]]]) -> str:
    """Write a line of words for each recording, after its name if there are several."""
    lines = [" ".join(word.word for word in words) for _, words in files]
    if len(files) > 1:
        lines = [f"{name}: {line}" for (name, _), line in zip(files, lines, strict=True)]
    return "".join(f"{line}\n" for line in lines)


def as_ctm(files: Sequence[tuple[str, list[SpokenWord]]]) -> str:
    """Write NIST ctm: name without folder and suffix, channel, start, duration, word."""
    return "".join(
        f"{Path(name).stem} 1 {word.start:.2f} {word.end - word.start:.2f} {word.word}"
        + ("\n" if word.confidence is None else f" {word.confidence:.3f}\n")
        for name, words in files
        for word in words
    )


def as_json(files: Sequence[tuple[str, list[SpokenWord]]]) -> list[dict[str, Any]]:
    """Return what is written as JSON: per recording its file, text and words."""

    def described(word: SpokenWord) -> dict[str, Any]:
        entry = {"word": word.word, "start": round(word.start, 3), "end": round(word.end, 3)}
        return entry | (
            {} if word.confidence is None else {"confidence": round(word.confidence, 4)}
        )

    return [
        {
            "file": name,
            "text": " ".join(word.word for word in words),
            "words": [described(word) for word in words],
        }
        for name, words in files
    ]


def as_srt(files: Sequence[tuple[str, list[SpokenWord]]]) -> str:
    """Write subtitles of one recording.

    Raises
    ------
    DataError
        If there are several recordings: subtitles are of one.
    """
    if len(files) != 1:
        raise DataError(f"srt is of one recording; {len(files)} were given: name them one by one")
    groups: list[list[SpokenWord]] = []
    for word in files[0][1]:
        group = groups[-1] if groups else []
        letters = sum(len(other.word) + 1 for other in group) + len(word.word)
        if (
            group
            and letters <= SUBTITLE_LETTERS
            and word.end - group[0].start <= SUBTITLE_SECONDS
            and word.start - group[-1].end <= SUBTITLE_PAUSE
        ):
            group.append(word)
        else:
            groups.append([word])
    return "".join(
        f"{number}\n{_clock(group[0].start)} --> {_clock(group[-1].end)}\n"
        f"{' '.join(word.word for word in group)}\n\n"
        for number, group in enumerate(groups, 1)
    )


def _clock(seconds: float) -> str:
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d},{milliseconds:03d}"
