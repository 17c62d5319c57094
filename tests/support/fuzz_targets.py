"""The readers that `fuzz.py` tests: each takes a path, and checks the result with a slow and simple reader."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import random
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz import UNUSUAL, Target, mutate
from model_files import make_tagger, records_of, write_archive

from flairlite.data import Dictionary, Sentence
from flairlite.datasets import (
    ClassificationDataset,
    ColumnDataset,
    CSVClassificationDataset,
    JsonlDataset,
    iterate_conllu,
    read_conllu,
    read_word_clusters,
    read_word_numbers,
    read_word_tags,
)
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import FlairliteError, LabelError, ModelFileError
from flairlite.models import Model

CONLLU = """# sent_id = 1
# text = Du bist's nicht.
1\tDu\tdu\tPRON\tPPER\tCase=Nom|Person=2\t2\tnsubj\t2:nsubj\t_
2-3\tbist's\t_\t_\t_\t_\t_\t_\t_\t_
2\tbist\tsein\tAUX\tVAFIN\t_\t0\troot\t_\t_
3\t's\tes\tPRON\tPPER\t_\t2\tobj\t_\t_
3.1\tleer\t_\t_\t_\t_\t_\t_\t2:dep\t_
4\tnicht\tnicht\tPART\t_\t_\t2\tadvmod\t_\tSpaceAfter=No
5\t.\t_\tPUNCT\t_\t_\t2\tpunct\t_\t_

1\t_\t_\tSYM\t_\t_\t_\t_\t_\t_

