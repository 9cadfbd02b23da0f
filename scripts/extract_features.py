"""Extract MFCC, filter banks and CMVN statistics of one set, or take what is given of them."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.features import KINDS, extract
from darkknowledge.jobs import start_job

start_job(snakemake)
given = {kind: snakemake.input.get(f"given_{kind}") for kind in KINDS}
extract(
    read_data_directory(Path(snakemake.input.wav).parent),
    Path(snakemake.output.mfcc[0]).parent,
    snakemake.params.features,
    threads=snakemake.threads,
    given={kind: scp for kind, scp in given.items() if scp},
    roots=snakemake.params.get("roots", []),
)
