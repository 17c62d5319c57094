"""Training steps on CUDA that are captured once per shape of a batch, and then replayed by a single launch.

A step of a small model is 50 small operations, and launching them one by one takes longer than running them. CUDA
graphs launch all of them at once, but repeat exactly the same operations on the same memory. Therefore batches are
padded to a small number of shapes, by words of padding and by sentences without a label, which teach nothing; what
differs from batch to batch is copied to fixed addresses; and learning rates are tensors on the device.

A captured step computes what the same operations compute without a graph, random numbers included: a replay draws from
the current offset of the registered generator, and advances it as the operations would. So it does not matter for the
results of a run when a shape is captured, and a resumed run, which captures anew, remains exact. Each new graph is
compared with the plain operations, which replace it for the rest of the run if the two differ.

Sources: PyTorch's notes on CUDA graphs; Fu et al., https://github.com/pytorch/pytorch/pull/114068 (generators).
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from flairlite.encoding import Batch, Dataset, Shape
from flairlite.models import Model
from flairlite.nn.dropout import FeatureDropout, LockedDropout, WordDropout
from flairlite.tensors import copy_into, copy_to, map_tensors
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.optimizers import is_of_torch, match_layouts
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")

Replay = Callable[[], None]
Capture = Callable[[Callable[[], None], torch.Generator], Replay]  # of operations that draw from a generator

DEVICES = ("cuda",)  # types of devices on which steps are padded and captured
MAX_GRAPHS = 32  # in memory at a time
_CAPTURE_AFTER = 3  # steps of a shape without a graph: kernels are compiled, and libraries initialised, in these
_IDLE = 1000  # steps after which an unused graph may be replaced
_TOLERANCE = 0.01  # largest difference of the updates of a weight by a graph and without, relative to their norm
_ROUNDING = 1e-7  # and relative to the norm of the weight, because the order of some sums on a GPU is not fixed
_DROPOUTS = (LockedDropout, WordDropout, FeatureDropout)


def round_shape(num_sentences: int, num_words: int) -> Shape:
    """Return the shape to which a batch is padded: few shapes, in which little is padding."""
    step = 4 if num_words <= 32 else 8
    return -(-num_sentences // 8) * 8, -(-num_words // step) * step


def find_obstacle(model: Model, optimizer: torch.optim.Optimizer, callbacks: Sequence[Callback]) -> str | None:
    """Return why the steps of a run cannot be captured, or None. The reasons do not change during a run."""
    if model.device.type not in DEVICES:
        return f"the device is {model.device.type}"
    if not model.has_fixed_steps:
        return "the operations of a step depend on more than the shape of its batch"
    kind = next((kind for kind in type(optimizer).__mro__ if is_of_torch(kind)), None)
    if kind not in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        return f"the optimizer is {type(optimizer).__name__}"
    if not all(group["fused"] for group in optimizer.param_groups):
        return "the optimizer is not fused"
    for callback in callbacks:
        if getattr(callback.on_backward_end, "__func__", None) is not Callback.on_backward_end:
            return f"{callback} reads gradients"
    return None


def make_step_graphs(
    state: TrainingState,
    generator: torch.Generator,
    callbacks: Sequence[Callback],
    settings: TrainingSettings,
    num_processes: int,
) -> StepGraphs | None:
    """Return what takes the steps of a run, or None if they cannot be captured.

    Args:
        state: The state of the run, after a checkpoint is loaded.
        generator: Draws dropout masks, on the model's device.
        callbacks: The callbacks of the run.
        settings: The settings of the run.
        num_processes: The number of processes that share each batch.
    """
    reason = find_obstacle(state.model, state.optimizer, callbacks)
    if num_processes > 1 or settings.mini_batch_chunk_size is not None:
        reason = "gradients of several processes or parts are summed"
    if reason is not None:
        log.debug("Training steps are not captured as CUDA graphs: %s", reason)
        return None
    use_amp = settings.use_amp is True
    return StepGraphs(state, generator, max_grad_norm=settings.max_grad_norm, use_amp=use_amp)


class StepGraphs:
    """Takes training steps whose shapes are rounded up, by graphs where a shape repeats.

    Args:
        state: The state of the run.
        generator: Draws dropout masks, on the model's device.
        max_grad_norm: The norm to which gradients are clipped, or None.
        use_amp: Whether to run operations that support it in bfloat16.
    """

    def __init__(
        self, state: TrainingState, generator: torch.Generator, *, max_grad_norm: float | None, use_amp: bool
    ) -> None:
        self._state, self._generator = state, generator
        self._max_grad_norm, self._use_amp = max_grad_norm, use_amp
        self._capture: Capture = CudaCapture(state.model.device)
        self._dropouts = [module for module in state.model.modules() if isinstance(module, _DROPOUTS)]
        self._rates: list[Tensor] = []  # of the groups of weights, on the device
        self._rate_values: list[float] = []
        self._graphs: OrderedDict[Any, _Graph] = OrderedDict()
        self._counts: Counter[Any] = Counter()
        self._num_steps = 0
        self._fingerprint: Any = None
        self._may_capture, self._has_failed = False, False

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return self._state.optimizer.param_groups  # another list after an optimizer has loaded a state

    @property
    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self._groups for parameter in group["params"]]

    def begin_epoch(self) -> None:
        """Find out whether steps may be captured now. If not, they are padded all the same, for equal results."""
        reason = _find_hooks(self._state.model, self._state.optimizer)
        if os.environ.get("FLAIRLITE_CUDA_GRAPHS", "1") == "0":
            reason = "FLAIRLITE_CUDA_GRAPHS is 0"
        self._may_capture = reason is None and not self._has_failed
        if not self._may_capture:
            self._graphs.clear()
            log.debug("Training steps are not captured as CUDA graphs: %s", reason or "an earlier capture failed")

    def step(self, dataset: Dataset, indices: Tensor) -> Tensor:
        """Change the weights by one step, and return the loss (); sets the gradient norm and counts of the state."""
        state = self._state
        lengths = dataset.lengths[indices]
        batch = dataset.batch(indices, round_shape(len(indices), int(lengths.max())))
        batch = replace(batch, inputs=state.model.embeddings.select_batch(batch, self._generator))
        self._set_rates()
        results = self._take_step(batch)  # (2,)
        if self._max_grad_norm is not None:
            state.gradient_norm = results[1]
        state.num_words += int(lengths.sum())
        state.num_labels += batch.num_labels
        return results[0]

    def _take_step(self, batch: Batch) -> Tensor:
        self._num_steps += 1
        fingerprint = self._take_fingerprint()
        if fingerprint != self._fingerprint:
            self._graphs.clear()  # they use other memory, or other constants
            self._counts.clear()  # so that nothing is captured while this changes with each step
            self._fingerprint = fingerprint
        tensors = _tensors_of(batch)
        key = (
            tuple((tensor.shape, tensor.dtype) for tensor in tensors),
            tuple(part.num_labels > 0 for part in batch.labels),
        )
        graph = self._graphs.get(key)
        if graph is not None:
            self._graphs.move_to_end(key)
            graph.last_used = self._num_steps
            return graph.run(tensors)
        on_device = _to_device(batch, self._state.model.device)
        if self._may_capture and self._counts[key] >= _CAPTURE_AFTER and self._has_room():
            results = self._build(key, on_device)
            if results is not None:
                return results
        self._counts[key] += 1
        return self._compute(on_device)

    def _compute(self, batch: Batch) -> Tensor:
        """Run the operations of a step on a batch on the device, and return loss and gradient norm, (2,)."""
        model, optimizer = self._state.model, self._state.optimizer
        with torch.autocast(model.device.type, torch.bfloat16, enabled=self._use_amp):
            loss: Tensor = model.loss(model(batch, self._generator), batch)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = loss
        if self._max_grad_norm is not None:
            norm = nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm)
        with _capturable(self._groups, self._rates):
            optimizer.step()
        optimizer.zero_grad()
        return torch.stack((loss.detach(), norm.detach()))

    def _set_rates(self) -> None:
        for index, group in enumerate(self._groups):
            if index == len(self._rates):
                self._rates.append(torch.zeros((), device=self._state.model.device))
                self._rate_values.append(0.0)
            if self._rate_values[index] != (rate := float(group["lr"])):
                self._rates[index].fill_(rate)
                self._rate_values[index] = rate

    def _take_fingerprint(self) -> Any:
        """Return what graphs contain as constants: addresses of weights and states, and settings."""
        addresses = [tensor.data_ptr() for tensor in self._changing_tensors()]
        settings = [value for group in self._groups for key, value in group.items() if key not in ("params", "lr")]
        trained = [parameter.requires_grad for parameter in self._parameters]
        return addresses, settings, trained, [module.rate for module in self._dropouts]

    def _has_room(self) -> bool:
        """Make room for another graph in place of the one that was not used for the longest time, if that is long."""
        if len(self._graphs) < MAX_GRAPHS:
            return True
        oldest = next(iter(self._graphs))
        if self._num_steps - self._graphs[oldest].last_used < _IDLE:
            return False
        del self._graphs[oldest]
        return True

    def _build(self, key: Any, batch: Batch) -> Tensor | None:
        """Capture a step, take it, and return its results, (2,); None if nothing was done because it failed."""
        batch = _clone(batch)  # the addresses that the graph reads
        results = torch.zeros(2, device=self._rates[0].device)

        def run() -> None:
            results.copy_(self._compute(batch))

        with _allow_waiting(results.device):
            try:
                replay = self._capture(run, self._generator)
            except Exception as error:  # torch and CUDA raise many kinds
                self._state.optimizer.zero_grad()
                self._give_up(f"{type(error).__name__}: {error}")
                return None
            graph = _Graph(replay, _tensors_of(batch), results, self._num_steps)
            if self._is_equal(run, graph):
                self._graphs[key] = graph
            else:
                self._give_up("its results differ from those of the operations")
            return results.clone()

    def _is_equal(self, run: Callable[[], None], graph: _Graph) -> bool:
        """Take a step without and, from the same state, with a graph; keep what it changed if the two agree."""
        before = self._snapshot()
        run()
        expected, expected_results = self._snapshot(), graph.results.clone()
        self._restore(before)
        graph.replay()
        found = self._snapshot()
        agrees = torch.allclose(graph.results, expected_results, rtol=_TOLERANCE, equal_nan=True)
        for old, wanted, new in zip(before.tensors, expected.tensors, found.tensors, strict=True):
            update, size, difference = (torch.linalg.vector_norm(x) for x in (wanted - old, wanted, new - wanted))
            agrees = agrees and bool(difference <= _TOLERANCE * update + _ROUNDING * size)
        if not (agrees and torch.equal(expected.draws, found.draws)):
            self._restore(expected)
            graph.results.copy_(expected_results)
            return False
        return True

    def _give_up(self, reason: str) -> None:
        self._has_failed, self._may_capture = True, False
        self._graphs.clear()
        log.warning("Training continues without CUDA graphs, which is slower: a step could not be captured: %s", reason)

    def _changing_tensors(self) -> list[Tensor]:
        parameters = self._parameters
        states = [self._state.optimizer.state.get(parameter, {}) for parameter in parameters]
        return [
            *(parameter.detach() for parameter in parameters),
            *(value for state in states for value in state.values() if isinstance(value, Tensor)),
        ]

    def _snapshot(self) -> _Snapshot:
        return _Snapshot([tensor.clone() for tensor in self._changing_tensors()], self._generator.get_state())

    def _restore(self, snapshot: _Snapshot) -> None:
        for tensor, saved in zip(self._changing_tensors(), snapshot.tensors, strict=True):
            tensor.copy_(saved)
        self._generator.set_state(snapshot.draws)


class CudaCapture:
    """Captures operations as CUDA graphs that share their memory, which is possible because they never overlap.

    Args:
        device: The device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None
        self._stream: torch.cuda.Stream | None = None
        self._graphs: WeakSet[torch.cuda.CUDAGraph] = WeakSet()  # those that share the memory

    def __call__(self, run: Callable[[], None], generator: torch.Generator) -> Replay:
        """Capture operations that draw from a generator, and return the function that replays them.

        Raises:
            RuntimeError: If an operation cannot be captured.
        """
        with torch.cuda.device(self._device):
            self._stream = self._stream or torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            if not self._graphs:  # torch refuses memory whose last graph is gone
                self._pool = torch.cuda.graph_pool_handle()
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(generator)
            state = generator.clone_state()
            try:
                # the outer statement restores the stream if a capture fails
                with (
                    torch.cuda.stream(torch.cuda.current_stream(self._device)),
                    torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"),
                ):
                    run()
            except BaseException:
                generator.graphsafe_set_state(state)  # after a failure, the old one refuses to draw
                raise
        self._graphs.add(graph)
        return graph.replay


