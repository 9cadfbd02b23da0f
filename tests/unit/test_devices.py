"""A job has a GPU of its own, or none."""

import select
import subprocess
import sys

import pytest
import torch

from darkknowledge import devices
from darkknowledge.devices import asks_for_gpu, take_device, visible_devices

HOLD = """
import sys, time
from pathlib import Path
from darkknowledge.devices import lease
print(lease(["a", "b"], Path(sys.argv[1]), 0.05), flush=True)
time.sleep(60)
"""


def holder(folder) -> subprocess.Popen:
    command = [sys.executable, "-c", HOLD, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_jobs_never_hold_the_same_device_and_a_killed_one_frees_it(tmp_path):
    first, second = holder(tmp_path), holder(tmp_path)
    third = None
    try:
        held = {first: first.stdout.readline().strip(), second: second.stdout.readline().strip()}
        assert sorted(held.values()) == ["0", "1"]
        third = holder(tmp_path)
        assert not select.select([third.stdout], [], [], 4)[0]
        second.kill()
        assert third.stdout.readline().strip() == held[second]
    finally:
        for process in filter(None, (first, second, third)):
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        ({"gpu": 1}, True),
        ({"gpu": 0, "gres": "gpu:a100:1"}, True),
        ({"gpu": 0}, False),
        ({"gpu": 0, "gres": ""}, False),
        ({"mem_mb": 100}, False),
    ],
)
def test_a_gpu_is_asked_for_by_number_or_by_gres(resources, asked):
    assert asks_for_gpu(resources) is asked


def test_devices_have_the_names_of_the_machine(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_devices(2) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa, 3")
    assert visible_devices(2) == ["GPU-aa", "3"]


def test_a_job_leases_on_a_machine_and_takes_what_slurm_gives(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(devices, "lease", lambda names: asked.append(names) or 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert take_device({"gpu": 1}) == torch.device("cuda", 2) and asked == [["0", "1", "2"]]
    assert take_device({"gpu": 0}) == torch.device("cpu")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert take_device({"gpu": 1}) == torch.device("cuda", 0) and len(asked) == 1


def test_without_a_gpu_a_job_has_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert take_device({"gpu": 1}) == torch.device("cpu")
