"""The arguments of `train`, `fine_tune` and `train_custom` beside the plain ones: each works, or says what to do."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parameter_ids import show
from sentences import tagged

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import LabelError, SettingError
from flairlite.models import SequenceTagger
from flairlite.samplers import ChunkSampler, ExpandingChunkSampler, FlairSampler, ImbalancedClassificationDatasetSampler
from flairlite.storage.run_files import read_weights_table
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.batch_order import BatchOrder
from flairlite.trainers.options import OptimizerOptions, TrainingOptions
from flairlite.trainers.plugins import AnnealingPlugin, LinearSchedulerPlugin
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.splits import draw_sample

WORDS = ["the", "dog", "sleeps", "now"]
TEXTS = ["the/DET dog/NOUN sleeps/VERB", "the/DET dog/NOUN", "sleeps/VERB now/ADV", "dog/NOUN"]

State = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


def sentences(count: int) -> list[Sentence]:
    return [tagged(TEXTS[number % 4]) for number in range(count)]


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(sentences(12), sentences(4), sentences(3))


def make_trainer(corpus: Corpus, **options: Any) -> ModelTrainer:
    embeddings = WordEmbeddings(WordVectors(WORDS, np.eye(4)), fine_tune=options.pop("fine_tune", False))
    whole = Corpus(sentences(4)).make_label_dictionary("pos")
    tagger = SequenceTagger(embeddings, whole, "pos", hidden_size=4, seed=0, word_dropout=0.0, **options)
    return ModelTrainer(tagger, corpus)


@pytest.fixture
def trainer(corpus: Corpus) -> ModelTrainer:
    return make_trainer(corpus)


def train(trainer: ModelTrainer, folder: Path, **options: Any) -> dict[str, Any]:
    return trainer.train(folder, **{"max_epochs": 2, "mini_batch_size": 4, "seed": 0, **options})


def state_of(trainer: ModelTrainer) -> State:
    return {name: weight.clone() for name, weight in trainer.model.state_dict().items()}


def same(one: State, other: State) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


class Seen(Callback):
    """Notes the sentences of each batch and the optimizer's groups."""

    def __init__(self) -> None:
        self.batches: list[list[Sentence]] = []
        self.rates: list[list[float]] = []
        self.optimizer: Any = None
        self.norms: list[float | None] = []

    def on_train_begin(self, state: TrainingState) -> None:
        self.optimizer = state.optimizer

    def on_batch_end(self, state: TrainingState) -> None:
        self.batches.append([state.sentences[place] for place in state.indices.tolist()])
        self.rates.append([group["lr"] for group in state.optimizer.param_groups])
        gradients = [weight.grad for weight in state.model.parameters() if weight.grad is not None]
        self.norms.append(None if state.gradient_norm is None else float(state.gradient_norm))
        assert not gradients


class TestWhole:
    def test_each_setting_is_an_argument(self) -> None:
        arguments = inspect.signature(ModelTrainer.train).parameters
        settings = {field.name for field in dataclasses.fields(TrainingSettings)}
        assert settings - set(arguments) == set()

    def test_each_argument_of_train_is_documented(self) -> None:
        described = f"{inspect.getdoc(ModelTrainer.train)}\n{inspect.getdoc(TrainingSettings)}"
        for name in inspect.signature(ModelTrainer.train).parameters:
            assert name == "self" or f"\n    {name}: " in described, name

    def test_type_checkers_know_each_setting_with_its_type(self) -> None:
        typed = {**TrainingOptions.__annotations__}
        for field in dataclasses.fields(TrainingSettings):
            assert typed.pop(field.name).__forward_arg__ == field.type
        assert set(typed) == set(OptimizerOptions.__annotations__)

    def test_settings_survive_conversion_to_plain_values(self) -> None:
        kept: list[TrainingSettings] = []

        class Keep(ModelTrainer):
            def _run(self, base_path: Path, settings: TrainingSettings, *rest: Any) -> dict[str, Any]:
                kept.append(settings)
                return {}

        trainer = Keep(make_trainer(Corpus(sentences(4))).model, Corpus(sentences(4)))
        options: dict[str, Any] = {"exclude_labels": ["X"], "min_learning_rate": [0.1, 0.2], "momentum": 0.9}
        trainer.train("nowhere", **options)
        again = TrainingSettings.from_plain(kept[0].to_plain())
        assert again.to_plain() == kept[0].to_plain()
        assert (again.exclude_labels, again.min_learning_rate) == (("X",), (0.1, 0.2))


