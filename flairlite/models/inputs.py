"""Check and convert the settings that users pass to models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairlite.checks import number, one_of
from flairlite.data import Dictionary
from flairlite.embeddings import DocumentEmbeddings, Embeddings, TokenEmbeddings
from flairlite.errors import SettingError
from flairlite.nn import FeatureDropout, LockedDropout, WordDropout
from flairlite.prediction.sentences import SentenceReader as SentenceReader
from flairlite.prediction.sentences import check_count as check_count
from flairlite.prediction.sentences import check_flags as check_flags
from flairlite.prediction.sentences import check_name as check_name
from flairlite.prediction.sentences import check_tokenizer as check_tokenizer
from flairlite.prediction.sentences import iterate as iterate
from flairlite.prediction.sentences import show_progress as show_progress
from flairlite.prediction.sentences import to_sentences as to_sentences

Dropouts = tuple[FeatureDropout, WordDropout, LockedDropout]
STORAGE_MODES = ("cpu", "gpu", "none")

check_rate = number(least=0, below=1)
check_weight = number(least=0)
check_storage_mode = one_of(*STORAGE_MODES)

# Each function returns the valid value, or raises a SettingError that names the setting


def make_dropouts(dropout: Any, word_dropout: Any, locked_dropout: Any) -> Dropouts:
    """Return the three kinds of dropout with their rates."""
    return (
        FeatureDropout(check_rate("dropout", dropout)),
        WordDropout(check_rate("word_dropout", word_dropout)),
        LockedDropout(check_rate("locked_dropout", locked_dropout)),
    )


def check_dictionary(name: str, value: Any) -> Dictionary:
    """Return a dictionary of labels."""
    if isinstance(value, Dictionary):
        return value
    remedy = "corpus.make_label_dictionary(label_type)"
    if isinstance(value, (list, tuple, set, frozenset)):
        remedy += " or Dictionary.from_items(labels)"
    raise SettingError(f"{name} must be a Dictionary, not a {type(value).__name__}: make one with {remedy}")


def check_embeddings(value: Any, model: str, *, by_word: bool) -> Embeddings:
    """Return embeddings of words, or of sentences, for a model of a class."""
    kind: type[Embeddings] = TokenEmbeddings if by_word else DocumentEmbeddings
    if isinstance(value, kind):
        return value
    units = "words" if by_word else "sentences"
    example = "WordEmbeddings('glove')" if by_word else "DocumentPoolEmbeddings([WordEmbeddings('glove')])"
    remedy = f"give {kind.__name__}, as {example}"
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, TokenEmbeddings) for item in value):
        remedy = f"join them, as {'StackedEmbeddings' if by_word else 'DocumentPoolEmbeddings'}([...])"
    elif isinstance(value, TokenEmbeddings):
        remedy = f"wrap those of words, as in {example}"
    raise SettingError(f"a {model} needs embeddings of {units}, not {type(value).__name__}: {remedy}")


def check_weights(value: Any) -> dict[str, float]:
    """Return the weight in the loss of each label that is named, or an empty dictionary for None."""
    if value is not None and not isinstance(value, Mapping):
        raise SettingError(f"loss_weights must be a dictionary from labels to weights, not a {type(value).__name__}")
    return {label: float(check_weight(f"loss_weights[{label!r}]", weight)) for label, weight in (value or {}).items()}
