"""Sentences as plain data, with other or fewer tokens, as copies and in other processes."""

from __future__ import annotations

import copy
import json
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flairlite.data import Sentence, Token
from flairlite.errors import FlairliteError, SettingError
from flairlite.tokenization import (
    NoTokenizer,
    RegexTokenizer,
    SegtokTokenizer,
    SpaceTokenizer,
    StaccatoTokenizer,
    TokenizerWrapper,
)

NAMES = st.sampled_from(["pos", "ner", "feats", "topic"])
VALUES = st.sampled_from(["A", "B-C", "Number=Sing"])
SCORES = st.sampled_from([1.0, 0.5])
METADATA = st.sampled_from([{}, {"note": 1}, {"by": "me"}])
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(alphabet="aB-.' \t\n\u200b\u0301😀1")


@st.composite
def sentences(draw: st.DrawFn) -> Sentence:
    """Sentences of a text or of words, with all kinds of labels."""
    if draw(st.booleans()):
        tokenizer = draw(st.sampled_from([True, False, StaccatoTokenizer(), RegexTokenizer(r"\w+")]))
        sentence = Sentence(draw(TEXTS), tokenizer, draw(st.none() | st.just("en")), draw(st.integers(0, 9)))
    else:
        words = draw(st.lists(st.text(alphabet="ab .\u200b", min_size=1, max_size=3), max_size=5))
        sentence = Sentence(words, spaces=draw(st.lists(st.integers(0, 2), min_size=len(words), max_size=len(words))))
    points: list[Any] = [sentence, *sentence]
    points += [sentence[start:stop] for stop in range(len(sentence) + 1) for start in range(stop)][:6]
    for point in draw(st.lists(st.sampled_from(points), max_size=5)):
        point.add_label(draw(NAMES), draw(VALUES), draw(SCORES), **draw(METADATA))
    if draw(st.booleans()):
        sentence.metadata["sent_id"] = "s1"
    return sentence


def described(sentence: Sentence) -> tuple[Any, ...]:
    labels = [(label.typename, str(label), label.metadata) for label in sentence.get_labels()]
    positions = [(token.text, token.start_position, token.whitespace_after) for token in sentence]
    own = sentence.language_code, sentence.start_position, sentence.tokenizer, sentence.metadata
    return sentence.text, positions, labels, [(s.start, s.stop) for s in sentence.get_spans()], own


@given(sentences())
def test_a_sentence_comes_back_from_json_as_it_was(sentence: Sentence) -> None:
    assert described(Sentence.from_dict(json.loads(json.dumps(sentence.to_dict())))) == described(sentence)


def test_plain_data_has_flairs_names() -> None:
    sentence = Sentence("In New York", use_tokenizer=False).add_label("topic", "travel", 0.5)
    sentence[1:3].add_label("ner", "LOC")
    sentence[0].add_label("pos", "ADP").head_id = 2
    data = sentence.to_dict()
    topic = {"typename": "topic", "value": "travel", "score": 0.5, "metadata": {}}
    span = {"start_char": 3, "end_char": 11, "text": "New York"}
    span["labels"] = [{"typename": "ner", "value": "LOC", "score": 1.0, "metadata": {}}]  # type: ignore[assignment]
    assert data["labels"] == data["annotations"]["sentence_labels"] == [topic]
    assert data["annotations"]["spans"] == {'Span[1:3]: "New York"': span}
    assert [row["head_id"] for row in data["tokens"]] == [2, None, None]
    assert [row["start_pos"] for row in data["tokens"]] == [0, 3, 7]
    assert data["tokenizer"]["class_name"] == "SpaceTokenizer"


