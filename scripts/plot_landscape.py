"""Draw the surfaces, the line or the path of a landscape."""

from pathlib import Path

from darkknowledge.landscapes.figure import draw_grids
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
draw_grids(
    snakemake.wildcards.picture,
    Path(snakemake.output.figure[0]).with_suffix(""),
    snakemake.input.grids,
    snakemake.params.labels,
)
