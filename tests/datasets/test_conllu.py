"""CoNLL-U files are read column by column without loss, or refused with the line at fault."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import conllu
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flairlite.bundled import bundled_path
from flairlite.data import Sentence
from flairlite.datasets import conllu as reader
from flairlite.datasets import iterate_conllu, read_conllu
from flairlite.datasets.conllu import FIELDS, LABEL_TYPES
from flairlite.errors import DataFormatError, FlairliteError

EWT = "ud_english/r2.16/en_ewt-ud-{}.conllu"

# Ranges, an empty node, comments of all kinds, a word and lemma "_", heads; the last sentence has no empty line behind.
SMALL = """\
# newdoc id = d1
# sent_id = s1
# text = Don't go.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\tMood=Imp|VerbForm=Fin\t3\taux\t3:aux\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t3:advmod\t_
3\tgo\tgo\tVERB\tVB\tVerbForm=Inf\t0\troot\t0:root\tSpaceAfter=No
3.1\t_\tgo\tVERB\tVB\tVerbForm=Inf\t_\t_\t0:root\tCopyOf=3
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t3:punct\t_

# newpar
# just a remark
#
# text = _ du é😀
1\t_\t_\tSYM\tNFP\t_\t_\t_\t_\t_
2-3\tdu\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
2\tde\t_\tADP\t_\t_\t_\t_\t_\t_
3\tle\tle\tDET\t_\tDefinite=Def|Gender=Masc\t_\t_\t_\t_
4\té😀\té\u2028\x85x\tX\t_\t_\t_\t_\t_\t_

