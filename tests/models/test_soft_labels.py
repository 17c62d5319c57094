"""Distributions of teachers: predicted, averaged, stored, attached and learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.datasets import UniversalDependenciesCorpus
from flairlite.embeddings import DocumentPoolEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.errors import LabelError, ModelFileError, SettingError
from flairlite.models import SequenceTagger, SoftLabels, TextClassifier
from flairlite.nn import Distillation
from flairlite.tokenization import SpaceTokenizer, StaccatoTokenizer
from flairlite.trainers import ModelTrainer

WORDS = [f"w{number}" for number in range(20)]
TAGS = ["A", "B", "C", "D"]


@pytest.fixture(scope="module")
def embeddings() -> WordEmbeddings:
    return WordEmbeddings(WordVectors(WORDS, np.random.default_rng(0).standard_normal((len(WORDS), 8))))


def make_tagger(embeddings: WordEmbeddings, tags: Sequence[str] = TAGS, **options: Any) -> SequenceTagger:
    defaults = {"hidden_size": 6, "word_dropout": 0.0, "locked_dropout": 0.0, "seed": 3}
    return SequenceTagger(embeddings, Dictionary.from_items(["<unk>", *tags]), "pos", **{**defaults, **options})


def make_sentences(lengths: Sequence[int], *, seed: int = 0) -> list[Sentence]:
    draw = np.random.default_rng(seed)
    return [Sentence(draw.choice(WORDS, length).tolist()) for length in lengths]


def distributions(tagger: SequenceTagger, sentences: Sequence[Sentence]) -> list[list[dict[str, float]]]:
    """Return the probability of each tag of each word, as `predict` writes them."""
    copies = tagger.predict([Sentence(sentence.words) for sentence in sentences], 64, True)
    return [
        [{label.value: label.score for label in token.get_tags_proba_dist(tagger.label_type)} for token in sentence]
        for sentence in copies
    ]


def attached(sentences: Sequence[Sentence], name: str) -> list[list[dict[str, float]]]:
    return [
        [{label.value: label.score for label in token.get_tags_proba_dist(name)} for token in sentence]
        for sentence in sentences
    ]


def assert_near(found: list[list[dict[str, float]]], expected: list[list[dict[str, float]]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert [word.keys() for word in one] == [word.keys() for word in other]
        for word, wanted in zip(one, other, strict=True):
            assert word == pytest.approx(wanted, abs=1e-3)  # float16


class TestPrediction:
    @pytest.mark.parametrize("use_crf", [True, False])
    def test_it_is_what_predict_computes(self, use_crf: bool, embeddings: WordEmbeddings) -> None:
        teacher, sentences = make_tagger(embeddings, use_crf=use_crf), make_sentences([3, 1, 0, 5])
        soft = SoftLabels.predict(teacher, sentences)
        assert repr(soft) == "SoftLabels(4 sentences, 9 words, 4 of 4 tags)"
        assert not any(sentence.label_types() for sentence in sentences)
        assert soft.attach(sentences, "teacher") == 4
        assert_near(attached(sentences, "teacher"), distributions(teacher, sentences))

    def test_only_the_most_probable_tags_are_kept(self, embeddings: WordEmbeddings) -> None:
        teacher, sentences = make_tagger(embeddings), make_sentences([3, 4])
        SoftLabels.predict(teacher, sentences, num_classes=2).attach(sentences, "teacher")
        for found, expected in zip(attached(sentences, "teacher"), distributions(teacher, sentences), strict=True):
            best = [dict(sorted(word.items(), key=lambda pair: -pair[1])[:2]) for word in expected]
            assert_near([found], [best])

    def test_several_teachers_are_averaged_over_the_tags_of_all(self, embeddings: WordEmbeddings) -> None:
        teachers = [make_tagger(embeddings), make_tagger(embeddings, ["D", "E", "A"], seed=5, use_crf=False)]
        sentences = make_sentences([3, 4])
        SoftLabels.predict(teachers, sentences).attach(sentences, "teachers")
        one, other = (distributions(teacher, sentences) for teacher in teachers)
        for index, found in enumerate(attached(sentences, "teachers")):
            for word, left, right in zip(found, one[index], other[index], strict=True):
                assert set(word) == {"A", "B", "C", "D", "E"}
                for tag, probability in word.items():
                    assert probability == pytest.approx((left.get(tag, 0) + right.get(tag, 0)) / 2, abs=1e-3)

    def test_teachers_of_different_tagging_schemes_are_refused(self, embeddings: WordEmbeddings) -> None:
        spans = Dictionary.from_items(["X"])
        spans.span_labels = True
        options: list[tuple[Dictionary, str]] = [
            (spans, "BIO"),
            (spans, "BIOES"),
            (Dictionary.from_items(["X"]), "BIO"),
        ]
        taggers = [
            SequenceTagger(embeddings, dictionary, "ner", tag_format=tag_format, hidden_size=6)
            for dictionary, tag_format in options
        ]
        for teachers in (taggers[:2], taggers[1:]):
            with pytest.raises(SettingError, match="the teachers of 'ner' have tags of different kinds, BIO"):
                SoftLabels.predict(teachers, make_sentences([3]))

    def test_parts_predicted_by_different_teachers_are_joined(self, embeddings: WordEmbeddings) -> None:
        teachers = [make_tagger(embeddings), make_tagger(embeddings, ["E", "A"], seed=5)]
        parts = [make_sentences([3, 4]), make_sentences([2, 5], seed=1)]
        pieces = [
            SoftLabels.predict(teacher, part, num_classes=size)
            for teacher, part, size in zip(teachers, parts, (4, 2), strict=True)
        ]
        joined = SoftLabels.join(pieces)
        assert joined.names == ("A", "B", "C", "D", "E")
        assert joined.attach([*parts[0], *parts[1]], "teachers") == 4
        for teacher, part in zip(teachers, parts, strict=True):
            found = [
                [{tag: value for tag, value in word.items() if tag in teacher.label_names} for word in sentence]
                for sentence in attached(part, "teachers")
            ]
            for sentence, expected in zip(found, distributions(teacher, part), strict=True):
                for word, wanted in zip(sentence, expected, strict=True):
                    assert {tag: word.get(tag, 0) for tag in wanted} == pytest.approx(wanted, abs=1e-3)

    def test_of_the_same_words_in_several_parts_the_first_counts(self, embeddings: WordEmbeddings) -> None:
        teachers, sentences = [make_tagger(embeddings), make_tagger(embeddings, seed=9)], make_sentences([3])
        joined = SoftLabels.join([SoftLabels.predict(teacher, sentences) for teacher in teachers])
        joined.attach(sentences, "teacher")
        assert_near(attached(sentences, "teacher"), distributions(teachers[0], sentences))

    def test_one_label_type_of_several_is_predicted(self, embeddings: WordEmbeddings) -> None:
        types = {"pos": Dictionary.from_items(TAGS), "case": Dictionary.from_items(["up", "low"])}
        teacher, sentences = SequenceTagger(embeddings, types, "pos", hidden_size=6), make_sentences([3])
        assert SoftLabels.predict(teacher, sentences, "case").names == ("up", "low")
        assert SoftLabels.predict(teacher, sentences).names == tuple(TAGS)

    def test_several_label_types_are_predicted_at_once_in_the_order_asked_for(self, embeddings: WordEmbeddings) -> None:
        types = {"pos": Dictionary.from_items(TAGS), "case": Dictionary.from_items(["up", "low"])}
        teachers = [SequenceTagger(embeddings, types, "pos", hidden_size=6, seed=seed) for seed in (1, 2)]
        sentences = make_sentences([3, 1, 4])
        calls: list[int] = []
        teachers[0].rnn.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[union-attr]
        found = SoftLabels.predict_types(teachers, sentences, ["case", "pos"])
        assert calls == [1], "the network runs once for both types"
        for soft, name in zip(found, ("case", "pos"), strict=True):
            expected = SoftLabels.predict(teachers, sentences, name)
            assert soft.names == expected.names
            assert (soft.class_ids == expected.class_ids).all()
            assert (soft.probabilities == expected.probabilities).all()

    def test_sentences_keep_their_words_whatever_the_tokenizer_of_the_teacher(self, embeddings: WordEmbeddings) -> None:
        teacher = make_tagger(embeddings)
        teacher.tokenizer = StaccatoTokenizer()
        sentence = Sentence("w1.w2 w3", use_tokenizer=SpaceTokenizer())
        assert SoftLabels.predict(teacher, [sentence]).attach([sentence], "teacher") == 1
        assert sentence.words == ["w1.w2", "w3"]

    def test_sentences_are_read_once_and_none_is_none(self, embeddings: WordEmbeddings) -> None:
        soft = SoftLabels.predict(make_tagger(embeddings), iter(make_sentences([2, 3])))
        assert len(soft.keys) == 2
        empty = SoftLabels.predict(make_tagger(embeddings), [])
        assert (len(empty.keys), empty.class_ids.shape, empty.attach([], "teacher")) == (0, (0, 4), 0)

    @pytest.mark.parametrize("given", [5, None, "text", {"text": "w1"}, Corpus([]), b"w1"], ids=["5", "None", *"tdcb"])
    def test_only_sentences_are_predicted(self, given: Any, embeddings: WordEmbeddings) -> None:
        with pytest.raises(SettingError, match="a model takes sentences"):
            SoftLabels.predict(make_tagger(embeddings), given)

    def test_a_text_is_to_be_given_as_a_sentence(self, embeddings: WordEmbeddings) -> None:
        texts: list[Any] = ["w1 w2"]
        with pytest.raises(SettingError, match=r"got a str: 'w1 w2'; give a text as Sentence\(text\)"):
            SoftLabels.predict(make_tagger(embeddings), texts)

    def test_a_set_of_label_types_has_one_at_least(self, embeddings: WordEmbeddings) -> None:
        with pytest.raises(SettingError, match="at least one label type"):
            SoftLabels.predict_types(make_tagger(embeddings), make_sentences([2]), [])

    def test_any_iterable_of_parts_is_joined_and_nothing_else(self, embeddings: WordEmbeddings) -> None:
        soft: Any = SoftLabels.predict(make_tagger(embeddings), make_sentences([2, 3]))
        assert SoftLabels.join(part for part in (soft, soft)).keys.shape == (4, 16)  # type: ignore[arg-type]
        for given in (soft, None, 5, [], [None]):
            with pytest.raises(SettingError, match="a list of at least one SoftLabels"):
                SoftLabels.join(given)

    @pytest.mark.parametrize("kind", ["none", "a name", "a classifier", "another type", "texts", "no classes"])
    def test_what_makes_no_sense_is_refused(self, kind: str, embeddings: WordEmbeddings) -> None:
        tagger: Any = make_tagger(embeddings)
        classifier = TextClassifier(DocumentPoolEmbeddings(embeddings), "topic", Dictionary.from_items(["A"]))  # type: ignore[arg-type]
        models = {"none": [], "a name": "model.pt", "a classifier": classifier}.get(kind, tagger)
        texts: list[Any] = ["w1 w2"] if kind == "texts" else make_sentences([2])
        options: dict[str, Any] = {"another type": {"label_type": "ner"}, "no classes": {"num_classes": 0}}.get(
            kind, {}
        )
        with pytest.raises(SettingError):
            SoftLabels.predict(models, texts, **options)

    def test_it_takes_four_bytes_per_class(self, embeddings: WordEmbeddings) -> None:
        soft = SoftLabels.predict(make_tagger(embeddings), make_sentences([5, 7]), num_classes=3)
        assert soft.class_ids.nbytes + soft.probabilities.nbytes == 12 * 3 * 4


class TestFiles:
    def test_a_loaded_file_is_the_same(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        sentences = make_sentences([3, 1, 5])
        soft = SoftLabels.predict(make_tagger(embeddings), sentences)
        soft.save(tmp_path / "soft.pt")
        loaded = SoftLabels.load(tmp_path / "soft.pt")
        assert loaded.names == soft.names
        for name in ("keys", "ends", "class_ids", "probabilities"):
            one, other = getattr(loaded, name), getattr(soft, name)
            assert one.dtype == other.dtype
            assert (one == other).all()

    def test_other_and_damaged_files_are_refused(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        path = tmp_path / "soft.pt"
        make_tagger(embeddings).save(path)
        with pytest.raises(ModelFileError, match="is not a soft labels file"):
            SoftLabels.load(path)
        soft = SoftLabels.predict(make_tagger(embeddings), make_sentences([3]))
        soft.class_ids[0, 0] = 99
        soft.save(path)
        with pytest.raises(ModelFileError, match="its arrays contradict each other"):
            SoftLabels.load(path)
        with pytest.raises(ModelFileError, match=r"no soft labels file at .* that SoftLabels\.save wrote"):
            SoftLabels.load(tmp_path / "missing.pt")
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(ModelFileError, match=r"or it is damaged .* write it again with SoftLabels\.save$"):
            SoftLabels.load(path)

    @pytest.mark.parametrize("name", ["keys", "ends", "class_ids", "probabilities"])
    def test_arrays_of_another_type_are_damage(self, name: str, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        soft = SoftLabels.predict(make_tagger(embeddings), make_sentences([3]))
        replace(soft, **{name: getattr(soft, name).astype(np.float32)}).save(tmp_path / "soft.pt")
        with pytest.raises(ModelFileError, match="its arrays contradict each other"):
            SoftLabels.load(tmp_path / "soft.pt")

    def test_names_that_repeat_are_damage(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        soft = SoftLabels.predict(make_tagger(embeddings), make_sentences([3]))
        replace(soft, names=(soft.names[1], *soft.names[1:])).save(tmp_path / "soft.pt")
        with pytest.raises(ModelFileError, match="its arrays contradict each other"):
            SoftLabels.load(tmp_path / "soft.pt")


class TestAttach:
    def test_sentences_are_found_by_their_words(self, embeddings: WordEmbeddings) -> None:
        predicted = make_sentences([3, 4])
        soft = SoftLabels.predict(make_tagger(embeddings), predicted)
        other = Sentence(["w1", "unseen"])
        assert soft.attach([other, Sentence(predicted[1].words)], "teacher") == 1
        assert other[0].get_tags_proba_dist("teacher") == []
        with pytest.raises(LabelError, match="none of the 1 sentences has the words of one of the 2 predicted ones"):
            soft.attach([other], "teacher")
        with pytest.raises(SettingError, match="name must be a string"):
            soft.attach([other], "")

    @pytest.mark.parametrize("is_first", [False, True])
    @pytest.mark.parametrize(
        ("words", "others"),
        [
            (["w1\x1fw2"], ["w1", "w2"]),
            (["w1\x1fw2", "w3"], ["w1", "w2\x1fw3"]),
            (["\x1f"], ["", ""]),
            ([], [""]),
            (["a", ""], ["a\x1f"]),
        ],
        ids=ascii,
    )
    def test_words_with_control_characters_are_not_taken_for_others(
        self, words: list[str], others: list[str], is_first: bool, embeddings: WordEmbeddings
    ) -> None:
        known, unknown = (others, words) if is_first else (words, others)
        soft = SoftLabels.predict(make_tagger(embeddings), [Sentence(known)])
        assert soft.attach([Sentence(known)], "teacher") == 1
        with pytest.raises(LabelError, match="none of the 1 sentences"):
            soft.attach([Sentence(unknown)], "teacher")

    def test_a_row_of_another_length_is_of_another_sentence(self, embeddings: WordEmbeddings) -> None:
        soft = SoftLabels.predict(make_tagger(embeddings), make_sentences([2, 3]))
        changed = replace(soft, ends=np.array([1, 5]))  # as if two sentences had one key
        with pytest.raises(LabelError, match="none of the 2 sentences"):
            changed.attach(make_sentences([2, 3]), "teacher")

    def test_sentences_that_are_read_at_each_access_are_refused(
        self, embeddings: WordEmbeddings, tmp_path: Path
    ) -> None:
        (tmp_path / "train.conllu").write_text("1\tw1\t_\tA\t_\t_\t0\troot\t_\t_\n\n")
        corpus = UniversalDependenciesCorpus(tmp_path, in_memory=False)
        soft = SoftLabels.predict(make_tagger(embeddings), corpus.train or ())
        assert len(soft.keys) == 1
        with pytest.raises(SettingError, match="only to sentences in memory"):
            soft.attach(corpus.train or (), "teacher")

    def test_a_tagger_without_the_tags_of_its_teacher_is_told_so(self, embeddings: WordEmbeddings) -> None:
        sentences = make_sentences([3])
        SoftLabels.predict(make_tagger(embeddings), sentences).attach(sentences, "teacher")
        student = make_tagger(embeddings, ["Y", "Z"], soft_labels="teacher")
        with pytest.raises(LabelError, match="knows none of the classes of the 'teacher' distributions, A, B, C, D"):
            student.forward_loss(sentences)


class TestLearning:
    @pytest.mark.parametrize("use_crf", [True, False])
    def test_the_loss_mixes_gold_labels_and_distributions(self, use_crf: bool, embeddings: WordEmbeddings) -> None:
        """With gold labels, without, and without distributions: the weights are those of the documentation."""
        sentences = make_sentences([3, 3, 3])
        SoftLabels.predict(make_tagger(embeddings, seed=8), sentences).attach(sentences[:2], "teacher")
        for sentence in (sentences[0], sentences[2]):
            sentence.set_token_labels("pos", ["A", "B", "C"])
        plain = make_tagger(embeddings, use_crf=use_crf)
        student = make_tagger(embeddings, use_crf=use_crf, soft_labels="teacher", distillation_weight=0.3)
        gold, last = (plain.forward_loss([sentences[index]])[0].item() for index in (0, 2))
        only = make_tagger(embeddings, use_crf=use_crf, soft_labels="teacher", distillation_weight=1.0)
        divergences = [only.forward_loss([sentence])[0].item() for sentence in sentences[:2]]
        loss, count = student.forward_loss(sentences)
        assert loss.item() == pytest.approx(0.7 * gold + 0.3 * divergences[0] + divergences[1] + last, rel=1e-4)
        assert count == 9

    def test_the_divergence_is_0_for_the_teacher_itself(self, embeddings: WordEmbeddings) -> None:
        teacher, sentences = make_tagger(embeddings, use_crf=False), make_sentences([3, 5])
        SoftLabels.predict(teacher, sentences).attach(sentences, "teacher")
        twin = make_tagger(embeddings, use_crf=False, soft_labels="teacher")
        twin.load_state_dict(teacher.state_dict())
        assert twin.forward_loss(sentences)[0].item() == pytest.approx(0, abs=1e-3)

    def test_tags_that_the_student_lacks_are_left_out(self, embeddings: WordEmbeddings) -> None:
        sentences = make_sentences([4])
        SoftLabels.predict(make_tagger(embeddings), sentences).attach(sentences, "teacher")
        student = make_tagger(embeddings, ["B", "D"], use_crf=False, soft_labels="teacher")
        loss = student.forward_loss(sentences)[0].item()
        batch = student.encode(sentences).batch(torch.arange(1))
        student_scores = student(batch).log_softmax(2)[0]
        expected = 0.0
        for row, word in enumerate(attached(sentences, "teacher")[0]):
            total = word["B"] + word["D"]
            for column, tag in enumerate(("B", "D")):
                share = word[tag] / total
                expected += share * (np.log(share) - student_scores[row, column].item())
        assert loss == pytest.approx(expected, rel=1e-3)

    def test_distributions_of_predict_can_be_learned_too(self, embeddings: WordEmbeddings) -> None:
        teacher, sentences = make_tagger(embeddings, seed=8, use_crf=False), make_sentences([3, 4])
        SoftLabels.predict(teacher, sentences).attach(sentences, "teacher")
        options: dict[str, Any] = {"use_crf": False}
        expected = make_tagger(embeddings, soft_labels="teacher", **options).forward_loss(sentences)[0].item()
        texts = teacher.predict([Sentence(sentence.words) for sentence in sentences], 64, True)
        for sentence in texts:
            sentence.remove_labels("pos")
        found = make_tagger(embeddings, soft_labels="pos", **options).forward_loss(texts)[0].item()
        assert found == pytest.approx(expected, abs=1e-2)

    def test_one_type_of_several_learns_distributions(self, embeddings: WordEmbeddings) -> None:
        types = {"pos": Dictionary.from_items(TAGS), "case": Dictionary.from_items(["up", "low"])}
        sentences = make_sentences([3, 4])
        SoftLabels.predict(make_tagger(embeddings, seed=8), sentences).attach(sentences, "teacher")
        for sentence in sentences:
            sentence.set_token_labels("case", ["up"] * len(sentence))
        options: dict[str, Any] = {"hidden_size": 6, "use_crf": False, "word_dropout": 0.0, "locked_dropout": 0.0}
        both = SequenceTagger(embeddings, types, "case", soft_labels={"pos": "teacher"}, seed=1, **options)
        case = SequenceTagger(embeddings, types, "case", seed=1, **options)
        difference = both.forward_loss(sentences)[0].item() - case.forward_loss(sentences)[0].item()
        head = both.heads[1]
        batch = both.encode(sentences).batch(torch.arange(2))
        assert difference > 0.1
        assert both.settings()["soft_labels"] == {"pos": "teacher"}
        assert both.split_scores(both(batch))[1].shape == (2, 4, len(head.task.class_names))

    def test_spans_learn_distributions_of_their_tags(self, embeddings: WordEmbeddings) -> None:
        dictionary = Dictionary.from_items(["X"])
        dictionary.span_labels = True
        teacher = SequenceTagger(embeddings, dictionary, "ner", hidden_size=6, seed=1)
        sentences = make_sentences([3, 4])
        SoftLabels.predict(teacher, sentences).attach(sentences, "teacher")
        student = SequenceTagger(
            embeddings, dictionary, "ner", hidden_size=6, use_crf=False, soft_labels="teacher", distillation_weight=1.0
        )
        loss, count = student.forward_loss(sentences)
        assert (loss.item() > 0, count) == (True, 7)
        other = SequenceTagger(
            embeddings, dictionary, "ner", tag_format="BIO", hidden_size=6, use_crf=False, soft_labels="teacher"
        )
        with pytest.raises(LabelError, match="prefixes B, E, I, S, but the model has B, I: give it the tag_format"):
            other.forward_loss(sentences)

    def test_settings_are_kept_in_files(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        student = make_tagger(
            embeddings,
            soft_labels="teacher",
            distillation_weight=0.0,
            distillation_temperature=2.0,
            label_smoothing=0.1,
        )
        student.save(tmp_path / "model.pt")
        loaded = SequenceTagger.load(tmp_path / "model.pt", device="cpu")
        assert loaded.settings() == student.settings()
        assert loaded.soft_types == ("teacher",)
        assert loaded.loss_settings.distillation == Distillation(0.0, 2.0)
        assert loaded.loss_settings.label_smoothing == 0.1

    def test_training_without_the_distributions_is_refused(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        sentences = make_sentences([3, 4])
        student = make_tagger(embeddings, soft_labels="teacher")
        with pytest.raises(LabelError, match="no sentence of the train split has distributions 'teacher'"):
            ModelTrainer(student, Corpus(sentences)).train(tmp_path)
        for sentence in sentences:
            sentence.set_token_labels("pos", ["A"] * len(sentence))
        with pytest.raises(LabelError, match=r"or learn from labels alone after tagger\.forget_soft_labels\(\)"):
            ModelTrainer(student, Corpus(sentences)).train(tmp_path)
        student.forget_soft_labels()
        losses = [each.forward_loss(sentences)[0].item() for each in (student, make_tagger(embeddings))]
        assert losses[0] == losses[1]
        ModelTrainer(student, Corpus(sentences)).train(tmp_path, max_epochs=1)

    @pytest.mark.parametrize("use_crf", [True, False])
    def test_a_student_of_raw_text_predicts_as_its_teacher(
        self, use_crf: bool, sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path
    ) -> None:
        """It sees no gold label, and agrees with its teacher on other text far more often than with the gold labels."""
        train, test = list(sample.train or ())[:250], list(sample.test or ())[:60]
        dictionary = sample.make_label_dictionary("upos")
        options: dict[str, Any] = {"optimizer": torch.optim.Adam, "learning_rate": 0.02, "mini_batch_size": 25}
        plain: dict[str, Any] = {"use_rnn": False, "seed": 7, "word_dropout": 0.0, "locked_dropout": 0.0}
        teacher = SequenceTagger(mini_vectors, dictionary, "upos", use_crf=False, **{**plain, "seed": 0})
        ModelTrainer(teacher, Corpus(train)).train(tmp_path / "teacher", max_epochs=4, **options)
        texts = [Sentence(sentence.words) for sentence in train]
        SoftLabels.predict(teacher, texts).attach(texts, "teacher")
        student = SequenceTagger(mini_vectors, dictionary, "upos", use_crf=use_crf, soft_labels="teacher", **plain)
        ModelTrainer(student, Corpus(texts)).train(tmp_path / "student", max_epochs=8, **options)
        tagged = teacher.predict([Sentence(sentence.words) for sentence in test])
        agreement, accuracy = student.evaluate(tagged).accuracy, student.evaluate(test).accuracy
        assert agreement > 0.85
        assert agreement > accuracy + 0.1
