"""The acoustic model: tied states, Gaussian mixtures and transition probabilities."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from darkknowledge.errors import DataError
from darkknowledge.features import add_deltas, splice
from darkknowledge.hmm.phones import PhoneTable
from darkknowledge.hmm.topology import Topology, silence_topology, speech_topology
from darkknowledge.hmm.tree import Tree
from darkknowledge.zipped import MEND, read_arrays, refusing, write_arrays

FORMAT = 1
WHAT = "a model"
_MOST_FRAMES = 100  # that a transform may reach to each side
NEGLIGIBLE = -80.0  # exp of less is a denormal float32, which is slow, and nothing beside 1
_LOG_2PI = math.log(2 * math.pi)


@dataclass
class Transform:
    """What is done to MFCC after CMVN.

    Attributes
    ----------
    kind : {"deltas", "splice"}
        Deltas of ``order`` and ``window``, or neighbouring frames times ``matrix``.
    order, window : int
        Of the deltas.
    left, right : int
        Frames spliced on each side.
    matrix : float32 (D, (left + 1 + right) * C) or None
        LDA and MLLT; None keeps the spliced frame.
    """

    kind: str = "deltas"
    order: int = 2
    window: int = 2
    left: int = 0
    right: int = 0
    matrix: np.ndarray | None = None

    def apply(self, mfcc: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Features (N, D) of one utterance's MFCC (N, C)."""
        frames = torch.as_tensor(mfcc, dtype=torch.float32)
        if self.kind == "deltas":
            return add_deltas(frames, order=self.order, window=self.window)
        spliced = splice(frames, self.left, self.right)
        if self.matrix is None:
            return spliced
        return spliced @ torch.as_tensor(self.matrix, dtype=torch.float32).T

    def check(self, dimension: int) -> None:
        """Raise ValueError where it cannot give features of a dimension."""
        reach = self.order, self.window, self.left, self.right
        if self.kind not in ("deltas", "splice") or not 0 <= min(reach) <= max(reach) <= (
            _MOST_FRAMES
        ):
            raise ValueError(f"a transform {self.kind} of {reach}")
        if self.matrix is not None:
            rows, columns = self.matrix.shape
            if (
                self.matrix.dtype != np.float32
                or rows != dimension
                or columns % (self.left + 1 + self.right)
                or not np.isfinite(self.matrix).all()
            ):
                raise ValueError(f"a transform of shape {rows, columns} to {dimension} features")


