"""What embeddings of words and of sentences from transformers share: the transformer, its inputs and its layers."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from flairlite.batching import bucketed_batches
from flairlite.checks import flag, shown, whole_number
from flairlite.embeddings.base import Embeddings
from flairlite.embeddings.computed_vectors import load_or_compute
from flairlite.embeddings.transformer_files import Pretrained, find_layers, load_pretrained
from flairlite.encoding import Batch, EncodedDataset, Table
from flairlite.errors import SettingError
from flairlite.lookup.packing import Ragged
from flairlite.lookup.subwords import Bags, Layout, Windows, check_sizes, lay_out
from flairlite.nn.functional import drawing_from
from flairlite.runtime import get_device
from flairlite.tensors import copy_to, map_tensors

log = logging.getLogger("flairlite")

_OF_LOADING = {  # arguments that describe how a model is loaded from its own files
    "model",
    "transformers_tokenizer_kwargs",
    "transformers_config_kwargs",
    "transformers_model_kwargs",
}
# what a call of a transformer on a CPU costs beside its subwords, in subwords; in training, each call adds to the
# gradients of all weights
_CALL_COST, _TRAINING_COST = 96, 256
_BATCH_SIZE, _BATCH_TOKENS = 32, 8192  # sentences, and subwords with padding, whose fixed vectors are computed at once


class TransformerEmbeddings(Embeddings):
    """The base class of embeddings from transformers; its arguments are those of `TransformerWordEmbeddings`."""

    def __init__(
        self,
        model: str | Path | Pretrained,
        *,
        fine_tune: bool,
        layers: str,
        layer_mean: bool,
        allow_long_sentences: bool,
        name: str | None,
        frozen_layers: int,
        gradient_checkpointing: bool,
        loading: Mapping[str, Any],
    ) -> None:
        nn.Module.__init__(self)
        self.fine_tune, self.layer_mean = flag("fine_tune", fine_tune), flag("layer_mean", layer_mean)
        self.allow_long_sentences = flag("allow_long_sentences", allow_long_sentences)
        self.gradient_checkpointing = flag("gradient_checkpointing", gradient_checkpointing)
        self.frozen_layers = int(whole_number(least=0)("frozen_layers", frozen_layers))
        pretrained = model if isinstance(model, Pretrained) else load_pretrained(model, **loading)
        self.pretrained = pretrained
        self.name = f"transformer-{pretrained.name}" if name is None else name
        self.model: Any = pretrained.model
        self.layers, self._layers = _check_layers(layers, self.model.config.num_hidden_layers)
        self.windows = self._make_windows()
        if not fine_tune:
            self.model.requires_grad_(False)
        elif self.frozen_layers:
            self._freeze()
        if self.gradient_checkpointing:
            self._checkpoint()
        self.to(get_device())
        self.eval()

    @property
    def is_contextual(self) -> bool:
        """Whether the vector of a word depends on its sentence."""
        return True

    @property
    def has_memory(self) -> bool:
        """Whether vectors depend on the sentences that were read before: they do not."""
        return False

    @property
    def _hidden_size(self) -> int:
        return int(self.model.config.hidden_size) * (1 if self.layer_mean else len(self._layers))

    def train(self, mode: bool = True) -> Any:
        """Enter training mode, with dropout, if the transformer is trained."""
        return super().train(mode and self.fine_tune)

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the subwords of U distinct words."""
        return self.pretrained.tokenizer.split(words)

    def count_subwords(self, dataset: EncodedDataset) -> Tensor | None:
        """Return the subwords of each sentence with its context and the special tokens, (S,), 0 for empty ones."""
        if isinstance(dataset.table, Tensor):
            return None
        return (self._count(dataset) + max(1, self.pretrained.tokenizer.num_special)) * dataset.lengths.sign()

    def remember(self, dataset: EncodedDataset) -> Table:
        """Return the table itself: there is no memory."""
        return dataset.table

    def precompute(self, table: Table) -> Table:
        """Return the table itself: vectors depend on whole sentences."""
        return table

    def prepare(self, dataset: EncodedDataset) -> Table:
        """Return the subwords or, if the transformer is not trained, the vectors of all words or sentences.

        The vectors are computed once for the same weights, settings and data, and mapped from the cache afterwards.
        Those of augmented data are computed for each batch, because its words and sentences change.

        Raises:
            SettingError: If a sentence is too long; see `allow_long_sentences`.
        """
        if isinstance(dataset.table, Tensor):
            return dataset.table
        sizes = self._count(dataset)
        self._check_sizes(sizes, torch.arange(len(sizes)))
        if self.fine_tune or not self.static_embeddings or dataset.variants is not None:
            return dataset.table

        @torch.no_grad()
        def compute(vectors: Tensor) -> None:
            for indices in bucketed_batches(dataset.sizes, _BATCH_SIZE, max_tokens=_BATCH_TOKENS):
                batch = dataset.batch(indices)
                inputs = map_tensors(lambda tensor: copy_to(tensor, self._device), self.select_batch(batch))
                vectors[self._rows(batch).cpu()] = self(inputs, batch.lengths).float().cpu()

        shape = (self._num_rows(dataset), self.embedding_length)
        return load_or_compute(self._hash(dataset), shape, compute)

    def depths(self) -> dict[str, int]:
        """Return how many layers are above each weight: 0 in the last layer, the number of layers below the first.

        Raises:
            SettingError: If the layers share their weights.
        """
        prefixes, count = find_layers(self.model)
        depth, found = count, {}
        for name, _ in self.model.named_parameters():
            prefix = next((prefix for prefix in prefixes if name.startswith(f"{prefix}.")), None)
            if prefix is not None:
                depth = count - 1 - int(name[len(prefix) + 1 :].partition(".")[0])
                found[f"model.{name}"] = depth
            else:  # before the first layer, or after the last
                found[f"model.{name}"] = count if depth == count else 0
        return found

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings, the configuration of the transformer and the tokenizer."""
        settings = {name: getattr(self, name) for name in self._arguments() if name not in _OF_LOADING}
        return {**settings, "pretrained": self.pretrained.to_params()}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Any:
        """Build the embedding from the result of `to_params`; its weights are loaded afterwards."""
        rest = {name: value for name, value in params.items() if name != "pretrained"}
        return cls(Pretrained.from_params(params["pretrained"]), **rest)

    def __reduce__(self) -> Any:
        """Pickle as a model file: transformers leaves functions in its models, and a new process needs its classes."""
        trained = [name for name, weight in self.named_parameters() if weight.requires_grad]
        return _unpickle, (type(self), self.to_params(), self.state_dict(), trained, self.training)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return a copy as of any module."""
        copied = memo[id(self)] = type(self).__new__(type(self))
        copied.__setstate__(copy.deepcopy(self.__dict__, memo))  # type: ignore[no-untyped-call]  # of torch
        return copied

    def extra_repr(self) -> str:
        """Return the name and the settings, which `repr` shows."""
        return f"'{self.name}', layers={self.layers}, fine_tune={self.fine_tune}"

    @abstractmethod
    def _rows(self, batch: Batch) -> Tensor:
        """Return the rows of a batch in the computed vectors."""

    @abstractmethod
    def _num_rows(self, dataset: EncodedDataset) -> int:
        """Return the number of computed vectors of a data set."""

    def _make_windows(self) -> Windows | None:
        longest = self.pretrained.max_length
        if longest is None:
            return None
        capacity = longest - self.pretrained.tokenizer.num_special
        if capacity < 2:
            raise SettingError(f"the model takes {longest} subwords, which leaves none for words")
        return Windows(capacity, min(longest // 2, capacity - 1))  # half of a window, as in Flair

    def _freeze(self) -> None:
        _, count = find_layers(self.model)
        if self.frozen_layers > count:
            raise SettingError(
                f"frozen_layers must be at most {count}, the layers of the model; it is {self.frozen_layers}"
            )
        depths = self.depths()
        for name, weight in self.named_parameters():
            if depths.get(name, 0) >= count - self.frozen_layers:
                weight.requires_grad_(False)

    def _checkpoint(self) -> None:
        if not getattr(self.model, "supports_gradient_checkpointing", False):
            raise SettingError(f"{type(self.model).__name__} has no gradient_checkpointing: leave it out")
        if hasattr(self.model, "activation_checkpointing_enable"):  # the name since transformers 5.2x
            self.model.activation_checkpointing_enable({"use_reentrant": False})
        else:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})

    def _count(self, dataset: EncodedDataset) -> Tensor:
        """Return the subwords of each sentence with its context, without special tokens, (S,)."""
        subwords: Ragged = dataset.table
        lengths = torch.from_numpy(subwords.lengths(dataset.word_ids.cpu().numpy()))  # (N + 1,)
        ends = torch.cat((torch.zeros(1, dtype=torch.int64), lengths[:-1].cumsum(0)))  # (N + 1,)
        return ends[dataset.offsets + dataset.lengths] - ends[dataset.offsets]

    def _check_sizes(self, sizes: Tensor, indices: Tensor) -> None:
        if not self.allow_long_sentences:
            check_sizes(sizes.numpy(), indices.numpy(), self.windows, self.name)

    def _lay_out(self, subwords: Ragged, rows: Tensor, indices: Tensor) -> Layout:
        """Return the inputs of sentences whose words have `rows` (B, T)."""
        cost = (_TRAINING_COST if self.training else _CALL_COST) if self._device.type == "cpu" else None
        if self.pretrained.reads_padding:
            cost = 0  # no padding at all
        layout = lay_out(subwords, rows.numpy(), self.pretrained.tokenizer, self.windows, call_cost=cost)
        self._check_sizes(torch.from_numpy(layout.lengths.sum(axis=1)), indices)
        return layout

    def join_layers(self, model: Any, input_ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return the chosen layers of a transformer like this one, (W, L, D); without a mask, there is no padding."""
        last = model.config.num_hidden_layers
        output = model(
            input_ids=input_ids,
            attention_mask=None if mask is None else mask.long(),
            output_hidden_states=self._layers != (last,),
            return_dict=True,
        )
        states = [
            output.last_hidden_state if layer == last else output.hidden_states[layer] for layer in self._layers
        ]  # each (W, L, D)
        return torch.stack(states).mean(0) if self.layer_mean else torch.cat(states, dim=2)

    def _read(self, groups: Sequence[tuple[Tensor, Tensor | None]], generator: Generator | None) -> Tensor:
        """Return the chosen layers of all subwords of all groups, (sum of W * L, D); see `Layout`."""
        with drawing_from(generator if self.training else None):
            states = [self.join_layers(self.model, *group).flatten(0, 1) for group in groups]
        return states[0] if len(states) == 1 else torch.cat(states)

    def _hash(self, dataset: EncodedDataset) -> str:
        """Return a hash of all that the vectors of a data set depend on."""
        params = self.to_params()
        parts = {name: value for name, value in params.items() if name != "pretrained"}
        parts["pretrained"] = {name: value for name, value in params["pretrained"].items() if name != "tokenizer"}
        # the subwords stand for the rest of the tokenizer
        parts["special"] = [self.pretrained.tokenizer.prefix, self.pretrained.tokenizer.suffix]
        digest = hashlib.sha256(json.dumps([type(self).__name__, parts, self._device.type], sort_keys=True).encode())
        subwords: Ragged = dataset.table
        arrays = map(torch.from_numpy, (subwords.values, subwords.offsets))
        tensors = [*arrays, dataset.word_ids, dataset.lengths, dataset.context]
        for tensor in (*tensors, *self.model.state_dict().values()):
            if tensor is not None:
                digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:40]


def _unpickle(
    kind: type[TransformerEmbeddings], params: Any, state: dict[str, Tensor], trained: Sequence[str], training: bool
) -> Any:
    embedding = kind.from_params(params)
    name, _ = next(embedding.named_parameters())
    embedding.to(state[name])  # its type and device
    embedding.load_state_dict(state)
    for name, weight in embedding.named_parameters():
        weight.requires_grad_(name in trained)
    return embedding.train(training)


def _check_layers(layers: Any, count: int) -> tuple[str, tuple[int, ...]]:
    """Return the layers as they are stored, and as indices from 0 to the number of layers of the model."""
    if isinstance(layers, str) and layers.strip().lower() == "all":
        layers = ",".join(map(str, range(count + 1)))
    try:
        found = [int(part) for part in str(layers).split(",")]
    except ValueError:
        found = []
    if not found or any(not -count - 1 <= layer <= count for layer in found):
        raise SettingError(
            f"layers must be 'all', or indices from {-count - 1} to {count} such as '-1,-2'; it is {shown(layers)}"
        )
    return ",".join(map(str, found)), tuple(layer % (count + 1) for layer in found)


def to_inputs(layout: Layout, bags: Bags) -> tuple[tuple[tuple[Tensor, Tensor | None], ...], Tensor, Tensor]:
    """Return the groups of a layout, and `bags`, as tensors."""
    groups = tuple(
        (torch.from_numpy(input_ids), None if mask is None else torch.from_numpy(mask))
        for input_ids, mask in layout.groups
    )
    return groups, torch.from_numpy(bags.positions), torch.from_numpy(bags.starts)
