"""The command as a process: start, pipes, Ctrl-C, terminals and exit codes."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT, fail, invoke, needs_typer, start

import flairlite
from flairlite.errors import SettingError

pytestmark = needs_typer
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and terminals")

LOADED = """
import json, sys
from flairlite.cli import main
sys.argv[1:] = {arguments}
try:
    main()
finally:
    sys.stderr.write(json.dumps(sorted(sys.modules)))
"""
HEAVY = {"torch", "numpy", "gensim", "sklearn", "scipy", "conllu", "pooch", "syntok", "requests", "matplotlib"}


def loaded_modules(*arguments: str) -> tuple[set[str], str]:
    """Return the packages that a command loads, and what it prints."""
    script = LOADED.format(arguments=list(arguments))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(process.stderr)}, process.stdout


class TestStart:
    @pytest.mark.parametrize(
        "arguments", [["--help"], ["tag", "--help"], ["--version"]], ids=["help", "tag", "version"]
    )
    def test_help_loads_nothing_heavy(self, arguments: list[str]) -> None:
        modules, out = loaded_modules(*arguments)
        assert "typer" in modules
        assert modules & HEAVY == set()
        assert ("Usage: flairlite" in out) or out == f"flairlite {flairlite.__version__}\n"

    def test_info_and_init_do_not_load_torch(self, models: dict[str, Path], tmp_path: Path) -> None:
        for arguments in (["info", str(models["words"])], ["init", "ner", str(tmp_path / "run.toml")]):
            modules, _ = loaded_modules(*arguments)
            assert modules & {"torch", "numpy"} == set()

    def test_without_the_extra_one_line_says_what_to_install(self) -> None:
        script = """
