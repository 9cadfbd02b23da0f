"""A trained run as one self-contained folder."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

from darkknowledge.adaptation import SEARCH
from darkknowledge.checkpoints import load_network
from darkknowledge.checksums import check_checksums, write_checksums
from darkknowledge.decoding import Graph
from darkknowledge.deploy.onnx_graph import INPUT, check_stands_alone, onnx_graph
from darkknowledge.errors import DataError, shown
from darkknowledge.feature_options import FeatureOptions
from darkknowledge.features import add_deltas
from darkknowledge.files import atomic_write, read_json, reading, write_json
from darkknowledge.graph.compose import BOUNDARIES, GRAPH, WORDS
from darkknowledge.networks.registry import log_posteriors
from darkknowledge.progress import logger
from darkknowledge.zipped import parse_array, refusing

VERSION = 1
DESCRIPTION = "recogniser.json"
STATISTICS = "cmvn.npy"
NETWORKS = {"float32": "network.onnx", "int8": "network.int8.onnx"}
FILES = (DESCRIPTION, STATISTICS, *NETWORKS.values(), GRAPH, WORDS, BOUNDARIES)
LARGEST_DIFFERENCE = 1e-4
MEND = "export the run once more"


def export_run(
    model: str | Path,
    graph: str | Path,
    tuning: Mapping[str, Any],
    features: Mapping[str, Any],
    rate: int,
    statistics: np.ndarray,
    samples: Mapping[str, np.ndarray],
    folder: str | Path,
) -> float:
    """Write a trained run as a folder that recognises speech by itself.

    Parameters
    ----------
    model : path
        The network.
    graph : path
        Folder of its decoding graph.
    tuning : mapping
        Scales, penalty and beams, as `darkknowledge.decoding.tune` returns them.
    features : mapping
        Options of the filter banks.
    rate : int
        Samples per second of the audio that it was trained on.
    statistics : float64 array (2, D + 1)
        CMVN statistics of the training set, in Kaldi's layout.
    samples : mapping
        Normalised features (N, D) of some utterances, deltas included, on which the exported
        network is compared with the trained one.
    folder : path
        Receives the files.

    Returns
    -------
    float
        Largest difference of a log posterior.

    Raises
    ------
    DataError
        If the network reads features of an adapted recogniser, the graph is damaged or of another
        model, or the exported network gives other posteriors.
    """
    folder = Path(folder)
    network, log_priors, meta = load_network(model)
    if meta["options"].get("input", "fbank") != "fbank":
        raise DataError(
            f"{model}: reads features that another recogniser adapts to the speaker; it cannot "
            "stand alone: export a run whose network has input: fbank"
        )
    Graph(graph, model)
    exported = onnx_graph(network)
    with atomic_write(folder / NETWORKS["float32"], "wb") as file:
        file.write(exported.SerializeToString(deterministic=True))
    with atomic_write(folder / NETWORKS["int8"], "wb") as file:
        quantize_dynamic(
            exported,
            file.name,
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"EnableSubgraph": True},
        )
    for name in (GRAPH, WORDS, BOUNDARIES):
        with open(Path(graph) / name, "rb") as made, atomic_write(folder / name, "wb") as file:
            shutil.copyfileobj(made, file)
    with atomic_write(folder / STATISTICS, "wb") as file:
        np.save(file, statistics)
    write_json(
        folder / DESCRIPTION,
        {
            "version": VERSION,
            "run": meta["run"],
            "seed": meta["seed"],
            "rate": rate,
            "features": FeatureOptions(**features).model_dump(mode="json"),
            "deltas": network.deltas,
            "log_priors": log_priors.tolist(),
            "search": {key: tuning[key] for key in (*SEARCH, "prior_scale")},
        },
    )
    write_checksums(folder, FILES)
    session = _session(folder / NETWORKS["float32"])
    difference = max(
        float(np.abs(_run(session, matrix) - log_posteriors(network, matrix)).max())
        for matrix in samples.values()
    )
    if not difference <= LARGEST_DIFFERENCE:
        raise DataError(
            f"{folder}: the exported network of {model} gives log posteriors that differ by "
            f"{difference:.2g}; expected at most {LARGEST_DIFFERENCE:g}"
        )
    logger.info(
        "%s: %d utterances, log posteriors differ by %.1e at most", folder, len(samples), difference
    )
    return difference


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
    )


def _run(session: onnxruntime.InferenceSession, features: np.ndarray) -> np.ndarray:
    return session.run(None, {INPUT: np.ascontiguousarray(features, dtype=np.float32)})[0]


class ExportedRun:
    """An exported folder, opened; it runs on one core without torch's networks.

    Parameters
    ----------
    folder : path
    precision : {"float32", "int8"}
        Which of its networks.

    Attributes
    ----------
    rate : int
        Samples per second that it expects.
    features : FeatureOptions
    statistics : float64 array (2, D + 1)
        CMVN statistics of the training set.
    graph : Graph
    search : dict
        Scale, penalty and beams.

    Raises
    ------
    DataError
        If a file is absent or not of this version.
    """

    def __init__(self, folder: str | Path, precision: str = "float32"):
        folder = Path(folder)
        check_checksums(folder, FILES, MEND)
        place = folder / DESCRIPTION
        description = read_json(place)
        try:
            if description["version"] != VERSION:
                raise ValueError(f"version {shown(description['version'])}, expected {VERSION}")
            self.rate = int(description["rate"])
            self.features = FeatureOptions(**description["features"])
            self.search = {key: description["search"][key] for key in SEARCH}
            self._deltas = int(description["deltas"])
            priors = np.array(description["log_priors"], np.float32)
            self._offset = description["search"]["prior_scale"] * priors
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(f"{place}: not of this version ({error}); {MEND}") from None
        place = folder / STATISTICS
        with reading(place), refusing(place, "CMVN statistics"):
            self.statistics = parse_array(place.read_bytes())
        self.graph = Graph(folder)
        place = folder / NETWORKS[precision]
        try:
            check_stands_alone(place)
            self._session = _session(place)
        except Exception as error:
            raise DataError(f"{place}: not a readable network ({error}); {MEND}") from error

    def scores(self, normalised: np.ndarray) -> np.ndarray:
        """Return log-likelihoods (N, pdfs) of normalised filter banks (N, D)."""
        if self._deltas:
            normalised = add_deltas(normalised, self._deltas)
        return _run(self._session, normalised) - self._offset
