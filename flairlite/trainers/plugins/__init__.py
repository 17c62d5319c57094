"""Training plugins with Flair's API."""

from flairlite.trainers.plugins.averages import EMAPlugin, SWAPlugin
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
from flairlite.trainers.plugins.schedules import (
    AnnealingPlugin,
    CosineSchedulerPlugin,
    LinearSchedulerPlugin,
    OneCycleSchedulerPlugin,
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
