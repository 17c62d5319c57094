"""Downloads: https and pinned hashes, odd paths, no network when offline, and many processes at once."""

from __future__ import annotations

import gzip
import hashlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_server import LoopbackServer
from model_files import make_tagger

import flairlite
from flairlite.data import Corpus
from flairlite.data.corpus import SPLITS
from flairlite.datasets import UD_ENGLISH, read_conllu
from flairlite.datasets.treebanks import Treebank
from flairlite.download import Resource
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vector_cache import load_vectors
from flairlite.models import SequenceTagger
from flairlite.runtime import set_cache_root
from flairlite.trainers import ModelTrainer

PACKAGE = Path(flairlite.__file__).resolve().parent
ODD = ["with spaces", "ünï中文", "quote'\"s", "per%20cent #1 & more", "-dash", "trailing."]


# --- addresses and hashes ------------------------------------------------------------------------------------------


def pinned_resources() -> Iterator[Resource]:
    """Yield every file whose address flairlite contains."""
    for thing in vars(flairlite.datasets).values():
        if isinstance(thing, Treebank):
            yield from (resource for split in SPLITS for resource in thing.resources(split))
    for module in [module for name, module in sys.modules.items() if name.startswith("flairlite")]:
        yield from (thing for thing in vars(module).values() if isinstance(thing, Resource))


def test_every_address_is_https_and_every_file_has_a_pinned_hash() -> None:
    resources = list(pinned_resources())
    assert len(resources) >= 4
    for resource in resources:
        assert resource.url.startswith("https://"), resource
        algorithm, _, digest = str(resource.known_hash).partition(":")
        size = 40 if algorithm == "git" else 2 * hashlib.new(algorithm).digest_size  # git's hash of a file is a SHA-1
        assert re.fullmatch(f"[0-9a-f]{{{size}}}", digest), resource
        assert algorithm != "md5" or resource.path == "glove/glove-wiki-gigaword-100.gz", resource


def test_no_source_file_contains_an_http_address() -> None:
    for path in PACKAGE.rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"http://(?!example\.|127\.0\.0\.1|[\[{])", line), f"{path}: {line}"


def test_no_archive_is_extracted() -> None:
    """Downloads are single files; no code extracts an archive, whose members might have paths outside the folder."""
    for path in PACKAGE.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        for call in ("extractall", ".extract(", "unpack_archive", "Unzip", "Untar", "tarfile"):
            assert call not in code, f"{path} has {call}: see that members with .. or / in their names are refused"


