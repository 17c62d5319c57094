"""Runs that are resumed, signals, full disks, locks: nothing is lost, and nothing differs."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from devices import needs_bfloat16

import flairlite
from flairlite.data import Corpus
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import SettingError
from flairlite.models import SequenceTagger, SoftLabels
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.callbacks.checkpoint import read_checkpoint

TESTS = Path(__file__).resolve().parents[1]
EPOCHS = 4
STEPS = 5  # an epoch

Make = Callable[..., SequenceTagger]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits are only promised on a CPU."""
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


@pytest.fixture
def corpus(sample: Corpus) -> Corpus:
    """The first sentences of at most eight words, which are trained on fast."""
    splits = (sample.train, 40), (sample.dev, 15), (sample.test, 15)
    short = ([text for text in split or () if 2 <= len(text) <= 8][:count] for split, count in splits)
    return Corpus(*short)


@pytest.fixture
def make(corpus: Corpus, sample: Corpus, mini_vectors: WordEmbeddings) -> Make:
    """A small tagger with every kind of dropout, on the vectors of the words of the corpus alone."""
    words = sorted({word.lower() for sentence in corpus.get_all_sentences() for word in sentence.words})
    rows = mini_vectors.vectors.rows(words)
    known = [word for word, row in zip(words, rows, strict=True) if row >= 0]
    vectors = WordEmbeddings(WordVectors(known, mini_vectors.vectors.matrix[rows[rows >= 0]]))
    options = {"hidden_size": 6, "dropout": 0.1, "seed": 0}
    return functools.partial(SequenceTagger, vectors, sample.make_label_dictionary("upos"), "upos", **options)


class Crash(Exception):
    """What ends a run."""


class Drift(Callback):
    """Has a state of its own, on which the result depends; ends the run before a step, if it is to."""

    def __init__(self, crash_at: int | None = None, error: type[BaseException] = Crash) -> None:
        self.crash_at, self.error = crash_at, error
        self.steps = 0
        self.memory = torch.zeros(3)

    def on_batch_end(self, state: TrainingState) -> None:
        self.steps += 1
        if self.steps == self.crash_at:
            raise self.error
        self.memory = self.memory * 0.9 + float(state.loss_sum)
        state.learning_rate *= 1 - 1e-7 * float(self.memory[0])

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "memory": self.memory, "more": [1, (2.0, None), {"a": "b"}]}

    def load_state_dict(self, state: Any) -> None:
        self.steps, self.memory = state["steps"], state["memory"]


def train(tagger: SequenceTagger, corpus: Corpus, folder: Path, **options: Any) -> dict[str, Any]:
    defaults = {"max_epochs": EPOCHS, "mini_batch_size": 8, "seed": 0, "patience": 1, "resume": True}
    return ModelTrainer(tagger, corpus).train(folder, **{**defaults, **options})


def outcome(folder: Path) -> dict[str, Any]:
    """What a finished run left, without times and where it was resumed."""
    lines = (line[24:] for line in (folder / "training.log").read_text().splitlines() if "Resumed at" not in line)
    log = re.sub(r" - time \(sec\).*?/sec: \S+|base path.*", "", "\n".join(lines))
    table = re.sub(r"\t\d\d:\d\d:\d\d\t", "\t", (folder / "loss.tsv").read_text())
    names = sorted(path.name for path in folder.iterdir())
    written = {name: (folder / name).read_bytes() for name in names if name.endswith(".tsv") and name != "loss.tsv"}
    models = {name: (folder / name).read_bytes() for name in ("best-model.pt", "final-model.pt")}
    return {"log": log, "loss.tsv": table, "names": names, **written, **models}


def assert_same(one: Path, other: Path) -> None:
    expected, found = outcome(one), outcome(other)
    for name in expected:
        assert found[name] == expected[name], name


@pytest.fixture(scope="module")
def _kept_runs() -> list[tuple[dict[str, Any], Path]]:
    return []


@pytest.fixture
def whole(
    _kept_runs: list[tuple[dict[str, Any], Path]],
    make: Make,
    corpus: Corpus,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, Any], Path]:
    """The result and the folder of a run that nothing disturbed, trained once for all tests."""
    if not _kept_runs:
        folder = tmp_path_factory.mktemp("whole")
        _kept_runs.append((train(make(), corpus, folder, checkpoint_every=2, plugins=[Drift()]), folder))
    return _kept_runs[0]


