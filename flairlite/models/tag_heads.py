"""The heads of a tagger: what turns the states of words into the labels of one type."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from flairlite.checks import flag, number, shown
from flairlite.data import Dictionary
from flairlite.encoding import Batch, BatchTargets
from flairlite.errors import LabelError, SettingError
from flairlite.models.inputs import check_dictionary, check_name, check_rate, check_weights
from flairlite.models.label_types import LabelTypes, labels_of
from flairlite.models.word_decoder import WordDecoder
from flairlite.nn import Distillation, LinearChainCRF, class_loss
from flairlite.tasks import Decoded, SpanTask, Task, word_or_span_task
from flairlite.tensors import copy_to

check_head_weight = number(least=0)


@dataclass(frozen=True)
class HeadSettings:
    """The settings of one label type.

    Attributes:
        label_type: The label type.
        dictionary: Its labels.
        use_crf: Whether a CRF scores whole label sequences.
        loss_weights: Weights of labels in the loss.
        head_weight: Weight of the label type in the loss.
        soft_labels: The type of the distributions to learn besides the labels, or None.
    """

    label_type: str
    dictionary: Dictionary
    use_crf: bool
    loss_weights: dict[str, float]
    head_weight: float
    soft_labels: str | None

    def to_plain(self) -> dict[str, Any]:
        """Return the settings as plain containers, without weight and soft labels, which taggers store by type."""
        return {
            "label_type": self.label_type,
            "tag_items": self.dictionary.get_items(),
            "span_labels": self.dictionary.span_labels,
            "use_crf": self.use_crf,
            "loss_weights": self.loss_weights or None,
        }


def dictionary_of(plain: Mapping[str, Any]) -> Dictionary:
    """Return the dictionary that is part of the result of `HeadSettings.to_plain`."""
    dictionary = Dictionary.from_items(plain["tag_items"])
    dictionary.span_labels = plain["span_labels"]
    return dictionary


def read_head_settings(
    tag_dictionary: Any, tag_type: Any, use_crf: Any, loss_weights: Any, head_weights: Any, soft_labels: Any
) -> list[HeadSettings]:
    """Check the arguments of `SequenceTagger` that are given by label type, and return them, the main type first.

    Raises:
        SettingError: If an argument is invalid, or names an unknown label type.
    """
    main = check_name("tag_type", tag_type)
    has_types = isinstance(tag_dictionary, Mapping) and any(
        isinstance(value, Dictionary) for value in tag_dictionary.values()
    )
    if has_types:
        dictionaries = {
            check_name("a label type in tag_dictionary", name): check_dictionary(f"tag_dictionary[{name!r}]", value)
            for name, value in tag_dictionary.items()
        }
        if main not in dictionaries:
            raise SettingError(
                f"tag_type names the main one of the label types in tag_dictionary, which are "
                f"{', '.join(dictionaries)}; it is {main!r}"
            )
    else:
        dictionaries = {main: check_dictionary("tag_dictionary", tag_dictionary)}
    types = [main, *(name for name in dictionaries if name != main)]
    crfs = _by_type("use_crf", use_crf, types) if isinstance(use_crf, Mapping) else dict.fromkeys(types, use_crf)
    weights = _by_type("loss_weights", loss_weights, types) if has_types else {main: loss_weights}
    head_weights = _by_type("head_weights", head_weights, types)
    soft = {main: soft_labels} if isinstance(soft_labels, str) else _by_type("soft_labels", soft_labels, types)
    return [
        HeadSettings(
            name,
            dictionaries[name],
            flag("use_crf", crfs.get(name, True)),
            check_weights(weights.get(name)),
            float(check_head_weight(f"head_weights[{name!r}]", head_weights.get(name, 1.0))),
            None if soft.get(name) is None else check_name("soft_labels", soft[name]),
        )
        for name in types
    ]


def _by_type(name: str, value: Any, types: Sequence[str]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SettingError(f"{name} must map label types to values, as {{{types[-1]!r}: ...}}; it is {shown(value)}")
    if unknown := [key for key in value if key not in types]:
        raise SettingError(
            f"{name} names {', '.join(map(str, unknown))}, but the label types of the tagger are {', '.join(types)}"
        )
    return value


@dataclass(frozen=True)
class LossSettings:
    """The settings of the loss that all heads of a tagger share.

    Attributes:
        label_smoothing: The part of the target distribution that is uniform.
        distillation: How to learn distributions.
    """

    label_smoothing: float
    distillation: Distillation

    def make_task(self, settings: HeadSettings, tag_format: str, *, with_unknown: bool) -> Task:
        """Return the task of a head that is trained so.

        Raises:
            LabelError: If its dictionary has no label.
            SettingError: If its settings contradict those of the loss, or the tag format cannot be used.
        """
        try:
            task = word_or_span_task(settings.dictionary, settings.label_type, tag_format, with_unknown=with_unknown)
        except LabelError as error:
            raise LabelError(f"label type {settings.label_type!r}: {error}") from error
        if not settings.use_crf:
            return task
        if settings.loss_weights:
            raise SettingError("loss_weights weigh single labels, but a CRF scores sequences: give use_crf=False too")
        given = {"label_smoothing": self.label_smoothing, "soft_labels": settings.soft_labels}
        names = [name for name, value in given.items() if value]
        if names and isinstance(task, SpanTask):
            raise SettingError(
                f"{' and '.join(names)} cannot be combined with a CRF over spans, because some sequences of tags are "
                f"impossible: give use_crf=False, or use_crf={{{settings.label_type!r}: False}}"
            )
        return task


def read_loss_settings(label_smoothing: Any, distillation_weight: Any, distillation_temperature: Any) -> LossSettings:
    """Check the arguments of `SequenceTagger` about its loss.

    Raises:
        SettingError: If one is invalid.
    """
    weight = number(least=0)("distillation_weight", distillation_weight)
    if weight > 1:
        raise SettingError(f"distillation_weight must be at most 1; it is {weight}")
    temperature = number(above=0)("distillation_temperature", distillation_temperature)
    smoothing = check_rate("label_smoothing", label_smoothing)
    return LossSettings(float(smoothing), Distillation(float(weight), float(temperature)))


class Head(Protocol):
    """The layers and settings of one label type. A tagger is itself the head of its main type."""

    task: Task
    linear: nn.Linear
    crf: LinearChainCRF | None
    word_decoder: WordDecoder
    label_weights: Tensor
    head_settings: HeadSettings


class TagHead(nn.Module):
    """The head of a label type besides the main one.

    Args:
        task: What is labelled.
        input_size: Size H of the states of words.
        settings: The settings of the label type.
    """

    linear: nn.Linear
    crf: LinearChainCRF | None
    word_decoder: WordDecoder
    label_weights: Tensor  # (K,)

    def __init__(self, task: Task, input_size: int, settings: HeadSettings) -> None:
        super().__init__()
        self.task, self.head_settings = task, settings
        self.linear, self.crf, self.word_decoder = make_layers(task, input_size, settings.use_crf)
        self.register_buffer("label_weights", task.class_weights(settings.loss_weights), persistent=False)


class TagHeads(LabelTypes):
    """The part of a tagger that has a head for each label type; the tagger itself is the head of the main type."""

    linear: nn.Linear
    crf: LinearChainCRF | None
    word_decoder: WordDecoder
    label_weights: Tensor  # (K,)
    head_settings: HeadSettings
    loss_settings: LossSettings
    other_heads: nn.ModuleList | None

    @property
    def heads(self) -> tuple[Head, ...]:
        """The layers and settings of each label type, the main one first; the tagger itself has those of that one."""
        return (self, *(self.other_heads or ()))

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of all label types, the main one first."""
        return tuple(head.task for head in self.heads)

    @property
    def soft_types(self) -> tuple[str | None, ...]:
        """The name of the distributions that each label type learns, or None."""
        return tuple(head.head_settings.soft_labels for head in self.heads)

    @property
    def has_weighted_labels(self) -> bool:
        """Whether the loss gives a weight above 0 to any label of any type."""
        return any(head.head_settings.head_weight and head.label_weights.any() for head in self.heads)

    def drop_heads(self, *label_types: str) -> None:
        """Remove label types, for example those that were needed only in training; `save` then writes less.

        If the main type is removed, the first of the others becomes the main one. If only types with weight 0 in the
        loss are left, they get weight 1.

        Raises:
            SettingError: If a label type is unknown, or none would be left.
        """
        unknown = [name for name in label_types if name not in self.label_types]
        left = [head for head in self.heads if head.task.label_type not in label_types]
        if unknown or not left:
            problem = f"cannot remove {', '.join(map(str, unknown))}" if unknown else "must leave one label type"
            raise SettingError(f"drop_heads {problem}: the tagger has {', '.join(self.label_types)}")
        if not any(head.head_settings.head_weight for head in left):
            for head in left:
                head.head_settings = replace(head.head_settings, head_weight=1.0)
        main, *others = left
        if main is not self:
            self._become(main)
        self.other_heads = nn.ModuleList(others) if others else None  # type: ignore[arg-type]

    def forget_soft_labels(self) -> None:
        """Learn gold labels alone in further training, as on data that have no distributions of a teacher."""
        for head in self.heads:
            head.head_settings = replace(head.head_settings, soft_labels=None)

    def _become(self, head: Head) -> None:
        """Take the layers and settings of another head for the main label type."""
        self.task, self.head_settings = head.task, head.head_settings
        self.linear, self.crf, self.word_decoder = head.linear, head.crf, head.word_decoder
        self.label_weights = head.label_weights

    def losses(self, scores: Tensor, batch: Batch) -> list[Tensor]:
        """Compute the loss () of each label type, 0 for types of which the batch has no label."""
        parts = list(zip(self.heads, self.split_scores(scores), labels_of(batch), strict=False))
        has_labels = [bool(labels.num_labels) or labels.soft is not None for _, _, labels in parts]
        has_labels[0] |= not any(has_labels)  # a loss without a label has gradients, all of them 0
        return [
            compute_loss(head, part, labels, batch, self.loss_settings) if is_given else scores.new_zeros(())
            for (head, part, labels), is_given in zip(parts, has_labels, strict=True)
        ]

    def join_losses(self, losses: Sequence[Tensor], types: Sequence[int]) -> Tensor:
        """Return the weighted sum () of the losses of label types, given their positions in `label_types`."""
        weights = [self.heads[index].head_settings.head_weight for index in types]
        weighted = [loss if weight == 1 else weight * loss for weight, loss in zip(weights, losses, strict=True)]
        return functools.reduce(operator.add, weighted)

    def decode_types(
        self,
        scores: Tensor,
        batch: Batch,
        types: Sequence[int],
        *,
        with_scores: bool = True,
        with_probabilities: bool = False,
    ) -> list[Decoded]:
        """Predict the best label sequences of several label types, given their positions in `label_types`."""
        parts, heads = self.split_scores(scores), self.heads
        return [
            heads[index].word_decoder(
                parts[index],
                batch.lengths,
                heads[index].crf,
                with_scores=with_scores,
                with_probabilities=with_probabilities,
            )
            for index in types
        ]

    def split_scores(self, scores: Tensor) -> tuple[Tensor, ...]:
        """Return the part (B, T, K) of each label type in the result of `forward`."""
        if self.other_heads is None:
            return (scores,)
        return torch.split(scores, [len(task.class_names) for task in self.tasks], dim=2)

    def further_settings(self) -> dict[str, Any]:
        """Return the settings that files of earlier versions lack, without those that have their default values."""
        loss, heads = self.loss_settings, [head.head_settings for head in self.heads]
        values: dict[str, Any] = {
            "other_heads": [head.to_plain() for head in heads[1:]],
            "head_weights": {head.label_type: head.head_weight for head in heads if head.head_weight != 1},
            "label_smoothing": loss.label_smoothing,
            "soft_labels": {head.label_type: head.soft_labels for head in heads if head.soft_labels is not None},
        }
        settings = {name: value for name, value in values.items() if value}
        if "soft_labels" in settings:
            settings["distillation_weight"] = loss.distillation.weight
            settings["distillation_temperature"] = loss.distillation.temperature
        return settings


