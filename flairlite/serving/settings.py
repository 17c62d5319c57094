"""The settings of a server."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from flairlite.checks import number, whole_number
from flairlite.errors import SettingError

_CHECKS = {
    "batch_size": whole_number(least=1),
    "max_delay": number(least=0),
    "max_waiting": whole_number(least=1),
    "max_body": whole_number(least=1),
    "max_sentences": whole_number(least=1),
    "max_words": whole_number(least=1),
}


@dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """How requests are batched, and how large they may be.

    Attributes:
        batch_size: Sentences that pass through a model together, of one or several requests.
        max_delay: Seconds for which a request waits for others while its model is idle.
        max_waiting: Requests that may wait for each model; further ones are answered with 503.
        max_body: Bytes of a request.
        max_sentences: Sentences of a request.
        max_words: Words of a request.
        api_key: The key that requests must have, as `Authorization: Bearer KEY`; none if None.

    Raises:
        SettingError: If a value is invalid.
    """

    batch_size: int = 64
    max_delay: float = 0.002
    max_waiting: int = 256
    max_body: int = 1 << 20
    max_sentences: int = 1000
    max_words: int = 20_000
    api_key: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in _CHECKS:
                object.__setattr__(self, field.name, _CHECKS[field.name](field.name, getattr(self, field.name)))
        _check_key(self.api_key)

    def __repr__(self) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "api_key"}
        shown = ", ".join(f"{name}={value!r}" for name, value in values.items())
        return f"ServingSettings({shown}, api_key={'None' if self.api_key is None else '...'})"


def _check_key(key: Any) -> None:
    """Check an API key without showing it."""
    if key is None:
        return
    if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingError(
            "api_key must be a string of visible ASCII characters without spaces: it is sent in a header"
        )
