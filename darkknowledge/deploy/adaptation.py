"""Features adapted to the speaker of a recording, for networks that read `fmllr`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkknowledge.adaptation import ESTIMATIONS, System, complete_paths, tuned_decoder
from darkknowledge.decoding import Graph, decode_set
from darkknowledge.hmm.model import HmmModel
from darkknowledge.hmm.options import SatOptions

SPEAKER = "speaker"


class SpeakerAdapter:
    """A speaker-adaptive GMM that recognises a recording to adapt its features.

    Parameters
    ----------
    model : HmmModel
    graph : Graph
        Its own decoding graph.
    search : mapping
        Scale, penalty and beams of the pass without transforms.
    options : SatOptions
        Of the estimation of transforms.
    statistics : float64 array (2, C + 1)
        CMVN statistics of the training set's MFCC, in Kaldi's layout.
    """

    def __init__(
        self,
        model: HmmModel,
        graph: Graph,
        search: Mapping[str, Any],
        options: SatOptions,
        statistics: np.ndarray,
    ):
        self.model = model
        self.options = options
        self.statistics = statistics
        self._decoder = tuned_decoder(graph, search)

    def adapt(self, mfcc: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Adapt the parts of a recording to its speaker, as dev and test sets are adapted.

        Where no part has a complete path, or the speech is too short for a transform, they stay
        as the mixtures expect them of an unknown speaker.

        Parameters
        ----------
        mfcc : sequence of float32 arrays (N, C)
            Normalised.

        Returns
        -------
        list of float32 arrays (N, D)
        """
        parts = {f"{number:06d}": matrix for number, matrix in enumerate(mfcc)}
        system = System(self.model, parts, None, dict.fromkeys(parts, SPEAKER), self.options)
        for _ in range(ESTIMATIONS):
            paths = complete_paths(decode_set(system.scores(), self._decoder))
            if not paths:
                break
            system.adapt(paths)
        return [matrix.numpy() for _, matrix in system.adapted()]
