"""Compare sentence splitters on the paragraphs of UD_English-EWT, by character spans.

    python benchmarks/compare_splitters.py [FILE.conllu ...]

Without files it reads the dev and test sets of the data mirror that FLAIRLITE_MIRROR names. A paragraph is its
sentences with a space between each two. A sentence counts when both its ends are right; EWT has many that no full stop
ends, which no rules find. segtok has a row where it is installed. flairlite's rules were written with these texts in
view.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from flairlite.splitter import SegtokSentenceSplitter, SentenceSplitter, SyntokSentenceSplitter

FILES = tuple(f"ud_english/r2.16/en_ewt-ud-{part}.conllu" for part in ("dev", "test"))
Split = Callable[[str], set[tuple[int, int]]]


def main() -> None:
    """Print a row a splitter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    files = parser.parse_args().files or [Path(os.environ["FLAIRLITE_MIRROR"]) / name for name in FILES]
    paragraphs = [paragraph for path in files for paragraph in read_paragraphs(path)]
    print(f"{len(paragraphs):,} paragraphs, {sum(map(len, paragraphs)):,} sentences")
    splits = {type(own).__name__: with_splitter(own) for own in (SegtokSentenceSplitter(), SyntokSentenceSplitter())}
    for name, split in (splits | segtok()).items():
        right = predicted = gold = 0
        start = time.perf_counter()
        for paragraph in paragraphs:
            expected, found = place(paragraph), split(" ".join(paragraph))
            right, predicted, gold = right + len(found & expected), predicted + len(found), gold + len(expected)
        seconds = time.perf_counter() - start
        f1 = 2 * right / (predicted + gold)
        print(f"{name:24s} precision {right / predicted:.4f} recall {right / gold:.4f} F1 {f1:.4f} {seconds:6.2f} s")


def read_paragraphs(path: Path) -> Iterator[list[str]]:
    """Yield the texts of the sentences of each paragraph."""
    paragraph: list[str] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith(("# newpar", "# newdoc")) and paragraph:
            yield paragraph
            paragraph = []
        if line.startswith("# text = "):
            paragraph.append(line.removeprefix("# text = ").strip())
    yield paragraph


def place(sentences: list[str]) -> set[tuple[int, int]]:
    """Return the spans of sentences with a space between each two."""
    spans, start = set(), 0
    for sentence in sentences:
        spans.add((start, start + len(sentence)))
        start += len(sentence) + 1
    return spans


def with_splitter(splitter: SentenceSplitter) -> Split:
    """Return how one of flairlite's splitters gives spans."""
    return lambda text: {(sentence.start_position, sentence.end_position) for sentence in splitter.split(text)}


def segtok() -> dict[str, Split]:
    """Return segtok as Flair uses it, where it is installed."""
    try:
        segmenter = importlib.import_module("segtok.segmenter")
    except ImportError:
        return {}

    def split(text: str) -> set[tuple[int, int]]:
        spans, end = set(), 0
        for sentence in filter(None, map(str.strip, segmenter.split_multi(text))):
            start = text.index(sentence, end)
            end = start + len(sentence)
            spans.add((start, end))
        return spans

    return {"segtok as in Flair": split}


if __name__ == "__main__":
    main()
