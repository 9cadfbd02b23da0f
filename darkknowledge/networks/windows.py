"""Feed-forward networks: a window of frames, a fixed transform, hidden layers, one output."""

import torch
from torch import Tensor, nn

from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.inputs import estimate_lda, window_index

SCORING_BLOCK = 4096


class WindowNetwork(AcousticNetwork):
    """What every network over spliced frames has in common.

    Parameters
    ----------
    splice : int
        Frames of context on each side.
    lda : int or None
        Dimensions that an LDA keeps of the window; None to scale the frames instead.
    input_dim : int
        Dimensions of a frame.
    num_pdfs : int
        Outputs.

    Attributes
    ----------
    transformed_dim : int
        Dimensions of the window after the transform.
    """

    feed = "frames"

    def __init__(self, splice: int, lda: int | None, input_dim: int, num_pdfs: int):
        super().__init__(input_dim, num_pdfs)
        self.context = splice
        self.lda = lda
        width = (2 * splice + 1) * input_dim
        self.transformed_dim = lda or width
        if lda:
            self.register_buffer("lda_matrix", torch.eye(lda, width))
            self.register_buffer("lda_offset", torch.zeros(lda))
        else:
            self.add_scaling()

    def estimate(self, features: Tensor, first: Tensor, last: Tensor, labels: Tensor) -> None:
        """Estimate the LDA, or without one the scaling, on the frames of the training set."""
        if not self.lda:
            super().estimate(features, first, last, labels)
            return
        matrix, offset = estimate_lda(features, first, last, labels, self.context, self.lda)
        self.lda_matrix.copy_(matrix)
        self.lda_offset.copy_(offset)

    def transformed(self, windows: Tensor) -> Tensor:
        """Transform windows (B, 2 context + 1, D) to (B, transformed_dim)."""
        if self.lda:
            return nn.functional.linear(windows.flatten(1), self.lda_matrix, self.lda_offset)
        return self.scaled(windows).flatten(1)

    def activations(self, windows: Tensor) -> Tensor:
        """Compute what the output layer reads of windows (B, 2 context + 1, D)."""
        raise NotImplementedError

    def forward(self, windows: Tensor) -> Tensor:
        """Compute logits (B, pdfs) of windows (B, 2 context + 1, D)."""
        return self.output(self.activations(windows))

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
