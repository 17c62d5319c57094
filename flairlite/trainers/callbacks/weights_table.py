"""weights.txt: the values of some weights during training."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from flairlite.checks import folder_path, whole_number
from flairlite.checks import seed as check_seed
from flairlite.storage.run_files import WEIGHTS_TABLE


class WeightExtractor:
    """Writes the values of some weights of each tensor into weights.txt, one value per line.

    Args:
        directory: The folder to write into; an existing weights.txt is continued.
        number_of_weights: Weights to watch per tensor, drawn at random once; all weights of a smaller tensor.
        seed: The seed of the draw.

    Raises:
        SettingError: If the number is not an integer of at least 1, or the seed not an integer.
    """

    def __init__(self, directory: str | Path, number_of_weights: int = 10, *, seed: int = 0) -> None:
        self.number_of_weights: int = whole_number(least=1)("number_of_weights", number_of_weights)
        self.weights_file = folder_path("directory", directory) / WEIGHTS_TABLE
        self._seed = check_seed("seed", seed)
        self._positions: dict[str, Tensor] = {}  # of the watched weights of each tensor

    def extract_weights(self, state_dict: Mapping[str, Tensor], iteration: int) -> None:
        """Append a line per watched weight: the iteration, the tensor, the weight's index and its value.

        Reading the values waits for the device.
        """
        lines = []
        for name, tensor in state_dict.items():
            if tensor.is_floating_point() and tensor.numel():
                values = tensor.detach().flatten()[self._positions_in(name, tensor)].tolist()
                lines += [f"{iteration}\t{name}\t{index}\t{value}\n" for index, value in enumerate(values)]
        with self.weights_file.open("a", encoding="utf-8") as file:
            file.writelines(lines)

    def _positions_in(self, name: str, tensor: Tensor) -> Tensor:
        if name not in self._positions:
            size = min(self.number_of_weights, tensor.numel())
            drawn = sorted(random.Random(self._seed).sample(range(tensor.numel()), size))
            self._positions[name] = torch.tensor(drawn, device=tensor.device)  # (number_of_weights,)
        return self._positions[name]
