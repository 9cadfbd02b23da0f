"""Acoustic scores and HCLG to word lattices."""

from pathlib import Path

import numpy as np

from darkknowledge.decoding import Graph
from darkknowledge.lattices.paths import ARC, Lattice
from darkknowledge.lattices.search import LatticeSearch
from darkknowledge.lattices.states import viterbi, word_times
from darkknowledge.lattices.words import word_arcs
from darkknowledge.progress import logger

MAX_ARCS = 50_000


class LatticeDecoder:
    """Beam search over a graph for the lattice of an utterance.

    With the same beam and bounds its best path is that of `darkknowledge.decoding.Decoder`.

    Parameters
    ----------
    graph : Graph or path of its folder
    acoustic_scale : float
        Factor of the log-likelihoods.
    beam : float
        Largest difference of scores during the search, in scaled units.
    lattice_beam : float
        Paths that are worse than the best one by more are left out, in scaled units.
    max_active, min_active : int
        Most and fewest states alive per frame.
    word_penalty : float
        Cost per word.
    max_arcs : int
        Number of arcs of a lattice at which only its best paths are kept.
    """

    def __init__(
        self,
        graph: Graph | str | Path,
        acoustic_scale: float = 0.1,
        beam: float = 13.0,
        lattice_beam: float = 6.0,
        max_active: int = 7000,
        min_active: int = 200,
        word_penalty: float = 0.0,
        max_arcs: int = MAX_ARCS,
    ):
        self.graph = graph if isinstance(graph, Graph) else Graph(graph)
        self.acoustic_scale = acoustic_scale
        self.lattice_beam = lattice_beam
        self.word_penalty = word_penalty
        self.max_arcs = max_arcs
        self._search = LatticeSearch(
            self.graph.fst(word_penalty),
            len(self.graph.words),
            beam,
            lattice_beam,
            max_active,
            min_active,
        )

    def decode(self, log_likelihoods: np.ndarray, utterance: str = "utterance") -> Lattice:
        """Make the lattice of one utterance.

        Parameters
        ----------
        log_likelihoods : float32 array (N, pdfs)
            Natural logarithms, not yet scaled.
        utterance : str
            Its name in messages.

        Returns
        -------
        Lattice
            Without arcs where no path was found.

        Raises
        ------
        DataError
            If the matrix is empty, has too few columns or holds a NaN or an infinity.
        """
        scaled = self.graph.scaled(log_likelihoods, self.acoustic_scale, utterance)
        frames = len(scaled)
        found = self._search.run(scaled)
        if found is None:
            return self._lattice(np.zeros(0, ARC), frames, False)
        states, reached_final = found
        best = viterbi(states)
        times = word_times(states, best, frames)
        arcs, complete = word_arcs(states, best, times, frames, self.lattice_beam, self.max_arcs)
        if not complete:
            logger.info(
                "%s: the lattice is cut at %d arcs, its best paths are kept; a narrower "
                "lattice_beam makes it complete",
                utterance,
                len(arcs),
            )
        return self._lattice(arcs, frames, reached_final)

    def _lattice(self, arcs: np.ndarray, frames: int, reached_final: bool) -> Lattice:
        labels, places = np.unique(np.r_[0, arcs["word"]], return_inverse=True)
        arcs["word"] = places[1:]
        arcs["graph"] -= self.word_penalty * (arcs["word"] != 0)
        arcs["acoustic"] /= self.acoustic_scale
        return Lattice(
            arcs=arcs,
            words=tuple(self.graph.words[label] for label in labels),
            frames=frames,
            reached_final=reached_final,
            acoustic_scale=self.acoustic_scale,
            word_penalty=self.word_penalty,
            lattice_beam=self.lattice_beam,
        )
