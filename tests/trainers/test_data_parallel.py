"""Training in two real processes on the CPU: the result of one process, files, failures, signals, resume."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import parallel_runs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parallel_runs import ACCIDENTS, EQUAL, NUM_SENTENCES, STEPS, Results, make_corpus, train_equal

import flairlite
from flairlite import runtime
from flairlite.distributed_utils import is_main_process, launch_distributed
from flairlite.errors import SettingError, TrainingError
from flairlite.models import Model
from flairlite.models.inference import decode_dataset, join_inferences
from flairlite.tasks import encode_labels
from flairlite.trainers.callbacks.checkpoint import read_checkpoint
from flairlite.trainers.data_parallel import take_share
from flairlite.trainers.process import launch

SUPPORT = Path(parallel_runs.__file__).parent
Run = Callable[[str], tuple[Results, Results]]


@dataclass(frozen=True)
class Killed:
    """A run of which one process was killed: its folder, error and last epoch."""

    folder: Path
    error: TrainingError
    epoch: int


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


# ------------------------------------------------------------------------------------------ what needs no other process


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 5), st.randoms(use_true_random=False))
def test_shares_are_the_batch_without_overlap_and_balanced(sizes: list[int], count: int, random: Any) -> None:
    indices = torch.tensor(random.sample(range(len(sizes)), random.randint(1, len(sizes))))
    table = torch.tensor(sizes)
    shares = [take_share(indices, table, rank, count) for rank in range(count)]
    assert sorted(torch.cat(shares).tolist()) == sorted(indices.tolist())
    totals = [int(table[share].sum()) for share in shares]
    assert max(totals) - min(totals) <= max(sizes)  # no better bound holds for one sentence per process
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("make", [EQUAL[name][0] for name in ("tagger", "two label types", "classifier")])
def test_joined_shares_of_an_evaluation_equal_the_whole(
    make: Callable[[Any], Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flairlite.models.inference._GROUP_TOKENS", 16)  # several groups
    corpus = make_corpus()
    model = make(corpus)
    sentences = list(corpus.train or ())
    sources = [source.extend(sentences) for source in model.label_sources()]
    encoded = model.encode(sentences, targets=encode_labels(sources, sentences))
    options: dict[str, Any] = {"types": range(len(model.tasks)), "with_loss": True}
    whole = decode_dataset(model, encoded, 2, **options)
    shares = [decode_dataset(model, encoded, 2, share=slice(rank, None, 3), **options) for rank in range(3)]
    nothing = decode_dataset(model, encoded, 2, share=slice(1000, None), **options)
    joined = join_inferences([*shares, nothing])
    for one, other in zip(whole.types, joined.types, strict=True):
        assert one.decoded.scores is not None
        assert other.decoded.scores is not None
        size = len(one.decoded.class_ids) - model.task.by_word  # without the row of padding
        assert torch.equal(one.decoded.class_ids[:size], other.decoded.class_ids[:size])
        assert torch.equal(one.decoded.scores[:size], other.decoded.scores[:size])
        assert float(one.loss) == pytest.approx(float(other.loss), rel=1e-5)
        assert (one.num_labels, one.index) == (other.num_labels, other.index)


def test_the_number_of_cpu_processes_must_be_given() -> None:
    with pytest.raises(SettingError, match="give the number of processes, such as num_processes=2"):
        launch_distributed(make_corpus)
    with pytest.raises(SettingError, match="num_processes must be at least 1"):
        launch_distributed(make_corpus, num_processes=0)


def test_there_cannot_be_more_processes_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAIRLITE_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SettingError, match="num_processes must be at most 2, the number of GPUs; it is 3"):
        launch_distributed(make_corpus, num_processes=3)


def test_a_function_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(SettingError, match="Define the function in a file"):
        launch_distributed(lambda: None, num_processes=2)
    with pytest.raises(SettingError, match="takes a function"):
        launch_distributed("main", num_processes=2)  # type: ignore[arg-type]


def test_the_device_in_a_process_of_torchrun_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAIRLITE_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert runtime.get_device() == torch.device("cuda:3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # torchrun shows each process a GPU of its own
    assert runtime.get_device() == torch.device("cuda:0")


def test_the_main_process_of_torchrun_is_that_of_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_main_process()
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert not is_main_process()
    monkeypatch.setenv("RANK", "0")
    assert flairlite.distributed_utils.is_main_process()


# ------------------------------------------------------------------------------------------------------- two processes


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed") / "run"
    with pytest.raises(TrainingError) as caught:
        launch_distributed(parallel_runs.train_until_killed, str(folder), num_processes=2)
    checkpoint = read_checkpoint(folder)
    assert checkpoint is not None
    return Killed(folder, caught.value, checkpoint["state"]["run"]["epoch"])


@pytest.fixture(scope="module")
def results(killed: Killed, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The results of both processes, by the name of the run; all runs are in the same two processes."""
    folder = tmp_path_factory.mktemp("runs")
    returned = launch_distributed(parallel_runs.run_all, str(folder), num_processes=2, killed=str(killed.folder))
    assert returned == "process 0"
    first, second = (torch.load(folder / f"results-{rank}.pt", weights_only=False) for rank in range(2))

    def find(name: str) -> tuple[Results, Results]:
        return {**first[name], "folder": folder / name}, second[name]

    return find


