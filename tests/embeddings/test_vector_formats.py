"""Each form of a file of word vectors is read as its author meant, or the error names file, line and remedy."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import os
import pickle
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import FastText, KeyedVectors, Word2Vec
from gensim.models.fasttext import load_facebook_vectors, save_facebook_model
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_files import MATRIX, WORDS, as_binary, as_text, assert_same, keyed

from flairlite.embeddings.vector_cache import load_vectors
from flairlite.embeddings.vector_formats import read_vector_file
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import DataFormatError, DataUnavailableError
from flairlite.runtime import get_cache_root

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("form", ["word2vec.txt", "glove.txt", "word2vec.bin", "keyed", "keyed-apart"])
def test_each_format_of_gensim_is_read(tmp_path: Path, form: str, suffix: str) -> None:
    path, table = tmp_path / f"{form}{suffix}", keyed(WORDS, MATRIX)
    if form.startswith("keyed"):
        table.save(str(path), separately=["vectors"] if form == "keyed-apart" else [])
    else:
        table.save_word2vec_format(str(path), binary=form.endswith("bin"), write_header=form != "glove.txt")
    assert_same(load_vectors(path), WORDS, MATRIX)
    assert_same(load_vectors(str(path)), WORDS, MATRIX)


def test_a_whole_model_of_gensim_is_read(tmp_path: Path) -> None:
    model = Word2Vec([WORDS], vector_size=5, min_count=1, workers=1)
    model.save(str(tmp_path / "model"))
    assert_same(load_vectors(tmp_path / "model"), model.wv.index_to_key, model.wv.vectors)


@pytest.mark.parametrize("name", ["vectors.bin", "vectors.txt", "vectors"])
@pytest.mark.parametrize("content", ["text", "glove", "binary", "binary with line ends"])
def test_the_content_decides_the_format_not_the_name(tmp_path: Path, name: str, content: str) -> None:
    path, encoded = tmp_path / name, [word.encode() for word in WORDS]
    path.write_bytes(
        {
            "text": as_text(WORDS, MATRIX),
            "glove": as_text(WORDS, MATRIX, header=False),
            "binary": as_binary(encoded, MATRIX),
            "binary with line ends": as_binary(encoded, MATRIX, after=b"\n"),
        }[content]
    )
    assert_same(load_vectors(path), WORDS, MATRIX)


@given(
    st.lists(st.text(st.characters(exclude_characters=" \n", codec="utf-8"), min_size=1), min_size=1, unique=True),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["text", "binary"]),
)
@settings(max_examples=60)
def test_any_table_is_read_back(words: list[str], dim: int, seed: int, form: str) -> None:
    words = [word.strip() or "x" for word in words] if form == "text" else words
    words = list(dict.fromkeys(words))
    generator = np.random.default_rng(seed)
    scale = generator.choice(np.array([0, 1e-20, 1, 1e20], np.float32))
    dim += form == "binary"  # four bytes may be text
    matrix = scale * generator.standard_normal((len(words), dim)).astype(np.float32)
    path = get_cache_root() / "any"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(as_text(words, matrix) if form == "text" else as_binary([w.encode() for w in words], matrix))
    content = read_vector_file(path)
    assert_same(WordVectors(content.words, content.matrix), words, matrix)


def test_blanks_at_line_ends_and_blank_last_lines_are_ignored(tmp_path: Path) -> None:
    for index, content in enumerate([b"2 2 \r\na 1 2 \r\nb 3 4\r\n\r\n", b"a 1 2 \nb 3e0 +4\n\n \n", b"a 1 2\nb 3 4"]):
        path = tmp_path / f"{index}.vec"
        path.write_bytes(content)
        assert_same(load_vectors(path), ["a", "b"], np.array([[1, 2], [3, 4]], np.float32))


@pytest.mark.parametrize("form", ["text", "binary"])
def test_the_first_of_repeated_words_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str) -> None:
    words, matrix = ["a", "b", "a", "a", "c"], np.arange(10, dtype=np.float32).reshape(5, 2)
    path = tmp_path / "twice"
    path.write_bytes(as_text(words, matrix) if form == "text" else as_binary([w.encode() for w in words], matrix))
    with caplog.at_level(logging.WARNING, "flairlite"):
        assert_same(load_vectors(path), ["a", "b", "c"], matrix[[0, 1, 4]])
    assert "twice: 2 rows repeat an earlier word" in caplog.text


@pytest.mark.parametrize("form", ["text", "binary"])
def test_words_that_are_not_utf8_stay_different_and_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    words, matrix = [b"caf", b"caf\xc3", b"caf\xe9", b"ok"], np.arange(8, dtype=np.float32).reshape(4, 2)
    path = tmp_path / "latin"
    rows = [word + f" {a} {b}\n".encode() for word, (a, b) in zip(words, matrix, strict=True)]
    path.write_bytes(b"4 2\n" + b"".join(rows) if form == "text" else as_binary(words, matrix))
    with caplog.at_level(logging.WARNING, "flairlite"):
        vectors = load_vectors(path)
    assert "latin: 2 words are not valid UTF-8" in caplog.text
    assert [word.encode("utf-8", "surrogateescape") for word in vectors.words] == words
    assert vectors.rows(["caf", "ok", "café", "cafÃ", "caf\ufffd"]).tolist() == [0, 3, -1, -1, -1]
    np.testing.assert_array_equal(vectors.matrix, matrix)


TWO = np.array([[1, 2], [3, 4]], np.float32)
BAD = {
    "empty": (b"", None, "empty file"),
    "only blank lines": (b"\n\n", None, "empty file"),
    "a web page": (b"<!DOCTYPE html>\n<html>\n", 1, "got a web page. Download the file again"),
    "one number in a row of two": (b"2 2\na 1 2\nb 3\n", 3, "2 numbers, but the row ends with 1: b'b 3'"),
    "one number too many": (b"2 2\na 1 2\nb 3 4 5\n", 3, "ends with 3"),
    "no numbers": (b"2 2\na 1 2\nb\n", 3, "ends with 0"),
    "one number in a row of two, no header": (b"a 1 2\nb 3\n", 2, "2 numbers"),
    "a word with a space and a number too few": (b"2 2\na 1 2\nb b 3\n", 3, "ends with 1"),
    "no number": (b"2 2\na 1 2\nb x 4\n", 3, "2 numbers"),
    "no number in the first row": (b"2 8\na 1 x 3 4 5 6 7 8\nb 1 2 3 4 5 6 7 8\n", 2, "8 numbers"),
    "no number either": (b"2 2\na 1 2\nb 1-2 4\n", 3, "2 numbers"),
    "nan": (b"2 2\na 1 2\nb nan 4\n", 3, "expected finite float32 .*first 'b'"),
    "inf": (b"a 1 2\nb 3 -inf\n", 2, "expected finite float32"),
    "too large for float32": (b"2 2\na 1 2\nb 1e39 4\n", 3, "first 'b'"),
    "a blank line within": (b"3 2\na 1 2\n\nb 3 4\n", 3, "blank line"),
    "header counts too few": (b"1 2\na 1 2\nb 3 4\n", None, "expected 1 words with 2 numbers each.*got 2"),
    "header counts too many": (b"3 2\na 1 2\nb 3 4\n", None, "expected 3 words with 2 numbers each.*got 2"),
    "header has another width": (b"2 3\na 1 2\nb 3 4\n", 2, "a word and 3 numbers"),
    "header of no words": (b"0 2\n", 1, "got 0 and 2"),
    "header of no numbers": (b"2 0\na\nb\n", 1, "got 2 and 0"),
    "header of thousands of digits": (b"9" * 5000 + b" 1\na 1\na 1 1\n", 3, "a word and 1"),
    "header of a huge width": (b"2 99999999999999999999\na 1\n", 1, "numbers of words and dimensions"),
    "binary cut short": (as_binary([b"a", b"b"], TWO)[:-1], None, "expected 2 words.*got 1 whole"),
    "binary cut short in a word": (b"2 2\na " + TWO[0].tobytes() + b"bb", None, "expected 2 words.*got 1 whole"),
    "binary with more words": (as_binary([b"a", b"b"], TWO).replace(b"2 2", b"1 2"), None, "expected 1 .*got more"),
    "binary with fewer words": (as_binary([b"a", b"b"], TWO).replace(b"2 2", b"3 2"), None, "expected 3 .*got 2 whole"),
    "binary of less width": (as_binary([b"a", b"b"], TWO).replace(b"2 2", b"2 1"), None, "got more"),
    "binary of more width": (as_binary([b"a", b"b"], TWO).replace(b"2 2", b"2 9"), None, "got 0 whole"),
    "binary nan": (as_binary([b"a", b"b"], np.array([[1, 2], [np.nan, 4]], np.float32)), None, "first 'b'"),
    "a huge count": (b"9999999999999 2\na 1 2\n", None, "expected 9,999,999,999,999 words"),
    "cut pickle": (b"\x80\x04\x95\x10", None, "no word vectors can be read from this pickle"),
    "other pickle": (b"\x80\x02]q\x00.", None, "from this pickle"),
}  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", BAD)
def test_an_invalid_file_is_named_with_its_line(tmp_path: Path, cache: Path, name: str, compressed: bool) -> None:
    content, line, message = BAD[name]
    path = tmp_path / f"invalid{'.gz' if compressed else ''}"
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(DataFormatError, match=message) as caught:
        load_vectors(path)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert str(path) in str(caught.value)
    assert not cache.exists()


@pytest.mark.parametrize("keep", [3, 12, 60, -20, -8, -1])
def test_a_gzip_file_cut_short_is_an_error(tmp_path: Path, keep: int) -> None:
    for name, content in [("text", as_text(WORDS, MATRIX)), ("binary", as_binary([w.encode() for w in WORDS], MATRIX))]:
        path = tmp_path / f"{name}.gz"
        path.write_bytes(gzip.compress(content)[:keep])
        with pytest.raises(DataFormatError, match="damaged or cut short"):
            load_vectors(path)


def test_a_gzip_file_with_a_flipped_bit_is_an_error(tmp_path: Path) -> None:
    whole = gzip.compress(as_text(WORDS, MATRIX))
    path = tmp_path / "flipped.gz"
    for index in range(12, len(whole), 37):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 4]) + whole[index + 1 :])
        with pytest.raises(DataFormatError):
            load_vectors(path)


def test_the_content_decides_whether_a_file_is_compressed(tmp_path: Path) -> None:
    for name, content in [("plain.gz", b"a 1 2\nb 3 4\n"), ("packed.txt", gzip.compress(b"a 1 2\nb 3 4\n"))]:
        (tmp_path / name).write_bytes(content)
        assert_same(load_vectors(tmp_path / name), ["a", "b"], TWO)


def test_vectors_of_numbers_are_refused(tmp_path: Path) -> None:
    table: Any = KeyedVectors(2)
    table.add_vectors([0, 1], TWO)
    table.save(str(tmp_path / "numbered"))
    with pytest.raises(DataFormatError, match="vectors of words"):
        load_vectors(tmp_path / "numbered")


def test_gensims_table_without_words_is_refused(tmp_path: Path) -> None:
    KeyedVectors(2).save(str(tmp_path / "empty"))
    with pytest.raises(DataFormatError, match="expected vectors of words, got none"):
        load_vectors(tmp_path / "empty")


@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
def test_misread_binary_numbers_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture, dtype: str) -> None:
    """Neither a blank in a word nor the byte order is visible in the format."""
    matrix = np.random.default_rng(0).integers(1, 9, (3, 30)) / 8
    words = ["New York" if dtype == "<f4" else "New", "a", "b"]
    rows = b"".join(word.encode() + b" " + row.astype(dtype).tobytes() for word, row in zip(words, matrix, strict=True))
    (tmp_path / "v.bin").write_bytes(b"3 30\n" + rows)
    load_vectors(tmp_path / "v.bin")
    assert (
        "The cause may be a binary file with blanks in words, or numbers of another type or byte order" in caplog.text
    )


def test_float64_vectors_that_float32_cannot_hold_are_refused(tmp_path: Path) -> None:
    table = KeyedVectors(2, dtype=np.float64)
    table.add_vectors(["a", "b"], np.array([[1, 2], [3, 1e300]]))
    table.save(str(tmp_path / "wide"))
    with pytest.raises(DataFormatError, match=r"finite float32 numbers.*'b'"):
        load_vectors(tmp_path / "wide")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in [tmp_path / "missing.txt", tmp_path]:
        with pytest.raises(DataUnavailableError, match=re.escape(str(path))):
            load_vectors(path)


# forms of text files

DIM = MATRIX.shape[1]
NUMBERS = [" ".join(map(str, row.tolist())) for row in MATRIX]
HEADER = f"{len(WORDS)} {DIM}\n"
PLAIN = as_text(WORDS, MATRIX).decode()
WITHOUT_HEADER = as_text(WORDS, MATRIX, header=False).decode()


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


TEXTS = {
    "byte order mark": b"\xef\xbb\xbf" + WITHOUT_HEADER.encode(),
    "byte order mark and header": b"\xef\xbb\xbf" + PLAIN.encode(),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16, big endian": b"\xfe\xff" + WITHOUT_HEADER.encode("utf-16-be"),
    "utf-32": PLAIN.encode("utf-32"),
    "carriage returns and line feeds": PLAIN.replace("\n", "\r\n").encode(),
    "carriage returns": PLAIN.replace("\n", "\r").encode(),
    "carriage returns without header": WITHOUT_HEADER.replace("\n", "\r").encode(),
    "blanks at the ends of lines": PLAIN.replace("\n", " \n").encode(),
    "tabs at the ends of lines": WITHOUT_HEADER.replace("\n", "\t\n").encode(),
    "no last line end": PLAIN.removesuffix("\n").encode(),
    "tabs": PLAIN.replace(" ", "\t").encode(),
    "tabs without header": WITHOUT_HEADER.replace(" ", "\t").encode(),
    "a tab after the word": "".join(f"{word}\t{row}\n" for word, row in zip(WORDS, NUMBERS, strict=True)).encode(),
    "a tab after the word, and header":
        (HEADER + "".join(f"{word}\t{row}\n" for word, row in zip(WORDS, NUMBERS, strict=True))).encode(),
    "blanks at the starts of lines": (" " + PLAIN.removesuffix("\n").replace("\n", "\n ") + "\n").encode(),
    "tabs at the starts of lines without header":
        ("\t" + WITHOUT_HEADER.removesuffix("\n").replace("\n", "\n\t")).encode(),
    "two spaces": HEADER.encode() + WITHOUT_HEADER.replace(" ", "  ").encode(),
    "exponents and signs": HEADER.encode() + b"".join(
        b"%s %s\n" % (word.encode(), b" ".join(b"%+.9E" % value for value in row))
        for word, row in zip(WORDS, MATRIX.tolist(), strict=True)
    ),
}  # fmt: skip
PACKED = {
    "gzip": gzip.compress(PLAIN.encode()),
    "two gzip members": gzip.compress(PLAIN[:100].encode()) + gzip.compress(PLAIN[100:].encode()),
    "bzip2": bz2.compress(PLAIN.encode()),
    "xz": lzma.compress(WITHOUT_HEADER.encode()),
    "zip": zip_of({"some.vec": PLAIN.encode()}),
    "zip with a folder and other files":
        zip_of({"v/": b"", "v/some.txt": PLAIN.encode(), "README.txt": b"x", "__MACOSX/v/._some.txt": b"x"}),
    "zip of a binary file": zip_of({"some.bin": as_binary([word.encode() for word in WORDS], MATRIX)}),
    "gzip with a byte order mark": gzip.compress(b"\xef\xbb\xbf" + PLAIN.encode()),
    "bzip2 of a binary file": bz2.compress(as_binary([word.encode() for word in WORDS], MATRIX)),
}  # fmt: skip


@pytest.mark.parametrize("form", [*TEXTS, *PACKED])
def test_each_form_of_text_is_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "vectors"
    path.write_bytes({**TEXTS, **PACKED}[form])
    assert_same(load_vectors(path), WORDS, MATRIX)


ODD_WORDS = [
    ". . .",
    "at name@domain.com",
    "a\u00a0b",
    "\u2028",
    "\x85",
    "1",
    "1/2",
    "-0.5",
    "nan",
    '"',
    ",",
    "a,b",
    "#",
]


@pytest.mark.parametrize("rows", [1, len(ODD_WORDS)])
@pytest.mark.parametrize("dim", [1, 2, 50])
@pytest.mark.parametrize("separator", [" ", "\t"])
@pytest.mark.parametrize("has_header", [False, True])
def test_words_with_blanks_and_punctuation_are_read(
    tmp_path: Path, rows: int, dim: int, separator: str, has_header: bool
) -> None:
    """GloVe's 840B vectors contain rows of `. . .` and of `at name@domain.com`."""
    matrix = np.random.default_rng(dim).standard_normal((rows, dim)).astype(np.float32)
    lines = [separator.join([word, *map(str, row)]) for word, row in zip(ODD_WORDS, matrix.tolist(), strict=False)]
    path = tmp_path / "odd.txt"
    path.write_text("\n".join([f"{rows} {dim}"] * has_header + lines), encoding="utf-8", newline="\n")
    vectors = load_vectors(path)
    assert vectors.words == ODD_WORDS[:rows]
    np.testing.assert_array_equal(vectors.matrix, matrix)


