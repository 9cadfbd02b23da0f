"""Training: it learns, keeps to the schedule, stops when it diverges, survives being killed."""

import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from darkknowledge import training
from darkknowledge.batches import gather_frames
from darkknowledge.checkpoints import load_epochs, load_network
from darkknowledge.checksums import file_digest
from darkknowledge.errors import DataError, DivergenceError, TrainingError
from darkknowledge.live import read_live
from darkknowledge.networks.inputs import window_index
from darkknowledge.networks.options import TrainingOptions
from darkknowledge.networks.registry import build_network, log_posteriors, stream_log_posteriors
from darkknowledge.sequence.files import TrainingLattices, write_training_lattices
from darkknowledge.sequence.lattices import TrainingLattice
from darkknowledge.soft_targets import SoftTargets, write_soft_targets
from darkknowledge.targets import Objective
from darkknowledge.training import Halving, TeacherTargets, evaluate, log_priors, train_network

PDFS = 12
DNN = {"kind": "dnn", "layers": 1, "units": 32, "splice": 2, "lda": 20}
LSTM = {"kind": "lstm", "layers": 1, "units": 24, "projection": 12, "delay": 2}
BLSTM = {"kind": "blstm", "units": 12, "splice": 1, "below": [16], "above": [16], "cell_clip": 3}
HIGHWAY = {"kind": "highway", "layers": 3, "units": 24, "splice": 2}
NETWORKS = {"dnn": DNN, "lstm": LSTM, "blstm": BLSTM, "highway": HIGHWAY}
FAST = {"epochs": 3, "learning_rate": 0.01, "streams": 6, "frames": 10, "batch": 64}


def toy(seed, utterances=30):
    """Make noisy states in runs, each utterance a random walk over them."""
    means = np.random.default_rng(99).normal(size=(PDFS, 8))
    rng = np.random.default_rng(seed)
    features, labels = {}, {}
    for number in range(utterances):
        states = np.repeat(rng.integers(0, PDFS, 8), rng.integers(3, 9, 8)).astype(np.int32)
        labels[f"s{seed}-{number:03d}"] = states
        noisy = means[states] + 0.7 * rng.normal(size=(len(states), 8))
        features[f"s{seed}-{number:03d}"] = noisy.astype(np.float32)
    return features, labels


TRAIN, CV = toy(1), toy(2, 8)


