"""Choose acoustic scale, word penalty and beam of a system on the dev set."""

from pathlib import Path

import torch

from darkknowledge.adaptation import System, tune_system
from darkknowledge.datadir import read_data_directory
from darkknowledge.decoding import evenly
from darkknowledge.failures import pass_on
from darkknowledge.files import write_json
from darkknowledge.graph.options import DecodingOptions
from darkknowledge.hmm.options import SatOptions
from darkknowledge.jobs import start_job

start_job(snakemake)
torch.set_num_threads(1)
given = snakemake.input
pass_on(given, snakemake.output)
options = DecodingOptions(**snakemake.params.decoding)
data = read_data_directory(Path(given.data).parent)
speaker = {u: data.speaker[u] for u in evenly(data.wav, options.tuning_utterances)}
system = System(
    given.model,
    given.features,
    given.cmvn,
    speaker,
    SatOptions(**snakemake.params.adaptation),
)
chosen = tune_system(
    system, data.text, Path(given.graph).parent, options, processes=snakemake.threads
)
write_json(snakemake.output.tuning, chosen)
