"""One LSTM layer with recurrent projection."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

aten = torch.ops.aten
_step_by_step = ContextVar("step_by_step", default=False)


@contextmanager
def step_by_step() -> Iterator[None]:
    """Let recurrent layers run as plain differentiable operations while the block lasts.

    They can then be differentiated twice and mapped over by ``torch.func.vmap``, and gradients
    reach through the states that are carried from chunk to chunk. The outputs are the same, more
    slowly.
    """
    token = _step_by_step.set(True)
    try:
        yield
    finally:
        _step_by_step.reset(token)


def _product(one: Tensor, other: Tensor, bf16: bool) -> Tensor:
    if bf16:
        return (one.bfloat16() @ other.bfloat16()).float()
    return one @ other


class _Recurrence(torch.autograd.Function):
    """The layer over a chunk, with the products of all steps gathered into few large ones.

    Only the recurrent products run step by step; input products and the gradients of all
    weights are one matrix product each. On a CPU this is faster than ``torch.nn.LSTM``. With
    `bf16` the large products have such factors; the recurrence stays as it is.
    """

    @staticmethod
    def forward(ctx, inputs, recurrent, cells, w_input, w_recurrent, bias, w_project, bf16, clip):
        steps, streams, _ = inputs.shape
        units = w_input.shape[0] // 4
        gates = _product(inputs.flatten(0, 1), w_input.t(), bf16).add_(bias)
        gates = gates.view(steps, streams, 4 * units)
        memory = gates.new_empty(steps + 1, streams, units)
        squashed = gates.new_empty(steps, streams, units)
        hidden = gates.new_empty(steps, streams, units)
        outputs = gates.new_empty(steps + 1, streams, recurrent.shape[1])
        memory[0], outputs[0] = cells, recurrent
        transposed = w_recurrent.t()
        projecting = None if w_project is None else w_project.t()
        for step in range(steps):
            gate = gates[step].addmm_(outputs[step], transposed)
            gate[:, : 3 * units].sigmoid_()
            gate[:, 3 * units :].tanh_()
            keep, write, emit, new = gate.chunk(4, 1)
            torch.mul(keep, memory[step], out=memory[step + 1])
            memory[step + 1].addcmul_(write, new)
            if clip is not None:
                memory[step + 1].clamp_(-clip, clip)
            torch.tanh(memory[step + 1], out=squashed[step])
            if projecting is None:
                torch.mul(emit, squashed[step], out=outputs[step + 1])
            else:
                torch.mul(emit, squashed[step], out=hidden[step])
                torch.mm(hidden[step], projecting, out=outputs[step + 1])
        ctx.save_for_backward(
            inputs, gates, memory, squashed, hidden, outputs, w_input, w_recurrent, w_project
        )
        ctx.bf16, ctx.clip = bf16, clip
        return outputs[1:], outputs[-1].clone(), memory[-1].clone()

    @staticmethod
    def backward(ctx, d_outputs, _last_recurrent, _last_cells):
        (inputs, gates, memory, squashed, hidden, outputs, w_input, w_recurrent, w_project) = (
            ctx.saved_tensors
        )
        steps, streams, units = squashed.shape
        d_gates = torch.empty_like(gates)
        d_outputs = d_outputs.clone(memory_format=torch.contiguous_format)
        d_cell = torch.zeros_like(squashed[0])
        for step in range(steps - 1, -1, -1):
            d_output = d_outputs[step]
            if step + 1 < steps:
                d_output.addmm_(d_gates[step + 1], w_recurrent)
            d_hidden = d_output if w_project is None else d_output @ w_project
            keep, write, emit, new = gates[step].chunk(4, 1)
            d_keep, d_write, d_emit, d_new = d_gates[step].chunk(4, 1)
            d_cell += aten.tanh_backward(d_hidden * emit, squashed[step])
            if ctx.clip is not None:
                d_cell *= memory[step + 1].abs() < ctx.clip
            torch.mul(d_cell, memory[step], out=d_keep)
            torch.mul(d_cell, new, out=d_write)
            torch.mul(d_hidden, squashed[step], out=d_emit)
            torch.mul(d_cell, write, out=d_new)
            switches = d_gates[step][:, : 3 * units]
            aten.sigmoid_backward.grad_input(
                switches, gates[step][:, : 3 * units], grad_input=switches
            )
            aten.tanh_backward.grad_input(d_new, new, grad_input=d_new)
            d_cell *= keep
        flat = d_gates.flatten(0, 1)
        if ctx.bf16:
            flat = flat.bfloat16()
        d_inputs = None
        if ctx.needs_input_grad[0]:
            d_inputs = _product(flat, w_input, ctx.bf16).view_as(inputs)
        d_project = None
        if w_project is not None:
            d_project = _product(d_outputs.flatten(0, 1).t(), hidden.flatten(0, 1), ctx.bf16)
        return (
            d_inputs,
            None,
            None,
            _product(flat.t(), inputs.flatten(0, 1), ctx.bf16),
            _product(flat.t(), outputs[:-1].flatten(0, 1), ctx.bf16),
            d_gates.sum((0, 1)),
            d_project,
            None,
            None,
        )


class RecurrentLayer(nn.Module):
    """LSTM layer without peepholes, with a recurrent projection.

    With gates f, i, o and candidate g from x_t and r_{t-1}:
    c_t = f c_{t-1} + i g, m_t = o tanh(c_t), r_t = W_p m_t, which is the output and the next
    step's recurrent input (Sak et al. 2014, equations 1 to 6; the non-recurrent projection is
    left out, as in 1505.04630). Gradients do not reach beyond the chunk.

    Parameters
    ----------
    input_dim, units : int
    projection : int or None
        Size of r; without one r = m.
    clip : float or None
        Largest magnitude of a cell; no gradient passes where it is reached.
    bias : bool
        Whether the gates have biases.
    """

    def __init__(
        self,
        input_dim: int,
        units: int,
        projection: int | None,
        clip: float | None = None,
        bias: bool = True,
    ):
        super().__init__()
        self.units = units
        self.clip = clip
        self.output_dim = projection or units
        self.w_input = nn.Parameter(torch.zeros(4 * units, input_dim))
        self.w_recurrent = nn.Parameter(torch.zeros(4 * units, self.output_dim))
        if bias:
            self.bias = nn.Parameter(torch.zeros(4 * units))
        else:
            self.register_buffer("bias", torch.zeros(4 * units))
        if projection:
            self.w_project = nn.Parameter(torch.zeros(projection, units))
        else:
            self.register_parameter("w_project", None)

    def initialise(
        self, scale: float | None, forget_bias: float, generator: torch.Generator
    ) -> None:
        """Draw weights uniformly in ±scale (None: 1/√units); set the biases, if it has any."""
        bound = self.units**-0.5 if scale is None else scale
        for weight in (self.w_input, self.w_recurrent, self.w_project):
            if weight is not None:
                nn.init.uniform_(weight, -bound, bound, generator=generator)
        if isinstance(self.bias, nn.Parameter):
            with torch.no_grad():
                self.bias.zero_()
                self.bias[: self.units] = forget_bias

    def initial_state(self, streams: int) -> tuple[Tensor, Tensor]:
        """Return zeros: recurrent input (S, R) and cells (S, C)."""
        return (
            self.bias.new_zeros(streams, self.output_dim),
            self.bias.new_zeros(streams, self.units),
        )

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run over a chunk (T, S, D); return (T, S, R) and the state after it, detached.

        Within `step_by_step` the state is not detached.
        """
        if _step_by_step.get():
            return self.plain(inputs, state)
        device = inputs.device.type
        if device == "cuda" and self.clip is None:
            return self.native(inputs, state)
        weights = (self.w_input, self.w_recurrent, self.bias, self.w_project)
        bf16 = torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False):
            outputs, recurrent, cells = _Recurrence.apply(
                inputs.to(self.bias.dtype), *state, *weights, bf16, self.clip
            )
        return outputs, (recurrent.detach(), cells.detach())

    def plain(
        self, inputs: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Do the same with operations that can be differentiated any number of times."""
        recurrent, cells = state
        switches = 3 * self.units
        outputs = []
        for step in (inputs @ self.w_input.t() + self.bias).unbind(0):
            gates = step + recurrent @ self.w_recurrent.t()
            keep, write, emit = gates[..., :switches].sigmoid().chunk(3, -1)
            cells = keep * cells + write * gates[..., switches:].tanh()
            if self.clip is not None:
                cells = cells.clamp(-self.clip, self.clip)
            recurrent = emit * cells.tanh()
            if self.w_project is not None:
                recurrent = recurrent @ self.w_project.t()
            outputs.append(recurrent)
        return torch.stack(outputs), (recurrent, cells)

    def native(
        self, inputs: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Do the same with torch's own LSTM, which is cuDNN's on a GPU and clips no cell."""
        forget, write, emit, new = range(4)
        weights = [
            torch.cat([weight.chunk(4)[gate] for gate in (write, forget, new, emit)])
            for weight in (self.w_input, self.w_recurrent, self.bias)
        ]
        weights.append(torch.zeros_like(self.bias))
        if self.w_project is not None:
            weights.append(self.w_project)
        before = [value[None].detach().to(inputs.dtype) for value in state]
        outputs, recurrent, cells = torch._VF.lstm(
            inputs, before, weights, True, 1, 0.0, self.training, False, False
        )
        return outputs, (recurrent[0].detach(), cells[0].detach())
