"""`flairlite download`: fetch corpora and word vectors, or list them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import typer

from flairlite import datasets
from flairlite.data.corpus import SPLITS
from flairlite.datasets import Treebank
from flairlite.datasets.prepared_languages import parts_by_corpus
from flairlite.download import Resource, fetch
from flairlite.errors import UnknownNameError
from flairlite.runtime import get_cache_root

_VECTORS = "glove"


def download_data(names: Sequence[str]) -> None:
    """Fetch the files of corpora and vectors into the cache, and print their paths; list all names if none is given.

    Raises:
        UnknownNameError: If a name is unknown; then nothing is fetched.
        DataUnavailableError: If a file is not available.
    """
    corpora = list_corpora()
    if not names:
        _print_names(corpora)
        return
    of_languages = parts_by_corpus()
    parts = {part.name: [part] for found in of_languages.values() for part in found}
    known = {**{name: [corpus] for name, corpus in corpora.items()}, **of_languages, **parts, _VECTORS: []}
    by_name = {name.casefold(): name for name in known}
    for name in names:
        if name.casefold() not in by_name:
            close = difflib.get_close_matches(name.casefold(), by_name, n=1)
            hint = f"did you mean {by_name[close[0]]}?" if close else "`flairlite download` lists the names"
            raise UnknownNameError(f"there is no data set {name!r}: {hint}")
    for name in (by_name[given.casefold()] for given in names):
        for resource in chain(_vectors() if name == _VECTORS else (), *map(_resources_of, known[name])):
            typer.echo(str(fetch(resource)))


def list_corpora() -> dict[str, Any]:
    """Return the corpora that can be downloaded, by name."""
    found = {name: getattr(datasets, name) for name in datasets.__all__ if name.isupper()}
    return {name: corpus for name, corpus in found.items() if getattr(corpus, "repository", None) is not None}


def _vectors() -> list[Resource]:
    from flairlite.embeddings.word import GLOVE

    return [GLOVE]


def _resources_of(corpus: Any) -> list[Resource]:
    if isinstance(corpus, Treebank):
        return [resource for split in SPLITS for resource in corpus.resources(split)]
    return list(corpus.resources())


def _print_names(corpora: Mapping[str, Any]) -> None:
    width = max(map(len, corpora))
    typer.echo("Word vectors:")
    typer.echo(f"  {_VECTORS:<{width}}  GloVe, 400,000 words of Wikipedia and Gigaword, 100 features")
    typer.echo("Corpora:")
    for name, corpus in corpora.items():
        release = getattr(corpus, "release", None) or getattr(corpus, "licence", "")
        typer.echo(f"  {name:<{width}}  {corpus.repository} {release}".rstrip())
    for name, parts in parts_by_corpus().items():
        typer.echo(f"  {name:<{width}}  {parts[0].repository} {parts[0].licence}")
        typer.echo(f"  {'':<{width}}  or a part of it: {', '.join(part.name for part in parts)}")
    bundled = [name for name in datasets.__all__ if name.startswith("SAMPLE_")]
    typer.echo(f"Bundled, without a download: {', '.join(bundled)}, glove-mini")
    typer.echo(f"The cache is {get_cache_root()} (FLAIRLITE_CACHE_ROOT).")
