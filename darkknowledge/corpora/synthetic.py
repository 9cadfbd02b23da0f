"""A noisy corpus from a synthesiser: voices, sentences, lexicon, text."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from darkknowledge.corpora import espeak, mixing, pronunciations
from darkknowledge.corpora.assembly import Clean, Scene, write_set
from darkknowledge.corpora.espeak import Request, Synthesiser
from darkknowledge.corpora.mixing import RATE
from darkknowledge.corpora.noise import SyntheticNoise
from darkknowledge.corpora.options import SyntheticOptions
from darkknowledge.corpora.seeds import generator, seed_of
from darkknowledge.corpora.sentences import sample, sample_distinct, vocabulary
from darkknowledge.errors import DataError
from darkknowledge.files import write_lines
from darkknowledge.progress import logger

# Voice variants of espeak-ng that sound like people (no robots, whispers or croaks), one of
# each group that differs in little.
FEMALE = """f1 f2 f3 f4 f5 Andrea Annie anika aunty belinda grandma linda steph Nguyen""".split()
MALE = """m1 m2 m3 m4 m5 m6 m7 m8 Alex Andy Denis Diogo Gene Henrique Hugo Lee Mario Michael
    Mike Reed adam antonio boris david ed edward2 grandpa gustave iven iven4 john klatt4 marcelo max
    michel miguel norbert pablo paul pedro quincy rob robert sandro travis victor""".split()
_BABBLE_VOICES = 6
_LEVEL = 10 ** (-26 / 10)
_FLOOR = 10 ** (-50 / 10)
_PREFIX = {"train": "tr", "dev": "dv", "test": "te", "babble": "bb"}


@dataclass(frozen=True)
class Speaker:
    """A way of speaking: espeak-ng voice (accent and variant), rate, pitch and its range."""

    name: str
    voice: str
    rate: int
    pitch: int
    range: int

    def request(self, text: str, seed: int) -> Request:
        """Return what makes this speaker say a text."""
        return Request(text, self.voice, self.rate, self.pitch, self.range, seed)


Say = Callable[[Speaker, int, str], Clean]


def speakers(options: SyntheticOptions) -> dict[str, list[Speaker]]:
    """Return the speakers of babble, test, dev and train.

    The variants of one set are in no other; about a quarter of each set are women's.
    """
    rng = generator(options.seed, "speakers")
    women, men = list(rng.permutation(FEMALE)), list(rng.permutation(MALE))
    share = len(women) / (len(women) + len(men))
    sizes = {
        "babble": _BABBLE_VOICES,
        "test": options.test_speakers,
        "dev": options.dev_speakers,
        "train": options.train_speakers,
    }
    result: dict[str, list[Speaker]] = {}
    for name, size in sizes.items():
        if name == "train":
            pool = [str(v) for v in rng.permutation(women + men)]
        else:
            count = min(size, max(round(size * share), 1 if size > 1 else 0))
            pool = [women.pop() for _ in range(count)] + [men.pop() for _ in range(size - count)]
        accents = list(itertools.islice(itertools.cycle(options.accents), size))
        rng.shuffle(accents)
        digits = max(2, len(str(size)))
        result[name] = [
            Speaker(
                name=f"{_PREFIX[name]}{number:0{digits}d}",
                voice=f"{accents[number]}+{pool[number % len(pool)]}",
                rate=int(rng.integers(*sorted(options.words_per_minute), endpoint=True)),
                pitch=int(rng.integers(32, 69)),
                range=int(rng.integers(30, 76)),
            )
            for number in range(size)
        ]
    return result


def waveform(data: bytes) -> np.ndarray:
    """Return the synthesiser's bytes as samples at 16 kHz, full scale 1."""
    samples = np.frombuffer(data, dtype="<i2").astype(np.float64) / 32768
    return resample_poly(samples, RATE // 50, espeak.RATE // 50)


def _pauses(rng: np.random.Generator) -> tuple[int, int]:
    """Draw the samples of silence before and after an utterance."""
    before, after = (int(seconds * RATE) for seconds in rng.uniform(0.1, 0.3, 2))
    return before, after


def finish(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put speech between pauses of 0.1 to 0.3 s, at about -26 dB, over a faint noise floor."""
    before, after = _pauses(rng)
    level = _LEVEL * 10 ** (rng.uniform(-4, 4) / 10)
    speech = np.pad(mixing.scale_to(samples, level), (before, after))
    tilt = 1 / np.sqrt(np.linspace(0.05, 1, 257))
    floor = mixing.shaped_noise(len(speech), tilt, rng)
    return mixing.limit(speech + floor * math.sqrt(level * _FLOOR))


def _clean(
    seed: int, synthesiser: Synthesiser, speaker: Speaker, number: int, sentence: str
) -> Clean:
    name = f"{speaker.name}-{number:04d}"
    data = synthesiser.speak(speaker.request(sentence, seed_of(seed, name, "speech")))
    samples = finish(waveform(data), generator(seed, name, "finish"))
    return Clean(name, speaker.name, sentence.upper().split(), samples)


def _babble_voices(options: SyntheticOptions, set_name: str, synthesiser: Synthesiser) -> list:
    """Return about 20 s of running speech of each babble voice, other sentences in each set."""
    voices = []
    for speaker in speakers(options)["babble"]:
        rng = generator(options.seed, "babble", set_name, speaker.name)
        parts = []
        while sum(map(len, parts)) < 20 * RATE:
            seed = int(rng.integers(2**31))
            parts.append(waveform(synthesiser.speak(speaker.request(sample(rng), seed))))
        voice = np.concatenate(parts)
        voices.append(voice / math.sqrt(mixing.active_power(voice)))
    return voices


def held_out(options: SyntheticOptions) -> dict[str, list[str]]:
    """Return the sentences of test and dev, all different."""
    test = sample_distinct(options.test_utterances, generator(options.seed, "test sentences"))
    dev = sample_distinct(options.dev_utterances, generator(options.seed, "dev sentences"), test)
    return {"test": test, "dev": dev}


def _train_sentences(options: SyntheticOptions, without: set[str]) -> Iterator[str]:
    rng = generator(options.seed, "train sentences")
    seen = set(without)
    while True:
        sentence = sample(rng)
        if sentence not in seen:
            seen.add(sentence)
            yield sentence


def _utterances(options: SyntheticOptions, set_name: str, say: Say) -> Iterator[Clean]:
    held = held_out(options)
    team = speakers(options)[set_name]
    if set_name != "train":
        for number, sentence in enumerate(held[set_name]):
            yield say(team[number % len(team)], number // len(team), sentence)
        return
    seconds = 0.0
    for number, sentence in enumerate(_train_sentences(options, {*held["test"], *held["dev"]})):
        if seconds >= 60 * options.train_minutes:
            return
        clean = say(team[number % len(team)], number // len(team), sentence)
        seconds += len(clean.samples) / RATE
        yield clean


def phone_times(
    options: SyntheticOptions, set_name: str
) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """Yield the true phones of the utterances of a set, as the synthesiser places them.

    Parameters
    ----------
    options : SyntheticOptions
    set_name : {"train", "dev", "test"}

    Yields
    ------
    name : str
        Of the utterance, without its condition.
    phones : list of (phone, seconds)
        What begins where; ``SIL`` for a pause within the sentence, NaN for the second phone of
        a phoneme that is two phones of the lexicon.
    """
    places: list[tuple[str, float]] = []

    with Synthesiser() as synthesiser:

        def say(speaker: Speaker, number: int, sentence: str) -> Clean:
            clean = _clean(options.seed, synthesiser, speaker, number, sentence)
            request = speaker.request(sentence, seed_of(options.seed, clean.name, "speech"))
            before, _ = _pauses(generator(options.seed, clean.name, "finish"))
            accent = speaker.voice.partition("+")[0]
            places.clear()
            for sample_, phoneme in synthesiser.phoneme_times(request):
                names = pronunciations.phones(phoneme, accent) or ("SIL",)
                places.append((names[0], before / RATE + sample_ / espeak.RATE))
                places.extend((name, math.nan) for name in names[1:])
            return clean

        for clean in _utterances(options, set_name, say):
            yield clean.name, list(places)


def make_set(
    options: SyntheticOptions, set_name: str, folder: str | Path, threads: int = 1
) -> None:
    """Make the data directory of a set; see `darkknowledge.corpora.make_set`."""
    expected = {
        "train": 60 * options.train_minutes,
        "dev": 3.2 * options.dev_utterances,
        "test": 3.2 * options.test_utterances,
    }
    with Synthesiser() as synthesiser:
        noises = SyntheticNoise(_babble_voices(options, set_name, synthesiser))
        snr = options.test_snr if set_name == "test" else options.train_snr
        write_set(
            folder,
            _utterances(options, set_name, partial(_clean, options.seed, synthesiser)),
            Scene(options.seed, set_name, noises, snr),
            expected[set_name],
            options.train_clean_share,
            threads,
        )


def lexicon(
    sentences: list[str], accents: tuple[str, ...], most: int
) -> dict[str, list[tuple[str, ...]]]:
    """Return the pronunciations of the grammar's words, as the accents say them in sentences.

    Parameters
    ----------
    sentences : list of str
        Examples; a word that none holds is taken as said alone.
    accents : tuple of str
        espeak-ng voices, counted alike.
    most : int
        Most pronunciations of a word; those below 4 % of its uses are left out.
    """
    counts: dict[str, Counter[tuple[str, ...]]] = {word: Counter() for word in vocabulary()}
    with Synthesiser() as synthesiser:
        for accent in accents:
            spoken = synthesiser.phonemes(accent, sentences)
            found = pronunciations.count_pronunciations(sentences, spoken, accent)
            for word, counter in found.items():
                counts[word].update(counter)
        for word in [word for word, counter in counts.items() if not counter]:
            for accent in accents:
                counts[word][pronunciations.phones(synthesiser.phonemes(accent, [word])[0])] += 1
    lacking = [word for word, counter in counts.items() if not any(counter)]
    if lacking:
        raise DataError(f"espeak-ng says nothing for {', '.join(lacking)}; mend the word lists")
    return {word: pronunciations.choose(counter, most, 0.04) for word, counter in counts.items()}


def make_language(options: SyntheticOptions, folder: str | Path) -> None:
    """Write lexicon and text; see `darkknowledge.corpora.make_language`."""
    held = held_out(options)
    text = sample_distinct(
        options.lm_sentences,
        generator(options.seed, "lm sentences"),
        {*held["test"], *held["dev"]},
    )
    entries = lexicon(text[:3000], options.accents, options.pronunciations)
    folder = Path(folder)
    write_lines(
        folder / "lexicon.txt",
        (
            f"{word.upper()} {' '.join(pronunciation)}"
            for word, alternatives in sorted(entries.items())
            for pronunciation in alternatives
        ),
    )
    write_lines(folder / "lm_text.txt", (sentence.upper() for sentence in text))
    logger.info(
        "language: %d words, %d pronunciations, %d phones, %d sentences",
        len(entries),
        sum(map(len, entries.values())),
        len({p for a in entries.values() for x in a for p in x}),
        len(text),
    )