@dataclass
class Mixtures:
    """Diagonal Gaussian mixtures of all pdfs, stored flat in the order of pdf.

    Attributes
    ----------
    offsets : int64 (pdfs + 1,)
        Gaussians of pdf ``j`` are rows ``offsets[j]:offsets[j + 1]``.
    weights : float32 (G,)
    means, variances : float32 (G, D)
    """

    offsets: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    @property
    def num_pdfs(self) -> int:
        """Number of mixtures."""
        return len(self.offsets) - 1

    @property
    def num_gaussians(self) -> int:
        """Number of Gaussians of all mixtures."""
        return len(self.weights)

    @property
    def dimension(self) -> int:
        """Number of features."""
        return self.means.shape[1]

    @property
    def counts(self) -> np.ndarray:
        """Gaussians of each pdf, int64 (pdfs,)."""
        return np.diff(self.offsets)

    def natural(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Parameters for which a Gaussian's log-likelihood is linear in [x, x²].

        Returns
        -------
        constants : float32 (G,)
            Log weight, normalisation and the means' part.
        linear : float32 (G, 2 D)
            ``[mean / variance, -1 / (2 variance)]``.
        """
        means = torch.from_numpy(self.means).double()
        precisions = torch.from_numpy(self.variances).double().reciprocal()
        weights = torch.from_numpy(self.weights).double()
        constants = weights.log() + 0.5 * (
            precisions.log().sum(1) - self.dimension * _LOG_2PI - (means**2 * precisions).sum(1)
        )
        linear = torch.cat([means * precisions, -0.5 * precisions], dim=1)
        return constants.float(), linear.float()


def _check(mixtures: Mixtures, pdfs: int, shape: tuple[int, ...] | None = None) -> None:
    """Raise ValueError where arrays are not the mixtures of so many pdfs, of one shape."""
    offsets, weights = mixtures.offsets, mixtures.weights
    means, variances = mixtures.means, mixtures.variances
    if (offsets.dtype, *{a.dtype for a in (weights, means, variances)}) != (np.int64, np.float32):
        raise ValueError("mixtures of another type")
    if (
        offsets.shape != (pdfs + 1,)
        or offsets[0] != 0
        or offsets[-1] != len(weights)
        or not (np.diff(offsets) > 0).all()
        or means.shape != (shape or (len(weights), means.shape[-1]))
        or variances.shape != means.shape
        or weights.shape != means.shape[:1]
    ):
        raise ValueError(f"{len(weights)} Gaussians of {len(offsets) - 1} mixtures of {pdfs} pdfs")
    if not (np.isfinite(means).all() and (weights >= 0).all() and np.isfinite(weights).all()):
        raise ValueError("means or weights are no numbers")
    if not ((variances > 0) & np.isfinite(variances)).all():
        raise ValueError("a variance is not above 0")


class Scorer:
    """Log-likelihoods of some pdfs, the Gaussians laid out for whole-array operations.

    The k-th Gaussians of all pdfs that have one stand together, pdfs with more Gaussians first,
    so that log-sum-exp over each pdf is a few maxima and sums of contiguous blocks.

    Parameters
    ----------
    mixtures : Mixtures
    pdfs : int (P,), optional
        Which pdfs, without repetition; all where not given.
    natural : tuple, optional
        The result of :meth:`Mixtures.natural`, to share it between scorers; the device that it
        is on is where features must be and scores are.
    """

    def __init__(self, mixtures: Mixtures, pdfs=None, natural=None):
        constants, linear = natural if natural is not None else mixtures.natural()
        pdfs = np.arange(mixtures.num_pdfs) if pdfs is None else np.asarray(pdfs)
        counts = mixtures.counts[pdfs]
        order = np.argsort(-counts, kind="stable")
        starts = mixtures.offsets[pdfs][order]
        self.blocks = [int((counts > k).sum()) for k in range(int(counts.max()))]
        rows = np.concatenate([starts[:size] + k for k, size in enumerate(self.blocks)])
        rows = torch.from_numpy(rows).to(linear.device)
        self.constants = constants[rows].unsqueeze(1)
        self.linear = linear[rows]
        self.place = torch.from_numpy(np.argsort(order, kind="stable")).to(linear.device)

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Natural log-likelihoods (P, N) of features (N, D)."""
        columns = features.T
        extended = torch.cat([columns, columns * columns])  # (2 D, N)
        scores = torch.addmm(self.constants, self.linear, extended)  # (G, N)
        blocks = scores.split(self.blocks)
        highest = blocks[0].clone()
        for block in blocks[1:]:
            part = highest[: len(block)]
            torch.maximum(part, block, out=part)
        total = torch.zeros_like(highest)
        for block in blocks:
            block -= highest[: len(block)]
            total[: len(block)] += block.clamp_(min=NEGLIGIBLE).exp_()
        return (total.log_() + highest)[self.place]


@dataclass
class HmmModel:
    """Phones, tree, mixtures, transitions and the features they expect.

    Transitions are numbered from 1 as Kaldi's transition-ids: over the sorted tuples
    (phone, state, pdf), and within each over the topology's transitions in their order.

    Attributes
    ----------
    phones : PhoneTable
    tree : Tree
    mixtures : Mixtures
    transform : Transform
    speech_states, silence_states : int
        Emitting states of the two topologies.
    transition_probabilities : float64 (transitions,)
        Of each transition; those of a tuple sum to one. Made from the topology where not given.
    independent : Mixtures or None
        Of a model that was trained on features adapted to the speaker: the mixtures for features
        that are not, Gaussian by Gaussian (Kaldi's ``final.alimdl``).
    """

    phones: PhoneTable
    tree: Tree
    mixtures: Mixtures
    transform: Transform
    speech_states: int = 3
    silence_states: int = 5
    transition_probabilities: np.ndarray | None = None
    independent: Mixtures | None = None
    _pdf_cache: dict = field(default_factory=dict, repr=False)

    def __post_init__(self):
        if self.transition_probabilities is None:
            self.transition_probabilities = self._tables["initial"].copy()

    @property
    def context_width(self) -> int:
        """Phones in a window: 1 or 3."""
        return self.tree.width

    @property
    def central_position(self) -> int:
        """Place of the modelled phone in the window."""
        return self.tree.central

    @property
    def num_pdfs(self) -> int:
        """Number of tied states."""
        return self.tree.num_pdfs

    @cached_property
    def tree_digest(self) -> str:
        """SHA-256 of phones, topologies and tree: of what each pdf stands for."""
        tree = self.tree
        described = [self.phones.names, self.speech_states, self.silence_states]
        described += [tree.width, tree.central, tree.question.shape]
        digest = hashlib.sha256(json.dumps(described).encode())
        for array in (tree.roots, tree.key, tree.question, tree.yes, tree.no, tree.pdf):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def topology(self, phone: int) -> Topology:
        """States and initial transitions of a phone."""
        if phone in self.phones.silence:
            return silence_topology(self.silence_states)
        return speech_topology(self.speech_states)

    def num_states(self, phone: int) -> int:
        """Emitting states of a phone."""
        return self.silence_states if phone in self.phones.silence else self.speech_states

    @cached_property
    def states_of_phone(self) -> np.ndarray:
        """Emitting states of each phone, int64 (P + 1,); 0 for ``<eps>``."""
        return np.array([0] + [self.num_states(p) for p in range(1, len(self.phones) + 1)])

    @cached_property
    def _tables(self) -> dict[str, np.ndarray]:
        states = {phone: self.num_states(phone) for phone in range(1, len(self.phones) + 1)}
        tuples = self.tree.reachable(self.phones, states)
        topologies = {phone: self.topology(phone) for phone in states}
        following, initial, owner, offsets = [], [], [], [0]
        for number, (phone, state, _) in enumerate(tuples):
            for target, probability in topologies[phone][state]:
                following.append(target)
                initial.append(probability)
                owner.append(number)
            offsets.append(len(following))
        return {
            "tuples": np.array(tuples, dtype=np.int64),
            "following": np.array(following, dtype=np.int64),
            "initial": np.array(initial, dtype=np.float64),
            "owner": np.array(owner, dtype=np.int64),
            "offsets": np.array(offsets, dtype=np.int64),
        }

    @property
    def tuples(self) -> np.ndarray:
        """(phone, state, pdf) of each transition-state, int64 (M, 3), sorted."""
        return self._tables["tuples"]

    @property
    def transition_offsets(self) -> np.ndarray:
        """First transition (from 0) of each tuple, int64 (M + 1,)."""
        return self._tables["offsets"]

    @property
    def transition_owner(self) -> np.ndarray:
        """Tuple of each transition, int64 (transitions,)."""
        return self._tables["owner"]

    @property
    def transition_target(self) -> np.ndarray:
        """State to which each transition leads, int64 (transitions,)."""
        return self._tables["following"]

    @property
    def num_transitions(self) -> int:
        """Number of transitions; their ids are 1 to this number."""
        return len(self._tables["owner"])

    @cached_property
    def is_self_loop(self) -> np.ndarray:
        """Whether each transition stays in its state, bool (transitions,)."""
        return self.transition_target == self.tuples[self.transition_owner, 1]

    @cached_property
    def is_exit(self) -> np.ndarray:
        """Whether each transition leaves its phone, bool (transitions,)."""
        phones = self.tuples[self.transition_owner, 0]
        return self.transition_target == self.states_of_phone[phones]

    @cached_property
    def silent_pdfs(self) -> np.ndarray:
        """Whether each pdf is a state of silence, bool (pdfs,)."""
        silent = np.zeros(self.num_pdfs, dtype=bool)
        silent[self.tuples[np.isin(self.tuples[:, 0], self.phones.silence), 2]] = True
        return silent

    @cached_property
    def transition_pdf(self) -> np.ndarray:
        """The pdf of each transition's source state, int32 (transitions,)."""
        return self.tuples[self.transition_owner, 2].astype(np.int32)

    @cached_property
    def transition_phone(self) -> np.ndarray:
        """The phone of each transition, int32 (transitions,)."""
        return self.tuples[self.transition_owner, 0].astype(np.int32)

    @cached_property
    def _tuple_keys(self) -> np.ndarray:
        phone, state, pdf = self.tuples.T
        return (phone * 64 + state) * self.num_pdfs + pdf

    def tuple_index(self, phone, state, pdf) -> np.ndarray:
        """Numbers of (phone, state, pdf) tuples, elementwise over arrays.

        Raises
        ------
        DataError
            If a tuple does not exist in this model.
        """
        wanted = (np.asarray(phone) * 64 + np.asarray(state)) * self.num_pdfs + np.asarray(pdf)
        index = np.searchsorted(self._tuple_keys, wanted)
        index = np.minimum(index, len(self._tuple_keys) - 1)
        if not np.array_equal(self._tuple_keys[index], wanted):
            raise DataError("a (phone, state, pdf) is not in the model; align with its own tree")
        return index

    def pdf(self, window: tuple[int, ...], state: int) -> int:
        """The pdf of an HMM state in a window of phones (0 = outside the utterance)."""
        key = (tuple(window), state)
        if key not in self._pdf_cache:
            self._pdf_cache[key] = int(self.tree.pdfs(np.array([window]), np.array([state]))[0])
        return self._pdf_cache[key]

    def pdfs(self, windows: np.ndarray, states: np.ndarray) -> np.ndarray:
        """The pdfs of many windows (M, width) and states (M,), int32 (M,)."""
        return self.tree.pdfs(windows, states)

    def transitions(self, phone: int, state: int, pdf: int) -> list[tuple[int, float]]:
        """Ways out of an HMM state, the self-loop among them.

        Returns
        -------
        list of (next state, probability)
            The next state ``num_states(phone)`` is the way out of the phone.
        """
        return [
            (target, probability)
            for _, target, probability in self.transition_ids(phone, state, pdf)
        ]

    def transition_ids(self, phone: int, state: int, pdf: int) -> list[tuple[int, int, float]]:
        """Like :meth:`transitions`, with the transition's id (from 1) first."""
        number = int(self.tuple_index(phone, state, pdf))
        places = range(self.transition_offsets[number], self.transition_offsets[number + 1])
        return [
            (i + 1, int(self.transition_target[i]), float(self.transition_probabilities[i]))
            for i in places
        ]

    def prepare(self, mfcc: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Features (N, D) that the mixtures expect, from MFCC (N, C) after CMVN."""
        return self.transform.apply(mfcc)

    def log_likelihoods(self, features, pdfs=None, chunk: int = 512) -> torch.Tensor:
        """Natural log-likelihoods of prepared features.

        Parameters
        ----------
        features : float32 (N, D)
        pdfs : int (P,), optional
            Which pdfs; all where not given.
        chunk : int
            Frames at a time, which bounds memory at ``chunk`` × Gaussians.

        Returns
        -------
        float32 (N, P)
        """
        features = torch.as_tensor(features, dtype=torch.float32)
        if features.dim() != 2 or features.shape[1] != self.mixtures.dimension:
            raise DataError(
                f"features of shape {tuple(features.shape)}; expected (frames, "
                f"{self.mixtures.dimension}); pass MFCC through model.prepare first"
            )
        if pdfs is None:
            scorer = self._all_pdfs
        else:
            scorer = Scorer(self.mixtures, pdfs)
        return torch.cat([scorer(part) for part in features.split(chunk)], dim=1).T.contiguous()

    @cached_property
    def _all_pdfs(self) -> Scorer:
        return Scorer(self.mixtures)

    def write(self, path: str | Path) -> None:
        """Write the model as one ``.npz`` whose bytes depend on its content alone."""
        transform = self.transform
        arrays = {
            "format": np.array(FORMAT),
            "phones": np.array(self.phones.names),
            "states": np.array([self.speech_states, self.silence_states]),
            "tree_window": np.array([self.tree.width, self.tree.central]),
            "tree_roots": self.tree.roots,
            "tree_key": self.tree.key,
            "tree_question": np.packbits(self.tree.question, axis=1),
            "tree_values": np.array(self.tree.question.shape[1]),
            "tree_yes": self.tree.yes,
            "tree_no": self.tree.no,
            "tree_pdf": self.tree.pdf,
            "offsets": self.mixtures.offsets,
            "weights": self.mixtures.weights,
            "means": self.mixtures.means,
            "variances": self.mixtures.variances,
            "transition_probabilities": self.transition_probabilities,
            "transform_kind": np.array(transform.kind),
            "transform_numbers": np.array(
                [transform.order, transform.window, transform.left, transform.right]
            ),
        }
        if transform.matrix is not None:
            arrays["transform_matrix"] = transform.matrix
        if self.independent is not None:
            for name in ("weights", "means", "variances"):
                arrays[f"independent_{name}"] = getattr(self.independent, name)
        write_arrays(path, arrays)

    @classmethod
    def read(cls, path: str | Path) -> HmmModel:
        """Read a model.

        Raises
        ------
        DataError
            If the file is absent, damaged or of another format.
        """
        arrays = read_arrays(path, WHAT)
        with refusing(path, WHAT):
            if int(arrays["format"]) != FORMAT:
                raise DataError(
                    f"{path}: model format {int(arrays['format'])}; expected {FORMAT}; {MEND}"
                )
            values = int(arrays["tree_values"])
            tree = Tree(
                *(int(n) for n in arrays["tree_window"]),
                roots=arrays["tree_roots"],
                key=arrays["tree_key"],
                question=np.unpackbits(arrays["tree_question"], axis=1)[:, :values].astype(bool),
                yes=arrays["tree_yes"],
                no=arrays["tree_no"],
                pdf=arrays["tree_pdf"],
            )
            order, window, left, right = (int(n) for n in arrays["transform_numbers"])
            transform = Transform(
                str(arrays["transform_kind"]),
                order,
                window,
                left,
                right,
                arrays.get("transform_matrix"),
            )
            mixtures = Mixtures(
                arrays["offsets"], arrays["weights"], arrays["means"], arrays["variances"]
            )
            independent = None
            if "independent_means" in arrays:
                independent = Mixtures(
                    arrays["offsets"],
                    *(arrays[f"independent_{name}"] for name in ("weights", "means", "variances")),
                )
            speech_states, silence_states = (int(n) for n in arrays["states"])
            phones = PhoneTable.from_names(arrays["phones"].tolist())
            if phones.names != arrays["phones"].tolist():
                raise ValueError("its phones are not in their order")
            tree.check(len(phones), max(speech_states, silence_states))
            _check(mixtures, tree.num_pdfs)
            if independent is not None:
                _check(independent, tree.num_pdfs, mixtures.means.shape)
            transform.check(mixtures.dimension)
            model = cls(
                phones,
                tree,
                mixtures,
                transform,
                speech_states,
                silence_states,
                arrays["transition_probabilities"],
                independent,
            )
            if min(speech_states, silence_states - 1) < 1:
                raise ValueError(f"{speech_states} and {silence_states} states")
            found = model.transition_probabilities
            if found.dtype != np.float64 or found.shape != model._tables["initial"].shape:
                raise ValueError(f"{found.shape} transitions of {model.num_transitions}")
            if not ((found >= 0) & (found <= 1)).all():
                raise ValueError("transition probabilities are not from 0 to 1")
            return model
