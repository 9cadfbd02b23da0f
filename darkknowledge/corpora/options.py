"""What can be said about a corpus in a study; no heavy imports."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from darkknowledge.errors import DataError
from darkknowledge.options import Options

SNR = Annotated[float, Field(ge=-20, le=60)]
Range = Annotated[tuple[SNR, SNR], Field(min_length=2, max_length=2)]

SetName = Literal["train", "dev", "test"]
CONDITION_COUNT = 14
Hours = dict[SetName, Annotated[float, Field(gt=0)]]
HOURS = (
    "Hours of speech of train, dev and test, as far as they are known before the corpus is read; "
    "`make estimate` alone uses them."
)
FaultKind = Literal[
    "missing",
    "empty",
    "unreadable",
    "truncated",
    "nan",
    "silent",
    "clipped",
    "rate",
    "channels",
    "length",
    "no_transcript",
    "no_audio",
    "duplicate",
    "no_pronunciation",
]


class _NoisyOptions(Options):
    """What the corpora have in common that noise is added to."""

    seed: int = Field(
        default=1,
        ge=0,
        le=2**31 - 1,
        description="Seed of everything that is drawn: sentences, voices, conditions, noises, "
        "microphones, SNRs.",
    )
    train_snr: Range = Field(
        default=(10.0, 20.0),
        description="Lowest and highest SNR of noisy training and dev utterances in dB, drawn "
        "evenly for each utterance; Aurora4's values.",
    )
    test_snr: Range = Field(
        default=(5.0, 15.0),
        description="Lowest and highest SNR of noisy test utterances in dB; Aurora4's values.",
    )
    train_clean_share: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Share of the training utterances of each microphone without added noise; "
        "Aurora4's multi-condition training has 893 of 3569.",
    )
    test_utterances: int = Field(
        default=24,
        ge=1,
        le=5000,
        description="Utterances of each of the fourteen test conditions, the same sentences in "
        "all; spread evenly over the test speakers.",
    )

    @model_validator(mode="after")
    def _check_ranges(self):
        for name in ("train_snr", "test_snr"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: the lowest SNR {low} is above the highest {high}")
        return self


class SyntheticOptions(_NoisyOptions):
    """A noisy corpus made on the spot by espeak-ng; nothing is downloaded."""

    LANGUAGE_ONLY: ClassVar[tuple[str, ...]] = ("lm_sentences", "pronunciations")

    kind: Literal["synthetic"] = Field(
        default="synthetic", description="Speech from a synthesiser, noise from formulas."
    )
    train_minutes: float = Field(
        default=32.0,
        ge=0.1,
        le=6000,
        description="Minutes of training speech, leading and trailing silence included; the "
        "last utterance may exceed it. 32 minutes train a GMM and a network in minutes.",
    )
    train_speakers: int = Field(
        default=40,
        ge=1,
        le=400,
        description="Training speakers: voice, accent, pitch and rate. There are 60 voices, 6 of "
        "them for babble; where the rest is too few, training voices recur with another accent, "
        "pitch and rate.",
    )
    dev_speakers: int = Field(default=6, ge=1, le=10, description="Speakers of the dev set.")
    test_speakers: int = Field(default=8, ge=1, le=10, description="Speakers of the test set.")
    dev_utterances: int = Field(
        default=112,
        ge=1,
        le=5000,
        description="Utterances of the dev set in all, dealt over the fourteen conditions; "
        "112 are eight in each, about five minutes.",
    )
    accents: tuple[
        Literal[
            "en-us",
            "en-us-nyc",
            "en-gb",
            "en-gb-x-rp",
            "en-gb-scotland",
            "en-gb-x-gbclan",
            "en-gb-x-gbcwmd",
            "en-029",
        ],
        ...,
    ] = Field(
        default=(
            "en-us",
            "en-us-nyc",
            "en-gb",
            "en-gb-x-rp",
            "en-gb-scotland",
            "en-gb-x-gbclan",
            "en-gb-x-gbcwmd",
            "en-029",
        ),
        min_length=1,
        description="English accents, dealt over the speakers of each set.",
    )
    words_per_minute: tuple[
        Annotated[int, Field(ge=80, le=400)], Annotated[int, Field(ge=80, le=400)]
    ] = Field(
        default=(150, 205),
        description="Slowest and fastest speaking rate in words per minute; the synthesiser's "
        "own default is 175.",
    )
    pronunciations: int = Field(
        default=4,
        ge=1,
        le=20,
        description="Most alternative pronunciations of a word, the commonest over the accents.",
    )
    lm_sentences: int = Field(
        default=10000,
        ge=100,
        le=1_000_000,
        description="Sentences sampled from the grammar for the language model; none of them "
        "is a dev or test sentence.",
    )

    @property
    def expected_hours(self) -> dict[str, float]:
        """Hours of speech of each set, about: a sentence lasts 2.5 seconds."""
        sentence = 2.5 / 3600
        return {
            "train": self.train_minutes / 60,
            "dev": self.dev_utterances * sentence,
            "test": self.test_utterances * CONDITION_COUNT * sentence,
        }

    def problems(self, data_root: Path) -> list[str]:
        """Return what is absent on this machine: nothing, as everything is made here."""
        return []


class _GivenOptions(Options):
    """What corpora made elsewhere share; `lm_text`, `min_seconds` and `max_seconds` too."""

    data_root: str = Field(
        default="data",
        description="Folder that relative paths start from; the study fills in its own "
        "`data_root`.",
    )
    skip: tuple[FaultKind, ...] = Field(
        default=(),
        description="Kinds of fault that leave an utterance out (no_pronunciation: that map a "
        "word to <UNK>) instead of stopping; all are counted and listed in skipped.txt.",
    )
    hours: Hours = Field(default={}, description=HOURS)

    @model_validator(mode="after")
    def _check_lengths(self):
        if self.min_seconds >= self.max_seconds:
            raise ValueError("min_seconds must be below max_seconds")
        return self

    @property
    def expected_hours(self) -> dict[str, float]:
        """Hours of speech of the sets, as far as the study gives them."""
        return dict(self.hours)

    def path(self, name: str) -> Path:
        """Return a configured path, relative ones below ``data_root``."""
        return Path(self.data_root) / name

    def require(self) -> None:
        """Raise a DataError if something is absent on this machine."""
        problems = self.problems(Path(self.data_root))
        if problems:
            raise DataError("\n".join(problems))

    def text_files(self) -> list[Path]:
        """Return the files of the language model's text.

        Raises
        ------
        DataError
            If a file or folder is absent or a folder is empty.
        """
        found: list[Path] = []
        for name in self.lm_text:
            path = self.path(name)
            files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
            if not path.exists() or not files:
                raise DataError(f"lm_text: {path} holds no text; put .txt files there")
            found += files
        return found


class LibrispeechOptions(_GivenOptions, _NoisyOptions):
    """Real speech in LibriSpeech's layout, mixed with recordings of noise."""

    LANGUAGE_ONLY: ClassVar[tuple[str, ...]] = ("lm_text", "text_words", "transcript_words", "arpa")

    kind: Literal["librispeech"] = Field(
        default="librispeech", description="Speech in LibriSpeech's layout, recorded noise."
    )
    speech: str = Field(
        default="LibriSpeech/dev-clean",
        description="Folder laid out as SPEAKER/CHAPTER/*.flac with .trans.txt beside.",
    )
    noise: str | None = Field(
        default="ESC-10",
        description="Folder of noise recordings: subfolders are classes; a file name that "
        "starts with 'FOLD-' is split by fold, any other by a hash of its stem. null for speech "
        "as it was recorded: no noise, no microphone, every utterance of a set once and in "
        "condition 01; the options of noises, microphones and counts then have no effect.",
    )
    noise_classes: tuple[str, ...] = Field(
        default=(
            "002 - Rain",
            "003 - Sea waves",
            "007 - Helicopter",
            "008 - Chainsaw",
            "010 - Fire crackling",
            "005 - Clock tick",
        ),
        min_length=6,
        max_length=6,
        description="The six subfolders that are conditions 02-07 and 09-14, in that order; "
        "the default takes sounds that last, and one of impulses.",
    )
    noise_folds: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] = Field(
        default=((1, 2, 3), (4,), (5,)),
        description="Folds of the noise recordings for train, dev and test. ESC-10 has five, "
        "and clips of one source share a fold.",
    )
    dictionary: str = Field(
        default="cmudict/cmudict.dict",
        description="Pronouncing dictionary in CMUdict's format; stress marks are removed.",
    )
    lexicon: str | None = Field(
        default=None,
        description="A lexicon made elsewhere, lines of a word and its phones as in Kaldi's "
        "lexicon.txt, in the place of dictionary and vocabulary; words outside it are <UNK>.",
    )
    arpa: str | None = Field(
        default=None,
        description="A language model made elsewhere, an ARPA file or `.gz` of one, in the place "
        "of an estimated one; `lexicon` must have its words.",
    )
    lm_text: tuple[str, ...] = Field(
        default=("lm_text",),
        min_length=1,
        description="Text files, or folders of .txt files, for the language model.",
    )
    dev_speakers: tuple[str, ...] = Field(
        default=("84", "174"), min_length=1, description="Speakers of the dev set."
    )
    test_speakers: tuple[str, ...] = Field(
        default=("1462", "1673", "251", "422"),
        min_length=1,
        description="Speakers of the test set; all who are in neither list train.",
    )
    dev_utterances: int = Field(
        default=98,
        ge=1,
        le=5000,
        description="Utterances of the dev set in all, dealt over the fourteen conditions; 98 "
        "are seven in each.",
    )
    text_words: int = Field(
        default=5000,
        ge=0,
        le=200_000,
        description="Words of the vocabulary taken from the text, the most frequent that the "
        "dictionary has; words of the transcripts come on top.",
    )
    transcript_words: Literal["train", "all"] = Field(
        default="train",
        description="Whose words join the vocabulary: those of the training transcripts, or of "
        "all. `all` is how the reference lexicon was made, and tells the recogniser which words "
        "the test holds.",
    )
    min_seconds: float = Field(
        default=1.0, ge=0.1, le=60, description="Shorter utterances are a fault, in seconds."
    )
    max_seconds: float = Field(
        default=35.0,
        ge=1,
        le=600,
        description="Longer utterances are a fault, in seconds; LibriSpeech's longest is 35.",
    )
    test_max_seconds: float = Field(
        default=12.0,
        ge=1,
        le=600,
        description="Test and dev utterances are chosen among those no longer than this, in "
        "seconds, so that many voices and sentences fit into a test of fourteen conditions.",
    )

    @model_validator(mode="after")
    def _check_sets(self):
        both = sorted(set(self.dev_speakers) & set(self.test_speakers))
        if both:
            raise ValueError(f"dev_speakers and test_speakers share {', '.join(both)}")
        folds = [fold for part in self.noise_folds for fold in part]
        if len(folds) != len(set(folds)):
            raise ValueError("noise_folds: a fold stands in two sets; each may serve only one")
        if any(not part for part in self.noise_folds):
            raise ValueError("noise_folds: train, dev and test each need at least one fold")
        if len(set(self.noise_classes)) != len(self.noise_classes):
            raise ValueError("noise_classes: a class stands twice")
        if self.arpa is not None and self.lexicon is None:
            raise ValueError("arpa: its words need pronunciations; give `lexicon` too")
        return self

    def problems(self, data_root: Path) -> list[str]:
        """Return what is absent, with where to get it and where to put it.

        Parameters
        ----------
        data_root : Path
            The study's own data root, which relative paths start from.
        """
        found = []
        esc = "the ESC dataset, https://github.com/karolpiczak/ESC-50 (or its subset ESC-10)"
        speech = "LibriSpeech dev-clean, https://www.openslr.org/12"
        dictionary = "CMUdict, https://github.com/cmusphinx/cmudict"

        def demand(key: str, name: str, source: str, folder: bool) -> bool:
            path = Path(data_root) / name
            there = path.is_dir() if folder else path.is_file()
            if not there:
                kind = "folder" if folder else "file"
                state = f"is not a {kind}" if path.exists() else "does not exist"
                found.append(
                    f"{key}: the {kind} {path} {state}; get {source} and put it there, "
                    f"or set `{key}` or the top-level `data_root`"
                )
            return there

        demand("speech", self.speech, speech, True)
        if self.noise is not None and demand("noise", self.noise, esc, True):
            for name in self.noise_classes:
                demand("noise_classes", f"{self.noise}/{name}", esc, True)
        if self.lexicon is None:
            demand("dictionary", self.dictionary, dictionary, False)
        else:
            demand("lexicon", self.lexicon, "a Kaldi lexicon.txt", False)
        if self.arpa is not None:
            demand("arpa", self.arpa, "an ARPA language model", False)
        for name in self.lm_text if self.arpa is None else ():
            path = Path(data_root) / name
            if not path.exists():
                found.append(
                    f"lm_text: {path} does not exist; put plain English text there (such as "
                    "books of https://www.gutenberg.org), or set `lm_text` or the top-level "
                    "`data_root`"
                )
        return found


