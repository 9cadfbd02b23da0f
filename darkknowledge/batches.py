"""Minibatches: shuffled frames for feed-forward networks, parallel streams for recurrent ones."""

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from darkknowledge.errors import DataError


@dataclass(frozen=True)
class FrameSet:
    """The frames of a set of utterances, one after the other.

    Attributes
    ----------
    name : str
        Of the set, in messages.
    utterances : list of str
        Sorted.
    lengths : ndarray
        (U,) frames of each utterance.
    features : Tensor
        (N, D) float32.
    labels : Tensor
        (N,) int64 pdfs.
    first, last : Tensor
        (N,) first and last frame of each frame's utterance.
    """

    name: str
    utterances: list[str]
    lengths: np.ndarray
    features: Tensor
    labels: Tensor
    first: Tensor
    last: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def starts(self) -> np.ndarray:
        """First frame of each utterance, (U,)."""
        return np.cumsum(self.lengths) - self.lengths

    def digest(self) -> str:
        """Hash the utterances, their features and their labels."""
        digest = hashlib.sha256("\n".join(self.utterances).encode())
        digest.update(np.ascontiguousarray(self.lengths, dtype=np.int64))
        digest.update(self.features.numpy())
        digest.update(self.labels.numpy())
        return digest.hexdigest()

    def to(self, device: torch.device) -> "FrameSet":
        """Return the set with its tensors on a device."""
        moved = (t.to(device) for t in (self.features, self.labels, self.first, self.last))
        return FrameSet(self.name, self.utterances, self.lengths, *moved)


