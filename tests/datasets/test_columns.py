"""Column files: what is written is read again, faults are errors with a line or are said, and no label is lost."""

from __future__ import annotations

import logging
import pickle
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flairlite.bundled import bundled_path
from flairlite.data import Sentence
from flairlite.data.tag_schemes import TagSpan, tags_of
from flairlite.datasets import ColumnCorpus, ColumnDataset, MultiFileColumnCorpus
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import DataFormatError, SettingError
from flairlite.models import SequenceTagger
from flairlite.tokenization import RegexTokenizer
from flairlite.trainers import ModelTrainer

NER = {0: "text", 1: "ner"}
SCHEMES = ("BIO1", "BIO2", "BIOES", "BILOU")


def written(tmp_path: Path, text: str | bytes, name: str = "train.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def spans(sentence: Sentence, label_type: str = "ner") -> list[tuple[str, str]]:
    return [(span.text, span.get_label(label_type).value) for span in sentence.get_spans(label_type)]


# What is written is read again

_CHARACTERS = st.characters(exclude_characters="\t\n\r\0", exclude_categories=["Cs"])
_WITH_BLANKS = (
    st.text(_CHARACTERS, min_size=1, max_size=6)
    .map(lambda word: word.strip(" "))  # the reader removes blanks around values
    .filter(lambda word: word.strip("\v\f"))
)
_NO_BLANKS = st.characters(exclude_characters=" \t\n\r\0", exclude_categories=["Cs"])
_PLAIN = st.text(_NO_BLANKS, min_size=1, max_size=6).filter(lambda word: word.strip("\v\f") and word != "-DOCSTART-")


@st.composite
def tagged(draw: st.DrawFn, words: st.SearchStrategy[str]) -> tuple[list[str], list[TagSpan], list[str]]:
    """Draw the words of a sentence, spans that do not overlap, and a label a word."""
    sentence = draw(st.lists(words, min_size=1, max_size=6))
    borders = sorted(draw(st.sets(st.integers(0, len(sentence)), max_size=6)))
    labels = st.sampled_from(["PER", "LOC", "A-B"])
    drawn = [(start, stop, draw(labels)) for start, stop in pairwise(borders) if draw(st.booleans())]
    pos = draw(
        st.lists(st.sampled_from(["NOUN", "VERB", "-", "E-mail"]), min_size=len(sentence), max_size=len(sentence))
    )
    return sentence, drawn, pos


@given(st.data(), st.sampled_from(["\t", " ", "  "]), st.sampled_from(SCHEMES), st.booleans())
def test_columns_survive_writing_and_reading(
    tmp_path: Path, data: st.DataObject, between: str, scheme: str, in_memory: bool
) -> None:
    sentences = data.draw(st.lists(tagged(_WITH_BLANKS if between == "\t" else _PLAIN), min_size=1, max_size=4))
    text = "".join(
        between.join(row) + "\n" if row else "\n"
        for words, drawn, pos in [*sentences, (["Rome"], [(0, 1, "LOC")], ["NOUN"])]
        for row in [*zip(words, pos, tags_of(drawn, len(words), scheme), strict=True), ()]
    )
    path = written(tmp_path, text)
    dataset = ColumnDataset(path, {0: "text", 1: "pos", 2: "ner"}, in_memory=in_memory, span_label_types=["ner"])
    assert len(dataset) == len(sentences) + 1
    for sentence, (words, drawn, pos) in zip(dataset, sentences, strict=False):
        assert sentence.words == words
        assert sorted(sentence.span_labels("ner")) == sorted(drawn)
        assert sentence.token_labels("pos") == pos
        assert all(sentence.text[token.start_position : token.end_position] == token.text for token in sentence)


@given(st.data(), st.booleans())
def test_corrupted_file_is_an_error_or_keeps_every_label(tmp_path: Path, data: st.DataObject, in_memory: bool) -> None:
    sentences = data.draw(st.lists(tagged(_WITH_BLANKS), min_size=1, max_size=4))
    scheme = data.draw(st.sampled_from(SCHEMES))
    lines = [
        "\t".join(row)
        for words, drawn, _ in sentences
        for row in [*zip(words, tags_of(drawn, len(words), scheme), strict=True), ("",)]
    ]
    content = bytearray(rows(*lines).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content)))
        taken = data.draw(st.integers(0, 3))
        content[place : place + taken] = data.draw(
            st.sampled_from([b"", b"\t", b"\n", b"\n\n", b"B-", b"O", b"\xff", b"#"])
        )
    path = written(tmp_path, bytes(content))
    try:
        dataset = ColumnDataset(path, NER, column_delimiter="\t", in_memory=in_memory, require_labels=False)
        read = list(dataset)
    except DataFormatError:
        return
    values = [line.split("\t")[1].strip() for line in content.decode().split("\n") if "\t" in line]
    labelled = [value for value in values if value not in ("", "_", "O")]
    if dataset.span_label_types:
        assert sum(stop - start for sentence in read for start, stop, _ in sentence.span_labels("ner")) == len(labelled)
    else:
        kept = [value for sentence in read for value in sentence.token_labels("ner") or () if value not in (None, "O")]
        assert kept == labelled


