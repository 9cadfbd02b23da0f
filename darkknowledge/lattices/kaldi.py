"""Word lattices as Kaldi's tools read them: a text archive of compact lattices."""

from collections.abc import Iterable
from pathlib import Path

from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write
from darkknowledge.lattices.paths import Lattice


def write_kaldi_lattices(
    path: str | Path, lattices: Iterable[tuple[str, Lattice]], words: Iterable[str]
) -> int:
    """Write lattices as ``lattice-copy ark:... ark,t:...`` does.

    Each arc is ``from to word graph,acoustic,`` with costs before scaling; the place after the
    second comma, where Kaldi has transition-ids, is empty. Utterances in which nothing was
    recognised are left out.

    Parameters
    ----------
    path : path
    lattices : iterable of (utterance, Lattice)
    words : iterable of str
        Those of the graph's ``words.txt``, in the order of their numbers.

    Returns
    -------
    int
        The number of lattices written.

    Raises
    ------
    DataError
        If a lattice has a word that is not among them.
    """
    numbers = {word: number for number, word in enumerate(words)}
    written = 0
    with atomic_write(path) as file:
        for utterance, lattice in lattices:
            foreign = [word for word in lattice.words if word not in numbers]
            if foreign:
                raise DataError(
                    f"{utterance}: {foreign[0]} is not in words.txt; the graph was made anew: make "
                    "the lattices again"
                )
            if not len(lattice.arcs):
                continue
            written += 1
            file.write(f"{utterance} \n")
            for source, target, word, _, _, graph, acoustic in lattice.arcs.tolist():
                ends = f"{source} {target} {numbers[lattice.words[word]]}" if word else source
                file.write(f"{ends} {graph:.9g},{acoustic:.9g},\n")
            file.write("\n")
    return written
