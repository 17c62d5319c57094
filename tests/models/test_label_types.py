"""Several label types in one tagger: each head behaves as that of a tagger of this type alone, over one network."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from devices import needs_bfloat16
from torch import Tensor

from flairlite.data import Corpus, Dictionary, MultiCorpus, Sentence
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import LabelError, SettingError
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

WORDS = [f"w{number}" for number in range(20)]
VALUES = {"upos": ["A", "B", "C"], "xpos": ["A1", "A2", "B1", "C1"]}


@pytest.fixture(scope="module")
def embeddings() -> WordEmbeddings:
    return WordEmbeddings(WordVectors(WORDS, np.random.default_rng(0).standard_normal((len(WORDS), 8))))


def dictionaries() -> dict[str, Dictionary]:
    found = {name: Dictionary.from_items(["<unk>", *values]) for name, values in VALUES.items()}
    found["ner"] = Dictionary.from_items(["<unk>", "X", "Y"])
    found["ner"].span_labels = True
    return found


def make_tagger(embeddings: WordEmbeddings, main: str = "upos", **options: Any) -> SequenceTagger:
    """Make a small tagger of words (with a CRF), of words without, and of spans; without dropout."""
    defaults = {"hidden_size": 6, "word_dropout": 0.0, "locked_dropout": 0.0, "seed": 3, "use_crf": {"xpos": False}}
    return SequenceTagger(embeddings, dictionaries(), main, **{**defaults, **options})


def make_single(tagger: SequenceTagger, label_type: str, **options: Any) -> SequenceTagger:
    """Make a tagger of one of the label types with the weights that a tagger of several has for it."""
    use_crf = label_type != "xpos"
    defaults = {"hidden_size": 6, "word_dropout": 0.0, "locked_dropout": 0.0, "use_crf": use_crf}
    single = SequenceTagger(
        tagger.embeddings,  # type: ignore[arg-type]
        dictionaries()[label_type],
        label_type,
        **{**defaults, **options},  # type: ignore[arg-type]
    )
    state = tagger.state_dict()
    if label_type != tagger.label_type:
        prefix = f"other_heads.{tagger.label_types.index(label_type) - 1}."
        state = {name: weight for name, weight in state.items() if not name.startswith(("linear.", "crf."))}
        state = {name.removeprefix(prefix): weight for name, weight in state.items()}
    single.load_state_dict({name: weight for name, weight in state.items() if not name.startswith("other_heads.")})
    return single.eval()


def make_sentences(
    lengths: Sequence[int], *, seed: int = 0, types: Sequence[str] = ("upos", "xpos", "ner")
) -> list[Sentence]:
    draw = np.random.default_rng(seed)
    sentences = []
    for length in lengths:
        sentence = Sentence(draw.choice(WORDS, length).tolist())
        for name, values in VALUES.items():
            if name in types:
                sentence.set_token_labels(name, draw.choice(values, length).tolist())
        if "ner" in types:
            sentence.set_span_labels("ner", [(0, min(2, length), "X")])
        sentences.append(sentence)
    return sentences


def gradients(tagger: SequenceTagger, sentences: Sequence[Sentence]) -> dict[str, Tensor]:
    tagger.train().zero_grad()
    torch.autograd.backward(tagger.forward_loss(sentences)[0])
    return {name: weight.grad.clone() for name, weight in tagger.named_parameters() if weight.grad is not None}


class TestConstruction:
    def test_a_mapping_with_one_type_makes_the_same_tagger_as_its_dictionary(self, embeddings: WordEmbeddings) -> None:
        plain = SequenceTagger(embeddings, dictionaries()["upos"], "upos", hidden_size=6, seed=1)
        mapped = SequenceTagger(embeddings, {"upos": dictionaries()["upos"]}, "upos", hidden_size=6, seed=1)
        assert mapped.settings() == plain.settings()
        assert str(mapped) == str(plain)
        for name, weight in plain.state_dict().items():
            assert torch.equal(mapped.state_dict()[name], weight)

    def test_further_types_do_not_change_the_weights_of_network_and_main_head(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings)
        alone = SequenceTagger(embeddings, dictionaries()["upos"], "upos", hidden_size=6, seed=3)
        for name, weight in alone.state_dict().items():
            assert torch.equal(tagger.state_dict()[name], weight)

    def test_the_main_type_comes_first(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, "ner")
        assert tagger.label_types == ("ner", "upos", "xpos")
        assert (tagger.label_type, tagger.tag_type, tagger.label_names) == ("ner", "ner", ("X", "Y"))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"tag_type": "pos"}, "tag_type .* upos, xpos, ner; it is 'pos'"),
            ({"tag_dictionary": {}}, "tag_dictionary must be a Dictionary, not a dict: make one with"),
            ({"tag_dictionary": {"upos": Dictionary.from_items(["A"]), "xpos": ["A"]}}, r"tag_dictionary\['xpos'\]"),
            ({"tag_dictionary": {"upos": Dictionary.from_items(["A"]), 3: Dictionary()}}, "label type in tag_dict"),
            ({"head_weights": {"pos": 1.0}}, "head_weights names pos, but the label types .* upos, xpos, ner"),
            ({"head_weights": {"xpos": -1.0}}, r"head_weights\['xpos'\] must be at least 0"),
            ({"head_weights": 0.5}, "head_weights must map label types"),
            ({"use_crf": {"pos": True}}, "use_crf names pos"),
            ({"use_crf": {"xpos": "no"}}, "use_crf must be True or False"),
            ({"loss_weights": {"A": 2.0}}, "loss_weights names A, but the label types"),
            ({"loss_weights": {"upos": {"A": 2.0}}}, "a CRF scores sequences"),
            ({"soft_labels": {"pos": "teacher"}}, "soft_labels names pos"),
            ({"soft_labels": {"ner": "teacher"}}, "soft_labels cannot be combined with a CRF over spans"),
            ({"label_smoothing": 0.1}, "label_smoothing cannot be combined with a CRF over spans"),
            ({"label_smoothing": 1.0}, "label_smoothing must be"),
            ({"distillation_weight": 1.5}, "distillation_weight must be at most 1"),
            ({"distillation_temperature": 0}, "distillation_temperature must be above 0"),
        ],
        ids=str,
    )
    def test_what_makes_no_sense_is_refused(
        self, options: dict[str, Any], message: str, embeddings: WordEmbeddings
    ) -> None:
        arguments = {"tag_dictionary": dictionaries(), "tag_type": "upos", "use_crf": {"xpos": False}, **options}
        with pytest.raises(SettingError, match=message):
            SequenceTagger(embeddings, **arguments)

    def test_an_empty_dictionary_and_a_weight_of_an_unknown_label_name_the_type(
        self, embeddings: WordEmbeddings
    ) -> None:
        with pytest.raises(LabelError, match="label type 'xpos': the dictionary has no label"):
            SequenceTagger(embeddings, {**dictionaries(), "xpos": Dictionary()}, "upos")
        with pytest.raises(LabelError, match="loss_weights name Z"):
            make_tagger(embeddings, loss_weights={"xpos": {"Z": 2.0}})


class TestLoss:
    def test_it_is_the_weighted_sum_of_the_losses_of_single_taggers(self, embeddings: WordEmbeddings) -> None:
        weights = {"xpos": 0.5, "ner": 3.0}
        label_weights = {"A1": 2.0}
        tagger = make_tagger(embeddings, head_weights=weights, loss_weights={"xpos": label_weights})
        sentences = make_sentences([3, 1, 6])
        expected = 0.0
        for name in tagger.label_types:
            options = {"loss_weights": label_weights} if name == "xpos" else {}
            loss = make_single(tagger, name, **options).forward_loss(sentences)[0]
            expected += weights.get(name, 1.0) * loss.item()
        loss, count = tagger.eval().forward_loss(sentences)
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        assert count == 10
        predicted, predicted_count = tagger.predict(copy.deepcopy(sentences), return_loss=True)
        assert (float(predicted), predicted_count) == (pytest.approx(expected, rel=1e-5), 10)

    def test_words_with_labels_of_different_types_are_counted_like_in_training(
        self, embeddings: WordEmbeddings
    ) -> None:
        tagger = SequenceTagger(embeddings, {name: dictionaries()[name] for name in VALUES}, "upos", hidden_size=6)
        sentences = [*make_sentences([3, 4], types=["upos"]), *make_sentences([5], types=["xpos"])]
        loss, count = tagger.eval().forward_loss(sentences)
        found, found_count = tagger.predict(copy.deepcopy(sentences), return_loss=True)
        assert float(found) == pytest.approx(loss.item(), rel=1e-5)
        assert found_count == count == 12
        for name, number in (("upos", 7), ("xpos", 5)):
            assert tagger.predict(copy.deepcopy(sentences), return_loss=True, label_types=name)[1] == number

    def test_the_network_runs_once_for_all_types(
        self, embeddings: WordEmbeddings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tagger = make_tagger(embeddings)
        calls: list[int] = []
        assert tagger.rnn is not None
        tagger.rnn.register_forward_hook(lambda *_: calls.append(1))
        tagger.forward_loss(make_sentences([3, 4]))
        assert calls == [1]
        tagger.predict([Sentence(["w1", "w2"]), Sentence(["w3"])])
        assert calls == [1, 1]

    def test_a_type_without_labels_in_a_batch_learns_nothing(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings)
        tagger.drop_heads("ner")
        found = gradients(tagger, make_sentences([3, 4], types=["xpos"]))
        assert not any(found[name].any() for name in ("linear.weight", "linear.bias"))
        assert "crf.transitions" not in found
        alone = gradients(make_single(tagger, "xpos").train(), make_sentences([3, 4], types=["xpos"]))
        for name, gradient in alone.items():
            twin = name if name.startswith(("rnn", "reprojection")) else f"other_heads.0.{name}"
            assert torch.allclose(found[twin], gradient, atol=1e-6), name

    def test_sentences_and_words_without_a_label_of_a_type_teach_its_head_nothing(
        self, embeddings: WordEmbeddings
    ) -> None:
        tagger = make_tagger(embeddings)
        both = make_sentences([3, 5])
        only_upos = make_sentences([4], types=["upos"], seed=1)
        mixed = gradients(tagger, [*both, *only_upos])
        expected = gradients(tagger, both)
        for name, gradient in expected.items():
            if name.startswith("other_heads.0."):  # of xpos
                assert torch.allclose(mixed[name], gradient, atol=1e-5), name
        assert not torch.allclose(mixed["linear.weight"], expected["linear.weight"], atol=1e-3)

    def test_without_any_label_the_loss_is_0_and_can_be_differentiated(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, use_crf=False)
        tagger.drop_heads("ner")
        loss, count = tagger.forward_loss(make_sentences([3], types=[]))
        torch.autograd.backward(loss)
        assert (loss.item(), count) == (0.0, 0)

    def test_a_sentence_counts_with_the_type_of_which_it_has_the_most_labels(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings)
        tagger.drop_heads("ner")
        sentences = make_sentences([3], types=["upos"]) + make_sentences([4], types=["xpos"])
        assert tagger.forward_loss(sentences)[1] == 7


class TestPrediction:
    def test_each_type_is_predicted_as_by_a_single_tagger(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings).eval()
        texts = [Sentence(sentence.words) for sentence in make_sentences([1, 7, 3, 2, 5])]
        expected = copy.deepcopy(texts)
        for name in tagger.label_types:
            make_single(tagger, name).predict(expected)
        for sentence, other in zip(tagger.predict(texts, mini_batch_size=2), expected, strict=True):
            for name in tagger.label_types:
                pairs = zip(sentence.get_labels(name), other.get_labels(name), strict=True)
                for label, wanted in pairs:
                    assert (label.value, label.unlabeled_identifier) == (wanted.value, wanted.unlabeled_identifier)
                    assert label.score == pytest.approx(wanted.score, abs=1e-4)

    def test_one_sentence_at_a_time_and_a_stream_give_the_same(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings).eval()
        texts = [sentence.words for sentence in make_sentences([4, 1, 6])]
        together = tagger.predict(list(map(Sentence, texts)))
        alone = [tagger.predict(Sentence(words)) for words in texts]
        stream = list(tagger.predict_stream(map(Sentence, texts)))
        shown = [[sentence.to_tagged_string() for sentence in each] for each in (together, alone, stream)]
        assert shown[0] == shown[1] == shown[2]
        assert all(sentence.has_label("upos") and sentence.has_label("xpos") for sentence in together)

    def test_only_the_requested_types_are_written(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings)
        sentence = tagger.predict(Sentence(["w1", "w2"]), label_types=["xpos", "ner"])
        assert not sentence.has_label("upos")
        assert sentence.has_label("xpos")
        renamed = tagger.predict(Sentence(["w1", "w2"]), label_types="xpos", label_name="found")
        assert renamed.label_types() == ["found"]
        assert [label.value for label in renamed.get_labels("found")] == [
            label.value for label in sentence.get_labels("xpos")
        ]
        assert next(tagger.predict_stream([Sentence(["w1"])], label_types="upos")).label_types() == ["upos"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"label_name": "found"}, "label_name renames one label type, but the model predicts upos, xpos, ner"),
            ({"label_types": "pos"}, "label_types must be among upos, xpos, ner"),
            ({"label_types": []}, "label_types must be among"),
            ({"label_types": 3}, "label_types must be a list of strings"),
        ],
        ids=str,
    )
    def test_unknown_types_and_an_ambiguous_name_are_refused(
        self, options: dict[str, Any], message: str, embeddings: WordEmbeddings
    ) -> None:
        with pytest.raises(SettingError, match=message):
            make_tagger(embeddings).predict(Sentence(["w1"]), **options)

    def test_words_have_distributions_of_all_types(self, embeddings: WordEmbeddings) -> None:
        sentence = make_tagger(embeddings).predict(Sentence(["w1", "w2"]), return_probabilities_for_all_classes=True)
        sizes = {name: len(labels) for name, labels in sentence[0].tags_proba_dist.items()}
        assert sizes == {"upos": 3, "xpos": 4, "ner": 9}
        for labels in sentence[1].tags_proba_dist.values():
            assert sum(label.score for label in labels) == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("label_type", ["upos", "xpos", "ner"])
    def test_n_best_labelings_are_those_of_a_single_tagger(self, label_type: str, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings).eval()
        sentence = Sentence(["w1", "w2", "w3"])
        expected = make_single(tagger, label_type).n_best(sentence, n=3)
        found = tagger.n_best(sentence, n=3, label_type=label_type)
        assert [each.tags for each in found] == [each.tags for each in expected]
        assert [each.probability for each in found] == pytest.approx([each.probability for each in expected], abs=1e-5)
        if label_type == "upos":
            assert tagger.n_best(sentence, n=3) == found
        with pytest.raises(SettingError, match="a string such as 'upos'"):
            tagger.n_best(sentence, label_type=[label_type, "upos"])  # type: ignore[call-overload]

    def test_gold_labels_that_are_replaced_are_reported_with_all_types(
        self, embeddings: WordEmbeddings, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_tagger(embeddings).predict(make_sentences([2, 3], types=["xpos"]))
        assert "replaces the 'upos' and 'xpos' and 'ner' labels of 2 sentences" in caplog.text

    @needs_bfloat16
    def test_bfloat16_predicts_all_types(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings).bfloat16()
        sentence = tagger.predict(Sentence(["w1", "w2", "w3"]))
        assert all(0 < label.score <= 1 for label in sentence.get_labels("xpos"))
        assert sentence.has_label("upos")


class TestEvaluation:
    def test_each_type_has_the_scores_of_a_single_tagger(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        tagger = make_tagger(embeddings).eval()
        sentences = make_sentences([3, 1, 6, 4])
        result = tagger.evaluate(sentences, out_path=tmp_path / "rows.tsv")
        assert list(result.by_type) == ["upos", "xpos", "ner"]
        assert result.by_type["upos"].main_score == result.main_score
        for name, found in result.by_type.items():
            expected = make_single(tagger, name).evaluate(sentences)
            assert found.classification_report == expected.classification_report
            assert found.loss == pytest.approx(expected.loss, rel=1e-5)
            assert found.accuracy == expected.accuracy
        report = result.detailed_results
        assert report.count("Results for") == 3
        assert report.index("Results for upos:") < report.index("Results for xpos:") < report.index("Results for ner:")
        rows = [line.split("\t") for line in (tmp_path / "rows.tsv").read_text().split("\n")]
        assert [row[0] for row in rows[:4]] == [*sentences[0].words, ""]
        assert [len(row) for row in rows[:4]] == [7, 7, 7, 1]
        assert [row[3] for row in rows[:3]] == sentences[0].token_labels("xpos")
        assert [row[5] for row in rows[:3]] == ["B-X", "E-X", "O"]

    def test_a_type_that_the_data_lack_is_left_out_with_a_warning(
        self, embeddings: WordEmbeddings, caplog: pytest.LogCaptureFixture
    ) -> None:
        result = make_tagger(embeddings).evaluate(make_sentences([3, 2], types=["upos", "ner"]))
        assert list(result.by_type) == ["upos", "ner"]
        assert "has no 'xpos' labels: predictions of this type are not evaluated" in caplog.text
        with pytest.raises(LabelError, match="no label type 'upos'"):
            make_tagger(embeddings).evaluate(make_sentences([3], types=["xpos"]))

    def test_gold_label_type_and_exclusion_concern_the_main_type(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings).eval()
        sentences = make_sentences([3, 4, 5])
        renamed = copy.deepcopy(sentences)
        for sentence in renamed:
            sentence.set_token_labels("gold", sentence.token_labels("upos") or [])
            sentence.remove_labels("upos")
        expected = make_single(tagger, "upos").evaluate(sentences, exclude_labels=["A"])
        result = tagger.evaluate(renamed, gold_label_type="gold", exclude_labels=["A"])
        assert result.classification_report == expected.classification_report
        plain = make_single(tagger, "xpos").evaluate(sentences)
        assert result.by_type["xpos"].classification_report == plain.classification_report

    def test_gold_labels_of_another_type_of_the_tagger_are_not_those_of_the_main_one(
        self, embeddings: WordEmbeddings
    ) -> None:
        with pytest.raises(SettingError, match=r"leave it out, and read result.by_type\['xpos'\]"):
            make_tagger(embeddings).evaluate(make_sentences([3]), gold_label_type="xpos")

    def test_an_average_is_the_main_metric_of_all_types_and_a_label_that_of_the_main_one(
        self, embeddings: WordEmbeddings
    ) -> None:
        tagger, sentences = make_tagger(embeddings), make_sentences([3, 4, 5])
        result = tagger.evaluate(sentences, main_evaluation_metric=("macro avg", "recall"))
        for part in result.by_type.values():
            assert part.main_score == part.classification_report["macro avg"]["recall"]
        result = tagger.evaluate(sentences, main_evaluation_metric=("A", "recall"))
        assert [part.metric_name for part in result.by_type.values()] == [
            "recall (A)",
            "f1-score (micro avg)",
            "f1-score (micro avg)",
        ]

    def test_a_single_type_is_in_by_type_too(self, embeddings: WordEmbeddings) -> None:
        result = make_single(make_tagger(embeddings), "upos").evaluate(make_sentences([3]))
        assert list(result.by_type) == ["upos"]
        assert result.by_type["upos"] is result
        assert "\nResults:\n" in result.detailed_results


class TestTraining:
    def test_all_types_are_learned_and_reported(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        sentences = [
            Sentence([f"w{index}", f"w{index + 5}"])
            .set_token_labels("upos", ["ABC"[index % 3]] * 2)
            .set_token_labels("xpos", [["A1", "B1", "C1"][index % 3]] * 2)
            .set_span_labels("ner", [(0, 2, "XY"[index % 2])])
            for index in range(10)
        ]
        tagger = make_tagger(embeddings, hidden_size=16)
        corpus = Corpus(sentences, sentences, sentences)
        ModelTrainer(tagger, corpus).train(
            tmp_path,
            learning_rate=0.1,
            optimizer="Adam",
            max_epochs=15,
            mini_batch_size=4,
        )
        result = SequenceTagger.load(tmp_path / "final-model.pt").evaluate(sentences)
        assert {name: part.main_score for name, part in result.by_type.items()} == {"upos": 1, "xpos": 1, "ner": 1}
        log = (tmp_path / "training.log").read_text()
        assert log.index("Results for upos:") < log.index("Results for xpos:") < log.index("Results for ner:")

    def test_storage_modes_train_the_same_weights(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        corpus = MultiCorpus([Corpus(make_sentences([3, 4])), Corpus(make_sentences([2, 5], types=["upos"]))])
        states = []
        for mode in ("cpu", "none"):
            tagger = make_tagger(embeddings)
            ModelTrainer(tagger, corpus).train(tmp_path / mode, max_epochs=2, embeddings_storage_mode=mode)
            states.append(tagger.state_dict())
        for name, weight in states[0].items():
            assert torch.equal(states[1][name], weight), name

    def test_spans_are_not_learned_from_a_corpus_that_has_none(
        self, embeddings: WordEmbeddings, tmp_path: Path
    ) -> None:
        """The head of spans gets the gradients, and the scores, of the annotated corpus alone."""
        annotated, plain = make_sentences([3, 4, 2]), make_sentences([5, 1, 4], types=["upos"], seed=4)
        annotated[0].remove_labels("ner")  # in an annotated corpus, this is a sentence without spans
        options = {"max_epochs": 1, "mini_batch_size": 8, "learning_rate": 0.1, "max_grad_norm": 1e9}
        weights = {}
        for name, corpora in {"both": [annotated, plain], "one": [annotated]}.items():
            tagger = make_tagger(embeddings)
            corpus = MultiCorpus([Corpus(part, None, part) for part in corpora])
            ModelTrainer(tagger, corpus).train(tmp_path / name, **options)  # type: ignore[arg-type]
            weights[name] = tagger.state_dict()
        for name in ("other_heads.1.linear.weight", "other_heads.1.crf.transitions"):
            assert torch.allclose(weights["both"][name], weights["one"][name], atol=1e-6), name
        together = MultiCorpus([Corpus(None, None, annotated), Corpus(None, None, plain)]).test
        assert together is not None
        found, expected = (tagger.evaluate(part).by_type["ner"] for part in (together, annotated))
        assert found.classification_report == expected.classification_report
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)

    def test_a_type_without_labels_to_learn_is_refused(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        corpus = Corpus(make_sentences([3, 4], types=["upos", "ner"]))
        with pytest.raises(LabelError, match="no label type 'xpos' in the train split"):
            ModelTrainer(make_tagger(embeddings), corpus).train(tmp_path, max_epochs=1)

    def test_dev_and_test_may_lack_further_types(
        self, embeddings: WordEmbeddings, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        part = make_sentences([3, 2], types=["upos"], seed=2)
        with caplog.at_level(logging.WARNING):
            result = ModelTrainer(make_tagger(embeddings), Corpus(make_sentences([3, 4]), part, part)).train(
                tmp_path, max_epochs=1
            )
        assert 0 <= result["test_score"] <= 1
        assert "the dev split has no 'xpos' labels" in caplog.text
        assert math.isfinite(result["dev_loss_history"][0])


class TestFiles:
    def test_dropped_heads_are_gone_and_the_file_is_smaller(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        tagger = make_tagger(embeddings, head_weights={"xpos": 0.5, "ner": 2.0}, hidden_size=64).eval()
        tagger.save(tmp_path / "all.pt")
        before = tagger.predict(Sentence(["w1", "w2", "w3"]), label_types=["upos", "ner"]).to_tagged_string()
        tagger.drop_heads("xpos")
        tagger.save(tmp_path / "some.pt")
        assert (tmp_path / "some.pt").stat().st_size < (tmp_path / "all.pt").stat().st_size
        loaded = SequenceTagger.load(tmp_path / "some.pt", device="cpu")
        assert loaded.label_types == ("upos", "ner")
        assert loaded.settings() == tagger.settings()
        assert loaded.predict(Sentence(["w1", "w2", "w3"])).to_tagged_string() == before
        loaded.drop_heads("ner")
        loaded.save(tmp_path / "one.pt")
        one = SequenceTagger.load(tmp_path / "one.pt")
        assert one.label_types == ("upos",)
        assert str(one) == str(make_single(tagger, "upos", hidden_size=64))
        assert "other_heads" not in one.settings()

    def test_without_the_main_type_the_next_one_is_the_main_one(
        self, embeddings: WordEmbeddings, tmp_path: Path
    ) -> None:
        tagger = make_tagger(embeddings).eval()
        sentence = tagger.predict(Sentence(["w1", "w2", "w3"]), label_types=["xpos", "ner"])
        tagger.drop_heads("upos")
        tagger.save(tmp_path / "some.pt")
        for model in (tagger, SequenceTagger.load(tmp_path / "some.pt", device="cpu")):
            assert (model.label_type, model.label_types) == ("xpos", ("xpos", "ner"))
            assert model.tag_dictionary.get_items() == make_tagger(embeddings).settings()["other_heads"][0]["tag_items"]
            assert model.predict(Sentence(["w1", "w2", "w3"])).to_dict() == sentence.to_dict()
        tagger.drop_heads("ner")
        alone = make_single(tagger, "xpos")
        assert tagger.settings() == alone.settings()
        tagger.train()
        assert tagger.forward_loss(make_sentences([3, 4], types=["xpos"]))[1] == 7

    def test_a_type_of_weight_0_that_is_left_alone_can_be_trained_and_loaded(
        self, embeddings: WordEmbeddings, tmp_path: Path
    ) -> None:
        tagger = make_tagger(embeddings, head_weights={"xpos": 0})
        tagger.drop_heads("upos", "ner")
        assert tagger.forward_loss(make_sentences([3]))[0].item() > 0
        tagger.save(tmp_path / "tagger.pt")
        assert SequenceTagger.load(tmp_path / "tagger.pt").label_types == ("xpos",)

    def test_a_tagger_whose_types_all_have_the_weight_0_can_be_loaded_but_not_trained(
        self, embeddings: WordEmbeddings, tmp_path: Path
    ) -> None:
        make_tagger(embeddings, head_weights={"upos": 0, "xpos": 0.0, "ner": 0}).save(tmp_path / "tagger.pt")
        tagger = SequenceTagger.load(tmp_path / "tagger.pt")
        with pytest.raises(SettingError, match="the model learns no label: all have the weight 0"):
            ModelTrainer(tagger, Corpus(make_sentences([3, 4]))).train(tmp_path / "run", max_epochs=1)

    def test_unknown_types_and_the_last_type_cannot_be_dropped(self, embeddings: WordEmbeddings) -> None:
        with pytest.raises(SettingError, match="drop_heads cannot remove pos: the tagger has upos, xpos, ner"):
            make_tagger(embeddings).drop_heads("xpos", "pos")
        with pytest.raises(SettingError, match="drop_heads must leave one label type: the tagger has upos, xpos, ner"):
            make_tagger(embeddings).drop_heads("xpos", "ner", "upos")
