"""A recurrent network over padded sentences in which padding never enters a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from flairlite.errors import SettingError
from flairlite.nn.dropout import LockedDropout
from flairlite.tensors import check_size, copy_to

RNN = nn.LSTM | nn.GRU | nn.RNN
_TYPES: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
Array = np.ndarray[Any, np.dtype[Any]]
Layer = Callable[[Tensor], Tensor]  # features (T, B, D) to states (T, B, H or 2 H)
_CLOSED = 10_000.0  # the sigmoid of minus this is 0, whatever biases and states add
_FAST_WIDTH = 8  # features: oneDNN is fast in bfloat16 with multiples of this
_CHECKSUM_WIDTH = 1021  # integers: wide enough for vector instructions, and far less than the weights of a network
_LSTM_MODE = 2  # id of the LSTM among oneDNN's recurrent networks


class PaddedRNN(nn.Module):
    """An LSTM, GRU or plain RNN over sentences of different lengths in one padded batch.

    The result equals that of packed sequences. On a CPU, oneDNN's fused LSTM only takes unpacked input, and on a GPU,
    cuDNN's LSTM is several times faster with it; but there the backward direction would start in the padding. Therefore
    the input gets one more feature, 1 on padding and 0 on words, with fixed weights that close the gates through which
    input enters the state: state and output stay 0 until the sentence's last word. A plain RNN has no gates and stays
    packed; so does a network whose initial state is learned. In 16-bit dtypes on a CPU there are up to
    eight such features, so that the width of the input is a multiple of eight: with an odd width, oneDNN's LSTM takes
    up to four times as long.

    Args:
        input_size: Features D of a word.
        hidden_size: Features H of the state of one direction.
        num_layers: Number of stacked layers.
        rnn_type: LSTM, GRU or RNN.
        bidirectional: Whether a second network reads from the end; its states are concatenated to the first's.
        train_initial_state: Whether the state before the first word is learned; otherwise it is 0.
        rnn: A network to use instead of a new one, for example one shared with another model. Its settings must equal
            those given here.
        dropout: Dropout rate of the states between layers, of the same features for all words of a sentence.
        residual: Whether the states of each layer but the first are added to those of the layer below it. Source: He et
            al., Deep Residual Learning for Image Recognition, 2016.

    Raises:
        SettingError: If `rnn_type` is unknown, a size is below 1, `rnn` has other settings, or `dropout` or `residual`
            is given for a plain RNN or with a learned initial state.
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
        dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(rnn_type, str) or rnn_type not in _TYPES:
            raise SettingError(f"rnn_type must be one of {', '.join(_TYPES)}; it is {rnn_type!r}")
        if not isinstance(bidirectional, bool):
            raise SettingError(f"bidirectional must be True or False; it is {bidirectional!r:.80}")
        if not isinstance(residual, bool):
            raise SettingError(f"residual must be True or False; it is {residual!r:.80}")
        input_size, hidden_size = check_size("input_size", input_size), check_size("hidden_size", hidden_size)
        num_layers = check_size("num_layers", num_layers)
        new_rnn = _TYPES[rnn_type](
            input_size, hidden_size, num_layers=num_layers, bidirectional=bidirectional, batch_first=True
        )
        if rnn is not None and str(rnn) != str(new_rnn):  # the string contains all settings and no weights
            raise SettingError(f"a shared rnn must be {new_rnn} here, but it is {rnn}")
        self.rnn: RNN = new_rnn if rnn is None else rnn
        self._cache: _LayerCache | None = None
        self.output_size = hidden_size * (2 if bidirectional else 1)
        num_states, size = 2 if rnn_type == "LSTM" else 1, num_layers * (2 if bidirectional else 1)
        self.start: nn.Parameter | None  # states and cells, by layer and direction
        start = nn.Parameter(torch.zeros(num_states, size, 1, hidden_size)) if train_initial_state else None
        self.register_parameter("start", start)
        self.dropout, self.residual = LockedDropout(dropout), residual
        self._padding_weights: Tensor  # (gates x H, 1), of the padding feature
        self.register_buffer("_padding_weights", _make_padding_weights(rnn_type, self.rnn), persistent=False)
        if (dropout or residual) and (rnn_type == "RNN" or train_initial_state):
            raise SettingError(
                "dropout and residual connections between layers need an LSTM or a GRU without a learned initial state"
            )

    @property
    def is_packed(self) -> bool:
        """Whether sentences are packed, for which their lengths must be known on the CPU."""
        return self.rnn.bidirectional and (self.rnn.mode == "RNN_TANH" or self.start is not None)

    def forward(self, inputs: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Compute the states of every word.

        Args:
            inputs: (B, T, D) features.
            lengths: (B,) words per sentence, at least 1, on the CPU; or on the device of `inputs`, where they are not
                read, so that the operations do not depend on them.
            generator: Draws dropout masks, on the device of `inputs`.

        Returns:
            (B, T, H) states, or (B, T, 2 H) in two directions; zero or meaningless on padding.

        Raises:
            SettingError: If D is not `input_size`, or torch has no network in bfloat16 for this processor.
        """
        if inputs.shape[-1] != self.rnn.input_size:  # oneDNN would compute with it
            raise SettingError(f"inputs must be (B, T, D = {self.rnn.input_size}), got {tuple(inputs.shape)}")
        if torch.is_autocast_enabled(inputs.device.type):  # oneDNN refuses float32 features with bfloat16 weights
            inputs = inputs.to(torch.get_autocast_dtype(inputs.device.type))
        try:
            return self._states(inputs, lengths, generator)
        except RuntimeError as error:
            if inputs.dtype != torch.bfloat16 or "could not create a primitive" not in str(error):
                raise
            raise SettingError(
                f"torch {torch.__version__} has no {type(self.rnn).__name__} in bfloat16 for this processor: compute "
                "in float32, without use_amp, autocast and bfloat16()"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the cached layers, which cannot be pickled or copied."""
        return {**self.__dict__, "_cache": None}

    def _states(self, inputs: Tensor, lengths: Tensor, generator: torch.Generator | None) -> Tensor:
        # in one direction padding comes last and affects no word
        is_fixed = lengths.device.type != "cpu"
        may_enter = self.rnn.bidirectional and (is_fixed or int(lengths.min()) < inputs.shape[1])
        has_gates = inputs.device.type in ("cpu", "cuda") and self.rnn.mode != "RNN_TANH" and self.start is None
        may_prepack = inputs.device.type == "cpu" and self.rnn.mode == "LSTM" and not torch.is_grad_enabled()
        is_plain_stack = not self.residual and (self.dropout.rate == 0 or not self.training)
        is_slow = _is_narrow(inputs) and inputs.shape[2] % _FAST_WIDTH > 0
        if (has_gates and (may_enter or may_prepack or is_slow)) or not is_plain_stack:
            return self._run_gated(inputs, lengths, generator)
        return self._run_packed(inputs, lengths) if may_enter else self.rnn(inputs, self._initial_state(inputs))[0]

    def _run_packed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Run over packed sequences; they are sorted here because torch's own sorting waits for the device."""
        order = lengths.argsort(descending=True)
        ordered = inputs.index_select(0, copy_to(order, inputs.device))
        packed = pack_padded_sequence(ordered, lengths[order], batch_first=True)
        states, _ = self.rnn(packed, self._initial_state(inputs))
        padded, _ = pad_packed_sequence(states, batch_first=True, total_length=inputs.shape[1])
        return padded.index_select(0, copy_to(order.argsort(), inputs.device))

    def _initial_state(self, inputs: Tensor) -> Any:
        """Return the learned initial states of B sentences in the form that torch takes, or None."""
        if self.start is None:
            return None
        states = self.start.to(inputs.dtype).expand(-1, -1, len(inputs), -1).contiguous().unbind(0)
        return states if self.rnn.mode == "LSTM" else states[0]

    def _run_gated(self, inputs: Tensor, lengths: Tensor, generator: torch.Generator | None) -> Tensor:
        """Run each layer with the padding feature, which closes the gates on padding."""
        steps = torch.arange(inputs.shape[1], device=lengths.device)  # (T,)
        padding = (steps.unsqueeze(1) >= lengths).unsqueeze(2)  # (T, B, 1)
        padding = copy_to(padding, inputs.device)
        states = inputs.transpose(0, 1)  # (T, B, D)
        for index, layer in enumerate(self._layers(inputs)):
            if index:
                states = self.dropout(states.transpose(0, 1), generator).transpose(0, 1)
            flags = padding.to(states.dtype).expand(-1, -1, _num_flags(states))
            outputs = layer(torch.cat((states.masked_fill(padding, 0.0), flags), dim=2))
            states = states + outputs if self.residual and index else outputs
        return states.transpose(0, 1)

    def _layers(self, inputs: Tensor) -> list[Layer]:
        """Return the layers with the weights of the padding feature for inputs of this device and dtype.

        On the CPU and without gradients they are cached until the weights change.
        """
        mode, dtype = self.rnn.mode, inputs.dtype
        if inputs.device.type == "cuda":  # autocast converts weights and joins them again
            widened_weights = self._widened_weights(next(self.rnn.parameters()).dtype)
            return [_TorchLayer(mode, _join_memory(weights)) for weights in widened_weights]
        if torch.is_grad_enabled():
            return [_TorchLayer(mode, weights) for weights in self._widened_weights(dtype)]
        weights = list(self.rnn.parameters())
        if self._cache is None or not self._cache.is_valid(weights, dtype):
            layers: list[Layer] = []
            for widened in self._widened_weights(dtype):
                # oneDNN reads other memory layouts wrongly
                contiguous = [[weight.contiguous() for weight in direction] for direction in widened]
                packed = _prepack_layer(contiguous) if mode == "LSTM" else None
                layers.append(packed or _TorchLayer(mode, contiguous))
            self._cache = _LayerCache(layers, weights, dtype)
        return self._cache.layers

    def _widened_weights(self, dtype: torch.dtype) -> list[list[list[Tensor]]]:
        """Return the weights of each layer and direction: from input and padding, from state, and both biases."""
        layers = []
        for layer in range(self.rnn.num_layers):
            directions = []
            for suffix in ("", "_reverse") if self.rnn.bidirectional else ("",):
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                weights = (getattr(self.rnn, f"{name}_l{layer}{suffix}") for name in names)
                from_input, *others = (weight.to(dtype) for weight in weights)
                columns = self._padding_weights.to(dtype).expand(-1, _num_flags(from_input))
                directions.append([torch.cat((from_input, columns), dim=1), *others])
            layers.append(directions)
        return layers


def _num_flags(features: Tensor) -> int:
    """Return how many features mark padding beside D others, of states or of weights (..., D)."""
    return _FAST_WIDTH - features.shape[-1] % _FAST_WIDTH if _is_narrow(features) else 1


def _is_narrow(values: Tensor) -> bool:
    """Tell whether oneDNN would compute with these values in 16 bits."""
    return values.device.type == "cpu" and values.dtype.itemsize == 2


def _make_padding_weights(rnn_type: str, rnn: RNN) -> Tensor:
    """Return the fixed weights of the padding feature, one column (gates x H, 1); empty for a plain RNN."""
    size = rnn.hidden_size
    weight = next(rnn.parameters())
    column = weight.new_zeros(0 if rnn_type == "RNN" else weight.shape[0], 1, requires_grad=False)
    if rnn_type == "LSTM":  # gates in torch's order: input, forget, cell, output
        column[:size] = column[3 * size :] = -_CLOSED
    elif rnn_type == "GRU":  # reset, update, new: an open update gate keeps the state
        column[size : 2 * size] = _CLOSED
    return column


def _join_memory(weights: list[list[Tensor]]) -> list[list[Tensor]]:
    """Return the weights of the directions of a layer as views of one tensor, in the order that cuDNN expects.

    Otherwise torch copies them into one tensor at each call, with a warning.
    """
    matrices, biases = slice(0, 2), slice(2, 4)
    order = [weight for kind in (matrices, biases) for direction in weights for weight in direction[kind]]
    joined = torch.cat([weight.flatten() for weight in order])
    parts = torch.split(joined, [weight.numel() for weight in order])
    views = iter([part.view_as(weight) for part, weight in zip(parts, order, strict=True)])
    halves = [[[next(views), next(views)] for _ in weights] for _ in (matrices, biases)]
    return [direction + rest for direction, rest in zip(*halves, strict=True)]


class _LayerCache:
    """Layers ready for prediction, with what is needed to notice that their weights have changed.

    Most writes to a tensor change its version or address, but writes through `weight.data` or a NumPy array do not
    (moving averages of weights are often loaded so). Therefore the bits of the weights are compared too, as sums of
    columns, which read each weight once and copy nothing.
    """

    def __init__(self, layers: list[Layer], weights: Sequence[Tensor], dtype: torch.dtype) -> None:
        self.layers = layers
        self._dtype = dtype
        self._identity = _identify(weights)
        self._bits = [_view_bits(weight) for weight in weights]
        self._checksum = self._sum_bits()

    def is_valid(self, weights: Sequence[Tensor], dtype: torch.dtype) -> bool:
        """Tell whether layers for these weights and this dtype would be the same."""
        if dtype != self._dtype or _identify(weights) != self._identity:
            return False
        return all(weight.is_contiguous() for weight in weights) and self._sum_bits() == self._checksum

    def _sum_bits(self) -> bytes:
        sums = [np.add.reduce(table, axis=0).tobytes() for table, _ in self._bits if len(table)]
        return b"".join([*sums, *(rest.tobytes() for _, rest in self._bits)])


def _view_bits(weight: Tensor) -> tuple[Array, Array]:
    """Return the whole rows of a table of integers that shares the memory of a contiguous tensor, and the rest.

    Their width is a prime number, so that the sums of the columns change if rows or columns of the weight are swapped.
    """
    octets = weight.detach().contiguous().flatten().view(torch.uint8).numpy()
    bits = octets.view(np.uint64 if len(octets) % 8 == 0 else np.uint8)
    end = len(bits) // _CHECKSUM_WIDTH * _CHECKSUM_WIDTH
    return bits[:end].reshape(-1, _CHECKSUM_WIDTH), bits[end:]


def _identify(weights: Sequence[Tensor]) -> list[tuple[int, int]]:
    # tensors made in inference mode have no version
    return [(0 if weight.is_inference() else weight._version, weight.data_ptr()) for weight in weights]


class _TorchLayer:
    """One layer as torch runs it, in one direction or both."""

    def __init__(self, mode: str, weights: list[list[Tensor]]) -> None:
        self._mode, self._weights = mode, weights

    def __call__(self, inputs: Tensor) -> Tensor:
        """Compute the states (T, B, H), or (T, B, 2 H) in two directions, of inputs (T, B, D)."""
        num_directions = len(self._weights)
        start = inputs.new_zeros(num_directions, inputs.shape[1], self._weights[0][1].shape[1])
        weights = [weight for direction in self._weights for weight in direction]
        # biases, 1 layer, no dropout, whether to keep what the backward pass needs, bidirectional, not batch first
        options = (weights, True, 1, 0.0, torch.is_grad_enabled(), num_directions == 2, False)
        if self._mode == "LSTM":
            return torch.lstm(inputs, (start, start), *options)[0]
        return torch.gru(inputs, start, *options)[0]


class _PrepackedLayer:
    """One LSTM layer, in one direction or both, whose weights are in oneDNN's own layout; it cannot be trained.

    `torch.lstm` converts the weights at each call, which takes a twentieth of the time of a batch and a third of that
    of a single sentence. torch's compiler converts them once, with undocumented operators; these are used here.

    Args:
        weights: Of each direction: from input (4 H, D), from state (4 H, H), and both biases (4 H,).
    """

    def __init__(self, weights: Sequence[Sequence[Tensor]]) -> None:
        self._size = weights[0][1].shape[1]
        self._directions = []
        for index, (from_input, from_state, *biases) in enumerate(weights):
            # hidden size, reverse, biases, batch first, shape of the input (any)
            options = (self._size, bool(index), True, False, None)
            packed = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight(from_input, from_state, *options)
            self._directions.append((*packed, *biases))

    def __call__(self, inputs: Tensor) -> Tensor:
        """Compute the states (T, B, H), or (T, B, 2 H) in two directions, of contiguous inputs (T, B, D)."""
        start = inputs.new_zeros(1, inputs.shape[1], self._size)
        # batch sizes (none: not packed), mode, hidden size, layers, biases, bidirectional, batch first, train
        options: tuple[Any, ...] = ([], _LSTM_MODE, self._size, 1, True, False, False, False)
        states = [
            torch.ops.aten.mkldnn_rnn_layer(inputs, *direction, start, start, bool(index), *options)[0]
            for index, direction in enumerate(self._directions)
        ]
        return states[0] if len(states) == 1 else torch.cat(states, dim=2)


def _prepack_layer(weights: Sequence[Sequence[Tensor]]) -> _PrepackedLayer | None:
    """Return a layer with these weights (see `_PrepackedLayer`), or None where torch or the processor has none."""
    weight = weights[0][0]
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return None
    try:
        if not torch.backends.mkldnn.enabled:
            return None
        layer = _PrepackedLayer(weights)
        layer(weight.new_zeros(1, 1, weight.shape[1]))
    except (AttributeError, RuntimeError):
        return None
    return layer
