"""Measure the curvature of a run's network with one seed under the objectives of a landscape."""

import torch

from darkknowledge.devices import take_device
from darkknowledge.failures import pass_on
from darkknowledge.jobs import start_job
from darkknowledge.landscapes.batch import Frames
from darkknowledge.landscapes.compute import compute_curvature
from darkknowledge.landscapes.options import CurvatureOptions

start_job(snakemake)
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
    take_device(snakemake.resources),
)
