"""Evaluate part-of-speech taggers on UD_English-EWT: by genre, on unknown words, and how fast they predict.

    python benchmarks/tagging_quality.py MODEL... [--split dev|test] [--errors 10] [--raw FILE]

A MODEL is a file or the name of a bundled tagger. A word is unknown if the training split lacks it, in any case.
`--raw` also tags the text of the split, which flairlite splits into sentences and words, and writes the result in
CoNLL-U, for the measure of the CoNLL 2018 shared task: `eval.py -v en_ewt-ud-test.conllu FILE` of
github.com/UniversalDependencies/tools.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from flairlite.bundled import path_of_model
from flairlite.data import Sentence
from flairlite.datasets import UD_ENGLISH
from flairlite.models import SequenceTagger
from flairlite.splitter import SegtokSentenceSplitter

GENRES = ("answers", "email", "newsgroup", "reviews", "weblog")


def main() -> None:
    """Print the figures of each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--split", default="test", choices=("dev", "test"))
    parser.add_argument("--errors", type=int, default=0, help="how many wrong words to show, drawn at random")
    parser.add_argument("--raw", type=Path, metavar="FILE", help="a file for the result of the text of the split")
    options = parser.parse_args()
    corpus = UD_ENGLISH()
    sentences: Sequence[Sentence] = getattr(corpus, options.split)
    known = {word.lower() for sentence in corpus.train for word in sentence.words}
    for model in options.models:
        tagger = SequenceTagger.load(model)
        print(f"{model}: {path_of_model(Path(model)).stat().st_size / 1e6:.1f} MB, {speed_of(tagger, sentences)}")
        for label_type in tagger.label_types:
            report(tagger, label_type, sentences, known, options.errors)
        if options.raw:
            write_raw(tagger, sentences, options.raw)


def speed_of(tagger: SequenceTagger, sentences: Sequence[Sentence]) -> str:
    """Return the speed of prediction, the best of three runs over new sentences."""
    seconds = []
    for _ in range(3):
        copies = [Sentence(list(sentence.words)) for sentence in sentences]
        start = time.perf_counter()
        tagger.predict(copies, mini_batch_size=128)
        seconds.append(time.perf_counter() - start)
    return f"{sum(map(len, sentences)) / min(seconds):,.0f} words/s"


def report(
    tagger: SequenceTagger, label_type: str, sentences: Sequence[Sentence], known: set[str], num_errors: int
) -> None:
    """Print the accuracy of a label type on all words, unknown words and each genre, and what is confused."""
    right: defaultdict[str, list[bool]] = defaultdict(list)
    errors: list[tuple[str, str, str]] = []
    genre = ""
    copies = [Sentence(list(sentence.words)) for sentence in sentences]
    tagger.predict(copies, mini_batch_size=128, label_types=[label_type])
    for gold, found in zip(sentences, copies, strict=True):
        genre = next((name for name in GENRES if str(gold.get_metadata("sent_id")).startswith(name)), genre)
        for token, other in zip(gold, found, strict=True):
            expected, predicted = (item.get_label(label_type).value for item in (token, other))
            for group in ("all", genre, "known" if token.text.lower() in known else "unknown"):
                right[group].append(expected == predicted)
            if expected != predicted:
                words = [item.text for item in gold]
                words[token.idx - 1] = f"[{token.text}]"
                errors.append((expected, predicted, " ".join(words[max(0, token.idx - 8) : token.idx + 6])))
    figures = [f"{group} {sum(right[group]) / len(right[group]):.4f}" for group in ("all", "known", "unknown", *GENRES)]
    print(f"  {label_type}: {', '.join(figures)}; {len(right['unknown']):,} of {len(right['all']):,} words are unknown")
    pairs = Counter((expected, predicted) for expected, predicted, _ in errors).most_common(12)
    print("  gold > predicted:", ", ".join(f"{gold} > {other} {count}" for (gold, other), count in pairs))
    for expected, predicted, context in random.Random(0).sample(errors, min(num_errors, len(errors))):
        print(f"    {expected} > {predicted}: {context}")


def write_raw(tagger: SequenceTagger, sentences: Sequence[Sentence], path: Path) -> None:
    """Tag the text of the paragraphs of the sentences, and write a CoNLL-U file."""
    paragraphs: list[list[str]] = []
    for sentence in sentences:
        is_start = any(str(key).startswith(("newpar", "newdoc")) for key in sentence.metadata)
        if is_start or not paragraphs:
            paragraphs.append([])
        paragraphs[-1].append(sentence.to_original_text())
    splitter = SegtokSentenceSplitter()
    found = list(chain.from_iterable(splitter.split(" ".join(paragraph)) for paragraph in paragraphs))
    tagger.predict(found, mini_batch_size=128)
    lines = []
    for sentence in found:
        for token in sentence:
            tags = [token.get_label(name).value if token.has_label(name) else "_" for name in ("upos", "xpos")]
            head = f"{token.idx - 1}\tdep" if token.idx > 1 else "0\troot"
            lines.append(f"{token.idx}\t{token.text}\t_\t{tags[0]}\t{tags[1]}\t_\t{head}\t_\t_")
        lines.append("")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
