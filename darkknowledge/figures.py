"""The figures: one style, the same colour for the same run everywhere, the same bytes each time.

The style stands in ``figures.mplstyle``.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from darkknowledge.corpora.conditions import CONDITIONS, group
from darkknowledge.files import atomic_write
from darkknowledge.landscape import Surface, ToyData, gradient_variance, log_density, soften

STYLE = matplotlib.rc_params_from_file(
    Path(__file__).with_suffix(".mplstyle"), use_default_template=False
)
COLOURS = tuple(STYLE["axes.prop_cycle"].by_key()["color"])
MARKERS = "osDv^PX<>p"
DASHES = ("-", "--", ":", "-.")
CLASSES = ("#0072B2", "#D55E00")
TARGETS = {"hard": "#000000", "soft, T = 1": "#0072B2", "soft, T = 2": "#D55E00"}


def save_figure(figure: Figure, stem: str | Path) -> None:
    """Write a figure as ``.svg``, ``.pdf`` and ``.png``, the same bytes each time, and close it."""
    dateless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    with plt.rc_context(STYLE):
        for kind, metadata in dateless.items():
            with atomic_write(f"{stem}.{kind}", "wb") as file:
                figure.savefig(file, format=kind, metadata=metadata)
    plt.close(figure)


def run_styles(places: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Give runs their colour and marker, the same in every figure of a study.

    Parameters
    ----------
    places : mapping
        Place of each run in the study, from 0; a run added at the end changes no other.

    Returns
    -------
    dict of run to ``color``, ``marker`` and ``linestyle``
        Eleven runs and more differ by marker and dashes where the colour comes again.
    """
    return {
        run: {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[(i + i // len(COLOURS)) % len(MARKERS)],
            "linestyle": DASHES[i // len(COLOURS) % len(DASHES)],
        }
        for run, i in places.items()
    }


def draw_toy_data(stem: str | Path, data: ToyData, surfaces: Mapping[str, Surface]) -> None:
    """Draw the toy's two classes: points, densities, the true boundary and the learnt ones.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    data : ToyData
    surfaces : mapping
        From `darkknowledge.landscape.toy_surfaces`.
    """
    reach = math.ceil(np.abs(data.x).max() * 10) / 10 + 0.3
    axis = np.linspace(-reach, reach, 161)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    flat = grid.reshape(-1, 2)
    densities = [log_density(flat, label).reshape(grid.shape[:2]) for label in (0, 1)]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(5.6, 5.0))
        tint = LinearSegmentedColormap.from_list("", [CLASSES[0], "#ffffff", CLASSES[1]])
        odds = densities[1] - densities[0]
        share = axes.imshow(
            1 / (1 + np.exp(-odds)),
            extent=(-reach, reach, -reach, reach),
            origin="lower",
            cmap=tint,
            alpha=0.35,
            vmin=0,
            vmax=1,
            interpolation="bilinear",
        )
        for label, (name, marker) in enumerate((("class 0", "o"), ("class 1", "^"))):
            levels = densities[label].max() - np.array([4.0, 2.0, 0.7])
            axes.contour(
                axis, axis, densities[label], levels, colors=CLASSES[label], linewidths=0.8,
                linestyles="solid",
            )  # fmt: skip
            points = data.x[data.label == label]
            axes.plot(
                *points.T, marker, color=CLASSES[label], markersize=4, alpha=0.9, label=name,
                markeredgecolor="white", markeredgewidth=0.4,
            )  # fmt: skip
        axes.contour(axis, axis, odds, [0], colors="#344054", linewidths=1.6, linestyles=":")
        handles, labels = axes.get_legend_handles_labels()
        handles.append(Line2D([], [], color="#344054", linestyle=":"))
        labels.append("true boundary")
        for name, dashes in (("hard", "-"), ("soft, T = 1", "--")):
            w1, w2 = surfaces[name].minimum
            (line,) = axes.plot(axis, -axis * w1 / w2, dashes, color=TARGETS[name], linewidth=1.3)
            handles.append(line)
            labels.append(f"learnt, {name}")
        bar = figure.colorbar(share, ax=axes, shrink=0.8, pad=0.03)
        bar.set_label("posterior of class 1")
        bar.outline.set_visible(False)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="$x_1$", ylabel="$x_2$")
        axes.set_title("Two classes in the plane, each a mixture of two Gaussians", pad=36)
        axes.grid(False)
        axes.legend(
            handles, labels, ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 1.0),
            columnspacing=1.0, handletextpad=0.5, borderpad=0,
        )  # fmt: skip
    save_figure(figure, stem)


