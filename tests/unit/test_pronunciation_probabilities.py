"""Pronunciations and silences counted in alignments, and Kaldi's estimates of them."""

import pytest

from darkknowledge.errors import DataError
from darkknowledge.graph.compose import compose_graph
from darkknowledge.graph.lexicon_probabilities import Use, read_lexicon_probabilities
from darkknowledge.graph.lm import estimate
from darkknowledge.graph.options import GraphOptions
from darkknowledge.graph.pronunciation_usage import (
    END,
    START,
    PronunciationCounts,
    count_pronunciations,
    estimate_probabilities,
    estimate_pronunciations,
)
from darkknowledge.hmm.phones import Lexicon
from tests.hmm_toys import tiny_model

LEXICON = Lexicon({"A": [("X",), ("Y", "Z")], "B": [("Z", "X", "Y")], "C": [("X",)]})
A1, A2, B = ("A", ("X",)), ("A", ("Y", "Z")), ("B", ("Z", "X", "Y"))
UNKNOWN = ("<UNK>", ("SPN",))
TEXT = {"u1": ["A", "B", "A"], "u2": ["B", "zebra"], "u3": ["B"]}
PHONES = {
    "u1": "SIL X_S SIL Z_B X_I Y_E Y_B Z_E SIL",
    "u2": "Z_B X_I Y_E SIL SPN",
}


def write_ctm(path, phones):
    path.write_text(
        "".join(
            f"{utterance} 1 {place * 0.1:.2f} 0.10 {phone}\n"
            for utterance, sequence in phones.items()
            for place, phone in enumerate(sequence.split())
        )
    )
    return path


@pytest.fixture
def counts(tmp_path):
    return count_pronunciations(write_ctm(tmp_path / "phones.ctm", PHONES), TEXT, LEXICON)


def test_counts_are_those_of_the_alignment(counts):
    assert counts.utterances == 2
    assert counts.silence_before == {A1: 1, B: 1, END: 1, UNKNOWN: 1}
    assert counts.word_before == {A2: 1, B: 1, END: 1}
    assert counts.silence_after == {START: 1, A1: 1, A2: 1, B: 1}
    assert counts.word_after == {START: 1, B: 1, UNKNOWN: 1}
    assert counts.pairs == {
        (START, A1): 1,
        (A1, B): 1,
        (B, A2): 1,
        (A2, END): 1,
        (START, B): 1,
        (B, UNKNOWN): 1,
        (UNKNOWN, END): 1,
    }
    assert [counts.uses(key) for key in (A1, A2, B, UNKNOWN, ("C", ("X",)))] == [1, 1, 2, 1, 0]


def test_probabilities_by_hand(counts):
    found = estimate_probabilities(counts, LEXICON)
    overall = 0.57  # 4 of 7
    assert found.overall == overall
    # silence after: A1 1 of 1, A2 1 of 1, B 1 of 2, <UNK> 0 of 1, two more counts spread evenly
    after = {
        A1: round((1 + 2 * overall) / 3, 2),
        A2: round((1 + 2 * overall) / 3, 2),
        B: round((1 + 2 * overall) / 4, 2),
        UNKNOWN: round(2 * overall / 3, 2),
        ("C", ("X",)): overall,
    }
    assert {key: use.silence_after for key, use in found.uses.items()} == after
    assert found.uses[A1].probability == found.uses[A2].probability == 1
    # B follows the start, from which no silence is expected, and A1
    assert found.uses[B].after_silence == round((1 + 2) / (after[A1] + 2), 2)
    assert found.uses[B].after_word == round((1 + 2) / (1 + 1 - after[A1] + 2), 2)
    assert found.uses["C", ("X",)] == Use(1.0, overall, 1.0, 1.0)
    assert found.silence_first == round((1 + 2 * overall) / 4, 2)
    ends = after[A2] + after[UNKNOWN]
    assert found.end_after_silence == pytest.approx((1 + 2) / (ends + 2))
    assert found.end_after_word == pytest.approx((1 + 2) / (2 - ends + 2))


def test_pronunciations_are_relative_to_the_most_frequent():
    counts = PronunciationCounts()
    for spoken in [A1] * 6 + [A2]:
        counts.add([spoken], [True, True])
    found = estimate_probabilities(counts, LEXICON)
    assert found.uses[A1].probability == 1
    assert found.uses[A2].probability == pytest.approx(2 / 7, abs=1e-5)


@pytest.mark.parametrize(("silence", "after", "overall"), [(True, 0.99, 1.0), (False, 0.01, 0.01)])
def test_no_probability_is_zero_or_one(silence, after, overall):
    counts = PronunciationCounts()
    for _ in range(1000):
        counts.add([A1], [silence, silence])
    found = estimate_probabilities(counts, LEXICON)
    assert found.uses[A1].silence_after == found.silence_first == after
    assert found.overall == overall
    values = [v for u in found.uses.values() for v in (u.after_silence, u.after_word)]
    assert min(values) >= 0.01


