"""How a run starts and ends: what is read, what is left of earlier gradients and files, what is closed."""

from __future__ import annotations

import contextlib
import copy
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentences import tagged

from flairlite.data import Corpus, FlairDataset, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import LabelError, SettingError
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState, optimizers, read_run_record
from flairlite.trainers.optimizers import remove_compiler

TEXTS = ["the/DET dog/NOUN sleeps/VERB", "the/DET dog/NOUN", "sleeps/VERB now/ADV", "dog/NOUN"]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


def sentences(count: int) -> list[Sentence]:
    return [tagged(TEXTS[number % 4]) for number in range(count)]


def make_trainer(corpus: Corpus | None = None) -> ModelTrainer:
    corpus = corpus or Corpus(sentences(12), sentences(4), sentences(4))
    embeddings = WordEmbeddings(WordVectors(["the", "dog", "sleeps"], np.eye(3)))
    labels = Corpus(sentences(4)).make_label_dictionary("pos")
    return ModelTrainer(SequenceTagger(embeddings, labels, "pos", hidden_size=2, seed=0), corpus)


def train(trainer: ModelTrainer, folder: Path, **options: Any) -> dict[str, Any]:
    return trainer.train(folder, **{"max_epochs": 2, "mini_batch_size": 4, "seed": 0, **options})


def weights_of(trainer: ModelTrainer) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in trainer.model.state_dict().items()}


class Counted(FlairDataset):
    """Sentences that are not in memory; counts how often each is read."""

    def __init__(self, count: int) -> None:
        self.reads = [0] * count

    def is_in_memory(self) -> bool:
        return False

    def __len__(self) -> int:
        return len(self.reads)

    def sentence_at(self, index: int) -> Sentence:
        self.reads[index] += 1
        return tagged(TEXTS[index % 4])


class AtStart(Callback):
    """Notes the reads before the first step."""

    def __init__(self, *datasets: Counted) -> None:
        self.datasets, self.reads = datasets, [[0]]

    def on_epoch_begin(self, state: TrainingState) -> None:
        if state.epoch == 1:
            self.reads = [list(dataset.reads) for dataset in self.datasets]


class TestReading:
    @pytest.mark.parametrize("augment", [0.0, 0.5])
    @pytest.mark.parametrize("mode", ["cpu", "none"])
    def test_sentences_on_disk_are_read_once_before_the_first_step(
        self, mode: str, augment: float, tmp_path: Path
    ) -> None:
        splits = Counted(1500), Counted(8), Counted(8)
        noted = AtStart(*splits)
        trainer = make_trainer(Corpus(*splits))
        options = {"embeddings_storage_mode": mode, "augment_nopunct": augment, "augment_uppercase": augment}
        train(trainer, tmp_path, max_epochs=1, mini_batch_size=500, plugins=[noted], **options)
        assert [set(reads) for reads in noted.reads] == [{1}] * 3

    def test_a_label_dictionary_reads_each_sentence_once(self) -> None:
        train_split, dev = Counted(20), Counted(8)
        dictionary = Corpus(train_split, dev).make_label_dictionary("pos")
        assert dictionary.get_items() == ["<unk>", "NOUN", "DET", "VERB", "ADV"]
        assert (set(train_split.reads), set(dev.reads)) == ({1}, {0})

    def test_a_sample_of_train_is_read_as_another_split(self, tmp_path: Path) -> None:
        train_split = Counted(20)
        noted = AtStart(train_split)
        train(make_trainer(Corpus(train_split, sentences(4))), tmp_path, monitor_train_sample=5, plugins=[noted])
        assert sum(noted.reads[0]) == 20 + 5

    def test_chunks_give_the_same_weights_as_a_list(self, tmp_path: Path) -> None:
        states = []
        for split in (Counted(1500), sentences(1500)):
            trainer = make_trainer(Corpus(split, sentences(4)))
            train(trainer, tmp_path / type(split).__name__, max_epochs=1, mini_batch_size=100)
            states.append(weights_of(trainer))
        assert all(torch.equal(weight, states[1][name]) for name, weight in states[0].items())
        one, other = (read_run_record(tmp_path / name)["inputs"]["data"] for name in ("Counted", "list"))
        assert one == other


class TestGradients:
    def test_gradients_left_by_the_caller_do_not_enter_the_first_step(self, tmp_path: Path) -> None:
        states = []
        for is_left in (False, True):
            trainer = make_trainer()
            if is_left:
                torch.autograd.backward(trainer.model.forward_loss(sentences(4))[0])
                assert any(weight.grad is not None for weight in trainer.model.parameters())
            train(trainer, tmp_path)
            states.append(weights_of(trainer))
        assert all(torch.equal(weight, states[1][name]) for name, weight in states[0].items())

    def test_gradients_left_by_an_interrupted_run_do_not_enter_the_first_step(self, tmp_path: Path) -> None:
        class Interrupt(Callback):
            def on_backward_end(self, state: TrainingState) -> None:
                raise KeyboardInterrupt

        states = []
        for is_interrupted in (False, True):
            trainer = make_trainer()
            if is_interrupted:
                train(trainer, tmp_path, plugins=[Interrupt()])
            train(trainer, tmp_path)
            states.append(weights_of(trainer))
        assert all(torch.equal(weight, states[1][name]) for name, weight in states[0].items())


class RefuseToStart(Callback):
    """Raises an error before training."""

    def on_train_begin(self, state: TrainingState) -> None:
        raise SettingError("not today")


