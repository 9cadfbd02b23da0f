"""Extract MFCC, filter banks and CMVN statistics of one set."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.features import extract
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
extract(
    read_data_directory(Path(snakemake.input.wav).parent),
    Path(snakemake.output.mfcc[0]).parent,
    snakemake.params.features,
    threads=snakemake.threads,
)
