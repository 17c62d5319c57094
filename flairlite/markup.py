"""HTML of labelled texts and of tables, as notebooks and reports show them."""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flairlite.data import Sentence
    from flairlite.models import Model

# Light backgrounds: black text on each has a contrast of at least 10:1, in light and in dark pages.
PALETTE = ("#9fd8ef", "#ffc9a3", "#b9e3a6", "#e3c2f5", "#ffe08a", "#f7b7c5", "#a8e6d6", "#d9d0b4", "#c3cdfb", "#dbe88f")
INK = "#16191d"
_USUAL = ("PER", "LOC", "ORG", "MISC", "NOUN", "VERB", "PROPN", "ADJ", "PRON", "ADV", "DET", "ADP", "AUX", "PUNCT")
_COLORS = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(_USUAL)} | {"O": "#e2e5e9"}
_UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


_MAX_TEXT, _MAX_LINES = 20_000, 4  # characters and label types of a sentence
_MAX_LABELS = 40  # of a model
NONE = "∅"  # the class of what has no label, in a confusion matrix


class Mark(NamedTuple):
    """A labelled part of a text, from character `start` to `end` (exclusive)."""

    start: int
    end: int
    label: str
    score: float = 1.0


def escape(text: object) -> str:
    """Return a text for HTML, also for a quoted attribute; characters that HTML cannot have become U+FFFD."""
    return html.escape(_UNSAFE.sub("\ufffd", str(text)), quote=True)


def color_of(label: str) -> str:
    """Return the background of a label, the same in every process."""
    return _COLORS.get(label) or PALETTE[zlib.crc32(label.encode("utf-8", "surrogatepass")) % len(PALETTE)]


def mark(inner: str, label: str, *, score: float = 1.0, color: str | None = None) -> str:
    """Return HTML in a coloured box with its label; the colour adds nothing that the label does not say.

    Args:
        inner: The HTML inside.
        label: The label.
        score: Its score, which is shown unless it is 1.
        color: The background; that of `color_of` if None.
    """
    background = escape(color_of(label) if color is None else color)
    shown = "" if score == 1 else f' <span style="font-weight:normal">{score:.2f}</span>'
    return (
        f'<mark style="background:{background};color:{INK};padding:.2em .4em;margin:0 .1em;border-radius:.35em;'
        f'line-height:2;-webkit-box-decoration-break:clone;box-decoration-break:clone"><bdi>{inner}</bdi>'
        '<span style="font-size:.72em;font-weight:bold;margin-left:.5em;white-space:nowrap">'
        f" {escape(label)}{shown}</span></mark>"
    )


def nest(marks: Iterable[Mark]) -> tuple[list[Mark], list[Mark]]:
    """Divide marks into those that can be nested in one text, outer ones first, and those that cross an earlier one."""
    nested: list[Mark] = []
    crossing: list[Mark] = []
    ends: list[int] = []  # of the marks that are open
    for item in sorted(marks, key=lambda item: (item.start, -item.end)):
        while ends and ends[-1] <= item.start:
            ends.pop()
        if ends and item.end > ends[-1]:
            crossing.append(item)
        else:
            nested.append(item)
            ends.append(item.end)
    return nested, crossing


def mark_text(text: str, marks: Iterable[Mark], render: Callable[[str, Mark], str] | None = None) -> str:
    """Return a text with its marks as HTML; marks that cross others follow the text.

    Args:
        text: The text.
        marks: The marks.
        render: Returns the HTML of a mark, given that of its text; by default `mark`.
    """
    shown = render or _render_mark
    nested, crossing = nest(marks)
    inside, _ = _mark_part(text, nested, 0, 0, len(text), shown)
    after = " ".join(shown(_text(text[item.start : item.end]), item) for item in crossing)
    return inside + (f' <span style="opacity:.8">also:</span> {after}' if after else "")


def marks_of(sentence: Sentence, label_type: str) -> list[Mark]:
    """Return the marks of the labels of one type that words and spans of a sentence have."""
    labels = [label for label in sentence.get_labels(label_type) if label.data_point is not sentence]
    points = [(label.data_point, label) for label in labels]
    return [Mark(point.start_position, point.end_position, label.value, label.score) for point, label in points]


