"""Extract MFCC, filter banks and CMVN statistics of a part of the speakers of a set."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.features import KINDS, extract
from darkknowledge.jobs import start_job
from darkknowledge.parts import part_of_set

start_job(snakemake)
given, params = snakemake.input, snakemake.params
data = read_data_directory(Path(given.wav).parent)
part = part_of_set(data.speaker, int(snakemake.wildcards.part), params.parts, whole_speakers=True)
archives = {kind: given.get(f"given_{kind}") for kind in KINDS}
folder = Path(snakemake.output.folder)
folder.mkdir(parents=True, exist_ok=True)
if part:
    extract(
        data,
        folder,
        params.features,
        threads=snakemake.threads,
        given={kind: scp for kind, scp in archives.items() if scp},
        roots=params.get("roots", []),
        chosen=part,
    )