def draw_toy_surfaces(stem: str | Path, data: ToyData, surfaces: Mapping[str, Surface]) -> None:
    """Draw the loss over the weight plane under hard and soft targets.

    Two surfaces on one scale with their minima; below, contours of all surfaces in one plane,
    and how much the gradient scatters between points on the way to the minimum.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    data : ToyData
    surfaces : mapping
        From `darkknowledge.landscape.toy_surfaces`.
    """
    hard, soft = surfaces["hard"], surfaces["soft, T = 1"]
    top = max(surface.loss.max() for surface in (hard, soft))
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(9.2, 7.6))
        layout = figure.add_gridspec(
            2, 2, height_ratios=(1.35, 1), hspace=0.2, wspace=0.24, left=0.07, right=0.97,
            top=0.93, bottom=0.07,
        )  # fmt: skip
        for column, surface in enumerate((hard, soft)):
            axes = figure.add_subplot(layout[0, column], projection="3d", computed_zorder=False)
            _surface(axes, surface, top)
        axes = figure.add_subplot(layout[1, 0])
        for name, surface in surfaces.items():
            levels = surface.minimum_loss + np.array([0.02, 0.1, 0.3])
            axes.contour(
                surface.w1, surface.w2, surface.loss, levels, colors=TARGETS[name],
                linewidths=(1.5, 1.1, 0.8),
            )  # fmt: skip
            axes.plot(
                *surface.minimum, "*", color=TARGETS[name], markersize=12,
                markeredgecolor="white", label=name,
            )  # fmt: skip
        axes.set(xlabel="$w_1$", ylabel="$w_2$", aspect="equal")
        axes.set(xlim=(hard.w1[0], hard.w1[-1]), ylim=(hard.w2[0], hard.w2[-1]))
        axes.set_title("Minima; contours 0.02, 0.1, 0.3 nats above")
        axes.legend(loc="lower left", title="targets", alignment="left")
        axes = figure.add_subplot(layout[1, 1])
        _scatter_on_the_way(axes, data, surfaces)
    save_figure(figure, stem)


PHASES = {
    "soft": "soft targets",
    "reg": "soft and hard targets at once",
    "hard": "hard targets",
    "logits": "logits",
    "smbr": "sMBR: the states of whole utterances",
    "mmi": "MMI: the states of whole utterances",
}


