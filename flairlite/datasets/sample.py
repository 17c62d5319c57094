"""Small corpora that are bundled with flairlite, so that they need no network."""

from __future__ import annotations

from flairlite.bundled import bundled
from flairlite.data import Corpus
from flairlite.data.corpus import SPLITS
from flairlite.datasets.conllu import read_conllu
from flairlite.datasets.corpora import ClassificationCorpus, ColumnCorpus


def SAMPLE_ENGLISH() -> Corpus:
    """Load a small English corpus with lemma, UPOS, XPOS and morphological features.

    It was written for this project, in nine genres, after the guidelines of Universal Dependencies; see
    `resources/sample_english/README.md`. It serves for trials and tests: it is too small to train a good model.
    """
    folder = bundled("sample_english")
    train, dev, test = (read_conllu(folder / f"{split}.conllu") for split in SPLITS)
    return Corpus(train, dev, test, name="sample_english")


def SAMPLE_NER() -> ColumnCorpus:
    """Load 421 English sentences with names of persons, places and organisations as spans of the type `ner`.

    They serve for trials and tests; see `resources/sample_ner/README.md`.
    """
    return ColumnCorpus(bundled("sample_ner"), {0: "text", 1: "ner"}, column_delimiter="\t", name="sample_ner")


def SAMPLE_REVIEWS() -> ClassificationCorpus:
    """Load 527 short English reviews, each with a label of the type `sentiment`: positive, negative or neutral.

    They serve for trials and tests; see `resources/sample_reviews/README.md`.
    """
    return ClassificationCorpus(bundled("sample_reviews"), "sentiment", name="sample_reviews")


def SAMPLE_TOPICS() -> ClassificationCorpus:
    """Load the reviews of `SAMPLE_REVIEWS` with one or two labels of the type `topic`.

    They serve for trials and tests; see `resources/sample_topics/README.md`.
    """
    return ClassificationCorpus(bundled("sample_topics"), "topic", name="sample_topics")
