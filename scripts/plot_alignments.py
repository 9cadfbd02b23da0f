"""Draw the final alignment over the spectrogram of a few utterances."""

from pathlib import Path

from darkknowledge.alignment_figure import AlignedUtterance, choose_utterances, draw_alignments
from darkknowledge.archives import Archive
from darkknowledge.datadir import read_data_directory
from darkknowledge.feature_options import FbankOptions
from darkknowledge.jobs import start_job
from darkknowledge.scoring import read_ctm

start_job(snakemake)
given, params = snakemake.input, snakemake.params
utterances = []
for text, scp, phones, words in zip(
    given.text, given.features, given.phones, given.words, strict=True
):
    data, filters = read_data_directory(Path(text).parent), Archive(scp)
    timed = {"phones": read_ctm(phones), "words": read_ctm(words)}
    for name in choose_utterances(data, timed["phones"]):
        title = f"{Path(text).parent.name}, condition {data.condition[name]}: {name}"
        parts = {kind: units.get(name, []) for kind, units in timed.items()}
        utterances.append(AlignedUtterance(title, filters[name], **parts))
fbank = FbankOptions(**params.fbank)
draw_alignments(
    Path(snakemake.output.figure[0]).with_suffix(""),
    utterances,
    params.frame_shift / 1000,
    fbank.low,
    fbank.high,
)
