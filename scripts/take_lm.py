"""Take a language model that was made elsewhere."""

from darkknowledge.graph.lm import take_arpa
from darkknowledge.hmm.phones import read_lexicon
from darkknowledge.jobs import start_job

start_job(snakemake)
take_arpa(
    snakemake.input.arpa,
    read_lexicon(snakemake.input.lexicon),
    snakemake.output.arpa,
)
