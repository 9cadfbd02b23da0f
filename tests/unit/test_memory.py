"""A job says how near it is to the memory that it asked for, before it is killed for it."""

import subprocess
import sys
import threading

import psutil
import pytest

from darkknowledge import memory
from darkknowledge.memory import job_processes, used_megabytes, watch_memory

FORK = """
import os, time
block = bytearray(200_000_000)
if os.fork() == 0:
    time.sleep(60)
print("ready", flush=True)
time.sleep(60)
"""

FREED = """
import ctypes, logging, time
from darkknowledge.memory import job_processes, used_megabytes, watch_memory
logging.basicConfig(level=logging.INFO)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def used():
    return used_megabytes(job_processes())
blocks = [libc.malloc(100_000) for _ in range(4000)]  # below the size that has pages of its own
for block in blocks:
    ctypes.memset(block, 1, 100_000)
for block in blocks[:-1]:  # the last one keeps the heap from shrinking
    libc.free(block)
freed = used()
watch_memory("train_network", freed, 0.01)
for _ in range(1000):
    if freed - used() > 300:
        break
    time.sleep(0.01)
print(freed, used())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_returned_before_it_is_told():
    ran = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    freed, used = (float(word) for word in ran.stdout.split())
    assert freed > 380 and used < freed - 300
    assert "memory of" not in ran.stderr


def test_pages_that_processes_share_count_once():
    process = subprocess.Popen([sys.executable, "-c", FORK], stdout=subprocess.PIPE, text=True)
    processes = []
    try:
        assert process.stdout.readline().strip() == "ready"
        processes = job_processes(psutil.Process(process.pid))
        assert len(processes) == 2
        assert 190 < used_megabytes(processes) < 240
        assert used_megabytes(processes, shared=False) > 390
    finally:
        for one in processes:
            one.kill()
        process.kill()
        process.wait()
    psutil.wait_procs(processes, timeout=30)
    assert used_megabytes(processes) == 0


def test_under_slurm_the_snakemake_that_started_a_job_counts(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    code = "import time; print(flush=True); time.sleep(60)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", outer, "snakemake"], stdout=subprocess.PIPE, text=True
    )
    try:
        process.stdout.readline()
        (child,) = psutil.Process(process.pid).children()
        assert job_processes(child) == [child]
        monkeypatch.setenv("SLURM_JOB_ID", "1")
        assert psutil.Process(process.pid) in job_processes(child)
        child.kill()
    finally:
        process.kill()
        process.wait()


def test_the_log_tells_from_six_tenths_on_and_no_line_twice(monkeypatch):
    lines, done = [], threading.Event()
    uses = iter([500, 610, 650, 705, 990, 995, 700])

    def use(processes, shared=True):
        if not shared:
            return 1e9
        try:
            return next(uses)
        except StopIteration:
            done.set()
            threading.Event().wait()

    monkeypatch.setattr(memory, "used_megabytes", use)
    monkeypatch.setattr(memory.logger, "info", lambda text, *values: lines.append(text % values))
    assert watch_memory("decode", 1000, 0.001).daemon
    assert done.wait(10)
    assert lines == [f"memory of decode: {used} of the 1000 MB asked for" for used in (610, 990)]


def test_freed_memory_is_not_returned_again_while_it_only_comes_back(monkeypatch):
    returned, done = [], threading.Event()
    held = iter([620, 500, 640, 660, 680, 700, 860, 880, 910, 500, 905])

    def use(processes, shared=True):
        if shared:
            return 500
        try:
            returned.append(next(held))
            return returned[-1]
        except StopIteration:
            done.set()
            threading.Event().wait()

    monkeypatch.setattr(memory, "used_megabytes", use)
    monkeypatch.setattr(memory, "return_freed_pages", lambda: returned.append("returned"))
    watch_memory("train_network", 1000, 0.001)
    assert done.wait(10)
    steps = zip(returned[:-1], returned[1:], strict=True)
    assert [use for use, then in steps if then == "returned"] == [620, 680, 860, 910, 905]
