"""Words get the vectors of the file, in Flair's order of look-up; padding and unknown words get zeros."""

from __future__ import annotations

import gzip
import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from vector_files import vectors_of

from flairlite.bundled import bundled_path
from flairlite.data import Corpus, Sentence
from flairlite.embeddings import StackedEmbeddings, TokenEmbeddings, WordEmbeddings, base, load_embeddings
from flairlite.embeddings.base import embedding_from_params, embedding_to_params, register_embeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import DataUnavailableError, LabelError, ModelFileError, SettingError

WORDS = ["a", "b", "The", "the", "x#", "x0", "x7", "00"]
UNHEARD_OF = "qwxzzv"

Lookup = Callable[[str], list[float]]


def small(*, seed: int = 0, dim: int = 3, fine_tune: bool = False) -> WordEmbeddings:
    matrix = np.random.default_rng(seed).standard_normal((len(WORDS), dim)).astype(np.float32)
    return WordEmbeddings(WordVectors(WORDS, matrix), fine_tune=fine_tune)


def lookup_in(lines: Sequence[str]) -> Lookup:
    """Return Flair's look-up, one word at a time, in the rows of a text file; zeros for a word that is not found."""
    row_of: dict[str, str] = {}
    for line in lines:
        word, _, values = line.partition(" ")
        row_of.setdefault(word, values)

    def vector(word: str) -> list[float]:
        lower = word.lower()
        for form in (word, lower, re.sub(r"\d", "#", lower), re.sub(r"\d", "0", lower)):
            if form in row_of:
                return [float(np.float32(value)) for value in row_of[form].split()]
        return [0.0] * len(lines[0].split()[1:])

    return vector


@pytest.fixture(scope="session")
def mini_file() -> list[str]:
    """Return the rows of the bundled file."""
    with gzip.open(bundled_path("glove-mini/glove.6B.50d.first-30000.txt.gz"), "rt", encoding="utf-8") as file:
        head, *lines = file.read().rstrip("\n").split("\n")
    assert head.split() == ["30000", "50"]
    return lines


# look-up


def test_bundled_vectors_are_looked_up_in_flairs_order(mini_vectors: WordEmbeddings, mini_file: list[str]) -> None:
    vector = lookup_in(mini_file)
    words = ["the", "The", "THE", "Berlin", "1990", "9473", "94", UNHEARD_OF, "25th", "26TH", ",", "é", "9" * 40]
    sentence = Sentence(words)
    mini_vectors.embed(sentence)
    for token in sentence:
        assert token.embedding.tolist() == vector(token.text), token.text
    known = dict(zip(words, (bool(token.embedding.any()) for token in sentence), strict=True))
    assert known["THE"]
    assert known["9473"], "there is a vector of 0000"
    assert not known[UNHEARD_OF]
    assert not known["9" * 40]


def test_each_word_of_the_bundled_corpus_has_its_vector(
    mini_vectors: WordEmbeddings, mini_file: list[str], sample: Corpus
) -> None:
    vector = lookup_in(mini_file)
    sentences = [Sentence(list(sentence.words)) for sentence in sample.dev or ()]
    mini_vectors.embed(sentences)
    known = 0
    for token in itertools.chain.from_iterable(sentences):
        expected = vector(token.text)
        assert token.embedding.tolist() == expected, token.text
        known += any(expected)
    assert known > 100


def test_vectors_of_a_file_are_looked_up_in_flairs_order(tmp_path: Path) -> None:
    rows = [f"{word} {index + 0.5} {-index}" for index, word in enumerate(WORDS)]
    path = tmp_path / "own.txt"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ["A", "The", "THE", "the", "x7", "X7", "X8", "x#", "x1", "12", "1", UNHEARD_OF]
    expected = [lookup_in(rows)(word) for word in words]
    for source in (path, str(path)):
        embedding = WordEmbeddings(source)
        assert embedding.name == str(path)
        assert vectors_of(embedding, [Sentence(words)])[0].tolist() == expected


