"""Model files: self-contained, safe to load, whole or not there, and never taken for what they are not."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import WORDS, make_tagger, predictions, refusal

import flairlite
from flairlite.data import Corpus, Dictionary
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import FileWriteError, FlairliteError, ModelFileError
from flairlite.models import Model, SequenceTagger, serialization
from flairlite.runtime import set_cache_root
from flairlite.storage.atomic import atomic_write, make_folder
from flairlite.storage.model_file import FORMAT_VERSION


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    make_tagger().save(path)
    return path


class TestRoundTrip:
    def test_a_loaded_model_equals_the_saved_one(self, tmp_path: Path) -> None:
        tagger = make_tagger(dropout=0.1, word_dropout=0.2, locked_dropout=0.3, rnn_type="GRU", rnn_layers=2)
        tagger.save(tmp_path / "model.pt")
        loaded = SequenceTagger.load(tmp_path / "model.pt", device="cpu")
        assert type(loaded) is SequenceTagger
        assert not loaded.training
        assert loaded.settings() == tagger.settings()
        assert str(loaded) == str(tagger)  # every module with its sizes and rates
        assert loaded.label_type == loaded.tag_type == "upos"
        assert loaded.label_names == ("NOUN", "VERB", "ADJ")
        assert loaded.tag_dictionary == tagger.tag_dictionary
        mine, theirs = tagger.state_dict(), loaded.state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name].cpu(), theirs[name]) for name in mine)
        assert isinstance(loaded.embeddings, WordEmbeddings)
        assert loaded.embeddings.vectors.words == WORDS
        assert loaded.embeddings.name == tagger.embeddings.name

    def test_the_path_may_be_a_string(self, model_file: Path) -> None:
        make_tagger().save(str(model_file))
        assert predictions(SequenceTagger.load(str(model_file))) == predictions(make_tagger())

    def test_a_loaded_model_can_be_saved_again(self, model_file: Path) -> None:
        SequenceTagger.load(model_file).save(model_file)
        again = SequenceTagger.load(model_file)
        assert again.settings() == make_tagger().settings()
        assert predictions(again) == predictions(make_tagger())

    def test_it_predicts_the_same_in_a_fresh_process_without_cache_or_network(
        self, sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path
    ) -> None:
        tagger = SequenceTagger(mini_vectors, sample.make_label_dictionary("upos"), "upos", hidden_size=8, seed=1)
        tagger.to("cpu").save(tmp_path / "model.pt")
        texts = [sentence.text for sentence in (sample.test or ())[:5]]
        script = (
            "import json, sys; from flairlite.models import SequenceTagger\n"
            "tagger = SequenceTagger.load(sys.argv[1])\n"
            "sentences = tagger.predict(json.loads(sys.argv[2]))\n"
            "print(json.dumps([[(x.value, x.score) for x in s.get_labels('upos')] for s in sentences]))"
        )
        environment = {
            **os.environ,
            "FLAIRLITE_CACHE_ROOT": str(tmp_path / "no cache"),
            "FLAIRLITE_OFFLINE": "1",
            "FLAIRLITE_DEVICE": "cpu",
            "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1]),
            "PYTHONWARNINGS": "error",
            "HOME": str(tmp_path),
        }
        arguments = [sys.executable, "-c", script, str(tmp_path / "model.pt"), json.dumps(texts)]
        done = subprocess.run(arguments, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt"]
        for text, row in zip(texts, json.loads(done.stdout), strict=True):
            labels = tagger.predict(text).get_labels("upos")
            assert [value for value, _ in row] == [label.value for label in labels]
            assert [score for _, score in row] == pytest.approx([label.score for label in labels], rel=1e-5)

    def test_torch_loads_it_without_running_code(self, model_file: Path) -> None:
        content = torch.load(model_file, weights_only=True)
        assert content["format_version"] == FORMAT_VERSION == 2
        assert content["format"] == "flairlite model"
        assert content["flairlite_version"]

        def assert_plain(value: Any) -> None:
            if isinstance(value, dict):
                assert all(type(key) is str for key in value)
                value = list(value.values())
            if isinstance(value, (list, tuple)):
                for item in value:
                    assert_plain(item)
            else:
                assert value is None or type(value) in (str, int, float, bool, torch.Tensor)

        assert_plain(content)

    def test_the_model_is_loaded_onto_the_requested_device(self, model_file: Path, device: torch.device) -> None:
        loaded = SequenceTagger.load(model_file, device=device)
        assert {weight.device.type for weight in loaded.parameters()} == {device.type}
        assert [[value for value, _ in row] for row in predictions(loaded)] == [
            [value for value, _ in row] for row in predictions(make_tagger().to("cpu"))
        ]

    def test_loading_does_not_use_the_global_generator(self, model_file: Path) -> None:
        before = torch.get_rng_state()
        SequenceTagger.load(model_file)
        assert torch.equal(torch.get_rng_state(), before)


class TestWithoutVectors:
    """A file may leave to the cache what the cache has."""

    @pytest.fixture
    def stored(self, sample: Corpus, mini_vectors: WordEmbeddings) -> SequenceTagger:
        """A tagger with word vectors that lie in the cache."""
        return SequenceTagger(mini_vectors, sample.make_label_dictionary("upos"), "upos", hidden_size=4, seed=0)

    def test_the_file_is_small_and_loads_where_the_cache_has_the_vectors(
        self, stored: SequenceTagger, tmp_path: Path
    ) -> None:
        stored.save(tmp_path / "whole.pt")
        stored.save(tmp_path / "small.pt", whole=False)
        assert (tmp_path / "small.pt").stat().st_size < 0.05 * (tmp_path / "whole.pt").stat().st_size
        assert predictions(SequenceTagger.load(tmp_path / "small.pt")) == predictions(stored)

    def test_without_the_cache_the_missing_vectors_are_named(self, stored: SequenceTagger, tmp_path: Path) -> None:
        stored.save(tmp_path / "small.pt", whole=False)
        set_cache_root(tmp_path / "another machine")
        message = refusal(tmp_path / "small.pt")
        assert "vectors" in message
        assert "another machine" in message

    def test_a_file_cannot_refer_to_paths_outside_the_cache(
        self, stored: SequenceTagger, session_cache: Path, tmp_path: Path
    ) -> None:
        stored.save(tmp_path / "small.pt", whole=False)
        content = torch.load(tmp_path / "small.pt", weights_only=True)
        entry = content["embeddings"]["entry"]
        shutil.copytree(session_cache / "vectors" / entry, tmp_path / "elsewhere")
        for name in (str(tmp_path / "elsewhere"), os.path.relpath(tmp_path / "elsewhere", session_cache / "vectors")):
            rewritten(tmp_path / "small.pt", embeddings={**content["embeddings"], "entry": name})
            assert "elsewhere" in refusal(tmp_path / "small.pt")

    def test_the_small_model_can_be_saved_whole(self, stored: SequenceTagger, tmp_path: Path) -> None:
        stored.save(tmp_path / "model.pt", whole=False)
        SequenceTagger.load(tmp_path / "model.pt").save(tmp_path / "model.pt")
        set_cache_root(tmp_path / "another machine")
        assert predictions(SequenceTagger.load(tmp_path / "model.pt")) == predictions(stored)

    @pytest.mark.parametrize("fine_tune", [False, True])
    def test_vectors_that_are_not_cached_are_always_saved(self, fine_tune: bool, tmp_path: Path) -> None:
        tagger = make_tagger()
        assert isinstance(tagger.embeddings, WordEmbeddings)
        tagger.embeddings = WordEmbeddings(tagger.embeddings.vectors, fine_tune=fine_tune)
        tagger.save(tmp_path / "model.pt", whole=False)
        assert predictions(SequenceTagger.load(tmp_path / "model.pt")) == predictions(tagger)

    def test_trained_vectors_are_always_saved(self, sample: Corpus, tmp_path: Path) -> None:
        embeddings = WordEmbeddings("glove-mini", fine_tune=True)
        assert embeddings.weight is not None
        with torch.no_grad():
            embeddings.weight.mul_(2)
        tagger = SequenceTagger(embeddings, sample.make_label_dictionary("upos"), "upos", hidden_size=4, seed=0)
        tagger.save(tmp_path / "model.pt", whole=False)
        assert predictions(SequenceTagger.load(tmp_path / "model.pt")) == predictions(tagger)


def rewritten(path: Path, **changes: Any) -> Path:
    """Save a model file with other content under some keys; None takes a key away."""
    content = {**torch.load(path, weights_only=True), **changes}
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


class Command:
    """A pickle that runs a command when it is loaded without care."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch '{self.target}'",)


