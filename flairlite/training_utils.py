"""Utilities for training and evaluation scripts, under the names of Flair's module."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from numbers import Real
from pathlib import Path
from typing import Literal, NamedTuple, SupportsIndex, TypeVar, get_args

from flairlite.checks import file_path, folder_path, shown
from flairlite.data import DataPoint, Dictionary, Sentence, Span, Token
from flairlite.errors import FileWriteError, LabelError, SettingError
from flairlite.metrics import Result
from flairlite.storage.atomic import make_folder
from flairlite.trainers.callbacks.training_log import FORMAT, LINE
from flairlite.trainers.callbacks.weights_table import WeightExtractor

__all__ = [
    "CharEntity",
    "EmbeddingStorageMode",
    "Result",
    "TokenEntity",
    "WeightExtractor",
    "add_file_handler",
    "convert_labels_to_one_hot",
    "create_labeled_sentence_from_entity_offsets",
    "create_labeled_sentence_from_tokens",
    "identify_dynamic_embeddings",
    "init_output_file",
    "log_line",
    "store_embeddings",
]

EmbeddingStorageMode = Literal["none", "cpu", "gpu"]


class TokenEntity(NamedTuple):
    """A labelled range of tokens; indices start at 0, and `end_token_idx` is exclusive."""

    start_token_idx: int
    end_token_idx: int
    label: str
    value: str = ""
    score: float = 1.0


class CharEntity(NamedTuple):
    """A labelled range of characters; indices start at 0, and `end_char_idx` is exclusive."""

    start_char_idx: int
    end_char_idx: int
    label: str
    value: str
    score: float = 1.0


_Entity = TypeVar("_Entity", TokenEntity, CharEntity)


def create_labeled_sentence_from_tokens(
    tokens: Sequence[Token | str], token_entities: Iterable[TokenEntity], type_name: str = "ner"
) -> Sentence:
    """Return a new sentence of the given words, with a labelled span for each entity.

    Args:
        tokens: Words, or tokens, of which only the text is used.
        token_entities: The entities.
        type_name: The label type.

    Raises:
        LabelError: If an entity is not a range of the tokens.
        SettingError: If `tokens` is not a list, or an entity is not a `TokenEntity` or a tuple of its fields.
    """
    if isinstance(tokens, (str, bytes)) or not isinstance(tokens, Iterable):
        raise SettingError(f"tokens must be a list of words or tokens; got {shown(tokens)}")
    sentence = Sentence([token.text if isinstance(token, Token) else token for token in tokens])
    for entity in (_to_entity(TokenEntity, entity) for entity in token_entities):
        _add_span(sentence, entity.start_token_idx, entity.end_token_idx, entity, type_name)
    return sentence


def create_labeled_sentence_from_entity_offsets(
    text: str, entities: Iterable[CharEntity], token_limit: float = float("inf"), type_name: str = "ner"
) -> Sentence:
    """Return a sentence of a text, with a labelled span for each entity.

    The text is kept unchanged. A word that an entity covers in part belongs to the span as a whole; Flair splits it.

    Args:
        text: The text.
        entities: The entities, in any order.
        token_limit: The maximum number of tokens. Later tokens are dropped, and so are entities that contain them.
        type_name: The label type.

    Raises:
        LabelError: If an entity is not a range of the text or covers no word.
        SettingError: If `text` is not a string, or `token_limit` is not a number of at least 0.
    """
    if not isinstance(text, str):
        raise SettingError(f"text must be a string; got {text!r}")
    if not isinstance(token_limit, Real) or math.isnan(token_limit) or token_limit < 0:
        raise SettingError(f"token_limit must be a number of at least 0; got {token_limit!r}")
    sentence = Sentence(text)
    is_cut = len(sentence) > token_limit
    if is_cut:
        sentence = Sentence(text[: sentence[int(token_limit) - 1].end_position] if token_limit >= 1 else "")
    starts, ends = [token.start_position for token in sentence], [token.end_position for token in sentence]
    for entity in (_to_entity(CharEntity, entity) for entity in entities):
        start, end = entity.start_char_idx, entity.end_char_idx
        if not _is_range(start, end, len(text)):
            raise LabelError(f"{entity} must be a range of the {len(text)} characters of the text")
        if is_cut and end > len(sentence.text):
            continue
        first_token, end_token = bisect_right(ends, start), bisect_left(starts, end)
        if first_token >= end_token:
            raise LabelError(f"{entity} covers no word: its text is {text[start:end]!r}")
        _add_span(sentence, first_token, end_token, entity, type_name)
    return sentence


def _add_span(sentence: Sentence, start: int, end: int, entity: TokenEntity | CharEntity, type_name: str) -> None:
    if not _is_range(start, end, len(sentence)):
        raise LabelError(f"{entity} must be a range of the {len(sentence)} tokens of the sentence")
    sentence[start:end].add_label(type_name, entity.label, score=entity.score)


def _is_range(start: SupportsIndex, end: SupportsIndex, length: int) -> bool:
    try:
        return 0 <= operator.index(start) < operator.index(end) <= length
    except TypeError:
        return False


def _to_entity(kind: type[_Entity], entity: object) -> _Entity:
    """Return an entity that may be given as a plain tuple."""
    if isinstance(entity, kind):
        return entity
    try:
        if type(entity) in (tuple, list):
            return kind(*entity)  # type: ignore[misc]
    except TypeError:  # too few or too many fields
        pass
    raise SettingError(f"an entity must be a {kind.__name__}({', '.join(kind._fields)}); got {entity!r}")


def convert_labels_to_one_hot(label_list: Iterable[Collection[str]], label_dict: Dictionary) -> list[list[int]]:
    """Return one row per data point, with 1 for each item of the dictionary that is among its labels, and else 0.

    As in Flair, labels that the dictionary does not contain are ignored.

    Raises:
        SettingError: If the labels of a data point are not a collection of strings.
    """
    items, rows = label_dict.get_items(), []
    for labels in label_list:
        if isinstance(labels, (str, bytes)) or not isinstance(labels, Collection):
            raise SettingError(f"label_list must have a list of labels for each data point; one is {shown(labels)}")
        rows.append([int(item in labels) for item in items])
    return rows


def store_embeddings(
    data_points: Iterable[DataPoint],
    storage_mode: EmbeddingStorageMode,
    dynamic_embeddings: list[str] | None = None,
) -> None:
    """Keep or delete the vectors that `embed` has stored on data points.

    Training and prediction store no vectors; this function is for scripts that call `embed` themselves.

    Args:
        data_points: Sentences, spans or tokens.
        storage_mode: `none` deletes all vectors; `cpu` and `gpu` delete the dynamic ones, and `cpu` moves the others to
            the CPU.
        dynamic_embeddings: The names of the dynamic embeddings; None for those that require gradients.

    Raises:
        SettingError: If there is no such mode.
    """
    modes = get_args(EmbeddingStorageMode)
    if storage_mode not in modes:
        raise SettingError(f"storage_mode must be one of {', '.join(modes)}; got {storage_mode!r}")
    points = _list_points(data_points)
    deleted = dynamic_embeddings if dynamic_embeddings is not None else identify_dynamic_embeddings(points) or []
    for point in chain.from_iterable(map(_points_with_vectors, points)):
        point.clear_embeddings(None if storage_mode == "none" else deleted)
        if storage_mode == "cpu" and isinstance(point, Sentence):
            point.to("cpu")


def identify_dynamic_embeddings(data_points: Iterable[DataPoint]) -> list[str] | None:
    """Return the names of the embeddings that require gradients; None if no data point has a vector."""
    found: dict[str, bool] = {}
    for point in chain.from_iterable(map(_points_with_vectors, _list_points(data_points))):
        for name in point.embedding_names():
            for vector in point.get_each_embedding([name]):
                found[name] = found.get(name, False) or vector.requires_grad
    return [name for name, is_dynamic in found.items() if is_dynamic] if found else None


def _list_points(data_points: Iterable[DataPoint]) -> list[DataPoint]:
    """Return a list of the data points; a single sentence is not taken for a list of its tokens."""
    points = (
        data_points if isinstance(data_points, Iterable) and not isinstance(data_points, DataPoint) else [data_points]
    )
    points = list(points)
    if wrong := [point for point in points if not isinstance(point, DataPoint)]:
        raise SettingError(f"data_points must be sentences, spans or tokens; one is {shown(wrong[0])}")
    return points


def _points_with_vectors(point: DataPoint) -> list[Sentence | Token]:
    """Return the data points that store the vectors: a sentence and its tokens, the tokens of a span, or a token."""
    if isinstance(point, Sentence):
        return [point, *point]
    return list(point) if isinstance(point, Span) else [point] if isinstance(point, Token) else []


def init_output_file(base_path: str | Path, file_name: str) -> Path:
    """Create a folder and an empty file in it, unless they exist, and return the path of the file.

    Raises:
        FileWriteError: If the file cannot be created.
        SettingError: If an argument is not a path.
    """
    path = folder_path("base_path", base_path) / file_path("file_name", file_name)
    make_folder(path.parent)
    with _explain(path):
        path.touch()
    return path


def add_file_handler(log: logging.Logger, output_file: str | Path) -> logging.FileHandler:
    """Write the messages of a logger to a file, in the format of training.log, and return the handler.

    An existing file is overwritten.

    Raises:
        FileWriteError: If the file cannot be written.
        SettingError: If `output_file` is not a path.
    """
    path = file_path("output_file", output_file)
    make_folder(path.parent)
    with _explain(path):
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter(FORMAT))
    log.addHandler(handler)
    return handler


@contextlib.contextmanager
def _explain(path: Path) -> Iterator[None]:
    """Raise the errors of the system as errors of flairlite."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"{path} cannot be written: {reason}. Give the path of a file"
        raise FileWriteError(message, path=path, errno=error.errno) from error


def log_line(log: logging.Logger) -> None:
    """Log a line of dashes."""
    log.info(LINE)
