"""A recurrent network over padded sentences in which padding never enters a state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from flairlite.errors import SettingError

RNN = nn.LSTM | nn.GRU | nn.RNN
_TYPES: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
_SHUT = 10_000.0  # the sigmoid of minus this is 0, whatever biases and states add


class PaddedRNN(nn.Module):
    """An LSTM, GRU or plain RNN over sentences of different lengths in one padded batch.

    The result is that of packed sequences. On a CPU, oneDNN's fused LSTM runs only unpacked, where the second direction
    would start in the padding. There, the input gets one more feature, 1 on padding and 0 on words, with fixed weights
    that shut the gates through which an input enters the state: state and output stay 0 until the sentence's last word.
    A plain RNN has no gates, and stays packed; so does a network whose first state is learned.

    Args:
        input_size: Features D of a word.
        hidden_size: Features of the state of one direction, H.
        num_layers: Layers on top of one another.
        rnn_type: LSTM, GRU or RNN.
        bidirectional: Whether a second network reads from the end; its states are joined to the first's.
        train_initial_state: Whether the state before the first word is learned; else it is 0.
        rnn: A network to use in place of one of its own, such as one that another model trains too. The other settings
            must be its own.

    Raises:
        SettingError: for another type, a size below 1, or a network that is none of these or has other settings.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        rnn_type: str = "LSTM",
        bidirectional: bool = True,
        train_initial_state: bool = False,
        rnn: RNN | None = None,
    ) -> None:
        super().__init__()
        if rnn_type not in _TYPES:
            raise SettingError(f"rnn_type must be one of {', '.join(_TYPES)}; it is {rnn_type!r}")
        if hidden_size < 1 or num_layers < 1:
            raise SettingError(f"hidden_size and rnn_layers must be at least 1, not {hidden_size} and {num_layers}")
        made = _TYPES[rnn_type](
            input_size, hidden_size, num_layers=num_layers, bidirectional=bidirectional, batch_first=True
        )
        if rnn is not None and str(rnn) != str(made):  # all settings are in it, no weights
            raise SettingError(f"a shared rnn must be {made} here, but it is {rnn}")
        self.rnn: RNN = made if rnn is None else rnn
        self._shut: tuple[list[object], list[list[Tensor]]] | None = None
        self.output_size = hidden_size * (2 if bidirectional else 1)
        num_states, size = 2 if rnn_type == "LSTM" else 1, num_layers * (2 if bidirectional else 1)
        self.start: nn.Parameter | None  # states and cells, by layer and direction
        start = nn.Parameter(torch.zeros(num_states, size, 1, hidden_size)) if train_initial_state else None
        self.register_parameter("start", start)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Compute the states of every word.

        Args:
            inputs: (B, T, D) features.
            lengths: (B,) words a sentence, each at least 1, on the CPU.

        Returns:
            (B, T, H) states, or (B, T, 2 H) in two directions; zero or meaningless on padding.
        """
        if torch.is_autocast_enabled(inputs.device.type):  # oneDNN refuses float32 features beside weights in bfloat16
            inputs = inputs.to(torch.get_autocast_dtype(inputs.device.type))
        is_padded = int(lengths.min()) < inputs.shape[1]
        start = self._start(inputs)
        if not (self.rnn.bidirectional and is_padded):  # in one direction padding comes last, where nobody looks
            return self.rnn(inputs, start)[0]  # type: ignore[no-any-return]
        if inputs.is_cuda or self.rnn.mode == "RNN_TANH" or start is not None:
            packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
            return pad_packed_sequence(self.rnn(packed, start)[0], batch_first=True, total_length=inputs.shape[1])[0]
        padding = torch.arange(inputs.shape[1]) >= lengths.unsqueeze(1)  # (B, T)
        for weights in self._shut_weights():
            inputs = self._layer(inputs, padding.unsqueeze(2), weights)  # (B, T, 2 H)
        return inputs

    def _start(self, inputs: Tensor) -> Any:
        """Return the learned state before the first word of each of B sentences, or None."""
        if self.start is None:
            return None
        states = self.start.to(inputs.dtype).expand(-1, -1, len(inputs), -1).contiguous().unbind(0)
        return states if self.rnn.mode == "LSTM" else states[0]

    def _layer(self, inputs: Tensor, padding: Tensor, weights: list[Tensor]) -> Tensor:
        """Run both directions of a layer over (B, T, D), with padding (B, T, 1) as one more feature."""
        features = torch.cat((inputs.masked_fill(padding, 0.0), padding.to(inputs.dtype)), dim=2)  # (B, T, D + 1)
        start = inputs.new_zeros(2, inputs.shape[0], self.rnn.hidden_size)
        keep = torch.is_grad_enabled()  # what the backward pass needs
        # with biases, 1 layer, no dropout, keep, in both directions, B first
        if self.rnn.mode == "LSTM":
            return torch.lstm(features, (start, start), weights, True, 1, 0.0, keep, True, True)[0]
        return torch.gru(features, start, weights, True, 1, 0.0, keep, True, True)[0]

    def _shut_weights(self) -> list[list[Tensor]]:
        """Return the weights of each layer with those of the padding feature; kept while nobody trains them."""
        if torch.is_grad_enabled():
            return self._widened()
        state: list[object] = [(weight.data_ptr(), weight._version, weight.dtype) for weight in self.rnn.parameters()]
        if self._shut is None or self._shut[0] != state:
            self._shut = (state, self._widened())
        return self._shut[1]

    def _widened(self) -> list[list[Tensor]]:
        layers = []
        for layer in range(self.rnn.num_layers):
            weights = []
            for suffix in ("", "_reverse"):
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                from_input, *others = (getattr(self.rnn, f"{name}_l{layer}{suffix}") for name in names)
                weights += [torch.cat((from_input, self._shutter(from_input)), dim=1), *others]
            layers.append(weights)
        return layers

    def _shutter(self, weight: Tensor) -> Tensor:
        """Return the fixed weights of the padding feature, a column for `weight` (gates x H, D)."""
        column = weight.new_zeros(weight.shape[0], 1)
        size = self.rnn.hidden_size
        if self.rnn.mode == "LSTM":  # gates in torch's order: input, forget, cell, output
            column[:size] = column[3 * size :] = -_SHUT
        else:  # reset, update, new: a state is kept where the update gate is open
            column[size : 2 * size] = _SHUT
        return column
