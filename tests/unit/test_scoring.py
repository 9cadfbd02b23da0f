"""Word error counts, groups, trn and ctm files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkknowledge.errors import DataError
from darkknowledge.scoring import (
    TimedWord,
    read_ctm,
    read_trn,
    score,
    write_ctm,
    write_trn,
)
from darkknowledge.word_errors import Counts, count_errors

WORDS = st.lists(st.sampled_from(["A", "B", "C", "DON'T"]), max_size=7)


def test_known_counts():
    counts = count_errors("THE CAT SAT ON THE MAT".split(), "A CAT SAT THE MAT TOO".split())
    assert (counts.substitutions, counts.deletions, counts.insertions) == (1, 1, 1)
    assert (counts.correct, counts.words, counts.errors) == (4, 6, 3)
    assert counts.wer == 50
    assert counts.wrong_utterances == 1
    assert count_errors(["A"], ["A"]).wrong_utterances == 0


def test_empty_hypothesis_is_all_deletions():
    assert count_errors(["A", "B"], []) == Counts(0, 0, 2, 0, 1, 1)


def test_unknown_word_is_an_error_and_case_counts():
    assert count_errors(["ZEBRA", "a"], ["<UNK>", "A"]).substitutions == 2


def test_empty_reference_is_refused():
    with pytest.raises(DataError, match="u7.*no words"):
        count_errors([], ["A"], "u7")


def distance(reference, hypothesis):
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        row, before = [i], row
        for j, other in enumerate(hypothesis, 1):
            row.append(min(row[-1] + 1, before[j] + 1, before[j - 1] + (word != other)))
    return row[-1]


@given(WORDS.filter(bool), WORDS)
def test_errors_are_the_edit_distance(reference, hypothesis):
    counts = count_errors(reference, hypothesis)
    assert counts.errors == distance(reference, hypothesis)
    assert counts.words == len(reference)
    assert counts.correct + counts.substitutions + counts.insertions == len(hypothesis)


def test_groups_and_average_of_aurora4():
    references, hypotheses, conditions = {}, {}, {}
    for number in range(1, 15):
        utterance = f"s-u-c{number:02d}"
        conditions[utterance] = f"{number:02d}"
        references[utterance] = ["A"] * 10
        wrong = 0 if number == 1 else 1 if number < 8 else 2 if number == 8 else 3
        hypotheses[utterance] = ["A"] * (10 - wrong) + ["B"] * wrong
    found = score(references, hypotheses, conditions)
    assert {name: counts.wer for name, counts in found.groups.items()} == {
        "A": 0, "B": 10, "C": 20, "D": 30,
    }  # fmt: skip
    assert found.total.wer == pytest.approx((0 + 6 * 10 + 20 + 6 * 30) / 14)
    record = found.record()
    assert record["conditions"]["09"]["errors"] == 3 and record["total"]["words"] == 140
    assert list(record["conditions"]) == [f"{n:02d}" for n in range(1, 15)]


def test_other_conditions_have_no_group():
    found = score({"u": ["A"]}, {"u": ["A"]}, {"u": "clean"})
    assert found.groups == {} and found.conditions["clean"].words == 1
    assert score({"u": ["A"]}, {"u": []}).total.wer == 100


@pytest.mark.parametrize(
    "references, hypotheses, message",
    [({"a": ["A"]}, {}, "no hypothesis.*a"), ({}, {"b": ["A"]}, "no reference.*b")],
)
def test_sets_must_agree(references, hypotheses, message):
    with pytest.raises(DataError, match=message):
        score(references, hypotheses)


def test_utterance_without_condition_is_refused():
    with pytest.raises(DataError, match="no condition"):
        score({"u": ["A"]}, {"u": ["A"]}, {})


def test_trn(tmp_path):
    path = tmp_path / "h.trn"
    write_trn(path, {"b-2": [], "a-1": ["DON'T", "GO"]})
    assert path.read_text() == "DON'T GO (a-1)\n(b-2)\n"
    assert read_trn(path) == {"a-1": ["DON'T", "GO"], "b-2": []}


def test_ctm(tmp_path):
    path = tmp_path / "h.ctm"
    write_ctm(path, {"u": [("GO", 10, 35), ("ON", 40, 41)], "empty": []})
    assert path.read_text() == "u 1 0.10 0.25 GO\nu 1 0.40 0.01 ON\n"
    assert read_ctm(path) == {"u": [TimedWord("GO", 0.1, 0.25), TimedWord("ON", 0.4, 0.01)]}


@given(st.text())
def test_any_trn_or_ctm_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for read in (read_trn, read_ctm):
        try:
            read(path)
        except DataError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("line", ["A B", "A ()", "A (u)\nB (u)"])
def test_damaged_trn_is_refused(tmp_path, line):
    (tmp_path / "h.trn").write_text(line + "\n")
    with pytest.raises(DataError, match=r"h.trn:\d"):
        read_trn(tmp_path / "h.trn")


@pytest.mark.parametrize("line", ["u 1 0.1 0.2", "u 1 x 0.2 A", "u 1 0.1 -1 A", "u 1 nan 0 A"])
def test_damaged_ctm_is_refused(tmp_path, line):
    (tmp_path / "h.ctm").write_text(line + "\n")
    with pytest.raises(DataError, match="h.ctm:1"):
        read_ctm(tmp_path / "h.ctm")


def test_absent_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent.trn: no such file"):
        read_trn(tmp_path / "absent.trn")