def gather_frames(
    name: str, features: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], num_pdfs: int
) -> FrameSet:
    """Put the frames of utterances one after the other and check them.

    Parameters
    ----------
    name : str
        Of the set, in messages.
    features : mapping
        (N, D) by utterance.
    labels : mapping
        (N,) pdfs by utterance.
    num_pdfs : int
        Labels must be below it.

    Returns
    -------
    FrameSet

    Raises
    ------
    DataError
        If an utterance has only features or only labels, not as many of one as of the other, a
        NaN, or a label that is no pdf.
    """
    lacking = sorted(features.keys() ^ labels.keys())
    if lacking or not labels:
        example = ""
        if lacking:
            has = "features" if lacking[0] in features else "labels"
            example = f", {lacking[0]} for one (it has {has})"
        raise DataError(
            f"{name}: {len(features)} utterances have features and {len(labels)} have labels; "
            f"{len(lacking)} have only one of them{example}: give each utterance both"
        )
    utterances = sorted(features)
    for utterance in utterances:
        frames, states = features[utterance], labels[utterance]
        if len(frames) != len(states) or not len(frames):
            raise DataError(
                f"{name}: {utterance} has {len(frames)} feature frames and {len(states)} labels; "
                "expected as many: extract and align with the same frame shift"
            )
        if not np.isfinite(frames).all():
            raise DataError(f"{name}: the features of {utterance} hold a NaN or an infinity")
        low, high = int(states.min()), int(states.max())
        if low < 0 or high >= num_pdfs:
            raise DataError(
                f"{name}: {utterance} has label {low if low < 0 else high}; expected 0 to "
                f"{num_pdfs - 1}: the alignment is of another model"
            )
    lengths = np.array([len(labels[u]) for u in utterances], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    return FrameSet(
        name,
        utterances,
        lengths,
        torch.from_numpy(np.concatenate([features[u] for u in utterances]).astype(np.float32)),
        torch.from_numpy(np.concatenate([labels[u] for u in utterances]).astype(np.int64)),
        torch.from_numpy(np.repeat(starts, lengths)),
        torch.from_numpy(np.repeat(starts + lengths - 1, lengths)),
    )


@dataclass(frozen=True)
class StreamBatch:
    """A chunk of every stream.

    Attributes
    ----------
    inputs : Tensor
        (T, S) frames that are read.
    outputs : Tensor
        (K,) places in the flattened (T, S) whose output counts.
    frames : Tensor
        (K,) frames that these outputs label.
    keep : Tensor or None
        (S, 1), 0 where a stream begins an utterance and its state is cleared; None if no
        stream does.
    lengths : Tensor
        (S,) frames of the utterance that each stream reads; 1 where it reads none.
    """

    inputs: Tensor
    outputs: Tensor
    frames: Tensor
    keep: Tensor | None
    lengths: Tensor


def plan_streams(
    lengths: np.ndarray,
    order: Sequence[int],
    streams: int,
    chunk: int,
    delay: int,
    device: torch.device | str = "cpu",
) -> list[StreamBatch]:
    """Lay utterances out over parallel streams, as Kaldi's nnet-train-lstm-streams does.

    In the order given, each utterance goes to the stream that is free first and begins with a
    chunk. It is read from its first frame to its last, which is then repeated ``delay`` times;
    the outputs of the first ``delay`` steps count for nothing, output t + delay labels frame t.
    (nnet1 instead leaves the first ``delay`` frames unread.)

    Parameters
    ----------
    lengths : ndarray
        (U,) frames of each utterance; utterance u starts where the ones before it end.
    order : sequence of int
        Utterances in the order in which they are read.
    streams, chunk : int
        S streams, T steps of a chunk.
    delay : int
        Steps by which the output lags behind.
    device : torch.device or str
        Where the tensors are put.

    Returns
    -------
    list of StreamBatch
        In the order of training; each frame is labelled once.
    """
    free = [(0, stream) for stream in range(streams)]
    order = np.asarray(order)
    needed = -(-(lengths[order] + delay) // chunk)
    begins = np.empty(len(order), dtype=np.int64)
    rows = np.empty(len(order), dtype=np.int64)
    for place, chunks in enumerate(needed.tolist()):
        begins[place], rows[place] = free[0]
        heapq.heapreplace(free, (int(begins[place]) + chunks, int(rows[place])))
    total = int((begins + needed).max())

    part = np.arange(needed.sum()) - np.repeat(np.cumsum(needed) - needed, needed)
    batch, stream = np.repeat(begins, needed) + part, np.repeat(rows, needed)
    utterance = np.full((total, streams), -1, dtype=np.int64)
    offset = np.zeros((total, streams), dtype=np.int64)
    utterance[batch, stream] = np.repeat(order, needed)
    offset[batch, stream] = part * chunk
    return _chunks(lengths, utterance, offset, chunk, delay, device)


def plan_utterances(
    lengths: np.ndarray,
    order: np.random.Generator | None,
    streams: int,
    delay: int = 0,
    device: torch.device | str = "cpu",
) -> Iterator[StreamBatch]:
    """Lay whole utterances of similar length side by side, padded to the longest of them.

    Utterances of one length are shuffled among themselves, then the batches as a whole. Like
    `plan_streams`, but each batch is one chunk that holds its utterances from end to end.

    Parameters
    ----------
    lengths : ndarray
        (U,) frames of each utterance; utterance u starts where the ones before it end.
    order : Generator or None
        Of the order; None for utterances in order of length.
    streams : int
        Utterances of a batch; places without one are idle in the batch of the longest.
    delay : int
        Steps by which the output lags behind.
    device : torch.device or str
        Where the tensors are put.

    Yields
    ------
    StreamBatch
        Each frame is labelled once.
    """
    shuffled = np.arange(len(lengths)) if order is None else order.permutation(len(lengths))
    by_length = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    idle = -len(lengths) % streams
    batches = np.concatenate([by_length, np.full(idle, -1)]).reshape(-1, streams)
    count = len(batches)
    for row in range(count) if order is None else order.permutation(count):
        utterances = batches[row : row + 1]
        steps = int(lengths[utterances[utterances >= 0]].max()) + delay
        yield from _chunks(lengths, utterances, np.zeros_like(utterances), steps, delay, device)


def _chunks(
    lengths: np.ndarray,
    utterance: np.ndarray,
    offset: np.ndarray,
    chunk: int,
    delay: int,
    device: torch.device | str,
) -> list[StreamBatch]:
    """Fill chunks with utterances (B, S), -1 for none, from offsets (B, S) into them."""
    busy = utterance >= 0
    length = np.where(busy, lengths[utterance], 1)[:, None]
    start = np.where(busy, (np.cumsum(lengths) - lengths)[utterance], 0)[:, None]
    time = offset[:, None] + np.arange(chunk)[:, None]  # (B, T, S)
    inputs = torch.from_numpy(start + np.minimum(time, length - 1)).to(device)
    labelled = time - delay
    counts = busy[:, None] & (labelled >= 0) & (labelled < length)
    owner, place = np.nonzero(counts.reshape(len(utterance), -1))
    sizes = np.bincount(owner, minlength=len(utterance)).tolist()
    outputs = torch.from_numpy(place).to(device).split(sizes)
    frames = torch.from_numpy((start + labelled)[counts]).to(device).split(sizes)
    fresh = busy & (offset == 0)
    keep = torch.from_numpy(~fresh).float()[:, :, None].to(device)
    read = torch.from_numpy(length[:, 0]).to(device)
    return [
        StreamBatch(inputs[i], outputs[i], frames[i], keep[i] if fresh[i].any() else None, read[i])
        for i in range(len(utterance))
    ]
