"""A trained run as one self-contained folder."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

from darkknowledge.adaptation import SEARCH
from darkknowledge.archives import Archive
from darkknowledge.checkpoints import load_network
from darkknowledge.checksums import check_checksums, write_checksums
from darkknowledge.decoding import Graph
from darkknowledge.deploy.adaptation import SpeakerAdapter
from darkknowledge.deploy.onnx_graph import INPUT, check_stands_alone, onnx_graph
from darkknowledge.errors import DataError, shown
from darkknowledge.feature_options import FeatureOptions
from darkknowledge.features import KINDS, add_deltas, apply_cmvn, cmvn_statistics
from darkknowledge.files import atomic_write, read_json, reading, write_json
from darkknowledge.graph.compose import BOUNDARIES, GRAPH, WORDS
from darkknowledge.hmm.model import HmmModel
from darkknowledge.hmm.options import SatOptions
from darkknowledge.networks.registry import log_posteriors
from darkknowledge.progress import logger
from darkknowledge.zipped import parse_array, refusing

VERSION = 2
DESCRIPTION = "recogniser.json"
STATISTICS = "cmvn.npy"
NETWORKS = {"float32": "network.onnx", "int8": "network.int8.onnx"}
SEARCHED = (GRAPH, WORDS, BOUNDARIES)
FILES = (DESCRIPTION, STATISTICS, *NETWORKS.values(), *SEARCHED)
ADAPTER, MFCC_STATISTICS = "adaptation.npz", "cmvn_mfcc.npy"
ADAPTER_FILES = (ADAPTER, MFCC_STATISTICS)
ADAPTER_GRAPH = "adaptation"
LARGEST_DIFFERENCE = 1e-4
MEND = "export the run once more"
# frames of the training set that a recording's own statistics are padded with, as the
# global-frames of Kaldi's online-cmvn
GLOBAL_FRAMES = 200


@dataclass(frozen=True)
class Adaptation:
    """What makes the features of a network that reads `fmllr`.

    Attributes
    ----------
    model : path
        The speaker-adaptive GMM.
    graph : path
        Folder of its decoding graph.
    tuning : mapping
        As `darkknowledge.adaptation.tune_system` returns it of this GMM.
    options : mapping
        Of the stage, as of :class:`darkknowledge.hmm.options.SatOptions`.
    statistics : float64 array (2, C + 1)
        CMVN statistics of the training set's MFCC.
    """

    model: str | Path
    graph: str | Path
    tuning: Mapping[str, Any]
    options: Mapping[str, Any]
    statistics: np.ndarray


def set_statistics(cmvn: str | Path) -> np.ndarray:
    """Add up the CMVN statistics (2, D + 1) of the speakers of a set, given their index."""
    archive = Archive(cmvn)
    return sum(archive[name].astype(float) for name in archive)


def export_run(
    model: str | Path,
    graph: str | Path,
    tuning: Mapping[str, Any],
    features: Mapping[str, Any],
    rate: int,
    statistics: np.ndarray,
    samples: Mapping[str, np.ndarray],
    folder: str | Path,
    adaptation: Adaptation | None = None,
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
        Options of the features.
    rate : int
        Samples per second of the audio that it was trained on.
    statistics : float64 array (2, D + 1)
        CMVN statistics of the network's features of the training set, in Kaldi's layout.
    samples : mapping
        Normalised features (N, D) of some utterances, deltas included, on which the exported
        network is compared with the trained one.
    folder : path
        Receives the files.
    adaptation : Adaptation, optional
        Of a network that reads `fmllr`, and of no other.

    Returns
    -------
    float
        Largest difference of a log posterior.

    Raises
    ------
    DataError
        If a graph is damaged or of another model, or the exported network gives other posteriors.
    """
    folder = Path(folder)
    network, log_priors, meta = load_network(model)
    kind = meta["options"].get("input", "fbank")
    if (kind == "fmllr") != (adaptation is not None):
        raise ValueError(f"{model} reads {kind}; adaptation is of fmllr alone")
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
    _copy_graph(graph, folder)
    _save(folder / STATISTICS, statistics)
    adapter = None if adaptation is None else _write_adapter(adaptation, graph, folder)
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
            "adaptation": adapter,
        },
    )
    write_checksums(folder, (*FILES, *(() if adapter is None else ADAPTER_FILES)))
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


