"""Pickles of other libraries, Flair's and gensim's, are read as data: what they would call is refused by name."""

from __future__ import annotations

import contextlib
import gzip
import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors
from hypothesis import given
from hypothesis import strategies as st
from model_files import records_of, write_archive

from flairlite.embeddings import FlairEmbeddings
from flairlite.embeddings.vector_cache import load_vectors
from flairlite.errors import DataFormatError, FlairliteError, ModelFileError
from flairlite.models import Model, SequenceTagger
from flairlite.models.serialization import convert
from flairlite.runtime import set_cache_root
from flairlite.storage.pickle_reader import ArchiveError, PickleReader

FLAIR = Path(__file__).parents[1] / "data" / "flair"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[None]:
    """Use an empty cache."""
    set_cache_root(tmp_path / "cache")
    yield
    set_cache_root(None)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def name(module: str, qualified: str) -> bytes:
    return f"c{module}\n{qualified}\n".encode()


def stack_name(module: str, qualified: str) -> bytes:
    return text(module) + text(qualified) + b"\x93"


# Instructions that make `pickle` call something with one argument; in all of them the name of the function is visible.
CALLS: dict[str, Callable[[str, str, str], bytes]] = {
    "GLOBAL and REDUCE": lambda module, function, argument: name(module, function) + text(argument) + b"\x85R",
    "STACK_GLOBAL and REDUCE": lambda module, function, argument: (
        stack_name(module, function) + text(argument) + b"\x85R"
    ),
    "NEWOBJ": lambda module, function, argument: name(module, function) + text(argument) + b"\x85\x81",
    "NEWOBJ_EX": lambda module, function, argument: name(module, function) + text(argument) + b"\x85}\x92",
    "INST": lambda module, function, argument: b"(" + text(argument) + f"i{module}\n{function}\n".encode(),
    "OBJ": lambda module, function, argument: b"(" + name(module, function) + text(argument) + b"o",
    "REDUCE in the state of an allowed class": lambda module, function, argument: (
        (stack_name("gensim.models.keyedvectors", "KeyedVectors") + b")\x81}" + text("vectors"))
        + (stack_name(module, function) + text(argument) + b"\x85Rsb")
    ),
    "REDUCE in an argument of an allowed function": lambda module, function, argument: (
        name("collections", "defaultdict") + name(module, function) + text(argument) + b"\x85R\x85R"
    ),
    "BUILD of a class": lambda module, function, argument: (
        name(module, function) + b"}" + text("__setstate__") + text(argument) + b"sb"
    ),
}
FUNCTIONS = ["os system", "posix system", "builtins eval", "builtins exec", "subprocess getoutput"]


def payload(form: str, function: str, trace: Path) -> bytes:
    module, qualified = function.split()
    is_python = module == "builtins"
    argument = f"open({str(trace)!r}, 'w').close()" if is_python else f"touch '{trace}'"
    return CALLS[form](module, qualified, argument)


def write_gensim(path: Path, content: bytes, packing: str) -> None:
    if packing == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("vectors.kv", content)
    else:
        path.write_bytes(gzip.compress(content) if packing == "gzip" else content)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("packing", ["plain", "gzip", "zip"])
