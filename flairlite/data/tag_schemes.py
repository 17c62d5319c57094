"""Spans as one tag per word, in the schemes BIO1, BIO2, BIOES and BILOU: read, write, detect and repair.

All schemes are read by one rule, that of conlleval and seqeval: `B` and the tags of single words (`S`, `U`) begin a
span. So does any other tag without a span to continue: if the previous word has no span, or one of another label, or
one that has ended (with `E`, `L`, `S` or `U`). A span continues until a tag begins another one. Each labelled word is
therefore in exactly one span of its label, whatever the tags next to it.

Files write tags in several forms, such as `B-PER`, `b-per`, `B_PER`, `PER-B`, `B` and `(PER*`; see `TagForm`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from flairlite.errors import LabelError, SettingError

TagSpan = tuple[int, int, str]  # start, exclusive end, label
TagPair = tuple["str | None", "str | None"]  # two consecutive tags

OUTSIDE = "O"
OUTSIDE_FORMS = ("O", "o", "0")
NOTHING = ("", "_")  # no label, which some files write instead of O
# The prefixes of a span of one word, and of the first, the inner and the last word of a longer span.
_PREFIXES = {"BIO1": tuple("IIII"), "BIO2": tuple("BBII"), "BIOES": tuple("SBIE"), "BILOU": tuple("UBIL")}
_ALIASES = {"BIO": "BIO2", "IOB": "BIO1", "IOB1": "BIO1", "IOB2": "BIO2", "IOBES": "BIOES", "BMES": "BIOES"}
SCHEMES = tuple(_PREFIXES)
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ESLU")
_ALL_PREFIXES = frozenset("BIESLUM")  # M, as in BMES, is I


def scheme_named(name: str) -> str:
    """Return the scheme of a name or an alias: BIO1, BIO2, BIOES or BILOU.

    Raises:
        SettingError: If no scheme has this name.
    """
    scheme = _ALIASES.get(name.upper(), name.upper()) if isinstance(name, str) else None
    if scheme is None or scheme not in _PREFIXES:
        raise SettingError(f"no tag scheme is named {name!r}: use one of {', '.join((*SCHEMES, *_ALIASES))}")
    return scheme


@lru_cache(maxsize=4096)
def is_tag(value: str | None) -> bool:
    """Return whether a value is `O` or a prefix and a label, as in `B-PER`."""
    return value is None or value == OUTSIDE or (len(value) > 2 and value[1] == "-" and value[0] in _ALL_PREFIXES)


def spans_of(tags: Sequence[str | None]) -> list[TagSpan]:
    """Return the spans of the tags of a sentence, in order, by the rule of this module.

    Args:
        tags: One tag per word, in any scheme; None means `O`.

    Raises:
        LabelError: If a value is not a tag, with its position.

    Example:
        >>> spans_of(["B-PER", "I-PER", "O", "I-LOC", "E-ORG"])
        [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'ORG')]
    """
    spans: list[TagSpan] = []
    start, current, is_open = 0, "", False  # the span of the previous word, and whether it can continue
    for index, tag in enumerate(tags):
        if tag == OUTSIDE or tag is None:
            if current:
                spans.append((start, index, current))
                current = ""
            continue
        if not is_tag(tag):
            raise LabelError(f"tag {index + 1} of the sentence must be O or a prefix and a label (B-PER), not {tag!r}")
        prefix, label = tag[0], tag[2:]
        if prefix in _BEGINS or not is_open or label != current:
            if current:
                spans.append((start, index, current))
            start, current = index, label
        is_open = prefix not in _ENDS
    if current:
        spans.append((start, len(tags), current))
    return spans


def get_spans_from_bio(
    bioes_tags: Sequence[str], bioes_scores: Sequence[float] | None = None
) -> list[tuple[list[int], float, str]]:
    """Return the word indices, the mean score and the label of each span, as Flair's function of this name.

    Args:
        bioes_tags: One tag per word, in any scheme; an empty tag and `_` mean `O`.
        bioes_scores: One score per word; 1 when None.

    Raises:
        LabelError: If a value is not a tag.
    """
    spans = spans_of([None if tag in NOTHING else tag for tag in bioes_tags])
    scores = bioes_scores if bioes_scores is not None else [1.0] * len(bioes_tags)
    return [(list(range(a, b)), sum(scores[a:b]) / (b - a), label) for a, b, label in spans]


def tags_of(spans: Iterable[TagSpan], length: int, scheme: str = "BIOES") -> list[str]:
    """Return one tag per word for spans that do not overlap.

    Args:
        spans: The spans, in any order.
        length: Number of words.
        scheme: Name of the scheme, see `scheme_named`.

    Raises:
        LabelError: If a span is empty, has no label, overlaps another or exceeds the sentence.

    Example:
        >>> tags_of([(0, 2, "PER"), (3, 4, "LOC")], 5)
        ['B-PER', 'E-PER', 'O', 'S-LOC', 'O']
    """
    scheme = scheme_named(scheme)
    single, first, inner, last = _PREFIXES[scheme]
    tags = [OUTSIDE] * length
    end, previous = 0, ""
    for start, stop, label in sorted(spans):
        if not end <= start < stop <= length or not label:
            raise LabelError(
                f"a span must have words of its own and a label, but ({start}, {stop}, {label!r}) follows one that "
                f"ends at {end}, in a sentence of {length} words: tags cannot represent it"
            )
        if stop - start == 1:
            tags[start] = f"{single}-{label}"
        else:
            tags[start:stop] = [f"{first}-{label}", *[f"{inner}-{label}"] * (stop - start - 2), f"{last}-{label}"]
        if scheme == "BIO1" and start == end and label == previous:
            tags[start] = f"B-{label}"
        end, previous = stop, label
    return tags


def count_repairs(tags: Sequence[str | None], scheme: str) -> int:
    """Return how many tags of a sentence change if its spans are written in the scheme: 0 for a valid sequence.

    Example:
        >>> count_repairs(["O", "I-PER", "I-PER"], "BIO2")
        1
    """
    written = tags_of(spans_of(tags), len(tags), scheme)
    read = ["O" if tag is None else tag.replace("M-", "I-", 1) if tag[0] == "M" else tag for tag in tags]
    return sum(map(str.__ne__, written, read))


def pairs_of(tags: Sequence[str | None]) -> Iterable[TagPair]:
    """Return the pairs of consecutive tags of a sentence; None is its start and its end."""
    written = [OUTSIDE if tag is None else f"I-{tag[2:]}" if tag[0] == "M" else tag for tag in tags]
    return zip((None, *written), (*written, None), strict=True)


def detect_scheme(counts: Mapping[TagPair, int]) -> str:
    """Return the scheme in which the fewest tags are invalid.

    `E` or `S` indicate BIOES, `L` or `U` BILOU. With `B` and `I` only, BIO2 is preferred to BIO1.

    Args:
        counts: Number of occurrences of each pair of `pairs_of`.
    """
    prefixes = {tag[0] for pair in counts for tag in pair if tag}
    if prefixes & set("ESLU"):
        return "BILOU" if len(prefixes & set("LU")) > len(prefixes & set("ES")) else "BIOES"
    bio1, bio2 = (sum(invalid_pairs(counts, scheme).values()) for scheme in ("BIO1", "BIO2"))
    return "BIO1" if bio1 < bio2 else "BIO2"


def invalid_pairs(counts: Mapping[TagPair, int], scheme: str) -> dict[TagPair, int]:
    """Return the pairs of `pairs_of` that no valid sequence of the scheme contains, with their counts."""
    scheme = scheme_named(scheme)
    known = {OUTSIDE, *("BI" if scheme == "BIO1" else _PREFIXES[scheme])}
    return {
        (previous, tag): count
        for (previous, tag), count in counts.items()
        if not may_follow(tag, previous, scheme) or any(each and each[0] not in known for each in (previous, tag))
    }


def tags_for(labels: Iterable[str], scheme: str = "BIOES") -> list[str]:
    """Return all tags of spans with these labels: `O`, then those of each label."""
    prefixes = ("B", "I") if scheme_named(scheme) == "BIO1" else dict.fromkeys(_PREFIXES[scheme_named(scheme)])
    return [OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in prefixes)]


def may_follow(tag: str | None, after: str | None, scheme: str = "BIOES") -> bool:
    """Return whether `tag` may directly follow `after` in a valid sequence of the scheme.

    Args:
        tag: A tag of the scheme, or None for the end of the sentence.
        after: The previous tag, or None for the start of the sentence.
        scheme: Name of the scheme, see `scheme_named`.

    Example:
        >>> may_follow("I-PER", after="B-PER"), may_follow("I-PER", after="O"), may_follow(None, after="B-PER")
        (True, False, False)
    """
    scheme = scheme_named(scheme)
    prefix, label = (tag[0], tag[2:]) if tag else (OUTSIDE, "")
    previous, previous_label = (after[0], after[2:]) if after else (OUTSIDE, "")
    is_same = label == previous_label and previous != OUTSIDE and prefix != OUTSIDE
    if scheme == "BIO1":
        return prefix != "B" or is_same
    if scheme == "BIO2":
        return prefix != "I" or is_same
    must_continue = previous in "BI"
    continues = prefix in "IEL"
    return must_continue == continues and (is_same or not continues)


def are_tags(counts: Mapping[str, int]) -> bool:
    """Return whether the values of a column are tags of spans such as `B-PER`.

    They are if at least half of them are tags or `O`, and not only `O`. So a few mistakes do not turn spans into labels
    of words, and a few lemmas such as `E-mail` do not turn lemmas into spans.

    Args:
        counts: Number of occurrences of each value; the empty one and `_` count as `O`, beside tags also `o` and `0`.
    """
    has_spans = any(is_tag(value) and value != OUTSIDE for value in counts)
    outside = (*NOTHING, *OUTSIDE_FORMS) if has_spans else NOTHING
    odd = sum(count for value, count in counts.items() if not is_tag(value) and value not in outside)
    return odd == 0 or (has_spans and 2 * odd <= sum(counts.values()))


@dataclass(frozen=True, eq=False)  # compared by identity, so that the cache of `parse` is fast
class TagForm:
    """A way in which files write tags of spans.

    Attributes:
        name: An example.
        pattern: Regular expression of a tag, with the groups `prefix` and, unless spans have no type, `label`. None for
            the brackets of OntoNotes and CoNLL-2012.
    """

    name: str
    pattern: re.Pattern[str] | None

    @lru_cache(maxsize=4096)  # noqa: B019  # the few forms live as long as the process
    def parse(self, value: str, default_label: str) -> str | None:
        """Return a value as `O` or a tag such as `B-PER`, or None if it has not this form.

        Args:
            value: A value of a column.
            default_label: The label of spans without a type.
        """
        if value in NOTHING or value in OUTSIDE_FORMS:
            return OUTSIDE
        match = self.pattern.fullmatch(value) if self.pattern else None
        if match is None:
            return None
        prefix = match["prefix"].upper()
        return f"{'I' if prefix == 'M' else prefix}-{match.groupdict().get('label', default_label)}"

    def spans_of(self, values: Sequence[str], default_label: str) -> list[TagSpan]:
        """Return the spans of the values of a sentence.

        Raises:
            LabelError: If a value has not this form, or brackets do not match.
        """
        if self.pattern is None:
            return _spans_of_brackets(values)
        return spans_of([self.parse(value, default_label) or value for value in values])


_PREFIX = "(?P<prefix>[BIESLUMbieslum])"
STANDARD_FORM = TagForm("B-PER", re.compile("(?P<prefix>[BIESLUM])-(?P<label>.+)", re.DOTALL))
BRACKETS = TagForm("(PER*", None)
_OTHER_FORMS = (
    TagForm("b-per", re.compile("(?P<prefix>[bieslum])-(?P<label>.+)", re.DOTALL)),
    TagForm("B_PER", re.compile(f"{_PREFIX}_(?P<label>.+)", re.DOTALL)),
    TagForm("PER-B", re.compile(f"(?P<label>.+)[-_]{_PREFIX}", re.DOTALL)),
    TagForm("B", re.compile(f"{_PREFIX}[-_]?")),
)
_BRACKET = re.compile(r"(?P<open>\((?P<label>[^()*\s]+))?\*?(?P<close>\))?")
_ANY_FORM = re.compile(  # all of the forms at once, which is faster
    r"[BIESLUMbieslum](?:[-_].*)?|.+[-_][BIESLUMbieslum]|(?:\([^()*\s]+)?\*?\)?|[_Oo0]", re.DOTALL
)


@lru_cache(maxsize=65536)
def may_be_tag(value: str) -> bool:
    """Return whether a value is a tag in any form, `O` or empty."""
    return _ANY_FORM.fullmatch(value) is not None


def detect_form(counts: Mapping[str, int]) -> TagForm | None:
    """Return the form of the tags in a column, or None if its values are not tags.

    `B-PER` is recognised by `are_tags`; another form only if all values have it. `PER-B` and `B`, which may be other
    labels, also need `O`, `o` or `0` in the column.

    Args:
        counts: Number of occurrences of each value.
    """
    if are_tags(counts):
        return STANDARD_FORM
    labelled = [value for value in counts if value not in NOTHING and value not in OUTSIDE_FORMS]
    has_outside = any(value in OUTSIDE_FORMS for value in counts)
    for form in _OTHER_FORMS[:2] + _OTHER_FORMS[2:] * has_outside:
        if all(form.parse(value, "") for value in labelled):
            return form
    is_bracketed = all(map(_BRACKET.fullmatch, labelled))
    return BRACKETS if is_bracketed and (set(labelled) == {"*"} or any(value[0] == "(" for value in labelled)) else None


def _spans_of_brackets(values: Sequence[str]) -> list[TagSpan]:
    """Return the spans of values such as `(PER*`, `*`, `*)`, and `(PER)` for a single word."""
    spans: list[TagSpan] = []
    start, label = 0, ""
    for index, value in enumerate(values):
        match = None if value in NOTHING or value in OUTSIDE_FORMS else _BRACKET.fullmatch(value)
        if match is None and (label or (value not in NOTHING and value not in OUTSIDE_FORMS)):
            raise LabelError(f"value {index + 1} of the sentence must be like (PER*, * or *), not {value!r}")
        if match is None:
            continue
        if match["open"]:
            if label:
                raise LabelError(f"value {index + 1} of the sentence, {value!r}, opens a span inside another")
            start, label = index, match["label"]
        if match["close"]:
            if not label:
                raise LabelError(f"value {index + 1} of the sentence, {value!r}, closes no span")
            spans.append((start, index + 1, label))
            label = ""
    if label:
        raise LabelError(f"the span {label!r} from value {start + 1} of the sentence on is not closed")
    return spans
