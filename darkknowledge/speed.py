"""How fast a system recognises on one core."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkknowledge.acoustic import network_features, network_scores
from darkknowledge.adaptation import System, adapt_system, tuned_decoder
from darkknowledge.checkpoints import load_network
from darkknowledge.decoding import Graph
from darkknowledge.errors import DataError
from darkknowledge.progress import logger


def measure_speed(
    system: System, graph: Graph | str | Path, tuning: Mapping[str, Any], frame_shift: float
) -> dict[str, float]:
    """Recognise some utterances in this process and take the processor time.

    Parameters
    ----------
    system : System
        On the utterances. Graph, network and the network's features are read beforehand.
    graph : Graph or path of its folder
    tuning : mapping
        As `darkknowledge.adaptation.tune_system` returns it.
    frame_shift : float
        Seconds.

    Returns
    -------
    dict
        ``audio_seconds``; ``network_rtf``, processor seconds of the acoustic scores per second
        of audio, and ``rtf``, those of scores and search, passes for adaptation included.

    Raises
    ------
    DataError
        If there are no utterances.
    """
    graph = graph if isinstance(graph, Graph) else Graph(graph, system.model)
    decoder = tuned_decoder(graph, tuning)
    if system.hmm is None:
        network, log_priors, _ = load_network(system.model)
        files = system.features, system.cmvn, system.speaker
        frames = network_features(*files, network.deltas)
    began = time.process_time()
    adapt_system(system, graph, tuning)
    adapted = time.process_time()
    if system.hmm is None:
        scores = dict(network_scores(network, log_priors, frames, tuning["prior_scale"]))
    else:
        scores = dict(system.scores())
    scored = time.process_time()
    for utterance, matrix in scores.items():
        decoder.decode(matrix, utterance)
    ended = time.process_time()
    audio = frame_shift * sum(map(len, scores.values()))
    if not audio:
        raise DataError(f"{system.model}: no utterances to measure its speed on")
    speed = {"network_rtf": (scored - adapted) / audio, "rtf": (ended - began) / audio}
    logger.info("%.0f s of audio at %.4f of real time", audio, speed["rtf"])
    return {"audio_seconds": audio, **speed}
