"""What a running server answers: labels, problems of requests, API keys, figures and the page."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from served import Answer, Server, export_of, receive, serve

from flairlite.data import Sentence
from flairlite.prediction.layers import layers_of
from flairlite.splitter import SegtokSentenceSplitter

TEXT = "Ada Lovelace lives in the été of London. She  met 🤟🏽 Dr. Babbage.\n\nThe dog 42"
LIMITS = ["--max-body", 5000, "--max-sentences", 20, "--max-words", 300]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with all kinds of models."""
    with serve(f"words={export_of('words')}", f"ner={export_of('spans')}", f"topic={export_of('sentences')}") as server:
        yield server


@pytest.fixture(scope="module")
def small() -> Iterator[Server]:
    """A server with one model, low limits, and an API key."""
    with serve(export_of("words"), *LIMITS, env={"FLAIRLITE_API_KEY": "s3cret"}) as server:
        yield server


def small_tag(small: Server, content: Any) -> Answer:
    return small.tag(content, Authorization="Bearer s3cret")


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    from flairlite.deploy import load

    found = {"words": load(export_of("words")), "ner": load(export_of("spans")), "topic": load(export_of("sentences"))}
    for model in found.values():
        assert model.tokenizer is None  # it leaves sentences as they are, and those of texts have the default one
    return found


def expect(model: Any, sentences: list[Sentence]) -> list[list[tuple[Any, ...]]]:
    """Return word, position in the text, label and score of each label, predicted for one sentence at a time."""
    (layer,) = layers_of(model)
    rows = []
    for sentence in sentences:
        model.predict(sentence)
        row = layer.annotations(sentence, sentence.start_position)
        rows.append([(*(each.get(key) for key in ("text", "start", "end", "label")), each["score"]) for each in row])
    return rows


def check(answer: Answer, expected: list[list[tuple[Any, ...]]], key: str, text: str | None = None) -> None:
    assert answer.status == 200, answer
    sentences = answer.json["sentences"]
    assert len(sentences) == len(expected)
    for sentence, row in zip(sentences, expected, strict=True):
        assert [(each.get("text"), each.get("start"), each.get("end"), each["label"]) for each in sentence[key]] == [
            each[:-1] for each in row
        ]
        assert [each["score"] for each in sentence[key]] == pytest.approx([each[-1] for each in row], abs=1e-4)
        if text is not None:
            assert text[sentence["start"] : sentence["end"]] == sentence["text"]
            for each in sentence[key]:
                assert "start" not in each or text[each["start"] : each["end"]] == each["text"]


