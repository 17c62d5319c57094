"""What is not a sentence or a valid setting is refused with a remedy; what can be converted gives the right result."""

from __future__ import annotations

import copy
import enum
import logging
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sentences import tagged

import flairlite
from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import DocumentPoolEmbeddings, OneHotEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import FlairliteError, LabelError, SettingError
from flairlite.models import DefaultClassifier, Model, SequenceTagger, TextClassifier, TokenClassifier, inference
from flairlite.tasks import WordTask
from flairlite.tokenization import SpaceTokenizer, StaccatoTokenizer
from flairlite.trainers import ModelTrainer

VECTORS = WordVectors(["in", "Berlin"], np.eye(2))
WORDS = WordEmbeddings(VECTORS)
TEXTS = DocumentPoolEmbeddings(WORDS)
LABELS = Dictionary.from_items(["X", "Y"])


def make_tagger(**options: Any) -> SequenceTagger:
    settings = {"embeddings": WORDS, "tag_dictionary": LABELS, "tag_type": "pos", "hidden_size": 2, **options}
    return SequenceTagger(**settings)


def make_token_classifier(**options: Any) -> TokenClassifier:
    return TokenClassifier(**{"embeddings": WORDS, "label_dictionary": LABELS, "label_type": "pos", **options})


def make_text_classifier(**options: Any) -> TextClassifier:
    return TextClassifier(**{"embeddings": TEXTS, "label_dictionary": LABELS, "label_type": "topic", **options})


MODELS: dict[str, Callable[..., Model]] = {
    "tagger": make_tagger,
    "words": make_token_classifier,
    "texts": make_text_classifier,
}


@pytest.fixture(params=MODELS)
def make(request: pytest.FixtureRequest) -> Callable[..., Model]:
    return MODELS[request.param]


