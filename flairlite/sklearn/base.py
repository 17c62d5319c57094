"""What the estimators share: embeddings of parameters, training in a temporary folder, pickles with a model file."""

from __future__ import annotations

import copy
import inspect
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from flairlite.checks import number, shown
from flairlite.data import Corpus, Sentence
from flairlite.data.dataset import draw, select
from flairlite.embeddings import (
    Embeddings,
    StackedEmbeddings,
    SubwordEmbeddings,
    TokenEmbeddings,
    WordEmbeddings,
    WordShapeEmbeddings,
)
from flairlite.errors import SettingError
from flairlite.models import Model
from flairlite.models.serialization import model_from_bytes, model_to_bytes
from flairlite.runtime import get_seed, hide_progress
from flairlite.storage.atomic import temporary_files
from flairlite.trainers import Callback, ModelTrainer, TrainingState

log = logging.getLogger("flairlite")

AnyModel = TypeVar("AnyModel", bound=Model)


@dataclass(eq=False, repr=False)  # scikit-learn reads the parameters from the constructor, and has a repr
class FlairliteEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Trains a model on lists of Python values; the subclasses say which model.

    A pickled estimator contains its model as a model file, so it can be loaded on a machine without the device that the
    model was trained on.
    """

    embeddings: Any = None
    _: KW_ONLY
    max_epochs: int = 20
    learning_rate: float = 0.01
    mini_batch_size: int = 32
    optimizer: Any = "Adam"
    validation_fraction: float = 0.0
    model_options: Mapping[str, Any] | None = None
    train_options: Mapping[str, Any] | None = None
    device: Any = None
    random_state: Any = None
    verbose: bool = False
    model_: Model = field(init=False)

    def _train(self, make_model: Callable[[int], AnyModel], sentences: Sequence[Sentence]) -> AnyModel:
        """Train a model that a function makes of a seed, and set `history_`."""
        fraction = number(least=0, below=1)("validation_fraction", self.validation_fraction)
        num_dev = max(1, round(len(sentences) * fraction)) if fraction else 0
        if num_dev >= len(sentences):
            raise SettingError(f"validation_fraction={fraction} leaves none of {len(sentences)} examples to train on")
        seed = self._draw_seed()
        dev = draw(len(sentences), num_dev, seed)
        rest = sorted(set(range(len(sentences))).difference(dev))
        corpus = Corpus(select(sentences, rest), select(sentences, dev) if dev else None)
        model = make_model(seed)
        options = {
            "max_epochs": self.max_epochs,
            "learning_rate": self.learning_rate,
            "mini_batch_size": self.mini_batch_size,
            "optimizer": self.optimizer,
            "seed": seed,
            "device": self.device,
            "create_file_logs": False,
            "create_loss_file": False,
            "save_final_model": False,
            "checkpoint_every": 0,
            **_check_options("train_options", self.train_options, {"base_path"}),
        }
        given = options.get("plugins") or ()
        if not isinstance(given, (list, tuple)):
            raise SettingError(f"plugins in train_options must be a list; it is {shown(given)}")
        options["plugins"] = [*given, _Interruption()]
        with temporary_files() as folder, _quiet(not self.verbose):
            result = ModelTrainer(model, corpus).train(folder, **options)
        self.history_ = {name: values for name, values in result.items() if name.endswith("_history") and values}
        return model

    def _read_model_options(self, model: type[Model]) -> dict[str, Any]:
        """Return the further arguments of a class of models.

        Raises:
            SettingError: If the class has no such argument, or the estimator gives it itself.
        """
        known = inspect.signature(model).parameters
        options = _check_options("model_options", self.model_options, set(list(known)[:3]))
        if unknown := [name for name in options if name not in known]:
            raise SettingError(f"model_options has {', '.join(unknown)}, but {model.__name__} takes {', '.join(known)}")
        return options

    def _draw_seed(self) -> int:
        if self.random_state is None:
            return get_seed()
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _make_embeddings(self, seed: int) -> Any:
        """Return new embeddings, so that training never changes the parameter `embeddings`."""
        given = self.embeddings
        if isinstance(given, Embeddings):
            return copy_embeddings(given)
        if given is None:  # of any language, without a download
            return StackedEmbeddings(
                [SubwordEmbeddings(num_embeddings=10_000, max_length=4, seed=seed), WordShapeEmbeddings(seed=seed)]
            )
        is_list = isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping, type))
        listed = [
            WordEmbeddings(item) if isinstance(item, (str, Path)) else item for item in (given if is_list else [given])
        ]
        if not listed or not all(isinstance(item, TokenEmbeddings) for item in listed):
            raise SettingError(
                "embeddings must be embeddings, a name or file of word vectors, a list of these, or None for trained "
                f"ones; it is {shown(given)}"
            )
        return StackedEmbeddings(list(map(copy_embeddings, listed)))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if isinstance(state.get("model_"), Model):
            state["model_"] = model_to_bytes(state["model_"])
        if isinstance(state.get("embeddings"), Embeddings):
            state["embeddings"] = copy_embeddings(state["embeddings"]).to("cpu")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if isinstance(state.get("model_"), bytes):
            state["model_"] = model_from_bytes(state["model_"], state.get("device"))
        super().__setstate__(state)


def _check_options(name: str, given: Any, own: Collection[str]) -> dict[str, Any]:
    """Return a parameter that has arguments of a function, without those that the estimator gives itself."""
    if not isinstance(given, (Mapping, type(None))) or not all(isinstance(key, str) for key in given or ()):
        raise SettingError(f"{name} must be a dict of names and values of arguments; it is {shown(given)}")
    if taken := [key for key in given or () if key in own]:
        raise SettingError(f"{name} must not have {', '.join(taken)}, which the estimator gives itself")
    return dict(given or {})


Given = TypeVar("Given", bound=Embeddings)


def copy_embeddings(embeddings: Given) -> Given:
    """Return a copy with weights of its own, which shares fixed word vectors, as those never change."""
    memo: dict[int, Any] = {}
    for module in embeddings.modules():
        if isinstance(module, WordEmbeddings):
            memo[id(module.vectors)] = module.vectors
    return copy.deepcopy(embeddings, memo)


class _Interruption(Callback):
    """Raises KeyboardInterrupt after Ctrl-C, which only ends training early otherwise: a search would go on."""

    def on_train_end(self, state: TrainingState) -> None:
        """Raise the error, unless another plugin has ended training."""
        if state.is_interrupted and state.stop_reason is None:
            raise KeyboardInterrupt


@contextmanager
def _quiet(is_quiet: bool) -> Iterator[None]:
    """Hide progress, and all messages of this thread but errors."""
    if not is_quiet:
        yield
        return
    thread = threading.get_ident()

    def passes(record: logging.LogRecord) -> bool:
        return record.thread != thread or record.levelno >= logging.ERROR

    log.addFilter(passes)
    try:
        with hide_progress():
            yield
    finally:
        log.removeFilter(passes)
