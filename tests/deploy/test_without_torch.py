"""Stored models predict what they did when they were exported: without torch, in threads, and in forked processes.

Set FLAIRLITE_EXPORTS to a folder that `tests/support/make_exports.py` wrote to test its models too.
"""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stored_exports import FILES, IDS, ROOT, check_labels, texts_of

from flairlite.data import Sentence

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from flairlite.deploy import ExportedModel, load

# What a deployment has not installed. Importing one of them is an error in the processes below.
PRELUDE = """
import json, multiprocessing, os, signal, sys, threading, time
from pathlib import Path

ABSENT = {"conllu", "filelock", "gensim", "onnx", "pooch", "requests", "scipy", "sklearn", "torch", "tqdm"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}: it must not be needed", name=name)

sys.meta_path.insert(0, Blocker())
signal.alarm(100)
from flairlite.data import Sentence
from flairlite.deploy import load

model = load(sys.argv[1], num_threads=int(sys.argv[2]))
expected = json.loads(Path(sys.argv[1]).with_suffix(".json").read_text("utf-8"))
TEXTS = [sentence["text"] for sentence in expected]

def labels(sentences):
    return [[(label.value, round(label.score, 3)) for label in sentence.get_labels()] for sentence in sentences]
"""


def run(script: str, path: Path, num_threads: int = 1) -> str:
    """Run a script without the packages of `ABSENT`; a process that hangs is ended by its alarm."""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + script, str(path), str(num_threads)],
        env={**os.environ, "PYTHONPATH": str(ROOT)} if (ROOT / "flairlite").is_dir() else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_each_kind_of_model_is_stored() -> None:
    kinds = {"words", "spans", "sentences", "types", "convolutions"}
    assert {path.stem.rpartition("-")[2] for path in FILES} == kinds


@pytest.mark.parametrize("path", FILES, ids=IDS)
@pytest.mark.parametrize("batch_size", [1, 64])
def test_predictions_are_those_of_the_exported_model(path: Path, batch_size: int) -> None:
    check_labels(path, load(path).predict(texts_of(path), batch_size))
    check_labels(path, [load(path).predict(text) for text in texts_of(path)])


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_package_besides_numpy_onnxruntime_and_syntok_is_imported(path: Path) -> None:
    script = """
found = model.predict(TEXTS)
assert len(list(model.predict_stream(iter(TEXTS)))) == len(found)
assert not {name.partition(".")[0] for name in sys.modules} & ABSENT
print(json.dumps([sentence.to_dict() for sentence in found]))
"""
    check_labels(path, [Sentence.from_dict(stored) for stored in json.loads(run(script, path))])


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_eight_threads_predict_what_one_does(path: Path) -> None:
    model: ExportedModel = load(path)
    texts = texts_of(path)

    def predict(index: int) -> list[Sentence]:
        order = texts if index % 2 else texts[::-1]
        found = [model.predict(text) for text in order] if index % 3 else model.predict(order)
        return found if index % 2 else found[::-1]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(predict, range(40)):
            check_labels(path, found)


FORK = """
before = labels(model.predict(TEXTS))
stop = False

def keep_predicting():
    while not stop:
        model.predict(TEXTS[0])

threads = [threading.Thread(target=keep_predicting) for _ in range(2)]
for thread in threads:
    thread.start()

def predict(index):
    signal.alarm(60)
    return labels(model.predict(TEXTS)), labels([model.predict(text) for text in TEXTS])

with multiprocessing.get_context("fork").Pool(3) as pool:
    for in_batches, one_by_one in pool.map(predict, range(9), chunksize=1):
        assert in_batches == one_by_one == before
stop = True
for thread in threads:
    thread.join()
assert labels(model.predict(TEXTS)) == before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("num_threads", [1, 2])
def test_forked_workers_predict_what_the_parent_does(num_threads: int) -> None:
    """The parent has predicted, and its threads go on predicting while it forks."""
    run(FORK, next(path for path in FILES if path.stem.endswith("spans")), num_threads)


@pytest.mark.parametrize(
    "copy_model", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_copies_predict_what_the_model_does(path: Path, copy_model: Callable[[ExportedModel], ExportedModel]) -> None:
    copied = copy_model(load(path))
    check_labels(path, copied.predict(texts_of(path)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_copy_has_a_session_of_its_own_which_a_fork_releases() -> None:
    run(
        """
import copy
copied = copy.deepcopy(model)
wanted = labels(copied.predict(TEXTS))
child = os.fork()
if not child:
    os._exit(0 if labels(copied.predict(TEXTS)) == wanted else 1)
assert os.waitpid(child, 0)[1] == 0
""",
        FILES[0],
        2,
    )
