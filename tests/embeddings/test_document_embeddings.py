"""Document embeddings: a sentence has the same vector alone and in a batch, whatever its padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from vector_files import vectors_of

from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import (
    CharacterEmbeddings,
    DocumentCNNEmbeddings,
    DocumentEmbeddings,
    DocumentPoolEmbeddings,
    DocumentRNNEmbeddings,
    OneHotEmbeddings,
    StackedEmbeddings,
    WordEmbeddings,
    load_embeddings,
)
from flairlite.errors import LabelError, SettingError

TEXTS = ["the dog barks at the other dog", "Berlin", "qwxzzv is no word", "a b", "I love Berlin . 🤟 ."]


def sentences() -> list[Sentence]:
    return [Sentence(text, use_tokenizer=False) for text in TEXTS]


def features_of(embedding: DocumentEmbeddings, sentence: Sentence) -> Tensor:
    """Return the vectors (T, D) of a sentence's words."""
    embedding.embeddings.embed(sentence)
    return sentence.get_token_embeddings()


# pools


@pytest.mark.parametrize("pooling", ["mean", "max", "min"])
def test_pooled_vectors_equal_those_of_single_sentences(
    mini_vectors: WordEmbeddings, device: torch.device, pooling: str
) -> None:
    embedding = DocumentPoolEmbeddings([mini_vectors, CharacterEmbeddings()], pooling=pooling).to(device)
    assert embedding.name == f"document_{pooling}"
    assert embedding.embedding_length == 100
    for sentence, vector in zip(sentences(), vectors_of(embedding, sentences()), strict=True):
        features = features_of(embedding, sentence)
        expected = features.mean(0) if pooling == "mean" else getattr(features, pooling)(0).values
        limits = {"atol": 1e-6, "rtol": 1e-5} if device.type == "cpu" else {"atol": 1e-5, "rtol": 1e-4}
        torch.testing.assert_close(vector, expected, **limits)


@pytest.mark.parametrize("pooling", ["mean", "max", "min"])
def test_padding_does_not_change_pools_of_negative_features(pooling: str) -> None:
    items = OneHotEmbeddings(Dictionary.from_items(["<unk>", "low"]), embedding_length=2)
    with torch.no_grad():
        items.embedding_layer.weight[1] = torch.tensor([-5.0, 5.0])
    found = vectors_of(DocumentPoolEmbeddings(items, pooling=pooling), [Sentence(["low"]), Sentence(["low"] * 9)])
    torch.testing.assert_close(found, torch.tensor([[-5.0, 5.0]] * 2))


def test_layers_are_initialised_as_the_identity_and_trained(mini_vectors: WordEmbeddings, device: torch.device) -> None:
    plain = vectors_of(DocumentPoolEmbeddings(mini_vectors), sentences())
    linear = DocumentPoolEmbeddings(mini_vectors, "linear").to(device)
    torch.testing.assert_close(vectors_of(linear, sentences()).cpu(), plain)
    nonlinear = DocumentPoolEmbeddings(mini_vectors, fine_tune_mode="nonlinear").to(device)
    first, relu, last = nonlinear.layers
    assert isinstance(relu, nn.ReLU)
    for sentence, vector in zip(sentences(), vectors_of(nonlinear, sentences()), strict=True):
        expected = last(first(features_of(nonlinear, sentence).to(device)).relu()).mean(0)
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=1e-4)
    assert not list(DocumentPoolEmbeddings(mini_vectors).parameters())
    assert [len(list(each.parameters())) for each in (linear, nonlinear)] == [1, 3]
    assert [each.static_embeddings for each in (DocumentPoolEmbeddings(mini_vectors), linear)] == [True, False]


# recurrent networks