def test_plain_data_of_flair_are_read() -> None:
    data = {
        "text": "New York is big",
        "tokens": [
            {"text": word, "start_pos": start, "whitespace_after": int(start < 12), "head_id": None}
            for word, start in (("New", 0), ("York", 4), ("is", 9), ("big", 12))
        ],
        "labels": [],
        "annotations": {
            "sentence_labels": [{"typename": "topic", "value": "city", "score": 1.0, "metadata": {}}],
            "spans": {"x": {"start_char": 0, "end_char": 8, "text": "New York", "labels": [
                {"typename": "ner", "value": "LOC", "score": 0.5, "metadata": {}},
            ]}},
            "relations": [],
        },
        "language_code": None,
        "start_position": 0,
        "tokenizer": None,
    }  # fmt: skip
    sentence = Sentence.from_dict(data)
    assert str(sentence) == 'Sentence[4]: "New York is big" → city (1.0000) → ["New York"/LOC]'
    assert isinstance(sentence.tokenizer, NoTokenizer)


GOOD = Sentence("a b", use_tokenizer=False).to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": None},
        {"tokens": [{}]},
        {"text": 5},
        {"text": 5, "tokens": []},
        {"text": None, "tokens": []},
        {"metadata": 5},
        {"start_position": "0"},
        {"language_code": 5},
        {"tokens": [{**GOOD["tokens"][0], "whitespace_after": "1"}, GOOD["tokens"][1]]},
        {"tokens": [{**GOOD["tokens"][0], "head_id": "x"}, GOOD["tokens"][1]]},
        {"annotations": {"sentence_labels": [{"typename": "", "value": "x"}]}},
        {"annotations": {"sentence_labels": [{"typename": "x", "value": ""}]}},
        {"annotations": {"sentence_labels": [{"typename": "x", "value": None}]}},
        {"annotations": {"sentence_labels": [{"typename": "x", "value": "x", "score": float("nan")}]}},
        {"annotations": {"sentence_labels": [{"typename": "x", "value": "x", "score": 2}]}},
        {"text": "b a"},
        {"annotations": None},
        {"annotations": {"sentence_labels": [{"value": "x"}]}},
        {"annotations": {"spans": {"x": {"start_char": 1, "end_char": 2, "labels": []}}}},
        {"annotations": {"spans": {"x": {"start_char": 0}}}},
        {"tokenizer": {"class_module": "os", "class_name": "system"}},
        {"tokens": [*reversed(GOOD["tokens"])]},
    ],
)
def test_invalid_data_are_errors(change: dict[str, Any]) -> None:
    with pytest.raises(FlairliteError):
        Sentence.from_dict({**GOOD, **change})


@pytest.mark.parametrize("data", [None, 5, "text", [], {}, b"", [GOOD], float("nan")])
def test_values_that_are_not_data_of_a_sentence_are_errors(data: Any) -> None:
    with pytest.raises(SettingError, match=r"the data are not those of a sentence, as Sentence\.to_dict returns them"):
        Sentence.from_dict(data)


def test_metadata_of_labels_may_have_any_names() -> None:
    sentence = Sentence(["a"])
    for point in (sentence, sentence[0], sentence[0:1]):
        point.add_label("x", "A").get_label("x").metadata = {"value": 1, "score": 2, "label_type": 3, "self": 4}
    again = Sentence.from_dict(json.loads(json.dumps(sentence.to_dict())))
    assert [label.metadata for label in again.get_labels("x")] == [label.metadata for label in sentence.get_labels("x")]
    assert again.get_label("x").metadata["value"] == 1


def test_wrapped_function_is_not_restored_from_data() -> None:
    data = Sentence("a b", use_tokenizer=TokenizerWrapper(str.split)).to_dict()
    with pytest.raises(NotImplementedError, match="wrap it again"):
        Sentence.from_dict(data)


# ---------------------------------------------------------------------------------------------------- retokenize


def test_labels_of_spans_and_of_the_sentence_survive_retokenization() -> None:
    sentence = Sentence("01-03-2025 in New York", use_tokenizer=SegtokTokenizer()).add_label("topic", "travel")
    sentence[0:1].add_label("ner", "DATE", 0.5, source="rule")
    sentence[2:4].add_label("ner", "LOC").add_label("kind", "city")
    sentence[1].add_label("pos", "ADP")
    before = sentence.text
    sentence.retokenize(StaccatoTokenizer())
    assert sentence.words == ["01", "-", "03", "-", "2025", "in", "New", "York"]
    assert sentence.text == before
    assert [(span.start, span.stop, span.tag) for span in sentence.get_spans("ner")] == [(0, 5, "DATE"), (6, 8, "LOC")]
    assert sentence.get_spans("ner")[0].get_label("ner").metadata == {"source": "rule"}
    assert sentence.get_spans("ner")[1] is sentence.get_spans("kind")[0] is sentence[6:8]
    assert (sentence.get_label("topic").value, sentence.get_labels("pos")) == ("travel", [])
    sentence.retokenize(SpaceTokenizer())
    assert [(span.start, span.stop) for span in sentence.get_spans("ner")] == [(0, 1), (2, 4)]


