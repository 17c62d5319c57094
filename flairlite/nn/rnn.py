"""A recurrent network over padded sentences in which padding never enters a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from flairlite.errors import SettingError
from flairlite.nn.prepacked_lstm import prepack_layer
from flairlite.tensors import copy_to

RNN = nn.LSTM | nn.GRU | nn.RNN
_TYPES: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
Layer = Callable[[Tensor], Tensor]  # features (T, B, D) to states (T, B, H or 2 H)
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
        self._kept: tuple[list[object], list[Layer]] | None = None  # for weights that nobody trains
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

        Raises:
            SettingError: when it is to compute in bfloat16 on a processor for which torch cannot.
        """
        if torch.is_autocast_enabled(inputs.device.type):  # oneDNN refuses float32 features beside weights in bfloat16
            inputs = inputs.to(torch.get_autocast_dtype(inputs.device.type))
        try:
            return self._states(inputs, lengths)
        except RuntimeError as error:
            if inputs.dtype != torch.bfloat16 or "could not create a primitive" not in str(error):
                raise
            raise SettingError(
                f"torch {torch.__version__} has no {type(self.rnn).__name__} in bfloat16 for this processor: compute "
                "in float32, without use_amp, autocast and bfloat16()"
            ) from error

    def _states(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        # in one direction padding comes last, where nobody looks
        may_enter = self.rnn.bidirectional and int(lengths.min()) < inputs.shape[1]
        has_gates = inputs.device.type == "cpu" and self.rnn.mode != "RNN_TANH" and self.start is None
        if has_gates and (may_enter or (self.rnn.mode == "LSTM" and not torch.is_grad_enabled())):
            return self._gated(inputs, lengths)
        return self._packed(inputs, lengths) if may_enter else self.rnn(inputs, self._start(inputs))[0]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is kept for prediction: it can be neither pickled nor copied, and is soon made again."""
        return {**self.__dict__, "_kept": None}

    def _packed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Run over packed sequences; they are sorted here because torch would wait for the device to do so."""
        order = lengths.argsort(descending=True)
        ordered = inputs.index_select(0, copy_to(order, inputs.device))
        packed = pack_padded_sequence(ordered, lengths[order], batch_first=True)
        states, _ = self.rnn(packed, self._start(inputs))
        padded, _ = pad_packed_sequence(states, batch_first=True, total_length=inputs.shape[1])
        return padded.index_select(0, copy_to(order.argsort(), inputs.device))

    def _start(self, inputs: Tensor) -> Any:
        """Return the learned state before the first word of each of B sentences, or None."""
        if self.start is None:
            return None
        states = self.start.to(inputs.dtype).expand(-1, -1, len(inputs), -1).contiguous().unbind(0)
        return states if self.rnn.mode == "LSTM" else states[0]

    def _gated(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Run each layer over padding that is shut out."""
        padding = (torch.arange(inputs.shape[1]).unsqueeze(1) >= lengths).unsqueeze(2)  # (T, B, 1)
        states = inputs.transpose(0, 1)  # (T, B, D)
        for layer in self._layers(inputs.dtype):
            states = layer(torch.cat((states.masked_fill(padding, 0.0), padding.to(states.dtype)), dim=2))
        return states.transpose(0, 1)

    def _layers(self, dtype: torch.dtype) -> list[Layer]:
        """Return the layers with the weights of the padding feature; kept while nobody trains them."""
        if torch.is_grad_enabled():
            return [_TorchLayer(self.rnn.mode, weights) for weights in self._widened()]
        # weights that were made where nothing is learned count no changes
        versions = (0 if weight.is_inference() else weight._version for weight in self.rnn.parameters())
        state = [dtype, *versions, *(weight.data_ptr() for weight in self.rnn.parameters())]
        if self._kept is None or self._kept[0] != state:
            widened = [[[weight.to(dtype) for weight in weights] for weights in layer] for layer in self._widened()]
            is_lstm = self.rnn.mode == "LSTM"
            packed = [prepack_layer(layer) if is_lstm else None for layer in widened]
            layers: list[Layer] = [
                ready or _TorchLayer(self.rnn.mode, layer) for ready, layer in zip(packed, widened, strict=True)
            ]
            self._kept = (state, layers)
        return self._kept[1]

    def _widened(self) -> list[list[list[Tensor]]]:
        """Return the weights of each layer and direction: from input and padding, from state, and both biases."""
        layers = []
        for layer in range(self.rnn.num_layers):
            directions = []
            for suffix in ("", "_reverse") if self.rnn.bidirectional else ("",):
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                from_input, *others = (getattr(self.rnn, f"{name}_l{layer}{suffix}") for name in names)
                directions.append([torch.cat((from_input, self._shutter(from_input)), dim=1), *others])
            layers.append(directions)
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


def last_states(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the states (B, H) of the last words of sentences with states (B, T, H) and lengths (B,) on the CPU."""
    rows, places = (copy_to(index, states.device) for index in (torch.arange(len(states)), lengths - 1))
    return states[rows, places]


class _TorchLayer:
    """One layer as torch runs it, in one direction or both."""

    def __init__(self, mode: str, weights: list[list[Tensor]]) -> None:
        self._mode, self._weights = mode, weights

    def __call__(self, inputs: Tensor) -> Tensor:
        """Compute the states (T, B, H), or (T, B, 2 H) in two directions, of inputs (T, B, D)."""
        num_directions = len(self._weights)
        start = inputs.new_zeros(num_directions, inputs.shape[1], self._weights[0][1].shape[1])
        weights = [weight for direction in self._weights for weight in direction]
        # with biases, 1 layer, no dropout, whether to keep what the backward pass needs, directions, not B first
        options = (weights, True, 1, 0.0, torch.is_grad_enabled(), num_directions == 2, False)
        if self._mode == "LSTM":
            return torch.lstm(inputs, (start, start), *options)[0]
        return torch.gru(inputs, start, *options)[0]
