"""Saved models keep every setting, and a failure to load names its cause: the file, another file, or a bug."""

from __future__ import annotations

import gzip
import inspect
import os
import pickle
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import DocumentPoolEmbeddings, Embeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import DataUnavailableError, FileWriteError, ModelFileError, SettingError
from flairlite.models import Model, SequenceTagger, TextClassifier, TokenClassifier, serialization
from flairlite.tokenization import StaccatoTokenizer
from flairlite.trainers import ModelTrainer

VECTORS = WordVectors(["in", "Berlin"], np.eye(2))


def make_dictionary(**flags: bool) -> Dictionary:
    dictionary = Dictionary.from_items(["<unk>", "X", "Y"])
    for name, value in flags.items():
        setattr(dictionary, name, value)
    return dictionary


# a value other than the default for each argument of the constructor but the embeddings
CHANGED: dict[type[Model], dict[str, Any]] = {
    SequenceTagger: {
        "tag_dictionary": make_dictionary(span_labels=True),
        "tag_type": "ner",
        "use_rnn": True,
        "rnn": None,
        "rnn_type": "GRU",
        "tag_format": "bio",
        "hidden_size": 3,
        "rnn_layers": 2,
        "bidirectional": False,
        "use_crf": False,
        "reproject_embeddings": False,
        "dropout": 0.1,
        "word_dropout": 0.2,
        "locked_dropout": 0.3,
        "train_initial_hidden_state": False,  # True in ALTERNATIVES: it excludes the next two
        "rnn_dropout": 0.4,
        "rnn_residual": True,
        "loss_weights": {"B-X": 2.0, "Y": 3.0},
        "allow_unk_predictions": True,
        "head_weights": {"ner": 0.5},
        "label_smoothing": 0.1,
        "soft_labels": "teacher",
        "distillation_weight": 0.3,
        "distillation_temperature": 2.0,
        "seed": 5,
    },
    TokenClassifier: {
        "label_dictionary": make_dictionary(span_labels=True),
        "label_type": "ner",
        "span_encoding": "BILOU",
        "loss_weights": {"X": 2.0},
        "dropout": 0.1,
        "word_dropout": 0.2,
        "locked_dropout": 0.3,
        "label_smoothing": 0.1,
        "seed": 5,
        "allow_unk_predictions": True,
    },
    TextClassifier: {
        "label_type": "topic",
        "label_dictionary": make_dictionary(multi_label=True),
        "multi_label": True,
        "multi_label_threshold": {"default": 0.3, "X": 0.7},
        "loss_weights": {"X": 2.0},
        "dropout": 0.1,
        "word_dropout": 0.2,
        "locked_dropout": 0.3,
        "label_smoothing": 0.0,  # not with several labels
        "seed": 5,
        "allow_unk_predictions": True,
    },
}
LEARNED_START = {"train_initial_hidden_state": True, "rnn_dropout": 0.0, "rnn_residual": False}
NO_SOFT_TARGETS = {"label_smoothing": 0.0, "soft_labels": None}
SEVERAL_TYPES: dict[str, Any] = {
    "tag_dictionary": {"pos": make_dictionary(), "ner": make_dictionary(span_labels=True)},
    "loss_weights": {"ner": {"B-X": 2.0}},
    "head_weights": {"pos": 2.0},
    "soft_labels": {"pos": "teacher", "ner": "other"},
}
ALTERNATIVES: list[tuple[type[Model], dict[str, Any]]] = [
    *CHANGED.items(),
    *((kind, {**CHANGED[kind], "dropout": 0.0}) for kind in CHANGED),
    (SequenceTagger, {**CHANGED[SequenceTagger], "use_rnn": False}),
    (SequenceTagger, {**CHANGED[SequenceTagger], **LEARNED_START}),
    (SequenceTagger, {**CHANGED[SequenceTagger], "use_crf": True, "loss_weights": None, **NO_SOFT_TARGETS}),
    (SequenceTagger, {**CHANGED[SequenceTagger], **SEVERAL_TYPES}),
    (SequenceTagger, {**CHANGED[SequenceTagger], **SEVERAL_TYPES, "use_crf": {"ner": False, "pos": True}}),
    (SequenceTagger, {**CHANGED[SequenceTagger], "tag_dictionary": make_dictionary(), "loss_weights": {"Y": 3.0}}),
    (SequenceTagger, {**CHANGED[SequenceTagger], "rnn": torch.nn.LSTM(2, 4, batch_first=True), "rnn_layers": 9}),
    (TextClassifier, {**CHANGED[TextClassifier], "multi_label": False, "label_smoothing": 0.2}),
]