def everything(sentence: Sentence) -> tuple[Any, ...]:
    vectors = [token.embedding.tolist() for token in sentence], sentence[0:2].embedding.tolist()
    return described(sentence), vectors, [token.get_metadata("m") for token in sentence if token.has_metadata("m")]


@pytest.mark.parametrize("assign", [True, False])
def test_tokenizer_that_yields_the_same_words_changes_nothing(caplog: pytest.LogCaptureFixture, assign: bool) -> None:
    sentence = Sentence("in New York", use_tokenizer=StaccatoTokenizer()).add_label("topic", "travel")
    sentence.set_token_labels("upos", ["ADP", "PROPN", "PROPN"], [0.5, 1.0, 1.0])
    sentence[1:3].add_label("ner", "LOC")
    sentence[1].add_label("upos", "X", source="me").add_metadata("m", 1)
    sentence.set_token_embeddings("v", torch.eye(3))
    sentence[0:2].set_embedding("v", torch.ones(2))
    before, tokens, span = everything(sentence), sentence.tokens, sentence.get_spans("ner")[0]
    with caplog.at_level(logging.WARNING, "flairlite"):
        if assign:
            sentence.tokenizer = SpaceTokenizer()
        else:
            sentence.retokenize(SpaceTokenizer())
    assert everything(sentence)[0][:4] == before[0][:4]
    assert everything(sentence)[1:] == before[1:]
    assert (sentence.tokenizer, sentence.tokens, caplog.text) == (SpaceTokenizer(), tokens, "")
    assert (tokens[1].text, span.text) == ("New", "New York")


def test_same_words_at_other_offsets_are_other_words() -> None:
    sentence = Sentence("aa a", use_tokenizer=TokenizerWrapper(lambda text: ["a", "a"]))
    assert [token.start_position for token in sentence] == [0, 1]
    sentence.set_token_labels("pos", ["X", "Y"])
    sentence.retokenize(TokenizerWrapper(lambda text: ["a", " a"] if text == "aa a" else []))
    assert [token.start_position for token in sentence] == [0, 2]
    assert sentence.token_labels("pos") is None


def test_labels_that_other_words_lose_are_counted_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    def labelled() -> Sentence:
        sentence = Sentence("well-known city", use_tokenizer=False).set_token_labels("pos", ["ADJ", "NOUN"])
        sentence.set_token_labels("lemma", [None, "city"])
        sentence[1].add_label("pos", "second")
        return sentence.add_label("topic", "x")

    with caplog.at_level(logging.WARNING, "flairlite"):
        labelled().retokenize(StaccatoTokenizer())
    assert "4 labels of tokens are lost: StaccatoTokenizer splits 'well-known city' differently" in caplog.text
    caplog.clear()
    labelled().retokenize(StaccatoTokenizer(), warn=False)
    Sentence("well-known city", use_tokenizer=False).add_label("topic", "x").retokenize(StaccatoTokenizer())
    assert caplog.text == ""


STALE = "is outdated: the words of its sentence have changed.*Read it from the sentence again"


