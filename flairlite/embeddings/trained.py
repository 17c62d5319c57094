"""Tables of trained vectors: one for each item of a dictionary, or for each value of a hash."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from flairlite.checks import flag, number, shown, whole_number
from flairlite.data import Corpus, Dictionary
from flairlite.data.dictionary import UNKNOWN
from flairlite.embeddings.base import Inputs, TokenEmbeddings, check_size, register_embeddings
from flairlite.encoding import Table
from flairlite.errors import LabelError, SettingError
from flairlite.lookup.parts import hash_words
from flairlite.lookup.words import rewriter
from flairlite.runtime import get_device, seeded

log = logging.getLogger("flairlite")

TEXT = "text"
_UNK_ROW = 0  # `Dictionary` adds `<unk>` first


class _TrainedTable(TokenEmbeddings):
    """A table of vectors that are trained from scratch; `index` returns rows of the table."""

    def __init__(self, num_rows: int, embedding_length: int, seed: int | None) -> None:
        super().__init__()
        with seeded(seed):
            self.embedding_layer = nn.Embedding(num_rows, check_size("embedding_length", embedding_length))
            nn.init.xavier_uniform_(self.embedding_layer.weight)

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.embedding_layer.embedding_dim

    @property
    def has_fixed_shapes(self) -> bool:
        """Whether the shapes of the inputs depend only on the shape of the batch, not on its words."""
        return True

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the rows (B, T)."""
        return table[word_ids.long()]

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        vectors: Tensor = self.embedding_layer(inputs)
        return vectors


