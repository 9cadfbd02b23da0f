"""Corpora: sets of utterances as Kaldi data directories, a lexicon and text.

One module per kind, all with the same face: ``make_set(options, set_name, folder, threads)`` and
``make_language(options, folder)``.
"""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from darkknowledge.corpora.options import KaldiOptions, LibrispeechOptions, SyntheticOptions
from darkknowledge.errors import DataError

SETS = ("train", "dev", "test")
KINDS: dict[str, type[BaseModel]] = {
    "synthetic": SyntheticOptions,
    "librispeech": LibrispeechOptions,
    "kaldi": KaldiOptions,
}


def _module(kind: str):
    """Import the module of a kind when it is needed: `options` stays light."""
    if kind == "synthetic":
        from darkknowledge.corpora import synthetic as module
    elif kind == "kaldi":
        from darkknowledge.corpora import kaldi as module
    else:
        from darkknowledge.corpora import librispeech as module
    return module


def _options(corpus: dict) -> BaseModel:
    kind = corpus.get("kind")
    if kind not in KINDS:
        raise DataError(f"corpus kind {kind!r} is unknown; expected one of {', '.join(KINDS)}")
    try:
        return KINDS[kind](**corpus)
    except ValidationError as error:
        raise DataError(f"corpus options: {error}") from None


def make_set(corpus: dict, set_name: str, folder: str | Path, threads: int = 1) -> None:
    """Write the data directory of a set, what audio is made below ``folder/audio``.

    Parameters
    ----------
    corpus : dict
        Options of the corpus; what is absent has its default.
    set_name : {"train", "dev", "test"}
        Where noise is added, train: half with the first, half with the second microphone, clean
        and six noises. dev: all fourteen conditions in turn. test: each utterance in all fourteen.
    folder : path
        The data directory; ``wav.scp`` names the audio by this path.
    threads : int
        Utterances made at once; the files do not depend on it.

    Raises
    ------
    DataError
        If the set is unknown, an option is not allowed, or the corpus has faults that the
        options do not allow to skip.
    """
    if set_name not in SETS:
        raise DataError(f"set {set_name!r} is unknown; expected one of {', '.join(SETS)}")
    options = _options(corpus)
    _module(options.kind).make_set(options, set_name, Path(folder), threads)


def make_language(corpus: dict, folder: str | Path) -> None:
    """Write ``lexicon.txt`` (word and phones) and ``lm_text.txt`` (a sentence per line).

    There is no text where the corpus has a language model (`arpa`).

    Parameters
    ----------
    corpus : dict
        Options of the corpus; what is absent has its default.
    folder : path
        Where the files go.

    Raises
    ------
    DataError
        If an option is not allowed, or a word that must have a pronunciation has none.
    """
    options = _options(corpus)
    _module(options.kind).make_language(options, Path(folder))
