"""Labels of spans, such as named entities. The model tags words; spans and tags are converted into each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from flairlite.data import Dictionary, Sentence
from flairlite.data.tag_schemes import OUTSIDE, TagSpan, may_follow, scheme_named, tags_for, tags_of
from flairlite.encoding import Targets
from flairlite.errors import SettingError
from flairlite.metrics import Matches
from flairlite.prediction.writing import Ids, Spans, SpanTags, write_spans, write_tags
from flairlite.tasks.task import Decoded, Gold, Task, labels_of
from flairlite.tasks.words import (
    WordTask,
    encode_classes,
    missing_label,
    store_probabilities,
    word_rows,
    write_classes,
)
from flairlite.tensors import UNLABELLED

_BEGINS, _CONTINUES = frozenset("BSU"), frozenset("IEL")


class SpanTask(Task):
    """Spans of words have labels.

    One tag per word cannot represent overlapping spans. Of those, the longest is learned, of equally long ones the
    first, and of several labels of one span the first; `check` counts the others. An evaluation counts all spans: those
    that the model cannot predict are misses.

    Args:
        label_type: The label type.
        label_names: The labels that the model can predict.
        tag_format: How spans become tags: BIOES, BILOU or BIO (which is BIO2).

    Raises:
        SettingError: If the tag format is another one.
    """

    unit = "span"
    by_word = True

    def __init__(self, label_type: str, label_names: Sequence[str], *, tag_format: str = "BIOES") -> None:
        self.scheme = scheme_named(tag_format)
        if self.scheme == "BIO1":
            raise SettingError(f"tag_format {tag_format} can only be read: use BIOES, BILOU or BIO")
        super().__init__(label_type, label_names)
        self.class_names = tuple(tags_for(self.label_names, self.scheme))
        self.tags = SpanTags(
            begins=np.array([tag[0] in _BEGINS for tag in self.class_names]),
            continues=np.array([tag[0] in _CONTINUES for tag in self.class_names]),
            num_per_label=(len(self.class_names) - 1) // max(1, len(self.label_names)),
        )

    @property
    def may_be_absent(self) -> bool:
        """Whether data without any label is fully annotated: there may just be no spans."""
        return True

    # From labels to class ids

    def labels_in(self, sentence: Sentence, label_type: str) -> Sequence[str]:
        """Return the labels of the spans of a sentence."""
        return [label for _, _, label in sentence.span_labels(label_type)]

    def targets(self, sentences: Sequence[Sentence], labels: Sequence[str], label_type: str | None = None) -> Targets:
        """Convert the spans of sentences with N words to ids of tags, (N + 1,)."""
        label_type = label_type or self.label_type
        columns = [
            tags_of(remove_overlaps(sentence.span_labels(label_type)), len(sentence.words), self.scheme)
            for sentence in sentences
        ]
        names = tags_for(labels, self.scheme)
        try:
            return encode_classes(sentences, columns, names, self.num_known(names))
        except KeyError as error:
            raise missing_label(error.args[0][2:], label_type, labels) from error

    def mask_unknown(self, targets: Tensor) -> Tensor:
        """Return targets with -1, or the tag of `<unk>`, for tags that the model does not know."""
        if self.unknown is None:
            return super().mask_unknown(targets)
        tags_of_unknown = 1 + self.unknown * self.tags.num_per_label + (targets - 1) % self.tags.num_per_label
        return torch.where(targets >= len(self.class_names), tags_of_unknown, targets)

    def label_of(self, class_name: str) -> str:
        """Return the label of a tag, `O` for `O`."""
        return class_name[2:] or OUTSIDE

    def transition_mask(self) -> Tensor:
        """Return which tag may follow which, (K + 1, K + 1); the last row is the start, the last column the end."""
        tags = (*self.class_names, None)
        return torch.tensor([[may_follow(tag, previous, self.scheme) for tag in tags] for previous in tags])

    def span_tables(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the arguments of `SpanScorer` for the tags, (K,) each."""
        id_of = {tag: index for index, tag in enumerate(self.class_names)}
        may_end = {tag: tag != OUTSIDE and may_follow(None, tag, self.scheme) for tag in self.class_names}
        extensions = [
            id_of[f"I-{tag[2:]}"] if may_end[tag] and may_follow(f"I-{tag[2:]}", tag, self.scheme) else -1
            for tag in self.class_names
        ]
        return torch.from_numpy(self.tags.begins), torch.from_numpy(self.tags.continues), torch.tensor(extensions)

    def count_omitted(self, sentence: Sentence, label_type: str, labels: Sequence[str]) -> Mapping[str, int]:
        """Count spans that overlap longer ones, and words with a label of the type."""
        column = sentence.token_labels(label_type)
        if len(labels) < 2 and column is None:
            return {}
        spans = sentence.span_labels(label_type)
        return {
            "overlapping": len(set(spans)) - len(remove_overlaps(spans)),
            "words": len(sentence.words) - column.count(None) if column else 0,
        }

    def omissions(self, for_training: bool) -> dict[str, str]:
        """Return the messages about overlapping spans and labelled words."""
        effect = "they are not learned, and in an evaluation they are misses"
        return {
            "overlapping": f"spans of {{name}} overlap longer ones: {effect}",
            "words": "words of {name} have {label_type!r} labels besides those of spans: they are left out",
        }

    # From class ids to labels

    def write(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write the spans of the predicted tags; the score of a span is that of its first word."""
        by_word = decoded.scores if decoded.span_scores is None else decoded.span_scores
        scores = None if by_word is None else by_word.cpu().numpy()
        write_spans(sentences, self.find_spans(decoded.class_ids), scores, self.label_names, label_name)
        store_probabilities(sentences, decoded, label_name, self.class_names)

    def write_classes(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write tags onto words, none for `O`, in place of spans."""
        write_classes(sentences, decoded, label_name, self.class_names, write_tags)

    def find_spans(self, tags: Tensor) -> Spans:
        """Return the spans of valid tags of N words, (N + 1,): as many begin as end, each before the next."""
        return self.tags.find(tags[:-1].cpu().numpy())

    # Evaluation

    def match(self, gold: Gold, predicted: Tensor, exclude: Collection[str]) -> Matches:
        """Count spans; a prediction is correct if a gold span has the same words and the same label."""
        id_of = {label: index for index, label in enumerate(gold.labels)}
        spans, offset = [], 0
        for sentence in gold.sentences:
            labels = sentence.span_labels(gold.label_type)
            spans += [(offset + start, offset + end, id_of[label]) for start, end, label in labels]
            offset += len(sentence.words)
        # words without a target are in sentences that are not annotated: predictions there become `O`
        predicted = predicted.cpu().masked_fill(gold.targets.class_ids.cpu() == UNLABELLED, 0)
        columns = np.array(spans, dtype=np.int64).reshape(-1, 3).T
        golds, predictions = (
            found.keys(len(gold.labels), offset + 1) for found in (Spans(*columns), self.find_spans(predicted))
        )
        if excluded := [id_of[label] for label in exclude if label in id_of]:
            golds, predictions = _exclude(golds, predictions, len(gold.labels), excluded)
        return Matches.of_keys(golds, predictions, len(gold.labels))

    def rows(self, gold: Gold, predicted: Tensor) -> Iterator[str]:
        """Yield a line per word: word, gold tag and predicted tag; a blank line ends a sentence."""
        return word_rows(gold, predicted, tags_for(gold.labels, self.scheme))


def word_or_span_task(dictionary: Dictionary, label_type: str, tag_format: str, *, with_unknown: bool = False) -> Task:
    """Return the task for a dictionary: of spans if it was made of labels of spans, otherwise of words.

    Raises:
        LabelError: If the dictionary has no label; see `labels_of`.
        SettingError: If the tag format cannot be used; see `SpanTask`.
    """
    names = labels_of(dictionary, with_unknown=with_unknown)
    if dictionary.span_labels:
        return SpanTask(label_type, names, tag_format=tag_format)
    return WordTask(label_type, names)


def remove_overlaps(spans: Sequence[TagSpan]) -> list[TagSpan]:
    """Return the spans without those that overlap a longer one, or an earlier one of the same length."""
    if all(left[1] <= right[0] for left, right in pairwise(spans)):  # as almost always
        return list(spans)
    kept: list[TagSpan] = []
    taken: set[int] = set()
    for span in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        words = range(span[0], span[1])
        if taken.isdisjoint(words):
            taken.update(words)
            kept.append(span)
    return kept


def _exclude(golds: Ids, predictions: Ids, num_labels: int, excluded: Sequence[int]) -> tuple[Ids, Ids]:
    """Return the keys of gold and predicted spans without excluded labels, and without predictions on such spans."""
    kept = golds[~np.isin(golds % num_labels, excluded)]
    ignored = np.setdiff1d(golds // num_labels, kept // num_labels)
    is_counted = ~np.isin(predictions // num_labels, ignored) & ~np.isin(predictions % num_labels, excluded)
    return kept, predictions[is_counted]
