"""Embeddings of words and of sentences from transformers of Hugging Face."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import embedding_bag

from flairlite.checks import flag, number, one_of, whole_number
from flairlite.embeddings.base import DocumentEmbeddings, Inputs, TokenEmbeddings, register_embeddings
from flairlite.embeddings.transformer_base import TransformerEmbeddings, to_inputs
from flairlite.embeddings.transformer_files import Pretrained
from flairlite.encoding import Batch, ContextWindow, EncodedDataset, Table
from flairlite.errors import SettingError
from flairlite.lookup.packing import Ragged
from flairlite.lookup.subwords import pool_sentences, pool_words, surround
from flairlite.tensors import copy_to

log = logging.getLogger("flairlite")

_CONTEXT = 64  # words on each side, if use_context is True, as in Flair


@register_embeddings
class TransformerWordEmbeddings(TransformerEmbeddings, TokenEmbeddings):
    """The vectors that a transformer computes for the subwords of each word, pooled to one vector a word.

    The transformer is any encoder that `AutoModel` of Hugging Face loads, with a fast tokenizer. A word without
    subwords, as of control characters, has the zero vector. Requires the extra `transformers`.

    Sources: Devlin et al., BERT, 2019; for `use_context`, Schweter and Akbik, FLERT, 2020.

    Args:
        model: A folder with the files of a model and its tokenizer, or a name of the hub. Only a name can need a
            network, and with `FLAIRLITE_OFFLINE=1` only models in Hugging Face's cache are found.
        fine_tune: Train the transformer. Otherwise its vectors are fixed, and training computes them once.
        layers: The layers to use: `all`, or indices such as `-1,-2`; 0 is the table of subwords, and -1 the output.
        layer_mean: Use the mean of the layers; otherwise they are concatenated.
        subtoken_pooling: `first`, `last`, `first_last` (concatenated) or `mean`, of the subwords of a word.
        allow_long_sentences: Read sentences that are longer than the model in windows that overlap by half. Otherwise
            such a sentence is an error.
        use_context: Read each sentence with up to this many words before and after it; True for 64.
        respect_document_boundaries: Whether context stops at a sentence that marks the start of a document.
        context_dropout: The probability, in training, of leaving out the context before, and of leaving out that after.
        use_context_separator: Whether the token `[FLERT]` separates a sentence from its context.
        name: The name of the embedding; by default, that of the model.
        frozen_layers: Number of layers, from below, that are not trained, and the table of subwords if there is one.
        gradient_checkpointing: Compute the states within layers again for the gradients, instead of keeping them, which
            saves memory and takes time.
        transformers_tokenizer_kwargs: Further arguments of `AutoTokenizer.from_pretrained`.
        transformers_config_kwargs: Further arguments of `AutoConfig.from_pretrained`, such as other dropout rates.
        transformers_model_kwargs: Further arguments of `AutoModel.from_pretrained`.
        seed: Seed of the vector of `[FLERT]`; the default seed of the process if None.

    Raises:
        SettingError: If an argument is invalid, the tokenizer is not a fast one, or the model does not read text.
        DataUnavailableError: If the model is not available, with the files that are needed.
        MissingExtraError: If transformers is not installed.
    """

    def __init__(
        self,
        model: str | Path | Pretrained = "bert-base-uncased",
        *,
        fine_tune: bool = True,
        layers: str = "-1",
        layer_mean: bool = True,
        subtoken_pooling: str = "first",
        allow_long_sentences: bool = True,
        use_context: bool | int = False,
        respect_document_boundaries: bool = True,
        context_dropout: float = 0.5,
        use_context_separator: bool = True,
        name: str | None = None,
        frozen_layers: int = 0,
        gradient_checkpointing: bool = False,
        transformers_tokenizer_kwargs: Mapping[str, Any] | None = None,
        transformers_config_kwargs: Mapping[str, Any] | None = None,
        transformers_model_kwargs: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> None:
        pooling = one_of("first", "last", "first_last", "mean")("subtoken_pooling", subtoken_pooling)
        is_flag = isinstance(use_context, bool)
        length = (
            _CONTEXT * use_context if is_flag else int(whole_number(least=0, below=2**31)("use_context", use_context))
        )
        respect = flag("respect_document_boundaries", respect_document_boundaries)
        rate = number(least=0)("context_dropout", context_dropout)
        if rate > 1:
            raise SettingError(f"context_dropout must be a probability, at most 1; it is {rate}")
        separator = flag("use_context_separator", use_context_separator)
        super().__init__(
            model,
            fine_tune=fine_tune,
            layers=layers,
            layer_mean=layer_mean,
            allow_long_sentences=allow_long_sentences,
            name=name,
            frozen_layers=frozen_layers,
            gradient_checkpointing=gradient_checkpointing,
            loading={
                "tokenizer_options": transformers_tokenizer_kwargs,
                "config_options": transformers_config_kwargs,
                "model_options": transformers_model_kwargs,
                "with_separator": length > 0 and separator,
                "seed": seed,
            },
        )
        self.subtoken_pooling, self.use_context, self.context_dropout = pooling, length, float(rate)
        self.respect_document_boundaries, self.use_context_separator = respect, separator

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self._hidden_size * (2 if self.subtoken_pooling == "first_last" else 1)

    @property
    def context(self) -> ContextWindow | None:
        """The words of neighbouring sentences that are read with each sentence, or None."""
        if not self.use_context:
            return None
        return ContextWindow(self.use_context, self.respect_document_boundaries)

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the inputs of sentences with word ids (B, T), without context; see `select_batch`."""
        return self._select(table, word_ids.cpu().long(), None, torch.arange(len(word_ids)), None)

    def select_batch(self, batch: Batch, generator: Generator | None = None) -> Inputs:
        """Return the inputs of a batch.

        Returns:
            The groups of a `Layout`, the positions of the subwords that are pooled, and where those of each word begin,
            (B, T, P), with P parts of a word's vector; or the computed vectors.
        """
        if isinstance(batch.table, Tensor):
            return nn.functional.embedding(copy_to(batch.positions, batch.table.device), batch.table)  # (B, T, D)
        context = None if batch.context is None or not self.use_context else batch.context.cpu().long()
        return self._select(batch.table, batch.word_ids.cpu().long(), context, batch.indices, generator)

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        if isinstance(inputs, Tensor):
            return inputs
        groups, positions, starts = inputs
        states = self._read(groups, generator)
        vectors = embedding_bag(positions, states, starts.flatten(), mode="mean")  # zero without subwords
        return vectors.view(*starts.shape[:2], -1)

    def _rows(self, batch: Batch) -> Tensor:
        return batch.positions

    def _num_rows(self, dataset: EncodedDataset) -> int:
        return len(dataset.word_ids)

    def _select(
        self, table: Ragged, rows: Tensor, context: Tensor | None, indices: Tensor, generator: Generator | None
    ) -> Inputs:
        begin, width = 0, rows.shape[1]
        if context is not None:
            rows, begin = self._surround(table, rows, context, generator)
        layout = self._lay_out(table, rows, indices)
        return to_inputs(layout, pool_words(layout, begin, begin + width, self.subtoken_pooling))

    def _surround(
        self, table: Ragged, rows: Tensor, context: Tensor, generator: Generator | None
    ) -> tuple[Tensor, int]:
        """Return the rows of sentences (B, T) with their context (B, 2 C), and the column of their first words."""
        separator = len(table) - 1
        sides = context.view(len(context), 2, -1)  # (B, 2, C)
        if self.training and self.context_dropout:
            is_dropped = _draw((len(sides), 2, 1), generator) < self.context_dropout
            sides = sides.masked_fill(is_dropped, separator - 1)  # the row of padding
        with_context, begin = surround(rows.numpy(), sides.numpy(), separator if self.use_context_separator else None)
        return torch.from_numpy(with_context), begin

    def _count(self, dataset: EncodedDataset) -> Tensor:
        sizes = super()._count(dataset)
        if dataset.context is None:
            return sizes
        lengths = torch.from_numpy(dataset.table.lengths(dataset.context.cpu().numpy()))  # (S, 2 C)
        return sizes + lengths.sum(1) + 2 * self.use_context_separator


