"""Scores that are joined over several batches are those of each batch."""

from __future__ import annotations

import pytest
import torch

from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.models import SequenceTagger, inference
from flairlite.models.inference import score_batches


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
    sentences = [Sentence([words[place % 7] for place in range(length)]) for length in lengths]
    encoded = tagger.encode(sentences)
    seen: list[int] = []
    for batch, scores in score_batches(tagger, encoded, batch_size):
        assert scores.shape[:2] == batch.mask.shape
        assert scores.shape[0] * scores.shape[1] <= max(limit, batch_size * int(batch.lengths.max()))
        for row, index in enumerate(batch.indices.tolist()):
            alone = tagger(encoded.batch(torch.tensor([index])))[0]
            torch.testing.assert_close(scores[row, : lengths[index]], alone)
        seen += batch.indices.tolist()
    assert sorted(seen) == [place for place, length in enumerate(lengths) if length]
