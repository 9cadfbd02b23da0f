"""Audio of any kind as a recogniser expects it."""

import math
from pathlib import Path

import numpy as np
import torch
import torchaudio

from darkknowledge.errors import DataError
from darkknowledge.features import FULL_SCALE
from darkknowledge.progress import logger
from darkknowledge.sound import SoundError, read_samples

LONGEST = 30.0
SHORTEST = 12.0
PAUSE = 0.4
LARGEST_FILTER = 1 << 24  # weights of the filters between two rates


def read_audio(path: str | Path, rate: int) -> np.ndarray:
    """Read a recording as one channel at a rate.

    Channels are averaged, the offset is taken off, samples that are no numbers become silence.

    Parameters
    ----------
    path : path
    rate : int
        Samples per second that are wanted.

    Returns
    -------
    float32 array (S,)
        On the scale of 16-bit integers.

    Raises
    ------
    DataError
        If the file cannot be read or is empty.
    """
    try:
        wave, own = read_samples(path)
    except SoundError as error:
        raise DataError(f"{path}: cannot be read as audio ({error.text})") from error
    wrong = ~np.isfinite(wave)
    if wrong.any():
        logger.warning("%s: %d samples are no numbers; taken for silence", path, wrong.sum())
        wave = np.where(wrong, np.float32(0), wave)
    if own < rate:
        logger.warning(
            "%s: sampled at %d Hz, less than the %d Hz of the training: worse results",
            path,
            own,
            rate,
        )
    mono = wave.mean(1, dtype=np.float64)
    mono = torch.from_numpy((mono - mono.mean()).astype(np.float32))
    common = math.gcd(own, rate)
    if own // common * (rate // common) > LARGEST_FILTER:
        raise DataError(
            f"{path}: sampled at {own} Hz, from which there is no short way to {rate} Hz; convert "
            "it to a common rate, such as 16000 or 48000 Hz"
        )
    if own != rate:
        mono = torchaudio.functional.resample(mono, own, rate)
    return mono.numpy() * np.float32(FULL_SCALE)


def cut(wave: np.ndarray, rate: int) -> list[slice]:
    """Cut a long recording where it is quietest.

    Parameters
    ----------
    wave : float array (S,)
    rate : int
        Samples per second.

    Returns
    -------
    list of slice
        Of the samples; together they are the recording, none is longer than half a minute.
    """
    half = int(PAUSE * rate / 2)
    energy = np.cumsum(np.square(wave, dtype=np.float64))
    starts = [0]
    while len(wave) - starts[-1] > LONGEST * rate:
        low, high = (starts[-1] + int(bound * rate) for bound in (SHORTEST, LONGEST))
        around = energy[low + half : high] - energy[low : high - half]
        # the middle of the quietest moment; of equally quiet ones the last
        starts.append(high - 1 - half // 2 - int(around[::-1].argmin()))
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(wave)], strict=True)]
