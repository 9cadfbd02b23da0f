"""Recognition in passes: speaker transforms from what was recognised (Kaldi's decode_fmllr.sh).

A model that was trained on adapted features recognises first with its speaker-independent
mixtures. From the pdfs of the best paths an fMLLR transform per speaker is estimated, twice,
and the last pass recognises the adapted features. Other systems need one pass.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darkknowledge.acoustic import acoustic_scores
from darkknowledge.archives import write_archive
from darkknowledge.checkpoints import load_network
from darkknowledge.decoding import Decoder, Graph, Hypothesis, decode_set, tune
from darkknowledge.errors import DataError, shown
from darkknowledge.features import cmvn_statistics, load_features
from darkknowledge.files import read_json
from darkknowledge.graph.options import DecodingOptions
from darkknowledge.hmm.fmllr import (
    SpeakerStatistics,
    speaker_statistics,
    transform_features,
    update_transforms,
)
from darkknowledge.hmm.gmm import SortedFrames
from darkknowledge.hmm.model import HmmModel, Mixtures
from darkknowledge.hmm.options import SatOptions
from darkknowledge.progress import logger
from darkknowledge.trees import open_alignments

# of the transforms, one after the other, each with the adapted features of the one before
ESTIMATIONS = 2
SEARCH = ("acoustic_scale", "beam", "max_active", "min_active", "word_penalty")


@dataclass
class System:
    """An acoustic model on the features of a set.

    Attributes
    ----------
    model : path or HmmModel
        A GMM-HMM (``.npz``) or a network (``.pt``).
    features, cmvn : path
        Indices of MFCC for a GMM-HMM, of filter banks for a network. Of a GMM-HMM the features
        may be MFCC (N, D) by utterance, normalised; `cmvn` is then not read.
    speaker : mapping
        The speaker of each utterance.
    options : SatOptions
        Of the estimation of transforms.
    """

    model: str | Path | HmmModel
    features: str | Path | Mapping[str, np.ndarray]
    cmvn: str | Path | None
    speaker: Mapping[str, str]
    options: SatOptions = SatOptions()

    def __post_init__(self):
        self.hmm = self.model if isinstance(self.model, HmmModel) else None
        if self.hmm is None and Path(self.model).suffix == ".npz":
            self.hmm = HmmModel.read(self.model)
        self.transforms: dict[str, np.ndarray] = {}

    @property
    def is_adapted(self) -> bool:
        """Whether the model expects features that are adapted to the speaker."""
        return self.hmm is not None and self.hmm.independent is not None

    @property
    def log_priors(self) -> np.ndarray | None:
        """Log priors (pdfs,) of a network; None of a GMM-HMM."""
        return load_network(self.model)[1].numpy() if self.hmm is None else None

    def scores(self, prior_scale: float = 1.0) -> Iterator[tuple[str, np.ndarray]]:
        """Yield utterance and scores float32 (N, pdfs), as the next pass needs them.

        ``prior_scale`` is the factor of a network's log priors.
        """
        hmm = self.hmm
        if hmm is None:
            files = self.features, self.cmvn
            yield from acoustic_scores(self.model, *files, self.speaker, prior_scale)
            return
        if self.is_adapted and not self.transforms:
            hmm = replace(hmm, mixtures=hmm.independent)
        for utterance, matrix in self.adapted():
            yield utterance, hmm.log_likelihoods(matrix).numpy()

    def adapted(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield utterance and features (N, D) as a GMM-HMM reads them, with the transforms."""
        raw = self.features
        if not isinstance(raw, Mapping):
            raw = load_features(raw, self.cmvn, self.speaker, variance=False)
        for utterance, mfcc in raw.items():
            prepared = self.hmm.prepare(mfcc)
            transform = self.transforms.get(self.speaker[utterance])
            if transform is not None:
                prepared = transform_features(prepared, transform)
            yield utterance, prepared

    def adapt(self, paths: Mapping[str, np.ndarray]) -> None:
        """Estimate the speakers' transforms anew.

        Parameters
        ----------
        paths : mapping
            Pdfs (N,) of the frames of the utterances that count.

        Raises
        ------
        DataError
            If there are none.
        """
        hmm = self.hmm
        silent = hmm.silent_pdfs
        posteriors_from = hmm.mixtures if self.transforms else hmm.independent
        by_speaker: dict[str, list] = {}
        for utterance, matrix in self.adapted():
            if utterance in paths:
                pair = (matrix, paths[utterance])
                by_speaker.setdefault(self.speaker[utterance], []).append(pair)
        if not by_speaker:
            raise DataError(
                f"{self.model}: no utterance has a path that ends in a final state; "
                "widen decoding.beams"
            )
        statistics = {
            speaker: _statistics(
                pairs, silent, self.options.silence_weight, hmm.mixtures, posteriors_from
            )
            for speaker, pairs in sorted(by_speaker.items())
        }
        self.transforms, improvement = update_transforms(
            statistics, self.transforms, self.options.fmllr_frames
        )
        logger.info("fMLLR of %d speakers gains %.4f per frame", len(self.transforms), improvement)


