"""Scores that are joined over several batches are those of each batch, and each sentence is encoded once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.encoding import Batch, EncodedDataset, LazyDataset
from flairlite.models import SequenceTagger, inference
from flairlite.models.inference import decode_dataset, score_batches


@pytest.fixture(scope="module")
def tagger() -> SequenceTagger:
    labels = Dictionary.from_items(["A", "B", "C"])
    return SequenceTagger(WordEmbeddings("glove-mini"), labels, "pos", hidden_size=8, seed=1).eval()


@pytest.mark.parametrize("limit", [1, 20, 60, 10_000])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
@torch.inference_mode()
def test_every_sentence_comes_once_with_its_scores(
    tagger: SequenceTagger, monkeypatch: pytest.MonkeyPatch, limit: int, batch_size: int
) -> None:
    monkeypatch.setattr(inference, "_GROUP_TOKENS", limit)
    words = ["the", "tree", "of", "Berlin", "is", "green", "."]
    lengths = [3, 0, 7, 1, 1, 5, 7, 2, 0, 6, 4, 4, 9, 1]
    sentences = [Sentence([words[index % 7] for index in range(length)]) for length in lengths]
    encoded = tagger.encode(sentences)
    seen: list[int] = []
    for batch, scores in score_batches(tagger, encoded, batch_size):
        assert scores.shape[:2] == batch.mask.shape
        assert scores.shape[0] * scores.shape[1] <= max(limit, batch_size * int(batch.lengths.max()))
        for row, index in enumerate(batch.indices.tolist()):
            alone = tagger(encoded.batch(torch.tensor([index])))[0]
            torch.testing.assert_close(scores[row, : lengths[index]], alone)
        seen += batch.indices.tolist()
    assert sorted(seen) == [index for index, length in enumerate(lengths) if length]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_a_lazy_data_set_is_encoded_once_and_gives_the_same(tagger: SequenceTagger, batch_size: int) -> None:
    sentences = [
        Sentence(["the", "tree", "Berlin"][: 1 + index % 3]).set_token_labels("pos", ["A", "B", "A"][: 1 + index % 3])
        for index in range(40)
    ]
    encoded_words: Counter[str] = Counter()

    def encode(chosen: Sequence[Sentence]) -> EncodedDataset:
        encoded_words.update(word for sentence in chosen for word in sentence.words)
        return tagger.encode(chosen, label_type="pos", labels=tagger.label_names)

    lazy = decode_dataset(tagger, LazyDataset(sentences, encode), batch_size, with_probabilities=True, with_loss=True)
    assert encoded_words == Counter(word for sentence in sentences for word in sentence.words)
    whole = decode_dataset(tagger, encode(sentences), batch_size, with_probabilities=True, with_loss=True)
    assert lazy.num_labels == whole.num_labels == encoded_words.total() // 2
    torch.testing.assert_close(lazy.loss, whole.loss)
    for name in ("class_ids", "scores", "probabilities"):
        lazy_values, whole_values = getattr(lazy.decoded, name), getattr(whole.decoded, name)
        torch.testing.assert_close(lazy_values[:-1], whole_values[:-1])


def test_scores_are_computed_only_if_requested(tagger: SequenceTagger) -> None:
    encoded = tagger.encode([Sentence(["the", "tree"])])
    inference_only = decode_dataset(tagger, encoded, 2, with_scores=False)
    assert inference_only.decoded.scores is None
    assert float(inference_only.loss) == 0
    assert decode_dataset(tagger, encoded, 2).decoded.probabilities is None


# ------------------------------------------------------------------------------------------------------- on a GPU


@pytest.fixture
def asynchronous(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Predict on a CPU as on a GPU, in chunks of two sentences, and return a list of what happens."""
    events: list[str] = []
    decode, copy = inference.decode_dataset, inference.start_copies

    def decode_and_note(*arguments: Any, **options: Any) -> Any:
        events.append("start")
        return decode(*arguments, **options)

    def copy_and_note(tensors: Sequence[torch.Tensor]) -> Any:
        return copy(tensors)[0], lambda: events.append("wait")

    monkeypatch.setattr(inference, "ASYNCHRONOUS", ("cpu", "cuda"))
    monkeypatch.setattr(inference, "decode_dataset", decode_and_note)
    monkeypatch.setattr(inference, "start_copies", copy_and_note)
    monkeypatch.setattr("flairlite.prediction.sentences._CHUNK_SIZE", 2)
    return events


def make_sentences(count: int) -> list[Sentence]:
    return [Sentence(["the", "tree", "Berlin", "is"][: 1 + index % 4]) for index in range(count)]


def test_a_gpu_computes_while_the_next_sentences_are_read(tagger: SequenceTagger, asynchronous: list[str]) -> None:
    for _ in tagger.predict_stream(make_sentences(8)):
        asynchronous.append("label")
    step = ["start", "wait", "label", "label"]
    assert asynchronous == ["start", *step * 3, *step[1:]]


def test_predictions_do_not_depend_on_when_they_are_fetched(
    tagger: SequenceTagger, request: pytest.FixtureRequest
) -> None:
    expected = tagger.predict(make_sentences(9))
    request.getfixturevalue("asynchronous")
    found = tagger.predict(make_sentences(9))
    for one, other in zip(found, expected, strict=True):
        assert [label.value for label in one.get_labels("pos")] == [label.value for label in other.get_labels("pos")]
        scores = [[label.score for label in sentence.get_labels("pos")] for sentence in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_sentences_before_an_error_are_labelled(tagger: SequenceTagger, asynchronous: list[str]) -> None:
    def read() -> Iterator[Sentence]:
        yield from make_sentences(4)
        raise ZeroDivisionError

    stream = tagger.predict_stream(read())
    assert all(next(stream).get_labels("pos") for _ in range(4))
    with pytest.raises(ZeroDivisionError):
        next(stream)


@torch.inference_mode()
def test_a_gpu_computes_some_hundred_sentences_at_once(
    tagger: SequenceTagger, asynchronous: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    forward = type(tagger).forward

    def forward_and_note(model: SequenceTagger, batch: Batch, *rest: Any) -> torch.Tensor:
        sizes.append(len(batch.indices))
        return forward(model, batch, *rest)

    monkeypatch.setattr(SequenceTagger, "forward", forward_and_note)
    encoded = tagger.encode(make_sentences(700))
    assert len(list(score_batches(tagger, encoded, 64))) == 1
    assert sizes == [700]
    monkeypatch.setattr(inference, "ASYNCHRONOUS", ())
    list(score_batches(tagger, encoded, 64))
    assert max(sizes[1:]) == 64
