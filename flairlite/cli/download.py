"""`flairlite download`: fetch treebanks and word vectors, or list them."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from flairlite import datasets
from flairlite.cli.run_file import suggest
from flairlite.data.corpus import SPLITS
from flairlite.datasets import Treebank
from flairlite.download import fetch
from flairlite.errors import UnknownNameError
from flairlite.runtime import get_cache_root


def download_data(names: Sequence[str]) -> None:
    """Fetch the files of treebanks and vectors into the cache, and print their paths; list all names if none is given.

    Raises:
        UnknownNameError: If a name is unknown; then nothing is fetched.
        DataUnavailableError: If a file is not available.
    """
    treebanks = list_treebanks()
    if not names:
        _print_names(treebanks)
        return
    by_name = {name.casefold(): name for name in (*treebanks, "glove")}
    for name in names:
        if name.casefold() not in by_name:
            hint = suggest(name.upper() if name.upper().startswith("UD") else name, by_name.values())
            raise UnknownNameError(f"there is no data set {name!r}: {hint if len(hint) < 80 else _REMEDY}")
    for name in (by_name[name.casefold()] for name in names):
        if name in treebanks:
            paths = [path for split in SPLITS for path in treebanks[name].fetch(split)]
        else:
            from flairlite.embeddings.word import GLOVE

            paths = [fetch(GLOVE)]
        for path in paths:
            typer.echo(str(path))


_REMEDY = "`flairlite download` lists the names"


def list_treebanks() -> dict[str, Treebank]:
    """Return the treebanks by name."""
    found = {name: getattr(datasets, name) for name in datasets.__all__}
    return {name: value for name, value in found.items() if isinstance(value, Treebank)}


def _print_names(treebanks: dict[str, Treebank]) -> None:
    width = max(map(len, treebanks))
    typer.echo("Word vectors:")
    typer.echo(f"  {'glove':<{width}}  GloVe, 400,000 words of Wikipedia and Gigaword, 100 features (134 MB)")
    typer.echo("Treebanks of Universal Dependencies:")
    for name, treebank in treebanks.items():
        typer.echo(f"  {name:<{width}}  {treebank.repository} {treebank.release}")
    typer.echo("Bundled, without a download: SAMPLE_ENGLISH, SAMPLE_NER, SAMPLE_REVIEWS, SAMPLE_TOPICS, glove-mini")
    typer.echo(f"The cache is {get_cache_root()} (FLAIRLITE_CACHE_ROOT).")
