"""Which labels, scores, texts, words and dictionary items are accepted, and as what they are stored."""

from __future__ import annotations

import copy
import enum
import json
import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parameter_ids import show

from flairlite.data import Corpus, DataPoint, Dictionary, FlairDataset, Label, MultiCorpus, Sentence, Span, Token
from flairlite.errors import DataFormatError, FlairliteError, LabelError, SettingError


class StringTag(str, enum.Enum):
    """An enumeration whose members are strings."""

    NOUN = "noun"


class PlainTag(enum.Enum):
    """An enumeration whose members are not strings, but whose values are."""

    NOUN = "noun"


class NumberedTag(enum.IntEnum):
    """An enumeration of numbers, whose text would be that of its name or of its value, depending on the Python."""

    NOUN = 1


ACCEPTED = [
    ("noun", "noun"),
    (np.str_("noun"), "noun"),
    (StringTag.NOUN, "noun"),
    (PlainTag.NOUN, "noun"),
    (1, "1"),
    (0, "0"),
    (np.int64(3), "3"),
    (np.uint8(3), "3"),
    (2.5, "2.5"),
    (np.float32(0.1), "0.1"),
    (True, "True"),
    (np.bool_(False), "False"),
    (Fraction(1, 3), "1/3"),
    (" a\tb\n", " a\tb\n"),
    ("é\ufeff", "é\ufeff"),
]
REFUSED = [
    None,
    "",
    np.str_(""),
    math.nan,
    math.inf,
    np.nan,
    NumberedTag.NOUN,
    b"noun",
    ["noun"],
    {"noun"},
    Path("noun"),
]
REFUSED += [("noun",), object(), np.array(["noun"]), np.array("noun"), 1 + 2j, torch.tensor(1)]

SETTERS: dict[str, Callable[[DataPoint, Any], object]] = {
    "add_label": lambda point, value: point.add_label("x", value),
    "set_label": lambda point, value: point.set_label("x", value),
    "set_value": lambda point, value: point.add_label("x", "old").get_label("x").set_value(value),
}
POINTS: dict[str, Callable[[Sentence], DataPoint]] = {
    "sentence": lambda sentence: sentence,
    "token": lambda sentence: sentence[1],
    "span": lambda sentence: sentence[0:2],
}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("setter", SETTERS)
@pytest.mark.parametrize(("value", "text"), ACCEPTED, ids=repr)
def test_label_value_is_stored_as_its_text_and_keeps_it(setter: str, point: str, value: Any, text: str) -> None:
    sentence = Sentence(["in", "Berlin"])
    SETTERS[setter](POINTS[point](sentence), value)
    twins = [
        sentence,
        Sentence.from_dict(json.loads(json.dumps(sentence.to_dict()))),
        pickle.loads(pickle.dumps(sentence)),
        copy.deepcopy(sentence),
        copy.copy(sentence),
    ]
    for twin in twins:
        stored = POINTS[point](twin).get_label("x").value
        assert (stored, type(stored)) == (text, str)
    assert Corpus([sentence]).make_label_dictionary("x", add_unk=False).get_items() == [text]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("setter", SETTERS)
@pytest.mark.parametrize("value", REFUSED, ids=show)
def test_value_that_is_no_label_is_an_error_and_changes_nothing(setter: str, point: str, value: Any) -> None:
    sentence = Sentence(["in", "Berlin"])
    POINTS[point](sentence).set_label("x", "old", 0.5)
    with pytest.raises(LabelError, match="a label value must be a string that is not empty"):
        SETTERS[setter](POINTS[point](sentence), value)
    first = POINTS[point](sentence).get_label("x")
    assert (first.value, first.score) == ("old", 0.5)


@pytest.mark.parametrize("value", [value for value in REFUSED if value is not None], ids=show)
def test_lists_of_labels_are_checked_too(value: Any) -> None:
    sentence = Sentence(["in", "Berlin"])
    for call in (
        lambda: sentence.set_token_labels("x", ["a", value]),
        lambda: sentence.set_sentence_labels("x", [value]),
        lambda: sentence.set_span_labels("x", [(0, 1, value)]),
        lambda: Label(sentence, value),
    ):
        with pytest.raises(LabelError):
            call()
    assert sentence.get_labels() == []


