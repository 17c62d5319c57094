"""Sentences as plain data that JSON can take, and back; labels by the place of what they label in the text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flairlite.data.label import Label
from flairlite.data.spanning import covered_words
from flairlite.data.text_layout import TextLayout
from flairlite.errors import FlairliteError, LabelError, SettingError
from flairlite.tokenization import Tokenizer

if TYPE_CHECKING:
    from flairlite.data.data_point import DataPoint
    from flairlite.data.sentence import Sentence


Described = Iterable[Mapping[str, Any]]  # labels with typename, value, score and metadata


def sentence_to_dict(sentence: Sentence) -> dict[str, Any]:
    """Return a sentence under Flair's names, without embeddings, neighbours and the metadata of tokens and spans."""
    annotations = annotations_of(sentence)
    tokens = [
        {
            "text": token.text,
            "start_pos": token.start_position,
            "whitespace_after": token.whitespace_after,
            "head_id": token.head_id,
            "labels": [_described(label) for label in token.get_labels()],
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
        "metadata": dict(sentence.metadata),
    }


def fill_from_dict(sentence: Sentence, data: Mapping[str, Any]) -> None:
    """Give an empty sentence what `sentence_to_dict` wrote, or what Flair's did.

    Raises:
        SettingError: when `data` has not this form, or its words are not in its text.
    """
    try:
        rows, text = list(data["tokens"]), data["text"]
        words = [row["text"] for row in rows]
        starts = [row["start_pos"] for row in rows]
        spaces = [row.get("whitespace_after", 1) for row in rows]
        _check_words(text, words, starts)
        tokenizer = Tokenizer.from_dict(data["tokenizer"]) if data.get("tokenizer") else None
        sentence._set_words(words, TextLayout(words, spaces, text=text, starts=starts), tokenizer)
        sentence.language_code = None if data.get("language_code") is None else _checked(data, "language_code", str)
        sentence.start_position = _checked({"start_position": 0, **data}, "start_position", int)
        sentence.metadata = dict(data.get("metadata", {}))
        of_tokens = [(token, row.get("labels", ())) for token, row in zip(sentence, rows, strict=True)]
        for name in add_annotations(sentence, data["annotations"], of_tokens, order=data.get("label_types", ())):
            raise LabelError(f"the span {name} covers no word")
        for token, row in zip(sentence, rows, strict=True):
            if token.head_id is None and row.get("head_id") is not None:
                token.head_id = _checked(row, "head_id", int)
    except FlairliteError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingError(f"this is no sentence as Sentence.to_dict writes it: {error!r}") from error


def annotations_of(sentence: Sentence) -> dict[str, Any]:
    """Return the labels of the sentence itself and of its spans, these with their places in the text."""
    own = [label for label in sentence.get_labels() if label.data_point is sentence]
    spans = {
        span.unlabeled_identifier: {
            "start_char": span.start_position,
            "end_char": span.end_position,
            "text": span.text,
            "labels": [_described(label) for label in span.get_labels()],
        }
        for span in sentence.get_spans()
    }
    return {"sentence_labels": [_described(label) for label in own], "spans": spans}


def add_annotations(
    sentence: Sentence,
    annotations: Mapping[str, Any],
    of_tokens: Iterable[tuple[DataPoint, Described]] = (),
    *,
    order: Sequence[str] = (),
) -> list[str]:
    """Add labels that `annotations_of` described, those of spans to the words that they cover, in part or whole.

    Args:
        sentence: The sentence.
        annotations: The labels of the sentence and of spans.
        of_tokens: The labels of tokens.
        order: The label types, in the order in which they were first used.

    Returns:
        The names of the spans that cover no word.
    """
    described = [(sentence, annotations.get("sentence_labels", ())), *of_tokens]
    lost = []
    for name, span in annotations.get("spans", {}).items():
        first, behind = _words_of_span(sentence, name, span["start_char"], span["end_char"])
        if first < behind:
            described.append((sentence[first:behind], span["labels"]))
        else:
            lost.append(name)
    labels = [(point, label) for point, several in described for label in several]
    ranks = {
        name: rank for rank, name in enumerate(dict.fromkeys((*order, *(label["typename"] for _, label in labels))))
    }
    for point, label in sorted(labels, key=lambda pair: ranks[pair[1]["typename"]]):
        typename, value = _checked(label, "typename", str), _checked(label, "value", str)
        point.add_label(
            typename, value, _checked({"score": 1.0, **label}, "score", (int, float)), **label.get("metadata", {})
        )
    return lost


def _words_of_span(sentence: Sentence, name: str, start: int, end: int) -> tuple[int, int]:
    """Return the first word of a span and the one behind its last.

    They stand in its name. They count where they begin and end at its characters: these alone do not tell whether an
    empty word at a border belongs to it.
    """
    if found := re.match(r"Span\[([0-9]{1,9}):([0-9]{1,9})\]", name):
        first, behind = map(int, found.groups())
        layout = sentence._layout
        if first < behind <= len(sentence) and (layout.start_of(first), layout.end_of(behind - 1)) == (start, end):
            return first, behind
    return covered_words(sentence, start, end)


def _described(label: Label) -> dict[str, Any]:
    return {
        "typename": label.typename,
        "value": label.value,
        "score": label.score,
        "metadata": dict(label.metadata),
    }


def _check_words(text: str, words: Sequence[str], starts: Sequence[int]) -> None:
    end = 0
    for word, start in zip(words, starts, strict=True):
        if start < end or text[start : start + len(word)] != word:
            raise SettingError(f"the word {word!r} is not at character {start} of the text {text!r}")
        end = start + len(word)


def _checked(data: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    """Return an entry, which must be of a kind."""
    if not isinstance(data[name], kind) or isinstance(data[name], bool):
        raise TypeError(f"{name} is {data[name]!r:.60}")
    return data[name]
