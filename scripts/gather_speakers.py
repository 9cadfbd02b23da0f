"""Put together what was recognised with adapted networks and count the errors."""

from pathlib import Path

from darkknowledge.datadir import read_data_directory
from darkknowledge.failures import pass_on
from darkknowledge.files import read_json, write_json
from darkknowledge.progress import start_logging
from darkknowledge.scoring import score, write_ctm, write_trn

start_logging(snakemake.log[0])
given, made = snakemake.input, snakemake.output
pass_on(given, made)
data = read_data_directory(Path(given.text).parent)
found = {}
for part in given.parts:
    found |= read_json(part)
words = {utterance: found[utterance]["words"] for utterance in sorted(data.text)}
write_trn(made.trn, words)
write_ctm(
    made.ctm,
    {u: zip(h["words"], h["starts"], h["ends"], strict=True) for u, h in found.items()},
    snakemake.params.frame_shift / 1000,
)
write_json(
    made.score,
    {
        **score(data.text, words, data.condition).record(),
        "incomplete": sum(not hypothesis["complete"] for hypothesis in found.values()),
    },
)
