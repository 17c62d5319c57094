"""The estimator of tags in scikit-learn's tools."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seqeval.metrics import accuracy_score, f1_score
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score

from flairlite import models
from flairlite.data.tag_schemes import spans_of, tags_of
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import LabelError, SettingError
from flairlite.sklearn import SequenceTagger

SENTENCES = [
    ["Ada", "Lovelace", "lived", "in", "London", "."],
    ["in", "New", "York"],
    ["Rome", "Cork"],
    ["Grace", "lived"],
    ["it", "rained", "in", "Cork", "."],
] * 4
SPANS = [
    [(0, 2, "PER"), (4, 5, "LOC")],
    [(1, 3, "LOC")],
    [(0, 1, "LOC"), (1, 2, "LOC")],
    [(0, 1, "PER")],
    [(3, 4, "LOC")],
] * 4
POS = [
    ["PROPN", "PROPN", "VERB", "ADP", "PROPN", "PUNCT"],
    ["ADP", "PROPN", "PROPN"],
    ["PROPN", "PROPN"],
    ["PROPN", "VERB"],
    ["PRON", "VERB", "ADP", "PROPN", "PUNCT"],
] * 4


def vectors() -> dict[str, list[float]]:
    words = sorted({word for words in SENTENCES for word in words})
    return dict(zip(words, np.eye(len(words)).tolist(), strict=True))


def quick(**options: Any) -> SequenceTagger:
    """Return a tagger whose training takes little time, but is enough for SENTENCES."""
    defaults = {"embeddings": WordEmbeddings(vectors()), "max_epochs": 15, "learning_rate": 0.03, "hidden_size": 16}
    plain = {"model_options": {"word_dropout": 0, "locked_dropout": 0}, "mini_batch_size": 8}
    return SequenceTagger(**{**defaults, **plain, **options})


def in_scheme(scheme: str) -> list[list[str]]:
    return [tags_of(spans, len(words), scheme) for spans, words in zip(SPANS, SENTENCES, strict=True)]


@pytest.fixture(scope="module")
def of_words() -> SequenceTagger:
    return quick().fit(SENTENCES, POS)


@pytest.fixture(scope="module")
def of_spans() -> SequenceTagger:
    return quick().fit(SENTENCES, in_scheme("BIO2"))


def test_tagger_learns_labels_of_words(of_words: SequenceTagger) -> None:
    assert of_words.classes_.tolist() == ["ADP", "PRON", "PROPN", "PUNCT", "VERB"]
    assert of_words.scheme_ is None
    assert of_words.predict(SENTENCES) == POS
    assert of_words.predict([["in", "Rome"], []]) == [["ADP", "PROPN"], []]
    wrong = [["VERB"] * len(tags) for tags in POS]
    assert of_words.score(SENTENCES, POS) == 1
    assert of_words.score(SENTENCES, wrong) == pytest.approx(accuracy_score(wrong, of_words.predict(SENTENCES)))


@pytest.mark.parametrize("scheme", ["BIO1", "BIO2", "BIOES", "BILOU"])
def test_tagger_learns_spans_and_predicts_tags_of_their_scheme(scheme: str) -> None:
    tags = in_scheme(scheme)
    tagger = quick().fit(SENTENCES, tags)
    assert tagger.scheme_ == scheme
    assert tagger.model_.label_names == ("LOC", "PER")
    assert tagger.predict(SENTENCES) == tags
    assert {tag for row in tags for tag in row} <= set(tagger.classes_.tolist())
    assert tagger.score(SENTENCES, tags) == 1


def test_score_of_spans_is_f1(of_spans: SequenceTagger) -> None:
    gold = in_scheme("BIO2")
    gold[0] = ["B-PER", "O", "O", "O", "B-ORG", "O"]  # a shorter span and a label that was not learned
    gold[1] = ["O"] * 3
    assert of_spans.score(SENTENCES, gold) == pytest.approx(f1_score(gold, of_spans.predict(SENTENCES)))
    assert of_spans.score(SENTENCES[:1], [["O"] * 6]) == 0


@pytest.mark.parametrize("scheme", ["BIO2", "BIOES", "BILOU"])
def test_probabilities_are_marginals_in_the_order_of_classes(scheme: str) -> None:
    tagger = quick(max_epochs=3).fit(SENTENCES, in_scheme(scheme))
    words = ["Ada", "lived", "in", "New", "York"]
    (table,) = tagger.predict_proba([words])
    assert table.shape == (5, len(tagger.classes_))
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-5)
    # n_best lists all labelings that are possible, with their probabilities: their sum by tag is the oracle
    expected = np.zeros_like(table)
    for labeling in tagger.model_.n_best(SentenceOf(words), n=20_000):
        for index, tag in enumerate(tags_of(labeling.spans, len(words), scheme)):
            expected[index, tagger.classes_.tolist().index(tag)] += labeling.probability
    assert expected.sum() == pytest.approx(5, abs=1e-3)
    np.testing.assert_allclose(table, expected, atol=1e-3)


def SentenceOf(words: list[str]) -> Any:
    from flairlite.data import Sentence

    return Sentence(words)


def test_probabilities_of_words_agree_with_predictions(of_words: SequenceTagger) -> None:
    tables = of_words.predict_proba([*SENTENCES[:3], []])
    assert [table.shape for table in tables] == [(6, 5), (3, 5), (2, 5), (0, 5)]
    for table, tags in zip(tables[:3], POS[:3], strict=True):
        assert of_words.classes_[table.argmax(axis=1)].tolist() == tags


def test_probabilities_of_bio1_are_refused() -> None:
    tagger = quick(max_epochs=1).fit(SENTENCES, in_scheme("BIO1"))
    with pytest.raises(SettingError, match="fit on tags in BIO or BIOES"):
        tagger.predict_proba(SENTENCES)


def test_labels_of_decides_between_spans_and_words() -> None:
    tagger = quick(labels_of="word").fit(SENTENCES, in_scheme("BIO2"))
    assert tagger.model_.label_names == ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
    assert tagger.score(SENTENCES, in_scheme("BIO2")) == 1
    nothing = quick(max_epochs=1, labels_of="word").fit(SENTENCES, [["O"] * len(words) for words in SENTENCES])
    assert nothing.predict([["in", "Rome"]]) == [["O", "O"]]
    with pytest.raises(SettingError, match="labels_of must be one of word, span"):
        quick(labels_of="text").fit(SENTENCES, POS)
    with pytest.raises(LabelError, match=r"y\[0\]: tag 1 .* Pass labels_of='word'"):
        quick(labels_of="span").fit(SENTENCES, POS)


def test_words_without_a_tag_are_not_learned() -> None:
    partial = [[None if tag == "PUNCT" else tag for tag in tags] for tags in POS]
    tagger = quick().fit(SENTENCES, partial)
    assert "PUNCT" not in tagger.classes_
    assert tagger.score(SENTENCES, partial) == 1


def test_search_and_cross_validation() -> None:
    assert not is_classifier(quick())
    search = GridSearchCV(quick(), {"learning_rate": [1e-6, 0.03], "hidden_size": [8]}, cv=KFold(2)).fit(SENTENCES, POS)
    assert search.best_params_ == {"learning_rate": 0.03, "hidden_size": 8}
    assert search.predict([["in", "Cork"]]) == [["ADP", "PROPN"]]
    assert cross_val_score(quick(), SENTENCES, in_scheme("BIO2"), cv=2).min() > 0.9


def test_cross_val_predict_joins_sentences_of_any_length() -> None:
    predicted = cross_val_predict(quick(), SENTENCES, POS, cv=KFold(2, shuffle=True, random_state=0))
    assert predicted.tolist() == POS
    same_length = [["in", "Rome"], ["in", "Cork"], ["in", "London"], ["Grace", "lived"]] * 2
    tags = [["ADP", "PROPN"]] * 3 + [["PROPN", "VERB"]]
    assert cross_val_predict(quick(), same_length, tags * 2, cv=2).tolist() == tags * 2


def test_clone_pickle_and_unfitted(of_spans: SequenceTagger, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        clone(of_spans).predict(SENTENCES)
    for method in ("predict_proba", "score"):
        with pytest.raises(NotFittedError):
            getattr(quick(), method)(*[SENTENCES, POS][: 1 + (method == "score")])
    loaded = pickle.loads(pickle.dumps(of_spans))
    assert loaded.predict(SENTENCES) == of_spans.predict(SENTENCES)
    assert loaded.get_params().keys() == of_spans.get_params().keys()
    twin = clone(loaded).fit(SENTENCES, in_scheme("BIO2"))
    for table, other in zip(twin.predict_proba(SENTENCES), of_spans.predict_proba(SENTENCES), strict=True):
        np.testing.assert_array_equal(table, other)
    of_spans.model_.save(tmp_path / "model.pt")
    found = models.SequenceTagger.load(tmp_path / "model.pt").predict(SentenceOf(SENTENCES[0]))
    assert found.span_labels("tag") == spans_of(of_spans.predict(SENTENCES[:1])[0])


def test_default_embeddings_learn_without_any_vectors() -> None:
    tagger = SequenceTagger(max_epochs=10, hidden_size=16, mini_batch_size=4).fit(SENTENCES, POS)
    assert tagger.score(SENTENCES, POS) > 0.9


@pytest.mark.parametrize(
    ("sentences", "tags", "error", "message"),
    [
        ("in Rome", ["ADP PROPN"], SettingError, "X must be a list with a list of words for each sentence"),
        (["in Rome"], [["ADP", "PROPN"]], SettingError, r"X\[0\] must be a list of words, not 'in Rome'"),
        ([["in", "Rome"]], ["ADP PROPN"], SettingError, r"y\[0\] must be a list of tags"),
        ([["in", "Rome"]], [["ADP"]], SettingError, r"y\[0\] must have a tag a word, 2, but it has 1"),
        ([["in"], ["Rome"]], [["ADP"]], ValueError, "inconsistent numbers of samples"),
        ([["in"]], [[None]], LabelError, "y has no tag"),
        ([["in"]], None, SettingError, "y must be a list with a list of tags"),
        ([["in", 5]], [["ADP", "NUM"]], SettingError, "5"),
        ([["in"]], [[["ADP"]]], LabelError, r"y\[0\]: a label value must be a string"),
    ],
)
def test_invalid_data_are_refused(sentences: Any, tags: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        quick().fit(sentences, tags)
