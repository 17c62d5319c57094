"""The table of settings: each wrong value is one SettingError, before anything is written."""

from __future__ import annotations

import enum
import functools
import json
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from devices import needs_bfloat16
from parameter_ids import show
from sentences import tagged

from flairlite.data import Corpus
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import FlairliteError, SettingError, TrainingError
from flairlite.models import SequenceTagger
from flairlite.samplers import ChunkSampler, ExpandingChunkSampler, FlairSampler, ImbalancedClassificationDatasetSampler
from flairlite.trainers import Annealing, Callback, ModelTrainer, TrainingSettings, TrainingState
from flairlite.trainers import settings as settings_module
from flairlite.trainers.callbacks.weights_table import WeightExtractor
from flairlite.trainers.plugins import LinearSchedulerPlugin, OneCycleSchedulerPlugin
from flairlite.trainers.process import processor


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


@pytest.fixture
def trainer() -> ModelTrainer:
    sentences = [tagged("the/DET dog/NOUN sleeps/VERB"), tagged("the/DET dog/NOUN")] * 3
    corpus = Corpus(sentences, sentences[:2], sentences[:2])
    embeddings = WordEmbeddings(WordVectors(["the", "dog"], np.eye(2)))
    labels = corpus.make_label_dictionary("pos")
    return ModelTrainer(SequenceTagger(embeddings, labels, "pos", hidden_size=2, seed=0), corpus)


class Mode(enum.Enum):
    CPU = "cpu"


class Noted(Callback):
    """Keeps the optimizer of a run."""

    def on_train_begin(self, state: TrainingState) -> None:
        self.optimizer = state.optimizer


NUMBERS = ["learning_rate", "decoder_learning_rate", "max_grad_norm", "anneal_factor", "min_learning_rate"]
COUNTS = ["mini_batch_size", "mini_batch_chunk_size", "eval_batch_size", "max_epochs", "patience", "checkpoint_every"]
COUNTS += ["initial_extra_patience", "save_model_each_k_epochs"]
FLAGS = ["anneal_with_restarts", "attach_default_scheduler", "train_with_dev", "train_with_test", "monitor_test"]
FLAGS += ["use_final_model_for_eval", "shuffle", "shuffle_first_epoch", "bucketing", "use_amp", "save_final_model"]
FLAGS += ["compact_vectors", "create_file_logs", "create_loss_file", "write_weights", "tune_process"]
NO_NUMBERS: list[Any] = ["0.1", b"1", True, np.True_, math.nan, math.inf, -math.inf, -1, [], {}, object(), 1j]
NO_NUMBERS += [Decimal("0.5"), np.array([[0.1]]), torch.ones(2, 2), np.float64("nan"), Mode.CPU]


