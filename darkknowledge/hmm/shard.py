"""One shard of a set: its features, training graphs, alignments and statistics."""

import functools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.features import load_features
from darkknowledge.hmm.align import (
    Aligner,
    convert_alignment,
    equal_alignment,
    frame_windows,
    phone_segments,
)
from darkknowledge.hmm.fmllr import SpeakerStatistics, speaker_statistics, transform_features
from darkknowledge.hmm.gmm import SortedFrames, Statistics
from darkknowledge.hmm.model import HmmModel, Mixtures, Transform
from darkknowledge.hmm.options import AlignmentOptions
from darkknowledge.hmm.phones import Lexicon, PhoneTable
from darkknowledge.hmm.training_graph import (
    compile_training_graph,
    phone_graph,
    utterance_pronunciations,
)

_MLLT_GAUSSIANS = 512  # whose covariances are in memory at a time


@dataclass
class Shard:
    """Utterances of a set that are worked on together.

    Attributes
    ----------
    utterances : list of str
        In sorted order.
    text : dict
        Words of each utterance.
    speaker : dict
        Speaker of each utterance.
    features, cmvn : str
        The ``scp`` files of MFCC and of their statistics per speaker.
    keep : bool
        Whether to keep features and graphs between passes.
    """

    utterances: list[str]
    text: dict[str, list[str]]
    speaker: dict[str, str]
    features: str
    cmvn: str
    keep: bool = True


def make_shards(
    data: DataDirectory,
    features: str,
    cmvn: str,
    lengths: Mapping[str, int],
    frames: int,
    keep_frames: int,
) -> list[Shard]:
    """Cut a set into shards of about equal numbers of frames, in sorted order.

    Parameters
    ----------
    data : DataDirectory
    features, cmvn : str
        ``scp`` files.
    lengths : mapping
        Frames, or a measure of them, of each utterance.
    frames : int
        Frames aimed at; the number of shards is rounded up to a multiple of four.
    keep_frames : int
        Frames in all up to which shards keep what they have made.
    """
    utterances = sorted(data.wav)
    sizes = np.array([lengths[u] for u in utterances], dtype=np.float64)
    total = sizes.sum()
    count = min(4 * int(np.ceil(total / (4 * frames))), len(utterances))
    place = np.minimum(((np.cumsum(sizes) - sizes / 2) * count / total).astype(int), count - 1)
    shards = []
    for number in np.unique(place):
        own = [utterances[i] for i in np.flatnonzero(place == number)]
        shards.append(
            Shard(
                own,
                {u: data.text[u] for u in own},
                {u: data.speaker[u] for u in own},
                str(features),
                str(cmvn),
                bool(total <= keep_frames),
            )
        )
    return shards


