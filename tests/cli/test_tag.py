"""`flairlite tag`: formats, order and bytes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
from command_line import HAS_TYPER, ROOT, fail, invoke, needs_typer
from hypothesis import given
from hypothesis import strategies as st

from flairlite.data import Sentence
from flairlite.datasets import ColumnCorpus, JsonlCorpus, read_conllu
from flairlite.deploy import load
from flairlite.models import Model
from flairlite.splitter import SegtokSentenceSplitter

if HAS_TYPER:
    from flairlite.cli import inputs
    from flairlite.cli.parsers import ConlluParser, Item, LineParser, Parser, TextParser

pytestmark = needs_typer

TEXT = "Ada Lovelace lived in\nLondon. She met Dr. Babbage.\n\nIt rained in Cork"
SENTENCES = ["Ada Lovelace lived in London.", "She met Dr. Babbage.", "It rained in Cork"]
CONLLU = (
    "# newdoc\n# text = Ab c\n1-2\tAb\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n1\tA\ta\tX\tXX\tf=g\t0\troot\t_\tq=r|s=t\n"
    "2\tb\tb\tX\t_\t_\t1\tdep\t_\t_\n2.1\te\t_\tX\t_\t_\t_\t_\t1:dep\tner=kept\n"
    "3\tc\tc\tX\t_\t_\t1\tdep\t_\tner=old\n\n\n# end"
)


@pytest.fixture(scope="module")
def loaded(models: dict[str, Path]) -> dict[str, Model]:
    return {name: Model.load(path) for name, path in models.items()}


def tags_of(model: Model, sentence: Sentence) -> list[str]:
    """Return the tags that the library predicts, with those of spans in BIO."""
    predicted = model.predict(Sentence(list(sentence.words)))
    if model.label_type == "upos":
        return [token.get_label("upos").value for token in predicted]
    tags = ["O"] * len(predicted)
    for span in predicted.get_spans("ner"):
        for token in span.tokens:
            tags[token.idx - 1] = ("B-" if token is span.tokens[0] else "I-") + span.tag
    return tags


class TestFormats:
    def test_words_are_labelled_as_by_the_library(self, models: dict[str, Path], loaded: dict[str, Model]) -> None:
        outcome = invoke("tag", models["words"], "-o", "tsv", stdin=TEXT)
        blocks = [block.split("\n") for block in outcome.out.removesuffix("\n\n").split("\n\n")]
        expected = [
            [f"{token.text}\t{token.get_label('upos').value}" for token in loaded["words"].predict(Sentence(text))]
            for text in SENTENCES
        ]
        assert (outcome.code, blocks) == (0, expected)

    def test_each_input_gives_the_same_words(self, models: dict[str, Path]) -> None:
        words = [[token.text for token in Sentence(text)] for text in SENTENCES]
        forms = {
            "text": TEXT,
            "lines": "\n\n".join(SENTENCES),
            "words": "\r\n".join(map(" ".join, words)) + "\r\n",
            "jsonl": "".join(json.dumps({"text": text}) + "\n" for text in SENTENCES),
            "conllu": "\n".join(
                "".join(f"{n}\t{word}" + "\t_" * 8 + "\n" for n, word in enumerate(row, 1)) for row in words
            ),
        }
        outputs = {
            name: invoke("tag", models["spans"], "-i", name, "-o", "tsv", stdin=text) for name, text in forms.items()
        }
        assert {outcome.code for outcome in outputs.values()} == {0}
        assert {outcome.out for outcome in outputs.values()} == {outputs["text"].out}
        assert [line.split("\t")[0] for line in outputs["text"].out.split("\n") if line] == [*chain(*words)]

    def test_given_words_are_not_split_again(self, models: dict[str, Path]) -> None:
        model = Model.load(models["words"])
        model.tokenizer = Sentence("x").tokenizer
        path = models["words"].with_name("with-tokenizer.pt")
        model.save(path)
        outcome = invoke("tag", path, "-i", "words", "-o", "tsv", stdin="e.g. don't\n")
        assert [line.split("\t")[0] for line in outcome.out.split("\n") if line] == ["e.g.", "don't"]

    @pytest.mark.parametrize("name", ["words", "spans"])
    def test_tsv_is_a_column_file(
        self, name: str, models: dict[str, Path], loaded: dict[str, Model], tmp_path: Path
    ) -> None:
        assert invoke("tag", models[name], "-o", "tsv", "--out", tmp_path / "train.txt", stdin=TEXT).code == 0
        corpus = ColumnCorpus(tmp_path, {0: "text", 1: "tag"}, column_delimiter="\t", span_label_types=[])
        for sentence in corpus.train or ():
            assert [token.get_label("tag").value for token in sentence] == tags_of(loaded[name], sentence)

    def test_json_lines_are_a_corpus_of_spans(
        self, models: dict[str, Path], loaded: dict[str, Model], tmp_path: Path
    ) -> None:
        assert invoke("tag", models["spans"], "-o", "jsonl", "--out", tmp_path / "train.jsonl", stdin=TEXT).code == 0
        sentences = list(JsonlCorpus(tmp_path).train or ())
        assert [sentence.text.replace("\n", " ") for sentence in sentences] == SENTENCES
        found = [[(span.text, span.tag) for span in sentence.get_spans("ner")] for sentence in sentences]
        expected = [loaded["spans"].predict(Sentence(sentence.text)).get_spans("ner") for sentence in sentences]
        assert found == [[(span.text, span.tag) for span in spans] for spans in expected]

    def test_json_lines_keep_their_other_keys(self, models: dict[str, Path], loaded: dict[str, Model]) -> None:
        lines = '{"id": 7, "text": "Ada \\ud800 é"}\n\n{"words": ["in", "Cork"], "labels": 1}\n'
        outcome = invoke("tag", models["texts"], "--input", "jsonl", stdin=lines)
        first, second = map(json.loads, outcome.out.splitlines())
        assert (first["id"], first["text"], second["words"]) == (7, "Ada \ud800 é", ["in", "Cork"])
        label = loaded["texts"].predict(Sentence(["in", "Cork"])).get_label("quality")
        assert second["labels"] == [{"label": label.value, "score": pytest.approx(label.score, abs=1e-5)}]

    def test_scores_and_positions_are_those_of_the_library(
        self, models: dict[str, Path], loaded: dict[str, Model]
    ) -> None:
        outcome = invoke("tag", models["words"], "-i", "lines", "-o", "jsonl", stdin="It rained, twice.\n")
        tokens = loaded["words"].predict(Sentence("It rained, twice."))
        assert json.loads(outcome.out)["tokens"] == [
            {
                "text": token.text,
                "start": token.start_position,
                "end": token.end_position,
                "label": token.get_label("upos").value,
                "score": pytest.approx(token.get_label("upos").score, abs=1e-5),
            }
            for token in tokens
        ]

    def test_text_shows_the_labels_of_words_spans_and_texts(
        self, models: dict[str, Path], loaded: dict[str, Model]
    ) -> None:
        outputs = {
            name: invoke("tag", models[name], "-i", "lines", stdin="It rained in Cork.\n").out for name in models
        }
        words = loaded["words"].predict(Sentence("It rained in Cork."))
        assert outputs["words"] == " ".join(f"{token.text}/{token.get_label('upos').value}" for token in words) + "\n"
        text = Sentence("It rained in Cork.")
        marked = text.text
        for span in reversed(loaded["spans"].predict(text).get_spans("ner")):
            start, end = span.start_position, span.end_position
            marked = f"{marked[:start]}[{span.tag} {span.text}]{marked[end:]}"
        assert outputs["spans"] == marked + "\n"
        label = loaded["texts"].predict(Sentence("It rained in Cork.")).get_label("quality").value
        assert outputs["texts"] == f"{label}\tIt rained in Cork.\n"

    def test_the_format_follows_the_name_of_the_file(self, models: dict[str, Path], tmp_path: Path) -> None:
        (tmp_path / "a.conllu").write_text(CONLLU, encoding="utf-8")
        (tmp_path / "b.jsonl").write_text('{"text": "in Cork"}', encoding="utf-8")
        (tmp_path / "c.txt").write_text("One line.\nAnother line", encoding="utf-8")
        assert invoke("tag", models["words"], tmp_path / "a.conllu").out.startswith("# newdoc\n")
        assert "tokens" in json.loads(invoke("tag", models["words"], tmp_path / "b.jsonl").out)
        assert invoke("tag", models["texts"], tmp_path / "c.txt").out.count("\n") == 2  # a text in each line

    @pytest.mark.parametrize(
        ("name", "other"), [("a.conllu", "A.CONLLU"), ("a.jsonl", "A.JSONL"), ("a.jsonl", "a.ndjson")]
    )
    def test_endings_may_be_in_upper_case(self, name: str, other: str, models: dict[str, Path], tmp_path: Path) -> None:
        for file in (name, other):
            content = CONLLU if name.endswith("conllu") else '{"text": "in Cork"}'
            (tmp_path / file).write_text(content, encoding="utf-8")
        expected = invoke("tag", models["words"], tmp_path / name)
        assert (expected.code, invoke("tag", models["words"], tmp_path / other)) == (0, expected)

    @pytest.mark.parametrize("ending", [".json", ".conll", ".CONLL", ".iob", ".xml"])
    def test_files_of_other_formats_are_not_read_as_text(
        self, ending: str, models: dict[str, Path], tmp_path: Path
    ) -> None:
        path = tmp_path / f"a{ending}"
        path.write_text("in Cork", encoding="utf-8")
        assert "name their format with --input" in fail("tag", models["words"], path)
        assert invoke("tag", models["words"], path, "-i", "lines").code == 0

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.csv", 'text,label\n"It rained, in Cork.",good\n"She said ""no"".\nTwice.",bad\n,bad\n\n'),
            ("a.CSV", '\ufeffid,Text\r\n1,"It rained, in Cork."\r\n2,"She said ""no"".\r\nTwice."\r\n'),
            ("a.csv", '"It rained, in Cork.",good\n"She said ""no"".\nTwice.",bad\n'),
            ("a.tsv", 'label\ttext\ngood\tIt rained, in Cork.\nbad\t"She said ""no"".\nTwice."\n'),
            ("a.tsv", 'It rained, in Cork.\tgood\n"She said ""no"".\nTwice."\n'),
        ],
    )
    def test_the_texts_of_a_table_are_tagged_and_nothing_else(
        self, name: str, content: str, models: dict[str, Path], tmp_path: Path
    ) -> None:
        path = tmp_path / name
        path.write_bytes(content.encode())
        texts = ["It rained, in Cork.", 'She said "no".\nTwice.']
        for kind in ("words", "texts"):
            lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
            expected = invoke("tag", models[kind], "-i", "jsonl", "-o", "tsv", stdin=lines)
            assert invoke("tag", models[kind], path, "-o", "tsv") == expected
            assert invoke("tag", models[kind], "-i", name[-3:].lower(), "-o", "tsv", stdin=content) == expected

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('text\nfine\n"not closed\nat all\n', "line 3: the row that begins here is not valid CSV"),
            ("id,text\n1\n", "line 2: the row has 1 columns, and the texts are in column 2"),
            ("text\n", "there is no sentence in it"),
        ],
    )
    def test_damaged_tables_are_an_error(
        self, content: str, message: str, models: dict[str, Path], tmp_path: Path
    ) -> None:
        path = tmp_path / "a.csv"
        path.write_text(content, encoding="utf-8")
        assert message in fail("tag", models["texts"], path, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_what_is_read_is_not_replaced(self, models: dict[str, Path], tmp_path: Path) -> None:
        path, link, model = tmp_path / "a.txt", tmp_path / "link", tmp_path / "model.pt"
        path.write_text("in Cork", encoding="utf-8")
        link.symlink_to(path)
        model.write_bytes(models["words"].read_bytes())
        for out in (path, link, model):
            assert "is the file to read too" in fail("tag", model, path, "--out", out)
        for command in ("export", "convert"):
            assert "is the file to read too" in fail(command, model, model)
        assert path.read_text(encoding="utf-8") == "in Cork"
        assert model.read_bytes() == models["words"].read_bytes()
        for _ in range(2):  # a file that is there already
            assert invoke("tag", model, path, "--out", tmp_path / "out").code == 0

    def test_files_are_read_in_order_and_a_hyphen_is_standard_input(
        self, models: dict[str, Path], tmp_path: Path
    ) -> None:
        (tmp_path / "a").write_text("one\n", encoding="utf-8")
        (tmp_path / "b").write_text("three", encoding="utf-8")
        outcome = invoke("tag", models["texts"], tmp_path / "a", "-", tmp_path / "b", stdin="two\n")
        assert [line.split("\t")[1] for line in outcome.out.splitlines()] == ["one", "two", "three"]

    def test_words_that_a_format_cannot_hold_are_an_error(self, models: dict[str, Path]) -> None:
        line = '{"words": ["a\\tb"]}'
        for name in ("tsv", "conllu"):
            message = fail("tag", models["words"], "-i", "jsonl", "-o", name, stdin=line)
            assert "cannot hold the word 'a\\tb': use --output jsonl" in message


class TestConllu:
    def test_only_the_predicted_column_changes(self, models: dict[str, Path], loaded: dict[str, Model]) -> None:
        outcome = invoke("tag", models["words"], "-i", "conllu", stdin=CONLLU)
        tags = iter(tags_of(loaded["words"], Sentence(["A", "b", "c"])))
        rows = [row.split("\t") for row in CONLLU.split("\n")]
        for row in rows:
            if row[0].isdigit():
                row[3] = next(tags)
        assert outcome.raw == "\n".join(map("\t".join, rows)).encode()

    def test_labels_without_a_column_are_in_misc_or_in_a_comment(
        self, models: dict[str, Path], loaded: dict[str, Model]
    ) -> None:
        outcome = invoke("tag", models["spans"], "-i", "conllu", stdin=CONLLU)
        misc = [row.split("\t")[9] for row in outcome.out.split("\n") if row[:1].isdigit()]
        tags = tags_of(loaded["spans"], Sentence(["A", "b", "c"]))
        expected = [
            "|".join([*before, *([f"ner={tag}"] if tag != "O" else [])]) or "_"
            for before, tag in zip((["q=r", "s=t"], [], []), tags, strict=True)
        ]
        assert misc == ["SpaceAfter=No", expected[0], expected[1], "ner=kept", expected[2]]
        text = CONLLU.replace("# newdoc", "# quality = none")
        label = loaded["texts"].predict(Sentence(["A", "b", "c"])).get_label("quality").value
        lines = invoke("tag", models["texts"], "-i", "conllu", stdin=text).out.split("\n")
        assert lines[:2] == ["# text = Ab c", f"# quality = {label}"]
        assert "\n".join(lines).replace(f"# quality = {label}\n", "") == text.replace("# quality = none\n", "")

    def test_text_becomes_conllu_that_can_be_read(self, models: dict[str, Path], tmp_path: Path) -> None:
        assert invoke("tag", models["words"], "-o", "conllu", "--out", tmp_path / "x.conllu", stdin=TEXT).code == 0
        sentences = read_conllu(tmp_path / "x.conllu")
        assert [sentence.text for sentence in sentences] == SENTENCES
        assert [sentence.metadata["text"] for sentence in sentences] == SENTENCES
        assert all(token.get_label("upos").value for sentence in sentences for token in sentence)

    def test_an_empty_line_separates_files(self, models: dict[str, Path], tmp_path: Path) -> None:
        row = "1\tA" + "\t_" * 8
        for name, text in (("a", row), ("b", row + "\n"), ("c", row + "\n\n")):
            (tmp_path / f"{name}.conllu").write_text(text, encoding="utf-8")
        outcome = invoke("tag", models["words"], *(tmp_path / f"{name}.conllu" for name in "abc"))
        assert [len(line) > 0 for line in outcome.out.split("\n")] == [True, False, True, False, True, False, False]

    @pytest.mark.mirror
    def test_the_test_file_of_ewt_is_kept(self, models: dict[str, Path], mirror: Path, tmp_path: Path) -> None:
        path = mirror / "ud_english" / "r2.16" / "en_ewt-ud-test.conllu"
        assert invoke("tag", models["words"], path, "--out", tmp_path / "out.conllu").code == 0
        before, after = (
            [line.split(b"\t") for line in file.read_bytes().split(b"\n")] for file in (path, tmp_path / "out.conllu")
        )
        predicted = [row.pop(3) for row in after if len(row) == 10 and row[0].isdigit()]
        assert len(predicted) == 25094
        assert set(predicted) <= {b"NOUN", b"VERB", b"DET", b"PUNCT"}
        for row in before:
            if len(row) == 10 and row[0].isdigit():
                row.pop(3)
        assert after == before


class TestSeveralLabelTypes:
    """Formats of sentences with labels of words and of spans."""

    @pytest.fixture
    def formatted(self) -> Callable[[str], str]:
        from flairlite.cli import writers

        sentence = Sentence(["Ada", "Lovelace", "sings"])
        sentence.set_token_labels("upos", ["PROPN", "PROPN", "VERB"], [0.5, 0.25, 1.0])
        sentence.get_span(0, 2).add_label("ner", "PER", 0.5)
        layers = [writers.Layer("upos", "word", ["PROPN", "VERB"]), writers.Layer("ner", "span", ["PER"])]
        return lambda name: getattr(writers, name)(layers).format(Item(sentence)).decode()

    def test_columns_follow_each_other(self, formatted: Callable[[str], str]) -> None:
        assert formatted("TsvWriter") == "Ada\tPROPN\tB-PER\nLovelace\tPROPN\tI-PER\nsings\tVERB\tO\n\n"
        assert formatted("TextWriter") == "Ada/PROPN/B-PER Lovelace/PROPN/I-PER sings/VERB/O\n"

    def test_conllu_has_all(self, formatted: Callable[[str], str]) -> None:
        rows = [line.split("\t") for line in formatted("ConlluWriter").split("\n") if line[:1].isdigit()]
        assert [(row[3], row[9]) for row in rows] == [("PROPN", "ner=B-PER"), ("PROPN", "ner=I-PER"), ("VERB", "_")]

    def test_json_names_the_types(self, formatted: Callable[[str], str]) -> None:
        found = json.loads(formatted("JsonWriter"))
        assert [(token["label"], token["score"]) for token in found["upos"]] == [
            ("PROPN", 0.5),
            ("PROPN", 0.25),
            ("VERB", 1),
        ]
        assert found["ner"] == [{"text": "Ada Lovelace", "start": 0, "end": 12, "label": "PER", "score": 0.5}]


CELL = st.text("ab é中_|=.-#'\u00a0", min_size=1, max_size=4).filter(lambda cell: cell.strip(" \u00a0"))
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def conllu_files(draw: Callable[[Any], Any]) -> str:
    """Draw a valid CoNLL-U file: sentences with ranges, empty nodes and comments, and any line ends."""
    end = draw(ENDS)
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        lines += draw(st.lists(st.sampled_from(["# x", "#", "# text = a b", "# 1\t2"]), max_size=2))
        size, index = draw(st.integers(1, 4)), 1
        while index <= size:
            rest = "\t_\t_\t_\t_\t_\t_"
            if draw(st.booleans()) and index < size:
                lines.append(f"{index}-{index + 1}\t{draw(CELL)}\t_\t_{rest}")
                lines.append(f"{index}\t{draw(CELL)}\t{draw(CELL)}\t{draw(CELL)}{rest}")
                index += 1
            lines.append(f"{index}\t{draw(CELL)}\t{draw(CELL)}\t{draw(CELL)}\t{draw(CELL)}\t_\t0\t_\t_\t{draw(CELL)}")
            if draw(st.booleans()):
                lines.append(f"{index}.1\t{draw(CELL)}\t_\t{draw(CELL)}{rest}")
            index += 1
        lines += [""] * draw(st.integers(1, 3))
    text = draw(st.sampled_from(["", "\ufeff"])) + end.join(lines) + end
    return text.rstrip("\r\n") if draw(st.booleans()) else text


def parse(parser: Parser, pieces: list[bytes]) -> list[Item]:
    items = [item for piece in pieces for item in parser.feed(piece)]
    return items + list(parser.finish())


def cut(data: bytes, positions: list[int]) -> list[bytes]:
    """Cut bytes at positions modulo their number."""
    bounds = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(bounds) if start < end]


class TestAnyInput:
    @given(text=conllu_files(), positions=st.lists(st.integers(0, 10_000), max_size=5))
    def test_conllu_is_kept_byte_for_byte(
        self, text: str, positions: list[int], loaded: dict[str, Model], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Model, "load", lambda path, device=None: loaded["words"])  # each example would load it
        data = text.encode()
        outcome = invoke("tag", "words.pt", "-i", "conllu", stdin=data)
        assert outcome.code == 0, outcome.err

        def without_upos(content: bytes) -> list[bytes]:
            rows = [row.split(b"\t") for row in content.splitlines(keepends=True)]
            for row in rows:
                if row[0].removeprefix(b"\xef\xbb\xbf").isdigit():
                    row[3] = b"?"
            return [b"\t".join(row) for row in rows]

        assert without_upos(outcome.raw) == without_upos(data)
        items = parse(ConlluParser(Path("x"), ["upos"]), cut(data, positions))
        assert b"".join(line for item in items for line in item.raw) == data

    @given(
        text=st.text("aB. \n!?\u2028'()-", max_size=60) | st.just("Hi. \n\n") | st.just(TEXT),
        positions=st.lists(st.integers(0, 200), max_size=6),
    )
    def test_text_in_pieces_is_split_as_a_whole(self, text: str, positions: list[int]) -> None:
        items = parse(TextParser(Path("x")), cut(text.encode(), positions))
        assert [item.sentence.text for item in items if item.sentence] == [
            sentence.text for sentence in SegtokSentenceSplitter().split(text)
        ]

    def test_text_without_the_end_of_a_sentence_is_cut_at_the_end_of_a_line(self) -> None:
        items = parse(TextParser(Path("x")), [b"in Berlin\n" * 400] * 10)
        texts = [item.sentence.text for item in items if item.sentence]
        assert all(len(text) <= 8192 + len("in Berlin\n") for text in texts)
        assert len(texts) > 3
        assert " ".join(texts).split() == ["in", "Berlin"] * 4000

    def test_a_sentence_is_ready_when_the_next_one_begins(self) -> None:
        parser = TextParser(Path("x"))
        found = [
            [item.sentence and item.sentence.text for item in parser.feed(piece)] for piece in (b"I do. He", b"re\n")
        ]
        assert found == [[], ["I do."]]
        assert [item.sentence.text for item in parser.finish() if item.sentence] == ["Here"]

    @given(text=st.text("ab \r\n\ufeff", max_size=30), positions=st.lists(st.integers(0, 60), max_size=6))
    def test_lines_end_with_either_end(self, text: str, positions: list[int]) -> None:
        items = parse(LineParser(Path("x")), cut(text.encode(), positions))
        lines = io.StringIO(text.removeprefix("\ufeff"), newline=None).read().split("\n")
        assert [item.sentence.text for item in items if item.sentence] == [
            line.strip() for line in lines if line.strip()
        ]


class TestErrors:
    @pytest.mark.parametrize(
        ("form", "data", "expected"),
        [
            ("conllu", b"1\ta\n\n", "standard input, line 1: a row must have 10 columns"),
            ("conllu", b"# x\n\n\n1" + b"\t_" * 9 + b"\n3" + b"\t_" * 9, "standard input, line 5: the id '3' does not"),
            ("lines", b"good\n\xff\n", "standard input, line 2: byte 0xff is not UTF-8 text"),
            ("text", b"good\n\na\0b\n", "standard input, line 3: byte 0x00 is not UTF-8 text"),
            ("jsonl", b'{"text": "a"}\n{"text": \n', "standard input, line 2: this is not JSON:"),
            ("jsonl", b'\n{"txt": "a"}\n', "standard input, line 2: an object with a text or words is expected"),
            ("jsonl", b"[1]", "standard input, line 1: an object with a text or words is expected; it has [1]"),
        ],
        ids=["columns", "id", "encoding", "nul", "json", "key", "list"],
    )  # fmt: skip
    def test_errors_name_the_line(self, form: str, data: bytes, expected: str, models: dict[str, Path]) -> None:
        assert fail("tag", models["words"], "-i", form, stdin=data).startswith(f"flairlite: {expected}")

    def test_sentences_before_an_error_are_written(self, models: dict[str, Path]) -> None:
        outcome = invoke("tag", models["texts"], stdin=b"one\ntwo\n\xff\n")
        assert (outcome.code, outcome.out.count("\n")) == (2, 2)

    def test_a_file_is_written_as_a_whole_or_not_at_all(self, models: dict[str, Path], tmp_path: Path) -> None:
        out = tmp_path / "out.txt"
        out.write_text("old", encoding="utf-8")
        fail("tag", models["texts"], "--out", out, stdin=b"one\ntwo\n\xff\n")
        assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
        assert out.read_text(encoding="utf-8") == "old"

    def test_arguments_that_are_something_else(self, models: dict[str, Path], tmp_path: Path) -> None:
        empty, text = tmp_path / "empty.txt", tmp_path / "text.txt"
        empty.write_bytes(b"\n\n")
        text.write_text("Hi.", encoding="utf-8")
        model = models["words"]
        assert "there is no sentence in it" in fail("tag", model, empty)
        assert "this is a model, not data. The model comes first" in fail("tag", model, model)
        assert "is not a model file of flairlite" in fail("tag", text, text)
        assert "this is a folder, not a file" in fail("tag", model, tmp_path)
        assert "is a folder, not a model file" in fail("tag", tmp_path, text)
        assert "cannot be read: No such file" in fail("tag", model, tmp_path / "missing")
        assert "no model file at" in fail("tag", tmp_path / "missing", text)
        assert "it is a folder" in fail("tag", model, text, "--out", tmp_path)
        assert "is not a device" in fail("tag", model, text, "--device", "abacus")

    def test_standard_input_may_be_empty(self, models: dict[str, Path]) -> None:
        outcome = invoke("tag", models["words"], stdin=b"")
        assert (outcome.code, outcome.raw, outcome.err) == (0, b"", "")

    def test_a_line_without_end_is_an_error(self, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flairlite.cli.parsers._MAX_LINE", 100)
        monkeypatch.setattr(inputs, "_PIECE", 64)
        assert "line 1: the line has more than 100 bytes" in fail("tag", models["words"], stdin=b"a" * 1000)


def test_memory_does_not_grow_with_the_stream(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences are predicted and written in chunks, however many are ready."""
    sizes: list[int] = []
    usual = Model.predict_stream

    def predict_stream(self: Model, sentences: Any, *arguments: Any) -> Any:
        sizes.append(len(sentences))
        return usual(self, sentences, *arguments)

    monkeypatch.setattr(inputs, "_PIECE", 1024)
    monkeypatch.setattr(inputs, "_CHUNK", 50)
    monkeypatch.setattr(inputs, "_CHUNK_BYTES", 4096)
    monkeypatch.setattr(inputs.Source, "is_ready", lambda self: True)
    monkeypatch.setattr(Model, "predict_stream", predict_stream)
    outcome = invoke("tag", models["texts"], stdin=b"a line of text\n" * 1000)
    assert outcome.out.count("\n") == sum(sizes) == 1000
    assert len(sizes) >= 8
    assert max(sizes) < 50 + 1024 // 15 + 1
    sizes.clear()
    invoke("tag", models["texts"], stdin=(b"a long line " * 80 + b"\n") * 60)  # 960 bytes each
    assert sum(sizes) == 60
    assert max(sizes) <= 5