def run(folder, network, targets=None, training=None, **more):
    folder.mkdir(exist_ok=True)
    result = train_network(
        "run",
        {"network": network, "targets": targets or {}, "training": {**FAST, **(training or {})}},
        TRAIN,
        CV,
        num_pdfs=PDFS,
        model=folder / "model.pt",
        metrics=folder / "metrics.jsonl",
        summary=folder / "summary.json",
        state=folder.parent / "state",
        live=folder.with_suffix(".live"),
        **{"seed": 1, **more},
    )
    return result, {
        name: (folder / name).read_bytes() for name in ("model.pt", "metrics.jsonl", "summary.json")
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    run(folder / "dnn", DNN)
    network, _, _ = load_network(folder / "dnn" / "model.pt")
    scores = stream_log_posteriors(network, {**TRAIN[0], **CV[0]})
    write_soft_targets(folder / "T2.soft", scores, 2.0, {"run": "dnn", "seed": 1})
    write_soft_targets(
        folder / "Tinf.soft",
        stream_log_posteriors(network, {**TRAIN[0], **CV[0]}),
        float("inf"),
        {"run": "dnn", "seed": 1},
    )
    return folder / "T2.soft"


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_learns_from_hard_targets(tmp_path, network):
    result, files = run(tmp_path / "a", network, training={"epochs": 6})
    assert result["cv_fa"] > 60
    rows = [json.loads(line) for line in files["metrics.jsonl"].splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, result["epochs"] + 1))
    assert rows[-1]["cv_loss"] < rows[0]["cv_loss"]
    assert rows[result["best_epoch"] - 1]["cv_fa"] == pytest.approx(result["cv_fa"])
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_measured_on_whole_utterances(tmp_path, network):
    result, _ = run(tmp_path / "a", network)
    found, priors, _ = load_network(tmp_path / "a" / "model.pt")
    correct = frames = 0
    loss = 0.0
    for utterance, states in CV[1].items():
        scores = log_posteriors(found, CV[0][utterance])
        correct += (scores.argmax(1) == states).sum()
        loss -= scores[np.arange(len(states)), states].sum()
        frames += len(states)
    assert result["cv_fa"] == pytest.approx(100 * correct / frames)
    assert result["cv_loss"] == pytest.approx(loss / frames, rel=1e-4)
    counts = np.bincount(np.concatenate(list(TRAIN[1].values())), minlength=PDFS)
    np.testing.assert_allclose(priors.exp().numpy(), counts / counts.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("targets", "phases"),
    [
        ({"targets": "soft", "temperature": 2}, ["soft"]),
        ({"targets": "reg", "temperature": 2}, ["reg"]),
        ({"targets": "pretrain", "temperature": 2, "fresh_output": True}, ["soft", "hard"]),
        ({"targets": "soft", "temperature": 2, "student_temperature": 2}, ["soft"]),
    ],
    ids=["soft", "reg", "pretrain", "both tempered"],
)
def test_learns_from_a_teacher(tmp_path, cache, targets, phases):
    result, files = run(tmp_path / "a", LSTM, targets, {"epochs": 4}, soft_targets=[cache])
    assert result["cv_fa"] > 50
    rows = [json.loads(line) for line in files["metrics.jsonl"].splitlines()]
    assert list(dict.fromkeys(row["phase"] for row in rows)) == phases
    assert all(row["cv_loss"] > 0 for row in rows)


def test_learns_the_logits_of_a_teacher(tmp_path, cache):
    logits = cache.parent / "Tinf.soft"
    result, files = run(
        tmp_path / "a", LSTM, {"targets": "logits"}, {"epochs": 6}, soft_targets=[logits]
    )
    assert result["cv_fa"] > 50
    rows = [json.loads(line) for line in files["metrics.jsonl"].splitlines()]
    assert {row["phase"] for row in rows} == {"logits"}
    assert 0 < rows[-1]["cv_loss"] < 0.7 * rows[0]["cv_loss"]


def test_mean_of_teachers(cache):
    frames = gather_frames("cv", *CV, PDFS)
    one = TeacherTargets([SoftTargets(cache)], frames)
    two = TeacherTargets([SoftTargets(cache), SoftTargets(cache)], frames)
    index = torch.tensor([5, 0, 3])
    torch.testing.assert_close(one.dense(index), two.dense(index))
    targets = one.dense(torch.arange(len(frames)))
    entropy = -(targets * targets.clamp_min(1e-30).log()).sum(1).mean()
    assert one.entropy == pytest.approx(float(entropy), rel=1e-5)


def test_a_cache_may_cover_more_than_a_part_of_the_set(cache):
    whole = TeacherTargets([SoftTargets(cache)], gather_frames("cv", *CV, PDFS))
    names = sorted(CV[0])[1:3]
    part = gather_frames("cv", *({u: table[u] for u in names} for table in CV), PDFS)
    start = len(CV[0][sorted(CV[0])[0]])
    frames = torch.arange(len(part))
    targets = TeacherTargets([SoftTargets(cache)], part).dense(frames)
    torch.testing.assert_close(targets, whole.dense(frames + start))


def test_soft_loss_is_a_divergence(cache):
    network = build_network(DNN, 8, PDFS, 0)
    frames = gather_frames("cv", *CV, PDFS)
    teacher = TeacherTargets([SoftTargets(cache)], frames)
    score = evaluate(network, frames, Objective("soft", 0.0, 1.0), teacher)
    p = teacher.dense(torch.arange(len(frames)))
    scores = [log_posteriors(network, CV[0][u]) for u in sorted(CV[0])]
    q = torch.from_numpy(np.concatenate(scores))
    divergence = torch.nn.functional.kl_div(q, p, reduction="batchmean")
    assert score.mean_loss == pytest.approx(float(divergence), rel=1e-4)


