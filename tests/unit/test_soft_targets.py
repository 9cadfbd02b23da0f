"""The soft-target cache: what is stored, what it costs, what is refused."""

import numpy as np
import pytest
import torch

from darkknowledge.checksums import file_digest
from darkknowledge.errors import DataError
from darkknowledge.networks.options import SoftTargetOptions
from darkknowledge.soft_targets import (
    FIXED,
    SoftTargets,
    compress,
    open_cache,
    temper,
    write_soft_targets,
)

TEACHER = {"run": "dnn", "seed": 1, "sha256": "0" * 64}
RNG = np.random.default_rng(0)
SCORES = {f"u{n}": (3 * RNG.normal(size=(n, 90))).astype(np.float32) for n in (4, 9, 2)}
LENGTHS = [len(scores) for scores in SCORES.values()]


def write(path, scores=SCORES, temperature=2.0, **options):
    return write_soft_targets(
        path, scores.items(), temperature, TEACHER, SoftTargetOptions(**options)
    )


def dense(scores, temperature):
    scaled = np.exp(scores.astype(np.float64) / temperature)
    return scaled / scaled.sum(1, keepdims=True)


def test_temper_does_not_care_for_constants():
    scores = torch.from_numpy(SCORES["u9"])
    torch.testing.assert_close(temper(scores, 2.0), temper(torch.log_softmax(scores, 1), 2.0))


@pytest.mark.parametrize("quantisation", ["log8", "linear16"])
@pytest.mark.parametrize("mass", [0.5, 0.9, 0.99, 1.0])
def test_stored_targets(tmp_path, quantisation, mass):
    header = write(tmp_path / "T2.soft", mass=mass, quantisation=quantisation)
    cache = SoftTargets(tmp_path / "T2.soft", {"temperature": 2.0, "teacher": TEACHER})
    expected = np.concatenate([dense(s, 2.0) for s in SCORES.values()])
    found = cache.dense(cache.positions(list(SCORES), LENGTHS)).numpy()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    kl = 0.0
    for p, q in zip(expected, found, strict=True):
        order = np.argsort(-p)
        fewest = int(np.searchsorted(np.cumsum(p[order]), mass * (1 - 1e-9)) + 1)
        kept = set(np.flatnonzero(q))
        assert kept == set(order[:fewest])
        share = np.array([p[j] if j in kept else 0 for j in range(90)])
        error = np.abs(q - share / share.sum())
        assert (error <= (0.05 * q + 1e-6 if quantisation == "log8" else 1e-4)).all()
        kl += sum(q[j] * np.log(q[j] / p[j]) for j in kept)
    assert header["kl_to_dense"] == pytest.approx(kl / len(expected), rel=1e-3, abs=1e-6)
    assert header["kl_to_dense"] <= -np.log(mass) + 1e-3
    size = (tmp_path / "T2.soft").stat().st_size
    assert header["bytes_per_frame"] * 15 == pytest.approx(header["payload_bytes"], abs=0.1)
    assert header["payload_bytes"] < size


def test_logits_are_stored_whole(tmp_path):
    header = write(tmp_path / "Tinf.soft", temperature=float("inf"))
    assert header["temperature"] is None and header["bytes_per_frame"] == 180
    cache = open_cache(tmp_path / "Tinf.soft", float("inf"), 90)
    scores = np.concatenate(list(SCORES.values()))
    expected = scores - scores.mean(1, keepdims=True)
    found = cache.dense(cache.positions(list(SCORES), LENGTHS)).numpy()
    np.testing.assert_allclose(found, expected, rtol=2**-11, atol=1e-6)
    with pytest.raises(DataError, match="temperature is None; expected 2.0"):
        open_cache(tmp_path / "Tinf.soft", 2.0, 90)
    write(tmp_path / "T2.soft")
    with pytest.raises(DataError, match="temperature is 2.0; expected None"):
        open_cache(tmp_path / "T2.soft", float("inf"), 90)


def test_most_limits_the_states(tmp_path):
    write(tmp_path / "T.soft", most=3)
    cache = SoftTargets(tmp_path / "T.soft")
    rows, states, probabilities = cache.rows(np.arange(15))
    assert np.bincount(rows).tolist() == [3] * 15
    best = np.concatenate([s.argsort(1)[:, ::-1][:, :3] for s in SCORES.values()])
    assert states.tolist() == best.ravel().tolist()
    assert (np.diff(probabilities.reshape(15, 3)) <= 0).all()


