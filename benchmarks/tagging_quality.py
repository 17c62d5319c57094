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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
        size = path_of_model(Path(model)).stat().st_size / 1e6
        print(f"{model}: {size:.1f} MB, {speed_of(tagger, sentences):,.0f} words/s")
        for label_type in tagger.label_types:
            report(compare(tagger, label_type, sentences, known), label_type, options.errors)
        if options.raw:
            write_raw(tagger, sentences, options.raw)


def speed_of(
    tagger: SequenceTagger, sentences: Sequence[Sentence], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the words per second of a clock in prediction, the best of three runs over new sentences."""
    seconds = []
    for _ in range(3):
        copies = [Sentence(list(sentence.words)) for sentence in sentences]
        start = clock()
        tagger.predict(copies, mini_batch_size=128)
        seconds.append(clock() - start)
    return sum(map(len, sentences)) / min(seconds)


@dataclass
class Prediction:
    """A word with its gold and its predicted label."""

    gold: str
    found: str
    genre: str
    is_known: bool
    context: str  # the word in brackets, between its neighbors


def compare(
    tagger: SequenceTagger, label_type: str, sentences: Sequence[Sentence], known: set[str]
) -> list[Prediction]:
    """Predict the labels of copies of sentences, and compare them with those of the sentences."""
    predictions = []
    genre = ""
    copies = [Sentence(list(sentence.words)) for sentence in sentences]
    tagger.predict(copies, mini_batch_size=128, label_types=[label_type])
    for sentence, copy in zip(sentences, copies, strict=True):
        genre = next((name for name in GENRES if str(sentence.get_metadata("sent_id")).startswith(name)), genre)
        words = sentence.words
        for index, (token, other) in enumerate(zip(sentence, copy, strict=True)):
            gold, found = (item.get_label(label_type).value for item in (token, other))
            context = [*words[max(0, index - 7) : index], f"[{token.text}]", *words[index + 1 : index + 7]]
            predictions.append(Prediction(gold, found, genre, token.text.lower() in known, " ".join(context)))
    return predictions


def accuracy_by_group(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Return the accuracy on all words, known and unknown words, and the words of each genre."""
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for word in predictions:
        for group in ("all", word.genre, "known" if word.is_known else "unknown"):
            right[group].append(word.gold == word.found)
    return {
        group: sum(right[group]) / len(right[group]) for group in ("all", "known", "unknown", *GENRES) if group in right
    }


def report(predictions: Sequence[Prediction], label_type: str, num_errors: int) -> None:
    """Print the accuracy of a label type by group, what is confused, and some errors drawn at random."""
    figures = ", ".join(f"{group} {accuracy:.4f}" for group, accuracy in accuracy_by_group(predictions).items())
    num_unknown = sum(not word.is_known for word in predictions)
    print(f"  {label_type}: {figures}; {num_unknown:,} of {len(predictions):,} words are unknown")
    errors = [word for word in predictions if word.gold != word.found]
    pairs = Counter((word.gold, word.found) for word in errors).most_common(12)
    print("  gold > predicted:", ", ".join(f"{gold} > {found} {count}" for (gold, found), count in pairs))
    for word in random.Random(0).sample(errors, min(num_errors, len(errors))):
        print(f"    {word.gold} > {word.found}: {word.context}")


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
