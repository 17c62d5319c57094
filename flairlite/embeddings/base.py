"""Base classes of embeddings of words and of sentences, and the registry of the classes that files may contain."""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from types import GenericAlias
from typing import Any, ClassVar, TypeVar

import torch
from torch import Generator, Tensor, nn

from flairlite.batching import bucketed_batches
from flairlite.checks import shown, whole_number
from flairlite.data import Corpus, Sentence
from flairlite.embeddings.modules import MODULES
from flairlite.encoding import Batch, ContextWindow, EncodedDataset, Table, encode
from flairlite.errors import ModelFileError, SettingError
from flairlite.nn.functional import evaluating
from flairlite.tensors import copy_to, map_tensors

Inputs = Any  # tensors, or nested tuples of tensors, for a batch of (B, T) words

_CHUNK = 16384  # words embedded at a time
_BATCH_SIZE = 64  # sentences embedded at a time
_OWN_KEYS = ("class", "given_name", "state_dict")  # that this module adds to the result of `to_params`


def check_size(name: str, value: Any) -> int:
    """Return an argument that must be a whole number of at least 1."""
    return int(whole_number(least=1)(name, value))


def check_sizes(name: str, values: Any) -> tuple[int, ...]:
    """Return an argument that must be one or several different whole numbers of at least 1."""
    is_list = isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping))
    found = tuple(check_size(f"{name}[{index}]", value) for index, value in enumerate(values)) if is_list else ()
    if not found or len(set(found)) < len(found):
        raise SettingError(f"{name} must be different whole numbers, such as (2, 3, 4); it is {shown(values)}")
    return found


_CLASSES: dict[str, type[Embeddings]] = {}  # by the name that files contain; those of `MODULES` when they are imported
_Class = TypeVar("_Class", bound="type[Embeddings]")


