"""Stop a small study at random moments of its life; every rest of it must end with the same bytes.

    python benchmarks/kill_points.py [KILLS] [SEED]

The study is run once without a disturbance. A second life of it is halted, with all its jobs
(SIGSTOP), once in each of KILLS equal parts of that time, and its folder copied: what a kill
(SIGKILL) would leave at that moment. What a shorter life did not reach is left to another one. Each
copy is then run to its end by the same command, and compared, byte for byte, with the undisturbed
study. It is the tests' study with less to do.
"""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.workflow.project import TINY, Project

TABLE = "results/tiny/tables/table1.csv"


def smaller(path: Path) -> str:
    """Write the study."""
    study = yaml.safe_load(Path(TINY).read_text())
    study["corpora"]["tiny"] |= {"train_minutes": 2, "test_utterances": 1, "lm_sentences": 300}
    study["decoding"] = {"acoustic_scales": [0.1], "prior_scales": [1], "beams": [7]}
    study["hmm"]["alignment"] = {"allowed_failures": 0.2}
    study["networks"]["dnn"]["training"]["epochs"] = 3
    study["networks"]["lstm"]["training"] |= {"epochs": 3, "finetune_epochs": 2}
    study["tables"]["table1"]["runs"] = ["dnn", "rnn-t2-pretrain"]
    path.write_text(yaml.safe_dump(study))
    return str(path)


def halt(
    project: Project, study: str, moments: list[float], folder: Path
) -> list[tuple[Project, float]]:
    """Run a study; copy it at some moments, in seconds, of the time in which it is not halted."""
    life = subprocess.Popen(
        project.command("--quiet", "all", "--", TABLE, config=study),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    copies = []
    halted, began = 0.0, time.monotonic()
    for moment in moments:
        try:
            life.wait(timeout=max(0.0, moment + halted + began - time.monotonic()))
            break
        except subprocess.TimeoutExpired:
            stopped = time.monotonic()
            os.killpg(life.pid, signal.SIGSTOP)
            copies.append((Project(folder / f"{moment:.6f}"), moment))
            copies[-1][0].take_results(project)
            os.killpg(life.pid, signal.SIGCONT)
            halted += time.monotonic() - stopped
    life.wait()
    return copies


def main(kills: int, seed: int) -> int:
    """Print a line for each end; return how many were others."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        undisturbed, study = Project(folder / "undisturbed"), smaller(folder / "study.yaml")
        began = time.monotonic()
        undisturbed.run("--", TABLE, config=study)
        whole = time.monotonic() - began
        expected = undisturbed.checksums()
        print(f"undisturbed: {whole:.0f} s, {len(expected)} files", flush=True)

        draw = random.Random(seed)
        copies: list[tuple[Project, float]] = []
        for number in itertools.count(1):
            if len(copies) == kills:
                break
            lacking = kills - len(copies)
            moments = [(part + draw.random()) * whole / lacking for part in range(lacking)]
            life = Project(folder / f"life{number}")
            copies += halt(life, study, moments, folder / f"halted{number}")

        def end(halted: tuple[Project, float]) -> bool:
            copy, moment = halted
            began, before = time.monotonic(), len(copy.checksums())
            copy.run("--cores", "1", "--", TABLE, config=study, check=False)
            found = copy.checksums()
            other = {n for n in expected.keys() | found if expected.get(n) != found.get(n)}
            told = f"{len(other)} files differ: {sorted(other)[:5]}" if other else "the same bytes"
            took = time.monotonic() - began
            print(f"{moment:.1f} s, {before} files; {took:.0f} s more: {told}", flush=True)
            shutil.rmtree(copy.folder)
            return not other

        with ThreadPoolExecutor(2) as pool:
            same = sum(pool.map(end, copies))
    print(f"{len(copies)} kill points, {same} ends the same")
    return kills - same


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(min(1, main(*[*given, *(100, 1)[len(given) :]])))