def draw_learning_curves(
    stem: str | Path,
    curves: Sequence[Mapping[str, Any]],
    styles: Mapping[str, Mapping[str, str]],
) -> None:
    """Draw the cross-validation loss and frame accuracy of all runs against the epoch.

    What is learnt side by side on the same axes, a column for soft and one for hard targets: the
    loss is the cross-entropy with the alignment in all of them. A phase that a run has from another
    one is drawn once, as that one's.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    curves : sequence of mapping
        One for each run and seed: ``run``, ``label``, ``seed``, and ``metrics``, the rows of the
        run's metrics file (``phase``, ``epoch``, ``cv_ce`` in nats per frame, ``cv_fa`` in per
        cent, ``accepted``). One with a ``problem`` is left out and named below.
    styles : mapping
        From `run_styles`.
    """
    absent = _absent(curves)
    curves = [curve for curve in curves if curve["metrics"] and not curve.get("problem")]
    labels = {curve["run"]: curve["label"] for curve in curves}
    present = {row["phase"] for curve in curves for row in curve["metrics"]}
    columns = [phase for phase in dict.fromkeys([*PHASES, *sorted(present)]) if phase in present]
    curves.sort(key=lambda curve: len({row["phase"] for row in curve["metrics"]}))
    panels = (
        ("cv_ce", "cross-entropy, nats per frame"),
        ("cv_fa", "frame accuracy, %"),
    )
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, max(1, len(columns)), sharex=True, sharey="row", squeeze=False, figsize=(9.6, 6.4),
            layout="constrained",
        )  # fmt: skip
        for row, (key, unit) in zip(axes, panels, strict=True):
            for panel, phase in zip(row, columns, strict=False):
                seen, drawn = set(), set()
                for curve in curves:
                    faint = 0.35 if curve["run"] in seen else 1.0
                    seen.add(curve["run"])
                    points = [(r["epoch"], r[key]) for r in curve["metrics"] if r["phase"] == phase]
                    if (curve["seed"], *points) in drawn:
                        continue
                    drawn.add((curve["seed"], *points))
                    _curve(panel, curve["metrics"], phase, key, styles[curve["run"]], faint)
            row[0].set_ylabel(unit)
            row[0].set_ylim(*_late_range(curves, key))
        for panel, phase in zip(axes[0], columns, strict=False):
            panel.set_title(PHASES.get(phase, phase))
        for panel in axes[1]:
            panel.set_xlabel("epoch")
            panel.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        handles = [Line2D([], [], label=label, **styles[run]) for run, label in labels.items()]
        kept = Line2D([], [], color="#667085", marker="o", linestyle="none", label="epoch kept")
        figure.legend(
            handles=[*handles, kept], loc="outside lower center", ncols=4, handlelength=3.4
        )
        figure.suptitle(
            "Cross-validation against the alignment, by what is learnt", x=0.01, ha="left"
        )
        name_absent(figure, absent)
    save_figure(figure, stem)


def draw_conditions(
    stem: str | Path,
    systems: Sequence[Mapping[str, Any]],
    styles: Mapping[str, Mapping[str, str]],
    names: Mapping[str, str] | None = None,
) -> None:
    """Draw the word error rate of every system in every condition.

    Conditions 01 to 14 come first and in their groups A to D; others follow by name.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    systems : sequence of mapping
        One for each run and seed: ``run``, ``label``, ``seed`` and ``score``, with
        ``conditions``: for each, ``errors`` and ``words``. The mean over seeds is drawn. One with
        a ``problem`` is left out and named below.
    styles : mapping
        From `run_styles`.
    names : mapping, optional
        What a condition is, such as ``babble``.
    """
    absent = _absent(systems)
    systems = [s for s in systems if s.get("score") and not s.get("problem")]
    order = list(dict.fromkeys(system["run"] for system in systems))
    labels = {system["run"]: system["label"] for system in systems}
    present = {c for system in systems for c in system["score"]["conditions"]}
    grouped = [c for c in CONDITIONS if c in present]
    conditions = grouped + sorted(present.difference(CONDITIONS))
    places = {
        c: i + 0.6 * ("ABCD".index(group(c)) if c in grouped else 4)
        for i, c in enumerate(conditions)
    }
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9.6, 4.6), layout="constrained")
        for letter in "ABCD":
            members = [places[c] for c in grouped if group(c) == letter]
            if members and len(conditions) > 1:
                axes.axvspan(members[0] - 0.55, members[-1] + 0.55, color="#f2f4f7", zorder=0)
                axes.text(
                    (members[0] + members[-1]) / 2, 1.015, letter, ha="center", weight="bold",
                    transform=axes.get_xaxis_transform(),
                )  # fmt: skip
        dodge = np.linspace(-0.36, 0.36, len(order)) if len(order) != 1 else [0.0]
        for run, shift in zip(order, dodge, strict=True):
            rates = {c: [] for c in conditions}
            for system in systems:
                if system["run"] == run:
                    for c, counts in system["score"]["conditions"].items():
                        rates[c].append(100 * counts["errors"] / counts["words"])
            found = [c for c in conditions if rates[c]]
            axes.plot(
                [places[c] + shift for c in found],
                [np.mean(rates[c]) for c in found],
                markersize=6, markeredgecolor="white", markeredgewidth=0.3, clip_on=False,
                label=labels[run], **{**styles[run], "linestyle": "none"},
            )  # fmt: skip
        texts = [f"{c} {names[c]}" if names and c in names else c for c in conditions]
        long = any(len(text) > 6 for text in texts) and len(texts) > 4
        turn = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if long else {}
        axes.set_xticks([places[c] for c in conditions], texts, **turn)
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="x", visible=False)
        axes.margins(y=0.06)
        axes.set(ylabel="word error rate, %", xlabel="test condition")
        axes.set_ylim(bottom=max(0, axes.get_ylim()[0]))
        if conditions:
            axes.set_xlim(places[conditions[0]] - 0.87, places[conditions[-1]] + 0.87)
        axes.set_title("Word error rate by condition", pad=18)
        handles, texts = axes.get_legend_handles_labels()
        columns = max(1, min(4, len(order)))
        figure.legend(handles, texts, loc="outside lower center", ncols=columns)
        name_absent(figure, absent)
    save_figure(figure, stem)