@pytest.mark.parametrize("fine_tune", [False, True])
def test_unknown_words_and_padding_have_the_zero_vector(device: torch.device, fine_tune: bool) -> None:
    embedding = small(fine_tune=fine_tune).to(device)
    found = vectors_of(embedding, [Sentence(["a", UNHEARD_OF, "b"]), Sentence(["b"])])
    assert found.shape == (2, 3, embedding.embedding_length)
    assert found.dtype == torch.float32
    has_vector = found.ne(0).any(2).tolist()
    assert has_vector == [[True, False, True], [True, False, False]]


def test_trained_vectors_are_initialised_with_the_fixed_vectors(device: torch.device) -> None:
    sentences = [Sentence([*WORDS, UNHEARD_OF, "X9"]), Sentence(["THE"])]
    fixed, trained = small(), small(fine_tune=True).to(device)
    torch.testing.assert_close(vectors_of(trained, sentences).cpu(), vectors_of(fixed, sentences), rtol=0, atol=0)
    assert fixed.embedding_length == trained.embedding_length == 3
    assert not list(fixed.parameters())
    assert not fixed.state_dict(), "fixed vectors are no weights"


@pytest.mark.mirror
def test_glove_has_the_vectors_of_its_file(mirror: Path) -> None:
    embedding = WordEmbeddings("glove")
    assert (embedding.name, embedding.embedding_length) == ("glove", 100)
    with gzip.open(mirror / "glove" / "glove-wiki-gigaword-100.gz", "rt", encoding="utf-8") as file:
        size, dim = map(int, next(file).split())
        lines = [line.rstrip("\n") for line in itertools.islice(file, 0, None, 500)]
    assert dim == 100
    assert len(embedding.vectors) == size
    sentence = Sentence([line.partition(" ")[0] for line in lines])
    embedding.embed(sentence)
    expected = [[np.float32(value) for value in line.split(" ")[1:]] for line in lines]
    np.testing.assert_array_equal(sentence.get_token_embeddings().numpy(), np.array(expected))


# training


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_training_changes_occurring_words_and_keeps_padding_zero(device: torch.device, optimizer: Any) -> None:
    embedding = small(fine_tune=True).to(device)
    weight = embedding.weight
    assert weight is not None
    before = weight.detach().clone()
    steps = optimizer(embedding.parameters(), lr=0.1, weight_decay=0.0)
    for _ in range(3):
        found = vectors_of(embedding, [Sentence(["a", UNHEARD_OF, "x9"]), Sentence(["THE"])])
        torch.autograd.backward((found - 1).pow(2).sum())  # has a gradient for padding, too
        steps.step()
        steps.zero_grad()
    changed = (weight.detach() != before).any(1).tolist()
    rows = [*WORDS, None]
    assert [word for word, is_changed in zip(rows, changed, strict=True) if is_changed] == ["a", "the", "x#"]
    assert not weight[-1].any()


def test_fixed_vectors_have_no_gradient() -> None:
    assert not vectors_of(small(), [Sentence(["a"])]).requires_grad
    assert vectors_of(small(fine_tune=True), [Sentence(["a"])]).requires_grad


def test_training_does_not_change_the_table() -> None:
    trained = small(fine_tune=True)
    before = trained.vectors.matrix.copy()
    assert trained.weight is not None
    with torch.no_grad():
        trained.weight.add_(1)
    np.testing.assert_array_equal(trained.vectors.matrix, before)


# embed


@pytest.mark.parametrize("fine_tune", [False, True])
def test_embed_stores_a_row_of_the_matrix_in_each_token(device: torch.device, fine_tune: bool) -> None:
    embedding = small(fine_tune=fine_tune).to(device)
    sentences = [Sentence(["a", "b"]), Sentence([]), Sentence(["the", UNHEARD_OF, "a"])]
    assert embedding.embed(sentences) == sentences
    expected = vectors_of(embedding, [sentences[0], sentences[2]])
    for sentence, matrix in zip((sentences[0], sentences[2]), expected, strict=True):
        whole = sentence.get_token_embeddings()
        assert whole.tolist() == matrix[: len(sentence)].tolist()
        for index, token in enumerate(sentence):
            assert token.embedding.tolist() == whole[index].tolist()
            assert token.embedding.data_ptr() == whole[index].data_ptr(), "a view, not a copy"
        assert not whole.requires_grad
    assert sentences[1].get_token_embeddings().shape == (0, 3)


