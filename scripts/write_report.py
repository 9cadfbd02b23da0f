"""Write the study as one page, and what `make results` says at its end."""

from pathlib import Path

from darkknowledge.costs import read_costs, training_devices, write_efficiency
from darkknowledge.datadir import read_data_directory
from darkknowledge.files import write_text
from darkknowledge.jobs import start_job
from darkknowledge.lexicon import read_lexicon
from darkknowledge.mistakes import read_worst
from darkknowledge.origins import origins
from darkknowledge.provenance import provenance
from darkknowledge.report import corpus_numbers, read_captions, write_report
from darkknowledge.tables import condition_rates, read_table_rows, terminal_table

start_job(snakemake)
given, made, params = snakemake.input, snakemake.output, snakemake.params
tables = {name: (spec["title"], read_table_rows(spec)) for name, spec in params.tables.items()}
sets = {Path(path).parent.name: read_data_directory(Path(path).parent) for path in given.data}
logs = Path(snakemake.log[0]).parent
here = provenance()
costs = read_costs(logs.parent / "benchmarks")
write_efficiency(costs, made.efficiency)
write_report(
    made.report,
    params.study,
    tables=list(tables.values()),
    figures=list(zip(params.figures, given.figures, strict=True)),
    corpus=corpus_numbers(sets, read_lexicon(given.lexicon)),
    provenance=here,
    captions=read_captions(given.captions),
    conditions=[condition_rates(spec) for spec in params.tables.values()],
    mistakes=read_worst(params.systems, sets["test"]),
    costs=costs,
    devices=training_devices(logs / "train_network"),
    origins=origins(params.systems, logs),
    again=here["command"].replace("snakemake", f"snakemake {params.systems[0]['score']}", 1),
)
lines = [terminal_table(table, title) for title, table in tables.values()]
paths = [*given.tables, *given.figures, made.report]
write_text(made.summary, "\n".join([*lines, *paths]) + "\n")
