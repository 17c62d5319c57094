"""Sentences of texts, words and tokens: words, offsets, printing, labels, copies and vectors."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentences import tagged

from flairlite.data import Sentence, Span, Token
from flairlite.errors import FlairliteError, LabelError, SettingError
from flairlite.tokenization import RegexTokenizer, SpaceTokenizer, TokenizerWrapper

TEXTS = st.text() | st.text(alphabet="aA.,'- \t\n\xa0\u200b\u0301😀é1")
WORDS = st.lists(st.text(min_size=1, max_size=5), max_size=6)


def positions(sentence: Sentence) -> list[tuple[int, int]]:
    return [(token.start_position, token.end_position) for token in sentence]


def assert_words_are_where_they_say(sentence: Sentence) -> None:
    """Check the offset of every word, the number of spaces after it, and that words do not overlap."""
    end = 0
    for token, word in zip(sentence, sentence.words, strict=True):
        assert sentence.text[token.start_position : token.end_position] == token.text == token.form == word
        assert token.start_position >= end
        end = token.end_position
    for token, following in zip(sentence.tokens, sentence.tokens[1:], strict=False):
        assert token.end_position + token.whitespace_after == following.start_position


# ------------------------------------------------------------------------------------------------------- made of a text


def test_text_is_split_by_the_default_tokenizer() -> None:
    sentence = Sentence("I don't love Berlin.")
    assert sentence.words == ["I", "do", "n't", "love", "Berlin", "."]
    assert positions(sentence) == [(0, 1), (2, 4), (4, 7), (8, 12), (13, 19), (19, 20)]
    assert [token.whitespace_after for token in sentence] == [1, 0, 1, 1, 0, 0]


def test_text_is_split_at_spaces_without_a_tokenizer() -> None:
    sentence = Sentence("I  love\tBerlin. ", use_tokenizer=False)
    assert sentence.words == ["I", "love\tBerlin."]
    assert positions(sentence) == [(0, 1), (3, 15)]
    assert [token.whitespace_after for token in sentence] == [2, 1]


@pytest.mark.parametrize(
    ("tokenizer", "words"),
    [
        (SpaceTokenizer(), ["a-b", "c."]),
        (RegexTokenizer(r"\w+"), ["a", "b", "c"]),
        (TokenizerWrapper(lambda text: [text]), ["a-b c."]),
    ],
)
def test_text_is_split_by_a_given_tokenizer(tokenizer: SpaceTokenizer, words: list[str]) -> None:
    sentence = Sentence("a-b c.", use_tokenizer=tokenizer)
    assert sentence.words == words
    assert_words_are_where_they_say(sentence)


def test_tokenizer_that_invents_words_is_an_error() -> None:
    with pytest.raises(FlairliteError, match="TokenizerWrapper"):
        Sentence("a b", use_tokenizer=TokenizerWrapper(lambda text: text.upper().split())).words  # noqa: B018


@given(TEXTS, st.booleans())
def test_words_of_a_text_are_where_they_say(text: str, use_tokenizer: bool) -> None:
    sentence = Sentence(text, use_tokenizer=use_tokenizer)
    assert sentence.text == sentence.to_original_text() == text
    assert_words_are_where_they_say(sentence)
    if sentence:
        assert all(word for word in sentence.words)
    if len(sentence):
        assert sentence[-1].end_position + sentence[-1].whitespace_after == len(text)


@pytest.mark.parametrize("given_text", ["", " ", [], ()])
def test_a_sentence_may_have_no_words(given_text: str | Sequence[str]) -> None:
    sentence = Sentence(given_text)
    assert (len(sentence), sentence.tokens, list(sentence), sentence.words) == (0, [], [], [])
    assert sentence.text == (given_text if isinstance(given_text, str) else "")
    assert sentence.to_tokenized_string() == sentence.to_plain_string() == ""
    assert str(sentence) == f'Sentence[0]: "{sentence.text}"'
    assert sentence.get_labels() == sentence.label_types() == sentence.get_spans() == []
    assert str(sentence.add_label("topic", "void")) == f'Sentence[0]: "{sentence.text}" → void (1.0000)'
    assert bool(sentence)


# -------------------------------------------------------------------------------------------------------- made of words


def test_words_have_one_space_between_them() -> None:
    sentence = Sentence(["This", "is", "it", "."], start_position=10)
    assert sentence.text == "This is it ."
    assert positions(sentence) == [(0, 4), (5, 7), (8, 10), (11, 12)]
    assert (sentence.start_position, sentence.end_position) == (10, 22)


def test_spaces_after_words_are_one_whatever_was_asked_before() -> None:
    for ask in (lambda s: None, lambda s: s.text, lambda s: s[0].start_position, lambda s: s.to_dict()):
        sentence = Sentence(["a", "b"])
        ask(sentence)
        assert [token.whitespace_after for token in sentence] == [1, 1]


def test_spaces_between_words_can_be_given() -> None:
    sentence = Sentence(["It", "'s", "here", "!"], spaces=[0, 2, 0, 3])
    assert sentence.text == sentence.to_original_text() == "It's  here!"
    assert positions(sentence) == [(0, 2), (2, 4), (6, 10), (10, 11)]
    assert [token.whitespace_after for token in sentence] == [0, 2, 0, 3]


def test_words_may_be_white_space() -> None:
    sentence = Sentence(["I", "\t", "you", "\n", " "])
    assert sentence.words == ["I", "\t", "you", "\n", " "]
    assert_words_are_where_they_say(sentence)


@given(WORDS, st.data())
def test_words_are_where_they_say(words: list[str], data: st.DataObject) -> None:
    spaces = data.draw(st.none() | st.lists(st.integers(0, 3), min_size=len(words), max_size=len(words)))
    sentence = Sentence(words, spaces=spaces)
    assert sentence.words == words
    assert_words_are_where_they_say(sentence)
    plain = "".join(word + " " * space for word, space in zip(words, spaces or [1] * len(words), strict=True))
    assert sentence.text == plain[: len(plain) - (([1] if spaces is None else spaces)[-1] if words else 0)]
    assert [token.idx for token in sentence] == list(range(1, len(words) + 1))


def test_the_list_of_words_that_was_given_can_be_changed() -> None:
    words, spaces = ["a", "b"], [1, 1]
    sentence = Sentence(words, spaces=spaces)
    words[0], spaces[0] = "changed", 9
    assert (sentence.words, sentence.text) == (["a", "b"], "a b")


def test_words_may_come_from_a_generator() -> None:
    assert Sentence(word for word in ["a", "b"]).words == ["a", "b"]  # type: ignore[arg-type]


@pytest.mark.parametrize("spaces", [[], [1], [1, 1, 1], [1, -1]])
def test_spaces_that_do_not_fit_the_words_are_refused(spaces: list[int]) -> None:
    with pytest.raises(SettingError, match="0 or more for each of 2 words"):
        Sentence(["a", "b"], spaces=spaces)


@pytest.mark.parametrize("given_text", ["a b", [Token("a"), Token("b")]])
def test_spaces_go_with_words_only(given_text: str | list[Token]) -> None:
    with pytest.raises(SettingError, match="spaces go with words"):
        Sentence(given_text, spaces=[1, 1])


# ------------------------------------------------------------------------------------------------------- made of tokens


def test_tokens_keep_their_labels() -> None:
    loved = Token("loves", head_id=0, whitespace_after=2).add_label("pos", "VERB", 0.5).add_label("pos", "NOUN", 0.25)
    loved.add_label("sense", "love.1", source="me")
    tokens = [Token("She", head_id=2).add_label("pos", "PRON"), loved, Token("it")]
    sentence = Sentence(tokens)
    assert sentence.text == "She loves  it"
    assert all(mine is own and own.sentence is sentence for mine, own in zip(tokens, sentence, strict=True))
    assert [(label.value, label.score) for label in loved.get_labels("pos")] == [("VERB", 0.5), ("NOUN", 0.25)]
    assert loved.get_label("sense").metadata == {"source": "me"}
    assert sentence.token_labels("pos") == ["PRON", "VERB", None]
    assert [token.head_id for token in sentence] == [2, 0, None]
    assert [token.get_head() for token in sentence] == [loved, None, None]
    assert positions(sentence) == [(0, 3), (4, 9), (11, 13)]
    assert sentence.get_labels("pos")[0].data_point is tokens[0]


def test_a_token_made_by_hand_has_no_sentence_and_its_own_labels() -> None:
    token = Token("Berlin", head_id=3).set_label("pos", "NOUN").set_label("pos", "PROPN", 0.9)
    assert token.sentence is None
    assert (token.text, token.idx, token.start_position, token.end_position, len(token)) == ("Berlin", -1, 0, 6, 1)
    assert (token.head_id, token.whitespace_after) == (3, 1)
    assert str(token) == 'Token[0]: "Berlin" → 3 (1.0000); PROPN (0.9000)'
    token.remove_labels("pos")
    assert not token.has_label("pos")


def test_token_of_another_sentence_is_an_error() -> None:
    mine = Sentence(["a", "b"])
    with pytest.raises(ValueError, match=r"part of one sentence only, not 'b'.*Token\(text\)"):
        Sentence([Token("x"), mine[1]])
    assert mine[1].sentence is mine


def test_repeated_token_is_an_error() -> None:
    token = Token("a")
    with pytest.raises(SettingError, match="comes twice"):
        Sentence([token, token])
    assert token.sentence is None


def test_tokens_and_words_do_not_mix() -> None:
    with pytest.raises(SettingError, match=r"make the words tokens, Token\(word\)"):
        Sentence(["a", Token("b")])  # type: ignore[arg-type]


@given(WORDS)
def test_tokens_and_words_make_the_same_sentence(words: list[str]) -> None:
    of_tokens, of_words = Sentence([Token(word) for word in words]), Sentence(words)
    assert (of_tokens.words, of_tokens.text, positions(of_tokens)) == (
        of_words.words,
        of_words.text,
        positions(of_words),
    )


# ------------------------------------------------------------------------------------------------------ printed exactly


def test_sentence_is_printed_with_its_tags() -> None:
    sentence = Sentence("I love Berlin")
    assert str(sentence) == repr(sentence) == 'Sentence[3]: "I love Berlin"'
    sentence.set_token_labels("pos", ["PRON", "VERB", "PROPN"], [0.5, 1.0, 0.123456])
    printed = 'Sentence[3]: "I love Berlin" → ["I"/PRON, "love"/VERB, "Berlin"/PROPN]'
    assert sentence.to_tagged_string() == sentence.to_tagged_string("pos") == str(sentence) == printed


def test_one_label_type_or_all_are_printed() -> None:
    sentence = tagged("I/PRON love/VERB New/PROPN York").add_label("topic", "city", 0.98765).add_label("mood", "good")
    sentence[2:4].add_label("ner", "LOC").add_label("kind", "place")
    sentence[1].add_label("sense", "like", by="me").add_label("sense", "love")
    head = 'Sentence[4]: "I love New York"'
    assert sentence.to_tagged_string("pos") == head + ' → ["I"/PRON, "love"/VERB, "New"/PROPN]'
    assert sentence.to_tagged_string("ner") == head + ' → ["New York"/LOC]'
    assert sentence.to_tagged_string("sense") == head + ' → ["love"/like/by=me/love]'
    assert sentence.to_tagged_string("topic") == head + " → city (0.9877)"
    assert sentence.to_tagged_string("none") == head
    all_labels = '"I"/PRON, "love"/VERB/like/by=me/love, "New"/PROPN, "New York"/LOC/place'
    assert str(sentence) == f"{head} → city (0.9877); good (1.0000) → [{all_labels}]"


def test_a_feature_is_printed_by_its_name() -> None:
    sentence = Sentence(["Cats", "sleep"]).set_token_labels("feats", ["Number=Plur", "Mood=Ind|Number=Plur"])
    assert sentence.to_tagged_string("Mood") == 'Sentence[2]: "Cats sleep" → ["sleep"/Ind]'
    assert str(sentence) == 'Sentence[2]: "Cats sleep" → ["Cats"/Number=Plur, "sleep"/Mood=Ind|Number=Plur]'


def test_text_forms_differ_in_their_spaces_only() -> None:
    sentence = Sentence(" Well,  don't! ")
    assert sentence.to_original_text() == " Well,  don't! "
    assert sentence.to_plain_string() == "Well,  don't!"
    assert sentence.to_tokenized_string() == "Well , do n't !"


# ---------------------------------------------------------------------------------------------------- tokens and slices


def test_tokens_are_read_by_index() -> None:
    sentence = Sentence(["a", "b", "c"])
    assert sentence[1] is sentence.tokens[1] is sentence.get_token(2)
    assert sentence[-1] is sentence[np.int64(2)] is sentence.tokens[2]
    assert sentence.get_token(0) is sentence.get_token(4) is None
    with pytest.raises(IndexError):
        sentence[3]


@given(st.integers(1, 6), st.none() | st.integers(-8, 8), st.none() | st.integers(-8, 8))
def test_slices_equal_those_of_a_list(size: int, start: int | None, stop: int | None) -> None:
    sentence = Sentence([f"w{number}" for number in range(size)])
    expected = sentence.tokens[start:stop]
    if not expected:
        with pytest.raises(SettingError, match="at least one token"):
            sentence[start:stop]
        return
    span = sentence[start:stop]
    assert span.tokens == list(span) == expected
    assert (len(span), span[0], span[-1]) == (len(expected), expected[0], expected[-1])
    assert span.text == " ".join(sentence.words[start:stop])
    assert sentence.text[span.start_position : span.end_position] == span.text


def test_slice_with_a_step_is_an_error() -> None:
    with pytest.raises(SettingError, match=r"\[None:None:2\]"):
        Sentence(["a", "b", "c"])[::2]


def test_spans_of_the_same_tokens_are_equal() -> None:
    sentence, other = Sentence(["a", "b", "c"]), Sentence(["a", "b", "c"])
    assert sentence[0:2] == sentence.get_span(0, 2) == Span(sentence.tokens[0:2])
    assert len({sentence[0:2], sentence[:2], sentence[1:3], other[0:2]}) == 3
    assert sentence[0:2] != sentence[0:1]
    assert sentence[0:1] != sentence[0]
    assert sentence[0:2] != other[0:2]


def test_span_text_has_the_spaces_of_the_sentence() -> None:
    sentence = Sentence("It was  (almost) noon.")
    assert sentence[1:5].text == "was  (almost)"
    assert str(sentence[1:5].add_label("x", "y", 0.5)) == 'Span[1:5]: "was  (almost)" → y (0.5000)'


def test_points_as_plain_data() -> None:
    sentence = Sentence("in New York")
    sentence[1:3].add_label("ner", "LOC", 0.5)
    sentence[0].add_label("pos", "ADP")
    label = {"value": "LOC", "confidence": 0.5}
    assert sentence[1:3].to_dict() == {"text": "New York", "start_pos": 3, "end_pos": 11, "labels": [label]}
    assert sentence[0].to_dict("ner") == {"text": "in", "start_pos": 0, "end_pos": 2, "labels": []}
    assert sentence[0].to_dict()["labels"] == [{"value": "ADP", "confidence": 1.0}]


def test_sentences_are_equal_to_themselves_only() -> None:
    sentence = Sentence("Good day!")
    assert sentence == sentence
    assert sentence != Sentence("Good day!")
    assert len({sentence, Sentence("Good day!")}) == 2


# ---------------------------------------------------------------------------------------------- columns of token labels


def test_column_replaces_all_token_labels_of_its_type() -> None:
    sentence = Sentence(["a", "b", "c"]).add_label("pos", "whole")
    sentence[0].add_label("pos", "X", 0.5).add_label("pos", "Y").add_label("other", "Z")
    sentence[1].add_label("pos", "X", why="so")
    sentence[0:2].add_label("pos", "span")
    assert sentence.set_token_labels("pos", ["A", None, "B"]) is sentence
    assert [token.get_labels("pos") and token.get_label("pos").value for token in sentence] == ["A", [], "B"]
    assert [label.score for label in sentence.get_labels("pos")] == [1.0] * 4
    assert {label.value for label in sentence.get_labels("pos")} == {"whole", "span", "A", "B"}
    assert sentence[1].set_label("pos", "C").get_label("pos").metadata == {}
    assert sentence[0].get_label("other").value == "Z"


def test_columns_can_have_scores() -> None:
    sentence = Sentence(["a", "b"]).set_token_labels("pos", ["A", "B"], [0.25, 0.75])
    assert [label.score for label in sentence.get_labels("pos")] == [0.25, 0.75]
    assert [label.score for label in sentence.set_token_labels("pos", ["A", "B"]).get_labels("pos")] == [1.0, 1.0]


def test_a_list_that_was_given_is_not_kept() -> None:
    values: list[str | None] = ["A", "B"]
    sentence = Sentence(["a", "b"]).set_token_labels("pos", values)
    values[0] = "changed"
    assert sentence.token_labels("pos") == ["A", "B"]


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_column_has_one_value_and_one_score_a_token(size: int) -> None:
    sentence = Sentence(["a", "b"])
    with pytest.raises(SettingError, match=f"values must be one a token, 2, but there are {size}"):
        sentence.set_token_labels("pos", ["A"] * size)
    with pytest.raises(SettingError, match=f"scores must be one a token, 2, but there are {size}"):
        sentence.set_token_labels("pos", ["A", "B"], [1.0] * size)
    assert sentence.label_types() == []


def test_a_column_without_labels_is_none() -> None:
    sentence = Sentence(["a", "b"])
    assert sentence.token_labels("pos") is None
    assert sentence.set_token_labels("pos", [None, None]).token_labels("pos") is None
    assert (sentence.label_types(), sentence.has_label("pos")) == ([], False)


# --------------------------------------------------------------------------------------------------------------- copies


def rich_sentence(*, with_tokens: bool) -> Sentence:
    """Return a sentence with all kinds of annotation, with or without existing Token objects."""
    sentence = Sentence("George Washington's  horse", start_position=7, language_code="en")
    sentence.metadata["sent_id"] = "s1"
    sentence.set_token_labels("pos", ["PROPN", "PROPN", None, "NOUN"], [0.5, 0.25, 1.0, 0.125])
    sentence.set_token_labels("feats", ["Number=Sing", "Case=Nom|Number=Sing", None, None])
    sentence.add_label("topic", "history", 0.75, source="me")
    if with_tokens:
        sentence[3].add_label("pos", "VERB", 0.25).add_label("sense", "horse.2", note=1)
        sentence[0:2].add_label("ner", "PER", 0.5)
    return sentence


def described(sentence: Sentence) -> tuple[object, ...]:
    labels = [(label.typename, str(label), label.metadata) for label in sentence.get_labels()]
    place = (sentence.start_position, sentence.end_position, sentence.language_code, sentence.metadata)
    return str(sentence), labels, place, positions(sentence), sentence.label_types(), sentence.token_labels("Case")


@pytest.mark.parametrize("with_tokens", [True, False])
@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, *(lambda s, p=p: pickle.loads(pickle.dumps(s, protocol=p)) for p in range(2, 6))],
    ids=["deepcopy", *(f"pickle {protocol}" for protocol in range(2, 6))],
)
def test_copy_is_equal_and_independent(with_tokens: bool, duplicate: Callable[[Sentence], Sentence]) -> None:
    sentence = rich_sentence(with_tokens=with_tokens)
    twin = duplicate(sentence)
    assert described(twin) == described(sentence)
    assert all(token.sentence is twin for token in twin)
    assert all(span.sentence is twin for span in twin.get_spans())
    before = described(sentence)
    twin[0].set_label("pos", "X").set_label("Number", "Plur")
    twin.remove_labels("topic")
    twin.metadata["sent_id"] = "s2"
    assert described(sentence) == before


def test_copied_token_has_a_copied_sentence() -> None:
    token = rich_sentence(with_tokens=True)[3]
    twin = pickle.loads(pickle.dumps(token))
    assert twin.sentence is not token.sentence
    assert [str(label) for label in twin.get_labels()] == [str(label) for label in token.get_labels()]
    alone = copy.deepcopy(Token("a").add_label("pos", "X"))
    assert alone.sentence is None
    assert Sentence([alone]).token_labels("pos") == ["X"]


# ----------------------------------------------------------------------------------------------------------- embeddings


def test_token_vectors_are_rows_of_the_sentence_matrix() -> None:
    sentence = Sentence(["a", "b"])
    glove, other = torch.randn(2, 3), torch.randn(2, 2)
    sentence.set_token_embeddings("glove", glove)
    assert sentence[1].embedding.data_ptr() == glove[1].data_ptr()  # a view
    sentence.set_token_embeddings("a", other)
    assert torch.equal(sentence[1].embedding, torch.cat([other[1], glove[1]]))  # in the order of the names
    assert torch.equal(sentence[0].get_embedding(["glove"]), glove[0])
    sentence.clear_embeddings(["a", "never there"])
    assert torch.equal(sentence[0].embedding, glove[0])
    sentence.clear_embeddings()
    assert sentence[0].get_embedding().shape == (0,)  # as Flair has it
    with pytest.raises(LabelError, match=r"call embed\(sentence\)"):
        sentence[0].embedding  # noqa: B018
    with pytest.raises(LabelError, match=r"call embed\(sentence\) first"):
        sentence.get_token_embeddings()
    assert not sentence[0].get_labels()


# --------------------------------------------------------------------------------------------------------- combinations


def test_each_feature_set_is_parsed_once_a_token() -> None:
    """Count the calls of the parser."""
    words = [f"w{number}" for number in range(300)]
    sentence = Sentence(words).set_token_labels("feats", [f"Number=N{number}" for number in range(300)])
    from flairlite.data.label_values import parse_features

    parse_features.cache_clear()
    assert [token.get_label("Number").value for token in sentence] == [f"N{number}" for number in range(300)]
    info = parse_features.cache_info()
    assert info.hits + info.misses == 300


def test_order_of_reading_does_not_matter() -> None:
    rng = random.Random(1)
    asks: list[Callable[[Sentence], object]] = [
        lambda s: s.text,
        positions,
        lambda s: s.tokens,
        lambda s: s[0].whitespace_after,
        lambda s: str(s),
        lambda s: s.get_labels(),
    ]
    expected = [ask(tagged("It/PRON works/VERB")) for ask in asks if ask is not asks[2] and ask is not asks[5]]
    for _ in range(20):
        sentence = tagged("It/PRON works/VERB")
        for ask in rng.sample(asks, len(asks)):
            ask(sentence)
        assert [ask(sentence) for ask in asks if ask is not asks[2] and ask is not asks[5]] == expected


def test_labels_of_spans_and_of_the_sentence_replace_only_their_kind() -> None:
    sentence = Sentence(["New", "York", "is", "big"]).add_label("x", "whole")
    sentence[0].add_label("x", "word")
    sentence[2:4].add_label("x", "span")
    sentence.set_span_labels("x", [(0, 2, "LOC"), (1, 2, "PART")], [0.5, 0.25])
    sentence.set_sentence_labels("x", ["city", "USA"], [0.75, 1.0])
    assert sentence.span_labels("x") == [(0, 2, "LOC"), (1, 2, "PART")]
    assert sentence.sentence_labels("x") == ["city", "USA"]
    assert [(label.value, label.score) for label in sentence.get_labels("x")] == [
        ("city", 0.75), ("USA", 1.0), ("word", 1.0), ("LOC", 0.5), ("PART", 0.25),
    ]  # fmt: skip
    sentence.set_span_labels("x", []).set_sentence_labels("x", [])
    assert [label.value for label in sentence.get_labels("x")] == ["word"]


@pytest.mark.parametrize("span", [(0, 0, "X"), (-1, 1, "X"), (1, 3, "X"), (2, 1, "X")])
def test_a_span_label_outside_the_sentence_is_refused(span: tuple[int, int, str]) -> None:
    sentence = Sentence(["a", "b"]).set_span_labels("x", [(0, 1, "A")])
    with pytest.raises(SettingError, match="2 tokens"):
        sentence.set_span_labels("x", [span])
    with pytest.raises(SettingError, match="one a label"):
        sentence.set_span_labels("x", [(0, 1, "A")], [])
    assert sentence.span_labels("x") == [(0, 1, "A")]
