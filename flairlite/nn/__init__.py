"""Building blocks of models: tensors in, tensors out; and, under Flair's names, what all models are."""

from __future__ import annotations

import importlib
from typing import Any

from flairlite.nn.crf import LinearChainCRF
from flairlite.nn.dropout import FeatureDropout, LockedDropout, WordDropout
from flairlite.nn.loss import class_loss
from flairlite.nn.rnn import PaddedRNN, last_states
from flairlite.nn.span_scores import SpanScorer

__all__ = [
    "FeatureDropout",
    "LinearChainCRF",
    "LockedDropout",
    "PaddedRNN",
    "SpanScorer",
    "WordDropout",
    "class_loss",
    "last_states",
]


def __getattr__(name: str) -> Any:
    """Find a class of models when it is asked for: it is built of what is here."""
    if name in ("Classifier", "DefaultClassifier", "Model"):
        return getattr(importlib.import_module("flairlite.models"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
