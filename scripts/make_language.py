"""Write the lexicon and the language-model text of the corpus."""

from pathlib import Path

from darkknowledge.corpora import make_language
from darkknowledge.jobs import start_job

start_job(snakemake)
make_language(snakemake.params.corpus, Path(snakemake.output.lexicon).parent)
