"""Recordings that are used as they are: a data directory that names files made elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.progress import logger

ONLY_CONDITION = "01"


@dataclass(frozen=True)
class Recording:
    """An utterance as it was recorded.

    Attributes
    ----------
    name : str
        Identity, without spaces.
    speaker : str
    words : list of str
    path : Path or str
        A mono file at 16 kHz that holds this utterance and nothing else; or what names the audio
        elsewhere, where it is not read.
    seconds : float
    condition : str
    """

    name: str
    speaker: str
    words: list[str]
    path: Path | str
    seconds: float
    condition: str = ONLY_CONDITION


def write_recordings(folder: str | Path, recordings: Iterable[Recording]) -> DataDirectory:
    """Write the data directory of a set whose audio is not touched.

    Parameters
    ----------
    folder : path
        The data directory. Its ``audio`` exists afterwards, and holds no file that ``wav.scp``
        does not name.
    recordings : iterable of Recording

    Returns
    -------
    DataDirectory

    Raises
    ------
    DataError
        If there is no recording.
    """
    folder = Path(folder)
    recordings = list(recordings)
    if not recordings:
        raise DataError(f"{folder}: no utterances")
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    named = {recording.path for recording in recordings}
    for stale in audio.iterdir():
        if stale not in named:
            stale.unlink()
    data = DataDirectory(
        wav={r.name: str(r.path) for r in recordings},
        text={r.name: r.words for r in recordings},
        speaker={r.name: r.speaker for r in recordings},
        condition={r.name: r.condition for r in recordings},
        duration={r.name: r.seconds for r in recordings},
    )
    data.write(folder)
    logger.info(
        "%s: %d utterances, %d speakers, %.1f min",
        folder,
        len(data.wav),
        len(set(data.speaker.values())),
        sum(data.duration.values()) / 60,
    )
    return data
