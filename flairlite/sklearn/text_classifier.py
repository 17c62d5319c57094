"""A text classifier as an estimator of scikit-learn."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from flairlite import models
from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import DocumentEmbeddings, DocumentPoolEmbeddings
from flairlite.errors import LabelError, SettingError
from flairlite.prediction.sentences import iterate
from flairlite.sklearn.base import FlairliteEstimator

_INDICATOR = "multilabel-indicator"


@dataclass(eq=False, repr=False)
class TextClassifier(ClassifierMixin, FlairliteEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classifies texts.

    Args:
        embeddings: Embeddings of texts, or of words, of which the mean is taken; the name or file of word vectors, such
            as `glove-mini`; a list of embeddings of words; None for vectors of subwords and of shapes of words that
            are learned from the texts. They are copied, so that `fit` never changes them.
        max_epochs: The largest number of epochs.
        learning_rate: The first learning rate.
        mini_batch_size: Texts per step.
        optimizer: A class of `torch.optim` or its name.
        validation_fraction: The part of the texts to set aside, from 0 to below 1. Then the result is the model of the
            epoch that classifies these best.
        label_type: The label type of the model, as its files name it.
        model_options: Further arguments of `flairlite.models.TextClassifier`, such as `{"dropout": 0.2}`.
        train_options: Further arguments of `ModelTrainer.train`, such as `{"patience": 5}`. No checkpoints are written
            unless it has `checkpoint_every`.
        device: The device of the model; the default device if None.
        random_state: The seed of weights, order and dropout, or a `RandomState`; None for flairlite's default seed, so
            that each fit on the same data gives the same model.
        verbose: Whether to print the log of training.

    Attributes:
        classes_: (K,) the classes, sorted; for an indicator matrix, its K columns.
        class_prior_: (K,) the part of the training texts that has each class.
        model_: The trained `flairlite.models.TextClassifier`; `model_.save(path)` writes it to a file.
        history_: The loss, and with `validation_fraction` also the score, of each epoch.

    Example:
        >>> classifier = TextClassifier(max_epochs=5)
        >>> classifier.fit(["good", "very good", "bad", "very bad"], [1, 1, 0, 0]).predict(["good"])
        array([1])
    """

    _: KW_ONLY
    label_type: str = "class"
    classes_: NDArray[Any] = field(init=False)
    class_prior_: NDArray[np.float64] = field(init=False)
    model_: models.TextClassifier = field(init=False)

    def fit(self, X: Any, y: Any) -> TextClassifier:
        """Train on S texts.

        Args:
            X: The texts, in a list, an array or a column of a table; a list of words is taken as one text.
            y: (S,) the class of each text, or (S, K) a matrix of 0 and 1 where a text can have several classes.

        Raises:
            SettingError: If a parameter or a text is invalid.
            ValueError: If `X` and `y` differ in length, or `y` are no classes.
        """
        sentences = _read_texts(X)
        indicators = self._read_classes(y, len(sentences))  # (S, K)
        names = _name_classes(self.classes_)
        for sentence, row in zip(sentences, indicators, strict=True):
            sentence.set_sentence_labels(self.label_type, [names[index] for index in np.flatnonzero(row)])

        def make_model(seed: int) -> models.TextClassifier:
            embeddings = self._make_embeddings(seed)
            if not isinstance(embeddings, DocumentEmbeddings):
                embeddings = DocumentPoolEmbeddings(embeddings)
            options = self._read_model_options(models.TextClassifier)
            options = {"multi_label": self._is_multi_label, "seed": seed, **options}
            dictionary = Dictionary.from_items(names, add_unk=False)
            return models.TextClassifier(embeddings, self.label_type, dictionary, **options)

        self.model_ = self._train(make_model, sentences)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each text (S,), or a matrix (S, K) of 0 and 1 if the classifier was fitted on one.

        Raises:
            NotFittedError: If the classifier was not fitted.
            SettingError: If a text is invalid.
        """
        probabilities = self.predict_proba(X)
        if not self._is_multi_label:
            classes: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
            return classes
        limits = self.model_.multi_label_threshold
        thresholds = [limits.get(name, limits["default"]) for name in self.model_.label_names]
        return (probabilities > thresholds).astype(np.int64)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of each text (S, K); for texts without words, `class_prior_`.

        Raises:
            NotFittedError: If the classifier was not fitted.
            SettingError: If a text is invalid.
        """
        check_is_fitted(self)
        sentences = _read_texts(X)
        columns = {name: index for index, name in enumerate(self.model_.label_names)}
        probabilities = np.tile(self.class_prior_, (len(sentences), 1))  # (S, K)
        self.model_.predict(sentences, return_probabilities_for_all_classes=True)
        for row, sentence in zip(probabilities, sentences, strict=True):
            for label in sentence.get_labels(self.label_type):
                row[columns[label.value]] = label.score
        if not self._is_multi_label:
            probabilities /= probabilities.sum(axis=1, keepdims=True)  # of rounded scores
        return probabilities

    def _read_classes(self, y: Any, num_texts: int) -> NDArray[np.bool_]:
        """Set the attributes of the classes, and return whether each text has each class, (S, K)."""
        if y is None:
            raise ValueError("TextClassifier requires y to be passed, but the target y is None")
        if type_of_target(y, input_name="y") == _INDICATOR:
            indicators = np.asarray(y.todense() if hasattr(y, "todense") else y).astype(bool)
            self.classes_, self._is_multi_label = np.arange(indicators.shape[1]), True
        else:
            check_classification_targets(y)
            column = column_or_1d(y, warn=True)
            self.classes_, self._is_multi_label = np.unique(column), False
            indicators = column[:, None] == self.classes_
        check_consistent_length(range(num_texts), indicators)
        self.class_prior_ = indicators.mean(axis=0)
        return indicators

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.classifier_tags.multi_label = True
        return tags


def _read_texts(given: Any) -> list[Sentence]:
    """Return texts, or lists of words, as new sentences."""
    if isinstance(given, (str, Sentence)):
        raise SettingError(f"X must be a list of texts, not a single one: give [{given!r:.60}]")
    texts = given.tolist() if isinstance(given, np.ndarray) else list(iterate(given))
    if not texts:
        raise SettingError("X has no text: give at least one")
    return [_read_text(text, index) for index, text in enumerate(texts)]


def _read_text(text: Any, index: int) -> Sentence:
    try:
        return Sentence(text)
    except SettingError as error:
        raise SettingError(f"X[{index}] must be a text or a list of words: {error}") from error


def _name_classes(classes: NDArray[Any]) -> list[str]:
    """Return the name of each class in the model."""
    names = list(map(str, classes.tolist()))
    if "" in names:
        raise LabelError("a class must have a name: y has '', the empty one")
    return names
