"""The scripts that a new user runs first: the examples with no data at hand, and the tutorial's on the real data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import flairlite
from flairlite.models import SequenceTagger

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BASE_PATH = Path("resources") / "taggers" / "example-upos"
FILES = {"best-model.pt", "final-model.pt", "training.log", "loss.tsv", "dev.tsv", "test.tsv"}
RUN_FILES = {"checkpoint.pt", "run.json"}  # what a run may leave beside them, to be gone on with or repeated

# The section "full training code" of Flair's tutorial, word for word but for the name of the library.
TRAINING = """\
from flairlite.datasets import UD_ENGLISH
from flairlite.embeddings import WordEmbeddings
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

# 1. load the corpus
corpus = UD_ENGLISH().downsample(0.1)
print(corpus)

# 2. what label do we want to predict?
label_type = 'upos'

# 3. make the label dictionary from the corpus
label_dict = corpus.make_label_dictionary(label_type=label_type)
print(label_dict)

# 4. initialize embeddings
embeddings = WordEmbeddings('glove')

# 5. initialize sequence tagger
model = SequenceTagger(hidden_size=256,
                        embeddings=embeddings,
                        tag_dictionary=label_dict,
                        tag_type=label_type)

# 6. initialize trainer
trainer = ModelTrainer(model, corpus)

# 7. start training
trainer.train('resources/taggers/example-upos',
              learning_rate=0.1,
              mini_batch_size=32,
              max_epochs=10)
"""
# Its step 6; the tutorial leaves the imports to the reader.
PREDICTION = """\
from flairlite.data import Sentence
from flairlite.models import SequenceTagger

# load the model you trained
model = SequenceTagger.load('resources/taggers/example-upos/final-model.pt')

# create example sentence
sentence = Sentence('I love Berlin')

# predict tags and print
model.predict(sentence)

