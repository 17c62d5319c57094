"""All embeddings that are computed from words alone, stacked: in training, files, resumed runs and prediction."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from vector_files import vectors_of

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import (
    AffixEmbeddings,
    CharacterCNNEmbeddings,
    CharacterEmbeddings,
    ClusterEmbeddings,
    DocumentPoolEmbeddings,
    LexiconEmbeddings,
    OneHotEmbeddings,
    StackedEmbeddings,
    SubwordEmbeddings,
    WordEmbeddings,
    WordShapeEmbeddings,
)
from flairlite.embeddings.per_word import ComputedVectors, PerWordEmbeddings
from flairlite.models import SequenceTagger, TextClassifier
from flairlite.trainers import Callback, ModelTrainer, TrainingState

ODD = ["", "🙂", "x" * 600, "\ud800", "☃", "Ünïcode-4711", " ", "\x00", "the", "The", "the"]
TAGS = {"the": ["DET"], "in": ["ADP"], "run": ["NOUN", "VERB"]}


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits are only promised on a CPU."""
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


@pytest.fixture
def corpus(sample: Corpus) -> Corpus:
    splits = (sample.train, 30), (sample.dev, 10), (sample.test, 10)
    return Corpus(*([text for text in split or () if 2 <= len(text) <= 8][:count] for split, count in splits))


def features(corpus: Corpus, vectors: WordEmbeddings, seed: int = 0) -> StackedEmbeddings:
    """Return a stack of all kinds, some in a stack of their own."""
    few = vectors.vectors.keep({word for sentence in corpus.get_all_sentences() for word in sentence.words})
    spelling = [
        CharacterCNNEmbeddings(char_embedding_dim=4, num_filters=3, seed=seed),
        CharacterEmbeddings(None, 3, 2, seed=seed),
        SubwordEmbeddings(3, 100, seed=seed),
        AffixEmbeddings(2, 2, 200, seed=seed),
        WordShapeEmbeddings(2, 50, seed=seed),
    ]
    return StackedEmbeddings([
        WordEmbeddings(few.compact(bits=8)),
        OneHotEmbeddings.from_corpus(
            corpus, min_freq=2, embedding_length=5, lower_case=True, unk_alpha=0.25, unk_dropout=0.1, seed=seed
        ),
        StackedEmbeddings(spelling),
        LexiconEmbeddings(TAGS, 4, seed=seed),
        LexiconEmbeddings({"the": (1.5, 2), "in": (-3, 0.25)}, forms=("exact", "lower", "title", "upper")),
        ClusterEmbeddings({"the": "01", "in": "0110", "of": "111"}, 2, (1, 3), seed=seed),
    ])  # fmt: skip


def make_tagger(corpus: Corpus, vectors: WordEmbeddings, seed: int = 0) -> SequenceTagger:
    labels = corpus.make_label_dictionary("upos")
    return SequenceTagger(features(corpus, vectors, seed), labels, "upos", hidden_size=6, seed=seed)


def labels_of(tagger: SequenceTagger, sentences: list[list[str]]) -> list[list[tuple[str, float]]]:
    found = predicted(tagger, sentences)
    return [[(label.value, label.score) for label in sentence.get_labels("upos")] for sentence in found]


def predicted(tagger: SequenceTagger, sentences: list[list[str]], **options: Any) -> list[Sentence]:
    return tagger.predict([Sentence(words) for words in sentences], **options)


class Crash(Callback):
    """Ends a run after some steps, or never."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_batch_end(self, state: TrainingState) -> None:
        self.left -= 1
        if not self.left:
            raise InterruptedError


def test_a_resumed_run_ends_with_the_same_bits(corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_epochs": 2, "mini_batch_size": 8, "seed": 0, "optimizer": "AdamW", "resume": True}
    options |= {"learning_rate": 0.01, "checkpoint_every": 2}
    expected = ModelTrainer(make_tagger(corpus, mini_vectors), corpus).train(tmp_path / "whole", **options)
    with pytest.raises(InterruptedError):
        ModelTrainer(make_tagger(corpus, mini_vectors), corpus).train(tmp_path / "parts", **options, plugins=[Crash(5)])
    resumed = make_tagger(corpus, mini_vectors, seed=5)  # the weights of the checkpoint are taken
    assert ModelTrainer(resumed, corpus).train(tmp_path / "parts", **options, plugins=[Crash(0)]) == expected
    for name in ("best-model.pt", "final-model.pt"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    resumed.save(tmp_path / "own.pt")
    loaded = SequenceTagger.load(tmp_path / "own.pt")
    assert labels_of(loaded, [ODD, ["the", "man"]]) == labels_of(resumed, [ODD, ["the", "man"]])


def test_training_reaches_all_weights(corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    tagger = make_tagger(corpus, mini_vectors)
    before = copy.deepcopy(tagger.embeddings.state_dict())
    ModelTrainer(tagger, corpus).train(tmp_path, max_epochs=1, learning_rate=0.1)
    for name, weight in tagger.embeddings.state_dict().items():
        assert not torch.equal(weight, before[name]), name
        assert weight.isfinite().all(), name


def test_a_model_of_odd_words_can_be_rounded_to_bfloat16(corpus: Corpus, mini_vectors: WordEmbeddings) -> None:
    tagger = make_tagger(corpus, mini_vectors).eval()
    exact = vectors_of(tagger.embeddings, [ODD, ["the"]])
    assert exact.isfinite().all()
    rounded = vectors_of(copy.deepcopy(tagger.embeddings).bfloat16(), [ODD, ["the"]])
    torch.testing.assert_close(rounded.float(), exact.float(), atol=0.05, rtol=0.05)


# prediction


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the words whose vectors are computed, by class."""
    counts: Counter[str] = Counter()
    for kind in (CharacterCNNEmbeddings, CharacterEmbeddings, SubwordEmbeddings, AffixEmbeddings, WordShapeEmbeddings):

        def counted(self: PerWordEmbeddings, inputs: Any, embed_words: Any = kind.embed_words) -> Tensor:
            vectors: Tensor = embed_words(self, inputs)
            counts[type(self).__name__] += len(vectors)
            return vectors

        monkeypatch.setattr(kind, "embed_words", counted)
    return counts


