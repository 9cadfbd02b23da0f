"""Loss landscapes: exact objectives, known curvatures, grids that are refined."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from darkknowledge.batches import gather_frames
from darkknowledge.checkpoints import load_epochs, load_network, save_epochs, save_model
from darkknowledge.errors import DataError
from darkknowledge.failures import mark
from darkknowledge.landscapes import grid as grids
from darkknowledge.landscapes.batch import draw_batches
from darkknowledge.landscapes.compute import compute_curvature, compute_landscape
from darkknowledge.landscapes.curvature import (
    gradient,
    hessian_product,
    hutchinson,
    lanczos,
    scatter,
    sharpness,
)
from darkknowledge.landscapes.directions import (
    filter_normalised,
    principal_directions,
)
from darkknowledge.landscapes.figure import draw_curvature, draw_grids
from darkknowledge.landscapes.files import LossGrid, read_grid, write_grid
from darkknowledge.landscapes.grid import Points, evaluate_grid, grid_axis
from darkknowledge.landscapes.losses import BatchLosses
from darkknowledge.landscapes.numbers import curvature_table, interval, read_measured
from darkknowledge.landscapes.options import CurvatureOptions, GridOptions
from darkknowledge.landscapes.weights import flatten, move, shaped
from darkknowledge.networks.recurrence import RecurrentLayer, step_by_step
from darkknowledge.networks.registry import build_network
from darkknowledge.soft_targets import write_soft_targets
from darkknowledge.targets import Objective
from darkknowledge.training import evaluate
from darkknowledge.trees import check_tree

PDFS = 5
NETWORKS = {
    "dnn": {"kind": "dnn", "layers": 2, "units": 6, "splice": 1, "lda": None},
    "lstm": {"kind": "lstm", "layers": 2, "units": 5, "projection": 3, "delay": 2},
    "blstm": {"kind": "blstm", "units": 3, "splice": 1, "below": [4], "cell_clip": 0.3},
    "highway": {"kind": "highway", "layers": 3, "units": 5, "splice": 1},
}
OBJECTIVES = [
    Objective("hard", hard=1.0, soft=0.0),
    Objective("soft", hard=0.0, soft=1.0),
    Objective("reg", hard=0.5, soft=4.0),
    Objective("warm", hard=0.5, soft=2.0, student_temperature=2.0),
]


@pytest.fixture(scope="module")
def batch():
    return made({"a": 9, "b": 70, "c": 4, "d": 12})  # one longer than a chunk of scoring


@pytest.fixture(scope="module")
def short():
    return made({"a": 6, "b": 5})


def made(lengths):
    rng = np.random.default_rng(1)
    features = {u: rng.normal(size=(n, 4)).astype(np.float32) for u, n in lengths.items()}
    labels = {u: rng.integers(0, PDFS, n) for u, n in lengths.items()}
    return gather_frames("batch", features, labels, PDFS)


class Soft:
    """Soft targets of a batch."""

    def __init__(self, count):
        generator = torch.Generator().manual_seed(3)
        self.targets = torch.softmax(2 * torch.randn(count, PDFS, generator=generator), 1)
        self.entropy = torch.special.entr(self.targets).sum(1).mean().item()

    def dense(self, frames):
        return self.targets[frames]


def losses_of(kind, batch, objectives=OBJECTIVES, dtype=torch.float32):
    network = build_network(NETWORKS[kind], 4, PDFS, seed=1).to(dtype).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(2)
    network.requires_grad_(False)
    soft = Soft(len(batch)).targets.to(dtype)
    parts = [soft if objective.soft else None for objective in objectives]
    data = batch
    if dtype == torch.float64:
        data = type(batch)(
            batch.name, batch.utterances, batch.lengths, batch.features.double(), batch.labels,
            batch.first, batch.last,
        )  # fmt: skip
    return BatchLosses(network, data, objectives, parts)


@pytest.mark.parametrize("clip", [None, 0.2])
@pytest.mark.parametrize("projection", [None, 3])
def test_the_plain_recurrence_is_the_fast_one(projection, clip):
    layer = RecurrentLayer(4, 6, projection, clip)
    layer.initialise(0.7, 1.0, torch.Generator().manual_seed(1))
    layer.double()
    inputs = torch.randn(7, 3, 4, dtype=torch.float64, requires_grad=True)

    def run():
        outputs, (_, cells) = layer(inputs, layer.initial_state(3))
        leaves = [inputs, *layer.parameters()]
        return [outputs, cells, *torch.autograd.grad(outputs.square().sum(), leaves)]

    fast = run()
    with step_by_step():
        plain = run()
    for one, other in zip(fast, plain, strict=True):
        torch.testing.assert_close(one, other)
    assert plain[1].requires_grad and not fast[1].requires_grad


@pytest.mark.parametrize("kind", NETWORKS)
def test_losses_are_those_of_training(kind, batch):
    losses = losses_of(kind, batch)
    teacher = Soft(len(batch))
    found = losses.at(losses.weights)
    for objective, value in zip(OBJECTIVES, found, strict=True):
        score = evaluate(losses.network, batch, objective, teacher)
        expected = score.loss / score.frames / objective.mass
        assert value.item() == pytest.approx(expected, rel=1e-5), objective.name
    with step_by_step():
        torch.testing.assert_close(losses.at(losses.weights), found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", NETWORKS)
def test_points_mapped_over_are_points_one_by_one(kind, batch):
    losses = losses_of(kind, batch)
    directions = [filter_normalised(losses.weights, [1, number]) for number in range(2)]
    points = torch.tensor([[0.0, 0.0], [0.3, -0.2], [-0.5, 0.1]])
    one_by_one = losses.at_points(losses.weights, directions, points)
    with torch.no_grad(), step_by_step():
        together = torch.func.vmap(lambda p: losses.at(move(losses.weights, directions, p)))(points)
    torch.testing.assert_close(one_by_one, together, rtol=1e-5, atol=1e-6)
    assert one_by_one.shape == (3, len(OBJECTIVES)) and one_by_one.std(0).min() > 1e-3


def test_floors_are_the_least_losses(batch):
    losses = losses_of("dnn", batch)
    hard, soft, mixed, warm = losses.floors().tolist()
    teacher = Soft(len(batch))
    one_hot = torch.nn.functional.one_hot(batch.labels, PDFS)
    targets = (4 * teacher.targets + 0.5 * one_hot) / 4.5
    assert hard == 0 and soft == pytest.approx(teacher.entropy, rel=1e-6)
    assert mixed == pytest.approx(torch.special.entr(targets).sum(1).mean().item(), rel=1e-6)
    assert warm == pytest.approx(2 / 2.5 * teacher.entropy, rel=1e-6)


def test_residuals_are_the_gradients_at_the_logits(batch):
    losses = losses_of("dnn", batch)
    logits = dict(zip(batch.utterances, losses.network.utterance_logits(
        [batch.features[s : s + n] for s, n in zip(batch.starts, batch.lengths, strict=True)]
    ), strict=True))  # fmt: skip
    order = np.argsort(-batch.lengths, kind="stable")
    posterior = torch.cat([torch.softmax(logits[batch.utterances[u]], 1) for u in order])
    label = torch.cat([batch.labels[batch.starts[u] :][: batch.lengths[u]] for u in order])
    expected = posterior - torch.nn.functional.one_hot(label, PDFS)
    torch.testing.assert_close(losses.residuals()[0], expected)


@pytest.mark.parametrize("kind", NETWORKS)
def test_hessian_products_are_differences_of_gradients(kind, batch):
    losses = losses_of(kind, batch, dtype=torch.float64)
    for number, objective in enumerate(OBJECTIVES):
        loss, weights = losses.objective(number), losses.weights
        flat = flatten(weights.values())
        vector = torch.randn(len(flat), generator=torch.Generator().manual_seed(5)).double()
        step = 1e-5
        ahead, behind = (
            gradient(loss, shaped(flat + sign * step * vector, weights))[1] for sign in (1, -1)
        )
        found = hessian_product(loss, weights)(vector)
        torch.testing.assert_close(
            found, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-6, msg=objective.name
        )


@pytest.mark.parametrize("kind", ["dnn", "lstm"])
def test_the_spectrum_of_a_small_network_is_that_of_its_whole_hessian(kind, short):
    losses = losses_of(kind, short, dtype=torch.float64)
    loss, weights = losses.objective(3), losses.weights
    flat = flatten(weights.values())
    value, _ = gradient(loss, weights)
    assert value == pytest.approx(losses.at(weights)[3].item())
    matrix = torch.autograd.functional.hessian(
        lambda v: loss(shaped(v, weights)), flat, vectorize=True
    )
    product, generator = hessian_product(loss, weights), torch.Generator().manual_seed(5)
    vector = torch.randn(len(flat), generator=generator).double()
    torch.testing.assert_close(product(vector), matrix @ vector)
    exact = torch.linalg.eigvalsh(matrix)
    values, top, residual = lanczos(product, vector, 3, 80, tolerance=1e-4)
    torch.testing.assert_close(values, exact.flip(0)[:3], rtol=1e-3, atol=1e-6)
    assert residual < 1e-4
    error = (matrix @ top - values[0] * top).norm() / values[0]
    assert error.item() == pytest.approx(residual, rel=1e-3, abs=1e-9)
    traces = hutchinson(product, flat, 100, generator)
    error = 4 * traces.std().item() / math.sqrt(len(traces))
    assert traces.mean().item() == pytest.approx(matrix.trace().item(), abs=error)


@pytest.fixture
def quadratic():
    random = np.random.default_rng(3)
    turn = np.linalg.qr(random.normal(size=(12, 12)))[0]
    values = np.array([9.0, 4, 2, 1, 1, 0.5, 0.2, 0.1, 0, 0, -0.5, -1])
    matrix = torch.from_numpy(turn @ np.diag(values) @ turn.T)
    weights = {"w": torch.zeros(3, 2, dtype=torch.float64), "b": torch.zeros(6).double()}

    def loss(at):
        flat = flatten(at.values())
        return 0.5 * flat @ matrix @ flat + 2.5

    return loss, weights, matrix, torch.from_numpy(turn)


def test_curvature_of_a_quadratic(quadratic):
    loss, weights, matrix, turn = quadratic
    product = hessian_product(loss, weights)
    torch.testing.assert_close(product(turn[:, 1]), 4 * turn[:, 1])
    start = torch.ones(12, dtype=torch.float64) + torch.arange(12)
    values, top, residual = lanczos(product, start, 4, 12, tolerance=0)
    torch.testing.assert_close(values, torch.tensor([9.0, 4, 2, 1]).double())
    assert abs(top @ turn[:, 0]).item() == pytest.approx(1) and residual < 1e-8
    estimates = hutchinson(product, start, 4000, torch.Generator().manual_seed(1))
    variance = 2 * (matrix.square().sum() - matrix.diag().square().sum()).item()
    assert estimates.mean().item() == pytest.approx(16.3, abs=4 * math.sqrt(variance / 4000))
    assert estimates.var().item() == pytest.approx(variance, rel=0.15)


def test_hutchinson_knows_a_diagonal_at_once():
    diagonal = torch.tensor([3.0, -1.0, 0.5])
    found = hutchinson(lambda v: diagonal * v, diagonal, 3, torch.Generator().manual_seed(1))
    assert found.tolist() == [2.5] * 3


def test_lanczos_ends_where_the_matrix_does():
    diagonal = torch.tensor([5.0, 5.0, 2.0, 2.0], dtype=torch.float64)
    start = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    values, _, residual = lanczos(lambda v: diagonal * v, start, 3, 20)
    torch.testing.assert_close(values, torch.tensor([5.0, 2.0]).double())
    assert residual < 1e-6


def test_sharpness_of_a_quadratic(quadratic):
    loss, weights, _, turn = quadratic
    rise = sharpness(loss, weights, turn[:, 0], radius=0.3, steps=3)
    assert rise == pytest.approx(0.5 * 9 * 0.3**2)
    # from a direction that is not the best the ascent still comes near
    rise = sharpness(loss, weights, turn[:, 0] + 3 * turn[:, 2], radius=0.3, steps=12)
    assert rise == pytest.approx(0.5 * 9 * 0.3**2, rel=1e-6)

    def tilted(at):
        return loss(at) + 7 * (flatten(at.values()) @ turn[:, 8])

    assert sharpness(tilted, weights, turn[:, 8], 0.1, 3) == pytest.approx(0.7)


def test_scatter_is_the_trace_of_the_covariance():
    rows = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    assert scatter(rows) == pytest.approx(np.trace(np.cov(rows.numpy().T)), rel=1e-5)
    assert math.isnan(scatter(rows[:1]))


@pytest.mark.parametrize("kind", NETWORKS)
def test_directions_have_the_norms_of_the_filters(kind, batch):
    weights = losses_of(kind, batch).weights
    direction = filter_normalised(weights, [1, 2])
    for name, weight in weights.items():
        if weight.dim() == 2:
            torch.testing.assert_close(direction[name].norm(dim=1), weight.norm(dim=1))
        else:
            assert not direction[name].any()
    again, other = filter_normalised(weights, [1, 2]), filter_normalised(weights, [1, 3])
    name = next(name for name, weight in weights.items() if weight.dim() == 2)
    assert torch.equal(direction[name], again[name])
    assert not torch.allclose(direction[name], other[name])
    doubled = filter_normalised({n: 2 * w for n, w in weights.items()}, [1, 2])
    torch.testing.assert_close(doubled[name], 2 * direction[name])  # common but for the scale


def test_gates_of_units_are_filters():
    weights = {"w_input": torch.arange(1.0, 9.0).view(8, 1).repeat(1, 3)}  # 4 gates of 2 units
    direction = filter_normalised(weights, [1])["w_input"]
    torch.testing.assert_close(direction.norm(dim=1), torch.arange(1.0, 9.0) * math.sqrt(3))


def test_principal_directions_of_a_plane():
    random = np.random.default_rng(2)
    basis = np.linalg.qr(random.normal(size=(10, 2)))[0].T.astype(np.float32)
    origin = {"w": torch.ones(2, 3), "b": torch.zeros(4)}
    flat = flatten(origin.values())
    way = np.array([[5.0, 1], [3, -1], [1, 0.4], [0, 0]], dtype=np.float32)
    paths = [[shaped(flat + torch.from_numpy(step @ basis), origin) for step in way]]
    directions, coordinates, shares = principal_directions(origin, paths)
    assert shares.sum() == pytest.approx(1) and shares[0] > shares[1]
    for point, weights in zip(coordinates[0], paths[0], strict=True):
        back = move(origin, directions, torch.from_numpy(point).float())
        torch.testing.assert_close(flatten(back.values()), flatten(weights.values()))
    assert (coordinates[0][0] >= 0).all()
    one, two = (flatten(direction.values()) for direction in directions)
    assert one.norm().item() == pytest.approx(1) and abs((one @ two).item()) < 1e-6


def test_batches_have_no_utterance_in_common():
    lengths = {f"u{number:02d}": 10 + number for number in range(20)}
    drawn = draw_batches(lengths, 60, 4, [1, 0])
    names = [name for one in drawn for name in one]
    assert len(set(names)) == len(names)
    for one in drawn:
        total = sum(lengths[name] for name in one)
        assert total >= 60 > total - lengths[one[-1]]
    assert drawn == draw_batches(dict(reversed(lengths.items())), 60, 4, [1, 0])
    assert drawn[:2] == draw_batches(lengths, 60, 2, [1, 0])
    assert drawn != draw_batches(lengths, 60, 4, [2, 0])
    assert sorted(draw_batches(lengths, 10**6, 1, [1])[0]) == sorted(lengths)
    with pytest.raises(DataError, match="4 minibatches of 200 frames .* the 390 frames"):
        draw_batches(lengths, 200, 4, [1])


def test_a_finer_grid_has_the_points_of_the_coarser():
    for low, high in ((-1, 1), (-0.3, 0.7)):
        coarse, fine = grid_axis(low, high, 7), grid_axis(low, high, 13)
        np.testing.assert_allclose(fine[::2], coarse, atol=1e-15)
        assert (coarse[0], coarse[-1]) == pytest.approx((low, high), abs=1e-15)
    assert 0 in grid_axis(-0.7, 0.7, 51)


@pytest.fixture
def counted(batch, monkeypatch):
    losses = losses_of("dnn", batch)
    directions = [filter_normalised(losses.weights, [1, number]) for number in range(2)]
    seen = []
    whole = BatchLosses.at

    def counting(self, weights):
        seen.append(1)
        return whole(self, weights)

    monkeypatch.setattr(BatchLosses, "at", counting)

    def fill(folder, points, threads=1, identity="x"):
        seen.clear()
        axes = [grid_axis(-1, 1, points)] * 2
        store = Points(folder, {"name": identity})
        found = evaluate_grid(losses, losses.weights, directions, axes, store, "toy", threads)
        return found, len(seen)

    return fill


def test_a_finer_grid_keeps_what_is_there(tmp_path, counted):
    coarse, computed = counted(tmp_path / "a", 5)
    assert computed == 25 and coarse.shape == (len(OBJECTIVES), 5, 5)
    again, computed = counted(tmp_path / "a", 5)
    assert computed == 0
    np.testing.assert_array_equal(again, coarse)
    fine, computed = counted(tmp_path / "a", 9)
    assert computed == 81 - 25
    np.testing.assert_array_equal(fine[:, ::2, ::2], coarse)
    fresh, _ = counted(tmp_path / "b", 9)
    np.testing.assert_array_equal(fine, fresh)
    _, computed = counted(tmp_path / "a", 5, identity="y")
    assert computed == 25
    shared, _ = counted(tmp_path / "c", 9, threads=2)
    np.testing.assert_array_equal(shared, fresh)


def test_points_survive_a_kill_and_damage(tmp_path, counted, monkeypatch):
    monkeypatch.setattr(grids, "SAVE_SECONDS", 0)
    saves = []
    save = Points.save

    def dying(self):
        save(self)
        saves.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Points, "save", dying)
    with pytest.raises(KeyboardInterrupt):
        counted(tmp_path, 5)
    monkeypatch.setattr(Points, "save", save)
    found, computed = counted(tmp_path, 5)
    assert computed == 25 - grids.POINTS_OF_A_TURN
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    again, computed = counted(tmp_path, 5)
    assert computed == 25
    np.testing.assert_array_equal(again, found)


def test_files_of_grids(tmp_path):
    grid = LossGrid(
        ["hard", "soft, T = 1"],
        [np.arange(3.0), np.arange(2.0)],
        np.arange(12.0).reshape(2, 3, 2),
        np.array([0.0, 0.5]),
        {"rnn-0": np.ones((4, 2))},
        {"runs": ["rnn-0"]},
    )
    for name in "ab":
        write_grid(tmp_path / f"{name}.npz", grid)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = read_grid(tmp_path / "a.npz")
    for name in ("objectives", "meta"):
        assert getattr(found, name) == getattr(grid, name)
    np.testing.assert_array_equal(found.loss, grid.loss)
    np.testing.assert_array_equal(found.axes[1], grid.axes[1])
    np.testing.assert_array_equal(found.paths["rnn-0"], grid.paths["rnn-0"])
    (tmp_path / "a.npz").write_bytes(b"no")
    with pytest.raises(DataError, match="a.npz: not a grid of losses.*delete it"):
        read_grid(tmp_path / "a.npz")
    with pytest.raises(DataError, match="no such file"):
        read_grid(tmp_path / "c.npz")


def test_intervals():
    assert interval(np.array([[2.0]]))[0] == 2 and math.isnan(interval(np.array([[2.0]]))[1])
    mean, low, high = interval(np.array([[1.0, 2.0, 3.0]]))  # one seed: minibatches
    half = stats.t.ppf(0.975, 2) / math.sqrt(3)
    assert (mean, low, high) == pytest.approx((2, 2 - half, 2 + half))
    mean, low, high = interval(np.array([[1.0, 3.0], [4.0, 4.0]]))  # two seeds: their means
    half = stats.t.ppf(0.975, 1) * math.sqrt(2) / math.sqrt(2)
    assert (mean, low, high) == pytest.approx((3, 3 - half, 3 + half))


def measured(run, seed, factor):
    rows = [
        {
            "batch": batch,
            "objective": objective,
            "eigenvalues": [factor * scale * (1 + batch + seed), 0.1],
            "trace": factor * scale * 5.0,
            "gradient_variance": 1.0,
            "logit_variance": 1.0,
            "sharpness": 0.0,
        }
        for batch in range(2)
        for objective, scale in (("hard", 1.0), ("soft, T = 1", 0.5))
    ]
    return {"run": run, "seed": seed, "objectives": ["hard", "soft, T = 1"], "rows": rows}


def test_numbers_are_compared_seed_by_seed(tmp_path):
    results = [measured(run, seed, f) for run, f in (("a", 2.0), ("b", 3.0)) for seed in (1, 2)]
    table = curvature_table(results, {"a": "A", "b": "B"})
    rows = table.set_index(["run", "objective", "measure"])
    row = rows.loc["b", "soft, T = 1", "largest_eigenvalue"]
    assert row["mean"] == pytest.approx(3 * 0.5 * 3) and row["model"] == "B"
    assert list(row[["ratio", "ratio_low", "ratio_high"]]) == pytest.approx([0.5] * 3)
    assert row["to_first"] == pytest.approx(3 * 0.5 / 2)
    assert math.isnan(rows.loc["a", "soft, T = 1", "sharpness"]["ratio"])
    assert curvature_table([], {}).empty


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two networks, their cache, and the files of a batch."""
    folder = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(4)
    for seed in (1, 2):
        network = build_network(NETWORKS["lstm"], 4, PDFS, seed)
        meta = {"run": f"run{seed}", "seed": 1}
        save_model(folder / f"{seed}.pt", network, NETWORKS["lstm"], torch.zeros(PDFS), meta)
    ways = [dict(build_network(NETWORKS["lstm"], 4, PDFS, s).named_parameters()) for s in (3, 4, 1)]
    save_epochs(folder / "epochs.pt", [{n: v.detach() for n, v in w.items()} for w in ways])
    lengths = {f"u{number}": 20 + number for number in range(12)}
    features = {u: rng.normal(size=(n, 4)).astype(np.float32) for u, n in lengths.items()}
    labels = {u: rng.integers(0, PDFS, n) for u, n in lengths.items()}
    logits = [(u, 2 * rng.normal(size=(n, PDFS)).astype(np.float32)) for u, n in lengths.items()]
    write_soft_targets(folder / "T2.soft", logits, 2.0, {"run": "dnn", "seed": 1})

    class Made:
        def check(self, model, tree):
            check_tree(model, tree, "pdf.scp", "ours")

        def draw(self, frames, count, seed):
            return draw_batches(lengths, frames, count, seed)

        def read(self, utterances, deltas, num_pdfs):
            chosen = [{u: part[u] for u in utterances} for part in (features, labels)]
            return gather_frames("batch", *chosen, num_pdfs)

    return folder, Made()


