"""What every acoustic network has in common."""

import torch
from torch import Tensor, nn

from darkknowledge.networks.inputs import mean_and_deviation


class AcousticNetwork(nn.Module):
    """A network from feature frames to logits over pdfs.

    Attributes
    ----------
    feed : {"frames", "streams", "utterances"}
        How it is trained: on shuffled windows of frames, on chunks of utterances with a state
        that is carried on, or on whole utterances, which are read in both directions.
    context : int
        Frames that a window holds on each side (not of ``feed == "streams"``).
    delay : int
        Frames by which the output lags behind the input (``feed == "streams"``).
    deltas : int
        Order of the time derivatives that its input has beside the filter banks.
    output : nn.Linear
        The last layer.
    """

    feed = "frames"
    context = 0
    delay = 0
    deltas = 0
    output: nn.Linear

    def __init__(self, input_dim: int, num_pdfs: int):
        super().__init__()
        self.input_dim = input_dim
        self.num_pdfs = num_pdfs

    def add_scaling(self) -> None:
        """Give the network a scaling of its input, for now the identity."""
        self.register_buffer("shift", torch.zeros(self.input_dim))
        self.register_buffer("scale", torch.ones(self.input_dim))

    def estimate(self, features: Tensor, first: Tensor, last: Tensor, labels: Tensor) -> None:
        """Fit the fixed input transform, here the scaling, to the training set.

        Parameters
        ----------
        features : Tensor
            (N, D) flat frames.
        first, last : Tensor
            (N,) first and last row of each frame's utterance.
        labels : Tensor
            (N,) pdf of each frame.
        """
        mean, deviation = mean_and_deviation(features)
        self.shift.copy_(-mean)
        self.scale.copy_(1 / deviation)

    def scaled(self, features: Tensor) -> Tensor:
        """Scale frames (..., D) to mean 0 and variance 1."""
        return (features + self.shift) * self.scale

    def part(self, name: str) -> list[nn.Parameter]:
        """List the weights of a part of the network, here only of ``all``."""
        if name != "all":
            raise ValueError(f"a network of kind {type(self).__name__} has no part {name!r}")
        return list(self.parameters())

    def multiply_adds(self) -> int:
        """Count the multiply-adds of a frame: here each matrix once, the fixed transform too."""
        return sum(t.numel() for t in (*self.parameters(), *self.buffers()) if t.dim() == 2)

    def stored_bytes(self, matrix: int) -> int:
        """Return the size of the network with so many bytes per weight of a matrix, else four."""
        tensors = (*self.parameters(), *self.buffers())
        return sum(t.numel() * (matrix if t.dim() == 2 else 4) for t in tensors)

    def reset_output(self, generator: torch.Generator) -> None:
        """Start the output layer afresh, on any device with the generator of the CPU."""
        size = self.output.in_features, self.output.out_features
        fresh = nn.utils.skip_init(nn.Linear, *size)
        glorot_(fresh, generator)
        self.output.load_state_dict(fresh.state_dict())

    def utterance_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Compute the logits of whole utterances, row t for frame t.

        Parameters
        ----------
        features : list of Tensor
            Each (N, D).

        Returns
        -------
        list of Tensor
            Each (N, pdfs).
        """
        raise NotImplementedError


def side_by_side(features: list[Tensor], steps: int) -> Tensor:
    """Stack utterances (N, D) to (steps, S, D), each going on with copies of its last frame."""
    time = torch.arange(steps, device=features[0].device)
    return torch.stack([frames[time.clamp_max(len(frames) - 1)] for frames in features], 1)


def activation_gain(activation: str) -> float:
    """Return the factor of Glorot's weights that keeps the variance through an activation."""
    return {"sigmoid": 4.0, "relu": 2.0**0.5}[activation]


def glorot_(layer: nn.Linear, generator: torch.Generator, gain: float = 1.0) -> None:
    """Draw weights uniformly as Glorot and Bengio (2010), set the bias to 0."""
    nn.init.xavier_uniform_(layer.weight, gain=gain, generator=generator)
    nn.init.zeros_(layer.bias)
