"""Captured steps: padding changes no result, and it does not matter which steps are captured.

On a CPU, operations are recorded and repeated on the same memory in place of a CUDA graph.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recorded_operations import RecordedCapture
from torch import Tensor

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import CharacterEmbeddings, OneHotEmbeddings, StackedEmbeddings, WordEmbeddings
from flairlite.encoding import EncodedDataset
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState, step_graph
from flairlite.trainers.splits import encode_split
from flairlite.trainers.step_graph import CudaCapture, StepGraphs, find_obstacle, round_shape

Make = Callable[..., SequenceTagger]
SGD: Any = functools.partial(torch.optim.SGD, fused=True)  # as on a GPU
NO_DROPOUT: Any = {"dropout": 0.0, "word_dropout": 0.0, "locked_dropout": 0.0}


class Capture(RecordedCapture):
    """A capture whose count belongs to these tests."""


class CountedCudaCapture(CudaCapture):
    """A CUDA graph, counted with the others."""

    def __call__(self, run: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
        Capture.num_captures += 1
        return super().__call__(run, generator)


@pytest.fixture(autouse=True)
def captures(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pad and capture on a CPU too."""
    monkeypatch.setenv("FLAIRLITE_DEVICE", device.type)
    monkeypatch.setattr(step_graph, "DEVICES", ("cpu", "cuda"))
    monkeypatch.setattr(Capture, "num_captures", 0)
    monkeypatch.setattr(step_graph, "CudaCapture", Capture if device.type == "cpu" else CountedCudaCapture)


@pytest.fixture
def corpus(sample: Corpus) -> Corpus:
    """Short sentences, so that shapes repeat."""
    splits = (sample.train, 55), (sample.dev, 10), (sample.test, 10)
    short = ([text for text in split or () if 2 <= len(text) <= 12][:count] for split, count in splits)
    return Corpus(
        *([Sentence(one.words).set_token_labels("upos", one.token_labels("upos")) for one in part] for part in short)
    )


@pytest.fixture
def make(corpus: Corpus, mini_vectors: WordEmbeddings) -> Make:
    options = {"hidden_size": 6, "dropout": 0.1, "seed": 0}
    return functools.partial(SequenceTagger, mini_vectors, corpus.make_label_dictionary("upos"), "upos", **options)


def train(model: SequenceTagger, corpus: Corpus, folder: Path, **options: Any) -> list[Tensor]:
    """Return the final weights; batches of 5 leave room for sentences that are added."""
    settings = {"optimizer": SGD, "max_epochs": 3, "mini_batch_size": 5, "learning_rate": 0.1, **options}
    ModelTrainer(model, corpus).train(folder, **settings)
    model = SequenceTagger.load(folder / "final-model.pt")
    return [weight.detach().cpu() for weight in model.parameters()]


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    for weight, wanted in zip(found, expected, strict=True):
        if torch.cuda.is_available():  # bits are only promised on a CPU
            torch.testing.assert_close(weight, wanted, rtol=1e-3, atol=1e-4)
        else:
            assert torch.equal(weight, wanted)


# ------------------------------------------------------------------------------------------------------- padding


@given(num_sentences=st.integers(1, 300), num_words=st.integers(1, 500))
def test_shapes_are_rounded_up_to_few(num_sentences: int, num_words: int) -> None:
    rows, width = round_shape(num_sentences, num_words)
    assert 0 <= rows - num_sentences < 8
    assert rows % 8 == 0
    assert 0 <= width - num_words < (4 if num_words <= 32 else 8)
    assert round_shape(rows, width) == (rows, width)


def loss_and_gradients(model: SequenceTagger, dataset: EncodedDataset, shape: tuple[int, int] | None) -> list[Tensor]:
    batch = dataset.batch(torch.tensor([3, 0, 7]), shape)
    model.zero_grad()
    loss = model.loss(model(batch), batch)
    loss.backward()  # type: ignore[no-untyped-call]
    return [loss.detach(), *(torch.zeros_like(w) if w.grad is None else w.grad for w in model.parameters())]


