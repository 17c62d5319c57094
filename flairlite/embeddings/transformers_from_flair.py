"""Embeddings of transformers in files of Flair, which contain the tokenizer as a zip archive of its files.

The transformer is written to a temporary folder as Hugging Face saves models, and loaded from there as others are.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from flairlite.embeddings.base import embedding_to_params
from flairlite.embeddings.flair_weights import FlairWeights
from flairlite.embeddings.transformer import TransformerDocumentEmbeddings, TransformerWordEmbeddings
from flairlite.embeddings.transformer_files import import_transformers
from flairlite.errors import FlairliteError, ModelFileError
from flairlite.storage.flair_file import BYTES
from flairlite.storage.pickle_reader import Instance, Name

_MAX_SIZE = 256 << 20  # bytes of the unpacked files of a tokenizer
_SUFFIXES = (".json", ".txt", ".model")


def convert_transformer(params: Mapping[str, Any], weights: FlairWeights) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the parameters and the weights of an embedding of flairlite.

    Raises:
        ModelFileError: If the parameters or weights are not those of a transformer, or an option is not offered.
        MissingExtraError: If transformers is not installed.
    """
    import_transformers()
    for option in ("force_max_length", "needs_manual_ocr", "feature_extractor_data", "peft_config"):
        if params.get(option):
            raise ModelFileError(f"its transformer has {option}, which flairlite does not offer")
    is_of_words = bool(params["is_token_embedding"])
    if is_of_words and params["is_document_embedding"]:
        raise ModelFileError("its transformer embeds words and texts at once, which flairlite does not offer")
    tensors = weights.under("model").take_all()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _write_files(params, tensors, Path(folder))
            embedding = _load(params, folder, is_of_words=is_of_words)
    except FlairliteError as error:
        raise ModelFileError(f"its transformer cannot be built: {error}") from error
    return embedding_to_params(embedding), dict(embedding.state_dict())


def _load(params: Mapping[str, Any], folder: str, *, is_of_words: bool) -> Any:
    name = str(params["name"])
    settings = {option: params[option] for option in ("fine_tune", "layers", "layer_mean", "allow_long_sentences")}
    if not is_of_words:
        pooling = params.get("cls_pooling", "cls")
        return TransformerDocumentEmbeddings(folder, **settings, cls_pooling=pooling, name=name)
    return TransformerWordEmbeddings(
        folder,
        **{**settings, "allow_long_sentences": True},  # Flair stores only whether the tokenizer can split them
        subtoken_pooling=params["subtoken_pooling"],
        use_context=int(params["context_length"]),
        context_dropout=params["context_dropout"],
        respect_document_boundaries=params["respect_document_boundaries"],
        use_context_separator=params.get("use_context_separator", False),
        name=name,
    )


def _write_files(params: Mapping[str, Any], tensors: dict[str, Tensor], folder: Path) -> None:
    from safetensors.torch import save_file

    data, config = params["tokenizer_data"], params["config_state_dict"]
    if not (isinstance(data, Instance) and data.kind.name == BYTES and isinstance(config, dict) and tensors):
        raise ModelFileError("it has no tokenizer, configuration or weights: copy the file again")
    try:
        with zipfile.ZipFile(io.BytesIO(data.state[0])) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MAX_SIZE:
                raise ModelFileError(f"its tokenizer has more than {_MAX_SIZE:,} bytes")
            for info in archive.infolist():
                name = Path(info.filename).name  # never a path that leads elsewhere
                if name.endswith(_SUFFIXES):
                    (folder / name).write_bytes(archive.read(info))
    except (zipfile.BadZipFile, OSError, TypeError, IndexError, RuntimeError) as error:
        raise ModelFileError(f"its tokenizer is damaged: {error}. Copy the file again") from error
    kept = {name: value for name, value in config.items() if not isinstance(value, Name) and name != "auto_map"}
    try:
        (folder / "config.json").write_text(json.dumps(kept), encoding="utf-8")
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"its configuration is damaged: {error}. Copy the file again") from error
    save_file(
        {name: weight.contiguous() for name, weight in tensors.items()}, folder / "model.safetensors", {"format": "pt"}
    )
