"""Plugins that collect the recorded metrics: in the result of `train`, or in experiment trackers."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from flairlite.checks import flag, whole_number
from flairlite.errors import MissingExtraError, SettingError
from flairlite.trainers.callbacks.training_log import FORMAT
from flairlite.trainers.plugins.base import TrainerPlugin
from flairlite.trainers.plugins.metric_records import MetricName, MetricRecord
from flairlite.trainers.process.group import is_main_process

log = logging.getLogger("flairlite")

default_metrics_to_collect: Mapping[tuple[str, ...], str] = {
    ("train", "loss"): "train_loss_history",
    ("dev", "score"): "dev_score_history",
    ("dev", "loss"): "dev_loss_history",
}

_NOT_IN_KEYS = re.compile(r"[^\w\-. /]", re.ASCII)  # characters that the names of metrics in MLflow may not have
_OPTIONAL_SPLITS = ("dev", "test", "train_sample")  # evaluated in some runs only


class MetricHistoryPlugin(TrainerPlugin):
    """Adds the history of metrics to the result of `train`, which contains those of the default in any case.

    Args:
        metrics_to_collect: A mapping of metrics, such as `("dev", "macro avg", "f1-score")`, to keys of the result.
            Each metric must be recorded by the end of the first epoch.

    Raises:
        SettingError: If it is not such a mapping. In training, if no metric of this name is recorded.
    """

    def __init__(self, metrics_to_collect: Mapping[tuple[str, ...], str] = default_metrics_to_collect) -> None:
        super().__init__()
        self.metrics_to_collect = _check_metrics(metrics_to_collect)
        self.metric_history: dict[str, list[Any]] = {key: [] for key in self.metrics_to_collect.values()}
        self._keys = {"/".join(name): key for name, key in self.metrics_to_collect.items()}
        self._recorded: set[str] = set()

    @TrainerPlugin.hook
    def after_setup(self, **parameters: Any) -> None:
        """Clear the history."""
        self._recorded.clear()
        for values in self.metric_history.values():
            values.clear()

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        """Append the value of a collected metric."""
        name = record.joined_name
        self._recorded.add(name)
        if name in self._keys:
            self.metric_history[self._keys[name]].append(record.value)

    @TrainerPlugin.hook
    def after_evaluation(self, epoch: int, **parameters: Any) -> None:
        """Check after the first epoch that every metric was recorded."""
        if epoch == 1:
            self._check_recorded()

    @TrainerPlugin.hook
    def after_training(self, **parameters: Any) -> None:
        """Add the history to the result of `train`."""
        self.trainer.return_values.update({key: list(values) for key, values in self.metric_history.items()})

    def get_state(self) -> dict[str, Any]:
        """Return a description of the plugin."""
        return {**super().get_state(), "metrics_to_collect": dict(self.metrics_to_collect)}

    def state_dict(self) -> dict[str, Any]:
        """Return the history."""
        return {"metric_history": self.metric_history}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the history."""
        self.metric_history = {key: list(values) for key, values in state["metric_history"].items()}

    def _check_recorded(self) -> None:
        evaluated = {name.partition("/")[0] for name in self._recorded}
        defaults = {"/".join(name) for name, key in default_metrics_to_collect.items() if key in self.metric_history}
        for name in sorted(self._keys.keys() - self._recorded - defaults):
            split = name.partition("/")[0]
            if split in _OPTIONAL_SPLITS and split not in evaluated:
                log.warning("metric %s is not recorded, because training does not evaluate %s", name, split)
            elif not self.metric_history[self._keys[name]]:
                known = sorted(self._recorded)
                nearest = difflib.get_close_matches(name, known, n=3) or known
                raise SettingError(f"no metric {name} is recorded; similar names: {', '.join(nearest)}")


def _check_metrics(metrics: Any) -> dict[tuple[str, ...], str]:
    if not isinstance(metrics, Mapping):
        raise SettingError(f"metrics_to_collect must map metrics to keys of the result; got {metrics!r}")
    checked: dict[tuple[str, ...], str] = {}
    for name, key in metrics.items():
        parts = MetricName(name).parts if isinstance(name, (str, tuple, MetricName)) else ()
        if not parts or not all(isinstance(part, str) for part in (*parts, key)):
            raise SettingError(
                "metrics_to_collect must map names such as ('dev', 'micro avg', 'f1-score') to strings; "
                f"got {name!r}: {key!r}"
            )
        checked[parts] = key
    if len({*checked.values(), "test_score"}) <= len(metrics):
        raise SettingError(f"metrics_to_collect must map each metric to another key, not test_score; got {metrics!r}")
    return checked


