"""Dictionaries: ids in the order of adding, unknown items, files."""

from __future__ import annotations

import copy
import json
import pickle
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flairlite.data import Dictionary
from flairlite.data.dictionary import UNKNOWN
from flairlite.errors import DataFormatError, LabelError, SettingError

ITEMS = st.lists(st.text(st.characters(exclude_categories=[]), max_size=4) | st.just(UNKNOWN), max_size=8)


@given(ITEMS, st.booleans())
def test_ids_follow_the_order_of_adding(items: list[str], add_unk: bool) -> None:
    dictionary = Dictionary(add_unk=add_unk)
    distinct = list(dict.fromkeys(([UNKNOWN] if add_unk else []) + items))
    assert [dictionary.add_item(item) for item in items] == [distinct.index(item) for item in items]
    assert dictionary.get_items() == distinct
    assert len(dictionary) == len(distinct)
    for index, item in enumerate(distinct):
        assert dictionary.get_item_for_index(index) == item
        assert dictionary.get_idx_for_item(item) == index
        assert dictionary.has_item(item)
    assert dictionary.get_idx_for_items(items) == [distinct.index(item) for item in items]


def test_unknown_items_have_the_id_of_unk() -> None:
    dictionary = Dictionary.from_items(["<unk>", "NOUN"])
    assert dictionary.get_idx_for_item("never seen") == 0
    assert dictionary.get_idx_for_items(["NOUN", "never seen"]) == [1, 0]
    assert not dictionary.has_item("never seen")
    assert len(dictionary) == 2


def test_unknown_item_without_unk_is_an_error_that_lists_the_items() -> None:
    dictionary = Dictionary.from_items(["NOUN", "VERB"])
    message = r"'ADJ' is not in this dictionary; it has NOUN, VERB\. Add it, or make the dictionary with add_unk=True"
    with pytest.raises(LabelError, match=message):
        dictionary.get_idx_for_item("ADJ")
    with pytest.raises(LabelError, match="'ADJ'"):
        dictionary.get_idx_for_items(["NOUN", "ADJ"])


@given(ITEMS, ITEMS, st.booleans())
def test_a_removed_item_leaves_no_gap(items: list[str], removed: list[str], add_unk: bool) -> None:
    dictionary = Dictionary.from_items(items, add_unk=add_unk)
    expected = dictionary.get_items()
    for item in removed:
        dictionary.remove_item(item)
        expected = [other for other in expected if other != item]
    assert dictionary.get_items() == expected
    assert [dictionary.get_idx_for_item(item) for item in expected] == list(range(len(expected)))
    assert dictionary.add_unk == (add_unk and UNKNOWN not in removed)
    assert dictionary.add_item("a new one") == len(expected)


def test_without_unk_unknown_items_are_errors_again() -> None:
    dictionary = Dictionary.from_items(["<unk>", "a", "b"])
    dictionary.remove_item("<unk>")
    with pytest.raises(LabelError):
        dictionary.get_idx_for_item("c")


def test_items_are_taken_by_frequency() -> None:
    counts = Counter("banana and candy")
    assert Dictionary.from_counts(counts, min_count=2).get_items() == ["<unk>", "a", "n", " ", "d"]
    assert Dictionary.from_counts(counts, max_items=1, add_unk=False).get_items() == ["a"]
    assert len(Dictionary.from_counts(counts)) == len(counts) + 1


def test_start_and_stop_tags_are_there_when_they_are_set() -> None:
    dictionary = Dictionary.from_items(["NOUN"])
    assert not dictionary.start_stop_tags_are_set()
    dictionary.set_start_stop_tags()
    assert dictionary.start_stop_tags_are_set()
    assert dictionary.get_items() == ["NOUN", "<START>", "<STOP>"]


@pytest.mark.parametrize(
    ("items", "expected"),
    [(["O", "B-PER"], True), (["S-X"], True), (["I-X"], True), (["NOUN", "B", "E-X"], False), ([], False)],
)
def test_tags_of_spans_are_distinguished_from_other_labels(items: list[str], expected: bool) -> None:
    dictionary = Dictionary.from_items(items)
    assert dictionary.is_span_prediction_problem() is expected
    dictionary.span_labels = True
    assert dictionary.is_span_prediction_problem()


def test_missing_items_are_index_errors_too() -> None:
    with pytest.raises(IndexError):
        Dictionary(add_unk=False).get_idx_for_item("a")
    with pytest.raises(IndexError):
        Dictionary(add_unk=False).get_item_for_index(0)


