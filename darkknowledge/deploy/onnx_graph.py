"""A trained network as an ONNX graph: features of an utterance in, log posteriors out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.blstm import Blstm
from darkknowledge.networks.dnn import Dnn
from darkknowledge.networks.highway import Highway
from darkknowledge.networks.lstm import Lstm
from darkknowledge.networks.recurrence import RecurrentLayer
from darkknowledge.networks.windows import WindowNetwork

OPSET = 17
IR_VERSION = 9
INPUT, OUTPUT = "features", "log_posteriors"


class _Graph:
    """Nodes and constants of a graph under construction; every value has a name of its own."""

    def __init__(self, prefix: str = ""):
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def name(self) -> str:
        return f"{self.prefix}v{len(self.nodes)}_{len(self.constants)}"

    def constant(self, value: Tensor | np.ndarray) -> str:
        """Add a constant; return its name."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        name = f"{self.prefix}c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a vector of integers."""
        return self.constant(np.array(values, np.int64))

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes):
        """Add a node; return the name of its output, or of several."""
        names = [f"{self.name()}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def affine(self, value: str, weight: Tensor, bias: Tensor | None = None) -> str:
        """Multiply rows by a matrix (out, in) and add a bias."""
        product = self.add("MatMul", value, self.constant(weight.t()))
        return product if bias is None else self.add("Add", product, self.constant(bias))

    def linear(self, value: str, layer: nn.Linear) -> str:
        """Apply a layer."""
        return self.affine(value, layer.weight, layer.bias)


def onnx_graph(network: AcousticNetwork) -> onnx.ModelProto:
    """Write a network as ONNX.

    Parameters
    ----------
    network : AcousticNetwork

    Returns
    -------
    ModelProto
        With one input ``features`` (N, D), normalised and with deltas as the network reads them,
        and one output ``log_posteriors`` (N, pdfs), row t for frame t whatever the delay.
    """
    graph = _Graph()
    logits = _WRITERS[type(network)](graph, network)
    graph.nodes.append(helper.make_node("LogSoftmax", [logits], [OUTPUT], axis=1))
    made = helper.make_graph(
        graph.nodes,
        type(network).__name__,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["frames", network.input_dim])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["frames", network.num_pdfs])],
        graph.constants,
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="darkknowledge",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _frames(graph: _Graph, more: int = 0) -> tuple[str, str]:
    """Return the numbers of the frames, and of the last one; ``more`` frames are added."""
    count = graph.add("Gather", graph.add("Shape", INPUT), graph.constant(np.array(0)))
    one = graph.constant(np.array(1))
    last = graph.add("Sub", count, one)
    until = graph.add("Add", count, graph.constant(np.array(more)))
    return graph.add("Range", graph.constant(np.array(0)), until, one), last


def _windows(graph: _Graph, value: str, context: int, width: int) -> str:
    """Splice frames (N, D) to (N, (2 context + 1) D), the edges repeated."""
    if not context:
        return value
    frames, last = _frames(graph)
    column = graph.add("Unsqueeze", frames, graph.integers(1))
    index = graph.add("Add", column, graph.constant(np.arange(-context, context + 1)[None]))
    index = graph.add("Max", index, graph.constant(np.array(0)))
    index = graph.add("Min", index, last)
    spliced = graph.add("Gather", value, index, axis=0)
    return graph.add("Reshape", spliced, graph.integers(-1, (2 * context + 1) * width))


def _scaled(graph: _Graph, value: str, network: AcousticNetwork) -> str:
    moved = graph.add("Add", value, graph.constant(network.shift))
    return graph.add("Mul", moved, graph.constant(network.scale))


def _transformed(graph: _Graph, network: WindowNetwork) -> str:
    if network.lda:
        window = _windows(graph, INPUT, network.context, network.input_dim)
        return graph.affine(window, network.lda_matrix, network.lda_offset)
    return _windows(graph, _scaled(graph, INPUT, network), network.context, network.input_dim)


def _dnn(graph: _Graph, network: Dnn) -> str:
    kind = {"sigmoid": "Sigmoid", "relu": "Relu"}[network.activation.__name__]
    value = _transformed(graph, network)
    for layer in network.hidden[: network.depth]:
        value = graph.add(kind, graph.linear(value, layer))
    return graph.linear(value, network.output)


def _highway(graph: _Graph, network: Highway) -> str:
    value = graph.add("Sigmoid", graph.linear(_transformed(graph, network), network.first))
    weights = {name: graph.constant(gate.weight.t()) for name, gate in network.gates.items()}
    for layer in network.hidden:
        new = graph.add("Sigmoid", graph.linear(value, layer))
        opened = {
            name: graph.add("Sigmoid", graph.add("MatMul", value, weight))
            for name, weight in weights.items()
        }
        if "transform" in opened:
            new = graph.add("Mul", new, opened["transform"])
        if network.constrained:
            one = graph.constant(np.array(1, np.float32))
            opened["carry"] = graph.add("Sub", one, opened["transform"])
        if "carry" in opened:
            value = graph.add("Mul", value, opened["carry"])
        value = graph.add("Add", new, value)
    return graph.linear(value, network.output)


def _lstm(graph: _Graph, network: Lstm) -> str:
    frames, last = _frames(graph, network.delay)
    value = graph.add("Gather", INPUT, graph.add("Min", frames, last), axis=0)
    value = _scaled(graph, value, network)
    for number, layer in enumerate(network.layers):
        value = _recurrent(graph, value, layer, f"l{number}_")
    ends = graph.integers(np.iinfo(np.int64).max)
    value = graph.add("Slice", value, graph.integers(network.delay), ends, graph.integers(0))
    return graph.linear(value, network.output)


def _blstm(graph: _Graph, network: Blstm) -> str:
    value = _scaled(graph, INPUT, network)
    value = _windows(graph, value, network.context, network.input_dim)
    value = _rectified(graph, value, network.below)
    for number, (ahead, back) in enumerate(zip(network.forwards, network.backwards, strict=True)):
        both = [
            _recurrent(graph, value, ahead, f"f{number}_"),
            _recurrent(graph, value, back, f"b{number}_", backwards=True),
        ]
        value = graph.add("Concat", *both, axis=1)
    return graph.linear(_rectified(graph, value, network.above), network.output)


def _rectified(graph: _Graph, value: str, layers: nn.Sequential) -> str:
    for layer in layers:
        is_affine = isinstance(layer, nn.Linear)
        value = graph.linear(value, layer) if is_affine else graph.add("Relu", value)
    return value


def _recurrent(
    graph: _Graph, value: str, layer: RecurrentLayer, prefix: str, backwards: bool = False
) -> str:
    """Run a layer over frames (N, D), step by step; return (N, R)."""
    gates = graph.affine(value, layer.w_input, layer.bias)
    step = _Graph(prefix)
    before, cells, frame = (f"{prefix}{name}" for name in ("before", "cells", "frame"))
    total = step.add("Add", frame, step.affine(before, layer.w_recurrent))
    sizes = step.integers(*[layer.units] * 4)
    forget, write, emit, new = step.add("Split", total, sizes, outputs=4, axis=1)
    forget, write, emit = (step.add("Sigmoid", gate) for gate in (forget, write, emit))
    kept = step.add("Mul", forget, cells)
    after = step.add("Add", kept, step.add("Mul", write, step.add("Tanh", new)))
    if layer.clip is not None:
        low, high = (step.constant(np.array(sign * layer.clip, np.float32)) for sign in (-1, 1))
        after = step.add("Clip", after, low, high)
    output = step.add("Mul", emit, step.add("Tanh", after))
    if layer.w_project is not None:
        output = step.affine(output, layer.w_project)
    shown = step.add("Identity", output)

    def described(name: str, size: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])

    body = helper.make_graph(
        step.nodes,
        f"{prefix}step",
        [
            described(before, layer.output_dim),
            described(cells, layer.units),
            described(frame, 4 * layer.units),
        ],
        [
            described(output, layer.output_dim),
            described(after, layer.units),
            described(shown, layer.output_dim),
        ],
        step.constants,
    )
    rows = graph.add("Unsqueeze", gates, graph.integers(1))
    zeros = [
        graph.constant(np.zeros((1, size), np.float32)) for size in (layer.output_dim, layer.units)
    ]
    direction = [int(backwards)]
    _, _, outputs = graph.add(
        "Scan",
        *zeros,
        rows,
        outputs=3,
        body=body,
        num_scan_inputs=1,
        scan_input_directions=direction,
        scan_output_directions=direction,
    )
    return graph.add("Squeeze", outputs, graph.integers(1))


_WRITERS: dict[type[AcousticNetwork], Callable[[_Graph, AcousticNetwork], str]] = {
    Dnn: _dnn,
    Highway: _highway,
    Lstm: _lstm,
    Blstm: _blstm,
}


def check_stands_alone(path: str | Path) -> None:
    """Refuse a graph whose weights are in other files, which could be any of this machine.

    Raises
    ------
    ValueError
        If there are such weights, or the graph holds functions.
    google.protobuf.message.DecodeError
        If it is no graph.
    """
    model = onnx.load(path, load_external_data=False)
    waiting = [model.graph]
    if model.functions:
        raise ValueError("it has functions of its own")
    while waiting:
        graph = waiting.pop()
        tensors = list(graph.initializer)
        for attribute in (a for node in graph.node for a in node.attribute):
            tensors += [attribute.t, *attribute.tensors]
            waiting += [attribute.g] if attribute.HasField("g") else []
            waiting += attribute.graphs
        if any(tensor.data_location == TensorProto.EXTERNAL for tensor in tensors):
            raise ValueError("its weights are in another file")
