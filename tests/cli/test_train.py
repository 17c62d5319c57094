"""`flairlite init`, `train` and `rerun`: runs, their copies and their repetition."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from command_line import fail, invoke, needs_typer

from flairlite.models import Model
from flairlite.trainers import ModelTrainer, read_run_record

pytestmark = needs_typer

RUN = """[corpus]
type = "ColumnCorpus"
data_folder = "{data}"
column_format = {{ 0 = "text", 1 = "pos" }}
label_type = "pos"

[[embeddings]]
type = "HashEmbeddings"
embedding_length = 8

[model]
type = "TokenClassifier"

[trainer]  # a comment
learning_rate = 0.5
mini_batch_size = 2
max_epochs = 2
"""
WORDS = "the D\ndog N\nsleeps V\n\na D\ncat N\nruns V\n\n"


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run file in the working folder, with data for all splits."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "dev", "test"):
        (data / f"{split}.txt").write_text(WORDS, encoding="utf-8")
    path = tmp_path / "run.toml"
    path.write_text(RUN.format(data="data"), encoding="utf-8")
    return Path("run.toml")


class TestInit:
    def test_a_file_is_replaced_only_with_force(self, tmp_path: Path) -> None:
        path = tmp_path / "run.toml"
        path.write_text("mine", encoding="utf-8")
        assert "exists: give --force to replace it" in fail("init", "ner", path)
        assert path.read_text(encoding="utf-8") == "mine"
        assert invoke("init", "ner", path, "--force").code == 0
        assert "SAMPLE_NER" in path.read_text(encoding="utf-8")
        assert "does not exist" in fail("init", "ner", tmp_path / "missing" / "run.toml")


class TestTrain:
    def test_a_run_leaves_its_model_and_its_run_file(self, run_file: Path) -> None:
        outcome = invoke("train", run_file, "--out", "out")
        assert (outcome.code, outcome.err) == (0, "")
        assert "EPOCH 2 done" in Path("out/training.log").read_text(encoding="utf-8")  # pytest takes the console
        assert Path("out/run.toml").read_bytes() == run_file.read_bytes()
        assert Model.load("out/best-model.pt").label_names == ("D", "N", "V")

    def test_the_result_is_that_of_the_library(self, run_file: Path) -> None:
        from flairlite.datasets import ColumnCorpus
        from flairlite.embeddings import HashEmbeddings
        from flairlite.models import TokenClassifier

        assert invoke("train", run_file).code == 0  # into the folder `run`
        corpus = ColumnCorpus("data", {0: "text", 1: "pos"})
        model = TokenClassifier(HashEmbeddings(embedding_length=8), corpus.make_label_dictionary("pos"), "pos")
        ModelTrainer(model, corpus).train("library", learning_rate=0.5, mini_batch_size=2, max_epochs=2)
        assert Path("run/best-model.pt").read_bytes() == Path("library/best-model.pt").read_bytes()

    def test_changes_are_in_the_copy_of_the_run_file(self, run_file: Path) -> None:
        assert invoke("train", run_file, "--set", "trainer.max_epochs=1", "--set", "trainer.optimizer=Adam").code == 0
        assert read_run_record("run")["settings"]["max_epochs"] == 1
        assert invoke("train", "run/run.toml", "--out", "again").code == 0
        assert Path("again/best-model.pt").read_bytes() == Path("run/best-model.pt").read_bytes()

    def test_resume_continues_to_the_result_of_one_run(self, run_file: Path) -> None:
        assert invoke("train", run_file, "--out", "whole").code == 0
        assert invoke("train", run_file, "--out", "parts", "--set", "trainer.max_epochs=1").code == 0
        outcome = invoke("train", run_file, "--out", "parts", "--resume")
        assert outcome.code == 0
        assert "Resumed at epoch 1" in Path("parts/training.log").read_text(encoding="utf-8")
        assert Path("parts/best-model.pt").read_bytes() == Path("whole/best-model.pt").read_bytes()
        assert Path("parts/run.toml").read_bytes() == run_file.read_bytes()

    def test_a_refused_run_leaves_the_run_file_of_the_last_one(self, run_file: Path) -> None:
        assert invoke("train", run_file, "--out", "out").code == 0
        before = Path("out/run.toml").read_bytes()
        message = fail("train", run_file, "--out", "out", "--resume", "--set", "trainer.learning_rate=0.1")
        assert "the run was started with other settings" in message
        assert "learning_rate" in message
        assert Path("out/run.toml").read_bytes() == before

    def test_ctrl_c_ends_training_early_with_130(self, run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from flairlite.trainers.callbacks.checkpoint import Checkpoints

        usual = Checkpoints.on_batch_end

        def interrupt(self: Checkpoints, state: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            usual(self, state)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(Checkpoints, "on_batch_end", interrupt)
            outcome = invoke("train", run_file, "--out", "out")
        assert outcome.code == 130
        assert "Exiting from training early" in Path("out/training.log").read_text(encoding="utf-8")
        assert "was interrupted: finish it first, with `flairlite train" in fail("rerun", "out")
        assert invoke("train", run_file, "--out", "out", "--resume").code == 0
        assert invoke("train", run_file, "--out", "whole").code == 0
        assert Path("out/best-model.pt").read_bytes() == Path("whole/best-model.pt").read_bytes()

    def test_fine_tuning_is_chosen_in_the_run_file(self, run_file: Path) -> None:
        run_file.write_text(RUN.format(data="data") + "fine_tune = true\n", encoding="utf-8")
        assert invoke("train", run_file, "--out", "out").code == 0
        assert read_run_record("out")["settings"]["optimizer"]["name"].endswith("AdamW")

    def test_wrong_input_is_one_line_and_writes_nothing(self, run_file: Path) -> None:
        before = sorted(Path().iterdir())
        assert "--set trainer.mini_batch_size=0: mini_batch_size must be at least 1" in fail(
            "train", run_file, "--set", "trainer.mini_batch_size=0"
        )
        assert "nowhere" in fail("train", run_file, "--set", "corpus.data_folder=nowhere")
        assert "run.toml, line 5: " in fail("train", run_file, "--set", "corpus.column_format={0='text', 1='ner'}")
        assert "is not a device" in fail("train", run_file, "--device", "abacus")
        assert "has other files: choose a new folder with --out" in fail("train", run_file, "--out", "data")
        assert sorted(Path().iterdir()) == before

    def test_a_folder_in_use_is_an_error(self, run_file: Path) -> None:
        from flairlite.trainers.process.run_folder import lock_folder

        Path("out").mkdir()
        with lock_folder(Path("out")):
            (Path("out") / "run.toml").write_text("other", encoding="utf-8")
            assert "another run writes into" in fail("train", run_file, "--out", "out")
            assert Path("out/run.toml").read_text(encoding="utf-8") == "other"


class TestRerun:
    def test_the_same_result_is_found(self, run_file: Path) -> None:
        assert invoke("train", run_file, "--out", "out").code == 0
        for folder in ("out-rerun", "out-rerun-2"):
            outcome = invoke("rerun", "out")
            assert outcome.code == 0
            assert outcome.out.endswith(f"The result in {folder} is the same as in out, to the last bit.\n")
        assert Path("out-rerun/best-model.pt").read_bytes() == Path("out/best-model.pt").read_bytes()

    def test_another_result_is_explained(self, run_file: Path) -> None:
        assert invoke("train", run_file, "--out", "out").code == 0
        Path("data/train.txt").write_text(WORDS.replace("cat", "cow"), encoding="utf-8")
        outcome = invoke("rerun", "out", "--out", "new")
        assert outcome.code == 1
        lines = outcome.out.splitlines()
        start = lines.index("The result in new is not the same as in out.")
        assert "What differs in settings, model or data:" in lines[start:]
        assert any("data.train" in line for line in lines[start:])

    def test_folders_that_cannot_be_repeated(self, run_file: Path) -> None:
        assert "no run.toml in data: give the folder of a run of `flairlite train`" in fail("rerun", "data")
        assert "missing is not a folder" in fail("rerun", "missing")
        Path("data/run.toml").touch()
        assert "data/run.json: there is no run record" in fail("rerun", "data")
        assert invoke("train", run_file, "--out", "out").code == 0
        assert "data exists and is not empty: choose a new folder" in fail("rerun", "out", "--out", "data")


class TestInfo:
    def test_a_trained_model_tells_its_training(self, run_file: Path) -> None:
        assert invoke("train", run_file, "--out", "out").code == 0
        record = read_run_record("out")
        found = json.loads(invoke("info", "out/final-model.pt", "--json").out)
        assert (found["class"], found["label_type"], found["labels"]) == (
            "TokenClassifier",
            "pos",
            ["<unk>", "D", "N", "V"],
        )
        assert found["training"]["dev_scores"] == record["result"]["dev_scores"]
        assert found["training"]["train_losses"] == record["result"]["train_losses"]
        assert found["training"]["settings"]["learning_rate"] == 0.5
        assert found["training"]["corpus"] == "data"
        assert found["run"]["result"]["test_score"] == record["result"]["test_score"]
        assert found["run"]["versions"] == record["parts"][0]["versions"]
        text = invoke("info", "out/best-model.pt").out
        best = max(record["result"]["dev_scores"])
        for part in (
            "Labels of the type pos (4): <unk>, D, N, V",
            "HashEmbeddings: ",
            f"best score on dev: {best:.4f}",
        ):
            assert part in text

    def test_a_copied_and_loaded_model_still_tells_its_training(self, run_file: Path, tmp_path: Path) -> None:
        assert invoke("train", run_file, "--out", "out").code == 0
        model = Model.load("out/final-model.pt")
        (tmp_path / "elsewhere").mkdir()
        model.save(tmp_path / "elsewhere" / "copy.pt")
        before, after = (
            json.loads(invoke("info", path, "--json").out)
            for path in ("out/final-model.pt", tmp_path / "elsewhere" / "copy.pt")
        )
        assert after["training"] == before["training"] == model.training_record
        assert after["run"] is None
