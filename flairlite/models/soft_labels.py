"""Distributions over tags that models predict for a corpus, as training data of another model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flairlite.checks import file_path, strings
from flairlite.data import Sentence
from flairlite.data.dataset import is_in_memory
from flairlite.encoding import EncodedDataset
from flairlite.errors import LabelError, ModelFileError, SettingError
from flairlite.models.inference import check_finite, decode_dataset
from flairlite.models.model import Model
from flairlite.prediction.sentences import check_count, check_name, iterate, not_a_sentence, to_sentences
from flairlite.storage.model_file import read_model_file, write_model_file

_KIND = "soft labels"
_CHUNK = 1024  # sentences predicted at once: the probabilities of all classes are in memory for these only
_DIGEST_SIZE = 16
_DTYPES = ["uint8", "int64", "float16"]  # of keys, ends and probabilities


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """The most probable tags of each word of a corpus, as one or several models, the teachers, predict them.

    A tagger can learn these distributions in place of gold labels, or besides them: a small tagger from a large one, or
    one from an ensemble, on any amount of text without labels (Hinton, Vinyals and Dean, Distilling the Knowledge in a
    Neural Network, 2015). Predicting a corpus takes much longer than learning it once, so the distributions are
    computed in one step and kept in a file, and training attaches them to sentences by their words. They take C times
    4 bytes per word, 19 MB for 600,000 words with 8 classes each.

    The distributions belong to sentences, not to a trainer, so that corpora can be joined, sampled and shuffled as
    always, and the setting that uses them, `soft_labels`, belongs to the model, as all settings of its loss do.

    Attributes:
        names: The K tags that the teachers know.
        keys: (S, 16) hash of the words of each sentence.
        ends: (S,) position of the last word of each sentence plus one.
        class_ids: (N, C) ids of the C most probable tags of each word.
        probabilities: (N, C) their probabilities, float16, in descending order.

    Example:
        >>> SoftLabels.predict([one, other], texts).save("teachers.pt")  # doctest: +SKIP
        >>> SoftLabels.load("teachers.pt").attach(corpus.train, "teachers")  # doctest: +SKIP
        >>> student = SequenceTagger(embeddings, upos, "upos", soft_labels="teachers")  # doctest: +SKIP
    """

    names: tuple[str, ...]
    keys: NDArray[np.uint8]
    ends: NDArray[np.int64]
    class_ids: NDArray[np.integer[Any]]
    probabilities: NDArray[np.float16]

    @classmethod
    def predict(
        cls,
        models: Model | Sequence[Model],
        sentences: Iterable[Sentence],
        label_type: str | None = None,
        *,
        num_classes: int = 8,
        mini_batch_size: int = 64,
    ) -> SoftLabels:
        """Predict the tags of sentences with one model, or average the distributions of several.

        The sentences are read once, are not changed, and keep their words. To predict a training corpus with teachers
        that have not learned the predicted part, predict each part with other teachers and `join` the results.

        Args:
            models: The teachers, of words or spans. A tag that one of them lacks has probability 0 there.
            sentences: The sentences.
            label_type: The label type, which every teacher must predict; the main one of the first teacher if None.
            num_classes: How many of the most probable tags of each word to keep.
            mini_batch_size: Number of sentences that pass through a network at once.

        Raises:
            LabelError: If the scores of a teacher are NaN.
            SettingError: If an argument is invalid, a teacher does not predict words or the label type, or teachers
                have different tagging schemes of spans.
        """
        options = {"num_classes": num_classes, "mini_batch_size": mini_batch_size}
        return cls.predict_types(models, sentences, None if label_type is None else [label_type], **options)[0]

    @classmethod
    def predict_types(
        cls,
        models: Model | Sequence[Model],
        sentences: Iterable[Sentence],
        label_types: Sequence[str] | None = None,
        *,
        num_classes: int = 8,
        mini_batch_size: int = 64,
    ) -> list[SoftLabels]:
        """Predict the tags of several label types at once; see `predict`.

        Args:
            models: The teachers.
            sentences: The sentences.
            label_types: The label types, which every teacher must predict; the main one of the first teacher if None.
            num_classes: How many of the most probable tags of each word to keep.
            mini_batch_size: Number of sentences that pass through a network at once.

        Returns:
            The distributions of each label type.
        """
        teachers = _check_teachers(models, label_types)
        num_classes = check_count("num_classes", num_classes)
        batch_size = check_count("mini_batch_size", mini_batch_size)
        parts = [_Collector.of(teachers, position, num_classes) for position in range(len(teachers[0][1]))]
        keys: list[bytes] = []
        lengths: list[int] = []
        for chunk in _read_chunks(sentences):
            encoded = [(model, model.encode(chunk), types) for model, types in teachers]
            decoded = [_decode(model, dataset, batch_size, types) for model, dataset, types in encoded]
            for position, part in enumerate(parts):
                part.add([tables[position] for tables in decoded])
            keys += map(_key_of, chunk)
            lengths += [len(sentence.words) for sentence in chunk]
        hashes = np.frombuffer(bytearray(b"".join(keys)), dtype=np.uint8).reshape(-1, _DIGEST_SIZE)
        ends = np.cumsum(lengths, dtype=np.int64)
        return [cls(part.names, hashes, ends, *part.join()) for part in parts]

    @classmethod
    def join(cls, parts: Sequence[SoftLabels]) -> SoftLabels:
        """Join the distributions of several sets of sentences; of a sentence in several, the first set counts.

        Raises:
            SettingError: If there is none.
        """
        parts = list(parts) if isinstance(parts, Iterable) else []
        if not parts or not all(isinstance(part, SoftLabels) for part in parts):
            raise SettingError("SoftLabels.join needs a list of at least one SoftLabels")
        names = tuple(dict.fromkeys(name for part in parts for name in part.names))
        id_of = {name: index for index, name in enumerate(names)}
        dtype = np.int16 if len(names) < 2**15 else np.int32
        size = max(part.class_ids.shape[1] for part in parts)
        ids, probabilities, ends, total = [], [], [], 0
        for part in parts:
            known = np.array([id_of[name] for name in part.names], dtype=dtype)
            padding = ((0, 0), (0, size - part.class_ids.shape[1]))
            ids.append(np.pad(known[part.class_ids], padding))
            probabilities.append(np.pad(part.probabilities, padding))
            ends.append(part.ends + total)
            total += len(part.class_ids)
        keys = np.concatenate([part.keys for part in parts])
        return cls(names, keys, np.concatenate(ends), np.concatenate(ids), np.concatenate(probabilities))

    def attach(self, sentences: Iterable[Sentence], name: str) -> int:
        """Store the distributions on the sentences that have the same words, for a model with this `soft_labels`.

        `token.get_tags_proba_dist(name)` returns them.

        Args:
            sentences: The sentences, such as `corpus.train`.
            name: The name of the distributions, such as `upos_teacher`.

        Returns:
            The number of these sentences.

        Raises:
            LabelError: If there are sentences, and none has the words of a predicted one.
            SettingError: If an argument is invalid, or the sentences are not in memory, so that changes are lost.
        """
        name = check_name("name", name)
        if isinstance(sentences, Sequence) and not is_in_memory(sentences):
            raise SettingError("distributions can be attached only to sentences in memory: read them with in_memory")
        listed = to_sentences(sentences)
        num_found = 0
        for sentence in listed:
            row = self._row_of.get(_key_of(sentence))
            words = slice(0) if row is None else slice(self.ends[row - 1] if row else 0, self.ends[row])
            if row is not None and words.stop - words.start == len(sentence.words):
                sentence.set_tag_distributions(name, self.names, self.probabilities[words], self.class_ids[words])
                num_found += 1
        if listed and not num_found:
            raise LabelError(
                f"none of the {len(listed)} sentences has the words of one of the {len(self.keys)} predicted ones: "
                "predict these sentences, or tokenize them in the same way"
            )
        return num_found

    def save(self, path: str | Path) -> None:
        """Write the distributions to a file.

        Raises:
            FileWriteError: If the file cannot be written.
        """
        arrays = ("keys", "ends", "class_ids", "probabilities")
        tensors = {name: torch.from_numpy(np.ascontiguousarray(getattr(self, name))) for name in arrays}
        write_model_file(file_path("path", path), {"names": list(self.names), **tensors}, kind=_KIND)

    @classmethod
    def load(cls, path: str | Path) -> SoftLabels:
        """Read a file that `save` wrote; no code in it is executed.

        Raises:
            ModelFileError: If the file is missing, damaged, or another one.
        """
        content = read_model_file(path, kind=_KIND)
        try:
            names, *tensors = (content[name] for name in ("names", "keys", "ends", "class_ids", "probabilities"))
            loaded = cls(tuple(names), *(tensor.numpy() for tensor in tensors))
            loaded._check()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"{path} is damaged: {error!r}. Predict the distributions again") from error
        return loaded

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        """The position of each sentence by the hash of its words; the first one of several."""
        rows = reversed(list(enumerate(self.keys)))
        return {key.tobytes(): row for row, key in rows}

    def _check(self) -> None:
        """Check that the arrays of a file fit together."""
        num_words, num_classes = self.class_ids.shape
        lengths = np.diff(self.ends, prepend=0)
        is_valid = (
            all(type(name) is str for name in self.names)
            and len(set(self.names)) == len(self.names)
            and [array.dtype.name for array in (self.keys, self.ends, self.probabilities)] == _DTYPES
            and self.class_ids.dtype.name in ("int16", "int32")
            and self.keys.shape == (len(self.ends), _DIGEST_SIZE)
            and self.probabilities.shape == (num_words, num_classes)
            and (self.ends[-1] if len(self.ends) else 0) == num_words
            and not (lengths < 0).any()
            and not ((self.class_ids < 0) | (self.class_ids >= len(self.names))).any()
            and bool(((self.probabilities >= 0) & (self.probabilities <= 1)).all())
        )
        if not is_valid:
            raise ValueError("its arrays contradict each other")

    def __repr__(self) -> str:
        num_words, num_classes = self.class_ids.shape
        return f"SoftLabels({len(self.keys):,} sentences, {num_words:,} words, {num_classes} of {len(self.names)} tags)"


@dataclass
class _Collector:
    """Averages the distributions of teachers over the tags of a label type, chunk by chunk.

    Attributes:
        names: The K tags of all teachers.
        columns: For each teacher, the indices of its tags among these.
        size: How many of the most probable tags of each word to keep.
    """

    names: tuple[str, ...]
    columns: list[list[int]]
    size: int
    tables: list[torch.return_types.topk] = field(default_factory=list)

    @classmethod
    def of(cls, teachers: Sequence[tuple[Model, list[int]]], position: int, size: int) -> _Collector:
        """Return a collector for the label type at a position of those asked for."""
        tags = [model.tasks[types[position]].class_names for model, types in teachers]
        names = tuple(dict.fromkeys(name for own in tags for name in own))
        index_of = {name: index for index, name in enumerate(names)}
        return cls(names, [[index_of[name] for name in own] for own in tags], min(size, len(names)))

    def add(self, distributions: Sequence[Tensor]) -> None:
        """Add the distributions (N, K of the teacher) that each teacher predicts for N words."""
        average = torch.zeros(len(distributions[0]), len(self.names))
        for columns, table in zip(self.columns, distributions, strict=True):
            average[:, columns] += table / len(distributions)
        self.tables.append(average.topk(self.size, dim=1))

    def join(self) -> tuple[NDArray[np.integer[Any]], NDArray[np.float16]]:
        """Return the most probable tags (M, C) of all words, and their probabilities."""
        ids = [table.indices for table in self.tables] or [torch.zeros(0, self.size, dtype=torch.int64)]
        values = [table.values for table in self.tables] or [torch.zeros(0, self.size)]
        dtype = torch.int16 if len(self.names) < 2**15 else torch.int32
        return torch.cat(ids).to(dtype).numpy(), torch.cat(values).to(torch.float16).numpy()


def _check_teachers(models: Any, label_types: Any) -> list[tuple[Model, list[int]]]:
    """Return each teacher with the positions of the label types among those that it predicts."""
    listed = [models] if isinstance(models, Model) else list(models) if isinstance(models, Iterable) else []
    if not listed or not all(isinstance(model, Model) and model.task.by_word for model in listed):
        raise SettingError("models must be a model that labels words or spans, or a list of at least one")
    names = strings(allow_one=True)("label_types", [listed[0].label_type] if label_types is None else label_types)
    if not names:
        raise SettingError("label_types must name at least one label type, or be None for the main one")
    teachers = [(model, [model.type_indices("label_types", [name])[0] for name in names]) for model in listed]
    for position, name in enumerate(names):
        tasks = [model.tasks[types[position]] for model, types in teachers]
        if len(kinds := {getattr(task, "scheme", task.unit) for task in tasks}) > 1:
            raise SettingError(
                f"the teachers of {name!r} have tags of different kinds, {' and '.join(sorted(kinds))}, whose "
                "probabilities have no average: choose teachers that label the same units with the same tag_format"
            )
    return teachers


def _read_chunks(sentences: Iterable[Sentence]) -> Iterator[list[Sentence]]:
    iterator = iterate([sentences] if isinstance(sentences, Sentence) else sentences)
    while chunk := list(islice(iterator, _CHUNK)):
        for sentence in chunk:
            if not isinstance(sentence, Sentence):
                raise not_a_sentence(sentence)
        yield chunk


def _decode(model: Model, dataset: EncodedDataset, batch_size: int, types: Sequence[int]) -> list[Tensor]:
    """Return the probabilities (N, K) of the tags of each label type that a model predicts for N words."""
    first = decode_dataset(model, dataset, batch_size, types=types, with_probabilities=True)
    tables = []
    for index, found in zip(types, (first, *first.others), strict=True):
        table = found.decoded.probabilities  # (N + 1, K), or None without words
        check_finite(table)
        tables.append(
            torch.zeros(0, len(model.tasks[index].class_names)) if table is None else table[:-1].float().cpu()
        )
    return tables


def _key_of(sentence: Sentence) -> bytes:
    """Return the hash of the words of a sentence."""
    words = sentence.words
    text = "\x1f".join(words)
    if text.count("\x1f") >= len(words):  # some are in words: the text could be that of other words
        return hashlib.blake2b(repr(words).encode(), digest_size=_DIGEST_SIZE, person=b"words").digest()
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_SIZE).digest()
