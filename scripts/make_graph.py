"""Compose the decoding graph of one GMM stage."""

from pathlib import Path

from darkknowledge.graph.compose import make_graph
from darkknowledge.graph.options import GraphOptions
from darkknowledge.hmm.model import HmmModel
from darkknowledge.jobs import start_job

start_job(snakemake)
probabilities = snakemake.input.probabilities
make_graph(
    HmmModel.read(snakemake.input.model),
    snakemake.input.lexicon,
    snakemake.input.arpa,
    Path(snakemake.output.graph).parent,
    GraphOptions(**snakemake.params.graph),
    Path(probabilities[0]).parent if probabilities else None,
)
