"""Decode every test condition with one system, as tuned on dev, and count the errors."""

from pathlib import Path

import torch

from darkknowledge.adaptation import System, decode_system, read_tuning
from darkknowledge.datadir import read_data_directory
from darkknowledge.failures import pass_on
from darkknowledge.hmm.options import SatOptions
from darkknowledge.jobs import start_job
from darkknowledge.parts import records, write_recognised

start_job(snakemake)
torch.set_num_threads(1)
given, made, params = snakemake.input, snakemake.output, snakemake.params
pass_on(given, made)
tuning = read_tuning(given.tuning)
data = read_data_directory(Path(given.data).parent)
system = System(
    given.model, given.features, given.cmvn, data.speaker, SatOptions(**params.adaptation)
)
found = decode_system(system, Path(given.graph).parent, tuning, processes=snakemake.threads)
write_recognised(records(found), data, made.trn, made.ctm, made.score, params.frame_shift / 1000)
