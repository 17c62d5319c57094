"""Invalid data gives a result or an error that names the file; a short run of `tests/support/fuzz.py`."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import fuzz
import pytest
import torch
from fuzz import Tally, Target
from fuzz_targets import all_targets
from model_files import make_tagger

from flairlite.data import Dictionary, Sentence
from flairlite.datasets import ClassificationDataset
from flairlite.errors import DataFormatError, ModelFileError
from flairlite.models import Model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timers of processor time")


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return all_targets(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", list(all_targets()))
def test_modified_inputs_are_read_or_refused_without_losing_labels(name: str, targets: dict[str, Target]) -> None:
    count = 40 if name.startswith("model") else 100
    seed = (
        random.randrange(1 << 20) if os.environ.get("FLAIRLITE_LONG") else 0
    )  # a first test run must not fail by chance
    (tally,) = fuzz.fuzz({name: targets[name]}, count, seed).values()
    assert tally.failures == [], f"seed {seed}"
    assert tally.accepted + tally.refused == tally.inputs == count
    assert tally.refused or name == "predict"


def test_valid_inputs_are_accepted(targets: dict[str, Target], tmp_path: Path) -> None:
    for name, target in targets.items():
        for content in target.seeds:
            (tmp_path / name).write_bytes(content)
            tally = Tally()
            fuzz.try_input(target, tmp_path / name, [], tally, limit=60)
            assert tally.failures == []
            # the second seed of each vector format has four more bytes at its end
            assert tally.accepted == 1 or (name.startswith("vectors") and content != target.seeds[0])


class TestTheFuzzer:
    """The fuzzer detects each kind of failure."""

    @staticmethod
    def failures(run: object, path: Path) -> list[str]:
        path.write_text("a\nb\n")
        tally = Tally()
        fuzz.try_input(Target([], run), path, [], tally, limit=0.2)  # type: ignore[arg-type]
        return tally.failures

    def test_detects_other_errors(self, tmp_path: Path) -> None:
        def run(path: Path, warned: list[str]) -> None:
            raise KeyError("x")

        assert "KeyError" in self.failures(run, tmp_path / "input")[0]

    def test_detects_endless_loops(self, tmp_path: Path) -> None:
        def run(path: Path, warned: list[str]) -> None:
            while True:
                try:
                    time.sleep(0)
                except Exception:
                    continue

        assert "TooSlow" in self.failures(run, tmp_path / "input")[0]

    @pytest.mark.parametrize(("name", "line"), [("other", 1), ("input", 9), ("input", 0)])
    def test_detects_wrong_locations(self, name: str, line: int, tmp_path: Path) -> None:
        def run(path: Path, warned: list[str]) -> None:
            raise DataFormatError("bad", path=path.with_name(name), line=line)

        assert "wrong location" in self.failures(run, tmp_path / "input")[0]

    def test_detects_lost_labels(
        self, targets: dict[str, Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Sentence, "get_labels", lambda *_: [])
        for name in ("conllu", "columns", "texts", "table", "jsonl"):
            (tmp_path / name).write_bytes(targets[name].seeds[0])
            tally = Tally()
            fuzz.try_input(targets[name], tmp_path / name, [], tally, limit=60)
            assert "Lost" in tally.failures[0]

    def test_is_a_command(self, tmp_path: Path) -> None:
        options = ["--inputs", "20", "--only", "jsonl", "--keep", str(tmp_path)]
        done = subprocess.run(
            [sys.executable, fuzz.__file__, *options], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert re.search(r"^20 inputs in \d+ s: 0 failures$", done.stdout, re.MULTILINE)

    def test_sums_the_tallies(self) -> None:
        tallies = {"one": Tally(inputs=3, accepted=1, refused=2, seconds=1.0), "two": Tally(inputs=4, failures=["x"])}
        *_, one, two, total = fuzz.format_report(tallies).splitlines()
        assert total == "7 inputs in 1 s: 1 failures"
        assert (one.split()[0], two.split()[-1]) == ("one", "1")


# failures that long runs found


def test_a_deeply_nested_dictionary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nested").write_text("[" * 100_000)
    with pytest.raises(DataFormatError, match="RecursionError"):
        Dictionary.load_from_file(tmp_path / "nested")


def test_a_control_character_does_not_separate_labels(tmp_path: Path) -> None:
    (tmp_path / "texts").write_bytes(b"__label__good\x1cso it was\n__label__bad\xc2\x85or not\n__label__x\xc2\x85 y\n")
    data = ClassificationDataset(tmp_path / "texts", "topic")
    labels = [label.value for sentence in data for label in sentence.get_labels()]
    assert labels == ["good\x1cso", "bad\x85or", "x"]  # white space around a label is removed


@pytest.mark.parametrize(("group", "name"), [("settings", "tag_type"), ("embeddings", "field")])
def test_a_label_type_in_a_model_file_must_be_a_string(group: str, name: str, tmp_path: Path) -> None:
    make_tagger().save(tmp_path / "model.pt")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    content[group][name] = []
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ModelFileError, match=f"model.pt holds invalid settings: {name} must be a"):
        Model.load(tmp_path / "model.pt")
