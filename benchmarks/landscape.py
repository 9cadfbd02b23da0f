"""Speed of a loss surface: a 256-cell LSTM on 20,000 frames, points per second.

    python benchmarks/landscape.py [processes] [points along each axis]

Data are random, in utterances of 5 to 15 s. On a CPU so many processes share the points; on a GPU
they are evaluated many at once. Prints what 51 x 51 points take, and the processor time of a point,
which other work on the machine lengthens less.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from darkknowledge.batches import gather_frames
from darkknowledge.landscapes.directions import filter_normalised
from darkknowledge.landscapes.grid import Points, evaluate_grid, grid_axis
from darkknowledge.landscapes.losses import BatchLosses
from darkknowledge.networks.registry import build_network
from darkknowledge.targets import Objective

NETWORK = {"kind": "lstm", "layers": 1, "units": 256, "projection": 128, "delay": 5}
FRAMES, BINS, PDFS, WHOLE = 20_000, 40, 1130, 51


def main(processes: int = 2, points: int = 7) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    random = np.random.default_rng(1)
    lengths = []
    while sum(lengths) < FRAMES:
        lengths.append(int(random.integers(500, 1500)))
    names = [f"u{number:03d}" for number in range(len(lengths))]
    features = {
        name: random.standard_normal((length, BINS), dtype=np.float32)
        for name, length in zip(names, lengths, strict=True)
    }
    labels = {u: random.integers(0, PDFS, len(matrix)) for u, matrix in features.items()}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch = gather_frames("batch", features, labels, PDFS).to(device)
    soft = torch.softmax(torch.randn(len(batch), PDFS, device=device), 1)
    objectives = [
        Objective("hard", hard=1.0, soft=0.0),
        Objective("soft", hard=0.0, soft=1.0),
        Objective("mixture", hard=0.5, soft=1.0),
    ]
    network = build_network(NETWORK, BINS, PDFS, seed=1).to(device).eval().requires_grad_(False)
    losses = BatchLosses(network, batch, objectives, [None, soft, soft])
    directions = [filter_normalised(losses.weights, [1, number]) for number in range(2)]
    axes = [grid_axis(-0.5, 0.5, points)] * 2
    with tempfile.TemporaryDirectory() as folder:
        store = Points(folder, {})
        spent_before = time.process_time()
        began = time.perf_counter()
        evaluate_grid(losses, losses.weights, directions, axes, store, "", processes)
        seconds = (time.perf_counter() - began) / points**2
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    spent = sum(one.ru_utime + one.ru_stime for one in used) - spent_before
    print(
        f"{device.type}, {processes} processes, {len(batch)} frames, {len(objectives)} objectives: "
        f"{seconds:.3f} s per point, {spent / points**2:.3f} s of processors; "
        f"{WHOLE} x {WHOLE} points in {seconds * WHOLE**2 / 60:.1f} min"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
