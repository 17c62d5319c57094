"""Read CoNLL-U files (https://universaldependencies.org/format.html).

Rows are split here, one column of a sentence at a time: the row parser of the `conllu` package accepts rows with
missing columns, takes two spaces for a column border, reports no line numbers and makes a dictionary per word. Parts
with a syntax of their own (comments, ids of ranges and empty nodes) are parsed with `conllu`.
"""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import BinaryIO

from flairlite.data import Sentence
from flairlite.datasets.conllu_check import Blocks, find_blocks
from flairlite.datasets.deferred import DeferredPart, DeferredSentences
from flairlite.datasets.text_file import remedy_of_encoding, to_path
from flairlite.errors import DataFormatError

FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
LABEL_TYPES = {  # with Flair's names of two columns
    "lemma": ("lemma",),
    "upos": ("upos",),
    "xpos": ("xpos", "pos"),
    "feats": ("feats",),
    "head": ("head",),
    "deprel": ("deprel", "dependency"),
    "deps": ("deps",),
    "misc": ("misc",),
}
_WORDS, _RANGES, _EMPTY_NODES = "words", "multiword_tokens", "empty_nodes"
_CHUNK = 1 << 22  # bytes per read: much more than a sentence, much less than the memory
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = " \u00a0"
_REMEDY = "CoNLL-U has 10 columns per word, separated by tabs, and an empty line after each sentence"


def read_conllu(path: str | Path) -> Sequence[Sentence]:
    """Read all sentences of a CoNLL-U file.

    The whole file is read and checked, but each sentence is made on first access and then kept: a part of a treebank
    costs the time and memory of that part.

    The words are the syntactic words. Multiword ranges (`1-2 don't`) determine the spaces of the text; their rows of
    ten columns are kept in `sentence.metadata["multiword_tokens"]`, those of empty nodes (`8.1`) in
    `sentence.metadata["empty_nodes"]`, comments under their names. Every other column is a label type: lemma, upos,
    xpos (also pos), feats (each feature by its name too), head, deprel (also dependency), deps and misc. Blanks around
    a value are removed.

    Raises:
        DataFormatError: If the file is missing, has no sentence or is not valid CoNLL-U, with the line.
        SettingError: If `path` is not a path.
    """
    path = to_path(path)
    with _open(path) as file:
        sentences = DeferredSentences(_part(text, line, path) for line, text in _chunks(file))
    if not sentences:
        raise DataFormatError("there is no sentence in it", path=path, remedy=_REMEDY)
    return sentences


def iterate_conllu(path: str | Path) -> Iterator[Sentence]:
    """Read the sentences of a CoNLL-U file one by one, in constant memory; see `read_conllu`."""
    path = to_path(path)
    with _open(path) as file:
        for line, text in _chunks(file):
            yield from parse_sentences(text, line, path)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataFormatError(f"cannot be read: {reason}", path=path, remedy="Check the path") from error
    except UnicodeDecodeError as error:
        line, byte = _first_undecodable(path)
        remedy = remedy_of_encoding(path, "Convert the file to UTF-8")
        raise DataFormatError(f"byte 0x{byte:02x} is not UTF-8 text", path=path, line=line, remedy=remedy) from error


