"""Save and load models with their embeddings and tokenizers."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from flairlite.bundled import find_bundled, path_of_model
from flairlite.checks import file_path
from flairlite.embeddings.base import embedding_from_params, embedding_to_params
from flairlite.errors import FlairliteError, LabelError, ModelFileError, SettingError
from flairlite.models.tag_heads import TagHeads
from flairlite.runtime import get_device
from flairlite.storage.allocation_limit import AllocationLimit
from flairlite.storage.atomic import temporary_files
from flairlite.storage.model_file import read_model_file, write_model_file
from flairlite.storage.pickle_reader import ArchiveError
from flairlite.tokenization import Tokenizer

if TYPE_CHECKING:
    from flairlite.models.model import Model

    ModelType = TypeVar("ModelType", bound=Model)

log = logging.getLogger("flairlite")

MODEL_CLASSES: dict[str, type[Model]] = {}  # by the name that model files contain


class StoredSettingError(ModelFileError, SettingError):
    """The settings in a model file are invalid."""


def register_model_class(model_class: type[Model]) -> None:
    """Make a class known to `load_model`.

    Raises:
        SettingError: If a class of the same name exists in another module, as one of them could not be loaded.
    """
    name = model_class.__name__
    known = MODEL_CLASSES.get(name, model_class)
    if not _have_same_origin(known.__module__, model_class.__module__):
        raise SettingError(
            f"there is a model class {name} in {known.__module__} already, and model files contain only the name: "
            f"rename the class in {model_class.__module__}"
        )
    MODEL_CLASSES[name] = model_class


def _have_same_origin(module: str, other: str) -> bool:
    """Return whether two modules are the same, or made from one file, as `__main__` may be."""
    files = [getattr(sys.modules.get(name), "__file__", None) for name in (module, other)]
    return module == other or (files[0] is not None and files[0] == files[1])


def save_model(model: Model, model_file: str | Path, *, whole: bool = True, half_precision: bool = False) -> None:
    """Write a model with its embeddings to a file; see `Model.save`."""
    state = model.state_dict()
    content = {
        "class": type(model).__name__,
        "settings": model.settings(),
        "tokenizer": tokenizer_to_params(model.tokenizer),
        "embeddings": embedding_to_params(model.embeddings, whole=whole),
        "state": _halve(state) if half_precision else state,
        "training": model.training_record,
    }
    write_model_file(file_path("model_file", model_file), content)


def load_model(
    model_class: type[ModelType], model_path: str | Path, device: str | torch.device | None = None
) -> ModelType:
    """Load a model of a class, or of a subclass; see `Model.load`."""
    device = get_device(device)
    path = file_path("model_path", model_path)
    bundled = find_bundled(path)
    path = path_of_model(path)
    content = _read(path)
    name = content.get("class")
    found_class = MODEL_CLASSES.get(name) if isinstance(name, str) else None
    if found_class is None:
        raise ModelFileError(
            f"{path} holds a {name}, an unknown class: upgrade flairlite, or import the module of the class first"
        )
    if not issubclass(found_class, model_class):
        raise ModelFileError(f"{path} holds a {name}: load it with {name}.load")
    try:
        model = _build(found_class, content, path.stat().st_size)
    except (SettingError, LabelError) as error:
        raise StoredSettingError(f"{path} holds invalid settings: {error}. Copy it again, or train again") from error
    except ArchiveError as error:
        raise ModelFileError(f"{path} is damaged: {error}. Copy it again, or train again") from error
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except (FlairliteError, MemoryError):
        raise
    except Exception as error:  # the content of a file may be anything
        if _comes_from_user_code(error, found_class):
            raise
        raise ModelFileError(f"{path} is damaged: {error!r}. Copy it again, or train again") from error
    if bundled is not None and isinstance(model, TagHeads):
        model.drop_heads(*(name for name in model.label_types if name != bundled.label_type))
        model.forget_soft_labels()  # their teachers are not part of the package
    return model.to(device).eval()


def _read(path: Path) -> dict[str, Any]:
    from flairlite.storage.flair_file import is_flair_file

    if is_flair_file(path):
        from flairlite.models.from_flair import read_flair_model

        return read_flair_model(path)
    return read_model_file(path)


def model_to_bytes(model: Model) -> bytes:
    """Return the content of the file that `save_model` writes."""
    with temporary_files() as folder:
        path = folder / "model.pt"
        save_model(model, path)
        return path.read_bytes()


def model_from_bytes(content: bytes, device: str | torch.device | None = None) -> Model:
    """Load a model from the content of a file, on a device or, if this machine lacks it, on the default device."""
    from flairlite.models.model import Model

    try:
        found = get_device(device)
    except SettingError:
        found = get_device()
    with temporary_files() as folder:
        path = folder / "model.pt"
        path.write_bytes(content)
        return load_model(Model, path, found)  # type: ignore[type-abstract]  # a subclass is loaded


def convert(old: str | Path, new: str | Path) -> None:
    """Write a model that Flair 0.12 to 0.15.1 wrote, or an older file of flairlite, as a model file of flairlite.

    Args:
        old: The path of the model.
        new: The path of the file to write.

    Raises:
        ModelFileError: If `old` cannot be loaded; see `Model.load`.
        FileWriteError: If `new` cannot be written.
    """
    from flairlite.models.model import Model

    save_model(Model.load(old, device="cpu"), new)


def _build(model_class: type[ModelType], content: dict[str, Any], file_size: int) -> ModelType:
    with AllocationLimit(file_size):
        model = model_class.from_settings(content["settings"], embedding_from_params(content["embeddings"]))
    try:
        model.load_state_dict(content["state"])
    except RuntimeError as error:
        raise ModelFileError(
            f"it is damaged, or was written by another version of {model_class.__name__}: {str(error)[:300]}"
        ) from error
    labels = [name for task in model.tasks for name in (task.label_type, *task.label_names)]
    if any(type(name) is not str for name in (*labels, *model.embeddings.fields)):
        raise TypeError("a label or a label type is not a string")
    record = content.get("training")
    model.training_record = record if isinstance(record, dict) else None
    params = content.get("tokenizer")
    if params is not None:
        try:
            model.tokenizer = Tokenizer.from_dict(params)
        except SettingError as error:
            raise ModelFileError(f"the tokenizer of the model cannot be built: {error}") from error
    return model


def _halve(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in float16, except those whose values it cannot hold; loading converts them back."""
    halved: dict[tuple[int, torch.Size], Tensor] = {}  # weights that share their memory still share it
    for weight in weights.values():
        half = weight.half() if weight.dtype == torch.float32 else weight
        is_held = torch.equal(half.isinf(), weight.isinf())
        halved.setdefault((weight.data_ptr(), weight.shape), half if is_held else weight)
    return {name: halved[weight.data_ptr(), weight.shape] for name, weight in weights.items()}


def _comes_from_user_code(error: Exception, model_class: type[Model]) -> bool:
    """Return whether an error may be a bug in a class of the user, rather than a damaged file."""
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    packages = {module.partition(".")[0] for module in (model_class.__module__, *modules)}
    return not packages <= {"flairlite", "torch", "numpy", *sys.stdlib_module_names}


def tokenizer_to_params(tokenizer: Tokenizer | None) -> dict[str, Any] | None:
    """Return a tokenizer as plain values, or None, with a warning, for one that wraps a function."""
    if tokenizer is None:
        return None
    params = tokenizer.to_dict()
    if params.get("serializable", True):
        return params
    log.warning(
        "The model file does not contain the tokenizer %s, which wraps a function: assign model.tokenizer after "
        "loading",
        tokenizer.name,
    )
    return None
