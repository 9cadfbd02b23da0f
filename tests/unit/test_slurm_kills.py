"""What is said of jobs that Slurm killed: the rule, the asked and the used."""

import pytest

from darkknowledge.slurm_kills import Kill, killed_jobs

SNAKEMAKE_LOG = """\
Execute 2 jobs...
[Sun Nov 22 06:54:15 2026]
rule train_mono:
    input: results/tiny/features/train/mfcc.scp
    log: {own}
    jobid: 0
    resources: tmpdir=<TBD>, runtime=21, gpu=0, mem_mb=450, mem=450 MB, mem_mib=430
[Sun Nov 22 06:54:15 2026]
rule decode:
    jobid: 7
    resources: tmpdir=<TBD>, runtime=5, gpu=0, mem_mb=2000, mem=2 GB, mem_mib=1907
Job 0 has been submitted with SLURM jobid 32 (log: {slurm}).
[Sun Nov 22 06:54:23 2026]
Error in rule train_mono:
    message: SLURM-job '32' failed, SLURM status is: '{status}'. See the log file(s).
    jobid: 0
    log: {own}, {slurm} (check log file(s) for error details)
    external_jobid: 32
Logfile {own} not found.
Trying to restart job 0.
[Sun Nov 22 06:54:24 2026]
rule train_mono:
    jobid: 0
    resources: tmpdir=<TBD>, runtime=41, gpu=0, mem_mb=900, mem=900 MB, mem_mib=859
"""
OVER = "slurmstepd: error: StepId=32.0 exceeded memory limit ({} > 471859200), being killed\n"
CGROUP = (
    "slurmstepd: error: Detected 1 oom_kill event in StepId=32.0. "
    "Some of the step tasks have been OOM Killed.\n"
)
TIME = "slurmstepd: error: *** STEP 32.0 ON n1 CANCELLED AT 2026-11-22 DUE TO TIME LIMIT ***\n"


def kills(folder, slurm_log: str | None, status: str = "FAILED") -> list[Kill]:
    log, slurm = folder / "snakemake.log", folder / "slurm logs" / "32.log"
    log.write_text(SNAKEMAKE_LOG.format(own="results/mono, 1.log", slurm=slurm, status=status))
    if slurm_log is not None:
        slurm.parent.mkdir(exist_ok=True)
        slurm.write_text(slurm_log)
    return killed_jobs(log)


@pytest.mark.parametrize(
    ("slurm_log", "used"),
    [
        (OVER.format(552206336), 526),
        (OVER.format(552206336) + OVER.format(595075072), 567),
        ("memory of train_mono: 310 of the 450 MB asked for\n" + CGROUP, None),
        ("memory of train_mono: 460 of the 450 MB asked for\n" + CGROUP, 460),
        (CGROUP, None),
    ],
)
def test_memory(tmp_path, slurm_log, used):
    assert kills(tmp_path, slurm_log) == [Kill("train_mono", "32", "mem_mb", 450, used)]


def test_time(tmp_path):
    assert kills(tmp_path, TIME) == [Kill("train_mono", "32", "runtime", 21)]


def test_accounting_tells_it_without_slurms_log(tmp_path):
    assert kills(tmp_path, None, "OUT_OF_MEMORY") == [Kill("train_mono", "32", "mem_mb", 450)]
    assert kills(tmp_path, None, "TIMEOUT") == [Kill("train_mono", "32", "runtime", 21)]


@pytest.mark.parametrize(
    "slurm_log", [None, "", "DataError: no utterances\n", "CUDA_ERROR_OUT_OF_MEMORY\n"]
)
def test_other_failures_are_none(tmp_path, slurm_log):
    assert kills(tmp_path, slurm_log) == []


def test_the_failure_of_a_job_that_ran_here_is_none(tmp_path):
    log = tmp_path / "snakemake.log"
    log.write_text("Error in rule decode:\n    jobid: 1\n    message: exceeded memory limit\n")
    assert killed_jobs(log) == []


def test_what_is_said():
    memory = "train_mono (Slurm job 32) was killed for its memory: 450 MB asked for, 526 MB used; "
    memory += "more with --set-resources train_mono:mem_mb=900"
    assert str(Kill("train_mono", "32", "mem_mb", 450, 526)) == memory
    assert "450 MB asked for, more than that used;" in str(Kill("align", "3", "mem_mb", 450))
    time = "decode (Slurm job 4) was killed at its time limit: 5 min asked for; "
    assert (
        str(Kill("decode", "4", "runtime", 5))
        == time + "more with --set-resources decode:runtime=10"
    )
