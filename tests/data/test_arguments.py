"""Arguments that users confuse: each works where its meaning is certain, and else is an error of flairlite."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from flairlite.data import ConcatDataset, Corpus, Dictionary, MultiCorpus, Sentence
from flairlite.errors import FlairliteError, LabelError, SettingError
from flairlite.tokenization import Tokenizer


class Tag(enum.Enum):
    """An enumeration whose members are not strings, but whose values are."""

    TOPIC = "topic"


class Returning(Tokenizer):
    """Returns a given object, whatever the text."""

    def __init__(self, words: Any) -> None:
        self._words = words

    def tokenize(self, text: str) -> Any:
        return self._words


def labelled(count: int = 4) -> list[Sentence]:
    return [Sentence(["a", "b"]).add_label("topic", f"L{index % 2}") for index in range(count)]


def test_label_types_are_read_as_they_are_written() -> None:
    sentence = Sentence(["a", "b"]).add_label(Tag.TOPIC, "x")  # type: ignore[arg-type]
    sentence[0].add_label(Tag.TOPIC, "y")  # type: ignore[arg-type]
    sentence[0:2].add_label(Tag.TOPIC, "z")  # type: ignore[arg-type]
    for name in (Tag.TOPIC, np.str_("topic"), "topic"):
        assert [label.value for label in sentence.get_labels(name)] == ["x", "y", "z"]  # type: ignore[arg-type]
        assert sentence.token_labels(name) == ["y", None]  # type: ignore[arg-type]
        assert sentence.sentence_labels(name) == ["x"]  # type: ignore[arg-type]
        assert sentence.span_labels(name) == [(0, 2, "z")]  # type: ignore[arg-type]
        assert [span.tag for span in sentence.get_spans(name)] == ["z"]  # type: ignore[arg-type]
        assert sentence[0].has_label(name)  # type: ignore[arg-type]
    sentence.remove_labels(Tag.TOPIC)  # type: ignore[arg-type]
    assert sentence.get_labels() == []


@pytest.mark.parametrize("label_type", [5, "", ["x"], {"x"}, b"x"], ids=repr)
def test_label_type_that_is_no_name_is_an_error_where_labels_are_read(label_type: Any) -> None:
    sentence = Sentence(["a", "b"]).set_token_labels("x", ["A", "B"])
    for point in (sentence, sentence[0], sentence[0:2]):
        for read in (point.get_labels, point.get_label, point.has_label, point.remove_labels):
            with pytest.raises(SettingError, match="a label type must be a string"):
                read(label_type)
    for read_all in (sentence.token_labels, sentence.span_labels, sentence.sentence_labels, sentence.get_spans):
        with pytest.raises(SettingError, match="a label type must be a string"):
            read_all(label_type)
    assert sentence.token_labels("x") == ["A", "B"]


def test_parameters_have_the_names_of_flair() -> None:
    sentence = Sentence(["a", "b"])
    for point in (sentence, sentence[0], sentence[0:2]):
        point.add_label(typename="x", value="A", score=0.5)
        point.set_label(typename="x", value="B")
        assert point.get_label("x").value == "B"
    assert [label.value for label in sentence[0].get_labels(typename="x")] == ["B"]
    sentence[0].remove_labels(typename="x")
    assert sentence[0].get_each_embedding(embedding_names=["e"]) == []
    sentence.remove_labels(typename="x")
    assert sentence.get_labels() == []


def test_lists_of_labels_may_be_generators() -> None:
    sentence = Sentence(["a", "b"])
    assert sentence.set_token_labels("x", (tag for tag in "AB"), (1 / 2 for _ in "AB")).token_labels("x") == ["A", "B"]  # type: ignore[arg-type]
    assert sentence.set_sentence_labels("y", (tag for tag in "AB")).sentence_labels("y") == ["A", "B"]  # type: ignore[arg-type]
    spans = sentence.set_span_labels("z", ((at, at + 1, "A") for at in range(2)), (1 / 2 for _ in "AB"))  # type: ignore[arg-type]
    assert spans.span_labels("z") == [(0, 1, "A"), (1, 2, "A")]
    assert [label.score for label in sentence.get_labels("z")] == [0.5, 0.5]


@pytest.mark.parametrize("values", [None, 5, {"A"}, {"A": 1, "B": 2}, "AB", b"AB"], ids=repr)
def test_labels_that_are_no_list_are_an_error(values: Any) -> None:
    sentence = Sentence(["a", "b"])
    for call in (
        lambda: sentence.set_token_labels("x", values),
        lambda: sentence.set_sentence_labels("x", values),
        lambda: sentence.set_token_labels("x", ["A", "B"], values or 5),
        lambda: sentence.set_sentence_labels("x", ["A"], values or 5),
        lambda: sentence.set_span_labels("x", [(0, 1, "A")], values or 5),
    ):
        with pytest.raises(LabelError, match=r"label (values|scores) must be a list"):
            call()
    assert sentence.get_labels() == []


@pytest.mark.parametrize("words", ["ab", None, 5, [b"ab"], [None]], ids=repr)
def test_tokenizer_that_returns_no_list_of_words_is_an_error(words: Any) -> None:
    with pytest.raises(SettingError, match=r"must return a list of words|must be a string"):
        _ = Sentence("ab", use_tokenizer=Returning(words)).words
    sentence = Sentence(["ab"]).add_label("x", "A")
    with pytest.raises(SettingError, match=r"must return a list of words|must be a string"):
        sentence.retokenize(Returning(words))
    assert (sentence.words, sentence.get_label("x").value) == (["ab"], "A")


def test_head_outside_the_sentence_is_an_error_when_it_is_read() -> None:
    sentence = Sentence(["a", "b"])
    sentence[0].head_id = 3
    with pytest.raises(LabelError, match="is token 3, but its sentence has 2"):
        sentence[0].get_head()


def test_spans_beyond_the_text_are_an_error_in_plain_data() -> None:
    data = Sentence(["in", "Berlin"]).set_span_labels("ner", [(1, 2, "LOC")]).to_dict()
    ((name, span),) = data["annotations"]["spans"].items()
    for start, end in ((3, 10), (-1, 9), (9, 3)):
        data["annotations"]["spans"][name] = {**span, "start_char": start, "end_char": end}
        with pytest.raises(LabelError, match="must be within the 9 characters"):
            Sentence.from_dict(data)


# ------------------------------------------------------------------------------------------------------------- corpora


@pytest.mark.parametrize(
    "call",
    [
        lambda: Corpus(labelled()).make_vocab_dictionary("3"),
        lambda: Corpus(labelled()).make_vocab_dictionary(3, None),
        lambda: Corpus(labelled()).make_tag_dictionary("topic"),
        lambda: Corpus(labelled()).add_label_noise("topic", None),
        lambda: Corpus(labelled()).add_label_noise("topic", ["L0", "L1", "<unk>"]),
        lambda: Corpus(labelled()).add_label_noise("tpic", ["L0", "L1"]),
        lambda: Corpus(labelled(), sample_missing_splits=np.array([1, 2])),
        lambda: Corpus(labelled(), sample_missing_splits="both"),
        lambda: MultiCorpus([Corpus(labelled())] * 2, "ab"),
        lambda: MultiCorpus([Corpus(labelled())] * 2, 5),
        lambda: MultiCorpus([Corpus(labelled())] * 2, [["a"], ["b"]]),
        lambda: ConcatDataset([None]),
        lambda: ConcatDataset([iter(labelled())]),
        lambda: Sentence("a").left_context(-1),
        lambda: Sentence("a").right_context("5"),
        lambda: Sentence.set_context_for_sentences("ab"),
        lambda: Sentence(["a"]).set_spaces(None),
        lambda: Dictionary(add_unk="no"),
        lambda: Dictionary().get_idx_for_items(None),
        lambda: Dictionary().has_item(["a"]),
        lambda: Corpus.from_dataframe({0: ["a"], 1: ["x"]}, text=0, label=1),
    ],
)
@pytest.mark.filterwarnings("ignore:make_tag_dictionary:DeprecationWarning")
def test_slip_is_an_error_of_flairlite(call: Callable[[], object]) -> None:
    with pytest.raises(FlairliteError):
        call()


def test_iterator_cannot_be_two_splits(caplog: pytest.LogCaptureFixture) -> None:
    sentences: Any = iter(labelled())
    with pytest.raises(SettingError, match="one iterator is given for train and for dev"):
        Corpus(sentences, sentences)
    assert len(Corpus(sentences).train or ()) == 4
    assert Corpus(sentences).train == []
    assert "The train split is empty: it is an iterator" in caplog.text


def test_split_may_be_a_dataset_with_length_and_index_only() -> None:
    class Indexed:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Sentence:
            return [Sentence("a"), Sentence("b")][index]

    split: Any = Indexed()
    assert [sentence.text for sentence in Corpus(split).train or ()] == ["a", "b"]


@pytest.mark.parametrize(("count", "sizes"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (20, (16, 2, 2))])
def test_sampling_leaves_a_training_sentence(count: int, sizes: tuple[int, ...]) -> None:
    corpus = Corpus(labelled(count), sample_missing_splits=True)
    assert tuple(len(split or ()) for split in (corpus.train, corpus.dev, corpus.test)) == sizes


def test_filter_that_empties_a_split_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    Corpus(labelled(), [Sentence("")], None).filter_empty_sentences()
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "dev: 1 empty sentences taken out of 1"
    ]


def test_noise_takes_the_labels_of_a_dictionary() -> None:
    corpus = Corpus(labelled(20))
    corpus.add_label_noise("topic", corpus.make_label_dictionary("topic"), 1.0)
    assert corpus.get_label_distribution("topic_clean") == {"L0": 10, "L1": 10}
    assert all(
        sentence.get_label("topic").value != sentence.get_label("topic_clean").value for sentence in corpus.train or ()
    )


def test_dictionary_of_a_set_is_in_alphabetical_order() -> None:
    items = {f"item {index}" for index in range(50)}
    assert Dictionary.from_items(items).get_items() == sorted(items)


def test_dictionary_counts_what_is_not_counted() -> None:
    counted = [
        Dictionary.from_counts(counts).get_items() for counts in ({"a": 1, "b": 2}, ["b", "a", "b"], Counter("bab"))
    ]
    assert counted == [["<unk>", "b", "a"]] * 3


def test_dictionary_looks_items_up_as_it_adds_them() -> None:
    dictionary = Dictionary.from_items(["topic"])
    assert dictionary.has_item(Tag.TOPIC)  # type: ignore[arg-type]
    dictionary.remove_item(Tag.TOPIC)  # type: ignore[arg-type]
    assert dictionary.get_items() == []
