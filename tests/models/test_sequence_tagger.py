"""The tagger: every option learns and is kept in files, its loss is that of the mathematics, `<unk>` is never said."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentences import tagged
from torch import Tensor

import flairlite
from flairlite.data import Corpus, Dictionary, Sentence
from flairlite.embeddings import StackedEmbeddings, TokenEmbeddings, WordEmbeddings
from flairlite.embeddings.vectors import WordVectors
from flairlite.encoding import Batch
from flairlite.errors import FlairliteError, LabelError, SettingError
from flairlite.models import SequenceTagger
from flairlite.trainers import ModelTrainer

WORDS = [f"w{number}" for number in range(30)]
TAGS = ["A", "B", "C", "D"]

RNNS: list[dict[str, Any]] = [
    {"use_rnn": False},
    {"rnn_type": "LSTM", "rnn_layers": 1, "bidirectional": True, "train_initial_hidden_state": True},
    *(
        {"rnn_type": rnn_type, "rnn_layers": layers, "bidirectional": bidirectional}
        for rnn_type, layers, bidirectional in itertools.product(("LSTM", "GRU", "RNN"), (1, 2), (True, False))
    ),
]
HEADS: list[dict[str, Any]] = [{"use_crf": True}, {"use_crf": False}, {"use_crf": False, "loss_weights": {"B": 3.0}}]
FRONTS: list[dict[str, Any]] = [
    {"reproject_embeddings": True, "dropout": 0.0, "word_dropout": 0.05, "locked_dropout": 0.5},
    {"reproject_embeddings": False, "dropout": 0.3, "word_dropout": 0.0, "locked_dropout": 0.0},
]
OPTIONS = [{**rnn, **head, **front} for rnn, head, front in itertools.product(RNNS, HEADS, FRONTS)]


def named(options: dict[str, Any]) -> str:
    return "-".join(f"{name}={value}" for name, value in options.items() if "drop" not in name)


@pytest.fixture
def embeddings() -> WordEmbeddings:
    return WordEmbeddings(WordVectors(WORDS, np.random.default_rng(0).standard_normal((len(WORDS), 8))))


def make_tagger(embeddings: TokenEmbeddings, tags: Sequence[str] = ("<unk>", *TAGS), **options: Any) -> SequenceTagger:
    """Make a tiny tagger; without dropout unless it is asked for."""
    settings = {"hidden_size": 6, "word_dropout": 0.0, "locked_dropout": 0.0, "seed": 3, **options}
    return SequenceTagger(embeddings, Dictionary.from_items(tags), "pos", **settings)


def make_sentences(lengths: Sequence[int], *, part_labelled: float = 1.0, seed: int = 0) -> list[Sentence]:
    draw = random.Random(seed)
    return [
        Sentence(draw.choices(WORDS, k=length)).set_token_labels(
            "pos", [draw.choice(TAGS) if draw.random() < part_labelled else None for _ in range(length)]
        )
        for length in lengths
    ]


def batch_of(tagger: SequenceTagger, sentences: Sequence[Sentence]) -> Batch:
    labels = tagger.task.all_labels(sentences)
    return tagger.encode(sentences, label_type="pos", labels=labels).batch(torch.arange(len(sentences)))


def loss_and_gradients(
    tagger: SequenceTagger, batches: Sequence[Sequence[Sentence]]
) -> tuple[float, dict[str, Tensor]]:
    """Return the summed loss of several batches, and the gradients of the sum."""
    tagger.train()
    tagger.zero_grad()
    total = 0.0
    for sentences in batches:
        batch = batch_of(tagger, sentences)
        loss = tagger.loss(tagger(batch), batch)
        torch.autograd.backward(loss)
        total += float(loss.detach())
    return total, gradients_of(tagger)


def gradients_of(tagger: SequenceTagger) -> dict[str, Tensor]:
    return {name: weight.grad.clone() for name, weight in tagger.named_parameters() if weight.grad is not None}


def assert_same_gradients(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        scale = float(gradient.abs().max()) + 1e-3
        assert torch.allclose(actual[name] / scale, gradient / scale, rtol=1e-4, atol=2e-5), name


class TestOptions:
    @pytest.mark.parametrize("options", OPTIONS, ids=named)
    def test_every_option_trains_a_step_and_predicts_the_same_after_a_round_trip(
        self, options: dict[str, Any], embeddings: WordEmbeddings, tmp_path: Path, device: torch.device
    ) -> None:
        tagger = make_tagger(embeddings, **options).to(device)
        sentences = make_sentences([3, 1, 8, 5], part_labelled=0.8)
        before = {name: weight.clone() for name, weight in tagger.state_dict().items()}
        optimizer = torch.optim.SGD(tagger.parameters(), lr=0.1)
        tagger.train()
        batch = batch_of(tagger, sentences)
        loss = tagger.loss(tagger(batch, torch.Generator(device).manual_seed(0)), batch)
        assert loss.shape == ()
        assert 0 < loss.item() < math.inf
        torch.autograd.backward(loss)
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in tagger.parameters())
        optimizer.step()
        unchanged = [name for name, weight in tagger.state_dict().items() if torch.equal(weight, before[name])]
        assert unchanged == []

        tagger.save(tmp_path / "model.pt")
        loaded = SequenceTagger.load(tmp_path / "model.pt", device=device)
        assert loaded.settings() == tagger.settings()
        mine, theirs = make_sentences([4, 1, 9]), make_sentences([4, 1, 9])
        tagger.predict(mine, label_name="predicted")
        loaded.predict(theirs, label_name="predicted")
        for one, other in zip(mine, theirs, strict=True):
            assert len(one.get_labels("predicted")) == len(one)
            assert one.token_labels("predicted") == other.token_labels("predicted")
            assert [label.score for label in one.get_labels("predicted")] == pytest.approx(
                [label.score for label in other.get_labels("predicted")], rel=1e-5
            )

    @pytest.mark.parametrize("options", OPTIONS[:: len(HEADS) * len(FRONTS)], ids=named)
    def test_the_network_has_the_given_settings(self, options: dict[str, Any], embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, **options)
        printed = str(tagger)
        if options.get("use_rnn", True):
            assert f"{options['rnn_type']}(8, 6" in printed
            assert ("num_layers=2" in printed) == (options["rnn_layers"] == 2)
            assert ("bidirectional=True" in printed) == options["bidirectional"]
        else:
            assert "RNN" not in printed
        assert ("(reprojection): Linear(in_features=8, out_features=8" in printed) == options["reproject_embeddings"]
        assert ("LinearChainCRF(num_tags=4)" in printed) == options["use_crf"]
        assert f"p={options['locked_dropout']}" in printed

    def test_two_taggers_can_share_a_network(self, embeddings: WordEmbeddings) -> None:
        shared = torch.nn.LSTM(8, 5, num_layers=2, bidirectional=True, batch_first=True)
        first, second = (make_tagger(embeddings, rnn=shared, reproject_embeddings=False) for _ in range(2))
        assert (first.hidden_size, first.rnn_layers, first.rnn_type) == (5, 2, "LSTM")
        sentence = make_sentences([4])
        batch = batch_of(second, sentence)
        before = second(batch)
        loss, _ = first.forward_loss(sentence)
        torch.autograd.backward(loss)
        torch.optim.SGD(first.rnn.parameters(), lr=0.1).step()  # type: ignore[union-attr]
        assert not torch.allclose(before, second(batch)), "what one learns, the other knows"
        settings = first.settings()
        assert SequenceTagger.from_settings(settings, embeddings).settings() == settings

    @pytest.mark.parametrize("kind", ["stacked", "fine-tuned"])
    def test_other_embeddings_are_trained_and_saved(self, kind: str, tmp_path: Path) -> None:
        vectors = WordVectors(WORDS, np.random.default_rng(1).standard_normal((len(WORDS), 5)))
        plain, tuned = WordEmbeddings(vectors), WordEmbeddings(vectors, fine_tune=True)
        tagger = make_tagger(StackedEmbeddings([plain, tuned]) if kind == "stacked" else tuned)
        assert tagger.embeddings.embedding_length == (10 if kind == "stacked" else 5)
        assert tuned.weight is not None
        before = tuned.weight.detach().clone()
        sentences = make_sentences([6] * 8)
        ModelTrainer(tagger, Corpus(sentences)).train(tmp_path, max_epochs=2, mini_batch_size=4, device="cpu")
        assert not torch.equal(before, tuned.weight)
        loaded = SequenceTagger.load(tmp_path / "final-model.pt", device="cpu")
        for sentence in sentences:
            other = Sentence(sentence.words)
            tagger.predict(sentence)
            loaded.predict(other)
            assert other.token_labels("pos") == sentence.token_labels("pos")

    def test_printing_shows_the_modules(self, embeddings: WordEmbeddings) -> None:
        printed = str(make_tagger(embeddings))
        assert printed.startswith("SequenceTagger(\n  (embeddings): WordEmbeddings(")
        assert "LSTM(8, 6, batch_first=True, bidirectional=True)" in printed
        assert "(linear): Linear(in_features=12, out_features=4, bias=True)" in printed


class TestBadOptions:
    def test_loss_weights_and_a_crf_are_refused(self, embeddings: WordEmbeddings) -> None:
        with pytest.raises(SettingError, match="use_crf=False"):
            make_tagger(embeddings, loss_weights={"A": 2.0})

    def test_loss_weights_of_unknown_labels_are_refused(self, embeddings: WordEmbeddings) -> None:
        with pytest.raises(LabelError, match="X, Y, but the labels are A, B, C, D"):
            make_tagger(embeddings, use_crf=False, loss_weights={"Y": 2.0, "A": 1.0, "X": 2.0})

    @pytest.mark.parametrize("dictionary", [Dictionary(), Dictionary(add_unk=False)], ids=["only <unk>", "empty"])
    def test_a_dictionary_without_a_label_is_refused(self, embeddings: WordEmbeddings, dictionary: Dictionary) -> None:
        with pytest.raises(LabelError, match="make_label_dictionary"):
            SequenceTagger(embeddings, dictionary, "pos")

    @pytest.mark.parametrize("option", ["dropout", "word_dropout", "locked_dropout"])
    @pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, float("nan")])
    def test_a_dropout_rate_of_1_or_more_is_refused(self, embeddings: WordEmbeddings, option: str, rate: float) -> None:
        options: dict[str, Any] = {option: rate}
        with pytest.raises(SettingError, match=r"dropout must be (a number|at least 0 and below 1)"):
            make_tagger(embeddings, **options)

    def test_an_unknown_rnn_type_is_refused_with_the_known_ones(self, embeddings: WordEmbeddings) -> None:
        with pytest.raises(SettingError, match="LSTM, GRU, RNN, not 'Transformer'"):
            make_tagger(embeddings, rnn_type="Transformer")

    @pytest.mark.parametrize("option", ["hidden_size", "rnn_layers"])
    def test_a_network_of_size_0_is_refused(self, embeddings: WordEmbeddings, option: str) -> None:
        options: dict[str, Any] = {option: 0}
        with pytest.raises(FlairliteError, match=option):
            make_tagger(embeddings, **options)


class TestUnknownLabels:
    @pytest.mark.parametrize("items", [["<unk>", *TAGS], [*TAGS, "<unk>"], TAGS, ["A", "<unk>", "B"]])
    @pytest.mark.parametrize("use_crf", [True, False])
    def test_unk_is_never_predicted(self, items: list[str], use_crf: bool, embeddings: WordEmbeddings) -> None:
        expected = {item for item in items if item != "<unk>"}
        seen: set[str | None] = set()
        for seed in range(8):
            tagger = make_tagger(embeddings, items, seed=seed, use_crf=use_crf)
            sentences = make_sentences([20, 3], seed=seed)
            tagger.predict(sentences)
            seen.update(*(sentence.token_labels("pos") or () for sentence in sentences))
        assert seen == expected

    def test_unk_is_not_even_learned_from_sentences_that_have_it(
        self, embeddings: WordEmbeddings, tmp_path: Path
    ) -> None:
        sentences = [tagged("w1/<unk> w2/<unk> w3/A w4/<unk>") for _ in range(16)]
        tagger = make_tagger(embeddings)
        ModelTrainer(tagger, Corpus(sentences)).train(tmp_path, max_epochs=5, mini_batch_size=2)
        predicted = tagger.predict(Sentence(["w1", "w2", "w3", "w4"]))
        assert "<unk>" not in (predicted.token_labels("pos") or ())
        assert predicted.has_label("pos")

    @pytest.mark.parametrize("use_crf", [True, False])
    def test_a_word_with_an_unknown_label_counts_as_unlabelled(self, use_crf: bool, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, use_crf=use_crf)
        unknown = [tagged("w1/A w2/NEW w3/B"), tagged("w4/<unk> w5/C")]
        without = [tagged("w1/A w2 w3/B"), tagged("w4 w5/C")]
        loss, gradients = loss_and_gradients(tagger, [unknown])
        expected, expected_gradients = loss_and_gradients(tagger, [without])
        assert loss == pytest.approx(expected, rel=1e-6)
        assert_same_gradients(gradients, expected_gradients)


class TestRandomness:
    def test_the_same_seed_gives_the_same_weights_and_another_seed_others(self, embeddings: WordEmbeddings) -> None:
        first, again, other = (make_tagger(embeddings, seed=seed).state_dict() for seed in (5, 5, 6))
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert not any(torch.equal(first[name], other[name]) for name in first)

    def test_without_a_seed_the_process_seed_decides(self, embeddings: WordEmbeddings) -> None:
        flairlite.set_seed(11)
        taken = make_tagger(embeddings, seed=None).state_dict()
        flairlite.set_seed(0)
        given = make_tagger(embeddings, seed=11).state_dict()
        assert all(torch.equal(taken[name], given[name]) for name in given)

    def test_the_state_of_the_global_generators_does_not_matter(self, embeddings: WordEmbeddings) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            first = make_tagger(embeddings).state_dict()
            torch.manual_seed(2)
            second = make_tagger(embeddings).state_dict()
        assert all(torch.equal(first[name], second[name]) for name in first)

    def test_global_generators_are_not_used(self, embeddings: WordEmbeddings, tmp_path: Path) -> None:
        def states() -> tuple[Any, ...]:
            return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())  # noqa: NPY002

        before = states()
        tagger = make_tagger(embeddings, dropout=0.1, word_dropout=0.1, locked_dropout=0.1)
        sentences = make_sentences([4, 2, 6])
        ModelTrainer(tagger, Corpus(sentences, sentences, sentences)).train(tmp_path, max_epochs=2)
        tagger.predict(sentences)
        tagger.evaluate(sentences)
        SequenceTagger.load(tmp_path / "final-model.pt")
        assert states() == before


class TestLoss:
    @pytest.mark.parametrize("options", [{**rnn, **head} for rnn in RNNS for head in HEADS], ids=named)
    def test_a_batch_is_the_sum_of_its_sentences(
        self, options: dict[str, Any], embeddings: WordEmbeddings, device: torch.device
    ) -> None:
        tagger = make_tagger(embeddings, **options).to(device)
        sentences = make_sentences([7, 1, 12, 3, 3, 20], part_labelled=0.9)
        loss, gradients = loss_and_gradients(tagger, [sentences])
        expected, expected_gradients = loss_and_gradients(tagger, [[sentence] for sentence in sentences])
        assert loss == pytest.approx(expected, rel=1e-5)
        assert_same_gradients(gradients, expected_gradients)

    def test_without_a_crf_it_is_the_weighted_negative_log_probability(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, use_crf=False, loss_weights={"B": 2.5, "D": 0.5}).eval()
        sentences = make_sentences([5, 2], part_labelled=0.7)
        batch = batch_of(tagger, sentences)
        emissions = tagger(batch)
        weights = {"A": 1.0, "B": 2.5, "C": 1.0, "D": 0.5}
        expected = sum(
            -weights[label] * float(emissions[row, position].detach().log_softmax(0)[TAGS.index(label)])
            for row, sentence in enumerate(sentences)
            for position, label in enumerate(sentence.token_labels("pos") or ())
            if label is not None
        )
        assert tagger.loss(emissions, batch).item() == pytest.approx(expected, rel=1e-5)

    def test_without_a_crf_unlabelled_words_have_no_gradient(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, use_crf=False)
        sentence = tagged("w1 w2/B w3 w4/D w5 w6/A")
        _, gradients = loss_and_gradients(tagger, [[sentence]])
        tagger.zero_grad()
        emissions = tagger(batch_of(tagger, [sentence]))[0, [1, 3, 5]]  # the labelled words alone
        torch.nn.functional.cross_entropy(emissions, torch.tensor([1, 3, 0]), reduction="sum").backward()  # type: ignore[no-untyped-call]
        assert_same_gradients(gradients, gradients_of(tagger))

    @pytest.mark.parametrize(
        "text", ["w1/B w2/A w3/C w4/A", "w1 w2/B w3 w4/A", "w1/C w2 w3 w4", "w1 w2 w3 w4/B", "w1 w2"]
    )
    def test_with_a_crf_unlabelled_words_are_summed_over(self, text: str, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, ["A", "B", "C"])
        sentence = tagged(text)
        loss, gradients = loss_and_gradients(tagger, [[sentence]])
        tagger.zero_grad()
        emissions = tagger(batch_of(tagger, [sentence]))[0]
        fits: list[Tensor] = []
        every: list[Tensor] = []
        golds = sentence.token_labels("pos") or [None] * len(sentence)
        for path in itertools.product(range(3), repeat=len(sentence)):
            score = path_score(tagger, emissions, path)
            every.append(score)
            if all(gold in (None, "ABC"[tag]) for tag, gold in zip(path, golds, strict=True)):
                fits.append(score)
        expected = torch.stack(every).logsumexp(0) - torch.stack(fits).logsumexp(0)
        torch.autograd.backward(expected)
        assert loss == pytest.approx(float(expected.detach()), abs=1e-5)
        assert_same_gradients(gradients, gradients_of(tagger))

    @pytest.mark.parametrize("use_crf", [True, False])
    def test_a_sentence_without_labels_has_no_gradient(self, use_crf: bool, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, use_crf=use_crf)
        loss, gradients = loss_and_gradients(tagger, [[tagged("w1 w2 w3"), Sentence(["w4"])]])
        assert loss == pytest.approx(0, abs=1e-6)
        assert all(gradient.abs().max() < 1e-6 for gradient in gradients.values())

    def test_sentences_encoded_without_labels_have_no_loss(self, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings)
        batch = tagger.encode(make_sentences([3])).batch(torch.arange(1))
        with pytest.raises(LabelError, match="without labels"):
            tagger.loss(tagger(batch), batch)


def path_score(tagger: SequenceTagger, emissions: Tensor, path: Sequence[int]) -> Tensor:
    assert tagger.crf is not None
    score = tagger.crf.start[path[0]] + tagger.crf.end[path[-1]]
    for position, tag in enumerate(path):
        score = score + emissions[position, tag]
    for left, right in itertools.pairwise(path):
        score = score + tagger.crf.transitions[left, right]
    return score


@pytest.mark.parametrize("options", [{}, {"use_crf": False, "rnn_type": "GRU"}], ids=["LSTM-CRF", "GRU"])
def test_twenty_sentences_are_memorized(
    options: dict[str, Any], sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path
) -> None:
    sentences = list(sample.train or ())[:20]
    corpus = Corpus(sentences)
    dictionary = corpus.make_label_dictionary("upos")
    tagger = SequenceTagger(
        mini_vectors, dictionary, "upos", hidden_size=32, word_dropout=0.0, locked_dropout=0.0, seed=0, **options
    )
    assert tagger.evaluate(sentences).accuracy < 0.5
    ModelTrainer(tagger, corpus).train(
        tmp_path, optimizer=torch.optim.Adam, learning_rate=0.02, mini_batch_size=10, max_epochs=40, patience=40, seed=0
    )
    assert tagger.evaluate(sentences).accuracy == 1.0


class TestLabelSmoothing:
    def test_without_a_crf_it_is_that_of_torch(self, embeddings: WordEmbeddings) -> None:
        options = {"use_crf": False, "loss_weights": {"B": 3.0}}
        sentences = make_sentences([3, 1, 8], part_labelled=0.7)
        tagger = make_tagger(embeddings, label_smoothing=0.2, **options)
        batch = batch_of(tagger, sentences)
        scores = tagger(batch)
        weights = torch.tensor([1.0, 3.0, 1.0, 1.0], device=tagger.device)
        expected = torch.nn.CrossEntropyLoss(weights, ignore_index=-1, reduction="sum", label_smoothing=0.2)
        assert batch.targets is not None
        wanted = expected(scores.flatten(0, 1), batch.targets.flatten().to(tagger.device))
        assert tagger.loss(scores, batch).item() == pytest.approx(wanted.item(), rel=1e-6)

    def test_with_a_crf_the_classes_are_the_label_sequences(self, embeddings: WordEmbeddings) -> None:
        """The oracle is torch's cross entropy over all sequences of a sentence."""
        tagger = make_tagger(embeddings, label_smoothing=0.3)
        sentences = make_sentences([2, 1, 3])
        batch = batch_of(tagger, sentences)
        scores, crf = tagger(batch), tagger.crf
        assert crf is not None
        total = 0.0
        for row, sentence in enumerate(sentences):
            paths = list(itertools.product(range(len(TAGS)), repeat=len(sentence)))
            path_scores = []
            for path in paths:
                score = crf.start[path[0]] + crf.end[path[-1]]
                score = score + sum(scores[row, step, tag] for step, tag in enumerate(path))
                score = score + sum(crf.transitions[one, other] for one, other in itertools.pairwise(path))
                path_scores.append(score)
            gold = paths.index(tuple(TAGS.index(str(tag)) for tag in sentence.token_labels("pos") or ()))
            logits, target = torch.stack(path_scores), torch.tensor(gold, device=tagger.device)
            total += torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.3).item()
        assert tagger.loss(scores, batch).item() == pytest.approx(total, rel=1e-5)

    @pytest.mark.parametrize("use_crf", [True, False])
    def test_sentences_without_labels_are_not_smoothed(self, use_crf: bool, embeddings: WordEmbeddings) -> None:
        tagger = make_tagger(embeddings, label_smoothing=0.3, use_crf=use_crf)
        labelled, others = make_sentences([3, 2]), make_sentences([4], part_labelled=0.0)
        with torch.no_grad():
            expected = tagger.forward_loss(labelled)[0].item()
            assert tagger.forward_loss([*labelled, *others])[0].item() == pytest.approx(expected, rel=1e-5)
            assert tagger.forward_loss(others)[0].item() == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize("use_crf", [True, False])
    def test_no_smoothing_is_the_loss_without(self, use_crf: bool, embeddings: WordEmbeddings) -> None:
        sentences = make_sentences([3, 1, 8], part_labelled=0.7)
        losses = [
            loss_and_gradients(make_tagger(embeddings, use_crf=use_crf, **options), [sentences])
            for options in ({}, {"label_smoothing": 0.0})
        ]
        assert losses[0][0] == losses[1][0]
        assert all(torch.equal(losses[1][1][name], gradient) for name, gradient in losses[0][1].items())
