"""Adapt a network to some speakers of the test set and recognise what they say."""

from pathlib import Path

import torch

from darkknowledge.acoustic import network_features
from darkknowledge.adaptation import read_tuning
from darkknowledge.checkpoints import load_network
from darkknowledge.datadir import read_table
from darkknowledge.decoding import Graph
from darkknowledge.devices import take_device
from darkknowledge.errors import DivergenceError
from darkknowledge.failures import mark, pass_on
from darkknowledge.files import write_json
from darkknowledge.jobs import start_job
from darkknowledge.networks.options import SoftTargetOptions
from darkknowledge.parts import part_of, records
from darkknowledge.speaker_networks import SpeakerAdaptation

start_job(snakemake)
torch.set_num_threads(snakemake.threads)
given, made, params = snakemake.input, snakemake.output, snakemake.params
pass_on(given, made)
speaker = read_table(given.utt2spk)
adaptation = SpeakerAdaptation(
    snakemake.wildcards.run,
    given.model,
    Graph(Path(given.graph).parent, given.model),
    read_tuning(given.tuning),
    params.run,
    int(snakemake.wildcards.seed),
    list(given.teachers),
    SoftTargetOptions(**params.soft_targets),
    take_device(snakemake.resources),
)


def reader(model, features, cmvn):
    deltas = load_network(model)[0].deltas
    return lambda chosen: network_features(features, cmvn, chosen, deltas)


read = reader(given.model, given.features, given.cmvn)
files = given.teachers, given.teacher_features, given.teacher_cmvn
seen = [reader(*one) for one in zip(*files, strict=True)]
hypotheses = {}
try:
    for name in part_of(speaker.values(), int(snakemake.wildcards.part), params.parts):
        chosen = {u: s for u, s in speaker.items() if s == name}
        found = adaptation.recognise(name, read(chosen), [teacher(chosen) for teacher in seen])
        hypotheses |= records(found)
    write_json(made.hypotheses, hypotheses)
except DivergenceError as error:
    mark(made, str(error))
