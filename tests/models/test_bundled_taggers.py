"""The trained taggers in the package: they load by name, and are as good as their model card says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flairlite.bundled import BUNDLED_MODELS, bundled_path
from flairlite.data import Corpus, Sentence
from flairlite.datasets import SAMPLE_ENGLISH, UD_ENGLISH
from flairlite.errors import ModelFileError
from flairlite.models import Classifier, SequenceTagger
from flairlite.trainers import ModelTrainer

FOLDER = bundled_path("english_taggers")


@pytest.fixture(scope="module", params=BUNDLED_MODELS)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def tagger(name: str) -> SequenceTagger:
    return SequenceTagger.load(name)


def test_a_name_predicts_its_label_type_alone(name: str, tagger: SequenceTagger) -> None:
    assert tagger.label_types == (BUNDLED_MODELS[name].label_type,)
    sentence = tagger.predict("She can't run two runs.")
    expected = {
        "upos": ["PRON", "AUX", "PART", "VERB", "NUM", "NOUN", "PUNCT"],
        "xpos": ["PRP", "MD", "RB", "VB", "CD", "NNS", "."],
    }
    assert [token.text for token in sentence] == ["She", "ca", "n't", "run", "two", "runs", "."]
    assert [label.value for label in sentence.get_labels()] == expected[tagger.label_type]


def test_every_class_loads_by_name() -> None:
    assert isinstance(Classifier.load("upos-fast"), SequenceTagger)


def test_a_file_with_such_a_name_is_loaded_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("upos").write_bytes(b"")
    with pytest.raises(ModelFileError, match="empty"):
        SequenceTagger.load("upos")


def test_a_folder_with_such_a_name_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("upos-fast").mkdir()
    assert SequenceTagger.load("upos-fast").label_types == ("upos",)


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(ModelFileError, match="the models that load by name are upos, pos, upos-fast"):
        SequenceTagger.load("pos-fast")


def test_texts_without_case_or_final_punctuation_are_tagged(name: str, tagger: SequenceTagger) -> None:
    expected = [label.value for label in tagger.predict("The old man bought a new car .").get_labels()]
    for text in ("the old man bought a new car .", "THE OLD MAN BOUGHT A NEW CAR .", "The old man bought a new car"):
        found = [label.value for label in tagger.predict(text).get_labels()]
        assert found == expected[: len(found)], (name, text)


def test_other_genres_are_tagged_too(tagger: SequenceTagger) -> None:
    sample = SAMPLE_ENGLISH()
    sentences = [*sample.train, *sample.dev, *sample.test]
    assert tagger.evaluate(sentences, gold_label_type=tagger.label_type).main_score > 0.95


def test_a_bundled_tagger_can_be_trained_further(tmp_path: Path) -> None:
    tagger = SequenceTagger.load("upos-fast")
    sentence = tagger.predict(Sentence("I love Berlin"))
    result = ModelTrainer(tagger, Corpus([sentence])).train(tmp_path, max_epochs=1, learning_rate=0.01)
    assert 0 < result["train_loss_history"][0] < 1


def test_files_are_small() -> None:
    sizes = {path.name: path.stat().st_size / 1e6 for path in FOLDER.glob("*.pt")}
    assert sizes.keys() == {model.file for model in BUNDLED_MODELS.values()}
    assert sizes["upos-fast.pt"] <= 4
    assert sizes["upos.pt"] <= 13


@pytest.mark.parametrize(("name", "accuracy"), [("upos", 0.97), ("pos", 0.966), ("upos-fast", 0.962)])
def test_the_test_split_of_ewt_has_the_accuracy_of_the_model_card(name: str, accuracy: float, mirror: Path) -> None:
    tagger = SequenceTagger.load(name)
    assert tagger.evaluate(UD_ENGLISH().test, gold_label_type=tagger.label_type).accuracy >= accuracy


def test_a_new_process_needs_nothing_but_the_file(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "def watch(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'): sys.exit(event)\n"
        "sys.addaudithook(watch)\n"
        "from flairlite.models import SequenceTagger\n"
        "print(SequenceTagger.load('upos-fast').predict('I love Berlin').to_tagged_string())\n"
    )
    env = {**os.environ, "FLAIRLITE_CACHE_ROOT": str(tmp_path / "nowhere"), "FLAIRLITE_OFFLINE": "1"}
    found = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert found.stdout.strip().endswith('["I"/PRON, "love"/VERB, "Berlin"/PROPN]'), found.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_sentence_of_the_user_keeps_its_other_labels(tagger: SequenceTagger) -> None:
    sentence = Sentence("I love Berlin")
    sentence[2:3].add_label("ner", "LOC")
    tagger.predict(sentence)
    assert [label.value for label in sentence.get_labels("ner")] == ["LOC"]
    assert len(sentence.get_labels(tagger.label_type)) == 3