def test_frames_in_any_order(tmp_path):
    write(tmp_path / "T.soft")
    cache = SoftTargets(tmp_path / "T.soft")
    everything = cache.dense(np.arange(15))
    frames = np.array([14, 0, 7, 7])
    assert torch.equal(cache.dense(frames), everything[frames])
    assert cache.positions(["u2", "u4"], [2, 4]).tolist() == [13, 14, 0, 1, 2, 3]
    assert "u9" in cache and "u7" not in cache


def test_one_certain_state():
    posteriors = np.zeros((2, 5), dtype=np.float32)
    posteriors[0, 3] = posteriors[1, 0] = 1
    counts, states, codes, cost = compress(posteriors, SoftTargetOptions())
    assert (counts.tolist(), states.tolist(), codes.tolist()) == ([1, 1], [3, 0], [0, 0])
    assert cost == 0


@pytest.mark.parametrize("quantisation", ["log8", "linear16"])
def test_what_is_below_the_least_code_is_left_out(quantisation):
    posteriors = np.full((2, 1000), 1e-7, dtype=np.float32)
    posteriors[:, 7] = 1 - 999e-7
    posteriors[1, [7, 9]] = 0.75 - 998e-7, 0.25
    options = SoftTargetOptions(mass=1, quantisation=quantisation)
    counts, states, codes, cost = compress(posteriors, options)
    assert counts.tolist() == [1, 2] and states.tolist() == [7, 7, 9] and len(codes) == 3
    assert cost == pytest.approx(2e-4, rel=0.3)


def test_same_bytes(tmp_path):
    write(tmp_path / "one.soft")
    write(tmp_path / "two.soft")
    assert file_digest(tmp_path / "one.soft") == file_digest(tmp_path / "two.soft")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.soft", "two.soft"]


def test_every_flipped_byte_is_refused(tmp_path):
    path = tmp_path / "T.soft"
    write(path, {"u": SCORES["u2"]}, mass=0.5)
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        for flip in (1, 128):
            damaged = content.copy()
            damaged[place] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(DataError, match=r"T\.soft: "):
                SoftTargets(path)


@pytest.mark.parametrize("keep", [0, 7, FIXED - 1, FIXED + 20, -1])
def test_truncation_is_refused(tmp_path, keep):
    path = tmp_path / "T.soft"
    write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="soft"):
        SoftTargets(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", 1.0), ("num_pdfs", 91), ("teacher", {**TEACHER, "seed": 2})],
)
def test_another_runs_cache_is_refused(tmp_path, key, value):
    write(tmp_path / "T.soft")
    with pytest.raises(DataError, match=f"{key} is .*; expected .*another run"):
        SoftTargets(tmp_path / "T.soft", {key: value})


def test_other_data_are_refused(tmp_path):
    write(tmp_path / "T.soft")
    cache = SoftTargets(tmp_path / "T.soft")
    with pytest.raises(DataError, match="utterance u4 has 4 frames; expected 5"):
        cache.positions(["u4"], [5])
    with pytest.raises(DataError, match="utterance x is absent"):
        cache.positions(["x"], [5])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "no utterances"),
        ([("u", np.zeros((2, 3))), ("u", np.zeros((2, 3)))], "u is written twice"),
        ([("u", np.zeros((2, 3))), ("v", np.zeros((2, 4)))], r"v has posteriors of shape \(2, 4\)"),
        ([("u", np.full((2, 3), np.nan))], "posteriors of u hold a NaN"),
    ],
)
def test_wrong_posteriors_leave_nothing(tmp_path, items, message):
    with pytest.raises(DataError, match=message):
        write_soft_targets(tmp_path / "T.soft", items, 1.0, TEACHER)
    assert not list(tmp_path.iterdir())


def test_absent_cache(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        SoftTargets(tmp_path / "T.soft")


def test_targets_of_another_teacher_are_refused(tmp_path):
    path = tmp_path / "x.soft"
    (tmp_path / "model.pt").write_bytes(b"the teacher")
    teacher = {"run": "dnn", "seed": 1, "sha256": file_digest(tmp_path / "model.pt")}
    write_soft_targets(path, SCORES.items(), 2.0, teacher)
    open_cache(path, 2.0, 90, tmp_path / "model.pt")
    (tmp_path / "model.pt").write_bytes(b"the teacher, trained again")
    with pytest.raises(DataError, match="x.soft: is of another teacher than .*model.pt"):
        open_cache(path, 2.0, 90, tmp_path / "model.pt")
