"""Encoding agrees with a loop over words, and each distinct word is indexed once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from flairlite.data import Sentence
from flairlite.encoding import Batch, Dataset, EncodedDataset, Encoder, LazyDataset, Targets, Variation, encode
from flairlite.errors import LabelError
from flairlite.tasks import DocumentTask, WordTask
from flairlite.tensors import UNLABELLED, copy_to, map_tensors

KNOWN = ("NOUN", "VERB", "DET")  # labels of the model in these tests
TASK = WordTask("pos", KNOWN)

drawn = settings(max_examples=60)

words = st.sampled_from(["the", "The", "dog", "chien", "", " ", "ß", "犬", "🐕"]) | st.text(max_size=3)
labels = st.none() | st.sampled_from([*KNOWN, "X", "é", "<unk>"])


@st.composite
def tagged_sentences(draw: st.DrawFn) -> Sentence:
    pairs = draw(st.lists(st.tuples(words, labels), max_size=8))
    sentence = Sentence([word for word, _ in pairs])
    if draw(st.booleans()):  # some have no label of this type at all
        sentence.set_token_labels("pos", [label for _, label in pairs])
    return sentence


corpora = st.lists(tagged_sentences(), max_size=8)


def indices_of(sentences: Sequence[Sentence], data: st.DataObject) -> Tensor:
    """Draw a batch: any sentences that have words, in any order."""
    full = [index for index, sentence in enumerate(sentences) if len(sentence)]
    assume(full)
    return torch.tensor(data.draw(st.lists(st.sampled_from(full), min_size=1, max_size=6)))


@dataclass
class FakeEmbedding:
    """Maps a word to two integers and records the words it was given."""

    indexed: list[list[str]] = field(default_factory=list)

    def index(self, words: Sequence[str]) -> Any:
        """Return a pair of tables, as stacked embeddings do."""
        self.indexed.append(list(words))
        rows = [self.row(word) for word in words]
        return torch.tensor([*rows, self.row(None)]), (torch.arange(len(words) + 1),)

    @staticmethod
    def row(word: str | None) -> list[int]:
        return [-7, -7] if word is None else [len(word), sum(map(ord, word))]

    @staticmethod
    def select(batch: Batch) -> Tensor:
        rows: Tensor = batch.table[0][batch.word_ids.long()]
        return rows


def encode_all(sentences: Sequence[Sentence], embedding: FakeEmbedding | None = None) -> EncodedDataset:
    return encode(sentences, (embedding or FakeEmbedding()).index, TASK.gold(sentences).targets)


@dataclass(frozen=True)
class Expected:
    """The expected content of a batch, computed word by word."""

    positions: list[list[int]]
    rows: list[list[list[int]]]
    targets: list[list[int]]
    num_labels: int
    is_partial: bool

    @classmethod
    def of(cls, sentences: Sequence[Sentence], indices: Sequence[int], names: Sequence[str]) -> Expected:
        num_words = sum(len(sentence) for sentence in sentences)
        width = max(len(sentences[index]) for index in indices)
        positions, rows, targets, num_labels, is_partial = [], [], [], 0, False
        for index in indices:
            offset = sum(len(sentence) for sentence in sentences[:index])
            position_row, row, target = [num_words] * width, [FakeEmbedding.row(None)] * width, [UNLABELLED] * width
            for step, token in enumerate(sentences[index].tokens):
                position_row[step] = offset + step
                row[step] = FakeEmbedding.row(token.text)
                if own := token.get_labels("pos"):
                    target[step] = list(names).index(own[0].value)
                if own and own[0].value in KNOWN:
                    num_labels += 1
                else:
                    is_partial = True
            positions.append(position_row)
            rows.append(row)
            targets.append(target)
        return cls(positions, rows, targets, num_labels, is_partial)


def assert_equal(batch: Batch, expected: Expected) -> None:
    assert batch.positions.tolist() == expected.positions
    assert FakeEmbedding.select(batch).tolist() == expected.rows
    assert batch.targets is not None
    assert batch.targets.tolist() == expected.targets
    assert (batch.num_labels, batch.is_partial) == (expected.num_labels, expected.is_partial)


# against a loop over words


@given(sentences=corpora, data=st.data())
@drawn
def test_batches_agree_with_a_loop_over_words(
    device: torch.device, sentences: list[Sentence], data: st.DataObject
) -> None:
    indices = indices_of(sentences, data)
    expected = Expected.of(sentences, indices.tolist(), TASK.all_labels(sentences))
    batch = encode_all(sentences).to(device).batch(indices)
    assert_equal(batch, expected)
    lengths = [len(sentences[index]) for index in indices.tolist()]
    assert batch.indices.tolist() == indices.tolist()
    assert batch.lengths.tolist() == lengths
    assert batch.mask.tolist() == [[step < length for step in range(max(lengths))] for length in lengths]
    assert batch.num_tokens == sum(lengths)


@given(sentences=corpora, data=st.data())
@drawn
def test_a_lazy_data_set_gives_the_same_batches(sentences: list[Sentence], data: st.DataObject) -> None:
    indices = indices_of(sentences, data)
    names = TASK.all_labels(sentences)
    lazy = LazyDataset(
        sentences,
        lambda chosen: encode(chosen, FakeEmbedding().index, TASK.targets(chosen, names)),
    )
    eager = encode_all(sentences)
    assert lazy.lengths.tolist() == eager.lengths.tolist()
    found, expected = lazy.batch(indices), eager.batch(indices)
    assert_equal(found, Expected.of(sentences, indices.tolist(), names))
    for name in ("indices", "lengths", "mask", "positions"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one.dtype, one.tolist()) == (other.dtype, other.tolist()), name


def test_a_lazy_data_set_encodes_only_the_sentences_of_a_batch() -> None:
    sentences = [Sentence(text.split()) for text in ("a b", "", "b c d", "e")]
    embedding = FakeEmbedding()
    lazy = LazyDataset(sentences, lambda chosen: encode(chosen, embedding.index))
    assert embedding.indexed == []
    lazy.batch(torch.tensor([2, 0]))
    lazy.batch(torch.tensor([3]))
    assert embedding.indexed == [["b", "c", "d", "a"], ["e"]]


@given(sentences=corpora)
@example(sentences=[])
@example(sentences=[Sentence([]), Sentence([])])
@drawn
def test_each_distinct_word_is_indexed_once_and_in_order(sentences: list[Sentence]) -> None:
    embedding = FakeEmbedding()
    encoded = encode_all(sentences, embedding)
    every = [word for sentence in sentences for word in sentence.words]
    assert embedding.indexed == [list(dict.fromkeys(every))]
    assert [embedding.indexed[0][index] for index in encoded.word_ids[:-1].tolist()] == every
    assert encoded.word_ids[-1] == len(embedding.indexed[0]), "padding comes after the last word"
    assert encoded.lengths.tolist() == [len(sentence) for sentence in sentences]
    ends = torch.tensor([0, *encoded.lengths.tolist()]).cumsum(0)
    assert encoded.offsets.tolist() == ends[:-1].tolist()


def test_tensors_have_the_documented_dtypes_and_devices(device: torch.device) -> None:
    sentences = [Sentence(["a", "b", "a"]).set_token_labels("pos", ["DET", None, "X"]), Sentence(["c"])]
    encoded = encode_all(sentences).to(device)
    assert (encoded.word_ids.dtype, encoded.word_ids.device.type) == (torch.int32, device.type)
    assert encoded.table[1][0].device.type == device.type, "a table of tables moves too"
    batch = encoded.batch(torch.tensor([1, 0]))
    for name in ("mask", "positions", "word_ids", "targets"):
        assert getattr(batch, name).device.type == device.type, name
    for name in ("indices", "lengths"):
        assert getattr(batch, name).device.type == "cpu", name
    assert (batch.mask.dtype, batch.positions.dtype, batch.targets.dtype) == (torch.bool, torch.int64, torch.int64)  # type: ignore[union-attr]


def test_padding_is_never_written_into_a_sentence() -> None:
    """Results are stored at `positions`: those of padding end up after the last word."""
    sentences = [Sentence(["a"]), Sentence(["b", "c", "d"]), Sentence([]), Sentence(["e", "f"])]
    encoded = encode(sentences, FakeEmbedding().index)
    results = torch.zeros(len(encoded.word_ids), dtype=torch.int64)
    for indices in ([1, 0], [3]):
        batch = encoded.batch(torch.tensor(indices))
        results[batch.positions] = torch.where(batch.mask, batch.positions + 100, -1)
    assert results[:-1].tolist() == [100, 101, 102, 103, 104, 105]


# variants of words, and sentences without their last words


@given(sentences=corpora, data=st.data(), is_lazy=st.booleans())
@drawn
def test_a_varied_data_set_is_that_of_the_changed_sentences(
    sentences: list[Sentence], data: st.DataObject, is_lazy: bool
) -> None:
    functions = [str, str.lower, str.upper]
    names, index = TASK.all_labels(sentences), FakeEmbedding().index
    lengths = list(map(len, sentences))
    variants = data.draw(st.tuples(*(st.integers(0, 2) for _ in sentences)))
    dropped = data.draw(st.tuples(*(st.integers(0, max(0, length - 1)) for length in lengths)))
    changed, num_labels = [], []
    for sentence, length, variant, count in zip(sentences, lengths, variants, dropped, strict=True):
        column = sentence.token_labels("pos") or [None] * length
        kept = list(map(functions[variant], sentence.words))[: length - count]
        changed.append(Sentence(kept).set_token_labels("pos", column[: length - count]))
        num_labels.append(sum(label in KNOWN for label in column[length - count :]))
    indices = indices_of(sentences, data)

    def encode_some(chosen: Sequence[Sentence]) -> EncodedDataset:
        return encode(chosen, index, TASK.targets(chosen, names), variants=functions[1:])

    dataset: Dataset = LazyDataset(sentences, encode_some) if is_lazy else encode_some(sentences)
    columns = [torch.tensor(column, dtype=torch.int64) for column in (variants, dropped, num_labels)]  # (S,) each
    variation = Variation(columns[0], columns[1], columns[2].unsqueeze(0), torch.zeros(1, len(sentences)))
    batch = dataset.vary(variation).batch(indices)
    expected = encode(changed, index, TASK.targets(changed, names)).batch(indices)
    for name in ("indices", "lengths", "mask", "targets"):
        assert getattr(batch, name).tolist() == getattr(expected, name).tolist(), name
    assert FakeEmbedding.select(batch).tolist() == FakeEmbedding.select(expected).tolist()
    assert (batch.num_labels, batch.is_partial) == (expected.num_labels, expected.is_partial)
    starts = [sum(lengths[:index]) for index in indices.tolist()]
    assert [row[0] for row in batch.positions.tolist()] == starts, "positions are those of the data set as encoded"
    assert dataset.lengths.tolist() == lengths


def test_variants_of_words_keep_their_labels() -> None:
    sentence = Sentence(["Dog", "dog"]).set_token_labels("pos", ["NOUN", "VERB"])
    table: list[Any] = []

    def index(words: list[str], fields: dict[str, list[str]]) -> None:
        table.extend(zip(words, fields["pos"], strict=True))

    encoded = encode([sentence], index, fields=["pos"], variants=[str.lower])
    assert table == [("Dog", "NOUN"), ("dog", "VERB"), ("dog", "NOUN")]
    assert encoded.variants is not None
    assert encoded.variants.tolist() == [[0, 1, 2, 3], [2, 1, 2, 3]]


# labels


def test_labels_that_the_model_does_not_know_follow_its_own() -> None:
    sentences = [
        Sentence(["a", "b", "c"]).set_token_labels("pos", ["X", "NOUN", None]),
        Sentence(["d"]),
        Sentence(["e"]).set_token_labels("pos", ["Y"]),
    ]
    names = TASK.all_labels(sentences)
    assert names == ("NOUN", "VERB", "DET", "X", "Y")
    encoded = encode(sentences, FakeEmbedding().index, TASK.targets(sentences, names))
    assert encoded.targets is not None
    assert encoded.targets.class_ids.tolist() == [3, 0, -1, -1, 4, -1]
    assert encoded.targets.counts.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("given_labels", "num_labels", "is_partial"),
    [(["DET", "NOUN"], 2, False), (["DET", None], 1, True), (["DET", "X"], 1, True), ([None, None], 0, True)],
)
def test_a_batch_says_whether_a_label_is_missing(
    given_labels: list[str | None], num_labels: int, is_partial: bool
) -> None:
    sentences = [Sentence(["a", "dog"]).set_token_labels("pos", given_labels)]
    batch = encode_all(sentences).batch(torch.tensor([0]))
    assert (batch.num_labels, batch.is_partial) == (num_labels, is_partial)


def test_without_a_label_type_there_are_no_targets() -> None:
    sentences = [Sentence(["a"]).set_token_labels("pos", ["DET"])]
    batch = encode(sentences, FakeEmbedding().index).batch(torch.tensor([0]))
    assert (batch.targets, batch.num_labels, batch.is_partial) == (None, 0, True)


def test_a_label_that_is_not_among_those_given_is_named() -> None:
    sentences = [Sentence(["a", "dog"]).set_token_labels("pos", ["DET", "PROPN"])]
    with pytest.raises(LabelError, match=r"'PROPN'.*NOUN, VERB, DET.*all_labels"):
        TASK.targets(sentences, KNOWN)


@given(sentences=corpora)
@drawn
def test_ids_of_words_and_labels_agree_with_a_loop(sentences: list[Sentence]) -> None:
    encoded = encode(sentences, lambda words: words)
    every = [token for sentence in sentences for token in sentence.tokens]
    assert [encoded.table[index] for index in encoded.word_ids[:-1].tolist()] == [token.text for token in every]
    names = TASK.all_labels(sentences)
    own = [token.get_labels("pos") for token in every]
    class_ids = TASK.targets(sentences, names).class_ids.tolist()
    assert class_ids[:-1] == [names.index(some[0].value) if some else UNLABELLED for some in own]
    assert sorted(names[len(KNOWN) :]) == sorted({some[0].value for some in own if some} - set(KNOWN))


@given(parts=st.lists(corpora, min_size=1, max_size=3), fields=st.sampled_from([(), ("pos",)]))
@drawn
def test_parts_are_encoded_like_the_whole(parts: list[list[Sentence]], fields: tuple[str, ...]) -> None:
    def index(*table: Any) -> Any:
        return table

    sentences = [sentence for part in parts for sentence in part]
    names = TASK.all_labels(sentences)
    expected = encode(sentences, index, TASK.targets(sentences, names), fields=fields)
    encoder = Encoder(fields)
    for part in parts:
        encoder.add(part)
    found = encoder.encode(index, Targets.join([TASK.targets(part, names) for part in parts]))
    assert found.table == expected.table
    assert encoder.words() == [word for sentence in sentences for word in sentence.words]
    for name in ("lengths", "offsets", "word_ids"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    assert found.targets.class_ids.tolist() == expected.targets.class_ids.tolist()
    assert found.targets.counts.tolist() == expected.targets.counts.tolist()


@pytest.mark.parametrize("multi_label", [True, False])
def test_later_parts_may_have_labels_that_earlier_ones_lack(multi_label: bool) -> None:
    task = DocumentTask("topic", ["A"], multi_label=multi_label)
    parts = [[Sentence(["w"]).add_label("topic", label)] for label in ("A", "B", "C")]
    names = ["A", "B", "C"]
    found = Targets.join([task.targets(part, names[: index + 1]) for index, part in enumerate(parts)])
    expected = task.targets([sentence for part in parts for sentence in part], names)
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    assert found.counts.tolist() == expected.counts.tolist()


# amount of work


def count_calls(work: Any) -> int:
    """Count the Python functions that `work` enters, and the generators that it resumes."""
    count = 0

    def notice(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(notice)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def sentences_of(length: int, *, size: int = 20) -> list[Sentence]:
    vocabulary, tags = ["the", "dog", "barks", "."], ["DET", "NOUN", "VERB", "X"]
    return [Sentence(vocabulary * (length // 4)).set_token_labels("pos", tags * (length // 4)) for _ in range(size)]


def test_more_words_make_no_more_calls() -> None:
    calls = []
    for length in (4, 400):
        sentences = sentences_of(length)
        encode_all(sentences)  # caches are filled by the first call
        calls.append(count_calls(lambda sentences=sentences: encode_all(sentences)))
    assert calls[0] == calls[1]


def test_the_calls_for_a_batch_do_not_depend_on_its_size() -> None:
    calls = []
    for length, size in ((4, 1), (400, 1), (400, 20)):
        encoded = encode_all(sentences_of(length))
        indices = torch.arange(size)
        encoded.batch(indices)
        calls.append(count_calls(lambda encoded=encoded, indices=indices: encoded.batch(indices)))
    assert calls[0] == calls[1] == calls[2]


def test_calls_are_counted() -> None:
    assert count_calls(lambda: list(map(str.upper, "abc"))) == count_calls(lambda: None)
    assert count_calls(lambda: list(map(FakeEmbedding.row, "abc"))) == count_calls(lambda: None) + 3


# tensors in nested tuples


def test_tables_are_mapped_tensor_by_tensor(device: torch.device) -> None:
    tree = (torch.tensor([1]), (torch.tensor([2]), (torch.tensor([3]),)))
    moved = map_tensors(lambda tensor: copy_to(tensor, device) * 2, tree)
    assert moved[0].tolist() == [2]
    assert (moved[1][0].tolist(), moved[1][1][0].tolist()) == ([4], [6])
    assert moved[1][1][0].device.type == device.type


def test_a_tensor_on_the_device_is_not_copied(device: torch.device) -> None:
    tensor = torch.zeros(2, device=device)
    assert copy_to(tensor, tensor.device) is tensor
    assert copy_to(copy_to(torch.tensor([4, 5]), device), torch.device("cpu")).tolist() == [4, 5]
