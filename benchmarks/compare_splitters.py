"""Compare sentence splitters on the paragraphs of UD_English-EWT, by character spans.

    python benchmarks/compare_splitters.py [FILE.conllu ...]

Without arguments, reads the dev and test sets from the data mirror that FLAIRLITE_MIRROR names. Sentences are joined by
a space to form a paragraph. A predicted sentence is correct if both its boundaries are. Many sentences in EWT end
without a full stop, and rule-based splitters cannot find these. segtok is included if it is installed. The rules of
flairlite were developed on these texts.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import measuring

from flairlite.splitter import SegtokSentenceSplitter, SentenceSplitter, SyntokSentenceSplitter

FILES = tuple(f"ud_english/r2.16/en_ewt-ud-{part}.conllu" for part in ("dev", "test"))
Split = Callable[[str], set[tuple[int, int]]]


def main() -> None:
    """Print one row per splitter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    files = parser.parse_args().files or [measuring.mirror() / name for name in FILES]
    paragraphs = [paragraph for path in files for paragraph in read_paragraphs(path)]
    print(f"{len(paragraphs):,} paragraphs, {sum(map(len, paragraphs)):,} sentences")
    splitters = (SegtokSentenceSplitter(), SyntokSentenceSplitter())
    functions = {type(splitter).__name__: make_split(splitter) for splitter in splitters}
    for name, split in (functions | make_segtok_split()).items():
        correct = predicted = gold = 0
        start = time.perf_counter()
        for paragraph in paragraphs:
            expected, found = join_spans(paragraph), split(" ".join(paragraph))
            correct, predicted, gold = correct + len(found & expected), predicted + len(found), gold + len(expected)
        seconds = time.perf_counter() - start
        precision, recall, f1 = correct / predicted, correct / gold, 2 * correct / (predicted + gold)
        print(f"{name:24s} precision {precision:.4f} recall {recall:.4f} F1 {f1:.4f} {seconds:6.2f} s")


def read_paragraphs(path: Path) -> Iterator[list[str]]:
    """Yield each paragraph of a CoNLL-U file as a list of sentence texts."""
    paragraph: list[str] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith(("# newpar", "# newdoc")) and paragraph:
            yield paragraph
            paragraph = []
        if line.startswith("# text = "):
            paragraph.append(line.removeprefix("# text = ").strip())
    yield paragraph


def join_spans(sentences: list[str]) -> set[tuple[int, int]]:
    """Return the character spans of sentences in the text that joins them by a space."""
    spans, start = set(), 0
    for sentence in sentences:
        spans.add((start, start + len(sentence)))
        start += len(sentence) + 1
    return spans


def make_split(splitter: SentenceSplitter) -> Split:
    """Return a function that maps a text to the character spans of its sentences."""
    return lambda text: {(sentence.start_position, sentence.end_position) for sentence in splitter.split(text)}


def make_segtok_split() -> dict[str, Split]:
    """Return segtok's splitter as Flair calls it; empty if segtok is not installed."""
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