@pytest.mark.parametrize("rnn_type", ["GRU", "LSTM", "RNN"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("reproject", [(False, None), (True, None), (True, 7)])
def test_vectors_of_a_network_equal_those_of_single_sentences(
    mini_vectors: WordEmbeddings,
    device: torch.device,
    rnn_type: str,
    bidirectional: bool,
    reproject: tuple[bool, int | None],
) -> None:
    embedding = DocumentRNNEmbeddings(
        [mini_vectors], 6, 2, *reproject, bidirectional=bidirectional, rnn_type=rnn_type
    ).to(device)
    assert embedding.name == f"document_{rnn_type}"
    assert embedding.embedding_length == (24 if bidirectional else 6)
    found = vectors_of(embedding, sentences())
    for sentence, vector in zip(sentences(), found, strict=True):
        features = features_of(embedding, sentence).to(device)
        if embedding.reprojection is not None:
            features = embedding.reprojection(features)
        states = embedding.rnn.rnn(features.unsqueeze(0))[0][0]  # the LSTM of torch, (T, H)
        expected = torch.cat((states[0], states[-1])) if bidirectional else states[-1]
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=1e-4)


def test_defaults_and_positions_of_arguments_are_flairs(mini_vectors: WordEmbeddings) -> None:
    embedding = DocumentRNNEmbeddings([mini_vectors])
    assert (embedding.rnn_type, embedding.embedding_length, embedding.dropout.rate) == ("GRU", 128, 0.5)
    assert embedding.reprojection is not None
    assert embedding.reprojection.out_features == 50
    flairs = DocumentRNNEmbeddings([mini_vectors], 128, 1, False, 64, False, 0.0)
    assert flairs.reprojection is None
    assert flairs.dropout.rate == 0


def test_dropout_uses_the_generator_and_only_in_training(mini_vectors: WordEmbeddings, device: torch.device) -> None:
    embedding = DocumentRNNEmbeddings([mini_vectors], 8, word_dropout=0.3, locked_dropout=0.3).to(device)
    calm = vectors_of(embedding, sentences())
    assert torch.equal(vectors_of(embedding, sentences()), calm)
    embedding.train()
    before = torch.get_rng_state()

    def drawn(seed: int) -> Tensor:
        return vectors_of(embedding, sentences(), torch.Generator(device).manual_seed(seed))

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    assert torch.equal(torch.get_rng_state(), before)
    listed = embedding.embed(sentences())
    torch.testing.assert_close(torch.stack([each.embedding for each in listed]), calm, atol=1e-6, rtol=1e-5)
    assert embedding.training


def test_fine_tune_false_trains_no_weight(mini_vectors: WordEmbeddings) -> None:
    frozen = DocumentRNNEmbeddings([mini_vectors, CharacterEmbeddings()], 4, fine_tune=False)
    assert frozen.static_embeddings
    assert not vectors_of(frozen, sentences()).requires_grad
    trained = DocumentRNNEmbeddings([mini_vectors, CharacterEmbeddings()], 4)
    vectors_of(trained, sentences()).sum().backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and weight.grad.any() for weight in trained.parameters())


# convolutions


@pytest.mark.parametrize("reproject", [(False, None), (True, 7)])
def test_vectors_of_convolutions_are_the_maxima_of_all_windows(
    mini_vectors: WordEmbeddings, device: torch.device, reproject: tuple[bool, int | None]
) -> None:
    embedding = DocumentCNNEmbeddings([mini_vectors], ((3, 2), (4, 5)), *reproject).to(device)
    assert (embedding.name, embedding.embedding_length) == ("document_cnn", 7)
    for sentence, vector in zip(sentences(), vectors_of(embedding, sentences()), strict=True):
        features = features_of(embedding, sentence).to(device)
        features = torch.cat((features, features.new_zeros(max(0, 5 - len(features)), features.shape[1])))
        if embedding.reprojection is not None:
            features = embedding.reprojection(features)
        expected = []
        for conv in embedding.convs:
            width = conv.kernel_size[0]  # type: ignore[index]
            windows = [features[start : start + width].t() for start in range(len(features) - width + 1)]
            values = torch.stack([(conv.weight * window).sum((1, 2)) + conv.bias for window in windows])
            expected.append(values.relu().max(0).values)
        torch.testing.assert_close(vector, torch.cat(expected), atol=1e-5, rtol=1e-4)


def test_convolutions_have_flairs_defaults_and_positions_of_arguments(mini_vectors: WordEmbeddings) -> None:
    embedding = DocumentCNNEmbeddings([mini_vectors])
    assert embedding.kernels == ((100, 3), (100, 4), (100, 5))
    assert (embedding.embedding_length, embedding.dropout.rate, embedding.reproject_words) == (300, 0.5, True)
    flairs = DocumentCNNEmbeddings([mini_vectors], [[2, 1]], False, None, 0.0, 0.1, 0.2, False)
    assert (flairs.word_dropout.rate, flairs.locked_dropout.rate, flairs.static_embeddings) == (0.1, 0.2, True)


