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

from flairlite.storage.pickle_inspector import PickleInspector
from flairlite.storage.pickle_reader import ArchiveError

_MAX_PICKLE_SIZE = 64 << 20  # bytes; one byte of a pickle becomes up to about a hundred in memory


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


def open_archive(path: Path, *, with_records: bool = True) -> Archive:
    """Read the structure of a file that `torch.save` wrote.

    Args:
        path: The path of the file.
        with_records: Whether to read each record and compare it with its checksum.

    Raises:
        ArchiveError: If the file is damaged.
        Exception: Of many types, if the file has another format.
    """
    with zipfile.ZipFile(path) as archive:
        sizes = _check_layout(archive, path.stat().st_size)
        if with_records and (damaged := archive.testzip()):  # torch writes checksums but does not read them
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


def describe_archive(path: Path) -> Any:
    """Return the content of a model file, with the shape and size of each tensor in its place.

    Only the structure is read, and no record of a tensor: a file with a damaged tensor is not recognized.

    Raises:
        ArchiveError: If the file is damaged, or holds anything but plain containers and tensors.
        Exception: Of many types, if the file has another format.
    """
    archive = open_archive(path, with_records=False)
    return PickleInspector(archive.pickle, archive.size_of).content


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
