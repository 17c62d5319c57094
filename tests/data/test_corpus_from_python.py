"""Corpora of Python values: pairs, spaCy's and Hugging Face's forms, and tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parameter_ids import show

from flairlite.data import Corpus, Sentence
from flairlite.data.serialization import label_characters
from flairlite.data.tag_schemes import SCHEMES, tags_of
from flairlite.errors import DataFormatError, LabelError, SettingError


class Table:
    """Columns by name, all that `from_dataframe` needs of a pandas DataFrame."""

    def __init__(self, **columns: list[Any]) -> None:
        self._columns = columns

    @property
    def columns(self) -> list[str]:
        return list(self._columns)

    def __getitem__(self, name: str) -> list[Any]:
        return self._columns[name]


class NAType:
    """Compares as pandas' NA: the result has no truth value."""

    def __ne__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def made(*pairs: Any, label_type: str = "ner", **options: Any) -> list[Sentence]:
    return list(Corpus.from_examples(pairs, label_type=label_type, **options).train or ())


def spans(sentence: Sentence, label_type: str = "ner") -> list[tuple[str, str]]:
    return [(label.data_point.text, label.value) for label in sentence.get_labels(label_type)]


# ------------------------------------------------------------------------------------------------------- words and tags


def test_words_and_tags_become_labels_of_words() -> None:
    first, second = made((["I", "go"], ["PRON", "VERB"]), (("Oh",), [None]), label_type="pos")
    assert (first.words, first.token_labels("pos")) == (["I", "go"], ["PRON", "VERB"])
    assert (second.words, second.token_labels("pos")) == (["Oh"], None)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_of_any_scheme_become_spans(scheme: str) -> None:
    tags: list[Any] = list(tags_of([(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")], 5, scheme))
    sentence, other = made((list("abcde"), tags), (["x", "y", "z"], [None, "_", "O"]))
    assert spans(sentence) == [("a b", "PER"), ("c", "PER"), ("e", "LOC")]
    assert sentence.token_labels("ner") is None
    assert other.get_labels() == []


@pytest.mark.parametrize(
    ("tags", "label"),
    [
        (["B_LOC", "I_LOC", "O"], "LOC"),
        (["b-loc", "i-loc", "o"], "loc"),
        (["LOC-B", "LOC-I", "O"], "LOC"),
        (["B", "I", "O"], "ner"),
        (["(LOC*", "*)", "*"], "LOC"),
    ],
)
def test_tags_in_forms_of_other_files_become_spans(tags: list[str], label: str) -> None:
    (sentence,) = made((["New", "York", "sleeps"], tags))
    assert spans(sentence) == [("New York", label)]


def test_tags_of_all_splits_decide_whether_they_are_spans() -> None:
    corpus = Corpus.from_examples([(["a"], ["O"])], [(["b"], ["O"])], [(["c"], ["B-X"])], label_type="ner")
    assert [sentence.token_labels("ner") for sentence in corpus.get_all_sentences()] == [None] * 3
    corpus = Corpus.from_examples([(["a"], ["O"])], [(["b"], ["O"])], [(["c"], ["X"])], label_type="ner")
    assert [sentence.token_labels("ner") for sentence in corpus.get_all_sentences()] == [["O"], ["O"], ["X"]]


@given(st.lists(st.lists(st.tuples(st.text(), st.sampled_from(["A", "B"]) | st.none()), max_size=5), max_size=5))
def test_words_and_labels_are_unchanged(given_pairs: list[list[tuple[str, str | None]]]) -> None:
    pairs = [([word for word, _ in pair], [tag for _, tag in pair]) for pair in given_pairs]
    sentences = made(*pairs, label_type="pos")
    columns = [sentence.token_labels("pos") or [None] * len(sentence) for sentence in sentences]
    assert [(sentence.words, column) for sentence, column in zip(sentences, columns, strict=True)] == pairs


# ------------------------------------------------------------------------------------------------------ texts and spans


def test_spans_by_character_become_spans_of_words() -> None:
    text = "George Washington went to Washington."
    (sentence,) = made((text, [(0, 17, "PER"), (26, 36, "LOC")]))
    assert spans(sentence) == [("George Washington", "PER"), ("Washington", "LOC")]
    assert sentence.text == text


def test_spans_by_word_become_spans() -> None:
    (sentence,) = made((["New", "York", "is", "big"], [(0, 2, "LOC")]))
    assert spans(sentence) == [("New York", "LOC")]


@given(st.text("ab ,.\t", min_size=1, max_size=30), st.data())
def test_exactly_the_covered_words_are_labelled(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    sentence = Sentence(text)
    covered = [
        token.idx
        for token in sentence
        if any(start <= offset < end for offset in range(token.start_position, token.end_position))
    ]
    if not covered:
        with pytest.raises(LabelError, match="covers no word"):
            label_characters(sentence, "ner", start, end, "X")
        return
    is_exact = label_characters(sentence, "ner", start, end, "X")
    (span,) = sentence.get_spans("ner")
    assert [token.idx for token in span] == covered
    assert is_exact == (span.text == text[start:end].strip())


# ----------------------------------------------------------------------------------------------------- texts and labels


def test_a_text_has_one_label_several_or_none() -> None:
    sentences = made(
        ("good", "pos"), ("so", ["pos", "neg"]), ("empty", []), ("none", None), ("number", 3), label_type="x"
    )
    assert [[label.value for label in sentence.get_labels("x")] for sentence in sentences] == [
        ["pos"], ["pos", "neg"], [], [], ["3"],
    ]  # fmt: skip


def test_sentences_with_and_without_spans_mix() -> None:
    for empty in ([], (), None, np.array([])):
        first, second, third = made((["no", "name"], empty), (["in", "Berlin"], [(1, 2, "LOC")]), ("no", empty))
        assert [spans(sentence) for sentence in (first, second, third)] == [[], [("Berlin", "LOC")], []]
    first, second = made((["no", "name"], []), (["in", "Berlin"], ["O", "B-LOC"]))
    assert [spans(first), spans(second)] == [[], [("Berlin", "LOC")]]


@pytest.mark.parametrize(
    "pairs",
    [
        [(["in", "Berlin"], ["place", "x"]), ("a text", "place")],
        [("a text", ["place", "x"]), (["in", "Berlin"], ["place", "x"])],
        [(["in", "Berlin"], ["place", "x"]), (["in", "Berlin"], "place")],
        [(["in", "Berlin"], ["ADP", "PROPN"]), (["in", "Berlin"], [(1, 2, "LOC")])],
        [("in Berlin", [(3, 9, "LOC")]), ("in Berlin", "LOC")],
        [("in Berlin", {"entities": [(3, 9, "LOC")]}), ("in Berlin", {"cats": {"place": 1}})],
    ],
)
def test_labels_of_several_kinds_are_an_error_in_one_split_and_in_two(pairs: list[Any]) -> None:
    with pytest.raises(SettingError, match=r"labels of several kinds: .*\(train example 1\).*labels_of='text'"):
        made(*pairs)
    with pytest.raises(SettingError, match=r"labels of several kinds: .*\(dev example 1\)"):
        Corpus.from_examples(pairs[:1], pairs[1:], label_type="x")


def test_kind_of_labels_can_be_requested() -> None:
    both = made((["in", "Berlin"], ["place", "x"]), ("a text", "place"), labels_of="text")
    assert [sentence.sentence_labels("ner") for sentence in both] == [["place", "x"], ["place"]]
    (sentence,) = made((["a", "b"], ["X", "Y"]), labels_of="word")
    assert sentence.token_labels("ner") == ["X", "Y"]
    (sentence,) = made((["a", "b"], ["O", "B-X"]), labels_of="word")
    assert sentence.token_labels("ner") == ["O", "B-X"]
    with pytest.raises(DataFormatError, match="labels_of='span', but these are labels of whole texts"):
        made(("a", "x"), labels_of="span")
    with pytest.raises(DataFormatError, match="tag 1 of the sentence must be O or"):
        made((["a"], ["X"]), labels_of="span")
    with pytest.raises(SettingError, match="labels_of must be 'word', 'span' or 'text'"):
        made(("a", "x"), labels_of="sentence")
    with pytest.raises(DataFormatError, match="pass labels_of='text' if they are labels of the whole"):
        made((["in", "Berlin"], ["place"]))


def test_annotations_in_the_form_of_spacy_are_read() -> None:
    text = "in Berlin"
    for known in (
        {"entities": [(3, 9, "LOC")]},
        {"entities": [[3, 9, "LOC"]]},
        {"entities": [{"start": 3, "end": 9, "label": "LOC"}], "cats": {}},
        {"spans": {"sc": [(3, 9, "LOC")]}},
        {"spans": [(3, 9, "LOC")], "entities": None},
    ):
        assert [spans(sentence) for sentence in made((text, known), (text, {"entities": []}))] == [
            [("Berlin", "LOC")],
            [],
        ]
    one, two, none = made(
        (text, {"cats": {"A": 1.0, "B": 0.0}}),
        (text, {"cats": {"A": True, "B": np.bool_(True)}}),
        (text, {"cats": {"A": 0}}),
    )
    assert [sentence.sentence_labels("ner") for sentence in (one, two, none)] == [["A"], ["A", "B"], []]
    (sentence,) = made((["in", "Berlin"], {"tags": ["ADP", "PROPN"]}))
    assert sentence.token_labels("ner") == ["ADP", "PROPN"]
    (sentence,) = made((["in", "Berlin"], {"entities": ["O", "U-LOC"]}))
    assert spans(sentence) == [("Berlin", "LOC")]


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({"entities": [(3, 9, "LOC")], "cats": {"A": 1}}, "several annotations, entities, cats"),
        ({"heads": [0, 1]}, r"not \['heads'\]"),
        ({"cats": {"A": 0.5}}, "each of the cats must be 0 or 1"),
        ({"cats": ["A"]}, "cats must be a dict"),
        ({"entities": ["O", "U-LOC"]}, r"entities must be a list of \(start, end, label\)"),
        ({"tags": ["ADP", "PROPN"]}, r"tags must be a list of \(start, end, label\)"),
        ({"spans": {"a": [(0, 2, "X")], "b": [(3, 9, "X")]}}, "several groups of spans, a, b"),
        ({"entities": [(3, 9)]}, "two integers and a name"),
        ({"entities": [("3", "9", "LOC")]}, "two integers and a name"),
        ({"entities": [(3, 9, None)]}, "two integers and a name"),
        ({"entities": [(3.0, 9.0, "LOC")]}, "two integers and a name"),
        ({"entities": 5}, r"entities must be a list of \(start, end, label\), not 5"),
    ],
)
def test_annotations_of_spacy_that_cannot_be_read_are_an_error(known: Any, problem: str) -> None:
    with pytest.raises(DataFormatError, match=f"the train examples, line 1: .*{problem}"):
        made(("in Berlin", known))


NAMES = ["O", "B-PER", "B-LOC"]


def test_rows_of_hugging_face_are_read() -> None:
    row = {"id": "0", "tokens": ["in", "Berlin"], "pos_tags": [1, 2], "ner_tags": [0, 2]}
    (sentence,) = made(row, label_names=NAMES)
    assert spans(sentence) == [("Berlin", "LOC")]
    (sentence,) = made({**row, "ner_tags": np.array([0, 2])}, label_names=NAMES)
    assert spans(sentence) == [("Berlin", "LOC")]
    (sentence,) = made(row, label_type="pos", label_names=["X", "ADP", "PROPN"])
    assert sentence.token_labels("pos") == ["ADP", "PROPN"]
    first, second = made({"text": "good", "label": 1}, {"text": "bad", "label": 0}, label_names=["no", "yes"])
    assert [first.sentence_labels("ner"), second.sentence_labels("ner")] == [["yes"], ["no"]]
    (sentence,) = made({"text": "good", "label": 1})
    assert sentence.sentence_labels("ner") == ["1"]
    (sentence,) = made({"tokens": ["in"], "text": "in Berlin", "entities": [(3, 9, "LOC")]})
    assert spans(sentence) == [("Berlin", "LOC")]
    (sentence,) = made({"text": "in Berlin", "entities": [{"start": 3, "end": 9, "label": "LOC"}]})
    assert spans(sentence) == [("Berlin", "LOC")]


@pytest.mark.parametrize(
    ("example", "problem"),
    [
        ({"tokens": ["in", "Berlin"], "ner_tags": [0, 2]}, "the tag 0 is a number: give names, or pass label_names"),
        ((["in", "Berlin"], np.array([0, 2])), "the tag 0 is a number: give names, or pass label_names"),
        ({"tokens": ["in"], "pos_tags": ["ADP"]}, "a row needs one of the columns tokens.*it has tokens, pos_tags"),
        ({"text": "a", "label": 1, "labels": [1]}, "a row needs one of the columns"),
        ({"label": 1}, "a row needs one of the columns"),
        ({}, "a row needs one of the columns"),
        ((b"text", "x"), "neither a text nor a list of words: b'text'"),
        ((None, "x"), "neither a text nor a list of words: None.*Remove such rows"),
        ((float("nan"), "x"), "neither a text nor a list of words: nan.*Remove such rows"),
        ((5, "x"), "neither a text nor a list of words: 5"),
        ((["a", None], ["X", "Y"]), "a word is missing"),
        ((["a", b"b"], ["X", "Y"]), "a word must be a string"),
        (("a", b"x"), "a label value must be a string"),
        (("a", float("inf")), "cannot convert|a label value"),
        (("a", object()), "a label value must be a string"),
        ((["a", "b"], b"X Y"), "a label value must be a string"),
        (("a", [(0, 1, "X"), "Y"]), r"a span is \(start, end, label\) with two integers and a name, not 'Y'"),
        (Sentence("a"), "not a Sentence: give sentences to Corpus"),
        ([], "it must be a pair"),
        (None, "it must be a pair"),
    ],
)
def test_example_that_cannot_be_read_is_an_error_that_says_how_to_give_it(example: Any, problem: str) -> None:
    with pytest.raises(DataFormatError, match=f"the train examples, line 2: .*({problem})"):
        made((["x"], []), example)


def test_class_id_without_a_name_is_an_error() -> None:
    with pytest.raises(DataFormatError, match="there is no class 3 among the 3 label_names"):
        made({"text": "a", "label": 3}, label_names=NAMES)
    with pytest.raises(SettingError, match="label_names must be a list"):
        made(("a", 1), label_names="OB")


@pytest.mark.parametrize("examples", ["train.txt", b"x", {"text": ["a"]}, 5])
def test_examples_that_are_no_list_are_an_error(examples: Any) -> None:
    with pytest.raises(SettingError, match="the train examples must be a list"):
        Corpus.from_examples(examples, label_type="x")


def test_labels_of_a_text_become_their_text() -> None:
    sentences = made(("a", 1), ("b", 1.0), ("c", np.int64(1)), ("d", True), ("e", 2.5), ("f", ""), ("g", {"x"}))
    assert [sentence.sentence_labels("ner") for sentence in sentences] == [
        ["1"], ["1"], ["1"], ["True"], ["2.5"], [], ["x"],
    ]  # fmt: skip


def test_options_are_those_of_the_corpus() -> None:
    corpus = Corpus.from_examples(
        [("a text", "x")] * 10, label_type="x", name="mine", sample_missing_splits=True, use_tokenizer=False
    )
    assert str(corpus) == "Corpus: 8 train + 1 dev + 1 test sentences"
    assert corpus.name == "mine"


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        ((["a", "b"], ["X"]), "there must be a tag a word, 2, but there are 1"),
        (("text", [(2, 9, "X")]), "a span must lie within the 4 characters of the text"),
        (("text", [(2, 2, "X")]), "a span must lie within"),
        (("a  b", [(1, 3, "X")]), "the span from 1 to 3, '  ', covers no word"),
        (("text", [(1, "X")]), r"a span is \(start, end, label\)"),
        ((["a"], [(0, 2, "X")]), "a span must lie within 1 words, not from 0 to 2"),
        ("text", "it must be a pair"),
        (("a", "b", "c"), "it must be a pair"),
    ],
)
def test_invalid_pair_is_an_error_with_its_split_and_number(pair: Any, problem: str) -> None:
    with pytest.raises(DataFormatError, match=f"the dev examples, line 2: {problem}.*A pair is"):
        Corpus.from_examples([], [("fine", "X"), pair], label_type="ner")


def test_value_among_tags_that_is_not_a_tag_is_an_error() -> None:
    with pytest.raises(DataFormatError, match="the train examples, line 2: tag 1 of the sentence must be O or"):
        made((["a", "b"], ["B-X", "O"]), (["c"], ["X"]))


# --------------------------------------------------------------------------------------------------------------- tables


def test_table_with_a_row_a_sentence() -> None:
    train = Table(text=["one", "two", "three", "four"], label=["x", ["x", "y"], float("nan"), NAType()])
    test = Table(text=["five"], label=[None])
    corpus = Corpus.from_dataframe(train, test=test, label_type="topic", name="table")
    values = [[label.value for label in sentence.get_labels("topic")] for sentence in corpus.get_all_sentences()]
    assert values == [["x"], ["x", "y"], [], [], []]
    assert (corpus.dev, corpus.name) == (None, "table")


def test_table_with_a_row_a_word() -> None:
    table = Table(
        number=[7, 7, 7, 8, 7], word=["in", "New", "York", 5, "x"], ner=["O", "B-LOC", "I-LOC", float("nan"), "O"]
    )
    corpus = Corpus.from_dataframe(table, text="word", label="ner", sentence_id="number")
    sentences = corpus.train or ()
    assert [sentence.words for sentence in sentences] == [["in", "New", "York"], ["5"], ["x"]]
    assert [spans(sentence) for sentence in sentences] == [[("New York", "LOC")], [], []]


class Series:
    """A column with an index of its own, as pandas has: iteration and `tolist`, but no access by position."""

    ndim = 1

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def tolist(self) -> list[Any]:
        return list(self._values)

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        raise KeyError(index)

    def __bool__(self) -> bool:
        raise ValueError("the truth value of a Series is ambiguous")


@pytest.mark.parametrize("kind", [np.array, Series, list, tuple, lambda values: np.array(values, dtype=object)])
def test_cells_may_be_arrays_or_series(kind: Any) -> None:
    table = Table(words=[kind(["in", "Berlin"]), kind(["no"])], tags=[kind(["O", "B-LOC"]), kind(["O"])])
    first, second = Corpus.from_dataframe(table, text="words", label="tags").train or ()
    assert (first.words, spans(first, "tags"), spans(second, "tags")) == (["in", "Berlin"], [("Berlin", "LOC")], [])
    table = Table(
        text=["in Berlin", "no"], spans=[kind([(3, 9, "LOC")]) if kind is not np.array else [(3, 9, "LOC")], kind([])]
    )
    first, second = Corpus.from_dataframe(table, label="spans").train or ()
    assert (spans(first, "spans"), spans(second, "spans")) == ([("Berlin", "LOC")], [])
    table = Table(text=["a", "b"], label=[kind(["x", "y"]), kind([])])
    values = [sentence.sentence_labels("label") for sentence in Corpus.from_dataframe(table).train or ()]
    assert values == [["x", "y"], []]


def test_class_ids_are_the_same_with_and_without_missing_values() -> None:
    complete, gaps = Table(text=["a", "b"], label=[1, 0]), Table(text=["c", "d"], label=[1.0, float("nan")])
    corpus = Corpus.from_dataframe(complete, gaps)
    values = [sentence.sentence_labels("label") for sentence in corpus.get_all_sentences()]
    assert values == [["1"], ["0"], ["1"], []]


def test_missing_texts_words_and_sentence_ids_are_errors() -> None:
    with pytest.raises(DataFormatError, match=r"the train examples, line 2: .*keep_default_na=False"):
        Corpus.from_dataframe(Table(text=["a", float("nan")], label=["x", "y"]))
    table = Table(id=[1, 1], text=["a", NAType()], label=["X", "Y"])
    with pytest.raises(DataFormatError, match=r"a word is missing.*keep_default_na=False"):
        Corpus.from_dataframe(table, sentence_id="id")
    table = Table(id=["s1", float("nan")], text=["a", "b"], label=["X", "Y"])
    with pytest.raises(
        DataFormatError, match=r"the train table, line 2: no 'id' in this row.*table\['id'\]\.ffill\(\)"
    ):
        Corpus.from_dataframe(table, sentence_id="id")


@pytest.mark.parametrize("table", ["train.csv", 5, [("a", "b")]])
def test_value_that_is_not_a_table_is_an_error(table: Any) -> None:
    with pytest.raises(SettingError, match="must be a DataFrame or a dict of columns"):
        Corpus.from_dataframe(table)
    corpus = Corpus.from_dataframe({"text": ["a"], "label": ["b"]})
    assert [sentence.sentence_labels("label") for sentence in corpus.train or ()] == [["b"]]


def test_missing_column_is_an_error_that_names_the_existing_columns() -> None:
    with pytest.raises(DataFormatError, match="the dev table: no column 'label'; it has text, topic"):
        Corpus.from_dataframe(Table(text=["a"], label=["b"]), Table(text=["a"], topic=["b"]))
    with pytest.raises(DataFormatError, match="are not of one length"):
        Corpus.from_dataframe(Table(text=["a"], label=["b", "c"]))


def test_frame_of_pandas_is_read() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a b", "c"], "topic": ["x", None]})
    first, second = Corpus.from_dataframe(frame, label="topic").train or ()
    assert [first.get_label("topic").value, second.get_labels()] == ["x", []]


# ------------------------------------------------------------------------------------- what users hand over in practice


@pytest.mark.parametrize(
    "example",
    [
        ("in Berlin", "O B-LOC"),
        (["in", "Berlin"], "O B-LOC"),
        ("in Berlin", ["O", "B-LOC"]),
        ({"tokens": "in Berlin", "ner_tags": "O B-LOC"}),
        ("in Berlin", (3, 9, "LOC")),
        (["in", "Berlin"], [1, 2, "LOC"]),
        ("in Berlin", [(3, 9, "LOC"), (3, 9, "LOC")]),
        ("in Berlin", [(3, 9, " LOC ")]),
        {"text": "in Berlin", "entities": [{"id": 1, "label": "LOC", "start_offset": 3, "end_offset": 9}]},
        {"text": "in Berlin", "entities": [{"text": "Berlin", "type": "LOC", "start_char": 3, "end_char": 9}]},
        ("in Berlin", {"entities": [(3, 9, "LOC")], "links": {}}),
    ],
    ids=repr,
)
def test_other_forms_of_one_span_are_read(example: Any) -> None:
    (sentence,) = made(example)
    assert spans(sentence) == [("Berlin", "LOC")]


def test_tags_in_one_string_must_fit_the_words() -> None:
    with pytest.raises(DataFormatError, match="there must be a tag a word, 3, but there are 2"):
        made(("in New York", "O B-LOC"))
    (sentence,) = made(("in New York", "O B-LOC"), labels_of="text")
    assert sentence.sentence_labels("ner") == ["O B-LOC"]
    (sentence,) = made(("in New York", "New York"))
    assert sentence.sentence_labels("ner") == ["New York"]


@pytest.mark.parametrize("label", ["['O', 'B-LOC']", "[(3, 9, 'LOC')]", "{'entities': []}", "['O' 'B-LOC']"])
def test_list_as_text_is_an_error_that_says_how_to_convert_it(label: str) -> None:
    with pytest.raises(DataFormatError, match=r"is a list as text: convert such cells with ast\.literal_eval"):
        Corpus.from_dataframe({"text": ["in Berlin"], "ner": [label]}, label="ner")
    assert made(("a", "[CLS]"))[0].sentence_labels("ner") == ["[CLS]"]


def test_white_space_around_a_label_makes_no_other_label() -> None:
    sentences = made(("a", "PER "), ("b", "\tPER"), ("c", " "), ("d", ["PER", "PER "]))
    assert [sentence.sentence_labels("ner") for sentence in sentences] == [["PER"], ["PER"], [], ["PER"]]
    (sentence,) = made((["New", "York"], ["B-LOC ", "I-LOC"]))
    assert spans(sentence) == [("New York", "LOC")]


@pytest.mark.parametrize(
    "names",
    [["no", "yes"], {0: "no", 1: "yes"}, {"0": "no", "1": "yes"}, {"no": 0, "yes": 1}, iter(["no", "yes"])],
    ids=show,
)
def test_class_names_come_in_a_list_or_a_mapping(names: Any) -> None:
    sentences = made(("a", 1), ("b", True), ("c", 0.0), ("d", "yes"), ("e", -1), label_names=names)
    assert [sentence.sentence_labels("ner") for sentence in sentences] == [["yes"], ["yes"], ["no"], ["yes"], []]


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        (2, "there is no class 2 among the 2 label_names"),
        (0.5, r"there is no class 0\.5"),
        ("2", "'2' is not one of the 2 label_names"),
        (-100, "-100 marks word pieces"),
    ],
)
def test_label_that_is_not_among_the_class_names_is_an_error(label: Any, problem: str) -> None:
    with pytest.raises(DataFormatError, match=problem):
        made(("a", label), label_names=["no", "yes"])


