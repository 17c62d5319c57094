"""Scores that are joined over several batches are those of each batch, and each sentence is encoded once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import torch

from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.encoding import EncodedDataset, LazyDataset
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
