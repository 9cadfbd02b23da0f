"""L, G, C, H and their composition, against enumeration of a small language."""

import itertools
import math

import kaldifst
import kaldilm
import numpy as np
import pytest

from darkknowledge.decoding import Decoder
from darkknowledge.errors import DataError
from darkknowledge.graph.arpa import parse_arpa, write_arpa
from darkknowledge.graph.compose import compose_graph, make_graph
from darkknowledge.graph.epsilons import remove_epsilons_locally
from darkknowledge.graph.fst import connected, from_kaldifst, make_fst, read_fst
from darkknowledge.graph.grammar import grammar_fst
from darkknowledge.graph.lm import estimate
from darkknowledge.graph.options import GraphOptions
from darkknowledge.graph.pronunciation import Pronunciation, disambiguate
from darkknowledge.hmm.phones import Lexicon, PhoneTable

LEXICON = Lexicon(
    {
        "SEA": [("S", "IY")],
        "SEE": [("S", "IY")],
        "SEED": [("S", "IY", "D")],
        "EITHER": [("IY", "D"), ("AY", "D")],
        "EYE": [("AY",)],
    }
)
TEXT = [s.split() for s in ("SEA SEE SEED", "EYE SEE", "EITHER EYE SEE <UNK>", "SEED SEE SEA")]


