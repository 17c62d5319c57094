"""Subwords: words split by a tokenizer of Hugging Face, and laid out as the inputs of a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flairlite.errors import SettingError
from flairlite.lookup.packing import Ragged

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
    """

    def __init__(self, definition: str, pad_id: int) -> None:
        from tokenizers import Tokenizer

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

    def add_separator(self) -> int:
        """Add `[FLERT]` to the vocabulary unless it is there, and return its id."""
        if self.separator is None:
            self._tokenizer.add_special_tokens([SEPARATOR])
            self.separator = self._tokenizer.token_to_id(SEPARATOR)
        assert self.separator is not None
        return self.separator

    def split(self, words: Sequence[str]) -> Ragged:
        """Return the ids of the subwords of U words; further rows are empty (U), for padding, and `[FLERT]` (U + 1)."""
        ids: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        lengths: list[np.ndarray[Any, np.dtype[np.int64]]] = []
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

    def count(self, sizes: Tensor) -> Tensor:
        """Return the number of windows (B,) of sentences with `sizes` (B,) subwords."""
        step = self.capacity - self.stride
        return 1 + torch.div((sizes - self.capacity).clamp(min=0) + step - 1, step, rounding_mode="floor")

    def locate(self, steps: Tensor, last: Tensor) -> Tensor:
        """Return the window in which to read subwords, (M,).

        Args:
            steps: (M,) the position of each subword in its sentence.
            last: (M,) the last window of its sentence.
        """
        half, step = self.stride // 2, self.capacity - self.stride
        return torch.minimum(torch.div((steps - half).clamp(min=0), step, rounding_mode="floor"), last)


@dataclass(frozen=True)
class Layout:
    """Sentences as inputs of a transformer: groups of windows, each window with its special tokens.

    Attributes:
        groups: For each group of W windows of up to L subwords, the subwords (W, L), padded, and whether they are
            subwords, and not padding, (W, L); None in its place if the group was made without padding.
        positions: (M,) the position of each subword of the batch in the flattened groups, in the order of the words.
        begins: (B,) the position of the first token of each sentence, special or not.
        ends: (B,) the position of the last one.
    """

    groups: tuple[tuple[Tensor, Tensor | None], ...]
    positions: Tensor
    begins: Tensor
    ends: Tensor


def lay_out(
    ids: Tensor, sizes: Tensor, tokenizer: SubwordTokenizer, windows: Windows | None, *, call_cost: int | None = None
) -> Layout:
    """Lay out sentences as inputs of a transformer.

    Args:
        ids: (M,) the subwords of all sentences.
        sizes: (B,) the number of subwords of each sentence.
        tokenizer: Knows the special tokens.
        windows: How to cut sentences, or None for one window a sentence.
        call_cost: The cost of a call of the transformer, in subwords. Windows are put into groups of similar length, as
            far as this costs less than the padding that it avoids. None for a single group.
    """
    windows = windows or Windows(max(1, int(sizes.max())), 0)
    left, right = len(tokenizer.prefix), len(tokenizer.suffix)
    counts = windows.count(sizes)  # (B,)
    first = counts.cumsum(0) - counts  # (B,) the first window of each sentence
    sentence = torch.arange(len(sizes)).repeat_interleave(counts)  # (W,)
    rank = torch.arange(len(sentence)) - first[sentence]  # (W,) of the windows of a sentence
    starts = rank * (windows.capacity - windows.stride)  # (W,)
    widths = (sizes[sentence] - starts).clamp(max=windows.capacity)  # (W,)
    width = int(widths.max())
    length = max(1, width + tokenizer.num_special)
    firsts = sizes.cumsum(0) - sizes  # (B,)
    input_ids = torch.full((len(sentence), length), tokenizer.pad_id)
    input_ids[:, :left] = torch.tensor(tokenizer.prefix, dtype=torch.int64)
    steps = torch.arange(width)  # (L - special,)
    is_inside = steps < widths.unsqueeze(1)
    sources = (firsts[sentence] + starts).unsqueeze(1) + steps
    input_ids[:, left : left + width][is_inside] = ids[sources[is_inside]]
    rows, ends = torch.arange(len(sentence)).unsqueeze(1), (left + widths).unsqueeze(1)
    input_ids[rows, ends + torch.arange(right)] = torch.tensor(tokenizer.suffix, dtype=torch.int64)
    owner = torch.arange(len(sizes)).repeat_interleave(sizes)  # (M,)
    within = torch.arange(len(ids)) - firsts[owner]  # (M,)
    window = windows.locate(within, counts[owner] - 1)  # (M,)
    columns = left + within - window * (windows.capacity - windows.stride)
    last = first + counts - 1
    totals = (widths + tokenizer.num_special).clamp(min=1)  # attention to nothing is not defined
    mask = torch.arange(length) < totals.unsqueeze(1)  # (W, L)
    groups, offsets = ((input_ids, mask),), torch.arange(len(sentence)) * length
    if call_cost is not None:
        groups, offsets = _group(input_ids, mask, totals, call_cost)
    return Layout(
        groups,
        offsets[first[owner] + window] + columns,
        offsets[first],
        offsets[last] + totals[last] - 1,
    )


def _group(input_ids: Tensor, mask: Tensor, totals: Tensor, call_cost: int) -> tuple[Any, Tensor]:
    """Return groups of windows (W, L), and the position of each window in the flattened groups, (W,)."""
    order = torch.sort(totals, stable=True).indices  # (W,)
    groups, offsets, end = [], torch.zeros_like(totals), 0
    for chosen in torch.split(order, _choose_sizes(totals[order].numpy(), call_cost)):
        length = int(totals[chosen[-1]])
        is_full = bool(totals[chosen[0]] == length)
        groups.append((input_ids[chosen, :length], None if is_full else mask[chosen, :length]))
        offsets[chosen] = end + torch.arange(len(chosen)) * length
        end += len(chosen) * length
    return tuple(groups), offsets


def _choose_sizes(lengths: NDArray[np.int64], call_cost: int) -> list[int]:
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
