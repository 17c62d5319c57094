"""Models that predict labels of words, spans and sentences."""

from flairlite.models.classifier import DefaultClassifier
from flairlite.models.model import Classifier, Model
from flairlite.models.sequence_tagger import SequenceTagger
from flairlite.models.soft_labels import SoftLabels
from flairlite.models.text_classifier import TextClassifier
from flairlite.models.token_classifier import TokenClassifier

__all__ = [
    "Classifier",
    "DefaultClassifier",
    "Model",
    "SequenceTagger",
    "SoftLabels",
    "TextClassifier",
    "TokenClassifier",
]
