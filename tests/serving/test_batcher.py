"""Batching: which requests are put together, in which order they are answered, and what happens to the others."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from flairlite.serving.batcher import Batcher, ClosedError, QueueFullError

NEVER = 1e6  # seconds


class Function:
    """Doubles numbers; records its batches, can be held, and fails for negative numbers."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_run = threading.Event()
        self.may_run.set()
        self.is_running = threading.Event()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.is_running.set()
        assert self.may_run.wait(60)
        if any(item < 0 for item in items):
            raise ValueError(f"negative: {min(items)}")
        return [2 * item for item in items]

    async def hold(self, batcher: Batcher[int, int]) -> asyncio.Future[int]:
        """Let the function begin a batch with the request 0, and hold it there."""
        self.may_run.clear()
        first = batcher.submit(0, 1000)
        await asyncio.to_thread(self.is_running.wait, 60)
        return first


def make(function: Any, **options: Any) -> Batcher[Any, Any]:
    batcher: Batcher[Any, Any] = Batcher(function, **{"max_size": 4, "max_delay": 0, "max_waiting": 100, **options})
    batcher.start()
    return batcher


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def test_requests_that_wait_together_are_one_batch_in_their_order() -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function, max_size=5, max_delay=NEVER)
        assert await asyncio.gather(*map(batcher.submit, [5, 3, 4, 1, 2])) == [10, 6, 8, 2, 4]
        assert function.batches == [[5, 3, 4, 1, 2]]
        await batcher.close()

    run(test())


def test_a_batch_begins_after_the_delay_of_its_oldest_request() -> None:
    async def test() -> None:
        function, loop = Function(), asyncio.get_running_loop()
        batcher = make(function, max_delay=0.2)
        start = loop.time()
        assert await asyncio.gather(batcher.submit(1), batcher.submit(2)) == [2, 4]
        assert function.batches == [[1, 2]]
        assert loop.time() - start >= 0.19  # of a clock that may be coarse; there is no upper limit on a busy machine
        await batcher.close()

    run(test())


def test_a_client_that_is_alone_does_not_wait_after_its_first_request() -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function, max_size=3, max_delay=NEVER)
        first = batcher.submit(1)
        await asyncio.sleep(0.05)
        assert not first.done()  # others may come
        await asyncio.gather(first, batcher.submit(2), batcher.submit(3))
        alone = await function.hold(batcher)  # a batch with a single request, while which two others arrive
        others = [batcher.submit(4), batcher.submit(5)]
        function.may_run.set()
        assert await asyncio.gather(alone, *others) == [0, 8, 10]
        last = batcher.submit(6)  # the last batch had two
        await asyncio.sleep(0.05)
        assert not last.done()
        batcher.hurry()
        assert await last == 12
        assert function.batches == [[1, 2, 3], [0], [4, 5], [6]]
        await batcher.close()

    run(test())


def test_requests_gather_while_the_function_runs_and_batches_have_at_most_the_maximum_size() -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function)
        first = await function.hold(batcher)
        others = [batcher.submit(item) for item in range(1, 10)]
        assert batcher.num_waiting == 9
        function.may_run.set()
        assert await asyncio.gather(first, *others) == [2 * item for item in range(10)]
        assert function.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]
        assert batcher.num_waiting == 0
        await batcher.close()

    run(test())


def test_sizes_fill_a_batch_and_a_larger_request_is_alone() -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function)
        await function.hold(batcher)
        others = [batcher.submit(item, size) for item, size in [(1, 2), (2, 2), (3, 3), (4, 9), (5, 1), (6, 3)]]
        function.may_run.set()
        await asyncio.gather(*others)
        assert function.batches == [[0], [1, 2], [3], [4], [5, 6]]
        await batcher.close()

    run(test())


def test_batches_are_counted() -> None:
    async def test() -> None:
        counts: list[int] = []
        batcher = make(Function(), max_delay=NEVER, on_batch=lambda count, seconds: counts.append(count))
        await asyncio.gather(*map(batcher.submit, range(8)))
        assert counts == [4, 4]
        await batcher.close()

    run(test())


