"""A tiny study killed at many moments of its life: does it end with the same bytes?

    python benchmarks/kill_points.py [KILLS] [SEED]

The study is run once without a disturbance; then again and again, killed with all its jobs
(SIGKILL) at random moments and started anew, until it ends. Each life ends as a whole study, which
is compared, byte for byte, with the undisturbed one. It is the tests' study with less to search,
which has every kind of file and few long jobs.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.workflow.project import TINY, Project

SHORTEST = 3.0  # seconds until a kill
SHARE = 5  # the longest are this part of an undisturbed life


def smaller(path: Path) -> str:
    """Write the study."""
    study = yaml.safe_load(Path(TINY).read_text())
    study["decoding"] |= {"lattice_beam": None, "acoustic_scales": [0.1]}
    path.write_text(yaml.safe_dump(study))
    return str(path)


def live(
    project: Project, study: str, moments: random.Random, longest: float, most: int
) -> list[float]:
    """Run a study that is killed at most so many times; return the seconds until each kill."""
    kills: list[float] = []
    while len(kills) < most:
        process = subprocess.Popen(
            project.command("--quiet", "all", config=study),
            cwd=project.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        seconds = moments.uniform(SHORTEST, longest)
        try:
            process.wait(timeout=seconds)
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills.append(seconds)
    project.run(config=study)
    return kills


def main(kills: int, seed: int) -> int:
    """Print a line for each life; return how many ended otherwise."""
    moments, done, lives, bad = random.Random(seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, study = Project(Path(folder) / "undisturbed"), smaller(Path(folder) / "s.yaml")
        began = time.monotonic()
        undisturbed.run(config=study)
        whole = time.monotonic() - began
        expected = undisturbed.checksums()
        print(f"undisturbed: {whole:.0f} s, {len(expected)} files", flush=True)
        while done < kills:
            lives += 1
            began = time.monotonic()
            project = Project(Path(folder) / f"life{lives}")
            points = live(project, study, moments, whole / SHARE, kills - done)
            found = project.checksums()
            other = [
                name for name in expected.keys() | found if expected.get(name) != found.get(name)
            ]
            bad += bool(other)
            done += len(points)
            end = f"{len(other)} files differ: {sorted(other)[:5]}" if other else "the same bytes"
            print(
                f"life {lives}: {len(points)} kills, {time.monotonic() - began:.0f} s, {end}",
                flush=True,
            )
    print(f"{done} kills in {lives} lives, {bad} of which ended otherwise")
    return bad


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(min(1, main(*[*given, *(100, 1)[len(given) :]])))