# Columns and what separates them


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("New York\tB-LOC\nis\tO\n", ["New York", "is"]),
        ("York B-LOC\nis O\n", ["York", "is"]),
        ("York   B-LOC  \nis \t O\n", ["York", "is"]),
        ("York\tB-LOC\r\nis\tO\r\n", ["York", "is"]),
        ("\ufeffYork\tB-LOC\nis\tO\n", ["York", "is"]),
        ("\n \nYork\tB-LOC\nis\tO", ["York", "is"]),
        ("10\u00a0000 B-LOC\nis O\n", ["10\u00a0000", "is"]),
    ],
)
def test_delimiter_is_detected(tmp_path: Path, text: str, words: list[str]) -> None:
    (sentence,) = ColumnDataset(written(tmp_path, text), NER)
    assert sentence.words == words
    assert sentence.span_labels("ner") == [(0, 1, "LOC")]


def test_the_delimiter_of_most_rows_is_used_and_other_rows_are_errors(tmp_path: Path) -> None:
    path = written(tmp_path, rows("in\tO", "New York B-LOC", "is\tO"))
    with pytest.raises(DataFormatError, match=r"line 2: the row has 1 columns.*others of its sentence have 2.*a tab"):
        ColumnDataset(path, NER)


def test_given_delimiter_is_a_regular_expression(tmp_path: Path) -> None:
    (sentence,) = ColumnDataset(written(tmp_path, rows("in;|O", "Rome;B-LOC")), NER, column_delimiter=r";\|?")
    assert spans(sentence) == [("Rome", "LOC")]
    with pytest.raises(SettingError, match=r"column_delimiter must be a regular expression, not '\('"):
        ColumnDataset(written(tmp_path, "in O\n"), NER, column_delimiter="(")


@pytest.mark.parametrize("columns", [{3: "text", 0: "ner"}, {-1: "text", 0: "ner"}, {-1: "text", -4: "ner"}])
def test_columns_can_have_any_order(tmp_path: Path, columns: dict[int, str]) -> None:
    (sentence,) = ColumnDataset(written(tmp_path, rows("O x y in", "B-LOC x y Rome")), columns)
    assert sentence.words == ["in", "Rome"]
    assert spans(sentence) == [("Rome", "LOC")]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({0: "token", 1: "ner"}, "one of the columns must be named 'text'"),
        ({0: "text", 1: "ner", 2: "ner"}, "each column must have a name of its own"),
    ],
)
def test_invalid_column_map_is_an_error(tmp_path: Path, columns: dict[int, str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        ColumnDataset(written(tmp_path, "in O\n"), columns)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rows("in O", "Rome"), "line 2: the row has 1 columns"),
        (rows("in O", "", "New York B-LOC", "is O"), "line 4: the row has 2 columns"),
        (rows("in", "Rome"), r"line 1: a row must have 2 columns or more, but \['in'\] has 1"),
        (rows("in\tO", "\tB-LOC"), "line 2: a label without a word"),
        (
            rows("in O", "it O", "Rome B-LOC", "so LOC"),
            "line 4: column 1 .ner. has tags of spans.*'LOC'.*span_label_types",
        ),
        ("in O\nR\xe9 B-LOC\n".encode("latin-1"), "line 2: byte 0xe9 is not utf-8"),
        ("", "there is no sentence in it"),
        ("\n \n", "there is no sentence in it"),
        (b"\xef\xbb\xbf", "there is no sentence in it"),  # a byte order mark alone
    ],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_malformed_row_is_an_error_with_file_and_line(
    tmp_path: Path, text: str | bytes, message: str, in_memory: bool
) -> None:
    with pytest.raises(DataFormatError, match=message) as caught:
        ColumnDataset(written(tmp_path, text), NER, in_memory=in_memory)
    assert caught.value.path == tmp_path / "train.txt"


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"none\.txt: cannot be read: No such file"):
        ColumnDataset(tmp_path / "none.txt", NER)