@pytest.mark.parametrize(
    "use",
    [
        lambda point: point.text,
        lambda point: point.start_position,
        lambda point: point.end_position,
        lambda point: point.unlabeled_identifier,
        lambda point: point.get_labels(),
        lambda point: point.get_label("x"),
        lambda point: point.has_label("x"),
        lambda point: point.labels,
        lambda point: point.add_label("x", "A"),
        lambda point: point.set_label("x", "A"),
        lambda point: point.remove_labels("x"),
        lambda point: point.to_dict(),
        lambda point: point.add_metadata("m", 1),
        lambda point: point.has_metadata("m"),
        lambda point: point.set_embedding("v", torch.ones(1)),
        lambda point: point.get_embedding(),
        lambda point: point.clear_embeddings(),
        lambda point: str(point),
        lambda point: point.idx if isinstance(point, Token) else point.tokens,
        lambda point: point.whitespace_after if isinstance(point, Token) else point[0],
        lambda point: point.head_id if isinstance(point, Token) else list(point),
        lambda point: Sentence([point]) if isinstance(point, Token) else point.get_labels("ner"),
    ],
)
@pytest.mark.parametrize("change", ["retokenize", "tokenizer", "truncate"])
def test_tokens_and_spans_of_replaced_words_raise_an_error(use: Any, change: str) -> None:
    sentence = Sentence("It 's not so-so", use_tokenizer=False)
    sentence[2:4].add_label("ner", "X")
    old = [sentence[3], sentence[2:4], sentence[3:4]]
    if change == "truncate":
        sentence.truncate(3)
    elif change == "retokenize":
        sentence.retokenize(StaccatoTokenizer())
    else:
        sentence.tokenizer = StaccatoTokenizer()
    labels = [str(label) for label in sentence.get_labels()]
    for point in old:
        with pytest.raises(SettingError, match=STALE):
            use(point)
    assert [str(label) for label in sentence.get_labels()] == labels
    assert [token.text for token in sentence] == sentence.words


def test_old_label_of_a_replaced_token_can_be_read_but_says_so_when_printed() -> None:
    sentence = Sentence("well-known", use_tokenizer=False)
    label = sentence[0].add_label("pos", "ADJ", 0.5).get_label("pos")
    sentence.retokenize(StaccatoTokenizer())
    assert (label.value, label.score) == ("ADJ", 0.5)
    with pytest.raises(SettingError, match=STALE):
        str(label)


def test_tokens_that_truncation_keeps_stay_valid() -> None:
    sentence = Sentence(["a", "b", "c"])
    sentence[0:2].add_label("ner", "X")
    first, span = sentence[0], sentence.get_spans("ner")[0]
    sentence.truncate(2)
    assert first is sentence[0]
    assert (first.text, span.text, sentence.get_spans("ner")) == ("a", "a b", [span])


def test_a_copy_shares_words_but_no_labels() -> None:
    sentence = (
        Sentence("in New York").add_label("topic", "x").set_token_labels("pos", ["A", None, "B"], [0.5, 1.0, 1.0])
    )
    sentence[1:3].add_label("ner", "LOC", 0.25, source="me").add_label("kind", "city")
    sentence[0].add_label("pos", "second", note=1).add_metadata("m", 1)
    sentence.set_token_embeddings("v", torch.eye(3))
    twin = copy.copy(sentence)
    before = described(sentence)
    assert described(twin) == before
    assert twin.words is sentence.words
    assert twin.get_spans("ner")[0].sentence is twin.get_spans("kind")[0].sentence is twin[0].sentence is twin
    twin[0].set_label("pos", "C").add_label("new", "D").add_metadata("m", 2)
    twin[1:3].set_label("ner", "ORG")
    twin.remove_labels("topic")
    twin.clear_embeddings()
    twin.metadata["k"] = 1
    assert described(sentence) == before
    assert (sentence[0].get_metadata("m"), sentence[2].embedding.tolist()) == (1, [0, 0, 1])


def test_a_span_grows_to_the_words_that_it_covers_in_part() -> None:
    sentence = Sentence("well-known city", use_tokenizer=StaccatoTokenizer())
    sentence[0:1].add_label("x", "Y")
    sentence.tokenizer = SpaceTokenizer()
    assert sentence.get_spans("x")[0].text == "well-known"


def test_lost_span_is_named_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    sentence = Sentence("a !", use_tokenizer=False)
    sentence[1:2].add_label("x", "Y")
    with caplog.at_level(logging.WARNING, "flairlite"):
        sentence.retokenize(RegexTokenizer(r"\w+"))
    assert 'Span[1:2]: "!"' in caplog.text
    assert sentence.words == ["a"]
    assert sentence.get_spans() == []