class Embeddings(nn.Module, ABC):
    """Turns words, or sentences, into vectors, in three steps.

    `index` turns strings into integers, once for the distinct words of a data set; its result, the table, belongs to
    the data set. `select` picks the inputs of a batch from the table, on the table's device. `forward` computes vectors
    from these inputs, on the module's device.
    """

    name: str
    embedding_type: ClassVar[str]

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)  # Flair's scripts write Embeddings[Sentence]

    @property
    @abstractmethod
    def embedding_length(self) -> int:
        """Features D of a vector."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The label types of tokens that `index` needs in addition to the words."""
        return ()

    @property
    def context(self) -> ContextWindow | None:
        """The words of neighbouring sentences that are read with each sentence, or None."""
        return None

    @property
    def is_contextual(self) -> bool:
        """Whether the vector of a word depends on its sentence."""
        return False

    @property
    def has_memory(self) -> bool:
        """Whether vectors depend on the sentences that were read before; see `remember`."""
        return False

    @property
    def has_fixed_shapes(self) -> bool:
        """Whether the shapes of the inputs depend only on the shape of the batch, not on its words."""
        return False

    @property
    def static_embeddings(self) -> bool:
        """Whether training does not change the vectors."""
        return not any(weight.requires_grad for weight in self.parameters())

    def get_names(self) -> list[str]:
        """Return the names under which `embed` stores vectors."""
        return [self.name]

    @abstractmethod
    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up U distinct words; the result has U + 1 rows, the last for padding.

        Args:
            words: The words.
            fields: For each label type in `fields`, the label of each word. Not passed to embeddings without `fields`.
        """

    @abstractmethod
    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the inputs of a batch with word ids (B, T)."""

    def precompute(self, table: Table) -> Table:
        """Return a table for prediction, with the vectors of its words as far as they are computed from words alone.

        The result is valid as long as the weights do not change.
        """
        return table

    def select_batch(self, batch: Batch, generator: Generator | None = None) -> Inputs:
        """Return the inputs of a batch; by default, they depend only on its word ids.

        Args:
            batch: The batch.
            generator: The random generator of what training leaves out, on any device.
        """
        return self.select(batch.table, batch.word_ids)

    def count_subwords(self, dataset: EncodedDataset) -> Tensor | None:
        """Return the subwords of each sentence, (S,), 0 only for empty ones; None if words are read as a whole."""
        return None

    def prepare(self, dataset: EncodedDataset) -> Table:
        """Return the table of a data set that is read many times, after checking that all its sentences can be read.

        Vectors that training does not change may be computed here, once.
        """
        return dataset.table

    def remember(self, dataset: EncodedDataset) -> Table:
        """Let embeddings with a memory take up all words of a data set before any is predicted; return the table.

        The table may contain vectors that were computed for this.
        """
        return dataset.table

    def compact(self) -> None:
        """Round tables of fixed vectors to the precision of a model file."""

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Return, for each embedding by name, which words (U + 1,) of a table have no vector."""
        return {}

    def depths(self) -> dict[str, int]:
        """Return how many layers of a transformer are above each of its weights; empty for other embeddings."""
        return {}

    @abstractmethod
    def embed(self, data_points: Sentence | Iterable[Sentence], *, remember: bool = True) -> list[Sentence]:
        """Compute vectors without dropout and gradients, and store them in the tokens or the sentences.

        Args:
            data_points: The sentences.
            remember: Add them to the memory of the embeddings first, if there is one.
        """

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings and fixed vectors, without the weights, as plain containers and tensors.

        By default, these are the attributes with the names of the arguments of the class, except the seed.

        Args:
            whole: Include fixed vectors. Otherwise include only their name in the cache, if they are there.
        """
        return {name: getattr(self, name) for name in self._arguments()}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Embeddings:
        """Build an embedding from the result of `to_params`; by default, with its items as arguments."""
        return cls(**{name: params[name] for name in cls._arguments()} | dict(params))  # KeyError if one is missing

    def save_embeddings(self, use_state_dict: bool = True) -> dict[str, Any]:
        """Return this embedding as plain containers and tensors, with or without its weights; see `load_embeddings`."""
        weights = {"state_dict": self.state_dict()} if use_state_dict else {}
        return {**embedding_to_params(self), **weights}

    @classmethod
    def _arguments(cls) -> list[str]:
        return [name for name in inspect.signature(cls).parameters if name != "seed"]

    @property
    def _device(self) -> torch.device:
        return next((weight.device for weight in chain(self.parameters(), self.buffers())), torch.device("cpu"))

    def _encode(self, sentences: Sequence[Sentence]) -> EncodedDataset:
        if self.context is not None:
            Sentence.set_context_for_sentences(sentences)
        encoded = encode(sentences, self.index, fields=self.fields, context=self.context)
        return replace(encoded, subwords=self.count_subwords(encoded))

    def _embed_batches(self, dataset: EncodedDataset, *, remember: bool) -> Iterator[tuple[Batch, Tensor]]:
        """Yield batches with their vectors, (B, T, D) or (B, D), in evaluation mode."""
        with evaluating(self):
            if remember:
                dataset = replace(dataset, table=self.remember(dataset))
            dataset = replace(dataset, table=self.precompute(dataset.table))
            for indices in bucketed_batches(dataset.sizes, _BATCH_SIZE):
                batch = dataset.batch(indices)
                inputs = map_tensors(lambda tensor: copy_to(tensor, self._device), self.select_batch(batch))
                yield batch, self(inputs, batch.lengths)