print(sentence.to_tagged_string())
"""


def run(script: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder, with flairlite as it is imported here."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLAIRLITE_")}
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=folder,
        env={
            **inherited,
            "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1]),
            "PYTHONIOENCODING": "utf-8",
            "FLAIRLITE_DEVICE": "cpu",
            **environment,
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def assert_training_output(output: str) -> None:
    """Check that ten epochs and the report stand in the output, each epoch's lines in order."""
    for epoch in range(1, 11):
        lines = [line[24:] for line in output.splitlines() if f"epoch {epoch} - iter " in line]
        assert len(lines) == 10
        assert re.fullmatch(
            rf"epoch {epoch} - iter (\d+)/\1 - loss \d+\.\d{{8}} - time \(sec\): \d+\.\d\d"
            r" - samples/sec: \d+\.\d\d - lr: 0\.\d{6}",
            lines[-1],
        )
    assert re.findall(r"EPOCH (\d+) done: loss \d+\.\d{4} - lr 0\.\d{6}\n", output) == [str(n) for n in range(1, 11)]
    assert len(re.findall(r"DEV : loss \d+\.\d+ - f1-score \(micro avg\)  0\.\d{1,4}\n", output)) == 10
    assert len(re.findall(r"BAD EPOCHS \(no improvement\): \d+\n", output)) == 10
    assert re.search(r"\nResults:\n- F-score \(micro\) 0\.\d{4}\n- F-score \(macro\) 0\.\d{4}\n- Accuracy 0\.", output)
    assert re.search(r"\nBy class:\n +precision    recall  f1-score   support\n\n +NOUN ", output)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder, and a cache with no data."""
    return tmp_path_factory.mktemp("a new user's folder")


@pytest.fixture(scope="module")
def training(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(EXAMPLES / "train_upos.py", folder, FLAIRLITE_OFFLINE="1", FLAIRLITE_CACHE_ROOT=str(folder / "cache"))


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="examples/ is not beside tests/")
class TestExamplesWithoutData:
    def test_before_training_there_is_no_model_to_predict_with(self, tmp_path: Path) -> None:
        done = run(EXAMPLES / "predict.py", tmp_path, FLAIRLITE_OFFLINE="1")
        assert done.returncode != 0
        assert "ModelFileError: no model file at resources/taggers/example-upos/final-model.pt" in done.stderr

    def test_it_says_loudly_that_it_trains_on_the_sample(self, training: subprocess.CompletedProcess[str]) -> None:
        assert training.returncode == 0, training.stderr
        assert "\n" + "!" * 100 + "\n!!! NO DATA: training on the bundled sample instead." in training.stdout
        assert "FLAIRLITE_MIRROR" in training.stdout  # what to do about it
        assert training.stdout.index("NO DATA") < training.stdout.index("Corpus:")

    def test_it_prints_what_the_tutorial_prints(self, training: subprocess.CompletedProcess[str]) -> None:
        assert re.search(r"^Corpus: \d+ train \+ \d+ dev \+ \d+ test sentences$", training.stdout, re.MULTILINE)
        assert re.search(r"^Dictionary with 18 tags: <unk>, NOUN, PUNCT, ", training.stdout, re.MULTILINE)
        assert "SequenceTagger(\n  (embeddings): WordEmbeddings(" in training.stdout
        assert_training_output(training.stdout)
        assert training.stderr == ""

    def test_it_writes_the_files(self, training: subprocess.CompletedProcess[str], folder: Path) -> None:
        assert training.returncode == 0
        assert {path.name for path in (folder / BASE_PATH).iterdir()} - RUN_FILES == FILES
        log = (folder / BASE_PATH / "training.log").read_text(encoding="utf-8")
        assert log in training.stdout

    def test_the_tagger_has_learned(self, training: subprocess.CompletedProcess[str], folder: Path) -> None:
        assert training.returncode == 0
        score = re.search(r"F-score \(micro\) (\S+)", training.stdout)
        assert score is not None
        assert float(score[1]) > 0.6

    def test_then_prediction_prints_the_tagged_sentence(
        self, training: subprocess.CompletedProcess[str], folder: Path
    ) -> None:
        assert training.returncode == 0
        done = run(EXAMPLES / "predict.py", folder, FLAIRLITE_OFFLINE="1", FLAIRLITE_CACHE_ROOT=str(folder / "none"))
        assert done.returncode == 0, done.stderr
        tags = re.fullmatch(
            r'Sentence\[3\]: "I love Berlin" → \["I"/([A-Z]+), "love"/([A-Z]+), "Berlin"/([A-Z]+)\]\n', done.stdout
        )
        assert tags is not None
        names = SequenceTagger.load(folder / BASE_PATH / "final-model.pt").label_names
        assert set(tags.groups()) <= set(names)
        assert done.stderr == ""
        assert not (folder / "none").exists()


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="examples/ is not beside tests/")
class TestExamplesOnSamples:
    """The examples on data that comes along, in their short form of two epochs."""

    def short(self, name: str, tmp_path: Path, cache: Path) -> str:
        lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) < 40
        done = run(EXAMPLES / name, tmp_path, "2", FLAIRLITE_OFFLINE="1", FLAIRLITE_CACHE_ROOT=str(cache))
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "EPOCH 2 done" in done.stdout
        assert "EPOCH 3 done" not in done.stdout
        return done.stdout

    def test_entities_are_learned_and_found(self, session_cache: Path, tmp_path: Path) -> None:
        output = self.short("train_ner.py", tmp_path, session_cache)
        assert re.search(r"^Dictionary with 5 tags: <unk>, LOC, PER, ORG, MISC$", output, re.MULTILINE)
        assert re.search(r"By class:\n(.*\n)+ +LOC ", output)
        tagger = SequenceTagger.load(tmp_path / "resources" / "taggers" / "example-ner" / "best-model.pt")
        sentence = tagger.predict("Judge Rosalind Achebe moved from Cork to Sweden.")
        lines = [
            f"{entity.text} {entity.tag} {entity.score:.2f}".rstrip("0") for entity in sentence.get_spans("ner")
        ]  # as the script prints them, before their places
        assert all(any(line in printed for printed in output.splitlines()) for line in lines)
        assert sentence.to_tagged_string() in output

    def test_reviews_are_learned_and_classified(self, session_cache: Path, tmp_path: Path) -> None:
        output = self.short("train_classifier.py", tmp_path, session_cache)
        assert re.search(r"^Dictionary with 4 tags: <unk>, positive, neutral, negative$", output, re.MULTILINE)
        name, score = output.splitlines()[-1].split()
        assert name in ("positive", "negative", "neutral")
        assert 1 / 3 <= float(score) <= 1


@pytest.mark.mirror
def test_the_tutorial_s_script_works_word_for_word_on_the_real_data(
    mirror: Path, session_cache: Path, tmp_path: Path
) -> None:
    data = {"FLAIRLITE_MIRROR": str(mirror), "FLAIRLITE_OFFLINE": "1", "FLAIRLITE_CACHE_ROOT": str(session_cache)}
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    (tmp_path / "predict.py").write_text(PREDICTION, encoding="utf-8")
    training = run(tmp_path / "train.py", tmp_path, **data)
    assert training.returncode == 0, training.stderr
    lines = training.stdout.splitlines()
    assert lines[0] == "Corpus: 1254 train + 200 dev + 208 test sentences"
    assert re.fullmatch(r"Dictionary with 18 tags: <unk>, NOUN(, [A-Z]+){16}", lines[1])
    assert_training_output(training.stdout)
    assert " - iter 4/40 - " in training.stdout
    assert {path.name for path in (tmp_path / BASE_PATH).iterdir()} - RUN_FILES == FILES
    score = re.search(r"\n- F-score \(micro\) (\S+)\n", training.stdout)
    assert score is not None
    assert float(score[1]) >= 0.77  # the tutorial has 0.7732

    prediction = run(
        tmp_path / "predict.py", tmp_path, FLAIRLITE_OFFLINE="1", FLAIRLITE_CACHE_ROOT=str(tmp_path / "no")
    )
    assert prediction.returncode == 0, prediction.stderr
    assert re.fullmatch(
        r'Sentence\[3\]: "I love Berlin" → \["I"/[A-Z]+, "love"/VERB, "Berlin"/[A-Z]+\]\n', prediction.stdout
    )