import importlib.util, sys
usual = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "typer" else usual(name, *rest)
from flairlite.cli import main
main()
"""
        process = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )
        expected = "flairlite needs typer: pip install 'flairlite[cli]'\n"
        assert (process.returncode, process.stdout, process.stderr) == (2, "", expected)

    def test_every_command_has_help_with_an_example(self) -> None:
        commands = ["init", "train", "rerun", "tag", "evaluate", "info", "download", "report", "convert", "export"]
        listed = invoke("--help").out
        for command in commands:
            assert command in listed
            assert (
                f"flairlite {command} " in invoke(command, "--help").out.partition("Arguments")[0].partition("Usage")[2]
            )

    @pytest.mark.parametrize(
        "arguments", [["trian"], ["tag"], ["init", "parse", "x.toml"], ["tag", "m", "--outt", "x"]], ids=str
    )
    def test_wrong_usage_has_exit_code_2(self, arguments: list[str]) -> None:
        outcome = invoke(*arguments)
        assert (outcome.code, outcome.raw) == (2, b"")
        assert "Usage: flairlite" in outcome.err

    def test_completion_offers_commands_and_formats(self) -> None:
        for line, expected in (("flairlite ev", "evaluate"), ("flairlite tag m --output t", "tsv")):
            variables = {
                "_FLAIRLITE_COMPLETE": "complete_bash",
                "COMP_WORDS": line,
                "COMP_CWORD": str(line.count(" ")),
                "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
            }
            with start(env=variables) as process:
                out, _ = process.communicate(timeout=60)
            assert expected in out.decode().split()


class TestErrors:
    def test_an_error_of_the_library_is_one_line_and_exit_code_2(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def break_down(*arguments: object, **options: object) -> None:
            raise SettingError("this is wrong: do that")

        monkeypatch.setattr("flairlite.cli.info.describe_model", break_down)
        assert fail("info", "x") == "flairlite: this is wrong: do that"
        outcome = invoke("--debug", "info", "x")
        assert outcome.code == 2
        assert "Traceback" in outcome.err
        assert "in break_down" in outcome.err

    def test_a_bug_is_one_line_and_exit_code_1(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flairlite.cli.info.describe_model", lambda path: {}["x"])
        outcome = invoke("info", "x")
        expected = "flairlite: this is a bug in flairlite: KeyError: 'x'. Show where with: flairlite --debug info ...\n"
        assert (outcome.code, outcome.err) == (1, expected)
        debugged = invoke("--debug", "info", "x")
        assert debugged.code == 1
        assert "Traceback" in debugged.err
        assert "Show where" not in debugged.err

    def test_warnings_are_on_standard_error(self, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        from flairlite.cli import tag

        monkeypatch.setattr(tag, "tag_files", lambda *given, **options: flairlite.logger.warning("note %d", 7))
        outcome = invoke("tag", models["words"])
        assert (outcome.code, outcome.raw, outcome.err) == (0, b"", "flairlite: warning: note 7\n")
        assert len(flairlite.logger.handlers) == 1

    @pytest.mark.parametrize(
        ("command", "module", "name", "arguments"),
        [
            ("report", "flairlite.visual.report", "write_report", ["folder"]),
            ("convert", "flairlite.models.serialization", "convert", ["old.pt", "new.pt"]),
        ],
    )
    def test_functions_that_a_version_lacks_are_named(
        self, command: str, module: str, name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[tuple[object, ...]] = []

        class Module:
            """A module with the function."""

        setattr(Module, name, staticmethod(lambda *given: calls.append(given) or "written"))
        monkeypatch.setattr("flairlite.cli.files.importlib.import_module", lambda found: Module)
        assert invoke(command, *arguments).code == 0
        assert calls == [tuple(map(Path, arguments))]
        delattr(Module, name)
        assert "install a newer version" in fail(command, *arguments)


@posix
class TestPipes:
    def test_a_stream_is_tagged_line_by_line_until_the_pipe_is_closed(self, models: dict[str, Path]) -> None:
        terminal, errors = open_terminal()
        with start("tag", models["texts"], stderr=errors) as process:
            os.close(errors)
            assert process.stdin is not None
            assert process.stdout is not None
            for number in range(3):  # each answer comes before the next line, and before the end
                process.stdin.write(f"line {number}\n".encode())
                process.stdin.flush()
                assert process.stdout.readline().endswith(f"line {number}\n".encode())
            process.stdout.close()
            process.stdin.write(b"a line\n" * 100)
            process.stdin.close()
            shown = read_terminal(terminal)
            assert process.wait(60) == 141
        assert b"Tagging" in shown  # progress, because standard error is a terminal
        assert b"flairlite" not in shown
        assert b"Error" not in shown

    def test_ctrl_c_leaves_nothing_behind(self, models: dict[str, Path], tmp_path: Path) -> None:
        with start("tag", models["texts"], "--out", tmp_path / "out.txt") as process:
            assert process.stderr is not None
            while not any(tmp_path.iterdir()):  # the temporary file
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert (process.wait(60), process.stderr.read()) == (130, b"")
        assert list(tmp_path.iterdir()) == []

    def test_help_into_a_closed_pipe_is_quiet(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with start("--help", stdout=writing, stdin=subprocess.DEVNULL) as process:
            os.close(writing)
            assert process.stderr is not None
            assert process.wait(60) != 0
            assert process.stderr.read() == b""

    def test_the_module_is_the_same_command(self) -> None:
        with start("--version") as process:
            out, _ = process.communicate()
        assert out.decode() == f"flairlite {flairlite.__version__}\n"

    def test_a_terminal_shows_colours_and_takes_lines(self, models: dict[str, Path]) -> None:
        terminal, streams = open_terminal()
        colours = {"TERM": "xterm", "NO_COLOR": "", "FORCE_COLOR": ""}
        with start("tag", models["words"], stdin=streams, stdout=streams, stderr=streams, env=colours) as process:
            os.close(streams)
            os.write(terminal, b"no full stop\n")
            shown = b""
            while b"stop/\x1b[1;3" not in shown:  # before the end of the input, although no sentence ends here
                assert process.poll() is None, shown
                shown += os.read(terminal, 65536)
            os.write(terminal, b"\x04")  # end of input
            shown += read_terminal(terminal)
            assert process.wait(60) == 0
        assert b"Tagging" not in shown  # it would be among the output


class TestOutput:
    def test_colours_are_for_terminals_unless_the_environment_says_otherwise(
        self, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        assert b"\x1b" not in invoke("tag", models["texts"], stdin="a\n").raw
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert b"\x1b[1;3" in invoke("tag", models["texts"], stdin="a\n").raw
        monkeypatch.setenv("NO_COLOR", "1")
        assert b"\x1b" not in invoke("tag", models["texts"], stdin="a\n").raw

    def test_a_full_disk_is_an_error(self, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        def write(item: object, data: object) -> bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("flairlite.cli.writers.TextWriter.format", write)
        message = fail("tag", models["texts"], stdin="a\n")
        assert message.startswith("flairlite: standard output cannot be written: No space left on device. Name a file")

    def test_a_closed_standard_output_is_an_error(
        self, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from flairlite.cli.tag import tag_files

        monkeypatch.setattr(sys, "stdout", None)  # as Python sets it
        with pytest.raises(SettingError, match="standard output is closed: name a file to write with --out"):
            tag_files(models["texts"], [])


def open_terminal() -> tuple[int, int]:
    """Return both ends of a terminal with 80 columns."""
    import fcntl
    import termios

    terminal, streams = os.openpty()
    fcntl.ioctl(streams, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    return terminal, streams


def read_terminal(terminal: int) -> bytes:
    """Return what appears on a terminal until its program ends."""
    found = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux reports the end so
            piece = b""
        if not piece:
            os.close(terminal)
            return found
        found += piece