class TokenEmbeddings(Embeddings):
    """Turns words into vectors."""

    embedding_type = "word-level"

    @abstractmethod
    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D) of the words of a batch.

        Args:
            inputs: The result of `select`.
            lengths: (B,) words a sentence, on the CPU; not used by embeddings that depend on the word alone.
            generator: The random generator of dropout in training, on the module's device.
        """

    def lengths_by_name(self) -> dict[str, int]:
        """Return the features of each vector that `embed` stores, in the order in which `forward` joins them."""
        return {self.name: self.embedding_length}

    def get_names(self) -> list[str]:
        """Return the names under which `embed` stores vectors."""
        return list(self.lengths_by_name())

    @torch.no_grad()
    def embed(self, data_points: Sentence | Iterable[Sentence], *, remember: bool = True) -> list[Sentence]:
        """Compute the vector of every token: `token.embedding`, a row of its sentence's matrix (T, D).

        Args:
            data_points: The sentences.
            remember: Add them to the memory of the embeddings first, if there is one.
        """
        sentences = _to_sentences(data_points)
        if not any(sentence.words for sentence in sentences):
            return sentences
        encoded = self._encode(sentences)
        if self.is_contextual:
            vectors = torch.zeros(len(encoded.word_ids), self.embedding_length, device=self._device)  # (N + 1, D)
            for batch, batch_vectors in self._embed_batches(encoded, remember=remember):
                vectors[copy_to(batch.positions, vectors.device)] = batch_vectors.to(vectors.dtype)
            vectors = vectors[:-1]
        else:
            vectors = self._embed_words_alone(encoded.table, encoded.word_ids[:-1])
        lengths = [len(sentence) for sentence in sentences]
        parts = torch.split(vectors, list(self.lengths_by_name().values()), dim=1)
        for name, part in zip(self.get_names(), parts, strict=True):
            for sentence, matrix in zip(sentences, torch.split(part, lengths), strict=True):
                sentence.set_token_embeddings(name, matrix)
        return sentences

    def _embed_words_alone(self, table: Table, word_ids: Tensor) -> Tensor:
        """Return the vectors (N, D) of words with these ids (N,), each of which depends on nothing but the word."""
        chunks = torch.split(word_ids.unsqueeze(0), _CHUNK, dim=1)
        with evaluating(self):
            inputs = (self.select(table, chunk) for chunk in chunks)
            parts = [map_tensors(lambda tensor: copy_to(tensor, self._device), part) for part in inputs]
            return torch.cat([self(part)[0] for part in parts])


class DocumentEmbeddings(Embeddings):
    """Turns sentences into vectors, computed from vectors of their words; an empty sentence has the zero vector.

    Args:
        embeddings: The embeddings of the words.
    """

    embedding_type = "sentence-level"

    def __init__(self, embeddings: TokenEmbeddings) -> None:
        super().__init__()
        self.embeddings = embeddings

    @abstractmethod
    def forward(self, inputs: Inputs, lengths: Tensor, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, D) of the sentences of a batch.

        Args:
            inputs: The result of `select`.
            lengths: (B,) words a sentence, at least 1, on the CPU.
            generator: The random generator of dropout, on the module's device.
        """

    @property
    def has_memory(self) -> bool:
        """Whether the vectors of the words depend on the sentences that were read before."""
        return self.embeddings.has_memory

    @property
    def fields(self) -> tuple[str, ...]:
        """The label types of tokens that the embeddings of the words need."""
        return self.embeddings.fields

    @property
    def context(self) -> ContextWindow | None:
        """The words of neighbouring sentences that the embeddings of the words read."""
        return self.embeddings.context

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings and the embeddings of the words."""
        return {**super().to_params(), "embeddings": embedding_to_params(self.embeddings, whole=whole)}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> DocumentEmbeddings:
        """Build the embedding from the result of `to_params`."""
        return super().from_params({**params, "embeddings": embedding_from_params(params["embeddings"])})  # type: ignore[return-value]

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Look up U distinct words."""
        return self.embeddings.index(words, fields) if self.fields else self.embeddings.index(words)

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the inputs of a batch with word ids (B, T)."""
        return self.embeddings.select(table, word_ids)

    def select_batch(self, batch: Batch, generator: Generator | None = None) -> Inputs:
        """Return the inputs of a batch."""
        return self.embeddings.select_batch(batch, generator)

    def count_subwords(self, dataset: EncodedDataset) -> Tensor | None:
        """Return the subwords of each sentence, (S,), if the embeddings of the words read them."""
        return self.embeddings.count_subwords(dataset)

    def prepare(self, dataset: EncodedDataset) -> Table:
        """Return the table of a data set that is read many times."""
        return self.embeddings.prepare(dataset)

    def remember(self, dataset: EncodedDataset) -> Table:
        """Let the embeddings of the words take up all words of a data set; see `Embeddings.remember`."""
        return self.embeddings.remember(dataset)

    def unknown_words(self, table: Table) -> dict[str, Tensor]:
        """Return which words the embeddings of the words have no vector for."""
        return self.embeddings.unknown_words(table)

    def precompute(self, table: Table) -> Table:
        """Return the table for prediction of the embeddings of the words."""
        return self.embeddings.precompute(table)

    def _embed_words(self, inputs: Inputs, lengths: Tensor, generator: Generator | None) -> Tensor:
        """Return the vectors of the words, (B, T, D), in the precision of the module's own weights."""
        vectors: Tensor = self.embeddings(inputs, lengths, generator)
        weight = next(self.parameters(), None)
        return vectors if weight is None else vectors.to(weight.dtype)

    @torch.no_grad()
    def embed(self, data_points: Sentence | Iterable[Sentence], *, remember: bool = True) -> list[Sentence]:
        """Compute the vector (D,) of every sentence: `sentence.embedding`.

        Args:
            data_points: The sentences.
            remember: Add them to the memory of the embeddings first, if there is one.
        """
        sentences = _to_sentences(data_points)
        vectors = torch.zeros(len(sentences), self.embedding_length, device=self._device)  # (S, D)
        for batch, batch_vectors in self._embed_batches(self._encode(sentences), remember=remember):
            vectors[batch.indices.to(vectors.device)] = batch_vectors.to(vectors.dtype)
        for sentence, vector in zip(sentences, vectors, strict=True):
            sentence.set_embedding(self.name, vector)
        return sentences


