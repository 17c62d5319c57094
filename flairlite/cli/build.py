"""Build the corpus, the model and the settings that a run file describes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flairlite.checks import shown
from flairlite.cli import catalog
from flairlite.cli.catalog import Factory
from flairlite.cli.run_file import Keys, RunFile, RunFileError, suggest
from flairlite.errors import DataUnavailableError, FlairliteError, LabelError, SettingError

if TYPE_CHECKING:
    from flairlite.data import Corpus
    from flairlite.models import Model
    from flairlite.trainers import TrainingSettings

# arguments of models that come from the other sections of a run file
_LABEL_TYPE, _DICTIONARY = {"label_type", "tag_type"}, {"label_dictionary", "tag_dictionary"}
_OWN_KEYS = ("label_type", "downsample")  # of [corpus]


def build_corpus(run: RunFile) -> Corpus:
    """Load the corpus of [corpus].

    Raises:
        RunFileError: If the section makes no sense.
        FlairliteError: If the data cannot be read.
    """
    section = run.tables["corpus"]
    factory = _find(run, ("corpus",), section, catalog.corpora())
    parameters = catalog.parameters_of(factory)
    own = [name for name in _OWN_KEYS if name not in parameters]
    arguments = _arguments(run, ("corpus",), section, parameters, extra=own)
    if not isinstance(section.get("label_type"), str):
        raise run.error(("corpus", "label_type"), 'label_type must name the labels to learn, such as "upos" or "ner"')
    with _located(run, ("corpus",)):
        corpus: Corpus = factory(**arguments)
    if "downsample" in section:
        with _located(run, ("corpus", "downsample")):
            corpus.downsample(section["downsample"])
    return corpus


def build_model(run: RunFile, corpus: Corpus) -> Model:
    """Build the embeddings of [[embeddings]] and the model of [model] for the labels of a corpus.

    Raises:
        RunFileError: If a section makes no sense, or the corpus has no such labels.
        FlairliteError: If word vectors cannot be read.
    """
    section, label_type = run.tables["model"], run.tables["corpus"]["label_type"]
    factory = _find(run, ("model",), section, catalog.models())
    parameters = catalog.parameters_of(factory)
    supplied = {"embeddings", *_LABEL_TYPE, *_DICTIONARY} & parameters.keys()
    arguments = _arguments(run, ("model",), section, parameters, supplied=supplied)
    with _located(run, ("corpus", "label_type")):
        dictionary = corpus.make_label_dictionary(label_type)
    values = {"embeddings": _build_embeddings(run)}
    values |= {name: label_type for name in _LABEL_TYPE} | {name: dictionary for name in _DICTIONARY}
    with _located(run, ("model",)):
        model: Model = factory(**arguments, **{name: values[name] for name in supplied})
    return model


def build_settings(run: RunFile) -> tuple[TrainingSettings, bool]:
    """Return the settings of [trainer], and whether to fine-tune.

    Raises:
        RunFileError: If a key is unknown or a value makes no sense.
    """
    from dataclasses import fields

    from flairlite.trainers import TrainingSettings
    from flairlite.trainers.options import OptimizerOptions
    from flairlite.trainers.settings import FINE_TUNE

    section = dict(run.tables.get("trainer", {}))
    is_fine_tuned = section.pop("fine_tune", False)
    if not isinstance(is_fine_tuned, bool):
        raise run.error(("trainer", "fine_tune"), f"fine_tune must be true or false, not {shown(is_fine_tuned)}")
    base = FINE_TUNE if is_fine_tuned else TrainingSettings()
    known = [*(item.name for item in fields(TrainingSettings)), *OptimizerOptions.__annotations__, "fine_tune"]
    optimizer = {name: section[name] for name in ("optimizer",) if name in section}
    for name, value in section.items():  # one by one, so that an error names the line
        with _located(run, ("trainer", name)):
            try:
                TrainingSettings.from_options({**optimizer, name: value}, base)
            except SettingError as error:
                if name in known:
                    raise
                raise SettingError(f"[trainer] has no key {name!r}: {suggest(name, known)}") from error
    with _located(run, ("trainer",)):
        return TrainingSettings.from_options(section, base), is_fine_tuned


def _build_embeddings(run: RunFile) -> Any:
    tables = run.tables["embeddings"]
    built = [_build_part(run, ("embeddings", index), table) for index, table in enumerate(tables)]
    if len(built) == 1:
        return built[0]
    with _located(run, ("embeddings",)):
        return catalog.embeddings()["StackedEmbeddings"](built)


def _build_part(run: RunFile, keys: Keys, table: Mapping[str, Any]) -> Any:
    """Build the embeddings or the tokenizer that a table describes."""
    known = catalog.embeddings() if keys[0] == "embeddings" and len(keys) == 2 else catalog.parts()
    factory = _find(run, keys, table, known)
    arguments = _arguments(run, keys, table, catalog.parameters_of(factory))
    with _located(run, keys):
        return factory(**arguments)


def _find(run: RunFile, keys: Keys, table: Mapping[str, Any], known: Mapping[str, Factory]) -> Factory:
    name = table.get("type")
    if name is None:
        raise run.error(keys, f'the key type is missing, which names the class, such as type = "{_example(known)}"')
    if not isinstance(name, str) or name not in known:
        names = [other for other in known if not other.startswith("UD_") or str(name).upper().startswith("UD")]
        raise run.error((*keys, "type"), f"there is no {_section(keys)} {shown(name)}: {suggest(str(name), names)}")
    return known[name]


def _example(known: Mapping[str, Factory]) -> str:
    return next((name for name in ("SequenceTagger", "WordEmbeddings", "ColumnCorpus") if name in known), min(known))


def _section(keys: Keys) -> str:
    return {"corpus": "corpus", "model": "model"}.get(str(keys[0]), "class")


def _arguments(
    run: RunFile,
    keys: Keys,
    table: Mapping[str, Any],
    parameters: Mapping[str, str],
    *,
    supplied: Collection[str] = (),
    extra: Collection[str] = (),
) -> dict[str, Any]:
    """Return the arguments in a table, checked against the parameters of its class.

    Args:
        run: The run file.
        keys: The path of the table.
        table: The table.
        parameters: The parameters of the class, with their annotations.
        supplied: Parameters whose values come from elsewhere.
        extra: Keys of the table that are no arguments.
    """
    usable = {name: kind for name, kind in parameters.items() if name not in supplied and catalog.accepted_kinds(kind)}
    arguments = {}
    for name, value in table.items():
        where = (*keys, name)
        if name == "type" or name in extra:
            continue
        if name in supplied:
            raise run.error(where, f"{name} comes from the other sections: leave it out")
        if name in parameters and name not in usable:
            raise run.error(where, f"{name} of {table['type']} cannot be given in a run file: leave it out")
        if name not in usable:
            known = [*usable, *extra]
            hint = suggest(name, known) if known else "leave it out"
            raise run.error(where, f"{table['type']} has no argument {name!r}: {hint}")
        arguments[name] = _convert(run, where, value, usable[name])
    return arguments


def _convert(run: RunFile, keys: Keys, value: Any, annotation: str) -> Any:
    """Return the value of an argument: tables with a type are built, and whole numbers are numbers too."""
    kinds, found = catalog.accepted_kinds(annotation), catalog.kind_of(value)
    if isinstance(value, dict) and "type" in value and {"a table", "an array"} & kinds:
        return _build_part(run, keys, value)
    if found not in kinds:
        expected = " or ".join(sorted(kinds - {"a whole number"} if "a number" in kinds else kinds))
        hint = ": leave out the quotes" if isinstance(value, str) and value.lower() in ("true", "false") else ""
        raise run.error(keys, f"{keys[-1]} must be {expected}, not {shown(value)}{hint}")
    if isinstance(value, list):
        items = enumerate(value)
        return [
            _build_part(run, (*keys, index), item) if isinstance(item, dict) and "type" in item else item
            for index, item in items
        ]
    if isinstance(value, dict) and catalog.has_integer_keys(annotation):
        if wrong := [key for key in value if not key.removeprefix("-").isdigit()]:
            raise run.error(
                keys, f"the keys of {keys[-1]} must be whole numbers, as in {{ 0 = ... }}, not {wrong[0]!r}"
            )
        return {int(key): item for key, item in value.items()}
    return value


@contextlib.contextmanager
def _located(run: RunFile, keys: Keys) -> Iterator[None]:
    """Add to errors about settings and labels where the run file causes them."""
    try:
        yield
    except RunFileError:
        raise
    except (SettingError, LabelError, DataUnavailableError) as error:
        name = re.match(r"\w*", str(error))  # messages about an argument begin with its name
        inner = (*keys, name[0] if name else "")
        raise run.error(inner if inner in run.origins else keys, str(error)) from error
    except FlairliteError:  # of a data file, with its own path and line
        raise
    except TypeError as error:  # arguments are missing
        if "argument" not in str(error):
            raise
        raise run.error(keys, str(error).partition("() ")[2] or str(error)) from error
