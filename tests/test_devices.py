"""On CUDA no step of training waits for the device, and results are those of the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import (
    AffixEmbeddings,
    CharacterCNNEmbeddings,
    CharacterEmbeddings,
    ClusterEmbeddings,
    DocumentCNNEmbeddings,
    DocumentEmbeddings,
    DocumentPoolEmbeddings,
    DocumentRNNEmbeddings,
    LexiconEmbeddings,
    OneHotEmbeddings,
    StackedEmbeddings,
    WordEmbeddings,
    WordShapeEmbeddings,
)
from flairlite.models import Model, SequenceTagger, TextClassifier
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.batch_order import BatchOrder
from flairlite.trainers.data_parallel import SingleProcess
from flairlite.trainers.loop import train_epoch
from flairlite.trainers.splits import encode_split
from flairlite.trainers.step_graph import StepGraphs, find_obstacle

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype"),
]

Make = Callable[[Corpus, WordEmbeddings], Model]


def tagger(**options: object) -> Make:
    def make(corpus: Corpus, words: WordEmbeddings) -> SequenceTagger:
        settings = {"hidden_size": 32, "dropout": 0.1, **options}
        return SequenceTagger(words, corpus.make_label_dictionary("upos"), "upos", **settings)  # type: ignore[arg-type]

    return make


def with_characters(corpus: Corpus, words: WordEmbeddings) -> SequenceTagger:
    embeddings = StackedEmbeddings([words, CharacterEmbeddings()])
    return SequenceTagger(embeddings, corpus.make_label_dictionary("upos"), "upos", hidden_size=32)


def with_word_features(corpus: Corpus, words: WordEmbeddings) -> SequenceTagger:
    trained = OneHotEmbeddings.from_corpus(corpus, embedding_length=8, unk_alpha=0.25)
    parts = [words, trained, CharacterCNNEmbeddings(), AffixEmbeddings(), WordShapeEmbeddings()]
    lexica = [LexiconEmbeddings({"the": "DET"}, 4), LexiconEmbeddings({"the": 1}), ClusterEmbeddings({"the": "0"})]
    stack = StackedEmbeddings([*parts, StackedEmbeddings(lexica)])
    return SequenceTagger(stack, corpus.make_label_dictionary("upos"), "upos", hidden_size=32)


def with_trained_words(corpus: Corpus, words: WordEmbeddings) -> SequenceTagger:
    trained = WordEmbeddings(words.vectors, fine_tune=True)
    return SequenceTagger(trained, corpus.make_label_dictionary("upos"), "upos", hidden_size=32)


def with_unknown_labels(corpus: Corpus, words: WordEmbeddings) -> SequenceTagger:
    labels = corpus.make_label_dictionary("upos", min_count=50)  # words of rare classes teach nothing
    return SequenceTagger(words, labels, "upos", hidden_size=32)


def with_several_types(corpus: Corpus, words: WordEmbeddings) -> SequenceTagger:
    """Words with and without a CRF, smoothed labels, and a teacher of each type in some of the training sentences."""
    sentences = list(corpus.get_all_sentences())
    for index, sentence in enumerate(sentences):
        sentence.set_token_labels("letter", [word[0] if index % 3 else None for word in sentence.words])
    labels = {name: corpus.make_label_dictionary(name) for name in ("upos", "letter")}
    for sentence in sentences[::2]:
        for name, dictionary in labels.items():
            values = np.full((len(sentence), 2), 0.5, dtype=np.float16)
            sentence.set_tag_distributions(f"{name} of a teacher", dictionary.get_items()[1:3], values)
    soft = {name: f"{name} of a teacher" for name in labels}
    options: dict[str, Any] = {"use_crf": {"letter": False}, "soft_labels": soft, "label_smoothing": 0.1}
    return SequenceTagger(words, labels, "upos", hidden_size=32, **options)


def classifier(kind: str) -> Make:
    def make(corpus: Corpus, words: WordEmbeddings) -> TextClassifier:
        for index, sentence in enumerate(corpus.get_all_sentences()):
            sentence.set_label("genre", "odd" if index % 2 else "even")
        document: DocumentEmbeddings
        if kind == "pool":
            document = DocumentPoolEmbeddings(words)
        elif kind == "CNN":
            document = DocumentCNNEmbeddings(words, ((8, 2), (8, 3)))
        else:
            document = DocumentRNNEmbeddings(words, rnn_type=kind)
        return TextClassifier(document, "genre", corpus.make_label_dictionary("genre"))

    return make


MODELS: dict[str, Make] = {
    "LSTM": tagger(),
    "two layers": tagger(rnn_layers=2),
    "residual connections": tagger(rnn_layers=2, rnn_residual=True, rnn_dropout=0.3),
    "GRU": tagger(rnn_type="GRU"),
    "RNN": tagger(rnn_type="RNN"),
    "one direction": tagger(bidirectional=False),
    "learned start": tagger(train_initial_hidden_state=True),
    "no network": tagger(use_rnn=False),
    "no CRF": tagger(use_crf=False),
    "characters": with_characters,
    "word features": with_word_features,
    "trained words": with_trained_words,
    "unknown labels": with_unknown_labels,
    "several types": with_several_types,
    "pool": classifier("pool"),
    "document CNN": classifier("CNN"),
    "document LSTM": classifier("LSTM"),
    "document GRU": classifier("GRU"),
}


@pytest.fixture
def corpus(sample: Corpus) -> Corpus:
    """A few sentences that belong to the test, which may label them."""
    parts = [
        list(split or ())[:size]
        for split, size in zip((sample.train, sample.dev, sample.test), (120, 40, 40), strict=True)
    ]
    train, dev, test = ([Sentence(one.words).set_token_labels("upos", tags_of(one)) for one in part] for part in parts)
    return Corpus(train, dev, test)


def tags_of(sentence: Sentence) -> list[str | None]:
    tags = sentence.token_labels("upos")
    assert tags
    return tags


class ForbidWaiting(Callback):
    """Makes it an error to wait for the device, from the third batch of an epoch to its last."""

    def on_batch_begin(self, run: TrainingState) -> None:
        if run.iteration == 2:  # libraries are loaded and memory is allocated
            torch.cuda.set_sync_debug_mode("error")

    def on_batch_end(self, run: TrainingState) -> None:
        if run.iteration == run.num_batches:  # after the last batch, losses are read
            torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def allow_waiting() -> Iterator[None]:
    """Allow waiting again after the test, whether it passed or failed."""
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("allow_waiting")
@pytest.mark.parametrize("has_graphs", [False, True], ids=["operations", "graphs"])
@pytest.mark.parametrize("use_amp", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_no_step_of_training_waits_for_the_device(
    name: str, use_amp: bool, has_graphs: bool, corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path
) -> None:
    model = MODELS[name](corpus, mini_vectors)
    split = encode_split(model, "train", corpus.train, "cpu")
    options: dict[str, Any] = {"fused": True} if has_graphs else {"momentum": 0.9}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, **options)
    if has_graphs and find_obstacle(model, optimizer, []):
        pytest.skip("the steps of this model are not captured")
    run = TrainingState(model, optimizer, tmp_path, 1, sentences=split.sentences)
    batches = BatchOrder(split.dataset.lengths, 8, 0, shuffle=True, bucketing=True).draw(1)
    assert 5 < len(batches) < 50, "losses are read every 50 batches"
    dropout = torch.Generator(device=model.device).manual_seed(0)
    graphs = StepGraphs(run, dropout, max_grad_norm=5.0, use_amp=use_amp) if has_graphs else None
    processes = SingleProcess(model.device)
    train_epoch(run, split, batches, dropout, [ForbidWaiting()], processes, use_amp=use_amp, graphs=graphs)
    assert run.iteration == len(batches)


@pytest.mark.usefixtures("allow_waiting")
def test_waiting_is_detected(corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    """Show that the test above can fail."""

    class Reader(ForbidWaiting):
        def on_backward_end(self, run: TrainingState) -> None:
            run.batch_loss.item()

    with pytest.raises(RuntimeError, match="synchroniz"):
        ModelTrainer(tagger()(corpus, mini_vectors), corpus).train(tmp_path, max_epochs=1, plugins=[Reader()])


@pytest.mark.parametrize("name", MODELS)
def test_a_model_trained_on_the_device_predicts_the_same_on_the_cpu(
    name: str, corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path
) -> None:
    model = MODELS[name](corpus, mini_vectors)
    assert model.device.type == "cuda"
    ModelTrainer(model, corpus).train(tmp_path, max_epochs=2, mini_batch_size=8)
    label_type = model.label_type
    found = {}
    for device in ("cuda", "cpu"):
        loaded = type(model).load(tmp_path / "final-model.pt", device=device)
        assert loaded.device.type == device
        sentences = [Sentence(sentence.words) for sentence in corpus.test or ()]
        loaded.predict(sentences)
        units = [unit for sentence in sentences for unit in (sentence if "upos" in label_type else [sentence])]
        found[device] = [unit.get_label(label_type) for unit in units]
    assert [label.value for label in found["cuda"]] == [label.value for label in found["cpu"]]
    scores = [torch.tensor([label.score for label in labels]) for labels in found.values()]
    torch.testing.assert_close(*scores, rtol=1e-3, atol=1e-3)


def test_a_run_is_resumed_on_the_device(corpus: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
    """Identical bits are guaranteed on CPUs only, but a resumed run must continue the first."""
    expected = ModelTrainer(tagger()(corpus, mini_vectors), corpus).train(tmp_path / "whole", max_epochs=4)
    ModelTrainer(tagger()(corpus, mini_vectors), corpus).train(tmp_path / "parts", max_epochs=2)
    found = ModelTrainer(tagger()(corpus, mini_vectors), corpus).resume(tmp_path / "parts", max_epochs=4)
    assert len(found["train_loss_history"]) == 4
    assert found["train_loss_history"] == pytest.approx(expected["train_loss_history"], rel=1e-3)