class TestSlips:
    @pytest.mark.parametrize("name", NUMBERS)
    def test_numbers(self, name: str) -> None:
        for value in NO_NUMBERS:
            with pytest.raises(SettingError, match=name):
                TrainingSettings(**{name: value})

    @pytest.mark.parametrize("name", COUNTS)
    def test_counts(self, name: str) -> None:
        for value in [*NO_NUMBERS, 4.5, 1.0, np.float32(2), Fraction(1, 2)]:
            with pytest.raises(SettingError, match=name):
                TrainingSettings(**{name: value})

    @pytest.mark.parametrize("name", ["learning_rate", "mini_batch_size", "max_epochs", "patience", "anneal_factor"])
    def test_a_number_is_needed(self, name: str) -> None:
        with pytest.raises(SettingError, match=f"{name} must be a .*number; it is None"):
            TrainingSettings(**{name: None})

    @pytest.mark.parametrize("name", FLAGS)
    def test_flags(self, name: str) -> None:
        for value in ("False", 1, 0, None, [], 0.0):
            with pytest.raises(SettingError, match=f"{name} must be True or False"):
                TrainingSettings(**{name: value})

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("patience", [0]),
            ("mini_batch_size", [0, np.int64(0)]),
            ("monitor_train_sample", [1.5, "all", True, None]),
            ("min_learning_rate", ["0.1", [], ["0.1"], [0.1, math.nan], (True,), None, {0.1: 1}]),
            ("main_evaluation_metric", ["macro", "macro avg", ("micro avg",), ("a", "b", "c"), None, 3, (1, 2), {}]),
            ("exclude_labels", [b"O", 3, [1], [None], {"O": 1}]),
            ("embeddings_storage_mode", ["disk", "cpus", None, 1, Mode.CPU, ["cpu"]]),
            ("seed", ["0", 0.5, True, 2**64, -(2**63) - 1]),
            ("optimizer", [None, 3, "adamm", "", "torch.nn.Linear", torch.nn.Linear, torch.optim.Optimizer, "lbfgs"]),
        ],
    )
    def test_other_settings(self, name: str, values: list[Any]) -> None:
        for value in values:
            with pytest.raises(SettingError, match=name):
                TrainingSettings(**{name: value})

    def test_every_setting_has_a_check_that_refuses_an_object(self) -> None:
        for name in TrainingSettings.__dataclass_fields__:
            with pytest.raises(SettingError, match=name):
                TrainingSettings(**{name: object()})

    def test_numpy_numbers_are_stored_as_python_numbers(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        same = {"learning_rate": 0.25, "mini_batch_size": 2, "max_epochs": 1, "seed": 3, "monitor_train_sample": 2}
        other = {"learning_rate": np.float32(0.25), "mini_batch_size": np.int32(2), "max_epochs": np.uint8(1)}
        other |= {"seed": np.int64(3), "monitor_train_sample": np.int16(2), "shuffle": np.True_}
        other |= {"min_learning_rate": np.array([0.0001]), "exclude_labels": np.array([], dtype=str)}
        first, second = TrainingSettings(**same), TrainingSettings(**other)
        assert {**second.to_plain(), "min_learning_rate": 0.0001} == first.to_plain()
        assert type(second.mini_batch_size) is int
        result = trainer.train(tmp_path, settings=second)
        assert len(result["train_loss_history"]) == 1

    @pytest.mark.parametrize("method", ["train", "fine_tune", "train_custom"])
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"learning_rate": "0.1"}, "learning_rate must be a number; it is '0.1'"),
            ({"mini_batch_size": 4.5}, r"mini_batch_size must be a whole number; it is 4\.5"),
            ({"max_epochs": 1.5}, r"max_epochs must be a whole number; it is 1\.5"),
            ({"max_epoch": 1}, r"no argument 'max_epoch', .* Did you mean max_epochs\?"),
            ({"plugins": Noted()}, r"plugins must be a list; give plugins=\[Noted"),
            ({"plugins": [Noted]}, r"plugins must be Callbacks or TrainerPlugins; one is .*; give an object, Noted"),
            ({"plugins": "Noted"}, "plugins must be a list"),
            ({"plugins": 3}, "plugins must be a list"),
            ({"plugins": [None]}, "plugins must be Callbacks"),
            ({"sampler": "chunk"}, "sampler must be a sampler"),
            ({"sampler": 3}, "sampler must be a sampler"),
            ({"sampler": Noted}, "sampler must be a sampler"),
            ({"sampler": torch.utils.data.RandomSampler}, "sampler RandomSampler needs arguments"),
            ({"sampler": iter([0])}, "give it a __len__"),
            ({"sampler": [0, 99]}, "sampler must yield positions from 0 to 5; one is 99"),
            ({"sampler": [-1]}, "sampler must yield positions from 0 to 5; one is -1"),
            ({"sampler": [0.5]}, "sampler must yield positions"),
            ({"sampler": []}, "sampler must yield the position of at least one"),
            ({"device": "gpu"}, "gpu"),
            ({"device": "meta"}, "meta"),
            ({"device": 3.5}, "device"),
            ({"device": "cuda:99"}, "'cuda:99' is not available"),
            ({"resume": "yes"}, "resume must be True or False"),
            ({"settings": {"max_epochs": 1}}, "settings must be TrainingSettings"),
            ({"weight_decay": "much"}, "weight_decay must be a number"),
            ({"optimizer": torch.optim.SGD, "nesterov": True}, "cannot be made"),
            ({"optimizer": lambda weights: weights}, "cannot be made"),
            ({"optimizer": lambda weights, lr: None}, "optimizer must make an optimizer"),
            ({"optimizer": torch.optim.SGD([torch.zeros(1)], lr=1.0)}, r"such as torch\.optim\.SGD, not an optimizer"),
            ({"optimizer": "Adamw2"}, r"'Adamw2' is not an optimizer .* Did you mean AdamW\?"),
            ({"min_learning_rate": [0.1, 0.1]}, None),
        ],
        ids=show,
    )
    def test_a_wrong_setting_is_an_error_and_does_not_change_a_finished_run(
        self, options: dict[str, Any], message: str | None, method: str, trainer: ModelTrainer, tmp_path: Path
    ) -> None:
        if message is None:
            if method != "train":
                pytest.skip("the learning rate is not annealed")
            message = "min_learning_rate must be a number or 1 of them"
        (tmp_path / "training.log").write_text("log of a finished run")
        (tmp_path / "best-model.pt").write_bytes(b"its model")
        with pytest.raises(SettingError, match=message):
            getattr(trainer, method)(tmp_path, **options)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
            "training.log": b"log of a finished run",
            "best-model.pt": b"its model",
        }

    @pytest.mark.parametrize("path", [None, 3, "", b"", "a\0b", ["folder"]])
    def test_the_folder_must_be_a_path(self, path: Any, trainer: ModelTrainer) -> None:
        for method in (trainer.train, trainer.fine_tune, trainer.train_custom, trainer.resume):
            with pytest.raises(SettingError, match="base_path must be the path of a folder"):
                method(path)

    def test_a_file_as_base_path_is_an_error(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(TrainingError, match="file"):
            trainer.train(tmp_path / "file")

    def test_swapped_model_and_corpus_are_an_error(self, trainer: ModelTrainer) -> None:
        model: Any = trainer.model
        corpus: Any = trainer.corpus
        with pytest.raises(SettingError, match=r"swapped: call ModelTrainer\(model, corpus\)"):
            ModelTrainer(corpus, model)
        for wrong in (None, "corpus", list(corpus.train), model):
            with pytest.raises(SettingError, match="corpus must be a Corpus"):
                ModelTrainer(model, wrong)
        with pytest.raises(SettingError, match="model must be a Model"):
            ModelTrainer("tagger.pt", corpus)  # type: ignore[arg-type]

    def test_resuming_checks_the_changed_settings(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        trainer.train(tmp_path, max_epochs=1)
        for name, value in (("max_epochs", "2"), ("patience", 0), ("eval_batch_size", 1.5), ("tune_process", "no")):
            with pytest.raises(SettingError, match=name):
                trainer.resume(tmp_path, **{name: value})
        for options in ({"plugins": Noted()}, {"sampler": "chunk"}, {"device": "gpu"}, {"optimizer": "nothing"}):
            with pytest.raises(SettingError):
                trainer.resume(tmp_path, **options)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: ChunkSampler("5"),  # type: ignore[arg-type]
            lambda: ChunkSampler(2.5),  # type: ignore[arg-type]
            lambda: ChunkSampler(True),
            lambda: ChunkSampler(5, -1),
            lambda: ChunkSampler(seed="0"),  # type: ignore[arg-type]
            lambda: ExpandingChunkSampler(None),  # type: ignore[arg-type]
            lambda: ExpandingChunkSampler(0.5),  # type: ignore[arg-type]
            lambda: ImbalancedClassificationDatasetSampler(3),  # type: ignore[arg-type]
            lambda: ImbalancedClassificationDatasetSampler(seed=0.5),  # type: ignore[arg-type]
            lambda: Annealing(factor="0.5"),  # type: ignore[arg-type]
            lambda: Annealing(patience=1.5),  # type: ignore[arg-type]
            lambda: Annealing(restarts=1),  # type: ignore[arg-type]
            lambda: Annealing(min_learning_rate=-1.0),
            lambda: LinearSchedulerPlugin(warmup_fraction="0.1"),  # type: ignore[arg-type]
            lambda: LinearSchedulerPlugin(warmup_fraction=1.0),
            lambda: LinearSchedulerPlugin(warmup_fraction=math.nan),
            lambda: OneCycleSchedulerPlugin(div_factor=0.5),
            lambda: OneCycleSchedulerPlugin(final_div_factor=None),  # type: ignore[arg-type]
            lambda: WeightExtractor("folder", 2.5),  # type: ignore[arg-type]
            lambda: WeightExtractor(None),  # type: ignore[arg-type]
        ],
    )
    def test_samplers_and_callbacks_check_their_arguments(self, make: Callable[[], object]) -> None:
        with pytest.raises(SettingError):
            make()


