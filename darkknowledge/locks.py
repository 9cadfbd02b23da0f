"""Locks that die with their process: one Snakemake to a study, one process to a job.

Snakemake's own lock is a file, which outlives a kill, and is one per working folder.
"""

import fcntl
import os
import socket
from pathlib import Path
from typing import IO

from darkknowledge.errors import DataError

# an open file holds its lock until the process ends, however it ends
_HELD: list[IO] = []


def remove_stale_locks(folder: Path) -> IO:
    """Remove Snakemake's lock files if no other process of this folder is alive.

    Each main process also holds a shared ``flock``: whoever gets it exclusively is alone, and
    what locks are left are stale.

    Parameters
    ----------
    folder : Path
        The folder ``.snakemake``.

    Returns
    -------
    file
        The open file that holds the shared lock; keep it while the process lives.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / "alive", "w")  # noqa: SIM115 - held open on purpose
    if _lock(file):
        for lock in (folder / "locks").glob("*"):
            lock.unlink(missing_ok=True)
    _lock(file, fcntl.LOCK_SH)
    return file


def claim_results(folder: Path) -> None:
    """Hold a folder of results while this process lives.

    Two clones may share one by a link.

    Raises
    ------
    DataError
        If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".running"
    file = open(path, "a+")  # noqa: SIM115 - held open on purpose
    if not hold(file):
        file.seek(0)
        holder = file.read().strip() or "an unknown process"
        file.close()
        raise DataError(
            f"{folder}: another Snakemake makes these results, {holder}; wait for it, or give this "
            "study another name"
        )
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()


def claim_job(log: Path) -> bool:
    """Hold a job by its log file while this process lives.

    Returns
    -------
    bool
        False if it had to wait: a killed Snakemake left the same job running.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    file = open(log, "a")  # noqa: SIM115 - held open on purpose
    if hold(file):
        return True
    fcntl.flock(file, fcntl.LOCK_EX)
    _HELD.append(file)
    return False


def hold(file: IO) -> bool:
    """Lock an open file while this process lives; tell whether no other process holds it."""
    alone = _lock(file)
    if alone:
        _HELD.append(file)
    return alone


def _lock(file: IO, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
