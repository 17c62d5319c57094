"""Train a bundled tagger, after its teachers: `train_upos_best.py upos|upos-fast masc_tagged.zip [seed]`."""

import sys

from fine_tune_upos_teacher import FOLDER
from upos_resources import read_masc, word_features

import flairlite
from flairlite.data import Corpus, MultiCorpus
from flairlite.datasets import UD_ENGLISH
from flairlite.embeddings import OneHotEmbeddings, StackedEmbeddings, TokenEmbeddings, WordEmbeddings
from flairlite.models import SequenceTagger, SoftLabels
from flairlite.samplers import MultiCorpusSampler
from flairlite.trainers import ModelTrainer
from flairlite.trainers.plugins import OneCycleSchedulerPlugin

NETWORK = {"hidden_size": 192, "locked_dropout": 0.3, "rnn_layers": 2, "rnn_dropout": 0.3, "rnn_residual": True}
SMALL_NETWORK = {"hidden_size": 112, "locked_dropout": 0.2}
LOSSES = {"head_weights": {"xpos": 0.5}, "label_smoothing": 0.03}
AUGMENTATION = {"augment_lowercase": 0.04, "augment_uppercase": 0.02, "augment_nopunct": 0.1}
SETTINGS = {"learning_rate": 3e-3, "optimizer": "AdamW", "mini_batch_size": 48, "max_epochs": 25, "max_grad_norm": 2.0}


def make_embeddings(corpus: Corpus, *, small: bool = False) -> list[TokenEmbeddings]:
    """Make embeddings of a part of GloVe in four bits a value, a trained table, the spelling of words and lexica."""
    glove = WordEmbeddings("glove").vectors.keep(20_000 if small else 60_000).compact(4)
    options = {"min_freq": 3 if small else 2, "lower_case": True, "zero_digits": True, "unk_alpha": 0.25}
    table = OneHotEmbeddings.from_corpus(corpus, embedding_length=24 if small else 80, **options)
    return [WordEmbeddings(glove, name="glove"), table, *word_features(small=small)]


def main(name: str, path: str, seed: int = 1) -> None:
    """Train the tagger `upos` or `upos-fast` with the texts of a file, and save the model."""
    flairlite.set_seed(seed)
    small, label_types = name == "upos-fast", ("upos", "xpos")
    treebank = UD_ENGLISH()
    texts = read_masc(path, [*treebank.dev, *treebank.test])
    for label_type in label_types:
        SoftLabels.load(FOLDER / f"{label_type}.pt").attach(texts, f"{label_type}_teacher")
    embeddings = StackedEmbeddings(make_embeddings(treebank, small=small))
    labels = {label_type: treebank.make_label_dictionary(label_type, add_unk=False) for label_type in label_types}
    options = {"use_crf": False, "reproject_embeddings": False, **(SMALL_NETWORK if small else NETWORK), **LOSSES}
    soft_labels = {label_type: f"{label_type}_teacher" for label_type in label_types}
    tagger = SequenceTagger(embeddings, labels, "upos", soft_labels=soft_labels, **options)
    trainer = ModelTrainer(tagger, MultiCorpus([treebank, Corpus(texts)], ["treebank", "texts"]))
    base_path = f"resources/taggers/{name}-{seed}"
    sampler = MultiCorpusSampler({"texts": 0.5})  # each epoch has the treebank and half of the texts
    options = {"plugins": [OneCycleSchedulerPlugin(warmup_fraction=0.1)], "use_amp": "auto", "resume": True}
    trainer.train(base_path, sampler=sampler, **options, **SETTINGS, **AUGMENTATION)
    if small:
        tagger.drop_heads("xpos")
    tagger.save(f"{base_path}/{name}.pt", half_precision=True)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("upos", "upos-fast"):
        raise SystemExit(__doc__)
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
