"""Both directions of a recurrent layer at the same time, each on half of the processor's threads.

torch runs the two directions of a layer one after the other and spreads each small matrix product of a time step over
all threads, which wait for one another at every step. Two directions that know nothing of one another need no waiting:
on 2 cores a training step of a BiLSTM takes three quarters of the time, and more than that is won when another process
disturbs. The rest of autograd runs a backward pass on one thread, so this layer has a backward pass of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

Network = Callable[[Tensor, list[Tensor]], Tensor]  # (B, T, D) and the weights to (B, T, H)


def run_both_ways(network: Network, inputs: Tensor, rows: Tensor, weights: list[Tensor]) -> Tensor:
    """Run a layer over each sentence from its start and from its end.

    Args:
        network: One direction of the layer.
        inputs: (B, T, D) features.
        rows: (B * T,) for each place of the flattened batch the place that has its word when each sentence is turned
            round within its own length; padding stays where it is.
        weights: The weights of the first direction, then as many of the second.

    Returns:
        (B, T, 2 H) states of both directions at each word.
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (inputs, *weights)):
        result: Tensor = _BothWays.apply(network, inputs, rows, *weights)  # type: ignore[no-untyped-call]
        return result
    half = len(weights) // 2

    @torch.inference_mode(torch.is_inference_mode_enabled())
    @torch.no_grad()
    def run(direction: int) -> Tensor:
        own = weights[direction * half : (direction + 1) * half]
        return network(_turned(inputs, rows) if direction else inputs, own)

    first, second = _side_by_side(run)
    return torch.cat((first, _turned(second, rows)), dim=2)


class _BothWays(torch.autograd.Function):
    """Each direction is a graph of its own, which a thread of its own goes back through."""

    @staticmethod
    def forward(ctx: Any, network: Network, inputs: Tensor, rows: Tensor, *weights: Tensor) -> Tensor:
        half = len(weights) // 2

        def run(direction: int) -> tuple[list[Tensor], Tensor]:
            own = (_turned(inputs, rows) if direction else inputs, *weights[direction * half : (direction + 1) * half])
            with torch.enable_grad():
                leaves = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in own]
                leaves[0].requires_grad_(inputs.requires_grad)  # what is turned round outside of a graph has none
                return leaves, network(leaves[0], leaves[1:])

        ctx.graphs = _side_by_side(run)
        ctx.rows = rows
        first, second = (states.detach() for _, states in ctx.graphs)
        return torch.cat((first, _turned(second, rows)), dim=2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradients = gradient.chunk(2, dim=2)  # (B, T, H) each

        def run(direction: int) -> list[Tensor | None]:
            leaves, states = ctx.graphs[direction]
            own = _turned(gradients[1], ctx.rows) if direction else gradients[0].contiguous()
            wanted = [tensor for tensor in leaves if tensor.requires_grad]
            found = iter(torch.autograd.grad(states, wanted, own))
            return [next(found) if tensor.requires_grad else None for tensor in leaves]

        (from_start, *first), (from_end, *second) = _side_by_side(run)
        if from_start is not None and from_end is not None:
            from_start = from_start + _turned(from_end, ctx.rows)
        return (None, from_start, None, *first, *second)


def _turned(features: Tensor, rows: Tensor) -> Tensor:
    """Turn each sentence of (B, T, D) round; turned twice, it is as it was."""
    return features.flatten(0, 1).index_select(0, rows).view_as(features)


def _side_by_side(run: Callable[[int], Any]) -> list[Any]:
    """Return what `run` returns for 0 and for 1."""
    num_threads = torch.get_num_threads()
    if num_threads == 1:
        return [run(0), run(1)]
    is_autocast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def run_as_here(direction: int) -> Any:
        with torch.autocast("cpu", dtype, enabled=is_autocast):  # each thread has a setting of its own
            return run(direction)

    return list(_pool(num_threads).map(run_as_here if is_autocast else run, (0, 1)))


def _pool(num_threads: int) -> ThreadPoolExecutor:
    with _lock:
        if num_threads not in _pools:
            pool = ThreadPoolExecutor(2, "flairlite-direction", torch.set_num_threads, (num_threads // 2,))
            both_started = threading.Barrier(2)
            list(pool.map(lambda _: both_started.wait(), range(2)))
            torch.set_num_threads(num_threads)  # threads that start later take over what one has set for itself
            _pools[num_threads] = pool
    return _pools[num_threads]


def _start_anew() -> None:
    """Forget the pools in a forked process, which has none of its parent's threads."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}  # by number of threads, so that a change of it is obeyed
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
