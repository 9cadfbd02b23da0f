"""Speed of sequence training on one core, on a study that has made training lattices.

    python benchmarks/sequence.py results/paper4 highway 1

Prints frames per second of the search for lattices, of the sums over their paths, and of an epoch
of sMBR with the network's own products; and of all together, for one search and four epochs.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from darkknowledge.acoustic import acoustic_scores, network_features
from darkknowledge.archives import Archive
from darkknowledge.batches import gather_frames
from darkknowledge.checkpoints import load_network
from darkknowledge.datadir import read_table
from darkknowledge.decoding import Graph, evenly
from darkknowledge.networks.options import SequenceOptions, TargetOptions
from darkknowledge.sequence.batches import utterance_batches
from darkknowledge.sequence.files import TrainingLattices
from darkknowledge.sequence.lattices import LatticeBatch
from darkknowledge.sequence.objective import sequence_objective
from darkknowledge.sequence.search import PathSearch
from darkknowledge.training import log_priors

UTTERANCES = 40
BATCH = 4
EPOCHS = 4


def main(results: Path, run: str, seed: str) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    model = results / "networks" / run / f"seed{seed}" / "model.pt"
    lattices = TrainingLattices(results / "sequence" / run / f"seed{seed}" / "lattices.npz")
    network, _, meta = load_network(model)
    kind, found = meta["options"].get("input", "fbank"), lattices.search
    aligned = Archive(results / "alignments" / "train" / "pdf.scp")
    speaker = read_table(results / "data" / "train" / "utt2spk")
    chosen = evenly([u for u in speaker if u in aligned and u in lattices], UTTERANCES)
    folder = results / "features" / "train"
    files = folder / f"{kind}.scp", folder / f"cmvn_{kind}.scp"
    named = {u: speaker[u] for u in chosen}
    scores = dict(acoustic_scores(model, *files, named, found["prior_scale"]))
    frames = sum(map(len, scores.values()))

    def tell(stage: str, seconds: float, note: str = "") -> float:
        print(f"{stage:<28}{frames / seconds:>12,.0f} frames/s  {note}")
        return seconds

    graph = Graph(results / "graph" / "competitors")
    search = PathSearch(graph, found["acoustic_scale"], SequenceOptions())
    began = time.process_time()
    for utterance, matrix in scores.items():
        search.decode(matrix, utterance)
    searched = tell("search, default beams", time.process_time() - began)

    read = lattices.take(chosen)
    arcs = sum(len(lattice.source) for lattice in read) / frames
    labels = {u: aligned[u] for u in chosen}
    prior = log_priors(torch.from_numpy(np.concatenate(list(labels.values()))), found["num_pdfs"])
    objective = sequence_objective(TargetOptions(targets="smbr"), found, prior, False)
    began = time.process_time()
    for start in range(0, len(chosen), BATCH):
        group = slice(start, start + BATCH)
        matrix = np.concatenate([scores[u] for u in chosen[group]])
        reference = np.concatenate([labels[u] for u in chosen[group]])
        objective.gradient(matrix, reference, LatticeBatch(read[group]))
    tell("sums over paths", time.process_time() - began, f"{arcs:.0f} arcs per frame")

    features = network_features(*files, named, network.deltas)
    data = gather_frames("part of the training set", features, labels, found["num_pdfs"])
    began = time.process_time()
    batches = utterance_batches(network, data, lattices, np.random.default_rng(1), BATCH)
    for logits, index, group in batches:
        objective.loss(logits, data.labels[index], None, group).backward()
    epoch = tell("an epoch of sMBR", time.process_time() - began)
    tell(f"{EPOCHS} epochs and the search", (searched + EPOCHS * epoch) / EPOCHS, "per epoch")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