def make_layers(task: Task, input_size: int, use_crf: bool) -> tuple[nn.Linear, LinearChainCRF | None, WordDecoder]:
    """Make the layers of a head; their weights are drawn from the global generator."""
    num_classes = len(task.class_names)
    linear = nn.Linear(input_size, num_classes)
    crf = LinearChainCRF(num_classes, transition_mask=task.transition_mask()) if use_crf else None
    return linear, crf, WordDecoder(task, use_crf=use_crf)


def compute_emissions(head: Head, states: Tensor) -> Tensor:
    """Compute the scores (B, T, K) of the classes of a head from the states (B, T, H) of words."""
    # in the memory layout that torch's networks write, (T, B, H), nothing is copied
    emissions: Tensor = head.linear(states.transpose(0, 1)).transpose(0, 1)  # (B, T, K)
    return emissions.to(torch.promote_types(emissions.dtype, torch.float32))  # a CRF sums many of them


def compute_loss(head: Head, scores: Tensor, labels: BatchTargets, batch: Batch, settings: LossSettings) -> Tensor:
    """Compute the loss () of a head, summed over the words of a batch that have a label or a distribution.

    Args:
        head: The head.
        scores: (B, T, K) its emissions.
        labels: The labels of its type.
        batch: The batch.
        settings: The settings of the loss.
    """
    tags = copy_to(head.task.mask_unknown(labels.class_ids), scores.device)
    if head.crf is not None:
        return _chain_loss(head.crf, scores, tags, labels, batch, settings)
    if labels.soft is None:
        return class_loss(scores, tags, head.label_weights, settings.label_smoothing)
    teacher = labels.soft.to(scores.device)
    return settings.distillation.class_loss(
        scores, tags, teacher.class_ids, teacher.probabilities, head.label_weights, settings.label_smoothing
    )


def _chain_loss(
    crf: LinearChainCRF, scores: Tensor, tags: Tensor, labels: BatchTargets, batch: Batch, settings: LossSettings
) -> Tensor:
    losses: Tensor = crf(scores, tags, batch.lengths, is_partial=labels.is_partial)  # (B,)
    smoothing = settings.label_smoothing
    if labels.soft is None and not smoothing:
        return losses.sum()
    mask = copy_to(batch.mask, scores.device)
    has_labels = ((tags >= 0) & mask).any(1)  # (B,)
    if smoothing:
        uniform = torch.full_like(scores, 1 / scores.shape[2])  # (B, T, K)
        smoothed = crf.cross_entropy(scores, uniform, batch.lengths)  # (B,): the mean over all sequences
        losses = torch.where(has_labels, (1 - smoothing) * losses + smoothing * smoothed, losses)
    if labels.soft is None:
        return losses.sum()
    teacher = labels.soft.to(scores.device)
    return settings.distillation.chain_loss(
        crf, scores, losses, has_labels, teacher.class_ids, teacher.probabilities, batch.lengths, mask
    )