# sent_id = s3
0.1\tempty\t_\t_\t_\t_\t_\t_\t_\t_
1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\tA=B|SpaceAfter=No
"""


def described(sentence: Sentence) -> tuple[object, ...]:
    """All that the reader puts into a sentence."""
    labels = {name: sentence.token_labels(name) for name in sentence.label_types()}
    return sentence.words, sentence.text, [token.whitespace_after for token in sentence], labels, sentence.metadata


def described_all(sentences: Iterable[Sentence]) -> list[tuple[object, ...]]:
    return [described(sentence) for sentence in sentences]


def row(number: int | str, form: str = "word", **fields: str) -> str:
    return "\t".join([str(number), form, *(fields.get(name, "_") for name in FIELDS[2:])])


def rows(*numbers: int | str) -> str:
    return "".join(row(number) + "\n" for number in numbers)


def saved(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "file.conllu"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# -------------------------------------------------------------------------- what the conllu package reads is the oracle

RAW = {name: lambda line, i: line[i] for name in ("xpos", "feats", "head", "deps", "misc")}


def assert_columns_equal(sentence: Sentence, expected: conllu.TokenList) -> None:
    """Compare with what conllu read when it was told to leave the columns as they are (`RAW`)."""
    words = [token for token in expected if isinstance(token["id"], int)]
    assert sentence.words == [token["form"] for token in words]
    for field in FIELDS[2:]:
        values = [None if token[field] == "_" else token[field] for token in words]
        if field == "lemma":  # the one column where the underscore may be itself
            values = [
                "_" if token["form"] == token["lemma"] == "_" else v for token, v in zip(words, values, strict=True)
            ]
        for label_type in LABEL_TYPES[field]:
            assert (sentence.token_labels(label_type) or [None] * len(words)) == values
    other = {"multiword_tokens": "-", "empty_nodes": "."}
    for name, sign in other.items():
        forms = [token["form"] for token in expected if not isinstance(token["id"], int) and token["id"][1] == sign]
        assert [cells[1] for cells in sentence.metadata.get(name, [])] == forms
    assert {key: value for key, value in sentence.metadata.items() if key not in other} == dict(expected.metadata)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_sample_columns_equal_those_of_the_conllu_package(split: str) -> None:
    path = bundled_path("sample_english") / f"{split}.conllu"
    expected = conllu.parse(path.read_text(encoding="utf-8"), field_parsers=RAW)
    for sentence, tokens in zip(read_conllu(path), expected, strict=True):
        assert_columns_equal(sentence, tokens)
        assert sentence.text == tokens.metadata["text"]


def test_sample_features_equal_those_of_the_conllu_package() -> None:
    path = bundled_path("sample_english") / "dev.conllu"
    for sentence, tokens in zip(read_conllu(path), conllu.parse(path.read_text(encoding="utf-8")), strict=True):
        features = [token["feats"] or {} for token in tokens if isinstance(token["id"], int)]
        names = {name for values in features for name in values}
        assert names <= set(sentence.label_types())
        for name in names:
            assert sentence.token_labels(name) == [values.get(name) for values in features]


@pytest.mark.mirror
@pytest.mark.parametrize(("split", "size"), [("train", 12_544), ("dev", 2_001), ("test", 2_077)])
def test_ewt_columns_equal_those_of_the_conllu_package(mirror: Path, split: str, size: int) -> None:
    path = mirror / EWT.format(split)
    sentences = read_conllu(path)
    assert len(sentences) == size
    with path.open(encoding="utf-8") as file:
        for sentence, tokens in zip(sentences, conllu.parse_incr(file, field_parsers=RAW), strict=True):
            assert_columns_equal(sentence, tokens)
    different = [sentence.metadata for sentence in sentences if sentence.text != sentence.metadata["text"]]
    # the one text with a no-break space, which no column of the file tells
    assert ["have\xa0been" in metadata["text"] for metadata in different] == [True] * (split == "test")


# ------------------------------------------------------------------------------------------ what each form of line does


def test_each_part_of_a_small_file_is_read(tmp_path: Path) -> None:
    first, second, third = read_conllu(saved(tmp_path, SMALL))
    assert first.words == ["Do", "n't", "go", "."]
    assert first.text == "Don't go."
    assert first.metadata == {
        "newdoc id": "d1",
        "sent_id": "s1",
        "text": "Don't go.",
        "multiword_tokens": [row("1-2", "Don't").split("\t")],
        "empty_nodes": [["3.1", "_", "go", "VERB", "VB", "VerbForm=Inf", "_", "_", "0:root", "CopyOf=3"]],
    }
    assert first.token_labels("lemma") == ["do", "not", "go", "."]
    assert first.token_labels("xpos") == first.token_labels("pos") == ["VB", "RB", "VB", "."]
    assert first.token_labels("deprel") == first.token_labels("dependency") == ["aux", "advmod", "root", "punct"]
    assert first.token_labels("VerbForm") == ["Fin", None, "Inf", None]
    assert [token.head_id for token in first] == [3, 3, 0, 3]
    assert first[0].get_head() is first[2]
    assert first[2].get_head() is None
    assert second.metadata["text"] == "_ du é😀"
    assert third.metadata["empty_nodes"] == [row("0.1", "empty").split("\t")]
    assert third.text == "Yes"


def test_underscore_is_a_word_and_its_lemma_but_no_other_label(tmp_path: Path) -> None:
    sentence = read_conllu(saved(tmp_path, SMALL))[1]
    assert sentence.words[0] == "_"
    assert sentence.token_labels("lemma") == ["_", None, "le", "é\u2028\x85x"]  # also: other line ends are characters
    assert sentence.token_labels("xpos") == ["NFP", None, None, None]
    assert sentence.token_labels("head") is None
    assert sentence[0].head_id is None


def test_words_of_a_range_with_other_text_are_separate(tmp_path: Path) -> None:
    sentence = read_conllu(saved(tmp_path, SMALL))[1]
    assert sentence.text == "_ de leé😀"
    assert all(sentence.text[token.start_position : token.end_position] == token.text for token in sentence)


@pytest.mark.parametrize(
    ("misc", "space"),
    [("_", " "), ("SpaceAfter=No", ""), ("A=B|SpaceAfter=No", ""), ("SpaceAfter=Yes", " "), ("XSpaceAfter=No", " ")],
)
def test_space_after_is_read_from_misc(tmp_path: Path, misc: str, space: str) -> None:
    sentence = read_conllu(saved(tmp_path, row(1, "a", misc=misc) + "\n" + row(2, "b") + "\n"))[0]
    assert sentence.text == f"a{space}b"
    assert sentence.token_labels("misc") == (None if misc == "_" else [misc, None])


def test_range_alone_decides_the_spaces_of_its_words(tmp_path: Path) -> None:
    rows = [row("1-2", "ab", misc="SpaceAfter=No"), row(1, "a"), row(2, "b"), row(3, "c", misc="SpaceAfter=No")]
    rows += [row("4-4", "d"), row(4, "d", misc="SpaceAfter=No"), row(5, "e")]
    assert read_conllu(saved(tmp_path, "\n".join(rows)))[0].text == "abcd e"


def test_comments_are_kept_under_their_names(tmp_path: Path) -> None:
    comments = "# a = b = c\n#d=e\n# newpar\n# a remark\n# no value =\n#\n# = no name\n"
    sentence = read_conllu(saved(tmp_path, comments + row(1) + "\n# late = comment\n" + row(2) + "\n"))[0]
    assert sentence.metadata == {
        "a": "b = c",
        "d": "e",
        "newpar": None,
        "a remark": None,
        "no value =": None,
        "= no name": None,
        "late": "comment",
    }


def test_two_names_of_a_column_can_be_changed_one_by_one(tmp_path: Path) -> None:
    sentence = read_conllu(saved(tmp_path, row(1, xpos="NN", deprel="root") + "\n" + row(2, xpos="VB") + "\n"))[0]
    sentence[0].set_label("pos", "changed")
    sentence.remove_labels("dependency")
    assert (sentence.token_labels("pos"), sentence.token_labels("xpos")) == (["changed", "VB"], ["NN", "VB"])
    assert (sentence.token_labels("dependency"), sentence.token_labels("deprel")) == (None, ["root", None])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: text.replace("\n\n", "\n\n\n\n\n").encode(),
        lambda text: b"\n\n\n" + text.encode() + b"\n\n\n",
        lambda text: text.replace("\n\n", "\n\n# alone\n\n").encode(),
    ],
    ids=["bom", "crlf", "cr", "no final newline", "blank lines", "blank lines around", "comments between"],
)
def test_blank_lines_and_marks_around_the_rows_change_nothing(tmp_path: Path, change: Callable[[str], bytes]) -> None:
    expected = described_all(read_conllu(saved(tmp_path, SMALL)))
    assert described_all(read_conllu(saved(tmp_path, change(SMALL)))) == expected


def test_path_can_be_a_string(tmp_path: Path) -> None:
    path = saved(tmp_path, SMALL)
    assert described_all(read_conllu(str(path))) == described_all(read_conllu(path))


# --------------------------------------------------------------------------------------------------------------- chunks


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64, 333, 10_000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_chunk_borders_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, end: str) -> None:
    path = saved(tmp_path, SMALL.replace("\n\n", "\n\n\n").replace("\n", end))
    expected = described_all(read_conllu(path))
    monkeypatch.setattr(reader, "_CHUNK", size)
    assert described_all(read_conllu(path)) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64, 333, 10_000])
def test_chunk_borders_leave_the_line_of_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    content = SMALL.replace("\n\n", "\n\n\n") + "\n\n" + row(1) + "\n" + row(3) + "\n\n" + row(1)
    monkeypatch.setattr(reader, "_CHUNK", size)
    with pytest.raises(DataFormatError) as caught:
        read_conllu(saved(tmp_path, content))
    assert content.split("\n")[(caught.value.line or 0) - 1] == row(3)


def test_sentences_are_returned_before_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_CHUNK", 100)
    sentences = iterate_conllu(saved(tmp_path, (SMALL + "\n") * 10 + "broken"))
    assert [next(sentences).words[0] for _ in range(3)] == ["Do", "_", "Yes"]
    with pytest.raises(DataFormatError, match="'broken' has 1"):
        list(sentences)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_no_sentence_waits_for_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(reader, "_CHUNK", size)
    many = (row(1) + "\n\n").encode() * 2_000  # more than Python decodes at once
    sentences = iterate_conllu(saved(tmp_path, many + b"\xff"))
    assert [next(sentences).words for _ in range(500)] == [["word"]] * 500
    with pytest.raises(DataFormatError, match="0xff") as caught:
        list(sentences)
    assert caught.value.line == 4_001


# ----------------------------------------------------------------------------------------------------- bad files, named


BAD: dict[str, tuple[str | bytes, int, str]] = {
    "plain text": ("It was a dark night.\nThe end.\n", 1, "10 columns, but 'It was a dark night.' has 1"),
    "9 columns": (row(1) + "\n" + row(2)[:-2] + "\n", 2, "has 9"),
    "11 columns": (row(1) + "\t_\n", 1, "has 11"),
    "two spaces for tabs": (row(1).replace("\t", "  ") + "\n", 1, "has 1"),
    "doubled tab": (row(1).replace("\t_", "\t\t_", 1) + "\n", 1, "has 11"),
    "blank line with a space": (row(1) + "\n \n" + row(1) + "\n", 2, "' ' has 1"),
    "fault after blank lines": ("\n\n" + row(1) + "\n\n\n\n# c\n" + row(2) + "\n", 8, "the id '2' does not fit"),
    "fault between comments": ("# a\n" + row(1) + "\n# b\n# c\n" + row(1) + "\n", 5, "the id '1' does not fit"),
    "id 0": (row(0) + "\n" + row(1) + "\n", 1, "the id '0' does not fit after 0 words"),
    "id that is no number": (row(1) + "\n" + row("x") + "\n", 2, "the id must be like 1, 1-2 or 1.1, but is 'x'"),
    "id _": (row("_") + "\n", 1, "the id '_' does not fit"),
    "id 01": (row("01") + "\n", 1, "but is '01'"),
    "id of other digits": (row("１") + "\n", 1, "but is '１'"),
    "id of 5000 digits": (row("1" * 5000) + "\n", 1, "the id must be like"),
    "range of 5000 digits": (row("1-" + "2" * 5000) + "\n" + row(1) + "\n", 1, "the id must be like"),
    "2 first": (row(2) + "\n" + row(1) + "\n", 1, "the id '2' does not fit after 0 words"),
    "id left out": (row(1) + "\n" + row(3) + "\n", 2, "the id '3' does not fit after 1 words"),
    "id twice": (row(1) + "\n" + row(1) + "\n", 2, "the id '1' does not fit"),
    "reversed range": (row("2-1") + "\n" + row(1) + "\n" + row(2) + "\n", 1, "but is '2-1'"),
    "range too late": (row(1) + "\n" + row("1-2") + "\n" + row(2) + "\n", 2, "the id '1-2' does not fit after 1"),
    "range too early": (row("2-3") + "\n" + row(1) + "\n", 1, "the id '2-3' does not fit"),
    "overlapping ranges": (rows("1-2", 1, "2-3", 2, 3), 3, "the id '2-3' does not fit"),
    "same range twice": (rows("1-2", "1-2", 1, 2), 2, "the id '1-2' does not fit"),
    "range without its words": (rows(1, "2-3", 2) + "\n" + row(1), 3, "ends after 2 words"),
    "range alone": (row("1-2") + "\n", 1, "ends after 0 words"),
    "empty node alone": (row("0.1") + "\n", 1, "ends after 0 words"),
    "empty node elsewhere": (row(1) + "\n" + row("2.1") + "\n" + row(2) + "\n", 2, "the id '2.1' does not fit"),
    "empty word": (row(1) + "\n" + row(2, "") + "\n", 2, "column 2, form, is empty"),
    "empty word in a range": (row("1-2", "") + "\n" + row(1) + "\n" + row(2) + "\n", 1, "column 2, form, is empty"),
    "empty id": (row("") + "\n", 1, "column 1, id, is empty"),
    "empty lemma": (row(1, lemma="x") + "\n" + row(2, lemma="") + "\n", 2, "column 3, lemma, is empty"),
    "empty misc": (row(1, misc="") + "\n", 1, "column 10, misc, is empty"),
    "head too large": (row(1, head="2") + "\n" + row(2, head="3") + "\n", 2, "from 0 to 2, but is '3'"),
    "head below 0": (row(1, head="-1") + "\n", 1, "but is '-1'"),
    "head that is no number": (row(1, head="root") + "\n", 1, "but is 'root'"),
    "head 01": (row(1, head="01") + "\n", 1, "but is '01'"),
    "bad head after a range": (row("1-1", head="9") + "\n" + row(1, head="9") + "\n", 2, "but is '9'"),
    "not UTF-8": (row(1).encode() + b"\n\n" + row(1, "gr\xfcn").encode("latin-1") + b"\n", 3, "byte 0xfc is not UTF-8"),
    "not UTF-8, old line ends": (row(1).encode() + b"\r\r" + b"\xff", 3, "byte 0xff is not UTF-8 text"),
    "cut inside a character": (row(1).encode() + b"\n\xc3", 2, "byte 0xc3 is not UTF-8 text"),
    "surrogate": (b"# a\n\xed\xa0\x80\n", 2, "byte 0xed is not UTF-8"),
    "UTF-16": (SMALL.encode("utf-16"), 1, "is not UTF-8"),
}


@pytest.mark.parametrize(("content", "line", "problem"), BAD.values(), ids=list(BAD))
def test_bad_file_is_refused_with_its_line(tmp_path: Path, content: str | bytes, line: int, problem: str) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(DataFormatError, match=re.escape(problem)) as caught:
        read_conllu(path)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert str(caught.value).endswith(caught.value.remedy)
    assert caught.value.remedy


@pytest.mark.parametrize("content", ["", "\n\n\n", "# a comment\n", "# one\n\n# two\n\n", "\ufeff"])
def test_file_without_sentences_is_refused(tmp_path: Path, content: str) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(DataFormatError, match="there is no sentence in it") as caught:
        read_conllu(path)
    assert (caught.value.path, caught.value.line) == (path, None)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"none\.conllu: cannot be read: No such file.*Check the path"):
        read_conllu(tmp_path / "none.conllu")


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="cannot be read"):
        read_conllu(tmp_path)


def test_error_can_be_caught_as_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="columns") as caught:
        read_conllu(saved(tmp_path, "x"))
    assert isinstance(caught.value, FlairliteError)


# --------------------------------------------------------------------------- mutated files, against a slow plain reader


@dataclass(frozen=True)
class Refused:
    """What the reader must say of a file that it cannot read."""

    line: int | None


def plain_read(content: bytes) -> list[list[list[str]]] | Refused:
    """Return the rows of the words of each sentence, or the line that an error must name."""
    nul = content.find(b"\0")
    try:
        text = (content if nul < 0 else content[:nul]).decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode().replace("\r\n", "\n").replace("\r", "\n")
        return Refused(before.count("\n") + 1)
    if nul >= 0:
        return Refused(text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    sentences: list[list[list[str]]] = []
    block: dict[int, list[str]] = {}
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line == "" and block:
            if (faulty := faulty_line(block)) is not None:
                return Refused(faulty)
            sentences.append([cells for cells in block.values() if cells[0].isdigit()])
            block = {}
        elif line and not line.startswith("#"):
            block[number] = strip_cells(line.split("\t"))
    return sentences or Refused(None)


def strip_cells(cells: list[str]) -> list[str]:
    """Remove blanks around the cells of a whole row; a form of blanks stays, another cell of blanks is unknown."""
    if len(cells) != 10:
        return cells
    stripped = [cell.strip(" \u00a0") or ("_" if cell else "") for cell in cells]
    return [cells[0].strip(" \u00a0"), cells[1].strip(" ") or cells[1], *stripped[2:]]


def faulty_line(block: dict[int, list[str]]) -> int | None:
    """Return the first line that breaks the rules for columns, else for ids, else for heads."""
    for number, cells in block.items():
        if len(cells) != 10 or "" in cells:
            return number
    words = 0
    covered = 0
    for number, cells in block.items():
        if re.fullmatch(r"[1-9][0-9]*", cells[0]):
            words += 1
            fits = cells[0] == str(words)
        elif re.fullmatch(r"[1-9][0-9]*-[1-9][0-9]*", cells[0]):
            first, last = (int(part) for part in cells[0].split("-"))
            fits = covered < first == words + 1 <= last
            covered = last
        else:
            fits = re.fullmatch(r"[0-9]+\.[1-9][0-9]*", cells[0]) is not None and int(cells[0].split(".")[0]) == words
        if not fits:
            return number
    if words == 0 or covered > words:
        return max(block)
    heads = {"_", *map(str, range(words + 1))}
    bad = (number for number, cells in block.items() if cells[0].isdigit() and cells[6] not in heads)
    return next(bad, None)


def assert_read_as_plainly(path: Path) -> None:
    expected = plain_read(path.read_bytes())
    if isinstance(expected, Refused):
        with pytest.raises(DataFormatError) as caught:
            read_conllu(path)
        assert caught.value.line == expected.line
    else:
        sentences = read_conllu(path)
        assert [sentence.words for sentence in sentences] == [[cells[1] for cells in rows] for rows in expected]
        for sentence, rows in zip(sentences, expected, strict=True):
            for place, field in enumerate(FIELDS[3:], start=3):
                values = [None if cells[place] == "_" else cells[place] for cells in rows]
                assert (sentence.token_labels(field) or [None] * len(rows)) == values
            assert all(sentence.text[token.start_position : token.end_position] == token.text for token in sentence)


SOME_BYTES = st.sampled_from([b"\t", b"\n", b"\n\n", b"\r", b"_", b"#", b"-", b".", b"0", b"9", b"\xff", b"\xc3", b" "])
PIECE = st.binary(max_size=3) | SOME_BYTES


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    content = SMALL.encode()
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["bytes", "bytes", "cut", "tab", "cell", "cell", "line"]))
        lines = content.split(b"\n")
        number = draw(st.integers(0, len(lines) - 1))
        cells = lines[number].split(b"\t")
        if kind == "bytes":
            content = content[:place] + draw(PIECE) + content[place + draw(st.integers(0, 3)) :]
        elif kind == "cut":
            content = content[:place]
        elif kind == "tab":
            content = content[:place] + content[place:].replace(b"\t", draw(st.sampled_from([b"", b"\t\t", b"  "])), 1)
        elif kind == "cell":
            new = draw(
                st.sampled_from([[], [b""], [b"1"], [b"2-1"], [b"1-2"], [b"3.1"], [b"_"], [b"99"], [b"x", b"y"]])
            )
            cell = draw(st.integers(0, len(cells) - 1))
            lines[number] = b"\t".join(cells[:cell] + new + cells[cell + 1 :])
            content = b"\n".join(lines)
        else:
            lines[number : number + 1] = draw(st.sampled_from([[], [lines[number]] * 2, [lines[number], b""]]))
            content = b"\n".join(lines)
    return content


@settings(max_examples=400)
@given(content=mutated())
def test_mutated_file_gives_sentences_or_an_error_with_the_right_line(tmp_path: Path, content: bytes) -> None:
    assert_read_as_plainly(saved(tmp_path, content))


@settings(max_examples=100)
@given(content=st.binary() | st.text().map(str.encode))
def test_any_bytes_give_sentences_or_an_error_with_the_right_line(tmp_path: Path, content: bytes) -> None:
    assert_read_as_plainly(saved(tmp_path, content))


def test_the_plain_reader_rejects_the_listed_bad_files() -> None:
    for name, (content, line, _) in BAD.items():
        if "5000" not in name:  # more digits than int() takes
            assert plain_read(content if isinstance(content, bytes) else content.encode()) == Refused(line), name


# --------------------------------------------------------------------------------------------------- written, then read

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r\0"), min_size=1, max_size=8).map(
    lambda cell: cell.strip(" \u00a0") or "x"
)
NAME = st.from_regex(r"[a-z][a-z_ ]{0,8}[a-z]", fullmatch=True).filter(lambda name: not name.startswith("newpar"))


@st.composite
def written(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A sentence as CoNLL-U, and what must be read from it."""
    forms = draw(st.lists(CELL | st.just("_"), min_size=1, max_size=6))
    optional = st.none() | CELL.filter(lambda cell: cell != "_")
    columns = {name: [draw(optional) for _ in forms] for name in ("lemma", "upos", "xpos", "deprel", "deps")}
    columns["head"] = [draw(st.none() | st.integers(0, len(forms)).map(str)) for _ in forms]
    features = st.dictionaries(st.sampled_from(["Case", "Number"]), st.sampled_from(["A", "B"]), max_size=2)
    columns["feats"] = ["|".join(f"{k}={v}" for k, v in sorted(draw(features).items())) or None for _ in forms]
    columns["misc"] = [draw(st.sampled_from([None, "SpaceAfter=No", "X=1", "SpaceAfter=No|X=1"])) for _ in forms]
    comments = st.from_regex(r"[^\s\0]([^\r\n\0]{0,8}[^\s\0])?", fullmatch=True)
    metadata = draw(st.dictionaries(NAME, comments, max_size=3))
    lines = [f"# {name} = {value}" for name, value in metadata.items()]
    spaces = [0 if "SpaceAfter=No" in (misc or "") else 1 for misc in columns["misc"]]
    covered = 0
    for index, form in enumerate(forms):
        if index >= covered and draw(st.booleans()):
            covered = draw(st.integers(index + 1, len(forms)))
            misc = draw(st.sampled_from(["_", "SpaceAfter=No"]))
            lines.append(row(f"{index + 1}-{covered}", "".join(forms[index:covered]), misc=misc))
            spaces[index:covered] = [0] * (covered - index - 1) + [int(misc == "_")]
        cells = {name: "_" if column[index] is None else str(column[index]) for name, column in columns.items()}
        lines.append(row(index + 1, form, **cells))
    columns["lemma"] = [
        "_" if lemma is None and form == "_" else lemma for form, lemma in zip(forms, columns["lemma"], strict=True)
    ]
    text = "".join(form + " " * space for form, space in zip(forms, spaces, strict=True))
    expected = {"forms": forms, "columns": columns, "metadata": metadata, "text": text[: len(text) - spaces[-1]]}
    return "\n".join(lines) + "\n\n", expected


