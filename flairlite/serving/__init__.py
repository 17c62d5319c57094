"""Serve models over HTTP: `make_app` returns an ASGI application, and `flairlite serve` runs it."""

from flairlite.serving.settings import ServingSettings

__all__ = ["ServingSettings", "make_app"]


def __getattr__(name: str) -> object:
    if name == "make_app":  # needs FastAPI
        from flairlite.serving.extra import check_extra

        check_extra()
        from flairlite.serving.app import make_app

        return make_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
