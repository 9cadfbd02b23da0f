"""Restricted Boltzmann machines, stacked to initialise the layers of a sigmoid network.

The settings are those of Kaldi's nnet1 at the time of the papers, ``steps/nnet/pretrain_dbn.sh``
with the defaults of ``rbm-train-cd1-frmshuff``: learning rate 0.01 for Gaussian visible units and
0.4 for Bernoulli ones, L2 penalty 2e-4, minibatches of 100 frames, momentum from 0.5 to 0.9 in 40
steps of 500,000 frames with the learning rate times 1 - momentum, weights N(0, 0.1²), and twice as
many epochs for the Gaussian machine. 1506.02256 says no more than that its networks are
pre-trained with RBMs.
"""

import math

import numpy as np
import torch
from torch import Tensor

from darkknowledge.batches import FrameSet
from darkknowledge.errors import DivergenceError
from darkknowledge.networks.dnn import Dnn
from darkknowledge.networks.inputs import window_index
from darkknowledge.progress import logger

BATCH = 100
DEVIATION = 0.1
GAUSSIAN_RATE, BERNOULLI_RATE = 0.01, 0.4
L2_PENALTY = 2e-4
MOMENTUM = (0.5, 0.9)
MOMENTUM_STEPS, MOMENTUM_PERIOD = 40, 500_000
SHRINK = 0.9
SCORING_FRAMES = 4096


