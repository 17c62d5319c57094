"""Embeddings accept the documented arguments, and refuse others with an error that says what to give."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from vector_files import MATRIX, WORDS, as_text, keyed

import flairlite
from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import (
    DocumentPoolEmbeddings,
    Embeddings,
    HashEmbeddings,
    OneHotEmbeddings,
    StackedEmbeddings,
    WordEmbeddings,
    load_embeddings,
    register_embeddings,
)
from flairlite.embeddings.vectors import WordVectors
from flairlite.encoding import encode
from flairlite.errors import DataUnavailableError, FlairliteError, ModelFileError, SettingError
from flairlite.runtime import get_device, get_seed, set_cache_root, set_device, set_seed

emb: Any = flairlite.embeddings  # without types, because many arguments below are wrong on purpose
SENTENCES = ["the naïve 中文 unheard-of", "été"]
CORPUS = Corpus([Sentence("a b a b a b c")], name="small")
TABLE = WordVectors(WORDS, MATRIX)


pytestmark = pytest.mark.usefixtures("cache")


def words() -> WordEmbeddings:
    return WordEmbeddings(TABLE)


# word embeddings from objects and files


def test_a_dict_of_vectors_is_a_table() -> None:
    expected = WordEmbeddings(TABLE).vectors
    for vectors in (
        dict(zip(WORDS, MATRIX, strict=True)),
        dict(zip(WORDS, MATRIX.tolist(), strict=True)),
        dict(zip(WORDS, torch.from_numpy(MATRIX).double(), strict=True)),
        dict(zip(WORDS, torch.nn.Parameter(torch.from_numpy(MATRIX.copy())), strict=True)),
    ):
        table = WordEmbeddings(vectors).vectors
        assert table.words == WORDS
        np.testing.assert_array_equal(table.matrix, expected.matrix)


def test_keyed_vectors_of_gensim_are_a_table(tmp_path: Path) -> None:
    table = keyed(WORDS, MATRIX)
    model = type("Word2Vec", (), {"wv": table})()
    for given in (table, model):
        embedding = WordEmbeddings(given)
        assert (embedding.vectors.words, embedding.name) == (WORDS, "vectors")
        np.testing.assert_array_equal(embedding.vectors.matrix, MATRIX)
    assert WordEmbeddings(table, name="mine").name == "mine"


def test_a_path_is_a_str_or_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v.txt").write_bytes(as_text(WORDS, MATRIX))
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (tmp_path / "v.txt", str(tmp_path / "v.txt"), "~/v.txt"):
        embedding = WordEmbeddings(path)
        assert (embedding.vectors.words, embedding.name) == (WORDS, str(path))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (CORPUS, "WordEmbeddings takes a name, the path of a file, a dict .* got Corpus"),
        (["glove"], "got list"),
        (None, "got NoneType"),
        (b"glove", "got bytes"),
        (5, "got int"),
        (MATRIX, "got ndarray"),
        ({}, "an empty one"),
        ({"a": [1, 2], "b": [1]}, r"the vector of 'b' has shape \(1,\)"),
        ({"a": [[1, 2]]}, r"the vector of 'a' has shape \(1, 2\)"),
        ({"a": []}, r"the vector of 'a' has shape \(0,\)"),
        ({"a": 5}, r"the vector of 'a' has shape \(\)"),
        ({"a": "12"}, "vectors must be numbers"),
        ({"a": ["x", "y"]}, "vectors must be numbers"),
        ({"a": None}, "vectors must be numbers"),
        ({"a": [1, 2], "b": [1, float("nan")]}, "finite float32 numbers, but that of 'b'"),
        ({"a": [1e300, 2]}, "finite float32 numbers, but that of 'a'"),
        ({1: [1, 2]}, "words must be strings, got 1 of type int"),
        ({None: [1, 2]}, "words must be strings, got None"),
    ],
)
def test_other_word_embeddings_are_refused(given: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        WordEmbeddings(given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ab", np.eye(2)), "words must be a list of strings, got str"),
        ((["a", 5], np.eye(2)), "words must be strings, got 5"),
        ((["a", "b"], [[1, 2], [3]]), "vectors must be numbers"),
        ((["a", "b"], [["x"], ["y"]]), "vectors must be numbers"),
        ((["a", "b"], [[1, 2], [3, np.inf]]), "finite float32 numbers, but that of 'b'"),
        ((["a", "b"], np.eye(3)), r"got \(3, 3\)"),
    ],
)
def test_other_tables_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        WordVectors(*arguments)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("glov", "no such file, and the known names are glove, en-glove, glove-mini. Did you mean 'glove'"),
        ("Glove", "Did you mean 'glove'"),
        ("de", r"known names are glove, .*/cc\.de\.300\.vec\.gz\) and give its path"),
        ("en-crawl", r"known names are glove, .*/cc\.en\.300\.vec\.gz"),
        ("twitter", r"download a file \(for example"),
        ("", "is a folder|known names"),
        ("no/such/folder/v.txt", "no such file"),
        ("x" * 5000, "no such file"),
        ("a\0b", "no such file"),
        ("~nobody-of-this-name/v.txt", "no such file"),
        (Path("missing.vec"), "'missing.vec'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: Any, message: str) -> None:
    with pytest.raises(DataUnavailableError, match=message):
        WordEmbeddings(name)


def test_a_misspelt_file_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_bytes(as_text(WORDS, MATRIX))
    with pytest.raises(DataUnavailableError, match=r"Did you mean '.*vectors\.txt'"):
        WordEmbeddings(tmp_path / "vector.txt")


def test_a_folder_is_refused_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "some.txt").write_bytes(as_text(WORDS, MATRIX))
    with pytest.raises(DataUnavailableError, match=r"is a folder: .*some\.txt"):
        WordEmbeddings(tmp_path / "v")
    (tmp_path / "v" / "key2row").touch()
    with pytest.raises(DataUnavailableError, match=r"folder of spaCy.*WordEmbeddings\(\{word: nlp\.vocab\[word\]"):
        WordEmbeddings(tmp_path / "v")


# other embeddings

BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "one-hot of a corpus": (lambda: emb.OneHotEmbeddings(CORPUS), r"write OneHotEmbeddings\.from_corpus\(corpus\)"),
    "one-hot of a list": (lambda: emb.OneHotEmbeddings(["a"]), r"got list: build one with Dictionary\.from_items"),
    "one-hot of a path": (lambda: emb.OneHotEmbeddings(Path("x")), r"load one with Dictionary\.load\(path\)"),
    "one-hot of a name": (lambda: emb.OneHotEmbeddings("glove"), "takes a Dictionary, got str"),
    "one-hot of none": (lambda: emb.OneHotEmbeddings(None), "takes a Dictionary, got NoneType"),
    "one-hot without features": (
        lambda: emb.OneHotEmbeddings(Dictionary(), embedding_length=0),
        "embedding_length must",
    ),
    "from_corpus of a dictionary": (lambda: emb.OneHotEmbeddings.from_corpus(Dictionary()), "write OneHotEmbeddings"),
    "from_corpus of a list": (lambda: emb.OneHotEmbeddings.from_corpus([Sentence("a")]), "takes a Corpus, got list"),
    "from_corpus without such labels": (lambda: OneHotEmbeddings.from_corpus(CORPUS, "pos"), "no 'pos' of a token"),
    "from_corpus of rare words": (lambda: OneHotEmbeddings.from_corpus(CORPUS, min_freq=9), "occurs 9 times"),
    "one-hot of no field": (lambda: emb.OneHotEmbeddings(Dictionary(), None), "field must be 'text' or a label type"),
    "words of a flag": (lambda: emb.WordEmbeddings(TABLE, True), "got True: name other arguments"),
    "characters of a corpus": (lambda: emb.CharacterEmbeddings(CORPUS), "must be a Dictionary or the path"),
    "characters of a list": (lambda: emb.CharacterEmbeddings(["a"]), "got list: build one"),
    "characters of a missing file": (lambda: emb.CharacterEmbeddings(Path("missing")), "missing"),
    "characters without state": (
        lambda: emb.CharacterEmbeddings(hidden_size_char=0),
        "hidden_size_char must be at least 1",
    ),
    "characters of a float": (lambda: emb.CharacterEmbeddings(char_embedding_dim=2.5), "whole number; it is 2.5"),
    "hash without rows": (lambda: emb.HashEmbeddings(0), "num_embeddings must be at least 1; it is 0"),
    "hash of a corpus": (lambda: emb.HashEmbeddings(CORPUS), "num_embeddings must be"),
    "hash of bool": (lambda: emb.HashEmbeddings(True), "it is True"),
    "hash of another name": (lambda: emb.HashEmbeddings(hash_method="md6"), "must be one of .*md5.*not 'md6'"),
    "hash of no fixed size": (lambda: emb.HashEmbeddings(hash_method="shake_128"), "must be one of"),
    "affixes without rows": (lambda: emb.AffixEmbeddings(4, 12, 0), "num_embeddings must be at least 1"),
    "affixes without characters": (lambda: emb.AffixEmbeddings(0), "max_length must be at least 1"),
    "shapes without rows": (lambda: emb.WordShapeEmbeddings(16, 0), "num_embeddings must be at least 1"),
    "subwords of a corpus": (lambda: emb.SubwordEmbeddings(CORPUS), "embedding_length must be"),
    "subwords of text": (lambda: emb.SubwordEmbeddings("50"), "it is '50'"),
    "subwords upside down": (
        lambda: emb.SubwordEmbeddings(min_length=4, max_length=3),
        "at most max_length, got 4 and 3",
    ),
    "stack of a name": (lambda: emb.StackedEmbeddings("glove"), r"got str: write, for example, StackedEmbeddings\(\["),
    "stack of names": (lambda: emb.StackedEmbeddings(["glove", "x"]), "but got str: write"),
    "stack of a corpus": (lambda: emb.StackedEmbeddings(CORPUS), "but got Corpus"),
    "stack of a path": (lambda: emb.StackedEmbeddings(Path("x")), "but got PosixPath|WindowsPath"),
    "stack of a dict": (lambda: emb.StackedEmbeddings({"a": words()}), "but got dict"),
    "stack of none": (lambda: emb.StackedEmbeddings(None), "but got NoneType"),
    "an empty stack": (lambda: emb.StackedEmbeddings(iter(())), "needs at least one embedding"),
    "stack of a pool": (lambda: emb.StackedEmbeddings([DocumentPoolEmbeddings(words())]), "got DocumentPoolEmbeddings"),
    "pool of a name": (
        lambda: emb.DocumentPoolEmbeddings("glove"),
        r"got str: .* DocumentPoolEmbeddings\(\[WordEmbeddings",
    ),
    "pool of another kind": (
        lambda: emb.DocumentPoolEmbeddings(words(), pooling=["mean"]),
        "pooling must be one of mean",
    ),
    "one-hot of a number": (lambda: OneHotEmbeddings.from_corpus(CORPUS, 5), "field must be 'text' or a label type"),
    "from_corpus of a text": (lambda: OneHotEmbeddings.from_corpus(CORPUS, min_freq="3"), "min_freq must be a whole"),
    "from_corpus of half a word": (
        lambda: OneHotEmbeddings.from_corpus(CORPUS, min_freq=1.5),
        "min_freq must be a whole",
    ),
    "words of a flag as text": (
        lambda: emb.WordEmbeddings(TABLE, fine_tune="False"),
        "fine_tune must be True or False",
    ),
    "words of a number": (lambda: emb.WordEmbeddings(TABLE, stable=1), "stable must be True or False"),
    "one-hot of a flag as text": (
        lambda: emb.OneHotEmbeddings(Dictionary(), stable="no"),
        "stable must be True or False",
    ),
    "stack of a flag as text": (lambda: emb.StackedEmbeddings(words(), "no"), "overwrite_names must be True or False"),
    "network of a direction": (lambda: emb.DocumentRNNEmbeddings(words(), bidirectional="no"), "bidirectional must be"),
    "network of a layer": (lambda: emb.DocumentRNNEmbeddings(words(), reproject_words="no"), "reproject_words must be"),
    "network of a flag": (
        lambda: emb.DocumentRNNEmbeddings(words(), fine_tune=None),
        "fine_tune must be True or False",
    ),
    "pool of nothing": (lambda: emb.DocumentPoolEmbeddings([]), "DocumentPoolEmbeddings needs at least one"),
    "pool of vectors": (lambda: emb.DocumentPoolEmbeddings(TABLE), "got WordVectors"),
    "pool of a mode": (
        lambda: emb.DocumentPoolEmbeddings(words(), "some"),
        "fine_tune_mode must be one of none, linear",
    ),
    "network of a corpus": (lambda: emb.DocumentRNNEmbeddings(CORPUS), "DocumentRNNEmbeddings takes a list"),
    "network without state": (lambda: emb.DocumentRNNEmbeddings(words(), hidden_size=0), "hidden_size must be"),
    "network of half a layer": (lambda: emb.DocumentRNNEmbeddings(words(), rnn_layers=0.5), "rnn_layers must be"),
    "network of another type": (lambda: emb.DocumentRNNEmbeddings(words(), rnn_type="SRU"), "SRU"),
    "network of too much dropout": (lambda: emb.DocumentRNNEmbeddings(words(), dropout=1.5), "1.5"),
    "seed of text": (lambda: emb.HashEmbeddings(seed="1"), "a seed must be a whole number or None; it is '1'"),
    "seed of too many bits": (lambda: emb.HashEmbeddings(seed=2**64), "a seed must be below"),
    "embed of a text": (lambda: words().embed("a text"), r"got str: write Sentence\(text\)"),
    "embed of texts": (lambda: emb.DocumentPoolEmbeddings(words()).embed(["a text"]), r"write Sentence\(text\)"),
    "embed of a corpus": (lambda: words().embed(CORPUS), r"got Corpus: write corpus\.train"),
    "embed of none": (lambda: words().embed(None), "got NoneType"),
}


@pytest.mark.parametrize("case", BAD)
def test_other_arguments_are_refused(case: str) -> None:
    build, message = BAD[case]
    with pytest.raises(FlairliteError, match=message):
        build()


def test_several_embeddings_may_come_from_a_generator() -> None:
    parts: Any
    for parts in (words(), (words(),), iter([words()]), {words(): 1}.keys()):
        assert StackedEmbeddings(parts).embedding_length == 5
    assert DocumentPoolEmbeddings(part for part in [words(), words()]).embedding_length == 10
    (sentence,) = words().embed(iter([Sentence("the")]))
    assert sentence[0].embedding.tolist() == MATRIX[0].tolist()


# stored copies


ALL: dict[str, Callable[[], Embeddings]] = {
    "words": words,
    "fine-tuned words": lambda: emb.WordEmbeddings(TABLE, fine_tune=True, stable=True),
    "compact words": lambda: emb.WordEmbeddings(TABLE.compact()),
    "words of a dict": lambda: emb.WordEmbeddings(dict(zip(WORDS, MATRIX, strict=True))),
    "characters": lambda: emb.CharacterEmbeddings(hidden_size_char=np.int64(3)),
    "characters of a dictionary": lambda: emb.CharacterEmbeddings(
        Dictionary.from_items(["a", "\n", "\ud800"], add_unk=True)
    ),
    "one-hot": lambda: OneHotEmbeddings.from_corpus(CORPUS, min_freq=1, embedding_length=np.int32(4), stable=True),
    "one-hot without unk": lambda: emb.OneHotEmbeddings(Dictionary.from_items(["the", " ", "été"], add_unk=False)),
    "hash": lambda: emb.HashEmbeddings(np.int64(7), 3, "sha1"),
    "subwords": lambda: emb.SubwordEmbeddings(np.int64(4), 9, np.int8(2), 3),
    "one-hot with dropout": lambda: OneHotEmbeddings.from_corpus(
        CORPUS, min_freq=1, embedding_length=4, lower_case=True, zero_digits=True, unk_dropout=0.1, unk_alpha=0.25
    ),
    "character CNN": lambda: emb.CharacterCNNEmbeddings(None, 5, np.int64(3), [2, np.int32(4)]),
    "affixes": lambda: emb.AffixEmbeddings(np.int64(2), 3, 50),
    "shapes": lambda: emb.WordShapeEmbeddings(np.int64(3), 50),
    "tags": lambda: emb.LexiconEmbeddings({"the": ["DET"], "été": ["NOUN", "VERB"]}),
    "projected numbers": lambda: emb.LexiconEmbeddings({"the": 1, "été": 2.5, "": 3}, np.int64(4), forms=["lower"]),
    "clusters": lambda: emb.ClusterEmbeddings({"the": "01", "été": "1"}, np.int64(2), [1, np.int64(2)]),
    "stack": lambda: emb.StackedEmbeddings([words(), emb.HashEmbeddings(5, 2)]),
    "stack with the names of its parts": lambda: emb.StackedEmbeddings(
        [words(), emb.HashEmbeddings(5, 2)], overwrite_names=False
    ),
    "nested stack": lambda: emb.StackedEmbeddings(
        [emb.AffixEmbeddings(2, 3, 50), emb.StackedEmbeddings([emb.WordShapeEmbeddings(3, 50), words()])]
    ),
    "pool": lambda: emb.DocumentPoolEmbeddings([words(), emb.SubwordEmbeddings(4, 9)], "nonlinear", "max"),
    "network": lambda: emb.DocumentRNNEmbeddings(words(), np.int64(3), bidirectional=True, dropout=np.float64(0.25)),
    "network of a stack": lambda: emb.DocumentRNNEmbeddings(
        [words(), words()], 3, rnn_type="LSTM", reproject_words=False
    ),
}


def embed(embedding: Embeddings) -> list[Any]:
    sentences = embedding.embed([Sentence(text) for text in SENTENCES])
    if embedding.embedding_type == "sentence-level":
        return [sentence.get_embedding([embedding.name]).tolist() for sentence in sentences]
    return [token.get_embedding(embedding.get_names()).tolist() for sentence in sentences for token in sentence]


def through_file(embedding: Embeddings) -> Embeddings:
    buffer = io.BytesIO()
    torch.save(embedding.save_embeddings(), buffer)
    buffer.seek(0)
    loaded: Embeddings = load_embeddings(torch.load(buffer, weights_only=True))
    return loaded


@pytest.mark.filterwarnings("ignore:You are using `torch.load`:FutureWarning")
@pytest.mark.parametrize("how", [through_file, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
@pytest.mark.parametrize("is_renamed", [False, True])
@pytest.mark.parametrize("kind", ALL)
def test_a_stored_copy_embeds_as_the_original(kind: str, is_renamed: bool, how: Callable[[Any], Any]) -> None:
    embedding = ALL[kind]()
    with torch.no_grad():
        for number, weight in enumerate(embedding.parameters()):
            weight.add_(0.01 * (number + 1))
    if is_renamed:
        embedding.name = "my own"
    again = how(embedding)
    assert type(again) is type(embedding)
    assert (again.name, again.get_names()) == (embedding.name, embedding.get_names())
    assert embed(again) == embed(embedding)
    assert again.static_embeddings == embedding.static_embeddings
    assert {name: weight.dtype for name, weight in again.state_dict().items()} == {
        name: weight.dtype for name, weight in embedding.state_dict().items()
    }


@pytest.mark.parametrize("kind", ALL)
def test_embeddings_of_words_and_of_sentences_are_called_alike(kind: str) -> None:
    embedding = ALL[kind]()
    encoded = encode([Sentence(text) for text in SENTENCES], embedding.index, fields=embedding.fields)
    batch = encoded.batch(torch.arange(len(SENTENCES)))
    inputs = embedding.select(batch.table, batch.word_ids)
    vectors = embedding(inputs, batch.lengths, torch.Generator())
    assert vectors.shape[-1] == embedding.embedding_length
    assert len(vectors) == len(SENTENCES)
    if embedding.embedding_type == "word-level":
        assert torch.equal(vectors, embedding(inputs))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("model.pt", r"got str: read a file with torch\.load\(path, weights_only=True\)"),
        ({"class": []}, r"embeddings \[\], which this version"),
        ({**HashEmbeddings(3, 2).save_embeddings(), "more": 1}, "damaged: .*unexpected"),
        ({}, "embeddings None, which this version of flairlite does not know"),
        ({"class": "HashEmbeddings"}, "HashEmbeddings lacks 'num_embeddings'"),
        ({**HashEmbeddings(3, 2).save_embeddings(), "state_dict": {}}, "the weights do not fit HashEmbeddings"),
        ({**HashEmbeddings(3, 2).save_embeddings(), "num_embeddings": 4}, "the weights do not fit HashEmbeddings"),
        ({**HashEmbeddings(3, 2).save_embeddings(), "state_dict": None}, "the weights do not fit HashEmbeddings"),
    ],
)
def test_incomplete_copies_are_refused(params: Any, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        load_embeddings(params)


def test_embeddings_cannot_take_the_name_of_others() -> None:
    other = type("WordEmbeddings", (HashEmbeddings,), {"__module__": "elsewhere"})
    with pytest.raises(SettingError, match="WordEmbeddings of elsewhere have the name of a class of flairlite"):
        register_embeddings(other)
    register_embeddings(WordEmbeddings)  # again, as when a module is reloaded
    assert isinstance(through_file(words()), WordEmbeddings)


# settings of the process


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", 1.5, ["cpu"]])
def test_other_devices_are_refused(device: Any) -> None:
    with pytest.raises(SettingError, match="is not a device: use cpu, cuda or cuda:N"):
        set_device(device)
    with pytest.raises(SettingError, match="is not a device"):
        get_device(device)


@pytest.mark.parametrize("seed", ["1", 1.0, None, 2**64, -(2**63) - 1, [1]])
def test_other_seeds_are_refused(seed: Any) -> None:
    before = get_seed()
    with pytest.raises(SettingError, match="seed must be"):
        set_seed(seed)
    assert get_seed() == before
    integer: Any
    for integer in (np.int64(5), np.uint8(5), 5):
        assert get_seed(integer) == 5


def test_the_cache_folder_may_be_below_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    set_cache_root("~/cache")
    assert flairlite.cache_root == tmp_path / "cache"
    with pytest.raises(SettingError, match="home folder of an unknown user: ~nobody-of-this-name"):
        set_cache_root("~nobody-of-this-name/cache")
    with pytest.raises(SettingError, match="the cache folder must be the path of a folder; it is 5"):
        set_cache_root(5)  # type: ignore[arg-type]
    assert flairlite.cache_root == tmp_path / "cache"