class TestSettings:
    @pytest.mark.parametrize(
        "value", [None, ["X", "Y"], {"X"}, ("X",), {}, {"X": 0}, "X", 3, Corpus([]), np.array(["X"])], ids=repr
    )
    def test_what_is_not_a_dictionary_is_refused_with_the_remedy(self, value: Any, make: Callable[..., Model]) -> None:
        name = "tag_dictionary" if make is make_tagger else "label_dictionary"
        with pytest.raises(SettingError, match=rf"{name} must be a Dictionary, not .*make_label_dictionary") as caught:
            make(**{name: value})
        assert ("Dictionary.from_items" in str(caught.value)) == isinstance(value, (list, tuple, set))

    def test_a_dictionary_without_labels_is_refused(self, make: Callable[..., Model]) -> None:
        name = "tag_dictionary" if make is make_tagger else "label_dictionary"
        for dictionary in (Dictionary(), Dictionary(add_unk=False)):
            with pytest.raises(LabelError, match="make_label_dictionary"):
                make(**{name: dictionary})

    @pytest.mark.parametrize("value", [None, "", 3, b"pos", ["pos"], LABELS], ids=str)
    def test_a_label_type_is_a_string(self, value: Any, make: Callable[..., Model]) -> None:
        name = "tag_type" if make is make_tagger else "label_type"
        with pytest.raises(SettingError, match=f"{name} must be a string"):
            make(**{name: value})

    @pytest.mark.parametrize("value", [None, "glove", 3, [], [WORDS], (WORDS, WORDS), VECTORS, WordEmbeddings])
    def test_what_is_not_embeddings_is_refused_with_the_remedy(self, value: Any, make: Callable[..., Model]) -> None:
        with pytest.raises(SettingError, match=r"needs embeddings of \w+, not") as caught:
            make(embeddings=value)
        if isinstance(value, (list, tuple)) and value:
            joined = "DocumentPoolEmbeddings" if make is make_text_classifier else "StackedEmbeddings"
            assert f"{joined}([...])" in str(caught.value)

    def test_embeddings_of_the_other_kind_are_refused(self) -> None:
        with pytest.raises(SettingError, match="SequenceTagger needs embeddings of words, not DocumentPoolEmbeddings"):
            make_tagger(embeddings=TEXTS)
        with pytest.raises(SettingError, match="needs embeddings of sentences, not WordEmbeddings: wrap"):
            make_text_classifier(embeddings=WORDS)

    @pytest.mark.parametrize("name", ["hidden_size", "rnn_layers"])
    @pytest.mark.parametrize("value", ["256", 4.5, 0, -1, None, True, math.nan, [4]], ids=repr)
    def test_a_size_is_an_integer_of_at_least_1(self, name: str, value: Any) -> None:
        with pytest.raises(SettingError, match=rf"{name} must be (a whole number|at least 1); it is"):
            make_tagger(**{name: value})

    @pytest.mark.parametrize("name", ["dropout", "word_dropout", "locked_dropout"])
    @pytest.mark.parametrize("value", [2, 1, -0.1, "0.5", None, math.nan, math.inf, True, [0.5]], ids=repr)
    def test_a_dropout_rate_is_from_0_to_below_1(self, name: str, value: Any, make: Callable[..., Model]) -> None:
        with pytest.raises(SettingError, match=rf"{name} must be (a number|at least 0 and below 1); it is"):
            make(**{name: value})

    @pytest.mark.parametrize(
        "value",
        [["X"], "X", 3, {"X": "2"}, {"X": None}, {"X": -1}, {"X": math.nan}, {"X": math.inf}],
        ids=repr,
    )
    def test_loss_weights_are_a_mapping_to_numbers(self, value: Any, make: Callable[..., Model]) -> None:
        options = {"use_crf": False} if make is make_tagger else {}
        with pytest.raises(SettingError, match=r"loss_weights.* must be"):
            make(loss_weights=value, **options)

    def test_a_model_whose_labels_all_have_the_weight_0_can_be_loaded_but_not_trained(
        self, make: Callable[..., Model], tmp_path: Path
    ) -> None:
        options = {"use_crf": False} if make is make_tagger else {}
        make(loss_weights={"X": 0, "Y": 0}, **options).save(tmp_path / "model.pt")
        model = Model.load(tmp_path / "model.pt")
        sentence = Sentence(["Berlin"]).set_token_labels("pos", ["X"]).set_sentence_labels("topic", ["X"])
        with pytest.raises(SettingError, match="the model learns no label: all have the weight 0"):
            ModelTrainer(model, Corpus([sentence])).train(tmp_path / "run", max_epochs=1)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rnn_type": "CNN"}, "rnn_type must be one of LSTM, GRU, RNN, not 'CNN'"),
            ({"rnn_type": None}, "rnn_type must be one of"),
            ({"tag_format": None}, "tag_format must be a string"),
            ({"rnn": torch.nn.Linear(2, 2)}, "rnn must be an LSTM, GRU or RNN of torch.nn, not a Linear"),
            ({"rnn": "LSTM"}, "rnn must be an LSTM"),
        ],
    )
    def test_settings_of_the_network(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(SettingError, match=message):
            make_tagger(**options)

    @pytest.mark.parametrize("value", ["False", "no", 0, 1, None, math.nan, [True], torch.ones(1)], ids=repr)
    def test_flags_are_true_or_false(self, value: Any) -> None:
        names = ("use_rnn", "use_crf", "bidirectional", "reproject_embeddings", "train_initial_hidden_state")
        for name in (*names, "rnn_residual", "allow_unk_predictions"):
            with pytest.raises(SettingError, match=f"{name} must be True or False; it is"):
                make_tagger(**{name: value})
        if value is not None:
            with pytest.raises(SettingError, match="multi_label must be True or False"):
                make_text_classifier(multi_label=value)
        tagger = make_tagger()
        for name in ("return_probabilities_for_all_classes", "return_loss", "force_token_predictions"):
            with pytest.raises(SettingError, match=f"{name} must be True or False"):
                tagger.predict("in", **{name: value})
        with pytest.raises(SettingError, match="return_loss must be True or False"):
            tagger.evaluate([tagged("in/X")], return_loss=value)
        assert make_tagger(use_crf=np.bool_(False)).crf is None

    @pytest.mark.parametrize("value", ["1", 1.5, math.nan, True, 2**64, b"1", [1]], ids=repr)
    def test_a_seed_is_an_integer(self, value: Any, make: Callable[..., Model]) -> None:
        for use in (lambda: make(seed=value), lambda: flairlite.set_seed(value)):
            with pytest.raises(SettingError, match="a seed must be"):
                use()
        with pytest.raises(SettingError, match="default seed must be an integer"):
            flairlite.set_seed(None)  # type: ignore[arg-type]
        weights = [dict(make(seed=seed).named_parameters()) for seed in (3, np.int64(3), torch.tensor(3))]
        assert all(torch.equal(weights[0][name], other[name]) for other in weights for name in other)

    def test_members_of_enumerations_are_their_values(self, tmp_path: Path) -> None:
        class Name(str, enum.Enum):
            TYPE = "pos"
            NETWORK = "GRU"
            LABEL = "X"

        dictionary = Dictionary.from_items([Name.LABEL, "Y"])
        tagger = make_tagger(tag_dictionary=dictionary, tag_type=Name.TYPE, rnn_type=Name.NETWORK)
        tagger.save(tmp_path / "model.pt")
        for model in (tagger, Model.load(tmp_path / "model.pt")):
            assert (model.label_type, model.settings()["rnn_type"]) == ("pos", "GRU")
            assert model.label_names == ("X", "Y")
            assert model.predict("in", label_name=Name.LABEL).label_types() == ["X"]

    def test_the_task_of_a_classifier_is_checked(self) -> None:
        task: Any = "pos"
        with pytest.raises(SettingError, match=r"task must be a Task, .*not a str"):
            DefaultModel(WORDS, task, LABELS)
        assert DefaultModel(WORDS, WordTask("pos", ["X", "Y"]), LABELS).label_type == "pos"

    def test_numbers_of_numpy_are_numbers(self, tmp_path: Path) -> None:
        tagger = make_tagger(
            hidden_size=np.int64(3), rnn_layers=np.int32(2), dropout=np.float32(0.25), word_dropout=Fraction(1, 2)
        )
        same = make_tagger(hidden_size=3, rnn_layers=2, dropout=0.25, word_dropout=0.5)
        assert tagger.settings() == same.settings()
        tagger.save(tmp_path / "model.pt")
        assert Model.load(tmp_path / "model.pt").settings() == same.settings()


class DefaultModel(DefaultClassifier):
    """A classifier of the user's own."""

    @classmethod
    def from_settings(cls, settings: dict[str, Any], embeddings: Any) -> DefaultModel:
        raise NotImplementedError


class Frame:
    """Iterates over the names of its columns, as a DataFrame does."""

    def __iter__(self) -> Any:
        return iter(["text", "label"])

    def iterrows(self) -> Any:
        return iter(())


NOT_SENTENCES = [
    (None, "NoneType"),
    (b"in Berlin", "bytes; decode|bytes.*decode"),
    (5, "int"),
    (math.nan, "float"),
    (Path("texts.txt"), "Path"),
    ({"text": "in Berlin"}, "dictionary: give a list"),
    (Corpus([]), r"Corpus: give one of its splits, as corpus\.test"),
    (Frame(), r"Frame: give the column .*frame\['text'\]"),
    (np.array("in Berlin"), "ndarray"),
    (Sentence(["in"])[0], "Token"),
    (SimpleNamespace(text="in"), "SimpleNamespace"),
]


class TestSentences:
    @pytest.mark.parametrize(("value", "message"), NOT_SENTENCES, ids=lambda value: str(value)[:20])
    @pytest.mark.parametrize("method", ["predict", "predict_stream", "n_best", "evaluate", "forward_loss"])
    def test_what_is_not_sentences_is_refused_at_once(self, method: str, value: Any, message: str) -> None:
        if method == "evaluate" and isinstance(value, (Path, bytes)):
            pytest.skip("evaluate takes the path of a file")
        with pytest.raises(SettingError, match=message):
            getattr(make_tagger(), method)(value)

    @pytest.mark.parametrize(
        "item", [None, b"in", 5, math.nan, ["in", "Berlin"], {"text": "in"}, ("in", {"entities": []}), Path("in")]
    )
    def test_an_item_that_is_not_a_sentence_is_refused(self, item: Any) -> None:
        for method in ("predict", "n_best", "evaluate"):
            with pytest.raises(SettingError, match=f"got a {type(item).__name__}"):
                getattr(make_tagger(), method)([item])
        with pytest.raises(SettingError, match="got a str"):
            make_tagger().evaluate([Sentence("in Berlin"), "in Berlin"])  # type: ignore[list-item]

    @pytest.mark.parametrize(
        "collect",
        [
            list,
            tuple,
            set,
            iter,
            dict.fromkeys,
            lambda texts: (text for text in texts),
            lambda texts: np.array(texts),
            lambda texts: np.array(texts, dtype=object),
            lambda texts: [np.str_(text) for text in texts],
        ],
    )
    def test_any_collection_of_texts_is_predicted(self, collect: Callable[[list[str]], Any]) -> None:
        texts = ["in Berlin", "Berlin"]
        given = collect(texts)
        if isinstance(given, dict):
            given = given.keys()
        predicted = make_tagger().predict(given)
        assert sorted(sentence.text for sentence in predicted) == sorted(texts)
        assert all(len(sentence.get_labels("pos")) == len(sentence) for sentence in predicted)

    def test_a_series_of_pandas_is_predicted_and_a_frame_is_not(self) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"text": ["in Berlin", "Berlin"], "label": ["a", "b"]})
        assert [len(sentence) for sentence in make_tagger().predict(frame["text"])] == [2, 1]
        with pytest.raises(SettingError, match="DataFrame: give the column"):
            make_tagger().predict(frame)
        with pytest.raises(SettingError, match="got a float: nan"):
            make_tagger().predict(pandas.Series(["in", math.nan], dtype=object))

    @pytest.mark.parametrize("size", [0, -1, 4.5, "32", None, True, math.nan, [3]], ids=repr)
    def test_a_batch_size_is_an_integer_of_at_least_1(self, size: Any) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: make_tagger().predict("in", mini_batch_size=size),
            lambda: make_tagger().predict([], size),
            lambda: make_tagger().predict_stream(["in"], size),
            lambda: make_tagger().n_best("in", 2, size),
            lambda: make_tagger().evaluate([tagged("in/X")], mini_batch_size=size),
        ]
        for call in calls:
            with pytest.raises(SettingError, match=r"mini_batch_size must be (a whole number|at least 1); it is"):
                call()
        with pytest.raises(SettingError, match=r"n must be (a whole number|at least 1)"):
            make_tagger().n_best("in", size)

    @pytest.mark.parametrize("name", ["", 3, ["pos"]])
    def test_a_label_name_is_a_string(self, name: Any) -> None:
        with pytest.raises(SettingError, match="label_name must be a string"):
            make_tagger().predict("in", label_name=name)
        with pytest.raises(SettingError, match="gold_label_type must be a string"):
            make_tagger().evaluate([tagged("in/X")], gold_label_type=name)

    def test_evaluate_without_sentences_or_file(self, tmp_path: Path) -> None:
        for nothing in ([], iter(()), [Sentence("")]):
            with pytest.raises(LabelError):
                make_tagger().evaluate(nothing)
        for path in ("missing.txt", tmp_path / "missing.conllu", b"missing.txt"):
            with pytest.raises(FlairliteError, match="missing"):
                make_tagger().evaluate(path)  # type: ignore[arg-type]

    def test_one_excluded_label_may_be_given_as_a_string(self) -> None:
        sentences = [tagged("in/X Berlin/Y"), tagged("Berlin/Y")]
        expected = make_tagger().evaluate(sentences, exclude_labels=["X"])
        assert make_tagger().evaluate(sentences, exclude_labels="X").detailed_results == expected.detailed_results

    @pytest.mark.parametrize("value", [3, [3], [None], {"X": 1}, b"X"], ids=repr)
    def test_excluded_labels_are_strings(self, value: Any) -> None:
        with pytest.raises(SettingError, match="exclude_labels must be a list of strings"):
            make_tagger().evaluate([tagged("in/X")], exclude_labels=value)

    def test_a_large_number_of_labelings_allocates_only_those_that_exist(self) -> None:
        labelings = make_tagger().n_best(["in Berlin", "", "in"], 10**12)
        assert [len(found) for found in labelings] == [4, 1, 2]

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_a_model_whose_weights_are_not_finite_predicts_and_evaluates_nothing(
        self, value: float, make: Callable[..., Model]
    ) -> None:
        model = make()
        with torch.no_grad():
            (model.decoder if make is not make_tagger else model.linear).weight.fill_(value)
        for use in (model.predict, model.evaluate):
            with pytest.raises(LabelError, match="its weights or the vectors of its words contain NaN"):
                use([tagged("in/X Berlin/Y").add_label("topic", "X")])

    def test_paths_may_begin_with_the_home_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        tagger = make_tagger(tag_type="upos")
        tagger.save("~/model.pt")
        (tmp_path / "a.conllu").write_text("1\tin\t_\tX\t_\t_\t0\troot\t_\t_\n\n", encoding="utf-8")
        tagger = SequenceTagger.load("~/model.pt")
        tagger.evaluate("~/a.conllu", out_path="~/out.txt")
        assert (tmp_path / "out.txt").read_text(encoding="utf-8").startswith("in\tX\t")

    @pytest.mark.parametrize("device", ["cuda:99", "mps:99", "gpu", "", 3.5, "xpu:99"])
    def test_a_device_that_the_machine_lacks_is_refused(self, device: Any, tmp_path: Path) -> None:
        make_tagger().save(tmp_path / "model.pt")
        with pytest.raises(SettingError, match=r"is not available|is not a device"):
            Model.load(tmp_path / "model.pt", device=device)
        with pytest.raises(SettingError, match=r"is not available|is not a device"):
            flairlite.device = device


