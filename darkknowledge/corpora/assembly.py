"""From clean utterances to the data directory of a set: microphone, noise, level, files."""

import io
import itertools
import wave
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from darkknowledge.corpora import channel, conditions, mixing
from darkknowledge.corpora.mixing import RATE
from darkknowledge.corpora.seeds import generator
from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write
from darkknowledge.progress import Stopwatch, logger

_BLOCK = 48


class NoiseSource(Protocol):
    """Six noises, each as long as needed."""

    names: tuple[str, ...]

    def segment(self, index: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``length`` samples of a noise at any level."""
        ...


@dataclass(frozen=True)
class Clean:
    """An utterance before microphone and noise.

    Attributes
    ----------
    name : str
        Identity without the condition, starting with the speaker.
    speaker : str
    words : list of str
        In upper case.
    samples : (N,) float array
        At 16 kHz, full scale 1.
    """

    name: str
    speaker: str
    words: list[str]
    samples: np.ndarray


class Scene:
    """Where a set is recorded: its microphones, noises and ratios.

    What is drawn for an utterance depends on the seed, the set and the utterance alone.
    Conditions with the second microphone have the noise and ratio of their counterpart with the
    first, so that the microphone is all that differs.
    """

    def __init__(
        self, seed: int, set_name: str, noises: NoiseSource, snr: tuple[float, float]
    ) -> None:
        self.seed = seed
        self.set_name = set_name
        self.noises = noises
        self.snr = snr
        self.microphones = channel.Microphones(seed, set_name)

    def record(self, clean: Clean, condition: str) -> np.ndarray:
        """Return the samples of an utterance in a condition: (N,), within full scale."""
        rng = generator(self.seed, self.set_name, clean.name, "microphone")
        number = conditions.microphone(condition)
        filter_ = self.microphones.choose(number, rng)
        speech = channel.record(clean.samples, filter_)
        power = mixing.active_power(clean.samples)
        speech = mixing.scale_to(speech, power)
        index = conditions.noise_index(condition)
        if index is not None:
            rng, snr = self._ratio(clean.name, index)
            noise = self.noises.segment(index, len(speech), rng)
            speech = mixing.mix(speech, channel.record(noise, filter_), snr)
        return mixing.limit(speech)

    def ratio(self, name: str, condition: str) -> float | None:
        """Return the SNR in dB of an utterance in a condition; None where it is clean."""
        index = conditions.noise_index(condition)
        return None if index is None else self._ratio(name, index)[1]

    def _ratio(self, name: str, index: int) -> tuple[np.random.Generator, float]:
        rng = generator(self.seed, self.set_name, name, "noise", index)
        return rng, rng.uniform(*self.snr)


def wav_bytes(samples: np.ndarray) -> bytes:
    """Return a mono 16-bit wav file at 16 kHz of samples within full scale."""
    integers = np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(integers.tobytes())
    return buffer.getvalue()


def train_conditions(seed: int, clean_share: float) -> Iterator[str]:
    """Yield the conditions of training utterances, dealt in blocks of 48.

    A longer training set begins with the conditions of a shorter one.
    """
    for block in itertools.count():
        rng = generator(seed, "train conditions", block)
        yield from conditions.deal(_BLOCK, clean_share, rng)


def dev_conditions(seed: int) -> Iterator[str]:
    """Yield the conditions of dev utterances: all fourteen shuffled, again and again."""
    for block in itertools.count():
        rng = generator(seed, "dev conditions", block)
        yield from (conditions.CONDITIONS[i] for i in rng.permutation(len(conditions.CONDITIONS)))


def write_set(
    folder: str | Path,
    utterances: Iterable[Clean],
    scene: Scene,
    total_seconds: float,
    clean_share: float,
    threads: int = 1,
) -> DataDirectory:
    """Record utterances and write the data directory of a set.

    Parameters
    ----------
    folder : path
        The data directory; audio goes to its ``audio``.
    utterances : iterable of Clean
        For the test set each is recorded in all fourteen conditions, else in one.
    scene : Scene
    total_seconds : float
        Expected length of ``utterances``, for the progress lines.
    clean_share : float
        Share of training utterances without noise.
    threads : int
        Utterances recorded at once; the files do not depend on it.

    Raises
    ------
    DataError
        If an utterance appears twice, is silent, or there is none.
    """
    folder = Path(folder)
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    name = scene.set_name
    single = {
        "train": lambda: train_conditions(scene.seed, clean_share),
        "dev": lambda: dev_conditions(scene.seed),
    }
    one_each = single[name]() if name in single else None
    wav, text, speaker, condition, duration, snr = {}, {}, {}, {}, {}, {}
    watch = Stopwatch(total_seconds)
    told = 0.0

    def make(task: tuple[Clean, str]) -> tuple[str, Clean, str]:
        clean, label = task
        if not np.any(clean.samples):
            raise DataError(f"{clean.name} is silent; remove it or mend its audio")
        key = f"{clean.name}-c{label}"
        with atomic_write(audio / f"{key}.wav", "wb", durable=False) as file:
            file.write(wav_bytes(scene.record(clean, label)))
        return key, clean, label

    iterator = iter(utterances)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        while block := list(itertools.islice(iterator, _BLOCK if one_each else 4)):
            if one_each:
                tasks = [(clean, next(one_each)) for clean in block]
            else:
                tasks = [(clean, label) for clean in block for label in conditions.CONDITIONS]
            for key, clean, label in pool.map(make, tasks):
                if key in wav:
                    raise DataError(f"{folder}: utterance {key} appears twice; rename one")
                wav[key] = str(audio / f"{key}.wav")
                text[key] = clean.words
                speaker[key] = clean.speaker
                condition[key] = label
                duration[key] = len(clean.samples) / RATE
                if (ratio := scene.ratio(clean.name, label)) is not None:
                    snr[key] = ratio
            left = watch.advance(sum(len(clean.samples) for clean in block) / RATE)
            if watch.done >= told + total_seconds / 10:
                told = watch.done
                logger.info(
                    "%s set: %d utterances, %.1f min, %s",
                    name,
                    len(wav),
                    sum(duration.values()) / 60,
                    left,
                )
    if not wav:
        raise DataError(f"{folder}: no utterances")
    for stale in audio.iterdir():
        if stale.name not in {Path(path).name for path in wav.values()}:
            stale.unlink()
    data = DataDirectory(wav, text, speaker, condition, duration, snr)
    data.write(folder)
    logger.info(
        "%s set: %d utterances, %d speakers, %.1f min",
        name,
        len(wav),
        len(set(speaker.values())),
        sum(duration.values()) / 60,
    )
    return data
