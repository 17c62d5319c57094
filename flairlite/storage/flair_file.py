"""Read the files that Flair 0.12 to 0.15.1 wrote: models, and the language models of `FlairEmbeddings`.

Since 0.12, Flair stores models as containers, tensors and objects of `flair.data.Dictionary`; earlier versions stored
whole embeddings as objects. The pickle of a file is read as data, so nothing in it is executed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flairlite.errors import ModelFileError
from flairlite.storage.archive_check import open_archive
from flairlite.storage.pickle_inspector import REBUILD_TENSOR, Storage, check_storage, check_tensor
from flairlite.storage.pickle_reader import ORDERED_DICT, ArchiveError, Instance, Name, PickleReader

DICTIONARY, BYTES = "flair.data Dictionary", "_io BytesIO"  # of the latter, transformers' tokenizers
_CARD = "model_card"  # settings of the training, which may be objects; it is dropped
_IN_CARDS = ("flair.", "torch.optim.", "pathlib ")
_ALLOWED = (DICTIONARY, BYTES, "torch float32", "torch float16", "torch bfloat16")  # types are in configurations
_FIRST_PROTOCOL, _LAST_PROTOCOL = 3, 5  # of pickles; Flair writes 4, flairlite and `torch.save` write 2
_REMEDY = (
    "Copy it again, or load and save it once with Flair 0.12 to 0.15.1: earlier versions stored objects, which can run "
    "code when they are loaded"
)


class _Names(dict[str, Callable[..., Any] | None]):
    """The names that a file of Flair may have; objects of a model card become `Instance`."""

    def __missing__(self, name: str) -> None:
        if not name.startswith(_IN_CARDS):
            raise KeyError(name)


def is_flair_file(path: Path) -> bool:
    """Return whether a file is an archive of torch whose pickle has the protocol that Flair writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next((name for name in archive.namelist() if name.partition("/")[2] == "data.pkl"), None)
            if name is None:
                return False
            with archive.open(name) as record:
                start = record.read(2)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return False
    return len(start) == 2 and start[:1] == b"\x80" and _FIRST_PROTOCOL <= start[1] <= _LAST_PROTOCOL


def read_flair_file(path: Path, *, required: tuple[str, ...] = ("state_dict",)) -> dict[str, Any]:
    """Read a file of Flair, with all tensors on the CPU; objects of `Dictionary` are `Instance`.

    Args:
        path: The file.
        required: The keys that it must have.

    Raises:
        ModelFileError: If the file is damaged, is not Flair's, or has objects of other classes.
    """
    try:
        reader = _read(path)
        content: dict[str, Any] = reader.content
        missing = [key for key in required if key not in content] if type(content) is dict else list(required)
        if missing:
            raise ArchiveError(f"it has no {', '.join(missing)}")
        content.pop(_CARD, None)
        _check_objects(reader.walk(content))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # for damaged files, zipfile raises many types
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelFileError(
            f"{path} is not a file of Flair 0.12 to 0.15.1 that can be read: {reason}. {_REMEDY}"
        ) from error
    return content


def _read(path: Path) -> PickleReader:
    archive = open_archive(path)
    tensors: dict[tuple[str, str], Tensor] = {}
    with zipfile.ZipFile(path) as records:
        order = f"{archive.folder}/byteorder"
        if order in archive.sizes and records.read(order) != b"little":
            raise ArchiveError("its numbers are big-endian")

        def rebuild(storage: Storage, offset: int, shape: Any, strides: Any, *rest: Any) -> Tensor:
            check_tensor(storage, offset, shape, strides, *rest[:2])
            key = storage.key, storage.dtype
            if key not in tensors:
                content = bytearray(records.read(f"{archive.folder}/data/{storage.key}"))
                tensors[key] = (
                    torch.frombuffer(content, dtype=getattr(torch, storage.dtype)) if content else torch.empty(0)
                )
            return tensors[key].as_strided(shape, strides, offset)

        names = _Names(
            {
                **ORDERED_DICT,
                REBUILD_TENSOR: rebuild,
                "torch._utils _rebuild_parameter": lambda tensor, *_: tensor,
                "torch.torch_version TorchVersion": lambda text: text,
                "torch Size": lambda sizes: sizes,
                "collections defaultdict": lambda *_: {},
                DICTIONARY: None,
                BYTES: None,
            }
        )
        return PickleReader(archive.pickle, names, lambda pid: check_storage(pid, archive.size_of))


def _check_objects(values: Iterable[Any]) -> None:
    """Refuse objects of all classes but those that Flair's models have."""
    for value in values:
        kind = value.kind if isinstance(value, Instance) else value
        if isinstance(kind, Storage) or (isinstance(kind, Name) and kind.name not in _ALLOWED):
            raise ArchiveError(f"it holds an object, {kind}, which flairlite does not read")
