"""Forward-backward over linear chains, and the probabilities computed from it.

Source: Rabiner, A Tutorial on Hidden Markov Models, 1989, sections III and V.A, whose alpha, beta and scaling are used.
"""

from __future__ import annotations

import importlib
import logging
import os
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.tensors import copy_to

log = logging.getLogger("flairlite")

_UNDERFLOW = 700.0  # exp of minus this is still a normal float64


@dataclass(frozen=True)
class ChainScores:
    """Scores that a chain adds to the emissions of a tag sequence.

    Attributes:
        transitions: (K, K) from the row's tag to the column's.
        start: (K,) of the first tag.
        end: (K,) of the last tag.
    """

    transitions: Tensor
    start: Tensor
    end: Tensor


class ForwardBackward:
    """Forward-backward over B sentences, in float64 because scaled probabilities may become tiny.

    The backward pass is a forward pass over the reversed sentences, so both run as one scan.

    Args:
        emissions: (B, T, K) scores.
        scores: Scores of transitions, first and last tags.
        lengths: (B,) words per sentence, at least 1.
        allowed: (B, T, K) False where a tag is ruled out; None allows all.
    """

    def __init__(self, emissions: Tensor, scores: ChainScores, lengths: Tensor, allowed: Tensor | None = None) -> None:
        self.lengths = copy_to(lengths, emissions.device)
        steps = torch.arange(emissions.shape[1], device=emissions.device)  # (T,)
        last = self.lengths.unsqueeze(1) - 1  # (B, 1)
        self.is_last = (steps == last).unsqueeze(2)  # (B, T, 1)
        self.is_padding = (steps > last).unsqueeze(2)  # (B, T, 1)
        self.transitions, self.transition_peak = _exp_scaled(scores.transitions)  # (K, K), ()
        end, self.end_peak = _exp_scaled(scores.end)  # (K,), ()
        # alpha (B, T, K): weight of all prefixes that end in a tag at a word, up to a factor per word
        # suffixes (B, T, K): beta times the emission at the word itself
        self._log_partition: Tensor | None = None  # (B,); computed when requested unless the kernels provide it
        kernels = find_kernels(emissions) if allowed is None else None
        if kernels is None:
            self._run_scan(emissions, scores.start, end, allowed)
        else:
            self._run_kernels(kernels, emissions, scores)
        following = nn.functional.pad((self.suffixes @ self.transitions.t())[:, 1:], (0, 0, 0, 1))
        self.beta = torch.where(self.is_last, end, following)  # (B, T, K): weight of all continuations after a tag
        self.joint = self.alpha * self.beta  # (B, T, K)
        self.total = self.joint.sum(dim=2, keepdim=True)  # (B, T, 1)

    def _run_scan(self, emissions: Tensor, start_scores: Tensor, end: Tensor, allowed: Tensor | None) -> None:
        steps = torch.arange(emissions.shape[1], device=emissions.device)  # (T,)
        last = self.lengths.unsqueeze(1) - 1  # (B, 1)
        reversed_steps = torch.where(steps > last, steps, last - steps).unsqueeze(2).expand_as(emissions)
        start, self.start_peak = _exp_scaled(start_scores)  # (K,), ()
        self.emission_peaks = _emission_peaks(emissions, allowed)  # (B, T)
        weights = (emissions - self.emission_peaks.unsqueeze(2)).double().exp()  # (B, T, K)
        if allowed is not None:
            weights = torch.where(allowed, weights, 0.0)
        weights = weights.masked_fill(self.is_padding, 1.0)  # keeps the states after the last word finite
        states = torch.stack((weights, weights.gather(1, reversed_steps))).permute(2, 0, 1, 3).contiguous()
        transitions = torch.stack((self.transitions, self.transitions.t()))  # (2, K, K)
        self.scales = _scan(states, torch.stack((start, end)), transitions)
        self.alpha, suffixes = states.permute(1, 2, 0, 3).unbind(0)
        self.suffixes = suffixes.gather(1, reversed_steps)

    def _run_kernels(self, kernels: ModuleType, emissions: Tensor, scores: ChainScores) -> None:
        chain = kernels.Chain.of(emissions, scores.transitions, scores.start, scores.end, self.lengths)
        states, log_partitions = chain.run_recursions(None)
        self._log_partition = log_partitions[0]
        alpha, beta = states.double().masked_fill(self.is_padding, 0.0).exp().unbind(0)
        peaks = emissions.amax(dim=2, keepdim=True)
        self.alpha, self.suffixes = alpha, beta * (emissions - peaks).masked_fill(self.is_padding, 0.0).double().exp()

    def log_partition(self) -> Tensor:
        """Return the log of the summed exponentials of the scores of all sequences, (B,)."""
        if self._log_partition is not None:
            return self._log_partition
        inner = (self.scales[:, 0].t().log() + self.emission_peaks).masked_fill(self.is_padding.squeeze(2), 0.0).sum(1)
        end = self.total.masked_fill(~self.is_last, 0.0).sum((1, 2)).log()
        return inner + end + (self.lengths - 1) * self.transition_peak + self.start_peak + self.end_peak

    def marginals(self) -> Tensor:
        """Return the probability of each tag at each word, (B, T, K); zero on padding."""
        return (self.joint / self.total).masked_fill(self.is_padding, 0.0)

    def conditionals(self, tags: Tensor, next_tags: Tensor) -> Tensor:
        """Return P(tag at t + 1 = next_tags[:, t] | tag at t = tags[:, t]), (B, T - 1); zero on padding.

        Args:
            tags: (B, T) tag of each word.
            next_tags: (B, T) tag to look for at the next word; -1 has probability 0.
        """
        tags, wanted = tags[:, :-1], next_tags[:, :-1].clamp_min(0)
        pairs = (tags * len(self.transitions) + wanted).flatten()
        transitions = self.transitions.flatten().index_select(0, pairs).view_as(tags)
        weights = transitions * self.suffixes[:, 1:].gather(2, wanted.unsqueeze(2)).squeeze(2)
        all_weights = self.beta[:, :-1].gather(2, tags.unsqueeze(2)).squeeze(2)
        is_impossible = self.is_padding[:, 1:].squeeze(2) | next_tags[:, :-1].lt(0)
        return (weights / all_weights).masked_fill(is_impossible, 0.0)

    def pair_factors(self) -> tuple[Tensor, Tensor]:
        """Return the factors (left, right) of the pair marginals, (B, T - 1, K) each; zero on padding.

        P(tag at t = i, tag at t + 1 = j) is left[:, t, i] * transitions[i, j] * right[:, t, j].
        """
        is_no_pair = self.is_padding[:, 1:]  # states after a tag that nothing may follow are nan
        left = self.alpha[:, :-1].masked_fill(is_no_pair, 0.0)
        return left, (self.suffixes[:, 1:] / self.total[:, :-1]).masked_fill(is_no_pair, 0.0)


