"""An exported model predicts what the model predicts: labels, scores and probabilities, for every kind of model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exports import ODD, check_equal, export, random_words, sharpen
from torch import nn

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.datasets import SAMPLE_ENGLISH, SAMPLE_NER, SAMPLE_REVIEWS, UD_ENGLISH
from flairlite.embeddings import (
    AffixEmbeddings,
    CharacterCNNEmbeddings,
    CharacterEmbeddings,
    ClusterEmbeddings,
    DocumentCNNEmbeddings,
    DocumentPoolEmbeddings,
    DocumentRNNEmbeddings,
    FlairEmbeddings,
    HashEmbeddings,
    LexiconEmbeddings,
    OneHotEmbeddings,
    StackedEmbeddings,
    SubwordEmbeddings,
    TokenEmbeddings,
    WordEmbeddings,
    WordShapeEmbeddings,
    register_embeddings,
)
from flairlite.embeddings.characters import FlairCharacterEmbeddings
from flairlite.errors import LabelError, MissingExtraError, ModelFileError, SettingError
from flairlite.models import Model, SequenceTagger, TextClassifier, TokenClassifier, onnx_graph
from flairlite.tokenization import SpaceTokenizer, TokenizerWrapper
from flairlite.trainers import ModelTrainer

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

WORDS = random_words(40)
VOCABULARY = sorted({word for words in WORDS[:30] for word in words} | {"straße", "1##4", "0.00", "london"})


def labels_of(names: str, *, spans: bool = False) -> Dictionary:
    dictionary = Dictionary.from_items(names.split(), add_unk=True)
    dictionary.span_labels = spans
    return dictionary


def vectors(dim: int = 6) -> dict[str, Any]:
    generator = np.random.default_rng(3)
    return {word: generator.normal(size=dim) for word in VOCABULARY}


FLAIR_MODELS = Path(__file__).parents[1] / "data" / "flair"


def language_model(direction: str = "forward", **options: Any) -> FlairEmbeddings:
    return FlairEmbeddings(FLAIR_MODELS / f"lm-{direction}.pt", **options)


def gated_language_model() -> FlairEmbeddings:
    return FlairEmbeddings(FLAIR_MODELS / "lm-gru.pt")


def tagger(embeddings: TokenEmbeddings | None = None, *, spans: bool = False, **options: Any) -> SequenceTagger:
    embeddings = embeddings or WordEmbeddings(vectors())
    labels = labels_of("PER LOC" if spans else "NOUN VERB ADJ", spans=spans)
    return SequenceTagger(embeddings, labels, "tag", **{"hidden_size": 7, **options})


def classifier(embeddings: Any = None, **options: Any) -> TextClassifier:
    embeddings = embeddings or DocumentPoolEmbeddings(WordEmbeddings(vectors()))
    return TextClassifier(embeddings, "tag", labels_of("good bad mixed"), **options)


def one_hot(**options: Any) -> OneHotEmbeddings:
    return OneHotEmbeddings(Dictionary.from_items(["london", "LONDON", "0000", "0.00"], add_unk=True), **options)


CLUSTERS = {"london": "01101", "a": "00", "0.00": "0111011", "straße": "0110", "LONDON": "1"}
NUMBERS = {"london": (-8.0, 3), "a": (-2.5, 0), "0.00": (-9.5, 7), "straße": (-11, 2)}
TAGS = {"london": {"PROPN", "NOUN"}, "a": "DET", "0.00": ["NUM"], "straße": "NOUN"}


def words_in_lexica() -> dict[str, str]:
    """Return clusters of many words, whose bytes in the file begin like those of the previous word."""
    return {word: format(index % 37, "b") for index, word in enumerate(VOCABULARY)}


def types(*, use_crf: Any = True, **options: Any) -> SequenceTagger:
    """Return a tagger of words, of spans, and of words without a CRF."""
    dictionaries = {
        "tag": labels_of("NOUN VERB ADJ"),
        "ner": labels_of("PER LOC", spans=True),
        "xpos": labels_of("NN NNS VB VBZ JJ ."),
    }
    embeddings = options.pop("embeddings", None) or WordEmbeddings(vectors())
    return SequenceTagger(embeddings, dictionaries, "tag", use_crf=use_crf, **{"hidden_size": 7, **options})


def all_words_embeddings() -> StackedEmbeddings:
    one_hot_words = Dictionary.from_items(VOCABULARY[:20], add_unk=True)
    return StackedEmbeddings(
        [
            WordEmbeddings(WordEmbeddings(vectors()).vectors.compact(8)),
            CharacterEmbeddings(hidden_size_char=3),
            CharacterCNNEmbeddings(char_embedding_dim=5, num_filters=3),
            AffixEmbeddings(3, 4, 50),
            WordShapeEmbeddings(4, 30),
            LexiconEmbeddings(TAGS, 5),
            LexiconEmbeddings(NUMBERS, forms=("lower", "title", "upper"), name="numbers"),
            ClusterEmbeddings(words_in_lexica(), 3, (2, 5)),
            OneHotEmbeddings(one_hot_words, "text", 4, unk_alpha=0.25, counts=[3] * len(one_hot_words)),
            SubwordEmbeddings(4, 99),
            HashEmbeddings(9, 3),
        ]
    )


def compact(model: Model) -> Model:
    model.compact()
    return model


MODELS: dict[str, Callable[[], Model]] = {
    "CRF": tagger,
    "no CRF": lambda: tagger(use_crf=False),
    "spans": lambda: tagger(spans=True),
    "spans as BIO": lambda: tagger(spans=True, tag_format="BIO"),
    "spans without CRF": lambda: tagger(spans=True, use_crf=False),
    "no RNN": lambda: tagger(use_rnn=False),
    "only a linear layer": lambda: tagger(use_rnn=False, use_crf=False, reproject_embeddings=False),
    "no reprojection": lambda: tagger(reproject_embeddings=False),
    "GRU of 3 layers": lambda: tagger(rnn_type="GRU", rnn_layers=3),
    "RNN": lambda: tagger(rnn_type="RNN"),
    "LSTM of 2 layers": lambda: tagger(rnn_layers=2),
    "residual connections": lambda: tagger(rnn_layers=3, rnn_residual=True, rnn_dropout=0.3),
    "one direction": lambda: tagger(bidirectional=False),
    "learned start": lambda: tagger(train_initial_hidden_state=True, rnn_layers=2),
    "learned start of a GRU": lambda: tagger(train_initial_hidden_state=True, rnn_type="GRU"),
    "with <unk>": lambda: tagger(allow_unk_predictions=True),
    "double precision": lambda: tagger().double(),
    "twelve bits": lambda: compact(tagger()),
    "twelve bits, an odd length": lambda: compact(tagger(WordEmbeddings(vectors(5)))),
    "eight bits": lambda: tagger(WordEmbeddings(WordEmbeddings(vectors()).vectors.compact(8))),
    "four bits, an odd length": lambda: compact(tagger(WordEmbeddings(WordEmbeddings(vectors(5)).vectors.compact(4)))),
    "normalised vectors": lambda: compact(tagger(WordEmbeddings(vectors(), stable=True))),
    "trained vectors": lambda: tagger(WordEmbeddings(vectors(), fine_tune=True)),
    "trained, normalised vectors": lambda: tagger(WordEmbeddings(vectors(), fine_tune=True, stable=True)),
    "vectors of a field": lambda: tagger(WordEmbeddings(vectors(), field="pos")),
    "characters": lambda: tagger(CharacterEmbeddings(char_embedding_dim=4, hidden_size_char=5)),
    "subwords": lambda: tagger(SubwordEmbeddings(6, 500)),
    "hash": lambda: tagger(HashEmbeddings(20, 6)),
    "one-hot": lambda: tagger(OneHotEmbeddings(Dictionary.from_items(VOCABULARY, add_unk=True), "text", 6)),
    "one-hot without <unk>": lambda: tagger(OneHotEmbeddings(Dictionary.from_items(VOCABULARY), "text", 6)),
    "one-hot in lower case": lambda: tagger(one_hot(lower_case=True)),
    "one-hot without digits": lambda: tagger(one_hot(zero_digits=True, unk_dropout=0.1)),
    "one-hot in lower case without digits": lambda: tagger(one_hot(lower_case=True, zero_digits=True)),
    "one-hot of a field": lambda: tagger(OneHotEmbeddings(labels_of("a B"), "pos", 6, stable=True)),
    "one-hot with replaced words": lambda: tagger(one_hot(unk_alpha=0.25, counts=[9, 1, 2, 3, 4])),
    "character windows": lambda: tagger(CharacterCNNEmbeddings(char_embedding_dim=4, num_filters=3)),
    "wide character windows": lambda: tagger(CharacterCNNEmbeddings(num_filters=4, widths=(7, 1))),
    "affixes": lambda: tagger(AffixEmbeddings(3, 4, 50)),
    "shapes": lambda: tagger(WordShapeEmbeddings(4, 30)),
    "lexicon of tags": lambda: tagger(LexiconEmbeddings(TAGS)),
    "lexicon of numbers": lambda: tagger(LexiconEmbeddings(NUMBERS, 5, ("exact", "title", "upper"))),
    "clusters": lambda: tagger(ClusterEmbeddings(CLUSTERS, 4, (1, 3, 6))),
    "clusters of many words": lambda: tagger(ClusterEmbeddings(words_in_lexica(), 4, (2, 4))),
    "all embeddings of words": lambda: tagger(all_words_embeddings()),
    "all embeddings of words, two layers": lambda: tagger(all_words_embeddings(), rnn_layers=2, spans=True),
    "all embeddings of words, no RNN": lambda: tagger(all_words_embeddings(), use_rnn=False, use_crf=False),
    "all embeddings of words, pooled": lambda: classifier(DocumentPoolEmbeddings(all_words_embeddings())),
    "several label types": types,
    "several label types without CRF": lambda: types(use_crf=False, rnn_layers=2),
    "several label types of all embeddings": lambda: types(
        embeddings=all_words_embeddings(), use_crf={"xpos": False}, use_rnn=False
    ),
    "stack": lambda: tagger(
        StackedEmbeddings(
            [
                WordEmbeddings(vectors(), name="one"),
                StackedEmbeddings([CharacterEmbeddings(hidden_size_char=3), HashEmbeddings(9, 4)]),
                WordEmbeddings(vectors(3), name="two", fine_tune=True),
            ]
        )
    ),
    "token classifier": lambda: TokenClassifier(WordEmbeddings(vectors()), labels_of("A B C"), "tag"),
    "token classifier of spans": lambda: TokenClassifier(
        CharacterEmbeddings(hidden_size_char=4), labels_of("A B", spans=True), "tag"
    ),
    "mean": classifier,
    "maximum": lambda: classifier(DocumentPoolEmbeddings(WordEmbeddings(vectors()), pooling="max")),
    "minimum": lambda: classifier(DocumentPoolEmbeddings(WordEmbeddings(vectors()), "linear", "min")),
    "nonlinear": lambda: classifier(DocumentPoolEmbeddings([SubwordEmbeddings(6, 99)], "nonlinear")),
    "document GRU": lambda: classifier(DocumentRNNEmbeddings(WordEmbeddings(vectors()), 5)),
    "document LSTM": lambda: classifier(
        DocumentRNNEmbeddings(
            [WordEmbeddings(vectors()), CharacterEmbeddings(hidden_size_char=3)],
            5,
            2,
            rnn_type="LSTM",
            bidirectional=True,
            reproject_words_dimension=4,
        )
    ),
    "document RNN": lambda: classifier(
        DocumentRNNEmbeddings(WordEmbeddings(vectors()), 5, rnn_type="RNN", reproject_words=False)
    ),
    "convolutions over words": lambda: classifier(DocumentCNNEmbeddings(WordEmbeddings(vectors()), ((3, 2), (4, 7)))),
    "convolutions without a projection": lambda: classifier(
        DocumentCNNEmbeddings(all_words_embeddings(), ((3, 1), (2, 1)), reproject_words=False)
    ),
    "convolutions over a smaller projection": lambda: classifier(
        DocumentCNNEmbeddings([WordEmbeddings(vectors())], ((3, 30),), reproject_words_dimension=3)
    ),
    "language model": lambda: tagger(language_model()),
    "language model that reads backwards in parts": lambda: tagger(language_model("backward", chars_per_chunk=7)),
    "language model in lower case": lambda: tagger(language_model(is_lower=True, with_whitespace=False)),
    "language models among others": lambda: tagger(
        StackedEmbeddings(
            [
                HashEmbeddings(9, 3),
                language_model(chars_per_chunk=1),
                WordEmbeddings(vectors()),
                language_model("backward"),
            ]
        ),
        spans=True,
    ),
    "language models of several label types": lambda: types(embeddings=language_model(fine_tune=True)),
    "language models, pooled": lambda: classifier(
        DocumentPoolEmbeddings([language_model(), WordEmbeddings(vectors())])
    ),
    "language models in convolutions": lambda: classifier(DocumentCNNEmbeddings([language_model()], ((3, 2),))),
    "multi-label": lambda: classifier(multi_label=True, multi_label_threshold={"default": 0.4, "bad": 0.6}),
}


def sentences() -> list[Sentence]:
    listed = [Sentence(words) for words in [*WORDS, *ODD]]
    for sentence in listed:
        sentence.set_token_labels("pos", ["aB0"[len(word) % 3] for word in sentence.words])
    return listed


@pytest.mark.parametrize("kind", MODELS)
def test_predictions_are_equal(kind: str, tmp_path: Path) -> None:
    model = sharpen(MODELS[kind]())
    exported = export(model, tmp_path)
    assert (exported.label_types, exported.label_names) == (model.label_types, model.label_names)
    for options in ({}, {"mini_batch_size": 3}, {"return_probabilities_for_all_classes": True}):
        expected, found = (either.predict(sentences(), **options) for either in (model, exported))
        with_probabilities = "return_probabilities_for_all_classes" in options
        for name in model.label_types:
            num_labels = check_equal(expected, found, name, with_probabilities=with_probabilities)
            assert num_labels > 10, "the test compares nothing"
    for sentence in sentences()[-7:]:  # one sentence is decoded by other functions than a batch
        found = [exported.predict(Sentence.from_dict(sentence.to_dict()))]
        model.predict(sentence)
        for name in model.label_types:
            check_equal([sentence], found, name)


@pytest.mark.parametrize("label_types", ["xpos", ["ner"], ["ner", "tag"], ("xpos", "ner", "tag")])
def test_the_label_types_that_are_asked_for_are_predicted(label_types: Any, tmp_path: Path) -> None:
    model = sharpen(types(use_crf={"xpos": False}))
    exported = export(model, tmp_path)
    expected, found = (either.predict(sentences(), label_types=label_types) for either in (model, exported))
    chosen = {label_types} if isinstance(label_types, str) else set(label_types)
    streamed = list(exported.predict_stream(sentences(), label_types=label_types))
    for name in ("tag", "ner", "xpos"):
        num_labels = check_equal(expected, found, name)
        assert (num_labels > 10) == (name in chosen)
        assert check_equal(expected, streamed, name) == num_labels
    assert [(each.label_type, each.unit) for each in exported.labelers] == [
        ("tag", "word"),
        ("ner", "span"),
        ("xpos", "word"),
    ]


def test_wrong_label_types_are_refused_as_by_the_model(tmp_path: Path) -> None:
    model = sharpen(types())
    exported = export(model, tmp_path)
    arguments: list[dict[str, Any]] = [
        {"label_types": "pos"},
        {"label_types": []},
        {"label_types": ["tag", "pos"]},
        {"label_name": "predicted"},
        {"label_name": "predicted", "label_types": ["tag", "ner"]},
        {"label_name": "", "label_types": ["tag"]},
    ]
    for given in arguments:
        messages = []
        for either in (model, exported):
            with pytest.raises(SettingError) as error:
                either.predict("a", **given)
            messages.append(str(error.value))
        assert messages[0] == messages[1]
    with pytest.raises(SettingError, match="label_type must be among tag, ner, xpos, which the model predicts"):
        exported.n_best("a", label_type="pos")
    with pytest.raises(SettingError, match="a string such as 'upos'"):
        exported.n_best("a", label_type=["ner", "tag"])  # type: ignore[call-overload]
    sentence = exported.predict(Sentence(["ab", "cd"]), label_types="ner", label_name="predicted")
    assert not sentence.has_label("ner")
    assert repr(exported) == "ExportedModel('tag' with 3 labels, 'ner' with 2 labels, 'xpos' with 6 labels)"


@pytest.mark.parametrize("label_type", ["tag", "ner", "xpos"])
def test_the_best_labelings_of_a_label_type_are_equal(label_type: str, tmp_path: Path) -> None:
    model = sharpen(types(use_crf={"xpos": False}))
    assert isinstance(model, SequenceTagger)
    listed = [Sentence(words) for words in WORDS[:5]]
    expected, found = (each.n_best(listed, 7, label_type=label_type) for each in (model, export(model, tmp_path)))
    for labelings, twins in zip(expected, found, strict=True):
        assert [twin.tags for twin in twins] == [labeling.tags for labeling in labelings]
        assert [twin.spans for twin in twins] == [labeling.spans for labeling in labelings]


def test_label_types_that_are_dropped_are_not_exported(tmp_path: Path) -> None:
    model = sharpen(types())
    model.drop_heads("ner")  # type: ignore[attr-defined]
    exported = export(model, tmp_path)
    assert exported.label_types == ("tag", "xpos")
    for name in ("tag", "xpos"):
        check_equal(model.predict(sentences()), exported.predict(sentences()), name)


def test_tags_of_spans_can_be_written_onto_words(tmp_path: Path) -> None:
    model = sharpen(tagger(spans=True))
    exported = export(model, tmp_path)
    expected, found = (either.predict(sentences(), force_token_predictions=True) for either in (model, exported))
    check_equal(expected, found, "tag")
    assert any(tag and tag.startswith(("B-", "S-")) for tag in found[0].token_labels("tag") or ())
    with pytest.raises(SettingError, match="force_token_predictions is for models that label words"):
        export(classifier(), tmp_path).predict("a", force_token_predictions=True)


@pytest.mark.parametrize("kind", ["CRF", "no CRF", "spans", "spans without CRF"])
def test_the_best_labelings_are_equal(kind: str, tmp_path: Path) -> None:
    model = sharpen(MODELS[kind]())
    assert isinstance(model, SequenceTagger)
    exported = export(model, tmp_path)
    sentences = [Sentence(words) for words in [*WORDS[:9], *ODD[:3], ["a", "b"]]]
    for n in (1, 7, 30):
        expected, found = (either.n_best(sentences, n, 4) for either in (model, exported))
        assert len(found) == len(expected)
        for labelings, twins in zip(expected, found, strict=True):
            assert [twin.tags for twin in twins] == [labeling.tags for labeling in labelings]
            assert [twin.spans for twin in twins] == [labeling.spans for labeling in labelings]
            probabilities = [[labeling.probability for labeling in each] for each in (labelings, twins)]
            np.testing.assert_allclose(*probabilities, atol=1e-4)
    assert [labeling.tags for labeling in exported.n_best("ab cd", 2)] == [
        labeling.tags for labeling in model.n_best("ab cd", 2)
    ]
    assert not sentences[0].has_label("tag")
    with pytest.raises(SettingError, match="n must be at least 1"):
        exported.n_best("a", 0)
    with pytest.raises(SettingError, match="n_best is for models that label words or spans"):
        export(classifier(), tmp_path).n_best("a")


def test_arguments_and_results_are_those_of_the_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = sharpen(tagger())
    exported = export(model, tmp_path)
    one = exported.predict("ab cd.")
    assert isinstance(one, Sentence)
    assert one.to_tagged_string() == model.predict("ab cd.").to_tagged_string()
    assert exported.predict([]) == []
    assert exported.predict("").get_labels() == []
    assert [sentence.text for sentence in exported.predict(text for text in ("b", "", "a"))] == ["b", "", "a"]
    sentence = Sentence(["ab", "cd"]).set_token_labels("tag", ["NOUN", "VERB"])
    assert exported.predict(sentence, label_name="predicted") is sentence
    assert sentence.token_labels("tag") == ["NOUN", "VERB"]
    assert sentence.has_label("predicted")
    exported.predict(sentence)
    assert "predict replaces the 'tag' labels of 1 sentences" in caplog.text
    stream = exported.predict_stream(iter(["a", "b"]), label_name="x")
    assert next(stream).has_label("x")
    assert [left.text for left in stream] == ["b"]
    for arguments in ({"mini_batch_size": 0}, {"label_name": ""}, {"return_probabilities_for_all_classes": "no"}):
        messages = []
        for either in (model, exported):
            with pytest.raises(SettingError) as error:
                either.predict("a", **arguments)  # type: ignore[call-overload]
            messages.append(str(error.value))
        assert messages[0] == messages[1]
    with pytest.raises(SettingError, match="a model takes sentences or texts, not a dictionary"):
        exported.predict({"a": 1})
    with pytest.raises(SettingError, match="num_threads must be at least 1"):
        export(model, tmp_path, num_threads=0)


def test_the_tokenizer_is_exported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = tagger()
    assert export(model, tmp_path).tokenizer is None
    model.tokenizer = SpaceTokenizer()
    exported = export(model, tmp_path)
    assert exported.predict("ab, cd").words == ["ab,", "cd"]
    model.tokenizer = TokenizerWrapper(str.split)
    with caplog.at_level(logging.WARNING):
        assert export(model, tmp_path).tokenizer is None
    assert "does not contain the tokenizer" in caplog.text
    with pytest.raises(SettingError, match="must be a Tokenizer or None"):
        exported.tokenizer = "split"  # type: ignore[assignment]


def test_vectors_stay_compact(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    table = {f"w{index}": generator.normal(size=100) for index in range(2000)}
    model = tagger(WordEmbeddings(table))
    sizes = []
    for _ in range(2):
        model.export(tmp_path / "model.onnx")
        sizes.append((tmp_path / "model.onnx").stat().st_size)
        model.compact()
    assert sizes[0] - sizes[1] == pytest.approx(2000 * (400 - 154), rel=0.02)


def test_lexica_stay_compact(tmp_path: Path) -> None:
    """The words of a lexicon take as many bytes as in a model file; an index of hashes would take 12 more a word."""
    words = sorted({f"{stem}{end}" for stem in map(str, range(100, 1000)) for end in ("", "s", "ed", "ing", "er")})
    sizes = []
    for count in (50, len(words)):
        lexicon = dict(zip(words[:count], ["NOUN", "VERB"] * count, strict=False))
        model = tagger(StackedEmbeddings([HashEmbeddings(9, 3), LexiconEmbeddings(lexicon)]))
        model.export(tmp_path / "model.onnx")
        sizes.append((tmp_path / "model.onnx").stat().st_size)
    assert sizes[1] - sizes[0] < 5.5 * (len(words) - 50)


def test_a_file_is_a_valid_onnx_model(tmp_path: Path) -> None:
    """Its own fields are skipped by ONNX's readers."""
    import onnx

    path = tmp_path / "model.onnx"
    compact(tagger()).export(path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["table", "word_ids", "lengths"]
    assert [value.name for value in model.graph.output] == ["output"]


def test_exporting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    model = MODELS["stack"]()
    contents = []
    for name in ("a.onnx", "b.onnx"):
        model.export(tmp_path / name)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_scores_that_are_not_numbers_are_an_error(tmp_path: Path) -> None:
    for model in (tagger(), tagger(use_crf=False), classifier()):
        with torch.no_grad():
            next(iter(reversed(list(model.parameters())))).fill_(float("nan"))
        with pytest.raises(LabelError, match="its scores are NaN"):
            export(model, tmp_path).predict("ab cd")


# ---------------------------------------------------------------------------------------------- what cannot be exported


@register_embeddings
class LengthEmbeddings(TokenEmbeddings):
    """A class of a user, of which the exporter knows nothing."""

    name = "length"
    embedding_length = 1

    def index(self, words: Any, fields: Any = None) -> Any:
        return torch.tensor([[len(word)] for word in words] + [[0]], dtype=torch.float32)

    def select(self, table: Any, word_ids: Any) -> Any:
        return table[word_ids.long()]

    def forward(self, inputs: Any, lengths: Any = None, generator: Any = None) -> Any:
        return inputs


class FurtherTagger(SequenceTagger):
    """A subclass, which may compute something else."""


class OtherPool(DocumentPoolEmbeddings):
    """A subclass, which may compute something else."""


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (lambda: tagger(LengthEmbeddings()), "the embeddings LengthEmbeddings"),
        (lambda: tagger(StackedEmbeddings([HashEmbeddings(), LengthEmbeddings()])), "the embeddings LengthEmbeddings"),
        (lambda: FurtherTagger(WordEmbeddings(vectors()), labels_of("a b"), "tag"), "the model FurtherTagger"),
        (lambda: classifier(OtherPool(WordEmbeddings(vectors()))), "the embeddings OtherPool"),
    ],
    ids=["embeddings", "in a stack", "model", "document embeddings"],
)
def test_other_classes_are_named(model: Callable[[], Model], name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=f"{name} cannot be exported: export models of the classes"):
        model().export(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_embeddings_without_an_export_are_named(tmp_path: Path) -> None:
    stack = StackedEmbeddings([HashEmbeddings(9, 4), FlairCharacterEmbeddings()])
    for model in (tagger(stack), classifier(DocumentPoolEmbeddings(stack))):
        with pytest.raises(ModelFileError, match="the embeddings FlairCharacterEmbeddings cannot be exported: exp"):
            model.export(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_is_too_large_for_the_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "_MAX_SIZE", 1000)
    with pytest.raises(ModelFileError, match="bytes of weights, but ONNX's format at most 1,000"):
        tagger().export(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tagger()
    exported = export(model, tmp_path)
    assert exported is not None
    for package, extra, call in (
        ("onnx", "export", lambda: model.export(tmp_path / "other.onnx")),
        ("onnxruntime", "deploy", lambda: export(model, tmp_path)),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(__import__("sys").modules, package, None)
            with pytest.raises(
                MissingExtraError, match=rf"{package}, which is not .*pip install 'flairlite\[{extra}\]'"
            ):
                call()


# ------------------------------------------------------------------------------------------------------- trained models


@pytest.mark.parametrize("kind", ["words", "spans", "documents"])
def test_trained_models_of_the_samples_are_equal(kind: str, tmp_path: Path, mini_vectors: WordEmbeddings) -> None:
    corpus: Corpus = {"words": SAMPLE_ENGLISH, "spans": SAMPLE_NER, "documents": SAMPLE_REVIEWS}[kind]()
    label_type = {"words": "upos", "spans": "ner", "documents": "sentiment"}[kind]
    labels = corpus.make_label_dictionary(label_type)
    model: Model
    if kind == "documents":
        model = TextClassifier(DocumentPoolEmbeddings(mini_vectors), label_type, labels)
    else:
        model = SequenceTagger(mini_vectors, labels, label_type, hidden_size=16)
    ModelTrainer(model, corpus).train(
        tmp_path / "run", optimizer="Adam", learning_rate=0.01, max_epochs=4 if kind == "spans" else 1
    )
    exported = export(model, tmp_path)
    texts = [sentence.text for split in (corpus.train, corpus.dev, corpus.test) for sentence in split or ()]
    assert check_equal(model.predict(texts), exported.predict(texts), label_type) > 20


@pytest.mark.mirror
def test_the_whole_test_split_of_ewt_is_labelled_equally(tmp_path: Path, mirror: Path) -> None:
    corpus = UD_ENGLISH()
    words = [sentence.words for sentence in corpus.test or ()]
    corpus.downsample(0.02)
    labels = corpus.make_label_dictionary("upos")
    model = SequenceTagger(WordEmbeddings("glove"), labels, "upos", hidden_size=32)
    ModelTrainer(model, corpus).train(tmp_path / "run", max_epochs=1, optimizer="Adam", learning_rate=0.01)
    expected, found = (
        either.predict(map(Sentence, words), label_name="found") for either in (model, export(model, tmp_path))
    )
    assert check_equal(expected, found, "found") == 25094


def test_a_linear_layer_without_a_bias_is_exported(tmp_path: Path) -> None:
    model = sharpen(tagger())
    model.linear = nn.Linear(model.linear.in_features, model.linear.out_features, bias=False)  # type: ignore[attr-defined]
    expected, found = (either.predict(sentences()) for either in (model, export(model, tmp_path)))
    check_equal(expected, found, "tag")
