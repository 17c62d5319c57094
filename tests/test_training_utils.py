"""The utilities of `flairlite.training_utils`."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flairlite.data import Dictionary, Sentence
from flairlite.errors import FileWriteError, LabelError, SettingError
from flairlite.training_utils import (
    CharEntity,
    TokenEntity,
    add_file_handler,
    convert_labels_to_one_hot,
    create_labeled_sentence_from_entity_offsets,
    create_labeled_sentence_from_tokens,
    identify_dynamic_embeddings,
    init_output_file,
    log_line,
    store_embeddings,
)


def spans_of(sentence: Sentence) -> list[tuple[str, str]]:
    return [(span.text, span.get_label("ner").value) for span in sentence.get_spans("ner")]


def test_one_hot_rows_follow_the_order_of_the_dictionary():
    dictionary = Dictionary(add_unk=False)
    for item in ("a", "b", "c"):
        dictionary.add_item(item)
    assert convert_labels_to_one_hot([["c", "a"], [], ["b"]], dictionary) == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_one_hot_ignores_unknown_labels():
    assert convert_labels_to_one_hot([["b", "z"]], Dictionary.from_items(["a", "b"])) == [[0, 1]]


@pytest.mark.parametrize("labels", [5, None, b"a"])
def test_one_hot_of_what_is_no_collection_is_an_error(labels):
    with pytest.raises(SettingError, match="a list of labels for each data point"):
        convert_labels_to_one_hot([["a"], labels], Dictionary.from_items(["a"]))


@pytest.mark.parametrize("tokens", ["in Berlin", b"in", None, 5])
def test_tokens_must_be_a_list(tokens):
    with pytest.raises(SettingError, match="tokens must be a list of words or tokens"):
        create_labeled_sentence_from_tokens(tokens, [])


@pytest.mark.parametrize("data_points", [["a"], "a", None, [Sentence("a"), 5]])
def test_vectors_are_stored_on_data_points_only(data_points):
    with pytest.raises(SettingError, match="data_points must be sentences, spans or tokens"):
        store_embeddings(data_points, "cpu")


def test_files_that_cannot_be_written_are_named(tmp_path):
    log = logging.getLogger("tests.unwritable")
    (tmp_path / "folder").mkdir()
    for write in (lambda path: init_output_file(tmp_path, path), lambda path: add_file_handler(log, tmp_path / path)):
        with pytest.raises(FileWriteError, match="it is a folder"):
            write("folder")
    for write in (
        lambda: init_output_file(None, "a"),
        lambda: init_output_file(tmp_path, 5),
        lambda: add_file_handler(log, 5),
    ):
        with pytest.raises(SettingError, match=r"must be the path of a (file|folder)"):
            write()
    assert not log.handlers


def test_one_hot_of_a_string_is_an_error():
    dictionary = Dictionary.from_items(["class-1", "class-10"])
    with pytest.raises(SettingError, match="one is 'class-10'"):
        convert_labels_to_one_hot(["class-10"], dictionary)  # "class-1" in "class-10" is true


def test_character_ranges_become_spans():
    text = "Led a team. We've built   state-of-the-art engines."
    entities = [CharEntity(0, 10, "DUTY", "Led a team"), CharEntity(12, 51, "RESULT", "")]
    sentence = create_labeled_sentence_from_entity_offsets(text, entities)
    assert sentence.text == text
    assert spans_of(sentence) == [("Led a team", "DUTY"), (text[12:51], "RESULT")]


def test_score_of_a_character_range_is_kept():
    sentence = create_labeled_sentence_from_entity_offsets("in Berlin", [CharEntity(3, 9, "LOC", "Berlin", 0.25)])
    assert [span.get_label("ner").score for span in sentence.get_spans("ner")] == [0.25]


def test_whitespace_around_a_character_range_is_ignored():
    sentence = create_labeled_sentence_from_entity_offsets("in Berlin  now", [CharEntity(2, 11, "LOC", "")])
    assert spans_of(sentence) == [("Berlin", "LOC")]


def test_partly_covered_word_belongs_to_the_span():
    sentence = create_labeled_sentence_from_entity_offsets("in Berlin now", [CharEntity(4, 6, "LOC", "")])
    assert spans_of(sentence) == [("Berlin", "LOC")]


def test_token_limit_drops_later_words_and_entities():
    entities = [CharEntity(0, 3, "A", "One"), CharEntity(4, 13, "B", "two three"), CharEntity(14, 18, "C", "four")]
    sentence = create_labeled_sentence_from_entity_offsets("One two three four", entities, token_limit=2)
    assert sentence.text == "One two"
    assert spans_of(sentence) == [("One", "A")]


@pytest.mark.parametrize(
    ("limit", "expected"), [(0, []), (1, ["One"]), (3, ["One", "two", "three"]), (9, ["One", "two", "three"])]
)
def test_token_limit_keeps_that_many_words(limit, expected):
    assert create_labeled_sentence_from_entity_offsets("One two three", [], token_limit=limit).words == expected


@pytest.mark.parametrize("limit", [-1, float("nan"), "2", None])
def test_invalid_token_limit_is_an_error(limit):
    with pytest.raises(SettingError, match="token_limit must be a number of at least 0"):
        create_labeled_sentence_from_entity_offsets("One two three", [], token_limit=limit)


@pytest.mark.parametrize(("start", "end"), [(4, 99), (-1, 3), (3, 3), (5, 2), (0.5, 3), (None, 3), ("0", "3")])
@pytest.mark.parametrize("limit", [1, 100])
def test_range_outside_the_text_is_an_error(start: Any, end: Any, limit):
    with pytest.raises(LabelError, match="13 characters"):
        create_labeled_sentence_from_entity_offsets("One two three", [CharEntity(start, end, "A", "")], limit)


@pytest.mark.parametrize(("start", "end"), [(2, 9), (-1, 3), (1, 1), (2, 1), (0.5, 3), (None, 3)])
def test_range_outside_the_tokens_is_an_error(start: Any, end: Any):
    with pytest.raises(LabelError, match="3 tokens"):
        create_labeled_sentence_from_tokens(["One", "two", "three"], [TokenEntity(start, end, "A")])


def test_range_of_blanks_is_an_error():
    with pytest.raises(LabelError, match="covers no word"):
        create_labeled_sentence_from_entity_offsets("One   two", [CharEntity(3, 5, "A", "")])


def test_ranges_may_be_numpy_integers_and_plain_tuples():
    start, end = np.int64(3), np.int32(9)
    sentence = create_labeled_sentence_from_entity_offsets("in Berlin", [(start, end, "LOC", "Berlin")])
    assert spans_of(sentence) == [("Berlin", "LOC")]
    sentence = create_labeled_sentence_from_tokens(["in", "Berlin"], [(1, np.int64(2), "LOC")])
    assert spans_of(sentence) == [("Berlin", "LOC")]


@pytest.mark.parametrize("entity", [(3, 9), TokenEntity(0, 1, "LOC"), {"start_char_idx": 3}, "LOC", None])
def test_other_objects_are_not_character_ranges(entity: Any):
    with pytest.raises(SettingError, match=r"an entity must be a CharEntity\(start_char_idx, "):
        create_labeled_sentence_from_entity_offsets("in Berlin", [entity])


@pytest.mark.parametrize("text", [["in", "Berlin"], None, b"in Berlin"])
def test_text_must_be_a_string(text: Any):
    with pytest.raises(SettingError, match="text must be a string"):
        create_labeled_sentence_from_entity_offsets(text, [])


def test_empty_text_is_an_empty_sentence():
    assert len(create_labeled_sentence_from_entity_offsets("", [])) == 0


@given(st.lists(st.sampled_from(["New", "York", "is", "far", "."]), min_size=1, max_size=12), st.data())
def test_token_ranges_become_spans(words, data):
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    sentence = create_labeled_sentence_from_tokens(words, [TokenEntity(start, end, "LOC", score=0.5)])
    (span,) = sentence.get_spans("ner")
    assert [token.text for token in span] == words[start:end]
    assert span.get_label("ner").score == 0.5


def test_tokens_of_another_sentence_are_copied():
    other = Sentence("Berlin is far")
    sentence = create_labeled_sentence_from_tokens(list(other), [TokenEntity(0, 1, "LOC")], type_name="place")
    assert [span.text for span in sentence.get_spans("place")] == ["Berlin"]
    assert other.get_spans("place") == []


def embedded_sentences() -> tuple[Sentence, Sentence]:
    first, second = Sentence("Berlin is far"), Sentence("Yes")
    first.set_token_embeddings("fixed", torch.zeros(3, 2))
    first.set_token_embeddings("learned", torch.zeros(3, 2, requires_grad=True))
    second.set_token_embeddings("fixed", torch.zeros(1, 2))
    return first, second


def test_dynamic_embeddings_require_gradients():
    assert identify_dynamic_embeddings(embedded_sentences()) == ["learned"]
    assert identify_dynamic_embeddings(embedded_sentences()[1:]) == []


def test_dynamic_embeddings_are_found_on_sentences_spans_and_tokens():
    sentence = Sentence("Berlin is far")
    sentence.set_embedding("document", torch.zeros(2, requires_grad=True))
    sentence[0].set_embedding("first", torch.zeros(2, requires_grad=True))
    sentence[1].set_embedding("second", torch.zeros(2))
    assert set(identify_dynamic_embeddings([sentence]) or ()) == {"document", "first"}
    assert identify_dynamic_embeddings([sentence[0:2]]) == ["first"]
    assert identify_dynamic_embeddings([sentence[1]]) == []
    assert identify_dynamic_embeddings([sentence[2]]) is None


def test_deleting_the_vectors_of_a_token_keeps_those_of_its_neighbours():
    sentence, _ = embedded_sentences()
    store_embeddings([sentence[0]], "none")
    assert [len(token.get_embedding()) for token in sentence] == [0, 4, 4]


def test_single_sentence_is_not_taken_for_a_list_of_tokens():
    sentence = Sentence("Berlin is far")
    sentence.set_embedding("document", torch.zeros(2, requires_grad=True))
    assert identify_dynamic_embeddings(sentence) == ["document"]
    store_embeddings(sentence, "none")
    assert len(sentence.get_embedding()) == 0


def test_dynamic_embeddings_are_none_without_vectors():
    assert identify_dynamic_embeddings([]) is None
    assert identify_dynamic_embeddings([Sentence("Yes")]) is None


@pytest.mark.parametrize(("mode", "kept"), [("none", 0), ("cpu", 2), ("gpu", 2)])
def test_storage_mode_decides_which_vectors_are_kept(mode, kept):
    sentences = embedded_sentences()
    store_embeddings(sentences, mode)
    if kept:
        assert [sentence.get_token_embeddings().shape[1] for sentence in sentences] == [2, 2]
        assert identify_dynamic_embeddings(sentences) == []
    else:
        assert identify_dynamic_embeddings(sentences) is None


def test_unknown_storage_mode_is_an_error():
    with pytest.raises(SettingError, match="'disk'"):
        store_embeddings([], "disk")  # type: ignore[arg-type]


def test_existing_output_file_is_kept(tmp_path):
    path = init_output_file(tmp_path / "new folder", "loss.tsv")
    path.write_text("kept", encoding="utf-8")
    assert init_output_file(str(tmp_path / "new folder"), "loss.tsv").read_text(encoding="utf-8") == "kept"


def test_file_handler_writes_messages_from_level_info(tmp_path):
    log = logging.getLogger("a test of flairlite")
    log.setLevel(logging.INFO)
    handler = add_file_handler(log, tmp_path / "logs" / "training.log")
    try:
        log_line(log)
        log.debug("below the level")
    finally:
        log.removeHandler(handler)
        handler.close()
    text = (tmp_path / "logs" / "training.log").read_text(encoding="utf-8")
    assert re.fullmatch(r"[\d-]+ [\d:,]+ -{100}\n", text)
