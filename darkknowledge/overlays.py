"""Studies laid over one another, as Snakemake lays one --configfile over the other."""

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from darkknowledge.errors import DataError, shown
from darkknowledge.files import read_text

MOST_VALUES = 100_000
LONGEST = 50_000  # characters
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """YAML without code, in which a key stands once and anchors unfold to a bounded size."""

    def get_single_node(self):
        node = super().get_single_node()
        if node is not None:
            _check(node, {}, ())
        return node


def _check(node: yaml.Node, sizes: dict[int, int], above: tuple[int, ...]) -> int:
    """Return the values that a node unfolds to; refuse keys that repeat."""
    if id(node) in above:
        raise yaml.MarkedYAMLError(None, None, "an anchor inside itself", node.start_mark)
    if id(node) not in sizes:
        below = node.value if isinstance(node.value, list) else []
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            below = [part for pair in below for part in pair]
        sizes[id(node)] = 1 + sum(_check(part, sizes, (*above, id(node))) for part in below)
    if sizes[id(node)] > MOST_VALUES:
        problem = f"more than {MOST_VALUES} values, its anchors unfolded"
        raise yaml.MarkedYAMLError(None, None, problem, node.start_mark)
    return sizes[id(node)]


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[Hashable] = set()
    for key, _ in node.value:
        if key.tag == _MERGE:
            continue
        name = (key.tag, key.value) if isinstance(key.value, str) else None
        if name is None:
            raise yaml.MarkedYAMLError(None, None, "a key that is no word", key.start_mark)
        if name in seen:
            problem = f"the key {shown(key.value)} stands twice; remove one"
            raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
        seen.add(name)


def lay(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings key by key; lists and values of ``top`` replace those of ``base``."""
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = lay(merged[key], value) if both else value
    return merged


def read_study(path: str | Path) -> dict[str, Any]:
    """Read a study file.

    Raises
    ------
    DataError
        If it is absent, not YAML or no mapping, a key stands in it twice, or its anchors unfold
        without bound; the message names line and column.
    """
    text = read_text(path, "give the path of a study")
    if len(text) > LONGEST:
        raise DataError(f"{path}: {len(text)} characters; expected a study of at most {LONGEST}")
    try:
        study = yaml.load(text, _Loader)  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise DataError(f"{place}: {error.problem}; expected the YAML of a study") from None
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: {error}; expected the YAML of a study") from None
    if study is None:
        return {}
    if not isinstance(study, dict):
        raise DataError(f"{path}: {shown(study)}; expected a study: keys with values")
    return study


def read_studies(paths: Iterable[str | Path]) -> dict[str, Any]:
    """Read study files, each laid over those before it.

    Raises
    ------
    DataError
        As from `read_study`.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        merged = lay(merged, read_study(path))
    return merged