class TestFailedStart:
    @pytest.mark.parametrize("cause", ["labels", "empty", "plugin", "metric", "resume"])
    def test_an_error_at_the_start_keeps_the_files_of_the_finished_run(self, cause: str, tmp_path: Path) -> None:
        train(make_trainer(), tmp_path, write_weights=True, save_model_each_k_epochs=1)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert {"training.log", "best-model.pt", "loss.tsv", "run.json"} <= set(before)
        corpora = {"labels": Corpus([tagged("a/X")]), "empty": Corpus([Sentence("")])}
        options: dict[str, Any] = {
            "plugin": {"plugins": [RefuseToStart()], "write_weights": True},
            "metric": {"main_evaluation_metric": ("nothing", "f1-score")},
            "resume": {"resume": True, "learning_rate": 0.7},
        }.get(cause, {})
        trainer = ModelTrainer(make_trainer().model, corpora[cause]) if cause in corpora else make_trainer()
        with pytest.raises((SettingError, LabelError, RuntimeError)):
            train(trainer, tmp_path, **options)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    def test_messages_before_the_first_step_are_in_the_log(self, tmp_path: Path) -> None:
        train(make_trainer(Corpus([*sentences(4), tagged("x/NEW")], sentences(4))), tmp_path)
        text = (tmp_path / "training.log").read_text()
        assert text.index("NEW (1)") < text.index("Model: ") < text.index("EPOCH 1 done")

    def test_a_missing_dev_split_is_a_warning(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        train(make_trainer(Corpus(sentences(8))), tmp_path)
        found = [record for record in caplog.records if "No dev split" in record.getMessage()]
        assert [record.levelno for record in found] == [logging.WARNING]
        assert "no best model is kept" in found[0].getMessage()
        assert "No dev split" in (tmp_path / "training.log").read_text()


class TestSplitsWithoutEntities:
    def test_splits_without_an_entity_score_zero_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        train_split = [Sentence(["the", "dog"]).set_span_labels("ner", [(1, 2, "ANIMAL")]) for _ in range(4)]
        others = [Sentence(["the", "the"]) for _ in range(2)]
        corpus = Corpus(train_split, others, list(others))
        embeddings = WordEmbeddings(WordVectors(["the", "dog"], np.eye(2)))
        labels = corpus.make_label_dictionary("ner")
        trainer = ModelTrainer(SequenceTagger(embeddings, labels, "ner", hidden_size=2, seed=0), corpus)
        result = train(trainer, tmp_path)
        assert result["test_score"] == 0.0
        assert result["dev_score_history"] == [0.0, 0.0]
        warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert any("the dev split" in text for text in warned)
        assert any("the test split" in text for text in warned)


class Closing(Callback):
    """Notes that it was closed, and raises an error then."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.seen = error, []  # type: ignore[var-annotated]

    def on_close(self, state: TrainingState, error: BaseException | None) -> None:
        self.seen.append(error)
        if self.error is not None:
            raise self.error


class Fail(Callback):
    """Ends training with an error."""

    def on_batch_end(self, state: TrainingState) -> None:
        raise ZeroDivisionError


class TestClosing:
    def test_an_error_in_one_callback_does_not_keep_others_open(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        plugins = [Closing(OSError("first")), Closing(OSError("second")), Closing()]
        with pytest.raises(OSError, match="first"):
            train(make_trainer(), tmp_path, plugins=plugins)
        assert [plugin.seen for plugin in plugins] == [[None]] * 3
        assert "Closing could not be closed: OSError('second')" in caplog.text

    def test_the_error_of_training_is_the_one_reported(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        plugins = [Closing(OSError("first")), Closing()]
        with pytest.raises(ZeroDivisionError):
            train(make_trainer(), tmp_path, plugins=[*plugins, Fail()])
        assert [type(plugin.seen[0]) for plugin in plugins] == [ZeroDivisionError] * 2
        assert "first" in caplog.text


class TestProcess:
    def test_the_process_is_not_changed_by_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        kinds: list[type] = []

        class Noted(Callback):
            def on_train_begin(self, state: TrainingState) -> None:
                kinds.append(type(state.optimizer))

        tidied: list[bool] = []
        tidy = contextlib.nullcontext
        monkeypatch.setattr("flairlite.trainers.trainer.tidy_heap", lambda: tidied.append(True) or tidy())
        monkeypatch.setattr(optimizers, "_has_compiler", lambda: False)
        states = []
        for is_tuned in (False, True):
            trainer = make_trainer()
            train(trainer, tmp_path, tune_process=is_tuned, plugins=[Noted()])
            states.append(weights_of(trainer))
        assert kinds[0] is torch.optim.SGD
        assert kinds[1] is not torch.optim.SGD
        assert tidied == [True]
        assert all(torch.equal(weight, states[1][name]) for name, weight in states[0].items())

    def test_an_optimizer_without_the_compiler_is_pickled_and_copied_as_torch_s(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(optimizers, "_has_compiler", lambda: False)
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = remove_compiler(torch.optim.Adam)([weight], lr=0.5, betas=(0.5, 0.6))
        weight.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for again in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
            assert type(again) is torch.optim.Adam
            found, expected = again.state_dict(), optimizer.state_dict()
            assert found["param_groups"] == expected["param_groups"]
            assert torch.equal(found["state"][0]["exp_avg"], expected["state"][0]["exp_avg"])
            assert torch.equal(again.param_groups[0]["params"][0], weight)
