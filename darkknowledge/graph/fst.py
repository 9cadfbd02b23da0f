"""Weighted transducers as arrays, exchanged with OpenFst through its ``const`` file format."""

import os
import struct
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import kaldifst
import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write, reading, writing

_MAGIC = 2125659606
_EXPANDED = 1
_STATE = np.dtype(
    [("final", "<f4"), ("first", "<u4"), ("arcs", "<u4"), ("ieps", "<u4"), ("oeps", "<u4")]
)
_VECTOR_STATE = struct.Struct("<fq")
_ARC = np.dtype([("ilabel", "<i4"), ("olabel", "<i4"), ("weight", "<f4"), ("target", "<i4")])


@dataclass(frozen=True)
class Fst:
    """A transducer over the tropical semiring; label 0 is epsilon.

    Attributes
    ----------
    start : int
        Start state.
    final : float32 array (S,)
        Final costs, infinite where a state is not final.
    source, ilabel, olabel, target : int32 arrays (A,)
        The arcs, sorted by source.
    weight : float32 array (A,)
        Costs, which are negative natural logarithms.
    """

    start: int
    final: np.ndarray
    source: np.ndarray
    ilabel: np.ndarray
    olabel: np.ndarray
    weight: np.ndarray
    target: np.ndarray

    @property
    def num_states(self) -> int:
        """Number of states."""
        return len(self.final)

    @property
    def num_arcs(self) -> int:
        """Number of arcs."""
        return len(self.source)

    def sorted(self) -> "Fst":
        """Return the same with the arcs in the order of source, input label, output, target."""
        order = np.lexsort((self.weight, self.target, self.olabel, self.ilabel, self.source))
        return self.take(order)

    def take(self, arcs: np.ndarray) -> "Fst":
        """Return the same states with some of the arcs, given by index or mask."""
        return replace(
            self,
            source=self.source[arcs],
            ilabel=self.ilabel[arcs],
            olabel=self.olabel[arcs],
            weight=self.weight[arcs],
            target=self.target[arcs],
        )

    def to_kaldifst(self, constant: bool = False) -> "kaldifst.StdVectorFst":
        """Return the transducer as kaldifst has it: mutable, or constant for a decoder."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "fst")
            with writing(path), open(path, "wb") as file:
                file.writelines(self._chunks())
            fst = kaldifst.StdConstFst.read(path)
        return fst if constant else kaldifst.StdVectorFst(fst)

    def write(self, path: str | Path) -> None:
        """Write an OpenFst file of type ``const``, whole or not at all."""
        with atomic_write(path, "wb") as file:
            file.writelines(self._chunks())

    def _chunks(self) -> list[bytes]:
        if self.num_arcs and (np.diff(self.source) < 0).any():
            raise ValueError("arcs must be sorted by source")
        states = np.zeros(self.num_states, _STATE)
        states["final"] = self.final
        states["arcs"] = np.bincount(self.source, minlength=self.num_states)
        states["first"] = np.cumsum(states["arcs"]) - states["arcs"]
        states["ieps"] = np.bincount(self.source[self.ilabel == 0], minlength=self.num_states)
        states["oeps"] = np.bincount(self.source[self.olabel == 0], minlength=self.num_states)
        arcs = np.zeros(self.num_arcs, _ARC)
        for name in _ARC.names:
            arcs[name] = getattr(self, name)
        header = b"".join(
            (
                struct.pack("<i", _MAGIC),
                *(struct.pack("<i", len(s)) + s for s in (b"const", b"standard")),
                struct.pack("<iiQqqq", 2, 0, _EXPANDED, self.start, self.num_states, self.num_arcs),
            )
        )
        return [header, states.tobytes(), arcs.tobytes()]


def from_kaldifst(fst: "kaldifst.StdVectorFst") -> Fst:
    """Return a transducer of kaldifst as arrays."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fst")
        if not kaldifst.StdConstFst(fst).write(path):
            raise DataError(f"{path}: cannot be written; is the temporary folder full?")
        return _parse(Path(path).read_bytes())


def read_fst(path: str | Path) -> Fst:
    """Read an OpenFst file of type ``const`` or ``vector`` over the tropical semiring.

    Raises
    ------
    DataError
        If the file is absent, truncated or of another type, its header claims more than it has,
        or an arc leads to no state.
    """
    with reading(path):
        content = Path(path).read_bytes()
    try:
        fst = _parse(content)
        _check(fst)
        return fst
    except (struct.error, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: not a complete FST of type const or vector ({error}); delete it and run "
            "snakemake"
        ) from None


def _parse(content: bytes) -> Fst:
    (magic,) = struct.unpack_from("<i", content)
    place, names = 4, []
    for _ in range(2):
        (size,) = struct.unpack_from("<i", content, place)
        names.append(content[place + 4 : place + 4 + max(size, 0)])
        place += 4 + max(size, 0)
    kind, arc_kind = names
    version, flags, _, start, num_states, num_arcs = struct.unpack_from("<iiQqqq", content, place)
    if (magic, arc_kind, version, flags) != (_MAGIC, b"standard", 2, 0):
        raise ValueError("another kind of file")
    if min(num_states, num_arcs) < 0 or start not in range(-1, num_states):
        raise ValueError(f"start {start} of {num_states} states, {num_arcs} arcs")
    parse = {b"const": _parse_const, b"vector": _parse_vector}[kind]
    return parse(content, place + 40, start, num_states, num_arcs)