class TestDamage:
    def test_a_truncated_file_is_refused_at_any_length(self, model_file: Path) -> None:
        content = model_file.read_bytes()
        lengths = {*range(0, len(content), 97), *range(100), *range(len(content) - 100, len(content))}
        for length in sorted(lengths):
            model_file.write_bytes(content[:length])
            assert "Copy it again" in refusal(model_file)

    @given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    @settings(max_examples=100)
    def test_a_changed_byte_is_refused_or_changes_nothing(self, position: float, bit: int, tmp_path: Path) -> None:
        path = tmp_path / "changed.pt"
        make_tagger().save(path)
        content = bytearray(path.read_bytes())
        content[int(position * len(content))] ^= 1 << bit
        path.write_bytes(content)
        try:
            loaded = SequenceTagger.load(path)
        except ModelFileError as error:
            assert str(path) in str(error)  # noqa: PT017 - either outcome is right
            return
        assert predictions(loaded) == predictions(make_tagger())
        assert loaded.settings() == make_tagger().settings()

    def test_changed_weights_are_refused(self, model_file: Path) -> None:
        """Torch itself does not look at the checksums that it has written."""
        content = model_file.read_bytes()
        weights = make_tagger().state_dict()["linear.weight"].cpu().numpy().tobytes()
        position = content.index(weights)
        model_file.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        assert torch.load(model_file, weights_only=True)["format_version"] == FORMAT_VERSION
        assert "checksum" in refusal(model_file)

    def test_an_empty_file(self, model_file: Path) -> None:
        model_file.write_bytes(b"")
        assert "Copy it again" in refusal(model_file)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert "training or model.save wrote" in refusal(tmp_path / "nowhere" / "model.pt")

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "training or model.save wrote" in refusal(tmp_path)

    @pytest.mark.parametrize("form", ["pickle", "torch", "old torch"])
    def test_a_command_in_a_pickle_is_not_run(self, form: str, tmp_path: Path) -> None:
        path, target = tmp_path / "model.pt", tmp_path / "was here"
        content = {"format": "flairlite model", "format_version": 1, "class": Command(target)}
        if form == "pickle":
            path.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, path, _use_new_zipfile_serialization=form == "torch")
        assert "train again" in refusal(path)
        assert not target.exists()
        if form == "pickle":  # loaded without care it does run
            pickle.loads(path.read_bytes())
            assert target.exists()

    @pytest.mark.parametrize(
        "content", [{"state_dict": {}, "embeddings": 1}, [1, 2], 3, {}, {"format": "other"}, torch.zeros(3)]
    )
    def test_a_file_of_another_program(self, content: Any, tmp_path: Path) -> None:
        torch.save(content, tmp_path / "model.pt")
        assert "not a model file of flairlite" in refusal(tmp_path / "model.pt")

    def test_a_text(self, tmp_path: Path) -> None:
        (tmp_path / "model.pt").write_text("1\tThe\tthe\tDET\n")
        assert "not a model file of flairlite" in refusal(tmp_path / "model.pt")

    def test_a_file_of_format_1_is_read(self, model_file: Path) -> None:
        content = torch.load(model_file, weights_only=True)
        old = {key: value for key, value in content["embeddings"].items() if key != "compact"}
        assert set(old["vectors"]) == {"words", "offsets", "matrix"}
        loaded = SequenceTagger.load(rewritten(model_file, format_version=1, embeddings=old))
        assert predictions(loaded) == predictions(make_tagger())

    def test_a_newer_format_asks_for_a_newer_flairlite(self, model_file: Path) -> None:
        message = refusal(rewritten(model_file, format_version=FORMAT_VERSION + 1, flairlite_version="9.8.7"))
        assert f"has format {FORMAT_VERSION + 1}" in message
        assert "install flairlite 9.8.7 or newer" in message

    @pytest.mark.parametrize("version", [None, "1", [1]])
    def test_a_format_version_that_is_not_an_integer(self, version: Any, model_file: Path) -> None:
        assert "damaged" in refusal(rewritten(model_file, format_version=version))

    @pytest.mark.parametrize(
        "changes",
        [
            {"settings": None},
            {"state": None},
            {"embeddings": None},
            {"state": {}},
            {"state": {"linear.weight": torch.zeros(1)}},
            {"embeddings": {"class": "WordEmbeddings"}},
        ],
        ids=str,
    )
    def test_missing_content(self, changes: dict[str, Any], model_file: Path) -> None:
        assert "damaged" in refusal(rewritten(model_file, **changes))

    @pytest.mark.parametrize(
        "changes",
        [
            {"class": None},
            {"class": ["SequenceTagger"]},
            {"settings": 3},
            {"settings": {**make_tagger().settings(), "tag_items": []}},
            {"settings": {**make_tagger().settings(), "hidden_size": 0}},
            {"embeddings": {"class": "FlyingEmbeddings"}},
            {"embeddings": {}},
        ],
        ids=str,
    )
    def test_invalid_content(self, changes: dict[str, Any], model_file: Path) -> None:
        refusal(rewritten(model_file, **changes))


