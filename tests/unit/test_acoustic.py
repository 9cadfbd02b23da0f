"""Acoustic models as scores: a network is given the input that it was trained on."""

import numpy as np
import pytest
import torch

from darkknowledge.acoustic import acoustic_scores, network_features
from darkknowledge.archives import write_archive
from darkknowledge.checkpoints import save_model
from darkknowledge.features import add_deltas, apply_cmvn, cmvn_statistics
from darkknowledge.networks.registry import build_network, log_posteriors

KINDS = {
    "dnn": {"kind": "dnn", "layers": 1, "units": 4, "splice": 1, "lda": None},
    "lstm": {"kind": "lstm", "layers": 1, "units": 4, "projection": None, "delay": 1},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_networks_read_normalised_features_with_deltas(kind, order, tmp_path):
    raw = np.random.default_rng(0).normal(2.0, 3.0, (20, 3)).astype(np.float32)
    statistics = cmvn_statistics([raw])
    write_archive(tmp_path / "fbank.scp", [("u", raw)])
    write_archive(tmp_path / "cmvn.scp", [("s", statistics)])
    expected = apply_cmvn(raw, statistics)
    if order:
        expected = add_deltas(expected, order)
    paths = (tmp_path / "fbank.scp", tmp_path / "cmvn.scp", {"u": "s"})
    np.testing.assert_allclose(network_features(*paths, order)["u"], expected, atol=1e-5)

    options = {**KINDS[kind], "deltas": order}
    network = build_network(options, 3 * (1 + order), 5, seed=1)
    priors = torch.log_softmax(torch.arange(5.0), 0)
    save_model(tmp_path / "model.pt", network, options, priors, {})
    found = dict(acoustic_scores(tmp_path / "model.pt", *paths))["u"]
    own = log_posteriors(network, expected) - priors.numpy()
    np.testing.assert_allclose(found, own, atol=1e-5)
    half = dict(acoustic_scores(tmp_path / "model.pt", *paths, prior_scale=0.5))["u"]
    np.testing.assert_allclose(half - own, np.tile(0.5 * priors.numpy(), (len(own), 1)), atol=1e-5)
