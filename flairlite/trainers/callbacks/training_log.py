"""The lines that training prints, to the console and to training.log."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from flairlite.data import Corpus
from flairlite.errors import FileWriteError
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.optimizers import optimizer_to_plain
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.state import TrainingState

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # not generic in Python 3.10

log = logging.getLogger("flairlite")

LINE = "-" * 100
FORMAT = "%(asctime)-15s %(message)s"


class TrainingLog(Callback):
    """Prints the run: a header, ten lines per epoch, and a summary of each epoch.

    Args:
        header: Blocks of lines to begin with; see `make_header`.
    """

    only_in_main_process = True

    def __init__(self, header: Sequence[Sequence[str]]) -> None:
        self.header = header

    def on_train_begin(self, state: TrainingState) -> None:
        """Print the header, unless the run is resumed and the log has it already."""
        if state.is_resumed:
            return
        log.info(LINE)
        for block in self.header:
            for line in block:
                log.info("%s", line)
            log.info(LINE)

    def on_batch_end(self, state: TrainingState) -> None:
        """Print a line after every tenth of an epoch."""
        if not state.is_at_tenth:
            return
        loss = state.train_loss  # waits for the device, ten times per epoch
        seconds = state.epoch_seconds
        log.info(
            "epoch %d - iter %d/%d - loss %.8f - time (sec): %.2f - samples/sec: %.2f - lr: %s",
            state.epoch,
            state.iteration,
            state.num_batches,
            loss,
            seconds,
            state.num_words / max(seconds, 1e-9),
            _format_rates(state),
        )

    def on_epoch_end(self, state: TrainingState) -> None:
        """Print the results of the epoch."""
        log.info(LINE)
        log.info("EPOCH %d done: loss %.4f - lr %.6f", state.epoch, state.train_loss, state.epoch_learning_rate)
        for name, result in (("DEV", state.dev), ("TEST", state.test), ("TRAIN_SAMPLE", state.train_sample)):
            if result is not None:
                score = round(result.main_score, 4)
                log.info("%s : loss %s - %s  %s", name, result.loss, result.metric_name, score)
        log.info("BAD EPOCHS (no improvement): %d", state.bad_epochs)
        if state.is_annealed:
            log.info("learning rate annealed to %s", _format_rates(state))
        log.info(LINE)

    def on_train_end(self, state: TrainingState) -> None:
        """Print why training stopped early, if it did."""
        if state.stop_reason is not None:
            log.info("%s", state.stop_reason)


def _format_rates(state: TrainingState) -> str:
    """Return the learning rates, one per parameter group."""
    return ",".join(f"{group['lr']:.6f}" for group in state.optimizer.param_groups)


def make_header(
    state: TrainingState,
    corpus: Corpus,
    settings: TrainingSettings,
    plugins: Iterable[Callback],
    devices: Sequence[str],
) -> list[list[str]]:
    """Return blocks of lines about the run: first those of Flair's log, then those that its tutorial shows.

    Args:
        state: The state of the run.
        corpus: The corpus.
        settings: The settings.
        plugins: The plugins.
        devices: The device of each process.
    """
    decoder = settings.decoder_learning_rate
    device, storage = ", ".join(devices), settings.embeddings_storage_mode
    is_best_tested = not settings.use_final_model_for_eval and not settings.train_with_dev and corpus.dev
    tested = "model from best epoch (best-model.pt)" if is_best_tested else "model after last epoch (final-model.pt)"
    return [
        [f'Model: "{state.model}"'],
        [str(corpus)],
        [
            f"Train:  {len(state.sentences)} sentences",
            f"        (train_with_dev={settings.train_with_dev}, train_with_test={settings.train_with_test})",
        ],
        [
            "Training Params:",
            f' - optimizer: "{optimizer_to_plain(settings.optimizer)["name"]}"',
            f' - learning_rate: "{settings.learning_rate}"' + (f" (decoder: {decoder})" if decoder else ""),
            f' - mini_batch_size: "{settings.mini_batch_size}"',
            f' - max_epochs: "{settings.max_epochs}"',
            f' - shuffle: "{settings.shuffle}"',
        ],
        ["Plugins:", *(f" - {plugin}" for plugin in plugins)],
        [f"Final evaluation on {tested}", f' - metric: "{settings.main_evaluation_metric}"'],
        ["Computation:", f" - compute on device: {device}", f" - embedding storage: {storage}"],
        [f'Model training base path: "{_shorten(state.base_path)}"'],
        [f"Device: {device}"],
        [f"Embeddings storage mode: {storage}"],
    ]


def _shorten(path: Path) -> Path:
    """Return a path relative to the working folder, if it is in there."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


