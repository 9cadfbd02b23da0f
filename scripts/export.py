"""Export a trained run as a self-contained folder and compare its posteriors."""

from pathlib import Path

import soundfile
import torch

from darkknowledge.acoustic import network_features
from darkknowledge.adaptation import read_tuning
from darkknowledge.checkpoints import load_network
from darkknowledge.datadir import read_table
from darkknowledge.decoding import evenly
from darkknowledge.deploy.folder import Adaptation, export_run, set_statistics
from darkknowledge.failures import pass_on
from darkknowledge.jobs import start_job

SAMPLES = 10

start_job(snakemake)
torch.set_num_threads(1)
given = snakemake.input
pass_on(given, snakemake.output)
speaker = read_table(given.utt2spk)
chosen = {u: speaker[u] for u in evenly(speaker, SAMPLES)}
adaptation = None
if "adapter" in given.keys():
    adaptation = Adaptation(
        given.adapter,
        Path(given.adapter_graph).parent,
        read_tuning(given.adapter_tuning),
        snakemake.params.adaptation,
        set_statistics(given.mfcc_cmvn),
    )
recording = min(read_table(given.wav).items())[1]
export_run(
    given.model,
    Path(given.graph).parent,
    read_tuning(given.tuning),
    snakemake.params.features,
    soundfile.info(recording).samplerate,
    set_statistics(given.train_cmvn),
    network_features(given.features, given.cmvn, chosen, load_network(given.model)[0].deltas),
    Path(snakemake.output.description).parent,
    adaptation,
)
