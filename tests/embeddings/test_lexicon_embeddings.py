"""Embeddings of lexica and Brown clusters: look-up in dicts, one word at a time, is the oracle."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from vector_files import vectors_of

from flairlite.data import Sentence
from flairlite.embeddings import ClusterEmbeddings, LexiconEmbeddings, load_embeddings
from flairlite.embeddings.lexicon import Lexicon, words_from_tensors, words_to_tensors
from flairlite.errors import ModelFileError, SettingError
from flairlite.lookup.word_ids import WordIds

TAGS = {"run": {"VERB", "NOUN"}, "Run": "PROPN", "the": ["DET"], "": ("X",), "straße": ["NOUN"], "🙂": ["SYM"]}
NUMBERS = {"run": (-8.0, 3), "Run": (-9.5, 1), "the": (-2.25, 0), "STOP": (-20, 7)}
CLUSTERS = {"run": "0110", "Run": "0111", "the": "00", "of": "000110110110", "IBM": "1"}
QUERIES = [
    "run",
    "Run",
    "RUN",
    "The",
    "the",
    "stop",
    "Stop",
    "",
    "unknown",
    "STRASSE",
    "Straße",
    "🙂",
    "x" * 600,
    "\ud800",
]
FORMS = {"exact": str, "lower": str.lower, "title": str.capitalize, "upper": str.upper}

words = st.text(st.sampled_from("aAbBßéÉ中🙂 \ud800"), max_size=5) | st.text(max_size=70)


def stored(embedding: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(embedding.save_embeddings(), buffer)
    buffer.seek(0)
    return load_embeddings(torch.load(buffer, weights_only=True))


# tags and numbers


@pytest.mark.parametrize("forms", [("exact", "lower"), ("lower",), ("upper", "title", "exact")])
def test_features_of_tags_are_those_of_each_form(device: torch.device, forms: tuple[str, ...]) -> None:
    embedding = LexiconEmbeddings(TAGS, forms=forms).to(device)
    names = ["DET", "NOUN", "PROPN", "SYM", "VERB", "X"]
    assert embedding.lexicon.tags == tuple(names)
    assert embedding.embedding_length == len(forms) * (1 + len(names))
    found = vectors_of(embedding, [QUERIES, ["run"]])
    assert not found[1, 1:].any(), "padding is zero"
    for word, row in zip(QUERIES, found[0].cpu(), strict=True):
        expected: list[float] = []
        for form in forms:
            entry = TAGS.get(FORMS[form](word))
            tags = {entry} if isinstance(entry, str) else set(entry or ())
            expected += [entry is not None, *(name in tags for name in names)]
        assert row.tolist() == expected, word[:20]


def test_numbers_are_standardised_and_rounded_to_256_values() -> None:
    embedding = LexiconEmbeddings(NUMBERS, forms=["exact"])
    matrix = np.array(list(NUMBERS.values()), dtype=float)
    expected = (matrix - matrix.mean(0)) / matrix.std(0)
    found = vectors_of(embedding, [[*NUMBERS, "unknown"]])[0].numpy()
    assert found[:, 0].tolist() == [1, 1, 1, 1, 0]
    steps = np.ptp(expected, axis=0) / 255
    assert (np.abs(found[:4, 1:] - expected) <= steps / 2 + 1e-6).all()
    assert not found[4].any()


@pytest.mark.parametrize("entries", [{"a": 1, "b": 1.0}, {"a": [0.0]}, {"a": np.float32(2), "b": np.int8(3)}])
def test_single_and_constant_numbers_are_features(entries: dict[str, Any]) -> None:
    found = vectors_of(LexiconEmbeddings(entries, forms=["exact"]), [["a", "c"]])
    assert found.shape == (1, 2, 2)
    assert found.isfinite().all()
    assert found[0, 0, 0] == 1


def test_a_projection_is_a_linear_layer_with_relu(device: torch.device) -> None:
    plain, projected = LexiconEmbeddings(TAGS), LexiconEmbeddings(TAGS, 5, seed=2).to(device)
    found = vectors_of(projected, [QUERIES, ["run"]])
    assert projected.projection is not None
    expected = projected.projection(vectors_of(plain, [QUERIES]).to(device)).relu()
    torch.testing.assert_close(found[:1], expected)
    assert not found[1, 1:].any(), "padding is zero"
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert projected.projection.weight.grad is not None
    assert projected.projection.weight.grad.any()
    assert LexiconEmbeddings(TAGS).static_embeddings
    assert not projected.static_embeddings
    rounded = vectors_of(projected.bfloat16(), [QUERIES])
    torch.testing.assert_close(rounded.float(), found[:1].detach(), atol=0.02, rtol=0.02)


def test_words_that_no_form_has_are_reported() -> None:
    embedding = LexiconEmbeddings(TAGS)
    (unknown,) = embedding.unknown_words(embedding.index(["RUN", "unknown", "the"])).values()
    assert unknown.tolist() == [False, True, False, True]
    clusters = ClusterEmbeddings(CLUSTERS)
    (unknown,) = clusters.unknown_words(clusters.index(["RUN", "unknown", "ibm"])).values()
    assert unknown.tolist() == [False, True, True, True]


@given(st.dictionaries(words, st.lists(st.sampled_from(["A", "B", "C"]), min_size=1), min_size=1), st.lists(words))
@example({"a": ["A"], "b": ["A"], "ab": ["B"]}, ["A", "ab", "abc"])
def test_a_lexicon_from_a_file_is_the_lexicon(entries: dict[str, list[str]], queries: list[str]) -> None:
    embedding = LexiconEmbeddings(entries)
    again = stored(embedding)
    assert list(again.lexicon.words.words) == sorted(entries, key=lambda word: word.encode("utf-8", "surrogatepass"))
    assert again.lexicon.tags == embedding.lexicon.tags
    queries = [*entries, *queries]
    assert torch.equal(vectors_of(again, [queries]), vectors_of(embedding, [queries]))
    for word, row in zip(queries, vectors_of(again, [queries])[0], strict=True):
        expected = [word in entries, *(tag in entries.get(word, ()) for tag in again.lexicon.tags)]
        assert row[: len(expected)].tolist() == expected


# clusters


def test_a_word_has_the_vectors_of_the_prefixes_of_its_cluster(device: torch.device) -> None:
    embedding = ClusterEmbeddings(CLUSTERS, 3, (2, 4, 20)).to(device)
    assert embedding.embedding_length == 9
    prefixes = sorted({(length, path[:length]) for path in CLUSTERS.values() for length in (2, 4, 20)})
    found = vectors_of(embedding, [QUERIES, ["run"]])
    assert not found[1, 1:].any(), "padding is zero"
    for word, row in zip(QUERIES, found[0], strict=True):
        path = CLUSTERS.get(word, CLUSTERS.get(word.lower()))
        rows = [len(prefixes)] * 3 if path is None else [prefixes.index((size, path[:size])) for size in (2, 4, 20)]
        assert torch.equal(row, embedding.weight[rows].flatten()), word[:20]
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert embedding.weight.grad is not None
    assert not embedding.weight.grad[-1].any()


def test_clusters_from_a_file_are_the_clusters() -> None:
    embedding = ClusterEmbeddings(CLUSTERS, 3, (2, 20), name="brown")
    again = stored(embedding)
    assert (again.name, again.clusters.paths, again.prefix_lengths) == ("brown", embedding.clusters.paths, (2, 20))
    assert torch.equal(vectors_of(again, [QUERIES]), vectors_of(embedding, [QUERIES]))
    sentence = Sentence(["The", "run"])
    again.embed(sentence)
    assert torch.equal(sentence[1].embedding, vectors_of(embedding, [["run"]])[0, 0])


@pytest.mark.parametrize("clusters", [[], ["1", "01"], ["1", "1"], ["12"], [""], [1]])
def test_other_clusters_of_a_file_are_refused(clusters: list[Any]) -> None:
    params = ClusterEmbeddings(CLUSTERS, 3).save_embeddings()
    with pytest.raises(ModelFileError, match="the clusters are damaged"):
        load_embeddings({**params, "clusters": clusters})


# files


@given(st.lists(words, unique=True, max_size=12), st.data())
def test_word_ids_survive_their_tensors(entries: list[str], data: st.DataObject) -> None:
    ids = [data.draw(st.integers(0, 300)) for _ in entries]
    table = WordIds.build(entries, ids)
    again = words_from_tensors(words_to_tensors(table), num_ids=301)
    assert again.find(entries, missing=-1).tolist() == ids
    assert again.find(["never seen before"], missing=7).tolist() == [7]


def test_a_lexicon_of_100000_words_takes_less_than_a_megabyte(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    stems = ["".join(generator.choice(list("etaoinshrdlu"), size)) for size in generator.integers(3, 9, 20_000)]
    entries = {stem + ending: ending or "x" for stem in stems for ending in ("", "s", "ed", "ing", "er", "ly", "ness")}
    entries = dict(list(entries.items())[:100_000])
    assert len(entries) == 100_000
    torch.save(LexiconEmbeddings(entries).save_embeddings(), tmp_path / "lexicon.pt")
    assert (tmp_path / "lexicon.pt").stat().st_size < 1_000_000


def tensors_of(**changes: Any) -> dict[str, Any]:
    return {**Lexicon.from_mapping({"ab": "A", "abc": "B", "b": "A"}).to_tensors(), **changes}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "'codes' of the lexicon must be a 2-dimensional tensor of torch.uint8, got NoneType"),
        (tensors_of(text=torch.zeros(2, dtype=torch.uint8)), "do not span"),
        (tensors_of(shared=torch.tensor([0, 200, 0], dtype=torch.uint8)), "do not span"),
        (tensors_of(shared=torch.zeros(2, dtype=torch.uint8)), "2, 3 and 3 entries"),
        (tensors_of(lengths=torch.tensor([-1, 3, 2])), "do not span"),
        (tensors_of(ids=torch.tensor([0, 1, 2])), "an id is out of range"),
        (tensors_of(ids=torch.tensor([0, 1, -1])), "an id is out of range"),
        (tensors_of(text=torch.full((4,), 255, dtype=torch.uint8)), "invalid start byte"),
        (tensors_of(low=torch.zeros(3)), "its features differ in number"),
        (tensors_of(step=torch.tensor([1.0, torch.nan])), "its features differ in number"),
    ],
)
def test_tensors_of_no_lexicon_are_refused(tensors: dict[str, Any], message: str) -> None:
    Lexicon.from_tensors(tensors_of(), ["A", "B"])
    with pytest.raises(ModelFileError, match=message):
        Lexicon.from_tensors(tensors, ["A", "B"])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LexiconEmbeddings({}), "needs at least one word"),
        (lambda: LexiconEmbeddings("lexicon.tsv"), r"it is 'lexicon.tsv'. Read files with read_word_tags"),  # type: ignore[arg-type]
        (lambda: LexiconEmbeddings({1: "A"}), "must be strings; one is 1"),  # type: ignore[dict-item]
        (lambda: LexiconEmbeddings({"a": None}), "'a' has None"),
        (lambda: LexiconEmbeddings({"a": True}), "'a' has True"),
        (lambda: LexiconEmbeddings({"a": "A", "b": ""}), "'b' has ''"),
        (lambda: LexiconEmbeddings({"a": ["A", ""]}), r"'a' has \['A', ''\]"),
        (lambda: LexiconEmbeddings({"a": ["A", 1]}), r"'a' has \['A', 1\]"),
        (lambda: LexiconEmbeddings({"a": "A", "b": 1}), r"'a' has \['A'\], 'b' has \[1\]"),
        (lambda: LexiconEmbeddings({"a": [1, 2], "b": 1}), r"'b' has \[1\]"),
        (lambda: LexiconEmbeddings({"a": 1, "b": float("nan")}), "must be finite; 'b'"),
        (lambda: LexiconEmbeddings({"a": 1, "b": 10**400}), "must be finite; 'b'"),
        (lambda: LexiconEmbeddings({"a": []}), "1 to 1,000 different tags; it has 0"),
        (lambda: LexiconEmbeddings({str(n): str(n) for n in range(1001)}), "it has 1,001"),
        (lambda: LexiconEmbeddings(TAGS, 0), "embedding_length must be at least 1"),
        (lambda: LexiconEmbeddings(TAGS, forms=()), "forms must be some of exact, lower, title, upper"),
        (lambda: LexiconEmbeddings(TAGS, forms=("lower", "lower")), "forms must be some of"),
        (lambda: LexiconEmbeddings(TAGS, forms="exact"), "forms must be"),
        (lambda: ClusterEmbeddings({}), "at least one word"),
        (lambda: ClusterEmbeddings({"a": "012"}), "'a' has '012'"),
        (lambda: ClusterEmbeddings({"a": ""}), "'a' has ''"),
        (lambda: ClusterEmbeddings({"a": 10}), "'a' has 10"),  # type: ignore[dict-item]
        (lambda: ClusterEmbeddings(CLUSTERS, prefix_lengths=()), "prefix_lengths must be"),
    ],
)
def test_other_arguments_are_refused(build: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build()
