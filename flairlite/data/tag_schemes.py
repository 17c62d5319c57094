"""Spans as one tag a word, in the schemes BIO1, BIO2, BIOES and BILOU: read, written, told apart and repaired.

The rule of reading, the same for all schemes and that of conlleval and seqeval: `B` and the tags of a single word (`S`,
`U`) begin a span. So does any other tag that has nothing to go on from: the word before it has no span, or one of
another label, or one that has ended (with `E`, `L`, `S` or `U`). A span goes on as long as no tag begins another and
ends at the last such word. So each word with a label is in one span of this label, whatever tags stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from flairlite.errors import LabelError, SettingError

TagSpan = tuple[int, int, str]  # first word, the one behind the last, label
TagPair = tuple["str | None", "str | None"]  # a tag behind another

OUTSIDE = "O"
NOTHING = ("", "_")  # what stands for O in some files
# The prefixes of a span of one word, and of the first, an inner and the last of several.
_PREFIXES = {"BIO1": tuple("IIII"), "BIO2": tuple("BBII"), "BIOES": tuple("SBIE"), "BILOU": tuple("UBIL")}
_ALIASES = {"BIO": "BIO2", "IOB": "BIO1", "IOB1": "BIO1", "IOB2": "BIO2", "IOBES": "BIOES", "BMES": "BIOES"}
SCHEMES = tuple(_PREFIXES)
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ESLU")
_ALL_PREFIXES = frozenset("BIESLUM")  # M, as in BMES, is I


def scheme_named(name: str) -> str:
    """Return the scheme of a name: BIO1, BIO2, BIOES, BILOU or another name of one of them, such as BIO for BIO2.

    Raises:
        SettingError: when no scheme has this name.
    """
    scheme = _ALIASES.get(name.upper(), name.upper())
    if scheme not in _PREFIXES:
        raise SettingError(f"no tag scheme is named {name!r}: use one of {', '.join((*SCHEMES, *_ALIASES))}")
    return scheme


@lru_cache(maxsize=4096)
def is_tag(value: str | None) -> bool:
    """Tell whether a value is `O` or a prefix and a label, as in `B-PER`."""
    return value is None or value == OUTSIDE or (len(value) > 2 and value[1] == "-" and value[0] in _ALL_PREFIXES)


def spans_of(tags: Sequence[str | None]) -> list[TagSpan]:
    """Return the spans that the tags of a sentence name, in order, by the rule of this module.

    Args:
        tags: A tag a word, in any of the schemes; None is as good as `O`.

    Raises:
        LabelError: for a value that is no tag, with its place.

    Example:
        >>> spans_of(["B-PER", "I-PER", "O", "I-LOC", "E-ORG"])
        [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'ORG')]
    """
    spans: list[TagSpan] = []
    start, current, is_open = 0, "", False  # the span that the word before is in, and whether it can go on
    for place, tag in enumerate(tags):
        if tag == OUTSIDE or tag is None:
            if current:
                spans.append((start, place, current))
                current = ""
            continue
        if not is_tag(tag):
            raise LabelError(f"tag {place + 1} of the sentence must be O or a prefix and a label (B-PER), not {tag!r}")
        prefix, label = tag[0], tag[2:]
        if prefix in _BEGINS or not is_open or label != current:
            if current:
                spans.append((start, place, current))
            start, current = place, label
        is_open = prefix not in _ENDS
    if current:
        spans.append((start, len(tags), current))
    return spans


def get_spans_from_bio(
    bioes_tags: Sequence[str], bioes_scores: Sequence[float] | None = None
) -> list[tuple[list[int], float, str]]:
    """Return the words, the mean score and the label of each span that tags name, as Flair's function of this name.

    Args:
        bioes_tags: A tag a word, in any of the schemes; an empty one and `_` are as good as `O`.
        bioes_scores: A score a word; 1 when not given.

    Raises:
        LabelError: for a value that is no tag.
    """
    spans = spans_of([None if tag in NOTHING else tag for tag in bioes_tags])
    scores = bioes_scores if bioes_scores is not None else [1.0] * len(bioes_tags)
    return [(list(range(a, b)), sum(scores[a:b]) / (b - a), label) for a, b, label in spans]


def tags_of(spans: Iterable[TagSpan], length: int, scheme: str = "BIOES") -> list[str]:
    """Return one tag a word for spans that do not overlap.

    Args:
        spans: The spans, in any order.
        length: Number of words.
        scheme: A name of the scheme, see `scheme_named`.

    Raises:
        LabelError: when a span is empty, has no label, overlaps another or leads out of the sentence.

    Example:
        >>> tags_of([(0, 2, "PER"), (3, 4, "LOC")], 5)
        ['B-PER', 'E-PER', 'O', 'S-LOC', 'O']
    """
    scheme = scheme_named(scheme)
    single, first, inner, last = _PREFIXES[scheme]
    tags = [OUTSIDE] * length
    end, before = 0, ""
    for start, stop, label in sorted(spans):
        if not end <= start < stop <= length or not label:
            raise LabelError(
                f"a span must have words of its own and a label, but ({start}, {stop}, {label!r}) follows one that "
                f"ends at {end}, in a sentence of {length} words: tags cannot write it"
            )
        if stop - start == 1:
            tags[start] = f"{single}-{label}"
        else:
            tags[start:stop] = [f"{first}-{label}", *[f"{inner}-{label}"] * (stop - start - 2), f"{last}-{label}"]
        if scheme == "BIO1" and start == end and label == before:
            tags[start] = f"B-{label}"
        end, before = stop, label
    return tags


def count_repairs(tags: Sequence[str | None], scheme: str) -> int:
    """Return how many tags of a sentence would be others if its spans were written in the scheme: 0 for a valid one.

    Example:
        >>> count_repairs(["O", "I-PER", "I-PER"], "BIO2")
        1
    """
    written = tags_of(spans_of(tags), len(tags), scheme)
    read = ["O" if tag is None else tag.replace("M-", "I-", 1) if tag[0] == "M" else tag for tag in tags]
    return sum(map(str.__ne__, written, read))


def pairs_of(tags: Sequence[str | None]) -> Iterable[TagPair]:
    """Return each tag of a sentence behind the one before it; None stands for the start and for the end."""
    written = [OUTSIDE if tag is None else f"I-{tag[2:]}" if tag[0] == "M" else tag for tag in tags]
    return zip((None, *written), (*written, None), strict=True)


def detect_scheme(counts: Mapping[TagPair, int]) -> str:
    """Return the scheme of some tags: that in which the fewest of them may not stand where they do.

    `E` or `S` make it BIOES, `L` or `U` BILOU. With `B` and `I` only, BIO2 is what says the same as BIO1 where both fit
    equally.

    Args:
        counts: How often each pair of `pairs_of` occurs.
    """
    prefixes = {tag[0] for pair in counts for tag in pair if tag}
    if prefixes & set("ESLU"):
        return "BILOU" if len(prefixes & set("LU")) > len(prefixes & set("ES")) else "BIOES"
    bio1, bio2 = (sum(invalid_pairs(counts, scheme).values()) for scheme in ("BIO1", "BIO2"))
    return "BIO1" if bio1 < bio2 else "BIO2"


def invalid_pairs(counts: Mapping[TagPair, int], scheme: str) -> dict[TagPair, int]:
    """Return the pairs of `pairs_of` that no valid sequence of the scheme has, and how often each occurs."""
    scheme = scheme_named(scheme)
    known = {OUTSIDE, *("BI" if scheme == "BIO1" else _PREFIXES[scheme])}
    return {
        (after, tag): count
        for (after, tag), count in counts.items()
        if not may_follow(tag, after, scheme) or any(each and each[0] not in known for each in (after, tag))
    }


def tags_for(labels: Iterable[str], scheme: str = "BIOES") -> list[str]:
    """Return all tags that spans of these labels can have: `O`, and those of each label in turn."""
    prefixes = ("B", "I") if scheme_named(scheme) == "BIO1" else dict.fromkeys(_PREFIXES[scheme_named(scheme)])
    return [OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in prefixes)]


def may_follow(tag: str | None, after: str | None, scheme: str = "BIOES") -> bool:
    """Tell whether `tag` may come directly after `after` in a valid sequence of the scheme.

    Args:
        tag: A tag of the scheme, or None for the end of the sentence.
        after: The tag before it, or None for the start of the sentence.
        scheme: A name of the scheme, see `scheme_named`.

    Example:
        >>> may_follow("I-PER", after="B-PER"), may_follow("I-PER", after="O"), may_follow(None, after="B-PER")
        (True, False, False)
    """
    scheme = scheme_named(scheme)
    prefix, label = (tag[0], tag[2:]) if tag else (OUTSIDE, "")
    before, label_before = (after[0], after[2:]) if after else (OUTSIDE, "")
    is_same = label == label_before and before != OUTSIDE and prefix != OUTSIDE
    if scheme == "BIO1":
        return prefix != "B" or is_same
    if scheme == "BIO2":
        return prefix != "I" or is_same
    must_go_on = before in "BI"
    goes_on = prefix in "IEL"
    return must_go_on == goes_on and (is_same or not goes_on)


def are_tags(counts: Mapping[str, int]) -> bool:
    """Tell whether the values of a column are tags, so that its labels are those of spans.

    They are where `O` and tags make up half of the column or more, and where there is no more than `O`. So a few values
    that are mistaken do not turn spans into labels of words, nor a few lemmas such as `E-mail` the other way round.

    Args:
        counts: How often each value occurs; the empty one and `_` count as `O`.
    """
    odd = sum(count for value, count in counts.items() if not is_tag(value) and value not in NOTHING)
    has_spans = any(is_tag(value) and value != OUTSIDE for value in counts)
    return odd == 0 or (has_spans and 2 * odd <= sum(counts.values()))
