"""Kneser-Ney estimation, pruning, ARPA files and perplexity."""

import gzip
import itertools
import math
import os
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkknowledge.errors import DataError
from darkknowledge.graph.arpa import NgramModel, parse_arpa, perplexity, read_arpa, write_arpa
from darkknowledge.graph.lm import estimate, estimate_arpa, prune, take_arpa
from darkknowledge.graph.options import LanguageModelOptions


def random_text(seed: int, sentences: int = 300, words: int = 25) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    names = [f"W{i}" for i in range(words)]
    weights = 1 / np.arange(1, words + 1)
    followers = rng.permuted(np.tile(weights / weights.sum(), (words, 1)), axis=1)
    text = []
    for _ in range(sentences):
        here, sentence = int(rng.integers(words)), []
        for _ in range(rng.integers(1, 9)):
            sentence.append(names[here])
            here = int(rng.choice(words, p=followers[here]))
        text.append(sentence)
    return text


def probability(model: NgramModel, history: list[str], word: str) -> float:
    node = 0
    for i in range(max(0, len(history) - model.order + 1), len(history)):
        node = 0
        for later in history[i:]:
            node = int(model.find(np.array([node]), np.array([model.index[later]]))[0])
            if node < 0:
                break
        if node > 0:
            break
    return 10 ** float(model.score(np.array([max(node, 0)]), np.array([model.index[word]]))[0][0])


class BruteForce:
    """The definition, with dictionaries: Chen and Goodman 1999."""

    def __init__(self, text, vocabulary, order, cutoffs):
        self.words = sorted({*vocabulary, "</s>", "<UNK>"})
        self.order = order
        raw = [Counter() for _ in range(order + 1)]
        for sentence in text:
            tokens = ["<s>", *(w if w in vocabulary else "<UNK>" for w in sentence), "</s>"]
            for k in range(1, order + 1):
                for i in range(len(tokens) - k + 1):
                    raw[k][tuple(tokens[i : i + k])] += 1
        self.counts = [Counter() for _ in range(order + 1)]
        self.counts[order] = raw[order]
        for k in range(1, order):
            before = defaultdict(set)
            for ngram in raw[k + 1]:
                before[ngram[1:]].add(ngram[0])
            for ngram in raw[k]:
                self.counts[k][ngram] = raw[k][ngram] if ngram[0] == "<s>" else len(before[ngram])
        del self.counts[1][("<s>",)]
        self.discounts = [None]
        for k in range(1, order + 1):
            n = Counter(self.counts[k].values())
            found = {1: 0.5, 2: 1.0, 3: 1.5}
            if n[1] and n[2] and n[3]:
                y = n[1] / (n[1] + 2 * n[2])
                estimated = {c: c - (c + 1) * y * n[c + 1] / n[c] for c in (1, 2, 3)}
                if min(estimated.values()) > 0:
                    found = estimated
            self.discounts.append(found)
        self.kept = [None] * (order + 1)
        for k in range(order, 0, -1):
            self.kept[k] = {g for g, c in self.counts[k].items() if c >= cutoffs[k - 1]}
            if k < order:
                self.kept[k] |= {g[:-1] for g in self.kept[k + 1]}

    def probability(self, history, word):
        history = tuple(history)[-(self.order - 1) :] if self.order > 1 else ()
        lower = self.probability(history[1:], word) if history else 1 / len(self.words)
        k = len(history) + 1
        table = {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == history}
        total = sum(table.values())
        if not total:
            return lower
        discount = {
            w: self.discounts[k][min(c, 3)] if history + (w,) in self.kept[k] else c
            for w, c in table.items()
        }
        own = (table[word] - discount[word]) / total if word in table else 0.0
        return own + sum(discount.values()) / total * lower


@pytest.mark.parametrize("order, cutoffs", [(1, (1,)), (2, (1, 1)), (3, (1, 1, 2)), (3, (1, 2, 2))])
def test_estimate_is_the_definition(order, cutoffs):
    text = random_text(1)
    vocabulary = {f"W{i}" for i in range(22)} | {"NEVER"}
    model = estimate(text, vocabulary, order, cutoffs)
    brute = BruteForce(text, vocabulary, order, cutoffs)
    assert order == 1 or brute.discounts[order][1] != 0.5
    rng = np.random.default_rng(0)
    names = [*sorted(vocabulary), "<UNK>"]
    for _ in range(40):
        history = [str(w) for w in rng.choice(names, rng.integers(0, 4))]
        if rng.random() < 0.3:
            history = ["<s>", *history]
        word = str(rng.choice([*names, "</s>"]))
        assert probability(model, history, word) == pytest.approx(
            brute.probability(history, word), rel=1e-9
        )


