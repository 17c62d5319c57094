"""Labels of single words, such as parts of speech."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat

import numpy as np
import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.encoding import Targets
from flairlite.errors import LabelError
from flairlite.prediction.writing import write_probabilities, write_words
from flairlite.tasks.task import Decoded, Gold, Task
from flairlite.tensors import UNLABELLED

Writer = Callable[..., None]  # a function of `flairlite.prediction.writing`
_SEPARATOR = re.compile(r"[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # what would end a cell or a row


class WordTask(Task):
    """Each word has one of the labels.

    The labels `O`, `_` and the empty one are learned and predicted, but have no part in precision, recall and F1, as in
    Flair: a label predicted where the gold label is `O` is a false alarm, and `O` predicted elsewhere a miss. Accuracy
    is that of all labelled words, `O` included.
    """

    unit = "word"
    by_word = True
    outside_labels = ("O", "_", "")

    def labels_in(self, sentence: Sentence, label_type: str) -> Sequence[str]:
        """Return the labels of the words of a sentence."""
        return [label for label in sentence.token_labels(label_type) or () if label is not None]

    def targets(self, sentences: Sequence[Sentence], labels: Sequence[str], label_type: str | None = None) -> Targets:
        """Convert the labels of N words to integers, (N + 1,)."""
        label_type = label_type or self.label_type
        columns = [sentence.token_labels(label_type) or repeat(None, len(sentence.words)) for sentence in sentences]
        try:
            return encode_classes(sentences, columns, labels, self.num_known(labels))
        except KeyError as error:
            raise missing_label(error.args[0], label_type, labels) from error

    def count_omitted(self, sentence: Sentence, label_type: str, labels: Sequence[str]) -> Mapping[str, int]:
        """Count the words without a label."""
        return {"unlabelled": len(sentence.words) - len(labels)}

    def omissions(self, for_training: bool) -> dict[str, str]:
        """Return the message about words without a label."""
        effect = (
            "teach the model nothing, and it will predict a label for such words too"
            if for_training
            else "are not compared"
        )
        return {"unlabelled": f"words of {{name}} have no {{label_type!r}} label: they {effect}"}

    def write(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write a label onto each word."""
        write_classes(sentences, decoded, label_name, self.class_names, write_words)

    def rows(self, gold: Gold, predicted: Tensor) -> Iterator[str]:
        """Yield a line per word: word, gold label (`_` for none) and predicted label; a blank line ends a sentence."""
        return word_rows(gold, predicted, gold.labels)


def encode_classes(
    sentences: Sequence[Sentence], columns: Iterable[Iterable[str | None]], names: Sequence[str], num_known: int
) -> Targets:
    """Convert the classes of the words of each sentence to integers; the first `num_known` names are the model's.

    Raises:
        KeyError: If a class is not in `names`.
    """
    id_of: dict[str | None, int] = {name: index for index, name in enumerate(names)}
    id_of[None] = UNLABELLED
    ids = np.fromiter(map(id_of.__getitem__, chain.from_iterable(columns)), dtype=np.int64)  # (N,)
    sums = np.concatenate(([0], np.cumsum((ids >= 0) & (ids < num_known))))
    lengths = np.fromiter((len(sentence.words) for sentence in sentences), dtype=np.int64)  # (S,)
    ends = lengths.cumsum()
    counts = torch.from_numpy(sums[ends] - sums[ends - lengths])
    return Targets(torch.from_numpy(np.append(ids, UNLABELLED)), counts)


def missing_label(label: str, label_type: str, labels: Sequence[str]) -> LabelError:
    """Return the error for a label that `targets` was not given."""
    return LabelError(
        f"the {label_type!r} label {label!r} is not among the labels given, {', '.join(labels) or 'none'}: "
        "give all that occur, as all_labels lists them"
    )


def write_classes(
    sentences: Sequence[Sentence], decoded: Decoded, label_name: str, names: Sequence[str], write: Writer
) -> None:
    """Write the class of each word onto it by a function, and the probabilities of all classes if requested."""
    scores = None if decoded.scores is None else decoded.scores.cpu().numpy()
    write(sentences, decoded.class_ids.cpu().numpy(), scores, names, label_name)
    store_probabilities(sentences, decoded, label_name, names)


def store_probabilities(sentences: Sequence[Sentence], decoded: Decoded, label_name: str, names: Sequence[str]) -> None:
    """Store the probability of each class with each word, if they were requested."""
    if decoded.probabilities is not None:
        write_probabilities(sentences, decoded.probabilities.cpu().numpy(), names, label_name)


def word_rows(gold: Gold, predicted: Tensor, names: Sequence[str]) -> Iterator[str]:
    """Yield a line per word, with the names of its gold and predicted classes."""
    shown = ["_", *map(clean_cell, names)]
    golds = map(shown.__getitem__, (gold.targets.class_ids + 1).tolist())
    predictions = map(shown.__getitem__, (predicted + 1).tolist())
    for sentence in gold.sentences:
        words = sentence.words if "".join(sentence.words).isprintable() else map(clean_cell, sentence.words)
        yield "".join([f"{word}\t{next(golds)}\t{next(predictions)}\n" for word in words]) + "\n"


def clean_cell(text: str) -> str:
    """Return a text with spaces for the characters that would end a cell or a row of a table."""
    return _SEPARATOR.sub(" ", text)
