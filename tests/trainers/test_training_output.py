"""What training prints is what the tutorial shows, line for line, on the console and in training.log."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from sentences import tagged

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d\d\d "
RULE = "-" * 100
HEADER = [
    RULE,
    r'Model: "SequenceTagger\([\s\S]+\)"',
    RULE,
    r"Corpus: 40 train \+ 5 dev \+ 5 test sentences",
    RULE,
    "Train:  40 sentences",
    r" +\(train_with_dev=False, train_with_test=False\)",
    RULE,
    "Training Params:",
    ' - optimizer: "torch.optim.SGD"',
    ' - learning_rate: "0.1"',
    ' - mini_batch_size: "1"',
    ' - max_epochs: "2"',
    ' - shuffle: "True"',
    RULE,
    "Plugins:",
    r" - AnnealOnPlateau \| patience: '3', anneal_factor: '0.5', min_learning_rate: '0.0001'",
    RULE,
    r"Final evaluation on model from best epoch \(best-model.pt\)",
    r""" - metric: "\('micro avg', 'f1-score'\)\"""",
    RULE,
    "Computation:",
    " - compute on device: cpu",
    " - embedding storage: cpu",
    RULE,
    r'Model training base path: ".+"',
    RULE,
    "Device: cpu",
    RULE,
    "Embeddings storage mode: cpu",
    RULE,
]
REPORT = r"""
Results:
- F-score \(micro\) [01]\.\d{4}
- F-score \(macro\) [01]\.\d{4}
- Accuracy [01]\.\d{4}

By class:
              precision    recall  f1-score   support

(?: {0,11}[A-Z]+  (?:   [01]\.\d{4} ){3} {1,8}\d+
)+
    accuracy                         [01]\.\d{4} {1,9}\d+
   macro avg  (?:   [01]\.\d{4} ){3} {1,8}\d+
weighted avg  (?:   [01]\.\d{4} ){3} {1,8}\d+
"""

WORDS = ["the", "dog", "sleeps", "."]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


def iteration(epoch: int, number: int, count: int, rate: str = "0.100000") -> str:
    """Return the pattern of `epoch 1 - iter 4/40 - loss 3.28409882 - time (sec): 1.10 - samples/sec: 2611.84 - ...`."""
    figures = rf"loss \d+\.\d{{8}} - time \(sec\): \d+\.\d\d - samples/sec: \d+\.\d\d - lr: {re.escape(rate)}"
    return rf"epoch {epoch} - iter {number}/{count} - {figures}"


def make_sentences(count: int) -> list[Sentence]:
    return [tagged("the/DET dog/NOUN sleeps/VERB", "upos") for _ in range(count)]


def train(corpus: Corpus, folder: Path, **options: Any) -> tuple[dict[str, Any], SequenceTagger]:
    vectors = WordVectors(WORDS, np.eye(len(WORDS)))
    dictionary = corpus.make_label_dictionary("upos")
    tagger = SequenceTagger(WordEmbeddings(vectors), dictionary, "upos", hidden_size=4, seed=0)
    return ModelTrainer(tagger, corpus).train(folder, **{"max_epochs": 1, "mini_batch_size": 1, **options}), tagger


def log_of(folder: Path) -> list[str]:
    """Return the messages of training.log, each checked to begin with the time; a report is one message."""
    text = (folder / "training.log").read_text(encoding="utf-8")
    messages = re.split(rf"^{TIME}", text, flags=re.MULTILINE)
    assert messages[0] == ""
    return [message.removesuffix("\n") for message in messages[1:]]


def assert_lines(messages: Sequence[str], patterns: Sequence[str]) -> None:
    for place, (message, pattern) in enumerate(zip(messages, patterns, strict=False)):
        assert re.fullmatch(pattern, message), f"line {place + 1} is {message!r}, not like {pattern}"
    assert len(messages) == len(patterns)


