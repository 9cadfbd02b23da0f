"""The numbers of a sweep: results of runs that differ in one option."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from darkknowledge.files import read_json
from darkknowledge.tables import read_table_rows


def read_sweep(spec: Mapping[str, Any]) -> pd.DataFrame:
    """Gather the points of a sweep from the files of its runs.

    Parameters
    ----------
    spec : mapping
        ``rows``, ``systems``, ``scores`` and ``summaries`` as
        `darkknowledge.tables.read_table_rows` takes them; ``x``, the option; ``values``, its
        value in each run; ``frame_shift`` in ms.

    Returns
    -------
    DataFrame
        As from `darkknowledge.tables.table_rows`, with ``x``: the value, or for ``speakers`` the
        hours of speech that they are.
    """
    table = read_table_rows(spec)
    values = dict(spec["values"])
    if spec["x"] == "speakers":
        for (run, _), path in zip(spec["systems"], spec["summaries"], strict=True):
            frames = read_json(path).get("train_frames")
            if frames is not None:
                values[run] = frames * spec["frame_shift"] / 3_600_000
    table.insert(1, "x", table["run"].map(values))
    return table
