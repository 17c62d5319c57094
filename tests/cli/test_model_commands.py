"""`flairlite evaluate`, `info` and `download`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command_line import fail, invoke, needs_typer

from flairlite.data import Dictionary
from flairlite.datasets import ClassificationDataset, ColumnDataset, read_conllu
from flairlite.embeddings import HashEmbeddings
from flairlite.models import Model, SequenceTagger
from flairlite.storage.model_file import describe_model_file, read_model_file

pytestmark = needs_typer

GOLD = {
    "words": (
        "gold.conllu",
        "".join(f"{n}\tw{n}\t_\t{tag}" + "\t_" * 6 + "\n" for n, tag in enumerate(("NOUN", "VERB", "DET", "X"), 1))
        + "\n",
    ),
    "two": ("two.conllu", "1\tw1\t_\tNOUN\tNN" + "\t_" * 5 + "\n2\tw2\t_\tVERB\tVB" + "\t_" * 5 + "\n\n"),
    "spans": ("gold.txt", "Ada B-PER\nlives O\nin O\nCork B-LOC\n\nIt O\nrains O\n"),
    "texts": ("gold.fasttext", "__label__good A fine film.\n__label__bad Dull.\n"),
}


@pytest.fixture
def gold(tmp_path: Path) -> dict[str, Path]:
    """A file with gold labels for each model."""
    for name, text in GOLD.values():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return {kind: tmp_path / name for kind, (name, _) in GOLD.items()}


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A tagger of two label types."""
    types = {"upos": ["<unk>", "NOUN", "VERB"], "xpos": ["<unk>", "NN", "VB"]}
    dictionaries = {name: Dictionary.from_items(labels) for name, labels in types.items()}
    SequenceTagger(HashEmbeddings(8, 4, seed=1), dictionaries, "upos", hidden_size=4, seed=1).save(tmp_path / "two.pt")
    return tmp_path / "two.pt"


class TestEvaluate:
    @pytest.mark.parametrize("kind", ["words", "spans", "texts"])
    def test_figures_are_those_of_the_library(self, kind: str, models: dict[str, Path], gold: dict[str, Path]) -> None:
        readers = {
            "words": read_conllu,
            "spans": lambda path: ColumnDataset(path, {0: "text", 1: "ner"}),
            "texts": lambda path: ClassificationDataset(path, "quality"),
        }
        expected = Model.load(models[kind]).evaluate(readers[kind](gold[kind]))
        outcome = invoke("evaluate", models[kind], gold[kind], "--json")
        assert outcome.code == 0
        found = json.loads(outcome.out)
        assert found["main_score"] == expected.main_score
        assert found["classification_report"] == expected.classification_report
        assert found["loss"] == pytest.approx(expected.loss)
        assert found["confusion"] == (None if expected.confusion is None else expected.confusion.tolist())
        assert found["labels"] == list(expected.labels)
        assert invoke("evaluate", models[kind], gold[kind]).out.strip() == expected.detailed_results.strip()

    def test_confusions_are_listed_by_frequency(self, models: dict[str, Path], gold: dict[str, Path]) -> None:
        lines = invoke("evaluate", models["words"], gold["words"], "--confusion").out.split(
            "Most frequent confusions:\n"
        )[1]
        expected = []
        result = Model.load(models["words"]).evaluate(gold["words"])
        assert result.confusion is not None
        for row, first in enumerate(result.labels):
            for column, second in enumerate(result.labels):
                if row != column and (count := int(result.confusion[row, column])):
                    expected.append((count, first, second))
        rows = [line.split() for line in lines.splitlines()[1:]]
        assert sorted((int(count), first, second) for count, first, second in rows) == sorted(expected)
        assert [int(row[0]) for row in rows] == sorted((count for count, _, _ in expected), reverse=True)

    def test_spans_are_confused_with_none(self, models: dict[str, Path], gold: dict[str, Path]) -> None:
        result = Model.load(models["spans"]).evaluate(gold["spans"])
        assert result.confusion is not None
        missed, superfluous = int(result.confusion[:-1, -1].sum()), int(result.confusion[-1, :-1].sum())
        lines = invoke("evaluate", models["spans"], gold["spans"], "--confusion").out.splitlines()
        rows = [line.split() for line in lines[lines.index("Most frequent confusions:") + 2 :]]
        assert sum(int(row[0]) for row in rows if row[2] == "∅") == missed > 0
        assert sum(int(row[0]) for row in rows if row[1] == "∅") == superfluous > 0

    def test_all_label_types_have_figures_and_confusions(self, several: Path, gold: dict[str, Path]) -> None:
        result = Model.load(several).evaluate(gold["two"])
        found = json.loads(invoke("evaluate", several, gold["two"], "--json").out)
        assert {name: part["classification_report"] for name, part in found["by_type"].items()} == {
            name: part.classification_report for name, part in result.by_type.items()
        }
        assert list(found["by_type"]) == ["upos", "xpos"]
        assert found["main_score"] == found["by_type"]["upos"]["main_score"]
        shown = invoke("evaluate", several, gold["two"], "--confusion").out
        assert "Most frequent confusions of upos:" in shown
        assert "Most frequent confusions of xpos:" in shown

    def test_wrong_arguments_are_one_line(self, models: dict[str, Path], gold: dict[str, Path], tmp_path: Path) -> None:
        (tmp_path / "empty.conllu").write_bytes(b"")
        model, data = models["words"], gold["words"]
        assert "no label type 'ner' in the data" in fail("evaluate", model, data, "--label-type", "ner")
        assert "there is no sentence in it" in fail("evaluate", model, tmp_path / "empty.conllu")
        assert "this is a model, not data" in fail("evaluate", model, model)
        assert "is not a model file of flairlite" in fail("evaluate", data, data)
        assert "this is a folder, not a file" in fail("evaluate", model, tmp_path)
        assert "cannot be read" in fail("evaluate", model, tmp_path / "missing.conllu")
        assert "gold.txt, line 1: a row must have 10 columns" in fail("evaluate", model, gold["spans"])


