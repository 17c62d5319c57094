"""Word vectors of gensim: its objects, and the files that its `save` writes.

The files are pickles, which are read as data: nothing in them is executed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairlite.storage.pickle_reader import ORDERED_DICT, Instance, PickleReader

log = logging.getLogger("flairlite")

Array = NDArray[Any]

_KEYED_VECTORS = ("KeyedVectors", "Word2VecKeyedVectors", "EuclideanKeyedVectors", "WordEmbeddingsKeyedVectors")
_MODELS = {  # of gensim 4 and 3
    "keyedvectors": (*_KEYED_VECTORS, "BaseKeyedVectors", "FastTextKeyedVectors", "Vocab", "SimpleVocab"),
    "word2vec": ("Word2Vec", "Word2VecVocab", "Word2VecTrainables"),
    "fasttext": ("FastText", "FastTextKeyedVectors", "FastTextVocab", "FastTextTrainables"),
    "doc2vec": ("Doc2Vec", "Doc2VecVocab", "Doc2VecTrainables"),
}
_FLOATS = ("f2", "f4", "f8")
_ARRAYS = ("vectors", "syn0", "vectors_vocab", "vectors_ngrams")


def _encode_text(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes are encoded as {encoding}" if isinstance(encoding, str) else "bytes without encoding")
    return text.encode("latin-1")


def _to_list(items: list[Any] | tuple[()] = ()) -> list[Any]:
    return list(items)


_NAMES: dict[str, Callable[..., Any] | None] = {
    **{f"gensim.models.{module} {name}": None for module, names in _MODELS.items() for name in names},
    **{
        f"numpy.{core}.{name}": None
        for core in ("core", "_core")
        for name in ("multiarray _reconstruct", "multiarray scalar", "numeric _frombuffer")
    },
    "numpy dtype": None,
    "numpy.random._pickle __randomstate_ctor": None,  # what follows is in whole models, and is not used
    "numpy.random._pickle __bit_generator_ctor": None,
    "numpy.random __RandomState_ctor": None,
    "collections defaultdict": lambda *_: {},
    "_codecs encode": _encode_text,  # how protocol 2 has bytes
    **{f"{module} {name}": _to_list for module in ("builtins", "__builtin__") for name in ("set", "frozenset")},
    **ORDERED_DICT,
}


def read_gensim_file(path: Path, pickle: bytes) -> Any:
    """Read gensim's `KeyedVectors`, or the `wv` of a model.

    Args:
        path: The file; gensim stores large arrays in files beside it.
        pickle: Its content, unpacked.

    Returns:
        An object with `key_to_index`, `index_to_key` and `vectors`, as gensim's; also with `vectors_ngrams`, for
        fastText's.

    Raises:
        ArchiveError: If the pickle is damaged, or names anything but gensim's classes of word vectors.
        FileNotFoundError: If an array beside the file is missing.
        Exception: Of many types, if the content is something else.
    """
    reader = PickleReader(pickle, _NAMES)
    table, prefix = reader.content, str(path)
    if isinstance(table, Instance) and isinstance(table.state, dict) and "wv" in table.state:
        table, prefix = table.state["wv"], f"{prefix}.wv"
    for _ in reader.walk(table):  # what follows may visit all values
        pass
    if not isinstance(table, Instance) or not isinstance(table.state, dict):
        shown = table.kind if isinstance(table, Instance) else type(table).__name__
        raise NotWordVectorsError(f"expected KeyedVectors, got {shown}")
    state = table.state
    for name in state.get("__numpys", ()):
        if name in _ARRAYS:
            state[name] = _load_array(f"{prefix}.{name}", is_compressed=path.suffix in (".gz", ".bz2"))
    names = ("index_to_key", "index2word", "index2entity")
    words: Any = next((state[name] for name in names if state.get(name)), [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise NotWordVectorsError("expected vectors of words, got vectors of numbers or other objects")
    index = {word: row for row, word in enumerate(words)}
    arrays = {name: _to_array(state[name]) for name in _ARRAYS if state.get(name) is not None}
    if "vectors_ngrams" in arrays:
        return _compose_fasttext(state, words, index, arrays)
    vectors = next((arrays[name] for name in ("vectors", "syn0") if name in arrays), None)
    if vectors is None:
        raise NotWordVectorsError(f"expected KeyedVectors, got {table.kind} without vectors")
    return SimpleNamespace(key_to_index=index, index_to_key=words, vectors=vectors)


class NotWordVectorsError(TypeError):
    """An object, or what a file contains, is not a table of word vectors."""


def split_keyed_vectors(table: Any, source: str) -> tuple[list[str], NDArray[np.floating[Any]]]:
    """Return the words and the vectors (V, D) of gensim's `KeyedVectors`, or of a model that has them as `wv`.

    Args:
        table: The object.
        source: Its name in the log.

    Raises:
        TypeError: If the object is something else, or has vectors of other things than words.
    """
    table = getattr(table, "wv", table)
    if not all(hasattr(table, name) for name in ("key_to_index", "index_to_key", "vectors")):
        raise NotWordVectorsError(f"expected KeyedVectors, got {type(table).__name__}")
    size = len(table.key_to_index)  # after repeated words in a file, gensim leaves rows of zeros at the end
    words, matrix = list(table.index_to_key[:size]), table.vectors[:size]
    if not size:
        raise NotWordVectorsError("expected vectors of words, got none")
    if not all(isinstance(word, str) for word in words):
        raise NotWordVectorsError("expected vectors of words, got vectors of numbers or other objects")
    if matrix.ndim != 2 or len(matrix) != size:
        raise NotWordVectorsError(f"expected a vector for each of {size} words, got {matrix.shape}")
    if hasattr(table, "vectors_ngrams"):
        log.warning("%s: fastText's vectors of parts of words are not used: other words have no vector", source)
    return words, matrix


def _load_array(path: str, *, is_compressed: bool) -> Array:
    if is_compressed:
        with np.load(f"{path}.npz", allow_pickle=False) as archive:
            content: Array = archive["val"]
            return content
    return np.load(f"{path}.npy", mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]


def _to_array(value: Any) -> Array:
    """Return an array from what NumPy pickles: version, shape, type, order and bytes."""
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, Instance):
        raise TypeError(f"expected an array, got {type(value).__name__}")
    if value.kind.name.endswith("_frombuffer"):
        content, dtype, shape, order = value.arguments
        is_fortran = order == "F"
    else:
        _, shape, dtype, is_fortran, content = value.state
    code, order = dtype.arguments[0], dtype.state[1]
    if code not in _FLOATS or order not in ("<", ">", "=", "|"):
        raise TypeError(f"expected an array of floating point numbers, got {code!r:.20}")
    if isinstance(content, str):  # bytes of Python 2
        content = content.encode("latin-1")
    kind = np.dtype(f"{order}{code}")
    if math.prod(shape) * kind.itemsize != len(content):
        raise ValueError(f"an array of shape {shape} has {len(content)} bytes")
    return np.frombuffer(content, kind).reshape(shape, order="F" if is_fortran else "C")


def _compose_fasttext(state: dict[str, Any], words: list[str], index: dict[str, int], arrays: dict[str, Array]) -> Any:
    """Return fastText's table, in which the vector of a word is the mean of its own and those of its parts."""
    from gensim.models.fasttext import FastTextKeyedVectors

    if not state.get("compatible_hash", False):
        raise ValueError("it was written by gensim before 3.8, whose hashes of parts of words differ")
    ngrams, sizes = arrays["vectors_ngrams"], [state[name] for name in ("min_n", "max_n", "bucket")]
    if any(type(size) is not int or size < 0 for size in sizes) or sizes[2] != len(ngrams):
        raise ValueError("its numbers of parts of words do not fit their vectors")
    table = FastTextKeyedVectors(ngrams.shape[1], *sizes)
    table.index_to_key, table.key_to_index = words, index
    table.vectors_vocab, table.vectors_ngrams = arrays["vectors_vocab"], ngrams
    if table.vectors_vocab.shape != (len(words), ngrams.shape[1]):
        raise ValueError("it does not have a vector for each word")
    table.recalc_char_ngram_buckets()
    table.adjust_vectors()
    return table