def register_embeddings(kind: _Class) -> _Class:
    """Allow files to contain embeddings of a class: a class decorator, also for classes of other modules.

    A program that loads such a file must first import the module of the class.

    Raises:
        SettingError: If another class of this name is registered.
    """
    name, origin = kind.__name__, (kind.__module__, kind.__qualname__)
    known = _CLASSES.get(name)
    taken = (known.__module__, known.__qualname__) if known else (MODULES[name], name) if name in MODULES else origin
    if taken != origin:
        raise SettingError(
            f"embeddings {name} of {kind.__module__} have the name of a class of {taken[0]}, which files already "
            "refer to: rename the class"
        )
    _CLASSES[name] = kind
    return kind


def _find_class(name: Any) -> type[Embeddings] | None:
    """Return the class that files call by this name, or None."""
    if isinstance(name, str) and name in MODULES:
        importlib.import_module(MODULES[name])
    return _CLASSES.get(name) if isinstance(name, str) else None


def embedding_to_params(embedding: Embeddings, *, whole: bool = True) -> dict[str, Any]:
    """Return an embedding as plain containers and tensors, with the name of its class; see `Embeddings.to_params`.

    Raises:
        ModelFileError: If the class is not registered.
    """
    name = type(embedding).__name__
    if _CLASSES.get(name) is not type(embedding):
        raise ModelFileError(
            f"a model file cannot hold {name}: it can hold {', '.join(sorted({*_CLASSES, *MODULES}))}. "
            "Write @register_embeddings above a class of your own"
        )
    return {"class": name, "given_name": embedding.name, **embedding.to_params(whole=whole)}


def embedding_from_params(params: Mapping[str, Any]) -> Any:
    """Build an embedding from the result of `embedding_to_params`.

    Raises:
        ModelFileError: If the class is not registered, or the parameters are incomplete.
    """
    if not isinstance(params, Mapping):
        raise ModelFileError(
            f"expected the dict that save_embeddings returned, got {type(params).__name__}: read a file with "
            "torch.load(path, weights_only=True) first"
        )
    name = params.get("class")
    kind = _find_class(name)
    if kind is None:
        raise ModelFileError(
            f"the file contains embeddings {name!r}, which this version of flairlite does not know: upgrade it, or "
            "import the module of your own class first"
        )
    try:
        embedding = kind.from_params({key: params[key] for key in params if key not in _OWN_KEYS})
    except (KeyError, TypeError) as error:
        problem = f"{name} lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ModelFileError(f"the embeddings are damaged: {problem}. Copy or save them again") from error
    if "given_name" in params:
        embedding.name = params["given_name"]
    return embedding


def load_embeddings(params: Mapping[str, Any]) -> Any:
    """Build an embedding from the result of `Embeddings.save_embeddings`, with its weights if they are included.

    Raises:
        ModelFileError: If the class is not registered, or the parameters or weights are incomplete.
    """
    embedding = embedding_from_params(params)
    if "state_dict" in params:
        try:
            embedding.load_state_dict(params["state_dict"])
        except (RuntimeError, TypeError, AttributeError) as error:
            raise ModelFileError(f"the weights do not fit {params['class']}: {error}") from error
    return embedding


def _to_sentences(data_points: Any) -> list[Sentence]:
    if isinstance(data_points, Sentence):
        return [data_points]
    is_list = isinstance(data_points, Iterable) and not isinstance(data_points, (str, bytes, Mapping))
    sentences = list(data_points) if is_list else [data_points]
    for sentence in sentences:
        if not isinstance(sentence, Sentence):
            remedy = "corpus.train, for example" if isinstance(sentence, Corpus) else "Sentence(text)"
            raise SettingError(
                f"embed takes a Sentence or a list of them, got {type(sentence).__name__}: write {remedy}"
            )
    return sentences
