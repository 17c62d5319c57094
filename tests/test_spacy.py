"""The component of spaCy's pipelines, with the real spaCy."""

from __future__ import annotations

import importlib.metadata
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import DocumentPoolEmbeddings, SubwordEmbeddings, WordEmbeddings
from flairlite.errors import LabelError, ModelFileError, SettingError
from flairlite.models import Model, SequenceTagger, TextClassifier, TokenClassifier
from flairlite.tokenization import SpaceTokenizer, StaccatoTokenizer

spacy = pytest.importorskip("spacy", reason="spaCy is not installed")
bridge = pytest.importorskip(
    "flairlite.spacy"
)  # registers the component where flairlite is on the path, but not installed

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning"
)  # of spaCy's dependencies

UPOS = {"Ada": "PROPN", "lives": "VERB", "in": "ADP", "Rome": "PROPN", "New": "PROPN", "York": "PROPN", ".": "PUNCT"}


def of_words(label_type: str, labels: dict[str, str]) -> TokenClassifier:
    """Return a model that labels each of these words with its label, and other words with the first label."""
    names = sorted(set(labels.values()))
    vectors = {word: [float(name == label) for name in names] for word, label in labels.items()}
    dictionary = Dictionary.from_items(names, add_unk=False)
    model = TokenClassifier(WordEmbeddings(vectors), dictionary, label_type)
    return with_identity(model)


def of_spans(label_type: str = "ner") -> TokenClassifier:
    """Return a model that finds the names in UPOS by their words."""
    dictionary = Dictionary.from_items(["LOC", "PER"], add_unk=False)
    dictionary.span_labels = True
    tags = {"Ada": "B-PER", "Rome": "B-LOC", "New": "B-LOC", "York": "I-LOC"}
    shape = TokenClassifier(WordEmbeddings({"a": [0.0]}), dictionary, label_type, span_encoding="BIO")
    names = list(shape.task.class_names)
    vectors = {word: [float(name == tag) for name in names] for word, tag in tags.items()}
    others = {word: [float(name == "O") for name in names] for word in UPOS if word not in tags}
    embeddings = WordEmbeddings({**vectors, **others})
    return with_identity(TokenClassifier(embeddings, dictionary, label_type, span_encoding="BIO"))


def with_identity(model: Any) -> Any:
    """Let the scores of classes be the features of the word, or of the text."""
    import torch

    with torch.no_grad():
        model.decoder.weight.copy_(20 * torch.eye(len(model.decoder.weight)))
        model.decoder.bias.zero_()
    return model


def pipeline(model: Model, folder: Path, **config: Any) -> Any:
    """Return a pipeline that finds sentences and labels them with a model, which is saved in a folder."""
    model.save(folder / "model.pt")
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("flairlite", config={"model": str(folder / "model.pt"), **config})
    return nlp


def entities(doc: Any) -> list[tuple[str, str]]:
    return [(span.text, span.label_) for span in doc.ents]


TEXT = "Ada lives in New  York. Ada lives\n in Rome."


def test_ner_becomes_entities_of_spacys_tokens(tmp_path: Path) -> None:
    doc = pipeline(of_spans(), tmp_path)(TEXT)
    assert entities(doc) == [("Ada", "PER"), ("New  York", "LOC"), ("Ada", "PER"), ("Rome", "LOC")]
    assert [(span.start_char, span.end_char) for span in doc.ents] == [(0, 3), (13, 22), (24, 27), (38, 42)]
    assert doc.has_annotation("ENT_IOB")


def test_upos_xpos_and_feats_become_attributes_of_tokens(tmp_path: Path) -> None:
    doc = pipeline(of_words("upos", UPOS), tmp_path)(TEXT)
    words = [token for token in doc if not token.is_space]
    assert [token.pos_ for token in words] == [UPOS[token.text] for token in words]
    assert [token.pos_ for token in doc if token.is_space] == ["SPACE", "SPACE"]
    xpos = {"Ada": "NNP", "lives": "VBZ", "in": "IN", "Rome": "NNP", ".": "."}
    doc = pipeline(of_words("xpos", xpos), tmp_path)("Ada lives  in Rome.")
    assert [token.tag_ for token in doc] == ["NNP", "VBZ", "_SP", "IN", "NNP", "."]
    feats = {"Ada": "Number=Sing", "lives": "Number=Sing|Person=3", "in": "_"}
    doc = pipeline(of_words("feats", feats), tmp_path)("Ada lives in")
    assert [str(token.morph) for token in doc] == ["Number=Sing", "Number=Sing|Person=3", ""]
    assert doc[1].morph.get("Person") == ["3"]


