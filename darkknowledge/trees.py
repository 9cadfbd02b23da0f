"""Which tree pdfs are of: two files that speak of pdfs must mean the same ones."""

from pathlib import Path

from darkknowledge.archives import Archive
from darkknowledge.errors import DataError, shown


def check_tree(path: str | Path, tree: str | None, other: str | Path, wanted: str | None) -> None:
    """Refuse a file whose pdfs are of another tree.

    Parameters
    ----------
    path : path
    tree : str or None
        Digest of the tree that it tells; None where it tells none.
    other : path
        The file that it is used with.
    wanted : str or None
        What that one tells.

    Raises
    ------
    DataError
        If both tell one, and not the same.
    """
    if None not in (tree, wanted) and tree != wanted:
        raise DataError(
            f"{path}: its pdfs are of the tree {shown(str(tree)[:12])}, those of {other} of "
            f"{shown(str(wanted)[:12])}; delete the older of the two and run snakemake"
        )


def open_alignments(scp: str | Path, model: str | Path, wanted: str | None) -> Archive:
    """Open alignments that a model is to be used with.

    Parameters
    ----------
    scp : path
        Index of pdfs or transitions by utterance.
    model : path
    wanted : str or None
        Digest of the model's tree.

    Raises
    ------
    DataError
        If they cannot be read or are of another tree.
    """
    archive = Archive(scp)
    check_tree(scp, archive.tree, model, wanted)
    return archive