def make_model(model_class: type[Any], options: dict[str, Any]) -> Model:
    embeddings: Embeddings = WordEmbeddings(VECTORS)
    if model_class is TextClassifier:
        embeddings = DocumentPoolEmbeddings(embeddings)  # type: ignore[arg-type]
    model: Model = model_class(embeddings, **options)
    return model


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    make_model(TokenClassifier, CHANGED[TokenClassifier]).save(path)
    return path


class TestSettings:
    @pytest.mark.parametrize("model_class", CHANGED)
    def test_this_test_changes_every_argument_of_the_constructor(self, model_class: type[Model]) -> None:
        names = list(inspect.signature(model_class).parameters)
        assert sorted(names) == sorted(["embeddings", *CHANGED[model_class]])

    @pytest.mark.parametrize(("model_class", "options"), ALTERNATIVES)
    def test_a_loaded_model_has_every_setting(
        self, model_class: type[Any], options: dict[str, Any], tmp_path: Path
    ) -> None:
        model = make_model(model_class, options)
        model.tokenizer = StaccatoTokenizer()
        model.save(tmp_path / "model.pt")
        loaded = model_class.load(tmp_path / "model.pt", device="cpu")
        assert loaded.settings() == model.settings()
        assert str(loaded) == str(model.eval())
        assert loaded.tokenizer == model.tokenizer
        for name in options:
            if name in ("rnn", "seed"):
                continue
            actual, expected = getattr(loaded, name, "missing"), getattr(model, name, "missing")
            if isinstance(expected, torch.nn.Module):
                actual, expected = str(actual), str(expected)
            assert actual == expected
            if isinstance(expected, Dictionary) and model_class is not TextClassifier:
                assert actual.span_labels == expected.span_labels  # type: ignore[union-attr]
        for name, tensor in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor)
        sentence = "in Berlin"
        assert loaded.predict(sentence).to_dict() == model.to("cpu").predict(sentence).to_dict()
        loaded.save(tmp_path / "again.pt")
        assert model_class.load(tmp_path / "again.pt").settings() == model.settings()

    def test_a_loaded_model_weighs_labels_in_the_loss_as_before(self, tmp_path: Path) -> None:
        model = make_model(TokenClassifier, {**CHANGED[TokenClassifier], "label_dictionary": make_dictionary()})
        model.save(tmp_path / "model.pt")
        sentences = [Sentence(["in", "Berlin"]).set_token_labels("ner", ["X", "Y"])]
        expected = model.eval().forward_loss(sentences)
        loss, count = Model.load(tmp_path / "model.pt").forward_loss(sentences)
        assert (loss.item(), count) == (pytest.approx(expected[0].item()), expected[1])


