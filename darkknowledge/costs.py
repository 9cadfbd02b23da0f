"""What a study took: time, processor, memory and GPUs of each rule, from Snakemake's benchmarks."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from darkknowledge.files import read_jsonl, write_text
from darkknowledge.live import read_live


def read_costs(folder: str | Path) -> pd.DataFrame:
    """Sum up the benchmarks of a study by rule.

    Parameters
    ----------
    folder : path
        With a file for each job, ``<rule>.jsonl`` or ``<rule>/<job>.jsonl``. Where they were
        written with ``benchmark-extended``, as this project's profile asks, the rule's name and
        the GPUs that the job was given stand in them.

    Returns
    -------
    DataFrame
        One row for each rule, the longest first: ``rule``, ``jobs``, ``seconds`` of all jobs
        together, ``longest`` of one, ``cpu_seconds``, ``memory`` (the largest that a job and its
        children held, in bytes; what they share counts once), and ``gpu_seconds``: GPUs that were
        asked for times seconds, used or not. What was used of what was asked for, as shares:
        ``cpu_share`` of threads times seconds, over all jobs, and the largest ``memory_share`` and
        ``time_share`` of one job, beside ``asked_memory`` in bytes and ``asked_seconds``, the
        most that one asked for. NaN where it was not measured.
    """
    folder = Path(folder)
    rows = []
    for path in sorted(folder.rglob("*.jsonl")):
        for record in read_jsonl(path):
            asked = record.get("resources")
            gpus = math.nan if asked is None else _number(asked.get("gpu", 0))
            seconds, memory = float(record["s"]), 2**20 * _number(record.get("max_pss", "NA"))
            limits = asked or {}
            asked_memory = 1e6 * _number(limits.get("mem_mb", "NA"))
            asked_seconds = 60 * _number(limits.get("runtime", "NA"))
            rows.append(
                {
                    "rule": record.get("rule_name")
                    or path.relative_to(folder).parts[0].removesuffix(".jsonl"),
                    "seconds": seconds,
                    "cpu_seconds": _number(record["cpu_time"]),
                    "thread_seconds": _number(record.get("threads", "NA")) * seconds,
                    "memory": memory,
                    "gpu_seconds": gpus * seconds,
                    "asked_memory": asked_memory,
                    "memory_share": memory / asked_memory,
                    "asked_seconds": asked_seconds,
                    "time_share": seconds / asked_seconds,
                }
            )
    columns = ["rule", "seconds", "cpu_seconds", "thread_seconds", "memory", "gpu_seconds"]
    columns += ["asked_memory", "memory_share", "asked_seconds", "time_share"]
    table = pd.DataFrame(rows, columns=columns).groupby("rule", sort=False)
    largest = ("memory", "asked_memory", "memory_share", "asked_seconds", "time_share")
    costs = table.agg(
        jobs=("seconds", "size"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
        cpu_seconds=("cpu_seconds", lambda values: values.sum(min_count=1)),
        cpu_share=("thread_seconds", lambda values: values.sum(min_count=1)),
        gpu_seconds=("gpu_seconds", lambda values: values.sum(skipna=False)),
        **{name: (name, "max") for name in largest},
    )
    costs["cpu_share"] = costs["cpu_seconds"] / costs["cpu_share"]
    order = ["seconds", "rule"]
    return costs.reset_index().sort_values(order, ascending=[False, True], ignore_index=True)


def write_efficiency(costs: pd.DataFrame, path: str | Path) -> None:
    """Write what was used beside what was asked for, as CSV.

    Parameters
    ----------
    costs : DataFrame
        From `read_costs`.
    path : path
    """
    lines = costs.round({name: 3 for name in costs if name.endswith("_share")})
    write_text(path, lines.to_csv(index=False, float_format="%.10g"))


def training_devices(folder: str | Path) -> dict[str, int]:
    """Count the networks trained on each device, from what trainings write as they go.

    Parameters
    ----------
    folder : path
        Logs of the rule that trains networks.

    Returns
    -------
    dict
        Trainings by device: ``cpu``, or the name of a GPU and the most memory that one reserved.
    """
    devices: dict[str, list[float]] = {}
    for path in sorted(Path(folder).glob("*.jsonl")):
        rows = [row for row in read_live(path) if "device" in row]
        if rows:
            devices.setdefault(rows[-1]["device"], []).append(rows[-1].get("gpu_memory", 0))
    return {
        f"{name} (at most {max(memory) / 1e9:.1f} GB of its memory)" if max(memory) else name: len(
            memory
        )
        for name, memory in devices.items()
    }


def _number(value: Any) -> float:
    """Return a number of a benchmark; NaN for the NA of a job that was too short to be measured."""
    return math.nan if value == "NA" else float(value)
