"""Contextual string embeddings with a memory: what a language model made of each word in all sentences so far."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn.functional import embedding, embedding_bag

from flairlite.batching import plain_batches
from flairlite.checks import flag, one_of
from flairlite.embeddings.base import (
    Inputs,
    TokenEmbeddings,
    embedding_from_params,
    embedding_to_params,
    register_embeddings,
)
from flairlite.embeddings.flair import FlairEmbeddings
from flairlite.encoding import Batch, EncodedDataset, Table
from flairlite.errors import ModelFileError, SettingError
from flairlite.lookup.packing import PackedWords
from flairlite.nn.fork import hold_during_fork
from flairlite.tensors import copy_to, get_array, map_tensors

_BATCH_SIZE = 64  # sentences added to a memory at once
_MAX_VALUES = 1 << 27  # of vectors that prediction keeps, 512 MB; of more, it computes each vector twice
_STORED = ("words", "offsets", "vectors", "counts")
_lock = threading.Lock()  # of all memories: one of each model could not be copied or pickled with it


class WordMemory(nn.Module):
    """A vector for each word: the minimum, maximum, mean or fading mean of the vectors that were added for it.

    A word keeps its row as long as the object exists, so that data sets can refer to it. Row 0 belongs to no word. The
    state of the module has only words that vectors were added for, sorted, so that it does not depend on the rows.

    Several threads may use a memory: each vector is added once, in the order in which they come.

    Args:
        size: Features D of a vector.
        pooling: `min`, `max`, `mean` or `fade`.
    """

    vectors: Tensor  # (R, D); with `mean`, sums
    counts: Tensor  # (R,) vectors added for each word, 0 for a word that is not known

    def __init__(self, size: int, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling
        self._rows: dict[str, int] = {}
        self.register_buffer("vectors", torch.zeros(1, size), persistent=False)
        self.register_buffer("counts", torch.zeros(1, dtype=torch.int64), persistent=False)

    def __len__(self) -> int:
        return int(self.counts.count_nonzero())

    def clear(self) -> None:
        """Forget all vectors."""
        with torch.no_grad():
            self.counts.zero_()

    def find(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows (U,) of words, from 1; new words get new rows."""
        with _lock:
            rows = [self._rows.setdefault(word, len(self._rows) + 1) for word in words]
            self._reserve(len(self._rows) + 1)
        return np.array(rows, dtype=np.int64)

    @torch.no_grad()
    def add(self, vectors: Tensor, groups: Groups) -> None:
        """Add vectors (M, D), grouped by word."""
        order, starts, rows, counts, weights = groups
        vectors = vectors.to(self.vectors.dtype)
        if self.pooling in ("min", "max"):
            sign = -1 if self.pooling == "min" else 1
            found = sign * embedding_bag(order, sign * vectors, starts, mode="max")  # (R, D)
        else:
            faded = weights if self.pooling == "fade" else None
            found = embedding_bag(order, vectors, starts, mode="sum", per_sample_weights=faded)
        with _lock:
            before = self.counts[rows]
            is_known, known = before.unsqueeze(1) > 0, self.vectors[rows]
            if self.pooling == "fade":  # a new word begins with its first vector
                known = torch.where(is_known, known, vectors[order[starts]])
                found = torch.ldexp(known, -counts.unsqueeze(1)) + found
            elif self.pooling == "mean":
                found = torch.where(is_known, known + found, found)
            else:
                better = torch.minimum if self.pooling == "min" else torch.maximum
                found = torch.where(is_known, better(known, found), found)
            self.vectors[rows] = found
            self.counts[rows] = before + counts

    @torch.no_grad()
    def read(self, rows: Tensor, default: Tensor) -> Tensor:
        """Return the vectors (B, T, D) of rows (B, T), and those of `default` for words that are not known."""
        with _lock:
            counts, vectors = self.counts[rows].unsqueeze(2), embedding(rows, self.vectors)
        if self.pooling == "mean":
            vectors = vectors / counts.clamp(min=1)
        return torch.where(counts > 0, vectors.to(default.dtype), default)

    def _reserve(self, size: int) -> None:
        """Make room for `size` rows."""
        if size <= len(self.counts):
            return
        with torch.inference_mode(False), torch.no_grad():  # tensors of inference mode could not be changed outside it
            for name in ("vectors", "counts"):
                old = getattr(self, name)
                new = old.new_zeros(max(size, 2 * len(old)), *old.shape[1:])
                new[: len(old)] = old
                setattr(self, name, new)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        with _lock:
            counts = self.counts.tolist()
            pairs = sorted((word, row) for word, row in self._rows.items() if counts[row])
            rows = torch.tensor([row for _, row in pairs], dtype=torch.int64, device=self.counts.device)  # (V,)
            stored = {"vectors": self.vectors[rows], "counts": self.counts[rows]}
        words = PackedWords.pack([word for word, _ in pairs])
        stored |= {"words": torch.from_numpy(words.text.copy()), "offsets": torch.from_numpy(words.offsets)}
        for name in _STORED:
            destination[f"{prefix}{name}"] = stored[name]

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        _, strict, missing_keys, _, error_msgs = rest
        own = {name: state_dict[f"{prefix}{name}"] for name in _STORED if f"{prefix}{name}" in state_dict}
        if len(own) < len(_STORED):
            missing_keys.extend(f"{prefix}{name}" for name in _STORED if strict and name not in own)
            return
        try:
            words, vectors, counts = self._read_stored(own)
        except ModelFileError as error:
            error_msgs.append(str(error))
            return
        rows = torch.from_numpy(self.find(words)).to(self.counts.device)
        with torch.no_grad(), _lock:
            self.counts.zero_()
            self.vectors[rows] = vectors.to(self.vectors)
            self.counts[rows] = counts.to(self.counts)

    def _read_stored(self, tensors: Mapping[str, Tensor]) -> tuple[list[str], Tensor, Tensor]:
        owner = "memory of PooledFlairEmbeddings"
        words, offsets = (
            get_array(tensors, name, dtype, ndim=1, owner=owner)
            for name, dtype in (("words", torch.uint8), ("offsets", torch.int64))
        )
        vectors = get_array(tensors, "vectors", torch.float32, ndim=2, owner=owner)
        counts = get_array(tensors, "counts", torch.int64, ndim=1, owner=owner)
        packed = PackedWords(words, offsets)
        damage = packed.describe_damage()
        if not damage and (vectors.shape != (len(packed), self.vectors.shape[1]) or counts.shape != (len(packed),)):
            damage = f"{len(packed):,} words for {vectors.shape} vectors and {counts.shape} counts"
        found = [] if damage else list(packed)
        if not damage and (len(set(found)) < len(found) or (counts < 1).any()):
            damage = "a word twice, or a count below 1"
        if damage:
            raise ModelFileError(f"the {owner} is damaged ({damage}): copy or save the model again")
        return found, torch.from_numpy(vectors.copy()), torch.from_numpy(counts.copy())


