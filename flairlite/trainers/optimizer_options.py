"""What `train` is given beside its own arguments: the optimizer's, and those of Flair's that are not here."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Collection, Mapping
from typing import Any

from flairlite.errors import SettingError
from flairlite.trainers.optimizers import OptimizerFactory

_RESUME = "an interrupted run goes on with trainer.resume(base_path)"
_SCHEDULER = "give plugins=[LinearSchedulerPlugin(warmup_fraction=0.1)]"

# arguments of Flair's, today's and older ones: what asks for nothing, and what to do for all else
_NOT_HERE: Mapping[str, tuple[Any, str]] = {
    "reduce_transformer_vocab": (False, "there are no transformers here"),
    "multi_gpu": (False, "a run trains on one device; choose it with device="),
    "epoch": (0, f"epochs are counted from 1; {_RESUME}"),
    "save_optimizer_state": (False, f"checkpoint.pt has the optimizer's state; {_RESUME}"),
    "gold_label_dictionary_for_eval": (None, "labels that the model does not know count as misses in evaluations"),
    "gold_label_dictionary": (None, "labels that the model does not know count as misses in evaluations"),
    "num_workers": (0, "words become integers once, before training: nothing is left for workers to do"),
    "checkpoint": (False, f"a checkpoint is always written; {_RESUME}"),
    "scheduler": (None, _SCHEDULER),
    "warmup_fraction": (None, f"fine_tune has it; or {_SCHEDULER}"),
    "cycle_momentum": (False, _SCHEDULER),
    "use_swa": (False, "average weights in a plugin of your own, at on_epoch_end"),
    "batch_growth_annealing": (False, "the size of batches stays: anneal the learning rate"),
    "anneal_against_dev_loss": (False, "annealing goes by main_evaluation_metric"),
    "param_selection_mode": (False, "leave create_file_logs and create_loss_file off, and save_final_model"),
    "use_tensorboard": (False, "give plugins=[TensorboardLogger()]"),
    "eval_on_train_fraction": (0.0, "say monitor_train_sample"),
    "monitor_train": (False, "say monitor_train_sample"),
    "save_best_model": (True, "say use_final_model_for_eval=True for no best model"),
}


def with_options(optimizer: OptimizerFactory, options: Mapping[str, Any], known: Collection[str]) -> OptimizerFactory:
    """Bind options to an optimizer, as `weight_decay=0.01`.

    Args:
        optimizer: Makes an optimizer of the parameters and `lr`.
        options: What `train` was given beside its own arguments.
        known: The arguments of `train`, for what may be a slip of the pen.

    Raises:
        SettingError: when an option is not the optimizer's; it says what to do instead.
    """
    chosen = {name: value for name, value in options.items() if not _is_nothing(name, value)}
    accepted = _arguments(optimizer)
    for name in chosen:
        if name in _NOT_HERE:
            raise SettingError(f"train has no {name}: {_NOT_HERE[name][1]}")
        if name not in accepted:
            near = difflib.get_close_matches(name, [*known, *accepted], n=1)
            also = ", ".join(sorted(accepted)) or "nothing"
            hint = f"Did you mean {near[0]}?" if near else "Leave it out"
            raise SettingError(f"train has no argument {name!r}, and the optimizer takes {also}. {hint}")
    return functools.partial(optimizer, **chosen) if chosen else optimizer


def _is_nothing(name: str, value: Any) -> bool:
    return name in _NOT_HERE and (value is None or value == _NOT_HERE[name][0])


def _arguments(optimizer: OptimizerFactory) -> set[str]:
    """Return the names that an optimizer takes besides its parameters and the learning rate."""
    try:
        parameters = list(inspect.signature(optimizer).parameters.values())
    except (TypeError, ValueError):  # something that has no signature
        return set()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {parameter.name for parameter in parameters[1:] if parameter.kind in named} - {"lr"}
