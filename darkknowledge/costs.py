"""What a study took: time, processor, memory and GPUs of each rule, from Snakemake's benchmarks."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from darkknowledge.files import read_jsonl
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
        together, ``longest`` of one, ``cpu_seconds``, ``memory`` (the largest resident size in
        bytes), and ``gpu_seconds``: GPUs that were asked for times seconds, used or not. NaN where
        it was not measured.
    """
    folder = Path(folder)
    rows = []
    for path in sorted(folder.rglob("*.jsonl")):
        for record in read_jsonl(path):
            gpus = _number(record["resources"].get("gpu", 0)) if "resources" in record else math.nan
            rows.append(
                {
                    "rule": record.get("rule_name")
                    or path.relative_to(folder).parts[0].removesuffix(".jsonl"),
                    "seconds": float(record["s"]),
                    "cpu_seconds": _number(record["cpu_time"]),
                    "memory": 2**20 * _number(record["max_rss"]),
                    "gpu_seconds": gpus * float(record["s"]),
                }
            )
    table = pd.DataFrame(
        rows, columns=["rule", "seconds", "cpu_seconds", "memory", "gpu_seconds"]
    ).groupby("rule", sort=False)
    costs = table.agg(
        jobs=("seconds", "size"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
        cpu_seconds=("cpu_seconds", lambda values: values.sum(min_count=1)),
        memory=("memory", "max"),
        gpu_seconds=("gpu_seconds", lambda values: values.sum(skipna=False)),
    )
    order = ["seconds", "rule"]
    return costs.reset_index().sort_values(order, ascending=[False, True], ignore_index=True)


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
