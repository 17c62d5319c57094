"""Character embeddings: each distinct word of a batch is read once, independently of the other words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from vector_files import vectors_of

from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import CharacterCNNEmbeddings, CharacterEmbeddings, load_embeddings
from flairlite.errors import SettingError

# repeated words, an unknown character, one of two code units, a long word, an empty word, a lone surrogate
SENTENCES = [
    ["Berlin", "is", "is", "Berlin", "a", "☃", "🤟"],
    ["is", "x" * 300, "Straße", "", "a"],
    ["\ud800", "a", "Donaudampfschifffahrt"],
]


def read_alone(embedding: CharacterEmbeddings, word: str) -> Tensor:
    """Return the last state of each direction over one word, from torch's own LSTM."""
    if not word:
        return embedding.char_embedding.weight.new_zeros(embedding.embedding_length)
    ids = torch.tensor([embedding.char_dictionary.get_idx_for_item(character) for character in word])
    characters = embedding.char_embedding(ids.to(embedding.char_embedding.weight.device))  # (C, D)
    _, (last, _) = embedding.char_rnn.rnn(characters.unsqueeze(0))
    return torch.cat((last[0, 0], last[1, 0]))


def test_a_vector_equals_the_last_states_of_the_word_alone(device: torch.device) -> None:
    embedding = CharacterEmbeddings().to(device)
    found = vectors_of(embedding, SENTENCES)
    assert found.shape == (3, 7, embedding.embedding_length) == (3, 7, 50)
    for words, rows in zip(SENTENCES, found, strict=True):
        for word, row in zip(words, rows, strict=False):
            torch.testing.assert_close(row, read_alone(embedding, word), atol=1e-5, rtol=1e-4, msg=word)
        assert not rows[len(words) :].any(), "padding is zero"


def test_gradients_equal_those_of_single_words(device: torch.device) -> None:
    together, alone = (
        CharacterEmbeddings(seed=3).to(device).train() for _ in range(2)
    )  # cuDNN has gradients only in training mode
    weights = torch.randn(3, 7, 50, generator=torch.Generator().manual_seed(0)).to(device)
    (vectors_of(together, SENTENCES) * weights).sum().backward()  # type: ignore[no-untyped-call]
    for words, rows in zip(SENTENCES, weights, strict=True):
        for word, row in zip(words, rows, strict=False):
            if word:
                (read_alone(alone, word) * row).sum().backward()  # type: ignore[no-untyped-call]
    expected = {name: weight.grad for name, weight in alone.named_parameters()}
    for name, weight in together.named_parameters():
        torch.testing.assert_close(weight.grad, expected[name], atol=1e-4, rtol=1e-3, msg=name)


def test_repeated_words_have_equal_vectors() -> None:
    embedding = CharacterEmbeddings()
    sentences = [Sentence(["to", "be", "or", "not", "to", "be"]), Sentence(["be", "to"])]
    embedding.embed(sentences)
    first, second = sentences
    assert torch.equal(first[0].embedding, first[4].embedding)
    assert torch.equal(first[1].embedding, second[0].embedding)
    assert not torch.equal(first[0].embedding, first[1].embedding)


def test_unknown_characters_share_one_vector() -> None:
    embedding = CharacterEmbeddings(Dictionary.from_items(["<unk>", "a", "b"]))
    assert torch.equal(vectors_of(embedding, [["axb"]]), vectors_of(embedding, [["a☃b"]]))
    assert not torch.equal(vectors_of(embedding, [["axb"]]), vectors_of(embedding, [["aab"]]))
    nothing_known = CharacterEmbeddings(Dictionary())
    assert torch.equal(vectors_of(nothing_known, [["abc"]]), vectors_of(nothing_known, [["xyz"]]))


def test_a_dictionary_may_be_a_file_and_needs_unk(tmp_path: Path) -> None:
    characters = Dictionary.from_items(["<unk>", *"Berlin"])
    characters.save(tmp_path / "characters.json")
    for given in (tmp_path / "characters.json", str(tmp_path / "characters.json"), characters):
        embedding = CharacterEmbeddings(given, 5, 4)
        assert embedding.char_embedding.weight.shape == (7, 5)
        assert embedding.embedding_length == 8
    with pytest.raises(SettingError, match="needs <unk>"):
        CharacterEmbeddings(Dictionary.from_items(list("abc"), add_unk=False))


@pytest.mark.parametrize("kind", [CharacterEmbeddings, CharacterCNNEmbeddings])
def test_a_dictionary_of_words_is_reported_and_can_be_loaded(
    kind: type[CharacterEmbeddings], caplog: pytest.LogCaptureFixture
) -> None:
    kind(Dictionary.from_items(["<unk>", "a", "the"]))
    assert "1 of 2 items of path_to_char_dict, such as 'the', are not one character" in caplog.text
    embedding = kind(Dictionary.from_items(["<unk>", "the", "cat"]))
    assert "2 of 2 items of path_to_char_dict" in caplog.text
    load_embeddings(embedding.save_embeddings())


def test_common_characters_cover_european_texts() -> None:
    characters = Dictionary.load("common-chars")
    assert all(characters.has_item(character) for character in "aZ09 .,äßéłőñαΩжЯ€£–„“…")
    assert characters.get_idx_for_item("漢") == 0
    assert all(len(item) == 1 for item in characters.get_items()[1:])


def test_the_seed_determines_the_weights_and_keeps_the_global_generator() -> None:
    before = torch.get_rng_state()
    first, again, other = CharacterEmbeddings(seed=1), CharacterEmbeddings(seed=1), CharacterEmbeddings(seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(vectors_of(first, SENTENCES), vectors_of(again, SENTENCES))
    assert not torch.equal(vectors_of(first, SENTENCES), vectors_of(other, SENTENCES))


def test_a_loaded_embedding_gives_equal_vectors(tmp_path: Path) -> None:
    embedding = CharacterEmbeddings(Dictionary.from_items(["<unk>", *"Berlnaist"]), 7, 6, "spelling", seed=5)
    torch.save(embedding.save_embeddings(), tmp_path / "embedding.pt")
    again = load_embeddings(torch.load(tmp_path / "embedding.pt", weights_only=True))
    assert (again.name, again.embedding_length, again.training) == ("spelling", 12, False)
    assert torch.equal(vectors_of(again, SENTENCES), vectors_of(embedding, SENTENCES))
    without = load_embeddings(embedding.save_embeddings(use_state_dict=False))
    assert not torch.equal(vectors_of(without, SENTENCES), vectors_of(embedding, SENTENCES))
