"""Test the rows of flair-calls.md about embeddings, layers and models."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from api_rows import assert_missing, row
from sentences import tagged

import flairlite.embeddings
from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import (
    CharacterEmbeddings,
    DocumentCNNEmbeddings,
    DocumentEmbeddings,
    DocumentPoolEmbeddings,
    DocumentRNNEmbeddings,
    Embeddings,
    FlairEmbeddings,
    HashEmbeddings,
    OneHotEmbeddings,
    PooledFlairEmbeddings,
    StackedEmbeddings,
    SubwordEmbeddings,
    TokenEmbeddings,
    TransformerDocumentEmbeddings,
    TransformerWordEmbeddings,
    WordEmbeddings,
    load_embeddings,
    register_embeddings,
)
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import FlairliteError, SettingError
from flairlite.models import Classifier, DefaultClassifier, Model, SequenceTagger, TextClassifier, TokenClassifier
from flairlite.nn import LockedDropout, WordDropout
from flairlite.tokenization import StaccatoTokenizer

WORDS = ["the", "dog", "sleeps"]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


@pytest.fixture
def vectors() -> WordEmbeddings:
    return WordEmbeddings(WordVectors(WORDS, np.eye(3)))


def embed(embeddings: Embeddings, text: str = "the dog") -> Sentence:
    """Return an embedded sentence, after checking the length of each vector."""
    sentence = Sentence(text)
    embeddings.embed(sentence)
    data_points: list[Any] = [sentence] if isinstance(embeddings, DocumentEmbeddings) else list(sentence)
    for data_point in data_points:
        assert data_point.embedding.shape == (embeddings.embedding_length,)
    return sentence


# Embeddings


@row("`Embeddings`, `.embed`, `.embedding_length`, `.get_names`, `TokenEmbeddings`, `DocumentEmbeddings`")
def test_embeddings(vectors: WordEmbeddings) -> None:
    sentence = Sentence("the dog")
    assert vectors.embed(sentence) == [sentence]
    assert sentence[1].embedding.tolist() == [0, 1, 0]
    assert vectors.embedding_length == 3
    assert len(vectors.get_names()) == 1
    assert isinstance(vectors, TokenEmbeddings)
    assert issubclass(DocumentEmbeddings, Embeddings)


@row("`TokenEmbeddings.embedding_type`, `DocumentEmbeddings.embedding_type`")
def test_embedding_type(vectors: WordEmbeddings) -> None:
    assert vectors.embedding_type == "word-level"
    assert DocumentPoolEmbeddings([vectors]).embedding_type == "sentence-level"


@row("`Embeddings.save_embeddings`, `load_embeddings`, `register_embeddings`")
def test_save_load_and_register_embeddings(vectors: WordEmbeddings) -> None:
    params = vectors.save_embeddings(use_state_dict=True)
    copy = load_embeddings(params)
    assert copy.embed(Sentence("dog"))[0][0].embedding.tolist() == [0, 1, 0]

    @register_embeddings
    class Custom(WordEmbeddings):
        pass

    assert Custom.__name__ == "Custom"


@row("`Embeddings.load_embedding`, `Embeddings.get_instance_parameters`, `Embeddings.embedding_type`")
def test_internal_methods_of_embeddings() -> None:
    assert_missing("flairlite.embeddings", "Embeddings.load_embedding", "Embeddings.get_instance_parameters")


@row("`WordEmbeddings`, `.embedding_length`, `.embed`, `.to`")
def test_word_embeddings(tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_text("the 1 0\ndog 0 1\n", encoding="utf-8")
    fixed = WordEmbeddings(tmp_path / "vectors.txt")
    sentence = embed(fixed, "The dog barks")
    assert [token.embedding.tolist() for token in sentence] == [[1, 0], [0, 1], [0, 0]]
    trainable = WordEmbeddings(tmp_path / "vectors.txt", fine_tune=True)
    assert any(weight.requires_grad for weight in trainable.parameters())
    assert WordEmbeddings("glove-mini").to("cpu").embedding_length == 50


@row("`WordEmbeddings.resolve_precomputed_path`, `.get_cached_token_index`")
def test_internal_methods_of_word_embeddings() -> None:
    names = ("resolve_precomputed_path", "get_cached_token_index")
    assert_missing("flairlite.embeddings", *(f"WordEmbeddings.{name}" for name in names))


@row("`StackedEmbeddings`, `.embed`, `.embedding_type`, `.embedding_length`, `.get_names`")
def test_stacked_embeddings(vectors: WordEmbeddings) -> None:
    stacked = StackedEmbeddings([vectors, CharacterEmbeddings()])
    assert stacked.embedding_length == 3 + 50
    assert embed(stacked)[1].embedding[:3].tolist() == [0, 1, 0]
    assert len(stacked.get_names()) == 2


@row("`CharacterEmbeddings`, `.embedding_length`")
def test_character_embeddings() -> None:
    sentence = embed(CharacterEmbeddings(), "dog cat dog")
    assert torch.allclose(sentence[0].embedding, sentence[2].embedding, atol=1e-6)
    assert not torch.allclose(sentence[0].embedding, sentence[1].embedding, atol=1e-3)


@row("`OneHotEmbeddings`, `.embedding_length`, `.from_corpus`")
def test_one_hot_embeddings() -> None:
    corpus = Corpus([Sentence("the dog the dog the dog")])
    assert OneHotEmbeddings.from_corpus(corpus, min_freq=3, embedding_length=4).embedding_length == 4
    embed(OneHotEmbeddings(corpus.make_vocab_dictionary(), embedding_length=4))


@row("`HashEmbeddings`, `.embedding_length`")
def test_hash_embeddings() -> None:
    sentence = embed(HashEmbeddings(num_embeddings=50, embedding_length=6), "new word new")
    assert torch.equal(sentence[0].embedding, sentence[2].embedding)


@row("`HashEmbeddings.num_embeddings`")
def test_num_embeddings_of_hash_embeddings() -> None:
    assert_missing("flairlite.embeddings", "HashEmbeddings.num_embeddings")
    assert "50" in repr(HashEmbeddings(num_embeddings=50, embedding_length=6))


@row("`BytePairEmbeddings`, `FastTextEmbeddings`, `MuseCrosslingualEmbeddings`, `NILCEmbeddings`")
def test_subword_embeddings_replace_pretrained_ones() -> None:
    embed(SubwordEmbeddings(embedding_length=8, num_embeddings=100), "unknownword here")
    names = ("BytePairEmbeddings", "FastTextEmbeddings", "MuseCrosslingualEmbeddings", "NILCEmbeddings")
    assert_missing("flairlite.embeddings", *names)


@row("`DocumentPoolEmbeddings`, `.embed`, `.embedding_length`")
@pytest.mark.parametrize(("pooling", "expected"), [("mean", 0.5), ("max", 1.0), ("min", 0.0)])
def test_document_pool_embeddings(pooling: str, expected: float, vectors: WordEmbeddings) -> None:
    sentence = embed(DocumentPoolEmbeddings([vectors], pooling=pooling))
    assert sentence.embedding[0].item() == expected
    for mode in ("linear", "nonlinear"):
        embed(DocumentPoolEmbeddings([vectors], fine_tune_mode=mode, pooling=pooling))


@row("`DocumentRNNEmbeddings`, `.embedding_length`")
def test_document_rnn_embeddings(vectors: WordEmbeddings) -> None:
    embeddings = DocumentRNNEmbeddings([vectors], hidden_size=5, bidirectional=True)
    assert embeddings.embedding_length == 20  # as in Flair: first and last state of both directions
    embed(embeddings)


@row("`DocumentCNNEmbeddings`, `.embedding_length`")
def test_document_cnn_embeddings(vectors: WordEmbeddings) -> None:
    embeddings = DocumentCNNEmbeddings([vectors], kernels=((3, 2), (4, 3)), dropout=0.0)
    assert embeddings.embedding_length == 7
    alone = embed(embeddings, "the dog").embedding
    together = [Sentence("the dog"), Sentence("the dog sees the dog and the cat")]
    embeddings.embed(together)
    torch.testing.assert_close(together[0].embedding, alone)


@row("`FlairEmbeddings`, `.embedding_length`")
def test_flair_embeddings() -> None:
    path = Path(__file__).parents[1] / "data" / "flair" / "lm-forward.pt"
    embeddings = FlairEmbeddings(str(path), fine_tune=False, chars_per_chunk=100)
    assert embeddings.embedding_length == 6
    assert len(embed(embeddings)[0].embedding) == 6
    with pytest.raises(SettingError, match="tokenized_lm=False is not offered"):
        FlairEmbeddings(str(path), tokenized_lm=False)


@row("`PooledFlairEmbeddings`, `.embedding_length`, `.get_names`")
def test_pooled_flair_embeddings() -> None:
    path = Path(__file__).parents[1] / "data" / "flair" / "lm-forward.pt"
    embeddings = PooledFlairEmbeddings(str(path), pooling="mean", only_capitalized=False, chars_per_chunk=100)
    assert embeddings.embedding_length == 12
    assert embeddings.get_names() == [str(path), f"{path}-context"]
    first, second = (embed(embeddings, text)[0].embedding for text in ("dog", "dog sees dog"))
    assert torch.equal(first[:6], first[6:])
    assert not torch.equal(second[:6], second[6:])


@row("`TransformerWordEmbeddings`, `TransformerDocumentEmbeddings`")
def test_transformer_embeddings(make_transformer: Callable[[], Path]) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    words = TransformerWordEmbeddings(make_transformer(), layers="-1,-2", layer_mean=False, subtoken_pooling="mean")
    sentence = embed(words)
    assert (words.embedding_length, sentence[0].embedding.shape) == (32, (32,))
    documents = TransformerDocumentEmbeddings(make_transformer(), cls_pooling="mean", fine_tune=False)
    assert embed(documents).embedding.shape == (documents.embedding_length,)
    assert documents.static_embeddings
    assert not words.static_embeddings
    shared = {"model", "layers", "layer_mean", "fine_tune", "allow_long_sentences", "name"}
    shared |= {f"transformers_{part}_kwargs" for part in ("tokenizer", "config", "model")}
    context = {"use_context", "respect_document_boundaries", "context_dropout", "use_context_separator"}
    for kind, names in (
        (TransformerWordEmbeddings, shared | context | {"subtoken_pooling"}),
        (TransformerDocumentEmbeddings, shared | {"cls_pooling"}),
    ):
        offered = inspect.signature(kind).parameters.keys()
        assert names <= offered
        left_out = {"is_document_embedding", "is_token_embedding", "force_max_length", "peft_config"}
        assert not (left_out | (set() if kind is TransformerWordEmbeddings else context)) & offered


@row("`SentenceTransformerDocumentEmbeddings`, `DocumentLMEmbeddings`, `ScalarMix`")
def test_language_models() -> None:
    assert_missing("flairlite.embeddings", "SentenceTransformerDocumentEmbeddings", "DocumentLMEmbeddings", "ScalarMix")


@row("`DocumentTFIDFEmbeddings`, `replace_with_language_code`")
def test_other_embeddings() -> None:
    assert_missing("flairlite.embeddings", "DocumentTFIDFEmbeddings", "replace_with_language_code")


# Layers


@row("`LockedDropout`, `WordDropout`")
def test_dropouts() -> None:
    ones = torch.ones(2, 5, 8)
    generator = torch.Generator().manual_seed(0)
    locked, words = LockedDropout(0.5).train(), WordDropout(0.5).train()
    dropped = locked(ones, generator)
    assert torch.equal(dropped[:, 0], dropped[:, 4])
    dropped = words(ones, generator)
    assert set(dropped.sum(-1).flatten().tolist()) == {0.0, 8.0}
    assert torch.equal(locked.eval()(ones), ones)


@row("`create_recurrent_layer`")
def test_recurrent_layer() -> None:
    assert_missing("flairlite.nn", "create_recurrent_layer")
    assert hasattr(flairlite.nn, "PaddedRNN")


# Models


@pytest.fixture
def corpus() -> Corpus:
    return Corpus([tagged("the/DET dog/NOUN sleeps/VERB")] * 4)


@pytest.fixture
def tagger(vectors: WordEmbeddings, corpus: Corpus) -> SequenceTagger:
    return SequenceTagger(
        hidden_size=4, embeddings=vectors, tag_dictionary=corpus.make_label_dictionary("pos"), tag_type="pos", seed=0
    )


def sentence_with_span() -> Sentence:
    sentence = Sentence("the dog sleeps")
    sentence[0:2].add_label("ner", "PER")
    return sentence


@row("`SequenceTagger`, `.label_type`, `.predict` of words")
def test_sequence_tagger(tagger: SequenceTagger) -> None:
    sentence = Sentence("the dog")
    tagger.predict(sentence)
    assert tagger.label_type == "pos"
    assert all(token.get_label("pos").value in ("DET", "NOUN", "VERB") for token in sentence)
    assert all(0 < token.get_label("pos").score <= 1 for token in sentence)
    assert tagger.predict([sentence, Sentence("")]) is not None


@row("`SequenceTagger` of spans")
@pytest.mark.parametrize("use_crf", [True, False])
def test_sequence_tagger_of_spans(use_crf: bool, vectors: WordEmbeddings) -> None:
    corpus = Corpus([sentence_with_span()] * 4)
    labels = corpus.make_label_dictionary("ner")
    assert labels.span_labels
    tagger = SequenceTagger(vectors, labels, "ner", hidden_size=4, use_crf=use_crf, tag_format="BIO", seed=0)
    sentence = tagger.predict("the dog sleeps")
    assert all(span.tag == "PER" for span in sentence.get_spans("ner"))
    assert not sentence[0].has_label("ner")


@row("`SequenceTagger.RNN`, `.push_to_hub`")
def test_internal_methods_of_sequence_taggers() -> None:
    assert_missing("flairlite.models", "SequenceTagger.RNN", "SequenceTagger.push_to_hub")


@row("`SequenceTagger.forward_loss`, `TextClassifier.forward_loss`")
def test_forward_loss(tagger: SequenceTagger, corpus: Corpus) -> None:
    assert corpus.train
    loss, count = tagger.forward_loss(corpus.train)
    loss.backward()
    assert count == 12
    assert any(weight.grad is not None for weight in tagger.parameters())


@row("`TextClassifier`, `.label_type`, `.predict`")
@pytest.mark.parametrize("multi_label", [False, True])
def test_text_classifier(multi_label: bool, vectors: WordEmbeddings) -> None:
    labels = Dictionary.from_items(["good", "bad"])
    embeddings = DocumentPoolEmbeddings([vectors])
    classifier = TextClassifier(
        embeddings, label_type="mood", label_dictionary=labels, multi_label=multi_label, multi_label_threshold=0.0
    )
    sentence = Sentence("the dog")
    classifier.predict(sentence)
    assert len(sentence.get_labels("mood")) == (2 if multi_label else 1)
    classifier.predict(sentence, return_probabilities_for_all_classes=True)
    assert {label.value for label in sentence.get_labels("mood")} == {"good", "bad"}


@row("`TokenClassifier`, `.label_type`, `.predict`")
def test_token_classifier(vectors: WordEmbeddings, corpus: Corpus) -> None:
    labels = corpus.make_label_dictionary("pos")
    classifier = TokenClassifier(embeddings=vectors, label_dictionary=labels, label_type="pos")
    sentence = Sentence("the dog")
    classifier.predict(sentence)
    assert sentence[0].get_label("pos").value in ("DET", "NOUN", "VERB")


@row("`WordTagger`")
def test_word_tagger() -> None:
    assert_missing("flairlite.models", "WordTagger")


@row(
    "`Model`, `Classifier`, `DefaultClassifier`, `Model.label_type`, `Classifier.predict`, `DefaultClassifier.predict`"
)
def test_model_classes(tagger: SequenceTagger) -> None:
    assert isinstance(tagger, Classifier)
    assert issubclass(TextClassifier, DefaultClassifier)
    assert flairlite.nn.Model is Model
    assert isinstance(tagger, torch.nn.Module)


@row("`Model.forward_loss`, `DefaultClassifier.forward_loss`")
def test_forward_loss_of_models(vectors: WordEmbeddings) -> None:
    classifier = TextClassifier(DocumentPoolEmbeddings([vectors]), "mood", Dictionary.from_items(["good", "bad"]))
    sentence = Sentence("the dog")
    sentence.add_label("mood", "good")
    loss, count = classifier.forward_loss([sentence])
    assert (loss.shape, count) == ((), 1)


@row("`Model.evaluate`, `Classifier.evaluate`")
def test_evaluate(tagger: SequenceTagger, corpus: Corpus, tmp_path: Path) -> None:
    assert corpus.train
    result = tagger.evaluate(corpus.train, gold_label_type="pos", out_path=tmp_path / "out.tsv")
    assert 0 <= result.main_score <= 1
    assert "By class:" in result.detailed_results
    assert result.scores["loss"] == result.loss
    assert (tmp_path / "out.tsv").is_file()
    partial = tagger.evaluate(corpus.train, exclude_labels=["NOUN"], main_evaluation_metric=("macro avg", "recall"))
    assert "NOUN" not in partial.classification_report
    with pytest.raises(FlairliteError, match="leave gold_label_dictionary out"):
        tagger.evaluate(corpus.train, gold_label_dictionary=Dictionary())


@row("`Model.save`, `Model.load`, `Classifier.load`, `DefaultClassifier.load`")
def test_save_and_load(tagger: SequenceTagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "model.pt")
    torch.load(tmp_path / "model.pt", weights_only=True)  # contains no code
    for kind in (SequenceTagger, Model):
        copy = kind.load(tmp_path / "model.pt")
        text = "the dog sleeps"
        assert copy.predict(text).to_tagged_string() == tagger.predict(text).to_tagged_string()
    with pytest.raises(FlairliteError, match="SequenceTagger"):
        TextClassifier.load(tmp_path / "model.pt")


@row("`SequenceTagger.load`, `TextClassifier.load`, `TokenClassifier.load`")
def test_load(vectors: WordEmbeddings, tmp_path: Path) -> None:
    labels = Dictionary.from_items(["a", "b"])
    models: list[Model] = [
        SequenceTagger(vectors, labels, "pos", hidden_size=4),
        TextClassifier(DocumentPoolEmbeddings([vectors]), "mood", labels),
        TokenClassifier(vectors, labels, "pos"),
    ]
    for model in models:
        model.save(tmp_path / "model.pt")
        copy = type(model).load(tmp_path / "model.pt")
        assert all(torch.equal(weight, copy.state_dict()[name]) for name, weight in model.state_dict().items())
    folder = Path(__file__).parents[1] / "data" / "flair"  # files that Flair wrote
    assert SequenceTagger.load(folder / "words-crf.pt").predict("the dog").get_labels("tag")
    assert TokenClassifier.load(folder / "token-words.pt").predict("the dog").get_labels("tag")
    assert TextClassifier.load(folder / "text-pool.pt").predict("the dog").get_labels("tag")


@row("`Model.tokenizer`")
def test_tokenizer_of_a_model(tagger: SequenceTagger, tmp_path: Path) -> None:
    assert tagger.tokenizer is None
    tagger.tokenizer = StaccatoTokenizer()
    tagger.save(tmp_path / "model.pt")
    assert SequenceTagger.load(tmp_path / "model.pt").predict("the1 dog").words == ["the", "1", "dog"]


@row("`Model.print_model_card`, `.license_info`")
def test_model_card() -> None:
    assert_missing("flairlite.models", "Model.print_model_card", "Model.license_info")


@row("`DefaultClassifier.multi_label_threshold`")
def test_multi_label_threshold(vectors: WordEmbeddings) -> None:
    classifier = TextClassifier(
        DocumentPoolEmbeddings([vectors]), "mood", Dictionary.from_items(["a", "b"]), multi_label=True
    )
    assert classifier.multi_label_threshold == {"default": 0.5}
    assert_missing("flairlite.nn", "DefaultClassifier.multi_label_threshold")


@row("`ReduceTransformerVocabMixin`, `Classifier.get_used_tokens`")
def test_transformer_vocabulary() -> None:
    assert_missing("flairlite.nn", "ReduceTransformerVocabMixin", "Classifier.get_used_tokens")
