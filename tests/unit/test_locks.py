import subprocess
import sys

from darkknowledge.locks import remove_stale_locks

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
