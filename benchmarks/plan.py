"""How long planning takes: `snakemake -n` of a study of many runs.

python benchmarks/plan.py [RUNS]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def main(runs: int) -> None:
    """Print the seconds."""
    learner = {"network": "lstm", "targets": "reg", "teacher": "dnn", "temperature": 2}
    names = {f"run{number}": learner for number in range(runs)}
    study = {"name": "many", "runs": names, "tables": {"table1": {"runs": list(names)}}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.yaml"
        path.write_text(yaml.safe_dump(study))
        command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--configfile"]
        began = time.monotonic()
        subprocess.run([*command, path], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        print(f"{runs} runs planned in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["1000"]))
