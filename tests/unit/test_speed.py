"""The clock of a system on utterances small enough to know."""

import time

import numpy as np
import pytest
import torch

from darkknowledge.adaptation import System
from darkknowledge.archives import write_archive
from darkknowledge.checkpoints import save_model
from darkknowledge.decoding import Graph
from darkknowledge.errors import DataError
from darkknowledge.features import cmvn_statistics
from darkknowledge.graph.compose import make_graph
from darkknowledge.graph.lm import estimate
from darkknowledge.networks.registry import build_network
from darkknowledge.speed import measure_speed
from tests.unit.test_decoding import LEXICON, MODEL, WORDS

TUNING = {
    "acoustic_scale": 0.1, "prior_scale": 1.0, "word_penalty": 0.5, "beam": 9.0,
    "max_active": 500, "min_active": 20,
}  # fmt: skip


@pytest.fixture
def system(tmp_path):
    options = {"kind": "dnn", "layers": 1, "units": 4, "splice": 1, "lda": None}
    network = build_network(options, 3, MODEL.num_pdfs, 1)
    save_model(tmp_path / "model.pt", network, options, torch.zeros(MODEL.num_pdfs), {})
    rng = np.random.default_rng(0)
    frames = {f"u{n}": rng.normal(size=(n, 3)).astype(np.float32) for n in (40, 50, 60)}
    write_archive(tmp_path / "fbank.scp", frames.items())
    write_archive(tmp_path / "cmvn.scp", [("s", cmvn_statistics(frames.values()))])
    make_graph(MODEL, LEXICON, estimate([WORDS], WORDS, 2, [1]), tmp_path / "graph")
    files = (tmp_path / name for name in ("model.pt", "fbank.scp", "cmvn.scp"))
    return System(*files, dict.fromkeys(frames, "s"))


def test_processor_time_over_the_length_of_the_audio(system, tmp_path, monkeypatch):
    ticks = iter([10.0, 10.25, 10.75, 13.75])
    monkeypatch.setattr(time, "process_time", lambda: next(ticks))
    found = measure_speed(system, tmp_path / "graph", TUNING, frame_shift=0.01)
    assert found["audio_seconds"] == pytest.approx(1.5)
    assert found["network_rtf"] == pytest.approx(0.5 / 1.5)
    assert found["rtf"] == pytest.approx(3.75 / 1.5)


def test_without_utterances_there_is_no_speed(system, tmp_path):
    system.speaker = {}
    with pytest.raises(DataError, match="no utterances to measure"):
        measure_speed(system, Graph(tmp_path / "graph"), TUNING, frame_shift=0.01)
