"""What a model labels, and its labels as tags and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flairlite.data import Sentence

_KEYS = {"word": "tokens", "span": "spans", "sentence": "labels"}  # in JSON, of a single label type


@dataclass(frozen=True)
class Layer:
    """The labels of one type.

    Attributes:
        label_type: The label type.
        unit: What has the labels: `word`, `span` or `sentence`.
        label_names: The labels that can be predicted.
    """

    label_type: str
    unit: str
    label_names: Sequence[str]

    def tags(self, sentence: Sentence) -> list[str]:
        """Return a tag of each word: its label, or `B-`, `I-` and `O` of spans; the empty string for no label."""
        if self.unit == "word":
            return [label or "" for label in sentence.token_labels(self.label_type) or [None] * len(sentence)]
        tags = ["O"] * len(sentence)
        for start, end, label in sentence.span_labels(self.label_type):
            tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
        return tags

    def of_sentence(self, sentence: Sentence) -> str:
        """Return the labels of a whole sentence."""
        return ",".join(sentence.sentence_labels(self.label_type))

    def annotations(self, sentence: Sentence, offset: int = 0) -> list[dict[str, Any]]:
        """Return the labels with their scores, and with the text and the positions of their words.

        Args:
            sentence: The sentence.
            offset: Is added to positions, which count characters of the sentence.
        """
        if self.unit == "sentence":
            return [_scored(label) for label in sentence.get_labels(self.label_type)]
        points = sentence.get_spans(self.label_type) if self.unit == "span" else sentence.tokens
        return [
            {
                "text": point.text,
                "start": point.start_position + offset,
                "end": point.end_position + offset,
                **_scored(point.get_label(self.label_type)),
            }
            for point in points
        ]


def layers_of(model: Any) -> list[Layer]:
    """Return the label types of a model, or of an exported model."""
    labelers = getattr(model, "labelers", None)  # of an exported model
    if labelers is not None:
        return [Layer(labeler.label_type, labeler.unit, labeler.label_names) for labeler in labelers]
    return [Layer(task.label_type, _unit_of(task), task.label_names) for task in model.tasks]


def to_json(sentence: Sentence, layers: Sequence[Layer], offset: int = 0) -> dict[str, Any]:
    """Return the labels of a sentence as `tokens`, `spans` or `labels`, or those of several types by their names."""
    return {
        _KEYS[layer.unit] if len(layers) == 1 else layer.label_type: layer.annotations(sentence, offset)
        for layer in layers
    }


def _unit_of(task: Any) -> str:
    return "sentence" if not task.by_word else "span" if task.unit == "span" else "word"


def _scored(label: Any) -> dict[str, Any]:
    return {"label": label.value, "score": round(label.score, 6)}