@pytest.fixture(scope="module")
def exported(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The models as `flairlite export` writes them."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    folder = tmp_path_factory.mktemp("exported")
    paths = {name: folder / f"{name}.onnx" for name in models}
    for name, path in paths.items():
        outcome = invoke("export", models[name], path)
        assert (outcome.code, outcome.out) == (0, f"{path}\n")
    return paths


class TestExportedModels:
    @pytest.mark.parametrize("kind", ["words", "spans", "texts"])
    def test_output_is_that_of_the_model(self, kind: str, models: dict[str, Path], exported: dict[str, Path]) -> None:
        for options in (["-o", "tsv"], ["-o", "conllu"], ["-i", "lines", "-o", "text", "--batch-size", "2"]):
            if kind == "texts" and options[1] != "text":
                options = ["-o", "text"]
            expected, found = (invoke("tag", paths[kind], *options, stdin=TEXT) for paths in (models, exported))
            assert (found.code, found.raw) == (0, expected.raw)
            assert found.raw

    def test_all_label_types_of_a_model_are_written(self) -> None:
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
        path = Path(__file__).parents[1] / "data" / "exports" / "format-2-types.onnx"
        words = ["The", "dog", "lives", "in", "London", "."]
        sentence = load(path).predict(Sentence(words))
        (span,) = sentence.get_spans("ner")
        tags = ["O"] * len(words)
        tags[span[0].idx - 1 : span[-1].idx] = ["B-PER", *["I-PER"] * (len(span) - 1)]
        outcome = invoke("tag", path, "-o", "tsv", stdin=b"The dog lives in London.\n")
        rows = [line.split("\t")[:3] for line in outcome.out.strip().splitlines()]
        assert rows == [list(row) for row in zip(words, sentence.token_labels("pos") or (), tags, strict=True)]

    def test_torch_is_not_imported(self, exported: dict[str, Path]) -> None:
        script = f"""
import sys
sys.modules["torch"] = None  # importing it is an error
from flairlite.cli import main
sys.argv[1:] = ["tag", {str(exported["spans"])!r}, "-o", "tsv"]
main()
"""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.run(
            [sys.executable, "-c", script], env=environment, input=TEXT, capture_output=True, text=True
        )
        assert (process.returncode, process.stderr) == (0, "")
        assert process.stdout == invoke("tag", exported["spans"], "-o", "tsv", stdin=TEXT).out

    def test_wrong_use_is_one_line(self, models: dict[str, Path], exported: dict[str, Path], tmp_path: Path) -> None:
        path = exported["words"]
        assert "predicts on the CPU: leave out --device cuda" in fail("tag", path, "--device", "cuda")
        gold = tmp_path / "gold.conllu"
        gold.write_text(CONLLU, encoding="utf-8")
        for command in (["evaluate", path, gold], ["info", path], ["export", path, tmp_path / "new.onnx"]):
            message = "is not a model file of flairlite: it is an exported model, which only predicts: load it with"
            assert message in fail(*command)
            assert "damaged" not in fail(*command)
        damaged = tmp_path / "damaged.onnx"
        damaged.write_bytes(path.read_bytes()[:-10])
        assert f"{damaged} is damaged: it is cut" in fail("tag", damaged)
        assert "exported" not in fail("tag", tmp_path / "missing.onnx")
        assert sorted(tmp_path.iterdir()) == [damaged, gold]