def test_row_without_word_and_label_is_left_out_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (sentence,) = ColumnDataset(written(tmp_path, rows("New B-LOC", "\t O", "York I-LOC")), NER)
    assert spans(sentence) == [("New York", "LOC")]
    assert "1 rows have neither a word nor a label and are left out, first in line 2" in caplog.text


# Comments, documents, headers, spaces


def test_comments_are_kept_as_metadata(tmp_path: Path) -> None:
    text = rows("# id = 7\tdomain=news", "# no pair", "in O", "# late = 1", "Rome B-LOC")
    (sentence,) = ColumnDataset(written(tmp_path, text), NER, comment_symbol="# ")
    assert sentence.words == ["in", "Rome"]
    assert sentence.metadata == {"id": "7", "domain": "news", "late": "1"}


@pytest.mark.parametrize("in_memory", [True, False])
def test_number_sign_with_the_columns_of_a_word_is_a_word(tmp_path: Path, in_memory: bool) -> None:
    text = rows("room NN B-LOC", "# # I-LOC", "3 CD I-LOC")
    (sentence,) = ColumnDataset(
        written(tmp_path, text), {0: "text", 2: "ner"}, comment_symbol="# ", in_memory=in_memory
    )
    assert spans(sentence) == [("room # 3", "LOC")]


def test_comment_that_may_be_a_word_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ColumnDataset(written(tmp_path, rows("# O", "Rome B-LOC")), NER, comment_symbol="# ")
    assert "1 lines are read as comments, with as many columns as a word" in caplog.text
    assert "first in line 1" in caplog.text


def test_comment_with_other_columns_needs_no_blank(tmp_path: Path) -> None:
    text = rows("#\tsource\t2005", "1\tRome\tB-LOC\tO", "2\tis\tO\tO")
    (sentence,) = ColumnDataset(written(tmp_path, text), {1: "text", 2: "ner"}, comment_symbol="# ")
    assert spans(sentence) == [("Rome", "LOC")]


DOCUMENTS = rows(
    "-DOCSTART-", "", "Rome B-LOC", "", "is O", "old O", "", "-DOCSTART- O", "", "so O", "is O", "Oslo B-LOC"
)


def test_document_starts_are_sentences_that_can_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = written(tmp_path, DOCUMENTS)
    assert [len(sentence) for sentence in ColumnDataset(path, NER)] == [1, 1, 2, 1, 3]
    for in_memory in (True, False):
        dataset = ColumnDataset(path, NER, banned_sentences=["-DOCSTART-"], in_memory=in_memory)
        assert [sentence.text for sentence in dataset] == ["Rome", "is old", "so is Oslo"]
        assert "2 sentences are left out, banned" in caplog.text
        caplog.clear()


@pytest.mark.parametrize("in_memory", [True, False])
def test_documents_can_be_sentences(tmp_path: Path, in_memory: bool) -> None:
    options: dict[str, Any] = {"document_separator_token": "-DOCSTART-", "documents_as_sentences": True}
    dataset = ColumnDataset(written(tmp_path, DOCUMENTS), NER, in_memory=in_memory, **options)
    assert [sentence.text for sentence in dataset] == ["Rome is old", "so is Oslo"]
    assert [spans(sentence) for sentence in dataset] == [[("Rome", "LOC")], [("Oslo", "LOC")]]
    with pytest.raises(SettingError, match="documents_as_sentences needs a document_separator_token"):
        ColumnDataset(written(tmp_path, DOCUMENTS), NER, documents_as_sentences=True)


