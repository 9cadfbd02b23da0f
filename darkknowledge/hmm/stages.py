"""The stages: monophones, triphones on deltas, on LDA+MLLT, with fMLLR, and final alignments.

A stage is a folder with ``model.npz``, the alignments of its last pass and
``likelihoods.jsonl``, one line per pass.
"""

import functools
import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from darkknowledge.archives import write_archive
from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError, TrainingError
from darkknowledge.files import write_jsonl, write_lines
from darkknowledge.hmm.crew import Crew
from darkknowledge.hmm.ctm import ctm_lines
from darkknowledge.hmm.fmllr import SpeakerStatistics, update_transforms
from darkknowledge.hmm.gmm import Statistics, estimate, estimate_transitions, split
from darkknowledge.hmm.model import HmmModel, Mixtures, Transform
from darkknowledge.hmm.options import (
    AlignmentOptions,
    DeltaOptions,
    EstimationOptions,
    HmmOptions,
    LdaMlltOptions,
    MonophoneOptions,
    SatOptions,
)
from darkknowledge.hmm.phones import Lexicon, PhoneTable, read_lexicon
from darkknowledge.hmm.shard import ShardWorker, make_shards
from darkknowledge.hmm.transforms import estimate_lda, estimate_mllt
from darkknowledge.hmm.tree import monophone_tree
from darkknowledge.hmm.tying import build_tree, initial_mixtures, phone_questions
from darkknowledge.progress import logger
from darkknowledge.trees import open_alignments

FRAME_SHIFT = 0.01
EARLY_FAILURES = 0.5


def _options(options: HmmOptions | Mapping | None) -> HmmOptions:
    return options if isinstance(options, HmmOptions) else HmmOptions.model_validate(options or {})


def _lexicon(lexicon: Lexicon | str | Path, data: DataDirectory) -> Lexicon:
    lexicon = lexicon if isinstance(lexicon, Lexicon) else read_lexicon(lexicon)
    words = [word for text in data.text.values() for word in text]
    unknown = sum(word not in lexicon for word in words)
    if words and unknown == len(words):
        raise DataError(
            "no word of the transcripts is in the lexicon, the first is "
            f"{words[0]!r}; use one spelling (upper or lower case) in both"
        )
    empty = [utterance for utterance, text in data.text.items() if not text]
    if empty:
        raise DataError(
            f"{len(empty)} utterances have no words, the first is {empty[0]}; remove them"
        )
    if unknown:
        logger.info("%d of %d words are not in the lexicon: <UNK>", unknown, len(words))
    return lexicon


def _lengths(data: DataDirectory) -> dict[str, int]:
    return {u: max(1, round(seconds / FRAME_SHIFT)) for u, seconds in data.duration.items()}


def _crew(
    data: DataDirectory,
    mfcc_scp: str | Path,
    cmvn_scp: str | Path,
    lexicon: Lexicon,
    phones: PhoneTable,
    alignment: AlignmentOptions,
    options: HmmOptions,
    threads: int,
    device: torch.device | str,
) -> Crew:
    shards = make_shards(
        data,
        str(mfcc_scp),
        str(cmvn_scp),
        _lengths(data),
        options.shard_frames,
        options.cached_frames * threads,
    )
    make = functools.partial(
        ShardWorker, lexicon=lexicon, phones=phones, options=alignment, device=device
    )
    return Crew(make, shards, threads)


