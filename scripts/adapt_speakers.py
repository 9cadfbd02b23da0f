"""Adapt a network to some speakers of the test set and recognise what they say."""

from pathlib import Path

import torch

from darkknowledge.acoustic import network_features
from darkknowledge.adaptation import read_tuning
from darkknowledge.checkpoints import load_network
from darkknowledge.datadir import read_table
from darkknowledge.decoding import Graph
from darkknowledge.errors import DivergenceError
from darkknowledge.failures import mark, pass_on
from darkknowledge.files import write_json
from darkknowledge.networks.options import SoftTargetOptions
from darkknowledge.progress import start_logging
from darkknowledge.speaker_networks import SpeakerAdaptation, part_of

start_logging(snakemake.log[0])
torch.set_num_threads(snakemake.threads)
given, made, params = snakemake.input, snakemake.output, snakemake.params
pass_on(given, made)
speaker = read_table(given.utt2spk)
adaptation = SpeakerAdaptation(
    snakemake.wildcards.run,
    given.model,
    Graph(Path(given.graph).parent),
    read_tuning(given.tuning),
    params.run,
    int(snakemake.wildcards.seed),
    list(given.teachers),
    SoftTargetOptions(**params.soft_targets),
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
        for utterance, hypothesis in found.items():
            hypotheses[utterance] = {
                "words": hypothesis.words,
                "starts": hypothesis.starts,
                "ends": hypothesis.ends,
                "complete": hypothesis.reached_final,
            }
    write_json(made.hypotheses, hypotheses)
except DivergenceError as error:
    mark(made, str(error))
