"""A linear-chain conditional random field.

Sources: Lafferty, McCallum and Pereira, Conditional Random Fields, 2001, for the model; Rabiner, A Tutorial on Hidden
Markov Models, 1989, sections III and V.A, for forward-backward with scaling and for Viterbi's algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.errors import SettingError


class LinearChainCRF(nn.Module):
    """Scores whole tag sequences: by an emission of each tag at each word and by each pair of neighbouring tags.

    A score of minus infinity makes something impossible, and so does one more than 700 below the others of its kind,
    such as -10,000. The figures of a sentence that has no possible sequence are infinite or not a number.

    Args:
        num_tags: Number of tags K.
    """

    def __init__(self, num_tags: int) -> None:
        super().__init__()
        if num_tags < 1:
            raise SettingError(f"a CRF needs at least one tag; there are {num_tags}")
        self.num_tags = num_tags
        self.transitions = nn.Parameter(torch.randn(num_tags, num_tags))  # from the row's tag to the column's
        self.start = nn.Parameter(torch.randn(num_tags))
        self.end = nn.Parameter(torch.randn(num_tags))

    def forward(self, emissions: Tensor, tags: Tensor, lengths: Tensor, *, is_partial: bool | None = None) -> Tensor:
        """Compute the negative log-likelihood of the tags of each sentence.

        Args:
            emissions: (B, T, K) scores.
            tags: (B, T) tags; -1 where a word's tag is not known: then every tag counts as right there.
            lengths: (B,) words a sentence, at least 1.
            is_partial: Whether a tag of a word is -1; None looks, which waits for the device.

        Returns:
            (B,) natural logarithms.
        """
        self._validate(emissions, lengths, tags)
        mask = _mask(emissions, lengths)
        if is_partial is None:
            is_partial = bool((tags.lt(0) & mask).any())
        if is_partial:
            allowed = nn.functional.one_hot(tags.clamp_min(0), self.num_tags).bool() | tags.lt(0).unsqueeze(2)
            gold = self._log_partition(emissions, lengths, allowed)
        else:
            gold = self._path_score(emissions, tags.clamp_min(0), lengths, mask)
        return self._log_partition(emissions, lengths) - gold

    def log_partition(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Compute the logarithm of the summed exponentials of all sequences' scores, (B,)."""
        self._validate(emissions, lengths)
        return self._log_partition(emissions, lengths)

    @torch.no_grad()
    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Compute the probability of each tag at each word, (B, T, K); zero on padding."""
        self._validate(emissions, lengths)
        return _forward_backward(emissions, self.transitions, self.start, self.end, lengths).marginals.to(
            emissions.dtype
        )

    @torch.no_grad()
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Find the best tag sequence of each sentence by Viterbi's algorithm, (B, T); padding repeats the last tag."""
        self._validate(emissions, lengths)
        into = self.transitions.t().contiguous()  # (K to, K from): the maximum runs over neighbours in memory
        scores = [emissions[:, 0] + self.start]  # T times (B, K)
        origins: list[Tensor] = []
        for emission in emissions.unbind(1)[1:]:
            best, origin = (scores[-1].unsqueeze(1) + into).max(dim=2)  # (B, K)
            scores.append(best + emission)
            origins.append(origin)
        last = (lengths - 1).to(emissions.device)  # (B,)
        final = torch.stack(scores, dim=1).gather(1, last.view(-1, 1, 1).expand(-1, 1, self.num_tags)).squeeze(1)
        tag = (final + self.end).argmax(dim=1, keepdim=True)  # (B, 1)
        path = [tag]
        is_inside = torch.arange(len(origins), device=last.device) < last.unsqueeze(1)  # (B, T - 1)
        for origin, inside in zip(reversed(origins), reversed(is_inside.unsqueeze(2).unbind(1)), strict=True):
            tag = torch.where(inside, origin.gather(1, tag), tag)
            path.append(tag)
        return torch.cat(path[::-1], dim=1)

    def extra_repr(self) -> str:
        """Show the number of tags when the module is printed."""
        return f"num_tags={self.num_tags}"

    def _log_partition(self, emissions: Tensor, lengths: Tensor, allowed: Tensor | None = None) -> Tensor:
        result: Tensor = _LogPartition.apply(  # type: ignore[no-untyped-call]
            emissions, self.transitions, self.start, self.end, lengths, allowed
        )
        return result

    def _path_score(self, emissions: Tensor, tags: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        last = tags.gather(1, (lengths - 1).to(tags.device).unsqueeze(1)).squeeze(1)  # (B,)
        emitted = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)  # (B, T)
        pairs = tags[:, :-1] * self.num_tags + tags[:, 1:]  # (B, T - 1)
        moved = self.transitions.flatten().index_select(0, pairs.flatten()).view_as(pairs)
        # not a product with the mask: on padding there may be infinite scores
        inner = emitted.masked_fill(~mask, 0.0).sum(1) + moved.masked_fill(~mask[:, 1:], 0.0).sum(1)
        return inner + self.start.index_select(0, tags[:, 0]) + self.end.index_select(0, last)

    def _validate(self, emissions: Tensor, lengths: Tensor, tags: Tensor | None = None) -> None:
        if emissions.dim() != 3 or emissions.shape[2] != self.num_tags or emissions.shape[1] == 0:
            raise SettingError(f"emissions must be (B, T > 0, K = {self.num_tags}), got {tuple(emissions.shape)}")
        if lengths.shape != emissions.shape[:1]:
            raise SettingError(f"lengths must be (B,) = ({emissions.shape[0]},), got {tuple(lengths.shape)}")
        if tags is not None and tags.shape != emissions.shape[:2]:
            raise SettingError(f"tags must be (B, T) = {tuple(emissions.shape[:2])}, got {tuple(tags.shape)}")


