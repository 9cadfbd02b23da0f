"""Minibatches of whole utterances with their lattices."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from darkknowledge.batches import FrameSet
from darkknowledge.errors import DataError
from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.sequence.files import TrainingLattices
from darkknowledge.sequence.lattices import TrainingLattice


def utterance_batches(
    network: AcousticNetwork,
    data: FrameSet,
    lattices: TrainingLattices,
    order: np.random.Generator | None,
    size: int,
    bf16: bool = False,
) -> Iterator[tuple[Tensor, Tensor, list[TrainingLattice]]]:
    """Yield the logits of utterances that have a lattice.

    A network that carries a state on passes no gradient from one of its chunks to the one before.

    Parameters
    ----------
    network : AcousticNetwork
    data : FrameSet
    lattices : TrainingLattices
    order : Generator or None
        Of the order; None for utterances in order of length.
    size : int
        Utterances of a batch.
    bf16 : bool
        Whether matrix products are in bf16.

    Yields
    ------
    logits : Tensor
        (B, pdfs) of the frames of the utterances, one after the other.
    frames : Tensor
        (B,) of the set.
    lattices : list of TrainingLattice

    Raises
    ------
    DataError
        If no utterance has a lattice, or one is of another length.
    """
    there = [n for n, utterance in enumerate(data.utterances) if utterance in lattices]
    if not there:
        raise DataError(f"{lattices.path}: no lattice of an utterance of the {data.name}")
    for n in there:
        utterance, frames = data.utterances[n], int(data.lengths[n])
        if lattices.lengths[utterance] != frames:
            raise DataError(
                f"{lattices.path}: the lattice of {utterance} has {lattices.lengths[utterance]} "
                f"frames, its features have {frames}; delete it and run snakemake"
            )
    if order is None:
        there.sort(key=lambda n: (data.lengths[n], n))
    else:
        there = order.permutation(there)
    device = data.features.device
    precision = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    starts = data.starts
    for begin in range(0, len(there), size):
        group = there[begin : begin + size]
        parts = [torch.arange(starts[n], starts[n] + data.lengths[n]) for n in group]
        with precision:
            logits = network.utterance_logits([data.features[part.to(device)] for part in parts])
        read = lattices.take([data.utterances[n] for n in group])
        yield torch.cat(logits).float(), torch.cat(parts).to(device), read
