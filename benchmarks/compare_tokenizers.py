"""Compare rule-based tokenizers with the gold tokens of UD_English-EWT on raw text, by character spans.

    python benchmarks/compare_tokenizers.py [--join 10] [FILE.conllu ...]

Without arguments, reads the dev and test sets from the data mirror that FLAIRLITE_MIRROR names. F1 (a) is computed over
syntactic words (do | n't), F1 (b) over surface tokens (don't). A token is correct if both its boundaries are; a token
that the library rewrote so that it does not occur in the text is wrong. `--join N` passes N sentences as one text.
Libraries that are not installed are skipped. The rules of flairlite's default tokenizer were developed on the dev set.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import measuring

Spans = list[tuple[int, int]]
Tokenize = Callable[[str], Any]  # maps a text to its words or to their spans
Build = Callable[[Any], Tokenize]  # maps the module of a library to its tokenize function
DEFAULT_FILES = tuple(f"ud_english/r2.16/en_ewt-ud-{part}.conllu" for part in ("dev", "test"))


@dataclass(frozen=True)
class GoldText:
    """A raw text with the character spans of its syntactic words and its surface tokens."""

    text: str
    words: Spans
    tokens: Spans


@dataclass(frozen=True)
class Candidate:
    """A configuration of a library; `module` is the module whose import is timed."""

    name: str
    package: str
    module: str
    build: Build


@dataclass(frozen=True)
class Score:
    """Counts of correct, predicted and gold spans."""

    correct: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """The share of predicted spans that are correct."""
        return self.correct / max(self.predicted, 1)

    @property
    def recall(self) -> float:
        """The share of gold spans that were predicted."""
        return self.correct / max(self.gold, 1)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.correct / max(self.predicted + self.gold, 1)


def main() -> None:
    """Print the table, sorted by F1 (a)."""
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
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="CoNLL-U files with # text lines")
    parser.add_argument("--join", type=int, default=1, help="sentences per text, joined by a space (default: 1)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs; the best one is reported (default: 3)")
    arguments = parser.parse_args()
    if not arguments.files:
        arguments.files = [measuring.mirror() / name for name in DEFAULT_FILES]
    if missing := [str(path) for path in arguments.files if not path.is_file()]:
        parser.error(f"no such file: {', '.join(missing)}")
    return arguments


def read_gold(path: Path) -> Iterator[GoldText]:
    """Yield the sentences of a CoNLL-U file, aligned with their `# text`."""
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        lines = block.split("\n")
        text = next(line.removeprefix("# text = ") for line in lines if line.startswith("# text = "))
        yield align_gold(text, [line.split("\t") for line in lines if not line.startswith("#")])


def align_gold(text: str, rows: list[list[str]]) -> GoldText:
    """Align the rows of a sentence with its text. A multi-word token whose words do not spell it is one span."""
    forms = {row[0]: row[1] for row in rows if "." not in row[0]}
    words: Spans = []
    tokens: Spans = []
    end, covered = 0, 0
    for identifier, form in forms.items():
        first, _, last = identifier.partition("-")
        if int(first) <= covered:  # a word inside a multi-word token, which was aligned as a whole
            continue
        covered = int(last or first)
        start = text.index(form, end)
        end = start + len(form)
        tokens.append((start, end))
        parts = [forms[str(index)] for index in range(int(first), covered + 1)]
        words += adjacent_spans(start, parts) if "".join(parts) == form else [(start, end)]
    return GoldText(text, words, tokens)


def adjacent_spans(start: int, parts: list[str]) -> Spans:
    """Return the spans of strings that follow each other without a gap."""
    spans = []
    for part in parts:
        spans.append((start, start + len(part)))
        start += len(part)
    return spans


def join_texts(texts: list[GoldText], size: int) -> list[GoldText]:
    """Join every `size` consecutive texts by a space."""
    return [concatenate(texts[first : first + size]) for first in range(0, len(texts), size)]


def concatenate(texts: list[GoldText]) -> GoldText:
    """Return the concatenation of texts, with the spans shifted."""
    words: Spans = []
    tokens: Spans = []
    base = 0
    for text in texts:
        words += [(base + start, base + end) for start, end in text.words]
        tokens += [(base + start, base + end) for start, end in text.tokens]
        base += len(text.text) + 1
    return GoldText(" ".join(text.text for text in texts), words, tokens)


def candidates() -> list[Candidate]:
    """Return the configurations to compare; all are rule-based, and none downloads a model."""
    return [
        *segtok_candidates(),
        *syntok_candidates(),
        *sacremoses_candidates(),
        *nltk_candidates(),
        Candidate("white space", "", "re", lambda module: str.split),
        Candidate(r"regex \w+|[^\w\s]", "", "re", lambda module: module.compile(r"\w+|[^\w\s]").findall),
        Candidate("flairlite default (syntok)", "flairlite", "flairlite.tokenization.rules", build_default),
        *(
            Candidate(f"flairlite {name}", "flairlite", "flairlite.tokenization", build_flairlite(name))
            for name in ("SegtokTokenizer", "StaccatoTokenizer")
        ),
    ]


def build_default(module: Any) -> Tokenize:
    """Return flairlite's default tokenizer with an empty cache."""
    module._split_cached.cache_clear()
    tokenize: Tokenize = module.default_tokenizer().tokenize
    return tokenize


