"""Word vectors: every format reads as gensim wrote it, look-ups follow Flair's four rules, damage is never silent."""

from __future__ import annotations

import copy
import doctest
import gzip
import io
import json
import logging
import os
import pickle
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors, Word2Vec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flairlite.embeddings import packing, vector_cache
from flairlite.embeddings import vectors as module
from flairlite.embeddings.packing import PackedWords
from flairlite.embeddings.vector_cache import load_vectors
from flairlite.embeddings.vector_formats import read_vector_file
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import DataFormatError, DataUnavailableError, ModelFileError, SettingError
from flairlite.runtime import get_cache_root, set_cache_root

WORDS = ["the", "The", "of", "##th", "00", "été", "中文", "a\u00a0b", "\u2028", "naïve", "e\u0301", "🙂", "#", "0"]
MATRIX = np.random.default_rng(0).standard_normal((len(WORDS), 5)).astype(np.float32)

# small, so that words meet: cases that lower() lengthens or leaves, digits of other scripts, what splits lines
LETTERS = "aAbBİIıſßΣσς01٣९²#é中\n \x00\x85\u2028\ud800\udcff🙂"
words_of = st.text(st.sampled_from(LETTERS), max_size=4) | st.text(max_size=6)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "cache"
    set_cache_root(root)
    yield root / "vectors"
    set_cache_root(None)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "some.txt"
    path.write_bytes(as_text(WORDS, MATRIX))
    return path


def as_text(words: list[str], matrix: np.ndarray, *, header: bool = True) -> bytes:
    rows = [f"{word} {' '.join(map(str, row.tolist()))}\n" for word, row in zip(words, matrix, strict=True)]
    return ((f"{len(words)} {matrix.shape[1]}\n" if header else "") + "".join(rows)).encode()


def as_binary(words: list[bytes], matrix: np.ndarray, *, after: bytes = b"") -> bytes:
    rows = [word + b" " + row.astype("<f4").tobytes() + after for word, row in zip(words, matrix, strict=True)]
    return f"{len(words)} {matrix.shape[1]}\n".encode() + b"".join(rows)


def keyed(words: list[str], matrix: np.ndarray) -> Any:
    table = KeyedVectors(matrix.shape[1])
    table.add_vectors(words, matrix)
    return table


def plain_rows(words: list[str], queries: list[str]) -> list[int]:
    """Flair's look-up as Flair has it: one word at a time, in a dict."""
    row_of: dict[str, int] = {}
    for row, word in enumerate(words):
        row_of.setdefault(word, row)
    found = []
    for word in queries:
        forms = [word, word.lower(), re.sub(r"\d", "#", word.lower()), re.sub(r"\d", "0", word.lower())]
        found.append(next((row_of[form] for form in forms if form in row_of), -1))
    return found


def assert_same(vectors: WordVectors, words: list[str], matrix: np.ndarray) -> None:
    assert vectors.words == words
    assert vectors.matrix.dtype == np.float32
    np.testing.assert_array_equal(vectors.matrix, matrix)
    assert vectors.rows(words).tolist() == plain_rows(words, words)


# look-up


def test_rows_follow_the_order_exact_lower_hash_zero() -> None:
    words = ["Abc", "abc", "x#", "x0", "x7"]
    vectors = WordVectors(words, np.zeros((5, 2)))
    assert vectors.rows(["Abc", "ABC", "X7", "x8", "X٣"]).tolist() == [0, 1, 4, 2, 2]
    assert WordVectors(["x0"], np.zeros((1, 2))).rows(["X9", "x", "9x"]).tolist() == [0, -1, -1]


@given(st.lists(words_of, max_size=30), st.lists(words_of, max_size=30))
@example(["", "a"], ["", "A", "b"])
@example(["\ud83d", "\ude42", "🙂"], ["🙂", "\ud83d\ude42", "\ude42"])
@example([], ["a"])
def test_rows_agree_with_one_look_up_at_a_time(words: list[str], queries: list[str]) -> None:
    vectors = WordVectors(words, np.zeros((len(words), 3)))
    queries = [*queries, *words, *(word.upper() for word in words), *(word + "1" for word in words)]
    rows = vectors.rows(queries)
    assert rows.dtype == np.int64
    assert rows.tolist() == plain_rows(words, queries)
    assert vectors.words == words


