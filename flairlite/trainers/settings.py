"""The settings of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from flairlite.errors import SettingError
from flairlite.metrics import AVERAGES, FIGURES
from flairlite.models import Model
from flairlite.trainers.callbacks.annealing import Annealing
from flairlite.trainers.optimizers import OptimizerFactory, optimizer_from_plain, optimizer_to_plain
from flairlite.trainers.reproduce.hashes import differences
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
_LEAST = {
    "mini_batch_size": 1,
    "mini_batch_chunk_size": 1,
    "eval_batch_size": 1,
    "max_epochs": 0,
    "checkpoint_every": 1,
    "monitor_train_sample": 0,
    "save_model_each_k_epochs": 0,
}
_POSITIVE = ("learning_rate", "decoder_learning_rate", "max_grad_norm")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What `ModelTrainer.train` was asked for, besides where and with which callbacks; it says what each is.

    Raises:
        SettingError: when a number makes no sense.
    """

    learning_rate: float
    decoder_learning_rate: float | None
    mini_batch_size: int
    mini_batch_chunk_size: int | None
    eval_batch_size: int
    max_epochs: int
    max_grad_norm: float | None
    optimizer: OptimizerFactory
    anneal_factor: float
    patience: int
    min_learning_rate: float | tuple[float, ...]
    initial_extra_patience: int
    anneal_with_restarts: bool
    attach_default_scheduler: bool
    train_with_dev: bool
    train_with_test: bool
    monitor_test: bool
    monitor_train_sample: float
    main_evaluation_metric: tuple[str, str]
    use_final_model_for_eval: bool
    exclude_labels: tuple[str, ...]
    shuffle: bool
    shuffle_first_epoch: bool
    bucketing: bool
    embeddings_storage_mode: str
    use_amp: bool
    save_final_model: bool
    compact_vectors: bool
    checkpoint_every: int | None
    save_model_each_k_epochs: int
    create_file_logs: bool
    create_loss_file: bool
    write_weights: bool
    seed: int

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise SettingError(f"{name} must be at least {least}; it is {value}")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"{name} must be above 0; it is {value}")
        self.annealing()
        if self.embeddings_storage_mode not in STORAGE_MODES:
            raise SettingError(
                f"embeddings_storage_mode must be one of {', '.join(STORAGE_MODES)}, "
                f"not {self.embeddings_storage_mode!r}"
            )

    def annealing(self) -> Annealing:
        """Make the default annealing.

        Raises:
            SettingError: when a number of its makes no sense.
        """
        return Annealing(
            factor=self.anneal_factor,
            patience=self.patience,
            min_learning_rate=self.min_learning_rate,
            initial_extra_patience=self.initial_extra_patience,
            restarts=self.anneal_with_restarts,
        )

    def check_metric(self, model: Model) -> None:
        """Refuse a main figure that evaluations of this model do not have.

        Raises:
            SettingError: naming those that there are.
        """
        average, figure = self.main_evaluation_metric
        if average not in (*AVERAGES, *model.task.scored_labels(self.exclude_labels)) or figure not in FIGURES:
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
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {**plain, "optimizer": optimizer_to_plain(self.optimizer)}

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
        given: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in values.items()}
        return cls(**{**given, "optimizer": chosen})
