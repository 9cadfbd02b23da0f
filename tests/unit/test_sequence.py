"""Sequence training: path sums against enumeration, gradients against finite differences."""

import itertools

import numpy as np
import pytest
import torch

from darkknowledge.errors import DataError
from darkknowledge.lattices.states import make_state_lattice
from darkknowledge.sequence.files import TrainingLattices, write_training_lattices
from darkknowledge.sequence.forward_backward import sum_paths
from darkknowledge.sequence.lattices import LatticeBatch, TrainingLattice, training_lattice
from darkknowledge.sequence.objective import SequenceObjective
from darkknowledge.targets import Objective

PDFS = 5


def random_lattice(seed, frames=4, width=3):
    """Make a lattice with states of each frame, arcs between frames and arcs without frames."""
    rng = np.random.default_rng(seed)
    arcs, states = [], [[0]]
    for _ in range(frames):
        first = states[-1][-1] + 1
        states.append(list(range(first, first + rng.integers(1, width + 1))))
        for target in states[-1]:
            for source in states[-2]:
                if source == states[-2][0] or rng.random() < 0.6:
                    arcs.append((source, target, rng.integers(PDFS)))
            if rng.random() < 0.3:
                arcs.append((states[-2][0], target, rng.integers(PDFS)))  # beside the other
        arcs += [(a, b, -1) for a, b in itertools.pairwise(states[-1]) if rng.random() < 0.7]
    # a state that nothing leaves would be on no path
    leaving = {source for source, _, _ in arcs}
    arcs += [
        (state, layer[-1], rng.integers(PDFS))
        for before, layer in itertools.pairwise(states)
        for state in before
        if state not in leaving
    ]
    source, target, pdf = map(np.array, zip(*arcs, strict=True))
    count = states[-1][-1] + 1
    final = np.full((count, 2), np.inf)
    final[states[-1]] = rng.random((len(states[-1]), 1)) * [1.0, 0.0]
    zeros = np.zeros(len(arcs), np.int64)
    cost = np.stack([rng.random(len(arcs)), rng.random(len(arcs))], 1)
    lattice = make_state_lattice(0, final, source, target, zeros, zeros, pdf, cost)
    return training_lattice(lattice, frames)


def paths(lattice: TrainingLattice):
    """List the arcs of every path."""

    def follow(state, taken):
        if state == lattice.num_states - 1:
            yield taken
        for arc in np.flatnonzero(lattice.source == state):
            yield from follow(lattice.target[arc], [*taken, arc])

    return list(follow(0, []))


@pytest.mark.parametrize("seed", range(8))
def test_lattices_keep_their_frames(seed):
    lattice = random_lattice(seed)
    found = paths(lattice)
    assert 1 < len(found)
    for arcs in found:
        emitting = [arc for arc in arcs if lattice.pdf[arc] >= 0]
        assert lattice.frame[lattice.source[emitting]].tolist() == list(range(4))
        pdfs = lattice.pdf[emitting]
        assert lattice.contains(pdfs)
    spoken = {tuple(lattice.pdf[[a for a in arcs if lattice.pdf[a] >= 0]]) for arcs in found}
    for pdfs in itertools.product(range(PDFS), repeat=4):
        assert lattice.contains(np.array(pdfs)) == (pdfs in spoken)


def test_path_sums_are_those_of_all_paths():
    lattices = [random_lattice(seed, frames) for seed, frames in ((1, 4), (2, 2), (3, 5), (4, 4))]
    batch = LatticeBatch(lattices)
    rng = np.random.default_rng(0)
    weight, gain = rng.normal(size=(2, len(batch.source)))
    found = sum_paths(batch, weight, gain)
    at = 0
    for number, lattice in enumerate(lattices):
        here = slice(at, at + len(lattice.source))
        at = here.stop
        own_weight, own_gain = weight[here], gain[here]
        every = paths(lattice)
        shares = np.array([np.exp(own_weight[arcs].sum()) for arcs in every])
        gains = np.array([own_gain[arcs].sum() for arcs in every])
        total = shares.sum()
        assert found.total[number] == pytest.approx(np.log(total))
        assert found.expected[number] == pytest.approx((shares * gains).sum() / total)
        for arc in range(len(lattice.source)):
            through = np.array([arc in arcs for arcs in every])
            mass = shares[through].sum()
            assert found.posterior[here][arc] == pytest.approx(mass / total)
            mean = (shares * gains)[through].sum() / mass
            expected = mean - (shares * gains).sum() / total
            assert found.excess[here][arc] == pytest.approx(expected)
    assert set(batch.utterance) == set(range(4))