def test_teacher_is_needed_and_must_fit(tmp_path, cache):
    with pytest.raises(DataError, match="'soft' need a soft-target cache"):
        run(tmp_path / "a", LSTM, {"targets": "soft"})
    with pytest.raises(DataError, match="temperature is 2.0; expected 1.0"):
        run(tmp_path / "a", LSTM, {"targets": "soft"}, soft_targets=[cache])


def test_seed_decides(tmp_path):
    _, one = run(tmp_path / "a", LSTM)
    _, same = run(tmp_path / "b", LSTM)
    _, other = run(tmp_path / "c", LSTM, seed=2)
    assert one == same
    assert one["model.pt"] != other["model.pt"]


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_killed_after_any_epoch(tmp_path, monkeypatch, cache, optimiser):
    setting = {
        "network": LSTM,
        "targets": {"targets": "pretrain", "temperature": 2},
        "training": {"optimiser": optimiser, "epochs": 2, "patience": 9},
        "soft_targets": [cache],
    }
    _, undisturbed = run(tmp_path / "whole", **setting)
    whole = training.Trainer.epoch
    for fatal in (2, 3, 4):
        calls = 0

        def dying(self, *arguments, fatal=fatal):
            nonlocal calls
            calls += 1
            if calls == fatal:
                raise KeyboardInterrupt
            return whole(self, *arguments)

        monkeypatch.setattr(training.Trainer, "epoch", dying)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", **setting)
        monkeypatch.setattr(training.Trainer, "epoch", whole)
        assert len(list((tmp_path / "state").iterdir())) == 1
        _, resumed = run(tmp_path / "killed", **setting)
        assert resumed == undisturbed
        rows = [json.loads(line) for line in resumed["metrics.jsonl"].splitlines()]
        told = read_live(tmp_path / "killed.live")
        assert [{key: one[key] for key in rows[0]} for one in told] == rows
        assert [one["left"] for one in told] == [3, 2, 1, 0]
        assert all(one["seconds"] > 0 and one["share"] == 1 for one in told)
        (tmp_path / "killed.live").unlink()


