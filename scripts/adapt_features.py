"""Write the features of a set adapted to its speakers, for networks to read."""

from pathlib import Path

import torch

from darkknowledge.adaptation import (
    System,
    adapt_system,
    adapt_to_alignments,
    read_tuning,
    write_adapted_features,
)
from darkknowledge.datadir import read_table
from darkknowledge.decoding import Graph
from darkknowledge.hmm.options import SatOptions
from darkknowledge.jobs import start_job

start_job(snakemake)
torch.set_num_threads(1)
given, made = snakemake.input, snakemake.output
system = System(
    given.model,
    given.features,
    given.cmvn,
    read_table(given.utt2spk),
    SatOptions(**snakemake.params.adaptation),
)
if "alignments" in given.keys():
    adapt_to_alignments(system, given.alignments)
else:
    graph = Graph(Path(given.graph).parent, given.model)
    adapt_system(system, graph, read_tuning(given.tuning), snakemake.threads)
write_adapted_features(system, made.fmllr[1], made.cmvn[1])
