"""Compare rule-based tokenizers on raw English text with UD_English-EWT's gold tokens, by character spans.

    python benchmarks/compare_tokenizers.py [--join 10] [FILE.conllu ...]

Without files it reads the dev and test sets of the data mirror that FLAIRLITE_MIRROR names. F1 (a) is over syntactic
words (do | n't), F1 (b) over surface tokens (don't). A token counts when both its ends are right; one that the library
rewrote so that it cannot be found in the text is wrong. `--join N` feeds N sentences as one text, as users do.
A library that is not installed has no row; flairlite's own row has its rules for what stays whole, which
were written with the development set in view. Nothing is written.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

Spans = list[tuple[int, int]]
Tokenize = Callable[[str], Any]  # from a text to its words, or to their spans
Build = Callable[[Any], Tokenize]  # from the library's module to its function
DEFAULT_FILES = tuple(f"ud_english/r2.16/en_ewt-ud-{part}.conllu" for part in ("dev", "test"))


@dataclass(frozen=True)
class GoldText:
    """A raw text with the character spans of its syntactic words and of its surface tokens."""

    text: str
    words: Spans
    tokens: Spans


@dataclass(frozen=True)
class Candidate:
    """A configuration of a library, with the module that is imported for it and whose import is timed."""

    name: str
    package: str
    module: str
    build: Build


@dataclass(frozen=True)
class Score:
    """Counts of right, predicted and gold spans."""

    right: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """The share of the predicted spans that are right."""
        return self.right / max(self.predicted, 1)

    @property
    def recall(self) -> float:
        """The share of the gold spans that were predicted."""
        return self.right / max(self.gold, 1)

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        return 2 * self.right / max(self.predicted + self.gold, 1)


def main() -> None:
    """Print the table, best F1 (a) first."""
    arguments = parse_arguments()
    texts = join_texts([text for path in arguments.files for text in read_gold(path)], arguments.join)
    num_words = sum(len(text.words) for text in texts)
    num_surface = sum(len(text.tokens) for text in texts)
    print(f"{len(texts):,} texts, {num_words:,} syntactic words, {num_surface:,} surface tokens")
    print(f"{'tokenizer':46s}{'version':>11s}{'prec (a)':>10s}{'rec (a)':>9s}{'F1 (a)':>9s}{'F1 (b)':>9s}", end="")
    print(f"{'tokens/s':>11s}{'import s':>10s}")
    rows = [row for candidate in candidates() if (row := measure(candidate, texts, arguments.repeats))]
    for _, line in sorted(rows, reverse=True):
        print(line)


def parse_arguments() -> argparse.Namespace:
    """Return the files, how many sentences make a text and how often each tokenizer is timed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="CoNLL-U files with # text lines")
    parser.add_argument("--join", type=int, default=1, help="sentences a text, joined by a space (default: 1)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs, of which the best counts (default: 3)")
    arguments = parser.parse_args()
    if not arguments.files:
        if not (mirror := os.environ.get("FLAIRLITE_MIRROR")):
            parser.error("name a CoNLL-U file, or the folder of a data mirror in FLAIRLITE_MIRROR")
        arguments.files = [Path(mirror) / name for name in DEFAULT_FILES]
    if missing := [str(path) for path in arguments.files if not path.is_file()]:
        parser.error(f"no such file: {', '.join(missing)}")
    return arguments


def read_gold(path: Path) -> Iterator[GoldText]:
    """Yield the sentences of a CoNLL-U file, placed in their `# text`."""
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        lines = block.split("\n")
        text = next(line.removeprefix("# text = ") for line in lines if line.startswith("# text = "))
        yield place_gold(text, [line.split("\t") for line in lines if not line.startswith("#")])


def place_gold(text: str, rows: list[list[str]]) -> GoldText:
    """Find a sentence's rows in its text; a multi-word token that its words do not spell out is one span."""
    forms = {row[0]: row[1] for row in rows if "." not in row[0]}
    words: Spans = []
    tokens: Spans = []
    end, covered = 0, 0
    for identifier, form in forms.items():
        first, _, last = identifier.partition("-")
        if int(first) <= covered:  # a word inside a multi-word token, placed with it
            continue
        covered = int(last or first)
        start = text.index(form, end)
        end = start + len(form)
        tokens.append((start, end))
        parts = [forms[str(index)] for index in range(int(first), covered + 1)]
        words += spell(start, parts) if "".join(parts) == form else [(start, end)]
    return GoldText(text, words, tokens)


