"""The frames on which a loss is evaluated: whole utterances, drawn with a seed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from darkknowledge.acoustic import network_features
from darkknowledge.archives import Archive
from darkknowledge.batches import FrameSet, gather_frames
from darkknowledge.datadir import read_table
from darkknowledge.errors import DataError
from darkknowledge.subsets import part_of_speakers
from darkknowledge.trees import check_tree


class Frames:
    """Aligned utterances of a set that a network can be evaluated on.

    Parameters
    ----------
    features, cmvn, utt2spk, alignments : path
        Indices of the set's features, of the speakers' statistics and of the alignments, and
        the table of speakers.
    share : float
        Of the speakers, those that the run learns from.
    """

    def __init__(
        self,
        features: str | Path,
        cmvn: str | Path,
        utt2spk: str | Path,
        alignments: str | Path,
        share: float = 1.0,
    ):
        self._features, self._cmvn = features, cmvn
        self._labels = Archive(alignments)
        known = {u: s for u, s in read_table(utt2spk).items() if u in self._labels}
        self._speaker = part_of_speakers(known, share)

    def check(self, model: str | Path, tree: str | None) -> None:
        """Refuse a model whose pdfs are of another tree than those of the alignments."""
        check_tree(model, tree, self._labels.path, self._labels.tree)

    def draw(self, frames: int, count: int, seed: list[int]) -> list[list[str]]:
        """Draw batches of utterances; see `draw_batches`."""
        lengths = {utterance: len(self._labels[utterance]) for utterance in self._speaker}
        return draw_batches(lengths, frames, count, seed)

    def read(self, utterances: list[str], deltas: int, num_pdfs: int) -> FrameSet:
        """Read features and labels of some utterances."""
        chosen = {utterance: self._speaker[utterance] for utterance in utterances}
        features = network_features(self._features, self._cmvn, chosen, deltas)
        labels = {utterance: self._labels[utterance] for utterance in utterances}
        return gather_frames("batch", features, labels, num_pdfs)


def draw_batches(
    lengths: Mapping[str, int], frames: int, count: int, seed: list[int]
) -> list[list[str]]:
    """Draw batches of whole utterances that have none in common.

    Parameters
    ----------
    lengths : mapping
        Frames of each utterance.
    frames : int
        Utterances, two at least, are added to a batch until it has as many.
    count : int
        Batches.
    seed : list of int

    Returns
    -------
    list of list of str
        The utterances of each batch. One batch that asks for more than there is has all.

    Raises
    ------
    DataError
        If there is not enough for several batches.
    """
    names = sorted(lengths)
    order = iter(np.random.default_rng(seed).permutation(len(names)))
    batches: list[list[str]] = []
    for _ in range(count):
        batch, total = [], 0
        while (total < frames or len(batch) < 2) and (place := next(order, None)) is not None:
            batch.append(names[place])
            total += lengths[names[place]]
        if count > 1 and (total < frames or len(batch) < 2):
            raise DataError(
                f"{count} minibatches of {frames} frames without an utterance in common need more "
                f"than the {sum(lengths.values())} frames that there are; lower `batches` or "
                "`batch_frames` of the landscape"
            )
        batches.append(batch)
    return batches
