"""Train a triphone stage, starting from the alignments of the stage before."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.devices import take_device
from darkknowledge.hmm.stages import train_triphones
from darkknowledge.jobs import start_job

start_job(snakemake)
given = snakemake.input
train_triphones(
    snakemake.wildcards.stage,
    read_data_directory(Path(given.text).parent),
    given.features,
    given.cmvn,
    given.lexicon,
    Path(given.model).parent,
    Path(snakemake.output.model).parent,
    snakemake.params.hmm,
    threads=snakemake.threads,
    device=take_device(snakemake.resources),
)
