"""Parameters of the estimators: those that are wrong, and what a fit leaves undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from flairlite.errors import LabelError, SettingError
from flairlite.sklearn import SequenceTagger, TextClassifier
from flairlite.storage import model_file

WORDS = [["in", "Rome"], ["in", "Cork"], ["a"]]
TAGS = [["ADP", "PROPN"], ["ADP", "PROPN"], ["DET"]]
TEXTS, CLASSES = ["good", "bad", "very good"], [1, 0, 1]


def fit_tagger(tags: Any = TAGS, **parameters: Any) -> SequenceTagger:
    return SequenceTagger(**{"max_epochs": 1, "hidden_size": 4, **parameters}).fit(WORDS, tags)


def fit_classifier(**parameters: Any) -> TextClassifier:
    return TextClassifier(**{"max_epochs": 1, **parameters}).fit(TEXTS, CLASSES)


@pytest.mark.parametrize("fit", [fit_tagger, fit_classifier])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model_options": ["dropout"]}, "model_options must be a dict"),
        ({"model_options": {1: 2}}, "model_options must be a dict"),
        ({"model_options": {"no_such": 1}}, "model_options has no_such, but (SequenceTagger|TextClassifier) takes emb"),
        ({"model_options": {"embeddings": 1}}, "model_options must not have embeddings"),
        ({"model_options": {"tag_type": "x", "label_type": "x"}}, "model_options (must not have|has)"),
        ({"train_options": ["patience"]}, "train_options must be a dict"),
        ({"train_options": {1: 2}}, "train_options must be a dict"),
        ({"train_options": {"base_path": "x"}}, "train_options must not have base_path"),
        ({"train_options": {"plugins": 5}}, "plugins in train_options must be a list"),
        ({"train_options": {"no_such": 5}}, "train has no argument 'no_such'"),
    ],
    ids=str,
)
def test_wrong_options_are_named(fit: Any, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        fit(**parameters)


def test_tags_of_predictions_have_the_scheme_of_the_data() -> None:
    assert fit_tagger(model_options={"tag_format": "BIOES"}).scheme_ is None
    with pytest.raises(SettingError, match="tag_format in model_options must be BIOES"):
        fit_tagger(model_options={"tag_format": "BIO"})


@pytest.mark.parametrize(
    ("tags", "classes"),
    [
        ([[10, 2], [10, 2], [None]], [2, 10]),
        ([np.array([1, 7]), np.array([1, 7]), np.array([3])], [1, 3, 7]),
        ([[True, False], [True, False], [True]], [False, True]),
        ([[0.5, 2.0], [0.5, 2.0], [0.5]], [0.5, 2.0]),
    ],
    ids=["int", "NumPy", "bool", "float"],
)
def test_numbers_as_tags_are_predicted_as_numbers(tags: Any, classes: list[Any]) -> None:
    tagger = fit_tagger(tags, max_epochs=60, learning_rate=0.1)
    assert tagger.classes_.tolist() == classes
    predicted = tagger.predict(WORDS[:2])
    assert predicted == [list(row) for row in tags[:2]]
    assert {type(tag) for row in predicted for tag in row} == {type(classes[0])}
    best = [[classes[column] for column in table.argmax(axis=1)] for table in tagger.predict_proba(WORDS[:2])]
    assert best == predicted
    assert tagger.score(WORDS, tags) == 1
    assert clone(tagger).fit(WORDS, TAGS).predict(WORDS)[0][0] in ("ADP", "DET", "PROPN")


@pytest.mark.parametrize("tags", [[[1, "1"], [1, 2], [3]], [["A", 1], ["A", 2], [3]]], ids=["same", "mixed"])
def test_strings_and_numbers_are_not_mixed(tags: Any) -> None:
    with pytest.raises(LabelError, match="use strings"):
        fit_tagger(tags)


@pytest.mark.parametrize("fit", [fit_tagger, fit_classifier])
def test_a_fit_writes_no_checkpoints_unless_asked(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = model_file.write_model_file

    def note(path: Path, *args: Any, **options: Any) -> Any:
        written.append(path.name)
        return write(path, *args, **options)

    monkeypatch.setattr("flairlite.trainers.callbacks.checkpoint.write_model_file", note)
    fit(max_epochs=3)
    assert written == []
    fit(max_epochs=3, train_options={"checkpoint_every": None})
    assert written == ["checkpoint.pt"] * 3