def test_bigram_by_hand():
    # distinct words before A: <s> and B, before B: A, before </s>: A; too few for discounts of
    # their own, so 0.5, 1 and 1.5 are taken; the uniform distribution is over A, B, </s>, <UNK>
    model = estimate([["A", "B", "A"], ["A"]], {"A", "B"}, order=2, cutoffs=[1])
    assert model.counts == [5, 4]
    a = (2 - 1) / 4 + (1 + 0.5 + 0.5) / 4 / 4
    end = (1 - 0.5) / 4 + (1 + 0.5 + 0.5) / 4 / 4
    assert probability(model, [], "A") == pytest.approx(a)
    assert probability(model, ["<s>"], "A") == pytest.approx((2 - 1) / 2 + 1 / 2 * a)
    assert probability(model, ["B"], "A") == pytest.approx((1 - 0.5) / 1 + 0.5 * a)
    assert probability(model, ["B"], "</s>") == pytest.approx(0.5 * end)
    assert probability(model, ["A"], "</s>") == pytest.approx((2 - 1) / 3 + (0.5 + 1) / 3 * end)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("pruning", [0, 1e-4])
def test_probabilities_sum_to_one(order, pruning):
    model = estimate(random_text(2), {f"W{i}" for i in range(20)}, order, [1, 1, 2], pruning)
    total = model.totals()
    np.testing.assert_allclose(total, 1, atol=1e-9)
    # totals() itself, against a plain sum
    for node in range(0, len(total), max(1, len(total) // 20)):
        words = model.words(node)
        if "</s>" in words:
            continue
        plain = sum(probability(model, words, w) for w in model.vocabulary if w != "<s>")
        assert plain == pytest.approx(1, abs=1e-9)


def test_pruning_removes_what_costs_least():
    model = estimate(random_text(3), order=3)
    sizes = [prune(model, threshold).counts for threshold in (1e-9, 1e-4, 1e-3)]
    assert sizes[0] >= sizes[1] > sizes[2]
    # the change of perplexity by removing one bigram, from the definition
    bigram = estimate(random_text(3), order=2)
    node = int(bigram.counts[0] + 5)
    history, word = bigram.words(node)
    alone = np.ones(len(bigram.prefix), bool)
    alone[node] = False
    from darkknowledge.graph.lm import _without

    without = _without(bigram, alone)
    words = [w for w in bigram.vocabulary if w != "<s>"]
    old = np.array([probability(bigram, [history], w) for w in words])
    new = np.array([probability(without, [history], w) for w in words])
    share = (
        probability(bigram, [], history) if history != "<s>" else probability(bigram, [], "</s>")
    )
    change = math.exp(share * float((old * np.log(old / new)).sum())) - 1
    alive = lambda threshold: node_text(prune(bigram, threshold))  # noqa: E731
    assert (history, word) in alive(change * 0.999)
    assert (history, word) not in alive(change * 1.001)


def node_text(model):
    return {tuple(model.words(node)) for node in range(1, len(model.prefix))}


def test_arpa_round_trip(tmp_path):
    model = estimate(random_text(4), {f"W{i}" for i in range(20)})
    write_arpa(tmp_path / "a.arpa", model)
    again = read_arpa(tmp_path / "a.arpa")
    assert again.vocabulary == model.vocabulary and again.counts == model.counts
    np.testing.assert_array_equal(again.keys, model.keys)
    np.testing.assert_allclose(again.log_probability, model.log_probability, rtol=1e-5)
    text = random_text(5, 50)
    assert perplexity(again, text).perplexity == pytest.approx(
        perplexity(model, text).perplexity, rel=1e-4
    )
    write_arpa(tmp_path / "b.arpa", estimate(random_text(4), {f"W{i}" for i in range(20)}))
    assert (tmp_path / "a.arpa").read_bytes() == (tmp_path / "b.arpa").read_bytes()


def test_estimate_arpa_from_file(tmp_path):
    (tmp_path / "text").write_text("A B\n\nB C\n", encoding="utf-8")
    options = LanguageModelOptions(order=2, cutoffs=[1])
    model = estimate_arpa(tmp_path / "text", ["A", "B"], tmp_path / "lm.arpa", options)
    assert model.vocabulary == ["</s>", "<UNK>", "<s>", "A", "B"]
    assert read_arpa(tmp_path / "lm.arpa").counts == model.counts
    (tmp_path / "text").write_text("A <s> B\n", encoding="utf-8")
    with pytest.raises(DataError, match="text:1"):
        estimate_arpa(tmp_path / "text", ["A"], tmp_path / "lm.arpa")
    (tmp_path / "text").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="no sentences"):
        estimate_arpa(tmp_path / "text", ["A"], tmp_path / "lm.arpa")


@pytest.mark.parametrize("word", ["<eps>", "#0", "TWO WORDS", ""])
def test_impossible_words_are_refused(word):
    with pytest.raises(DataError, match="cannot be a word"):
        estimate([["A"]], ["A", word])


def test_perplexity_by_hand():
    model = parse_arpa(ARPA)
    # p(A | <s>) = 0.1, p(</s> | A) backs off: 0.5 * 0.1
    found = perplexity(model, [["A"]])
    assert found.perplexity == pytest.approx((1 / (0.1 * 10**-0.30103 * 0.1)) ** 0.5, rel=1e-5)
    assert (found.words, found.sentences, found.unknown) == (1, 1, 0)
    with pytest.raises(DataError, match="no <UNK>"):
        perplexity(model, [["Z"]])
    with pytest.raises(DataError, match="no sentences"):
        perplexity(model, [])


ARPA = """
\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-99\t<s>\t-0.1
-1\t</s>
-0.5\tA\t-0.30103
-0.5\tB

\\2-grams:
-1\t<s> A
-0.2\tA B

\\end\\
"""


@pytest.mark.parametrize(
    "old, new, line, message",
    [
        ("\\data\\", "data", 17, "truncated"),
        ("ngram 1=4", "ngram 1=5", 12, "4 1-grams; the header says 5"),
        ("ngram 1=4", "ngram 1=x", 3, "expected ngram 1=COUNT"),
        ("-0.5\tA", "0.5\tA", 9, "above 0"),
        ("-0.5\tA", "nan\tA", 9, "finite"),
        ("-0.5\tB", "-0.5\tA", 10, "twice"),
        ("-1\t</s>", "-1\tC", 12, "no unigram </s>"),
        ("-0.2\tA B", "-0.2\tA C", 14, "C has no unigram"),
        ("-0.2\tA B", "-0.2\tA B -1", 14, "expected a log-probability, 2 words"),
        ("\\2-grams:", "\\3-grams:", 12, "expected .2-grams"),
        ("\\end\\", "", 17, "truncated"),
    ],
)
def test_damaged_arpa_is_refused_by_line(old, new, line, message):
    with pytest.raises(DataError, match=message) as caught:
        parse_arpa(ARPA.replace(old, new))
    assert f":{line}:" in str(caught.value)


def test_history_must_exist():
    text = ARPA.replace("\\end\\", "\\3-grams:\n-1 B A B\n\\end\\").replace(
        "ngram 2=2", "ngram 2=2\nngram 3=1"
    )
    with pytest.raises(DataError, match="B A is not among the 2-grams"):
        parse_arpa(text)


def test_sentence_marks_inside_are_left_out():
    text = ARPA.replace("-0.2\tA B", "-0.2\tA B\n-0.3\t</s> A").replace("2=2", "2=3")
    assert parse_arpa(text).counts == [4, 2]


def test_a_model_made_elsewhere_is_taken_as_it_is(tmp_path):
    write_arpa(tmp_path / "lm.arpa", estimate([["A", "B"], ["B"]], order=2))
    data = (tmp_path / "lm.arpa").read_bytes().replace(b"\\data\\", b"made by hand\n\n\\data\\")
    (tmp_path / "given.arpa").write_bytes(data)
    (tmp_path / "given.arpa.gz").write_bytes(gzip.compress(data))
    for name in ("given.arpa", "given.arpa.gz"):
        taken = tmp_path / name.replace(".", "-") / "lm.arpa"
        take_arpa(tmp_path / name, ["A", "B", "C", "<UNK>"], taken)
        assert taken.read_bytes() == data


def test_a_model_with_words_outside_the_lexicon_is_not_taken(tmp_path):
    write_arpa(tmp_path / "lm.arpa", estimate([["A", "B"], ["C"]], order=2))
    with pytest.raises(DataError, match=r"lm\.arpa: 2 words have no pronunciation: A, C;"):
        take_arpa(tmp_path / "lm.arpa", ["B", "<UNK>"], tmp_path / "taken.arpa")
    assert not (tmp_path / "taken.arpa").exists()


def test_absent_or_binary_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_arpa(tmp_path / "absent.arpa")
    (tmp_path / "x.arpa.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_arpa(tmp_path / "x.arpa.gz")


def check_any(text: str) -> None:
    try:
        model = parse_arpa(text, "some.arpa")
    except DataError as error:
        assert str(error).startswith("some.arpa:")
    else:
        assert "<s>" in model.index and len(model.prefix) == 1 + sum(model.counts)
        assert np.isfinite(model.log_probability).all()


@given(st.text())
def test_any_text_gives_a_model_or_an_error(text):
    check_any(text)


FRAGMENTS = [
    "\\data\\",
    "ngram 1=4",
    "\\1-grams:",
    "-1 A",
    "-0.2\tA B",
    "\\end\\",
    "",
    "1_0 A",
    "\\",
]


@settings(deadline=None)
@given(st.data())
def test_changed_arpa_gives_a_model_or_an_error(data):
    lines = ARPA.split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        lines[place : place + data.draw(st.integers(0, 1))] = data.draw(
            st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=8)), max_size=2)
        )
    check_any("\n".join(lines))


