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
PART = 4000  # frames whose activations are made at once


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
        product = torch.addmm(self.hidden_bias, visible, self.weight.t())
        return torch.sigmoid(product.to(visible.dtype))

    def visible(self, hidden: Tensor) -> Tensor:
        """Return the mean (N, V) of the visible units given hidden ones (N, H)."""
        mean = torch.addmm(self.visible_bias, hidden, self.weight).to(hidden.dtype)
        return mean if self.gaussian else torch.sigmoid(mean)

    def statistics(
        self, visible: Tensor, hidden: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sum p(h | v) vᵀ (H, V), v (V,) and p(h | v) (H,) over weighted rows.

        With the data weighted positively and the model negatively, each to the sum of 1, this is
        the gradient of the log likelihood. It is one product, so that a product of lower precision
        rounds the difference and not its two large terms.

        Parameters
        ----------
        visible : Tensor
            (N, V).
        hidden : Tensor
            (N, H), p(h = 1 | v).
        weights : Tensor
            (N, 1).
        """
        hidden = weights * hidden
        return hidden.t() @ visible, (weights * visible).sum(0), hidden.sum(0)

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
            rate = self.rate * (1 - self.momentum)
            weights = visible.new_full((2 * len(visible), 1), 1 / len(visible))
            weights[len(visible) :].neg_()
            gradients = self.statistics(
                torch.cat([visible, again]), torch.cat([hidden, self.hidden(again)]), weights
            )
            for value, step, gradient in zip(self.parameters, self._steps, gradients, strict=True):
                step.mul_(self.momentum).add_(gradient, alpha=rate)
                if value is self.weight:
                    step.add_(value, alpha=-rate * L2_PENALTY)
                value += step
        self.frames += len(visible)
        share = min(self.frames // MOMENTUM_PERIOD, MOMENTUM_STEPS) / MOMENTUM_STEPS
        self.momentum = MOMENTUM[0] + share * (MOMENTUM[1] - MOMENTUM[0])
        return (again - visible).square().sum()


@torch.no_grad()
def pretrain_layer(
    run: str,
    network: Dnn,
    data: FrameSet,
    depth: int,
    epochs: int,
    seed: int,
    bf16: bool = False,
) -> list[float]:
    """Initialise a hidden layer of a network as an RBM on top of the layers below it.

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
    depth : int
        Of the layer, from 0.
    epochs : int
        Of a Bernoulli machine; the Gaussian one has twice as many.
    seed : int
    bf16 : bool, optional
        Whether products are in bf16; units, draws and steps are in float32 all the same.

    Returns
    -------
    list of float
        By epoch the squared error of reconstruction, per frame and visible unit.

    Raises
    ------
    DivergenceError
        If an error is not a number.
    """
    device = data.features.device
    own_seed = int(np.random.SeedSequence([seed, depth]).generate_state(1)[0])
    draws = torch.Generator(device).manual_seed(own_seed)
    precision = torch.autocast(device.type, torch.bfloat16, enabled=bf16)

    def activations(frames: Tensor) -> Tensor:
        frames = frames.to(device)
        windows = window_index(frames, data.first[frames], data.last[frames], network.context)
        with precision:
            return network.activations(data.features[windows], depth).float()

    total = sum(activations(f).double().sum(0) for f in torch.arange(len(data)).split(PART))
    mean = (total / len(data)).float()
    layer, gaussian = network.hidden[depth], depth == 0
    rbm = Rbm(mean, len(layer.bias), gaussian, torch.Generator().manual_seed(own_seed))
    errors: list[float] = []
    for epoch in range(1, (1 + gaussian) * epochs + 1):
        order = np.random.default_rng([seed, depth, epoch]).permutation(len(data))
        total = torch.zeros((), dtype=torch.float64, device=device)
        for part in torch.from_numpy(order).split(PART):
            for batch in activations(part).split(BATCH):
                with precision:
                    total += rbm.learn(batch, draws)
        errors.append(total.item() / len(data) / len(mean))
        logger.info(
            "%s seed %d, RBM %d of %d, epoch %d: reconstruction error %.4f",
            run,
            seed,
            depth + 1,
            len(network.hidden),
            epoch,
            errors[-1],
        )
        if not math.isfinite(errors[-1]):
            raise DivergenceError(
                f"{run} seed {seed}: the reconstruction error is not a number in RBM "
                f"{depth + 1}, epoch {epoch}, at learning rate {rbm.rate:.3g}; take "
                "`initialisation: layerwise` or fewer `initialisation_epochs`"
            )
    layer.weight.copy_(rbm.weight)
    layer.bias.copy_(rbm.hidden_bias)
    return errors
