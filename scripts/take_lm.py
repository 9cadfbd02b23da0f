"""Take a language model that was made elsewhere."""

from darkknowledge.graph.lm import take_arpa
from darkknowledge.hmm.phones import read_lexicon
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
take_arpa(
    snakemake.input.arpa,
    read_lexicon(snakemake.input.lexicon),
    snakemake.output.arpa,
)