def spell(start: int, parts: list[str]) -> Spans:
    """Return the spans of parts that follow each other without a gap."""
    spans = []
    for part in parts:
        spans.append((start, start + len(part)))
        start += len(part)
    return spans


def join_texts(texts: list[GoldText], size: int) -> list[GoldText]:
    """Join each `size` texts that follow each other by a space."""
    return [concatenate(texts[first : first + size]) for first in range(0, len(texts), size)]


def concatenate(texts: list[GoldText]) -> GoldText:
    """Return one text of several, with the spans moved along."""
    words: Spans = []
    tokens: Spans = []
    base = 0
    for text in texts:
        words += [(base + start, base + end) for start, end in text.words]
        tokens += [(base + start, base + end) for start, end in text.tokens]
        base += len(text.text) + 1
    return GoldText(" ".join(text.text for text in texts), words, tokens)


def candidates() -> list[Candidate]:
    """Return the configurations that a user of these libraries would try; all are rules, none downloads a model."""
    return [
        *segtok_candidates(),
        *syntok_candidates(),
        *sacremoses_candidates(),
        *nltk_candidates(),
        Candidate("white space", "", "re", lambda module: str.split),
        Candidate(r"regex \w+|[^\w\s]", "", "re", lambda module: module.compile(r"\w+|[^\w\s]").findall),
        Candidate("flairlite default (syntok)", "flairlite", "flairlite.tokenization.rules", build_default),
        *(
            Candidate(f"flairlite {name}", "flairlite", "flairlite.tokenization", build_own(name))
            for name in ("SegtokTokenizer", "StaccatoTokenizer")
        ),
    ]


def build_default(module: Any) -> Tokenize:
    """Return flairlite's default tokenizer with nothing remembered of earlier runs."""
    module._split_cached.cache_clear()
    tokenize: Tokenize = module.default_tokenizer().tokenize
    return tokenize


def build_own(name: str) -> Build:
    """Return how another tokenizer of flairlite is made."""
    return lambda module: getattr(module, name)().tokenize  # type: ignore[no-any-return]


def segtok_candidates() -> list[Candidate]:
    """Return segtok as Flair uses it and in its other forms."""

    def build(name: str, *, sentences: bool = False, contractions: bool = True) -> Build:
        def words(module: Any) -> Tokenize:
            first = importlib.import_module("segtok.segmenter").split_single if sentences else lambda text: [text]
            split, last = getattr(module, name), module.split_contractions if contractions else list
            return lambda text: [word for part in first(text) for word in last(split(part)) if word]

        return words

    builds = {
        "segtok as in Flair (sentences, contractions)": build("word_tokenizer", sentences=True),
        "segtok sentences, web + contractions": build("web_tokenizer", sentences=True),
        "segtok word + contractions": build("word_tokenizer"),
        "segtok web + contractions": build("web_tokenizer"),
        "segtok word_tokenizer": build("word_tokenizer", contractions=False),
        "segtok symbol_tokenizer": build("symbol_tokenizer", contractions=False),
    }
    return [Candidate(name, "segtok", "segtok.tokenizer", build) for name, build in builds.items()]


def syntok_candidates() -> list[Candidate]:
    """Return syntok with its two options, each off and on; it knows its tokens' offsets."""

    def build(emit: bool, replace: bool) -> Build:
        def spans(module: Any) -> Tokenize:
            split = module.Tokenizer(emit_hyphen_or_underscore_sep=emit, replace_not_contraction=replace).split
            return lambda text: [(token.offset, token.offset + len(token.value)) for token in split(text)]

        return spans

    return [
        Candidate(
            f"syntok emit_hyphen={emit} replace_not={replace}", "syntok", "syntok.tokenizer", build(emit, replace)
        )
        for emit, replace in itertools.product((False, True), repeat=2)
    ]


