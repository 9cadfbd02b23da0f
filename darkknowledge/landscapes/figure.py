"""The figures of landscapes: surfaces, the line between two minima, training paths, numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FormatStrFormatter, LogFormatter

from darkknowledge.failures import problem_of
from darkknowledge.figures import COLOURS, STYLE, name_absent, save_figure
from darkknowledge.landscapes.files import LossGrid, read_grid
from darkknowledge.landscapes.numbers import MEASURES

LOWEST, HIGHEST = 0.03, 10.0  # nats above the lowest point, of the colours and contours
LEVELS = np.array([0.03, 0.1, 0.3, 1.0, 3.0])
CMAP = "viridis_r"


def draw_grids(
    picture: str, stem: str | Path, files: Sequence[str | Path], labels: Mapping[str, str]
) -> None:
    """Draw the grids of a picture from their files.

    Parameters
    ----------
    picture : {"surfaces", "line", "path"}
    stem : path
        Of the figures, without suffix.
    files : sequence of path
        From `darkknowledge.landscapes.files.write_grid`. What stands for a training that
        diverged is left out and named below.
    labels : mapping
        Name of each run in the figure.
    """
    absent = [f"{file.parent.name} {file.stem}" for file in map(Path, files) if problem_of(file)]
    grids = [read_grid(file) for file in files if not problem_of(file)]
    if picture == "surfaces":
        draw_surfaces(stem, {grid.meta["runs"][0]: grid for grid in grids}, labels, absent)
    elif picture == "line":
        draw_line(stem, grids, labels, absent)
    else:
        draw_path(stem, grids[0] if grids else None, labels, absent)


def draw_surfaces(
    stem: str | Path,
    grids: Mapping[str, LossGrid],
    labels: Mapping[str, str],
    absent: Sequence[str] = (),
) -> None:
    """Draw the loss around networks: a row for each, a column for each objective, one scale.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    grids : mapping
        The surface of each run.
    labels : mapping
        Name of each run in the figure.
    absent : sequence of str
        Runs without a surface, named below.
    """
    names = next(iter(grids.values())).objectives if grids else ["no surface"]
    rows = max(1, len(grids))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, len(names), figsize=(2.5 * len(names) + 1.2, 2.5 * rows + 0.6), squeeze=False,
            layout="constrained", sharex=True, sharey=True,
        )  # fmt: skip
        shades = None
        for row, (run, grid) in zip(axes, grids.items(), strict=False):
            for number, panel in enumerate(row):
                shades = _plane(panel, grid, number)
                panel.plot(0, 0, "+", color="#D55E00", markersize=9, markeredgewidth=1.8)
                _title(panel, grid, number, grid.loss.shape[1] // 2, grid.loss.shape[2] // 2)
            row[0].set_ylabel(f"{labels[run]}\nsecond direction")
        for panel in axes[-1]:
            panel.set_xlabel("first direction")
        _colours(figure, shades, axes)
        name_absent(figure, absent)
    save_figure(figure, stem)


def draw_line(
    stem: str | Path,
    grids: Sequence[LossGrid],
    labels: Mapping[str, str],
    absent: Sequence[str] = (),
) -> None:
    """Draw the loss along the line between two networks, for each seed.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    grids : sequence of LossGrid
        One for each seed.
    labels : mapping
        Name of each run in the figure.
    absent : sequence of str
        Seeds without a line, named below.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
        for seed, grid in enumerate(grids):
            for number, name in enumerate(grid.objectives):
                above = grid.loss[number] - grid.floor[number]
                axes.plot(
                    grid.axes[0], above, color=COLOURS[number], linewidth=1.6 if not seed else 0.9,
                    alpha=1 if not seed else 0.6, label=None if seed else name,
                )  # fmt: skip
                lowest = above.argmin()
                axes.plot(grid.axes[0][lowest], above[lowest], "o", color=COLOURS[number])
        for place in (0, 1):
            axes.axvline(place, color="#667085", linewidth=0.9, linestyle=":")
        ends = [labels[run] for run in grids[0].meta["runs"]] if grids else ["0", "1"]
        axes.set_xticks([-0.5, 0, 0.5, 1, 1.5], ["-0.5", ends[0], "0.5", ends[1], "1.5"])
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_formatter(FormatStrFormatter("%g"))
        axes.set(ylabel="nats above the entropy of the targets")
        axes.set_title("Loss on the straight line between two minima")
        if grids:
            axes.legend(title="objective", alignment="left")
        name_absent(figure, absent)
    save_figure(figure, stem)