@dataclass
class _Graph:
    """A captured step.

    Attributes:
        replay: Takes the step.
        inputs: The tensors that it reads a batch from.
        results: (2,) the loss and the gradient norm, which it writes.
        last_used: The number of the step in which it was used last.
    """

    replay: Replay
    inputs: list[Tensor]
    results: Tensor
    last_used: int

    def run(self, tensors: Sequence[Tensor]) -> Tensor:
        """Take the step with the tensors of a batch, and return a copy of its results."""
        for target, tensor in zip(self.inputs, tensors, strict=True):
            copy_into(target, tensor)
        self.replay()
        return self.results.clone()


@dataclass(frozen=True)
class _Snapshot:
    """What a step changes.

    Attributes:
        tensors: Copies of weights and states of the optimizer.
        draws: The state of the generator.
    """

    tensors: list[Tensor]
    draws: Tensor


def _tensors_of(batch: Batch) -> list[Tensor]:
    """Return the tensors of a batch that a step reads."""
    found: list[Tensor] = [batch.lengths, batch.mask, *(part.class_ids for part in batch.labels)]
    map_tensors(found.append, batch.inputs)  # type: ignore[arg-type]
    return found


def _map_batch(function: Callable[[Tensor], Tensor], batch: Batch) -> Batch:
    return replace(
        batch,
        lengths=function(batch.lengths),
        mask=function(batch.mask),
        labels=tuple(replace(part, class_ids=function(part.class_ids)) for part in batch.labels),
        inputs=map_tensors(function, batch.inputs),
    )