KINDS: dict[str, dict[str, Any]] = {
    "CRF": {},
    "no CRF": {"use_crf": False},
    "label smoothing": {"label_smoothing": 0.1},
    "no network": {"use_rnn": False},
    "GRU": {"rnn_type": "GRU"},
    "one direction": {"bidirectional": False},
    "two layers": {"rnn_layers": 2},
}


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_added_sentences_teach_nothing(kind: str, make: Make, corpus: Corpus) -> None:
    model = make(**KINDS[kind]).double()
    dataset = encode_split(model, "train", corpus.train, "cpu").dataset
    assert isinstance(dataset, EncodedDataset)
    model.eval()
    model.embeddings.double()
    with torch.enable_grad():
        expected = loss_and_gradients(model, dataset, None)
        found = loss_and_gradients(model, dataset, (8, 16))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_added_sentences_are_one_word_of_padding_without_label(make: Make, corpus: Corpus) -> None:
    dataset = encode_split(make(), "train", corpus.train, "cpu").dataset
    assert isinstance(dataset, EncodedDataset)
    plain, padded = dataset.batch(torch.tensor([3, 0, 7])), dataset.batch(torch.tensor([3, 0, 7]), (8, 16))
    width = plain.mask.shape[1]
    assert padded.lengths.tolist() == [*plain.lengths.tolist(), 1, 1, 1, 1, 1]
    assert padded.mask.sum() == plain.mask.sum() == plain.num_tokens
    assert padded.word_ids[:3, :width].equal(plain.word_ids)
    assert padded.labels[0].class_ids[:3, :width].equal(plain.labels[0].class_ids)
    assert padded.labels[0].class_ids[3:].eq(-1).all()
    assert padded.num_labels == plain.num_labels


