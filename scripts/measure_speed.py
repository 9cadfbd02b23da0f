"""Take the time that one system needs for some utterances of the test set on one core."""

from pathlib import Path

import torch

from darkknowledge.adaptation import System, read_tuning
from darkknowledge.datadir import read_table
from darkknowledge.decoding import evenly
from darkknowledge.failures import pass_on
from darkknowledge.files import write_json
from darkknowledge.hmm.options import SatOptions
from darkknowledge.jobs import start_job
from darkknowledge.speed import measure_speed

UTTERANCES = 30

start_job(snakemake)
torch.set_num_threads(1)
given, params = snakemake.input, snakemake.params
pass_on(given, snakemake.output)
speaker = read_table(given.utt2spk)
chosen = {utterance: speaker[utterance] for utterance in evenly(speaker, UTTERANCES)}
system = System(given.model, given.features, given.cmvn, chosen, SatOptions(**params.adaptation))
graph, tuning = Path(given.graph).parent, read_tuning(given.tuning)
write_json(snakemake.output.speed, measure_speed(system, graph, tuning, params.frame_shift / 1000))