@pytest.mark.parametrize("name", list(EQUAL))
def test_two_processes_with_half_batches_equal_one_with_whole_batches(name: str, results: Run, tmp_path: Path) -> None:
    one = train_equal(name, tmp_path / "one", 1)
    first, second = results(name)
    assert first["batches"] == one["batches"]
    assert first["gradients"].keys() == one["gradients"].keys()
    for key, gradient in one["gradients"].items():
        torch.testing.assert_close(first["gradients"][key], gradient, rtol=1e-4, atol=1e-5)
    for key, weight in one["weights"].items():
        torch.testing.assert_close(first["weights"][key], weight, rtol=1e-4, atol=1e-5)
    expected, found = one["result"], first["result"]
    assert (found["test_score"], found["dev_score_history"]) == (expected["test_score"], expected["dev_score_history"])
    for key in ("train_loss_history", "dev_loss_history"):
        assert found[key] == pytest.approx(expected[key], rel=1e-5)
    assert second["hash"] == first["hash"]  # to the last bit
    assert second["result"] == found
    assert first["files"] == one["files"]
    for table in ("dev.tsv", "test.tsv"):
        assert (first["folder"] / table).read_bytes() == (tmp_path / "one" / table).read_bytes()


def test_a_weight_that_no_process_uses_has_no_gradient(results: Run) -> None:
    first, _ = results("partly used")
    assert torch.equal(first["weights"]["unused"], torch.ones(2))  # no decay either
    assert not torch.equal(first["weights"]["scale"], torch.ones(1))


def test_the_run_record_has_the_number_of_processes(results: Run) -> None:
    first, _ = results("tagger")
    record = json.loads((first["folder"] / "run.json").read_text())
    assert record["inputs"]["processes"] == 2
    assert record["settings"]["mini_batch_size"] == 4
    words = [json.loads(line)["words"] for line in (first["folder"] / "history.jsonl").read_text().splitlines()]
    assert words == [sum(map(len, make_corpus().train or ()))] * 2


def environment() -> dict[str, str]:
    """Return the environment of processes that import the functions of these tests."""
    root = Path(flairlite.__file__).parents[1]
    return {**os.environ, "PYTHONPATH": f"{SUPPORT}{os.pathsep}{root}"}


def assert_same_run(first: Results, second: Results, whole: Results) -> None:
    """Check that a run equals another one to the last bit, in files too."""
    assert (first["hash"], first["result"]) == (second["hash"], second["result"]) == (whole["hash"], whole["result"])
    assert first["files"] == whole["files"]
    for name in ("best-model.pt", "final-model.pt", "dev.tsv", "test.tsv", "test-scores.tsv"):
        assert (first["folder"] / name).read_bytes() == (whole["folder"] / name).read_bytes(), name


@pytest.mark.parametrize("name", list(ACCIDENTS))
def test_a_resumed_run_equals_an_uninterrupted_one(name: str, results: Run) -> None:
    assert_same_run(*results(name), results("whole")[0])


@pytest.mark.parametrize(
    ("name", "expected", "other"),
    [
        ("crash in all", "Crash: something happened", "Crash: something happened"),
        ("crash in one", r"OtherProcessError: process 1 of the run has failed: Crash: something", "Crash: something"),
        ("crash in main", "Crash: something", r"OtherProcessError: process 0 of the run has failed: Crash: something"),
        ("SIGTERM", "SystemExit: 143", "SystemExit: 143"),
    ],
)
def test_all_processes_learn_of_a_failure(name: str, expected: str, other: str, results: Run) -> None:
    first, second = results(name)
    assert re.match(expected, first["error"])
    assert re.match(other, second["error"])


def test_a_killed_process_ends_the_run(killed: Killed) -> None:
    assert re.match("process 1 of 2 was ended by signal 9", str(killed.error))
    assert killed.epoch == 2


