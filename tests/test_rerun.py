"""run.json: what it holds, what can be repeated from it, and what it says where something cannot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import flairlite
from flairlite.__main__ import main
from flairlite.data import Corpus, MultiCorpus, Sentence
from flairlite.data.recipe import NotRepeatableError, corpus_from_plain, recipe_to_plain
from flairlite.datasets import SAMPLE_ENGLISH, SAMPLE_NER, SAMPLE_REVIEWS, ColumnCorpus
from flairlite.embeddings import CharacterEmbeddings, DocumentPoolEmbeddings, StackedEmbeddings, WordEmbeddings
from flairlite.errors import DataFormatError, SettingError, TrainingError
from flairlite.models import Model, SequenceTagger, TextClassifier
from flairlite.trainers import Callback, ModelTrainer, rerun
from flairlite.trainers.repetition import _CHANGERS

OPTIONS: dict[str, Any] = {"max_epochs": 2, "mini_batch_size": 8, "learning_rate": 0.05}


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits are only promised on a CPU."""
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


def sample() -> Corpus:
    corpus = SAMPLE_ENGLISH().downsample(0.1, random_seed=3)
    corpus.filter_long_sentences(80)
    return corpus


def tagger(corpus: Corpus, label_type: str = "upos", **options: Any) -> SequenceTagger:
    dictionary = corpus.make_label_dictionary(label_type)
    return SequenceTagger(WordEmbeddings("glove-mini"), dictionary, label_type, hidden_size=8, **options)


def stacked_tagger(corpus: Corpus) -> Model:
    embeddings = StackedEmbeddings([WordEmbeddings("glove-mini"), CharacterEmbeddings()])
    return SequenceTagger(embeddings, corpus.make_label_dictionary("ner"), "ner", hidden_size=8)


def classifier(corpus: Corpus) -> Model:
    embeddings = DocumentPoolEmbeddings([WordEmbeddings("glove-mini")])
    return TextClassifier(embeddings, "sentiment", corpus.make_label_dictionary("sentiment"))


class Nothing(Callback):
    """Does nothing."""


class TestRecord:
    def test_it_says_what_the_run_was(self, tmp_path: Path) -> None:
        corpus = sample()
        result = ModelTrainer(tagger(corpus), corpus).train(tmp_path, seed=5, **OPTIONS)
        record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
        assert record["settings"]["seed"] == 5
        assert record["settings"]["mini_batch_size"] == 8
        assert record["settings"]["optimizer"] == {"name": "torch.optim.SGD", "options": {}}
        assert record["corpus"]["recipe"][0] == {"name": "SAMPLE_ENGLISH", "arguments": {}}
        for split in ("train", "dev", "test"):
            sentences = getattr(corpus, split)
            data = record["inputs"]["data"][split]
            assert (data["sentences"], data["words"]) == (len(sentences), sum(len(item.words) for item in sentences))
            assert len(data["sha256"]) == 64
        (part,) = record["parts"]
        assert part["versions"]["torch"] == torch.__version__.partition("+")[0] or part["versions"]["torch"]
        assert part["versions"]["flairlite"] == flairlite.__version__
        assert part["threads"] == torch.get_num_threads()
        assert record["result"]["test_score"] == result["test_score"]
        assert record["result"]["dev_scores"] == result["dev_score_history"]
        assert record["result"]["epochs"] == 2

    def test_a_resumed_run_has_a_part_more(self, tmp_path: Path) -> None:
        corpus = sample()
        ModelTrainer(tagger(corpus), corpus).train(tmp_path, **OPTIONS)
        first = json.loads((tmp_path / "run.json").read_text())
        ModelTrainer(tagger(corpus, seed=4), corpus).resume(tmp_path, max_epochs=3)
        second = json.loads((tmp_path / "run.json").read_text())
        assert len(second["parts"]) == 2
        assert second["initial_weights"] == first["initial_weights"]
        assert second["settings"]["max_epochs"] == second["result"]["epochs"] == 3

    def test_each_change_of_the_data_is_another_hash(self, tmp_path: Path) -> None:
        def hash_of(*sentences: Sentence) -> str:
            corpus = Corpus([*sentences, *(SAMPLE_ENGLISH().train or ())[:2]])
            ModelTrainer(model, corpus).train(tmp_path, max_epochs=0)
            record = json.loads((tmp_path / "run.json").read_text())
            return str(record["inputs"]["data"]["train"]["sha256"])

        def sentence(text: str, *labels: str) -> Sentence:
            return Sentence(text.split()).set_token_labels("upos", list(labels))

        model = tagger(SAMPLE_ENGLISH())
        sentences = [
            (sentence("a b c", "DET", "NOUN", "VERB"),),
            (sentence("a b c", "DET", "NOUN", "NOUN"),),
            (sentence("a bc", "DET", "NOUN"),),
            (sentence("ab c", "DET", "NOUN"),),
            (sentence("a", "DET"), sentence("b c", "NOUN", "VERB")),
            (sentence("a b", "DET", "NOUN"), sentence("c", "VERB")),
        ]
        assert len({hash_of(*some) for some in sentences}) == len(sentences)
        assert hash_of(*sentences[0]) == hash_of(*sentences[0])