@pytest.mark.parametrize("form", CALLS)
def test_what_a_vector_file_calls_is_refused(form: str, packing: str, tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "vectors.kv"
    for function in FUNCTIONS:
        write_gensim(path, b"\x80\x04" + payload(form, function, trace) + b".", packing)
        with pytest.raises(DataFormatError, match=expected_reason(form, function)):
            load_vectors(path)
        assert not trace.exists()


def expected_reason(form: str, function: str) -> str:
    if form in ("NEWOBJ_EX", "OBJ"):
        return f"opcode {form}"
    if form == "BUILD of a class":
        return "attributes are set on a Name"
    return f"opcode INST {function}" if form == "INST" else f"it calls {function.replace(' ', '.')},"


def with_value(path: Path, value: bytes, key: str = "added") -> Path:
    """Add an entry, as instructions, to the dictionary in a file of Flair."""
    records = records_of(path)
    pickled = next(record for record in records if record.endswith("/data.pkl"))
    content = records[pickled]
    start = content.index(b"}") + 1  # \x80\x04 \x95 and the size of the frame, then the dictionary
    assert content[start : start + 2] == b"\x94("
    # without the frame, whose size would be wrong; the new entry comes after the mark
    records[pickled] = content[:2] + content[start - 1 : start + 2] + text(key) + value + content[start + 2 :]
    return write_archive(path, {key.replace(path.stem, "archive"): record for key, record in records.items()})


@pytest.fixture
def flair_file(tmp_path: Path) -> Path:
    path = tmp_path / "words-one-way.pt"
    path.write_bytes((FLAIR / path.name).read_bytes())
    return path


@pytest.mark.parametrize("key", ["added", "model_card"])
@pytest.mark.parametrize("form", CALLS)
def test_what_a_file_of_flair_calls_is_refused(form: str, key: str, flair_file: Path, tmp_path: Path) -> None:
    trace, original = tmp_path / "trace", flair_file.read_bytes()
    for function in FUNCTIONS:
        flair_file.write_bytes(original)
        with_value(flair_file, payload(form, function, trace), key)
        reason = expected_reason(form, function)
        if form == "REDUCE in the state of an allowed class":  # of gensim's; Flair's files do not have them
            reason = "it calls gensim.models.keyedvectors.KeyedVectors"
        with pytest.raises(ModelFileError, match=reason) as caught:
            SequenceTagger.load(flair_file)
        assert str(flair_file) in str(caught.value)
        assert not trace.exists()


def test_harmless_additions_to_a_file_of_flair_are_accepted(flair_file: Path) -> None:
    """The refusals above are caused by the calls, and not by the way in which the entry is added."""
    with_value(flair_file, b"]")
    assert len(SequenceTagger.load(flair_file).predict("a dog").tokens) == 2


def test_objects_in_a_model_card_are_dropped_and_others_are_refused(flair_file: Path) -> None:
    card = name("torch.optim.sgd", "SGD") + b")\x81}" + text("lr") + b"K\x01sb"
    with_value(flair_file, card, "model_card")
    assert SequenceTagger.load(flair_file).tag_type == "tag"
    with_value(flair_file, card, "again")
    with pytest.raises(ModelFileError, match=r"it holds an object, torch\.optim\.sgd\.SGD"):
        SequenceTagger.load(flair_file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x80\x04\x82\x01.", "opcode EXT1"),
        (b"\x80\x02" + text("x") + b"Q.", "opcode BINPERSID"),
        (b"\x80\x02Pkey\n.", "opcode PERSID key"),
        (b"\x80\x04NN\x93.", "a name in its pickle is not text"),
        (b"\x80\x04NNR.", "it calls NoneType"),
        (name("collections", "OrderedDict") + b"]\x85R.", "damaged"),
        (b"\x80\x04" + name("numpy", "dtype") + b"NR.", "without arguments"),
        (b"\x80\x04}" + b"\x85" * 100 + b"Ns.", "dictionary key"),
        (b"\x80\x04h\x05.", "damaged"),
        (b"\x80\x04.", "damaged"),
        (b"\x80\x04]", "damaged"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.", "damaged"),
        (b"", "damaged"),
    ],
)
def test_other_instructions_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason):
        PickleReader(content, {"numpy dtype": None, "collections OrderedDict": lambda: {}})


def test_a_small_pickle_cannot_take_much_memory() -> None:
    """`pickle.loads` makes a table of this many entries before it reads on."""
    assert PickleReader(b"\x80\x02]r\xff\xff\xff\xff.", {}).content == []


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda values: (
        st.lists(values) | st.dictionaries(st.text() | st.integers() | st.binary(), values) | st.tuples(values)
    ),
    max_leaves=20,
)