def draw_path(
    stem: str | Path, grid: LossGrid | None, labels: Mapping[str, str], absent: Sequence[str] = ()
) -> None:
    """Draw training paths over the loss in the plane of their two principal directions.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    grid : LossGrid or None
        With paths; None where there is none.
    labels : mapping
        Name of each run in the figure.
    absent : sequence of str
        What is missing, named below.
    """
    names = grid.objectives if grid else ["no path"]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(names), figsize=(2.7 * len(names) + 1.2, 3.4), squeeze=False,
            layout="constrained", sharex=True, sharey=True,
        )  # fmt: skip
        shades = None
        for number, panel in enumerate(axes[0]):
            if not grid:
                continue
            shades = _plane(panel, grid, number)
            for place, (run, way) in enumerate(grid.paths.items()):
                colour = ("#D55E00", "#FFFFFF", "#C2559D")[place % 3]
                panel.plot(
                    *way.T, "o-", color=colour, markersize=3.2, linewidth=1.1, label=labels[run],
                    markeredgecolor="#1d2939", markeredgewidth=0.4,
                    path_effects=[withStroke(linewidth=1.9, foreground="#1d2939")],
                )  # fmt: skip
                panel.plot(
                    *way[-1], "*", color=colour, markersize=11, markeredgecolor="#1d2939",
                    markeredgewidth=0.6,
                )  # fmt: skip
            panel.set_title(names[number])
            panel.set_xlabel(f"first, {100 * grid.meta['shares'][0]:.0f} % of the variance")
        if grid:
            axes[0][0].set_ylabel(f"second, {100 * grid.meta['shares'][1]:.0f} %")
            figure.legend(
                *axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3
            )
        _colours(figure, shades, axes)
        name_absent(figure, absent)
    save_figure(figure, stem)


def draw_curvature(stem: str | Path, table: pd.DataFrame, absent: Sequence[str] = ()) -> None:
    """Draw the numbers of networks under all objectives, with their intervals.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    table : DataFrame
        From `darkknowledge.landscapes.numbers.curvature_table`; without rows where nothing was
        measured.
    absent : sequence of str
        What is missing, named below.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(MEASURES), figsize=(2.3 * len(MEASURES) + 1.2, 3.6), layout="constrained"
        )
        for panel, (measure, title) in zip(axes, MEASURES.items(), strict=True):
            panel.set_title(title.replace(" ", "\n", 1), fontsize=9)
            if table.empty:
                continue
            rows = table[table["measure"] == measure]
            models = list(dict.fromkeys(rows["model"]))
            names = list(dict.fromkeys(rows["objective"]))
            for number, name in enumerate(names):
                part = rows[rows["objective"] == name].set_index("model").loc[models]
                places = np.arange(len(models)) + 0.7 * ((number + 0.5) / len(names) - 0.5)
                spread = np.nan_to_num((part["high"] - part["mean"]).to_numpy())
                panel.errorbar(
                    places, part["mean"], spread, fmt="o", color=COLOURS[number], capsize=2,
                    elinewidth=1.1, label=name,
                )  # fmt: skip
            if (rows["mean"] > 0).all():
                low = (rows["low"].where(rows["low"] > 0, rows["mean"])).min()
                panel.set_yscale("log")
                panel.set_ylim(0.7 * low, 1.4 * np.nanmax([rows["high"].max(), rows["mean"].max()]))
                panel.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
                panel.tick_params(axis="y", which="minor", labelsize=7)
            panel.set_xticks(range(len(models)), models, rotation=60, ha="right")
            panel.set_xlim(-0.6, len(models) - 0.4)
        if not table.empty:
            figure.legend(
                *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4,
                title="objective",
            )  # fmt: skip
        name_absent(figure, absent)
    save_figure(figure, stem)


def _plane(panel: plt.Axes, grid: LossGrid, number: int):
    """Draw one objective over a plane, as what it is above its lowest point there."""
    loss = grid.loss[number].T  # (second, first)
    above = np.clip(loss - loss.min(), LOWEST, HIGHEST)
    shades = panel.pcolormesh(
        *grid.axes, above, norm=LogNorm(LOWEST, HIGHEST), cmap=CMAP, shading="gouraud",
        rasterized=True,
    )  # fmt: skip
    panel.contour(
        *grid.axes, loss - loss.min(), LEVELS, colors="#1d2939", linewidths=0.7, alpha=0.8
    )
    panel.grid(False)
    return shades


def _title(panel: plt.Axes, grid: LossGrid, number: int, first: int, second: int) -> None:
    here = grid.loss[number, first, second] - grid.floor[number]
    panel.set_title(f"{grid.objectives[number]}: {here:.2f} at +", fontsize=9)


def _colours(figure: plt.Figure, shades, axes: np.ndarray) -> None:
    if shades is None:
        return
    bar = figure.colorbar(shades, ax=axes, shrink=0.8, pad=0.02, ticks=[*LEVELS, HIGHEST])
    bar.ax.set_yticklabels([f"{level:g}" for level in [*LEVELS, HIGHEST]])
    bar.ax.minorticks_off()
    bar.set_label("nats above the panel's lowest point")
    bar.outline.set_visible(False)
