"""Tabulate and draw the curvature of a landscape's networks."""

from pathlib import Path

from darkknowledge.files import write_text
from darkknowledge.jobs import start_job
from darkknowledge.landscapes.figure import draw_curvature
from darkknowledge.landscapes.numbers import curvature_table, read_measured

start_job(snakemake)
measured, absent = read_measured(snakemake.input.measured)
table = curvature_table(measured, snakemake.params.labels)
write_text(snakemake.output.numbers, table.to_csv(index=False, float_format="%.6g"))
draw_curvature(Path(snakemake.output.figure[0]).with_suffix(""), table, absent)
