"""Files of lattices and of n-best lists."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from darkknowledge.errors import DataError, shown
from darkknowledge.files import write_lines
from darkknowledge.lattices.paths import ARC, Lattice, LatticePath
from darkknowledge.zipped import (
    MEND,
    add_array,
    load_array,
    member,
    open_sealed,
    refusing,
    write_sealed,
)

VERSION = 1
INDEX = "lattices.json"
WHAT = "a complete archive of lattices"


def write_lattices(path: str | Path, lattices: Iterable[tuple[str, Lattice]]) -> int:
    """Write the lattices of a set, one after the other, whole or not at all.

    The file is a sealed zip archive. ``numpy.load`` opens it: ``<utterance>/arcs`` and
    ``<utterance>/words``; the rest of a `Lattice` stands in ``lattices.json``.

    Parameters
    ----------
    path : path
        By custom ``lattices.npz``.
    lattices : iterable of (utterance, Lattice)

    Returns
    -------
    int
        The number of lattices written.

    Raises
    ------
    DataError
        If an utterance comes twice.
    """
    described: dict[str, dict] = {}
    with write_sealed(path) as archive:
        for utterance, lattice in lattices:
            if utterance in described:
                raise DataError(f"{path}: {utterance} is written twice; utterances are unique")
            described[utterance] = {
                field.name: getattr(lattice, field.name)
                for field in fields(Lattice)
                if field.name not in ("arcs", "words")
            }
            add_array(archive, f"{utterance}/arcs.npy", lattice.arcs)
            add_array(archive, f"{utterance}/words.npy", np.array(lattice.words, dtype=np.str_))
        content = {"version": VERSION, "lattices": described}
        archive.writestr(member(INDEX), json.dumps(content, sort_keys=True))
    return len(described)


def read_lattices(path: str | Path) -> Iterator[tuple[str, Lattice]]:
    """Read the lattices of a set, one after the other, in sorted order of utterance.

    Yields
    ------
    utterance : str
    lattice : Lattice

    Raises
    ------
    DataError
        If the file is absent, cut short or altered, or of another version.
    """
    with open_sealed(path, WHAT) as archive:
        with refusing(path, WHAT):
            content = json.loads(archive.read(INDEX))
            version, described = content["version"], sorted(content["lattices"].items())
        if version != VERSION:
            raise DataError(f"{path}: version {shown(version)}, expected {VERSION}; {MEND}")
        for utterance, rest in described:
            with refusing(path, WHAT, utterance):
                arcs = load_array(archive, f"{utterance}/arcs.npy")
                words = tuple(load_array(archive, f"{utterance}/words.npy").tolist())
                lattice = Lattice(arcs, words, **rest)
                if not _sound(lattice):
                    raise ValueError("its arcs make no lattice")
            yield utterance, lattice


def _sound(lattice: Lattice) -> bool:
    arcs = lattice.arcs
    if arcs.dtype != ARC or arcs.ndim != 1 or not all(isinstance(w, str) for w in lattice.words):
        return False
    numbers = lattice.acoustic_scale, lattice.word_penalty, lattice.lattice_beam
    if not (type(lattice.frames) is int and lattice.frames > 0 and np.isfinite(numbers).all()):
        return False
    if not len(arcs):
        return True
    leaving = np.unique(arcs["source"])
    return (
        len(leaving) == lattice.num_states - 1
        and leaving[0] == 0
        and bool((np.diff(arcs["source"]) >= 0).all())
        and bool((arcs["source"] < arcs["target"]).all())
        and bool(((arcs["word"] >= 0) & (arcs["word"] < len(lattice.words))).all())
        and bool(((0 <= arcs["start"]) & (arcs["start"] <= arcs["end"])).all())
        and bool((arcs["end"] <= lattice.frames).all())
        and bool((np.isfinite(arcs["graph"]) & np.isfinite(arcs["acoustic"])).all())
    )


def write_nbest(
    words: str | Path, costs: str | Path, lists: Mapping[str, Sequence[LatticePath]]
) -> None:
    """Write n-best lists as Kaldi's nbest-to-linear does: tables with ``utterance-n`` as key.

    Parameters
    ----------
    words : path
        Gets ``utterance-n word word ...``, n from 1.
    costs : path
        Gets ``utterance-n total graph acoustic``.
    lists : mapping
        Paths of each utterance, best first.
    """
    rows = [(f"{u}-{n}", path) for u in sorted(lists) for n, path in enumerate(lists[u], 1)]
    write_lines(words, (" ".join([key, *path.words]) for key, path in rows))
    write_lines(
        costs,
        (f"{key} {path.total:.4f} {path.graph:.4f} {path.acoustic:.4f}" for key, path in rows),
    )
