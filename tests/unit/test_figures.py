import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from darkknowledge import figures
from darkknowledge.corpora.conditions import CONDITIONS
from darkknowledge.figures import (
    COLOURS,
    draw_conditions,
    draw_learning_curves,
    draw_sweep,
    draw_toy_data,
    draw_toy_surfaces,
    run_styles,
)
from darkknowledge.landscape import toy_data, toy_surfaces


def rows(*phases):
    found = []
    for phase in phases:
        for _ in range(3):
            n = len(found) + 1
            found.append(
                {"phase": phase, "epoch": n, "cv_ce": 3 / n, "cv_fa": 50.0 - 9 / n}
                | {"accepted": n != 3}
            )
    return found


def curves():
    return [
        {"run": "dnn", "label": "DNN", "seed": 1, "metrics": rows("hard")},
        {"run": "rnn", "label": "RNN", "seed": 1, "metrics": rows("soft", "hard")},
        {"run": "rnn", "label": "RNN", "seed": 2, "metrics": rows("soft", "hard")},
        {"run": "lost", "label": "lost", "seed": 1, "metrics": []},
    ]


def note_of(monkeypatch, draw):
    """Draw, and return all that is written outside of the axes."""
    figures_saved = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, stem: figures_saved.append(figure))
    draw()
    (figure,) = figures_saved
    texts = [text.get_text() for text in figure.texts]
    drawn = {line.get_label() for axes in figure.axes for line in axes.get_lines()}
    plt.close(figure)
    return texts, drawn


def test_what_diverged_is_left_out_and_named(tmp_path, monkeypatch):
    broken = {"run": "lost", "label": "Lost", "seed": 3, "problem": "the loss is 1e9"}
    learning = [*curves()[:3], {**broken, "metrics": rows("hard")}]
    texts, _ = note_of(monkeypatch, lambda: draw_learning_curves("x", learning, STYLES))
    assert texts[1:] == ["Not shown, the training diverged: Lost (seed 3)."]
    conditions = [*systems()[:2], {**broken, "score": {"problem": "the loss is 1e9"}}]
    texts, drawn = note_of(monkeypatch, lambda: draw_conditions("x", conditions, STYLES))
    assert texts == ["Not shown, the training diverged: Lost (seed 3)."]
    assert "DNN" in drawn and "Lost" not in drawn
    texts, _ = note_of(monkeypatch, lambda: draw_conditions("x", systems()[:2], STYLES))
    assert texts == []


def test_a_diverged_run_leaves_its_line_in_a_sweep(monkeypatch):
    lost = points()
    lost["lost"]["wer"] = float("nan")
    texts, _ = note_of(
        monkeypatch, lambda: draw_sweep("x", "temperature", LINES, ["dnn"], lost, STYLES)
    )
    assert texts == ["Not shown, the training diverged: lost."]


def systems():
    conditions = ("01", "02", "08", "14")
    score = {"conditions": {c: {"errors": int(c), "words": 100} for c in conditions}}
    return [
        {"run": "dnn", "label": "DNN", "score": score},
        {"run": "rnn", "label": "RNN", "score": score},
        {"run": "lost", "label": "lost", "score": None},
    ]


def points():
    """Of five runs, the last two with one seed."""
    return {
        run: {"x": 2.0**place, "model": run, "wer": 20.0 - place, "cv_fa": 40.0 + place}
        | {"wer_std": spread, "cv_fa_std": 2 * spread}
        for place, (run, spread) in enumerate(
            {"dnn": 0.5, "rnn": 1.0, "lost": 0.2, "d": float("nan"), "e": float("nan")}.items()
        )
    }


LINES = {"soft": ["lost", "rnn"], "other": ["d", "e"]}
STYLES = run_styles({"dnn": 0, "rnn": 1, "lost": 2, "d": 3, "e": 4})


@pytest.fixture(scope="module")
def toy():
    data = toy_data(seed=1, points=100)
    return data, toy_surfaces(data, points=15)


def test_same_bytes_each_time(tmp_path, toy):
    def draw(folder):
        draw_toy_data(folder / "toy_data", *toy)
        draw_toy_surfaces(folder / "toy_surfaces", *toy)
        draw_learning_curves(folder / "learning_curves", curves(), STYLES)
        draw_conditions(folder / "conditions", systems(), STYLES, {"02": "babble"})
        draw_sweep(folder / "sweep", "temperature", LINES, ["dnn"], points(), STYLES)
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    first, second = draw(tmp_path / "a"), draw(tmp_path / "b")
    assert len(first) == 15
    assert first == second
    for name, data in first.items():
        magic = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[name[-3:]]
        assert data.startswith(magic)
        assert not re.search(rb"CreationDate|<dc:date>", data)


def test_a_run_keeps_its_colour_when_runs_are_added():
    places = {run: place for place, run in enumerate("abcdefghijklmnop")}
    few, many = run_styles({run: places[run] for run in "cab"}), run_styles(places)
    assert all(few[run] == many[run] for run in few)
    looks = [(style["color"], style["marker"]) for style in many.values()]
    assert len(set(looks)) == len(looks)
    lines = [(style["color"], style["linestyle"]) for style in many.values()]
    assert len(set(lines)) == len(lines)
    assert len(set(COLOURS)) == len(COLOURS)


