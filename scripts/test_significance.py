"""Test the differences between the runs that a table pairs."""

from darkknowledge.files import write_json, write_text
from darkknowledge.jobs import start_job
from darkknowledge.pairs import pairs_csv
from darkknowledge.significance import compare_pairs, read_reference, read_systems

start_job(snakemake)
given, made, table = snakemake.input, snakemake.output, snakemake.params.table
reference = read_reference(given.text, given.utt2spk)
systems = read_systems(table["systems"], given.hypotheses, given.scores, reference)
pairs = compare_pairs(table["pairs"], systems, reference)
write_json(made.pairs, pairs)
write_text(made.csv, pairs_csv(pairs))
