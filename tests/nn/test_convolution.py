"""Max-pooled convolutions: equal to torch's convolution of each sequence alone, whatever the padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from flairlite.errors import SettingError
from flairlite.nn import PooledConvolutions


def pool_alone(layers: PooledConvolutions, items: Tensor) -> Tensor:
    """Return the pooled outputs (D,) of one sequence (C, E) without padding, window by window."""
    pooled = []
    for layer in layers.layers:
        assert isinstance(layer, nn.Conv1d)
        (width,) = layer.kernel_size
        filled = torch.cat((items, items.new_zeros(max(0, width - len(items)), items.shape[1])))
        windows = [filled[start : start + width] for start in range(len(filled) - width + 1)]
        outputs = [(layer.weight * window.T).sum((1, 2)) + layer.bias for window in windows]
        pooled.append(torch.stack(outputs).amax(0))
    return torch.cat(pooled).clamp_min(0)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True),
    st.integers(0, 3),
)
def test_a_sequence_is_pooled_as_if_it_were_alone(lengths: list[int], widths: list[int], more: int) -> None:
    torch.manual_seed(0)
    layers = PooledConvolutions(4, 3, widths)
    items = torch.randn(len(lengths), max(lengths) + more, 4)
    items[torch.arange(items.shape[1]) >= torch.tensor(lengths).unsqueeze(1)] = 0
    found = layers(items, torch.tensor(lengths))
    assert found.shape == (len(lengths), layers.output_size) == (len(lengths), 3 * len(widths))
    for row, sequence, length in zip(found, items, lengths, strict=True):
        torch.testing.assert_close(row, pool_alone(layers, sequence[:length]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3, (2,)), "input_size must be"),
        ((4, 0, (2,)), "num_filters must be"),
        ((4, 3, (2, 0)), "a width must be a whole number of at least 1; it is 0"),
    ],
)
def test_other_sizes_are_refused(arguments: tuple[int, int, tuple[int, ...]], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        PooledConvolutions(*arguments)
