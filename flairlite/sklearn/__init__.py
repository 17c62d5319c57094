"""Estimators for scikit-learn: its pipelines, cross-validation and searches train and use flairlite's models."""

from flairlite.sklearn.sequence_tagger import SequenceTagger
from flairlite.sklearn.text_classifier import TextClassifier

__all__ = ["SequenceTagger", "TextClassifier"]
