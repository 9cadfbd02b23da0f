"""Decode a part of the test set with one system, as tuned on dev."""

from pathlib import Path

import torch

from darkknowledge.adaptation import System, decode_system, read_tuning
from darkknowledge.datadir import read_data_directory
from darkknowledge.failures import pass_on
from darkknowledge.files import write_json
from darkknowledge.hmm.options import SatOptions
from darkknowledge.jobs import start_job
from darkknowledge.parts import part_of_set, records

start_job(snakemake)
torch.set_num_threads(1)
given, params = snakemake.input, snakemake.params
pass_on(given, snakemake.output)
speaker = read_data_directory(Path(given.data).parent).speaker
system = System(given.model, given.features, given.cmvn, speaker, SatOptions(**params.adaptation))
part = int(snakemake.wildcards.part)
system.speaker = part_of_set(speaker, part, params.parts, system.is_adapted)
found = {}
if system.speaker:
    graph, tuning = Path(given.graph).parent, read_tuning(given.tuning)
    found = decode_system(system, graph, tuning, processes=snakemake.threads)
write_json(snakemake.output.hypotheses, records(found))
