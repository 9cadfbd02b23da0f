"""The deep neural network: hidden layers over a window of frames."""

import torch
from torch import Tensor, nn

from darkknowledge.networks.base import activation_gain, glorot_
from darkknowledge.networks.options import DnnOptions
from darkknowledge.networks.windows import WindowNetwork


class Dnn(WindowNetwork):
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

    def __init__(
        self, options: DnnOptions, input_dim: int, num_pdfs: int, generator: torch.Generator
    ):
        super().__init__(options.splice, options.lda, input_dim, num_pdfs)
        self.activation = {"sigmoid": torch.sigmoid, "relu": torch.relu}[options.activation]
        gain = activation_gain(options.activation)
        self.hidden = nn.ModuleList()
        size = self.transformed_dim
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

    def activations(self, windows: Tensor, depth: int | None = None) -> Tensor:
        """Compute what the hidden layers up to a depth make of windows (B, 2 context + 1, D).

        At depth 0 it is the input, transformed; without a depth that in use counts.
        """
        layer = self.transformed(windows)
        for affine in self.hidden[: self.depth if depth is None else depth]:
            layer = self.activation(affine(layer))
        return layer