@pytest.mark.parametrize("kernels", [3, (), ((1, 2, 3),), ((0, 1),), ((1, 0),), ((1.5, 2),), "ab"])
def test_invalid_kernels_are_refused(mini_vectors: WordEmbeddings, kernels: Any) -> None:
    with pytest.raises(SettingError, match="kernels"):
        DocumentCNNEmbeddings([mini_vectors], kernels)


# all

KINDS: dict[str, Any] = {
    "pool": lambda words: DocumentPoolEmbeddings(words, "nonlinear", "max", seed=3),
    "cnn": lambda words: DocumentCNNEmbeddings(words, ((3, 2), (2, 3)), True, 4, 0.1, 0.2, 0.3, seed=3),
    "rnn": lambda words: DocumentRNNEmbeddings(words, 5, 2, True, 4, True, 0.1, 0.2, 0.3, "LSTM", seed=3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_embed_stores_a_vector_in_each_sentence(mini_vectors: WordEmbeddings, kind: str) -> None:
    embedding: DocumentEmbeddings = KINDS[kind]([mini_vectors])
    listed = [*sentences(), Sentence([])]
    assert embedding.embed(listed) == listed
    expected = vectors_of(embedding, sentences())
    found = torch.stack([sentence.embedding for sentence in listed])
    torch.testing.assert_close(found[:-1], expected, atol=1e-6, rtol=1e-5)
    assert not found.requires_grad
    assert not found[-1].any(), "the vector of an empty sentence is zero"
    assert found.shape == (6, embedding.embedding_length)
    one = listed[0]
    assert torch.equal(one.get_embedding(embedding.get_names()), one.embedding)
    assert one.get_embedding(["other"]).shape == (0,)
    one.clear_embeddings()
    assert len(one.get_embedding()) == 0
    with pytest.raises(LabelError, match="no embedding: call embed"):
        one.embedding  # noqa: B018
    assert embedding.embed([]) == []
    alone = Sentence("I love Berlin")
    assert embedding.embed(alone) == [alone]


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_a_batch_does_not_matter(mini_vectors: WordEmbeddings, kind: str) -> None:
    embedding: DocumentEmbeddings = KINDS[kind](mini_vectors)
    forth, back = embedding.embed(sentences()), embedding.embed(sentences()[::-1])
    for first, second in zip(forth, reversed(back), strict=True):
        assert torch.equal(first.embedding, second.embedding)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_embedding_is_equal(mini_vectors: WordEmbeddings, tmp_path: Path, kind: str) -> None:
    embedding: DocumentEmbeddings = KINDS[kind](StackedEmbeddings([mini_vectors, CharacterEmbeddings(seed=8)]))
    assert not embedding.training
    assert embedding.embedding_type == "sentence-level"
    torch.save(embedding.save_embeddings(), tmp_path / "embedding.pt")
    again = load_embeddings(torch.load(tmp_path / "embedding.pt", weights_only=True))
    assert not again.training
    assert again.get_names() == embedding.get_names()
    assert again.save_embeddings(use_state_dict=False).keys() == embedding.save_embeddings(use_state_dict=False).keys()
    assert torch.equal(vectors_of(again, sentences()), vectors_of(embedding, sentences()))


def test_labels_of_tokens_reach_the_embeddings_of_words() -> None:
    labels = OneHotEmbeddings(Dictionary.from_items(["<unk>", "X", "Y"]), "pos", 3)
    embedding = DocumentPoolEmbeddings(labels)
    listed = [Sentence(["a", "b"]).set_token_labels("pos", ["X", "Y"])]
    torch.testing.assert_close(vectors_of(embedding, listed)[0], labels.embedding_layer.weight[1:3].mean(0))


def test_unknown_words_are_those_of_the_embeddings_of_words(mini_vectors: WordEmbeddings) -> None:
    embedding = DocumentPoolEmbeddings([mini_vectors, WordEmbeddings("glove-mini", fine_tune=True, name="own")])
    words = ["the", "qwxzzv", "dog"]
    unknown = embedding.unknown_words(embedding.index(words))
    assert {name: mask.tolist() for name, mask in unknown.items()} == {
        "glove-mini": [False, True, False, True],
        "own": [False, True, False, True],
    }
