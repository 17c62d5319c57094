"""Look-up of words follows Flair's four rules, and tables survive model files."""

from __future__ import annotations

import copy
import doctest
import io
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from vector_files import MATRIX, WORDS, as_binary, assert_same, plain_rows

from flairlite.embeddings import vectors as module
from flairlite.embeddings.vector_cache import load_vectors
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import ModelFileError, SettingError
from flairlite.lookup import packing
from flairlite.lookup.packing import PackedWords

# few characters, so that words collide: lower() changes lengths or nothing, other digits, line separators
LETTERS = "aAbBİIıſßΣσς01٣९²#é中\n \x00\x85\u2028\ud800\udcff🙂"
words_of = st.text(st.sampled_from(LETTERS), max_size=4) | st.text(max_size=6)


pytestmark = pytest.mark.usefixtures("cache")


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
def test_rows_equal_single_look_ups(words: list[str], queries: list[str]) -> None:
    vectors = WordVectors(words, np.zeros((len(words), 3)))
    queries = [*queries, *words, *(word.upper() for word in words), *(word + "1" for word in words)]
    rows = vectors.rows(queries)
    assert rows.dtype == np.int64
    assert rows.tolist() == plain_rows(words, queries)
    assert vectors.words == words


@given(st.lists(words_of, max_size=20), st.lists(words_of, max_size=20), st.sampled_from([0, 1, 3]))
def test_words_with_equal_hashes_are_distinguished(words: list[str], queries: list[str], bits: int) -> None:
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
    words = [f"w{index * 7}" for index in range(10_000)] + ["long" * 5_000]
    vectors = WordVectors(words, np.zeros((len(words), 1)))
    queries = [f"w{index}" for index in range(2_000)] + ["long" * 5_000, "long" * 4_999]
    assert vectors.rows(queries).tolist() == plain_rows(words, queries)


def test_a_matrix_that_does_not_fit_the_words_is_refused() -> None:
    for shape in [(3, 4), (2,), (2, 1, 1)]:
        with pytest.raises(SettingError, match=r"\(V, D\) with V = 2 words, got \(" + str(shape[0])):
            WordVectors(["a", "b"], np.zeros(shape))
    vectors = WordVectors(["a", "b"], np.zeros((2, 4), np.float64))
    assert (len(vectors), vectors.dim, vectors.matrix.dtype) == (2, 4, np.float32)


def test_the_doctest_passes() -> None:
    assert doctest.testmod(module).failed == 0


# model files


def through_file(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    loaded: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return loaded


@given(st.lists(words_of, max_size=20), st.lists(words_of, max_size=20))
def test_any_table_survives_a_model_file(words: list[str], queries: list[str]) -> None:
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
def test_a_mapped_table_releases_its_memory_after_a_look_up_of_many_rows(tmp_path: Path) -> None:
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
def test_changes_of_a_mapped_table_are_kept(tmp_path: Path, is_compact: bool) -> None:
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
        (changed("offsets", torch.tensor([0, 2, 4, 5], dtype=torch.int8)), "got .* of torch.int8"),
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
def test_tensors_of_no_table_are_refused(tensors: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        WordVectors.from_tensors(tensors)


# smaller tables


@pytest.mark.parametrize("bits", [None, 12, 4])
def test_a_kept_part_has_the_vectors_of_its_words(bits: int | None) -> None:
    exact = WordVectors(WORDS, MATRIX)
    table = exact if bits is None else WordVectors.from_tensors(exact.compact(bits).to_tensors())
    first = table.keep(4)
    assert_same(first, WORDS[:4], table.matrix[:4])
    assert (first.bits, first.entry) == (bits, None)
    assert_same(table.keep(1_000), WORDS, table.matrix)
    chosen = table.keep(["NAÏVE", "unheard-of", "77", "the", "The", "the"])
    rows = sorted(WORDS.index(word) for word in ("naïve", "00", "the", "The"))
    assert_same(chosen, [WORDS[row] for row in rows], table.matrix[rows])
    assert chosen.rows(["88", "of"]).tolist() == [chosen.words.index("00"), -1]


def test_reduced_vectors_are_the_best_projections() -> None:
    generator = np.random.default_rng(0)
    matrix = (generator.standard_normal((200, 6)) * [9, 5, 3, 1, 0.5, 0.1]) @ generator.standard_normal((6, 6))
    table = WordVectors(list(map(str, range(200))), matrix)
    for dim in (1, 3, 6):
        reduced = table.reduce(dim)
        assert (reduced.dim, reduced.words, reduced.bits) == (dim, table.words, None)
        singular_values = np.linalg.svd(matrix, compute_uv=False)
        np.testing.assert_allclose(np.square(reduced.matrix).sum(), np.square(singular_values[:dim]).sum(), rtol=1e-4)
        np.testing.assert_array_equal(reduced.matrix, table.reduce(dim).matrix)
    np.testing.assert_allclose(reduced.matrix @ reduced.matrix.T, matrix @ matrix.T, atol=1e-2)  # a rotation


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda table: table.keep(0), "words must be at least 1"),
        (lambda table: table.keep([]), "none of the words to keep has a vector"),
        (lambda table: table.keep(["unheard-of"]), "none of the words to keep"),
        (lambda table: table.keep("the"), "words must be a list of strings, got str"),
        (lambda table: table.keep([1]), "words must be strings, got 1"),
        (lambda table: table.reduce(0), "dim must be at least 1"),
        (lambda table: table.reduce(6), "dim must be below 6; it is 6"),
    ],
)
def test_other_parts_are_refused(build: Callable[[WordVectors], WordVectors], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build(WordVectors(WORDS, MATRIX))
