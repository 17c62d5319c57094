"""scikit-learn's own checks of estimators, which feed numbers: a subclass makes a word of each of them."""

from __future__ import annotations

import doctest
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

from flairlite.embeddings import SubwordEmbeddings
from flairlite.sklearn import TextClassifier


def to_words(values: Any) -> list[list[str]]:
    """Return each row of numbers as a text: a word for each number, which names its column and its sign and size."""
    rows: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    return [[f"c{column}v{value:.0f}" for column, value in enumerate(row)] for row in rows]


class NumbersAsTexts(TextClassifier):
    """A classifier of rows of numbers, which scikit-learn's checks of estimators use, as texts."""

    def __init__(self, max_epochs: int = 4, random_state: Any = None) -> None:
        super().__init__(SubwordEmbeddings(8, 200), max_epochs=max_epochs, random_state=random_state)

    def fit(self, X: Any, y: Any) -> NumbersAsTexts:
        super().fit(to_words(validate_data(self, X)), y)
        return self

    def predict_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().predict_proba(to_words(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_of_estimators_pass() -> None:
    results = check_estimator(NumbersAsTexts(), on_fail=None)
    failed = {result["check_name"]: repr(result["exception"]) for result in results if result["status"] == "failed"}
    assert failed == {}
    assert sum(result["status"] == "passed" for result in results) > 40


def test_estimator_of_texts_is_not_tested_with_numbers() -> None:
    tags = get_tags(TextClassifier())
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.required
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert repr(TextClassifier(max_epochs=3)) == "TextClassifier(max_epochs=3)"


def test_examples_of_the_docstrings_run() -> None:
    from flairlite.sklearn import sequence_tagger, text_classifier

    for module in (sequence_tagger, text_classifier):
        assert doctest.testmod(module) == (0, 2)
