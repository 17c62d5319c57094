"""A linear-chain conditional random field.

Sources: Lafferty, McCallum and Pereira, Conditional Random Fields, 2001, for the model; Rabiner, A Tutorial on Hidden
Markov Models, 1989, section III, for Viterbi's algorithm.
"""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from flairlite.errors import SettingError
from flairlite.nn.forward_backward import ChainScores, ForwardBackward, find_kernels, log_partition
from flairlite.single_chain import decode_single, marginals_single
from flairlite.tensors import check_size, copy_to

_CACHED_VALUES = 1 << 18  # 1 MB in float32: half of the cache of a core
_DEVICE_VALUES = 1 << 26  # 256 MB


class LinearChainCRF(nn.Module):
    """Scores whole tag sequences by the emission of each tag at each word and by each pair of neighbouring tags.

    A score of minus infinity makes a tag or pair impossible, and so does one more than 700 below the others of its
    kind, such as -10,000. The results for a sentence without a possible sequence are infinite or not a number.

    Args:
        num_tags: Number of tags K.
        transition_mask: (K + 1, K + 1) True where the column's tag may follow the row's. The last row is the start of a
            sentence, the last column its end. All other sequences have probability 0. None allows every transition.
        is_learned: Whether the transitions have scores; without, they are only allowed or not.

    Raises:
        SettingError: If there is no tag, or `transition_mask` has another shape or dtype.
    """

    def __init__(self, num_tags: int, *, transition_mask: Tensor | None = None, is_learned: bool = True) -> None:
        super().__init__()
        num_tags = check_size("num_tags", num_tags)
        shape = (num_tags + 1, num_tags + 1)
        if transition_mask is not None and (transition_mask.shape != shape or transition_mask.dtype != torch.bool):
            raise SettingError(
                f"transition_mask must be (K + 1, K + 1) = {shape} of booleans, got {tuple(transition_mask.shape)} of "
                f"{transition_mask.dtype}"
            )
        self.num_tags, self.is_learned = num_tags, is_learned
        if is_learned:
            self.transitions = nn.Parameter(torch.randn(num_tags, num_tags))  # from the row's tag to the column's
            self.start = nn.Parameter(torch.randn(num_tags))
            self.end = nn.Parameter(torch.randn(num_tags))
        elif transition_mask is None:
            transition_mask = torch.ones(num_tags + 1, num_tags + 1, dtype=torch.bool)
        self.transition_scores: Tensor | None  # (K + 1, K + 1): 0 for allowed transitions, minus infinity for others
        scores = (
            None
            if transition_mask is None
            else torch.zeros(transition_mask.shape).masked_fill(~transition_mask, -torch.inf)
        )
        self.register_buffer("transition_scores", scores, persistent=False)

    @property
    def scores(self) -> ChainScores:
        """Scores of transitions, first and last tags; minus infinity where the transition mask forbids them."""
        if self.transition_scores is None:
            return ChainScores(self.transitions, self.start, self.end)
        masked = ChainScores(
            self.transition_scores[:-1, :-1], self.transition_scores[-1, :-1], self.transition_scores[:-1, -1]
        )
        if not self.is_learned:
            return masked
        return ChainScores(self.transitions + masked.transitions, self.start + masked.start, self.end + masked.end)

    def forward(self, emissions: Tensor, tags: Tensor, lengths: Tensor, *, is_partial: bool | None = None) -> Tensor:
        """Compute the negative log-likelihood of the tags of each sentence.

        Args:
            emissions: (B, T, K) scores.
            tags: (B, T) tags; -1 marks an unknown tag, for which every tag counts as correct.
            lengths: (B,) words per sentence, at least 1.
            is_partial: Whether the tag of some word is -1; None finds out, which waits for the device.

        Returns:
            (B,) natural logarithms.
        """
        self._validate(emissions, lengths, tags)
        scores, lengths = self.scores, copy_to(lengths, emissions.device)
        if (kernels := find_kernels(emissions)) is not None:
            loss = kernels.NegativeLogLikelihood.apply
            return loss(emissions, scores.transitions, scores.start, scores.end, lengths, tags)  # type: ignore[no-any-return]
        mask = torch.arange(emissions.shape[1], device=emissions.device) < lengths.unsqueeze(1)  # (B, T)
        if is_partial is None:
            is_partial = bool((tags.lt(0) & mask).any())
        if is_partial:
            allowed = nn.functional.one_hot(tags.clamp_min(0), self.num_tags).bool() | tags.lt(0).unsqueeze(2)
            gold = log_partition(emissions, scores, lengths, allowed)
        else:
            gold = _path_score(emissions, scores, tags.clamp_min(0), lengths, mask)
        return log_partition(emissions, scores, lengths) - gold

    def log_partition(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Compute the log of the summed exponentials of the scores of all sequences, (B,)."""
        self._validate(emissions, lengths)
        return log_partition(emissions, self.scores, lengths)

    def cross_entropy(
        self, emissions: Tensor, probabilities: Tensor, lengths: Tensor, *, temperature: float = 1.0
    ) -> Tensor:
        """Compute the cross entropy between independent distributions of the tags and the sequences of the CRF.

        The target probability of a sequence is the product of those of its tags. With one-hot distributions the result
        is the negative log-likelihood.

        Args:
            emissions: (B, T, K) scores.
            probabilities: (B, T, K) target probability of each tag at each word, of which each row sums to 1.
            lengths: (B,) words per sentence, at least 1.
            temperature: What all scores are divided by.

        Returns:
            (B,) natural logarithms.

        Raises:
            SettingError: If transitions are forbidden: the target has sequences that are impossible then.
        """
        self._validate(emissions, lengths)
        if self.transition_scores is not None:
            raise SettingError("a CRF with forbidden transitions cannot learn independent distributions of tags")
        scores = ChainScores(self.transitions / temperature, self.start / temperature, self.end / temperature)
        emissions, lengths = emissions / temperature, copy_to(lengths, emissions.device)
        total = log_partition(emissions, scores, lengths)  # (B,)
        is_padding = (torch.arange(emissions.shape[1], device=lengths.device) >= lengths.unsqueeze(1)).unsqueeze(2)
        # float64, as in forward-backward: autocast would multiply the matrices in bfloat16
        transitions, start, end = (part.double() for part in (scores.transitions, scores.start, scores.end))
        target = probabilities.double().masked_fill(is_padding, 0.0)  # (B, T, K)
        emitted = (emissions.double().masked_fill(is_padding, 0.0) * target).sum((1, 2))  # (B,)
        inner = ((target[:, :-1] @ transitions) * target[:, 1:]).sum((1, 2))  # (B,)
        last = target[torch.arange(len(lengths), device=lengths.device), lengths - 1]  # (B, K)
        expected = emitted + inner + target[:, 0] @ start + last @ end
        return (total - expected).to(emissions.dtype)

    @torch.no_grad()
    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Compute the probability of each tag at each word, (B, T, K); zero on padding."""
        if _is_single(emissions, lengths):
            self._validate(emissions, lengths)
            marginals = marginals_single(*_to_arrays(emissions, self.scores))
            return torch.from_numpy(marginals).unsqueeze(0).to(emissions.dtype)
        if (kernels := find_kernels(emissions)) is not None:
            return self._make_chain(kernels, emissions, lengths).compute_marginals()  # type: ignore[no-any-return]
        return self.forward_backward(emissions, lengths).marginals().to(emissions.dtype)

    @torch.no_grad()
    def forward_backward(self, emissions: Tensor, lengths: Tensor) -> ForwardBackward:
        """Run forward-backward, which provides marginal and conditional probabilities."""
        self._validate(emissions, lengths)
        return ForwardBackward(emissions, self.scores, lengths)

    @torch.no_grad()
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Find the best tag sequence of each sentence by Viterbi's algorithm, (B, T); padding repeats the last tag."""
        self._validate(emissions, lengths)
        chain = self.scores
        if _is_single(emissions, lengths):
            return torch.tensor([decode_single(*_to_arrays(emissions, chain))])
        if (kernels := find_kernels(emissions)) is not None:
            return self._make_chain(kernels, emissions, lengths).find_best_path()  # type: ignore[no-any-return]
        # a copy, (T, K, B): a maximum over tags runs over whole vectors
        scores = emissions.permute(1, 2, 0).clone(memory_format=torch.contiguous_format)
        scores[0] += chain.start.unsqueeze(1)
        steps = _add_best_paths(scores, chain.transitions)
        last = copy_to(lengths - 1, emissions.device)  # (B,)
        final = scores[last, :, torch.arange(len(last), device=last.device)]  # (B, K)
        tag = (final + chain.end).argmax(dim=1)  # (B,)
        path = [tag]
        for step in range(len(steps) - 2, -1, -1):  # backpointers are computed along the best path only
            previous_tag = (steps[step] + chain.transitions.index_select(1, tag)).argmax(dim=0)
            tag = torch.where(step < last, previous_tag, tag)
            path.append(tag)
        return torch.stack(path[::-1], dim=1)

    def extra_repr(self) -> str:
        """Show the number of tags when the module is printed."""
        return f"num_tags={self.num_tags}" + ("" if self.is_learned else ", is_learned=False")

    def _make_chain(self, kernels: ModuleType, emissions: Tensor, lengths: Tensor) -> Any:
        self._validate(emissions, lengths)
        scores = self.scores
        return kernels.Chain.of(
            emissions, scores.transitions, scores.start, scores.end, copy_to(lengths, emissions.device)
        )

    def _validate(self, emissions: Tensor, lengths: Tensor, tags: Tensor | None = None) -> None:
        if emissions.dim() != 3 or emissions.shape[2] != self.num_tags or emissions.shape[1] == 0:
            raise SettingError(f"emissions must be (B, T > 0, K = {self.num_tags}), got {tuple(emissions.shape)}")
        if lengths.shape != emissions.shape[:1]:
            raise SettingError(f"lengths must be (B,) = ({emissions.shape[0]},), got {tuple(lengths.shape)}")
        if lengths.device.type == "cpu":  # reading them from another device would wait for it
            values = lengths.tolist()
            if values and not 1 <= min(values) <= max(values) <= emissions.shape[1]:
                raise SettingError(f"lengths must be from 1 to T = {emissions.shape[1]}, got {values!s:.80}")
        if tags is not None and tags.shape != emissions.shape[:2]:
            raise SettingError(f"tags must be (B, T) = {tuple(emissions.shape[:2])}, got {tuple(tags.shape)}")


def split_tags(num_tags: int, values_per_tag: int, device: torch.device) -> list[slice]:
    """Return slices of K tags, for which an operation with so many values per tag fits into memory at once.

    On a CPU that is the cache of a core: with hundreds of tags, K * K values for each sentence are far more than that.
    """
    size = max(1, (_CACHED_VALUES if device.type == "cpu" else _DEVICE_VALUES) // values_per_tag)
    return [slice(start, min(start + size, num_tags)) for start in range(0, num_tags, size)]


def _add_best_paths(scores: Tensor, transitions: Tensor) -> tuple[Tensor, ...]:
    """Add to scores (T, K, B) of tags those of the best path to each, and return the steps, T times (K, B)."""
    _, num_tags, size = scores.shape
    incoming = transitions.t().unsqueeze(2).contiguous()  # (K to, K from, 1)
    best = torch.empty_like(scores[0])  # (K, B)
    parts = split_tags(num_tags, num_tags * size, scores.device)
    candidates = scores.new_empty(parts[0].stop, num_tags, size)  # (part of K to, K from, B)
    buffers = [(incoming[part], candidates[: part.stop - part.start], best[part]) for part in parts]
    steps: tuple[Tensor, ...] = scores.unbind(0)
    for previous, score in pairwise(steps):
        for into, sums, maxima in buffers:
            torch.amax(torch.add(previous, into, out=sums), dim=1, out=maxima)
        score += best
    return steps


def _path_score(emissions: Tensor, scores: ChainScores, tags: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
    """Return the score of one tag sequence per sentence, (B,)."""
    last = tags.gather(1, (lengths - 1).unsqueeze(1)).squeeze(1)  # (B,)
    emitted = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)  # (B, T)
    pairs = tags[:, :-1] * len(scores.start) + tags[:, 1:]  # (B, T - 1)
    transitions = scores.transitions.flatten().index_select(0, pairs.flatten()).view_as(pairs)
    # masked_fill, not a product with the mask: scores on padding may be infinite
    inner = emitted.masked_fill(~mask, 0.0).sum(1) + transitions.masked_fill(~mask[:, 1:], 0.0).sum(1)
    return inner + scores.start.index_select(0, tags[:, 0]) + scores.end.index_select(0, last)


def _is_single(emissions: Tensor, lengths: Tensor) -> bool:
    """Tell whether this is one sentence without padding, on the CPU, in a dtype that NumPy has."""
    is_float = emissions.dtype in (torch.float32, torch.float64)
    return len(emissions) == 1 and emissions.device.type == "cpu" and is_float and int(lengths) == emissions.shape[1]


def _to_arrays(emissions: Tensor, chain: ChainScores) -> list[Any]:
    """Return the emissions (1, T, K) of a sentence, (T, K), and the scores of a chain as arrays.

    Scores in bfloat16, which NumPy lacks, are converted.
    """
    tensors = (emissions[0], chain.transitions, chain.start, chain.end)
    return [(tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy() for tensor in tensors]
