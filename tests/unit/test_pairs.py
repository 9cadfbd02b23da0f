"""Compared pairs as marks, notes, HTML and CSV."""

import csv
import io

from darkknowledge.pairs import (
    differs_from,
    marks,
    method_notes,
    pair_notes,
    pairs_csv,
    pairs_html,
    symbols,
)

LABELS = {"dnn": "DNN & co", "rnn": "RNN", "mono": "mono", "lost": "Lost"}


def pair(first, second, p, seeds=(1, 2, 3), **changes):
    return {
        "first": first,
        "second": second,
        "seeds": list(seeds),
        "problem": "",
        "utterances": 280,
        "sentences": 20,
        "wer": [20.0, 15.0],
        "difference": -5.0,
        "interval": [-6.125, -3.5],
        "relative": -25.0,
        "relative_interval": [-30.0, -18.0],
        "p": p / 2,
        "p_holm": p,
        "significant": p < 0.05,
        "mapsswe": {"segments": 90, "mean": 0.5, "deviation": 1.0, "z": 4.74, "p": 0.000002},
    } | changes


LOST = {"first": "dnn", "second": "lost", "seeds": [], "problem": "lost seed 1: loss diverged"}
PAIRS = [pair("dnn", "rnn", 0.04), pair("mono", "rnn", 0.0002), pair("mono", "dnn", 0.2), LOST]


def test_every_first_run_has_a_mark():
    assert symbols(PAIRS) == {"dnn": "†", "mono": "‡"}
    assert marks(PAIRS, "rnn") == "†‡" and marks(PAIRS, "dnn") == "" == marks(PAIRS, "lost")
    assert differs_from(PAIRS, "rnn") == ["dnn", "mono"]
    many = symbols([pair(f"r{i}", "rnn", 0.01) for i in range(6)])
    assert list(many.values()) == ["†", "‡", "§", "¶", "††", "‡‡"]


def test_notes_by_hand():
    notes = pair_notes(PAIRS, LABELS)
    assert notes[0] == (
        "† RNN against DNN & co: −5.00 points [−6.12, −3.50], −25.0 % relative; p = 0.040, "
        "MAPSSWE p < 0.001."
    )
    assert notes[1].startswith("‡ RNN against mono") and "p < 0.001" in notes[1]
    assert notes[2].startswith("DNN & co against mono")
    assert notes[3] == "Lost against DNN & co: not compared; lost seed 1: loss diverged."
    some = pair("dnn", "rnn", 0.3, (1, 3), problem="rnn seed 2: lost", relative=None)
    assert pair_notes([some], LABELS)[0].endswith("; without rnn seed 2: lost.")


def test_the_method_says_what_was_drawn():
    text = " ".join(method_notes(PAIRS, LABELS))
    assert "† DNN & co, ‡ mono" in text and "for 3 pairs (Holm)" in text
    assert "20 sentences, each with all its conditions, and over n = 3 seeds" in text
    one = " ".join(method_notes([pair("dnn", "rnn", 0.3, [1], utterances=20)], LABELS))
    assert "20 sentences, with one seed: nothing is said of networks trained anew" in one
    assert "Holm" not in one
    stages = " ".join(method_notes([pair("mono", "dnn", 0.3, [])], LABELS))
    assert "seed" not in stages
    assert method_notes([], LABELS) == method_notes([LOST], LABELS) == []


def test_html_has_a_row_for_each_pair_and_says_what_to_look_for():
    text = pairs_html(PAIRS, LABELS)
    assert text.count('<tr><td class="text">') == 4
    assert "DNN &amp; co" in text and "Look at the interval before p" in text
    assert "not compared; lost seed 1: loss diverged" in text
    assert text.count('<td class="text">†</td>') == text.count('<td class="text">‡</td>') == 1
    assert "&lt; 0.001" in text


def test_csv_has_all_numbers():
    rows = list(csv.DictReader(io.StringIO(pairs_csv(PAIRS))))
    assert [row["second"] for row in rows] == ["rnn", "rnn", "dnn", "lost"]
    assert rows[0]["seeds"] == "1 2 3" and float(rows[0]["low"]) == -6.125
    assert float(rows[0]["mapsswe_z"]) == 4.74 and rows[0]["wer_second"] == "15.0"
    assert rows[3]["p"] == "" and rows[3]["problem"] == LOST["problem"]
