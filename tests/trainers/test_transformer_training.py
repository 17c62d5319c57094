"""Training with transformers: exact resume, learning rates, vectors computed once, and files that need nothing else."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="transformers is not installed")

from tokenizers import processors

from flairlite.data import Corpus, Sentence
from flairlite.embeddings import (
    CharacterEmbeddings,
    DocumentPoolEmbeddings,
    Embeddings,
    StackedEmbeddings,
    TransformerDocumentEmbeddings,
    TransformerWordEmbeddings,
)
from flairlite.errors import ModelFileError, SettingError
from flairlite.models import Model, SequenceTagger, TextClassifier, TokenClassifier
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.trainers.optimizers import make_optimizer
from flairlite.trainers.splits import encode_split

ROOT = Path(__file__).resolve().parents[2]

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits are only promised on a CPU."""
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cpu")


@pytest.fixture
def corpus(sample: Corpus) -> Corpus:
    """A few short sentences, with a label each."""
    splits = (sample.train, 24), (sample.dev, 8), (sample.test, 8)
    short = [[text for text in split or () if 2 <= len(text) <= 8][:count] for split, count in splits]
    copies = [
        [Sentence(text.words).set_token_labels("upos", text.token_labels("upos")) for text in part] for part in short
    ]
    for part in copies:
        for sentence in part:
            sentence.add_label("length", "long" if len(sentence) > 5 else "short")
    return Corpus(*copies)


def make_tagger(corpus: Corpus, embeddings: Any, **options: Any) -> SequenceTagger:
    settings = {"hidden_size": 6, "seed": 0, **options}
    embeddings = StackedEmbeddings(embeddings) if isinstance(embeddings, list) else embeddings
    return SequenceTagger(embeddings, corpus.make_label_dictionary("upos"), "upos", **settings)


def make_token_classifier(corpus: Corpus, embeddings: Any) -> TokenClassifier:
    return TokenClassifier(embeddings, corpus.make_label_dictionary("upos"), "upos", seed=0)


def make_classifier(corpus: Corpus, embeddings: Any) -> TextClassifier:
    return TextClassifier(embeddings, "length", corpus.make_label_dictionary("length"), seed=0)


def stacked(folder: Path) -> StackedEmbeddings:
    words = TransformerWordEmbeddings(folder, use_context=4, layers="-1,-2", subtoken_pooling="first_last", seed=0)
    return StackedEmbeddings([words, CharacterEmbeddings(seed=0)])


MODELS: Mapping[str, Callable[[Corpus, Path], Model]] = {
    "stack": lambda corpus, folder: make_tagger(corpus, stacked(folder)),
    "words": lambda corpus, folder: make_token_classifier(
        corpus, TransformerWordEmbeddings(folder, gradient_checkpointing=True)
    ),
    "documents": lambda corpus, folder: make_classifier(corpus, TransformerDocumentEmbeddings(folder)),
    "fixed": lambda corpus, folder: make_tagger(
        corpus, [TransformerWordEmbeddings(folder, fine_tune=False), CharacterEmbeddings(seed=0)]
    ),
}


class Crash(Exception):
    """Ends a run in the middle of an epoch."""


class CrashAt(Callback):
    """Raises an error after some steps."""

    def __init__(self, step: int) -> None:
        self.left = step

    def on_batch_end(self, state: TrainingState) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash


