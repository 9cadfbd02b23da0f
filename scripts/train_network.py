"""Train the network of one run with one seed."""

from pathlib import Path

from darkknowledge.acoustic import network_features
from darkknowledge.archives import Archive
from darkknowledge.datadir import read_table
from darkknowledge.errors import DivergenceError
from darkknowledge.failures import mark, pass_on
from darkknowledge.hmm.model import HmmModel
from darkknowledge.progress import start_logging
from darkknowledge.training import train_network

start_logging(snakemake.log[0])
given, made = snakemake.input, snakemake.output
pass_on(given, made)
deltas = snakemake.params.run["network"].get("deltas", 0)
sets = []
for features, cmvn, utt2spk, alignments in (
    (given.train_features, given.train_cmvn, given.train_utt2spk, given.train_alignments),
    (given.dev_features, given.dev_cmvn, given.dev_utt2spk, given.dev_alignments),
):
    labels = dict(Archive(alignments))
    speaker = {u: s for u, s in read_table(utt2spk).items() if u in labels}
    sets.append((network_features(features, cmvn, speaker, deltas), labels))
try:
    train_network(
        snakemake.wildcards.run,
        snakemake.params.run,
        train=sets[0],
        cv=sets[1],
        num_pdfs=HmmModel.read(given.hmm).num_pdfs,
        seed=int(snakemake.wildcards.seed),
        model=made.model,
        metrics=made.metrics,
        summary=made.summary,
        state=Path(made.model).parent / "state",
        soft_targets=list(given.soft_targets),
        threads=snakemake.threads,
    )
except DivergenceError as error:
    mark([made.model, made.summary], str(error))