def test_text_is_split_when_its_words_are_first_read() -> None:
    calls = []

    def split(text: str) -> list[str]:
        calls.append(text)
        return text.split()

    sentence = Sentence("a b", use_tokenizer=TokenizerWrapper(split))
    sentence.add_label("topic", "x").remove_labels("never there")
    sentence.clear_embeddings()
    assert (sentence.text, sentence.end_position, sentence.sentence_labels("topic")) == ("a b", 3, ["x"])
    assert calls == []
    assert len(sentence) == 2
    assert sentence.words == sentence.words == ["a", "b"]
    assert calls == ["a b"]


def test_the_tokenizer_can_be_chosen_before_the_text_is_split_and_after() -> None:
    sentence = Sentence("a-b c", use_tokenizer=TokenizerWrapper(lambda text: pytest.fail(text)))
    sentence.tokenizer = SpaceTokenizer()
    assert sentence.words == ["a-b", "c"]
    sentence[1].add_label("pos", "X")
    sentence.tokenizer = SpaceTokenizer()  # an equal one: nothing changes
    assert sentence.token_labels("pos") == [None, "X"]
    sentence.tokenizer = StaccatoTokenizer()
    assert sentence.words == ["a", "-", "b", "c"]
    assert sentence.tokenizer == StaccatoTokenizer()


@pytest.mark.parametrize("wrong", ["segtok", None, 1])
def test_value_that_is_not_a_tokenizer_is_an_error(wrong: Any) -> None:
    with pytest.raises(SettingError, match="True, False or a Tokenizer"):
        Sentence("a b", use_tokenizer=wrong)


# ------------------------------------------------------------------------------------------------- truncate and spaces


@given(sentences(), st.integers(0, 6))
def test_a_truncated_sentence_keeps_what_is_within_it(sentence: Sentence, count: int) -> None:
    words, spans = sentence.words[:count], [(span.start, span.stop) for span in sentence.get_spans()]
    texts, is_cut = [token.text for token in sentence], len(sentence) > count
    labels = [str(label) for token in sentence.tokens[:count] for label in token.get_labels()]
    text = sentence.text
    sentence.truncate(count)
    assert sentence.words == words
    assert [token.text for token in sentence] == texts[:count]
    assert [(span.start, span.stop) for span in sentence.get_spans()] == [pair for pair in spans if pair[1] <= count]
    assert [str(label) for token in sentence for label in token.get_labels()] == labels
    assert text.startswith(sentence.text)
    for token in sentence:
        assert sentence.text[token.start_position : token.end_position] == token.text
    if is_cut:
        assert sentence.text == (text[: sentence[-1].end_position] if words else "")


def test_truncation_cuts_vectors_and_metadata() -> None:
    sentence = Sentence(["a", "b", "c"])
    sentence.set_token_embeddings("x", torch.eye(3))
    sentence[2].add_metadata("note", 1)
    sentence[0].add_metadata("note", 2)
    sentence.truncate(2)
    assert torch.equal(sentence.get_token_embeddings(), torch.eye(3)[:2])
    assert sentence[0].get_metadata("note") == 2
    with pytest.raises(SettingError, match="0 or more, not -1"):
        sentence.truncate(-1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ('xyz " abc "', 'xyz "abc"'),
        ('" a " and " b "', '"a" and "b"'),
        ("Yes , ( he said ) : go !", "Yes, (he said): go!"),
        ("I do n't know John 's dog ; you ?", "I don't know John's dog; you?"),
        ("", ""),
    ],
)
def test_spaces_are_inferred_where_only_words_are_known(words: str, expected: str) -> None:
    for sentence in (Sentence(words.split()), Sentence(words, use_tokenizer=False)):
        assert sentence.infer_space_after() is sentence
        assert sentence.to_plain_string() == sentence.text == expected
        assert sentence.to_tokenized_string() == words
        for token in sentence:
            assert sentence.text[token.start_position : token.end_position] == token.text


