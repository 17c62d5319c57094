"""Sentences as plain data for JSON, and labels by character offsets, which survive another tokenizer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flairlite.data.label_values import check_count
from flairlite.data.labels import Label
from flairlite.data.text_layout import TextLayout
from flairlite.errors import FlairliteError, LabelError, SettingError
from flairlite.tokenization import Tokenizer

if TYPE_CHECKING:
    from flairlite.data.data_points import DataPoint
    from flairlite.data.sentence import Sentence

LabelDicts = Iterable[Mapping[str, Any]]  # labels with typename, value, score and metadata


def sentence_to_dict(sentence: Sentence) -> dict[str, Any]:
    """Return a sentence under Flair's names, without embeddings, neighbours and the metadata of tokens and spans."""
    annotations = annotations_of(sentence)
    tokens = [
        {
            "text": token.text,
            "start_pos": token.start_position,
            "whitespace_after": token.whitespace_after,
            "head_id": token.head_id,
            "labels": [_label_to_dict(label) for label in token.get_labels()],
        }
        for token in sentence
    ]
    return {
        "text": sentence.text,
        "tokens": tokens,
        "labels": annotations["sentence_labels"],
        "label_types": sentence._labels.types(),
        "annotations": annotations,
        "language_code": sentence.language_code,
        "start_position": sentence.start_position,
        "tokenizer": sentence.tokenizer.to_dict(),
        "metadata": dict(sentence._metadata_to_read()),
    }


def fill_from_dict(sentence: Sentence, data: Mapping[str, Any]) -> None:
    """Fill an empty sentence from the result of `sentence_to_dict`, or of Flair's `Sentence.to_dict`.

    Raises:
        SettingError: If `data` has another form, or its words are not in its text.
    """
    try:
        rows, text = list(data["tokens"]), _get(data, "text", str)
        words = [row["text"] for row in rows]
        starts = [row["start_pos"] for row in rows]
        spaces = [check_count(row.get("whitespace_after", 1), "whitespace_after") for row in rows]
        _check_words(text, words, starts)
        tokenizer = Tokenizer.from_dict(data["tokenizer"]) if data.get("tokenizer") else None
        sentence._set_words(words, TextLayout(words, spaces, text=text, starts=starts), tokenizer)
        sentence.language_code = None if data.get("language_code") is None else _get(data, "language_code", str)
        sentence.start_position = _get({"start_position": 0, **data}, "start_position", int)
        sentence.metadata = dict(data.get("metadata", {}))
        of_tokens = [(token, row.get("labels", ())) for token, row in zip(sentence, rows, strict=True)]
        for name in add_annotations(sentence, data["annotations"], of_tokens, order=data.get("label_types", ())):
            raise LabelError(f"the span {name} covers no word")
        for token, row in zip(sentence, rows, strict=True):
            if token.head_id is None and row.get("head_id") is not None:
                token.head_id = row["head_id"]
    except FlairliteError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise SettingError(
            f"the data are not those of a sentence, as Sentence.to_dict returns them: {error!r}"
        ) from error


def annotations_of(sentence: Sentence) -> dict[str, Any]:
    """Return the labels of the sentence itself, and those of its spans with their character offsets."""
    spans = {
        span.unlabeled_identifier: {
            "start_char": span.start_position,
            "end_char": span.end_position,
            "text": span.text,
            "labels": [_label_to_dict(label) for label in span.get_labels()],
        }
        for span in sentence.get_spans()
    }
    labels = [_label_to_dict(label) for label in sentence._labels.labels_of(sentence, None)]
    return {"sentence_labels": labels, "spans": spans}


