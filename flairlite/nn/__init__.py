"""Building blocks of models: tensors in, tensors out. Flair's model classes are available here under Flair's names."""

from __future__ import annotations

import importlib
from typing import Any

from flairlite.nn.convolution import PooledConvolutions
from flairlite.nn.crf import LinearChainCRF
from flairlite.nn.distillation import Distillation
from flairlite.nn.dropout import FeatureDropout, LockedDropout, WordDropout
from flairlite.nn.forward_backward import SpanScorer
from flairlite.nn.functional import class_loss, evaluating, last_states
from flairlite.nn.rnn import PaddedRNN

__all__ = [
    "Distillation",
    "FeatureDropout",
    "LinearChainCRF",
    "LockedDropout",
    "PaddedRNN",
    "PooledConvolutions",
    "SpanScorer",
    "WordDropout",
    "class_loss",
    "evaluating",
    "last_states",
]


def __getattr__(name: str) -> Any:
    """Import a model class when it is requested: importing it here would be circular."""
    if name in ("Classifier", "DefaultClassifier", "Model"):
        return getattr(importlib.import_module("flairlite.models"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
