"""An HTTP server on 127.0.0.1 that can simulate faults."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal
from urllib.parse import unquote

Manner = Literal["fine", "error", "busy", "silent", "stalled", "cut", "aborted"]


class LoopbackServer:
    """Serve `files` (path to content) over HTTP; use it as a context manager.

    Attributes:
        manners: The fault of each faulty path: `error` (500), `busy` (429), `silent` (no answer), `stalled` (one byte
            of the body, then none), `cut` (the body twice, with three times its length announced), `aborted` (the
            connection is closed without an answer).
        num_failures: The number of requests after which a path works; a path without an entry always fails.
        num_requests: The number of requests for each path.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.manners: dict[str, Manner] = {}
        self.num_failures: dict[str, int] = {}
        self.num_requests: Counter[str] = Counter()
        self.is_reached = threading.Event()  # set at the first request
        self._lock = threading.Lock()
        self._released = threading.Event()  # ends the handlers that do not answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may close the connection
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _next_manner(self, path: str) -> Manner:
        with self._lock:
            self.num_requests[path] += 1
            self.is_reached.set()
            if self.num_requests[path] > self.num_failures.get(path, self.num_requests[path]):
                return "fine"
            return self.manners.get(path, "fine")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(self.path).lstrip("/")
                manner = server._next_manner(path)
                body = server.files.get(path)
                if manner == "silent":
                    server._released.wait()
                elif manner == "aborted":
                    self.close_connection = True
                elif manner in ("error", "busy"):
                    self.send_error(500 if manner == "error" else 429)
                elif body is None:
                    self.send_error(404)
                else:
                    self._send(body, manner)

            def _send(self, body: bytes, manner: Manner) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) * (3 if manner == "cut" else 1)))
                self.end_headers()
                self.wfile.write({"stalled": body[:1], "cut": body * 2}.get(manner, body))
                self.wfile.flush()
                if manner == "stalled":
                    server._released.wait()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
