"""State tying: questions learnt from the data and greedy splitting by likelihood.

The criterion is the log-likelihood of the frames under one diagonal Gaussian per leaf
(Young, Odell and Woodland 1994); the procedure is that of Kaldi's cluster-phones and build-tree.
"""

import heapq
import math

import numpy as np
import torch

from darkknowledge.errors import TrainingError
from darkknowledge.hmm.model import Mixtures
from darkknowledge.hmm.options import TreeOptions
from darkknowledge.hmm.phones import POSITIONS, PhoneTable
from darkknowledge.hmm.tree import STATE_KEY, Tree, TreeBuilder

_LOG_2PI = math.log(2 * math.pi)


def gaussian_objective(sums: torch.Tensor, floor: float) -> torch.Tensor:
    """Log-likelihood of frames under their own Gaussian (Kaldi's GaussClusterable::Objf).

    Parameters
    ----------
    sums : float64 (..., 1 + 2 D)
        Frames, sum of x, sum of x².
    floor : float
        Smallest variance.

    Returns
    -------
    float64 (...)
        0 where there are no frames.
    """
    size = (sums.shape[-1] - 1) // 2
    count = sums[..., 0]
    safe = count.clamp(min=1e-10).unsqueeze(-1)
    mean = sums[..., 1 : 1 + size] / safe
    variance = sums[..., 1 + size :] / safe - mean**2
    floored = variance.clamp(min=floor)
    objective = -0.5 * count * (_LOG_2PI + floored.log() + variance / floored).sum(-1)
    return torch.where(count > 0.5, objective, torch.zeros_like(objective))


def cluster_phones(
    sums: torch.Tensor, floor: float, generator: np.random.Generator, tries: int = 10
) -> list[list[int]]:
    """Divide points again and again into two by likelihood; every part is a cluster.

    Parameters
    ----------
    sums : float64 (S, 1 + 2 D)
        Statistics of the points.
    floor : float
    generator : numpy.random.Generator
        Chooses the seeds of the bisections.
    tries : int
        Bisections tried, of which the best is kept.

    Returns
    -------
    list of lists of point numbers
        From the largest to the single points.
    """
    clusters, stack = [], [list(range(len(sums)))]
    while stack:
        members = stack.pop()
        clusters.append(members)
        if len(members) == 1:
            continue
        side = _bisect(sums[members], floor, generator, tries)
        parts = [[m for m, s in zip(members, side, strict=True) if s == half] for half in (0, 1)]
        stack += parts
    return clusters


def _bisect(points: torch.Tensor, floor: float, generator, tries: int) -> np.ndarray:
    count = len(points)
    best, best_value = None, -math.inf
    for _ in range(tries):
        seeds = generator.choice(count, 2, replace=False)
        groups = points[torch.from_numpy(seeds)].clone()
        side = None
        for _ in range(20):
            fresh = _nearest(points, groups, floor).numpy()
            fresh[seeds[0]], fresh[seeds[1]] = 0, 1
            if side is not None and (fresh == side).all():
                break
            side = fresh
            groups = torch.stack([points[torch.from_numpy(side == half)].sum(0) for half in (0, 1)])
        value = float(gaussian_objective(groups, floor).sum())
        if value > best_value:
            best, best_value = side, value
    return best


def _nearest(points: torch.Tensor, groups: torch.Tensor, floor: float) -> torch.Tensor:
    size = (points.shape[1] - 1) // 2
    count = groups[:, :1].clamp(min=1e-10)
    mean = groups[:, 1 : 1 + size] / count
    variance = (groups[:, 1 + size :] / count - mean**2).clamp(min=floor)
    first, second = points[:, 1 : 1 + size], points[:, 1 + size :]
    score = -0.5 * (
        points[:, :1] * (variance.log() + mean**2 / variance).sum(1)
        + second @ (1 / variance).T
        - 2 * first @ (mean / variance).T
    )
    return score.argmax(1)


