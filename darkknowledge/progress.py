"""Progress lines: to the rule's log and to the terminal."""

import json
import logging
import sys
import time
from pathlib import Path

from darkknowledge.provenance import provenance

logger = logging.getLogger("darkknowledge")


def start_logging(path: str | Path) -> None:
    """Send log lines to a file and to standard error, uncaught exceptions to the file too.

    The first line of the file is `darkknowledge.provenance.provenance` as JSON: where what the
    job makes comes from.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(provenance(), sort_keys=True) + "\n", encoding="utf-8")
    file = logging.FileHandler(path, mode="a", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [file, terminal]
    logger.setLevel(logging.INFO)
    logger.propagate = False

    def report(kind, error, trace):
        logger.removeHandler(terminal)
        logger.error("failed", exc_info=(kind, error, trace))
        print(f"{kind.__name__}: {error}", file=sys.stderr)

    sys.excepthook = report


class Stopwatch:
    """Speed and time left of a job whose size is known."""

    def __init__(self, total: float):
        self.total = total
        self.done = 0.0
        self.start = time.perf_counter()

    def advance(self, amount: float) -> str:
        """Count work done; return the time left in words."""
        self.done += amount
        elapsed = time.perf_counter() - self.start
        left = elapsed * max(self.total - self.done, 0) / max(self.done, 1e-9)
        return f"{int(left // 60)}:{int(left % 60):02d} left"


def clock(seconds: float) -> str:
    """Write a duration as ``h:mm:ss``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
