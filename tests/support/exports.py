"""Compare the labels of exported models with those of the models themselves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flairlite.data import Label, Sentence
from flairlite.deploy import ExportedModel, load
from flairlite.models import Model

TOLERANCE = 1e-4
ODD = [
    [],
    ["word"],
    ["1984", "3.14", "ÀÉ", "Straße", "🤟🏽", "\ud800", "x" * 300, "LONDON", "berlin"],
    ["", "a", "", " "],
    [str(number) for number in range(150)],
]


def export(model: Model, folder: Path, **options: Any) -> ExportedModel:
    path = folder / "model.onnx"
    model.export(path)
    return load(path, **options)


def check_equal(
    expected: Iterable[Sentence], found: Iterable[Sentence], label_type: str, *, with_probabilities: bool = False
) -> int:
    """Check labels, their order and scores, and for words the probabilities of all classes; return their number."""
    num_labels = 0
    for one, other in zip(expected, found, strict=True):
        labels, twins = one.get_labels(label_type), other.get_labels(label_type)
        assert [describe(twin) for twin in twins] == [describe(label) for label in labels]
        for label, twin in zip(labels, twins, strict=True):
            assert abs(twin.score - label.score) < TOLERANCE
        num_labels += len(labels)
        for token, twin_token in zip(one, other, strict=True) if with_probabilities else ():
            tags, twin_tags = (each.get_tags_proba_dist(label_type) for each in (token, twin_token))
            assert [tag.value for tag in twin_tags] == [tag.value for tag in tags]
            np.testing.assert_allclose([tag.score for tag in twin_tags], [tag.score for tag in tags], atol=TOLERANCE)
    return num_labels


def describe(label: Label) -> tuple[str, int, int]:
    point = label.data_point
    return label.value, point.start_position, point.end_position


def sharpen(model: Model) -> Model:
    """Give an untrained model clear preferences, also a learned start of its network, so that no two labels tie."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += (
                torch.randn(weight.shape, generator=generator)
                * (0.3 if weight.dim() > 1 else 0.5)
                * weight.std(correction=0).clamp_min(0.1)
            )
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx] = 0  # training never changes it
    return model.eval()


def random_words(count: int, seed: int = 0) -> list[list[str]]:
    """Return sentences of random words and lengths."""
    generator = np.random.default_rng(seed)
    letters = list("abcdefgh7.")
    return [
        ["".join(generator.choice(letters, generator.integers(1, 9))) for _ in range(generator.integers(1, 25))]
        for _ in range(count)
    ]
