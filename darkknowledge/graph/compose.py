"""HCLG: the decoding graph of a model, a lexicon and a language model."""

from pathlib import Path

import kaldifst
import numpy as np

from darkknowledge.checksums import write_checksums
from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write, write_lines
from darkknowledge.graph.arpa import BOS, EOS, NgramModel, read_arpa
from darkknowledge.graph.epsilons import remove_epsilons_locally, remove_symbols
from darkknowledge.graph.fst import Fst, connected, from_kaldifst
from darkknowledge.graph.grammar import grammar_fst
from darkknowledge.graph.hmm_fst import add_self_loops, expand_context
from darkknowledge.graph.lexicon_probabilities import (
    LexiconProbabilities,
    read_lexicon_probabilities,
)
from darkknowledge.graph.options import GraphOptions
from darkknowledge.graph.pronunciation import (
    lexicon_fst,
    lexicon_fst_with_probabilities,
    pronunciations,
)
from darkknowledge.hmm.phones import Lexicon, read_lexicon
from darkknowledge.progress import logger

GRAPH = "HCLG.fst"
WORDS = "words.txt"
BOUNDARIES = "boundaries.npy"
TREE = "tree.txt"
FILES = (GRAPH, WORDS, BOUNDARIES, TREE)


def make_graph(
    model,
    lexicon: Lexicon | str | Path,
    arpa: NgramModel | str | Path,
    folder: str | Path,
    options: GraphOptions | None = None,
    probabilities: LexiconProbabilities | str | Path | None = None,
) -> None:
    """Make a decoding graph as Kaldi's ``utils/mkgraph.sh`` does.

    Parameters
    ----------
    model : HmmModel
        Anything with `phones`, `context_width`, `central_position`, `num_states`, `pdf`,
        `transitions` and `tree_digest`.
    lexicon : Lexicon or path
    arpa : NgramModel or path
    folder : path
        Gets ``HCLG.fst`` (OpenFst type const, input labels pdf + 1, output labels of words.txt),
        ``words.txt``, ``boundaries.npy`` (uint8 per arc: 1 where a word starts, 2 where a
        silence starts), ``tree.txt`` (the digest of the tree whose pdfs it has) and their
        checksums, ``SHA256SUMS``.
    options : GraphOptions
    probabilities : LexiconProbabilities or path, optional
        Of pronunciations and silence, or the folder of their files; needed where the options
        ask for them.

    Raises
    ------
    DataError
        If the language model has a word that the lexicon lacks, the probabilities lack a
        pronunciation, or no path leads through.
    """
    options = options or GraphOptions()
    if isinstance(probabilities, str | Path):
        probabilities = read_lexicon_probabilities(probabilities)
    if isinstance(lexicon, str | Path):
        lexicon = read_lexicon(lexicon)
    if not isinstance(arpa, NgramModel):
        arpa = read_arpa(arpa)
    graph, boundaries, words = compose_graph(model, lexicon, arpa, options, probabilities)
    folder = Path(folder)
    with atomic_write(folder / BOUNDARIES, "wb") as file:
        np.save(file, boundaries)
    write_lines(folder / WORDS, (f"{word} {label}" for label, word in enumerate(words)))
    write_lines(folder / TREE, [model.tree_digest])
    graph.write(folder / GRAPH)
    write_checksums(folder, FILES)
    logger.info("%s: %d states, %d arcs", folder / GRAPH, graph.num_states, graph.num_arcs)


def word_table(lexicon: Lexicon) -> list[str]:
    """List the words of ``words.txt``; the place of a word is its label."""
    words = sorted(lexicon)
    for word in ("<eps>", "#0", BOS, EOS):
        if word in lexicon:
            raise DataError(f"lexicon: {word} is reserved for the graph; rename the word")
    return ["<eps>", *words, "#0", BOS, EOS]


def compose_graph(
    model,
    lexicon: Lexicon,
    arpa: NgramModel,
    options: GraphOptions,
    probabilities: LexiconProbabilities | None = None,
) -> tuple[Fst, np.ndarray, list[str]]:
    """Compose H, C, L and G. See :func:`make_graph`.

    Returns
    -------
    graph : Fst
    boundaries : uint8 array
        One value per arc.
    words : list of str
    """
    words = word_table(lexicon)
    label = {word: i for i, word in enumerate(words)}
    used = {word: label.get(word, 0) for word in arpa.vocabulary if word not in (BOS, EOS)}
    if options.pronunciation_probabilities != (probabilities is not None):
        raise ValueError("probabilities are given if and only if the options ask for them")
    entries = pronunciations(lexicon, model.phones, used, probabilities)
    places = model.phones.silence_phone, len(model.phones) + 1, label["#0"]
    if probabilities is None:
        lexicon_graph, symbols = lexicon_fst(entries, options.silence_probability, *places)
    else:
        lexicon_graph, symbols = lexicon_fst_with_probabilities(entries, probabilities, *places)
    grammar = grammar_fst(arpa, used, label["#0"])
    lg = compose_lexicon(lexicon_graph, grammar)
    clg, windows = compose_context(lg, symbols, model.context_width, model.central_position)
    expanded, labels, first_symbol = expand_context(clg, windows, model, options.transition_scale)
    graph = _determinised(expanded, "HCLG")
    graph = _minimised(remove_symbols(graph, first_symbol))
    graph = remove_epsilons_locally(graph)
    graph, boundaries = add_self_loops(graph, labels, options.self_loop_scale)
    return graph, boundaries, words


def compose_lexicon(lexicon: Fst, grammar: Fst) -> Fst:
    """Compose L with G, determinise and minimise."""
    left = lexicon.to_kaldifst()
    kaldifst.arcsort(left, "olabel")
    composed = kaldifst.compose(left, grammar.to_kaldifst())
    lg = from_kaldifst(composed)
    if not lg.num_states:
        raise DataError("no sentence of the language model can be pronounced; is it empty?")
    return _minimised(_determinised(lg, "LG"))


def compose_context(
    lg: Fst, symbols: list[int], width: int, central: int
) -> tuple[Fst, list[list[int]]]:
    """Compose C with LG; the input labels are places in the list of windows."""
    clg, windows = kaldifst.compose_context(symbols, width, central, lg.to_kaldifst())
    return connected(from_kaldifst(clg)), windows


def _determinised(fst: Fst, name: str) -> Fst:
    graph = fst.to_kaldifst()
    if kaldifst.determinize_star(graph, use_log=True):
        raise DataError(f"{name} cannot be determinised; please report it with the lexicon")
    return from_kaldifst(graph)


def _minimised(fst: Fst) -> Fst:
    graph = fst.to_kaldifst()
    kaldifst.minimize_encoded(graph)
    return from_kaldifst(graph).sorted()
