"""Predict with exported models, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from flairlite.checks import file_path
from flairlite.data import Sentence
from flairlite.deploy.batches import group_batches
from flairlite.deploy.engines import Engine, read_engine
from flairlite.deploy.file_format import ExportedFile, read_export
from flairlite.deploy.labelers import Labeler, Predictions, make_labelers
from flairlite.deploy.network import Network
from flairlite.deploy.vectors import NetworkInput, Vectors
from flairlite.errors import FlairliteError, LabelError, ModelFileError, SettingError
from flairlite.prediction.label_types import choose_type, choose_types, names_to_write
from flairlite.prediction.n_best import Hypothesis
from flairlite.prediction.sentences import (
    SentenceReader,
    check_count,
    check_flags,
    check_tokenizer,
    iterate,
    read_chunks,
    show_progress,
)
from flairlite.tokenization import Tokenizer

Ids = NDArray[np.int64]


def load(
    path: str | Path, *, num_threads: int = 1, engine: str = "onnxruntime", precision: str = "float32"
) -> ExportedModel:
    """Load a model that `Model.export` wrote; no code in the file is executed, and torch is not imported.

    Args:
        path: The path of the file.
        num_threads: Threads that compute one batch. A server does more work with one thread in each of its processes.
        engine: What computes the network: `onnxruntime`, or `openvino` (extra `openvino`). The labels are the same.
            ONNX Runtime is faster, except for batches of sentences in bfloat16; see docs/guide/large-corpora.md.
        precision: `float32`, or `bfloat16` with OpenVINO, which is faster on processors with instructions for it, and
            changes a few labels in ten thousand.

    Raises:
        ModelFileError: If the file is missing, damaged, of a newer format, or not an exported model.
        MissingExtraError: If the engine is not installed.
        SettingError: If an argument is invalid.

    Example:
        >>> tagger = load("tagger.onnx")  # doctest: +SKIP
        >>> print(tagger.predict("I love Berlin"))  # doctest: +SKIP
        Sentence[3]: "I love Berlin" → ["I"/PRON, "love"/VERB, "Berlin"/PROPN]
    """
    path = file_path("path", path)
    chosen = read_engine(engine, precision, num_threads)
    content = read_export(path)
    try:
        return ExportedModel(content, chosen)
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
        label_type: The label type that the model predicts, or the main one of several.
        label_types: All label types that the model predicts, the main one first.
        labelers: What labels each type; `unit` is `word`, `span` or `sentence`, and `label_names` has the labels.
    """

    def __init__(self, content: ExportedFile, engine: Engine) -> None:
        settings = content.settings
        self.labelers: tuple[Labeler, ...] = tuple(make_labelers(settings, content.arrays))
        self.label_types: tuple[str, ...] = tuple(labeler.label_type for labeler in self.labelers)
        self.label_type = self.label_types[0]
        ends = np.cumsum([len(labeler.class_names) for labeler in self.labelers]).tolist()
        self._columns = [slice(*bounds) for bounds in pairwise([0, *ends])]  # of each label type in the scores
        fields = tuple(map(str, settings["fields"]))
        self._vectors = Vectors(settings["features"], content.arrays, fields, engine)
        if not self._vectors.by_word and any(labeler.unit != "sentence" for labeler in self.labelers):
            raise ValueError("words are labelled, but only sentences have vectors")
        self._network = Network(content.network, engine)
        self._tokenizer = _make_tokenizer(settings["tokenizer"])
        self._check()

    @property
    def unit(self) -> str:
        """What has the labels of the main type: `word`, `span` or `sentence`."""
        return self.labelers[0].unit

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels of the main type that the model can predict."""
        return self.labelers[0].label_names

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
        label_types: str | Iterable[str] | None = ...,
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
        label_types: str | Iterable[str] | None = ...,
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
        label_types: str | Iterable[str] | None = None,
    ) -> Sentence | list[Sentence]:
        """Predict the labels of sentences, and write them with their scores onto them, as `Model.predict` does.

        Args:
            sentences: A sentence or a text, or an iterable of them. Texts are split into words.
            mini_batch_size: Number of sentences that pass through the network at once.
            return_probabilities_for_all_classes: Write all labels of a text with their probabilities, not only the best
                one. For words, `token.get_tags_proba_dist` returns the probabilities of all labels or tags.
            verbose: Show a progress bar on a terminal or in a notebook, if tqdm is installed.
            label_name: The label type to write; by default the one that the model learned. A model of several label
                types needs one of them as `label_types` too.
            force_token_predictions: Write tags such as `B-PER` onto words if the model labels spans.
            label_types: The label types to predict, of those of the model; all if None.

        Returns:
            The sentence, or a list of all sentences in their order; empty sentences are included, without labels.

        Raises:
            LabelError: If the scores are NaN.
            SettingError: If the input is not sentences or texts, or a setting is invalid.
        """
        is_single = isinstance(sentences, (Sentence, str))
        chunks = self._predict_chunks(
            sentences,
            mini_batch_size,
            label_name,
            with_probabilities=return_probabilities_for_all_classes,
            as_classes=force_token_predictions,
            label_types=label_types,
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
        label_types: str | Iterable[str] | None = None,
    ) -> Iterator[Sentence]:
        """Predict the labels of a stream of sentences in constant memory; see `predict`.

        Yields:
            The sentences in their order, with labels.
        """
        chunks = self._predict_chunks(
            sentences,
            mini_batch_size,
            label_name,
            with_probabilities=return_probabilities_for_all_classes,
            as_classes=force_token_predictions,
            label_types=label_types,
        )
        return (sentence for chunk, _ in chunks for sentence in chunk)

    @overload
    def n_best(  # type: ignore[overload-overlap]  # a text is a sequence of texts too
        self, sentences: Sentence | str, n: int = ..., mini_batch_size: int = ..., *, label_type: str | None = ...
    ) -> list[Hypothesis]: ...

    @overload
    def n_best(
        self,
        sentences: Iterable[Sentence | str],
        n: int = ...,
        mini_batch_size: int = ...,
        *,
        label_type: str | None = ...,
    ) -> list[list[Hypothesis]]: ...

    def n_best(
        self,
        sentences: Sentence | str | Iterable[Sentence | str],
        n: int = 5,
        mini_batch_size: int = 64,
        *,
        label_type: str | None = None,
    ) -> list[Hypothesis] | list[list[Hypothesis]]:
        """Find the n most probable labelings of sentences, in descending order, without changing the sentences.

        Args:
            sentences: A sentence or a text, or an iterable of them. Texts are split into words.
            n: The number of labelings. If there are fewer, as for short sentences, all are returned.
            mini_batch_size: Number of sentences that pass through the network at once.
            label_type: The label type; by default the main one.

        Returns:
            The labelings of the sentence, or a list of labelings for each sentence: probability, tags and spans.

        Raises:
            SettingError: If the input is not sentences or texts, `n` is less than 1, the label type is unknown, or the
                model labels sentences.
        """
        is_single = isinstance(sentences, (Sentence, str))
        chosen = choose_type(self.label_types, label_type)
        labeler, columns = self.labelers[chosen], self._columns[chosen]
        reader = SentenceReader(self.tokenizer, [labeler.label_type])
        copies = [reader.read_copy(item) for item in iterate([sentences] if is_single else sentences)]
        n, batch_size = check_count("n", n), check_count("mini_batch_size", mini_batch_size)
        lengths = np.fromiter((len(sentence.words) for sentence in copies), np.int64, len(copies))  # (S,)
        hypotheses = [[Hypothesis(1.0, ())] for _ in copies]
        for group, scores in self._score(copies, lengths, batch_size):
            for batch, emissions in zip(group, scores, strict=True):
                for column, index in enumerate(batch.tolist()):
                    hypotheses[index] = labeler.n_best(emissions[..., columns][: lengths[index], column], n)
        return hypotheses[0] if is_single else hypotheses

    def __repr__(self) -> str:
        types = (f"{each.label_type!r} with {len(each.label_names)} labels" for each in self.labelers)
        return f"ExportedModel({', '.join(types)})"

    def _predict_chunks(
        self,
        sentences: Any,
        mini_batch_size: int,
        label_name: str | None,
        *,
        with_probabilities: bool,
        as_classes: bool,
        label_types: str | Iterable[str] | None,
    ) -> Iterator[tuple[list[Sentence], None]]:
        """Check the arguments of `predict`; then predict and write labels, one chunk of the input at a time."""
        check_flags(return_probabilities_for_all_classes=with_probabilities, force_token_predictions=as_classes)
        batch_size = check_count("mini_batch_size", mini_batch_size)
        types = choose_types("label_types", self.label_types, label_types)
        names = names_to_write([self.label_types[index] for index in types], label_name)
        writers = [self.labelers[index].writer(as_classes=as_classes) for index in types]
        chunks = read_chunks(sentences, SentenceReader(self.tokenizer, names))

        def predict() -> Iterator[tuple[list[Sentence], None]]:
            for chunk in chunks:
                predictions = self._label(chunk, batch_size, types, with_probabilities)
                for write, found, name in zip(writers, predictions, names, strict=True):
                    write(chunk, found, name)
                yield chunk, None

        return predict()

    def _check(self) -> None:
        """Check that network, vectors and labels fit together, by predicting a sentence of two words.

        Raises:
            ModelFileError: If they do not.
        """
        try:
            self._label([Sentence(["a", "b"])], 1, range(len(self.labelers)), True)
        except LabelError:  # the weights are not numbers; prediction says so
            pass
        except Exception as error:  # engines raise types of their own
            raise ModelFileError(f"its network, vectors and labels do not fit together: {error!r:.200}") from error

    def _label(
        self, sentences: Sequence[Sentence], batch_size: int, types: Sequence[int], with_probabilities: bool
    ) -> list[Predictions]:
        """Return the predictions of some label types for all words, or all sentences."""
        lengths = np.fromiter((len(sentence.words) for sentence in sentences), np.int64, len(sentences))  # (S,)
        collectors = [self.labelers[index].begin(lengths, with_probabilities=with_probabilities) for index in types]
        for group, scores in self._score(sentences, lengths, batch_size):
            indices = np.concatenate(group)
            for collector, index in zip(collectors, types, strict=True):
                collector.add(indices, [part[..., self._columns[index]] for part in scores])
        return [collector.finish() for collector in collectors]

    def _score(
        self, sentences: Sequence[Sentence], lengths: Ids, batch_size: int
    ) -> Iterator[tuple[list[Ids], list[NDArray[np.float32]]]]:
        """Yield groups of batches (see `group_batches`), and the scores of each batch."""
        chunk = self._vectors.read(sentences, lengths)
        for group in group_batches(lengths, batch_size, self._columns[-1].stop):
            yield group, [self._run(inputs) for inputs in self._vectors.batches(chunk, group)]

    def _run(self, inputs: NetworkInput) -> NDArray[np.float32]:
        """Return the scores of B sentences, of the classes of all label types: (T, B, K) of words, or (B, K)."""
        lengths, rows = inputs.lengths, inputs.rows
        steps = np.arange(lengths[0])[:, None]  # (T, 1)
        positions = inputs.offsets + steps  # (T, B)
        if lengths[-1] < lengths[0]:
            positions = np.where(steps < lengths, positions, len(rows) - 1)
        scores = self._network(
            {"table": inputs.table, "word_ids": rows[positions], "lengths": lengths.astype(np.int32)}
        )
        if scores.shape[-1] != self._columns[-1].stop:
            raise ValueError(f"the network has {scores.shape[-1]} classes, not {self._columns[-1].stop}")
        return scores


def _make_tokenizer(settings: Any) -> Tokenizer | None:
    if settings is None:
        return None
    try:
        return Tokenizer.from_dict(settings)
    except SettingError as error:
        raise ModelFileError(f"the tokenizer of the model cannot be built: {error}") from error
