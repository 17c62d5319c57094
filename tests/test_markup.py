"""HTML of sentences, corpora, dictionaries, models and results: what is marked, and that all texts stay texts."""

from __future__ import annotations

import html
import html.parser
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentences import tagged

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.markup import INK, PALETTE, Mark, color_of, escape, mark_text, nest, table

EVIL = '<script>alert("&amp;")</script>'


class Marks(html.parser.HTMLParser):
    """The text of HTML, without the labels of marks, and the text of each mark with its label, inner ones first."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[list[str]] = [[""]]
        self.elements: list[str] = []
        self.tags: set[str] = set()
        self.marks: list[tuple[str, str]] = []
        self.feed(text)
        assert self.elements == []
        self.text = self.open[0][0]

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag == "br":
            self.open[-1][0] += "\n"
            return
        self.elements.append(tag)
        if tag == "mark":
            self.open.append(["", ""])

    def handle_endtag(self, tag: str) -> None:
        assert self.elements.pop() == tag
        if tag == "mark":
            text, label = self.open.pop()
            self.marks.append((text, label.strip()))
            self.open[-1][0] += text

    def handle_data(self, data: str) -> None:
        is_label = len(self.elements) > 1 and self.elements[-1] == "span" and "mark" in self.elements
        self.open[-1][1 if is_label else 0] += data


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[str, list[Mark]]:
    text = draw(st.text("ab <>&\"'\n🙂שa", max_size=20))
    ends = st.integers(0, len(text))
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=6))
    return text, [Mark(min(pair), max(pair), f"L{index}<") for index, pair in enumerate(pairs) if pair[0] != pair[1]]


@given(marked_texts())
def test_each_mark_is_shown_once_with_its_text(drawn: tuple[str, list[Mark]]) -> None:
    text, marks = drawn
    nested, crossing = nest(marks)
    assert sorted([*nested, *crossing]) == sorted(marks)
    found = Marks(mark_text(text, marks))
    assert sorted(found.marks) == sorted((text[item.start : item.end], item.label) for item in marks)
    assert found.text.startswith(text)
    if not crossing:
        assert found.text == text


@given(marked_texts())
def test_only_marks_that_cross_an_earlier_one_are_moved(drawn: tuple[str, list[Mark]]) -> None:
    nested, crossing = nest(drawn[1])

    def cross(one: Mark, other: Mark) -> bool:
        return one.start < other.start < one.end < other.end or other.start < one.start < other.end < one.end

    assert not any(cross(one, other) for one in nested for other in nested)
    assert all(any(cross(one, other) for other in nested) for one in crossing)


@given(st.text())
def test_escaped_text_is_read_back(text: str) -> None:
    shown = escape(text)
    assert not set("<>\"'") & set(shown)
    shown.encode()  # also lone surrogates
    assert len(html.unescape(shown)) == len(text)


def luminance(color: str) -> float:
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", [*PALETTE, color_of("O")])
def test_labels_can_be_read(color: str) -> None:
    assert (luminance(color) + 0.05) / (luminance(INK) + 0.05) > 7  # WCAG AAA


def test_colors_are_the_same_in_every_process() -> None:
    script = "from flairlite.markup import color_of; print(color_of('a label'))"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert other.strip() == color_of("a label")


def test_tables_align_and_format() -> None:
    shown = table(("", "n"), [(EVIL, 12345), ("x", 0.5)], caption=EVIL)
    assert "12,345" in shown
    assert "0.5000" in shown
    assert "<script" not in shown


class TestObjects:
    def test_spans_and_words_are_marked(self) -> None:
        sentence = tagged("Ada/PROPN lives/VERB in/ADP New/PROPN York/PROPN", "upos")
        sentence[0:1].add_label("ner", "PER", 0.875)
        sentence[3:5].add_label("ner", "LOC")
        sentence.add_label("topic", "travel", 0.5)
        shown = sentence._repr_html_()
        found = Marks(shown)
        assert {("Ada", "PER 0.88"), ("New York", "LOC"), ("in", "ADP"), ("topic", "travel 0.50")} <= set(found.marks)
        assert shown.index("PER") < shown.index("VERB")  # spans come first

    def test_a_sentence_without_labels_is_its_text(self) -> None:
        assert Marks(Sentence("It rains <b>")._repr_html_()).text == "It rains <b>"
        assert Marks(Sentence("")._repr_html_()).text == ""

    def test_many_label_types_are_folded(self) -> None:
        sentence = Sentence(["a"])
        for number in range(7):
            sentence.set_token_labels(f"t{number}", ["X"])
        assert "3 more label types" in sentence._repr_html_()

    def test_long_texts_are_cut(self) -> None:
        sentence = Sentence(["word"] * 50_000).set_token_labels("t", ["X"] * 50_000)
        assert len(sentence._repr_html_()) < 2_000_000

    def test_all_texts_are_escaped(self) -> None:
        sentence = Sentence([EVIL, "b"])
        sentence.set_token_labels(EVIL, [EVIL, None])
        sentence[0:2].add_label("ner", EVIL)
        sentence.add_label(EVIL, EVIL)
        corpus = Corpus([sentence], name=EVIL)
        for item in (sentence, corpus, Dictionary.from_items([EVIL])):
            assert not Marks(item._repr_html_()).tags & {"script", "img"}

    def test_corpus_and_dictionary(self) -> None:
        corpus = Corpus([Sentence("one"), Sentence("two")], None, [Sentence("three")], name="numbers")
        shown = corpus._repr_html_()
        for expected in ("numbers", "train", ">2<", "–", ">1<", "one"):
            assert expected in shown
        items = Dictionary.from_items([f"item{number}" for number in range(100)])._repr_html_()
        assert "100 items, the first 30" in items
        assert "item29" in items
        assert "item30" not in items

    def test_models_and_results(self, sample: Corpus, mini_vectors: Any) -> None:
        from flairlite.models import SequenceTagger

        tagger = SequenceTagger(mini_vectors, sample.make_label_dictionary("upos"), "upos", hidden_size=4)
        shown = tagger._repr_html_()
        for expected in ("SequenceTagger", "upos, of each word", "NOUN", "glove-mini"):
            assert expected in shown
        result = tagger.evaluate((sample.test or ())[:5])
        assert f"{result.main_score:.4f}" in result._repr_html_()
        assert all(label in result._repr_html_() for label in result.labels)

    def test_all_label_types_of_a_model_are_shown(self, sample: Corpus, mini_vectors: Any) -> None:
        from flairlite.models import SequenceTagger

        labels = {name: sample.make_label_dictionary(name) for name in ("upos", "xpos")}
        tagger = SequenceTagger(mini_vectors, labels, "upos", hidden_size=4)
        for expected in ("upos, of each word", "xpos, of each word", "17 labels", "NNP"):
            assert expected in tagger._repr_html_()
        result = tagger.evaluate((sample.test or ())[:5])
        shown = result._repr_html_()
        assert shown.count("<table>") == 2
        for name, part in result.by_type.items():
            assert f"{name}: {part.metric_name} {part.main_score:.4f}" in shown

    def test_ipython_shows_them(self) -> None:
        formatters = pytest.importorskip("IPython.core.formatters", reason="IPython is not installed")
        sentence = tagged("Ada/PROPN", "upos")
        data, _ = formatters.DisplayFormatter().format(sentence, include={"text/html"})
        assert data == {"text/html": sentence._repr_html_()}
