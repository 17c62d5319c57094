"""Models in files of Flair, as the content of a model file of flairlite.

The transitions of Flair's CRF are `[to, from]` and include the tags `<START>` and `<STOP>`; they become those between
tags, from the start and to the end. The classes are sorted as flairlite lists them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flairlite.data.dictionary import START, STOP, UNKNOWN
from flairlite.data.tag_schemes import OUTSIDE, tags_for
from flairlite.embeddings.flair_weights import FlairWeights, read_dictionary, take_rnn
from flairlite.embeddings.from_flair import Converted, convert_embedding, prefixed
from flairlite.errors import FlairliteError, ModelFileError
from flairlite.storage.flair_file import read_flair_file

log = logging.getLogger("flairlite")

_IMPOSSIBLE = -10_000.0  # Flair's score of a transition that must not occur
_UNLIKELY = -1_000.0  # below this, the probability of a transition is 0 in float32

Content = dict[str, Any]


def read_flair_model(path: Path) -> Content:
    """Read a model that Flair 0.12 to 0.15.1 wrote as the content of a model file of flairlite.

    Raises:
        ModelFileError: If the file is not Flair's, or is damaged, or the class of the model, of its embeddings, or an
            option of them is not offered.
    """
    state = read_flair_file(path, required=("state_dict", "__cls__"))
    name, tensors = state["__cls__"], state["state_dict"]
    if not isinstance(name, str) or name not in _CONVERTERS:
        raise ModelFileError(
            f"{path} holds a {name} of Flair, which is not offered: {', '.join(_CONVERTERS)} can be loaded"
        )
    if not isinstance(tensors, dict):
        raise ModelFileError(f"{path} is damaged: its weights are a {type(tensors).__name__}. Copy it again")
    weights = FlairWeights(dict(tensors))
    try:
        content = _CONVERTERS[name](state, weights)
        weights.drop("loss_function.weight")  # the loss weights, which the settings contain too
    except KeyError as error:
        raise ModelFileError(f"{path} is damaged: it has no {error}. Copy it again") from error
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except (FlairliteError, MemoryError):
        raise
    except Exception as error:  # the content of a file may be anything
        raise ModelFileError(f"{path} is damaged: {error!r:.200}. Copy it again") from error
    if rest := weights.names():
        raise ModelFileError(f"{path} has weights that flairlite's {name} does not have: {', '.join(rest[:5])}")
    log.info("%s: read a %s of Flair", path, name)
    return content


def _convert_tagger(state: Mapping[str, Any], weights: FlairWeights) -> Content:
    embedding = convert_embedding(state["embeddings"], weights.under("embeddings"))
    tags = read_dictionary(state["tag_dictionary"]).get_items()
    classes = _Classes(tags, state.get("tag_format", "BIOES"))
    use_rnn, use_crf = bool(state["use_rnn"]), bool(state["use_crf"])
    converted = _take_decoder(classes, weights, "linear")
    sizes: dict[str, Any] = {}
    if state.get("reproject_embeddings", True):
        converted["reprojection.weight"] = weights.take("embedding2nn.weight", None, None)
        converted["reprojection.bias"] = weights.take("embedding2nn.bias", None)
    if use_rnn:
        rnn, sizes = take_rnn(weights.under("rnn"))
        converted |= prefixed("rnn", rnn)
    if use_crf:
        name = "crf.transitions" if weights.has("crf.transitions") else "transitions"
        transitions = weights.take(name, len(tags), len(tags))
        converted |= prefixed("crf", _convert_transitions(transitions, tags, classes))
    weights.drop("lstm_init_h", "lstm_init_c")  # with train_initial_hidden_state; Flair learns but never uses them
    settings = {
        "tag_items": classes.labels,
        "tag_type": state["tag_type"],
        "span_labels": classes.are_spans,
        "tag_format": classes.scheme,
        "allow_unk_predictions": classes.has_unknown,
        "use_rnn": use_rnn,
        **sizes,
        "rnn_type": state.get("rnn_type", "LSTM"),
        "use_crf": use_crf,
        "reproject_embeddings": bool(state.get("reproject_embeddings", True)),
        "loss_weights": None if use_crf else classes.loss_weights(state.get("weight_dict")),  # Flair's CRF ignores them
        **{name: float(state.get(f"use_{name}") or 0.0) for name in ("dropout", "word_dropout", "locked_dropout")},
    }
    return _content("SequenceTagger", settings, embedding, converted)


def _convert_token_classifier(state: Mapping[str, Any], weights: FlairWeights) -> Content:
    classes = _Classes(read_dictionary(state["label_dictionary"]).get_items(), "BIOES")
    embedding = convert_embedding(state["embeddings"], weights.under("embeddings"))
    settings = {
        **_classifier_settings(state, classes),
        "span_labels": classes.are_spans,
        "span_encoding": classes.scheme,
    }
    return _content("TokenClassifier", settings, embedding, _take_decoder(classes, weights, "decoder"))


def _convert_text_classifier(state: Mapping[str, Any], weights: FlairWeights) -> Content:
    multi_label = bool(state["multi_label"])
    items = read_dictionary(state["label_dictionary"]).get_items()
    classes = _Classes(items, None, keep_unknown=not multi_label)
    embedding = convert_embedding(state["document_embeddings"], weights.under("embeddings"))
    thresholds = state.get("multi_label_threshold", 0.5)
    if isinstance(thresholds, Mapping):  # Flair ignores labels that it does not know
        thresholds = {name: value for name, value in thresholds.items() if name in (*classes.labels, "default")}
    settings = {
        **_classifier_settings(state, classes),
        "multi_label": multi_label,
        "multi_label_threshold": thresholds,
    }
    return _content("TextClassifier", settings, embedding, _take_decoder(classes, weights, "decoder"))


def _classifier_settings(state: Mapping[str, Any], classes: _Classes) -> dict[str, Any]:
    for option in ("inverse_model", "decoder"):
        if state.get(option):
            raise ModelFileError(f"it was trained with {option}, which flairlite does not offer")
    return {
        "label_items": classes.labels,
        "label_type": state["label_type"],
        "allow_unk_predictions": classes.has_unknown,
        "loss_weights": classes.loss_weights(state.get("loss_weights") or state.get("weight_dict")),
        **{name: float(state.get(name, 0.0)) for name in ("dropout", "word_dropout", "locked_dropout")},
    }


class _Classes:
    """The classes of a model of Flair.

    Args:
        items: The items of Flair's dictionary, in the order of the rows of the weights.
        scheme: The tag scheme of spans that Flair was told; None if spans cannot be labelled.
        keep_unknown: Whether `<unk>` stays a class, as it is for Flair.

    Attributes:
        are_spans: Whether the classes are tags of spans, which Flair decides by the names.
        labels: The items of the dictionary of flairlite.
        class_names: The classes of flairlite.
        rows: (K,) the row of each class in Flair's weights; -1 for tags that Flair's dictionary lacks.
        has_unknown: Whether `<unk>` is a class. It never is one of spans.
    """

    def __init__(self, items: Sequence[str], scheme: str | None, *, keep_unknown: bool = True) -> None:
        names = [item for item in items if item not in (START, STOP)]
        self.are_spans = scheme is not None and any(name.startswith(("B-", "S-", "I-")) for name in names)
        self.has_unknown = keep_unknown and UNKNOWN in names and not self.are_spans
        self.scheme = _find_scheme(names, scheme or "BIOES")
        known = [name for name in names if name != UNKNOWN]
        if self.are_spans:
            known = list(dict.fromkeys(name[2:] for name in known if name != OUTSIDE))
            self.class_names = list(tags_for(known, self.scheme))
        else:
            self.class_names = [UNKNOWN, *known] if self.has_unknown else known
        self.labels = [UNKNOWN, *known] if UNKNOWN in names else known
        row_of = {item: row for row, item in enumerate(items)}
        self.rows = torch.tensor([row_of.get(name, -1) for name in self.class_names], dtype=torch.int64)
        self.num_rows = len(items)

    def loss_weights(self, given: Any) -> dict[str, float] | None:
        """Return the weights of the classes that exist, as Flair ignores others."""
        return {name: float(given[name]) for name in self.class_names if name in given} if given else None


def _find_scheme(names: Sequence[str], scheme: str) -> str:
    """Return the tag scheme that the tags show; Flair does not store that of a `TokenClassifier`."""
    prefixes = {name[:2] for name in names}
    if not prefixes & {"B-", "I-", "S-"}:
        return scheme.upper()
    return "BIOES" if prefixes & {"S-", "E-"} else "BIO"


def _take_decoder(classes: _Classes, weights: FlairWeights, name: str) -> dict[str, Tensor]:
    """Return the layer that scores the classes; a tag that Flair's dictionary lacks is never predicted."""
    weight = weights.take(f"{name}.weight", classes.num_rows, None)
    bias = weights.take(f"{name}.bias", classes.num_rows)
    is_missing = classes.rows < 0  # (K,)
    return {
        f"{name}.weight": weight[classes.rows].masked_fill(is_missing.unsqueeze(1), 0.0),  # (K, H)
        f"{name}.bias": bias[classes.rows].masked_fill(is_missing, _IMPOSSIBLE),  # (K,)
    }


