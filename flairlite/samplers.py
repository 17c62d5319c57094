"""Samplers: which training sentences an epoch has, and in which order; mostly under Flair's names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import Sampler

from flairlite.checks import number, shown, whole_number
from flairlite.checks import seed as check_seed
from flairlite.data import ConcatDataset, Sentence
from flairlite.data.dataset import Subset, is_in_memory
from flairlite.errors import LabelError, SettingError
from flairlite.runtime import get_seed

_MAX_WEIGHT = 1e6  # the positions of an epoch are in memory


class FlairSampler(Sampler[int]):
    """Yields the positions of data points, anew for each epoch. Subclasses define `__iter__`.

    Args:
        seed: The seed of random draws; None for the process's default seed.

    Raises:
        SettingError: If the seed is not an integer or None.
    """

    is_ordered: ClassVar[bool] = True  # False: training may put sentences of similar length together, which is faster

    def __init__(self, *, seed: int | None = None) -> None:
        self._seed = get_seed(check_seed("seed", seed))
        self.generator = torch.Generator().manual_seed(self._seed)
        self.data_source: Sequence[Sentence] = ()

    def set_dataset(self, data_source: Sequence[Sentence]) -> None:
        """Set the data to draw from, and begin anew; called by training, so that each run draws the same."""
        self.data_source = data_source
        self.generator.manual_seed(self._seed)

    @property
    def num_samples(self) -> int:
        """The number of positions per epoch."""
        return len(self.data_source)

    def options(self) -> dict[str, Any]:
        """Return what else decides the draws, as plain values; a resumed run needs a sampler with the same options."""
        return {}

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

    def options(self) -> dict[str, Any]:
        """Return the label type."""
        return {"label_type": self.label_type}

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


class MultiCorpusSampler(FlairSampler):
    """Draws the sentences of some corpora of a `MultiCorpus` more or less often than others.

    In each epoch, n sentences of a corpus with the weight w are drawn round(w n) times in all: each of them as often,
    and a random part once more. So a small corpus can weigh as much as a large one, or auxiliary data less.

    Args:
        weights: The weight of each corpus by its task id (`Task_0`, `Task_1` and so on, unless the corpus was made with
            `task_ids`); corpora that are not named have the weight 1.
        seed: The seed of random draws; None for the process's default seed.

    Raises:
        SettingError: If the weights are not numbers from 0 to below a million by names.
    """

    is_ordered = False

    def __init__(self, weights: Mapping[str, float], *, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        if not isinstance(weights, Mapping) or not all(isinstance(name, str) for name in weights):
            raise SettingError(
                f"weights must map task ids to weights, as {{'Task_1': 0.5}} does; it is {shown(weights)}"
            )
        check = number(least=0, below=_MAX_WEIGHT)
        self.weights = {name: float(check(f"the weight of {name}", weight)) for name, weight in weights.items()}
        self._positions: dict[str | None, Tensor] = {}  # of the sentences of each corpus

    def options(self) -> dict[str, Any]:
        """Return the weights."""
        return {"weights": self.weights}

    def set_dataset(self, data_source: Sequence[Sentence]) -> None:
        """Set the data to draw from.

        Raises:
            SettingError: If a weight is given for a corpus that is not part of the data.
        """
        super().set_dataset(data_source)
        tasks = _tasks_of(data_source)
        names = list(dict.fromkeys(tasks))
        if unknown := [name for name in self.weights if name not in names]:
            known = ", ".join(name for name in names if name) or "none: make them a MultiCorpus"
            raise SettingError(
                f"weights are given for {', '.join(unknown)}, but the task ids of the corpora are {known}"
            )
        ids = torch.tensor([names.index(name) for name in tasks])  # (S,)
        self._positions = {name: (ids == index).nonzero().squeeze(1) for index, name in enumerate(names)}

    @property
    def num_samples(self) -> int:
        """The number of positions per epoch."""
        return sum(self._count(name) for name in self._positions)

    def __iter__(self) -> Iterator[int]:
        drawn = [torch.zeros(0, dtype=torch.int64)]
        for name, positions in self._positions.items():
            times, more = divmod(self._count(name), len(positions))
            some = torch.randperm(len(positions), generator=self.generator)[:more]
            drawn += [positions.repeat(times), positions[some]]
        order = torch.cat(drawn)
        return iter(order[torch.randperm(len(order), generator=self.generator)].tolist())

    def _count(self, name: str | None) -> int:
        return round(self.weights.get(name or "", 1) * len(self._positions[name]))


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

    def options(self) -> dict[str, Any]:
        """Return the sizes."""
        return {"block_size": self.block_size, "plus_window": self.plus_window}

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

    def options(self) -> dict[str, Any]:
        """Return the step."""
        return {"step": self.step}

    def set_dataset(self, data_source: Sequence[Sentence]) -> None:
        """Set the data to draw from, and begin with blocks of one data point."""
        super().set_dataset(data_source)
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


def _tasks_of(sentences: Sequence[Sentence]) -> list[str | None]:
    """Return the task id of the corpus of each sentence; no sentence on a disk is read."""
    if isinstance(sentences, ConcatDataset):
        if sentences.ids is None:
            return [name for part in sentences.datasets for name in _tasks_of(part)]
        parts = zip(sentences.ids, sentences.datasets, strict=True)
        return [name for name, part in parts for _ in range(len(part))]
    if isinstance(sentences, Subset):
        names = _tasks_of(sentences.dataset)
        return [names[index] for index in sentences.indices]
    if not is_in_memory(sentences):
        return [None] * len(sentences)
    return [next(iter(sentence.sentence_labels("multitask_id")), None) for sentence in sentences]
