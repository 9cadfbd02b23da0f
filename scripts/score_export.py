"""Recognise the test set with an exported folder: errors, size and speed of both precisions."""

from pathlib import Path

import torch

from darkknowledge.datadir import read_data_directory
from darkknowledge.deploy.scoring import score_export
from darkknowledge.failures import pass_on
from darkknowledge.features import load_features
from darkknowledge.files import write_json
from darkknowledge.jobs import start_job

start_job(snakemake)
torch.set_num_threads(1)
given = snakemake.input
pass_on(given, snakemake.output)
data = read_data_directory(Path(given.text).parent)
write_json(
    snakemake.output.score,
    score_export(
        Path(given.description).parent,
        load_features(given.features, given.cmvn, data.speaker),
        data.text,
        data.condition,
    ),
)