class TestGoldLabels:
    """Gold labels that predictions replace are no longer there to compare with, which is never said too late."""

    def test_a_warning_counts_the_sentences_whose_gold_labels_are_replaced(
        self, make: Callable[..., Model], caplog: pytest.LogCaptureFixture
    ) -> None:
        model = make()
        sentences = [tagged("in/X Berlin/Y").add_label("topic", "X") for _ in range(3)] + [Sentence("in"), Sentence("")]
        model.predict(sentences, label_name="predicted")
        assert not caplog.text
        model.predict(sentences)
        (record,) = caplog.records
        assert f"replaces the '{model.label_type}' labels of 3 sentences" in record.getMessage()
        caplog.clear()
        model.predict(sentences)  # predictions are replaced
        model.predict(sentences, label_name="predicted")
        assert not caplog.text

    def test_labels_of_which_the_model_is_certain_are_replaced_with_a_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        tagger = make_tagger(tag_dictionary=Dictionary.from_items(["X"]))  # all predictions have the score 1
        list(tagger.predict_stream([tagged("in/Y Berlin/Y")]))
        assert "replaces the 'pos' labels of 1 sentences" in caplog.text

    def test_labels_of_words_that_the_tokenizer_changes_are_gold_labels_too(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        tagger = make_tagger()
        tagger.tokenizer = StaccatoTokenizer()
        sentence = Sentence("in-Berlin x", use_tokenizer=SpaceTokenizer()).set_token_labels("pos", ["X", "Y"])
        tagger.predict(sentence)
        assert "replaces the 'pos' labels of 1 sentences" in caplog.text

    def test_evaluation_warns_of_no_loss(self, caplog: pytest.LogCaptureFixture) -> None:
        sentences = [tagged("in/X Berlin/Y")]
        make_tagger().evaluate(sentences)
        assert sentences[0].token_labels("pos") == ["X", "Y"]
        assert not caplog.text


class TestTokenizers:
    def test_labels_stay_where_the_words_are_the_same(self, caplog: pytest.LogCaptureFixture) -> None:
        tagger = make_tagger()
        tagger.tokenizer = StaccatoTokenizer()
        sentence = Sentence("in Berlin", use_tokenizer=SpaceTokenizer()).set_token_labels("upos", ["ADP", "PROPN"])
        sentence.add_label("topic", "travel")
        sentence[0:2].add_label("ner", "LOC")
        sentence[1].set_embedding("mine", torch.ones(2))
        before = [(label.typename, label.value) for label in sentence.get_labels()]
        for _ in range(2):
            tagger.predict(sentence, label_name="predicted")
        assert [(name, value) for name, value in labels_of(sentence) if name != "predicted"] == before
        assert sentence[1].get_embedding(["mine"]).tolist() == [1, 1]
        assert not caplog.text

    def test_labels_that_are_lost_are_counted_in_one_warning_per_call(self, caplog: pytest.LogCaptureFixture) -> None:
        tagger = make_tagger()
        tagger.tokenizer = StaccatoTokenizer()
        sentences = [
            Sentence("in Berlin.", use_tokenizer=SpaceTokenizer()).set_token_labels("upos", ["ADP", None]),
            Sentence("in Berlin", use_tokenizer=SpaceTokenizer()).set_token_labels("upos", ["ADP", "PROPN"]),
            Sentence("Berlin.", use_tokenizer=SpaceTokenizer()).set_token_labels("pos", ["X"]),
            Sentence("a.b c.d", use_tokenizer=SpaceTokenizer()).set_token_labels("lemma", ["a", "c"]),
        ]
        with caplog.at_level(logging.WARNING, logger="flairlite"):
            tagger.predict(sentences)
        replaced, lost = (record.getMessage() for record in caplog.records)
        assert "replaces the 'pos' labels of 1 sentences" in replaced
        assert "split 2 sentences into other words, so 3 labels of their words and spans are lost" in lost
        assert [sentence.words[-1] for sentence in sentences] == [".", "Berlin", ".", "d"]
        assert sentences[1].token_labels("upos") == ["ADP", "PROPN"]

    def test_n_best_leaves_sentences_as_they_are(self) -> None:
        tagger = make_tagger()
        for tokenizer in (None, SpaceTokenizer(), StaccatoTokenizer()):
            tagger.tokenizer = tokenizer
            sentence = Sentence("in Berlin.", use_tokenizer=SpaceTokenizer()).set_token_labels("upos", ["ADP", "PROPN"])
            fresh = Sentence("in Berlin.", use_tokenizer=SpaceTokenizer())
            before = copy.deepcopy(sentence).to_dict()
            found = tagger.n_best([sentence, fresh, "in Berlin."], 2)
            assert sentence.to_dict() == before
            assert fresh.words == ["in", "Berlin."]
            num_words = 3 if isinstance(tokenizer, StaccatoTokenizer) else 2
            assert [len(hypotheses[0].tags) for hypotheses in found[:2]] == [num_words] * 2

    def test_n_best_of_many_sentences_is_that_of_each(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tagger = make_tagger()
        texts = ["in", "in Berlin", "Berlin in", "", "Berlin in Berlin"]
        expected = [tagger.n_best(text, 3) for text in texts]
        monkeypatch.setattr(inference, "_GROUP_TOKENS", 1)  # each batch is decoded for itself
        found = tagger.n_best(texts, 3, 1)
        for labelings, twins in zip(expected, found, strict=True):
            assert [twin.tags for twin in twins] == [labeling.tags for labeling in labelings]
            np.testing.assert_allclose(*([one.probability for one in each] for each in (labelings, twins)), rtol=1e-5)

    def test_n_best_sees_the_labels_that_embeddings_need(self) -> None:
        sentences = [tagged("in/ADP Berlin/PROPN", "upos")]
        embeddings = OneHotEmbeddings.from_corpus(Corpus(sentences), "upos", min_freq=1)
        tagger = make_tagger(embeddings=embeddings, seed=1)
        expected = tagger.n_best(sentences, 2)
        tagger.tokenizer = StaccatoTokenizer()
        assert tagger.n_best(sentences, 2) == expected

    @pytest.mark.parametrize("tokenizer", ["space", str.split, SpaceTokenizer])
    def test_what_is_not_a_tokenizer_is_refused(self, tokenizer: Any) -> None:
        tagger = make_tagger()
        with pytest.raises(SettingError, match=r"model\.tokenizer must be a Tokenizer"):
            tagger.tokenizer = tokenizer


def labels_of(sentence: Sentence) -> list[tuple[str | None, str]]:
    return [(label.typename, label.value) for label in sentence.get_labels()]
