"""The feed-forward network: a window of frames, a fixed LDA, hidden layers, one output."""

import torch
from torch import Tensor, nn

from darkknowledge.networks.base import AcousticNetwork, glorot_
from darkknowledge.networks.inputs import estimate_lda, mean_and_deviation, window_index
from darkknowledge.networks.options import DnnOptions

SCORING_BLOCK = 4096


class Dnn(AcousticNetwork):
    """Deep neural network over spliced frames (1505.04630, section 4.1).

    Parameters
    ----------
    options : DnnOptions
    input_dim : int
        Dimensions of a frame.
    num_pdfs : int
        Outputs.
    generator : torch.Generator
        Source of the initial weights.

    Attributes
    ----------
    depth : int
        Hidden layers in use, all but while they are added one by one.
    """

    feed = "frames"

    def __init__(
        self, options: DnnOptions, input_dim: int, num_pdfs: int, generator: torch.Generator
    ):
        super().__init__(input_dim, num_pdfs)
        self.context = options.splice
        width = (2 * options.splice + 1) * input_dim
        size = options.lda or width
        self.lda = options.lda
        if options.lda:
            self.register_buffer("lda_matrix", torch.eye(size, width))
            self.register_buffer("lda_offset", torch.zeros(size))
        else:
            self.register_buffer("shift", torch.zeros(input_dim))
            self.register_buffer("scale", torch.ones(input_dim))
        self.activation = {"sigmoid": torch.sigmoid, "relu": torch.relu}[options.activation]
        gain = {"sigmoid": 4.0, "relu": 2.0**0.5}[options.activation]
        self.hidden = nn.ModuleList()
        for _ in range(options.layers):
            layer = nn.Linear(size, options.units)
            glorot_(layer, generator, gain)
            if options.activation == "sigmoid":
                # A sigmoid's mean output is 1/2: keep the sums centred.
                with torch.no_grad():
                    if len(self.hidden):
                        layer.bias.copy_(-0.5 * layer.weight.sum(1))
            self.hidden.append(layer)
            size = options.units
        self.depth = options.layers
        self.output = nn.Linear(size, num_pdfs)
        glorot_(self.output, generator)

    def estimate(self, features: Tensor, first: Tensor, last: Tensor, labels: Tensor) -> None:
        """Estimate the LDA, or without one the scaling, on the frames of the training set."""
        if self.lda:
            matrix, offset = estimate_lda(features, first, last, labels, self.context, self.lda)
            self.lda_matrix.copy_(matrix)
            self.lda_offset.copy_(offset)
        else:
            mean, deviation = mean_and_deviation(features)
            self.shift.copy_(-mean)
            self.scale.copy_(1 / deviation)

    def activations(self, windows: Tensor, depth: int) -> Tensor:
        """Compute what the hidden layers up to a depth make of windows (B, 2 context + 1, D).

        At depth 0 it is the input, transformed.
        """
        if self.lda:
            layer = nn.functional.linear(windows.flatten(1), self.lda_matrix, self.lda_offset)
        else:
            layer = ((windows + self.shift) * self.scale).flatten(1)
        for affine in self.hidden[:depth]:
            layer = self.activation(affine(layer))
        return layer

    def forward(self, windows: Tensor) -> Tensor:
        """Compute logits (B, pdfs) of windows (B, 2 context + 1, D)."""
        return self.output(self.activations(windows, self.depth))

    def utterance_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Compute the logits of whole utterances; see the base class."""
        result = []
        for utterance in features:
            rows = torch.arange(len(utterance), device=utterance.device)
            first, last = torch.zeros_like(rows), torch.full_like(rows, len(rows) - 1)
            index = window_index(rows, first, last, self.context)
            parts = [self(utterance[part]) for part in index.split(SCORING_BLOCK)]
            result.append(torch.cat(parts))
        return result
