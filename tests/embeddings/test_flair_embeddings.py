"""Embeddings over Flair's language models: the vectors are Flair's, which `tests/support/make_flair_files.py` wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import (
    DocumentPoolEmbeddings,
    FlairEmbeddings,
    StackedEmbeddings,
    WordEmbeddings,
    load_embeddings,
)
from flairlite.embeddings.language_model import load_language_model
from flairlite.errors import DataUnavailableError, ModelFileError, SettingError, UnknownNameError
from flairlite.models import SequenceTagger, TextClassifier
from flairlite.runtime import set_cache_root
from flairlite.trainers import ModelTrainer

FOLDER = Path(__file__).parents[1] / "data" / "flair"
MODELS = ["lm-forward", "lm-backward", "lm-gru"]
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "chunks": {"chars_per_chunk": 7},
    "without whitespace": {"with_whitespace": False},
    "lower": {"is_lower": True},
}


def expected(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def make(model: str = "lm-forward", **options: Any) -> FlairEmbeddings:
    return FlairEmbeddings(FOLDER / f"{model}.pt", **options).to("cpu")


def vectors(embedding: Any, sentences: list[list[str]]) -> list[torch.Tensor]:
    embedded = embedding.embed([Sentence(words) for words in sentences])
    return [torch.stack([token.embedding for token in sentence]) for sentence in embedded]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", MODELS)
def test_vectors_are_those_of_flair(name: str, setting: str) -> None:
    content = expected(name)
    found = vectors(make(name, **SETTINGS[setting]), content["sentences"])
    for ours, flairs in zip(found, content["vectors"][setting], strict=True):
        torch.testing.assert_close(ours, torch.tensor(flairs), atol=1e-5, rtol=0)
    sizes = {"lm-backward": 4}
    assert make(name).embedding_length == sizes.get(name, 6)
    assert make(name).is_forward_lm == (name == "lm-forward")


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_has_the_vectors_of_single_sentences(name: str) -> None:
    sentences = expected(name)["sentences"]
    together = vectors(make(name, chars_per_chunk=5), [*sentences, ["a"] * 40])
    for matrix, words in zip(together, sentences, strict=False):
        torch.testing.assert_close(matrix, vectors(make(name), [words])[0], atol=1e-6, rtol=0)


def test_the_vector_of_a_word_depends_on_the_words_that_are_read_before_it() -> None:
    first, second = vectors(make("lm-forward"), [["Bob", "sees", "Anna"], ["Bob", "sees", "Tina"]])
    assert torch.equal(first[:2], second[:2])
    assert not torch.equal(first[2], second[2])
    first, second = vectors(make("lm-backward"), [["Bob", "sees", "Anna"], ["Bob", "sees", "Tina"]])
    assert not torch.isclose(first, second).all(dim=1).any()


def test_empty_words_and_sentences_have_vectors_too() -> None:
    embedding = make()
    sentences = embedding.embed([Sentence([]), Sentence(["a"])])
    assert len(sentences[0]) == 0
    assert sentences[1][0].embedding.shape == (6,)


def test_settings_and_weights_are_saved(tmp_path: Path) -> None:
    embedding = make("lm-backward", is_lower=True, chars_per_chunk=9, with_whitespace=False, name="mine")
    torch.save(embedding.save_embeddings(), tmp_path / "embedding.pt")
    loaded = load_embeddings(torch.load(tmp_path / "embedding.pt", weights_only=True)).to("cpu")
    assert (loaded.name, loaded.is_lower, loaded.chars_per_chunk, loaded.with_whitespace) == ("mine", True, 9, False)
    for ours, other in zip(vectors(embedding, [["The", "dog"]]), vectors(loaded, [["The", "dog"]]), strict=True):
        assert torch.equal(ours, other)


def corpus(size: int = 12) -> Corpus:
    sentences = []
    for index in range(size):
        sentence = Sentence(["the", "dog", "sees", "a", "cat"][: 2 + index % 4])
        for token in sentence:
            token.add_label("pos", "N" if token.text in ("dog", "cat") else "X")
        sentence.add_label("topic", "even" if index % 2 else "odd")
        sentences.append(sentence)
    return Corpus(sentences[:8], sentences[8:10], sentences[10:])


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """Use an empty cache, and return its folder."""
    set_cache_root(tmp_path / "cache")
    yield tmp_path / "cache"
    set_cache_root(None)


def test_training_gives_the_same_weights_however_the_vectors_are_stored(cache: Path, tmp_path: Path) -> None:
    found = {}
    for mode in ("none", "cpu", "gpu"):
        parts = [WordEmbeddings({"dog": [1.0, 0.0], "the": [0.0, 1.0]}), make("lm-forward"), make("lm-backward")]
        labels = Dictionary.from_items(["N", "X"])
        tagger = SequenceTagger(StackedEmbeddings(parts), labels, "pos", hidden_size=4, seed=1)
        before = {name: weight.clone() for name, weight in tagger.embeddings.state_dict().items()}
        ModelTrainer(tagger, corpus()).train(tmp_path / mode, max_epochs=2, seed=3, embeddings_storage_mode=mode)
        after = tagger.embeddings.state_dict()
        assert all(torch.equal(before[name].cpu(), after[name].cpu()) for name in before)  # the models are fixed
        found[mode] = torch.cat([weight.detach().flatten().cpu() for weight in tagger.linear.parameters()])
        assert (cache / "computed-vectors").exists() == (mode != "none")  # computed once, and mapped
        loaded = SequenceTagger.load(tmp_path / mode / "final-model.pt", device="cpu")
        texts = [sentence.words for sentence in corpus().train]
        for ours, other in zip(vectors(tagger.embeddings, texts), vectors(loaded.embeddings, texts), strict=True):
            torch.testing.assert_close(ours.cpu(), other, atol=1e-3, rtol=0)  # word vectors have twelve bits in files
    torch.testing.assert_close(found["cpu"], found["none"], atol=1e-5, rtol=0)
    torch.testing.assert_close(found["gpu"], found["none"], atol=1e-5, rtol=0)


def test_a_language_model_is_trained_if_asked() -> None:
    classifier = TextClassifier(
        DocumentPoolEmbeddings(make("lm-forward", fine_tune=True)), "topic", Dictionary.from_items(["even", "odd"])
    )
    embedding = classifier.embeddings.embeddings
    loss, _ = classifier.train().forward_loss(list(corpus().train))
    loss.backward()
    assert embedding.training
    assert all(weight.grad is not None and weight.grad.any() for weight in embedding.lm.parameters())
    frozen = make("lm-forward")
    frozen.train()
    assert not frozen.training
    assert not any(weight.requires_grad for weight in frozen.parameters())


def test_names_are_looked_up_in_the_mirror(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror, path = tmp_path / "mirror", "flair/news-forward-0.4.1.pt"
    (mirror / "flair").mkdir(parents=True)
    content = (FOLDER / "lm-forward.pt").read_bytes()
    (mirror / path).write_bytes(content)
    (mirror / "registry.txt").write_text(f"{path} sha256:{hashlib.sha256(content).hexdigest()}\n")
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(mirror))
    monkeypatch.setenv("FLAIRLITE_OFFLINE", "1")
    for name in ("news-forward", "en-forward"):
        embedding = FlairEmbeddings(name)
        assert (embedding.name, embedding.embedding_length) == (name, 6)
    with pytest.raises(DataUnavailableError, match=r"(?s)news-backward-0\.4\.1\.pt.*FLAIRLITE_MIRROR"):
        FlairEmbeddings("news-backward")


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ("news-forwards", UnknownNameError, "Did you mean 'news-forward'"),
        (FOLDER / "words-crf.pt", ModelFileError, r"words-crf\.pt.*it has no dictionary, is_forward_lm"),
        (FOLDER / "words-crf.json", ModelFileError, r"words-crf\.json is not a file of Flair"),
        (3, SettingError, "not a int"),
        ("x" * 300, SettingError, "model must be the path of a file"),
    ],
)
def test_other_models_are_refused(model: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"(?s){message}"):
        FlairEmbeddings(model)


@pytest.mark.parametrize(
    "options", [{"tokenized_lm": False}, {"chars_per_chunk": 0}, {"fine_tune": 1}, {"is_lower": "yes"}]
)
def test_invalid_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        make(**options)


def test_a_truncated_language_model_is_refused(tmp_path: Path) -> None:
    content = (FOLDER / "lm-forward.pt").read_bytes()
    for size in (0, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "lm.pt").write_bytes(content[:size])
        with pytest.raises(ModelFileError, match=r"lm\.pt"):
            load_language_model(tmp_path / "lm.pt")


def test_every_name_has_its_own_file_at_an_https_address() -> None:
    from flairlite.embeddings import language_model

    lines = language_model._ADDRESSES.read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split() for line in lines]
    assert len(rows) > 90
    assert all(url.startswith("https://") and url.endswith(".pt") for _, url in rows)
