"""The padded network agrees with torch's packed sequences, and padding never enters a state."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from devices import needs_bfloat16
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils._python_dispatch import TorchDispatchMode

from flairlite.errors import SettingError
from flairlite.nn import PaddedRNN
from flairlite.nn.rnn import _join_memory

TYPES: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
SIZE, HIDDEN = 5, 4
LENGTHS = [3, 7, 1, 7, 4]

# rnn_type, num_layers, bidirectional
SHAPES = pytest.mark.parametrize(
    ("rnn_type", "num_layers", "bidirectional"), list(itertools.product(TYPES, [1, 2], [False, True]))
)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@dataclass(frozen=True)
class Case:
    """A network, the network of torch with the same weights, and a padded batch."""

    ours: PaddedRNN
    torchs: nn.RNNBase
    inputs: Tensor  # (B, T, D), random on padding too
    lengths: Tensor  # (B,) on the CPU
    mask: Tensor  # (B, T)

    def expected(self, inputs: Tensor) -> Tensor:
        """Return the states (B, T, H or 2 H) over packed sequences, zero on padding."""
        packed = pack_padded_sequence(inputs, self.lengths, batch_first=True, enforce_sorted=False)
        states: Tensor = pad_packed_sequence(self.torchs(packed)[0], batch_first=True, total_length=inputs.shape[1])[0]
        return states

    def found(self, inputs: Tensor) -> Tensor:
        """Return our states, with zero written over what is on padding."""
        states: Tensor = self.ours(inputs, self.lengths)
        return states.masked_fill(~self.mask.unsqueeze(2), 0.0)


def make_case(
    device: torch.device,
    rnn_type: str = "LSTM",
    num_layers: int = 1,
    bidirectional: bool = True,
    *,
    dtype: torch.dtype = torch.float64,
    lengths: list[int] = LENGTHS,
    width: int | None = None,
    scale: float = 1.0,
) -> Case:
    generator = torch.Generator().manual_seed(7)
    ours = PaddedRNN(SIZE, HIDDEN, num_layers=num_layers, rnn_type=rnn_type, bidirectional=bidirectional)
    weights = {
        name: torch.randn(weight.shape, generator=generator) * scale for name, weight in ours.rnn.state_dict().items()
    }
    torchs = TYPES[rnn_type](SIZE, HIDDEN, num_layers=num_layers, bidirectional=bidirectional, batch_first=True)
    for network in (ours.rnn, torchs):
        network.load_state_dict(weights)
    width = width or max(lengths)
    inputs = torch.randn(len(lengths), width, SIZE, generator=generator)
    counts = torch.tensor(lengths)
    mask = (torch.arange(width) < counts.unsqueeze(1)).to(device)
    return Case(ours.to(device, dtype), torchs.to(device, dtype), inputs.to(device, dtype), counts, mask)


def tolerance(dtype: torch.dtype, device: torch.device) -> float:
    if dtype == torch.float64:
        return 1e-11
    return 1e-5 if device.type == "cpu" else 5e-4  # cuDNN sums in another order


@pytest.fixture(params=[1, 2])
def num_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """One thread and several."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def assert_near(found: Tensor, expected: Tensor) -> None:
    limit = tolerance(found.dtype, found.device)
    torch.testing.assert_close(found, expected, rtol=limit, atol=limit)


def gradients(states: Tensor, network: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """Differentiate a weighted sum of the states by the inputs and every parameter."""
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(3)).to(states)
    parameters = dict(network.named_parameters())
    found = torch.autograd.grad((states * weights).sum(), [inputs, *parameters.values()])
    return dict(zip(["inputs", *parameters], found, strict=True))


def compare_gradients(case: Case) -> None:
    inputs = case.inputs.requires_grad_()
    found = gradients(case.found(inputs), case.ours.rnn, inputs)
    expected = gradients(case.expected(inputs), case.torchs, inputs)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradient.any(), f"{name} has a gradient to compare"
        assert_near(found[name], gradient)


# against packed sequences


@DTYPES
@SHAPES
def test_states_are_those_of_packed_sequences(
    device: torch.device, rnn_type: str, num_layers: int, bidirectional: bool, dtype: torch.dtype
) -> None:
    case = make_case(device, rnn_type, num_layers, bidirectional, dtype=dtype)
    found = case.found(case.inputs)
    assert found.shape == (len(LENGTHS), max(LENGTHS), case.ours.output_size)
    assert (found.dtype, found.device.type) == (dtype, device.type)
    assert_near(found, case.expected(case.inputs))


