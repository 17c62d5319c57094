"""Shared fixtures: an isolated environment, the bundled data and each device. Shared functions are in `tests/support`.

Without PyTorch, the test modules that import it are skipped and the others run.
"""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from mirror import MIRROR

import flairlite
from flairlite import runtime
from flairlite.data import Corpus

HAS_TORCH = importlib.util.find_spec("torch") is not None
# One thread: the models are tiny, and threads that wait for a busy core make training many times slower. This must come
# before the import of torch. Processes that tests start inherit the variable.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a shell lets programs in the background ignore Ctrl-C, and the processes that they start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if HAS_TORCH:
    import torch
    from devices import DEVICES
else:
    DEVICES = []

if TYPE_CHECKING:
    from flairlite.embeddings import WordEmbeddings

# Examples have no deadline, because the machine may be busy. They are the same in each run, so that no first test run
# fails by chance; FLAIRLITE_LONG=1 draws new ones. The fixtures that examples share are never modified.
_ALLOWED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("random", max_examples=50, deadline=None, suppress_health_check=_ALLOWED)
settings.register_profile("fixed", settings.get_profile("random"), derandomize=True)
settings.load_profile("random" if os.environ.get("FLAIRLITE_LONG") else "fixed")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a module that cannot be imported without torch."""
    report = yield
    if not HAS_TORCH and report.failed and "No module named 'torch'" in str(report.longrepr):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, "Skipped: needs torch")
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `mirror` if there is no data mirror."""
    if (MIRROR / "registry.txt").is_file():
        return
    for item in items:
        if item.get_closest_marker("mirror"):
            item.add_marker(pytest.mark.skip(reason=f"no data mirror at {MIRROR}: set FLAIRLITE_MIRROR"))


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder, empty at first, that all tests share, so that word vectors are converted once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def isolated_environment(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ignore the user's cache, mirror and device, open no connection, and restore the default seed and device.

    Files are not flushed to the disk: a run does so dozens of times, and waits for all that other programs write.
    """
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(session_cache))
    monkeypatch.delenv("FLAIRLITE_MIRROR", raising=False)
    monkeypatch.delenv("FLAIRLITE_DEVICE", raising=False)
    monkeypatch.setenv("FLAIRLITE_OFFLINE", "1")
    if HAS_TORCH:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # TF32 has 10 bits of precision, float32 has 23
    yield
    runtime.set_device(None)
    runtime.set_cache_root(None)
    flairlite.set_seed(0)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the real data, which the library uses as its mirror."""
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(MIRROR))
    return MIRROR


@pytest.fixture(scope="session")
def _sample() -> Corpus:
    from flairlite.datasets import SAMPLE_ENGLISH

    return SAMPLE_ENGLISH()


@pytest.fixture
def sample(_sample: Corpus) -> Corpus:
    """The bundled corpus. A test may change the lists of sentences, but tests share the sentences: change copies."""
    return Corpus(list(_sample.train or ()), list(_sample.dev or ()), list(_sample.test or ()), name="sample")


@pytest.fixture
def mini_vectors(session_cache: Path) -> WordEmbeddings:
    """The bundled word vectors of 50 dimensions."""
    from flairlite.embeddings import WordEmbeddings

    return WordEmbeddings("glove-mini")


@pytest.fixture(scope="session")
def make_transformer(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that returns the folder of a small transformer of a type, made once."""
    from tiny_transformers import save_transformer

    root, made = tmp_path_factory.mktemp("transformers"), dict[str, Path]()

    def make(kind: str = "bert") -> Path:
        if kind not in made:
            made[kind] = save_transformer(kind, root / kind)
        return made[kind]

    return make


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device of this machine."""
    return torch.device(request.param)
