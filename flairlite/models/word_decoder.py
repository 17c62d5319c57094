"""Predict labels of words, or tags of spans, from the scores of a model."""

from __future__ import annotations

from torch import Tensor, nn

from flairlite.nn import LinearChainCRF, SpanScorer
from flairlite.tasks import Decoded, SpanTask, Task


class WordDecoder(nn.Module):
    """Predicts the best class of each word, or the best sequence of classes.

    The decoder has no weights. Tags of spans are predicted as a valid sequence, also without a CRF.

    Args:
        task: What the model labels.
        use_crf: Whether a CRF scores sequences, which also excludes invalid ones.
    """

    def __init__(self, task: Task, *, use_crf: bool = False) -> None:
        super().__init__()
        self.task = task
        mask = None if use_crf else task.transition_mask()
        self.rules = None if mask is None else LinearChainCRF(len(mask) - 1, transition_mask=mask, is_learned=False)
        self.span_scorer = SpanScorer(*task.span_tables()) if isinstance(task, SpanTask) else None

    def chain(self, crf: LinearChainCRF | None) -> LinearChainCRF | None:
        """Return the CRF, or else the chain that excludes invalid transitions, or None if all are valid."""
        return self.rules if crf is None else crf

    def forward(
        self,
        scores: Tensor,
        lengths: Tensor,
        crf: LinearChainCRF | None = None,
        *,
        with_scores: bool = True,
        with_probabilities: bool = False,
    ) -> Decoded:
        """Predict classes from scores (B, T, K) of sentences with lengths (B,); see `Model.decode`."""
        chain = self.chain(crf)
        if chain is None:
            return self.task.decode(scores, with_probabilities=with_probabilities)
        tags = chain.decode(scores, lengths)  # (B, T)
        if not (with_scores or with_probabilities):
            return Decoded(tags)
        chains = None if self.span_scorer is None else chain.forward_backward(scores, lengths)
        probabilities = chain.marginals(scores, lengths) if chains is None else chains.marginals()  # (B, T, K)
        tag_scores = probabilities.gather(2, tags.unsqueeze(2)).squeeze(2)  # (B, T)
        span_scores = None if self.span_scorer is None else self.span_scorer(chains, tags, tag_scores)
        return Decoded(tags, tag_scores, probabilities if with_probabilities else None, span_scores)
