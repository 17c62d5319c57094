"""Measure how fast torch runs a bare BiLSTM on the sentence lengths of the treebank. Prints one line of JSON.

    python benchmarks/bound.py [--epochs 10] [--sample]

This is the upper bound that the hardware sets for the tutorial's tagger: the forward and backward pass of
`nn.LSTM(100, 256, bidirectional=True)` in batches of 32, and nothing else. `bucketed` batches hold sentences of similar
length, `random` batches any sentences; Flair uses `packed` batches. FLAIRLITE_DEVICE selects the device, by default
CUDA if available.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import measuring
import workloads
from measuring import Figures, Options, timing

if TYPE_CHECKING:
    import torch

BATCH_SIZE = 32


def bound(options: Options) -> Figures:
    """Measure the bare network, and lower bounds for the remaining figures of the tutorial."""
    figures: Figures = {}
    with timing(figures, "import_torch_s"):
        import torch
    figures["peak_rss_mb"] = measuring.peak_rss_mb()  # of torch alone
    with timing(figures, "corpus_s"):
        texts = [options.treebank(split).read_text(encoding="utf-8") for split in ("train", "dev", "test")]
    figures["corpus_first_s"] = figures["corpus_s"]
    figures["corpus_mb"] = sum(map(len, texts)) / 1e6
    torch.manual_seed(0)
    lengths = [len(sentence.words) for sentence in workloads.read_tagged(options.treebank("train"))]
    lengths = random.Random(0).sample(lengths, 128 if options.sample else 1254)  # the tutorial trains on 1254
    device = torch.device(os.environ.get("FLAIRLITE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))
    lstm = torch.nn.LSTM(100, 256, batch_first=True, bidirectional=True, device=device)
    repeats = 1 if options.sample else 3
    for order, ordered in (("random", lengths), ("bucketed", sorted(lengths))):
        for is_packed, layout in ((True, "packed"), (False, "padded")):
            train = min(lstm_seconds(lstm, ordered, is_packed=is_packed, is_training=True) for _ in range(repeats))
            forward = min(lstm_seconds(lstm, ordered, is_packed=is_packed, is_training=False) for _ in range(repeats))
            figures[f"train_{order}_{layout}_tokens_per_s"] = sum(lengths) / train
            figures[f"forward_{order}_{layout}_tokens_per_s"] = sum(lengths) / forward
    figures["train_tokens_per_s"] = figures["train_bucketed_padded_tokens_per_s"]
    figures["predict_tokens_per_s"] = figures["forward_bucketed_padded_tokens_per_s"]
    # bfloat16 is compared with the float32 bound, which it should exceed
    figures["predict_bf16_tokens_per_s"] = figures["predict_tokens_per_s"]
    figures["script_s"] = figures["import_torch_s"] + options.epochs * sum(lengths) / figures["train_tokens_per_s"]
    figures["model_400k_mb"] = options.num_vectors * 100 * 4 / 1e6  # the vectors in float32
    figures["versions"] = measuring.versions("torch")
    figures["device"] = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    figures["threads"] = torch.get_num_threads()
    return figures


def lstm_seconds(lstm: torch.nn.LSTM, lengths: list[int], *, is_packed: bool, is_training: bool) -> float:
    """Return the seconds that a network takes for all sentences of these lengths, in batches of their order."""
    import torch

    weight = lstm.weight_ih_l0
    start_time = time.perf_counter()
    with torch.set_grad_enabled(is_training):
        for start in range(0, len(lengths), BATCH_SIZE):
            batch = sorted(lengths[start : start + BATCH_SIZE], reverse=True)
            inputs = torch.randn(len(batch), batch[0], lstm.input_size, device=weight.device, dtype=weight.dtype)
            states = _run_lstm(lstm, inputs, batch, is_packed=is_packed)
            if is_training:
                states.sum().backward()  # type: ignore[no-untyped-call]
    if weight.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start_time


def _run_lstm(lstm: torch.nn.LSTM, inputs: torch.Tensor, lengths: list[int], *, is_packed: bool) -> torch.Tensor:
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    if not is_packed:
        states: torch.Tensor = lstm(inputs)[0]  # (B, T, 2 * 256)
        return states
    packed = pack_padded_sequence(inputs, lengths, batch_first=True)
    states, _ = pad_packed_sequence(lstm(packed)[0])  # (T, B, 2 * 256)
    return states


if __name__ == "__main__":
    measuring.run_parts(__file__, __doc__, {"bound": bound})
