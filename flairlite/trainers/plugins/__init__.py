"""Training plugins with Flair's API."""

import importlib
from typing import TYPE_CHECKING, Any

from flairlite.trainers.plugins.averages import EMAPlugin, SWAPlugin
from flairlite.trainers.plugins.base import BasePlugin, HookHandle, Pluggable, TrainerPlugin, TrainingInterrupt
from flairlite.trainers.plugins.metric_records import MetricName, MetricRecord, RecordType
from flairlite.trainers.plugins.outputs import CheckpointPlugin, LogFilePlugin, WeightExtractorPlugin
from flairlite.trainers.plugins.schedules import (
    AnnealingPlugin,
    CosineSchedulerPlugin,
    LinearSchedulerPlugin,
    OneCycleSchedulerPlugin,
)

if TYPE_CHECKING:
    from flairlite.trainers.plugins.loggers import (
        ClearmlLoggerPlugin,
        MetricHistoryPlugin,
        MlflowLogger,
        TensorboardLogger,
        WandbLogger,
    )

__all__ = [
    "AnnealingPlugin",
    "BasePlugin",
    "CheckpointPlugin",
    "ClearmlLoggerPlugin",
    "CosineSchedulerPlugin",
    "EMAPlugin",
    "HookHandle",
    "LinearSchedulerPlugin",
    "LogFilePlugin",
    "MetricHistoryPlugin",
    "MetricName",
    "MetricRecord",
    "MlflowLogger",
    "OneCycleSchedulerPlugin",
    "Pluggable",
    "RecordType",
    "SWAPlugin",
    "TensorboardLogger",
    "TrainerPlugin",
    "TrainingInterrupt",
    "WandbLogger",
    "WeightExtractorPlugin",
]


def __getattr__(name: str) -> Any:
    if name in __all__:  # a logger, imported on first use, because few programs need one
        return getattr(importlib.import_module("flairlite.trainers.plugins.loggers"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
