"""Optimizers: found by name, built for a model, recorded in checkpoints, and freed of torch's compiler."""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from flairlite.checks import shown
from flairlite.embeddings import Embeddings
from flairlite.errors import SettingError
from flairlite.models import Model

OptimizerFactory = Callable[..., torch.optim.Optimizer]  # of parameters and `lr`

_DECORATED = ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict")
_UNFIT = {"LBFGS": "its step needs a closure", "SparseAdam": "gradients are dense here"}


def find_optimizer(name: str, value: Any) -> OptimizerFactory:
    """Return the factory that a setting means: a class, a function, or the name of a class of `torch.optim`.

    Args:
        name: The name of the setting.
        value: Its value; upper and lower case do not matter in names.

    Raises:
        SettingError: If it is neither of them, or an optimizer that does not fit here.
    """
    factory = _find_by_name(name, value) if isinstance(value, str) else value
    kind = factory.func if isinstance(factory, functools.partial) else factory
    if isinstance(factory, torch.optim.Optimizer):
        raise SettingError(
            f"{name} must be a class such as torch.optim.{type(factory).__name__}, not an optimizer that exists: "
            "training makes it of the model's weights. Give its options to train, such as weight_decay=0.01"
        )
    is_other_class = isinstance(kind, type) and not issubclass(kind, torch.optim.Optimizer)
    if not callable(factory) or is_other_class or kind is torch.optim.Optimizer:
        raise SettingError(f"{name} must be a class of torch.optim, or its name; it is {shown(value)}")
    if is_of_torch(kind) and (reason := _UNFIT.get(kind.__name__)):
        raise SettingError(f"{name} cannot be {kind.__name__}: {reason}. Use torch.optim.SGD or torch.optim.AdamW")
    return factory


def _find_by_name(name: str, value: str) -> OptimizerFactory:
    classes: dict[str, OptimizerFactory] = {
        key.lower(): item
        for key, item in vars(torch.optim).items()
        if is_of_torch(item) and item is not torch.optim.Optimizer
    }
    wanted = value.lower().removeprefix("torch.optim.")
    if wanted not in classes:
        close = difflib.get_close_matches(wanted, classes, n=1)
        hint = f"Did you mean {getattr(classes[close[0]], '__name__', close[0])}?" if close else "Use SGD or AdamW"
        raise SettingError(f"{name} {value!r} is not an optimizer of torch.optim. {hint}")
    return classes[wanted]


def make_optimizer(
    factory: Any,
    model: Model,
    learning_rate: float,
    decoder_learning_rate: float | None,
    *,
    embedding_rates: Mapping[str, float] | None = None,
    layer_decay: float | None = None,
    without_compiler: bool = False,
) -> torch.optim.Optimizer:
    """Make the optimizer of the weights that can be trained.

    Args:
        factory: Makes an optimizer of weights, or groups of them, and `lr`.
        model: The model.
        learning_rate: The learning rate of all weights.
        decoder_learning_rate: Another one for all weights but the embeddings', which come in later groups then.
        embedding_rates: Other ones for single embeddings, by name.
        layer_decay: The factor from each layer of a transformer to the one below it.
        without_compiler: Whether to avoid importing torch's compiler; see `remove_compiler`.

    Raises:
        SettingError: If the model has no weights to train or learns no label, has no embeddings of such a name or no
            transformer, or the factory refuses its options or makes something else.
    """
    weights = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    if not weights:
        raise SettingError("the model has no weights to train: none has requires_grad")
    if not model.has_weighted_labels:
        raise SettingError(
            "the model learns no label: all have the weight 0 in its loss_weights or head_weights. Make it with a "
            "weight above 0"
        )
    groups: list[Any] = [weight for _, weight in weights]
    if decoder_learning_rate is not None or embedding_rates or layer_decay is not None:
        rates = _find_rates(model, learning_rate, embedding_rates or {}, layer_decay)
        decoder_rate = learning_rate if decoder_learning_rate is None else decoder_learning_rate
        by_rate: dict[tuple[bool, float], list[Any]] = {}
        for name, weight in sorted(weights, key=lambda item: _is_embedding(item[0])):  # stable: the decoder comes first
            rate = rates.get(name, learning_rate) if _is_embedding(name) else decoder_rate
            by_rate.setdefault((_is_embedding(name), rate), []).append(weight)
        groups = [{"params": part, "lr": rate} for (_, rate), part in by_rate.items()]
    refusals = Exception if is_of_torch(_split_options(factory)[0]) else (TypeError, ValueError)
    is_fused = _can_be_fused(factory, [weight for _, weight in weights])
    options = {"fused": True} if is_fused else {}
    try:
        optimizer = (remove_compiler(factory) if without_compiler else factory)(groups, lr=learning_rate, **options)
    except refusals as error:
        raise SettingError(
            f"the optimizer {optimizer_to_plain(factory)['name']} cannot be made of the weights and lr: {error}"
        ) from error
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise SettingError(f"optimizer must make an optimizer of torch's; it made {shown(optimizer)}")
    if is_fused:
        optimizer.register_step_pre_hook(match_layouts)
    return optimizer


