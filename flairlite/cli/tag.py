"""`flairlite tag`: predict the labels of a stream of sentences."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flairlite.cli.inputs import Source, check_data_file, read_chunks
from flairlite.cli.parsers import ConlluParser, JsonParser, LineParser, Parser, TextParser, WordParser
from flairlite.cli.writers import ConlluWriter, JsonWriter, Layer, TextWriter, TsvWriter, Writer
from flairlite.errors import FileWriteError, SettingError
from flairlite.storage.atomic import atomic_write

if TYPE_CHECKING:  # exported models predict without torch
    from flairlite.deploy import ExportedModel
    from flairlite.models import Model
    from flairlite.tasks import Task

_FORMATS = {".conllu": "conllu", ".jsonl": "jsonl"}  # of files, by their ending


def tag_files(
    model_path: Path,
    paths: Sequence[Path],
    input_format: str | None = None,
    output_format: str | None = None,
    out: Path | None = None,
    *,
    batch_size: int = 64,
    device: str | None = None,
) -> None:
    """Predict the labels of files or standard input, and write them.

    Args:
        model_path: The model, or an exported model.
        paths: The files; standard input if none.
        input_format: The format of the files; by default from their names.
        output_format: The format to write; by default that of the input.
        out: The file to write, or None for standard output.
        batch_size: Sentences that pass through the network at once.
        device: The device to predict on.

    Raises:
        FlairliteError: If the model or a file cannot be read, or the output cannot be written.
    """
    paths = paths or [Path("-")]
    for path in paths:
        if path != Path("-"):
            check_data_file(path)  # before the model is loaded
    if out is None and sys.stdout is None:
        raise SettingError("standard output is closed: name a file to write with --out")
    model, layers = _load(model_path, device)
    tokenizer, model.tokenizer = model.tokenizer, None  # the parser splits texts, and given words stay

    def make_parser(source: Source) -> Parser:
        name = input_format or _FORMATS.get(source.path.suffix, "lines" if layers[0].unit == "sentence" else "text")
        if name == "conllu":
            return ConlluParser(source.path, [layer.label_type for layer in layers])
        if name == "text":
            return TextParser(source.path, tokenizer, ends_at_lines=source.is_terminal())
        kinds: dict[str, type[LineParser | WordParser | JsonParser]] = {
            "lines": LineParser,
            "words": WordParser,
            "jsonl": JsonParser,
        }
        return kinds[name](source.path, tokenizer)

    formats = {input_format or _FORMATS.get(path.suffix, "text") for path in paths}
    inferred = formats.pop() if len(formats) == 1 and formats <= {"conllu", "jsonl"} else "text"
    writer = _make_writer(output_format or inferred, layers, is_coloured=out is None and _has_colours())
    with _open_output(out) as output, _progress(paths, out) as on_read:
        for chunk in read_chunks(paths, make_parser, on_read):
            for _ in model.predict_stream([item.sentence for item in chunk if item.sentence is not None], batch_size):
                pass
            output.write(b"".join(map(writer.format, chunk)))
            output.flush()


def _load(path: Path, device: str | None) -> tuple[Model | ExportedModel, list[Layer]]:
    """Return a model, or an exported model without importing torch, and its labels."""
    from flairlite.deploy.file_format import is_export

    if is_export(path):
        from flairlite import deploy

        if device not in (None, "cpu"):
            raise SettingError(f"{path} is an exported model, which predicts on the CPU: leave out --device {device}")
        exported = deploy.load(path)
        return exported, [Layer(each.label_type, each.unit, each.label_names) for each in exported.labelers]
    from flairlite.models import Model

    model = Model.load(path, device=device)
    return model, [Layer(task.label_type, _unit_of(task), task.label_names) for task in model.tasks]


def _unit_of(task: Task) -> str:
    return "sentence" if not task.by_word else "span" if task.unit == "span" else "word"


def _make_writer(name: str, layers: Sequence[Layer], *, is_coloured: bool) -> Writer:
    if name == "text":
        return TextWriter(layers, is_coloured=is_coloured)
    kinds: dict[str, type[TsvWriter | ConlluWriter | JsonWriter]] = {
        "tsv": TsvWriter,
        "conllu": ConlluWriter,
        "jsonl": JsonWriter,
    }
    return kinds[name](layers)


def _has_colours() -> bool:
    """Return whether standard output shows colours; see https://no-color.org."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


@contextlib.contextmanager
def _open_output(out: Path | None) -> Iterator[IO[bytes]]:
    if out is not None:
        with atomic_write(out) as file:
            yield file
        return
    try:
        yield sys.stdout.buffer
    except BrokenPipeError:
        raise
    except OSError as error:
        if isinstance(error, FileWriteError) or error.filename is not None:
            raise
        problem = f"standard output cannot be written: {error.strerror or error}. Name a file with --out"
        raise FileWriteError(problem, path=Path("standard output"), errno=error.errno) from error


@contextlib.contextmanager
def _progress(paths: Sequence[Path], out: Path | None) -> Iterator[Callable[[int], Any]]:
    """Show a progress bar on standard error if that is a terminal, unless the output goes to a terminal too."""
    is_shown = sys.stderr is not None and sys.stderr.isatty() and (out is not None or not sys.stdout.isatty())
    if not is_shown:
        yield lambda num_bytes: None
        return
    from tqdm import tqdm

    sizes = [path.stat().st_size if path.is_file() else None for path in paths]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with tqdm(total=total, unit="B", unit_scale=True, desc="Tagging", leave=False) as bar:
        yield bar.update
