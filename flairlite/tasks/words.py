"""Labels of single words: parts of speech, say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, repeat

import numpy as np
import torch
from torch import Tensor

from flairlite.data import Sentence
from flairlite.encoding import Targets
from flairlite.errors import LabelError
from flairlite.metrics import DEFAULT_METRIC, Result
from flairlite.tasks.task import Decoded, Gold, Task
from flairlite.tensors import UNLABELLED


class WordTask(Task):
    """Each word has one of the labels."""

    unit = "word"
    by_word = True

    def count(self, sentences: Iterable[Sentence], label_type: str | None = None) -> Counter[str]:
        """Count the labels of words."""
        counts: Counter[str | None] = Counter()
        for sentence in sentences:
            counts.update(sentence.token_labels(label_type or self.label_type) or ())
        return Counter({label: count for label, count in counts.items() if label is not None})

    def targets(self, sentences: Sequence[Sentence], labels: Sequence[str], label_type: str | None = None) -> Targets:
        """Turn the labels of N words into integers, (N + 1,)."""
        label_type = label_type or self.label_type
        columns = [sentence.token_labels(label_type) or repeat(None, len(sentence.words)) for sentence in sentences]
        try:
            return encode_classes(sentences, columns, labels, self.num_known(labels))
        except KeyError as error:
            raise LabelError(
                f"the {label_type!r} label {error.args[0]!r} is not among the labels given, "
                f"{', '.join(labels) or 'none'}: give all that occur, as all_labels lists them"
            ) from error

    def write(self, sentences: Sequence[Sentence], decoded: Decoded, label_name: str) -> None:
        """Write a label onto each word."""
        write_columns(sentences, decoded, label_name, self.class_names)
        write_probabilities(sentences, decoded, label_name, self.class_names)

    def score(
        self,
        gold: Gold,
        predicted: Tensor,
        *,
        loss: float = 0.0,
        main_metric: tuple[str, str] = DEFAULT_METRIC,
        exclude: Collection[str] = (),
    ) -> Result:
        """Compare word by word."""
        return self._score_single(gold, predicted, loss=loss, main_metric=main_metric, exclude=exclude)

    def rows(self, gold: Gold, predicted: Tensor) -> Iterator[str]:
        """Yield a line a word: the word, its gold label (`_` for none) and the predicted one; sentences lie apart."""
        return word_rows(gold, predicted, gold.labels)


def encode_classes(
    sentences: Sequence[Sentence], columns: Iterable[Iterable[str | None]], names: Sequence[str], num_known: int
) -> Targets:
    """Turn a column of classes a sentence into integers; the first `num_known` of the names are the model's.

    Raises:
        KeyError: when a class is not among the names.
    """
    number: dict[str | None, int] = {name: place for place, name in enumerate(names)}
    number[None] = UNLABELLED
    numbers = np.fromiter(map(number.__getitem__, chain.from_iterable(columns)), dtype=np.int64)  # (N,)
    sums = np.concatenate(([0], np.cumsum((numbers >= 0) & (numbers < num_known))))
    lengths = np.fromiter((len(sentence.words) for sentence in sentences), dtype=np.int64)  # (S,)
    ends = lengths.cumsum()
    counts = torch.from_numpy(sums[ends] - sums[ends - lengths])
    return Targets(torch.from_numpy(np.append(numbers, UNLABELLED)), counts)


def write_columns(
    sentences: Sequence[Sentence], decoded: Decoded, label_name: str, names: Sequence[str | None]
) -> None:
    """Write the class of each word (None for none) onto it, with its score."""
    values = list(map(names.__getitem__, decoded.class_ids.tolist()))
    scores = decoded.scores.tolist() if decoded.scores is not None else None
    end = 0
    for sentence in sentences:
        start, end = end, end + len(sentence.words)
        sentence.set_token_labels(label_name, values[start:end], None if scores is None else scores[start:end])


def write_probabilities(sentences: Sequence[Sentence], decoded: Decoded, label_name: str, names: Sequence[str]) -> None:
    """Leave the probability of each class with each word, where they were asked for."""
    if decoded.probabilities is None:
        return
    probabilities, end = decoded.probabilities.cpu().numpy(), 0  # (N + 1, K)
    for sentence in sentences:
        start, end = end, end + len(sentence.words)
        sentence.set_tag_distributions(label_name, names, probabilities[start:end])


def word_rows(gold: Gold, predicted: Tensor, names: Sequence[str]) -> Iterator[str]:
    """Yield a line a word, with the names of its gold and predicted classes."""
    shown = ["_", *names]
    golds = map(shown.__getitem__, (gold.targets.class_ids + 1).tolist())
    predictions = map(shown.__getitem__, (predicted + 1).tolist())
    for sentence in gold.sentences:
        yield "".join([f"{word}\t{next(golds)}\t{next(predictions)}\n" for word in sentence.words]) + "\n"