def test_lists_of_labels_may_be_arrays() -> None:
    sentence = Sentence(["in", "Berlin"])
    sentence.set_token_labels("x", np.array(["A", "B"]), np.array([0.5, 0.25], dtype=np.float32))  # type: ignore[arg-type]
    assert sentence.token_labels("x") == ["A", "B"]
    assert {type(value) for value in sentence.token_labels("x") or ()} == {str}
    assert json.loads(json.dumps(sentence.to_dict()))["tokens"][1]["labels"][0]["score"] == 0.25
    assert sentence.set_token_labels("x", (StringTag.NOUN, None)).token_labels("x") == ["noun", None]  # type: ignore[arg-type]
    assert sentence.set_span_labels("y", [(np.int64(0), np.int64(2), "A")]).span_labels("y") == [(0, 2, "A")]  # type: ignore[list-item]
    with pytest.raises(LabelError, match="not the single value 'AB'"):
        sentence.set_token_labels("x", "AB")
    with pytest.raises(LabelError, match="not the single value 'AB'"):
        sentence.set_sentence_labels("x", "AB")
    with pytest.raises(SettingError, match=r"spans must be a list of \(start, end, value\)"):
        sentence.set_span_labels("x", ["AB"])  # type: ignore[list-item]


@pytest.mark.parametrize("label_type", ["", None, 5, b"x", ["x"], math.nan, NumberedTag.NOUN], ids=repr)
def test_label_type_that_is_no_name_is_an_error(label_type: Any) -> None:
    sentence = Sentence(["a"])
    calls = [
        lambda: sentence.add_label(label_type, "A"),
        lambda: sentence[0].set_label(label_type, "A"),
        lambda: sentence.set_token_labels(label_type, ["A"]),
        lambda: sentence.set_sentence_labels(label_type, ["A"]),
        lambda: Corpus.from_examples([("a", "A")], label_type=label_type),
        lambda: Corpus([sentence]).make_label_dictionary(label_type),
    ]
    for call in calls:
        with pytest.raises(SettingError, match="a label type must be a string that is not empty"):
            call()
    assert sentence.get_labels() == []


@pytest.mark.parametrize(
    "label_type", ["a b", "=", "|", "\t", "\n", "/", "é", "\ufeff", "__label__", "a.b", "0", "text"]
)
def test_label_type_with_odd_characters_is_kept(label_type: str) -> None:
    sentence = Sentence(["in", "Berlin"]).add_label(label_type, "A")
    sentence[0].add_label(label_type, "B")
    sentence[0:2].add_label(label_type, "C")
    for twin in (Sentence.from_dict(json.loads(json.dumps(sentence.to_dict()))), pickle.loads(pickle.dumps(sentence))):
        assert [label.value for label in twin.get_labels(label_type)] == ["A", "B", "C"]
        assert twin.label_types() == [label_type]


@pytest.mark.parametrize("score", [-0.1, 1.5, math.nan, math.inf, "0.5", None, True, b"1", [1.0]], ids=repr)
def test_score_that_is_no_probability_is_an_error(score: Any) -> None:
    sentence = Sentence(["a"]).set_token_labels("x", ["old"])
    calls = [
        lambda: sentence.add_label("x", "A", score),
        lambda: sentence[0].set_label("x", "A", score),
        lambda: sentence[0].get_label("x").set_value("A", score),
        lambda: sentence.set_token_labels("x", ["A"], [score]),
        lambda: sentence.set_sentence_labels("x", ["A"], [score]),
        lambda: Label(sentence, "A", score),
    ]
    for call in calls:
        with pytest.raises(LabelError, match="the score of a label must be a number between 0 and 1"):
            call()
    assert [(label.value, label.score) for label in sentence.get_labels("x")] == [("old", 1.0)]


@pytest.mark.parametrize("score", [0, 1, np.float32(0.5), np.float64(0.25), np.int64(1), torch.tensor(0.5), 1 + 1e-7])
def test_score_is_a_float(score: Any) -> None:
    sentence = Sentence(["a"]).set_token_labels("x", ["A"], [score]).add_label("y", "B", score)
    assert [type(label.score) for label in sentence.get_labels()] == [float, float]
    assert [label.score for label in sentence.get_labels()] == [float(score)] * 2


# ---------------------------------------------------------------------------------------------------- texts and words


class Table:
    """What a data frame has: two dimensions, and iteration over the names of its columns."""

    ndim = 2

    def __iter__(self) -> Any:
        return iter(["text", "label"])


@pytest.mark.parametrize(
    "text",
    [
        *(b"in Berlin", bytearray(b"x"), None, 5, 1.5, math.nan, True, {"text": "x"}, {"a", "b"}, Path("x"), Table()),
        *(object(), np.array("x"), np.array([["a"]]), 5j),
    ],
    ids=lambda text: type(text).__name__,
)
def test_sentence_of_neither_text_nor_words_is_an_error(text: Any) -> None:
    with pytest.raises(SettingError, match="a sentence is made of a text or a list of words, not of"):
        Sentence(text)


