"""Embeddings with a memory of words: the vectors are Flair's, which `tests/support/make_flair_files.py` wrote."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import (
    DocumentPoolEmbeddings,
    FlairEmbeddings,
    PooledFlairEmbeddings,
    StackedEmbeddings,
    WordEmbeddings,
    load_embeddings,
)
from flairlite.errors import ModelFileError, SettingError
from flairlite.models import SequenceTagger, TextClassifier
from flairlite.runtime import set_cache_root
from flairlite.trainers import ModelTrainer
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.data_parallel import DataParallel

FOLDER = Path(__file__).parents[1] / "data" / "flair"
CONTENT: dict[str, Any] = json.loads((FOLDER / "pooled.json").read_text(encoding="utf-8"))
POOLINGS = ("min", "max", "mean", "fade")


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")
    set_cache_root(tmp_path / "cache")
    yield
    set_cache_root(None)


def make(pooling: str = "min", only_capitalized: bool = False, model: str = "lm-forward") -> PooledFlairEmbeddings:
    return PooledFlairEmbeddings(str(FOLDER / f"{model}.pt"), pooling, only_capitalized)


def embed(embedding: Any, batch: list[list[str]]) -> list[torch.Tensor]:
    sentences = embedding.embed([Sentence(words) for words in batch])
    return [torch.stack([token.embedding for token in sentence]) for sentence in sentences]


def assert_close(found: list[torch.Tensor], expected: list[Any]) -> None:
    for ours, flairs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, torch.as_tensor(flairs), atol=1e-5, rtol=0)


# Vectors


@pytest.mark.parametrize("only_capitalized", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_vectors_of_batches_are_those_of_flair(pooling: str, only_capitalized: bool) -> None:
    embedding = make(pooling, only_capitalized)
    expected = CONTENT["vectors"][f"{pooling} {only_capitalized}"]
    for batch, vectors in zip(CONTENT["batches"], expected, strict=False):
        assert_close(embed(embedding, batch), vectors)
    assert embedding.embedding_length == 12
    assert embedding.get_names() == [embedding.context_embeddings.name, f"{embedding.context_embeddings.name}-context"]


@pytest.mark.parametrize("only_capitalized", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_vectors_in_training_are_those_of_flair(pooling: str, only_capitalized: bool) -> None:
    embedding = make(pooling, only_capitalized)
    embed(embedding, CONTENT["batches"][0])  # which train() forgets
    embedding.train()
    expected = CONTENT["vectors"][f"{pooling} {only_capitalized}"][len(CONTENT["batches"]) :]
    tagger = SequenceTagger(embedding, Dictionary.from_items(["X"]), "pos")
    for batch, vectors in zip(CONTENT["batches"], expected, strict=True):
        encoded = tagger.encode([Sentence(words) for words in batch]).batch(torch.arange(len(batch)))
        found = tagger.features(encoded)  # (B, T, D)
        assert not found.requires_grad
        assert_close([row[: len(words)] for row, words in zip(found, batch, strict=True)], vectors)
        assert all(not row[len(words) :].any() for row, words in zip(found, batch, strict=True))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_memory_has_what_a_dictionary_of_words_would_have(pooling: str) -> None:
    embedding, plain = make(pooling), FlairEmbeddings(FOLDER / "lm-forward.pt")
    memory: dict[str, list[torch.Tensor]] = {}
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        batch = [["Bob", "a", "cat", "New"][int(size) :] for size in torch.randint(0, 4, (70,), generator=generator)]
        contextual = embed(plain, batch)
        for words, vectors in zip(batch, contextual, strict=True):
            for word, vector in zip(words, vectors, strict=True):
                memory.setdefault(word, []).append(vector)
        expected = [
            torch.cat((vectors, torch.stack([pool(memory[word], pooling) for word in words])), dim=1)
            for words, vectors in zip(batch, contextual, strict=True)
        ]
        assert_close(embed(embedding, batch), expected)


def pool(vectors: list[torch.Tensor], pooling: str) -> torch.Tensor:
    if pooling == "fade":
        faded = vectors[0]
        for vector in vectors[1:]:
            faded = (faded + vector) / 2
        return faded
    stacked = torch.stack(vectors)
    return {"min": stacked.amin, "max": stacked.amax, "mean": stacked.mean}[pooling](0)


def test_words_that_begin_in_lower_case_have_the_vector_of_their_sentence_twice() -> None:
    embedding = make("max", only_capitalized=True)
    embed(embedding, [["Bob", "sees", "a", "dog"]])
    first, second = embed(embedding, [["dog", "Bob"]])[0].split(6, dim=1)
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


# State


def test_the_memory_belongs_to_the_weights(tmp_path: Path) -> None:
    embedding = make("mean")
    embed(embedding, CONTENT["batches"][0])
    torch.save(embedding.save_embeddings(), tmp_path / "embedding.pt")
    loaded = load_embeddings(torch.load(tmp_path / "embedding.pt", weights_only=True))
    other = make("mean")
    embed(other, [["New", "words", "take", "rows"]])
    other.load_state_dict(embedding.state_dict())
    copies = [loaded, other, copy.deepcopy(embedding), pickle.loads(pickle.dumps(embedding))]
    expected = embed(embedding, CONTENT["batches"][1])
    for found in copies:
        assert all(torch.equal(*pair) for pair in zip(embed(found, CONTENT["batches"][1]), expected, strict=True))
        for name, tensor in embedding.state_dict().items():  # sorted by word, whatever the rows are
            assert torch.equal(found.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("vectors", lambda tensor: tensor[1:]),
        ("vectors", lambda tensor: tensor[:, 1:]),
        ("counts", lambda tensor: tensor - 1),
        ("offsets", lambda tensor: tensor.flip(0)),
        ("words", lambda tensor: tensor | 128),
        ("words", lambda tensor: tensor.float()),
    ],
)
def test_a_damaged_memory_is_refused(name: str, damage: Callable[[torch.Tensor], torch.Tensor]) -> None:
    embedding = make()
    embed(embedding, [["Bob", "sees"]])
    params = embedding.save_embeddings()
    params["state_dict"][f"memory.{name}"] = damage(params["state_dict"][f"memory.{name}"])
    with pytest.raises(ModelFileError, match="PooledFlairEmbeddings"):
        load_embeddings(params)
    del params["state_dict"][f"memory.{name}"]
    with pytest.raises(ModelFileError, match=f"Missing.*memory.{name}"):
        load_embeddings(params)


def corpus() -> Corpus:
    sentences = []
    for index in range(24):
        sentence = Sentence(["the", "Dog", "sees", "a", "cat", "the", "Cat"][index % 3 : 3 + index % 5])
        for token in sentence:
            token.add_label("pos", "N" if token.text.lower() in ("dog", "cat") else "X")
        sentence.add_label("topic", "even" if index % 2 else "odd")
        sentences.append(sentence)
    return Corpus(sentences[:16], sentences[16:20], sentences[20:])


def make_tagger(seed: int = 1) -> SequenceTagger:
    parts = [WordEmbeddings({"the": [1.0, 0.5]}), make("mean"), make("min", model="lm-backward")]
    return SequenceTagger(StackedEmbeddings(parts), Dictionary.from_items(["N", "X"]), "pos", hidden_size=4, seed=seed)


class Stop(Callback):
    """Ends a run by an error after some steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_batch_end(self, state: Any) -> None:
        self.step -= 1
        if not self.step:
            raise RuntimeError("stopped")