@pytest.mark.parametrize("separator", ["-DOCSTART-", "-DOCSTART- -X- O B-LOC"])
def test_document_start_has_no_labels_and_needs_no_columns(tmp_path: Path, separator: str) -> None:
    path = written(tmp_path, rows(separator, "", "1 Rome NNP B-LOC"))
    start, sentence = ColumnDataset(path, {1: "text", 2: "pos", 3: "ner"})
    assert start.words == ["-DOCSTART-"]
    assert start.labels == []
    assert spans(sentence) == [("Rome", "LOC")]


def test_header_is_left_out_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = written(tmp_path, rows("WORD\tTAG", "New York\tB-LOC"))
    (sentence,) = ColumnDataset(path, NER, skip_first_line=True)
    assert spans(sentence) == [("New York", "LOC")]
    assert "the first line is left out: WORD\tTAG" in caplog.text


def test_spaces_are_read_from_the_file(tmp_path: Path) -> None:
    text = rows("a O + _", "German B-MISC - _", "- O - X=1|SpaceAfter=No", "owned O + SpaceAfter=No", "firm O + _")
    path = written(tmp_path, text)
    assert ColumnDataset(path, NER | {2: "space-after"})[0].text == "a German-owned firm"
    assert ColumnDataset(path, NER | {3: "misc"})[0].text == "a German -ownedfirm"
    assert ColumnDataset(path, NER, default_whitespace_after=0)[0].text == "aGerman-ownedfirm"
    assert ColumnDataset(path, NER | {3: "misc"})[0].label_types() == ["X", "ner"]


def test_features_are_label_types_and_heads_numbers(tmp_path: Path) -> None:
    text = rows("They\tCase=Nom|Number=Plur\t2\tx", "buy\tNumber=Plur|Odd|Number=Two\t0\t_")
    columns = {0: "text", 1: "feats", 2: "head", 3: "pos"}
    (sentence,) = ColumnDataset(written(tmp_path, text), columns)
    assert [label.value for label in sentence.get_labels("Number")] == ["Plur", "Plur", "Two"]
    assert [label.value for label in sentence.get_labels("feats")] == ["Odd"]
    assert [token.head_id for token in sentence] == [2, 0]
    with pytest.raises(DataFormatError, match="line 1: the head, 'two', must be a number or _"):
        ColumnDataset(written(tmp_path, rows("They\tA=1\ttwo\tx")), columns)


# Labels


def test_all_rows_determine_whether_a_column_has_spans(tmp_path: Path) -> None:
    late = rows(*(line for _ in range(40) for line in ("so O", "")), "Rome B-LOC")
    dataset = ColumnDataset(written(tmp_path, late), NER)
    assert dataset.span_label_types == ["ner"]
    assert spans(dataset[-1]) == [("Rome", "LOC")]


def test_labels_of_words_are_unchanged(tmp_path: Path) -> None:
    dataset = ColumnDataset(written(tmp_path, rows("Vgl. O", "RAB PARTA", "1/2010 YEAR", "Rz _")), NER)
    assert dataset.span_label_types == []
    assert dataset[0].token_labels("ner") == ["O", "PARTA", "YEAR", None]


def test_columns_of_spans_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, rows("so B-ADVP O", "is E-mail O"))
    columns = {0: "text", 1: "chunk", 2: "ner"}
    assert ColumnDataset(path, columns, span_label_types=()).span_label_types == []
    assert ColumnDataset(path, columns, span_label_types=()).sentences[0].token_labels("chunk") == ["B-ADVP", "E-mail"]
    assert ColumnDataset(path, columns, tag_to_bioes="chunk")[0].span_labels("chunk") == [
        (0, 1, "ADVP"),
        (1, 2, "mail"),
    ]
    with pytest.raises(SettingError, match="no column of labels is named 'pos'; there are chunk, ner"):
        ColumnDataset(path, columns, tag_to_bioes="pos")


