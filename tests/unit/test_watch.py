"""A running study, from what its trainings write as they go."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from darkknowledge.live import LiveMetrics, read_live
from darkknowledge.watch import describe, main, read_trainings, seconds_left, state_of

ROOT = Path(__file__).parents[2]
NOW = 1_000_000.0


def row(epoch, left, seconds=10.0, age=0.0, share=1, **more):
    common = {"run": "dnn", "seed": 1, "phase": "hard", "train_loss": 2.0 / epoch}
    timed = {"seconds": seconds, "frames_per_second": 31000.4} if share == 1 else {}
    return common | {
        "epoch": epoch, "left": left, "share": share, "time": NOW - age,
        "cv_loss": 3.0, "cv_fa": 45.25, **timed, **more,
    }  # fmt: skip


def test_time_left_is_that_of_all_epochs_which_are_allowed():
    rows = [row(1, 5, 90.0), row(2, 4, 10.0), row(3, 3, 20.0), row(4, 2, 30.0, age=5)]
    assert seconds_left(rows, NOW) == 2 * 20 - 5
    assert seconds_left([*rows, row(5, 1.5, share=0.5)], NOW) == 1.5 * 20
    assert seconds_left([row(1, 9.5, share=0.5)], NOW) is None
    assert seconds_left([*rows, row(5, 0)], NOW) == 0


@pytest.mark.parametrize(
    ("rows", "state"),
    [
        ([], "waiting"),
        ([row(1, 9.5, share=0.5)], "training"),
        ([row(1, 9, age=299)], "training"),
        ([row(1, 9, age=301)], "stopped?"),
        ([row(1, 9, seconds=200, age=301)], "training"),
        ([row(1, 9), row(2, 0, age=9999)], "done"),
        ([row(1, 9, age=9999, problem="the loss is 1e9")], "diverged"),
    ],
)
def test_states(rows, state):
    assert state_of(rows, NOW) == state


def test_what_is_shown():
    rows = [row(1, 11), row(2, 10.57, share=0.43)]
    lost = [row(1, 9, problem="lower it")]
    text = describe("results/x", [("dnn", 1, rows), ("rnn", 2, []), ("bad", 3, lost)], NOW)
    head, empty, titles, dnn, rnn, bad, *notes = text.splitlines()
    assert head.startswith("results/x") and not empty
    assert head.endswith("3 networks: 1 training, 1 waiting, 1 diverged")
    assert titles.split("  ")[0] == "run" and titles.endswith("time left")
    assert dnn.split() == ["dnn", "1", "hard", "2/12", "43", "%", "1.000", "3.000", "45.2"] + [
        "31,000",
        "0:01:46",
    ]
    assert rnn.split() == ["rnn", "2", "waiting"]
    assert bad.endswith("diverged")
    assert "Time left: at most" in text and notes[-1] == "bad seed 3: lower it"


def test_nothing_there_yet_is_said(tmp_path, capsys):
    main([str(tmp_path)])
    assert "no training has begun" in capsys.readouterr().out


def test_half_a_line_is_left_out(tmp_path):
    whole = json.dumps(row(1, 2))
    path = tmp_path / "dnn.seed1.jsonl"
    path.write_text(whole + "\n" + whole[:40])
    assert [one["epoch"] for one in read_live(path)] == [1]
    path.write_bytes(whole.encode() + b"\n" + b"\xff\xfe")
    assert read_live(path) == []
    assert read_live(tmp_path / "absent") == []


def test_a_training_tells_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)
    path = tmp_path / "live.jsonl"
    live = LiveMetrics(path, "dnn", 1)
    live.within("hard", 1, left=3, share=0.25, train_loss=4.0)
    (only,) = read_live(path)
    assert (only["left"], only["share"], only["train_loss"]) == (2.75, 0.25, 4.0)
    live.epoch({"phase": "hard", "epoch": 1, "cv_fa": 40.0}, left=2, seconds=7.0)
    live.within("hard", 2, left=2, share=0.5)
    first, second = read_live(path)
    assert (first["share"], first["seconds"], first["cv_fa"]) == (1, 7.0, 40.0)
    assert (second["epoch"], second["left"]) == (2, 1.5)
    again = LiveMetrics(path, "dnn", 1)
    again.go_on(1)
    again.diverged("lower it")
    first, second = read_live(path)
    assert (first["epoch"], second["problem"]) == (1, "lower it")
    assert describe("x", [("dnn", 1, [first, second])], NOW).endswith("dnn seed 1: lower it\n")


def test_networks_of_the_plan_and_none_besides(tmp_path):
    logs = tmp_path / "logs" / "train_network"
    logs.mkdir(parents=True)
    for run in ("dnn", "other"):
        (logs / f"{run}.seed1.jsonl").write_text(json.dumps(row(1, 2, run=run)) + "\n")
    old = tmp_path / "networks" / "old" / "seed1"
    old.mkdir(parents=True)
    metrics = {"epoch": 4, "phase": "hard", "cv_fa": 1.0, "cv_loss": 2.0, "train_loss": 1.0}
    (old / "metrics.jsonl").write_text(json.dumps(metrics) + "\n")
    assert [run for run, _, _ in read_trainings(tmp_path)] == ["dnn", "other"]
    found = read_trainings(tmp_path, [("rnn", 1), ("dnn", 1), ("old", 1)])
    assert [(run, len(rows)) for run, _, rows in found] == [("rnn", 0), ("dnn", 1), ("old", 1)]
    assert state_of(found[2][2], NOW) == "done"


def test_of_a_study_from_the_command_line(tmp_path):
    command = [sys.executable, "-m", "darkknowledge.watch"]
    shown = {
        "cwd": tmp_path,
        "capture_output": True,
        "text": True,
        "env": {"PYTHONPATH": str(ROOT)},
    }
    done = subprocess.run([*command, ROOT / "config.yaml", "--once"], **shown)
    assert done.returncode == 0 and "8 networks: 8 waiting" in done.stdout
    lost = subprocess.run([*command, "lost.yaml"], **shown)
    assert lost.returncode == 1 and lost.stderr.startswith("lost.yaml: no such file")
