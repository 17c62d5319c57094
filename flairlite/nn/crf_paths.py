"""The best tag sequences of a chain, not only the very best.

Source: Seshadri and Sundberg, List Viterbi Decoding Algorithms with Applications, 1994, the parallel form.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flairlite.errors import SettingError
from flairlite.nn.crf import LinearChainCRF


@dataclass(frozen=True)
class Paths:
    """The n best tag sequences of B sentences, the best first.

    Attributes:
        tags: (B, n, T) tags; padding repeats the last one.
        probabilities: (B, n) float64, how probable each sequence is among all; 0 where there are fewer than n, and the
            tags are meaningless then.
    """

    tags: Tensor
    probabilities: Tensor


@torch.no_grad()
def best_paths(crf: LinearChainCRF, emissions: Tensor, lengths: Tensor, n: int) -> Paths:
    """Find the n best tag sequences of each sentence by Viterbi's algorithm with n states a tag.

    Args:
        crf: The scores of pairs of tags.
        emissions: (B, T, K) scores.
        lengths: (B,) words a sentence, at least 1.
        n: How many sequences.

    Raises:
        SettingError: when n is less than 1, or shapes do not fit.
    """
    if n < 1:
        raise SettingError(f"n, how many sequences to find, must be at least 1; it is {n}")
    log_partition = crf.log_partition(emissions, lengths).double()  # (B,)
    chain = crf.scores
    size, width, num_tags = emissions.shape
    emissions, transitions = emissions.double(), chain.transitions.double()
    is_word = torch.arange(width, device=emissions.device) < lengths.to(emissions.device).unsqueeze(1)  # (B, T)
    states = emissions.new_full((size, n, num_tags), -torch.inf)  # scores of the n best ways to each tag
    states[:, 0] = chain.start + emissions[:, 0]
    stay = torch.arange(n * num_tags, device=emissions.device).view(1, n, num_tags).expand(size, -1, -1)
    origins = []
    for step in range(1, width):
        ways = (states.unsqueeze(3) + transitions).flatten(1, 2)  # (B, n x K from, K to)
        best = ways.topk(n, dim=1)
        goes_on = is_word[:, step].view(-1, 1, 1)
        states = torch.where(goes_on, best.values + emissions[:, step].unsqueeze(1), states)
        origins.append(torch.where(goes_on, best.indices, stay).flatten(1))  # (B, n x K)
    final = (states + chain.end.double()).flatten(1).topk(n, dim=1)
    place = final.indices  # (B, n)
    path = [place % num_tags]
    for origin in reversed(origins):
        place = origin.gather(1, place)
        path.append(place % num_tags)
    return Paths(torch.stack(path[::-1], dim=2), (final.values - log_partition.unsqueeze(1)).exp())
