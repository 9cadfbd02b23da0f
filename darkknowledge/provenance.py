"""Where a number comes from: versions of the software and the state of the repository."""

import platform
import subprocess
from importlib import metadata

PACKAGES = (
    "torch", "torchaudio", "kaldifst", "kaldi_decoder", "kaldiio", "espeakng-loader", "numpy",
    "pandas", "matplotlib", "snakemake",
)  # fmt: skip


def provenance() -> dict:
    """Describe the software behind a result; no times, so that the same code gives the same.

    Returns
    -------
    dict
        ``versions`` by package, ``python``, ``platform`` and ``git``: the commit, with
        ``-dirty`` where files differ from it; "no repository" outside one.
    """
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True
    )
    return {
        "git": git.stdout.strip() or "no repository",
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }
