"""Subwords: words split by a tokenizer of Hugging Face, and laid out as the inputs of a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairlite.errors import MissingExtraError, SettingError
from flairlite.lookup.packing import Ragged

Ids = NDArray[np.int64]
Group = tuple[Ids, NDArray[np.bool_] | None]

SEPARATOR = "[FLERT]"  # Flair's token between a sentence and its context
_MASK_COST = 1.1  # of a subword in a group that needs a mask, which attention on a CPU is slower with
_CHUNK = 1024  # words split in one call, which merges them in memory
_PROBES = ("a", "1", ".", "the", "is")  # words of which a tokenizer splits at least one into subwords


class SubwordTokenizer:
    """Splits words into subwords as a fast tokenizer of Hugging Face does with `is_split_into_words`.

    These tokenizers split each word on its own, so that each distinct word of a data set needs to be split only once.

    Args:
        definition: The content of a `tokenizer.json`.
        pad_id: The id of the padding token.

    Attributes:
        prefix: The ids of the special tokens before a sentence.
        suffix: The ids of the special tokens after a sentence.
        separator: The id of `[FLERT]`, or None.

    Raises:
        SettingError: If the definition is not one of a tokenizer, or the tokenizer splits no word.
        MissingExtraError: If tokenizers is not installed.
    """

    def __init__(self, definition: str, pad_id: int) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError("transformers need the package tokenizers", extra="tokenizers") from error
        try:
            self._tokenizer = Tokenizer.from_str(definition)
        except Exception as error:  # the only type that the library raises
            raise SettingError(f"the tokenizer is damaged: {str(error)[:200]}. Copy or save it again") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.pad_id = pad_id
        self.prefix, self.suffix = self._find_special_tokens()
        self.separator: int | None = self._tokenizer.token_to_id(SEPARATOR)

    @property
    def definition(self) -> str:
        """The content of its `tokenizer.json`."""
        return str(self._tokenizer.to_str())

    @property
    def num_special(self) -> int:
        """The number of special tokens in each input."""
        return len(self.prefix) + len(self.suffix)

    @property
    def largest_id(self) -> int:
        """The largest id that it gives, or the id of the padding token."""
        return int(max(self.pad_id, *self._tokenizer.get_vocab(with_added_tokens=True).values()))

    def add_separator(self) -> int:
        """Add `[FLERT]` to the vocabulary unless it is there, and return its id."""
        if self.separator is None:
            self._tokenizer.add_special_tokens([SEPARATOR])
            self.separator = self._tokenizer.token_to_id(SEPARATOR)
        assert self.separator is not None
        return self.separator

    def split(self, words: Sequence[str]) -> Ragged:
        """Return the ids of the subwords of U words; further rows are empty (U), for padding, and `[FLERT]` (U + 1)."""
        ids: list[Ids] = []
        lengths: list[Ids] = []
        for start in range(0, len(words), _CHUNK):
            chunk = [_to_unicode(word) for word in words[start : start + _CHUNK]]
            encoding = self._tokenizer.encode(chunk, is_pretokenized=True, add_special_tokens=False)
            owners = np.array(encoding.word_ids, dtype=np.int64)  # (M,) ascending
            ids.append(np.array(encoding.ids, dtype=np.int64))
            lengths.append(np.bincount(owners, minlength=len(chunk)))
        separator = [] if self.separator is None else [self.separator]
        ids.append(np.array(separator, dtype=np.int64))
        lengths.append(np.array([0, len(separator)], dtype=np.int64))
        return Ragged.pack(np.concatenate(ids), np.concatenate(lengths))

    def _find_special_tokens(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        for probe in _PROBES:
            encoding = self._tokenizer.encode([probe], is_pretokenized=True)
            inside = [index for index, word in enumerate(encoding.word_ids) if word is not None]
            if inside:
                return tuple(encoding.ids[: inside[0]]), tuple(encoding.ids[inside[-1] + 1 :])
        raise SettingError(f"the tokenizer splits none of {', '.join(_PROBES)} into subwords: check its vocabulary")


def _to_unicode(word: str) -> str:
    """Return a word with lone surrogates, which are no Unicode text, replaced by question marks."""
    return word if word.isascii() else word.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True)
class Windows:
    """How long sentences are cut into overlapping windows.

    A subword is read in the window in whose middle it is: of two windows that overlap, each counts for its half of the
    overlap.

    Attributes:
        capacity: The largest number of subwords in a window, C, without special tokens.
        stride: The number of subwords that two windows share.
    """

    capacity: int
    stride: int

    def count(self, sizes: Ids) -> Ids:
        """Return the number of windows (B,) of sentences with `sizes` (B,) subwords."""
        step = self.capacity - self.stride
        counts: Ids = 1 + (np.maximum(sizes - self.capacity, 0) + step - 1) // step
        return counts

    def locate(self, steps: Ids, last: Ids) -> Ids:
        """Return the window in which to read subwords, (M,).

        Args:
            steps: (M,) the position of each subword in its sentence.
            last: (M,) the last window of its sentence.
        """
        half, step = self.stride // 2, self.capacity - self.stride
        windows: Ids = np.minimum(np.maximum(steps - half, 0) // step, last)
        return windows


@dataclass(frozen=True)
class Layout:
    """Sentences as inputs of a transformer: groups of windows, each window with its special tokens.

    Attributes:
        groups: For each group of W windows of up to L subwords, the subwords (W, L), padded, and whether they are
            subwords, and not padding, (W, L); None in its place if the group was made without padding.
        positions: (M,) the position of each subword of the batch in the flattened groups, in the order of the words.
        begins: (B,) the position of the first token of each sentence, special or not.
        ends: (B,) the position of the last one.
        lengths: (B, T) the number of subwords of each word.
    """

    groups: tuple[Group, ...]
    positions: Ids
    begins: Ids
    ends: Ids
    lengths: Ids


@dataclass(frozen=True)
class Bags:
    """Which outputs of a transformer are pooled to vectors.

    Attributes:
        positions: (P,) the positions of the outputs in the flattened windows.
        starts: The index in `positions` of the first output of each vector, whose outputs end before those of the next:
            (B, T, 1) of words, (B, T, 2) of words whose vectors have two parts, or (B,) of sentences.
    """

    positions: Ids
    starts: Ids


def check_sizes(sizes: Ids, indices: Ids, windows: Windows | None, name: str) -> None:
    """Check that no sentence has more subwords than a transformer reads at once.

    Args:
        sizes: (B,) the subwords of each sentence.
        indices: (B,) the positions of the sentences in their data set.
        windows: The capacity of the transformer, or None if it has no limit.
        name: The name of the transformer.

    Raises:
        SettingError: If a sentence is too long.
    """
    if windows is None or not len(sizes):
        return
    longest = int(sizes.argmax())
    if sizes[longest] > windows.capacity:
        raise SettingError(
            f"sentence {int(indices[longest]) + 1} has {int(sizes[longest]):,} subwords, but {name} reads at most "
            f"{windows.capacity:,} at once: give allow_long_sentences=True, which reads it in overlapping windows, or "
            "split the sentence"
        )


def surround(rows: Ids, sides: Ids, separator: int | None) -> tuple[Ids, int]:
    """Return the rows of sentences (B, T) with their context, and the column of their first words.

    Args:
        rows: (B, T) the rows of the words.
        sides: (B, 2, C) the rows of the words before, and after, each sentence.
        separator: The row of the token between a sentence and its context, or None.
    """
    parts = [sides[:, 0], rows, sides[:, 1]]
    if separator is not None:
        column = np.full((len(rows), 1), separator)
        parts = [parts[0], column, rows, column, parts[2]]
    return np.concatenate(parts, axis=1), sum(part.shape[1] for part in parts[: len(parts) // 2])


def lay_out(
    subwords: Ragged,
    rows: Ids,
    tokenizer: SubwordTokenizer,
    windows: Windows | None,
    *,
    call_cost: int | None = None,
) -> Layout:
    """Lay out sentences as inputs of a transformer.

    Args:
        subwords: The subwords of distinct words.
        rows: (B, T) the rows of the words of each sentence, with their context.
        tokenizer: Knows the special tokens.
        windows: How to cut sentences, or None for one window a sentence.
        call_cost: The cost of a call of the transformer, in subwords. Windows are put into groups of similar length, as
            far as this costs less than the padding that it avoids. None for a single group with a mask.
    """
    lengths = subwords.lengths(rows)  # (B, T)
    ids, _ = subwords.join(rows.ravel())  # (M,)
    sizes = lengths.sum(axis=1)  # (B,)
    windows = windows or Windows(max(1, int(sizes.max())), 0)
    left, right = len(tokenizer.prefix), len(tokenizer.suffix)
    counts = windows.count(sizes)  # (B,)
    first = counts.cumsum() - counts  # (B,) the first window of each sentence
    sentence = np.arange(len(sizes)).repeat(counts)  # (W,)
    rank = np.arange(len(sentence)) - first[sentence]  # (W,) of the windows of a sentence
    starts = rank * (windows.capacity - windows.stride)  # (W,)
    widths = np.minimum(sizes[sentence] - starts, windows.capacity)  # (W,)
    width = int(widths.max())
    length = max(1, width + tokenizer.num_special)
    firsts = sizes.cumsum() - sizes  # (B,)
    input_ids = np.full((len(sentence), length), tokenizer.pad_id, dtype=np.int64)
    input_ids[:, :left] = tokenizer.prefix
    steps = np.arange(width)  # (L - special,)
    is_inside = steps < widths[:, None]
    sources = (firsts[sentence] + starts)[:, None] + steps
    input_ids[:, left : left + width][is_inside] = ids[sources[is_inside]]
    input_ids[np.arange(len(sentence))[:, None], (left + widths)[:, None] + np.arange(right)] = tokenizer.suffix
    owner = np.arange(len(sizes)).repeat(sizes)  # (M,)
    within = np.arange(len(ids)) - firsts[owner]  # (M,)
    window = windows.locate(within, counts[owner] - 1)  # (M,)
    columns = left + within - window * (windows.capacity - windows.stride)
    last = first + counts - 1
    totals = np.maximum(widths + tokenizer.num_special, 1)  # attention to nothing is not defined
    mask = np.arange(length) < totals[:, None]  # (W, L)
    groups: tuple[Group, ...] = ((input_ids, mask),)
    offsets = np.arange(len(sentence)) * length  # (W,)
    if call_cost is not None:
        groups, offsets = _group(input_ids, mask, totals, call_cost)
    return Layout(
        groups,
        offsets[first[owner] + window] + columns,
        offsets[first],
        offsets[last] + totals[last] - 1,
        lengths,
    )


def _group(input_ids: Ids, mask: NDArray[np.bool_], totals: Ids, call_cost: int) -> tuple[tuple[Group, ...], Ids]:
    """Return groups of windows (W, L), and the position of each window in the flattened groups, (W,)."""
    order = np.argsort(totals, kind="stable")  # (W,)
    groups: list[Group] = []
    offsets, end = np.zeros_like(totals), 0
    for chosen in np.split(order, np.cumsum(_choose_sizes(totals[order], call_cost))[:-1]):
        length = int(totals[chosen[-1]])
        is_full = totals[chosen[0]] == length
        groups.append((input_ids[chosen, :length], None if is_full else mask[chosen, :length]))
        offsets[chosen] = end + np.arange(len(chosen)) * length
        end += len(chosen) * length
    return tuple(groups), offsets


def _choose_sizes(lengths: Ids, call_cost: int) -> list[int]:
    """Return the number of windows in each group, given their ascending lengths (W,), so that the cost is least."""
    count = len(lengths)
    costs, starts = np.zeros(count + 1), np.zeros(count + 1, dtype=np.int64)  # of the best groups up to a window
    for end in range(1, count + 1):
        longest = lengths[end - 1]
        per_subword = np.where(lengths[:end] == longest, 1.0, _MASK_COST)
        found = costs[:end] + (end - np.arange(end)) * longest * per_subword + call_cost
        starts[end] = found.argmin()
        costs[end] = found[starts[end]]
    sizes, end = [], count
    while end:
        sizes.append(int(end - starts[end]))
        end = int(starts[end])
    return sizes[::-1]


def pool_words(layout: Layout, begin: int, end: int, pooling: str) -> Bags:
    """Choose the subwords that make the vector of each word.

    Args:
        layout: The sentences, with their context.
        begin: The column of the first words.
        end: The column of the context after them.
        pooling: See `TransformerWordEmbeddings`.
    """
    is_pooled = np.zeros(layout.lengths.shape, dtype=np.bool_)
    is_pooled[:, begin:end] = True
    positions = layout.positions[is_pooled.ravel().repeat(layout.lengths.ravel())]
    lengths = layout.lengths[:, begin:end]  # (B, T)
    ends = lengths.ravel().cumsum()  # (B * T,)
    starts = ends - lengths.ravel()
    if pooling == "mean":
        return Bags(positions, starts.reshape(*lengths.shape, 1))
    is_there = starts < ends
    firsts, lasts = starts[is_there], ends[is_there] - 1
    parts = {"first": (firsts,), "last": (lasts,), "first_last": (firsts, lasts)}[pooling]
    before = (is_there.cumsum() - is_there) * len(parts)  # (B * T,) positions chosen for earlier words
    steps = np.arange(len(parts)) * is_there[:, None]  # (B * T, P)
    return Bags(positions[np.stack(parts, axis=1).ravel()], (before[:, None] + steps).reshape(*lengths.shape, -1))


def pool_sentences(layout: Layout, tokenizer: SubwordTokenizer, pooling: str, *, begins_with_cls: bool) -> Bags:
    """Choose the tokens that make the vector of each sentence.

    Args:
        layout: The sentences.
        tokenizer: Knows the special tokens.
        pooling: `cls` for the token of the whole sentence; otherwise all tokens are chosen.
        begins_with_cls: Whether that token is the first one, and not the last.
    """
    sentence = np.arange(len(layout.lengths))
    if pooling == "cls":
        return Bags(layout.begins if begins_with_cls else layout.ends, sentence)
    sizes = layout.lengths.sum(axis=1)
    before = layout.begins[:, None] + np.arange(len(tokenizer.prefix))  # (B, special tokens)
    after = layout.ends[:, None] - np.arange(len(tokenizer.suffix))
    positions = np.concatenate((before.ravel(), layout.positions, after.ravel()))
    counts = [np.full_like(sizes, before.shape[1]), sizes, np.full_like(sizes, after.shape[1])]
    owners = np.concatenate([sentence.repeat(count) for count in counts])
    total = sizes + tokenizer.num_special
    return Bags(positions[np.argsort(owners, kind="stable")], total.cumsum() - total)
