"""Draw the learning curves of all runs."""

from pathlib import Path

from darkknowledge.failures import problem_of
from darkknowledge.figures import draw_learning_curves, run_styles
from darkknowledge.files import read_jsonl
from darkknowledge.jobs import start_job

start_job(snakemake)
runs = snakemake.params.runs
labels = {row["run"]: row["label"] for row in runs["rows"]}
styles = run_styles({row["run"]: row["place"] for row in runs["rows"]})
curves = [
    {
        "run": run,
        "label": labels[run],
        "seed": seed,
        "metrics": read_jsonl(metrics),
        "problem": problem_of(summary),
    }
    for (run, seed), metrics, summary in zip(
        runs["systems"], snakemake.input.metrics, snakemake.input.summaries, strict=True
    )
]
draw_learning_curves(Path(snakemake.output.figure[0]).with_suffix(""), curves, styles)
