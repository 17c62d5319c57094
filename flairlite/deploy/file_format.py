"""The format of exported models: one ONNX file with settings, words, vectors and the network.

An ONNX file is a message of Protocol Buffers, a sequence of fields in any order. An exported model begins with two
fields whose numbers ONNX does not use, so that ONNX's readers skip them:

- the header: a magic number, the SHA-256 of the rest of the header, and the settings as JSON, which contain the format
  version, the type, shape and offset of each array, and the SHA-256 of the arrays and of the network;
- the arrays, aligned in the file so that they can be mapped into memory.

The fields of the network follow. Each byte of the file is compared with a hash or with its expected value. Strings,
numbers and arrays are all that a file contains: loading it executes nothing from it.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from flairlite.errors import ModelFileError
from flairlite.storage.atomic import atomic_write
from flairlite.storage.description import EXPORT_MAGIC, describe_format, describe_missing
from flairlite.version import __version__

FORMAT_VERSION = 3  # 2: several label types; more kinds of embeddings; 3: transformers, language models
Arrays = Mapping[str, NDArray[Any]]

_HEADER_FIELD, _ARRAYS_FIELD = 30_001, 30_002  # ONNX's fields have numbers below 100
_DIGEST_SIZE = hashlib.sha256().digest_size
_ALIGNMENT = 64
_MAX_HEADER_SIZE = 64 << 20
_START_SIZE = 16 + len(EXPORT_MAGIC)  # bytes of the number and the size of a field, at most, and of the magic number
_BLOCK_SIZE = 1 << 20
_DTYPES = ("uint8", "bool", "int16", "int32", "int64", "uint64", "float32")


@dataclass(frozen=True)
class ExportedFile:
    """The content of an exported model.

    Attributes:
        settings: Plain containers, strings and numbers.
        arrays: Arrays by name; those that were read are mapped into memory and cannot be written.
        network: The model in ONNX's format.
    """

    settings: dict[str, Any]
    arrays: Arrays
    network: bytes


def write_export(path: Path, content: ExportedFile) -> None:
    """Write an exported model atomically.

    Raises:
        FileWriteError: If the file cannot be written.
    """
    table, size = _lay_out(content.arrays)
    header: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "flairlite_version": __version__,
        "settings": content.settings,
        "arrays": {"table": table, "size": size, "sha256": _hash_arrays(content.arrays, table, size)},
        "network": {"size": len(content.network), "sha256": hashlib.sha256(content.network).hexdigest()},
    }
    body = json.dumps(header, separators=(",", ":")).encode("ascii")
    while _offset_of_arrays(len(body), size) % _ALIGNMENT:
        body += b" "
    with atomic_write(path) as file:
        file.write(_field_key(_HEADER_FIELD, _header_size(len(body))))
        file.write(EXPORT_MAGIC + hashlib.sha256(body).digest() + body)
        file.write(_field_key(_ARRAYS_FIELD, size))
        for block in _blocks(content.arrays, table, size):
            file.write(block)
        file.write(content.network)


def is_export(path: Path) -> bool:
    """Return whether a file begins as an exported model does."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return EXPORT_MAGIC in file.read(_START_SIZE)
    except OSError:  # who loads the model reports it
        return False


def read_export(path: Path) -> ExportedFile:
    """Read an exported model; each byte is checked, but only the pages of arrays that are used stay in memory.

    Raises:
        ModelFileError: If the file is missing, not an exported model, damaged, incomplete, or of a newer format.
    """
    if not path.is_file():
        raise ModelFileError(describe_missing(path, "exported model", suffix=".onnx", source="model.export"))
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except PermissionError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. Change its permissions") from error


def _read(path: Path, file: IO[bytes]) -> ExportedFile:
    start = file.read(_START_SIZE)
    if EXPORT_MAGIC not in start:
        raise _not_an_export(path)
    key, header_size = start[: start.index(EXPORT_MAGIC)], 0
    try:
        header_size = _parse_size(key, _HEADER_FIELD)
        file.seek(len(key))
        header = _parse_header(file.read(min(header_size, _MAX_HEADER_SIZE)))
        version = header["format_version"]
        if type(version) is not int or version < 1:
            raise _damage(path, f"its format version is {version!r}")
        if version > FORMAT_VERSION:
            raise ModelFileError(
                f"{path} has format {version}, but this is flairlite {__version__}, which reads formats up to "
                f"{FORMAT_VERSION}: install flairlite {header['flairlite_version']} or newer"
            )
        return _read_sections(path, file, len(key) + header_size, header)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise _damage(path, str(error) or type(error).__name__) from error


