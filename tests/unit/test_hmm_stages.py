"""The stages end to end on a toy language, with one process and with two."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

from darkknowledge.acoustic import acoustic_scores
from darkknowledge.adaptation import (
    System,
    adapt_system,
    adapt_to_alignments,
    decode_system,
    tune_system,
    write_adapted_features,
)
from darkknowledge.archives import Archive, write_archive
from darkknowledge.checkpoints import save_model
from darkknowledge.datadir import DataDirectory
from darkknowledge.decoding import Graph
from darkknowledge.deploy.folder import Adaptation, ExportedRun, export_run
from darkknowledge.errors import DataError, TrainingError
from darkknowledge.features import apply_cmvn, cmvn_statistics, load_features
from darkknowledge.files import read_jsonl
from darkknowledge.graph.compose import make_graph
from darkknowledge.graph.lm import estimate
from darkknowledge.graph.options import DecodingOptions
from darkknowledge.hmm.crew import Crew
from darkknowledge.hmm.model import HmmModel
from darkknowledge.hmm.options import HmmOptions, SatOptions
from darkknowledge.hmm.phones import read_lexicon
from darkknowledge.hmm.stages import (
    align_set,
    merge_statistics,
    train_monophone,
    train_triphones,
)
from darkknowledge.networks.registry import build_network
from darkknowledge.word_errors import count_errors

WORDS = {"PO": "P O", "TI": "T I", "KU": "K U", "TOP": "T O P", "KIT": "K I T", "A": "I"}
PHONES = sorted({p for v in WORDS.values() for p in v.split()} | {"SIL"})
OPTIONS = {
    "shard_frames": 1000,
    "mono": {
        "gaussians": 60,
        "iterations": 13,
        "increase_until": 9,
        "realign": [1, 2, 3, 4, 6, 8, 10],
    },
    "tri1": {
        "gaussians": 60,
        "iterations": 8,
        "increase_until": 4,
        "realign": [5],
        "tree": {"leaves": 40, "minimum_gain": 20},
    },
    "tri2b": {
        "gaussians": 60,
        "iterations": 8,
        "increase_until": 4,
        "realign": [5],
        "mllt": [2, 4],
        "dimension": 10,
        "context": 1,
        "tree": {"leaves": 40, "minimum_gain": 20},
    },
    "tri3b": {
        "gaussians": 60,
        "iterations": 8,
        "increase_until": 4,
        "realign": [5],
        "fmllr": [2, 4],
        "fmllr_frames": 200,
        "tree": {"leaves": 40, "minimum_gain": 20},
    },
}


def _speech(folder, utterances=60):
    """Sentences of a toy language: each phone a place in the space, 5 to 9 frames."""
    generator = np.random.default_rng(5)
    places = dict(zip(PHONES, generator.normal(scale=6, size=(len(PHONES), 13)), strict=True))
    features, text, truth = {}, {}, {}
    for number in range(utterances):
        name = f"s{number % 4}-{number:03d}"
        text[name] = [str(w) for w in generator.choice(sorted(WORDS), 4)]
        sequence = ["SIL"]
        for place, word in enumerate(text[name]):
            sequence += WORDS[word].split()
            if place == 3 or generator.random() < 0.3:
                sequence.append("SIL")
        lengths = [
            int(generator.integers(12, 25) if phone == "SIL" else generator.integers(5, 10))
            for phone in sequence
        ]
        middle = np.repeat([places[phone] for phone in sequence], lengths, axis=0)
        noise = generator.normal(scale=1.0, size=middle.shape)
        features[name] = (middle + noise + 3 * (number % 4)).astype(np.float32)
        truth[name] = list(zip(sequence, lengths, strict=True))
    data = DataDirectory(
        dict.fromkeys(sorted(text), "none.wav"),
        text,
        {u: u[:2] for u in text},
        dict.fromkeys(text, "01"),
        {u: len(features[u]) / 100 for u in text},
    )
    write_archive(folder / "mfcc.scp", sorted(features.items()))
    speakers = {
        speaker: cmvn_statistics([features[u] for u in members])
        for speaker, members in data.speakers.items()
    }
    write_archive(folder / "cmvn.scp", speakers.items())
    lexicon = folder / "lexicon.txt"
    lexicon.write_text("".join(f"{word} {phones}\n" for word, phones in WORDS.items()))
    return data, folder / "mfcc.scp", folder / "cmvn.scp", lexicon, truth


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    return _speech(tmp_path_factory.mktemp("speech"))


def _train(speech, folder, threads):
    data, mfcc, cmvn, lexicon, _ = speech
    train_monophone(data, mfcc, cmvn, lexicon, folder / "mono", OPTIONS, threads)
    for before, stage in (("mono", "tri1"), ("tri1", "tri2b"), ("tri2b", "tri3b")):
        train_triphones(
            stage, data, mfcc, cmvn, lexicon, folder / before, folder / stage, OPTIONS, threads
        )
    align_set(
        folder / "tri2b" / "model.npz",
        data,
        mfcc,
        cmvn,
        lexicon,
        folder / "alignments",
        OPTIONS,
        threads,
    )


@pytest.fixture(scope="module")
def trained(speech, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    _train(speech, folder, 1)
    return folder


def test_likelihood_rises_between_realignments(trained):
    for stage in ("mono", "tri1", "tri2b", "tri3b"):
        rows = read_jsonl(trained / stage / "likelihoods.jsonl")
        values = [row["log_likelihood_per_frame"] for row in rows]
        assert values[-1] > values[1]
        for before, row in zip(values[1:], rows[2:], strict=False):
            if not {"failed", "mllt_improvement", "fmllr_improvement"} & row.keys():
                assert row["log_likelihood_per_frame"] > before - 0.01, (stage, row)
        assert not any("seconds" in json.dumps(row) for row in rows)
    rows = read_jsonl(trained / "tri2b" / "likelihoods.jsonl")
    assert [row["pass"] for row in rows if "mllt_improvement" in row] == [2, 4]
    assert all(row["mllt_improvement"] >= 0 for row in rows if "mllt_improvement" in row)


def test_boundaries_are_those_of_the_synthesis(speech, trained):
    *_, truth = speech
    errors, wrong, times = [], 0, {}
    for line in (trained / "alignments" / "phones.ctm").read_text().splitlines():
        name, _, start, duration, phone = line.split()
        times.setdefault(name, []).append((phone.split("_")[0], float(start), float(duration)))
    for name, sequence in truth.items():
        found = times[name]
        if [phone for phone, _, _ in found] != [phone for phone, _ in sequence]:
            wrong += 1
            continue
        starts = np.cumsum([0] + [length for _, length in sequence[:-1]])
        errors += [abs(100 * f[1] - s) for f, s in zip(found, starts, strict=True)]
    assert wrong <= 0.05 * len(truth)
    assert np.median(errors) <= 1 and np.quantile(errors, 0.9) <= 3


def test_alignments_fit_features_and_model(speech, trained):
    data, mfcc, *_ = speech
    model = HmmModel.read(trained / "tri2b" / "model.npz")
    features = Archive(mfcc)
    pdfs = Archive(trained / "alignments" / "pdf.scp")
    transitions = Archive(trained / "alignments" / "transition.scp")
    assert set(pdfs) == set(transitions) == set(data.wav)
    for utterance in data.wav:
        assert len(pdfs[utterance]) == len(transitions[utterance]) == len(features[utterance])
        assert (model.transition_pdf[transitions[utterance] - 1] == pdfs[utterance]).all()
    assert (trained / "alignments" / "failed.txt").read_text() == ""
    words = [
        line.split() for line in (trained / "alignments" / "words.ctm").read_text().splitlines()
    ]
    said = {u: [w for n, *_, w in words if n == u] for u in data.wav}
    assert said == data.text


def test_two_processes_give_the_same_bytes(speech, trained, tmp_path):
    _train(speech, tmp_path, 2)
    # a crc holds a checksum of its index, with the paths in it
    made = (p for p in trained.rglob("*") if p.is_file() and p.suffix != ".crc")
    files = sorted(p.relative_to(trained) for p in made)
    assert len(files) == 4 * 6 + 2 + 7
    for name in files:
        one, two = (trained / name).read_bytes(), (tmp_path / name).read_bytes()
        if name.suffix == ".scp":
            two = two.replace(str(tmp_path).encode(), str(trained).encode())
        assert one == two, name


def test_without_cache_the_same_bytes(speech, trained, tmp_path):
    data, mfcc, cmvn, lexicon, _ = speech
    options = {**OPTIONS, "cached_frames": 0}
    train_monophone(data, mfcc, cmvn, lexicon, tmp_path, options)
    assert (tmp_path / "model.npz").read_bytes() == (trained / "mono" / "model.npz").read_bytes()


def test_recognition_in_passes_adapts_to_the_speaker(speech, trained, tmp_path):
    data, mfcc, cmvn, lexicon, _ = speech
    model = HmmModel.read(trained / "tri3b" / "model.npz")
    assert model.independent.num_gaussians == model.mixtures.num_gaussians
    entries = read_lexicon(lexicon)
    graph = estimate(list(data.text.values()), sorted(entries), 1, [1])
    make_graph(model, entries, graph, tmp_path)
    path = trained / "tri3b" / "model.npz"
    system = System(path, mfcc, cmvn, data.speaker, SatOptions(fmllr_frames=200))
    options = DecodingOptions(acoustic_scales=[0.1, 0.2], beams=[11])
    tuning = tune_system(system, data.text, tmp_path, options)
    assert set(system.transforms) == set(data.speakers)
    assert max(tuning["dev_wer"], tuning["first_pass"]["dev_wer"]) < 10
    before = dict(acoustic_scores(path, mfcc, cmvn, data.speaker))
    after = dict(system.scores())
    aligned = Archive(trained / "tri3b" / "alignments.scp")
    gain = 0.0
    for u in data.wav:
        pdfs = model.transition_pdf[aligned[u] - 1]
        volume = np.linalg.slogdet(system.transforms[data.speaker[u]][:, :-1])[1]
        gain += ((after[u] - before[u])[np.arange(len(pdfs)), pdfs] + volume).sum()
    assert gain > 0
    fresh = System(path, mfcc, cmvn, data.speaker, SatOptions(fmllr_frames=200))
    found = decode_system(fresh, tmp_path, tuning)
    errors = sum(count_errors(data.text[u], found[u].words).errors for u in data.wav)
    assert errors <= 0.1 * sum(map(len, data.text.values()))


def test_an_exported_run_adapts_a_recording_as_a_set_is_adapted(speech, trained, tmp_path):
    data, mfcc, cmvn, lexicon, _ = speech
    path, graph = trained / "tri3b" / "model.npz", tmp_path / "graph"
    hmm = HmmModel.read(path)
    entries = read_lexicon(lexicon)
    make_graph(hmm, entries, estimate(list(data.text.values()), sorted(entries), 1, [1]), graph)
    search = {"acoustic_scale": 0.1, "beam": 11.0, "max_active": 500, "min_active": 20}
    tuning = {**search, "word_penalty": 0.0, "prior_scale": 1.0}
    options = {"kind": "dnn", "input": "fmllr", "layers": 1, "units": 8, "splice": 1, "lda": None}
    network = build_network(options, hmm.mixtures.dimension, hmm.num_pdfs, 1).eval()
    meta = {"run": "small", "seed": 1, "tree": hmm.tree_digest}
    save_model(tmp_path / "model.pt", network, options, torch.zeros(hmm.num_pdfs), meta)

    speaker = dict.fromkeys(sorted(data.speakers["s0"]), "s0")
    system = System(path, mfcc, cmvn, speaker, SatOptions(fmllr_frames=200))
    adapt_system(system, Graph(graph), {"first_pass": tuning})
    adapted = {utterance: matrix.numpy() for utterance, matrix in system.adapted()}
    assert set(system.transforms) == set(speaker.values())
    of_mfcc = cmvn_statistics(load_features(mfcc, None, speaker).values())
    of_adapted = cmvn_statistics(adapted.values())
    spoken = {u: apply_cmvn(matrix, of_adapted) for u, matrix in adapted.items()}

    own = {"tuning": {"first_pass": tuning}, "options": {"fmllr_frames": 200}}
    for place in (graph, shutil.copytree(graph, tmp_path / "other")):  # that of the network or not
        folder = tmp_path / f"exported-{place.name}"
        adaptation = Adaptation(path, place, statistics=of_mfcc, **own)
        files = tmp_path / "model.pt", graph
        export_run(*files, tuning, {}, 16000, of_adapted, spoken, folder, adaptation)
        assert (folder / "adaptation" / "HCLG.fst").is_file() == (place != graph)
        run = ExportedRun(folder)
        found = run.network_input(list(load_features(mfcc, None, speaker).values()))
        for matrix, expected in zip(found, spoken.values(), strict=True):
            np.testing.assert_allclose(matrix, expected, rtol=1e-3, atol=1e-3)

    # of two frames no transform is learnt
    (short,) = run.adapter.adapt([np.zeros((2, 13), np.float32)])
    np.testing.assert_allclose(short, hmm.prepare(np.zeros((2, 13), np.float32)), atol=1e-6)

    (folder / "adaptation.npz").unlink()
    with pytest.raises(DataError, match=r"adaptation\.npz: no such file; export the run once more"):
        ExportedRun(folder)


def test_adapted_features_of_a_training_set(speech, trained, tmp_path):
    data, mfcc, cmvn, _, _ = speech
    folder = trained / "tri3b"
    system = System(folder / "model.npz", mfcc, cmvn, data.speaker, SatOptions(fmllr_frames=200))
    before = {utterance: matrix.numpy() for utterance, matrix in system.adapted()}
    adapt_to_alignments(system, folder / "alignments.scp")
    assert set(system.transforms) == set(data.speakers)
    write_adapted_features(system, tmp_path / "fmllr.scp", tmp_path / "cmvn_fmllr.scp")
    written, statistics = Archive(tmp_path / "fmllr.scp"), Archive(tmp_path / "cmvn_fmllr.scp")
    for speaker in data.speakers:
        own = [u for u in sorted(data.wav) if data.speaker[u] == speaker]
        for u in own:
            transform = system.transforms[speaker]
            expected = before[u] @ transform[:, :-1].T + transform[:, -1]
            np.testing.assert_allclose(written[u], expected, rtol=1e-4, atol=1e-4)
        expected = cmvn_statistics([written[u] for u in own])
        np.testing.assert_allclose(statistics[speaker], expected, rtol=1e-6)
    # of silence nothing is learnt: the same as without its frames
    pdf = system.hmm.transition_pdf
    aligned = Archive(folder / "alignments.scp")
    again = System(folder / "model.npz", mfcc, cmvn, data.speaker, system.options)
    again.adapt({u: pdf[aligned[u] - 1] for u in aligned})
    again.adapt({u: pdf[aligned[u] - 1] for u in aligned})
    for speaker, transform in system.transforms.items():
        np.testing.assert_array_equal(again.transforms[speaker], transform)
    assert system.options.silence_weight == 0


def test_a_speaker_adapted_model_aligns_with_transforms(speech, trained, tmp_path):
    data, mfcc, cmvn, lexicon, _ = speech
    align_set(
        trained / "tri3b" / "model.npz", data, mfcc, cmvn, lexicon, tmp_path, OPTIONS, threads=1
    )
    one = Archive(trained / "alignments" / "transition.scp")
    other = Archive(tmp_path / "transition.scp")
    old = HmmModel.read(trained / "tri2b" / "model.npz")
    new = HmmModel.read(trained / "tri3b" / "model.npz")
    same = [
        (old.transition_phone[one[u] - 1] == new.transition_phone[other[u] - 1]).mean()
        for u in data.wav
    ]
    assert np.mean(same) > 0.9


def test_alignments_of_another_tree_are_refused(speech, trained, tmp_path):
    data, mfcc, cmvn, lexicon, _ = speech
    trees = {s: HmmModel.read(trained / s / "model.npz").tree_digest for s in ("mono", "tri2b")}
    assert trees["mono"] != trees["tri2b"]
    for name in ("pdf", "transition"):
        assert Archive(trained / "alignments" / f"{name}.scp").tree == trees["tri2b"]
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    shutil.copy(trained / "mono" / "model.npz", mixed)
    for suffix in ("ark", "scp", "crc"):
        shutil.copy(trained / "tri2b" / f"alignments.{suffix}", mixed)
    told = f"tree '{trees['tri2b'][:12]}', those of {mixed}/model.npz of '{trees['mono'][:12]}'"
    with pytest.raises(DataError, match=f"mixed/alignments.scp: its pdfs are of the {told}; del"):
        train_triphones("tri1", data, mfcc, cmvn, lexicon, mixed, tmp_path / "tri1", OPTIONS)
    system = System(trained / "tri3b" / "model.npz", mfcc, cmvn, data.speaker)
    with pytest.raises(DataError, match="delete the older of the two"):
        adapt_to_alignments(system, trained / "tri1" / "alignments.scp")


def test_foreign_words_and_other_phones_are_refused(speech, trained, tmp_path):
    data, mfcc, cmvn, lexicon, _ = speech
    other = tmp_path / "lexicon.txt"
    other.write_text("po P O\n")
    with pytest.raises(DataError, match="no word of the transcripts"):
        train_monophone(data, mfcc, cmvn, other, tmp_path / "mono", OPTIONS)
    other.write_text(lexicon.read_text() + "X X\n")
    with pytest.raises(DataError, match="other phones"):
        train_triphones(
            "tri1", data, mfcc, cmvn, other, trained / "mono", tmp_path / "tri1", OPTIONS
        )


def test_wrong_transcripts_are_an_error(speech, tmp_path):
    data, mfcc, cmvn, lexicon, _ = speech
    long = {u: text * 12 for u, text in data.text.items()}
    wrong = DataDirectory(data.wav, long, data.speaker, data.condition, data.duration)
    with pytest.raises(DataError, match="60 of 60 utterances cannot be aligned"):
        train_monophone(wrong, mfcc, cmvn, lexicon, tmp_path / "mono", OPTIONS, 2)


def test_absent_features_are_named(speech, tmp_path):
    data, _, cmvn, lexicon, _ = speech
    name = max(data.wav)
    write_archive(
        tmp_path / "mfcc.scp",
        ((u, np.ones((30, 13), np.float32)) for u in data.wav if u != name),
    )
    with pytest.raises(DataError, match=name):
        train_monophone(data, tmp_path / "mfcc.scp", cmvn, lexicon, tmp_path, OPTIONS, 2)


class _Worker:
    def __init__(self, shard):
        self.shard = shard

    def square(self):
        return self.shard**2

    def fail(self):
        if self.shard == 3:
            raise ValueError("three")
        return 0

    def die(self):
        import os

        os._exit(9)


@pytest.mark.parametrize("threads", [1, 3])
def test_crew_keeps_the_order(threads):
    with Crew(_Worker, list(range(7)), threads) as crew:
        assert crew.run("square") == [n * n for n in range(7)]
        assert crew.run("square") == [n * n for n in range(7)]


def test_crew_reports_failures_and_deaths():
    with Crew(_Worker, list(range(7)), 2) as crew, pytest.raises(TrainingError, match="three"):
        crew.run("fail")
    with Crew(_Worker, list(range(4)), 2) as crew, pytest.raises(TrainingError, match="exit code"):
        crew.run("die")


def test_statistics_of_shards_are_merged_by_key():
    one = (np.array([[0, 1], [2, 3]]), np.array([[1.0], [2.0]]))
    two = (np.array([[1, 1], [2, 3]]), np.array([[5.0], [7.0]]))
    keys, sums = merge_statistics([one, two])
    assert keys.tolist() == [[0, 1], [1, 1], [2, 3]] and sums[:, 0].tolist() == [1, 5, 9]


def test_options_are_described_and_unknown_ones_refused():
    def walk(model):
        for name, field in model.model_fields.items():
            assert field.description, name
            if hasattr(field.annotation, "model_fields"):
                walk(field.annotation)

    walk(HmmOptions)
    with pytest.raises(ValueError, match="leafs"):
        HmmOptions.model_validate({"tri1": {"tree": {"leafs": 3}}})
    assert math.isclose(HmmOptions().mono.alignment.boost_silence, 1.25)
