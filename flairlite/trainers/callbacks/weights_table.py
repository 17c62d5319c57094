"""weights.txt: how single weights go while a model is trained."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from flairlite.errors import DataFormatError, SettingError

WEIGHTS_TABLE = "weights.txt"

Points = list[tuple[int, float]]  # (iteration, value)


class WeightExtractor:
    """Writes the values of some weights of each tensor into weights.txt, a line a value.

    Args:
        directory: The folder to write into; an older weights.txt is continued.
        number_of_weights: Weights to watch of each tensor, drawn at random once; all of a smaller one.
        seed: Decides which.

    Raises:
        SettingError: when that number is below 1.
    """

    def __init__(self, directory: str | Path, number_of_weights: int = 10, *, seed: int = 0) -> None:
        if number_of_weights < 1:
            raise SettingError(f"number_of_weights must be at least 1; it is {number_of_weights}")
        self.weights_file = Path(directory) / WEIGHTS_TABLE
        self.number_of_weights = number_of_weights
        self._seed = seed
        self._places: dict[str, Tensor] = {}

    def extract_weights(self, state_dict: Mapping[str, Tensor], iteration: int) -> None:
        """Append a line for each weight watched: the iteration, the tensor, the number of the weight and its value.

        Reading the values waits for the device.
        """
        lines = []
        for name, tensor in state_dict.items():
            if tensor.is_floating_point() and tensor.numel():
                values = tensor.detach().flatten()[self._places_in(name, tensor)].tolist()
                lines += [f"{iteration}\t{name}\t{number}\t{value}\n" for number, value in enumerate(values)]
        with self.weights_file.open("a", encoding="utf-8") as file:
            file.writelines(lines)

    def _places_in(self, name: str, tensor: Tensor) -> Tensor:
        if name not in self._places:
            size = min(self.number_of_weights, tensor.numel())
            chosen = sorted(random.Random(self._seed).sample(range(tensor.numel()), size))
            self._places[name] = torch.tensor(chosen, device=tensor.device)  # (number_of_weights,)
        return self._places[name]


def read_weights_table(path: str | Path) -> dict[str, dict[int, Points]]:
    """Read a weights.txt, this library's or Flair's: the points of each weight of each tensor.

    Raises:
        DataFormatError: when the file is no such table.
    """
    tensors: dict[str, dict[int, Points]] = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            iteration, name, weight, value = line.split("\t")
            point = int(iteration), float(value)
            tensors.setdefault(name, {}).setdefault(int(weight), []).append(point)
        except ValueError:
            problem = "iteration, tensor, number and value were expected, with tabs between"
            raise DataFormatError(
                f"{problem}; {line[:80]!r} came", path=path, line=number, remedy="Give a weights.txt"
            ) from None
    return tensors
