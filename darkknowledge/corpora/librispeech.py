"""Real speech in LibriSpeech's layout, recorded noise, a pronouncing dictionary and books."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darkknowledge.corpora import checks, noise
from darkknowledge.corpora.assembly import Clean, Scene, write_set
from darkknowledge.corpora.checks import Door, Fault
from darkknowledge.corpora.mixing import RATE
from darkknowledge.corpora.normalise import sentences
from darkknowledge.corpora.options import LibrispeechOptions
from darkknowledge.corpora.recordings import Recording, write_recordings
from darkknowledge.corpora.seeds import generator
from darkknowledge.errors import DataError
from darkknowledge.files import read_lines, reading, write_lines
from darkknowledge.lexicon import copy_lexicon, read_lexicon
from darkknowledge.progress import logger

UNKNOWN = "<UNK>"
SPOKEN_NOISE = "SPN"
_AUDIO = (".flac", ".wav", ".ogg")


@dataclass(frozen=True)
class Source:
    """An utterance as it stands in the corpus: identity, speaker, audio file, words."""

    name: str
    speaker: str
    path: Path
    words: list[str]


def set_speakers(options: LibrispeechOptions) -> dict[str, list[str]]:
    """Return the speakers of each set, sorted; train are all who are in no other.

    Raises
    ------
    DataError
        If a speaker of the dev or test set has no folder, or no one is left to train.
    """
    root = options.path(options.speech)
    there = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    for key in ("dev_speakers", "test_speakers"):
        lacking = sorted(set(getattr(options, key)) - set(there))
        if lacking:
            raise DataError(
                f"{key}: {root} has no folder for {', '.join(lacking)}; "
                f"it has {', '.join(there) or 'none'}"
            )
    held = {*options.dev_speakers, *options.test_speakers}
    train = [speaker for speaker in there if speaker not in held]
    if not train:
        raise DataError(f"{root}: all speakers are in dev or test; no one is left to train")
    return {
        "train": train,
        "dev": sorted(options.dev_speakers),
        "test": sorted(options.test_speakers),
    }


def read_transcripts(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield identity and words of each line of a ``.trans.txt`` file.

    Raises
    ------
    DataError
        If the file is not UTF-8.
    """
    lines = read_lines(path)
    for line in lines:
        fields = line.split()
        if fields:
            yield fields[0], fields[1:]


def find_utterances(root: Path, speakers: list[str], door: Door) -> list[Source]:
    """Return the utterances of speakers that have both audio and a transcript, sorted.

    Transcripts without audio or words, audio without a transcript, and identities that appear
    twice go to the door.
    """
    found: dict[str, Source] = {}
    for speaker in speakers:
        texts: dict[str, tuple[Path, list[str]]] = {}
        audio: dict[str, Path] = {}
        for path in sorted((root / speaker).rglob("*.trans.txt")):
            for name, words in read_transcripts(path):
                if name in texts:
                    door.add(Fault("duplicate", name, f"in {texts[name][0]} and in {path}"))
                elif not words:
                    door.add(Fault("no_transcript", name, f"its line in {path} has no words"))
                    texts[name] = (path, [])
                else:
                    texts[name] = (path, words)
        for path in sorted((root / speaker).rglob("*")):
            if path.suffix.lower() in _AUDIO:
                if path.stem in audio:
                    text = f"{audio[path.stem]} and {path}"
                    door.add(Fault("duplicate", path.stem, text))
                    continue
                audio[path.stem] = path
        for name in sorted(texts.keys() - audio.keys()):
            door.add(Fault("no_audio", name, f"{texts[name][0]} has a line, no audio file"))
        for name in sorted(audio.keys() - texts.keys()):
            door.add(Fault("no_transcript", str(audio[name]), "no transcript has its name"))
        for name in sorted(texts.keys() & audio.keys()):
            if not name.startswith(f"{speaker}-"):
                text = f"stands in the folder of speaker {speaker}, whose names it must begin with"
                door.add(Fault("duplicate", name, text))
            elif texts[name][1]:
                found[name] = Source(name, speaker, audio[name], texts[name][1])
    return [found[name] for name in sorted(found)]


