"""Six synthetic noises that differ in spectrum and in time, and recorded noise."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from darkknowledge.corpora.mixing import RATE, active_power, frame_powers, shaped_noise
from darkknowledge.errors import DataError
from darkknowledge.sound import read_samples

_FREQUENCY = np.linspace(0, RATE / 2, 1025)


def _wander(
    length: int, knots_per_second: float, rng: np.random.Generator, deviation: float = 1.0
) -> np.ndarray:
    """Return a slowly wandering Gaussian curve: cosine steps between random heights."""
    spacing = RATE / knots_per_second
    count = int(length / spacing) + 3
    heights = rng.normal(0, deviation, count)
    place = np.arange(length) / spacing + rng.uniform()
    low = place.astype(int)
    weight = 0.5 - 0.5 * np.cos(np.pi * (place - low))
    return heights[low] * (1 - weight) + heights[low + 1] * weight


def car(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return the inside of a car: a steady rumble, engine harmonics, tyres."""
    rumble = shaped_noise(length, 1 / (1 + (_FREQUENCY / 110) ** 2), rng)
    tyres = shaped_noise(
        length, np.exp(-0.5 * (np.log2(np.maximum(_FREQUENCY, 1) / 700) / 0.9) ** 2), rng
    )
    turns = rng.uniform(22, 45) * (1 + 0.02 * _wander(length, 0.7, rng))
    phase = 2 * np.pi * np.cumsum(turns) / RATE
    engine = sum(
        np.sin(k * phase + rng.uniform(0, 2 * np.pi)) / k**0.7 for k in (2, 3, 4, 6, 8, 10)
    )
    engine /= np.sqrt(np.mean(engine**2))
    return rumble + rng.uniform(0.25, 0.45) * tyres + rng.uniform(0.3, 0.6) * engine


