"""The folder of a run when things go wrong: another run in it, a full disk, signals, a loss that is no number."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentences import tagged
from torch import Tensor

import flairlite
from flairlite.data import Corpus
from flairlite.embeddings import WordEmbeddings
from flairlite.encoding import Batch
from flairlite.errors import FileWriteError, ModelFileError, SettingError, TrainingError
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.callbacks.checkpoint import read_checkpoint
from flairlite.trainers.loop import LossWatch
from flairlite.trainers.process.run_folder import LOCK, OWNER, lock_folder

Make = Callable[..., SequenceTagger]
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX alone has these")


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits are only promised on a CPU."""
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


@pytest.fixture
def corpus() -> Corpus:
    words = [("the", "DET"), ("a", "DET"), ("dog", "NOUN"), ("cat", "NOUN"), ("sees", "VERB"), ("likes", "VERB")]
    chance = random.Random(0)
    texts = (" ".join("/".join(chance.choice(words)) for _ in range(chance.randint(2, 6))) for _ in range(40))
    sentences = [tagged(text) for text in texts]
    return Corpus(sentences[:24], sentences[24:32], sentences[32:])


@pytest.fixture
def make(corpus: Corpus, mini_vectors: WordEmbeddings) -> Make:
    vectors = mini_vectors.vectors
    words = ["the", "a", "dog", "cat", "sees"]
    table = WordEmbeddings(type(vectors)(words, vectors.matrix[vectors.rows(words)]))
    return functools.partial(
        SequenceTagger, table, corpus.make_label_dictionary("pos"), "pos", hidden_size=8, dropout=0.1, seed=0
    )


def train(tagger: SequenceTagger, corpus: Corpus, folder: Path, **options: Any) -> dict[str, Any]:
    defaults = {"max_epochs": 3, "mini_batch_size": 4, "seed": 0, "resume": True}
    return ModelTrainer(tagger, corpus).train(folder, **{**defaults, **options})


def same_models(one: Path, other: Path) -> bool:
    names = ("best-model.pt", "final-model.pt", "test.tsv", "dev.tsv")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


class At(Callback):
    """Does something behind a step of all steps."""

    def __init__(self, step: int = 0, action: Callable[[], object] = int) -> None:
        self.step, self.action, self.steps = step, action, 0

    def on_batch_end(self, state: TrainingState) -> None:
        self.steps += 1
        if self.steps == self.step:
            self.action()


@dataclass(frozen=True)
class WholeRun:
    """A run that nothing disturbed: what `train` returned, and its folder."""

    result: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def _kept_runs() -> list[WholeRun]:
    return []


