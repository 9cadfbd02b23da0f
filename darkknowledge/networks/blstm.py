"""The bidirectional network: LSTM layers in both directions between feed-forward layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from darkknowledge.networks.base import AcousticNetwork, activation_gain, glorot_, side_by_side
from darkknowledge.networks.options import BlstmOptions
from darkknowledge.networks.recurrence import RecurrentLayer

SCORING_CHUNK = 64


class Blstm(AcousticNetwork):
    """TC-DNN-BLSTM-DNN of Chan and Lane (1504.01482), or a plain BLSTM without its DNNs.

    A window of frames, a DNN that reads it, LSTM layers in both directions, a DNN over their
    outputs, one output layer. It reads whole utterances.

    Parameters
    ----------
    options : BlstmOptions
    input_dim : int
        Dimensions of a frame.
    num_pdfs : int
        Outputs.
    generator : torch.Generator
        Source of the initial weights.
    """

    feed = "utterances"

    def __init__(
        self, options: BlstmOptions, input_dim: int, num_pdfs: int, generator: torch.Generator
    ):
        super().__init__(input_dim, num_pdfs)
        self.context = options.splice
        self.add_scaling()
        self.below = _rectified((2 * options.splice + 1) * input_dim, options.below, generator)
        size = options.below[-1] if options.below else (2 * options.splice + 1) * input_dim
        self.forwards, self.backwards = nn.ModuleList(), nn.ModuleList()
        for _ in range(options.layers):
            for direction in (self.forwards, self.backwards):
                layer = RecurrentLayer(size, options.units, None, options.cell_clip, options.bias)
                layer.initialise(options.init, options.forget_bias, generator)
                direction.append(layer)
            size = 2 * options.units
        self.above = _rectified(size, options.above, generator)
        size = options.above[-1] if options.above else size
        self.output = nn.Linear(size, num_pdfs)
        glorot_(self.output, generator)

    def hidden(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Compute what the output layer reads.

        Parameters
        ----------
        features : Tensor
            (T, S, D) utterances side by side, each going on with copies of its last frame.
        lengths : Tensor
            (S,) frames of each, at most T.

        Returns
        -------
        Tensor
            (T, S, H); what comes after the end of an utterance means nothing.
        """
        steps, streams, _ = features.shape
        time = torch.arange(steps, device=features.device)[:, None]  # (T, 1)
        layer = self.scaled(features)
        if self.context:
            offsets = torch.arange(-self.context, self.context + 1, device=features.device)
            layer = layer[(time + offsets).clamp(0, steps - 1)]  # (T, W, S, D)
            layer = layer.transpose(1, 2).flatten(2)
        layer = self.below(layer)
        turned = torch.where(time < lengths, lengths - 1 - time, time)  # (T, S)
        places = turned * streams + torch.arange(streams, device=features.device)
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            ahead = _run(forwards, layer)
            back = _turn(_run(backwards, _turn(layer, places)), places)
            layer = torch.cat([ahead, back], 2)
        return self.above(layer)

    def utterance_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Compute the logits of whole utterances; see the base class."""
        lengths = [len(utterance) for utterance in features]
        padded = side_by_side(features, max(lengths))
        hidden = self.hidden(padded, torch.tensor(lengths, device=padded.device))
        return [self.output(hidden[:length, stream]) for stream, length in enumerate(lengths)]


def _rectified(size: int, widths: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """Build hidden layers of rectified linear units."""
    layers: list[nn.Module] = []
    for width in widths:
        affine = nn.Linear(size, width)
        glorot_(affine, generator, activation_gain("relu"))
        layers += [affine, nn.ReLU()]
        size = width
    return nn.Sequential(*layers)


def _turn(layer: Tensor, places: Tensor) -> Tensor:
    """Take the steps (T, S, D) of each utterance from other places (T, S) of the flat (T S, D)."""
    return layer.flatten(0, 1).index_select(0, places.flatten()).view_as(layer)


def _run(layer: RecurrentLayer, inputs: Tensor) -> Tensor:
    """Run a layer over whole utterances (T, S, D); chunk by chunk where memory can be saved."""
    state = layer.initial_state(inputs.shape[1])
    if torch.is_grad_enabled():
        return layer(inputs, state)[0]
    parts = []
    for chunk in inputs.split(SCORING_CHUNK):
        outputs, state = layer(chunk, state)
        parts.append(outputs)
    return torch.cat(parts)
