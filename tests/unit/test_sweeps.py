"""Parts of the speakers, and the points of a sweep from the files of runs."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkknowledge.subsets import part_of_speakers
from darkknowledge.sweeps import read_sweep

SPEAKERS = {f"u{n:03d}": f"speaker{n % 14}" for n in range(140)}


def test_smaller_shares_are_part_of_larger_ones():
    parts = [part_of_speakers(SPEAKERS, share) for share in (1, 0.5, 0.25, 0.125)]
    assert [len(set(part.values())) for part in parts] == [14, 7, 4, 2]
    assert parts[0] == SPEAKERS
    for larger, smaller in zip(parts, parts[1:], strict=False):
        assert smaller.items() < larger.items()
        assert list(smaller) == [u for u in SPEAKERS if u in smaller]


def test_a_speaker_is_taken_whole_and_whatever_the_order():
    part = part_of_speakers(SPEAKERS, 0.3)
    assert part == part_of_speakers(dict(reversed(SPEAKERS.items())), 0.3)
    assert all((SPEAKERS[u] in part.values()) == (u in part) for u in SPEAKERS)


@given(st.sets(st.text(min_size=1), min_size=1), st.floats(1e-3, 1), st.floats(1e-3, 1))
def test_shares_are_nested(speakers, one, other):
    table = {f"u{n}": speaker for n, speaker in enumerate(sorted(speakers))}
    small, large = sorted((one, other))
    assert 1 <= len(part_of_speakers(table, small)) <= len(speakers)
    assert part_of_speakers(table, small).items() <= part_of_speakers(table, large).items()


def sweep(folder, x, results):
    """Write the results of runs, one for each seed, and say where they are."""
    spec = {"x": x, "values": {}, "frame_shift": 10.0}
    spec |= {"rows": [], "systems": [], "scores": [], "summaries": []}
    for run, (value, frames, wers) in results.items():
        spec["values"][run] = value
        spec["rows"].append({"run": run, "label": run.upper(), "targets": "soft"})
        for seed, errors in enumerate(wers):
            count = {"errors": errors, "words": 100}
            files = {
                "scores": {"total": count, "groups": {"A": count}},
                "summaries": {"tr_fa": 50, "cv_fa": 30 + seed, "parameters": 9}
                | {"train_frames": frames},
            }
            for name, content in files.items():
                path = folder / f"{run}-{seed}-{name}.json"
                path.write_text(json.dumps(content))
                spec[name].append(str(path))
            spec["systems"].append([run, seed])
    return spec


def test_points_are_means_over_seeds(tmp_path):
    spec = sweep(tmp_path, "temperature", {"a": (1.0, 10, [20, 22]), "b": (5.0, 10, [30])})
    points = {row["run"]: row for row in read_sweep(spec).to_dict("records")}
    assert [points[run]["x"] for run in "ab"] == [1.0, 5.0]
    assert (points["a"]["wer"], points["a"]["cv_fa"]) == (21.0, 30.5)
    assert points["a"]["wer_std"] == pytest.approx(2**0.5)
    assert points["a"]["model"] == "A" and math.isnan(points["b"]["wer_std"])


def test_shares_of_speakers_are_hours(tmp_path):
    spec = sweep(tmp_path, "speakers", {"a": (1.0, 720_000, [20]), "b": (0.5, 400_000, [30])})
    assert list(read_sweep(spec)["x"]) == pytest.approx([2.0, 400 / 360])


def test_a_diverged_run_is_a_gap(tmp_path):
    spec = sweep(tmp_path, "speakers", {"a": (1.0, 720_000, [20]), "b": (0.5, 400_000, [30])})
    for name in ("scores", "summaries"):
        (tmp_path / f"b-0-{name}.json").write_text(json.dumps({"problem": "the loss is 1e9"}))
    points = {row["run"]: row for row in read_sweep(spec).to_dict("records")}
    assert points["a"]["x"] == 2.0 and math.isnan(points["b"]["wer"])
    assert "the loss is 1e9" in points["b"]["problem"]