# newpar
1\tEnde\tEnde\tNOUN\tNN\tGender=Neut\t_\t_\t_\t_
"""
COLUMNS = "Franz\tNNP\tB-PER\nKafka\tNNP\tI-PER\nlebte\tVBD\tO\n\nPrag\tNNP\tB-LOC\n,\t,\tO\nBrno\t_\tB-LOC\n\n"
TEXTS = "__label__good I loved it .\n__label__bad __label__long It never ends , does it ?\n\n__label__good été 中文\n"
TABLE = 'topic,title,text\nnews,"A ""big"" day","It rained,\nand then not."\nsport,Goal,One more\n,no label,here\n'
LINES = (
    '{"data": "Franz Kafka in Prague", "label": [[0, 11, "PER"], [15, 21, "LOC"]], "metadata": [["id", 7]]}\n'
    '{"data": "nothing here", "label": []}\n{"data": "in Brno", "label": [[3, 7, "LOC"]]}\n'
)
BLANK = " \t\r\f\v"
WORDS = ["the", "Dog", "été", "中文", "##", "a b".replace(" ", "\u00a0")]
VECTORS = np.random.default_rng(0).standard_normal((len(WORDS), 3)).astype(np.float32)
PROSE = [
    "I love Berlin .", "été 中文 42 😀", "Dr. Smith's e-mail: a@b.org, isn't it?", "", "\n", "a\u00a0b\u2028c",
    "#@!" * 9,
]  # fmt: skip


class Lost(AssertionError):
    """A part of a file was not read, and no warning was logged."""


def check_same(found: object, expected: object, warned: Sequence[str], name: str) -> None:
    """Compare the values that were read with those of the file, unless a warning was logged."""
    if found != expected and not warned:
        raise Lost(f"{name}: read {found!r:.300}, but the file contains {expected!r:.300}")


def text_at(path: Path) -> str:
    """Return the text of a file with all line ends as line feeds."""
    return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


# readers


def run_conllu(path: Path, warned: list[str]) -> None:
    sentences = list(read_conllu(path))
    rows = [line.split("\t") for line in text_at(path).split("\n") if line and not line.startswith("#")]
    words = [row for row in rows if re.fullmatch("[0-9]+", row[0].strip(" \u00a0"))]
    check_same(
        [word for sentence in sentences for word in sentence.words],
        [row[1].strip(" ") or row[1] for row in words],
        warned,
        "words",
    )
    for label_type, column in (("upos", 3), ("xpos", 4), ("pos", 4), ("deprel", 7)):
        found = [label.value for sentence in sentences for label in sentence.get_labels(label_type)]
        values = [row[column].strip(" \u00a0") for row in words]
        check_same(found, [value for value in values if value not in ("_", "")], warned, label_type)
    for sentence in sentences:
        str(sentence), sentence.get_labels(), [token.start_position for token in sentence]
    check_same([str(one) for one in iterate_conllu(path)], [str(one) for one in sentences], warned, "iterated")


def run_columns(path: Path, warned: list[str]) -> None:
    names = {0: "text", 1: "pos", 2: "tag"}
    data = ColumnDataset(path, names, column_delimiter="\t", span_label_types=())
    sentences = list(data)
    rows = [line.split("\t") for line in text_at(path).split("\n") if line.strip(BLANK)]
    check_same(
        [word for sentence in sentences for word in sentence.words],
        [row[0].strip(" ") for row in rows],
        warned,
        "words",
    )
    for column, name in ((1, "pos"), (2, "tag")):
        found = [label.value for sentence in sentences for label in sentence.get_labels(name)]
        check_same(found, [row[column].strip() for row in rows if row[column].strip() not in ("_", "")], warned, name)
    again = ColumnDataset(path, names, column_delimiter="\t", span_label_types=(), in_memory=False)
    check_same(
        [str(sentence) for sentence in again], [str(sentence) for sentence in sentences], warned, "from the disk"
    )


def run_tags(path: Path, warned: list[str]) -> None:
    """Read tags as spans, with the separator found, and comments."""
    data = ColumnDataset(path, {0: "text", -1: "ner"}, comment_symbol="#")
    for sentence in data:
        assert all(0 <= start < stop <= len(sentence) for start, stop, _ in sentence.span_labels("ner"))
        str(sentence)


def run_texts(path: Path, warned: list[str]) -> None:
    data = ClassificationDataset(path, "topic", allow_examples_without_labels=True, memory_mode="full")
    lines = [line for line in text_at(path).split("\n") if line.strip(BLANK)]
    check_same(len(data), len(lines), warned, "texts")
    labels = []
    for line in lines:
        words = re.split("[ \t\r\f\v]+", line.strip(BLANK))
        heads = list(itertools.takewhile(lambda word: word.startswith("__label__"), words))
        tails = itertools.takewhile(lambda word: word.startswith("__label__"), reversed(words[len(heads) :]))
        labels += dict.fromkeys(word.removeprefix("__label__").strip() for word in (*heads, *tails))
    found = [label.value for sentence in data for label in sentence.get_labels("topic")]
    check_same(found, labels, warned, "labels")


def run_table(path: Path, warned: list[str]) -> None:
    data = CSVClassificationDataset(path, {0: "label_topic", 1: "text", 2: "text"}, "topic", skip_header=True)
    rows = list(filter(None, csv.reader(io.StringIO(text_at(path)), strict=True, skipinitialspace=True)))[1:]
    found = [label.value for sentence in data for label in sentence.get_labels("topic")]
    check_same(found, [row[0].strip() for row in rows if row[0].strip()], warned, "labels")


def run_lines(path: Path, warned: list[str]) -> None:
    data = JsonlDataset(path)
    lines = [json.loads(line) for line in text_at(path).split("\n") if line.strip(BLANK)]
    check_same(len(data), len(lines), warned, "texts")
    for sentence, line in zip(data, lines, strict=True):
        assert sentence.text == line[data.text_column_name]
        spans = {json.dumps(span) for span in line[data.label_column_name] or ()}
        check_same(len(sentence.get_labels("ner")), len(spans), warned, "spans")


def run_dictionary(path: Path, warned: list[str]) -> None:
    dictionary = Dictionary.load_from_file(path)
    content = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    assert set(content["items"]) <= set(dictionary.get_items())
    assert len(set(dictionary.get_items())) == len(dictionary)
    str(dictionary)


def run_word_tags(path: Path, warned: list[str]) -> None:
    tags: dict[str, dict[str, None]] = {}
    found = read_word_tags(path)
    for word, *cells in rows_of_table(path):
        tags.setdefault(word, {}).update(dict.fromkeys(" ".join(cells).split()))
    assert {word: list(each) for word, each in found.items()} == {word: list(each) for word, each in tags.items()}


def run_word_numbers(path: Path, warned: list[str]) -> None:
    numbers: dict[str, tuple[float, ...]] = {}
    found = read_word_numbers(path)
    for word, *cells in rows_of_table(path):
        numbers.setdefault(word, tuple(map(float, cells)))
    assert found == numbers
    assert len(numbers) == len(rows_of_table(path)) or warned


def run_word_clusters(path: Path, warned: list[str]) -> None:
    clusters: dict[str, str] = {}
    found = read_word_clusters(path)
    for cluster, word, *_ in rows_of_table(path):
        clusters.setdefault(word, cluster)
    assert found == clusters
    assert len(clusters) == len(rows_of_table(path)) or warned


def rows_of_table(path: Path) -> list[list[str]]:
    raw = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").removeprefix("\ufeff".encode())
    return [line.decode().split("\t") for line in raw.split(b"\n") if line.strip()]


def run_vectors(path: Path, warned: list[str]) -> None:
    vectors = WordEmbeddings(path).vectors
    assert len(vectors.words) == len(set(vectors.words)) == len(vectors.matrix)
    assert bool(np.isfinite(vectors.matrix).all())
    rows = vectors.rows(vectors.words)
    assert rows.tolist() == list(range(len(vectors)))
    first = path.read_bytes()
    if (
        not first.startswith(b"\x1f\x8b")
        and not warned
        and b"\x00" not in first
        and re.match(rb"\S+( [-+.e\d]+){3}\n", first)
    ):
        check_same(len(vectors), len([line for line in first.split(b"\n") if line.strip()]), warned, "vectors")


def vector_files() -> dict[str, bytes]:
    """Return the same vectors in several formats."""
    import gzip

    rows = [f"{word} {' '.join(map(str, row.tolist()))}\n" for word, row in zip(WORDS, VECTORS, strict=True)]
    header = f"{len(WORDS)} 3\n"
    pairs = zip(WORDS, VECTORS, strict=True)
    binary = b"".join(word.encode() + b" " + row.tobytes() + b"\n" for word, row in pairs)
    text = "".join(rows).encode()
    return {
        "glove": text,
        "text": header.encode() + text,
        "binary": header.encode() + binary,
        "gz": gzip.compress(text),
    }


# model files


def run_model(path: Path, warned: list[str]) -> None:
    model = Model.load(path, device="cpu")
    try:
        sentences = model.predict([Sentence(text, use_tokenizer=False) for text in PROSE])
    except LabelError as error:  # a model knows nothing of its file
        raise ModelFileError(f"{path}: {error}") from error
    assert [sentence.text for sentence in sentences] == PROSE


class ModelFiles:
    """Makes model files with wrong content but valid checksums, which would reveal changed bytes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model.pt"
        make_tagger().to("cpu").save(self.path)
        self.bytes = self.path.read_bytes()
        self.records = records_of(self.path)
        self.content = torch.load(self.path, weights_only=True)

    def change_structure(self, rng: random.Random) -> bytes:
        """Change the pickle, or another record, and store it with a valid checksum."""
        name = "archive/data.pkl" if rng.random() < 0.9 else rng.choice(sorted(self.records))
        changed = {**self.records, name: mutate([self.records[name]], rng)}
        return write_archive(self.path, changed).read_bytes()

    def change_values(self, rng: random.Random) -> bytes:
        """Replace one to three values."""
        content = self.content
        for _ in range(rng.choice((1, 1, 3))):
            content = _replace_one(content, rng)
        torch.save(content, self.path)
        return self.path.read_bytes()