def _convert_transitions(transitions: Tensor, tags: Sequence[str], classes: _Classes) -> dict[str, Tensor]:
    """Return the scores of a `LinearChainCRF` from Flair's (tags to, tags from)."""
    if START not in tags or STOP not in tags:
        raise ModelFileError(f"its dictionary has no {START} and {STOP}, which Flair's CRF needs: copy it again")
    start, stop = tags.index(START), tags.index(STOP)
    allowed = [index for index in range(len(tags)) if index not in (start, stop)]
    if max(float(transitions[start, allowed].max()), float(transitions[allowed, stop].max())) > _UNLIKELY:
        raise ModelFileError(f"its CRF allows words with the tag {START} or {STOP}, which flairlite's does not have")
    rows = classes.rows
    return {
        "transitions": transitions[rows][:, rows].t().contiguous(),  # (K from, K to)
        "start": transitions[rows, start].clone(),  # (K,)
        "end": transitions[stop, rows].clone(),  # (K,)
    }


def _content(name: str, settings: dict[str, Any], embedding: Converted, weights: dict[str, Tensor]) -> Content:
    return {
        "class": name,
        "settings": settings,
        "tokenizer": None,
        "embeddings": embedding.params,
        "state": {**prefixed("embeddings", embedding.weights), **weights},
    }


_CONVERTERS: dict[str, Callable[[Mapping[str, Any], FlairWeights], Content]] = {
    "SequenceTagger": _convert_tagger,
    "TokenClassifier": _convert_token_classifier,
    "WordTagger": _convert_token_classifier,  # its name until Flair 0.12.2
    "TextClassifier": _convert_text_classifier,
}
