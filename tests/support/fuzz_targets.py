"""What `fuzz.py` gives its inputs to: each takes a path, and counts again by a slow and plain way what was read."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import random
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz import NASTY, Target, mutated
from model_files import make_tagger, records_of, write_archive

from flairlite.data import Dictionary, Sentence
from flairlite.datasets import (
    ClassificationDataset,
    ColumnDataset,
    CSVClassificationDataset,
    JsonlDataset,
    iterate_conllu,
    read_conllu,
)
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import FlairliteError
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
    "I love Berlin .",
    "été 中文 42 😀",
    "Dr. Smith's e-mail: a@b.org, isn't it?",
    "",
    "\n",
    "a\u00a0b\u2028c",
    "#@!" * 9,
]


class Lost(AssertionError):
    """Something that is in a file was not read, and the log says nothing of it."""


def same(found: object, expected: object, said: Sequence[str], what: str) -> None:
    """Compare what was read with what is there, unless the log says that something was left out."""
    if found != expected and not said:
        raise Lost(f"{what}: read {found!r:.300}, but there is {expected!r:.300}")


def text_at(path: Path) -> str:
    """Return the text of a file, with line feeds alone between lines."""
    return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


# --- readers -------------------------------------------------------------------------------------------------------


def run_conllu(path: Path, said: list[str]) -> None:
    sentences = list(read_conllu(path))
    rows = [line.split("\t") for line in text_at(path).split("\n") if line and not line.startswith("#")]
    words = [row for row in rows if re.fullmatch("[0-9]+", row[0].strip(" \u00a0"))]
    same(
        [word for sentence in sentences for word in sentence.words],
        [row[1].strip(" ") or row[1] for row in words],
        said,
        "words",
    )
    for label_type, column in (("upos", 3), ("xpos", 4), ("pos", 4), ("deprel", 7)):
        found = [label.value for sentence in sentences for label in sentence.get_labels(label_type)]
        values = [row[column].strip(" \u00a0") for row in words]
        same(found, [value for value in values if value not in ("_", "")], said, label_type)
    for sentence in sentences:
        str(sentence), sentence.get_labels(), [token.start_position for token in sentence]
    same([str(one) for one in iterate_conllu(path)], [str(one) for one in sentences], said, "one by one")


def run_columns(path: Path, said: list[str]) -> None:
    names = {0: "text", 1: "pos", 2: "tag"}
    data = ColumnDataset(path, names, column_delimiter="\t", span_label_types=())
    sentences = list(data)
    rows = [line.split("\t") for line in text_at(path).split("\n") if line.strip(BLANK)]
    same(
        [word for sentence in sentences for word in sentence.words], [row[0].strip(" ") for row in rows], said, "words"
    )
    for column, name in ((1, "pos"), (2, "tag")):
        found = [label.value for sentence in sentences for label in sentence.get_labels(name)]
        same(found, [row[column].strip() for row in rows if row[column].strip() not in ("_", "")], said, name)
    again = ColumnDataset(path, names, column_delimiter="\t", span_label_types=(), in_memory=False)
    same([str(sentence) for sentence in again], [str(sentence) for sentence in sentences], said, "from the disk")


def run_tags(path: Path, said: list[str]) -> None:
    """Read tags as spans, with the separator found, and comments."""
    data = ColumnDataset(path, {0: "text", -1: "ner"}, comment_symbol="#")
    for sentence in data:
        assert all(0 <= start < stop <= len(sentence) for start, stop, _ in sentence.span_labels("ner"))
        str(sentence)


def run_texts(path: Path, said: list[str]) -> None:
    data = ClassificationDataset(path, "topic", allow_examples_without_labels=True, memory_mode="full")
    lines = [line for line in text_at(path).split("\n") if line.strip(BLANK)]
    same(len(data), len(lines), said, "texts")
    labels = []
    for line in lines:
        words = re.split("[ \t\r\f\v]+", line.strip(BLANK))
        heads = list(itertools.takewhile(lambda word: word.startswith("__label__"), words))
        tails = itertools.takewhile(lambda word: word.startswith("__label__"), reversed(words[len(heads) :]))
        labels += dict.fromkeys(word.removeprefix("__label__").strip() for word in (*heads, *tails))
    found = [label.value for sentence in data for label in sentence.get_labels("topic")]
    same(found, labels, said, "labels")


def run_table(path: Path, said: list[str]) -> None:
    data = CSVClassificationDataset(path, {0: "label_topic", 1: "text", 2: "text"}, "topic", skip_header=True)
    rows = list(filter(None, csv.reader(io.StringIO(text_at(path)), strict=True, skipinitialspace=True)))[1:]
    found = [label.value for sentence in data for label in sentence.get_labels("topic")]
    same(found, [row[0].strip() for row in rows if row[0].strip()], said, "labels")


def run_lines(path: Path, said: list[str]) -> None:
    data = JsonlDataset(path)
    lines = [json.loads(line) for line in text_at(path).split("\n") if line.strip(BLANK)]
    same(len(data), len(lines), said, "texts")
    for sentence, line in zip(data, lines, strict=True):
        assert sentence.text == line[data.text_column_name]
        spans = {json.dumps(span) for span in line[data.label_column_name] or ()}
        same(len(sentence.get_labels("ner")), len(spans), said, "spans")


def run_dictionary(path: Path, said: list[str]) -> None:
    dictionary = Dictionary.load_from_file(path)
    content = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    assert set(content["items"]) <= set(dictionary.get_items())
    assert len(set(dictionary.get_items())) == len(dictionary)
    str(dictionary)


def run_vectors(path: Path, said: list[str]) -> None:
    vectors = WordEmbeddings(path).vectors
    assert len(vectors.words) == len(set(vectors.words)) == len(vectors.matrix)
    assert bool(np.isfinite(vectors.matrix).all())
    rows = vectors.rows(vectors.words)
    assert rows.tolist() == list(range(len(vectors)))
    first = path.read_bytes()
    if (
        not first.startswith(b"\x1f\x8b")
        and not said
        and b"\x00" not in first
        and re.match(rb"\S+( [-+.e\d]+){3}\n", first)
    ):
        same(len(vectors), len([line for line in first.split(b"\n") if line.strip()]), said, "vectors")


def vector_files() -> dict[str, bytes]:
    """Return the same vectors in each form that is read."""
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


# --- model files ---------------------------------------------------------------------------------------------------


def run_model(path: Path, said: list[str]) -> None:
    model = Model.load(path, device="cpu")
    sentences = model.predict([Sentence(text, use_tokenizer=False) for text in PROSE])
    assert [sentence.text for sentence in sentences] == PROSE


class ModelFiles:
    """Makes model files with something wrong inside, where checksums would keep out changes of single bytes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model.pt"
        make_tagger().to("cpu").save(self.path)
        self.bytes = self.path.read_bytes()
        self.records = records_of(self.path)
        self.content = torch.load(self.path, weights_only=True)

    def with_changed_structure(self, chance: random.Random) -> bytes:
        """Change the pickle, or another record, and correct its checksum."""
        name = "archive/data.pkl" if chance.random() < 0.9 else chance.choice(sorted(self.records))
        changed = {**self.records, name: mutated([self.records[name]], chance)}
        return write_archive(self.path, changed).read_bytes()

    def with_changed_values(self, chance: random.Random) -> bytes:
        """Put something else in the place of one to three values."""
        content = self.content
        for _ in range(chance.choice((1, 1, 3))):
            content = _with_other(content, chance)
        torch.save(content, self.path)
        return self.path.read_bytes()


