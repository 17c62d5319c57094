"""Measure `flairlite serve` over loopback, next to the same model called one by one. Prints JSON, a line for each step.

    python benchmarks/serve.py [--seconds 30] [--clients 1 16 128] [--torch] [--model MODEL] [--options="--max-delay 0"]

Clients keep a connection each, and send the next sentence when the last is answered. Every answer is compared with what
the model predicts for this sentence alone. The clients share the processors with the server; `cpu_ms_per_request` is
the time that the server itself computes. The model has the network of the tutorial, trained briefly on the bundled
corpus, and is exported unless --torch is given. A first step with the most clients, until memory settles, is not shown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring import FOLDER, Figures, print_figures

TOLERANCE = 1e-3  # of scores: they depend on the batch in the last bits
LIMIT_SECONDS = 60  # for the server to start, and for a single answer

Labels = list[tuple[str, str, float]]  # word, label and score


@dataclass
class Outcome:
    """What happened to the requests of one step."""

    seconds: list[float] = field(default_factory=list)
    num_wrong: int = 0
    num_lost: int = 0


def make_model(folder: Path, *, is_exported: bool) -> Path:
    """Train a tagger on the bundled corpus, and return its file."""
    from flairlite.datasets import SAMPLE_ENGLISH
    from flairlite.embeddings import WordEmbeddings
    from flairlite.models import SequenceTagger
    from flairlite.trainers import ModelTrainer

    corpus = SAMPLE_ENGLISH()
    labels = corpus.make_label_dictionary("upos")
    model = SequenceTagger(WordEmbeddings("glove-mini"), labels, "upos", hidden_size=256)
    ModelTrainer(model, corpus).train(folder / "run", max_epochs=5, save_final_model=False)
    if not is_exported:
        return folder / "run" / "best-model.pt"
    model.export(folder / "model.onnx")
    return folder / "model.onnx"


def read_texts() -> list[str]:
    """Return the sentences to send."""
    from flairlite.datasets import SAMPLE_ENGLISH

    corpus = SAMPLE_ENGLISH()
    return [sentence.text for split in (corpus.train, corpus.dev, corpus.test) for sentence in split or ()]


def predict_one_by_one(path: Path, texts: Sequence[str], seconds: float) -> tuple[list[Labels], Figures]:
    """Return the labels of each text, and the speed of a loop over the texts."""
    from flairlite.cli.load import load_model

    model = load_model(path, None)

    def predict(text: str) -> Labels:
        sentence = model.predict(text)
        return [(token.text, token.tag, token.score) for token in sentence]

    expected = [predict(text) for text in texts]
    durations = []
    cpu, end = time.process_time(), time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        predict(texts[len(durations) % len(texts)])
        durations.append(time.perf_counter() - start)
    cpu = (time.process_time() - cpu) / len(durations)
    figures = summarize(durations, sum(durations))
    return expected, {"step": "one by one, in this process", **figures, "cpu_ms_per_request": 1e3 * cpu}


@contextlib.contextmanager
def serve(path: Path, options: Sequence[str]) -> Iterator[str]:
    """Run the server within the `with` statement, and return its URL."""
    command = [sys.executable, "-m", "flairlite", "serve", f"model={path}", "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+(?=;)", line)
        if found is None:
            raise SystemExit(f"{' '.join(command)} failed: {line}{process.stderr.read()}")
        try:
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_SECONDS)


async def run_clients(
    url: str, num_clients: int, seconds: float, texts: Sequence[str], expected: Sequence[Labels]
) -> Outcome:
    """Send requests from several connections for some seconds."""
    host, port = url.removeprefix("http://").split(":")
    outcome = Outcome()
    head = f"POST /tag HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json".encode()
    known: dict[tuple[int, bytes], bool] = {}  # answers that were compared, with the result
    end = time.perf_counter() + seconds

    async def run(client: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        index = client * 7919  # each client begins elsewhere
        while time.perf_counter() < end:
            index = (index + 1) % len(texts)
            body = json.dumps({"sentences": [texts[index]]}).encode()
            start = time.perf_counter()
            try:
                writer.write(b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
                answer = await asyncio.wait_for(read_answer(reader), LIMIT_SECONDS)
            except (OSError, EOFError, ValueError, asyncio.TimeoutError):
                outcome.num_lost += 1
                break
            outcome.seconds.append(time.perf_counter() - start)
            if (index, answer) not in known:
                known[index, answer] = is_right(answer, texts[index], expected[index])
            outcome.num_wrong += not known[index, answer]
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    await asyncio.gather(*map(run, range(num_clients)))
    return outcome


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """Return the body of an answer.

    Raises:
        ValueError: If the status is not 200.
        EOFError: If the connection is closed.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(head)
    size = re.search(rb"content-length: (\d+)", head.lower())
    assert size is not None
    return await reader.readexactly(int(size[1]))


