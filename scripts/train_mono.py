"""Train monophones from a flat start."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.devices import take_device
from darkknowledge.hmm.stages import train_monophone
from darkknowledge.jobs import start_job

start_job(snakemake)
given = snakemake.input
train_monophone(
    read_data_directory(Path(given.text).parent),
    given.features,
    given.cmvn,
    given.lexicon,
    Path(snakemake.output.model).parent,
    snakemake.params.hmm,
    threads=snakemake.threads,
    device=take_device(snakemake.resources),
)
