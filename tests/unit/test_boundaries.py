"""Boundary errors by hand, and the synthesiser's own times."""

import math

import numpy as np
import pytest

from darkknowledge.boundaries import WINDOW_OFFSET, compare_boundaries, read_phones
from darkknowledge.corpora.espeak import RATE, Request, Synthesiser
from darkknowledge.corpora.options import SyntheticOptions
from darkknowledge.corpora.synthetic import phone_times
from darkknowledge.errors import DataError


def test_errors_by_hand():
    truth = [
        ("u", [("A", 0.10), ("B", 0.25), ("SIL", 0.4), ("C", 0.50), ("D", math.nan)]),
        ("absent", [("A", 0.0)]),
    ]
    found = {"u": [("SIL", 0.0), ("A", 0.13), ("X", 0.2), ("C", 0.49), ("D", 0.6)]}
    result = compare_boundaries(found, truth)
    np.testing.assert_allclose(result.errors, [0.03, 0.01])
    assert result.paired == pytest.approx(2 / 3)
    assert result.median == pytest.approx(0.02)
    assert result.within(0.02) == 0.5


def test_nothing_in_common_is_an_error():
    with pytest.raises(DataError, match="no phone is both"):
        compare_boundaries({"u": [("A", 0.0)]}, [("u", [("B", 0.0)])])


def test_phones_lose_position_and_condition(tmp_path):
    path = tmp_path / "phones.ctm"
    path.write_text("s-1-c03 1 0.00 0.20 SIL\ns-1-c03 1 0.20 0.10 AH_S\n")
    assert read_phones(path) == {"s-1": [("SIL", WINDOW_OFFSET), ("AH", 0.2 + WINDOW_OFFSET)]}


def test_the_synthesiser_tells_where_a_loud_phone_begins():
    with Synthesiser() as synthesiser:
        request = Request("a shoe", "en-us+f2")
        times = synthesiser.phoneme_times(request)
        samples = np.frombuffer(synthesiser.speak(request), "<i2").astype(float)
    names = [name.lstrip("',") for _, name in times if not name.startswith("_")]
    assert names[-2:] == ["S", "u:"]
    start, middle = (
        next(sample for sample, name in times if name.lstrip("',") == wanted)
        for wanted in ("S", "u:")
    )

    def crossings(part):
        return np.mean(np.diff(np.signbit(part)))

    assert crossings(samples[start : middle - 200]) > 2 * crossings(samples[middle + 500 :])
    assert times == sorted(times) and times[-1][0] <= len(samples) + RATE


def test_true_phones_are_those_of_the_set():
    options = SyntheticOptions(
        train_minutes=0.1, train_speakers=2, dev_speakers=1, test_speakers=1, test_utterances=2
    )
    names = [name for name, _ in phone_times(options, "test")]
    assert names == ["te00-0000", "te00-0001"]
    for _, phones in phone_times(options, "train"):
        times = [start for _, start in phones if not math.isnan(start)]
        assert times == sorted(times) and times[0] >= 0.1
        assert len(phones) > 5