class _Training:
    """The passes of one stage."""

    def __init__(
        self,
        stage: str,
        crew: Crew,
        model: HmmModel,
        alignment: AlignmentOptions,
        estimation: EstimationOptions,
        utterances: int,
        seed: int,
    ):
        self.stage = stage
        self.crew = crew
        self.model = model
        self.alignment = alignment
        self.estimation = estimation
        self.utterances = utterances
        self.generator = np.random.default_rng([seed, len(stage), *stage.encode()])
        self.rows: list[dict] = []
        self.failed: list[str] = []
        self.likelihood = -math.inf
        self.settled = False

    def align(self, beam: float | None = None) -> dict:
        """Realign everything; too many failures end the training."""
        start = time.perf_counter()
        results = self.crew.run("align", beam)
        self.failed = sorted(u for result in results for u in result["failed"])
        check_failures(self.failed, self.utterances, self.alignment, early=True)
        self.settled = False
        report = {
            "failed": len(self.failed),
            "retried": sum(result["retried"] for result in results),
            "changed_frames": sum(result["changed"] for result in results),
        }
        logger.debug("%s: aligned in %.1f s", self.stage, time.perf_counter() - start)
        return report

    def accumulate(self) -> Statistics:
        total: Statistics | None = None
        for part in self.crew.map("accumulate"):
            if total is None:
                total = part
                total.sums = total.sums.astype(np.float64)
            else:
                total += part
        if total is None or total.frames == 0:
            raise DataError(f"{self.stage}: no utterance is aligned; look at audio and transcripts")
        return total

    def estimate(
        self,
        iteration: int,
        gaussians: int,
        extra: dict | None = None,
        minimum_occupancy: float | None = None,
    ) -> None:
        """One pass of E- and M-step, then mixing up."""
        start = time.perf_counter()
        model = self.model
        statistics = self.accumulate()
        likelihood = statistics.log_likelihood / statistics.frames
        occupancy = np.add.reduceat(statistics.sums[:, 0], model.mixtures.offsets[:-1])
        mixtures, report = estimate(
            model.mixtures, statistics.sums, self.estimation, minimum_occupancy
        )
        count = mixtures.num_gaussians
        if count < gaussians:
            mixtures = split(mixtures, occupancy, gaussians, self.estimation, self.generator)
        transitions = estimate_transitions(
            model.transition_probabilities,
            statistics.transitions,
            model.transition_offsets,
            self.estimation,
        )
        row = {
            "pass": iteration,
            "log_likelihood_per_frame": round(likelihood, 6),
            "frames": statistics.frames,
            "gaussians": model.mixtures.num_gaussians,
            **report,
            **(extra or {}),
        }
        self.rows.append(row)
        if not math.isfinite(likelihood):
            raise TrainingError(f"{self.stage}, pass {iteration}: likelihood is {likelihood}")
        # splits perturb and removals lose a little; a real fall is a defect
        if self.settled and likelihood < self.likelihood - 0.05:
            raise TrainingError(
                f"{self.stage}, pass {iteration}: log-likelihood per frame fell from "
                f"{self.likelihood:.4f} to {likelihood:.4f} though only the model was estimated; "
                "raise hmm.*.estimation.minimum_occupancy"
            )
        self.likelihood, self.settled = likelihood, True
        model.mixtures, model.transition_probabilities = mixtures, transitions
        self.crew.run("update", mixtures, transitions)
        logger.info(
            "%s pass %d: %.4f per frame, %d Gaussians, %.0f frames/s%s",
            self.stage,
            iteration,
            likelihood,
            row["gaussians"],
            statistics.frames / (time.perf_counter() - start),
            "".join(f", {name} {value}" for name, value in (extra or {}).items()),
        )

    def write(self, folder: Path) -> None:
        """Write likelihoods, failures, alignments, phones and last the model.

        Early models may fail to align more utterances than the last one.
        """
        check_failures(self.failed, self.utterances, self.alignment)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.phones.write(folder / "phones.txt")
        write_jsonl(folder / "likelihoods.jsonl", self.rows)
        write_lines(folder / "failed.txt", self.failed)
        write_archive(
            folder / "alignments.scp",
            (
                (utterance, transitions + 1)
                for part in self.crew.map("get_alignments")
                for utterance, transitions in part.items()
            ),
            self.model.tree_digest,
        )
        self.model.write(folder / "model.npz")


def check_failures(
    failed: list[str], utterances: int, options: AlignmentOptions, early: bool = False
) -> None:
    """Refuse an alignment of which too many utterances failed.

    Parameters
    ----------
    failed : list of str
        The utterances that were not aligned.
    utterances : int
        How many there are.
    options : AlignmentOptions
    early : bool
        Whether more passes follow; then up to half may fail, as a model from a flat start
        cannot place every noisy utterance.

    Raises
    ------
    DataError
        If none is aligned or the share of failures is above what is allowed.
    """
    allowed = max(options.allowed_failures, EARLY_FAILURES if early else 0.0)
    if len(failed) == utterances or len(failed) > allowed * utterances:
        raise DataError(
            f"{len(failed)} of {utterances} utterances cannot be aligned, the first is "
            f"{failed[0]}; expected at most {allowed:.1%}: look whether their "
            "transcripts match their audio, widen alignment.retry_beam or raise "
            "alignment.allowed_failures"
        )


def _previous(folder: str | Path) -> tuple[HmmModel, dict[str, np.ndarray]]:
    folder = Path(folder)
    path = folder / "model.npz"
    model = HmmModel.read(path)
    archive = open_alignments(folder / "alignments.scp", path, model.tree_digest)
    return model, {utterance: archive[utterance] - 1 for utterance in archive}


