"""A tiny study killed at many moments of its life: does it end with the same bytes?

    python benchmarks/kill_points.py [KILLS] [SEED]

The study is run once without a disturbance; then again and again, killed with all its jobs
(SIGKILL) at random moments and started anew, until it ends. Every kill is thus followed by a
whole study, which is compared, byte for byte, with the undisturbed one.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.workflow.project import Project

LIFE = (5.0, 25.0)  # seconds until a kill


def live(project: Project, moments: random.Random, most: int) -> list[float]:
    """Run a study that is killed at most so many times; return the seconds until each kill."""
    kills: list[float] = []
    while len(kills) < most:
        process = subprocess.Popen(
            project.command("--quiet", "all"),
            cwd=project.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        seconds = moments.uniform(*LIFE)
        try:
            process.wait(timeout=seconds)
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills.append(seconds)
    project.run()
    return kills


def main(kills: int, seed: int) -> int:
    """Print a line for each life; return how many ended otherwise."""
    moments, done, lives, bad = random.Random(seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = Project(Path(folder) / "undisturbed")
        began = time.monotonic()
        undisturbed.run()
        expected = undisturbed.checksums()
        print(f"undisturbed: {time.monotonic() - began:.0f} s, {len(expected)} files", flush=True)
        while done < kills:
            lives += 1
            began = time.monotonic()
            project = Project(Path(folder) / f"life{lives}")
            points = live(project, moments, kills - done)
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