def test_embed_accepts_one_sentence_and_no_sentences() -> None:
    embedding = small()
    sentence = Sentence(["a"])
    assert embedding.embed(sentence) == [sentence]
    assert sentence[0].embedding.any()
    assert embedding.embed([]) == []
    assert len(embedding.embed([Sentence([])])) == 1


def test_tokens_without_embed_have_no_vector() -> None:
    with pytest.raises(LabelError, match="call embed"):
        Sentence(["a"])[0].embedding  # noqa: B018


# stacks


def test_a_stack_concatenates_the_vectors_of_its_parts(device: torch.device, mini_vectors: WordEmbeddings) -> None:
    parts = [small(), mini_vectors, small(seed=1, dim=5)]
    stack = StackedEmbeddings(parts)
    assert stack.embedding_length == 3 + 50 + 5
    sentences = [Sentence(["the", UNHEARD_OF, "a", "X7"]), Sentence(["A"])]
    expected = torch.cat([vectors_of(part, sentences) for part in parts], dim=2)
    assert vectors_of(stack, sentences).tolist() == expected.tolist()
    stack.embed(sentences)
    assert [token.embedding.tolist() for token in sentences[0]] == expected[0].tolist()
    mixed = StackedEmbeddings([small(fine_tune=True), StackedEmbeddings(parts[1:])]).to(device)
    assert mixed.embedding_length == stack.embedding_length
    assert vectors_of(mixed, sentences).tolist() == expected.tolist()
    assert list(mixed.state_dict()) == ["embeddings.0.weight"]


def test_a_stack_looks_up_each_distinct_word_once_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    index = WordEmbeddings.index

    def noted(self: WordEmbeddings, words: Sequence[str]) -> Any:
        asked.append(list(words))
        return index(self, words)

    monkeypatch.setattr(WordEmbeddings, "index", noted)
    vectors_of(StackedEmbeddings([small(), small(seed=1)]), [Sentence(["a", "b", "a"]), Sentence(["b"])])
    assert asked == [["a", "b"], ["a", "b"]]


@pytest.mark.parametrize("parts", [[], ["glove"], [small(), torch.nn.Identity()]])
def test_a_stack_of_other_objects_is_refused(parts: Any) -> None:
    with pytest.raises(SettingError, match=r"StackedEmbeddings (needs at least one|takes a list of) embedding"):
        StackedEmbeddings(parts)


# files


@pytest.mark.parametrize("fine_tune", [False, True])
def test_params_are_loaded_from_a_file_without_code(
    tmp_path: Path, mini_vectors: WordEmbeddings, fine_tune: bool
) -> None:
    stack = StackedEmbeddings([small(fine_tune=fine_tune), StackedEmbeddings([mini_vectors])])
    torch.save(embedding_to_params(stack), tmp_path / "embedding.pt")
    params = torch.load(tmp_path / "embedding.pt", weights_only=True)
    again = embedding_from_params(params)
    assert isinstance(again, StackedEmbeddings)
    first, second = again.parts
    assert isinstance(first, WordEmbeddings)
    assert isinstance(second, StackedEmbeddings)
    assert (first.fine_tune, first.name, first.vectors.words) == (fine_tune, "vectors", WORDS)
    assert second.parts[0].name == "glove-mini"
    sentences = [Sentence(["the", UNHEARD_OF, "a", "X7", "1990", "Berlin"])]
    assert vectors_of(again, sentences).tolist() == vectors_of(stack, sentences).tolist()


