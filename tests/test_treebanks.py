"""Prepared corpora are rows of a table that name one pinned release, and load from a mirror or say what to do."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from flairlite.bundled import bundled
from flairlite.data.corpus import SPLITS
from flairlite.datasets import UD_ENGLISH, iterate_conllu, read_conllu, treebanks
from flairlite.datasets.treebanks import ENGLISH_EWT, Treebank
from flairlite.errors import DataUnavailableError

TREEBANKS = [value for value in vars(treebanks).values() if isinstance(value, Treebank)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Treebank:
    """A treebank whose files, those of the bundled corpus, lie in a mirror."""
    files, lines = {}, []
    (tmp_path / "mirror" / "made_up").mkdir(parents=True)
    for split in SPLITS:
        content = (bundled("sample_english") / f"{split}.conllu").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        (tmp_path / "mirror" / "made_up" / f"x-{split}.conllu").write_bytes(content)
        files[split] = (f"x-{split}.conllu", digest)
        lines.append(f"made_up/x-{split}.conllu sha256:{digest}\n")
    (tmp_path / "mirror" / "registry.txt").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(tmp_path / "mirror"))
    return Treebank(name="Made Up", folder="made_up", url="https://example.org/r1", files=files)


@pytest.mark.parametrize("treebank", TREEBANKS, ids=lambda treebank: treebank.name)
def test_each_row_names_one_release_and_a_hash_for_each_split(treebank: Treebank) -> None:
    release = re.search(r"r\d+\.\d+$", treebank.name)
    assert release, "the name ends with the release"
    assert treebank.url.startswith("https://")
    assert treebank.url.endswith(f"/{release.group()}"), "a tag of a release, not a branch that moves"
    assert treebank.folder.endswith(f"/{release.group()}")
    assert list(treebank.files) == list(SPLITS)
    for split, (file, digest) in treebank.files.items():
        assert file.endswith(f"-{split}.conllu")
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert len({digest for _, digest in treebank.files.values()}) == len(SPLITS)


def test_folders_of_treebanks_differ() -> None:
    assert len({treebank.folder for treebank in TREEBANKS}) == len(TREEBANKS) >= 1


def test_splits_are_loaded_under_their_names(made_up: Treebank, cache: Path) -> None:
    corpus = made_up.load()
    assert corpus.name == "Made Up"
    for split in SPLITS:
        expected = read_conllu(bundled("sample_english") / f"{split}.conllu")
        assert [sentence.words for sentence in getattr(corpus, split)] == [sentence.words for sentence in expected]
        assert made_up.fetch(split) == cache / "made_up" / f"x-{split}.conllu"


@pytest.mark.usefixtures("cache")
def test_second_load_needs_no_mirror(made_up: Treebank, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made_up.load()
    monkeypatch.delenv("FLAIRLITE_MIRROR")
    assert str(made_up.load()) == str(first) == "Corpus: 498 train + 111 dev + 111 test sentences"


@pytest.mark.usefixtures("cache")
def test_changed_file_in_the_mirror_is_refused(made_up: Treebank, tmp_path: Path) -> None:
    with (tmp_path / "mirror" / "made_up" / "x-dev.conllu").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(DataUnavailableError, match=r"x-dev\.conllu could not be had"):
        made_up.load()


def test_treebank_that_cannot_be_had_says_what_to_do(cache: Path) -> None:
    with pytest.raises(DataUnavailableError) as caught:
        UD_ENGLISH()
    message = str(caught.value)
    for part in (
        f"{ENGLISH_EWT.url}/en_ewt-ud-train.conllu",
        str(cache / "ud_english" / "r2.16" / "en_ewt-ud-train.conllu"),
        "FLAIRLITE_MIRROR",
        "FLAIRLITE_CACHE_ROOT",
        "SAMPLE_ENGLISH()",
    ):
        assert part in message
    assert not cache.exists()


@pytest.mark.mirror
@pytest.mark.parametrize("treebank", TREEBANKS, ids=lambda treebank: treebank.name)
def test_hashes_are_those_of_the_mirror(mirror: Path, treebank: Treebank) -> None:
    for file, digest in treebank.files.values():
        assert hashlib.sha256((mirror / treebank.folder / file).read_bytes()).hexdigest() == digest


@pytest.mark.mirror
@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("split", SPLITS)
def test_ewt_comes_from_the_mirror_into_the_cache(cache: Path, split: str) -> None:
    path = ENGLISH_EWT.fetch(split)
    assert path == cache / "ud_english" / "r2.16" / f"en_ewt-ud-{split}.conllu"
    assert next(iterate_conllu(path)).label_types()[:4] == ["lemma", "upos", "xpos", "pos"]