def _parse_const(content: bytes, place: int, start: int, num_states: int, num_arcs: int) -> Fst:
    if len(content) != place + num_states * _STATE.itemsize + num_arcs * _ARC.itemsize:
        raise ValueError(f"{num_states} states and {num_arcs} arcs in {len(content)} bytes")
    states = np.frombuffer(content, _STATE, num_states, place)
    arcs = np.frombuffer(content, _ARC, num_arcs, place + states.nbytes)
    counts = states["arcs"].astype(np.int64)
    if not np.array_equal(np.cumsum(counts) - counts, states["first"]) or counts.sum() != num_arcs:
        raise ValueError("the arcs of its states do not follow one another")
    return Fst(
        start=start,
        final=states["final"].copy(),
        source=np.repeat(np.arange(num_states, dtype=np.int32), counts),
        **{name: arcs[name].copy() for name in _ARC.names},
    )


def _parse_vector(content: bytes, place: int, start: int, num_states: int, num_arcs: int) -> Fst:
    if len(content) < place + num_states * _VECTOR_STATE.size:
        raise ValueError(f"{num_states} states in {len(content)} bytes")
    final = np.empty(num_states, np.float32)
    counts = np.empty(num_states, np.int64)
    arcs = [np.empty(0, _ARC)]
    for state in range(num_states):
        final[state], counts[state] = _VECTOR_STATE.unpack_from(content, place)
        place += _VECTOR_STATE.size
        if not 0 <= counts[state] <= (len(content) - place) // _ARC.itemsize:
            raise ValueError(f"state {state} has {counts[state]} arcs, and the file ends")
        arcs.append(np.frombuffer(content, _ARC, counts[state], place))
        place += arcs[-1].nbytes
    if place != len(content):
        raise ValueError(f"{len(content) - place} bytes follow the last state")
    if counts.sum() != num_arcs and num_arcs:  # OpenFst may leave the number of arcs 0
        raise ValueError(f"{counts.sum()} arcs; the header says {num_arcs}")
    joined = np.concatenate(arcs)
    source = np.repeat(np.arange(num_states, dtype=np.int32), counts)
    return Fst(start, final, source, **{name: joined[name].copy() for name in _ARC.names})


def _check(fst: Fst) -> None:
    if fst.start < 0:
        raise ValueError("no start state")
    if ((fst.target < 0) | (fst.target >= fst.num_states)).any():
        raise ValueError(f"an arc leads to none of its {fst.num_states} states")
    if (fst.ilabel < 0).any() or (fst.olabel < 0).any():
        raise ValueError("a label below 0")
    if not np.isfinite(fst.weight).all():
        raise ValueError("the cost of an arc is no number")
    if np.isnan(fst.final).any() or np.isneginf(fst.final).any():
        raise ValueError("a final cost is no number")


def make_fst(start: int, final: dict[int, float], arcs: list[tuple], num_states: int) -> Fst:
    """Make a transducer from a list of (source, target, input, output, cost).

    Parameters
    ----------
    start : int
    final : dict
        State -> final cost.
    arcs : list of tuples
        In any order.
    num_states : int

    Returns
    -------
    Fst
    """
    costs = np.full(num_states, np.inf, np.float32)
    for state, cost in final.items():
        costs[state] = cost
    columns = [np.array(column) for column in zip(*arcs, strict=True)] or [np.zeros(0)] * 5
    source, target, ilabel, olabel = (column.astype(np.int32) for column in columns[:4])
    order = np.argsort(source, kind="stable")
    return Fst(
        start,
        costs,
        source[order],
        ilabel[order],
        olabel[order],
        columns[4].astype(np.float32)[order],
        target[order],
    )


def connected(fst: Fst) -> Fst:
    """Return the part that lies on paths from the start to a final state.

    States keep their order; the start state becomes state 0 only if it was.
    """
    forward = _reachable(fst.num_states, fst.source, fst.target, np.array([fst.start]))
    backward = _reachable(
        fst.num_states, fst.target, fst.source, np.flatnonzero(np.isfinite(fst.final))
    )
    alive = forward & backward
    if not alive[fst.start]:
        raise DataError("no path leads through the graph; is the language model empty?")
    number = np.cumsum(alive) - 1
    kept = fst.take(alive[fst.source] & alive[fst.target])
    return replace(
        kept,
        start=int(number[fst.start]),
        final=fst.final[alive],
        source=number[kept.source].astype(np.int32),
        target=number[kept.target].astype(np.int32),
    )


def _reachable(size: int, source: np.ndarray, target: np.ndarray, roots: np.ndarray) -> np.ndarray:
    order = np.argsort(source, kind="stable")
    edges = np.searchsorted(source[order], np.arange(size + 1))
    target = target[order]
    seen = np.zeros(size, bool)
    seen[roots] = True
    while len(roots):
        first, count = edges[roots], edges[roots + 1] - edges[roots]
        offsets = np.repeat(first - np.concatenate([[0], np.cumsum(count)[:-1]]), count)
        reached = np.unique(target[offsets + np.arange(count.sum())])
        roots = reached[~seen[reached]]
        seen[roots] = True
    return seen
