"""Send the figures of training to services that draw them."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flairlite.errors import MissingExtraError
from flairlite.trainers.callbacks.training_log import FORMAT
from flairlite.trainers.plugins.base import TrainerPlugin
from flairlite.trainers.plugins.metric_records import MetricName, MetricRecord

log = logging.getLogger("flairlite")


class TensorboardLogger(TrainerPlugin):
    """Writes the figures for TensorBoard.

    Args:
        log_dir: The folder to write into; one below `runs`, named after time and machine, when None.
        comment: What to put behind that name.
        tracked_metrics: The figures to write besides losses, main scores and learning rates, as
            `("macro avg", "f1-score")`; all when empty.

    Raises:
        MissingExtraError: when TensorBoard is not installed.
    """

    def __init__(
        self,
        log_dir: str | Path | None = None,
        comment: str = "",
        tracked_metrics: Collection[tuple[str, ...]] = (),
    ) -> None:
        super().__init__()
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("TensorboardLogger needs tensorboard", extra="tensorboard") from error
        self.log_dir, self.comment, self.tracked_metrics = log_dir, comment, tracked_metrics
        make_writer: Any = SummaryWriter
        self.writer = make_writer(log_dir=None if log_dir is None else str(log_dir), comment=comment)

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        """Write a figure."""
        if record.is_scalar and self._is_tracked(record.name):
            self.writer.add_scalar(str(record.name), record.value, record.global_step, walltime=record.walltime)
        elif record.is_scalar_list:
            for place, value in enumerate(record.value):
                self.writer.add_scalar(f"{record.name}/{place}", value, record.global_step, walltime=record.walltime)

    @TrainerPlugin.hook
    def _training_finally(self, **parameters: Any) -> None:
        self.writer.close()

    def _is_tracked(self, name: MetricName) -> bool:
        return not self.tracked_metrics or len(name) <= 2 or tuple(name)[1:] in map(tuple, self.tracked_metrics)


class ClearmlLoggerPlugin(TrainerPlugin):
    """Reports the figures to ClearML.

    Args:
        task_id_or_task: The task, or its id.
    """

    def __init__(self, task_id_or_task: Any) -> None:
        super().__init__()
        self._task = task_id_or_task

    @property
    def logger(self) -> Any:
        """The logger of the task.

        Raises:
            ImportError: when the task was given by its id and clearml is not installed.
        """
        if isinstance(self._task, str):
            import clearml

            self._task = clearml.Task.get_task(task_id=self._task)
        return self._task.get_logger()

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        """Report a figure."""
        name = ".".join(record.name)
        if record.is_scalar:
            self.logger.report_scalar(name, name, record.value, record.global_step)
        elif record.is_scalar_list:
            for place, value in enumerate(record.value):
                self.logger.report_scalar(name, f"{name}_{place}", value, record.global_step)
        elif record.is_string:
            self.logger.report_text(record.value, print_console=False)


class WandbLogger(TrainerPlugin):
    """Logs the figures to Weights & Biases.

    Args:
        wandb: The module, after `wandb.init`, or a run.
        emit_alerts: Send warnings and errors of this library as alerts.
        alert_level: From which level on.
    """

    def __init__(self, wandb: Any, emit_alerts: bool = True, alert_level: int = logging.WARNING) -> None:
        super().__init__()
        self.wandb, self.emit_alerts, self.alert_level = wandb, emit_alerts, alert_level
        self._handler: logging.Handler | None = None

    @TrainerPlugin.hook
    def after_setup(self, **parameters: Any) -> None:
        """Begin to send alerts, if they are wanted."""
        if self.emit_alerts:
            self._handler = _Alerts(self.wandb)
            self._handler.setLevel(self.alert_level)
            self._handler.setFormatter(logging.Formatter(FORMAT))
            log.addHandler(self._handler)

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        """Log a figure."""
        if record.is_scalar:
            self.wandb.log({str(record.name): record.value})
        elif record.is_scalar_list:
            self.wandb.log({f"{record.name}/{place}": value for place, value in enumerate(record.value)})

    @TrainerPlugin.hook
    def _training_finally(self, **parameters: Any) -> None:
        if self._handler is not None:
            log.removeHandler(self._handler)
            self._handler = None


class _Alerts(logging.Handler):
    def __init__(self, wandb: Any) -> None:
        super().__init__()
        self.wandb = wandb

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = self.wandb.AlertLevel.ERROR if record.levelno >= logging.ERROR else self.wandb.AlertLevel.WARN
            title = f"{record.levelname.capitalize()} from {record.module}:{record.lineno}"
            self.wandb.alert(title=title, text=self.format(record), level=level)
        except Exception:  # an alert that cannot be sent must not end training
            self.handleError(record)
