"""Converted vectors are mapped from the cache, converted again when the file changes, and never incomplete."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import Word2Vec
from vector_files import MATRIX, WORDS, as_text, assert_same, keyed

from flairlite.embeddings import vector_formats
from flairlite.embeddings.vector_cache import load_vectors
from flairlite.embeddings.vector_formats import VectorFile, read_vector_file
from flairlite.embeddings.vectors import WordVectors
from flairlite.lookup import packing
from flairlite.lookup.packing import PackedWords
from flairlite.runtime import set_cache_root

pytestmark = pytest.mark.usefixtures("cache")


def test_a_second_load_maps_the_cache_without_gensim(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "flairlite"):
        load_vectors(source)
        assert caplog.text.count("converting the word vectors") == 1
        monkeypatch.setitem(sys.modules, "gensim.models", None)
        monkeypatch.setattr(vector_formats, "read_vector_file", None)
        vectors = load_vectors(source)
    assert caplog.text.count("converting the word vectors") == 1
    assert isinstance(vectors.matrix, np.memmap)
    assert_same(vectors, WORDS, MATRIX)
    torch.from_numpy(vectors.matrix)  # warns, and so fails here, if the array cannot be written


def test_writing_to_a_table_does_not_change_the_cache(source: Path) -> None:
    load_vectors(source).matrix[:] = 0
    assert_same(load_vectors(source), WORDS, MATRIX)


def test_words_of_a_cached_table_are_not_hashed_again(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_vectors(source)
    hashed: list[int] = []
    hashes = PackedWords.hashes
    monkeypatch.setattr(packing, "_FEW", 0)  # otherwise few words are hashed one by one
    monkeypatch.setattr(PackedWords, "hashes", lambda self: hashed.append(len(self)) or hashes(self))
    assert load_vectors(source).rows(["THE", "25TH"]).tolist() == [0, 3]
    assert max(hashed) == 2


def test_a_changed_file_is_converted_again(source: Path) -> None:
    load_vectors(source)
    source.write_bytes(as_text(WORDS, -MATRIX))
    assert_same(load_vectors(source), WORDS, -MATRIX)


def test_a_changed_file_of_equal_size_and_modification_time_is_converted_again(source: Path) -> None:
    """As after `cp -p` or `rsync -t` of another file."""
    os.utime(source, ns=(1, 1))
    load_vectors(source)
    size, changed = source.stat().st_size, source.stat().st_ctime_ns
    while source.stat().st_ctime_ns == changed:  # the clock of the file system may be coarse
        source.write_bytes(as_text(WORDS, MATRIX[::-1]))
        os.utime(source, ns=(1, 1))
    assert source.stat().st_size == size
    assert_same(load_vectors(source), WORDS, MATRIX[::-1])


def test_a_changed_second_file_of_gensim_is_converted_again(tmp_path: Path) -> None:
    path = tmp_path / "kv"
    keyed(WORDS, MATRIX).save(str(path), separately=["vectors"])
    load_vectors(path)
    np.save(f"{path}.vectors.npy", -MATRIX)
    os.utime(f"{path}.vectors.npy", ns=(1, 1))
    assert_same(load_vectors(path), WORDS, -MATRIX)


FILES = ["matrix.npy", "text.npy", "offsets.npy", "hashes.npy", "order.npy", "manifest.json"]


@pytest.mark.parametrize("damage", ["cut", "longer", "gone", "scribbled"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_entry_is_replaced(
    source: Path, cache: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    load_vectors(source)
    (entry,) = cache.iterdir()
    file, content = entry / name, (entry / name).read_bytes()
    file.unlink()
    if damage != "gone":
        file.write_bytes({"cut": content[:-1], "longer": content + b"}", "scribbled": b"\0" * 8 + content[8:]}[damage])
    assert_same(load_vectors(source), WORDS, MATRIX)
    assert caplog.text.count("are damaged") == 1
    assert sorted(path.name for path in entry.iterdir()) == sorted(FILES)
    assert_same(load_vectors(source), WORDS, MATRIX)
    assert caplog.text.count("are damaged") == 1


@pytest.mark.parametrize("manifest", ["[]", "{}", "null", '{"version": 1, "bytes": []}', "other version"])
def test_an_entry_of_another_format_is_replaced(source: Path, cache: Path, manifest: str) -> None:
    load_vectors(source)
    (entry,) = cache.iterdir()
    if manifest == "other version":
        manifest = json.dumps(json.loads((entry / "manifest.json").read_text()) | {"version": 99})
    (entry / "manifest.json").write_text(manifest)
    assert_same(load_vectors(source), WORDS, MATRIX)
    assert isinstance(load_vectors(source).matrix, np.memmap)


def test_vectors_stay_in_memory_without_a_writable_cache(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    set_cache_root(tmp_path / "file")
    vectors = load_vectors(source)
    assert_same(vectors, WORDS, MATRIX)
    assert not isinstance(vectors.matrix, np.memmap)
    assert "stay in memory" in caplog.text


def test_a_full_disk_leaves_no_entry(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(file: Any, array: np.ndarray) -> None:
        file.write(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert_same(load_vectors(source), WORDS, MATRIX)
    assert "No space left" in caplog.text
    assert list(cache.iterdir()) == []


def test_an_entry_is_synced_before_it_is_renamed(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append("fsync") or fsync(descriptor))
    monkeypatch.setattr(Path, "replace", lambda self, target: events.append("replace") or replace(self, target))
    load_vectors(source)
    assert events == ["fsync"] * len(FILES) + ["replace"]


def test_simultaneous_loads_succeed_and_leave_one_entry(source: Path, cache: Path) -> None:
    results: list[WordVectors] = []
    threads = [threading.Thread(target=lambda: results.append(load_vectors(source))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for vectors in results:
        assert_same(vectors, WORDS, MATRIX)
    assert [path.name.startswith("some.txt-") for path in cache.iterdir()] == [True]


def test_files_of_equal_name_have_different_entries(tmp_path: Path) -> None:
    for folder, step in [("one", 1), ("two", -1)]:  # files of equal size
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "v.txt").write_bytes(as_text(WORDS, MATRIX[::step]))
        os.utime(tmp_path / folder / "v.txt", ns=(1, 1))
    assert_same(load_vectors(tmp_path / "one" / "v.txt"), WORDS, MATRIX)
    assert_same(load_vectors(tmp_path / "two" / "v.txt"), WORDS, MATRIX[::-1])


def test_a_very_long_file_name_still_has_an_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / ("🙂" * 60)
    path.write_bytes(as_text(WORDS, MATRIX))
    assert isinstance(load_vectors(path).matrix, np.memmap)


def test_a_changed_second_file_of_a_whole_model_is_converted_again(tmp_path: Path) -> None:
    path = tmp_path / "model"
    model = Word2Vec([WORDS], vector_size=5, min_count=1, workers=1)
    model.save(str(path), sep_limit=0)
    load_vectors(path)
    (part,) = tmp_path.glob("model.wv.vectors.npy")
    np.save(part, -model.wv.vectors)
    assert_same(load_vectors(path), model.wv.index_to_key, -model.wv.vectors)


def test_simultaneous_loads_convert_once(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []

    def read(path: Path) -> VectorFile:
        reads.append(path)
        return read_vector_file(path)

    monkeypatch.setattr(vector_formats, "read_vector_file", read)
    threads = [threading.Thread(target=load_vectors, args=(source,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reads == [source]
