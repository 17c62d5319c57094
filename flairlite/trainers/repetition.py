"""Repeat a run from its run.json, and tell whether the result is the same to the last bit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler

from flairlite import datasets, runtime
from flairlite.data import Corpus
from flairlite.data.recipe import NotRepeatableError, corpus_from_plain
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.registry import embedding_from_params
from flairlite.embeddings.vectors import stored_vectors
from flairlite.errors import FlairliteError, ModelFileError, TrainingError
from flairlite.files import make_folder
from flairlite.models import Model
from flairlite.trainers.callback import Callback
from flairlite.trainers.fingerprints import differences, hash_weights
from flairlite.trainers.folder import locked
from flairlite.trainers.optimizers import OptimizerFactory
from flairlite.trainers.plugins.base import BasePlugin
from flairlite.trainers.record import read_record
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.trainer import ModelTrainer

_CHANGERS: dict[str, Callable[..., Any]] = {
    method.__name__: method
    for method in (
        Corpus.downsample,
        Corpus.filter_empty_sentences,
        Corpus.filter_long_sentences,
        Corpus.add_label_noise,
    )
}


@dataclass(frozen=True)
class Repetition:
    """A run that was repeated.

    Attributes:
        base_path: Where.
        values: What training returned.
        differences: What of the result is not the same; empty when all is, to the last bit.
        circumstances: What of versions and machine is not the same.
    """

    base_path: Path
    values: dict[str, Any]
    differences: list[str]
    circumstances: list[str]


def rerun(
    record: str | Path,
    base_path: str | Path | None = None,
    *,
    model: Model | None = None,
    corpus: Corpus | None = None,
    plugins: Sequence[Callback | BasePlugin] = (),
    sampler: Sampler[int] | type[Sampler[int]] | None = None,
    optimizer: OptimizerFactory | None = None,
    device: str | torch.device | None = None,
) -> Repetition:
    """Repeat a run with the settings, the seed, the data, the first weights and the number of threads that it had.

    The corpus is made again where it was a prepared one or came from files, whatever was then done to it with
    `downsample`, the filters or `add_label_noise`; the model where it was freshly made, on word vectors that can be had
    again. What was made of Python's own values, or trained before, must be given, as must plugins, a sampler and an
    optimizer that is not one of torch's. Before training, hashes tell whether all is what it was.

    Args:
        record: The run.json, or its folder.
        base_path: Where to write; beside the run's folder, with `-rerun` behind its name, when None.
        model: The model, where it cannot be made again.
        corpus: The corpus, where it cannot be made again.
        plugins: The plugins of the run.
        sampler: The sampler of the run, if it had one.
        optimizer: What made its optimizer, where that is not one of torch's.
        device: Where to train; the default device when None.

    Raises:
        DataFormatError: when the file is no record of a run.
        TrainingError: when the run did not end, or something cannot be made again and is not given.
        SettingError: when something that is given is not what it was.
    """
    before = read_record(record)
    if before["result"] is None:
        raise TrainingError(f"the run of {record} did not end, so there is nothing to compare with: resume it first")
    folder = Path(record).resolve()
    folder = folder if folder.is_dir() else folder.parent
    target = Path(base_path) if base_path is not None else folder.with_name(f"{folder.name}-rerun")
    if target.resolve() == folder:
        raise TrainingError(f"{target} is the folder of the run itself: give another one to repeat it in")
    settings = TrainingSettings.from_plain(before["settings"], optimizer=optimizer)
    corpus = corpus or _make_corpus(before["corpus"])
    with _threads(before["parts"][-1]["threads"]):
        trainer = ModelTrainer(model or _make_model(before), corpus)
        with locked(make_folder(target)):
            values = trainer._run(target, settings, plugins, sampler, device, None, inputs=before["inputs"])
    after = read_record(target)
    results = differences(_without(after["result"], "finished"), _without(before["result"], "finished"))
    circumstances = differences(_without(after["parts"][-1], "started"), _without(before["parts"][-1], "started"))
    return Repetition(target, values, results, circumstances)


def _without(figures: Mapping[str, Any], time: str) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != time}


def _make_corpus(described: Mapping[str, Any]) -> Corpus:
    name, recipe = described["name"], described["recipe"]
    if recipe is None:
        raise TrainingError(
            f"the corpus {name} cannot be made again: {described['not_repeatable']}. Make it as it was made, and "
            "give it to flairlite.trainers.rerun as corpus="
        )
    makers = {maker: getattr(datasets, maker) for maker in datasets.__all__}
    try:
        return corpus_from_plain(recipe, makers, _CHANGERS)
    except (NotRepeatableError, TypeError) as error:
        raise TrainingError(f"the corpus {name} cannot be made again: {error}. Give it as corpus=") from error


def _make_model(record: Mapping[str, Any]) -> Model:
    """Make the model with the first weights that it had, which a seed gave."""
    remedy = "Make it as it was made, and give it to flairlite.trainers.rerun as model="
    described, params = record["inputs"]["model"], record["embeddings"]
    if params is None:
        raise TrainingError(f"the model cannot be made again: its embeddings were made of values in memory. {remedy}")
    try:
        for seed in dict.fromkeys((record["default_seed"], record["settings"]["seed"], 0)):
            with _default_seed(seed):
                embeddings = embedding_from_params(_with_vectors(params))
                model = _model_class(described["class"]).from_settings(described["settings"], embeddings)
            if hash_weights(model.state_dict()) == record["initial_weights"]:
                return model
    except FlairliteError as error:
        raise TrainingError(f"the model cannot be made again: {error}. {remedy}") from error
    raise TrainingError(
        "the model cannot be made again: no seed known gives the weights that it began with. It was trained before, or "
        f"has a seed of its own. {remedy}"
    )


def _model_class(name: str) -> type[Model]:
    if name not in Model._classes:
        raise ModelFileError(f"there is no model {name!r}: import the module of the class first where it is your own")
    return Model._classes[name]


def _with_vectors(params: Any) -> Any:
    """Return parameters of embeddings with word vectors that this cache has: another one has another name for them."""
    if isinstance(params, list):
        return [_with_vectors(item) for item in params]
    if not isinstance(params, dict):
        return params
    if params.get("class") == "WordEmbeddings" and "entry" in params:
        try:
            stored_vectors(params["entry"])
        except ModelFileError:
            return {**params, "entry": WordEmbeddings(params["name"]).vectors.entry}
    return {key: _with_vectors(value) for key, value in params.items()}


@contextlib.contextmanager
def _default_seed(seed: int) -> Iterator[None]:
    old = runtime.get_seed()
    runtime.set_seed(seed)
    try:
        yield
    finally:
        runtime.set_seed(old)


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    old = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(old)