SPECS = [{"label": "hard", "targets": {}, "caches": []}]


def specs(folder):
    soft = {"targets": "soft", "temperature": 2.0}
    return [*SPECS, {"label": "soft, T = 2", "targets": soft, "caches": [f"{folder}/T2.soft"]}]


def view(trained, out, name, **options):
    folder, frames = trained
    models = [folder / "1.pt"] if name.startswith("surface") else [folder / "1.pt", folder / "2.pt"]
    models = models[:1] if name == "path" else models
    epochs = [folder / "epochs.pt"] if name == "path" else []
    return compute_landscape(
        name, out / f"{name}.npz", models, epochs, frames, specs(folder),
        GridOptions(**{"frames": 100, "points": 5, **options}), out / "points",
    )  # fmt: skip


def test_views_of_a_landscape(tmp_path, trained):
    folder, frames = trained
    surface = view(trained, tmp_path, "surface-run1")
    assert surface.loss.shape == (2, 5, 5) and surface.meta["frames"] >= 100
    first = (tmp_path / "surface-run1.npz").read_bytes()
    view(trained, tmp_path, "surface-run1")
    assert (tmp_path / "surface-run1.npz").read_bytes() == first
    (tmp_path / "fresh").mkdir()
    view(trained, tmp_path / "fresh", "surface-run1")
    assert (tmp_path / "fresh" / "surface-run1.npz").read_bytes() == first
    line = view(trained, tmp_path, "line")
    assert line.loss.shape == (2, 9)
    start, end = np.flatnonzero(np.isin(line.axes[0], (0, 1)))
    np.testing.assert_allclose(line.loss[:, start], surface.loss[:, 2, 2], rtol=1e-6)
    other, _, _ = load_network(folder / "2.pt")
    batch = frames.read(line.meta["utterances"], 0, PDFS)
    score = evaluate(other, batch, OBJECTIVES[0])
    assert line.loss[0, end] == pytest.approx(score.mean_loss, rel=1e-5)
    path = view(trained, tmp_path, "path")
    (way,) = path.paths.values()
    assert way.shape == (3, 2)
    np.testing.assert_allclose(way[-1], 0, atol=1e-5)  # ends in the network itself
    assert path.axes[0][0] < way[:, 0].min() and way[:, 0].max() < path.axes[0][-1]
    assert len(list((tmp_path / "points").iterdir())) == 3
    mark([tmp_path / "gone.npz"], "run3 seed 1: the loss is not a number")
    labels = {"run1": "one", "run2": "two"}
    for picture, files in {
        "surfaces": ["surface-run1", "gone"], "line": ["line"], "path": ["path"], "none": ["gone"]
    }.items():  # fmt: skip
        stem = tmp_path / "figures" / picture
        draw_grids(picture, stem, [tmp_path / f"{name}.npz" for name in files], labels)
        for kind in ("svg", "pdf", "png"):
            assert stem.with_suffix(f".{kind}").stat().st_size > 1000


