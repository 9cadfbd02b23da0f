"""Estimate the language model."""

from darkknowledge.graph.lm import estimate_arpa
from darkknowledge.graph.options import LanguageModelOptions
from darkknowledge.hmm.phones import read_lexicon
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
estimate_arpa(
    snakemake.input.text,
    read_lexicon(snakemake.input.lexicon),
    snakemake.output.arpa,
    LanguageModelOptions(**snakemake.params.language_model),
)