@given(st.lists(words_of, max_size=20), st.lists(words_of, max_size=20), st.sampled_from([0, 1, 3]))
def test_words_that_share_a_hash_are_told_apart(words: list[str], queries: list[str], bits: int) -> None:
    hashes, hash_of_one = PackedWords.hashes, packing._hash
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PackedWords, "hashes", lambda self: hashes(self) & np.uint64(bits))
        patch.setattr(packing, "_hash", lambda data: hash_of_one(data) & bits)
        rows = WordVectors(words, np.zeros((len(words), 1))).rows(queries + words)
    assert rows.tolist() == plain_rows(words, queries + words)


@given(words_of)
def test_a_hash_is_fnv_1a(word: str) -> None:
    expected = 0xCBF29CE484222325
    for byte in word.encode("utf-8", "surrogatepass"):
        expected = (expected ^ byte) * 0x100000001B3 % 2**64
    assert PackedWords.pack(["other", word, ""]).hashes()[1] == expected
    assert packing._hash(word.encode("utf-8", "surrogatepass")) == expected


def test_ten_thousand_words_and_a_very_long_one_are_found() -> None:
    words = [f"w{number * 7}" for number in range(10_000)] + ["long" * 5_000]
    vectors = WordVectors(words, np.zeros((len(words), 1)))
    queries = [f"w{number}" for number in range(2_000)] + ["long" * 5_000, "long" * 4_999]
    assert vectors.rows(queries).tolist() == plain_rows(words, queries)


def test_a_table_of_another_shape_than_its_words_is_refused() -> None:
    for shape in [(3, 4), (2,), (2, 1, 1)]:
        with pytest.raises(SettingError, match=r"\(V, D\) with V = 2 words, got \(" + str(shape[0])):
            WordVectors(["a", "b"], np.zeros(shape))
    vectors = WordVectors(["a", "b"], np.zeros((2, 4), np.float64))
    assert (len(vectors), vectors.dim, vectors.matrix.dtype) == (2, 4, np.float32)


def test_the_doctest_holds() -> None:
    assert doctest.testmod(module).failed == 0


# formats


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("form", ["word2vec.txt", "glove.txt", "word2vec.bin", "keyed", "keyed-apart"])
def test_each_format_reads_as_gensim_wrote_it(tmp_path: Path, form: str, suffix: str) -> None:
    path, table = tmp_path / f"{form}{suffix}", keyed(WORDS, MATRIX)
    if form.startswith("keyed"):
        table.save(str(path), separately=["vectors"] if form == "keyed-apart" else [])
    else:
        table.save_word2vec_format(str(path), binary=form.endswith("bin"), write_header=form != "glove.txt")
    assert_same(load_vectors(path), WORDS, MATRIX)
    assert_same(load_vectors(str(path)), WORDS, MATRIX)


def test_a_whole_model_of_gensim_gives_its_vectors(tmp_path: Path) -> None:
    model = Word2Vec([WORDS], vector_size=5, min_count=1, workers=1)
    model.save(str(tmp_path / "model"))
    assert_same(load_vectors(tmp_path / "model"), model.wv.index_to_key, model.wv.vectors)


@pytest.mark.parametrize("name", ["vectors.bin", "vectors.txt", "vectors"])
@pytest.mark.parametrize("content", ["text", "glove", "binary", "binary with line ends"])
def test_the_content_decides_not_the_name(tmp_path: Path, name: str, content: str) -> None:
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
def test_any_table_reads_back(words: list[str], dim: int, seed: int, form: str) -> None:
    words = [word.strip() or "x" for word in words] if form == "text" else words
    words = list(dict.fromkeys(words))
    generator = np.random.default_rng(seed)
    scale = generator.choice(np.array([0, 1e-20, 1, 1e20], np.float32))
    dim += form == "binary"  # four bytes alone can look like text
    matrix = scale * generator.standard_normal((len(words), dim)).astype(np.float32)
    path = get_cache_root() / "any"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(as_text(words, matrix) if form == "text" else as_binary([w.encode() for w in words], matrix))
    content = read_vector_file(path)
    assert_same(WordVectors(content.words, content.matrix), words, matrix)


