"""Microphones: smooth frequency responses as short filters."""

from collections.abc import Callable

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.signal import oaconvolve

from darkknowledge.corpora.mixing import RATE
from darkknowledge.corpora.seeds import generator

TAPS = 512
SECOND_MICROPHONES = {"train": 12, "dev": 4, "test": 6}


def _high_pass(frequency: np.ndarray, corner: float, order: int) -> np.ndarray:
    return -10 * np.log10(1 + (corner / np.maximum(frequency, 1.0)) ** (2 * order))


def _low_pass(frequency: np.ndarray, corner: float, order: int) -> np.ndarray:
    return -10 * np.log10(1 + (frequency / corner) ** (2 * order))


def first_response(frequency: np.ndarray) -> np.ndarray:
    """Return the first microphone's gain in dB: flat from 80 Hz to 7 kHz."""
    return _high_pass(frequency, 60.0, 2) + _low_pass(frequency, 7600.0, 8)


def second_response(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Draw a second microphone: its gain in dB as a function of frequency.

    Random gains (4 dB) at nine frequencies joined on a logarithmic axis, one resonance of 3 to
    9 dB, a low corner between 80 and 300 Hz and a high one between 3 and 6.5 kHz.
    """
    knots = np.log(np.array([60, 150, 300, 600, 1200, 2400, 3800, 5500, 8000.0]))
    gains = np.clip(rng.normal(0, 4, len(knots)), -8, 8)
    curve = PchipInterpolator(knots, gains)
    low, high = rng.uniform(80, 300), rng.uniform(3000, 6500)
    order = int(rng.integers(1, 4))
    peak, centre, width = rng.uniform(3, 9), rng.uniform(900, 4000), rng.uniform(0.15, 0.4)

    def response(frequency: np.ndarray) -> np.ndarray:
        octave = np.log(np.maximum(frequency, 20.0))
        smooth = curve(np.clip(octave, knots[0], knots[-1]))
        bell = peak * np.exp(-0.5 * ((octave - np.log(centre)) / width) ** 2)
        return smooth + bell + _high_pass(frequency, low, 2) + _low_pass(frequency, high, order)

    return response


def minimum_phase(response: Callable[[np.ndarray], np.ndarray], taps: int = TAPS) -> np.ndarray:
    """Return the minimum-phase filter of a gain in dB, by the real cepstrum.

    Source: Oppenheim and Schafer, Discrete-Time Signal Processing, section 13.
    """
    size = 8 * taps
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    log_gain = np.maximum(response(frequency), -80.0) * np.log(10) / 20
    cepstrum = np.fft.irfft(log_gain, size)
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    filter_ = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), size)[:taps]
    fade = taps // 4
    filter_[-fade:] *= 0.5 * (1 + np.cos(np.linspace(0, np.pi, fade)))
    return filter_


class Microphones:
    """The first microphone and a set's own second microphones.

    Training, dev and test draw different second microphones from one family.
    """

    def __init__(self, seed: int, set_name: str):
        self.first = minimum_phase(first_response)
        self.second = [
            minimum_phase(second_response(generator(seed, set_name, "microphone", number)))
            for number in range(SECOND_MICROPHONES[set_name])
        ]

    def choose(self, microphone: int, rng: np.random.Generator) -> np.ndarray:
        """Return the filter of microphone 1, or one of the second microphones."""
        return self.first if microphone == 1 else self.second[rng.integers(len(self.second))]


def record(samples: np.ndarray, filter_: np.ndarray) -> np.ndarray:
    """Return what a microphone makes of a sound: (N,) to (N,)."""
    return oaconvolve(samples, filter_)[: len(samples)]