class TestBundledModels:
    def test_every_command_takes_a_name_in_place_of_a_file(self, gold: dict[str, Path]) -> None:
        assert invoke("tag", "upos-fast", stdin="I love Berlin").out.split() == ["I/PRON", "love/VERB", "Berlin/PROPN"]
        assert invoke("tag", "pos", stdin="I love Berlin").out.split() == ["I/PRP", "love/VBP", "Berlin/NNP"]
        assert "upos-fast.pt: SequenceTagger" in invoke("info", "upos-fast").out
        assert 0 <= json.loads(invoke("evaluate", "upos-fast", gold["words"], "--json").out)["main_score"] <= 1

    def test_a_bundled_tagger_can_be_exported(self, tmp_path: Path) -> None:
        for package in ("onnx", "onnxruntime"):
            pytest.importorskip(package, reason=f"{package} is not installed")
        assert invoke("export", "upos-fast", tmp_path / "tagger.onnx").code == 0
        assert invoke("tag", tmp_path / "tagger.onnx", stdin="I love Berlin").out.split()[2] == "Berlin/PROPN"

    def test_help_and_errors_list_the_names(self) -> None:
        assert "upos, pos, upos-fast" in " ".join(invoke("tag", "--help").out.replace("│", " ").split())
        assert "the models that load by name are upos, pos, upos-fast" in fail("tag", "upos-slow")


