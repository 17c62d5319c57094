"""The devices of this machine, and what its processor supports."""

from __future__ import annotations

import pytest
import torch

from flairlite.errors import SettingError
from flairlite.nn import PaddedRNN

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def _has_bfloat16_lstm() -> bool:
    """Return whether torch has a bfloat16 LSTM for this processor; torch 2.4 lacks it on some."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            PaddedRNN(3, 4)(torch.zeros(2, 5, 3, requires_grad=True), torch.tensor([5, 2]))
    except SettingError:
        return False
    return True


needs_bfloat16 = pytest.mark.skipif(not _has_bfloat16_lstm(), reason="torch has no bfloat16 LSTM for this processor")
