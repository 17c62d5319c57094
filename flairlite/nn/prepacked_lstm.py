"""An LSTM layer whose weights lie ready as oneDNN wants them, for prediction on a CPU.

`torch.lstm` hands each direction to oneDNN, and lays out its weights anew at each call. That takes a twentieth of the
time of a batch, and a third of that of a sentence on its own. torch's compiler does it once, by operators that are not
documented; these are used here. Where they are missing or refuse, `prepack_layer` returns None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_LSTM = 2  # the number of its mode


class PrepackedLayer:
    """One layer of an LSTM, in one direction or both. It cannot be trained, and does not follow its first weights.

    Args:
        weights: Of each direction: from input (4 H, D), from state (4 H, H), and both biases (4 H,).
    """

    def __init__(self, weights: Sequence[Sequence[Tensor]]) -> None:
        self._size = weights[0][1].shape[1]
        self._directions = []
        for place, (from_input, from_state, *biases) in enumerate(weights):
            # of this size, read backwards, with biases, not B first, for any input
            options = (self._size, bool(place), True, False, None)
            packed = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight(from_input, from_state, *options)
            self._directions.append((*packed, *biases))

    def __call__(self, inputs: Tensor) -> Tensor:
        """Compute the states (T, B, H), or (T, B, 2 H) in two directions, of contiguous inputs (T, B, D)."""
        start = inputs.new_zeros(1, inputs.shape[1], self._size)
        # no lengths, an LSTM of this size and 1 layer, with biases, in one direction, not B first, not to be trained
        options: tuple[Any, ...] = ([], _LSTM, self._size, 1, True, False, False, False)
        states = [
            torch.ops.aten.mkldnn_rnn_layer(inputs, *direction, start, start, bool(place), *options)[0]
            for place, direction in enumerate(self._directions)
        ]
        return states[0] if len(states) == 1 else torch.cat(states, dim=2)


def prepack_layer(weights: Sequence[Sequence[Tensor]]) -> PrepackedLayer | None:
    """Return a layer with these weights (see `PrepackedLayer`), or None where torch or the processor cannot do so."""
    weight = weights[0][0]
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return None
    try:
        if not torch.backends.mkldnn.enabled:
            return None
        layer = PrepackedLayer(weights)
        layer(weight.new_zeros(1, 1, weight.shape[1]))
    except (AttributeError, RuntimeError):
        return None
    return layer
