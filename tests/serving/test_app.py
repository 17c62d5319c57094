"""The application itself, without a server: models that fail or block, slow clients, and its arguments."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from flairlite.data import Sentence
from flairlite.errors import LabelError, SettingError
from flairlite.serving import ServingSettings


class Model:
    """Labels each word with its length. It fails for sentences with the word `nan` or `bug`, and can be held."""

    label_type, unit, label_names = "length", "word", ("1", "2", "3")

    def __init__(self) -> None:
        self.tokenizer = None
        self.labelers = (self,)
        self.may_run = threading.Event()
        self.may_run.set()
        self.batches: list[list[str]] = []

    def predict_stream(self, sentences: Iterable[Sentence], mini_batch_size: int = 64) -> Iterator[Sentence]:
        sentences = list(sentences)
        self.batches.append([sentence.text for sentence in sentences])
        assert self.may_run.wait(60)
        words = {word for sentence in sentences for word in sentence.words}
        if "nan" in words:
            raise LabelError("the model predicts nothing meaningful")
        if "bug" in words:
            raise ZeroDivisionError
        for sentence in sentences:
            sentence.store_token_labels("length", [str(len(word)) for word in sentence.words], None)
            yield sentence


def make(**models: Any) -> Any:
    from flairlite.serving import make_app

    return make_app(models, ServingSettings(max_delay=0.05))


class Client:
    """Calls an ASGI application as a server does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def send(
        self, method: str, path: str, pieces: Iterable[bytes] = (), *, ends: bool = True, key: str | None = None
    ) -> tuple[int, Any]:
        """Return status and content of the answer; with `ends=False`, the rest of the body never comes."""
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        if ends:
            messages.append({"type": "http.request", "body": b"", "more_body": False})
        sent: list[Any] = []

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path}
        scope |= {"raw_path": path.encode(), "root_path": "", "query_string": b"", "state": {}}  # type: ignore[dict-item]
        headers = [(b"content-type", b"application/json")]
        if key is not None:
            headers.append((b"authorization", f"Bearer {key}".encode()))
        scope |= {"headers": headers}  # type: ignore[dict-item]
        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], json.loads(body)

    async def tag(self, **content: Any) -> tuple[int, Any]:
        return await self.send("POST", "/tag", [json.dumps(content).encode()])


def run(test: Any, **models: Any) -> None:
    async def main() -> None:
        app = make(**models)
        async with app.state.service.run():
            await asyncio.wait_for(test(Client(app)), 60)

    asyncio.run(main())


def labels(answer: tuple[int, Any]) -> list[str]:
    assert answer[0] == 200, answer
    return [token["label"] for sentence in answer[1]["sentences"] for token in sentence["tokens"]]


def test_a_request_for_which_the_model_fails_does_not_fail_others() -> None:
    async def test(client: Client) -> None:
        texts = ["a dog", "it is nan", "so"]
        first, failed, last = await asyncio.gather(*(client.tag(sentences=[text]) for text in texts))
        assert (labels(first), labels(last)) == (["1", "3"], ["2"])
        assert failed == (500, {"detail": "the model predicts nothing meaningful"})
        assert model.batches[1:] == [texts, *([text] for text in texts)]
        assert (await client.send("GET", "/health"))[0] == 200

    model = Model()
    run(test, model=model)


def test_an_unexpected_failure_is_reported_without_details() -> None:
    async def test(client: Client) -> None:
        with pytest.raises(ZeroDivisionError):  # the server logs it
            await client.tag(text="bug")
        assert labels(await client.tag(text="dog")) == ["3"]

    run(test, model=Model())


def test_each_model_has_a_queue_of_its_own() -> None:
    async def test(client: Client) -> None:
        slow.may_run.clear()
        waiting = asyncio.ensure_future(client.tag(text="dog", model="slow"))
        assert labels(await client.tag(text="a cat", model="fast")) == ["1", "3"]
        assert (await client.send("GET", "/ready"))[0] == 200
        assert not waiting.done()
        slow.may_run.set()
        assert labels(await waiting) == ["3"]

    slow, fast = Model(), Model()
    run(test, slow=slow, fast=fast)


def test_a_client_that_does_not_send_its_request_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client) -> None:
        status, content = await client.send("POST", "/tag", [b'{"text": '], ends=False)
        assert (status, content["detail"]) == (408, "the request took more than 0.05 seconds to arrive")

    from flairlite.serving import app

    monkeypatch.setattr(app, "_BODY_SECONDS", 0.05)
    run(test, model=Model())


def test_a_request_may_come_in_pieces() -> None:
    async def test(client: Client) -> None:
        pieces = [bytes([byte]) for byte in '{"text": "été é"}'.encode()]
        assert labels(await client.send("POST", "/tag", pieces)) == ["3", "1"]

    run(test, model=Model())


def test_a_model_that_stopped_is_reported() -> None:
    async def main() -> None:
        app = make(model=Model())
        client = Client(app)
        async with app.state.service.run():
            app.state.service._batchers["model"]._task.cancel()
            await asyncio.sleep(0)
            assert (await client.send("GET", "/health")) == (503, {"status": "a model has stopped"})
            assert (await client.send("GET", "/ready"))[0] == 503
            status, content = await client.tag(text="dog")
            assert (status, "try again" in content["detail"]) == (503, True)
            app.state.service._batchers.clear()

    asyncio.run(main())


def test_while_it_stops_it_is_alive_and_not_ready() -> None:
    async def test(client: Client) -> None:
        client.app.state.service.stop()
        assert await client.send("GET", "/ready") == (503, {"status": "stopping"})
        assert await client.send("GET", "/health") == (200, {"status": "ok"})
        assert labels(await client.tag(text="dog")) == ["3"]

    run(test, model=Model())


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are compared by the function for this purpose, and have one length, so that the length tells nothing."""

    async def main() -> None:
        from flairlite.serving import app, make_app

        compared: list[tuple[int, int]] = []
        compare = app.hmac.compare_digest

        def record(one: bytes, other: bytes) -> bool:
            compared.append((len(one), len(other)))
            return compare(one, other)

        monkeypatch.setattr(app.hmac, "compare_digest", record)
        client = Client(make_app({"model": Model()}, ServingSettings(api_key="s3cret")))
        keys = [None, "x", "s3cre", "s3cret", "s3cret" * 100, "é"]
        found = [(await client.send("GET", "/models", key=key))[0] for key in keys]
        assert found == [401, 401, 401, 200, 401, 401]
        assert compared == [(32, 32)] * len(keys)

    asyncio.run(main())


@pytest.mark.parametrize("models", [{}, {"": Model()}], ids=["no model", "no name"])
def test_models_need_names(models: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="models must have at least one model, and a name for each"):
        make(**models)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"max_delay": -1}, "max_delay must be at least 0"),
        ({"max_delay": float("nan")}, "max_delay must be at least 0"),
        ({"max_waiting": 1.5}, "max_waiting must be a whole number"),
        ({"max_words": True}, "max_words must be a whole number"),
        ({"api_key": 3}, "api_key must be a string"),
    ],
    ids=str,
)
def test_settings_are_checked(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        ServingSettings(**settings)