def _copy(source: str | Path, place: Path) -> None:
    with open(source, "rb") as made, atomic_write(place, "wb") as file:
        shutil.copyfileobj(made, file)


def _copy_graph(source: str | Path, folder: Path) -> None:
    for name in SEARCHED:
        _copy(Path(source) / name, folder / name)


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_write(path, "wb") as file:
        np.save(file, array)


def _write_adapter(adaptation: Adaptation, graph: str | Path, folder: Path) -> dict[str, Any]:
    """Write the files of speaker adaptation; return what the description says of it."""
    Graph(adaptation.graph, adaptation.model)
    _copy(adaptation.model, folder / ADAPTER)
    _save(folder / MFCC_STATISTICS, adaptation.statistics)
    has_graph = Path(adaptation.graph) != Path(graph)
    if has_graph:
        _copy_graph(adaptation.graph, folder / ADAPTER_GRAPH)
        write_checksums(folder / ADAPTER_GRAPH, SEARCHED)
    search, options = adaptation.tuning["first_pass"], SatOptions(**adaptation.options)
    return {
        "options": {key: getattr(options, key) for key in ("fmllr_frames", "silence_weight")},
        "search": {key: search[key] for key in SEARCH},
        "own_graph": has_graph,
    }


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
    adapter : SpeakerAdapter or None
        What adapts the features to the speaker, if the network reads such features.

    Raises
    ------
    DataError
        If a file is absent or not of this version.
    """

    def __init__(self, folder: str | Path, precision: str = "float32"):
        folder = Path(folder)
        check_checksums(folder, (*FILES, *ADAPTER_FILES), MEND, ADAPTER_FILES)
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
            adaptation = description["adaptation"]
            if adaptation is not None:
                options = SatOptions(**adaptation["options"])
                search = {key: adaptation["search"][key] for key in SEARCH}
                has_graph = bool(adaptation["own_graph"])
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(f"{place}: not of this version ({error}); {MEND}") from None
        self.statistics = _read_statistics(folder / STATISTICS)
        self.graph = Graph(folder)
        self.adapter = None
        if adaptation is not None:
            self.adapter = SpeakerAdapter(
                HmmModel.read(folder / ADAPTER),
                Graph(folder / ADAPTER_GRAPH) if has_graph else self.graph,
                search,
                options,
                _read_statistics(folder / MFCC_STATISTICS),
            )
        place = folder / NETWORKS[precision]
        try:
            check_stands_alone(place)
            self._session = _session(place)
        except Exception as error:
            raise DataError(f"{place}: not a readable network ({error}); {MEND}") from error

    def spectra(self, wave: np.ndarray) -> np.ndarray:
        """Return what is computed of samples (S,): filter banks, or MFCC where they are adapted.

        The samples are on the scale of 16-bit integers, at the rate that is expected.
        """
        kind = "fbank" if self.adapter is None else "mfcc"
        return KINDS[kind](wave, self.rate, self.features).numpy()

    def network_input(self, spectra: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Adapt the parts of a recording to its speaker, if that is expected, and normalise them.

        A recording is normalised by its own statistics, as a speaker's are in training.

        Parameters
        ----------
        spectra : sequence of float32 arrays (N, C)
            As of `spectra`; at least one.

        Returns
        -------
        list of float32 arrays (N, D)
        """
        if self.adapter is not None:
            spectra = self.adapter.adapt(
                _normalised(spectra, self.adapter.statistics, variance=False)
            )
        return _normalised(spectra, self.statistics, variance=True)

    def scores(self, normalised: np.ndarray) -> np.ndarray:
        """Return log-likelihoods (N, pdfs) of normalised features (N, D)."""
        if self._deltas:
            normalised = add_deltas(normalised, self._deltas)
        return _run(self._session, normalised) - self._offset


def _read_statistics(path: Path) -> np.ndarray:
    with reading(path), refusing(path, "CMVN statistics"):
        return parse_array(path.read_bytes())


def _normalised(
    parts: Sequence[np.ndarray], general: np.ndarray, variance: bool
) -> list[np.ndarray]:
    """Normalise parts by their statistics together, padded with general ones."""
    statistics = cmvn_statistics(parts) + general * (GLOBAL_FRAMES / general[0, -1])
    return [apply_cmvn(part, statistics, variance) for part in parts]
