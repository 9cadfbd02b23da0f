"""What a job uses of the memory that it asked for, told while it can still be told.

A job that is killed for its memory writes nothing in the end; its log then holds the last word.
"""

import ctypes
import os
import threading
import time
from collections.abc import Sequence

import psutil

from darkknowledge.progress import logger

TOLD_FROM, STEP = 0.6, 0.1
# Shares of what was asked for. What was freed is returned where it has grown by the first since,
# and always from the second on.
GROWTH, NEAR = 0.05, 0.9


def job_processes(job: psutil.Process | None = None) -> list[psutil.Process]:
    """Return a process, its children and, in a Slurm job, the Snakemake that started it."""
    job = job or psutil.Process()
    processes = [job, *job.children(recursive=True)]
    if "SLURM_JOB_ID" in os.environ:
        processes += [parent for parent in job.parents() if "snakemake" in _command(parent)]
    return processes


def used_megabytes(processes: Sequence[psutil.Process], shared: bool = True) -> float:
    """Return the memory that processes hold.

    Parameters
    ----------
    processes : sequence of psutil.Process
        Those that have ended hold none.
    shared : bool
        Count a page that processes share once, by parts (PSS), which takes long to find out; else
        once for each of them.

    Returns
    -------
    float
        Megabytes.
    """
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss if shared else process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            continue
    return total / 2**20


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


def return_freed_pages() -> None:
    """Return to the system what this process has freed, with glibc (elsewhere nothing is done).

    Minibatches of whole utterances are all of different sizes, and what one has freed seldom fits
    the next: without this, a training of a bidirectional network grew for as long as it ran.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def watch_memory(rule: str, asked: float, pause: float = 2.0) -> threading.Thread:
    """Log what this process and its children use, from six tenths of what was asked for onwards.

    What was freed is returned to the system first, but not again while it only comes back to where
    it was: minibatches that need it all the time took a tenth longer.

    Parameters
    ----------
    rule : str
        Name in log lines.
    asked : float
        Megabytes.
    pause : float
        Seconds between two looks.

    Returns
    -------
    threading.Thread
        Started; it ends with the process.
    """

    def watch():
        told, known = TOLD_FROM - STEP, 0.0
        while True:
            processes = job_processes()
            held = used_megabytes(processes, shared=False) / asked
            if held >= max(told + STEP, known):
                return_freed_pages()
                used = used_megabytes(processes)
                if used >= (told + STEP) * asked:
                    told = used / asked
                    logger.info("memory of %s: %.0f of the %.0f MB asked for", rule, used, asked)
                else:
                    known = min(held + GROWTH, NEAR)
            time.sleep(pause)

    thread = threading.Thread(target=watch, name="memory", daemon=True)
    thread.start()
    return thread