def test_order_is_cut_where_the_text_is_short():
    model = estimate([["A"]], order=5)
    assert model.order <= 3
    np.testing.assert_allclose(model.totals(), 1, atol=1e-9)


def test_options_are_checked():
    for wrong in ({"order": 0}, {"cutoffs": [2]}, {"cutoffs": [1, 2, 1]}, {"ordr": 3}):
        with pytest.raises(ValueError):
            LanguageModelOptions(**wrong)


def test_all_histories_of_a_small_vocabulary():
    text = random_text(6, 200, 5)
    model = estimate(text, order=3)
    words = [w for w in model.vocabulary if w != "<s>"]
    for history in itertools.product(["<s>", "W0", "W1", "W4"], ["W0", "W2", "W3"]):
        assert sum(probability(model, list(history), w) for w in words) == pytest.approx(1)


CORPORA = os.environ.get("DARKKNOWLEDGE_CORPORA")


@pytest.mark.skipif(not CORPORA, reason="DARKKNOWLEDGE_CORPORA names no folder of real corpora")
def test_perplexity_is_the_reference_models():
    root = Path(CORPORA)
    speech: dict[str, list[list[str]]] = {"dev": [], "eval": [], "train": []}
    sets = {"84": "dev", "174": "dev", **dict.fromkeys(["1462", "1673", "251", "422"], "eval")}
    for path in sorted((root / "LibriSpeech" / "dev-clean").glob("*/*/*.trans.txt")):
        name = sets.get(path.parts[-3], "train")
        speech[name] += [line.split()[1:] for line in path.read_text().splitlines()]
    books = []
    for path in sorted((root / "lm_text").glob("*.txt")):
        text = path.read_text(encoding="latin-1").upper()
        text = re.sub(r"\b(MRS?|DR|ST|MESSRS)\.", r"\1", text)
        for sentence in re.split(r"[.!?;:]+", text):
            words = [w.strip("'") for w in re.findall(r"[A-Z][A-Z']*", sentence)]
            books += [words] if words else []
    lexicon = (root / "reference" / "lexicon.txt").read_text().splitlines()
    model = estimate(books + speech["train"], {line.split()[0] for line in lexicon})
    reference = read_arpa(root / "reference" / "lm.arpa.gz")
    for name, published in (("dev", 476), ("eval", 574)):
        theirs = perplexity(reference, speech[name]).known
        assert theirs == pytest.approx(published, abs=0.5)
        assert perplexity(model, speech[name]).known == pytest.approx(theirs, rel=0.01)