@dataclass(frozen=True)
class _Chains:
    """What forward-backward finds about B sentences; float64, because scaled probabilities may become tiny."""

    log_partition: Tensor  # (B,)
    marginals: Tensor  # (B, T, K), zero on padding
    before: Tensor  # (B, T - 1, K): weight of the left tag of each pair of words, zero on padding
    after: Tensor  # (B, T - 1, K): weight of the right one; times the transition, their product is a probability
    moves: Tensor  # (K, K): exponentials of the transitions, scaled


def _forward_backward(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor, allowed: Tensor | None = None
) -> _Chains:
    """Run forward and backward at once: the backward pass is a forward pass over each sentence reversed.

    Tags that `allowed` (B, T, K) rules out count as impossible.
    """
    lengths = lengths.to(emissions.device)
    mask = _mask(emissions, lengths)  # (B, T)
    steps = torch.arange(emissions.shape[1], device=emissions.device)  # (T,)
    is_last = steps == (lengths - 1).unsqueeze(1)  # (B, T)
    reverse = torch.where(mask, (lengths - 1).unsqueeze(1) - steps, steps).unsqueeze(2).expand_as(emissions)

    peaks = emissions.amax(dim=2)  # (B, T)
    weights = (emissions - peaks.unsqueeze(2)).double().exp()  # (B, T, K)
    if allowed is not None:
        weights = weights * allowed
    weights = weights.masked_fill(~mask.unsqueeze(2), 1.0)  # so that what follows a sentence stays finite
    moves, move_peak = _scaled(transitions)  # (K, K), ()
    first, first_peak = _scaled(start)  # (K,), ()
    final, final_peak = _scaled(end)  # (K,), ()

    both = torch.stack((weights, weights.gather(1, reverse)), dim=0).permute(2, 0, 1, 3).contiguous()  # (T, 2, B, K)
    states, scales = _scan(both, torch.stack((first, final)), torch.stack((moves, moves.t())))
    forward, backward = states.transpose(0, 1).transpose(1, 2).unbind(0)  # (B, T, K) each
    backward = backward.gather(1, reverse)  # weight of all that starts with a tag at a word, its emission included

    rest = (backward @ moves.t())[:, 1:]  # (B, T - 1, K): weight of all that follows a tag at a word
    rest = torch.cat((rest, rest.new_zeros(rest.shape[0], 1, rest.shape[2])), dim=1)
    rest = torch.where(is_last.unsqueeze(2), final, rest)  # (B, T, K)
    joint = forward * rest  # (B, T, K)
    total = joint.sum(dim=2, keepdim=True)  # (B, T, 1)
    marginals = (joint / total).masked_fill(~mask.unsqueeze(2), 0.0)
    is_no_pair = ~mask[:, 1:].unsqueeze(2)  # (B, T - 1, 1): behind a tag that nothing may follow, states are nan
    before = forward[:, :-1].masked_fill(is_no_pair, 0.0)
    after = (backward[:, 1:] / total[:, :-1]).masked_fill(is_no_pair, 0.0)

    logs = (scales[:, 0].t().log() + peaks).masked_fill(~mask, 0.0).sum(1)  # (B,)
    ends = total.squeeze(2).masked_fill(~is_last, 0.0).sum(1).log()  # (B,)
    log_partition = logs + ends + (lengths - 1) * move_peak + first_peak + final_peak
    return _Chains(log_partition, marginals, before, after, moves)


