"""Write small exported models and their predictions to a folder, for tests that have no torch.

    python tests/support/make_exports.py FOLDER

`tests/data/exports` has those of each format; `.ci/run` makes them anew with the version that it tests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from exports import sharpen

from flairlite.data import Dictionary, Sentence
from flairlite.deploy.file_format import FORMAT_VERSION
from flairlite.embeddings import (
    CharacterEmbeddings,
    DocumentPoolEmbeddings,
    HashEmbeddings,
    StackedEmbeddings,
    SubwordEmbeddings,
    WordEmbeddings,
)
from flairlite.models import Model, SequenceTagger, TextClassifier

WORDS = ["the", "dog", "été", "中文", "##", "00", "Ada", "Lovelace", "London", "lives", "in", "."]
TEXTS = [
    "The dog lives in London.",
    "été 中文",
    "dog 42 77 the the",
    "unheard-of",
    "",
    "Ada Lovelace doesn't live in the été of London. " * 3,
]


def make_models() -> dict[str, Model]:
    """Return a model of words, one of spans and one of sentences."""
    generator = np.random.default_rng(0)
    vectors = WordEmbeddings(dict(zip(WORDS, generator.normal(size=(len(WORDS), 6)), strict=True)))
    labels = Dictionary.from_items(["<unk>", "A", "B", "C"])
    spans = Dictionary.from_items(["<unk>", "PER", "LOC"])
    spans.span_labels = True
    characters = CharacterEmbeddings(Dictionary.from_items(["<unk>", *"abcdefgilnotv."]), 4, 4)
    models: dict[str, Model] = {
        "words": SequenceTagger(vectors, labels, "pos", hidden_size=5),
        "spans": SequenceTagger(StackedEmbeddings([vectors, characters]), spans, "ner", hidden_size=5, use_crf=False),
        "sentences": TextClassifier(
            DocumentPoolEmbeddings([vectors, SubwordEmbeddings(4, 40), HashEmbeddings(9, 3)]), "topic", labels
        ),
    }
    for model in models.values():
        model.compact()
        sharpen(model)
    return models


def main(folder: Path) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in make_models().items():
        path = folder / f"format-{FORMAT_VERSION}-{name}.onnx"
        model.export(path)
        sentences = model.predict(list(map(Sentence, TEXTS)))
        rows = [json.dumps(sentence.to_dict(), ensure_ascii=False) for sentence in sentences]
        path.with_suffix(".json").write_text("[\n" + ",\n".join(rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
