"""Estimate probabilities of pronunciations and of silence from the training alignments."""

from pathlib import Path

from darkknowledge.graph.pronunciation_usage import estimate_pronunciations
from darkknowledge.jobs import start_job

start_job(snakemake)
estimate_pronunciations(
    snakemake.input.phones,
    snakemake.input.text,
    snakemake.input.lexicon,
    Path(snakemake.output[0]).parent,
)