# the positions (M,) of vectors, those of a word together; where those of each word begin, (R,); its row, (R,), and its
# number of vectors, (R,); the weight of each vector in a fading mean, (M,)
Groups = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def _group(rows: NDArray[np.int64]) -> Groups | tuple[()]:
    """Group vectors by their rows (M,), 0 for none, in their order; nothing if no vector has a row."""
    order = np.argsort(rows, kind="stable")
    order = order[rows[order] > 0]  # (M,)
    if not len(order):
        return ()
    found, starts, counts = np.unique(rows[order], return_index=True, return_counts=True)  # (R,) each
    age = np.repeat(starts + counts, counts) - np.arange(len(order))  # (M,) 1 for the last of a word
    weights = np.ldexp(np.float32(1), -age.astype(np.int32))
    arrays = (order, starts, found, counts, weights)
    return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)  # type: ignore[return-value]


@register_embeddings
class PooledFlairEmbeddings(TokenEmbeddings):
    """The vectors of `FlairEmbeddings`, and beside each what the language model made of the word in all sentences.

    The second half of a vector pools the vectors of the word in the sentences that were read so far, those of the
    batch included. In training, a batch is added to this memory when it is computed, and `train()` empties the memory,
    as the trainer does before each epoch. `evaluate` adds all sentences before it predicts the first label, and
    `predict` up to 2,048 of them at a time, so that labels depend on what was read before, but not on the size of
    batches; see `clear_memory`. Model files and checkpoints contain the memory. It has a vector for each distinct word
    and grows with new words, D times 4 bytes each.

    Threads share the memory of a model: every word is added once, but labels depend on which thread is first. Processes
    have their own memories, so that several processes cannot train a model together.

    Source: Akbik, Bergmann and Vollgraf, Pooled Contextualized Embeddings for Named Entity Recognition, 2019.

    Args:
        contextual_embeddings: `FlairEmbeddings` that are not trained, or the path or name of their language model.
        pooling: `min`, `max` or `mean` of the vectors of a word, or `fade`: the mean of the last vector and of what the
            memory held before it.
        only_capitalized: Remember only words that begin with a capital letter. Others have the vector of their sentence
            in both halves.
        kwargs: Further arguments of `FlairEmbeddings`, if a path or a name is given.

    Raises:
        SettingError: If an argument is invalid, or the language model is trained.
        UnknownNameError: If there is neither a file nor a model of the name.
        DataUnavailableError: If a named model is not available.
        ModelFileError: If the file is not one of a language model of Flair, or is damaged.
    """

    def __init__(
        self,
        contextual_embeddings: str | Path | FlairEmbeddings,
        pooling: str = "min",
        only_capitalized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.pooling = one_of("min", "max", "mean", "fade")("pooling", pooling)
        self.only_capitalized = flag("only_capitalized", only_capitalized)
        if not isinstance(contextual_embeddings, FlairEmbeddings):
            contextual_embeddings = FlairEmbeddings(contextual_embeddings, **kwargs)
        elif kwargs:
            raise SettingError(f"{', '.join(kwargs)}: give these to FlairEmbeddings itself")
        if contextual_embeddings.fine_tune:
            raise SettingError(
                "the language model of PooledFlairEmbeddings cannot be trained, because the memory would mix vectors "
                "of different weights: give FlairEmbeddings without fine_tune=True"
            )
        self.context_embeddings = contextual_embeddings
        self.memory = WordMemory(contextual_embeddings.embedding_length, self.pooling)
        self.name = f"{contextual_embeddings.name}-context"
        self.to(contextual_embeddings._device)
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features of a word: those of the language model twice."""
        return 2 * self.context_embeddings.embedding_length

    @property
    def is_contextual(self) -> bool:
        """Whether the vector of a word depends on its sentence."""
        return True

    @property
    def has_memory(self) -> bool:
        """Whether vectors depend on the sentences that were read before."""
        return True

    @property
    def static_embeddings(self) -> bool:
        """Whether the vectors stay the same: never, because the memory changes."""
        return False

    def lengths_by_name(self) -> dict[str, int]:
        """Return the features of each half, in order."""
        size = self.context_embeddings.embedding_length
        return {self.context_embeddings.name: size, self.name: size}

    def clear_memory(self) -> None:
        """Forget all words."""
        self.memory.clear()

    def train(self, mode: bool = True) -> PooledFlairEmbeddings:
        """Enter training mode with an empty memory, or leave it."""
        super().train(mode)
        if mode:
            self.clear_memory()
        return self

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the characters of U distinct words, and their rows in the memory, (U + 1,), 0 for none."""
        rows = np.zeros(len(words) + 1, dtype=np.int64)
        chosen = [
            index for index, word in enumerate(words) if word and (word[0].isupper() or not self.only_capitalized)
        ]
        rows[chosen] = self.memory.find([words[index] for index in chosen])
        return self.context_embeddings.index(words), rows

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the inputs of sentences with word ids (B, T); see `select_batch`."""
        return self._with_rows(self.context_embeddings.select(table[0], word_ids), table[1], word_ids)

    def select_batch(self, batch: Batch, generator: Generator | None = None) -> Inputs:
        """Return the inputs of a batch; waits for the device if the data set is on it.

        Returns:
            The inputs of the language model, or its vectors; the rows of the words in the memory, (B, T); and, in
            training, what is added to it.
        """
        inputs = self.context_embeddings.select_batch(replace(batch, table=batch.table[0]), generator)
        return self._with_rows(inputs, batch.table[1], batch.word_ids)

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D); in training, add them to the memory before."""
        selected, rows, groups = inputs
        vectors = self.context_embeddings(selected, lengths, generator)  # (B, T, D / 2)
        if groups:
            self.memory.add(vectors.flatten(0, 1), groups)
        return torch.cat((vectors, self.memory.read(rows, vectors)), dim=2)

    def prepare(self, dataset: EncodedDataset) -> Table:
        """Return the table with the vectors of the language model, which are computed once."""
        table, rows = dataset.table
        return self.context_embeddings.prepare(replace(dataset, table=table)), rows

    @torch.no_grad()
    def remember(self, dataset: EncodedDataset) -> Table:
        """Add all words of a data set to the memory, in their order, and return the table with their vectors."""
        table, rows = dataset.table
        size = len(dataset.word_ids), self.context_embeddings.embedding_length
        if not isinstance(table, Tensor) and size[0] * size[1] <= _MAX_VALUES:
            vectors = torch.zeros(size)
            self.context_embeddings.compute_vectors(replace(dataset, table=table), vectors)
            table = vectors
        dataset = replace(dataset, table=(table, rows))
        for indices in plain_batches(dataset.lengths, _BATCH_SIZE):
            batch = dataset.batch(indices)
            groups = _group(rows[batch.word_ids.cpu().numpy()].ravel())
            if groups:
                selected = self.context_embeddings.select_batch(replace(batch, table=table))
                selected, groups = map_tensors(lambda tensor: copy_to(tensor, self._device), (selected, groups))
                self.memory.add(self.context_embeddings(selected, batch.lengths).flatten(0, 1), groups)
        return table, rows

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings, and those of `FlairEmbeddings`; the memory belongs to the weights."""
        settings = {"pooling": self.pooling, "only_capitalized": self.only_capitalized}
        return {**settings, "contextual_embeddings": embedding_to_params(self.context_embeddings, whole=whole)}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> PooledFlairEmbeddings:
        """Build the embedding from the result of `to_params`; its weights and its memory are loaded afterwards."""
        return cls(**{**params, "contextual_embeddings": embedding_from_params(params["contextual_embeddings"])})

    def extra_repr(self) -> str:
        """Return the name and the settings, which `repr` shows."""
        return f"'{self.name}', pooling={self.pooling!r}, only_capitalized={self.only_capitalized}"

    def _with_rows(self, inputs: Inputs, rows: NDArray[np.int64], word_ids: Tensor) -> Inputs:
        found = rows[word_ids.cpu().numpy()]  # (B, T)
        return inputs, torch.from_numpy(found), _group(found.ravel()) if self.training else ()


hold_during_fork(_lock)