def test_a_class_is_built_from_its_params() -> None:
    embedding = small()
    again = WordEmbeddings.from_params(embedding.to_params())
    assert again.vectors.words == WORDS
    np.testing.assert_array_equal(again.vectors.matrix, embedding.vectors.matrix)
    stack = StackedEmbeddings.from_params(StackedEmbeddings([embedding, embedding]).to_params())
    assert stack.embedding_length == 6


def test_trained_vectors_are_weights(tmp_path: Path) -> None:
    trained = small(fine_tune=True)
    assert trained.weight is not None
    with torch.no_grad():
        trained.weight[:-1].add_(torch.randn(len(WORDS), 3))
    again = embedding_from_params(embedding_to_params(trained))
    again.load_state_dict(trained.state_dict())
    sentences = [Sentence([*WORDS, UNHEARD_OF])]
    assert vectors_of(again, sentences).tolist() == vectors_of(trained, sentences).tolist()


def test_params_contain_only_plain_values_and_tensors(mini_vectors: WordEmbeddings) -> None:
    def leaves(tree: Any) -> set[type]:
        if isinstance(tree, dict):
            return set().union(*map(leaves, tree.values()))
        if isinstance(tree, list):
            return set().union(*map(leaves, tree))
        return {type(tree)}

    assert leaves(embedding_to_params(StackedEmbeddings([mini_vectors, small()]))) <= {
        str,
        bool,
        int,
        type(None),
        Tensor,
    }


class Ones(TokenEmbeddings):
    """A class of another module."""

    name = "ones"
    embedding_length = 2

    def index(self, words: Sequence[str]) -> Tensor:
        return torch.tensor([*[1.0] * len(words), 0.0])

    def select(self, table: Tensor, word_ids: Tensor) -> Tensor:
        return table[word_ids.long()]

    def forward(self, inputs: Tensor, lengths: Any = None, generator: Any = None) -> Tensor:
        return inputs.unsqueeze(2).expand(-1, -1, 2)

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        return {}

    @classmethod
    def from_params(cls, params: Any) -> Ones:
        return cls()


def test_an_unregistered_class_embeds_and_stacks_but_cannot_be_saved() -> None:
    sentence = Sentence(["a", UNHEARD_OF])
    found = vectors_of(StackedEmbeddings([Ones(), small()]), [sentence, Sentence(["b"])])
    assert found[:, :, :2].tolist() == [[[1, 1], [1, 1]], [[1, 1], [0, 0]]]
    Ones().embed(sentence)
    assert sentence[1].embedding.tolist() == [1, 1]
    with pytest.raises(ModelFileError, match=r"cannot hold Ones: it can hold .*, WordEmbeddings, .*\. Write"):
        embedding_to_params(Ones())
    with pytest.raises(ModelFileError, match="cannot hold Ones"):
        embedding_to_params(StackedEmbeddings([Ones()]))


def test_params_of_an_unknown_class_are_refused() -> None:
    with pytest.raises(ModelFileError, match=r"'ElmoEmbeddings', which this version .* does not know"):
        embedding_from_params({"class": "ElmoEmbeddings"})


# names


@pytest.mark.parametrize("name", ["glov", "no/such/file.txt"])
def test_an_unknown_name_is_refused_with_the_known_names(name: str) -> None:
    with pytest.raises(DataUnavailableError, match=f"'{name}'.*no such file.*glove, glove-mini"):
        WordEmbeddings(name)


def test_repr_shows_name_and_size(mini_vectors: WordEmbeddings) -> None:
    assert repr(mini_vectors) == "WordEmbeddings('glove-mini', 30000 words, 50 features, fine_tune=False)"


# Flair's interface


def test_embeddings_have_flairs_properties(mini_vectors: WordEmbeddings) -> None:
    trained = small(fine_tune=True)
    assert [each.static_embeddings for each in (mini_vectors, trained)] == [True, False]
    assert (mini_vectors.embedding_type, mini_vectors.get_names()) == ("word-level", ["glove-mini"])
    assert not mini_vectors.training
    stack = StackedEmbeddings([mini_vectors, trained])
    assert not stack.training
    assert stack.embedding_type == "word-level"
    assert stack.get_names() == ["0-glove-mini", "1-vectors"]
    assert mini_vectors.name == "glove-mini", "a part keeps its name"
    assert StackedEmbeddings([mini_vectors, trained], overwrite_names=False).get_names() == ["glove-mini", "vectors"]
    with pytest.raises(SettingError, match="two parts have the same name"):
        StackedEmbeddings([trained, trained], overwrite_names=False)


