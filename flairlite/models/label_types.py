"""What a model does for each of the label types that it predicts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from torch import Tensor

from flairlite.data import Sentence
from flairlite.encoding import Batch, BatchTargets
from flairlite.errors import LabelError
from flairlite.prediction.label_types import choose_types
from flairlite.tasks import Decoded, LabelSource, Task
from flairlite.tasks.checks import LabelCheck


class LabelTypes:
    """The part of a model that concerns its label types.

    Most models have one, that of `task`, and need only `loss` and `decode`. A model of several label types defines all
    properties and methods here that depend on their number. Methods refer to a type by its position in `label_types`.
    """

    task: Task

    @abstractmethod
    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Compute the loss () from the result of `forward`, summed over the labelled words or sentences of a batch."""

    @abstractmethod
    def decode(
        self, scores: Tensor, batch: Batch, *, with_scores: bool = True, with_probabilities: bool = False
    ) -> Decoded:
        """Predict classes from the result of `forward`, if requested with their scores or all probabilities."""

    @property
    def label_type(self) -> str:
        """The label type that the model learns and predicts, or the main one of several."""
        return self.task.label_type

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of all label types that the model predicts, the main one first."""
        return (self.task,)

    @property
    def label_types(self) -> tuple[str, ...]:
        """The label types that the model predicts, the main one first."""
        return tuple(task.label_type for task in self.tasks)

    @property
    def soft_types(self) -> tuple[str | None, ...]:
        """The name of the distributions that each label type learns besides its labels, or None."""
        return (None,) * len(self.tasks)

    @property
    def has_weighted_labels(self) -> bool:
        """Whether the loss gives a weight above 0 to any label."""
        return True

    def losses(self, scores: Tensor, batch: Batch) -> list[Tensor]:
        """Compute the loss () of each label type from the result of `forward`, without the weights of label types."""
        return [self.loss(scores, batch)]

    def join_losses(self, losses: Sequence[Tensor], types: Sequence[int]) -> Tensor:
        """Return the weighted sum () of the losses of label types, given their positions in `label_types`."""
        return losses[0]

    def decode_types(
        self,
        scores: Tensor,
        batch: Batch,
        types: Sequence[int],
        *,
        with_scores: bool = True,
        with_probabilities: bool = False,
    ) -> list[Decoded]:
        """Predict the classes of several label types, given their positions in `label_types`; see `decode`."""
        return [self.decode(scores, batch, with_scores=with_scores, with_probabilities=with_probabilities)]

    def split_scores(self, scores: Tensor) -> tuple[Tensor, ...]:
        """Return the part of each label type in the result of `forward`."""
        return (scores,)

    def type_indices(self, name: str, label_types: str | Iterable[str] | None) -> list[int]:
        """Return the positions of label types in `label_types`; of all if None.

        Args:
            name: The name of the argument, for messages.
            label_types: A label type or several.

        Raises:
            SettingError: If a label type is unknown, or there is none.
        """
        return choose_types(name, self.label_types, label_types)

    # Labels of data sets

    def label_sources(self, label_type: str | None = None, *, for_training: bool = False) -> list[LabelSource]:
        """Return where a data set has the labels of each task, before its sentences are read.

        Args:
            label_type: The type of the main labels in the data; by default the task's own.
            for_training: Whether to encode distributions to learn too.
        """
        soft_types = self.soft_types if for_training else (None,) * len(self.tasks)
        sources = [LabelSource.of(task, soft_type=name) for task, name in zip(self.tasks, soft_types, strict=True)]
        return [replace(sources[0], label_type=label_type or self.label_type), *sources[1:]]

    def label_checks(
        self,
        name: str,
        size: int,
        *,
        for_training: bool = False,
        label_type: str | None = None,
        exclude: Collection[str] = (),
    ) -> list[LabelCheck]:
        """Return a check of the labels of each type in a data set; see `LabelCheck` for the arguments.

        Labels of types other than the main one may be absent in data to compare with, and are not excluded.
        """
        return [
            LabelCheck(
                task,
                name,
                size=size,
                for_training=for_training,
                label_type=None if index else label_type,
                soft_type=soft_type,
                exclude=() if index else exclude,
                may_lack=bool(index),
            )
            for index, (task, soft_type) in enumerate(zip(self.tasks, self.soft_types, strict=True))
        ]

    def check_labels(
        self, sentences: Sequence[Sentence], name: str, *, label_type: str | None = None, exclude: Collection[str] = ()
    ) -> list[str]:
        """Return warnings about the labels of sentences to compare with, of all label types; see `LabelCheck`.

        Raises:
            LabelError: If there is nothing to compare with for the main type.
        """
        messages: list[str] = []
        for check in self.label_checks(name, len(sentences), label_type=label_type, exclude=exclude):
            check.add(sentences)
            messages += check.finish()
        return messages


def labels_of(batch: Batch) -> tuple[BatchTargets, ...]:
    """Return the labels of a batch.

    Raises:
        LabelError: If it was encoded without labels.
    """
    if not batch.labels:
        raise LabelError("these sentences were encoded without labels: there is nothing to learn from")
    return batch.labels