class TestRecipe:
    @pytest.mark.parametrize(
        "make",
        [
            sample,
            lambda: SAMPLE_NER(),
            lambda: ColumnCorpus(sample_folder(), {0: "text", 1: "ner"}, column_delimiter="\t", train_file="dev.txt"),
            lambda: ColumnCorpus(sample_folder(), {0: "text", 1: "ner"}, column_delimiter="\t", name="mine"),
            lambda: MultiCorpus([SAMPLE_NER().downsample(0.5), SAMPLE_NER()], task_ids=["one", "two"]),
        ],
    )
    def test_a_corpus_made_again_is_the_same(self, make: Callable[[], Corpus]) -> None:
        corpus = make()
        plain = json.loads(json.dumps(recipe_to_plain(corpus)))
        flairlite.set_seed(99)  # the seed that was taken is in the recipe
        again = corpus_from_plain(plain, {**vars(flairlite.datasets), "MultiCorpus": MultiCorpus}, _CHANGERS)
        for split in ("train", "dev", "test"):
            pairs = zip(getattr(corpus, split) or (), getattr(again, split) or (), strict=True)
            assert all(one.to_tagged_string() == other.to_tagged_string() for one, other in pairs)

    def test_noise_is_part_of_it(self) -> None:
        corpus = SAMPLE_ENGLISH().downsample(0.1)
        corpus.add_label_noise("upos", corpus.make_label_dictionary("upos", add_unk=False).get_items(), 0.3)
        again = corpus_from_plain(json.loads(json.dumps(recipe_to_plain(corpus))), vars(flairlite.datasets), _CHANGERS)
        one, other = ([item.token_labels("upos") for item in some.train or ()] for some in (corpus, again))
        assert one == other
        assert one != [item.token_labels("upos_clean") for item in corpus.train or ()]

    def test_python_lists_have_none(self) -> None:
        with pytest.raises(NotRepeatableError, match=r"Corpus\(train\) is a Sentence"):
            recipe_to_plain(Corpus([Sentence("a")], name="mine"))

    def test_nothing_else_can_be_called(self) -> None:
        for steps in ([("system", {})], [("SAMPLE_NER", {}), ("__init__", {})]):
            plain = [{"name": name, "arguments": arguments} for name, arguments in steps]
            with pytest.raises(NotRepeatableError, match=r"there is no (system|__init__)"):
                corpus_from_plain(plain, {"SAMPLE_NER": SAMPLE_NER}, _CHANGERS)


def sample_folder() -> Path:
    from flairlite.bundled import bundled

    return bundled("sample_ner")


