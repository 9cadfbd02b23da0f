"""Estimate probabilities of pronunciations and of silence from the training alignments."""

from pathlib import Path

from darkknowledge.graph.pronunciation_usage import estimate_pronunciations
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
estimate_pronunciations(
    snakemake.input.phones,
    snakemake.input.text,
    snakemake.input.lexicon,
    Path(snakemake.output[0]).parent,
)
