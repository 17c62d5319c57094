"""Functions that models share: the loss over classes, last states of a network, and evaluation mode."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flairlite.nn.fork import hold_during_fork, run_in_forked_child
from flairlite.tensors import UNLABELLED, copy_to

_lock = threading.Lock()
_generator_lock = threading.Lock()  # of the global generators
# for each module in training mode that is evaluated now: the ids of the threads that evaluate it, and its parts that
# were in training mode
_evaluating: WeakKeyDictionary[nn.Module, tuple[list[int], list[nn.Module]]] = WeakKeyDictionary()


def class_loss(scores: Tensor, targets: Tensor, weights: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Compute the cross entropy, summed over the labelled units; a tensor ().

    Args:
        scores: (..., K) score of each class.
        targets: (...) class ids, -1 where there is no label.
        weights: (K,) weight of each class.
        label_smoothing: The part of the target distribution that is uniform over all classes (Szegedy et al.,
            Rethinking the Inception Architecture for Computer Vision, 2016), as in torch's `cross_entropy`.
    """
    return cross_entropy(
        scores.flatten(0, -2),
        targets.flatten(),
        weights.to(scores.dtype),
        ignore_index=UNLABELLED,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


def last_states(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the states (B, H) of the last words, given all states (B, T, H) and the lengths (B,) on the CPU."""
    rows, columns = (copy_to(index, states.device) for index in (torch.arange(len(states)), lengths - 1))
    return states[rows, columns]


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode, and those of its parts back into training mode that were in it.

    The parts' modes are set, and their method `train` is not called. Several threads may evaluate one module at the
    same time; the last one restores training mode.
    """
    thread = threading.get_ident()
    with _lock:
        is_counted = module.training or module in _evaluating
        if is_counted:
            if module not in _evaluating:
                _evaluating[module] = ([], [part for part in module.modules() if part.training])
            _evaluating[module][0].append(thread)
        if module.training:
            module.eval()
    try:
        yield
    finally:
        if is_counted:
            with _lock:
                _remove(module, [thread])


def _remove(module: nn.Module, threads: list[int]) -> None:
    own, parts = _evaluating[module]
    for thread in threads:
        own.remove(thread)
    if not own:
        del _evaluating[module]
        for part in parts:
            part.training = True


def _forget_other_threads() -> None:
    """Remove the threads of the parent, which do not exist in a forked child."""
    for module, (threads, _) in list(_evaluating.items()):
        _remove(module, [thread for thread in threads if thread != threading.get_ident()])


@contextlib.contextmanager
def drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Let layers that only know torch's global generator, such as `nn.Dropout`, draw from another one.

    Inside the `with` statement, the global generator of the device has the state of `generator`, which continues with
    the draws made; afterwards the global generator is as before. States are kept on the CPU, so that nothing waits for
    a device.

    Args:
        generator: The generator; None leaves the global one.
    """
    default = None if generator is None else _default_generator(generator.device)
    if generator is None or default is None:
        yield
        return
    with _generator_lock:
        saved = default.get_state()
        default.set_state(generator.get_state())
        try:
            yield
        finally:
            generator.set_state(default.get_state())
            default.set_state(saved)


def _default_generator(device: torch.device) -> torch.Generator | None:
    if device.type == "cpu":
        return torch.default_generator
    generators = getattr(torch.get_device_module(device), "default_generators", ())
    return generators[device.index or 0] if generators else None


hold_during_fork(_lock)
hold_during_fork(_generator_lock)
run_in_forked_child(_forget_other_threads)
