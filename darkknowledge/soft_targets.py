"""The soft-target cache: a teacher's posteriors at one temperature, in one small file.

Layout, little-endian::

    bytes 0-7      magic ``DKSOFT\\r\\n``
    bytes 8-11     version
    bytes 12-15    length of the JSON header
    bytes 16-47    SHA-256 of the magic, the version, the length, the JSON and the padding
    bytes 48-...   JSON header, then zeros up to a multiple of 64
    payload        counts, uint16 per frame: states stored of it
                   states, uint16 per entry, in order of falling probability
                   codes, uint8 or uint16 per entry: the quantised probability

A cache at infinite temperature holds logits, which soft targets tend to there: p = softmax(z / T)
goes to (1 + (z - mean z) / T) / pdfs. A regression needs the tail that soft targets leave out, so
that the payload is dense: z - mean z, float16, frame after frame, 2 bytes per pdf. It has no
counts and no states, and its temperature is null in the header.

The header's digest and the payload's, which stands in the header, are checked on opening; then
the payload is mapped into memory, so that every student on a machine shares one copy.
"""

import hashlib
import json
import math
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darkknowledge.checksums import file_digest
from darkknowledge.errors import DataError, shown
from darkknowledge.failures import problem_of
from darkknowledge.files import atomic_write, creating, parse_json, reading, writing
from darkknowledge.networks.options import SoftTargetOptions
from darkknowledge.progress import logger

MAGIC = b"DKSOFT\r\n"
VERSION = 1
FIXED = 48
ALIGNMENT = 64
BLOCK = 1024
_PART = 1 << 24
LOG_STEP = 0.05
CODES = {
    "log8": (np.dtype("<u1"), np.exp(-LOG_STEP * np.arange(256)).astype(np.float32)),
    "linear16": (np.dtype("<u2"), (np.arange(65536) / 65535).astype(np.float32)),
}
LOGITS = "float16"
LARGEST_LOGIT = float(np.finfo(np.float16).max)
DTYPES = {**{name: dtype for name, (dtype, _) in CODES.items()}, LOGITS: np.dtype("<f2")}


def temper(log_posteriors: Tensor, temperature: float) -> Tensor:
    """Return softmax(z / T) (N, pdfs) from logits or log posteriors (N, pdfs).

    The logits differ from the log posteriors by a constant per frame, which the softmax removes.
    """
    return torch.softmax(log_posteriors.float() / temperature, 1)