def test_other_types_become_extensions_span_groups_and_categories(tmp_path: Path) -> None:
    doc = pipeline(of_words("stress", {"Ada": "high", "lives": "low"}), tmp_path)("Ada  lives")
    assert [token._.stress for token in doc] == ["high", None, "low"]
    doc = pipeline(of_spans("chunk"), tmp_path)("Ada lives in New York")
    assert [(span.text, span.label_) for span in doc.spans["chunk"]] == [("Ada", "PER"), ("New York", "LOC")]
    assert not doc.ents


def of_texts(**options: Any) -> TextClassifier:
    embeddings = DocumentPoolEmbeddings([WordEmbeddings({"good": [1.0, 0.0], "bad": [0.0, 1.0]})])
    dictionary = Dictionary.from_items(["pro", "con"], add_unk=False)
    return with_identity(TextClassifier(embeddings, "sentiment", dictionary, **options))


def test_labels_of_texts_become_categories_of_the_whole_document(tmp_path: Path) -> None:
    for model in (of_texts(), of_texts(multi_label=True)):
        nlp = pipeline(model, tmp_path)
        text = "It is good. It is good. It is bad."
        doc = nlp(text)
        expected = model.predict(Sentence([token.text for token in doc]), return_probabilities_for_all_classes=True)
        assert doc.cats == {label.value: pytest.approx(label.score) for label in expected.get_labels("sentiment")}
        assert set(doc.cats) == {"pro", "con"}
        assert doc.cats["pro"] > doc.cats["con"]
        assert nlp("").cats == {}


def test_attributes_choose_where_labels_are_written(tmp_path: Path) -> None:
    doc = pipeline(of_words("pos", UPOS), tmp_path, attributes={"pos": "pos"})("Ada lives")
    assert [token.pos_ for token in doc] == ["PROPN", "VERB"]
    doc = pipeline(of_spans("names"), tmp_path, attributes={"names": "ents"})("Ada lives")
    assert entities(doc) == [("Ada", "PER")]
    doc = pipeline(of_spans("ner"), tmp_path, attributes={"ner": "spans"})("Ada lives")
    assert [span.text for span in doc.spans["ner"]] == ["Ada"]


def test_attributes_that_do_not_fit_the_model_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="attributes of 'flairlite' name pos, but the model predicts ner"):
        pipeline(of_spans(), tmp_path, attributes={"pos": "tag"})("a")
    with pytest.raises(SettingError, match="with 'ner', which can be written to spans or ents, not to 'pos'"):
        pipeline(of_spans(), tmp_path, attributes={"ner": "pos"})("a")
    with pytest.raises(LabelError, match="'NN', a label of the type 'upos', is no universal part of speech"):
        pipeline(of_words("upos", {"a": "NN", "b": "VERB"}), tmp_path)("a")
    with pytest.raises(ValueError, match="unexpected argument: 'modle'"):
        spacy.blank("en").add_pipe("flairlite", config={"modle": "x"})


def test_several_label_types_are_written_at_once(tmp_path: Path) -> None:
    dictionaries = {"upos": Dictionary.from_items(["NOUN", "VERB"], add_unk=False)}
    dictionaries["xpos"] = Dictionary.from_items(["NN", "VB"], add_unk=False)
    tagger = SequenceTagger(SubwordEmbeddings(8, 50), dictionaries, "upos", hidden_size=8)
    nlp = pipeline(tagger, tmp_path)
    doc = nlp("so it goes")
    expected = tagger.predict(Sentence(["so", "it", "goes"]))
    assert [token.pos_ for token in doc] == expected.token_labels("upos")
    assert [token.tag_ for token in doc] == expected.token_labels("xpos")
    assert set(nlp.get_pipe("flairlite").labels) == {"NOUN", "VERB", "NN", "VB"}