def test_spaces_at_line_ends_and_blank_lines_at_the_end_do_no_harm(tmp_path: Path) -> None:
    for number, content in enumerate([b"2 2 \r\na 1 2 \r\nb 3 4\r\n\r\n", b"a 1 2 \nb 3e0 +4\n\n \n", b"a 1 2\nb 3 4"]):
        path = tmp_path / f"{number}.vec"
        path.write_bytes(content)
        assert_same(load_vectors(path), ["a", "b"], np.array([[1, 2], [3, 4]], np.float32))


@pytest.mark.parametrize("form", ["text", "binary"])
def test_of_words_that_occur_twice_the_first_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    words, matrix = ["a", "b", "a", "a", "c"], np.arange(10, dtype=np.float32).reshape(5, 2)
    path = tmp_path / "twice"
    path.write_bytes(as_text(words, matrix) if form == "text" else as_binary([w.encode() for w in words], matrix))
    with caplog.at_level(logging.WARNING, "flairlite"):
        assert_same(load_vectors(path), ["a", "b", "c"], matrix[[0, 1, 4]])
    assert "twice: 2 rows are of words that came before" in caplog.text


@pytest.mark.parametrize("form", ["text", "binary"])
def test_words_that_are_no_utf8_are_kept_apart_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    words, matrix = [b"caf", b"caf\xc3", b"caf\xe9", b"ok"], np.arange(8, dtype=np.float32).reshape(4, 2)
    path = tmp_path / "latin"
    rows = [word + f" {a} {b}\n".encode() for word, (a, b) in zip(words, matrix, strict=True)]
    path.write_bytes(b"4 2\n" + b"".join(rows) if form == "text" else as_binary(words, matrix))
    with caplog.at_level(logging.WARNING, "flairlite"):
        vectors = load_vectors(path)
    assert "latin: 2 words are no valid UTF-8" in caplog.text
    assert [word.encode("utf-8", "surrogateescape") for word in vectors.words] == words
    assert vectors.rows(["caf", "ok", "café", "cafÃ", "caf\ufffd"]).tolist() == [0, 3, -1, -1, -1]
    np.testing.assert_array_equal(vectors.matrix, matrix)


TWO = np.array([[1, 2], [3, 4]], np.float32)
BAD = {
    "empty": (b"", None, "empty file"),
    "only blank lines": (b"\n\n", None, "empty file"),
    "a web page": (b"<!DOCTYPE html>\n<html>\n", 1, "a word and 1 numbers, one space between"),
    "one number in a row of two": (b"2 2\na 1 2\nb 3\n", 3, "2 numbers, .*got 2 fields: b'b 3'"),
    "one number too many": (b"2 2\na 1 2\nb 3 4 5\n", 3, "got 4 fields"),
    "no numbers": (b"2 2\na 1 2\nb\n", 3, "got 1 fields"),
    "one number in a row of two, no header": (b"a 1 2\nb 3\n", 2, "2 numbers"),
    "a word with a space": (b"2 2\na 1 2\nb b 3 4\n", 3, "2 numbers"),
    "tabs": (b"1 8\na\t1\t2\t3\t4\t5\t6\t7\t8\n", 2, "8 numbers"),
    "two spaces": (b"2 2\na  1 2\nb 3 4\n", 2, "one space between"),
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
    "cut pickle": (b"\x80\x04\x95\x10", None, "cannot load this pickle"),
    "other pickle": (b"\x80\x02]q\x00.", None, "cannot load this pickle|got a pickled list"),
}  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, cache: Path, name: str, compressed: bool) -> None:
    content, line, message = BAD[name]
    path = tmp_path / f"bad{'.gz' if compressed else ''}"
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
    for place in range(12, len(whole), 37):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(DataFormatError):
            load_vectors(path)


