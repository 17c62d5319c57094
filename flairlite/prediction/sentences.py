"""Check and convert what users pass to `predict`: sentences, texts and settings."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from flairlite.checks import flag, shown, whole_number
from flairlite.data import Corpus, Sentence
from flairlite.data.label_values import to_plain_str
from flairlite.errors import LabelError, SettingError
from flairlite.runtime import is_interactive
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

_CHUNK_SIZE = 2048  # sentences encoded at once: enough for good buckets, little memory for a stream
_CHUNK_WORDS = 1 << 17  # after which a list of sentences ends, so that a stream of long ones needs little memory too
_SAMPLE_SIZE = 200  # sentences with predictions that are searched for gold labels

check_count = whole_number(least=1)


def iterate(sentences: Any) -> Iterator[Any]:
    """Return an iterator over sentences or texts, without checking the items.

    Raises:
        SettingError: If the argument cannot be a collection of sentences or texts.
    """
    if isinstance(sentences, Mapping):
        raise SettingError("a model takes sentences or texts, not a dictionary: give a list of its texts")
    if isinstance(sentences, Corpus):
        raise SettingError("a model takes sentences or texts, not a Corpus: give one of its splits, as corpus.test")
    if hasattr(sentences, "iterrows") or hasattr(
        sentences, "iter_rows"
    ):  # of pandas or polars: it iterates over columns
        raise SettingError(
            f"a model takes sentences or texts, not a {type(sentences).__name__}: give the column that has the texts, "
            "as frame['text']"
        )
    if isinstance(sentences, (bytes, bytearray)):
        raise not_a_sentence(sentences)
    try:
        return iter(sentences)
    except TypeError:
        raise not_a_sentence(sentences) from None


def to_sentences(sentences: Any) -> Sequence[Sentence]:
    """Return a sentence, or an iterable of sentences, as a list.

    Raises:
        SettingError: If anything else is given.
    """
    listed = [sentences] if isinstance(sentences, Sentence) else list(iterate(sentences))
    for sentence in listed:
        if not isinstance(sentence, Sentence):
            raise not_a_sentence(sentence)
    return listed


def not_a_sentence(item: object) -> SettingError:
    """Return the error for an object that is not a sentence."""
    remedies: dict[type, str] = {
        bytes: "decode it first",
        list: "give words as Sentence(words)",
        str: "give a text as Sentence(text)",
    }
    remedy = remedies.get(type(item), "give a Sentence or a text")
    return SettingError(f"a model takes sentences, but got a {type(item).__name__}: {repr(item)[:60]}; {remedy}")


class SentenceReader:
    """Converts texts to sentences, and splits sentences into words with a model's tokenizer.

    Args:
        tokenizer: The tokenizer of the model, or None to leave sentences as they are.
        label_names: The label types that the model will write.
    """

    def __init__(self, tokenizer: Tokenizer | None, label_names: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._label_names = tuple(label_names)
        self._num_replaced = self._num_predicted = self._num_lost = self._num_changed = 0

    def read(self, item: Sentence | str) -> Sentence:
        """Return a text as a new sentence, and a sentence itself, split anew if the tokenizer finds other words.

        Raises:
            SettingError: If the item is neither a sentence nor a text.
        """
        tokenizer = self._tokenizer
        if isinstance(item, str):
            return Sentence(item, use_tokenizer=True if tokenizer is None else tokenizer)
        if not isinstance(item, Sentence):
            raise not_a_sentence(item)
        if any(map(item.has_label, self._label_names)):
            self._count_gold_labels(item)
        if tokenizer is not None and not item.label_types():
            item.tokenizer = tokenizer
        elif tokenizer is not None and self._finds_other_words(item, tokenizer):
            before = self._count_other_labels(item)
            item.retokenize(tokenizer, warn=False)
            lost = before - self._count_other_labels(item)
            self._num_lost += lost
            self._num_changed += lost > 0
        return item

    def read_copy(self, item: Sentence | str) -> Sentence:
        """Return a sentence that has the words that `read` would find, and leave a given sentence unchanged."""
        if isinstance(item, Sentence):
            if self._tokenizer is None or not self._finds_other_words(item, self._tokenizer):
                return item
            item = item.text
        return self.read(item)

    def warn_of_lost_labels(self) -> None:
        """Log how many sentences lose gold labels, and how many labels other words lose, if any."""
        if self._num_replaced:
            log.warning(
                "predict replaces the %s labels of %d sentences, which have the score 1 as gold labels have. To keep "
                "them, for example to evaluate, give another label_name, such as 'predicted'",
                " and ".join(map(repr, self._label_names)),
                self._num_replaced,
            )
        if self._num_lost:
            log.warning(
                "The model's tokenizer split %d sentences into other words, so %d labels of their words and spans are "
                "lost. To keep the words, set model.tokenizer = None; to keep the labels, predict copies",
                self._num_changed,
                self._num_lost,
            )

    @staticmethod
    def _finds_other_words(sentence: Sentence, tokenizer: Tokenizer) -> bool:
        return tokenizer != sentence.tokenizer and tokenizer.tokenize(sentence.text) != sentence.words

    def _count_gold_labels(self, sentence: Sentence) -> None:
        """Count a sentence that has gold labels of the type to write, unless the first ones have predictions only."""
        if self._num_replaced or self._num_predicted < _SAMPLE_SIZE:
            names = () if self._num_replaced else filter(sentence.has_label, self._label_names)
            is_gold = any(all(label.score == 1 for label in sentence.get_labels(name)) for name in names)
            is_gold |= bool(self._num_replaced)
            self._num_replaced += is_gold
            self._num_predicted += not is_gold

    def _count_other_labels(self, sentence: Sentence) -> int:
        return sum(len(sentence.get_labels(name)) for name in sentence.label_types() if name not in self._label_names)


def read_chunks(sentences: Any, reader: SentenceReader) -> Iterator[list[Sentence]]:
    """Return an iterator over a sentence or a text, or an iterable of them, in lists of limited length.

    After the last list, warnings about lost labels are logged.

    Raises:
        SettingError: At once, if this cannot be a collection of sentences or texts.
    """
    items = iterate([sentences] if isinstance(sentences, (Sentence, str)) else sentences)

    def read() -> Iterator[list[Sentence]]:
        try:
            while chunk := _read_chunk(items, reader):
                yield chunk
        finally:
            reader.warn_of_lost_labels()

    return read()


def _read_chunk(items: Iterator[Any], reader: SentenceReader) -> list[Sentence]:
    chunk: list[Sentence] = []
    num_words = 0
    for item in islice(items, _CHUNK_SIZE):
        chunk.append(reader.read(item))
        num_words += len(chunk[-1].words)
        if num_words >= _CHUNK_WORDS:
            break
    return chunk


def nan_error() -> LabelError:
    """Return the error for scores that are not numbers."""
    return LabelError(
        "the model predicts nothing meaningful, because its scores are NaN: its weights or the vectors of its words "
        "contain NaN or infinity. Train again with a lower learning rate, or load another model"
    )


def show_progress(chunks: Iterator[tuple[list[Sentence], Any]], verbose: bool) -> Iterator[tuple[list[Sentence], Any]]:
    """Yield chunks of sentences, with a progress bar if `verbose` and tqdm is there, on a terminal or in a notebook."""
    if not (verbose and is_interactive() and importlib.util.find_spec("tqdm")):
        yield from chunks
        return
    from tqdm.auto import tqdm

    with tqdm(desc="Predicting", unit=" sentences") as bar:
        for chunk in chunks:
            yield chunk
            bar.update(len(chunk[0]))


def check_name(name: str, value: Any) -> str:
    """Return a string that is not empty, such as a label type."""
    text = to_plain_str(value)
    if not text:
        raise SettingError(f"{name} must be a string such as 'upos', not {shown(value)}")
    return text


def check_flags(**flags: Any) -> None:
    """Check settings that are True or False."""
    for name, value in flags.items():
        flag(name, value)


def check_tokenizer(value: Any) -> Tokenizer | None:
    """Return a tokenizer or None."""
    if value is None or isinstance(value, Tokenizer):
        return value
    raise SettingError(
        f"model.tokenizer must be a Tokenizer or None, not a {type(value).__name__}: wrap a function, as "
        "TokenizerWrapper(function)"
    )
