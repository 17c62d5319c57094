"""The n best tag sequences of a linear-chain CRF.

Source: Seshadri and Sundberg, List Viterbi Decoding Algorithms with Applications, 1994, the parallel form.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flairlite.errors import SettingError
from flairlite.nn.crf import LinearChainCRF, split_tags


@dataclass(frozen=True)
class Paths:
    """The n best tag sequences of B sentences, best first.

    Attributes:
        tags: (B, n, T) tags; padding repeats the last one.
        probabilities: (B, n) float64 probability of each sequence; 0 beyond the number of possible sequences, where the
            tags are meaningless.
    """

    tags: Tensor
    probabilities: Tensor


@torch.no_grad()
def best_paths(crf: LinearChainCRF, emissions: Tensor, lengths: Tensor, n: int) -> Paths:
    """Find the n best tag sequences of each sentence by Viterbi's algorithm with n states per tag.

    Args:
        crf: Scores of transitions, first and last tags.
        emissions: (B, T, K) scores.
        lengths: (B,) words per sentence, at least 1.
        n: Number of sequences.

    Raises:
        SettingError: If `n` is less than 1, or shapes do not fit.
    """
    if n < 1:
        raise SettingError(f"n, the number of sequences to find, must be at least 1; it is {n}")
    log_partition = crf.log_partition(emissions, lengths).double()  # (B,)
    chain = crf.scores
    size, width, num_tags = emissions.shape
    emissions, transitions = emissions.double(), chain.transitions.double()
    is_word = torch.arange(width, device=emissions.device) < lengths.to(emissions.device).unsqueeze(1)  # (B, T)
    states = emissions.new_full((size, n, num_tags), -torch.inf)  # scores of the n best paths to each tag
    states[:, 0] = chain.start + emissions[:, 0]
    same_state = torch.arange(n * num_tags, device=emissions.device).view(1, n, num_tags).expand(size, -1, -1)
    parts = split_tags(num_tags, states.numel(), states.device)
    backpointers = []
    for step in range(1, width):
        found = [(states.unsqueeze(3) + transitions[:, part]).flatten(1, 2).topk(n, dim=1) for part in parts]
        values, indices = (torch.cat(tensors, dim=2) for tensors in zip(*found, strict=True))  # (B, n, K to) each
        is_inside = is_word[:, step].view(-1, 1, 1)
        states = torch.where(is_inside, values + emissions[:, step].unsqueeze(1), states)
        backpointers.append(torch.where(is_inside, indices, same_state).flatten(1))  # (B, n x K)
    final = (states + chain.end.double()).flatten(1).topk(n, dim=1)
    state = final.indices  # (B, n)
    path = [state % num_tags]
    for pointers in reversed(backpointers):
        state = pointers.gather(1, state)
        path.append(state % num_tags)
    return Paths(torch.stack(path[::-1], dim=2), (final.values - log_partition.unsqueeze(1)).exp())
