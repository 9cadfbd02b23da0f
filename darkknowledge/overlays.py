"""Studies laid over one another, as Snakemake lays one --configfile over the other."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml


def lay(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings key by key; lists and values of ``top`` replace those of ``base``."""
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = lay(merged[key], value) if both else value
    return merged


def read_studies(paths: Iterable[str | Path]) -> dict[str, Any]:
    """Read study files, each laid over those before it."""
    merged: dict[str, Any] = {}
    for path in paths:
        merged = lay(merged, yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {})
    return merged
