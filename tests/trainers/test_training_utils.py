"""The small tools of `flairlite.training_utils`."""

from __future__ import annotations

import logging
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flairlite.data import Dictionary, Sentence
from flairlite.errors import LabelError, SettingError
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


def test_one_hot_follows_the_order_of_the_dictionary():
    dictionary = Dictionary(add_unk=False)
    for item in ("a", "b", "c"):
        dictionary.add_item(item)
    assert convert_labels_to_one_hot([["c", "a"], [], ["b"]], dictionary) == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_stretches_of_a_text_become_spans_of_its_words():
    text = "Led a team. We've built   state-of-the-art engines."
    entities = [CharEntity(0, 10, "DUTY", "Led a team"), CharEntity(12, 51, "RESULT", "")]
    sentence = create_labeled_sentence_from_entity_offsets(text, entities)
    assert sentence.text == text
    assert spans_of(sentence) == [("Led a team", "DUTY"), (text[12:51], "RESULT")]


def test_words_behind_the_limit_and_stretches_beyond_it_are_left_out():
    entities = [CharEntity(0, 3, "A", "One"), CharEntity(4, 13, "B", "two three"), CharEntity(14, 18, "C", "four")]
    sentence = create_labeled_sentence_from_entity_offsets("One two three four", entities, token_limit=2)
    assert sentence.text == "One two"
    assert spans_of(sentence) == [("One", "A")]


@pytest.mark.parametrize(
    ("limit", "expected"), [(0, []), (1, ["One"]), (3, ["One", "two", "three"]), (9, ["One", "two", "three"])]
)
def test_a_limit_keeps_that_many_words(limit, expected):
    assert create_labeled_sentence_from_entity_offsets("One two three", [], token_limit=limit).words == expected


def test_a_stretch_out_of_the_text_is_an_error():
    with pytest.raises(LabelError, match="13 characters"):
        create_labeled_sentence_from_entity_offsets("One two three", [CharEntity(4, 99, "A", "")])


def test_an_empty_text_is_an_empty_sentence():
    assert len(create_labeled_sentence_from_entity_offsets("", [])) == 0


@given(st.lists(st.sampled_from(["New", "York", "is", "far", "."]), min_size=1, max_size=12), st.data())
def test_stretches_of_words_become_those_spans(words, data):
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    sentence = create_labeled_sentence_from_tokens(words, [TokenEntity(start, end, "LOC", score=0.5)])
    (span,) = sentence.get_spans("ner")
    assert [token.text for token in span] == words[start:end]
    assert span.get_label("ner").score == 0.5


def test_tokens_of_another_sentence_stay_there():
    other = Sentence("Berlin is far")
    sentence = create_labeled_sentence_from_tokens(list(other), [TokenEntity(0, 1, "LOC")], type_name="place")
    assert [span.text for span in sentence.get_spans("place")] == ["Berlin"]
    assert other.get_spans("place") == []


def embedded() -> tuple[Sentence, Sentence]:
    one, other = Sentence("Berlin is far"), Sentence("Yes")
    one.set_token_embeddings("fixed", torch.zeros(3, 2))
    one.set_token_embeddings("learned", torch.zeros(3, 2, requires_grad=True))
    other.set_token_embeddings("fixed", torch.zeros(1, 2))
    return one, other


def test_dynamic_embeddings_are_those_that_gradients_flow_through():
    assert identify_dynamic_embeddings(embedded()) == ["learned"]
    assert identify_dynamic_embeddings(embedded()[1:]) == []


def test_dynamic_embeddings_are_found_on_sentences_spans_and_tokens():
    sentence = Sentence("Berlin is far")
    sentence.set_embedding("document", torch.zeros(2, requires_grad=True))
    sentence[0].set_embedding("first", torch.zeros(2, requires_grad=True))
    sentence[1].set_embedding("second", torch.zeros(2))
    assert set(identify_dynamic_embeddings([sentence]) or ()) == {"document", "first"}
    assert identify_dynamic_embeddings([sentence[0:2]]) == ["first"]
    assert identify_dynamic_embeddings([sentence[1]]) == []
    assert identify_dynamic_embeddings([sentence[2]]) is None


def test_forgetting_the_vectors_of_a_token_keeps_those_of_its_neighbours():
    sentence, _ = embedded()
    store_embeddings([sentence[0]], "none")
    assert [len(token.get_embedding()) for token in sentence] == [0, 4, 4]


def test_without_vectors_nothing_is_known_of_embeddings():
    assert identify_dynamic_embeddings([]) is None
    assert identify_dynamic_embeddings([Sentence("Yes")]) is None


@pytest.mark.parametrize(("mode", "kept"), [("none", 0), ("cpu", 2), ("gpu", 2)])
def test_embeddings_are_kept_by_mode(mode, kept):
    sentences = embedded()
    store_embeddings(sentences, mode)
    if kept:
        assert [sentence.get_token_embeddings().shape[1] for sentence in sentences] == [2, 2]
        assert identify_dynamic_embeddings(sentences) == []
    else:
        assert identify_dynamic_embeddings(sentences) is None


def test_an_unknown_storage_mode_is_an_error():
    with pytest.raises(SettingError, match="'disk'"):
        store_embeddings([], "disk")  # type: ignore[arg-type]


def test_an_output_file_is_made_once_and_kept(tmp_path):
    path = init_output_file(tmp_path / "new folder", "loss.tsv")
    path.write_text("kept", encoding="utf-8")
    assert init_output_file(str(tmp_path / "new folder"), "loss.tsv").read_text(encoding="utf-8") == "kept"


def test_a_file_handler_writes_what_is_logged(tmp_path):
    log = logging.getLogger("a test of flairlite")
    log.setLevel(logging.INFO)
    handler = add_file_handler(log, tmp_path / "logs" / "training.log")
    try:
        log_line(log)
        log.debug("not this")
    finally:
        log.removeHandler(handler)
        handler.close()
    text = (tmp_path / "logs" / "training.log").read_text(encoding="utf-8")
    assert re.fullmatch(r"[\d-]+ [\d:,]+ -{100}\n", text)
