"""The ASGI application: routes, limits, and the way of a request through a model."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any

import anyio
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import ClientDisconnect

from flairlite.data import Sentence
from flairlite.errors import FlairliteError, SettingError
from flairlite.serving.batcher import Batcher, ClosedError, QueueFullError
from flairlite.serving.metrics import CONTENT_TYPE, Metrics
from flairlite.serving.schema import ModelDescription, Problem, TagAnswer, TagRequest, parse_request
from flairlite.serving.served_model import ServedModel
from flairlite.serving.settings import ServingSettings
from flairlite.version import __version__

if TYPE_CHECKING:
    from flairlite.deploy import ExportedModel
    from flairlite.models import Model

_BODY_SECONDS = 30  # for which a client may send one request
_RETRY_SECONDS = "1"
_LONG_TEXT = 2000  # characters of a request from which it is split into words in a thread, to keep the event loop free
_CLIENT_GONE = 499  # no client receives this status; it is counted
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_REFUSALS = {
    400: "The body is not JSON.",
    401: "The API key is missing or wrong.",
    408: "The request was sent too slowly.",
    413: "The request is too large.",
    415: "The body is not declared as JSON.",
    422: "The request has another form, no text, or names no model of this server.",
    503: "Too many requests wait, or the server stops; Retry-After has the seconds to wait.",
}
_BEARER = HTTPBearer(auto_error=False, description="The API key of the server, if it has one.")


def make_app(models: Mapping[str, Model | ExportedModel], settings: ServingSettings | None = None) -> FastAPI:
    """Return an ASGI application that labels texts with models.

    The application takes the models over: it splits texts itself, so that their tokenizers are set to None.

    Args:
        models: Models or exported models by name.
        settings: The settings.

    Raises:
        SettingError: If there is no model, or a name is not a string.
        FlairliteError: If a model cannot predict.
        MissingExtraError: If FastAPI, uvicorn or prometheus-client is not installed.

    Example:
        >>> app = make_app({"ner": load("ner.onnx")})  # doctest: +SKIP
        >>> uvicorn.run(app)  # doctest: +SKIP
    """
    settings = ServingSettings() if settings is None else settings
    if not models or not all(isinstance(name, str) and name for name in models):
        raise SettingError(f"models must have at least one model, and a name for each; the names are {[*models]}")
    service = Service({name: ServedModel(name, model, settings) for name, model in models.items()}, settings)
    app = FastAPI(
        title="flairlite",
        version=__version__,
        description="Sequence taggers and text classifiers over HTTP.",
        docs_url=None,  # these pages load scripts from other servers
        redoc_url=None,
        lifespan=lambda app: service.run(),
    )
    app.state.service = service
    app.add_exception_handler(Exception, _report_failure)
    protected = [] if settings.api_key is None else [Depends(service.check_key)]
    problems: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": text} for status, text in _REFUSALS.items()
    }
    body = {"required": True, "content": {"application/json": {"schema": TagRequest.model_json_schema()}}}
    app.add_api_route(
        "/tag",
        service.tag,
        methods=["POST"],
        response_model=TagAnswer,
        responses=problems,
        dependencies=protected,
        openapi_extra={"requestBody": body},
    )
    app.add_api_route(
        "/models", service.describe, methods=["GET"], response_model=list[ModelDescription], dependencies=protected
    )
    app.add_api_route("/metrics", service.show_metrics, methods=["GET"], dependencies=protected)
    app.add_api_route("/health", service.show_health, methods=["GET"])
    app.add_api_route("/ready", service.show_readiness, methods=["GET"])
    app.add_api_route("/", service.show_page, methods=["GET"], include_in_schema=False)
    return app


class Service:
    """What the routes share: models, their queues, and figures.

    Args:
        models: The models by name.
        settings: The settings.
    """

    def __init__(self, models: Mapping[str, ServedModel], settings: ServingSettings) -> None:
        self._models, self._settings = models, settings
        self._metrics = Metrics()
        self._is_stopping = False
        self._key_hash = None if settings.api_key is None else _hash(settings.api_key)
        self._page = resources.files("flairlite.serving").joinpath("page.html").read_text("utf-8")
        self._batchers: dict[str, Batcher[list[Sentence], bytes]] = {}
        self._reader: ThreadPoolExecutor | None = None

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Answer requests within the `async with` statement, which ends when those that were accepted are answered."""
        settings = self._settings
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        for name, model in self._models.items():
            batcher: Batcher[list[Sentence], bytes] = Batcher(
                model.label,
                max_size=settings.batch_size,
                max_delay=settings.max_delay,
                max_waiting=settings.max_waiting,
                on_batch=partial(self._metrics.add_batch, name),
            )
            batcher.start()
            self._batchers[name] = batcher
            self._metrics.add_model(name, partial(getattr, batcher, "num_waiting"))
        try:
            yield
        finally:
            self.stop()
            for batcher in self._batchers.values():
                await batcher.close()
            self._reader.shutdown()

    def stop(self) -> None:
        """Prepare for the end: the server is not ready, requests do not wait for others, answers close connections."""
        self._is_stopping = True
        for batcher in self._batchers.values():
            batcher.hurry()

    async def check_key(self, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        """Check the API key of a request, in a time that does not depend on the keys."""
        if self._key_hash is not None and not hmac.compare_digest(
            self._key_hash, _hash("" if given is None else given.credentials)
        ):
            problem = "the API key is missing or wrong: send the header Authorization: Bearer KEY"
            raise HTTPException(401, problem, {"WWW-Authenticate": "Bearer"})

    async def tag(self, request: Request) -> Response:
        """Label the words, spans or sentences of a text."""
        start, name, status = time.perf_counter(), "", 500
        try:
            parsed = await self._receive(request)
            model = self._find(parsed.model)
            name = model.name
            content = await self._label(request, model, parsed)
            status = 200
        except HTTPException as error:
            status = error.status_code
            error.headers = {**(error.headers or {}), **self._headers()}
            raise
        except ClientDisconnect:
            status = _CLIENT_GONE
            return Response(status_code=status)
        finally:
            self._metrics.add_request(name, status, time.perf_counter() - start)
        return Response(content, headers=self._headers(), media_type="application/json")

    async def describe(self) -> list[ModelDescription]:
        """Return the label types of all models."""
        return [description for model in self._models.values() for description in model.describe()]

    async def show_metrics(self) -> Response:
        """Return figures about requests, batches and memory, for Prometheus."""
        return Response(self._metrics.render(), headers=self._headers(), media_type=CONTENT_TYPE)

    async def show_health(self) -> Response:
        """Say whether the server works; if it does not, start it again."""
        works = self._is_stopping or all(batcher.is_running for batcher in self._batchers.values())
        return self._report("ok" if works else "a model has stopped", is_good=works)

    async def show_readiness(self) -> Response:
        """Say whether the server takes requests; it does not while it stops."""
        is_ready = not self._is_stopping and all(batcher.is_running for batcher in self._batchers.values())
        return self._report("ready" if is_ready else "stopping", is_good=is_ready)

    async def show_page(self) -> Response:
        """Return the page to try the models by hand."""
        return HTMLResponse(self._page, headers={**_PAGE_HEADERS, **self._headers()})

    async def _receive(self, request: Request) -> TagRequest:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise HTTPException(415, f"send JSON with Content-Type: application/json, not {media_type or 'none'!r}")
        if all(batcher.is_full for batcher in self._batchers.values()):
            raise _busy()  # before the body is read
        try:
            with anyio.fail_after(_BODY_SECONDS):
                body = await _read_body(request, self._settings.max_body)
        except TimeoutError:
            raise HTTPException(408, f"the request took more than {_BODY_SECONDS} seconds to arrive") from None
        return parse_request(body)

    def _find(self, name: str | None) -> ServedModel:
        if name is None and len(self._models) == 1:
            return next(iter(self._models.values()))
        if name is None or name not in self._models:
            problem = "name a model of this server" if name is None else f"there is no model {name!r:.100}"
            raise HTTPException(422, f"{problem}: model must be one of {', '.join(map(repr, self._models))}")
        return self._models[name]

    async def _label(self, request: Request, model: ServedModel, parsed: TagRequest) -> bytes:
        """Return the answer to a request.

        Raises:
            HTTPException: If the request is too large, has no text, or cannot be answered.
            ClientDisconnect: If the client closes the connection.
        """
        if _size_of(parsed) < _LONG_TEXT:
            sentences = model.read(parsed)
        else:
            sentences = await asyncio.get_running_loop().run_in_executor(self._reader, model.read, parsed)
        try:
            answer = self._batchers[model.name].submit(sentences, len(sentences))
        except QueueFullError:
            raise _busy() from None
        except ClosedError:
            raise _busy("the server takes no requests now") from None
        disconnect = asyncio.ensure_future(_wait_for_disconnect(request))
        either: set[asyncio.Future[Any]] = {answer, disconnect}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ClientDisconnect
            content = answer.result()
        except FlairliteError as error:
            raise HTTPException(500, str(error)) from error
        finally:
            answer.cancel()
            disconnect.cancel()
        self._metrics.add_text(model.name, len(sentences), sum(len(sentence.words) for sentence in sentences))
        return content

    def _headers(self) -> dict[str, str]:
        return {"Connection": "close"} if self._is_stopping else {}

    def _report(self, status: str, *, is_good: bool) -> Response:
        return JSONResponse({"status": status}, 200 if is_good else 503, headers=self._headers())


async def _read_body(request: Request, limit: int) -> bytes:
    """Return the body of a request.

    Raises:
        HTTPException: 413 if it has more bytes than the limit, as soon as this is known.
        ClientDisconnect: If the client closes the connection.
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isascii() and declared.isdigit() else 0
    body = bytearray()
    if size <= limit:
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                break
    if max(size, len(body)) > limit:
        raise HTTPException(413, f"the request has more than {limit:,} bytes: split the text")
    return bytes(body)


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _size_of(request: TagRequest) -> int:
    return len(request.text or "") + sum(map(len, request.sentences or ()))


def _busy(problem: str = "too many requests wait") -> HTTPException:
    detail = f"{problem}: try again after the seconds in Retry-After"
    return HTTPException(503, detail, {"Retry-After": _RETRY_SECONDS})


def _hash(key: str) -> bytes:
    """Return bytes of equal length for all keys, so that a comparison does not reveal that of the right one."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


async def _report_failure(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": "the server failed; its log says why"}, 500)
