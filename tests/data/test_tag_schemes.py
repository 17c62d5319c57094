"""Spans are read from tags as seqeval reads them, and written in every scheme without loss."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from flairlite.data.tag_schemes import (
    SCHEMES,
    TagSpan,
    are_tags,
    count_repairs,
    detect_scheme,
    get_spans_from_bio,
    invalid_pairs,
    is_tag,
    may_follow,
    pairs_of,
    scheme_named,
    spans_of,
    tags_for,
    tags_of,
)
from flairlite.errors import LabelError, SettingError

STRICT = {"BIO1": IOB1, "BIO2": IOB2, "BIOES": IOBES, "BILOU": BILOU}
LABELS = ("PER", "B-x", "O")  # labels with a dash and one that looks like no label


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[TagSpan], int]:
    """Spans that do not overlap, and the number of words."""
    widths = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(LABELS)), max_size=6))
    spans, end = [], 0
    for gap, width, label in widths:
        spans.append((end + gap, end + gap + width, label))
        end += gap + width
    return spans, end + draw(st.integers(0, 2))


def any_tags(prefixes: str = "BIESLUM") -> st.SearchStrategy[list[str]]:
    tags = ["O", *(f"{prefix}-{label}" for prefix in prefixes for label in ("PER", "LOC"))]
    return st.lists(st.sampled_from(tags), max_size=8)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(sentences())
def test_spans_that_are_written_are_read_again(scheme: str, sentence: tuple[list[TagSpan], int]) -> None:
    spans, length = sentence
    tags = tags_of(reversed(spans), length, scheme)
    assert len(tags) == length
    assert spans_of(tags) == spans
    assert count_repairs(tags, scheme) == 0
    assert set(tags) <= set(tags_for(LABELS, scheme))


@given(any_tags("BIES"))
def test_any_tags_are_read_as_seqeval_reads_them(tags: list[str]) -> None:
    expected = [(start, end + 1, label) for label, start, end in get_entities(tags)]
    assert spans_of(tags) == expected


@given(any_tags())
def test_no_label_of_a_word_is_lost_or_changed(tags: list[str]) -> None:
    covered = {place: label for start, stop, label in spans_of(tags) for place in range(start, stop)}
    assert covered == {place: tag[2:] for place, tag in enumerate(tags) if tag != "O"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_valid_sequences_are_those_in_which_seqeval_finds_all_in_its_strict_mode(scheme: str) -> None:
    for tags in product(tags_for(["A", "C"], scheme), repeat=3):
        spans = spans_of(tags)
        found = [entity.to_tuple()[1:] for entity in Entities([list(tags)], STRICT[scheme]).entities[0]]
        strict = [(start, end, label) for label, start, end in found]
        if count_repairs(tags, scheme) == 0:
            assert strict == spans
        else:  # in its strict mode, seqeval drops labels of words; of BIO1, it takes a B in vain as it is
            assert _num_words(strict) < _num_words(spans) or scheme == "BIO1"


def _num_words(spans: list[TagSpan]) -> int:
    return sum(stop - start for start, stop, _ in spans)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_steps_that_are_allowed_make_exactly_the_valid_sequences(scheme: str) -> None:
    for length in range(1, 5):
        for tags in product(tags_for(["A", "C"], scheme), repeat=length):
            steps = zip((*tags, None), (None, *tags), strict=True)
            is_allowed = all(may_follow(tag, after, scheme) for tag, after in steps)
            assert is_allowed == (count_repairs(tags, scheme) == 0), tags


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pairs_are_invalid_where_something_must_be_repaired(scheme: str) -> None:
    every = ["O", *(f"{prefix}-{label}" for prefix in "BIESLU" for label in "AC")]
    for length in (1, 2, 3):
        for tags in product(every, repeat=length):
            assert (invalid_pairs(Counter(pairs_of(tags)), scheme) == {}) == (count_repairs(tags, scheme) == 0), tags


@pytest.mark.parametrize("scheme", SCHEMES)
@given(st.lists(sentences(), min_size=1, max_size=4))
def test_the_scheme_detected_needs_no_repair(scheme: str, written: list[tuple[list[TagSpan], int]]) -> None:
    tags = [tags_of(spans, length, scheme) for spans, length in written]
    detected = detect_scheme(Counter(pair for sentence in tags for pair in pairs_of(sentence)))
    assert sum(count_repairs(sentence, detected) for sentence in tags) == 0 or {scheme, detected} == {"BIOES", "BILOU"}


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["I-A", "I-A", "B-A"], "BIO1"),
        (["I-A", "O", "I-A"], "BIO1"),
        (["B-A", "I-A", "O"], "BIO2"),
        (["B-A", "B-A"], "BIO2"),
        (["O", None], "BIO2"),
        (["B-A", "E-A", "O"], "BIOES"),
        (["S-A"], "BIOES"),
        (["B-A", "M-A", "E-A"], "BIOES"),
        (["B-A", "L-A", "U-A"], "BILOU"),
        (["U-A", "O"], "BILOU"),
    ],
)
def test_schemes_are_told_apart(tags: list[str | None], scheme: str) -> None:
    counts = Counter(pairs_of(tags))
    assert detect_scheme(counts) == scheme
    assert invalid_pairs(counts, scheme) == {}
    assert count_repairs(tags, scheme) == 0


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        (["O", "I-A", "I-A"], "BIO2", 1),
        (["B-A", "I-C"], "BIO2", 1),
        (["B-A", "O", "B-A"], "BIO1", 2),
        (["B-A", "B-A"], "BIOES", 2),
        (["I-A", "E-A", "E-A"], "BIOES", 2),
        ([None, "O"], "BILOU", 0),
    ],
)
def test_repairs_are_the_tags_that_would_be_others(tags: list[str | None], scheme: str, expected: int) -> None:
    assert count_repairs(tags, scheme) == expected


@pytest.mark.parametrize("value", ["PER", "B", "B-", "X-PER", "B_PER", "", "o", "-PER", "_"])
def test_value_that_is_no_tag_is_an_error_with_its_place(value: str) -> None:
    assert not is_tag(value)
    with pytest.raises(LabelError, match=r"tag 2 of the sentence must be O or a prefix and a label \(B-PER\)"):
        spans_of(["O", value])


@pytest.mark.parametrize(
    "spans", [[(0, 2, "A"), (1, 3, "A")], [(1, 1, "A")], [(-1, 1, "A")], [(2, 5, "A")], [(0, 1, "")]]
)
def test_spans_that_tags_cannot_write_are_an_error(spans: list[TagSpan]) -> None:
    with pytest.raises(LabelError, match="a span must have words of its own and a label"):
        tags_of(spans, 4)


def test_schemes_have_their_other_names() -> None:
    assert [scheme_named(name) for name in ("bio", "IOB", "iob2", "IOBES", "BILOU")] == [
        "BIO2", "BIO1", "BIO2", "BIOES", "BILOU",
    ]  # fmt: skip
    with pytest.raises(SettingError, match="no tag scheme is named 'BIEO': use one of BIO1, BIO2, BIOES, BILOU"):
        scheme_named("BIEO")
    with pytest.raises(SettingError, match="no tag scheme is named None: use one of"):
        scheme_named(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"O": 9, "B-A": 1}, True),
        ({"O": 9, "": 1, "_": 3}, True),
        ({"_": 9, "come.03": 1}, False),
        ({"NOUN": 1}, False),
        ({"O": 5, "NOUN": 1}, False),
        ({"O": 5, "B-A": 1, "NOUN": 2}, True),  # and NOUN will be an error
        ({"O": 1, "E-mail": 1, "house": 9}, False),  # lemmas
    ],
)
def test_columns_of_tags_are_told_from_others(counts: dict[str, int], expected: bool) -> None:
    assert are_tags(counts) == expected


@given(st.lists(st.sampled_from(["O", "", "_", "B-A", "I-A", "S-A", "E-A", "I-B", "S-B"]), max_size=8), st.data())
def test_spans_have_the_mean_score_of_their_words(tags: list[str], data: st.DataObject) -> None:
    given_tags, scores = list(tags), data.draw(st.lists(st.floats(0, 1), min_size=len(tags), max_size=len(tags)))
    found = get_spans_from_bio(tags, scores)
    plain = spans_of(["O" if tag in ("", "_") else tag for tag in tags])
    assert [(words[0], words[-1] + 1, label) for words, _, label in found] == plain
    assert [score for _, score, _ in found] == [pytest.approx(np.mean(scores[a:b])) for a, b, _ in plain]
    assert [score for _, score, _ in get_spans_from_bio(tags)] == [1.0] * len(plain)
    assert tags == given_tags  # Flair's adds to the list that it is given
