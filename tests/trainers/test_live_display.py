"""The live display: on a terminal it is drawn and removed around the lines of the log; elsewhere there is none."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sentences import tagged

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.models import SequenceTagger
from flairlite.runtime import is_interactive
from flairlite.trainers import ModelTrainer

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
import numpy as np
from flairlite.data import Corpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer
sentences = [Sentence(["the", "dog"]).set_token_labels("upos", ["DET", "NOUN"]) for _ in range(40)]
corpus = Corpus(sentences, sentences[:5], sentences[:5])
embeddings = WordEmbeddings(WordVectors(["the", "dog"], np.eye(2)))
tagger = SequenceTagger(embeddings, corpus.make_label_dictionary("upos"), "upos", hidden_size=4)
ModelTrainer(tagger, corpus).train(sys.argv[1], max_epochs=3, mini_batch_size=2)
tagger.predict([Sentence("the dog") for _ in range(9)], verbose=True)
"""


def screen_of(text: str) -> list[str]:
    """Return the lines that a terminal shows after a text, which it overwrites from a carriage return on."""
    lines: list[list[str]] = [[]]
    row = column = 0
    for character in text.replace("\x1b[A", "\x00"):
        if character == "\n":
            row += 1
            if row == len(lines):
                lines.append([])
            column = 0
        elif character == "\r":
            column = 0
        elif character == "\x00":
            row = max(0, row - 1)
        else:
            line = lines[row]
            line += [" "] * (column + 1 - len(line))
            line[column] = character
            column += 1
    return ["".join(line).rstrip() for line in lines]


def run_on_terminal(folder: Path, *, stdout_too: bool) -> tuple[str, str]:
    """Run the script with standard error, and maybe standard output, on a terminal; return what both received."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 140, 0, 0))  # 50 lines of 140 characters
    received: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal is closed
                return
            if not part:
                return
            received.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        stderr=theirs,
        stdout=theirs if stdout_too else subprocess.PIPE,
        env=environment,
    ) as process:
        os.close(theirs)
        piped = b"" if process.stdout is None else process.stdout.read()
    reader.join()
    os.close(ours)
    text = b"".join(received).decode().replace("\r\n", "\n")
    assert process.returncode == 0, text
    return text, piped.decode()


def test_it_shows_figures_and_the_lines_of_the_log_stay_whole(tmp_path: Path) -> None:
    text, _ = run_on_terminal(tmp_path, stdout_too=True)
    for expected in ("epoch 1/3 training", "epoch 3/3", "loss ", "words/s", "best dev ", "lr 0.1", " left", "100%"):
        assert expected in text
    shown = [line for line in screen_of(text) if line]
    written = [line.rstrip() for line in (tmp_path / "training.log").read_text(encoding="utf-8").splitlines() if line]
    assert shown[: len(written)] == written
    assert len(shown) <= len(written) + 1  # the display is gone at the end; predict leaves its bar


def test_standard_output_in_a_file_has_the_lines_and_nothing_else(tmp_path: Path) -> None:
    text, piped = run_on_terminal(tmp_path, stdout_too=False)
    assert piped == (tmp_path / "training.log").read_text(encoding="utf-8")
    assert "epoch 1/3 training" in text
    assert "".join(screen_of(text.partition("Predicting")[0])).strip() == ""


def make_run(folder: Path, **options: object) -> None:
    sentences = [tagged("the/DET dog/NOUN", "upos") for _ in range(8)]
    corpus = Corpus(sentences, sentences[:2])
    tagger = SequenceTagger(WordEmbeddings(VECTORS), corpus.make_label_dictionary("upos"), "upos", hidden_size=4)
    ModelTrainer(tagger, corpus).train(folder, **{"max_epochs": 2, "mini_batch_size": 2, **options})


VECTORS = WordVectors(["the", "dog"], np.eye(2))


def test_elsewhere_nothing_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path)
    assert capsys.readouterr().err == ""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module IPython as a kernel of a notebook has it."""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    return


def test_notebooks_and_terminals_are_interactive(notebook: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_interactive()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))  # type: ignore[arg-type]
    assert not is_interactive()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not is_interactive()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert is_interactive()
    monkeypatch.setattr(sys, "stderr", None)  # a program without a console
    assert not is_interactive()


def test_an_error_removes_the_display(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import logging

    from flairlite.trainers import Callback, TrainingState

    class Fail(Callback):
        def on_batch_end(self, state: TrainingState) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    filters = list(logging.getLogger("flairlite").filters)
    with pytest.raises(ZeroDivisionError):
        make_run(tmp_path, plugins=[Fail()])
    assert logging.getLogger("flairlite").filters == filters
    assert "epoch 1/2 training" in capsys.readouterr().err


def test_a_run_of_a_terminal_is_resumed_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as terminal:
        terminal.setattr(sys.stderr, "isatty", lambda: True)
        make_run(tmp_path)
    make_run(tmp_path, max_epochs=3, resume=True)
    assert "EPOCH 3 done" in (tmp_path / "training.log").read_text()


def test_predict_shows_progress_in_notebooks(
    notebook: None, sample: Corpus, mini_vectors: WordEmbeddings, capsys: pytest.CaptureFixture[str]
) -> None:
    tagger = SequenceTagger(mini_vectors, sample.make_label_dictionary("upos"), "upos", hidden_size=4)
    tagger.predict([Sentence("a b")], verbose=True)
    assert "Predicting" in capsys.readouterr().err
