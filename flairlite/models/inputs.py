"""What a model is given: sentences, or texts to split into words."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flairlite.data import Sentence
from flairlite.errors import ModelFileError, SettingError
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")


def to_sentence(item: Sentence | str, tokenizer: Tokenizer | None = None) -> Sentence:
    """Return a sentence as it is, and a text as a sentence; with a tokenizer, split into words as it does.

    Raises:
        SettingError: for anything else.
    """
    if isinstance(item, Sentence):
        if tokenizer is not None:
            item.tokenizer = tokenizer  # splits anew what another one has split
        return item
    if isinstance(item, str):
        return Sentence(item, use_tokenizer=True if tokenizer is None else tokenizer)
    raise no_sentence(item)


def to_sentences(data_points: Iterable[Sentence]) -> Sequence[Sentence]:
    """Return a sentence, or several, as a list.

    Raises:
        SettingError: for anything else.
    """
    sentences = [data_points] if isinstance(data_points, Sentence) else list(data_points)
    for sentence in sentences:
        if not isinstance(sentence, Sentence):
            raise no_sentence(sentence)
    return sentences


def no_sentence(item: object) -> SettingError:
    """Return the error for what is no sentence."""
    return SettingError(f"a model takes sentences, but got a {type(item).__name__}: {repr(item)[:60]}")


def with_progress(sentences: Iterator[Sentence], verbose: bool) -> Iterable[Sentence]:
    """Show a progress bar where that was asked for and standard error is a terminal."""
    if not (verbose and sys.stderr.isatty()):
        return sentences
    from tqdm import tqdm

    bar: Iterable[Sentence] = tqdm(sentences, desc="Predicting", unit=" sentences")
    return bar


def tokenizer_to_params(tokenizer: Tokenizer | None) -> dict[str, Any] | None:
    """Return a tokenizer as plain values for a model file; None, and a warning, for one that wraps a function."""
    if tokenizer is None:
        return None
    params = tokenizer.to_dict()
    if params.get("serializable", True):
        return params
    log.warning(
        "The model file does not hold the tokenizer %s, which wraps a function: assign model.tokenizer after loading",
        tokenizer.name,
    )
    return None


def tokenizer_from_params(params: dict[str, Any] | None) -> Tokenizer | None:
    """Build a tokenizer from what `tokenizer_to_params` returned.

    Raises:
        ModelFileError: when its class is not known.
    """
    if params is None:
        return None
    try:
        return Tokenizer.from_dict(params)
    except SettingError as error:
        raise ModelFileError(f"the tokenizer of the model cannot be built: {error}") from error
