"""Embeddings in files of Flair: their parameters and weights as those of the classes of flairlite."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flairlite.data.dictionary import UNKNOWN
from flairlite.embeddings.flair_weights import FlairWeights, read_dictionary, take_rnn
from flairlite.embeddings.language_model import convert_language_model
from flairlite.embeddings.pooled_flair import WordMemory
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import ModelFileError


@dataclass(frozen=True)
class Converted:
    """An embedding of flairlite.

    Attributes:
        params: The result of `embedding_to_params`.
        weights: Its weights, by their names in the module.
    """

    params: dict[str, Any]
    weights: dict[str, Tensor]


def convert_embedding(params: Any, weights: FlairWeights) -> Converted:
    """Convert an embedding.

    Args:
        params: What Flair's `save_embeddings` returned.
        weights: The weights of the embedding.

    Raises:
        ModelFileError: If the class is not offered, or the parameters or weights are not as Flair writes them.
    """
    name = params.get("__cls__") if isinstance(params, Mapping) else type(params).__name__
    if name not in _CONVERTERS:
        raise ModelFileError(
            f"it contains embeddings {name}, which cannot be converted: those of {', '.join(sorted(_CONVERTERS))} can"
        )
    return _CONVERTERS[name](params, weights)


def prefixed(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with a prefix and a dot before their names."""
    return {f"{prefix}.{name}": weight for name, weight in weights.items()}