def is_right(answer: bytes, text: str, expected: Labels) -> bool:
    """Return whether an answer has the words, the labels and nearly the scores of the model."""
    sentence = json.loads(answer)["sentences"][0]
    found = [(token["text"], token["label"], token["score"]) for token in sentence["tokens"]]
    return (
        sentence["text"] == text
        and len(found) == len(expected)
        and all(
            one[:2] == other[:2] and abs(one[2] - other[2]) < TOLERANCE
            for one, other in zip(found, expected, strict=True)
        )
    )


def read_metrics(url: str) -> dict[str, float]:
    """Return the figures of the server about itself."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=LIMIT_SECONDS) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def summarize(durations: Sequence[float], seconds: float) -> Figures:
    """Return requests per second and the latencies."""
    cuts = statistics.quantiles([*durations, *durations], n=100) if durations else [math.nan] * 99  # of two or more
    return {
        "requests": len(durations),
        "requests_per_s": len(durations) / seconds,
        "p50_ms": 1e3 * cuts[49],
        "p99_ms": 1e3 * cuts[98],
    }


def measure(url: str, num_clients: int, options: argparse.Namespace, texts: list[str], expected: Any) -> Figures:
    """Return the figures of one number of clients."""
    before = read_metrics(url)
    start = time.perf_counter()
    outcome = asyncio.run(run_clients(url, num_clients, options.seconds, texts, expected))
    seconds = time.perf_counter() - start
    after = read_metrics(url)
    batches = [f'flairlite_batch_requests_{name}{{model="model"}}' for name in ("sum", "count")]
    num_requests, num_batches = (after[name] - before[name] for name in batches)
    cpu = after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]
    return {
        "step": f"{num_clients} clients",
        **summarize(outcome.seconds, seconds),
        "wrong": outcome.num_wrong,
        "lost": outcome.num_lost,
        "requests_per_batch": num_requests / num_batches,
        "cpu_ms_per_request": 1e3 * cpu / num_requests,
        "rss_mb_before": before["process_resident_memory_bytes"] / 2**20,
        "rss_mb_after": after["process_resident_memory_bytes"] / 2**20,
    }


def main() -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="of each step")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 128])
    parser.add_argument("--torch", action="store_true", help="serve the model itself instead of its export")
    parser.add_argument("--model", type=Path, help="a tagger of words to serve instead")
    parser.add_argument("--options", default="", help="options of flairlite serve")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = options.model or make_model(Path(folder), is_exported=not options.torch)
        texts = list(dict.fromkeys(read_texts()))
        expected, figures = predict_one_by_one(path, texts, options.seconds)
        print_figures(figures)
        with serve(path, options.options.split()) as url:
            asyncio.run(run_clients(url, max(options.clients), options.seconds, texts, expected))  # memory settles
            for num_clients in options.clients:
                print_figures(measure(url, num_clients, options, texts, expected))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