@DTYPES
@SHAPES
def test_gradients_are_those_of_packed_sequences(
    device: torch.device, rnn_type: str, num_layers: int, bidirectional: bool, dtype: torch.dtype
) -> None:
    case = make_case(device, rnn_type, num_layers, bidirectional, dtype=dtype)
    compare_gradients(case)


@SHAPES
def test_training_and_prediction_agree(
    device: torch.device, rnn_type: str, num_layers: int, bidirectional: bool
) -> None:
    case = make_case(device, rnn_type, num_layers, bidirectional, dtype=torch.float32)
    expected = case.found(case.inputs).detach()
    case.ours.eval()
    assert_near(case.found(case.inputs).detach(), expected)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            states = case.found(case.inputs)
        assert not states.requires_grad
        assert_near(states, expected)


@pytest.mark.parametrize("lengths", [[1], [4], [1, 1, 1], [5, 5], [6, 5, 4, 3, 2, 1], [1, 9]])
def test_batches_of_every_shape_work(device: torch.device, lengths: list[int]) -> None:
    for width in (max(lengths), max(lengths) + 3):
        case = make_case(device, lengths=lengths, width=width)
        assert_near(case.found(case.inputs), case.expected(case.inputs))


def test_a_batch_need_not_be_contiguous(device: torch.device) -> None:
    case = make_case(device)
    strided = case.inputs.transpose(0, 1).contiguous().transpose(0, 1)
    assert not strided.is_contiguous()
    assert_near(case.found(strided), case.expected(case.inputs))


# threads and graphs


@pytest.mark.parametrize("rnn_type", TYPES)
def test_the_number_of_threads_changes_nothing(device: torch.device, rnn_type: str, num_threads: int) -> None:
    case = make_case(device, rnn_type, 2)
    assert_near(case.found(case.inputs), case.expected(case.inputs))
    compare_gradients(case)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert_near(case.found(case.inputs), case.expected(case.inputs))
    assert torch.get_num_threads() == num_threads, "and it is unchanged"


def test_the_same_batch_gives_the_same_bits_again(device: torch.device, num_threads: int) -> None:
    if device.type == "cuda":  # cuDNN sums in any order
        pytest.skip("guaranteed on CPUs only")
    case = make_case(device, num_layers=2, dtype=torch.float32)
    inputs = case.inputs.requires_grad_()
    one, two = (gradients(case.found(inputs), case.ours.rnn, inputs) for _ in range(2))
    assert torch.equal(case.found(inputs), case.found(inputs))
    assert all(torch.equal(gradient, two[name]) for name, gradient in one.items())


def test_frozen_weights_and_inputs_get_no_gradient(device: torch.device, num_threads: int) -> None:
    frozen = {"weight_hh_l0", "bias_ih_l0_reverse", "weight_ih_l1_reverse"}
    case = make_case(device, num_layers=2)
    for network in (case.ours.rnn, case.torchs):
        for name, weight in network.named_parameters():
            weight.requires_grad_(name not in frozen)
    torch.autograd.backward(case.found(case.inputs).pow(2).sum())
    torch.autograd.backward(case.expected(case.inputs).pow(2).sum())
    assert case.inputs.grad is None
    for name, expected in case.torchs.named_parameters():
        found = case.ours.rnn.get_parameter(name).grad
        if name in frozen:
            assert found is None
        else:
            assert found is not None
            assert expected.grad is not None
            assert_near(found, expected.grad)


def test_inputs_get_gradients_if_all_weights_are_frozen(device: torch.device, num_threads: int) -> None:
    case = make_case(device, num_layers=2)
    for network in (case.ours.rnn, case.torchs):
        network.requires_grad_(False)
    inputs = case.inputs.requires_grad_()
    found = torch.autograd.grad(case.found(inputs).pow(2).sum(), inputs)[0]
    assert_near(found, torch.autograd.grad(case.expected(inputs).pow(2).sum(), inputs)[0])