class Clock:
    """The clock of a process that waits: seconds pass only where it waits in vain."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, objects: Sequence[Any], timeout: float | None = None) -> list[Any]:
        found = connection.wait(objects, timeout and min(timeout, 0.1))
        self.seconds += 0 if found or timeout is None else timeout
        return found


def test_a_process_that_does_not_end_is_killed_within_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, killed_at = Clock(), []
    kill = SpawnProcess.kill

    def notice(process: Any) -> None:
        killed_at.append(clock.seconds)
        kill(process)

    monkeypatch.setattr(SpawnProcess, "kill", notice)
    monkeypatch.setattr(launch, "wait", clock.wait)
    monkeypatch.setattr(launch, "time", clock)
    with pytest.raises(TrainingError, match="process 1 of 2 was ended by signal 9"):
        launch_distributed(parallel_runs.hold_on, str(tmp_path), num_processes=2)
    assert len(killed_at) == 1
    assert 0 < killed_at[0] <= 60


def test_a_run_with_a_killed_process_can_be_resumed(killed: Killed, results: Run) -> None:
    first, second = results("killed")
    assert_same_run({**first, "folder": killed.folder}, second, results("whole")[0])


def test_a_run_is_resumed_with_as_many_processes(killed: Killed, results: Run) -> None:
    results("killed")
    with pytest.raises(SettingError, match="started with 2 processes, and there are 1 now"):
        parallel_runs.train_dropping(killed.folder, resume=True, multi_gpu=False)


@pytest.mark.parametrize(("event", "epochs"), [("step", 1), ("current_model_is_best", 1), ("Ctrl-C", 1)])
def test_an_interrupt_in_one_process_ends_training_in_all(event: str, epochs: int, results: Run) -> None:
    first, second = results(event)
    assert first["hash"] == second["hash"]
    assert first["result"] == second["result"]
    assert len(first["result"]["train_loss_history"]) == epochs
    assert first["calls"] > 0 == second["calls"]  # the plugin acts in the main process only
    assert "final-model.pt" in first["files"]
    record = json.loads((first["folder"] / "run.json").read_text())
    assert record["result"]["stop_reason"] == (None if event == "Ctrl-C" else "enough")


def test_processes_that_differ_are_refused(results: Run) -> None:
    first, second = results("different")
    for errors in (first["errors"], second["errors"]):
        assert re.match(r"SettingError: .* in process 1, unlike process 0, data\.train\.sent", errors["corpus"])
        assert re.match(
            r"SettingError: .*rnn\S* is '\(28, 5\) of torch\.float32' instead of '\(24, 5\)", errors["model"]
        )
        assert "settings.patience is 2 instead of 1" in errors["settings"]
        assert re.match("ModelFileError: .*checkpoint.pt", errors["damaged"])


def test_initial_weights_are_those_of_the_main_process(results: Run) -> None:
    first, second = results("different")
    assert first["hash"] == second["hash"]


def test_a_sampler_that_differs_between_processes_is_that_of_the_main_process(results: Run) -> None:
    first, second = results("sampled")
    assert first["batches"] == second["batches"]
    assert first["hash"] == second["hash"]
    for start in (0, STEPS):
        epoch = chain.from_iterable(first["batches"][start : start + STEPS])
        assert sorted(epoch) == list(range(NUM_SENTENCES))


def test_the_main_process_alone_writes_files_and_messages(results: Run) -> None:
    first, second = results("observed")
    assert any(path.endswith("training.log") for path in first["written"])
    assert second["written"] == []
    assert "saving best model" in first["messages"]
    assert second["messages"] == []
    assert {"model_epoch_1.pt", "weights.txt", "loss.tsv"} <= set(first["files"])
    assert "compute on device: cpu, cpu" in (first["folder"] / "training.log").read_text()


def test_the_exception_of_a_process_is_raised_with_its_traceback() -> None:
    with pytest.raises(KeyError, match="missing") as caught:
        launch_distributed(parallel_runs.fail_in_one, "missing", num_processes=2)
    assert "process 1 of 2 failed" in str(caught.value.__cause__)
    assert "in fail_in_one" in str(caught.value.__cause__)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_sigterm_ends_the_processes_with_a_checkpoint(tmp_path: Path) -> None:
    code = (
        "import parallel_runs as runs, sys; from flairlite.distributed_utils import launch_distributed; "
        "launch_distributed(runs.train_long, sys.argv[1], num_processes=2)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=environment(), stdout=subprocess.DEVNULL
    )
    while process.poll() is None and not (tmp_path / "checkpoint.pt").is_file():
        time.sleep(0.05)
    process.terminate()
    assert process.wait() == 143
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint is not None
    assert len(checkpoint["state"]["dropouts"]) == 2
    assert not (tmp_path / ".running").exists()  # the processes have ended, and in order


def test_torchrun_trains_in_its_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = [str(SUPPORT / "parallel_runs.py"), str(tmp_path / "two")]
    done = subprocess.run([*command, *script], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one = train_equal("tagger", tmp_path / "one", 1)
    model = type(EQUAL["tagger"][0](make_corpus())).load(tmp_path / "two" / "best-model.pt")
    for name, weight in one["weights"].items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=1e-4, atol=1e-5)
    assert done.stdout.count("EPOCH 1 done") == 1
