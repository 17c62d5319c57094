"""Dynamic batching: requests that wait at the same time pass through a model together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

log = logging.getLogger("flairlite")

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class QueueFullError(Exception):
    """As many requests wait as may wait."""


class ClosedError(Exception):
    """The batcher accepts no more requests."""


@dataclass(frozen=True)
class _Waiting(Generic[Item]):
    item: Item
    size: int
    since: float  # on the clock of the event loop


class Batcher(Generic[Item, Answer]):
    """Collects requests, and answers several of them with one call of a function in a thread of its own.

    A batch begins when `max_size` is reached, or when the oldest request has waited for `max_delay`; at once if the
    last batch had a single request, because then a client is probably alone. While the function runs, the next requests
    wait, so batches grow with the load. Requests are answered in the order of their arrival. If the function fails for
    a batch, it is called for each of its requests alone, so that only those fail that must.

    An instance belongs to one event loop, in which `start` is called.

    Args:
        function: Returns the answers to requests, in their order.
        max_size: The total size of the requests in a batch; a larger request is a batch of its own.
        max_delay: Seconds for which a request waits for others while the function is idle.
        max_waiting: Requests that may wait.
        on_batch: Is called with the number of requests of each batch, and the seconds that the function took.
    """

    def __init__(
        self,
        function: Callable[[list[Item]], Sequence[Answer]],
        *,
        max_size: int,
        max_delay: float,
        max_waiting: int,
        on_batch: Callable[[int, float], object] = lambda num_requests, seconds: None,
    ) -> None:
        self._function, self._on_batch = function, on_batch
        self._max_size, self._max_delay, self._max_waiting = max_size, max_delay, max_waiting
        # in the order of arrival; a cancelled request is removed from any position
        self._waiting: dict[asyncio.Future[Answer], _Waiting[Item]] = {}
        self._size = 0  # of all that wait
        self._expects_others = True
        self._is_closed = False
        self._changed = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batcher")
        self._task: asyncio.Task[None] | None = None

    @property
    def num_waiting(self) -> int:
        """The number of requests that wait, without those that the function is answering."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether `submit` would raise `QueueFullError`."""
        return len(self._waiting) >= self._max_waiting

    @property
    def is_running(self) -> bool:
        """Whether requests are accepted and answered."""
        return self._task is not None and not self._task.done() and not self._is_closed

    def start(self) -> None:
        """Begin to answer requests."""
        self._task = asyncio.create_task(self._run())

    def submit(self, item: Item, size: int = 1) -> asyncio.Future[Answer]:
        """Return the future answer to a request. To give up the place of the request, cancel it.

        The future has the exception that the function raises for this request, if it does.

        Args:
            item: The request.
            size: What it contributes to the size of a batch.

        Raises:
            QueueFullError: If too many requests wait.
            ClosedError: If the batcher is closed.
        """
        if not self.is_running:
            raise ClosedError
        if self.is_full:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        answer.add_done_callback(self._remove)
        self._waiting[answer] = _Waiting(item, size, loop.time())
        self._size += size
        self._changed.set()
        return answer

    def hurry(self) -> None:
        """Let no request wait for others any more."""
        self._max_delay = 0
        self._changed.set()

    async def close(self) -> None:
        """Accept no more requests, answer those that were accepted, and end the thread."""
        self._is_closed = True
        self._changed.set()
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    def _remove(self, answer: asyncio.Future[Answer]) -> None:
        if waiting := self._waiting.pop(answer, None):
            self._size -= waiting.size

    async def _run(self) -> None:
        try:
            while not (self._is_closed and not self._waiting):
                await self._collect()
                if batch := self._take():
                    await self._answer(batch)
        finally:  # the task was cancelled: no request waits for ever
            for answer in list(self._waiting):
                if not answer.done():
                    answer.set_exception(ClosedError())

    async def _collect(self) -> None:
        """Wait until a batch should begin, or the batcher is closed."""
        loop = asyncio.get_running_loop()
        while not self._is_closed and self._size < self._max_size:
            delay = None
            if self._waiting:
                delay = next(iter(self._waiting.values())).since + self._max_delay - loop.time()
                if delay <= 0 or not self._expects_others:
                    return
            self._changed.clear()
            timer = None if delay is None else loop.call_later(delay, self._changed.set)
            await self._changed.wait()
            if timer is not None:
                timer.cancel()

    def _take(self) -> dict[asyncio.Future[Answer], Item]:
        """Remove the requests of the next batch from the queue: at least one, if any wait."""
        batch: dict[asyncio.Future[Answer], Item] = {}
        size = 0
        for answer, waiting in list(self._waiting.items()):
            size += waiting.size
            if batch and size > self._max_size:
                break
            self._remove(answer)
            if not answer.done():  # it was cancelled in this step of the event loop
                batch[answer] = waiting.item
        self._expects_others = len(batch) != 1
        return batch

    async def _answer(self, batch: dict[asyncio.Future[Answer], Item]) -> None:
        results = await self._call(list(batch.values()))
        if isinstance(results, Exception) and len(batch) > 1:
            log.warning("a batch of %d requests failed, so each is answered alone: %r", len(batch), results)
            for answer, item in batch.items():
                if not answer.done():
                    await self._answer({answer: item})
            return
        for index, answer in enumerate(batch):
            if answer.done():
                continue
            if isinstance(results, Exception):
                answer.set_exception(results)
            else:
                answer.set_result(results[index])

    async def _call(self, items: list[Item]) -> Sequence[Answer] | Exception:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            results: Any = await loop.run_in_executor(self._thread, self._function, items)
        except Exception as error:
            return error
        self._on_batch(len(items), loop.time() - start)
        if len(results) != len(items):
            return RuntimeError(f"{len(items)} requests have {len(results)} answers")
        return results  # type: ignore[no-any-return]
