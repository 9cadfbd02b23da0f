"""Train triphones on LDA+MLLT features."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.hmm.stages import train_lda_mllt
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
given = snakemake.input
train_lda_mllt(
    read_data_directory(Path(given.text).parent),
    given.features,
    given.cmvn,
    given.lexicon,
    Path(given.model).parent,
    Path(snakemake.output.model).parent,
    snakemake.params.hmm,
    threads=snakemake.threads,
)