def _replace_one(value: Any, rng: random.Random) -> Any:
    """Return a copy of nested containers with one value replaced or removed."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.05:
        return _replacement(value, rng)
    if isinstance(value, dict):
        name = rng.choice(list(value))
        if rng.random() < 0.1:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: _replace_one(value[name], rng)}
    index = rng.randrange(len(value))
    return [*value[:index], _replace_one(value[index], rng), *value[index + 1 :]]


def _replacement(value: Any, rng: random.Random) -> Any:
    if isinstance(value, torch.Tensor) and value.numel() and rng.random() < 0.8:
        flat = value.reshape(-1)
        number = rng.choice((0, -1, 60_000, math.nan, math.inf))  # float16 can hold each
        odd = torch.full_like(value, number if value.is_floating_point() else int(rng.choice((0, -1, 99, 255)) % 256))
        return rng.choice((flat, value[:-1], value.double(), value.half(), value.int(), odd, value.unsqueeze(0)))
    numbers = (0, -1, 1, 2, 10**9, 2**70, 0.5, math.nan, math.inf, True)
    return rng.choice((*numbers, None, "", "x", "<unk>", "../x", [], {}, ["A", "A"], [1, 2], {"a": 1}, torch.zeros(2)))


# sentences as dictionaries


def change_sentence(rng: random.Random) -> bytes:
    """Change values in the result of `Sentence.to_dict`."""
    sentence = Sentence("I love Berlin , été 😀", use_tokenizer=False)
    sentence.set_token_labels("upos", ["PRON", "VERB", "PROPN", None, "NOUN", "SYM"], [0.5, 1, 1, 1, 1, 1])
    sentence.set_span_labels("ner", [(2, 3, "LOC"), (4, 6, "X")]).add_label("topic", "places")
    content = sentence.to_dict()
    for _ in range(rng.choice((1, 1, 2, 4))):
        content = _replace_one(content, rng)
    return json.dumps(content, default=str).encode()


def run_sentence(path: Path, warned: list[str]) -> None:
    content = json.loads(path.read_bytes())
    try:
        sentence = Sentence.from_dict(content)
    except FlairliteError as error:
        raise FlairliteError(f"{path}: {error}") from error  # `from_dict` does not know the path
    assert sentence.text == content["text"]
    again = Sentence.from_dict(json.loads(json.dumps(sentence.to_dict())))
    assert str(again) == str(sentence)


# predictions


def make_predictor() -> Callable[[Path, list[str]], None]:
    """Return a function that predicts the labels of the texts of a file, which NUL separates."""
    tagger = make_tagger().to("cpu")
    names = set(tagger.label_names)

    def run(path: Path, warned: list[str]) -> None:
        texts = path.read_bytes().decode("utf-8", "replace").split("\x00")
        texts += [path.read_bytes().decode("utf-8", "surrogateescape")]  # with lone surrogates
        sentences = tagger.predict(texts)
        assert [sentence.text for sentence in sentences] == texts
        for sentence in sentences:
            labels = sentence.get_labels("upos")
            assert [label.data_point for label in labels] == list(sentence)
            assert all(label.value in names and 0 <= label.score <= 1.000001 for label in labels)
            parts = [sentence.text[token.start_position : token.end_position] for token in sentence]
            assert "".join(sentence.words) == "".join(parts)

    return run


def all_targets(folder: Path | None = None) -> dict[str, Target]:
    """Return all targets by name."""
    if folder is None:
        import tempfile

        folder = Path(tempfile.mkdtemp())
    models, vectors = ModelFiles(folder), vector_files()
    dictionary = {"items": ["<unk>", "A", "é"], "add_unk": True, "multi_label": False, "span_labels": True}
    fixed = struct.pack("<f", 1.0)
    return {
        "conllu": Target([CONLLU.encode(), CONLLU.replace("\n", "\r\n").encode()], run_conllu, share=6),
        "columns": Target([COLUMNS.encode(), COLUMNS.replace("\n", "\r\n").encode()], run_columns, share=4),
        "tags": Target([COLUMNS.encode(), COLUMNS.replace("\t", " ").encode()], run_tags, share=3),
        "texts": Target([TEXTS.encode()], run_texts, share=2),
        "table": Target([TABLE.encode(), TABLE.replace("\n", "\r\n").encode()], run_table, share=2),
        "jsonl": Target([LINES.encode()], run_lines, share=3),
        "dictionary": Target([json.dumps(dictionary, ensure_ascii=False).encode()], run_dictionary, share=2),
        "word-tags": Target(["the\tDET\nrun\tNOUN VERB\nété\tNOUN\nrun\tX\n".encode()], run_word_tags),
        "word-numbers": Target(["the\t-2.5\t3\nrun\t1e-3\t0\nété\t.5\t-1\n".encode()], run_word_numbers),
        "word-clusters": Target(["0110\tthe\t31\n0111\trun\t5\n00\tété\n".encode()], run_word_clusters),
        **{f"vectors-{name}": Target([file, file + fixed], run_vectors) for name, file in vectors.items()},
        "sentence": Target([], run_sentence, change_sentence, share=2),
        "model-bytes": Target([models.bytes], run_model, share=0.5),
        "model-structure": Target([], run_model, models.change_structure, share=1.5),
        "model-values": Target([], run_model, models.change_values, share=1),
        "predict": Target([text.encode() for text in PROSE] + [b"\0".join(UNUSUAL[:20])], make_predictor(), share=2),
    }