class KaldiOptions(_GivenOptions):
    """Kaldi data directories made elsewhere, with a lexicon and a language model or text."""

    LANGUAGE_ONLY: ClassVar[tuple[str, ...]] = ("lm_text", "arpa")

    kind: Literal["kaldi"] = Field(
        default="kaldi", description="Data directories, lexicon and language model of Kaldi's."
    )
    train: str = Field(
        description="Data directory of the training set: `wav.scp`, `text`, `utt2spk`, and where "
        "there are such `segments` and `utt2cond`. Paths in wav.scp that are relative start from "
        "`data_root` or from the data directory; commands are refused."
    )
    dev: str = Field(description="Data directory of the set that ends training and tunes decoding.")
    test: str = Field(
        description="Data directory of the test set. `utt2cond` gives each utterance a condition "
        "by which errors are counted, of any name; without it all are condition 01."
    )
    conditions: dict[SetName, str] = Field(
        default={},
        description="For sets without `utt2cond` whose utterances tell their condition by their "
        "last character: these characters, those of 01, 02, ... in this order. Those of the dev "
        "and test sets of Kaldi's Aurora4 recipe are `0123456789abcd`.",
    )
    lexicon: str = Field(
        description="Kaldi's lexicon.txt: a word and its phones per line; silence is `SIL`, noise "
        "`SPN`. Words outside it are <UNK>."
    )
    arpa: str | None = Field(
        default=None,
        description="Language model, an ARPA file or `.gz` of one; null to estimate it from "
        "`lm_text` and the training transcripts.",
    )
    lm_text: tuple[str, ...] = Field(
        default=(),
        description="Text files, or folders of .txt files, with a sentence per line in the words "
        "of the lexicon; the training transcripts are added.",
    )
    mfcc: dict[SetName, str] = Field(
        default={},
        description="Feature archives made elsewhere, the feats.scp of each set: train, dev and "
        "test. They are copied, and normalised here; `features.mfcc.coefficients` must be their "
        "dimension. Empty to compute them from the audio.",
    )
    fbank: dict[SetName, str] = Field(
        default={},
        description="The same for the filter banks, of dimension `features.fbank.bins`. Where "
        "both are given no audio is read, and wav.scp may hold anything; the durations are those "
        "of `utt2dur` or `segments`.",
    )
    min_seconds: float = Field(
        default=0.1, ge=0.03, le=60, description="Shorter utterances are a fault, in seconds."
    )
    max_seconds: float = Field(
        default=60.0, ge=1, le=600, description="Longer utterances are a fault, in seconds."
    )

    @model_validator(mode="after")
    def _check(self):
        for name, characters in self.conditions.items():
            if not characters or len(set(characters)) < len(characters):
                raise ValueError(f"conditions.{name}: {characters!r}; each character stands once")
        if self.arpa is not None and self.lm_text:
            raise ValueError("lm_text has no effect beside arpa; remove one of them")
        for kind in ("mfcc", "fbank"):
            lacking = [name for name in get_args(SetName) if name not in getattr(self, kind)]
            if getattr(self, kind) and lacking:
                raise ValueError(f"{kind}: no archive of {', '.join(lacking)}; give all three sets")
        folders = {name: Path(getattr(self, name)) for name in ("train", "dev", "test")}
        for name in ("dev", "test"):
            if folders[name] == folders["train"]:
                raise ValueError(f"{name} is the training set; give it a set of its own")
        return self

    @property
    def needs_audio(self) -> bool:
        """Whether some features are computed from the audio."""
        return not (self.mfcc and self.fbank)

    def problems(self, data_root: Path) -> list[str]:
        """Return what is absent, and what mends it.

        Parameters
        ----------
        data_root : Path
            The study's own data root, which relative paths start from.
        """
        mend = "or set the top-level `data_root`"
        found = []
        for key in ("train", "dev", "test"):
            folder = Path(data_root) / getattr(self, key)
            if not folder.is_dir():
                found.append(f"{key}: no folder {folder}; put a Kaldi data directory there, {mend}")
                continue
            for name in ("wav.scp", "text", "utt2spk"):
                if not (folder / name).is_file():
                    found.append(f"{key}: {folder} lacks {name}; a data directory must hold it")
        files = [("lexicon", self.lexicon), *([("arpa", self.arpa)] if self.arpa else [])]
        for kind in ("mfcc", "fbank"):
            files += [(f"{kind}.{key}", scp) for key, scp in getattr(self, kind).items()]
        for key, name in files:
            if not (Path(data_root) / name).is_file():
                found.append(f"{key}: no file {Path(data_root) / name}; put it there, {mend}")
        for name in self.lm_text:
            if not (Path(data_root) / name).exists():
                found.append(f"lm_text: {Path(data_root) / name} does not exist; {mend}")
        return found
