"""Let forked processes compute, as with `multiprocessing`'s start method "fork", `gunicorn --preload` or Celery.

torch's thread pool for operations does not survive a fork: its threads exist only in the parent, and a child that uses
the pool waits for them forever. A child therefore computes with one thread. Do not raise the number of threads in it;
use the start methods "spawn" or "forkserver" if it needs several.

A lock that another thread of the parent holds at the moment of the fork is never released in the child. Locks of this
package are therefore taken before a fork and released after it, in both processes; see `hold_during_fork`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import torch


def run_in_forked_child(function: Callable[[], None]) -> None:
    """Call a function in each child that is forked from now on, where the system can fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def hold_during_fork(lock: threading.Lock) -> None:
    """Take a lock for the moment of each fork, so that what it protects is consistent in the child."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


def _use_one_thread() -> None:
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


run_in_forked_child(_use_one_thread)