def objective(kind="smbr", hard=0.0, soft=0.0, boost=0.0, silence=(0, 1)):
    offset = torch.linspace(-2, -0.5, PDFS, dtype=torch.float64)
    silent = np.isin(np.arange(PDFS), silence)
    return SequenceObjective(kind, 0.7, offset, silent, Objective("ce", hard, soft), boost)


def by_enumeration(wanted, logits, labels, lattices):
    """Compute the loss path by path, with torch's own gradients."""
    scores = torch.log_softmax(logits, 1) - wanted.offset
    silence = torch.from_numpy(wanted.silence)
    loss, at = 0.0, 0
    for lattice in lattices:
        own = scores[at : at + lattice.frames]
        reference = labels[at : at + lattice.frames]
        at += lattice.frames
        weights, gains = [], []
        for arcs in paths(lattice):
            pdfs = torch.from_numpy(lattice.pdf[[a for a in arcs if lattice.pdf[a] >= 0]]).long()
            same = (pdfs == reference) | (silence[pdfs] & silence[reference])
            acoustic = own[torch.arange(len(pdfs)), pdfs].sum()
            cost = float(lattice.cost[arcs].astype(np.float64).sum())
            weights.append(wanted.acoustic_scale * acoustic - cost)
            gains.append(same.sum().double())
        weights, gains = torch.stack(weights), torch.stack(gains)
        if wanted.kind == "smbr":
            loss = loss + lattice.frames - (torch.softmax(weights, 0) * gains).sum()
        else:
            loss = loss + torch.logsumexp(weights - wanted.boost * gains, 0)
            aligned = own[torch.arange(len(own)), reference].sum()
            loss = loss - wanted.acoustic_scale * aligned
    return loss / wanted.acoustic_scale


def first_path(lattices) -> torch.Tensor:
    """Return the pdfs of one path of each lattice, one after the other."""
    parts = [
        lattice.pdf[[a for a in paths(lattice)[0] if lattice.pdf[a] >= 0]] for lattice in lattices
    ]
    return torch.from_numpy(np.concatenate(parts)).long()


