"""Running text becomes sentences that know their places in it and each other; nothing but white space is lost."""

from __future__ import annotations

import itertools
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flairlite.data import Sentence
from flairlite.errors import FlairliteError, SettingError
from flairlite.splitter import (
    NewlineSentenceSplitter,
    NoSentenceSplitter,
    SegtokSentenceSplitter,
    SentenceSplitter,
    SpacySentenceSplitter,
    SyntokSentenceSplitter,
    TagSentenceSplitter,
)
from flairlite.tokenization import SpaceTokenizer, TokenizerWrapper, default_tokenizer

TEXTS = st.text() | st.text(alphabet="abI. !?\n\r\t\"'()-\u200b\u2028\ufeff1#é")
SPLITTERS = [
    SegtokSentenceSplitter(),
    SyntokSentenceSplitter(),
    NewlineSentenceSplitter(),
    TagSentenceSplitter("#"),
    NoSentenceSplitter(),
]


def texts_of(splitter: SentenceSplitter, text: str) -> list[str]:
    return [sentence.text for sentence in splitter.split(text)]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda splitter: splitter.name)
@given(text=TEXTS)
@example(text="a.\n\n\n b!  c? ")
def test_sentences_are_where_they_say_and_hold_all_that_can_be_seen(splitter: SentenceSplitter, text: str) -> None:
    sentences = splitter.split(text)
    end = 0
    for sentence in sentences:
        assert sentence.start_position >= end
        assert text[sentence.start_position : sentence.end_position] == sentence.text
        assert not text[end : sentence.start_position].strip(" \t\r\n#").strip()
        end = sentence.end_position
    assert not text[end:].strip(" \t\r\n#").strip()


@pytest.mark.parametrize("make", [SyntokSentenceSplitter, SegtokSentenceSplitter])
def test_sentences_end_where_english_ends_them(make: type[SentenceSplitter]) -> None:
    text = 'I love Berlin. Dr. Lee left at 5 p.m. on Jan. 3! "Did he?" He did.\n\nA title\nin two lines\n \nMore of it'
    expected = ["I love Berlin.", "Dr. Lee left at 5 p.m. on Jan. 3!", '"Did he?"', "He did."]
    assert texts_of(make(), text) == [*expected, "A title\nin two lines", "More of it"]


@pytest.mark.parametrize(
    "sentences",
    [
        ["He lives in the U.S.", "They live there, e.g. in N.Y.", "She does not."],
        ["The U.S. army of J. Smith Inc. went home.", "i.e. it left."],
        ["It is great! :)", "Really?!", "yes... it is.", "Well...", "No"],
        ['"Did he?" she asked.', "Yes (so they say).", "(Who are they?)", "Plan B.", "The end."],
        ["He left at 5 p.m.", "In the morning (at 3 a.m. or so) it rained."],
        ["See Fig. 3 and No. 5, vs. Mr. A. Bee.", "It cost $3.50.", "go!"],
    ],
)
def test_abbreviations_and_what_is_quoted_end_no_sentence(sentences: list[str]) -> None:
    assert texts_of(SegtokSentenceSplitter(), "  ".join(sentences)) == sentences