@given(PLAIN, st.integers(2, 5))
def test_plain_values_are_read_as_pickle_reads_them(value: Any, protocol: int) -> None:
    # how protocol 2 has bytes
    names = {"_codecs encode": lambda content, encoding: content.encode(encoding), "__builtin__ bytes": bytes}
    assert PickleReader(pickle.dumps([value, value], protocol), names).content == [value, value]


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for start in (b"\x80\x04", b"\x80\x04]\x94("):
        with contextlib.suppress(ArchiveError):
            PickleReader(start + content + b".", {})


# --- gensim --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_vectors_of_each_protocol_and_type_are_read(protocol: int, dtype: str, tmp_path: Path) -> None:
    table = KeyedVectors(3)
    table.add_vectors(["été", "dog"], np.arange(6, dtype=np.float32).reshape(2, 3))
    table.vectors = np.asfortranarray(table.vectors.astype(dtype))
    table.save(str(tmp_path / "v.kv"), pickle_protocol=protocol)
    vectors = load_vectors(tmp_path / "v.kv")
    assert vectors.words == ["été", "dog"]
    np.testing.assert_array_equal(vectors.matrix, np.arange(6).reshape(2, 3))


@pytest.mark.usefixtures("cache")
def test_vectors_of_gensim_3_are_read(tmp_path: Path) -> None:
    """There the vocabulary is a dict of objects, and other names are used."""
    array = pickle.dumps(np.ones((1, 2), np.float32), 2)[2:-1].replace(b"numpy._core", b"numpy.core")
    word = text("dog") + name("gensim.models.keyedvectors", "Vocab") + b")\x81}" + text("index") + b"K\x00sb"
    state = b"(" + text("vocab") + b"}(" + word + b"u" + text("index2word") + b"]" + text("dog") + b"a"
    table = (
        name("gensim.models.keyedvectors", "Word2VecKeyedVectors") + b")\x81}" + state + text("syn0") + array + b"ub."
    )
    (tmp_path / "v.kv").write_bytes(b"\x80\x02" + table)
    vectors = load_vectors(tmp_path / "v.kv")
    assert vectors.words == ["dog"]
    assert vectors.matrix.tolist() == [[1.0, 1.0]]


