"""The recipe of the bundled taggers: what `examples/upos_resources.py` reads."""

from __future__ import annotations

import gzip
import importlib
import json
import runpy
import sys
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest
from mirror import MIRROR

from flairlite.data import Sentence
from flairlite.datasets import UD_ENGLISH

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("upos_resources")


@pytest.fixture
def lexica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages with the names and the form of those that the recipe reads."""
    files = {
        "lemminflect/resources/lemma_lu.csv.gz": "runs,noun,run\nruns,verb,run\nrun,verb,run\nas well,adv,as well\n",
        "spacy_lookups_data/data/en_lemma_index.json.gz": json.dumps({"noun": ["run", "ice_cream"], "adj": ["red"]}),
        "spacy_lookups_data/data/en_lexeme_prob.json.gz": json.dumps({"run": -8.5, "Red": -9.0, "red": -7.0, "x": -19}),
        "spacy_lookups_data/data/en_lexeme_cluster.json.gz": json.dumps({"run": 6, "Red": 0, "red": 1, "x": 2}),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name.split("/")[0] / "__init__.py").touch()
        path.write_bytes(gzip.compress(text.encode()))
    monkeypatch.syspath_prepend(str(tmp_path))
    for package in ("lemminflect", "spacy_lookups_data"):
        monkeypatch.delitem(sys.modules, package, raising=False)


@pytest.mark.usefixtures("lexica")
class TestLexica:
    def test_parts_of_speech_of_both_lexica_are_joined(self, resources: ModuleType) -> None:
        assert resources.read_parts_of_speech() == {
            "runs": ["noun form", "verb form"],
            "run": ["verb lemma", "wordnet noun"],
            "red": ["wordnet adj"],
        }

    def test_the_most_frequent_words_are_kept(self, resources: ModuleType) -> None:
        assert resources.read_log_frequencies(2) == {"red": -7.0, "run": -8.5}

    def test_a_cluster_is_a_path_from_the_lowest_bit_on(self, resources: ModuleType) -> None:
        assert resources.read_clusters(2) == {"red": "1" + 19 * "0", "run": "011" + 17 * "0"}

    def test_the_embeddings_know_the_words(self, resources: ModuleType) -> None:
        for small in (False, True):
            parts = resources.word_features(small=small)
            assert len({part.name for part in parts}) == len(parts)
            for part in parts:
                part.embed(Sentence("run red"))


def test_a_missing_package_is_named_with_the_command(resources: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"lemminflect is missing: pip install --no-deps lemminflect==0\.2\.3"):
        resources.read_parts_of_speech()


def test_another_file_than_the_texts_is_refused_before_training(resources: ModuleType, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a/b/c.txt", "words without tags\n")
    (tmp_path / "text.txt").write_text("text", encoding="utf-8")
    for name, problem in (("other.zip", "has no words with tags"), ("text.txt", "is not masc_tagged.zip")):
        with pytest.raises(SystemExit, match=f"{name} {problem}"):
            resources.read_masc(tmp_path / name, [])
    with pytest.raises(SystemExit, match=r"missing\.zip is not masc_tagged\.zip"):
        resources.read_masc(tmp_path / "missing.zip", [])


@pytest.mark.parametrize(
    "arguments",
    [("train_upos_best.py",), ("train_upos_best.py", "upos-slow", "x.zip"), ("fine_tune_upos_teacher.py", "x.zip")],
)
def test_wrong_arguments_show_how_the_scripts_are_called(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(sys, "argv", list(arguments))
    with pytest.raises(SystemExit, match=r"masc_tagged\.zip"):
        runpy.run_path(str(EXAMPLES / arguments[0]), run_name="__main__")


def test_texts_lose_their_tags_and_what_they_share_with_held_out_sentences(
    resources: ModuleType, tmp_path: Path
) -> None:
    shared = "one two three four five six seven eight"
    lines = [
        "It_PRP rained_VBD ._.",
        "Zero_CD " + " ".join(f"{word}_CD" for word in shared.title().split()) + " nine_CD",  # in another case
        "a_b_DT _NN word",  # a word with an underscore, no word, and no tag
        " ".join(f"w{number}_NN" for number in range(130)),
        "We_PRP were_VBD all_RB here_RB ._.",  # short, and the same as a whole
    ]
    path = tmp_path / "texts.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("masc_tagged/written/b.txt", "\n".join(lines))
        archive.writestr("masc_tagged/spoken/a.txt", "Yes_UH\n\n")
        archive.writestr("masc_tagged/categories.txt", "not_NN a_DT text_NN")
    held_out = [Sentence(shared.split()), Sentence(["we", "were", "all", "here", "."])]
    found = [sentence.words for sentence in resources.read_masc(path, held_out)]
    assert found[:3] == [["Yes"], ["It", "rained", "."], ["a_b"]]
    assert [len(words) for words in found[3:]] == [60, 60, 10]


@pytest.mark.mirror
def test_texts_of_masc_share_no_eight_words_with_dev_and_test(resources: ModuleType, mirror: Path) -> None:
    path = MIRROR / "masc" / "masc_tagged.zip"
    if not path.is_file():
        pytest.skip("the mirror has no MASC")
    corpus = UD_ENGLISH()
    held_out = [*corpus.dev, *corpus.test]
    texts = resources.read_masc(path, held_out)
    assert sum(map(len, texts)) == 591_715
    known = {run for sentence in held_out for run in runs_of(sentence)}
    assert not any(run in known for sentence in texts for run in runs_of(sentence))


def runs_of(sentence: Sentence) -> list[tuple[str, ...]]:
    words = [word.lower() for word in sentence.words]
    return [tuple(words[start : start + 8]) for start in range(len(words) - 7)]
