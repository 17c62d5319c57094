"""A linear-chain conditional random field.

Sources: Lafferty, McCallum and Pereira, Conditional Random Fields, 2001, for the model; Rabiner, A Tutorial on Hidden
Markov Models, 1989, sections III and V.A, for forward-backward with scaling and for Viterbi's algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.errors import SettingError
from flairlite.nn.single_chain import decode_single, marginals_single
from flairlite.tensors import copy_to


class LinearChainCRF(nn.Module):
    """Scores whole tag sequences: by an emission of each tag at each word and by each pair of neighbouring tags.

    A score of minus infinity makes something impossible, and so does one more than 700 below the others of its kind,
    such as -10,000. The figures of a sentence that has no possible sequence are infinite or not a number.

    Args:
        num_tags: Number of tags K.
        transition_mask: (K + 1, K + 1) True where the column's tag may follow the row's. The last row is the start of a
            sentence, the last column its end. All other sequences have probability 0. None allows every transition.
        is_learned: Whether pairs of tags have scores of their own; without, they are legal or not, and that is all.

    Raises:
        SettingError: when there is no tag, or `transition_mask` has another shape.
    """

    def __init__(self, num_tags: int, *, transition_mask: Tensor | None = None, is_learned: bool = True) -> None:
        super().__init__()
        if num_tags < 1:
            raise SettingError(f"a CRF needs at least one tag; there are {num_tags}")
        if transition_mask is not None and transition_mask.shape != (num_tags + 1, num_tags + 1):
            raise SettingError(
                f"transition_mask must be (K + 1, K + 1) with K = {num_tags}, got {tuple(transition_mask.shape)}"
            )
        self.num_tags, self.is_learned = num_tags, is_learned
        if is_learned:
            self.transitions = nn.Parameter(torch.randn(num_tags, num_tags))  # from the row's tag to the column's
            self.start = nn.Parameter(torch.randn(num_tags))
            self.end = nn.Parameter(torch.randn(num_tags))
        elif transition_mask is None:
            transition_mask = torch.ones(num_tags + 1, num_tags + 1, dtype=torch.bool)
        self.transition_scores: Tensor | None  # (K + 1, K + 1): 0 where a tag may follow, else minus infinity
        limits = (
            None
            if transition_mask is None
            else torch.zeros(transition_mask.shape).masked_fill(~transition_mask, -torch.inf)
        )
        self.register_buffer("transition_scores", limits, persistent=False)

    @property
    def scores(self) -> ChainScores:
        """The scores of pairs of tags, of first and of last tags; minus infinity for what is not legal."""
        if self.transition_scores is None:
            return ChainScores(self.transitions, self.start, self.end)
        limits = ChainScores(
            self.transition_scores[:-1, :-1], self.transition_scores[-1, :-1], self.transition_scores[:-1, -1]
        )
        if not self.is_learned:
            return limits
        return ChainScores(self.transitions + limits.transitions, self.start + limits.start, self.end + limits.end)

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
        scores, lengths = self.scores, copy_to(lengths, emissions.device)
        mask = _mask(emissions, lengths)
        if is_partial is None:
            is_partial = bool((tags.lt(0) & mask).any())
        if is_partial:
            allowed = nn.functional.one_hot(tags.clamp_min(0), self.num_tags).bool() | tags.lt(0).unsqueeze(2)
            gold = _log_partition(emissions, scores, lengths, allowed)
        else:
            gold = _path_score(emissions, scores, tags.clamp_min(0), lengths, mask)
        return _log_partition(emissions, scores, lengths) - gold

    def log_partition(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Compute the logarithm of the summed exponentials of all sequences' scores, (B,)."""
        self._validate(emissions, lengths)
        return _log_partition(emissions, self.scores, lengths)

    @torch.no_grad()
    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Compute the probability of each tag at each word, (B, T, K); zero on padding."""
        if _is_single(emissions, lengths):
            self._validate(emissions, lengths)
            chain = self.scores
            alone = marginals_single(emissions, chain.transitions, chain.start, chain.end)
            return alone.to(emissions.dtype)
        return self.forward_backward(emissions, lengths).marginals().to(emissions.dtype)

    @torch.no_grad()
    def forward_backward(self, emissions: Tensor, lengths: Tensor) -> ForwardBackward:
        """Run forward-backward, of which marginals and probabilities of neighbouring tags can be had."""
        self._validate(emissions, lengths)
        return ForwardBackward(emissions, self.scores, lengths)

    @torch.no_grad()
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Find the best tag sequence of each sentence by Viterbi's algorithm, (B, T); padding repeats the last tag."""
        self._validate(emissions, lengths)
        chain = self.scores
        if _is_single(emissions, lengths):
            return decode_single(emissions, chain.transitions, chain.start, chain.end)
        # a copy, (T, K, B): a maximum over tags runs over whole vectors
        scores = emissions.permute(1, 2, 0).clone(memory_format=torch.contiguous_format)
        into = chain.transitions.t().unsqueeze(2).contiguous()  # (K to, K from, 1)
        scores[0] += chain.start.unsqueeze(1)
        moved = scores.new_empty(self.num_tags, *scores.shape[1:])  # (K to, K from, B)
        best = torch.empty_like(scores[0])
        steps = scores.unbind(0)
        for previous, score in pairwise(steps):
            torch.amax(torch.add(previous, into, out=moved), dim=1, out=best)
            score += best
        last = copy_to(lengths - 1, emissions.device)  # (B,)
        final = scores[last, :, torch.arange(len(last), device=last.device)]  # (B, K)
        tag = (final + chain.end).argmax(dim=1)  # (B,)
        path = [tag]
        for place in range(len(steps) - 2, -1, -1):  # only where the path comes from is worked out, not every origin
            origin = (steps[place] + chain.transitions.index_select(1, tag)).argmax(dim=0)
            tag = torch.where(place < last, origin, tag)
            path.append(tag)
        return torch.stack(path[::-1], dim=1)

    def extra_repr(self) -> str:
        """Show the number of tags when the module is printed."""
        return f"num_tags={self.num_tags}" + ("" if self.is_learned else ", is_learned=False")

    def _validate(self, emissions: Tensor, lengths: Tensor, tags: Tensor | None = None) -> None:
        if emissions.dim() != 3 or emissions.shape[2] != self.num_tags or emissions.shape[1] == 0:
            raise SettingError(f"emissions must be (B, T > 0, K = {self.num_tags}), got {tuple(emissions.shape)}")
        if lengths.shape != emissions.shape[:1]:
            raise SettingError(f"lengths must be (B,) = ({emissions.shape[0]},), got {tuple(lengths.shape)}")
        if tags is not None and tags.shape != emissions.shape[:2]:
            raise SettingError(f"tags must be (B, T) = {tuple(emissions.shape[:2])}, got {tuple(tags.shape)}")