def _absent(systems: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{s['label']} (seed {s['seed']})" for s in systems if s.get("problem")]


def name_absent(figure: Figure, absent: Sequence[str]) -> None:
    if absent:
        text = textwrap.fill(f"Not shown, the training diverged: {', '.join(absent)}.", 120)
        figure.text(0.01, -0.01, text, va="top", color="#b42318")


AXES = {
    "temperature": "temperature T of the teacher",
    "student_temperature": "temperature of the student",
    "alpha": "weight α of the hard targets",
    "speakers": "hours of training speech",
}


def draw_sweep(
    stem: str | Path,
    x: str,
    lines: Mapping[str, Sequence[str]],
    baseline: Sequence[str],
    points: Mapping[str, Mapping[str, Any]],
    styles: Mapping[str, Mapping[str, str]],
) -> None:
    """Draw word error rate and frame accuracy against an option of the runs.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    x : str
        The option, a key of `AXES`; all but `alpha` on a logarithmic axis.
    lines : mapping
        Runs by the name of their line, which has the colour of the first of them.
    baseline : sequence of str
        Runs drawn as level lines.
    points : mapping
        Of each run ``x``, ``model`` (its label), ``wer`` and ``cv_fa``, both with ``*_std``,
        NaN where there is one seed. A run without ``wer`` is left out and named below.
    styles : mapping
        From `run_styles`.
    """
    panels = (
        ("wer", "word error rate, %", "Word error rate"),
        ("cv_fa", "frame accuracy, %", "Cross-validation frame accuracy"),
    )
    absent = [point["model"] for point in points.values() if math.isnan(point["wer"])]
    points = {run: point for run, point in points.items() if not math.isnan(point["wer"])}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained")
        for panel, (key, unit, title) in zip(axes, panels, strict=True):
            for run in filter(points.get, baseline):
                colour, level = styles[run]["color"], points[run][key]
                spread = np.nan_to_num(points[run][f"{key}_std"])
                panel.axhspan(level - spread, level + spread, color=colour, alpha=0.1, linewidth=0)
                panel.axhline(level, color=colour, linestyle="--", label=points[run]["model"])
            for name, runs in lines.items():
                found = [points[run] for run in runs if run in points]
                members = sorted(found, key=lambda point: point["x"])
                panel.errorbar(
                    [point["x"] for point in members],
                    [point[key] for point in members],
                    np.nan_to_num([point[f"{key}_std"] for point in members]),
                    capsize=3, markeredgecolor="white", markeredgewidth=0.4, markersize=6,
                    linewidth=1.4, label=name, **styles[runs[0]],
                )  # fmt: skip
            if x != "alpha":
                panel.set_xscale("log")
            swept = {run for runs in lines.values() for run in runs}
            places = sorted({points[run]["x"] for run in swept & points.keys()})
            panel.set_xticks(places, [f"{place:.3g}" for place in places])
            panel.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
            panel.set(xlabel=AXES[x], ylabel=unit, title=title)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        name_absent(figure, absent)
    save_figure(figure, stem)


def _late_range(curves: Sequence[Mapping[str, Any]], key: str) -> tuple[float, float]:
    """Return the range of a measure without first epochs, which would flatten all others."""
    values = [row[key] for curve in curves for row in curve["metrics"][1:] or curve["metrics"]]
    if not values:
        return 0.0, 1.0
    margin = 0.05 * (max(values) - min(values)) or 1.0
    return min(values) - margin, max(values) + margin


def _curve(
    axes: plt.Axes,
    rows: Sequence[Mapping],
    phase: str,
    key: str,
    style: Mapping[str, str],
    alpha: float,
) -> None:
    kept = ([row for row in rows if row.get("accepted", True)] or rows)[-1]
    for first, row in enumerate(rows):
        if row["phase"] != phase or (first and rows[first - 1]["phase"] == phase):
            continue
        last = first
        while last + 1 < len(rows) and rows[last + 1]["phase"] == phase:
            last += 1
        # a later phase starts from the last epoch of the one before
        part = rows[max(first - 1, 0) : last + 1]
        axes.plot(
            [r["epoch"] for r in part], [r[key] for r in part], alpha=alpha,
            color=style["color"], linestyle=style["linestyle"], linewidth=1.4,
        )  # fmt: skip
    if kept["phase"] == phase:
        axes.plot(
            kept["epoch"], kept[key], style["marker"], color=style["color"], alpha=alpha,
            markersize=6, markeredgecolor="white", markeredgewidth=0.5, zorder=4,
        )  # fmt: skip


def _surface(axes: plt.Axes, surface: Surface, top: float) -> None:
    step = max(1, (len(surface.w1) - 1) // 33)
    w1, w2 = np.meshgrid(surface.w1[::step], surface.w2[::step])
    axes.plot_surface(
        w1, w2, surface.loss[::step, ::step], cmap="viridis", vmin=0, vmax=top, linewidth=0.15,
        edgecolor="#ffffff66", rcount=60, ccount=60, zorder=1,
    )  # fmt: skip
    axes.contour(
        surface.w1, surface.w2, surface.loss, surface.minimum_loss + np.array([0.02, 0.1, 0.3, 1]),
        colors="white", linewidths=0.9, zorder=2,
    )  # fmt: skip
    axes.plot(
        *surface.minimum, surface.minimum_loss, "*", color="#D55E00", markersize=13,
        markeredgecolor="white", zorder=4,
    )  # fmt: skip
    axes.set(xlabel="$w_1$", ylabel="$w_2$", zlabel="cross-entropy, nats", zlim=(0, top))
    axes.view_init(elev=30, azim=40)
    axes.set_box_aspect((1, 1, 0.75), zoom=0.98)
    axes.locator_params(axis="both", nbins=6)
    axes.locator_params(axis="z", nbins=5)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_facecolor("#fafafa")
        axis.pane.set_edgecolor("#d0d5dd")
    axes.set_title(
        f"{_targets(surface.targets)}\n"
        f"minimum {surface.minimum_loss:.3f} at "
        f"({surface.minimum[0]:.2f}, {surface.minimum[1]:.2f})\n"
        f"largest curvature there {surface.curvatures[0]:.3f}, condition {surface.condition:.1f}",
        loc="center",
        fontsize=9,
    )


def _targets(name: str) -> str:
    kind, _, temperature = name.partition(",")
    return f"{kind.capitalize()} targets{',' if temperature else ''}{temperature}"


def _scatter_on_the_way(axes: plt.Axes, data: ToyData, surfaces: Mapping[str, Surface]) -> None:
    way = np.linspace(0, 1.5, 61)
    values = {"hard": data.label.astype(float)}
    for temperature in (1, 2):
        values[f"soft, T = {temperature}"] = soften(data.posterior, temperature)
    for name, surface in surfaces.items():
        variances = [gradient_variance(s * surface.minimum, data.x, values[name]) for s in way]
        label = f"{name}: {surface.gradient_variance:.3f} at the minimum"
        axes.plot(way, variances, color=TARGETS[name], label=label)
        axes.plot(
            1, surface.gradient_variance, "*", color=TARGETS[name], markersize=12,
            markeredgecolor="white", zorder=4,
        )  # fmt: skip
    axes.set(
        xlabel="way from w = 0 (0) through the minimum (1)",
        ylabel="trace of the covariance",
        ylim=(0, None),
        xlim=(0, 1.5),
    )
    axes.set_title("Scatter of the gradient between points")
    axes.legend(title="targets", alignment="left")
