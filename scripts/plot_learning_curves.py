"""Draw the learning curves of all runs."""

from pathlib import Path

from darkknowledge.failures import problem_of
from darkknowledge.figures import draw_learning_curves, run_styles
from darkknowledge.files import read_jsonl
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
given, params = snakemake.input, snakemake.params
labels = {row["run"]: row["label"] for row in params.rows}
curves = [
    {
        "run": run,
        "label": labels[run],
        "seed": seed,
        "metrics": read_jsonl(metrics),
        "problem": problem_of(summary),
    }
    for (run, seed), metrics, summary in zip(
        params.systems, given.metrics, given.summaries, strict=True
    )
]
draw_learning_curves(Path(snakemake.output.figure[0]).with_suffix(""), curves, run_styles(labels))