@pytest.mark.parametrize("mode", ["cpu", "none"])
def test_a_run_resumed_within_an_epoch_equals_an_uninterrupted_run(mode: str, tmp_path: Path) -> None:
    options = {"max_epochs": 3, "mini_batch_size": 4, "seed": 2, "checkpoint_every": 1, "resume": True}
    options["embeddings_storage_mode"] = mode

    def train(folder: str, stop: int) -> SequenceTagger:
        tagger = make_tagger()
        tagger.predict("Something before the training , which leaves other rows")
        ModelTrainer(tagger, corpus()).train(tmp_path / folder, plugins=[Stop(stop)], **options)
        return tagger

    whole = train("whole", 0)
    with pytest.raises(RuntimeError, match="stopped"):
        train("parts", 7)
    resumed = train("parts", 0)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    for file in ("best-model.pt", "final-model.pt"):
        models = [SequenceTagger.load(tmp_path / folder / file) for folder in ("whole", "parts")]
        states = [model.state_dict() for model in models]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        assert len(states[0]["embeddings.embeddings.1.memory.counts"]) >= 5


def test_each_epoch_begins_with_an_empty_memory(tmp_path: Path) -> None:
    tagger, data = make_tagger(), corpus()
    data = Corpus(data.train, None, None)  # without an evaluation, which would leave training mode
    ModelTrainer(tagger, data).train(tmp_path, max_epochs=3, mini_batch_size=4, save_final_model=False)
    memory = tagger.embeddings.parts[1].memory  # type: ignore[attr-defined]
    assert memory.counts.sum() == sum(map(len, data.train or ()))


def test_a_model_file_predicts_what_the_model_predicts(tmp_path: Path) -> None:
    tagger = make_tagger()
    tagger.predict("the Dog sees a cat")
    tagger.save(tmp_path / "model.pt")
    loaded = SequenceTagger.load(tmp_path / "model.pt")
    for _ in range(2):
        scores = [
            [token.get_label("pos").score for token in model.predict(Sentence(["the", "cat", "sees"]))]
            for model in (tagger, loaded)
        ]
        assert scores[0] == pytest.approx(scores[1], abs=1e-3)  # word vectors have twelve bits in files