# --- paths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD)
def test_folder_with_an_odd_name_works(name: str, sample: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    set_cache_root(folder / "cache")
    (folder / f"{name}.txt").write_text("the 1 2\ndog 3 4\n", encoding="utf-8")
    (folder / f"{name}.conllu").write_text("1\tthe\t_\tDET\t_\t_\t_\t_\t_\t_\n\n", encoding="utf-8")
    embeddings = WordEmbeddings(folder / f"{name}.txt")
    corpus = Corpus(list(read_conllu(folder / f"{name}.conllu")) * 4, list(sample.dev or ())[:2])
    tagger = SequenceTagger(embeddings, corpus.make_label_dictionary("upos"), "upos", hidden_size=4, seed=0)
    ModelTrainer(tagger, corpus).train(folder / "run", max_epochs=1)
    loaded = SequenceTagger.load(folder / "run" / "final-model.pt")
    assert [label.value for label in loaded.predict("the").get_labels("upos")] == ["DET"]
    assert (folder / "cache").is_dir()


READ_ONLY_HOME = """
import sys
from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_ENGLISH, UD_ENGLISH
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import FlairliteError
from flairlite.models import SequenceTagger
print(len(SequenceTagger.load(sys.argv[1]).predict("The dog sleeps .")))
print(SAMPLE_ENGLISH())
print(WordEmbeddings("glove-mini").embedding_length)
try:
    UD_ENGLISH()
except FlairliteError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is a home that even root cannot write")
def test_read_only_home_works_for_bundled_data(tmp_path: Path) -> None:
    """Bundled data and models work; converted vectors stay in memory; a download raises an error with a remedy."""
    make_tagger().save(tmp_path / "model.pt")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLAIRLITE")}
    environment |= {"HOME": "/proc", "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-W", "error", "-c", READ_ONLY_HOME, str(tmp_path / "model.pt")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words, corpus, size, *error = done.stdout.splitlines()
    assert (words, size) == ("4", "50")
    assert corpus.startswith("Corpus: ")
    assert "/proc/.flairlite" in error[0]
    assert "FLAIRLITE_CACHE_ROOT" in " ".join(error)


# --- sockets -------------------------------------------------------------------------------------------------------

OFFLINE = """
import json, sys
asked = []
sys.addaudithook(lambda event, arguments: asked.append(event) if event.startswith("socket.") else None)
import flairlite
from flairlite.data import Corpus
from flairlite.datasets import SAMPLE_ENGLISH, UD_ENGLISH
from flairlite.embeddings import WordEmbeddings
from flairlite.errors import DataUnavailableError
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer
refused = 0
for make in (UD_ENGLISH, lambda: WordEmbeddings("glove")):
    try:
        make()
    except DataUnavailableError as error:
        refused += "FLAIRLITE_OFFLINE" in str(error)
corpus = SAMPLE_ENGLISH()
corpus = Corpus(corpus.train[:20], corpus.dev[:5], corpus.test[:5])
tagger = SequenceTagger(WordEmbeddings("glove-mini"), corpus.make_label_dictionary("upos"), "upos", hidden_size=4)
ModelTrainer(tagger, corpus).train(sys.argv[1], max_epochs=1)
SequenceTagger.load(sys.argv[1] + "/final-model.pt").predict("The dog sleeps.")
import socket
before = len(asked)
socket.socket().close()
print(json.dumps([refused, asked[:before], asked[before:]]))
"""


@pytest.mark.parametrize("mirror", ["", "http://127.0.0.1:1/mirror"])
def test_offline_no_socket_is_opened_from_import_to_prediction(mirror: str, tmp_path: Path) -> None:
    """An audit hook records every socket of the process; opening one shows that the hook works."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(PACKAGE.parent),
        "FLAIRLITE_CACHE_ROOT": str(tmp_path / "cache"),
        "FLAIRLITE_MIRROR": mirror,
        "FLAIRLITE_OFFLINE": "1",
    }
    command = [sys.executable, "-c", OFFLINE, str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refused, asked, real = json.loads(done.stdout.splitlines()[-1])
    assert refused == 2
    assert asked == []
    assert real


# --- many processes ------------------------------------------------------------------------------------------------


def _take(path: Path, answers: Any) -> None:
    vectors = load_vectors(path)
    answers.put((len(vectors), float(vectors.matrix.sum()), vectors.entry is not None))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_ten_processes_on_an_empty_cache_convert_vectors_at_once(tmp_path: Path) -> None:
    """No process reads a file that another one has half written."""
    set_cache_root(tmp_path / "cache")
    rows = "".join(f"word{number} {number} 1 2\n" for number in range(2000))
    (tmp_path / "vectors.gz").write_bytes(gzip.compress(rows.encode()))
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    processes = [context.Process(target=_take, args=(tmp_path / "vectors.gz", answers)) for _ in range(10)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 10
    assert set(found) == {(2000, float(sum(range(2000)) + 3 * 2000), True)}
    assert len(list((tmp_path / "cache" / "vectors").iterdir())) == 1


TOGETHER = """
import sys
from flairlite.datasets import UD_ENGLISH
print(UD_ENGLISH())
"""


def test_ten_programs_started_together_on_an_empty_cache_download_each_file_once(tmp_path: Path) -> None:
    content = b"1\tGo\tgo\tVERB\t_\t_\t_\t_\t_\t_\n\n" * 2000
    files = {resource.path: content for split in SPLITS for resource in UD_ENGLISH.resources(split)}
    digest = hashlib.sha256(content).hexdigest()
    registry = "".join(f"{path} sha256:{digest}\n" for path in files).encode()
    with LoopbackServer({**files, "registry.txt": registry}) as server:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLAIRLITE")}
        environment |= {
            "PYTHONPATH": str(PACKAGE.parent),
            "FLAIRLITE_CACHE_ROOT": str(tmp_path / "empty cache"),
            "FLAIRLITE_MIRROR": server.url,
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-c", TOGETHER]
        programs = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(10)
        ]
        answers = [program.communicate(timeout=300) for program in programs]
    assert [program.returncode for program in programs] == [0] * 10, answers
    assert {output.strip() for output, _ in answers} == {"Corpus: 2000 train + 2000 dev + 2000 test sentences"}
    assert {path: server.num_requests[path] for path in files} == dict.fromkeys(files, 1)
    assert sorted(path.name for path in (tmp_path / "empty cache").rglob("*.conllu")) == sorted(
        Path(path).name for path in files
    )


# --- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not (PACKAGE.parent / "constraints-lowest.txt").is_file(), reason="no constraints beside a wheel")
def test_lowest_tested_versions_are_the_lowest_allowed_ones() -> None:
    project = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
    allowed = dict(re.findall(r'"([a-z-]+)>=([\d.]+)"', project))
    lowest = dict(
        re.findall(r"^([a-z-]+)==([\d.]+)$", (PACKAGE.parent / "constraints-lowest.txt").read_text(), re.MULTILINE)
    )
    dependencies = re.findall(r'"([a-z-]+)>=', project.partition("\ndependencies = [")[2].partition("]")[0])
    assert set(dependencies) <= set(lowest)
    for name, version in lowest.items():
        parts = [*map(int, version.split("."))]
        minimum = [*map(int, allowed[name].split("."))]
        assert parts == minimum + [0] * (len(parts) - len(minimum)), (
            f"{name}: {version}, but {allowed[name]} is allowed"
        )