def street(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return a street: pink noise that swells as vehicles pass, and a horn at times."""
    pink = shaped_noise(length, 1 / np.sqrt(np.maximum(_FREQUENCY, 60)), rng)
    passing = shaped_noise(
        length, np.exp(-0.5 * (np.log2(np.maximum(_FREQUENCY, 1) / 1000) / 1.2) ** 2), rng
    )
    swell = 10 ** (_wander(length, 0.8, rng, 7.0) / 20)
    out = 0.7 * pink + passing * swell
    time = np.arange(length) / RATE
    for _ in range(rng.poisson(length / RATE / 6)):
        start, span = rng.uniform(0, length / RATE), rng.uniform(0.15, 0.6)
        inside = (time >= start) & (time < start + span)
        tone = rng.uniform(320, 480)
        horn = sum(
            np.sin(2 * np.pi * tone * r * k * time) / k for r in (1, 1.26) for k in (1, 2, 3)
        )
        out += 0.9 * inside * horn * np.sin(np.pi * np.clip((time - start) / span, 0, 1)) ** 0.3
    return out


def wind(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return wind: gusts of low noise, and a whistle that rises with them."""
    gust = 10 ** (_wander(length, 2.0, rng, 9.0) / 20)
    flutter = 10 ** (_wander(length, 14.0, rng, 3.0) / 20)
    low = shaped_noise(length, 1 / (1 + (_FREQUENCY / 180) ** 1.5), rng)
    air = shaped_noise(length, 1 / (1 + (_FREQUENCY / 1500) ** 2), rng)
    centre = 500 * 2 ** (_wander(length, 1.0, rng, 0.4))
    carrier = np.sin(2 * np.pi * np.cumsum(centre) / RATE)
    whistle = carrier * shaped_noise(length, 1 / (1 + (_FREQUENCY / 60) ** 4), rng)
    return (low * flutter + 0.25 * air + 0.15 * whistle * gust**0.5) * gust


def machinery(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return a machine: a hammering cycle that rings, mains hum, a steady hiss."""
    cycle = rng.uniform(5, 12)
    beat = np.zeros(length)
    step = RATE / cycle
    accents = rng.uniform(0.3, 1.0, int(rng.integers(2, 5)))
    place, number = rng.uniform(0, step), 0
    while place < length:
        beat[int(place)] += accents[number % len(accents)]
        place += step * (1 + 0.01 * rng.normal())
        number += 1
    time = np.arange(int(0.12 * RATE)) / RATE
    ring = sum(
        rng.uniform(0.4, 1)
        * np.sin(2 * np.pi * f * time)
        * np.exp(-time / rng.uniform(0.006, 0.03))
        for f in rng.uniform(600, 5000, 5)
    ) + rng.normal(0, 0.6, len(time)) * np.exp(-time / 0.008)
    hammer = np.fft.irfft(
        np.fft.rfft(beat, length + len(ring)) * np.fft.rfft(ring, length + len(ring)),
        length + len(ring),
    )[:length]
    seconds = np.arange(length) / RATE
    mains = rng.choice([50.0, 60.0])
    hum = sum(
        rng.uniform(0.2, 1) * np.sin(2 * np.pi * mains * k * seconds + rng.uniform(0, 6.28))
        for k in (1, 2, 3, 4, 6, 8, 12)
    )
    hiss = shaped_noise(
        length, np.exp(-0.5 * (np.log2(np.maximum(_FREQUENCY, 1) / 2500) / 0.8) ** 2), rng
    )
    hammer /= np.sqrt(np.mean(hammer**2)) + 1e-9
    hum /= np.sqrt(np.mean(hum**2))
    return hammer + 0.5 * hum + 0.35 * hiss


def music(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return music-like tones: chords, a melody and a bass of plucked harmonics, in time."""
    beat = 60 / rng.uniform(90, 150)
    root = 110 * 2 ** (rng.integers(12) / 12)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if rng.uniform() < 0.5 else [0, 2, 3, 5, 7, 8, 10])
    bright = rng.uniform(0.5, 0.8)
    out = np.zeros(length + 2 * RATE)

    def note(start: float, degree: int, octave: int, span: float, level: float) -> None:
        pitch = root * 2 ** (octave + degree // 7 + scale[degree % 7] / 12)
        time = np.arange(int(min(span * 1.6, 1.8) * RATE)) / RATE
        tone = sum(
            bright ** (k - 1) * np.sin(2 * np.pi * pitch * k * time)
            for k in range(1, 9)
            if pitch * k < 7500
        )
        envelope = np.minimum(time / 0.008, 1) * np.exp(-time / (0.6 * span + 0.1))
        place = int(start * RATE)
        out[place : place + len(time)] += (level * tone * envelope)[: len(out) - place]

    now, degree = -rng.uniform(0, beat), int(rng.integers(7))
    count = 0
    while now < length / RATE:
        if count % 4 == 0:
            chord = int(rng.integers(7))
            for third in (0, 2, 4):
                note(max(now, 0), chord + third, 1, 4 * beat, 0.35)
            note(max(now, 0), chord, 0, 2 * beat, 0.6)
        for half in range(2):
            if rng.uniform() < 0.75:
                degree = int(np.clip(degree + rng.integers(-2, 3), 0, 13))
                note(max(now + half * beat / 2, 0), degree, 2, beat / 2, 0.7)
        now += beat
        count += 1
    return out[:length] + 1e-3 * rng.standard_normal(length)


def babble(
    length: int, rng: np.random.Generator, voices: list[np.ndarray], talkers: int = 6
) -> np.ndarray:
    """Return several talkers at once.

    Parameters
    ----------
    voices : list of (M,) arrays
        Running speech of each voice at one level; parts of it are taken at random.
    talkers : int
        How many speak at once.
    """
    out = np.zeros(length)
    for _ in range(talkers):
        voice = voices[rng.integers(len(voices))]
        start = rng.integers(len(voice))
        part = np.take(voice, np.arange(start, start + length), mode="wrap")
        out += part * 10 ** (rng.uniform(-4, 4) / 20)
    return out


SYNTHETIC = ("babble", "car", "street", "wind", "machinery", "music")


class SyntheticNoise:
    """The six synthetic noises of one set.

    Parameters
    ----------
    voices : list of (M,) arrays
        Running speech for babble, of voices that are in no set.
    """

    names = SYNTHETIC

    def __init__(self, voices: list[np.ndarray]):
        self._makers: tuple[Callable[[int, np.random.Generator], np.ndarray], ...] = (
            lambda length, rng: babble(length, rng, voices),
            car,
            street,
            wind,
            machinery,
            music,
        )

    def segment(self, index: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Return so many samples of a noise, drawn anew by each generator."""
        return self._makers[index](length, rng)


def split_recordings(
    files: list[Path], folds: tuple[tuple[int, ...], ...]
) -> tuple[list[Path], list[Path], list[Path]]:
    """Split the recordings of a class over train, dev and test.

    Parameters
    ----------
    files : list of Path
        If every name starts with a figure and a hyphen, that figure is the fold of its source,
        as in ESC-10 and ESC-50; else the stems are put in the order of a hash and cut 3 : 1 : 1.
    folds : three tuples of int
        The folds of train, dev and test.

    Returns
    -------
    three lists of Path
        Sorted; no file stands in two of them.
    """
    figures = [re.match(r"(\d+)-", file.name) for file in files]
    if files and all(figures):
        place = {file: int(figure[1]) for file, figure in zip(files, figures, strict=True)}
        parts = [[file for file in files if place[file] in part] for part in folds]
    else:
        order = sorted(files, key=lambda f: hashlib.sha256(f.stem.encode()).hexdigest())
        fifth = max(1, round(len(order) / 5))
        cut = len(order) - 2 * fifth
        parts = [order[:cut], order[cut : cut + fifth], order[cut + fifth :]]
    train, dev, test = (sorted(part) for part in parts)
    return train, dev, test


def without_silence(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    """Cut leading and trailing frames more than 60 dB below the active level."""
    powers = frame_powers(samples, rate)
    active = np.flatnonzero(powers > 1e-6 * active_power(samples, rate))
    size = rate // 50
    return samples[active[0] * size : (active[-1] + 1) * size] if len(active) else samples[:0]


def read_recording(path: Path) -> np.ndarray:
    """Read a noise recording: one channel, 16 kHz, silent ends cut, unit active power."""
    samples, rate = read_samples(path, "float64")
    samples = samples.mean(axis=1)
    if rate != RATE:
        common = int(np.gcd(rate, RATE))
        samples = resample_poly(samples, RATE // common, rate // common)
    samples = without_silence(samples)
    power = active_power(samples) if len(samples) else 0.0
    return (samples / np.sqrt(power)).astype(np.float32) if power > 0 else samples[:0]


def looped(samples: np.ndarray, length: int, start: int, fade: int = RATE // 5) -> np.ndarray:
    """Return a stretch of a recording that goes on for ever, its end faded into its beginning."""
    fade = min(fade, len(samples) // 4)
    body = samples[: len(samples) - fade].astype(np.float64)
    if fade:
        ramp = np.sqrt(np.linspace(0, 1, fade))
        body[:fade] = body[:fade] * ramp + samples[len(samples) - fade :] * ramp[::-1]
    return np.take(body, np.arange(start, start + length), mode="wrap")


class RecordedNoise:
    """Recordings of six classes, those of one set.

    Parameters
    ----------
    recordings : list of lists of (M,) arrays
        The recordings of each class, at unit power.
    names : tuple of str
        The classes.
    """

    def __init__(self, recordings: list[list[np.ndarray]], names: tuple[str, ...]):
        self.recordings = recordings
        self.names = names

    def segment(self, index: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Return so many samples of one recording of a class, from a random place on.

        A stretch that is nearly silent (20 dB below the recording) is drawn again.
        """
        recordings = self.recordings[index]
        if not recordings:
            raise DataError(f"noise {self.names[index]}: no recording is left for this set")
        for _ in range(20):
            samples = recordings[rng.integers(len(recordings))]
            part = looped(samples, length, int(rng.integers(len(samples))))
            if np.mean(part**2) > 0.01:
                break
        return part