def _to_device(batch: Batch, device: torch.device) -> Batch:
    return _map_batch(lambda tensor: copy_to(tensor, device), batch)


def _clone(batch: Batch) -> Batch:
    return _map_batch(torch.clone, batch)


@contextlib.contextmanager
def _capturable(groups: Sequence[dict[str, Any]], rates: Sequence[Tensor]) -> Iterator[None]:
    """Let an optimizer read learning rates on the device, and take steps that can be captured."""
    keys = ("lr", "capturable")
    saved: list[dict[str, Any]] = [{key: group[key] for key in keys if key in group} for group in groups]
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate
        if "capturable" in group:
            group["capturable"] = True
    try:
        yield
    finally:
        for group, values in zip(groups, saved, strict=True):
            group.update(values)


@contextlib.contextmanager
def _allow_waiting(device: torch.device) -> Iterator[None]:
    """Allow waiting for the device, which a capture does once, where torch's debug mode makes it an error."""
    if device.type != "cuda":
        yield
        return
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode(0)
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _find_hooks(model: Model, optimizer: torch.optim.Optimizer) -> str | None:
    """Return what a program wants to be called in each step, which a replay would not call, or None."""
    if torch.is_anomaly_enabled():
        return "anomaly detection is on"
    of_modules = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if any(getattr(module, name, None) for module in model.modules() for name in of_modules):
        return "a module has a hook"
    everywhere = [f"_global{name}" for name in of_modules]
    if any(getattr(nn.modules.module, name, None) for name in everywhere):
        return "all modules have a hook"
    of_tensors = ("_backward_hooks", "_post_accumulate_grad_hooks")
    if any(getattr(parameter, name, None) for parameter in model.parameters() for name in of_tensors):
        return "a weight has a hook"
    hooks = [*optimizer._optimizer_step_pre_hooks.values(), *optimizer._optimizer_step_post_hooks.values()]
    return "the optimizer has a hook" if any(hook is not match_layouts for hook in hooks) else None