class TensorboardLogger(TrainerPlugin):
    """Writes metrics for TensorBoard.

    Args:
        log_dir: The folder to write to; None for a folder in `runs`, named after time and machine.
        comment: The suffix of that name.
        tracked_metrics: The metrics to write, such as `("macro avg", "f1-score")`, in addition to losses, main scores
            and learning rates; all of them if empty.

    Raises:
        MissingExtraError: If TensorBoard is not installed.
        SettingError: If `log_dir` is not a path, or `tracked_metrics` not a list of tuples of strings.
    """

    def __init__(
        self,
        log_dir: str | Path | None = None,
        comment: str = "",
        tracked_metrics: Collection[tuple[str, ...]] | None = (),
    ) -> None:
        super().__init__()
        if log_dir is not None and not isinstance(log_dir, (str, Path)):
            raise SettingError(f"log_dir must be a path; got {log_dir!r}")
        names = () if tracked_metrics is None else tracked_metrics
        if not isinstance(names, Collection) or not all(isinstance(name, (tuple, list)) for name in names):
            raise SettingError(f"tracked_metrics must hold tuples like ('macro avg', 'f1-score'); got {names!r}")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("TensorboardLogger needs tensorboard", extra="tensorboard") from error
        self.log_dir, self.comment, self.tracked_metrics = log_dir, comment, names
        make_writer: Any = SummaryWriter
        folder = None if log_dir is None else str(log_dir)
        # it makes a file at once
        self.writer: Any = make_writer(log_dir=folder, comment=comment) if is_main_process() else None

    @property
    def attach_to_all_processes(self) -> bool:
        """Whether all processes that train together log; only the main process does."""
        return False

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        """Write a metric."""
        if record.is_scalar and self._is_tracked(record.name):
            self.writer.add_scalar(str(record.name), record.value, record.global_step, walltime=record.walltime)
        elif record.is_scalar_list:
            for index, value in enumerate(record.value):
                self.writer.add_scalar(f"{record.name}/{index}", value, record.global_step, walltime=record.walltime)

    @TrainerPlugin.hook
    def _training_finally(self, **parameters: Any) -> None:
        self.writer.close()

    def _is_tracked(self, name: MetricName) -> bool:
        return not self.tracked_metrics or len(name) <= 2 or name.parts[1:] in map(tuple, self.tracked_metrics)


class ClearmlLoggerPlugin(TrainerPlugin):
    """Reports metrics to ClearML.

    Args:
        task_id_or_task: The task or its id.

    Raises:
        MissingExtraError: If the id is given and ClearML is not installed.
        SettingError: If the argument is neither a task nor an id.
    """

    def __init__(self, task_id_or_task: Any) -> None:
        super().__init__()
        if isinstance(task_id_or_task, str):
            try:
                import clearml
            except ImportError as error:
                raise MissingExtraError("ClearmlLoggerPlugin needs clearml", extra="clearml") from error
            self._find_task = clearml.Task.get_task
        elif not hasattr(task_id_or_task, "get_logger"):
            raise SettingError(f"task_id_or_task must be a task of ClearML or its id; got {task_id_or_task!r}")
        self._task = task_id_or_task

    @property
    def attach_to_all_processes(self) -> bool:
        """Whether all processes that train together log; only the main process does."""
        return False

    @property
    def logger(self) -> Any:
        """The logger of the task."""
        if isinstance(self._task, str):
            self._task = self._find_task(task_id=self._task)
        return self._task.get_logger()

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        """Report a metric."""
        name = ".".join(record.name)
        if record.is_scalar:
            self.logger.report_scalar(name, name, record.value, record.global_step)
        elif record.is_scalar_list:
            for index, value in enumerate(record.value):
                self.logger.report_scalar(name, f"{name}_{index}", value, record.global_step)
        elif record.is_string:
            self.logger.report_text(record.value, print_console=False)
        elif record.is_histogram:
            self.logger.report_histogram(name, name, record.value, record.global_step)