class ShardWorker:
    """Does the work on one shard; lives in one process for a stage.

    Frames of utterances that failed to align are left out until a later pass aligns them.
    Likelihoods and E-steps are computed on `device`.
    """

    def __init__(
        self,
        shard: Shard,
        lexicon: Lexicon,
        phones: PhoneTable,
        options: AlignmentOptions,
        device: torch.device | str = "cpu",
    ):
        self.device = torch.device(device)
        self.shard = shard
        self.lexicon = lexicon
        self.phones = phones
        self.options = options
        self.model: HmmModel | None = None
        self.alignments: dict[str, np.ndarray] = {}
        self.speaker_transforms: dict[str, np.ndarray] = {}
        self._mfcc: dict[str, np.ndarray] | None = None
        self._prepared: dict[str, torch.Tensor] | None = None
        self._graphs: dict | None = None
        self._sorted: SortedFrames | None = None

    def _raw(self) -> dict[str, np.ndarray]:
        if self._mfcc is not None:
            return self._mfcc
        mfcc = load_features(
            self.shard.features, self.shard.cmvn, self.shard.speaker, variance=False
        )
        if self.shard.keep:
            self._mfcc = mfcc
        return mfcc

    def _features(self) -> dict[str, torch.Tensor]:
        if self._prepared is not None:
            return self._prepared
        prepared = {}
        for utterance, matrix in self._raw().items():
            prepared[utterance] = self.model.prepare(matrix)
            transform = self.speaker_transforms.get(self.shard.speaker[utterance])
            if transform is not None:
                prepared[utterance] = transform_features(prepared[utterance], transform)
        if self.shard.keep:
            self._prepared = prepared
        return prepared

    def _training_graphs(self) -> dict:
        if self._graphs is not None:
            return self._graphs
        graphs = {}
        for utterance in self.shard.utterances:
            graph = phone_graph(
                utterance_pronunciations(self.shard.text[utterance], self.lexicon, self.phones),
                self.phones,
                self.model.context_width,
                self.options.silence_probability,
            )
            graphs[utterance] = compile_training_graph(graph, self.model)
        if self.shard.keep:
            self._graphs = graphs
        return graphs

    @property
    def _aligned(self) -> list[str]:
        return [u for u in self.shard.utterances if u in self.alignments]

    def _concatenated(self) -> tuple[np.ndarray, np.ndarray]:
        aligned = self._aligned
        if not aligned:
            return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
        parts = [self.alignments[u] for u in aligned]
        return np.concatenate(parts), np.array([len(part) for part in parts])

    def _frames(self) -> SortedFrames | None:
        if self._sorted is not None:
            return self._sorted
        features = self._features()
        aligned = self._aligned
        if not aligned:
            return None
        transitions, _ = self._concatenated()
        together = torch.cat([features[u] for u in aligned])
        ordered = SortedFrames(together, self.model.transition_pdf[transitions], self.device)
        if self.shard.keep:
            self._sorted = ordered
        return ordered

    def set_model(self, model: HmmModel) -> None:
        """Take a model with a new tree; forget graphs and features of the old one."""
        self.model = model
        self._prepared = self._graphs = self._sorted = None

    def set_transform(self, transform: Transform) -> None:
        """Take another feature transform."""
        self.model.transform = transform
        self._prepared = self._sorted = None

    def set_speaker_transforms(self, transforms: dict[str, np.ndarray]) -> None:
        """Take fMLLR transforms, float32 (D, D + 1) by speaker; of none, features stay."""
        self.speaker_transforms = transforms
        self._prepared = self._sorted = None

    def update(self, mixtures: Mixtures, transitions: np.ndarray) -> None:
        """Take the parameters of the last estimation."""
        self.model.mixtures = mixtures
        self.model.transition_probabilities = transitions

    def set_alignments(
        self, alignments: dict[str, np.ndarray] | None, old: HmmModel | None = None
    ) -> None:
        """Take this shard's part of alignments (from 0), converted from another model."""
        if alignments is not None:
            self.alignments = {u: alignments[u] for u in self.shard.utterances if u in alignments}
        self._sorted = None
        if old is not None and self.alignments:
            transitions, lengths = self._concatenated()
            converted = convert_alignment(old, self.model, transitions, lengths)
            pieces = np.split(converted, np.cumsum(lengths)[:-1])
            self.alignments = dict(zip(self._aligned, pieces, strict=True))

    def mean_statistics(self) -> np.ndarray:
        """Number, sum and sum of squares of all features, float64 (1 + 2 D,)."""
        together = torch.cat(list(self._features().values())).double()
        return torch.cat(
            [torch.tensor([len(together)]), together.sum(0), (together**2).sum(0)]
        ).numpy()

    def align_equally(self, seed: int) -> list[str]:
        """Flat start: a random path through each transcript, its states equally long.

        Returns
        -------
        list of str
            Utterances with fewer frames than states.
        """
        self._sorted = None
        failed = []
        features = self._raw()
        for utterance in self.shard.utterances:
            generator = np.random.default_rng([seed, zlib.crc32(utterance.encode())])
            phones: list[int] = [self.phones.silence_phone]
            words = utterance_pronunciations(self.shard.text[utterance], self.lexicon, self.phones)
            for number, variants in enumerate(words, 1):
                phones += variants[generator.integers(len(variants))]
                if number == len(words) or generator.random() < self.options.silence_probability:
                    phones.append(self.phones.silence_phone)
            aligned = equal_alignment(self.model, np.array(phones), len(features[utterance]))
            if aligned is None:
                failed.append(utterance)
            else:
                self.alignments[utterance] = aligned
        return failed

    def align(self, beam: float | None = None) -> dict:
        """Align every utterance with the present model.

        Returns
        -------
        dict
            ``failed``: utterances; ``retried``: how many needed the wider beam;
            ``changed``: frames whose transition differs from before.
        """
        self._sorted = None
        aligner = Aligner(self.model, self.options, beam, self.device)
        graphs, features = self._training_graphs(), self._features()
        failed, retried, changed = [], 0, 0
        for utterance in self.shard.utterances:
            aligned, attempts = aligner(graphs[utterance], features[utterance])
            before = self.alignments.pop(utterance, None)
            if aligned is None:
                failed.append(utterance)
                continue
            retried += attempts > 1
            changed += len(aligned) if before is None else int((aligned != before).sum())
            self.alignments[utterance] = aligned
        return {"failed": failed, "retried": retried, "changed": changed}

    def accumulate(self) -> Statistics:
        """E-step over the aligned frames."""
        frames = self._frames()
        mixtures = self.model.mixtures
        if frames is None:
            sums = np.zeros((mixtures.num_gaussians, 1 + 2 * mixtures.dimension), np.float32)
            return Statistics(sums, np.zeros(self.model.num_transitions, np.int64), 0.0, 0)
        sums, likelihood = frames.accumulate(mixtures)
        transitions, _ = self._concatenated()
        counts = np.bincount(transitions, minlength=self.model.num_transitions)
        return Statistics(sums, counts, likelihood, len(transitions))

    def fmllr_statistics(
        self, mixtures: Mixtures, silence_weight: float
    ) -> tuple[list[str], SpeakerStatistics]:
        """Sums for the transforms of this shard's speakers.

        Parameters
        ----------
        mixtures : Mixtures
            To whose means the features are brought; posteriors are those of the present model,
            which has as many Gaussians.
        silence_weight : float
            Of the frames of silence.

        Returns
        -------
        speakers : list of str
            Sorted.
        statistics : SpeakerStatistics
            Of each of them.
        """
        aligned = self._aligned
        speakers = sorted({self.shard.speaker[u] for u in aligned})
        ordered = self._frames()
        if ordered is None:
            return speakers, SpeakerStatistics.zeros(0, mixtures.dimension)
        number = {name: i for i, name in enumerate(speakers)}
        transitions, lengths = self._concatenated()
        owner = np.repeat([number[self.shard.speaker[u]] for u in aligned], lengths)
        weights = np.where(self._speech(transitions), 1.0, silence_weight)
        return speakers, speaker_statistics(
            ordered, owner, weights, len(speakers), mixtures, self.model.mixtures
        )

    def independent_statistics(self) -> np.ndarray:
        """Sums as of :meth:`accumulate`, but of the features without speaker transforms.

        Posteriors are those of the adapted features (Kaldi's gmm-acc-stats-twofeats).
        """
        ordered = self._frames()
        mixtures = self.model.mixtures
        if ordered is None:
            return np.zeros((mixtures.num_gaussians, 1 + 2 * mixtures.dimension), np.float32)
        raw = self._raw()
        plain = torch.cat([self.model.prepare(raw[u]) for u in self._aligned])
        return ordered.accumulate(mixtures, others=plain)[0]

    def tree_statistics(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums for the tree, by window of phones and HMM state.

        Returns
        -------
        keys : int64 (K, width + 1)
            Window and state, sorted.
        sums : float64 (K, 1 + 2 D)
            Frames, sum of x, sum of x².
        """
        features = self._features()
        transitions, lengths = self._concatenated()
        together = torch.cat([features[u] for u in self._aligned])
        segments = phone_segments(self.model, transitions, lengths)
        windows, owner = frame_windows(self.model, segments, width, len(transitions))
        state = self.model.tuples[self.model.transition_owner[transitions], 1]
        radix = max(len(self.phones) + 1, 8)
        code = np.zeros(len(windows), dtype=np.int64)
        for place in range(width):
            code = code * radix + windows[:, place]
        codes, inverse = np.unique(code[owner] * 8 + state, return_inverse=True)
        sums = torch.zeros(len(codes), 1 + 2 * together.shape[1], dtype=torch.float64)
        extended = torch.cat(
            [torch.ones(len(together), 1), together, together * together], dim=1
        ).double()
        sums.index_add_(0, torch.from_numpy(inverse), extended)
        keys = [codes % 8]
        rest = codes // 8
        for _ in range(width):
            keys.append(rest % radix)
            rest = rest // radix
        return np.stack(keys[::-1], axis=1), sums.numpy()

    def _speech(self, transitions: np.ndarray) -> np.ndarray:
        return ~np.isin(self.model.transition_phone[transitions], self.phones.silence)

    def class_statistics(self, context: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums for LDA over spliced MFCC, classes the pdfs, silence left out.

        Returns
        -------
        first : float64 (pdfs, 1 + C)
            Frames and sum of each class.
        second : float64 (C, C)
            Sum of x xᵀ over all classes.
        """
        raw = self._raw()
        transform = Transform("splice", left=context, right=context)
        transitions, _ = self._concatenated()
        together = torch.cat([transform.apply(raw[u]) for u in self._aligned])
        speech = torch.from_numpy(self._speech(transitions))
        together = together[speech].double()
        pdfs = torch.from_numpy(self.model.transition_pdf[transitions])[speech].long()
        first = torch.zeros(self.model.num_pdfs, 1 + together.shape[1], dtype=torch.float64)
        first.index_add_(0, pdfs, torch.cat([torch.ones(len(together), 1), together], dim=1))
        return first.numpy(), (together.T @ together).numpy()

    def mllt_statistics(self) -> tuple[np.ndarray, float]:
        """Sums for MLLT, silence left out (Kaldi's gmm-acc-mllt).

        Returns
        -------
        second : float64 (D, D, D)
            For each row of the transform: sum over frames and Gaussians of
            posterior / variance × (x - mean)(x - mean)ᵀ.
        frames : float
        """
        mixtures = self.model.mixtures
        size = mixtures.dimension
        silent = np.zeros(self.model.num_pdfs, dtype=bool)
        silent[self.model.tuples[np.isin(self.model.tuples[:, 0], self.phones.silence), 2]] = True
        second = torch.zeros(size, size * size, dtype=torch.float64, device=self.device)
        frames = torch.zeros((), dtype=torch.float64, device=self.device)
        ordered = self._frames()
        if ordered is None:
            return second.view(size, size, size).cpu().numpy(), 0.0
        pad = functools.partial(torch.nn.functional.pad, pad=(0, 0, 0, 1))
        means = pad(torch.from_numpy(mixtures.means)).to(self.device)
        precisions = pad(torch.from_numpy(mixtures.variances).double().reciprocal()).to(self.device)
        for segment in ordered.segments(mixtures):
            speech = np.flatnonzero(~silent[segment.pdfs])
            if not len(speech):
                continue
            speech = torch.from_numpy(speech).to(self.device)
            features = ordered.extended[segment.slots, 1 : 1 + size]
            features = features.unflatten(0, (len(segment.pdfs), -1))[speech]
            rows, posteriors = segment.rows[speech], segment.posteriors[speech]
            frames += posteriors.sum(dtype=torch.float64)
            step = max(1, _MLLT_GAUSSIANS // rows.shape[1])
            for x, row, posterior in zip(
                features.split(step), rows.split(step), posteriors.split(step), strict=True
            ):
                centred = x.unsqueeze(1) - means[row].unsqueeze(2)  # (P, g, n, D)
                centred *= posterior.sqrt().unsqueeze(3)
                centred = centred.flatten(0, 1)
                outer = torch.bmm(centred.transpose(1, 2), centred).double()  # (P g, D, D)
                second += precisions[row.flatten()].T @ outer.flatten(1)
        return second.view(size, size, size).cpu().numpy(), float(frames)

    def get_alignments(self) -> dict[str, np.ndarray]:
        """Transitions from 0 of each aligned utterance."""
        return {u: self.alignments[u] for u in self._aligned}

    def check(self) -> int:
        """Load the features once; return the number of frames.

        Raises
        ------
        DataError
            If an utterance has no features.
        """
        raw = self._raw()
        for utterance in self.shard.utterances:
            if len(raw[utterance]) == 0:
                raise DataError(f"{self.shard.features}: {utterance} has no frames")
        return sum(len(matrix) for matrix in raw.values())
