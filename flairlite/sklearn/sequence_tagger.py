"""A tagger of words and spans as an estimator of scikit-learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from flairlite import models
from flairlite.checks import one_of
from flairlite.data import Dictionary, Sentence
from flairlite.data.label_values import check_values
from flairlite.data.tag_schemes import are_tags, detect_scheme, pairs_of, spans_of, tags_for, tags_of
from flairlite.errors import FlairliteError, LabelError, SettingError
from flairlite.prediction.sentences import iterate
from flairlite.sklearn.base import FlairliteEstimator

# how the scheme of the model, BIOES, becomes those of the data: prefixes of each of its prefixes
_PREFIXES = {"BIO2": dict(zip("BIES", "BIIB", strict=True)), "BILOU": dict(zip("BIES", "BILU", strict=True))}


class Tags(list[list[str]]):
    """A list of the tags of each sentence.

    NumPy makes a one-dimensional array of it, so that `cross_val_predict` can join predictions for sentences of any
    lengths.
    """

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.object_]:
        array = np.empty(len(self), dtype=object)
        for index, tags in enumerate(self):  # array[:] = self would convert it again
            array[index] = tags
        return array


@dataclass(eq=False, repr=False)
class SequenceTagger(FlairliteEstimator):
    """Tags the words of sentences, or finds spans such as named entities.

    Tags such as `B-PER` and `O`, in the scheme BIO, BIOES or BILOU, are learned as spans. The predicted tags are valid
    and in the same scheme, and `score` is the F1 score of spans. All other tags are learned as labels of words.

    Args:
        embeddings: Embeddings of words; the name or file of word vectors, such as `glove-mini`; a list of both; None
            for vectors of subwords and of shapes of words that are learned from the sentences. They are copied, so that
            `fit` never changes them.
        max_epochs: The largest number of epochs.
        learning_rate: The first learning rate.
        mini_batch_size: Sentences per step.
        optimizer: A class of `torch.optim` or its name.
        hidden_size: Size of the hidden state of the network in each direction.
        validation_fraction: The part of the sentences to set aside, from 0 to below 1. Then the result is the model of
            the epoch that tags these best.
        labels_of: `word` or `span`, if this shall not be derived from the tags.
        label_type: The label type of the model, as its files name it, such as `ner`.
        model_options: Further arguments of `flairlite.models.SequenceTagger`, such as `{"rnn_layers": 2}`.
        train_options: Further arguments of `ModelTrainer.train`, such as `{"patience": 5}`. No checkpoints are written
            unless it has `checkpoint_every`.
        device: The device of the model; the default device if None.
        random_state: The seed of weights, order and dropout, or a `RandomState`; None for flairlite's default seed, so
            that each fit on the same data gives the same model.
        verbose: Whether to print the log of training.

    Attributes:
        classes_: (K,) the tags, sorted; for spans, all tags of their labels.
        scheme_: The scheme of the tags of spans: BIO1, BIO2, BIOES or BILOU; None for labels of words.
        model_: The trained `flairlite.models.SequenceTagger`; `model_.save(path)` writes it to a file.
        history_: The loss, and with `validation_fraction` also the score, of each epoch.

    Example:
        >>> tagger = SequenceTagger(learning_rate=0.05, hidden_size=16)
        >>> tagger.fit([["in", "Rome"], ["in", "Cork"]], [["ADP", "PROPN"], ["ADP", "PROPN"]]).predict([["in", "Rome"]])
        [['ADP', 'PROPN']]
    """

    _: KW_ONLY
    hidden_size: int = 128
    labels_of: str | None = None
    label_type: str = "tag"
    classes_: NDArray[Any] = field(init=False)
    scheme_: str | None = field(init=False)
    _values: dict[str, Any] = field(init=False)
    model_: models.SequenceTagger = field(init=False)

    def fit(self, X: Any, y: Any) -> SequenceTagger:
        """Train on S sentences.

        Args:
            X: A list of words for each sentence.
            y: A list of tags for each sentence, one a word; None for a word without a tag. Tags may be numbers; then
                those that are predicted are too.

        Raises:
            SettingError: If a parameter is invalid, or a sentence has not one tag a word.
            LabelError: If there is no tag, or a tag of spans is not one.
            ValueError: If `X` and `y` differ in length.
        """
        rows, given = _read_rows(X, "X", "words"), _read_rows(y, "y", "tags")
        columns = _read_tags(given)
        check_consistent_length(rows, columns)
        self._values = _find_values(given, columns)
        counts = Counter(tag for tag in chain.from_iterable(columns) if tag is not None)
        if not counts:
            raise LabelError("y has no tag: give a list of tags for each sentence, one a word")
        has_spans = are_tags(counts)
        if self.labels_of is not None:
            has_spans = one_of("word", "span")("labels_of", self.labels_of) == "span"
        pairs = Counter(chain.from_iterable(map(pairs_of, columns))) if has_spans else None
        self.scheme_ = None if pairs is None else detect_scheme(pairs)
        sentences = self._make_sentences(rows, columns)
        if self.scheme_ is None:
            labels = sorted(counts, key=self._value_of)
            self.classes_ = np.array(list(map(self._value_of, labels)))
        else:
            labels = sorted({label for row in sentences for _, _, label in row.span_labels(self.label_type)})
            self.classes_ = np.array(sorted(tags_for(labels, self.scheme_)))
        dictionary = Dictionary.from_items(labels, add_unk=False)
        dictionary.span_labels = has_spans

        def make_model(seed: int) -> models.SequenceTagger:
            options = {"hidden_size": self.hidden_size, "seed": seed, **self._read_model_options(models.SequenceTagger)}
            if options.setdefault("tag_format", "BIOES") != "BIOES":
                raise SettingError("tag_format in model_options must be BIOES; predicted tags are in the scheme of y")
            return models.SequenceTagger(self._make_embeddings(seed), dictionary, self.label_type, **options)

        self.model_ = self._train(make_model, sentences)
        return self

    def predict(self, X: Any) -> list[list[str]]:
        """Return the tags of each sentence, one a word.

        Raises:
            NotFittedError: If the tagger was not fitted.
            SettingError: If a sentence is not a list of words.
        """
        check_is_fitted(self)
        sentences = list(map(Sentence, _read_rows(X, "X", "words")))
        self.model_.predict(sentences)
        if self.scheme_ is None:
            columns = (sentence.token_labels(self.label_type) or [] for sentence in sentences)
            return Tags([[self._value_of(str(tag)) for tag in column] for column in columns])
        return Tags([tags_of(row.span_labels(self.label_type), len(row), self.scheme_) for row in sentences])

    def predict_proba(self, X: Any) -> list[NDArray[np.float64]]:
        """Return the probabilities (T, K) of the tags of the T words of each sentence, in the order of `classes_`.

        Raises:
            NotFittedError: If the tagger was not fitted.
            SettingError: If a sentence is not a list of words, or the tags are in the scheme BIO1, where the tag of a
                word depends on the span before it.
        """
        check_is_fitted(self)
        if self.scheme_ == "BIO1":
            raise SettingError("words have no probabilities of tags in the scheme BIO1: fit on tags in BIO or BIOES")
        sentences = list(map(Sentence, _read_rows(X, "X", "words")))
        self.model_.predict(sentences, return_probabilities_for_all_classes=True, force_token_predictions=True)
        names = self.model_.task.class_names
        prefixes = _PREFIXES.get(self.scheme_ or "", {})
        written = [prefixes.get(name[0], name[0]) + name[1:] if self.scheme_ else name for name in names]
        classes = self.classes_.tolist()
        sums = np.array([[self._value_of(name) == tag for tag in classes] for name in written], dtype=np.float64)
        distributions = [sentence.tag_distributions(self.label_type) for sentence in sentences]
        tables = [np.empty((0, len(names))) if row is None else row.probabilities for row in distributions]
        return [table @ sums for table in tables]

    def score(self, X: Any, y: Any) -> float:
        """Return the accuracy of the tags, or, for spans, the micro-averaged F1 score of spans, from 0 to 1.

        Raises:
            NotFittedError: If the tagger was not fitted.
            SettingError: If a sentence has not one tag a word.
            LabelError: If there is no tag.
            ValueError: If `X` and `y` differ in length.
        """
        check_is_fitted(self)
        rows, columns = _read_rows(X, "X", "words"), _read_tags(y)
        check_consistent_length(rows, columns)
        result = self.model_.evaluate(self._make_sentences(rows, columns), return_loss=False)
        return result.accuracy if self.scheme_ is None else result.main_score

    def _value_of(self, tag: str) -> Any:
        """Return a tag of the model as `y` had it, for example as a number."""
        return self._values.get(tag, tag)

    def _make_sentences(self, rows: Sequence[list[Any]], columns: Sequence[list[str | None]]) -> list[Sentence]:
        sentences = []
        for index, (words, tags) in enumerate(zip(rows, columns, strict=True)):
            if len(words) != len(tags):
                raise SettingError(f"y[{index}] must have a tag a word, {len(words)}, but it has {len(tags)}")
            sentence = Sentence(words)
            try:
                if self.scheme_ is None:
                    sentence.set_token_labels(self.label_type, tags)
                else:
                    sentence.set_span_labels(self.label_type, spans_of(tags))
            except LabelError as error:
                remedy = "" if self.scheme_ is None else ". Pass labels_of='word' if these are no tags of spans"
                raise LabelError(f"y[{index}]: {error}{remedy}") from error
            sentences.append(sentence)
        return sentences

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.target_tags.required, tags.target_tags.single_output = True, False
        return tags


def _read_rows(given: Any, name: str, kind: str) -> list[list[Any]]:
    """Return a list of lists."""
    rows = [] if given is None or isinstance(given, str) else list(iterate(given))
    if not rows:
        raise SettingError(f"{name} must be a list with a list of {kind} for each sentence, not {given!r:.60}")
    for index, row in enumerate(rows):
        if isinstance(row, (str, bytes, Mapping)) or not isinstance(row, Iterable):
            raise SettingError(f"{name}[{index}] must be a list of {kind}, not {row!r:.60} ({type(row).__name__})")
    return [row.tolist() if isinstance(row, np.ndarray) else list(row) for row in rows]


def _find_values(given: Sequence[list[Any]], columns: Sequence[list[str | None]]) -> dict[str, Any]:
    """Return the value of each tag that is no string, by the string that the model has for it.

    Raises:
        LabelError: If some tags are strings and others are not, or two have the same string.
    """
    pairs = zip(chain.from_iterable(columns), chain.from_iterable(given), strict=True)
    values: dict[str, Any] = {}
    for name, value in pairs:
        known = values.setdefault(name, value) if name is not None else value
        if isinstance(known, str) != isinstance(value, str) or (type(known) is not type(value) and known != value):
            raise LabelError(f"y has the tags {known!r} and {value!r}, which are the same for the model: use strings")
    if all(isinstance(value, str) for value in values.values()):
        return {}
    if any(isinstance(value, str) for value in values.values()):
        raise LabelError("y has strings and other values as tags: use strings")
    return values


def _read_tags(given: Any) -> list[list[str | None]]:
    columns = []
    for index, row in enumerate(_read_rows(given, "y", "tags")):
        try:
            columns.append(check_values(row))
        except FlairliteError as error:
            raise LabelError(f"y[{index}]: {error}") from error
    return columns
