"""Prepared corpora name the files of one revision, and load from a mirror or a folder, or say what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flairlite.datasets import (
    CONLL_03,
    CONLL_2000,
    GERMEVAL_2018_OFFENSIVE_LANGUAGE,
    KEYPHRASE_INSPEC,
    MASAKHA_POS,
    NER_ENGLISH_STACKOVERFLOW,
    NER_GERMAN_GERMEVAL,
    NER_ICDAR_EUROPEANA,
    NER_MASAKHANE,
    NER_TURKU,
    WNUT_17,
    PreparedCorpus,
    prepared,
    prepared_languages,
)
from flairlite.errors import DataUnavailableError, SettingError

CORPORA = {name: value for name, value in vars(prepared).items() if isinstance(value, PreparedCorpus)}
WHOLES = {
    corpus.name: corpus for corpus in vars(prepared_languages).values() if isinstance(corpus, PreparedCorpus)
}  # corpora with a part for each language
PARTS = {part.name: part for whole in WHOLES.values() for part in prepared_languages._parts(whole).values()}
DOWNLOADED = {name: corpus for name, corpus in CORPORA.items() if corpus.repository is not None} | PARTS


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
    assert re.fullmatch(r"CC BY(-SA|-NC|-ND-NC)? [1-4]\.0|CC0 1\.0|MIT", corpus.licence)
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
    assert WHOLES.keys() == set(prepared_languages.__all__)


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


def test_each_language_has_all_splits_and_its_own_folder() -> None:
    assert len(PARTS) == 2 + 10 + 20 + 20
    splits = {name: set(prepared._known_files()[name]) for name in PARTS}
    assert [name for name, found in splits.items() if found != {"train", "dev", "test"}] == []
    paths = [resource.path for part in PARTS.values() for resource in part.resources()]
    assert len(set(paths)) == len(paths) == 3 * len(PARTS)


def test_languages_are_loaded_as_one_corpus(tmp_path: Path) -> None:
    for language, word in (("hau", "Kano"), ("yor", "Ibadan")):
        rows = f"# O\n{word} B-LOC\n\n"
        write(
            tmp_path / "ner_masakhane" / "v2" / language, {f"{split}.txt": rows for split in ("train", "dev", "test")}
        )
    corpus = NER_MASAKHANE(["hausa", "yor", "hau"], base_path=tmp_path)  # Flair's name and the code of a language
    found = [
        (sentence.get_label("multitask_id").value, sentence.text, [span.text for span in sentence.get_spans("ner")])
        for sentence in corpus.train or ()
    ]
    assert found == [("hau", "# Kano", ["Kano"]), ("yor", "# Ibadan", ["Ibadan"])]
    assert len(NER_MASAKHANE("yoruba", base_path=tmp_path).test or ()) == 1
    with pytest.raises(DataUnavailableError, match=r"ner_masakhane.v1.amh lacks train\.txt"):
        NER_MASAKHANE("all", "v1", tmp_path)


def test_unknown_languages_and_versions_are_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"one or several of bam, .* zul, or 'all', for NER_MASAKHANE v2.*'amh'"):
        NER_MASAKHANE(["hau", "amh"])
    with pytest.raises(SettingError, match="version"):
        MASAKHA_POS("bam", "v2")
    for wrong in ([], 5, None):
        with pytest.raises(SettingError, match="languages must be"):
            MASAKHA_POS(wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="language"):
        NER_ICDAR_EUROPEANA("de")


def test_old_newspapers_are_read_from_the_folder_of_their_language(tmp_path: Path) -> None:
    rows = "Ten\tO\nLonden\tB-LOC\n\n"
    write(tmp_path / "ner_icdar_europeana" / "nl", {f"{split}.txt": rows for split in ("train", "dev", "test")})
    corpus = NER_ICDAR_EUROPEANA("nl", tmp_path)
    assert [span.tag for sentence in corpus.dev or () for span in sentence.get_spans("ner")] == ["LOC"]


def test_key_phrases_are_spans(tmp_path: Path) -> None:
    rows = "Knowledge\tB-KEY\nmanagement\tI-KEY\nThe\tO\n\n"
    write(tmp_path / "keyphrase_inspec", {name: rows for name in ("train.txt", "valid.txt", "test.txt")})
    corpus = KEYPHRASE_INSPEC(tmp_path)
    assert [span.text for span in (corpus.dev or [])[0].get_spans("keyword")] == ["Knowledge management"]


def test_questions_of_programmers_lack_the_lines_that_describe_a_post(tmp_path: Path) -> None:
    rows = (
        "Question_ID\tO\tQuestion_ID\tO\n:\tO\t:\tO\n12\tO\t12\tO\n\t\n"
        "Use\tO\tUse\tO\nArrayList\tB-Library_Class\tArrayList\tB-Code\nor\tO\tor\tO\n3\tB-Value\t3\tO\n\t\n"
    )
    write(tmp_path / "ner_english_stackoverflow", {f"{split}.txt": rows for split in ("train", "dev", "test")})
    (sentence,) = NER_ENGLISH_STACKOVERFLOW(tmp_path).train or ()
    assert sentence.text == "Use ArrayList or 3"
    assert [(span.text, span.tag) for span in sentence.get_spans("ner")] == [("ArrayList", "Class")]


def test_corpora_without_a_repository_are_read_from_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "conll_2000", {name: "He PRP B-NP\nran VBD B-VP\n\n" for name in ("train.txt", "test.txt")})
    corpus = CONLL_2000(tmp_path)
    assert [span.tag for sentence in corpus.test or () for span in sentence.get_spans("np")] == ["NP", "VP"]
    rows = "#\thttp://de.wikipedia.org [2009-10-17]\n1\tIn\tO\tO\n2\tBerlin\tB-LOC\tO\n\n"
    write(tmp_path / "ner_german_germeval", {f"{split}.tsv": rows for split in ("train", "dev", "test")})
    (german,) = NER_GERMAN_GERMEVAL(tmp_path).dev or ()
    assert [span.text for span in german.get_spans("ner")] == ["Berlin"]


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
