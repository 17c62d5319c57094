"""Start a function in several processes, watch them, and return its result."""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from flairlite import runtime
from flairlite.errors import SettingError, TrainingError
from flairlite.trainers.process.group import LostProcessError, initialize

_PATIENCE = 20.0  # seconds that the other processes have to end by themselves after a failure, and again after SIGTERM
_INTERRUPTED, _TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # exit codes, as those of shells


@dataclass(frozen=True)
class _Job:
    """What all processes get: a pickled function with its arguments, and the settings of the process that starts them.

    Attributes:
        call: The function, its arguments and its keyword arguments, pickled.
        devices: The device of each process.
        store: The file by which the processes find each other.
        cache_root: The cache folder.
        seed: The default seed.
        num_threads: The threads of each process; None for what the environment says.
    """

    call: bytes
    devices: Sequence[str]
    store: str
    cache_root: str
    seed: int
    num_threads: int | None


def launch(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], devices: Sequence[str]) -> Any:
    """Call a function in one process per device, and return its result in the first of them.

    Ctrl-C and SIGTERM are passed on. If a process fails, the others are ended within a minute.

    Raises:
        SettingError: If the function or an argument cannot be sent to another process.
        TrainingError: If a process ends without an exception, or with one that cannot be sent back; all others are
            raised as they are.
    """
    try:
        call = pickle.dumps((function, tuple(args), dict(kwargs)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise SettingError(
            f"the function and its arguments are sent to other processes, which is impossible here: {error}. Define "
            "the function in a file, outside of other functions, and let it make models and files itself"
        ) from error
    is_set = "OMP_NUM_THREADS" in os.environ
    num_threads = None if is_set else max(1, torch.get_num_threads() // len(devices))
    with tempfile.TemporaryDirectory(prefix="flairlite-") as folder:
        store = str(Path(folder) / "processes")
        cache_root, seed = str(runtime.get_cache_root()), runtime.get_seed()
        job = _Job(call, devices, store, cache_root, seed, num_threads)
        with contextlib.closing(_Processes(job)) as processes, processes.passing_signals():
            processes.wait()
        return processes.result()


class _Processes:
    """The processes of a job.

    Args:
        job: The job, which is started.
    """

    def __init__(self, job: _Job) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA cannot be used in a forked process
        self._processes: list[Any] = []
        self._pipes: dict[Connection, int] = {}
        self._outcomes: dict[int, _Outcome] = {}
        self._failures: list[int] = []  # ranks in the order of their ends
        self._signal: int | None = None
        try:
            for rank in range(len(job.devices)):
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(job, rank, sender), name=f"flairlite-{rank}")
                process.start()
                sender.close()
                self._processes.append(process)
                self._pipes[receiver] = rank
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def passing_signals(self) -> Iterator[None]:
        """Pass Ctrl-C and SIGTERM on within the `with` statement, if the program handles neither itself."""
        previous: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is default:
                    previous[number] = signal.signal(number, self._pass_signal)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def wait(self) -> None:
        """Wait for the end of all processes; end the others some time after one has failed."""
        deadline: float | None = None
        ends = [lambda process: process.terminate(), lambda process: process.kill()]
        alive = dict(enumerate(self._processes))
        while alive:
            sentinels = [process.sentinel for process in alive.values()]
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            wait([*self._pipes, *sentinels], timeout)
            self._receive()
            for rank in [rank for rank, process in alive.items() if process.exitcode is not None]:
                if alive.pop(rank).exitcode != 0:
                    self._failures.append(rank)
            if self._failures and deadline is None:
                deadline = time.monotonic() + _PATIENCE
            elif deadline is not None and time.monotonic() >= deadline and ends:
                for process in alive.values():
                    ends[0](process)
                del ends[0]
                deadline = time.monotonic() + _PATIENCE
        self._receive()

    def result(self) -> Any:
        """Return the result of the function in the main process.

        Raises:
            Exception: That of a process that has failed.
            KeyboardInterrupt: If Ctrl-C ended the processes.
            SystemExit: If SIGTERM did, with 143.
        """
        if not self._failures:
            return pickle.loads(self._outcomes[0].value) if 0 in self._outcomes else None
        codes = [self._processes[rank].exitcode for rank in self._failures]
        if self._signal == signal.SIGINT and _INTERRUPTED in codes:
            raise KeyboardInterrupt
        if all(code in (_TERMINATED, -signal.SIGTERM) for code in codes):
            raise SystemExit(_TERMINATED)
        # the one that failed first by itself, not for the lack of another
        rank = min(self._failures, key=lambda rank: rank in self._outcomes and self._outcomes[rank].is_secondary)
        count, code = len(self._processes), self._processes[rank].exitcode
        outcome = self._outcomes.get(rank)
        if outcome is None:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            hint = "the system may have ended it for lack of memory"
            if code > 0:
                hint = 'call launch_distributed inside `if __name__ == "__main__":`, if the script does not'
            raise TrainingError(
                f"process {rank} of {count} {how}; what it has printed may say why, or {hint}. If there is a "
                "checkpoint, it is kept: start again with resume=True"
            )
        cause = _RemoteTraceback(f"process {rank} of {count} failed:\n{outcome.traceback}")
        try:
            error = pickle.loads(outcome.value)
        except Exception:  # of a class that can only be made otherwise
            error = TrainingError(str(cause))
        raise error from cause

    def close(self) -> None:
        """Kill the processes that are left."""
        for process in self._processes:
            if process.is_alive():
                process.kill()
            process.join()
        for pipe in self._pipes:
            pipe.close()

    def _receive(self) -> None:
        for pipe in wait(list(self._pipes), 0):
            assert isinstance(pipe, Connection)
            rank = self._pipes[pipe]
            try:
                self._outcomes[rank] = pickle.loads(pipe.recv_bytes())
            except (EOFError, OSError):  # the process has ended
                del self._pipes[pipe]
                pipe.close()

    def _pass_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        for process in self._processes:
            with contextlib.suppress(OSError, ValueError):
                if process.exitcode is None:
                    os.kill(process.pid, number)


@dataclass(frozen=True)
class _Outcome:
    """What a process sends: its result, or its exception.

    Attributes:
        value: The result or the exception, pickled.
        traceback: The traceback of the exception; empty for a result.
        is_secondary: Whether it has failed because another process has.
    """

    value: bytes
    traceback: str = ""
    is_secondary: bool = False


class _RemoteTraceback(Exception):
    """Shows the traceback of another process as the cause of an exception."""


def _work(job: _Job, rank: int, pipe: Connection) -> None:
    """Call the function of a job in this process, which was started for it."""
    code = 1
    has_ended = threading.Event()
    atexit.register(_skip_end_of_interpreter, has_ended)  # called last, because it is registered first
    try:
        _set_up(job, rank)
        function, args, kwargs = pickle.loads(job.call)
        value = function(*args, **kwargs)
        if rank == 0:
            pipe.send_bytes(pickle.dumps(_Outcome(_dump_result(value))))
        dist.destroy_process_group()
        has_ended.set()
        return
    except SystemExit as error:
        if error.code is None or error.code == 0:
            has_ended.set()
            return
        code = error.code if isinstance(error.code, int) else 1
        if not isinstance(error.code, int):
            sys.stderr.write(f"{error.code}\n")
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BaseException as error:
        outcome = _Outcome(_dump_error(error), traceback.format_exc(), isinstance(error, LostProcessError))
        pipe.send_bytes(pickle.dumps(outcome))
    _exit(code)  # connections to processes that have ended could make the regular end wait


def _skip_end_of_interpreter(has_ended: threading.Event) -> None:
    """End a process that has done its work: the regular end aborts in one of twenty, after all Python code has run."""
    if has_ended.is_set():
        _exit(0)


def _exit(code: int) -> NoReturn:
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _set_up(job: _Job, rank: int) -> None:
    """Give this process its device and its settings, and join the others."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if os.name == "posix":
        os.setsid()  # a terminal sends Ctrl-C to the parent only, which passes it on once
        loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
        if loopback is not None:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)  # no connection leaves the machine
    if job.num_threads is not None:
        torch.set_num_threads(job.num_threads)
    runtime.set_cache_root(job.cache_root)
    runtime.set_seed(job.seed)
    runtime.set_device(job.devices[rank])
    size = len(job.devices)
    store = dist.FileStore(job.store, size)  # type: ignore[attr-defined]  # torch exports it by another name
    initialize(torch.device(job.devices[rank]), store=store, rank=rank, world_size=size)


def _end_with_parent() -> None:
    """Wait for the end of the process that has started this one, then end as after SIGTERM."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _dump_result(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise SettingError(
            f"the function returned a {type(value).__name__}, which cannot be sent to the process that called "
            f"launch_distributed: {error}. Return what train returns, or nothing"
        ) from error


def _dump_error(error: BaseException) -> bytes:
    try:
        return pickle.dumps(error)
    except Exception:
        return pickle.dumps(TrainingError(f"{type(error).__name__}: {error}"))
