"""Put together the features of the parts of a set."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.jobs import start_job
from darkknowledge.parts import gather_archives

start_job(snakemake)
given, made = snakemake.input, snakemake.output
data = read_data_directory(Path(given.wav).parent)
for name, (_, scp, _) in made.items():
    keys = sorted(set(data.speaker.values())) if name.startswith("cmvn") else data.wav
    parts = [Path(folder) / Path(scp).name for folder in given.parts]
    gather_archives([part for part in parts if part.is_file()], scp, keys)
