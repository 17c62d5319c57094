"""Character CNNs: torch's convolution over each word alone, with its marks, is the oracle."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from vector_files import vectors_of

from flairlite.data import Dictionary
from flairlite.embeddings import CharacterCNNEmbeddings
from flairlite.errors import SettingError

# repeated words, an unknown character, one of two code units, a long word, an empty word, a lone surrogate
SENTENCES = [
    ["Berlin", "is", "is", "Berlin", "a", "☃", "🤟"],
    ["is", "x" * 600, "Straße", "", "a"],
    ["\ud800", "a", "Donaudampfschifffahrt"],
]


def read_alone(embedding: CharacterCNNEmbeddings, word: str) -> Tensor:
    """Return the largest output of each filter over one word and its marks, from torch's own convolution."""
    if not word:
        return embedding.char_embedding.weight.new_zeros(embedding.embedding_length)
    dictionary = embedding.char_dictionary
    ids = [len(dictionary), *(dictionary.get_idx_for_item(character) for character in word), len(dictionary) + 1]
    items = embedding.char_embedding.weight[ids].T.unsqueeze(0)  # (1, E, C)
    pooled = []
    for width, layer in zip(embedding.widths, embedding.convolutions.layers, strict=True):
        filled = nn.functional.pad(items, (0, max(0, width - len(ids))))
        pooled.append(layer(filled)[0].amax(1))
    return torch.cat(pooled).relu()


def test_a_vector_is_that_of_the_word_alone(device: torch.device) -> None:
    embedding = CharacterCNNEmbeddings(widths=(1, 3, 7)).to(device)
    found = vectors_of(embedding, SENTENCES)
    assert found.shape == (3, 7, embedding.embedding_length) == (3, 7, 120)
    for words, rows in zip(SENTENCES, found, strict=True):
        for word, row in zip(words, rows, strict=False):
            torch.testing.assert_close(row, read_alone(embedding, word), atol=1e-5, rtol=1e-4, msg=word[:20])
        assert not rows[len(words) :].any(), "padding is zero"


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6), st.integers(1, 6))
def test_any_words_are_read_alone(words: list[str], width: int) -> None:
    embedding = CharacterCNNEmbeddings(Dictionary.from_items(["<unk>", *"abc0"]), 3, 2, (width,))
    found = vectors_of(embedding, [words])[0]
    for word, row in zip(words, found, strict=True):
        torch.testing.assert_close(row, read_alone(embedding, word), atol=1e-5, rtol=1e-4)


def test_gradients_equal_those_of_single_words(device: torch.device) -> None:
    together, alone = (CharacterCNNEmbeddings(seed=3).to(device).train() for _ in range(2))
    weights = torch.randn(3, 7, 120, generator=torch.Generator().manual_seed(0)).to(device)
    (vectors_of(together, SENTENCES) * weights).sum().backward()  # type: ignore[no-untyped-call]
    for words, rows in zip(SENTENCES, weights, strict=True):
        for word, row in zip(words, rows, strict=False):
            if word:
                (read_alone(alone, word) * row).sum().backward()  # type: ignore[no-untyped-call]
    expected = {name: weight.grad for name, weight in alone.named_parameters()}
    for name, weight in together.named_parameters():
        torch.testing.assert_close(weight.grad, expected[name], atol=1e-4, rtol=1e-3, msg=name)


def test_marks_distinguish_a_prefix_from_the_same_characters_inside() -> None:
    embedding = CharacterCNNEmbeddings(char_embedding_dim=8, num_filters=50, widths=(3,))
    vectors = {word: row for word, row in zip(("abx", "xab"), vectors_of(embedding, [["abx", "xab"]])[0], strict=True)}
    assert not torch.allclose(vectors["abx"], vectors["xab"])


def test_a_bfloat16_copy_is_close() -> None:
    embedding = CharacterCNNEmbeddings(seed=1)
    exact = vectors_of(embedding, SENTENCES)
    rounded = vectors_of(embedding.bfloat16(), SENTENCES)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("widths", [(), (2, 2), (0,), 3, "23", (1.5,), None])
def test_other_widths_are_refused(widths: object) -> None:
    with pytest.raises(SettingError, match="widths"):
        CharacterCNNEmbeddings(widths=widths)  # type: ignore[arg-type]
