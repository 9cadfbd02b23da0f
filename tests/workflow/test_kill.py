"""Killed at any moment and started again, a study ends with the same bytes."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.workflow.project import Project

KILLER = Path(__file__).parent / "killer.py"


def test_killed_again_and_again_ends_in_the_same_bytes(finished, tmp_path):
    project = Project(tmp_path / "killed")
    moments = random.Random(1)
    kills = 0
    while kills < 6:
        process = subprocess.Popen(
            project.command(),
            cwd=project.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(timeout=moments.uniform(8, 25))
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            time.sleep(0.5)
    assert kills, "the study ended before it could be killed"
    project.run()
    undisturbed, disturbed = finished.checksums(), project.checksums()
    assert undisturbed.keys() == disturbed.keys()
    different = [name for name in undisturbed if undisturbed[name] != disturbed[name]]
    assert different == []


@pytest.mark.parametrize(
    ("point", "removed", "target"),
    [
        ("darkknowledge.corpora.synthetic:finish:9", "data/dev", "data/dev/wav.scp"),
        ("darkknowledge.features:_read:20", "features/dev", "features/dev/fbank.scp"),
        ("darkknowledge.hmm.tying:gaussian_objective:90", "hmm/tri1", "hmm/tri1/model.npz"),
        ("torch.nn.utils:clip_grad_norm_:700", "networks/rnn-0", "networks/rnn-0/seed1/model.pt"),
        ("write:*.checkpoint:3", "networks/rnn-0", "networks/rnn-0/seed1/model.pt"),
        ("write:*/T2.soft:1", "soft_targets/dnn", "soft_targets/dnn/seed1/T2.soft"),
        ("write:*/fbank.ark:1", "features/dev", "features/dev/fbank.scp"),
    ],
    ids=["corpus", "features", "tree", "epoch", "checkpoint", "cache", "archive"],
)
def test_killed_in_the_middle_and_started_again(finished, tmp_path, point, removed, target):
    project = Project(tmp_path / "project")
    project.take_results(finished)
    shutil.rmtree(project.results / removed)
    (tmp_path / "killer").mkdir()
    shutil.copy(KILLER, tmp_path / "killer" / "sitecustomize.py")
    path = os.pathsep.join([str(tmp_path / "killer"), os.environ.get("PYTHONPATH", "")])
    command = project.command("--rerun-triggers", "mtime", "--", f"results/tiny/{target}")
    killed = subprocess.run(
        command,
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": path, "KILL_AT": point},
        capture_output=True,
        start_new_session=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stdout.decode()[-3000:]
    assert not (project.results / target).exists()
    project.call(command)
    before, after = finished.checksums(), project.checksums()
    made = [name for name in after if name.startswith(removed)]
    assert target in made and [name for name in made if before[name] != after[name]] == []
    assert not [path for path in (project.results / removed).rglob(".*.tmp")]
    if removed == "networks/rnn-0":
        log = (project.results / "logs" / "train_network" / "rnn-0.seed1.log").read_text()
        # the third epoch was not yet, or not wholly, in a checkpoint
        assert re.findall(r"goes on after epoch (\d+)", log) == ["2"]
        assert "epoch 3/" in log and "epoch 2/" not in log


def test_two_at_once_on_one_folder_of_results(finished, tmp_path):
    first, second = Project(tmp_path / "first"), Project(tmp_path / "second")
    first.take_results(finished)
    shutil.rmtree(first.results / "networks" / "rnn-0")
    log = first.results / "logs" / "train_network" / "rnn-0.seed1.log"
    log.unlink()
    (second.folder / "results").symlink_to(first.folder / "results")
    target = "results/tiny/networks/rnn-0/seed1/model.pt"
    command = first.command("--rerun-triggers", "mtime", "--", target)

    def start(project):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=project.folder, **pipes)

    running = start(first)
    while not log.exists() and running.poll() is None:
        time.sleep(0.1)
    again, elsewhere = start(first), start(second)
    said = [process.communicate()[0] for process in (again, elsewhere, running)]
    assert running.returncode == 0, said[2]
    assert again.returncode and "cannot be locked" in said[0]
    assert elsewhere.returncode and f"process {running.pid} on" in said[1]
    made = "networks/rnn-0/seed1/model.pt"
    assert first.checksums()[made] == finished.checksums()[made]
