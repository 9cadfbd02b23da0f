"""Levels of speech and noise, and their sum at a wanted ratio."""

import numpy as np

RATE = 16000
_PEAK = 0.98


def frame_powers(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    """Return the mean squares of 20 ms frames, the last one possibly shorter."""
    size = rate // 50
    starts = np.arange(0, len(samples), size)
    sums = np.add.reduceat(np.square(samples, dtype=np.float64), starts)
    return sums / np.diff(np.append(starts, len(samples)))


def active_power(samples: np.ndarray, rate: int = RATE) -> float:
    """Return the mean square over the frames in which something sounds.

    A frame is active if its power lies less than 15.9 dB below the active power itself, the
    margin of ITU-T P.56; found by iteration on frames of 20 ms.
    """
    powers = frame_powers(samples, rate)
    level = float(powers.mean())
    for _ in range(20):
        active = powers[powers > level * 10**-1.59]
        new = float(active.mean()) if len(active) else 0.0
        if new == level:
            break
        level = new
    return level


def scale_to(samples: np.ndarray, power: float) -> np.ndarray:
    """Scale samples to an active power; silence stays silence."""
    active = active_power(samples)
    return samples * np.sqrt(power / active) if active > 0 else samples


def mix(speech: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Add noise to speech.

    Parameters
    ----------
    speech, noise : (N,) arrays
        At one rate.
    snr : float
        Active power of the speech over mean power of the noise, in dB.

    Returns
    -------
    (N,) array
        Speech at its own level plus scaled noise. The peak is not limited here.
    """
    power = float(np.mean(np.square(noise)))
    if power == 0:
        raise ValueError("the noise is silent")
    gain = np.sqrt(active_power(speech) / (power * 10 ** (snr / 10)))
    return speech + gain * noise


def limit(samples: np.ndarray) -> np.ndarray:
    """Scale a signal down if its peak would clip; never up."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples * (_PEAK / peak) if peak > _PEAK else samples


def shaped_noise(
    length: int, gain: np.ndarray | None, rng: np.random.Generator, rate: int = RATE
) -> np.ndarray:
    """Return Gaussian noise of unit mean power with a spectrum.

    Parameters
    ----------
    length : int
        Samples.
    gain : (F,) array or None
        Amplitude over frequencies evenly spaced from 0 to half the rate; None is white.
    """
    white = rng.standard_normal(length)
    if gain is not None:
        spectrum = np.fft.rfft(white)
        grid = np.linspace(0, len(gain) - 1, len(spectrum))
        white = np.fft.irfft(spectrum * np.interp(grid, np.arange(len(gain)), gain), length)
    return white / np.sqrt(np.mean(white**2))
