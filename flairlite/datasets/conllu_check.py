"""Find the sentences in the bytes of a CoNLL-U file and check them with array operations, without a loop over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_NUM_COLUMNS = 10
_ID, _HEAD = 0, 6  # columns
_NEWLINE, _TAB, _HASH, _UNDERSCORE, _ZERO = (ord(character) for character in "\n\t#_0")
_MAX_DIGITS = 9  # longer ids are not those of words

_Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Blocks:
    """The S sentences of a text.

    Attributes:
        bounds: (S, 2) start and exclusive end in bytes, without the final newline.
        lines: (S,) 0-based number of the first line.
        num_words: (S,) number of rows whose id is a whole number.
        is_sound: (S,) whether all rows have ten non-empty columns, and the words have the ids 1, 2, 3 and so on, with
            heads among these.
        others: (X, 4) the rows with another id: index of the sentence, start and exclusive end of the id in bytes, and
            number of words of the sentence before it.
    """

    bounds: _Array
    lines: _Array
    num_words: _Array
    is_sound: _Array
    others: _Array


def find_blocks(text: bytes) -> Blocks:
    """Find sentences: blocks of non-empty lines with at least one row that is not a comment."""
    characters = np.frombuffer(text, dtype=np.uint8)
    ends = np.append(np.flatnonzero(characters == _NEWLINE), len(text))  # (L,)
    starts = np.append(0, ends[:-1] + 1)  # (L,)
    is_filled = ends > starts
    is_row = is_filled.copy()
    is_row[is_filled] = characters[starts[is_filled]] != _HASH
    is_first = is_filled & ~np.append(False, is_filled[:-1])  # lines of a block, which may have only comments
    is_last = is_filled & ~np.append(is_filled[1:], False)
    block_of_line = np.cumsum(is_first) - 1
    has_rows = np.bincount(block_of_line[is_row], minlength=int(is_first.sum())) > 0
    block = (np.cumsum(has_rows) - 1)[block_of_line[is_row]]  # (R,) index among the blocks with rows
    rows = _check_rows(characters, starts[is_row], ends[is_row])

    num_words = np.bincount(block[rows.is_word], minlength=int(has_rows.sum()))  # (S,)
    first_word = np.cumsum(num_words) - num_words  # (S,) words of all previous blocks
    before = np.cumsum(rows.is_word) - rows.is_word - first_word[block]  # (R,) words of the block before each row
    is_numbered = (rows.ids == before + 1) & (rows.heads <= num_words[block])
    is_sound = np.ones(len(num_words), dtype=bool)
    is_sound[block[~rows.is_filled | (rows.is_word & ~is_numbered)]] = False
    is_other = rows.is_filled & ~rows.is_word
    others = np.stack([column[is_other] for column in (block, starts[is_row], rows.id_ends, before)], axis=1)
    bounds = np.stack((starts[is_first], ends[is_last]), axis=1)
    return Blocks(bounds[has_rows], np.flatnonzero(is_first)[has_rows], num_words, is_sound, others)


@dataclass(frozen=True)
class _Rows:
    is_filled: _Array  # (R,) whether a row has ten non-empty columns
    is_word: _Array  # (R,) whether, in addition, its id is a whole number
    ids: _Array  # (R,) the id, or -1
    id_ends: _Array  # (R,) exclusive end of the id in bytes
    heads: _Array  # (R,) the head; 0 for the underscore, larger than any id for other values


def _check_rows(characters: _Array, starts: _Array, ends: _Array) -> _Rows:
    """Check R rows, from `starts` to `ends`."""
    tabs = np.flatnonzero(characters == _TAB)
    first_tab = np.searchsorted(tabs, starts)  # (R,)
    is_filled = np.searchsorted(tabs, ends) - first_tab == _NUM_COLUMNS - 1
    filled = np.flatnonzero(is_filled)  # (P,)
    inner = tabs[first_tab[filled, None] + np.arange(_NUM_COLUMNS - 1)]  # (P, 9)
    left = np.column_stack((starts[filled], inner + 1))  # (P, 10) start of each column
    widths = np.column_stack((inner, ends[filled])) - left  # (P, 10)

    is_filled[filled] = (widths > 0).all(1)
    ids, heads, id_ends = np.full((3, len(starts)), -1)
    ids[filled], id_ends[filled] = _numbers(characters, left[:, _ID], widths[:, _ID]), inner[:, _ID]
    heads[filled] = _numbers(characters, left[:, _HEAD], widths[:, _HEAD])
    is_unknown = (widths[:, _HEAD] == 1) & (characters[left[:, _HEAD]] == _UNDERSCORE)
    heads[filled[is_unknown]] = 0
    return _Rows(is_filled, is_filled & (ids >= 0), ids, id_ends, np.where(heads < 0, len(characters), heads))


def _numbers(characters: _Array, starts: _Array, widths: _Array) -> _Array:
    """Parse whole numbers without leading zeros, (R,); -1 for other values."""
    values = np.zeros(len(starts), dtype=np.int64)
    is_number = (widths > 0) & (widths <= _MAX_DIGITS)
    for digit in range(min(int(widths.max(initial=0)), _MAX_DIGITS)):
        inside = np.flatnonzero(widths > digit)
        new = characters[starts[inside] + digit].astype(np.int64) - _ZERO
        is_number[inside] &= (new >= 0) & (new <= 9)
        if digit == 1:
            is_number[inside] &= values[inside] != 0
        values[inside] = 10 * values[inside] + new
    return np.where(is_number, values, -1)
