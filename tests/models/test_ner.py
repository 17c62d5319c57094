"""Taggers of spans: what they find, and how sure they are, is that of all valid tag sequences enumerated."""

from __future__ import annotations

import itertools
import json
import pickle
import random
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from seqeval.metrics import classification_report as seqeval_report
from seqeval.scheme import BILOU, IOB2, IOBES
from torch import Tensor

from flairlite.data import Corpus, Dictionary, Label, Sentence, Span, Token
from flairlite.data.tag_schemes import TagSpan, count_repairs, spans_of, tags_of
from flairlite.datasets import SAMPLE_NER
from flairlite.embeddings import WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import LabelError, ModelFileError, SettingError
from flairlite.models import SequenceTagger
from flairlite.models.n_best import Hypothesis
from flairlite.trainers import ModelTrainer

WORDS = [f"w{number}" for number in range(30)]
LABELS = ["PER", "LOC"]
SCHEMES = {"BIOES": IOBES, "BIO": IOB2, "BILOU": BILOU}

formats = pytest.mark.parametrize("tag_format", SCHEMES)
heads = pytest.mark.parametrize("use_crf", [True, False])


@pytest.fixture
def embeddings() -> WordEmbeddings:
    return WordEmbeddings(WordVectors(WORDS, np.random.default_rng(0).standard_normal((len(WORDS), 8)) * 2))


def make_tagger(embeddings: WordEmbeddings, labels: Sequence[str] = LABELS, **options: Any) -> SequenceTagger:
    """Make a tiny tagger of spans, whose weights are large enough to be sure of something."""
    dictionary = Dictionary.from_items(labels)
    dictionary.span_labels = True
    settings = {"hidden_size": 6, "word_dropout": 0.0, "locked_dropout": 0.0, "seed": 3, **options}
    tagger = SequenceTagger(embeddings, dictionary, "ner", **settings)
    with torch.no_grad():
        tagger.linear.weight *= 4
    return tagger


def sentence_of(spans: Sequence[TagSpan], length: int, seed: int = 0) -> Sentence:
    return Sentence(random.Random(seed).choices(WORDS, k=length)).set_span_labels("ner", spans)


def make_sentences(number: int, labels: Sequence[str] = LABELS, seed: int = 0) -> list[Sentence]:
    """Make sentences of up to 9 words, some with spans."""
    draw = random.Random(seed)
    made = []
    for _ in range(number):
        spans, end = [], 0
        while (start := end + draw.randrange(3)) + (width := 1 + draw.randrange(3)) <= 9 and draw.random() < 0.7:
            end = start + width
            spans.append((start, end, draw.choice(labels)))
        made.append(sentence_of(spans, min(9, end + draw.randrange(1, 3)), draw.randrange(10**6)))
    return made


class Enumeration:
    """All valid tag sequences of a sentence with their probabilities: the definition of the model."""

    def __init__(self, tagger: SequenceTagger, sentence: Sentence) -> None:
        batch = tagger.encode([sentence]).batch(torch.arange(1))
        with torch.no_grad():
            emissions = tagger.eval()(batch)[0].double()  # (T, K)
        names = tuple(tagger.label_dictionary.get_items())
        self.tags = valid_sequences(names, tagger.tag_format, len(sentence))
        paths = torch.tensor([[names.index(tag) for tag in tags] for tags in self.tags])  # (P, T)
        self.scores = emissions[range(len(sentence)), paths].sum(1) + moves(tagger, paths)  # (P,)
        self.probabilities = self.scores.softmax(0).tolist()

    def best(self) -> tuple[str, ...]:
        return self.tags[int(self.scores.argmax())]

    def probability_of_tag(self, position: int, tag: str) -> float:
        return sum(
            probability
            for tags, probability in zip(self.tags, self.probabilities, strict=True)
            if tags[position] == tag
        )

    def probability_of_span(self, span: TagSpan) -> float:
        return sum(
            probability
            for tags, probability in zip(self.tags, self.probabilities, strict=True)
            if span in spans_of(tags)
        )


