"""Alignments drawn over spectrograms: which utterances, and where their boundaries stand."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from torchaudio.compliance import kaldi

from darkknowledge import alignment_figure
from darkknowledge.alignment_figure import (
    AlignedUtterance,
    choose_utterances,
    draw_alignments,
    mel,
)
from darkknowledge.datadir import DataDirectory
from darkknowledge.scoring import TimedWord

FILTERS = np.random.default_rng(1).normal(size=(150, 40)).astype(np.float32)
WORDS = [TimedWord("CAT", 0.25, 0.5), TimedWord("SAT", 0.75, 0.5)]
PHONES = [TimedWord("SIL", 0.0, 0.25), TimedWord("K_B", 0.25, 0.25), TimedWord("T_E", 0.5, 0.25)]


def test_the_scale_is_that_of_kaldi():
    hertz = torch.tensor([64.0, 1000.0, 8000.0])
    assert mel(hertz.numpy()) == pytest.approx(kaldi.mel_scale(hertz).numpy(), rel=1e-5)


def test_the_first_and_the_last_condition_at_a_length_that_can_be_read():
    duration = {"a": 9.0, "b": 2.5, "c": 3.2, "d": 3.0, "e": 1.0, "f": 3.0}
    condition = {"a": "01", "b": "01", "c": "14", "d": "08", "e": "14", "f": "01"}
    text = {u: ["X"] for u in duration}
    data = DataDirectory(dict.fromkeys(duration, ""), text, condition, condition, duration)
    assert choose_utterances(data, set("abcde")) == ["b", "c"], "f has no alignment"
    assert choose_utterances(data, set("abf")) == ["f"]
    assert choose_utterances(data, set()) == []


def test_words_and_phones_stand_at_their_times(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(alignment_figure, "save_figure", lambda figure, stem: shown.append(figure))
    draw_alignments(tmp_path / "x", [AlignedUtterance("one", FILTERS, WORDS, PHONES)], 0.01, 64, 0)
    (axes,) = shown[0].axes
    assert axes.get_xlim() == (0, 1.5)
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    assert (left, right) == (0, 1.5)
    # forty filters at even steps of the mel scale between 64 Hz and half of 16 kHz
    step = (mel(8000) - mel(64)) / 41
    assert (bottom, top) == pytest.approx((mel(64) + step / 2, mel(8000) - step / 2))
    assert image.get_array().shape == (40, 150)
    places = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert places == {"CAT": 0.5, "SAT": 1.0, "SIL": 0.125, "K": 0.375, "T": 0.625}
    edges = {float(line.get_xdata()[0]) for line in axes.lines}
    assert edges == {0.0, 0.25, 0.5, 0.75, 1.25}
    plt.close("all")


def test_files_are_small_and_the_same_each_time(tmp_path):
    utterances = [AlignedUtterance("one", FILTERS, WORDS, PHONES)] * 2
    for folder in ("a", "b"):
        draw_alignments(tmp_path / folder / "x", utterances, 0.01, 64, 0)
    for kind in ("svg", "pdf", "png"):
        one, other = ((tmp_path / folder / f"x.{kind}").read_bytes() for folder in "ab")
        assert one == other and len(one) < 400_000
    draw_alignments(tmp_path / "none", [], 0.01, 64, 0)