class TestOtherFiles:
    """Whatever is given instead of a model file is named, with what to do."""

    def refuse(self, path: object) -> str:
        with pytest.raises(ModelFileError) as caught:
            Model.load(path)  # type: ignore[arg-type]
        return str(caught.value)

    def test_a_missing_file_names_the_nearest_models(self, model_file: Path) -> None:
        for name in ("final-model.pt", "best-model.pt"):
            (model_file.parent / name).write_bytes(model_file.read_bytes())
        (model_file.parent / "notes.txt").write_text("x")
        message = self.refuse(model_file.parent / "best_model.pt")
        assert "no model file at" in message
        assert message.index("best-model.pt") < message.index("final-model.pt")
        assert "notes.txt" not in message

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        assert f"the folder {tmp_path / 'nowhere'} does not exist" in self.refuse(tmp_path / "nowhere" / "model.pt")

    def test_a_name_of_flair_is_not_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert "the models that load by name are upos, pos, upos-fast" in self.refuse("ner-english")

    def test_a_folder_names_the_models_in_it(self, model_file: Path) -> None:
        message = self.refuse(model_file.parent)
        assert "is a folder" in message
        assert "model.pt" in message

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"", "it is empty"),
            (b'{"format": "flairlite run"}\n', "JSON file, such as a run record"),
            (b" \n<!DOCTYPE html><html></html>", "HTML"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
            (gzip.compress(b"x", mtime=0), "gzip"),
            (pickle.dumps({"state_dict": {}}), "pickle"),
        ],
    )
    def test_files_of_other_formats(self, content: bytes, expected: str, tmp_path: Path) -> None:
        (tmp_path / "model.pt").write_bytes(content)
        assert expected in self.refuse(tmp_path / "model.pt")

    def test_a_zip_archive_with_a_model(self, model_file: Path) -> None:
        path = model_file.parent / "model.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(model_file, "runs/model.pt")
        assert "contains runs/model.pt: unpack it first" in self.refuse(path)

    def test_the_files_of_a_run(self, tmp_path: Path) -> None:
        sentences = [Sentence(["in", "Berlin"]).set_token_labels("ner", ["X", "Y"])]
        model = make_model(TokenClassifier, {**CHANGED[TokenClassifier], "label_dictionary": make_dictionary()})
        ModelTrainer(model, Corpus(sentences, sentences)).train(tmp_path, max_epochs=1, checkpoint_every=1)
        if (tmp_path / "checkpoint.pt").exists():
            assert "checkpoint: resume its run, or load best-model.pt" in self.refuse(tmp_path / "checkpoint.pt")
        assert "JSON file, such as a run record" in self.refuse(tmp_path / "run.json")
        assert "is not a model file" in self.refuse(tmp_path / "training.log")
        assert type(Model.load(tmp_path / "best-model.pt")) is TokenClassifier

    def test_a_checkpoint(self, tmp_path: Path) -> None:
        torch.save({"format": "flairlite checkpoint", "format_version": 2}, tmp_path / "checkpoint.pt")
        assert "checkpoint: resume its run, or load best-model.pt" in self.refuse(tmp_path / "checkpoint.pt")

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read any file")
    def test_a_file_that_may_not_be_read(self, model_file: Path) -> None:
        model_file.chmod(0)
        assert "cannot be read: Permission denied" in self.refuse(model_file)


class TestPaths:
    @pytest.mark.parametrize("convert", [str, Path, os.fsencode, lambda path: np.str_(path)])
    def test_a_path_has_any_type_of_path(self, convert: Callable[[Path], Any], tmp_path: Path) -> None:
        path = tmp_path / "modèle.pt"
        make_model(TokenClassifier, CHANGED[TokenClassifier]).save(convert(path))
        assert type(Model.load(convert(path))) is TokenClassifier

    @pytest.mark.parametrize("path", [None, 3, ["model.pt"], 0.5])
    def test_what_is_not_a_path_is_refused(self, path: Any) -> None:
        with pytest.raises(SettingError, match="model_path must be the path of a file"):
            Model.load(path)
        with pytest.raises(SettingError, match="model_file must be the path of a file"):
            make_model(TokenClassifier, CHANGED[TokenClassifier]).save(path)

    def test_a_model_cannot_be_saved_into_a_missing_folder_or_onto_a_folder(self, tmp_path: Path) -> None:
        model = make_model(TokenClassifier, CHANGED[TokenClassifier])
        with pytest.raises(FileWriteError, match=r"the folder .*missing does not exist. Create it") as caught:
            model.save(tmp_path / "missing" / "model.pt")
        assert caught.value.path == tmp_path / "missing" / "model.pt"
        with pytest.raises(FileWriteError, match="it is a folder"):
            model.save(tmp_path)


class OwnError(Exception):
    pass