def sacremoses_candidates() -> list[Candidate]:
    """Return sacremoses without XML escapes; its `@-@` is the hyphen of the text."""

    def build(*, aggressive: bool, web: bool = False) -> Build:
        def words(module: Any) -> Tokenize:
            moses = module.MosesTokenizer(lang="en")
            options = {
                "aggressive_dash_splits": aggressive,
                "protected_patterns": moses.WEB_PROTECTED_PATTERNS if web else None,
            }
            plain = {"@-@": "-"}
            return lambda text: [plain.get(word, word) for word in moses.tokenize(text, escape=False, **options)]

        return words

    builds = {
        "sacremoses": build(aggressive=False),
        "sacremoses aggressive": build(aggressive=True),
        "sacremoses aggressive, web protected": build(aggressive=True, web=True),
    }
    return [Candidate(name, "sacremoses", "sacremoses", build) for name, build in builds.items()]


def nltk_candidates() -> list[Candidate]:
    """Return NLTK's rules; `span_tokenize` undoes the quotes that the two Treebank tokenizers rewrite."""

    def build(name: str, *, aligned: bool = False) -> Build:
        def words(module: Any) -> Tokenize:
            tokenizer = getattr(module, name)()

            def tokenize(text: str) -> Any:
                try:
                    return list(tokenizer.span_tokenize(text))
                except ValueError:  # NLTK cannot align what it rewrote: its words stand as they are
                    return tokenizer.tokenize(text)

            return tokenize if aligned else tokenizer.tokenize

        return words

    builds = {name: build(name, aligned=True) for name in ("TreebankWordTokenizer", "NLTKWordTokenizer")}
    builds |= {name: build(name) for name in ("TweetTokenizer", "ToktokTokenizer", "WordPunctTokenizer")}
    return [Candidate(f"NLTK {name}", "nltk", "nltk.tokenize", build) for name, build in builds.items()]


def measure(candidate: Candidate, texts: list[GoldText], repeats: int) -> tuple[float, str] | None:
    """Return a candidate's F1 (a) and its line, None when its library is not installed."""
    try:
        module = importlib.import_module(candidate.module)
    except ImportError:
        return None
    seconds = []
    for _ in range(repeats):
        tokenize = candidate.build(module)
        start = time.perf_counter()
        results = [tokenize(text.text) for text in texts]
        seconds.append(time.perf_counter() - start)
    predicted = [to_spans(text.text, result) for text, result in zip(texts, results, strict=True)]
    words = score(predicted, [text.words for text in texts])
    surface = score(predicted, [text.tokens for text in texts])
    counts = f"{words.precision:10.4f}{words.recall:9.4f}{words.f1:9.4f}{surface.f1:9.4f}"
    speed = f"{words.gold / min(seconds):11,.0f}{import_seconds(candidate.module, repeats):10.3f}"
    return words.f1, f"{candidate.name:46s}{version(candidate.package):>11s}{counts}{speed}"


def version(package: str) -> str:
    """Return the version of an installed package, "-" where there is none."""
    try:
        return metadata.version(package) if package else "-"
    except metadata.PackageNotFoundError:
        return "-"


def to_spans(text: str, result: Any) -> Spans:
    """Return spans as they are, and words where they are found from left to right; a lost word is an empty span."""
    spans: Spans = []
    end = 0
    for item in result:
        if isinstance(item, tuple):
            spans.append(item)
        elif (start := text.find(item, end)) < 0:
            spans.append((end, end))
        else:
            end = start + len(item)
            spans.append((start, end))
    return spans


def score(predicted: list[Spans], gold: list[Spans]) -> Score:
    """Count the spans that are right; a text's gold spans are all different."""
    right = sum(len(set(ours) & set(theirs)) for ours, theirs in zip(predicted, gold, strict=True))
    return Score(right, sum(map(len, predicted)), sum(map(len, gold)))


def import_seconds(module: str, repeats: int) -> float:
    """Return the best time of importing a module in a fresh interpreter."""
    if not re.fullmatch(r"[\w.]+", module):
        raise ValueError(f"expected a module's dotted name, got {module!r}")
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    command = [sys.executable, "-c", code]
    return min(float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(repeats))


if __name__ == "__main__":
    main()
