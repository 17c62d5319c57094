"""Choose labels of words, or tags of spans, by the scores of a model."""

from __future__ import annotations

from torch import Tensor, nn

from flairlite.nn import LinearChainCRF, SpanScorer
from flairlite.tasks import Decoded, SpanTask, Task


class WordDecoder(nn.Module):
    """Chooses the best classes of the words of a sentence: each by itself, or a sequence of them.

    It has no weights. Tags of spans are chosen as a valid sequence, also without a CRF.

    Args:
        task: What is labelled.
        use_crf: Whether a CRF scores sequences; it knows itself which are valid.
    """

    def __init__(self, task: Task, *, use_crf: bool = False) -> None:
        super().__init__()
        self.task = task
        legal = None if use_crf else task.transition_mask()
        self.rules = None if legal is None else LinearChainCRF(len(legal) - 1, transition_mask=legal, is_learned=False)
        self.span_scorer = SpanScorer(*task.span_tables()) if isinstance(task, SpanTask) else None

    def chain(self, crf: LinearChainCRF | None) -> LinearChainCRF | None:
        """Return what scores pairs of classes, or says which are possible, if anything does."""
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
        """Choose classes by scores (B, T, K) of sentences of some lengths (B,); see `Model.decode`."""
        chain = self.chain(crf)
        if chain is None:
            return self.task.decode(scores, with_probabilities=with_probabilities)
        tags = chain.decode(scores, lengths)  # (B, T)
        if not (with_scores or with_probabilities):
            return Decoded(tags)
        chains = None if self.span_scorer is None else chain.forward_backward(scores, lengths)
        probabilities = chain.marginals(scores, lengths) if chains is None else chains.marginals()  # (B, T, K)
        own = probabilities.gather(2, tags.unsqueeze(2)).squeeze(2)  # (B, T)
        span_scores = None if self.span_scorer is None else self.span_scorer(chains, tags, own)
        return Decoded(tags, own, probabilities if with_probabilities else None, span_scores)