def _with_other(value: Any, chance: random.Random) -> Any:
    """Return a copy of nested containers with another value somewhere in them."""
    if not isinstance(value, (dict, list)) or not value or chance.random() < 0.05:
        return _other(value, chance)
    if isinstance(value, dict):
        name = chance.choice(list(value))
        if chance.random() < 0.1:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: _with_other(value[name], chance)}
    place = chance.randrange(len(value))
    return [*value[:place], _with_other(value[place], chance), *value[place + 1 :]]


def _other(value: Any, chance: random.Random) -> Any:
    if isinstance(value, torch.Tensor) and value.numel() and chance.random() < 0.8:
        flat = value.reshape(-1)
        strange = chance.choice((0, -1, 60_000, math.nan, math.inf))  # which half the precision can hold
        odd = torch.full_like(
            value, strange if value.is_floating_point() else int(chance.choice((0, -1, 99, 255)) % 256)
        )
        return chance.choice((flat, value[:-1], value.double(), value.half(), value.int(), odd, value.unsqueeze(0)))
    numbers = (0, -1, 1, 2, 10**9, 2**70, 0.5, math.nan, math.inf, True)
    return chance.choice(
        (*numbers, None, "", "x", "<unk>", "../x", [], {}, ["A", "A"], [1, 2], {"a": 1}, torch.zeros(2))
    )


