"""The bundled corpora of named entities and of reviews: what their README says about them holds, file by file."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from flairlite.bundled import bundled_path
from flairlite.data import Sentence
from flairlite.datasets import SAMPLE_NER, SAMPLE_REVIEWS, SAMPLE_TOPICS

SPLITS = ("train", "dev", "test")
ENTITIES = {"PER", "LOC", "ORG", "MISC"}
SENTIMENTS = {"positive", "negative", "neutral"}
TOPICS = {"food", "service", "price", "place", "delivery", "quality", "use", "content"}


def _tagged(split: str) -> list[list[tuple[str, str]]]:
    text = (bundled_path("sample_ner") / f"{split}.txt").read_text(encoding="utf-8")
    blocks = [block.splitlines() for block in text.split("\n\n") if block]
    return [[(word, tag) for word, tag in (line.split("\t") for line in block)] for block in blocks]


def _labelled(name: str, split: str) -> list[tuple[list[str], str]]:
    rows = []
    for line in (bundled_path(name) / f"{split}.txt").read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"((?:__label__\S+ )+)(.+)", line)
        assert match, line
        rows.append(([label.removeprefix("__label__") for label in match[1].split()], match[2]))
    return rows


def _readme_row(name: str, row: str) -> list[int]:
    text = (bundled_path(name) / "README.md").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {row} |")]
    return [int(cell.replace(",", "")) for cell in line.strip("|").split("|") if re.fullmatch(r" *[\d,]+ *", cell)]


def test_tags_are_valid_bio2():
    for split in SPLITS:
        for sentence in _tagged(split):
            before = "O"
            for _, tag in sentence:
                assert tag == "O" or (tag[:2] in ("B-", "I-") and tag[2:] in ENTITIES)
                assert not tag.startswith("I-") or before[2:] == tag[2:], sentence
                before = tag


def test_each_split_has_each_entity_class_and_sentences_without_entities():
    for split in SPLITS:
        sentences = _tagged(split)
        tags = {tag for sentence in sentences for _, tag in sentence}
        assert tags == {"O"} | {f"{prefix}-{entity}" for prefix in "BI" for entity in ENTITIES}
        assert any({tag for _, tag in sentence} == {"O"} for sentence in sentences)


def test_the_entity_counts_of_the_readme_are_right():
    sizes, words, bare = [], [], []
    names = {entity: [] for entity in ENTITIES}
    for split in SPLITS:
        sentences = _tagged(split)
        counts = Counter(tag for sentence in sentences for _, tag in sentence)
        sizes.append(len(sentences))
        words.append(sum(map(len, sentences)))
        bare.append(sum({tag for _, tag in sentence} == {"O"} for sentence in sentences))
        for entity in ENTITIES:
            names[entity].append(counts[f"B-{entity}"])
    rows = {"sentences": sizes, "words": words, "sentences without a name": bare, **names}
    for row, figures in rows.items():
        assert _readme_row("sample_ner", row) == [*figures, sum(figures)], row


def test_words_that_are_names_or_not_occur_as_both():
    tags: dict[str, set[str]] = {}
    for split in SPLITS:
        for sentence in _tagged(split):
            for word, tag in sentence:
                tags.setdefault(word.lower(), set()).add(tag[2:] or "O")
    ambiguous = {"jordan": {"PER", "LOC"}, "amazon": {"LOC", "ORG"}, "washington": {"PER", "LOC", "ORG"}}
    for word, kinds in ambiguous.items():
        assert kinds <= tags[word]
    for word in ("apple", "may", "nice", "cork", "turkey", "orange", "reading", "frank", "rose"):
        assert "O" in tags[word], word
        assert len(tags[word]) > 1, word


def test_words_are_those_of_the_default_tokenizer():
    for sentence in _tagged("test"):
        words = [word for word, _ in sentence]
        text = re.sub(r" ([.,?!:;”])", r"\1", " ".join(words).replace("“ ", "“"))
        assert "".join(Sentence(text).words) == "".join(words)


@pytest.mark.parametrize(("name", "labels"), [("sample_reviews", SENTIMENTS), ("sample_topics", TOPICS)])
def test_each_split_of_the_reviews_has_each_label(name, labels):
    for split in SPLITS:
        assert {label for row, _ in _labelled(name, split) for label in row} == labels


def test_reviews_have_one_sentiment_and_one_or_two_topics():
    for split in SPLITS:
        assert {len(labels) for labels, _ in _labelled("sample_reviews", split)} == {1}
        topics = [labels for labels, _ in _labelled("sample_topics", split)]
        assert {len(labels) for labels in topics} == {1, 2}
        assert all(len(set(labels)) == len(labels) for labels in topics)


def test_both_corpora_of_reviews_have_the_same_texts_in_the_same_order():
    for split in SPLITS:
        reviews = [text for _, text in _labelled("sample_reviews", split)]
        assert reviews == [text for _, text in _labelled("sample_topics", split)]


def test_the_review_counts_of_the_readmes_are_right():
    for split in SPLITS:
        counts = Counter(label for labels, _ in _labelled("sample_reviews", split) for label in labels)
        expected = [counts[label] for label in ("positive", "negative", "neutral")]
        assert _readme_row("sample_reviews", split) == [*expected, sum(expected)]
    for topic in TOPICS:
        figures = [sum(topic in labels for labels, _ in _labelled("sample_topics", split)) for split in SPLITS]
        assert _readme_row("sample_topics", f"`{topic}`") == figures


def test_no_text_is_repeated_within_or_between_splits():
    texts = [" ".join(word for word, _ in sentence) for split in SPLITS for sentence in _tagged(split)]
    texts += [text for split in SPLITS for _, text in _labelled("sample_reviews", split)]
    counts = Counter(re.sub(r"\W+", " ", text.lower()).strip() for text in texts)
    assert [text for text, count in counts.items() if count > 1] == []
    assert len(texts) >= 400 + 500


def test_entities_are_loaded_as_spans():
    corpus = SAMPLE_NER()
    assert (corpus.name, str(corpus)) == ("sample_ner", "Corpus: 295 train + 63 dev + 63 test sentences")
    names = Counter(label for split in SPLITS for s in getattr(corpus, split) for _, _, label in s.span_labels("ner"))
    assert names == {entity: _readme_row("sample_ner", entity)[-1] for entity in ENTITIES}
    tags = [tag for sentence in _tagged("dev") for _, tag in sentence]
    inside = sum(stop - start for sentence in corpus.dev or () for start, stop, _ in sentence.span_labels("ner"))
    assert inside == len(tags) - tags.count("O")


@pytest.mark.parametrize(
    ("load", "name", "label_type"),
    [(SAMPLE_REVIEWS, "sample_reviews", "sentiment"), (SAMPLE_TOPICS, "sample_topics", "topic")],
)
def test_reviews_are_loaded_with_their_labels(load, name, label_type):
    corpus = load()
    assert (corpus.name, str(corpus)) == (name, "Corpus: 373 train + 77 dev + 77 test sentences")
    for split in SPLITS:
        loaded = [(sentence.sentence_labels(label_type), sentence.text) for sentence in getattr(corpus, split)]
        assert loaded == _labelled(name, split)
    assert corpus.make_label_dictionary(label_type).multi_label == (name == "sample_topics")