def _render_mark(inner: str, item: Mark) -> str:
    return mark(inner, item.label, score=item.score)


def _mark_part(
    text: str, marks: Sequence[Mark], first: int, start: int, end: int, render: Callable[[str, Mark], str]
) -> tuple[str, int]:
    """Return the HTML of a part of the text, with the marks from `first` on that are in it, and the next mark."""
    parts: list[str] = []
    while first < len(marks) and marks[first].start < end:
        item = marks[first]
        parts.append(_text(text[start : item.start]))
        inner, first = _mark_part(text, marks, first + 1, item.start, item.end, render)
        parts.append(render(inner, item))
        start = item.end
    parts.append(_text(text[start:end]))
    return "".join(parts), first


def _text(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def paragraph(inner: str) -> str:
    """Return HTML as a paragraph that wraps long words and follows the direction of its script."""
    return f'<div dir="auto" style="line-height:2.2;overflow-wrap:anywhere;margin:.2em 0">{inner}</div>'


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> str:
    """Return a table of texts and numbers; the first column has the names of the rows.

    Args:
        header: The name of each column.
        rows: The cells of each row; a float is shown with four digits.
        caption: The title.
    """
    head = "".join(f'<th scope="col" style="{_align(index)}">{escape(name)}</th>' for index, name in enumerate(header))
    body = "".join(f"<tr>{''.join(_cell(value, index) for index, value in enumerate(row))}</tr>" for row in rows)
    title = f'<caption style="text-align:left;font-weight:bold">{escape(caption)}</caption>' if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object, index: int) -> str:
    shown = f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    kind = ('th scope="row"', "th") if index == 0 else ("td", "td")
    return f'<{kind[0]} style="{_align(index)};overflow-wrap:anywhere">{escape(shown)}</{kind[1]}>'


def _align(index: int) -> str:
    return "text-align:left" if index == 0 else "text-align:right"


def sentence_html(sentence: Sentence) -> str:
    """Return a sentence with its labels: a line for each label type, whose labels are marked in the text.

    Lines of labels of spans come first. After four lines, the others are folded away. Long texts are cut.
    """
    text = sentence.text
    size = len(text) if len(text) <= _MAX_TEXT else _MAX_TEXT
    cut = "" if size == len(text) else f" … ({len(text):,} characters)"
    by_type = {name: marks_of(sentence, name) for name in sentence.label_types()}
    own = [label for name in by_type for label in sentence.get_labels(name) if label.data_point is sentence]
    badges = " ".join(mark(escape(label.typename), label.value, score=label.score) for label in own)
    lines = [
        (bool(sentence.get_spans(name)), name, [item for item in marks if item.end <= size])
        for name, marks in by_type.items()
        if marks
    ]
    lines.sort(key=lambda line: not line[0])
    shown = [
        f'<small style="opacity:.7">{escape(name)}</small>{paragraph(mark_text(text[:size], marks) + cut)}'
        for _, name, marks in lines
    ]
    parts = [f"<div>{badges}</div>"] if badges else []
    parts += shown[:_MAX_LINES] or [paragraph(_text(text[:size]) + cut)]
    if rest := shown[_MAX_LINES:]:
        parts.append(f"<details><summary>{len(rest)} more label types</summary>{''.join(rest)}</details>")
    return "".join(parts)


def model_html(model: Model) -> str:
    """Return a table of what a model labels, with which labels and weights."""
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    rows: list[tuple[str, object]] = []
    for task in model.tasks:
        names = task.label_names
        more = "" if len(names) <= _MAX_LABELS else f" and {len(names) - _MAX_LABELS} more"
        rows += [
            ("label type", f"{task.label_type}, of each {task.unit}"),
            (f"{len(names)} labels", ", ".join(names[:_MAX_LABELS]) + more),
        ]
    rows += [
        ("embeddings", model.embeddings.name),
        ("trained weights", trained),
        ("device", str(model.device)),
    ]
    return table(("", ""), rows, caption=type(model).__name__)