class TestInfo:
    def test_the_structure_of_a_file_is_that_of_its_content(self, models: dict[str, Path]) -> None:
        for path in models.values():
            whole, described = read_model_file(path), describe_model_file(path)
            assert list(described) == list(whole)
            assert described["settings"] == whole["settings"]
            assert {name: (info.shape, info.num_bytes) for name, info in described["state"].items()} == {
                name: (tuple(tensor.shape), tensor.numel() * tensor.element_size())
                for name, tensor in whole["state"].items()
            }

    def test_no_record_of_a_tensor_is_read(self, models: dict[str, Path], tmp_path: Path) -> None:
        content = bytearray(models["words"].read_bytes())
        weights = Model.load(models["words"]).state_dict()["linear.weight"]
        position = content.index(weights.contiguous().numpy().tobytes())
        content[position] ^= 1  # so that the record does not match its checksum
        damaged = tmp_path / "damaged.pt"
        damaged.write_bytes(content)
        assert invoke("info", damaged).code == 0
        assert "does not match its checksum" in fail("tag", damaged)

    def test_parts_have_the_sizes_of_their_tensors(self, models: dict[str, Path]) -> None:
        found = json.loads(invoke("info", models["spans"], "--json").out)
        sizes: dict[str, int] = {}
        for name, tensor in Model.load(models["spans"]).state_dict().items():
            part = name.partition(".")[0]
            sizes[part] = sizes.get(part, 0) + tensor.numel() * tensor.element_size()
        assert found["parts"] == sizes
        assert found["labels"] == ["<unk>", "LOC", "PER"]
        assert found["training"] is None

    def test_labels_of_all_types_are_listed(self, several: Path) -> None:
        shown = invoke("info", several).out
        assert "Labels of the type upos (3): <unk>, NOUN, VERB\n" in shown
        assert "Labels of the type xpos (3): <unk>, NN, VB\n" in shown
        assert json.loads(invoke("info", several, "--json").out)["other_labels"] == {"xpos": ["<unk>", "NN", "VB"]}

    def test_wrong_arguments_are_one_line(self, models: dict[str, Path], tmp_path: Path) -> None:
        path = tmp_path / "x.pt"
        assert "no model file at" in fail("info", path)
        path.write_bytes(b"")
        assert "it is empty" in fail("info", path)
        torch.save({"format": "other"}, path)
        assert "is not a model file of flairlite: save one with model.save" in fail("info", path)
        path.write_bytes(models["words"].read_bytes()[:2000])
        assert "is not a model file of flairlite, or it is damaged" in fail("info", path)


class TestDownload:
    def test_names_are_listed_without_a_name(self) -> None:
        outcome = invoke("download")
        assert outcome.code == 0
        for part in ("UD_GERMAN ", "UD_German-GSD r2.16", "glove ", "NER_MASAKHANE  ", "NER_MASAKHANE/v2/hau"):
            assert part in outcome.out

    @pytest.mark.parametrize(
        ("name", "count"), [("NER_ICDAR_EUROPEANA", 6), ("ner_masakhane/v2/hau", 3), ("MASAKHA_POS/v1/bam", 3)]
    )
    def test_corpora_of_several_languages_are_fetched_whole_or_in_parts(
        self, name: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched: list[str] = []
        monkeypatch.setattr("flairlite.cli.download.fetch", lambda resource: fetched.append(resource.url) or tmp_path)
        outcome = invoke("download", name)
        assert (outcome.code, outcome.out.count("\n"), len(set(fetched))) == (0, count, count)

    def test_files_are_copied_from_the_mirror(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import hashlib

        mirror, names = tmp_path / "mirror", ("train", "dev", "test")
        folder = mirror / "ud_english" / "r2.16"
        folder.mkdir(parents=True)
        lines = []
        for split in names:
            content = f"1\t{split}".encode() + b"\t_" * 8 + b"\n\n"
            (folder / f"en_ewt-ud-{split}.conllu").write_bytes(content)
            lines.append(f"ud_english/r2.16/en_ewt-ud-{split}.conllu sha256:{hashlib.sha256(content).hexdigest()}\n")
        (mirror / "registry.txt").write_text("".join(lines), encoding="utf-8")
        monkeypatch.setenv("FLAIRLITE_MIRROR", str(mirror))
        monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path / "cache"))
        outcome = invoke("download", "ud_english")
        paths = [Path(line) for line in outcome.out.splitlines()]
        assert [path.read_bytes().split()[1].decode() for path in paths] == list(names)
        assert all(path.is_relative_to(tmp_path / "cache") for path in paths)

    def test_unknown_names_fetch_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path / "cache"))
        assert "there is no data set 'UD_GERMN': did you mean UD_GERMAN?" in fail("download", "UD_ENGLISH", "UD_GERMN")
        assert "`flairlite download` lists the names" in fail("download", "x")
        outcome = invoke("download", "UD_GERMAN")
        assert outcome.code == 2
        assert "FLAIRLITE_OFFLINE is set" in outcome.err
        assert not (tmp_path / "cache").exists()
