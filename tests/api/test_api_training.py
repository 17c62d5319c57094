"""Test the rows of flair-calls.md about training, plugins, utilities, plots and samplers."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from api_rows import assert_missing, row
from sentences import tagged

import flairlite
from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import FlairliteError, SettingError
from flairlite.models import SequenceTagger
from flairlite.samplers import ChunkSampler, ExpandingChunkSampler, FlairSampler, ImbalancedClassificationDatasetSampler
from flairlite.trainers import ModelTrainer
from flairlite.trainers.plugins import (
    AnnealingPlugin,
    BasePlugin,
    CheckpointPlugin,
    ClearmlLoggerPlugin,
    HookHandle,
    LinearSchedulerPlugin,
    LogFilePlugin,
    MetricHistoryPlugin,
    MetricName,
    MetricRecord,
    Pluggable,
    TensorboardLogger,
    TrainerPlugin,
    TrainingInterrupt,
    WandbLogger,
    WeightExtractorPlugin,
)
from flairlite.training_utils import (
    CharEntity,
    Result,
    TokenEntity,
    WeightExtractor,
    add_file_handler,
    convert_labels_to_one_hot,
    create_labeled_sentence_from_entity_offsets,
    create_labeled_sentence_from_tokens,
    identify_dynamic_embeddings,
    init_output_file,
    log_line,
    store_embeddings,
)
from flairlite.visual.ner_html import render_ner_html
from flairlite.visual.training_curves import Plotter


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


def make_trainer() -> ModelTrainer:
    def split() -> list[Sentence]:
        return [tagged("the/DET dog/NOUN sleeps/VERB") for _ in range(4)]

    corpus = Corpus(split(), split(), split())
    vectors = WordEmbeddings(WordVectors(["the", "dog", "sleeps"], np.eye(3)))
    tagger = SequenceTagger(vectors, corpus.make_label_dictionary("pos"), "pos", hidden_size=4, seed=0)
    return ModelTrainer(tagger, corpus)


@pytest.fixture
def trainer() -> ModelTrainer:
    return make_trainer()


def train(trainer: ModelTrainer, folder: Path, *plugins: Any, **options: Any) -> dict[str, Any]:
    return trainer.train(folder, **{"max_epochs": 2, "mini_batch_size": 2, **options}, plugins=list(plugins))


# Trainer


@row("`ModelTrainer`, `ModelTrainer.train`")
def test_train(trainer: ModelTrainer, tmp_path: Path) -> None:
    result = train(trainer, tmp_path, learning_rate=0.1)
    assert set(result) >= {"test_score", "dev_score_history", "train_loss_history", "dev_loss_history"}
    files = {path.name for path in tmp_path.iterdir()}
    assert {"best-model.pt", "final-model.pt", "training.log", "loss.tsv", "dev.tsv", "test.tsv"} <= files


@row("`ModelTrainer.train` with all its arguments")
def test_all_arguments(trainer: ModelTrainer, tmp_path: Path) -> None:
    train(
        trainer,
        tmp_path,
        anneal_factor=0.5,
        patience=3,
        min_learning_rate=0.0001,
        initial_extra_patience=1,
        anneal_with_restarts=True,
        learning_rate=0.1,
        decoder_learning_rate=0.2,
        eval_batch_size=64,
        mini_batch_chunk_size=1,
        optimizer=torch.optim.SGD,
        train_with_dev=False,
        train_with_test=False,
        reduce_transformer_vocab=False,
        main_evaluation_metric=("macro avg", "f1-score"),
        monitor_test=True,
        monitor_train_sample=0.5,
        max_grad_norm=1.0,
        use_final_model_for_eval=False,
        gold_label_dictionary_for_eval=None,
        exclude_labels=["VERB"],
        sampler=None,
        shuffle=True,
        shuffle_first_epoch=False,
        embeddings_storage_mode="cpu",
        epoch=0,
        save_final_model=True,
        save_optimizer_state=False,
        save_model_each_k_epochs=1,
        create_file_logs=True,
        create_loss_file=True,
        write_weights=True,
        use_amp=False,
        multi_gpu=False,
        attach_default_scheduler=True,
        weight_decay=0.01,
    )
    assert (tmp_path / "model_epoch_2.pt").is_file()


@row("`ModelTrainer.train` with epoch, save_optimizer_state, reduce_transformer_vocab, gold_label_dictionary_for_eval")
def test_unsupported_arguments(trainer: ModelTrainer, tmp_path: Path) -> None:
    unsupported: dict[str, Any] = {
        "epoch": 3,
        "save_optimizer_state": True,
        "reduce_transformer_vocab": True,
        "gold_label_dictionary_for_eval": Dictionary(),
    }
    for name, value in unsupported.items():
        with pytest.raises(SettingError, match=f"train has no {name}: "):
            train(trainer, tmp_path, **{name: value})
    train(trainer, tmp_path, max_epochs=1)
    assert len(trainer.resume(tmp_path, max_epochs=2)["train_loss_history"]) == 2


@row("`ModelTrainer.fine_tune`")
def test_fine_tune(trainer: ModelTrainer, tmp_path: Path) -> None:
    trainer.fine_tune(tmp_path, max_epochs=1, warmup_fraction=0.1, learning_rate=5e-5)
    assert "LinearScheduler | warmup_fraction: '0.1'" in (tmp_path / "training.log").read_text()


@row("`ModelTrainer.train_custom`")
def test_train_custom(trainer: ModelTrainer, tmp_path: Path) -> None:
    trainer.train_custom(tmp_path, max_epochs=1, plugins=[LinearSchedulerPlugin(0.5)])
    assert (tmp_path / "final-model.pt").is_file()


@row("`ModelTrainer.reset_training_attributes`, `.check_for_and_delete_previous_best_models`, `.get_batch_steps`")
def test_internal_methods_of_the_trainer() -> None:
    names = ("reset_training_attributes", "check_for_and_delete_previous_best_models", "get_batch_steps")
    assert_missing("flairlite.trainers", *(f"ModelTrainer.{name}" for name in names))


# Plugins


@row("`TrainerPlugin`, `.trainer`, `.model`, `.corpus`, `BasePlugin.hook`")
def test_custom_plugin(trainer: ModelTrainer, tmp_path: Path) -> None:
    seen: list[Any] = []

    class Custom(TrainerPlugin):
        @TrainerPlugin.hook
        def after_training_epoch(self, epoch: int, **kw: Any) -> None:
            seen.append((epoch, self.model, self.corpus))

        @TrainerPlugin.hook("before_training_batch", "after_training_batch")
        def batch(self, batch: list[Sentence], batch_no: int, **kw: Any) -> None:
            assert isinstance(batch[0], Sentence)

    train(trainer, tmp_path, Custom())
    assert seen == [(1, trainer.model, trainer.corpus), (2, trainer.model, trainer.corpus)]


@row(
    "`BasePlugin`, `.attach_to`, `.detach`, `.mark_func_as_hook`, `.pluggable`, `.get_state`, "
    "`.attach_to_all_processes`"
)
def test_base_plugin(trainer: ModelTrainer) -> None:
    plugin = MetricHistoryPlugin()
    plugin.attach_to(trainer)
    assert plugin.pluggable is trainer
    assert plugin.get_state()["__cls__"].endswith("MetricHistoryPlugin")
    assert plugin.attach_to_all_processes
    assert not WandbLogger(SimpleNamespace(log=print)).attach_to_all_processes
    plugin.detach()
    assert plugin.pluggable is None
    assert BasePlugin.mark_func_as_hook(test_base_plugin, "a") is test_base_plugin


@row("`Pluggable`, `.plugins`, `.append_plugin`, `.validate_event`, `.register_hook`, `.dispatch`, `.remove_hook`")
def test_pluggable(trainer: ModelTrainer) -> None:
    called: list[int] = []
    handle = trainer.register_hook(lambda epoch: called.append(epoch), "after_training_epoch")
    trainer.dispatch("after_training_epoch", epoch=3)
    trainer.remove_hook(handle)
    trainer.dispatch("after_training_epoch", epoch=4)
    assert called == [3]
    with pytest.raises(SettingError, match="no event 'unknown'"):
        trainer.validate_event("unknown")
    pluggable = Pluggable(plugins=[MetricHistoryPlugin])
    assert len(pluggable.plugins) == 1
    pluggable.append_plugin(MetricHistoryPlugin())
    assert len(pluggable.plugins) == 2


@row("`HookHandle`, `.func_name`, `.events`, `.remove`")
def test_hook_handle(trainer: ModelTrainer) -> None:
    handle = trainer.register_hook(make_trainer, "after_training")
    assert isinstance(handle, HookHandle)
    assert (handle.func_name, tuple(handle.events)) == ("make_trainer", ("after_training",))
    handle.remove()
    assert not trainer.has_hook("after_training")


@row("`HookHandle.id`")
def test_hook_handle_id() -> None:
    assert_missing("flairlite.trainers.plugins", "HookHandle.id")


@row("`TrainingInterrupt`")
def test_training_interrupt(trainer: ModelTrainer, tmp_path: Path) -> None:
    class StopAfterFirstEpoch(TrainerPlugin):
        @TrainerPlugin.hook
        def after_evaluation(self, **kw: Any) -> None:
            raise TrainingInterrupt("enough")

    assert len(train(trainer, tmp_path, StopAfterFirstEpoch(), max_epochs=9)["train_loss_history"]) == 1


@row(
    "`MetricName`, `MetricRecord`, `.joined_name`, `.scalar`, `.scalar_list`, `.string`, `.histogram`, `.is_type`, "
    "`.is_scalar`, `.is_scalar_list`, `.is_string`, `.is_histogram`"
)
def test_metric_record() -> None:
    record = MetricRecord.scalar(("dev", "loss"), 0.5, global_step=1)
    assert record.name == MetricName("dev/loss") == ("dev", "loss")
    assert (record.joined_name, record.is_scalar, record.is_type(record.typ)) == ("dev/loss", True, True)
    assert MetricRecord.scalar_list("a", [1], 0).is_scalar_list
    assert MetricRecord.string("a", "b", 0).is_string
    assert MetricRecord.histogram("a", [1], 0).is_histogram


@row("`AnnealingPlugin`")
def test_annealing_plugin(trainer: ModelTrainer, tmp_path: Path) -> None:
    plugin = AnnealingPlugin(tmp_path, 0.0001, 0.5, 3, 0, False)
    train(trainer, tmp_path, plugin)
    assert (tmp_path / "training.log").read_text().count("AnnealOnPlateau") == 1


@row("`LinearSchedulerPlugin`")
def test_linear_scheduler_plugin(trainer: ModelTrainer, tmp_path: Path) -> None:
    train(trainer, tmp_path, LinearSchedulerPlugin(warmup_fraction=0.1))
    assert "annealed" not in (tmp_path / "training.log").read_text()


@row("`CheckpointPlugin`")
def test_checkpoint_plugin(trainer: ModelTrainer, tmp_path: Path) -> None:
    train(trainer, tmp_path, CheckpointPlugin(1, False, tmp_path))
    assert (tmp_path / "model_epoch_1.pt").is_file()


@row("`WeightExtractorPlugin`")
def test_weight_extractor_plugin(trainer: ModelTrainer, tmp_path: Path) -> None:
    train(trainer, tmp_path, WeightExtractorPlugin(tmp_path))
    assert (tmp_path / "weights.txt").is_file()


@row("`LogFilePlugin`")
def test_log_file_plugin(trainer: ModelTrainer, tmp_path: Path) -> None:
    train(trainer, tmp_path / "run", LogFilePlugin(tmp_path / "logs"))
    assert "EPOCH 2 done" in (tmp_path / "logs" / "training.log").read_text()


@row("`LossFilePlugin`")
def test_loss_file_plugin(trainer: ModelTrainer, tmp_path: Path) -> None:
    assert_missing("flairlite.trainers.plugins", "LossFilePlugin")
    train(trainer, tmp_path, create_loss_file=False)
    assert not (tmp_path / "loss.tsv").exists()


@row("`MetricHistoryPlugin`")
def test_metric_history_plugin(trainer: ModelTrainer, tmp_path: Path) -> None:
    plugin = MetricHistoryPlugin({("dev", "macro avg", "recall"): "recalls"})
    assert len(train(trainer, tmp_path, plugin)["recalls"]) == 2


@row("`TensorboardLogger`, `WandbLogger`, `ClearmlLoggerPlugin`, `ClearmlLoggerPlugin.logger`")
def test_loggers(trainer: ModelTrainer, tmp_path: Path) -> None:
    class Service:  # wandb, a task of ClearML and its logger
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def log(self, metrics: dict[str, Any]) -> None:
            self.calls.append(metrics)

        def get_logger(self) -> Service:
            return self

        def report_scalar(self, *arguments: Any) -> None:
            self.calls.append(arguments)

        def report_text(self, text: str, print_console: bool) -> None:
            self.calls.append(text)

    wandb, task = Service(), Service()
    train(trainer, tmp_path, WandbLogger(wandb, emit_alerts=False), ClearmlLoggerPlugin(task))
    assert any("dev/loss" in metrics for metrics in wandb.calls)
    assert ClearmlLoggerPlugin(task).logger is task
    assert task.calls
    assert issubclass(TensorboardLogger, TrainerPlugin)


@row("`WandbLoggingHandler`, `DeepNCMPlugin`, `ReduceTransformerVocabPlugin`, `get_transformer_embeddings`")
def test_other_plugins() -> None:
    assert_missing("flairlite.trainers.plugins", "DeepNCMPlugin", "ReduceTransformerVocabPlugin")


# Training_utils


@row("`Result`, `Result.loss`")
def test_result(trainer: ModelTrainer) -> None:
    assert trainer.corpus.dev
    result = trainer.model.evaluate(trainer.corpus.dev)
    assert isinstance(result, Result)
    assert result.scores["loss"] == result.loss
    assert result.scores[("micro avg", "f1-score")] == result.main_score


@row("`convert_labels_to_one_hot`")
def test_convert_labels_to_one_hot() -> None:
    labels = Dictionary.from_items(["class-1", "class-2", "class-3"])
    assert convert_labels_to_one_hot([["class-2"]], labels) == [[0, 1, 0]]


@row("`store_embeddings`, `identify_dynamic_embeddings`")
def test_store_embeddings() -> None:
    sentence = Sentence("a b")
    sentence.set_embedding("static", torch.ones(1))
    sentence.set_embedding("dynamic", torch.ones(1, requires_grad=True))
    assert identify_dynamic_embeddings([sentence]) == ["dynamic"]
    store_embeddings([sentence], "cpu")
    assert sentence.get_embedding(["static"]).tolist() == [1]
    store_embeddings([sentence], "none")
    assert identify_dynamic_embeddings([sentence]) is None


@row(
    "`create_labeled_sentence_from_tokens`, `create_labeled_sentence_from_entity_offsets`, `TokenEntity`, `CharEntity`"
)
def test_labeled_sentences() -> None:
    from_tokens = create_labeled_sentence_from_tokens(["I", "see", "Rome"], [TokenEntity(2, 3, "LOC")])
    from_text = create_labeled_sentence_from_entity_offsets("I see Rome", [CharEntity(6, 10, "LOC", "Rome")])
    for sentence in (from_tokens, from_text):
        assert [(span.text, span.tag) for span in sentence.get_spans("ner")] == [("Rome", "LOC")]


@row("`WeightExtractor`, `.extract_weights`")
def test_weight_extractor(trainer: ModelTrainer, tmp_path: Path) -> None:
    WeightExtractor(tmp_path, number_of_weights=2).extract_weights(trainer.model.state_dict(), 1)
    assert (tmp_path / "weights.txt").read_text().startswith("1\t")


@row("`init_output_file`, `add_file_handler`, `log_line`")
def test_log_utilities(tmp_path: Path) -> None:
    path = init_output_file(tmp_path / "new", "file.log")
    logger = logging.getLogger("logger of this test")
    logger.setLevel(logging.INFO)
    handler = add_file_handler(logger, path)
    log_line(logger)
    logger.removeHandler(handler)
    handler.close()
    assert path.read_text().endswith("-" * 100 + "\n")


@row("`AnnealOnPlateau`, `EvaluationMetric`, `MetricRegression`")
def test_other_utilities() -> None:
    assert_missing("flairlite.training_utils", "AnnealOnPlateau", "EvaluationMetric", "MetricRegression")


# Curves, samplers, optim


@row("`Plotter`, `.plot_training_curves`, `.plot_weights`")
def test_plotter(trainer: ModelTrainer, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    train(trainer, tmp_path, write_weights=True)
    Plotter().plot_training_curves(tmp_path / "loss.tsv")
    Plotter().plot_weights(tmp_path / "weights.txt")
    assert {"training.png", "weights.png"} <= {path.name for path in tmp_path.iterdir()}


@row("`render_ner_html`")
def test_render_ner_html() -> None:
    sentence = Sentence("George Washington lived.")
    sentence[0:2].add_label("ner", "PER")
    page = render_ner_html([sentence], title="T", colors={"PER": "#fff"}, default_color="#ddd", label_name="ner")
    assert "George Washington" in page
    assert "background: #fff" in page
    assert "<html" not in render_ner_html(sentence, wrap_page=False)


@row("`split_to_spans`")
def test_split_to_spans() -> None:
    assert_missing("flairlite.visual.ner_html", "split_to_spans")


@row("`Plotter.plot_learning_rate`")
def test_plot_learning_rate(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    rows = "EPOCH\tTIMESTAMP\tLEARNING_RATE\tTRAIN_LOSS\n1\t10:00:00\t0.1\t2.0\n2\t10:00:01\t0.2\t1.0\n"
    (tmp_path / "loss.tsv").write_text(rows, encoding="utf-8")
    Plotter().plot_learning_rate(tmp_path / "loss.tsv", skip_first=0, skip_last=0)
    assert list(tmp_path.glob("*.png"))


@row(
    "`FlairSampler`, `.set_dataset`, `ImbalancedClassificationDatasetSampler`, `.set_dataset`, `ChunkSampler`, "
    "`ExpandingChunkSampler`"
)
def test_samplers(trainer: ModelTrainer, tmp_path: Path) -> None:
    data = [Sentence(f"w{index}").add_label("topic", "a") for index in range(7)]
    for sampler in (ChunkSampler(2, 1), ExpandingChunkSampler(2), ImbalancedClassificationDatasetSampler()):
        assert isinstance(sampler, FlairSampler)
        sampler.set_dataset(data)
        assert len(list(sampler)) == 7
    train(trainer, tmp_path, sampler=ChunkSampler)


@row("`LinearSchedulerWithWarmup`, `SGDW`, `ExpAnnealLR`, `ReduceLRWDOnPlateau`")
def test_optimizers_and_schedules() -> None:
    assert not hasattr(flairlite, "optim")
    with pytest.raises(FlairliteError):
        LinearSchedulerPlugin(warmup_fraction=2)


# Several processes


@row("`launch_distributed`")
def test_launch_distributed() -> None:
    assert flairlite.distributed_utils.launch_distributed(sorted, [2, 1], num_processes=1, reverse=True) == [2, 1]


@row("`is_main_process`")
def test_is_main_process() -> None:
    assert flairlite.distributed_utils.is_main_process()


@row("`aggregate`, `validate_corpus_same_each_process`")
def test_internal_functions_of_processes() -> None:
    assert_missing("flairlite.distributed_utils", "aggregate", "validate_corpus_same_each_process")
