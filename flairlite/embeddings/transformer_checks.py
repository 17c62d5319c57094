"""Checks that the files of a transformer belong together, and that it reads nothing but subwords."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from flairlite.checks import shown
from flairlite.errors import DataUnavailableError, SettingError
from flairlite.lookup.subwords import SubwordTokenizer


def check_attention(source: str, attention: Any) -> None:
    """Refuse an implementation of attention that is a repository, whose code transformers would download and run.

    Raises:
        SettingError: If it is one.
    """
    if "/" in str(attention):
        raise SettingError(
            f"{source} asks for the attention of the repository {shown(attention)}, whose code is never run: give "
            "transformers_model_kwargs={'attn_implementation': 'sdpa'}"
        )


def check_weights(source: str, model: nn.Module, missing_keys: Any) -> None:
    """Check that the files have all weights of a model, and that these are finite.

    Raises:
        DataUnavailableError: If a weight is missing, or is NaN or infinite.
    """
    own = set(model.state_dict())
    missing = sorted(key for key in missing_keys if key in own)
    if missing:
        raise DataUnavailableError(
            f"the weights in {source} lack {len(missing)} of the {len(own)} tensors of {type(model).__name__}, such as "
            f"{missing[0]}: give the files of a pretrained model of this type"
        )
    damaged = next((name for name, weight in model.named_parameters() if not weight.isfinite().all()), None)
    if damaged is not None:
        raise DataUnavailableError(f"the weights in {source} are damaged: {damaged} is not finite. Copy them again")


def check_reading(model: Any) -> None:
    """Check that a model computes a vector for each subword, from the subwords alone.

    Raises:
        SettingError: If it needs something else, such as an image, or shortens the text.
    """
    ids = torch.zeros(1, 4, dtype=torch.int64)
    try:
        with torch.no_grad():
            shape = model.eval()(input_ids=ids, attention_mask=None, return_dict=True).last_hidden_state.shape
        is_fit, reason = shape[:2] == ids.shape, f"4 subwords have states of the shape {tuple(shape)}"
    except MemoryError:
        raise
    except Exception as error:  # models raise many types
        is_fit, reason = False, " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if not is_fit:
        raise SettingError(
            f"a model of type {model.config.model_type!r} does not compute a vector for each subword of a text alone "
            f"({reason}): give an encoder such as BERT, RoBERTa, DeBERTa, ELECTRA, XLM-R or ModernBERT"
        )


def find_misfit(tokenizer: SubwordTokenizer, model: Any) -> str:
    """Return why a tokenizer does not fit a model, or nothing."""
    count, largest = len(model.get_input_embeddings().weight), tokenizer.largest_id
    return (
        f"the tokenizer has ids up to {largest:,}, but the table of subwords has only {count:,} rows"
        if largest >= count
        else ""
    )
