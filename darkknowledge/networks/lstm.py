"""The recurrent network: LSTM layers with recurrent projection and one output."""

import torch
from torch import Tensor, nn

from darkknowledge.networks.base import AcousticNetwork, glorot_, side_by_side
from darkknowledge.networks.options import LstmOptions
from darkknowledge.networks.recurrence import RecurrentLayer

State = list[tuple[Tensor, Tensor]]
SCORING_CHUNK = 64


class Lstm(AcousticNetwork):
    """Unidirectional LSTM with recurrent projection (Sak et al. 2014; 1505.04630, section 4.1).

    Parameters
    ----------
    options : LstmOptions
    input_dim : int
        Dimensions of a frame.
    num_pdfs : int
        Outputs.
    generator : torch.Generator
        Source of the initial weights.
    """

    feed = "streams"

    def __init__(
        self, options: LstmOptions, input_dim: int, num_pdfs: int, generator: torch.Generator
    ):
        super().__init__(input_dim, num_pdfs)
        self.delay = options.delay
        self.add_scaling()
        self.layers = nn.ModuleList()
        size = input_dim
        for _ in range(options.layers):
            layer = RecurrentLayer(size, options.units, options.projection)
            layer.initialise(options.init, options.forget_bias, generator)
            self.layers.append(layer)
            size = layer.output_dim
        self.output = nn.Linear(size, num_pdfs)
        glorot_(self.output, generator)

    def initial_state(self, streams: int) -> State:
        """Return the state before the first frame, for a number of streams."""
        return [layer.initial_state(streams) for layer in self.layers]

    def recur(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the recurrent layers over a chunk.

        Parameters
        ----------
        features : Tensor
            (T, S, D): steps, streams, dimensions.
        state : list of (Tensor, Tensor)
            Per layer the recurrent input (S, R) and the cells (S, C).

        Returns
        -------
        hidden : Tensor
            (T, S, R), what the output layer reads.
        state : list of (Tensor, Tensor)
            State after the last step, detached.
        """
        hidden = self.scaled(features)
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            hidden, last = layer(hidden, before)
            after.append(last)
        return hidden, after

    def utterance_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Compute the logits of whole utterances, the delay undone; see the base class.

        After its last frame an utterance goes on with copies of it, so that each frame has an
        output.
        """
        lengths = [len(utterance) for utterance in features]
        state = self.initial_state(len(features))
        padded = side_by_side(features, max(lengths) + self.delay)
        parts = []
        for chunk in padded.split(SCORING_CHUNK):
            hidden, state = self.recur(chunk, state)
            parts.append(hidden)
        hidden = torch.cat(parts)
        return [
            self.output(hidden[self.delay : self.delay + length, stream])
            for stream, length in enumerate(lengths)
        ]
