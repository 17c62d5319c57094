"""Run the application in this process: its port, its signals, and its graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from flairlite.errors import SettingError

if TYPE_CHECKING:
    from fastapi import FastAPI

_GRACE_SECONDS = 30  # for which the server waits for the answers to requests when it stops
_ARRIVAL_SECONDS = 0.1  # for which it still reads requests on open connections then
_SWITCH_SECONDS = 0.0005  # after which Python lets another thread run


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: The name or the address of a network interface of this machine.
        port: The port; 0 for a free one.

    Raises:
        SettingError: If it cannot listen there.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
        # Connections inherit it. Otherwise the second part of an answer waits for the client to confirm the first one,
        # which clients delay by 40 ms. asyncio sets it only for sockets that it has made itself.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, UnicodeError, OverflowError) as error:
        raise SettingError(_describe(error, host, port)) from error


def address_of(listener: socket.socket) -> str:
    """Return the URL of a server that listens on a socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: FastAPI, listener: socket.socket, on_start: Callable[[], object]) -> None:
    """Answer requests until SIGTERM or Ctrl-C. Requests that were accepted are answered before this returns.

    Args:
        app: The application, from `make_app`.
        listener: The socket.
        on_start: Is called when requests are accepted.

    Raises:
        KeyboardInterrupt: After Ctrl-C. A second one ends the server without further answers.
    """
    config = uvicorn.Config(
        app,
        log_config=None,  # errors go to standard error; requests are counted, not logged
        access_log=False,
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config, app.state.service.stop, on_start)
    previous = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)  # otherwise the event loop waits 5 ms for a thread that predicts
    try:
        server.run(sockets=[listener])
    finally:
        sys.setswitchinterval(previous)
    if server.received == signal.SIGINT:
        raise KeyboardInterrupt


class _Server(uvicorn.Server):
    """A server that stops on signals without raising them again, and reads what has arrived before it stops."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], object], on_start: Callable[[], object]) -> None:
        super().__init__(config)
        self.received: int | None = None
        self._on_stop, self._on_start = on_stop, on_start

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals within the `with` statement."""
        previous = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept requests."""
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, answer the requests on open ones, and close them."""
        self._on_stop()
        for server in self.servers:
            server.close()
        await asyncio.sleep(_ARRIVAL_SECONDS)  # a request that was sent before the connection is closed is still read
        await super().shutdown(sockets)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.received is not None and number == signal.SIGINT
        self.should_exit = True
        self.received = self.received or number


def _describe(error: Any, host: str, port: int) -> str:
    """Return why a socket cannot listen, and what to do."""
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use: end the program that uses it, or choose another port, as --port "
            f"{port + 1 if port < 65535 else 8000}; --port 0 finds a free one"
        )
    if code in (errno.EACCES, errno.EPERM):
        return f"port {port} may not be used: choose one above 1023, as --port 8000"
    reason = getattr(error, "strerror", None) or error
    return f"cannot listen on {host}, port {port}: {reason}. Give an address of this machine, as --host 127.0.0.1"
