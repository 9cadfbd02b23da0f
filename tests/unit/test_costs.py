"""What jobs took, by rule, from benchmarks of both kinds."""

import json
import math

from darkknowledge.costs import read_costs, training_devices


def write(path, **record):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"h:m:s": "", **record}) + "\n")


def test_jobs_are_summed_by_rule(tmp_path):
    gpu = {"resources": {"gpu": 2, "mem": "4GB"}}
    write(tmp_path / "decode/dnn/seed1.jsonl", s=10.0, cpu_time=8.0, max_rss=100, **gpu)
    write(tmp_path / "decode/mono.jsonl", s=30.0, cpu_time=40.0, max_rss=50, resources={})
    write(
        tmp_path / "train_tri1.jsonl", s=50.0, cpu_time=1.0, max_rss=1,
        rule_name="train_triphones", resources={"gpu": 0},
    )  # fmt: skip
    write(tmp_path / "make_table/gmm.jsonl", s=0.1, cpu_time="NA", max_rss="NA")
    costs = read_costs(tmp_path).set_index("rule")
    assert list(costs.index) == ["train_triphones", "decode", "make_table"]
    decode = costs.loc["decode"]
    assert (decode["jobs"], decode["seconds"], decode["longest"]) == (2, 40.0, 30.0)
    assert (decode["cpu_seconds"], decode["memory"]) == (48.0, 100 * 2**20)
    assert decode["gpu_seconds"] == 20.0
    assert costs.loc["train_triphones", "gpu_seconds"] == 0
    table = costs.loc["make_table"]
    assert all(math.isnan(table[key]) for key in ("cpu_seconds", "memory", "gpu_seconds"))


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
