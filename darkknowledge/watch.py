"""Watch a running study in a terminal, from what its trainings write as they go.

``python -m darkknowledge.watch config.yaml studies/mine.yaml`` shows every network of the study;
``python -m darkknowledge.watch results/mine`` those that have begun. It reads files alone, so it
works on any machine that sees them.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from darkknowledge.errors import DataError
from darkknowledge.files import read_jsonl
from darkknowledge.live import read_live
from darkknowledge.overlays import read_studies
from darkknowledge.progress import clock
from darkknowledge.study import Study, StudyError, load_study

REFRESH = 5  # seconds
SILENT = 300  # seconds without news, and three epochs, until a training counts as stopped
HEADS = ("run", "seed", "phase", "epoch", "loss", "CV loss", "CV FA %", "frames/s", "time left")
CLEAR = "\x1b[H\x1b[2J"


def read_trainings(
    folder: str | Path, planned: Sequence[tuple[str, int]] = ()
) -> list[tuple[str, int, list[dict[str, Any]]]]:
    """Read how far the networks of a study are.

    Parameters
    ----------
    folder : path
        Of the study's results.
    planned : sequence of (run, seed)
        Networks of the study, in the order in which they are shown; those that are not among them
        are left out. Where it is empty, all that have begun, by name.

    Returns
    -------
    list of (run, seed, rows)
        Rows as from `darkknowledge.live.read_live`, none where a training has not begun.
    """
    logs = Path(folder) / "logs" / "train_network"
    if not planned:
        found = (read_live(path) for path in sorted(logs.glob("*.jsonl")))
        return [(rows[-1]["run"], rows[-1]["seed"], rows) for rows in found if rows]
    trainings = []
    for run, seed in planned:
        rows = read_live(logs / f"{run}.seed{seed}.jsonl")
        metrics = Path(folder) / "networks" / run / f"seed{seed}" / "metrics.jsonl"
        if not rows and metrics.is_file():  # trained before times were kept
            rows = [{**row, "left": 0, "share": 1, "time": 0} for row in read_jsonl(metrics)]
        trainings.append((run, seed, rows))
    return trainings


def seconds_left(rows: Sequence[dict[str, Any]], now: float) -> float | None:
    """Return how long a training lasts at most; None while its first epoch tells nothing.

    The epochs that the options allow times the mean of the last three; the schedule may end
    earlier, and a second phase may be slower or faster.
    """
    last = rows[-1]
    took = [row["seconds"] for row in rows if row["share"] == 1 and "seconds" in row][-3:]
    if took:
        left = last["left"] * sum(took) / len(took)
        return max(left - (now - last["time"]), 0) if last["left"] else 0
    return None


def state_of(rows: Sequence[dict[str, Any]], now: float) -> str:
    """Say what a training does: ``waiting``, ``training``, ``done``, ``diverged``, ``stopped?``."""
    if not rows:
        return "waiting"
    last = rows[-1]
    if "problem" in last:
        return "diverged"
    if not last["left"]:
        return "done"
    epoch = max((row.get("seconds", 0) for row in rows), default=0)
    return "training" if now - last["time"] < max(SILENT, 3 * epoch) else "stopped?"


def describe(
    title: str, trainings: Sequence[tuple[str, int, list[dict[str, Any]]]], now: float
) -> str:
    """Write the state of all trainings as a table for a terminal.

    Parameters
    ----------
    title : str
    trainings : sequence of (run, seed, rows)
        From `read_trainings`.
    now : float
        Seconds since 1970.

    Returns
    -------
    str
    """
    if not trainings:
        return (
            f"{title}: no training has begun; features, alignments and graphs come first "
            "(snakemake's own output tells how far they are)\n"
        )
    lines, states = [], []
    for run, seed, rows in trainings:
        states.append(state_of(rows, now))
        lines.append([run, str(seed), *_cells(rows, states[-1], now)])
    table = [HEADS, *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEADS))]
    texts = (0, 2)

    def line(cells: Sequence[str]) -> str:
        parts = (
            f"{cell:{'<' if i in texts else '>'}{width}}"
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(parts).rstrip()

    counts = ", ".join(
        f"{states.count(state)} {state}"
        for state in ("done", "training", "waiting", "diverged", "stopped?")
        if state in states
    )
    problems = [
        f"{run} seed {seed}: {rows[-1]['problem']}"
        for run, seed, rows in trainings
        if rows and "problem" in rows[-1]
    ]
    when = time.strftime("%H:%M:%S", time.localtime(now))
    shown = [f"{title}  {when}  {len(trainings)} networks: {counts}", "", *map(line, table), ""]
    if "training" in states:
        shown.append("Time left: at most, if a training uses all of its epochs; many end earlier.")
    if "stopped?" in states:
        shown.append("stopped?: no news for long; say snakemake again, and it goes on from there.")
    return "\n".join([*shown, *problems]) + "\n"


def _cells(rows: Sequence[dict[str, Any]], state: str, now: float) -> list[str]:
    if not rows:
        return ["waiting", *[""] * (len(HEADS) - 3)]
    last = rows[-1]
    ended = [row for row in rows if row["share"] == 1]
    measured = ended[-1] if ended else {}
    epoch, most = last["epoch"], round(last["epoch"] - 1 + last["share"] + last["left"])
    text = f"{epoch}/{max(most, epoch)}" if last["left"] else f"{epoch}"
    if last["share"] not in (0, 1):
        text = f"{text} {100 * last['share']:.0f} %"
    loss = last.get("train_loss", measured.get("train_loss"))
    speed = last.get("frames_per_second", measured.get("frames_per_second"))
    left = seconds_left(rows, now)
    return [
        str(last["phase"]),
        text,
        *(
            "" if value is None else f"{value:{form}}"
            for value, form in (
                (loss, ".3f"),
                (measured.get("cv_loss"), ".3f"),
                (measured.get("cv_fa"), ".1f"),
                (speed, ",.0f"),
            )
        ),
        ("" if left is None else clock(left)) if state == "training" else state,
    ]


def planned_networks(study: Study) -> list[tuple[str, int]]:
    """List the networks that a study trains, run and seed."""
    return [(run, seed) for run in study.trained_runs for seed in study.seeds]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and show the study until all is trained."""
    parser = argparse.ArgumentParser(
        prog="python -m darkknowledge.watch", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "study",
        nargs="*",
        default=["config.yaml"],
        help="folder of results, or the study's files, as for --configfile; config.yaml if absent",
    )
    parser.add_argument("--once", action="store_true", help="print once and end")
    options = parser.parse_args(arguments)
    planned: list[tuple[str, int]] = []
    if len(options.study) == 1 and Path(options.study[0]).is_dir():
        folder = Path(options.study[0])
    else:
        try:
            study = load_study(read_studies(options.study))
        except (DataError, StudyError) as error:
            sys.exit(f"{error}, or name a folder results/<study>")
        folder, planned = Path("results") / study.name, planned_networks(study)
    while True:
        now = time.time()
        trainings = read_trainings(folder, planned)
        text = describe(str(folder), trainings, now)
        if options.once or not sys.stdout.isatty():
            sys.stdout.write(text)
            return
        sys.stdout.write(CLEAR + text)
        sys.stdout.flush()
        if trainings and all(state_of(rows, now) == "done" for _, _, rows in trainings):
            return
        time.sleep(REFRESH)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit()
