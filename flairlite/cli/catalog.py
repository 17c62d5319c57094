"""The classes that run files may name, and the arguments that they take.

The names come from closed tables of public names; nothing is imported by a path in a file, and no code in a file runs.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Factory = Callable[..., Any]

# what TOML has for the types of arguments, by the first word of an annotation
_KINDS: Mapping[str, frozenset[str]] = {
    "str": frozenset({"a string"}),
    "Path": frozenset({"a string"}),
    "Literal": frozenset({"a string"}),
    "bool": frozenset({"true or false"}),
    "int": frozenset({"a whole number"}),
    "float": frozenset({"a number", "a whole number"}),
    "Any": frozenset({"a string", "true or false", "a whole number", "a number", "an array", "a table"}),
    "Files": frozenset({"a string", "an array"}),
    **dict.fromkeys(("Mapping", "dict"), frozenset({"a table"})),
    **dict.fromkeys(("Sequence", "list", "tuple", "Iterable", "Collection"), frozenset({"an array"})),
    **dict.fromkeys(("TokenEmbeddings", "DocumentEmbeddings", "Embeddings", "Tokenizer"), frozenset({"a table"})),
}
_CSV_OPTIONS = {
    "delimiter": "str",
    "quotechar": "str",
    "escapechar": "str",
    "doublequote": "bool",
    "skipinitialspace": "bool",
    "quoting": "int",
}  # of csv.reader


def corpora() -> dict[str, Factory]:
    """Return the corpora: bundled ones, treebanks, and the classes that read files."""
    from flairlite import datasets

    found = {name: getattr(datasets, name) for name in datasets.__all__}
    classes = _classes(datasets, datasets.FileCorpus, {"FileCorpus"})
    return {**classes, **{name: value for name, value in found.items() if name.isupper() and callable(value)}}


def embeddings() -> dict[str, Factory]:
    """Return the classes of embeddings, of words and of sentences."""
    from flairlite import embeddings

    return _classes(embeddings, embeddings.Embeddings, {"Embeddings", "TokenEmbeddings", "DocumentEmbeddings"})


def models() -> dict[str, Factory]:
    """Return the classes of models."""
    from flairlite import models

    return _classes(models, models.Model, {"Model", "Classifier", "DefaultClassifier"})


def parts() -> dict[str, Factory]:
    """Return the classes that an argument may be: embeddings and tokenizers."""
    from flairlite import tokenization

    return {**embeddings(), **_classes(tokenization, tokenization.Tokenizer, {"Tokenizer", "TokenizerWrapper"})}


def _classes(module: Any, base: type, abstract: set[str]) -> dict[str, Factory]:
    found = {name: getattr(module, name) for name in module.__all__ if name not in abstract}
    return {name: value for name, value in found.items() if isinstance(value, type) and issubclass(value, base)}


def parameters_of(factory: Factory) -> dict[str, str]:
    """Return the names of a factory's parameters with their annotations, also those that it passes on."""
    found: dict[str, str] = {}
    for function in _signatures(factory):
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                annotation = parameter.annotation
                found.setdefault(parameter.name, annotation if isinstance(annotation, str) else "Any")
            elif parameter.kind is parameter.VAR_KEYWORD and parameter.name == "fmtparams":
                found.update(_CSV_OPTIONS)
    found.pop("self", None)
    return found


def _signatures(factory: Factory) -> Iterator[Callable[..., Any]]:
    """Yield the functions whose parameters a factory takes: its own, and those that its `**options` are passed to."""
    if not isinstance(factory, type):
        yield factory if inspect.isfunction(factory) else type(factory).__call__  # a prepared corpus is called
        if isinstance(reader := getattr(factory, "reader", None), type):
            yield from _signatures(reader)
        return
    yield factory.__init__  # type: ignore[misc]
    kinds = {parameter.kind for parameter in inspect.signature(factory).parameters.values()}
    if hasattr(factory, "reader") and inspect.Parameter.VAR_KEYWORD in kinds:  # a corpus of files
        reader = list(inspect.signature(factory.reader).parameters.values())[1:]
        yield _Reader(reader)
        yield from (vars(base)["__init__"] for base in factory.__mro__ if base.__name__ == "FileCorpus")


class _Reader:
    """A callable with the given parameters."""

    def __init__(self, parameters: list[inspect.Parameter]) -> None:
        self.__signature__ = inspect.Signature(parameters)

    def __call__(self) -> None:
        """Do nothing; only the signature is used."""


def accepted_kinds(annotation: str) -> set[str]:
    """Return what an argument may be in a run file, such as `a string`, by its annotation."""
    kinds: set[str] = set()
    for part in _split_union(annotation):
        kinds |= _KINDS.get(re.split(r"[\[.]", part)[0], frozenset())
    return kinds


def has_integer_keys(annotation: str) -> bool:
    """Return whether an argument is a mapping from integers, which TOML writes as strings."""
    return re.search(r"\b(?:Mapping|dict)\[int\b", annotation) is not None


def _split_union(annotation: str) -> Iterator[str]:
    """Yield the members of a union such as `str | Mapping[str, int | None]`."""
    depth = start = 0
    for position, character in enumerate(annotation):
        depth += (character == "[") - (character == "]")
        if character == "|" and depth == 0:
            yield annotation[start:position].strip()
            start = position + 1
    yield annotation[start:].strip()


def kind_of(value: Any) -> str:
    """Return what a value of TOML is, in words."""
    kinds: dict[type, str] = {
        str: "a string",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        list: "an array",
        dict: "a table",
    }
    return kinds.get(type(value), "a date or time")
