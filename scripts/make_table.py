"""Write one table of results in all its formats."""

from pathlib import Path

from darkknowledge.files import write_text
from darkknowledge.jobs import start_job
from darkknowledge.tables import read_table_rows, terminal_table, write_table

start_job(snakemake)
spec = snakemake.params.table
table = read_table_rows(spec)
write_table(table, Path(snakemake.output.csv).with_suffix(""), spec["title"])
write_text(snakemake.output.txt, terminal_table(table, spec["title"]))
