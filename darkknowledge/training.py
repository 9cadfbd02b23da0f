"""Training of one run: phases, epochs, learning-rate schedule, checkpoints, measurements."""

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor

from darkknowledge.acoustic import tree_of
from darkknowledge.batches import FrameSet, gather_frames, plan_streams, plan_utterances
from darkknowledge.checkpoints import (
    load_checkpoint,
    load_network,
    save_checkpoint,
    save_epochs,
    save_model,
    state_key,
)
from darkknowledge.checksums import file_digest
from darkknowledge.errors import DataError, DivergenceError
from darkknowledge.files import read_jsonl, write_json, write_jsonl
from darkknowledge.live import LiveMetrics
from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.inputs import window_index
from darkknowledge.networks.options import (
    FINETUNING,
    SEQUENCE,
    NetworkOptions,
    TargetOptions,
    TrainingOptions,
)
from darkknowledge.networks.rbm import pretrain_layer
from darkknowledge.networks.registry import build_network, count_parameters
from darkknowledge.progress import Stopwatch, logger
from darkknowledge.sequence.batches import utterance_batches
from darkknowledge.sequence.files import TrainingLattices
from darkknowledge.sequence.objective import SequenceObjective, sequence_objective
from darkknowledge.soft_targets import Cache, open_cache
from darkknowledge.targets import Objective, Phase, objectives
from darkknowledge.trees import check_tree

Objectives = Phase | SequenceObjective

CHECK_EVERY = 100
REPORT_SECONDS = 30
SCORING_FRAMES = 4096
SCORING_STREAMS = 64
SCORING_CHUNK = 64
SCORING_UTTERANCES = 8
DIVERGED = 1.1


@dataclass
class Halving:
    """The learning-rate schedule of nnet1's train_scheduler.sh.

    An epoch whose cross-validation loss is not below the best is rejected: training goes on
    from the best. Halving begins with the first epoch that improves by less than ``start``
    (relative), and then ends with one that improves by less than ``end``.
    """

    learning_rate: float
    best: float
    start: float
    end: float
    factor: float
    patience: int
    halving: bool = False
    poor: int = 0

    @classmethod
    def begin(cls, learning_rate: float, loss: float, options: TrainingOptions) -> "Halving":
        """Start from a learning rate and the loss before the first epoch."""
        return cls(
            learning_rate,
            loss,
            options.start_halving,
            options.end_halving,
            options.halving_factor,
            options.patience,
        )

    def judge(self, loss: float) -> tuple[bool, bool]:
        """Take an epoch's cross-validation loss; return (accepted, finished)."""
        accepted = loss < self.best
        previous, self.best = self.best, min(self.best, loss)
        improvement = (previous - self.best) / abs(previous) if previous else 0.0
        if self.halving:
            self.poor = self.poor + 1 if improvement < self.end else 0
            if self.poor > self.patience:
                return accepted, True
        if improvement < self.start:
            self.halving = True
        if self.halving:
            self.learning_rate *= self.factor
        return accepted, False


class TeacherTargets:
    """Soft targets, or logits, of the frames of a set: the mean of one or more teachers'."""

    def __init__(self, caches: Sequence[Cache], frames: FrameSet):
        self.caches = caches
        self.positions = [c.positions(frames.utterances, frames.lengths) for c in caches]

    def dense(self, frames: Tensor) -> Tensor:
        """Return (B, pdfs) for frames (B,) of the set."""
        index = frames.cpu().numpy()
        parts = [
            cache.dense(positions[index])
            for cache, positions in zip(self.caches, self.positions, strict=True)
        ]
        total = parts[0] if len(parts) == 1 else sum(parts) / len(parts)
        return total.to(frames.device)

    @cached_property
    def entropy(self) -> float:
        """Mean entropy per frame in nats: what the soft cross-entropy cannot fall below."""
        return self._mean(torch.special.entr)

    @cached_property
    def power(self) -> float:
        """Mean per frame of the sum of squares: what logits of zero leave unexplained, twice."""
        return self._mean(torch.square)

    def _mean(self, value: Callable[[Tensor], Tensor]) -> float:
        frames = torch.arange(len(self.positions[0]))
        total = sum(value(self.dense(part)).sum().item() for part in frames.split(SCORING_FRAMES))
        return total / len(frames)


