"""Run `flairlite serve` in a process of its own, and send it requests over loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command_line import ROOT, start

EXPORTS = ROOT / "tests" / "data" / "exports"
NEVER = 10**9  # milliseconds
_LIMIT_SECONDS = 90  # so that a fault fails the test instead of blocking it


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """Why a request was refused."""
        return str(self.json["detail"])


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], first_line: str) -> None:
        self.process, self.first_line = process, first_line
        found = re.search(r"http://([\d.]+):(\d+)", first_line)
        assert found, (first_line, process.communicate(timeout=_LIMIT_SECONDS))
        self.host, self.port = found[1], int(found[2])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=_LIMIT_SECONDS)

    def send(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
        """Send a request on a connection of its own; underscores in the names of headers become hyphens."""
        with contextlib.closing(self.connect()) as connection:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body.encode() if isinstance(body, str) else body, names)
            return receive(connection)

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers)

    def tag(self, content: Any, **headers: str) -> Answer:
        """Send a request to /tag, as JSON or as it is."""
        body = content if isinstance(content, (bytes, str)) else json.dumps(content)
        return self.send("POST", "/tag", body, **{"Content_Type": "application/json", **headers})

    def open_request(self, content: Any) -> http.client.HTTPConnection:
        """Send a request to /tag without waiting for its answer."""
        connection = self.connect()
        connection.request("POST", "/tag", json.dumps(content).encode(), {"Content-Type": "application/json"})
        return connection

    def metric(self, name: str, **headers: str) -> float:
        """Return the sum of a figure over its labels."""
        lines = self.get("/metrics", **headers).body.decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}[ {{]", line))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + _LIMIT_SECONDS
        while not condition():
            assert time.monotonic() < end, "this takes too long"
            time.sleep(0.02)

    def wait_for_waiting(self, count: int) -> None:
        """Wait until so many requests wait in the server."""
        self.wait_until(lambda: self.metric("flairlite_waiting_requests") == count)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, and return the exit code and what else was written to standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=_LIMIT_SECONDS)
        return self.process.returncode, errors.decode()


@contextlib.contextmanager
def serve(*arguments: object, **options: Any) -> Iterator[Server]:
    """Run the server on a free port within the `with` statement."""
    arguments = arguments if "--port" in arguments else (*arguments, "--port", 0)
    with start("serve", *arguments, **options) as process:
        try:
            assert process.stderr is not None
            yield Server(process, process.stderr.readline().decode())
        finally:
            if process.poll() is None:
                process.kill()


def receive(connection: http.client.HTTPConnection) -> Answer:
    """Return the answer to the request of a connection."""
    response = connection.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def export_of(kind: str) -> Path:
    """Return the file of a stored model that labels words, spans or sentences."""
    return max(EXPORTS.glob(f"format-*-{kind}.onnx"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
