"""A recurrent network over padded sentences in which padding never enters a state."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from flairlite.errors import SettingError

_TYPES: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}


class PaddedRNN(nn.Module):
    """An LSTM, GRU or plain RNN over sentences of different lengths in one padded batch.

    The result is that of packed sequences. On a CPU they are not used, because oneDNN's fused LSTM does not know them:
    the second direction reads each sentence turned round within its own length, so that padding comes last for both.

    Args:
        input_size: Features D of a word.
        hidden_size: Features of the state of one direction, H.
        num_layers: Layers on top of one another.
        rnn_type: LSTM, GRU or RNN.
        bidirectional: Whether a second network reads from the end; its states are joined to the first's.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        rnn_type: str = "LSTM",
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        if rnn_type not in _TYPES:
            raise SettingError(f"rnn_type must be one of {', '.join(_TYPES)}; it is {rnn_type!r}")
        if hidden_size < 1 or num_layers < 1:
            raise SettingError(f"hidden_size and rnn_layers must be at least 1, not {hidden_size} and {num_layers}")
        self.rnn = _TYPES[rnn_type](
            input_size, hidden_size, num_layers=num_layers, bidirectional=bidirectional, batch_first=True
        )
        self.output_size = hidden_size * (2 if bidirectional else 1)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Compute the states of every word.

        Args:
            inputs: (B, T, D) features.
            lengths: (B,) words a sentence, each at least 1, on the CPU.

        Returns:
            (B, T, H) states, or (B, T, 2 H) in two directions; meaningless on padding.
        """
        if not self.rnn.bidirectional:
            return self.rnn(inputs)[0]  # type: ignore[no-any-return]  # padding comes last, where nobody looks
        if inputs.is_cuda:
            packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
            return pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=inputs.shape[1])[0]
        rows = _turning_rows(lengths, inputs.shape[1])
        for layer in range(self.rnn.num_layers):
            first, second = self._weights(layer)
            forward = self._one_way(inputs, first)  # (B, T, H)
            backward = _turned(self._one_way(_turned(inputs, rows), second), rows)  # (B, T, H)
            inputs = torch.cat((forward, backward), dim=2)  # (B, T, 2 H)
        return inputs

    def _one_way(self, inputs: Tensor, weights: list[Tensor]) -> Tensor:
        """Run one direction of a layer over (B, T, D)."""
        start = inputs.new_zeros(1, inputs.shape[0], self.rnn.hidden_size)
        keep = torch.is_grad_enabled()  # what the backward pass needs
        if self.rnn.mode == "LSTM":
            return torch.lstm(inputs, (start, start), weights, True, 1, 0.0, keep, False, True)[0]
        network = torch.gru if self.rnn.mode == "GRU" else torch.rnn_tanh
        return network(inputs, start, weights, True, 1, 0.0, keep, False, True)[0]

    def _weights(self, layer: int) -> tuple[list[Tensor], list[Tensor]]:
        """Return the weights of both directions of a layer."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return (
            [getattr(self.rnn, f"{name}_l{layer}") for name in names],
            [getattr(self.rnn, f"{name}_l{layer}_reverse") for name in names],
        )


def _turned(features: Tensor, rows: Tensor) -> Tensor:
    """Turn each sentence of (B, T, D) round; turned twice, it is as it was."""
    return features.flatten(0, 1).index_select(0, rows).view_as(features)


def _turning_rows(lengths: Tensor, width: int) -> Tensor:
    """Return for each place of a flattened batch (B * T,) the place of its word when each sentence is turned round."""
    steps = torch.arange(width)  # (T,)
    last = lengths.unsqueeze(1) - 1  # (B, 1)
    places = torch.where(steps <= last, last - steps, steps)  # (B, T)
    return (places + torch.arange(len(lengths)).unsqueeze(1) * width).flatten()