class MlflowLogger(TrainerPlugin):
    """Logs the settings as parameters and all metrics to a run of MLflow.

    Args:
        run_id: The id of the run; None for the active run or, if there is none, a new one that ends with training.

    Raises:
        MissingExtraError: If MLflow is not installed.
        SettingError: If `run_id` is not a string.
    """

    def __init__(self, run_id: str | None = None) -> None:
        super().__init__()
        if run_id is not None and (not isinstance(run_id, str) or not run_id):
            raise SettingError(f"run_id must be the id of a run of MLflow; got {run_id!r}")
        try:
            import mlflow
        except ImportError as error:
            raise MissingExtraError("MlflowLogger needs mlflow", extra="mlflow") from error
        self.run_id = run_id
        self._mlflow: Any = mlflow
        self._client: Any = mlflow.MlflowClient()
        self._is_own = self._is_failed = False

    @property
    def attach_to_all_processes(self) -> bool:
        """Whether all processes that train together log; only the main process does."""
        return False

    @TrainerPlugin.hook
    def after_setup(self, **parameters: Any) -> None:
        """Find or start the run, and log the settings that it does not have yet."""
        if self.run_id is None:
            active = self._mlflow.active_run()
            self._is_own, self._is_failed = active is None, False
            self.run_id = (active or self._mlflow.start_run()).info.run_id
        known = self._client.get_run(self.run_id).data.params
        for name, value in parameters.items():
            if isinstance(value, (str, int, float)) and name not in known:
                self._client.log_param(self.run_id, name, str(value)[:500])

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        """Log a metric with its step and time."""
        if record.is_scalar:
            values = {str(record.name): record.value}
        else:
            listed = record.value if record.is_scalar_list else ()
            values = {f"{record.name}/{index}": value for index, value in enumerate(listed)}
        for name, value in values.items():
            key, time = _NOT_IN_KEYS.sub("_", name), int(record.walltime * 1000)
            self._client.log_metric(self.run_id, key, float(value), timestamp=time, step=record.global_step)

    @TrainerPlugin.hook
    def _training_exception(self, **parameters: Any) -> None:
        self._is_failed = True

    @TrainerPlugin.hook
    def _training_finally(self, **parameters: Any) -> None:
        if self._is_own:
            self._mlflow.end_run("FAILED" if self._is_failed else "FINISHED")
            self.run_id, self._is_own = None, False


class WandbLogger(TrainerPlugin):
    """Logs metrics to Weights & Biases, or to Trackio, which has the same interface.

    Args:
        wandb: The module `wandb` after `wandb.init`, or a run; or the module `trackio` after `trackio.init`, or a run.
        emit_alerts: Whether to send warnings and errors of flairlite as alerts.
        alert_level: The lowest level of alerts.

    Raises:
        SettingError: If `wandb` has no function `log`, or another argument makes no sense.
    """

    def __init__(self, wandb: Any, emit_alerts: bool = True, alert_level: int | str = logging.WARNING) -> None:
        super().__init__()
        if not callable(getattr(wandb, "log", None)):
            raise SettingError(f"wandb must be the module wandb or a run of it; got {wandb!r}")
        level = logging.getLevelName(alert_level) if isinstance(alert_level, str) else alert_level
        if isinstance(level, str):
            raise SettingError(f"alert_level must be a level of logging, such as 'ERROR'; it is {alert_level!r}")
        self.wandb, self.emit_alerts = wandb, flag("emit_alerts", emit_alerts)
        self.alert_level: int = whole_number(least=0)("alert_level", level)
        self._handler: logging.Handler | None = None

    @property
    def attach_to_all_processes(self) -> bool:
        """Whether all processes that train together log; only the main process does."""
        return False

    @TrainerPlugin.hook
    def after_setup(self, **parameters: Any) -> None:
        """Start sending alerts, unless they are switched off."""
        if self.emit_alerts:
            self._handler = _AlertHandler(self.wandb)
            self._handler.setLevel(self.alert_level)
            self._handler.setFormatter(logging.Formatter(FORMAT))
            log.addHandler(self._handler)

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        """Log a metric."""
        if record.is_scalar:
            self.wandb.log({str(record.name): record.value})
        elif record.is_scalar_list:
            self.wandb.log({f"{record.name}/{index}": value for index, value in enumerate(record.value)})

    @TrainerPlugin.hook
    def _training_finally(self, **parameters: Any) -> None:
        if self._handler is not None:
            log.removeHandler(self._handler)
            self._handler.close()
            self._handler = None


class _AlertHandler(logging.Handler):
    def __init__(self, wandb: Any) -> None:
        super().__init__()
        self.wandb = wandb

    def emit(self, record: logging.LogRecord) -> None:
        try:
            name = "ERROR" if record.levelno >= logging.ERROR else "WARN"
            level = getattr(getattr(self.wandb, "AlertLevel", None), name, name)  # a run takes the name
            title = f"{record.levelname.capitalize()} from {record.module}:{record.lineno}"
            self.wandb.alert(title=title, text=self.format(record), level=level)
        except Exception:  # a failed alert must not end training
            self.handleError(record)