def _chunks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield parts of whole sentences, each with the number of its first line; lines end with a newline only."""
    line = 1
    pieces: list[bytes] = []  # read, but without an empty line yet; joined once, so that the time stays linear
    decoder = codecs.getincrementaldecoder("utf-8")()  # only to raise an error
    while chunk := file.read(_CHUNK):
        if chunk.endswith(b"\r"):  # a line end, or half of one
            chunk += file.read(1)
        decoder.decode(chunk, final=len(chunk) < _CHUNK)
        if (nul := chunk.find(b"\0")) >= 0:
            raise UnicodeDecodeError("utf-8", chunk, nul, nul + 1, "NUL")
        if line == 1 and not pieces:
            chunk = chunk.removeprefix(_BYTE_ORDER_MARK)
        chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        end = chunk.rfind(b"\n\n")
        if end >= 0:
            text, rest = b"".join([*pieces, chunk[:end]]), chunk[end + 2 :]
        elif pieces and pieces[-1].endswith(b"\n") and chunk.startswith(b"\n"):  # the empty line is at the border
            text, rest = b"".join(pieces)[:-1], chunk[1:]
        else:
            pieces += [chunk] if chunk else []
            continue
        yield line, text
        line += text.count(b"\n") + 2
        pieces = [rest] if rest else []
    decoder.decode(b"", final=True)
    yield line, b"".join(pieces)


def _part(text: bytes, line: int, path: Path) -> DeferredPart:
    """Check the sentences of a part of the file; suspicious ones are made now, so that their errors are raised now."""
    blocks = find_blocks(text)
    bounds = blocks.bounds.tolist()
    is_suspicious = ~blocks.is_sound
    is_suspicious[_misplaced_ids(text, blocks)] = True
    made: dict[int, Sentence] = {}
    for index in is_suspicious.nonzero()[0].tolist():
        start, end = bounds[index]
        (made[index],) = parse_sentences(text[start:end], line + int(blocks.lines[index]), path)
    return DeferredPart(text, bounds, _sentence_of, made)


def _misplaced_ids(text: bytes, blocks: Blocks) -> list[int]:
    """Return the indices of the sentences whose ids of ranges and empty nodes do not fit between the words."""
    num_words = blocks.num_words.tolist()
    misplaced, range_ends = [], dict.fromkeys(blocks.others[:, 0].tolist(), 0)
    for block, start, end, num_before in blocks.others.tolist():
        try:
            kind, range_ends[block] = _kind_of_id(text[start:end].decode(), 0, num_before, range_ends[block])
        except _RowError:
            kind = ""
        if kind not in (_RANGES, _EMPTY_NODES):
            misplaced.append(block)
    return misplaced + [block for block, end in range_ends.items() if not num_words[block] or end > num_words[block]]


def parse_sentences(text: bytes, line: int, path: Path) -> Iterator[Sentence]:
    """Yield the sentences of a part of a file; `line` is the number of its first line."""
    for block in text.decode().split("\n\n"):
        rows, comments = _rows_and_comments(block)
        if rows:
            try:
                yield _make_sentence(rows, comments)
            except _RowError as error:
                numbers = [n for n, row in enumerate(block.split("\n"), line) if row and row[0] != "#"]
                raise DataFormatError(str(error), path=path, line=numbers[error.row], remedy=_REMEDY) from error
        line += block.count("\n") + 2


def _sentence_of(text: bytes) -> Sentence:
    return _make_sentence(*_rows_and_comments(text.decode()))


def _rows_and_comments(block: str) -> tuple[list[list[str]], list[str]]:
    lines = block.split("\n")
    words = [row for row in lines if row and row[0] != "#"]
    rows = [row.split("\t") for row in words]
    text = "".join(words)
    if " " in text or "\u00a0" in text:
        rows = list(map(_strip_blanks, rows))
    return rows, [row for row in lines if row and row[0] == "#"]


def _strip_blanks(row: list[str]) -> list[str]:
    """Remove blanks around the values of a row; a value of nothing but blanks is unknown, a form of blanks stays."""
    if len(row) != len(FIELDS):
        return row
    values = [value.strip(_BLANKS) or ("_" if value else "") for value in row]
    values[0], values[1] = row[0].strip(_BLANKS), row[1].strip(" ") or row[1]
    return values


class _RowError(Exception):
    """A fault in a row of a sentence."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row


def _make_sentence(rows: list[list[str]], comments: list[str]) -> Sentence:
    metadata = _metadata(comments)
    columns: Sequence[Sequence[str]] = list(zip(*rows, strict=False))
    if any("" in column for column in columns) or set(map(len, rows)) != {len(FIELDS)}:
        _raise_incomplete_row(rows)
    spaces: bytes | None = None
    if columns[0] != _plain_ids(len(rows)):
        sorted_rows = _sort_rows(rows)
        columns = list(zip(*sorted_rows.pop(_WORDS), strict=True))
        spaces = _spaces_with_ranges(columns, sorted_rows.get(_RANGES, ()))
        metadata.update(sorted_rows)
    forms = list(map(intern, columns[1]))
    _check_heads(columns[6], rows)
    labels: dict[str, Sequence[str | None]] = {}
    for field, values in zip(FIELDS[2:], columns[2:], strict=True):
        column = _column(values, forms if field == "lemma" else None)
        if column is not None:
            labels.update(dict.fromkeys(LABEL_TYPES[field], column))
    return Sentence.from_columns(forms, spaces or bytes(map(_space_after, columns[9])), labels, metadata)


def _column(values: Sequence[str], forms: list[str] | None) -> tuple[str | None, ...] | None:
    """Return a column with None for the underscore, or None if the column has only underscores."""
    if "_" not in values:
        return tuple(map(intern, values))
    if forms is not None:  # the lemma of the word "_" is "_"
        column = [None if value == "_" != form else intern(value) for value, form in zip(values, forms, strict=True)]
    else:
        column = [None if value == "_" else intern(value) for value in values]
    return tuple(column) if any(column) else None


