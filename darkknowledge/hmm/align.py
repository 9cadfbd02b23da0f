"""Forced alignment on training graphs, and what an alignment says about phones and words."""

from dataclasses import dataclass

import kaldi_decoder
import kaldifst
import numpy as np
import torch

from darkknowledge.hmm.model import HmmModel, Scorer
from darkknowledge.hmm.options import AlignmentOptions
from darkknowledge.hmm.training_graph import TrainingGraph


def transition_scores(model: HmmModel, options: AlignmentOptions) -> np.ndarray:
    """Scaled log-probabilities of transitions, float32 (transitions,).

    As Kaldi's AddTransitionProbs: the self-loop's has its own scale; what leaves the state is
    the probability of leaving (self-loop scale) times that of the way taken (transition scale).
    """
    probability = np.maximum(model.transition_probabilities, 1e-10)
    loops = model.is_self_loop
    stay = np.zeros(len(model.tuples))
    stay[model.transition_owner[loops]] = probability[loops]
    leave = np.maximum(1 - stay, 1e-10)[model.transition_owner]
    scores = np.where(
        loops,
        options.self_loop_scale * np.log(probability),
        options.transition_scale * np.log(probability / leave)
        + options.self_loop_scale * np.log(leave),
    )
    return scores.astype(np.float32)


class Aligner:
    """Aligns utterances with one model.

    Parameters
    ----------
    model : HmmModel
    options : AlignmentOptions
    beam : float, optional
        First beam, in place of that of the options.
    device : torch.device or str
        Where likelihoods are computed.
    """

    def __init__(
        self,
        model: HmmModel,
        options: AlignmentOptions,
        beam: float | None = None,
        device: torch.device | str = "cpu",
    ):
        self.model = model
        self.options = options
        self.device = torch.device(device)
        self.natural = tuple(part.to(self.device) for part in model.mixtures.natural())
        self.scores = transition_scores(model, options)
        self.boost = np.zeros(model.num_pdfs, dtype=np.float32)
        silent = np.isin(model.tuples[:, 0], model.phones.silence)
        self.boost[model.tuples[silent, 2]] = np.log(options.boost_silence)
        retry = options.retry_beam
        first = options.beam if beam is None else beam
        self.beams = [first, retry] if retry > first else [first]

    def __call__(
        self, graph: TrainingGraph, features: torch.Tensor
    ) -> tuple[np.ndarray | None, int]:
        """Align one utterance.

        Parameters
        ----------
        graph : TrainingGraph
        features : float32 (N, D)

        Returns
        -------
        transitions : int32 (N,) or None
            Numbered from 0; None if no path reaches the end of the transcript.
        attempts : int
            1, or 2 if the wider beam was needed.
        """
        scorer = Scorer(self.model.mixtures, graph.pdfs, self.natural)
        likelihoods = scorer(features.to(self.device)).cpu()
        likelihoods += torch.from_numpy(self.boost[graph.pdfs]).unsqueeze(1)
        likelihoods *= self.options.acoustic_scale
        columns = likelihoods[torch.from_numpy(graph.pdf_column)]
        columns += torch.from_numpy(self.scores[graph.transitions]).unsqueeze(1)
        decodable = kaldi_decoder.DecodableCtc(columns.T.contiguous().numpy())
        for attempt, beam in enumerate(self.beams, 1):
            settings = kaldi_decoder.FasterDecoderOptions(beam=beam)
            decoder = kaldi_decoder.FasterDecoder(graph.fst, settings)
            decoder.decode(decodable)
            if not decoder.reached_final():
                continue
            found, lattice = decoder.get_best_path()
            if not found:
                continue
            _, labels, _, _ = kaldifst.get_linear_symbol_sequence(lattice)
            if len(labels) == len(features):
                return graph.transitions[np.array(labels) - 1].astype(np.int32), attempt
        return None, len(self.beams)


