"""Write the scores of a system for every frame of a set, as a Kaldi archive."""

from pathlib import Path

import torch

from darkknowledge.acoustic import acoustic_scores
from darkknowledge.adaptation import read_tuning
from darkknowledge.archives import write_archive
from darkknowledge.datadir import read_data_directory
from darkknowledge.failures import pass_on
from darkknowledge.jobs import start_job

start_job(snakemake)
torch.set_num_threads(snakemake.threads)
given = snakemake.input
pass_on(given, snakemake.output)
data = read_data_directory(Path(given.data).parent)
write_archive(
    snakemake.output.scores[1],
    acoustic_scores(
        given.model,
        given.features,
        given.cmvn,
        data.speaker,
        read_tuning(given.tuning)["prior_scale"],
    ),
)
