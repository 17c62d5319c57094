"""The bundled sample corpora: small, of the project's own writing, and there without a network."""

from __future__ import annotations

from flairlite.data import Corpus
from flairlite.data.corpus import SPLITS
from flairlite.datasets.conllu import read_conllu
from flairlite.datasets.document_classification import ClassificationCorpus
from flairlite.datasets.sequence_labeling import ColumnCorpus
from flairlite.resources import bundled_path


def SAMPLE_ENGLISH() -> Corpus:  # named as the prepared corpora are
    """Load the small English corpus that comes with flairlite; it needs no network.

    It is written for this project, in nine genres, with lemma, UPOS, XPOS and features after the Universal Dependencies
    guidelines; see `resources/sample_english/README.md`. It is for trying things out and for tests: a model trained on
    a few hundred sentences is no good model.
    """
    folder = bundled_path("sample_english")
    train, dev, test = (read_conllu(folder / f"{split}.conllu") for split in SPLITS)
    return Corpus(train, dev, test, name="sample_english")


def SAMPLE_NER() -> ColumnCorpus:
    """Load 421 English sentences with names of persons, places and organisations as spans of the type `ner`.

    They come with flairlite, see `resources/sample_ner/README.md`, and are for trying things out and for tests.
    """
    return ColumnCorpus(bundled_path("sample_ner"), {0: "text", 1: "ner"}, column_delimiter="\t", name="sample_ner")


def SAMPLE_REVIEWS() -> ClassificationCorpus:
    """Load 527 short English reviews, each with a label of the type `sentiment`: positive, negative or neutral.

    They come with flairlite, see `resources/sample_reviews/README.md`, and are for trying things out and for tests.
    """
    return ClassificationCorpus(bundled_path("sample_reviews"), "sentiment", name="sample_reviews")


def SAMPLE_TOPICS() -> ClassificationCorpus:
    """Load the reviews of `SAMPLE_REVIEWS` with what they are about: one or two labels of the type `topic`.

    They come with flairlite, see `resources/sample_topics/README.md`, and are for trying things out and for tests.
    """
    return ClassificationCorpus(bundled_path("sample_topics"), "topic", name="sample_topics")