def phone_questions(
    keys: np.ndarray,
    sums: np.ndarray,
    central: int,
    phones: PhoneTable,
    floor: float,
    generator: np.random.Generator,
    states: tuple[int, ...] = (1,),
) -> list[np.ndarray]:
    """Sets of phones to ask for, obtained from the data (Kaldi's cluster-phones).

    The base phones are clustered by their middle states; every cluster is a question, and so are
    silence and each position in the word.

    Parameters
    ----------
    keys : int64 (K, width + 1)
        Windows and states.
    sums : float64 (K, 1 + 2 D)
    central : int
    phones : PhoneTable
    floor : float
    generator : numpy.random.Generator
    states : tuple of int
        The states by which phones are compared.

    Returns
    -------
    list of int64 arrays of phones
        Without repetition, in a fixed order.
    """
    sets = phones.sets
    group = np.zeros(len(phones) + 1, dtype=np.int64)
    for number, members in enumerate(sets):
        group[members] = number
    used = np.isin(keys[:, -1], states)
    points = torch.zeros(len(sets), sums.shape[1], dtype=torch.float64)
    points.index_add_(0, torch.from_numpy(group[keys[used, central]]), torch.from_numpy(sums[used]))
    seen = [number for number in range(len(sets)) if float(points[number, 0]) > 0]
    if not seen:
        raise TrainingError("no frame of any phone to learn questions from")
    found = {
        tuple(sorted(p for m in cluster for p in sets[seen[m]]))
        for cluster in cluster_phones(points[seen], floor, generator)
    }
    found |= {tuple(members) for members in sets}
    found.add(tuple(phones.silence))
    for position in POSITIONS:
        found.add(tuple(p for p in phones.nonsilence if phones.position(p) == position))
    ordered = sorted(found - {()}, key=lambda members: (-len(members), members))
    return [np.array(members, dtype=np.int64) for members in ordered]


class _Leaf:
    """A leaf under construction and its best question."""

    def __init__(self, node: int, rows: np.ndarray):
        self.node = node
        self.rows = rows
        self.gain = -math.inf
        self.key = 0
        self.values: np.ndarray | None = None


def build_tree(
    keys: np.ndarray,
    sums: np.ndarray,
    central: int,
    phones: PhoneTable,
    num_states: dict[int, int],
    questions: list[np.ndarray],
    options: TreeOptions,
) -> tuple[Tree, dict[str, float]]:
    """Grow the tree greedily to a number of leaves, then merge leaves of one root.

    The positions of a base phone share one root, from which both states and contexts are asked
    for; silence phones have one leaf per state and no context.

    Parameters
    ----------
    keys : int64 (K, width + 1)
        Windows and states, silence phones without context.
    sums : float64 (K, 1 + 2 D)
    central : int
    phones : PhoneTable
    num_states : dict
        Emitting states of each phone.
    questions : list of int arrays
    options : TreeOptions

    Returns
    -------
    Tree
    dict
        ``leaves``, ``merged``, and per frame ``gain`` in log-likelihood over the roots.
    """
    width = keys.shape[1] - 1
    values = max(len(phones) + 1, max(num_states.values()))
    builder = TreeBuilder(values)
    statistics = torch.from_numpy(sums)
    masks = torch.zeros(len(questions), values, dtype=torch.float64)
    for number, members in enumerate(questions):
        masks[number, torch.from_numpy(members)] = 1
    most = max(num_states.values())
    state_masks = torch.tril(torch.ones(most - 1, most, dtype=torch.float64))
    columns = torch.from_numpy(keys)
    floor = options.variance_floor

    def consider(leaf: _Leaf) -> None:
        rows = torch.from_numpy(leaf.rows)
        if len(rows) < 2:
            return
        own = statistics[rows]
        whole = own.sum(0)
        objective = gaussian_objective(whole, floor)
        asked = [(place, masks, values) for place in range(width)]
        for place, mask, size in [*asked, (width, state_masks, most)]:
            by_value = torch.zeros(size, own.shape[1], dtype=torch.float64)
            by_value.index_add_(0, columns[rows, place], own)
            present = torch.unique(columns[rows, place])
            if len(present) < 2:
                continue
            yes = mask[:, present] @ by_value[present]
            no = whole - yes
            gain = gaussian_objective(yes, floor) + gaussian_objective(no, floor) - objective
            few = torch.minimum(yes[:, 0], no[:, 0]) < max(options.minimum_frames, 1)
            gain[few] = -math.inf
            best = int(gain.argmax())
            if float(gain[best]) > leaf.gain:
                leaf.gain = float(gain[best])
                leaf.key = STATE_KEY if place == width else place
                leaf.values = np.arange(best + 1) if place == width else np.asarray(questions[best])

    roots = np.full(len(phones) + 1, -1)
    finished: list[list[_Leaf]] = []
    queue: list[tuple[float, int, int, _Leaf]] = []
    silence = set(phones.silence)
    total_leaves = 0
    for members in phones.sets:
        rows = np.flatnonzero(np.isin(keys[:, central], members))
        node = builder.add()
        roots[members] = node
        tips: list[_Leaf] = []
        if members[0] in silence:
            for state in range(num_states[members[0]]):
                tip = node
                if state < num_states[members[0]] - 1:
                    tip, node = builder.split(node, STATE_KEY, np.arange(state + 1))
                tips.append(_Leaf(tip, rows[keys[rows, -1] == state]))
        else:
            leaf = _Leaf(node, rows)
            tips.append(leaf)
            consider(leaf)
            heapq.heappush(queue, (-leaf.gain, leaf.node, len(finished), leaf))
        total_leaves += len(tips)
        finished.append(tips)
    gained, last_gain = 0.0, options.minimum_gain
    while queue and total_leaves < options.leaves:
        _, _, number, leaf = heapq.heappop(queue)
        if leaf.gain < max(options.minimum_gain, 1e-6):
            break
        gained += leaf.gain
        last_gain = leaf.gain
        branches = builder.split(leaf.node, leaf.key, leaf.values)
        column = width if leaf.key == STATE_KEY else leaf.key
        inside = np.isin(keys[leaf.rows, column], leaf.values)
        finished[number].remove(leaf)
        for node, rows in zip(branches, (leaf.rows[inside], leaf.rows[~inside]), strict=True):
            child = _Leaf(node, rows)
            consider(child)
            finished[number].append(child)
            heapq.heappush(queue, (-child.gain, child.node, number, child))
        total_leaves += 1

    pdf = merged = 0
    for members, tips in zip(phones.sets, finished, strict=True):
        groups = [[place] for place in range(len(tips))]
        if options.merge and members[0] not in silence and len(tips) > 1:
            points = torch.stack([statistics[torch.from_numpy(t.rows)].sum(0) for t in tips])
            groups = _merge(points, last_gain, floor)
        merged += len(tips) - len(groups)
        for group in groups:
            for place in group:
                builder.nodes[tips[place].node][4] = pdf
            pdf += 1
    tree = builder.finish(width, central, roots)
    frames = max(float(sums[:, 0].sum()), 1.0)
    return tree, {"leaves": pdf, "merged": merged, "gain": gained / frames}


