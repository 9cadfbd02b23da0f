"""The decoder on a graph small enough to follow by hand, and its tuning."""

import shutil
import subprocess

import numpy as np
import pytest
import torch

from darkknowledge.checkpoints import save_model
from darkknowledge.checksums import write_checksums
from darkknowledge.decoding import (
    Decoder,
    Graph,
    decode_set,
    evenly,
    tune,
)
from darkknowledge.errors import DataError
from darkknowledge.files import read_symbols
from darkknowledge.graph.compose import make_graph
from darkknowledge.graph.lm import estimate
from darkknowledge.graph.options import DecodingOptions
from darkknowledge.hmm.phones import Lexicon, PhoneTable
from darkknowledge.networks.registry import build_network

WORDS = ["ONE", "TWO", "SIX"]
LEXICON = Lexicon({"ONE": [("W", "AH")], "TWO": [("T", "UW")], "SIX": [("S", "IH", "K")]})


class OnePdfPerState:
    """Monophones whose every state is a pdf of its own."""

    context_width = 1
    central_position = 0
    states = 2
    tree_digest = "toy"

    def __init__(self):
        self.phones = PhoneTable.from_lexicon(LEXICON)
        self.num_pdfs = self.states * (len(self.phones) + 1)

    def num_states(self, phone):
        return self.states

    def pdf(self, window, state):
        return self.states * window[0] + state

    def transitions(self, phone, state, pdf):
        return [(state, 0.5), (state + 1, 0.5)]


MODEL = OnePdfPerState()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    text = [["ONE", "TWO", "SIX"], ["TWO", "ONE"], ["SIX", "SIX", "ONE"], ["TWO"]]
    make_graph(MODEL, LEXICON, estimate(text, WORDS, 2, [1]), folder)
    return folder


def speak(words, repeat=2, silence=(), seed=None, level=10.0):
    """Return likelihoods that follow words, a silence before those places listed."""
    pdfs = []
    for place, word in enumerate([*words, None]):
        phones = (MODEL.phones.silence_phone,) if place in silence else ()
        if word is not None:
            phones += tuple(MODEL.phones.positioned(LEXICON[word][0]))
        for phone in phones:
            for state in range(MODEL.states):
                pdfs += [MODEL.pdf((phone,), state)] * repeat
    scores = np.zeros((len(pdfs), MODEL.num_pdfs), np.float32)
    if seed is not None:
        scores += np.random.default_rng(seed).normal(0, 1, scores.shape).astype(np.float32)
    scores[np.arange(len(pdfs)), pdfs] += level
    return scores


def test_words_with_times(folder):
    found = Decoder(folder, 1.0).decode(speak(["TWO", "ONE", "SIX"], 3, silence=(1, 3)))
    assert found.words == ("TWO", "ONE", "SIX")
    assert found.starts == (0, 18, 30)
    assert found.ends == (12, 30, 48)
    assert found.reached_final and found.frames == 54


