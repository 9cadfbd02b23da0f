"""Align one set with the last GMM: a pdf, a phone and a word for every frame."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.devices import take_device
from darkknowledge.hmm.alignment_check import check_alignments
from darkknowledge.hmm.stages import align_set
from darkknowledge.jobs import start_job

start_job(snakemake)
given = snakemake.input
data = read_data_directory(Path(given.text).parent)
folder = Path(snakemake.output.failed).parent
shift = snakemake.params.frame_shift / 1000
align_set(
    given.model,
    data,
    given.features,
    given.cmvn,
    given.lexicon,
    folder,
    snakemake.params.hmm,
    threads=snakemake.threads,
    device=take_device(snakemake.resources),
    frame_shift=shift,
)
check_alignments(folder, given.features, data.text, shift)
