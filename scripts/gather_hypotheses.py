"""Put together what was recognised of the parts of the test set and count the errors."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.failures import pass_on
from darkknowledge.files import read_json
from darkknowledge.jobs import start_job
from darkknowledge.parts import write_recognised

start_job(snakemake)
given, made = snakemake.input, snakemake.output
pass_on(given, made)
found = {}
for part in given.parts:
    found |= read_json(part)
data = read_data_directory(Path(given.text).parent)
write_recognised(found, data, made.trn, made.ctm, made.score, snakemake.params.frame_shift / 1000)
