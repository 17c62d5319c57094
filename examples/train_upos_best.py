"""Train a bundled tagger: `train_upos_best.py upos|upos-fast masc_tagged.zip [seed]`, after fine_tune_upos_teacher.py.

The data are EWT, GloVe, the lexica of upos_resources.py, and the texts of MASC with the predictions of the teachers.
"""

import sys

from fine_tune_upos_teacher import FOLDER
from upos_resources import read_masc, word_features

import flairlite
from flairlite.data import Corpus, MultiCorpus
from flairlite.datasets import UD_ENGLISH
from flairlite.embeddings import OneHotEmbeddings, StackedEmbeddings, WordEmbeddings
from flairlite.models import SequenceTagger, SoftLabels
from flairlite.samplers import MultiCorpusSampler
from flairlite.trainers import ModelTrainer
from flairlite.trainers.plugins import OneCycleSchedulerPlugin

if len(sys.argv) < 3:
    raise SystemExit(__doc__)
name, path, seed = sys.argv[1], sys.argv[2], int([*sys.argv, 1][3])
small, label_types = name == "upos-fast", ("upos", "xpos")
flairlite.set_seed(seed)

# 1. load the treebank, and texts with the predictions of the teachers
treebank = UD_ENGLISH()
texts = read_masc(path, [*treebank.dev, *treebank.test])
for label_type in label_types:
    SoftLabels.load(FOLDER / f"{label_type}.pt").attach(texts, f"{label_type}_teacher")

# 2. make the embeddings: a part of GloVe in four bits a value, a trained table, spelling and lexica
glove = WordEmbeddings("glove").vectors.keep(20_000 if small else 60_000).compact(4)
options = {"min_freq": 3 if small else 2, "lower_case": True, "zero_digits": True, "unk_alpha": 0.25}
table = OneHotEmbeddings.from_corpus(treebank, embedding_length=24 if small else 80, **options)
embeddings = StackedEmbeddings([WordEmbeddings(glove, name="glove"), table, *word_features(small=small)])

# 3. make the tagger
labels = {label_type: treebank.make_label_dictionary(label_type, add_unk=False) for label_type in label_types}
network = {"hidden_size": 112, "locked_dropout": 0.2}
if not small:
    network = {"hidden_size": 192, "locked_dropout": 0.3, "rnn_layers": 2, "rnn_dropout": 0.3, "rnn_residual": True}
soft_labels = {label_type: f"{label_type}_teacher" for label_type in label_types}
losses = {"head_weights": {"xpos": 0.5}, "label_smoothing": 0.03, "soft_labels": soft_labels}
tagger = SequenceTagger(embeddings, labels, "upos", use_crf=False, reproject_embeddings=False, **network, **losses)

# 4. train: each epoch has the treebank and half of the texts
base_path, sampler = f"resources/taggers/{name}-{seed}", MultiCorpusSampler({"texts": 0.5})
corpus = MultiCorpus([treebank, Corpus(texts)], ["treebank", "texts"])
plugins = [OneCycleSchedulerPlugin(warmup_fraction=0.1)]
settings = {"learning_rate": 3e-3, "optimizer": "AdamW", "mini_batch_size": 48, "max_epochs": 25, "max_grad_norm": 2.0}
augmentation = {"augment_lowercase": 0.04, "augment_uppercase": 0.02, "augment_nopunct": 0.1}
trainer = ModelTrainer(tagger, corpus)
trainer.train(base_path, sampler=sampler, plugins=plugins, use_amp="auto", resume=True, **settings, **augmentation)
if small:
    tagger.drop_heads("xpos")
tagger.save(f"{base_path}/{name}.pt", half_precision=True)
