"""Compose the graph of the words of the training set, for the lattices of sequence training."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.graph.compose import make_graph
from darkknowledge.graph.lm import estimate
from darkknowledge.graph.options import GraphOptions
from darkknowledge.hmm.model import HmmModel
from darkknowledge.hmm.phones import read_lexicon
from darkknowledge.jobs import start_job

start_job(snakemake)
given = snakemake.input
lexicon = read_lexicon(given.lexicon)
sentences = list(read_data_directory(Path(given.text).parent).text.values())
said = sorted({word for sentence in sentences for word in sentence if word in lexicon})
make_graph(
    HmmModel.read(given.model),
    lexicon,
    estimate(sentences, said, order=1, cutoffs=[1], unknown=snakemake.params.unknown),
    Path(snakemake.output.graph).parent,
    GraphOptions(**snakemake.params.graph),
)
