"""Character-level language models in files of Flair, by path or by Flair's name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Generator, Tensor, nn

from flairlite.checks import file_path
from flairlite.download import Resource, fetch
from flairlite.embeddings.flair_weights import FlairWeights, read_dictionary
from flairlite.errors import ModelFileError, UnknownNameError
from flairlite.lookup.parts import CharacterIds
from flairlite.nn import FeatureDropout
from flairlite.runtime import seeded
from flairlite.storage.flair_file import read_flair_file

_ADDRESSES = Path(__file__).with_name("language_models.txt")
_REQUIRED = ("state_dict", "dictionary", "is_forward_lm", "hidden_size", "nlayers", "embedding_size", "nout")
_RNN_TYPES: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"LSTM": nn.LSTM, "GRU": nn.GRU}


class CharacterLanguageModel(nn.Module):
    """A recurrent network that reads texts character by character; its layer that predicts characters is left out.

    Source: Akbik, Blythe and Vollgraf, Contextual String Embeddings for Sequence Labeling, 2018.

    Args:
        characters: The known characters, the first for all others.
        is_forward_lm: Whether it reads from the start of a text; otherwise it reads from the end.
        hidden_size: Features of a state.
        nlayers: Number of layers.
        embedding_size: Features of a character.
        nout: Features of the output, if a linear layer follows; None without one.
        document_delimiter: What it reads before a text.
        dropout: The dropout rate of characters and outputs, for training.
        recurrent_type: LSTM or GRU.

    Attributes:
        characters: The ids of characters.
    """

    def __init__(
        self,
        characters: Sequence[str],
        *,
        is_forward_lm: bool,
        hidden_size: int,
        nlayers: int,
        embedding_size: int,
        nout: int | None = None,
        document_delimiter: str = "\n",
        dropout: float = 0.1,
        recurrent_type: str = "LSTM",
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "characters": list(characters),
            "is_forward_lm": bool(is_forward_lm),
            "hidden_size": hidden_size,
            "nlayers": nlayers,
            "embedding_size": embedding_size,
            "nout": nout,
            "document_delimiter": document_delimiter,
            "dropout": dropout,
            "recurrent_type": recurrent_type.upper(),
        }
        if recurrent_type.upper() not in _RNN_TYPES:
            raise ModelFileError(f"the network of a language model must be {' or '.join(_RNN_TYPES)}")
        with seeded(0):  # the weights are loaded afterwards
            self.encoder = nn.Embedding(len(characters), embedding_size)
            self.rnn = _RNN_TYPES[recurrent_type.upper()](embedding_size, hidden_size, nlayers)
            self.proj = None if nout is None else nn.Linear(hidden_size, nout)
        self.drop = FeatureDropout(dropout)
        ids = {item: index for index, item in reversed(list(enumerate(characters)))}
        self.characters = CharacterIds(ids, 0)

    @property
    def is_forward_lm(self) -> bool:
        """Whether it reads from the start of a text."""
        return bool(self.settings["is_forward_lm"])

    @property
    def output_size(self) -> int:
        """Features D of an output."""
        return int(self.settings["nout"] or self.settings["hidden_size"])

    def forward(self, chunks: Sequence[tuple[Tensor, Tensor]], generator: Generator | None = None) -> Tensor:
        """Read B texts in parts, and return some of the outputs.

        Args:
            chunks: For each part, the characters (C, B), and the positions (M,) of the outputs to return, of C * B.
            generator: The random generator of dropout.

        Returns:
            The outputs of all parts, one after the other, (sum of M, D).
        """
        state, outputs = None, []
        for characters, positions in chunks:
            states, state = self.rnn(self.drop(self.encoder(characters), generator), state)  # (C, B, H)
            chosen = states.flatten(0, 1).index_select(0, positions)  # (M, H)
            outputs.append(self.drop(chosen if self.proj is None else self.proj(chosen), generator))
        return torch.cat(outputs)


def load_language_model(model: str | Path) -> CharacterLanguageModel:
    """Read a language model that Flair wrote; nothing in the file is executed.

    Args:
        model: The path of a file, or a name that Flair knows, such as `news-forward`.

    Raises:
        SettingError: If it can be neither a path nor a name.
        UnknownNameError: If there is neither such a file nor such a name.
        DataUnavailableError: If a named model is neither in the cache nor available.
        ModelFileError: If the file is not one of a language model, or is damaged.
    """
    path = file_path("model", model)
    if not path.is_file():
        path = _fetch_named(str(model))
    content = read_flair_file(path, required=_REQUIRED)
    try:
        return _build(content)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # the content of a file may be anything
        raise ModelFileError(f"{path} is damaged: {error!r:.200}. Copy it again") from error


def convert_language_model(params: Mapping[str, Any], weights: FlairWeights) -> dict[str, Any]:
    """Return the settings of a `CharacterLanguageModel` from those in a file of Flair, checked against the weights."""
    characters = read_dictionary(params["dictionary"]).get_items()
    size, hidden = params["embedding_size"], params["hidden_size"]
    if not isinstance(size, int) or not isinstance(hidden, int) or not isinstance(params["nlayers"], int):
        raise ModelFileError("the sizes of the language model are not numbers: copy it again")
    gates = 3 if str(params.get("recurrent_type", "LSTM")).upper() == "GRU" else 4
    weights.check("encoder.weight", len(characters), size)
    for layer in range(params["nlayers"]):  # before memory is allocated for as many
        weights.check(f"rnn.weight_ih_l{layer}", gates * hidden, hidden if layer else size)
    if params["nout"] is not None:
        weights.check("proj.weight", params["nout"], hidden)
    names = ("is_forward_lm", "hidden_size", "nlayers", "embedding_size", "nout", "dropout")
    return {
        "characters": characters,
        **{name: params[name] for name in names},
        "document_delimiter": params.get("document_delimiter", "\n"),
        "recurrent_type": params.get("recurrent_type", "LSTM"),
    }


def _build(content: dict[str, Any]) -> CharacterLanguageModel:
    weights = FlairWeights(dict(content["state_dict"]))
    model = CharacterLanguageModel(**convert_language_model(content, weights))
    model.load_state_dict({name: weights.take(name, *weight.shape) for name, weight in model.state_dict().items()})
    return model.eval()


def _fetch_named(name: str) -> Path:
    rows = (line.split() for line in _ADDRESSES.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    addresses: dict[str, str] = {key: url for key, url in rows}
    url = addresses.get(name.lower())
    if url is None:
        nearest = difflib.get_close_matches(name, addresses, n=3)
        raise UnknownNameError(
            f"no language model {name!r}: there is no such file, and Flair has no model of this name"
            + (f". Did you mean {' or '.join(map(repr, nearest))}?" if nearest else "")
        )
    file = PurePosixPath(urlsplit(url).path)
    folder = f"{file.parent.name}-" if file.name == "best-lm.pt" else ""  # many are called so
    return fetch(Resource(f"flair/{folder}{file.name}", url, known_hash=None))
