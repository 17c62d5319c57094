"""A corpus is made of pairs of Python values, or of tables, without loss; a pair that is none is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flairlite.data import Corpus, Sentence
from flairlite.data.serialization import label_characters
from flairlite.data.tag_schemes import SCHEMES, tags_of
from flairlite.errors import DataFormatError, LabelError


class Table:
    """What `from_dataframe` needs of a table: columns by name, as pandas has them."""

    def __init__(self, **columns: list[Any]) -> None:
        self._columns = columns

    @property
    def columns(self) -> list[str]:
        return list(self._columns)

    def __getitem__(self, name: str) -> list[Any]:
        return self._columns[name]


class NAType:
    """Compares as pandas' NA does: the answer is neither true nor false."""

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


def test_whether_tags_are_spans_is_decided_for_all_splits_at_once() -> None:
    corpus = Corpus.from_examples([(["a"], ["O"])], [(["b"], ["O"])], [(["c"], ["B-X"])], label_type="ner")
    assert [sentence.token_labels("ner") for sentence in corpus.get_all_sentences()] == [None] * 3
    corpus = Corpus.from_examples([(["a"], ["O"])], [(["b"], ["O"])], [(["c"], ["X"])], label_type="ner")
    assert [sentence.token_labels("ner") for sentence in corpus.get_all_sentences()] == [["O"], ["O"], ["X"]]


@given(st.lists(st.lists(st.tuples(st.text(), st.sampled_from(["A", "B"]) | st.none()), max_size=5), max_size=5))
def test_what_is_given_is_what_the_sentences_have(given_pairs: list[list[tuple[str, str | None]]]) -> None:
    pairs = [([word for word, _ in pair], [tag for _, tag in pair]) for pair in given_pairs]
    sentences = made(*pairs, label_type="pos")
    columns = [sentence.token_labels("pos") or [None] * len(sentence) for sentence in sentences]
    assert [(sentence.words, column) for sentence, column in zip(sentences, columns, strict=True)] == pairs


# ------------------------------------------------------------------------------------------------------ texts and spans


def test_spans_from_character_to_character_are_put_on_words() -> None:
    text = "George Washington went to Washington."
    (sentence,) = made((text, [(0, 17, "PER"), (26, 36, "LOC")]))
    assert spans(sentence) == [("George Washington", "PER"), ("Washington", "LOC")]
    assert sentence.text == text


def test_spans_from_word_to_word_are_put_on_words() -> None:
    (sentence,) = made((["New", "York", "is", "big"], [(0, 2, "LOC")]))
    assert spans(sentence) == [("New York", "LOC")]


@given(st.text("ab ,.\t", min_size=1, max_size=30), st.data())
def test_each_word_that_a_stretch_covers_is_labelled_and_no_other(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    sentence = Sentence(text)
    covered = [
        token.idx
        for token in sentence
        if any(start <= place < end for place in range(token.start_position, token.end_position))
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


def test_labels_of_the_whole_are_one_or_several_or_none() -> None:
    sentences = made(
        ("good", "pos"), ("so", ["pos", "neg"]), ("empty", []), ("none", None), ("number", 3), label_type="x"
    )
    assert [[label.value for label in sentence.get_labels("x")] for sentence in sentences] == [
        ["pos"], ["pos", "neg"], [], [], ["3"],
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
        (("text", [(1, "X")]), "not enough values to unpack"),
        ((["a"], [(0, 2, "X")]), "a span must lie within 1 words, not from 0 to 2"),
        ("text", "it must be a pair"),
        (("a", "b", "c"), "it must be a pair"),
    ],
)
def test_pair_that_is_none_is_an_error_with_its_split_and_number(pair: Any, problem: str) -> None:
    with pytest.raises(DataFormatError, match=f"the dev examples, line 2: {problem}.*A pair is"):
        Corpus.from_examples([], [("fine", "X"), pair], label_type="ner")


def test_a_value_that_is_no_tag_among_tags_is_an_error() -> None:
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


def test_column_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(DataFormatError, match="the dev table: no column 'label'; it has text, topic"):
        Corpus.from_dataframe(Table(text=["a"], label=["b"]), Table(text=["a"], topic=["b"]))
    with pytest.raises(DataFormatError, match="are not of one length"):
        Corpus.from_dataframe(Table(text=["a"], label=["b", "c"]))


def test_frame_of_pandas_is_read() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a b", "c"], "topic": ["x", None]})
    first, second = Corpus.from_dataframe(frame, label="topic").train or ()
    assert [first.get_label("topic").value, second.get_labels()] == ["x", []]