def _scan(weights: Tensor, first: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
    """Run two chains word by word, scaling each state to sum 1.

    This loop over time is the one loop of the loss, so it writes into memory that is there already.

    Args:
        weights: (T, 2, B, K) emissions of forward and backward chain.
        first: (2, K) weights of the first tag.
        moves: (2, K, K) weights of the transitions.

    Returns:
        (T, 2, B, K) states and (T, 2, B) their sums before scaling.
    """
    states = weights.clone()  # each step multiplies into its own
    scales = weights.new_empty((*weights.shape[:3], 1))
    moved = torch.empty_like(weights[0])
    states[0].mul_(first.unsqueeze(1))
    previous: Tensor | None = None
    for state, scale in zip(states.unbind(0), scales.unbind(0), strict=True):
        if previous is not None:
            state.mul_(torch.bmm(previous, moves, out=moved))
        torch.sum(state, dim=2, keepdim=True, out=scale)
        state.div_(scale)
        previous = state
    return states, scales.squeeze(3)


class _LogPartition(torch.autograd.Function):
    """The log-partition; its gradient is the marginals, which forward-backward has at hand."""

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
        chains = _forward_backward(emissions, transitions, start, end, lengths, allowed)
        ctx.save_for_backward(chains.marginals, chains.before, chains.after, chains.moves, lengths)
        ctx.dtype = emissions.dtype
        return chains.log_partition.to(emissions.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        marginals, before, after, moves, lengths = ctx.saved_tensors
        weight = gradient.double().view(-1, 1, 1)  # (B, 1, 1)
        marginals = marginals * weight  # (B, T, K)
        pairs = moves * (before.flatten(0, 1).t() @ (after * weight).flatten(0, 1))  # (K, K)
        last = (lengths - 1).to(marginals.device).view(-1, 1, 1).expand(-1, 1, marginals.shape[2])
        ends = marginals.gather(1, last).sum((0, 1))  # (K,)
        wanted = (marginals, pairs, marginals[:, 0].sum(0), ends)
        return (*(tensor.to(ctx.dtype) for tensor in wanted), None, None)


def _mask(emissions: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(emissions.shape[1], device=emissions.device) < lengths.to(emissions.device).unsqueeze(1)


def _scaled(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the exponentials of scores, the largest being 1, and the largest score."""
    peak = scores.max().clamp_min(torch.finfo(scores.dtype).min)  # finite where all are impossible
    return (scores - peak).double().exp(), peak