def _read_sections(path: Path, file: IO[bytes], start: int, header: dict[str, Any]) -> ExportedFile:
    arrays_size, network_size = header["arrays"]["size"], header["network"]["size"]
    key = _field_key(_ARRAYS_FIELD, arrays_size)
    start += len(key)
    expected, found = start + arrays_size + network_size, path.stat().st_size
    if found < expected:
        raise _damage(path, f"it is cut: it has {found:,} of {expected:,} bytes")
    if found > expected:
        raise _damage(path, f"it has {found - expected:,} bytes more than expected")
    if file.read(len(key)) != key:
        raise ValueError("its arrays have another size than its header says")
    if _hash_next(file, arrays_size) != header["arrays"]["sha256"]:
        raise ValueError("the words or vectors do not match their hash")
    network = file.read(network_size)
    if hashlib.sha256(network).hexdigest() != header["network"]["sha256"]:
        raise ValueError("the network does not match its hash")
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    arrays = {
        str(name): _map_array(mapped, start, arrays_size, *entry) for name, entry in header["arrays"]["table"].items()
    }
    return ExportedFile(header["settings"], arrays, network)


def _parse_header(content: bytes) -> dict[str, Any]:
    body = content[len(EXPORT_MAGIC) + _DIGEST_SIZE :]
    if hashlib.sha256(body).digest() != content[len(EXPORT_MAGIC) : len(EXPORT_MAGIC) + _DIGEST_SIZE]:
        raise ValueError("the header is cut or does not match its hash")
    header = json.loads(body)
    if not isinstance(header, dict):
        raise ValueError(f"the header is a {type(header).__name__}")
    return header


def _map_array(mapped: mmap.mmap, start: int, size: int, dtype: str, shape: list[int], offset: int) -> NDArray[Any]:
    """Return an array of a file, after checking that it lies within the arrays."""
    if dtype not in _DTYPES or not all(type(length) is int and length >= 0 for length in [*shape, offset]):
        raise ValueError(f"an array is {dtype!r:.20} of {shape!r:.40} at {offset!r:.20}")
    count = math.prod(shape)
    if offset % _ALIGNMENT or offset + count * np.dtype(dtype).itemsize > size:
        raise ValueError(f"an array of {shape!r:.40} at {offset:,} does not lie within the arrays")
    return np.frombuffer(mapped, dtype=np.dtype(dtype).newbyteorder("<"), count=count, offset=start + offset).reshape(
        shape
    )


def _lay_out(arrays: Arrays) -> tuple[dict[str, tuple[str, list[int], int]], int]:
    """Return dtype, shape and offset of each array, and the size of all."""
    table, end = {}, 0
    for name, array in arrays.items():
        if array.dtype.name not in _DTYPES:
            raise TypeError(f"{name} is {array.dtype}")
        table[name] = (array.dtype.name, list(array.shape), end)
        end += array.nbytes + -array.nbytes % _ALIGNMENT
    return table, end


def _blocks(arrays: Arrays, table: Mapping[str, tuple[str, list[int], int]], size: int) -> Iterator[bytes | memoryview]:
    """Yield the arrays as they are in the file, with zeros between them."""
    end = 0
    for name, (_, _, offset) in table.items():
        yield bytes(offset - end)
        array = arrays[name]
        data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
        yield data.data
        end = offset + len(data)
    yield bytes(size - end)


def _hash_arrays(arrays: Arrays, table: Mapping[str, tuple[str, list[int], int]], size: int) -> str:
    digest = hashlib.sha256()
    for block in _blocks(arrays, table, size):
        digest.update(block)
    return digest.hexdigest()


def _hash_next(file: IO[bytes], size: int) -> str:
    digest, buffer = hashlib.sha256(), bytearray(min(size, _BLOCK_SIZE))
    while size:
        count = file.readinto(memoryview(buffer)[: min(size, len(buffer))])  # type: ignore[attr-defined]
        if not count:
            break
        digest.update(memoryview(buffer)[:count])
        size -= count
    return digest.hexdigest()


# Fields of Protocol Buffers: https://protobuf.dev/programming-guides/encoding


def _field_key(number: int, size: int) -> bytes:
    """Return what precedes the content of a field of `size` bytes."""
    return _varint(number << 3 | 2) + _varint(size)


def _varint(value: int) -> bytes:
    octets = bytearray()
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def _parse_size(key: bytes, number: int) -> int:
    """Return the size in the key of a field."""
    octets = key[len(_varint(number << 3 | 2)) :]
    size = sum((octet & 0x7F) << 7 * index for index, octet in enumerate(octets))
    if _field_key(number, size) != key:
        raise ValueError("the first bytes are not those of an exported model")
    return size


def _header_size(body_size: int) -> int:
    return len(EXPORT_MAGIC) + _DIGEST_SIZE + body_size


def _offset_of_arrays(body_size: int, arrays_size: int) -> int:
    size = _header_size(body_size)
    return len(_field_key(_HEADER_FIELD, size)) + size + len(_field_key(_ARRAYS_FIELD, arrays_size))


def _damage(path: Path, problem: str) -> ModelFileError:
    return ModelFileError(f"{path} is damaged: {problem}. Copy it again, or export the model again")


def _not_an_export(path: Path) -> ModelFileError:
    reason = describe_format(path)
    if not reason and zipfile.is_zipfile(path):
        reason = "it may be a model file for torch: load it with SequenceTagger.load or TextClassifier.load"
    return ModelFileError(
        f"{path} is not an exported model of flairlite{f' ({reason})' if reason else ''}: write one with model.export"
    )
