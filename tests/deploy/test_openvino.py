"""OpenVINO predicts what ONNX Runtime does: in threads, in forked processes, and without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored_exports import FILES, IDS, ROOT, check_labels, texts_of

from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_ENGLISH
from flairlite.deploy import engines, load
from flairlite.errors import MissingExtraError, SettingError

openvino = pytest.importorskip("openvino", reason="openvino is not installed")


@pytest.mark.parametrize("path", FILES, ids=IDS)
@pytest.mark.parametrize("batch_size", [1, 64])
def test_predictions_are_those_of_the_exported_model(path: Path, batch_size: int) -> None:
    """Sentences of different lengths share batches: the padding of the shorter ones must not change their scores."""
    model = load(path, engine="openvino")
    check_labels(path, model.predict(texts_of(path), batch_size))
    check_labels(path, [model.predict(text) for text in texts_of(path)])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_sample_is_labelled_as_by_onnxruntime(precision: str, tmp_path: Path, mini_vectors: Any) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from flairlite.models import SequenceTagger
    from flairlite.trainers import ModelTrainer

    corpus = SAMPLE_ENGLISH()
    tagger = SequenceTagger(mini_vectors, corpus.make_label_dictionary("upos"), "upos", hidden_size=32)
    ModelTrainer(tagger, corpus).train(tmp_path / "run", optimizer="Adam", learning_rate=0.01, max_epochs=3)
    tagger.export(tmp_path / "model.onnx")
    words = [sentence.words for split in (corpus.train, corpus.dev, corpus.test) for sentence in split or ()]
    models = [load(tmp_path / "model.onnx"), load(tmp_path / "model.onnx", engine="openvino", precision=precision)]
    expected, found = ([token for each in model.predict(map(Sentence, words)) for token in each] for model in models)
    pairs = [(one.get_label("upos"), other.get_label("upos")) for one, other in zip(expected, found, strict=True)]
    share_equal = sum(one.value == other.value for one, other in pairs) / len(pairs)
    differences = np.array([abs(one.score - other.score) for one, other in pairs if one.value == other.value])
    assert len(pairs) > 1000
    if precision == "float32":
        assert share_equal == 1
        assert differences.max() < 1e-4
    else:
        assert share_equal > 0.99
        assert differences.mean() < 0.01


def test_eight_threads_predict_what_one_does() -> None:
    path = FILES[IDS.index("exports-format-2-spans")]
    model, texts = load(path, engine="openvino"), texts_of(path)

    def predict(index: int) -> list[Sentence]:
        return [model.predict(text) for text in texts] if index % 2 else model.predict(texts)

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(predict, range(24)):
            check_labels(path, found)


FORK = """
import json, multiprocessing, os, signal, socket, sys

signal.alarm(100)

def refuse(*arguments):
    raise OSError("a connection was tried")

socket.socket.connect = socket.getaddrinfo = refuse

from flairlite.deploy import load

model = load(sys.argv[1], engine="openvino", num_threads=int(sys.argv[2]))
texts = json.loads(sys.argv[3])

def predict(index):
    signal.alarm(60)
    return [[(label.value, round(label.score, 3)) for label in each.get_labels()] for each in model.predict(texts)]

before = predict(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert all(found == before for found in pool.map(predict, range(6), chunksize=1))
assert predict(0) == before
assert "torch" not in sys.modules
assert "onnxruntime" not in sys.modules
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("num_threads", [1, 2])
def test_forked_workers_predict_without_network_and_other_engines(num_threads: int) -> None:
    path = FILES[IDS.index("exports-format-2-types")]
    process = subprocess.run(
        [sys.executable, "-c", FORK, str(path), str(num_threads), json.dumps(texts_of(path))],
        env={**os.environ, "PYTHONPATH": str(ROOT)} if (ROOT / "flairlite").is_dir() else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "a connection was tried" not in process.stderr


def test_sequences_of_a_batch_are_computed_in_groups_of_equal_length(monkeypatch: pytest.MonkeyPatch) -> None:
    path = FILES[IDS.index("exports-format-2-words")]
    lengths: list[list[int]] = []
    run = engines.OpenVinoSession._run

    def count(self: engines.OpenVinoSession, inputs: engines.Inputs) -> Any:
        lengths.append(inputs["lengths"].tolist())
        return run(self, inputs)

    texts = ["a b c", "a b c", "a", "a b", "a b"]
    monkeypatch.setattr(engines.OpenVinoSession, "_run", count)
    model = load(path, engine="openvino")
    lengths.clear()
    model.predict(texts)
    assert lengths == [[3, 3, 2, 2, 1]]
    monkeypatch.setattr(engines, "close_gates", lambda network: False)  # as for other recurrent layers
    model = load(path, engine="openvino")
    lengths.clear()
    model.predict(texts)
    assert lengths == [[3, 3], [2, 2], [1]]


@pytest.mark.parametrize(
    ("options", "is_one_batch"),
    [
        ({}, True),
        ({"rnn_layers": 3, "rnn_residual": True}, True),
        ({"rnn_type": "GRU", "rnn_layers": 2}, True),
        ({"bidirectional": False}, True),
        ({"use_rnn": False}, True),
        ({"rnn_type": "RNN"}, False),
        ({"train_initial_hidden_state": True}, False),
        ({"train_initial_hidden_state": True, "rnn_type": "GRU"}, True),
    ],
    ids=["LSTM", "residual", "GRU", "one direction", "no RNN", "RNN", "learned start", "learned start of a GRU"],
)
def test_padding_changes_no_score(
    options: dict[str, Any], is_one_batch: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from exports import check_equal, random_words, sharpen

    from flairlite.data import Dictionary
    from flairlite.embeddings import HashEmbeddings
    from flairlite.models import SequenceTagger

    labels = Dictionary.from_items(["<unk>", "A", "B", "C"])
    embeddings = HashEmbeddings(20, 6)
    sharpen(SequenceTagger(embeddings, labels, "tag", hidden_size=7, **options)).export(tmp_path / "model.onnx")
    expected, model = load(tmp_path / "model.onnx"), load(tmp_path / "model.onnx", engine="openvino")
    widths, run = [], engines.OpenVinoSession._run

    def count(self: engines.OpenVinoSession, inputs: engines.Inputs) -> Any:
        widths.append(len(inputs["lengths"]))
        return run(self, inputs)

    monkeypatch.setattr(engines.OpenVinoSession, "_run", count)
    words = random_words(30)
    found = model.predict(map(Sentence, words))
    assert check_equal(expected.predict(map(Sentence, words)), found, "tag") > 300
    assert (widths == [30]) == is_one_batch


def test_other_settings_are_refused() -> None:
    path = FILES[0]
    with pytest.raises(SettingError, match="engine must be one of onnxruntime, openvino, not 'tensorrt'"):
        load(path, engine="tensorrt")
    with pytest.raises(SettingError, match="precision must be one of float32, bfloat16, not 'int8'"):
        load(path, engine="openvino", precision="int8")
    with pytest.raises(SettingError, match="onnxruntime computes in float32: give engine='openvino' with precision"):
        load(path, precision="bfloat16")


def test_a_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"openvino.* is not installed: pip install 'flairlite\[openvino\]'"):
        load(FILES[0], engine="openvino")
