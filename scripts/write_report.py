"""Write the study as one page, and what `make results` says at its end."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.files import write_text
from darkknowledge.jobs import start_job
from darkknowledge.provenance import provenance
from darkknowledge.report import corpus_numbers, write_report
from darkknowledge.tables import read_table_rows, terminal_table

start_job(snakemake)
given, made, params = snakemake.input, snakemake.output, snakemake.params
tables = {name: (spec["title"], read_table_rows(spec)) for name, spec in params.tables.items()}
sets = {Path(path).parent.name: read_data_directory(Path(path).parent) for path in given.data}
write_report(
    made.report,
    params.study,
    tables=list(tables.values()),
    figures=list(zip(params.figures, given.figures, strict=True)),
    corpus=corpus_numbers(sets),
    provenance=provenance(),
)
lines = [terminal_table(table, title) for title, table in tables.values()]
paths = [*given.tables, *given.figures, made.report]
write_text(made.summary, "\n".join([*lines, *paths]) + "\n")