def weights(model: Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", MODELS)
def test_resumed_runs_are_those_that_were_not_interrupted(
    corpus: Corpus, make_transformer: Make, tmp_path: Path, name: str
) -> None:
    options: dict[str, Any] = {"max_epochs": 2, "mini_batch_size": 8, "seed": 3, "checkpoint_every": 1}
    options |= {"learning_rate": 1e-3, "use_final_model_for_eval": False}
    make = functools.partial(MODELS[name], corpus, make_transformer())
    whole = make()
    torch.manual_seed(1)
    expected = ModelTrainer(whole, corpus).fine_tune(tmp_path / "whole", **options)
    with pytest.raises(Crash):
        ModelTrainer(make(), corpus).fine_tune(tmp_path / "part", plugins=[CrashAt(4)], **options)
    torch.manual_seed(2)  # nothing may depend on the global generator
    before = torch.get_rng_state()
    resumed = make()
    crash = CrashAt(-1)
    found = ModelTrainer(resumed, corpus).fine_tune(tmp_path / "part", plugins=[crash], resume=True, **options)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert found == expected
    assert torch.equal(torch.get_rng_state(), before)


def test_training_changes_a_transformer_and_the_best_model_is_kept(
    corpus: Corpus, make_transformer: Make, tmp_path: Path
) -> None:
    model = make_token_classifier(corpus, TransformerWordEmbeddings(make_transformer(), frozen_layers=1))
    before = weights(model)
    result = ModelTrainer(model, corpus).fine_tune(
        tmp_path, max_epochs=3, mini_batch_size=8, learning_rate=1e-3, use_final_model_for_eval=False
    )
    depths = model.embeddings.depths()  # type: ignore[operator]
    for name, depth in depths.items():
        is_same = torch.equal(before[f"embeddings.{name}"], model.state_dict()[f"embeddings.{name}"])
        assert is_same == (depth >= 2), name
    best = TokenClassifier.load(tmp_path / "best-model.pt")
    assert best.evaluate(corpus.dev).main_score == max(result["dev_score_history"])


def test_chunks_of_a_batch_give_its_gradients(corpus: Corpus, make_transformer: Make, tmp_path: Path) -> None:
    states = []
    for chunk in (None, 3):
        rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        embeddings = TransformerWordEmbeddings(make_transformer(), transformers_config_kwargs=rates)
        model = make_token_classifier(corpus, embeddings)
        ModelTrainer(model, corpus).train(
            tmp_path / str(chunk), max_epochs=1, mini_batch_size=8, learning_rate=0.01, mini_batch_chunk_size=chunk
        )
        states.append(weights(model))
    torch.testing.assert_close(*states, rtol=1e-3, atol=1e-4)


def test_training_in_bfloat16_stays_close(corpus: Corpus, make_transformer: Make, tmp_path: Path) -> None:
    losses = []
    for use_amp in (False, True):
        model = make_token_classifier(corpus, TransformerWordEmbeddings(make_transformer()))
        options: dict[str, Any] = {"max_epochs": 1, "mini_batch_size": 8, "use_amp": use_amp}
        losses += ModelTrainer(model, corpus).fine_tune(tmp_path / str(use_amp), **options)["train_loss_history"]
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[0] != losses[1]


# ------------------------------------------------------------------------------------------------------ learning rates


def rates_of(model: Model, **options: Any) -> dict[str, float]:
    optimizer = make_optimizer(torch.optim.AdamW, model, 1.0, options.pop("decoder_rate", None), **options)
    by_id = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    return {name: by_id[id(weight)] for name, weight in model.named_parameters()}


def test_each_part_can_have_its_learning_rate(corpus: Corpus, make_transformer: Make) -> None:
    model = make_tagger(corpus, stacked(make_transformer()))
    rates = rates_of(model, decoder_rate=20.0, embedding_rates={"Char": 10.0}, layer_decay=0.5)
    for name, rate in rates.items():
        if name.startswith("embeddings.embeddings.1"):
            expected = 10.0
        elif not name.startswith("embeddings"):
            expected = 20.0
        else:
            depth = next((2 - layer for layer in range(3) if f".layer.{layer}." in name), 3)
            expected = 0.5**depth
        assert rate == expected, name
    inside = rates_of(make_classifier(corpus, DocumentPoolEmbeddings(stacked(make_transformer()))), layer_decay=0.5)
    assert {rate for name, rate in inside.items() if ".model." in name} == {1.0, 0.5, 0.25, 0.125}


def test_learning_rates_without_a_place_are_reported(corpus: Corpus, make_transformer: Make) -> None:
    model = make_tagger(corpus, stacked(make_transformer()))
    with pytest.raises(SettingError, match=r"names 'Chars'; the embeddings .* Stack, transformer-bert, Char"):
        rates_of(model, embedding_rates={"Chars": 1.0})
    with pytest.raises(SettingError, match="layer_decay is for the layers of a transformer, and the model has none"):
        rates_of(make_tagger(corpus, CharacterEmbeddings()), layer_decay=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_decay": 1.5}, "layer_decay must be above 0 and below 1"),
        ({"embedding_learning_rates": 0.1}, "embedding_learning_rates must be a dict"),
        ({"embedding_learning_rates": {"Char": 0}}, r"embedding_learning_rates\['Char'\] must be above 0"),
    ],
    ids=["decay", "number", "zero"],
)
def test_wrong_learning_rates_are_reported(
    corpus: Corpus, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    model = make_tagger(corpus, CharacterEmbeddings())
    with pytest.raises(SettingError, match=message):
        ModelTrainer(model, corpus).train(tmp_path, **options)


# ------------------------------------------------------------------------------------------------ vectors computed once


def count_reads(embedding: Embeddings) -> list[int]:
    """Return a list that grows by the number of sentences whenever the transformer computes."""
    counts: list[int] = []
    embedding.model.register_forward_hook(  # type: ignore[operator, union-attr]
        lambda module, args, kwargs, output: counts.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    return counts


@pytest.mark.parametrize("make", [TransformerWordEmbeddings, TransformerDocumentEmbeddings])
def test_fixed_vectors_are_computed_once_for_all_epochs_and_runs(
    corpus: Corpus, make_transformer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path / "cache"))
    options: dict[str, Any] = {"max_epochs": 3, "mini_batch_size": 8, "learning_rate": 0.1}
    scores = []
    for run in range(3):
        embedding = make(make_transformer(), fine_tune=False)
        counts = count_reads(embedding)
        is_word = make is TransformerWordEmbeddings
        model: Model = (make_tagger if is_word else make_classifier)(corpus, embedding)
        mode = "none" if run == 2 else "cpu"
        result = ModelTrainer(model, corpus).train(tmp_path / str(run), embeddings_storage_mode=mode, **options)
        scores.append(result["train_loss_history"])
        size = sum(len(part or ()) for part in (corpus.train, corpus.dev, corpus.test))
        if run < 2:
            assert sum(counts) == (size if run == 0 else 0)
        else:
            assert sum(counts) > size
    assert len(list((tmp_path / "cache" / "computed-vectors").glob("*.npy"))) == 3
    assert scores[0] == scores[1]
    assert scores[2] == pytest.approx(scores[0], rel=1e-4)


def test_computed_vectors_are_those_of_each_batch_and_depend_on_all_that_matters(
    corpus: Corpus, make_transformer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path))
    folder, indices = make_transformer(), torch.tensor([3, 1, 7])
    for options in ({}, {"use_context": 5}, {"layers": "1"}, {"subtoken_pooling": "mean"}):
        embedding = TransformerWordEmbeddings(folder, fine_tune=False, seed=0, **options)
        model = make_tagger(corpus, embedding)
        split = encode_split(model, "train", corpus.train, "cpu")
        assert isinstance(split.dataset.batch(indices).table, Tensor)
        plain = model.encode(corpus.train or ())
        with torch.no_grad():
            found, expected = (model.features(dataset.batch(indices)) for dataset in (split.dataset, plain))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        next(embedding.model.parameters()).add_(1.0)
    encode_split(model, "train", corpus.train, "cpu")
    encode_split(model, "dev", corpus.dev, "cpu")
    assert len(list(tmp_path.glob("computed-vectors/*.npy"))) == 6