def test_the_content_decides_about_gzip_too(tmp_path: Path) -> None:
    for name, content in [("plain.gz", b"a 1 2\nb 3 4\n"), ("packed.txt", gzip.compress(b"a 1 2\nb 3 4\n"))]:
        (tmp_path / name).write_bytes(content)
        assert_same(load_vectors(tmp_path / name), ["a", "b"], TWO)


def test_a_pickle_of_other_than_words_is_refused(tmp_path: Path) -> None:
    table: Any = KeyedVectors(2)
    table.add_vectors([0, 1], TWO)
    table.save(str(tmp_path / "numbered"))
    with pytest.raises(DataFormatError, match="vectors of words"):
        load_vectors(tmp_path / "numbered")


def test_float64_vectors_that_float32_cannot_hold_are_refused(tmp_path: Path) -> None:
    table = KeyedVectors(2, dtype=np.float64)
    table.add_vectors(["a", "b"], np.array([[1, 2], [3, 1e300]]))
    table.save(str(tmp_path / "wide"))
    with pytest.raises(DataFormatError, match=r"finite float32 numbers.*'b'"):
        load_vectors(tmp_path / "wide")


def test_no_file_says_so(tmp_path: Path) -> None:
    for path in [tmp_path / "none.txt", tmp_path]:
        with pytest.raises(DataUnavailableError, match=re.escape(str(path))):
            load_vectors(path)


# the cache


def test_a_second_load_maps_the_cache_and_needs_no_gensim(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "flairlite"):
        load_vectors(source)
        assert caplog.text.count("converting the word vectors") == 1
        monkeypatch.setitem(sys.modules, "gensim.models", None)
        monkeypatch.setattr(vector_cache, "read_vector_file", None)
        vectors = load_vectors(source)
    assert caplog.text.count("converting the word vectors") == 1
    assert isinstance(vectors.matrix, np.memmap)
    assert_same(vectors, WORDS, MATRIX)
    torch.from_numpy(vectors.matrix)  # warns, and so fails here, if the array cannot be written


def test_writing_to_a_table_leaves_the_cache_as_it_is(source: Path) -> None:
    load_vectors(source).matrix[:] = 0
    assert_same(load_vectors(source), WORDS, MATRIX)