class TestOptimizers:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("adam", torch.optim.Adam),
            ("ADAM", torch.optim.Adam),
            ("sgd", torch.optim.SGD),
            ("adamw", torch.optim.AdamW),
            ("AdamW", torch.optim.AdamW),
            ("torch.optim.RMSprop", torch.optim.RMSprop),
        ],
    )
    def test_optimizers_are_found_by_name(self, name: str, kind: type, trainer: ModelTrainer, tmp_path: Path) -> None:
        noted = Noted()
        trainer.train(tmp_path, optimizer=name, max_epochs=1, weight_decay=0.5, plugins=[noted])
        assert type(noted.optimizer) is kind
        assert noted.optimizer.param_groups[0]["weight_decay"] == 0.5
        assert trainer.resume(tmp_path, max_epochs=2, plugins=[Noted()])["test_score"] is not None

    def test_a_model_needs_weights_to_train(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        trainer.model.requires_grad_(False)
        with pytest.raises(SettingError, match="no weights to train"):
            trainer.train(tmp_path)


class TestObjects:
    def test_settings_can_be_shared_and_changed(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        settings = TrainingSettings(max_epochs=3, mini_batch_size=2, seed=7)
        one = trainer.train(tmp_path / "one", settings=settings, max_epochs=1)
        assert len(one["train_loss_history"]) == 1
        assert settings.max_epochs == 3

    def test_the_default_seed_is_read_when_training_starts(self) -> None:
        import flairlite

        made_before = TrainingSettings()
        flairlite.set_seed(5)
        assert TrainingSettings.from_options({}, made_before).seed == 5
        assert TrainingSettings.from_options({"seed": 1}, made_before).seed == 1

    def test_a_sampler_is_any_iterable_of_positions_with_a_length(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        class Last(FlairSampler):
            def __iter__(self) -> Iterator[Any]:
                return iter(np.arange(len(self) - 1, -1, -1))  # integers of NumPy

        losses = [
            trainer.train(tmp_path, sampler=sampler, max_epochs=1, learning_rate=1e-12)["train_loss_history"]
            for sampler in ([5, 4, 3, 2, 1, 0], Last())
        ]
        assert len(losses[0]) == len(losses[1]) == 1

    def test_plugins_may_come_from_a_generator(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        noted = [Noted(), Noted()]
        trainer.train(tmp_path, plugins=(plugin for plugin in noted), max_epochs=1)
        assert noted[0].optimizer is noted[1].optimizer

    def test_partial_factories_are_recorded_with_their_options(self) -> None:
        settings = TrainingSettings(optimizer=functools.partial(torch.optim.SGD, momentum=0.5))
        plain = settings.to_plain()["optimizer"]
        assert plain == {"name": "torch.optim.SGD", "options": {"momentum": 0.5}}


def test_errors_are_flairlite_errors() -> None:
    assert issubclass(SettingError, FlairliteError)


class TestAutomaticPrecision:
    @pytest.mark.parametrize(
        ("cpuinfo", "is_fast"),
        [
            ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n\nflags\t: fpu\n", True),
            ("flags\t\t: fpu avx512f amx_bf16 amx_tile\n", True),
            ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", False),
            ("processor\t: 0\nFeatures\t: fp asimd bf16\n", False),  # an ARM processor
            ("", False),
        ],
        ids=["avx512", "amx", "neither", "arm", "nothing"],
    )
    def test_the_flags_of_the_processor_decide(
        self, cpuinfo: str, is_fast: bool, trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
        monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
        trainer.train(tmp_path / "run", max_epochs=0, use_amp="Auto", device="cpu")
        assert json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["use_amp"] is is_fast
        name = "bfloat16" if is_fast else "float32"
        assert f"use_amp='auto' computes in {name} on this device" in (tmp_path / "run" / "training.log").read_text()

    def test_without_flags_torch_is_asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "missing")
        for known, is_fast in (
            ({"avx512_bf16": True, "avx2": True}, True),
            ({"avx512_bf16": False, "cores": 2}, False),
        ):
            monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known, raising=False)
            assert processor.has_fast_bfloat16(torch.device("cpu")) == is_fast
        monkeypatch.delattr(torch.cpu, "get_capabilities")
        assert not processor.has_fast_bfloat16(torch.device("cpu"))

    @needs_bfloat16
    @pytest.mark.parametrize("is_fast", [True, False])
    def test_the_result_is_that_of_the_choice(
        self, is_fast: bool, trainer: ModelTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start = {name: weight.clone() for name, weight in trainer.model.state_dict().items()}
        monkeypatch.setattr(settings_module, "has_fast_bfloat16", lambda device: is_fast)
        histories = []
        for use_amp in ("auto", is_fast):
            trainer.model.load_state_dict(start)
            options: dict[str, Any] = {"max_epochs": 2, "use_amp": use_amp, "seed": 0, "device": "cpu"}
            histories.append(trainer.train(tmp_path / str(use_amp), **options)["train_loss_history"])
        assert histories[0] == histories[1]
        monkeypatch.setattr(settings_module, "has_fast_bfloat16", lambda device: not is_fast)
        again = trainer.resume(tmp_path / "auto", max_epochs=3, device="cpu")["train_loss_history"]
        expected = trainer.resume(tmp_path / str(is_fast), max_epochs=3, device="cpu")["train_loss_history"]
        assert again == expected
