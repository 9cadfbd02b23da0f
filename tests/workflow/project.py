"""A copy of the project in which a study is run."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = [
    "Snakefile",
    "config.yaml",
    "rules",
    "report",
    "scripts",
    "darkknowledge",
    "envs",
    "profiles",
    "slurm",
]
TINY = str(ROOT / "tests" / "workflow" / "tiny.yaml")
# Times and speeds differ from run to run, and the report tells them; everything else must not.
TIMED = ("logs", "benchmarks", "report.html", "efficiency.csv")


class Project:
    """A working copy of the workflow."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / part)

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny"

    def command(self, *arguments: str, config: str | None = TINY) -> list[str]:
        layered = ["--configfile", config] if config else []
        return [sys.executable, "-m", "snakemake", "--cores", "2", *layered, *arguments]

    def run(self, *arguments: str, config: str | None = TINY, check: bool = True):
        return self.call(self.command(*arguments, config=config), check)

    def call(self, command: list[str], check: bool = True, timeout: float | None = None):
        """Run a command in the folder; a failure fails the test, if checked."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(done.args)}\n{done.stdout[-6000:]}")
        return done

    def take_results(self, other: "Project") -> None:
        """Copy what another project has made so far, and what Snakemake noted of it."""
        for name in ("results", ".snakemake"):
            if (other.folder / name).exists():
                shutil.copytree(other.folder / name, self.folder / name, symlinks=True)

    def planned(self, *arguments: str, config: str | None = TINY) -> set[str]:
        """Name the jobs of a dry run, as rule or rule:run."""
        full = self.run("-n", *arguments, config=config).stdout
        jobs, rule = set(), None
        for line in full.splitlines():
            if line.startswith(("rule ", "localrule ")):
                rule = line.split()[1].rstrip(":")
                jobs.add(rule)
            elif line.strip().startswith("wildcards:") and rule:
                jobs.discard(rule)
                values = [pair.split("=")[1] for pair in line.split(":", 1)[1].split(",")]
                jobs.add(":".join([rule, *(value.strip() for value in values)]))
        return jobs

    def checksums(self) -> dict[str, str]:
        """Hash every result that must not depend on time."""
        sums = {}
        for file in sorted(self.results.rglob("*")):
            relative = file.relative_to(self.results)
            if file.is_file() and relative.parts[0] not in TIMED:
                if not file.name.startswith("."):
                    sums[str(relative)] = hashlib.sha256(file.read_bytes()).hexdigest()
        return sums