@dataclass(frozen=True)
class ChainScores:
    """What is added to the emissions of a tag sequence.

    Attributes:
        transitions: (K, K) of each two neighbouring tags, from the row's to the column's.
        start: (K,) of the first tag.
        end: (K,) of the last one.
    """

    transitions: Tensor
    start: Tensor
    end: Tensor


class ForwardBackward:
    """Forward-backward over B sentences; what can be made of it is computed when it is asked for.

    The backward pass is a forward pass over each sentence turned round, so both run as one. All is float64, because
    scaled probabilities may become tiny. Tags that `allowed` (B, T, K) rules out count as impossible.
    """

    def __init__(self, emissions: Tensor, scores: ChainScores, lengths: Tensor, allowed: Tensor | None = None) -> None:
        self.lengths = copy_to(lengths, emissions.device)
        steps = torch.arange(emissions.shape[1], device=emissions.device)  # (T,)
        last = self.lengths.unsqueeze(1) - 1  # (B, 1)
        self.is_last = (steps == last).unsqueeze(2)  # (B, T, 1)
        self.is_padding = (steps > last).unsqueeze(2)  # (B, T, 1)
        turned = torch.where(steps > last, steps, last - steps).unsqueeze(2).expand_as(emissions)
        self.moves, self.move_peak = _scaled(scores.transitions)  # (K, K), ()
        first, self.first_peak = _scaled(scores.start)  # (K,), ()
        final, self.final_peak = _scaled(scores.end)  # (K,), ()
        self.peaks = emissions.amax(dim=2)  # (B, T)

        weights = (emissions - self.peaks.unsqueeze(2)).double().exp()  # (B, T, K)
        if allowed is not None:
            weights = weights * allowed
        weights = weights.masked_fill(self.is_padding, 1.0)  # so that what follows a sentence stays finite
        both = torch.stack((weights, weights.gather(1, turned))).permute(2, 0, 1, 3).contiguous()  # (T, 2, B, K)
        self.scales = _scan(both, torch.stack((first, final)), torch.stack((self.moves, self.moves.t())))
        self.before, after = both.permute(1, 2, 0, 3).unbind(0)  # (B, T, K): weight of all up to a tag at a word
        self.after = after.gather(1, turned)  # (B, T, K): of all from a tag at a word on, its emission included
        self.behind = nn.functional.pad((self.after @ self.moves.t())[:, 1:], (0, 0, 0, 1))  # (B, T, K): all behind it
        self.joint = self.before * torch.where(self.is_last, final, self.behind)  # (B, T, K)
        self.total = self.joint.sum(dim=2, keepdim=True)  # (B, T, 1)

    def log_partition(self) -> Tensor:
        """Return the logarithm of the summed exponentials of all sequences' scores, (B,)."""
        inner = (self.scales[:, 0].t().log() + self.peaks).masked_fill(self.is_padding.squeeze(2), 0.0).sum(1)
        end = self.total.masked_fill(~self.is_last, 0.0).sum((1, 2)).log()
        return inner + end + (self.lengths - 1) * self.move_peak + self.first_peak + self.final_peak

    def marginals(self) -> Tensor:
        """Return the probability of each tag at each word, (B, T, K), zero on padding."""
        return (self.joint / self.total).masked_fill(self.is_padding, 0.0)

    def conditionals(self, tags: Tensor, following: Tensor) -> Tensor:
        """Return how probable a tag is behind a word that has a certain one; zero on padding.

        Args:
            tags: (B, T) the tag that each word has.
            following: (B, T) the tag that the word behind it is asked for, and -1 for one that it never has.

        Returns:
            (B, T - 1): word t + 1 has the tag `following[:, t]` where word t has the tag `tags[:, t]`.
        """
        tags, asked = tags[:, :-1], following[:, :-1].clamp_min(0)
        moves = self.moves.flatten().index_select(0, (tags * len(self.moves) + asked).flatten()).view_as(tags)
        weights = moves * self.after[:, 1:].gather(2, asked.unsqueeze(2)).squeeze(2)
        all_weights = self.behind[:, :-1].gather(2, tags.unsqueeze(2)).squeeze(2)
        is_none = self.is_padding[:, 1:].squeeze(2) | following[:, :-1].lt(0)
        return (weights / all_weights).masked_fill(is_none, 0.0)

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Return what makes the probabilities of the tags of each two words, (B, T - 1, K) twice, zero on padding.

        The probability of tag i and then j is the first's i times the moves' i, j times the second's j.
        """
        is_no_pair = self.is_padding[:, 1:]  # behind a tag that nothing may follow, states are nan
        before = self.before[:, :-1].masked_fill(is_no_pair, 0.0)
        return before, (self.after[:, 1:] / self.total[:, :-1]).masked_fill(is_no_pair, 0.0)


def _scan(weights: Tensor, first: Tensor, moves: Tensor) -> Tensor:
    """Run two chains word by word, scaling each state to sum 1.

    This loop over time is the one loop of the loss, so it writes into memory that is there already.

    Args:
        weights: (T, 2, B, K) emissions of forward and backward chain; the states take their place.
        first: (2, K) weights of the first tag.
        moves: (2, K, K) weights of the transitions.

    Returns:
        (T, 2, B) sums of the states before scaling.
    """
    scales = weights.new_empty((*weights.shape[:3], 1))
    moved = torch.empty_like(weights[0])
    weights[0].mul_(first.unsqueeze(1))
    previous: Tensor | None = None
    for state, scale in zip(weights.unbind(0), scales.unbind(0), strict=True):
        if previous is not None:
            state.mul_(torch.bmm(previous, moves, out=moved))
        torch.sum(state, dim=2, keepdim=True, out=scale)
        state.div_(scale)
        previous = state
    return scales.squeeze(3)


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
        chains = ForwardBackward(emissions, ChainScores(transitions, start, end), lengths, allowed)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(chains.marginals(), *chains.pairs(), chains.moves, chains.lengths)
        return chains.log_partition().to(emissions.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        marginals, before, after, moves, lengths = ctx.saved_tensors
        weight = gradient.double().view(-1, 1, 1)  # (B, 1, 1)
        marginals = marginals * weight  # (B, T, K)
        pairs = moves * (before.flatten(0, 1).t() @ (after * weight).flatten(0, 1))  # (K, K)
        last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, marginals.shape[2])
        ends = marginals.gather(1, last).sum((0, 1))  # (K,)
        wanted = (marginals, pairs, marginals[:, 0].sum(0), ends)
        return (*(tensor.to(gradient.dtype) for tensor in wanted), None, None)


def _log_partition(emissions: Tensor, scores: ChainScores, lengths: Tensor, allowed: Tensor | None = None) -> Tensor:
    result: Tensor = _LogPartition.apply(  # type: ignore[no-untyped-call]
        emissions, scores.transitions, scores.start, scores.end, lengths, allowed
    )
    return result


def _path_score(emissions: Tensor, scores: ChainScores, tags: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
    last = tags.gather(1, (lengths - 1).unsqueeze(1)).squeeze(1)  # (B,)
    emitted = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)  # (B, T)
    pairs = tags[:, :-1] * len(scores.start) + tags[:, 1:]  # (B, T - 1)
    moved = scores.transitions.flatten().index_select(0, pairs.flatten()).view_as(pairs)
    # not a product with the mask: on padding there may be infinite scores
    inner = emitted.masked_fill(~mask, 0.0).sum(1) + moved.masked_fill(~mask[:, 1:], 0.0).sum(1)
    return inner + scores.start.index_select(0, tags[:, 0]) + scores.end.index_select(0, last)


def _is_single(emissions: Tensor, lengths: Tensor) -> bool:
    """Tell whether this is one sentence on the CPU, without padding, in a type that numpy has."""
    is_float = emissions.dtype in (torch.float32, torch.float64)
    return len(emissions) == 1 and emissions.device.type == "cpu" and is_float and int(lengths) == emissions.shape[1]


def _mask(emissions: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(emissions.shape[1], device=emissions.device) < copy_to(lengths, emissions.device).unsqueeze(1)


def _scaled(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the exponentials of scores, the largest being 1, and the largest score."""
    peak = scores.max().clamp_min(torch.finfo(scores.dtype).min)  # finite where all are impossible
    return (scores - peak).double().exp(), peak
