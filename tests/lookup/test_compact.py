"""Compact vectors: their precision, and equal vectors in a model and in its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import StackedEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import ModelFileError, SettingError
from flairlite.lookup.compact import BITS, CompactMatrix
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

VALUES = st.floats(-(2.0**99), 2.0**99, width=32).filter(lambda value: value == 0 or abs(value) > 2.0**-99)
MATRICES = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=VALUES)


def unpacked(matrix: NDArray[np.float32], bits: int = 12) -> NDArray[np.float32]:
    return CompactMatrix.pack(matrix, bits).rows(slice(None))


@pytest.mark.parametrize("bits", BITS)
@given(matrix=MATRICES)
def test_errors_are_at_most_half_a_step(matrix: NDArray[np.float32], bits: int) -> None:
    wrong = np.abs(unpacked(matrix, bits).astype(np.float64) - matrix)
    largest = np.abs(matrix).max(axis=1, keepdims=True).astype(np.float64)
    share = {12: 1 / 4094, 8: 1 / 254, 4: 1 / 14}[bits]
    assert (wrong <= largest * (share + 2**-23)).all()  # and the precision of float32


@pytest.mark.parametrize("bits", BITS)
@given(matrix=MATRICES)
def test_packing_again_changes_nothing(matrix: NDArray[np.float32], bits: int) -> None:
    once = unpacked(matrix, bits)
    np.testing.assert_array_equal(unpacked(once, bits), once)


@pytest.mark.parametrize("bits", BITS)
@given(matrix=MATRICES, data=st.data())
def test_selected_rows_equal_rows_of_the_whole(matrix: NDArray[np.float32], data: st.DataObject, bits: int) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(matrix) - 1), max_size=12)), dtype=np.int64)
    packed = CompactMatrix.pack(matrix, bits)
    np.testing.assert_array_equal(packed.rows(rows), packed.rows(slice(None))[rows])
    np.testing.assert_array_equal(packed.take(rows).rows(slice(None)), packed.rows(rows))


def test_many_rows_are_packed_in_blocks() -> None:
    matrix = np.random.default_rng(0).standard_normal((10_000, 7)).astype(np.float32)
    parts = [unpacked(matrix[start : start + 1_111]) for start in range(0, 10_000, 1_111)]
    np.testing.assert_array_equal(unpacked(matrix), np.concatenate(parts))


@pytest.mark.parametrize("dim", [1, 2, 3, 50])
def test_values_take_few_bits(dim: int) -> None:
    for bits, size in ((12, dim + (dim + 1) // 2), (8, dim), (4, (dim + 1) // 2)):
        packed = CompactMatrix.pack(np.ones((8, dim), dtype=np.float32), bits)
        assert packed.codes.nbytes == 8 * size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": torch.tensor([4])}, "are not 3 vectors of 4 values"),
        ({"dim": torch.tensor([0])}, "vectors of 0 values"),
        ({"dim": torch.tensor([], dtype=torch.int64)}, "vectors of 0 values"),
        ({"bits": torch.tensor([8])}, "are not 3 vectors of 2 values"),
        ({"bits": torch.tensor([5])}, "values have 5 bits, not 12, 8 or 4"),
        ({"bits": torch.tensor([8, 8])}, "values have 0 bits"),
        ({"codes": torch.zeros(3, 3)}, "'codes' .* 2-dimensional tensor of torch.uint8"),
        ({"codes": torch.zeros(2, 3, dtype=torch.uint8)}, "are not 3 vectors"),
        ({"scales": torch.tensor([1.0, float("nan"), 1.0])}, "not finite"),
        ({"scales": torch.ones(2), "codes": torch.zeros(2, 3, dtype=torch.uint8)}, "3 words for 2 rows"),
    ],
)
def test_damaged_vectors_are_refused(change: dict[str, torch.Tensor], message: str) -> None:
    tensors = WordVectors(["a", "b", "c"], np.ones((3, 2))).compact().to_tensors()
    WordVectors.from_tensors(tensors)
    with pytest.raises(ModelFileError, match=message):
        WordVectors.from_tensors(tensors | change)


@pytest.mark.parametrize("bits", BITS)
def test_a_compact_table_equals_the_table_of_its_file(bits: int) -> None:
    words, matrix = ["a", "B", "c1"], np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    exact = WordVectors(words, matrix)
    compact = exact.compact(bits)
    again = WordVectors.from_tensors(compact.to_tensors())
    rows = compact.rows(["c1", "b", "a"])
    assert rows.tolist() == again.rows(["c1", "b", "a"]).tolist() == [2, -1, 0]
    np.testing.assert_array_equal(compact.take(np.array([2, 0])), again.take(np.array([2, 0])))
    np.testing.assert_array_equal(compact.matrix, again.matrix)
    np.testing.assert_array_equal(exact.matrix, matrix)  # unchanged
    assert again.words == words
    assert (compact.dim, again.dim, again.is_compact) == (5, 5, True)
    assert exact.bits is None
    assert compact.bits == again.bits == again.compact().bits == bits


@pytest.mark.parametrize("first", BITS)
def test_a_compact_table_can_be_rounded_to_fewer_bits(first: int) -> None:
    exact = WordVectors(["a", "b"], np.random.default_rng(0).standard_normal((2, 6)))
    in_file = WordVectors.from_tensors(exact.compact(first).to_tensors())
    for table in (exact.compact(first), in_file):
        for bits in BITS:
            rounded = table.compact(bits)
            expected = unpacked(table.matrix, bits) if bits < first else table.matrix
            np.testing.assert_array_equal(rounded.matrix, expected)
            np.testing.assert_array_equal(WordVectors.from_tensors(rounded.to_tensors()).matrix, expected)
    for wrong in (5, True, "8", None):
        with pytest.raises(SettingError, match="bits must be 12, 8 or 4"):
            exact.compact(wrong)  # type: ignore[arg-type]


def test_a_model_keeps_the_bits_of_its_vectors(sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    vectors = mini_vectors.vectors.keep(["the", "man", "sleeps", "in", "Berlin", "."]).compact(bits=4)
    model = SequenceTagger(WordEmbeddings(vectors), sample.make_label_dictionary("upos"), "upos", hidden_size=4)
    model.compact()
    model.save(tmp_path / "model.pt")
    again = SequenceTagger.load(tmp_path / "model.pt").embeddings
    assert isinstance(again, WordEmbeddings)
    assert (again.vectors.bits, again.vectors.words) == (4, vectors.words)
    np.testing.assert_array_equal(again.vectors.matrix, vectors.matrix)


def test_vectors_in_the_cache_keep_their_bits(mini_vectors: WordEmbeddings) -> None:
    if mini_vectors.vectors.entry is None:
        pytest.skip("the cache of this test cannot be written")
    for bits in BITS:
        params = WordEmbeddings(mini_vectors.vectors.compact(bits)).to_params(whole=False)
        assert "vectors" not in params
        again = WordEmbeddings.from_params(params).vectors
        assert again.bits == bits
        rows = again.rows(["the", "man"])
        np.testing.assert_array_equal(again.take(rows), mini_vectors.vectors.compact(bits).take(rows))


@pytest.fixture
def embedding(mini_vectors: WordEmbeddings) -> WordEmbeddings:
    return WordEmbeddings(mini_vectors.vectors)


@pytest.mark.parametrize("is_compact", [True, False])
def test_a_model_and_its_file_have_equal_vectors(
    embedding: WordEmbeddings, sample: Corpus, tmp_path: Path, is_compact: bool
) -> None:
    exact = embedding.vectors.matrix.copy()
    sample.downsample(0.1)
    labels = sample.make_label_dictionary("upos")
    model = SequenceTagger(StackedEmbeddings([embedding]), labels, "upos", hidden_size=4)
    ModelTrainer(model, sample).train(tmp_path, max_epochs=1, compact_vectors=is_compact)
    for name in ("best-model.pt", "final-model.pt"):
        again = SequenceTagger.load(tmp_path / name)
        sentence, other = Sentence("The man sleeps in Berlin ."), Sentence("The man sleeps in Berlin .")
        model.embeddings.embed(sentence)
        again.embeddings.embed(other)
        for token, same in zip(sentence, other, strict=True):
            assert torch.equal(token.embedding, same.embedding)
        assert np.array_equal(embedding.vectors.matrix, exact) != is_compact
    np.testing.assert_allclose(embedding.vectors.matrix, exact, atol=np.abs(exact).max() / 4094)


def test_trained_vectors_are_not_rounded(mini_vectors: WordEmbeddings) -> None:
    trained = WordEmbeddings(mini_vectors.vectors, fine_tune=True)
    model = SequenceTagger(trained, Dictionary.from_items(["A"]), "pos", hidden_size=4)
    model.compact()
    assert not trained.vectors.is_compact


def test_a_compact_file_is_less_than_half_as_large(embedding: WordEmbeddings, tmp_path: Path) -> None:
    model = SequenceTagger(embedding, Dictionary.from_items(["A"]), "pos", hidden_size=4)
    sizes = []
    for name in ("exact", "compact"):
        model.save(tmp_path / name)
        sizes.append((tmp_path / name).stat().st_size)
        model.compact()
    words = len(embedding.vectors._words.text) + 8 * len(embedding.vectors)
    assert sizes[1] - words < 0.42 * (sizes[0] - words)
