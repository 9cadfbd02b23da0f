"""Marked files: what a training that diverged leaves, and what reads it."""

import json
import logging

import pytest

from darkknowledge.checkpoints import load_network
from darkknowledge.errors import DataError
from darkknowledge.failures import mark, pass_on, problem_of
from darkknowledge.files import write_json
from darkknowledge.soft_targets import SoftTargets

PROBLEM = "rnn seed 1: the loss is 1e+30 in phase 'hard', epoch 2"


def test_a_marked_file_says_why(tmp_path, caplog):
    names = ("model.pt", "summary.json", "T2.soft", "lattices.npz", "hypotheses.trn", "test.ark")
    logging.getLogger("darkknowledge").propagate = True
    mark([tmp_path / name for name in names], PROBLEM)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert [problem_of(tmp_path / name) for name in names] == [PROBLEM] * 4 + [None] * 2
    assert json.loads((tmp_path / "summary.json").read_text()) == {"problem": PROBLEM}
    assert (tmp_path / "hypotheses.trn").read_bytes() == b""


def test_other_files_are_not_marked(tmp_path):
    write_json(tmp_path / "score.json", {"problems": "none", "total": {"problem": 1}})
    (tmp_path / "model.pt").write_bytes(bytes(30))
    assert problem_of(tmp_path / "score.json") is None
    assert problem_of(tmp_path / "model.pt") is None
    assert problem_of(tmp_path / "absent.json") is None
    pass_on([tmp_path / "score.json", tmp_path / "model.pt"], [tmp_path / "out.json"])
    assert not (tmp_path / "out.json").exists()


def test_a_mark_is_passed_on_and_ends_the_job_well(tmp_path):
    mark([tmp_path / "model.pt"], PROBLEM)
    made = [tmp_path / "score.json", tmp_path / "hypotheses.ctm"]
    with pytest.raises(SystemExit) as end:
        pass_on([tmp_path / "text", tmp_path / "model.pt"], made)
    assert not end.value.code
    assert problem_of(made[0]) == PROBLEM and made[1].read_bytes() == b""


def test_readers_refuse_a_marked_file_with_its_reason(tmp_path):
    mark([tmp_path / "model.pt", tmp_path / "T2.soft"], PROBLEM)
    with pytest.raises(DataError, match="there is no model: rnn seed 1: the loss is"):
        load_network(tmp_path / "model.pt")
    with pytest.raises(DataError, match="there are no soft targets: rnn seed 1: the loss is"):
        SoftTargets(tmp_path / "T2.soft")
