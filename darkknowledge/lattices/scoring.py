"""Lattices of a set: scales chosen on dev without another search, errors on test."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from darkknowledge.errors import DataError
from darkknowledge.lattices.paths import Lattice, LatticePath, nbest, oracle, rescore
from darkknowledge.progress import logger
from darkknowledge.scoring import score
from darkknowledge.word_errors import Counts, count_errors

Lattices = Iterable[tuple[str, Lattice]]


def choose_scales(
    lattices: Lattices,
    references: Mapping[str, Sequence[str]],
    acoustic_scales: Sequence[float],
    word_penalties: Sequence[float],
) -> dict:
    """Choose acoustic scale and word penalty on the dev set by rescoring its lattices.

    Of settings with equally few errors the one nearest to that of the search is taken.

    Parameters
    ----------
    lattices : iterable of (utterance, Lattice)
        Read once, one by one.
    references : mapping
        Words of each utterance.
    acoustic_scales, word_penalties : sequences of float
        The grid.

    Returns
    -------
    dict
        `acoustic_scale`, `lm_scale` (one over it), `word_penalty`, `wer` in per cent,
        `utterances` and `grid`: the errors of every setting.

    Raises
    ------
    DataError
        If there is no lattice.
    """
    settings = [(scale, penalty) for scale in acoustic_scales for penalty in word_penalties]
    counts = [Counts()] * len(settings)
    lattice = None
    for utterance, lattice in lattices:
        for place, path in enumerate(rescore(lattice, settings)):
            counts[place] += count_errors(references[utterance], path.words, utterance)
    if lattice is None:
        raise DataError("no dev utterances to choose the scales on")

    def worth(place: int) -> tuple:
        scale, penalty = settings[place]
        ratio = max(scale, lattice.acoustic_scale) / min(scale, lattice.acoustic_scale)
        return counts[place].errors, abs(penalty - lattice.word_penalty), ratio, settings[place]

    best = min(range(len(settings)), key=worth)
    scale, penalty = settings[best]
    logger.info(
        "lattices of %d dev utterances: acoustic scale %g, word penalty %g, WER %.2f %%",
        counts[best].utterances,
        scale,
        penalty,
        counts[best].wer,
    )
    return {
        "acoustic_scale": scale,
        "lm_scale": round(1 / scale, 6),
        "word_penalty": penalty,
        "wer": round(counts[best].wer, 4),
        "utterances": counts[best].utterances,
        "grid": [
            {
                "acoustic_scale": scale,
                "word_penalty": penalty,
                "errors": count.errors,
                "words": count.words,
                "wer": round(count.wer, 4),
            }
            for (scale, penalty), count in zip(settings, counts, strict=True)
        ],
    }


class LatticeScores:
    """What is known of the lattices of a set; they are looked at as they pass.

    Parameters
    ----------
    references : mapping
        Words of each utterance.
    setting : (acoustic scale, word penalty)
        Those that the lattices are rescored with.
    count : int
        Entries of the n-best lists.

    Attributes
    ----------
    nbest : dict
        Best paths of each utterance under the scales of the search.
    """

    def __init__(
        self, references: Mapping[str, Sequence[str]], setting: tuple[float, float], count: int
    ):
        self.references = references
        self.setting = setting
        self.count = count
        self.nbest: dict[str, list[LatticePath]] = {}
        self._words: dict[str, dict[str, tuple[str, ...]]] = {
            "best": {},
            "rescored": {},
            "oracle": {},
        }
        self._frames = self._arcs = self._incomplete = 0
        self._crossing = 0.0

    def watch(self, lattices: Lattices) -> Iterator[tuple[str, Lattice]]:
        """Pass lattices on, one by one, and count.

        Parameters
        ----------
        lattices : iterable of (utterance, Lattice)

        Yields
        ------
        The same.

        Raises
        ------
        DataError
            If an utterance has no reference.
        """
        for utterance, lattice in lattices:
            if utterance not in self.references:
                raise DataError(f"{utterance} has no reference; decode the set that is scored")
            paths = nbest(lattice, self.count)
            self.nbest[utterance] = paths
            self._words["best"][utterance] = paths[0].words if paths else ()
            self._words["rescored"][utterance] = rescore(lattice, [self.setting])[0].words
            self._words["oracle"][utterance] = oracle(
                lattice, self.references[utterance], utterance
            )[1]
            self._frames += lattice.frames
            self._arcs += lattice.num_word_arcs
            self._crossing += lattice.depth * lattice.frames
            self._incomplete += not lattice.reached_final
            yield utterance, lattice

    def record(self, conditions: Mapping[str, str] | None = None) -> dict:
        """Return the errors and the size of the lattices that passed, for JSON.

        Parameters
        ----------
        conditions : mapping, optional
            Condition of each utterance.

        Returns
        -------
        dict
            Errors of the `best` path, of the `rescored` one and of the `oracle`, each as
            `darkknowledge.scoring.Score` records them; `arcs_per_frame`, word arcs over frames;
            `depth`, word arcs that cross a frame (Kaldi's lattice-depth); `incomplete`.

        Raises
        ------
        DataError
            If an utterance with a reference has not passed.
        """
        errors = {
            name: score(self.references, words, conditions).record()
            for name, words in self._words.items()
        }
        return {
            **errors,
            "arcs_per_frame": round(self._arcs / max(self._frames, 1), 4),
            "depth": round(self._crossing / max(self._frames, 1), 4),
            "incomplete": self._incomplete,
        }
