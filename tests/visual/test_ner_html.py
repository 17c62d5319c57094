"""`render_ner_html` under Flair's name, arguments and templates."""

from __future__ import annotations

from typing import Any

import pytest
from sentences import tagged

from flairlite.data import Sentence
from flairlite.errors import SettingError
from flairlite.visual.ner_html import HTML_PAGE, PARAGRAPH, TAGGED_ENTITY, render_ner_html


@pytest.fixture
def sentence() -> Sentence:
    made = Sentence("Boris Johnson has left the UK. & so on")
    made[0:2].add_label("ner", "PER")
    made[5:6].add_label("ner", "LOC")
    return made


def test_the_page_is_made_of_the_templates(sentence: Sentence) -> None:
    """As in Flair's own test."""
    colors = {"PER": "#F7FF53", "LOC": "yellow"}
    inner = (
        TAGGED_ENTITY.format(color="#F7FF53", entity="Boris Johnson", label="PER")
        + " has left the "
        + TAGGED_ENTITY.format(color="yellow", entity="UK", label="LOC")
        + ". &amp; so on"
    )
    expected = HTML_PAGE.format(text=PARAGRAPH.format(sentence=inner), title="Flair")
    assert render_ner_html([sentence], colors=colors) == expected


def test_one_sentence_and_no_page(sentence: Sentence) -> None:
    part = render_ner_html(sentence, "x", {}, "#123456", False, "ner")
    assert part.startswith("<p")
    assert part.count("#123456") == 2
    assert render_ner_html([sentence, sentence], colors={}, default_color="#123456", wrap_page=False).count("<p") == 2
    assert render_ner_html([], wrap_page=False) == ""


def test_words_are_marked_too() -> None:
    shown = render_ner_html(tagged("Ada/PROPN lives/VERB", "upos"), label_name="upos", wrap_page=False)
    assert TAGGED_ENTITY.format(color="#ddd", entity="lives", label="VERB") in shown


def test_the_last_character_is_kept() -> None:
    sentence = Sentence("in Berlin!")
    sentence[1:2].add_label("ner", "LOC")
    assert render_ner_html(sentence, wrap_page=False).endswith("!</p>")


def test_spans_within_spans_are_nested_and_crossing_ones_follow() -> None:
    sentence = Sentence("New York Times writers")
    for start, end, label in ((0, 3, "ORG"), (0, 2, "LOC"), (2, 4, "JOB")):
        sentence[start:end].add_label("ner", label)
    shown = render_ner_html(sentence, wrap_page=False)
    assert shown.index("LOC") < shown.index("ORG") < shown.index("Times writers") < shown.index("JOB")
    assert [shown.count(label) for label in ("ORG", "LOC", "JOB")] == [1, 1, 1]


def test_all_texts_are_escaped() -> None:
    sentence = Sentence(["<script>", "b"])
    sentence[0:1].add_label("ner", '"><script>')
    shown = render_ner_html(sentence, title="</title><script>", colors={'"><script>': 'red"><script>'})
    assert "<script" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sentences": "text"}, "sentences must be a Sentence or a list of them"),
        ({"sentences": ["text"]}, "sentences must be a Sentence or a list of them"),
        ({"sentences": 5}, "sentences must be a Sentence or a list of them"),
        ({"sentences": [], "colors": ["red"]}, "colors must map labels"),
        ({"sentences": [], "wrap_page": "no"}, "wrap_page must be True or False"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        render_ner_html(**arguments)