def test_computed_vectors_depend_on_the_special_tokens_of_the_tokenizer(
    corpus: Corpus, make_transformer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path / "cache"))
    folder = tmp_path / "bert"
    shutil.copytree(make_transformer(), folder)
    tables = []
    for suffix in ("</s>", "</s> </s>"):
        definition = json.loads((folder / "tokenizer.json").read_text())
        definition["post_processor"] = json.loads(
            processors.TemplateProcessing(
                single=f"<s> $A {suffix}", special_tokens=[("<s>", 2), ("</s>", 3)]
            ).__getstate__()
        )
        (folder / "tokenizer.json").write_text(json.dumps(definition))
        model = make_tagger(corpus, TransformerWordEmbeddings(folder, fine_tune=False))
        tables.append(encode_split(model, "train", corpus.train, "cpu").dataset.table)
    assert not torch.allclose(*tables)


def test_vectors_stay_in_memory_where_the_cache_cannot_be_written(
    corpus: Corpus, make_transformer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", str(tmp_path / "file"))
    model = make_tagger(corpus, TransformerWordEmbeddings(make_transformer(), fine_tune=False))
    split = encode_split(model, "train", corpus.train, "cpu")
    assert isinstance(split.dataset.batch(torch.tensor([0])).table, Tensor)
    assert "stay in memory" in caplog.text


@pytest.mark.parametrize("has_documents", [False, True], ids=["words", "documents"])
def test_fixed_vectors_of_augmented_sentences_are_those_of_the_changed_sentences(
    has_documents: bool, corpus: Corpus, make_transformer: Make, tmp_path: Path
) -> None:
    folder = make_transformer("roberta")
    losses = []
    for name, options in (("augmented", {"augment_uppercase": 1.0}), ("changed", {})):
        sentences = corpus.train if options else [upper(sentence) for sentence in corpus.train]
        if has_documents:
            model: Model = make_classifier(corpus, TransformerDocumentEmbeddings(folder, fine_tune=False))
        else:
            model = make_tagger(corpus, TransformerWordEmbeddings(folder, fine_tune=False))
        trainer = ModelTrainer(model, Corpus(sentences, corpus.dev))
        result = trainer.train(tmp_path / name, max_epochs=2, bucketing=False, seed=0, **options)
        losses.append(result["train_loss_history"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def upper(sentence: Sentence) -> Sentence:
    changed = Sentence([word.upper() for word in sentence.words])
    changed.set_token_labels("upos", sentence.token_labels("upos"))
    return changed.set_sentence_labels("length", sentence.sentence_labels("length"))


def test_long_sentences_are_reported_before_training(corpus: Corpus, make_transformer: Make, tmp_path: Path) -> None:
    assert corpus.train is not None
    long = Sentence(["town"] * 300)
    long.add_label("length", "long")
    corpus = Corpus([*corpus.train, long], corpus.dev, corpus.test)
    model = make_classifier(corpus, TransformerDocumentEmbeddings(make_transformer()))
    with pytest.raises(SettingError, match=r"sentence 25 has .* subwords, but transformer-bert reads at most 62"):
        ModelTrainer(model, corpus).fine_tune(tmp_path)


# ------------------------------------------------------------------------------------------------------ model files

LOAD = """
import json, socket, sys

def refuse(*arguments):
    raise AssertionError("a connection was opened")

socket.socket.connect = socket.getaddrinfo = refuse
from flairlite.data import Sentence
from flairlite.models import Model

for path in sys.argv[2:]:
    model = Model.load(path)
    sentences = [Sentence(words) for words in json.loads(sys.argv[1])]
    model.predict(sentences)
    print(json.dumps([[label.value for label in sentence.get_labels(model.label_type)] for sentence in sentences]))
"""


def test_a_model_file_needs_no_network_and_no_other_file(
    corpus: Corpus, make_transformer: Make, tmp_path: Path
) -> None:
    words, paths, expected = [sentence.words for sentence in corpus.test or ()], [], []
    for name in ("stack", "documents"):
        model = MODELS[name](corpus, make_transformer())
        paths.append(str(tmp_path / f"{name}.pt"))
        model.save(paths[-1])
        sentences = [Sentence(part) for part in words]
        model.predict(sentences)
        expected.append([[label.value for label in sentence.get_labels(model.label_type)] for sentence in sentences])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "FLAIRLITE_CACHE_ROOT": str(tmp_path)}
    environment.pop("FLAIRLITE_OFFLINE")
    command = [sys.executable, "-c", LOAD, json.dumps(words), *paths]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert list(map(json.loads, process.stdout.splitlines())) == expected


def test_a_file_that_describes_a_larger_transformer_than_it_holds_is_refused(
    corpus: Corpus, make_transformer: Make, tmp_path: Path
) -> None:
    make_token_classifier(corpus, TransformerWordEmbeddings(make_transformer())).save(tmp_path / "model.pt")
    for name, size in (("hidden_size", 2**30), ("num_hidden_layers", 10**9), ("vocab_size", 10**12)):
        content = torch.load(tmp_path / "model.pt", weights_only=True)
        pretrained = content["embeddings"]["pretrained"]
        pretrained["config"] = json.dumps({**json.loads(pretrained["config"]), name: size})
        torch.save(content, tmp_path / "large.pt")
        with pytest.raises(ModelFileError, match="its settings describe a model that is larger than the file"):
            TokenClassifier.load(tmp_path / "large.pt")


def test_files_in_half_precision_are_half_as_large_and_predict_alike(
    corpus: Corpus, make_transformer: Make, tmp_path: Path
) -> None:
    model = make_token_classifier(corpus, TransformerWordEmbeddings(make_transformer()))
    with torch.no_grad():
        model.decoder.bias[0] = 1e6  # more than float16 holds
    for half in (False, True):
        model.save(tmp_path / f"{half}.pt", half_precision=half)
    contents = [torch.load(tmp_path / f"{half}.pt", weights_only=True)["state"] for half in (False, True)]
    sizes = [sum(tensor.nbytes for tensor in content.values()) for content in contents]
    assert sizes[1] < 0.52 * sizes[0]
    loaded = TokenClassifier.load(tmp_path / "True.pt")
    for name, weight in loaded.named_parameters():
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight, model.state_dict()[name], rtol=1e-3, atol=1e-6)
    with pytest.raises(SettingError, match="half_precision must be True or False"):
        model.save(tmp_path / "x.pt", half_precision="yes")  # type: ignore[arg-type]


def test_predictions_of_a_stream_are_those_of_a_list(corpus: Corpus, make_transformer: Make) -> None:
    model = make_token_classifier(corpus, TransformerWordEmbeddings(make_transformer(), use_context=5))
    words = [sentence.words for sentence in corpus.train or ()]
    listed = model.predict([Sentence(part) for part in words], mini_batch_size=5)
    streamed = list(model.predict_stream(iter([Sentence(part) for part in words]), mini_batch_size=3))
    for one, other in zip(listed, streamed, strict=True):
        assert [token.tag for token in one] == [token.tag for token in other]
        scores = [[token.get_label("upos").score for token in part] for part in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)
