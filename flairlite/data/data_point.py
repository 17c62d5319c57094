"""What everything that can carry labels and embeddings has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from flairlite.data.embedded import joined
from flairlite.data.label import ARROW, Label
from flairlite.data.place import Place
from flairlite.errors import LabelError

if TYPE_CHECKING:
    import torch

    from flairlite.data.sentence import Sentence

Self = TypeVar("Self", bound="DataPoint")


class DataPoint(ABC):
    """What can carry labels and embeddings: a sentence, a token or a span.

    Tokens and spans are views: what they carry lies in their sentence, under their place in it.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def _home(self) -> Sentence:
        """The sentence that stores what this data point carries."""

    @property
    @abstractmethod
    def _place(self) -> Place: ...

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
        """Offset behind the last character."""

    @property
    @abstractmethod
    def unlabeled_identifier(self) -> str:
        """A string that names this data point, without its labels."""

    @abstractmethod
    def __len__(self) -> int: ...

    def __lt__(self, other: DataPoint) -> bool:
        return self.start_position < other.start_position

    # Labels

    def get_labels(self, label_type: str | None = None) -> list[Label]:
        """Return the labels of one type, or of all."""
        return self._home._labels.labels_of(self, label_type)

    def add_label(self: Self, label_type: str, value: str, score: float = 1.0, **metadata: Any) -> Self:
        """Add a label beside those that are there, and return this data point."""
        self._home._labels_to_change().add(self, label_type, value, score, metadata)
        return self

    def remove_labels(self, label_type: str) -> None:
        """Remove all labels of one type."""
        self._home._labels_to_change().remove(self._place, label_type)

    def set_label(self: Self, label_type: str, value: str, score: float = 1.0, **metadata: Any) -> Self:
        """Put a label in place of those of its type, and return this data point."""
        self.remove_labels(label_type)
        return self.add_label(label_type, value, score, **metadata)

    def get_label(self, label_type: str | None = None, zero_tag_value: str = "O") -> Label:
        """Return the first label of one type (or of all), or one of value `zero_tag_value` when there is none."""
        labels = self.get_labels(label_type)
        return labels[0] if labels else Label(self, zero_tag_value)

    def has_label(self, label_type: str) -> bool:
        """Tell whether there is a label of this type."""
        return bool(self.get_labels(label_type))

    @property
    def labels(self) -> list[Label]:
        """All labels."""
        return self.get_labels()

    @property
    def annotation_layers(self) -> Mapping[str, list[Label]]:
        """The labels by their type, to read; `add_label` and `remove_labels` change them."""
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
        """Keep a value under a name."""
        self._home._metadata_of(self._place)[key] = value

    def get_metadata(self, key: str) -> Any:
        """Return the value that is kept under a name.

        Raises:
            KeyError: when there is none.
        """
        return self._home._metadata_of(self._place)[key]

    def has_metadata(self, key: str) -> bool:
        """Tell whether a value is kept under a name."""
        return key in self._home._metadata_of(self._place)

    # Embeddings

    def set_embedding(self, name: str, vector: torch.Tensor) -> None:
        """Keep a vector (D,) of the embedding named."""
        self._home._extras.vectors.put(self._place, name, vector, len(self._home))

    def get_embedding(self, names: list[str] | None = None) -> torch.Tensor:
        """Return the vector (D,) of the embeddings named, joined, or of all; (0,) where there is none."""
        return joined(self.get_each_embedding(names))

    def get_each_embedding(self, names: list[str] | None = None) -> list[torch.Tensor]:
        """Return the vectors, (D,) each, of the embeddings named, or of all, in the order of the names."""
        return list(self._home._extras.vectors.at(self._place, names).values())

    def embedding_names(self) -> list[str]:
        """Return the names of the embeddings that this data point itself has vectors of."""
        return list(self._home._extras.vectors.at(self._place, None))

    def clear_embeddings(self, embedding_names: list[str] | None = None) -> None:
        """Forget the vectors of the embeddings named, or all."""
        self._home._extras.vectors.clear(self._place, embedding_names)

    def to(self, device: str | torch.device, pin_memory: bool = False) -> None:
        """Move the vectors to a device; with `pin_memory`, into memory of the host that a GPU reads faster."""
        self._home._extras.vectors.move(self._place, device, pin_memory)

    @property
    def embedding(self) -> torch.Tensor:
        """The vector (D,) that `embed` computed, joined of those of all embeddings.

        Raises:
            LabelError: when none was computed.
        """
        vector = self.get_embedding()
        if not len(vector):
            raise LabelError(
                f"this {type(self).__name__.lower()} has no embedding: call embed(sentence) first, of document "
                f"embeddings for the sentence itself, of token embeddings for its tokens"
            )
        return vector

    # Printing

    def _printed_labels(self, label_type: str | None = None, *, with_scores: bool = True) -> str:
        own: Iterator[Label] = (label for label in self.get_labels(label_type) if label.data_point == self)
        if with_scores:
            shown = "; ".join(f"{label.value}{label.metadata_str} ({label.score:.4f})" for label in own)
            return ARROW + shown if shown else ""
        return "".join(f"/{label.value}{label.metadata_str}" for label in own)

    def __str__(self) -> str:
        return self.unlabeled_identifier + self._printed_labels()

    def __repr__(self) -> str:
        return str(self)