class Rbm:
    """A restricted Boltzmann machine with Bernoulli hidden units, trained by CD-1.

    With hidden bias c and visible bias b, p(h = 1 | v) = sigmoid(W v + c). Visible units are
    Bernoulli, p(v = 1 | h) = sigmoid(Wᵀ h + b), or Gaussian of variance 1 and mean Wᵀ h + b.

    Parameters
    ----------
    mean : Tensor
        (V,) mean of the visible units, from which their bias starts if they are Bernoulli.
    hidden : int
        Hidden units.
    gaussian : bool
        Whether the visible units are Gaussian.
    generator : torch.Generator
        Source of the initial weights, on the CPU.

    Attributes
    ----------
    weight : Tensor
        (H, V).
    hidden_bias, visible_bias : Tensor
        (H,) and (V,).
    """

    def __init__(self, mean: Tensor, hidden: int, gaussian: bool, generator: torch.Generator):
        drawn = torch.randn(hidden, len(mean), generator=generator)
        self.weight = DEVIATION * drawn.to(mean.device)
        self.hidden_bias = mean.new_zeros(hidden)
        self.gaussian = gaussian
        self.visible_bias = (
            torch.zeros_like(mean) if gaussian else torch.logit(mean.clamp(1e-4, 1 - 1e-4))
        )
        self.rate = GAUSSIAN_RATE if gaussian else BERNOULLI_RATE
        self.momentum = MOMENTUM[0]
        self.frames = 0
        self._steps = [torch.zeros_like(value) for value in self.parameters]

    @property
    def parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, visible and hidden bias, in the order of the statistics."""
        return self.weight, self.visible_bias, self.hidden_bias

    def hidden(self, visible: Tensor) -> Tensor:
        """Return p(h = 1 | v) (N, H) of visible units (N, V)."""
        return torch.sigmoid(torch.addmm(self.hidden_bias, visible, self.weight.t()))

    def visible(self, hidden: Tensor) -> Tensor:
        """Return the mean (N, V) of the visible units given hidden ones (N, H)."""
        mean = torch.addmm(self.visible_bias, hidden, self.weight)
        return mean if self.gaussian else torch.sigmoid(mean)

    def statistics(self, visible: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Σ p(h | v) vᵀ (H, V), Σ v (V,) and Σ p(h | v) (H,) of (N, V) and (N, H).

        Their mean over the data less their mean over the model is the gradient of the log
        likelihood.
        """
        return hidden.t() @ visible, visible.sum(0), hidden.sum(0)

    def reconstruct(self, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Return the mean (N, V) of the visible units given hidden ones drawn once from (N, H)."""
        draws = torch.rand(
            hidden.shape, generator=generator, device=hidden.device, dtype=hidden.dtype
        )
        return self.visible((draws < hidden).to(hidden.dtype))

    def learn(self, visible: Tensor, generator: torch.Generator) -> Tensor:
        """Learn from a minibatch (N, V) by CD-1; return the squared error of reconstruction.

        Gaussian units whose reconstruction has more than twice the deviation of the data would
        let the weights explode: all is scaled down and the learning rate shrinks, as in nnet1.
        """
        hidden = self.hidden(visible)
        again = self.reconstruct(hidden, generator)
        excess = again.std() / visible.std() if self.gaussian else 0.0
        if excess > 2:
            for value, step in zip(self.parameters, self._steps, strict=True):
                value /= excess
                step.zero_()
            self.rate *= SHRINK
        else:
            rate = self.rate * (1 - self.momentum) / len(visible)
            data = self.statistics(visible, hidden)
            model = self.statistics(again, self.hidden(again))
            gradients = [
                positive - negative for positive, negative in zip(data, model, strict=True)
            ]
            gradients[0] -= len(visible) * L2_PENALTY * self.weight
            for value, step, gradient in zip(self.parameters, self._steps, gradients, strict=True):
                step.mul_(self.momentum).add_(gradient, alpha=rate)
                value += step
        self.frames += len(visible)
        share = min(self.frames // MOMENTUM_PERIOD, MOMENTUM_STEPS) / MOMENTUM_STEPS
        self.momentum = MOMENTUM[0] + share * (MOMENTUM[1] - MOMENTUM[0])
        return (again - visible).square().sum()


@torch.no_grad()
def pretrain_stack(
    run: str, network: Dnn, data: FrameSet, epochs: int, seed: int
) -> list[list[float]]:
    """Initialise the hidden layers of a network as a stack of RBMs.

    The first machine, whose visible units are Gaussian, sees the network's normalised input,
    each other one what the layer below makes of it.

    Parameters
    ----------
    run : str
        Name in log lines and messages.
    network : Dnn
        With sigmoid layers.
    data : FrameSet
        On the network's device; its labels are not used.
    epochs : int
        Of each Bernoulli machine; the Gaussian one has twice as many.
    seed : int

    Returns
    -------
    list of list of float
        By layer and epoch the squared error of reconstruction, per frame and visible unit.

    Raises
    ------
    DivergenceError
        If an error is not a number.
    """
    device = data.features.device
    weights = torch.Generator().manual_seed(seed)
    draws = torch.Generator(device).manual_seed(seed)

    def activations(frames: Tensor, depth: int) -> Tensor:
        frames = frames.to(device)
        windows = window_index(frames, data.first[frames], data.last[frames], network.context)
        return network.activations(data.features[windows], depth)

    errors: list[list[float]] = []
    everything = torch.arange(len(data))
    for depth, layer in enumerate(network.hidden):
        total = sum(activations(f, depth).double().sum(0) for f in everything.split(SCORING_FRAMES))
        mean = (total / len(data)).float()
        rbm = Rbm(mean, len(layer.bias), depth == 0, weights)
        errors.append([])
        for epoch in range(1, (1 + rbm.gaussian) * epochs + 1):
            order = np.random.default_rng([seed, depth, epoch]).permutation(len(data))
            parts = torch.from_numpy(order).split(BATCH * (SCORING_FRAMES // BATCH))
            batches = (b for part in parts for b in activations(part, depth).split(BATCH))
            total = sum(rbm.learn(batch, draws).double() for batch in batches)
            error = total.item() / len(data) / len(mean)
            errors[-1].append(error)
            logger.info(
                "%s seed %d, RBM %d of %d, epoch %d: reconstruction error %.4f",
                run,
                seed,
                depth + 1,
                len(network.hidden),
                epoch,
                error,
            )
            if not math.isfinite(error):
                raise DivergenceError(
                    f"{run} seed {seed}: the reconstruction error is not a number in RBM "
                    f"{depth + 1}, epoch {epoch}, at learning rate {rbm.rate:.3g}; take "
                    "`initialisation: layerwise` or fewer `initialisation_epochs`"
                )
        layer.weight.copy_(rbm.weight)
        layer.bias.copy_(rbm.hidden_bias)
    return errors
