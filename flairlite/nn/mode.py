"""The switch between training and use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch dropout off, and on again after where it was on."""
    was_training = module.training
    if was_training:  # what does not train is not touched: several threads may predict with it
        module.eval()
    try:
        yield
    finally:
        if was_training:
            module.train()
