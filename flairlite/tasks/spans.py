"""Labels of spans: named entities, say. The model tags words, and tags and spans are turned into one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.data.tag_schemes import OUTSIDE, TagSpan, may_follow, scheme_named, tags_for, tags_of
from flairlite.encoding import Targets
from flairlite.errors import LabelError, SettingError
from flairlite.metrics import DEFAULT_METRIC, Matches, Result, evaluate_matches
from flairlite.tasks.task import Decoded, Gold, Task
from flairlite.tasks.words import encode_classes, word_rows, write_columns, write_probabilities

Numbers = np.ndarray[Any, np.dtype[np.int64]]
_BEGINS, _GOES_ON = frozenset("BSU"), frozenset("IEL")


class SpanTask(Task):
    """Stretches of words have labels; of gold spans that overlap, the longest is learned.

    Spans that overlap cannot all be written as one tag a word. Of those, the longest is learned, of equally long ones
    the first, and of several labels of one span the first; `check` says how many are not. A comparison counts them
    all: what the model cannot predict is a miss.

    Args:
        label_type: The label type.
        label_names: The labels that the model can predict.
        tag_format: How spans become tags: BIOES, BILOU or BIO (which is BIO2).

    Raises:
        SettingError: for another tag format.
    """

    unit = "span"
    by_word = True

    def __init__(self, label_type: str, label_names: Sequence[str], *, tag_format: str = "BIOES") -> None:
        self.scheme = scheme_named(tag_format)
        if self.scheme == "BIO1":
            raise SettingError(f"tag_format {tag_format} is for reading only: give BIOES, BILOU or BIO")
        super().__init__(label_type, label_names, tags_for(label_names, self.scheme))
        self._tags_a_label = (len(self.class_names) - 1) // max(1, len(self.label_names))
        self._begins = torch.tensor([tag[0] in _BEGINS for tag in self.class_names])  # (K,): a span begins with the tag
        self._goes_on = torch.tensor([tag[0] in _GOES_ON for tag in self.class_names])  # (K,): one goes on with it

    # From labels to numbers

    def count(self, sentences: Iterable[Sentence], label_type: str | None = None) -> Counter[str]:
        """Count the labels of spans."""
        label_type = label_type or self.label_type
        return Counter(label for sentence in sentences for _, _, label in sentence.span_labels(label_type))

    def targets(self, sentences: Sequence[Sentence], labels: Sequence[str], label_type: str | None = None) -> Targets:
        """Turn the spans of sentences with N words into numbers of tags, (N + 1,)."""
        label_type = label_type or self.label_type
        columns = [
            tags_of(without_overlaps(sentence.span_labels(label_type)), len(sentence.words), self.scheme)
            for sentence in sentences
        ]
        try:
            names = tags_for(labels, self.scheme)
            return encode_classes(sentences, columns, names, self.num_known(names))
        except KeyError as error:
            raise LabelError(
                f"the {label_type!r} label {error.args[0][2:]!r} is not among the labels given, "
                f"{', '.join(labels) or 'none'}: give all that occur, as all_labels lists them"
            ) from error

    def learnable(self, targets: Tensor) -> Tensor:
        """Return targets with -1, or the tag of `<unk>`, in place of the tags that the model does not know."""
        if self.unknown is None:
            return super().learnable(targets)
        tags_of_unknown = 1 + self.unknown * self._tags_a_label + (targets - 1) % self._tags_a_label
        return torch.where(targets >= len(self.class_names), tags_of_unknown, targets)

    def label_of(self, class_name: str) -> str:
        """Return the label that a tag is one of, `O` for `O`."""
        return class_name[2:] or OUTSIDE

    def transition_mask(self) -> Tensor:
        """Return which tag may follow which, (K + 1, K + 1); the last row is a start, the last column an end."""
        tags = (*self.class_names, None)
        return torch.tensor([[may_follow(tag, after, self.scheme) for tag in tags] for after in tags])

    def span_tables(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the tags say of spans, as `SpanScorer` wants it, (K,) each."""
        number = {tag: place for place, tag in enumerate(self.class_names)}
        may_end = {tag: tag != OUTSIDE and may_follow(None, tag, self.scheme) for tag in self.class_names}
        prolonging = [
            number[f"I-{tag[2:]}"] if may_end[tag] and may_follow(f"I-{tag[2:]}", tag, self.scheme) else -1
            for tag in self.class_names
        ]
        return self._begins, self._goes_on, torch.tensor(prolonging)

    def check(self, sentences: Sequence[Sentence], place: str, effect: str) -> list[str]:
        """Check that there is something to learn or to compare with, and say what is left out."""
        said = super().check(sentences, place, effect)
        counts: Counter[str] = Counter()
        for sentence in sentences:
            spans = sentence.span_labels(self.label_type)
            counts["overlapping"] += len(set(spans)) - len(without_overlaps(spans))
            column = sentence.token_labels(self.label_type)
            counts["words"] += len(sentence.words) - column.count(None) if column else 0
        if counts["overlapping"]:
            said.append(
                f"{counts['overlapping']} spans of {place} overlap longer ones: they are not learned, and in an "
                "evaluation they are misses"
            )
        if counts["words"]:
            said.append(f"{counts['words']} words of {place} have {self.label_type!r} labels, beside spans: left out")
        return said

    # From numbers to labels

    def write(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write the spans that tags name; the score of a span is the one that is given for its first word."""
        found = self.find(decoded.class_ids)
        by_word = decoded.scores if decoded.span_scores is None else decoded.span_scores
        scores = None if by_word is None else by_word.cpu().numpy()[found.starts].tolist()
        lengths = np.array([len(sentence.words) for sentence in sentences], dtype=np.int64)
        ends = lengths.cumsum()
        shifts = np.repeat(ends - lengths, np.diff(np.searchsorted(found.starts, ends), prepend=0))
        names = map(self.label_names.__getitem__, found.labels.tolist())
        spans = list(zip((found.starts - shifts).tolist(), (found.stops - shifts).tolist(), names, strict=True))
        start = 0
        for sentence, end in zip(sentences, np.searchsorted(found.starts, ends).tolist(), strict=True):
            if sentence.token_labels(label_name) is not None:
                sentence.set_token_labels(label_name, [None] * len(sentence.words))
            sentence.set_span_labels(label_name, spans[start:end], None if scores is None else scores[start:end])
            start = end
        write_probabilities(sentences, decoded, label_name, self.class_names)

    def write_classes(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write tags onto words, none where it is `O`, in place of spans."""
        for sentence in sentences:
            sentence.set_span_labels(label_name, ())
        names = [None if name == OUTSIDE else name for name in self.class_names]
        write_columns(sentences, decoded, label_name, names)
        write_probabilities(sentences, decoded, label_name, self.class_names)

    def find(self, tags: Tensor) -> Spans:
        """Return the spans of valid tags, (N + 1,) of words: as many begin as end, each before the next."""
        numbers = tags[:-1].cpu().numpy()
        begins, goes_on = self._begins.numpy()[numbers], self._goes_on.numpy()[numbers]  # (N,)
        ends = (begins | goes_on) & ~np.append(goes_on[1:], False)
        starts = np.flatnonzero(begins)
        return Spans(starts, np.flatnonzero(ends) + 1, (numbers[starts] - 1) // self._tags_a_label)

    # Comparison

    def score(
        self,
        gold: Gold,
        predicted: Tensor,
        *,
        loss: float = 0.0,
        main_metric: tuple[str, str] = DEFAULT_METRIC,
        exclude: Collection[str] = (),
    ) -> Result:
        """Compare span by span: right is what has the same words and the same label."""
        number = {label: place for place, label in enumerate(gold.labels)}
        spans, offset = [], 0
        for sentence in gold.sentences:
            own = sentence.span_labels(gold.label_type)
            spans += [(offset + start, offset + stop, number[label]) for start, stop, label in own]
            offset += len(sentence.words)
        if not spans:
            raise self._nothing_to_compare()
        excluded = [number[label] for label in exclude if label in number]
        columns = np.array(spans, dtype=np.int64).T
        golds, predictions = (
            found.keys(len(gold.labels), offset + 1) for found in (Spans(*columns), self.find(predicted))
        )
        if excluded:
            golds, predictions = _without(golds, predictions, len(gold.labels), excluded)
        matches = Matches.of_keys(golds, predictions, len(gold.labels))
        return evaluate_matches(matches, gold.labels, loss=loss, main_metric=main_metric)

    def rows(self, gold: Gold, predicted: Tensor) -> Iterator[str]:
        """Yield a line a word: the word, its gold tag and the predicted one; sentences lie apart."""
        return word_rows(gold, predicted, tags_for(gold.labels, self.scheme))


@dataclass(frozen=True)
class Spans:
    """Spans of a data set, as columns: words from `starts` to before `stops`, and numbers of labels."""

    starts: Numbers
    stops: Numbers
    labels: Numbers

    def keys(self, num_labels: int, num_places: int) -> Numbers:
        """Return one number for each distinct span with its label; of one span they have the same quotient by L."""
        return np.unique((self.starts * num_places + self.stops) * num_labels + self.labels)


def _without(golds: Numbers, predictions: Numbers, num_labels: int, excluded: Sequence[int]) -> tuple[Numbers, Numbers]:
    """Return keys of gold and predicted spans without some labels, and without what is predicted where these are."""
    kept = golds[~np.isin(golds % num_labels, excluded)]
    ignored = np.setdiff1d(golds // num_labels, kept // num_labels)
    is_counted = ~np.isin(predictions // num_labels, ignored) & ~np.isin(predictions % num_labels, excluded)
    return kept, predictions[is_counted]


def without_overlaps(spans: Sequence[TagSpan]) -> list[TagSpan]:
    """Return the spans of which none overlaps one that is longer, or as long and further to the front."""
    if len(spans) < 2:
        return list(spans)
    kept: list[TagSpan] = []
    taken: set[int] = set()
    for span in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        words = range(span[0], span[1])
        if taken.isdisjoint(words):
            taken.update(words)
            kept.append(span)
    return kept
