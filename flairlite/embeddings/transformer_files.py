"""Transformers of Hugging Face: loaded from a folder or by name, and built again from the content of a model file."""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.checks import folder_path, shown
from flairlite.embeddings.transformer_checks import check_attention, check_reading, check_weights, find_misfit
from flairlite.errors import (
    DataUnavailableError,
    FlairliteError,
    MissingExtraError,
    ModelFileError,
    SettingError,
    UnknownNameError,
)
from flairlite.lookup.subwords import SubwordTokenizer
from flairlite.runtime import seeded
from flairlite.storage.allocation_limit import AllocationLimit

log = logging.getLogger("flairlite")

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_FILES = "config.json, model.safetensors and tokenizer.json (with tokenizer_config.json, if there is one)"
_UNLIMITED = 10**6  # lengths from here on are how tokenizers say that there is no limit
_POSITIONS = {"position_embeddings", "wpe"}  # the names of tables of positions
_ATTENTION = ("eager", "sdpa")  # implementations that need nothing but torch
# types whose networks read padding whatever the mask says, so that padding would change the vectors of a sentence
_PADDING_READERS = {"convbert", "fnet", "nystromformer", "yoso"}
# entries of a configuration that refer to code, to other files, or to how the weights were loaded
_NOT_STORED = {
    "auto_map",
    "quantization_config",
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_internal",
    "_attn_implementation_autoset",
    "_experts_implementation",
    "experts_implementation",
    "_name_or_path",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "output_hidden_states",
}


