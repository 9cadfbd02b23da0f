"""Write a teacher's soft targets at one temperature, or its logits, for both sets of frames."""

import torch

from darkknowledge.acoustic import network_features
from darkknowledge.checkpoints import load_network
from darkknowledge.checksums import file_digest
from darkknowledge.datadir import read_table
from darkknowledge.devices import take_device
from darkknowledge.failures import pass_on
from darkknowledge.jobs import start_job
from darkknowledge.networks.options import SoftTargetOptions
from darkknowledge.networks.registry import stream_log_posteriors
from darkknowledge.soft_targets import write_soft_targets

start_job(snakemake)
torch.set_num_threads(snakemake.threads)
given = snakemake.input
pass_on(given, snakemake.output)
network, _, _ = load_network(given.model)
network.to(take_device(snakemake.resources))
features = {}
for scp, cmvn, utt2spk in (
    (given.train_features, given.train_cmvn, given.train_utt2spk),
    (given.dev_features, given.dev_cmvn, given.dev_utt2spk),
):
    features.update(network_features(scp, cmvn, read_table(utt2spk), network.deltas))
write_soft_targets(
    snakemake.output.cache,
    stream_log_posteriors(network, features),
    temperature=snakemake.params.temperature,
    teacher={
        "run": snakemake.wildcards.run,
        "seed": int(snakemake.wildcards.seed),
        "sha256": file_digest(given.model),
    },
    options=SoftTargetOptions(**snakemake.params.soft_targets),
)
