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

    OpenVINO's recurrent layers read the padding of shorter sequences too, although the network gives their lengths. If
    a network has such layers, the sequences of a batch are therefore computed in groups of equal length.

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
            self._compiled: Any = core.compile_model(model, "CPU", settings)
        except Exception as error:  # OpenVINO raises types of its own
            raise ModelFileError(f"openvino {openvino.__version__} cannot load the network: {error}") from error
        # inputs that nothing is computed from are not part of the compiled network
        self._names = {name for port in self._compiled.inputs for name in port.get_names()}
        self._reads_padding = any(operator.get_type_name() in _RECURRENT for operator in model.get_ops())
        self._local = threading.local()  # a request computes one batch at a time

    def __call__(self, inputs: Inputs) -> list[Floats]:
        """Return the outputs of a batch; with `lengths`, (T, B, K), zero on padding, or (B, K)."""
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
        found = self._local.request.infer({name: inputs[name] for name in inputs if name in self._names})
        return [found[output].copy() for output in self._compiled.outputs]  # the next batch overwrites them


def _take(value: NDArray[Any], length: int, columns: NDArray[np.int64]) -> NDArray[Any]:
    """Return the part of an input for some of the sequences, all of the same length; all of a table of vectors."""
    if value.dtype == np.float32:
        return value
    return np.ascontiguousarray(value[columns] if value.ndim == 1 else value[:length, columns])