@pytest.mark.parametrize(("kind", "boost"), [("smbr", 0.0), ("mmi", 0.0), ("mmi", 0.3)])
def test_losses_and_gradients_are_those_of_all_paths(kind, boost):
    lattices = [random_lattice(1), random_lattice(2, 3)]
    labels = first_path(lattices)  # there, so that no frame is dropped
    torch.manual_seed(0)
    logits = torch.randn(7, PDFS, dtype=torch.float64, requires_grad=True)
    wanted = objective(kind, boost=boost)
    results = []
    for loss in (
        wanted.loss(logits, labels, None, lattices),
        by_enumeration(wanted, logits, labels, lattices),
    ):
        results.append((loss, *torch.autograd.grad(loss, logits)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert (wanted.tally.frames, wanted.tally.lacking) == (7, 0)


@pytest.mark.parametrize("kind", ["smbr", "mmi"])
def test_gradient_against_finite_differences(kind):
    lattices = [random_lattice(1), random_lattice(2)]
    labels = first_path(lattices)
    labels[[1, 6]] = (labels[[1, 6]] + 1) % PDFS
    torch.manual_seed(1)
    logits = torch.randn(8, PDFS, dtype=torch.float64, requires_grad=True)
    wanted = objective(kind, hard=0.2)
    there = [
        bool(((lattice.pdf == label) & (lattice.frame[lattice.source] == frame)).any())
        for lattice, part in zip(lattices, labels.view(2, 4).tolist(), strict=True)
        for frame, label in enumerate(part)
    ]
    (gradient,) = torch.autograd.grad(wanted.loss(logits, labels, None, lattices), logits)
    for frame, pdf in itertools.product(range(8), range(PDFS)):
        step = torch.zeros_like(logits)
        step[frame, pdf] = 1e-5
        with torch.no_grad():
            ahead = wanted.loss(logits + step, labels, None, lattices)
            behind = wanted.loss(logits - step, labels, None, lattices)
        slope = (ahead - behind).item() / 2e-5
        if kind == "mmi" and not there[frame]:
            slope = 0.2 * (
                torch.softmax(logits[frame], 0)[pdf].item() - (pdf == labels[frame].item())
            )
        assert gradient[frame, pdf].item() == pytest.approx(slope, abs=1e-6)
    assert not all(there) and wanted.tally.lacking % there.count(False) == 0


def test_expected_accuracy_rises_along_the_gradient():
    lattices = [random_lattice(1), random_lattice(2)]
    labels = first_path(lattices)
    logits = torch.zeros(8, PDFS, dtype=torch.float64)
    wanted, losses = objective(), []
    for _ in range(20):
        logits.requires_grad_()
        loss = wanted.loss(logits, labels, None, lattices)
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = logits.detach() - gradient
        losses.append(loss.item())
    assert all(after < before for before, after in itertools.pairwise(losses))
    assert wanted.tally.expected == pytest.approx(20 * 8 - wanted.acoustic_scale * sum(losses))


def test_a_path_alone_leaves_nothing_to_learn():
    lattice = TrainingLattice(
        *(np.array(column, np.int32) for column in ([0, 1], [1, 2], [3, -1])),
        np.array([0.5, 0.1], np.float32),
        np.array([0, 1, 1], np.int32),
        np.array([0, 1, 2], np.int32),
        1,
    )
    logits = torch.zeros(1, PDFS, dtype=torch.float64, requires_grad=True)
    wanted = objective()
    for label, missed in ((3, 0.0), (2, 1.0)):
        found = wanted.loss(logits, torch.tensor([label]), None, [lattice])
        assert found.item() == pytest.approx(missed / wanted.acoustic_scale)
        (gradient,) = torch.autograd.grad(found, logits)
        assert not gradient.any()


SEARCH = {"acoustic_scale": 0.7, "prior_scale": 1.0, "num_pdfs": PDFS, "silence": [0, 1]}


def test_files_of_lattices(tmp_path):
    lattices = {f"u{seed}": random_lattice(seed, 2 + seed) for seed in (3, 1, 2)}
    path = tmp_path / "lattices.npz"
    assert write_training_lattices(path, lattices.items(), SEARCH) == 3
    found = TrainingLattices(path)
    assert found.search == SEARCH and found.lengths == {"u1": 3, "u2": 4, "u3": 5}
    assert "u2" in found and "u4" not in found
    for utterance, lattice in zip(("u3", "u2"), found.take(["u3", "u2"]), strict=True):
        for name, value in vars(lattices[utterance]).items():
            np.testing.assert_array_equal(getattr(lattice, name), value)
    before = path.read_bytes()
    write_training_lattices(path, lattices.items(), SEARCH)
    assert path.read_bytes() == before
    with pytest.raises(DataError, match="no lattice of u4"):
        found.take(["u4"])
    with pytest.raises(DataError, match="expected at least one"):
        write_training_lattices(tmp_path / "none.npz", [], SEARCH)
    with pytest.raises(DataError, match="u1 is written twice"):
        write_training_lattices(path, [("u1", lattices["u1"])] * 2, SEARCH)
    assert path.read_bytes() == before


def test_damaged_files_of_lattices(tmp_path):
    path = tmp_path / "lattices.npz"
    with pytest.raises(DataError, match="no such file"):
        TrainingLattices(path)
    write_training_lattices(path, [("u", random_lattice(1))], SEARCH)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 60, replace=False):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        with pytest.raises(DataError, match="lattices.npz: not a complete archive"):
            TrainingLattices(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a complete archive of lattices"):
        TrainingLattices(path)
    write_training_lattices(path, [("u", random_lattice(1))], {**SEARCH, "num_pdfs": 2})
    with pytest.raises(DataError, match="its arcs make no lattice"):
        TrainingLattices(path).take(["u"])