@dataclass(frozen=True)
class Pretrained:
    """A transformer with its tokenizer.

    Attributes:
        name: Its name.
        model: The encoder, a model of Hugging Face's.
        tokenizer: Splits words into subwords.
        max_length: The largest number of subwords that it reads at once, special tokens included; None for no limit.
        begins_with_cls: Whether each input begins with a token for the whole sentence.
        dtype: The type of its weights when it is loaded, such as `float32`.
    """

    name: str
    model: Any
    tokenizer: SubwordTokenizer
    max_length: int | None
    begins_with_cls: bool
    dtype: str = "float32"

    @property
    def reads_padding(self) -> bool:
        """Whether padding changes the vectors of a sentence."""
        return self.model.config.model_type in _PADDING_READERS

    def to_params(self) -> dict[str, Any]:
        """Return all but the weights as plain containers and tensors."""
        attention = getattr(self.model.config, "_attn_implementation", None)
        return {
            "name": self.name,
            "config": json.dumps(_strip(self.model.config.to_dict()), sort_keys=True),
            # bytes in a tensor: it may have 20 MB, and run.json has a hash in place of a tensor
            "tokenizer": torch.frombuffer(bytearray(self.tokenizer.definition.encode("utf-8")), dtype=torch.uint8),
            "pad_id": self.tokenizer.pad_id,
            "max_length": self.max_length,
            "begins_with_cls": self.begins_with_cls,
            "attention": attention if attention in _ATTENTION else None,
            "dtype": self.dtype,
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Pretrained:
        """Build the transformer from the result of `to_params`; its weights are loaded afterwards.

        No file is read, no connection is opened and no code but that of the installed `transformers` is run.

        Raises:
            ModelFileError: If the parameters are damaged, or of a model that this version of transformers lacks.
            MissingExtraError: If transformers is not installed.
        """
        transformers = import_transformers()
        try:
            return cls._restore(transformers, params)
        except (FlairliteError, KeyError, MemoryError):
            raise
        except Exception as error:  # transformers raises many types
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise ModelFileError(f"the transformer cannot be built ({reason}): copy or save it again") from error

    @classmethod
    def _restore(cls, transformers: Any, params: Mapping[str, Any]) -> Pretrained:
        definition, content = params["tokenizer"], json.loads(params["config"])
        if not isinstance(definition, Tensor) or definition.dtype != torch.uint8 or not isinstance(content, dict):
            raise ModelFileError("the transformer or its tokenizer is damaged: copy the file again")
        kind = str(content.get("model_type"))
        if kind not in transformers.CONFIG_MAPPING:
            raise ModelFileError(
                f"the file holds a transformer of type {kind!r}, which transformers {transformers.__version__} does "
                "not know: upgrade transformers"
            )
        config = transformers.CONFIG_MAPPING[kind].from_dict(_strip(content))
        options = {"attn_implementation": params["attention"]} if params["attention"] in _ATTENTION else {}
        with _quiet(transformers), seeded(0):
            model = _find_class(transformers, config).from_config(config, trust_remote_code=False, **options)
        tokenizer = SubwordTokenizer(bytes(definition.numpy()).decode("utf-8"), int(params["pad_id"]))
        if misfit := find_misfit(tokenizer, model):
            raise ModelFileError(f"{misfit}: copy the file again")
        dtype = getattr(torch, str(params["dtype"]), None)
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ModelFileError(f"{params['dtype']!r} is not a type of weights: copy the file again")
        max_length = None if params["max_length"] is None else int(params["max_length"])
        if tokenizer.pad_id < 0 or (max_length is not None and max_length >= _UNLIMITED):
            raise ModelFileError("the padding or the length of the transformer is not possible: copy the file again")
        return cls(
            str(params["name"]),
            _remove_pooler(model).to(dtype),
            tokenizer,
            max_length,
            bool(params["begins_with_cls"]),
            str(params["dtype"]),
        )


def import_transformers() -> Any:
    """Return the module `transformers`.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("embeddings of transformers need the package transformers", extra="transformers") from (
            error
        )
    return transformers


def load_pretrained(
    model: str | Path,
    *,
    tokenizer_options: Mapping[str, Any] | None = None,
    config_options: Mapping[str, Any] | None = None,
    model_options: Mapping[str, Any] | None = None,
    with_separator: bool = False,
    seed: int | None = None,
) -> Pretrained:
    """Load a transformer and its tokenizer from a folder, or by name from Hugging Face's cache or hub.

    With `FLAIRLITE_OFFLINE=1` and for folders, no connection is opened.

    Args:
        model: The folder or the name.
        tokenizer_options: Further arguments of `AutoTokenizer.from_pretrained`.
        config_options: Further arguments of `AutoConfig.from_pretrained`.
        model_options: Further arguments of `AutoModel.from_pretrained`.
        with_separator: Whether to add `[FLERT]` to the vocabulary.
        seed: The seed of weights that are not in the files: the vector of `[FLERT]`.

    Raises:
        SettingError: If an argument is invalid, the tokenizer is not a fast one, or the model does not read text.
        DataUnavailableError: If files are missing or damaged, or the name is not available.
        MissingExtraError: If transformers is not installed.
    """
    transformers = import_transformers()
    folder = _find_folder(model)
    is_local = folder is not None or os.environ.get("FLAIRLITE_OFFLINE", "0") not in ("", "0")
    source = str(model if folder is None else folder)
    base = {"local_files_only": is_local, "trust_remote_code": False}
    options = [
        {**base, **_check_options(f"transformers_{name}_kwargs", value)}
        for name, value in (("tokenizer", tokenizer_options), ("config", config_options), ("model", model_options))
    ]
    if not is_local:
        log.info("loading the transformer %s from Hugging Face's cache or hub", source)
    with _quiet(transformers), _explaining(source, folder, is_local=is_local), seeded(seed):
        config = transformers.AutoConfig.from_pretrained(source, **options[1])
        check_attention(source, options[2].get("attn_implementation", getattr(config, "_attn_implementation", None)))
        tokenizer = _load_tokenizer(transformers, source, options[0])
        with contextlib.nullcontext() if folder is None else AllocationLimit(8 * _count_bytes(folder)):
            encoder, info = _find_class(transformers, config).from_pretrained(
                source, config=config, output_loading_info=True, **options[2]
            )
        encoder = _remove_pooler(encoder)
        check_weights(source, encoder, info["missing_keys"])
        if not {"dtype", "torch_dtype"} & options[2].keys():
            encoder = encoder.float()  # checkpoints in half precision are stored so to save space, not to train in it
        subwords = _convert(tokenizer, encoder, add_space=options[0].get("add_prefix_space", True))
        check_reading(encoder)
        if misfit := find_misfit(subwords, encoder):
            raise DataUnavailableError(
                f"in {source}, {misfit}: give files that belong together, or save the model after "
                "model.resize_token_embeddings"
            )
        if with_separator and subwords.add_separator() >= len(encoder.get_input_embeddings().weight):
            encoder.resize_token_embeddings((subwords.separator or 0) + 1, mean_resizing=False)
    first = subwords.prefix[0] if subwords.prefix else None
    return Pretrained(
        (folder.name if folder is not None else source) or "transformer",
        encoder.eval(),
        subwords,
        _find_max_length(tokenizer, encoder),
        first is not None and first == tokenizer.cls_token_id,
        str(next(encoder.parameters()).dtype).removeprefix("torch."),
    )


def _load_tokenizer(transformers: Any, source: str, options: Mapping[str, Any]) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(source, **options)
    if not tokenizer.is_fast:
        raise SettingError(
            f"{source} has the slow tokenizer {type(tokenizer).__name__}, which does not tell which word a subword "
            "belongs to: give a model with a tokenizer.json, the file of a fast one"
        )
    return tokenizer


def find_layers(model: nn.Module) -> tuple[tuple[str, ...], int]:
    """Return the names of a transformer's lists of layers, or of parts of layers, and the number of layers.

    Raises:
        SettingError: If there is no such list, as in models whose layers share their weights.
    """
    count, found = getattr(model.config, "num_hidden_layers", 0), dict[str, list[str]]()
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            found.setdefault(name.rpartition(".")[0], []).append(name)
    if found:
        return tuple(next(iter(found.values()))), count  # further down are lists within a layer
    raise SettingError(
        f"the layers of {type(model).__name__} have no weights of their own: leave out frozen_layers and layer_decay"
    )


def _find_folder(model: Any) -> Path | None:
    """Return the folder that is meant, or None for a name.

    Raises:
        SettingError: If the argument is neither.
        DataUnavailableError: If the folder does not exist or lacks files.
    """
    if not isinstance(model, (str, Path)) or not str(model):
        raise SettingError(f"model must be a folder or a name such as 'bert-base-uncased'; it is {shown(model)}")
    folder = folder_path("model", model)
    if not folder.is_dir():
        if isinstance(model, Path) or str(model).startswith((".", "/", "~")) or str(model).count("/") > 1:
            raise DataUnavailableError(f"no folder {folder}: give a folder with {_FILES}, or a name")
        return None
    missing = [
        name
        for name, files in (("config.json", ("config.json",)), ("weights", _WEIGHTS), ("a tokenizer", _TOKENIZERS))
        if not any((folder / file).is_file() for file in files)
    ]
    if missing:
        raise DataUnavailableError(
            f"the folder {folder} lacks {' and '.join(missing)}: put {_FILES} into it, as save_pretrained of the model "
            "and of the tokenizer write them"
        )
    return folder


def _count_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.suffix in (".safetensors", ".bin"))


def _check_options(name: str, options: Any) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise SettingError(f"{name} must be a dict of arguments; it is {shown(options)}")
    if options.get("trust_remote_code"):
        raise SettingError(f"{name} cannot have trust_remote_code: code of a model's folder is never run")
    return dict(options)


@contextlib.contextmanager
def _explaining(source: str, folder: Path | None, *, is_local: bool) -> Iterator[None]:
    """Turn the errors of transformers into one that says what to do."""
    try:
        yield
    except (SettingError, DataUnavailableError, MemoryError):
        raise
    except Exception as error:  # transformers, safetensors and tokenizers raise many types
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        if "trust_remote_code" in str(error):
            raise SettingError(
                f"{source} is of a type that transformers does not know without running code of the model's own, which "
                "is never done: give a model of another type, or upgrade transformers"
            ) from error
        if folder is not None:
            raise DataUnavailableError(
                f"the model in {source} cannot be loaded: {reason}. Check that it has the complete files {_FILES}"
            ) from error
        reached = "FLAIRLITE_OFFLINE is set, so the hub was not asked" if is_local else reason
        raise UnknownNameError(
            f"no transformer {source!r} in Hugging Face's cache ({reached}). With a network, unset FLAIRLITE_OFFLINE; "
            f"without one, put {_FILES} into a folder, and give the path of the folder"
        ) from error


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep transformers from printing progress bars and warnings of weights that are not needed here."""
    logging_of = transformers.utils.logging
    verbosity, has_bars = logging_of.get_verbosity(), logging_of.is_progress_bar_enabled()
    logging_of.set_verbosity_error()
    logging_of.disable_progress_bar()
    try:
        yield
    finally:
        logging_of.set_verbosity(verbosity)
        if has_bars:
            logging_of.enable_progress_bar()


def _find_class(transformers: Any, config: Any) -> Any:
    """Return the class that makes the encoder of a configuration.

    Raises:
        SettingError: If the model reads something else than text, or has no encoder of its own.
    """
    as_encoder = transformers.MODEL_FOR_TEXT_ENCODING_MAPPING.get(type(config), None)  # of T5 without its decoder
    is_pair = bool(getattr(config, "is_encoder_decoder", False))
    found = as_encoder or (None if is_pair else transformers.MODEL_MAPPING.get(type(config), None))
    if found is None or getattr(found, "main_input_name", "input_ids") != "input_ids":
        raise SettingError(
            f"a model of type {config.model_type!r} is not an encoder of text: give one such as BERT, RoBERTa, "
            "DeBERTa, ELECTRA, XLM-R or ModernBERT"
        )
    return transformers.AutoModel if as_encoder is None else transformers.AutoModelForTextEncoding


def _remove_pooler(model: Any) -> Any:
    """Remove the layer after the last one, whose output is not used, from models that can be made without it."""
    if "add_pooling_layer" in inspect.signature(type(model).__init__).parameters:
        model.pooler = None
    return model


def _convert(tokenizer: Any, model: Any, *, add_space: bool) -> SubwordTokenizer:
    """Return the tokenizer of transformers as one of flairlite.

    Byte-level tokenizers only know a word by the space before it, which is added to each word.
    """
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    if add_space:
        _add_space(definition)
    ids = (tokenizer.pad_token_id, getattr(model.config, "pad_token_id", None), 0)
    return SubwordTokenizer(
        json.dumps(definition), next(int(found) for found in ids if found is not None and found >= 0)
    )


def _add_space(definition: dict[str, Any]) -> None:
    """Change a tokenizer so that it reads each word with a space before it, if it is a byte-level one."""
    whole = definition.get("pre_tokenizer") or {}
    parts = whole.get("pretokenizers", [whole])
    kinds = [part.get("type") for part in parts]
    if kinds[:1] == ["ByteLevel"]:
        parts[0]["add_prefix_space"] = True
    elif "ByteLevel" in kinds:  # others cut the word before, and each part would get a space
        prepend = {"type": "Prepend", "prepend": " "}
        normalizers = [part for part in (definition.get("normalizer"), prepend) if part is not None]
        definition["normalizer"] = {"type": "Sequence", "normalizers": normalizers}


def _find_max_length(tokenizer: Any, model: Any) -> int | None:
    limits = [tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None)]
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in _POSITIONS and hasattr(module, "weight"):
            padding = getattr(module, "padding_idx", None)
            reserved = 0 if padding is None else padding + 1  # RoBERTa's count from there
            limits.append(len(module.weight) - reserved)
            break
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < _UNLIMITED]
    return min(known, default=None)


def _strip(content: Any) -> Any:
    """Return a configuration without the entries that are not stored."""
    if isinstance(content, Mapping):
        return {str(key): _strip(value) for key, value in content.items() if key not in _NOT_STORED}
    if isinstance(content, (list, tuple)):
        return [_strip(item) for item in content]
    return str(content).removeprefix("torch.") if isinstance(content, torch.dtype) else content
