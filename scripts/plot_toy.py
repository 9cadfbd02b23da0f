"""Draw the toy's data and its loss surfaces."""

from pathlib import Path

from darkknowledge.figures import draw_toy_data, draw_toy_surfaces
from darkknowledge.jobs import start_job
from darkknowledge.landscape import read_toy

start_job(snakemake)
data, surfaces = read_toy(snakemake.input.toy)
draw_toy_data(Path(snakemake.output.data[0]).with_suffix(""), data, surfaces)
draw_toy_surfaces(Path(snakemake.output.surfaces[0]).with_suffix(""), data, surfaces)