@pytest.mark.parametrize(
    ("tags", "expected", "said"),
    [
        (
            "O I-LOC I-LOC O B-PER",
            [(1, 3, "LOC"), (4, 5, "PER")],
            r"in BIO2, but 1 tags.*I-LOC after O: 1, first in line 2",
        ),
        ("B-LOC I-PER O B-PER", [(0, 1, "LOC"), (1, 2, "PER"), (3, 4, "PER")], "I-PER after B-LOC: 1, first in line 2"),
        ("S-LOC I-LOC O E-PER O", [(0, 1, "LOC"), (1, 2, "LOC"), (3, 4, "PER")], "in BIOES, but 3 tags"),
    ],
)
def test_invalid_tag_sequences_are_repaired_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tags: str, expected: list[TagSpan], said: str
) -> None:
    (sentence,) = ColumnDataset(written(tmp_path, rows(*(f"w {tag}" for tag in tags.split()))), NER)
    assert sentence.span_labels("ner") == expected
    (message,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert re.search(said, message)


def test_labels_can_be_renamed_or_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, rows("Ann B-PER PROPN", "likes O VERB", "Rome B-LOC PROPN"))
    names = {"PER": "person", "LOC": "O", "VERB": "O"}
    (sentence,) = ColumnDataset(path, {0: "text", 1: "ner", 2: "pos"}, label_name_map=names)
    assert spans(sentence) == [("Ann", "person")]
    assert sentence.token_labels("pos") == ["PROPN", None, "PROPN"]


def test_other_encodings_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "Caf\xe9 B-LOC\n".encode("latin-1"))
    assert ColumnDataset(path, NER, encoding="latin-1")[0].text == "Café"
    for encoding, message in (("utf-16", "convert them to UTF-8"), ("utf-99", "no text encoding is named")):
        with pytest.raises(SettingError, match=message):
            ColumnDataset(path, NER, encoding=encoding)


@pytest.mark.parametrize("in_memory", [True, False])
def test_text_can_be_tokenized_again(tmp_path: Path, caplog: pytest.LogCaptureFixture, in_memory: bool) -> None:
    text = rows(
        "(the O DET +", "U.K.-Irish B-MISC ADJ +", "border) I-MISC NOUN +", "", "so O ADV +", "Rome B-LOC PROPN +"
    )
    columns = {0: "text", 1: "ner", 2: "pos", 3: "space-after"}
    tokenizer = RegexTokenizer(r"\w+|[^\w\s]")
    corpus = MultiFileColumnCorpus(columns, written(tmp_path, text), use_tokenizer=tokenizer, in_memory=in_memory)
    assert corpus.tokenizer is corpus.corpus_tokenizer is tokenizer
    first, second = list(corpus.train or ())
    assert first.words == ["(", "the", "U", ".", "K", ".", "-", "Irish", "border", ")"]
    assert (spans(first), spans(second)) == ([("U.K.-Irish border)", "MISC")], [("Rome", "LOC")])
    assert first.token_labels("pos") is None
    assert "use_tokenizer splits the text again, so labels of words are lost: pos" in caplog.text


# Neighbours


@pytest.mark.parametrize("in_memory", [True, False])
def test_sentences_know_their_neighbours_within_their_document(tmp_path: Path, in_memory: bool) -> None:
    path = written(tmp_path, DOCUMENTS)

    def contexts(**options: Any) -> list[tuple[list[str], list[str]]]:
        dataset = ColumnDataset(path, NER, in_memory=in_memory, **options)
        return [([t.text for t in s.left_context(2)], [t.text for t in s.right_context(2)]) for s in dataset]

    no_end = contexts(banned_sentences=["-DOCSTART-"])
    assert no_end == [([], ["is", "old"]), (["Rome"], ["so", "is"]), (["is", "old"], [])]
    with_ends = contexts(document_separator_token="-DOCSTART-")
    assert with_ends[1:3] == [([], ["is", "old"]), (["Rome"], [])]
    assert contexts(banned_sentences=["-DOCSTART-"], every_sentence_is_independent=True) == [([], [])] * 3


# Out of memory


def test_sentences_on_disk_are_new_objects(tmp_path: Path) -> None:
    path = written(tmp_path, rows("Rome B-LOC", "", "so O", "", "in O", "Oslo B-LOC"))
    kept, lazy = ColumnDataset(path, NER), ColumnDataset(path, NER, in_memory=False)
    assert kept.is_in_memory()
    assert not lazy.is_in_memory()
    assert kept[1] is kept[1]
    assert lazy[1] is not lazy[1]
    assert list(map(str, lazy)) == list(map(str, kept)) == [str(lazy[place]) for place in range(3)]
    assert [str(sentence) for sentence in lazy[1:]] == list(map(str, kept[1:]))
    assert list(map(str, pickle.loads(pickle.dumps(lazy)))) == list(map(str, kept))


