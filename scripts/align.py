"""Align one set with the last GMM: a pdf, a phone and a word for every frame."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.hmm.stages import align_set
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
given = snakemake.input
align_set(
    given.model,
    read_data_directory(Path(given.text).parent),
    given.features,
    given.cmvn,
    given.lexicon,
    Path(snakemake.output.failed).parent,
    snakemake.params.hmm,
    threads=snakemake.threads,
)
