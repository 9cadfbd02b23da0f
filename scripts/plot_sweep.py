"""Draw word error rate and frame accuracy against an option of the runs."""

from pathlib import Path

from darkknowledge.figures import draw_sweep, run_styles
from darkknowledge.files import write_text
from darkknowledge.jobs import start_job
from darkknowledge.sweeps import read_sweep

start_job(snakemake)
spec = snakemake.params.sweep
points = read_sweep(spec)
write_text(
    snakemake.output.points,
    points.dropna(axis=1, how="all").to_csv(index=False, float_format="%.4f"),
)
draw_sweep(
    Path(snakemake.output.figure[0]).with_suffix(""),
    spec["x"],
    spec["lines"],
    spec["baseline"],
    {row["run"]: row for row in points.to_dict("records")},
    run_styles({row["run"]: row["place"] for row in spec["rows"]}),
)
