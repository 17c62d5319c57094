"""Train one model in several processes: each computes the gradients of its share of every batch.

All processes have the same model and the same data, and visit the same batches. Their gradients are added before each
step, so that the weights stay the same everywhere. The main process, that of rank 0, alone writes files and messages.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from flairlite.encoding import Dataset
from flairlite.errors import FlairliteError, SettingError, TrainingError
from flairlite.models import Model
from flairlite.models.inference import Inference, decode_dataset, join_inferences
from flairlite.tensors import copy_to
from flairlite.trainers.plugins.base import TrainingInterrupt
from flairlite.trainers.process.group import LostProcessError, ProcessGroup, join_processes
from flairlite.trainers.process.signals import Signals
from flairlite.trainers.reproduce.hashes import find_differences

_Value = TypeVar("_Value")

_FAILED, _INTERRUPTED = "failed", "interrupted"
_EVENTS = (_FAILED, _INTERRUPTED, signal.SIGINT, signal.SIGTERM)  # the first counts of each meeting
_MAX_SHOWN = 3  # differences in an error message
_SEED_STEP = 0x9E3779B97F4A7C15  # the golden ratio as 64 bits: far apart for all ranks and seeds


class OtherProcessError(LostProcessError):
    """Another process of the run has failed."""


class _AgreedInterrupt(TrainingInterrupt):
    """Ends training in all processes."""


class SingleProcess:
    """What training asks of the processes of a run, answered for one process.

    Attributes:
        rank: The number of this process, from 0.
        size: The number of processes.
        devices: The device of each process.
    """

    rank, size = 0, 1

    def __init__(self, device: torch.device) -> None:
        self.devices = [str(device)]

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def watch(self, signals: Signals) -> None:
        """Agree on these signals from now on."""

    def meet(self) -> None:
        """Wait for all processes, and learn of signals.

        Raises:
            OtherProcessError: If one has failed.
            LostProcessError: If one has ended.
            TrainingInterrupt: If a plugin has ended training in one of them.
        """

    def on_main(self, function: Callable[[], _Value]) -> _Value:
        """Call a function in the main process, and return its result, or raise its error, in all."""
        return function()

    def gather(self, value: _Value) -> list[_Value]:
        """Return the values of all processes, by rank."""
        return [value]

    def check_same(self, description: Mapping[str, Any]) -> None:
        """Check that a description is the same in all processes.

        Raises:
            SettingError: If it is not.
        """

    def agree(self, reason: str | None) -> str | None:
        """Return the reason to stop that any process has, or None."""
        return reason

    def interrupt(self, interrupt: TrainingInterrupt) -> str:
        """End training in all processes, and return the reason."""
        return str(interrupt)

    def copy_weights(self, model: Model) -> None:
        """Give the model the weights that it has in the main process."""

    def seed_for(self, seed: int) -> int:
        """Return the seed of what each process draws for itself."""
        return seed

    def decode(self, model: Model, dataset: Dataset, mini_batch_size: int, **options: Any) -> Inference:
        """Predict the classes of a data set; see `decode_dataset`."""
        return decode_dataset(model, dataset, mini_batch_size, **options)


@dataclass(frozen=True)
class StepSums:
    """What the processes have computed for a batch together.

    Attributes:
        loss: The summed loss, ().
        num_words: The number of words.
        num_labels: The number of words, or sentences, that the loss is summed over.
    """

    loss: Tensor
    num_words: int
    num_labels: int


class DataParallel(SingleProcess):
    """One of several processes that train a model.

    Whatever the processes do together begins with `meet`, in which each tells the others whether it has failed, was
    interrupted or has received a signal. So they leave training at the same step, and none waits for one that does not
    come. Between two meetings, a process may fail, but must not wait for others.

    Args:
        model: The model.
        device: The device where this process trains it.

    Raises:
        SettingError: If the models differ, or two processes have the same GPU.
    """

    def __init__(self, model: Model, device: torch.device) -> None:
        self._group = ProcessGroup(device)
        self.rank, self.size = self._group.rank, self._group.size
        self._signals: Signals | None = None
        weights = {name: f"{tuple(weight.shape)} of {weight.dtype}" for name, weight in model.state_dict().items()}
        self._num_counts = len(_EVENTS) + 2 + len(list(model.parameters()))
        found = self._group.gather((socket.gethostname(), str(device), weights))
        self.devices = [name for _, name, _ in found]
        if len({name.partition(":")[0] for name in self.devices}) > 1:
            raise SettingError(f"all processes must have devices of one kind; they have {', '.join(self.devices)}")
        if device.type == "cuda" and len({(host, name) for host, name, _ in found}) < self.size:
            raise SettingError(
                f"each process must have a GPU of its own; they have {', '.join(self.devices)}. Leave out device= and "
                "FLAIRLITE_DEVICE, or start as many processes as there are GPUs"
            )
        self._compare([weights for *_, weights in found])

    def watch(self, signals: Signals) -> None:
        """Agree on these signals from now on."""
        self._signals = signals

    def meet(self) -> None:
        """Wait for all processes; see `SingleProcess`."""
        self._meet()

    def on_main(self, function: Callable[[], _Value]) -> _Value:
        """Call a function in the main process, and return its result, or raise its error, in all."""
        result: Any = None
        error: Exception | None = None
        if self.is_main:
            try:
                result = function()
            except Exception as failure:
                error = failure
        self._meet()
        is_known = error is None or isinstance(error, FlairliteError)  # others may be of a class that cannot be sent
        shown = error if is_known else TrainingError(f"the main process has failed: {error!r}")
        result, shown = self._group.broadcast((result, shown))
        if error is not None or shown is not None:
            raise error or shown or AssertionError
        return result  # type: ignore[no-any-return]

    def gather(self, value: _Value) -> list[_Value]:
        """Return the values of all processes, by rank."""
        self._meet()
        return self._group.gather(value)

    def check_same(self, description: Mapping[str, Any]) -> None:
        """Check that a description is the same in all processes; see `SingleProcess`."""
        self._compare(self.gather(description))

    def agree(self, reason: str | None) -> str | None:
        """Return the reason to stop that any process has, or None."""
        return next((text for text in self.gather(reason) if text is not None), None)

    def interrupt(self, interrupt: TrainingInterrupt) -> str:
        """End training in all processes, and return the reason."""
        if not isinstance(interrupt, _AgreedInterrupt):
            with contextlib.suppress(_AgreedInterrupt):
                self._meet(_INTERRUPTED, str(interrupt))
        return str(interrupt)

    def copy_weights(self, model: Model) -> None:
        """Give the model the weights that it has in the main process.

        Raises:
            SettingError: If its embeddings have a memory, which each process would fill with other sentences.
        """
        if model.embeddings.has_memory:
            raise SettingError(
                "embeddings with a memory, such as PooledFlairEmbeddings, are trained by one process: leave out "
                "multi_gpu=True"
            )
        self._meet()
        self._group.copy_from_main(list(model.state_dict().values()))

    def seed_for(self, seed: int) -> int:
        """Return the seed of what each process draws for itself; the main process has that of a single one."""
        return (seed + self.rank * _SEED_STEP) % (1 << 63) if self.rank else seed

    def take_share(self, indices: Tensor, sizes: Tensor) -> Tensor:
        """Return the sentences of a batch that this process computes; see the function `take_share`."""
        return take_share(indices, sizes, self.rank, self.size)

    def sum_gradients(
        self, parameters: Sequence[Tensor], loss: Tensor | None, num_words: int, num_labels: int
    ) -> StepSums:
        """Add the gradients of all processes, which then have the gradients of the whole batch.

        A weight without gradient in all processes stays without, as in a single process.

        Args:
            parameters: The weights, in the same order in all processes.
            loss: The summed loss of the share of this process, (); None if it has no sentence.
            num_words: The words of the share.
            num_labels: What its loss is summed over.
        """
        counts = [num_words, num_labels, *(int(parameter.grad is not None) for parameter in parameters)]
        num_words, num_labels, *used = self._meet(counts=counts)
        known = [parameter for parameter, count in zip(parameters, used, strict=False) if count]
        gradients = [_dense_gradient(parameter) for parameter in known]
        dtype = torch.promote_types(parameters[0].dtype, torch.float32)
        own_loss = parameters[0].new_zeros(1, dtype=dtype) if loss is None else loss.detach().to(dtype).reshape(1)
        *gradients, total = self._group.sum([*gradients, own_loss])
        for parameter, gradient in zip(known, gradients, strict=True):
            parameter.grad = gradient
        return StepSums(total.squeeze(0), num_words, num_labels)

    def decode(self, model: Model, dataset: Dataset, mini_batch_size: int, **options: Any) -> Inference:
        """Predict the classes of a data set together; all processes return those of all sentences, on the CPU."""
        share = slice(self.rank, None, self.size)
        own = decode_dataset(model, dataset, mini_batch_size, share=share, **options)
        return join_inferences(self.gather(_to_cpu(own)))

    def report(self, error: Exception) -> None:
        """Tell the other processes that this one has failed, unless they know."""
        if not isinstance(error, LostProcessError):
            with contextlib.suppress(TrainingError, TrainingInterrupt):
                self._meet(_FAILED, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Release the connections, after a meeting."""
        self._group.close()

    def _meet(self, event: str | None = None, reason: str = "", *, counts: Sequence[int] = ()) -> list[int]:
        """Wait for all processes, and return the sums of counts; see `SingleProcess.meet`.

        Args:
            event: What has happened to this process, of `_EVENTS`.
            reason: What to tell the others about it.
            counts: Numbers to add; missing ones are 0.
        """
        received = None if self._signals is None else self._signals.own
        row = [*(int(item in (event, received)) for item in _EVENTS), *counts]
        sums = self._group.sum_counts(row + [0] * (self._num_counts - len(row)))
        failed, interrupted, sigint, sigterm = sums[: len(_EVENTS)]
        if failed or interrupted:
            rank, text = next((item for item in enumerate(self._group.gather(reason)) if item[1]), (0, ""))
            if failed:
                raise OtherProcessError(
                    f"process {rank} of the run has failed: {text}. If there is a checkpoint, it is kept: start all "
                    "processes again with resume=True"
                )
            raise _AgreedInterrupt(text)
        if self._signals is not None and (sigint or sigterm):
            self._signals.received = signal.SIGTERM if sigterm else signal.SIGINT
        return sums[len(_EVENTS) :]

    def _compare(self, descriptions: Sequence[Mapping[str, Any]]) -> None:
        for rank, description in enumerate(descriptions):
            if found := find_differences(description, descriptions[0]):
                shown = "; ".join(text.replace(" and was ", " instead of ") for text in found[:_MAX_SHOWN])
                raise SettingError(
                    f"all processes must have the same model, corpus and settings, but in process {rank}, unlike "
                    f"process 0, {shown}. Make them in the same way, with the same seeds"
                )


