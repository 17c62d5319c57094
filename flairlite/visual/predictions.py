"""Read the predictions of a run, and count what is right and wrong in them."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, repeat
from pathlib import Path

from flairlite.data.tag_schemes import NOTHING, TagSpan, spans_of
from flairlite.errors import DataFormatError
from flairlite.markup import NONE
from flairlite.storage.run_files import predictions_name, scores_name

NUM_BINS = 10
_KEPT_PER_PAIR = 12  # errors that are kept for each pair of a gold and a predicted label
_KEPT_WORST = 40

_Row = tuple[str, str, str, "float | None", "bool | None"]  # word, gold, predicted, score, whether the word is known


@dataclass(frozen=True)
class Error:
    """An error of a model.

    Attributes:
        gold: The gold label, or NONE.
        predicted: The predicted label, or NONE.
        score: The score of the prediction; None if unknown.
        sentence: The number of the sentence in the file, from 1.
        words: The words of the sentence, or its whole text.
        start: The first wrong word.
        end: The word after the last wrong one.
        golds: The gold labels or tags of the words.
        predictions: The predicted ones.
        is_unknown: Whether the training data lack one of the wrong words.
    """

    gold: str
    predicted: str
    score: float | None
    sentence: int
    words: Sequence[str]
    start: int
    end: int
    golds: Sequence[str] = ()
    predictions: Sequence[str] = ()
    is_unknown: bool = False


@dataclass
class Predictions:
    """What the predictions of a run show.

    Attributes:
        pairs: How often each label was predicted for each gold label.
        bins: Of the predictions with a score in each tenth: their number, their summed scores and how many are right.
        by_knowledge: Of the words that the training data have (True) or lack: their number and how many are right.
        num_sentences: The number of sentences.
    """

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    bins: list[list[float]] = field(default_factory=lambda: [[0, 0.0, 0] for _ in range(NUM_BINS)])
    by_knowledge: dict[bool, list[int]] = field(default_factory=lambda: {True: [0, 0], False: [0, 0]})
    num_sentences: int = 0
    _kept: defaultdict[tuple[str, str], list[tuple[float, int, Error]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _worst: list[tuple[float, int, Error]] = field(default_factory=list)
    _counter: Iterator[int] = field(default_factory=count)

    def add_score(self, score: float, is_right: bool) -> None:
        """Count a prediction for the calibration."""
        entry = self.bins[min(NUM_BINS - 1, int(score * NUM_BINS))]
        entry[0] += 1
        entry[1] += score
        entry[2] += is_right

    def add_error(self, error: Error) -> None:
        """Keep an error if it is among those with the highest scores, earlier ones first."""
        item = (-1.0 if error.score is None else error.score, -next(self._counter), error)
        for heap, size in ((self._kept[error.gold, error.predicted], _KEPT_PER_PAIR), (self._worst, _KEPT_WORST)):
            if len(heap) < size:
                heapq.heappush(heap, item)
            else:
                heapq.heappushpop(heap, item)

    def errors(self, pair: tuple[str, str]) -> list[Error]:
        """Return the errors that were kept of a pair of labels, highest score first."""
        return [error for *_, error in sorted(self._kept.get(pair, ()), key=lambda item: item[:2], reverse=True)]

    def worst(self) -> list[Error]:
        """Return the errors with the highest scores."""
        return [error for *_, error in sorted(self._worst, key=lambda item: item[:2], reverse=True)]

    @property
    def num_errors(self) -> int:
        """The number of pairs that differ."""
        return sum(number for (gold, predicted), number in self.pairs.items() if gold != predicted)

    def calibration_error(self) -> float | None:
        """Return the expected calibration error, or None without scores.

        That is the mean difference between score and accuracy over ten bins, weighted by their sizes (Guo et al. 2017,
        On Calibration of Modern Neural Networks).
        """
        total = sum(size for size, _, _ in self.bins)
        return sum(abs(scores - right) for _, scores, right in self.bins) / total if total else None


def read_predictions(
    folder: Path, split: str, unit: str, *, exclude: Collection[str] = (), multi_label: Collection[str] | None = None
) -> Predictions | None:
    """Read the predictions for a split; None if there are none in the folder.

    Args:
        folder: The folder of a run.
        split: The name of the split.
        unit: What has labels: `word`, `span` or `whole sentence`.
        exclude: Labels without scores; units with such a gold label are left out.
        multi_label: All labels, if a sentence can have several.

    Raises:
        DataFormatError: If a file is damaged, or the lines of the two do not belong together.
    """
    path = folder / predictions_name(split)
    if not path.exists():
        return None
    found = Predictions()
    by_word = unit != "whole sentence"
    add = _add_spans if unit == "span" else _add_words
    rows: list[_Row] = []
    for cells, score, is_known in _read_rows(path, folder / scores_name(split), by_word):
        if not by_word:
            _add_sentence(found, cells, score, exclude, multi_label)
        elif cells:
            word, gold, predicted = cells
            rows.append((word, gold, predicted, score[0] if score else None, is_known))
        else:
            found.num_sentences += 1
            if rows:
                _count_words(found, rows, exclude)
                add(found, rows, exclude)
            rows = []
    return found


def _read_rows(path: Path, scores: Path, by_word: bool) -> Iterator[tuple[Sequence[str], Sequence[float], bool | None]]:
    """Yield the cells of each line, empty between sentences, its scores, and whether its word is known."""
    has_scores = scores.exists()
    score_lines: Iterator[str | None] = _read_lines(scores) if has_scores else iter(())
    lines = zip(_read_lines(path), chain(score_lines, repeat(None)), strict=False)
    for number, (line, given) in enumerate(lines, start=1):
        cells = line.split("\t") if line else ()
        if cells and len(cells) != 3 and not (by_word and len(cells) % 2 and len(cells) > 3):
            raise DataFormatError(f"expected 3 columns, found {len(cells)}", path=path, line=number)
        try:
            values, is_known = _parse_scores(given, bool(cells), by_word) if has_scores else ((), None)
        except (ValueError, KeyError):
            problem = f"the line does not belong to that of {path.name}"
            raise DataFormatError(problem, path=scores, line=number, remedy="Remove the file") from None
        yield cells[:3], values, is_known  # further pairs of columns are of further label types


def _parse_scores(line: str | None, is_expected: bool, by_word: bool) -> tuple[Sequence[float], bool | None]:
    if line is None or bool(line) != is_expected:
        raise ValueError(line)
    if not line:
        return (), None
    first, *rest = line.split("\t")
    (known,) = rest if by_word else ("1",)
    return [float(value) for value in first.split(", ") if value != "_"], {"0": False, "1": True}[known]


def _read_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFormatError(f"the predictions cannot be read: {error}", path=path) from error


def _count_words(found: Predictions, rows: Sequence[_Row], exclude: Collection[str]) -> None:
    for _, gold, predicted, _, is_known in rows:
        if is_known is not None and gold not in NOTHING and gold not in exclude:
            entry = found.by_knowledge[is_known]
            entry[0] += 1
            entry[1] += gold == predicted


def _add_words(found: Predictions, rows: Sequence[_Row], exclude: Collection[str]) -> None:
    words, golds, predictions, scores, known = zip(*rows, strict=True)
    for index, pair in enumerate(zip(golds, predictions, strict=True)):
        gold, predicted = pair
        if gold in NOTHING or gold in exclude:
            continue
        found.pairs[pair] += 1
        score = scores[index]
        if score is not None:
            found.add_score(score, gold == predicted)
        if gold != predicted:
            is_unknown, end = known[index] is False, index + 1
            error = Error(*pair, score, found.num_sentences, words, index, end, golds, predictions, is_unknown)
            found.add_error(error)


def _add_spans(found: Predictions, rows: Sequence[_Row], exclude: Collection[str]) -> None:
    words, golds, predictions, scores, known = zip(*rows, strict=True)
    if golds.count("O") == len(golds) == predictions.count("O"):
        return
    gold_spans, predicted_spans = _find_spans(golds, exclude), _find_spans(predictions, exclude)
    for span in sorted({*gold_spans, *predicted_spans}):
        start, end = span
        pair = gold_spans.get(span, NONE), predicted_spans.get(span, NONE)
        found.pairs[pair] += 1
        is_right = pair[0] == pair[1]
        score = scores[start] if span in predicted_spans else None
        if score is not None:
            found.add_score(score, is_right)
        if not is_right:
            is_unknown = False in known[start:end]
            error = Error(*pair, score, found.num_sentences, words, start, end, golds, predictions, is_unknown)
            found.add_error(error)


def _find_spans(tags: Sequence[str], exclude: Collection[str]) -> dict[tuple[int, int], str]:
    spans: list[TagSpan] = spans_of([None if tag in NOTHING else tag for tag in tags])
    return {(start, end): label for start, end, label in spans if label not in exclude}


def _add_sentence(
    found: Predictions,
    cells: Sequence[str],
    scores: Sequence[float],
    exclude: Collection[str],
    multi_label: Collection[str] | None,
) -> None:
    found.num_sentences += 1
    gold, predicted, text = cells or ("_", "_", "")
    if not text or (multi_label is None and (gold in NOTHING or gold in exclude)):
        return
    golds, predictions = (
        ([gold], [predicted])
        if multi_label is None
        else (split_labels(gold, multi_label), split_labels(predicted, multi_label))
    )
    score_of = dict(zip(predictions, scores, strict=True)) if len(scores) == len(predictions) else {}
    right = set(golds) & set(predictions)
    pairs = [(label, label) for label in predictions if label in right]
    if multi_label is None:
        pairs = [(gold, predicted)]
    else:
        pairs += [(label, NONE) for label in golds if label not in right]
        pairs += [(NONE, label) for label in predictions if label not in right]
    for pair in pairs:
        if pair[0] in exclude or pair[1] in exclude:
            continue
        found.pairs[pair] += 1
        value = score_of.get(pair[1])
        if value is not None:
            found.add_score(value, pair[0] == pair[1])
        if pair[0] != pair[1]:
            error = Error(*pair, value, found.num_sentences, [text], 0, 1, golds, predictions)
            found.add_error(error)


def split_labels(text: str, labels: Collection[str]) -> list[str]:
    """Split labels that are joined by a comma and a space, which may also be part of a known label; `_` is no label."""
    if text == "_":
        return []
    parts = text.split(", ")
    found: list[str] = []
    while parts:
        end = next((end for end in range(len(parts), 1, -1) if ", ".join(parts[:end]) in labels), 1)
        found.append(", ".join(parts[:end]))
        parts = parts[end:]
    return found