def test_a_stack_stores_the_vectors_of_its_parts_by_name(mini_vectors: WordEmbeddings) -> None:
    parts = [small(seed=seed, dim=2) for seed in range(11)]
    stack = StackedEmbeddings([mini_vectors, *parts])
    sentence = Sentence(["a", "the"])
    stack.embed(sentence)
    token = sentence[1]
    assert token.get_embedding(["00-glove-mini"]).shape == (50,)
    assert [len(each) for each in token.get_each_embedding()] == [50] + [2] * 11
    assert torch.equal(token.get_embedding(stack.get_names()), token.embedding)
    assert torch.equal(token.embedding, vectors_of(stack, [sentence])[0, 1]), "names sort as the parts do"
    token.clear_embeddings()
    assert len(token.get_embedding()) == 0
    assert len(sentence[0].embedding) == 72
    token.set_embedding("own", torch.ones(3))
    assert token.embedding.tolist() == [1, 1, 1]
    with pytest.raises(LabelError, match=r"there are .*'own'"):
        sentence.get_token_embeddings(["own", "00-glove-mini"])  # each is missing in one of the tokens


def test_stable_vectors_have_mean_0_and_variance_1() -> None:
    plain = vectors_of(small(dim=8), [Sentence(["a", UNHEARD_OF, "b"])])
    expected = torch.nn.functional.layer_norm(plain, (8,))
    for fine_tune in (False, True):
        matrix = np.random.default_rng(0).standard_normal((len(WORDS), 8)).astype(np.float32)
        stable = WordEmbeddings(WordVectors(WORDS, matrix), fine_tune=fine_tune, stable=True)
        torch.testing.assert_close(vectors_of(stable, [Sentence(["a", UNHEARD_OF, "b"])]), expected)
        again = embedding_from_params(embedding_to_params(stable))
        assert again.stable
        torch.testing.assert_close(vectors_of(again, [Sentence(["a", UNHEARD_OF, "b"])]), expected)


def test_arguments_have_flairs_positions_and_names() -> None:
    embedding = WordEmbeddings("glove-mini", None, True, force_cpu=False, no_header=True, name="mine")
    assert (embedding.name, embedding.fine_tune) == ("mine", True)


@pytest.mark.parametrize(
    "text",
    ["Hybrid mesons , qq ̄ states with an admixture", "🤟 🤟  🤟 hüllo", "🤟", "my \ufe0f name \u200b is", "\uf8f9"],
)
def test_strange_texts_have_vectors(mini_vectors: WordEmbeddings, text: str) -> None:
    sentence = Sentence(text)
    mini_vectors.embed(sentence)
    assert all(len(token.get_embedding(mini_vectors.get_names())) == 50 for token in sentence)


def test_an_unknown_name_is_a_value_error_as_in_flair() -> None:
    with pytest.raises(ValueError, match="no word embeddings 'other'"):
        WordEmbeddings("other")


def test_a_registered_class_can_be_saved() -> None:
    class Twos(Ones):
        pass

    with pytest.raises(ModelFileError, match="Write @register_embeddings above"):
        embedding_to_params(Twos())
    register_embeddings(Twos)
    try:
        assert isinstance(load_embeddings(Twos().save_embeddings()), Twos)
    finally:
        base._CLASSES.pop("Twos")


def test_classes_may_be_subscripted_as_in_flairs_scripts() -> None:
    class Own(TokenEmbeddings[Sentence]):  # type: ignore[type-arg]
        pass

    assert issubclass(Own, TokenEmbeddings)
    assert TokenEmbeddings[Sentence].__origin__ is TokenEmbeddings  # type: ignore[type-arg]