def _single_thread(function):
    """Run a stage with one thread in this process, so that its sums have one order."""

    @functools.wraps(function)
    def wrapped(*arguments, **named):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(*arguments, **named)
        finally:
            torch.set_num_threads(threads)

    return wrapped


@_single_thread
def train_monophone(
    data: DataDirectory,
    mfcc_scp: str | Path,
    cmvn_scp: str | Path,
    lexicon: Lexicon | str | Path,
    folder: str | Path,
    options: HmmOptions | Mapping | None = None,
    threads: int = 1,
    device: torch.device | str = "cpu",
) -> HmmModel:
    """Flat-start monophones, as Kaldi's steps/train_mono.sh.

    Parameters
    ----------
    data : DataDirectory
    mfcc_scp, cmvn_scp : path
        MFCC of the set and their statistics per speaker; means are removed, variances kept.
    lexicon : Lexicon or path
    folder : path
        Receives the stage's files.
    options : HmmOptions or mapping
    threads : int
        Processes; the result does not depend on it.
    device : torch.device or str
        Where likelihoods and statistics are computed.

    Returns
    -------
    HmmModel

    Raises
    ------
    DataError
        If features, words or too many alignments are missing.
    TrainingError
        If the likelihood falls or is no longer a number.
    """
    options = _options(options)
    own: MonophoneOptions = options.mono
    lexicon = _lexicon(lexicon, data)
    phones = PhoneTable.from_lexicon(lexicon)
    with _crew(
        data, mfcc_scp, cmvn_scp, lexicon, phones, own.alignment, options, threads, device
    ) as crew:
        logger.info("mono: %d frames", sum(crew.run("check")))
        model = _flat_model(phones)
        crew.run("set_model", model)
        total = sum(crew.run("mean_statistics"))
        size = (len(total) - 1) // 2
        mean = total[1 : 1 + size] / total[0]
        variance = np.maximum(total[1 + size :] / total[0] - mean**2, 1e-3)
        pdfs = model.num_pdfs
        model.mixtures = Mixtures(
            np.arange(pdfs + 1, dtype=np.int64),
            np.ones(pdfs, np.float32),
            np.tile(mean.astype(np.float32), (pdfs, 1)),
            np.tile(variance.astype(np.float32), (pdfs, 1)),
        )
        crew.run("update", model.mixtures, model.transition_probabilities)
        training = _Training(
            "mono", crew, model, own.alignment, own.estimation, len(data.wav), options.seed
        )
        training.failed = sorted(u for f in crew.run("align_equally", options.seed) for u in f)
        check_failures(training.failed, len(data.wav), own.alignment, early=True)
        training.estimate(0, pdfs, minimum_occupancy=own.first_occupancy)
        training.settled = False
        gaussians = pdfs
        step = max(own.gaussians - pdfs, 0) / own.increase_until
        for iteration in range(1, own.iterations):
            extra = None
            if iteration in own.realign:
                extra = training.align(own.initial_beam if iteration == 1 else None)
            training.estimate(iteration, int(gaussians), extra)
            if iteration <= own.increase_until:
                gaussians += step
        training.write(Path(folder))
    return model


def _flat_model(phones: PhoneTable) -> HmmModel:
    silence, speech = 5, 3
    none = np.zeros((0, 0), np.float32)
    mixtures = Mixtures(np.zeros(1, np.int64), none.ravel(), none, none)
    states = {
        phone: silence if phone in phones.silence else speech for phone in range(1, len(phones) + 1)
    }
    tree = monophone_tree(phones, states)
    return HmmModel(phones, tree, mixtures, Transform("deltas"), speech, silence)


def _tie(
    crew: Crew, model: HmmModel, own: DeltaOptions, transform: Transform, seed: int
) -> tuple[HmmModel, np.ndarray]:
    """Grow a tree on the present alignments and features; a Gaussian per leaf."""
    width, central = 3, 1
    keys, sums = merge_statistics(crew.map("tree_statistics", width))
    generator = np.random.default_rng([seed, 1])
    floor = own.tree.variance_floor
    questions = phone_questions(keys, sums, central, model.phones, floor, generator)
    states = {phone: model.num_states(phone) for phone in range(1, len(model.phones) + 1)}
    tree, report = build_tree(keys, sums, central, model.phones, states, questions, own.tree)
    logger.info(
        "tree: %d leaves after merging %d, %d questions, %.3f gained per frame",
        report["leaves"],
        report["merged"],
        len(questions),
        report["gain"],
    )
    mixtures, occupancy = initial_mixtures(tree, keys, sums, floor)
    fresh = HmmModel(
        model.phones, tree, mixtures, transform, model.speech_states, model.silence_states
    )
    return fresh, occupancy


