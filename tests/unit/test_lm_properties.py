"""What holds for every language model: sums of one, ARPA files read back, a closed vocabulary."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkknowledge.graph.arpa import parse_arpa, perplexity, read_arpa, write_arpa
from darkknowledge.graph.lm import estimate, prune
from tests.unit.test_lm import ARPA, BruteForce, probability, random_text

VOCABULARY = {f"W{i}" for i in range(12)} | {"NEVER"}


class Table:
    """An ARPA file read as dictionaries, apart from the library."""

    def __init__(self, path):
        self.rows = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            fields = line.split("\t")
            if len(fields) > 1:
                ngram = tuple(fields[1].split(" "))
                self.rows[ngram] = float(fields[0]), float(fields[2]) if fields[2:] else 0.0
        self.words = {ngram[0] for ngram in self.rows if len(ngram) == 1} - {"<s>"}

    def probability(self, history, word):
        if (*history, word) in self.rows:
            return 10 ** self.rows[*history, word][0]
        weight = 10 ** self.rows[history][1] if history in self.rows else 1.0
        return weight * self.probability(history[1:], word)

    def totals(self):
        """Sum the probabilities of all words after every history that the file has."""
        histories = [(), *(ngram for ngram in self.rows if ngram[-1] != "</s>")]
        return [sum(self.probability(h, word) for word in self.words) for h in histories]


@pytest.mark.parametrize("pruning", [0, 1e-5, 1e-3])
@pytest.mark.parametrize("cutoffs", [[1], [1, 1, 2], [1, 2, 3], [1, 1, 1, 4]])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_every_history_sums_to_one_in_the_file(tmp_path, order, cutoffs, pruning):
    model = estimate(random_text(7, 120, 14), VOCABULARY, order, cutoffs, pruning)
    write_arpa(tmp_path / "lm.arpa", model)
    table = Table(tmp_path / "lm.arpa")
    assert table.words == {*VOCABULARY, "<UNK>", "</s>"}
    np.testing.assert_allclose(table.totals(), 1, atol=2e-5)
    np.testing.assert_allclose(model.totals(), 1, atol=1e-9)


@pytest.mark.parametrize(
    ("order", "cutoffs"), [(4, (1, 1, 2, 2)), (5, (1, 1, 1, 2, 3)), (9, (1,) * 9)]
)
def test_longer_models_are_the_definition(order, cutoffs):
    text = random_text(8, 200, 8)
    model = estimate(text, {f"W{i}" for i in range(7)}, order, cutoffs)
    brute = BruteForce(text, {f"W{i}" for i in range(7)}, order, cutoffs)
    sentences = [s for s in random_text(9, 60, 8) + text[:60] if len(s) > 3]
    for sentence in sentences[:80]:
        history = ["<s>", *(w if w != "W7" else "<UNK>" for w in sentence[:-1])]
        word = sentence[-1] if sentence[-1] != "W7" else "<UNK>"
        found = probability(model, history, word)
        assert found == pytest.approx(brute.probability(history, word), rel=1e-9)


def test_longest_order_of_long_sentences():
    model = estimate([["A", "B"] * 6, ["B", "A"] * 6], order=9, cutoffs=[1])
    assert model.order == 9 and model.counts[8] > 0
    np.testing.assert_allclose(model.totals(), 1, atol=1e-9)


TEXTS = st.lists(st.lists(st.sampled_from("ABCDEF"), max_size=7), min_size=1, max_size=25)


@settings(deadline=None)
@given(
    text=TEXTS,
    vocabulary=st.sets(st.sampled_from("ABCDXY")),
    order=st.integers(1, 6),
    cutoffs=st.lists(st.integers(1, 4), max_size=4).map(lambda more: [1, *sorted(more)]),
    pruning=st.sampled_from([0, 1e-6, 1e-3, 0.1]),
)
def test_any_text_gives_a_proper_model(tmp_path_factory, text, vocabulary, order, cutoffs, pruning):
    model = estimate(text, vocabulary, order, cutoffs, pruning)
    assert set(model.vocabulary) == {*vocabulary, "<UNK>", "<s>", "</s>"}
    assert model.order <= order
    np.testing.assert_allclose(model.totals(), 1, atol=1e-9)
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    write_arpa(path, model)
    again = read_arpa(path)
    assert again.vocabulary == model.vocabulary and again.counts == model.counts
    np.testing.assert_array_equal(again.keys, model.keys)
    np.testing.assert_allclose(again.log_probability, model.log_probability, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(again.backoff, model.backoff, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(Table(path).totals(), 1, atol=1e-4)
    assert math.isfinite(perplexity(again, text).perplexity)


@given(text=TEXTS, threshold=st.sampled_from([1e-6, 1e-3, 0.1, 0.9]))
@settings(deadline=None)
def test_pruning_only_removes(text, threshold):
    model = estimate(text, order=4, cutoffs=[1])
    smaller = prune(model, threshold)
    kept = {tuple(smaller.words(node)) for node in range(1, len(smaller.prefix))}
    assert kept <= {tuple(model.words(node)) for node in range(1, len(model.prefix))}
    assert {ngram[:-1] for ngram in kept if len(ngram) > 1} <= kept
    assert smaller.counts[0] == model.counts[0]
    np.testing.assert_allclose(smaller.totals(), 1, atol=1e-9)


def test_words_outside_the_vocabulary_are_one_word():
    text = [["A", "rare", "B"], ["odd", "B"], ["A", "B"]]
    model = estimate(text, {"A", "B"}, order=2, cutoffs=[1], unknown="<oov>")
    assert model.vocabulary == ["</s>", "<oov>", "<s>", "A", "B"]
    written = [[word if word in "AB" else "<oov>" for word in sentence] for sentence in text]
    same = estimate(written, {"A", "B"}, order=2, cutoffs=[1], unknown="<oov>")
    np.testing.assert_array_equal(model.log_probability, same.log_probability)
    found = perplexity(model, [["A", "strange", "B"]], unknown="<oov>")
    assert (found.words, found.unknown) == (3, 1)
    assert found == perplexity(model, [["A", "<oov>", "B"]], unknown="<oov>")


@pytest.mark.parametrize(
    "line", ["A <s>", "<s> <s>", "</s> A", "</s> </s>", "</s> <s>", "</s> A\t-0.5"]
)
def test_sentence_marks_in_wrong_places_are_left_out(line):
    last = "\t" in line
    text = ARPA.replace("-0.2\tA B", f"-0.2\tA B\n-0.3\t{line}").replace("2=2", "2=3")
    if last:
        text = text.replace("2=3", "2=3\nngram 3=1")
        text = text.replace("\\end\\", "\\3-grams:\n-0.1 </s> A B\n\n\\end\\")
    model = parse_arpa(text)
    assert model.counts == [4, 2]
    np.testing.assert_array_equal(model.keys, parse_arpa(ARPA).keys)
    assert perplexity(model, [["A", "B"]]) == perplexity(parse_arpa(ARPA), [["A", "B"]])
