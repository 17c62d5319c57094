"""The settings of a training run."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import torch

from flairlite.checks import (
    Check,
    flag,
    number,
    number_or_numbers,
    one_of,
    seed,
    shown,
    strings,
    whole_number,
)
from flairlite.errors import SettingError
from flairlite.metrics import AVERAGES, DEFAULT_METRIC, FIGURES
from flairlite.models import Model
from flairlite.models.inference import STORAGE_MODES
from flairlite.runtime import get_seed
from flairlite.trainers.callbacks.annealing import Annealing
from flairlite.trainers.optimizers import OptimizerFactory, find_optimizer, optimizer_from_plain, optimizer_to_plain
from flairlite.trainers.options import bind_options
from flairlite.trainers.process.processor import has_fast_bfloat16
from flairlite.trainers.reproduce.hashes import find_differences

log = logging.getLogger("flairlite")

AUTO = "auto"

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _setting(default: Any, check: Check, *, may_change: bool = False) -> Any:
    return field(default=default, metadata={"check": check, "may_change": may_change})


_MAX_RATE = 3.4e38  # larger ones are not float32
_check_rate = number(above=0, below=_MAX_RATE)


def _check_sample(name: str, value: Any) -> float:
    amount: float = number(least=0)(name, value)
    if isinstance(amount, float) and amount > 1:
        raise SettingError(f"{name} must be a part from 0 to 1, or a whole number of sentences; it is {amount}")
    return amount


def _check_amp(name: str, value: Any) -> bool | str:
    if isinstance(value, str) and value.lower() == AUTO:
        return AUTO
    try:
        return flag(name, value)
    except SettingError:
        raise SettingError(f"{name} must be True or False, or {AUTO!r}; it is {shown(value)}") from None


def _check_probability(name: str, value: Any) -> float:
    probability: float = number(least=0)(name, value)
    if probability > 1:
        raise SettingError(f"{name} must be a probability, from 0 to 1; it is {shown(value)}")
    return probability


def _check_rates(name: str, value: Any) -> dict[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise SettingError(f"{name} must be a dict of names of embeddings and learning rates; it is {shown(value)}")
    return {key: _check_rate(f"{name}[{key!r}]", rate) for key, rate in value.items()}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The settings of `ModelTrainer.train`, each of which is also a keyword argument of it.

    NumPy's numbers are taken like Python's.

    Attributes:
        learning_rate: The first learning rate.
        decoder_learning_rate: Another learning rate for all weights except those of the embeddings.
        embedding_learning_rates: Other learning rates for single embeddings, by name, such as `{"Char": 1e-3}`.
        layer_decay: The factor of the learning rate from each layer of a transformer to the one below it, as in ELECTRA
            (Clark et al., 2020); None for the same rate in all layers.
        mini_batch_size: Sentences per step; the average, if `bucketing` and the model labels words.
        mini_batch_chunk_size: Sentences computed at once within a step, if a whole batch does not fit into memory.
        eval_batch_size: Sentences computed at once in evaluations.
        max_epochs: The largest number of epochs.
        max_grad_norm: The norm to which gradients are clipped; None for no clipping.
        optimizer: A class of `torch.optim` or its name in upper or lower case, or a function of the parameters and
            `lr` that returns an optimizer.
        anneal_factor: The factor of the learning rate when the score on dev does not improve.
        patience: Epochs in a row without a better score before the learning rate is annealed.
        min_learning_rate: Training stops when the learning rate falls below; a number, or one per parameter group.
        initial_extra_patience: Further epochs of patience before the learning rate is annealed for the first time.
        anneal_with_restarts: Whether to continue from the best model whenever the learning rate was annealed.
        attach_default_scheduler: Whether the learning rate is annealed (in `fine_tune`: whether it rises and falls).
        train_with_dev: Whether to train on dev too. The training loss then decides about annealing, and no best model
            is kept.
        train_with_test: Whether to train on test too. There is no final evaluation then.
        monitor_test: Whether to evaluate the test split after each epoch, for the log and loss.tsv only.
        monitor_train_sample: Training sentences to evaluate after each epoch: a number, or a part between 0 and 1.
        main_evaluation_metric: The metric that decides which epoch is the best, such as `("macro avg", "f1-score")`.
        use_final_model_for_eval: Whether to evaluate the model of the last epoch, and keep no best model.
        exclude_labels: Labels, or a single label, to exclude from evaluations, with the words or sentences that have
            only these.
        shuffle: Whether to visit the sentences in a new random order in each epoch, or in their own order.
        shuffle_first_epoch: Whether to shuffle in the first epoch too.
        bucketing: Whether to put sentences of similar length into a batch when shuffling, which is much faster. If the
            model labels words, batches of long sentences have fewer of them.
        augment_lowercase: The probability that a sentence is trained on in lower case, drawn anew in each epoch. So the
            model learns texts in any case. Labels stay, and evaluations use the sentences as they are.
        augment_uppercase: Likewise, that all of its words are in upper case.
        augment_titlecase: Likewise, that each of its words begins in upper case. The sum of the three is at most 1.
        augment_nopunct: Likewise, that a sentence lacks its last word if that is punctuation, unless a span would be
            cut. So the model learns texts without final punctuation.
        embeddings_storage_mode: `cpu` keeps encoded sentences on the host, `gpu` on the device, and `none` encodes
            each batch when it is needed.
        use_amp: Whether to run operations that support it in bfloat16 (autocast). Weights stay in float32. With `auto`,
            a CPU with instructions for bfloat16 (AVX512_BF16 or AMX_BF16) does so, because it is faster there, and
            other devices do not. The files of the run have the choice, which a resumed run keeps.
        save_final_model: Whether to write final-model.pt.
        compact_vectors: Whether to round fixed word vectors to twelve bits per value, in the model and its files. The
            files are less than half as large then, and predict the same as the model in memory.
        checkpoint_every: Steps between checkpoints, besides those at the end of each epoch; 0 writes none at all, so
            that the run cannot be resumed.
        save_model_each_k_epochs: Epochs between files model_epoch_N.pt; 0 writes none.
        create_file_logs: Whether to write training.log.
        create_loss_file: Whether to write loss.tsv.
        write_weights: Whether to write weights.txt, which `Plotter.plot_weights` draws.
        seed: The seed of order and dropout; None for the process's default seed.
        tune_process: Whether training may change the process to use less memory: glibc's allocator keeps large blocks
            apart while training, and torch's optimizers are used without importing torch's compiler. For programs that
            only train; the weights are the same.

    Raises:
        SettingError: If a value has the wrong type or makes no sense.
    """

    learning_rate: float = _setting(0.1, _check_rate)
    decoder_learning_rate: float | None = _setting(None, number(above=0, below=_MAX_RATE, optional=True))
    embedding_learning_rates: Mapping[str, float] | None = _setting(None, _check_rates)
    layer_decay: float | None = _setting(None, number(above=0, below=1, optional=True))
    mini_batch_size: int = _setting(32, whole_number(least=1))
    mini_batch_chunk_size: int | None = _setting(None, whole_number(least=1, optional=True))
    eval_batch_size: int = _setting(64, whole_number(least=1), may_change=True)
    max_epochs: int = _setting(100, whole_number(least=0), may_change=True)
    max_grad_norm: float | None = _setting(5.0, number(above=0, optional=True))
    optimizer: OptimizerFactory | str = _setting(torch.optim.SGD, find_optimizer)  # noqa: RUF009
    anneal_factor: float = _setting(0.5, number(above=0, below=1), may_change=True)
    patience: int = _setting(3, whole_number(least=1), may_change=True)
    min_learning_rate: float | Sequence[float] = _setting(0.0001, number_or_numbers(least=0), may_change=True)
    initial_extra_patience: int = _setting(0, whole_number(least=0))
    anneal_with_restarts: bool = _setting(False, flag)
    attach_default_scheduler: bool = _setting(True, flag)
    train_with_dev: bool = _setting(False, flag)
    train_with_test: bool = _setting(False, flag)
    monitor_test: bool = _setting(False, flag)
    monitor_train_sample: float = _setting(0, _check_sample)
    main_evaluation_metric: tuple[str, str] = _setting(DEFAULT_METRIC, strings(count=2))
    use_final_model_for_eval: bool = _setting(False, flag)
    exclude_labels: Sequence[str] | str | None = _setting((), strings(allow_one=True))
    shuffle: bool = _setting(True, flag)
    shuffle_first_epoch: bool = _setting(True, flag)
    bucketing: bool = _setting(True, flag)
    augment_lowercase: float = _setting(0, _check_probability)
    augment_uppercase: float = _setting(0, _check_probability)
    augment_titlecase: float = _setting(0, _check_probability)
    augment_nopunct: float = _setting(0, _check_probability)
    embeddings_storage_mode: str = _setting("cpu", one_of(*STORAGE_MODES), may_change=True)
    use_amp: bool | str = _setting(False, _check_amp)
    save_final_model: bool = _setting(True, flag, may_change=True)
    compact_vectors: bool = _setting(True, flag)
    checkpoint_every: int | None = _setting(None, whole_number(least=0, optional=True), may_change=True)
    save_model_each_k_epochs: int = _setting(0, whole_number(least=0))
    create_file_logs: bool = _setting(True, flag)
    create_loss_file: bool = _setting(True, flag)
    write_weights: bool = _setting(False, flag)
    seed: int | None = _setting(None, seed)
    tune_process: bool = _setting(False, flag, may_change=True)

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, item.metadata["check"](item.name, getattr(self, item.name)))
        cases = self.augment_lowercase + self.augment_uppercase + self.augment_titlecase
        if cases > 1 + 1e-9:  # the sum of 0.1, 0.2 and 0.7 is inexact
            names = "augment_lowercase, augment_uppercase and augment_titlecase"
            raise SettingError(f"the sum of {names} must be at most 1, as they exclude each other; it is {cases}")

    @property
    def augments(self) -> bool:
        """Whether training sentences are changed at random."""
        return any((self.augment_lowercase, self.augment_uppercase, self.augment_titlecase, self.augment_nopunct))

    @classmethod
    def from_options(cls, options: Mapping[str, Any], base: TrainingSettings | None = None) -> TrainingSettings:
        """Return settings with the keyword arguments of `train` in place of those of `base` or the defaults.

        Names that are not settings are options of the optimizer, such as `weight_decay`. The seed becomes a number.

        Raises:
            SettingError: If a value makes no sense, or a name is neither a setting nor an option of the optimizer.
        """
        if base is not None and not isinstance(base, TrainingSettings):
            raise SettingError(f"settings must be TrainingSettings; it is {shown(base)}")
        names = {item.name for item in fields(cls)}
        changed = replace(base or cls(), **{name: value for name, value in options.items() if name in names})
        rest = {name: value for name, value in options.items() if name not in names}
        return replace(changed, optimizer=bind_options(changed.optimizer, rest, names), seed=get_seed(changed.seed))

    def for_device(self, device: torch.device) -> TrainingSettings:
        """Return the settings with a choice in place of `use_amp="auto"`."""
        if self.use_amp != AUTO:
            return self
        use_amp = has_fast_bfloat16(device)
        log.info("use_amp='auto' computes in %s on this device", "bfloat16" if use_amp else "float32")
        return replace(self, use_amp=use_amp)

    def make_annealing(self) -> Annealing:
        """Make the default annealing of the learning rate."""
        return Annealing(
            factor=self.anneal_factor,
            patience=self.patience,
            min_learning_rate=self.min_learning_rate,
            initial_extra_patience=self.initial_extra_patience,
            restarts=self.anneal_with_restarts,
        )

    def changed_annealing(self) -> list[str]:
        """Return the names of the settings of the default annealing that do not have their default values."""
        names = ("anneal_factor", "patience", "min_learning_rate", "initial_extra_patience", "anneal_with_restarts")
        return [item.name for item in fields(self) if item.name in names and getattr(self, item.name) != item.default]

    def check_metric(self, model: Model) -> None:
        """Check that evaluations of a model have the main metric.

        Raises:
            SettingError: If they do not, with the metrics that they have.
        """
        average, figure = self.main_evaluation_metric
        if average not in (*AVERAGES, *model.task.scored_labels(self.exclude_labels or ())) or figure not in FIGURES:
            raise SettingError(
                f"main_evaluation_metric must be one of {', '.join(AVERAGES)} or a label, with one of "
                f"{', '.join(FIGURES)}, such as ('macro avg', 'f1-score'); it is {self.main_evaluation_metric!r}"
            )

    def check_resumable(self, previous: Mapping[str, Any]) -> None:
        """Check that a run can continue with these settings.

        Args:
            previous: The settings that the run was started with, as `to_plain` returned them.

        Raises:
            SettingError: If settings that decide the result differ, with their names.
        """
        fixed = [name for name in previous if name not in MAY_CHANGE]
        current = self.to_plain()
        one, other = ({name: values.get(name) for name in fixed} for values in (current, previous))
        if found := find_differences(one, other):
            raise SettingError(
                f"the run was started with other settings: {'; '.join(found)}. Give the same settings, or start a new "
                f"run with resume=False; only these may change: {', '.join(MAY_CHANGE)}"
            )

    def to_plain(self) -> dict[str, Any]:
        """Return the settings as plain containers; an optimizer that is not torch's only by its name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {**plain, "optimizer": optimizer_to_plain(self.optimizer)}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any], *, optimizer: Any = None) -> TrainingSettings:
        """Make settings from what `to_plain` returned.

        Args:
            values: The settings.
            optimizer: The optimizer, if it is not one of torch's.

        Raises:
            SettingError: If the optimizer is needed and missing, or settings are missing or unknown.
        """
        known = {item.name for item in fields(cls)}
        if known != set(values):
            differing = ", ".join(sorted(known ^ set(values)))
            raise SettingError(f"these settings are of another version of flairlite: {differing}. Use that version")
        factory = optimizer_from_plain(values["optimizer"]) if optimizer is None else optimizer
        return cls(**{**values, "optimizer": factory})


MAY_CHANGE = tuple(item.name for item in fields(TrainingSettings) if item.metadata["may_change"])

FINE_TUNE = TrainingSettings(
    learning_rate=5e-5,
    mini_batch_size=4,
    eval_batch_size=16,
    max_epochs=10,
    optimizer=torch.optim.AdamW,
    use_final_model_for_eval=True,
)


def with_settings(defaults: TrainingSettings) -> Callable[[_Method], _Method]:
    """Return a decorator that shows the settings with their defaults in a method's signature, for `help` and editors.

    Args:
        defaults: The defaults of the method.
    """

    def decorate(method: _Method) -> _Method:
        own = inspect.signature(method)
        settings = [
            inspect.Parameter(
                item.name, inspect.Parameter.KEYWORD_ONLY, default=getattr(defaults, item.name), annotation=item.type
            )
            for item in fields(defaults)
        ]
        *named, rest = own.parameters.values()  # the last one takes the options
        method.__signature__ = own.replace(parameters=[*named, *settings, rest])  # type: ignore[attr-defined]
        return method

    return decorate
