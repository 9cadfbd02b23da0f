"""Train the network of one run with one seed."""

from pathlib import Path

from darkknowledge.acoustic import network_features
from darkknowledge.datadir import read_table
from darkknowledge.devices import take_device
from darkknowledge.errors import DivergenceError
from darkknowledge.failures import mark, pass_on
from darkknowledge.hmm.model import HmmModel
from darkknowledge.jobs import start_job
from darkknowledge.subsets import part_of_speakers
from darkknowledge.training import train_network
from darkknowledge.trees import open_alignments

start_job(snakemake)
given, made = snakemake.input, snakemake.output
pass_on(given, made)
deltas = snakemake.params.run["network"].get("deltas", 0)
hmm = HmmModel.read(given.hmm)
sets = []
share = snakemake.params.run.get("speakers", 1)
for features, cmvn, utt2spk, alignments, part in (
    (given.train_features, given.train_cmvn, given.train_utt2spk, given.train_alignments, share),
    (given.dev_features, given.dev_cmvn, given.dev_utt2spk, given.dev_alignments, 1),
):
    labels = open_alignments(alignments, given.hmm, hmm.tree_digest)
    speaker = {u: s for u, s in read_table(utt2spk).items() if u in labels}
    speaker = part_of_speakers(speaker, part)
    kept = {u: labels[u] for u in speaker}
    sets.append((network_features(features, cmvn, speaker, deltas), kept))
try:
    train_network(
        snakemake.wildcards.run,
        snakemake.params.run,
        train=sets[0],
        cv=sets[1],
        num_pdfs=hmm.num_pdfs,
        seed=int(snakemake.wildcards.seed),
        model=made.model,
        metrics=made.metrics,
        summary=made.summary,
        state=Path(made.model).parent / "state",
        soft_targets=list(given.soft_targets),
        teachers=list(given.teachers),
        first_phase=tuple(given.first_phase),
        start=given.get("start"),
        lattices=given.get("lattices"),
        epochs=made.get("epochs"),
        threads=snakemake.threads,
        device=take_device(snakemake.resources),
        live=Path(snakemake.log[0]).with_suffix(".jsonl"),
        tree=hmm.tree_digest,
    )
except DivergenceError as error:
    mark([path for path in made if path != made.metrics], str(error))
