"""Annotated sentences in one line of text."""

from __future__ import annotations

from flairlite.data import Sentence


def tagged(text: str, label_type: str = "pos") -> Sentence:
    """Return a sentence whose words have labels, as in `the/DET dog/NOUN`; a word without a slash has no label."""
    pairs = [part.rpartition("/") if "/" in part else (part, "", None) for part in text.split()]
    return Sentence([word for word, _, _ in pairs]).set_token_labels(label_type, [label for _, _, label in pairs])
