"""`flairlite serve`: label texts over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flairlite.cli.load import load_model
from flairlite.errors import SettingError
from flairlite.serving.extra import check_extra
from flairlite.serving.settings import ServingSettings


def serve_models(models: Sequence[str], host: str, port: int, *, device: str | None, settings: ServingSettings) -> None:
    """Answer requests until SIGTERM or Ctrl-C.

    Args:
        models: The files of models or exported models, each as PATH or NAME=PATH.
        host: The address to listen on.
        port: The port; 0 for a free one.
        device: The device to predict on.
        settings: The settings of the server.

    Raises:
        FlairliteError: If a package is missing, a model cannot be loaded, or the port is in use.
        KeyboardInterrupt: After Ctrl-C.
    """
    check_extra()
    from flairlite.serving.app import make_app
    from flairlite.serving.server import address_of, bind, run

    paths = name_models(models)
    with bind(host, port) as listener:  # before the models are loaded, which can take long
        loaded: dict[str, Any] = {name: load_model(path, device) for name, path in paths.items()}
        app = make_app(loaded, settings)
        names = ", ".join(loaded)
        run(app, listener, lambda: _write(f"flairlite: serving {names} at {address_of(listener)}; Ctrl-C ends it"))


def name_models(models: Sequence[str]) -> dict[str, Path]:
    """Return the file of each model by its name: the one that is given, or the name of the file without its ending.

    Raises:
        SettingError: If two models have the same name.
    """
    paths: dict[str, Path] = {}
    for text in models:
        name, separator, path = text.partition("=")
        if not separator or Path(text).exists():
            name, path = Path(text).stem, text
        if not name or not path:
            raise SettingError(f"a model is given as PATH or as NAME=PATH, not as {text!r}")
        if name in paths:
            raise SettingError(
                f"two models have the name {name!r}, {paths[name]} and {path}: name them, as ner={paths[name]}"
            )
        paths[name] = Path(path)
    return paths


def _write(line: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
