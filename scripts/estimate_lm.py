"""Estimate the language model."""

from darkknowledge.graph.lm import estimate_arpa
from darkknowledge.graph.options import LanguageModelOptions
from darkknowledge.hmm.phones import read_lexicon
from darkknowledge.jobs import start_job

start_job(snakemake)
estimate_arpa(
    snakemake.input.text,
    read_lexicon(snakemake.input.lexicon),
    snakemake.output.arpa,
    LanguageModelOptions(**snakemake.params.language_model),
)
