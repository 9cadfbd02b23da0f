"""Every shipped study, and each kind of corpus, resolves to jobs before any of them runs."""

from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT, Project


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
    assert {job for job in jobs if job.startswith("train_network")} == {"train_network:dnn:1"}
    assert not jobs & {"estimate_lm"}
