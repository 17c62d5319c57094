"""Optimizers without torch's compiler are torch's own in all that they do."""

from __future__ import annotations

import copy
import functools
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from flairlite.models import Model
from flairlite.trainers import optimizers
from flairlite.trainers.optimizers import OptimizerFactory, make_optimizer, remove_compiler

FACTORIES: dict[str, OptimizerFactory] = {
    "SGD": torch.optim.SGD,
    "momentum": functools.partial(torch.optim.SGD, momentum=0.9, weight_decay=0.01),
    "Adam": torch.optim.Adam,
    "AdamW": functools.partial(torch.optim.AdamW, betas=(0.8, 0.9)),
}


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a program that has not imported the compiler."""
    monkeypatch.setattr(optimizers, "_has_compiler", lambda: False)


def trained(factory: OptimizerFactory, model: nn.Linear, num_steps: int) -> torch.optim.Optimizer:
    optimizer = factory(model.parameters(), lr=0.1)
    step(optimizer, model, num_steps)
    return optimizer


def step(optimizer: torch.optim.Optimizer, model: nn.Linear, num_steps: int) -> None:
    for number in range(num_steps):
        model(torch.full((2, 3), float(number))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("name", FACTORIES)
def test_weights_and_state_are_those_of_torch(name: str) -> None:
    model = nn.Linear(3, 2)
    other = copy.deepcopy(model)
    light = remove_compiler(FACTORIES[name])
    optimizer, expected = trained(light, model, 5), trained(FACTORIES[name], other, 5)
    assert isinstance(optimizer, type(expected))
    assert type(optimizer).__name__ == type(expected).__name__
    fresh = light(model.parameters(), lr=0.5)  # a checkpoint of either is one of the other
    fresh.load_state_dict(copy.deepcopy(expected.state_dict()))
    step(fresh, model, 3)
    step(expected, other, 3)
    for weight, same in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(weight, same)
        assert weight.grad is None


def test_schedulers_of_torch_accept_the_optimizer() -> None:
    model = nn.Linear(3, 2)
    optimizer = remove_compiler(torch.optim.SGD)(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    step(optimizer, model, 1)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_hooks_are_called() -> None:
    model, calls = nn.Linear(3, 2), []
    optimizer = remove_compiler(torch.optim.SGD)(model.parameters(), lr=0.1)
    optimizer.register_step_post_hook(lambda *_: calls.append("step"))
    step(optimizer, model, 2)
    assert calls == ["step", "step"]


class Own(torch.optim.SGD):
    """An optimizer that is not torch's."""


@pytest.mark.parametrize(
    "factory", [Own, lambda weights, lr: Own(weights, lr=lr), functools.partial(Own, momentum=0.1)]
)
def test_other_factories_are_unchanged(factory: Any) -> None:
    assert remove_compiler(factory) is factory


def test_program_that_has_the_compiler_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "_has_compiler", lambda: True)
    assert remove_compiler(torch.optim.SGD) is torch.optim.SGD


def test_training_imports_no_compiler(tmp_path: Any) -> None:
    script = """
import sys
from flairlite.data import Corpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer
corpus = Corpus([Sentence(["The", "end"]).set_token_labels("pos", ["DET", "NOUN"])])
labels = corpus.make_label_dictionary("pos")
model = SequenceTagger(WordEmbeddings("glove-mini"), labels, "pos", hidden_size=4)
ModelTrainer(model, corpus).train(sys.argv[1], max_epochs=1, tune_process=True)
print([name for name in ("torch._dynamo", "torch._inductor", "sympy", "sklearn", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# fused updates


class _Weights(Model):
    """A model that is nothing but weights."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        nn.Module.__init__(self)
        generator = torch.Generator().manual_seed(0)
        self.weights = nn.ParameterList(torch.randn(shape, generator=generator) for shape in shapes)

    forward = loss = decode = settings = from_settings = lambda self: None  # type: ignore[assignment]


SHAPES = ((40, 7), (5, 3, 2), (1,), (3, 1))


def updated(factory: OptimizerFactory, *, is_fused: bool | None = None, transposed: bool = False) -> list[torch.Tensor]:
    """Return weights after some steps; with `transposed`, matrices have gradients of another layout."""
    model = _Weights(*SHAPES)
    optimizer = make_optimizer(factory, model, 0.01, None)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        for weight in model.weights:
            gradient = torch.randn(weight.shape, generator=generator)
            weight.grad = gradient.mT.contiguous().mT if transposed and weight.dim() > 1 else gradient
        optimizer.step()
    if is_fused is not None:
        assert bool(optimizer.param_groups[0]["fused"]) is is_fused
    return [weight.detach() for weight in model.weights]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_fused_updates_are_those_of_torch_up_to_rounding(name: str, transposed: bool, on_cpu: None) -> None:
    factory = getattr(torch.optim, name)
    plain = updated(functools.partial(factory, fused=False), is_fused=False)
    for weight, expected in zip(updated(factory, is_fused=True, transposed=transposed), plain, strict=True):
        torch.testing.assert_close(weight, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "factory",
    [
        torch.optim.SGD,
        functools.partial(torch.optim.AdamW, foreach=True),
        functools.partial(torch.optim.Adam, fused=False),
        torch.optim.Adamax,
    ],
    ids=["SGD", "foreach", "not fused", "Adamax"],
)
def test_other_updates_are_not_fused(factory: OptimizerFactory, on_cpu: None) -> None:
    found = updated(factory)
    model = _Weights(*SHAPES)
    optimizer = factory(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        for weight in model.weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
    assert not optimizer.param_groups[0].get("fused")
    for weight, expected in zip(found, model.weights, strict=True):
        assert torch.equal(weight, expected)


def test_a_fused_update_is_one_operation(on_cpu: None) -> None:
    counts = {}
    for is_fused in (False, True):
        model = _Weights(*SHAPES)
        factory = torch.optim.AdamW if is_fused else functools.partial(torch.optim.AdamW, fused=False)
        optimizer = make_optimizer(factory, model, 0.01, None)
        for weight in model.weights:
            weight.grad = torch.ones_like(weight)
        with CountOperations() as counter:
            optimizer.step()
        counts[is_fused] = counter.names
    assert [name for name in counts[True] if "fused_adamw" in name] == ["aten::_fused_adamw_"]
    assert not any("sqrt" in name or "addcdiv" in name for name in counts[True])
    assert sum("addcdiv" in name for name in counts[False]) == len(SHAPES)


def test_a_checkpoint_that_was_not_fused_continues_with_the_same_bits(on_cpu: None) -> None:
    model, other = _Weights(*SHAPES), _Weights(*SHAPES)
    before, fused = torch.optim.AdamW(model.parameters(), lr=0.1), make_optimizer(torch.optim.AdamW, other, 0.1, None)
    generator = torch.Generator().manual_seed(1)
    for step_number in range(4):
        if step_number == 2:
            other.load_state_dict(model.state_dict())
            fused.load_state_dict(copy.deepcopy(before.state_dict()))
        for weight, same in zip(model.weights, other.weights, strict=True):
            weight.grad = torch.randn(weight.shape, generator=generator)
            same.grad = weight.grad.clone()
        before.step()
        fused.step()
    for weight, same in zip(model.weights, other.weights, strict=True):
        assert torch.equal(weight, same)


class CountOperations(TorchDispatchMode):
    """Notes the operations of torch that are run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func._schema.name)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only on a CPU, updates are fused here."""
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")
