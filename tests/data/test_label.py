"""Labels of sentences, tokens and spans: adding, reading, changing and removing them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentences import tagged

from flairlite.data import DataPoint, Label, Sentence, Span, Token
from flairlite.data.label_values import parse_features
from flairlite.errors import LabelError, SettingError


def values(point: DataPoint, label_type: str | None = None) -> list[str]:
    return values_of(point.get_labels(label_type))


def values_of(labels: list[Label]) -> list[str]:
    return [label.value for label in labels]


# -------------------------------------------------------------------------------------------------------------- a label


def test_label_is_printed_with_its_data_point() -> None:
    token = Sentence("I love Berlin")[2].add_label("upos", "PROPN", 0.98765)
    label = token.get_label("upos")
    assert str(label) == 'Token[2]: "Berlin" → PROPN (0.9877)'
    assert repr(label) == "'Token[2]: \"Berlin\"'/'PROPN' (0.9877)"
    assert label.shortstring == '"Berlin"/PROPN'
    assert label.unlabeled_identifier == token.unlabeled_identifier == 'Token[2]: "Berlin"'
    assert label.labeled_identifier == 'Token[2]: "Berlin"/PROPN'
    assert (label.metadata, label.metadata_str, label.typename) == ({}, "", "upos")
    assert label.to_dict() == {"value": "PROPN", "confidence": 0.98765}


def test_metadata_is_printed_after_the_value() -> None:
    token = Token("cats").add_label("lemma", "cat", 0.5, source="rule", rank=1)
    assert str(token.get_label()) == 'Token[0]: "cats" → cat/source=rule/rank=1 (0.5)'
    assert repr(token.get_label()) == "'Token[0]: \"cats\"'/'cat'/source=rule/rank=1 (0.5)"
    assert str(token) == 'Token[0]: "cats" → cat/source=rule/rank=1 (0.5000)'


def test_labels_are_equal_if_value_score_and_data_point_are() -> None:
    sentence = tagged("a/X b/X")
    first, second = sentence.get_labels("pos")
    assert first == sentence[0].get_label("pos")
    assert hash(first) == hash(sentence[0].get_label("pos"))
    assert first != second
    assert first != Label(sentence[0], "Y")
    assert first != Label(sentence[0], "X", 0.5)
    assert first != "X"
    assert first < second
    assert sorted([second, first]) == [first, second]


def test_a_label_made_by_hand_has_no_type_yet() -> None:
    label = Label(Sentence("a"), "x", 0.25, note="n")
    assert (label.value, label.score, label.typename, label.metadata) == ("x", 0.25, None, {"note": "n"})
    label.typename = "later"
    assert label.typename == "later"


@pytest.mark.parametrize("other", [None, 5, "Berlin"])
def test_a_label_of_another_object_is_refused(other: Any) -> None:
    with pytest.raises(SettingError, match=rf"such as sentence\[0\], not to a {type(other).__name__}"):
        Label(other, "x")


# ------------------------------------------------------------------------------------------------ get, set, add, remove


POINTS = {
    "sentence": lambda sentence: sentence,
    "token": lambda sentence: sentence[1],
    "span": lambda sentence: sentence[1:3],
}


@pytest.fixture(params=list(POINTS))
def point(request: pytest.FixtureRequest) -> DataPoint:
    """Each kind of data point, in a sentence of four words."""
    made: DataPoint = POINTS[request.param](Sentence(["I", "love", "New", "York"]))
    return made


def test_labels_of_a_type_are_added_to_existing_ones(point: DataPoint) -> None:
    assert point.add_label("x", "B", 0.5) is point
    point.add_label("x", "A").add_label("y", "C", 0.25).add_label("x", "B")
    assert [(label.value, label.score) for label in point.get_labels("x")] == [("B", 0.5), ("A", 1.0), ("B", 1.0)]
    assert sorted(values(point)) == ["A", "B", "B", "C"]
    assert point.labels == point.get_labels()
    assert (point.get_label("x").value, point.get_label("x").score) == ("B", 0.5)
    assert (point.tag, point.score) == ("B", 0.5)
    assert all(label.data_point == point for label in point.labels)
    assert [label.typename for label in point.get_labels("x")] == ["x"] * 3


def test_set_label_replaces_the_labels_of_its_type(point: DataPoint) -> None:
    point.add_label("x", "A", 0.5).add_label("x", "B").add_label("y", "C")
    assert point.set_label("x", "D", 0.75, note=1) is point
    assert [(label.value, label.score, label.metadata) for label in point.get_labels("x")] == [("D", 0.75, {"note": 1})]
    assert point.set_label("x", "E").get_label("x").metadata == {}
    assert (values(point, "x"), values(point, "y")) == (["E"], ["C"])


def test_labels_of_one_type_are_removed(point: DataPoint) -> None:
    point.add_label("x", "A").add_label("x", "B", 0.5, note=1).add_label("y", "C")
    point.remove_labels("x")
    point.remove_labels("never there")
    assert (values(point, "x"), values(point, "y")) == ([], ["C"])
    assert (point.has_label("x"), point.has_label("y"), point.has_label("never there")) == (False, True, False)
    assert [label.score for label in point.add_label("x", "B").get_labels("x")] == [1.0]


def test_score_is_replaced_with_its_label(point: DataPoint) -> None:
    point.add_label("x", "A", 0.5)
    assert point.set_label("x", "B").score == 1.0
    assert point.set_label("x", "C", 0.25).score == 0.25
    point.remove_labels("x")
    assert point.add_label("x", "D").score == 1.0


def test_set_value_changes_the_stored_label(point: DataPoint) -> None:
    point.add_label("x", "A", 0.5).add_label("x", "B")
    for label, value in zip(point.get_labels("x"), "CD", strict=True):
        label.set_value(value, 0.25)
        assert (label.value, label.score) == (value, 0.25)
    assert [(label.value, label.score) for label in point.get_labels("x")] == [("C", 0.25), ("D", 0.25)]


def test_metadata_of_a_label_is_kept_whenever_it_is_added(point: DataPoint) -> None:
    point.add_label("x", "A")
    assert point.get_label("x").metadata == {}
    point.get_label("x").metadata["source"] = "me"
    point.get_label("x").metadata.update(rank=2)
    point.get_label("x").metadata.setdefault("note", "n")
    point.get_label("x").metadata |= {"page": 5}
    assert point.get_label("x").metadata == {"source": "me", "rank": 2, "note": "n", "page": 5}
    del point.get_label("x").metadata["page"]
    assert point.get_label("x").metadata.pop("note") == "n"
    assert point.get_label("x").metadata_str == "/source=me/rank=2"
    for twin in (copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert twin.get_label("x").metadata == {"source": "me", "rank": 2}
        assert type(copy.deepcopy(twin.get_label("x")).metadata.copy()) is dict
    point.get_label("x").metadata = {"new": 1}
    assert point.get_label("x").metadata == {"new": 1}
    point.get_label("x").metadata.clear()
    assert point.set_label("x", "B").get_label("x").metadata == {}


def test_metadata_through_two_objects_of_a_label_add_up(point: DataPoint) -> None:
    point.add_label("x", "A", old=0)
    first, second = point.get_label("x"), point.get_label("x")
    assert first.metadata == second.metadata == {"old": 0}
    first.metadata["a"] = 1
    second.metadata["b"] = 2
    del first.metadata["old"]
    assert point.get_label("x").metadata == {"a": 1, "b": 2}


def test_value_of_a_label_is_set_through_any_of_its_objects(point: DataPoint) -> None:
    point.add_label("x", "A", 0.5)
    first, second = point.get_label("x"), point.get_label("x")
    first.set_value("B", 0.25)
    second.set_value("C", 0.75)
    assert (point.get_label("x").value, point.get_label("x").score) == ("C", 0.75)


def test_label_that_was_removed_changes_nothing_any_more(point: DataPoint) -> None:
    label = point.add_label("x", "A", source="me").get_label("x")
    point.remove_labels("x")
    label.set_value("B")
    label.metadata["k"] = 1
    assert (label.value, label.metadata, point.get_labels("x")) == ("B", {"source": "me", "k": 1}, [])
    assert point.add_label("x", "C").get_label("x").metadata == {}


def test_reading_stores_nothing() -> None:
    sentence = Sentence(["in", "Berlin"]).set_token_labels("pos", ["A", "B"])
    assert [token.start_position for token in sentence] == [0, 3]  # makes the tokens and the offsets
    assert sentence.text == "in Berlin"
    before = len(pickle.dumps(sentence))
    neighbour = Sentence("a")
    for point in (sentence, *sentence):
        point.has_metadata("m")
        with pytest.raises(KeyError):
            point.get_metadata("m")
        point.get_each_embedding()
        point.embedding_names()
        point.clear_embeddings()
        point.to("cpu")
        str(point)
    for label in sentence.get_labels():
        str(label)
        assert label.metadata == {}
    assert not sentence.is_document_boundary
    assert not sentence.is_context_set()
    assert sentence.left_context(3) == sentence.right_context(3) == []
    assert sentence[0].get_tags_proba_dist("pos") == []
    sentence.to_dict()
    neighbour.has_metadata("m")
    assert len(pickle.dumps(sentence)) == before
    assert neighbour._labels is Sentence("b")._labels  # the store that all sentences without labels share


def test_a_feature_is_changed_by_its_label() -> None:
    sentence = featured()
    sentence[0].get_label("Number").set_value("Dual")
    assert sentence[0].get_label("Number").value == "Dual"
    assert sentence[0].get_label("feats").value == featured()[0].get_label("feats").value


def test_annotation_layers_are_read_only(point: DataPoint) -> None:
    point.add_label("x", "A").add_label("y", "B").add_label("x", "C")
    layers = point.annotation_layers
    assert {name: values_of(labels) for name, labels in layers.items()} == {"x": ["A", "C"], "y": ["B"]}
    with pytest.raises(TypeError):
        layers["z"] = []  # type: ignore[index]


def test_metadata_is_kept_under_its_name(point: DataPoint) -> None:
    assert not point.has_metadata("source")
    point.add_metadata("source", {"page": 5})
    assert point.has_metadata("source")
    assert point.get_metadata("source") == {"page": 5}
    with pytest.raises(KeyError):
        point.get_metadata("other")
    others = [make(point._home) for make in POINTS.values()]
    assert [other.has_metadata("source") for other in others] == [other == point for other in others]


def test_vectors_are_kept_under_the_name_of_their_embedding(point: DataPoint) -> None:
    assert point.get_embedding().shape == (0,)
    b, a = torch.randn(2), torch.randn(3, requires_grad=True)
    point.set_embedding("b", b)
    point.set_embedding("a", a)
    assert point.embedding_names() == ["a", "b"]
    assert torch.equal(point.embedding, torch.cat([a, b]))
    assert [len(vector) for vector in point.get_each_embedding(["b"])] == [2]
    point.to("meta")
    assert point.get_embedding(["b"]).device.type == "meta"
    point.clear_embeddings(["a"])
    assert point.embedding_names() == ["b"]
    point.clear_embeddings()
    with pytest.raises(LabelError, match="has no embedding"):
        point.embedding  # noqa: B018


def test_data_points_are_ordered_by_position() -> None:
    sentence = Sentence(["a", "b", "c"])
    assert sorted([sentence[2], sentence[0:2], sentence[1]]) == [sentence[0:2], sentence[1], sentence[2]]


def test_labelled_span_is_always_the_same_object() -> None:
    sentence = Sentence(["a", "b", "c"])
    span = sentence[0:2].add_label("x", "A")
    assert sentence[0:2] is sentence.get_span(0, 2) is sentence.get_spans("x")[0] is span
    sentence[0:2].add_label("y", "B")
    Span(sentence.tokens[0:2]).add_label("x", "C")
    assert all(label.data_point is span for label in sentence.get_labels())
    assert [label.value for label in span.get_labels("x")] == ["A", "C"]


@pytest.mark.parametrize(
    "choose",
    [
        lambda s: [],
        lambda s: [s[0], s[2]],
        lambda s: [s[1], s[0]],
        lambda s: [s[0], s[0]],
        lambda s: [s[2], s[2]],
        lambda s: [s[0], Sentence(["a", "b"])[1]],
        lambda s: [Token("a")],
    ],
)
def test_span_of_tokens_that_are_not_consecutive_is_an_error(choose: Any) -> None:
    with pytest.raises(SettingError):
        Span(choose(Sentence(["a", "b", "c"])))


def test_the_head_of_a_token_can_be_assigned() -> None:
    sentence = Sentence(["She", "sleeps"])
    sentence[0].head_id = 2
    sentence[1].head_id = 0
    assert sentence[0].get_head() is sentence[1]
    assert (sentence[1].head_id, sentence[1].get_head()) == (0, None)
    sentence[0].head_id = None
    assert (sentence[0].head_id, sentence.token_labels("head")) == (None, [None, "0"])


def test_a_missing_label_reads_as_o(point: DataPoint) -> None:
    label = point.get_label("x")
    assert (label.value, label.score, label.data_point, label.typename) == ("O", 1.0, point, None)
    assert point.get_label("x", zero_tag_value="none").value == "none"
    assert (point.tag, point.labels) == ("O", [])


def test_metadata_belongs_to_its_label(point: DataPoint) -> None:
    point.add_label("x", "A", source="first").add_label("x", "B").add_label("x", "C", source="third", rank=2)
    assert [label.metadata for label in point.get_labels("x")] == [
        {"source": "first"},
        {},
        {"source": "third", "rank": 2},
    ]
    assert values(point, "x") == ["A", "B", "C"]


def test_points_do_not_see_each_others_labels() -> None:
    sentence = Sentence(["I", "love", "New", "York"]).add_label("x", "sentence")
    sentence[2].add_label("x", "token")
    sentence[2:3].add_label("x", "short")
    sentence[2:4].add_label("x", "long")
    assert [values(point, "x") for point in (sentence[2], sentence[2:3], sentence[2:4])] == [
        ["token"],
        ["short"],
        ["long"],
    ]
    assert values(sentence[3], "x") == values(sentence[3:4]) == []
    sentence[2:4].remove_labels("x")
    assert values(sentence, "x") == ["sentence", "token", "short"]


# ----------------------------------------------------------------------------------- labels of the parts of a sentence


def test_labels_come_by_position_whatever_the_order_they_were_added_in() -> None:
    sentence = Sentence(["I", "love", "New", "York"])
    sentence[2:4].add_label("ner", "LOC")
    sentence[3].add_label("pos", "PROPN")
    sentence[0:1].add_label("ner", "PER")
    sentence[1].add_label("pos", "VERB").add_label("pos", "NOUN")
    sentence[0].add_label("pos", "PRON")
    sentence.add_label("pos", "all")
    assert values(sentence, "pos") == ["all", "PRON", "VERB", "NOUN", "PROPN"]
    assert values(sentence, "ner") == ["PER", "LOC"]
    assert values(sentence) == ["all", "PRON", "PER", "VERB", "NOUN", "LOC", "PROPN"]
    assert sentence.get_label("pos").data_point is sentence
    assert sentence.label_types() == ["pos", "ner"]


def test_offset_in_the_document_changes_no_order() -> None:
    sentence = Sentence(["a", "b"], start_position=1000).set_token_labels("x", ["A", "B"]).add_label("x", "all")
    assert values(sentence, "x") == ["all", "A", "B"]


def test_sentence_removes_labels_of_all_its_parts() -> None:
    sentence = tagged("I/PRON love/VERB Berlin").add_label("pos", "S").add_label("topic", "T")
    sentence[1].add_label("pos", "NOUN", source="me")
    sentence[0:2].add_label("pos", "P")
    sentence.remove_labels("pos")
    assert (values(sentence), sentence.label_types()) == (["T"], ["topic"])
    assert not any(part.has_label("pos") for part in (sentence, *sentence, sentence[0:2]))
    assert sentence[1].add_label("pos", "X").get_label("pos").metadata == {}


def test_spans_are_listed_once_and_by_position() -> None:
    sentence = Sentence(["Humboldt", "University", "in", "Berlin"])
    sentence[3:4].add_label("ner", "City")
    sentence[0:2].add_label("ner", "Organization").add_label("ner", "University").add_label("kind", "school")
    sentence[0:1].add_label("kind", "name")
    sentence[2].add_label("ner", "token")
    sentence.add_label("ner", "sentence")
    assert [span.text for span in sentence.get_spans("ner")] == ["Humboldt University", "Berlin"]
    assert [span.text for span in sentence.get_spans()] == ["Humboldt", "Humboldt University", "Berlin"]
    assert sentence.get_spans("never there") == []
    assert all(isinstance(span, Span) for span in sentence.get_spans())
    sentence[0:2].remove_labels("ner")
    assert [span.text for span in sentence.get_spans("ner")] == ["Berlin"]
    assert values(sentence[0:2]) == ["school"]


def test_first_label_of_a_token_is_in_its_column_with_metadata_too() -> None:
    sentence = Sentence(["a", "b"])
    sentence[0].add_label("pos", "X", 0.5, source="me")
    sentence[1].add_label("pos", "Y").add_label("pos", "Z")
    assert sentence.token_labels("pos") == ["X", "Y"]
    assert [label.score for label in sentence.get_labels("pos")] == [0.5, 1.0, 1.0]


def test_token_knows_its_head() -> None:
    sentence = Sentence([Token("I", head_id=2), Token("love", head_id=0), Token("Berlin")])
    assert [token.head_id for token in sentence] == [2, 0, None]
    assert [token.get_head() for token in sentence] == [sentence[1], None, None]


# ------------------------------------------------------------------------------------- morphological features as labels


def featured() -> Sentence:
    sentence = Sentence(["Cats", "sleep", "!", "Now"])
    return sentence.set_token_labels("feats", ["Number=Plur", "Mood=Ind|Number=Plur", None, "_"])


def test_each_feature_is_a_label_type() -> None:
    sentence = featured()
    assert sentence.label_types() == ["feats", "Number", "Mood"]
    assert sentence.token_labels("Number") == ["Plur", "Plur", None, None]
    assert sentence.token_labels("Mood") == [None, "Ind", None, None]
    assert sentence.token_labels("Case") is None
    assert (sentence.has_label("Mood"), sentence.has_label("Case"), sentence[0].has_label("Mood")) == (
        True,
        False,
        False,
    )
    assert values(sentence, "Number") == ["Plur", "Plur"]
    assert values(sentence[1], "Mood") == ["Ind"]
    assert sentence.get_labels("Mood")[0].data_point is sentence[1]


def test_features_have_lower_case_names_too_as_in_flair() -> None:
    sentence = featured()
    assert sentence.token_labels("number") == ["Plur", "Plur", None, None]
    assert values(sentence[1], "mood") == ["Ind"]
    assert (sentence.has_label("mood"), sentence.has_label("case"), sentence.has_label("MOOD")) == (True, False, False)
    assert sentence.label_types() == ["feats", "Number", "Mood"]
    sentence[0].set_label("number", "Dual")
    assert sentence.token_labels("number") == ["Dual", "Plur", None, None]
    assert sentence.token_labels("Number") == ["Plur", "Plur", None, None]


def test_features_are_one_label_among_all_labels() -> None:
    assert values(featured()) == ["Number=Plur", "Mood=Ind|Number=Plur", "_"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda sentence: sentence[0].set_label("Number", "Sing"), ["Sing", "Plur", None, None]),
        (lambda sentence: sentence[2].add_label("Number", "Sing"), ["Plur", "Plur", "Sing", None]),
        (lambda sentence: sentence[0].remove_labels("Number"), [None, "Plur", None, None]),
        (lambda sentence: sentence[2].remove_labels("Number"), ["Plur", "Plur", None, None]),
        (lambda sentence: sentence[0].add_label("Number", "Dual"), ["Plur", "Plur", None, None]),
        (lambda sentence: sentence[0:2].add_label("Number", "Dual"), ["Plur", "Plur", None, None]),
        (lambda sentence: sentence.add_label("Number", "Dual"), ["Plur", "Plur", None, None]),
        (lambda sentence: sentence.set_token_labels("Number", ["A", None, None, "B"]), ["A", None, None, "B"]),
        (lambda sentence: sentence.remove_labels("Number"), None),
        (lambda sentence: sentence[1].set_label("feats", "Number=Sing"), ["Plur", "Sing", None, None]),
        (lambda sentence: sentence[1].remove_labels("feats"), ["Plur", None, None, None]),
        (lambda sentence: sentence.remove_labels("feats"), None),
    ],
)
def test_changing_one_token_leaves_the_feature_of_the_others(change: Any, expected: list[str | None] | None) -> None:
    sentence = featured()
    change(sentence)
    assert sentence.token_labels("Number") == expected
    assert ("Number" in sentence.label_types()) is sentence.has_label("Number")
    own = [token.get_label("Number", zero_tag_value="").value or None for token in sentence]
    assert own == (expected or [None] * 4)


def test_a_feature_that_was_changed_no_longer_follows_feats() -> None:
    sentence = featured()
    sentence[0].set_label("Number", "Dual", 0.5)
    sentence.set_token_labels("feats", ["Number=Sing"] * 4)
    assert sentence.token_labels("Number") == ["Dual", "Plur", None, None]
    assert [label.score for label in sentence.get_labels("Number")] == [0.5, 1.0]
    sentence.remove_labels("Number")
    assert sentence.token_labels("Number") is None
    assert sentence.label_types() == ["feats"]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (None, {}),
        ("", {}),
        ("_", {}),
        ("Number=Sing", {"Number": "Sing"}),
        ("A=1|B=2|A=3", {"A": "3", "B": "2"}),
        ("Number[psor]=Sing|Case=Acc,Nom", {"Number[psor]": "Sing", "Case": "Acc,Nom"}),
        ("||A=x|", {"A": "x"}),
        ("A=_", {}),
    ],
)
def test_features_are_parsed_by_name(features: str | None, expected: dict[str, str]) -> None:
    assert parse_features(features) == expected


# ------------------------------------------------------------------------------ random operations against a reference


SIZE = 3
FEATS = ["Number=Sing", None, "Number=Plur|Case=Nom"]
Where = tuple[int, int] | None  # None for the sentence, (i, i) for a token, (a, b) with a < b for a span
WHERES: list[Where] = [None, *((index, index) for index in range(SIZE)), (0, 1), (0, 3), (1, 3)]
TYPES = ["pos", "ner", "Number"]


def at(sentence: Sentence, where: Where) -> DataPoint:
    if where is None:
        return sentence
    return sentence[where[0]] if where[0] == where[1] else sentence[where[0] : where[1]]


def shown(labels: list[Label]) -> list[tuple[str, float, dict[str, Any]]]:
    return [(label.value, label.score, label.metadata) for label in labels]


def assert_as_in_the_model(sentence: Sentence, model: dict[tuple[str, Where], list[tuple[str, float, Any]]]) -> None:
    for name in TYPES:
        everywhere = [label for where in WHERES for label in model.get((name, where), [])]
        for where in WHERES[1:]:
            assert shown(at(sentence, where).get_labels(name)) == model.get((name, where), [])
            assert at(sentence, where).has_label(name) == bool(model.get((name, where)))
        labels = sentence.get_labels(name)
        assert shown([label for label in labels if label.data_point is sentence]) == model.get((name, None), [])
        assert sorted(shown(labels), key=repr) == sorted(everywhere, key=repr)
        starts = [-1 if label.data_point is sentence else label.data_point.start_position for label in labels]
        assert starts == sorted(starts)
        firsts = [next(iter(model.get((name, (index, index)), [])), (None,))[0] for index in range(SIZE)]
        assert (sentence.token_labels(name) or [None] * SIZE) == firsts
        assert (name in sentence.label_types()) == sentence.has_label(name) == bool(everywhere)
        spans = [where for where in WHERES if where and where[0] < where[1] and model.get((name, where))]
        assert [(span.start, span.stop) for span in sentence.get_spans(name)] == spans


SCORES = st.sampled_from([1.0, 0.5, 0.25])
VALUES = st.sampled_from(["A", "B", " "])
OPERATIONS = st.one_of(
    st.tuples(
        st.sampled_from(["add", "set"]),
        st.sampled_from(WHERES),
        st.sampled_from(TYPES),
        VALUES,
        SCORES,
        st.sampled_from([{}, {}, {"note": 1}]),
    ),
    st.tuples(st.just("remove"), st.sampled_from(WHERES), st.sampled_from(TYPES)),
    st.tuples(
        st.just("column"),
        st.sampled_from(TYPES),
        st.lists(st.none() | VALUES, min_size=SIZE, max_size=SIZE),
        st.none() | st.lists(SCORES, min_size=SIZE, max_size=SIZE),
    ),
)


@settings(max_examples=200)
@given(st.lists(OPERATIONS, max_size=12))
def test_random_operations_do_what_they_do_to_lists(operations: list[tuple[Any, ...]]) -> None:
    sentence = Sentence([f"w{number}" for number in range(SIZE)]).set_token_labels("feats", FEATS)
    model: dict[tuple[str, Where], list[tuple[str, float, Any]]] = {
        ("Number", (0, 0)): [("Sing", 1.0, {})],
        ("Number", (2, 2)): [("Plur", 1.0, {})],
    }
    for kind, *arguments in operations:
        if kind == "column":
            name, column, scores = arguments
            sentence.set_token_labels(name, column, scores)
            for index, value in enumerate(column):
                score = 1.0 if scores is None else scores[index]
                model[name, (index, index)] = [] if value is None else [(value, score, {})]
        elif kind == "remove":
            where, name = arguments
            at(sentence, where).remove_labels(name)
            for removed in WHERES if where is None else [where]:
                model.pop((name, removed), None)
        else:
            where, name, value, score, metadata = arguments
            if kind == "set":
                at(sentence, where).set_label(name, value, score, **metadata)
                for removed in WHERES if where is None else [where]:  # as in Flair, the sentence removes its parts' too
                    model.pop((name, removed), None)
            else:
                at(sentence, where).add_label(name, value, score, **metadata)
            model.setdefault((name, where), []).append((value, score, metadata))
    assert_as_in_the_model(sentence, model)
    assert sentence.token_labels("feats") == FEATS
    assert sentence.token_labels("Case") == [None, None, "Nom"]
    assert_as_in_the_model(copy.deepcopy(sentence), model)