class TestLabels:
    @pytest.mark.parametrize(("name", "key"), [("words", "tokens"), ("ner", "spans")])
    def test_a_text_is_split_and_labelled_as_by_the_library(
        self, server: Server, models: dict[str, Any], name: str, key: str
    ) -> None:
        sentences = SegtokSentenceSplitter().split(TEXT)
        answer = server.tag({"text": TEXT, "model": name})
        check(answer, expect(models[name], sentences), key, TEXT)
        assert answer.json["model"] == name
        assert len(sentences) == 3

    def test_a_classifier_labels_the_text_as_a_whole(self, server: Server, models: dict[str, Any]) -> None:
        expected = expect(models["topic"], [Sentence(TEXT)])
        check(server.tag({"text": TEXT, "model": "topic"}), expected, "labels", TEXT)

    def test_given_sentences_and_words_stay_as_they_are(self, server: Server, models: dict[str, Any]) -> None:
        items: list[Any] = ["She met Dr. Lee. It rained.", ["don't", "", "in Cork."], "", []]
        expected = expect(models["words"], [Sentence(item) for item in items])
        answer = server.tag({"sentences": items, "model": "words"})
        check(answer, expected, "tokens")
        assert [sentence["text"] for sentence in answer.json["sentences"]][::2] == ["She met Dr. Lee. It rained.", ""]
        assert [token["text"] for token in answer.json["sentences"][1]["tokens"]] == ["don't", "", "in Cork."]

    def test_many_clients_get_what_the_model_predicts_for_each_alone(
        self, server: Server, models: dict[str, Any]
    ) -> None:
        texts = [f"Ada {number} lives in London " + "dog " * (number % 7) for number in range(64)]
        expected = {text: expect(models["ner"], [Sentence(text)]) for text in texts}
        num_batches = server.metric("flairlite_batch_requests_count")

        def ask(client: int) -> None:
            with contextlib.closing(server.connect()) as connection:
                for text in texts[client::16]:
                    body = json.dumps({"sentences": [text], "model": "ner"})
                    connection.request("POST", "/tag", body, {"Content-Type": "application/json"})
                    check(receive(connection), expected[text], "spans")

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, range(16)))
        assert server.metric("flairlite_batch_requests_count") - num_batches <= 64

    def test_a_long_text_is_answered(self, server: Server, models: dict[str, Any]) -> None:
        text = "Ada Lovelace lives in London. " * 300
        answer = server.tag({"text": text, "model": "words"})
        check(answer, expect(models["words"], SegtokSentenceSplitter().split(text)), "tokens", text)

    def test_models_are_listed(self, server: Server, models: dict[str, Any]) -> None:
        rows = server.get("/models").json
        assert [(row["model"], row["label_type"], row["unit"]) for row in rows] == [
            (name, model.label_type, model.unit) for name, model in models.items()
        ]
        assert [row["labels"] for row in rows] == [[*model.label_names] for model in models.values()]


