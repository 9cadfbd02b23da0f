"""Make the lattices that sequence training starts from, of the training and the dev set."""

from pathlib import Path

import numpy as np
import torch

from darkknowledge.acoustic import acoustic_scores
from darkknowledge.adaptation import read_tuning
from darkknowledge.datadir import read_table
from darkknowledge.decoding import Graph
from darkknowledge.failures import pass_on
from darkknowledge.hmm.model import HmmModel
from darkknowledge.jobs import start_job
from darkknowledge.networks.options import SequenceOptions
from darkknowledge.sequence.files import write_training_lattices
from darkknowledge.sequence.search import PathSearch, search_lattices
from darkknowledge.trees import open_alignments

start_job(snakemake)
torch.set_num_threads(1)
given = snakemake.input
pass_on(given, snakemake.output)
tuning, hmm = read_tuning(given.tuning), HmmModel.read(given.hmm)
options = SequenceOptions(**snakemake.params.sequence)
search = PathSearch(Graph(Path(given.graph).parent, given.model), tuning["acoustic_scale"], options)


def lattices():
    for name in ("train", "dev"):
        aligned = open_alignments(given[f"{name}_alignments"], given.hmm, hmm.tree_digest)
        speaker = {u: s for u, s in read_table(given[f"{name}_utt2spk"]).items() if u in aligned}
        features = given[f"{name}_features"], given[f"{name}_cmvn"]
        scores = acoustic_scores(given.model, *features, speaker, tuning["prior_scale"])
        yield from search_lattices(scores, search, aligned, snakemake.threads)


write_training_lattices(
    snakemake.output.lattices,
    lattices(),
    {
        "acoustic_scale": tuning["acoustic_scale"],
        "prior_scale": tuning["prior_scale"],
        "num_pdfs": hmm.num_pdfs,
        "tree": hmm.tree_digest,
        "silence": np.flatnonzero(hmm.silent_pdfs).tolist(),
    },
)
