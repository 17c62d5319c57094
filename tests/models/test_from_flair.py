"""Models that Flair trained predict the same in flairlite; `tests/support/make_flair_files.py` wrote the files."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from flairlite.data import Sentence
from flairlite.data.tag_schemes import may_follow
from flairlite.embeddings import CharacterEmbeddings, FlairCharacterEmbeddings
from flairlite.errors import ModelFileError
from flairlite.models import Model, SequenceTagger, TextClassifier, TokenClassifier
from flairlite.models.serialization import convert

FOLDER = Path(__file__).parents[1] / "data" / "flair"
NAMES = sorted(path.stem for path in FOLDER.glob("*-*.json") if not path.stem.startswith("lm-"))
WORD_MODELS = [name for name in NAMES if name.startswith(("words", "token-words"))]
SPAN_MODELS = [name for name in NAMES if "spans" in name]
TEXT_MODELS = [name for name in NAMES if name.startswith("text")]
CLASSES = {"SequenceTagger": SequenceTagger, "TokenClassifier": TokenClassifier, "TextClassifier": TextClassifier}


def expected(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def load(name: str) -> Any:
    if name.endswith("bert"):
        pytest.importorskip("transformers", reason="transformers is not installed")
    return CLASSES[expected(name)["class"]].load(FOLDER / f"{name}.pt", device="cpu")


def predict(model: Any, sentences: list[list[str]]) -> list[list[tuple[int, int, str, float]]]:
    """Return first and last word, value and score of each label, as the JSON files have them."""
    predicted = []
    for sentence in (model.predict(Sentence(words)) for words in sentences):  # without context, as in the files
        labels = []
        for label in sentence.get_labels("tag"):
            tokens = getattr(label.data_point, "tokens", [label.data_point])
            labels.append((tokens[0].idx - 1, tokens[-1].idx - 1, label.value, label.score))
        predicted.append(sorted(labels))
    return predicted


class Chain:
    """The paths of a sentence, one by one: emissions, and the transitions of Flair's matrix from `<START>` to `<STOP>`.

    Args:
        emissions: For each word, the score of each tag.
        transitions: Flair's scores `[to][from]`; None without a CRF.
        tags: The tags, in the order of the scores.
        scheme: The tag scheme that paths must follow; None if all are possible.
    """

    def __init__(self, emissions: Any, transitions: Any, tags: list[str], scheme: str | None) -> None:
        self.tags, candidates = tags, [tag for tag in tags if tag not in ("<START>", "<STOP>")]
        self.scores: dict[tuple[str, ...], float] = {}
        for path in itertools.product(candidates, repeat=len(emissions)):
            steps = list(itertools.pairwise((None, *path, None)))
            if scheme and not all(may_follow(tag, previous, scheme) for previous, tag in steps):
                continue
            score = sum(row[tags.index(tag)] for row, tag in zip(emissions, path, strict=True))
            if transitions is not None:
                ids = [tags.index(tag) for tag in ("<START>", *path, "<STOP>")]
                score += sum(transitions[to][start] for start, to in itertools.pairwise(ids))
            self.scores[path] = score
        top = max(self.scores.values())
        self.total = top + math.log(sum(math.exp(score - top) for score in self.scores.values()))

    def best(self) -> tuple[str, ...]:
        return max(self.scores, key=self.scores.__getitem__)

    def probability(self, begin: int, tags: tuple[str, ...], *, ends: bool = False) -> float:
        """Return the probability that words have these tags and, if asked, that the span ends there."""
        chosen = [
            score
            for path, score in self.scores.items()
            if path[begin : begin + len(tags)] == tags
            and not (ends and path[begin + len(tags) : begin + len(tags) + 1] == (f"I-{tags[0][2:]}",))
        ]
        return math.fsum(math.exp(score - self.total) for score in chosen)


def chain(content: dict[str, Any], index: int, scheme: str | None = None) -> Chain | None:
    """Return the paths of a sentence, or None if there are too many."""
    emissions = content["emissions"][index]
    if (len(content["tags"]) - 2) ** len(emissions) > 5_000:
        return None
    return Chain(emissions, content.get("transitions"), content["tags"], scheme)


def test_all_kinds_of_files_are_there() -> None:
    assert len(WORD_MODELS) == 6
    assert len(SPAN_MODELS) == 3
    assert len(TEXT_MODELS) == 5


@pytest.mark.parametrize("name", WORD_MODELS)
def test_words_have_the_labels_of_flair(name: str) -> None:
    content = expected(name)
    predicted = predict(load(name), content["sentences"])
    for ours, flairs in zip(predicted, content["predicted"], strict=True):
        assert [label[:3] for label in ours] == [tuple(label[:3]) for label in flairs]
        if "transitions" not in content:
            assert [label[3] for label in ours] == pytest.approx([label[3] for label in flairs], abs=1e-5)


@pytest.mark.parametrize("name", ["words-crf", "words-one-way", "words-flair"])
def test_scores_of_a_crf_are_the_marginals_of_flairs_emissions_and_transitions(name: str) -> None:
    content = expected(name)
    predicted = predict(load(name), content["sentences"])
    num_checked = 0
    for index, labels in enumerate(predicted):
        if (paths := chain(content, index)) is not None:
            assert tuple(label[2] for label in labels) == paths.best()
            for begin, _, value, score in labels:
                assert score == pytest.approx(paths.probability(begin, (value,)), abs=1e-5)
                num_checked += 1
    assert num_checked > 5


@pytest.mark.parametrize("name", SPAN_MODELS)
def test_spans_are_those_of_the_best_valid_path_of_flairs_scores(name: str) -> None:
    """Flair's own spans are equal where its best path is valid."""
    content, scheme = expected(name), "BIO" if name.endswith("bio") else "BIOES"
    predicted = predict(load(name), content["sentences"])
    num_equal = num_spans = 0
    for index, spans in enumerate(predicted):
        paths, unrestricted = chain(content, index, scheme), chain(content, index)
        if paths is None or unrestricted is None:
            continue
        best = paths.best()
        for begin, end, value, score in spans:
            tags = best[begin : end + 1]
            assert {tag[2:] for tag in tags} == {value}
            assert score == pytest.approx(paths.probability(begin, tags, ends=scheme == "BIO"), abs=1e-5)
            num_spans += 1
        assert sum(end + 1 - begin for begin, end, _, _ in spans) == sum(tag != "O" for tag in best)
        if best == unrestricted.best():
            assert [span[:3] for span in spans] == [tuple(span[:3]) for span in sorted(content["predicted"][index])]
            num_equal += 1
    assert num_equal >= 2
    assert num_spans >= 2


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_texts_have_the_labels_and_scores_of_flair(name: str) -> None:
    content = expected(name)
    predicted = predict(load(name), content["sentences"])
    for ours, flairs in zip(predicted, content["predicted"], strict=True):
        assert [label[2] for label in ours] == [label[2] for label in flairs]
        assert [label[3] for label in ours] == pytest.approx([label[3] for label in flairs], abs=1e-5)
    assert len({label[2:] for labels in predicted for label in labels}) > 1