def test_a_word_may_be_empty_or_a_blank(tmp_path: Path) -> None:
    path = tmp_path / "blank.txt"
    path.write_bytes(b"a 1 2\n 3 4\n  5 6\nb\0 7 8\n")
    vectors = load_vectors(path)
    assert vectors.words == ["a", "", " ", "b\0"]
    assert vectors.matrix.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def torch_file(thing: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


def tar_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"
AS_DICT = "pass the vectors as a dict"
OTHERS = {
    "a web page": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page", "Download the file again"),
    "a web page in upper case": (b"\n <HTML><BODY>Log in", "a web page|blank line", "Download|The file must be"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page", "Download the file again"),
    "json": (b'{"message": "Not Found"}', "JSON", AS_DICT),
    "a pointer of Git LFS": (POINTER, "a pointer of Git LFS", "git lfs pull"),
    "an array of NumPy": (npy(MATRIX), "a NumPy array without its words", r"dict\(zip\(words, matrix\)\)"),
    "arrays of NumPy": (npz(words=np.array(WORDS), vectors=MATRIX), "arrays of NumPy", AS_DICT),
    "a file of PyTorch": (torch_file({"a": torch.ones(2)}), "arrays of NumPy or PyTorch", AS_DICT),
    "safetensors": (b"\x40\0\0\0\0\0\0\0{\"vectors\":{\"dtype\":\"F32\"", "a safetensors file", AS_DICT),
    "HDF5": (b"\x89HDF\r\n\x1a\n\0\0\0", "an HDF5 file", AS_DICT),
    "Magnitude": (b"SQLite format 3\0\x10\0", "an SQLite database", AS_DICT),
    "Parquet": (b"PAR1\x15\x04\x15", "a Parquet", AS_DICT),
    "Arrow": (b"ARROW1\0\0\xff\xff\xff\xff", "Arrow", AS_DICT),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\x04", "an archive of another kind", "Unpack it"),
    "zstandard": (b"\x28\xb5\x2f\xfd\x04\x58", "an archive of another kind", "Unpack it"),
    "tar": (tar_of("v.txt", PLAIN.encode()), "a tar archive", "Unpack it"),
    "tar in gzip": (gzip.compress(tar_of("v.txt", PLAIN.encode())), "a tar archive", "Unpack it"),
    "a zip of several files": (
        zip_of({"glove.6B.50d.txt": PLAIN.encode(), "glove.6B.100d.txt": PLAIN.encode()}),
        "got 2: glove.6B.50d.txt, glove.6B.100d.txt", "Unpack it, and give the path of the file",
    ),
    "a zip of gensim's files": (zip_of({"v.kv": b"", "v.kv.vectors.npy": b""}), "got 2: v.kv", "Unpack it"),
    "an encrypted zip": (
        zip_of({"v.txt": b"a 1 2"}).replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"),
        "encrypted", "Unpack it",
    ),
    "an empty zip": (zip_of({"x/": b""}), "got 0: none", "Unpack it"),
    "a zip cut short": (PACKED["zip"][:-30], "damaged or cut short", "Download the file again"),
    "a bzip2 file cut short": (PACKED["bzip2"][:-30], "damaged or cut short", "Download the file again"),
    "an xz file cut short": (PACKED["xz"][:-30], "damaged or cut short", "Download the file again"),
    "bzip2 with a flipped bit": (PACKED["bzip2"][:60] + b"\xff" + PACKED["bzip2"][61:], "damaged", "Download"),
    "a pickle of protocol 0": (b"(dp0\nVa\np1\n", "a pickle of an old kind", AS_DICT),
    "a pickled dict": (pickle.dumps({"a": [1.0]}), "this pickle", AS_DICT),
    "a pickled tuple": (pickle.dumps((WORDS, MATRIX)), "this pickle", AS_DICT),
    "a pickle in a zip": (zip_of({"v.kv": pickle.dumps({"a": [1.0]})}), "expected KeyedVectors, got dict", AS_DICT),
    "decimal commas": (b"a 0,1 0,2\nb 0,3 0,4\n", "numbers with commas", "Write decimal points"),
    "decimal commas and header": (b"2 2\na 0,1 0,2\nb 0,3 0,4\n", "line 2: expected a word", "Write decimal points"),
    "commas": (b"the,0.1,0.2\n", "numbers with commas", "separate the numbers by spaces"),
    "commas after a row of names": (b"word,d0,d1\nthe,0.1,0.2\n", "expected a word and numbers", "The file must be"),
    "utf-16 without mark": (WITHOUT_HEADER.encode("utf-16-le"), "UTF-16 without a byte order", "as UTF-8"),
    "NULs": (bytes(5000), "binary data", "Save text as UTF-8"),
    "a header alone": (b"3 50\n", "expected 3 words with 50 numbers each, as the header says, got 0", "Download"),
    "a byte order mark alone": (b"\xef\xbb\xbf", "an empty file", "Download the file again"),
    "half a character of UTF-16": (b"\xff\xfea", "damaged or cut short", "Download the file again"),
    "nothing in gzip": (gzip.compress(b""), "an empty file", "Download the file again"),
    "a sentence": (b"This is a text.\nIt has words.\n", "line 1: expected a word and numbers", "The file must"),
    "no numbers with a header": (b"2 2\na b c\nd e f\n", "line 2: expected a word and 2 numbers|2 words", ""),
    "rows of different lengths": (b"a 1 2 3\nb 1 2\n", "line 2: .*3 numbers, but the row ends with 2", "The file"),
    "a matrix without words": (b"0.5 -1.0\n.25 2.0e-1\n", "line 1: expected a word .*, got only numbers", AS_DICT),
    "quoted words": (b'"a" 1 2\n"b" 3 4\n', "line 1: expected words, got words in quotation marks", "without them"),
    "a header of a table": (b" 0 1 2 3 4\na 5 5 5 5 5\n", "line 1: .*got the numbers of the columns", "without them"),
    "a named header": (b"word\t0\t1\t2\t3\t4\n", "line 1: .*got the numbers of the columns", "without them"),
    "a nan": (b"a 1 2\nb nan 2\n", "line 2: expected finite float32 numbers.*'b'", "Remove or correct these vectors"),
    "a nan in the first row": (b"a 1 nan\nb 1 2\n", "line 1: expected finite float32 numbers.*'a'", "Remove"),
}  # fmt: skip


@pytest.mark.parametrize("form", OTHERS)
def test_each_other_form_is_named_with_the_remedy(tmp_path: Path, form: str) -> None:
    content, problem, remedy = OTHERS[form]
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=problem) as caught:
        load_vectors(path)
    assert re.search(remedy, caught.value.remedy)
    assert str(path) in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))  # as from a worker process
    assert (str(again), again.path, again.line) == (str(caught.value), path, caught.value.line)


