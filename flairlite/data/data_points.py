"""The base of sentences, tokens and spans: what can have labels, metadata and embeddings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from flairlite.data.label_values import check_score, check_type, check_type_or_all, check_value
from flairlite.data.labels import ARROW, Label
from flairlite.data.text_layout import Location
from flairlite.data.vectors import join_vectors
from flairlite.errors import LabelError

if TYPE_CHECKING:
    import torch

    from flairlite.data.sentence import Sentence

Self = TypeVar("Self", bound="DataPoint")


class DataPoint(ABC):
    """A sentence, a token or a span.

    The sentence stores the labels, metadata and embeddings of its tokens and spans, each at its location.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def _home(self) -> Sentence:
        """The sentence that stores the data of this data point."""

    @property
    @abstractmethod
    def _location(self) -> Location: ...

    @property
    @abstractmethod
    def text(self) -> str:
        """The text of this data point."""

    @property
    @abstractmethod
    def start_position(self) -> int:
        """Offset of the first character."""

    @property
    @abstractmethod
    def end_position(self) -> int:
        """Offset after the last character."""

    @property
    @abstractmethod
    def unlabeled_identifier(self) -> str:
        """A string that identifies this data point, without its labels."""

    @abstractmethod
    def __len__(self) -> int: ...

    def __lt__(self, other: DataPoint) -> bool:
        return self.start_position < other.start_position

    # Labels

    def get_labels(self, typename: str | None = None) -> list[Label]:
        """Return the labels of one type, or of all."""
        return self._home._labels.labels_of(self, check_type_or_all(typename))

    def add_label(self: Self, typename: str, value: str, score: float = 1.0, **metadata: Any) -> Self:
        """Add a label to the existing ones, and return this data point.

        Numbers become their text, and members of an enumeration of strings become their value.

        Raises:
            LabelError: If the value is empty or missing, or the score is not a number between 0 and 1.
            SettingError: If the label type is not a string, or empty.
        """
        self._home._own_labels().add(self, typename, value, score, metadata)
        return self

    def remove_labels(self, typename: str) -> None:
        """Remove all labels of one type."""
        self._home._own_labels().remove(self._location, check_type(typename))

    def set_label(self: Self, typename: str, value: str, score: float = 1.0, **metadata: Any) -> Self:
        """Replace the labels of a type by one label, and return this data point; see `add_label`."""
        # raise before anything is removed
        typename, value, score = check_type(typename), check_value(value), check_score(score)
        self.remove_labels(typename)
        return self.add_label(typename, value, score, **metadata)

    def get_label(self, label_type: str | None = None, zero_tag_value: str = "O") -> Label:
        """Return the first label of one type (or of all); without labels, one of value `zero_tag_value`."""
        labels = self.get_labels(label_type)
        return labels[0] if labels else Label._unchecked(self, zero_tag_value)

    def has_label(self, label_type: str) -> bool:
        """Tell whether there is a label of this type."""
        return bool(self.get_labels(label_type))

    @property
    def labels(self) -> list[Label]:
        """All labels."""
        return self.get_labels()

    @property
    def annotation_layers(self) -> Mapping[str, list[Label]]:
        """The labels by type, read-only; use `add_label` and `remove_labels` for changes."""
        layers: dict[str, list[Label]] = {}
        for label in self.get_labels():
            layers.setdefault(str(label.typename), []).append(label)
        return MappingProxyType(layers)

    @property
    def tag(self) -> str:
        """The value of the first label."""
        return self.get_label().value

    @property
    def score(self) -> float:
        """The score of the first label."""
        return self.get_label().score

    # Metadata

    def add_metadata(self, key: str, value: Any) -> None:
        """Store a value under a name."""
        self._home._own_labels().add_part_metadata(self._location, key, value)

    def get_metadata(self, key: str) -> Any:
        """Return the value that is stored under a name.

        Raises:
            KeyError: If there is no such value.
        """
        return self._metadata_to_read()[key]

    def has_metadata(self, key: str) -> bool:
        """Tell whether a value is stored under a name."""
        return key in self._metadata_to_read()

    def _metadata_to_read(self) -> Mapping[str, Any]:
        return self._home._labels.part_metadata(self._location)

    # Embeddings

    def set_embedding(self, name: str, vector: torch.Tensor) -> None:
        """Store a vector (D,) under the name of its embedding."""
        self._home._own_vectors().set(self._location, name, vector, len(self._home))

    def get_embedding(self, names: list[str] | None = None) -> torch.Tensor:
        """Return the concatenated vectors (D,) of the embeddings named, or of all; (0,) without vectors."""
        return join_vectors(self.get_each_embedding(names))

    def get_each_embedding(self, embedding_names: list[str] | None = None) -> list[torch.Tensor]:
        """Return the vectors, (D,) each, of the embeddings named, or of all, sorted by name."""
        vectors = self._home._vectors
        return [] if vectors is None else list(vectors.at(self._location, embedding_names).values())

    def embedding_names(self) -> list[str]:
        """Return the names of the embeddings of which this data point has a vector."""
        vectors = self._home._vectors
        return [] if vectors is None else list(vectors.at(self._location, None))

    def clear_embeddings(self, embedding_names: list[str] | None = None) -> None:
        """Remove the vectors of the embeddings named, or all."""
        if self._home._vectors is not None:
            self._home._vectors.clear(self._location, embedding_names, len(self._home))

    def to(self, device: str | torch.device, pin_memory: bool = False) -> None:
        """Move the vectors to a device; with `pin_memory`, vectors on the CPU go to page-locked memory."""
        if self._home._vectors is not None:
            self._home._vectors.move(self._location, device, pin_memory, len(self._home))

    @property
    def embedding(self) -> torch.Tensor:
        """The concatenated vectors (D,) of all embeddings.

        Raises:
            LabelError: If there are no vectors.
        """
        vector = self.get_embedding()
        if not len(vector):
            raise LabelError(
                f"this {type(self).__name__.lower()} has no embedding: call embed(sentence) first, of document "
                f"embeddings for the sentence itself, of token embeddings for its tokens"
            )
        return vector

    # Printing

    def _format_labels(self, label_type: str | None = None, *, with_scores: bool = True) -> str:
        own: Iterator[Label] = (label for label in self.get_labels(label_type) if label.data_point == self)
        if with_scores:
            text = "; ".join(f"{label.value}{label.metadata_str} ({label.score:.4f})" for label in own)
            return ARROW + text if text else ""
        return "".join(f"/{label.value}{label.metadata_str}" for label in own)

    def _to_dict(self, label_type: str | None) -> dict[str, Any]:
        labels = [label.to_dict() for label in self.get_labels(label_type)]
        return {"text": self.text, "start_pos": self.start_position, "end_pos": self.end_position, "labels": labels}

    def __str__(self) -> str:
        return self.unlabeled_identifier + self._format_labels()

    def __repr__(self) -> str:
        return str(self)
