"""Training plugins with Flair's API."""

from flairlite.trainers.plugins.base import BasePlugin, HookHandle, Pluggable, TrainerPlugin, TrainingInterrupt
from flairlite.trainers.plugins.loggers import (
    ClearmlLoggerPlugin,
    MetricHistoryPlugin,
    MlflowLogger,
    TensorboardLogger,
    WandbLogger,
)
from flairlite.trainers.plugins.metric_records import MetricName, MetricRecord, RecordType
from flairlite.trainers.plugins.outputs import CheckpointPlugin, LogFilePlugin, WeightExtractorPlugin
from flairlite.trainers.plugins.schedules import AnnealingPlugin, LinearSchedulerPlugin

__all__ = [
    "AnnealingPlugin",
    "BasePlugin",
    "CheckpointPlugin",
    "ClearmlLoggerPlugin",
    "HookHandle",
    "LinearSchedulerPlugin",
    "LogFilePlugin",
    "MetricHistoryPlugin",
    "MetricName",
    "MetricRecord",
    "MlflowLogger",
    "Pluggable",
    "RecordType",
    "TensorboardLogger",
    "TrainerPlugin",
    "TrainingInterrupt",
    "WandbLogger",
    "WeightExtractorPlugin",
]