@dataclass
class Score:
    """Sums over frames: objective, cross-entropy with the alignment, correct frames.

    ``floor`` is the least value of the objective per frame, its entropy.
    """

    loss: float
    cross_entropy: float
    correct: float
    frames: int
    floor: float = 0.0

    @property
    def mean_loss(self) -> float:
        """Objective per frame above its floor, in nats: a Kullback-Leibler divergence.

        With hard targets it is the cross-entropy. With soft ones the entropy of the teacher is
        subtracted, so that a relative improvement means the same for all targets.
        """
        return self.loss / self.frames - self.floor

    @property
    def mean_cross_entropy(self) -> float:
        """Cross-entropy with the alignment, per frame in nats."""
        return self.cross_entropy / self.frames

    @property
    def accuracy(self) -> float:
        """Frame accuracy in per cent."""
        return 100 * self.correct / self.frames


def _batches(
    network: AcousticNetwork,
    data: FrameSet,
    order: np.random.Generator | None,
    sizes: Sequence[int | None],
    bf16: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits (B, pdfs) and the frames (B,) that they label, minibatch by minibatch."""
    device = data.features.device
    precision = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    if network.feed == "frames":
        (size,) = sizes
        index = np.arange(len(data)) if order is None else order.permutation(len(data))
        for frames in torch.from_numpy(index).to(device).split(size):
            windows = window_index(frames, data.first[frames], data.last[frames], network.context)
            with precision:
                logits = network(data.features[windows])
            yield logits.float(), frames
        return
    streams, chunk = sizes
    streams = min(streams, len(data.lengths))
    if network.feed == "utterances":
        for batch in plan_utterances(data.lengths, order, streams, device=device):
            with precision:
                hidden = network.hidden(data.features[batch.inputs], batch.lengths)
            hidden = hidden.flatten(0, 1).index_select(0, batch.outputs)
            size = SCORING_FRAMES if order is None else len(hidden)
            for piece, frames in zip(hidden.split(size), batch.frames.split(size), strict=True):
                with precision:
                    logits = network.output(piece)
                yield logits.float(), frames
        return
    if chunk is None:
        plan = plan_utterances(data.lengths, order, streams, network.delay, device)
    else:
        utterances = np.argsort(-data.lengths, kind="stable")
        if order is not None:
            utterances = order.permutation(len(data.lengths))
        plan = plan_streams(data.lengths, utterances, streams, chunk, network.delay, device)
    state = network.initial_state(streams)
    for batch in plan:
        if batch.keep is not None:
            state = [tuple(value * batch.keep for value in layer) for layer in state]
        with precision:
            hidden, state = network.recur(data.features[batch.inputs], state)
            logits = network.output(hidden.flatten(0, 1)[batch.outputs])
        if len(batch.frames):
            yield logits.float(), batch.frames


def _examples(
    network: AcousticNetwork,
    data: FrameSet,
    objective: Objectives,
    lattices: TrainingLattices | None,
    order: np.random.Generator | None,
    sizes: Sequence[int | None],
    bf16: bool = False,
) -> Iterator[tuple[Tensor, Tensor, tuple]]:
    """Yield logits (B, pdfs), the frames (B,) they label, and what else the objective asks for."""
    if objective.reads_lattices:
        for logits, frames, read in utterance_batches(
            network, data, lattices, order, sizes[0], bf16
        ):
            yield logits, frames, (read,)
        return
    for logits, frames in _batches(network, data, order, sizes, bf16):
        yield logits, frames, ()


@torch.no_grad()
def evaluate(
    network: AcousticNetwork,
    data: FrameSet,
    objective: Objectives,
    teacher: TeacherTargets | None = None,
    lattices: TrainingLattices | None = None,
) -> Score:
    """Measure a network on a set.

    Parameters
    ----------
    network : AcousticNetwork
    data : FrameSet
        On the network's device.
    objective : Objective, LogitMatching or SequenceObjective
    teacher : TeacherTargets or None
        Needed if the objective has soft targets.
    lattices : TrainingLattices or None
        Needed if the objective reads them; utterances without one are then left out.

    Returns
    -------
    Score
    """
    sizes = {
        "frames": (SCORING_FRAMES,),
        "streams": (SCORING_STREAMS, SCORING_CHUNK),
        "utterances": (SCORING_UTTERANCES, None),
    }
    size = (SCORING_UTTERANCES,) if objective.reads_lattices else sizes[network.feed]
    score = Score(0.0, 0.0, 0.0, 0, objective.floor(teacher))
    for logits, frames, more in _examples(network, data, objective, lattices, None, size):
        labels = data.labels[frames]
        hard = torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        if objective.has_teacher or more:
            soft = teacher.dense(frames) if objective.has_teacher else None
            score.loss += objective.loss(logits, labels, soft, *more).item()
        else:
            score.loss += objective.hard * hard
        score.cross_entropy += hard
        score.correct += (logits.argmax(1) == labels).sum().item()
        score.frames += len(frames)
    return score


class Trainer:
    """One training in progress.

    Parameters
    ----------
    run : str
        Name in log lines and messages.
    network : AcousticNetwork
    options : TrainingOptions
    train, cv : FrameSet
    teachers : tuple of (TeacherTargets or None)
        For the two sets.
    seed : int
    lattices : TrainingLattices or None
        Of both sets, for objectives that read them.
    live : path or None
        File that tells how far the training is.
    kept : path, optional
        Folder in which the weights of each epoch are kept, by number; 0 is where it starts.
    """

    def __init__(
        self,
        run: str,
        network: AcousticNetwork,
        options: TrainingOptions,
        train: FrameSet,
        cv: FrameSet,
        teachers: tuple[TeacherTargets | None, TeacherTargets | None],
        seed: int,
        lattices: TrainingLattices | None = None,
        live: str | Path | None = None,
        kept: Path | None = None,
    ):
        self.run = run
        self.network = network
        self.options = options
        self.train = train
        self.cv = cv
        self.teachers = teachers
        self.seed = seed
        self.lattices = lattices
        self.live = LiveMetrics(live, run, seed)
        self.left = 0
        self.kept = kept
        self.weights = network.part(options.update)
        network.requires_grad_(False)
        for weight in self.weights:
            weight.requires_grad_()
        self.optimiser = self._optimiser()
        self.rows: list[dict[str, Any]] = []
        self.epochs_before = 0
        self.first = 0

    def _optimiser(self) -> torch.optim.Optimizer:
        options = self.options
        common = {"lr": options.learning_rate, "weight_decay": options.weight_decay, "fused": True}
        if options.optimiser == "sgd":
            return torch.optim.SGD(self.weights, momentum=options.momentum, **common)
        return torch.optim.Adam(self.weights, betas=(options.momentum, 0.999), **common)

    def fail(self, phase: str, epoch: int, learning_rate: float, problem: str) -> DivergenceError:
        """Make the error of a training that diverges."""
        return DivergenceError(
            f"{self.run} seed {self.seed}: {problem} in phase '{phase}', epoch {epoch}, at "
            f"learning rate {learning_rate:.3g}; lower `learning_rate` (a third is a good try) "
            "or `clip`"
        )

    def epoch(self, objective: Objectives, phase: int, epoch: int, learning_rate: float) -> Score:
        """Train for one epoch; return the measurements on the way."""
        options = self.options
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        order = np.random.default_rng([self.seed, phase, epoch])
        sizes = {
            "frames": (options.batch,),
            "streams": (options.streams, options.frames),
            "utterances": (options.streams, None),
        }[self.network.feed]
        if objective.reads_lattices:
            sizes = (options.streams, None)
        # The frames of a full minibatch: a smaller one, such as the last, moves less far.
        # Without a number of steps they are the frames of utterances of mean length.
        mean_length = len(self.train) / len(self.train.lengths)
        size = math.prod(mean_length if length is None else length for length in sizes)
        size = 1 if options.loss == "sum" else size
        totals = torch.zeros(2, dtype=torch.float64, device=self.train.features.device)
        floor = objective.floor(self.teachers[0])
        began = reported = time.perf_counter()
        done = 0
        bf16 = options.precision == "bf16"
        examples = _examples(self.network, self.train, objective, self.lattices, order, sizes, bf16)
        for number, (logits, frames, more) in enumerate(examples, 1):
            labels = self.train.labels[frames]
            soft = self.teachers[0].dense(frames) if objective.has_teacher else None
            loss = objective.loss(logits, labels, soft, *more)
            self.optimiser.zero_grad()
            (loss / size).backward()
            if options.clip is not None:
                torch.nn.utils.clip_grad_norm_(self.weights, options.clip)
            self.optimiser.step()
            correct = (logits.detach().argmax(1) == labels).sum()
            totals += torch.stack([loss.detach().double(), correct.double()])
            done += len(frames)
            if number % CHECK_EVERY == 0:
                if not math.isfinite(totals[0].item()):
                    break
                if time.perf_counter() - reported > REPORT_SECONDS:
                    reported = time.perf_counter()
                    self.live.within(
                        objective.name,
                        len(self.rows) + 1,
                        self.left,
                        done / len(self.train),
                        train_loss=totals[0].item() / done - floor,
                        frames_per_second=done / (reported - began),
                    )
                    logger.info(
                        "%s seed %d, %s, epoch %d: %d %% done, loss %.3f, %d frames/s",
                        self.run,
                        self.seed,
                        objective.name,
                        epoch,
                        100 * done // len(self.train),
                        totals[0].item() / done - floor,
                        done / (reported - began),
                    )
        loss_sum, correct_sum = totals.tolist()
        if not math.isfinite(loss_sum):
            raise self.fail(objective.name, epoch, learning_rate, "the loss is not a number")
        return Score(loss_sum, math.nan, correct_sum, done, floor)

    def cross_validate(self, objective: Objectives) -> Score:
        """Measure the objective on the cross-validation set."""
        return evaluate(self.network, self.cv, objective, self.teachers[1], self.lattices)

    def snapshot(self) -> dict[str, Any]:
        """Copy the weights and the optimiser's state."""
        return {
            "network": {k: v.cpu().clone() for k, v in self.network.state_dict().items()},
            "optimiser": _copied(self.optimiser.state_dict()),
        }

    def keep(self, epoch: int) -> None:
        """Keep the weights with which training goes on after an epoch, if that is asked for."""
        if self.kept is not None:
            weights = {k: v.detach().cpu().clone() for k, v in self.network.named_parameters()}
            save_checkpoint(self.kept / f"{epoch}", weights)

    def kept_epochs(self) -> list[dict[str, Tensor]]:
        """Return the weights that were kept, in the order of training.

        Raises
        ------
        DataError
            If those of an epoch are absent or damaged.
        """
        files = [self.kept / f"{n}" for n in range(self.epochs_before, len(self.rows) + 1)]
        kept = [load_checkpoint(file) for file in files]
        if None in kept:
            raise DataError(
                f"{files[kept.index(None)]}: no such file, though later epochs were trained; "
                f"delete {self.kept.parent} and run snakemake"
            )
        return kept

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go back to a snapshot."""
        self.network.load_state_dict(snapshot["network"])
        self.optimiser.load_state_dict(_copied(snapshot["optimiser"]))

    def initialise(self, state: Mapping[str, Any], checkpoint: Path) -> None:
        """Give the hidden layers their first weights, where they are not random.

        A checkpoint follows on each RBM, with ``state`` and the number of these machines.
        """
        options = self.options
        if options.initialisation == "rbm":
            epochs, bf16 = options.initialisation_epochs, options.precision == "bf16"
            for depth in range(state["machines"], len(self.network.hidden)):
                pretrain_layer(self.run, self.network, self.train, depth, epochs, self.seed, bf16)
                save_checkpoint(checkpoint, {**state, "machines": depth + 1, **self.snapshot()})
        elif options.initialisation == "layerwise":
            self.grow()

    def grow(self) -> list[list[float]]:
        """Train the hidden layers on hard targets one more at a time.

        Each time the output layer starts afresh and all layers learn, at a constant learning
        rate (Seide et al. 2011, discriminative pre-training). The last layer is only added.

        Returns
        -------
        list of list of float
            By depth and epoch the loss on the training set.
        """
        hard, rate = Objective("hard", hard=1.0, soft=0.0), self.options.learning_rate
        generator = torch.Generator().manual_seed(self.seed)
        losses: list[list[float]] = []
        for depth in range(1, len(self.network.hidden) + 1):
            self.network.depth = depth
            self.network.reset_output(generator)
            self.optimiser = self._optimiser()
            if depth == len(self.network.hidden):
                break
            losses.append([])
            ignorance = hard.ignorance(None, self.network.num_pdfs)
            start = max(self.cross_validate(hard).mean_loss, ignorance)
            for epoch in range(1, self.options.initialisation_epochs + 1):
                # The order is another than in the phases 0 and 1.
                score = self.epoch(hard, 1 + depth, epoch, rate)
                losses[-1].append(score.mean_loss)
                if score.mean_loss > DIVERGED * start:
                    problem = f"the loss is {score.mean_loss:.4g}, above its start {start:.4g},"
                    raise self.fail(f"layer {depth}", epoch, rate, problem)
                logger.info(
                    "%s seed %d, layer %d of %d, epoch %d: loss %.3f, FA %.1f %%",
                    self.run,
                    self.seed,
                    depth,
                    len(self.network.hidden),
                    epoch,
                    score.mean_loss,
                    score.accuracy,
                )
        return losses

    def go_on_from(self, model: str | Path, metrics: str | Path, learnt: str) -> None:
        """Take another run's result for that of the first phase.

        Parameters
        ----------
        model, metrics : path
            Of the other run.
        learnt : str
            What its model must say that it has learnt.

        Raises
        ------
        DataError
            If the model cannot be read, or learnt from something else.
        """
        network, _, meta = load_network(model)
        if meta.get("learnt") != learnt:
            raise DataError(
                f"{model}: was not trained on the data and with the options of the first phase of "
                f"{self.run} seed {self.seed}; delete it and run snakemake"
            )
        self.network.load_state_dict(network.state_dict())
        self.rows = read_jsonl(metrics)
        self.epochs_before = len(self.rows)
        self.first = 1
        logger.info("%s seed %d: goes on from %s", self.run, self.seed, model)

    def run_phases(self, phases: Sequence[Objectives], checkpoint: Path) -> list[dict[str, Any]]:
        """Train through all phases, from the checkpoint if there is one.

        After each epoch and each RBM the state is kept in ``checkpoint``; layers that grew one by
        one until an interruption do so again.

        Returns
        -------
        list of dict
            One row per epoch.
        """
        state = self._resume(checkpoint)
        self.rows = state["rows"]
        for phase in range(state["phase"], len(phases)):
            objective = phases[phase]
            last = phase == len(phases) - 1
            limit, rate = self._most_epochs(phase), self.options.learning_rate
            later = sum(map(self._most_epochs, range(phase + 1, len(phases))))
            self.left = limit - state["epoch"] + later
            if self.left:
                self.live.within(objective.name, len(self.rows) + 1, self.left, 0)
            if phase:
                rate = self.options.finetune_learning_rate or rate
            if state["halving"] is None:
                if phase:
                    self.optimiser = self._optimiser()
                else:
                    self.initialise(state, checkpoint)
                if objective.fresh_output:
                    generator = torch.Generator().manual_seed(self.seed + phase)
                    self.network.reset_output(generator)
                if phase == self.first:
                    self.keep(len(self.rows))
                start = self.cross_validate(objective)
                state["halving"] = asdict(Halving.begin(rate, start.mean_loss, self.options))
                ignorance = objective.ignorance(self.teachers[1], self.network.num_pdfs)
                state["start"] = max(start.mean_loss, ignorance - start.floor)
                state["epoch"] = 0
            halving = Halving(**state["halving"])
            best = self.snapshot()
            watch = Stopwatch((limit - state["epoch"]) * len(self.train))
            finished = False
            while state["epoch"] < limit and not finished:
                state["epoch"] += 1
                epoch, rate = state["epoch"], halving.learning_rate
                began = time.perf_counter()
                objective.measured()
                score = self.epoch(objective, phase, epoch, rate)
                speed = score.frames / (time.perf_counter() - began)
                seen = {f"train_{key}": value for key, value in objective.measured().items()}
                cv = self.cross_validate(objective)
                seen |= {f"cv_{key}": value for key, value in objective.measured().items()}
                if not math.isfinite(cv.mean_loss) or score.mean_loss > DIVERGED * state["start"]:
                    raise self.fail(
                        objective.name,
                        epoch,
                        rate,
                        f"the loss is {score.mean_loss:.4g} (cross-validation "
                        f"{cv.mean_loss:.4g}), above its start {state['start']:.4g},",
                    )
                accepted, finished = halving.judge(cv.mean_loss)
                if accepted:
                    best = self.snapshot()
                else:
                    self.restore(best)
                state["rows"].append(
                    {
                        "phase": objective.name,
                        "epoch": len(state["rows"]) + 1,
                        "learning_rate": rate,
                        "train_loss": score.mean_loss,
                        "train_fa": score.accuracy,
                        "cv_loss": cv.mean_loss,
                        "cv_ce": cv.mean_cross_entropy,
                        "cv_fa": cv.accuracy,
                        **seen,
                        "accepted": accepted,
                    }
                )
                self.left = later if finished else limit - epoch + later
                self.live.epoch(
                    state["rows"][-1],
                    self.left,
                    time.perf_counter() - began,
                    frames_per_second=speed,
                    **self._device(),
                )
                left = watch.advance(score.frames)
                logger.info(
                    "%s seed %d, %s, epoch %d/%d: rate %.2g, loss %.3f, FA %.1f %%; "
                    "CV loss %.3f, FA %.1f %%%s; %d frames/s, %s",
                    self.run,
                    self.seed,
                    objective.name,
                    epoch,
                    limit,
                    rate,
                    score.mean_loss,
                    score.accuracy,
                    cv.mean_loss,
                    cv.accuracy,
                    "" if accepted else " (rejected)",
                    speed,
                    "phase finished" if finished else left,
                )
                state["halving"] = asdict(halving)
                if finished or epoch == limit:
                    if not last:
                        state.update(phase=phase + 1, halving=None)
                    else:
                        state["epoch"] = limit
                self.keep(len(state["rows"]))
                save_checkpoint(checkpoint, {**state, **best})
        return state["rows"]

    def _most_epochs(self, phase: int) -> int:
        options = self.options
        return (options.finetune_epochs or options.epochs) if phase else options.epochs

    def _device(self) -> dict[str, Any]:
        device = self.train.features.device
        if device.type != "cuda":
            return {"device": device.type}
        return {
            "device": torch.cuda.get_device_name(device),
            "gpu_memory": torch.cuda.max_memory_reserved(device),
        }

    def _resume(self, checkpoint: Path) -> dict[str, Any]:
        fresh = {
            "phase": self.first,
            "epoch": 0,
            "halving": None,
            "start": 0.0,
            "rows": self.rows,
            "machines": 0,
        }
        try:
            saved = load_checkpoint(checkpoint)
        except DataError as error:
            logger.info("%s; training begins anew", error)
            return fresh
        if saved is None:
            return fresh
        self.restore({"network": saved.pop("network"), "optimiser": saved.pop("optimiser")})
        self.live.go_on(len(saved["rows"]))
        logger.info(
            "%s seed %d: goes on after %s %d from %s",
            self.run,
            self.seed,
            *(("epoch", len(saved["rows"])) if saved["rows"] else ("RBM", saved["machines"])),
            checkpoint,
        )
        return saved


def _copied(value: Any) -> Any:
    """Copy nested containers and the tensors in them."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _first_phase(learnt: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the first phase of a training depends on, of what the whole does."""
    targets, training = dict(learnt["targets"]), dict(learnt["training"])
    if targets["targets"] == "pretrain":
        targets.update(targets="soft", fresh_output=False)
    for name in FINETUNING:
        training.pop(name)
    return {**learnt, "targets": targets, "training": training}


def _take_weights(network: AcousticNetwork, model: str | Path, run: str) -> None:
    """Give a network the weights, and the fixed input transform, of a trained one like it."""
    weights = load_network(model)[0].state_dict()
    own = network.state_dict()
    shapes = [{k: tuple(v.shape) for k, v in state.items()} for state in (own, weights)]
    if shapes[0] != shapes[1]:
        other = sorted(set(shapes[0].items()) ^ set(shapes[1].items()))[0]
        raise DataError(
            f"{model}: cannot be where {run} starts: its network differs ({other[0]} of shape "
            f"{other[1]} in one of them); both need the same network, input and pdfs"
        )
    network.load_state_dict(weights)


def log_priors(labels: Tensor, num_pdfs: int) -> Tensor:
    """Return the natural logarithms (pdfs,) of the pdfs' shares of an alignment.

    A pdf that the alignment never visits counts as visited half a time.
    """
    counts = torch.bincount(labels, minlength=num_pdfs).double().clamp_min(0.5)
    return (counts / counts.sum()).log().float()


def train_network(
    run: str,
    options: Mapping[str, Any],
    train: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]],
    cv: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]],
    num_pdfs: int,
    seed: int,
    model: str | Path,
    metrics: str | Path,
    summary: str | Path,
    state: str | Path,
    soft_targets: Sequence[str | Path] = (),
    teachers: Sequence[str | Path] = (),
    first_phase: Sequence[str | Path] = (),
    start: str | Path | None = None,
    lattices: str | Path | None = None,
    epochs: str | Path | None = None,
    threads: int = 1,
    device: torch.device | str = "cpu",
    live: str | Path | None = None,
    tree: str | None = None,
) -> dict[str, Any]:
    """Train the network of a run.

    Killed at any moment and called again, it goes on from its last epoch and ends with the same
    bytes.

    Parameters
    ----------
    run : str
        Name in log lines and messages.
    options : mapping
        ``network``, ``targets`` and ``training``, as the study resolves them.
    train, cv : pair of mappings
        Features (N, D) and pdfs (N,) by utterance, of the training and of the cross-validation
        set.
    num_pdfs : int
    seed : int
        Of initial weights and order of the data.
    model, metrics, summary : path
        Files written at the end: the network with its priors, a row per epoch, and the figures
        of the table.
    state : path
        Folder of the checkpoint, which is deleted in the end.
    soft_targets : sequence of path
        Caches that cover both sets, one per teacher; their mean is learnt.
    teachers : sequence of path
        The models that the caches must be of, one for each; unchecked where there are none.
    first_phase : sequence of path
        Model and metrics of a run on soft targets whose training is the first phase of this one;
        it is then not done again. The result is the same.
    start : path, optional
        Model of a network of the same kind and size whose weights this one starts with.
    lattices : path, optional
        Competing paths of the utterances of both sets, for `smbr` and `mmi`.
    epochs : path, optional
        File for the weights at the start and after each epoch, those that it goes on with.
    threads : int
        Of torch on the CPU.
    device : torch.device or str
        Where it is trained.
    live : path, optional
        File that `darkknowledge.watch` reads while the training runs.
    tree : str, optional
        Digest of the tree whose pdfs are learnt, which the model then tells. Teachers, lattices
        and the network of ``start`` must be of the same, where they tell theirs.

    Returns
    -------
    dict
        The summary.

    Raises
    ------
    DataError
        If data, caches or the network of the first phase cannot be used.
    DivergenceError
        If the training diverges; ``metrics`` then holds the epochs before.
    """
    torch.set_num_threads(threads)
    device = torch.device(device)
    network_options = TypeAdapter(NetworkOptions).validate_python(options["network"])
    target_options = TargetOptions(**options.get("targets", {}))
    training_options = TrainingOptions(**options.get("training", {}))
    train_frames = gather_frames("training set", *train, num_pdfs)
    cv_frames = gather_frames("cross-validation set", *cv, num_pdfs)
    temperature = target_options.cache_temperature
    caches = [
        open_cache(path, temperature, num_pdfs, teacher)
        for path, teacher in zip(soft_targets, teachers or [None] * len(soft_targets), strict=True)
    ]
    opened = None if lattices is None else TrainingLattices(lattices)
    trees = {path: tree_of(path) for path in (*teachers, start) if path is not None}
    if opened is not None:
        trees[lattices] = opened.search.get("tree")
    for path, other in trees.items():
        check_tree(path, other, "the alignments", tree)
    prior = log_priors(train_frames.labels, num_pdfs)
    if target_options.targets in SEQUENCE:
        if opened is None:
            raise DataError(f"{run}: targets '{target_options.targets}' need lattices")
        phases = [sequence_objective(target_options, opened.search, prior, bool(caches))]
    else:
        phases = objectives(target_options)
    if not caches and any(phase.has_teacher for phase in phases):
        raise DataError(
            f"{run}: targets '{target_options.targets}' need a soft-target cache; give a teacher"
        )
    kind = options["network"]["kind"]
    learnt = {
        "network": network_options.model_dump(mode="json", exclude={"training"}),
        "targets": target_options.model_dump(mode="json"),
        "training": training_options.model_dump(mode="json"),
        "num_pdfs": num_pdfs,
        "seed": seed,
        "train": train_frames.digest(),
        "cv": cv_frames.digest(),
        "soft_targets": [cache.header["payload_sha256"] for cache in caches],
        **{
            name: file_digest(path)
            for name, path in (("start", start), ("lattices", lattices))
            if path is not None
        },
    }
    ground = {"threads": threads, "torch": torch.__version__, "device": device.type}
    ground |= {} if epochs is None else {"epochs": True}
    checkpoint = Path(state) / f"{state_key({**learnt, **ground})}.checkpoint"
    network = build_network(options["network"], train_frames.features.shape[1], num_pdfs, seed)
    network.estimate(
        train_frames.features, train_frames.first, train_frames.last, train_frames.labels
    )
    if start is not None:
        _take_weights(network, start, run)
        training_options = training_options.model_copy(update={"initialisation": "random"})
    network.to(device)
    targets = (None, None)
    if caches:
        targets = (TeacherTargets(caches, train_frames), TeacherTargets(caches, cv_frames))
    trainer = Trainer(
        run,
        network,
        training_options,
        train_frames.to(device),
        cv_frames.to(device),
        targets,
        seed,
        opened,
        live,
        None if epochs is None else checkpoint.with_suffix(".epochs"),
    )
    logger.info(
        "%s seed %d: %s with %d parameters, %d training and %d cross-validation frames, %d pdfs",
        run,
        seed,
        kind,
        count_parameters(network),
        len(train_frames),
        len(cv_frames),
        num_pdfs,
    )
    if first_phase:
        trainer.go_on_from(*first_phase, learnt=state_key(_first_phase(learnt)))
    try:
        rows = trainer.run_phases(phases, checkpoint)
    except DivergenceError as error:
        write_jsonl(metrics, trainer.rows)
        trainer.live.diverged(str(error))
        checkpoint.unlink(missing_ok=True)
        _remove(trainer.kept)
        raise
    hard = Objective("hard", hard=1.0, soft=0.0)
    on_train = evaluate(network, trainer.train, hard)
    on_cv = evaluate(network, trainer.cv, hard)
    accepted = [row["epoch"] for row in rows if row["accepted"]]
    result = {
        "tr_fa": on_train.accuracy,
        "cv_fa": on_cv.accuracy,
        "tr_loss": on_train.mean_cross_entropy,
        "cv_loss": on_cv.mean_cross_entropy,
        "parameters": count_parameters(network),
        "multiply_adds": network.multiply_adds(),
        "float32_bytes": network.stored_bytes(4),
        "int8_bytes": network.stored_bytes(1),
        "epochs": len(rows),
        "best_epoch": accepted[-1] if accepted else 0,
        "train_frames": len(train_frames),
        "cv_frames": len(cv_frames),
        "num_pdfs": num_pdfs,
    }
    if caches:
        headers = [cache.header for cache in caches]
        result["cache_bytes"] = sum(header["bytes_per_frame"] for header in headers)
        result["cache_kl"] = sum(header["kl_to_dense"] for header in headers) / len(headers)
    write_jsonl(metrics, rows)
    write_json(summary, result)
    if epochs is not None:
        save_epochs(epochs, trainer.kept_epochs())
    save_model(
        model,
        network,
        options["network"],
        prior,
        {
            "run": run,
            "seed": seed,
            "delay": network.delay,
            "tree": tree,
            "learnt": state_key(learnt if len(phases) > 1 else _first_phase(learnt)),
        },
    )
    checkpoint.unlink(missing_ok=True)
    _remove(trainer.kept)
    logger.info(
        "%s seed %d: TR FA %.1f %%, CV FA %.1f %%, best epoch %d of %d",
        run,
        seed,
        on_train.accuracy,
        on_cv.accuracy,
        result["best_epoch"],
        len(rows),
    )
    return result