def test_a_request_that_fails_does_not_fail_its_neighbours(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function, max_delay=NEVER)
        with caplog.at_level(logging.WARNING, "flairlite"):
            results = await asyncio.gather(*map(batcher.submit, [1, -7, 3, 4]), return_exceptions=True)
        assert [results[0], *results[2:]] == [2, 6, 8]
        assert isinstance(results[1], ValueError)
        assert str(results[1]) == "negative: -7"
        assert function.batches == [[1, -7, 3, 4], [1], [-7], [3], [4]]
        assert "a batch of 4 requests failed" in caplog.text
        assert await asyncio.gather(*map(batcher.submit, [1, 1, 1, 1])) == [2, 2, 2, 2]  # it goes on
        await batcher.close()

    run(test())


def test_too_few_answers_are_an_error_and_never_given_to_other_requests() -> None:
    async def test() -> None:
        batcher = make(lambda items: items[1:], max_size=2, max_delay=NEVER)
        results = await asyncio.gather(*map(batcher.submit, [1, 2]), return_exceptions=True)
        assert [str(result) for result in results] == ["1 requests have 0 answers"] * 2
        await batcher.close()

    run(test())


def test_a_cancelled_request_gives_up_its_place() -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function, max_waiting=3)
        first = await function.hold(batcher)
        others = [batcher.submit(item) for item in (1, 2, 3)]
        assert batcher.is_full
        others[1].cancel()
        await asyncio.sleep(0)
        assert (batcher.is_full, batcher.num_waiting) == (False, 2)
        last = batcher.submit(4)
        others[0].cancel()  # in the step in which the next batch is taken
        first.cancel()  # while its batch runs
        function.may_run.set()
        assert (await others[2], await last) == (6, 8)
        assert function.batches == [[0], [3, 4]]
        await batcher.close()

    run(test())


def test_when_all_that_wait_are_cancelled_the_function_is_not_called() -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function, max_delay=0.01)
        batcher.submit(1).cancel()
        await asyncio.sleep(0.05)
        assert await batcher.submit(2) == 4
        assert function.batches == [[2]]
        await batcher.close()

    run(test())


def test_a_full_queue_refuses_and_those_that_wait_are_answered() -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function, max_waiting=2)
        first = await function.hold(batcher)
        others = [batcher.submit(1), batcher.submit(2)]
        with pytest.raises(QueueFullError):
            batcher.submit(3)
        function.may_run.set()
        assert await asyncio.gather(first, *others) == [0, 2, 4]
        assert await batcher.submit(3) == 6
        await batcher.close()

    run(test())


def test_close_answers_what_was_accepted_and_nothing_else() -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function, max_delay=NEVER)
        first = await function.hold(batcher)
        others = [batcher.submit(item) for item in range(1, 7)]
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        assert not batcher.is_running
        with pytest.raises(ClosedError):
            batcher.submit(9)
        function.may_run.set()
        await closing
        assert [answer.result() for answer in (first, *others)] == [2 * item for item in range(7)]
        assert function.batches == [[0], [1, 2, 3, 4], [5, 6]]

    run(test())


def test_hurry_ends_the_delay() -> None:
    async def test() -> None:
        function = Function()
        batcher = make(function, max_delay=NEVER)
        answers = [batcher.submit(1), batcher.submit(2)]
        await asyncio.sleep(0)
        batcher.hurry()
        assert await asyncio.gather(*answers) == [2, 4]
        assert await batcher.submit(3) == 6
        assert function.batches == [[1, 2], [3]]
        await batcher.close()

    run(test())


def test_a_batcher_that_is_not_started_or_was_cancelled_says_so() -> None:
    async def test() -> None:
        batcher: Batcher[int, int] = Batcher(Function(), max_size=1, max_delay=0, max_waiting=1)
        with pytest.raises(ClosedError):
            batcher.submit(1)
        assert not batcher.is_running
        await batcher.close()

        batcher = make(Function(), max_delay=NEVER)
        answer = batcher.submit(1)
        await asyncio.sleep(0)
        assert batcher._task is not None
        batcher._task.cancel()
        with pytest.raises(ClosedError):
            await answer
        assert not batcher.is_running

    run(test())


def test_many_clients_get_their_own_answers() -> None:
    async def test() -> None:
        batcher = make(Function(), max_size=7, max_delay=0.001)

        async def ask(client: int) -> None:
            for step in range(20):
                assert await batcher.submit(client * 100 + step, 1 + step % 3) == 2 * (client * 100 + step)

        await asyncio.gather(*map(ask, range(30)))
        await batcher.close()

    run(test())
