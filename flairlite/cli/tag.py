"""`flairlite tag`: predict the labels of a stream of sentences."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from flairlite.cli.inputs import Source, check_data_file, check_not_read, read_chunks
from flairlite.cli.load import load_model
from flairlite.cli.parsers import ConlluParser, JsonParser, LineParser, Parser, TableParser, TextParser, WordParser
from flairlite.cli.writers import ConlluWriter, JsonWriter, TextWriter, TsvWriter, Writer
from flairlite.datasets.read_labelled import DELIMITERS
from flairlite.datasets.text_file import JSON_LINES
from flairlite.errors import FileWriteError, SettingError
from flairlite.prediction.layers import Layer, layers_of
from flairlite.storage.atomic import atomic_write

# of files, by their ending
_FORMATS = {".conllu": "conllu", **dict.fromkeys(JSON_LINES, "jsonl"), **{ending: ending[1:] for ending in DELIMITERS}}
_NOT_TEXT = (".bio", ".conll", ".conllx", ".html", ".iob", ".json", ".xml")  # endings of formats that are not read


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
        if input_format is None and path.suffix.lower() in _NOT_TEXT:
            raise SettingError(f"{path}: {path.suffix} files are not read as such: name their format with --input")
    if out is not None:
        check_not_read(out, [model_path, *paths])
    if out is None and sys.stdout is None:
        raise SettingError("standard output is closed: name a file to write with --out")
    model = load_model(model_path, device)
    layers = layers_of(model)
    tokenizer, model.tokenizer = model.tokenizer, None  # the parser splits texts, and given words stay

    def make_parser(source: Source) -> Parser:
        name = input_format or _format_of(source.path) or ("lines" if layers[0].unit == "sentence" else "text")
        if name == "conllu":
            return ConlluParser(source.path, [layer.label_type for layer in layers])
        if name == "text":
            return TextParser(source.path, tokenizer, ends_at_lines=source.is_terminal())
        if f".{name}" in DELIMITERS:
            return TableParser(source.path, tokenizer, delimiter=DELIMITERS[f".{name}"])
        kinds: dict[str, type[LineParser | WordParser | JsonParser]] = {
            "lines": LineParser,
            "words": WordParser,
            "jsonl": JsonParser,
        }
        return kinds[name](source.path, tokenizer)

    formats = {input_format or _format_of(path) for path in paths}
    inferred = next(iter(formats)) if len(formats) == 1 and formats <= {"conllu", "jsonl"} else "text"
    writer = _make_writer(output_format or inferred or "text", layers, is_coloured=out is None and _has_colours())
    with _open_output(out) as output, _progress(paths, out) as on_read:
        for chunk in read_chunks(paths, make_parser, on_read):
            for _ in model.predict_stream([item.sentence for item in chunk if item.sentence is not None], batch_size):
                pass
            output.write(b"".join(map(writer.format, chunk)))
            output.flush()


def _format_of(path: Path) -> str | None:
    """Return the format that the name of a file tells, or None."""
    return _FORMATS.get(path.suffix.lower())


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
