"""Classifiers of texts: each text by itself, figures as scikit-learn's, and training that learns."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from devices import needs_bfloat16
from torch import nn

import flairlite
from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.datasets import SAMPLE_REVIEWS, SAMPLE_TOPICS
from flairlite.embeddings import DocumentPoolEmbeddings, DocumentRNNEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import LabelError, ModelFileError, SettingError
from flairlite.models import Model, SequenceTagger, TextClassifier
from flairlite.nn import Classifier
from flairlite.trainers import ModelTrainer

WORDS = [f"w{number}" for number in range(40)]
VECTORS = WordVectors(WORDS, np.random.default_rng(0).standard_normal((len(WORDS), 8)))
LABELS = ["sports", "politics", "weather", "music"]
WEIGHTS = {"sports": 3.0, "music": 0.5}
OPTIONS: dict[str, Any] = {
    "multi_label": True,
    "multi_label_threshold": {"default": 0.4, "music": 0.7},
    "loss_weights": {"sports": 2.0},
    "dropout": 0.1,
    "word_dropout": 0.2,
    "locked_dropout": 0.3,
}

EMBEDDINGS: dict[str, Any] = {
    "pool": lambda: DocumentPoolEmbeddings(WordEmbeddings(VECTORS), "linear"),
    "rnn": lambda: DocumentRNNEmbeddings(WordEmbeddings(VECTORS), 8, seed=1),
}


def make_classifier(kind: str = "pool", labels: Sequence[str] = LABELS, **options: Any) -> TextClassifier:
    """Make a classifier whose labels depend much on the words."""
    dictionary = Dictionary.from_items(["<unk>", *labels])
    classifier = TextClassifier(EMBEDDINGS[kind](), "topic", dictionary, seed=0, **options)
    with torch.no_grad():
        classifier.decoder.weight.mul_(3)
    return classifier.eval()


def make_sentences(number: int = 60, labels: Sequence[str] = LABELS, several: bool = False) -> list[Sentence]:
    """Make sentences of 0 to 7 words with labels drawn at random."""
    generator = np.random.default_rng(number)
    sentences = []
    for length in generator.integers(8, size=number):
        sentence = Sentence([WORDS[word] for word in generator.integers(len(WORDS), size=length)])
        for label in generator.choice(labels, size=generator.integers(3) if several else 1, replace=False).tolist():
            sentence.add_label("topic", label)
        sentences.append(sentence)
    return sentences


def predicted(sentences: Sequence[Sentence], label_type: str = "found") -> list[list[str]]:
    return [sentence.sentence_labels(label_type) for sentence in sentences]


def with_words(sentences: Sequence[Sentence]) -> list[Sentence]:
    return [sentence for sentence in sentences if sentence.words]


def scores_alone(classifier: TextClassifier, sentence: Sentence) -> torch.Tensor:
    """Return the scores (K,) of a sentence, worked out from its embedding."""
    classifier.embeddings.embed(sentence)
    scores: torch.Tensor = classifier.decoder(sentence.embedding)
    sentence.clear_embeddings()
    return scores.detach()


class TestPrediction:
    @pytest.mark.parametrize("kind", EMBEDDINGS)
    @pytest.mark.parametrize("size", [1, 7, 64])
    def test_the_most_probable_label_is_predicted_for_any_batch_size(self, kind: str, size: int) -> None:
        classifier = make_classifier(kind)
        sentences = classifier.predict(make_sentences(), size, label_name="found")
        assert len({label for labels in predicted(sentences) for label in labels}) > 1
        for sentence in sentences:
            if not sentence.words:
                assert sentence.get_labels("found") == []
                continue
            probabilities = scores_alone(classifier, sentence).softmax(0)
            [label] = sentence.get_labels("found")
            assert label.data_point is sentence
            assert label.value == LABELS[int(probabilities.argmax())]
            assert label.score == pytest.approx(float(probabilities.max()), abs=1e-5)

    @pytest.mark.parametrize("threshold", [0.5, 0.3, {"default": 0.6, "music": 0.2}])
    def test_labels_above_their_threshold_are_predicted_in_order_of_probability(self, threshold: Any) -> None:
        classifier = make_classifier(multi_label=True, multi_label_threshold=threshold)
        limits = threshold if isinstance(threshold, dict) else {"default": threshold}
        sentences = with_words(classifier.predict(make_sentences(), label_name="found"))
        assert len({len(sentence.get_labels("found")) for sentence in sentences}) > 2
        for sentence in sentences:
            probabilities = scores_alone(classifier, sentence).sigmoid().tolist()
            given = {
                label: probability
                for label, probability in zip(LABELS, probabilities, strict=True)
                if probability > limits.get(label, limits["default"])
            }
            found = sentence.get_labels("found")
            assert [label.value for label in found] == sorted(given, key=lambda label: -given[label])
            assert [label.score for label in found] == pytest.approx(sorted(given.values(), reverse=True), abs=1e-5)

    def test_thresholds_can_be_changed_afterwards(self) -> None:
        classifier = make_classifier(multi_label=True)
        assert classifier.multi_label_threshold == {"default": 0.5}
        classifier.multi_label_threshold = {"default": 1.0, "music": 0.0}  # type: ignore[assignment]
        sentences = with_words(classifier.predict(make_sentences(), label_name="found"))
        assert predicted(sentences) == [["music"]] * len(sentences)
        with pytest.raises(SettingError, match="thresholds name films, but the labels are sports"):
            classifier.multi_label_threshold = {"films": 0.3}  # type: ignore[assignment]

    @pytest.mark.parametrize("multi_label", [False, True])
    def test_probabilities_of_all_classes_are_written_on_request(self, multi_label: bool) -> None:
        classifier = make_classifier(multi_label=multi_label)
        for sentence in with_words(classifier.predict(make_sentences(), return_probabilities_for_all_classes=True)):
            labels = sentence.get_labels("topic")
            scores = scores_alone(classifier, sentence)
            probabilities = scores.sigmoid() if multi_label else scores.softmax(0)
            assert sorted(label.value for label in labels) == sorted(LABELS)
            assert [label.score for label in labels] == pytest.approx(
                sorted(probabilities.tolist(), reverse=True), abs=1e-5
            )
        text = classifier.predict("w1 w2", 8, True)
        assert len(text.get_labels("topic")) == len(LABELS)

    @pytest.mark.parametrize("multi_label", [False, True])
    def test_unk_is_never_predicted(self, multi_label: bool) -> None:
        classifier = make_classifier(multi_label=multi_label, multi_label_threshold=0.0)
        sentences = classifier.predict(make_sentences(), return_probabilities_for_all_classes=True)
        assert {label for labels in predicted(sentences, "topic") for label in labels} == set(LABELS)

    def test_labels_of_the_type_are_replaced_and_others_are_kept(self) -> None:
        classifier = make_classifier()
        sentence = Sentence(["w1", "w2"]).add_label("topic", "gold").add_label("mood", "glad")
        sentence[0].add_label("topic", "of a word")
        classifier.predict(sentence)
        assert sentence.sentence_labels("topic")[0] in LABELS
        assert sentence.sentence_labels("mood") == ["glad"]
        assert sentence[0].get_label("topic").value == "of a word"

    def test_empty_sentences_and_an_empty_list(self) -> None:
        classifier = make_classifier()
        assert classifier.predict([]) == []
        for empty in (Sentence("    "), Sentence("")):
            assert classifier.predict([empty])[0].get_labels() == []

    def test_a_stream_predicts_the_same_as_predict(self) -> None:
        classifier = make_classifier("rnn")
        streamed = list(classifier.predict_stream(iter(make_sentences()), 5, label_name="found"))
        assert predicted(streamed) == predicted(classifier.predict(make_sentences(), label_name="found"))


class TestLoss:
    @pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
    def test_the_loss_is_the_weighted_cross_entropy_of_known_labels(
        self, label_smoothing: float, device: torch.device
    ) -> None:
        classifier = make_classifier(loss_weights=WEIGHTS, label_smoothing=label_smoothing).to(device)
        sentences = make_sentences(labels=[*LABELS, "unheard-of"])
        sentences.append(Sentence(["w1"]))  # without a label
        loss, count = classifier.forward_loss(sentences)
        known = [each for each in with_words(sentences) if set(each.sentence_labels("topic")) & set(LABELS)]
        expected = nn.functional.cross_entropy(
            torch.stack([scores_alone(classifier, sentence) for sentence in known]),
            torch.tensor([LABELS.index(sentence.sentence_labels("topic")[0]) for sentence in known], device=device),
            torch.tensor([3.0, 1.0, 1.0, 0.5], device=device),
            reduction="sum",
            label_smoothing=label_smoothing,
        )
        assert count == len(known) < len(with_words(sentences))
        assert loss.shape == ()
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)

    def test_the_multi_label_loss_is_the_weighted_binary_cross_entropy(self, device: torch.device) -> None:
        classifier = make_classifier(loss_weights=WEIGHTS, multi_label=True).to(device)
        sentences = make_sentences(labels=[*LABELS, "unheard-of"], several=True)
        loss, count = classifier.forward_loss(sentences)
        kept = with_words(sentences)  # one without a label is one that none fits
        expected = nn.functional.binary_cross_entropy_with_logits(
            torch.stack([scores_alone(classifier, sentence) for sentence in kept]),
            torch.tensor(
                [[float(label in sentence.sentence_labels("topic")) for label in LABELS] for sentence in kept],
                device=device,
            ),
            torch.tensor([3.0, 1.0, 1.0, 0.5], device=device),
            reduction="sum",
        )
        assert count == len(kept)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)

    def test_several_labels_cannot_be_smoothed(self) -> None:
        with pytest.raises(SettingError, match="label_smoothing is for models that predict one label"):
            make_classifier(multi_label=True, label_smoothing=0.1)
        with pytest.raises(SettingError, match="label_smoothing must be"):
            make_classifier(label_smoothing=1.0)

    def test_the_loss_of_no_sentence_is_0(self) -> None:
        loss, count = make_classifier().forward_loss([Sentence("")])
        assert (loss.item(), count) == (0.0, 0)
        loss.backward()  # type: ignore[no-untyped-call]

    def test_dropout_is_active_only_in_training(self) -> None:
        classifier = make_classifier(dropout=0.3, word_dropout=0.2, locked_dropout=0.4)
        sentences = make_sentences()
        calm = classifier.forward_loss(sentences)[0].item()
        assert classifier.forward_loss(sentences)[0].item() == calm
        classifier.train()
        assert classifier.forward_loss(sentences)[0].item() != calm


class TestEvaluation:
    def test_metrics_are_those_of_scikit_learn(self, tmp_path: Path) -> None:
        classifier = make_classifier()
        sentences = make_sentences(120, [*LABELS, "unheard-of"])
        result = classifier.evaluate(sentences, out_path=tmp_path / "found.tsv")
        kept = with_words(classifier.predict(sentences, label_name="found"))
        golds, found = ([sentence.sentence_labels(kind)[0] for sentence in kept] for kind in ("topic", "found"))
        expected = sklearn.metrics.classification_report(golds, found, output_dict=True, zero_division=0)
        assert result.main_score == result.accuracy == pytest.approx(expected.pop("accuracy"))
        for name, figures in expected.items():
            assert result.classification_report[name] == pytest.approx(figures), name
        rows = [line.split("\t") for line in (tmp_path / "found.tsv").read_text(encoding="utf-8").splitlines()]
        assert len(rows) == len(sentences)
        assert [row[:2] for row in rows if row[2]] == [list(pair) for pair in zip(golds, found, strict=True)]

    def test_multi_label_metrics_are_those_of_scikit_learn(self) -> None:
        classifier = make_classifier(multi_label=True, multi_label_threshold=0.4)
        sentences = make_sentences(120, [*LABELS, "unheard-of"], several=True)
        result = classifier.evaluate(sentences)
        kept = with_words(classifier.predict(sentences, label_name="found"))
        names = [*LABELS, "unheard-of"]
        golds, found = (
            np.array([[name in sentence.sentence_labels(kind) for name in names] for sentence in kept])
            for kind in ("topic", "found")
        )
        expected = sklearn.metrics.classification_report(
            golds, found, target_names=names, output_dict=True, zero_division=0
        )
        for name, figures in expected.items():
            assert result.classification_report[name] == pytest.approx(figures), name
        assert result.accuracy == pytest.approx(sklearn.metrics.accuracy_score(golds, found))
        assert result.main_score == pytest.approx(expected["micro avg"]["f1-score"])

    @pytest.mark.parametrize("multi_label", [False, True])
    def test_the_loss_is_the_mean_over_sentences(self, multi_label: bool) -> None:
        classifier = make_classifier("rnn", multi_label=multi_label)
        sentences = make_sentences()
        loss, count = classifier.forward_loss(sentences)
        assert classifier.evaluate(sentences, mini_batch_size=7).loss == pytest.approx(loss.item() / count, rel=1e-5)

    def test_labels_are_not_changed(self) -> None:
        sentences = make_sentences()
        before = [str(sentence) for sentence in sentences]
        make_classifier().evaluate(sentences)
        assert [str(sentence) for sentence in sentences] == before

    @pytest.mark.parametrize("multi_label", [False, True])
    def test_a_file_of_labelled_texts_is_read(self, multi_label: bool, tmp_path: Path) -> None:
        classifier = make_classifier(multi_label=multi_label)
        sentences = with_words(make_sentences(several=multi_label))
        lines = [
            " ".join([*(f"__label__{label}" for label in sentence.sentence_labels("topic")), sentence.text])
            for sentence in sentences
        ]
        (tmp_path / "gold.txt").write_text("\n".join(lines), encoding="utf-8")
        result = classifier.evaluate(tmp_path / "gold.txt")
        assert result.classification_report == classifier.evaluate(sentences).classification_report

    def test_labels_of_words_are_not_gold_labels(self) -> None:
        sentence = Sentence(["w1"])
        sentence[0].add_label("topic", "sports")
        with pytest.raises(LabelError, match=r"no whole sentence of .* has a label of the type 'topic'"):
            make_classifier().evaluate([sentence])


@needs_bfloat16
class TestHalfPrecision:
    @pytest.mark.parametrize("kind", EMBEDDINGS)
    @pytest.mark.parametrize("multi_label", [False, True])
    def test_a_model_in_bfloat16_predicts_almost_the_same(self, kind: str, multi_label: bool) -> None:
        classifier = make_classifier(kind, multi_label=multi_label)
        exact = classifier.predict(make_sentences(), return_probabilities_for_all_classes=True)
        rough = classifier.bfloat16().predict(make_sentences(), return_probabilities_for_all_classes=True)
        for one, other in zip(exact, rough, strict=True):
            for labels in zip(*(sorted(each.get_labels("topic"), key=str) for each in (one, other)), strict=False):
                assert labels[0].value == labels[1].value
                assert labels[0].score == pytest.approx(labels[1].score, abs=0.05)
        assert classifier.evaluate(make_sentences()).loss > 0

    @pytest.mark.parametrize("kind", EMBEDDINGS)
    def test_mixed_precision_trains_about_the_same(self, kind: str, tmp_path: Path) -> None:
        losses = []
        for use_amp in (False, True):
            trainer = ModelTrainer(make_classifier(kind), Corpus(make_sentences()))
            losses.append(trainer.train(tmp_path, max_epochs=2, use_amp=use_amp)["train_loss_history"])
        assert losses[0] == pytest.approx(losses[1], rel=0.05)


class TestSettings:
    def test_multi_label_is_taken_from_the_dictionary(self) -> None:
        corpus = Corpus(make_sentences(several=True))
        dictionary = corpus.make_label_dictionary("topic")
        assert TextClassifier(EMBEDDINGS["pool"](), "topic", dictionary).multi_label
        assert not TextClassifier(EMBEDDINGS["pool"](), "topic", dictionary, multi_label=False).multi_label
        one = Corpus(make_sentences()).make_label_dictionary("topic")
        assert not TextClassifier(EMBEDDINGS["pool"](), label_dictionary=one, label_type="topic").multi_label

    def test_several_labels_are_refused_by_a_single_label_classifier(self, tmp_path: Path) -> None:
        corpus = Corpus(make_sentences(several=True))
        with pytest.raises(LabelError, match=r"have more than one 'topic' label.*multi_label=True"):
            ModelTrainer(make_classifier(), corpus).train(tmp_path, max_epochs=1)

    def test_embeddings_of_words_are_refused_with_the_remedy(self) -> None:
        words: Any = WordEmbeddings(VECTORS)
        with pytest.raises(SettingError, match="needs embeddings of sentences, not WordEmbeddings: wrap"):
            TextClassifier(words, "topic", Dictionary.from_items(LABELS))

    def test_a_dictionary_without_labels_is_refused(self) -> None:
        with pytest.raises(LabelError, match="no label besides <unk>"):
            make_classifier(labels=[])

    def test_loss_weights_of_unknown_labels_are_refused(self) -> None:
        with pytest.raises(LabelError, match="loss_weights name films, but the labels are sports, politics"):
            make_classifier(loss_weights={"films": 2.0})

    def test_the_seed_determines_the_initial_weights(self) -> None:
        dictionary = Dictionary.from_items(LABELS)
        first, second, third = (
            TextClassifier(EMBEDDINGS["pool"](), "topic", dictionary, seed=seed).decoder.weight for seed in (5, 5, 6)
        )
        assert torch.equal(first, second)
        assert not torch.equal(first, third)


class TestFiles:
    @pytest.mark.parametrize("kind", EMBEDDINGS)
    @pytest.mark.parametrize("options", [{}, OPTIONS])
    def test_a_loaded_model_equals_the_saved_one(self, kind: str, options: dict[str, Any], tmp_path: Path) -> None:
        classifier = make_classifier(kind, **options)
        classifier.save(tmp_path / "model.pt")
        for load in (TextClassifier.load, Model.load, Classifier.load):
            again = load(tmp_path / "model.pt")
            assert isinstance(again, TextClassifier)
            assert again.settings() == classifier.settings()
            assert again.label_dictionary == classifier.label_dictionary
            assert torch.equal(again.label_weights, classifier.label_weights)
            expected = classifier.predict(make_sentences(), label_name="found")
            found = again.predict(make_sentences(), label_name="found")
            assert predicted(found) == predicted(expected)
        with pytest.raises(ModelFileError, match=r"holds a TextClassifier: load it with TextClassifier\.load"):
            SequenceTagger.load(tmp_path / "model.pt")

    def test_it_predicts_the_same_in_a_fresh_process(self, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
        embedding = DocumentRNNEmbeddings([mini_vectors], 8, seed=2)
        classifier = TextClassifier(embedding, "topic", Dictionary.from_items(["<unk>", *LABELS]), seed=2)
        classifier.to("cpu").save(tmp_path / "model.pt")
        texts = ["The match was lost.", "Rain again", "", "été"]
        script = (
            "import json, sys; from flairlite.models import TextClassifier\n"
            "sentences = TextClassifier.load(sys.argv[1]).predict(json.loads(sys.argv[2]))\n"
            "print(json.dumps([[(x.value, x.score) for x in s.get_labels('topic')] for s in sentences]))"
        )
        environment = {
            **os.environ,
            "FLAIRLITE_CACHE_ROOT": str(tmp_path / "no cache"),
            "FLAIRLITE_DEVICE": "cpu",
            "PYTHONPATH": str(Path(flairlite.__file__).resolve().parents[1]),
            "PYTHONWARNINGS": "error",
        }
        arguments = [sys.executable, "-c", script, str(tmp_path / "model.pt"), json.dumps(texts)]
        done = subprocess.run(arguments, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for text, row in zip(texts, json.loads(done.stdout), strict=True):
            labels = classifier.predict(text).get_labels("topic")
            assert [value for value, _ in row] == [label.value for label in labels]
            assert [score for _, score in row] == pytest.approx([label.score for label in labels], rel=1e-5)


# training


class TestTraining:
    @pytest.mark.parametrize(
        ("make_corpus", "kind", "at_least"), [(SAMPLE_REVIEWS, "sentiment", 0.42), (SAMPLE_TOPICS, "topic", 0.3)]
    )
    def test_training_learns_and_writes_all_files(
        self, make_corpus: Any, kind: str, at_least: float, mini_vectors: WordEmbeddings, tmp_path: Path
    ) -> None:
        corpus = make_corpus()
        dictionary = corpus.make_label_dictionary(kind)
        classifier = TextClassifier(DocumentPoolEmbeddings(mini_vectors), kind, dictionary, seed=1)
        assert classifier.multi_label == (kind == "topic")
        found = ModelTrainer(classifier, corpus).train(
            tmp_path, learning_rate=0.05, max_epochs=25, optimizer=torch.optim.Adam, seed=1
        )
        losses = found["train_loss_history"]
        assert losses[-1] < 0.85 * losses[0]
        test = corpus.test or ()
        most = max(sum(label in each.sentence_labels(kind) for each in test) for label in dictionary.get_items())
        golds = sum(len(each.sentence_labels(kind)) for each in test)
        constant = 2 * most / (len(test) + golds)  # F1 of the most frequent label for everything
        assert found["test_score"] > max(at_least, constant)
        names = {path.name for path in tmp_path.iterdir()}
        assert names >= {"best-model.pt", "final-model.pt", "training.log", "loss.tsv", "dev.tsv", "test.tsv"}
        best = TextClassifier.load(tmp_path / "best-model.pt")
        assert best.evaluate(test).main_score == pytest.approx(found["test_score"])
        text = (tmp_path / "training.log").read_text(encoding="utf-8")
        assert "By class:" in text
        assert all(label in text for label in dictionary.get_items()[1:])

    def test_labels_only_in_dev_and_test_are_named_once_and_count_as_misses(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        test = [Sentence(["w1"]).add_label("topic", "films"), Sentence(["w2"]).add_label("topic", "sports")]
        corpus = Corpus(with_words(make_sentences()), test[:], test[:])
        classifier = TextClassifier(EMBEDDINGS["pool"](), "topic", corpus.make_label_dictionary("topic"))
        with caplog.at_level(logging.WARNING, logger="flairlite"):
            found = ModelTrainer(classifier, corpus).train(tmp_path, max_epochs=3)
        said = [record.getMessage() for record in caplog.records if "films" in record.getMessage()]
        assert said == [
            f"1 labels of the {split} split are not in the model's dictionary and count as misses: films (1)"
            for split in ("dev", "test")
        ]
        assert found["test_score"] <= 0.5

    def test_the_same_seed_gives_the_same_classifier(self, tmp_path: Path) -> None:
        corpus = Corpus(make_sentences(), make_sentences(20), make_sentences(21))
        dictionary = corpus.make_label_dictionary("topic")
        weights = []
        for seed in (1, 1, 2):
            classifier = TextClassifier(EMBEDDINGS["rnn"](), "topic", dictionary, dropout=0.2, seed=1)
            ModelTrainer(classifier, corpus).train(tmp_path, max_epochs=2, seed=seed)
            weights.append(torch.cat([weight.flatten() for weight in classifier.parameters()]))
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])

    @pytest.mark.parametrize("storage", ["cpu", "gpu", "none"])
    def test_all_storage_modes_give_the_same_result(self, storage: str, tmp_path: Path) -> None:
        corpus = Corpus(make_sentences(several=True), make_sentences(20, several=True))
        losses = []
        for mode in ("cpu", storage):
            classifier = make_classifier("rnn", multi_label=True)
            trainer = ModelTrainer(classifier, corpus)
            losses.append(trainer.train(tmp_path, max_epochs=2, embeddings_storage_mode=mode)["train_loss_history"])
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)

    @pytest.mark.parametrize("kind", EMBEDDINGS)
    @pytest.mark.parametrize("multi_label", [False, True])
    def test_no_python_call_is_made_for_each_sentence_of_a_step(self, kind: str, multi_label: bool) -> None:
        classifier = make_classifier(kind, multi_label=multi_label)

        def count_calls(num_sentences: int) -> int:
            sentences = make_sentences(num_sentences, several=multi_label)
            gold = classifier.task.gold(sentences)
            dataset = classifier.encode(sentences, label_type="topic", labels=gold.labels)
            indices = dataset.lengths.nonzero().squeeze(1)
            calls = 0

            def count(frame: FrameType, event: str, argument: object) -> None:
                nonlocal calls
                calls += event == "call"

            sys.setprofile(count)
            try:
                batch = dataset.batch(indices)
                classifier.loss(classifier(batch), batch).backward()  # type: ignore[no-untyped-call]
            finally:
                sys.setprofile(None)
            return calls

        count_calls(16)  # what is imported on the first use does not count
        assert count_calls(256) < 1.5 * count_calls(16)
