"""Write the lexicon and the language-model text of the corpus."""

from pathlib import Path

from darkknowledge.corpora import make_language
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
make_language(snakemake.params.corpus, Path(snakemake.output.lexicon).parent)
