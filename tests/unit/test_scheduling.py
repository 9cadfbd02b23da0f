"""Snakemake looks for jobs when a job ends, and not all the time."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
JOBS = 24

SNAKEFILE = f"""
import sys

sys.path.insert(0, {str(ROOT)!r})
from darkknowledge.scheduling import look_when_jobs_end

onstart:
    look_when_jobs_end(workflow)

rule all:
    input: expand("{{number}}.txt", number=range({JOBS}))

rule one:
    output: "{{number}}.txt"
    shell: "sleep 0.3; touch {{output}}"
"""


def looks(folder, *more):
    """Run the jobs one by one; return how often Snakemake looked for some."""
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--verbose", *more]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(list(folder.glob("*.txt"))) == JOBS
    return ran.stderr.count("Ready jobs: ")


def test_snakemake_looks_when_jobs_end(tmp_path):
    assert looks(tmp_path / "ours") <= JOBS + 3
    # a rate that was asked for stays, with its looks in between
    assert looks(tmp_path / "asked", "--max-jobs-per-timespan", "99/1s") > JOBS + 10
