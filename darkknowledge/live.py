"""What a training in progress has reached, in a file that can be read at any time."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkknowledge.files import write_jsonl


class LiveMetrics:
    """The epochs of a training with their times, a JSON object per line.

    The file is replaced whole after every epoch and now and then within one. The metrics that are
    a result stand in ``metrics.jsonl`` at the end, without times: the same bytes each time.

    Parameters
    ----------
    path : path or None
        None writes nothing.
    run : str
    seed : int
    """

    def __init__(self, path: str | Path | None, run: str, seed: int):
        self.path = None if path is None else Path(path)
        self.common = {"run": run, "seed": seed}
        self.rows: list[dict[str, Any]] = []

    def go_on(self, epochs: int) -> None:
        """Keep the first epochs of an interrupted training, and none of another."""
        self.rows = [
            row for row in read_live(self.path) if row["epoch"] <= epochs and row["share"] == 1
        ]

    def within(self, phase: str, epoch: int, left: float, share: float, **more: Any) -> None:
        """Tell how far an epoch is.

        Parameters
        ----------
        phase : str
        epoch : int
            Counted over all phases.
        left : float
            Epochs still to come at most, this one included.
        share : float
            Of this epoch's frames.
        **more
            Such as ``train_loss`` and ``frames_per_second``.
        """
        self._write({"phase": phase, "epoch": epoch, "left": left - share, "share": share, **more})

    def epoch(self, row: Mapping[str, Any], left: int, seconds: float, **more: Any) -> None:
        """Add an epoch that has ended: its row of the metrics, and the seconds it took."""
        self._write({**row, "left": left, "share": 1, "seconds": seconds, **more}, keep=True)

    def diverged(self, problem: str) -> None:
        """Tell that the training ended without a network, and why."""
        last = self.rows[-1] if self.rows else {"phase": "", "epoch": 0, "left": 0, "share": 0}
        self._write({**last, "problem": problem})

    def _write(self, row: Mapping[str, Any], keep: bool = False) -> None:
        if self.path is None:
            return
        row = {**self.common, **row, "time": time.time()}
        write_jsonl(self.path, [*self.rows, row])
        if keep:
            self.rows.append(row)


def read_live(path: str | Path | None) -> list[dict[str, Any]]:
    """Read the rows of a training; a line that is not whole is left out, as is an absent file."""
    rows = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines() if path is not None else []
    except (OSError, UnicodeDecodeError):
        lines = []
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and {"run", "seed", "epoch", "left", "share", "time"} <= set(row):
            rows.append(row)
    return rows
