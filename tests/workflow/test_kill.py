"""Killed at any moment and started again, a study ends with the same bytes."""

import os
import random
import signal
import subprocess
import time

from tests.workflow.project import Project


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