class TestClasses:
    @pytest.fixture(autouse=True)
    def _forget_classes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serialization, "MODEL_CLASSES", dict(serialization.MODEL_CLASSES))

    def test_a_file_of_another_class_is_refused_with_its_name(self, model_file: Path) -> None:
        class OtherTagger(SequenceTagger):
            pass

        with pytest.raises(ModelFileError, match=r"model\.pt holds a SequenceTagger: load it with SequenceT"):
            OtherTagger.load(model_file)

    def test_the_base_class_loads_any_model(self, model_file: Path) -> None:
        assert type(Model.load(model_file)) is SequenceTagger

    def test_a_user_class_is_loaded_as_that_class(self, tmp_path: Path) -> None:
        class OwnTagger(SequenceTagger):
            pass

        plain = make_tagger()
        OwnTagger(plain.embeddings, plain.tag_dictionary, "upos", hidden_size=4).save(tmp_path / "own.pt")
        assert type(SequenceTagger.load(tmp_path / "own.pt")) is OwnTagger

    def test_an_unknown_class_is_refused_with_its_name(self, model_file: Path) -> None:
        assert "holds a MindReader" in refusal(rewritten(model_file, **{"class": "MindReader"}))

    def test_embeddings_that_cannot_be_saved_are_refused_before_writing(self, tmp_path: Path) -> None:
        class OwnEmbeddings(WordEmbeddings):
            pass

        embeddings = OwnEmbeddings(WordVectors(WORDS, np.zeros((len(WORDS), 3))))
        tagger = SequenceTagger(embeddings, Dictionary.from_items(["A", "B"]), "upos", hidden_size=4)
        with pytest.raises(ModelFileError, match="cannot hold OwnEmbeddings"):
            tagger.save(tmp_path / "model.pt")
        assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def room_on_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as on a disk that becomes full."""
    resource = pytest.importorskip("resource", reason="POSIX alone limits the size of files")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


class TestWriting:
    @pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
    def test_a_full_disk_keeps_only_the_old_file(self, part: float, model_file: Path) -> None:
        before = model_file.read_bytes()
        large = make_tagger(seed=1, hidden_size=64)  # larger than what is written at once
        large.save(model_file.parent / "large.pt")
        size = (model_file.parent / "large.pt").stat().st_size
        room = int(part * size)
        (model_file.parent / "large.pt").unlink()
        with (
            pytest.raises(
                FileWriteError, match=rf"model\.pt cannot be written: File too large. It needs {size:,} bytes"
            ),
            room_on_disk(room),
        ):
            large.save(model_file)
        assert model_file.read_bytes() == before
        assert list(model_file.parent.iterdir()) == [model_file]

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_a_failure_at_the_end_keeps_only_the_old_file(
        self, step: str, model_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*arguments: object) -> NoReturn:
            raise OSError(errno.EIO, "Input/output error")

        before = model_file.read_bytes()
        monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
        with pytest.raises(FileWriteError, match="Input/output error"):
            make_tagger(seed=1).save(model_file)
        assert model_file.read_bytes() == before
        assert list(model_file.parent.iterdir()) == [model_file]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
    def test_an_interruption_keeps_only_the_old_file(self, error: type[BaseException], tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")

        def write() -> None:
            with atomic_write(path) as file:
                file.write(b"half of the n")
                raise error

        with pytest.raises(error):
            write()
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_file_is_synced_before_it_is_renamed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "file"
        synced: list[bool] = []
        sync = os.fsync

        def note(handle: int) -> None:
            synced.append(path.exists())
            sync(handle)

        monkeypatch.setattr(os, "fsync", note)
        with atomic_write(path) as file:
            file.write(b"all")
        assert synced[0] is False
        assert path.read_bytes() == b"all"

    @pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
    @pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
    def test_a_file_has_the_mode_of_the_umask(
        self, mask: int, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = os.umask(mask)
        try:
            with monkeypatch.context() as patch:
                # another thread's new file would be open to all meanwhile
                patch.setattr(os, "umask", lambda mask: pytest.fail("the umask of the process was changed"))
                make_tagger().save(tmp_path / "model.pt")
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "model.pt").stat().st_mode) == mode

    @pytest.mark.parametrize("name", ["missing/model.pt", "file/model.pt", "folder"])
    def test_a_path_that_cannot_be_written_is_named(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        (tmp_path / "folder").mkdir()
        with pytest.raises(FileWriteError) as caught:
            make_tagger().save(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]

    def test_a_folder_is_made_with_its_parents(self, tmp_path: Path) -> None:
        folder = tmp_path / "a" / "b ü"
        assert make_folder(folder) == folder
        assert make_folder(folder) == folder
        assert list(folder.iterdir()) == []

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        for path in (tmp_path / "file", tmp_path / "file" / "folder"):
            with pytest.raises(FileWriteError) as caught:
                make_folder(path)
            assert str(path) in str(caught.value)
            assert "another base path" in str(caught.value)


def test_models_loaded_from_one_file_are_independent(model_file: Path) -> None:
    one, other = SequenceTagger.load(model_file), SequenceTagger.load(model_file)
    with torch.no_grad():
        for weight in one.parameters():
            weight.zero_()
    assert predictions(other) == predictions(make_tagger())


def test_file_errors_can_be_caught_as_flairlite_or_value_error(model_file: Path) -> None:
    kinds: Sequence[type[Exception]] = (FlairliteError, ValueError)
    model_file.write_bytes(b"x")
    for kind in kinds:
        with pytest.raises(kind):
            SequenceTagger.load(model_file)