def test_networks_of_a_line_must_be_alike(tmp_path, trained):
    folder, frames = trained
    options = {**NETWORKS["lstm"], "units": 6}
    network = build_network(options, 4, PDFS, 1)
    meta = {"run": "wide", "seed": 1}
    save_model(tmp_path / "wide.pt", network, options, torch.zeros(PDFS), meta)
    models = [folder / "1.pt", tmp_path / "wide.pt"]
    with pytest.raises(DataError, match="wide.pt: another network"):
        compute_landscape(
            "line", tmp_path / "x.npz", models, [], frames, SPECS, GridOptions(), tmp_path
        )


def test_networks_of_another_tree_are_refused(tmp_path, trained):
    _, frames = trained
    network = build_network(NETWORKS["lstm"], 4, PDFS, 1)
    meta = {"run": "x", "seed": 1, "tree": "another"}
    save_model(tmp_path / "x.pt", network, NETWORKS["lstm"], torch.zeros(PDFS), meta)
    one = tmp_path / "x.pt"
    with pytest.raises(DataError, match="x.pt: its pdfs are of the tree 'another', those of pdf"):
        compute_landscape(
            "line", tmp_path / "x.npz", [one, one], [], frames, SPECS, GridOptions(), tmp_path
        )
    with pytest.raises(DataError, match="x.pt: its pdfs are of the tree 'another', those of pdf"):
        compute_curvature(tmp_path / "x.json", one, frames, SPECS, CurvatureOptions())


