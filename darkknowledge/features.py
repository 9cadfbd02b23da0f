"""Filter banks, cepstra, deltas, splicing and per-speaker normalisation, as Kaldi computes them."""

import zlib
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torchaudio.compliance.kaldi as kaldi

from darkknowledge.archives import Archive, write_archive
from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.feature_options import FeatureOptions
from darkknowledge.given_features import take
from darkknowledge.progress import Stopwatch, logger
from darkknowledge.sound import SoundError, read_rate, read_samples

Array = TypeVar("Array", np.ndarray, torch.Tensor)

FULL_SCALE = 32768.0  # Kaldi reads 16-bit samples as integers in float


def mfcc(wave: np.ndarray | torch.Tensor, rate: float, options: FeatureOptions) -> torch.Tensor:
    """Mel-frequency cepstral coefficients of one recording.

    Parameters
    ----------
    wave : (S,)
        Samples on the scale of 16-bit integers (-32768 to 32767), integer or float.
    rate : float
        Samples per second.
    options : FeatureOptions

    Returns
    -------
    (N, coefficients) float32
        One row per frame; none if the recording is shorter than one frame.

    Notes
    -----
    Agrees with Kaldi's ``compute-mfcc-feats --use-energy=false --dither=0`` under the defaults;
    dither is added by :func:`extract`, to samples instead of frames.
    """
    own = options.mfcc
    return kaldi.mfcc(
        _row(wave),
        num_ceps=own.coefficients,
        num_mel_bins=own.mel_bins,
        cepstral_lifter=own.lifter,
        use_energy=own.energy,
        **_framing(rate, options, own),
    )


def fbank(wave: np.ndarray | torch.Tensor, rate: float, options: FeatureOptions) -> torch.Tensor:
    """Log-mel filter banks of one recording.

    Parameters
    ----------
    wave : (S,)
        Samples on the scale of 16-bit integers (-32768 to 32767), integer or float.
    rate : float
        Samples per second.
    options : FeatureOptions

    Returns
    -------
    (N, bins) float32
        One row per frame; none if the recording is shorter than one frame.

    Notes
    -----
    Agrees with Kaldi's ``compute-fbank-feats`` for the same options.
    """
    own = options.fbank
    return kaldi.fbank(_row(wave), num_mel_bins=own.bins, **_framing(rate, options, own))


KINDS: dict[str, Callable[..., torch.Tensor]] = {"mfcc": mfcc, "fbank": fbank}


def extract(
    data: DataDirectory,
    folder: str | Path,
    options: FeatureOptions | Mapping,
    threads: int = 1,
    kinds: Iterable[str] = ("mfcc", "fbank"),
    given: Mapping[str, str | Path] | None = None,
    roots: Sequence[str | Path] = (),
    chosen: Container[str] | None = None,
) -> None:
    """Write the features of a set and the normalisation statistics of its speakers.

    Parameters
    ----------
    data : DataDirectory
        The set; its audio must be mono and of one rate.
    folder : path
        Receives ``{kind}.ark``, ``{kind}.scp``, ``cmvn_{kind}.ark`` and ``cmvn_{kind}.scp``.
    options : FeatureOptions or mapping of its fields
    threads : int
        Recordings worked on at a time; the bytes do not depend on it.
    kinds : of "mfcc", "fbank"
    given : mapping, optional
        Index of an archive made elsewhere, by kind, which is copied instead of computed.
    roots : sequence of path
        Folders that relative paths in such an index may start from.
    chosen : container of str, optional
        Utterances whose features are wanted, of whole speakers; all if not given.

    Raises
    ------
    DataError
        If a recording cannot be read, is not mono, has another rate than the first, is shorter
        than one frame, holds a NaN or an infinity, or is constant, or if a dimension never
        changes for a speaker; the message names the utterance or the speaker. Likewise if a given
        archive lacks an utterance or does not fit the options or the durations, or if the kinds
        differ in their frames.
    """
    options = FeatureOptions.model_validate(options)
    folder = Path(folder)
    given = given or {}
    kinds = tuple(kinds)
    rate = _rate(data) if set(kinds) - set(given) else 0
    if chosen is not None:
        data = data.subset(chosen)
    frames: dict[str, int] = {}
    previous = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for kind in kinds:
            statistics: dict[str, np.ndarray] = {}
            if kind in given:
                items = take(data, kind, given[kind], options, roots)
            else:
                items = _features(data, kind, rate, options, threads)
            items = _counted(items, data, kind, statistics, frames)
            write_archive(folder / f"{kind}.scp", items)
            for speaker, stats in statistics.items():
                _check_variance(stats, f"{folder}: {kind} of speaker {speaker}")
            write_archive(folder / f"cmvn_{kind}.scp", sorted(statistics.items()))
    finally:
        torch.set_num_threads(previous)