class LogFile(logging.Handler):
    """Writes the messages of a thread to a file, which is not touched before `open`; earlier messages are kept for it.

    Args:
        path: The file, or None to write nothing.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(FORMAT))
        self.addFilter(_ThreadFilter())
        self._path = path
        self._pending: list[logging.LogRecord] = []
        self._file: logging.FileHandler | None = None
        self.previous = (logging.NOTSET, False, True)  # level, disabled and propagate of the logger before all runs

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message, or keep it until the file is open."""
        if self._file is not None:
            self._file.emit(record)
        elif self._path is not None:
            self._pending.append(record)

    def open(self, *, keep: int | None = None) -> None:
        """Begin the file with the messages so far, or continue its first `keep` bytes, which have those messages.

        Raises:
            FileWriteError: If the file cannot be written.
        """
        if self._path is None:
            return
        try:
            self._file = logging.FileHandler(self._path, mode="a", encoding="utf-8", errors="backslashreplace")
            os.truncate(self._path, min(keep or 0, self.size()))
        except OSError as error:
            problem = f"{self._path} cannot be written: {error.strerror}. Choose another folder"
            raise FileWriteError(problem, path=self._path, errno=error.errno) from error
        self._file.setFormatter(self.formatter)
        for record in self._pending if keep is None else ():
            self._file.emit(record)
        self._pending = []

    def size(self) -> int:
        """Return the bytes of the file."""
        return self._path.stat().st_size if self._path is not None and self._path.exists() else 0

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        super().close()


@contextlib.contextmanager
def logging_to(path: Path | None, *, opened: bool = True) -> Iterator[LogFile]:
    """Send this thread's messages to a file, and to the console unless the program has configured logging itself.

    Afterwards the configuration of logging is as before. If the program has disabled the logger, as `logging.config`
    does by default with loggers that exist, messages are sent to the file only.

    Args:
        path: The file, or None.
        opened: Whether to begin the file at once; otherwise it is begun by `LogFile.open`.
    """
    file = LogFile(path)
    handlers: list[logging.Handler] = [file]
    of_runs = (logging.NullHandler, LogFile, _Console)  # runs in other threads have these
    runs = [handler for handler in log.handlers if isinstance(handler, LogFile)]
    file.previous = runs[0].previous if runs else (log.level, log.disabled, log.propagate)
    is_configured = logging.getLogger().handlers or not all(isinstance(handler, of_runs) for handler in log.handlers)
    if not is_configured and not file.previous[1]:
        handlers.append(_Console(sys.stdout))
    if opened:
        file.open()
    if log.disabled:
        log.disabled = log.propagate = False
    if log.getEffectiveLevel() > logging.INFO:
        log.setLevel(logging.INFO)
    for handler in handlers:
        log.addHandler(handler)
    try:
        yield file
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()
        if not any(isinstance(handler, LogFile) for handler in log.handlers):
            level, log.disabled, log.propagate = file.previous
            log.setLevel(level)


@contextlib.contextmanager
def logging_errors_only() -> Iterator[LogFile]:
    """Pass no message of this thread but errors, in a process that leaves messages to the main process."""
    is_own = _ThreadFilter().filter

    def is_passed(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or not is_own(record)

    log.addFilter(is_passed)
    try:
        yield LogFile(None)
    finally:
        log.removeFilter(is_passed)


class _Console(_StreamHandler):
    """Prints the messages of a thread; characters that the console lacks are escaped."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(logging.Formatter(FORMAT))
        self.addFilter(_ThreadFilter())

    def format(self, record: logging.LogRecord) -> str:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return super().format(record).encode(encoding, "backslashreplace").decode(encoding)


class _ThreadFilter(logging.Filter):
    """Passes the messages of the current thread only, because runs in several threads share the logger."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread == self._thread
