"""The libraries that compute networks: ONNX Runtime and OpenVINO."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairlite.checks import one_of, whole_number
from flairlite.errors import MissingExtraError, ModelFileError, SettingError

Floats = NDArray[np.float32]
Inputs = Mapping[str, NDArray[Any]]
Session = Callable[[Inputs], list[Floats]]

_RECURRENT = {"LSTMSequence", "GRUSequence", "RNNSequence"}  # types of OpenVINO's operators
# the gate, in OpenVINO's order, that is closed or opened on padding, and its input for this
_CLOSED_GATES = {"LSTMSequence": (1, -10_000.0), "GRUSequence": (0, 10_000.0)}
_WIDTH = 32  # a multiple of which the features are: instructions for bfloat16 take as many at once
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # and their names in OpenVINO


@dataclass(frozen=True)
class Engine:
    """How networks are computed.

    Attributes:
        name: `onnxruntime` or `openvino`.
        precision: `float32` or `bfloat16`.
        num_threads: Threads that compute one batch.
    """

    name: str
    precision: str
    num_threads: int

    def make_session(self, network: bytes) -> Session:
        """Return a function from the named inputs of a network in ONNX's format to its outputs; threads may share it.

        Raises:
            MissingExtraError: If the library is not installed.
            ModelFileError: If it cannot load the network.
        """
        if self.name == "openvino":
            return OpenVinoSession(network, _PRECISIONS[self.precision], self.num_threads)
        return _onnxruntime_session(network, self.num_threads)


def read_engine(engine: Any, precision: Any, num_threads: Any) -> Engine:
    """Check the arguments of `load`.

    Raises:
        SettingError: If one is invalid, or the engine cannot compute in this precision.
    """
    name = one_of("onnxruntime", "openvino")("engine", engine)
    precision = one_of(*_PRECISIONS)("precision", precision)
    if precision != "float32" and name != "openvino":
        raise SettingError(f"{name} computes in float32: give engine='openvino' with precision={precision!r}")
    return Engine(name, precision, whole_number(least=1)("num_threads", num_threads))


def _onnxruntime_session(network: bytes, num_threads: int) -> Session:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "exported models are run by onnxruntime, which is not installed", extra="deploy"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    options.enable_cpu_mem_arena = False  # it would keep the memory of the largest batch
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads leave the processor
    try:
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises types of its own
        raise ModelFileError(f"onnxruntime {onnxruntime.__version__} cannot load the network: {error}") from error

    def run(inputs: Inputs) -> list[Floats]:
        outputs: list[Floats] = session.run(None, inputs)
        return outputs

    return run


class OpenVinoSession:
    """Computes a network with OpenVINO.

    OpenVINO's recurrent layers read the padding of shorter sequences too, although the network gives their lengths.
    GRUs, and LSTMs that begin with the state zero, therefore get a feature that keeps the state on padding, as in
    `PaddedRNN`. With other recurrent layers, the sequences of a batch are computed in groups of equal length.

    Args:
        network: The network in ONNX's format. If `lengths` (B,) are among its inputs, others of integers are (T, B),
            and it has one output.
        precision: `f32` or `bf16`.
        num_threads: Threads that compute one batch.
    """

    def __init__(self, network: bytes, precision: str, num_threads: int) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError("openvino, the engine of the model, is not installed", extra="openvino") from error
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": num_threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # processes would share the first processors
        }
        core = openvino.Core()
        try:
            model = core.read_model(network)
            self._reads_padding = not close_gates(model)
            self._compiled: Any = core.compile_model(model, "CPU", settings)
        except Exception as error:  # OpenVINO raises types of its own
            raise ModelFileError(f"openvino {openvino.__version__} cannot load the network: {error}") from error
        # inputs that nothing is computed from are not part of the compiled network
        self._names = {name for port in self._compiled.inputs for name in port.get_names()}
        self._local = threading.local()  # a request computes one batch at a time

    def __call__(self, inputs: Inputs) -> list[Floats]:
        """Return the outputs of a batch: with `lengths`, (T, B, K), meaningless on padding, or (B, K)."""
        if not self._reads_padding or "lengths" not in inputs:
            return self._run(inputs)
        lengths = inputs["lengths"]  # (B,)
        distinct = np.unique(lengths).tolist()
        if len(distinct) == 1:
            return self._run(inputs)
        output: Floats | None = None
        for length in distinct[::-1]:  # the longest first, whose output has the shape of all
            columns = np.flatnonzero(lengths == length)
            [part] = self._run({name: _take(value, length, columns) for name, value in inputs.items()})
            if output is None:
                output = np.zeros((*part.shape[:-2], len(lengths), part.shape[-1]), np.float32)
            if part.ndim == 3:
                output[:length, columns] = part
            else:
                output[columns] = part
        assert output is not None
        return [output]

    def _run(self, inputs: Inputs) -> list[Floats]:
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        named = {name: value for name, value in inputs.items() if name in self._names}
        found = self._local.request.infer(named, share_inputs=True)
        return [found[output].copy() for output in self._compiled.outputs]  # the next batch overwrites them


def close_gates(model: Any) -> bool:
    """Add the feature that keeps the states of recurrent layers on padding to a network of OpenVINO.

    The feature opens the gate of a GRU that keeps the state, and closes the gate of an LSTM that input passes. The cell
    of an LSTM then stays zero before a sequence that is read from its end, but changes after a sequence.

    Returns:
        Whether its recurrent layers, if there are any, do not depend on padding now.
    """
    layers = [operator for operator in model.get_ops() if operator.get_type_name() in _RECURRENT]
    lengths = [port for port in model.inputs if "lengths" in port.get_names()]
    if not layers or not lengths:
        return True
    if not all(_can_keep_state(layer) for layer in layers):
        return False
    for layer in layers:
        _close_gates_of(layer, lengths[0])
    return True


def _can_keep_state(layer: Any) -> bool:
    """Return whether a layer is a GRU, or an LSTM that begins with zero and of which the last state is not used."""
    if layer.get_type_name() != "LSTMSequence":
        return layer.get_type_name() in _CLOSED_GATES
    if any(layer.output(index).get_target_inputs() for index in (1, 2)):
        return False
    for state in (layer.input_value(1), layer.input_value(2)):
        sources, seen = [state.get_node()], set()
        while sources:
            node = sources.pop()
            if node.get_name() in seen:
                continue
            seen.add(node.get_name())
            if node.get_type_name() == "Constant" and node.get_element_type().is_real() and np.any(node.get_data()):
                return False
            if node.get_type_name() == "ShapeOf":  # what it depends on is a shape, not a value
                continue
            sources += [value.get_node() for value in node.input_values()]
    return True


def _close_gates_of(layer: Any, lengths: Any) -> None:
    from openvino import opset8 as ops

    gate, value = _CLOSED_GATES[layer.get_type_name()]
    position = layer.get_input_size() - 3  # of the weights for the input, before those for the state and the biases
    features, weights = layer.input_value(0), layer.input_value(position)  # (B, T, D), (directions, gates * H, D)
    shape = weights.get_partial_shape()
    directions, rows, width = (shape[axis].get_length() for axis in range(3))
    size = layer.get_attributes()["hidden_size"]
    columns = np.zeros((directions, rows, -width % _WIDTH or _WIDTH), np.float32)
    columns[:, gate * size : (gate + 1) * size, 0] = value
    num_steps = ops.gather(ops.shape_of(features, "i32"), np.int32(1), np.int32(0))
    steps = ops.range(np.int32(0), num_steps, np.int32(1), "i32")  # (T,)
    is_padding = ops.greater_equal(steps, ops.unsqueeze(lengths, np.int32(1)))  # (B, T)
    ones = np.ones((1, 1, columns.shape[2]), np.float32)
    padding = ops.multiply(ops.convert(ops.unsqueeze(is_padding, np.int32(2)), "f32"), ones)  # (B, T, columns)
    layer.input(0).replace_source_output(ops.concat([features, padding], 2).output(0))
    layer.input(position).replace_source_output(ops.concat([weights, columns], 2).output(0))


def _take(value: NDArray[Any], length: int, columns: NDArray[np.int64]) -> NDArray[Any]:
    """Return the part of an input for some of the sequences, all of the same length; all of a table of vectors."""
    if value.dtype == np.float32:
        return value
    return np.ascontiguousarray(value[columns] if value.ndim == 1 else value[:length, columns])
