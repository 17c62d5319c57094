"""Samplers: other orders of the training data than its own or a random one, under Flair's names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from flairlite.checks import seed as check_seed
from flairlite.checks import shown, whole_number
from flairlite.data import Sentence
from flairlite.errors import LabelError, SettingError
from flairlite.runtime import get_seed


class FlairSampler(Sampler[int]):
    """Yields the positions of data points, anew for each epoch. Subclasses define `__iter__`.

    Args:
        seed: The seed of random draws; None for the process's default seed.

    Raises:
        SettingError: If the seed is not an integer or None.
    """

    def __init__(self, *, seed: int | None = None) -> None:
        self.generator = torch.Generator().manual_seed(get_seed(check_seed("seed", seed)))
        self.data_source: Sequence[Sentence] = ()

    def set_dataset(self, data_source: Sequence[Sentence]) -> None:
        """Set the data to draw from; called by training."""
        self.data_source = data_source

    @property
    def num_samples(self) -> int:
        """The number of positions per epoch."""
        return len(self.data_source)

    def __len__(self) -> int:
        return self.num_samples

    def state_dict(self) -> dict[str, Any]:
        """Return the state to save in checkpoints, as plain containers and tensors."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.generator.set_state(state["generator"])


class ImbalancedClassificationDatasetSampler(FlairSampler):
    """Draws rare classes as often as frequent ones, with replacement.

    The class of a sentence is its first label; sentences without a label are one more class. Labels of words and spans
    have no part in this.

    Args:
        label_type: The label type; None for any type.
        seed: The seed of random draws; None for the process's default seed.

    Raises:
        SettingError: If an argument has the wrong type.
    """

    def __init__(self, label_type: str | None = None, *, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        if not isinstance(label_type, (str, type(None))):
            raise SettingError(f"label_type must be a label type or None; it is {shown(label_type)}")
        self.label_type = label_type

    def set_dataset(self, data_source: Sequence[Sentence]) -> None:
        """Set the data to draw from, and count its classes.

        Raises:
            LabelError: If no sentence has a label of the type.
        """
        super().set_dataset(data_source)
        types = None if self.label_type is None else [self.label_type]
        classes = [
            next((value for name in types or sentence.label_types() for value in sentence.sentence_labels(name)), None)
            for sentence in data_source
        ]
        counts = Counter(classes)
        if set(counts) == {None}:
            kind = "label" if self.label_type is None else f"{self.label_type!r} label"
            known = sorted({name for sentence in data_source for name in sentence.label_types()})
            raise LabelError(
                f"a sampler by class needs sentences with labels of their own, but none has a {kind}; words, spans and "
                f"sentences have labels of the types: {', '.join(known) or 'none'}. Give a label type of sentences"
            )
        self.weights = torch.tensor([1 / counts[name] for name in classes], dtype=torch.float64)  # (S,)

    def __iter__(self) -> Iterator[int]:
        drawn = torch.multinomial(self.weights, self.num_samples, replacement=True, generator=self.generator)
        return iter(drawn.tolist())


class ChunkSampler(FlairSampler):
    """Shuffles blocks of data points, and keeps the order within a block.

    Args:
        block_size: The smallest number of data points per block.
        plus_window: The largest number of further data points, drawn for each epoch.
        seed: The seed of random draws; None for the process's default seed.

    Raises:
        SettingError: If an argument is not an integer, or too small.
    """

    def __init__(self, block_size: int = 5, plus_window: int = 5, *, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.block_size: int = whole_number(least=1)("block_size", block_size)
        self.plus_window: int = whole_number(least=0)("plus_window", plus_window)

    def __iter__(self) -> Iterator[int]:
        more = int(torch.randint(self.plus_window + 1, (), generator=self.generator))
        return _shuffle_blocks(self.num_samples, self.block_size + more, self.generator)


class ExpandingChunkSampler(FlairSampler):
    """Shuffles blocks of data points, which grow from one data point on.

    Args:
        step: Epochs after which blocks grow by one data point.
        seed: The seed of random draws; None for the process's default seed.

    Raises:
        SettingError: If an argument is not an integer, or too small.
    """

    def __init__(self, step: int = 3, *, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.step: int = whole_number(least=1)("step", step)
        self.epoch_count = 0

    @property
    def block_size(self) -> int:
        """The number of data points per block in the next epoch."""
        return 1 + self.epoch_count // self.step

    def __iter__(self) -> Iterator[int]:
        size = self.block_size
        self.epoch_count += 1
        return _shuffle_blocks(self.num_samples, size, self.generator)

    def state_dict(self) -> dict[str, Any]:
        """Return the state to save in checkpoints."""
        return {**super().state_dict(), "epoch_count": self.epoch_count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        super().load_state_dict(state)
        self.epoch_count = state["epoch_count"]


def _shuffle_blocks(count: int, size: int, generator: torch.Generator) -> Iterator[int]:
    blocks = torch.split(torch.arange(count), size)
    order = torch.randperm(len(blocks), generator=generator).tolist()
    return iter([position for block in order for position in blocks[block].tolist()])
