"""The loss against a teacher's distributions is that of the definition, word by word and sequence by sequence."""

from __future__ import annotations

import math

import pytest
import torch
from crf_cases import enumerated, random_case
from torch import Tensor
from torch.nn.functional import cross_entropy

from flairlite.nn import Distillation, class_loss

SIZES = (3, 4, 6, 3)  # B, T, K, C
MIXED = pytest.mark.parametrize(("weight", "temperature"), [(0.0, 1.0), (0.3, 1.0), (1.0, 1.0), (0.5, 2.5), (0.7, 0.5)])


def draw_words(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw scores (B, T, K), targets (B, T), and classes and probabilities (B, T, C), with words that lack either."""
    draw = torch.Generator().manual_seed(seed)
    num_sentences, width, num_classes, size = SIZES
    scores = torch.randn(num_sentences, width, num_classes, generator=draw, dtype=torch.float64)
    targets = torch.randint(-1, num_classes, (num_sentences, width), generator=draw)
    ids = torch.rand(scores.shape, generator=draw).argsort(2)[:, :, :size]
    probabilities = torch.rand(ids.shape, generator=draw).to(torch.float16)
    probabilities[0, :2] = 0
    targets[0, 0], targets[0, 1], targets[1, 0] = 2, -1, -1
    return scores, targets, ids.to(torch.int16), probabilities


def soften(probabilities: list[float], temperature: float) -> list[float]:
    powers = [value ** (1 / temperature) for value in probabilities]
    return [power / sum(powers) for power in powers]


def slow_loss(
    words: tuple[Tensor, Tensor, Tensor, Tensor], distillation: Distillation, weights: Tensor, smoothing: float
) -> Tensor:
    """Compute the loss with a loop over words, as the documentation defines it."""
    total = torch.zeros((), dtype=torch.float64)
    temperature = distillation.temperature
    for scores, target, ids, probabilities in zip(*(part.flatten(0, 1) for part in words), strict=True):
        has_gold, has_teacher = bool(target >= 0), bool(probabilities.any())
        gold, divergence = torch.zeros(()), torch.zeros(())
        if has_gold:
            gold = cross_entropy(scores, target, weights, reduction="sum", label_smoothing=smoothing)
        if has_teacher:
            student = (scores / temperature).softmax(0)
            for index, value in zip(ids.tolist(), soften(probabilities.tolist(), temperature), strict=True):
                divergence = divergence + value * (math.log(value) - student[index].log()) * temperature**2
        if has_gold and has_teacher:
            total = total + (1 - distillation.weight) * gold + distillation.weight * divergence
        else:
            total = total + gold + divergence
    return total


@MIXED
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_of_words_is_that_of_the_definition(weight: float, temperature: float, smoothing: float) -> None:
    words, distillation = draw_words(), Distillation(weight, temperature)
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0], dtype=torch.float64)
    scores = words[0].requires_grad_()
    found = distillation.class_loss(*words, weights, smoothing)
    expected = slow_loss(words, distillation, weights, smoothing)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    (gradient,), (wanted,) = torch.autograd.grad(found, scores), torch.autograd.grad(expected, scores)
    assert torch.allclose(gradient, wanted, atol=1e-6)


def test_gradients_of_words_are_those_of_finite_differences() -> None:
    scores, *rest = (part[:2, :2] for part in draw_words())
    distillation, weights = Distillation(0.4, 1.7), torch.ones(SIZES[2], dtype=torch.float64)

    def loss(values: Tensor) -> Tensor:
        return distillation.class_loss(values, *rest, weights)

    assert torch.autograd.gradcheck(loss, scores.requires_grad_(), atol=1e-4)


def test_without_distributions_the_loss_is_that_of_gold_labels() -> None:
    scores, targets, ids, probabilities = draw_words()
    weights = torch.ones(SIZES[2], dtype=torch.float64)
    found = Distillation(0.9, 3.0).class_loss(scores, targets, ids, torch.zeros_like(probabilities), weights, 0.1)
    assert found.item() == pytest.approx(class_loss(scores, targets, weights, 0.1).item(), rel=1e-12)


def test_a_student_that_agrees_with_its_teacher_has_no_loss() -> None:
    scores = draw_words()[0]
    targets = torch.full(SIZES[:2], -1)
    ids = torch.arange(SIZES[2]).expand(scores.shape)
    for temperature in (1.0, 2.0):
        loss = Distillation(0.5, temperature).class_loss(
            scores, targets, ids, scores.softmax(2), torch.ones(SIZES[2], dtype=torch.float64)
        )
        assert loss.item() == pytest.approx(0, abs=1e-5)


def test_a_low_temperature_leaves_the_most_probable_class() -> None:
    scores, targets, ids, _ = draw_words()
    probabilities = torch.tensor([0.4, 0.35, 0.25]).expand(ids.shape)  # their powers are 0 in float32
    targets = torch.full_like(targets, -1)
    weights, temperature = torch.ones(SIZES[2], dtype=torch.float64), 0.005
    found = Distillation(0.5, temperature).class_loss(scores, targets, ids, probabilities, weights)
    student = (scores / temperature).log_softmax(2).gather(2, ids.long())  # (B, T, C)
    assert found.item() == pytest.approx(-student[..., 0].sum().item() * temperature**2, rel=1e-6)


@MIXED
def test_loss_of_sequences_is_that_of_the_definition(weight: float, temperature: float) -> None:
    """The teacher's probability of a sequence is the product of those of its tags; the divergence is over sequences."""
    case = random_case([3, 1, 2, 2], 3, width=4).on(torch.device("cpu"), torch.float64)
    draw = torch.Generator().manual_seed(1)
    ids = torch.rand(4, 4, 3, generator=draw).argsort(2)[:, :, :2]
    probabilities = torch.rand(ids.shape, generator=draw)
    probabilities[2, 1] = 0  # a sentence of which one word has no distribution learns none
    has_gold = torch.tensor([True, False, True, True])
    gold = torch.where(has_gold, case.crf(case.emissions, case.tags, case.lengths), 0.0)
    expected = torch.zeros((), dtype=torch.float64)
    for index, (every, _) in enumerate(enumerated(case)):
        target = torch.zeros(every.paths.shape[1], 3, dtype=torch.float64)
        for row, (classes, values) in enumerate(zip(ids[index].tolist(), probabilities[index].tolist(), strict=True)):
            if row < len(target) and any(values):
                target[row, classes] = torch.tensor(soften(values, temperature), dtype=torch.float64)
        teacher = target[torch.arange(len(target)), every.paths].prod(1)  # (P,)
        student = (every.scores / temperature).log_softmax(0)
        divergence = (torch.xlogy(teacher, teacher) - teacher * student).sum() * temperature**2
        if index == 2:
            expected = expected + gold[index]
        elif has_gold[index]:
            expected = expected + (1 - weight) * gold[index] + weight * divergence
        else:
            expected = expected + divergence
    found = Distillation(weight, temperature).chain_loss(
        case.crf, case.emissions, gold, has_gold, ids, probabilities, case.lengths, case.mask.bool()
    )
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    (gradient,), (wanted,) = (
        torch.autograd.grad(loss, case.emissions, retain_graph=True) for loss in (found, expected)
    )
    assert torch.allclose(gradient, wanted, atol=1e-6)
