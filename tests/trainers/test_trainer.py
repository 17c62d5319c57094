"""Training: what it returns, what it leaves in its folder, and that it does what a plain loop would do."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import logging
import math
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from devices import needs_bfloat16
from sentences import tagged
from torch import Tensor

import flairlite
from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import FileWriteError, FlairliteError, LabelError, SettingError, TrainingError
from flairlite.models import Model, SequenceTagger
from flairlite.trainers import Callback, ModelTrainer
from flairlite.trainers.callbacks.base import TrainingState

FILES = {
    "best-model.pt",
    "final-model.pt",
    "checkpoint.pt",
    "run.json",
    "training.log",
    "loss.tsv",
    "dev.tsv",
    "test.tsv",
    "test-scores.tsv",
    "history.jsonl",
    "report.html",
}

State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits are only promised on a CPU."""
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


class FullCorpus(Corpus):
    """A corpus that has every split."""

    train: Sequence[Sentence]
    dev: Sequence[Sentence]
    test: Sequence[Sentence]


def shorten(sentences: Sequence[Sentence] | None, count: int) -> list[Sentence]:
    """Return the first sentences of two to eight words, which are trained on fast."""
    return [sentence for sentence in sentences or () if 2 <= len(sentence) <= 8][:count]


@pytest.fixture
def corpus(sample: Corpus) -> FullCorpus:
    return FullCorpus(shorten(sample.train, 40), shorten(sample.dev, 15), shorten(sample.test, 15))


@pytest.fixture
def dictionary(sample: Corpus) -> Dictionary:
    return sample.make_label_dictionary("upos")


@pytest.fixture
def vectors(corpus: FullCorpus, mini_vectors: WordEmbeddings) -> WordEmbeddings:
    """The vectors of the words of the corpus alone: small files."""
    words = sorted({word.lower() for sentence in corpus.get_all_sentences() for word in sentence.words})
    rows = mini_vectors.vectors.rows(words)
    known = [word for word, row in zip(words, rows, strict=True) if row >= 0]
    return WordEmbeddings(WordVectors(known, mini_vectors.vectors.matrix[rows[rows >= 0]]))


@pytest.fixture
def make_tagger(dictionary: Dictionary, vectors: WordEmbeddings) -> Callable[..., SequenceTagger]:
    return functools.partial(SequenceTagger, vectors, dictionary, "upos", hidden_size=8, seed=0)


@pytest.fixture
def tagger(make_tagger: Callable[..., SequenceTagger]) -> SequenceTagger:
    return make_tagger()


def train(tagger: SequenceTagger, corpus: Corpus, folder: str | Path, **options: Any) -> dict[str, Any]:
    return ModelTrainer(tagger, corpus).train(folder, **{"max_epochs": 2, "mini_batch_size": 8, "seed": 0, **options})


def state_of(tagger: Model) -> State:
    return {name: weight.detach().clone() for name, weight in tagger.state_dict().items()}


def same(one: State, other: State) -> bool:
    """Tell whether weights are the same to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def rows_of(path: Path) -> list[dict[str, str]]:
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


class Notes(Callback):
    """Keeps the weights after each epoch, and what the run says about it."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.scores: list[float] = []
        self.words: list[int] = []

    def on_epoch_end(self, state: TrainingState) -> None:
        self.states.append(state_of(state.model))
        self.words.append(state.num_words)


