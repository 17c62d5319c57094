"""The lines that training prints, to the console and to training.log."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from flairlite.data import Corpus
from flairlite.errors import TrainingError
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.optimizers import optimizer_to_plain
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.state import TrainingState

log = logging.getLogger("flairlite")

LINE = "-" * 100
FORMAT = "%(asctime)-15s %(message)s"


class TrainingLog(Callback):
    """Prints the run: a header, ten lines per epoch, and a summary of each epoch.

    Args:
        header: Blocks of lines to begin with; see `make_header`.
    """

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
    state: TrainingState, corpus: Corpus, settings: TrainingSettings, plugins: Iterable[Callback]
) -> list[list[str]]:
    """Return blocks of lines about the run: first those of Flair's log, then those that its tutorial shows."""
    decoder = settings.decoder_learning_rate
    device, storage = state.model.device, settings.embeddings_storage_mode
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
        [f'Model training base path: "{state.base_path}"'],
        [f"Device: {device}"],
        [f"Embeddings storage mode: {storage}"],
    ]


class LogFile(logging.Handler):
    """Writes messages to a file, which is not touched before `open`; earlier messages are kept until then.

    Args:
        path: The file, or None to write nothing.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._path = path
        self._pending: list[logging.LogRecord] = []
        self._file: logging.FileHandler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message, or keep it until the file is open."""
        if self._file is not None:
            self._file.emit(record)
        elif self._path is not None:
            self._pending.append(record)

    def open(self, *, keep: int | None = None) -> None:
        """Begin the file with the messages so far, or continue its first `keep` bytes, which have those messages.

        Raises:
            TrainingError: If the file cannot be written.
        """
        if self._path is None:
            return
        try:
            self._file = logging.FileHandler(self._path, mode="a", encoding="utf-8")
            os.truncate(self._path, min(keep or 0, self.size()))
        except OSError as error:
            raise TrainingError(f"{self._path} cannot be written: {error.strerror}. Choose another folder") from error
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
    """Send the library's messages to a file, and to the console unless the program has configured logging itself.

    Afterwards the configuration of logging is as before.

    Args:
        path: The file, or None.
        opened: Whether to begin the file at once; otherwise it is begun by `LogFile.open`.
    """
    file = LogFile(path)
    handlers: list[logging.Handler] = [file]
    if not logging.getLogger().handlers and not _has_own_handler():
        handlers.append(logging.StreamHandler(sys.stdout))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORMAT))
    if opened:
        file.open()
    level = log.level
    if not log.isEnabledFor(logging.INFO):
        log.setLevel(logging.INFO)
    for handler in handlers:
        log.addHandler(handler)
    try:
        yield file
    finally:
        log.setLevel(level)
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


def _has_own_handler() -> bool:
    return any(not isinstance(handler, logging.NullHandler) for handler in log.handlers)
