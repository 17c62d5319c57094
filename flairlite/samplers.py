"""In which order training sees the data, where it is not to be a plain or a random one; Flair's samplers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from flairlite.data import Sentence
from flairlite.errors import SettingError
from flairlite.runtime import get_seed


class FlairSampler(Sampler[int]):
    """Yields, for each epoch anew, positions of data points; subclass it with an `__iter__` of your own.

    Args:
        seed: Decides what is drawn; the process's default seed when None.
    """

    def __init__(self, *, seed: int | None = None) -> None:
        self.generator = torch.Generator().manual_seed(get_seed(seed))
        self.data_source: Sequence[Sentence] = ()

    def set_dataset(self, data_source: Sequence[Sentence]) -> None:
        """Take the data to draw from; training calls this."""
        self.data_source = data_source

    @property
    def num_samples(self) -> int:
        """Positions an epoch."""
        return len(self.data_source)

    def __len__(self) -> int:
        return self.num_samples

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint is to keep, as plain containers and tensors."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Draw from where `state_dict` was called."""
        self.generator.set_state(state["generator"])


class ImbalancedClassificationDatasetSampler(FlairSampler):
    """Draws rare classes as often as common ones, with replacement.

    A data point counts as one of the class of its first label; those without a label are one more class.

    Args:
        label_type: The label type; of any type when None.
        seed: Decides what is drawn; the process's default seed when None.
    """

    def __init__(self, label_type: str | None = None, *, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.label_type = label_type

    def set_dataset(self, data_source: Sequence[Sentence]) -> None:
        """Take the data to draw from, and count its classes."""
        super().set_dataset(data_source)
        labels = [next(iter(sentence.get_labels(self.label_type)), None) for sentence in data_source]
        classes = [None if label is None else label.value for label in labels]
        counts = Counter(classes)
        self.weights = torch.tensor([1 / counts[name] for name in classes], dtype=torch.float64)  # (S,)

    def __iter__(self) -> Iterator[int]:
        drawn = torch.multinomial(self.weights, self.num_samples, replacement=True, generator=self.generator)
        return iter(drawn.tolist())


class ChunkSampler(FlairSampler):
    """Mixes blocks of data points, and leaves the order within a block.

    Args:
        block_size: Data points a block, at least.
        plus_window: Up to so many more, drawn for each epoch.
        seed: Decides what is drawn; the process's default seed when None.
    """

    def __init__(self, block_size: int = 5, plus_window: int = 5, *, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        if block_size < 1 or plus_window < 0:
            raise SettingError(
                f"blocks have at least 1 data point: {block_size} and up to {plus_window} more will not do"
            )
        self.block_size, self.plus_window = block_size, plus_window

    def __iter__(self) -> Iterator[int]:
        more = int(torch.randint(self.plus_window + 1, (), generator=self.generator))
        return _mixed_blocks(self.num_samples, self.block_size + more, self.generator)


class ExpandingChunkSampler(FlairSampler):
    """Mixes blocks of data points, which are single ones at first and become longer.

    Args:
        step: Epochs after which a block is longer by one.
        seed: Decides what is drawn; the process's default seed when None.
    """

    def __init__(self, step: int = 3, *, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        if step < 1:
            raise SettingError(f"step must be at least 1 epoch; it is {step}")
        self.step = step
        self.epoch_count = 0

    @property
    def block_size(self) -> int:
        """Data points a block, in the next epoch."""
        return 1 + self.epoch_count // self.step

    def __iter__(self) -> Iterator[int]:
        size = self.block_size
        self.epoch_count += 1
        return _mixed_blocks(self.num_samples, size, self.generator)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint is to keep."""
        return {**super().state_dict(), "epoch_count": self.epoch_count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Draw from where `state_dict` was called."""
        super().load_state_dict(state)
        self.epoch_count = state["epoch_count"]


def _mixed_blocks(count: int, size: int, generator: torch.Generator) -> Iterator[int]:
    blocks = torch.split(torch.arange(count), size)
    order = torch.randperm(len(blocks), generator=generator).tolist()
    return iter([position for block in order for position in blocks[block].tolist()])
