"""CoNLL-U corpora: splits of a folder, sentences on the disk, ranges as words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flairlite.bundled import bundled_path
from flairlite.data import Sentence
from flairlite.data.corpus import SPLITS
from flairlite.datasets import UniversalDependenciesCorpus, UniversalDependenciesDataset, read_conllu
from flairlite.errors import DataFormatError

BLANK = "_"


def row(
    number: str, form: str, *, lemma: str = BLANK, head: str = BLANK, deprel: str = BLANK, misc: str = BLANK
) -> str:
    return "\t".join([number, form, lemma, BLANK, BLANK, BLANK, head, deprel, BLANK, misc]) + "\n"


DONT = (
    "# text = I don't.\n"
    + row("1", "I", lemma="I", head="3", deprel="nsubj")
    + row("2-3", "don't", misc="SpaceAfter=No")
    + row("2", "do", lemma="do", head="3", deprel="aux")
    + row("3", "n't", lemma="not", head="0", deprel="root")
    + row("4", ".", lemma=".", head="3", deprel="punct")
    + "\n"
)


def described(sentence: Sentence) -> tuple[object, ...]:
    return sentence.words, sentence.text, sentence.metadata, [str(label) for label in sentence.get_labels()]


def test_corpus_finds_the_files_of_a_treebank(tmp_path: Path) -> None:
    for split in SPLITS:
        (tmp_path / f"en_x-ud-{split}.conllu").write_bytes(
            (bundled_path("sample_english") / f"{split}.conllu").read_bytes()
        )
        (tmp_path / f"en_x-ud-{split}.txt").write_text("the text alone", encoding="utf-8")
    corpus = UniversalDependenciesCorpus(tmp_path)
    assert str(corpus) == "Corpus: 498 train + 111 dev + 111 test sentences"
    assert corpus.name == str(tmp_path)


def test_sentences_on_disk_equal_those_in_memory() -> None:
    path = bundled_path("sample_english") / "dev.conllu"
    lazy = UniversalDependenciesDataset(path, in_memory=False)
    assert not lazy.is_in_memory()
    assert lazy[0] is not lazy[0]
    assert list(map(described, lazy)) == list(map(described, read_conllu(path)))
    assert described(lazy[-1]) == described(read_conllu(path)[-1])


@given(st.data())
def test_a_changed_file_is_handled_alike_on_disk_and_in_memory(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(("# newdoc\n\n" + DONT * 2).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content)))
        taken = data.draw(st.integers(0, 4))
        content[place : place + taken] = data.draw(st.sampled_from([b"", b"\t", b"\n", b"\r\n", b"#", b"\xff", b"1"]))
    path = tmp_path / "x.conllu"
    path.write_bytes(content)
    read: list[object] = []
    for in_memory in (True, False):
        try:
            read.append(list(map(described, UniversalDependenciesDataset(path, in_memory=in_memory))))
        except DataFormatError:
            read.append("an error")
    assert read[0] == read[1]


@pytest.mark.parametrize("in_memory", [True, False])
def test_ranges_can_be_words(tmp_path: Path, in_memory: bool) -> None:
    path = tmp_path / "x.conllu"
    path.write_text(DONT, encoding="utf-8")
    (split,) = UniversalDependenciesDataset(path, in_memory)
    (whole,) = UniversalDependenciesDataset(path, in_memory, split_multiwords=False)
    assert split.words == ["I", "do", "n't", "."]
    assert whole.words == ["I", "don't", "."]
    assert whole.text == split.text == "I don't."
    assert whole.token_labels("lemma") == ["I", None, "."]
    assert whole.token_labels("head") == ["2", "0", "2"]
    assert whole.token_labels("deprel") == ["nsubj", "root", "punct"]
    assert [token.head_id for token in whole] == [2, 0, 2]


def test_words_of_ranges_are_the_text_of_a_corpus() -> None:
    for split in SPLITS:
        path = bundled_path("sample_english") / f"{split}.conllu"
        for whole, parts in zip(UniversalDependenciesDataset(path, True, False), read_conllu(path), strict=True):
            ranges = parts.metadata.get("multiword_tokens", [])
            assert whole.text == parts.text == parts.metadata["text"]
            assert len(whole) == len(parts) - sum(int(r[0].split("-")[1]) - int(r[0].split("-")[0]) for r in ranges)
            assert all(r[1] in whole.words for r in ranges)


def test_file_without_a_sentence_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.conllu"
    path.write_text("# nothing\n\n", encoding="utf-8")
    for in_memory in (True, False):
        with pytest.raises(DataFormatError, match="there is no sentence in it"):
            UniversalDependenciesDataset(path, in_memory)
