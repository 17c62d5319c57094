"""The settings of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from flairlite.errors import SettingError
from flairlite.metrics import AVERAGES, FIGURES
from flairlite.models import Model
from flairlite.trainers.annealing import Annealing
from flairlite.trainers.fingerprints import differences
from flairlite.trainers.optimizers import OptimizerFactory, optimizer_from_plain, optimizer_to_plain
from flairlite.trainers.splits import STORAGE_MODES

# what a run may go on with when it was begun with something else
MAY_CHANGE = (
    "max_epochs",
    "patience",
    "anneal_factor",
    "min_learning_rate",
    "eval_batch_size",
    "embeddings_storage_mode",
    "save_final_model",
    "checkpoint_every",
)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What `ModelTrainer.train` was asked for, besides where and with which callbacks; it says what each is.

    Raises:
        SettingError: when a number makes no sense.
    """

    learning_rate: float
    mini_batch_size: int
    eval_batch_size: int
    max_epochs: int
    optimizer: OptimizerFactory
    anneal_factor: float
    patience: int
    min_learning_rate: float
    train_with_dev: bool
    monitor_test: bool
    main_evaluation_metric: tuple[str, str]
    shuffle: bool
    bucketing: bool
    embeddings_storage_mode: str
    use_amp: bool
    save_final_model: bool
    compact_vectors: bool
    checkpoint_every: int | None
    seed: int

    def __post_init__(self) -> None:
        for name in ("mini_batch_size", "eval_batch_size"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} must be at least 1; it is {getattr(self, name)}")
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise SettingError(f"checkpoint_every must be at least 1 step, or None; it is {self.checkpoint_every}")
        if self.max_epochs < 0:
            raise SettingError(f"max_epochs must be at least 0; it is {self.max_epochs}")
        if not self.learning_rate > 0:
            raise SettingError(f"learning_rate must be above 0; it is {self.learning_rate}")
        Annealing(factor=self.anneal_factor, patience=self.patience, min_learning_rate=self.min_learning_rate)
        if self.embeddings_storage_mode not in STORAGE_MODES:
            raise SettingError(
                f"embeddings_storage_mode must be one of {', '.join(STORAGE_MODES)}, "
                f"not {self.embeddings_storage_mode!r}"
            )

    def check_metric(self, model: Model) -> None:
        """Refuse a main figure that evaluations of this model do not have.

        Raises:
            SettingError: naming those that there are.
        """
        average, figure = self.main_evaluation_metric
        if average not in (*AVERAGES, *model.label_names) or figure not in FIGURES:
            raise SettingError(
                f"main_evaluation_metric must be one of {', '.join(AVERAGES)} or a label, with one of "
                f"{', '.join(FIGURES)}, as ('macro avg', 'f1-score'); it is {self.main_evaluation_metric!r}"
            )

    def check_resumable(self, before: Mapping[str, Any]) -> None:
        """Refuse to go on, with these settings, with a run that was begun with others.

        Args:
            before: Its settings, as `to_plain` returned them.

        Raises:
            SettingError: naming those that decide the result and are not the same.
        """
        fixed = [name for name in before if name not in MAY_CHANGE]
        now = self.to_plain()
        if found := differences({name: now.get(name) for name in fixed}, {name: before[name] for name in fixed}):
            raise SettingError(
                f"the run was begun with other settings: {'; '.join(found)}. Give the same, or train anew with "
                f"resume=False; only these may change: {', '.join(MAY_CHANGE)}"
            )

    def to_plain(self) -> dict[str, Any]:
        """Return the settings as plain containers; an optimizer that is not torch's is there by its name alone."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **values,
            "optimizer": optimizer_to_plain(self.optimizer),
            "main_evaluation_metric": list(self.main_evaluation_metric),
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any], *, optimizer: OptimizerFactory | None = None) -> TrainingSettings:
        """Make settings of what `to_plain` returned.

        Args:
            values: The settings.
            optimizer: Makes the optimizer, where it is not one of torch's.

        Raises:
            SettingError: when the optimizer is needed and not given, or settings are missing.
        """
        known = {field.name for field in fields(cls)}
        if known != set(values):
            differing = ", ".join(sorted(known ^ set(values)))
            raise SettingError(f"these settings are of another version of flairlite: {differing}. Use that version")
        chosen = optimizer or optimizer_from_plain(values["optimizer"])
        metric = tuple(values["main_evaluation_metric"])
        return cls(**{**values, "optimizer": chosen, "main_evaluation_metric": metric})
