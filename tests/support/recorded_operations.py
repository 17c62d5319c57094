"""Record the operations of torch on the CPU and repeat them on the same memory, as a CUDA graph does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Recorder(TorchDispatchMode):
    """Notes each operation with its arguments and results, and copies of what it overwrites."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any, bool]] = []
        self._copies: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function._schema.name.startswith("profiler::"):
            return function(*args, **kwargs)
        for tensor in _overwritten(function, args, kwargs):
            self._copies.setdefault(id(tensor), (tensor, tensor.clone()))
        results = function(*args, **kwargs)
        self.operations.append((function, args, kwargs, results, torch.is_grad_enabled()))
        return results

    def undo(self) -> None:
        """Restore the tensors that were overwritten."""
        for tensor, copy in self._copies.values():
            tensor.copy_(copy)

    def replay(self) -> None:
        """Repeat the operations: they read and write the tensors of the first time, and know its numbers only."""
        with torch._C._AutoDispatchBelowAutograd():  # where they were recorded
            for function, args, kwargs, results, has_gradients in self.operations:
                with torch.set_grad_enabled(has_gradients):  # the LSTM keeps more with gradients
                    again = function(*args, **kwargs)
                for first, new in zip(tree_leaves(results), tree_leaves(again), strict=True):
                    if isinstance(first, Tensor) and first.data_ptr() != new.data_ptr():  # not a view
                        first.copy_(new)


def _overwritten(function: Any, args: Any, kwargs: Any) -> Iterator[Tensor]:
    for index, argument in enumerate(function._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[index] if index < len(args) else kwargs.get(argument.name)
            yield from (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


class RecordedCapture:
    """Stands in for `CudaCapture` on a CPU; `num_captures` counts the graphs that were made."""

    num_captures = 0

    def __init__(self, device: torch.device) -> None:
        pass

    def __call__(self, run: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
        """Record operations, undo what they did, and return the function that repeats them."""
        type(self).num_captures += 1
        state = generator.get_state()
        with Recorder() as recorder:
            run()
        with torch.no_grad():
            recorder.undo()
        generator.set_state(state)
        return recorder.replay
