"""The processes that train a model together, and the operations in which all of them take part."""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from flairlite.errors import SettingError, TrainingError

_BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
_BUCKET_BYTES = 25 << 20  # as torch's DistributedDataParallel: large enough to be fast, small next to a model
_TIMEOUT = timedelta(minutes=30)  # of one operation: another process may meanwhile write large files, or encode data

_lost: list[RuntimeError] = []  # after the loss of a process, closing connections may wait for it

_Value = TypeVar("_Value")


class LostProcessError(TrainingError):
    """Another process of the run has ended, or does not answer."""


def is_main_process() -> bool:
    """Return whether this process writes the files of a run: the only one, or that of rank 0."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    return not _is_started_by_torchrun() or os.environ["RANK"] == "0"


def join_processes(device: torch.device) -> int:
    """Join the processes that `launch_distributed` or torchrun has started, unless they are joined, and count them.

    Args:
        device: The device of this process.

    Raises:
        SettingError: If this process was started alone, or such devices cannot be joined.
    """
    if device.type not in _BACKENDS:
        raise SettingError(f"multi_gpu=True is for the devices cpu and cuda; the device is {device}")
    if not dist.is_available():
        raise SettingError("multi_gpu=True needs a torch that is built with torch.distributed")
    if not dist.is_initialized():
        if not _is_started_by_torchrun():
            raise SettingError(
                "multi_gpu=True needs several processes: call the function that trains as "
                "flairlite.distributed_utils.launch_distributed(main), or start the script with torchrun"
            )
        initialize(device)
        atexit.register(_leave_processes)
    return dist.get_world_size()


def initialize(device: torch.device, **options: Any) -> None:
    """Join the processes; see `torch.distributed.init_process_group` for the options."""
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, **options)


def _leave_processes() -> None:
    """Close the connections before the interpreter ends, which otherwise sometimes aborts."""
    if dist.is_initialized() and not _lost:
        dist.destroy_process_group()


def _is_started_by_torchrun() -> bool:
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))


class ProcessGroup:
    """All processes, while they train one model.

    Each method must be called by all processes in the same order, and raises `LostProcessError` if one has ended.

    Args:
        device: The device of the tensors of `sum` and `copy_from_main`.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        with _reporting_lost_processes():
            self._host: Any = dist.new_group(backend="gloo", timeout=_TIMEOUT)
            self._device: Any = self._host
            if device.type != "cpu":
                self._device = dist.new_group(backend=_BACKENDS[device.type], timeout=_TIMEOUT)

    def sum_counts(self, counts: Sequence[int]) -> list[int]:
        """Return the sums of integers over the processes. This waits for the other processes, but for no device."""
        total = torch.tensor(counts, dtype=torch.int64)
        with _reporting_lost_processes():
            dist.all_reduce(total, group=self._host)
        return total.tolist()

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the sums of tensors over the processes, which have the same shapes and types everywhere.

        The sums are the same in all processes to the last bit.
        """
        sums = list(tensors)
        for bucket in _make_buckets(tensors):
            flat = torch.cat([tensors[index].detach().reshape(-1) for index in bucket])
            with _reporting_lost_processes():
                dist.all_reduce(flat, group=self._device)
            parts = torch.split(flat, [tensors[index].numel() for index in bucket])
            for index, part in zip(bucket, parts, strict=True):
                sums[index] = part.view(tensors[index].shape)
        return sums

    def gather(self, value: _Value) -> list[_Value]:
        """Return the values of all processes, by rank; they are pickled."""
        values: list[Any] = [None] * self.size
        with _reporting_lost_processes():
            dist.all_gather_object(values, value, group=self._host)
        return values

    def broadcast(self, value: _Value) -> _Value:
        """Return the value of the main process; it is pickled."""
        values = [value]
        with _reporting_lost_processes():
            dist.broadcast_object_list(values, src=0, group=self._host)
        return values[0]

    @torch.no_grad()
    def copy_from_main(self, tensors: Sequence[Tensor]) -> None:
        """Give tensors the values that they have in the main process."""
        for tensor in filter(torch.numel, tensors):
            values = tensor.detach().contiguous()
            group = self._host if tensor.device.type == "cpu" else self._device
            with _reporting_lost_processes():
                dist.broadcast(values.view(-1).view(torch.uint8), src=0, group=group)  # some types cannot be sent
            tensor.copy_(values)

    def close(self) -> None:
        """Release the connections."""
        for group in {id(group): group for group in (self._host, self._device)}.values():
            dist.destroy_process_group(group)


@contextlib.contextmanager
def _reporting_lost_processes() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # connections that are closed, and timeouts
        _lost.append(error)
        reason = str(error).partition("\n")[0]
        raise LostProcessError(
            f"another process of the run has ended or does not answer; its own messages say why ({reason}). The last "
            "checkpoint is kept: start all processes again with resume=True"
        ) from error


def _make_buckets(tensors: Sequence[Tensor]) -> Iterator[list[int]]:
    """Yield the positions of tensors of one type that are sent together."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket: list[int] = []
        size = 0
        for index, tensor in enumerate(tensors):
            if tensor.dtype != dtype:
                continue
            bucket.append(index)
            size += tensor.numel() * tensor.element_size()
            if size >= _BUCKET_BYTES:
                yield bucket
                bucket, size = [], 0
        if bucket:
            yield bucket
