"""The keyword arguments of `train` for type checkers, options of optimizers, and arguments of Flair that differ."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypedDict

from flairlite.checks import Check, flag, number, shown
from flairlite.errors import SettingError
from flairlite.trainers.optimizers import OptimizerFactory, is_of_torch


class OptimizerOptions(TypedDict, total=False):
    """Options of torch's usual optimizers."""

    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool
    betas: tuple[float, float]
    eps: float
    amsgrad: bool


class TrainingOptions(OptimizerOptions, total=False):
    """The keyword arguments of `train`, for type checkers; `TrainingSettings` describes them."""

    learning_rate: float
    decoder_learning_rate: float | None
    embedding_learning_rates: Mapping[str, float] | None
    layer_decay: float | None
    mini_batch_size: int
    mini_batch_chunk_size: int | None
    eval_batch_size: int
    max_epochs: int
    max_grad_norm: float | None
    optimizer: OptimizerFactory | str
    anneal_factor: float
    patience: int
    min_learning_rate: float | Sequence[float]
    initial_extra_patience: int
    anneal_with_restarts: bool
    attach_default_scheduler: bool
    train_with_dev: bool
    train_with_test: bool
    monitor_test: bool
    monitor_train_sample: float
    main_evaluation_metric: tuple[str, str]
    use_final_model_for_eval: bool
    exclude_labels: Sequence[str] | str | None
    shuffle: bool
    shuffle_first_epoch: bool
    bucketing: bool
    augment_lowercase: float
    augment_uppercase: float
    augment_titlecase: float
    augment_nopunct: float
    embeddings_storage_mode: str
    use_amp: bool | str
    save_final_model: bool
    compact_vectors: bool
    checkpoint_every: int | None
    save_model_each_k_epochs: int
    create_file_logs: bool
    create_loss_file: bool
    write_weights: bool
    seed: int | None
    tune_process: bool


_RESUME = "an interrupted run continues with trainer.resume(base_path)"
_SCHEDULER = (
    "use plugins=[LinearSchedulerPlugin(warmup_fraction=0.1)], or its siblings CosineSchedulerPlugin and "
    "OneCycleSchedulerPlugin"
)

# arguments of Flair's versions: the value that asks for nothing, and what to do for any other
_OF_FLAIR: Mapping[str, tuple[Any, str]] = {
    "reduce_transformer_vocab": (False, "the vocabulary of a transformer stays whole"),
    "epoch": (0, f"epochs are counted from 1; {_RESUME}"),
    "save_optimizer_state": (False, f"checkpoint.pt has the optimizer's state; {_RESUME}"),
    "gold_label_dictionary_for_eval": (None, "labels that the model does not know count as misses in evaluations"),
    "gold_label_dictionary": (None, "labels that the model does not know count as misses in evaluations"),
    "num_workers": (0, "sentences are encoded once, before training: nothing is left for workers to do"),
    "checkpoint": (False, f"a checkpoint is always written; {_RESUME}"),
    "scheduler": (None, _SCHEDULER),
    "warmup_fraction": (None, f"fine_tune has it; or {_SCHEDULER}"),
    "cycle_momentum": (False, _SCHEDULER),
    "use_swa": (False, "use plugins=[SWAPlugin()], or EMAPlugin"),
    "batch_growth_annealing": (False, "the batch size is constant: anneal the learning rate"),
    "anneal_against_dev_loss": (False, "main_evaluation_metric decides about annealing"),
    "param_selection_mode": (False, "set create_file_logs, create_loss_file and save_final_model to False"),
    "use_tensorboard": (False, "use plugins=[TensorboardLogger()]"),
    "eval_on_train_fraction": (0.0, "use monitor_train_sample"),
    "monitor_train": (False, "use monitor_train_sample"),
    "differentiable": (False, "no gradients of a step are needed"),
    "capturable": (False, "steps are not captured as CUDA graphs"),
    "save_best_model": (True, "use use_final_model_for_eval=True for no best model"),
}


def _check_betas(name: str, value: Any) -> tuple[float, ...]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise SettingError(f"{name} must be two numbers; it is {shown(value)}")
    return tuple(float(number(least=0, below=1)(name, item)) for item in value)  # torch takes no integers


_CHECKS: Mapping[str, Check] = {
    "momentum": number(least=0),
    "dampening": number(),
    "weight_decay": number(least=0),
    "nesterov": flag,
    "amsgrad": flag,
    "maximize": flag,
    "betas": _check_betas,
}  # of options of torch's optimizers


def bind_options(optimizer: Any, options: Mapping[str, Any], known: Collection[str]) -> Any:
    """Return an optimizer's factory with options such as `weight_decay=0.01` bound to it.

    Args:
        optimizer: Makes an optimizer of the parameters and `lr`.
        options: The keyword arguments of `train` that are not settings.
        known: The names of the settings, used to suggest a correction for a typo.

    Raises:
        SettingError: If the optimizer has no such option, with what to do instead, or its value makes no sense.
    """
    asked = {name: value for name, value in options.items() if not _asks_for_nothing(name, value)}
    accepted = _option_names(optimizer)
    for name in asked:
        if name in _OF_FLAIR:
            raise SettingError(f"train has no {name}: {_OF_FLAIR[name][1]}")
        if name not in accepted:
            close = difflib.get_close_matches(name, [*known, *accepted], n=1)
            hint = f"Did you mean {close[0]}?" if close else "Leave it out"
            options_text = ", ".join(sorted(accepted)) or "no options"
            raise SettingError(f"train has no argument {name!r}, and the optimizer takes {options_text}. {hint}")
    if is_of_torch(optimizer.func if isinstance(optimizer, functools.partial) else optimizer):
        asked = {name: _CHECKS[name](name, value) if name in _CHECKS else value for name, value in asked.items()}
    return functools.partial(optimizer, **asked) if asked else optimizer


def _asks_for_nothing(name: str, value: Any) -> bool:
    if name not in _OF_FLAIR:
        return False
    nothing = _OF_FLAIR[name][0]
    return value is None or (isinstance(value, (bool, int, float)) and bool(value == nothing))


def _option_names(optimizer: OptimizerFactory) -> set[str]:
    """Return the names of an optimizer's parameters besides the weights and the learning rate."""
    try:
        parameters = list(inspect.signature(optimizer).parameters.values())
    except (TypeError, ValueError):  # some callables have no signature
        return set()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {parameter.name for parameter in parameters[1:] if parameter.kind in named} - {"lr"}