@pytest.mark.parametrize("word", [None, 5, b"a", math.nan, ["a"], ("a",), {"a": 1}, np.array(["a"]), NumberedTag.NOUN])
def test_word_that_is_no_string_is_an_error(word: Any) -> None:
    with pytest.raises(SettingError, match="word 1 of a sentence must be a string, not"):
        Sentence(["in", word])
    with pytest.raises(SettingError):
        Token(word)


@pytest.mark.parametrize(
    "given",
    [
        np.array(["in", "Berlin"]),
        np.array(["in", "Berlin"], dtype=object),
        (word for word in ("in", "Berlin")),
        ("in", "Berlin"),
        [np.str_("in"), "Berlin"],
    ],
    ids=lambda given: type(given).__name__,
)
def test_words_are_plain_strings_whatever_they_come_in(given: Any) -> None:
    sentence = Sentence(given)
    assert sentence.words == ["in", "Berlin"]
    assert {type(word) for word in sentence.words} == {str}
    assert json.loads(json.dumps(sentence.to_dict()))["text"] == "in Berlin"


def test_text_of_numpy_or_an_enumeration_is_a_plain_string() -> None:
    for text in (np.str_("noun"), StringTag.NOUN, PlainTag.NOUN):
        sentence = Sentence(text)  # type: ignore[arg-type]
        assert (sentence.text, type(sentence.text), sentence.words) == ("noun", str, ["noun"])


@pytest.mark.parametrize(
    "call",
    [
        lambda: Token("a", head_id="2"),
        lambda: Token("a", head_id=-1),
        lambda: Token("a", head_id=1.0),
        lambda: Token("a", whitespace_after="1"),
        lambda: Token("a", whitespace_after=None),
        lambda: Token("a", start_position="1"),
        lambda: Sentence("a", start_position=1.5),
        lambda: Sentence(["a"], spaces="1"),
        lambda: Sentence(["a"], spaces=[0.5]),
        lambda: Sentence(["a"], spaces=["1"]),
        lambda: Sentence("a", use_tokenizer=str.split),
        lambda: Sentence("a").retokenize(str.split),
        lambda: setattr(Sentence("a b"), "tokenizer", "segtok"),
        lambda: Sentence("a").truncate("1"),
        lambda: Sentence("a").truncate(1.5),
        lambda: Span("ab"),
        lambda: Span([]),
        lambda: Span(None),
        lambda: Span(["a"]),
        lambda: Sentence("a b").get_span(0, 3),
        lambda: Sentence("a b").get_span(-1, 1),
        lambda: Sentence("a b").get_span("0", 1),
        lambda: Sentence("a")[0].add_tags_proba_dist("x", ["A"]),
        lambda: Sentence("a")[0].add_tags_proba_dist("x", "A"),
    ],
)
def test_slips_in_arguments_are_errors_that_say_what_is_wrong(call: Callable[[], object]) -> None:
    with pytest.raises(SettingError):
        call()