# --- sentences as dictionaries -------------------------------------------------------------------------------------


def changed_sentence(chance: random.Random) -> bytes:
    """Change values of what `Sentence.to_dict` returns."""
    sentence = Sentence("I love Berlin , été 😀", use_tokenizer=False)
    sentence.set_token_labels("upos", ["PRON", "VERB", "PROPN", None, "NOUN", "SYM"], [0.5, 1, 1, 1, 1, 1])
    sentence.set_span_labels("ner", [(2, 3, "LOC"), (4, 6, "X")]).add_label("topic", "places")
    content = sentence.to_dict()
    for _ in range(chance.choice((1, 1, 2, 4))):
        content = _with_other(content, chance)
    return json.dumps(content, default=str).encode()


def run_sentence(path: Path, said: list[str]) -> None:
    content = json.loads(path.read_bytes())
    try:
        sentence = Sentence.from_dict(content)
    except FlairliteError as error:
        raise FlairliteError(f"{path}: {error}") from error  # which the dictionary did not come from
    assert sentence.text == content["text"]
    again = Sentence.from_dict(json.loads(json.dumps(sentence.to_dict())))
    assert str(again) == str(sentence)


# --- predictions ---------------------------------------------------------------------------------------------------


def predicting(texts_at_once: int = 1) -> Callable[[Path, list[str]], None]:
    """Return a target that predicts the labels of texts, which lie behind each other in the file."""
    tagger = make_tagger().to("cpu")
    names = set(tagger.label_names)

    def run(path: Path, said: list[str]) -> None:
        texts = path.read_bytes().decode("utf-8", "replace").split("\x00")
        texts += [path.read_bytes().decode("utf-8", "surrogateescape")]  # single surrogates are in it
        sentences = tagger.predict(texts)
        assert [sentence.text for sentence in sentences] == texts
        for sentence in sentences:
            labels = sentence.get_labels("upos")
            assert [label.data_point for label in labels] == list(sentence)
            assert all(label.value in names and 0 <= label.score <= 1.000001 for label in labels)
            assert "".join(sentence.words) == "".join(word for word in _visible(sentence))

    return run


def _visible(sentence: Sentence) -> Iterator[str]:
    """Yield the stretches of the text that tokens say they are."""
    for token in sentence:
        yield sentence.text[token.start_position : token.end_position]


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
        **{f"vectors-{name}": Target([file, file + fixed], run_vectors) for name, file in vectors.items()},
        "sentence": Target([], run_sentence, changed_sentence, share=2),
        "model-bytes": Target([models.bytes], run_model, share=0.5),
        "model-structure": Target([], run_model, models.with_changed_structure, share=1.5),
        "model-values": Target([], run_model, models.with_changed_values, share=1),
        "predict": Target([text.encode() for text in PROSE] + [b"\0".join(NASTY[:20])], predicting(), share=2),
    }