def test_files_are_kaldis_and_are_read_back(tmp_path):
    write_ctm(tmp_path / "phones.ctm", PHONES)
    (tmp_path / "text").write_text("".join(f"{u} {' '.join(w)}\n" for u, w in TEXT.items()))
    (tmp_path / "lexicon.txt").write_text("A X\nA Y Z\nB Z X Y\nC X\n")
    given = (tmp_path / name for name in ("phones.ctm", "text", "lexicon.txt"))
    found = estimate_pronunciations(*given, tmp_path / "made")
    lines = {path.name: path.read_text().splitlines() for path in (tmp_path / "made").iterdir()}
    assert sorted(lines) == ["lexiconp.txt", "lexiconp_silprob.txt", "silprob.txt"]
    assert lines["lexiconp.txt"] == ["<UNK> 1 SPN", "A 1 X", "A 1 Y Z", "B 1 Z X Y", "C 1 X"]
    assert lines["lexiconp_silprob.txt"][3] == "B 1 0.53 1.11 0.91 Z X Y"
    assert lines["silprob.txt"][0] == "<s> 0.53" and lines["silprob.txt"][3] == "overall 0.57"
    again = read_lexicon_probabilities(tmp_path / "made")
    assert again.uses == found.uses and again.silence_first == found.silence_first
    assert again.end_after_word == pytest.approx(found.end_after_word, rel=1e-12)


@pytest.mark.parametrize(
    ("phones", "message"),
    [
        ({"u9": "X_S"}, "u9 has no transcript"),
        ({"u3": "SIL X_S SIL"}, "u3: word 1, B, is not pronounced as X_S SIL"),
        ({"u3": "Z_B X_I Y_E X_S"}, "u3: X_S follows the last word"),
        ({"u2": "Z_B X_I Y_E"}, "u2: word 2, <UNK>, is not pronounced as nothing"),
        ({}, "no phones"),
    ],
)
def test_alignments_of_other_words_are_refused(tmp_path, phones, message):
    path = write_ctm(tmp_path / "phones.ctm", phones)
    with pytest.raises(DataError, match=message):
        count_pronunciations(path, TEXT, LEXICON)


def test_other_files_are_refused_by_line(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        count_pronunciations(tmp_path / "none.ctm", TEXT, LEXICON)
    (tmp_path / "phones.ctm").write_text("u1 1 0.00 0.10 X_S\nu1 X_S\n")
    with pytest.raises(DataError, match="phones.ctm:2"):
        count_pronunciations(tmp_path / "phones.ctm", TEXT, LEXICON)


LINE = "A 1 0.5 1.2 0.8 X"
SILENCE = "<s> 0.9\n</s>_s 2.5\n</s>_n 0.1\noverall 0.2\n"


@pytest.mark.parametrize(
    ("lexicon", "silence", "message"),
    [
        ("A 1 0.5 1.2 0.8", SILENCE, "silprob.txt:1: .*expected 'word"),
        (f"{LINE}\n{LINE}", SILENCE, "silprob.txt:2: A X appears twice"),
        ("A 1.1 0.5 1.2 0.8 X", SILENCE, "'1.1'; expected a number above 0 and at most 1"),
        ("A 1 1.0 1.2 0.8 X", SILENCE, "'1.0'; expected a number above 0 and below 1"),
        ("A 1 0.5 nan 0.8 X", SILENCE, "'nan'; expected a number above 0"),
        (LINE, SILENCE.replace("<s> 0.9\n", ""), "no line <s>"),
        (LINE, SILENCE + "overall 0.2\n", "silprob.txt:5"),
        (LINE, SILENCE.replace("0.1", "zero"), "silprob.txt:3: 'zero'"),
    ],
)
def test_damaged_probabilities_are_refused_by_line(tmp_path, lexicon, silence, message):
    (tmp_path / "lexiconp_silprob.txt").write_text(lexicon + "\n")
    (tmp_path / "silprob.txt").write_text(silence)
    with pytest.raises(DataError, match=message):
        read_lexicon_probabilities(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_lexicon_probabilities(tmp_path / "absent")


def test_graph_needs_probabilities_of_all_pronunciations(counts):
    model = tiny_model()
    lexicon = Lexicon({"A": [("X",)], "B": [("Z", "X")]})
    probabilities = estimate_probabilities(counts, LEXICON)
    lm = estimate([["A", "B"]], ["A", "B"], order=1)
    options = GraphOptions(pronunciation_probabilities=True)
    with pytest.raises(DataError, match="B Z X has no probability"):
        compose_graph(model, lexicon, lm, options, probabilities)
    with pytest.raises(ValueError, match="if and only if"):
        compose_graph(model, lexicon, lm, options)