def test_settings_are_those_of_flair() -> None:
    tagger = load("words-crf")
    assert (tagger.word_dropout.rate, tagger.locked_dropout.rate, tagger.dropout.rate) == (0.05, 0.5, 0.0)
    assert tagger.tag_dictionary.get_items() == ["<unk>", "NOUN", "VERB", "PROPN", "X"]
    assert tagger.allow_unk_predictions  # as Flair, whose taggers of words always may
    assert tagger.tag_type == "tag"
    assert [part.name for part in tagger.embeddings.parts] == ["tiny", "Char"]
    assert load("words-softmax").loss_weights == {"NOUN": 2.0}
    assert load("words-softmax").word_dropout.rate == 0  # as in Flair without CRF and network
    bio = load("spans-bio")
    assert (bio.tag_format, bio.dropout.rate, bio.embeddings.fine_tune, bio.embeddings.stable) == (
        "BIO",
        0.1,
        True,
        True,
    )
    assert bio.embeddings.weight.requires_grad
    assert not load("words-one-way").bidirectional  # not in the file: the weights show it
    assert load("text-rnn-multi").multi_label_threshold == {"default": 0.5, "travel": 0.45}
    assert load("token-words").word_dropout.rate == 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_converted_model_predicts_the_same_and_can_be_trained_on(name: str, tmp_path: Path) -> None:
    load(name)
    convert(FOLDER / f"{name}.pt", tmp_path / "model.pt")
    sentences = expected(name)["sentences"]
    model = Model.load(tmp_path / "model.pt", device="cpu")
    assert predict(model, sentences) == predict(load(name), sentences)
    sentence = Sentence(["The", "dog", "sleeps"])
    if "spans" in name:
        sentence[0:2].add_label("tag", "PER")
    elif name.startswith("text"):
        sentence.add_label("tag", "animals")
    else:
        sentence[1].add_label("tag", "NOUN")
    loss, _ = model.train().forward_loss([sentence])
    loss.backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in model.parameters())


def test_characters_are_read_as_flair_reads_them() -> None:
    embedding = load("words-crf").embeddings.parts[1]
    assert type(embedding) is FlairCharacterEmbeddings
    ours = CharacterEmbeddings(embedding.char_dictionary, 3, 4)
    ours.load_state_dict(embedding.state_dict())
    sentence, other = Sentence(["dog", "a"]), Sentence(["dog", "a"])
    embedding.embed(sentence)
    ours.embed(other)
    size = embedding.hidden_size_char
    forward, backward = (
        torch.equal(sentence[0].embedding[part], other[0].embedding[part]) for part in (slice(size), slice(size, None))
    )
    assert (forward, backward) == (True, False)
    assert torch.equal(sentence[1].embedding, other[1].embedding)  # of one character, both read the same


def test_a_model_of_another_class_is_refused() -> None:
    with pytest.raises(ModelFileError, match="holds a TextClassifier: load it with"):
        SequenceTagger.load(FOLDER / "text-pool.pt")
