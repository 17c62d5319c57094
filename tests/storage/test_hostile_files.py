"""Files made to do harm: nothing in them is executed, and memory stays bounded, whatever they say of themselves."""

from __future__ import annotations

import collections
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_files import make_tagger, predictions, records_of, refusal, write_archive

import flairlite
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import ModelFileError
from flairlite.models import SequenceTagger
from flairlite.storage.model_file import FORMAT_VERSION, read_model_file, write_model_file

DATA = Path(__file__).parents[1] / "data"
MEGABYTE = 1 << 20


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    make_tagger().save(path)
    return path


def with_structure(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Change the pickle in a model file; all checksums fit."""
    records = records_of(path)
    changed = change(records["archive/data.pkl"])
    assert changed != records["archive/data.pkl"]
    return write_archive(path, {**records, "archive/data.pkl": changed})


def with_content(path: Path, **changes: Any) -> Path:
    torch.save({**torch.load(path, weights_only=True), **changes}, path)
    return path


def text_of(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def call(module: str, name: str, arguments: bytes) -> bytes:
    """Return the instructions of a pickle that call something."""
    return f"c{module}\n{name}\n".encode() + arguments + b"R"


def first_entry(value: bytes) -> Callable[[bytes], bytes]:
    """Put an entry with a value, as instructions, in front of the dictionary that a model file is."""
    return lambda structure: structure[:2] + b"}(" + text_of("first") + value + structure[structure.index(b"(") + 1 :]


# --- what a file may not do ----------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b"]" * depth + b"a" * (depth - 1)


def laughing(depth: int) -> bytes:
    """Ten times ten times ... the same: little to write down, and for ever to go through."""
    levels = [b"(" + b"K\x01" * 10 + b"tq\x00"]
    levels += [b"(" + (b"h" + bytes([level])) * 10 + b"tq" + bytes([level + 1]) for level in range(depth)]
    return b"(" + b"".join(levels) + b"t"


def expanded_vectors(path: Path) -> dict[str, Any]:
    """Return the embeddings of a file with a terabyte of vectors, which is one number that is shown often."""
    embeddings: dict[str, Any] = torch.load(path, weights_only=True)["embeddings"]
    vectors = {**embeddings["vectors"], "matrix": torch.ones(1, 1).expand(6, 1 << 36)}
    return {**embeddings, "vectors": vectors}


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a bomb of zeros": lambda path: write_archive(
        path, {**records_of(path), "archive/data/0": bytes(300 * MEGABYTE)}, compression=zipfile.ZIP_DEFLATED
    ),
    "a record larger than the file": lambda path: path.write_bytes(
        path.read_bytes().replace(struct.pack("<II", 21, 21), struct.pack("<II", 1 << 31, 1 << 31))
    ),
    "a tensor larger than its record": lambda path: with_structure(
        path, lambda data: data.replace(b"K\x15tq", b"J\xff\xff\xff\x7ftq", 1)
    ),
    "a tensor that starts after its record": lambda path: with_structure(
        path, lambda data: data.replace(b"QK\x00K\x15\x85", b"QJ\xff\xff\xff\x7fK\x15\x85", 1)
    ),
    "a tensor that repeats one number": lambda path: with_content(path, embeddings=expanded_vectors(path)),
    "a model of absurd size": lambda path: with_content(
        path, settings={**make_tagger().settings(), "hidden_size": 100_000}
    ),
    "a layer too many": lambda path: with_content(
        path, settings={**make_tagger().settings(), "rnn_layers": 10**9, "hidden_size": 128}
    ),
    "tags without end": lambda path: with_content(
        path, settings={**make_tagger().settings(), "tag_items": [str(number) for number in range(10_000)]}
    ),
    "embeddings of absurd size": lambda path: with_content(
        path,
        embeddings={
            "class": "SubwordEmbeddings",
            "embedding_length": 10_000,
            "num_embeddings": 10_000_000,
            "min_length": 3,
            "max_length": 5,
            "name": "x",
        },
    ),
    "a nest of lists": lambda path: with_structure(path, first_entry(nested(200_000))),
    "a nest of tuples as a key": lambda path: with_structure(
        path, first_entry(b"}(" + b")" + b"\x85" * 200_000 + b"K\x01u")
    ),
    "a list in itself": lambda path: with_structure(path, first_entry(b"]q\xf0h\xf0a")),
    "a list of lists of lists of the same": lambda path: with_structure(path, first_entry(laughing(30))),
    "an array of bytes": lambda path: with_structure(
        path, first_entry(call("builtins", "bytearray", b"\x8a\x05\x00\x00\x00\x00\x10\x85"))
    ),
    "a long text that is not there": lambda path: with_structure(path, first_entry(b"X\xff\xff\xff\x7fabc")),
    "a command": lambda path: with_structure(
        path, first_entry(call("os", "system", text_of(f"touch '{path.parent / 'was here'}'") + b"\x85"))
    ),
    "an object built in place": lambda path: with_structure(
        path, first_entry(b"ctorch\nFloatStorage\n}(" + text_of("size") + b"J\xff\xff\xff\x7fub")
    ),
}

LOADER = """
import json, resource, sys, time
from pathlib import Path
from flairlite.errors import ModelFileError
from flairlite.models import Model
pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
if pages:
    limit = pages * resource.getpagesize() + (600 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.monotonic()
for path in sys.argv[1:]:
    try:
        Model.load(path, device="cpu")
        answer = "loaded"
    except ModelFileError as error:
        answer = str(error)
    except BaseException as error:
        answer = f"not refused: {error!r}"[:200]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([path, answer, grown >> 10, time.monotonic() - start]), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone limits memory")
def test_hostile_files_are_refused_in_little_memory_without_running_code(model_file: Path, tmp_path: Path) -> None:
    paths = {}
    for number, (name, spoil) in enumerate(HOSTILE.items()):
        path = tmp_path / f"{number}.pt"
        path.write_bytes(model_file.read_bytes())
        spoil(path)
        paths[str(path)] = name
    environment = {**os.environ, "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1])}
    command = [sys.executable, "-c", LOADER, *paths, str(model_file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    answers = {path: (answer, grown) for path, answer, grown, _ in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, f"{done.returncode} after {len(answers)} files: {done.stderr[-500:]}"
    assert answers.pop(str(model_file))[0] == "loaded"
    for path, (answer, grown) in answers.items():
        assert answer.startswith(path), f"{paths[path]}: {answer}"
        assert "Copy it again" in answer, f"{paths[path]}: {answer}"
        assert grown < 400, f"{paths[path]} took {grown} MB"
    assert not (tmp_path / "was here").exists()


# --- files of others -----------------------------------------------------------------------------------------------


def test_a_file_of_early_flair_is_refused_with_the_class_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, module = types.ModuleType("flair"), types.ModuleType("flair.data")
    kind = type("Dictionary", (), {"__module__": "flair.data"})
    module.Dictionary = kind  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "flair", package)
        patch.setitem(sys.modules, "flair.data", module)
        content = {"state_dict": {"linear.weight": torch.zeros(3, 3)}, "tag_dictionary": kind()}
        torch.save(content, tmp_path / "model.pt")
    message = refusal(tmp_path / "model.pt")
    assert "a file of Flair before 0.12 or of another library cannot be loaded" in message
    assert "objects" in message or "flair.data" in message


def npz(path: Path) -> None:
    np.savez(path, weights=np.zeros(3))
    path.with_suffix(".pt.npz").rename(path)


def script(path: Path) -> None:
    records = {
        "archive/data.pkl": pickle.dumps({}, 2),
        "archive/constants.pkl": b"\x80\x02).",
        "archive/code/x.py": b"",
    }
    write_archive(path, {name: content for name, content in records.items() if "data.pkl" not in name})


@pytest.mark.parametrize(
    "write",
    [
        npz,
        script,
        lambda path: path.write_bytes(struct.pack("<Q", 2) + b"{}"),  # safetensors
        lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)),
        lambda path: path.write_bytes(b"\x1f\x8b" + bytes(100)),
        lambda path: write_archive(path, {"a.txt": b"text"}),
        lambda path: zipfile.ZipFile(path, "w").close(),
        lambda path: torch.save(torch.nn.Linear(2, 2), path),
        lambda path: torch.save(np.zeros(3), path),
        lambda path: torch.save({"format": "flairlite model", "format_version": 1, "x": Path("a")}, path),
        lambda path: torch.save({"format": "flairlite model", "format_version": 1, "x": {1, 2}}, path),
        lambda path: torch.save({"format": "flairlite model", "format_version": 1, "x": b"bytes"}, path),
        lambda path: torch.save(collections.Counter("ab"), path),
    ],
)
def test_a_file_of_another_library_is_refused(write: Callable[[Path], object], tmp_path: Path) -> None:
    write(tmp_path / "model.pt")
    assert "not a model file of flairlite" in refusal(tmp_path / "model.pt")


# --- what flairlite writes -----------------------------------------------------------------------------------------


class TestWriting:
    def test_there_are_no_classes_and_no_paths_in_a_file(
        self, mini_vectors: WordEmbeddings, session_cache: Path, tmp_path: Path
    ) -> None:
        tagger = SequenceTagger(mini_vectors, make_tagger().tag_dictionary, "upos", hidden_size=4, seed=0)
        for whole in (True, False):
            tagger.save(tmp_path / "model.pt", whole=whole)
            structure = records_of(tmp_path / "model.pt")["archive/data.pkl"]
            for folder in (tmp_path, session_cache, Path(flairlite.__file__).parent, Path.home()):
                assert str(folder).encode() not in structure
            names = {argument for opcode, argument, _ in _instructions(structure) if opcode.name == "GLOBAL"}
            assert {name for name in names if not name.endswith("Storage")} == {
                "collections OrderedDict",
                "torch._utils _rebuild_tensor_v2",
            }

    @pytest.mark.parametrize(
        "value", [Path("a"), b"bytes", {1}, object(), make_tagger, torch.float32, 1j, torch.device("cpu")]
    )
    def test_content_that_cannot_be_saved_is_refused_with_its_location_before_writing(
        self, value: Any, tmp_path: Path
    ) -> None:
        with pytest.raises(ModelFileError, match=rf"cannot hold a {type(value).__name__} \(settings\.sizes\[1\]\)"):
            write_model_file(tmp_path / "model.pt", {"settings": {"sizes": [1, value]}})
        with pytest.raises(ModelFileError, match="sparse"):
            write_model_file(tmp_path / "model.pt", {"state": torch.zeros(2, 2).to_sparse()})
        assert list(tmp_path.iterdir()) == []

    def test_numpy_scalars_and_parameters_are_saved_as_plain_values(self, tmp_path: Path) -> None:
        """A setting computed with numpy would make a file that cannot be loaded again."""
        content = {
            "numbers": [np.float64(0.5), np.float32(0.25), np.int64(3), np.bool_(True), np.str_("x"), True, (1, None)],
            "parameter": torch.nn.Parameter(torch.ones(2)),
            "expanded": torch.ones(1, 3).expand(4, 3),
            "transposed": torch.arange(6).view(2, 3).t(),
            "part": torch.arange(10)[4:6],
            "empty": torch.zeros(0, 4),
            "number": torch.tensor(3.0, dtype=torch.bfloat16),
            "ordered": collections.OrderedDict(a=1),
        }
        write_model_file(tmp_path / "model.pt", content)
        loaded = read_model_file(tmp_path / "model.pt")
        assert loaded["numbers"] == [0.5, 0.25, 3, True, "x", True, (1, None)]
        assert [type(value) for value in loaded["numbers"]] == [float, float, int, bool, str, bool, tuple]
        for name in ("parameter", "expanded", "transposed", "part", "empty", "number"):
            assert type(loaded[name]) is torch.Tensor
            assert torch.equal(loaded[name], content[name].detach())
        assert loaded["ordered"] == {"a": 1}

    @pytest.mark.parametrize(
        "dtype",
        [torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.uint8, torch.int16, torch.int32, torch.bool],
    )
    def test_tensors_of_all_dtypes_are_saved(self, dtype: torch.dtype, tmp_path: Path) -> None:
        tensor = torch.arange(6).view(2, 3).to(dtype)
        write_model_file(tmp_path / "model.pt", {"tensor": tensor})
        assert torch.equal(read_model_file(tmp_path / "model.pt")["tensor"], tensor)

    def test_shared_weights_stay_shared(self, tmp_path: Path) -> None:
        tensor = torch.zeros(10)
        write_model_file(tmp_path / "model.pt", {"one": tensor, "other": tensor[2:]})
        loaded = read_model_file(tmp_path / "model.pt")
        loaded["one"][5] = 1
        assert loaded["other"][3] == 1


def _instructions(structure: bytes) -> Any:
    import pickletools

    return pickletools.genops(io.BytesIO(structure))


# --- devices and formats -------------------------------------------------------------------------------------------


def test_a_model_saved_on_cuda_loads_on_the_cpu(model_file: Path) -> None:
    """A file tells on which device each tensor was; this one says CUDA, wherever it was made."""
    with_structure(model_file, lambda data: data.replace(text_of("cpu"), text_of("cuda:0")))
    assert text_of("cuda:0") in records_of(model_file)["archive/data.pkl"]
    loaded = SequenceTagger.load(model_file, device="cpu")
    assert {tensor.device.type for tensor in loaded.state_dict().values()} == {"cpu"}
    assert predictions(loaded) == predictions(make_tagger().to("cpu"))


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_files_of_all_formats_load_and_predict_the_same(version: int) -> None:
    """For a new format, a file written by the last flairlite of the old one is kept in `tests/data`."""
    expected = json.loads((DATA / f"model-format-{version}.json").read_text(encoding="utf-8"))
    content = torch.load(DATA / f"model-format-{version}.pt", weights_only=True)
    assert content["format_version"] == version
    tagger = SequenceTagger.load(DATA / f"model-format-{version}.pt", device="cpu")
    sentences = [tagger.predict(sentence["text"]) for sentence in expected]
    for sentence, known in zip(sentences, expected, strict=True):
        labels = sentence.get_labels("upos")
        assert [label.value for label in labels] == known["labels"]
        assert [label.score for label in labels] == pytest.approx(known["scores"], rel=1e-4)


@pytest.mark.parametrize("version", [0, -1, True, 1.0])
def test_an_invalid_format_version_is_refused(version: Any, model_file: Path) -> None:
    assert "damaged" in refusal(with_content(model_file, format_version=version))
