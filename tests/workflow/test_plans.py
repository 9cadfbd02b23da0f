"""Every shipped study, and each kind of corpus, resolves to jobs before any of them runs."""

from pathlib import Path

import pytest
import yaml

from darkknowledge.estimate import count_jobs
from darkknowledge.overlays import read_studies
from darkknowledge.study import load_study
from tests.workflow.project import ROOT, TINY, Project


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project(tmp_path_factory.mktemp("plans"))


def hollow(study: Path, root: Path) -> None:
    """Make every file and folder that the corpus of a study names, empty."""
    config = yaml.safe_load(study.read_text())
    corpus = config["corpora"][config["corpus"]]
    for key in ("speech", "noise", "dictionary", "lexicon", "arpa"):
        if corpus.get(key):
            path = root / corpus[key]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if key in ("speech", "noise") else path.touch()
    (root / "lm_text").mkdir(exist_ok=True)


def test_the_reference_task_takes_lexicon_and_language_model_as_they_are(project, tmp_path):
    study = ROOT / "studies" / "reference.yaml"
    hollow(study, tmp_path)
    jobs = project.planned("--config", f"data_root={tmp_path}", config=str(study))
    assert {"make_set:train", "make_set:dev", "make_set:test", "take_lm"} <= jobs
    assert {job for job in jobs if job.startswith("train_network")} == {
        f"train_network:dnn:{seed}" for seed in (1, 2, 3)
    }
    assert not jobs & {"estimate_lm"}


def test_a_network_has_the_pdfs_of_its_aligner(project, tmp_path):
    path = tmp_path / "adapted.yaml"
    hmm = {"stages": ["mono", "tri1", "tri2b", "tri3b"], "aligner": "tri3b"}
    path.write_text(yaml.safe_dump({"name": "adapted", "hmm": hmm}))
    model = "results/adapted/networks/dnn/seed1/model.pt"
    plan = project.run("-n", model, config=str(path)).stdout
    inputs = plan.split("rule train_network:")[1].split("output:")[0]
    assert "hmm/tri3b/model.npz" in inputs and "hmm/tri2b/model.npz" not in inputs


def test_the_papers_own_study_can_be_planned_without_the_corpus(project):
    study = str(ROOT / "studies" / "aurora4.yaml")
    jobs = project.planned(config=study)
    assert len([job for job in jobs if job.startswith("train_network:")]) == 33 * 3
    assert {
        "take_lm",
        "make_table:table1",
        "make_table:layers",
        "make_table:weak",
        "make_table:dnn_students",
    } <= jobs


def kaldi_study(folder: Path) -> Path:
    """Write a study on data directories made elsewhere, and these directories."""
    for name in ("train", "dev", "test"):
        (folder / name).mkdir()
        for table in ("wav.scp", "text", "utt2spk"):
            (folder / name / table).write_text("a b\n")
    (folder / "lexicon.txt").write_text("A AH\n")
    corpus = {"kind": "kaldi", "train": "train", "dev": "dev", "test": "test"}
    study = {
        "name": "own",
        "corpus": "own",
        "data_root": str(folder),
        "corpora": {"own": corpus | {"lexicon": "lexicon.txt"}},
        "tables": {"table1": {"runs": ["mono", "tri1", "dnn"]}},
    }
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def test_a_study_on_kaldi_data_directories(project, tmp_path):
    path = kaldi_study(tmp_path)
    jobs = project.planned(config=str(path))
    assert {"make_set:train", "make_set:dev", "make_set:test", "estimate_lm"} <= jobs
    assert {"make_table:table1", "make_table:gmm", "decode:mono", "decode:dnn/seed1"} <= jobs
    study = yaml.safe_load(path.read_text())
    study["corpora"]["own"]["arpa"] = "lm.arpa"
    path.write_text(yaml.safe_dump(study))
    plan = project.run("-n", config=str(path)).stdout
    refused = project.run(config=str(path), check=False)
    assert refused.returncode and not (project.folder / "results" / "own").exists()
    for said in (plan, refused.stdout):
        assert f"corpora.own: arpa: no file {tmp_path / 'lm.arpa'}" in said
    (tmp_path / "lm.arpa").touch()
    jobs = project.planned(config=str(path))
    assert "take_lm" in jobs and "estimate_lm" not in jobs


def test_feature_archives_are_inputs_where_they_are_given(project, tmp_path):
    path = kaldi_study(tmp_path)
    sets = ("train", "dev", "test")
    study = yaml.safe_load(path.read_text())
    study["corpora"]["own"]["fbank"] = {name: f"{name}/feats.scp" for name in sets}
    path.write_text(yaml.safe_dump(study))
    for name in sets:
        (tmp_path / name / "feats.scp").write_text("a a.ark:2\n")
    plan = project.run("-n", "features", config=str(path)).stdout
    for name in sets:
        assert f"input: {tmp_path / name / 'feats.scp'}, results/own/data/{name}/audio" in plan


def totals(plan: str) -> dict[str, int]:
    """Read the job counts of a dry run."""
    lines = plan.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
    return {line.split()[0]: int(line.split()[1]) for line in lines if line.strip()}


@pytest.mark.parametrize(
    "overlays",
    [
        (TINY,),
        ("aurora4",),
        ("mini_aurora", "paper2_layers", "paper2_weak", "paper2_dnn"),
        ("mini_aurora", "temperatures", "data_size"),
        ("mini_aurora", "paper3"),
        ("mini_aurora", "paper4"),
    ],
    ids=["tiny", "aurora4", "tables", "sweeps", "paper3", "paper4"],
)
def test_the_estimate_counts_the_jobs_of_the_plan(project, overlays):
    files = [name if "/" in name else str(ROOT / "studies" / f"{name}.yaml") for name in overlays]
    counted = count_jobs(load_study(read_studies([ROOT / "config.yaml", *files])))
    planned = totals(project.run("-n", "-q", "rules", "--configfile", *files, config=None).stdout)
    assert planned.pop("total") == sum(counted.values())
    assert planned == counted


def test_results_of_a_run_that_is_none_are_refused_by_name(project):
    for target in ("networks/rnn-9/seed1/model.pt", "decode/rnn-9/seed1/score.json"):
        done = project.run("-n", "--", f"results/tiny/{target}", check=False)
        assert done.returncode and "rnn-9: no run of tiny; did you mean 'rnn-0'?" in done.stdout
