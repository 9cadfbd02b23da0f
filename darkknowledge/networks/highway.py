"""The highway network: thin hidden layers behind gates that all of them share."""

import torch
from torch import Tensor, nn

from darkknowledge.networks.base import activation_gain, glorot_
from darkknowledge.networks.options import HighwayOptions
from darkknowledge.networks.windows import WindowNetwork


class Highway(WindowNetwork):
    """Highway deep neural network (1512.04280; 1610.05812, section II).

    From the second hidden layer on, with gates T and C whose weights are the same in all::

        h_l = σ(W_l h_{l-1} + b_l) ∘ T(h_{l-1}) + h_{l-1} ∘ C(h_{l-1})
        T(h) = σ(W_T h),    C(h) = σ(W_c h)

    Parameters
    ----------
    options : HighwayOptions
    input_dim : int
        Dimensions of a frame.
    num_pdfs : int
        Outputs.
    generator : torch.Generator
        Source of the initial weights.
    """

    def __init__(
        self, options: HighwayOptions, input_dim: int, num_pdfs: int, generator: torch.Generator
    ):
        super().__init__(options.splice, options.lda, input_dim, num_pdfs)
        units = options.units
        self.first = nn.Linear(self.transformed_dim, units)
        self.hidden = nn.ModuleList(nn.Linear(units, units) for _ in range(options.layers - 1))
        self.gates = nn.ModuleDict(
            {name: nn.Linear(units, units, bias=False) for name in _GATES[options.gates]}
        )
        self.constrained = options.gates == "constrained"
        self.output = nn.Linear(units, num_pdfs)
        gain = activation_gain("sigmoid")
        for layer in (self.first, *self.hidden):
            glorot_(layer, generator, gain)
        for gate in self.gates.values():
            nn.init.xavier_uniform_(gate.weight, generator=generator)
        glorot_(self.output, generator)
        if options.init is not None:
            for layer in (self.first, *self.hidden, *self.gates.values(), self.output):
                nn.init.uniform_(layer.weight, -options.init, options.init, generator=generator)

    def part(self, name: str) -> list[nn.Parameter]:
        """List the weights of ``all``, of the ``gates``, or of ``gates+output``."""
        if name == "all":
            return super().part(name)
        return [*self.gates.parameters(), *(self.output.parameters() if "output" in name else ())]

    def multiply_adds(self) -> int:
        """Count the multiply-adds of a frame: the gates once per hidden layer behind them."""
        gates = sum(gate.weight.numel() for gate in self.gates.values())
        return super().multiply_adds() + (len(self.hidden) - 1) * gates

    def activations(self, windows: Tensor) -> Tensor:
        """Compute what the output layer reads of windows (B, 2 context + 1, D)."""
        hidden = torch.sigmoid(self.first(self.transformed(windows)))
        for layer in self.hidden:
            new = torch.sigmoid(layer(hidden))
            opened = {name: torch.sigmoid(gate(hidden)) for name, gate in self.gates.items()}
            if self.constrained:
                hidden = torch.lerp(hidden, new, opened["transform"])
                continue
            if "transform" in opened:
                new = new * opened["transform"]
            hidden = new + (hidden * opened["carry"] if "carry" in opened else hidden)
        return hidden


_GATES = {
    "both": ("transform", "carry"),
    "constrained": ("transform",),
    "transform": ("transform",),
    "carry": ("carry",),
}