def _convert_words(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    vocabulary = params["vocab"]
    if not isinstance(vocabulary, dict):
        raise ModelFileError("the vocabulary of WordEmbeddings is not a dictionary: copy it again")
    rows = torch.tensor(list(vocabulary.values()), dtype=torch.int64)  # (V,)
    table = weights.take("embedding.weight", None, params["embedding_length"])
    if (len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(table)) or len(rows) >= len(table):
        raise ModelFileError("the vocabulary and the vectors of WordEmbeddings do not fit: copy it again")
    matrix, unknown = table[rows], table[len(rows)]  # (V, D), (D,)
    fine_tune, is_stable = bool(params["fine_tune"]), bool(params["stable"])
    is_trained = fine_tune or bool(unknown.any())  # only a trained table has a vector for unknown words
    converted: dict[str, Tensor] = {"weight": torch.cat((matrix, unknown.unsqueeze(0)))} if is_trained else {}
    if fine_tune and is_stable:
        converted |= {f"layer_norm.{name}": weights.take(f"layer_norm.{name}", None) for name in ("weight", "bias")}
    elif is_trained and is_stable:
        raise ModelFileError("fixed WordEmbeddings with a vector for unknown words cannot be normalised")
    name = _without_position(params["name"])
    return Converted(
        {
            "class": "WordEmbeddings",
            "given_name": name,
            "name": name,
            "field": params["field"],
            "fine_tune": is_trained,
            "stable": is_stable,
            "compact": False,
            "vectors": WordVectors(list(vocabulary), matrix.numpy()).to_tensors(),
        },
        converted,
    )


def _convert_characters(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    characters = read_dictionary(params["path_to_char_dict"], with_unknown=True)
    rnn, sizes = take_rnn(weights.under("char_rnn"))
    table = weights.take("char_embedding.weight", len(characters), None)
    name = _without_position(params.get("name", "Char"))  # Flair 0.12 and 0.13 did not store it
    return Converted(
        {
            "class": "FlairCharacterEmbeddings",
            "given_name": name,
            "characters": characters.get_items(),
            "char_embedding_dim": table.shape[1],
            "hidden_size_char": sizes["hidden_size"],
            "name": name,
        },
        {"char_embedding.weight": table, **prefixed("char_rnn", rnn)},
    )


def _convert_one_hot(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    items = read_dictionary(params["vocab_dictionary"])
    table = weights.take("embedding_layer.weight", len(items), params["embedding_length"])
    is_stable = bool(params.get("stable", False))
    names = ("weight", "bias") if is_stable else ()
    norm = {f"layer_norm.{name}": weights.take(f"layer_norm.{name}", None) for name in names}
    add_unk = items.add_unk and items.get_items()[:1] == [UNKNOWN]
    return Converted(
        {
            "class": "OneHotEmbeddings",
            "given_name": f"one-hot-{params['field']}",
            "items": items.get_items(),
            "add_unk": add_unk,
            "field": params["field"],
            "embedding_length": table.shape[1],
            "stable": is_stable,
        },
        {"embedding_layer.weight": torch.cat((table, table.new_zeros(1, table.shape[1]))), **norm},
    )


def _convert_hash(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    table = weights.take("embedding_layer.weight", params["num_embeddings"], params["embedding_length"])
    settings = {name: params[name] for name in ("num_embeddings", "embedding_length", "hash_method")}
    return Converted({"class": "HashEmbeddings", "given_name": "hash", **settings}, {"embedding_layer.weight": table})


def _convert_flair(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    if not params.get("tokenized_lm", True):
        raise ModelFileError("its FlairEmbeddings have tokenized_lm=False, which flairlite does not offer")
    own = weights.under("lm")
    settings = convert_language_model(params["model_params"], own)
    own.drop("decoder.weight", "decoder.bias")  # which predicts characters
    taken = own.take_all()
    name = _without_position(params["name"])
    return Converted(
        {
            "class": "FlairEmbeddings",
            "given_name": name,
            "fine_tune": bool(params["fine_tune"]),
            "chars_per_chunk": params["chars_per_chunk"],
            "with_whitespace": True,  # Flair does not store it, and loads models with True
            "is_lower": bool(params["is_lower"]),
            "name": name,
            "language_model": settings,
        },
        prefixed("lm", taken),
    )


def _convert_pooled_flair(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    """Convert the embeddings with an empty memory: Flair does not store it, and begins with an empty one too."""
    inner = params["contextual_embeddings"]
    if not isinstance(inner, Mapping) or inner.get("__cls__") != "FlairEmbeddings":
        raise ModelFileError("its PooledFlairEmbeddings have no FlairEmbeddings: copy it again")
    words = _convert_flair(inner, weights.under("context_embeddings"))
    if words.params["fine_tune"]:
        raise ModelFileError("its PooledFlairEmbeddings train their language model, which flairlite does not offer")
    pooling, only_capitalized = params["pooling"], bool(params["only_capitalized"])
    name = f"{words.params['name']}-context"
    settings = {"pooling": pooling, "only_capitalized": only_capitalized, "contextual_embeddings": words.params}
    size = words.params["language_model"]["nout"] or words.params["language_model"]["hidden_size"]
    return Converted(
        {"class": "PooledFlairEmbeddings", "given_name": name, **settings},
        {
            **prefixed("context_embeddings", words.weights),
            **prefixed("memory", WordMemory(size, pooling).state_dict()),
        },
    )


def _convert_transformer(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    from flairlite.embeddings.transformers_from_flair import convert_transformer

    return Converted(*convert_transformer({**params, "name": _without_position(params["name"])}, weights))


def _convert_stack(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    parts = params["embeddings"]
    if not isinstance(parts, list) or not parts:
        raise ModelFileError("its StackedEmbeddings have no parts: copy it again")
    if any(isinstance(part, Mapping) and part.get("__cls__") == "PooledFlairEmbeddings" for part in parts):
        raise ModelFileError(
            "it stacks PooledFlairEmbeddings with others, whose vectors Flair joins in another order in training than "
            "after loading: train the model with flairlite"
        )
    # Flair joins the vectors in the order of their names, which begin with the position: "10-" is less than "2-"
    order = sorted(range(len(parts)), key=lambda index: f"{index}-")
    converted = [convert_embedding(parts[index], weights.under(f"list_embedding_{index}")) for index in order]
    joined = {
        f"embeddings.{index}.{name}": weight
        for index, part in enumerate(converted)
        for name, weight in part.weights.items()
    }
    settings = {"parts": [part.params for part in converted], "overwrite_names": True}
    return Converted({"class": "StackedEmbeddings", "given_name": "Stack", **settings}, joined)


def _convert_pool(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    words = convert_embedding(params["embeddings"], weights.under("embeddings"))
    mode, pooling = params["fine_tune_mode"], params["pooling"]
    layers: dict[str, Tensor] = {}
    if mode != "none":
        layers["layers.0.weight"] = weights.take("embedding_flex.weight", None, None)
    if mode == "nonlinear":
        layers["layers.2.weight"] = weights.take("embedding_flex_nonlinear_map.weight", None, None)
        layers["layers.2.bias"] = weights.take("embedding_flex_nonlinear_map.bias", None)
    return Converted(
        {
            "class": "DocumentPoolEmbeddings",
            "given_name": f"document_{pooling}",
            "embeddings": words.params,
            "fine_tune_mode": mode,
            "pooling": pooling,
        },
        {**prefixed("embeddings", words.weights), **layers},
    )


def _convert_document_rnn(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    words = convert_embedding(params["embeddings"], weights.under("embeddings"))
    rnn, sizes = take_rnn(weights.under("rnn"))
    rnn_type = "LSTM" if params["rnn_type"] == "LSTM" else "GRU"  # Flair makes a GRU of every other type
    return Converted(
        {
            "class": "DocumentRNNEmbeddings",
            "given_name": f"document_{rnn_type}",
            "embeddings": words.params,
            **sizes,
            "rnn_type": rnn_type,
            **_document_settings(params),
        },
        {
            **prefixed("embeddings", words.weights),
            **_take_reprojection(params, weights),
            **prefixed("rnn", rnn),
        },
    )


def _convert_document_cnn(params: Mapping[str, Any], weights: FlairWeights) -> Converted:
    words = convert_embedding(params["embeddings"], weights.under("embeddings"))
    return Converted(
        {
            "class": "DocumentCNNEmbeddings",
            "given_name": "document_cnn",
            "embeddings": words.params,
            "kernels": [list(pair) for pair in params["kernels"]],
            **_document_settings(params),
        },
        {
            **prefixed("embeddings", words.weights),
            **_take_reprojection(params, weights),
            **prefixed("convs", weights.under("convs").take_all()),
        },
    )


def _document_settings(params: Mapping[str, Any]) -> dict[str, Any]:
    names = ("reproject_words", "reproject_words_dimension", "dropout", "word_dropout", "locked_dropout", "fine_tune")
    return {name: params[name] for name in names}


def _take_reprojection(params: Mapping[str, Any], weights: FlairWeights) -> dict[str, Tensor]:
    if not params["reproject_words"]:
        weights.drop("word_reprojection_map.weight", "word_reprojection_map.bias")
        return {}
    return {
        "reprojection.weight": weights.take("word_reprojection_map.weight", None, None),
        "reprojection.bias": weights.take("word_reprojection_map.bias", None),
    }


def _without_position(name: Any) -> str:
    """Return the name of an embedding without the positions that Flair's stacks put before it."""
    return re.sub(r"^(\d+-)+", "", str(name)) or str(name)


# Classes that are not listed here are refused by name; another class needs a function like those above.
_CONVERTERS: dict[str, Callable[[Mapping[str, Any], FlairWeights], Converted]] = {
    "WordEmbeddings": _convert_words,
    "CharacterEmbeddings": _convert_characters,
    "OneHotEmbeddings": _convert_one_hot,
    "HashEmbeddings": _convert_hash,
    "StackedEmbeddings": _convert_stack,
    "FlairEmbeddings": _convert_flair,
    "PooledFlairEmbeddings": _convert_pooled_flair,
    "TransformerWordEmbeddings": _convert_transformer,
    "TransformerDocumentEmbeddings": _convert_transformer,
    "DocumentPoolEmbeddings": _convert_pool,
    "DocumentRNNEmbeddings": _convert_document_rnn,
    "DocumentCNNEmbeddings": _convert_document_cnn,
}