def test_earlier_annotations_are_kept_if_asked(tmp_path: Path) -> None:
    patterns = [{"label": "TITLE", "pattern": "York Minster"}, {"label": "NAME", "pattern": "Ada"}]
    for overwrite in (True, False):
        nlp = pipeline(of_spans(), tmp_path, overwrite=overwrite)
        nlp.add_pipe("entity_ruler", before="flairlite").add_patterns(patterns)
        found = entities(nlp("Ada lives in New York Minster in Rome"))
        own = [("Ada", "PER"), ("New York", "LOC"), ("Rome", "LOC")]
        assert found == (own if overwrite else [("Ada", "NAME"), ("York Minster", "TITLE"), ("Rome", "LOC")])
        tagger = pipeline(of_words("upos", UPOS), tmp_path, overwrite=overwrite)
        doc = tagger.make_doc("Ada lives")
        doc[0].pos_ = "NOUN"
        assert [token.pos_ for token in tagger(doc)] == ["PROPN" if overwrite else "NOUN", "VERB"]


def test_stream_is_labelled_as_single_documents(tmp_path: Path) -> None:
    nlp = pipeline(of_spans(), tmp_path)
    texts = [TEXT, "", "  ", "Rome", "lives", *["Ada lives in Rome."] * 7]
    expected = [entities(nlp(text)) for text in texts]
    assert [entities(doc) for doc in nlp.pipe(texts, batch_size=3)] == expected
    assert expected[1:4] == [[], [], [("Rome", "LOC")]]


def test_sentences_are_those_of_the_pipeline_and_documents_are_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    neighbours: list[Any] = []
    original = TokenClassifier.predict

    def predict(self: Any, sentences: Any, **options: Any) -> Any:
        seen.append([sentence.text for sentence in sentences])
        neighbours.extend(sentence.next_sentence() for sentence in sentences)
        return original(self, sentences, **options)

    monkeypatch.setattr(TokenClassifier, "predict", predict)
    nlp = pipeline(of_spans(), tmp_path)
    list(nlp.pipe(["Ada lives.  It rains.", "Rome"]))
    assert seen == [["Ada lives.", "It rains.", "Rome"]]
    assert [None if found is None else found.text for found in neighbours] == ["It rains.", None, None]
    nlp.remove_pipe("sentencizer")
    nlp("Ada lives.  It rains.")
    assert seen[1:] == [["Ada lives.  It rains."]]


@pytest.mark.parametrize("tokenizer", [SpaceTokenizer(), StaccatoTokenizer()], ids=["space", "staccato"])
def test_words_are_those_of_spacy_and_the_model_keeps_its_tokenizer(tokenizer: Any, tmp_path: Path) -> None:
    model = of_spans()
    model.tokenizer = tokenizer
    nlp = pipeline(model, tmp_path)
    assert entities(nlp("Ada, who lives in Rome.")) == [("Ada", "PER"), ("Rome", "LOC")]
    nlp.to_disk(tmp_path / "nlp")
    assert Model.load(tmp_path / "nlp" / "flairlite" / "model.pt").tokenizer == tokenizer
    assert entities(nlp("Ada, who lives in Rome.")) == [("Ada", "PER"), ("Rome", "LOC")]


def test_saved_pipeline_needs_no_model_file(tmp_path: Path) -> None:
    nlp = pipeline(of_spans(), tmp_path, attributes={"ner": "ents"}, overwrite=False)
    expected = entities(nlp(TEXT))
    nlp.to_disk(tmp_path / "nlp")
    content = nlp.to_bytes()
    (tmp_path / "model.pt").unlink()
    loaded = spacy.load(tmp_path / "nlp")
    assert loaded.pipe_names == ["sentencizer", "flairlite"]
    assert not loaded.get_pipe("flairlite").overwrite
    assert entities(loaded(TEXT)) == expected
    loaded.to_disk(tmp_path / "again")
    assert entities(spacy.load(tmp_path / "again")(TEXT)) == expected
    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    blank.add_pipe("flairlite")
    assert entities(blank.from_bytes(content)(TEXT)) == expected
    component = pickle.loads(pickle.dumps(nlp.get_pipe("flairlite")))  # as processes that are spawned get it
    assert entities(component(nlp.get_pipe("sentencizer")(nlp.make_doc(TEXT)))) == expected