def load_features(
    scp: str | Path,
    cmvn_scp: str | Path | None,
    speaker: Mapping[str, str],
    variance: bool = True,
) -> dict[str, np.ndarray]:
    """Read the features of some utterances into memory, normalised per speaker.

    Parameters
    ----------
    scp : path
        Index of the raw features.
    cmvn_scp : path or None
        Index of the statistics by speaker; None leaves the features raw.
    speaker : mapping
        The speaker of each utterance that is wanted.
    variance : bool
        Normalise the variance too, not the mean alone.

    Returns
    -------
    dict of utterance to (N, D) float32, in sorted order of utterance

    Raises
    ------
    DataError
        If an utterance has no features or a speaker no statistics.
    """
    raw = Archive(scp)
    statistics = {}
    if cmvn_scp is not None:
        table = Archive(cmvn_scp)
        for name in sorted(set(speaker.values())):
            if name not in table:
                raise DataError(f"{cmvn_scp}: no statistics of speaker {name}; run snakemake")
            statistics[name] = table[name]
    features = {}
    for utterance in sorted(speaker):
        if utterance not in raw:
            raise DataError(f"{scp}: no features of utterance {utterance}; run snakemake")
        matrix = raw[utterance]
        if cmvn_scp is not None:
            matrix = apply_cmvn(matrix, statistics[speaker[utterance]], variance)
        features[utterance] = matrix
    return features


def cmvn_statistics(matrices: Iterable[np.ndarray]) -> np.ndarray:
    """Sums for mean and variance normalisation, in Kaldi's layout.

    Parameters
    ----------
    matrices : iterable of (N, D)

    Returns
    -------
    (2, D + 1) float64
        First row: the sum of each dimension, then the number of frames. Second row: the sum of
        squares of each dimension, then 0. The layout of Kaldi's ``compute-cmvn-stats``.
    """
    total = None
    for matrix in matrices:
        matrix = np.asarray(matrix, dtype=np.float64)
        own = np.zeros((2, matrix.shape[1] + 1))
        own[0, :-1] = matrix.sum(axis=0)
        own[0, -1] = len(matrix)
        own[1, :-1] = (matrix**2).sum(axis=0)
        total = own if total is None else total + own
    if total is None or total[0, -1] == 0:
        raise DataError("normalisation statistics of no frame; expected at least one")
    return total


def apply_cmvn(features: Array, stats: np.ndarray, variance: bool = True) -> Array:
    """Subtract the mean and, if asked, divide by the standard deviation.

    Parameters
    ----------
    features : (N, D)
    stats : (2, D + 1)
        As from `cmvn_statistics`.
    variance : bool

    Returns
    -------
    (N, D) float32, array or tensor as given

    Raises
    ------
    DataError
        If the dimensions differ, or a dimension has no variance and the variance is asked for.

    Notes
    -----
    Kaldi's ``apply-cmvn --norm-vars``.
    """
    stats = np.asarray(stats, dtype=np.float64)
    if stats.shape != (2, features.shape[1] + 1):
        raise DataError(
            f"statistics of shape {stats.shape} for features of {features.shape[1]} dimensions; "
            f"expected (2, {features.shape[1] + 1})"
        )
    mean = stats[0, :-1] / stats[0, -1]
    scale = np.ones_like(mean)
    if variance:
        _check_variance(stats, "normalisation")
        scale = 1 / np.sqrt(stats[1, :-1] / stats[0, -1] - mean**2)
    mean, scale = mean.astype(np.float32), scale.astype(np.float32)
    if isinstance(features, torch.Tensor):
        where = {"dtype": torch.float32, "device": features.device}
        return (features.float() - torch.as_tensor(mean, **where)) * torch.as_tensor(scale, **where)
    return (features.astype(np.float32) - mean) * scale