def test_the_words_of_a_cached_table_are_found_without_hashing_it(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_vectors(source)
    hashed: list[int] = []
    hashes = PackedWords.hashes
    monkeypatch.setattr(packing, "_FEW", 0)  # few words are hashed one by one
    monkeypatch.setattr(PackedWords, "hashes", lambda self: hashed.append(len(self)) or hashes(self))
    assert load_vectors(source).rows(["THE", "25TH"]).tolist() == [0, 3]
    assert max(hashed) == 2


def test_a_changed_file_is_read_again(source: Path) -> None:
    load_vectors(source)
    source.write_bytes(as_text(WORDS, -MATRIX))
    os.utime(source, ns=(1, 1))
    assert_same(load_vectors(source), WORDS, -MATRIX)


def test_a_changed_second_file_of_gensim_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "kv"
    keyed(WORDS, MATRIX).save(str(path), separately=["vectors"])
    load_vectors(path)
    np.save(f"{path}.vectors.npy", -MATRIX)
    os.utime(f"{path}.vectors.npy", ns=(1, 1))
    assert_same(load_vectors(path), WORDS, -MATRIX)


FILES = ["matrix.npy", "text.npy", "offsets.npy", "hashes.npy", "order.npy", "manifest.json"]


@pytest.mark.parametrize("damage", ["cut", "longer", "gone", "scribbled"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_entry_is_made_again(
    source: Path, cache: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    load_vectors(source)
    (entry,) = cache.iterdir()
    file, content = entry / name, (entry / name).read_bytes()
    file.unlink()
    if damage != "gone":
        file.write_bytes({"cut": content[:-1], "longer": content + b"}", "scribbled": b"\0" * 8 + content[8:]}[damage])
    assert_same(load_vectors(source), WORDS, MATRIX)
    assert caplog.text.count("are damaged") == 1
    assert sorted(path.name for path in entry.iterdir()) == sorted(FILES)
    assert_same(load_vectors(source), WORDS, MATRIX)
    assert caplog.text.count("are damaged") == 1


@pytest.mark.parametrize("manifest", ["[]", "{}", "null", '{"version": 1, "bytes": []}', "other version"])
def test_an_entry_of_another_kind_is_made_again(source: Path, cache: Path, manifest: str) -> None:
    load_vectors(source)
    (entry,) = cache.iterdir()
    if manifest == "other version":
        manifest = json.dumps(json.loads((entry / "manifest.json").read_text()) | {"version": 99})
    (entry / "manifest.json").write_text(manifest)
    assert_same(load_vectors(source), WORDS, MATRIX)
    assert isinstance(load_vectors(source).matrix, np.memmap)


def test_an_unwritable_cache_leaves_the_vectors_in_memory(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    set_cache_root(tmp_path / "file")
    vectors = load_vectors(source)
    assert_same(vectors, WORDS, MATRIX)
    assert not isinstance(vectors.matrix, np.memmap)
    assert "stay in memory" in caplog.text


def test_a_full_disk_leaves_nothing_behind(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(file: Any, array: np.ndarray) -> None:
        file.write(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert_same(load_vectors(source), WORDS, MATRIX)
    assert "No space left" in caplog.text
    assert list(cache.iterdir()) == []


def test_an_entry_is_on_disk_before_it_is_in_its_place(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: events.append("fsync") or fsync(number))
    monkeypatch.setattr(Path, "replace", lambda self, target: events.append("replace") or replace(self, target))
    load_vectors(source)
    assert events == ["fsync"] * len(FILES) + ["replace"]


def test_loads_at_the_same_time_all_succeed_and_leave_one_entry(source: Path, cache: Path) -> None:
    results: list[WordVectors] = []
    threads = [threading.Thread(target=lambda: results.append(load_vectors(source))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for vectors in results:
        assert_same(vectors, WORDS, MATRIX)
    assert [path.name.startswith("some.txt-") for path in cache.iterdir()] == [True]


def test_files_of_one_name_in_two_folders_have_two_entries(tmp_path: Path) -> None:
    for folder, step in [("one", 1), ("two", -1)]:  # which makes files of the same size
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "v.txt").write_bytes(as_text(WORDS, MATRIX[::step]))
        os.utime(tmp_path / folder / "v.txt", ns=(1, 1))
    assert_same(load_vectors(tmp_path / "one" / "v.txt"), WORDS, MATRIX)
    assert_same(load_vectors(tmp_path / "two" / "v.txt"), WORDS, MATRIX[::-1])


def test_a_very_long_file_name_still_has_an_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / ("é" * 120)
    path.write_bytes(as_text(WORDS, MATRIX))
    assert isinstance(load_vectors(path).matrix, np.memmap)


# model files


def through_file(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    loaded: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return loaded


@given(st.lists(words_of, max_size=20), st.lists(words_of, max_size=20))
def test_tensors_carry_any_table(words: list[str], queries: list[str]) -> None:
    matrix = np.random.default_rng(0).standard_normal((len(words), 3)).astype(np.float32)
    vectors = WordVectors.from_tensors(through_file(WordVectors(words, matrix).to_tensors()))
    assert_same(vectors, words, matrix)
    assert vectors.rows(queries).tolist() == plain_rows(words, queries)


def test_tensors_of_a_mapped_table_share_its_memory(source: Path) -> None:
    vectors = load_vectors(source)
    tensors = vectors.to_tensors()
    assert tensors["matrix"].data_ptr() == vectors.matrix.ctypes.data
    assert {name: (tensor.dtype, tensor.ndim) for name, tensor in tensors.items()} == {
        "words": (torch.uint8, 1), "offsets": (torch.int64, 1), "matrix": (torch.float32, 2),
    }  # fmt: skip
    assert_same(WordVectors.from_tensors(through_file(tensors)), WORDS, MATRIX)


@pytest.mark.skipif(sys.platform != "linux", reason="how much of a file is mapped is read from /proc")
def test_a_mapped_table_takes_memory_only_while_many_rows_are_looked_up(tmp_path: Path) -> None:
    words, matrix = [f"w{n}" for n in range(20_000)], np.ones((20_000, 50), np.float32)
    path = tmp_path / "large.bin"
    path.write_bytes(as_binary([word.encode() for word in words], matrix))
    vectors = load_vectors(path)
    other = load_vectors(path)
    assert other.matrix.sum() == matrix.sum()
    assert mapped_bytes(f"{vectors.entry}/matrix.npy") > 2 << 20, "it would be noticed"
    del other
    for _ in range(2):
        assert np.array_equal(vectors.take(vectors.rows(words[::7])), matrix[::7])
        assert mapped_bytes(f"{vectors.entry}/matrix.npy") < 1 << 20
    assert np.abs(vectors.compact().take(slice(None)) - matrix).max() < 1e-3
    vectors.compact().to_tensors()
    assert mapped_bytes(f"{vectors.entry}/matrix.npy") < 1 << 20


@pytest.mark.parametrize("is_compact", [False, True])
def test_what_is_written_into_a_mapped_table_stays(tmp_path: Path, is_compact: bool) -> None:
    words = [f"w{n}" for n in range(5_000)]
    path = tmp_path / "some.bin"
    path.write_bytes(as_binary([word.encode() for word in words], np.ones((5_000, 4), np.float32)))
    vectors = load_vectors(path)
    used = vectors.compact() if is_compact else vectors
    vectors.matrix[3] = 7
    for _ in range(2):
        assert used.take(used.rows(words))[3].tolist() == [7, 7, 7, 7]
        used.to_tensors()


@pytest.mark.filterwarnings("ignore:You are using `torch.load`:FutureWarning")
@pytest.mark.parametrize("how", [copy.deepcopy, lambda table: pickle.loads(pickle.dumps(table))])
def test_a_mapped_table_can_be_copied(how: Callable[[WordVectors], WordVectors], source: Path) -> None:
    assert_same(how(load_vectors(source)), WORDS, MATRIX)


def mapped_bytes(name: str) -> int:
    """Return how much memory this process has of the mapped files of a name."""
    total, counts = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            counts = line.endswith(f"/{name}")
        elif counts and line.startswith("Rss:"):
            total += int(line.split()[1]) << 10
    return total


def changed(name: str, tensor: Any) -> dict[str, Any]:
    return WordVectors(["ab", "é", "c"], np.zeros((3, 2))).to_tensors() | {name: tensor}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "'words' of the word vectors must be a 1-dimensional tensor of torch.uint8, got NoneType"),
        (changed("words", ["ab", "é", "c"]), "got list"),
        (changed("words", torch.zeros(5)), r"got \(5,\) of torch.float32"),
        (changed("offsets", torch.tensor([0, 2, 4, 5], dtype=torch.int16)), "got .* of torch.int16"),
        (changed("matrix", torch.zeros(3)), r"'matrix' .* 2-dimensional .*, got \(3,\)"),
        (changed("matrix", torch.zeros(3, 2, dtype=torch.int64)), "got .* of torch.int64"),
        (changed("matrix", torch.zeros(2, 2)), "3 words for 2 rows"),
        (changed("offsets", torch.tensor([], dtype=torch.int64)), "do not span"),
        (changed("offsets", torch.tensor([0, 2, 4, 6])), "do not span"),
        (changed("offsets", torch.tensor([1, 2, 4, 5])), "do not span"),
        (changed("offsets", torch.tensor([0, 4, 2, 5])), "do not ascend"),
        (changed("offsets", torch.tensor([0, 3, 4, 5])), "cuts a character"),
        (changed("words", torch.tensor([97, 98, 255, 97, 97], dtype=torch.uint8)), "invalid start byte"),
    ],
)
def test_tensors_that_are_no_table_are_refused(tensors: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        WordVectors.from_tensors(tensors)
