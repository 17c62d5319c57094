"""The figures of a server, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128)

CONTENT_TYPE: str = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = self._count("requests", "Requests to /tag, by model and status.", ["model", "status"])
        self._sentences = self._count("sentences", "Sentences that were labelled.", ["model"])
        self._words = self._count("words", "Words that were labelled.", ["model"])
        self._latency = self._measure("request_seconds", "Time from the request to its answer.", _SECONDS)
        self._predict = self._measure("batch_seconds", "Time to label a batch.", _SECONDS)
        self._batches = self._measure("batch_requests", "Requests in a batch.", _REQUESTS)
        self._waiting = Gauge("flairlite_waiting_requests", "Requests that wait.", ["model"], registry=self._registry)

    def add_model(self, model: str, num_waiting: Callable[[], int]) -> None:
        """Register a model, with a function that returns how many requests wait for it."""
        self._waiting.labels(model).set_function(num_waiting)

    def add_request(self, model: str, status: int, seconds: float) -> None:
        """Count a request that has ended; the model is empty if it is not known."""
        self._requests.labels(model, str(status)).inc()
        if status == 200:
            self._latency.labels(model).observe(seconds)

    def add_batch(self, model: str, num_requests: int, seconds: float) -> None:
        """Count a batch."""
        self._batches.labels(model).observe(num_requests)
        self._predict.labels(model).observe(seconds)

    def add_text(self, model: str, num_sentences: int, num_words: int) -> None:
        """Count what was labelled."""
        self._sentences.labels(model).inc(num_sentences)
        self._words.labels(model).inc(num_words)

    def render(self) -> bytes:
        """Return all figures."""
        text: bytes = generate_latest(self._registry)
        return text

    def _count(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(f"flairlite_{name}", text, labels, registry=self._registry)

    def _measure(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"flairlite_{name}", text, ["model"], buckets=buckets, registry=self._registry)
