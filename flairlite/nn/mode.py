"""Switch modules between training and evaluation mode."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from torch import nn

from flairlite.nn.fork import hold_during_fork, run_in_forked_child

_lock = threading.Lock()
# for each module in training mode that is evaluated now: the ids of the threads that evaluate it
_evaluating: WeakKeyDictionary[nn.Module, list[int]] = WeakKeyDictionary()


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode; of several threads, the last one restores its training mode."""
    thread = threading.get_ident()
    with _lock:
        is_counted = module.training or module in _evaluating
        if is_counted:
            _evaluating.setdefault(module, []).append(thread)
        if module.training:
            module.eval()
    try:
        yield
    finally:
        if is_counted:
            with _lock:
                _remove(module, [thread])


def _remove(module: nn.Module, threads: list[int]) -> None:
    for thread in threads:
        _evaluating[module].remove(thread)
    if not _evaluating[module]:
        del _evaluating[module]
        module.train()


def _forget_other_threads() -> None:
    """Remove the threads of the parent, which do not exist in a forked child."""
    for module, threads in list(_evaluating.items()):
        _remove(module, [thread for thread in threads if thread != threading.get_ident()])


hold_during_fork(_lock)
run_in_forked_child(_forget_other_threads)