# gensim and fastText


@pytest.fixture(scope="module")
def fasttext() -> FastText:
    return FastText([WORDS], vector_size=5, min_count=1, workers=1, bucket=50)


def test_fasttexts_binary_file_is_read_without_its_parts_of_words(
    tmp_path: Path, fasttext: FastText, caplog: pytest.LogCaptureFixture
) -> None:
    save_facebook_model(fasttext, str(tmp_path / "cc.bin"))
    vectors = load_vectors(tmp_path / "cc.bin")
    table = load_facebook_vectors(str(tmp_path / "cc.bin"))
    assert vectors.words == table.index_to_key
    np.testing.assert_array_equal(vectors.matrix, table.vectors)
    assert "cc.bin: fastText's vectors of parts of words are not used" in caplog.text
    content = (tmp_path / "cc.bin").read_bytes()
    packed = {"cc.bin.gz": gzip.compress(content), "cc.zip": zip_of({"cc.bin": content})}
    for name, other in {"cut.bin": content[:900], **packed}.items():
        (tmp_path / name).write_bytes(other)
        with pytest.raises(DataFormatError, match=r"fastText.*(WordEmbeddings\(\{word: vector|Unpack it)"):
            load_vectors(tmp_path / name)


def test_a_whole_fasttext_model_of_gensim_is_read(tmp_path: Path, fasttext: FastText) -> None:
    fasttext.save(str(tmp_path / "model"))
    fasttext.wv.save(str(tmp_path / "model.kv"))
    for name in ("model", "model.kv"):
        vectors = load_vectors(tmp_path / name)
        assert vectors.words == fasttext.wv.index_to_key
        np.testing.assert_array_equal(vectors.matrix, fasttext.wv.vectors)


def test_missing_second_file_of_gensim_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.kv"
    keyed(WORDS, MATRIX).save(str(path), separately=["vectors"])
    Path(f"{path}.vectors.npy").unlink()
    with pytest.raises(DataFormatError, match=r"some\.kv\.vectors\.npy is missing.*put all of them into one folder"):
        load_vectors(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.write_bytes(PLAIN.encode())
    path.chmod(0)
    with pytest.raises(DataUnavailableError, match="private: Permission denied"):
        load_vectors(path)
