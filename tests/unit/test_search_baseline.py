"""The search of the baseline: its runs, and their order."""

import importlib.util
from pathlib import Path

from darkknowledge.overlays import lay, read_studies
from darkknowledge.study import load_study

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location(
    "search_baseline", ROOT / "benchmarks" / "search_baseline.py"
)
search = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(search)


def test_every_setting_is_a_run_that_differs_on_one_axis():
    config = read_studies([ROOT / "config.yaml", ROOT / "studies" / "mini_aurora.yaml"])
    before = load_study(config)
    middle = search.centre(before.networks["lstm"])
    grid = search.star(middle, search.AXES)
    assert len(grid) == 1 + sum(
        value != middle[axis] for axis, values in search.AXES.items() for value in values
    )
    study = load_study(lay(config, search.search_overlay(config, grid)))
    assert study.shown_runs == before.shown_runs
    for number, (run, setting) in enumerate(grid.items()):
        network = study.networks[run]
        assert search.centre(network) == setting
        assert sum(setting[axis] != middle[axis] for axis in middle) == (number > 0)
        assert network.projection == network.units // 2
        assert study.training[run].learning_rate == setting["learning_rate"]
        assert study.training[run].patience == setting["patience"]
    assert study.run_options(next(iter(grid))) == before.run_options("rnn-0")
    assert len({repr(study.run_options(run)) for run in grid}) == len(grid)


def test_the_ranking_is_written(tmp_path, capsys):
    rows = [
        {"run": run, "units": 128, "delay": 5, "learning_rate": 0.001, "patience": 0}
        | {"tr_fa": 40.0, "cv_fa": accuracy, "epochs": 9, "parameters": 10, "dev_wer": wer}
        for run, accuracy, wer in (("a", 30.0, ""), ("b", 32.0, 61.5))
    ]
    ranked = search.rank(rows)
    assert [row["run"] for row in ranked] == ["b", "a"]
    search.write_rows(tmp_path / "search.csv", ranked)
    lines = (tmp_path / "search.csv").read_text().splitlines()
    assert (
        lines[0].startswith("run,units,delay,learning_rate,patience,tr_fa,cv_fa")
        and len(lines) == 3
    )
    assert "61.50" in capsys.readouterr().out.splitlines()[1]
