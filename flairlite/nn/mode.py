"""The switch between training and use."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from torch import nn

_lock = threading.Lock()
_users: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()  # how many evaluate a module that trains otherwise


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch dropout off, and on again after where it was on; of several threads, the last one does that."""
    with _lock:
        is_counted = module.training or module in _users
        if is_counted:
            _users[module] = _users.get(module, 0) + 1
        if module.training:
            module.eval()
    try:
        yield
    finally:
        if is_counted:
            with _lock:
                _users[module] -= 1
                if not _users[module]:
                    del _users[module]
                    module.train()