class TestLines:
    def test_the_log_of_a_run_equals_the_tutorials(self, tmp_path: Path) -> None:
        corpus = Corpus(make_sentences(40), make_sentences(5), make_sentences(5))
        result, _ = train(corpus, tmp_path, max_epochs=2)
        first, second = (
            [
                *(iteration(epoch, number, 40) for number in range(4, 41, 4)),
                RULE,
                rf"EPOCH {epoch} done: loss \d+\.\d{{4}} - lr 0\.100000",
                r"DEV : loss \d+\.\d{5,} - f1-score \(micro avg\)  [01]\.\d{1,4}",
                r"BAD EPOCHS \(no improvement\): \d",
                RULE,
            ]
            for epoch in (1, 2)
        )
        is_better = result["dev_score_history"][1] > result["dev_score_history"][0]
        saving = ["saving best model"]
        tail = [RULE, r"Testing using best model \.\.\.", REPORT, RULE]
        assert_lines(log_of(tmp_path), [*HEADER, *first, *saving, *second, *(saving if is_better else ()), *tail])

    def test_the_console_shows_the_same_lines(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's
        train(Corpus(make_sentences(10), make_sentences(2), make_sentences(2)), tmp_path)
        console = capsys.readouterr()
        assert console.out == (tmp_path / "training.log").read_text(encoding="utf-8")
        assert len(console.out.splitlines()) > 30
        assert console.err == ""  # no progress bar off a terminal

    @pytest.mark.parametrize(
        ("count", "numbers"),
        [
            (40, [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]),
            (45, [5, 9, 14, 18, 23, 27, 32, 36, 41, 45]),
            (10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            (11, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
            (7, [1, 2, 3, 4, 5, 6, 7]),
            (1, [1]),
        ],
    )
    def test_an_epoch_has_ten_lines_or_one_per_batch(self, count: int, numbers: list[int], tmp_path: Path) -> None:
        train(Corpus(make_sentences(count)), tmp_path)
        lines = [message for message in log_of(tmp_path) if message.startswith("epoch ")]
        assert_lines(lines, [iteration(1, number, count) for number in numbers])

    def test_the_base_path_is_logged_as_given(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        train(Corpus(make_sentences(2)), Path("resources/taggers/example-upos"))
        lines = log_of(tmp_path / "resources/taggers/example-upos")
        assert 'Model training base path: "resources/taggers/example-upos"' in lines

    @pytest.mark.parametrize("mode", ["cpu", "gpu", "none"])
    def test_the_storage_mode_is_logged(self, mode: str, tmp_path: Path) -> None:
        train(Corpus(make_sentences(2)), tmp_path, embeddings_storage_mode=mode)
        assert {f"Embeddings storage mode: {mode}", f" - embedding storage: {mode}"} <= set(log_of(tmp_path))

    def test_the_monitored_test_split_is_logged_after_dev(self, tmp_path: Path) -> None:
        train(Corpus(make_sentences(2), make_sentences(2), make_sentences(2)), tmp_path, monitor_test=True)
        lines = log_of(tmp_path)
        place = next(number for number, line in enumerate(lines) if line.startswith("DEV : "))
        assert lines[place + 1] == lines[place].replace("DEV", "TEST")

    def test_a_missing_dev_split_has_no_line(self, tmp_path: Path) -> None:
        train(Corpus(make_sentences(2), None, make_sentences(2)), tmp_path)
        lines = log_of(tmp_path)
        assert not any("DEV :" in line or "best model yet" in line for line in lines)
        assert "Testing using last state of model ..." in lines

    def test_an_annealed_rate_is_logged(self, tmp_path: Path) -> None:
        train(Corpus(make_sentences(2), make_sentences(2)), tmp_path, max_epochs=4, patience=1, learning_rate=0.000008,
              min_learning_rate=1e-9)  # fmt: skip
        lines = log_of(tmp_path)
        done = [line for line in lines if line.startswith("EPOCH ")]
        assert [line.rsplit(" ", 1)[1] for line in done] == ["0.000008", "0.000008", "0.000004", "0.000002"]
        assert [line for line in lines if line.startswith("BAD")] == [
            f"BAD EPOCHS (no improvement): {number}" for number in range(4)
        ]
        assert sum(line.startswith("learning rate annealed to") for line in lines) == 3


class TestFigures:
    def test_printed_scores_equal_returned_scores(self, tmp_path: Path) -> None:
        sentences = make_sentences(20)
        result, _ = train(Corpus(sentences, [*sentences[:3], tagged("dog/VERB .", "upos")]), tmp_path, max_epochs=3)
        lines = log_of(tmp_path)
        done = [line for line in lines if line.startswith("EPOCH ")]
        dev = [line for line in lines if line.startswith("DEV ")]
        last = [line for line in lines if " - iter 20/20 - " in line]
        for epoch in range(3):
            loss = result["train_loss_history"][epoch]
            assert done[epoch] == f"EPOCH {epoch + 1} done: loss {loss:.4f} - lr 0.100000"
            assert f" - loss {loss:.8f} - " in last[epoch]
            # the loss in full, so that it reads back as it was
            loss, score = result["dev_loss_history"][epoch], result["dev_score_history"][epoch]
            assert dev[epoch] == f"DEV : loss {loss!r} - f1-score (micro avg)  {round(score, 4)}"

    def test_another_main_metric_is_named(self, tmp_path: Path) -> None:
        corpus = Corpus(make_sentences(4), make_sentences(2))
        result, _ = train(corpus, tmp_path, main_evaluation_metric=("macro avg", "recall"))
        score = round(result["dev_score_history"][0], 4)
        assert any(line.endswith(f" - recall (macro avg)  {score}") for line in log_of(tmp_path))

    def test_samples_are_words(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 0.0

        def tick() -> float:
            nonlocal now
            now += 1
            return now

        monkeypatch.setattr(time, "perf_counter", tick)
        train(Corpus(make_sentences(20)), tmp_path)
        pattern = re.compile(r"iter (\d+)/20 .* time \(sec\): (\d+)\.00 - samples/sec: (\S+) ")
        matches = [match for line in log_of(tmp_path) if (match := pattern.search(line))]
        assert len(matches) == 10
        for match in matches:
            number, seconds = int(match[1]), int(match[2])
            assert match[3] == f"{number * 3 / seconds:.2f}"

    def test_the_report_equals_that_of_scikit_learn(
        self, sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path
    ) -> None:
        corpus = Corpus((sample.train or ())[:60], None, sample.test)
        tagger = SequenceTagger(mini_vectors, sample.make_label_dictionary("upos"), "upos", hidden_size=16, seed=0)
        result = ModelTrainer(tagger, corpus).train(tmp_path, max_epochs=3, mini_batch_size=4)
        rows = [line.split("\t") for line in (tmp_path / "test.tsv").read_text(encoding="utf-8").splitlines() if line]
        gold, predicted = [row[1] for row in rows], [row[2] for row in rows]
        frequency = {label: gold.count(label) + predicted.count(label) for label in {*gold, *predicted}}
        (report,) = [message for message in log_of(tmp_path) if message.startswith("\nResults:")]
        shown = [line.split()[0] for line in report.split("support\n\n")[1].split("\n\n")[0].splitlines()]
        assert [frequency[label] for label in shown] == sorted(frequency.values(), reverse=True)
        assert set(shown) == set(frequency)
        table = sklearn.metrics.classification_report(gold, predicted, labels=shown, digits=4, zero_division=0)
        micro = sklearn.metrics.f1_score(gold, predicted, average="micro", zero_division=0)
        macro = sklearn.metrics.f1_score(gold, predicted, average="macro", zero_division=0)
        accuracy = sklearn.metrics.accuracy_score(gold, predicted)
        figures = f"- F-score (micro) {micro:.4f}\n- F-score (macro) {macro:.4f}\n- Accuracy {accuracy:.4f}"
        assert report == f"\nResults:\n{figures}\n\nBy class:\n{table}"
        assert result["test_score"] == pytest.approx(micro)


class TestLossTable:
    FIRST = ("EPOCH", "TIMESTAMP", "LEARNING_RATE", "TRAIN_LOSS")
    DEV = ("DEV_LOSS", "DEV_PRECISION", "DEV_RECALL", "DEV_F1", "DEV_ACCURACY")
    TEST = ("TEST_LOSS", "TEST_PRECISION", "TEST_RECALL", "TEST_F1", "TEST_ACCURACY")

    @pytest.mark.parametrize(
        ("has_dev", "monitor_test", "columns"),
        [
            (True, False, (*FIRST, *DEV)),
            (True, True, (*FIRST, *DEV, *TEST)),
            (False, True, (*FIRST, *TEST)),
            (False, False, FIRST),
        ],
    )
    def test_the_loss_table_has_a_row_per_epoch_and_a_column_per_metric(
        self, has_dev: bool, monitor_test: bool, columns: tuple[str, ...], tmp_path: Path
    ) -> None:
        corpus = Corpus(make_sentences(4), make_sentences(2) if has_dev else None, make_sentences(2))
        train(corpus, tmp_path, max_epochs=3, monitor_test=monitor_test)
        head, *rows = [line.split("\t") for line in (tmp_path / "loss.tsv").read_text().splitlines()]
        assert tuple(head) == columns
        assert [row[0] for row in rows] == ["1", "2", "3"]
        for row in rows:
            assert re.fullmatch(r"\d\d:\d\d:\d\d", row[1])
            assert row[2] == "0.100000"
            for name, value in zip(head[3:], row[3:], strict=True):
                assert re.fullmatch(r"\d+\.\d{8}" if "LOSS" in name else r"[01]\.\d{4}", value)

    def test_rows_are_written_at_the_end_of_their_epoch(self, tmp_path: Path) -> None:
        from flairlite.trainers import Callback
        from flairlite.trainers.callbacks.base import TrainingState

        lengths: list[int] = []

        class Look(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                lengths.append(len((state.base_path / "loss.tsv").read_text().splitlines()))

        train(Corpus(make_sentences(2)), tmp_path, max_epochs=3, plugins=[Look()])
        assert lengths == [2, 3, 4]
