"""Measure Flair on the same data as flairlite. Prints one line of JSON.

    PYTHON-WITH-FLAIR benchmarks/peer_flair.py [--epochs 10] [--seed 0]

Each part runs in a process of its own: `prepare` is not measured and stores treebank and vectors where Flair expects
them, `tutorial` runs the script of the tutorial and nothing else until its report, `prediction` uses the saved model.
"""

from __future__ import annotations

import os
import shutil
from statistics import median
from typing import Any

import measuring
import synthetic
import workloads
from measuring import Figures, Options, timing
from workloads import Library


def prepare(options: Options) -> Figures:
    """Copy the treebank into Flair's cache, and convert the vectors to gensim's format, which Flair uses."""
    from gensim.models import KeyedVectors

    data = options.folder / "cache" / "datasets" / "ud_english"
    data.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        shutil.copy(options.treebank(split), data)
    glove = measuring.mirror() / "glove" / "glove-wiki-gigaword-100.gz"
    KeyedVectors.load_word2vec_format(glove).save(str(options.folder / "glove.gensim"))
    vectors = synthetic.write_vectors(options.folder / "synthetic.bin", options.num_vectors)
    KeyedVectors.load_word2vec_format(vectors, binary=True).save(str(options.folder / "synthetic.gensim"))
    return {}


def tutorial(options: Options) -> Figures:
    """Run the script of the tutorial."""
    figures = _import_flair(options)
    import flair
    from flair.datasets import UD_ENGLISH
    from flair.models import SequenceTagger
    from flair.trainers import ModelTrainer

    library = Library(UD_ENGLISH, lambda: _word_embeddings(options, "glove"), SequenceTagger, ModelTrainer)
    saving = measuring.timing_calls(flair.nn.Model, "save")
    workloads.run_tutorial(library, options, figures)
    seconds = epoch_seconds((options.folder / "out" / "training.log").read_text(encoding="utf-8"))
    figures["train_tokens_per_s"] = figures["num_train_tokens"] / median(seconds)
    figures["best_model_write_s"] = median(saving)
    figures["best_model_share"] = figures["best_model_write_s"] * options.epochs / figures["train_s"]
    figures["corpus_first_s"] = figures["corpus_s"]  # Flair does not cache the parsed corpus
    return figures


def prediction(options: Options) -> Figures:
    """Measure prediction, and the size of a model with a vocabulary as large as GloVe's."""
    figures = _import_flair(options)
    from flair.data import Sentence
    from flair.models import SequenceTagger

    with timing(figures, "load_model_s"):
        model = SequenceTagger.load(options.folder / "out" / "final-model.pt")
    test = workloads.read_tagged(options.treebank("test"))
    figures |= workloads.measure_prediction(workloads.adapt_flair_api(model, Sentence), test)
    with timing(figures, "embeddings_400k_s"):
        embeddings = _word_embeddings(options, "synthetic")
    file = options.folder / "model-400k.pt"
    SequenceTagger(hidden_size=256, embeddings=embeddings, tag_dictionary=model.label_dictionary, tag_type="upos").save(
        file
    )
    figures["model_400k_mb"] = file.stat().st_size / 1e6
    figures.pop("import_s")  # reported for `tutorial` only
    return figures


def epoch_seconds(log: str) -> list[float]:
    """Return the training time of each epoch: the time in the log line of its last iteration."""
    seconds = []
    for line in log.splitlines():
        if "time (sec): " in line:
            iteration, total = line.partition(" - iter ")[2].split(" ")[0].split("/")
            if iteration == total:
                seconds.append(float(line.partition("time (sec): ")[2].split(" ")[0]))
    return seconds


def _import_flair(options: Options) -> Figures:
    os.environ["FLAIR_CACHE_ROOT"] = str(options.folder / "cache")
    figures: Figures = {}
    with timing(figures, "import_torch_s"):
        import torch
    with timing(figures, "import_s"):
        import flair
        import flair.datasets
        import flair.models
        import flair.trainers
    flair.set_seed(options.seed)
    figures["versions"] = measuring.versions("torch", "flair", "gensim")
    figures["threads"] = torch.get_num_threads()
    return figures


def _word_embeddings(options: Options, name: str) -> Any:
    from flair.embeddings import WordEmbeddings

    return WordEmbeddings(str(options.folder / f"{name}.gensim"))


if __name__ == "__main__":
    measuring.run_parts(__file__, __doc__, {"prepare": prepare, "tutorial": tutorial, "prediction": prediction})
