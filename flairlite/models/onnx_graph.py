"""Write the networks of models as ONNX graphs.

The nodes are written one by one, not traced by torch's exporter, except for transformers. ONNX's recurrent operators
take the lengths of the sentences, so the padding feature of `PaddedRNN` and packed sequences, which only torch needs,
are not exported. onnx is the only package needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flairlite.errors import MissingExtraError, ModelFileError
from flairlite.nn import PaddedRNN, PooledConvolutions

if TYPE_CHECKING:
    from flairlite.embeddings.language_model import CharacterLanguageModel

Array = NDArray[Any]
Shape = Sequence[str | int]  # a dimension that varies has a name

_OPSET, _IR_VERSION = 17, 8  # the oldest that have all operators: every runtime since 2022 reads them
_MAX_SIZE = (1 << 31) - (1 << 20)  # bytes of weights: a message is at most 2 GiB
_FLOAT, _INT32, _INT64 = 1, 6, 7
# position in torch's weights of each gate in ONNX's order
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def load_onnx() -> Any:
    """Return the package onnx.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("model.export needs onnx, which is not installed", extra="export") from error
    return onnx


class Graph:
    """Collects the nodes and weights of a network; values are referred to by their names."""

    def __init__(self) -> None:
        self._onnx = load_onnx()
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def node(self, operator: str, *inputs: str, output: int = 0, num_outputs: int = 1, **attributes: Any) -> str:
        """Add a node, and return the name of one of its outputs; the others before it are not computed."""
        name = f"{operator}_{len(self._nodes)}"
        outputs = [name if index == output else "" for index in range(num_outputs)]
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return name

    def nodes(self, operator: str, *inputs: str, num_outputs: int, **attributes: Any) -> list[str]:
        """Add a node, and return the names of all its outputs."""
        name = f"{operator}_{len(self._nodes)}"
        outputs = [f"{name}_{index}" for index in range(num_outputs)]
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return outputs

    def constant(self, value: Array | Tensor) -> str:
        """Add a weight or another constant, floating-point numbers in float32, and return its name."""
        array = value.detach().float().cpu().numpy() if isinstance(value, Tensor) else value
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        name = f"constant_{len(self._weights)}"
        self._weights.append(self._onnx.numpy_helper.from_array(array.copy(order="C"), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a constant of integers, (n,), and return its name."""
        return self.constant(np.array(values, dtype=np.int64))

    def scalar(self, value: float | int) -> str:
        """Add a constant without dimensions, and return its name."""
        return self.constant(np.array(value, dtype=np.int64 if isinstance(value, int) else np.float32))

    def cast(self, value: str, to: int) -> str:
        """Convert numbers to another type, and return the name of the result."""
        return self.node("Cast", value, to=to)

    def to_bytes(self, inputs: dict[str, tuple[int, Shape]], outputs: dict[str, tuple[str, Shape]]) -> bytes:
        """Return the network in ONNX's format.

        Args:
            inputs: The type and the shape of each input.
            outputs: The value and the shape of each output, all of floating-point numbers.

        Raises:
            ModelFileError: If the weights are too large for the format.
        """
        check_size(sum(len(weight.raw_data) for weight in self._weights))
        helper = self._onnx.helper
        for name, (value, _) in outputs.items():
            for node in self._nodes:
                node.input[:] = [name if each == value else each for each in node.input]
                node.output[:] = [name if each == value else each for each in node.output]
        graph = helper.make_graph(
            self._nodes,
            "flairlite",
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, _FLOAT, shape) for name, (_, shape) in outputs.items()],
            self._weights,
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="flairlite")
        self._onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
        return content


def check_size(size: int) -> None:
    """Check that ONNX's format can hold the weights of a network.

    Raises:
        ModelFileError: If it cannot.
    """
    if size > _MAX_SIZE:
        raise ModelFileError(
            f"the network has {size:,} bytes of weights, but ONNX's format at most {_MAX_SIZE:,}: use a smaller "
            "network, or keep predicting with torch"
        )


def add_linear(graph: Graph, features: str, *layers: nn.Linear) -> str:
    """Add a linear layer over the last dimension, or several side by side, whose outputs are concatenated."""
    weights: list[Tensor] = [layer.weight for layer in layers]
    product = graph.node("MatMul", features, graph.constant(torch.cat(weights).t()))
    if all(layer.bias is None for layer in layers):
        return product
    biases: list[Tensor] = [
        layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias for layer in layers
    ]
    return graph.node("Add", product, graph.constant(torch.cat(biases)))


def add_rnn(
    graph: Graph,
    features: str,
    lengths: str,
    network: PaddedRNN,
    *,
    projection: nn.Linear | None = None,
    only_last: bool = False,
) -> str:
    """Add a recurrent network.

    Args:
        graph: The graph.
        features: (T, B, D).
        lengths: (B,) int32.
        network: The network.
        projection: A linear layer between the features and the network. Their weights are multiplied here, which saves
            the layer.
        only_last: Return the state after the last word, and in the other direction that after the first, (B, H) or
            (B, 2 H), instead of all states; for a network without residual connections.

    Returns:
        The name of the states, (T, B, H) or (T, B, 2 H), 0 on padding.
    """
    rnn = network.rnn
    directions = ("", "_reverse") if rnn.bidirectional else ("",)
    num_directions = len(directions)
    states = features
    for layer in range(rnn.num_layers):
        arrays = [_direction(rnn, f"l{layer}{suffix}", projection if layer == 0 else None) for suffix in directions]
        weights = [graph.constant(np.stack(parts)) for parts in zip(*arrays, strict=True)]  # W, R, B
        starts = [_start(graph, start, lengths, layer * num_directions, num_directions) for start in _starts(network)]
        is_last, below = only_last and layer == rnn.num_layers - 1, states
        kind = type(rnn).__name__
        attributes = {"linear_before_reset": 1} if kind == "GRU" else {}
        states = graph.node(
            kind,
            states,
            *weights,
            lengths,
            *starts,
            output=int(is_last),
            num_outputs=1 + is_last,
            hidden_size=rnn.hidden_size,
            direction="bidirectional" if rnn.bidirectional else "forward",
            **attributes,
        )  # (T, directions, B, H), or (directions, B, H) of the last states
        permutation, shape = ((1, 0, 2), (0, -1)) if is_last else ((0, 2, 1, 3), (0, 0, -1))
        transposed = graph.node("Transpose", states, perm=permutation)
        states = graph.node("Reshape", transposed, graph.integers(*shape))
        if network.residual and layer:
            states = graph.node("Add", states, below)
    return states


def language_model_network(model: CharacterLanguageModel) -> bytes:
    """Return the network that reads a part of B texts.

    The inputs are `characters` (C, B) int64, `positions` (M,) int64 of the outputs to return, of C * B, and the states
    that the previous part ended with: `state_0`, and `state_1` of an LSTM's cells, each (layers, B, H). The outputs are
    `output` (M, D) and the states at the end, `end_0` and `end_1`.
    """
    graph, rnn = Graph(), model.rnn
    num_states = 2 if isinstance(rnn, nn.LSTM) else 1
    starts = [f"state_{index}" for index in range(num_states)]
    states = graph.node("Gather", graph.constant(model.encoder.weight), "characters")  # (C, B, D)
    ends: list[list[str]] = []
    for layer in range(rnn.num_layers):
        weights = [graph.constant(part[None]) for part in _direction(rnn, f"l{layer}", None)]  # W, R, B
        own = [graph.node("Gather", start, graph.integers(layer), axis=0) for start in starts]  # (1, B, H)
        attributes = {} if num_states == 2 else {"linear_before_reset": 1}
        states, *own = graph.nodes(
            type(rnn).__name__,
            states,
            *weights,
            "",  # the texts are padded after their ends, which no output depends on
            *own,
            num_outputs=1 + num_states,
            hidden_size=rnn.hidden_size,
            **attributes,
        )  # (C, 1, B, H), and (1, B, H) of the last states
        ends.append(own)
        states = graph.node("Squeeze", states, graph.integers(1))  # (C, B, H)
    rows = graph.node("Reshape", states, graph.integers(-1, rnn.hidden_size))
    output = graph.node("Gather", rows, "positions")  # (M, H)
    if model.proj is not None:
        output = add_linear(graph, output, model.proj)
    shape = (rnn.num_layers, "batch", rnn.hidden_size)
    outputs: dict[str, tuple[str, Shape]] = {"output": (output, ("words", model.output_size))}
    for index, parts in enumerate(zip(*ends, strict=True)):
        outputs[f"end_{index}"] = (graph.node("Concat", *parts, axis=0), shape)
    inputs: dict[str, tuple[int, Shape]] = {
        "characters": (_INT64, ("time", "batch")),
        "positions": (_INT64, ("words",)),
        **{start: (_FLOAT, shape) for start in starts},
    }
    return graph.to_bytes(inputs, outputs)


def _direction(rnn: nn.LSTM | nn.GRU | nn.RNN, suffix: str, projection: nn.Linear | None) -> tuple[Array, Array, Array]:
    """Return the weights of one layer in one direction, in ONNX's order: from input, from state, and both biases."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    given = [getattr(rnn, f"{name}_{suffix}").detach().double().cpu().numpy() for name in names]
    if projection is not None:
        if projection.bias is not None:
            given[2] = given[2] + given[0] @ projection.bias.detach().double().cpu().numpy()
        given[0] = given[0] @ projection.weight.detach().double().cpu().numpy()
    gates = _GATES[type(rnn).__name__]
    from_input, from_state, *biases = (
        np.concatenate([np.split(weight, len(gates))[gate] for gate in gates]) for weight in given
    )
    return from_input, from_state, np.concatenate(biases)


def _starts(network: PaddedRNN) -> Sequence[Tensor]:
    """Return the learned initial states, and cells, of all layers, or nothing."""
    return () if network.start is None else network.start.unbind(0)


def _start(graph: Graph, start: Tensor, lengths: str, first: int, count: int) -> str:
    """Add the initial states of B sentences for some directions, (directions, B, H)."""
    states = graph.constant(start[first : first + count])  # (directions, 1, H)
    zeros = graph.node("Expand", graph.constant(np.zeros(1, np.float32)), graph.node("Shape", lengths))  # (B,)
    return graph.node("Add", states, graph.node("Unsqueeze", zeros, graph.integers(0, 2)))


def words_network(graph: Graph, num_features: int, output: str, shape: Shape) -> bytes:
    """Return the network of a graph whose inputs are the vectors of words and sentences as ids of words.

    The inputs are `table` (U + 1, D), the vectors of distinct words; `word_ids` (T, B) int32, the row of each word, or
    U on padding; and `lengths` (B,) int32. The output is (T, B, K), or (B, K) of sentences.
    """
    inputs: dict[str, tuple[int, Shape]] = {
        "table": (_FLOAT, ("rows", num_features)),
        "word_ids": (_INT32, ("time", "batch")),
        "lengths": (_INT32, ("batch",)),
    }
    return graph.to_bytes(inputs, {"output": (output, shape)})


def characters_network(embedding: nn.Embedding, network: PaddedRNN | PooledConvolutions) -> bytes:
    """Return the network over the characters of V words.

    The inputs are `characters` (C, V) int64 and `lengths` (V,) int32; the output is (V, D).
    """
    graph = Graph()
    features = graph.node("Gather", graph.constant(embedding.weight), "characters")  # (C, V, D)
    if isinstance(network, PaddedRNN):
        output = add_rnn(graph, features, "lengths", network, only_last=True)
    else:
        output = add_pooled_convolutions(graph, features, "lengths", network)
    inputs: dict[str, tuple[int, Shape]] = {"characters": (_INT64, ("time", "batch")), "lengths": (_INT32, ("batch",))}
    return graph.to_bytes(inputs, {"output": (output, ("batch", network.output_size))})


def add_pooling(graph: Graph, features: str, lengths: str, pooling: str) -> str:
    """Add the mean, maximum or minimum over the words of each sentence: from (T, B, D) to (B, D)."""
    is_word = graph.node("Unsqueeze", _is_inside(graph, features, lengths), graph.integers(2))  # (T, B, 1)
    fill = {"mean": 0.0, "max": -np.inf, "min": np.inf}[pooling]
    masked = graph.node("Where", is_word, features, graph.scalar(fill))
    if pooling != "mean":
        return graph.node(f"Reduce{pooling.capitalize()}", masked, axes=[0], keepdims=0)
    total = graph.node("ReduceSum", masked, graph.integers(0), keepdims=0)
    return graph.node("Div", total, graph.node("Unsqueeze", graph.cast(lengths, _FLOAT), graph.integers(1)))


def add_pooled_convolutions(graph: Graph, items: str, lengths: str, network: PooledConvolutions) -> str:
    """Add convolutions and the maximum over their windows: from (C, V, E) to (V, D).

    The items after the last of a sequence must be zero, and there must be as many items as the widest filter takes.
    """
    features = graph.node("Transpose", items, perm=(1, 2, 0))  # (V, E, C)
    layers: Iterable[Any] = network.layers
    return _add_pooled_windows(graph, features, lengths, zip(network.widths, layers, strict=True))


def add_word_convolutions(
    graph: Graph, words: str, lengths: str, layers: Sequence[nn.Conv1d], projection: nn.Linear | None
) -> str:
    """Add convolutions over words and the maximum over their windows: from (T, B, D) to (B, K).

    A sentence that is shorter than the widest convolution is filled up with zeros, before the projection.
    """
    widths = [layer.kernel_size[0] for layer in layers]
    is_word = graph.node("Unsqueeze", _is_inside(graph, words, lengths), graph.integers(2))  # (T, B, 1)
    masked = graph.node("Where", is_word, words, graph.scalar(0.0))
    shape = graph.node("Concat", graph.integers(max(widths) - 1), graph.node("Shape", words, start=1), axis=0)
    padded = graph.node("Concat", masked, graph.node("Expand", graph.scalar(0.0), shape), axis=0)
    if projection is not None:
        padded = add_linear(graph, padded, projection)
    features = graph.node("Transpose", padded, perm=(1, 2, 0))  # (B, D, T + padding)
    sizes = graph.node("Max", lengths, graph.constant(np.array(max(widths), np.int32)))
    return _add_pooled_windows(graph, features, sizes, zip(widths, layers, strict=True))


def _is_inside(graph: Graph, features: str, lengths: str) -> str:
    """Add which steps are within sequences of `lengths` (B,): (T, B)."""
    num_steps = graph.node("Gather", graph.node("Shape", features), graph.scalar(0))  # ()
    steps = graph.node("Range", graph.scalar(0), num_steps, graph.scalar(1))  # (T,)
    column = graph.node("Unsqueeze", graph.cast(steps, _INT32), graph.integers(1))  # (T, 1)
    return graph.node("Less", column, lengths)


def _add_pooled_windows(graph: Graph, features: str, lengths: str, layers: Iterable[tuple[int, Any]]) -> str:
    """Add convolutions of some widths, and the maximum of 0 and the windows inside: from (V, E, C) to (V, D)."""
    pooled = []
    for width, layer in layers:
        outputs = graph.node("Conv", features, graph.constant(layer.weight), graph.constant(layer.bias))  # (V, F, W)
        num_steps = graph.node("Gather", graph.node("Shape", outputs), graph.scalar(2))  # ()
        steps = graph.cast(graph.node("Range", graph.scalar(0), num_steps, graph.scalar(1)), _INT32)  # (W,)
        windows = graph.node("Sub", lengths, graph.constant(np.array(width - 1, np.int32)))
        windows = graph.node("Max", windows, graph.constant(np.array(1, np.int32)))  # (V,)
        is_inside = graph.node("Less", steps, graph.node("Unsqueeze", windows, graph.integers(1, 2)))  # (V, 1, W)
        masked = graph.node("Where", is_inside, outputs, graph.scalar(-np.inf))
        pooled.append(graph.node("ReduceMax", masked, axes=[2], keepdims=0))  # (V, F)
    return graph.node("Relu", graph.node("Concat", *pooled, axis=1))


def add_ends(graph: Graph, states: str, lengths: str, *, with_first: bool) -> str:
    """Add the states of the last words, after those of the first words if requested: from (T, B, H) to (B, n H)."""
    by_sentence = graph.node("Transpose", states, perm=(1, 0, 2))  # (B, T, H)
    last = graph.node("Sub", graph.cast(lengths, _INT64), graph.scalar(1))  # (B,)
    indices = graph.node("Unsqueeze", last, graph.integers(1))  # (B, 1)
    ends = graph.node("GatherND", by_sentence, indices, batch_dims=1)  # (B, H)
    if not with_first:
        return ends
    return graph.node("Concat", graph.node("Gather", states, graph.scalar(0), axis=0), ends, axis=1)
