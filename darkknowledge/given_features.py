"""Features made elsewhere, such as by Kaldi: taken from their archive once they fit the set."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from darkknowledge.archives import Archive
from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.feature_options import FeatureOptions

TOLERANCE = 0.2  # seconds, and as a share, by which frames and duration may differ
SHARE = 0.05
_DIMENSIONS = {"mfcc": "coefficients", "fbank": "bins"}


def take(
    data: DataDirectory,
    kind: str,
    scp: str | Path,
    options: FeatureOptions,
    roots: Sequence[str | Path] = (),
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the features of a set from an archive made elsewhere.

    Parameters
    ----------
    data : DataDirectory
        The set; the archive may hold more utterances.
    kind : {"mfcc", "fbank"}
    scp : path
        Index of the archive, Kaldi's ``feats.scp``.
    options : FeatureOptions
        What the archive must agree with: dimension and frame shift.
    roots : sequence of path
        Folders that relative paths in the index may start from; its own comes last.

    Yields
    ------
    utterance : str
        In sorted order.
    features : (N, D) float32

    Raises
    ------
    DataError
        If the index is damaged or lacks utterances, or features cannot be read, have another
        dimension, hold a NaN or an infinity, or are not as long as the utterance.
    """
    places = [*roots, Path(scp).parent]
    archive = Archive(scp, places, mend="make it again, or mend the path in the index")
    lacking = [utterance for utterance in sorted(data.wav) if utterance not in archive]
    if lacking:
        raise DataError(
            f"{scp}: no {kind} of {len(lacking)} of {len(data.wav)} utterances, the first is "
            f"{lacking[0]}; make their features, or remove them from the data directory"
        )
    key = _DIMENSIONS[kind]
    dimension = getattr(getattr(options, kind), key)
    for utterance in sorted(data.wav):
        features = np.asarray(archive[utterance], dtype=np.float32)
        name = f"{scp}: {kind} of utterance {utterance}"
        if features.ndim != 2 or not len(features):
            raise DataError(f"{name} have shape {features.shape}; expected (frames, {dimension})")
        if features.shape[1] != dimension:
            raise DataError(
                f"{name} have {features.shape[1]} dimensions, expected {dimension}; set "
                f"features.{kind}.{key}: {features.shape[1]} in the study, or give raw {kind} "
                "without deltas"
            )
        if not np.isfinite(features).all():
            raise DataError(f"{name} hold a NaN or an infinity; make them again")
        found = len(features) * options.frame_shift / 1000
        told = data.duration[utterance]
        if abs(found - told) > max(TOLERANCE, SHARE * told):
            raise DataError(
                f"{name} have {len(features)} frames, {found:.2f} s at {options.frame_shift:g} ms "
                f"each, and the utterance {told:.2f} s; set features.frame_shift, or make them "
                "again from the same audio"
            )
        yield utterance, features
