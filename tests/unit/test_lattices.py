"""Lattices against every path of a graph made by hand, and against the plain decoder."""

import math
import zipfile

import numpy as np
import pytest

from darkknowledge.checksums import write_checksums
from darkknowledge.decoding import Decoder, Graph, decode_each
from darkknowledge.errors import DataError
from darkknowledge.graph.compose import make_graph
from darkknowledge.graph.fst import make_fst
from darkknowledge.graph.lm import estimate
from darkknowledge.lattices.decoding import LatticeDecoder
from darkknowledge.lattices.files import INDEX, read_lattices, write_lattices, write_nbest
from darkknowledge.lattices.kaldi import write_kaldi_lattices
from darkknowledge.lattices.paths import ARC, Lattice, best_path, nbest, oracle, rescore
from darkknowledge.lattices.scoring import LatticeScores, choose_scales
from darkknowledge.lattices.states import sweep
from darkknowledge.word_errors import count_errors
from darkknowledge.zipped import write_sealed
from tests.unit.test_decoding import LEXICON, MODEL, WORDS, speak

EVERYTHING = 1000.0
FRAMES = 5
# (source, target, pdf + 1, word, cost): homophones, labels before, at and after the frames of
# their words, arcs without frames, two alignments of every sequence
HAND_MADE = [
    (0, 0, 1, 0, 0.31),
    (0, 1, 2, 1, 0.53),
    (0, 2, 2, 2, 0.72),
    (0, 3, 3, 0, 0.23),
    (1, 1, 2, 0, 0.11),
    (1, 4, 0, 0, 0.42),
    (2, 4, 3, 0, 0.64),
    (2, 4, 1, 0, 0.97),
    (3, 4, 4, 3, 0.36),
    (3, 3, 3, 0, 0.19),
    (3, 4, 0, 1, 0.81),
    (4, 0, 0, 0, 0.26),
    (4, 5, 1, 2, 1.07),
    (5, 5, 2, 0, 0.13),
    (5, 0, 0, 0, 0.05),
]
FINAL = {4: 0.1, 5: 0.3}
NAMES = ["<eps>", "A", "B", "C"]


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hand")
    make_fst(0, FINAL, HAND_MADE, 6).write(folder / "HCLG.fst")
    (folder / "words.txt").write_text("".join(f"{w} {i}\n" for i, w in enumerate(NAMES)))
    write_checksums(folder, ["HCLG.fst", "words.txt"])
    return Graph(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    text = [["ONE", "TWO", "SIX"], ["TWO", "ONE"], ["SIX", "SIX", "ONE"], ["TWO"]]
    make_graph(MODEL, LEXICON, estimate(text, WORDS, 2, [1]), folder)
    return folder


@pytest.fixture(scope="module")
def composed(folder):
    return Graph(folder)


def scores_of(seed: int, frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(seed).normal(-1, 2, (frames, 4)).astype(np.float32)


def enumerate_paths(scores: np.ndarray, scale: float, penalty: float = 0.0) -> dict:
    """Walk every path; return (total, graph, acoustic) of the best of each word sequence."""
    found: dict[tuple, tuple] = {}

    def walk(state, frame, words, graph, acoustic):
        if frame == len(scores) and state in FINAL:
            cost = graph + FINAL[state]
            total = cost + scale * acoustic + penalty * len(words)
            found[words] = min(found.get(words, (math.inf,)), (total, cost, acoustic))
        for source, target, label, word, cost in HAND_MADE:
            if source != state or (label and frame == len(scores)):
                continue
            walk(
                target,
                frame + (label > 0),
                words + ((NAMES[word],) if word else ()),
                graph + cost,
                acoustic - (scores[frame, label - 1] if label else 0.0),
            )

    walk(0, 0, (), 0.0, 0.0)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scale, penalty", [(1.0, 0.0), (0.3, 0.7)])
def test_nbest_is_every_word_sequence_in_order(hand_made, seed, scale, penalty):
    scores = scores_of(seed)
    decoder = LatticeDecoder(hand_made, scale, EVERYTHING, EVERYTHING, word_penalty=penalty)
    expected = sorted((total, words) for words, (total, *_) in
                      enumerate_paths(scores, scale, penalty).items())  # fmt: skip
    found = nbest(decoder.decode(scores), 10**6)
    assert len(found) == len(expected) > 20
    assert {path.words for path in found} == {words for _, words in expected}
    assert [p.total for p in found] == pytest.approx([t for t, _ in expected], abs=1e-3)
    every = enumerate_paths(scores, scale, penalty)
    for path in found:
        assert (path.total, path.graph, path.acoustic) == pytest.approx(every[path.words], abs=1e-3)


@pytest.mark.parametrize("beam", [0.5, 2.0, 5.0])
def test_the_beam_keeps_all_that_is_near_and_no_arc_that_is_not(hand_made, beam):
    for seed in range(5):
        scores = scores_of(seed)
        lattice = LatticeDecoder(hand_made, 1.0, EVERYTHING, beam).decode(scores)
        every = enumerate_paths(scores, 1.0)
        least = min(total for total, *_ in every.values())
        near = {words for words, (total, *_) in every.items() if total <= least + beam - 1e-3}
        paths = nbest(lattice, 10**6)
        assert near <= {path.words for path in paths}
        inside = {arc for path in paths if path.total <= least + beam + 1e-3
                  for arc in zip(path.words, path.starts, path.ends, strict=True)}  # fmt: skip
        for arc in lattice.arcs[lattice.arcs["word"] != 0]:
            assert (lattice.words[arc["word"]], arc["start"], arc["end"]) in inside


def test_arcs_are_sorted_and_deterministic(hand_made):
    arcs = LatticeDecoder(hand_made, 1.0, EVERYTHING, EVERYTHING).decode(scores_of(0)).arcs
    assert (arcs["source"] < arcs["target"]).all() and (np.diff(arcs["source"]) >= 0).all()
    assert len(np.unique(arcs[["source", "word"]])) == len(arcs)
    assert (arcs["word"] == 0).tolist() == (arcs["target"] == arcs["target"].max()).tolist()


def test_a_cut_lattice_keeps_the_best_paths(hand_made, caplog):
    scores = scores_of(1)
    whole = nbest(LatticeDecoder(hand_made, 1.0, EVERYTHING, EVERYTHING).decode(scores), 5)
    with caplog.at_level("INFO", logger="darkknowledge"):
        cut = LatticeDecoder(hand_made, 1.0, EVERYTHING, EVERYTHING, max_arcs=30).decode(
            scores, "u"
        )
    assert nbest(cut, 1) == [whole[0]] and len(cut.arcs) < 60
    assert "u: the lattice is cut" in caplog.text


@pytest.mark.parametrize("seed", range(4))
def test_oracle_is_the_least_of_all_paths(hand_made, seed):
    lattice = LatticeDecoder(hand_made, 1.0, EVERYTHING, 4.0).decode(scores_of(seed))
    paths = nbest(lattice, 10**6)
    rng = np.random.default_rng(seed)
    for _ in range(15):
        reference = rng.choice(["A", "B", "C", "D"], rng.integers(1, 7)).tolist()
        counts, words = oracle(lattice, reference)
        assert words in {path.words for path in paths}
        assert counts == count_errors(reference, words)
        assert counts.errors == min(count_errors(reference, p.words).errors for p in paths)


def test_rescoring_is_the_best_path_under_other_scales(hand_made):
    settings = [(scale, penalty) for scale in (0.5, 1.0, 1.5) for penalty in (-1.0, 0.0, 2.0)]
    for seed in range(4):
        lattice = LatticeDecoder(hand_made, 1.0, EVERYTHING, EVERYTHING).decode(scores_of(seed))
        paths = nbest(lattice, 10**6)
        for (scale, penalty), found in zip(settings, rescore(lattice, settings), strict=True):
            totals = [p.graph + scale * p.acoustic + penalty * len(p.words) for p in paths]
            assert found.total == pytest.approx(min(totals))
            assert found == nbest(lattice, 1, scale, penalty)[0]
            searched = Decoder(hand_made, scale, 100.0, word_penalty=penalty)
            cost = searched.decode(scores_of(seed)).score
            if scale == 1.0:
                assert found.total == pytest.approx(cost, abs=1e-3)
            assert found.total >= cost - 1e-3


def test_rescoring_agrees_with_a_search_at_that_scale(composed):
    settings = [(scale, penalty) for scale in (0.4, 0.5, 0.7) for penalty in (0.0, 1.0)]
    for seed in range(4):
        scores = speak(["TWO", "ONE", "SIX"], 2, seed=seed, level=4.0, silence=(1,))
        lattice = LatticeDecoder(composed, 0.5, 40.0, 10.0).decode(scores)
        for (scale, penalty), found in zip(settings, rescore(lattice, settings), strict=True):
            searched = Decoder(composed, scale, 40.0, word_penalty=penalty).decode(scores)
            assert found.words == searched.words
            assert found.total == pytest.approx(searched.score, rel=0.02)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("penalty", [0.0, 1.5, -2.0])
def test_the_best_path_is_that_of_the_plain_decoder(composed, seed, penalty):
    scores = speak(["TWO", "ONE", "SIX"], 2, seed=seed, level=1.5, silence=(1, 3))
    plain = Decoder(composed, 0.5, 20.0, max_active=10**6, word_penalty=penalty).decode(scores)
    lattice = LatticeDecoder(composed, 0.5, 20.0, 4.0, word_penalty=penalty).decode(scores)
    found = best_path(lattice)
    assert (found.words, found.starts, found.ends) == (plain.words, plain.starts, plain.ends)
    assert found.total == pytest.approx(plain.score, abs=1e-3)
    assert lattice.reached_final == plain.reached_final and lattice.frames == plain.frames
    assert nbest(lattice, 1) == [found]


@pytest.mark.parametrize("seed", range(4))
def test_bounds_on_the_states_alive_are_those_of_the_plain_decoder(composed, seed):
    scores = speak(["TWO", "ONE", "SIX"], 3, seed=seed, level=1.0)
    for bounds in ({"max_active": 8, "min_active": 2}, {"max_active": 50, "min_active": 12}):
        plain = Decoder(composed, 0.5, 3.0, **bounds).decode(scores)
        found = best_path(LatticeDecoder(composed, 0.5, 3.0, 2.0, **bounds).decode(scores))
        assert (found.words, found.starts) == (plain.words, plain.starts)
        assert found.total == pytest.approx(plain.score, abs=1e-3)


def test_times_lie_in_the_utterance_and_words_follow_one_another(composed):
    scores = speak(["TWO", "ONE", "SIX"], 3, seed=3, level=1.0)
    lattice = LatticeDecoder(composed, 0.5, 20.0, 5.0).decode(scores)
    spoken = lattice.arcs[lattice.arcs["word"] != 0]
    assert (spoken["start"] >= 0).all() and (spoken["start"] < spoken["end"]).all()
    assert (spoken["end"] <= len(scores)).all()
    assert lattice.depth == pytest.approx((spoken["end"] - spoken["start"]).sum() / len(scores))


def test_times_without_boundaries_follow_the_labels(folder, tmp_path):
    for name in ("HCLG.fst", "words.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_checksums(tmp_path, ["HCLG.fst", "words.txt"])
    for seed in range(5):
        scores = speak(["TWO", "ONE", "SIX"], 3, seed=seed)
        plain = Decoder(tmp_path, 1.0).decode(scores)
        found = best_path(LatticeDecoder(tmp_path, 1.0).decode(scores))
        assert (found.words, found.ends) == (plain.words, plain.ends)
        assert found.starts == plain.starts


def test_incomplete_paths_are_marked(composed):
    scores = speak(["SIX"])[:5]
    plain = Decoder(composed, 1.0, beam=1.0, min_active=1).decode(scores)
    lattice = LatticeDecoder(composed, 1.0, beam=1.0, min_active=1).decode(scores)
    assert not plain.reached_final and not lattice.reached_final
    assert best_path(lattice).words == plain.words


def test_bad_likelihoods_are_refused(composed):
    with pytest.raises(DataError, match="u1: no frames"):
        LatticeDecoder(composed).decode(np.zeros((0, 100), np.float32), "u1")
    with pytest.raises(DataError, match="u2.*NaN"):
        LatticeDecoder(composed).decode(np.full((4, 100), np.nan, np.float32), "u2")


def test_nothing_recognised(tmp_path):
    make_fst(0, {2: 0.0}, [(0, 1, 1, 1, 0.0), (1, 2, 2, 0, 0.0)], 3).write(tmp_path / "HCLG.fst")
    (tmp_path / "words.txt").write_text("<eps> 0\nA 1\n")
    write_checksums(tmp_path, ["HCLG.fst", "words.txt"])
    lost = LatticeDecoder(tmp_path).decode(scores_of(0))
    assert len(lost.arcs) == 0 and not lost.reached_final
    empty = Lattice(np.zeros(0, ARC), ("<eps>",), 7, False, 0.1, 0.0, 6.0)
    assert best_path(empty).words == () and best_path(empty).total == math.inf
    assert nbest(empty, 3) == [] and empty.depth == 0.0 and empty.num_states == 0
    counts, words = oracle(empty, ["A", "B"])
    assert counts.deletions == 2 and words == ()


@pytest.fixture
def some(composed):
    items = [(f"u{i}", speak(["ONE", "SIX"], 2, seed=i, level=2.0)) for i in range(5)]
    return items, LatticeDecoder(composed, 0.5, 20.0, 5.0)


def same(one: Lattice, other: Lattice) -> bool:
    return (one.arcs.tolist(), one.words, one.frames, one.lattice_beam, one.reached_final) == (
        other.arcs.tolist(), other.words, other.frames, other.lattice_beam, other.reached_final
    )  # fmt: skip


def test_processes_agree(some):
    items, decoder = some
    alone, together = dict(decode_each(items, decoder)), dict(decode_each(iter(items), decoder, 2))
    assert list(alone) == list(together) and all(same(alone[u], together[u]) for u in alone)


def test_a_file_gives_back_what_was_written(some, tmp_path):
    items, decoder = some
    lattices = dict(decode_each(items, decoder))
    lattices["none"] = Lattice(np.zeros(0, ARC), ("<eps>",), 7, False, 0.5, 0.0, 5.0)
    assert write_lattices(tmp_path / "lattices.npz", lattices.items()) == 6
    found = dict(read_lattices(tmp_path / "lattices.npz"))
    assert list(found) == sorted(lattices) and all(same(found[u], lattices[u]) for u in lattices)
    assert np.load(tmp_path / "lattices.npz")["u1/arcs"].dtype == ARC
    write_lattices(tmp_path / "again.npz", lattices.items())
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "lattices.npz").read_bytes()
    with pytest.raises(DataError, match="u0 is written twice"):
        write_lattices(tmp_path / "twice.npz", [*lattices.items(), ("u0", lattices["u0"])])
    assert not (tmp_path / "twice.npz").exists()


def _from_kaldi(lines, names):
    """Arcs (source, target, word, graph, acoustic) and final costs by state, as Kaldi reads."""
    arcs, final = [], {}
    for line in lines:
        *ends, weight = line.split()
        graph, acoustic, transitions = weight.split(",")
        assert transitions == ""
        cost = float(np.float32(graph)), float(np.float32(acoustic))
        if len(ends) == 1:
            final[int(ends[0])] = cost
        else:
            source, target, word = map(int, ends)
            arcs.append((source, target, names[word], *cost))
    return arcs, final


def test_kaldi_text_gives_back_words_costs_and_final_states(some, composed, tmp_path):
    items, decoder = some
    lattices = dict(decode_each(items, decoder))
    empty = Lattice(np.zeros(0, ARC), ("<eps>",), 7, False, 0.5, 0.0, 5.0)
    path = tmp_path / "lattices.txt"
    assert write_kaldi_lattices(path, [*lattices.items(), ("none", empty)], composed.words) == 5
    blocks = path.read_text().split("\n\n")
    assert blocks.pop() == "" and len(blocks) == 5
    for block, (utterance, lattice) in zip(blocks, lattices.items(), strict=True):
        first, *lines = block.split("\n")
        assert first == f"{utterance} "
        assert lines[0].split()[0] == "0"  # the first state is where Kaldi starts
        arcs, final = _from_kaldi(lines, composed.words)
        rows = lattice.arcs[["source", "target", "word", "graph", "acoustic"]].tolist()
        assert arcs == [(s, t, lattice.words[w], g, a) for s, t, w, g, a in rows if w]
        assert final == {s: (g, a) for s, _, w, g, a in rows if not w}
    with pytest.raises(DataError, match=r"u0: .* is not in words.txt"):
        write_kaldi_lattices(path, lattices.items(), ["<eps>", "ONE"])


def test_damaged_files_are_refused(some, tmp_path):
    items, decoder = some
    path = tmp_path / "lattices.npz"
    lattices = dict(decode_each(items, decoder))
    write_lattices(path, lattices.items())
    whole = path.read_bytes()

    def refused(message):
        with pytest.raises(DataError, match=message):
            list(read_lattices(path))

    for size in (0, 100, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:size])
        refused("lattices.npz: not a complete archive")
    for place in range(60, len(whole) // 2, len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        refused("lattices.npz: not a complete archive")
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def rewrite(**changed):
        with write_sealed(path) as archive:
            for name, content in (members | changed).items():
                archive.writestr(name, content)

    rewrite(**{INDEX: members[INDEX].replace(b'"version": 1', b'"version": 9')})
    refused("version 9, expected 1")
    rewrite(**{"u1/words.npy": members["u1/arcs.npy"]})
    refused("not a complete archive.*u1")
    del members["u1/arcs.npy"]
    rewrite()
    refused("not a complete archive.*u1")
    path.unlink()
    refused("no such file")


def test_nbest_files(some, tmp_path):
    items, decoder = some
    lists = {u: nbest(lattice, 2) for u, lattice in decode_each(items, decoder)}
    write_nbest(tmp_path / "words", tmp_path / "costs", lists)
    words = (tmp_path / "words").read_text().splitlines()
    costs = (tmp_path / "costs").read_text().splitlines()
    assert len(words) == len(costs) == 10
    assert words[2].split() == ["u1-1", *lists["u1"][0].words]
    key, *numbers = costs[3].split()
    path = lists["u1"][1]
    assert key == "u1-2"
    expected = [path.total, path.graph, path.acoustic]
    assert list(map(float, numbers)) == pytest.approx(expected, abs=1e-4)


def test_scales_are_chosen_by_rescoring(some):
    items, decoder = some
    references = {u: ["ONE", "SIX"] for u, _ in items}
    found = choose_scales(decode_each(items, decoder), references, [0.01, 0.5, 1.0], [0.0, 40.0])
    assert found["utterances"] == 5 and len(found["grid"]) == 6
    assert found["wer"] == min(row["wer"] for row in found["grid"])
    assert found["word_penalty"] == 0.0 and found["lm_scale"] == 1 / found["acoustic_scale"]
    with pytest.raises(DataError, match="no dev utterances"):
        choose_scales([], references, [0.1], [0.0])


def test_scores_of_a_set(some):
    items, decoder = some
    references = {u: ["ONE", "TWO"] for u, _ in items}
    scores = LatticeScores(references, (0.5, 0.0), 4)
    lattices = dict(scores.watch(decode_each(items, decoder)))
    record = scores.record(dict.fromkeys(references, "01"))
    assert list(scores.nbest) == list(lattices) and len(scores.nbest["u0"]) == 4
    assert record["oracle"]["total"]["errors"] <= record["best"]["total"]["errors"]
    assert record["rescored"] == record["best"] and record["best"]["groups"]["A"]["words"] == 10
    frames = sum(len(matrix) for _, matrix in items)
    assert record["arcs_per_frame"] == pytest.approx(
        sum(lattice.num_word_arcs for lattice in lattices.values()) / frames, abs=1e-4
    )
    with pytest.raises(DataError, match="u0 has no reference"):
        list(LatticeScores({}, (0.5, 0.0), 4).watch(lattices.items()))


@pytest.mark.parametrize("step", [1, -1, 10**15])
def test_a_sweep_sorts_by_level_and_state_and_keeps_the_order_of_arcs(step):
    random = np.random.default_rng(5)
    level = step * random.integers(0, 9, 40)
    state = random.integers(0, 40, 300)
    assert np.array_equal(sweep(state, level).order, np.lexsort((state, level[state])))
