"""The interface between labels of sentences and class ids: targets, decoding, writing labels, and evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from flairlite.checks import number, shown, strings
from flairlite.data import Dictionary, Sentence
from flairlite.data.dictionary import UNKNOWN
from flairlite.encoding import Batch, Targets
from flairlite.errors import LabelError, SettingError
from flairlite.metrics import DEFAULT_METRIC, Matches, Result, evaluate_matches
from flairlite.tasks.checks import LabelCheck
from flairlite.tensors import UNLABELLED


@dataclass(frozen=True)
class Decoded:
    """Predictions for a batch, or for all N words or S sentences of a data set.

    Attributes:
        class_ids: Predicted classes: (B, T) or (N + 1,) of words, meaningless on padding; (B,) or (S,) of sentences, or
            (B, K) and (S, K) of 0 and 1 where a sentence can have several.
        scores: Probability of each prediction, in the same shape; None unless requested.
        probabilities: Probability of each class, with one more dimension (K) where a word or sentence has one class;
            None unless requested.
        span_scores: Where classes are tags of spans, the probability of the span that begins at a word, in the same
            shape; 0 where none begins.
    """

    class_ids: Tensor
    scores: Tensor | None = None
    probabilities: Tensor | None = None
    span_scores: Tensor | None = None


@dataclass(frozen=True)
class Gold:
    """The gold labels of a data set.

    Attributes:
        sentences: The sentences.
        label_type: The type of the labels.
        labels: All labels that occur or that the model knows, the model's first.
        targets: The labels as integers.
        others: The gold labels of the other types that a model of several types predicts; None for a type of which
            there are none.
    """

    sentences: Sequence[Sentence]
    label_type: str
    labels: Sequence[str]
    targets: Targets
    others: tuple[Gold | None, ...] = ()

    @property
    def types(self) -> tuple[Gold | None, ...]:
        """The gold labels of all types, the main one first."""
        return (self, *self.others)


class Task(ABC):
    """Converts between the labels of sentences and the class ids of a model, and compares predictions with gold labels.

    Sentences have labels, models score classes. The two are the same except for spans, whose classes are tags of words.

    Args:
        label_type: The label type.
        label_names: The L labels that the model can predict. If `<unk>` is among them, all other labels are learned as
            `<unk>`; otherwise they are ignored in training.

    Raises:
        SettingError: If `label_type` is not a string, or `label_names` are not distinct strings.
    """

    unit: ClassVar[str]  # what has labels, in messages
    by_word: ClassVar[bool]  # whether words have classes, not sentences
    multi_label: bool = False  # whether a unit can have several labels
    outside_labels: ClassVar[tuple[str, ...]] = ()  # labels that say that there is nothing to label

    def __init__(self, label_type: str, label_names: Sequence[str]) -> None:
        if not isinstance(label_type, str) or not label_type:
            raise SettingError(f"label_type must be a string such as 'upos'; it is {shown(label_type)}")
        self.label_type = label_type
        self.label_names = tuple(map(str, strings()("label_names", label_names)))
        if repeated := [name for name, count in Counter(self.label_names).items() if count > 1]:
            raise SettingError(f"label_names must be distinct; these are repeated: {', '.join(repeated)}")
        self.class_names = self.label_names  # the K classes
        self.unknown = self.label_names.index(UNKNOWN) if UNKNOWN in self.label_names else None

    @property
    def may_be_absent(self) -> bool:
        """Whether data without any label may be fully annotated: no label applies, or all would be `O`."""
        return self.multi_label or not set(self.outside_labels).isdisjoint(self.label_names)

    # From labels to class ids

    @abstractmethod
    def labels_in(self, sentence: Sentence, label_type: str) -> Sequence[str]:
        """Return the labels of one type in a sentence, one per labelled unit."""

    def count(self, sentences: Iterable[Sentence], label_type: str | None = None) -> Counter[str]:
        """Count the labels of one type (default: the task's own), in order of first occurrence."""
        counts: Counter[str] = Counter()
        for sentence in sentences:
            counts.update(self.labels_in(sentence, label_type or self.label_type))
        return counts

    def all_labels(self, sentences: Iterable[Sentence], label_type: str | None = None) -> tuple[str, ...]:
        """Return the labels that the model knows, followed by those that only the sentences have."""
        return tuple(dict.fromkeys((*self.label_names, *self.count(sentences, label_type))))

    @abstractmethod
    def targets(self, sentences: Sequence[Sentence], labels: Sequence[str], label_type: str | None = None) -> Targets:
        """Convert gold labels to integers.

        Args:
            sentences: The sentences.
            labels: All labels that occur, the model's first, as `all_labels` lists them.
            label_type: The label type; default: the task's own.

        Raises:
            LabelError: If a label is not in `labels`, or a unit has more labels than the model can predict for it.
        """

    def gold(self, sentences: Sequence[Sentence], label_type: str | None = None) -> Gold:
        """Collect the gold labels of one type (default: the task's own)."""
        label_type = label_type or self.label_type
        labels = self.all_labels(sentences, label_type)
        return Gold(sentences, label_type, labels, self.targets(sentences, labels, label_type))

    def mask_unknown(self, targets: Tensor) -> Tensor:
        """Return targets with -1, or the class of `<unk>`, for classes that the model does not know."""
        return targets.masked_fill(
            targets >= len(self.class_names), UNLABELLED if self.unknown is None else self.unknown
        )

    def num_known(self, class_names: Sequence[str]) -> int:
        """Return how many of these classes, the model's first, contribute to the loss."""
        return len(self.class_names) if self.unknown is None else len(class_names)

    def transition_mask(self) -> Tensor | None:
        """Return which class may follow which, as `LinearChainCRF` takes it; None if any may follow any."""
        return None

    def class_weights(self, loss_weights: Mapping[str, float] | None) -> Tensor:
        """Return the weight of each class in the loss, (K,): as given for the class or its label, otherwise 1.

        Raises:
            LabelError: If a weight is given for a label that the model does not know.
            SettingError: If `loss_weights` is not a mapping to finite numbers of at least 0.
        """
        given = {} if loss_weights is None else loss_weights
        if not isinstance(given, Mapping):
            raise SettingError(f"loss_weights must map labels to weights, not be a {type(given).__name__}")
        if unknown := sorted(map(str, set(given) - {*self.class_names, *self.label_names})):
            raise LabelError(
                f"loss_weights name {', '.join(unknown)}, but the labels are {', '.join(self.label_names)}"
            )
        for name, value in given.items():
            number(least=0)(f"the weight of {name!r} in loss_weights", value)
        return torch.tensor([float(given.get(name, given.get(self.label_of(name), 1.0))) for name in self.class_names])

    def label_of(self, class_name: str) -> str:
        """Return the label that a class belongs to."""
        return class_name

    def scored_labels(self, exclude: Collection[str] = ()) -> tuple[str, ...]:
        """Return the labels of the model that have scores of their own in an evaluation."""
        return tuple(label for label in self.label_names if label not in (*exclude, *self.outside_labels))

    # Units that are left out

    def count_omitted(self, sentence: Sentence, label_type: str, labels: Sequence[str]) -> Mapping[str, int]:
        """Count the units of a sentence that are left out, by a kind that is a key of `omissions`."""
        return {}

    def omissions(self, for_training: bool) -> dict[str, str]:
        """Return the message for each kind of units that are left out; it follows their number."""
        return {}

    def check(
        self,
        sentences: Sequence[Sentence],
        name: str,
        *,
        for_training: bool = False,
        label_type: str | None = None,
        exclude: Collection[str] = (),
    ) -> list[str]:
        """Return warnings about the labels of sentences; see `flairlite.tasks.checks.LabelCheck`."""
        size = len(sentences)
        check = LabelCheck(self, name, size=size, for_training=for_training, label_type=label_type, exclude=exclude)
        check.add(sentences)
        return check.finish()

    # From class ids to labels

    def decode(self, scores: Tensor, *, with_probabilities: bool = False) -> Decoded:
        """Choose the class with the highest of the scores (..., K) for each unit; its score is its probability."""
        probabilities = scores.softmax(dim=-1)
        best = probabilities.max(dim=-1)
        return Decoded(best.indices, best.values, probabilities if with_probabilities else None)

    def positions(self, batch: Batch) -> Tensor:
        """Return where the predictions for a batch belong in its data set, (B, T) or (B,)."""
        return batch.positions if self.by_word else batch.indices

    def empty_predictions(self, lengths: Tensor, device: torch.device) -> Tensor:
        """Return class ids to fill for a data set: -1 for each word and for padding, (N + 1,), or each sentence."""
        size = int(lengths.sum()) + 1 if self.by_word else len(lengths)
        return torch.full((size,), UNLABELLED, dtype=torch.int64, device=device)

    @abstractmethod
    def write(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write the predictions for a data set onto its sentences, replacing their labels of this type."""

    def write_classes(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write classes onto words, even if they are tags of spans.

        Raises:
            SettingError: If words have no classes.
        """
        if not self.by_word:
            raise SettingError(f"force_token_predictions is for models that label words, not {self.unit}s")
        self.write(sentences, decoded, label_name)

    # Evaluation

    def score(
        self,
        gold: Gold,
        predicted: Tensor,
        *,
        loss: float = 0.0,
        main_metric: tuple[str, str] = DEFAULT_METRIC,
        exclude: Collection[str] = (),
    ) -> Result:
        """Compare predicted classes with gold labels; without any gold label, all scores are 0.

        Args:
            gold: The gold labels.
            predicted: Predicted classes of the data set, in the shape of `Decoded.class_ids`.
            loss: Loss to report.
            main_metric: The main score.
            exclude: Labels to leave out of the scores; units with only these as gold labels are not compared.
        """
        matches = self.match(gold, predicted, exclude)
        hidden = (*exclude, *self.outside_labels)
        return evaluate_matches(matches, gold.labels, loss=loss, main_metric=main_metric, exclude=hidden)

    def match(self, gold: Gold, predicted: Tensor, exclude: Collection[str]) -> Matches:
        """Count correct, predicted and gold labels, unit by unit."""
        ids = gold.targets.class_ids.cpu()
        if excluded := [index for index, label in enumerate(gold.labels) if label in exclude]:
            ids = ids.masked_fill(torch.isin(ids, ids.new_tensor(excluded)), UNLABELLED)
        return Matches.of_classes(ids, predicted, len(gold.labels))

    @abstractmethod
    def rows(self, gold: Gold, predicted: Tensor) -> Iterator[str]:
        """Yield the lines of each sentence, with gold and predicted labels side by side."""


def labels_of(dictionary: Dictionary, *, with_unknown: bool = False) -> list[str]:
    """Return the labels of a dictionary: without `<unk>`, or with `<unk>` first where it is to be learned.

    Raises:
        LabelError: If there is no other label.
    """
    names = [item for item in dictionary.get_items() if item != UNKNOWN]
    if not names:
        raise LabelError("the dictionary has no label besides <unk>: make it with corpus.make_label_dictionary")
    return [UNKNOWN, *names] if with_unknown else names