def log_partition(emissions: Tensor, scores: ChainScores, lengths: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Return the log-partition of each sentence, (B,), differentiable; see `ForwardBackward` for the arguments."""
    result: Tensor = _LogPartition.apply(  # type: ignore[no-untyped-call]
        emissions, scores.transitions, scores.start, scores.end, lengths, allowed
    )
    return result


def find_kernels(emissions: Tensor) -> ModuleType | None:
    """Return the module of GPU kernels if they can compute with these emissions (B, T, K), or None."""
    on_device = emissions.device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
    if not on_device or emissions.dtype != torch.float32:
        return None
    kernels = _load_kernels(emissions.device)
    return kernels if kernels is not None and emissions.shape[2] <= kernels.MAX_TAGS else None


@cache
def _load_kernels(device: torch.device) -> ModuleType | None:
    """Return the module of GPU kernels, or None with a warning if Triton is not installed or cannot compile them."""
    try:
        kernels = importlib.import_module("flairlite.nn.chain_kernels")
        scores = torch.zeros(1, 2, 2, device=device)
        lengths = torch.tensor([2], device=device)
        kernels.Chain(scores, scores[0], scores[0, 0], scores[0, 1], lengths).run_recursions(None)
    except Exception as error:  # Triton raises many kinds, such as RuntimeError without a C compiler
        log.warning("The CRF runs without its GPU kernels, which is slower: %s: %s", type(error).__name__, error)
        return None
    return kernels


class SpanScorer(nn.Module):
    """Computes the probability of a span with exactly these words and this label.

    It is the probability of the first tag, times that of each further tag given the tag before it, times, where the
    last tag leaves it open, the probability that the next word does not continue the span.

    Args:
        begins: (K,) whether a tag begins a span.
        continues: (K,) whether a tag continues a span.
        extensions: (K,) tag that extends a span which could also end with this tag; -1 where there is no choice.
    """

    def __init__(self, begins: Tensor, continues: Tensor, extensions: Tensor) -> None:
        super().__init__()
        self.begins: Tensor
        self.continues: Tensor
        self.extensions: Tensor
        self.register_buffer("begins", begins, persistent=False)
        self.register_buffer("continues", continues, persistent=False)
        self.register_buffer("extensions", extensions, persistent=False)
        self.has_extensions = bool((extensions >= 0).any())

    @torch.no_grad()
    def forward(self, chains: ForwardBackward, tags: Tensor, probabilities: Tensor) -> Tensor:
        """Compute the probabilities of the spans in valid tag sequences.

        Args:
            chains: Forward-backward over the sentences.
            tags: (B, T) valid tags.
            probabilities: (B, T) marginal probability of each of these tags.

        Returns:
            (B, T) float64: probability of the span that begins at a word, 0 where none begins.
        """
        is_word = ~chains.is_padding.squeeze(2)
        begins, continues = self.begins[tags] & is_word, self.continues[tags] & is_word  # (B, T)
        inside = chains.conditionals(tags, nn.functional.pad(tags[:, 1:], (0, 1)))  # (B, T - 1)
        logs = torch.zeros_like(probabilities, dtype=torch.float64)  # (B, T): term of each word in its span's sum
        logs[:, 1:] = inside.log().masked_fill(~continues[:, 1:], 0.0)
        if self.has_extensions:
            is_last = (begins | continues)[:, :-1] & ~continues[:, 1:]
            longer = chains.conditionals(tags, self.extensions[tags])  # (B, T - 1)
            logs[:, :-1] += torch.log1p(-longer).masked_fill(~is_last, 0.0)
        span = begins.flatten().cumsum(0)  # (B x T,): index of the span, or of the last span before the word
        sums = logs.new_zeros(len(span) + 1).index_add_(0, span, logs.flatten())
        scores = probabilities * sums[span].view_as(logs).exp()
        return scores.clamp_max(1.0).masked_fill(~begins, 0.0)


class _LogPartition(torch.autograd.Function):
    """The log-partition; forward-backward provides its gradient, the marginals."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        lengths: Tensor,
        allowed: Tensor | None,
    ) -> Tensor:
        chains = ForwardBackward(emissions, ChainScores(transitions, start, end), lengths, allowed)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(chains.marginals(), *chains.pair_factors(), chains.transitions, chains.lengths)
        return chains.log_partition().to(emissions.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        marginals, left, right, transitions, lengths = ctx.saved_tensors
        weight = gradient.double().view(-1, 1, 1)  # (B, 1, 1)
        marginals = marginals * weight  # (B, T, K)
        pairs = transitions * (left.flatten(0, 1).t() @ (right * weight).flatten(0, 1))  # (K, K)
        last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, marginals.shape[2])
        ends = marginals.gather(1, last).sum((0, 1))  # (K,)
        gradients = (marginals, pairs, marginals[:, 0].sum(0), ends)
        return (*(tensor.to(gradient.dtype) for tensor in gradients), None, None)


