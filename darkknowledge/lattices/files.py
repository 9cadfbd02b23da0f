"""Files of lattices and of n-best lists."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write, write_lines
from darkknowledge.lattices.paths import ARC, Lattice, LatticePath

VERSION = 1
INDEX = "lattices.json"
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, KeyError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip


def write_lattices(path: str | Path, lattices: Iterable[tuple[str, Lattice]]) -> int:
    """Write the lattices of a set, one after the other, whole or not at all.

    The file is a zip archive with checksums. ``numpy.load`` opens it: ``<utterance>/arcs`` and
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
    with atomic_write(path, "wb") as file, zipfile.ZipFile(file, "w") as archive:
        for utterance, lattice in lattices:
            if utterance in described:
                raise DataError(f"{path}: {utterance} is written twice; utterances are unique")
            described[utterance] = {
                field.name: getattr(lattice, field.name)
                for field in fields(Lattice)
                if field.name not in ("arcs", "words")
            }
            _add(archive, f"{utterance}/arcs.npy", lattice.arcs)
            _add(archive, f"{utterance}/words.npy", np.array(lattice.words, dtype=np.str_))
        content = {"version": VERSION, "lattices": described}
        archive.writestr(_member(INDEX), json.dumps(content, sort_keys=True))
    return len(described)


def _member(name: str) -> zipfile.ZipInfo:
    # a fixed date: the same lattices give the same bytes
    member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _add(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(_member(name), "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


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
    damaged = f"{path}: not a complete archive of lattices; delete it and run snakemake"
    try:
        archive = zipfile.ZipFile(path)
        content = json.loads(archive.read(INDEX))
        version, described = content["version"], sorted(content["lattices"].items())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run snakemake to make it") from None
    except _DAMAGE as error:
        raise DataError(f"{damaged} ({error})") from None
    if version != VERSION:
        raise DataError(f"{path}: version {version}, expected {VERSION}; delete and run snakemake")
    with archive:
        for utterance, rest in described:
            try:
                arcs = _load(archive, f"{utterance}/arcs.npy")
                words = tuple(_load(archive, f"{utterance}/words.npy").tolist())
                lattice = Lattice(arcs, words, **rest)
            except _DAMAGE as error:
                raise DataError(f"{damaged} ({utterance}: {error})") from None
            if not _sound(lattice):
                raise DataError(f"{damaged} ({utterance}: its arcs make no lattice)")
            yield utterance, lattice


def _load(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    # read as a whole: the checksum is compared at the end of the member
    return np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)


def _sound(lattice: Lattice) -> bool:
    arcs = lattice.arcs
    if arcs.dtype != ARC or arcs.ndim != 1 or not all(isinstance(w, str) for w in lattice.words):
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