# ------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("optimizer", [SGD, torch.optim.AdamW], ids=["SGD", "AdamW"])
def test_training_with_graphs_is_training_without_padding(
    optimizer: Any, make: Make, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = 0.05 if optimizer is SGD else 0.001
    options = {"optimizer": optimizer, "learning_rate": rate, "max_grad_norm": 1.0, "patience": 1}
    found = train(make(**NO_DROPOUT), corpus, tmp_path / "graphs", **options)
    monkeypatch.setattr(step_graph, "DEVICES", ())
    expected = train(make(**NO_DROPOUT), corpus, tmp_path / "plain", **options)
    for weight, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(weight, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["SGD", "AdamW", "bfloat16", "trained vectors", "no CRF"])
def test_captured_steps_equal_steps_that_are_not_captured(
    name: str, make: Make, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, whose random values must be those that the operations draw."""
    options: dict[str, Any] = {"optimizer": torch.optim.AdamW} if name == "AdamW" else {}
    options |= {"use_amp": True} if name == "bfloat16" else {}

    def made() -> SequenceTagger:
        if name == "trained vectors":
            parts = [OneHotEmbeddings.from_corpus(corpus, embedding_length=8, unk_alpha=0.25), make().embeddings]
            return SequenceTagger(StackedEmbeddings(parts), corpus.make_label_dictionary("upos"), "upos", seed=0)
        return make(use_crf=name != "no CRF")

    found = train(made(), corpus, tmp_path / "graphs", **options)
    assert Capture.num_captures > 0
    monkeypatch.setenv("FLAIRLITE_CUDA_GRAPHS", "0")
    before = Capture.num_captures
    assert_equal(found, train(made(), corpus, tmp_path / "operations", **options))
    assert Capture.num_captures == before


class Stop(Callback):
    """Ends a run by an error after some steps."""

    def __init__(self, step: int | None) -> None:
        self._step, self._count = step, 0

    def name_in_checkpoint(self) -> str:
        return "Stop"

    def on_batch_end(self, state: TrainingState) -> None:
        self._count += 1
        if self._count == self._step:
            raise ZeroDivisionError


@pytest.mark.parametrize("step", [4, 11, 17])
def test_a_run_that_is_resumed_gives_the_same_weights(step: int, make: Make, corpus: Corpus, tmp_path: Path) -> None:
    """It captures at other steps than a run that was not interrupted."""
    options: dict[str, Any] = {"checkpoint_every": 2}
    expected = train(make(), corpus, tmp_path / "whole", plugins=[Stop(None)], **options)
    with pytest.raises(ZeroDivisionError):
        train(make(), corpus, tmp_path / "parts", plugins=[Stop(step)], **options)
    model = make()
    ModelTrainer(model, corpus).resume(tmp_path / "parts", plugins=[Stop(None)], optimizer=SGD)
    resumed = SequenceTagger.load(tmp_path / "parts" / "final-model.pt")
    assert_equal([weight.detach().cpu() for weight in resumed.parameters()], expected)


class Halve(Callback):
    """Changes the learning rate within epochs, and notes what the optimizer has for it."""

    schedules = True

    def __init__(self) -> None:
        self.kinds: set[type] = set()

    def on_batch_end(self, state: TrainingState) -> None:
        self.kinds |= {type(group["lr"]) for group in state.optimizer.param_groups}
        state.learning_rate *= 0.9


def test_graphs_read_the_current_learning_rate(
    make: Make, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halve = Halve()
    found = train(make(), corpus, tmp_path / "graphs", plugins=[halve])
    assert halve.kinds == {float}
    monkeypatch.setenv("FLAIRLITE_CUDA_GRAPHS", "0")
    assert_equal(found, train(make(), corpus, tmp_path / "operations", plugins=[Halve()]))


class ChangeSettings(Callback):
    """Changes what graphs contain as constants."""

    def on_batch_begin(self, state: TrainingState) -> None:
        if state.epoch == 3 and state.iteration == 2:
            state.optimizer.param_groups[0]["weight_decay"] = 0.1
            assert isinstance(state.model, SequenceTagger)
            state.model.locked_dropout.rate = 0.25
            for weight in list(state.model.parameters())[:1]:
                weight.data = weight.data.clone()


def test_graphs_are_dropped_when_what_they_contain_changes(
    make: Make, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"max_epochs": 6}
    found = train(make(), corpus, tmp_path / "graphs", plugins=[ChangeSettings()], **options)
    monkeypatch.setenv("FLAIRLITE_CUDA_GRAPHS", "0")
    assert_equal(found, train(make(), corpus, tmp_path / "operations", plugins=[ChangeSettings()], **options))


def test_few_graphs_are_kept(make: Make, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    class Watched(StepGraphs):
        def step(self, dataset: Any, indices: Tensor) -> Tensor:
            loss = super().step(dataset, indices)
            sizes.append(len(self._graphs))
            return loss

    monkeypatch.setattr(step_graph, "MAX_GRAPHS", 1)
    monkeypatch.setattr(step_graph, "_IDLE", 2)
    monkeypatch.setattr(step_graph, "StepGraphs", Watched)
    found = train(make(), corpus, tmp_path / "graphs", max_epochs=5)
    assert max(sizes) == 1
    assert Capture.num_captures > 1
    monkeypatch.setenv("FLAIRLITE_CUDA_GRAPHS", "0")
    assert_equal(found, train(make(), corpus, tmp_path / "operations", max_epochs=5))


# ------------------------------------------------------------------------------------------------------- fallbacks


class Failing(RecordedCapture):
    def __call__(self, run: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
        super().__call__(run, generator)
        raise RuntimeError("operation not permitted when stream is capturing")


class Forgetful(RecordedCapture):
    """A graph that does not draw new random values."""

    def __call__(self, run: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
        replay, state = super().__call__(run, generator), generator.get_state()

        def replay_the_first() -> None:
            generator.set_state(state)
            replay()
            generator.set_state(state)

        return replay_the_first


class Idle(RecordedCapture):
    """A graph that does nothing."""

    def __call__(self, run: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
        super().__call__(run, generator)
        return lambda: None


@pytest.mark.parametrize("kind", [Failing, Forgetful, Idle])
def test_a_graph_that_fails_or_computes_something_else_is_not_used(
    kind: type[RecordedCapture],
    make: Make,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")
    monkeypatch.setattr(step_graph, "CudaCapture", kind)
    monkeypatch.setattr(kind, "num_captures", 0)
    with caplog.at_level(logging.WARNING, "flairlite"):
        found = train(make(), corpus, tmp_path / "graphs")
    warnings = [message for message in caplog.messages if "CUDA graphs" in message]
    assert len(warnings) == 1
    assert kind.num_captures == 1
    monkeypatch.setenv("FLAIRLITE_CUDA_GRAPHS", "0")
    assert_equal(found, train(make(), corpus, tmp_path / "operations"))


class ReadGradients(Callback):
    def on_backward_end(self, state: TrainingState) -> None:
        assert any(weight.grad is not None for weight in state.model.parameters())


def test_runs_that_cannot_be_captured_take_plain_steps(
    make: Make, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise AssertionError("no step must be padded")

    monkeypatch.setattr(step_graph, "StepGraphs", fail)
    labels = corpus.make_label_dictionary("upos")
    characters = StackedEmbeddings([make().embeddings, CharacterEmbeddings()])
    cases: dict[str, tuple[SequenceTagger, dict[str, Any]]] = {
        "another optimizer": (make(), {"optimizer": torch.optim.RMSprop}),
        "not fused": (make(), {"optimizer": functools.partial(torch.optim.SGD, foreach=True)}),
        "shapes that depend on words": (SequenceTagger(characters, labels, "upos", hidden_size=6), {}),
        "packed": (make(rnn_type="RNN"), {}),
        "learned start": (make(train_initial_hidden_state=True), {}),
        "accumulated gradients": (make(), {"mini_batch_chunk_size": 2}),
        "callback": (make(), {"plugins": [ReadGradients()]}),
    }
    for name, (model, options) in cases.items():
        train(model, corpus, tmp_path / name, max_epochs=1, **options)


def hook_module(model: SequenceTagger) -> Any:
    return model.linear.register_forward_hook(lambda *_: None)


def hook_weight(model: SequenceTagger) -> Any:
    return model.linear.weight.register_hook(lambda _: None)


def hook_all_modules(model: SequenceTagger) -> Any:
    return torch.nn.modules.module.register_module_forward_hook(lambda *_: None)


@pytest.mark.parametrize("add", [hook_module, hook_weight, hook_all_modules])
def test_steps_with_hooks_are_not_captured(
    add: Callable[[SequenceTagger], Any], make: Make, corpus: Corpus, tmp_path: Path
) -> None:
    model = make()
    handle = add(model)
    train(model, corpus, tmp_path, max_epochs=2)
    handle.remove()
    assert Capture.num_captures == 0


def test_nothing_is_captured_in_anomaly_mode(make: Make, corpus: Corpus, tmp_path: Path) -> None:
    with torch.autograd.set_detect_anomaly(True):
        train(make(), corpus, tmp_path, max_epochs=2)
    assert Capture.num_captures == 0


class FakeCuda:
    """Stands in for what `CudaCapture` uses of `torch.cuda`, and notes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.pools: list[int] = []
        names = {"device": self.note("device"), "stream": self.note("stream"), "graph": self.capture}
        names |= {"current_stream": str, "Stream": str, "CUDAGraph": self.make_graph}
        for name, value in names.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: len(self.pools))

    def note(self, name: str) -> Callable[..., Any]:
        @contextlib.contextmanager
        def enter(_: Any) -> Iterator[None]:
            self.events.append(name)
            yield
            self.events.append(f"end of {name}")

        return enter

    @contextlib.contextmanager
    def capture(self, graph: Any, pool: int, stream: str, *, capture_error_mode: str) -> Iterator[None]:
        assert (stream, capture_error_mode) == ("cuda:0", "thread_local")
        self.pools.append(pool)
        yield

    def make_graph(self) -> Any:
        class Graph:
            register_generator_state = self.events.append

            def replay(self) -> None:
                """Nothing."""

        return Graph()


class FakeGenerator:
    """A generator of a device, whose state a failed capture spoils."""

    state: Any = "first"

    def clone_state(self) -> str:
        return f"copy of {self.state}"

    def graphsafe_set_state(self, state: Any) -> None:
        self.state = state


def test_a_failed_capture_leaves_the_generator_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    cuda, generator = FakeCuda(monkeypatch), FakeGenerator()
    capture: Any = CudaCapture(torch.device("cuda:0"))
    capture(lambda: None, generator)
    assert (generator.state, generator in cuda.events) == ("first", True)
    with pytest.raises(RuntimeError, match="not permitted"):
        capture(fail, generator)
    assert generator.state == "copy of first"


def test_graphs_share_memory_until_the_last_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(monkeypatch)
    capture: Any = CudaCapture(torch.device("cuda:0"))
    first = capture(lambda: None, FakeGenerator())
    second = capture(lambda: None, FakeGenerator())
    assert cuda.pools == [0, 0]
    del first
    third = capture(lambda: None, FakeGenerator())
    assert cuda.pools == [0, 0, 0]
    del second, third
    capture(lambda: None, FakeGenerator())
    assert cuda.pools == [0, 0, 0, 3]


def test_on_a_cpu_steps_are_neither_padded_nor_captured(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")
    model = make().cpu()
    optimizer = SGD(model.parameters(), lr=0.1)
    assert find_obstacle(model, optimizer, []) == "the device is cpu"
