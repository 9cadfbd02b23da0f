import subprocess
import sys
import threading
import time

import pytest

from darkknowledge.errors import DataError
from darkknowledge.locks import claim_job, claim_results, remove_stale_locks

HOLD = """
import sys
from pathlib import Path
from darkknowledge.locks import remove_stale_locks
held = remove_stale_locks(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_locks_are_removed_only_when_nobody_else_lives(tmp_path):
    locks = tmp_path / "locks"
    locks.mkdir()
    lock = locks / "0.output.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        lock.write_text("")
        remove_stale_locks(tmp_path).close()
        assert lock.exists(), "the lock of a living process was removed"
        other.kill()
        other.wait()
    remove_stale_locks(tmp_path).close()
    assert not lock.exists(), "the lock of a killed process was kept"


CLAIM = """
import sys
from pathlib import Path
from darkknowledge import locks
getattr(locks, sys.argv[1])(Path(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


def holder(what, path):
    command = [sys.executable, "-c", CLAIM, what, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, **pipes, text=True)


def test_results_have_one_snakemake_at_a_time(tmp_path):
    with holder("claim_results", tmp_path / "study") as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataError, match=f"study: another Snakemake.*process {other.pid} on"):
            claim_results(tmp_path / "study")
        claim_results(tmp_path / "other")
        other.kill()
        other.wait()
    claim_results(tmp_path / "study")


def test_a_job_waits_for_the_same_job_that_a_killed_snakemake_left(tmp_path):
    log = tmp_path / "logs" / "job.log"
    with holder("claim_job", log) as other:
        assert other.stdout.readline() == "held\n"
        killer = threading.Timer(0.5, other.kill)
        killer.start()
        began = time.monotonic()
        assert not claim_job(log)
        assert time.monotonic() - began > 0.4
        other.wait()
    assert claim_job(tmp_path / "logs" / "another.log")
