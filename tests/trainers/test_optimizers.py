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

from flairlite.trainers import optimizers
from flairlite.trainers.optimizers import OptimizerFactory, remove_compiler

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
