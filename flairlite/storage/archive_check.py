"""Check model files before torch reads them.

`torch.load(weights_only=True)` executes no code from a file, but trusts the sizes that the file declares: it allocates
them, and a tensor that is larger than its record would read other memory. Files whose declared sizes do not match are
rejected here first.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from flairlite.storage.pickle_inspector import PickleInspector
from flairlite.storage.pickle_reader import ArchiveError

_MAX_PICKLE_SIZE = 64 << 20  # bytes; one byte of a pickle becomes up to about a hundred in memory
_EXTRA_ELEMENTS, _EXTRA_TENSORS = 1 << 20, 100  # that a model may have in addition to those in its file
_MIN_RECORD_SIZE = 64  # bytes that any tensor takes in a file


@dataclass(frozen=True)
class Archive:
    """The structure of a file that `torch.save` wrote.

    Attributes:
        pickle: The record `data.pkl`.
        folder: The folder of all records in the archive.
        sizes: The bytes of each record.
    """

    pickle: bytes
    folder: str
    sizes: dict[str, int]

    def size_of(self, key: str) -> int | None:
        """Return the bytes of the record of a tensor, or None if there is none with this key."""
        return self.sizes.get(f"{self.folder}/data/{key}")


def open_archive(path: Path) -> Archive:
    """Read the structure of a file that `torch.save` wrote, and compare each record with its checksum.

    Raises:
        ArchiveError: If the file is damaged.
        Exception: Of many types, if the file has another format.
    """
    with zipfile.ZipFile(path) as archive:
        sizes = _check_layout(archive, path.stat().st_size)
        if damaged := archive.testzip():  # torch writes checksums but does not read them
            raise ArchiveError(f"the record {damaged} does not match its checksum")
        name = next((name for name in sizes if name.partition("/")[2] == "data.pkl"), None)
        if name is None:
            raise ArchiveError("it has no record data.pkl")
        if sizes[name] > _MAX_PICKLE_SIZE:
            raise ArchiveError(f"its record data.pkl has {sizes[name]:,} bytes; the maximum is {_MAX_PICKLE_SIZE:,}")
        return Archive(archive.read(name), name.partition("/")[0], sizes)


def check_archive(path: Path) -> None:
    """Check a model file of flairlite, reading each record once and creating no tensor.

    Raises:
        ArchiveError: If the file is damaged, or holds anything but plain containers and tensors.
        Exception: Of many types, if the file has another format.
    """
    archive = open_archive(path)
    PickleInspector(archive.pickle, archive.size_of)


def _check_layout(archive: zipfile.ZipFile, file_size: int) -> dict[str, int]:
    """Return the size of each record, after checking that all readers of the archive would find the same records."""
    records = archive.infolist()
    sizes = {record.filename: record.file_size for record in records}
    if len(sizes) != len(records) or len({name.partition("/")[0] for name in sizes}) != 1:
        raise ArchiveError("its records do not have distinct names in one folder")
    if archive.comment or records[0].header_offset or sum(sizes.values()) > file_size:
        raise ArchiveError("its records overlap or are not contiguous")
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.compress_size != record.file_size:
            raise ArchiveError(f"its record {record.filename} is compressed, which flairlite never does")
        if record.external_attr:  # torch writes 0, and would read nothing of a record marked as a folder
            raise ArchiveError(f"its record {record.filename} has file attributes, which torch never writes")
    return sizes


class AllocationLimit(TorchFunctionMode):
    """Limits the tensors and elements that are created to what a file can hold, as the sizes in it can be any numbers.

    Args:
        file_size: Bytes of the file; an element of a weight takes at least one byte.
    """

    _FACTORIES = frozenset((torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn))

    def __init__(self, file_size: int) -> None:
        super().__init__()
        self._elements_left = file_size + _EXTRA_ELEMENTS
        self._tensors_left = file_size // _MIN_RECORD_SIZE + _EXTRA_TENSORS

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self._FACTORIES and kwargs.get("out") is None:
            size = {"size": kwargs["size"]} if "size" in kwargs else {}
            self._elements_left -= torch.empty(*args, **size, device="meta").numel()  # allocates no memory
            self._tensors_left -= 1
            if min(self._elements_left, self._tensors_left) < 0:
                raise ArchiveError("its settings describe a model that is larger than the file")
        return func(*args, **kwargs)