def merge_statistics(parts) -> tuple[np.ndarray, np.ndarray]:
    """Add the tree statistics of shards by key, in the order of the shards."""
    keys, sums = None, None
    for part_keys, part_sums in parts:
        if keys is None:
            keys, sums = part_keys, part_sums
            continue
        together = np.concatenate([keys, part_keys])
        unique, inverse = np.unique(together, axis=0, return_inverse=True)
        inverse = inverse.reshape(-1)
        total = np.zeros((len(unique), sums.shape[1]))
        total[inverse[: len(keys)]] = sums
        total[inverse[len(keys) :]] += part_sums
        keys, sums = unique, total
    return keys, sums


def _adapt(
    crew: Crew, model: HmmModel, own: SatOptions, present: dict[str, np.ndarray], weight: float
) -> tuple[dict[str, np.ndarray], float]:
    """Estimate a transform per speaker on the present alignments and features, and use it."""
    total: dict[str, SpeakerStatistics] = {}
    for speakers, part in crew.map("fmllr_statistics", model.mixtures, weight):
        for number, speaker in enumerate(speakers):
            own_part = part.take(number)
            total[speaker] = total[speaker] + own_part if speaker in total else own_part
    transforms, improvement = update_transforms(total, present, own.fmllr_frames)
    crew.run("set_speaker_transforms", transforms)
    return transforms, improvement


@_single_thread
def train_triphones(
    stage: str,
    data: DataDirectory,
    mfcc_scp: str | Path,
    cmvn_scp: str | Path,
    lexicon: Lexicon | str | Path,
    previous: str | Path,
    folder: str | Path,
    options: HmmOptions | Mapping | None = None,
    threads: int = 1,
    device: torch.device | str = "cpu",
) -> HmmModel:
    """Triphones, as Kaldi's align_si.sh and one of its training scripts.

    Parameters
    ----------
    stage : {"tri1", "tri2b", "tri3b"}
        On deltas (steps/train_deltas.sh), on LDA+MLLT (steps/train_lda_mllt.sh), or on the
        features of the stage before with an fMLLR transform per speaker (steps/train_sat.sh).
    data, mfcc_scp, cmvn_scp, lexicon, folder, options, threads, device
        As :func:`train_monophone`.
    previous : path
        Folder of the stage whose model aligns first.

    Returns
    -------
    HmmModel

    Raises
    ------
    DataError, TrainingError
        As :func:`train_monophone`; also if the stage before has other phones.
    """
    options = _options(options)
    own: DeltaOptions = getattr(options, stage)
    lexicon = _lexicon(lexicon, data)
    old, alignments = _previous(previous)
    phones = PhoneTable.from_lexicon(lexicon)
    if phones != old.phones:
        raise DataError(
            f"{previous}/model.npz: other phones than the lexicon's; train the stage before again"
        )
    mllt_passes = own.mllt if isinstance(own, LdaMlltOptions) else ()
    fmllr_passes = own.fmllr if isinstance(own, SatOptions) else ()
    speakers: dict[str, np.ndarray] = {}
    with _crew(
        data, mfcc_scp, cmvn_scp, lexicon, phones, own.alignment, options, threads, device
    ) as crew:
        crew.run("set_model", old)
        crew.run("set_alignments", alignments)
        aligning = _Training(
            stage, crew, old, own.alignment, own.estimation, len(data.wav), options.seed
        )
        report = aligning.align()
        logger.info("%s: aligned by %s, %s", stage, Path(previous).name, report)
        transform = Transform("deltas")
        if isinstance(own, LdaMlltOptions):
            first, second = map(sum, zip(*crew.run("class_statistics", own.context), strict=True))
            matrix = estimate_lda(first, second, own.dimension)
            transform = Transform("splice", left=own.context, right=own.context, matrix=matrix)
            crew.run("set_transform", transform)
        elif isinstance(own, SatOptions):
            transform = old.transform
            speakers, improvement = _adapt(crew, old, own, speakers, 0.0)
            logger.info("%s: fMLLR gains %.4f per frame", stage, improvement)
        model, occupancy = _tie(crew, old, own, transform, options.seed)
        pdfs = model.num_pdfs
        crew.run("set_model", model)
        crew.run("set_alignments", None, old)
        training = _Training(
            stage, crew, model, own.alignment, own.estimation, len(data.wav), options.seed
        )
        training.failed = aligning.failed
        gaussians = pdfs
        step = max(own.gaussians - pdfs, 0) / own.increase_until
        for iteration in range(1, own.iterations):
            extra: dict = {}
            if iteration in own.realign:
                extra |= training.align()
            if iteration in mllt_passes:
                parts = crew.run("mllt_statistics")
                second, frames = map(sum, zip(*parts, strict=True))
                matrix, improvement = estimate_mllt(second, frames)
                model.mixtures.means = (model.mixtures.means @ matrix.T).astype(np.float32)
                transform = Transform(
                    "splice",
                    left=own.context,
                    right=own.context,
                    matrix=(matrix @ transform.matrix).astype(np.float32),
                )
                model.transform = transform
                crew.run("set_transform", transform)
                crew.run("update", model.mixtures, model.transition_probabilities)
                extra["mllt_improvement"] = round(improvement, 6)
                training.settled = False
            if iteration in fmllr_passes:
                speakers, improvement = _adapt(crew, model, own, speakers, 0.0)
                extra["fmllr_improvement"] = round(improvement, 6)
                training.settled = False
            training.estimate(iteration, int(gaussians), extra)
            if iteration <= own.increase_until:
                gaussians += step
        if isinstance(own, SatOptions):
            sums = functools.reduce(
                np.add, (part.astype(np.float64) for part in crew.map("independent_statistics"))
            )
            model.independent, _ = estimate(model.mixtures, sums, own.estimation, removal=False)
        training.write(Path(folder))
        if speakers:
            write_archive(Path(folder) / "fmllr.scp", sorted(speakers.items()))
    return model


