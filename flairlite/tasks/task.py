"""What a model labels, and all that follows from it: targets, what is written, how gold and predicted are compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.data.dictionary import UNKNOWN
from flairlite.encoding import Batch, Targets
from flairlite.errors import LabelError, SettingError
from flairlite.metrics import DEFAULT_METRIC, Confusion, Result, evaluate_confusion
from flairlite.tensors import UNLABELLED, copy_to


@dataclass(frozen=True)
class Decoded:
    """What a model chose for a batch, or for all N words or S sentences of a data set.

    Attributes:
        class_ids: Ids of the classes: (B, T) or (N + 1,) of words, meaningless on padding; (B,) or (S,) of sentences,
            or (B, K) and (S, K) of 0 and 1 where a sentence can have several.
        scores: How sure the model is of each, between 0 and 1, in the same shape; None when nobody asked.
        span_scores: Where classes are tags of spans, how sure the model is of the span that begins at a word, in the
            same shape; 0 where none begins.
        probabilities: Probability of each class, with one more dimension (K) where a word or sentence has one of them;
            None unless requested.
    """

    class_ids: Tensor
    scores: Tensor | None = None
    probabilities: Tensor | None = None
    span_scores: Tensor | None = None


@dataclass(frozen=True)
class Gold:
    """The gold labels of a data set, for a comparison.

    Attributes:
        sentences: The sentences.
        label_type: The type of their gold labels.
        labels: All labels that occur or that the model knows, the model's first.
        targets: The same as integers.
    """

    sentences: Sequence[Sentence]
    label_type: str
    labels: Sequence[str]
    targets: Targets


class Task(ABC):
    """Stands between the labels of sentences and the numbers that a model works with.

    A label is what sentences carry; a class is what a model scores. They are the same, except for spans, whose classes
    are tags of words.

    Args:
        label_type: The label type.
        label_names: The L labels that the model can predict. If `<unk>` is among them, it is the label of all that have
            another one; else these teach nothing.
        class_names: Its K classes, when they are not the labels.
    """

    unit: ClassVar[str]  # what carries the labels, in messages
    by_word: ClassVar[bool]  # whether words have classes, not sentences
    multi_label: bool = False  # whether one of them can have several

    def __init__(self, label_type: str, label_names: Sequence[str], class_names: Sequence[str] | None = None) -> None:
        self.label_type = label_type
        self.label_names = tuple(label_names)
        self.class_names = tuple(label_names if class_names is None else class_names)
        self.unknown = self.label_names.index(UNKNOWN) if UNKNOWN in self.label_names else None

    # From labels to numbers

    @abstractmethod
    def count(self, sentences: Iterable[Sentence], label_type: str | None = None) -> Counter[str]:
        """Count the labels of one type (the task's own by default), in the order in which they come."""

    def all_labels(self, sentences: Iterable[Sentence], label_type: str | None = None) -> tuple[str, ...]:
        """Return the labels that the model knows, and behind them those that only the sentences have."""
        return tuple(dict.fromkeys((*self.label_names, *self.count(sentences, label_type))))

    @abstractmethod
    def targets(self, sentences: Sequence[Sentence], labels: Sequence[str], label_type: str | None = None) -> Targets:
        """Turn gold labels into integers.

        Args:
            sentences: The sentences.
            labels: All labels that occur, those of the model first, as `all_labels` lists them.
            label_type: The label type, when it is not the task's own.

        Raises:
            LabelError: when a label is not among `labels`, or something has more labels than the model can give it.
        """

    def gold(self, sentences: Sequence[Sentence], label_type: str | None = None) -> Gold:
        """Collect the gold labels of one type (the task's own by default)."""
        label_type = label_type or self.label_type
        labels = self.all_labels(sentences, label_type)
        return Gold(sentences, label_type, labels, self.targets(sentences, labels, label_type))

    def learnable(self, targets: Tensor) -> Tensor:
        """Return targets with -1, or the class of `<unk>`, in place of the classes that the model does not know."""
        return targets.masked_fill(
            targets >= len(self.class_names), UNLABELLED if self.unknown is None else self.unknown
        )

    def num_known(self, class_names: Sequence[str]) -> int:
        """Return how many of these classes, the model's being first, teach something."""
        return len(self.class_names) if self.unknown is None else len(class_names)

    def transition_mask(self) -> Tensor | None:
        """Return which class of a word may follow which; see `LinearChainCRF`. None: any may follow any."""
        return None

    def class_weights(self, loss_weights: Mapping[str, float] | None) -> Tensor:
        """Return how much each class counts in the loss, (K,): as given for it or its label, otherwise 1.

        Raises:
            LabelError: when a weight is given for what the model does not know.
        """
        given = loss_weights or {}
        if unknown := sorted(set(given) - {*self.class_names, *self.label_names}):
            raise LabelError(
                f"loss_weights name {', '.join(unknown)}, but the labels are {', '.join(self.label_names)}"
            )
        return torch.tensor([given.get(name, given.get(self.label_of(name), 1.0)) for name in self.class_names])

    def label_of(self, class_name: str) -> str:
        """Return the label that a class is one of: itself, or that of a tag."""
        return class_name

    def check(self, sentences: Sequence[Sentence], place: str, effect: str) -> list[str]:
        """Check that there is something to learn or to compare with.

        Args:
            sentences: The sentences.
            place: What to call them in messages, as in "the train split".
            effect: What becomes of labels that the model does not know, as in "count as misses".

        Returns:
            What is worth saying about their labels: each unknown label once, and what is left out.

        Raises:
            LabelError: when nothing has a label that the model knows.
        """
        counts = self.count(sentences)
        if not counts:
            raise LabelError(self._no_labels(sentences, place))
        unknown = [label for label in counts if label not in self.label_names and label != UNKNOWN]
        if len(unknown) == len(counts) and self.unknown is None:
            raise LabelError(
                f"the model knows none of the labels of {place}: it knows {', '.join(self.label_names[:20])}, "
                f"and {place} has {', '.join(unknown[:20])}. Make the dictionary from this corpus"
            )
        if not unknown:
            return []
        shown = ", ".join(f"{label} ({counts[label]})" for label in unknown[:20])
        if self.unknown is not None:
            effect = f"are learned as {UNKNOWN}; in an evaluation they count as misses"
        return [f"{len(unknown)} labels of {place} are not in the model's dictionary and {effect}: {shown}"]

    def _no_labels(self, sentences: Sequence[Sentence], place: str) -> str:
        types = sorted({kind for sentence in sentences for kind in sentence.label_types()})
        if self.label_type not in types:
            return f"no label type {self.label_type!r} in {place}; it has: {', '.join(types) or 'no labels at all'}"
        others = " or ".join(f"{unit}s" for unit in ("word", "span", "whole sentence") if unit != self.unit)
        remedy = f". Make its dictionary with corpus.make_label_dictionary({self.label_type!r})" if self.by_word else ""
        return (
            f"no {self.unit} of {place} has a label of the type {self.label_type!r}: {others} have, "
            f"and this model labels {self.unit}s{remedy}"
        )

    # From numbers to labels

    def decode(self, scores: Tensor, *, with_probabilities: bool = False) -> Decoded:
        """Choose the best class by scores (..., K), each by itself; its score is its probability."""
        probabilities = scores.softmax(dim=-1)
        best = probabilities.max(dim=-1)
        return Decoded(best.indices, best.values, probabilities if with_probabilities else None)

    def positions(self, batch: Batch) -> Tensor:
        """Return where what is decoded of a batch belongs in its data set, (B, T) or (B,)."""
        return batch.positions if self.by_word else batch.indices

    def empty_predictions(self, lengths: Tensor, device: torch.device) -> Tensor:
        """Return room for the classes of a data set: -1 for each word and for padding, (N + 1,), or each sentence."""
        size = int(lengths.sum()) + 1 if self.by_word else len(lengths)
        return torch.full((size,), UNLABELLED, dtype=torch.int64, device=device)

    @abstractmethod
    def write(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write what was decoded of a data set onto its sentences, in place of their labels of this type."""

    def write_classes(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write the classes of words onto these, also where they are tags of spans.

        Raises:
            SettingError: when words have no classes.
        """
        if not self.by_word:
            raise SettingError(f"force_token_predictions is for models that label words, not {self.unit}s")
        self.write(sentences, decoded, label_name)

    # Comparison

    @abstractmethod
    def score(
        self,
        gold: Gold,
        predicted: Tensor,
        *,
        loss: float = 0.0,
        main_metric: tuple[str, str] = DEFAULT_METRIC,
        exclude: Collection[str] = (),
    ) -> Result:
        """Compare predicted classes, in the shape of `Decoded.class_ids` of a data set, with gold labels.

        Args:
            gold: The gold labels.
            predicted: The predicted classes.
            loss: The loss, to stand beside.
            main_metric: Which figure is the main score.
            exclude: Labels to leave out: what has only these as gold labels is not compared, and they have no part in
                the figures.

        Raises:
            LabelError: when nothing has a gold label.
        """

    @abstractmethod
    def rows(self, gold: Gold, predicted: Tensor) -> Iterator[str]:
        """Yield the lines of each sentence, with gold and predicted labels beside one another."""

    def _score_single(
        self, gold: Gold, predicted: Tensor, *, loss: float, main_metric: tuple[str, str], exclude: Collection[str]
    ) -> Result:
        """Compare where each unit has one label at most."""
        numbers = copy_to(gold.targets.class_ids, predicted.device)
        excluded = [place for place, label in enumerate(gold.labels) if label in exclude]
        if excluded:
            numbers = numbers.masked_fill(torch.isin(numbers, numbers.new_tensor(excluded)), UNLABELLED)
        confusion = Confusion.empty(len(gold.labels), predicted.device).add(numbers, predicted)
        if not int(confusion.counts.sum()):
            raise self._nothing_to_compare()
        return evaluate_confusion(confusion, gold.labels, loss=loss, main_metric=main_metric, exclude=exclude)

    def _nothing_to_compare(self) -> LabelError:
        return LabelError(f"no {self.unit} has a gold label: there is nothing to compare with")