def test_a_dictionary_is_loaded_by_name_or_file(tmp_path: Path) -> None:
    characters = Dictionary.load("common-chars")
    assert characters == Dictionary.load("chars")
    assert characters.get_idx_for_items("aß€я\u4e16")[-1] == 0
    assert 0 not in characters.get_idx_for_items("aß€я")
    characters.save(tmp_path / "own")
    assert Dictionary.load(tmp_path / "own") == characters
    with pytest.raises(SettingError, match=r"not 'chars-xl': make one of your texts"):
        Dictionary.load("chars-xl")
    with pytest.raises(DataFormatError, match="No such file"):
        Dictionary.load("no such name")


def test_looking_up_takes_the_same_time_in_a_large_dictionary() -> None:
    """Count the comparisons, not the seconds."""

    class Word(str):
        comparisons = 0

        def __eq__(self, other: object) -> bool:
            Word.comparisons += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    dictionary = Dictionary.from_items(map(str, range(10_000)))
    assert dictionary.get_idx_for_item(Word("9999")) == dictionary.add_item(Word("9999")) == 9999
    assert dictionary.has_item(Word("5000"))
    assert Word.comparisons < 10


@pytest.mark.parametrize("index", [-1, 2, 99])
def test_unknown_id_is_an_error(index: int) -> None:
    with pytest.raises(LabelError, match=f"no item has the id {index}: this dictionary has 2 items"):
        Dictionary.from_items(["a", "b"]).get_item_for_index(index)


def test_list_of_items_cannot_be_changed_from_outside() -> None:
    dictionary = Dictionary.from_items(["a"])
    dictionary.get_items().append("b")
    assert dictionary.get_items() == ["a"]


@pytest.mark.parametrize(
    ("items", "add_unk", "expected"),
    [
        (["a"], None, ["a"]),
        (["<unk>", "a"], None, ["<unk>", "a"]),
        (["a"], True, ["<unk>", "a"]),
        (["a", "a", "b"], False, ["a", "b"]),
    ],
)
def test_dictionary_of_items_has_unk_on_request_or_if_it_is_among_them(
    items: list[str], add_unk: bool | None, expected: list[str]
) -> None:
    dictionary = Dictionary.from_items(items, add_unk=add_unk)
    assert dictionary.get_items() == expected
    assert dictionary.add_unk == ("<unk>" in expected)


def test_dictionary_is_printed_with_its_items() -> None:
    assert str(Dictionary.from_items(["NOUN", "PUNCT"], add_unk=True)) == "Dictionary with 3 tags: <unk>, NOUN, PUNCT"
    assert repr(Dictionary(add_unk=False)) == "Dictionary with 0 tags: "
    many = Dictionary.from_items([f"t{index}" for index in range(52)])
    assert str(many).startswith("Dictionary with 52 tags: t0, t1, ")
    assert str(many).endswith(", t49, and 2 more")


def test_dictionaries_are_equal_when_items_and_order_are() -> None:
    assert Dictionary.from_items(["a", "b"]) == Dictionary.from_items(["a", "b"])
    assert Dictionary.from_items(["a", "b"]) != Dictionary.from_items(["b", "a"])
    assert Dictionary.from_items(["<unk>"], add_unk=False) != Dictionary.from_items(["<unk>"])
    assert Dictionary() != ["<unk>"]
    with pytest.raises(TypeError, match="unhashable"):
        hash(Dictionary())


@given(items=ITEMS, add_unk=st.booleans(), flags=st.tuples(st.booleans(), st.booleans()))
def test_saved_dictionary_is_loaded_unchanged(
    tmp_path: Path, items: list[str], add_unk: bool, flags: tuple[bool, bool]
) -> None:
    dictionary = Dictionary.from_items(items, add_unk=add_unk)
    dictionary.multi_label, dictionary.span_labels = flags
    dictionary.save(tmp_path / "tags.json")
    for twin in (
        Dictionary.load_from_file(str(tmp_path / "tags.json")),
        copy.deepcopy(dictionary),
        pickle.loads(pickle.dumps(dictionary)),
    ):
        assert twin == dictionary
        assert (twin.multi_label, twin.span_labels) == flags
        assert twin.get_idx_for_items(items) == dictionary.get_idx_for_items(items)


GOOD = {"items": ["a"], "add_unk": False, "multi_label": False, "span_labels": False}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"[1, 2]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        json.dumps(GOOD).encode()[:-5],
        *(json.dumps({key: value for key, value in GOOD.items() if key != left_out}).encode() for left_out in GOOD),
        *(json.dumps({**GOOD, "items": items}).encode() for items in (None, 1, "abc", [1], [["a"]], {"a": 0})),
    ],
)
def test_file_that_is_not_a_dictionary_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tags.json").write_bytes(content)
    with pytest.raises(DataFormatError, match=r"tags\.json: no dictionary.*Save one with Dictionary\.save"):
        Dictionary.load_from_file(tmp_path / "tags.json")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"none\.json: no dictionary.*No such file"):
        Dictionary.load_from_file(tmp_path / "none.json")
