"""Losses against the class distributions of another model, the teacher.

Source: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015. Each word has the weight 1: a word
with a gold label and a distribution mixes the two losses, another one has the one that it can have.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from flairlite.nn.crf import LinearChainCRF
from flairlite.tensors import UNLABELLED


@dataclass(frozen=True)
class Distillation:
    """How a model learns from gold labels and the distributions of a teacher together.

    Attributes:
        weight: Weight of the divergence from the teacher where there is a gold label too, from 0 to 1; that of the gold
            label is one minus this.
        temperature: What the scores of teacher and student are divided by before their distributions are compared. The
            divergence is multiplied by its square, so that gradients keep their size.
    """

    weight: float = 0.5
    temperature: float = 1.0

    def class_loss(
        self,
        scores: Tensor,
        targets: Tensor,
        class_ids: Tensor,
        probabilities: Tensor,
        weights: Tensor,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Compute the loss of independent words, summed, ().

        Args:
            scores: (B, T, K) score of each class.
            targets: (B, T) class ids, -1 where there is no gold label.
            class_ids: (B, T, C) the teacher's most probable classes.
            probabilities: (B, T, C) their probabilities; all 0 where there is no distribution.
            weights: (K,) weight of each class in the loss of gold labels.
            label_smoothing: Smoothing of gold labels; see `flairlite.nn.class_loss`.
        """
        gold = cross_entropy(
            scores.flatten(0, 1),
            targets.flatten(),
            weights.to(scores.dtype),
            ignore_index=UNLABELLED,
            reduction="none",
            label_smoothing=label_smoothing,
        ).view_as(targets)  # (B, T)
        target = self._soften(probabilities)  # (B, T, C)
        student = (scores / self.temperature).log_softmax(-1).gather(2, class_ids.long())  # (B, T, C)
        divergence = (torch.xlogy(target, target) - target * student).sum(2) * self.temperature**2  # (B, T)
        return self._mix(gold, divergence, targets >= 0, probabilities.any(2))

    def chain_loss(
        self,
        crf: LinearChainCRF,
        scores: Tensor,
        gold: Tensor,
        has_gold: Tensor,
        class_ids: Tensor,
        probabilities: Tensor,
        lengths: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """Compute the loss of sentences, summed, ().

        The teacher's probability of a sequence is the product of those of its tags. A sentence of which some word has
        no distribution is learned from its gold labels alone.

        Args:
            crf: The CRF of the student; all transitions must be allowed.
            scores: (B, T, K) emissions.
            gold: (B,) loss of the gold labels.
            has_gold: (B,) whether a sentence has any.
            class_ids: (B, T, C) the teacher's most probable tags.
            probabilities: (B, T, C) their probabilities; all 0 where there is no distribution.
            lengths: (B,) words per sentence.
            mask: (B, T) True on words.
        """
        target = self._soften(probabilities)  # (B, T, C)
        dense = torch.zeros_like(scores).scatter_add_(2, class_ids.long(), target.to(scores.dtype))  # (B, T, K)
        negative_entropy = torch.xlogy(target, target).sum(2).masked_fill(~mask, 0.0).sum(1)  # (B,)
        crossed = crf.cross_entropy(scores, dense, lengths, temperature=self.temperature)  # (B,)
        divergence = (crossed + negative_entropy) * self.temperature**2
        return self._mix(gold, divergence, has_gold, (probabilities.any(2) | ~mask).all(1))

    def _soften(self, probabilities: Tensor) -> Tensor:
        """Return the distributions at the temperature, of which each sums to 1, or to 0 where there is none."""
        probabilities = probabilities.float()
        if self.temperature < 1:  # the powers of small probabilities would be 0
            largest = probabilities.amax(-1, keepdim=True)
            probabilities = probabilities / largest.clamp_min(torch.finfo(largest.dtype).tiny)
        powers = probabilities ** (1 / self.temperature)
        return powers / powers.sum(-1, keepdim=True).clamp_min(torch.finfo(powers.dtype).tiny)

    def _mix(self, gold: Tensor, divergence: Tensor, has_gold: Tensor, has_teacher: Tensor) -> Tensor:
        gold = torch.where(has_teacher, gold * (1 - self.weight), gold)
        divergence = torch.where(has_gold, divergence * self.weight, divergence)
        return (gold + divergence.masked_fill(~has_teacher, 0.0)).sum()
