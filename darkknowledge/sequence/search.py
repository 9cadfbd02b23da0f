"""The search for the competing paths of a training set (nnet1's make_denlats.sh)."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from darkknowledge.decoding import Graph, decode_each
from darkknowledge.lattices.search import LatticeSearch
from darkknowledge.networks.options import SequenceOptions
from darkknowledge.progress import Stopwatch, logger
from darkknowledge.sequence.lattices import TrainingLattice, training_lattice

MIN_ACTIVE = 200
REPORT_EVERY = 100  # utterances


class PathSearch:
    """Beam search over a graph for the competing state sequences of an utterance.

    Parameters
    ----------
    graph : Graph
    acoustic_scale : float
        Factor of the log-likelihoods.
    options : SequenceOptions
    """

    def __init__(self, graph: Graph, acoustic_scale: float, options: SequenceOptions):
        self.graph = graph
        self.acoustic_scale = acoustic_scale
        self._search = LatticeSearch(
            graph.fst(),
            len(graph.words),
            options.beam,
            options.lattice_beam,
            options.max_active,
            min(MIN_ACTIVE, options.max_active - 1),
        )

    def decode(
        self, log_likelihoods: np.ndarray, utterance: str = "utterance"
    ) -> TrainingLattice | None:
        """Make the lattice of one utterance.

        Parameters
        ----------
        log_likelihoods : float32 array (N, pdfs)
            Natural logarithms, not yet scaled.
        utterance : str
            Its name in messages.

        Returns
        -------
        TrainingLattice or None
            None where no path ends in a final state.

        Raises
        ------
        DataError
            If the matrix is empty, has too few columns or holds a NaN or an infinity.
        """
        scaled = self.graph.scaled(log_likelihoods, self.acoustic_scale, utterance)
        found = self._search.run(scaled)
        if found is None or not found[1]:
            return None
        return training_lattice(found[0], len(scaled))


def search_lattices(
    scores: Iterable[tuple[str, np.ndarray]],
    search: PathSearch,
    pdfs: Mapping[str, np.ndarray],
    processes: int = 1,
) -> Iterator[tuple[str, TrainingLattice]]:
    """Make the lattices of utterances; those without one are left out and counted in the log.

    Parameters
    ----------
    scores : iterable of (utterance, float32 array (N, pdfs))
    search : PathSearch
    pdfs : mapping
        Alignment (N,) of each utterance; how many lattices lack it is counted in the log.
    processes : int

    Yields
    ------
    utterance : str
    lattice : TrainingLattice
    """
    made = arcs = frames = 0
    left_out: list[str] = []
    lacking: list[str] = []
    watch = Stopwatch(len(pdfs))
    for number, (utterance, lattice) in enumerate(decode_each(scores, search, processes), 1):
        left = watch.advance(1)
        if number % REPORT_EVERY == 0:
            logger.info("competing paths of %d of %d utterances, %s", number, len(pdfs), left)
        if lattice is None:
            left_out.append(utterance)
            continue
        made, arcs, frames = made + 1, arcs + len(lattice.source), frames + lattice.frames
        if not lattice.contains(pdfs[utterance]):
            lacking.append(utterance)
        yield utterance, lattice
    logger.info(
        "%d lattices with %.1f arcs per frame; %d lack the path of the alignment%s; %d utterances "
        "have none and are not trained on%s",
        made,
        arcs / max(frames, 1),
        len(lacking),
        f", the first is {lacking[0]}" if lacking else "",
        len(left_out),
        f", the first is {left_out[0]}" if left_out else "",
    )
