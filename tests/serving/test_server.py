"""The process of a server: its start, its end, a full queue, clients that leave, and errors of the command."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, fail, invoke, make_models
from served import NEVER, Server, export_of, free_port, receive, serve

from flairlite.deploy import load
from flairlite.errors import SettingError
from flairlite.serving import ServingSettings

WORDS = export_of("words")


@pytest.fixture
def waiting() -> Iterator[Server]:
    """A server in which requests wait until 64 sentences are there, or the server stops; at most three may wait."""
    with serve(WORDS, "--max-delay", NEVER, "--max-waiting", 3) as server:
        yield server


def labels_of(content: Any) -> list[str]:
    return [token["label"] for sentence in content["sentences"] for token in sentence["tokens"]]


def predict(text: str) -> list[str]:
    return [token.get_label("pos").value for token in load(WORDS).predict(text)]


class TestStop:
    def test_sigterm_answers_what_waits_and_ends_with_0(self, waiting: Server) -> None:
        texts = ["Ada lives in London", "dog", "the été"]
        assert waiting.first_line == (
            f"flairlite: serving {WORDS.stem} at http://127.0.0.1:{waiting.port}; Ctrl-C ends it\n"
        )
        assert "is in use" in fail("serve", WORDS, "--port", waiting.port)  # two servers do not share a port
        connections = [waiting.open_request({"text": text}) for text in texts]
        waiting.wait_for_waiting(3)
        code, errors = waiting.stop()
        answers = [receive(connection) for connection in connections]
        assert [answer.status for answer in answers] == [200] * 3
        assert [labels_of(answer.json) for answer in answers] == list(map(predict, texts))
        assert {answer.headers["connection"] for answer in answers} == {"close"}
        assert (code, errors) == (0, "")
        for connection in connections:
            connection.close()

    def test_a_request_that_arrives_with_the_signal_is_answered(self) -> None:
        """Its connection was accepted and is idle when the server begins to stop."""
        with serve(WORDS) as server, closing(server.connect()) as connection:
            connection.request("GET", "/ready")
            assert receive(connection).status == 200
            server.process.send_signal(signal.SIGSTOP)
            connection.request("POST", "/tag", b'{"text": "dog"}', {"Content-Type": "application/json"})
            server.process.send_signal(signal.SIGTERM)
            server.process.send_signal(signal.SIGCONT)
            answer = receive(connection)
            assert (answer.status, labels_of(answer.json)) == (200, predict("dog"))
            assert server.stop() == (0, "")

    def test_a_request_that_is_half_sent_can_be_completed(self) -> None:
        body = b'{"text": "dog"}'
        with serve(WORDS) as server, socket.create_connection((server.host, server.port), 90) as connection:
            connection.sendall(b"POST /tag HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
            connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body[:5])
            server.wait_until(lambda: server.metric("process_open_fds") > 0)  # a round trip after it has arrived
            server.process.send_signal(signal.SIGTERM)
            server.wait_until(lambda: not accepts_connections(server))
            connection.sendall(body[5:])
            assert connection.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
            assert server.stop() == (0, "")

    def test_ctrl_c_ends_with_130(self, waiting: Server) -> None:
        with closing(waiting.open_request({"text": "dog"})) as connection:
            waiting.wait_for_waiting(1)
            assert waiting.stop(signal.SIGINT) == (130, "")
            assert receive(connection).status == 200

    def test_an_idle_server_ends_although_connections_are_open(self) -> None:
        with serve(WORDS) as server, closing(server.connect()) as idle, closing(server.connect()) as used:
            idle.connect()
            used.request("GET", "/health")
            assert receive(used).status == 200
            assert server.stop() == (0, "")


def accepts_connections(server: Server) -> bool:
    try:
        socket.create_connection((server.host, server.port), 90).close()
    except ConnectionError:
        return False
    return True


class TestQueue:
    def test_a_full_queue_refuses_at_once_and_keeps_what_waits(self, waiting: Server) -> None:
        connections = [waiting.open_request({"text": "dog"}) for _ in range(3)]
        waiting.wait_for_waiting(3)
        answer = waiting.tag({"text": "dog"})
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.detail == "too many requests wait: try again after the seconds in Retry-After"
        assert waiting.get("/health").status == waiting.get("/ready").status == 200
        assert waiting.stop() == (0, "")
        assert [receive(connection).status for connection in connections] == [200] * 3
        for connection in connections:
            connection.close()

    def test_a_client_that_leaves_makes_room(self, waiting: Server) -> None:
        connections = [waiting.open_request({"text": "dog"}) for _ in range(3)]
        waiting.wait_for_waiting(3)
        for connection in connections[:2]:
            connection.close()
        waiting.wait_for_waiting(1)
        assert 'status="499"} 2.0' in waiting.get("/metrics").body.decode()
        with closing(waiting.open_request({"text": "dog"})) as later, closing(connections[2]) as first:
            waiting.wait_for_waiting(2)
            assert waiting.stop() == (0, "")
            assert receive(later).status == receive(first).status == 200

    def test_a_client_that_leaves_while_it_sends_is_no_error(self) -> None:
        with serve(WORDS) as server:
            with socket.create_connection((server.host, server.port), 90) as connection:
                connection.sendall(b"POST /tag HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
                connection.sendall(b"Content-Length: 100\r\n\r\n{")
            server.wait_until(lambda: 'status="499"} 1.0' in server.get("/metrics").body.decode())
            assert server.stop() == (0, "")


class TestModels:
    def test_an_exported_model_is_served_without_torch(self, tmp_path: Path) -> None:
        """Importing a package that a deployment lacks ends the server."""
        for name in ("conllu", "gensim", "onnx", "pandas", "pooch", "scipy", "sklearn", "torch", "tqdm"):
            (tmp_path / f"{name}.py").write_text(f"import os\nos.write(2, b'{name} is imported')\nos._exit(70)\n")
        paths = os.pathsep.join([str(tmp_path), str(ROOT)])
        with serve(WORDS, env={"PYTHONPATH": paths}) as server:
            assert labels_of(server.tag({"text": "Ada lives. It rained."}).json) == [
                *predict("Ada lives."),
                *predict("It rained."),
            ]
            assert server.get("/metrics").status == 200
            assert server.stop() == (0, "")

    def test_a_model_of_torch_is_served(self, tmp_path: Path) -> None:
        from flairlite.data import Sentence
        from flairlite.models import Model

        path = make_models(tmp_path)["words"]
        model = Model.load(path)
        with serve(f"upos={path}", "--device", "cpu") as server:
            text = "Ada lives in London."
            tokens = server.tag({"text": text}).json["sentences"][0]["tokens"]
            expected = [token.get_label("upos") for token in model.predict(Sentence(text))]
            assert [token["label"] for token in tokens] == [label.value for label in expected]
            assert [token["score"] for token in tokens] == pytest.approx([label.score for label in expected], abs=1e-5)
            assert server.stop() == (0, "")


class TestErrors:
    def test_a_port_in_use_is_one_line_that_says_what_to_do(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            line = fail("serve", WORDS, "--port", port)
            assert line.startswith(f"flairlite: port {port} of 127.0.0.1 is in use: end the program that uses it, or ")
            assert "--port 0 finds a free one" in line
            debugged = invoke("--debug", "serve", WORDS, "--port", port)
            assert (debugged.code, "Traceback" in debugged.err) == (2, True)
            assert debugged.err.endswith(line + "\n")

    @pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "x" * 300, "é" * 80 + ".example"], ids=str)
    def test_an_address_of_another_machine_is_refused(self, host: str) -> None:
        line = fail("serve", WORDS, "--host", host, "--port", free_port())
        assert line.startswith("flairlite: cannot listen on ")
        assert line.endswith("as --host 127.0.0.1")

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["missing.onnx"], "no model file at missing.onnx"),
            (["ner=missing.onnx"], "no model file at missing.onnx"),
            ([WORDS, f"{WORDS.stem}={export_of('spans')}"], f"two models have the name '{WORDS.stem}'"),
            (["=x.onnx"], "a model is given as PATH or as NAME=PATH, not as '=x.onnx'"),
            (["x="], "a model is given as PATH or as NAME=PATH, not as 'x='"),
            ([WORDS, "--api-key", ""], "api_key must be a string of visible ASCII characters"),
            ([WORDS, "--api-key", "a b"], "api_key must be a string of visible ASCII characters"),
            ([WORDS, "--device", "cuda"], "is an exported model, which predicts on the CPU"),
            ([Path(__file__)], "is not a model"),
        ],
        ids=lambda value: f"{value!s:.30}",
    )
    def test_wrong_arguments_are_one_line(self, arguments: list[Any], reason: str) -> None:
        assert reason in fail("serve", *arguments, "--port", 0)

    def test_an_empty_variable_for_the_key_does_not_open_the_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLAIRLITE_API_KEY", "")
        assert "FLAIRLITE_API_KEY is empty: give the key, or unset the variable" in fail("serve", WORDS, "--port", 0)

    def test_missing_packages_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from flairlite.serving import extra

        monkeypatch.setitem(extra._PACKAGES, "no_such_module", "no-such-package")
        line = fail("serve", WORDS)
        assert line == "flairlite: serving models needs no-such-package: pip install 'flairlite[serve]'"

    def test_a_key_is_not_shown(self) -> None:
        assert "s3cret" not in repr(ServingSettings(api_key="s3cret"))
        with pytest.raises(SettingError) as caught:
            ServingSettings(api_key="s3crét")
        assert "s3cr" not in str(caught.value)


def test_connections_send_the_parts_of_an_answer_at_once() -> None:
    from flairlite.serving.server import bind

    with closing(bind("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert client.recv(1) == b""