def take_share(indices: Tensor, sizes: Tensor, rank: int, count: int) -> Tensor:
    """Return the sentences of a batch that one of several processes computes.

    These are every `count`-th by size, so that all processes have about the same number of words, and of padding.

    Args:
        indices: (B,) positions of the sentences of the batch.
        sizes: (S,) words or subwords per sentence of the data set.
        rank: The number of the process, from 0.
        count: The number of processes.
    """
    order = torch.sort(sizes[indices], stable=True).indices  # (B,)
    return indices[order[rank::count]]


@contextlib.contextmanager
def open_processes(model: Model, device: torch.device, *, multi_gpu: bool) -> Iterator[SingleProcess]:
    """Let the processes of a run work together within the `with` statement, or train in this process alone.

    Args:
        model: The model.
        device: The device where this process trains it.
        multi_gpu: Whether to train in all processes that were started.

    Raises:
        SettingError: If they cannot; see `join_processes` and `DataParallel`.
        TrainingError: If another process fails.
    """
    if not multi_gpu or join_processes(device) == 1:
        yield SingleProcess(device)
        return
    processes = DataParallel(model, device)
    try:
        yield processes
        processes.meet()  # no process returns before the files are complete
    except Exception as error:
        processes.report(error)
        raise
    except SystemExit:  # all have received SIGTERM, and none leaves before the checkpoint is complete
        with contextlib.suppress(TrainingError, TrainingInterrupt):
            processes.meet()
        raise
    processes.close()


def _dense_gradient(parameter: Tensor) -> Tensor:
    gradient = parameter.grad
    if gradient is None:
        return torch.zeros_like(parameter)
    return gradient.to_dense() if gradient.is_sparse else gradient


def _to_cpu(inference: Inference) -> Inference:
    cpu = torch.device("cpu")
    tables = {name: copy_to(table, cpu) for name, table in vars(inference.decoded).items() if table is not None}
    return replace(
        inference,
        decoded=replace(inference.decoded, **tables),
        loss=inference.loss.cpu(),
        others=tuple(map(_to_cpu, inference.others)),
    )
