"""Samplers of several corpora: how often each sentence is drawn, and that training puts similar lengths together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentences import tagged

from flairlite.data import ConcatDataset, Corpus, FlairDataset, MultiCorpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import SettingError
from flairlite.models import SequenceTagger
from flairlite.samplers import (
    ChunkSampler,
    ExpandingChunkSampler,
    FlairSampler,
    ImbalancedClassificationDatasetSampler,
    MultiCorpusSampler,
)
from flairlite.trainers import Callback, ModelTrainer, TrainingState


class OnDisk(FlairDataset):
    """Sentences that must not be read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def is_in_memory(self) -> bool:
        return False

    def __len__(self) -> int:
        return self.count

    def sentence_at(self, index: int) -> Sentence:
        raise AssertionError("a sentence was read")


@given(
    parts=st.lists(st.tuples(st.integers(1, 12), st.floats(0, 3)), min_size=1, max_size=4),
    has_dev=st.booleans(),
)
def test_each_sentence_is_drawn_as_often_as_its_corpus_weighs(parts: list[tuple[int, float]], has_dev: bool) -> None:
    sizes = [size for size, _ in parts]
    names = [f"corpus {index}" for index in range(len(parts))]
    dataset = ConcatDataset([OnDisk(size) for size in sizes], names)
    dev = OnDisk(3)
    sampler = MultiCorpusSampler({name: weight for name, (_, weight) in zip(names, parts, strict=True)}, seed=1)
    sampler.set_dataset(ConcatDataset([dataset, dev]) if has_dev else dataset)
    drawn = [list(sampler), list(sampler)]
    start = 0
    for size, weight in [*parts, *([(3, 1.0)] if has_dev else [])]:
        for epoch in drawn:
            counts = Counter(epoch)
            found = [counts[position] for position in range(start, start + size)]
            assert sum(found) == round(size * weight)
            assert max(found) - min(found) <= 1
        start += size
    assert len(sampler) == len(drawn[0])
    if len(sampler) > 12:
        assert drawn[0] != drawn[1], "each epoch is drawn anew"


def corpus_of(*texts: str) -> Corpus:
    return Corpus([tagged(text) for text in texts])


@pytest.mark.parametrize("is_downsampled", [False, True])
def test_corpora_are_known_by_their_default_names(is_downsampled: bool) -> None:
    corpus = MultiCorpus([corpus_of("a/X", "b/X"), corpus_of("c/X", "d/X")])
    if is_downsampled:
        corpus.downsample(1.0)  # the corpus is a list then
    sampler = MultiCorpusSampler({"Task_1": 3})
    sampler.set_dataset(corpus.train or ())
    assert Counter(sampler) == {0: 1, 1: 1, 2: 3, 3: 3}


@pytest.mark.parametrize(
    ("sentences", "known"),
    [
        (MultiCorpus([corpus_of("a/X"), corpus_of("b/X")], ["ewt", "aux"]).train, "ewt, aux"),
        (corpus_of("a/X").train, "none: make them a MultiCorpus"),
    ],
    ids=["other names", "one corpus"],
)
def test_a_corpus_that_is_not_there_is_an_error(sentences: Any, known: str) -> None:
    with pytest.raises(
        SettingError, match=f"weights are given for Task_1, but the task ids of the corpora are {known}"
    ):
        MultiCorpusSampler({"Task_1": 2}).set_dataset(sentences)


@pytest.mark.parametrize(
    "weights", [None, [1, 2], "Task_1", {0: 1}, {"a": -1}, {"a": "1"}, {"a": float("inf")}, {"a": 1e30}]
)
def test_weights_are_numbers_by_names(weights: Any) -> None:
    with pytest.raises(SettingError, match="weight"):
        MultiCorpusSampler(weights)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ChunkSampler(2, 3, seed=1),
        lambda: ExpandingChunkSampler(1, seed=1),
        lambda: ImbalancedClassificationDatasetSampler("topic", seed=1),
        lambda: MultiCorpusSampler({}, seed=1),
    ],
    ids=["chunk", "expanding", "imbalanced", "multi"],
)
def test_each_run_with_a_sampler_draws_the_same(make: Callable[[], FlairSampler]) -> None:
    data = [tagged("a/X").add_label("topic", "ab"[number % 3 == 0]) for number in range(20)]
    used = make()
    for _ in range(2):  # runs
        new = make()
        for sampler in (used, new):
            sampler.set_dataset(data)
        assert [list(used) for _ in range(3)] == [list(new) for _ in range(3)]


class Batches(Callback):
    """Notes the positions of each batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def on_batch_begin(self, state: TrainingState) -> None:
        self.batches.append(state.indices.tolist())


class TestTraining:
    def train(self, folder: Path, sampler: MultiCorpusSampler, **options: Any) -> list[list[int]]:
        long, short = corpus_of(*["a/X b/Y a/X b/Y"] * 20), corpus_of(*["a/X b/Y", "b/X"] * 20)
        dev = Corpus(None, [tagged("a/X")])
        corpus = MultiCorpus([long, short, dev], ["long", "short", "dev"])
        vectors = WordEmbeddings(WordVectors(["a", "b"], np.eye(2)))
        tagger = SequenceTagger(vectors, corpus.make_label_dictionary("pos"), "pos", hidden_size=2, seed=0)
        noted = Batches()
        defaults = {"max_epochs": 1, "mini_batch_size": 5, "seed": 0, "device": torch.device("cpu")}
        ModelTrainer(tagger, corpus).train(folder, sampler=sampler, plugins=[noted], **{**defaults, **options})
        return noted.batches

    def test_batches_have_sentences_of_similar_length(self, tmp_path: Path) -> None:
        batches = self.train(tmp_path, MultiCorpusSampler({"short": 0.5, "long": 2}))
        assert Counter(position for batch in batches for position in batch if position < 20) == dict.fromkeys(
            range(20), 2
        )
        mixed = [batch for batch in batches if len({position < 20 for position in batch}) == 2]
        assert len(mixed) <= 1
        unsorted = self.train(tmp_path, MultiCorpusSampler({"short": 0.5, "long": 2}), bucketing=False)
        assert sum(len({position < 20 for position in batch}) == 2 for batch in unsorted) > 3

    def test_dev_may_be_trained_on_too(self, tmp_path: Path) -> None:
        batches = self.train(tmp_path, MultiCorpusSampler({"short": 0}), train_with_dev=True)
        assert sorted(position for batch in batches for position in batch) == [*range(20), 60]

    def test_without_any_sentence_there_is_nothing_to_train_on(self, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match="at least one sentence"):
            self.train(tmp_path, MultiCorpusSampler({"short": 0, "long": 0}))