@pytest.mark.usefixtures("cache")
def test_arrays_of_objects_beside_a_vector_file_are_refused(tmp_path: Path) -> None:
    table = KeyedVectors(2)
    table.add_vectors(["dog"], np.ones((1, 2), np.float32))
    table.save(str(tmp_path / "v.kv"), separately=["vectors"])
    np.save(tmp_path / "v.kv.vectors.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataFormatError, match="Python objects"):
        load_vectors(tmp_path / "v.kv")


# --- Flair ---------------------------------------------------------------------------------------------------------


def transformer(**changes: Any) -> dict[str, Any]:
    """Return the parameters of a transformer in a file of Flair, with a tokenizer that is written elsewhere."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("../outside.json", "{}")
    params = {"__cls__": "TransformerWordEmbeddings", "name": "bert", "tokenizer_data": archive, "layers": "-1"}
    flags = ("is_document_embedding", "layer_mean", "fine_tune", "allow_long_sentences", "respect_document_boundaries")
    params |= {"is_token_embedding": True, **dict.fromkeys(flags, False), "subtoken_pooling": "first"}
    config = {"model_type": "bert", "dtype": torch.float32}
    return {**params, "context_length": 0, "context_dropout": 0.0, "config_state_dict": config, **changes}


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (transformer(), "its transformer cannot be built: .*tokenizer"),
        (transformer(tokenizer_data=io.BytesIO(b"no archive")), "its tokenizer is damaged"),
        (transformer(tokenizer_data=3), "it has no tokenizer"),
        (transformer(config_state_dict={"a": {b"b": 1}}), "its configuration is damaged"),
        (transformer(force_max_length=True), "it(s transformer has|.*) force_max_length"),
        (transformer(is_document_embedding=True), "embeds words and texts at once"),
    ],
)
def test_a_damaged_transformer_is_refused(params: Any, reason: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    state = {"embeddings.model.embeddings.word_embeddings.weight": torch.zeros(3, 2)}
    path = save_as_flair(
        tmp_path / "model.pt", {"state_dict": state, "__cls__": "SequenceTagger", "embeddings": params}
    )
    with pytest.raises(ModelFileError, match=reason):
        SequenceTagger.load(path)
    assert not list(tmp_path.parent.glob("**/outside.json"))


def nested(item: Any, depth: int = 60) -> Any:
    """Return lists of the same list, which have as many items as 2 to the power of the depth."""
    for _ in range(depth):
        item = [item, item]
    return item


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {}, "__cls__": nested(1)},
        {"state_dict": {}, "__cls__": "SequenceTagger", "embeddings": transformer(config_state_dict={"a": nested(1)})},
        {"state_dict": {}, "__cls__": "SequenceTagger", "embeddings": transformer(name=nested(1))},
        {"state_dict": {}, "__cls__": "SequenceTagger", "embeddings": {"vocab": {"a": nested(1)}}},
    ],
    ids=["class", "configuration", "name", "vocabulary"],
)
def test_a_small_file_of_flair_cannot_hold_more_than_a_program_can_visit(content: Any, tmp_path: Path) -> None:
    path = save_as_flair(tmp_path / "model.pt", content)
    assert path.stat().st_size < 10_000
    with pytest.raises(ModelFileError, match="its containers are nested too deeply, or contain each other too often"):
        Model.load(path)


def test_names_that_are_lists_of_the_same_lists_are_refused(flair_file: Path, tmp_path: Path) -> None:
    """The name of a record, the encoding of bytes and the type of an array are in messages."""
    many = b"K\x01"
    for index in range(200, 255):
        many += b"q%ch%c\x86" % (index, index)  # BINPUT, BINGET, TUPLE2
    with_value(flair_file, b"(" + text("storage") + name("torch", "FloatStorage") + many + text("cpu") + b"K\x01tQ")
    with pytest.raises(ModelFileError, match="the name of a record is not text"):
        SequenceTagger.load(flair_file)
    array = name("numpy", "dtype") + many + b"\x85R" + b"(K\x03" + text("<") + b"tb"
    dtype = name("numpy.core.multiarray", "_reconstruct") + b")R(K\x01K\x01\x85" + array + b"\x89C\x04abcdtb"
    forms = {
        "bytes without encoding": name("_codecs", "encode") + text("a") + many + b"\x86R",
        "contain each other too often": name("gensim.models.keyedvectors", "KeyedVectors")
        + (b")\x81}(" + text("index_to_key") + b"]" + text("a") + b"a" + text("vectors") + dtype + b"ub"),
    }
    for reason, content in forms.items():
        (tmp_path / "vectors.kv").write_bytes(b"\x80\x04" + content + b".")
        with pytest.raises(DataFormatError, match=reason):
            load_vectors(tmp_path / "vectors.kv")


def save_as_flair(path: Path, content: Any) -> Path:
    torch.save(content, path, pickle_protocol=4)
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1], "it has no state_dict"),
        ({"a": 1}, "it has no state_dict, __cls__"),
        (
            {"state_dict": {}, "__cls__": "RelationExtractor"},
            "holds a RelationExtractor of Flair, which is not offered",
        ),
        ({"state_dict": {}, "__cls__": "SequenceTagger"}, "it has no 'embeddings'"),
        (
            {"state_dict": {}, "__cls__": "SequenceTagger", "embeddings": {"__cls__": "BytePairEmbeddings"}},
            "it contains embeddings BytePairEmbeddings, which cannot be converted",
        ),
        ({"state_dict": [], "__cls__": "SequenceTagger"}, "its weights are a list"),
        ({"state_dict": {}, "__cls__": "TokenClassifier", "label_dictionary": 1}, "a int instead of a dictionary"),
        ({"state_dict": {}, "__cls__": "SequenceTagger", "x": Path("a")}, "pathlib"),
        ({"state_dict": {}, "__cls__": "SequenceTagger", "x": np.zeros(1)}, "numpy"),
    ],
)
def test_a_file_that_is_not_flairs_is_refused(content: Any, reason: str, tmp_path: Path) -> None:
    path = save_as_flair(tmp_path / "model.pt", content)
    with pytest.raises(ModelFileError, match=reason) as caught:
        Model.load(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ModelFileError, match=reason):
        convert(path, tmp_path / "new.pt")
    assert not (tmp_path / "new.pt").exists()


def change_text(path: Path, old: str, new: str) -> Path:
    """Replace a text of the same length in the pickle of a file."""
    records = records_of(path)
    changed = {key: record.replace(old.encode(), new.encode()) for key, record in records.items()}
    assert changed != records
    return write_archive(path, changed)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("WordEmbeddings", "ELMoEmbeddings", "it contains embeddings ELMoEmbeddings, which cannot be converted"),
        ("linear.bias", "linear.bios", "it has no weight linear.bias"),
        ("<STOP>", "<STEP>", "no <START> and <STOP>"),
        ("tag_type", "tag_tipe", "it has no 'tag_type'"),
    ],
)
def test_a_changed_file_of_flair_is_refused(old: str, new: str, reason: str, flair_file: Path) -> None:
    change_text(flair_file, old, new)
    with pytest.raises(ModelFileError, match=reason):
        SequenceTagger.load(flair_file)


@pytest.mark.parametrize("name", ["words-crf", "text-pool", "lm-forward", "words-bert"])
def test_weights_of_flair_that_are_not_finite_are_refused(name: str, tmp_path: Path) -> None:
    if name.endswith("bert"):
        pytest.importorskip("transformers", reason="transformers is not installed")
    path = tmp_path / f"{name}.pt"
    records = records_of(FLAIR / path.name)
    nan = np.float32(np.nan).tobytes()
    records = {key: record[:-4] + nan if "/data/" in key else record for key, record in records.items()}
    write_archive(path, records)
    with pytest.raises(ModelFileError, match=f"{name}.*(NaN or infinity|is not finite)"):
        FlairEmbeddings(path) if name.startswith("lm") else Model.load(path)


def test_a_truncated_file_of_flair_is_refused_at_each_length(flair_file: Path) -> None:
    content = flair_file.read_bytes()
    for size in range(0, len(content), 97):
        flair_file.write_bytes(content[:size])
        with pytest.raises(FlairliteError, match=r"words-one-way\.pt"):
            SequenceTagger.load(flair_file)


def test_a_damaged_file_of_flair_is_refused(flair_file: Path) -> None:
    """Torch's checksums are compared, which torch itself does not do."""
    content = bytearray(flair_file.read_bytes())
    position = content.index(b"tag_dictionary")
    content[position] ^= 1
    flair_file.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"checksum|Bad CRC"):
        SequenceTagger.load(flair_file)


@pytest.mark.parametrize("name", ["words-crf", "text-rnn-multi", "words-flair", "lm-backward"])
def test_a_changed_structure_is_read_or_refused(name: str, tmp_path: Path) -> None:
    """Bytes of the pickle are changed, with valid checksums: nothing but a flairlite error may be raised."""
    records = records_of(FLAIR / f"{name}.pt")
    (key,) = (key for key in records if key.endswith("/data.pkl"))
    random, path, num_refused = np.random.default_rng(1), tmp_path / "model.pt", 0
    for _ in range(60):
        changed = bytearray(records[key])
        for _ in range(random.integers(1, 4)):
            changed[random.integers(len(changed))] = random.integers(256)
        write_archive(path, {**records, key: bytes(changed)})
        try:
            FlairEmbeddings(path) if name.startswith("lm") else Model.load(path, device="cpu")
        except FlairliteError:
            num_refused += 1
    assert num_refused > 20
