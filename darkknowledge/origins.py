"""Which jobs are behind the numbers of a table: when, on what machine, from what code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from darkknowledge.provenance import job_provenance


def origins(
    systems: Sequence[Mapping[str, Any]], logs: str | Path
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Say of each system's numbers which jobs made them.

    Parameters
    ----------
    systems : sequence of mapping
        ``model`` (its label), ``seed`` (None for a GMM stage), and the logs of the jobs behind
        its numbers, below ``logs``: ``jobs``, by what they did, such as ``trained``.
    logs : path
        Folder of the study's logs.

    Returns
    -------
    table : DataFrame
        A row for each system: ``Model``, ``Seed``, for each kind of job its date and commit, and
        in ``Where`` the numbers of its surroundings, from 1.
    surroundings : list of dict
        Commands, hosts and versions, each once.
    """
    surroundings: list[dict[str, Any]] = []
    rows = []
    for system in systems:
        seed = system["seed"]
        row = {"Model": system["model"], "Seed": "–" if seed is None else str(seed)}
        places = []
        for done, log in system["jobs"].items():
            record = job_provenance(Path(logs) / log)
            if record is None:
                row[done.capitalize()] = "not recorded"
                continue
            row[done.capitalize()] = f"{record.pop('date')}, {record.pop('git')}"
            if record not in surroundings:
                surroundings.append(record)
            places.append(surroundings.index(record) + 1)
        row["Where"] = ", ".join(map(str, dict.fromkeys(places)))
        rows.append(row)
    return pd.DataFrame(rows).fillna("–"), surroundings