@settings(max_examples=60)
@given(pairs=st.lists(written(), min_size=1, max_size=3), size=st.sampled_from([7, 50, 1 << 22]))
def test_sentences_survive_writing_and_reading_conllu(
    tmp_path: Path, pairs: list[tuple[str, dict[str, Any]]], size: int
) -> None:
    path = saved(tmp_path, "".join(text for text, _ in pairs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_CHUNK", size)
        sentences = read_conllu(path)
    for sentence, (_, expected) in zip(sentences, pairs, strict=True):
        assert sentence.words == expected["forms"]
        assert sentence.text == expected["text"]
        sentence.metadata.pop("multiword_tokens", None)
        assert sentence.metadata == expected["metadata"]
        for field, values in expected["columns"].items():
            for label_type in LABEL_TYPES[field]:
                assert (sentence.token_labels(label_type) or [None] * len(values)) == values


# -------------------------------------------------------------------------------------------------- linear time


def many_sentences(size: int) -> str:
    return (SMALL + "\n") * 4 * size


def one_long_sentence(size: int) -> str:
    return "\n".join(row(number, f"w{number % 99}", upos="NOUN") for number in range(1, 900 * size)) + "\n"


def one_sentence_of_ranges(size: int) -> str:
    return "".join(rows(f"{number}-{number + 1}", number, number + 1) for number in range(1, 200 * size, 2))


class CountedBytes(bytes):
    """Bytes that count how many of them are copied or searched."""

    handled = 0

    def replace(self, *arguments: Any) -> CountedBytes:
        CountedBytes.handled += len(self)
        return CountedBytes(super().replace(*arguments))

    def rfind(self, sub: Any, start: int = 0, *end: Any) -> int:  # type: ignore[override]
        CountedBytes.handled += len(self) - start
        return super().rfind(sub, start, *end)

    def __getitem__(self, item: Any) -> Any:
        found = super().__getitem__(item)
        if not isinstance(item, slice):
            return found
        CountedBytes.handled += len(found)
        return CountedBytes(found)

    def __add__(self, other: Any) -> CountedBytes:
        CountedBytes.handled += len(self) + len(other)
        return CountedBytes(super().__add__(other))

    def __radd__(self, other: Any) -> CountedBytes:
        CountedBytes.handled += len(self) + len(other)
        return CountedBytes(bytes(other) + bytes(self))


class CountedFile(io.BytesIO):
    def read(self, size: int | None = -1) -> CountedBytes:
        return CountedBytes(super().read(size))


@pytest.mark.parametrize("make", [many_sentences, one_long_sentence, one_sentence_of_ranges])
def test_each_byte_is_handled_a_fixed_number_of_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[int], str]
) -> None:
    monkeypatch.setattr(reader, "_CHUNK", 4096)  # a sentence spans many chunks
    path = saved(tmp_path, make(40))
    content = path.read_bytes()
    monkeypatch.setattr(reader, "_open", lambda _: contextlib.nullcontext(CountedFile(content)))
    CountedBytes.handled = 0
    assert len(read_conllu(path)) > 0
    assert CountedBytes.handled <= 6 * len(content)


@pytest.mark.parametrize("make", [many_sentences, one_long_sentence, one_sentence_of_ranges])
def test_number_of_calls_grows_linearly_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[int], str]
) -> None:
    monkeypatch.setattr(reader, "_CHUNK", 4096)
    counts = []
    for size in (5, 40):
        path, calls = saved(tmp_path, make(size)), itertools.count()
        sys.setprofile(lambda *_, calls=calls: next(calls))  # type: ignore[misc]
        try:
            for sentence in read_conllu(path):
                assert sentence.words
        finally:
            sys.setprofile(None)
        counts.append(next(calls))
    assert counts[1] <= 8.5 * counts[0]
