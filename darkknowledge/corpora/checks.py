"""The door of a corpus: faults of audio and transcripts, all found before any is reported."""

import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from darkknowledge.corpora.options import FaultKind
from darkknowledge.errors import DataError, first_of
from darkknowledge.files import write_lines
from darkknowledge.progress import logger
from darkknowledge.sound import SoundError, read_samples

KINDS: tuple[str, ...] = get_args(FaultKind)
FULL_SCALE = 0.999
CLIPPED_RUN = 12
CLIPPED_SHARE = 0.005

_MENDS = {
    "missing": "put the file there",
    "empty": "get the file again",
    "unreadable": "get the file again, as flac, wav or ogg",
    "truncated": "get the file again: its end is lacking",
    "nan": "write the file again from a sound source: it holds values that are no numbers",
    "silent": "get the file again, or remove it and its transcript",
    "clipped": "record or scale the source again below full scale",
    "rate": "resample it, such as `sox IN -r 16000 OUT`",
    "channels": "mix it down, such as `sox IN -c 1 OUT`",
    "length": "cut it, or change min_seconds or max_seconds",
    "no_transcript": "add its line to the .trans.txt file of its folder, or remove the audio",
    "no_audio": "put the audio beside the transcript, or remove the line",
    "duplicate": "rename or remove one of the two",
    "no_pronunciation": "add a line with its phones to the dictionary or lexicon",
}


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a file, an utterance or a word.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    subject : str
        The file, utterance or word.
    found : str
        What was found, and what was expected.
    mend : str
        What mends it; that of the kind where empty.
    """

    kind: str
    subject: str
    found: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.found}; {self.mend or _MENDS[self.kind]}"


class Door:
    """Collects faults; lets pass those kinds that the configuration skips.

    Parameters
    ----------
    what : str
        What is checked, for the messages.
    skip : iterable of str
        Kinds of fault that may be skipped.
    """

    def __init__(self, what: str, skip: Iterable[str] = ()):
        self.what = what
        self.skip = frozenset(skip)
        self.faults: list[Fault] = []

    def add(self, *faults: Fault) -> None:
        """Note faults."""
        self.faults.extend(faults)

    def close(self, report: Path | None = None) -> None:
        """Stop if a fault may not be skipped; else count and list those that are.

        Parameters
        ----------
        report : Path or None
            File that lists what was skipped (kind, subject, what was found, separated by tabs);
            absent afterwards if nothing was.

        Raises
        ------
        DataError
            With the first 20 faults and the count of all.
        """
        counts = Counter(fault.kind for fault in self.faults)
        fatal = [fault for fault in self.faults if fault.kind not in self.skip]
        if fatal:
            kinds = sorted({fault.kind for fault in fatal})
            summary = ", ".join(f"{kind} {counts[kind]}" for kind in kinds)
            raise DataError(
                f"{self.what}: {len(fatal)} faults ({summary})\n"
                + textwrap.indent(first_of([str(fault) for fault in fatal]), "  ")
                + f"\nMend them, or add their kind to `skip` of the corpus: [{', '.join(kinds)}]"
            )
        if report is not None:
            if self.faults:
                write_lines(report, (f"{f.kind}\t{f.subject}\t{f.found}" for f in self.faults))
            else:
                report.unlink(missing_ok=True)
        if self.faults:
            summary = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
            place = f", listed in {report}" if report is not None else ""
            logger.warning("%s: skipped as configured: %s%s", self.what, summary, place)


def longest_run(samples: np.ndarray, level: float = FULL_SCALE) -> int:
    """Return the longest run of samples of one sign at or above a level."""
    longest = 0
    for full in (samples >= level, samples <= -level):
        if full.any():
            edges = np.flatnonzero(np.diff(np.concatenate(([0], full.view(np.int8), [0]))))
            longest = max(longest, int((edges[1::2] - edges[::2]).max()))
    return longest


def read_audio(
    path: str | Path,
    rate: int | None = 16000,
    channels: int | None = 1,
    seconds: tuple[float, float] | None = None,
    clipping: bool = True,
) -> tuple[np.ndarray | None, list[Fault]]:
    """Read an audio file and find what is wrong with it.

    Parameters
    ----------
    path : path
        A wav, flac or ogg file.
    rate, channels : int or None
        What it must have; None is anything (channels are averaged).
    seconds : pair of float or None
        Shortest and longest length.
    clipping : bool
        Whether 12 samples in a row, or 0.5 % of all, at full scale are a fault.

    Returns
    -------
    samples : (N,) float array or None
        None if the file cannot be used.
    faults : list of Fault
    """
    name = str(path)
    try:
        samples, found_rate = read_samples(path, "float64")
    except SoundError as error:
        return None, [Fault(error.kind, name, error.text)]
    faults = []
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples)).sum())
        return None, [Fault("nan", name, f"{bad} samples are NaN or infinite")]
    if channels is not None and samples.shape[1] != channels:
        faults.append(Fault("channels", name, f"{samples.shape[1]} channels, expected {channels}"))
    if rate is not None and found_rate != rate:
        faults.append(Fault("rate", name, f"{found_rate} Hz, expected {rate} Hz"))
    faults += examine(name, samples, found_rate, seconds, clipping)
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    return (None if faults else mono), faults


def examine(
    name: str,
    samples: np.ndarray,
    rate: int,
    seconds: tuple[float, float] | None = None,
    clipping: bool = True,
) -> list[Fault]:
    """Find what is wrong with samples: silence, clipping, length.

    Parameters
    ----------
    name : str
        What the faults name.
    samples : (N, channels) float array
        Full scale 1.
    rate : int
        Samples per second.
    seconds, clipping
        As for `read_audio`.
    """
    faults = []
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if not mono.any():
        faults.append(Fault("silent", name, f"all {len(mono)} samples are zero"))
    if clipping:
        share = float(np.mean(np.abs(samples) >= FULL_SCALE))
        run = max(longest_run(channel) for channel in samples.T)
        if run >= CLIPPED_RUN or share > CLIPPED_SHARE:
            text = f"{run} samples in a row and {100 * share:.2f} % of all at full scale"
            faults.append(Fault("clipped", name, text))
    length = len(samples) / rate
    if seconds is not None and not seconds[0] <= length <= seconds[1]:
        text = f"{length:.2f} s, expected {seconds[0]:g} to {seconds[1]:g} s"
        faults.append(Fault("length", name, text))
    return faults


def unpronounced(texts: dict[str, list[str]], words: Iterable[str]) -> list[Fault]:
    """Return a fault for each word of the transcripts that the dictionary lacks.

    Parameters
    ----------
    texts : dict
        Words of each utterance.
    words : iterable of str
        Words of the dictionary.
    """
    known = set(words)
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for utterance, text in texts.items():
        for word in text:
            if word not in known:
                counts[word] += 1
                first.setdefault(word, utterance)
    return [
        Fault("no_pronunciation", word, f"{count} times, first in {first[word]}")
        for word, count in sorted(counts.items())
    ]