@pytest.mark.parametrize("piece", [".", "...)", "a.", '?!" ', " ", "\n", "\n ", ":)", "A.", "Mr. "])
def test_number_of_calls_grows_with_the_text_and_not_faster(piece: str) -> None:
    """`benchmarks/linear_time.py` measures the time, which depends on regular expressions too."""
    counts = []
    for size in (1_000, 8_000):
        calls = itertools.count()
        sys.setprofile(lambda *_, calls=calls: next(calls))  # type: ignore[misc]
        try:
            SegtokSentenceSplitter().split(piece * (size // len(piece)) + "a", link_sentences=False)
        finally:
            sys.setprofile(None)
        counts.append(next(calls))
    assert counts[1] <= 8.5 * counts[0] + 100


@pytest.mark.mirror
def test_sentences_of_english_texts_are_found(mirror: Path) -> None:
    lines = (mirror / "ud_english/r2.16/en_ewt-ud-dev.conllu").read_text("utf-8").split("\n")
    texts = [line.removeprefix("# text = ").strip() for line in lines if line.startswith("# text = ")]
    closed = [text for text in texts if text.endswith((".", "!", "?")) and text[0].isupper()]
    found = {sentence.text for sentence in SegtokSentenceSplitter().split(" ".join(closed))}
    assert sum(text in found for text in closed) > 0.95 * len(closed)


def test_sentences_know_each_other_when_they_are_linked() -> None:
    first, second, third = SyntokSentenceSplitter().split("One is here. Two is here. Three is here.")
    assert [first.previous_sentence(), first.next_sentence()] == [None, second]
    assert [second.previous_sentence(), second.next_sentence()] == [first, third]
    assert third.next_sentence() is None
    for sentence in SyntokSentenceSplitter().split("One is here. Two is here.", link_sentences=False):
        assert sentence.previous_sentence() is sentence.next_sentence() is None
        assert not sentence.is_context_set()


def test_a_splitter_splits_sentences_with_its_tokenizer() -> None:
    splitter = SyntokSentenceSplitter()
    assert splitter.tokenizer is default_tokenizer()
    splitter.tokenizer = TokenizerWrapper(lambda text: [text])
    assert [sentence.words for sentence in splitter.split("Go on. Do it.")] == [["Go on."], ["Do it."]]
    assert [sentence.words for sentence in SyntokSentenceSplitter(SpaceTokenizer()).split("Go on.")] == [["Go", "on."]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I love Berlin#!Me too", [("I love Berlin", 0), ("Me too", 15)]),
        ("I love Berlin#!#!Me too", [("I love Berlin", 0), ("Me too", 17)]),
        ("#! #!a#!", [("a", 5)]),
        ("no tag #! !# in it", [("no tag ", 0), (" !# in it", 9)]),
        ("", []),
    ],
)
def test_a_tag_splits_and_is_in_no_sentence(text: str, expected: list[tuple[str, int]]) -> None:
    found = TagSentenceSplitter("#!").split(text)
    assert [(sentence.text, sentence.start_position) for sentence in found] == expected


def test_an_empty_tag_is_refused() -> None:
    with pytest.raises(SettingError, match="at least one character"):
        TagSentenceSplitter("")


def test_lines_are_sentences_unless_they_are_empty() -> None:
    assert texts_of(NewlineSentenceSplitter(), "I love Berlin\n \n\nMe too\n") == ["I love Berlin", "Me too"]


def test_without_splitting_a_text_is_one_sentence_even_an_empty_one() -> None:
    assert texts_of(NoSentenceSplitter(), " One. Two. ") == [" One. Two. "]
    assert texts_of(NoSentenceSplitter(), "") == [""]


def test_names_tell_what_splitters_do() -> None:
    tokenizer = SpaceTokenizer()
    assert SegtokSentenceSplitter(tokenizer).name == "SegtokSentenceSplitter_SpaceTokenizer"
    assert TagSentenceSplitter("|", tokenizer).name == "TagSentenceSplitter_|_SpaceTokenizer"
    assert NewlineSentenceSplitter(tokenizer).name == "NewlineSentenceSplitter_SpaceTokenizer"


def test_a_splitter_of_ones_own_needs_one_method() -> None:
    class Halves(SentenceSplitter):
        def _perform_split(self, text: str) -> list[Sentence]:
            return self._sentences(text, [(0, len(text) // 2), (len(text) // 2, len(text))])

    first, second = Halves().split("ab cd ")
    assert (first.text, second.text, second.start_position) == ("ab ", "cd ", 3)
    assert first.next_sentence() is second


class Pipeline:
    """As much of a spaCy pipeline as the adapters use; every full stop ends a sentence."""

    meta = {"lang": "en", "name": "small", "version": "3.8.0"}  # noqa: RUF012

    def make_doc(self, text: str) -> list[types.SimpleNamespace]:
        return [types.SimpleNamespace(text=word) for word in text.replace(".", " .").split()]

    def __call__(self, text: str) -> types.SimpleNamespace:
        ends = [index + 1 for index, character in enumerate(text) if character == "."]
        bounds = zip([0, *ends], [*ends, len(text)], strict=True)
        return types.SimpleNamespace(
            sents=[types.SimpleNamespace(start_char=a, end_char=b, text=text[a:b]) for a, b in bounds]
        )


@pytest.mark.parametrize("model", ["en_small", Pipeline()])
def test_spacy_splits_sentences_and_words(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("spacy")
    module.load = lambda name: Pipeline()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spacy", module)
    splitter = SpacySentenceSplitter(model)
    sentences = splitter.split("It is. So there. ")
    assert [(sentence.words, sentence.start_position) for sentence in sentences] == [
        (["It", "is", "."], 0),
        (["So", "there", "."], 6),
    ]
    assert splitter.name == "SpacySentenceSplitter_small_3.8.0_SpacyTokenizer_en_small"
    assert SpacySentenceSplitter(model, SpaceTokenizer()).split("Go on.")[0].words == ["Go", "on."]


def test_missing_spacy_says_what_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)  # import raises ImportError
    with pytest.raises(FlairliteError, match="SyntokSentenceSplitter"):
        SpacySentenceSplitter("en_small")