def test_times_without_boundaries_follow_the_labels(folder, tmp_path):
    for name in ("HCLG.fst", "words.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_checksums(tmp_path, ["HCLG.fst", "words.txt"])
    found = Decoder(tmp_path, 1.0).decode(speak(["TWO", "ONE", "SIX"], 3))
    assert found.words == ("TWO", "ONE", "SIX")
    assert found.starts[1:] == found.ends[:-1] and found.ends[-1] == found.frames


def test_score_is_the_cost_of_the_path(folder):
    scores = speak(["TWO"])
    one, half = Decoder(folder, 1.0).decode(scores), Decoder(folder, 0.5).decode(scores)
    assert one.score - half.score == pytest.approx(-0.5 * 10 * len(scores), abs=1e-2)


def test_incomplete_path_is_reported(folder, caplog):
    scores = speak(["SIX"])[:5]
    decoder = Decoder(folder, 1.0, beam=1.0, min_active=1, max_active=2)
    with caplog.at_level("INFO", logger="darkknowledge"):
        found = decode_set([("cut", scores)], decoder)
    assert not found["cut"].reached_final
    assert "1 of 1 utterances" in caplog.text and "cut" in caplog.text


@pytest.mark.parametrize(
    "scores, message",
    [
        (np.zeros((0, 100), np.float32), "no frames"),
        (np.zeros((4, 3), np.float32), "another model"),
        (np.full((4, 100), np.nan, np.float32), "NaN"),
    ],
)
def test_bad_likelihoods_are_refused(folder, scores, message):
    with pytest.raises(DataError, match=f"u1.*{message}"):
        Decoder(folder).decode(scores, "u1")


def test_processes_agree(folder):
    items = [(f"u{i}", speak(["ONE", "SIX"], 2, seed=i, level=1.0)) for i in range(9)]
    decoder = Decoder(folder, 1.0)
    alone, together = decode_set(items, decoder), decode_set(iter(items), decoder, 2)
    assert alone == together and list(together) == [name for name, _ in items]


def test_errors_of_processes_are_raised(folder):
    items = [("bad", np.full((4, 100), np.nan, np.float32))]
    with pytest.raises(DataError, match="bad"):
        decode_set(items, Decoder(folder), 2)


def test_word_penalty(folder):
    graph = Graph(folder)
    scores = speak(["ONE", "TWO", "ONE"], 2, seed=1, level=2.0)
    counts = [len(Decoder(graph, 1.0, 50.0, word_penalty=p).decode(scores).words)
              for p in (-20.0, 0.0, 1000.0)]  # fmt: skip
    assert counts[0] >= counts[1] > counts[2] == 0
    plain = Decoder(graph, 1.0, 50.0).decode(scores)
    dear = Decoder(graph, 1.0, 50.0, word_penalty=0.5).decode(scores)
    assert dear.words == plain.words
    assert dear.score - plain.score == pytest.approx(0.5 * len(plain.words), abs=1e-3)


def test_tuning_chooses_from_the_grid(folder):
    references = {f"u{i}": [WORDS[i % 3], WORDS[(i + 1) % 3]] for i in range(8)}
    table = {u: speak(w, 2, seed=i, level=3.0) for i, (u, w) in enumerate(references.items())}
    options = DecodingOptions(
        acoustic_scales=[0.001, 0.5, 1.0], beams=[0.1, 8, 20], word_penalties=[0.0, 30.0]
    )
    found = tune(table, references, folder, options)
    assert found["acoustic_scale"] in (0.5, 1.0) and found["word_penalty"] == 0.0
    assert found["beam"] in (8, 20) or found["dev_wer"] == 0
    assert found["dev_wer"] == min(row["wer"] for row in found["grid"] if row["beam"] == 20)
    settings = [(r["acoustic_scale"], r["word_penalty"], r["beam"]) for r in found["grid"]]
    assert len(set(settings)) == len(settings) <= 7
    assert found == tune(lambda: table.items(), references, folder, options, processes=2)


def test_tuning_finds_the_scale_of_the_priors(folder):
    references = {f"u{i}": [WORDS[i % 3], WORDS[(i + 1) % 3]] for i in range(8)}
    table = {u: speak(w, 2, seed=i, level=3.0) for i, (u, w) in enumerate(references.items())}
    pdfs = table["u0"].shape[1]
    priors = np.log(np.random.default_rng(3).dirichlet(np.full(pdfs, 0.1)) + 1e-9)
    priors = priors.astype(np.float32)
    once = {u: scores - 0.5 * priors for u, scores in table.items()}  # half of them too much
    options = DecodingOptions(acoustic_scales=[0.5, 1.0], beams=[20], prior_scales=[0.5, 1, 2])
    found = tune(once, references, folder, options, 1, priors)
    plain = tune(table, references, folder, options)
    assert (found["prior_scale"], plain["prior_scale"]) == (0.5, 1.0)
    assert found["dev_wer"] == plain["dev_wer"] < found["grid"][0]["wer"]
    assert found == tune(once, references, folder, options, 2, priors)
    fixed = options.model_copy(update={"prior_scales": [2.0]})
    assert tune(once, references, folder, fixed, 1, priors)["prior_scale"] == 2.0


def test_tuning_needs_utterances(folder):
    with pytest.raises(DataError, match="no dev utterances"):
        tune({}, {}, folder)


def test_evenly():
    names = [f"u{i}" for i in range(10)]
    assert evenly(reversed(names), 3) == ["u0", "u5", "u7"]
    conditions = [f"s{i // 14:02d}-c{i % 14:02d}" for i in range(280)]
    chosen = evenly(conditions, 20)
    assert len({name[:3] for name in chosen}) == 20
    assert len({name[-3:] for name in chosen}) >= 10
    assert evenly(names, None) == evenly(names, 99) == names


def test_files_that_do_not_fit_are_refused(folder, tmp_path):
    def refused(message, *files):
        write_checksums(tmp_path, ["HCLG.fst", "words.txt", *files])
        with pytest.raises(DataError, match=message):
            Graph(tmp_path)

    (tmp_path / "HCLG.fst").write_bytes((folder / "HCLG.fst").read_bytes())
    (tmp_path / "words.txt").write_text("<eps> 0\nONE 1\n")
    refused("output label")
    (tmp_path / "words.txt").write_text("<eps> 0\nONE 7\n")
    refused("words.txt:2")
    with pytest.raises(DataError, match="no such file"):
        read_symbols(tmp_path / "absent")
    (tmp_path / "words.txt").write_bytes((folder / "words.txt").read_bytes())
    np.save(tmp_path / "boundaries.npy", np.zeros(3, np.uint8))
    refused("boundaries.npy: values of shape", "boundaries.npy")
    (tmp_path / "boundaries.npy").write_bytes(b"no array")
    refused("boundaries.npy: not an array", "boundaries.npy")


def test_a_graph_of_another_tree_is_refused(folder, tmp_path):
    options = {"kind": "dnn", "layers": 1, "units": 2, "splice": 0, "lda": None}
    network = build_network(options, 3, MODEL.num_pdfs, 1)
    path = tmp_path / "model.pt"
    for meta in ({"tree": MODEL.tree_digest}, {"tree": None}, {}):
        save_model(path, network, options, torch.zeros(MODEL.num_pdfs), meta)
        Graph(folder, path)
    save_model(path, network, options, torch.zeros(MODEL.num_pdfs), {"tree": "another"})
    with pytest.raises(DataError, match=f"tree 'toy', those of {path} of 'another'; delete the"):
        Graph(folder, path)


def test_a_graph_is_what_was_written_or_refused(folder, tmp_path):
    names = ("HCLG.fst", "words.txt", "boundaries.npy", "tree.txt", "SHA256SUMS")
    for name in names:
        shutil.copy(folder / name, tmp_path)
    Graph(tmp_path)
    assert subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path).returncode == 0
    for name in names:
        whole = (tmp_path / name).read_bytes()
        for place in range(0, len(whole), 1 + len(whole) // 100):
            changed = bytearray(whole)
            changed[place] ^= 16
            (tmp_path / name).write_bytes(changed)
            with pytest.raises(DataError, match=str(tmp_path)):
                Graph(tmp_path)
        (tmp_path / name).unlink()
        with pytest.raises(DataError, match=f"{name}: no such file"):
            Graph(tmp_path)
        (tmp_path / name).write_bytes(whole)


def test_options_are_checked():
    for wrong in (
        {"acoustic_scales": []},
        {"acoustic_scales": [0]},
        {"beams": [8, 8]},
        {"max_active": 100, "min_active": 200},
    ):
        with pytest.raises(ValueError):
            DecodingOptions(**wrong)