@pytest.mark.parametrize("names", [{"no": 1, "yes": 2}, {0: "no", 2: "yes"}, {"no", "yes"}, 5, b"no", ["no", None]])
def test_class_names_that_leave_a_class_without_a_name_are_an_error(names: Any) -> None:
    with pytest.raises((SettingError, LabelError), match=r"label_names must|a label value must"):
        made(("a", 1), label_names=names)


def test_zero_or_one_for_each_class_gives_the_classes_of_the_ones() -> None:
    names = ["A", "B", "C"]
    for vector in ([0, 1, 1], [0.0, 1.0, 1.0], np.array([0, 1, 1]), [False, True, True]):
        assert made(("a", vector), label_names=names)[0].sentence_labels("ner") == ["B", "C"]
    assert made(("a", [0, 2]), label_names=names)[0].sentence_labels("ner") == ["A", "C"]
    assert made(("a", [1.0, 0.0]), label_names=names[:2])[0].sentence_labels("ner") == ["A"]
    for vector, known in (([0, 1, 1], None), ([0, 1], names[:2]), ([0, 0], names)):
        with pytest.raises(DataFormatError, match="may be class ids, or 0 or 1 for each class"):
            made(("a", vector), label_names=known)


def test_spans_inside_words_are_counted_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    text = "Köln und München, dann Berlin"
    offsets = [(text.encode().index(b"Berlin"), len(text.encode()), "LOC")]  # bytes, not characters
    with pytest.raises(DataFormatError, match="a span must lie within the 29 characters"):
        made((text, offsets))
    made((text + " und Rom", offsets))
    assert "1 spans begin or end inside a word" in caplog.text
    assert "not bytes or UTF-16 units" in caplog.text


