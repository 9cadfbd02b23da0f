"""What jobs took, by rule, from benchmarks of both kinds."""

import csv
import json
import math

import pytest

from darkknowledge.costs import read_costs, training_devices, write_efficiency


def write(path, **record):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"h:m:s": "", **record}) + "\n")


def test_jobs_are_summed_by_rule(tmp_path):
    gpu = {"resources": {"gpu": 2, "mem_mb": 400, "runtime": 1}, "threads": 1}
    write(tmp_path / "decode/dnn/seed1.jsonl", s=10.0, cpu_time=8.0, max_pss=100, **gpu)
    asked = {"resources": {"mem_mb": 200, "runtime": 2}, "threads": 2}
    write(tmp_path / "decode/mono.jsonl", s=30.0, cpu_time=40.0, max_pss=75, **asked)
    write(
        tmp_path / "train_tri1.jsonl", s=50.0, cpu_time=1.0, max_pss=1,
        rule_name="train_triphones", resources={"gpu": 0},
    )  # fmt: skip
    write(tmp_path / "make_table/gmm.jsonl", s=0.1, cpu_time="NA", max_pss="NA")
    costs = read_costs(tmp_path).set_index("rule")
    assert list(costs.index) == ["train_triphones", "decode", "make_table"]
    decode = costs.loc["decode"]
    assert (decode["jobs"], decode["seconds"], decode["longest"]) == (2, 40.0, 30.0)
    assert (decode["cpu_seconds"], decode["memory"]) == (48.0, 100 * 2**20)
    assert decode["gpu_seconds"] == 20.0
    assert (decode["asked_memory"], decode["asked_seconds"]) == (400e6, 120)
    assert decode["cpu_share"] == pytest.approx(48 / (10 + 2 * 30))
    assert decode["memory_share"] == pytest.approx(75 * 2**20 / 200e6)
    assert decode["time_share"] == 0.25
    write_efficiency(read_costs(tmp_path), tmp_path / "efficiency.csv")
    (row,) = (r for r in csv.DictReader(open(tmp_path / "efficiency.csv")) if r["rule"] == "decode")
    assert (row["memory_share"], row["time_share"], row["cpu_share"]) == ("0.393", "0.25", "0.686")
    assert costs.loc["train_triphones", "gpu_seconds"] == 0
    table = costs.loc["make_table"]
    lacking = ("cpu_seconds", "memory", "gpu_seconds", "cpu_share", "memory_share", "time_share")
    assert all(math.isnan(table[key]) for key in lacking)


def test_no_benchmarks_are_no_costs(tmp_path):
    assert read_costs(tmp_path).empty


def test_devices_of_the_trainings(tmp_path):
    row = {"run": "dnn", "seed": 1, "epoch": 1, "left": 0, "share": 1, "time": 0}
    for name, more in {
        "a": {"device": "cpu"},
        "b": {"device": "H200", "gpu_memory": 2e9},
        "c": {"device": "H200", "gpu_memory": 3e9},
        "d": {},
    }.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({**row, **more}) + "\n")
    assert training_devices(tmp_path) == {"cpu": 1, "H200 (at most 3.0 GB of its memory)": 2}