def test_gradients_of_two_batches_add_up(device: torch.device, num_threads: int) -> None:
    case = make_case(device)
    weight = case.ours.rnn.get_parameter("weight_ih_l0_reverse")

    def loss(part: slice) -> Tensor:
        states: Tensor = case.ours(case.inputs[part], case.lengths[part])
        return states.masked_fill(~case.mask[part].unsqueeze(2), 0.0).pow(2).sum()

    parts = [slice(0, 2), slice(2, 5)]
    expected = sum(torch.autograd.grad(loss(part), weight)[0] for part in parts)
    for part in parts:
        torch.autograd.backward(loss(part))
    assert isinstance(expected, Tensor)
    assert weight.grad is not None
    assert_near(weight.grad, expected)
    assert_near(torch.autograd.grad(loss(parts[0]) + loss(parts[1]), weight)[0], expected)  # two graphs at once


# padding


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@SHAPES
def test_values_on_padding_never_matter(
    device: torch.device, rnn_type: str, num_layers: int, bidirectional: bool, scale: float
) -> None:
    case = make_case(device, rnn_type, num_layers, bidirectional)
    filled = torch.where(case.mask.unsqueeze(2), case.inputs, torch.randn_like(case.inputs) * scale)
    case.inputs.requires_grad_()
    filled.requires_grad_()
    clean, junk = case.found(case.inputs), case.found(filled)
    assert_near(junk, clean)
    found, expected = gradients(junk, case.ours.rnn, filled), gradients(clean, case.ours.rnn, case.inputs)
    for name, gradient in expected.items():
        assert_near(found[name], gradient)
    assert found["inputs"][~case.mask].abs().max() < 1e-12, "padding has no gradient"


def test_large_weights_do_not_let_padding_in(device: torch.device) -> None:
    for rnn_type in TYPES:
        case = make_case(device, rnn_type, 2, scale=30.0)
        zeros = case.inputs.masked_fill(~case.mask.unsqueeze(2), 0.0)
        assert_near(case.found(case.inputs), case.found(zeros))
        assert_near(case.found(case.inputs), case.expected(zeros))


@SHAPES
def test_a_batch_gives_what_its_sentences_give_alone(
    device: torch.device, rnn_type: str, num_layers: int, bidirectional: bool
) -> None:
    case = make_case(device, rnn_type, num_layers, bidirectional)
    together = case.found(case.inputs)
    for index, length in enumerate(LENGTHS):
        alone = case.ours(case.inputs[index : index + 1, :length], torch.tensor([length]))
        assert_near(together[index, :length], alone[0])


def test_each_direction_sees_its_side_of_the_sentence(device: torch.device) -> None:
    case = make_case(device, lengths=[5, 3])
    changed = case.inputs.clone()
    changed[:, 1] += 1
    difference = (case.found(changed) - case.found(case.inputs)).abs()
    same = (difference < 1e-12).view(2, 5, 2, HIDDEN).all(3)  # (B, T, directions)
    assert same[:, :, 0].tolist() == [[True, False, False, False, False], [True, False, False, True, True]]
    assert same[:, :, 1].tolist() == [[False, False, True, True, True], [False, False, True, True, True]]


# weights and settings


@SHAPES
def test_the_weights_have_the_names_that_torch_gives_them(rnn_type: str, num_layers: int, bidirectional: bool) -> None:
    settings = {"num_layers": num_layers, "bidirectional": bidirectional}
    ours = PaddedRNN(SIZE, HIDDEN, rnn_type=rnn_type, num_layers=num_layers, bidirectional=bidirectional).state_dict()
    torchs = TYPES[rnn_type](SIZE, HIDDEN, **settings).state_dict()
    assert {name: tensor.shape for name, tensor in ours.items()} == {
        f"rnn.{name}": tensor.shape for name, tensor in torchs.items()
    }


def test_the_size_of_the_output_counts_directions() -> None:
    assert PaddedRNN(SIZE, HIDDEN).output_size == 2 * HIDDEN
    assert PaddedRNN(SIZE, HIDDEN, bidirectional=False).output_size == HIDDEN


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"rnn_type must be one of LSTM, GRU, RNN; it is 'lstm'"):
        PaddedRNN(SIZE, HIDDEN, rnn_type="lstm")


@pytest.mark.parametrize("value", [0, -1, True, 4.0, "4"])
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
def test_a_size_that_is_no_positive_integer_is_refused(name: str, value: Any) -> None:
    sizes = {"input_size": SIZE, "hidden_size": HIDDEN, name: value}
    with pytest.raises(SettingError, match=f"{name} must be"):
        PaddedRNN(**sizes)


