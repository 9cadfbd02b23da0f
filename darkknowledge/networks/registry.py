"""Networks by kind: built from options, scored on utterances.

A new network is one module with a subclass of
:class:`darkknowledge.networks.base.AcousticNetwork`, one class of options, and one entry here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.blstm import Blstm
from darkknowledge.networks.dnn import Dnn
from darkknowledge.networks.highway import Highway
from darkknowledge.networks.lstm import Lstm
from darkknowledge.networks.options import NetworkOptions

NETWORKS: dict[str, type[AcousticNetwork]] = {
    "dnn": Dnn,
    "lstm": Lstm,
    "blstm": Blstm,
    "highway": Highway,
}


def build_network(
    options: Mapping[str, Any], input_dim: int, num_pdfs: int, seed: int
) -> AcousticNetwork:
    """Build a network with initial weights.

    Parameters
    ----------
    options : mapping
        An entry of the study's `networks`; its `training` is not used.
    input_dim : int
        Dimensions of a feature frame.
    num_pdfs : int
        Outputs.
    seed : int
        Of the initial weights.

    Returns
    -------
    AcousticNetwork
    """
    checked = TypeAdapter(NetworkOptions).validate_python(dict(options))
    generator = torch.Generator().manual_seed(seed)
    network = NETWORKS[checked.kind](checked, input_dim, num_pdfs, generator)
    network.deltas = checked.deltas
    return network


def count_parameters(network: AcousticNetwork) -> int:
    """Count the trained weights; the fixed input transform is not among them."""
    return sum(weight.numel() for weight in network.parameters())


def device_of(network: AcousticNetwork) -> torch.device:
    """Return the device that a network's weights are on."""
    return next(network.parameters()).device


@torch.no_grad()
def log_posteriors(network: AcousticNetwork, features: np.ndarray) -> np.ndarray:
    """Compute the log posteriors of one utterance.

    Parameters
    ----------
    network : AcousticNetwork
    features : ndarray
        (N, D) normalised features.

    Returns
    -------
    ndarray
        (N, pdfs) float32 natural logarithms, row t for frame t whatever the network's delay.
    """
    return next(stream_log_posteriors(network, {"": features}))[1]


@torch.no_grad()
def stream_log_posteriors(
    network: AcousticNetwork, features: Mapping[str, np.ndarray], most: int = 32
) -> Iterator[tuple[str, np.ndarray]]:
    """Compute the log posteriors of many utterances, similar lengths together.

    Parameters
    ----------
    network : AcousticNetwork
    features : mapping
        (N, D) normalised features by utterance.
    most : int
        Utterances scored together.

    Yields
    ------
    utterance : str
        In order of length, then of name.
    array : ndarray
        (N, pdfs) float32.
    """
    device = device_of(network)
    order = sorted(features, key=lambda utterance: (len(features[utterance]), utterance))
    if network.feed == "frames":
        most = 1
    for start in range(0, len(order), most):
        names = order[start : start + most]
        batch = [
            torch.from_numpy(np.array(features[n], dtype=np.float32)).to(device) for n in names
        ]
        for name, logits in zip(names, network.utterance_logits(batch), strict=True):
            yield name, torch.log_softmax(logits, 1).cpu().numpy()
