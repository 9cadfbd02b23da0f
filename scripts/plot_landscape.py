"""Draw the surfaces, the line or the path of a landscape."""

from pathlib import Path

from darkknowledge.jobs import start_job
from darkknowledge.landscapes.figure import draw_grids

start_job(snakemake)
draw_grids(
    snakemake.params.picture,
    Path(snakemake.output.figure[0]).with_suffix(""),
    snakemake.input.grids,
    snakemake.params.labels,
)
