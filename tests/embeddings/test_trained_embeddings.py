"""Embeddings that are trained from scratch: for the items of a dictionary, for hashes, for n-grams."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentences import tagged
from vector_files import vectors_of

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import (
    CharacterEmbeddings,
    HashEmbeddings,
    OneHotEmbeddings,
    StackedEmbeddings,
    SubwordEmbeddings,
    WordEmbeddings,
    load_embeddings,
)
from flairlite.errors import LabelError, SettingError
from flairlite.lookup.packing import Ragged


def generator_of(device: torch.device, seed: int) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


# vectors of a dictionary


def test_each_item_has_its_row_and_others_the_row_of_unk(device: torch.device) -> None:
    items = Dictionary.from_items(["<unk>", "I", "love", "berlin"])
    embedding = OneHotEmbeddings(items, embedding_length=4).to(device)
    found = vectors_of(embedding, [Sentence(["I", "love", "Berlin"]), Sentence(["berlin"])])
    rows = embedding.embedding_layer.weight
    assert torch.equal(found[0], rows[[1, 2, 0]])
    assert torch.equal(found[1], torch.stack((rows[3], rows[4], rows[4])))
    assert not rows[4].any(), "padding is zero"


def test_without_unk_unknown_items_stay_zero() -> None:
    embedding = OneHotEmbeddings(Dictionary.from_items(list("ab"), add_unk=False), embedding_length=3)
    optimizer = torch.optim.SGD(embedding.parameters(), lr=0.1)
    for _ in range(2):
        found = vectors_of(embedding, [Sentence(["a", "c", "b"])])
        assert not found[0, 1].any()
        (found - 1).pow(2).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def test_labels_of_tokens_are_embedded_like_words(device: torch.device) -> None:
    sentences = [tagged("the/DET dog/NOUN barks/VERB loud"), tagged("dog/VERB the/DET")]
    corpus = Corpus(sentences)
    embedding = OneHotEmbeddings.from_corpus(corpus, field="pos", min_freq=1, embedding_length=5).to(device)
    assert embedding.name == "one-hot-pos"
    items = embedding.vocab_dictionary
    assert sorted(items.get_items()) == [
        "<unk>",
        "DET",
        "NOUN",
        "O",
        "VERB",
    ]  # O for a word without a label, as in Flair
    found = vectors_of(embedding, sentences)
    expected = [["DET", "NOUN", "VERB", "O"], ["VERB", "DET"]]
    for rows, labels in zip(found, expected, strict=True):
        ids = items.get_idx_for_items(labels)
        assert torch.equal(rows[: len(labels)], embedding.embedding_layer.weight[ids])
    embedding.embed(sentences)
    assert torch.equal(sentences[1][0].embedding, found[1, 0])


def test_words_and_labels_can_be_stacked(mini_vectors: WordEmbeddings) -> None:
    sentences = [tagged("the/DET dog/NOUN"), tagged("dog/VERB the"), Sentence([])]
    labels = OneHotEmbeddings(Dictionary.from_items(["<unk>", "NOUN", "VERB"]), "pos", 4)
    named = WordEmbeddings("glove-mini", field="pos")
    parts = [labels, mini_vectors, named, CharacterEmbeddings()]
    nested = StackedEmbeddings([labels, StackedEmbeddings(parts[1:])])
    assert nested.fields == ("pos",)
    found = vectors_of(nested, sentences[:2])
    apart = torch.cat([vectors_of(part, sentences[:2]) for part in parts], dim=2)
    assert torch.equal(found[..., :104], apart[..., :104])  # vectors from tables
    torch.testing.assert_close(found, apart)  # the LSTM may differ in the last bit
    dog, other_dog = found[0, 1], found[1, 0]
    assert not torch.equal(dog[:4], other_dog[:4])
    assert torch.equal(dog[4:54], other_dog[4:54])
    noun = Sentence(["NOUN"])
    mini_vectors.embed(noun)
    assert torch.equal(dog[54:104], noun[0].embedding)
    nested.embed(sentences)
    assert torch.equal(sentences[0].get_token_embeddings()[:, :104], found[0, :, :104])
    torch.testing.assert_close(sentences[0].get_token_embeddings(), found[0])


def test_from_corpus_uses_frequent_items_of_the_training_split(sample: Corpus) -> None:
    counts: dict[str, int] = {}
    for sentence in sample.train or ():
        for word in sentence.words:
            counts[word] = counts.get(word, 0) + 1
    embedding = OneHotEmbeddings.from_corpus(sample, min_freq=5, stable=True)
    items = embedding.vocab_dictionary.get_items()
    assert items[0] == "<unk>"
    assert set(items[1:]) == {word for word, count in counts.items() if count >= 5}
    assert embedding.embedding_length == 300
    vectors = vectors_of(embedding, [Sentence(["the", "dog"])])
    torch.testing.assert_close(vectors.mean(2), torch.zeros(1, 2), atol=1e-5, rtol=0)
    with pytest.raises(LabelError, match=r"no 'upos' of a token occurs 100000 times .* are .*upos"):
        OneHotEmbeddings.from_corpus(sample, field="upos", min_freq=100_000)
    with pytest.raises(LabelError, match="no 'ner' of a token occurs 3 times"):
        OneHotEmbeddings.from_corpus(sample, field="ner")


def test_items_are_counted_and_looked_up_in_one_form() -> None:
    corpus = Corpus([Sentence(["The", "the", "THE", "in", "1999", "In", "2000", "x"])])
    embedding = OneHotEmbeddings.from_corpus(corpus, min_freq=2, lower_case=True, zero_digits=True, embedding_length=4)
    assert embedding.vocab_dictionary.get_items() == ["<unk>", "the", "in", "0000"]
    rows = embedding.index(["tHE", "3456", "٣٣٣٣", "iN", "x", "345"]).tolist()
    assert rows == [1, 3, 3, 2, 0, 0, 4]
    only_digits = OneHotEmbeddings.from_corpus(corpus, min_freq=1, zero_digits=True)
    assert {"The", "the", "THE", "0000"} < set(only_digits.vocab_dictionary.get_items())


@pytest.mark.parametrize(("rate", "alpha"), [(0.2, 0.0), (0.0, 2.0), (0.2, 2.0)])
def test_items_are_replaced_by_unk_in_training_at_the_given_rates(
    device: torch.device, rate: float, alpha: float
) -> None:
    corpus = Corpus([Sentence(["a"] * 8 + ["b"] * 2)])
    embedding = OneHotEmbeddings.from_corpus(
        corpus, min_freq=1, embedding_length=3, unk_dropout=rate, unk_alpha=alpha
    ).to(device)
    sentence = Sentence(["a", "b", "c"] * 4000)
    exact = vectors_of(embedding, [sentence, Sentence(["a"])])
    unk = embedding.embedding_layer.weight[0]
    assert not (exact[0, :2] == unk).any(), "nothing is replaced in prediction"
    embedding.train()
    draws = [vectors_of(embedding, [sentence, Sentence(["a"])], generator_of(device, seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    is_replaced = (draws[0][0] != exact[0]).any(1)
    assert torch.equal(draws[0][0][is_replaced], unk.expand(int(is_replaced.sum()), 3))
    for offset, count in enumerate((8, 2)):
        expected = 1 - (1 - rate) * (1 - alpha / (alpha + count) if alpha else 1)
        assert is_replaced[offset::3].float().mean().item() == pytest.approx(expected, abs=0.03)
    assert not draws[0][1, 1:].any(), "padding stays zero"


def test_dropout_of_items_leaves_the_global_generator_and_other_draws_as_they_are() -> None:
    corpus = Corpus([Sentence(["a", "b"])])
    embedding = OneHotEmbeddings.from_corpus(corpus, min_freq=1, embedding_length=3, unk_dropout=0.5).train()
    before = torch.get_rng_state()
    vectors_of(StackedEmbeddings([embedding]).train(), [Sentence(["a", "b"])], torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    generator = torch.Generator().manual_seed(0)
    vectors_of(OneHotEmbeddings.from_corpus(corpus, min_freq=1).train(), [Sentence(["a"])], generator)
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state()), "nothing is drawn"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unk_dropout": 1.0}, "unk_dropout must be at least 0 and below 1"),
        ({"unk_alpha": -1}, "unk_alpha must be at least 0"),
        ({"unk_alpha": 0.25}, r"unk_alpha needs the counts .* OneHotEmbeddings\.from_corpus"),
        ({"unk_alpha": 0.25, "counts": [1]}, "counts must be a list of 2 whole numbers"),
        ({"unk_alpha": 0.25, "counts": "12"}, "counts must be a list of 2 whole numbers"),
        ({"unk_alpha": 0.25, "counts": [1, -1]}, "a count must be at least 0"),
        ({"lower_case": "yes"}, "lower_case must be True or False"),
        ({"zero_digits": 1}, "zero_digits must be True or False"),
    ],
)
def test_other_options_of_items_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        OneHotEmbeddings(Dictionary.from_items(["<unk>", "a"]), **options)
    with pytest.raises(SettingError, match="need a dictionary with <unk>"):
        OneHotEmbeddings(Dictionary.from_items(["a"], add_unk=False), unk_dropout=0.1)


@pytest.mark.parametrize(("item", "options"), [("Berlin", {"lower_case": True}), ("1990", {"zero_digits": True})])
def test_items_that_are_never_found_are_reported_and_can_be_loaded(
    item: str, options: dict[str, bool], caplog: pytest.LogCaptureFixture
) -> None:
    OneHotEmbeddings(Dictionary.from_items(["a", item], add_unk=True), **options)  # type: ignore[arg-type]
    assert f"1 of 2 items of the dictionary, such as '{item}', are never found" in caplog.text
    embedding = OneHotEmbeddings(Dictionary.from_items([item], add_unk=True), **options)  # type: ignore[arg-type]
    assert "1 of 1 items of the dictionary" in caplog.text
    load_embeddings(embedding.save_embeddings())


def test_params_of_older_versions_are_read() -> None:
    embedding = OneHotEmbeddings(Dictionary.from_items(["<unk>", "a"]), "text", 4)
    params = embedding.save_embeddings()
    older = {"items", "add_unk", "field", "embedding_length", "stable", "class", "given_name", "state_dict"}
    again = load_embeddings({name: value for name, value in params.items() if name in older})
    assert torch.equal(vectors_of(again, [["a", "b"]]), vectors_of(embedding, [["a", "b"]]))


# vectors of hashes


def test_the_hash_of_a_word_selects_its_row() -> None:
    embedding = HashEmbeddings(num_embeddings=10, embedding_length=3)
    found = vectors_of(embedding, [Sentence(["Berlin", "a", "Berlin"])])
    berlin, a = (int(hashlib.md5(word).hexdigest(), 16) % 10 for word in (b"Berlin", b"a"))
    assert torch.equal(found[0], embedding.embedding_layer.weight[[berlin, a, berlin]])
    with pytest.raises(SettingError, match=r"hash_method must be one of .*md5.*, not 'md55'"):
        HashEmbeddings(hash_method="md55")


# vectors of n-grams

FNV_START, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


def fnv(codes: list[int]) -> int:
    state = FNV_START
    for code in codes:
        state = ((state ^ code) * FNV_PRIME) % 2**64
    return state


def parts_of(word: str, min_length: int, max_length: int) -> list[int]:
    """Return the hashes of the parts of a word, computed one by one."""
    if not word:
        return []
    codes = [2, *map(ord, word), 3]
    found = [fnv(list(word.encode("utf-8", "surrogatepass")))]
    for length in range(min_length, max_length + 1):
        found += [fnv(codes[start : start + length]) for start in range(len(codes) - length + 1)]
    return found


@given(st.lists(st.text(max_size=8), min_size=1, max_size=6, unique=True), st.integers(1, 3), st.integers(0, 3))
def test_a_word_is_the_mean_of_its_parts(words: list[str], min_length: int, more: int) -> None:
    embedding = SubwordEmbeddings(4, 97, min_length, min_length + more)
    found = vectors_of(embedding, [Sentence([*words, *reversed(words)])])[0]
    for word, row, again in zip(words, found, reversed(found), strict=False):
        rows = [value % 97 for value in parts_of(word, min_length, min_length + more)]
        mean = embedding.weight[rows].mean(0) if rows else torch.zeros(4)
        torch.testing.assert_close(row, mean, atol=1e-6, rtol=1e-5)
        assert torch.equal(row, again)


def test_words_with_a_common_stem_are_closer_than_others() -> None:
    embedding = SubwordEmbeddings(1000)
    first, second, other = vectors_of(embedding, [Sentence(["unhappiness", "unhappily", "blorgfest"])])[0]
    assert torch.cosine_similarity(first, second, dim=0) > 0.3
    assert torch.cosine_similarity(first, other, dim=0).abs() < 0.15


def test_gradients_reach_the_parts_of_occurring_words(device: torch.device) -> None:
    embedding = SubwordEmbeddings(3, 1000).to(device)
    sentences = [Sentence(["cat", "cat", "hat"]), Sentence(["cat"])]
    vectors_of(embedding, sentences).sum().backward()  # type: ignore[no-untyped-call]
    expected = torch.zeros(1000, 3)
    for word in ("cat", "cat", "hat", "cat"):
        rows = [value % 1000 for value in parts_of(word, 3, 5)]
        for row in rows:
            expected[row] += 1 / len(rows)
    assert embedding.weight.grad is not None
    torch.testing.assert_close(embedding.weight.grad.cpu(), expected)


# all trained embeddings

TRAINED: dict[str, Any] = {
    "one-hot": lambda seed: OneHotEmbeddings(Dictionary.from_items(["<unk>", "a"]), "pos", 4, stable=True, seed=seed),
    "hash": lambda seed: HashEmbeddings(5, 4, seed=seed),
    "subword": lambda seed: SubwordEmbeddings(4, 30, 2, 3, name="parts", seed=seed),
}


@pytest.mark.parametrize("kind", TRAINED)
def test_a_loaded_embedding_is_equal(tmp_path: Path, kind: str) -> None:
    embedding = TRAINED[kind](7)
    assert not embedding.training
    assert not embedding.static_embeddings
    assert embedding.embedding_type == "word-level"
    torch.save(embedding.save_embeddings(), tmp_path / "embedding.pt")
    again = load_embeddings(torch.load(tmp_path / "embedding.pt", weights_only=True))
    assert again.get_names() == embedding.get_names()
    assert not again.training
    sentences = [tagged("a/a b/b abc/a 🤟/c")]
    assert torch.equal(vectors_of(again, sentences), vectors_of(embedding, sentences))


@pytest.mark.parametrize("kind", TRAINED)
def test_the_seed_determines_the_weights(kind: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (next(TRAINED[kind](seed).parameters()) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=5), st.data())
def test_rows_can_be_padded_and_joined(rows: list[list[int]], data: st.DataObject) -> None:
    ragged = Ragged.pack(np.array([value for row in rows for value in row]), np.array(list(map(len, rows))))
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=6))
    padded = ragged.pad(np.array(chosen))
    for index, row in zip(chosen, padded.tolist(), strict=True):
        assert row[: len(rows[index])] == rows[index]
        assert set(row) <= set(rows[index]), "padding is a value of the row"
    values, starts = ragged.join(np.array(chosen))
    assert values.tolist() == [value for index in chosen for value in rows[index]]
    assert starts.tolist() == [sum(len(rows[other]) for other in chosen[:end]) for end in range(len(chosen))]
