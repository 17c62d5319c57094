"""Write small exported models and their predictions to a folder, for tests that have no torch.

    python tests/support/make_exports.py FOLDER

`tests/data/exports` has those of each format; `.ci/run` makes them anew with the version that it tests.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from exports import sharpen
from tiny_transformers import save_transformer

from flairlite.data import Dictionary, Sentence
from flairlite.deploy.file_format import FORMAT_VERSION
from flairlite.embeddings import (
    AffixEmbeddings,
    CharacterCNNEmbeddings,
    CharacterEmbeddings,
    ClusterEmbeddings,
    DocumentCNNEmbeddings,
    DocumentPoolEmbeddings,
    FlairEmbeddings,
    HashEmbeddings,
    LexiconEmbeddings,
    StackedEmbeddings,
    SubwordEmbeddings,
    TransformerDocumentEmbeddings,
    TransformerWordEmbeddings,
    WordEmbeddings,
    WordShapeEmbeddings,
)
from flairlite.models import Model, SequenceTagger, TextClassifier

FLAIR = Path(__file__).resolve().parents[1] / "data" / "flair"
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
    """Return models of words, of spans, of sentences, and of two label types."""
    generator = np.random.default_rng(0)
    vectors = WordEmbeddings(dict(zip(WORDS, generator.normal(size=(len(WORDS), 6)), strict=True)))
    labels = Dictionary.from_items(["<unk>", "A", "B", "C"])
    spans = Dictionary.from_items(["<unk>", "PER", "LOC"])
    spans.span_labels = True
    known = Dictionary.from_items(["<unk>", *"abcdefgilnotv."])
    characters = CharacterEmbeddings(known, 4, 4)
    of_words = [
        CharacterCNNEmbeddings(known, 4, 3),
        AffixEmbeddings(3, 3, 40),
        WordShapeEmbeddings(3, 20),
        LexiconEmbeddings({"the": "DET", "dog": ["NOUN", "VERB"], "doglike": "ADJ"}, 4),
        ClusterEmbeddings({"the": "00", "dog": "0110", "lives": "111"}, 3, (1, 3)),
    ]
    models: dict[str, Model] = {
        "words": SequenceTagger(vectors, labels, "pos", hidden_size=5),
        "spans": SequenceTagger(StackedEmbeddings([vectors, characters]), spans, "ner", hidden_size=5, use_crf=False),
        "sentences": TextClassifier(
            DocumentPoolEmbeddings([vectors, SubwordEmbeddings(4, 40), HashEmbeddings(9, 3)]), "topic", labels
        ),
        "types": SequenceTagger(
            StackedEmbeddings(of_words), {"pos": labels, "ner": spans}, "pos", hidden_size=5, use_crf={"ner": False}
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        transformer = save_transformer("bert", Path(folder, "bert"))
        parts = [
            TransformerWordEmbeddings(transformer, subtoken_pooling="mean"),
            FlairEmbeddings(FLAIR / "lm-backward.pt"),
        ]
        models["transformer-words"] = SequenceTagger(StackedEmbeddings([vectors, *parts]), labels, "pos", use_rnn=False)
        models["transformer-sentences"] = TextClassifier(
            TransformerDocumentEmbeddings(transformer, cls_pooling="mean", allow_long_sentences=True), "topic", labels
        )
    models["convolutions"] = TextClassifier(
        DocumentCNNEmbeddings([vectors, FlairEmbeddings(FLAIR / "lm-gru.pt")], ((3, 2), (3, 3))), "topic", labels
    )
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