@register_embeddings
class TransformerDocumentEmbeddings(TransformerEmbeddings, DocumentEmbeddings):
    """The vector that a transformer computes for a whole sentence or text.

    The transformer reads the words that the text was split into. (Flair reads the text itself, which differs for
    tokenizers that distinguish words after a space from others, such as RoBERTa's.) Requires the extra `transformers`.

    Args:
        model: A folder or a name, as in `TransformerWordEmbeddings`, like all arguments that are not described here.
        fine_tune: Train the transformer. Otherwise its vectors are fixed, and training computes them once.
        layers: The layers to use.
        layer_mean: Use the mean of the layers; otherwise they are concatenated.
        cls_pooling: `cls` is the vector of the token for the whole sentence, which is the first one or, in models
            without one, the last one; `mean` and `max` pool all tokens, special ones included.
        allow_long_sentences: Read texts that are longer than the model in windows that overlap by half. Otherwise such
            a text is an error.
        name: The name of the embedding.
        frozen_layers: Number of layers, from below, that are not trained.
        gradient_checkpointing: Save memory in training, and take time.
        transformers_tokenizer_kwargs: Further arguments of `AutoTokenizer.from_pretrained`.
        transformers_config_kwargs: Further arguments of `AutoConfig.from_pretrained`.
        transformers_model_kwargs: Further arguments of `AutoModel.from_pretrained`.

    Raises:
        SettingError: If an argument is invalid, the tokenizer is not a fast one, or the model does not read text.
        DataUnavailableError: If the model is not available, with the files that are needed.
        MissingExtraError: If transformers is not installed.
    """

    def __init__(
        self,
        model: str | Path | Pretrained = "bert-base-uncased",
        *,
        fine_tune: bool = True,
        layers: str = "-1",
        layer_mean: bool = False,
        cls_pooling: str = "cls",
        allow_long_sentences: bool = False,
        name: str | None = None,
        frozen_layers: int = 0,
        gradient_checkpointing: bool = False,
        transformers_tokenizer_kwargs: Mapping[str, Any] | None = None,
        transformers_config_kwargs: Mapping[str, Any] | None = None,
        transformers_model_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        pooling = one_of("cls", "max", "mean")("cls_pooling", cls_pooling)
        super().__init__(
            model,
            fine_tune=fine_tune,
            layers=layers,
            layer_mean=layer_mean,
            allow_long_sentences=allow_long_sentences,
            name=name,
            frozen_layers=frozen_layers,
            gradient_checkpointing=gradient_checkpointing,
            loading={
                "tokenizer_options": transformers_tokenizer_kwargs,
                "config_options": transformers_config_kwargs,
                "model_options": transformers_model_kwargs,
            },
        )
        self.cls_pooling = pooling
        if pooling == "cls" and allow_long_sentences:
            log.warning("cls_pooling='cls' reads one window of a long text: give cls_pooling='mean' or 'max'")

    @property
    def embedding_length(self) -> int:
        """Features D of a sentence."""
        return self._hidden_size

    @property
    def fields(self) -> tuple[str, ...]:
        """The label types of tokens that are read: none."""
        return ()

    @property
    def context(self) -> ContextWindow | None:
        """The context of a sentence: none."""
        return None

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Return which words have no vector: there are none."""
        return {}

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the inputs of sentences with word ids (B, T); see `select_batch`."""
        return self._select(table, word_ids.cpu().long(), torch.arange(len(word_ids)))

    def select_batch(self, batch: Batch, generator: Generator | None = None) -> Inputs:
        """Return the inputs of a batch.

        Returns:
            The groups of a `Layout`, the positions of the subwords that are pooled, and where those of each sentence
            begin, (B,); or the computed vectors.
        """
        if isinstance(batch.table, Tensor):
            return nn.functional.embedding(copy_to(batch.indices, batch.table.device), batch.table)  # (B, D)
        return self._select(batch.table, batch.word_ids.cpu().long(), batch.indices)

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, D)."""
        if isinstance(inputs, Tensor):
            return inputs
        groups, positions, starts = inputs
        states = self._read(groups, generator)
        return embedding_bag(positions, states, starts, mode="max" if self.cls_pooling == "max" else "mean")

    def _rows(self, batch: Batch) -> Tensor:
        return batch.indices

    def _num_rows(self, dataset: EncodedDataset) -> int:
        return len(dataset.lengths)

    def _select(self, table: Ragged, rows: Tensor, indices: Tensor) -> Inputs:
        layout = self._lay_out(table, rows, indices)
        tokenizer, with_cls = self.pretrained.tokenizer, self.pretrained.begins_with_cls
        return to_inputs(layout, pool_sentences(layout, tokenizer, self.cls_pooling, begins_with_cls=with_cls))


def _draw(shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    """Draw numbers from 0 to 1 on the CPU, determined by the state of a generator on any device, without waiting."""
    if generator is None:
        return torch.rand(shape)
    digest = hashlib.sha256(generator.get_state().numpy().tobytes()).digest()
    torch.rand((), device=generator.device, generator=generator)  # the next draw differs
    own = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))
    return torch.rand(shape, generator=own)