@pytest.fixture
def whole(_kept_runs: list[WholeRun], make: Make, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """The run that others are compared with, trained once for all tests."""
    if not _kept_runs:
        folder = tmp_path_factory.mktemp("whole")
        _kept_runs.append(WholeRun(train(make(), corpus, folder, plugins=[At()]), folder))
    return _kept_runs[0]


class TestLock:
    def test_a_second_run_is_refused_with_the_process_of_the_first(
        self, whole: WholeRun, make: Make, corpus: Corpus, tmp_path: Path
    ) -> None:
        def intrude() -> None:
            with pytest.raises(TrainingError, match=rf"another run writes into .*: the process {os.getpid()}\b"):
                train(make(), corpus, tmp_path, resume=False)
            with pytest.raises(TrainingError, match="another run writes"):
                ModelTrainer(make(), corpus).resume(tmp_path)
            intruded.append(True)

        intruded: list[bool] = []
        assert train(make(), corpus, tmp_path, plugins=[At(8, intrude)]) == whole.result
        assert intruded
        assert same_models(tmp_path, whole.folder)
        assert not list(tmp_path.glob(".*"))

    @posix
    def test_the_lock_of_a_killed_process_is_ignored(self, tmp_path: Path) -> None:
        path = tmp_path / OWNER
        script = (
            "import fcntl, os, sys\n"
            f"file = open({str(tmp_path / LOCK)!r}, 'w')\n"
            "fcntl.flock(file, fcntl.LOCK_EX)\n"
            f"open({str(path)!r}, 'w').write(str(os.getpid()))\n"
            "print(flush=True)\n"
            "sys.stdin.read()\n"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", script], **pipes) as owner:  # type: ignore[call-overload]
            owner.stdout.readline()
            with pytest.raises(TrainingError, match=rf"the process {owner.pid}\b"), lock_folder(tmp_path):
                pass
            owner.kill()
            owner.communicate()
        assert path.read_text() == str(owner.pid)
        with lock_folder(tmp_path):
            assert path.read_text().strip() == str(os.getpid())
        assert not path.exists()

    def test_a_reused_process_id_is_recognized(self, tmp_path: Path) -> None:
        (tmp_path / OWNER).write_text(f"{os.getppid()}\n")  # alive, but no run
        with lock_folder(tmp_path):
            pass

    def test_one_process_at_a_time_holds_the_lock(self, tmp_path: Path) -> None:
        inside, most, done, refused = 0, 0, 0, 0
        counting = threading.Lock()

        def work() -> None:
            nonlocal inside, most, done, refused
            for _ in range(50):
                try:
                    with lock_folder(tmp_path):
                        with counting:
                            inside += 1
                            most = max(most, inside)
                        with counting:
                            inside -= 1
                            done += 1
                except TrainingError:
                    with counting:
                        refused += 1

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1
        assert done >= 1
        assert done + refused == 8 * 50  # how many are refused is up to the threads; each attempt ends as one of both

    def test_partial_files_of_a_killed_run_are_removed(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        for name in (".checkpoint.pt.0123.tmp", ".loss.tsv.4567.tmp", ".test.tsv.89.tmp", ".mine.tmp"):
            (tmp_path / name).write_bytes(b"half")
        train(make(), corpus, tmp_path)
        assert [path.name for path in tmp_path.glob(".*")] == [".mine.tmp"]


class FullDisk:
    """Opens files, and has room for so many bytes in all."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, path: Path, mode: str = "r", **options: Any) -> Any:
        if mode != "xb":
            return open(path, mode, **options)  # noqa: PTH123  # Path.open is what this stands for
        disk = self

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                if not disk.room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written = super().write(memoryview(data)[: disk.room])
                disk.room -= written
                return written

        return File(path, "xb")


class TestWriting:
    @pytest.mark.parametrize(("step", "room"), [(7, 0), (7, 20000), (10, 1), (10, 40000), (12, 0), (12, 5000)])
    def test_a_full_disk_keeps_the_last_checkpoint(
        self,
        step: int,
        room: int,
        whole: WholeRun,
        make: Make,
        corpus: Corpus,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        disk = FullDisk(room)
        with monkeypatch.context() as patch:
            plugin = At(step, lambda: patch.setattr(Path, "open", lambda *given, **options: disk(*given, **options)))
            with pytest.raises(FileWriteError) as caught:
                train(make(), corpus, tmp_path / "full", checkpoint_every=2, plugins=[plugin])
        found = re.search(
            r"(\S+) cannot be written: No space left on device\. It needs ([\d,]+) bytes", str(caught.value)
        )
        assert found, caught.value
        size = (whole.folder / Path(found[1]).name).stat().st_size
        needed = int(found[2].replace(",", ""))
        assert 0.9 * size < needed < 2 * size  # a checkpoint has the weights of the best model once more, or not
        assert read_checkpoint(tmp_path / "full") is not None
        assert train(make(), corpus, tmp_path / "full", plugins=[At()]) == whole.result
        assert same_models(tmp_path / "full", whole.folder)

    @pytest.mark.parametrize("failing", [".checkpoint.pt", ".best-model.pt", ".loss.tsv", ".dev.tsv"])
    def test_a_folder_that_becomes_read_only_keeps_the_last_checkpoint(
        self, failing: str, whole: WholeRun, make: Make, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As root may write anywhere, opening a file is what fails."""
        usual = Path.open

        def read_only(path: Path, *arguments: Any, **options: Any) -> Any:
            if path.name.startswith(failing):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            return usual(path, *arguments, **options)

        with monkeypatch.context() as patch:
            plugin = At(7, lambda: patch.setattr(Path, "open", read_only))
            with pytest.raises(FileWriteError, match=rf"{failing[1:]} cannot be written: Read-only.*needs [\d,]+"):
                train(make(), corpus, tmp_path / "full", plugins=[plugin])
        checkpoint = read_checkpoint(tmp_path / "full")
        assert checkpoint is not None
        assert checkpoint["state"]["run"]["epoch"] == 1
        assert train(make(), corpus, tmp_path / "full", plugins=[At()]) == whole.result
        assert same_models(tmp_path / "full", whole.folder)

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_every_file_is_synced_before_it_is_renamed(
        self, call: str, make: Make, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[int] = []
        replaced: list[str] = []
        sync, replace = os.fsync, Path.replace

        def note_sync(handle: int) -> None:
            synced.append(os.fstat(handle).st_ino)
            sync(handle)

        def note_replace(path: Path, target: Path) -> Path:
            assert path.stat().st_ino in synced
            synced.clear()
            replaced.append(target.name)
            return replace(path, target)

        monkeypatch.setattr(os, "fsync", note_sync)
        monkeypatch.setattr(Path, "replace", note_replace)
        train(make(), corpus, tmp_path)
        written = {path.name for path in tmp_path.iterdir()} - {"training.log"}
        assert set(replaced) == written
        assert synced == [tmp_path.stat().st_ino]  # the folder, behind the last file


class TestRefusals:
    def test_differences_are_named(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        train(make(), corpus, tmp_path, max_epochs=1)
        before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.name != "training.log"}
        with pytest.raises(SettingError, match=r"learning_rate is 0\.2 and was 0\.1"):
            train(make(), corpus, tmp_path, learning_rate=0.2)
        with pytest.raises(SettingError, match=r"model\.settings\.hidden_size is 9 and was 8"):
            train(make(hidden_size=9), corpus, tmp_path)
        with pytest.raises(SettingError, match=r"data\.train\.sentences is 23 and was 24"):
            train(make(), Corpus((corpus.train or ())[1:], corpus.dev, corpus.test), tmp_path)
        changed = [*(corpus.train or ())[1:], tagged("the/DET dog/VERB")]
        with pytest.raises(SettingError, match=r"data\.train\.sha256"):
            train(make(), Corpus(changed, corpus.dev, corpus.test), tmp_path)
        with pytest.raises(SettingError, match=r"optimizer\.name is 'torch\.optim\.Adam' and was 'torch\.optim\.SGD'"):
            ModelTrainer(make(), corpus).resume(tmp_path, optimizer=torch.optim.Adam)
        with pytest.raises(SettingError, match=r"no setting epochs; those that may change: .*max_epochs"):
            ModelTrainer(make(), corpus).resume(tmp_path, epochs=3)
        assert {path: path.read_bytes() for path in before} == before

    def test_resuming_without_a_run_is_an_error(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match=r"no checkpoint\.pt in .*nowhere"):
            ModelTrainer(make(), corpus).resume(tmp_path / "nowhere")
        assert not (tmp_path / "nowhere").exists()

    def test_a_damaged_checkpoint_is_an_error(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        train(make(), corpus, tmp_path, max_epochs=1)
        path = tmp_path / "checkpoint.pt"
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ModelFileError, match=r"checkpoint\.pt"):
            train(make(), corpus, tmp_path)
        with pytest.raises(ModelFileError, match=r"checkpoint\.pt"):
            SequenceTagger.load(path)

    def test_a_plugin_whose_state_cannot_be_saved_is_named(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        class Odd(Callback):
            def state_dict(self) -> dict[str, Any]:
                return {"path": tmp_path}

        with pytest.raises(ModelFileError, match=r"Path \(Odd\.path\)"):
            train(make(), corpus, tmp_path, plugins=[Odd()])

    def test_steps_between_checkpoints_are_not_negative(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match="checkpoint_every"):
            train(make(), corpus, tmp_path, checkpoint_every=-1)


class TestSignals:
    @pytest.fixture(autouse=True)
    def usual_handler(self) -> Iterator[None]:
        """Let Ctrl-C mean what it usually means, also where the tests run behind a shell that goes on without them."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    @pytest.mark.parametrize("step", [1, 6, 8, 18])
    def test_sigterm_ends_the_program_with_143_when_the_state_is_saved(
        self, step: int, whole: WholeRun, make: Make, corpus: Corpus, tmp_path: Path
    ) -> None:
        handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit) as caught:
            train(make(), corpus, tmp_path / "parts", plugins=[At(step, lambda: signal.raise_signal(signal.SIGTERM))])
        assert caught.value.code == 143
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
        checkpoint = read_checkpoint(tmp_path / "parts")
        assert checkpoint is not None
        run = checkpoint["state"]["run"]
        assert (run["epoch"] - 1) * 6 + run["iteration"] == step
        assert ModelTrainer(make(), corpus).resume(tmp_path / "parts", plugins=[At()]) == whole.result
        assert same_models(tmp_path / "parts", whole.folder)

    def test_ctrl_c_saves_and_evaluates_and_the_run_can_be_resumed(
        self, whole: WholeRun, make: Make, corpus: Corpus, tmp_path: Path
    ) -> None:
        plugin = At(9, lambda: signal.raise_signal(signal.SIGINT))
        early = train(make(), corpus, tmp_path / "parts", plugins=[plugin])
        assert len(early["train_loss_history"]) == 1
        assert "Exiting from training early." in (tmp_path / "parts" / "training.log").read_text()
        assert (tmp_path / "parts" / "final-model.pt").exists()
        assert train(make(), corpus, tmp_path / "parts", plugins=[At()]) == whole.result
        assert same_models(tmp_path / "parts", whole.folder)
        assert "Exiting" not in (tmp_path / "parts" / "training.log").read_text()

    @pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
    def test_the_second_signal_ends_training_at_once(
        self, number: int, error: type[BaseException], make: Make, corpus: Corpus, tmp_path: Path
    ) -> None:
        raised: list[type[BaseException]] = []

        def twice() -> None:
            signal.raise_signal(number)
            try:
                signal.raise_signal(number)
            except BaseException as caught:
                raised.append(type(caught))
                raise

        with contextlib.suppress(SystemExit):
            train(make(), corpus, tmp_path, plugins=[At(3, twice)])
        assert raised == [error]

    def test_signal_handlers_of_the_program_are_restored(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        seen: list[int] = []
        old = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
        try:
            train(make(), corpus, tmp_path, plugins=[At(3, lambda: signal.raise_signal(signal.SIGTERM))])
        finally:
            signal.signal(signal.SIGTERM, old)
        assert seen == [signal.SIGTERM]

    def test_training_works_in_another_thread(self, make: Make, corpus: Corpus, tmp_path: Path) -> None:
        found: list[dict[str, Any]] = []
        thread = threading.Thread(target=lambda: found.append(train(make(), corpus, tmp_path / "thread")))
        thread.start()
        thread.join()
        assert found == [train(make(), corpus, tmp_path / "main")]

    @posix
    def test_the_exit_code_of_a_program_is_143(self, session_cache: Path, tmp_path: Path) -> None:
        script = (
            "import os, signal, sys\n"
            "from flairlite.data import Corpus\n"
            "from flairlite.datasets import SAMPLE_ENGLISH\n"
            "from flairlite.embeddings import WordEmbeddings\n"
            "from flairlite.models import SequenceTagger\n"
            "from flairlite.trainers import Callback, ModelTrainer\n"
            "class Kill(Callback):\n"
            "    def on_batch_end(self, run):\n"
            "        os.kill(os.getpid(), signal.SIGTERM)\n"
            "corpus = SAMPLE_ENGLISH().downsample(0.1)\n"
            "labels = corpus.make_label_dictionary('upos')\n"
            "tagger = SequenceTagger(WordEmbeddings('glove-mini'), labels, 'upos', hidden_size=8)\n"
            "ModelTrainer(tagger, corpus).train(sys.argv[1], plugins=[Kill()], tune_process=True)\n"
            "print('not reached')\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1])}
        command = [sys.executable, "-c", script, str(tmp_path)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert ended.returncode == 143, ended.stderr
        assert "not reached" not in ended.stdout
        assert read_checkpoint(tmp_path) is not None


class TestNotFinite:
    def test_the_sentences_of_the_batch_are_named_and_the_weights_stay(
        self, make: Make, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batches: list[list[int]] = []

        class Note(Callback):
            def on_batch_begin(self, state: TrainingState) -> None:
                batches.append(state.indices.tolist())

        usual = SequenceTagger.loss

        def broken(self: SequenceTagger, scores: Tensor, batch: Batch) -> Tensor:
            return usual(self, scores, batch) * (float("nan") if self.training and len(batches) == 10 else 1)

        tagger = make()
        with monkeypatch.context() as patch:
            patch.setattr(SequenceTagger, "loss", broken)
            with pytest.raises(TrainingError, match="the loss became nan in epoch 2") as caught:
                train(tagger, corpus, tmp_path, checkpoint_every=1, plugins=[Note()])
        named = re.findall(r"sentence (\d+): (.*)", str(caught.value))
        assert [int(number) - 1 for number, _ in named] == batches[-1]
        assert [text for _, text in named] == [
            (corpus.train or ())[place].to_tokenized_string() for place in batches[-1]
        ]
        assert all(bool(weight.isfinite().all()) for weight in tagger.parameters())
        checkpoint = read_checkpoint(tmp_path)
        assert checkpoint is not None
        assert checkpoint["state"]["run"]["iteration"] == 3
        assert len(train(make(), corpus, tmp_path, plugins=[Note()])["train_loss_history"]) == 3

    def test_a_broken_model_does_not_replace_the_last_checkpoint(
        self, make: Make, corpus: Corpus, tmp_path: Path
    ) -> None:
        class Break(Callback):
            def on_batch_end(self, state: TrainingState) -> None:
                if state.epoch == 2 and state.iteration == 5:
                    torch.nn.init.constant_(next(state.model.parameters()), float("inf"))

        with pytest.raises(TrainingError, match="epoch 2, after batch 5 of 6"):
            train(make(), corpus, tmp_path, checkpoint_every=1, plugins=[Break()])
        checkpoint = read_checkpoint(tmp_path)
        assert checkpoint is not None
        assert checkpoint["state"]["run"]["iteration"] == 4
        assert all(bool(weight.isfinite().all()) for weight in checkpoint["state"]["model"].values())

    @pytest.mark.parametrize("bad", [0, 1, 2])
    def test_the_first_bad_batch_is_named_when_several_are_checked_together(
        self, bad: int, make: Make, tmp_path: Path
    ) -> None:
        tagger = make()
        run = TrainingState(tagger, torch.optim.SGD(tagger.parameters(), lr=0.1), tmp_path, 1)
        watch = LossWatch(run, [tagged(word) for word in ("one", "two", "three")])
        for number in range(3):  # as from a device that is not asked at each step
            loss = torch.tensor(float("inf") if number >= bad else 1.0)
            watch._pending.append((loss, torch.tensor([number])))
        with pytest.raises(TrainingError, match=f"sentence {bad + 1}: {('one', 'two', 'three')[bad]}\n"):
            watch.check()


def test_training_and_resuming_do_not_change_the_global_generators(make: Make, corpus: Corpus, tmp_path: Path) -> None:
    def states() -> list[Any]:
        return [random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()]  # noqa: NPY002

    before = states()
    train(make(), corpus, tmp_path, max_epochs=1)
    ModelTrainer(make(), corpus).resume(tmp_path, max_epochs=2)
    assert states() == before
