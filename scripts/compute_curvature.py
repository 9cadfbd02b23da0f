"""Measure the curvature of a run's network with one seed under the objectives of a landscape."""

import torch

from darkknowledge.failures import pass_on
from darkknowledge.landscapes.batch import Frames
from darkknowledge.landscapes.compute import compute_curvature
from darkknowledge.landscapes.options import CurvatureOptions
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
torch.set_num_threads(snakemake.threads)
given, made, spec = snakemake.input, snakemake.output, snakemake.params.curvature
pass_on(given, made)
share = spec.get("speakers", 1)
compute_curvature(
    made.curvature,
    given.models[0],
    Frames(given.features, given.cmvn, given.utt2spk, given.alignments, share),
    snakemake.params.objectives,
    CurvatureOptions(**spec["options"]),
)