def test_weights_are_kept_epoch_by_epoch(tmp_path, monkeypatch, cache):
    targets, more = {"targets": "pretrain", "temperature": 2}, {"soft_targets": [cache]}
    _, unkept = run(tmp_path / "plain", LSTM, targets, **more)
    paths = [tmp_path / name / "epochs.pt" for name in ("whole", "killed")]
    _, whole = run(tmp_path / "whole", LSTM, targets, epochs=paths[0], **more)
    assert whole == unkept
    epoch = training.Trainer.epoch
    calls = []

    def dying(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return epoch(*arguments)

    monkeypatch.setattr(training.Trainer, "epoch", dying)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", LSTM, targets, epochs=paths[1], **more)
    run(tmp_path / "killed", LSTM, targets, epochs=paths[1], **more)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert not list((tmp_path / "state").iterdir())
    kept = load_epochs(paths[0])
    network, _, _ = load_network(tmp_path / "whole" / "model.pt")
    assert len(kept) == 1 + 6
    for name, weight in network.named_parameters():
        assert torch.equal(kept[-1][name], weight)
        assert weight.dim() < 2 or not torch.equal(kept[0][name], kept[1][name])
    _, soft = run(tmp_path / "soft", LSTM, {**targets, "targets": "soft"}, **more)
    twin = [tmp_path / "soft" / name for name in ("model.pt", "metrics.jsonl")]
    run(tmp_path / "half", LSTM, targets, epochs=paths[1], first_phase=twin, **more)
    assert len(load_epochs(paths[1])) == 1 + 3  # the second phase, from where the soft run ended
    assert torch.equal(load_epochs(paths[1])[0]["output.weight"], kept[3]["output.weight"])


def test_a_lost_epoch_is_named(tmp_path, monkeypatch):
    save = training.write_json
    monkeypatch.setattr(training, "write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "a", LSTM, epochs=tmp_path / "epochs.pt")
    monkeypatch.setattr(training, "write_json", save)
    (lost,) = (tmp_path / "state").glob("*.epochs/2")
    lost.unlink()
    with pytest.raises(DataError, match=r"epochs/2: no such file, .* delete .*state and run"):
        run(tmp_path / "a", LSTM, epochs=tmp_path / "epochs.pt")


FIRST = {"temperature": 2}
FINE = {"finetune_epochs": 2, "finetune_learning_rate": 0.003}


def test_the_first_phase_is_another_run(tmp_path, monkeypatch, cache):
    both = {"targets": "pretrain", "fresh_output": True, **FIRST}
    _, whole = run(tmp_path / "whole", LSTM, both, FINE, soft_targets=[cache])
    _, soft = run(tmp_path / "soft", LSTM, {"targets": "soft", **FIRST}, soft_targets=[cache])
    twin = [tmp_path / "soft" / name for name in ("model.pt", "metrics.jsonl")]
    trained = []
    epoch = training.Trainer.epoch

    def dying(self, objective, *arguments):
        trained.append(objective.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return epoch(self, objective, *arguments)

    monkeypatch.setattr(training.Trainer, "epoch", dying)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "half", LSTM, both, FINE, soft_targets=[cache], first_phase=twin)
    _, half = run(tmp_path / "half", LSTM, both, FINE, soft_targets=[cache], first_phase=twin)
    assert set(trained) == {"hard"}
    assert half == whole and half["model.pt"] != soft["model.pt"]
    assert half["metrics.jsonl"].startswith(soft["metrics.jsonl"])


@pytest.mark.parametrize(
    "other",
    [{"seed": 2}, {"training": {"batch": 32}}, {"targets": {"student_temperature": 2}}],
    ids=["seed", "training", "targets"],
)
def test_a_first_phase_of_something_else_is_refused(tmp_path, cache, other):
    targets = {"targets": "soft", **FIRST, **other.pop("targets", {})}
    run(tmp_path / "soft", LSTM, targets, soft_targets=[cache], **other)
    twin = [tmp_path / "soft" / name for name in ("model.pt", "metrics.jsonl")]
    both = {"targets": "pretrain", **FIRST}
    message = r"soft/model.pt: was not trained .* of the first phase of run seed 1; delete it"
    with pytest.raises(DataError, match=message):
        run(tmp_path / "both", LSTM, both, FINE, soft_targets=[cache], first_phase=twin)


def test_resumes_only_the_same_training(tmp_path, monkeypatch):
    whole = training.write_json
    monkeypatch.setattr(training, "write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "a", DNN)
    monkeypatch.setattr(training, "write_json", whole)
    (kept,) = (tmp_path / "state").iterdir()
    _, other = run(tmp_path / "b", DNN, training={"learning_rate": 0.02})
    assert list((tmp_path / "state").iterdir()) == [kept]
    kept.write_bytes(kept.read_bytes()[:-1])
    _, resumed = run(tmp_path / "a", DNN)
    _, fresh = run(tmp_path / "c", DNN)
    assert resumed == fresh and resumed != other


SCRIPT = """
import sys, pathlib
sys.path[:0] = {paths!r}
from test_training import LONG, LSTM, run
run(pathlib.Path(sys.argv[1]), LSTM, training=LONG)
"""
LONG = {"epochs": 40, "patience": 99}


def test_killed_for_good(tmp_path):
    _, undisturbed = run(tmp_path / "whole", LSTM, training=LONG)
    here = Path(__file__).parent
    paths = [str(here), str(Path(training.__file__).parents[1])]
    (tmp_path / "train.py").write_text(SCRIPT.format(paths=paths))
    process = subprocess.Popen([sys.executable, tmp_path / "train.py", tmp_path / "killed"])
    state = tmp_path / "state"
    deadline = time.monotonic() + 60
    while process.poll() is None and not list(state.glob("*.checkpoint")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert len(list(state.glob("*.checkpoint"))) == 1
    _, resumed = run(tmp_path / "killed", LSTM, training=LONG)
    assert resumed == undisturbed


def test_outputs_written_again_after_a_late_kill(tmp_path, monkeypatch):
    _, undisturbed = run(tmp_path / "whole", DNN)
    whole = training.save_model
    monkeypatch.setattr(training, "save_model", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "killed", DNN)
    monkeypatch.setattr(training, "save_model", whole)
    monkeypatch.setattr(training.Trainer, "epoch", lambda *_: 1 / 0)
    _, resumed = run(tmp_path / "killed", DNN)
    assert resumed == undisturbed


@pytest.mark.parametrize("rate", [1e30, 300.0])
def test_divergence_is_named(tmp_path, rate):
    options = {"optimiser": "sgd", "learning_rate": rate, "clip": None}
    with pytest.raises(
        DivergenceError, match=r"run seed 1: the loss is .* epoch 1, at learning rate"
    ):
        run(tmp_path / "a", {**DNN, "activation": "relu"}, training=options)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["metrics.jsonl"]


def test_divergence_keeps_the_epochs_before(tmp_path, monkeypatch):
    whole = training.Trainer.epoch

    def diverging(self, objective, phase, epoch, learning_rate):
        score = whole(self, objective, phase, epoch, learning_rate)
        score.loss *= 10 if epoch == 3 else 1
        return score

    monkeypatch.setattr(training.Trainer, "epoch", diverging)
    with pytest.raises(DivergenceError, match="above its start .* epoch 3"):
        run(tmp_path / "a", DNN)
    assert len((tmp_path / "a" / "metrics.jsonl").read_text().splitlines()) == 2
    assert "above its start" in read_live(tmp_path / "a.live")[-1]["problem"]
    assert not list((tmp_path / "state").iterdir())


def test_other_errors_are_no_divergence(tmp_path):
    with pytest.raises(TrainingError, match="lda: 99 dimensions") as caught:
        run(tmp_path / "a", {**DNN, "lda": 99})
    assert not isinstance(caught.value, DivergenceError)


def nnet1_scheduler(losses, start):
    """Transliterate steps/nnet/train_scheduler.sh; return rates, acceptances."""
    rate, loss, halving, rows = 1.0, start, False, []
    for new in losses:
        previous, accepted = loss, new < loss
        rows.append((rate, accepted))
        loss = min(loss, new)
        improvement = (previous - loss) / previous
        if halving and improvement < 0.001:
            break
        if improvement < 0.01:
            halving = True
        if halving:
            rate *= 0.5
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_schedule_is_that_of_nnet1(seed):
    rng = np.random.default_rng(seed)
    losses = 2 * np.exp(-0.02 * np.arange(20)) + 0.03 * rng.random(20) * (np.arange(20) > 4)
    halving = Halving.begin(1.0, 2.5, TrainingOptions())
    rows = []
    for loss in losses:
        rate = halving.learning_rate
        accepted, finished = halving.judge(float(loss))
        rows.append((rate, accepted))
        if finished:
            break
    assert rows == nnet1_scheduler(losses, 2.5)


def test_patience_bears_poor_epochs():
    halving = Halving.begin(1.0, 2.0, TrainingOptions(patience=1))
    verdicts = [halving.judge(loss) for loss in (2.0, 2.0, 1.0, 1.0, 1.0)]
    assert verdicts == [
        (False, False),
        (False, False),
        (True, False),
        (False, False),
        (False, True),
    ]


def test_rejected_epochs_are_undone(tmp_path):
    options = {"learning_rate": 0.3, "epochs": 6, "patience": 9}
    result, files = run(tmp_path / "a", DNN, training=options)
    rows = [json.loads(line) for line in files["metrics.jsonl"].splitlines()]
    assert not all(row["accepted"] for row in rows)
    best = min(rows, key=lambda row: row["cv_loss"])
    assert result["best_epoch"] == best["epoch"]
    assert result["cv_loss"] == pytest.approx(best["cv_loss"], rel=1e-5)


def test_sum_is_the_mean_with_a_larger_rate(tmp_path):
    options = {"optimiser": "sgd", "clip": None, "batch": 5, "epochs": 1, "learning_rate": 0.05}
    frames = sum(map(len, TRAIN[1].values()))
    short = frames % 5
    result, _ = run(tmp_path / "a", DNN, training=options)
    other, _ = run(tmp_path / "b", DNN, training={**options, "loss": "sum", "learning_rate": 0.01})
    assert other["cv_loss"] == pytest.approx(result["cv_loss"], rel=2e-2 if short else 1e-4)


@pytest.mark.parametrize("options", [LSTM, {**LSTM, "layers": 2}, {**BLSTM, "layers": 2}])
def test_whole_utterances_sum_the_gradients_of_each(options):
    network = build_network(options, 8, PDFS, 0)
    data = gather_frames("train", *TRAIN, PDFS)
    objective = Objective("hard", 1.0, 0.0)

    def gradient(frames, sizes):
        network.zero_grad()
        order = np.random.default_rng(3)
        seen = 0
        for logits, index in training._batches(network, frames, order, sizes):
            objective.loss(logits, frames.labels[index]).backward()
            seen += len(index)
        assert seen == len(frames)
        return [weight.grad.clone() for weight in network.parameters()]

    together = gradient(data, (7, None))
    alone = [
        gradient(gather_frames(u, {u: TRAIN[0][u]}, {u: TRAIN[1][u]}, PDFS), (1, None))
        for u in TRAIN[0]
    ]
    for ours, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(ours, sum(parts), rtol=1e-4, atol=1e-4)
    if network.feed == "streams":
        truncated = gradient(data, (7, 5))
        assert not torch.allclose(together[0], truncated[0], rtol=1e-4, atol=1e-4)


def test_learns_from_whole_utterances(tmp_path):
    result, files = run(tmp_path / "a", LSTM, training={"frames": None, "epochs": 6})
    assert result["cv_fa"] > 60
    _, again = run(tmp_path / "b", LSTM, training={"frames": None, "epochs": 6})
    assert again == files


DEEP = {**DNN, "layers": 3}
KT = {"targets": "pretrain", "temperature": 2, "fresh_output": True}


@pytest.mark.parametrize("kind", ["rbm", "layerwise"])
def test_initialised_then_taught(tmp_path, monkeypatch, cache, kind):
    setting = {
        "network": DEEP,
        "targets": KT,
        "training": {"initialisation": kind, "initialisation_epochs": 2, "epochs": 2},
        "soft_targets": [cache],
    }
    result, undisturbed = run(tmp_path / "whole", **setting)
    assert result["cv_fa"] > 30
    rows = [json.loads(line) for line in undisturbed["metrics.jsonl"].splitlines()]
    assert [row["phase"] for row in rows] == ["soft"] * 2 + ["hard"] * 2

    for place in ("cross_validate", "epoch"):
        whole, calls = getattr(training.Trainer, place), []

        def dying(self, *arguments, whole=whole, calls=calls):
            calls.append(arguments)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return whole(self, *arguments)

        monkeypatch.setattr(training.Trainer, place, dying)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", **setting)
        monkeypatch.setattr(training.Trainer, place, whole)
        _, resumed = run(tmp_path / "killed", **setting)
        assert resumed == undisturbed


def test_machines_that_were_finished_stay_finished(tmp_path, monkeypatch, caplog):
    setting = {
        "network": DEEP,
        "training": {"initialisation": "rbm", "initialisation_epochs": 1, "epochs": 1},
    }
    _, undisturbed = run(tmp_path / "whole", **setting)
    whole, depths = training.pretrain_layer, []

    def dying(run, network, data, depth, *more):
        depths.append(depth)
        if len(depths) == 3:
            raise KeyboardInterrupt
        return whole(run, network, data, depth, *more)

    monkeypatch.setattr(training, "pretrain_layer", dying)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", **setting)
    with caplog.at_level("INFO"):
        _, resumed = run(tmp_path / "killed", **setting)
    assert depths == [0, 1, 2, 2]
    assert "goes on after RBM 2 from" in caplog.text
    assert resumed == undisturbed


def test_layers_are_added_one_by_one():
    train, cv = (gather_frames(name, *data, PDFS) for name, data in (("a", TRAIN), ("b", CV)))
    network = build_network(DEEP, 8, PDFS, 1)
    network.estimate(train.features, train.first, train.last, train.labels)
    last = network.hidden[2].weight.clone()
    options = TrainingOptions(initialisation="layerwise", initialisation_epochs=4, batch=64)
    trainer = training.Trainer("dnn", network, options, train, cv, (None, None), 1)
    seen = []
    whole = trainer.epoch
    trainer.epoch = lambda *arguments: (seen.append(network.depth), whole(*arguments))[1]
    losses = trainer.grow()
    assert seen == [1] * 4 + [2] * 4
    assert all(layer[-1] < 0.9 * layer[0] for layer in losses)
    assert network.depth == 3 and torch.equal(network.hidden[2].weight, last)
    logits = network(
        train.features[window_index(torch.arange(5), train.first[:5], train.last[:5], 2)]
    )
    assert logits.shape == (5, PDFS)


def test_unvisited_pdfs_have_a_prior():
    priors = log_priors(torch.tensor([0, 0, 2]), 4).exp()
    assert priors.tolist() == pytest.approx([0.5, 0.125, 0.25, 0.125])


def sausages(path, wrong=2, **told):
    """Write lattices in which the label of each frame has some competitors."""
    rng = np.random.default_rng(5)

    def lattice(labels):
        frames = len(labels)
        others = (labels[:, None] + rng.integers(1, PDFS, (frames, wrong))) % PDFS
        pdf = np.concatenate([labels[:, None], others], 1).astype(np.int32)
        source = np.repeat(np.arange(frames, dtype=np.int32), 1 + wrong)
        places = np.arange(frames + 1, dtype=np.int32)
        cost = rng.random(len(source), dtype=np.float32)
        return TrainingLattice(source, source + 1, pdf.ravel(), cost, places, places, frames)

    labels = {**TRAIN[1], **CV[1]}
    items = ((u, lattice(states)) for u, states in sorted(labels.items()))
    search = {"acoustic_scale": 0.5, "prior_scale": 1.0, "num_pdfs": PDFS, "silence": [0], **told}
    write_training_lattices(path, items, search)
    return path


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("targets", ["smbr", "mmi"])
def test_expected_accuracy_rises_from_epoch_to_epoch(tmp_path, name, targets):
    network = NETWORKS[name]
    run(tmp_path / "start", network, training={"epochs": 1})
    lattices = sausages(tmp_path / "lattices.npz")
    more = {"start": tmp_path / "start" / "model.pt", "lattices": lattices}
    training = {"epochs": 3, "learning_rate": 0.005, "streams": 5, "patience": 9}
    result, files = run(tmp_path / "a", network, {"targets": targets}, training, **more)
    rows = [json.loads(line) for line in files["metrics.jsonl"].splitlines()]
    assert result["epochs"] == 3 and rows[0]["phase"] == targets
    expected = [row["train_expected"] for row in rows]
    assert all(one < other for one, other in itertools.pairwise(expected))
    assert rows[-1]["cv_expected"] > rows[0]["cv_expected"]
    assert all(row["train_lacking"] == 0 for row in rows)
    _, again = run(tmp_path / "b", network, {"targets": targets}, training, **more)
    assert again == files


def test_what_is_of_another_tree_is_refused(tmp_path):
    run(tmp_path / "start", DNN, training={"epochs": 1}, tree="another")
    start, lattices = tmp_path / "start" / "model.pt", sausages(tmp_path / "l.npz", tree="third")
    refused = "pdfs are of the tree '{}', those of the alignments of 'ours'; delete the older"
    for more, other in (({"start": start}, "another"), ({"lattices": lattices}, "third")):
        run(tmp_path / "same", DNN, training={"epochs": 1}, tree=other, **more)
        run(tmp_path / "untold", DNN, training={"epochs": 1}, **more)
        with pytest.raises(DataError, match=refused.format(other)):
            run(tmp_path / "other", DNN, training={"epochs": 1}, tree="ours", **more)
    scores = stream_log_posteriors(load_network(start)[0], {**TRAIN[0], **CV[0]})
    teacher = {"run": "start", "seed": 1, "sha256": file_digest(start)}
    write_soft_targets(tmp_path / "T2.soft", scores, 2.0, teacher)
    more = {"soft_targets": [tmp_path / "T2.soft"], "teachers": [start]}
    with pytest.raises(DataError, match=refused.format("another")):
        run(tmp_path / "other", DNN, {"targets": "soft", "temperature": 2}, tree="ours", **more)


def test_soft_targets_smooth_sequence_training(tmp_path, cache):
    run(tmp_path / "start", DNN, training={"epochs": 1})
    more = {
        "start": tmp_path / "start" / "model.pt",
        "lattices": sausages(tmp_path / "lattices.npz"),
    }
    one, files = run(tmp_path / "a", DNN, {"targets": "smbr"}, **more)
    targets = {"targets": "smbr", "temperature": 2}
    other, taught = run(tmp_path / "b", DNN, targets, soft_targets=[cache], **more)
    assert "cache_kl" in other and "cache_kl" not in one
    assert files["model.pt"] != taught["model.pt"]


def test_gates_alone_are_updated(tmp_path):
    run(tmp_path / "start", HIGHWAY, training={"epochs": 1})
    start = tmp_path / "start" / "model.pt"
    before = load_network(start)[0].state_dict()
    for update, parts in (("gates", ["gates"]), ("gates+output", ["gates", "output"])):
        run(tmp_path / update, HIGHWAY, training={"update": update}, start=start)
        after = load_network(tmp_path / update / "model.pt")[0].state_dict()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed and {name.split(".")[0] for name in changed} == set(parts)


def test_a_start_of_another_network_is_refused(tmp_path):
    run(tmp_path / "start", DNN, training={"epochs": 1})
    start = tmp_path / "start" / "model.pt"
    with pytest.raises(DataError, match="cannot be where run starts: its network differs"):
        run(tmp_path / "a", {**DNN, "units": 16}, start=start)
    anew, _ = run(tmp_path / "b", DNN, training={"epochs": 1})
    goes_on, _ = run(tmp_path / "c", DNN, training={"epochs": 1}, start=start)
    assert goes_on["cv_loss"] < anew["cv_loss"]


def test_lattices_must_be_there_and_fit(tmp_path):
    with pytest.raises(DataError, match="targets 'smbr' need lattices"):
        run(tmp_path / "a", DNN, {"targets": "smbr"})
    path = sausages(tmp_path / "lattices.npz")
    archive = TrainingLattices(path)
    utterance = min(TRAIN[1])
    (longer,) = archive.take([max(TRAIN[1], key=lambda u: len(TRAIN[1][u]))])
    write_training_lattices(path, [(utterance, longer)], archive.search)
    with pytest.raises(DataError, match="no lattice of an utterance of the cross-validation"):
        run(tmp_path / "a", DNN, {"targets": "smbr"}, lattices=path)
    write_training_lattices(path, [(u, longer) for u in CV[1]], archive.search)
    with pytest.raises(DataError, match="frames, its features have"):
        run(tmp_path / "a", DNN, {"targets": "smbr"}, lattices=path)
