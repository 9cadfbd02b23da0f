"""The worst utterances: which they are, and how their words stand against the reference."""

import json

import pytest

from darkknowledge.datadir import DataDirectory
from darkknowledge.mistakes import read_worst, worst_utterances
from darkknowledge.scoring import write_trn
from darkknowledge.word_errors import align_words, count_errors

SAID = {
    "a-c01": "THE CAT SAT".split(),
    "a-c02": "THE CAT SAT".split(),
    "b-c01": "A LONG SENTENCE WITH SIX WORDS".split(),
    "c-c01": "RIGHT".split(),
    "d-c01": "ONE TWO".split(),
}
HEARD = {
    "a-c01": "THE HAT SAT".split(),
    "a-c02": [],
    "b-c01": "A LONG SENTENCE".split(),
    "c-c01": "RIGHT".split(),
    "d-c01": "ONE TWO THREE".split(),
}
CONDITION = {u: u[-2:] for u in SAID}


def test_most_errors_first_and_each_sentence_once():
    worst = worst_utterances(SAID, HEARD, CONDITION, 9)
    # three errors each in a-c02 (3 words) and b (6 words); a-c01 is the same sentence as a-c02
    assert [one.utterance for one in worst] == ["a-c02", "b-c01", "d-c01"]
    assert [one.counts.errors for one in worst] == [3, 3, 1]
    assert worst[0].pairs == [("THE", None), ("CAT", None), ("SAT", None)]
    assert [one.utterance for one in worst_utterances(SAID, HEARD, CONDITION, 1)] == ["a-c02"]


@pytest.mark.parametrize(
    ("said", "heard", "pairs"),
    [
        ("A B C", "A X C", [("A", "A"), ("B", "X"), ("C", "C")]),
        ("A B C", "A C", [("A", "A"), ("B", None), ("C", "C")]),
        ("A C", "A B C", [("A", "A"), (None, "B"), ("C", "C")]),
        ("A", "", [("A", None)]),
    ],
)
def test_words_are_paired(said, heard, pairs):
    assert align_words(said.split(), heard.split()) == pairs


def test_pairs_have_the_errors_that_are_counted():
    said, heard = "A B C D A B E F".split(), "B C X D D A E F G".split()
    pairs, counts = align_words(said, heard), count_errors(said, heard)
    assert [one for one, _ in pairs if one] == said
    assert [other for _, other in pairs if other] == heard
    assert sum(one is None for one, _ in pairs) == counts.insertions
    assert sum(other is None for _, other in pairs) == counts.deletions
    both = [pair for pair in pairs if None not in pair]
    assert sum(one != other for one, other in both) == counts.substitutions


def test_the_first_seed_of_each_model_and_none_of_one_that_diverged(tmp_path):
    data = DataDirectory(
        dict.fromkeys(SAID, ""), SAID, CONDITION, CONDITION, dict.fromkeys(SAID, 1)
    )
    score = tmp_path / "score.json"
    score.write_text("{}")
    write_trn(tmp_path / "heard.trn", HEARD)
    lost = tmp_path / "lost.json"
    lost.write_text(json.dumps({"problem": "the loss is 1e9"}, indent=2))
    systems = [
        {"model": "net", "score": score, "hypotheses": tmp_path / "heard.trn"},
        {"model": "net", "score": score, "hypotheses": tmp_path / "second seed, not read"},
        {"model": "lost", "score": lost, "hypotheses": tmp_path / "not read"},
    ]
    (net, worst), (other, none) = read_worst(systems, data, 2)
    assert (net, [one.utterance for one in worst]) == ("net", ["a-c02", "b-c01"])
    assert (other, none) == ("lost", [])
