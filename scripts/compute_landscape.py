"""Compute a surface, a line or a path of a landscape."""

from pathlib import Path

import torch

from darkknowledge.devices import take_device
from darkknowledge.failures import pass_on
from darkknowledge.jobs import start_job
from darkknowledge.landscapes.batch import Frames
from darkknowledge.landscapes.compute import compute_landscape
from darkknowledge.landscapes.options import GridOptions

start_job(snakemake)
torch.set_num_threads(1)
given, made, spec = snakemake.input, snakemake.output, snakemake.params.grid
pass_on(given, made)
share = spec.get("speakers", 1)
compute_landscape(
    snakemake.wildcards.view,
    made.grid,
    list(given.models),
    list(given.epochs),
    Frames(given.features, given.cmvn, given.utt2spk, given.alignments, share),
    snakemake.params.objectives,
    GridOptions(**spec["options"]),
    state=Path(made.grid).parents[1] / "points",
    threads=snakemake.threads,
    device=take_device(snakemake.resources),
)