class TestExactResume:
    @pytest.mark.parametrize("step", [1, 4, 5, 6, 13, 20])
    def test_a_resumed_run_equals_an_uninterrupted_run(
        self, step: int, whole: tuple[dict[str, Any], Path], make: Make, corpus: Corpus, tmp_path: Path
    ) -> None:
        expected, folder = whole
        with pytest.raises(Crash):
            train(make(), corpus, tmp_path / "parts", checkpoint_every=2, plugins=[Drift(step)])
        tagger = make(seed=7 if step > 2 else 0)  # where there is a checkpoint, its weights are taken
        assert train(tagger, corpus, tmp_path / "parts", checkpoint_every=2, plugins=[Drift()]) == expected
        assert_same(folder, tmp_path / "parts")

    @pytest.mark.parametrize(
        "options",
        [
            {"optimizer": functools.partial(torch.optim.SGD, momentum=0.9, nesterov=True)},
            {"optimizer": torch.optim.Adam, "learning_rate": 0.01},
            {"optimizer": torch.optim.RMSprop, "learning_rate": 0.01},
            {"bucketing": False, "monitor_test": True},
            {"shuffle": False, "embeddings_storage_mode": "none"},
            {"train_with_dev": True},
            pytest.param({"use_amp": True}, marks=needs_bfloat16),
        ],
        ids=str,
    )
    def test_a_resumed_run_equals_an_uninterrupted_run_with_any_settings(
        self, options: dict[str, Any], make: Make, corpus: Corpus, tmp_path: Path
    ) -> None:
        expected = train(make(), corpus, tmp_path / "whole", **options, plugins=[Drift()])
        for crash in (8, 13):  # in the second epoch, and in the third when the second is begun again
            with pytest.raises(Crash):
                train(make(), corpus, tmp_path / "parts", checkpoint_every=3, **options, plugins=[Drift(crash)])
        assert train(make(), corpus, tmp_path / "parts", **options, plugins=[Drift()]) == expected
        for name in ("final-model.pt", "test.tsv"):
            assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()

    def test_several_label_types_and_distributions(
        self, make: Make, corpus: Corpus, sample: Corpus, tmp_path: Path
    ) -> None:
        types = {name: sample.make_label_dictionary(name) for name in ("xpos", "upos")}
        options: dict[str, Any] = {"soft_labels": {"xpos": "teacher"}, "head_weights": {"xpos": 0.5}}
        make = functools.partial(SequenceTagger, make().embeddings, types, "upos", hidden_size=6, **options)
        plain = {"use_rnn": False, "seed": 4}
        teacher = SequenceTagger(make().embeddings, types["xpos"], "xpos", **plain)  # type: ignore[arg-type]
        soft = SoftLabels.predict(teacher, list(corpus.train or ()))
        soft.attach(corpus.train or (), "teacher")
        expected = train(make(seed=0), corpus, tmp_path / "whole", plugins=[Drift()])
        for crash in (8, 13):
            with pytest.raises(Crash):
                train(make(seed=crash - 8), corpus, tmp_path / "parts", checkpoint_every=3, plugins=[Drift(crash)])
        assert train(make(seed=9), corpus, tmp_path / "parts", plugins=[Drift()]) == expected
        assert_same(tmp_path / "whole", tmp_path / "parts")
        with pytest.raises(SettingError, match="head_weights"):
            train(make(seed=0, head_weights=None), corpus, tmp_path / "parts", max_epochs=6, plugins=[Drift()])
        for sentence in corpus.train or ():
            sentence.set_tag_distributions("teacher", soft.names[:1], np.ones((len(sentence), 1), dtype=np.float16))
        with pytest.raises(SettingError, match=r"data\.train\.sha256"):
            train(make(seed=0), corpus, tmp_path / "parts", max_epochs=6, plugins=[Drift()])

    def test_resume_uses_the_settings_of_the_run(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        optimizer = functools.partial(torch.optim.Adam, betas=(0.8, 0.9))
        options = {"optimizer": optimizer, "learning_rate": 0.02, "main_evaluation_metric": ("macro avg", "f1-score")}
        expected = train(make(), corpus, tmp_path / "whole", **options)
        with pytest.raises(Crash):
            train(make(), corpus, tmp_path / "parts", **options, plugins=[Drift(12)])
        checkpoint = read_checkpoint(tmp_path / "parts")
        assert checkpoint is not None
        assert checkpoint["state"]["run"]["epoch"] == 2
        with pytest.raises(SettingError, match="plugins lacks 'Drift'"):
            ModelTrainer(make(), corpus).resume(tmp_path / "parts")
        with pytest.raises(Crash):
            train(make(), corpus, tmp_path / "again", **options, plugins=[Stop(Crash, 12)])
        assert ModelTrainer(make(), corpus).resume(tmp_path / "again", plugins=[Stop()]) == expected
        assert (tmp_path / "again" / "best-model.pt").read_bytes() == (
            tmp_path / "whole" / "best-model.pt"
        ).read_bytes()

    def test_a_finished_run_continues_with_more_epochs(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        expected = train(make(), corpus, tmp_path / "whole", max_epochs=5)
        first = train(make(), corpus, tmp_path / "parts", max_epochs=2)
        again = train(make(), corpus, tmp_path / "parts", max_epochs=2)  # nothing is left to do
        assert again == first
        assert ModelTrainer(make(), corpus).resume(tmp_path / "parts", max_epochs=5) == expected
        for name in ("best-model.pt", "final-model.pt", "test.tsv", "dev.tsv"):
            assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()

    def test_a_worse_epoch_after_a_resume_is_not_the_best(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        first = train(make(), corpus, tmp_path, max_epochs=2)
        best = (tmp_path / "best-model.pt").read_bytes()

        class Forget(Callback):
            @torch.no_grad()
            def on_batch_end(self, state: TrainingState) -> None:
                for weight in state.model.parameters() if state.epoch > 2 else ():
                    weight.zero_()
                if state.epoch > 2:
                    cast(SequenceTagger, state.model).linear.bias[-1] = 1e2  # of the rarest label: all is wrong

        trainer = ModelTrainer(make(), corpus)
        with pytest.raises(SettingError, match="plugins has 'Forget'"):
            trainer.resume(tmp_path, max_epochs=4, plugins=[Forget()])
        train(make(), corpus, tmp_path, max_epochs=2, plugins=[Forget()], resume=False)
        second = trainer.resume(tmp_path, max_epochs=4, plugins=[Forget()])
        assert max(second["dev_score_history"][2:]) < max(first["dev_score_history"])
        assert (tmp_path / "best-model.pt").read_bytes() == best
        assert second["test_score"] == first["test_score"]

    def test_a_lower_minimum_rate_continues_a_run_that_annealing_ended(
        self, make: Make, corpus: Corpus, tmp_path: Path
    ) -> None:
        options = {"learning_rate": 1e-30, "max_epochs": 6, "min_learning_rate": 1e-30}
        first = train(make(), corpus, tmp_path, **options)
        assert len(first["train_loss_history"]) < 6
        assert train(make(), corpus, tmp_path, **options) == first
        more = ModelTrainer(make(), corpus).resume(tmp_path, min_learning_rate=1e-40)
        assert len(more["train_loss_history"]) == 6


class Stop(Callback):
    """Ends a run at a step."""

    def __init__(self, error: type[BaseException] = Crash, step: int = 0) -> None:
        self.error, self.steps, self.step = error, 0, step

    def on_batch_end(self, state: TrainingState) -> None:
        self.steps += 1
        if self.steps == self.step:
            raise self.error


@pytest.mark.skipif(os.name != "posix", reason="there is no kill -9")
def test_a_killed_run_equals_an_uninterrupted_run(session_cache: Path) -> None:
    """The run is killed in each third of its time; with `FLAIRLITE_KILLS=50` many runs are killed."""
    kills = int(os.environ.get("FLAIRLITE_KILLS", "3"))
    script = [sys.executable, str(TESTS / "support" / "kill_runs.py"), "--kills", str(kills)]
    found = subprocess.run(script, env=environment(), capture_output=True, text=True, check=True)
    result = json.loads(found.stdout)
    print(result)
    assert result["kills"] >= kills
    assert result["differences"] == []


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1]), **more}
