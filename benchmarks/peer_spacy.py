"""Measure a spaCy tagger with spaCy's default CPU settings on the same sentences. Prints one line of JSON.

    PYTHON-WITH-SPACY benchmarks/peer_spacy.py [--seed 0]

The model is spaCy's small convolutional network, trained for three epochs on a tenth of the treebank.
"""

from __future__ import annotations

import random
import time
from statistics import median
from typing import Any

import measuring
import workloads
from measuring import Figures, Options, timing
from workloads import Tagger

EPOCHS = 3


def tagger(options: Options) -> Figures:
    """Train spaCy's morphologizer, and measure training and prediction."""
    figures: Figures = {}
    with timing(figures, "import_s"):
        import spacy
    nlp = train_pipeline(options, figures)
    test = workloads.read_tagged(options.treebank("test"))
    figures |= workloads.measure_prediction(adapt(nlp), test, (*workloads.BATCH_SIZES, 512))
    figures["versions"] = {**measuring.versions("thinc"), "spacy": spacy.__version__}
    return figures


def train_pipeline(options: Options, figures: Figures) -> Any:
    """Train spaCy's morphologizer, and store its speed and its accuracy on the development split in `figures`."""
    from spacy.cli.init_config import init_config
    from spacy.util import load_model_from_config
    from thinc.api import fix_random_seed

    fix_random_seed(options.seed)
    config = init_config(lang="en", pipeline=["morphologizer"], optimize="efficiency")
    nlp = load_model_from_config(config, auto_fill=True)
    train, dev = _examples(nlp, options, "train"), _examples(nlp, options, "dev")
    nlp.initialize(lambda: train)
    sample = random.Random(options.seed).sample(train, min(1254, len(train)))
    figures["train_tokens_per_s"] = _train(nlp, sample, options.seed)
    figures["dev_accuracy"] = nlp.evaluate(dev)["pos_acc"]
    return nlp


def adapt(nlp: Any) -> Tagger:
    """Adapt a pipeline of spaCy."""
    from spacy.tokens import Doc

    return Tagger(
        make=lambda words: Doc(nlp.vocab, words=words),
        predict=lambda docs, size: list(nlp.pipe(docs, batch_size=size)),
        predict_one=nlp,
        tags=lambda doc: [token.pos_ for token in doc],
    )


def _examples(nlp: Any, options: Options, split: str) -> list[Any]:
    from spacy.tokens import DocBin
    from spacy.training import Corpus
    from spacy.training.converters import conllu_to_docs

    docs = conllu_to_docs(options.treebank(split).read_text(encoding="utf-8"), n_sents=1, no_print=True)
    path = options.folder / f"{split}.spacy"
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return list(Corpus(path)(nlp))


def _train(nlp: Any, sample: list[Any], seed: int) -> float:
    """Train, and return the tokens per second of the median epoch."""
    from spacy.util import minibatch

    optimizer = nlp.create_optimizer()
    seconds = []
    for epoch in range(EPOCHS):
        random.Random(seed + epoch).shuffle(sample)
        start = time.perf_counter()
        for batch in minibatch(sample, 32):
            nlp.update(batch, sgd=optimizer)
        seconds.append(time.perf_counter() - start)
    return sum(len(example.reference) for example in sample) / median(seconds)


if __name__ == "__main__":
    measuring.run_parts(__file__, __doc__, {"tagger": tagger})
