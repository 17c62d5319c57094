"""Prepared corpora name the files of one revision, and load from a mirror or a folder, or say what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flairlite.datasets import (
    CONLL_03,
    GERMEVAL_2018_OFFENSIVE_LANGUAGE,
    NER_TURKU,
    WNUT_17,
    PreparedCorpus,
    prepared,
)
from flairlite.errors import DataUnavailableError, SettingError

CORPORA = {name: value for name, value in vars(prepared).items() if isinstance(value, PreparedCorpus)}
DOWNLOADED = {name: corpus for name, corpus in CORPORA.items() if corpus.repository is not None}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder: Path, files: dict[str, str], encoding: str = "utf-8") -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding=encoding)


@pytest.mark.parametrize("corpus", DOWNLOADED.values(), ids=DOWNLOADED.keys())
def test_each_corpus_has_a_licence_a_commit_and_a_hash_for_each_file(corpus: PreparedCorpus) -> None:
    assert re.fullmatch(r"CC BY(-SA|-ND-NC)? [1-4]\.0", corpus.licence)
    assert re.fullmatch(r"[0-9a-f]{40}", corpus.revision)
    resources = corpus.resources()
    assert len({resource.path for resource in resources}) == len(resources) >= 1
    for resource in resources:
        assert f"/{corpus.repository}/{corpus.revision}/" in resource.url
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|git:[0-9a-f]{40}", resource.known_hash or "")


def test_every_file_of_the_table_belongs_to_a_corpus() -> None:
    assert set(prepared._known_files()) == {corpus.name for corpus in DOWNLOADED.values()}


def test_public_names_are_the_names_of_the_corpora() -> None:
    assert {corpus.name for corpus in CORPORA.values()} == set(prepared.__all__) - {"PreparedCorpus"}


@pytest.mark.mirror
def test_wnut_17_comes_from_the_mirror_with_its_published_sizes(mirror: Path) -> None:
    corpus = WNUT_17()
    assert [len(split or ()) for split in (corpus.train, corpus.dev, corpus.test)] == [3394, 1009, 1287]
    labels = set(corpus.make_label_dictionary("ner").get_items())
    assert labels - {"<unk>"} == {"corporation", "creative-work", "group", "location", "person", "product"}
    assert sum(len(sentence.get_spans("ner")) for sentence in corpus.test or ()) == 1079  # in its publication


def test_an_unavailable_corpus_is_an_error_with_its_address() -> None:
    with pytest.raises(DataUnavailableError, match=r"raw\.githubusercontent\.com/TurkuNLP/turku-ner-corpus/4185"):
        NER_TURKU()


def test_a_folder_that_has_the_files_is_enough(tmp_path: Path) -> None:
    rows = "-DOCSTART-\tO\n\nTaas\tO\nTurkuun\tB-LOC\n\n"
    write(tmp_path / "ner_turku", {"train.tsv": rows, "dev.tsv": rows, "test.tsv": rows})
    corpus = NER_TURKU(tmp_path, in_memory=False)
    assert corpus.train is not None
    assert [(span.text, span.tag) for span in corpus.train[1].get_spans("ner")] == [("Turkuun", "LOC")]
    assert corpus.name == "ner_turku"


def test_a_corpus_that_must_be_bought_names_its_files_and_their_folder(cache: Path) -> None:
    message = (
        rf"{re.escape(str(cache))}.datasets.conll_03 lacks eng.train, eng.testa, eng.testb: get them from https://"
    )
    with pytest.raises(DataUnavailableError, match=message):
        CONLL_03()


def test_a_bought_corpus_is_read_from_the_cache_or_a_given_folder(cache: Path, tmp_path: Path) -> None:
    rows = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n"
    files = {name: rows for name in ("eng.train", "eng.testa", "eng.testb")}
    write(cache / "datasets" / "conll_03", files)
    write(tmp_path / "bought" / "conll_03", files)
    for corpus in (CONLL_03(), CONLL_03(base_path=tmp_path / "bought")):
        assert [len(split or ()) for split in (corpus.train, corpus.dev, corpus.test)] == [2, 2, 2]
        assert corpus.train is not None
        assert [span.tag for span in corpus.train[1].get_spans("ner")] == ["ORG"]
    (cache / "datasets" / "conll_03" / "eng.testa").unlink()
    with pytest.raises(DataUnavailableError, match=r"lacks eng\.testa"):
        CONLL_03()


def test_options_reach_the_reader_and_unknown_ones_are_refused(cache: Path) -> None:
    rows = "EU NNP B-NP B-ORG\n\n"
    write(cache / "datasets" / "conll_03", {name: rows for name in ("eng.train", "eng.testa", "eng.testb")})
    corpus = CONLL_03(label_name_map={"ORG": "organisation"})
    assert corpus.make_label_dictionary("ner").get_items()[1:] == ["organisation"]
    with pytest.raises(SettingError, match="did you mean 'encoding'"):
        CONLL_03(encodings="utf-8")


def test_tweets_have_coarse_or_fine_classes(tmp_path: Path) -> None:
    rows = 'Der sagte "nein\tOFFENSE\tINSULT\nGut\tOTHER\tOTHER\n'
    folder = tmp_path / "germeval_2018_offensive_language"
    write(folder, {"germeval2018.training.txt": rows, "germeval2018.test.txt": rows})
    classes = []
    for fine in (False, True):
        corpus = GERMEVAL_2018_OFFENSIVE_LANGUAGE(tmp_path, fine_grained_classes=fine)
        classes.append([sentence.get_label("class").value for sentence in corpus.train or ()])
    assert classes == [["OFFENSE", "OTHER"], ["INSULT", "OTHER"]]
    with pytest.raises(SettingError, match="fine_grained_classes"):
        GERMEVAL_2018_OFFENSIVE_LANGUAGE(tmp_path, fine_grained_classes="yes")  # type: ignore[arg-type]
