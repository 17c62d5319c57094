"""Progress is shown where it can be, and input is read in parts."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterator

import pytest

from flairlite.data import Sentence
from flairlite.prediction import sentences as module
from flairlite.prediction.sentences import SentenceReader, read_chunks, show_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_progress_is_shown_if_tqdm_is_installed(has_tqdm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if has_tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    chunks = [([Sentence("a"), Sentence("b")], None), ([Sentence("c")], None)]
    assert list(show_progress(iter(chunks), True)) == chunks
    assert ("3 sentences" in terminal.getvalue()) == has_tqdm


def test_input_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_SIZE", 2)
    taken = []

    def texts() -> Iterator[str]:
        for text in "abcde":
            taken.append(text)
            yield text

    chunks = read_chunks(texts(), SentenceReader(None, ["pos"]))
    assert [sentence.text for sentence in next(chunks)] == ["a", "b"]
    assert taken == ["a", "b"]
    assert [[sentence.text for sentence in chunk] for chunk in chunks] == [["c", "d"], ["e"]]


def test_few_long_sentences_are_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_WORDS", 4)
    texts = ["a b c", "d e", "f", "g h i j k", "l"]
    chunks = read_chunks([Sentence(text.split()) for text in texts], SentenceReader(None, ["pos"]))
    assert [[" ".join(sentence.words) for sentence in chunk] for chunk in chunks] == [
        ["a b c", "d e"],
        ["f", "g h i j k"],
        ["l"],
    ]
