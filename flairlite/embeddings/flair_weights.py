"""Weights and dictionaries in files of Flair."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from flairlite.data import Dictionary
from flairlite.data.dictionary import UNKNOWN
from flairlite.errors import ModelFileError
from flairlite.storage.flair_file import DICTIONARY
from flairlite.storage.pickle_reader import Instance


class FlairWeights:
    """The weights in a file of Flair; each is taken once, so that those that are left have no counterpart.

    Args:
        tensors: All weights of the file by their names; weights that are taken are removed.
        prefix: What the names of the weights of this module begin with.
    """

    def __init__(self, tensors: dict[str, Tensor], prefix: str = "") -> None:
        self._tensors, self._prefix = tensors, prefix

    def under(self, name: str) -> FlairWeights:
        """Return the weights of a part of the module."""
        return FlairWeights(self._tensors, f"{self._prefix}{name}.")

    def check(self, name: str, *shape: int | None) -> Tensor:
        """Return a weight, after checking that it has this shape; see `take`."""
        weight = self._tensors.get(self._prefix + name)
        if not isinstance(weight, Tensor):
            raise ModelFileError(f"it has no weight {self._prefix}{name}: copy it again")
        if len(shape) != weight.ndim or any(
            size not in (None, found) for size, found in zip(shape, weight.shape, strict=True)
        ):
            raise ModelFileError(f"its weight {self._prefix}{name} has the shape {tuple(weight.shape)}, not {shape}")
        return weight

    def take(self, name: str, *shape: int | None) -> Tensor:
        """Return a weight in float32, and remove it.

        Args:
            name: Its name in the module.
            shape: The size of each dimension, None for any.

        Raises:
            ModelFileError: If the file has no such weight, or it has another shape or is not finite.
        """
        weight = self.check(name, *shape).float()
        if not weight.isfinite().all():
            raise ModelFileError(f"its weight {self._prefix}{name} has NaN or infinity: copy it again")
        del self._tensors[self._prefix + name]
        return weight

    def take_all(self) -> dict[str, Tensor]:
        """Return all weights of the module that are left, in float32, and remove them."""
        names = [name[len(self._prefix) :] for name in self.names()]
        return {name: self.take(name, *self._tensors[self._prefix + name].shape) for name in names}

    def has(self, name: str) -> bool:
        """Return whether there is a weight of this name, not taken yet."""
        return self._prefix + name in self._tensors

    def drop(self, *names: str) -> None:
        """Remove weights that Flair stores but does not use."""
        for name in names:
            self._tensors.pop(self._prefix + name, None)

    def names(self) -> list[str]:
        """Return the names of the weights that are left."""
        return sorted(name for name in self._tensors if name.startswith(self._prefix))


def read_dictionary(value: Any, *, with_unknown: bool = False) -> Dictionary:
    """Return an object of Flair's `Dictionary` as one of flairlite.

    Args:
        value: The object, as read from a file.
        with_unknown: Whether it must have `<unk>`, as first item.

    Raises:
        ModelFileError: If it is something else.
    """
    state = value.state if isinstance(value, Instance) and value.kind.name == DICTIONARY else None
    if not isinstance(state, dict) or not isinstance(state.get("idx2item"), list):
        raise ModelFileError(f"it has a {type(value).__name__} instead of a dictionary: copy it again")
    items = [item.decode("utf-8") if isinstance(item, bytes) else item for item in state["idx2item"]]
    if not all(isinstance(item, str) for item in items) or len(set(items)) < len(items):
        raise ModelFileError("the items of a dictionary are not distinct strings: copy it again")
    if with_unknown and items[:1] != [UNKNOWN]:
        raise ModelFileError(
            f"a dictionary of characters does not begin with {UNKNOWN}, so unknown ones have no vector"
        )
    dictionary = Dictionary(add_unk=False)
    for item in items:
        dictionary.add_item(item)
    dictionary.add_unk = bool(state.get("add_unk", UNKNOWN in items))  # as Flair's __setstate__
    dictionary.span_labels = bool(state.get("span_labels", False))
    dictionary.multi_label = bool(state.get("multi_label", False))
    return dictionary


def take_rnn(weights: FlairWeights) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights of a recurrent network of torch, and its sizes, which they show.

    Returns:
        The weights as those of `PaddedRNN`; and `hidden_size`, `rnn_layers` and `bidirectional`.
    """
    is_bidirectional, taken, layer = weights.has("weight_ih_l0_reverse"), {}, 0
    hidden_size = 0
    while layer == 0 or weights.has(f"weight_ih_l{layer}"):
        for suffix in ("", "_reverse") if is_bidirectional else ("",):
            state = weights.take(f"weight_hh_l{layer}{suffix}", None, None)
            hidden_size = state.shape[1]
            taken[f"rnn.weight_ih_l{layer}{suffix}"] = weights.take(f"weight_ih_l{layer}{suffix}", len(state), None)
            taken[f"rnn.weight_hh_l{layer}{suffix}"] = state
            for name in ("bias_ih", "bias_hh"):
                taken[f"rnn.{name}_l{layer}{suffix}"] = weights.take(f"{name}_l{layer}{suffix}", len(state))
        layer += 1
    return taken, {"hidden_size": hidden_size, "rnn_layers": layer, "bidirectional": is_bidirectional}
