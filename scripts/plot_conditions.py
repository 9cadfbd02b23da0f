"""Draw the word error rate of all runs in every condition."""

from pathlib import Path

from darkknowledge.failures import problem_of
from darkknowledge.figures import draw_conditions, run_styles
from darkknowledge.files import read_json
from darkknowledge.jobs import start_job

start_job(snakemake)
runs = snakemake.params.runs
labels = {row["run"]: row["label"] for row in runs["rows"]}
styles = run_styles({row["run"]: row["place"] for row in runs["rows"]})
systems = [
    {
        "run": run,
        "label": labels[run],
        "seed": seed,
        "score": read_json(path),
        "problem": problem_of(path),
    }
    for (run, seed), path in zip(runs["systems"], snakemake.input.scores, strict=True)
]
draw_conditions(Path(snakemake.output.figure[0]).with_suffix(""), systems, styles)