class TestWrongRequests:
    @pytest.mark.parametrize(
        ("body", "status", "reason"),
        [
            ("", 400, "Invalid JSON"),
            ('{"text": "a"', 400, "Invalid JSON: EOF"),
            (b'{"text": "\xff"}', 400, "Invalid JSON"),
            ('{"text": "\\ud800"}', 400, "Invalid JSON"),
            ('{"text": "a", "text', 400, "Invalid JSON"),
            ("[" * 100_000, 400, "Invalid JSON: recursion limit exceeded"),
            ("null", 422, "object"),
            ("[]", 422, "object"),
            ("{}", 422, "give either text or sentences"),
            ('{"text": null}', 422, "give either text or sentences"),
            ('{"text": "a", "sentences": ["a"]}', 422, "give either text or sentences"),
            ('{"text": 3}', 422, "text: Input should be a valid string"),
            ('{"text": NaN}', 422, "text: Input should be a valid string"),
            ('{"text": ["a"]}', 422, "text: Input should be a valid string"),
            ('{"sentences": "a"}', 422, "sentences: Input should be a valid"),
            ('{"sentences": [3, ["a", 3]]}', 422, "sentences.0: a text or a list of words is expected; sentences.1: a"),
            ('{"txt": "a"}', 422, "'txt' is no key of a request, which has text or sentences, and model"),
            ('{"text": "a", "model": 1}', 422, "model: Input should be a valid string"),
            ('{"text": "a"}', 422, "name a model of this server: model must be one of 'words', 'ner', 'topic'"),
            ('{"text": "a", "model": "x"}', 422, "there is no model 'x': model must be one of 'words', 'ner', 'topic'"),
            ('{"text": "", "model": "ner"}', 422, "there is no text to label"),
            ('{"text": " \\n", "model": "topic"}', 422, "there is no text to label"),
            ('{"sentences": [], "model": "ner"}', 422, "there is no text to label"),
            ('{"sentences": ["", []], "model": "ner"}', 422, "there is no text to label"),
        ],
        ids=lambda value: f"{value!s:.40}",
    )
    def test_it_is_refused_with_the_reason(self, server: Server, body: bytes | str, status: int, reason: str) -> None:
        answer = server.tag(body)
        assert (answer.status, reason in answer.detail) == (status, True), answer

    def test_a_text_of_5_mb_is_refused(self, server: Server) -> None:
        answer = server.tag({"text": "ab cd " * 900_000, "model": "ner"})
        assert (answer.status, answer.detail) == (413, "the request has more than 1,048,576 bytes: split the text")

    def test_a_word_without_end_is_refused(self, server: Server) -> None:
        answer = server.tag({"text": "It is " + "a" * 500_000, "model": "ner"})
        assert (answer.status, "a word of 500,000 characters, but at most 10,000" in answer.detail) == (413, True)
        assert server.tag({"text": "It is " + "a" * 10_000, "model": "ner"}).status == 200

    def test_a_body_of_unknown_length_is_refused_when_it_gets_too_long(self, small: Server) -> None:
        with contextlib.closing(small.connect()) as connection:
            headers = {"Content-Type": "application/json", "Authorization": "Bearer s3cret"}
            pieces = iter([b'{"text": "', *[b"a" * 1000] * 6, b'"}'])
            connection.request("POST", "/tag", pieces, headers, encode_chunked=True)
            assert receive(connection).status == 413

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ({"text": "a " * 301}, "the request has at least 301 words, but at most 300 are allowed: split it"),
            ({"sentences": ["a " * 200] * 2}, "the request has at least 400 words, but at most 300 are allowed"),
            ({"sentences": ["a"] * 21}, "the request has 21 sentences, but at most 20 are allowed: split it"),
            ({"text": "It rained. " * 21}, "the request has 21 sentences, but at most 20 are allowed"),
            ({"text": "a" * 5000}, "the request has more than 5,000 bytes: split the text"),
        ],
        ids=["words", "words of sentences", "sentences", "sentences of a text", "bytes"],
    )
    def test_limits_are_kept_and_named(self, small: Server, content: Any, reason: str) -> None:
        answer = small_tag(small, content)
        assert (answer.status, reason in answer.detail) == (413, True), answer

    def test_what_is_within_the_limits_is_answered(self, small: Server) -> None:
        for content in ({"text": "a " * 300}, {"sentences": ["a"] * 20}):
            assert small_tag(small, content).status == 200

    @pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded"])
    def test_another_content_type_is_refused(self, server: Server, media_type: str) -> None:
        answer = server.tag({"text": "a", "model": "ner"}, Content_Type=media_type)
        assert (answer.status, media_type in answer.detail) == (415, True)

    def test_a_charset_is_no_other_content_type(self, server: Server) -> None:
        content = {"text": "a", "model": "ner"}
        assert server.tag(content, Content_Type="Application/JSON; charset=utf-8").status == 200

    def test_other_paths_and_methods_are_refused(self, server: Server) -> None:
        assert [server.get(path).status for path in ("/tag", "/docs", "/x", "/../etc/passwd")] == [405, 404, 404, 404]

    def test_one_connection_survives_refusals(self, server: Server) -> None:
        with contextlib.closing(server.connect()) as connection:
            for body in (b"{", b'{"text": "a", "model": "ner"}', b"x" * 2_000_000, b'{"text": "a", "model": "ner"}'):
                connection.request("POST", "/tag", body, {"Content-Type": "application/json"})
                assert receive(connection).status == (400 if body == b"{" else 413 if len(body) > 100 else 200)

    def test_no_request_was_a_failure_of_the_server(self, server: Server) -> None:
        """This test is the last of its class."""
        assert server.metric("flairlite_requests_total") > 0
        assert 'status="5' not in server.get("/metrics").body.decode()


