"""What every acoustic network has in common."""

import torch
from torch import Tensor, nn


class AcousticNetwork(nn.Module):
    """A network from feature frames to logits over pdfs.

    Attributes
    ----------
    feed : {"frames", "streams"}
        How it is trained: on shuffled windows of frames, or on chunks of utterances with a
        state that is carried on.
    context : int
        Frames that a window holds on each side (``feed == "frames"``).
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

    def estimate(self, statistics) -> None:
        """Fit the fixed input transform to the training set; see ``networks.inputs``."""
        raise NotImplementedError

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


def glorot_(layer: nn.Linear, generator: torch.Generator, gain: float = 1.0) -> None:
    """Draw weights uniformly as Glorot and Bengio (2010), set the bias to 0."""
    nn.init.xavier_uniform_(layer.weight, gain=gain, generator=generator)
    nn.init.zeros_(layer.bias)
