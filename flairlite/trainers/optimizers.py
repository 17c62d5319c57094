"""Optimizers: by name, for checkpoints and records of runs, and without what only a compiled program needs."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch

from flairlite.errors import SettingError
from flairlite.models import Model

_DECORATED = ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict")

OptimizerFactory = Callable[..., torch.optim.Optimizer]  # of parameters and `lr`


def make_optimizer(
    factory: OptimizerFactory, model: Model, learning_rate: float, decoder_learning_rate: float | None
) -> torch.optim.Optimizer:
    """Make the optimizer of what can be trained.

    Args:
        factory: Makes it of weights, or groups of them, and `lr`.
        model: The model.
        learning_rate: The learning rate of all.
        decoder_learning_rate: Another one for all but the embeddings; these are then the second group.
    """
    factory = without_compiler(factory)
    weights = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    if decoder_learning_rate is None:
        return factory([weight for _, weight in weights], lr=learning_rate)
    groups = [
        {"params": [weight for name, weight in weights if not _is_embedding(name)], "lr": decoder_learning_rate},
        {"params": [weight for name, weight in weights if _is_embedding(name)], "lr": learning_rate},
    ]
    return factory([group for group in groups if group["params"]], lr=learning_rate)


def _is_embedding(name: str) -> bool:
    return name.split(".")[0] == "embeddings"


def optimizer_to_plain(factory: OptimizerFactory) -> dict[str, Any]:
    """Return the name and the options of an optimizer: a class, or a `functools.partial` of one."""
    kind: Any = factory
    options: dict[str, Any] = {}
    if isinstance(factory, functools.partial) and not factory.args:
        kind, options = factory.func, {name: _plain(value) for name, value in factory.keywords.items()}
    module = getattr(kind, "__module__", type(kind).__module__)
    name = getattr(kind, "__qualname__", type(kind).__qualname__)
    return {"name": f"torch.optim.{name}" if _is_torchs(name, kind) else f"{module}.{name}", "options": options}


def optimizer_from_plain(plain: Mapping[str, Any]) -> OptimizerFactory:
    """Find an optimizer of torch's by what `optimizer_to_plain` returned.

    Raises:
        SettingError: when it is not one of torch's.
    """
    package, _, name = str(plain["name"]).rpartition(".")
    factory = getattr(torch.optim, name, None)
    if package != "torch.optim" or factory is None or not _is_torchs(name, factory):
        raise SettingError(f"the optimizer {plain['name']} is not one of torch's: give it again, as optimizer=")
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in plain["options"].items()}
    return functools.partial(factory, **options) if options else factory


def _is_torchs(name: str, factory: Any) -> bool:
    return (
        isinstance(factory, type)
        and issubclass(factory, torch.optim.Optimizer)
        and getattr(torch.optim, name, None) is factory
    )


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def without_compiler(factory: OptimizerFactory) -> OptimizerFactory:
    """Return a factory of the same optimizer that does not import torch's compiler.

    Torch's optimizers tell the compiler to leave them alone, and import it for that: more than a second and 80 MB in a
    program that compiles nothing. The class that is made here calls what stands behind those decorators. A program that
    has the compiler already, and a factory that is no class of torch's, are left as they are.
    """
    options: dict[str, Any] = {}
    kind: Any = factory
    if isinstance(factory, functools.partial) and not factory.args:
        kind, options = factory.func, factory.keywords
    if _has_compiler() or not _is_torchs(getattr(kind, "__name__", ""), kind):
        return factory
    if options.get("differentiable"):  # the step itself is to have gradients then
        return factory
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in _DECORATED}
    return functools.partial(type(kind.__name__, (kind,), plain | {"step": torch.no_grad()(plain["step"])}), **options)


def _has_compiler() -> bool:
    return "torch._dynamo" in sys.modules
