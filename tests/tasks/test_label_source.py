"""The labels of several tasks as integers: their targets, the parts of a corpus without spans, and distributions."""

from __future__ import annotations

import numpy as np
import torch

from flairlite.data import Corpus, MultiCorpus, Sentence
from flairlite.encoding import EncodedDataset, Targets, encode
from flairlite.tasks import LabelSource, SpanTask, WordTask, encode_labels, leave_out_parts, make_gold
from flairlite.tasks.label_source import soft_targets

UPOS, XPOS, NER = WordTask("upos", ["A", "B"]), WordTask("xpos", ["A1", "B1"]), SpanTask("ner", ["X"])


def make_sentences() -> list[Sentence]:
    one = Sentence(["a", "b", "c"]).set_token_labels("upos", ["A", "B", None]).set_token_labels("xpos", ["A1"] * 3)
    one.set_span_labels("ner", [(0, 2, "X")])
    return [one, Sentence([]), Sentence(["d", "e"]).set_token_labels("upos", ["B", "C"])]


def index(words: list[str]) -> torch.Tensor:
    return torch.arange(len(words) + 1)


def encoded(sentences: list[Sentence]) -> EncodedDataset:
    sources = [LabelSource.of(task).extend(sentences) for task in (UPOS, XPOS, NER)]
    return encode(sentences, index, encode_labels(sources, sentences))


def test_a_batch_has_the_targets_of_each_task() -> None:
    sentences = make_sentences()
    batch = encoded(sentences).batch(torch.tensor([2, 0]))
    alone = [
        encode(sentences, index, LabelSource.of(task).extend(sentences).targets(sentences)).batch(torch.tensor([2, 0]))
        for task in (UPOS, XPOS, NER)
    ]
    for part, single in zip(batch.labels, alone, strict=True):
        assert single.targets is not None
        assert part.class_ids.tolist() == single.targets.tolist()
        assert (part.num_labels, part.is_partial) == (single.num_labels, single.is_partial)
    assert [part.num_labels for part in batch.labels] == [3, 3, 5]
    assert batch.num_labels == 5  # of ner, where `O` is a label too
    assert batch.targets is batch.labels[0].class_ids


def test_joined_parts_are_the_targets_of_the_whole() -> None:
    sentences = make_sentences()
    sources = [LabelSource.of(task).extend(sentences) for task in (UPOS, XPOS, NER)]
    for sentence in (sentences[0], sentences[2]):
        sentence.set_tag_distributions("teacher", ["A1", "B1"], np.full((len(sentence), 2), 0.5, dtype=np.float16))
    sources[1] = LabelSource.of(XPOS, soft_type="teacher").extend(sentences)
    whole = encode_labels(sources, sentences)
    joined = Targets.join([encode_labels(sources, sentences[:2]), encode_labels(sources, sentences[2:])])
    for one, other in zip((whole, *whole.others), (joined, *joined.others), strict=True):
        assert one.class_ids.tolist() == other.class_ids.tolist()
        assert one.counts.tolist() == other.counts.tolist()
        assert (one.soft is None) == (other.soft is None)
    soft, joined_soft = whole.others[0].soft, joined.others[0].soft
    assert soft is not None
    assert joined_soft is not None
    assert soft.probabilities.tolist() == joined_soft.probabilities.tolist()
    assert soft.counts.tolist() == joined_soft.counts.tolist() == [3, 0, 2]


def test_gold_labels_of_a_type_that_the_data_lack_are_none() -> None:
    sentences = make_sentences()[1:]
    sources = [LabelSource.of(task).extend(sentences) for task in (UPOS, XPOS, NER)]
    gold = make_gold(sources, sentences, encode_labels(sources, sentences))
    assert gold.labels == ("A", "B", "C")
    assert gold.others == (None, None)


def test_spans_are_not_annotated_in_a_corpus_without_any() -> None:
    first = make_sentences()
    second = [Sentence(["f", "g"]).set_token_labels("upos", ["A", "B"])]
    sentences = list(MultiCorpus([Corpus(first), Corpus(second)]).train or ())
    sources = leave_out_parts([LabelSource.of(UPOS), LabelSource.of(NER)], sentences)
    assert sources[1].unannotated == {"Task_1"}
    ner = encode_labels([source.extend(sentences) for source in sources], sentences).others[0]
    tags = [NER.class_names[class_id] if class_id >= 0 else None for class_id in ner.class_ids.tolist()]
    assert tags == ["B-X", "E-X", "O", "O", "O", None, None, None]
    assert ner.counts.tolist() == [3, 0, 2, 0]
    assert leave_out_parts([LabelSource.of(NER)], sentences)[0].unannotated == frozenset()


def test_distributions_become_classes_of_the_model() -> None:
    sentences = [Sentence(["a", "b"]), Sentence(["c"]), Sentence(["d"])]
    ids = np.array([[2, 0], [1, 2]], dtype=np.int16)
    values = np.array([[0.7, 0.2], [0.9, 0.1]], dtype=np.float16)
    sentences[0].set_tag_distributions("teacher", ["C", "B", "A"], values, ids)
    sentences[2].set_tag_distributions("teacher", ["B", "unknown", "A"], np.array([[0.25, 0.5, 0.25]]))
    found = soft_targets(sentences, "teacher", ["A", "B"])
    assert found.counts.tolist() == [2, 0, 1]
    assert (found.class_ids.dtype, found.probabilities.dtype) == (torch.int16, torch.float16)
    rows = [
        {class_id: value for class_id, value in zip(row, weights, strict=True) if value}
        for row, weights in zip(found.class_ids.tolist(), found.probabilities.float().tolist(), strict=True)
    ]
    expected = [
        {0: float(np.float16(0.7))},
        {1: float(np.float16(0.9)), 0: float(np.float16(0.1))},
        {},
        {1: 0.25, 0: 0.25},
        {},
    ]
    assert rows == expected
    batch = encode(
        sentences, index, Targets(torch.full((5,), -1), torch.zeros(3, dtype=torch.int64), soft=found)
    ).batch(torch.tensor([1, 2]))
    assert (batch.num_labels, batch.labels[0].num_labels) == (1, 0)
    soft = batch.labels[0].soft
    assert soft is not None
    assert soft.probabilities.any(2).tolist() == [[False], [True]]