class Forget(Callback):
    """Makes the model say X everywhere from an epoch on, so that an earlier epoch is the best."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    @torch.no_grad()
    def on_epoch_begin(self, state: TrainingState) -> None:
        if state.epoch == self.epoch:
            for weight in state.model.parameters():
                weight.zero_()
            assert isinstance(state.model, SequenceTagger)
            state.model.linear.bias[state.model.label_names.index("X")] = 10
            state.learning_rate = 1e-6


class TestResult:
    def test_the_result_has_the_test_score_and_an_entry_per_epoch(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        result = train(tagger, corpus, tmp_path, max_epochs=3)
        assert set(result) == {"test_score", "dev_score_history", "train_loss_history", "dev_loss_history"}
        assert result["test_score"] == tagger.evaluate(corpus.test).main_score
        for name in ("dev_score_history", "train_loss_history", "dev_loss_history"):
            assert len(result[name]) == 3
            assert all(type(value) is float for value in result[name])
        losses = result["train_loss_history"]
        assert losses[2] < losses[1] < losses[0]

    def test_scores_equal_those_of_the_model_of_each_epoch(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        notes = Notes()
        result = train(tagger, corpus, tmp_path, max_epochs=3, plugins=[notes])
        rows = rows_of(tmp_path / "loss.tsv")
        assert [row["EPOCH"] for row in rows] == ["1", "2", "3"]
        for epoch, state in enumerate(notes.states):
            tagger.load_state_dict(state)
            expected = tagger.evaluate(corpus.dev)
            assert result["dev_score_history"][epoch] == expected.main_score
            assert result["dev_loss_history"][epoch] == pytest.approx(expected.loss, rel=1e-5)
            assert float(rows[epoch]["DEV_F1"]) == pytest.approx(expected.main_score, abs=1e-4)
            assert float(rows[epoch]["DEV_ACCURACY"]) == pytest.approx(expected.accuracy, abs=1e-4)
            assert float(rows[epoch]["DEV_LOSS"]) == pytest.approx(expected.loss, rel=1e-4)
            assert float(rows[epoch]["TRAIN_LOSS"]) == pytest.approx(result["train_loss_history"][epoch], abs=1e-7)

    def test_another_metric_can_select_the_best_model(
        self, make_tagger: Callable[..., SequenceTagger], corpus: FullCorpus, tmp_path: Path
    ) -> None:
        tagger = make_tagger()
        result = train(tagger, corpus, tmp_path, main_evaluation_metric=("macro avg", "f1-score"))
        expected = tagger.evaluate(corpus.test).classification_report["macro avg"]["f1-score"]
        assert result["test_score"] == expected


class TestPlainLoop:
    @pytest.mark.parametrize(
        ("optimizer", "rate"), [(torch.optim.SGD, 0.1), (torch.optim.SGD, 1e-4), (torch.optim.Adam, 0.001)]
    )
    def test_training_follows_the_clipped_gradient_of_the_summed_loss(
        self,
        optimizer: Callable[..., torch.optim.Optimizer],
        rate: float,
        make_tagger: Callable[..., SequenceTagger],
        corpus: FullCorpus,
        tmp_path: Path,
    ) -> None:
        without_dropout = {"word_dropout": 0.0, "locked_dropout": 0.0}
        tagger, plain = make_tagger(**without_dropout), make_tagger(**without_dropout)
        train(tagger, Corpus(corpus.train), tmp_path, learning_rate=rate, shuffle=False, optimizer=optimizer)

        steps = optimizer(plain.parameters(), lr=rate)
        labels = plain.task.all_labels(corpus.train)
        for start in [*range(0, 40, 8)] * 2:
            sentences = corpus.train[start : start + 8]
            batch = plain.encode(sentences, label_type="upos", labels=labels).batch(torch.arange(8))
            loss = plain.loss(plain(batch), batch)
            steps.zero_grad()
            torch.autograd.backward(loss)
            gradients = [weight.grad for weight in plain.parameters() if weight.grad is not None]
            norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
            for gradient in gradients:
                gradient.mul_(min(1.0, 5.0 / float(norm)))
            steps.step()
        expected = plain.state_dict()
        for name, weight in tagger.state_dict().items():
            torch.testing.assert_close(weight, expected[name], rtol=1e-3, atol=1e-4, msg=name)

    def test_the_loss_of_an_epoch_is_the_mean_over_the_labelled_words(
        self, make_tagger: Callable[..., SequenceTagger], tmp_path: Path
    ) -> None:
        tagger = make_tagger(word_dropout=0.0, locked_dropout=0.0)
        sentences = [tagged("the/DET dog/NOUN sleeps", "upos"), tagged("a dog/NOUN", "upos"), tagged("now", "upos")]
        before = tagger.evaluate(sentences).loss
        result = train(tagger, Corpus(sentences), tmp_path, max_epochs=1)  # one batch: the loss before the step
        assert result["train_loss_history"] == [pytest.approx(before, rel=1e-5)]

    @pytest.mark.parametrize(
        "order", [{}, {"bucketing": False}, {"shuffle": False}, {"shuffle": False, "bucketing": False}], ids=str
    )
    def test_every_word_is_seen_once_per_epoch(
        self, order: dict[str, bool], tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        notes = Notes()
        corpus.train = [*corpus.train, Sentence(""), *corpus.train[:3]]
        train(tagger, corpus, tmp_path, plugins=[notes], **order)
        assert notes.words == [sum(map(len, corpus.train))] * 2

    def test_each_epoch_has_another_order(
        self, make_tagger: Callable[..., SequenceTagger], corpus: FullCorpus, tmp_path: Path
    ) -> None:
        states = []
        for order in ({}, {"bucketing": False}, {"shuffle": False}):
            tagger = make_tagger()
            train(tagger, corpus, tmp_path, **order)
            states.append(state_of(tagger))
        assert not same(states[0], states[1])
        assert not same(states[1], states[2])
        assert not same(states[0], states[2])

    def test_without_shuffling_bucketing_does_not_matter(
        self, make_tagger: Callable[..., SequenceTagger], corpus: FullCorpus, tmp_path: Path
    ) -> None:
        one, other = make_tagger(), make_tagger()
        train(one, corpus, tmp_path, shuffle=False, bucketing=True)
        train(other, corpus, tmp_path, shuffle=False, bucketing=False)
        assert same(state_of(one), state_of(other))

    @pytest.mark.parametrize(
        "optimizer",
        [
            torch.optim.SGD,
            torch.optim.Adam,
            torch.optim.AdamW,
            functools.partial(torch.optim.SGD, momentum=0.9, weight_decay=1e-4),
        ],
        ids=["SGD", "Adam", "AdamW", "partial"],
    )
    def test_any_optimizer_can_be_used(
        self,
        optimizer: Callable[..., torch.optim.Optimizer],
        tagger: SequenceTagger,
        corpus: FullCorpus,
        tmp_path: Path,
    ) -> None:
        seen: list[torch.optim.Optimizer] = []

        class See(Callback):
            def on_train_begin(self, state: TrainingState) -> None:
                seen.append(state.optimizer)

        result = train(tagger, corpus, tmp_path, optimizer=optimizer, learning_rate=0.01, plugins=[See()], max_epochs=3)
        kind = optimizer.func if isinstance(optimizer, functools.partial) else optimizer
        assert type(seen[0]) is kind
        assert seen[0].param_groups[0]["lr"] == 0.01
        if isinstance(optimizer, functools.partial):
            assert seen[0].param_groups[0]["momentum"] == 0.9
        assert result["train_loss_history"][2] < result["train_loss_history"][0]

    def test_frozen_weights_do_not_change(self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path) -> None:
        tagger.linear.requires_grad_(False)
        before = state_of(tagger)
        train(tagger, corpus, tmp_path)
        changed = {name for name, weight in state_of(tagger).items() if not torch.equal(weight, before[name])}
        assert changed == {name for name in before if not name.startswith("linear.")}


class TestFiles:
    def test_the_run_folder_has_these_files(self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path) -> None:
        train(tagger, corpus, tmp_path / "new" / "folder")
        assert names_in(tmp_path / "new" / "folder") == FILES

    def test_a_folder_can_have_any_name(self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path) -> None:
        folder = tmp_path / "ein Ordner mit Lücken 数据 🙂" / "%s {run}"
        train(tagger, corpus, str(folder), max_epochs=1)
        assert names_in(folder) == FILES
        assert f'Model training base path: "{folder}"' in (folder / "training.log").read_text(encoding="utf-8")
        assert same(state_of(SequenceTagger.load(folder / "best-model.pt")), state_of(tagger))

    def test_the_best_model_is_that_of_the_best_epoch_and_the_model_has_its_weights(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        notes = Notes()
        result = train(tagger, corpus, tmp_path, max_epochs=5, plugins=[Forget(4), notes])
        scores = result["dev_score_history"]
        best = scores.index(max(scores))
        assert best < 3
        loaded = SequenceTagger.load(tmp_path / "best-model.pt")
        assert loaded.evaluate(corpus.dev).main_score == max(scores)
        assert same(state_of(loaded), notes.states[best])
        assert same(state_of(tagger), notes.states[best])
        assert result["test_score"] == loaded.evaluate(corpus.test).main_score
        assert not tagger.training

    @pytest.mark.parametrize("error", [None, KeyboardInterrupt, ZeroDivisionError])
    def test_the_best_model_needs_no_cache_however_training_ends(
        self,
        error: type[BaseException] | None,
        dictionary: Dictionary,
        mini_vectors: WordEmbeddings,
        corpus: FullCorpus,
        tmp_path: Path,
    ) -> None:
        notes, meanwhile = Notes(), []

        class Load(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                meanwhile.append(state_of(SequenceTagger.load(state.base_path / "best-model.pt")))

        tagger = SequenceTagger(mini_vectors, dictionary, "upos", hidden_size=16, seed=0)
        plugins = [notes, Load(), *([Raise(error)] if error else [])]
        with pytest.raises(error) if error is ZeroDivisionError else contextlib.nullcontext():
            train(tagger, corpus, tmp_path / "run", plugins=plugins)
        assert same(meanwhile[0], notes.states[0])
        flairlite.runtime.set_cache_root(tmp_path / "another machine")
        loaded = SequenceTagger.load(tmp_path / "run" / "best-model.pt")
        assert same(state_of(loaded), meanwhile[-1])
        expected = tagger.predict([Sentence(sentence.words) for sentence in corpus.dev])
        if error is None:
            for one, other in zip(expected, loaded.predict(corpus.dev, label_name="loaded"), strict=True):
                assert one.token_labels("upos") == other.token_labels("loaded")

    def test_the_final_model_is_that_of_the_last_epoch(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        notes = Notes()
        train(tagger, corpus, tmp_path, max_epochs=3, plugins=[Forget(3), notes])
        assert same(state_of(SequenceTagger.load(tmp_path / "final-model.pt")), notes.states[2])
        assert not same(notes.states[2], state_of(tagger))

    def test_the_first_of_equally_good_epochs_is_the_best(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        notes = Notes()
        result = train(tagger, corpus, tmp_path, max_epochs=3, learning_rate=1e-9, plugins=[notes])
        assert len(set(result["dev_score_history"])) == 1
        assert same(state_of(tagger), notes.states[0])

    def test_the_final_model_can_be_omitted(self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path) -> None:
        train(tagger, corpus, tmp_path, save_final_model=False)
        assert names_in(tmp_path) == FILES - {"final-model.pt"}

    def test_the_predictions_are_written_beside_the_gold_labels(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        train(tagger, corpus, tmp_path, max_epochs=1)
        for name in ("dev", "test"):
            expected = ""
            for sentence in getattr(corpus, name):
                predicted = tagger.predict(Sentence(sentence.words))
                for word, gold, label in zip(
                    sentence.words, sentence.token_labels("upos"), predicted.get_labels("upos"), strict=True
                ):
                    expected += f"{word}\t{gold}\t{label.value}\n"
                expected += "\n"
            assert (tmp_path / f"{name}.tsv").read_text(encoding="utf-8") == expected

    @pytest.mark.parametrize(
        "second", [{"train_with_dev": True}, {"save_final_model": False}, {"max_epochs": 0}], ids=str
    )
    def test_files_of_an_earlier_run_are_removed(
        self, second: dict[str, Any], tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        train(tagger, corpus, tmp_path / "twice")
        train(tagger, Corpus(corpus.train, corpus.dev), tmp_path / "twice", **second)
        train(tagger, Corpus(corpus.train, corpus.dev), tmp_path / "once", **second)
        assert names_in(tmp_path / "twice") == names_in(tmp_path / "once")

    def test_other_files_in_the_folder_are_kept(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        train(tagger, corpus, tmp_path, max_epochs=1)
        assert (tmp_path / "notes.txt").read_text() == "mine"


class TestSplits:
    def test_without_dev_there_is_no_best_model(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        notes = Notes()
        result = train(tagger, Corpus(corpus.train, None, corpus.test), tmp_path, plugins=[notes])
        assert names_in(tmp_path) == FILES - {"best-model.pt", "dev.tsv"}
        assert result["dev_score_history"] == result["dev_loss_history"] == []
        assert len(result["train_loss_history"]) == 2
        assert result["test_score"] == tagger.evaluate(corpus.test).main_score
        assert same(state_of(tagger), notes.states[1])
        assert "No dev split" in (tmp_path / "training.log").read_text()
        assert "DEV_LOSS" not in rows_of(tmp_path / "loss.tsv")[0]

    def test_without_test_there_is_no_test_score(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        result = train(tagger, Corpus(corpus.train, corpus.dev), tmp_path)
        assert result["test_score"] is None
        assert names_in(tmp_path) == FILES - {"test.tsv", "test-scores.tsv"} | {"dev-scores.tsv"}
        assert "No test split" in (tmp_path / "training.log").read_text()

    def test_dev_can_be_used_for_training(
        self, make_tagger: Callable[..., SequenceTagger], corpus: FullCorpus, tmp_path: Path
    ) -> None:
        with_dev, joined = make_tagger(), make_tagger()
        result = train(with_dev, corpus, tmp_path / "with dev", train_with_dev=True)
        train(joined, Corpus([*corpus.train, *corpus.dev], None, corpus.test), tmp_path / "joined")
        assert same(state_of(with_dev), state_of(joined))
        assert names_in(tmp_path / "with dev") == FILES - {"best-model.pt", "dev.tsv"}
        assert result["dev_score_history"] == []

    def test_monitoring_the_test_split_changes_only_the_log(
        self, make_tagger: Callable[..., SequenceTagger], corpus: FullCorpus, tmp_path: Path
    ) -> None:
        watched, plain, notes = make_tagger(), make_tagger(), Notes()
        first = train(watched, corpus, tmp_path / "watched", monitor_test=True, plugins=[notes])
        second = train(plain, corpus, tmp_path / "plain")
        assert first == second
        assert same(state_of(watched), state_of(plain))
        rows = rows_of(tmp_path / "watched" / "loss.tsv")
        for row, state in zip(rows, notes.states, strict=True):
            plain.load_state_dict(state)
            assert float(row["TEST_F1"]) == pytest.approx(plain.evaluate(corpus.test).main_score, abs=1e-4)
        assert (tmp_path / "watched" / "training.log").read_text().count("TEST : loss ") == 2

    @pytest.mark.parametrize("split", [None, [], [Sentence("")]])
    def test_an_empty_training_split_is_refused(
        self, split: Any, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        with pytest.raises(TrainingError, match="train split is empty"):
            train(tagger, Corpus(split, corpus.dev), tmp_path)

    @pytest.mark.parametrize("name", ["dev", "test"])
    def test_another_split_without_words_is_refused(
        self, name: str, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        setattr(corpus, name, [Sentence(""), Sentence("")])
        with pytest.raises(TrainingError, match=f"{name} split is empty"):
            train(tagger, corpus, tmp_path)


class TestLabels:
    def test_an_unknown_label_type_is_refused_with_the_known_ones(
        self, dictionary: Dictionary, vectors: WordEmbeddings, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        tagger = SequenceTagger(vectors, dictionary, "ups", hidden_size=4)
        with pytest.raises(LabelError, match=r"no label type 'ups' in the train split; it has: .*lemma.*upos.*xpos"):
            train(tagger, corpus, tmp_path)

    def test_a_split_without_any_label_is_refused(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        corpus.dev = [Sentence(["a", "dog"])]
        with pytest.raises(LabelError, match="no label type 'upos' in the dev split; it has: no labels at all"):
            train(tagger, corpus, tmp_path)

    def test_labels_of_spans_or_sentences_are_refused_by_a_tagger_of_words(
        self, tagger: SequenceTagger, tmp_path: Path
    ) -> None:
        of_span, of_sentence = Sentence(["a", "dog"]), Sentence(["a", "dog"])
        of_span[0:2].add_label("upos", "NOUN")
        of_sentence.add_label("upos", "NOUN")
        for sentence in (of_span, of_sentence):
            with pytest.raises(LabelError, match="no word of the train split has a label of the type 'upos'"):
                train(tagger, Corpus([sentence]), tmp_path)

    def test_a_dictionary_of_other_labels_is_refused_with_both(
        self, vectors: WordEmbeddings, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        tagger = SequenceTagger(vectors, Dictionary.from_items(["<unk>", "N", "V"]), "upos", hidden_size=4)
        with pytest.raises(
            LabelError, match=r"it knows N, V, and the train split has .*NOUN.* Make the dictionary from this"
        ):
            train(tagger, corpus, tmp_path)

    def test_labels_missing_from_the_dictionary_are_named_in_one_line(
        self, vectors: WordEmbeddings, corpus: FullCorpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        known = Dictionary.from_items(["<unk>", "NOUN", "VERB", "DET", "PRON", "ADP", "AUX", "PUNCT", "ADJ", "ADV"])
        tagger = SequenceTagger(vectors, known, "upos", hidden_size=4)
        train(tagger, corpus, tmp_path, max_epochs=1)
        for name, effect in (("train", "teach the model nothing"), ("dev", "misses"), ("test", "misses")):
            lines = [message for message in caplog.messages if f"the {name} split are not in the model's" in message]
            assert len(lines) == 1
            assert effect in lines[0]
            counts: dict[str, int] = {}
            for sentence in getattr(corpus, name):
                for label in sentence.token_labels("upos"):
                    if not known.has_item(label):
                        counts[label] = counts.get(label, 0) + 1
            assert lines[0].startswith(f"{len(counts)} labels of")
            assert all(f"{label} ({count})" in lines[0] for label, count in counts.items())

    def test_nothing_is_logged_when_all_labels_are_known(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        train(tagger, corpus, tmp_path, max_epochs=1)
        assert [record for record in caplog.records if record.levelno > logging.INFO] == []


class TestSettings:
    def test_invalid_settings_are_refused_before_training_and_change_nothing(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        wrong: list[tuple[str, Any]] = [
            ("mini_batch_size", 0),
            ("eval_batch_size", -1),
            ("max_epochs", -1),
            ("learning_rate", 0.0),
            ("learning_rate", -0.1),
            ("learning_rate", math.nan),
            ("anneal_factor", 1.0),
            ("anneal_factor", 0.0),
            ("patience", 0),
            ("embeddings_storage_mode", "disk"),
            ("main_evaluation_metric", ("micro", "f1-score")),
            ("main_evaluation_metric", ("micro avg", "f1")),
        ]
        train(tagger, corpus, tmp_path, max_epochs=1)
        weights, files = state_of(tagger), {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        for option, value in wrong:
            with pytest.raises(SettingError, match=option):
                train(tagger, corpus, tmp_path, **{option: value})
            assert same(state_of(tagger), weights)
            assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files

    @pytest.mark.parametrize("metric", [("NOUN", "recall"), ("weighted avg", "precision")])
    def test_other_metrics_can_be_the_main_one(
        self, metric: tuple[str, str], tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        result = train(tagger, corpus, tmp_path, main_evaluation_metric=metric)
        report = tagger.evaluate(corpus.test).classification_report
        assert result["test_score"] == report[metric[0]][metric[1]]

    def test_a_misspelt_option_is_refused(self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match=r"'learning_rat', .* Did you mean learning_rate\?"):
            train(tagger, corpus, tmp_path, learning_rat=0.1)

    def test_a_base_path_that_cannot_be_written_is_named(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("mine")
        for place in (tmp_path / "file", tmp_path / "file" / "folder"):
            with pytest.raises(FileWriteError, match="cannot be written") as caught:
                train(tagger, corpus, place)
            assert str(place) in str(caught.value)
        assert (tmp_path / "file").read_text() == "mine"

    def test_zero_epochs_do_not_change_the_model(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        before = state_of(tagger)
        result = train(tagger, corpus, tmp_path, max_epochs=0)
        assert same(state_of(tagger), before)
        assert same(state_of(SequenceTagger.load(tmp_path / "final-model.pt")), before)
        assert result["test_score"] == tagger.evaluate(corpus.test).main_score
        assert result["dev_score_history"] == result["train_loss_history"] == []


class TestSameBytes:
    def test_the_storage_modes_give_the_same_weights(
        self, make_tagger: Callable[..., SequenceTagger], corpus: FullCorpus, tmp_path: Path
    ) -> None:
        results, states = [], []
        for mode in ("cpu", "gpu", "none"):
            tagger = make_tagger()
            results.append(train(tagger, corpus, tmp_path, embeddings_storage_mode=mode, device="cpu"))
            states.append(state_of(tagger))
        assert results[0] == results[1] == results[2]
        assert same(states[0], states[1])
        assert same(states[0], states[2])

    def test_the_seed_determines_order_and_dropout(
        self, make_tagger: Callable[..., SequenceTagger], corpus: FullCorpus, tmp_path: Path
    ) -> None:
        def trained(**options: Any) -> State:
            tagger = make_tagger()
            train(tagger, corpus, tmp_path, **options)
            return state_of(tagger)

        assert same(trained(seed=4), trained(seed=4))
        assert not same(trained(seed=4), trained(seed=5))
        assert not same(trained(seed=4, shuffle=False), trained(seed=5, shuffle=False))  # dropout alone

    def test_the_global_generators_have_no_effect(
        self, make_tagger: Callable[..., SequenceTagger], corpus: FullCorpus, tmp_path: Path
    ) -> None:
        states = []
        for seed in (1, 2):
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                tagger = make_tagger()
                train(tagger, corpus, tmp_path)
                states.append(state_of(tagger))
        assert same(*states)

    def test_two_processes_give_the_same_weights_and_scores(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = tmp_path / "script.py"
        script.write_text(
            "import sys\n"
            "from flairlite.data import Corpus\n"
            "from flairlite.datasets import SAMPLE_ENGLISH\n"
            "from flairlite.embeddings import WordEmbeddings\n"
            "from flairlite.models import SequenceTagger\n"
            "from flairlite.trainers import ModelTrainer\n"
            "sample = SAMPLE_ENGLISH()\n"
            "corpus = Corpus(sample.train[:20], sample.dev[:5], sample.test[:5])\n"
            "tagger = SequenceTagger(WordEmbeddings('glove-mini'), corpus.make_label_dictionary('upos'), 'upos',\n"
            "                        hidden_size=4)\n"
            "ModelTrainer(tagger, corpus).train(sys.argv[1], max_epochs=2, mini_batch_size=8, tune_process=True)\n"
        )
        environment = {
            **os.environ,
            "PYTHONHASHSEED": "12345",
            "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1]),
            "OMP_NUM_THREADS": str(torch.get_num_threads()),
        }
        arguments = [str(script), str(tmp_path / "0")]
        subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
        monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "1")])
        runpy.run_path(str(script))  # with the hash seed that this process has
        found = []
        for number in range(2):
            folder = tmp_path / str(number)
            states = [SequenceTagger.load(folder / name).state_dict() for name in ("best-model.pt", "final-model.pt")]
            weights = hashlib.sha256()
            for state in states:
                for name, weight in sorted(state.items()):
                    weights.update(name.encode() + weight.numpy().tobytes())
            rows = [
                {name: value for name, value in row.items() if name != "TIMESTAMP"}
                for row in rows_of(folder / "loss.tsv")
            ]
            found.append((weights.hexdigest(), rows, (folder / "test.tsv").read_bytes()))
        assert found[0] == found[1]
        assert len(found[0][1]) == 2


class Record(Callback):
    """Notes which hook is called when."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_train_begin(self, state: TrainingState) -> None:
        self.calls.append("train begin")

    def on_epoch_begin(self, state: TrainingState) -> None:
        assert state.model.device.type == "cpu"
        self.calls.append(f"epoch {state.epoch} begin, {state.iteration}/{state.num_batches}")

    def on_batch_begin(self, state: TrainingState) -> None:
        self.positions: list[int] = state.indices.tolist()
        assert all(weight.grad is None for weight in state.model.parameters())

    def on_backward_end(self, state: TrainingState) -> None:
        assert state.indices.tolist() == self.positions
        gradients = [weight.grad for weight in state.model.parameters() if weight.grad is not None]
        self.norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()

    def on_batch_end(self, state: TrainingState) -> None:
        assert state.model.training
        assert state.gradient_norm is not None
        torch.testing.assert_close(state.gradient_norm, self.norm)
        self.calls.append(f"batch {state.iteration}/{state.num_batches}")

    def on_epoch_trained(self, state: TrainingState) -> None:
        assert state.dev is None
        self.calls.append(f"epoch {state.epoch} trained")

    def on_evaluated(self, state: TrainingState) -> None:
        assert state.dev is not None
        assert state.is_best == (state.dev.main_score == state.best_score)
        assert not state.history.dev_scores[state.epoch - 1 :]
        self.calls.append(f"evaluated {state.epoch}")

    def on_epoch_end(self, state: TrainingState) -> None:
        assert state.dev is not None
        assert state.history.dev_scores[state.epoch - 1] == state.dev.main_score
        self.calls.append(f"epoch {state.epoch} end")

    def on_train_end(self, state: TrainingState) -> None:
        assert not state.model.training
        self.calls.append("train end")

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        self.calls.append(f"closed, {error!r}")


