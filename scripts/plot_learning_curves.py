"""Draw the learning curves of all runs."""

from pathlib import Path

from darkknowledge.figures import draw_learning_curves, run_styles
from darkknowledge.files import read_jsonl
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
labels = {row["run"]: row["label"] for row in snakemake.params.rows}
curves = [
    {"run": run, "label": labels[run], "seed": seed, "metrics": read_jsonl(path)}
    for (run, seed), path in zip(snakemake.params.systems, snakemake.input.metrics, strict=True)
]
draw_learning_curves(Path(snakemake.output.figure[0]).with_suffix(""), curves, run_styles(labels))