def _scan(weights: Tensor, first: Tensor, transitions: Tensor) -> Tensor:
    """Run the forward and the backward chain word by word, scaling each state to sum 1.

    This is the only loop over time in the loss, so it writes into preallocated memory.

    Args:
        weights: (T, 2, B, K) emissions of both chains; overwritten by the states.
        first: (2, K) weights of the first tag.
        transitions: (2, K, K) weights of the transitions.

    Returns:
        (T, 2, B) sums of the states before scaling.
    """
    scales = weights.new_empty((*weights.shape[:3], 1))
    product = torch.empty_like(weights[0])
    weights[0].mul_(first.unsqueeze(1))
    previous: Tensor | None = None
    for state, scale in zip(weights.unbind(0), scales.unbind(0), strict=True):
        if previous is not None:
            state.mul_(torch.bmm(previous, transitions, out=product))
        torch.sum(state, dim=2, keepdim=True, out=scale)
        state.div_(scale)
        previous = state
    return scales.squeeze(3)


def _emission_peaks(emissions: Tensor, allowed: Tensor | None) -> Tensor:
    """Return the score to subtract at each word before taking exponentials, (B, T).

    It is the highest score, unless the exponentials of all allowed tags would underflow beside it.
    """
    peaks = emissions.amax(dim=2)
    if allowed is None:
        return peaks
    allowed_peaks = emissions.masked_fill(~allowed, -torch.inf).amax(dim=2)
    underflows = (allowed_peaks < peaks - _UNDERFLOW) & allowed_peaks.isfinite()
    return torch.where(underflows, allowed_peaks, peaks)


def _exp_scaled(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the exponentials of scores, scaled so that the largest is 1, and the largest score."""
    peak = scores.max().clamp_min(torch.finfo(scores.dtype).min)  # finite where all are impossible
    return (scores - peak).double().exp(), peak
