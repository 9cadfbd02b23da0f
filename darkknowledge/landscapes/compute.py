"""From trained networks to the files of a landscape."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darkknowledge.checkpoints import load_epochs, load_network
from darkknowledge.checksums import file_digest
from darkknowledge.errors import DataError
from darkknowledge.files import write_json
from darkknowledge.landscapes.batch import Frames
from darkknowledge.landscapes.curvature import (
    gradient,
    hessian_product,
    hutchinson,
    lanczos,
    scatter,
    sharpness,
)
from darkknowledge.landscapes.directions import filter_normalised, principal_directions
from darkknowledge.landscapes.files import LossGrid, write_grid
from darkknowledge.landscapes.grid import Points, evaluate_grid, grid_axis
from darkknowledge.landscapes.losses import BatchLosses
from darkknowledge.landscapes.options import CurvatureOptions, GridOptions
from darkknowledge.landscapes.weights import difference, flatten
from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.options import TargetOptions
from darkknowledge.progress import Stopwatch, logger
from darkknowledge.soft_targets import open_cache
from darkknowledge.targets import objectives as phases
from darkknowledge.training import TeacherTargets

ASCENT = 3
MARGIN = 0.25
SURFACE, MINIBATCHES, DIRECTIONS, VECTORS = range(4)


class Objectives:
    """The objectives of a landscape, with the teachers' caches of some of them.

    Parameters
    ----------
    specs : sequence of mapping
        Of each ``label``, ``targets`` (target options in plain types) and ``caches`` (paths,
        one for each teacher).
    num_pdfs : int
    device : torch.device or str
        Where losses are computed.
    """

    def __init__(
        self,
        specs: Sequence[Mapping[str, Any]],
        num_pdfs: int,
        device: torch.device | str = "cpu",
    ):
        self.specs = specs
        self.device = torch.device(device)
        self.labels = [spec["label"] for spec in specs]
        options = [TargetOptions(**spec["targets"]) for spec in specs]
        self._objectives = [phases(option)[-1] for option in options]
        self._caches = {}
        for spec, option in zip(specs, options, strict=True):
            for path in spec["caches"]:
                if path not in self._caches:
                    self._caches[path] = open_cache(path, option.cache_temperature, num_pdfs)

    def identity(self) -> dict[str, Any]:
        """Return all that decides a loss, in plain types."""
        payload = {path: cache.header["payload_sha256"] for path, cache in self._caches.items()}
        return {
            "objectives": [spec["targets"] for spec in self.specs],
            "caches": [[payload[path] for path in spec["caches"]] for spec in self.specs],
        }

    def losses(self, network: AcousticNetwork, frames: Frames, names: list[str]) -> BatchLosses:
        """Make the losses of a network on a batch of utterances."""
        batch = frames.read(names, network.deltas, network.num_pdfs)
        found: dict[tuple[str, ...], Tensor] = {}
        soft = []
        for spec in self.specs:
            paths = tuple(spec["caches"])
            if paths and paths not in found:
                teachers = TeacherTargets([self._caches[path] for path in paths], batch)
                found[paths] = teachers.dense(torch.arange(len(batch))).to(self.device)
            soft.append(found.get(paths))
        network = network.to(self.device).requires_grad_(False)
        return BatchLosses(network, batch.to(self.device), self._objectives, soft)


def compute_landscape(
    view: str,
    path: str | Path,
    models: Sequence[str | Path],
    epochs: Sequence[str | Path],
    frames: Frames,
    objectives: Sequence[Mapping[str, Any]],
    options: GridOptions,
    state: str | Path,
    threads: int = 1,
    device: torch.device | str = "cpu",
) -> LossGrid:
    """Compute a surface, a line or a path of a landscape and write it.

    Killed at any moment and called again, or called for a finer grid, it keeps the points that
    are there.

    Parameters
    ----------
    view : str
        ``surface-`` and a run, ``line`` or ``path``.
    path : path
        The file written in the end.
    models : sequence of path
        One network for a surface; the two ends for a line; the networks at the end of the paths.
    epochs : sequence of path
        Weights epoch by epoch of each of the models, for a path.
    frames : Frames
    objectives : sequence of mapping
        As `Objectives` takes them.
    options : GridOptions
    state : path
        Folder of the points.
    threads : int
        Processes that share the work on a CPU.
    device : torch.device or str
        Where losses are computed.

    Returns
    -------
    LossGrid

    Raises
    ------
    DataError
        If a file cannot be used, or the networks differ in more than trained weights.
    """
    networks, runs = _networks(models, frames)
    network = networks[0]
    evaluated = Objectives(objectives, network.num_pdfs, device)
    names = frames.draw(options.frames, 1, [options.seed, SURFACE])[0]
    losses = evaluated.losses(network, frames, names)
    origin, paths = losses.weights, {}
    identity = {"view": view.split("-")[0], "models": [file_digest(model) for model in models]}
    shown = dict(identity)
    if view == "line":
        directions = [difference(origin, _weights(networks[1], evaluated.device))]
        axes = [grid_axis(-0.5, 1.5, 2 * options.points - 1)]
    elif view == "path":
        kept = [
            [_moved(weights, evaluated.device) for weights in load_epochs(file)] for file in epochs
        ]
        directions, coordinates, shares = principal_directions(origin, kept)
        paths = dict(zip(runs, coordinates, strict=True))
        axes = [_around(np.concatenate(coordinates)[:, i], options.points) for i in range(2)]
        identity["epochs"] = [file_digest(file) for file in epochs]
        shown["shares"] = shares.tolist()
    else:
        seeds = [[options.seed, DIRECTIONS, number] for number in range(2)]
        directions = [filter_normalised(origin, seed) for seed in seeds]
        axes = [grid_axis(-options.radius, options.radius, options.points)] * 2
        identity["directions"] = shown["directions"] = seeds
    ground = {"torch": torch.__version__, "device": evaluated.device.type}
    data = {"batch": frames.read(names, network.deltas, network.num_pdfs).digest()}
    points = Points(state, {**identity, **evaluated.identity(), **data, **ground})
    loss = evaluate_grid(losses, origin, directions, axes, points, view, threads)
    meta = {
        **shown,
        **data,
        "runs": runs,
        "set": options.set,
        "frames": losses.frames,
        "utterances": names,
    }
    grid = LossGrid(evaluated.labels, axes, loss, losses.floors().numpy(), paths, meta)
    write_grid(path, grid)
    return grid


def _networks(
    models: Sequence[str | Path], frames: Frames
) -> tuple[list[AcousticNetwork], list[str]]:
    """Read networks that differ in their weights alone; return them and the runs' names."""
    loaded = [load_network(model) for model in models]
    for (_, _, meta), model in zip(loaded, models, strict=True):
        frames.check(model, meta.get("tree"))
    first, _, meta = loaded[0]
    for (network, _, other), model in zip(loaded[1:], models[1:], strict=True):
        own, buffers = dict(network.named_buffers()), dict(first.named_buffers())
        if meta["options"] != other["options"] or any(
            not torch.equal(own[name], value) for name, value in buffers.items()
        ):
            raise DataError(
                f"{model}: another network, or of other training data, than {models[0]}; a line "
                "or path needs networks that differ in their trained weights alone"
            )
    return [network for network, _, _ in loaded], [meta["run"] for _, _, meta in loaded]


