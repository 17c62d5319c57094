"""Check networks before ONNX Runtime reads them.

A file in ONNX's format can name other files to read weights from, and contain loops that never end and operators of
other libraries. An exported model has none of these: its operators are few, and its weights are in the file.

The fields of the messages are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from flairlite.errors import ModelFileError

OPERATORS = frozenset(
    (
        "Add", "Cast", "Concat", "Conv", "Div", "Expand", "GRU", "Gather", "GatherND", "LSTM", "Less", "MatMul", "Max",
        "RNN", "Range", "ReduceMax", "ReduceMin", "ReduceSum", "Relu", "Reshape", "Shape", "Squeeze", "Sub",
        "Transpose", "Unsqueeze", "Where",
    )
)  # fmt: skip
# those of transformers; like the others, they compute their outputs from their inputs alone, without loops
TRANSFORMER_OPERATORS = OPERATORS | frozenset(
    (
        "Abs", "And", "Clip", "Cos", "CumSum", "Equal", "Erf", "Exp", "Flatten", "GatherElements", "Gemm", "Greater",
        "GreaterOrEqual", "Identity", "LayerNormalization", "LessOrEqual", "Log", "Min", "Mul", "Neg", "Not", "Or",
        "Pow", "ReduceMean", "Sigmoid", "Sign", "Sin", "Slice", "Softmax", "Split", "Sqrt", "Tanh", "Tile",
    )
)  # fmt: skip
# bytes of a value by its type: float, int32, int64, bool, double
_ITEM_SIZES = {1: 4, 6: 4, 7: 8, 9: 1, 11: 8}

_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE_INITIALIZER = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_STRING, _ATTRIBUTE_INTS = 2, 3, 4, 8
_ATTRIBUTE_NAME, _ATTRIBUTE_TYPE = 1, 20
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9


def check_network(model: bytes | memoryview, operators: Collection[str] = OPERATORS) -> None:
    """Check that a network is one that `Model.export` could have written.

    Args:
        model: The network in ONNX's format.
        operators: Those that it may have.

    Raises:
        ModelFileError: If it has other operators, nested graphs, or weights that are not in it.
    """
    try:
        fields = list(_fields(memoryview(model)))
        graphs = [content for number, content in fields if number == _MODEL_GRAPH]
        if len(graphs) != 1 or any(number == _MODEL_FUNCTIONS for number, _ in fields):
            raise ValueError("it does not have exactly one graph, without functions")
        for number, content in _fields(_as_message(graphs[0])):
            if number == _GRAPH_NODE:
                _check_node(_as_message(content), operators)
            elif number == _GRAPH_INITIALIZER:
                _check_tensor(_as_message(content))
            elif number == _GRAPH_SPARSE_INITIALIZER:
                raise ValueError("it has sparse weights")
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ModelFileError(
            f"the network is not one that flairlite exports: {error}. Export the model again, and only load files from "
            "sources that you trust"
        ) from error


def _check_node(node: memoryview, operators: Collection[str]) -> None:
    for number, content in _fields(node):
        if number == _NODE_OPERATOR and (name := bytes(_as_message(content)).decode()) not in operators:
            raise ValueError(f"it has the operator {name!r:.40}")
        if number == _NODE_DOMAIN and len(_as_message(content)):
            raise ValueError("it has an operator that is not one of ONNX's")
        if number == _NODE_ATTRIBUTE:
            allowed = {_ATTRIBUTE_NAME, _ATTRIBUTE_TYPE, _ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_STRING}
            allowed.add(_ATTRIBUTE_INTS)
            if not {field for field, _ in _fields(_as_message(content))} <= allowed:
                raise ValueError("an attribute of an operator is a graph or a tensor")


def _check_tensor(tensor: memoryview) -> None:
    """Check that the values of a tensor are in the message, and as many as its shape says."""
    shape: list[int] = []
    size, item_size = -1, 0
    for number, content in _fields(tensor):
        if number == _TENSOR_DIMS and isinstance(content, int):
            shape.append(content)
        elif number == _TENSOR_DIMS:
            shape += _varints(_as_message(content))
        elif number == _TENSOR_TYPE and isinstance(content, int):
            item_size = _ITEM_SIZES.get(content, 0)
        elif number == _TENSOR_RAW:
            size = len(_as_message(content))
        elif number != _TENSOR_NAME:
            raise ValueError("the values of a weight are not in the network")
    if not item_size or size != math.prod(shape) * item_size:
        raise ValueError(f"a weight of shape {shape} has {size:,} bytes")


def _as_message(content: memoryview | int) -> memoryview:
    if isinstance(content, int):
        raise ValueError("a field is a number")
    return content


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield the number and the content of each field of a message: a number, or bytes."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, position = _read_varint(message, position)
            yield number, value
            continue
        if kind == 2:
            size, position = _read_varint(message, position)
        elif kind == 5:
            size = 4
        else:
            raise ValueError(f"a field has the kind {kind}")
        if position + size > len(message):
            raise ValueError("a field does not end")
        yield number, message[position : position + size]
        position += size


def _varints(content: memoryview) -> list[int]:
    values, position = [], 0
    while position < len(content):
        value, position = _read_varint(content, position)
        values.append(value)
    return values


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it."""
    value = shift = 0
    while True:
        octet = message[position]
        position += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