def add_deltas(features: Array, order: int = 2, window: int = 2) -> Array:
    """Append time derivatives.

    Parameters
    ----------
    features : (N, D)
    order : int
        Number of derivatives.
    window : int
        Frames on each side of the regression of one derivative.

    Returns
    -------
    (N, D * (order + 1)) float32, array or tensor as given

    Notes
    -----
    Kaldi's ``add-deltas``: the filter of each order is convolved from the one before it, and the
    first and the last frame stand for those beyond the edges.
    """
    x, back = _as_tensor(features)
    step = np.arange(-window, window + 1) / sum(j * j for j in range(-window, window + 1))
    scales, blocks = np.ones(1), [x]
    for _ in range(order):
        scales = np.convolve(scales, step)
        context = _context(x, len(scales) // 2, len(scales) // 2)  # (N, W, D)
        blocks.append(torch.einsum("nwd,w->nd", context, torch.as_tensor(scales).to(x)))
    return back(torch.cat(blocks, dim=1))


def splice(features: Array, left: int, right: int) -> Array:
    """Set neighbouring frames side by side, the earliest first.

    Parameters
    ----------
    features : (N, D)
    left, right : int
        Frames before and after.

    Returns
    -------
    (N, D * (left + 1 + right)) float32, array or tensor as given

    Notes
    -----
    Kaldi's ``splice-feats``: beyond the edges the first or last frame is repeated.
    """
    x, back = _as_tensor(features)
    return back(_context(x, left, right).reshape(len(x), -1))


def _context(x: torch.Tensor, left: int, right: int) -> torch.Tensor:
    frames = torch.arange(len(x), device=x.device)[:, None]
    offsets = torch.arange(-left, right + 1, device=x.device)[None]
    return x[(frames + offsets).clamp(0, len(x) - 1)]  # (N, W, D)


def _as_tensor(features: Array) -> tuple[torch.Tensor, Callable[[torch.Tensor], Array]]:
    if isinstance(features, torch.Tensor):
        return features.float(), lambda x: x
    return torch.from_numpy(np.array(features, dtype=np.float32)), lambda x: x.numpy()


def _row(wave: np.ndarray | torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(wave).to(torch.float32)[None]  # (1, S)


def _framing(rate: float, options: FeatureOptions, own) -> dict:
    return dict(
        sample_frequency=float(rate),
        frame_length=options.frame_length,
        frame_shift=options.frame_shift,
        preemphasis_coefficient=options.preemphasis,
        dither=0.0,
        snip_edges=options.snip_edges,
        window_type=own.window,
        low_freq=own.low,
        high_freq=own.high,
    )


def _features(
    data: DataDirectory,
    kind: str,
    rate: int,
    options: FeatureOptions,
    threads: int,
) -> Iterator[tuple[str, np.ndarray]]:
    def compute(utterance: str) -> np.ndarray:
        wave = _read(data.wav[utterance], utterance, rate, options.frame_length)
        if options.dither:
            noise = np.random.default_rng(zlib.crc32(utterance.encode()))
            wave = wave + options.dither * noise.standard_normal(len(wave), dtype=np.float32)
        try:
            features = KINDS[kind](wave, rate, options).numpy()
        except (AssertionError, ValueError) as error:
            raise DataError(
                f"{data.wav[utterance]}: no {kind} of utterance {utterance} at {rate} Hz: "
                f"{error}; mend features.{kind} in the study"
            ) from error
        if not np.isfinite(features).all():
            raise DataError(f"{data.wav[utterance]}: {kind} of {utterance} hold a NaN or infinity")
        return features

    return _ordered_map(compute, sorted(data.wav), threads)


def _counted(
    items: Iterable[tuple[str, np.ndarray]],
    data: DataDirectory,
    kind: str,
    statistics: dict[str, np.ndarray],
    frames: dict[str, int],
) -> Iterator[tuple[str, np.ndarray]]:
    """Pass features on, sum the statistics of each speaker, compare the frames of the kinds."""
    watch = Stopwatch(len(data.wav))
    for number, (utterance, features) in enumerate(items, 1):
        if frames.setdefault(utterance, len(features)) != len(features):
            raise DataError(
                f"{kind} of utterance {utterance} have {len(features)} frames, those before "
                f"{frames[utterance]}; make both kinds with the same frame_length, frame_shift and "
                "snip_edges: the networks learn the labels of the one from the other"
            )
        own = cmvn_statistics([features])
        speaker = data.speaker[utterance]
        statistics[speaker] = statistics[speaker] + own if speaker in statistics else own
        left = watch.advance(1)
        if number % 1000 == 0 or number == len(data.wav):
            logger.info("%s: %d of %d utterances, %s", kind, number, len(data.wav), left)
        yield utterance, features


def _ordered_map(
    function: Callable[[str], np.ndarray], keys: list[str], threads: int
) -> Iterator[tuple[str, np.ndarray]]:
    if threads <= 1:
        for key in keys:
            yield key, function(key)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque = deque()
        try:
            for key in keys:
                waiting.append((key, pool.submit(function, key)))
                if len(waiting) >= 4 * threads:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _rate(data: DataDirectory) -> int:
    if not data.wav:
        raise DataError("no utterance to make features of; expected at least one")
    utterance = min(data.wav)
    try:
        return read_rate(data.wav[utterance])
    except SoundError as error:
        raise DataError(
            f"{data.wav[utterance]}: audio of utterance {utterance} cannot be read ({error.text}); "
            "replace the file or remove the utterance"
        ) from error


def _read(path: str, utterance: str, rate: int, frame_length: float) -> np.ndarray:
    try:
        wave, own_rate = read_samples(path)
    except SoundError as error:
        raise DataError(
            f"{path}: audio of utterance {utterance} cannot be read ({error.text}); "
            "replace the file or remove the utterance"
        ) from error
    name = f"{path}: utterance {utterance}"
    if wave.shape[1] != 1:
        raise DataError(f"{name} has {wave.shape[1]} channels; expected one: mix or choose one")
    if own_rate != rate:
        raise DataError(
            f"{name} is sampled at {own_rate} Hz; the first of its set is at {rate} Hz: resample it"
        )
    wave = wave[:, 0]
    if len(wave) < rate * frame_length / 1000:
        raise DataError(
            f"{name} has {len(wave)} samples at {rate} Hz, less than one frame of "
            f"{frame_length:g} ms; remove the utterance"
        )
    if not np.isfinite(wave).all():
        raise DataError(f"{name} holds a NaN or an infinity; replace the file")
    if wave.max() == wave.min():
        raise DataError(f"{name} is constant ({wave[0]:g}): no sound; replace or remove it")
    return wave * np.float32(FULL_SCALE)


def _check_variance(stats: np.ndarray, name: str) -> None:
    # below float32's own rounding of the sums, a variance says nothing
    mean = stats[0, :-1] / stats[0, -1]
    square = stats[1, :-1] / stats[0, -1]
    flat = np.flatnonzero(square - mean**2 <= 1e-6 * square)
    if len(flat):
        raise DataError(
            f"{name}: dimension {flat[0]} has no variance over {stats[0, -1]:.0f} frames "
            f"(mean {mean[flat[0]]:g}); look for silent or band-limited audio, or narrow the mel "
            "range (features.fbank.high, features.mfcc.high)"
        )
