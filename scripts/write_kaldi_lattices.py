"""Write the lattices of a system as text that Kaldi's lattice tools read."""

from darkknowledge.files import read_symbols
from darkknowledge.lattices.files import read_lattices
from darkknowledge.lattices.kaldi import write_kaldi_lattices
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
write_kaldi_lattices(
    snakemake.output.text,
    read_lattices(snakemake.input.lattices),
    read_symbols(snakemake.input.words),
)
