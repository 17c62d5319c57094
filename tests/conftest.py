"""What the tests share: where the real data may lie, small corpora, and a cache and a device of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

import flairlite
from flairlite.data import Corpus, Sentence
from flairlite.datasets import SAMPLE_ENGLISH
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import SettingError
from flairlite.nn import PaddedRNN

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "mirror"
MIRROR = Path(os.environ.get("FLAIRLITE_MIRROR") or _BESIDE)

# a shared machine may be slow at any moment, and what CI tries is the same in each run; elsewhere each run tries anew
_BEARABLE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]  # the fixtures used so are never changed
settings.register_profile("anywhere", deadline=None, suppress_health_check=_BEARABLE)
settings.register_profile("ci", settings.get_profile("anywhere"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "anywhere")


def _has_bfloat16() -> bool:
    """Tell whether torch has an LSTM in bfloat16 for this processor; torch 2.4 has none for some."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            PaddedRNN(3, 4)(torch.zeros(2, 5, 3, requires_grad=True), torch.tensor([5, 2]))
    except SettingError:
        return False
    return True


needs_bfloat16 = pytest.mark.skipif(not _has_bfloat16(), reason="torch has no LSTM in bfloat16 for this processor")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the real data where it is not."""
    if (MIRROR / "registry.txt").is_file():
        return
    for item in items:
        if item.get_closest_marker("mirror"):
            item.add_marker(pytest.mark.skip(reason=f"no data mirror at {MIRROR}: set FLAIRLITE_MIRROR to one"))


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that starts empty and lasts for all tests: vectors are converted once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_world(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep tests off the user's cache, mirror, device, seed and network, and let every device compute alike."""
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(session_cache))
    monkeypatch.delenv("FLAIRLITE_MIRROR", raising=False)
    monkeypatch.delenv("FLAIRLITE_DEVICE", raising=False)
    monkeypatch.setenv("FLAIRLITE_OFFLINE", "1")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # its default multiplies with 10 bits of 23
    yield
    flairlite.runtime.set_device(None)
    flairlite.runtime.set_cache_root(None)
    flairlite.set_seed(0)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the real data, with the library told of it."""
    monkeypatch.setenv("FLAIRLITE_MIRROR", str(MIRROR))
    return MIRROR


@pytest.fixture(scope="session")
def _sample() -> Corpus:
    return SAMPLE_ENGLISH()


@pytest.fixture
def sample(_sample: Corpus) -> Corpus:
    """The bundled corpus; the lists are a test's own, the sentences are shared: change copies of them."""
    return Corpus(list(_sample.train or ()), list(_sample.dev or ()), list(_sample.test or ()), name="sample")


@pytest.fixture
def mini_vectors(session_cache: Path) -> WordEmbeddings:
    """The bundled word vectors, 50 features."""
    return WordEmbeddings("glove-mini")


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device that this machine has."""
    return torch.device(request.param)


def tagged(text: str, label_type: str = "pos") -> Sentence:
    """Make a sentence of words with labels, as in `the/DET dog/NOUN`; a word without a slash has no label."""
    pairs = [part.rpartition("/") if "/" in part else (part, "", None) for part in text.split()]
    return Sentence([word for word, _, _ in pairs]).set_token_labels(label_type, [label for _, _, label in pairs])