def test_file_that_has_changed_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, rows("Rome B-LOC"))
    lazy = ColumnDataset(path, NER, in_memory=False)
    written(tmp_path, rows("", "Rome B-LOC"))
    with pytest.raises(DataFormatError, match="the file has changed since it was first read"):
        lazy[0]
    path.unlink()
    with pytest.raises(DataFormatError, match="cannot be read"):
        list(lazy)


# Corpora


def test_corpus_finds_its_files_and_logs_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for name in ("eng.train", "eng.testa", "eng.testb"):
        written(tmp_path, rows(f"{name[4:]} B-LOC"), name)
    corpus = ColumnCorpus(tmp_path, NER)
    texts = [split[0].text for split in (corpus.train, corpus.dev, corpus.test) if split]
    assert texts == ["train", "testa", "testb"]
    assert corpus.name == str(tmp_path)
    assert f"Dev: {tmp_path / 'eng.testa'}" in caplog.text


@pytest.mark.parametrize("in_memory", [True, False])
def test_missing_splits_are_sampled_on_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, in_memory: bool
) -> None:
    caplog.set_level(logging.INFO)
    written(tmp_path, "".join(f"w{number} B-X\n\n" for number in range(20)))
    corpus = ColumnCorpus(tmp_path, NER, in_memory=in_memory)
    assert (len(corpus.train or ()), corpus.dev, corpus.test) == (20, None, None)
    assert "No dev split; sample_missing_splits=True" in caplog.text
    corpus = ColumnCorpus(tmp_path, NER, in_memory=in_memory, sample_missing_splits=True, random_seed=3)
    assert str(corpus) == "Corpus: 16 train + 2 dev + 2 test sentences"
    assert "No test split: 2 of the training sentences were taken for it, as asked" in caplog.text
    assert len({sentence.text for sentence in corpus.get_all_sentences()}) == 20


def test_first_file_determines_which_columns_have_spans(tmp_path: Path) -> None:
    written(tmp_path, rows("so ADV", "is VERB"))
    written(tmp_path, rows("it O"), "dev.txt")
    corpus = ColumnCorpus(tmp_path, {0: "text", 1: "pos"})
    assert corpus.dev
    assert corpus.dev[0].token_labels("pos") == ["O"]


def test_test_data_without_labels_is_read_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(tmp_path, rows("Rome B-LOC"))
    written(tmp_path, rows("Oslo O"), "test.txt")
    assert len(ColumnCorpus(tmp_path, NER).test or ()) == 1
    assert "no word has a label: column 1 (ner) has only 'O' (1)" in caplog.text


def test_several_files_make_a_split(tmp_path: Path) -> None:
    paths = [written(tmp_path, rows(f"{name} B-LOC"), name) for name in ("a", "b", "c")]
    corpus = MultiFileColumnCorpus(NER, train_files=paths[:2], test_files=[paths[2]], name="three")
    assert str(corpus) == "Corpus: 2 train + 0 dev + 1 test sentences"
    assert [sentence.text for sentence in corpus.get_all_sentences()] == ["a", "b", "c"]
    with pytest.raises(SettingError, match="a corpus needs at least one file"):
        MultiFileColumnCorpus(NER)
    with pytest.raises(TypeError, match="column_delimeter"):
        MultiFileColumnCorpus(NER, paths, column_delimeter="\t")


@pytest.mark.parametrize("storage_mode", ["cpu", "none"])
def test_training_from_disk_equals_training_from_memory(
    tmp_path: Path, mini_vectors: WordEmbeddings, storage_mode: str
) -> None:
    results = []
    for in_memory in (True, False):
        corpus = ColumnCorpus(bundled_path("sample_ner"), NER, in_memory=in_memory).downsample(0.3, random_seed=1)
        labels = corpus.make_label_dictionary("ner", add_unk=False)
        model = SequenceTagger(hidden_size=16, embeddings=mini_vectors, tag_dictionary=labels, tag_type="ner", seed=1)
        options: dict[str, Any] = {"max_epochs": 1, "embeddings_storage_mode": storage_mode, "seed": 1}
        results.append(ModelTrainer(model, corpus).train(tmp_path / str(in_memory), **options))
    assert results[0] == results[1]
