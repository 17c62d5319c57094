"""Export models to ONNX files, which `flairlite.deploy` predicts with; see `flairlite.deploy.file_format`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from flairlite.checks import file_path
from flairlite.data.dictionary import UNKNOWN
from flairlite.deploy.file_format import ExportedFile, write_export
from flairlite.embeddings import (
    AffixEmbeddings,
    CharacterCNNEmbeddings,
    CharacterEmbeddings,
    ClusterEmbeddings,
    DocumentCNNEmbeddings,
    DocumentPoolEmbeddings,
    DocumentRNNEmbeddings,
    FlairEmbeddings,
    HashEmbeddings,
    LexiconEmbeddings,
    OneHotEmbeddings,
    StackedEmbeddings,
    SubwordEmbeddings,
    TokenEmbeddings,
    TransformerDocumentEmbeddings,
    TransformerWordEmbeddings,
    WordEmbeddings,
    WordShapeEmbeddings,
)
from flairlite.embeddings.trained import TEXT
from flairlite.errors import ModelFileError
from flairlite.lookup.packing import PackedWords
from flairlite.lookup.word_ids import to_smallest
from flairlite.models.classifier import DefaultClassifier
from flairlite.models.onnx_graph import (
    Graph,
    add_ends,
    add_linear,
    add_pooling,
    add_rnn,
    add_word_convolutions,
    characters_network,
    language_model_network,
    words_network,
)
from flairlite.models.sequence_tagger import SequenceTagger
from flairlite.models.serialization import tokenizer_to_params
from flairlite.models.text_classifier import TextClassifier
from flairlite.models.token_classifier import TokenClassifier
from flairlite.models.word_decoder import WordDecoder
from flairlite.nn import LinearChainCRF
from flairlite.tasks import DocumentTask, SpanTask, Task
from flairlite.tasks.documents import DEFAULT

if TYPE_CHECKING:
    from flairlite.models.model import Model

Settings = dict[str, Any]
Arrays = dict[str, NDArray[Any]]


def export_model(model: Model, path: str | Path) -> None:
    """Write a model to a file that `flairlite.deploy.load` reads; see `Model.export`."""
    path = file_path("path", path)
    if type(model) not in (SequenceTagger, TokenClassifier, TextClassifier):  # a subclass may compute something else
        raise _unsupported("the model", type(model).__name__)
    features, arrays = _word_features(model)
    settings, task_arrays = _labels(model)
    network = _network(model, sum(part["length"] for part in features))
    settings |= {
        "features": features,
        "fields": list(model.embeddings.fields),
        "tokenizer": tokenizer_to_params(model.tokenizer),
    }
    write_export(path, ExportedFile(settings, arrays | task_arrays, network))


def _labels(model: Model) -> tuple[Settings, Arrays]:
    """Return what turns scores into labels: of the main label type, and of others in `other_types`."""
    if isinstance(model, SequenceTagger):
        main, *others = [_type_labels(head.task, head.word_decoder.chain(head.crf)) for head in model.heads]
    else:
        decoder: WordDecoder | None = getattr(model, "word_decoder", None)
        main, *others = [_type_labels(model.task, decoder.chain(None) if decoder else None)]
    settings, arrays = main
    if others:
        settings["other_types"] = [own_settings for own_settings, _ in others]
    for index, (_, own_arrays) in enumerate(others, start=1):
        arrays |= {f"type {index}.{name}": array for name, array in own_arrays.items()}
    return settings, arrays


def _type_labels(task: Task, chain: LinearChainCRF | None) -> tuple[Settings, Arrays]:
    """Return the settings and arrays of one label type; see `flairlite.deploy.labelers`."""
    settings: Settings = {"label_type": task.label_type, "label_names": list(task.label_names), "has_chain": False}
    if isinstance(task, DocumentTask):
        default = task.threshold.get(DEFAULT, 0.5)
        thresholds = [task.threshold.get(name, default) for name in task.label_names]
        settings |= {"unit": "sentence", "multi_label": task.multi_label}
        return settings, {"thresholds": np.array(thresholds, dtype=np.float32)} if task.multi_label else {}
    settings["unit"] = "word"
    arrays: Arrays = {}
    if chain is not None:
        settings["has_chain"] = True
        scores = chain.scores
        arrays = {name: _to_array(getattr(scores, name)) for name in ("transitions", "start", "end")}
    if isinstance(task, SpanTask):
        settings |= {"unit": "span", "class_names": list(task.class_names)}
        tables = zip(("begins", "continues", "extensions"), task.span_tables(), strict=True)
        arrays |= {name: table.numpy() for name, table in tables}
    return settings, arrays


# Embeddings


def _word_features(model: Model) -> tuple[list[Settings], Arrays]:
    """Return the settings of each embedding of words, and the arrays of all; see `WordFeatures`."""
    words = model.embeddings
    if type(words) in (DocumentPoolEmbeddings, DocumentRNNEmbeddings, DocumentCNNEmbeddings):
        words = words.embeddings  # type: ignore[assignment]
    settings: list[Settings] = []
    arrays: Arrays = {}
    for index, embedding in enumerate(_parts(words)):
        own_settings, own_arrays = _export_embedding(embedding)
        settings.append({**own_settings, "length": embedding.embedding_length})
        arrays |= {f"{index}.{name}": array for name, array in own_arrays.items()}
    return settings, arrays


def _parts(embedding: Any) -> Iterator[TokenEmbeddings]:
    """Yield the embeddings in a stack, or the embedding itself."""
    if type(embedding) is not StackedEmbeddings:
        yield embedding
        return
    for part in embedding.parts:
        yield from _parts(part)


def _export_embedding(embedding: TokenEmbeddings) -> tuple[Settings, Arrays]:
    """Return the settings and arrays of one embedding; see `flairlite.deploy.features`."""
    kind: Any = type(embedding)  # a subclass may compute something else
    if kind is WordEmbeddings:
        return _export_vectors(embedding)  # type: ignore[arg-type]
    if kind is OneHotEmbeddings:
        return _export_one_hot(embedding)  # type: ignore[arg-type]
    if kind is HashEmbeddings:
        arrays = {"matrix": _to_array(embedding.embedding_layer.weight)}  # type: ignore[arg-type, union-attr]
        return {"kind": "hash", "hash_method": embedding.hash_method}, arrays
    if kind is SubwordEmbeddings:
        lengths = {"min_length": embedding.min_length, "max_length": embedding.max_length}
        return {"kind": "subwords", **lengths}, {"matrix": _to_array(embedding.weight)}  # type: ignore[arg-type]
    if kind is AffixEmbeddings:
        return {"kind": "affixes", "max_length": embedding.max_length}, {"matrix": _to_array(embedding.weight)}  # type: ignore[arg-type]
    if kind is WordShapeEmbeddings:
        return {"kind": "shapes"}, {"matrix": _to_array(embedding.weight)}  # type: ignore[arg-type]
    if kind is LexiconEmbeddings:
        return _export_lexicon(embedding)  # type: ignore[arg-type]
    if kind is ClusterEmbeddings:
        return _export_clusters(embedding)  # type: ignore[arg-type]
    if kind in (CharacterEmbeddings, CharacterCNNEmbeddings):
        return _export_characters(embedding)
    if kind is FlairEmbeddings:
        return _export_language_model(embedding)  # type: ignore[arg-type]
    if kind in (TransformerWordEmbeddings, TransformerDocumentEmbeddings):
        return _export_transformer(embedding)
    raise _unsupported("the embeddings", kind.__name__)


def _export_vectors(embedding: WordEmbeddings) -> tuple[Settings, Arrays]:
    tensors = embedding.vectors.to_tensors()
    sizes = {name: int(tensors.pop(name)) for name in ("dim", "bits") if name in tensors}
    arrays: Arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    words = PackedWords(arrays["words"], arrays["offsets"])
    arrays |= _index(words)
    if embedding.weight is None:
        settings = {"kind": "vectors", "field": embedding.field, "stable": embedding.stable}
        return {**settings, "bits": sizes.get("bits", 12)}, arrays
    for name in ("codes", "scales"):  # the vectors before training
        arrays.pop(name, None)
    arrays["matrix"] = _normalized(embedding.weight, embedding.layer_norm)
    return {"kind": "trained_vectors", "field": embedding.field}, arrays


def _export_one_hot(embedding: OneHotEmbeddings) -> tuple[Settings, Arrays]:
    items = PackedWords.pack(embedding.vocab_dictionary.get_items())
    arrays: Arrays = {"words": items.text, "offsets": items.offsets, **_index(items)}
    arrays["matrix"] = _normalized(embedding.embedding_layer.weight, embedding.layer_norm)
    unknown = 0 if embedding.vocab_dictionary.add_unk else len(items)
    field = None if embedding.field == TEXT else embedding.field
    forms = {"lower_case": embedding.lower_case, "zero_digits": embedding.zero_digits}
    return {"kind": "one_hot", "field": field, "unknown": unknown, **forms}, arrays


def _export_lexicon(embedding: LexiconEmbeddings) -> tuple[Settings, Arrays]:
    lexicon, projection = embedding.lexicon, embedding.projection
    arrays: Arrays = {**lexicon.words.to_arrays(), "codes": lexicon.codes, "low": lexicon.low, "step": lexicon.step}
    if projection is not None:
        arrays |= {"weight": _to_array(projection.weight.t()), "bias": _to_array(projection.bias)}
    return {"kind": "lexicon", "forms": list(embedding.forms)}, arrays


def _export_clusters(embedding: ClusterEmbeddings) -> tuple[Settings, Arrays]:
    arrays: Arrays = {"rows": to_smallest(embedding.prefix_rows), "matrix": _to_array(embedding.weight)}
    return {"kind": "clusters"}, {**embedding.clusters.words.to_arrays(), **arrays}


def _export_characters(embedding: Any) -> tuple[Settings, Arrays]:
    characters = embedding.char_dictionary
    settings = {"characters": characters.get_items(), "unknown": characters.get_idx_for_item(UNKNOWN)}
    if isinstance(embedding, CharacterCNNEmbeddings):
        settings |= {"kind": "character_windows", "widths": list(embedding.widths)}
        network = characters_network(embedding.char_embedding, embedding.convolutions)
    else:
        settings |= {"kind": "characters"}
        network = characters_network(embedding.char_embedding, embedding.char_rnn)
    return settings, {"network": np.frombuffer(network, np.uint8)}


def _export_language_model(embedding: FlairEmbeddings) -> tuple[Settings, Arrays]:
    model, reader = embedding.lm, embedding.reader
    settings = {
        "kind": "language_model",
        "characters": model.settings["characters"],
        "start": reader.start,
        "is_forward": reader.is_forward,
        "with_whitespace": reader.with_whitespace,
        "is_lower": reader.is_lower,
        "chunk_size": reader.chunk_size,
        "states": [(model.rnn.num_layers, model.rnn.hidden_size)] * (2 if isinstance(model.rnn, nn.LSTM) else 1),
    }
    return settings, {"network": np.frombuffer(language_model_network(model), np.uint8)}


def _export_transformer(embedding: Any) -> tuple[Settings, Arrays]:
    from flairlite.models.transformer_graph import transformer_network

    tokenizer, windows = embedding.pretrained.tokenizer, embedding.windows
    settings = {
        "name": embedding.name,
        "pad_id": tokenizer.pad_id,
        "capacity": windows and windows.capacity,
        "stride": windows and windows.stride,
        "allow_long_sentences": embedding.allow_long_sentences,
    }
    if isinstance(embedding, TransformerWordEmbeddings):
        settings |= {
            "kind": "transformer",
            "pooling": embedding.subtoken_pooling,
            "context": embedding.use_context,
            "respect_document_boundaries": embedding.respect_document_boundaries,
            "separator": embedding.use_context_separator,
        }
    else:
        with_cls = embedding.pretrained.begins_with_cls
        settings |= {"kind": "transformer_sentences", "pooling": embedding.cls_pooling, "begins_with_cls": with_cls}
    parts = {"tokenizer": tokenizer.definition.encode("utf-8"), "network": transformer_network(embedding)}
    return settings, {name: np.frombuffer(part, np.uint8) for name, part in parts.items()}


def _index(words: PackedWords) -> Arrays:
    """Return the index of words by hash, so that it need not be computed when the file is loaded."""
    return {"hashes": words.index.hashes, "order": words.index.order.astype(np.int32)}


def _normalized(table: Tensor, norm: nn.LayerNorm | None) -> NDArray[np.float32]:
    """Return trained vectors after layer normalisation, if there is one."""
    if norm is not None:
        table = layer_norm(table, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
    return _to_array(table)


# Networks


def _network(model: Model, num_features: int) -> bytes:
    """Return the network from the vectors of words to the scores of classes."""
    graph = Graph()
    features = graph.node("Gather", "table", "word_ids")  # (T, B, D)
    if isinstance(model, SequenceTagger):
        scores = _add_tagger(graph, features, model)
    else:
        scores = _add_classifier(graph, features, cast("DefaultClassifier", model))
    shape = ("time", "batch", sum(len(task.class_names) for task in model.tasks))
    return words_network(graph, num_features, scores, shape if model.task.by_word else shape[1:])


def _add_tagger(graph: Graph, features: str, model: SequenceTagger) -> str:
    if model.rnn is not None:
        features = add_rnn(graph, features, "lengths", model.rnn, projection=model.reprojection)
    elif model.reprojection is not None:
        features = add_linear(graph, features, model.reprojection)
    return add_linear(graph, features, *(head.linear for head in model.heads))  # (T, B, sum of K)


def _add_classifier(graph: Graph, features: str, model: DefaultClassifier) -> str:
    embedding: Any = model.embeddings
    if type(embedding) is DocumentPoolEmbeddings:
        for layer in embedding.layers:
            if isinstance(layer, nn.Linear):
                features = add_linear(graph, features, layer)
            else:
                features = graph.node("Relu", features)
        features = add_pooling(graph, features, "lengths", embedding.pooling)  # (B, D)
    elif type(embedding) is DocumentRNNEmbeddings:
        states = add_rnn(graph, features, "lengths", embedding.rnn, projection=embedding.reprojection)
        features = add_ends(graph, states, "lengths", with_first=embedding.bidirectional)  # (B, D)
    elif type(embedding) is DocumentCNNEmbeddings:
        layers: Any = embedding.convs
        features = add_word_convolutions(graph, features, "lengths", list(layers), embedding.reprojection)  # (B, D)
    elif type(embedding) is TransformerDocumentEmbeddings:
        features = graph.node("Gather", features, graph.scalar(0), axis=0)  # (B, D): a sentence is the only step
    elif not model.task.by_word:
        raise _unsupported("the embeddings", type(embedding).__name__)
    return add_linear(graph, features, model.decoder)  # (T, B, K) or (B, K)


def _to_array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return array


def _unsupported(part: str, name: str) -> ModelFileError:
    return ModelFileError(
        f"{part} {name} cannot be exported: export models of the classes SequenceTagger, TokenClassifier and "
        "TextClassifier over the embeddings in docs/guide/deploy.md, not over subclasses of them"
    )