class TestSteps:
    def test_chunks_of_a_batch_give_the_gradients_of_the_whole(self, corpus: Corpus, tmp_path: Path) -> None:
        states, losses = [], []
        for chunk in (None, 1, 3, 99):
            trainer = make_trainer(corpus, locked_dropout=0.0)
            losses.append(train(trainer, tmp_path, mini_batch_chunk_size=chunk)["train_loss_history"])
            states.append(state_of(trainer))
        for loss, state in zip(losses[1:], states[1:], strict=True):
            assert loss == pytest.approx(losses[0], rel=1e-5)
            for name, weight in state.items():
                torch.testing.assert_close(weight, states[0][name], rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("norm", [5.0, 0.01, None])
    def test_gradients_are_clipped_to_the_maximum_norm(
        self, norm: float | None, corpus: Corpus, tmp_path: Path
    ) -> None:
        trainer, seen = make_trainer(corpus), Seen()
        before = state_of(trainer)
        train(trainer, tmp_path, max_grad_norm=norm, max_epochs=1, mini_batch_size=12, plugins=[seen])
        change = torch.cat([(weight - before[name]).flatten() for name, weight in state_of(trainer).items()]).norm()
        assert (seen.norms[0] is None) == (norm is None)
        if seen.norms[0] is not None and norm is not None:
            assert float(change) == pytest.approx(0.1 * min(norm, seen.norms[0]), rel=1e-3)
        else:
            assert float(change) > 0.5  # with the sum of the loss, gradients are long

    def test_the_decoder_can_have_its_own_learning_rate(self, corpus: Corpus, tmp_path: Path) -> None:
        trainer, seen = make_trainer(corpus, fine_tune=True), Seen()
        train(trainer, tmp_path, learning_rate=0.01, decoder_learning_rate=0.2, plugins=[seen], max_epochs=1)
        assert seen.rates[0] == [0.2, 0.01]
        embedded = {id(weight) for weight in trainer.model.embeddings.parameters()}
        groups = [{id(weight) for weight in group["params"]} for group in seen.optimizer.param_groups]
        assert groups == [{id(weight) for weight in trainer.model.parameters()} - embedded, embedded]
        assert "- lr: 0.200000,0.010000" in (tmp_path / "training.log").read_text()

    def test_the_decoder_rate_is_the_only_one_with_fixed_embeddings(
        self, trainer: ModelTrainer, tmp_path: Path
    ) -> None:
        seen = Seen()
        train(trainer, tmp_path, learning_rate=0.01, decoder_learning_rate=0.2, plugins=[seen], max_epochs=1)
        assert seen.rates[0] == [0.2]

    def test_options_are_passed_to_the_optimizer(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        seen = Seen()
        train(trainer, tmp_path, plugins=[seen], momentum=0.9, weight_decay=0.01, nesterov=True)
        group = seen.optimizer.param_groups[0]
        assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 0.01, True)
        train(trainer, tmp_path, plugins=[seen], optimizer=torch.optim.Adam, betas=(0.8, 0.9))
        assert seen.optimizer.param_groups[0]["betas"] == (0.8, 0.9)


class TestSchedules:
    def test_annealing_can_be_disabled(self, corpus: Corpus, tmp_path: Path) -> None:
        options: dict[str, Any] = {"max_epochs": 6, "patience": 1, "learning_rate": 1e-9, "min_learning_rate": 1e-15}
        rates = []
        for attached in (True, False):
            seen = Seen()
            trainer = make_trainer(corpus)
            train(trainer, tmp_path, attach_default_scheduler=attached, plugins=[seen], **options)
            rates.append({rate for (rate,) in seen.rates})
            seen = Seen()
        assert len(rates[0]) > 1
        assert rates[1] == {1e-9}
        seen = Seen()
        make_trainer(corpus).train_custom(tmp_path, plugins=[seen], **options)
        assert {rate for (rate,) in seen.rates} == {1e-9}

    def test_extra_patience_applies_to_the_first_annealing(self, corpus: Corpus, tmp_path: Path) -> None:
        seen = Seen()
        options: dict[str, Any] = {"patience": 1, "initial_extra_patience": 2, "learning_rate": 1e-9}
        trainer = make_trainer(corpus)
        train(trainer, tmp_path, max_epochs=6, mini_batch_size=12, min_learning_rate=0.0, plugins=[seen], **options)
        assert [rate for (rate,) in seen.rates] == pytest.approx([1e-9] * 4 + [5e-10, 2.5e-10])

    def test_fine_tuning_warms_up_and_decays(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        seen = Seen()
        result = trainer.fine_tune(tmp_path, max_epochs=2, warmup_fraction=0.5, plugins=[seen], seed=0)
        steps = [rate for (rate,) in seen.rates]  # those of the next steps
        assert steps == pytest.approx([5e-5 * part for part in (2 / 3, 1, 1, 2 / 3, 1 / 3, 1 / 3)])
        assert isinstance(seen.optimizer, torch.optim.AdamW)
        assert [sum(map(len, seen.batches[start : start + 3])) for start in (0, 3)] == [12, 12]
        assert not (tmp_path / "best-model.pt").exists()
        assert result["test_score"] is not None

    def test_fine_tuning_can_use_another_schedule_or_none(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        for options in ({"plugins": [AnnealingPlugin(tmp_path)]}, {"attach_default_scheduler": False}):
            seen = Seen()
            plugins = [*options.pop("plugins", []), seen]
            trainer.fine_tune(tmp_path, max_epochs=1, plugins=plugins, **options)
            assert {rate for (rate,) in seen.rates} == {5e-5}

    def test_the_schedule_of_a_plugin_replaces_the_default(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path, plugins=[LinearSchedulerPlugin(0.1)])
        text = (tmp_path / "training.log").read_text()
        assert " - LinearScheduler | warmup_fraction: '0.1'" in text
        assert "AnnealOnPlateau" not in text


class TestSplits:
    def test_training_on_test_skips_the_final_evaluation(
        self, trainer: ModelTrainer, corpus: Corpus, tmp_path: Path
    ) -> None:
        seen = Seen()
        result = train(trainer, tmp_path, train_with_test=True, train_with_dev=True, max_epochs=1, plugins=[seen])
        visited = {id(sentence) for batch in seen.batches for sentence in batch}
        assert visited == set(map(id, corpus.get_all_sentences()))
        assert result["test_score"] is None
        assert not (tmp_path / "test.tsv").exists()

    def test_a_sample_of_train_is_evaluated(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path, monitor_train_sample=0.5)
        head, *rows = [line.split("\t") for line in (tmp_path / "loss.tsv").read_text().splitlines()]
        figures = dict(zip(head, rows[-1], strict=True))
        assert 0 <= float(figures["TRAIN_SAMPLE_F1"]) <= 1
        assert (tmp_path / "train_sample.tsv").read_text().count("\n\n") == 6
        assert "TRAIN_SAMPLE : loss" in (tmp_path / "training.log").read_text()

    def test_a_sample_is_a_number_or_a_fraction(self) -> None:
        texts = [*sentences(9), Sentence("")]
        lengths = torch.tensor([len(sentence) for sentence in texts])

        def draw(amount: float, seed: int = 0) -> list[int]:
            return list(map(id, draw_sample(texts, lengths, amount, seed)))

        assert len(draw(4)) == 4
        assert len(draw(1 / 3)) == 3
        assert len(draw(1.0)) == 9
        assert len(draw(0.001)) == 1
        assert draw(4, seed=1) == draw(4, seed=1)
        chosen = {tuple(draw(4, seed)) for seed in range(5)}
        assert len(chosen) > 1
        for amount in (10, 1.5):
            with pytest.raises(SettingError, match="monitor_train_sample must be a part from 0 to 1"):
                draw(amount)

    def test_the_final_model_can_be_evaluated_instead_of_the_best(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        class Forget(Callback):
            def on_epoch_trained(self, state: TrainingState) -> None:
                if state.epoch == 2:
                    for weight in state.model.parameters():
                        weight.data.zero_()

        train(trainer, tmp_path, use_final_model_for_eval=True, plugins=[Forget()])
        assert not (tmp_path / "best-model.pt").exists()
        assert all(not weight.any() for weight in trainer.model.parameters())
        assert "Final evaluation on model after last epoch" in (tmp_path / "training.log").read_text()

    def test_labels_can_be_left_out_of_evaluations(self, trainer: ModelTrainer, corpus: Corpus, tmp_path: Path) -> None:
        result = train(trainer, tmp_path, exclude_labels=["NOUN"])
        assert corpus.test
        assert result["test_score"] == trainer.model.evaluate(corpus.test, exclude_labels=["NOUN"]).main_score
        report = (tmp_path / "training.log").read_text().partition("Results:")[2]
        assert "DET" in report
        assert "NOUN" not in report


class Backwards(FlairSampler):
    """Yields the last sentence first."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self) - 1, -1, -1))


class TestOrder:
    def test_the_first_epoch_can_keep_the_order(self, trainer: ModelTrainer, corpus: Corpus, tmp_path: Path) -> None:
        seen = Seen()
        train(trainer, tmp_path, shuffle_first_epoch=False, bucketing=False, plugins=[seen])
        places = {id(sentence): place for place, sentence in enumerate(corpus.train or ())}
        visited = [places[id(sentence)] for batch in seen.batches for sentence in batch]
        assert visited[:12] == list(range(12))
        assert visited[12:] != list(range(12))
        assert sorted(visited[12:]) == list(range(12))

    @pytest.mark.parametrize("sampler", [Backwards(), Backwards], ids=["object", "class"])
    def test_a_sampler_determines_the_order(
        self, sampler: Any, trainer: ModelTrainer, corpus: Corpus, tmp_path: Path
    ) -> None:
        seen = Seen()
        train(trainer, tmp_path, sampler=sampler, plugins=[seen])
        visited = [sentence for batch in seen.batches for sentence in batch]
        assert [len(batch) for batch in seen.batches] == [4] * 6
        expected = list(reversed(corpus.train or ())) * 2
        assert list(map(id, visited)) == list(map(id, expected))

    def test_a_sampler_needs_a_length(self) -> None:
        class Endless(torch.utils.data.Sampler[int]):
            def __iter__(self) -> Iterator[int]:
                return iter(())

        order = BatchOrder(torch.ones(3).long(), 2, 0, shuffle=True, bucketing=True, sampler=Endless())
        with pytest.raises(SettingError, match="give it a __len__"):
            _ = order.expected_length

    @pytest.mark.parametrize(
        "make",
        [ChunkSampler, ExpandingChunkSampler, lambda **options: ImbalancedClassificationDatasetSampler(**options)],
    )
    def test_the_order_continues_from_its_saved_state(self, make: Callable[..., FlairSampler]) -> None:
        data = [sentence.add_label("topic", "a") for sentence in sentences(20)]

        def order() -> BatchOrder:
            sampler = make(seed=3)
            sampler.set_dataset(data)
            return BatchOrder(torch.ones(20).long(), 6, 0, shuffle=True, bucketing=True, sampler=sampler)

        def plain(batches: list[torch.Tensor]) -> list[list[int]]:
            return [batch.tolist() for batch in batches]

        whole = order()
        epochs = [plain(whole.draw(epoch)) for epoch in range(1, 6)]
        assert epochs[0] != epochs[1]
        begun = order()
        for epoch in (1, 2):
            begun.draw(epoch)
        within, after = begun.state_dict(is_in_epoch=True), begun.state_dict(is_in_epoch=False)
        one, other = order(), order()
        one.load_state_dict(within)
        assert [plain(one.draw(2, again=True)), *(plain(one.draw(epoch)) for epoch in (3, 4, 5))] == epochs[1:]
        other.load_state_dict(after)
        assert [plain(other.draw(epoch)) for epoch in (3, 4, 5)] == epochs[2:]

    @pytest.mark.parametrize("label_type", ["typo", "pos", "ner", None])
    def test_a_sampler_by_class_refuses_data_without_labels_of_sentences(self, label_type: str | None) -> None:
        data = [Sentence(["w", "v"]) for _ in range(3)]
        data[0].set_token_labels("pos", ["A", "B"])
        data[1].set_span_labels("ner", [(0, 1, "PER")])
        sampler = ImbalancedClassificationDatasetSampler(label_type)
        with pytest.raises(LabelError, match=r"none has a .*label; .* of the types: ner, pos\. Give"):
            sampler.set_dataset(data)

    def test_balanced_sampling_uses_labels_of_sentences(self) -> None:
        data = [Sentence(["w"]).add_label("topic", "rare" if index == 0 else "common") for index in range(4)]
        for index, sentence in enumerate(data):
            sentence.set_token_labels("pos", ["AB"[index % 2]])
        sampler = ImbalancedClassificationDatasetSampler()
        sampler.set_dataset(data)
        assert sampler.weights.tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])

    def test_rare_classes_are_sampled_as_often_as_common_ones(self) -> None:
        data = [Sentence(f"word {number}") for number in range(400)]
        for number, sentence in enumerate(data[:-1]):
            sentence.add_label("topic", "rare" if number < 10 else "common")
        sampler = ImbalancedClassificationDatasetSampler("topic", seed=1)
        sampler.set_dataset(data)
        drawn = Counter(
            label.value if (label := next(iter(data[place].get_labels("topic")), None)) else None
            for _ in range(10)
            for place in sampler
        )
        assert len(sampler) == 400
        for name in ("rare", "common", None):
            assert drawn[name] == pytest.approx(4000 / 3, rel=0.1)

    def test_blocks_keep_their_order(self) -> None:
        sampler = ChunkSampler(block_size=4, plus_window=0, seed=0)
        sampler.set_dataset(sentences(20))
        drawn = list(sampler)
        assert sorted(drawn) == list(range(20))
        blocks = [drawn[start : start + 4] for start in range(0, 20, 4)]
        assert all(block == list(range(block[0], block[0] + 4)) for block in blocks)
        assert drawn != list(range(20))
        with pytest.raises(SettingError, match="block_size must be at least 1"):
            ChunkSampler(0)

    def test_expanding_blocks_grow(self) -> None:
        sampler = ExpandingChunkSampler(step=2, seed=0)
        sampler.set_dataset(sentences(20))
        sizes = []
        for _ in range(6):
            sizes.append(sampler.block_size)
            assert sorted(sampler) == list(range(20))
        assert sizes == [1, 1, 2, 2, 3, 3]
        with pytest.raises(SettingError, match="step must be at least 1"):
            ExpandingChunkSampler(0)


class TestFiles:
    def test_files_can_be_disabled(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path, create_file_logs=False, create_loss_file=False, save_final_model=False)
        names = {path.name for path in tmp_path.iterdir()}
        assert names & {"training.log", "loss.tsv", "final-model.pt"} == set()
        assert {"best-model.pt", "dev.tsv", "test.tsv"} <= names

    def test_further_files_can_be_enabled(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path, save_model_each_k_epochs=2, write_weights=True, max_epochs=4)
        assert {path.name for path in tmp_path.glob("model_epoch_*")} == {"model_epoch_2.pt", "model_epoch_4.pt"}
        last = SequenceTagger.load(tmp_path / "model_epoch_4.pt").state_dict()
        assert same(SequenceTagger.load(tmp_path / "final-model.pt").state_dict(), last)
        assert set(read_weights_table(tmp_path / "weights.txt")) == set(trainer.model.state_dict())

    def test_the_log_has_flairs_lines(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        train(trainer, tmp_path, max_epochs=1)
        text = (tmp_path / "training.log").read_text()
        parts = [
            "Model: ",
            "Corpus: 12 train + 4 dev + 3 test sentences",
            "Train:  12 sentences",
            "(train_with_dev=False, train_with_test=False)",
            "Training Params:",
            ' - optimizer: "torch.optim.SGD"',
            ' - learning_rate: "0.1"',
            ' - mini_batch_size: "4"',
            ' - max_epochs: "1"',
            "Plugins:",
            "patience: '3'",
            "Final evaluation on model from best epoch (best-model.pt)",
            "Computation:",
            "compute on device: cpu",
            "embedding storage: cpu",
            "Model training base path: ",
            "epoch 1 - iter",
            "EPOCH 1 done: loss",
            "Results:",
        ]
        places = [text.find(part) for part in parts]
        assert -1 not in places
        assert places == sorted(places)


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"learning_rat": 0.1}, r"no argument 'learning_rat', .* Did you mean learning_rate\?"),
            ({"moment": 0.9}, r"no argument 'moment', and the optimizer takes .*\. Did you mean momentum\?"),
            ({"flavour": 1}, r"no argument 'flavour', .*weight_decay\. Leave it out"),
            ({"epoch": 3}, r"no epoch: .*trainer\.resume\(base_path\)"),
            ({"multi_gpu": True}, r"needs several processes: .*launch_distributed\(main\), .*torchrun"),
            ({"multi_gpu": "yes"}, "multi_gpu must be True or False"),
            ({"reduce_transformer_vocab": True}, "stays whole"),
            ({"save_optimizer_state": True}, r"checkpoint\.pt has the optimizer's state"),
            ({"gold_label_dictionary_for_eval": object()}, "count as misses"),
            ({"scheduler": "linear"}, r"plugins=\[LinearSchedulerPlugin"),
            ({"num_workers": 8}, "nothing is left for workers"),
            ({"warmup_fraction": 0.1}, "fine_tune has it"),
            ({"mini_batch_chunk_size": 0}, "mini_batch_chunk_size must be at least 1"),
            ({"max_grad_norm": 0.0}, "max_grad_norm must be above 0"),
            ({"max_grad_norm": math.nan}, "max_grad_norm must be above 0"),
            ({"decoder_learning_rate": -1.0}, "decoder_learning_rate must be above 0"),
            ({"initial_extra_patience": -1}, "initial_extra_patience must be at least 0"),
            ({"save_model_each_k_epochs": -1}, "save_model_each_k_epochs must be at least 0"),
            ({"monitor_train_sample": -0.5}, "monitor_train_sample must be at least 0"),
            ({"min_learning_rate": [0.1, 0.1]}, "min_learning_rate must be a number or 1 of them"),
        ],
        ids=show,
    )
    def test_invalid_values_are_refused(
        self, options: dict[str, Any], message: str, trainer: ModelTrainer, tmp_path: Path
    ) -> None:
        before = state_of(trainer)
        with pytest.raises(SettingError, match=message):
            train(trainer, tmp_path, **options)
        assert same(state_of(trainer), before)

    def test_flair_arguments_without_effect_are_accepted(self, trainer: ModelTrainer, tmp_path: Path) -> None:
        nothing = {"epoch": 0, "multi_gpu": False, "reduce_transformer_vocab": False, "save_optimizer_state": False}
        train(trainer, tmp_path, **nothing, gold_label_dictionary_for_eval=None, num_workers=0, max_epochs=1)
