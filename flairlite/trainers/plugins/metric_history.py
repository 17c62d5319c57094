"""Return figures of each epoch from `train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairlite.trainers.plugins.base import TrainerPlugin
from flairlite.trainers.plugins.metric_records import MetricRecord

default_metrics_to_collect: Mapping[tuple[str, ...], str] = {
    ("train", "loss"): "train_loss_history",
    ("dev", "score"): "dev_score_history",
    ("dev", "loss"): "dev_loss_history",
}


class MetricHistoryPlugin(TrainerPlugin):
    """Adds lists of figures to what `train` returns; those of the default are returned in any case.

    Args:
        metrics_to_collect: The names of the figures, as `("dev", "macro avg", "f1-score")`, and what to call the lists.
    """

    def __init__(self, metrics_to_collect: Mapping[tuple[str, ...], str] = default_metrics_to_collect) -> None:
        super().__init__()
        self.metrics_to_collect = metrics_to_collect
        self.metric_history: dict[str, list[Any]] = {name: [] for name in metrics_to_collect.values()}

    @TrainerPlugin.hook
    def after_setup(self, **parameters: Any) -> None:
        """Begin anew."""
        for values in self.metric_history.values():
            values.clear()

    @TrainerPlugin.hook
    def metric_recorded(self, record: MetricRecord) -> None:
        """Keep a figure that is wanted."""
        name = self.metrics_to_collect.get(tuple(record.name))
        if name is not None:
            self.metric_history[name].append(record.value)

    @TrainerPlugin.hook
    def after_training(self, **parameters: Any) -> None:
        """Add the lists to what `train` returns."""
        self.trainer.return_values.update({name: list(values) for name, values in self.metric_history.items()})

    def get_state(self) -> dict[str, Any]:
        """Return what describes the plugin."""
        return {**super().get_state(), "metrics_to_collect": dict(self.metrics_to_collect)}

    def state_dict(self) -> dict[str, Any]:
        """Return the figures so far."""
        return {"metric_history": self.metric_history}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the figures of before."""
        self.metric_history = {name: list(values) for name, values in state["metric_history"].items()}
