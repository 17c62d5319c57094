"""Labels that are left out of an evaluation: the figures are those of scikit-learn and plain counting of the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentences import tagged

from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import SettingError
from flairlite.metrics import Result
from flairlite.models import SequenceTagger
from flairlite.tasks import DocumentTask, SpanTask, WordTask

NAMES = ["A", "B", "C", "D"]
EXCLUDED = ["B", "D", "nowhere"]
KEPT = ["A", "C"]

Span = tuple[int, int, str]


def assert_as_sklearn(result: Result, gold: Sequence[object], predicted: Sequence[object]) -> None:
    """Compare with scikit-learn's report over the labels that are kept."""
    labels = [name for name in KEPT if name in result.labels]
    assert set(result.labels) <= set(KEPT)
    for average in ("micro", "macro", "weighted"):
        figures = sklearn.metrics.precision_recall_fscore_support(
            gold, predicted, labels=labels, average=average, zero_division=0
        )
        entry = result.classification_report[f"{average} avg"]
        assert [entry["precision"], entry["recall"], entry["f1-score"]] == pytest.approx(figures[:3])
    assert "micro avg" in result.detailed_results


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=12))
@pytest.mark.parametrize("by_word", [True, False])
def test_single_labels(by_word: bool, pairs: list[tuple[str, str]]) -> None:
    golds, predictions = zip(*pairs, strict=True)
    task: WordTask | DocumentTask = WordTask("x", NAMES) if by_word else DocumentTask("x", NAMES)
    if by_word:
        sentences = [Sentence(list("w" * len(pairs))).set_token_labels("x", list(golds))]
    else:
        sentences = [Sentence("w") for _ in pairs]
        for sentence, label in zip(sentences, golds, strict=True):
            sentence.add_label("x", label)
    numbers = torch.tensor([*map(NAMES.index, predictions), *([0] if by_word else [])])
    compared = [pair for pair in pairs if pair[0] not in EXCLUDED]
    result = task.score(task.gold(sentences), numbers, exclude=EXCLUDED)
    if not compared:
        assert (result.main_score, result.accuracy, result.labels) == (0, 0, ())
        return
    assert_as_sklearn(result, *zip(*compared, strict=True))
    assert result.accuracy == pytest.approx(np.mean([one == other for one, other in compared]))


@given(st.lists(st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES))), min_size=1, max_size=8))
def test_several_labels(pairs: list[tuple[set[str], set[str]]]) -> None:
    task = DocumentTask("x", NAMES, multi_label=True)
    sentences = [Sentence("w") for _ in pairs]
    for sentence, (labels, _) in zip(sentences, pairs, strict=True):
        for label in sorted(labels):
            sentence.add_label("x", label)
    numbers = torch.tensor([[name in labels for name in NAMES] for _, labels in pairs])
    result = task.score(task.gold(sentences), numbers, exclude=EXCLUDED)
    compared = [pair for pair in pairs if not pair[0] or pair[0] & set(KEPT)]
    for name in result.labels:
        right = sum(name in one and name in other for one, other in compared)
        precision = right / max(1, sum(name in other for _, other in compared))
        recall = right / max(1, sum(name in one for one, _ in compared))
        entry = result.classification_report[name]
        assert (entry["precision"], entry["recall"]) == pytest.approx((precision, recall))
    assert set(result.labels) == {name for pair in compared for labels in pair for name in labels} & set(KEPT)


spans = st.lists(st.sampled_from([(0, 1), (1, 3), (4, 5), (5, 7)]), unique=True).flatmap(
    lambda positions: st.tuples(
        *(st.tuples(*map(st.just, position), st.sampled_from(NAMES)) for position in sorted(positions))
    )
)


@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=4))
def test_spans(pairs: list[tuple[tuple[Span, ...], tuple[Span, ...]]]) -> None:
    task = SpanTask("x", NAMES)
    words = [Sentence([f"w{number}" for number in range(8)]) for _ in pairs]
    golds = [sentence.set_span_labels("x", own) for sentence, (own, _) in zip(words, pairs, strict=True)]
    found = [
        Sentence(sentence.words).set_span_labels("x", own) for sentence, (_, own) in zip(words, pairs, strict=True)
    ]
    numbers = task.targets(found, NAMES).class_ids
    gold, predicted = (
        {(position, span) for position, pair in enumerate(pairs) for span in pair[side] if span[2] in KEPT}
        for side in (0, 1)
    )
    ignored = {(position, span[:2]) for position, (own, _) in enumerate(pairs) for span in own if span[2] in EXCLUDED}
    predicted = {(position, span) for position, span in predicted if (position, span[:2]) not in ignored}
    right = gold & predicted
    numbers[-1] = 0
    entry = task.score(task.gold(golds), numbers, exclude=EXCLUDED).classification_report["micro avg"]
    expected = (len(right) / max(1, len(predicted)), len(right) / max(1, len(gold)))
    assert (entry["precision"], entry["recall"]) == pytest.approx(expected)


class TestEvaluate:
    """What `evaluate` takes beside that, as Flair's does."""

    def tagger(self) -> SequenceTagger:
        vectors = WordEmbeddings(WordVectors(["w"], np.eye(1)))
        return SequenceTagger(vectors, Dictionary.from_items(["A", "B"]), "x", hidden_size=2, seed=0)

    def test_the_loss_is_computed_on_request(self) -> None:
        data = [tagged("w/A w/B", "x")]
        with_loss, without = self.tagger().evaluate(data), self.tagger().evaluate(data, return_loss=False)
        assert with_loss.loss > 0
        assert without.loss == 0
        assert with_loss.classification_report == without.classification_report

    @pytest.mark.parametrize("mode", ["none", "cpu", "gpu"])
    def test_the_storage_mode_changes_nothing(self, mode: str) -> None:
        data = [tagged("w/A w/B", "x")]
        assert self.tagger().evaluate(data, "x", None, mode, 8).scores == self.tagger().evaluate(data).scores

    def test_unsupported_arguments_are_refused(self) -> None:
        data = [tagged("w/A w/B", "x")]
        with pytest.raises(SettingError, match="leave gold_label_dictionary out"):
            self.tagger().evaluate(data, gold_label_dictionary=Dictionary())
        with pytest.raises(SettingError, match="must be one of cpu, gpu, none, not 'disk'"):
            self.tagger().evaluate(data, embedding_storage_mode="disk")
