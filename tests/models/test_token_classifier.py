"""A classifier of words sees each word alone, and otherwise does what a tagger does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from sentences import tagged
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from torch import nn

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.data.tag_schemes import may_follow, scheme_named, spans_of, tags_of
from flairlite.datasets import SAMPLE_NER
from flairlite.embeddings import CharacterEmbeddings, DocumentPoolEmbeddings, StackedEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import LabelError, ModelFileError, SettingError
from flairlite.models import Model, SequenceTagger, TokenClassifier
from flairlite.trainers import ModelTrainer

WORDS = [f"w{number}" for number in range(30)]
VECTORS = WordVectors(WORDS, np.random.default_rng(1).standard_normal((len(WORDS), 6)))
TAGS = ["NOUN", "VERB", "ADJ"]
WEIGHTS = {"NOUN": 2.0, "ADJ": 0.25}


def make_classifier(**options: Any) -> TokenClassifier:
    dictionary = Dictionary.from_items(["<unk>", *TAGS])
    return TokenClassifier(WordEmbeddings(VECTORS), dictionary, "pos", seed=3, **options).eval()


def make_sentences(seed: int = 0) -> list[Sentence]:
    """Make sentences of 0 to 6 words, some without a label and some with one that the classifier does not know."""
    generator = np.random.default_rng(seed)
    labels = [*TAGS, "unheard-of", None]
    return [
        Sentence([WORDS[word] for word in generator.integers(len(WORDS), size=length)]).set_token_labels(
            "pos", [labels[number] for number in generator.integers(len(labels), size=length)]
        )
        for length in generator.integers(7, size=30)
    ]


def probabilities_of(classifier: TokenClassifier, word: str) -> torch.Tensor:
    """Return the probabilities (K,) of a word alone."""
    vector = torch.from_numpy(VECTORS.matrix[WORDS.index(word)])
    probabilities: torch.Tensor = classifier.decoder(vector.float().to(classifier.device)).softmax(0)
    return probabilities.detach().cpu()


@pytest.mark.parametrize("size", [1, 4, 64])
def test_the_most_probable_label_is_predicted_at_any_position(size: int) -> None:
    classifier = make_classifier()
    sentences = classifier.predict(make_sentences(), size, label_name="found")
    assert len({token.get_label("found").value for sentence in sentences for token in sentence}) == len(TAGS)
    for token in (token for sentence in sentences for token in sentence):
        probabilities = probabilities_of(classifier, token.text)
        assert token.get_label("found").value == TAGS[int(probabilities.argmax())]
        assert token.get_label("found").score == pytest.approx(float(probabilities.max()), abs=1e-6)


def test_the_loss_is_the_weighted_cross_entropy_of_known_labels(device: torch.device) -> None:
    classifier = make_classifier(loss_weights=WEIGHTS).to(device)
    sentences = make_sentences()
    loss, count = classifier.forward_loss(sentences)
    pairs = [(token.text, token.get_label("pos").value) for sentence in sentences for token in sentence]
    known = [(word, label) for word, label in pairs if label in TAGS]
    expected = sum(
        -WEIGHTS.get(tag, 1.0) * probabilities_of(classifier, word)[TAGS.index(tag)].log() for word, tag in known
    )
    assert count == len(known) < len(pairs)
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)


def test_metrics_are_those_of_scikit_learn() -> None:
    classifier, sentences = make_classifier(), make_sentences()
    result = classifier.evaluate(sentences)
    classifier.predict(sentences, label_name="found")
    tokens = [
        token for sentence in sentences for token in sentence if token.get_label("pos").value in (*TAGS, "unheard-of")
    ]
    golds, found = ([token.get_label(kind).value for token in tokens] for kind in ("pos", "found"))
    expected = sklearn.metrics.classification_report(golds, found, output_dict=True, zero_division=0)
    assert result.main_score == pytest.approx(expected.pop("accuracy"))
    for name, figures in expected.items():
        assert result.classification_report[name] == pytest.approx(figures), name


def test_it_learns_labels_that_depend_only_on_the_word(
    sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path
) -> None:
    dictionary = sample.make_label_dictionary("upos")
    embeddings = StackedEmbeddings([mini_vectors, CharacterEmbeddings(seed=1)])
    classifier = TokenClassifier(embeddings, dictionary, "upos", dropout=0.1, seed=1)
    found = ModelTrainer(classifier, sample).train(
        tmp_path, learning_rate=0.01, max_epochs=3, optimizer=torch.optim.Adam, seed=1
    )
    assert found["test_score"] > 0.7
    again = TokenClassifier.load(tmp_path / "best-model.pt")
    assert again.evaluate(sample.test or ()).main_score == pytest.approx(found["test_score"])


def test_a_loaded_model_equals_the_saved_one(tmp_path: Path) -> None:
    options = {"loss_weights": WEIGHTS, "dropout": 0.1, "word_dropout": 0.2, "locked_dropout": 0.3}
    classifier = make_classifier(**options)
    classifier.save(tmp_path / "model.pt")
    again = Model.load(tmp_path / "model.pt")
    assert isinstance(again, TokenClassifier)
    assert again.settings() == classifier.settings()
    assert torch.equal(again.label_weights, classifier.label_weights)
    first, second = (model.predict(make_sentences(), label_name="found") for model in (classifier, again))
    assert [str(sentence) for sentence in first] == [str(sentence) for sentence in second]
    with pytest.raises(ModelFileError, match=r"holds a TokenClassifier: load it with TokenClassifier\.load"):
        SequenceTagger.load(tmp_path / "model.pt")


def test_dropout_is_drawn_from_the_generator() -> None:
    classifier = make_classifier(dropout=0.2, word_dropout=0.2, locked_dropout=0.2).train()
    batch = classifier.encode([tagged("w1/NOUN w2/VERB w3/ADJ")]).batch(torch.tensor([0]))
    first, second, third = (classifier(batch, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_contradicting_arguments_are_refused() -> None:
    documents: Any = DocumentPoolEmbeddings(WordEmbeddings(VECTORS))
    with pytest.raises(SettingError, match="needs embeddings of words, not DocumentPoolEmbeddings"):
        TokenClassifier(documents, Dictionary.from_items(TAGS), "pos")
    with pytest.raises(SettingError, match="a SequenceTagger needs embeddings of words"):
        SequenceTagger(documents, Dictionary.from_items(TAGS), "pos")
    with pytest.raises(LabelError, match="no label besides <unk>"):
        TokenClassifier(WordEmbeddings(VECTORS), Dictionary(), "pos")
    with pytest.raises(LabelError, match="loss_weights name PRON"):
        make_classifier(loss_weights={"PRON": 1.0})
    assert isinstance(make_classifier().decoder, nn.Linear)


# spans

LABELS = ["PER", "LOC"]


def span_classifier(labels: Sequence[str] = LABELS, **options: Any) -> TokenClassifier:
    dictionary = Dictionary.from_items(["<unk>", *labels])
    dictionary.span_labels = True
    return TokenClassifier(WordEmbeddings(VECTORS), dictionary, "ner", seed=2, **options).eval()


@pytest.mark.parametrize("span_encoding", ["BIOES", "BIO"])
def test_spans_are_those_of_the_best_valid_tags(span_encoding: str) -> None:
    classifier = span_classifier(["PER"], span_encoding=span_encoding)
    scheme, names = scheme_named(span_encoding), classifier.task.class_names
    for length in (1, 2, 4, 5):
        words = WORDS[length : 2 * length]
        logs = torch.stack([probabilities_of(classifier, word).log() for word in words])  # (T, K)
        valid = {
            tags: sum(float(row[names.index(tag)]) for row, tag in zip(logs, tags, strict=True))
            for tags in itertools.product(names, repeat=length)
            if all(may_follow(tag, before, scheme) for before, tag in itertools.pairwise((None, *tags, None)))
        }
        best = max(valid, key=lambda tags: valid[tags])
        sentence = classifier.predict(Sentence(words))
        assert sentence.span_labels("ner") == spans_of(best)
        for label in sentence.get_labels("ner"):
            own = (label.data_point.start, label.data_point.stop, label.value)  # type: ignore[attr-defined]
            probabilities = [math.exp(log) for tags, log in valid.items() if own in spans_of(tags)]
            assert label.score == pytest.approx(sum(probabilities) / sum(map(math.exp, valid.values())), rel=1e-4)


def test_spans_are_learned_evaluated_and_saved_with_the_model(mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    corpus = SAMPLE_NER()
    dictionary = corpus.make_label_dictionary("ner")
    embeddings = StackedEmbeddings([mini_vectors, CharacterEmbeddings(seed=1)])
    classifier = TokenClassifier(embeddings, dictionary, "ner", "BIO", loss_weights={"PER": 2.0}, seed=1)
    assert classifier.label_weights.tolist() == [
        2.0 if name.endswith("PER") else 1.0 for name in classifier.task.class_names
    ]
    found = ModelTrainer(classifier, corpus).train(
        tmp_path, learning_rate=0.01, max_epochs=6, optimizer=torch.optim.Adam, seed=1
    )
    assert found["test_score"] > 0.2
    again = TokenClassifier.load(tmp_path / "best-model.pt")
    assert again.settings() == classifier.settings()
    sentences = list(corpus.test or ())
    result = again.evaluate(sentences)
    assert result.main_score == pytest.approx(found["test_score"])
    again.predict(sentences, label_name="found")
    golds, predictions = (
        [tags_of(sentence.span_labels(kind), len(sentence), "BIO2") for sentence in sentences]
        for kind in ("ner", "found")
    )
    assert result.main_score == pytest.approx(f1_score(golds, predictions, mode="strict", scheme=IOB2))