class TestErrorsOfPrograms:
    """A bug, a lack of memory or missing data is not reported as damage of the file."""

    @pytest.mark.parametrize("error", [OwnError("bug"), TypeError("bug"), KeyError("bug"), MemoryError("small")])
    def test_a_bug_in_a_class_of_the_user_keeps_its_type(
        self, error: Exception, model_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*arguments: object) -> Any:
            raise error

        monkeypatch.setattr(TokenClassifier, "from_settings", fail)
        with pytest.raises(type(error)) as caught:
            Model.load(model_file)
        assert caught.value is error

    def test_a_setting_error_keeps_its_type_and_names_the_file(
        self, model_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*arguments: object) -> Any:
            raise SettingError("this needs another machine")

        monkeypatch.setattr(TokenClassifier, "from_settings", fail)
        with pytest.raises(SettingError, match=r"model\.pt holds invalid settings: this needs another machine"):
            Model.load(model_file)

    @pytest.mark.parametrize("name", ["torch.load", "torch.nn.Module.load_state_dict"])
    def test_a_lack_of_memory_is_not_damage(self, name: str, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*arguments: object, **options: object) -> Any:
            raise MemoryError

        monkeypatch.setattr(name, fail)
        with pytest.raises(MemoryError):
            Model.load(model_file)

    def test_what_torch_says_of_memory_is_a_memory_error(
        self, model_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*arguments: object, **options: object) -> Any:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

        monkeypatch.setattr(torch, "load", fail)
        with pytest.raises(MemoryError, match=r"model\.pt does not fit into memory"):
            Model.load(model_file)

    def test_data_that_cannot_be_had_is_not_damage(self, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*arguments: object) -> Any:
            raise DataUnavailableError("no vectors")

        monkeypatch.setattr(TokenClassifier, "from_settings", fail)
        with pytest.raises(DataUnavailableError):
            Model.load(model_file)

    def test_a_device_that_does_not_exist(self, model_file: Path) -> None:
        with pytest.raises(SettingError, match="gpu7"):
            Model.load(model_file, device="gpu7")

    def test_weights_of_another_version_of_a_class(self, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        content = torch.load(model_file, weights_only=True)
        del content["state"]["decoder.bias"]
        torch.save(content, model_file)
        with pytest.raises(ModelFileError, match=r"(?s)another version of TokenClassifier.*decoder\.bias"):
            Model.load(model_file)


class TestNamesOfClasses:
    @pytest.fixture(autouse=True)
    def _forget_classes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serialization, "MODEL_CLASSES", dict(serialization.MODEL_CLASSES))

    @pytest.mark.parametrize("name", ["TextClassifier", "SequenceTagger", "TokenClassifier"])
    def test_a_class_named_like_a_built_in_one_is_refused(self, name: str, model_file: Path) -> None:
        with pytest.raises(SettingError, match=rf"there is a model class {name} in flairlite\.models\..* already"):
            type(name, (TokenClassifier,), {"__module__": "my_project.models"})
        assert type(Model.load(model_file)) is TokenClassifier

    def test_a_class_may_be_defined_again_in_its_module(self) -> None:
        for _ in range(2):
            kind = type("OwnTagger", (SequenceTagger,), {"__module__": "__main__"})
            assert serialization.MODEL_CLASSES["OwnTagger"] is kind
        with pytest.raises(SettingError, match="rename the class in elsewhere"):
            type("OwnTagger", (SequenceTagger,), {"__module__": "elsewhere"})

    def test_one_file_may_be_main_and_a_module(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`python -m package.module` runs a file as `__main__`, which other modules may import by its name."""
        for name in ("one", "same", "other"):
            module = types.ModuleType(name)
            module.__file__ = "/x/other.py" if name == "other" else "/x/one.py"
            monkeypatch.setitem(sys.modules, name, module)
        type("OwnTagger", (SequenceTagger,), {"__module__": "one"})
        type("OwnTagger", (SequenceTagger,), {"__module__": "same"})
        with pytest.raises(SettingError, match="rename the class in other"):
            type("OwnTagger", (SequenceTagger,), {"__module__": "other"})
