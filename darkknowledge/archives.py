"""Kaldi archives: a table of arrays in an ``ark`` file with its index in an ``scp`` file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import kaldiio
import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write


def write_archive(scp: str | Path, items: Iterable[tuple[str, np.ndarray]]) -> int:
    """Write arrays to ``X.ark`` and their index to ``X.scp``.

    Parameters
    ----------
    scp : path
        Name of the index, ending in ``.scp``; the archive stands beside it.
    items : iterable of (key, array)
        float32 matrices (N, D) or vectors, or int32 vectors, keys without spaces and unique.

    Returns
    -------
    int
        The number of arrays written.

    Raises
    ------
    DataError
        If there is no item, a key repeats, or an array is empty or holds a NaN or an infinity.
    """
    scp = Path(scp)
    ark = scp.with_suffix(".ark")
    index: dict[str, int] = {}
    with atomic_write(scp) as scp_file, atomic_write(ark, "wb") as ark_file:
        for key, array in items:
            array = np.asarray(array)
            if key in index:
                raise DataError(f"{ark}: key {key} is written twice; keys must be unique")
            if array.size == 0:
                raise DataError(f"{ark}: {key} is empty; expected at least one frame")
            if array.dtype.kind == "f":
                array = array.astype(np.float32, copy=False)
                if not np.isfinite(array).all():
                    raise DataError(f"{ark}: {key} holds a NaN or an infinity")
            else:
                array = array.astype(np.int32, copy=False)
            index[key] = ark_file.tell() + len(key.encode()) + 1
            kaldiio.save_ark(ark_file, {key: array})
        if not index:
            raise DataError(f"{ark}: nothing to write; expected at least one utterance")
        scp_file.writelines(f"{key} {ark}:{offset}\n" for key, offset in sorted(index.items()))
    return len(index)


class Archive(Mapping):
    """The arrays of an ``scp`` file by key, each read when it is asked for.

    Parameters
    ----------
    scp : path
    roots : sequence of path
        Folders that relative paths may start from, the first that has the file; the working
        directory where there are none.
    mend : str
        What mends an archive that cannot be read.
    """

    def __init__(
        self,
        scp: str | Path,
        roots: Sequence[str | Path] = (),
        mend: str = "delete it and run snakemake",
    ):
        self.path = Path(scp)
        self._roots = [Path(root) for root in roots]
        self._mend = mend
        if not self.path.is_file():
            raise DataError(f"{scp}: no such file; run snakemake to make it")
        self._places: dict[str, str] = {}
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            fields = line.split(maxsplit=1)
            if len(fields) != 2 or ":" not in fields[1] or fields[1].rstrip().endswith("|"):
                raise DataError(f"{scp}:{number}: {line!r}; expected 'key path:offset'")
            if fields[0] in self._places:
                raise DataError(f"{scp}:{number}: key {fields[0]} appears twice")
            self._places[fields[0]] = fields[1].strip()
        if not self._places:
            raise DataError(f"{scp}: no entries; expected at least one")

    def __getitem__(self, key: str) -> np.ndarray:
        place = self._places[key]
        try:
            return kaldiio.load_mat(self._resolved(place))
        except Exception as error:
            raise DataError(
                f"{self.path}: {key} cannot be read from {place} ({error}); "
                f"the archive is damaged or absent: {self._mend}"
            ) from error

    def _resolved(self, place: str) -> str:
        name, _, offset = place.partition(":")
        found = (root / name for root in self._roots if (root / name).is_file())
        return f"{next(found, name)}:{offset}" if self._roots else place

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
