"""Contextual string embeddings: what a character-level language model of Flair makes of words in their sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from flairlite.batching import bucketed_batches
from flairlite.checks import flag
from flairlite.embeddings.base import Inputs, TokenEmbeddings, check_size, register_embeddings
from flairlite.embeddings.computed_vectors import load_or_compute
from flairlite.embeddings.language_model import CharacterLanguageModel, load_language_model
from flairlite.encoding import Batch, EncodedDataset, Table
from flairlite.errors import SettingError
from flairlite.lookup.packing import Ragged
from flairlite.lookup.texts import TextReader
from flairlite.runtime import get_device
from flairlite.tensors import copy_to, map_tensors

_BATCH_SIZE = 32  # sentences whose fixed vectors are computed at once


@register_embeddings
class FlairEmbeddings(TokenEmbeddings):
    """The state of a character-level language model after each word of a sentence.

    The model reads the words separated by spaces, from the start of the sentence or from its end, whichever it was
    trained for. Its vectors are those of Flair. If it is not trained, training computes them once.

    Source: Akbik, Blythe and Vollgraf, Contextual String Embeddings for Sequence Labeling, 2018.

    Args:
        model: The path of a language model that Flair wrote; or a name that Flair knows, such as `news-forward`, whose
            file is looked up in the cache and in the mirror, and then downloaded. Its hash is not published, so that
            it is accepted as downloaded, with a warning, but nothing in it is executed.
        fine_tune: Train the language model too.
        chars_per_chunk: Number of characters to read at once, which limits the memory for long sentences. It does not
            change the vectors.
        with_whitespace: Use the state after the space that follows a word, not that after its last character.
        tokenized_lm: Must be True: the model reads words separated by spaces, not the original text.
        is_lower: Whether the model reads lower-cased words.
        name: The name of the embedding; that of the file if None.
        has_decoder: Ignored, for Flair's scripts: no text is generated.

    Raises:
        SettingError: If an argument is invalid.
        UnknownNameError: If there is neither such a file nor such a name.
        DataUnavailableError: If a named model is not available.
        ModelFileError: If the file is not one of a language model of Flair, or is damaged.
    """

    def __init__(
        self,
        model: str | Path | CharacterLanguageModel,
        fine_tune: bool = False,
        chars_per_chunk: int = 512,
        with_whitespace: bool = True,
        tokenized_lm: bool = True,
        is_lower: bool = False,
        name: str | None = None,
        has_decoder: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(model, (str, Path, CharacterLanguageModel)):
            raise SettingError(f"model must be the path or the name of a language model, not a {type(model).__name__}")
        if not flag("tokenized_lm", tokenized_lm):
            raise SettingError("tokenized_lm=False is not offered: sentences are read as words separated by spaces")
        flag("has_decoder", has_decoder)
        self.fine_tune, self.with_whitespace = flag("fine_tune", fine_tune), flag("with_whitespace", with_whitespace)
        self.chars_per_chunk, self.is_lower = check_size("chars_per_chunk", chars_per_chunk), flag("is_lower", is_lower)
        self.lm = model if isinstance(model, CharacterLanguageModel) else load_language_model(model)
        if isinstance(model, str) and "impresso-hipe" in model.lower():
            self.is_lower = True  # these models were trained on lower-cased texts
        self.name = str(model) if name is None and isinstance(model, (str, Path)) else name or "flair"
        self.lm.requires_grad_(self.fine_tune)
        self.to(get_device())
        self.eval()

    @property
    def embedding_length(self) -> int:
        """Features D of a word."""
        return self.lm.output_size

    @property
    def is_forward_lm(self) -> bool:
        """Whether the model reads from the start of the sentence."""
        return self.lm.is_forward_lm

    @property
    def reader(self) -> TextReader:
        """How sentences are read."""
        return TextReader(
            self.lm.characters,
            self.lm.settings["document_delimiter"],
            is_forward=self.is_forward_lm,
            with_whitespace=self.with_whitespace,
            is_lower=self.is_lower,
            chunk_size=self.chars_per_chunk,
        )

    @property
    def is_contextual(self) -> bool:
        """Whether the vector of a word depends on its sentence."""
        return True

    def train(self, mode: bool = True) -> FlairEmbeddings:
        """Enter training mode, with dropout, if the language model is trained."""
        return super().train(mode and self.fine_tune)

    def index(self, words: Sequence[str], fields: Mapping[str, Sequence[str]] | None = None) -> Table:
        """Return the characters of U distinct words and of the space after each, in the order in which they are read.

        Padding has no characters.
        """
        return self.reader.index(words)

    def select(self, table: Table, word_ids: Tensor) -> Inputs:
        """Return the inputs of sentences with word ids (B, T).

        Returns:
            (B, T) the row of each word among the outputs of the language model, from 1, or 0 for padding; and the
            arguments of `CharacterLanguageModel`.
        """
        rows, chunks = self.reader.read(table, word_ids.cpu().long().numpy())  # waits for the device
        return torch.from_numpy(rows), tuple((torch.from_numpy(part), torch.from_numpy(at)) for part, at in chunks)

    def select_batch(self, batch: Batch, generator: Generator | None = None) -> Inputs:
        """Return the inputs of a batch; see `select`; or the vectors (B, T, D) that `prepare` has computed."""
        if isinstance(batch.table, Tensor):
            return nn.functional.embedding(copy_to(batch.positions, batch.table.device), batch.table)
        return self.select(batch.table, batch.word_ids)

    def forward(self, inputs: Inputs, lengths: Tensor | None = None, generator: Generator | None = None) -> Tensor:
        """Return the vectors (B, T, D); zero on padding."""
        if isinstance(inputs, Tensor):
            return inputs
        rows, chunks = inputs
        outputs = self.lm(chunks, generator)  # (M, D)
        return nn.functional.embedding(rows, torch.cat((outputs.new_zeros(1, outputs.shape[1]), outputs)))

    def prepare(self, dataset: EncodedDataset) -> Table:
        """Return the characters of the words or, if the model is not trained, the vectors of all words (N + 1, D).

        The vectors are computed once for the same model, settings and data, and mapped from the cache afterwards. Those
        of augmented data are computed for each batch, because its words and sentences change.
        """
        if isinstance(dataset.table, Tensor) or not self.static_embeddings or dataset.variants is not None:
            return dataset.table

        def compute(vectors: Tensor) -> None:
            self.compute_vectors(dataset, vectors)

        return load_or_compute(self._hash(dataset), (len(dataset.word_ids), self.embedding_length), compute)

    @torch.no_grad()
    def compute_vectors(self, dataset: EncodedDataset, vectors: Tensor) -> None:
        """Write the vectors of all words into a tensor (N + 1, D) on the CPU, whose last row stays as it is."""
        for indices in bucketed_batches(dataset.lengths, _BATCH_SIZE):
            batch = dataset.batch(indices)
            inputs = map_tensors(lambda tensor: copy_to(tensor, self._device), self.select_batch(batch))
            found = self(inputs, batch.lengths).float().cpu()  # (B, T, D)
            is_word = batch.mask.cpu()
            vectors[batch.positions.cpu()[is_word]] = found[is_word]

    def to_params(self, *, whole: bool = True) -> dict[str, Any]:
        """Return the settings, and those of the language model."""
        names = ("fine_tune", "chars_per_chunk", "with_whitespace", "is_lower", "name")
        return {**{name: getattr(self, name) for name in names}, "language_model": self.lm.settings}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> FlairEmbeddings:
        """Build the embedding from the result of `to_params`; its weights are loaded afterwards."""
        rest = {name: value for name, value in params.items() if name != "language_model"}
        return cls(CharacterLanguageModel(**params["language_model"]), **rest)

    def extra_repr(self) -> str:
        """Return the name and the settings, which `repr` shows."""
        return f"'{self.name}', is_forward_lm={self.is_forward_lm}, fine_tune={self.fine_tune}"

    def _hash(self, dataset: EncodedDataset) -> str:
        """Return a hash of all that the vectors of a data set depend on."""
        digest = hashlib.sha256(json.dumps([self.to_params(), self._device.type], sort_keys=True).encode())
        table: Ragged = dataset.table
        weights = self.lm.state_dict().values()
        arrays = map(torch.from_numpy, (table.values, table.offsets))
        for tensor in (*arrays, dataset.word_ids, dataset.lengths, *weights):
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:40]
