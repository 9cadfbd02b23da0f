"""Feature-space maximum likelihood linear regression: one affine transform per speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from darkknowledge.errors import TrainingError
from darkknowledge.hmm.gmm import SortedFrames
from darkknowledge.hmm.model import Mixtures

_CHUNK = 4096


@dataclass
class SpeakerStatistics:
    """What the transforms of some speakers are estimated from.

    Attributes
    ----------
    frames : float64 (S,)
        Weighted frames.
    linear : float64 (S, D, D + 1)
        Sum of posterior × mean / variance × [x, 1].
    quadratic : float64 (S, D, D + 1, D + 1)
        For each row: sum of posterior / variance × [x, 1] [x, 1]ᵀ.
    """

    frames: torch.Tensor
    linear: torch.Tensor
    quadratic: torch.Tensor

    @classmethod
    def zeros(cls, speakers: int, dimension: int) -> SpeakerStatistics:
        """Make statistics of no frames."""
        size = dimension + 1
        return cls(
            torch.zeros(speakers, dtype=torch.float64),
            torch.zeros(speakers, dimension, size, dtype=torch.float64),
            torch.zeros(speakers, dimension, size, size, dtype=torch.float64),
        )

    def take(self, speaker: int) -> SpeakerStatistics:
        """Return the statistics of one speaker, still with the axis of speakers."""
        own = slice(speaker, speaker + 1)
        return SpeakerStatistics(self.frames[own], self.linear[own], self.quadratic[own])

    def __add__(self, other: SpeakerStatistics) -> SpeakerStatistics:
        """Add statistics of the same speakers."""
        return SpeakerStatistics(
            self.frames + other.frames,
            self.linear + other.linear,
            self.quadratic + other.quadratic,
        )


def speaker_statistics(
    ordered: SortedFrames,
    speaker: np.ndarray,
    weights: np.ndarray,
    speakers: int,
    mixtures: Mixtures,
    posteriors_from: Mixtures | None = None,
) -> SpeakerStatistics:
    """Accumulate what fMLLR needs (Kaldi's gmm-est-fmllr and gmm-est-fmllr-gpost).

    Parameters
    ----------
    ordered : SortedFrames
        Features that are to be transformed, with their pdfs.
    speaker : int (N,)
        Speaker of each frame, from 0, in the order before sorting.
    weights : float (N,)
        Of each frame, in the same order; that of silence is usually small or nought.
    speakers : int
    mixtures : Mixtures
        The model to whose means the features are brought.
    posteriors_from : Mixtures, optional
        As many Gaussians of the same pdfs, from which posteriors are taken instead, as those of
        a speaker-independent model.
    """
    dimension = mixtures.dimension
    total = SpeakerStatistics.zeros(speakers, dimension)
    device = ordered.extended.device
    precisions = torch.from_numpy(mixtures.variances).reciprocal()
    table = torch.cat([torch.from_numpy(mixtures.means) * precisions, precisions], dim=1)
    table = torch.nn.functional.pad(table, (0, 0, 0, 1)).to(device)
    rows = torch.empty(len(ordered.extended), 2 * dimension, device=device)
    for segment in ordered.segments(posteriors_from or mixtures):
        product = torch.bmm(segment.posteriors.transpose(1, 2), table[segment.rows])
        rows[segment.slots] = product.flatten(0, 1)
    weight = torch.from_numpy(np.asarray(weights, dtype=np.float32)).to(device)
    by_speaker = np.argsort(speaker, kind="stable")
    ends = np.searchsorted(speaker[by_speaker], np.arange(speakers + 1))
    upper = torch.triu_indices(dimension + 1, dimension + 1)
    for number in range(speakers):
        own = torch.from_numpy(by_speaker[ends[number] : ends[number + 1]]).to(device)
        total.frames[number] = weight[own].sum(dtype=torch.float64).cpu()
        packed = torch.zeros(dimension, upper.shape[1], dtype=torch.float64)
        for part in own.split(_CHUNK):
            slots = ordered.place[part]
            weighted = rows[slots] * weight[part].unsqueeze(1)
            extended = torch.nn.functional.pad(
                ordered.extended[slots, 1 : 1 + dimension], (0, 1), value=1.0
            )
            total.linear[number] += (weighted[:, :dimension].T @ extended).double().cpu()
            products = extended[:, upper[0]] * extended[:, upper[1]]  # (n, (D + 1)(D + 2) / 2)
            packed += (weighted[:, dimension:].T @ products).double().cpu()
        total.quadratic[number][:, upper[0], upper[1]] = packed
        total.quadratic[number][:, upper[1], upper[0]] = packed
    return total


def fmllr_objective(transforms: torch.Tensor, statistics: SpeakerStatistics) -> torch.Tensor:
    """Auxiliary function of each speaker's transform, up to a constant: float64 (S,)."""
    linear = (transforms * statistics.linear).sum((1, 2))
    quadratic = torch.einsum("sdi,sdij,sdj->s", transforms, statistics.quadratic, transforms)
    volume = torch.linalg.slogdet(transforms[:, :, :-1])[1]
    return statistics.frames * volume + linear - 0.5 * quadratic


def estimate_fmllr(
    statistics: SpeakerStatistics, minimum_frames: float = 500.0, iterations: int = 40
) -> tuple[np.ndarray, float]:
    """Estimate transforms row by row (Gales 1998; Kaldi's ComputeFmllrMatrixDiagGmmFull).

    Parameters
    ----------
    statistics : SpeakerStatistics
    minimum_frames : float
        A speaker with fewer keeps the identity.
    iterations : int
        Sweeps over the rows.

    Returns
    -------
    transforms : float32 (S, D, D + 1)
        ``[A, b]``: features become ``A x + b``.
    improvement : float
        Of the auxiliary function, per frame of all speakers.

    Raises
    ------
    TrainingError
        If the auxiliary function falls or a matrix is singular.
    """
    speakers, dimension, _ = statistics.linear.shape
    identity = torch.eye(dimension, dimension + 1, dtype=torch.float64)
    transforms = identity.expand(speakers, -1, -1).clone()
    enough = statistics.frames >= minimum_frames
    if not bool(enough.any()):
        return transforms.float().numpy(), 0.0
    own = SpeakerStatistics(
        statistics.frames[enough], statistics.linear[enough], statistics.quadratic[enough]
    )
    fresh = transforms[enough]
    inverses, failed = torch.linalg.inv_ex(own.quadratic)
    if bool(failed.any()):
        raise TrainingError(
            "fMLLR: the statistics of a speaker are singular; is a feature constant? "
            "raise hmm.tri3b.fmllr_frames"
        )
    start = best = fmllr_objective(fresh, own)
    offsets = torch.einsum("sdi,sdij->sdj", own.linear, inverses)
    for _ in range(iterations):
        inverse = torch.linalg.inv(fresh[:, :, :-1])  # (S, D, D)
        for row in range(dimension):
            cofactor = torch.nn.functional.pad(inverse[:, :, row], (0, 1))  # (S, D + 1)
            direction = torch.einsum("si,sij->sj", cofactor, inverses[:, row])
            curvature = (direction * cofactor).sum(1)
            slope = (offsets[:, row] * cofactor).sum(1)
            step = _best_step(own.frames, curvature, slope)
            updated = step.unsqueeze(1) * direction + offsets[:, row]
            change = (updated - fresh[:, row])[:, :-1]
            # Sherman-Morrison for the inverse of a matrix with one new row
            projected = torch.einsum("si,sij->sj", change, inverse)
            column = inverse[:, :, row].unsqueeze(2)
            inverse = inverse - column * (projected / (1 + projected[:, row : row + 1])).unsqueeze(
                1
            )
            fresh[:, row] = updated
        value = fmllr_objective(fresh, own)
        if bool((value < best - 1e-6 * best.abs() - 1e-6).any()) or not bool(
            torch.isfinite(value).all()
        ):
            raise TrainingError("fMLLR: the auxiliary function fell; raise hmm.tri3b.fmllr_frames")
        gained = float(((value - best) / own.frames).max())
        best = torch.maximum(best, value)
        if gained < 1e-7:
            break
    transforms[enough] = fresh
    improvement = float((best - start).sum() / statistics.frames.sum())
    return transforms.float().numpy(), improvement


def _best_step(frames, curvature, slope) -> torch.Tensor:
    """Root of the quadratic for a row's step that has the higher auxiliary function."""
    root = (slope**2 + 4 * frames * curvature).sqrt()
    steps = torch.stack([(-slope + root), (-slope - root)]) / (2 * curvature)
    values = frames * (steps * curvature + slope).abs().log() - 0.5 * steps**2 * curvature
    return torch.where(values[0] >= values[1], steps[0], steps[1])


def transform_features(features: torch.Tensor, transform: np.ndarray) -> torch.Tensor:
    """Apply ``[A, b]``, float32 (D, D + 1), to features (N, D)."""
    matrix = torch.from_numpy(transform)
    return torch.addmm(matrix[:, -1], features, matrix[:, :-1].T)


def compose_transforms(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The transform that does ``first``, then ``second``; both float32 (D, D + 1)."""
    second, first = second.astype(np.float64), first.astype(np.float64)
    matrix = second[:, :-1] @ first
    matrix[:, -1] += second[:, -1]
    return matrix.astype(np.float32)


def update_transforms(
    statistics: Mapping[str, SpeakerStatistics],
    present: Mapping[str, np.ndarray],
    minimum_frames: float,
) -> tuple[dict[str, np.ndarray], float]:
    """Estimate transforms on features that already have some, and put the two together.

    Parameters
    ----------
    statistics : mapping
        Of each speaker, on the features as they are now.
    present : mapping
        Transforms that these features have, none where absent.
    minimum_frames : float
        A speaker with fewer frames keeps what there is.

    Returns
    -------
    transforms : dict of float32 (D, D + 1)
        Of each speaker.
    improvement : float
        Of the auxiliary function, per frame.
    """
    speakers = sorted(statistics)
    parts = [statistics[speaker] for speaker in speakers]
    together = SpeakerStatistics(
        *(
            torch.cat([getattr(p, name) for p in parts])
            for name in ("frames", "linear", "quadratic")
        )
    )
    fresh, improvement = estimate_fmllr(together, minimum_frames)
    transforms = dict(present)
    for number, speaker in enumerate(speakers):
        before = present.get(speaker)
        transforms[speaker] = (
            fresh[number] if before is None else compose_transforms(fresh[number], before)
        )
    return transforms, improvement
