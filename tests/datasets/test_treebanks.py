"""Prepared corpora are rows of a table that name one pinned release, and load from a mirror or say what to do."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from loopback_server import LoopbackServer

import flairlite
from flairlite.bundled import bundled_path
from flairlite.data.corpus import SPLITS
from flairlite.datasets import UD_CZECH, UD_ENGLISH, UD_KAZAKH, iterate_conllu, read_conllu, treebanks
from flairlite.datasets.treebanks import Treebank
from flairlite.download import Resource
from flairlite.errors import DataUnavailableError

TREEBANKS = {name: value for name, value in vars(treebanks).items() if isinstance(value, Treebank)}


def resources(treebank: Treebank) -> list[Resource]:
    return [resource for split in SPLITS for resource in treebank.resources(split)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path / "cache"))
    return tmp_path / "cache"


def git_id(content: bytes) -> str:
    return "git:" + hashlib.sha1(b"blob " + str(len(content)).encode() + b"\0" + content).hexdigest()


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Treebank:
    """A treebank whose files, those of the bundled corpus, lie in a mirror; two of them are the training split."""
    sample = bundled_path("sample_english")
    contents = {f"x-ud-{split}.conllu": (sample / f"{split}.conllu").read_bytes() for split in ("dev", "test")}
    blocks = (sample / "train.conllu").read_bytes().split(b"\n\n")
    contents["x-ud-train-a.conllu"] = b"\n\n".join(blocks[:100]) + b"\n\n"
    contents["x-ud-train-b.conllu"] = b"\n\n".join(blocks[100:])
    folder = tmp_path / "mirror" / "made_up" / "r1"
    folder.mkdir(parents=True)
    lines = []
    for file, content in contents.items():
        (folder / file).write_bytes(content)
        lines.append(f"made_up/r1/{file} sha256:{hashlib.sha256(content).hexdigest()}\n")
    (tmp_path / "mirror" / "registry.txt").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(tmp_path / "mirror"))
    known = {"made_up/r1": {file: git_id(content) for file, content in contents.items()}}
    monkeypatch.setattr(treebanks, "_known_files", lambda: known)
    return Treebank("MADE_UP", "UD_Made-Up", "r1")


# The table


@pytest.mark.parametrize("treebank", TREEBANKS.values(), ids=TREEBANKS.keys())
def test_each_row_names_one_release_and_a_hash_for_each_file(treebank: Treebank) -> None:
    assert re.fullmatch(r"r\d+\.\d+", treebank.release), "a tag of a release, not a branch that moves"
    assert TREEBANKS[treebank.name] is treebank is getattr(flairlite.datasets, treebank.name)
    address = f"https://raw.githubusercontent.com/UniversalDependencies/{treebank.repository}/{treebank.release}/"
    files = resources(treebank)
    assert treebank.resources("test")
    for resource in files:
        file = resource.path.rpartition("/")[2]
        assert resource.url == address + file
        assert resource.path == f"{treebank.name.lower()}/{treebank.release}/{file}"
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|git:[0-9a-f]{40}", resource.known_hash or "")
    assert len({resource.known_hash for resource in files}) == len(files)


def test_every_file_of_the_table_belongs_to_a_split_of_a_treebank() -> None:
    used = [resource.path for treebank in TREEBANKS.values() for resource in resources(treebank)]
    known = [f"{folder}/{file}" for folder, files in treebanks._known_files().items() for file in files]
    assert sorted(used) == sorted(known)
    assert len(TREEBANKS) == 59


def test_splits_may_be_of_several_files_or_none() -> None:
    assert [len(UD_CZECH.resources(split)) for split in SPLITS] == [7, 1, 1]
    assert [len(UD_KAZAKH.resources(split)) for split in SPLITS] == [1, 0, 1]


# Loading


def test_splits_are_loaded_under_their_names(made_up: Treebank, cache: Path) -> None:
    corpus = made_up()
    assert corpus.name == "UD_Made-Up r1"
    for split in SPLITS:
        expected = read_conllu(bundled_path("sample_english") / f"{split}.conllu")
        assert [sentence.words for sentence in getattr(corpus, split)] == [sentence.words for sentence in expected]
    assert made_up.fetch("dev") == [cache / "made_up" / "r1" / "x-ud-dev.conllu"]


@pytest.mark.usefixtures("cache")
def test_second_load_needs_no_mirror(made_up: Treebank, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made_up()
    monkeypatch.delenv("FLAIRLITE_MIRROR")
    assert str(made_up()) == str(first) == "Corpus: 498 train + 111 dev + 111 test sentences"


@pytest.mark.usefixtures("cache")
def test_sentences_can_stay_on_the_disk(made_up: Treebank) -> None:
    for kept, lazy in zip(made_up().get_all_sentences(), made_up(in_memory=False).get_all_sentences(), strict=True):
        assert str(kept) == str(lazy)
        assert kept.metadata == lazy.metadata


@pytest.mark.usefixtures("cache")
def test_changed_file_in_the_mirror_is_refused(made_up: Treebank, tmp_path: Path) -> None:
    with (tmp_path / "mirror" / "made_up" / "r1" / "x-ud-dev.conllu").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(DataUnavailableError, match=r"x-ud-dev\.conllu is not available"):
        made_up()


def test_folder_that_has_the_files_is_enough(made_up: Treebank, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "mine" / "made_up"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        (folder / f"y-ud-{split}.conllu").write_bytes((bundled_path("sample_english") / f"{split}.conllu").read_bytes())
        (folder / f"y-ud-{split}.txt").write_text("the text alone, as treebanks have it beside", encoding="utf-8")
    corpus = made_up(tmp_path / "mine", sample_missing_splits="only_dev", random_seed=1)
    assert str(corpus) == "Corpus: 448 train + 50 dev + 111 test sentences"
    assert not cache.exists()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("revision", [None, "master"])
def test_files_without_a_pinned_hash_are_checked_by_their_git_id(
    made_up: Treebank,
    tmp_path: Path,
    revision: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("FLAIRLITE_MIRROR")
    monkeypatch.delenv("FLAIRLITE_OFFLINE")
    files = {
        f"UD_Made-Up/{revision or 'r1'}/{path.name}": path.read_bytes()
        for path in (tmp_path / "mirror" / "made_up" / "r1").iterdir()
    }
    dev = f"UD_Made-Up/{revision or 'r1'}/x-ud-dev.conllu"
    with LoopbackServer(files) as server:
        monkeypatch.setattr(treebanks, "_ADDRESS", server.url)
        files[dev] += b"\n"
        if revision is None:
            with pytest.raises(DataUnavailableError, match="wrong file: expected git:"):
                made_up()
            files[dev] = files[dev][:-1]
        corpus = made_up(revision=revision)
    assert str(corpus) == "Corpus: 498 train + 111 dev + 111 test sentences"
    assert corpus.name == f"UD_Made-Up {revision or 'r1'}"
    said = f"has no pinned hash: downloaded as is (sha256:{hashlib.sha256(files[dev]).hexdigest()})"
    assert (said in caplog.text) == (revision is not None)


def test_an_unavailable_treebank_is_an_error_with_the_remedy(cache: Path) -> None:
    with pytest.raises(DataUnavailableError) as caught:
        UD_ENGLISH()
    message = str(caught.value)
    for part in (
        "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/r2.16/en_ewt-ud-train.conllu",
        str(cache / "ud_english" / "r2.16" / "en_ewt-ud-train.conllu"),
        "FLAIRLITE_MIRROR",
        "FLAIRLITE_CACHE_ROOT",
        "SAMPLE_ENGLISH()",
    ):
        assert part in message
    assert not cache.exists()


@pytest.mark.mirror
def test_hashes_equal_those_of_the_mirror(mirror: Path) -> None:
    for resource in resources(UD_ENGLISH):
        assert resource.known_hash == f"sha256:{hashlib.sha256((mirror / resource.path).read_bytes()).hexdigest()}"


@pytest.mark.mirror
@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("split", SPLITS)
def test_ewt_comes_from_the_mirror_into_the_cache(cache: Path, split: str) -> None:
    (path,) = UD_ENGLISH.fetch(split)
    assert path == cache / "ud_english" / "r2.16" / f"en_ewt-ud-{split}.conllu"
    assert next(iterate_conllu(path)).label_types()[:4] == ["lemma", "upos", "xpos", "pos"]
