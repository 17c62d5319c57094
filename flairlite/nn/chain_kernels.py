"""CRF loss, gradient, marginals and decoding on a GPU, in one to three kernels of Triton.

On a GPU, the loops over words in `forward_backward.py` and `crf.py` launch several small operations per word, which
takes longer than running them. Here, one program runs the recursion of a chain of a sentence, so that a batch is one
launch. The recursions are in log space in float32: each state is shifted to a maximum of 0, and the shifts are summed
in float64. All sums have a fixed order, so that results are the same in each run.

`TRITON_INTERPRET=1` runs the kernels on CPU tensors; tests compare them with the enumeration of all tag sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

MAX_TAGS = 64  # (K, K) transitions are held in registers
_STEPS = 8  # words per program of the gradient


@triton.jit  # type: ignore[untyped-decorator]
def _shift(scores: Any) -> Any:
    """Return scores with a maximum of 0, and what was subtracted: 0 if all are minus infinity."""
    peak = tl.max(scores, 0)
    peak = tl.where(peak > -float("inf"), peak, 0.0)
    return scores - peak, peak


@triton.jit  # type: ignore[untyped-decorator]
def _emission_scores(row: Any, label: Any, tag: Any, is_tag: Any, IS_GOLD: tl.constexpr) -> Any:
    """Load the scores of a word, shifted to a maximum of 0, minus infinity for tags other than a known gold tag."""
    scores, peak = _shift(tl.load(row + tag, mask=is_tag, other=-float("inf")))
    if IS_GOLD:
        scores = tl.where((label < 0) | (tag == label), scores, -float("inf"))
    return scores, peak


@triton.jit  # type: ignore[untyped-decorator]
def _advance(state: Any, transitions: Any) -> Any:
    """Return the log of the summed weights of all ways from a state (K,) to each tag, given transitions (K, K)."""
    paths = state[:, None] + transitions
    peaks = tl.max(paths, 0)
    peaks = tl.where(peaks > -float("inf"), peaks, 0.0)
    return tl.log(tl.sum(tl.exp(paths - peaks[None, :]), 0)) + peaks


@triton.jit  # type: ignore[untyped-decorator]
def _recursion_kernel(
    emissions: Any,
    sentence_stride: Any,
    word_stride: Any,
    tags: Any,
    transitions: Any,
    start: Any,
    end: Any,
    lengths: Any,
    states: Any,
    log_partitions: Any,
    num_sentences: Any,
    num_words: Any,
    num_tags: Any,
    BLOCK: tl.constexpr,
) -> None:
    """Run one recursion over one sentence: forward (alpha), or backward (beta), over all or the gold sequences.

    Axis 0 of the grid is the sentence; axis 1 the chain: 0 alpha, 1 beta, 2 alpha of gold tags, 3 beta of gold tags.
    """
    sentence = tl.program_id(0).to(tl.int64)
    chain = tl.program_id(1)
    is_backward = chain % 2
    length = tl.load(lengths + sentence)
    tag = tl.arange(0, BLOCK)
    is_tag = tag < num_tags
    row_stride = tl.where(is_backward == 1, 1, num_tags)
    column_stride = tl.where(is_backward == 1, num_tags, 1)
    pairs = tag[:, None] * row_stride + tag[None, :] * column_stride
    is_pair = is_tag[:, None] & is_tag[None, :]
    scores = tl.load(transitions + pairs, mask=is_pair, other=-float("inf"))  # (K from, K to) of this direction
    first = tl.load(start + tag, mask=is_tag, other=-float("inf"))
    last = tl.load(end + tag, mask=is_tag, other=-float("inf"))
    words = emissions + sentence * sentence_stride
    labels = tags + sentence * num_words
    output = states + (chain * num_sentences + sentence) * num_words * num_tags
    total = tl.zeros((), dtype=tl.float64)
    state = tl.where(is_backward == 1, last, first)
    for step in range(0, length):
        word = tl.where(is_backward == 1, length - 1 - step, step)
        label = tl.load(labels + word, mask=chain >= 2, other=-1)
        if step > 0:
            state = _advance(state, scores)
        state, shift = _shift(state)
        total += shift.to(tl.float64)
        if is_backward == 1:  # beta does not contain the emission of its own word
            tl.store(output + word * num_tags + tag, state, mask=is_tag)
        emitted, peak = _emission_scores(words + word * word_stride, label, tag, is_tag, True)
        total += peak.to(tl.float64)
        state, shift = _shift(state + emitted)
        total += shift.to(tl.float64)
        if is_backward == 0:
            tl.store(output + word * num_tags + tag, state, mask=is_tag)
    if is_backward == 0:
        state, shift = _shift(state + last)
        partition = tl.log(tl.sum(tl.exp(state), 0)).to(tl.float64) + shift.to(tl.float64) + total
        tl.store(log_partitions + (chain // 2) * num_sentences + sentence, partition)


@triton.jit  # type: ignore[untyped-decorator]
def _gradient_kernel(
    emissions: Any,
    sentence_stride: Any,
    word_stride: Any,
    tags: Any,
    transitions: Any,
    lengths: Any,
    states: Any,
    weights: Any,
    emission_gradient: Any,
    score_gradients: Any,
    num_sentences: Any,
    num_words: Any,
    num_tags: Any,
    BLOCK: tl.constexpr,
    STEPS: tl.constexpr,
) -> None:
    """Compute the gradient of the loss over some words of one sentence: marginals of all sequences less those of gold.

    Axis 0 of the grid is the sentence; axis 1 the part of its words. The gradients of transitions, start and end
    scores, K + 2 rows, are summed over the words of a program; the caller sums them over programs.
    """
    sentence = tl.program_id(0).to(tl.int64)
    part = tl.program_id(1)
    length = tl.load(lengths + sentence)
    weight = tl.load(weights + sentence)
    tag = tl.arange(0, BLOCK)
    is_tag = tag < num_tags
    pairs = tag[:, None] * num_tags + tag[None, :]
    is_pair = is_tag[:, None] & is_tag[None, :]
    scores = tl.load(transitions + pairs, mask=is_pair, other=-float("inf"))
    labels = tags + sentence * num_words
    size = num_words * num_tags
    summed = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    first = tl.zeros((BLOCK,), dtype=tl.float32)
    last = tl.zeros((BLOCK,), dtype=tl.float32)
    for step in range(0, STEPS):
        word = part * STEPS + step
        nodes = tl.zeros((BLOCK,), dtype=tl.float32)
        if word < length:
            for kind in tl.static_range(2):  # 0: all sequences, 1: those of the gold tags
                sign = 1.0 - 2.0 * kind
                alphas = states + ((2 * kind) * num_sentences + sentence) * size
                betas = states + ((2 * kind + 1) * num_sentences + sentence) * size
                alpha = tl.load(alphas + word * num_tags + tag, mask=is_tag, other=-float("inf"))
                beta = tl.load(betas + word * num_tags + tag, mask=is_tag, other=-float("inf"))
                joint = tl.exp(alpha + beta - tl.max(alpha + beta, 0))
                nodes += sign * joint / tl.sum(joint, 0)
                if word + 1 < length:
                    following = tl.load(betas + (word + 1) * num_tags + tag, mask=is_tag, other=-float("inf"))
                    row = emissions + sentence * sentence_stride + (word + 1) * word_stride
                    emitted, _ = _emission_scores(row, tl.load(labels + word + 1), tag, is_tag, kind == 1)
                    joint_pairs = alpha[:, None] + scores + (following + emitted)[None, :]
                    joint_pairs = tl.exp(joint_pairs - tl.max(tl.max(joint_pairs, 1), 0))
                    summed += sign * joint_pairs / tl.sum(tl.sum(joint_pairs, 1), 0)
        first += tl.where(word == 0, nodes, 0.0)
        last += tl.where(word == length - 1, nodes, 0.0)
        if word < num_words:
            target = emission_gradient + (word * num_sentences + sentence) * num_tags + tag  # (T, B, K)
            tl.store(target, nodes * weight, mask=is_tag)
    rows = score_gradients + (sentence * tl.num_programs(1) + part) * (num_tags + 2) * num_tags
    tl.store(rows + pairs, summed * weight, mask=is_pair)
    tl.store(rows + num_tags * num_tags + tag, first * weight, mask=is_tag)
    tl.store(rows + (num_tags + 1) * num_tags + tag, last * weight, mask=is_tag)


@triton.jit  # type: ignore[untyped-decorator]
def _viterbi_kernel(
    emissions: Any,
    sentence_stride: Any,
    word_stride: Any,
    transitions: Any,
    start: Any,
    end: Any,
    lengths: Any,
    best_scores: Any,
    path: Any,
    num_words: Any,
    num_tags: Any,
    BLOCK: tl.constexpr,
) -> None:
    """Find the best tag sequence of one sentence; words after its end repeat the last tag."""
    sentence = tl.program_id(0).to(tl.int64)
    length = tl.load(lengths + sentence)
    tag = tl.arange(0, BLOCK)
    is_tag = tag < num_tags
    pairs = tag[:, None] * num_tags + tag[None, :]
    scores = tl.load(transitions + pairs, mask=is_tag[:, None] & is_tag[None, :], other=-float("inf"))
    words = emissions + sentence * sentence_stride
    best = best_scores + sentence * num_words * num_tags
    state = tl.load(start + tag, mask=is_tag, other=-float("inf"))
    for word in range(0, length):
        if word > 0:
            state = tl.max(state[:, None] + scores, 0)
        state += tl.load(words + word * word_stride + tag, mask=is_tag, other=-float("inf"))
        tl.store(best + word * num_tags + tag, state, mask=is_tag)
    tl.debug_barrier()  # the scores are read by other threads than those that wrote them
    state += tl.load(end + tag, mask=is_tag, other=-float("inf"))
    chosen = tl.minimum(tl.argmax(state, 0), num_tags - 1)  # scores may be nan
    for word in range(length - 1, num_words):
        tl.store(path + sentence * num_words + word, chosen.to(tl.int64))
    for step in range(1, length):
        word = length - 1 - step
        state = tl.load(best + word * num_tags + tag, mask=is_tag, other=-float("inf"))
        state += tl.load(transitions + tag * num_tags + chosen, mask=is_tag, other=-float("inf"))
        chosen = tl.minimum(tl.argmax(state, 0), num_tags - 1)
        tl.store(path + sentence * num_words + word, chosen.to(tl.int64))


@dataclass(frozen=True)
class Chain:
    """The scores of a batch, as the kernels read them.

    Attributes:
        emissions: (B, T, K) float32; the tags of a word are contiguous.
        transitions: (K, K) from the row's tag to the column's.
        start: (K,) of the first tag.
        end: (K,) of the last tag.
        lengths: (B,) words per sentence, at least 1, on the device.
    """

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor) -> Chain:
        """Return the scores in the layout of the kernels."""
        emissions = emissions if emissions.stride(2) == 1 else emissions.contiguous()
        return cls(emissions, transitions.contiguous(), start.contiguous(), end.contiguous(), lengths)

    @property
    def block(self) -> int:
        """The number of tags, rounded up to a power of 2."""
        return max(16, triton.next_power_of_2(self.emissions.shape[2]))  # type: ignore[no-any-return]

    def run_recursions(self, tags: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run forward and backward recursions, over all sequences and, with tags, over those that agree with them.

        Args:
            tags: (B, T) tags, -1 for unknown ones.

        Returns:
            (C, B, T, K) logs of alpha and beta, each up to a term per word, and undefined on padding, with C = 2, or 4
            with tags; (C / 2, B) float64 log-partitions.
        """
        size, num_words, num_tags = self.emissions.shape
        num_chains = 2 if tags is None else 4
        states = self.emissions.new_empty(num_chains, size, num_words, num_tags)
        log_partitions = self.emissions.new_empty(num_chains // 2, size, dtype=torch.float64)
        labels = self.lengths if tags is None else tags  # without tags, no label is read
        _recursion_kernel[(size, num_chains)](
            *(self.emissions, *self.emissions.stride()[:2], labels, self.transitions, self.start, self.end),
            *(self.lengths, states, log_partitions, size, num_words, num_tags),
            BLOCK=self.block,
            num_warps=self._num_warps,
        )
        return states, log_partitions

    def compute_marginals(self) -> Tensor:
        """Compute the probability of each tag at each word, (B, T, K); zero on padding."""
        states, _ = self.run_recursions(None)
        steps = torch.arange(self.emissions.shape[1], device=self.lengths.device)  # (T,)
        is_padding = (steps >= self.lengths.unsqueeze(1)).unsqueeze(2)  # (B, T, 1)
        return (states[0] + states[1]).softmax(2).masked_fill(is_padding, 0.0)

    def compute_gradient(self, tags: Tensor, states: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the gradients of the losses of B sentences with weights (B,).

        Returns:
            (B, T, K) of the emissions, in the memory layout (T, B, K) in which a tagger computes them; (K + 2, K) of
            transitions, start and end scores.
        """
        size, num_words, num_tags = self.emissions.shape
        num_parts = triton.cdiv(num_words, _STEPS)
        emission_gradient = self.emissions.new_empty(num_words, size, num_tags)
        score_gradients = self.emissions.new_empty(size * num_parts, num_tags + 2, num_tags)
        _gradient_kernel[(size, num_parts)](
            *(self.emissions, *self.emissions.stride()[:2], tags, self.transitions, self.lengths, states, weights),
            *(emission_gradient, score_gradients, size, num_words, num_tags),
            BLOCK=self.block,
            STEPS=_STEPS,
            num_warps=self._num_warps,
        )
        return emission_gradient.transpose(0, 1), score_gradients.sum(0)

    def find_best_path(self) -> Tensor:
        """Find the best tag sequences, (B, T); padding repeats the last tag."""
        size, num_words, num_tags = self.emissions.shape
        scores = self.emissions.new_empty(size, num_words, num_tags)
        path = self.lengths.new_empty(size, num_words, dtype=torch.int64)
        _viterbi_kernel[(size,)](
            *(self.emissions, *self.emissions.stride()[:2], self.transitions, self.start, self.end, self.lengths),
            *(scores, path, num_words, num_tags),
            BLOCK=self.block,
            num_warps=self._num_warps,
        )
        return path

    @property
    def _num_warps(self) -> int:
        return {16: 1, 32: 2, 64: 4}[self.block]


class NegativeLogLikelihood(torch.autograd.Function):
    """The loss of each sentence, (B,), and its gradient."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor, tags: Tensor
    ) -> Tensor:
        """Compute the losses of tags (B, T), -1 for unknown ones; see `Chain` for the other arguments."""
        chain = Chain.of(emissions, transitions, start, end, lengths)
        tags = tags.contiguous()
        states, log_partitions = chain.run_recursions(tags)
        if any(ctx.needs_input_grad):
            scores = (chain.emissions, chain.transitions, chain.start, chain.end)
            ctx.save_for_backward(*scores, lengths, tags, states)
        losses = emissions.new_empty(len(emissions))
        return torch.sub(log_partitions[0], log_partitions[1], out=losses)  # rounded once, in the same operation

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients of emissions, transitions, start and end scores."""
        *scores, lengths, tags, states = ctx.saved_tensors
        chain = Chain(scores[0], scores[1], scores[2], scores[3], lengths)
        emissions, rows = chain.compute_gradient(tags, states, gradient.contiguous())
        return emissions, rows[:-2], rows[-2], rows[-1], None, None
