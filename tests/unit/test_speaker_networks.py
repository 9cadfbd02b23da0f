"""Networks adapted to a speaker, and lattices of training, on a graph small enough to check."""

import numpy as np
import pytest

from darkknowledge.decoding import Decoder, Graph
from darkknowledge.errors import DivergenceError
from darkknowledge.graph.compose import make_graph
from darkknowledge.graph.lm import estimate
from darkknowledge.networks.options import SequenceOptions
from darkknowledge.sequence.search import PathSearch, search_lattices
from darkknowledge.speaker_networks import SpeakerAdaptation
from darkknowledge.training import train_network
from darkknowledge.word_errors import Counts, count_errors
from tests.unit.test_decoding import LEXICON, MODEL, WORDS, speak

DIMENSIONS = 10
MEANS = np.random.default_rng(7).normal(size=(MODEL.num_pdfs, DIMENSIONS))
NETWORK = {"kind": "dnn", "layers": 1, "units": 40, "splice": 1, "lda": None}
TUNING = {
    "acoustic_scale": 0.5,
    "prior_scale": 1.0,
    "word_penalty": 0.0,
    "beam": 12.0,
    "max_active": 2000,
    "min_active": 20,
}
FIVE = {"optimiser": "sgd", "momentum": 0.0, "learning_rate": 0.05, "epochs": 5, "batch": 32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    text = [["ONE", "TWO", "SIX"], ["TWO", "ONE"], ["SIX", "SIX", "ONE"], ["TWO"]]
    make_graph(MODEL, LEXICON, estimate(text, WORDS, 2, [1]), folder)
    return folder


def speaker(seed, shift=0.0, utterances=12, noise=1.0):
    """Make features, pdfs and words of a speaker whose voice is moved by a vector."""
    rng = np.random.default_rng(seed)
    moved = shift * np.random.default_rng(99).normal(size=DIMENSIONS)
    features, pdfs, words = {}, {}, {}
    for number in range(utterances):
        name = f"s{seed}-{number:02d}"
        words[name] = [WORDS[i] for i in rng.integers(0, len(WORDS), 5)]
        pdfs[name] = speak(words[name], 3).argmax(1).astype(np.int32)
        spread = noise * rng.normal(size=(len(pdfs[name]), DIMENSIONS))
        features[name] = (MEANS[pdfs[name]] + moved + spread).astype(np.float32)
    return features, pdfs, words


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Train a network on unmoved voices, and a teacher that knows moved ones."""
    folder = tmp_path_factory.mktemp("models")
    cv = speaker(50)[:2]
    for run, shift, network in (("si", 0.0, NETWORK), ("teacher", 1.2, {**NETWORK, "units": 60})):
        train_network(
            run,
            {"network": network, "training": {"epochs": 6, "batch": 32, "learning_rate": 0.01}},
            speaker(1, shift, 40)[:2],
            cv,
            num_pdfs=MODEL.num_pdfs,
            seed=1,
            **{
                name: folder / run / file
                for name, file in (
                    ("model", "model.pt"),
                    ("metrics", "metrics.jsonl"),
                    ("summary", "summary.json"),
                    ("state", "state"),
                )
            },
        )
    return folder / "si" / "model.pt", folder / "teacher" / "model.pt"


def adaptation(folder, models, targets=None, **training):
    targets = targets or {"targets": "hard"}
    return SpeakerAdaptation(
        "run",
        models[0],
        Graph(folder),
        TUNING,
        {"targets": targets, "training": {**FIVE, **training}},
        seed=1,
        teachers=[models[1]] if targets["targets"] == "soft" else [],
    )


def errors(found, words):
    return sum((count_errors(words[u], h.words) for u, h in found.items()), Counts()).errors


def test_adapted_networks_make_fewer_errors(folder, models):
    features, _, words = speaker(2, shift=1.2)
    still = adaptation(folder, models, learning_rate=1e-9).recognise("s", features)
    own = adaptation(folder, models).recognise("s", features)
    soft = {"targets": "soft"}
    taught = adaptation(folder, models, soft).recognise("s", features, [features])
    assert own.keys() == taught.keys() == features.keys()
    assert 15 < errors(own, words) < errors(still, words)
    assert errors(taught, words) < 0.2 * errors(own, words)
    again = adaptation(folder, models).recognise("s", features)
    assert again == own


def test_an_adaptation_that_diverges_is_named(folder, models):
    features, _, _ = speaker(2, shift=1.2)
    wild = adaptation(folder, models, {"targets": "soft"}, learning_rate=30.0, clip=None)
    with pytest.raises(DivergenceError, match="run seed 1.*lower"):
        wild.recognise("s2", features, [features])


def test_lattices_hold_the_best_path_and_its_rivals(folder):
    graph = Graph(folder)
    options = SequenceOptions(beam=12, lattice_beam=6, max_active=1000)
    search = PathSearch(graph, 0.4, options)
    scores = {
        f"u{seed}": speak(["TWO", "ONE", "SIX"], 3, seed=seed, level=3.0) for seed in range(4)
    }
    pdfs = {u: speak(["TWO", "ONE", "SIX"], 3).argmax(1) for u in scores}
    pdfs["u3"] = np.zeros_like(pdfs["u3"])
    cut = {**scores, "u4": scores["u0"][:1]}  # too short for any word
    found = dict(search_lattices(cut.items(), search, pdfs))
    assert found.keys() == scores.keys()
    best = Decoder(graph, 0.4, beam=12)
    for utterance, lattice in found.items():
        path = np.array(best.decode(scores[utterance]).pdfs)
        assert lattice.contains(path) and lattice.frames == len(path)
        assert len(set(lattice.pdf[lattice.frame[lattice.source] == 5])) > 1
        assert lattice.contains(pdfs[utterance]) == (utterance != "u3")