@lru_cache
def valid_sequences(names: tuple[str, ...], scheme: str, length: int) -> list[tuple[str, ...]]:
    """Return the tag sequences that are what their spans are written as."""
    every = itertools.product(names, repeat=length)
    return [tags for tags in every if tags_of(spans_of(tags), length, scheme) == list(tags)]


def moves(tagger: SequenceTagger, paths: Tensor) -> Tensor:
    """Return the scores of neighbouring tags, (P,), of paths (P, T)."""
    if tagger.crf is None:
        return torch.zeros(len(paths))
    crf = tagger.crf
    inner = crf.transitions[paths[:, :-1], paths[:, 1:]].sum(1)
    return (crf.start[paths[:, 0]] + crf.end[paths[:, -1]] + inner).detach()


@formats
@heads
class TestAgainstAllSequences:
    @pytest.fixture
    def tagger(self, tag_format: str, use_crf: bool, embeddings: WordEmbeddings) -> SequenceTagger:
        return make_tagger(embeddings, tag_format=tag_format, use_crf=use_crf)

    @pytest.fixture
    def sentences(self, tag_format: str) -> list[Sentence]:
        return [sentence_of([], length, length) for length in (4, 1, 3, 4, 2)]

    def test_spans_and_their_scores(self, tagger: SequenceTagger, sentences: list[Sentence]) -> None:
        tagger.predict(sentences)
        assert any(sentence.get_spans("ner") for sentence in sentences)
        for sentence in sentences:
            every = Enumeration(tagger, sentence)
            assert sentence.span_labels("ner") == spans_of(every.best())
            for label in sentence.get_labels("ner"):
                span = label.data_point
                assert isinstance(span, Span)
                start = span.tokens[0].idx - 1
                expected = every.probability_of_span((start, start + len(span), label.value))
                assert label.score == pytest.approx(expected, abs=1e-5)

    def test_tags_and_their_scores(self, tagger: SequenceTagger, sentences: list[Sentence]) -> None:
        tagger.predict(sentences, force_token_predictions=True)
        for sentence in sentences:
            every = Enumeration(tagger, sentence)
            assert [token.get_label("ner").value for token in sentence] == list(every.best())
            for position, token in enumerate(sentence):
                for label in token.get_labels("ner"):
                    assert label.score == pytest.approx(every.probability_of_tag(position, label.value), abs=1e-5)

    def test_probabilities_of_all_tags(self, tagger: SequenceTagger, sentences: list[Sentence]) -> None:
        tagger.predict(sentences, return_probabilities_for_all_classes=True)
        for sentence in sentences:
            every = Enumeration(tagger, sentence)
            for position, token in enumerate(sentence):
                labels = token.get_tags_proba_dist("ner")
                assert [label.value for label in labels] == tagger.label_dictionary.get_items()
                assert all(label.data_point == token for label in labels)
                expected = [every.probability_of_tag(position, label.value) for label in labels]
                assert [label.score for label in labels] == pytest.approx(expected, abs=1e-5)

    def test_the_n_best_labelings(self, tagger: SequenceTagger, sentences: list[Sentence]) -> None:
        for sentence, labelings in zip(sentences, tagger.n_best(sentences, n=7, mini_batch_size=2), strict=True):
            every = Enumeration(tagger, sentence)
            expected = sorted(every.probabilities, reverse=True)[:7]
            assert [labeling.probability for labeling in labelings] == pytest.approx(expected, abs=1e-6)
            for labeling in labelings:
                assert labeling.probability == pytest.approx(
                    every.probabilities[every.tags.index(labeling.tags)], abs=1e-6
                )
                assert list(labeling.spans) == spans_of(labeling.tags)
            assert labelings[0].tags == every.best()
            assert not sentence.get_spans("ner"), "sentences stay as they are"