def test_sizes_may_be_integers_of_numpy() -> None:
    assert PaddedRNN(np.int64(SIZE), np.int32(HIDDEN)).output_size == 2 * HIDDEN


@pytest.mark.parametrize("with_gradients", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("rnn_type", ["LSTM", "GRU", "RNN"])
def test_features_of_another_size_are_refused(rnn_type: str, bidirectional: bool, with_gradients: bool) -> None:
    network = PaddedRNN(4, 3, rnn_type=rnn_type, bidirectional=bidirectional)
    with torch.set_grad_enabled(with_gradients), pytest.raises(SettingError, match=r"\(B, T, D = 4\), got \(2, 3, 5\)"):
        network(torch.randn(2, 3, 5), torch.tensor([3, 1]))


def test_a_step_of_training_changes_every_weight(device: torch.device) -> None:
    case = make_case(device, num_layers=2)
    before = {name: weight.detach().clone() for name, weight in case.ours.named_parameters()}
    optimizer = torch.optim.SGD(case.ours.parameters(), lr=0.1)
    torch.autograd.backward(case.found(case.inputs).pow(2).sum())
    optimizer.step()
    for name, weight in case.ours.named_parameters():
        assert (weight != before[name]).any(), name


def test_a_copy_on_disk_computes_the_same(device: torch.device) -> None:
    case = make_case(device, num_layers=2)
    other = PaddedRNN(SIZE, HIDDEN, num_layers=2).to(device, torch.float64)
    other.load_state_dict(case.ours.state_dict())
    assert_near(other(case.inputs, case.lengths), case.ours(case.inputs, case.lengths))


def average_into(rnn: nn.LSTM | nn.GRU | nn.RNN) -> None:
    """Load a moving average of the weights as older code does, without a trace in version or address."""
    for weight in rnn.parameters():
        weight.data.copy_(0.5 * weight.data + 0.5)


def swap_rows(rnn: nn.LSTM | nn.GRU | nn.RNN) -> None:
    rnn.weight_hh_l0.data.copy_(rnn.weight_hh_l0.data.flip(0))


def swap_columns(rnn: nn.LSTM | nn.GRU | nn.RNN) -> None:
    rnn.weight_hh_l0.data.copy_(rnn.weight_hh_l0.data.flip(1))


CHANGES: dict[str, Callable[[nn.LSTM | nn.GRU | nn.RNN], Any]] = {
    "in index": lambda rnn: torch.no_grad()(rnn.weight_ih_l0.mul_)(2),
    "loaded": lambda rnn: rnn.load_state_dict({name: 2 * value for name, value in rnn.state_dict().items()}),
    "new memory": lambda rnn: setattr(rnn.weight_ih_l0, "data", rnn.weight_ih_l0.data * 2),
    "data.mul_": lambda rnn: rnn.weight_ih_l0.data.mul_(2),
    "data.neg_": lambda rnn: rnn.weight_hh_l0_reverse.data.neg_(),
    "moving average": average_into,
    "one element": lambda rnn: rnn.weight_hh_l0.data[3, 1].add_(0.5),
    "bias": lambda rnn: rnn.bias_hh_l0.data[1].add_(0.5),
    "rows swapped": swap_rows,
    "columns swapped": swap_columns,
    "transposed memory": lambda rnn: setattr(rnn.weight_hh_l0, "data", rnn.weight_hh_l0.data.t().contiguous().t() + 1),
    "through NumPy": lambda rnn: rnn.weight_ih_l0.detach().numpy().__imul__(2),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rnn_type", ["LSTM", "GRU"])
@pytest.mark.parametrize("size", [(3, 4), (32, 40), (3, 5)])  # less than a row of the checksum, several, odd biases
@pytest.mark.parametrize("change", CHANGES)
def test_predictions_follow_weights_that_change(
    change: str, size: tuple[int, int], rnn_type: str, dtype: torch.dtype
) -> None:
    network = PaddedRNN(*size, rnn_type=rnn_type).to(dtype)
    inputs, lengths = torch.randn(2, 5, size[0], dtype=dtype), torch.tensor([5, 3])
    with torch.inference_mode():
        before = network(inputs, lengths)
    CHANGES[change](network.rnn)
    with torch.inference_mode():
        after = network(inputs, lengths)
    expected = network(inputs, lengths)  # nothing is cached where gradients are computed
    torch.testing.assert_close(after[0], expected[0])
    torch.testing.assert_close(after[1, :3], expected[1, :3])
    assert not torch.allclose(after, before)


def test_predictions_follow_a_change_of_dtype() -> None:
    network = PaddedRNN(3, 4)
    inputs, lengths = torch.randn(2, 5, 3), torch.tensor([5, 3])
    with torch.no_grad():
        network(inputs, lengths)
        found = network.double()(inputs.double(), lengths)
    torch.testing.assert_close(found[0], network(inputs.double(), lengths)[0])


def test_predictions_follow_weights_that_are_not_contiguous() -> None:
    network = PaddedRNN(3, 4)
    network.rnn.weight_hh_l0.data = network.rnn.weight_hh_l0.data.t().contiguous().t()
    inputs, lengths = torch.randn(2, 5, 3), torch.tensor([5, 3])
    with torch.inference_mode():
        before = network(inputs, lengths)
        network.rnn.weight_hh_l0.data.mul_(2)
        after = network(inputs, lengths)
    torch.testing.assert_close(after[0], network(inputs, lengths)[0])
    assert not torch.allclose(after, before)


def test_unchanged_weights_are_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = PaddedRNN(3, 4)
    inputs, lengths = torch.randn(2, 5, 3), torch.tensor([5, 3])
    calls = []
    prepare = network._widened_weights
    monkeypatch.setattr(network, "_widened_weights", lambda dtype: calls.append(1) or prepare(dtype))
    with torch.inference_mode():
        for _ in range(5):
            network(inputs, lengths)
            network.train().eval()
    assert len(calls) == 1


@pytest.mark.parametrize("has_onednn", [True, False])
@SHAPES
def test_prediction_gives_the_states_of_training(
    rnn_type: str, num_layers: int, bidirectional: bool, has_onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", has_onednn)
    case = make_case(torch.device("cpu"), rnn_type, num_layers, bidirectional, dtype=torch.float32)
    expected = case.expected(case.inputs).detach()
    with torch.no_grad():
        assert_near(case.found(case.inputs), expected)


@pytest.mark.filterwarnings("ignore:You are using `torch.load`:FutureWarning")  # torch 2.4 warns of pickled tensors
@pytest.mark.parametrize("how", ["copied", "pickled"])
def test_a_network_that_predicted_can_be_copied(how: str) -> None:
    rnn = PaddedRNN(SIZE, HIDDEN)
    inputs, lengths = torch.randn(2, 5, SIZE), torch.tensor([5, 3])
    with torch.inference_mode():
        expected = rnn(inputs, lengths)
        other = copy.deepcopy(rnn) if how == "copied" else pickle.loads(pickle.dumps(rnn))
        assert torch.equal(other(inputs, lengths), expected)


def test_a_network_made_in_inference_mode_predicts() -> None:
    with torch.inference_mode():
        rnn = PaddedRNN(SIZE, HIDDEN)
        states = rnn(torch.randn(2, 5, SIZE), torch.tensor([5, 3]))
    assert states.shape == (2, 5, 2 * HIDDEN)


def test_a_processor_without_bfloat16_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Tensor:
        raise RuntimeError("could not create a primitive descriptor for an LSTM forward propagation primitive")

    network = PaddedRNN(8, HIDDEN)  # of other widths, torch's module is not called in bfloat16
    monkeypatch.setattr(network.rnn, "forward", refuse)
    inputs, lengths = torch.randn(2, 5, 8), torch.tensor([5, 5])
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(SettingError, match="no LSTM in bfloat16 for this proc"):
        network(inputs, lengths)
    with pytest.raises(RuntimeError, match="could not create a primitive"):
        network(inputs, lengths)


@needs_bfloat16
@SHAPES
def test_it_may_run_under_autocast(rnn_type: str, num_layers: int, bidirectional: bool) -> None:
    network = PaddedRNN(SIZE, HIDDEN, num_layers=num_layers, rnn_type=rnn_type, bidirectional=bidirectional)
    inputs, lengths = torch.randn(3, 6, SIZE, requires_grad=True), torch.tensor([6, 2, 1])
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(inputs, lengths)
    rough.float().sum().backward()
    assert inputs.grad is not None
    words = torch.arange(6) < lengths.unsqueeze(1)
    torch.testing.assert_close(rough.float()[words], network(inputs, lengths)[words], atol=0.03, rtol=0.03)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(network(inputs, lengths)[words], rough[words], atol=0.01, rtol=0.01)


class LayerWidths(TorchDispatchMode):
    """Records the number of features that each layer of oneDNN's LSTM reads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.mkldnn_rnn_layer.default:
            self.found.add(args[0].shape[2])
        return function(*args, **(kwargs or {}))


@needs_bfloat16
@pytest.mark.parametrize("lengths", [[6, 2, 1], [6, 6, 6]], ids=["padded", "of one length"])
@pytest.mark.parametrize("with_gradients", [True, False])
@pytest.mark.parametrize("size", [5, 7, 8])
def test_layers_in_bfloat16_are_as_wide_as_fast_instructions_need(
    size: int, with_gradients: bool, lengths: list[int]
) -> None:
    """With an odd width, oneDNN's LSTM leaves the instructions for bfloat16 and takes up to four times as long."""
    network = PaddedRNN(size, 6, num_layers=2)
    inputs = torch.randn(3, 6, size)
    with torch.set_grad_enabled(with_gradients), torch.autocast("cpu", torch.bfloat16), LayerWidths() as widths:
        network(inputs, torch.tensor(lengths))
    assert widths.found == {8 if size < 8 else 16, 16} or (size == 8 and lengths == [6, 6, 6])
    assert all(width % 2 == 0 for width in widths.found)


def test_layers_in_float32_have_one_feature_for_padding() -> None:
    with LayerWidths() as widths:
        PaddedRNN(5, 6, num_layers=2)(torch.randn(3, 6, 5), torch.tensor([6, 2, 1]))
    assert widths.found == {6, 13}


# a learned initial state, and a shared network


@SHAPES
@pytest.mark.parametrize("lengths", [LENGTHS, [5, 5]], ids=["padded", "of one length"])
def test_each_sentence_starts_from_the_learned_state(
    device: torch.device, rnn_type: str, num_layers: int, bidirectional: bool, lengths: list[int]
) -> None:
    options: dict[str, Any] = {"num_layers": num_layers, "bidirectional": bidirectional}
    ours = PaddedRNN(SIZE, HIDDEN, rnn_type=rnn_type, train_initial_state=True, **options).to(device, torch.float64)
    assert ours.start is not None
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        ours.start.copy_(torch.randn(ours.start.shape, generator=generator))
    inputs = torch.randn(len(lengths), max(lengths), SIZE, generator=generator, dtype=torch.float64).to(device)
    found = ours(inputs, torch.tensor(lengths))
    states = list(ours.start.unbind(0))
    for row, length in enumerate(lengths):
        alone = ours.rnn(inputs[row : row + 1, :length], tuple(states) if rnn_type == "LSTM" else states[0])[0]
        assert_near(found[row, :length], alone[0])
    found.sum().backward()
    assert ours.start.grad is not None
    assert ours.start.grad.any(-1).all(), "each layer and direction learns its own"


def test_without_a_learned_state_there_is_no_weight_for_it() -> None:
    assert "start" not in PaddedRNN(SIZE, HIDDEN).state_dict()
    ours = PaddedRNN(SIZE, HIDDEN, train_initial_state=True)
    assert not ours.start.any(), "it is 0 before training"  # type: ignore[union-attr]


def test_a_shared_network_must_have_the_same_settings() -> None:
    shared = nn.LSTM(SIZE, HIDDEN, bidirectional=True, batch_first=True)
    assert PaddedRNN(SIZE, HIDDEN, rnn=shared).rnn is shared
    for other in (nn.LSTM(SIZE, HIDDEN, bidirectional=True), nn.GRU(SIZE, HIDDEN, batch_first=True)):
        with pytest.raises(SettingError, match="a shared rnn must be LSTM"):
            PaddedRNN(SIZE, HIDDEN, rnn=other)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_weights_for_cudnn_are_views_of_one_tensor_in_its_order(bidirectional: bool) -> None:
    network = nn.LSTM(SIZE, HIDDEN, bidirectional=bidirectional)
    weights = list(network.parameters())  # of each direction: from input, from state, both biases
    directions = [weights[start : start + 4] for start in range(0, len(weights), 4)]
    joined = _join_memory(directions)
    assert all(map(torch.equal, itertools.chain(*joined), weights))
    matrices_first = [
        *itertools.chain(*(part[:2] for part in joined)),
        *itertools.chain(*(part[2:] for part in joined)),
    ]
    offsets = list(itertools.accumulate((part.numel() for part in matrices_first), initial=0))
    first = matrices_first[0].data_ptr()
    assert [part.data_ptr() - first for part in matrices_first] == [4 * offset for offset in offsets[:-1]]
    sum(part.sum() for part in matrices_first).backward()  # type: ignore[union-attr]
    assert all(weight.grad is not None and bool((weight.grad == 1).all()) for weight in weights)


# between layers


def run_layer_by_layer(ours: PaddedRNN, inputs: Tensor, lengths: list[int], masks: Tensor, *, residual: bool) -> Tensor:
    """Return the states (B, T, H) of sentences, each computed alone by networks of torch with one layer.

    Args:
        ours: The network with the weights.
        inputs: (B, T, D).
        lengths: The words of each sentence.
        masks: (L - 1, B, 1, H) what the states below each further layer are multiplied by.
        residual: Whether the states of a layer are added to those below.
    """
    found = inputs.new_zeros(*inputs.shape[:2], ours.output_size)
    weights = ours.rnn.state_dict()
    for row, length in enumerate(lengths):
        states = inputs[row : row + 1, :length]
        for layer in range(ours.rnn.num_layers):
            kind = type(ours.rnn)
            single = kind(states.shape[2], HIDDEN, bidirectional=ours.rnn.bidirectional, batch_first=True)
            own = {name.replace(f"_l{layer}", "_l0"): value for name, value in weights.items() if f"_l{layer}" in name}
            single.load_state_dict(own)
            below = states * masks[layer - 1, row] if layer else states
            above = single.to(inputs.device, inputs.dtype)(below)[0]
            states = below + above if layer and residual else above
        found[row, :length] = states[0]
    return found


@pytest.mark.parametrize("lengths", [LENGTHS, [4, 4]])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("rnn_type", ["LSTM", "GRU"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_dropout_and_residual_connections_are_those_of_single_layers(
    device: torch.device, rnn_type: str, bidirectional: bool, lengths: list[int], residual: bool, rate: float
) -> None:
    options: dict[str, Any] = {"num_layers": 3, "rnn_type": rnn_type, "bidirectional": bidirectional}
    ours = PaddedRNN(SIZE, HIDDEN, **options, dropout=rate, residual=residual).to(device, torch.float64)
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randn(len(lengths), max(lengths), SIZE, generator=generator, dtype=torch.float64).to(device)
    shape = (len(lengths), 1, ours.output_size)
    draws = torch.Generator(device).manual_seed(5)
    masks = torch.stack(
        [torch.empty(shape, dtype=torch.float64, device=device).bernoulli_(1 - rate, generator=draws) for _ in range(2)]
    ) / (1 - rate)
    on_words = (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).unsqueeze(2).to(device)
    for is_training in (True, False):
        ours.train(is_training)
        found = ours(inputs, torch.tensor(lengths), torch.Generator(device).manual_seed(5)) * on_words
        factors = masks if is_training else torch.ones_like(masks)
        assert_near(found, run_layer_by_layer(ours, inputs, lengths, factors, residual=residual))
    ours.eval()
    with torch.no_grad():
        predicted = ours(inputs, torch.tensor(lengths)) * on_words
    assert_near(predicted, run_layer_by_layer(ours, inputs, lengths, torch.ones_like(masks), residual=residual))


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"residual": True}])
@pytest.mark.parametrize("other", [{"rnn_type": "RNN"}, {"train_initial_state": True}])
def test_networks_without_gates_have_nothing_between_layers(options: Any, other: Any) -> None:
    with pytest.raises(SettingError, match="need an LSTM or a GRU"):
        PaddedRNN(SIZE, HIDDEN, num_layers=2, **options, **other)


def test_residual_is_true_or_false() -> None:
    with pytest.raises(SettingError, match="residual must be True or False; it is 'no'"):
        PaddedRNN(SIZE, HIDDEN, residual="no")  # type: ignore[arg-type]