def build_flairlite(name: str) -> Build:
    """Return the build function of a tokenizer class of flairlite."""
    return lambda module: getattr(module, name)().tokenize  # type: ignore[no-any-return]


def segtok_candidates() -> list[Candidate]:
    """Return segtok as Flair calls it and in its other configurations."""

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
    """Return syntok with each combination of its two options; syntok reports character offsets."""

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
    """Return sacremoses without XML escapes; it writes hyphens as `@-@`."""

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
    """Return NLTK's tokenizers; `span_tokenize` aligns the quotes that the two Treebank tokenizers rewrite."""

    def build(name: str, *, aligned: bool = False) -> Build:
        def words(module: Any) -> Tokenize:
            tokenizer = getattr(module, name)()

            def tokenize(text: str) -> Any:
                try:
                    return list(tokenizer.span_tokenize(text))
                except ValueError:  # NLTK cannot align the words that it rewrote: keep the words
                    return tokenizer.tokenize(text)

            return tokenize if aligned else tokenizer.tokenize

        return words

    builds = {name: build(name, aligned=True) for name in ("TreebankWordTokenizer", "NLTKWordTokenizer")}
    builds |= {name: build(name) for name in ("TweetTokenizer", "ToktokTokenizer", "WordPunctTokenizer")}
    return [Candidate(f"NLTK {name}", "nltk", "nltk.tokenize", build) for name, build in builds.items()]


def measure(candidate: Candidate, texts: list[GoldText], repeats: int) -> tuple[float, str] | None:
    """Return the F1 (a) and the table row of a candidate; None if its library is not installed."""
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
    scores = f"{words.precision:10.4f}{words.recall:9.4f}{words.f1:9.4f}{surface.f1:9.4f}"
    speed = f"{words.gold / min(seconds):11,.0f}{import_seconds(candidate.module, repeats):10.3f}"
    return words.f1, f"{candidate.name:46s}{version(candidate.package):>11s}{scores}{speed}"


def version(package: str) -> str:
    """Return the version of an installed package, or "-"."""
    try:
        return metadata.version(package) if package else "-"
    except metadata.PackageNotFoundError:
        return "-"


def to_spans(text: str, result: Any) -> Spans:
    """Return the spans of a result; words are searched from left to right, and a missing word is an empty span."""
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
    """Compare predicted with gold spans, text by text; the gold spans of a text are distinct."""
    correct = sum(len(set(found) & set(expected)) for found, expected in zip(predicted, gold, strict=True))
    return Score(correct, sum(map(len, predicted)), sum(map(len, gold)))


def import_seconds(module: str, repeats: int) -> float:
    """Return the minimum import time of a module in a new interpreter."""
    if not re.fullmatch(r"[\w.]+", module):
        raise ValueError(f"module must be a dotted name, got {module!r}")
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    command = [sys.executable, "-c", code]
    return min(float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(repeats))


if __name__ == "__main__":
    main()