# ------------------------------------------------------------------------------------------------------------- corpora


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("train.txt", "Files are read by ColumnCorpus"),
        (Path("train.txt"), "must be a list of sentences"),
        (b"x", "must be a list of sentences"),
        (5, "must be a list of sentences"),
        (Sentence("a"), "must be a list of sentences"),
        ({"a": 1}, "must be a list of sentences"),
        (["a text"], "element 0 is 'a text'"),
        ([Sentence("a"), None], "element 1 is None"),
        ((Sentence("a"), "b"), "element 1 is 'b'"),
        ([[Sentence("a")]], "element 0 is"),
    ],
)
def test_split_that_is_no_list_of_sentences_is_an_error(train: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Corpus(train)
    with pytest.raises(SettingError, match=message):
        Corpus([Sentence("a")], dev=train)


def test_split_may_be_a_generator_or_tuple() -> None:
    sentences = [Sentence("a"), Sentence("b")]
    assert list(Corpus(iter(sentences)).train or ()) == sentences  # type: ignore[arg-type]
    assert len(Corpus(tuple(sentences)).downsample(0.5).train or ()) == 1


@pytest.mark.parametrize("corpora", [[], None, Corpus(), ["a"], [[Sentence("a")]], "ab"])
def test_multi_corpus_of_no_corpora_is_an_error(corpora: Any) -> None:
    with pytest.raises(SettingError, match="a MultiCorpus is made of a list of corpora"):
        MultiCorpus(corpora)


def test_dataset_that_returns_no_sentences_is_an_error_that_names_it() -> None:
    class Texts(FlairDataset):
        def sentence_at(self, index: int) -> Any:
            return "a text"

        def __len__(self) -> int:
            return 2

    for read in (lambda: Texts()[0], lambda: Texts()[:2], lambda: list(Texts())):
        with pytest.raises(SettingError, match=r"Texts\.sentence_at must return a Sentence, not 'a text'"):
            read()


def test_dataset_without_access_is_an_error_that_names_it() -> None:
    class Half(FlairDataset):
        def __len__(self) -> int:
            return 1

    with pytest.raises(NotImplementedError, match="Half has neither sentence_at nor __getitem__"):
        Half()[0]


@pytest.mark.parametrize("limit", ["10", None, -1, 2.5, True])
def test_limit_of_a_filter_is_a_count(limit: Any) -> None:
    with pytest.raises(SettingError, match="max_charlength must be an integer of 0 or more"):
        Corpus([Sentence("a")]).filter_long_sentences(limit)


# -------------------------------------------------------------------------------------------------------- dictionaries


@pytest.mark.parametrize("item", [None, 5, b"x", 1.5, ["x"], NumberedTag.NOUN])
def test_item_that_is_no_string_is_an_error(item: Any) -> None:
    dictionary = Dictionary()
    for call in (
        lambda: dictionary.add_item(item),
        lambda: dictionary.get_idx_for_item(item),
        lambda: dictionary.get_idx_for_items([item]),
        lambda: Dictionary.from_items([item]),
    ):
        with pytest.raises(SettingError, match="an item of a dictionary must be a string"):
            call()
    assert dictionary.get_items() == ["<unk>"]


@pytest.mark.parametrize("items", ["NOUN", b"NOUN", None, 5])
def test_items_are_a_list(items: Any) -> None:
    with pytest.raises(SettingError, match="items must be a list of strings"):
        Dictionary.from_items(items)


def test_items_of_numpy_and_enumerations_are_plain_strings() -> None:
    dictionary = Dictionary.from_items([np.str_("a"), StringTag.NOUN, PlainTag.NOUN])  # type: ignore[list-item]
    assert dictionary.get_items() == ["a", "noun"]
    assert {type(item) for item in dictionary.get_items()} == {str}
    assert dictionary.get_idx_for_item(np.str_("a")) == 0
    assert dictionary.get_item_for_index(np.int64(1)) == "noun"  # type: ignore[arg-type]
    for index in ("1", None, 0.5):
        with pytest.raises(LabelError, match="no item has the id"):
            dictionary.get_item_for_index(index)  # type: ignore[arg-type]


def test_dictionary_of_odd_items_comes_back_from_its_file(tmp_path: Path) -> None:
    items = ["<unk>", "a\nb", "a\tb", "\ufeff", "a\r\nb", "\r", "", " ", "\u2028", "é", "\\n", '"', "\x00"]
    dictionary = Dictionary.from_items(items)
    dictionary.save(tmp_path / "tags")
    assert Dictionary.load(tmp_path / "tags").get_items() == items
    text = (tmp_path / "tags").read_bytes()
    for changed in (b"\xef\xbb\xbf" + text, text.replace(b"\n", b"\r\n"), text.rstrip(b"\n")):
        (tmp_path / "changed").write_bytes(changed)
        assert Dictionary.load(tmp_path / "changed").get_items() == items


@pytest.mark.parametrize(
    "content",
    [
        {"items": ["a", "a"], "add_unk": False, "multi_label": False, "span_labels": False},
        {"items": ["a", "<unk>"], "add_unk": True, "multi_label": False, "span_labels": False},
        {"items": ["a"], "add_unk": "no", "multi_label": False, "span_labels": False},
        {"items": ["a"], "add_unk": False, "multi_label": 1, "span_labels": False},
    ],
)
def test_dictionary_whose_ids_would_shift_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "tags").write_text(json.dumps(content))
    with pytest.raises(DataFormatError, match=r"Save one with Dictionary\.save"):
        Dictionary.load_from_file(tmp_path / "tags")


@pytest.mark.parametrize("path", [None, 5, b"x", ["x"]])
def test_path_of_a_dictionary_is_a_path(path: Any) -> None:
    for call in (lambda: Dictionary().save(path), lambda: Dictionary.load_from_file(path)):
        with pytest.raises(SettingError, match="a dictionary needs the path of a file"):
            call()
    with pytest.raises(FlairliteError):
        Dictionary.load(path)


def test_unreadable_file_is_not_blamed_on_its_form(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="Check the path and its permissions"):
        Dictionary.load_from_file(tmp_path)  # a folder