@lru_cache(maxsize=4096)
def _plain_ids(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(1, count + 1)))


@lru_cache(maxsize=4096)
def _valid_heads(count: int) -> frozenset[str]:
    return frozenset(("_", "0", *_plain_ids(count)))


@lru_cache(maxsize=65536)
def _space_after(misc: str) -> int:
    return 0 if "SpaceAfter=No" in misc.split("|") else 1


def _metadata(comments: list[str]) -> dict[str, object]:
    from conllu.parser import parse_comment_line

    metadata: dict[str, object] = {}
    for comment in comments:
        key, _, value = map(str.strip, comment[1:].partition("="))
        if key and value:
            metadata[key] = value
        elif remark := comment[1:].strip():
            metadata.update(dict(parse_comment_line(comment)) or {remark: None})
    return metadata


def _raise_incomplete_row(rows: list[list[str]]) -> None:
    """Raise an error that names the first row without ten columns, or with an empty one."""
    for number, row in enumerate(rows):
        if len(row) != len(FIELDS):
            shown = "\t".join(row)[:60]
            raise _RowError(number, f"a row must have {len(FIELDS)} columns, but {shown!r} has {len(row)}")
        if "" in row:
            index = row.index("")
            raise _RowError(number, f"column {index + 1}, {FIELDS[index]}, is empty: write _ for an unknown value")


def _check_heads(heads: Sequence[str], rows: list[list[str]]) -> None:
    valid = _valid_heads(len(heads))
    if not valid.issuperset(heads):
        number = next(number for number, row in enumerate(rows) if row[0].isdigit() and row[6] not in valid)
        raise _RowError(number, f"the head must be _ or a number from 0 to {len(heads)}, but is {rows[number][6]!r}")


def _sort_rows(rows: list[list[str]]) -> dict[str, list[list[str]]]:
    """Return the rows by kind, under its name in the metadata; ids must be consecutive."""
    sorted_rows: dict[str, list[list[str]]] = {}
    num_words = range_end = 0
    for number, row in enumerate(rows):
        kind = _WORDS
        if row[0] != str(num_words + 1):
            kind, range_end = _kind_of_id(row[0], number, num_words, range_end)
        num_words += kind == _WORDS
        sorted_rows.setdefault(kind, []).append(row)
    if not num_words or range_end > num_words:
        raise _RowError(len(rows) - 1, f"the sentence ends after {num_words} words, before the end of a range")
    return sorted_rows


def _kind_of_id(value: str, row: int, num_words: int, range_end: int) -> tuple[str, int]:
    """Return the kind of a row by its id, after `num_words` words, and the end of the last range."""
    first, sign, last = _parsed_id(value, row)
    if first != num_words + (0 if sign == "." else 1) or (sign == "-" and num_words < range_end):
        raise _RowError(row, f"the id {value!r} does not fit after {num_words} words")
    return {"": _WORDS, "-": _RANGES, ".": _EMPTY_NODES}[sign], last if sign == "-" else range_end


def _parsed_id(value: str, row: int) -> tuple[int, str, int]:
    from conllu.exceptions import ParseException
    from conllu.parser import parse_id_value

    try:
        parsed = parse_id_value(value)
    except (ParseException, ValueError) as error:  # ValueError: more digits than int takes
        raise _RowError(row, f"the id must be like 1, 1-2 or 1.1, but is {value[:60]!r}") from error
    return (
        parsed if isinstance(parsed, tuple) else (parsed or 0, "", 0)
    )  # None, of the underscore, fits nowhere, like 0


def _spaces_with_ranges(columns: Sequence[Sequence[str]], ranges: Sequence[Sequence[str]]) -> bytes:
    spaces = bytearray(map(_space_after, columns[9]))
    for row in ranges:
        first, last = map(int, row[0].split("-"))
        is_joined = "".join(columns[1][first - 1 : last]) == row[1]  # "du" is not "de" and "le" joined
        spaces[first - 1 : last] = bytes([0 if is_joined else 1] * (last - first) + [_space_after(row[9])])
    return bytes(spaces)


def _first_undecodable(path: Path) -> tuple[int, int]:
    """Return the line and the value of the first byte that is not UTF-8 text."""
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        for line, text in enumerate(file, 1):
            for character in text:
                if "\udc80" <= character <= "\udcff":  # surrogateescape maps undecodable bytes to this range
                    return line, ord(character) - 0xDC00
                if character == "\0":
                    return line, 0
    return 1, 0  # the file has changed in the meantime
