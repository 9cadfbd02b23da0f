"""The tiny study through a real Slurm."""

import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.cluster.slurm import Job, OneMachineSlurm
from tests.workflow.project import TINY, Project

SMALL = [TINY, str(Path(__file__).parent / "small.yaml")]
# what a site without accounting says, and what tests have no time for
SITE = """\
slurm-status-command: squeue
slurm-init-seconds-before-status-checks: 8
slurm-keep-successful-logs: true
latency-wait: 15
"""
GPU_RULES = {"train_network", "write_soft_targets"}


class ClusterProject(Project):
    """A working copy of which every job is one of Slurm's."""

    def __init__(self, folder: Path, slurm: OneMachineSlurm, site: str = SITE):
        super().__init__(folder)
        self.slurm = slurm
        self.site = folder / "slurm" / "site.yaml"
        self.site.write_text(site)

    def submit(
        self, *options: str, target: str | None = None, config: Path | None = None, check=True
    ) -> tuple[str, list[Job]]:
        """Return what Snakemake prints, and the jobs that Slurm had meanwhile.

        A target is made from what is there, whatever else has changed.
        """
        before = len(self.slurm.jobs())
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm"]
        command += ["--profile", str(self.site), *options]
        if target:
            command += ["--rerun-triggers", "mtime"]
        command += ["--configfile", *SMALL, *([str(config)] if config else [])]
        done = self.call([*command, "--", *([target] if target else [])], check, timeout=1500)
        return done.stdout, self.slurm.jobs()[before:]


@pytest.fixture(scope="module")
def local(finished, tmp_path_factory) -> Project:
    """The same study without Slurm."""
    project = Project(tmp_path_factory.mktemp("local") / "project")
    project.take_results(finished)
    project.run("--configfile", *SMALL, config=None)
    return project


@pytest.fixture(scope="module")
def submitted(slurm, tmp_path_factory):
    """The study through Slurm, and its jobs."""
    project = ClusterProject(tmp_path_factory.mktemp("submitted") / "project", slurm)
    output, jobs = project.submit()
    return project, output, jobs


def test_a_cluster_gives_the_same_bytes_as_this_machine(submitted, local):
    project, _, jobs = submitted
    assert {job.state for job in jobs} == {"COMPLETED"}
    # no job has done the work of another one anew
    submitted_rules = Counter(job.rule for job in jobs)
    assert submitted_rules["train_triphones"] == submitted_rules["train_network"] == 2
    for log in (project.folder / ".snakemake" / "slurm_logs").rglob("*.log"):
        assert len(re.findall("^Execute 1 jobs", log.read_text(), re.M)) == 2, log
    here, there = local.checksums(), project.checksums()
    assert "tables/table1.csv" in there and "tables/gmm.csv" in there
    assert [name for name in there if here.get(name) != there[name]] == []


def test_only_networks_ask_for_a_gpu(submitted):
    jobs = submitted[2]
    rules = {job.rule for job in jobs}
    assert {"make_set", "extract_features", "train_mono", "decode", *GPU_RULES} <= rules
    for job in jobs:
        assert job.request == (("gres:gpu:1", "N/A") if job.rule in GPU_RULES else ("N/A", "N/A"))


def test_nothing_is_submitted_twice(submitted):
    output, jobs = submitted[0].submit()
    assert "Nothing to be done" in output and jobs == []


def again(submitted, tmp_path, folder: str, site: str = SITE) -> ClusterProject:
    """Copy the study that went through Slurm, without one folder of its results."""
    project = ClusterProject(tmp_path / "project", submitted[0].slurm, site)
    project.take_results(submitted[0])
    shutil.rmtree(project.results / folder)
    return project


def test_a_site_asks_for_its_own_kind_of_gpu_by_gres(submitted, tmp_path):
    example = (Path(__file__).parents[2] / "slurm" / "site.example.yaml").read_text()
    changed = {
        "my_account": "lab",
        "partition: cpu": "partition: main",
        "gpu_partition: gpu": "gpu_partition: main",
        "gpu_model: a100": "gpu_model: fake",
        "gpu_request: gpu": "gpu_request: gres",
    }
    for old, new in changed.items():
        assert old in example
        example = example.replace(old, new)
    project = again(submitted, tmp_path, "networks/dnn", example + SITE)
    (job,) = project.submit(target="results/tiny/networks/dnn/seed1/model.pt")[1]
    assert job.state == "COMPLETED" and job.request == ("N/A", "gres:gpu:fake:1")


def test_memory_that_was_too_little_is_doubled_then_reported(submitted, tmp_path):
    project = again(submitted, tmp_path, "hmm/mono")
    target = "results/tiny/hmm/mono/model.npz"
    once = ["--set-resources", "train_mono:mem_mb=450", "--retries", "0"]
    output, jobs = project.submit(*once, target=target, check=False)
    assert [job.state for job in jobs] == ["FAILED"] and jobs[0].allocated["mem"] == "450M"
    told = (
        r"train_mono \(Slurm job \d+\) was killed for its memory: 450 MB asked for, (\d+) MB used"
    )
    assert int(re.search(told, output)[1]) > 450
    doubled = "train_mono:mem_mb=450 * 2 ** (attempt - 1)"
    _, jobs = project.submit("--set-resources", doubled, target=target)
    assert [job.state for job in jobs][-1] == "COMPLETED" and len(jobs) in (2, 3)
    assert [job.allocated["mem"] for job in jobs] == ["450M", "900M", "1800M"][: len(jobs)]
    model = "hmm/mono/model.npz"
    assert project.checksums()[model] == submitted[0].checksums()[model]


def test_a_training_that_meets_its_time_limit_goes_on_from_its_checkpoint(submitted, tmp_path):
    project = ClusterProject(tmp_path / "project", submitted[0].slurm)
    project.take_results(submitted[0])
    long = tmp_path / "long.yaml"
    training = "{epochs: 140, patience: 140}"
    long.write_text(f"networks: {{lstm: {{units: 256, projection: 128, training: {training}}}}}\n")
    limit = ["--set-resources", "train_network:runtime=1 if attempt == 1 else 30"]
    shutil.rmtree(project.results / "networks" / "rnn-0", ignore_errors=True)
    target = "results/tiny/networks/rnn-0/seed1/model.pt"
    _, jobs = project.submit(*limit, target=target, config=long)
    assert [job.state for job in jobs] == ["TIMEOUT", "COMPLETED"]
    log = (project.results / "logs" / "train_network" / "rnn-0.seed1.log").read_text()
    rows = project.results / "networks" / "rnn-0" / "seed1" / "metrics.jsonl"
    (after,) = re.findall(r"goes on after epoch (\d+)", log)
    epochs = [json.loads(row)["epoch"] for row in rows.read_text().splitlines()]
    assert int(after) > 3 and epochs == list(range(1, 141))
    assert f"epoch {int(after) + 1}/140" in log and f"epoch {after}/140" not in log
