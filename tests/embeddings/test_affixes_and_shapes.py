"""Embeddings of prefixes, suffixes and word shapes, against versions that read one word at a time."""

from __future__ import annotations

import re
import unicodedata

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from vector_files import vectors_of

from flairlite.embeddings import AffixEmbeddings, WordShapeEmbeddings

FNV_START, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
words = st.lists(st.text(max_size=8) | st.sampled_from(["Berlin", "Y2K-proof", "U.S.", "中文", "ǅ", "²", "\ud800"]))


def fnv(codes: list[int]) -> int:
    state = FNV_START
    for code in codes:
        state = ((state ^ code) * FNV_PRIME) % 2**64
    return state


# affixes


def affixes_of(word: str, max_length: int) -> list[int]:
    """Return the hashes of the prefixes and the suffixes of a word, one by one."""
    normalized = re.sub(r"\d", "0", word.lower())
    found = []
    for side in (0, 1):
        for length in range(1, max_length + 1):
            affix = normalized[::-1][:length] if side else normalized[:length]
            found.append(fnv([*map(ord, affix), 2 * length + side]))
    return found


@given(words, st.integers(1, 5))
@example(["", "", "a"], 3)
@example(["a", "x" * 600, ""], 4)
def test_a_word_has_the_vectors_of_its_prefixes_and_suffixes(words: list[str], max_length: int) -> None:
    embedding = AffixEmbeddings(max_length, 3, 101)
    assert embedding.embedding_length == 6 * max_length
    if not words:
        return
    found = vectors_of(embedding, [[*words, *reversed(words)], words[:1]])
    assert not found[1, 1:].any(), "padding is zero"
    for word, row, again in zip(words, found[0], reversed(found[0]), strict=False):
        rows = [value % 101 for value in affixes_of(word, max_length)] if word else [101] * 2 * max_length
        assert torch.equal(row, embedding.weight[rows].flatten())
        assert torch.equal(row, again)


def test_words_with_a_common_suffix_share_its_features() -> None:
    embedding = AffixEmbeddings(3, 4)
    walking, talking = vectors_of(embedding, [["Walking", "talking"]])[0]
    assert torch.equal(walking[12:], talking[12:])
    assert not torch.equal(walking[:12], talking[:12])
    assert torch.equal(vectors_of(embedding, [["b52"]]), vectors_of(embedding, [["B99"]]))


def test_gradients_reach_the_affixes_of_occurring_words_only() -> None:
    embedding = AffixEmbeddings(2, 3, 997)
    vectors_of(embedding, [["cat", "cat", ""], ["a"]]).sum().backward()  # type: ignore[no-untyped-call]
    expected = torch.zeros(998, 3)
    for word in ("cat", "cat", "a"):
        for value in affixes_of(word, 2):
            expected[value % 997] += 1
    assert embedding.weight.grad is not None
    torch.testing.assert_close(embedding.weight.grad.cpu(), expected)


# shapes


def shape_of(word: str) -> str:
    """Return the shape of a word, one character at a time."""
    shape = ""
    for character in word:
        category = unicodedata.category(character)
        if category in ("Lu", "Lt"):
            character = "X"
        elif category == "Ll":
            character = "x"
        elif category.startswith("L"):
            character = "a"
        elif category == "Nd":
            character = "d"
        if not shape.endswith(2 * character):
            shape += character
    return shape[:10]


def features_of(word: str) -> list[bool]:
    categories = [unicodedata.category(character) for character in word]
    is_upper = [category in ("Lu", "Lt") for category in categories]
    is_letter = [category.startswith("L") for category in categories]
    is_digit = [category == "Nd" for category in categories]
    marks = [[character in group for character in word] for group in ("-‐‑–", "'’", ".")]
    others = [not any(kinds) for kinds in zip(is_letter, is_digit, *marks, strict=True)]
    return [
        any(is_upper[:1]),
        bool(word) and all(is_upper),
        bool(word) and all(category == "Ll" for category in categories),
        any(is_upper[1:]),
        any(is_letter),
        any(is_digit),
        bool(word) and all(is_digit),
        *map(any, marks),
        any(others),
        bool(word) and not any(is_letter) and not any(is_digit),
        not word.isascii(),
        *(len(word) >= least for least in (2, 3, 4, 6, 9, 13)),
    ]


@pytest.mark.parametrize(
    ("word", "shape"),
    [("Berlin", "Xxx"), ("It", "Xx"), ("Y2K-proof", "XdX-xx"), ("1,000.50", "d,dd.dd"), ("!!!!", "!!"), ("中文", "aa")],
)
def test_shapes_of_some_words(word: str, shape: str) -> None:
    assert shape_of(word) == shape


@given(words)
@example(["aab", "bbb", "", "bb", "x" * 600, "".join(map(chr, range(32, 127)))])
def test_a_word_has_the_vector_of_its_shape_and_its_features(words: list[str]) -> None:
    embedding = WordShapeEmbeddings(4, 97)
    assert embedding.embedding_length == 4 + 19
    if not words:
        return
    found = vectors_of(embedding, [[*words, *reversed(words)], words[:1]])
    assert not found[1, 1:].any(), "padding is zero"
    for word, row, again in zip(words, found[0], reversed(found[0]), strict=False):
        index = fnv(list(map(ord, shape_of(word)))) % 97 if word else 97
        assert torch.equal(row[:4], embedding.weight[index])
        assert row[4:].bool().tolist() == features_of(word), word
        assert torch.equal(row, again)


def test_gradients_reach_the_shapes_of_occurring_words_only() -> None:
    embedding = WordShapeEmbeddings(2, 50)
    vectors_of(embedding, [["Cat", "Cat", ""], ["a"]]).sum().backward()  # type: ignore[no-untyped-call]
    expected = torch.zeros(51, 2)
    for word in ("Cat", "Cat", "a"):
        expected[fnv(list(map(ord, shape_of(word)))) % 50] += 1
    assert embedding.weight.grad is not None
    torch.testing.assert_close(embedding.weight.grad.cpu(), expected)
