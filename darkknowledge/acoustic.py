"""Acoustic models of either kind, GMM-HMM or network, as scores of frames."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from darkknowledge.checkpoints import load_network
from darkknowledge.features import add_deltas, load_features
from darkknowledge.hmm.model import HmmModel
from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.registry import stream_log_posteriors


def network_features(
    features: str | Path, cmvn: str | Path, speaker: Mapping[str, str], deltas: int = 0
) -> dict[str, np.ndarray]:
    """Read a network's input: filter banks, mean and variance normalised per speaker.

    Derivatives are taken after the normalisation, as in nnet1's steps/nnet/train.sh.

    Parameters
    ----------
    features, cmvn : path
        Indices of the raw features and of the speakers' statistics.
    speaker : mapping
        The speaker of each utterance.
    deltas : int
        Order of the time derivatives appended to them.

    Returns
    -------
    dict of utterance to (N, (1 + deltas) D) float32
    """
    found = load_features(features, cmvn, speaker, variance=True)
    if deltas:
        found = {utterance: add_deltas(array, deltas) for utterance, array in found.items()}
    return found


def tree_of(model: str | Path) -> str | None:
    """Return the digest of the tree whose pdfs a GMM-HMM or a network has; None if unknown."""
    if Path(model).suffix == ".npz":
        return HmmModel.read(model).tree_digest
    return load_network(model)[2].get("tree")


def acoustic_scores(
    model: str | Path,
    features: str | Path,
    cmvn: str | Path,
    speaker: Mapping[str, str],
    prior_scale: float = 1.0,
) -> Iterator[tuple[str, np.ndarray]]:
    """Score every frame of a set against every pdf.

    Parameters
    ----------
    model : path
        A GMM-HMM (``.npz``) or a network (``.pt``).
    features, cmvn : path
        Indices of MFCC for a GMM-HMM, of filter banks for a network.
    speaker : mapping
        The speaker of each utterance.
    prior_scale : float
        Factor of a network's log priors.

    Yields
    ------
    utterance : str
    array : (N, pdfs) float32
        Log-likelihoods of a GMM-HMM, speaker-independent where it has such mixtures; log
        posteriors less scaled log priors of a network.
    """
    if Path(model).suffix == ".npz":
        hmm = HmmModel.read(model)
        if hmm.independent is not None:
            hmm = replace(hmm, mixtures=hmm.independent)
        raw = load_features(features, cmvn, speaker, variance=False)
        for utterance, mfcc in raw.items():
            yield utterance, hmm.log_likelihoods(hmm.prepare(mfcc)).numpy()
        return
    network, log_priors, _ = load_network(model)
    frames = network_features(features, cmvn, speaker, network.deltas)
    yield from network_scores(network, log_priors, frames, prior_scale)


def network_scores(
    network: AcousticNetwork,
    log_priors: Tensor,
    frames: Mapping[str, np.ndarray],
    prior_scale: float,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield utterance and log posteriors less scaled log priors, (N, pdfs) float32.

    Parameters
    ----------
    network : AcousticNetwork
    log_priors : Tensor
        (pdfs,)
    frames : mapping
        Its input (N, D) by utterance, as `network_features` returns it.
    prior_scale : float
    """
    for utterance, scores in stream_log_posteriors(network, frames):
        yield utterance, scores - prior_scale * log_priors.numpy()