def test_whitespace_after_a_token_can_be_assigned() -> None:
    sentence = Sentence(["a", "b", "c"])
    sentence[0].whitespace_after = 3
    sentence[1].whitespace_after = 0
    assert (sentence.text, [token.start_position for token in sentence]) == ("a   bc", [0, 4, 5])
    with pytest.raises(SettingError, match="0 or more"):
        sentence[0].whitespace_after = -1


def test_tokens_can_have_start_positions() -> None:
    sentence = Sentence([Token("a", start_position=2), Token("b"), Token("c", start_position=9)])
    assert sentence.text == "  a b    c"
    assert [token.start_position for token in sentence] == [2, 4, 9]
    assert Token("a", start_position=5).end_position == 6
    with pytest.raises(SettingError, match="'b' cannot begin at character 2: the word before ends at 3"):
        Sentence([Token("abc"), Token("b", start_position=2)])


def test_a_pickled_sentence_is_split_and_needs_no_tokenizer() -> None:
    sentence = Sentence("a b", use_tokenizer=TokenizerWrapper(lambda text: text.split()))  # which pickle cannot take
    twin = pickle.loads(pickle.dumps(sentence))
    assert twin.words == ["a", "b"]
    with pytest.raises(NotImplementedError, match="wrap it again"):
        twin.tokenizer  # noqa: B018
    assert pickle.loads(pickle.dumps(Sentence("a b", use_tokenizer=False))).tokenizer == SpaceTokenizer()


def test_a_copy_shares_the_tokenizer_and_need_not_be_split() -> None:
    sentence = Sentence("a b", use_tokenizer=TokenizerWrapper(lambda text: pytest.fail(text)))
    twin = copy.deepcopy(sentence)
    assert twin.tokenizer is sentence.tokenizer


def test_subclass_is_copied_with_its_attributes() -> None:
    sentence = Note("a b")
    sentence.page = 5
    for twin in (copy.deepcopy(sentence), pickle.loads(pickle.dumps(sentence))):
        assert (type(twin), twin.words, twin.page) == (Note, ["a", "b"], 5)


class Note(Sentence):
    """A subclass with an attribute."""

    page = 0


def test_sentences_go_to_other_processes_and_back() -> None:
    sentences = [Sentence(text).add_label("topic", "x") for text in ("It's me.", "", "Go on")]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        returned = list(pool.map(length_and_sentence, sentences))
    assert [count for count, _ in returned] == [4, 0, 2]
    assert [described(twin) for _, twin in returned] == [described(sentence) for sentence in sentences]


def length_and_sentence(sentence: Sentence) -> tuple[int, Sentence]:
    return len(sentence), sentence


def test_nothing_depends_on_the_order_of_hashes() -> None:
    code = """
import json, pickle, hashlib
from flairlite.data import Sentence
sentence = Sentence("George Washington's horse, by John", start_position=7).add_label("topic", "x", a=1, b=2)
sentence.set_token_labels("feats", ["Number=Sing|Case=Nom"] * len(sentence))
sentence[0:2].add_label("ner", "PER").add_label("kind", "man")
sentence[3].add_label("pos", "X").add_label("pos", "Y").add_metadata("m", 1)
print(sentence, sentence.get_labels(), sentence.label_types(), json.dumps(sentence.to_dict()))
print(hashlib.sha256(pickle.dumps(sentence)).hexdigest())
"""
    outputs = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        outputs.append(run.stdout)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("words", [["a", "", "b"], ["", "a", ""], ["a", "b", ""]])
@pytest.mark.parametrize("spaces", [[1, 1, 1], [0, 0, 0]])
def test_empty_words_at_the_ends_of_a_span_keep_their_side(words: list[str], spaces: list[int]) -> None:
    for first in range(3):
        for end in range(first + 1, 4):
            sentence = Sentence(words, spaces=spaces)
            sentence[first:end].add_label("ner", "X")
            again = Sentence.from_dict(json.loads(json.dumps(sentence.to_dict())))
            assert again.span_labels("ner") == [(first, end, "X")]
