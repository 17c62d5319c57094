"""A model splits texts as those were that it learned from."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.datasets import ClassificationCorpus
from flairlite.embeddings import DocumentPoolEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import ModelFileError
from flairlite.models import Model, SequenceTagger, TextClassifier, TokenClassifier
from flairlite.tokenization import RegexTokenizer, SpaceTokenizer, StaccatoTokenizer, Tokenizer, TokenizerWrapper
from flairlite.trainers import ModelTrainer

VECTORS = WordVectors(["a", "b"], np.eye(2))
DICTIONARY = Dictionary.from_items(["X", "Y"])

MODELS: dict[str, Any] = {
    "tagger": lambda: SequenceTagger(WordEmbeddings(VECTORS), DICTIONARY, "kind", hidden_size=2),
    "words": lambda: TokenClassifier(WordEmbeddings(VECTORS), DICTIONARY, "kind"),
    "texts": lambda: TextClassifier(DocumentPoolEmbeddings(WordEmbeddings(VECTORS)), "kind", DICTIONARY),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Model:
    made: Model = MODELS[request.param]()
    return made.eval()


def test_without_a_tokenizer_sentences_keep_their_words(model: Model) -> None:
    assert model.tokenizer is None
    sentence = Sentence("I love Berlin.", use_tokenizer=SpaceTokenizer())
    assert model.predict(sentence).words == ["I", "love", "Berlin."]
    assert model.predict("I love Berlin.").words == ["I", "love", "Berlin", "."]


def test_the_tokenizer_splits_texts_and_sentences(model: Model) -> None:
    model.tokenizer = StaccatoTokenizer()
    expected = ["I", "love", "New", "York", "."]
    split = Sentence("I love New York.", use_tokenizer=SpaceTokenizer())
    assert len(split.words) == 4
    for given in ("I love New York.", split, Sentence("I love New York."), Sentence(["I", "love", "New", "York."])):
        sentence = model.predict(given)
        assert sentence.words == expected
        assert len(sentence.get_labels("kind")) == (1 if isinstance(model, TextClassifier) else 5)
    assert next(model.predict_stream(["I love New York."])).words == expected
    if isinstance(model, SequenceTagger):
        assert [len(labeling.tags) for labeling in model.n_best("I love New York.", 2)] == [5, 5]


def test_evaluation_keeps_gold_words() -> None:
    model = MODELS["words"]()
    model.tokenizer = StaccatoTokenizer()
    sentence = Sentence(["a.b", "b"]).set_token_labels("kind", ["X", "Y"])
    model.evaluate([sentence])
    assert sentence.words == ["a.b", "b"]


@pytest.mark.parametrize("tokenizer", [None, StaccatoTokenizer(), RegexTokenizer(r"[a-z]+|\S")])
def test_a_model_file_contains_the_tokenizer(model: Model, tokenizer: Tokenizer | None, tmp_path: Path) -> None:
    model.tokenizer = tokenizer
    model.save(tmp_path / "model.pt")
    assert Model.load(tmp_path / "model.pt").tokenizer == tokenizer


def test_a_tokenizer_that_cannot_be_saved_is_omitted_with_a_warning(
    model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model.tokenizer = TokenizerWrapper(str.split)
    with caplog.at_level(logging.WARNING, logger="flairlite"):
        model.save(tmp_path / "model.pt")
    assert "does not contain the tokenizer" in caplog.text
    assert Model.load(tmp_path / "model.pt").tokenizer is None


def test_an_unknown_tokenizer_is_refused_with_the_remedy(model: Model, tmp_path: Path) -> None:
    model.tokenizer = StaccatoTokenizer()
    model.save(tmp_path / "model.pt")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    content["tokenizer"]["class_name"] = "Mine"
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ModelFileError, match=r"tokenizer of the model cannot be built.*import the module"):
        Model.load(tmp_path / "model.pt")


def test_training_sets_the_tokenizer_of_the_corpus(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.txt").write_text("__label__X a-a\n__label__Y b-b\n", encoding="utf-8")
    corpus = ClassificationCorpus(tmp_path, "kind", tokenizer=StaccatoTokenizer())
    model = MODELS["texts"]()
    ModelTrainer(model, corpus).train(tmp_path / "out", max_epochs=1)
    again = TextClassifier.load(tmp_path / "out" / "final-model.pt")
    for found in (model, again):
        assert found.tokenizer == StaccatoTokenizer()
        assert found.predict("a-b").words == ["a", "-", "b"]
    again.tokenizer = SpaceTokenizer()
    ModelTrainer(again, Corpus(list(corpus.train or ()))).train(tmp_path / "more", max_epochs=1)
    assert again.tokenizer == SpaceTokenizer(), "a corpus without a tokenizer changes nothing"