class TestRerun:
    @pytest.mark.parametrize(
        ("make_corpus", "make_model"),
        [
            (sample, tagger),
            (lambda: SAMPLE_NER().downsample(0.1), stacked_tagger),
            (lambda: SAMPLE_REVIEWS().downsample(0.2), classifier),
        ],
        ids=["tagger", "stacked", "classifier"],
    )
    def test_it_gives_the_same_bits(
        self, make_corpus: Callable[[], Corpus], make_model: Callable[[Corpus], Model], tmp_path: Path
    ) -> None:
        corpus = make_corpus()
        values = ModelTrainer(make_model(corpus), corpus).train(tmp_path / "run", seed=2, **OPTIONS)
        flairlite.set_seed(8)
        found = rerun(tmp_path / "run")
        assert found.base_path == tmp_path / "run-rerun"
        assert (found.differences, found.circumstances) == ([], [])
        assert found.values == values
        for name in ("best-model.pt", "final-model.pt", "test.tsv"):
            assert (found.base_path / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
        assert flairlite.runtime.get_seed() == 8

    def test_the_cache_may_be_another(self, tmp_path: Path) -> None:
        corpus = sample()
        ModelTrainer(tagger(corpus), corpus).train(tmp_path / "run", **OPTIONS)
        path = tmp_path / "run" / "run.json"
        record = json.loads(path.read_text())
        record["embeddings"]["entry"] = "glove-mini-of-another-machine"
        path.write_text(json.dumps(record))
        assert rerun(path).differences == []

    def test_the_command_says_whether_it_is_the_same(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        corpus = sample()
        ModelTrainer(tagger(corpus), corpus).train(tmp_path / "run", **OPTIONS)
        path = tmp_path / "run" / "run.json"
        assert main(["rerun", str(path), "--to", str(tmp_path / "there")]) == 0
        assert "The same to the last bit" in capsys.readouterr().out
        record = json.loads(path.read_text())
        record["result"]["test_score"] = 2.0
        record["parts"][0]["versions"]["torch"] = "1.0"
        path.write_text(json.dumps(record))
        assert main(["rerun", str(path), "--to", str(tmp_path / "there"), "--device", "cpu"]) == 1
        output = capsys.readouterr().out
        assert "Differs: test_score is" in output
        assert "Other circumstances: versions.torch is" in output
        assert main(["rerun", str(tmp_path / "nowhere")]) == 2
        assert "no record of a run" in capsys.readouterr().err

    def test_what_cannot_be_made_again_must_be_given(self, tmp_path: Path) -> None:
        corpus = Corpus((SAMPLE_ENGLISH().train or ())[:20], (SAMPLE_ENGLISH().dev or ())[:5])
        trained = tagger(corpus)
        ModelTrainer(trained, corpus).train(tmp_path / "first", **OPTIONS)
        state = {name: weight.clone() for name, weight in trained.state_dict().items()}
        ModelTrainer(trained, corpus).train(tmp_path / "run", plugins=[Nothing()], **OPTIONS)
        with pytest.raises(TrainingError, match=r"cannot be made again: Corpus\(train\) is a Sentence.*as corpus="):
            rerun(tmp_path / "run")
        with pytest.raises(TrainingError, match=r"no seed known gives the weights.*trained before.*as model="):
            rerun(tmp_path / "run", corpus=corpus)
        again = tagger(corpus)
        again.load_state_dict(state)
        with pytest.raises(SettingError, match="plugins lacks 'Nothing'"):
            rerun(tmp_path / "run", corpus=corpus, model=again)
        again.load_state_dict(state)
        found = rerun(tmp_path / "run", corpus=corpus, model=again, plugins=[Nothing()])
        assert found.differences == []

    def test_files_that_were_changed_are_named(self, tmp_path: Path) -> None:
        shutil.copytree(sample_folder(), tmp_path / "data")
        corpus = ColumnCorpus(tmp_path / "data", {0: "text", 1: "ner"}, column_delimiter="\t")
        ModelTrainer(tagger(corpus, "ner"), corpus).train(tmp_path / "run", **OPTIONS)
        path = next((tmp_path / "data").glob("*dev*"))
        path.write_bytes(path.read_bytes().replace(b"PER", b"LOC", 1))
        with pytest.raises(SettingError, match=r"data\.dev\.sha256"):
            rerun(tmp_path / "run")

    def test_a_record_must_be_one_of_a_run_that_ended(self, tmp_path: Path) -> None:
        for text in ("{", "[]", '{"format": "other"}', '{"format": "flairlite run", "format_version": 9}'):
            (tmp_path / "run.json").write_text(text)
            with pytest.raises(DataFormatError, match=r"run\.json"):
                rerun(tmp_path / "run.json")

        class Stop(Callback):
            def on_batch_end(self, run: Any) -> None:
                raise ZeroDivisionError

        corpus = sample()
        with pytest.raises(ZeroDivisionError):
            ModelTrainer(tagger(corpus), corpus).train(tmp_path / "run", plugins=[Stop()], **OPTIONS)
        with pytest.raises(TrainingError, match="did not end"):
            rerun(tmp_path / "run")
        ModelTrainer(tagger(corpus), corpus).train(tmp_path / "run", **OPTIONS)
        with pytest.raises(TrainingError, match="the folder of the run itself"):
            rerun(tmp_path / "run", tmp_path / "run")
