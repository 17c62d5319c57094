"""Sentences that are made when they are first asked for are those that reading one by one gives."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flairlite.bundled import bundled_path
from flairlite.data import Corpus, Sentence
from flairlite.datasets import conllu, read_conllu
from flairlite.datasets.deferred import DeferredPart, DeferredSentences

NUM_SENTENCES = 7


def noted_sentences(sizes: tuple[int, ...] = (3, 4)) -> tuple[DeferredSentences, list[str]]:
    """Return sentences of one word each, `w0`, `w1` and so on, and the words of those that were made, in order."""
    made: list[str] = []

    def make(text: bytes) -> Sentence:
        made.append(text.decode())
        return Sentence([text.decode()])

    parts, first = [], 0
    for size in sizes:
        text = b" ".join(b"w%d" % (first + place) for place in range(size))
        parts.append(DeferredPart(text, [(3 * place, 3 * place + 2) for place in range(size)], make, {}))
        first += size
    return DeferredSentences(parts), made


def texts(sentences: object) -> list[str]:
    assert isinstance(sentences, (list, DeferredSentences))
    return [sentence.text for sentence in sentences]


def test_nothing_is_made_before_it_is_accessed() -> None:
    sentences, made = noted_sentences()
    assert (len(sentences), made) == (NUM_SENTENCES, [])
    assert sentences[4].text == "w4"
    assert made == ["w4"]


def test_sentence_is_made_once_and_keeps_its_changes() -> None:
    sentences, made = noted_sentences()
    sentences[2].set_token_labels("pos", ["X"])
    assert sentences[2] is sentences[-5] is list(sentences)[2]
    assert sentences[2][0].get_label("pos").value == "X"
    assert sorted(made) == [f"w{place}" for place in range(NUM_SENTENCES)]


@given(st.slices(NUM_SENTENCES))
def test_slices_equal_those_of_a_list(part: slice) -> None:
    sentences, _ = noted_sentences()
    assert texts(sentences[part]) == [f"w{place}" for place in range(NUM_SENTENCES)][part]


def test_index_out_of_range_is_an_error() -> None:
    sentences, _ = noted_sentences()
    for place in (NUM_SENTENCES, -NUM_SENTENCES - 1):
        with pytest.raises(IndexError):
            sentences[place]


def test_parts_without_sentences_are_left_out() -> None:
    sentences, _ = noted_sentences((0, 2, 0, 1, 0))
    assert texts(sentences) == ["w0", "w1", "w2"]
    assert len(noted_sentences(())[0]) == 0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copy_is_a_list_of_the_same_sentences(copied: object) -> None:
    sentences, _ = noted_sentences()
    sentences[1].set_token_labels("pos", ["X"])
    again = copied(sentences)  # type: ignore[operator]
    assert isinstance(again, list)
    assert texts(again) == texts(sentences)
    assert again[1][0].get_label("pos").value == "X"
    assert again[1] is not sentences[1]


def test_simultaneous_threads_get_the_same_sentence() -> None:
    count, num_threads = 300, 8
    text = b"x" * count
    part = DeferredPart(text, [(place, place + 1) for place in range(count)], lambda one: Sentence([one.decode()]), {})
    sentences, start = DeferredSentences([part]), threading.Barrier(num_threads)
    got: list[list[Sentence]] = [[] for _ in range(num_threads)]

    def ask(number: int) -> None:
        start.wait()
        got[number] = [sentences[place] for place in range(count)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(num_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for row in zip(*got, strict=True):
        assert len({id(sentence) for sentence in row}) == 1


def test_a_part_of_a_corpus_reads_only_that_part(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = conllu._sentence_of

    def noted(text: bytes) -> Sentence:
        made.append(text)
        return make(text)

    monkeypatch.setattr(conllu, "_sentence_of", noted)
    corpus = Corpus(read_conllu(bundled_path("sample_english") / "train.conllu"))
    assert corpus.train is not None
    assert not made
    corpus.downsample(0.1)
    assert len(made) == len(corpus.train) > 10