def add_annotations(
    sentence: Sentence,
    annotations: Mapping[str, Any],
    of_tokens: Iterable[tuple[DataPoint, LabelDicts]] = (),
    *,
    order: Sequence[str] = (),
) -> list[str]:
    """Add the labels that `annotations_of` returned; a span is put on the words that it covers in part or whole.

    Args:
        sentence: The sentence.
        annotations: The labels of the sentence and of its spans.
        of_tokens: The labels of tokens.
        order: The label types in order of first use.

    Returns:
        The names of the spans that cover no word.
    """
    points: list[tuple[DataPoint, LabelDicts]] = [(sentence, annotations.get("sentence_labels", ())), *of_tokens]
    lost = []
    for name, span in annotations.get("spans", {}).items():
        if not 0 <= span["start_char"] <= span["end_char"] <= len(sentence.text):
            raise LabelError(f"the span {name} must be within the {len(sentence.text)} characters of the text")
        first, end = _words_of_span(sentence, name, span["start_char"], span["end_char"])
        if first < end:
            points.append((sentence.get_span(first, end), span["labels"]))
        else:
            lost.append(name)
    labels = [(point, label) for point, dicts in points for label in dicts]
    types = dict.fromkeys((*order, *(label["typename"] for _, label in labels)))
    ranks = {name: rank for rank, name in enumerate(types)}
    for point, label in sorted(labels, key=lambda pair: ranks[pair[1]["typename"]]):
        typename, value = _get(label, "typename", str), _get(label, "value", str)
        metadata = dict(label.get("metadata", {}))
        sentence._own_labels().add(point, typename, value, label.get("score", 1.0), metadata)
    return lost


def label_characters(sentence: Sentence, label_type: str, start: int, end: int, label: str) -> bool:
    """Label the words from one character of the sentence's text to another.

    White space at the ends is ignored. A word that is covered in part is labelled as a whole.

    Args:
        sentence: The sentence.
        label_type: The label type.
        start: Offset of the first character.
        end: Offset after the last character.
        label: The label.

    Returns:
        Whether start and end are those of words.

    Raises:
        LabelError: If the characters are not within the text or cover no word, or the label is empty.
    """
    text = sentence.text
    if not 0 <= start < end <= len(text) or not label:
        raise LabelError(
            f"a span must lie within the {len(text)} characters of the text and have a label, "
            f"not from {start} to {end} with {label!r}"
        )
    covered = text[start:end]
    inner_start, inner_end = end - len(covered.lstrip()), start + len(covered.rstrip())
    first, last = sentence._layout.words_in(inner_start, inner_end)
    if first >= last:
        raise LabelError(f"the span from {start} to {end}, {covered!r}, covers no word")
    span = sentence.get_span(first, last).add_label(label_type, label)
    return (span.start_position, span.end_position) == (inner_start, inner_end)


def _words_of_span(sentence: Sentence, name: str, start: int, end: int) -> tuple[int, int]:
    """Return (first, end) of the words of a span.

    The span's name gives its words. They are used if their offsets match; offsets alone do not tell whether an empty
    word at either end belongs to the span.
    """
    if found := re.match(r"Span\[([0-9]{1,9}):([0-9]{1,9})\]", name):
        first, last = map(int, found.groups())
        layout = sentence._layout
        if first < last <= len(sentence) and (layout.start_of(first), layout.end_of(last - 1)) == (start, end):
            return first, last
    return sentence._layout.words_in(start, end)


def _label_to_dict(label: Label) -> dict[str, Any]:
    metadata = dict(label._metadata_to_read())
    return {"typename": label.typename, "value": label.value, "score": label.score, "metadata": metadata}


def _check_words(text: str, words: Sequence[str], starts: Sequence[int]) -> None:
    end = 0
    for word, start in zip(words, starts, strict=True):
        if start < end or text[start : start + len(word)] != word:
            raise SettingError(f"the word {word!r} is not at character {start} of the text {text!r}")
        end = start + len(word)


def _get(data: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return an entry of `data`, which must be of type `kind`."""
    if not isinstance(data[name], kind) or isinstance(data[name], bool):
        raise TypeError(f"{name} is {data[name]!r:.60}")
    return data[name]
