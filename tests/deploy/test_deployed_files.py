"""Files that are not, or no longer, what `Model.export` wrote are refused, with the reason and what to do."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import export, sharpen
from hypothesis import given
from hypothesis import strategies as st
from model_files import make_tagger

from flairlite.data import Sentence
from flairlite.deploy import file_format, load
from flairlite.deploy.file_format import ExportedFile, read_export, write_export
from flairlite.embeddings import CharacterEmbeddings
from flairlite.errors import FileWriteError, ModelFileError, SettingError
from flairlite.models import SequenceTagger

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An exported tagger with compact vectors."""
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    tagger = make_tagger()
    tagger.compact()
    tagger.export(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "model.onnx").write_bytes(content)
    return tmp_path / "model.onnx"


def refusal(path: Path) -> str:
    """Return the message of the error that loading raises; the message must name the file."""
    with pytest.raises(ModelFileError) as error:
        load(path)
    assert str(path) in str(error.value)
    return str(error.value)


def rewrite(path: Path, change: Callable[[ExportedFile], ExportedFile]) -> Path:
    """Change the content of a file, and write it with valid hashes, as an attacker could."""
    changed = change(read_export(path))
    arrays = {name: array.copy() for name, array in changed.arrays.items()}
    write_export(path, dataclasses.replace(changed, arrays=arrays))
    return path


# ---------------------------------------------------------------------------------------------------- damaged files


def test_no_byte_of_the_header_can_change(path: Path, content: bytes) -> None:
    arrays = content.index(read_export(path).arrays["0.words"].tobytes())
    for position in range(arrays):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        refusal(path)


@given(position=st.integers(0, 2**31), change=st.integers(1, 255))
def test_no_byte_can_change(path: Path, content: bytes, position: int, change: int) -> None:
    changed = bytearray(content)
    changed[position % len(content)] ^= change
    path.write_bytes(changed)
    refusal(path)


@given(st.integers(0, 2**31))
def test_a_file_that_is_cut_is_refused(path: Path, content: bytes, length: int) -> None:
    path.write_bytes(content[: length % len(content)])
    refusal(path)


def test_the_reason_is_named(path: Path, content: bytes, tmp_path: Path) -> None:
    path.write_bytes(content[:-1])
    assert f"it is cut: it has {len(content) - 1:,} of {len(content):,} bytes" in refusal(path)
    path.write_bytes(content + b"\0")
    assert "it has 1 bytes more than expected. Copy it again, or export the model again" in refusal(path)
    vectors = content.index("été".encode())
    for position, reason in ((vectors, "match their hash"), (len(content) - 1, "network does not match its")):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        assert reason in refusal(path)
    path.unlink()
    (tmp_path / "modle.onnx").write_bytes(content)
    assert f"no exported model file at {path}; {tmp_path} has modle.onnx. Give the path" in refusal(path)
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!doctype html>", "it is an HTML or XML file: download"),
        (gzip.compress(b"x"), "compressed with gzip"),
        (b"\x80\x02}q\x00.", "it is a pickle, which flairlite never loads"),
        (b"\x08\x08\x12\tflairlite", "write one with model.export"),
    ],
    ids=["empty", "LFS", "HTML", "gzip", "pickle", "plain ONNX"],
)
def test_other_files_are_recognized(path: Path, start: bytes, reason: str) -> None:
    path.write_bytes(start)
    message = refusal(path)
    assert "is not an exported model of flairlite" in message
    assert reason in message


def test_a_model_file_for_torch_is_recognized(tmp_path: Path) -> None:
    make_tagger().save(tmp_path / "model.pt")
    assert "load it with SequenceTagger.load" in refusal(tmp_path / "model.pt")
    with pytest.raises(SettingError, match="path must be the path of a file"):
        load(3)  # type: ignore[arg-type]


def test_a_newer_format_names_the_version_that_it_needs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(file_format, "FORMAT_VERSION", 99)
        patch.setattr(file_format, "__version__", "77.0")
        rewrite(path, lambda file: file)
    assert "has format 99" in refusal(path)
    assert "install flairlite 77.0 or newer" in refusal(path)
    with monkeypatch.context() as patch:
        patch.setattr(file_format, "FORMAT_VERSION", 0)
        make_tagger().export(path)
    assert "its format version is 0" in refusal(path)


# ---------------------------------------------------------------------------------------------------- hostile files


@pytest.mark.parametrize(
    "settings",
    [
        {"features": [{"kind": "os.system", "length": 4}]},
        {"features": None},
        {"label_names": 3},
        {"unit": None},
        {"tokenizer": {"class_module": "os", "class_name": "system"}},
        {"has_chain": "yes", "unit": "span"},
    ],
    ids=["kind", "features", "labels", "unit", "tokenizer", "spans"],
)
def test_settings_with_other_values_are_refused(path: Path, settings: dict[str, Any]) -> None:
    rewrite(path, lambda file: dataclasses.replace(file, settings={**file.settings, **settings}))
    refusal(path)


def test_an_array_outside_the_file_is_refused(path: Path, content: bytes) -> None:
    """The memory after a file is never read, whatever the file says about its arrays."""
    original = json.loads(_header(content))
    for entry in (["float32", [2**40], 0], ["float32", [1], 2**40], ["object", [1], 0], ["uint8", [-1], 0], None):
        header = json.loads(json.dumps(original))
        header["arrays"]["table"]["start"] = entry
        path.write_bytes(_with_header(content, json.dumps(header).encode()))
        assert "is damaged" in refusal(path)


