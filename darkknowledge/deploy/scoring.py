"""What an exported run costs and how many errors it makes."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darkknowledge.decoding import Decoder
from darkknowledge.deploy.folder import NETWORKS, ExportedRun
from darkknowledge.progress import logger
from darkknowledge.scoring import score


def score_export(
    folder: str | Path,
    features: Mapping[str, np.ndarray],
    references: Mapping[str, Sequence[str]],
    condition: Mapping[str, str],
) -> dict[str, Any]:
    """Recognise a set with both networks of an exported folder, on one core.

    Parameters
    ----------
    folder : path
    features : mapping
        Normalised filter banks (N, D) by utterance, without deltas.
    references, condition : mappings
        Words and condition of each utterance.

    Returns
    -------
    dict
        By precision: ``bytes`` of the network, ``network_rtf`` and ``search_rtf``, processor
        seconds per second of audio, and what `darkknowledge.scoring.Score.record` has.
    """
    found = {}
    for precision, name in NETWORKS.items():
        run = ExportedRun(folder, precision)
        decoder = Decoder(run.graph, **run.search)
        network = search = seconds = 0.0
        words = {}
        for utterance, matrix in features.items():
            began = time.process_time()
            scores = run.scores(matrix)
            scored = time.process_time()
            words[utterance] = decoder.decode(scores, utterance).words
            network += scored - began
            search += time.process_time() - scored
            seconds += len(matrix) * run.features.frame_shift / 1000
        found[precision] = {
            "bytes": (Path(folder) / name).stat().st_size,
            "network_rtf": round(network / seconds, 5),
            "search_rtf": round(search / seconds, 5),
            **score(references, words, condition).record(),
        }
        total = found[precision]["total"]
        logger.info(
            "%s: %.2f %% of %d words wrong, %d bytes; network %.4f, search %.4f of real time",
            precision,
            total["wer"],
            total["words"],
            found[precision]["bytes"],
            network / seconds,
            search / seconds,
        )
    return found