def _merge(points: torch.Tensor, threshold: float, floor: float) -> list[list[int]]:
    """Join the two leaves whose union costs least, while it costs less than a threshold."""
    groups: list[list[int]] = [[place] for place in range(len(points))]
    points = points.clone()
    alone = gaussian_objective(points, floor)
    union = gaussian_objective(points.unsqueeze(0) + points.unsqueeze(1), floor)
    cost = alone.unsqueeze(0) + alone.unsqueeze(1) - union
    cost.fill_diagonal_(math.inf)
    while True:
        best = int(cost.argmin())
        one, other = sorted(divmod(best, len(points)))
        if not float(cost[one, other]) < threshold:
            return [group for group in groups if group]
        groups[one] = sorted(groups[one] + groups[other])
        groups[other] = []
        points[one] += points[other]
        alone[one] = gaussian_objective(points[one], floor)
        row = alone[one] + alone - gaussian_objective(points[one] + points, floor)
        row[cost[one] == math.inf] = math.inf
        cost[one], cost[:, one] = row, row
        cost[other], cost[:, other] = math.inf, math.inf


def initial_mixtures(
    tree: Tree, keys: np.ndarray, sums: np.ndarray, floor: float
) -> tuple[Mixtures, np.ndarray]:
    """One Gaussian per leaf from the tree's statistics (Kaldi's gmm-init-model).

    Leaves without frames get the Gaussian of all speech.

    Returns
    -------
    Mixtures
    occupancy : float64 (pdfs,)
    """
    pdf = tree.pdfs(keys[:, :-1], keys[:, -1])
    total = np.zeros((tree.num_pdfs, sums.shape[1]))
    np.add.at(total, pdf, sums)
    occupancy = total[:, 0].copy()
    total[occupancy < 1] = total.sum(0)
    size = (sums.shape[1] - 1) // 2
    mean = total[:, 1 : 1 + size] / total[:, :1]
    variance = np.maximum(total[:, 1 + size :] / total[:, :1] - mean**2, floor)
    mixtures = Mixtures(
        np.arange(tree.num_pdfs + 1, dtype=np.int64),
        np.ones(tree.num_pdfs, dtype=np.float32),
        mean.astype(np.float32),
        variance.astype(np.float32),
    )
    return mixtures, occupancy