def test_component_is_found_by_spacy_in_a_new_process(tmp_path: Path) -> None:
    if not any(entry.name == "flairlite" for entry in importlib.metadata.entry_points(group="spacy_factories")):
        pytest.skip("flairlite is on the path, but not installed")
    nlp = pipeline(of_spans(), tmp_path)
    nlp.to_disk(tmp_path / "nlp")
    (tmp_path / "model.pt").unlink()
    script = "import spacy, sys; print([span.text for span in spacy.load(sys.argv[1])('Ada lives in Rome').ents])"
    process = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "nlp"], capture_output=True, text=True, check=False
    )
    assert process.stdout.strip() == "['Ada', 'Rome']"


def test_missing_model_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("flairlite")
    with pytest.raises(ModelFileError, match="the component 'flairlite' has no model: give one"):
        nlp("a")
    with pytest.raises(ModelFileError, match="has no model"):
        nlp.to_disk(tmp_path / "nlp")
    nlp = spacy.blank("en")
    nlp.add_pipe("flairlite", name="names", config={"model": str(tmp_path / "gone.pt")})
    with pytest.raises(ModelFileError, match=r"no model file at .*gone\.pt"):
        nlp("a")


def test_errors_go_to_the_error_handler_of_the_pipeline(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("flairlite", config={"model": str(tmp_path / "gone.pt")})
    failures: list[int] = []
    nlp.set_error_handler(lambda name, component, docs, error: failures.append(len(docs)))
    assert list(nlp.pipe(["a", "b", "c"], batch_size=2)) == []
    assert failures == [2, 1]


def test_spacy_can_ask_what_the_component_is_before_its_model_is_read(tmp_path: Path) -> None:
    # `isinstance` with a protocol reads attributes, in an order that differs from process to process
    names = {name for name in dir(bridge.FlairliteComponent) if not name.startswith("_")}
    assert not names & {"model", "listeners", "listener_map", "listening_components"}
    component = bridge.FlairliteComponent("names", tmp_path / "gone.pt")
    for name in names:
        getattr(component, name)


def test_categories_and_extensions_of_earlier_components_are_kept(tmp_path: Path) -> None:
    dictionary = Dictionary.from_items(["good", "bad"], add_unk=False)
    vectors = WordEmbeddings({"fine": [1.0, 0.0]})
    texts = with_identity(TextClassifier(DocumentPoolEmbeddings([vectors]), "mood", dictionary))
    words = of_words("sense", {"fine": "adjective", "work": "noun"})
    if not spacy.tokens.Token.has_extension("sense"):
        spacy.tokens.Token.set_extension("sense", default=None)
    for overwrite in (True, False):
        classifier = pipeline(texts, tmp_path, overwrite=overwrite)
        doc = classifier.make_doc("fine work")
        doc.cats = {"good": 0.25, "other": 0.5}
        doc = classifier(doc)
        assert set(doc.cats) == {"good", "bad", "other"}
        assert (doc.cats["good"] == 0.25) is not overwrite
        tagger = pipeline(words, tmp_path, overwrite=overwrite)
        doc = tagger.make_doc("fine work")
        doc[0]._.sense = "earlier"
        assert [token._.sense for token in tagger(doc)] == ["adjective" if overwrite else "earlier", "noun"]


def test_an_extension_that_is_computed_is_not_written_to(tmp_path: Path) -> None:
    spacy.tokens.Token.set_extension("computed", getter=lambda token: 1, force=True)
    with pytest.raises(SettingError, match=r"token._.computed is computed by a function"):
        pipeline(of_words("computed", UPOS), tmp_path)("Ada")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 5}, "model must be the path of a file"),
        ({"attributes": "pos"}, "attributes must map label types"),
        ({"overwrite": "no"}, "overwrite must be True or False"),
        ({"mini_batch_size": 0}, "mini_batch_size must be at least 1"),
        ({"mini_batch_size": "64"}, "mini_batch_size must be a whole number"),
    ],
    ids=str,
)
def test_arguments_of_the_component_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        bridge.FlairliteComponent("tagger", **arguments)