def _header(content: bytes) -> bytes:
    start = content.index(b'{"format_version"')
    _, end = json.JSONDecoder().raw_decode(content[start:].decode("latin-1"))
    return content[start : start + end]


def _with_header(content: bytes, header: bytes) -> bytes:
    """Replace the header, and correct its hash and size."""
    magic = file_format.EXPORT_MAGIC
    size, start = len(_header(content)), content.index(magic) + len(magic) + 32
    end = start + size
    end += len(content[end:]) - len(content[end:].lstrip(b" "))
    body = magic + hashlib.sha256(header).digest() + header
    return file_format._field_key(file_format._HEADER_FIELD, len(body)) + body + content[end:]


def _network_with(change: Callable[[Any], None]) -> Callable[[ExportedFile], ExportedFile]:
    def replace(file: ExportedFile) -> ExportedFile:
        model = onnx.load_from_string(file.network)
        change(model)
        return dataclasses.replace(file, network=model.SerializeToString())

    return replace


def _use_other_file(model: Any) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")


def _shrink_weight(model: Any) -> None:
    model.graph.initializer[0].raw_data = b"1234"


def _add_loop(model: Any) -> None:
    model.graph.node.add(op_type="Loop", input=["", ""], output=["x"])


def _add_graph(model: Any) -> None:
    attribute = model.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH)
    attribute.g.name = "body"


def _use_other_domain(model: Any) -> None:
    model.graph.node[0].domain = "com.example"


def _add_function(model: Any) -> None:
    model.functions.add(name="Gather", domain="local")


def _add_sparse_weight(model: Any) -> None:
    model.graph.sparse_initializer.add(dims=[2**40])


@pytest.mark.parametrize(
    "change",
    [_use_other_file, _shrink_weight, _add_loop, _add_graph, _use_other_domain, _add_function, _add_sparse_weight],
    ids=["other file", "small weight", "loop", "graph", "domain", "function", "sparse"],
)
def test_networks_that_are_never_exported_are_refused(path: Path, change: Callable[[Any], None]) -> None:
    rewrite(path, _network_with(change))
    assert "the network is not one that flairlite exports" in refusal(path)


def test_a_network_that_cannot_run_is_refused(path: Path) -> None:
    def misspell(model: Any) -> None:
        model.graph.node[1].input[0] = "nothing"

    rewrite(path, _network_with(misspell))
    assert "cannot load the network" in refusal(path)
    for network in (b"", b"\x3a", b"\xff" * 20, b"\x3a\x02\x0a\x7f"):
        rewrite(path, lambda file, network=network: dataclasses.replace(file, network=network))  # type: ignore[misc]
        assert "the network is not one that flairlite exports" in refusal(path)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("transitions", np.zeros((2, 2), np.float32)),
        ("start", np.zeros(7, np.float32)),
        ("0.codes", np.zeros((6, 3), np.uint8)),
    ],
    ids=["transitions", "start", "codes"],
)
def test_arrays_that_do_not_fit_the_network_are_refused(path: Path, name: str, array: Any) -> None:
    def replace(file: ExportedFile) -> ExportedFile:
        return dataclasses.replace(file, arrays={**file.arrays, name: array})

    rewrite(path, replace)
    refusal(path)


@pytest.mark.parametrize("bits", [4, 8, 5, 0, "twelve", None])
def test_vectors_of_other_bits_are_refused(bits: Any, path: Path) -> None:
    def replace(file: ExportedFile) -> ExportedFile:
        features = [{**part, "bits": bits} if part["kind"] == "vectors" else part for part in file.settings["features"]]
        assert features != file.settings["features"]
        return dataclasses.replace(file, settings={**file.settings, "features": features})

    rewrite(path, replace)
    assert "is damaged" in refusal(path)


@pytest.mark.parametrize(("name", "value"), [("3.ids", 100), ("3.shared", 64), ("4.rows", 100), ("4.ids", 100)])
def test_lexica_with_ids_out_of_range_are_refused(name: str, value: int, path: Path) -> None:
    path.write_bytes((Path(__file__).parents[1] / "data" / "exports" / "format-2-types.onnx").read_bytes())

    def replace(file: ExportedFile) -> ExportedFile:
        array = file.arrays[name].copy()
        array.flat[0] = value
        return dataclasses.replace(file, arrays={**file.arrays, name: array})

    rewrite(path, replace)
    assert "damaged" in refusal(path)


def test_labels_that_do_not_fit_the_network_are_refused(path: Path) -> None:
    def rename(file: ExportedFile) -> ExportedFile:
        return dataclasses.replace(file, settings={**file.settings, "label_names": ["A"]})

    rewrite(path, rename)
    assert "do not fit together" in refusal(path)


# ----------------------------------------------------------------------------------------------------------- writing


def test_a_failed_export_keeps_the_old_file(path: Path, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(FileWriteError, match="does not exist"):
        make_tagger().export(tmp_path / "missing" / "model.onnx")
    with pytest.raises(ModelFileError, match="cannot be exported"):
        type("Other", (SequenceTagger,), {"__module__": __name__}).from_settings(
            make_tagger().settings(), CharacterEmbeddings()
        ).export(path)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


def test_a_loaded_model_does_not_change_when_the_file_is_replaced(path: Path, tmp_path: Path) -> None:
    exported = load(path)
    words = ["the", "dog", "été"]
    before = str(exported.predict(Sentence(words)))
    export(sharpen(make_tagger(5)), tmp_path)
    assert str(exported.predict(Sentence(words))) == before
    assert not any(array.flags.writeable for array in read_export(path).arrays.values())
    assert all(np.isfinite(array).all() for array in read_export(path).arrays.values())
