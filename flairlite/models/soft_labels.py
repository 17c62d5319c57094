"""Distributions over tags that models predict for a corpus, as training data of another model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flairlite.checks import file_path
from flairlite.data import Sentence
from flairlite.data.dataset import is_in_memory
from flairlite.errors import LabelError, ModelFileError, SettingError
from flairlite.models.inference import check_finite, decode_dataset
from flairlite.models.model import Model
from flairlite.prediction.sentences import check_count, check_name, not_a_sentence, to_sentences
from flairlite.storage.model_file import read_model_file, write_model_file

_KIND = "soft labels"
_CHUNK = 1024  # sentences predicted at once: the probabilities of all classes are in memory for these only
_DIGEST_SIZE = 16


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
            SettingError: If an argument is invalid, or a teacher does not predict words or the label type.
        """
        teachers = _check_teachers(models, label_type)
        num_classes = check_count("num_classes", num_classes)
        batch_size = check_count("mini_batch_size", mini_batch_size)
        names = tuple(dict.fromkeys(name for model, index in teachers for name in model.tasks[index].class_names))
        size = min(num_classes, len(names))
        keys: list[bytes] = []
        lengths: list[int] = []
        tables: list[torch.return_types.topk] = []
        for chunk in _read_chunks(sentences):
            average = sum(_predict(model, index, chunk, names, batch_size) for model, index in teachers) / len(teachers)
            tables.append(torch.from_numpy(average).topk(size, dim=1))
            keys += map(_key_of, chunk)
            lengths += [len(sentence.words) for sentence in chunk]
        ids = [table.indices for table in tables] or [torch.zeros(0, size, dtype=torch.int64)]
        values = [table.values for table in tables] or [torch.zeros(0, size)]
        return cls(
            names,
            np.frombuffer(bytearray(b"".join(keys)), dtype=np.uint8).reshape(-1, _DIGEST_SIZE),
            np.cumsum(lengths, dtype=np.int64),
            torch.cat(ids).to(torch.int16 if len(names) < 2**15 else torch.int32).numpy(),
            torch.cat(values).to(torch.float16).numpy(),
        )

    @classmethod
    def join(cls, parts: Sequence[SoftLabels]) -> SoftLabels:
        """Join the distributions of several sets of sentences; of a sentence in several, the first set counts.

        Raises:
            SettingError: If there is none.
        """
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
            if (row := self._row_of.get(_key_of(sentence))) is not None:
                words = slice(self.ends[row] - len(sentence.words), self.ends[row])
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


def _check_teachers(models: Any, label_type: str | None) -> list[tuple[Model, int]]:
    """Return each teacher with the position of the label type among those that it predicts."""
    listed = [models] if isinstance(models, Model) else list(models) if isinstance(models, Iterable) else []
    if not listed or not all(isinstance(model, Model) and model.task.by_word for model in listed):
        raise SettingError("models must be a model that labels words or spans, or a list of at least one")
    name = listed[0].label_type if label_type is None else label_type
    return [(model, model.type_indices("label_type", [name])[0]) for model in listed]


def _read_chunks(sentences: Iterable[Sentence]) -> Iterator[list[Sentence]]:
    iterator = iter([sentences] if isinstance(sentences, Sentence) else sentences)
    while chunk := list(islice(iterator, _CHUNK)):
        for sentence in chunk:
            if not isinstance(sentence, Sentence):
                raise not_a_sentence(sentence)
        yield chunk


def _predict(
    model: Model, index: int, sentences: Sequence[Sentence], names: Sequence[str], batch_size: int
) -> NDArray[np.float32]:
    """Return the probabilities (N, K) of the tags of all teachers that a model predicts for N words."""
    encoded = model.encode(sentences)
    probabilities = np.zeros((int(encoded.lengths.sum()), len(names)), dtype=np.float32)
    decoded = decode_dataset(model, encoded, batch_size, types=[index], with_probabilities=True).decoded
    check_finite(decoded.probabilities)
    if decoded.probabilities is not None:  # None without words
        columns = {name: column for column, name in enumerate(names)}
        own = [columns[name] for name in model.tasks[index].class_names]
        probabilities[:, own] = decoded.probabilities[:-1].cpu().numpy()
    return probabilities


def _key_of(sentence: Sentence) -> bytes:
    """Return the hash of the words of a sentence."""
    text = "\x1f".join(sentence.words).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=_DIGEST_SIZE).digest()
