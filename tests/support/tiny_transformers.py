"""Small random transformers of several kinds with small trained tokenizers, saved as Hugging Face saves models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from flairlite.runtime import seeded

KINDS = ("bert", "roberta", "deberta-v2", "electra", "xlm-roberta", "modernbert", "distilbert", "t5", "gpt2")
BYTE_LEVEL = ("roberta", "modernbert", "gpt2")
MAX_LENGTH = 64  # subwords that each model reads at once, special tokens included
SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}

_TEXTS = ["I love unbelievably nice Berlin .", "the children of the old town were reading", "Grüße aus Köln 2024 !"] * 5
_SPECIAL = {"unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}


def save_transformer(kind: str, folder: Path, **changes: Any) -> Path:
    """Save a random model of a type with its tokenizer, and return the folder."""
    import transformers

    tokenizer = _make_tokenizer(kind)
    tokenizer.save_pretrained(folder)
    config = transformers.CONFIG_MAPPING[kind](
        **{**_sizes(kind), "vocab_size": len(tokenizer) + 3 * (kind == "electra"), **changes}
    )
    with seeded(1):
        if kind == "t5":
            model = transformers.T5EncoderModel(config)
        else:
            model = transformers.AutoModel.from_config(config)
        for weight in model.parameters():  # larger than at the start of training, so that vectors differ more
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    return folder


def load_reference(folder: Path) -> tuple[Any, Any]:
    """Return the tokenizer, with a space before each word, and the model as transformers loads them."""
    import transformers
    from tokenizers import pre_tokenizers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if folder.name in BYTE_LEVEL:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    kind = transformers.T5EncoderModel if "t5" in folder.name else transformers.AutoModel
    return tokenizer, kind.from_pretrained(folder).eval()


def _sizes(kind: str) -> dict[str, Any]:
    if kind == "distilbert":
        return {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": MAX_LENGTH}
    if kind == "t5":
        return {"d_model": 16, "num_layers": 3, "num_heads": 2, "d_ff": 24, "d_kv": 8}
    if kind == "gpt2":
        return {
            "n_embd": 16,
            "n_layer": 3,
            "n_head": 2,
            "n_positions": MAX_LENGTH,
            "bos_token_id": 3,
            "eos_token_id": 3,
        }
    sizes = {**SIZES, "intermediate_size": 24, "max_position_embeddings": MAX_LENGTH, "pad_token_id": 1}
    if kind in ("roberta", "xlm-roberta"):
        sizes["max_position_embeddings"] = MAX_LENGTH + 2  # their positions are counted from 2
    if kind == "deberta-v2":
        sizes |= {"relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]}
    if kind == "electra":
        sizes["embedding_size"] = 12
    if kind == "modernbert":
        sizes |= {"global_attn_every_n_layers": 2, "local_attention": 8, "attn_implementation": "sdpa"}
        sizes |= {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    return sizes


def _make_tokenizer(kind: str) -> Any:
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<unk>", "<pad>", "<s>", "</s>", "<mask>"]
    trainer: Any
    if kind in BYTE_LEVEL:
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=380, special_tokens=special, initial_alphabet=alphabet)
    elif kind in ("xlm-roberta", "deberta-v2", "t5"):
        tokenizer = tokenizers.Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC()])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token="<unk>")
    else:
        tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special)
    tokenizer.train_from_iterator(_texts(), trainer)
    if kind == "t5":
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 3)])
    elif kind != "gpt2":
        pairs = [("<s>", 2), ("</s>", 3)]
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=pairs)
    length = 10**30 if kind in ("deberta-v2", "t5", "gpt2") else MAX_LENGTH  # some have no limit of their own
    named = {"pad_token": "<pad>", "unk_token": "<unk>"} if kind in ("t5", "gpt2") else _SPECIAL
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, **named)


def _texts() -> Iterator[str]:
    yield from _TEXTS
