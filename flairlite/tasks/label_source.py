"""Where a data set has the labels of a task, and their conversion to integers, for one label type or several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from flairlite.data import Sentence
from flairlite.encoding import SoftTargets, Targets, count_words
from flairlite.errors import LabelError
from flairlite.tasks.spans import SpanTask
from flairlite.tasks.task import Gold, Task
from flairlite.tensors import UNLABELLED

PART = "multitask_id"  # label type by which a MultiCorpus marks the sentences of each of its corpora


@dataclass(frozen=True)
class LabelSource:
    """The labels of one task in a data set.

    Attributes:
        task: The task.
        label_type: The type of its labels in the data.
        labels: All labels that occur, the model's first; see `extend`.
        is_found: Whether some sentence has a label.
        unannotated: The corpora of a `MultiCorpus` whose sentences have no labels of this type; see `leave_out_parts`.
        soft_type: The label type of the distributions to learn, or None.
    """

    task: Task
    label_type: str
    labels: tuple[str, ...]
    is_found: bool = False
    unannotated: frozenset[str] = frozenset()
    soft_type: str | None = None

    @classmethod
    def of(cls, task: Task, label_type: str | None = None, soft_type: str | None = None) -> LabelSource:
        """Return the source of a task, by default under its own label type, before any sentence was read."""
        return cls(task, label_type or task.label_type, task.label_names, soft_type=soft_type)

    def extend(self, sentences: Iterable[Sentence]) -> LabelSource:
        """Return a source that also knows the labels of more sentences."""
        counts = self.task.count(sentences, self.label_type)
        labels = tuple(dict.fromkeys((*self.labels, *counts)))
        return replace(self, labels=labels, is_found=self.is_found or bool(counts))

    def without_parts(self, sentences: Iterable[Sentence]) -> LabelSource:
        """Return a source that ignores the corpora of a `MultiCorpus` that have no spans of this type."""
        if not isinstance(self.task, SpanTask):
            return self
        found: dict[str, bool] = {}
        for sentence in sentences:
            for part in sentence.sentence_labels(PART):
                found[part] = found.get(part, False) or bool(sentence.span_labels(self.label_type))
        return replace(self, unannotated=frozenset(part for part, has_spans in found.items() if not has_spans))

    def targets(self, sentences: Sequence[Sentence]) -> Targets:
        """Convert the labels of sentences to integers."""
        targets = self.task.targets(sentences, self.labels, self.label_type)
        if self.unannotated:
            targets = self._without_unannotated(targets, sentences)
        if self.soft_type is None:
            return targets
        of_spans = isinstance(self.task, SpanTask)
        return replace(targets, soft=soft_targets(sentences, self.soft_type, self.task.class_names, of_spans=of_spans))

    def _without_unannotated(self, targets: Targets, sentences: Sequence[Sentence]) -> Targets:
        is_left_out = torch.tensor(
            [not self.unannotated.isdisjoint(sentence.sentence_labels(PART)) for sentence in sentences],
            dtype=torch.bool,
        )  # (S,)
        of_words = torch.cat((is_left_out.repeat_interleave(count_words(sentences)), torch.tensor([True])))  # (N + 1,)
        return replace(
            targets,
            class_ids=targets.class_ids.masked_fill(of_words, UNLABELLED),
            counts=targets.counts.masked_fill(is_left_out, 0),
        )


def leave_out_parts(sources: Sequence[LabelSource], sentences: Iterable[Sentence]) -> list[LabelSource]:
    """Return sources that ignore, for each type of spans, the corpora of a `MultiCorpus` without any.

    A sentence without spans is annotated, usually: it contains none. But a model of several label types may learn from
    corpora of which only some are annotated with spans. Words without a label need no such distinction, and neither
    does a model of one label type.
    """
    if len(sources) == 1:
        return list(sources)
    return [source.without_parts(sentences) for source in sources]


def encode_labels(sources: Sequence[LabelSource], sentences: Sequence[Sentence]) -> Targets:
    """Convert the labels of all types to integers; the targets of the first type contain those of the others."""
    main, *others = [source.targets(sentences) for source in sources]
    return replace(main, others=tuple(others))


def make_gold(sources: Sequence[LabelSource], sentences: Sequence[Sentence], targets: Targets) -> Gold:
    """Return the gold labels of all types, given what `encode_labels` returned for the sentences."""
    others = tuple(
        Gold(sentences, source.label_type, source.labels, part) if source.is_found else None
        for source, part in zip(sources[1:], targets.others, strict=True)
    )
    return Gold(sentences, sources[0].label_type, sources[0].labels, targets, others)


def soft_targets(
    sentences: Sequence[Sentence], label_type: str, class_names: Sequence[str], *, of_spans: bool = False
) -> SoftTargets:
    """Convert the distributions that sentences carry to those over the classes of a model.

    Classes that the model does not know are left out; the loss scales the probabilities of the others to sum to 1.

    Args:
        sentences: The sentences, with N words.
        label_type: The type under which `Sentence.set_tag_distributions` stored them.
        class_names: The classes of the model.
        of_spans: Whether these are tags of spans.

    Raises:
        LabelError: If the model knows no class of a distribution, or has another tagging scheme of spans.
    """
    lengths = count_words(sentences)
    found = [sentence.tag_distributions(label_type) for sentence in sentences]
    size = max((table.probabilities.shape[1] for table in found if table is not None), default=1)
    dtype = np.int16 if len(class_names) < 2**15 else np.int32
    ids = np.zeros((int(lengths.sum()) + 1, size), dtype=dtype)  # (N + 1, C)
    probabilities = np.zeros(ids.shape, dtype=np.float16)
    id_of = {name: index for index, name in enumerate(class_names)}
    maps: dict[tuple[str, ...], np.ndarray] = {}  # (K of the teacher,) ids of the model, -1 for unknown classes
    ends = lengths.cumsum(0).tolist()
    for table, end, length in zip(found, ends, lengths.tolist(), strict=True):
        if table is None or not length:
            continue
        if table.names not in maps:
            maps[table.names] = _map_names(table.names, id_of, label_type)
            if of_spans:
                _check_scheme(table.names, class_names, label_type)
        columns = table.probabilities.shape[1]
        known = maps[table.names]
        ids[end - length : end, :columns] = known if table.class_ids is None else known[table.class_ids[:length]]
        probabilities[end - length : end, :columns] = table.probabilities[:length]
    probabilities[ids < 0] = 0
    np.maximum(ids, 0, out=ids)
    is_given = np.concatenate(([0], np.cumsum(probabilities[:-1].any(axis=1))))
    counts = torch.from_numpy(is_given[ends] - is_given[(lengths.cumsum(0) - lengths).numpy()])
    return SoftTargets(torch.from_numpy(ids), torch.from_numpy(probabilities), counts)


def _map_names(names: Sequence[str], id_of: dict[str, int], label_type: str) -> np.ndarray:
    ids = np.array([id_of.get(name, -1) for name in names], dtype=np.int32)
    if (ids < 0).all():
        raise LabelError(
            f"the model knows none of the classes of the {label_type!r} distributions, {', '.join(names[:20])}: it "
            f"has {', '.join(list(id_of)[:20])}. Make the dictionary from the labels of the teacher too, and use its "
            "tag_format for spans"
        )
    return ids


def _check_scheme(names: Sequence[str], class_names: Sequence[str], label_type: str) -> None:
    """Check that tags of spans have the same prefixes: in another scheme, the same tag can mean something else."""
    own, other = ({name.partition("-")[0] for name in tags if "-" in name} for tags in (class_names, names))
    if own != other:
        raise LabelError(
            f"the {label_type!r} distributions have tags of spans with the prefixes {', '.join(sorted(other))}, but "
            f"the model has {', '.join(sorted(own))}: give it the tag_format of the teacher"
        )