class TestNBest:
    def test_all_labelings_are_returned_if_there_are_fewer_than_n(self, embeddings: WordEmbeddings) -> None:
        labelings = make_tagger(embeddings).n_best(Sentence(["w1"]), n=10)
        assert sorted(labeling.tags for labeling in labelings) == [("O",), ("S-LOC",), ("S-PER",)]
        assert sum(labeling.probability for labeling in labelings) == pytest.approx(1)

    def test_a_text_and_an_empty_sentence(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings)
        assert len(tagger.n_best("w1 w2", n=3)) == 3
        assert tagger.n_best([Sentence([]), "w1"], n=1)[0] == [Hypothesis(1.0, ())]

    @heads
    def test_n_best_labelings_of_words(self, use_crf: bool, embeddings: WordEmbeddings) -> None:
        tagger = SequenceTagger(embeddings, Dictionary.from_items(["A", "B"]), "pos", hidden_size=4, use_crf=use_crf)
        sentence = Sentence(["w1", "w2", "w3"])
        labelings = tagger.n_best(sentence, n=8)
        assert len({labeling.tags for labeling in labelings}) == 8
        assert sum(labeling.probability for labeling in labelings) == pytest.approx(1)
        assert labelings[0].tags == tuple(tagger.predict(sentence).token_labels("pos") or ())
        marginal = sum(labeling.probability for labeling in labelings if labeling.tags[1] == labelings[0].tags[1])
        assert sentence[1].score == pytest.approx(marginal, abs=1e-5)

    def test_less_than_one_is_refused(self, embeddings: WordEmbeddings) -> None:
        with pytest.raises(SettingError, match="at least 1"):
            make_tagger(embeddings).n_best("w1", n=0)


@formats
@heads
def test_an_invalid_sequence_is_never_predicted(tag_format: str, use_crf: bool, embeddings: WordEmbeddings) -> None:
    seen: set[str] = set()
    for seed in range(6):
        tagger = make_tagger(embeddings, tag_format=tag_format, use_crf=use_crf, seed=seed)
        with torch.no_grad():
            tagger.linear.weight *= 5
        sentences = make_sentences(30, seed=seed)
        tagger.predict(sentences, force_token_predictions=True)
        for sentence in sentences:
            tags = [token.get_label("ner").value for token in sentence]
            assert count_repairs(tags, tag_format) == 0, tags
            seen.update(tags)
    assert seen == set(tagger.label_dictionary.get_items())


class TestLoss:
    @formats
    def test_the_loss_normalizes_over_valid_sequences(self, tag_format: str, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, tag_format=tag_format)
        sentence = sentence_of([(0, 2, "PER"), (3, 4, "LOC")], 4)
        every = Enumeration(tagger, sentence)
        gold = tuple(tags_of(sentence.span_labels("ner"), 4, tag_format))
        loss, count = tagger.forward_loss([sentence])
        assert count == 4
        assert loss.item() == pytest.approx(-np.log(every.probabilities[every.tags.index(gold)]), abs=1e-4)

    @formats
    def test_words_of_a_span_with_an_unknown_label_may_be_anything_valid(
        self, tag_format: str, embeddings: WordEmbeddings
    ) -> None:
        tagger = make_tagger(embeddings, tag_format=tag_format)
        sentence = sentence_of([(0, 2, "NEW"), (3, 4, "LOC")], 4)
        every = Enumeration(tagger, sentence)
        known = tags_of([(3, 4, "LOC")], 4, tag_format)[2:]
        fitting = sum(
            probability
            for tags, probability in zip(every.tags, every.probabilities, strict=True)
            if list(tags[2:]) == known
        )
        loss, count = tagger.forward_loss([sentence])
        assert (loss.item(), count) == (pytest.approx(-np.log(fitting), abs=1e-4), 2)

    def test_weights_are_those_of_labels_and_of_tags(self, embeddings: WordEmbeddings) -> None:
        weights = {"PER": 3.0, "O": 0.5, "S-LOC": 7.0}
        tagger = make_tagger(embeddings, use_crf=False, loss_weights=weights)
        found = dict(zip(tagger.label_dictionary.get_items(), tagger.label_weights.tolist(), strict=True))
        assert found == {
            "O": 0.5, "S-PER": 3, "B-PER": 3, "I-PER": 3, "E-PER": 3, "S-LOC": 7, "B-LOC": 1, "I-LOC": 1, "E-LOC": 1
        }  # fmt: skip
        with pytest.raises(LabelError, match="B-NEW, but the labels are PER, LOC"):
            make_tagger(embeddings, use_crf=False, loss_weights={"B-NEW": 2.0})

    def test_predict_can_return_the_loss(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings)
        sentences = [*make_sentences(7), Sentence([])]
        expected, count = tagger.forward_loss(sentences)
        found = tagger.predict(sentences, mini_batch_size=2, return_loss=True)
        assert found[1] == count
        assert found[0].item() == pytest.approx(expected.item(), rel=1e-5)
        assert any(sentence.get_labels("ner") for sentence in sentences), "labels are written all the same"
        loss, count = tagger.predict(Sentence([]), return_loss=True)
        assert (float(loss), count) == (0, 0)


