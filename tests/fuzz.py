"""Give damaged files to a reader and look at what it makes of them."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from darkknowledge.checksums import CHECKSUMS
from darkknowledge.errors import DataError, TrainingError
from darkknowledge.study import StudyError
from tests.readers import Reader

LONGEST_MESSAGE = 50_000
OWN = (DataError, StudyError, TrainingError)


class Hang(BaseException):
    """A reader took more than its time."""


@dataclass
class Findings:
    """What a reader did with its inputs.

    Attributes
    ----------
    counts : Counter
        Of ``accepted``, ``refused`` and ``wrong``.
    wrong : list of str
        The first inputs on which it failed, with what it did.
    slowest : float
        Seconds of the processor for one input.
    """

    counts: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0


def memory_folder() -> str | None:
    """Return a folder in memory, where files are made fast; None for the usual one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise Hang in a block that computes for longer, or only waits, for twenty times as long.

    Time is the processor's, which other work on the machine does not lengthen.
    """

    def ring(*_):
        raise Hang

    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, seconds),
        signal.SIGALRM: (signal.ITIMER_REAL, 20 * seconds),
    }
    before = {number: signal.signal(number, ring) for number in timers}
    try:
        for timer, limit in timers.values():
            signal.setitimer(timer, limit)
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def outcome(reader: Reader, folder: Path, changed: bool, seconds: float) -> tuple[str, str]:
    """Read the files of a folder; return ``accepted``, ``refused`` or ``wrong``, and why."""
    try:
        with at_most(seconds):
            reader.read(folder)
    except OWN as error:
        message = str(error)
        if len(message) > LONGEST_MESSAGE:
            return "wrong", f"a message of {len(message)} characters"
        # a study is named by its keys, as it may be made of several files
        if not isinstance(error, StudyError) and str(folder) not in message:
            return "wrong", f"a message without the file: {message[:200]}"
        return "refused", message
    except Hang:
        return "wrong", f"more than {seconds:g} s"
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {str(error)[:200]}"
    if reader.sealed and changed:
        return "wrong", "accepted in silence"
    return "accepted", ""


def _changed(name: str, before: bytes, after: bytes) -> bool:
    """Tell whether a file means another thing; a list of checksums may have any order."""
    if Path(name).name == CHECKSUMS:
        return sorted(before.split(b"\n")) != sorted(after.split(b"\n"))
    return before != after


def fuzz(reader: Reader, folder: Path, inputs: range, seconds: float = 1.0) -> Findings:
    """Damage the files of a reader in turn, one at a time, one input for each seed."""
    reader.make(folder)
    whole = {name: (folder / name).read_bytes() for name in reader.files}
    beside = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    findings = Findings()
    reader.read(folder)
    for seed in inputs:
        name = reader.files[random.Random(seed).randrange(len(reader.files))]
        content = reader.damage(folder, name, whole[name], seed)
        (folder / name).write_bytes(content)
        start = time.process_time()
        kind, why = outcome(reader, folder, _changed(name, whole[name], content), seconds)
        findings.slowest = max(findings.slowest, time.process_time() - start)
        findings.counts[kind] += 1
        if kind == "wrong" and len(findings.wrong) < 20:
            findings.wrong.append(f"{name}, seed {seed}: {why}")
        for path, before in beside.items():
            if reader.craft or path == folder / name:
                path.write_bytes(before)
    return findings
