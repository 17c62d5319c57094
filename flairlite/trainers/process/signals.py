"""Ctrl-C and SIGTERM while training: answered between two steps, when all that a checkpoint keeps fits together."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Signals:
    """Notes Ctrl-C and SIGTERM, within a `with` statement; `answer` is called where training can be left.

    The second one is answered at once. Handlers that the program has set up itself stay, and outside the main thread,
    which gets all signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is usual:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def answer(self) -> None:
        """Do what was asked for, if something was.

        Raises:
            KeyboardInterrupt: after Ctrl-C.
            SystemExit: after SIGTERM, with 143, which is how shells report a process that SIGTERM ended.
        """
        if self.received is not None:
            raise _exception(self.received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise _exception(number)
        self.received = number


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