def read_dictionary(path: Path) -> dict[str, list[tuple[str, ...]]]:
    """Read a dictionary in CMUdict's format: upper-case words, phones without stress marks.

    Raises
    ------
    DataError
        If the file is absent, or a line has a word and no phones.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; get CMUdict (https://github.com/cmusphinx/cmudict) and put "
            "it there, or set `dictionary`"
        )
    entries: dict[str, list[tuple[str, ...]]] = {}
    for number, line in enumerate(read_lines(path), 1):
        if line.startswith(";;;") or not line.strip():
            continue
        word, *phones = line.split("#")[0].split() or [""]
        if not phones:
            raise DataError(f"{path}:{number}: {word!r} has no phones; add them or remove the line")
        word = re.sub(r"\(\d+\)$", "", word).upper()
        pronunciation = tuple(phone.rstrip("0123456789") for phone in phones)
        alternatives = entries.setdefault(word, [])
        if pronunciation not in alternatives:
            alternatives.append(pronunciation)
    return entries


def read_pronunciations(options: LibrispeechOptions) -> dict[str, list[tuple[str, ...]]]:
    """Return the pronunciations of words: of the lexicon if there is one, else the dictionary."""
    if options.lexicon is not None:
        return read_lexicon(options.path(options.lexicon))
    return read_dictionary(options.path(options.dictionary))


def read_texts(options: LibrispeechOptions) -> list[list[str]]:
    """Return the normalised sentences of the language model's text.

    Raises
    ------
    DataError
        If a file or folder is absent, not UTF-8 or Latin-1, or holds no sentence.
    """
    found: list[list[str]] = []
    for file in options.text_files():
        with reading(file):
            data = file.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        before = len(found)
        found.extend(sentences(text))
        if len(found) == before:
            raise DataError(f"{file}: no sentence; remove it from lm_text, or mend it")
    return found


def _noise(options: LibrispeechOptions, set_name: str, door: Door) -> noise.RecordedNoise:
    part = ("train", "dev", "test").index(set_name)
    recordings = []
    for name in options.noise_classes:
        folder = options.path(options.noise) / name
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _AUDIO)
        own = noise.split_recordings(files, options.noise_folds)[part]
        good = []
        for path in own:
            samples, faults = checks.read_audio(path, None, None, None, clipping=False)
            door.add(*faults)
            if samples is not None:
                good.append(noise.read_recording(path))
        if not own:
            raise DataError(
                f"{folder}: none of its {len(files)} recordings is for the {set_name} set; add "
                "recordings, or change noise_folds"
            )
        recordings.append(good)
    return noise.RecordedNoise(recordings, options.noise_classes)


def choose(
    sources: list[tuple[Source, float]], count: int, seed: int, longest: float
) -> list[tuple[Source, float]]:
    """Choose utterances by seed, spread evenly over the speakers.

    Parameters
    ----------
    sources : list of (Source, seconds)
    count : int
        How many; all if there are fewer.
    seed : int
    longest : float
        Those longer, in seconds, are not chosen.

    Returns
    -------
    list of (Source, seconds)
        Sorted by name.
    """
    piles: dict[str, list[tuple[Source, float]]] = {}
    for source in sources:
        if source[1] <= longest:
            piles.setdefault(source[0].speaker, []).append(source)
    for speaker, pile in piles.items():
        order = generator(seed, "choose", speaker).permutation(len(pile))
        piles[speaker] = [pile[i] for i in order]
    chosen: list[tuple[Source, float]] = []
    while len(chosen) < count and any(piles.values()):
        for speaker in sorted(piles):
            if piles[speaker] and len(chosen) < count:
                chosen.append(piles[speaker].pop())
    return sorted(chosen, key=lambda item: item[0].name)


def make_set(
    options: LibrispeechOptions, set_name: str, folder: str | Path, threads: int = 1
) -> None:
    """Make the data directory of a set; see `darkknowledge.corpora.make_set`."""
    options.require()
    folder = Path(folder)
    root = options.path(options.speech)
    door = Door(f"{root}, {set_name} set", options.skip)
    sources = find_utterances(root, set_speakers(options)[set_name], door)
    limits = (options.min_seconds, options.max_seconds)
    good: list[tuple[Source, float]] = []
    for source in sources:
        samples, faults = checks.read_audio(source.path, RATE, 1, limits)
        door.add(*faults)
        if samples is not None:
            good.append((source, len(samples) / RATE))
    dictionary = read_pronunciations(options)
    door.add(*checks.unpronounced({s.name: s.words for s, _ in good}, dictionary))
    if options.noise is None:
        door.close(folder / "skipped.txt")
        write_recordings(
            folder, (Recording(s.name, s.speaker, s.words, s.path, n) for s, n in good)
        )
        return
    noises = _noise(options, set_name, door)
    door.close(folder / "skipped.txt")
    if set_name != "train":
        wanted = options.dev_utterances if set_name == "dev" else options.test_utterances
        longest = options.test_max_seconds
        good = choose(good, wanted, options.seed, longest)
        if len(good) < wanted:
            raise DataError(
                f"{root}: the {set_name} speakers have {len(good)} utterances of at most "
                f"{longest:g} s, fewer than {set_name}_utterances: {wanted}; lower it, or raise "
                "test_max_seconds"
            )

    def clean() -> Iterator[Clean]:
        for source, _ in good:
            samples, _ = checks.read_audio(source.path)
            yield Clean(source.name, source.speaker, source.words, samples)

    write_set(
        folder,
        clean(),
        Scene(
            options.seed,
            set_name,
            noises,
            options.test_snr if set_name == "test" else options.train_snr,
        ),
        sum(seconds for _, seconds in good),
        options.train_clean_share,
        threads,
    )


def make_language(options: LibrispeechOptions, folder: str | Path) -> None:
    """Write lexicon and text; see `darkknowledge.corpora.make_language`.

    The vocabulary is every word of the training transcripts (or of all, see `transcript_words`)
    and the most frequent words of the text, as far as the dictionary has them, or that of a
    lexicon made elsewhere, which is written as it is; ``<UNK>`` stands for all other words, also
    in the text. Dev and test transcripts are never part of the text. Where the language model
    was made elsewhere, no text is written.
    """
    options.require()
    folder = Path(folder)
    root = options.path(options.speech)
    door = Door(f"{root}, transcripts", options.skip)
    people = set_speakers(options)
    train = find_utterances(root, people["train"], door)
    dictionary = read_pronunciations(options)
    door.add(*checks.unpronounced({s.name: s.words for s in train}, dictionary))
    others: list[Source] = []
    if options.lexicon is None and options.transcript_words == "all":
        others = find_utterances(root, people["dev"] + people["test"], door)
    door.close(folder / "skipped.txt")
    text = read_texts(options) if options.arpa is None else []
    if options.lexicon is not None:
        vocabulary = set(dictionary)
        copy_lexicon(options.path(options.lexicon), folder)
    else:
        words = {word for source in train + others for word in source.words}
        counts = Counter(word for sentence in text for word in sentence if word in dictionary)
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        vocabulary = {w for w in words if w in dictionary} | set(ranked[: options.text_words])
        write_lines(
            folder / "lexicon.txt",
            [f"{UNKNOWN} {SPOKEN_NOISE}"]
            + [f"{word} {' '.join(p)}" for word in sorted(vocabulary) for p in dictionary[word]],
        )
    logger.info(
        "lexicon: %d words, %d phones",
        len(vocabulary),
        len({phone for word in vocabulary for p in dictionary[word] for phone in p}),
    )
    if options.arpa is not None:
        return
    lines = text + [source.words for source in train]
    write_lines(
        folder / "lm_text.txt",
        (" ".join(w if w in vocabulary else UNKNOWN for w in sentence) for sentence in lines),
    )
    known = sum(word in vocabulary for sentence in lines for word in sentence)
    total = sum(map(len, lines))
    logger.info(
        "text: %d sentences, %d words, %.2f %% outside the lexicon",
        len(lines),
        total,
        100 * (1 - known / total),
    )
