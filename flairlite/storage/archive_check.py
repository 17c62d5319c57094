"""What may be in a model file: plain containers and whole tensors. It is looked at before writing and before loading.

`torch.load(weights_only=True)` runs no code of a file, but it believes what a file says of itself: it allocates what it
is told to, and a tensor that is larger than its record reads other memory. So nothing is given to it that lies.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from flairlite.storage.pickle_inspector import ArchiveError, Outline

_MAX_STRUCTURE = 64 << 20  # bytes of everything but tensors; one byte becomes up to about a hundred in memory
_SPARE, _SPARE_TENSORS = 1 << 20, 100  # elements, and tensors, that a model may have beside those in its file
_RECORD = 64  # bytes of a file at least that a tensor takes, however small


def check_archive(path: Path) -> None:
    """Check a file that torch wrote, reading each record once and making no tensor.

    Raises:
        ArchiveError: when it is damaged, or holds anything but plain containers and tensors.
        Exception: of many kinds, when it is of another format.
    """
    with zipfile.ZipFile(path) as archive:
        sizes = _check_layout(archive, path.stat().st_size)
        _check_checksums(archive)
        name = next((name for name in sizes if name.partition("/")[2] == "data.pkl"), None)
        if name is None:
            raise ArchiveError("it has no record data.pkl")
        if sizes[name] > _MAX_STRUCTURE:
            raise ArchiveError(f"its record data.pkl has {sizes[name]:,} bytes, and {_MAX_STRUCTURE:,} are the most")
        structure = archive.read(name)
    folder = name.partition("/")[0]
    Outline(structure, lambda key: sizes.get(f"{folder}/data/{key}"))


def _check_layout(archive: zipfile.ZipFile, file_size: int) -> dict[str, int]:
    """Return the size of each record; there is one way to read the archive, and no record becomes larger when read."""
    records = archive.infolist()
    sizes = {record.filename: record.file_size for record in records}
    if len(sizes) != len(records) or len({name.partition("/")[0] for name in sizes}) != 1:
        raise ArchiveError("its records have not each a name of their own, in one folder")
    if archive.comment or records[0].header_offset or sum(sizes.values()) > file_size:
        raise ArchiveError("its records do not lie one behind the other")
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.compress_size != record.file_size:
            raise ArchiveError(f"its record {record.filename} is compressed, which flairlite never does")
        if record.external_attr:  # torch writes 0, and of what looks like a folder it would read nothing
            raise ArchiveError(f"the record {record.filename} does not fit its checksum")
    return sizes


def _check_checksums(archive: zipfile.ZipFile) -> None:
    """Compare each record with its checksum, which torch writes but does not read: weights could silently be others."""
    if damaged := archive.testzip():
        raise ArchiveError(f"the record {damaged} does not fit its checksum")


class AtMost(TorchFunctionMode):
    """Lets no more tensors and elements be made than a file of a size can hold: sizes in a file may be any numbers.

    Args:
        file_size: Bytes of the file; no element of a weight is smaller than one.
    """

    _MAKERS = frozenset((torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn))

    def __init__(self, file_size: int) -> None:
        super().__init__()
        self._left = file_size + _SPARE
        self._tensors_left = file_size // _RECORD + _SPARE_TENSORS

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self._MAKERS and kwargs.get("out") is None:
            size = {"size": kwargs["size"]} if "size" in kwargs else {}
            self._left -= torch.empty(*args, **size, device="meta").numel()  # which takes no memory
            self._tensors_left -= 1
            if min(self._left, self._tensors_left) < 0:
                raise ArchiveError("its settings describe a model that is larger than the file")
        return func(*args, **kwargs)
