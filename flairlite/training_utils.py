"""Small tools around training and evaluation, under the names of Flair's module."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from flairlite.data import DataPoint, Dictionary, Sentence, Span, Token
from flairlite.data.serialization import label_characters
from flairlite.errors import SettingError
from flairlite.metrics import Result
from flairlite.storage.atomic import make_folder
from flairlite.trainers.callbacks.training_log import FORMAT, LINE
from flairlite.trainers.callbacks.weights_table import WeightExtractor
from flairlite.trainers.splits import STORAGE_MODES

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
    """A labelled stretch of words: from the word `start_token_idx`, counted from 0, up to before `end_token_idx`."""

    start_token_idx: int
    end_token_idx: int
    label: str
    value: str = ""
    score: float = 1.0


class CharEntity(NamedTuple):
    """A labelled stretch of a text: from the character `start_char_idx` up to before `end_char_idx`."""

    start_char_idx: int
    end_char_idx: int
    label: str
    value: str
    score: float = 1.0


def create_labeled_sentence_from_tokens(
    tokens: Sequence[Token | str], token_entities: Iterable[TokenEntity], type_name: str = "ner"
) -> Sentence:
    """Make a sentence of the words of tokens, and label stretches of it.

    Args:
        tokens: The tokens, of which only the texts are taken, or the words.
        token_entities: The stretches.
        type_name: The type of the labels.
    """
    sentence = Sentence([token if isinstance(token, str) else token.text for token in tokens])
    for entity in token_entities:
        sentence[entity.start_token_idx : entity.end_token_idx].add_label(type_name, entity.label, score=entity.score)
    return sentence


def create_labeled_sentence_from_entity_offsets(
    text: str, entities: Iterable[CharEntity], token_limit: float = float("inf"), type_name: str = "ner"
) -> Sentence:
    """Make a sentence of a text, and label stretches of it.

    The text stays as it is, with all its spaces. A word that a stretch covers in part is taken whole; Flair cuts it in
    two there.

    Args:
        text: The text.
        entities: The stretches.
        token_limit: Leave out the words behind this many, and stretches that lead beyond.
        type_name: The type of the labels.

    Raises:
        LabelError: when a stretch leads out of the text or covers no word.
    """
    sentence = Sentence(text)
    is_cut = len(sentence) > token_limit
    if is_cut:
        sentence = Sentence(text[: sentence[int(token_limit) - 1].end_position] if token_limit >= 1 else "")
    for entity in entities:
        if is_cut and entity.end_char_idx > len(sentence.text):
            continue
        label_characters(sentence, type_name, entity.start_char_idx, entity.end_char_idx, entity.label)
    return sentence


def convert_labels_to_one_hot(label_list: Iterable[Collection[str]], label_dict: Dictionary) -> list[list[int]]:
    """Return, for the labels of each data point, a 1 for each label of the dictionary that it has, and else a 0."""
    items = label_dict.get_items()
    return [[int(item in labels) for item in items] for labels in label_list]


def store_embeddings(
    data_points: Iterable[DataPoint],
    storage_mode: EmbeddingStorageMode,
    dynamic_embeddings: list[str] | None = None,
) -> None:
    """Keep or forget the vectors that `embed` has put onto sentences or tokens.

    Training and prediction keep none there; this is for scripts that call `embed` themselves.

    Args:
        data_points: The sentences, spans or tokens.
        storage_mode: `none` forgets all; `cpu` and `gpu` forget those that gradients flow through, and `cpu` moves the
            vectors to the host.
        dynamic_embeddings: The names of those to forget; found out when None.

    Raises:
        SettingError: for another mode.
    """
    if storage_mode not in STORAGE_MODES:
        raise SettingError(f"storage_mode must be one of {', '.join(STORAGE_MODES)}, not {storage_mode!r}")
    points = list(data_points)
    found = dynamic_embeddings if dynamic_embeddings is not None else identify_dynamic_embeddings(points) or []
    for point in chain.from_iterable(map(_bearers, points)):
        point.clear_embeddings(None if storage_mode == "none" else found)
        if storage_mode == "cpu" and isinstance(point, Sentence):
            point.to("cpu")


def identify_dynamic_embeddings(data_points: Iterable[DataPoint]) -> list[str] | None:
    """Return the names of the embeddings that gradients flow through; None where there are no vectors at all."""
    found: dict[str, bool] = {}
    for point in chain.from_iterable(map(_bearers, data_points)):
        for name in point.embedding_names():
            for vector in point.get_each_embedding([name]):
                found[name] = found.get(name, False) or vector.requires_grad
    return [name for name, is_dynamic in found.items() if is_dynamic] if found else None


def _bearers(point: DataPoint) -> list[Sentence | Token]:
    """Return what bears the vectors of a data point: a sentence with its tokens, the tokens of a span, or a token."""
    if isinstance(point, Sentence):
        return [point, *point]
    return list(point) if isinstance(point, Span) else [point] if isinstance(point, Token) else []


def init_output_file(base_path: str | Path, file_name: str) -> Path:
    """Make a folder and an empty file in it, unless they are there, and return the path of the file."""
    path = make_folder(Path(base_path)) / file_name
    path.touch()
    return path


def add_file_handler(log: logging.Logger, output_file: str | Path) -> logging.FileHandler:
    """Send the messages of a logger to a file, which begins anew, in the form of training.log; return the handler."""
    make_folder(Path(output_file).parent)
    handler = logging.FileHandler(output_file, mode="w", encoding="utf-8")
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter(FORMAT))
    log.addHandler(handler)
    return handler


def log_line(log: logging.Logger) -> None:
    """Log a line of dashes."""
    log.info(LINE)