class ToyModel:
    """A model whose tied states and transitions are made up but depend on all they may."""

    def __init__(self, phones: PhoneTable, width: int, states: int = 2, silence_states: int = 3):
        self.phones = phones
        self.context_width = width
        self.central_position = width // 2
        self._states = states
        self._silence_states = silence_states
        self.num_pdfs = 23
        self.tree_digest = "toy"

    def num_states(self, phone):
        return self._silence_states if phone in self.phones.silence else self._states

    def pdf(self, window, state):
        left, phone, right = window if self.context_width == 3 else (0, window[0], 0)
        if phone in self.phones.silence:
            return (phone + state) % 4
        return 4 + (left % 3 + 5 * (phone // 2) + 7 * (right % 2) + 2 * state) % 19

    def transitions(self, phone, state, pdf):
        if phone in self.phones.silence:
            last = self._silence_states - 1
            if state == 0:
                return [(following, 1 / last) for following in range(last)]
            if state < last:
                return [(following, 1 / last) for following in range(1, last + 1)]
            return [(last, 0.75), (last + 1, 0.25)]
        stay = 0.3 + 0.02 * ((phone + state + pdf) % 20)
        return [(state, stay), (state + 1, 1 - stay)]


def language_model():
    return estimate(TEXT, [w for w in LEXICON if w != "<UNK>"], order=3, cutoffs=[1])


def sentence_cost(model, words):
    """Cheapest way through G, where backing off is allowed even when it is not needed."""
    index = model.index
    costs = {1 + index["<s>"]: 0.0}
    for word in [*words, "</s>"]:
        for history in sorted(costs, reverse=True):
            here, cost = history, costs[history]
            while here:
                cost -= model.backoff[here] * math.log(10)
                here = int(model.suffix[here])
                costs[here] = min(costs.get(here, math.inf), cost)
        following = {}
        for history, cost in costs.items():
            node = int(model.find(np.array([history]), np.array([index[word]]))[0])
            if node > 0:
                total = cost - model.log_probability[node] * math.log(10)
                following[node] = min(following.get(node, math.inf), total)
        costs = {}
        for node, cost in following.items():
            while node >= 1 + sum(model.counts[:-1]):
                node = int(model.suffix[node])
            costs[node] = min(costs.get(node, math.inf), cost)
        if word == "</s>":
            return min(following.values())


def viterbi(model, phones, scores, options):
    """Cheapest path of frames through the HMMs of phones, Kaldi's scales applied."""
    padded = [0] * (model.context_width // 2) + list(phones) + [0] * (model.context_width // 2)
    states, arcs, entry = [], {}, {}
    first = 0
    for place, phone in enumerate(phones):
        window = tuple(padded[place : place + model.context_width])
        count = model.num_states(phone)
        for state in range(count):
            pdf = model.pdf(window, state)
            states.append(pdf)
            moves = model.transitions(phone, state, pdf)
            stay = dict(moves).get(state, 0.0)
            for following, probability in moves:
                if following == state:
                    cost = -options.self_loop_scale * math.log(probability)
                else:
                    cost = -options.transition_scale * math.log(probability / (1 - stay))
                    if stay:
                        cost -= options.self_loop_scale * math.log(1 - stay)
                arcs[first + state, first + following] = cost
        first += count
    entry = {0: 0.0}
    for pdf_scores in scores:
        after = {}
        for state, cost in entry.items():
            if state == len(states):
                continue
            spent = cost - pdf_scores[states[state]]
            for (source, target), move in arcs.items():
                if source == state:
                    after[target] = min(after.get(target, math.inf), spent + move)
        entry = after
    return entry.get(len(states), math.inf)


def enumerate_best(model, lm, scores, options, longest=3):
    """Best words and their cost, and that of the second best words."""
    silence = model.phones.silence_phone
    found = []
    for count in range(longest + 1):
        for words in itertools.product(sorted(LEXICON), repeat=count):
            lm_cost = sentence_cost(lm, words)
            best = math.inf
            for variants in itertools.product(*(LEXICON[w] for w in words)):
                for silences in itertools.product((False, True), repeat=count + 1):
                    phones = [silence] if silences[0] else []
                    for variant, following in zip(variants, silences[1:], strict=True):
                        phones += [*model.phones.positioned(variant), *[silence] * following]
                    p = options.silence_probability
                    extra = -sum(math.log(p if s else 1 - p) for s in silences)
                    if len(phones) * 2 > len(scores):  # two states per phone at least
                        continue
                    best = min(best, extra + viterbi(model, phones, scores, options))
            found.append((best + lm_cost, words))
    return sorted(found)


@pytest.fixture(scope="module")
def phones():
    return PhoneTable.from_lexicon(LEXICON)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize(
    "options", [GraphOptions(), GraphOptions(silence_probability=0.2, self_loop_scale=1.0)]
)
def test_best_path_is_that_of_enumeration(tmp_path, phones, width, options):
    model, lm = ToyModel(phones, width), language_model()
    make_graph(model, LEXICON, lm, tmp_path, options)
    decoder = Decoder(tmp_path, 1.0, beam=1e4, max_active=10**6)
    rng = np.random.default_rng(width)
    seen = set()
    for frames in (2, 4, 6, 7):
        scores = rng.normal(0, 4, (frames, model.num_pdfs)).astype(np.float32)
        expected = enumerate_best(model, lm, scores, options)
        got = decoder.decode(scores)
        assert got.reached_final
        assert got.score == pytest.approx(expected[0][0], abs=2e-2)
        if expected[1][0] - expected[0][0] > 5e-2:
            assert got.words == expected[0][1]
            seen.add(got.words)
    assert len(seen) >= 2


def test_homophones_are_told_apart_by_the_language_model(tmp_path, phones):
    model = ToyModel(phones, 3)
    lm = language_model()
    make_graph(model, LEXICON, lm, tmp_path)
    decoder = Decoder(tmp_path, 1.0, beam=1e4, max_active=10**6)
    spoken = []
    padded = (0, *phones.positioned(("AY",)), *phones.positioned(("S", "IY")), 0)
    for place in range(1, 4):
        window = padded[place - 1 : place + 2]
        spoken += [model.pdf(window, state) for state in range(2) for _ in range(2)]
    scores = np.full((len(spoken), model.num_pdfs), -20, np.float32)
    scores[np.arange(len(spoken)), spoken] = 0
    found = decoder.decode(scores)
    assert found.words == ("EYE", "SEE")
    assert sentence_cost(lm, ("EYE", "SEE")) < sentence_cost(lm, ("EYE", "SEA"))
    assert found.starts == (0, 4) and found.ends == (4, 12)


def test_word_with_200_pronunciations(tmp_path):
    variants = [(a, b, c) for a in "ABCDEF" for b in "ABCDEF" for c in "ABCDEF"][:200]
    lexicon = Lexicon({"MANY": variants, "ONE": [("A",)]})
    model = ToyModel(PhoneTable.from_lexicon(lexicon), 3)
    lm = estimate([["MANY", "ONE"], ["ONE"]], ["MANY", "ONE"], order=2, cutoffs=[1])
    make_graph(model, lexicon, lm, tmp_path)
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, (30, model.num_pdfs)).astype(np.float32)
    assert Decoder(tmp_path, 1.0, 100.0).decode(scores).reached_final


def test_words_without_pronunciation_are_refused_by_name(phones):
    lm = estimate(TEXT, [*LEXICON, "ZEBRA", "YAK"])
    with pytest.raises(DataError, match="2 words .* YAK, ZEBRA"):
        compose_graph(ToyModel(phones, 1), LEXICON, lm, GraphOptions())


@pytest.mark.parametrize("entries", [{"HUSH": [("SIL",)]}, {"HUSH": [()]}, {"HUSH": []}])
def test_words_of_nothing_are_refused(phones, entries):
    lexicon = Lexicon({**LEXICON, **entries})
    with pytest.raises(DataError, match="HUSH"):
        compose_graph(ToyModel(phones, 1), lexicon, estimate([["HUSH"]], lexicon), GraphOptions())


@pytest.mark.parametrize("word", ["#0", "<eps>", "<s>"])
def test_reserved_words_are_refused(phones, word):
    lexicon = Lexicon({**LEXICON, word: [("S",)]})
    with pytest.raises(DataError, match="reserved"):
        compose_graph(ToyModel(phones, 1), lexicon, language_model(), GraphOptions())


def test_unspeakable_topologies_are_refused(phones):
    class Stuck(ToyModel):
        def transitions(self, phone, state, pdf):
            return [(state, 1.0)]

    with pytest.raises(DataError, match="way out"):
        compose_graph(Stuck(phones, 1), LEXICON, language_model(), GraphOptions())


def test_same_bytes_twice(tmp_path, phones):
    for folder in ("a", "b"):
        make_graph(ToyModel(phones, 3), LEXICON, language_model(), tmp_path / folder)
    for name in ("HCLG.fst", "words.txt", "boundaries.npy"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_openfst_reads_the_graph(tmp_path, phones):
    make_graph(ToyModel(phones, 3), LEXICON, language_model(), tmp_path)
    graph = read_fst(tmp_path / "HCLG.fst")
    there = kaldifst.StdConstFst.read(str(tmp_path / "HCLG.fst"))
    vector = kaldifst.StdVectorFst(there)
    assert vector.num_states == graph.num_states
    vector.write(str(tmp_path / "vector.fst"))
    again = read_fst(tmp_path / "vector.fst")
    np.testing.assert_array_equal(again.target, graph.target)
    np.testing.assert_array_equal(again.final, graph.final)
    (tmp_path / "short.fst").write_bytes((tmp_path / "HCLG.fst").read_bytes()[:-5])
    with pytest.raises(DataError, match="not a complete FST"):
        read_fst(tmp_path / "short.fst")
    with pytest.raises(DataError, match="no such file"):
        read_fst(tmp_path / "absent.fst")


def test_grammar_is_kaldis(tmp_path):
    lm = language_model()
    write_arpa(tmp_path / "lm.arpa", lm)
    words = [w for w in lm.vocabulary if w not in ("<s>", "</s>")]
    label = {word: i for i, word in enumerate(words, 1)}
    symbols = [("<eps>", 0), *label.items(), ("#0", len(label) + 1)]
    symbols += [("<s>", len(label) + 2), ("</s>", len(label) + 3)]
    (tmp_path / "words.txt").write_text("".join(f"{w} {i}\n" for w, i in symbols))
    text = kaldilm.arpa2fst(
        input_arpa=str(tmp_path / "lm.arpa"),
        disambig_symbol="#0",
        read_symbol_table=str(tmp_path / "words.txt"),
        max_order=3,
    )
    theirs = from_kaldifst(kaldifst.compile(text, acceptor=False))
    ours = grammar_fst(lm, label, len(label) + 1)
    assert (ours.num_states, ours.num_arcs) == (theirs.num_states, theirs.num_arcs)
    for column in ("ilabel", "olabel"):
        np.testing.assert_array_equal(
            np.sort(getattr(ours, column)), np.sort(getattr(theirs, column))
        )
    np.testing.assert_allclose(np.sort(ours.weight), np.sort(theirs.weight), atol=1e-4)
    for sentence in TEXT:
        ends = [path_cost(g, [label[w] for w in sentence], len(label) + 1) for g in (ours, theirs)]
        assert ends[0] == pytest.approx(ends[1], abs=1e-4)
        assert ends[0] == pytest.approx(sentence_cost(lm, sentence), abs=1e-4)


def path_cost(fst, labels, free=0):
    """Cheapest path that reads the labels, `free` read at will."""
    costs = {fst.start: 0.0}

    def close():
        work = list(costs)
        while work:
            state = work.pop()
            for arc in np.flatnonzero((fst.source == state) & np.isin(fst.ilabel, [0, free])):
                total = costs[state] + float(fst.weight[arc])
                if total < costs.get(int(fst.target[arc]), math.inf) - 1e-9:
                    costs[int(fst.target[arc])] = total
                    work.append(int(fst.target[arc]))

    close()
    for label in labels:
        after = {}
        for state, cost in costs.items():
            for arc in np.flatnonzero((fst.source == state) & (fst.ilabel == label)):
                target = int(fst.target[arc])
                after[target] = min(after.get(target, math.inf), cost + float(fst.weight[arc]))
        costs.clear()
        costs.update(after)
        close()
    return min((c + float(fst.final[s]) for s, c in costs.items()), default=math.inf)


def test_disambiguation_symbols():
    phones = [(1, 2), (1, 2), (1,), (3,), (3, 1), (2,)]
    entries = [Pronunciation(word, p) for word, p in enumerate(phones, 1)]
    assert disambiguate(entries) == [1, 2, 1, 1, 0, 0]


def test_local_removal_keeps_all_paths():
    rng = np.random.default_rng(0)
    for _ in range(30):
        states = 8
        arcs = [(s, s + 1, int(rng.integers(0, 3)), 0, 0.5) for s in range(states - 1)]
        for _ in range(6):
            source, target = sorted(rng.choice(states, 2, replace=False))
            arcs.append((int(source), int(target), int(rng.integers(0, 3)), 0, rng.random()))
        final = {states - 1: 0.0, int(rng.integers(states)): 0.25}
        fst = make_fst(0, final, arcs, states)
        smaller = remove_epsilons_locally(fst)
        assert smaller.num_arcs <= fst.num_arcs
        for length in range(4):
            for labels in itertools.product((1, 2), repeat=length):
                before, after = path_cost(fst, labels), path_cost(smaller, labels)
                assert before == pytest.approx(after, abs=1e-5) or before == after


def test_connected_drops_dead_ends():
    fst = make_fst(1, {3: 0.0}, [(1, 3, 1, 1, 0.0), (1, 2, 1, 1, 0.0), (0, 3, 1, 1, 0.0)], 4)
    found = connected(fst)
    assert (found.num_states, found.num_arcs, found.start) == (2, 1, 0)
    with pytest.raises(DataError, match="no path"):
        connected(make_fst(0, {1: 0.0}, [(1, 0, 1, 1, 0.0)], 2))


def test_sentence_cost_agrees_with_the_arpa_file():
    lm = parse_arpa(
        "\\data\\\nngram 1=3\nngram 2=2\n\\1-grams:\n-99 <s> -1\n-1 </s>\n-0.5 A -0.25\n"
        "\\2-grams:\n-0.1 <s> A\n-0.3 A A\n\\end\\\n"
    )
    fst = grammar_fst(lm, {"A": 1}, 2)
    cost = path_cost(fst, [1, 1], 2)
    assert cost == pytest.approx((0.1 + 0.3 + 0.25 + 1) * math.log(10), abs=1e-4)
