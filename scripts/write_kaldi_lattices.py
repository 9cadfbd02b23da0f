"""Write the lattices of a system as text that Kaldi's lattice tools read."""

from pathlib import Path

from darkknowledge.files import read_symbols
from darkknowledge.graph.compose import WORDS
from darkknowledge.jobs import start_job
from darkknowledge.lattices.files import read_lattices
from darkknowledge.lattices.kaldi import write_kaldi_lattices

start_job(snakemake)
write_kaldi_lattices(
    snakemake.output.text,
    read_lattices(snakemake.input.lattices),
    read_symbols(Path(snakemake.input.graph).parent / WORDS),
)