class Stop(Callback):
    """Asks for a stop in some hook of some epoch."""

    def __init__(self, hook: str, epoch: int) -> None:
        self.epoch = epoch
        setattr(self, hook, self._stop)

    def _stop(self, state: TrainingState) -> None:
        if state.epoch == self.epoch:
            state.stop_reason = "enough is enough"


class Raise(Callback):
    """Raises an error in the second batch of the second epoch."""

    def __init__(self, error: type[BaseException], hook: str = "on_batch_end", epoch: int = 2) -> None:
        self.error, self.epoch = error, epoch
        setattr(self, hook, self._raise)

    def _raise(self, state: TrainingState) -> None:
        if state.epoch == self.epoch and state.iteration in (0, 2, state.num_batches):
            raise self.error


class TestPlugins:
    def test_hooks_are_called_in_order(self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path) -> None:
        record = Record()
        train(tagger, corpus, tmp_path, plugins=[record], mini_batch_size=15)
        epochs = [
            [
                f"epoch {epoch} begin, 0/3",
                "batch 1/3",
                "batch 2/3",
                "batch 3/3",
                f"epoch {epoch} trained",
                f"evaluated {epoch}",
                f"epoch {epoch} end",
            ]
            for epoch in (1, 2)
        ]
        assert record.calls == ["train begin", *epochs[0], *epochs[1], "train end", "closed, None"]

    def test_several_plugins_are_called_in_the_order_given(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        calls: list[int] = []

        class Numbered(Callback):
            def __init__(self, number: int) -> None:
                self.number = number

            def on_epoch_end(self, state: TrainingState) -> None:
                calls.append(self.number)

        train(tagger, corpus, tmp_path, plugins=[Numbered(1), Numbered(2)])
        assert calls == [1, 2, 1, 2]

    @pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_end", "on_evaluated", "on_epoch_end"])
    def test_a_plugin_can_stop_training_after_the_epoch(
        self, hook: str, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        record = Record()
        result = train(tagger, corpus, tmp_path, max_epochs=5, plugins=[Stop(hook, epoch=2), record])
        assert len(result["train_loss_history"]) == 2
        assert record.calls[-3:] == ["epoch 2 end", "train end", "closed, None"]
        assert names_in(tmp_path) == FILES
        assert (tmp_path / "training.log").read_text().count("enough is enough") == 1

    def test_a_plugin_can_stop_training_before_it_begins(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        before = state_of(tagger)
        result = train(tagger, corpus, tmp_path, plugins=[Stop("on_train_begin", epoch=0)])
        assert result["train_loss_history"] == []
        assert same(state_of(tagger), before)

    def test_a_plugin_can_read_and_change_the_learning_rate(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        class Schedule(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                state.learning_rate = 0.1 / (state.epoch + 1)

        train(tagger, corpus, tmp_path, max_epochs=3, plugins=[Schedule()])
        rates = [row["LEARNING_RATE"] for row in rows_of(tmp_path / "loss.tsv")]
        assert rates == ["0.100000", "0.050000", "0.033333"]

    def test_an_error_of_a_plugin_is_raised(self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path) -> None:
        record = Record()
        with pytest.raises(ZeroDivisionError):
            train(tagger, corpus, tmp_path, plugins=[Raise(ZeroDivisionError), record])
        assert record.calls[-1] == "closed, ZeroDivisionError()"
        assert not tagger.training


class TestInterruption:
    def test_ctrl_c_in_an_epoch_saves_and_evaluates_the_model(
        self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        record, notes = Record(), Notes()
        states: list[State] = []

        class Keep(Callback):
            def on_batch_end(self, state: TrainingState) -> None:
                states.append(state_of(state.model))

        plugins = [record, notes, Keep(), Raise(KeyboardInterrupt)]
        result = train(tagger, corpus, tmp_path, max_epochs=5, plugins=plugins)
        assert names_in(tmp_path) == FILES
        assert len(result["train_loss_history"]) == len(result["dev_score_history"]) == 1
        assert record.calls[-4:] == ["batch 1/5", "batch 2/5", "train end", "closed, None"]
        assert same(state_of(SequenceTagger.load(tmp_path / "final-model.pt")), states[-1])
        assert same(state_of(SequenceTagger.load(tmp_path / "best-model.pt")), notes.states[0])
        assert same(state_of(tagger), notes.states[0])
        assert not same(states[-1], notes.states[0])
        assert result["test_score"] == tagger.evaluate(corpus.test).main_score
        log = (tmp_path / "training.log").read_text()
        assert log.index("EPOCH 1 done") < log.index("Exiting from training early.") < log.index("Results:")

    @pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_end"])
    def test_ctrl_c_in_the_first_epoch_writes_no_best_model(
        self, hook: str, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        result = train(tagger, corpus, tmp_path, plugins=[Raise(KeyboardInterrupt, hook, epoch=1)])
        assert names_in(tmp_path) == FILES - {"best-model.pt", "checkpoint.pt", "dev.tsv", "history.jsonl"}
        assert result["train_loss_history"] == []
        assert same(state_of(SequenceTagger.load(tmp_path / "final-model.pt")), state_of(tagger))

    @pytest.mark.parametrize("hook", ["on_evaluated", "on_epoch_end"])
    def test_ctrl_c_at_the_end_of_an_epoch_keeps_its_scores(
        self, hook: str, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        result = train(tagger, corpus, tmp_path, max_epochs=5, plugins=[Raise(KeyboardInterrupt, hook)])
        assert names_in(tmp_path) == FILES
        assert result["test_score"] == tagger.evaluate(corpus.test).main_score

    def test_a_model_can_be_trained_further(self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path) -> None:
        first = train(tagger, corpus, tmp_path, plugins=[Raise(KeyboardInterrupt)])
        second = train(tagger, corpus, tmp_path)
        assert second["train_loss_history"][0] < first["train_loss_history"][0]


class TestNotFinite:
    @pytest.mark.parametrize("size", [8, 40], ids=["in an epoch", "in the last step of an epoch"])
    def test_a_loss_of_nan_is_an_error_and_keeps_the_best_model(
        self, size: int, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        class Explode(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                state.learning_rate = 1e38

        notes = Notes()
        with pytest.raises(TrainingError, match=r"(?s)epoch 2,.*Lower the learning rate, which is 1e\+38"):
            train(tagger, corpus, tmp_path, max_epochs=4, plugins=[notes, Explode()], mini_batch_size=size)
        assert len(notes.states) == 1
        assert same(state_of(SequenceTagger.load(tmp_path / "best-model.pt")), notes.states[0])
        assert "final-model.pt" not in names_in(tmp_path)
        assert not tagger.training

    @pytest.mark.parametrize("size", [8, 40])
    def test_a_loss_of_nan_in_the_first_epoch_leaves_no_best_model(
        self, size: int, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path
    ) -> None:
        with pytest.raises(TrainingError, match=r"(?s)epoch 1,.*Lower the learning rate, which is 1e\+38"):
            train(tagger, corpus, tmp_path, learning_rate=1e38, mini_batch_size=size)
        assert not names_in(tmp_path) & {"best-model.pt", "final-model.pt"}


@contextlib.contextmanager
def as_in_a_script(*handlers: logging.Handler) -> Iterator[None]:
    """Give the root logger the handlers that a program has set up, and not those of pytest."""
    root = logging.getLogger()
    own = root.handlers[:]
    root.handlers[:] = handlers
    try:
        yield
    finally:
        root.handlers[:] = own


def logging_state() -> list[Any]:
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in sorted(logging.root.manager.loggerDict))]
    return [
        (logger.name, logger.level, list(logger.handlers), logger.propagate, logger.disabled, list(logger.filters))
        for logger in loggers
    ]


class TestLogging:
    @pytest.mark.parametrize(
        ("outcome", "level"),
        [
            ("done", logging.NOTSET),
            ("done", logging.DEBUG),
            ("done", logging.ERROR),
            ("interrupted", logging.NOTSET),
            ("failed", logging.ERROR),
            ("refused", logging.NOTSET),
        ],
    )
    def test_the_logging_configuration_is_restored(
        self,
        level: int,
        outcome: str,
        tagger: SequenceTagger,
        corpus: FullCorpus,
        tmp_path: Path,
    ) -> None:
        plugins = {"interrupted": [Raise(KeyboardInterrupt)], "failed": [Raise(ZeroDivisionError)]}.get(outcome, [])
        tagger.evaluate(corpus.dev)  # other libraries make their loggers when they are first imported
        logger = logging.getLogger("flairlite")
        old = logger.level
        logger.setLevel(level)
        try:
            with as_in_a_script():
                before = logging_state()
                try:
                    train(tagger, corpus if outcome != "refused" else Corpus([]), tmp_path, plugins=plugins)
                except (ZeroDivisionError, FlairliteError):
                    assert outcome in ("failed", "refused")
                assert logging_state() == before
        finally:
            logger.setLevel(old)
        assert outcome == "refused" or "EPOCH 1 done" in (tmp_path / "training.log").read_text()

    @pytest.mark.parametrize("name", [None, "flairlite"], ids=["root", "flairlite"])
    def test_lines_are_logged_once_if_the_program_has_a_handler(
        self,
        name: str | None,
        tagger: SequenceTagger,
        corpus: FullCorpus,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        handler = logging.StreamHandler(io.StringIO())
        with as_in_a_script():
            logging.getLogger(name).addHandler(handler)
            try:
                before = logging_state()
                train(tagger, corpus, tmp_path)
                assert logging_state() == before
            finally:
                logging.getLogger(name).removeHandler(handler)
        assert handler.stream.getvalue().count("EPOCH 1 done") == 1
        assert capsys.readouterr() == ("", "")
        assert (tmp_path / "training.log").read_text().count("EPOCH 1 done") == 1

    def test_two_runs_write_to_their_own_logs(self, tagger: SequenceTagger, corpus: FullCorpus, tmp_path: Path) -> None:
        for name in ("one", "two"):
            train(tagger, corpus, tmp_path / name)
            text = (tmp_path / name / "training.log").read_text()
            assert text.count("Model training base path") == text.count("EPOCH 1 done") == 1


@needs_bfloat16
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_crf": False, "loss_weights": {"NOUN": 2.0}},
        {"rnn_type": "GRU", "rnn_layers": 2, "rnn_dropout": 0.2},
        {"use_rnn": False},
    ],
    ids=str,
)
def test_mixed_precision_learns_like_full_precision(
    options: dict[str, Any], make_tagger: Callable[..., SequenceTagger], corpus: FullCorpus, tmp_path: Path
) -> None:
    losses = {}
    for use_amp in (False, True):
        tagger = make_tagger(**options)
        result = train(tagger, corpus, tmp_path / str(use_amp), max_epochs=3, use_amp=use_amp)
        losses[use_amp] = result["train_loss_history"]
        assert all(parameter.dtype == torch.float32 for parameter in tagger.parameters())
        assert result["test_score"] == tagger.evaluate(corpus.test).main_score  # in full precision
    assert losses[True] != losses[False]
    assert losses[True] == pytest.approx(losses[False], rel=0.05)