@_single_thread
def align_set(
    model: HmmModel | str | Path,
    data: DataDirectory,
    mfcc_scp: str | Path,
    cmvn_scp: str | Path,
    lexicon: Lexicon | str | Path,
    folder: str | Path,
    options: HmmOptions | Mapping | None = None,
    threads: int = 1,
    frame_shift: float = FRAME_SHIFT,
    device: torch.device | str = "cpu",
) -> list[str]:
    """Align a set and write what networks and people need.

    Parameters
    ----------
    model : HmmModel or path
    data, mfcc_scp, cmvn_scp, lexicon, options, threads, device
        As :func:`train_monophone`.
    folder : path
        Receives ``pdf`` and ``transition`` (from 1) archives of int32 (N,) per utterance,
        ``phones.ctm``, ``words.ctm`` and ``failed.txt``.
    frame_shift : float
        In seconds, for the times of the CTM files.

    A model with speaker-independent mixtures aligns with them first, from which a transform
    per speaker is estimated (Kaldi's align_fmllr.sh).

    Returns
    -------
    list of str
        Utterances that could not be aligned; they are absent from the archives.

    Raises
    ------
    DataError
        If more than ``alignment.allowed_failures`` of the utterances fail.
    """
    options = _options(options)
    model = model if isinstance(model, HmmModel) else HmmModel.read(model)
    lexicon = _lexicon(lexicon, data)
    folder = Path(folder)
    with _crew(
        data, mfcc_scp, cmvn_scp, lexicon, model.phones, options.alignment, options, threads, device
    ) as crew:
        crew.run("set_model", model)
        if model.independent is not None:
            crew.run("update", model.independent, model.transition_probabilities)
            crew.run("align", None)
            _adapt(crew, model, options.tri3b, {}, 0.0)
            crew.run("update", model.mixtures, model.transition_probabilities)
        results = crew.run("align", None)
        failed = sorted(u for result in results for u in result["failed"])
        check_failures(failed, len(data.wav), options.alignment)
        alignments = {}
        for part in crew.map("get_alignments"):
            alignments |= part
    logger.info(
        "aligned %d utterances, %d with the wider beam, %d failed",
        len(alignments),
        sum(result["retried"] for result in results),
        len(failed),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / "failed.txt", failed)
    phone_lines, word_lines = ctm_lines(model, data.text, alignments, frame_shift)
    write_lines(folder / "phones.ctm", phone_lines)
    write_lines(folder / "words.ctm", word_lines)
    pdfs = ((u, model.transition_pdf[a]) for u, a in alignments.items())
    transitions = ((u, a + 1) for u, a in alignments.items())
    for name, items in (("transition", transitions), ("pdf", pdfs)):
        write_archive(folder / f"{name}.scp", items, model.tree_digest)
    return failed
