"""Where a number comes from: command, software and state of the repository of each job."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "torch", "torchaudio", "kaldifst", "kaldi_decoder", "kaldiio", "espeakng-loader", "numpy",
    "pandas", "matplotlib", "snakemake",
)  # fmt: skip
COMMAND = "DARKKNOWLEDGE_COMMAND"
"""Environment variable in which the workflow tells its jobs how it was called."""


def provenance() -> dict[str, Any]:
    """Describe the job that runs now.

    Returns
    -------
    dict
        ``command`` that started the workflow, ``date`` (UTC), ``host``, ``versions`` by package,
        ``python``, ``platform`` and ``git``: the commit, with ``-dirty`` where files differ from
        it; "no repository" outside one.
    """
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
        ).stdout.strip()
    except FileNotFoundError:
        git = ""
    return {
        "command": os.environ.get(COMMAND, "not recorded"),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "git": git or "no repository",
        "host": platform.node(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def job_provenance(log: str | Path) -> dict[str, Any] | None:
    """Read what a job's log begins with; None where it was written before logs told that."""
    try:
        with open(log, encoding="utf-8") as file:
            record = json.loads(file.readline())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return record if isinstance(record, dict) and "git" in record else None
