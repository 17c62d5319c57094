"""Bad data gives a result or an error that names the file; a short run of `tests/support/fuzz.py`."""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import fuzz
import pytest
from fuzz import Tally, Target
from fuzz_targets import all_targets

from flairlite.data import Dictionary
from flairlite.datasets import ClassificationDataset
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import DataFormatError, ModelFileError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no timers of processor time there")


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return all_targets(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", list(all_targets()))
def test_changed_inputs_are_read_or_refused_and_no_label_is_lost(name: str, targets: dict[str, Target]) -> None:
    number = 40 if name.startswith("model") else 100
    seed = 0 if os.environ.get("CI") else random.randrange(1 << 20)  # elsewhere each run tries anew
    (tally,) = fuzz.fuzz({name: targets[name]}, number, seed).values()
    assert tally.failures == [], f"seed {seed}"
    assert tally.accepted + tally.refused == tally.inputs == number
    assert tally.refused or name == "predict"


def test_good_inputs_are_accepted(targets: dict[str, Target], tmp_path: Path) -> None:
    for name, target in targets.items():
        for content in target.seeds:
            (tmp_path / name).write_bytes(content)
            tally = Tally()
            fuzz.try_input(target, tmp_path / name, [], tally, limit=60)
            assert tally.failures == []
            # the second seed of vectors has something behind its end
            assert tally.accepted == 1 or (name.startswith("vectors") and content != target.seeds[0])


class TestTheFuzzerItself:
    """It would notice."""

    @staticmethod
    def outcome(run: object, path: Path) -> list[str]:
        path.write_text("a\nb\n")
        tally = Tally()
        fuzz.try_input(Target([], run), path, [], tally, limit=0.2)  # type: ignore[arg-type]
        return tally.failures

    def test_another_error(self, tmp_path: Path) -> None:
        def run(path: Path, said: list[str]) -> None:
            raise KeyError("x")

        assert "KeyError" in self.outcome(run, tmp_path / "input")[0]

    def test_an_endless_loop(self, tmp_path: Path) -> None:
        def run(path: Path, said: list[str]) -> None:
            while True:
                try:
                    time.sleep(0)
                except Exception:
                    continue

        assert "TooSlow" in self.outcome(run, tmp_path / "input")[0]

    @pytest.mark.parametrize(("place", "line"), [("elsewhere", 1), ("input", 9), ("input", 0)])
    def test_a_place_that_is_none(self, place: str, line: int, tmp_path: Path) -> None:
        def run(path: Path, said: list[str]) -> None:
            raise DataFormatError("bad", path=path.with_name(place), line=line)

        assert "names not the place" in self.outcome(run, tmp_path / "input")[0]

    def test_a_label_that_is_lost(
        self, targets: dict[str, Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from flairlite.data import Sentence

        monkeypatch.setattr(Sentence, "get_labels", lambda *_: [])
        for name in ("conllu", "columns", "texts", "table", "jsonl"):
            (tmp_path / name).write_bytes(targets[name].seeds[0])
            tally = Tally()
            fuzz.try_input(targets[name], tmp_path / name, [], tally, limit=60)
            assert "Lost" in tally.failures[0]

    def test_its_command(self, tmp_path: Path) -> None:
        command = [
            sys.executable,
            str(Path(fuzz.__file__)),
            "--inputs",
            "20",
            "--only",
            "jsonl",
            "--keep",
            str(tmp_path),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("20 inputs in 0 s: 0 failures\n")


class TestWhatItFound:
    """Faults that the long form found, and that were mended."""

    def test_a_dictionary_that_is_a_nest(self, tmp_path: Path) -> None:
        (tmp_path / "nest").write_text("[" * 100_000)
        with pytest.raises(DataFormatError, match="RecursionError"):
            Dictionary.load_from_file(tmp_path / "nest")

    def test_a_control_character_behind_a_label_makes_no_other_label(self, tmp_path: Path) -> None:
        (tmp_path / "texts").write_bytes(b"__label__good\x1cso it was\n__label__bad\xc2\x85 or not\n")
        data = ClassificationDataset(tmp_path / "texts", "topic")
        assert [label.value for sentence in data for label in sentence.get_labels()] == ["good\x1cso", "bad"]

    @pytest.mark.parametrize("place", ["tag_type", "field"])
    def test_a_name_in_a_model_file_that_is_no_text(self, place: str, tmp_path: Path) -> None:
        import torch
        from model_files import make_tagger

        from flairlite.models import Model

        make_tagger().save(tmp_path / "model.pt")
        content = torch.load(tmp_path / "model.pt", weights_only=True)
        content["settings" if place == "tag_type" else "embeddings"][place] = []
        torch.save(content, tmp_path / "model.pt")
        with pytest.raises(ModelFileError, match="no text"):
            Model.load(tmp_path / "model.pt")


class TestVectors:
    """What files of word vectors get wrong."""

    @pytest.mark.parametrize(
        ("content", "line", "reason"),
        [
            ("a 1 2\nb nan 2\n", 2, "finite"),
            ("a 1 2\nb 1 inf\n", 2, "finite"),
            ("a 1 2\nb 1e400 2\n", 2, "finite"),
            ("a 1 2\nb 1 2 3\nc 1 2\n", 2, "2 numbers"),
            ("a 1 2\nb 1\n", 2, "2 numbers"),
            ("3 2\na 1 2\nb 1 2\n", None, "3 words"),
            ("1 2\na 1 2\nb 1 2\n", None, "1 words"),
            ("2 3\na 1 2\nb 1 2\n", 2, "3 numbers"),
            ("0 2\n", 1, "numbers of words"),
            ("99999999999 300\na 1 2\n", None, "99,999,999,999 words|300 numbers"),
            ("2 99999999999\na 1 2\n", 1, "numbers of words"),
            ("", None, "empty"),
        ],
    )
    def test_what_is_wrong_is_said_with_file_and_line(
        self, content: str, line: int | None, reason: str, tmp_path: Path
    ) -> None:
        (tmp_path / "vectors.txt").write_text(content)
        with pytest.raises(DataFormatError, match=reason) as caught:
            WordEmbeddings(tmp_path / "vectors.txt")
        assert str(tmp_path / "vectors.txt") in str(caught.value)
        assert line is None or caught.value.line == line

    def test_of_a_word_that_comes_twice_the_first_counts_and_the_log_says_so(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "vectors.txt").write_text("a 1 2\nb 3 4\na 5 6\n")
        with caplog.at_level(logging.WARNING, logger="flairlite"):
            vectors = WordEmbeddings(tmp_path / "vectors.txt").vectors
        assert vectors.words == ["a", "b"]
        assert vectors.matrix.tolist() == [[1, 2], [3, 4]]
        assert "1 rows repeat an earlier word" in caplog.text


def test_the_table_of_the_report_adds_up() -> None:
    tallies = {"one": Tally(inputs=3, accepted=1, refused=2, seconds=1.0), "other": Tally(inputs=4, failures=["x"])}
    assert fuzz.report(tallies).splitlines()[-1] == "7 inputs in 1 s: 1 failures"
    assert json.dumps(fuzz.report(tallies)).count("one") == 1
