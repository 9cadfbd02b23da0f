"""Locks of a Snakemake that was killed, told from those of one that runs.

Snakemake's own lock is a file, which outlives a kill. Each main process here also holds a shared
``flock``, which dies with its process: whoever gets it exclusively is alone, and what locks are
left are stale.
"""

import fcntl
from pathlib import Path
from typing import IO


def remove_stale_locks(folder: Path) -> IO:
    """Remove Snakemake's lock files if no other process of this folder is alive.

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
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for lock in (folder / "locks").glob("*"):
            lock.unlink(missing_ok=True)
    except OSError:
        pass
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        pass
    return file