@dataclass
class Segments:
    """Phones of many utterances in time.

    Attributes
    ----------
    phone, left, right : int64 (S,)
        The phone and its neighbours, 0 outside the utterance.
    start, end : int64 (S,)
        Frames in the concatenation of the utterances, the end excluded.
    utterance : int64 (S,)
        Number of the utterance.
    """

    phone: np.ndarray
    left: np.ndarray
    right: np.ndarray
    start: np.ndarray
    end: np.ndarray
    utterance: np.ndarray


def phone_segments(model: HmmModel, transitions: np.ndarray, lengths: np.ndarray) -> Segments:
    """Cut concatenated alignments into phones.

    Parameters
    ----------
    model : HmmModel
        Whose transitions they are.
    transitions : int (N,)
        Numbered from 0, of all utterances one after the other.
    lengths : int (U,)
        Frames of each utterance.
    """
    end = np.flatnonzero(model.is_exit[transitions]) + 1
    start = np.concatenate([[0], end[:-1]])
    phone = model.transition_phone[transitions[end - 1]].astype(np.int64)
    stops = np.cumsum(lengths)
    utterance = np.searchsorted(stops, start, side="right")
    left = np.concatenate([[0], phone[:-1]])
    right = np.concatenate([phone[1:], [0]])
    border = np.diff(utterance) != 0
    left[1:][border] = 0
    right[:-1][border] = 0
    return Segments(phone, left, right, start, end, utterance)


def frame_windows(
    model: HmmModel, segments: Segments, width: int, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """The window of phones of every frame.

    Returns
    -------
    windows : int64 (S, width)
        Of each segment; silence phones carry no context.
    owner : int64 (N,)
        Segment of each frame.
    """
    owner = np.repeat(np.arange(len(segments.phone)), segments.end - segments.start)
    if len(owner) != frames:
        raise ValueError("an alignment does not end with the end of a phone")
    if width == 1:
        return segments.phone[:, None], owner
    context = ~np.isin(segments.phone, model.phones.silence)
    windows = np.stack([segments.left * context, segments.phone, segments.right * context], axis=1)
    return windows, owner


def convert_alignment(
    old: HmmModel, new: HmmModel, transitions: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """The same states and times in another model's transitions (Kaldi's convert-ali)."""
    segments = phone_segments(old, transitions, lengths)
    windows, owner = frame_windows(new, segments, new.context_width, len(transitions))
    numbers = old.transition_owner[transitions]
    state = old.tuples[numbers, 1]
    pdf = new.pdfs(windows[owner], state)
    tuples = new.tuple_index(segments.phone[owner], state, pdf)
    way = transitions - old.transition_offsets[numbers]
    return (new.transition_offsets[tuples] + way).astype(np.int32)


def equal_alignment(model: HmmModel, phones: np.ndarray, frames: int) -> np.ndarray | None:
    """Divide the frames equally among the states of a phone sequence (flat start).

    Parameters
    ----------
    model : HmmModel
        Without context.
    phones : int (S,)
    frames : int

    Returns
    -------
    int32 (frames,) or None
        Transitions from 0; None if there are fewer frames than states.
    """
    sizes = model.states_of_phone[phones]
    owner = np.repeat(phones, sizes)
    state = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    if frames < len(owner):
        return None
    pdf = model.pdfs(owner[:, None], state)
    tuples = model.tuple_index(owner, state, pdf)
    loop, onward = sequential_transitions(model)
    bounds = np.arange(len(owner) + 1) * frames // len(owner)
    result = np.repeat(loop[tuples], np.diff(bounds))
    result[bounds[1:] - 1] = onward[tuples]
    return result.astype(np.int32)


def sequential_transitions(model: HmmModel) -> tuple[np.ndarray, np.ndarray]:
    """Each tuple's self-loop and its transition to the next state, int64 (tuples,) from 0."""
    state = model.tuples[model.transition_owner, 1]
    loop = np.full(len(model.tuples), -1)
    onward = np.full(len(model.tuples), -1)
    loop[model.transition_owner[model.is_self_loop]] = np.flatnonzero(model.is_self_loop)
    steps = np.flatnonzero(model.transition_target == state + 1)
    onward[model.transition_owner[steps]] = steps
    return loop, onward