def _weights(network: AcousticNetwork, device: torch.device) -> dict[str, Tensor]:
    return _moved(dict(network.named_parameters()), device)


def _moved(weights: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: value.detach().to(device) for name, value in weights.items()}


def _around(values: np.ndarray, points: int) -> np.ndarray:
    """Return an axis that holds values with a margin on both sides."""
    margin = MARGIN * (values.max() - values.min()) or 1.0
    return grid_axis(values.min() - margin, values.max() + margin, points)


def compute_curvature(
    path: str | Path,
    model: str | Path,
    frames: Frames,
    objectives: Sequence[Mapping[str, Any]],
    options: CurvatureOptions,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Measure the curvature of a network under several objectives and write it as JSON.

    Minibatches and random vectors are the same for all networks and objectives, so that these
    can be compared minibatch by minibatch.

    Parameters
    ----------
    path : path
        The file written.
    model : path
    frames : Frames
    objectives : sequence of mapping
        As `Objectives` takes them.
    options : CurvatureOptions
    device : torch.device or str
        Where losses are computed.

    Returns
    -------
    dict
        ``run``, ``seed``, ``parameters``, and ``rows``: of each minibatch (``batch``) and
        objective

        - ``loss``, nats per frame and unit of target mass, and ``gradient_norm``,
        - ``eigenvalues``, the largest of the Hessian, and the ``residual`` of the first,
        - ``trace`` with its standard error ``trace_error``,
        - ``gradient_variance`` between utterances, of the gradient of all weights,
        - ``logit_variance`` between frames, of the gradient at the logits: the Var(t) of
          1505.04630,
        - ``sharpness``, the largest rise within ``ball`` times the norm of the weights.
    """
    network, _, meta = load_network(model)
    frames.check(model, meta.get("tree"))
    evaluated = Objectives(objectives, network.num_pdfs, device)
    drawn = frames.draw(options.batch_frames, options.batches, [options.seed, MINIBATCHES])
    rows = []
    watch = Stopwatch(len(drawn) * len(objectives))
    for number, names in enumerate(drawn):
        losses = evaluated.losses(network, frames, names)
        scattered = _utterance_scatter(evaluated, network, frames, names)
        residuals = [scatter(values) for values in losses.residuals()]
        for index, label in enumerate(evaluated.labels):
            rows.append(
                {
                    "batch": number,
                    "objective": label,
                    "gradient_variance": scattered[index],
                    "logit_variance": residuals[index],
                    **_second_order(losses, index, options, number),
                }
            )
            logger.info(
                "%s seed %s, minibatch %d, %s: largest eigenvalue %.4g, trace %.4g, %s",
                meta["run"],
                meta["seed"],
                number + 1,
                label,
                rows[-1]["eigenvalues"][0],
                rows[-1]["trace"],
                watch.advance(1),
            )
    result = {
        "run": meta["run"],
        "seed": meta["seed"],
        "objectives": evaluated.labels,
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "set": options.set,
        "batches": drawn,
        "rows": rows,
    }
    write_json(path, result)
    return result


def _second_order(
    losses: BatchLosses, index: int, options: CurvatureOptions, batch: int
) -> dict[str, Any]:
    """Measure what one objective's Hessian tells on one minibatch."""
    loss, weights = losses.objective(index), losses.weights
    value, slope = gradient(loss, weights)
    product = hessian_product(loss, weights)
    generator = torch.Generator().manual_seed(1000 * options.seed + 10 * batch + VECTORS)
    start = torch.randn(len(slope), generator=generator).to(slope.device)
    values, top, residual = lanczos(product, start, options.eigenvalues, options.steps)
    traces = hutchinson(product, start, options.probes, generator)
    radius = options.ball * flatten(weights.values()).norm().item()
    return {
        "loss": value,
        "gradient_norm": slope.norm().item(),
        "eigenvalues": values.tolist(),
        "residual": residual,
        "trace": traces.mean().item(),
        "trace_error": (traces.std() / len(traces) ** 0.5).item(),
        "sharpness": sharpness(loss, weights, top, radius, ASCENT),
    }


def _utterance_scatter(
    evaluated: Objectives, network: AcousticNetwork, frames: Frames, names: list[str]
) -> list[float]:
    """Measure for each objective how much the mean gradient of an utterance varies."""
    kept: list[list[Tensor]] = [[] for _ in evaluated.labels]
    for name in names:
        losses = evaluated.losses(network, frames, [name])
        for index, gradients in enumerate(kept):
            gradients.append(gradient(losses.objective(index), losses.weights)[1])
    return [scatter(gradients) for gradients in kept]