def test_iterator_is_read_once(caplog: pytest.LogCaptureFixture) -> None:
    pairs = iter([("a", "x"), ("b", "y")])
    with pytest.raises(SettingError, match="one iterator is given for train and for dev"):
        Corpus.from_examples(pairs, pairs, label_type="x")
    assert [sentence.text for sentence in Corpus.from_examples(pairs, label_type="x").train or ()] == ["a", "b"]
    assert Corpus.from_examples(pairs, label_type="x").train == []
    assert "The train split is empty: it is an iterator, which can be read only once" in caplog.text


def test_array_of_rows_is_read() -> None:
    (sentence,) = Corpus.from_examples(np.array([["a b", "x"]]), label_type="t").train or ()
    assert (sentence.words, sentence.sentence_labels("t")) == (["a", "b"], ["x"])


class Frame:
    """A table two of whose columns have one name, as pandas and a multi-index give it: the result is a table."""

    ndim = 2

    def __getitem__(self, name: str) -> Any:
        return self if name == "label" else ["a", "b"]

    def __iter__(self) -> Any:
        return iter(["label", "label"])


def test_name_of_several_columns_is_an_error() -> None:
    with pytest.raises(DataFormatError, match="'label' names several columns"):
        Corpus.from_dataframe(Frame())
    with pytest.raises(DataFormatError, match="the column 'text' must be a list of values, not 'ab'"):
        Corpus.from_dataframe({"text": "ab", "label": ["x", "y"]})
    with pytest.raises(SettingError, match=r"a list of rows is read by Corpus\.from_examples"):
        Corpus.from_dataframe([{"text": "a", "label": "x"}])