# Of linear RGB, at full severity: Machado, Oliveira and Fernandes 2009, table 1.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216]]
    + [[-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413]]
    + [[-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602]]
    + [[0.004733, 0.691367, 0.303900]],
}
XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def cielab(linear):
    scaled = linear @ np.transpose(XYZ) / [0.9505, 1.0, 1.089]
    curve = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    x, y, z = curve.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_differ_for_every_sight_and_from_the_paper(sight):
    rgb = np.array([to_rgb(colour) for colour in (*COLOURS, "white")])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = cielab(np.clip(linear @ np.transpose(SIGHTS[sight]), 0, 1))
    apart = [np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)]
    assert min(apart) > 12, "a just noticeable difference is about 2.3"


def test_the_style_is_one_that_matplotlib_takes():
    with plt.style.context(Path(figures.__file__).with_suffix(".mplstyle")):
        assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == list(COLOURS)
        assert plt.rcParams["svg.hashsalt"] and plt.rcParams["font.size"] == 9


def test_nothing_to_draw_is_no_crash(tmp_path):
    draw_learning_curves(tmp_path / "a", [], STYLES)
    draw_conditions(tmp_path / "b", [], STYLES)
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize(
    "conditions",
    [["01"], ["clean"], ["01", "clean", "babble_10dB", "14"], [f"c{n}" for n in range(40)]],
)
def test_conditions_have_any_names(tmp_path, conditions, monkeypatch):
    shown = {}

    def keep(figure, stem):
        (axes,) = figure.axes
        shown["names"] = [tick.get_text() for tick in axes.get_xticklabels()]
        shown["points"] = [len(line.get_xdata()) for line in axes.lines]
        ticks = axes.get_xticks()
        shown["room"] = (ticks[0] - axes.get_xlim()[0], axes.get_xlim()[1] - ticks[-1])
        shown["letters"] = [text.get_text() for text in axes.texts]
        plt.close(figure)

    monkeypatch.setattr(figures, "save_figure", keep)
    score = {"conditions": {c: {"errors": 3, "words": 100} for c in conditions}}
    drawn = [{"run": run, "label": run, "score": score} for run in ("dnn", "rnn")]
    draw_conditions(tmp_path / "conditions", drawn, STYLES)
    known = [c for c in conditions if c in CONDITIONS]
    assert shown["names"] == known + sorted(set(conditions) - set(known))
    assert shown["points"] == [len(conditions)] * 2
    assert shown["letters"] == (["A", "D"] if len(known) == 2 else [])
    assert shown["room"] == pytest.approx((0.87, 0.87))


@pytest.mark.parametrize("x", ["temperature", "alpha"])
def test_a_sweep_has_a_line_for_each_family(tmp_path, x, monkeypatch):
    shown = {}

    def keep(figure, stem):
        shown["axes"] = figure.axes
        shown["legend"] = [text.get_text() for text in figure.legends[0].get_texts()]

    monkeypatch.setattr(figures, "save_figure", keep)
    draw_sweep(tmp_path / "sweep", x, LINES, ["dnn"], points(), STYLES)
    wer, accuracy = shown["axes"]
    assert (wer.get_ylabel(), accuracy.get_ylabel()) == ("word error rate, %", "frame accuracy, %")
    assert wer.get_xscale() == ("linear" if x == "alpha" else "log")
    assert [tick.get_text() for tick in wer.get_xticklabels()] == ["2", "4", "8", "16"]
    assert sorted(shown["legend"]) == ["dnn", "other", "soft"]
    drawn = {bars.get_label(): bars for bars in wer.containers}
    line, _, (bars,) = drawn["soft"].lines
    assert line.get_color() == STYLES["lost"]["color"]
    assert list(line.get_xdata()) == [2, 4] and list(line.get_ydata()) == [19, 18]
    assert [tuple(s[:, 1]) for s in bars.get_segments()] == [(18.0, 20.0), (17.8, 18.2)]
    plt.close("all")


def test_a_phase_that_two_runs_share_is_drawn_once_and_as_the_shorter_ones(tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(figures, "save_figure", lambda figure, stem: shown.update(f=figure))
    soft = {"run": "lost", "label": "soft", "seed": 1, "metrics": rows("soft")}
    draw_learning_curves(tmp_path / "curves", [curves()[1], soft], STYLES)
    loss_soft, loss_hard, *_ = shown["f"].axes
    (line,) = [line for line in loss_soft.lines if line.get_linestyle() == "-"]
    assert line.get_color() == STYLES["lost"]["color"]
    (line,) = [line for line in loss_hard.lines if line.get_linestyle() == "-"]
    assert line.get_color() == STYLES["rnn"]["color"]
    plt.close("all")


def test_soft_and_hard_phases_stand_side_by_side_on_one_scale(tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(figures, "save_figure", lambda figure, stem: shown.update(f=figure))
    draw_learning_curves(tmp_path / "curves", curves(), STYLES)
    loss_soft, loss_hard, accuracy_soft, accuracy_hard = shown["f"].axes
    titles = [panel.get_title(loc="left") for panel in (loss_soft, loss_hard)]
    assert titles == ["soft targets", "hard targets"]
    for one, other in ((loss_soft, loss_hard), (accuracy_soft, accuracy_hard)):
        assert one.get_ylim() == other.get_ylim() and one.get_xlim() == other.get_xlim()

    def drawn(axes):
        return [list(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "-"]

    assert drawn(loss_soft) == [[1, 2, 3]] * 2
    assert drawn(loss_hard) == [[1, 2, 3], [3, 4, 5, 6], [3, 4, 5, 6]]
    late = [row["cv_ce"] for curve in curves() for row in curve["metrics"][1:]]
    assert loss_soft.get_ylim() == pytest.approx(
        (min(late) - 0.05 * (max(late) - min(late)), max(late) + 0.05 * (max(late) - min(late)))
    )
    plt.close("all")
