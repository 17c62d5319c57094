"""Run the networks of exported models with ONNX Runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from flairlite.deploy.network_check import check_network
from flairlite.errors import MissingExtraError, ModelFileError

Floats = NDArray[np.float32]


_lock = threading.Lock()  # held while a session is made, and during a fork


class Network:
    """A network with one output; threads may run it at the same time.

    A session of ONNX Runtime cannot be used after a fork, and not even be freed: its threads exist only in the parent,
    and a lock that another thread of the parent holds is never released. Sessions are therefore released before a fork,
    and parent and child make new ones when they next run the network.

    Args:
        model: The network in ONNX's format.
        num_threads: Threads that compute one batch.

    Raises:
        ModelFileError: If the network has other operators than exported models have, or cannot be loaded.
        MissingExtraError: If ONNX Runtime is not installed.
    """

    def __init__(self, model: bytes, *, num_threads: int = 1) -> None:
        check_network(model)
        self._model, self._num_threads = model, num_threads
        self._session: Any = None
        self._get_session()
        _networks.add(self)

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Floats:
        """Return the output for named inputs."""
        session = self._session or self._get_session()
        output: Floats = session.run(None, inputs)[0]
        return output

    def release(self) -> None:
        """Release the session; the next run makes a new one. A thread that runs it now keeps it until then."""
        self._session = None

    def _get_session(self) -> Any:
        with _lock:
            if self._session is None:
                self._session = _make_session(self._model, self._num_threads)
            return self._session


_networks: WeakSet[Network] = WeakSet()


def _prepare_fork() -> None:
    _lock.acquire()
    for network in list(_networks):
        network.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_prepare_fork, after_in_parent=_lock.release, after_in_child=_lock.release)


def _make_session(model: bytes, num_threads: int) -> Any:
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
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises types of its own
        raise ModelFileError(f"onnxruntime {onnxruntime.__version__} cannot load the network: {error}") from error
