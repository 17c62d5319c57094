"""Models that predict labels of words, spans and sentences."""

from typing import TYPE_CHECKING, Any

from flairlite.models.classifier import DefaultClassifier
from flairlite.models.model import Classifier, Model
from flairlite.models.sequence_tagger import SequenceTagger
from flairlite.models.text_classifier import TextClassifier
from flairlite.models.token_classifier import TokenClassifier

if TYPE_CHECKING:
    from flairlite.models.soft_labels import SoftLabels

__all__ = [
    "Classifier",
    "DefaultClassifier",
    "Model",
    "SequenceTagger",
    "SoftLabels",
    "TextClassifier",
    "TokenClassifier",
]


def __getattr__(name: str) -> Any:
    if name == "SoftLabels":  # imported on first use, because few programs need it
        from flairlite.models.soft_labels import SoftLabels

        return SoftLabels
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
