"""Write the audio and the Kaldi data directory of one set."""

from pathlib import Path

from darkknowledge.corpora import make_set
from darkknowledge.jobs import start_job

start_job(snakemake)
make_set(
    snakemake.params.corpus,
    snakemake.wildcards.set,
    Path(snakemake.output.wav).parent,
    threads=snakemake.threads,
)
