"""Decode every test condition with one system, as tuned on dev, and count the errors."""

from pathlib import Path

import torch

from darkknowledge.adaptation import System, decode_system, read_tuning
from darkknowledge.datadir import read_data_directory
from darkknowledge.failures import pass_on
from darkknowledge.files import write_json
from darkknowledge.hmm.options import SatOptions
from darkknowledge.progress import start_logging
from darkknowledge.scoring import score, write_ctm, write_trn

start_logging(snakemake.log[0])
torch.set_num_threads(1)
given, made = snakemake.input, snakemake.output
pass_on(given, made)
tuning = read_tuning(given.tuning)
data = read_data_directory(Path(given.data).parent)
system = System(
    given.model,
    given.features,
    given.cmvn,
    data.speaker,
    SatOptions(**snakemake.params.adaptation),
)
found = decode_system(system, Path(given.graph).parent, tuning, processes=snakemake.threads)
words = {utterance: hypothesis.words for utterance, hypothesis in found.items()}
write_trn(made.trn, words)
write_ctm(
    made.ctm,
    {u: zip(h.words, h.starts, h.ends, strict=True) for u, h in found.items()},
    snakemake.params.frame_shift / 1000,
)
incomplete = sum(not hypothesis.reached_final for hypothesis in found.values())
write_json(
    made.score,
    {**score(data.text, words, data.condition).record(), "incomplete": incomplete},
)
