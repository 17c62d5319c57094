"""The estimator of texts in scikit-learn's tools, and scikit-learn's own checks of estimators."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from flairlite import models
from flairlite.data import Sentence
from flairlite.embeddings import DocumentPoolEmbeddings, SubwordEmbeddings, WordEmbeddings
from flairlite.errors import DataUnavailableError, LabelError, SettingError
from flairlite.sklearn import TextClassifier
from flairlite.trainers import Callback

TEXTS = [
    "good film",
    "a very good book",
    "great fun",
    "good fun",
    "bad film",
    "a very bad book",
    "awful",
    "bad fun",
] * 3
CLASSES = ["good", "good", "good", "good", "bad", "bad", "bad", "bad"] * 3
WORDS = {
    "good": [1.0, 0.0],
    "great": [0.9, 0.1],
    "bad": [0.0, 1.0],
    "awful": [0.1, 0.9],
    "film": [0.1, 0.1],
    "book": [0.2, 0.2],
}


def quick(**options: Any) -> TextClassifier:
    """Return a classifier whose training takes milliseconds, but is enough for TEXTS."""
    return TextClassifier(**{"embeddings": WordEmbeddings(WORDS), "max_epochs": 12, "learning_rate": 0.3, **options})


@pytest.fixture(scope="module")
def fitted() -> TextClassifier:
    return quick().fit(TEXTS, CLASSES)


def test_classifier_learns_from_lists_and_predicts_classes_with_probabilities(fitted: TextClassifier) -> None:
    assert fitted.classes_.tolist() == ["bad", "good"]
    assert fitted.predict(["great book", "awful book"]).tolist() == ["good", "bad"]
    probabilities = fitted.predict_proba(["great book", "awful book", "film"])
    assert probabilities.shape == (3, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert fitted.score(TEXTS, CLASSES) == accuracy_score(CLASSES, fitted.predict(TEXTS)) == 1
    assert is_classifier(fitted)
    assert log_loss(CLASSES, fitted.predict_proba(TEXTS)) < 0.5


def test_probabilities_are_those_of_the_model(fitted: TextClassifier) -> None:
    texts = ["good bad book", "awful film"]
    for text, row in zip(texts, fitted.predict_proba(texts), strict=True):
        sentence = fitted.model_.predict(text, return_probabilities_for_all_classes=True)
        expected = {label.value: label.score for label in sentence.get_labels("class")}
        assert {name: pytest.approx(value) for name, value in zip(fitted.classes_, row, strict=True)} == expected


def test_default_embeddings_learn_without_any_vectors() -> None:
    classifier = TextClassifier(max_epochs=8).fit(TEXTS, CLASSES)
    assert classifier.score(TEXTS, CLASSES) == 1
    assert classifier.predict(["Goods"]).tolist() == ["good"]  # of the subwords of `good`


@pytest.mark.parametrize(
    ("y", "dtype"),
    [([1, 0], np.int64), ([True, False], np.bool_), ([2.0, 1.0], np.float64), (np.array(["b", "a"], object), object)],
    ids=["int", "bool", "float", "object"],
)
def test_predicted_classes_have_the_type_of_those_learned(y: Any, dtype: Any) -> None:
    texts, classes = TEXTS[:5:4] * 8, np.tile(np.asarray(y), 8)
    classifier = quick().fit(texts, classes)
    predicted = classifier.predict(texts)
    assert predicted.dtype == classifier.classes_.dtype == dtype
    assert predicted.tolist() == classes.tolist()


COLLECTIONS = {"tuple": tuple, "array": np.array, "objects": lambda texts: np.array(texts, object), "iterator": iter}


@pytest.mark.parametrize("make", COLLECTIONS.values(), ids=COLLECTIONS)
def test_texts_may_come_in_any_collection(make: Any, fitted: TextClassifier) -> None:
    assert fitted.predict(make(TEXTS)).tolist() == CLASSES


def test_columns_of_pandas_are_taken(fitted: TextClassifier) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"text": TEXTS, "class": CLASSES}, index=range(100, 100 + len(TEXTS)))
    assert fitted.predict(frame["text"]).tolist() == CLASSES
    assert quick().fit(frame["text"], frame["class"]).score(frame["text"], frame["class"]) == 1
    assert cross_val_score(quick(), frame["text"], frame["class"], cv=2).min() == 1
    with pytest.raises(SettingError, match="give the column that has the texts"):
        fitted.predict(frame)


def test_lists_of_words_are_texts(fitted: TextClassifier) -> None:
    assert fitted.predict([["awful", "book"], ["great"]]).tolist() == ["bad", "good"]


def test_text_without_words_has_the_prior_of_the_classes() -> None:
    texts, classes = ["good", "bad", "bad", "awful"] * 4, ["good", "bad", "bad", "bad"] * 4
    classifier = quick().fit([*texts, ""], [*classes, "bad"])
    prior = [13 / 17, 4 / 17]
    np.testing.assert_allclose(classifier.class_prior_, prior)
    np.testing.assert_allclose(classifier.predict_proba(["", "good", "  "])[[0, 2]], [prior, prior])
    assert classifier.predict(["", "good"]).tolist() == ["bad", "good"]


def test_single_class_is_always_predicted() -> None:
    classifier = quick(max_epochs=1).fit(TEXTS[:3], ["x", "x", "x"])
    assert classifier.predict(["bad", ""]).tolist() == ["x", "x"]
    assert classifier.predict_proba(["bad"]).tolist() == [[1.0]]


def test_indicator_matrix_makes_a_multi_label_classifier() -> None:
    texts = ["good", "bad", "good bad", "film"] * 6
    wanted = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 6)
    classifier = quick(max_epochs=40).fit(texts, wanted)
    assert classifier.model_.multi_label
    assert classifier.predict(texts).tolist() == wanted.tolist()
    assert classifier.score(texts, wanted) == 1
    probabilities = classifier.predict_proba(texts)
    np.testing.assert_array_equal(probabilities > 0.5, wanted.astype(bool))
    strict = quick(max_epochs=1, model_options={"multi_label_threshold": 0.999}).fit(texts, wanted)
    assert not strict.predict(texts).any()


def test_search_over_parameters_and_cross_validation() -> None:
    search = GridSearchCV(quick(), {"learning_rate": [1e-6, 0.3], "model_options": [None, {"dropout": 0.1}]}, cv=2)
    search.fit(TEXTS, CLASSES)
    assert search.best_params_["learning_rate"] == 0.3
    assert search.score(TEXTS, CLASSES) == 1
    scores = cross_val_score(quick(), TEXTS, CLASSES, cv=3)
    assert scores.tolist() == [1, 1, 1]
    probabilities = cross_val_predict(quick(), TEXTS, CLASSES, cv=3, method="predict_proba")
    assert (probabilities.argmax(axis=1) == (np.array(CLASSES) == "good")).all()


def test_search_runs_in_threads() -> None:
    with parallel_config("threading", n_jobs=2):
        search = GridSearchCV(quick(), {"learning_rate": [1e-6, 0.3]}, cv=2).fit(TEXTS, CLASSES)
    assert search.best_params_ == {"learning_rate": 0.3}


def test_pipeline_changes_texts_first() -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(lower, quick()).fit([text.upper() for text in TEXTS], CLASSES)
    assert pipeline.predict(["GOOD", "BAD"]).tolist() == ["good", "bad"]


def test_clone_has_the_parameters_but_no_model(fitted: TextClassifier) -> None:
    twin = clone(fitted)
    assert twin.get_params().keys() == fitted.get_params().keys()
    assert {**twin.get_params(), "embeddings": 0} == {**fitted.get_params(), "embeddings": 0}
    with pytest.raises(NotFittedError):
        twin.predict(TEXTS)
    with pytest.raises(NotFittedError):
        twin.score(TEXTS, CLASSES)
    assert twin.fit(TEXTS, CLASSES).predict_proba(TEXTS).tolist() == fitted.predict_proba(TEXTS).tolist()


def test_pickled_classifier_predicts_the_same(fitted: TextClassifier, tmp_path: Path) -> None:
    path = tmp_path / "classifier.pickle"
    path.write_bytes(pickle.dumps(fitted))
    script = (
        "import json, pickle, sys; classifier = pickle.load(open(sys.argv[1], 'rb'));"
        "print(json.dumps(classifier.predict_proba(json.loads(sys.argv[2])).tolist()))"
    )
    process = subprocess.run(
        [sys.executable, "-c", script, path, json.dumps(TEXTS)], capture_output=True, text=True, check=True
    )
    assert json.loads(process.stdout) == fitted.predict_proba(TEXTS).tolist()
    assert isinstance(fitted.model_, models.TextClassifier)  # pickling leaves the classifier itself as it was
    assert pickle.loads(pickle.dumps(quick())).fit(TEXTS, CLASSES).score(TEXTS, CLASSES) == 1


def test_pickle_of_a_missing_device_loads_on_the_default_device(fitted: TextClassifier) -> None:
    twin = clone(fitted).set_params(device="cpu").fit(TEXTS, CLASSES)
    twin.device = "cuda:7"
    loaded = pickle.loads(pickle.dumps(twin))
    assert loaded.model_.device == torch.device("cpu")
    assert loaded.predict(TEXTS).tolist() == CLASSES


def test_random_state_decides_the_model() -> None:
    def probabilities(random_state: Any) -> Any:
        return quick(max_epochs=2, random_state=random_state).fit(TEXTS, CLASSES).predict_proba(TEXTS).tolist()

    before = torch.get_rng_state(), repr(np.random.get_state())  # noqa: NPY002
    assert probabilities(3) == probabilities(3) == probabilities(np.random.RandomState(3))
    assert probabilities(3) != probabilities(4)
    assert probabilities(None) == probabilities(None)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert repr(np.random.get_state()) == before[1]  # noqa: NPY002


def test_given_embeddings_stay_as_they_are() -> None:
    embeddings = DocumentPoolEmbeddings([SubwordEmbeddings(8, 50), WordEmbeddings(WORDS)], fine_tune_mode="linear")
    before = {name: weight.clone() for name, weight in embeddings.state_dict().items()}
    classifier = TextClassifier(embeddings, max_epochs=2).fit(TEXTS, CLASSES)
    assert all(torch.equal(weight, before[name]) for name, weight in embeddings.state_dict().items())
    copied = classifier.model_.embeddings.state_dict()
    assert not all(torch.equal(copied[name], weight) for name, weight in before.items())
    own = {id(module.vectors) for module in embeddings.modules() if isinstance(module, WordEmbeddings)}
    assert own == {id(module.vectors) for module in clone_modules(embeddings)}


def clone_modules(embeddings: Any) -> list[WordEmbeddings]:
    from flairlite.sklearn.base import copy_embeddings

    return [module for module in copy_embeddings(embeddings).modules() if isinstance(module, WordEmbeddings)]


def test_embeddings_may_be_a_name_or_a_list() -> None:
    assert quick(embeddings="glove-mini").fit(TEXTS, CLASSES).model_.embeddings.embedding_length == 50
    both = quick(embeddings=["glove-mini", SubwordEmbeddings(4, 30)], max_epochs=1).fit(TEXTS, CLASSES)
    assert both.model_.embeddings.embedding_length == 54
    with pytest.raises(SettingError, match=r"embeddings must be embeddings, a name .* it is 5"):
        quick(embeddings=5).fit(TEXTS, CLASSES)
    with pytest.raises(DataUnavailableError):
        quick(embeddings="no-such-vectors").fit(TEXTS, CLASSES)


def test_validation_texts_choose_the_best_epoch() -> None:
    classifier = quick(validation_fraction=0.25, max_epochs=3).fit(TEXTS, CLASSES)
    assert classifier.history_.keys() == {"train_loss_history", "dev_loss_history", "dev_score_history"}
    assert len(classifier.history_["dev_score_history"]) == 3
    assert quick(max_epochs=3).fit(TEXTS, CLASSES).history_.keys() == {"train_loss_history"}
    with pytest.raises(SettingError, match="leaves none of 2 examples to train on"):
        quick(validation_fraction=0.9).fit(TEXTS[:2], CLASSES[3:5])


def test_model_can_be_saved_as_a_model_file(fitted: TextClassifier, tmp_path: Path) -> None:
    fitted.model_.save(tmp_path / "model.pt")
    sentence = models.TextClassifier.load(tmp_path / "model.pt").predict("an awful book")
    assert sentence.get_label("class").value == "bad"


@pytest.mark.parametrize(
    ("texts", "classes", "error", "message"),
    [
        ("good", ["x"], SettingError, "X must be a list of texts, not a single one"),
        (["good", None], ["x", "y"], SettingError, r"X\[1\] must be a text or a list of words"),
        (["good", float("nan")], ["x", "y"], SettingError, r"X\[1\] must be a text"),
        ([[1.0, 2.0]], ["x"], SettingError, r"X\[0\] must be a text"),
        ([], [], (SettingError, ValueError), "X has no text|0 sample"),
        (["good", "bad"], ["x"], ValueError, "inconsistent numbers of samples"),
        (["good", "bad"], [0.5, 1.25], ValueError, "Unknown label type"),
        (["good", "bad"], None, ValueError, "requires y to be passed, but the target y is None"),
        (["good", "bad"], ["", "x"], LabelError, "a class must have a name"),
        (["good", "bad"], [["x"], ["x", "y"]], ValueError, "sequence"),
    ],
)
def test_invalid_data_are_refused(texts: Any, classes: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        quick().fit(texts, classes)


def test_invalid_parameters_are_refused_by_fit() -> None:
    for options, message in [
        ({"max_epochs": -1}, "max_epochs must be at least 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"validation_fraction": 1.5}, "validation_fraction must be"),
        ({"train_options": {"patiense": 3}}, "Did you mean patience"),
    ]:
        classifier = quick(**options)  # the constructor checks nothing, as scikit-learn demands
        with pytest.raises(SettingError, match=message):
            classifier.fit(TEXTS, CLASSES)


def test_training_is_silent_unless_verbose(capfd: pytest.CaptureFixture[str]) -> None:
    quick(max_epochs=1).fit(TEXTS, CLASSES)
    assert capfd.readouterr() == ("", "")
    handlers = logging.getLogger("flairlite").filters
    assert handlers == []
    logging.getLogger().handlers, saved = [], logging.getLogger().handlers  # those of pytest
    try:
        quick(max_epochs=1, verbose=True).fit(TEXTS, CLASSES)
    finally:
        logging.getLogger().handlers = saved
    assert "EPOCH 1 done" in capfd.readouterr().out


def test_temporary_files_are_removed_and_never_flushed_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    classifier = quick(max_epochs=2, validation_fraction=0.2).fit(TEXTS, CLASSES)
    pickle.loads(pickle.dumps(classifier))
    assert flushed == []
    assert list(tmp_path.iterdir()) == []
    classifier.model_.save(tmp_path / "model.pt")
    assert flushed  # a file that stays is flushed


class PressCtrlC(Callback):
    def on_epoch_end(self, state: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_a_search_and_not_only_one_fit() -> None:
    search = GridSearchCV(quick(train_options={"plugins": [PressCtrlC()]}), {"max_epochs": [2, 3]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(TEXTS, CLASSES)


def test_sentences_of_the_caller_are_not_taken(fitted: TextClassifier) -> None:
    with pytest.raises(SettingError, match=r"X must be a list of texts"):
        fitted.predict(Sentence("good"))
