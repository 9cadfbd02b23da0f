"""A set divided among jobs, and what they made of it put together: the same as without."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from darkknowledge.archives import Archive, write_archive
from darkknowledge.datadir import DataDirectory
from darkknowledge.decoding import Hypothesis
from darkknowledge.errors import DataError
from darkknowledge.files import write_json
from darkknowledge.scoring import score, write_ctm, write_trn


def part_of(names: Iterable[str], part: int, parts: int) -> list[str]:
    """Return those of some names that are for one of some jobs, from 1, in order."""
    return sorted(set(names))[part - 1 :: parts]


def part_of_set(
    speaker: Mapping[str, str], part: int, parts: int, whole_speakers: bool = False
) -> dict[str, str]:
    """Return the utterances that are for one of some jobs.

    Parameters
    ----------
    speaker : mapping
        Speaker of each utterance.
    part, parts : int
        Which job, from 1, of how many.
    whole_speakers : bool
        Whether all utterances of a speaker are for one job.

    Returns
    -------
    dict
        As ``speaker``, in its order; empty where there are more jobs than utterances or speakers.
    """
    chosen = set(part_of(speaker.values() if whole_speakers else speaker, part, parts))
    return {u: s for u, s in speaker.items() if (s if whole_speakers else u) in chosen}


def gather_archives(scps: Sequence[str | Path], scp: str | Path, keys: Iterable[str]) -> None:
    """Write archives of parts as one.

    Parameters
    ----------
    scps : sequence of path
        Indices of the parts.
    scp : path
        Index that is written, beside its archive.
    keys : iterable of str
        What it holds, in this order.

    Raises
    ------
    DataError
        If a key is in none of the parts.
    """
    found = {key: archive for archive in map(Archive, scps) for key in archive}
    keys = list(keys)
    lacking = [key for key in keys if key not in found]
    if lacking:
        raise DataError(f"{scp}: {lacking[0]} is in none of {', '.join(map(str, scps))}")
    write_archive(scp, ((key, found[key][key]) for key in keys))


def records(hypotheses: Mapping[str, Hypothesis]) -> dict[str, dict[str, Any]]:
    """Return hypotheses in plain types: words, their first and last frames, if they are whole."""
    return {
        utterance: {
            "words": hypothesis.words,
            "starts": hypothesis.starts,
            "ends": hypothesis.ends,
            "complete": hypothesis.reached_final,
        }
        for utterance, hypothesis in hypotheses.items()
    }


def write_recognised(
    found: Mapping[str, Mapping[str, Any]],
    data: DataDirectory,
    trn: str | Path,
    ctm: str | Path,
    scores: str | Path,
    frame_shift: float,
) -> None:
    """Write what was recognised of a set, and its word errors.

    Parameters
    ----------
    found : mapping
        Of every utterance, as :func:`records` has it.
    data : DataDirectory
    trn, ctm, scores : path
        Files written.
    frame_shift : float
        Seconds.

    Raises
    ------
    DataError
        If an utterance of the set was not recognised.
    """
    lacking = sorted(data.text.keys() - found.keys())
    if lacking:
        raise DataError(f"{trn}: {len(lacking)} utterances are in no part, first {lacking[0]}")
    found = {utterance: found[utterance] for utterance in sorted(data.text)}
    words = {utterance: one["words"] for utterance, one in found.items()}
    write_trn(trn, words)
    write_ctm(
        ctm,
        {u: zip(one["words"], one["starts"], one["ends"], strict=True) for u, one in found.items()},
        frame_shift,
    )
    incomplete = sum(not one["complete"] for one in found.values())
    write_json(
        scores, {**score(data.text, words, data.condition).record(), "incomplete": incomplete}
    )
