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
        arguments: Its arguments by name, as plain containers that JSON can hold, with the seed that was taken where
            none was given. Sentences are not kept: they would stay in memory when the corpus has others.
        problem: Why they cannot be written down, or None.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None


class NotRepeatableError(Exception):
    """Something cannot be written down; the message says what."""


def step_of(function: Callable[..., Any], name: str, self: Any, /, *args: Any, **kwargs: Any) -> Step:
    """Return a call of a function, or of a method where `self` is not None, as a step."""
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs) if self is None else signature.bind(self, *args, **kwargs)
    arguments = {key: value for key, value in bound.arguments.items() if key != "self"}
    if "random_seed" in signature.parameters:
        arguments["random_seed"] = get_seed(arguments.get("random_seed"))
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= arguments.pop(parameter.name, {})
    try:
        return Step(name, {key: _to_plain(value, f"{name}({key})", key) for key, value in arguments.items()})
    except NotRepeatableError as error:
        return Step(name, problem=str(error))


def makes_corpus(function: Callable[_Parameters, _Corpus]) -> Callable[_Parameters, _Corpus]:
    """Let the corpora that a function makes say that it made them; or an object with a name, when it is called."""
    is_method = "self" in inspect.signature(function).parameters

    @functools.wraps(function)
    def made(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Corpus:
        corpus = function(*args, **kwargs)
        owner: Any = args[0] if is_method else None
        name = owner.name if is_method else function.__name__
        corpus.recipe = [step_of(function, name, owner, *args[is_method:], **kwargs)]
        return corpus

    return made


def changes_corpus(method: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Let a corpus remember that a method changed it."""

    @functools.wraps(method)
    def changed(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        result = method(*args, **kwargs)
        corpus: Any = args[0]
        corpus.recipe = [*corpus.recipe, step_of(method, method.__name__, *args, **kwargs)]
        return result

    return changed


def recipe_to_plain(corpus: Corpus) -> list[dict[str, Any]]:
    """Return how a corpus was made, as plain containers that JSON can hold.

    Raises:
        NotRepeatableError: when it was made of something that cannot be written down.
    """
    if not corpus.recipe:
        raise NotRepeatableError("it is not known how it was made")
    for step in corpus.recipe:
        if step.problem is not None:
            raise NotRepeatableError(step.problem)
    return [{"name": step.name, "arguments": step.arguments} for step in corpus.recipe]


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