def compress(
    posteriors: np.ndarray, options: SoftTargetOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Choose and quantise the states to store.

    Parameters
    ----------
    posteriors : ndarray
        (N, pdfs) float32, rows summing to 1.
    options : SoftTargetOptions

    Returns
    -------
    counts : ndarray
        (N,) uint16 states kept of each frame: the fewest that cover the mass, without those that
        are below the least code. A code that is too large for them would lift the hundreds of
        states of a dense tail from nothing to a per cent.
    states : ndarray
        (entries,) uint16, frame after frame, most probable first, the lower state first on ties.
    codes : ndarray
        (entries,) quantised probabilities.
    divergence : float
        Sum over frames of KL(stored || dense) in nats.
    """
    frames, pdfs = posteriors.shape
    limit = min(options.most or pdfs, pdfs)
    # One sort of unique keys, probability above inverted state: ties go to the lower state.
    keys = posteriors.view(np.uint32).astype(np.uint64) << np.uint64(16)
    keys |= np.uint64(65535) - np.arange(pdfs, dtype=np.uint64)
    keys.sort(axis=1)
    keys = keys[:, ::-1]
    values = (keys >> np.uint64(16)).astype(np.uint32).view(np.float32)
    covered = values.cumsum(1, dtype=np.float64)
    counts = (covered < options.mass * (1 - 1e-12)).sum(1) + 1
    counts = np.minimum(counts, limit)
    kept = np.arange(pdfs) < counts[:, None]
    states = 65535 - (keys[kept] & np.uint64(65535)).astype(np.int64)
    original = values[kept].astype(np.float64)
    rows = np.repeat(np.arange(frames), counts)
    shares = original / covered[np.arange(frames), counts - 1][rows]
    dtype, table = CODES[options.quantisation]
    with np.errstate(divide="ignore"):
        if options.quantisation == "log8":
            codes = np.rint(-np.log(shares) / LOG_STEP)
            held = codes < len(table)
        else:
            codes = np.rint(shares * (len(table) - 1))
            held = codes > 0
    codes, states, original, rows = (x[held] for x in (codes, states, original, rows))
    counts = np.bincount(rows, minlength=frames)
    codes = codes.astype(dtype)
    stored = table.astype(np.float64)[codes]
    stored /= np.bincount(rows, stored, frames)[rows]
    divergence = float((stored * np.log(stored / np.maximum(original, 1e-300))).sum())
    return counts.astype("<u2"), states.astype("<u2"), codes, divergence


def _encode(
    array: np.ndarray, temperature: float, options: SoftTargetOptions
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Yield counts, states, codes and divergence of the frames (N, pdfs) of an utterance."""
    scores = torch.from_numpy(np.array(array, dtype=np.float32))
    for block in scores.split(BLOCK):
        if math.isinf(temperature):
            centred = (block - block.mean(1, keepdim=True)).numpy()
            if np.abs(centred).max() > LARGEST_LOGIT:
                raise DataError(
                    f"a logit of {np.abs(centred).max():.3g}; a cache holds {LARGEST_LOGIT:.0f} at "
                    "most: train the teacher with a lower rate or with weight decay"
                )
            none = np.empty(0, dtype="<u2")
            yield none, none, centred.astype("<f2"), 0.0
        else:
            yield compress(temper(block, temperature).numpy(), options)


def write_soft_targets(
    path: str | Path,
    log_posteriors: Iterable[tuple[str, np.ndarray]],
    temperature: float,
    teacher: Mapping[str, Any],
    options: SoftTargetOptions | None = None,
) -> dict[str, Any]:
    """Write the soft targets of one teacher at one temperature.

    Memory is bounded by the longest utterance. The bytes depend on the arguments alone.

    Parameters
    ----------
    path : path
        The cache, written whole or not at all.
    log_posteriors : iterable of (utterance, array)
        The teacher's logits or log posteriors (N, pdfs) at temperature 1.
    temperature : float
        T of p = softmax(z / T); infinite for the logits z themselves.
    teacher : mapping
        The teacher's identity: ``run``, ``seed`` and ``sha256`` of its model file.
    options : SoftTargetOptions, optional

    Returns
    -------
    dict
        The header.

    Raises
    ------
    DataError
        If there are no utterances, one repeats, or posteriors are not finite or not of one width.
    """
    path = Path(path)
    options = options or SoftTargetOptions()
    utterances: dict[str, int] = {}
    pdfs = 0
    divergence = 0.0
    with writing(path), ExitStack() as opened:
        with creating(path):
            streams = [
                opened.enter_context(tempfile.TemporaryFile(dir=path.parent)) for _ in range(3)
            ]
        for utterance, array in log_posteriors:
            array = np.asarray(array)
            pdfs = pdfs or array.shape[-1]
            if utterance in utterances:
                raise DataError(f"{path}: utterance {utterance} is written twice")
            if array.ndim != 2 or array.shape[1] != pdfs or not len(array) or pdfs > 65535:
                raise DataError(
                    f"{path}: {utterance} has posteriors of shape {array.shape}; "
                    f"expected at least one frame of {min(pdfs, 65535)} pdfs"
                )
            if not np.isfinite(array).all():
                raise DataError(
                    f"{path}: the teacher's posteriors of {utterance} hold a NaN or an infinity; "
                    f"train the teacher {teacher.get('run')} again"
                )
            utterances[utterance] = len(array)
            for *parts, cost in _encode(array, temperature, options):
                divergence += cost
                for stream, part in zip(streams, parts, strict=True):
                    stream.write(part.tobytes())
        if not utterances:
            raise DataError(f"{path}: no utterances; expected at least one")
        frames = sum(utterances.values())
        sizes = [stream.tell() for stream in streams]
        digest = hashlib.sha256()
        for stream in streams:
            for chunk in _chunks(stream):
                digest.update(chunk)
        quantisation = LOGITS if math.isinf(temperature) else options.quantisation
        entries = sizes[2] // DTYPES[quantisation].itemsize
        header = {
            "temperature": _shown(temperature),
            "teacher": dict(sorted(teacher.items())),
            "num_pdfs": int(pdfs),
            "frames": frames,
            "entries": entries,
            "mass": options.mass,
            "most": options.most,
            "quantisation": quantisation,
            "arrays": {
                "counts": ["uint16", sizes[0] // 2],
                "states": ["uint16", sizes[1] // 2],
                "codes": [DTYPES[quantisation].name, entries],
            },
            "payload_bytes": sum(sizes),
            "payload_sha256": digest.hexdigest(),
            "bytes_per_frame": round(sum(sizes) / frames, 3),
            "dense_bytes_per_frame": 4 * int(pdfs),
            "kl_to_dense": round(divergence / frames, 9),
            "utterances": list(utterances),
            "lengths": list(utterances.values()),
        }
        text = json.dumps(header, sort_keys=True).encode()
        front = MAGIC + struct.pack("<II", VERSION, len(text))
        body = text + bytes(-(FIXED + len(text)) % ALIGNMENT)
        with atomic_write(path, "wb") as file:
            file.write(front + hashlib.sha256(front + body).digest() + body)
            for stream in streams:
                for chunk in _chunks(stream):
                    file.write(chunk)
    logger.info(
        "%s: %d utterances, %d frames, %.1f bytes per frame (dense float32: %d), "
        "KL to dense %.2g nats",
        path,
        len(utterances),
        frames,
        header["bytes_per_frame"],
        header["dense_bytes_per_frame"],
        header["kl_to_dense"],
    )
    return header


def _chunks(stream) -> Iterable[bytes]:
    stream.seek(0)
    while chunk := stream.read(1 << 22):
        yield chunk


def _shown(temperature: float) -> float | None:
    """Return a temperature as the header has it: null where it is infinite."""
    return None if math.isinf(temperature) else float(temperature)


class Cache:
    """A teacher's targets, checked and mapped into memory.

    Parameters
    ----------
    path : path
    expected : mapping, optional
        What the header must say, such as ``temperature``, ``num_pdfs`` or ``teacher``.

    Attributes
    ----------
    header : dict
    num_pdfs : int

    Raises
    ------
    DataError
        If the file is absent, not a cache, damaged anywhere, or not what is expected, or if the
        teacher's training diverged.
    """

    def __init__(self, path: str | Path, expected: Mapping[str, Any] | None = None):
        self.path = Path(path)
        self.header, start = _read_header(self.path)
        for key, value in (expected or {}).items():
            found = self.header.get(key)
            if found != value:
                raise DataError(
                    f"{path}: {key} is {found!r}; expected {value!r}: the cache belongs to "
                    "another run; delete it and run snakemake"
                )
        payload = np.memmap(self.path, mode="c", offset=start)
        if hashlib.sha256(payload).hexdigest() != self.header["payload_sha256"]:
            raise DataError(
                f"{path}: the payload does not match its checksum: the file is damaged; "
                "delete it and run snakemake"
            )
        self.num_pdfs = self.header["num_pdfs"]
        starts = np.cumsum([0, *self.header["lengths"]])
        self._places = {
            utterance: (int(start), int(length))
            for utterance, start, length in zip(
                self.header["utterances"], starts[:-1], self.header["lengths"], strict=True
            )
        }
        self._map(payload)

    def _map(self, payload: np.ndarray) -> None:
        raise NotImplementedError

    def dense(self, frames: np.ndarray) -> Tensor:
        """Return the targets (B, pdfs) float32 of some frames (B,) of the cache."""
        raise NotImplementedError

    def __contains__(self, utterance: str) -> bool:
        return utterance in self._places

    def positions(self, utterances: Sequence[str], lengths: Sequence[int]) -> np.ndarray:
        """Return the cache's frame number of each frame of some utterances.

        Parameters
        ----------
        utterances : sequence of str
        lengths : sequence of int
            Frames that each must have.

        Returns
        -------
        ndarray
            (sum of lengths,) int64.

        Raises
        ------
        DataError
            If an utterance is absent or of another length.
        """
        result = []
        for utterance, length in zip(utterances, lengths, strict=True):
            start, stored = self._places.get(utterance, (0, None))
            if stored != length:
                found = "is absent" if stored is None else f"has {stored} frames"
                raise DataError(
                    f"{self.path}: utterance {utterance} {found}; expected {length} frames: "
                    "the cache is of other data; delete it and run snakemake"
                )
            result.append(np.arange(start, start + length))
        return np.concatenate(result)


class SoftTargets(Cache):
    """A cache of posteriors at one temperature; see the base class."""

    def _map(self, payload: np.ndarray) -> None:
        frames, entries = self.header["frames"], self.header["entries"]
        code, table = CODES[self.header["quantisation"]]
        counts = payload[: 2 * frames].view("<u2")
        self._states = payload[2 * frames : 2 * (frames + entries)].view("<u2")
        self._codes = payload[2 * (frames + entries) :].view(code)
        self._check_payload(counts)
        self._table = table
        self._pointers = np.zeros(frames + 1, dtype=np.int64)
        np.cumsum(counts, out=self._pointers[1:])

    def _check_payload(self, counts: np.ndarray) -> None:
        if int(counts.sum(dtype=np.int64)) != self.header["entries"] or not counts.all():
            raise DataError(f"{self.path}: the counts do not add up to {self.header['entries']}")
        if int(self._states.max()) >= self.num_pdfs:
            raise DataError(
                f"{self.path}: state {int(self._states.max())}; expected at most "
                f"{self.num_pdfs - 1}"
            )

    def rows(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the entries of some frames in compressed rows.

        Parameters
        ----------
        frames : ndarray
            (B,) frame numbers of the cache.

        Returns
        -------
        rows : ndarray
            (entries,) int64, index into ``frames`` of each entry.
        states : ndarray
            (entries,) int64, the most probable of a frame first.
        probabilities : ndarray
            (entries,) float32, summing to 1 over each frame.
        """
        begin = self._pointers[frames]
        counts = self._pointers[frames + 1] - begin
        ends = np.cumsum(counts)
        firsts = ends - counts
        rows = np.repeat(np.arange(len(frames)), counts)
        entries = np.arange(ends[-1]) + np.repeat(begin - firsts, counts)
        probabilities = self._table[self._codes[entries]]
        sums = np.add.reduceat(probabilities, firsts)
        probabilities /= sums[rows]
        return rows, self._states[entries].astype(np.int64), probabilities

    def dense(self, frames: np.ndarray) -> Tensor:
        """Return the posteriors (B, pdfs) float32 of some frames (B,) of the cache."""
        rows, states, probabilities = self.rows(np.asarray(frames))
        result = np.zeros(len(frames) * self.num_pdfs, dtype=np.float32)
        result[rows * self.num_pdfs + states] = probabilities
        return torch.from_numpy(result.reshape(len(frames), self.num_pdfs))


class Logits(Cache):
    """A cache of logits of zero mean; see the base class."""

    def _map(self, payload: np.ndarray) -> None:
        if any(
            ((part & 0x7C00) == 0x7C00).any()
            for part in np.array_split(payload.view("<u2"), 1 + len(payload) // _PART)
        ):
            raise DataError(f"{self.path}: holds a NaN or an infinity; delete it and run snakemake")
        self._logits = payload.view("<f2").reshape(self.header["frames"], self.num_pdfs)

    def dense(self, frames: np.ndarray) -> Tensor:
        """Return the logits (B, pdfs) float32 of some frames (B,) of the cache."""
        return torch.from_numpy(self._logits[np.asarray(frames)].astype(np.float32))


def open_cache(
    path: str | Path, temperature: float, num_pdfs: int, teacher: str | Path | None = None
) -> Cache:
    """Open a cache of soft targets at a temperature or, where that is infinite, of logits.

    Parameters
    ----------
    path : path
    temperature : float
    num_pdfs : int
    teacher : path, optional
        The model whose targets these must be.

    Raises
    ------
    DataError
        As from `Cache`, or if the targets are those of another teacher.
    """
    kind = Logits if math.isinf(temperature) else SoftTargets
    cache = kind(path, {"temperature": _shown(temperature), "num_pdfs": num_pdfs})
    if teacher is not None and cache.header["teacher"].get("sha256") != file_digest(teacher):
        raise DataError(
            f"{path}: is of another teacher than {teacher}, {shown(cache.header['teacher'])}; "
            "delete it and run snakemake"
        )
    return cache


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Check and read the header; return it and where the payload starts."""
    mend = "delete the file and run snakemake"
    if problem := problem_of(path):
        raise DataError(f"{path}: there are no soft targets: {problem}")
    with reading(path), open(path, "rb") as file:
        fixed = file.read(FIXED)
        size = path.stat().st_size
        if len(fixed) < FIXED or fixed[:8] != MAGIC:
            raise DataError(f"{path}: not a soft-target cache; {mend}")
        version, length = struct.unpack("<II", fixed[8:16])
        start = FIXED + length + -(FIXED + length) % ALIGNMENT
        if version != VERSION:
            raise DataError(f"{path}: version {version}; expected {VERSION}: {mend}")
        if start > size:
            raise DataError(
                f"{path}: a header of {length} bytes in a file of {size}: it is damaged; {mend}"
            )
        body = file.read(start - FIXED)
    if hashlib.sha256(fixed[:16] + body).digest() != fixed[16:]:
        raise DataError(f"{path}: the header does not match its checksum: it is damaged; {mend}")
    header = parse_json(body[:length], f"{path}: the header")
    try:
        entries, frames = header["entries"], header["frames"]
        width = DTYPES[header["quantisation"]].itemsize
        dense = header["quantisation"] == LOGITS
        payload = width * entries if dense else 2 * frames + (2 + width) * entries
        sound = (
            {type(n) for n in (entries, frames, header["num_pdfs"], *header["lengths"])} == {int}
            and {type(name) for name in header["utterances"]} == {str}
            and type(header["teacher"]) is dict
            and header["payload_bytes"] == payload
            and (not dense or entries == frames * header["num_pdfs"])
            and sum(header["lengths"]) == frames
            and len(header["lengths"]) == len(set(header["utterances"]))
            and min(header["lengths"]) > 0
            and 0 < header["num_pdfs"] <= 65535
            and dense == (header["temperature"] is None)
            and (dense or header["temperature"] > 0)
            and len(header["payload_sha256"]) == 64
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: the header lacks or garbles {error}; {mend}") from None
    if not sound:
        raise DataError(f"{path}: the header contradicts itself; {mend}")
    if size - start != header["payload_bytes"]:
        raise DataError(
            f"{path}: the payload has {size - start} bytes; expected {header['payload_bytes']}: "
            f"the file is truncated; {mend}"
        )
    return header, start
