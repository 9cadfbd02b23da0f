"""The estimate's numbers by hand."""

import dataclasses
from pathlib import Path

import pytest
import torch

from darkknowledge.estimate import (
    ASSUMPTIONS,
    GPU_RATE,
    GPU_STEP,
    cache_bytes,
    count_frames,
    count_jobs,
    count_pdfs,
    disk_bytes,
    estimate,
    matrix_sizes,
    network_cost,
    share_stored,
)
from darkknowledge.networks.options import (
    BlstmOptions,
    DnnOptions,
    HighwayOptions,
    LstmOptions,
)
from darkknowledge.networks.registry import build_network
from darkknowledge.overlays import lay, read_studies
from darkknowledge.study import StudyError, load_study

ROOT = Path(__file__).parents[2]


def shipped(*names, **changes):
    files = [ROOT / "config.yaml", *(ROOT / "studies" / f"{name}.yaml" for name in names)]
    return load_study(lay(read_studies(files), changes))


AURORA4 = shipped("aurora4")


@pytest.mark.parametrize(
    "options",
    [
        DnnOptions(layers=3, units=32, splice=2, lda=12),
        DnnOptions(layers=1, units=24, splice=1, lda=None),
        LstmOptions(layers=1, units=16, projection=8),
        LstmOptions(layers=2, units=16, projection=None),
        BlstmOptions(layers=1, units=16),
        BlstmOptions(layers=2, units=16, splice=2, below=[20, 24], above=[12], bias=False),
        HighwayOptions(layers=4, units=16, gates="both"),
        HighwayOptions(layers=2, units=16, splice=1, gates="carry", lda=12),
    ],
)
def test_sizes_are_those_of_the_networks(options):
    network = build_network(options.model_dump(), 10, 50, seed=1)
    weights, fixed = matrix_sizes(options, 10, 50)
    assert weights == sum(w.numel() for w in network.parameters() if w.dim() == 2)
    assert fixed == getattr(network, "lda_matrix", torch.zeros(0)).numel()


def test_aurora4_by_hand():
    frames = count_frames(AURORA4)
    assert frames["train"] == pytest.approx(15.1 * 360_000)
    weights = 4 * 800 * (40 + 512) + 800 * 512 + 512 * 2500
    cost = network_cost(AURORA4, "rnn-t1-pretrain", frames)
    assert (cost.weights, cost.epochs) == (weights, 20)  # and those of the run on soft targets
    read = 20 * 15.1 * 360_000
    products = 3 * weights * read + weights * 20 * 9 * 360_000
    seconds = products / GPU_RATE + read / 4 * GPU_STEP
    assert cost.gpu_hours == pytest.approx(seconds / 3600)

    disk = disk_bytes(AURORA4, frames)
    assert disk["audio"] == 0
    assert disk["features"] == pytest.approx(33.5 * 360_000 * 53 * 4)
    one = (15.1 + 9) * 360_000
    t1, t2 = 2 + 3 * 0.05 * 2500, 2 + 3 * 0.4 * 2500
    # dnn and dnn-weak at both temperatures, dnn-4h and dnn-1h at T = 1; and the logits of dnn
    assert disk["soft targets"] == pytest.approx(3 * one * (4 * t1 + 2 * t2 + 2 * 2500))


def test_fewer_speakers_take_less_time():
    study = shipped("mini_aurora", "data_size")
    none = {"train": 1e6, "dev": 0.0}
    whole, half = (network_cost(study, run, none) for run in ("dnn", "dnn-half"))
    assert half.cpu_hours == pytest.approx(whole.cpu_hours / 2)
    assert count_jobs(study)["plot_sweep"] == 1


def test_caches_hold_at_most_all_pdfs():
    assert share_stored(20) == 1
    assert 0.05 < share_stored(1.5) < 0.4
    few = shipped("aurora4", soft_targets={"most": 10, "quantisation": "linear16"})
    assert cache_bytes(few.cache_kinds["T2"], count_pdfs(few), 100) == 100 * (2 + 10 * 4)


def test_a_changed_study_has_other_jobs():
    jobs = count_jobs(shipped())
    assert "make_lattices" not in jobs and "take_lm" not in jobs
    assert jobs["train_network"] + jobs["train_network_by_epoch"] == 8
    more = count_jobs(
        shipped(
            hmm={"stages": ["mono", "tri1", "tri2b", "tri3b"]},
            decoding={"lattice_beam": 4},
            seeds=[1, 2],
        )
    )
    assert (more["train_triphones"], more["make_graph"], more["decode"]) == (3, 4, 4 + 16)
    assert (more["make_lattices"], more["write_soft_targets"]) == (20, 4)
    assert (more["train_network"], more["train_network_by_epoch"]) == (12, 4)
    # three surfaces and the path of the first seed, the line of both
    assert (more["compute_landscape"], more["compute_curvature"]) == (3 + 1 + 2, 3 * 2)


def test_the_text_has_totals_and_assumptions():
    text = estimate(AURORA4)
    assert text.startswith("Study aurora4: 15.1 h train, 9 h dev, 9.4 h test; 3 seeds\n")
    assert text.endswith(ASSUMPTIONS)
    assert len([line for line in text.splitlines() if line.strip().startswith("total")]) == 3
    assert max(map(len, text.splitlines())) < 100


def test_a_corpus_of_unknown_length_is_asked_for():
    study = shipped("mini_aurora")
    study = dataclasses.replace(study, corpus=study.corpus.model_copy(update={"hours": {}}))
    with pytest.raises(StudyError, match="hours: no hours of train, dev, test; add them"):
        estimate(study)