def test_the_best_model_has_the_memory_of_its_epoch(tmp_path: Path) -> None:
    tagger = make_tagger()
    ModelTrainer(tagger, corpus()).train(tmp_path, max_epochs=2, mini_batch_size=4, seed=1)
    counts = SequenceTagger.load(tmp_path / "best-model.pt").state_dict()["embeddings.embeddings.1.memory.counts"]
    splits = (corpus().train, corpus().dev)
    assert counts.sum() == sum(len(sentence) for split in splits for sentence in split or ())


# Prediction


def test_labels_do_not_depend_on_the_size_of_batches() -> None:
    found = []
    for size in (1, 3, 100):
        tagger, sentences = make_tagger(), [Sentence(sentence.words) for sentence in corpus().train or ()]
        tagger.predict(sentences, mini_batch_size=size, return_probabilities_for_all_classes=True)
        found.append([token.get_label("pos").score for sentence in sentences for token in sentence])
        assert len(set(found[-1])) > 3
    assert found[0] == pytest.approx(found[1], abs=1e-5)
    assert found[0] == pytest.approx(found[2], abs=1e-5)


def test_a_prediction_that_stores_vectors_adds_each_word_once() -> None:
    tagger = make_tagger()
    tagger.predict([Sentence(["the", "Dog", "the"])], embedding_storage_mode="cpu")
    assert tagger.embeddings.parts[1].memory.counts.sum() == 3  # type: ignore[attr-defined]


def test_documents_are_embedded_with_a_memory() -> None:
    embeddings = DocumentPoolEmbeddings(make())
    classifier = TextClassifier(embeddings, "topic", Dictionary.from_items(["even", "odd"]))
    classifier.predict([Sentence(["Bob", "sees", "Bob"]), Sentence(["Bob"])])
    assert len(embeddings.embeddings.memory) == 2  # type: ignore[attr-defined]
    embeddings.embeddings.clear_memory()  # type: ignore[attr-defined, operator]
    assert len(embeddings.embeddings.memory) == 0  # type: ignore[attr-defined]


def test_large_data_sets_are_remembered_without_keeping_their_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = embed(make("mean"), CONTENT["batches"][0])
    monkeypatch.setattr("flairlite.embeddings.pooled_flair._MAX_VALUES", 1)
    assert_close(embed(make("mean"), CONTENT["batches"][0]), expected)


def test_threads_add_every_word_once() -> None:
    tagger = make_tagger()
    errors: list[BaseException] = []

    def predict(index: int) -> None:
        try:
            for step in range(10):
                tagger.predict([Sentence(["the", "Dog", f"w{index}-{step}"])])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=predict, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    memory = tagger.embeddings.parts[1].memory  # type: ignore[attr-defined]
    assert not errors
    assert (len(memory), int(memory.counts.sum())) == (42, 120)


# Files of Flair, and what is refused


def test_a_tagger_of_flair_predicts_as_in_flair() -> None:
    tagger = SequenceTagger.load(FOLDER / "pooled.pt", device="cpu")
    sentences = tagger.predict([Sentence(words) for words in CONTENT["sentences"]])
    for sentence, expected in zip(sentences, CONTENT["predicted"], strict=True):
        assert [token.get_label("tag").value for token in sentence] == [value for _, _, value, _ in expected]
    embedding = tagger.embeddings
    assert isinstance(embedding, PooledFlairEmbeddings)
    assert (embedding.pooling, embedding.name) == ("mean", "lm-context")


def test_a_stack_of_flair_is_refused() -> None:
    from flairlite.embeddings.flair_weights import FlairWeights
    from flairlite.embeddings.from_flair import convert_embedding

    params = {"__cls__": "StackedEmbeddings", "embeddings": [{"__cls__": "PooledFlairEmbeddings"}]}
    with pytest.raises(ModelFileError, match=r"stacks PooledFlairEmbeddings.*train the model with flairlite"):
        convert_embedding(params, FlairWeights({}))


def test_invalid_arguments_are_refused() -> None:
    plain = FlairEmbeddings(FOLDER / "lm-forward.pt")
    for options, message in [
        ({"pooling": "sum"}, "pooling"),
        ({"only_capitalized": "yes"}, "only_capitalized"),
        ({"chars_per_chunk": 3}, "give these to FlairEmbeddings"),
    ]:
        with pytest.raises(SettingError, match=message):
            PooledFlairEmbeddings(plain, **options)
    with pytest.raises(SettingError, match="cannot be trained"):
        PooledFlairEmbeddings(str(FOLDER / "lm-forward.pt"), fine_tune=True)


def test_several_processes_and_exports_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    tagger = make_tagger()
    with pytest.raises(ModelFileError, match="PooledFlairEmbeddings cannot be exported"):
        tagger.export(tmp_path / "model.onnx")
    with pytest.raises(SettingError, match="trained by one process"):
        DataParallel.copy_weights(SimpleNamespace(), tagger)  # type: ignore[arg-type]
