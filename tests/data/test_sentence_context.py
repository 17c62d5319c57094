"""The previous and next sentences of a sentence, and the tokens of its context."""

from __future__ import annotations

import copy
import pickle

import pytest

from flairlite.data import Sentence


def document(*texts: str) -> list[Sentence]:
    sentences = [Sentence(text, use_tokenizer=False) for text in texts]
    Sentence.set_context_for_sentences(sentences)
    return sentences


def words(tokens: list[object]) -> str:
    return " ".join(token.text for token in tokens)  # type: ignore[attr-defined]


def test_neighbours_are_those_of_the_list() -> None:
    sentences = document("a", "b", "c")
    assert [sentence.next_sentence() for sentence in sentences] == [*sentences[1:], None]
    assert [sentence.previous_sentence() for sentence in sentences] == [None, *sentences[:-1]]
    assert all(sentence.is_context_set() for sentence in sentences)


def test_a_sentence_alone_has_no_context() -> None:
    sentence = Sentence("a b")
    assert not sentence.is_context_set()
    assert sentence.next_sentence() is sentence.previous_sentence() is None
    assert sentence.left_context(3) == sentence.right_context(3) == []
    (alone,) = document("a")
    assert alone.is_context_set()


def test_sentences_with_neighbours_are_skipped() -> None:
    first, second = document("a", "b")
    new = Sentence("c")
    Sentence.set_context_for_sentences([first, new, second])
    assert first.next_sentence() is second
    assert new.next_sentence() is new.previous_sentence() is None


@pytest.mark.parametrize("size", range(8))
def test_context_is_a_slice_of_the_document(size: int) -> None:
    sentences = document("a b", "c", "", "d e f", "g", "h i")
    left, right = ["a", "b", "c"], ["g", "h", "i"]
    assert words(sentences[3].left_context(size)) == " ".join(left[len(left) - min(size, 3) :])
    assert words(sentences[3].right_context(size)) == " ".join(right[:size])


def test_context_ends_at_a_document_boundary() -> None:
    sentences = document("a", "-DOCSTART-", "b", "c", "-DOCSTART-", "d")
    sentences[1].is_document_boundary = sentences[4].is_document_boundary = True
    assert words(sentences[3].left_context(9)) == "b"
    assert words(sentences[2].right_context(9)) == "c"
    assert words(sentences[3].left_context(9, respect_document_boundaries=False)) == "a -DOCSTART- b"
    assert words(sentences[2].right_context(2, respect_document_boundaries=False)) == "c -DOCSTART-"


def test_document_boundary_sets_no_context() -> None:
    sentences = [Sentence("-DOCSTART-"), Sentence("a")]
    assert not sentences[0].is_document_boundary
    sentences[0].is_document_boundary = True
    Sentence.set_context_for_sentences(sentences)
    assert sentences[0].is_document_boundary
    assert sentences[1].previous_sentence() is sentences[0]


def test_neighbours_can_be_read_from_a_dataset() -> None:
    sentences = [Sentence(text) for text in "abc"]
    for position, sentence in enumerate(sentences):
        sentence.set_position_in_dataset(sentences, position)
    assert [sentence.next_sentence() for sentence in sentences] == [*sentences[1:], None]
    assert [sentence.previous_sentence() for sentence in sentences] == [None, *sentences[:-1]]


def test_context_is_copied_from_another_sentence() -> None:
    first, second, third = document("a", "b", "c")
    twin = Sentence("b again")
    twin.copy_context_from_sentence(second)
    assert (twin.previous_sentence(), twin.next_sentence()) == (first, third)


def test_copies_of_a_sentence_do_not_contain_its_document() -> None:
    sentences = document(*["word"] * 20_000)  # a chain of references that long would break pickle and deepcopy
    for twin in (copy.deepcopy(sentences[7]), pickle.loads(pickle.dumps(sentences[7]))):
        assert twin.words == ["word"]
        assert not twin.is_context_set()
    assert len(pickle.dumps(sentences[7])) < 1000
    assert len(sentences[10_000].left_context(20_000)) == 10_000
