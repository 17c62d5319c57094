"""Predict with exported models, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from flairlite.checks import file_path, whole_number
from flairlite.data import Sentence
from flairlite.deploy.features import WordFeatures
from flairlite.deploy.file_format import ExportedFile, read_export
from flairlite.deploy.labelers import Labeler, make_labeler
from flairlite.deploy.network import Network
from flairlite.errors import FlairliteError, LabelError, ModelFileError, SettingError
from flairlite.prediction.n_best import Hypothesis
from flairlite.prediction.sentences import (
    SentenceReader,
    check_count,
    check_flags,
    check_name,
    check_tokenizer,
    iterate,
    read_chunks,
    show_progress,
)
from flairlite.prediction.words import DistinctWords
from flairlite.tokenization import Tokenizer

Ids = NDArray[np.int64]

_BATCH_TOKENS = 2048  # words and padding that pass through the network at once: its memory grows with them
_GROUP_TOKENS = 8192  # words and padding whose scores are decoded together: a step costs the same for few sentences


def load(path: str | Path, *, num_threads: int = 1) -> ExportedModel:
    """Load a model that `Model.export` wrote; no code in the file is executed, and torch is not imported.

    Args:
        path: The path of the file.
        num_threads: Threads that compute one batch. A server does more work with one thread in each of its processes.

    Raises:
        ModelFileError: If the file is missing, damaged, of a newer format, or not an exported model.
        MissingExtraError: If ONNX Runtime is not installed.
        SettingError: If an argument is invalid.

    Example:
        >>> tagger = load("tagger.onnx")  # doctest: +SKIP
        >>> print(tagger.predict("I love Berlin"))  # doctest: +SKIP
        Sentence[3]: "I love Berlin" → ["I"/PRON, "love"/VERB, "Berlin"/PROPN]
    """
    path = file_path("path", path)
    num_threads = whole_number(least=1)("num_threads", num_threads)
    content = read_export(path)
    try:
        return ExportedModel(content, num_threads=num_threads)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except FlairliteError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelFileError(f"{path} is damaged: {error!r:.200}. Export the model again") from error


class ExportedModel:
    """A model that predicts without torch; made by `load`.

    Threads may predict at the same time, with different sentences, and so may forked processes.

    Attributes:
        label_type: The label type that the model predicts.
        unit: What has the labels: `word`, `span` or `sentence`.
        label_names: The labels that the model can predict.
    """

    def __init__(self, content: ExportedFile, *, num_threads: int) -> None:
        settings = content.settings
        self.label_type, self.unit = str(settings["label_type"]), str(settings["unit"])
        self._labeler: Labeler = make_labeler(settings, content.arrays)
        self.label_names: tuple[str, ...] = self._labeler.label_names
        self._fields: tuple[str, ...] = tuple(map(str, settings["fields"]))
        self._features = WordFeatures(settings["features"], content.arrays, num_threads)
        self._network = Network(content.network, num_threads=num_threads)
        self._tokenizer = _make_tokenizer(settings["tokenizer"])
        self._check()

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Splits texts into words, also sentences that another tokenizer has split; None leaves these."""
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Tokenizer | None) -> None:
        self._tokenizer = check_tokenizer(tokenizer)

    @overload
    def predict(  # type: ignore[overload-overlap]  # a text is an iterable of texts too
        self,
        sentences: Sentence | str,
        mini_batch_size: int = ...,
        return_probabilities_for_all_classes: bool = ...,
        verbose: bool = ...,
        label_name: str | None = ...,
        *,
        force_token_predictions: bool = ...,
    ) -> Sentence: ...

    @overload
    def predict(
        self,
        sentences: Iterable[Sentence | str],
        mini_batch_size: int = ...,
        return_probabilities_for_all_classes: bool = ...,
        verbose: bool = ...,
        label_name: str | None = ...,
        *,
        force_token_predictions: bool = ...,
    ) -> list[Sentence]: ...

    def predict(
        self,
        sentences: Sentence | str | Iterable[Sentence | str],
        mini_batch_size: int = 64,
        return_probabilities_for_all_classes: bool = False,
        verbose: bool = False,
        label_name: str | None = None,
        *,
        force_token_predictions: bool = False,
    ) -> Sentence | list[Sentence]:
        """Predict the labels of sentences, and write them with their scores onto them, as `Model.predict` does.

        Args:
            sentences: A sentence or a text, or an iterable of them. Texts are split into words.
            mini_batch_size: Number of sentences that pass through the network at once.
            return_probabilities_for_all_classes: Write all labels of a text with their probabilities, not only the best
                one. For words, `token.get_tags_proba_dist` returns the probabilities of all labels or tags.
            verbose: Show a progress bar on a terminal or in a notebook, if tqdm is installed.
            label_name: The label type to write; by default the one that the model learned.
            force_token_predictions: Write tags such as `B-PER` onto words if the model labels spans.

        Returns:
            The sentence, or a list of all sentences in their order; empty sentences are included, without labels.

        Raises:
            LabelError: If the scores are NaN.
            SettingError: If the input is not sentences or texts, or a setting is invalid.
        """
        is_single = isinstance(sentences, (Sentence, str))
        chunks = self._predict_chunks(
            sentences, mini_batch_size, return_probabilities_for_all_classes, label_name, force_token_predictions
        )
        labelled: list[Sentence] = []
        for chunk, _ in show_progress(chunks, verbose and not is_single):
            labelled += chunk
        return labelled[0] if is_single else labelled

    def predict_stream(
        self,
        sentences: Iterable[Sentence | str],
        mini_batch_size: int = 64,
        return_probabilities_for_all_classes: bool = False,
        *,
        label_name: str | None = None,
        force_token_predictions: bool = False,
    ) -> Iterator[Sentence]:
        """Predict the labels of a stream of sentences in constant memory; see `predict`.

        Yields:
            The sentences in their order, with labels.
        """
        chunks = self._predict_chunks(
            sentences, mini_batch_size, return_probabilities_for_all_classes, label_name, force_token_predictions
        )
        return (sentence for chunk, _ in chunks for sentence in chunk)

    @overload
    def n_best(  # type: ignore[overload-overlap]  # a text is a sequence of texts too
        self, sentences: Sentence | str, n: int = ..., mini_batch_size: int = ...
    ) -> list[Hypothesis]: ...

    @overload
    def n_best(
        self, sentences: Iterable[Sentence | str], n: int = ..., mini_batch_size: int = ...
    ) -> list[list[Hypothesis]]: ...

    def n_best(
        self, sentences: Sentence | str | Iterable[Sentence | str], n: int = 5, mini_batch_size: int = 64
    ) -> list[Hypothesis] | list[list[Hypothesis]]:
        """Find the n most probable labelings of sentences, in descending order, without changing the sentences.

        Args:
            sentences: A sentence or a text, or an iterable of them. Texts are split into words.
            n: The number of labelings. If there are fewer, as for short sentences, all are returned.
            mini_batch_size: Number of sentences that pass through the network at once.

        Returns:
            The labelings of the sentence, or a list of labelings for each sentence: probability, tags and spans.

        Raises:
            SettingError: If the input is not sentences or texts, `n` is less than 1, or the model labels sentences.
        """
        is_single = isinstance(sentences, (Sentence, str))
        reader = SentenceReader(self.tokenizer, [self.label_type])
        copies = [reader.read_copy(item) for item in iterate([sentences] if is_single else sentences)]
        n, batch_size = check_count("n", n), check_count("mini_batch_size", mini_batch_size)
        lengths = np.fromiter((len(sentence.words) for sentence in copies), np.int64, len(copies))  # (S,)
        hypotheses = [[Hypothesis(1.0, ())] for _ in copies]
        for group, scores in self._score(copies, lengths, batch_size):
            for batch, emissions in zip(group, scores, strict=True):
                for column, index in enumerate(batch.tolist()):
                    hypotheses[index] = self._labeler.n_best(emissions[: lengths[index], column], n)
        return hypotheses[0] if is_single else hypotheses

    def __repr__(self) -> str:
        return f"ExportedModel(label_type={self.label_type!r}, {len(self.label_names)} labels)"

    def _predict_chunks(
        self, sentences: Any, mini_batch_size: int, with_probabilities: bool, label_name: str | None, as_classes: bool
    ) -> Iterator[tuple[list[Sentence], None]]:
        """Check the arguments of `predict`; then predict and write labels, one chunk of the input at a time."""
        check_flags(return_probabilities_for_all_classes=with_probabilities, force_token_predictions=as_classes)
        batch_size = check_count("mini_batch_size", mini_batch_size)
        label_name = self.label_type if label_name is None else check_name("label_name", label_name)
        write = self._labeler.writer(as_classes=as_classes)
        chunks = read_chunks(sentences, SentenceReader(self.tokenizer, [label_name]))

        def predict() -> Iterator[tuple[list[Sentence], None]]:
            for chunk in chunks:
                write(chunk, self._label(chunk, batch_size, with_probabilities), label_name)
                yield chunk, None

        return predict()

    def _check(self) -> None:
        """Check that network, vectors and labels fit together, by predicting a sentence of two words.

        Raises:
            ModelFileError: If they do not.
        """
        try:
            self._label([Sentence(["a", "b"])], 1, True)
        except LabelError:  # the weights are not numbers; prediction says so
            pass
        except Exception as error:  # ONNX Runtime raises types of its own
            raise ModelFileError(f"its network, vectors and labels do not fit together: {error!r:.200}") from error

    def _label(self, sentences: Sequence[Sentence], batch_size: int, with_probabilities: bool) -> Any:
        """Return the predictions for all words, or all sentences."""
        lengths = np.fromiter((len(sentence.words) for sentence in sentences), np.int64, len(sentences))  # (S,)
        predictions = self._labeler.begin(lengths, with_probabilities=with_probabilities)
        for group, scores in self._score(sentences, lengths, batch_size):
            predictions.add(np.concatenate(group), scores)
        return predictions.finish()

    def _score(
        self, sentences: Sequence[Sentence], lengths: Ids, batch_size: int
    ) -> Iterator[tuple[list[Ids], list[NDArray[np.float32]]]]:
        """Yield groups of batches (see `_groups`), and the scores of each batch."""
        distinct = DistinctWords(self._fields)
        word_ids = np.append(distinct.add(sentences), np.int32(len(distinct)))  # (N + 1,); the last is for padding
        table = self._features(*distinct.columns())  # (U + 1, D)
        offsets = np.cumsum(lengths) - lengths
        for group in _groups(lengths, batch_size):
            yield group, [self._run(table, word_ids, lengths[batch], offsets[batch]) for batch in group]

    def _run(self, table: NDArray[np.float32], word_ids: NDArray[np.int32], lengths: Ids, offsets: Ids) -> Any:
        """Return the scores of B sentences: (T, B, K) of words, or (B, K) of sentences."""
        steps = np.arange(lengths[0])[:, None]  # (T, 1)
        positions = offsets + steps  # (T, B)
        if lengths[-1] < lengths[0]:
            positions = np.where(steps < lengths, positions, len(word_ids) - 1)
        return self._network({"table": table, "word_ids": word_ids[positions], "lengths": lengths.astype(np.int32)})


def _make_tokenizer(settings: Any) -> Tokenizer | None:
    if settings is None:
        return None
    try:
        return Tokenizer.from_dict(settings)
    except SettingError as error:
        raise ModelFileError(f"the tokenizer of the model cannot be built: {error}") from error


def _groups(lengths: Ids, batch_size: int) -> Iterator[list[Ids]]:
    """Yield groups of batches, in which sentences are ordered by length, the longest first.

    A network is fastest with batches that fit into the cache of the processor; see `score_batches` for the groups.

    Args:
        lengths: (S,) words per sentence; sentences without words are left out.
        batch_size: Maximum number of sentences per batch.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[: int(np.count_nonzero(lengths))]
    group: list[Ids] = []
    start = size = 0
    while start < len(order):
        width = int(lengths[order[start]])
        batch = order[start : start + max(1, min(batch_size, _BATCH_TOKENS // width))]
        if group and (size + len(batch)) * int(lengths[group[0][0]]) > _GROUP_TOKENS:
            yield group
            group, size = [], 0
        group.append(batch)
        start, size = start + len(batch), size + len(batch)
    if group:
        yield group