@register_embeddings
class OneHotEmbeddings(_TrainedTable):
    """A trained vector for each item of a dictionary, for example beside fixed `WordEmbeddings` in a stack.

    In training, items can be replaced by `<unk>` at random, so that its vector fits words that do not occur there.

    Args:
        vocab_dictionary: The items. Other items have the vector of `<unk>`, or the zero vector without `<unk>`.
        field: `text` for the words, or the label type of tokens whose labels are embedded.
        embedding_length: Features D of a vector.
        stable: Normalise each vector, with a trained scale and shift; see `WordEmbeddings`.
        lower_case: Look items up in lower case; the dictionary must then contain items in lower case.
        zero_digits: Look items up with each digit as `0`; the dictionary must then contain such items.
        unk_dropout: Probability of replacing an occurrence of an item by `<unk>` in training.
        unk_alpha: The value a, if an item with f occurrences in training is replaced with probability a / (a + f)
            instead, or in addition to `unk_dropout`. Source: Kiperwasser and Goldberg, Simple and Accurate Dependency
            Parsing Using Bidirectional LSTM Feature Representations, 2016, where a is 0.25.
        counts: For `unk_alpha`, how often each item of the dictionary occurs; `from_corpus` counts them.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If an argument is invalid, or there is no `<unk>` to replace items by.
    """

    def __init__(
        self,
        vocab_dictionary: Dictionary,
        field: str = TEXT,
        embedding_length: int = 300,
        stable: bool = False,
        *,
        lower_case: bool = False,
        zero_digits: bool = False,
        unk_dropout: float = 0.0,
        unk_alpha: float = 0.0,
        counts: Sequence[int] | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(vocab_dictionary, Dictionary):
            raise SettingError(
                f"OneHotEmbeddings takes a Dictionary, got {type(vocab_dictionary).__name__}: {_hint(vocab_dictionary)}"
            )
        _check_field(field)
        super().__init__(len(vocab_dictionary) + 1, embedding_length, seed)  # the last row is padding's
        self.name = f"one-hot-{field}"
        self.vocab_dictionary, self.field, self.stable = vocab_dictionary, field, flag("stable", stable)
        with torch.no_grad():
            self.embedding_layer.weight[-1] = 0
        self.embedding_layer.padding_idx = len(vocab_dictionary)
        self.layer_norm = nn.LayerNorm(self.embedding_length) if stable else None
        self.lower_case, self.zero_digits = flag("lower_case", lower_case), flag("zero_digits", zero_digits)
        self._warn_of_lost_items()
        self.unk_dropout = number(least=0, below=1)("unk_dropout", unk_dropout)
        self.unk_alpha = number(least=0)("unk_alpha", unk_alpha)
        self.counts = _check_counts(counts, vocab_dictionary) if unk_alpha else None
        self.unk_rates: Tensor | None  # (V + 1,) the probability of replacing each item
        self.register_buffer("unk_rates", self._unk_rates(), persistent=False)
        self.to(get_device())
        self.eval()

    @classmethod
    def from_corpus(
        cls,
        corpus: Corpus,
        field: str = TEXT,
        min_freq: int = 3,
        *,
        lower_case: bool = False,
        zero_digits: bool = False,
        **options: Any,
    ) -> OneHotEmbeddings:
        """Collect the words, or labels, of the training split, the most frequent first.

        Args:
            corpus: The corpus.
            field: `text`, or the label type.
            min_freq: Occurrences below which an item is left out; it then has the vector of `<unk>`.
            lower_case: Count and look items up in lower case.
            zero_digits: Count items and look them up with each digit as `0`.
            options: Further arguments of the class.

        Raises:
            SettingError: If `corpus`, `field` or `min_freq` is invalid.
            LabelError: If no item occurs that often.
        """
        if not isinstance(corpus, Corpus):
            raise SettingError(
                f"OneHotEmbeddings.from_corpus takes a Corpus, got {type(corpus).__name__}: {_hint(corpus)}"
            )
        _check_field(field)
        min_freq = whole_number(least=0)("min_freq", min_freq)
        has_values = field == TEXT or any(sentence.token_labels(field) for sentence in corpus.train or ())
        rewrite = rewriter(lower_case=flag("lower_case", lower_case), zero_digits=flag("zero_digits", zero_digits))
        counts = Counter(map(rewrite, _values(corpus, field)) if has_values else ())
        items = [item for item, count in counts.most_common() if count >= min_freq]
        if not items:
            raise LabelError(
                f"no {field!r} of a token occurs {min_freq} times in the training split: there are {len(counts)} "
                f"different ones, and the label types are {', '.join(corpus.get_label_types()) or 'none'}"
            )
        dictionary = Dictionary.from_items(items, add_unk=True)
        if options.get("unk_alpha"):
            options.setdefault("counts", [counts[item] for item in dictionary.get_items()])
        return cls(dictionary, field, lower_case=lower_case, zero_digits=zero_digits, **options)

    @property
    def fields(self) -> tuple[str, ...]:
        """The label type, if labels are embedded."""
        return () if self.field == TEXT else (self.field,)

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the rows (U + 1,) of U distinct words."""
        rewrite = rewriter(lower_case=self.lower_case, zero_digits=self.zero_digits)
        items = map(rewrite, words if self.field == TEXT else (fields or {})[self.field])
        padding = len(self.vocab_dictionary)
        unknown = _UNK_ROW if self.vocab_dictionary.add_unk else padding
        ids = self.vocab_dictionary.item2idx
        return torch.tensor([*(ids.get(item, unknown) for item in items), padding])

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D)."""
        if self.training and self.unk_rates is not None:
            draws = torch.rand(inputs.shape, device=inputs.device, generator=generator)  # (B, T)
            inputs = inputs.masked_fill(draws < self.unk_rates[inputs], _UNK_ROW)
        vectors: Tensor = self.embedding_layer(inputs)
        return vectors if self.layer_norm is None else self.layer_norm(vectors)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the items and the settings."""
        return {
            "items": self.vocab_dictionary.get_items(),
            "add_unk": self.vocab_dictionary.add_unk,
            "field": self.field,
            "embedding_length": self.embedding_length,
            "stable": self.stable,
            "lower_case": self.lower_case,
            "zero_digits": self.zero_digits,
            "unk_dropout": self.unk_dropout,
            "unk_alpha": self.unk_alpha,
            "counts": self.counts,
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> OneHotEmbeddings:
        """Build the embedding from the result of `to_params`."""
        items = Dictionary.from_items(params["items"], add_unk=params["add_unk"])
        names = ("lower_case", "zero_digits", "unk_dropout", "unk_alpha", "counts")
        options = {name: params[name] for name in names if name in params}  # older files lack them
        return cls(items, params["field"], params["embedding_length"], params["stable"], **options)

    def _warn_of_lost_items(self) -> None:
        """Warn of items that are not in the form in which words are looked up."""
        rewrite = rewriter(lower_case=self.lower_case, zero_digits=self.zero_digits)
        items = [item for item in self.vocab_dictionary.get_items() if item != UNKNOWN]
        if lost := [item for item in items if rewrite(item) != item]:
            log.warning(
                "%d of %d items of the dictionary, such as %s, are never found with lower_case=%s and zero_digits=%s: "
                "give items in this form, or write OneHotEmbeddings.from_corpus(corpus)",
                len(lost),
                len(items),
                shown(lost[0]),
                self.lower_case,
                self.zero_digits,
            )

    def _unk_rates(self) -> Tensor | None:
        """Return the probability (V + 1,) of replacing each item, or None if none is replaced."""
        if not self.unk_dropout and not self.unk_alpha:
            return None
        if not self.vocab_dictionary.add_unk:
            raise SettingError("unk_dropout and unk_alpha need a dictionary with <unk>: use add_unk=True")
        counts = torch.tensor(self.counts or [1] * len(self.vocab_dictionary), dtype=torch.float64)  # (V,)
        by_count = self.unk_alpha / (self.unk_alpha + counts) if self.unk_alpha else torch.zeros_like(counts)
        rates = torch.zeros(len(counts) + 1)  # padding is never replaced
        rates[:-1] = 1 - (1 - self.unk_dropout) * (1 - by_count)
        return rates


def _check_counts(counts: Any, dictionary: Dictionary) -> list[int]:
    if counts is None:
        raise SettingError(
            "unk_alpha needs the counts of the items: write OneHotEmbeddings.from_corpus(corpus, unk_alpha=0.25)"
        )
    is_list = isinstance(counts, Iterable) and not isinstance(counts, (str, bytes, Mapping))
    found = [whole_number(least=0)("a count", count) for count in counts] if is_list else []
    if len(found) != len(dictionary):
        raise SettingError(
            f"counts must be a list of {len(dictionary)} whole numbers, one for each item of the dictionary; it is "
            f"{shown(counts)}"
        )
    return found


def _check_field(field: Any) -> None:
    if not isinstance(field, str):
        raise SettingError(f"field must be {TEXT!r} or a label type, got {field!r}")


def _values(corpus: Corpus, field: str) -> Iterator[str]:
    for sentence in corpus.train or ():
        if field == TEXT:
            yield from sentence.words
        else:
            yield from (label or "O" for label in sentence.token_labels(field) or ["O"] * len(sentence))


def _hint(given: object) -> str:
    if isinstance(given, Corpus):
        return "write OneHotEmbeddings.from_corpus(corpus)"
    if isinstance(given, Dictionary):
        return "write OneHotEmbeddings(dictionary)"
    if isinstance(given, (str, Path)):
        return "load one with Dictionary.load(path)"
    return "build one with Dictionary.from_items(words, add_unk=True), or write OneHotEmbeddings.from_corpus(corpus)"


@register_embeddings
class HashEmbeddings(_TrainedTable):
    """A small number of trained vectors; the hash of a word selects one of them.

    Words with the same hash value share a vector; `SubwordEmbeddings` can distinguish them.

    Args:
        num_embeddings: Number of vectors.
        embedding_length: Features D of a vector.
        hash_method: The name of a hash function with a fixed digest size in Python's `hashlib`.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        SettingError: If there is no such hash function, or a number is less than 1.
    """

    def __init__(
        self,
        num_embeddings: int = 1000,
        embedding_length: int = 300,
        hash_method: str = "md5",
        *,
        seed: int | None = None,
    ) -> None:
        if not isinstance(hash_method, str) or not _has_fixed_size(hash_method):
            known = ", ".join(filter(_has_fixed_size, sorted(hashlib.algorithms_guaranteed)))
            raise SettingError(f"hash_method must be one of {known}, not {hash_method!r}")
        num_embeddings = check_size("num_embeddings", num_embeddings)
        super().__init__(num_embeddings, embedding_length, seed)
        self.name, self.num_embeddings, self.hash_method = "hash", num_embeddings, hash_method
        self.to(get_device())
        self.eval()

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the rows (U + 1,) of U distinct words."""
        return torch.tensor([*hash_words(words, self.hash_method, self.num_embeddings), 0])


def _has_fixed_size(hash_method: str) -> bool:
    try:
        return hashlib.new(hash_method, usedforsecurity=False).digest_size > 0
    except ValueError:
        return False
