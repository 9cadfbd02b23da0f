"""The numbers beside the pictures, with intervals over seeds and minibatches."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from darkknowledge.failures import problem_of
from darkknowledge.files import read_json

MEASURES = {
    "largest_eigenvalue": "largest eigenvalue",
    "trace": "trace of the Hessian",
    "gradient_variance": "gradient variance between utterances",
    "logit_variance": "logit-gradient variance between frames",
    "sharpness": "largest rise within the ball",
}
LEVEL = 0.95
RATIOS = ("ratio", "to_first")
COLUMNS = ["run", "model", "objective", "measure", "mean", "low", "high"]
COLUMNS += [f"{name}{end}" for name in RATIOS for end in ("", "_low", "_high")]


def read_measured(files: Sequence[str | Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """Read what was measured, and name what a training that diverged left no numbers of."""
    absent = [
        f"{file.parent.name.removeprefix('curvature-')} {file.stem}"
        for file in map(Path, files)
        if problem_of(file)
    ]
    return [read_json(file) for file in files if not problem_of(file)], absent


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of measurements with its 95 % interval.

    Parameters
    ----------
    values : ndarray
        (seeds, minibatches). With several seeds their means are the sample of Student's
        interval, and so carry the scatter of minibatches too; with one seed its minibatches are.

    Returns
    -------
    mean, low, high : float
        The interval is NaN where there is one value.
    """
    sample = values.mean(1) if len(values) > 1 else values[0]
    mean, count = float(sample.mean()), len(sample)
    if count < 2:
        return mean, math.nan, math.nan
    half = stats.t.ppf((1 + LEVEL) / 2, count - 1) * sample.std(ddof=1) / math.sqrt(count)
    return mean, mean - float(half), mean + float(half)


def curvature_table(
    measured: Sequence[Mapping[str, Any]], labels: Mapping[str, str]
) -> pd.DataFrame:
    """Gather what was measured of all runs and seeds.

    Parameters
    ----------
    measured : sequence of mapping
        From `darkknowledge.landscapes.compute.compute_curvature`.
    labels : mapping
        Name of each run in the table.

    Returns
    -------
    DataFrame
        One row for each run, objective and measure: ``mean``, ``low``, ``high``;
        ``ratio`` with ``ratio_low`` and ``ratio_high``, the geometric mean of the value over that
        of the first objective at the same weights, on the same minibatch; and ``to_first``, with
        its interval, over that of the first objective at the weights of the first run, seed by
        seed. Ratios are empty where a value is not above 0.
    """
    runs = list(dict.fromkeys(result["run"] for result in measured))
    objectives = measured[0]["objectives"] if measured else []
    values = {
        (run, objective, measure): _values(measured, run, objective, measure)
        for run in runs
        for objective in objectives
        for measure in MEASURES
    }
    rows = []
    for (run, objective, measure), found in values.items():
        row = {"run": run, "model": labels[run], "objective": objective, "measure": measure}
        row |= dict(zip(("mean", "low", "high"), interval(found), strict=True))
        for name, base in zip(RATIOS, (run, runs[0]), strict=True):
            columns = (name, f"{name}_low", f"{name}_high")
            ratio = _ratio(found, values[base, objectives[0], measure])
            row |= dict(zip(columns, ratio, strict=True))
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _values(
    measured: Sequence[Mapping[str, Any]], run: str, objective: str, measure: str
) -> np.ndarray:
    """Return a measure as (seeds, minibatches)."""
    return np.array(
        [
            [
                row["eigenvalues"][0] if measure == "largest_eigenvalue" else row[measure]
                for row in result["rows"]
                if row["objective"] == objective
            ]
            for result in measured
            if result["run"] == run
        ]
    )


def _ratio(values: np.ndarray, base: np.ndarray) -> tuple[float, float, float]:
    if values.shape != base.shape or not (values > 0).all() or not (base > 0).all():
        return math.nan, math.nan, math.nan
    mean, low, high = interval(np.log(values / base))
    return math.exp(mean), math.exp(low), math.exp(high)
