"""A real Slurm of one machine, on loopback, with one GPU that is none."""

import itertools
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("sbatch", "squeue", "scontrol", "slurmctld", "slurmd", "munged")
CONFIGURATION = Path("/etc/slurm")
SLURM_CONF = """\
ClusterName=sandbox
SlurmctldHost=localhost(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/slurmd
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
EnforcePartLimits=ALL
KillWait=5
# finished jobs stay visible to squeue: there is no accounting
MinJobAge=86400
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=UsePss,OverMemoryKill
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs=4 RealMemory={memory} Gres=gpu:fake:1 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE DefaultTime=00:10:00 State=UP
"""
# Slurm counts a regular file, but gives CUDA_VISIBLE_DEVICES for a device only
GRES_CONF = "NodeName=localhost Name=gpu Type=fake File=/dev/null\n"


def why_not() -> str | None:
    """Say why no Slurm can be started here, if so."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]
    if missing:
        return f"{', '.join(missing)} not installed: tests/cluster/prepare.sh installs them"
    if os.geteuid() != 0:
        return "Slurm's daemons need root here"
    if any((CONFIGURATION / name).exists() for name in ("slurm.conf", "gres.conf")):
        return f"{CONFIGURATION} belongs to a cluster"
    return None


def search_path() -> str:
    """Return PATH with the folders of daemons."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class OneMachineSlurm:
    """Starts the daemons and stops them again.

    Parameters
    ----------
    folder : path
        For states and logs.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.started_munge = False

    def __enter__(self) -> "OneMachineSlurm":
        for name in ("ctld", "slurmd"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 9 // 10
        files = {
            "slurm.conf": SLURM_CONF.format(folder=self.folder, memory=memory),
            "gres.conf": GRES_CONF,
        }
        CONFIGURATION.mkdir(exist_ok=True)
        for name, text in files.items():
            (CONFIGURATION / name).write_text(text)
        try:
            if not Path("/run/munge/munge.socket.2").is_socket():
                self._run("install", "-d", "-o", "munge", "-g", "munge", "-m", "755", "/run/munge")
                self._run("runuser", "-u", "munge", "--", "/usr/sbin/munged")
                self.started_munge = True
            self._run("/usr/sbin/slurmctld")
            self._run("/usr/sbin/slurmd", "-N", "localhost")
            self._wait_until_idle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        subprocess.run(["scancel", "--user=root"], capture_output=True)
        pids = [self.folder / "slurmd.pid", self.folder / "slurmctld.pid"]
        if self.started_munge:
            pids.append(Path("/run/munge/munged.pid"))
        for file in pids:
            if file.is_file():
                _stop(int(file.read_text()))
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{self.logs()}")

    def _wait_until_idle(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            shown = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
            if shown.stdout.strip() == "idle":
                return
            time.sleep(0.3)
        raise RuntimeError(f"the node is not idle after {seconds} s{self.logs()}")

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        found = [self.folder / name for name in ("slurmctld.log", "slurmd.log")]
        return "".join(f"\n{p.name}:\n{p.read_text()[-3000:]}" for p in found if p.is_file())

    def jobs(self) -> list["Job"]:
        """Return every job that Slurm has had so far, in the order of submission.

        Slurm cleans up after a job for some seconds; until then it is not in its last state.
        """
        form = "JobID:.12,State:.20,comment:.200,tres-alloc:.200,tres-per-job:.60,tres-per-node:.60"
        command = ["squeue", "--states=all", "--noheader", "--sort=i", f"--Format={form}"]
        for _ in range(120):
            shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found = [Job.read(line) for line in shown.splitlines()]
            if not any(job.state == "COMPLETING" for job in found):
                break
            time.sleep(0.5)
        return found


@dataclass(frozen=True)
class Job:
    """A job as Slurm saw it.

    Attributes
    ----------
    rule : str
    state : str
    allocated : dict
        ``cpu`` and ``mem``, as Slurm prints them.
    request : str
        The GPUs asked for by ``--gpus`` and by ``--gres``.
    """

    rule: str
    state: str
    allocated: dict[str, str]
    request: tuple[str, str]

    @classmethod
    def read(cls, line: str) -> "Job":
        ends = [0, 12, 32, 232, 432, 492, 552]
        _, state, comment, tres, per_job, per_node = (
            line[a:b].strip() for a, b in itertools.pairwise(ends)
        )
        pairs = (pair.split("=", 1) for pair in tres.split(",") if "=" in pair)
        rule = comment.removeprefix("rule_").split("_wildcards_")[0]
        return cls(rule, state, dict(pairs), (per_job, per_node))


def _stop(pid: int, seconds: float = 20) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            os.kill(pid, 0)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
