"""Make the lattices of the test set with one system; choose other scales for them on dev."""

from pathlib import Path

import torch

from darkknowledge.adaptation import SEARCH, System, adapt_system, read_tuning
from darkknowledge.datadir import read_data_directory
from darkknowledge.decoding import Graph, decode_each, evenly
from darkknowledge.failures import pass_on
from darkknowledge.files import read_json, write_json
from darkknowledge.graph.options import DecodingOptions
from darkknowledge.hmm.options import SatOptions
from darkknowledge.jobs import start_job
from darkknowledge.lattices.decoding import LatticeDecoder
from darkknowledge.lattices.files import write_lattices, write_nbest
from darkknowledge.lattices.scoring import LatticeScores, choose_scales

start_job(snakemake)
torch.set_num_threads(1)
given, made = snakemake.input, snakemake.output
pass_on(given, made)
options = DecodingOptions(**snakemake.params.decoding)
tuning = read_tuning(given.tuning)
search = {key: tuning[key] for key in SEARCH}
graph = Graph(Path(given.graph).parent, given.model)
decoder = LatticeDecoder(graph, lattice_beam=options.lattice_beam, **search)


def lattices(features, cmvn, speaker):
    adaptation = SatOptions(**snakemake.params.adaptation)
    system = System(given.model, features, cmvn, speaker, adaptation)
    adapt_system(system, graph, tuning, snakemake.threads)
    return decode_each(system.scores(tuning["prior_scale"]), decoder, processes=snakemake.threads)


dev = read_data_directory(Path(given.dev_data).parent)
speaker = {u: dev.speaker[u] for u in evenly(dev.wav, options.tuning_utterances)}
chosen = choose_scales(
    lattices(given.dev_features, given.dev_cmvn, speaker),
    dev.text,
    options.acoustic_scales,
    options.word_penalties,
)
test = read_data_directory(Path(given.data).parent)
found = LatticeScores(test.text, (chosen["acoustic_scale"], chosen["word_penalty"]), options.nbest)
write_lattices(made.lattices, found.watch(lattices(given.features, given.cmvn, test.speaker)))
write_nbest(made.nbest, made.costs, found.nbest)
write_json(
    made.score,
    {
        **found.record(test.condition),
        "decoded": read_json(given.score),
        "dev": chosen,
        "lattice_beam": options.lattice_beam,
        "search": {**search, "prior_scale": tuning["prior_scale"]},
    },
)