def test_prediction_computes_each_distinct_word_once(
    corpus: Corpus, mini_vectors: WordEmbeddings, computed: Counter[str]
) -> None:
    tagger = make_tagger(corpus, mini_vectors)
    sentences = [["the", f"word{index % 7}", "the", "x" * (index % 3)] for index in range(60)]
    num_distinct = len({word for words in sentences for word in words})
    found = [sentence.to_dict() for sentence in predicted(tagger, sentences, mini_batch_size=4)]
    assert set(computed.values()) == {num_distinct + 1}, "and padding"
    assert len(computed) == 5
    computed.clear()
    tagger.evaluate(corpus.dev, "upos", mini_batch_size=2)
    assert set(computed.values()) == {len({word for text in corpus.dev or () for word in text.words}) + 1}
    computed.clear()
    alone = [predicted(tagger, [words])[0].to_dict() for words in sentences]
    assert computed["AffixEmbeddings"] > 3 * num_distinct
    for together, single in zip(found, alone, strict=True):
        assert [token["labels"][0]["value"] for token in together["tokens"]] == [
            token["labels"][0]["value"] for token in single["tokens"]
        ]


def test_computed_vectors_are_those_of_each_batch(corpus: Corpus, mini_vectors: WordEmbeddings) -> None:
    embeddings = make_tagger(corpus, mini_vectors).embeddings.eval()
    table = embeddings.index(list(dict.fromkeys(ODD)))
    ids = torch.tensor([[0, 3, 3, 9], [8, 2, 1, 10]])
    expected = embeddings(embeddings.select(table, ids))
    computed = embeddings.precompute(table)
    torch.testing.assert_close(embeddings(embeddings.select(computed, ids)), expected)
    again = embeddings.precompute(computed)
    torch.testing.assert_close(embeddings(embeddings.select(again, ids)), expected)


def test_large_tables_are_computed_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    embedding = AffixEmbeddings(1, 2, 10)
    table = embedding.index(["a", "b", "c"])
    assert isinstance(embedding.precompute(table), ComputedVectors)
    monkeypatch.setattr("flairlite.embeddings.per_word._MAX_VALUES", 4 * 4 - 1)
    assert embedding.precompute(table) is table


def test_weights_that_change_between_predictions_count(corpus: Corpus, mini_vectors: WordEmbeddings) -> None:
    tagger = make_tagger(corpus, mini_vectors)
    before = labels_of(tagger, [["the", "man"]])
    for weight in tagger.embeddings.parameters():
        weight.data += 1  # which torch does not count as a change
    assert labels_of(tagger, [["the", "man"]]) != before


def test_embeddings_of_sentences_compute_each_word_once(corpus: Corpus, computed: Counter[str]) -> None:
    document = DocumentPoolEmbeddings([AffixEmbeddings(1, 2, 10), WordShapeEmbeddings(2, 10)])
    sentences = [Sentence(["the", f"word{index % 7}"]) for index in range(200)]
    document.embed(sentences)
    assert dict(computed) == {"AffixEmbeddings": 9, "WordShapeEmbeddings": 9}
    computed.clear()
    for index, sentence in enumerate(sentences):
        sentence.set_label("genre", "odd" if index % 2 else "even")
    labels = Corpus(sentences).make_label_dictionary("genre")
    TextClassifier(document, "genre", labels).predict(sentences, mini_batch_size=8)
    assert dict(computed) == {"AffixEmbeddings": 9, "WordShapeEmbeddings": 9}
