"""Corpora of Hugging Face's datasets, and of frames of pandas and polars, with the real packages."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from flairlite.data import Corpus
from flairlite.errors import DataFormatError, SettingError

NER = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
ROWS: dict[str, list[Any]] = {
    "tokens": [["Ada", "Lovelace", "lived"], ["in", "London"], []],
    "ner_tags": [[1, 2, 0], [0, 3], []],
    "topic": [1, 0, -1],
    "topics": [[0, 1], [], [1]],
    "text": ["Ada Lovelace lived.", "In London!", ""],
}


@pytest.fixture
def hub() -> Any:
    pytest.importorskip("datasets.features", reason="datasets is not installed")  # tests/datasets is found without it
    return importlib.import_module("datasets")


@pytest.fixture
def dataset(hub: Any) -> Any:
    topic = hub.ClassLabel(names=["places", "people"])
    features = hub.Features(
        {
            "tokens": hub.List(hub.Value("string")),
            "ner_tags": hub.List(hub.ClassLabel(names=NER)),
            "topic": topic,
            "topics": hub.List(topic),
            "text": hub.Value("string"),
        }
    )
    return hub.Dataset.from_dict(ROWS, features=features)


def spans(corpus: Corpus) -> list[list[tuple[str, str]]]:
    return [[(span.text, span.tag) for span in sentence.get_spans("ner")] for sentence in corpus.train or ()]


def labels(corpus: Corpus, label_type: str) -> list[list[str]]:
    return [sentence.sentence_labels(label_type) for sentence in corpus.train or ()]


def test_class_ids_of_tokens_become_spans(hub: Any, dataset: Any) -> None:
    splits = hub.DatasetDict(train=dataset, validation=dataset.select([1]), test=dataset.select([0, 1]))
    corpus = Corpus.from_datasets(splits, text="tokens", label="ner_tags", label_type="ner", name="hub")
    assert str(corpus) == "Corpus: 3 train + 1 dev + 2 test sentences"
    assert corpus.name == "hub"
    assert spans(corpus) == [[("Ada Lovelace", "PER")], [("London", "LOC")], []]
    assert [sentence.words for sentence in corpus.train or ()] == ROWS["tokens"]
    dictionary = corpus.make_label_dictionary("ner", add_unk=False)
    assert sorted(dictionary.get_items()) == ["LOC", "PER"]
    assert dictionary.span_labels


def test_class_ids_of_texts_become_names_and_minus_one_none(dataset: Any) -> None:
    corpus = Corpus.from_datasets(dataset, label="topic")
    assert labels(corpus, "topic") == [["people"], ["places"], []]
    assert (corpus.train or [])[0].words == ["Ada", "Lovelace", "lived", "."]
    assert (corpus.dev, corpus.test) == (None, None)


def test_lists_of_class_ids_are_several_labels_of_a_text(dataset: Any) -> None:
    corpus = Corpus.from_datasets(dataset, label="topics", label_type="topic")
    assert labels(corpus, "topic") == [["places", "people"], [], ["people"]]
    assert corpus.make_label_dictionary("topic").multi_label


def test_strings_and_numbers_of_other_columns_are_read_as_from_examples(hub: Any) -> None:
    tags = hub.Dataset.from_dict({"tokens": [["a", "b"]], "pos": [["X", None]]})
    sentence = (Corpus.from_datasets(tags, text="tokens", label="pos").train or [])[0]
    assert sentence.token_labels("pos") == ["X", None]
    texts = hub.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]})
    assert labels(Corpus.from_datasets(texts), "label") == [["1"], ["0"]]
    assert labels(Corpus.from_datasets(texts, label_names=["no", "yes"]), "label") == [["yes"], ["no"]]


def test_label_names_replace_those_of_the_dataset(dataset: Any) -> None:
    corpus = Corpus.from_datasets(dataset, label="topic", label_names=["Orte", "Leute"])
    assert labels(corpus, "topic") == [["Leute"], ["Orte"], []]


def test_format_of_a_dataset_does_not_matter(dataset: Any) -> None:
    for kind in ("numpy", "torch"):
        made = Corpus.from_datasets(dataset.with_format(kind), text="tokens", label="ner_tags", label_type="ner")
        assert spans(made) == [[("Ada Lovelace", "PER")], [("London", "LOC")], []]


def test_streamed_datasets_are_read(hub: Any, dataset: Any) -> None:
    stream = hub.IterableDatasetDict({"train": dataset.to_iterable_dataset()})
    corpus = Corpus.from_datasets(stream, text="tokens", label="ner_tags", label_type="ner")
    assert spans(corpus) == [[("Ada Lovelace", "PER")], [("London", "LOC")], []]
    made = hub.IterableDataset.from_generator(lambda: iter([{"text": "a", "label": "x"}]))
    assert labels(Corpus.from_datasets(made), "label") == [["x"]]


def test_splits_are_found_by_their_names(hub: Any, dataset: Any, caplog: pytest.LogCaptureFixture) -> None:
    splits = hub.DatasetDict({"train": dataset, "valid": dataset.select([0]), "unsupervised": dataset})
    assert str(Corpus.from_datasets(splits, label="topic")) == "Corpus: 3 train + 1 dev + 0 test sentences"
    assert "unsupervised are in no split" in caplog.text
    with pytest.raises(SettingError, match="no dataset is named train, validation or test, but part"):
        Corpus.from_datasets({"part": dataset}, label="topic")
    with pytest.raises(SettingError, match="several datasets are the dev split, of dev, validation: give one"):
        Corpus.from_datasets({"dev": dataset, "validation": dataset}, label="topic")


def test_what_is_no_dataset_or_no_column_is_an_error(dataset: Any) -> None:
    with pytest.raises(SettingError, match=r"must be a Dataset of Hugging Face, not 'conll2003' .*load_dataset"):
        Corpus.from_datasets("conll2003")
    with pytest.raises(DataFormatError, match="the train dataset: no column 'label'; it has tokens, ner_tags"):
        Corpus.from_datasets(dataset)
    with pytest.raises(DataFormatError, match="the dev dataset: no column 'words'"):
        Corpus.from_datasets({"validation": dataset}, text="words", label="topic")


def test_corpus_of_a_dataset_trains_a_model(dataset: Any, tmp_path: Any) -> None:
    pytest.importorskip("torch", reason="needs torch")
    from flairlite.embeddings import SubwordEmbeddings
    from flairlite.models import SequenceTagger
    from flairlite.trainers import ModelTrainer

    corpus = Corpus.from_datasets(dataset.select([0, 1]), text="tokens", label="ner_tags", label_type="ner")
    tagger = SequenceTagger(SubwordEmbeddings(8, 50), corpus.make_label_dictionary("ner"), "ner", hidden_size=8)
    ModelTrainer(tagger, corpus).train(tmp_path, max_epochs=20, learning_rate=0.05, optimizer="Adam")
    (sentence,) = tagger.predict([(corpus.train or [])[1]])
    assert [(span.text, span.tag) for span in sentence.get_spans("ner")] == [("London", "LOC")]


# ------------------------------------------------------------------------------------------------------------- frames


def pandas_frame(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("pandas", reason="pandas is not installed").DataFrame(columns)


def arrow_frame(columns: dict[str, Any]) -> Any:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    return pandas_frame(columns).convert_dtypes(dtype_backend="pyarrow")


def polars_frame(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("polars", reason="polars is not installed").DataFrame(columns)


FRAMES = pytest.mark.parametrize("make", [pandas_frame, arrow_frame, polars_frame])
Make = Callable[[dict[str, Any]], Any]


@FRAMES
def test_frame_with_a_row_a_text(make: Make) -> None:
    frame = make({"text": ["in Berlin", "so what", "so"], "topic": ["place", None, "talk"], "other": [1, 2, 3]})
    corpus = Corpus.from_dataframe(frame, frame[:1], label="topic")
    assert labels(corpus, "topic") == [["place"], [], ["talk"]]
    assert len(corpus.dev or ()) == 1


@FRAMES
def test_frame_with_a_row_a_word(make: Make) -> None:
    frame = make(
        {
            "sentence": [1, 1, 2],
            "word": ["in", "Berlin", "Rome"],
            "tag": ["O", "B-LOC", "B-LOC"],
            "pos": ["P", None, "N"],
        }
    )
    corpus = Corpus.from_dataframe(frame, text="word", label="tag", sentence_id="sentence", label_type="ner")
    assert spans(corpus) == [[("Berlin", "LOC")], [("Rome", "LOC")]]
    tagged = Corpus.from_dataframe(frame, text="word", label="pos", sentence_id="sentence")
    assert [sentence.token_labels("pos") for sentence in tagged.train or ()] == [["P", None], ["N"]]


@FRAMES
def test_cells_of_a_frame_may_be_lists(make: Make) -> None:
    frame = make({"tokens": [["in", "Berlin"], ["Rome"]], "tags": [["O", "B-LOC"], ["B-LOC"]], "ids": [[0, 1], [1]]})
    for options in ({"label": "tags"}, {"label": "ids", "label_names": ["O", "B-LOC"]}):
        corpus = Corpus.from_dataframe(frame, text="tokens", label_type="ner", **options)
        assert spans(corpus) == [[("Berlin", "LOC")], [("Rome", "LOC")]]


@FRAMES
def test_class_ids_of_a_frame_get_names(make: Make) -> None:
    frame = make({"text": ["a", "b", "c"], "label": [1, 0, None]})
    assert labels(Corpus.from_dataframe(frame, label_names=["no", "yes"]), "label") == [["yes"], ["no"], []]
    with pytest.raises(DataFormatError, match="no column 'topic'; it has text, label"):
        Corpus.from_dataframe(frame, label="topic")


def test_categories_of_frames_are_read() -> None:
    pandas, polars = (pytest.importorskip(name, reason=f"{name} is not installed") for name in ("pandas", "polars"))
    columns = {"text": ["a", "b", "c"], "label": ["x", "y", "x"]}
    frames = (
        pandas.DataFrame(columns).astype({"label": "category"}),
        polars.DataFrame(columns, schema_overrides={"label": polars.Categorical}),
        polars.DataFrame(columns, schema_overrides={"label": polars.Enum(["x", "y"])}),
    )
    for frame in frames:
        assert labels(Corpus.from_dataframe(frame), "label") == [["x"], ["y"], ["x"]]


def test_model_names_the_remedy_for_a_frame_of_texts(mini_vectors: Any) -> None:
    from flairlite.data import Dictionary
    from flairlite.models import SequenceTagger

    tagger = SequenceTagger(mini_vectors, Dictionary.from_items(["X"]), "pos", hidden_size=4)
    with pytest.raises(SettingError, match="give the column that has the texts"):
        tagger.predict(polars_frame({"text": ["a"]}))
    assert len(tagger.predict(polars_frame({"text": ["a", "b"]})["text"])) == 2


def test_a_column_in_place_of_a_table_is_refused_in_one_line() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    with pytest.raises(SettingError, match="the train table must be a DataFrame or a dict of columns") as caught:
        Corpus.from_dataframe(pandas.Series(["a", "b"]))
    assert "\n" not in str(caught.value)
