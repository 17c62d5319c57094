"""The bundled sample corpus."""

from __future__ import annotations

from flairlite.bundled import bundled
from flairlite.data import Corpus
from flairlite.data.corpus import SPLITS
from flairlite.datasets.conllu import read_conllu


def SAMPLE_ENGLISH() -> Corpus:  # named as the prepared corpora are
    """Load the small English corpus that comes with flairlite; it needs no network.

    It is written for this project, in nine genres, with lemma, UPOS, XPOS and features after the Universal Dependencies
    guidelines; see `resources/sample_english/README.md`. It is for trying things out and for tests: a model trained on
    a few hundred sentences is no good model.
    """
    folder = bundled("sample_english")
    train, dev, test = (read_conllu(folder / f"{split}.conllu") for split in SPLITS)
    return Corpus(train, dev, test, name="sample_english")
