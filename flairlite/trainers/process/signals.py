"""Ctrl-C and SIGTERM while training: handled between two steps, when the parts of a checkpoint are consistent."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Signals:
    """Records Ctrl-C and SIGTERM within a `with` statement; `handle` is called where training can be left.

    The second signal is handled at once. Handlers that the program has set stay. Outside the main thread, which
    receives all signals, nothing is changed.

    Args:
        is_shared: Whether several processes must handle a signal at the same step: then only `own` is set here.

    Attributes:
        own: The signal that this process has received, or None.
        received: The signal to handle, or None.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self.own: int | None = None
        self.received: int | None = None
        self._is_shared = is_shared
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is default:
                    self._previous[number] = signal.signal(number, self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def handle(self) -> None:
        """Raise the exception of the signal, if one was received.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            SystemExit: After SIGTERM, with 143, the exit code that shells report for a process ended by SIGTERM.
        """
        if self.received is not None:
            raise _exception(self.received)

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.own is not None:
            raise _exception(number)
        self.own = number
        if not self._is_shared:
            self.received = number


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