def _can_be_fused(factory: Any, weights: Sequence[torch.Tensor]) -> bool:
    """Return whether torch can update all weights in one operation, with equal results up to rounding.

    On a CPU this is not torch's default, although it takes a quarter of the time. SGD is not fused there: its results
    stay as they are. On a GPU, only fused updates read the learning rate from the device; SGD with momentum would fail
    there if a weight got its first gradient later than others.
    """
    kind, options = _split_options(factory)
    devices = {weight.device.type for weight in weights}
    names = ("Adam", "AdamW", "SGD") if devices == {"cuda"} and not options.get("momentum") else ("Adam", "AdamW")
    is_chosen = any(name in options for name in ("foreach", "fused", "capturable", "differentiable"))
    is_simple = len(devices) == 1 and devices <= {"cpu", "cuda"} and all(weight.is_contiguous() for weight in weights)
    return is_of_torch(kind) and kind.__name__ in names and is_simple and not is_chosen


def match_layouts(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Copy gradients whose strides differ from those of their weight, which the fused update cannot read.

    Torch computes gradients with the strides of the weight, but programs can assign others.
    """
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight.grad is not None and weight.grad.stride() != weight.stride():
                weight.grad = torch.empty_like(weight).copy_(weight.grad)


def _find_rates(
    model: Model, learning_rate: float, by_name: Mapping[str, float], layer_decay: float | None
) -> dict[str, float]:
    """Return the learning rates of the weights of embeddings with a rate of their own, or of transformers."""
    rates: dict[str, float] = {}
    parts = [
        (path, part) for path, part in model.named_modules() if isinstance(part, Embeddings)
    ]  # the inner ones last
    if unknown := sorted(by_name.keys() - {part.name for _, part in parts}):
        known = ", ".join(dict.fromkeys(part.name for _, part in parts))
        raise SettingError(f"embedding_learning_rates names {unknown[0]!r}; the embeddings of the model are {known}")
    depths = {} if layer_decay is None else {path: part.depths() for path, part in parts}
    if layer_decay is not None and not any(depths.values()):
        raise SettingError("layer_decay is for the layers of a transformer, and the model has none: leave it out")
    for path, part in parts:
        if part.name in by_name:
            rates |= {f"{path}.{name}": by_name[part.name] for name, _ in part.named_parameters()}
        if layer_decay is not None:
            for name, depth in depths[path].items():
                rates[f"{path}.{name}"] = rates.get(f"{path}.{name}", learning_rate) * layer_decay**depth
    return rates


def _is_embedding(name: str) -> bool:
    return name.split(".")[0] == "embeddings"


def optimizer_to_plain(factory: Any) -> dict[str, Any]:
    """Return the name and the options of an optimizer: a class, or a `functools.partial` of one."""
    kind, options = _split_options(factory)
    module = getattr(kind, "__module__", type(kind).__module__)
    name = getattr(kind, "__qualname__", type(kind).__qualname__)
    return {
        "name": f"torch.optim.{name}" if is_of_torch(kind) else f"{module}.{name}",
        "options": {key: _to_plain(value) for key, value in options.items()},
    }


def optimizer_from_plain(plain: Mapping[str, Any]) -> OptimizerFactory:
    """Find an optimizer of torch's by what `optimizer_to_plain` returned.

    Raises:
        SettingError: If it is not one of torch's.
    """
    package, _, name = str(plain["name"]).rpartition(".")
    factory: Any = getattr(torch.optim, name, None)
    if package != "torch.optim" or not is_of_torch(factory):
        raise SettingError(f"the optimizer {plain['name']} is not one of torch's: give it again, as optimizer=")
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in plain["options"].items()}
    return functools.partial(factory, **options) if options else factory


def remove_compiler(factory: OptimizerFactory) -> OptimizerFactory:
    """Return a factory of the same optimizer that does not import torch's compiler.

    Torch's optimizers tell the compiler to leave them alone, and import it for that: more than a second and 80 MB in a
    program that compiles nothing. The class made here calls the functions inside those decorators; its objects are
    pickled as objects of torch's class. If the program has imported the compiler, or the factory is not a class of
    torch's, the factory itself is returned.
    """
    kind, options = _split_options(factory)
    if _has_compiler() or not is_of_torch(kind) or options.get("differentiable"):  # its step must have gradients
        return factory
    members: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in _DECORATED}
    members["step"] = torch.no_grad()(members["step"])
    members["__reduce_ex__"] = lambda self, protocol: (_make_empty, (kind,), self.__getstate__())
    return functools.partial(type(kind.__name__, (kind,), members), **options)


def _make_empty(kind: type[torch.optim.Optimizer]) -> torch.optim.Optimizer:
    return kind.__new__(kind)


def _has_compiler() -> bool:
    return "torch._dynamo" in sys.modules


def _split_options(factory: Any) -> tuple[Any, Mapping[str, Any]]:
    if isinstance(factory, functools.partial) and not factory.args:
        return factory.func, factory.keywords
    return factory, {}


def is_of_torch(kind: Any) -> bool:
    """Return whether an object is a class of `torch.optim`."""
    is_class = isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
    return is_class and getattr(torch.optim, kind.__name__, None) is kind


def _to_plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_to_plain(item) for item in value]
    if isinstance(value, (np.number, np.bool_)) or (isinstance(value, torch.Tensor) and value.ndim == 0):
        return value.item()
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)
