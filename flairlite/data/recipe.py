"""How a corpus was made: of which prepared corpus or which files, and what was then done to it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from flairlite.runtime import get_seed

if TYPE_CHECKING:
    from flairlite.data.corpus import Corpus

_Parameters = ParamSpec("_Parameters")
_Corpus = TypeVar("_Corpus", bound="Corpus")
_Result = TypeVar("_Result")

_PATHS = ("folder", "path", "file", "files")  # how the names of arguments end that are paths


@dataclass
class Step:
    """A call: of a class or a function that makes a corpus, or of a method that changes one.

    Attributes:
        name: The name of what was called.
        arguments: Its arguments by name, with the seed that was taken where none was given.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


class NotRepeatableError(Exception):
    """Something cannot be written down; the message says what."""


def step_of(function: Callable[..., Any], name: str, /, *args: Any, **kwargs: Any) -> Step:
    """Return a call as a step."""
    signature = inspect.signature(function)
    arguments = dict(signature.bind(*args, **kwargs).arguments)
    if "random_seed" in signature.parameters:
        arguments["random_seed"] = get_seed(arguments.get("random_seed"))
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= arguments.pop(parameter.name, {})
    return Step(name, arguments)


def makes_corpus(function: Callable[_Parameters, _Corpus]) -> Callable[_Parameters, _Corpus]:
    """Let the corpora that a function makes, or an object of that name when it is called, say that it made them."""

    @functools.wraps(function)
    def made(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Corpus:
        corpus = function(*args, **kwargs)
        step = step_of(function, function.__name__, *args, **kwargs)
        owner = step.arguments.pop("self", None)
        corpus.recipe = [Step(step.name if owner is None else owner.name, step.arguments)]
        return corpus

    return made


def changes_corpus(method: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Let a corpus remember that a method changed it."""

    @functools.wraps(method)
    def changed(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        result = method(*args, **kwargs)
        step = step_of(method, method.__name__, *args, **kwargs)
        step.arguments.pop("self").recipe.append(step)
        return result

    return changed


def recipe_to_plain(corpus: Corpus) -> list[dict[str, Any]]:
    """Return how a corpus was made, as plain containers that JSON can hold.

    Raises:
        NotRepeatableError: when it was made of something that cannot be written down.
    """
    steps = []
    for step in corpus.recipe:
        arguments = [[key, _to_plain(value, f"{step.name}({key})", key)] for key, value in step.arguments.items()]
        steps.append({"name": step.name, "arguments": dict(arguments)})
    return steps


def corpus_from_plain(
    steps: list[dict[str, Any]], makers: Mapping[str, Callable[..., Corpus]], changers: Mapping[str, Callable[..., Any]]
) -> Corpus:
    """Make a corpus again.

    Args:
        steps: What `recipe_to_plain` returned.
        makers: What may be called to make one, by name.
        changers: The methods that may be called on it, by name.

    Raises:
        NotRepeatableError: when a step is none of these.
    """
    first, *others = ((step["name"], step["arguments"]) for step in steps)
    for name, known in ((first[0], makers), *((name, changers) for name, _ in others)):
        if name not in known:
            raise NotRepeatableError(f"there is no {name} in this flairlite")

    def restored(arguments: dict[str, Any]) -> dict[str, Any]:
        return {key: _from_plain(value, makers, changers) for key, value in arguments.items()}

    corpus = makers[first[0]](**restored(first[1]))
    for name, arguments in others:
        changers[name](corpus, **restored(arguments))
    return corpus


def _to_plain(value: Any, place: str, name: str = "") -> Any:
    if isinstance(value, Path) or (isinstance(value, str) and name.endswith(_PATHS) and Path(value).exists()):
        return str(Path(value).resolve())
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (list, tuple)) and len(value) < 1000:
        return [_to_plain(item, place, name) for item in value]
    if isinstance(value, Mapping):  # whose keys may be numbers, which JSON has not
        return {"items": [[_to_plain(key, place), _to_plain(item, place, name)] for key, item in value.items()]}
    if hasattr(value, "recipe"):
        return {"corpus": recipe_to_plain(value)}
    raise NotRepeatableError(f"{place} is a {type(value).__name__}, which a record of a run cannot hold")


def _from_plain(value: Any, makers: Mapping[str, Any], changers: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_from_plain(item, makers, changers) for item in value]
    if isinstance(value, dict) and "corpus" in value:
        return corpus_from_plain(value["corpus"], makers, changers)
    if isinstance(value, dict):
        return {key: _from_plain(item, makers, changers) for key, item in value["items"]}
    return value