class TestApiKey:
    @pytest.mark.parametrize("path", ["/metrics", "/models"])
    def test_figures_need_the_key(self, small: Server, path: str) -> None:
        assert small.get(path).status == 401
        assert small.get(path, Authorization="Bearer s3cret").status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer s3cre"},
            {"Authorization": "Bearer s3cret2"},
            {"Authorization": "Bearer s3crét"},
            {"Authorization": "Basic s3cret"},
            {"Authorization": "s3cret"},
        ],
        ids=str,
    )
    def test_a_wrong_key_is_refused_before_the_request_is_read(self, small: Server, headers: dict[str, str]) -> None:
        answer = small.tag("{", **headers)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.detail == "the API key is missing or wrong: send the header Authorization: Bearer KEY"

    def test_the_right_key_is_accepted(self, small: Server) -> None:
        assert small_tag(small, {"text": "a"}).json["model"] == export_of("words").stem

    def test_monitoring_and_the_page_need_no_key(self, small: Server) -> None:
        assert {small.get(path).status for path in ("/", "/health", "/ready", "/openapi.json")} == {200}

    def test_the_key_is_nowhere_in_what_is_open(self, small: Server) -> None:
        assert all(b"s3cret" not in small.get(path).body for path in ("/", "/openapi.json"))


class TestDescription:
    def test_openapi_describes_requests_and_answers(self, small: Server) -> None:
        description = small.get("/openapi.json").json
        operation = description["paths"]["/tag"]["post"]
        request = operation["requestBody"]["content"]["application/json"]["schema"]
        assert set(request["properties"]) == {"text", "sentences", "model"}
        assert {"200", "400", "401", "408", "413", "415", "422", "503"} <= set(operation["responses"])
        assert operation["security"]
        assert {"/tag", "/models", "/health", "/ready", "/metrics"} == set(description["paths"])

    def test_answers_have_the_described_form(self, server: Server) -> None:
        from flairlite.serving.schema import TagAnswer

        for name in ("words", "ner", "topic"):
            TagAnswer.model_validate(server.tag({"text": TEXT, "model": name}).json)

    def test_health_and_readiness(self, server: Server) -> None:
        assert [server.get(path).json for path in ("/health", "/ready")] == [{"status": "ok"}, {"status": "ready"}]

    def test_metrics_are_in_the_format_of_prometheus_and_count(self, server: Server) -> None:
        from prometheus_client.parser import text_string_to_metric_families

        def read() -> dict[tuple[str, str, str], float]:
            answer = server.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain")
            families = list(text_string_to_metric_families(answer.body.decode()))
            assert len({family.name for family in families}) == len(families)
            return {
                (sample.name, sample.labels.get("model", ""), sample.labels.get("status", "")): sample.value
                for family in families
                for sample in family.samples
                if "le" not in sample.labels
            }

        before = read()
        assert server.tag({"text": "Ada lives. It rained.", "model": "ner"}).status == 200
        assert server.tag({"text": "", "model": "ner"}).status == 422
        after = read()
        changes = {key: after[key] - before.get(key, 0) for key in after if key[1] == "ner"}
        assert changes["flairlite_requests_total", "ner", "200"] == 1
        assert changes["flairlite_requests_total", "ner", "422"] == 1
        assert changes["flairlite_sentences_total", "ner", ""] == 2
        assert changes["flairlite_words_total", "ner", ""] == 6
        assert changes["flairlite_request_seconds_count", "ner", ""] == 1
        assert changes["flairlite_batch_requests_sum", "ner", ""] == 1
        assert after["flairlite_waiting_requests", "ner", ""] == 0
        assert after["process_resident_memory_bytes", "", ""] > 1e7

    def test_the_page_loads_nothing_from_elsewhere(self, server: Server) -> None:
        answer = server.get("/")
        page = answer.body.decode()
        assert answer.headers["content-type"].startswith("text/html")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "http" not in policy + page  # no address at all
        assert not re.search(r"@import|url\(|\ssrc=", page)
        links = re.findall(r'href="([^"]*)"', page)
        assert links == ["data:,", "openapi.json"]
        requests = re.findall(r'request\("(\w+)"', page)
        assert sorted(requests) == ["models", "tag"]

    def test_the_page_shows_labels_as_text(self, server: Server) -> None:
        assert "innerHTML" not in server.get("/").body.decode()