class TestEvaluation:
    @formats
    @heads
    def test_metrics_are_those_of_seqeval(
        self, tag_format: str, use_crf: bool, embeddings: WordEmbeddings, tmp_path: Path
    ) -> None:
        tagger = make_tagger(embeddings, tag_format=tag_format, use_crf=use_crf)
        sentences = make_sentences(40, [*LABELS, "NEW"])
        corpus = Corpus(sentences[:25])  # these are learned, so that something is right
        ModelTrainer(tagger, corpus).train(
            tmp_path, max_epochs=15, mini_batch_size=4, learning_rate=0.03, optimizer=torch.optim.Adam
        )
        result = tagger.evaluate(sentences, gold_label_type="ner")
        tagger.predict(sentences, label_name="found")
        golds, predictions = (
            [tags_of(sentence.span_labels(kind), len(sentence), tag_format) for sentence in sentences]
            for kind in ("ner", "found")
        )
        expected = seqeval_report(
            golds, predictions, output_dict=True, mode="strict", scheme=SCHEMES[tag_format], zero_division=0
        )
        assert 0.1 < result.main_score < 1
        assert set(result.classification_report) == set(expected)
        for name, figures in expected.items():
            assert result.classification_report[name] == pytest.approx(figures), name

    def test_gold_spans_stay_and_may_have_another_name(
        self, embeddings: WordEmbeddings, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        tagger = make_tagger(embeddings)
        sentences = make_sentences(5)
        expected = [sentence.span_labels("ner") for sentence in sentences]
        first = tagger.evaluate(sentences, "ner", out_path=tmp_path / "out.tsv")
        assert [sentence.span_labels("ner") for sentence in sentences] == expected
        rows = [row.split("\t") for row in (tmp_path / "out.tsv").read_text("utf-8").splitlines() if row]
        assert [row[1] for row in rows] == [tag for s in sentences for tag in tags_of(s.span_labels("ner"), len(s))]
        for sentence in sentences:
            sentence.set_span_labels("entity", sentence.span_labels("ner")).remove_labels("ner")
        assert tagger.evaluate(sentences, gold_label_type="entity").classification_report == first.classification_report
        result = tagger.evaluate(sentences)
        assert result.main_score == 0
        assert "no label type 'ner' in the data to evaluate; it has: entity" in caplog.text

    @pytest.mark.parametrize("form", ["txt", "jsonl"])
    def test_a_file_is_read(self, form: str, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        tagger = make_tagger(embeddings)
        sentences = make_sentences(8)
        path = tmp_path / f"gold.{form}"
        with path.open("w", encoding="utf-8") as file:
            for sentence in sentences:
                if form == "jsonl":
                    spans = [[s.start_position, s.end_position, s.tag] for s in sentence.get_spans("ner")]
                    file.write(json.dumps({"data": sentence.text, "label": spans}) + "\n")
                    continue
                tags = tags_of(sentence.span_labels("ner"), len(sentence), "BIO")
                for word, tag in zip(sentence.words, tags, strict=True):
                    file.write(f"{word}\tx\t{tag}\n")
                file.write("\n")
        assert tagger.evaluate(path).classification_report == tagger.evaluate(sentences).classification_report

    def test_labels_of_words_are_not_spans_and_the_remedy_is_named(self, embeddings: WordEmbeddings) -> None:
        sentence = Sentence(["w1", "w2"]).set_token_labels("ner", ["PER", None])
        with pytest.raises(LabelError, match=r"words or whole sentences have.*make_label_dictionary\('ner'\)"):
            make_tagger(embeddings).task.check([sentence], "the train split", for_training=True)


class TestUnknownLabels:
    @pytest.mark.parametrize(("tag_format", "use_crf"), [("BIOES", True), ("BIO", False)])
    def test_unknown_labels_are_learned_and_predicted_on_request(
        self, tag_format: str, use_crf: bool, embeddings: WordEmbeddings, tmp_path: Path
    ) -> None:
        tagger = make_tagger(
            embeddings, ["<unk>", *LABELS], tag_format=tag_format, use_crf=use_crf, allow_unk_predictions=True
        )
        sentences = [
            Sentence(["w1", "w2", "w3"]).set_span_labels("ner", [(0, 2, "NEW")]),
            Sentence(["w4", "w5"]).set_span_labels("ner", [(1, 2, "LOC")]),
        ]
        corpus = Corpus(sentences * 4)
        ModelTrainer(tagger, corpus).train(tmp_path, max_epochs=30, learning_rate=0.3, patience=50, mini_batch_size=4)
        loaded = SequenceTagger.load(tmp_path / "final-model.pt")
        found = loaded.predict([Sentence(sentence.words) for sentence in sentences])
        assert [sentence.span_labels("ner") for sentence in found] == [[(0, 2, "<unk>")], [(1, 2, "LOC")]]
        report = loaded.evaluate(sentences).classification_report
        assert report["NEW"]["recall"] == 0, "what is called <unk> is not called by its name"

    def test_a_split_may_have_only_unknown_labels(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        splits = [make_sentences(6, [label]) for label in ("PER", "NEW", "OTHER")]
        dictionary = Corpus(splits[0]).make_label_dictionary("ner", add_unk=True)
        tagger = SequenceTagger(embeddings, dictionary, "ner", hidden_size=4, allow_unk_predictions=True)
        result = ModelTrainer(tagger, Corpus(*splits)).train(tmp_path, max_epochs=1)
        assert result["test_score"] == 0
        with pytest.raises(LabelError, match="knows none of the labels of the train split"):
            ModelTrainer(make_tagger(embeddings), Corpus(splits[1])).train(tmp_path, max_epochs=1)

    def test_unknown_labels_of_words(self, embeddings: WordEmbeddings) -> None:
        dictionary = Dictionary.from_items(["<unk>", "A"])
        tagger = SequenceTagger(embeddings, dictionary, "pos", hidden_size=4, allow_unk_predictions=True).eval()
        sentence = Sentence(["w1", "w2"])
        losses = [
            tagger.forward_loss([sentence.set_token_labels("pos", labels)])
            for labels in (["A", "NEW"], ["A", "<unk>"], ["A", "A"], ["A", None])
        ]
        assert losses[0][0].item() == losses[1][0].item() != losses[2][0].item()
        assert [count for _, count in losses] == [2, 2, 2, 1]

    def test_a_warning_says_how_unknown_labels_are_treated(self, embeddings: WordEmbeddings) -> None:
        sentences = [sentence_of([(0, 1, "NEW"), (1, 2, "LOC")], 3)]
        for allowed, effect in ((True, "learned as <unk>"), (False, "teach the model nothing")):
            tagger = make_tagger(embeddings, allow_unk_predictions=allowed)
            [said] = tagger.task.check(sentences, "the train split", for_training=True)
            assert effect in said
            assert said.endswith("NEW (1)")


class TestWriting:
    def test_predictions_are_read_as_in_flair(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings)
        sentence = Sentence("w3 w9 w4 w8", use_tokenizer=False)
        tagger.predict(sentence)
        expected = [
            (sentence[start:stop].text, label) for start, stop, label in spans_of(tagger.n_best(sentence, n=1)[0].tags)
        ]
        assert expected
        spans = sentence.get_spans("ner")
        assert [(span.text, span.get_label("ner").value) for span in spans] == expected
        assert [(label.data_point.text, label.value) for label in sentence.get_labels("ner")] == expected
        assert [span.tag for span in spans] == [label for _, label in expected]
        shown = ", ".join(f'"{text}"/{label}' for text, label in expected)
        assert str(sentence) == sentence.to_tagged_string() == f'Sentence[4]: "w3 w9 w4 w8" → [{shown}]'
        assert sentence.to_tagged_string("ner") == str(sentence)
        for span in spans:
            assert str(span) == f"{span.unlabeled_identifier} → {span.tag} ({span.score:.4f})"

    def test_predicting_again_replaces_labels(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings)
        [sentence] = make_sentences(1, seed=4)
        tagger.predict(sentence)
        spans = sentence.span_labels("ner")
        tagger.predict(sentence, force_token_predictions=True)
        assert not sentence.get_spans("ner")
        tags = [token.get_label("ner").value for token in sentence]
        assert spans_of(tags) == spans
        assert all(isinstance(label.data_point, Token) for label in sentence.get_labels("ner"))
        tagger.predict(sentence)
        assert sentence.token_labels("ner") is None
        assert sentence.span_labels("ner") == spans

    def test_another_label_name_keeps_gold_labels(self, embeddings: WordEmbeddings) -> None:
        sentences = make_sentences(6)
        before = [sentence.span_labels("ner") for sentence in sentences]
        make_tagger(embeddings).predict(sentences, label_name="predicted", return_probabilities_for_all_classes=True)
        assert [sentence.span_labels("ner") for sentence in sentences] == before
        assert any(sentence.get_spans("predicted") for sentence in sentences)
        assert sentences[0][0].get_tags_proba_dist("ner") == []
        assert len(sentences[0][0].tags_proba_dist["predicted"]) == 9

    def test_no_python_call_is_made_for_each_word(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, ["PER"])
        with torch.no_grad():
            tagger.linear.bias[0] += 1000.0  # O, everywhere: where spans are written there are calls

        def count_calls(num_words: int) -> int:
            sentences = [sentence_of([], num_words, seed) for seed in range(64)]
            calls = 0

            def count(frame: FrameType, event: str, argument: object) -> None:
                nonlocal calls
                calls += event == "call"

            sys.setprofile(count)
            try:
                tagger.predict(sentences)
            finally:
                sys.setprofile(None)
            return calls

        count_calls(10)  # what is imported and compiled on the first use does not count
        assert count_calls(80) < 2 * count_calls(10)


class TestStoredOnTokens:
    def test_embeddings_are_stored_on_request(self, embeddings: WordEmbeddings, device: torch.device) -> None:
        tagger = make_tagger(embeddings).to(device)
        for mode, kind in (("none", None), ("cpu", "cpu"), ("gpu", device.type)):
            sentences = [*make_sentences(3), Sentence([])]
            tagger.predict(sentences, embedding_storage_mode=mode)
            found = [token.get_embedding() for sentence in sentences for token in sentence]
            assert {len(vector) for vector in found} == {0 if kind is None else 8}
            assert kind is None or {vector.device.type for vector in found} == {kind}
        with pytest.raises(SettingError, match="cpu, gpu, none, not 'disk'"):
            tagger.predict(sentences, embedding_storage_mode="disk")

    def test_probabilities_can_be_set_by_hand_and_are_copied(self, embeddings: WordEmbeddings) -> None:
        sentence = make_tagger(embeddings).predict("w1 w2", return_probabilities_for_all_classes=True)
        label = Label(sentence[0], "X", 0.5)
        sentence[0].add_tags_proba_dist("ner", [label])
        assert sentence[0].get_tags_proba_dist("ner") == [label]
        assert len(sentence[1].get_tags_proba_dist("ner")) == 9
        other = pickle.loads(pickle.dumps(sentence))
        for token, copied in zip(sentence, other, strict=True):
            values = [[(one.value, one.score) for one in some.get_tags_proba_dist("ner")] for some in (token, copied)]
            assert values[0] == values[1]
        make_tagger(embeddings).predict(sentence, return_probabilities_for_all_classes=True)
        assert len(sentence[0].get_tags_proba_dist("ner")) == 9, "another prediction is put in position of all"


@heads
def test_probabilities_of_labels_of_words_are_stored(use_crf: bool, embeddings: WordEmbeddings) -> None:
    dictionary = Dictionary.from_items(["<unk>", "A", "B", "C"])
    tagger = SequenceTagger(embeddings, dictionary, "pos", hidden_size=4, use_crf=use_crf, seed=1)
    sentence = tagger.predict(Sentence(["w1", "w2", "w3"]), return_probabilities_for_all_classes=True)
    labelings = tagger.n_best(sentence, n=27)
    for position, token in enumerate(sentence):
        probabilities = {label.value: label.score for label in token.get_tags_proba_dist("pos")}
        expected = {
            name: sum(labeling.probability for labeling in labelings if labeling.tags[position] == name)
            for name in "ABC"
        }
        assert probabilities == pytest.approx(expected, abs=1e-5)
        assert token.score == pytest.approx(probabilities[token.tag])


class TestFiles:
    @pytest.mark.parametrize("options", [{}, {"tag_format": "bio", "use_crf": False}, {"allow_unk_predictions": True}])
    def test_a_loaded_model_equals_the_saved_one(
        self, options: dict[str, Any], embeddings: WordEmbeddings, tmp_path: Path
    ) -> None:
        tagger = make_tagger(embeddings, **options)
        tagger.save(tmp_path / "model.pt")
        loaded = SequenceTagger.load(tmp_path / "model.pt")
        assert loaded.settings() == tagger.settings()
        assert loaded.task.class_names == tagger.task.class_names
        first, second = make_sentences(5), make_sentences(5)
        tagger.predict(first)
        loaded.predict(second)
        assert [str(sentence) for sentence in first] == [str(sentence) for sentence in second]

    def test_names_of_pretrained_models_of_flair_are_refused(self) -> None:
        with pytest.raises(
            ModelFileError, match=r"no model file at ner-fast.*the models that load by name are upos, pos, upos-fast"
        ):
            SequenceTagger.load("ner-fast")

    def test_files_older_than_spans_hold_models_of_words(self, embeddings: WordEmbeddings) -> None:
        tagger = SequenceTagger(embeddings, Dictionary.from_items(["<unk>", "A", "B"]), "pos", hidden_size=4)
        new = ("span_labels", "tag_format", "allow_unk_predictions", "train_initial_hidden_state")
        older = {name: value for name, value in tagger.settings().items() if name not in new}
        assert len(older) == len(tagger.settings()) - len(new)
        assert SequenceTagger.from_settings(older, embeddings).task.class_names == ("A", "B")


@pytest.mark.parametrize(
    ("options", "epochs", "limit"),
    [({}, 16, 0.7), ({"tag_format": "BIO", "use_crf": False}, 8, 0.4)],
    ids=["BIOES-CRF", "BIO"],
)
def test_the_script_of_flair_learns_names(
    options: dict[str, Any], epochs: int, limit: float, mini_vectors: WordEmbeddings, tmp_path: Path
) -> None:
    corpus = SAMPLE_NER()
    label_type = "ner"
    label_dict = corpus.make_label_dictionary(label_type=label_type, add_unk=False)
    tagger = SequenceTagger(
        hidden_size=64,
        embeddings=mini_vectors,
        tag_dictionary=label_dict,
        tag_type=label_type,
        locked_dropout=0.2,
        **options,
    )
    untrained = tagger.evaluate(corpus.train or (), gold_label_type=label_type).main_score
    trainer = ModelTrainer(tagger, corpus)
    result = trainer.train(
        tmp_path, learning_rate=0.01, mini_batch_size=16, max_epochs=epochs, optimizer=torch.optim.Adam
    )
    report = tagger.evaluate(corpus.train or (), gold_label_type=label_type)
    assert untrained < 0.2
    assert report.main_score > limit
    assert result["test_score"] > 0.2
    assert set(report.labels) == set(label_dict.get_items())
    assert "\n         LOC" in str(report)
