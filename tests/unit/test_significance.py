"""Pairs of systems compared from what they recognised."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from darkknowledge.errors import DataError
from darkknowledge.pairs import pairs_csv
from darkknowledge.scoring import write_trn
from darkknowledge.significance import (
    Recognised,
    Reference,
    compare_pairs,
    holm,
    read_reference,
    read_systems,
)


def corpus(sentences=20, conditions=14):
    words = {
        f"{s:02d}-c{c:02d}": [f"{s}W{w}" for w in range(10)]
        for s in range(sentences)
        for c in range(conditions)
    }
    return Reference(words, dict.fromkeys(words, "speaker"))


def recognised(reference, rate, seed):
    """Replace words at a rate."""
    rng = np.random.default_rng(seed)
    return Recognised(
        reference,
        {
            u: [w if rng.random() > rate else "?" for w in said]
            for u, said in reference.words.items()
        },
    )


def test_holm_by_hand():
    # 0.01 x 4, 0.02 x 3, 0.03 x 2, and 0.04 x 1 no smaller than the one before
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.4, 0.001]) == pytest.approx([0.8, 0.8, 0.003])
    assert holm([0.2]) == [0.2] and holm([]) == []


def test_the_conditions_of_a_sentence_are_one_sentence():
    reference = corpus(sentences=3)
    assert sorted(set(reference.sentences.values())) == [0, 1, 2]
    assert len({reference.sentences[f"01-c{c:02d}"] for c in range(14)}) == 1
    ones = dict.fromkeys(reference.words, 1)
    assert reference.by_sentence(ones).tolist() == [14, 14, 14]
    # other speakers' recordings of the same words are others
    both = Reference({"a": ["GO"], "b": ["GO"], "c": ["GO"]}, {"a": "x", "b": "y", "c": "x"})
    assert both.sentences == {"a": 0, "b": 1, "c": 0}


def test_repeated_conditions_add_no_evidence():
    once, often = corpus(conditions=1), corpus(conditions=14)
    rng = np.random.default_rng(5)
    lost = {f"{s:02d}": rng.integers(0, 4, 2) for s in range(20)}
    intervals, tests = [], []
    for reference in (once, often):
        systems = [
            Recognised(reference, {u: w[lost[u[:2]][i] :] for u, w in reference.words.items()})
            for i in (0, 1)
        ]
        named = {name: {None: system} for name, system in zip("ab", systems, strict=True)}
        (record,) = compare_pairs([("a", "b")], named, reference)
        intervals.append(record["interval"])
        tests.append(record["mapsswe"]["p"])
        assert record["sentences"] == 20
    assert intervals[0] == pytest.approx(intervals[1])
    assert tests[1] < tests[0]


def test_identical_systems():
    reference = corpus()
    same = recognised(reference, 0.2, 1)
    (record,) = compare_pairs([("a", "b")], {"a": {1: same}, "b": {1: same}}, reference)
    assert record["difference"] == 0 and record["interval"] == [0, 0]
    assert record["p"] == record["p_holm"] == record["mapsswe"]["p"] == 1
    assert record["significant"] is False
    assert record["wer"][0] == record["wer"][1] > 0


def test_seeds_are_paired_and_a_stage_stands_beside_each():
    reference = corpus()
    systems = {
        "mono": {None: recognised(reference, 0.5, 0)},
        "tri1": {None: recognised(reference, 0.3, 9)},
        "dnn": {seed: recognised(reference, 0.2, seed) for seed in (1, 2, 3)},
        "rnn": {1: recognised(reference, 0.1, 4), 2: "loss diverged", 3: "loss diverged"},
        "lost": {seed: "not trained" for seed in (1, 2, 3)},
    }
    pairs = [("mono", "dnn"), ("dnn", "rnn"), ("dnn", "lost"), ("mono", "tri1")]
    stage, some, none, gmm = compare_pairs(pairs, systems, reference)
    assert stage["seeds"] == [1, 2, 3] and stage["problem"] == ""
    assert stage["significant"] and stage["interval"][1] < 0
    means = [np.mean([s.errors.sum() for s in systems[n].values()]) / 28 for n in ("mono", "dnn")]
    assert stage["wer"] == pytest.approx(means, rel=1e-5)
    assert stage["difference"] == pytest.approx(means[1] - means[0], rel=1e-4)
    assert stage["relative"] == pytest.approx(100 * (means[1] / means[0] - 1), rel=1e-4)
    assert some["seeds"] == [1]
    assert some["problem"] == "rnn seed 2: loss diverged; rnn seed 3: loss diverged"
    assert set(none) == {"first", "second", "seeds", "problem"}
    assert "lost seed 1: not trained" in none["problem"]
    assert gmm["seeds"] == [] and gmm["p"] < 0.05
    # of three that were tested
    assert stage["p_holm"] == pytest.approx(3 * stage["p"], rel=1e-4)
    lines = pairs_csv([stage, some, none, gmm])
    table = pd.read_csv(io.StringIO(lines))
    assert table["second"].tolist() == ["dnn", "rnn", "lost", "tri1"]
    assert table["low"][0] == pytest.approx(stage["interval"][0])
    assert pd.isna(table["p"][2]) and table["seeds"][0] == "1 2 3"


def test_what_was_recognised_is_read(tmp_path):
    reference = corpus(sentences=2, conditions=2)
    for name in ("text", "utt2spk"):
        values = {"text": " ".join, "utt2spk": lambda words: "speaker"}[name]
        lines = [f"{u} {values(words)}\n" for u, words in reference.words.items()]
        (tmp_path / name).write_text("".join(lines))
    assert read_reference(tmp_path / "text", tmp_path / "utt2spk") == reference
    write_trn(tmp_path / "dnn.trn", reference.words)
    (tmp_path / "rnn.trn").touch()
    for name, score in {"dnn": {"total": {}}, "rnn": {"problem": "loss diverged"}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(score))
    names = ("dnn", "rnn")
    found = read_systems(
        [(name, 1) for name in names],
        [tmp_path / f"{name}.trn" for name in names],
        [tmp_path / f"{name}.json" for name in names],
        reference,
    )
    assert found["rnn"] == {1: "loss diverged"}
    assert found["dnn"][1].errors.tolist() == [0, 0]


def test_another_set_is_refused():
    with pytest.raises(DataError, match="2 utterances.*the first is other"):
        Recognised(Reference({"u": ["A"]}, {"u": "s"}), {"other": ["A"]})
