"""Run the networks of exported models, also in threads and after forks."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from flairlite.deploy.engines import Engine, Session
from flairlite.deploy.network_check import OPERATORS, check_network

Floats = NDArray[np.float32]


_lock = threading.Lock()  # held while a session is made, and during a fork


class Network:
    """A network; threads may run it at the same time.

    A session of an engine cannot be used after a fork, and not even be freed: its threads exist only in the parent, and
    a lock that another thread of the parent holds is never released. Sessions are therefore released before a fork, and
    parent and child make new ones when they next run the network.

    Args:
        model: The network in ONNX's format; large ones stay mapped from the file.
        engine: What computes it.
        operators: Those that it may have.

    Raises:
        ModelFileError: If the network has other operators than exported models have, or cannot be loaded.
        MissingExtraError: If the engine is not installed.
    """

    def __init__(self, model: bytes | memoryview, engine: Engine, operators: Collection[str] = OPERATORS) -> None:
        check_network(model, operators)
        self._model, self._engine, self._operators = model, engine, operators
        self._session: Session | None = None
        self._get_session()
        _networks.add(self)

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Floats:
        """Return the first output for named inputs."""
        return self.run(inputs)[0]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[Floats]:
        """Return all outputs for named inputs."""
        session = self._session or self._get_session()
        return session(inputs)

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy has a session of its own, which a fork releases too
        return Network, (bytes(self._model), self._engine, self._operators)

    def release(self) -> None:
        """Release the session; the next run makes a new one. A thread that runs it now keeps it until then."""
        self._session = None

    def _get_session(self) -> Session:
        with _lock:
            if self._session is None:
                self._session = self._engine.make_session(bytes(self._model))
            return self._session


_networks: WeakSet[Network] = WeakSet()


def _prepare_fork() -> None:
    _lock.acquire()
    for network in list(_networks):
        network.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_prepare_fork, after_in_parent=_lock.release, after_in_child=_lock.release)