def test_curvature_of_a_network(tmp_path, trained):
    folder, frames = trained
    options = CurvatureOptions(batches=2, batch_frames=30, steps=4, probes=2)
    files = []
    for number in (1, 2):
        files.append(tmp_path / f"curvature-run{number}" / "seed1.json")
        compute_curvature(files[-1], folder / f"{number}.pt", frames, specs(folder), options)
    compute_curvature(tmp_path / "again.json", folder / "1.pt", frames, specs(folder), options)
    assert (tmp_path / "again.json").read_bytes() == files[0].read_bytes()
    found, _ = read_measured(files)
    assert [len(result["rows"]) for result in found] == [4, 4]
    row = found[0]["rows"][0]
    batch = frames.read(found[0]["batches"][0], 0, PDFS)
    network, _, _ = load_network(folder / "1.pt")
    losses = BatchLosses(network.requires_grad_(False), batch, [OBJECTIVES[0]], [None])
    value, slope = gradient(losses.objective(0), losses.weights)
    assert row["loss"] == pytest.approx(value) and row["sharpness"] > 0
    assert row["gradient_norm"] == pytest.approx(slope.norm().item(), rel=1e-4)
    assert row["eigenvalues"] == sorted(row["eigenvalues"], reverse=True)
    mark([tmp_path / "gone" / "seed2.json"], "diverged")
    found, absent = read_measured([*files, tmp_path / "gone" / "seed2.json"])
    assert absent == ["gone seed2"]
    table = curvature_table(found, {"run1": "one", "run2": "two"})
    assert len(table) == 2 * 2 * 5
    for name, rows in (("some", table), ("none", table.iloc[:0])):
        draw_curvature(tmp_path / name, pd.DataFrame(rows), absent)
        assert (tmp_path / f"{name}.svg").stat().st_size > 1000


def test_epochs_round_trip(tmp_path):
    epochs = [{"w": torch.arange(3.0)}, {"w": torch.ones(3)}]
    save_epochs(tmp_path / "epochs.pt", epochs)
    found = load_epochs(tmp_path / "epochs.pt")
    assert [weights["w"].tolist() for weights in found] == [[0, 1, 2], [1, 1, 1]]
    (tmp_path / "epochs.pt").write_bytes(b"no")
    with pytest.raises(DataError, match="not the weights of a training"):
        load_epochs(tmp_path / "epochs.pt")
    mark([tmp_path / "epochs.pt"], "the loss is not a number")
    with pytest.raises(DataError, match="there are no weights: the loss"):
        load_epochs(tmp_path / "epochs.pt")