def _statistics(
    pairs: list[tuple[torch.Tensor, np.ndarray]],
    silent: np.ndarray,
    silence_weight: float,
    mixtures: Mixtures,
    posteriors_from: Mixtures,
) -> SpeakerStatistics:
    features, pdfs = zip(*pairs, strict=True)
    pdf = np.concatenate(pdfs)
    ordered = SortedFrames(torch.cat(features), pdf)
    weights = np.where(silent[pdf], silence_weight, 1.0)
    owner = np.zeros(len(pdf), dtype=np.int64)
    return speaker_statistics(ordered, owner, weights, 1, mixtures, posteriors_from)


def read_tuning(path: str | Path) -> dict[str, Any]:
    """Read what `tune_system` found.

    Raises
    ------
    DataError
        If the file is absent or damaged, or a scale, penalty or beam is none.
    """
    tuning = read_json(path)
    passes = {"": tuning}
    if isinstance(tuning, dict) and "first_pass" in tuning:
        passes["first_pass."] = tuning["first_pass"]
    for place, found in passes.items():
        for key in (*SEARCH, "prior_scale"):
            value = found.get(key) if isinstance(found, dict) else None
            low = -math.inf if key == "word_penalty" else 0
            if type(value) not in (int, float) or not low <= value < math.inf:
                raise DataError(
                    f"{path}: {place}{key} is {shown(value)}; expected a number; delete the file "
                    "and run snakemake"
                )
    return tuning


def tuned_decoder(graph: Graph, tuning: Mapping) -> Decoder:
    """Make a decoder with the scale, penalty and beams that dev chose."""
    return Decoder(graph, **{key: tuning[key] for key in SEARCH})


def tune_system(
    system: System,
    references: Mapping[str, Sequence[str]],
    graph: Graph | str | Path,
    options: DecodingOptions | None = None,
    processes: int = 1,
) -> dict:
    """Choose scales, word penalty and beam, of each pass if there are several.

    Parameters
    ----------
    system : System
        On the dev set, or a part of it.
    references, graph, options, processes
        As of :func:`darkknowledge.decoding.tune`.

    Returns
    -------
    dict
        As of :func:`darkknowledge.decoding.tune`; of an adapted system also ``first_pass``, the
        same of the pass without transforms.
    """
    graph = graph if isinstance(graph, Graph) else Graph(graph, system.model)
    first = tune(dict(system.scores()), references, graph, options, processes, system.log_priors)
    if not system.is_adapted:
        return first
    adapt_system(system, graph, {"first_pass": first}, processes)
    last = tune(dict(system.scores()), references, graph, options, processes)
    return {**last, "first_pass": first}


def adapt_system(system: System, graph: Graph, tuning: Mapping, processes: int = 1) -> None:
    """Recognise a set in the passes before the last, if the system is adapted.

    Parameters
    ----------
    system : System
        Then has the transforms of the last pass.
    graph, tuning, processes
        As of :func:`decode_system`.
    """
    if system.is_adapted:
        decoder = tuned_decoder(graph, tuning["first_pass"])
        for _ in range(ESTIMATIONS):
            system.adapt(complete_paths(decode_set(system.scores(), decoder, processes)))


def complete_paths(hypotheses: Mapping[str, Hypothesis]) -> dict[str, np.ndarray]:
    """Return the pdfs (N,) of the utterances whose path ends in a final state."""
    return {u: np.array(h.pdfs) for u, h in hypotheses.items() if h.reached_final}


def adapt_to_alignments(system: System, alignments: str | Path) -> None:
    """Estimate the transforms of a training set from its alignments (Kaldi's align_fmllr.sh).

    Silence counts for nothing.

    Parameters
    ----------
    system : System
        Of a speaker-adapted GMM-HMM; then has the transforms.
    alignments : path
        Index of the transitions, from 1, of the same model's stage.
    """
    system.options = system.options.model_copy(update={"silence_weight": 0.0})
    archive = open_alignments(alignments, system.model, system.hmm.tree_digest)
    pdf = system.hmm.transition_pdf
    paths = {u: pdf[archive[u] - 1] for u in system.speaker if u in archive}
    for _ in range(ESTIMATIONS):
        system.adapt(paths)


def write_adapted_features(system: System, features: str | Path, cmvn: str | Path) -> None:
    """Write features as an adapted GMM-HMM reads them, and their statistics by speaker.

    Parameters
    ----------
    system : System
        With its transforms.
    features, cmvn : path
        Indices of the archives that are written: (N, D) by utterance, and CMVN statistics in
        Kaldi's layout by speaker.
    """
    statistics: dict[str, np.ndarray] = {}

    def counted() -> Iterator[tuple[str, np.ndarray]]:
        for utterance, matrix in system.adapted():
            speaker, array = system.speaker[utterance], matrix.numpy()
            own = cmvn_statistics([array])
            statistics[speaker] = own + statistics.get(speaker, 0)
            yield utterance, array

    write_archive(features, counted())
    write_archive(cmvn, sorted(statistics.items()))


def decode_system(
    system: System, graph: Graph | str | Path, tuning: Mapping, processes: int = 1
) -> dict[str, Hypothesis]:
    """Recognise a set, in passes if the system is adapted.

    Parameters
    ----------
    system : System
    graph : Graph or path of its folder
    tuning : mapping
        As of :func:`tune_system`.
    processes : int

    Returns
    -------
    dict
        Hypotheses of the last pass.
    """
    graph = graph if isinstance(graph, Graph) else Graph(graph, system.model)
    adapt_system(system, graph, tuning, processes)
    scores = system.scores(tuning["prior_scale"])
    return decode_set(scores, tuned_decoder(graph, tuning), processes)
