"""HTML pages of sentences whose labels are marked in the text, under Flair's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from flairlite.checks import flag, shown
from flairlite.data import Sentence
from flairlite.errors import SettingError
from flairlite.markup import Mark, escape, mark_text, marks_of

TAGGED_ENTITY = (
    '<mark class="entity" style="background: {color}; color: #16191d; padding: 0.25em 0.5em; margin: 0 0.2em; '
    'line-height: 2.4; border-radius: 0.35em; box-decoration-break: clone; -webkit-box-decoration-break: clone">'
    '{entity}<span style="font-size: 0.75em; font-weight: bold; margin-left: 0.5em"> {label}</span></mark>'
)
PARAGRAPH = '<p dir="auto" style="overflow-wrap: anywhere">{sentence}</p>'
HTML_PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 16px/2 system-ui, sans-serif; margin: 2rem auto; \
max-width: 60rem; padding: 0 1rem }}</style>
</head>
<body>
{text}
</body>
</html>
"""
_COLORS = MappingProxyType({"PER": "#F7FF53", "ORG": "#E8902E", "LOC": "#FF8AC5", "MISC": "#9C9DF5", "O": "#ddd"})


def render_ner_html(
    sentences: Sequence[Sentence] | Sentence,
    title: str = "Flair",
    colors: Mapping[str, str] = _COLORS,
    default_color: str = "#ddd",
    wrap_page: bool = True,
    label_name: str = "ner",
) -> str:
    """Return HTML of sentences in which labelled spans, or words, are marked.

    A span within another one is marked inside it. Spans that cross others are marked after the sentence. All texts are
    escaped.

    Args:
        sentences: A sentence, or several.
        title: The title of the page.
        colors: The background of each label, as in CSS. The text on it is black.
        default_color: The background of other labels.
        wrap_page: Whether to return a whole page instead of its paragraphs.
        label_name: The label type, of spans such as `ner` or of words such as `upos`.

    Raises:
        SettingError: If `sentences` are not sentences or `colors` is not a mapping.

    Example:
        >>> from flairlite.data import Sentence
        >>> sentence = Sentence("I love Berlin")
        >>> _ = sentence[2:3].add_label("ner", "LOC")
        >>> "Berlin" in render_ner_html(sentence, wrap_page=False)
        True
    """
    listed = [sentences] if isinstance(sentences, Sentence) else sentences
    is_list = not isinstance(listed, (str, bytes, Mapping)) and hasattr(listed, "__iter__")
    if not is_list or not all(isinstance(sentence, Sentence) for sentence in listed):
        raise SettingError(f"sentences must be a Sentence or a list of them; it is {shown(sentences)}")
    if not isinstance(colors, Mapping):
        raise SettingError(f"colors must map labels to colors such as '#ddd'; it is {shown(colors)}")

    def render(inner: str, item: Mark) -> str:
        color = colors.get(item.label, default_color)
        return TAGGED_ENTITY.format(color=escape(color), entity=inner, label=escape(item.label))

    marked = (mark_text(sentence.text, marks_of(sentence, label_name), render) for sentence in listed)
    text = "\n".join(PARAGRAPH.format(sentence=part) for part in marked)
    return HTML_PAGE.format(title=escape(title), text=text) if flag("wrap_page", wrap_page) else text
