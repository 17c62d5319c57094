"""A corpus: sentences in a training, a development and a test split."""

from __future__ import annotations

import json
import logging
import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from types import GenericAlias
from typing import Any, ClassVar

from flairlite.data.dataset import FlairDataset, Subset, chosen, is_in_memory, joined
from flairlite.data.dictionary import Dictionary
from flairlite.data.examples import Example, examples_of_frame, sentences_of
from flairlite.data.noise import add_noise, uniform_noise
from flairlite.data.sentence import Sentence
from flairlite.data.statistics import count_labels as count_labels
from flairlite.data.statistics import has_several_labels, statistics_of
from flairlite.errors import LabelError, SettingError
from flairlite.runtime import get_seed
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

SPLITS = ("train", "dev", "test")


class Corpus:
    """Sentences in up to three splits.

    Args:
        train: The training split.
        dev: The development split, or None.
        test: The test split, or None.
        name: What to call the corpus.
        sample_missing_splits: Take a tenth of the training split for each of test and dev that is missing, or for one
            of them: `"only_test"`, `"only_dev"`. Flair does so without being asked; here a split is only sampled on
            request. The log says what is done, and what is missing.
        random_seed: Seed of the sampling; the process's default seed when None.

    Example:
        >>> print(Corpus([Sentence(["Hello"])], name="tiny"))
        Corpus: 1 train + 0 dev + 0 test sentences
    """

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)  # Flair's scripts write Corpus[Sentence]
    tokenizer: Tokenizer | None = None  # what split the text of a corpus anew, where something did

    def __init__(
        self,
        train: Sequence[Sentence] | None = None,
        dev: Sequence[Sentence] | None = None,
        test: Sequence[Sentence] | None = None,
        name: str = "corpus",
        sample_missing_splits: bool | str = False,
        random_seed: int | None = None,
    ) -> None:
        if sample_missing_splits not in (True, False, "only_dev", "only_test"):
            raise SettingError(
                f"sample_missing_splits must be True, False, 'only_dev' or 'only_test', not {sample_missing_splits!r}"
            )
        self.name = name
        self.train: Sequence[Sentence] | None = train
        self.dev: Sequence[Sentence] | None = dev
        self.test: Sequence[Sentence] | None = test
        for split in ("test", "dev"):  # in Flair's order
            if getattr(self, split) is None and self.train:
                self._sample(split, sample_missing_splits in (True, f"only_{split}"), random_seed)

    @classmethod
    def from_examples(
        cls,
        train: Iterable[Example],
        dev: Iterable[Example] | None = None,
        test: Iterable[Example] | None = None,
        *,
        label_type: str,
        use_tokenizer: bool | Tokenizer = True,
        **options: Any,
    ) -> Corpus:
        """Make a corpus of pairs of a text or its words, and what is known of it.

        A pair is one of

        - words and a tag for each: `(["in", "Berlin"], ["O", "B-LOC"])`. Tags such as `B-LOC`, in any scheme, become
          spans, others labels of the words; None is no label;
        - a text and its spans, from character to character: `("in Berlin", [(3, 9, "LOC")])`; with words in place of
          the text, from word to word;
        - a text and a label of the whole, or a list of them: `("in Berlin", "place")`, `("in Berlin", ["place"])`.

        Args:
            train: The pairs of the training split.
            dev: Those of the development split, or None.
            test: Those of the test split, or None.
            label_type: What to call the labels, such as `ner`.
            use_tokenizer: What splits texts into words, as for `Sentence`.
            options: Others of the corpus: `name`, `sample_missing_splits`, `random_seed`.

        Raises:
            DataFormatError: for a pair that is none of these, with its split and number.
        """
        examples = {
            split: list(given) for split, given in zip(SPLITS, (train, dev, test), strict=True) if given is not None
        }
        made = sentences_of(examples, label_type, use_tokenizer)
        return Corpus(made.get("train"), made.get("dev"), made.get("test"), **options)

    @classmethod
    def from_dataframe(
        cls,
        train: Any,
        dev: Any = None,
        test: Any = None,
        *,
        text: str = "text",
        label: str = "label",
        sentence_id: str | None = None,
        label_type: str | None = None,
        use_tokenizer: bool | Tokenizer = True,
        **options: Any,
    ) -> Corpus:
        """Make a corpus of tables, such as pandas DataFrames: a row a sentence, or a row a word.

        Args:
            train: The table of the training split: `table[column]` gives the values of a column, in the order of rows.
            dev: That of the development split, or None.
            test: That of the test split, or None.
            text: The column with the text, with a list of words or, where there is `sentence_id`, with the word.
            label: The column with what `from_examples` takes beside it. None and NaN are no label.
            sentence_id: The column whose value stays the same from word to word of a sentence, for tables of words.
            label_type: What to call the labels; as the column when None.
            use_tokenizer: What splits texts into words, as for `Sentence`.
            options: Others of the corpus: `name`, `sample_missing_splits`, `random_seed`.

        Raises:
            DataFormatError: for a column that is not there, and as `from_examples`.
        """
        frames = {split: frame for split, frame in zip(SPLITS, (train, dev, test), strict=True) if frame is not None}
        examples = {split: examples_of_frame(frame, text, label, sentence_id, split) for split, frame in frames.items()}
        return cls.from_examples(
            **{"train": [], **examples}, label_type=label_type or label, use_tokenizer=use_tokenizer, **options
        )

    @property
    def corpus_tokenizer(self) -> Tokenizer | None:
        """What split the text anew when the corpus was read, or None where the words are those of its files."""
        return self.tokenizer

    def downsample(
        self,
        percentage: float = 0.1,
        downsample_train: bool = True,
        downsample_dev: bool = True,
        downsample_test: bool = True,
        random_seed: int | None = None,
    ) -> Corpus:
        """Keep a random part of each split, in the order it had, and return this corpus.

        Args:
            percentage: The part to keep, between 0 and 1.
            downsample_train: Whether the training split is made smaller.
            downsample_dev: Whether the development split is.
            downsample_test: Whether the test split is.
            random_seed: Decides which sentences are kept; the same for the same seed, always. The process's default
                seed (see `flairlite.set_seed`) when None.

        Raises:
            SettingError: when percentage is not in (0, 1].
        """
        if not 0 < percentage <= 1:
            raise SettingError(f"percentage must be above 0 and at most 1, as 0.1 for a tenth; it is {percentage}")
        wanted = zip(SPLITS, (downsample_train, downsample_dev, downsample_test), strict=True)
        for split in (name for name, is_wanted in wanted if is_wanted):
            sentences = getattr(self, split)
            if sentences:
                drawn = _drawn(len(sentences), round(len(sentences) * percentage), get_seed(random_seed))
                setattr(self, split, chosen(sentences, drawn))
        return self

    def filter_empty_sentences(self) -> None:
        """Take out the sentences without words, and say how many they were."""
        self._filter(lambda sentence: bool(sentence.words), "empty sentences")

    def filter_long_sentences(self, max_charlength: int) -> None:
        """Take out the sentences whose text is longer than `max_charlength` characters, and say how many they were."""
        self._filter(
            lambda sentence: len(sentence.to_plain_string()) <= max_charlength,
            f"sentences of more than {max_charlength:,} characters",
        )

    def get_all_sentences(self) -> Sequence[Sentence]:
        """Return the sentences of all splits."""
        return joined([split for split in (self.train, self.dev, self.test) if split])

    def get_label_types(self) -> dict[str, int]:
        """Return in how many sentences each label type occurs."""
        return dict(Counter(chain.from_iterable(sentence.label_types() for sentence in self.get_all_sentences())))

    def make_label_dictionary(
        self,
        label_type: str,
        min_count: int = 1,
        add_unk: bool = True,
        add_dev_test: bool = False,
    ) -> Dictionary:
        """Collect the label values of the training split, the most frequent first.

        Args:
            label_type: The label type, such as `upos`.
            min_count: Leave out values that occur less often.
            add_unk: Start with `<unk>`, for values that a model has not seen.
            add_dev_test: Collect from the other splits too.

        Raises:
            LabelError: when no sentence has a label of this type; the error names the types that there are.
        """
        sentences = self.get_all_sentences() if add_dev_test else self.train or ()
        counts, has_spans = count_labels(sentences, label_type)
        if not counts:
            raise LabelError(self._no_label_type(label_type))
        dictionary = Dictionary.from_counts(counts, min_count=min_count, add_unk=add_unk)
        dictionary.span_labels = has_spans
        dictionary.multi_label = has_several_labels(sentences, label_type)
        rare = [value for value, count in counts.items() if count < min_count]
        if rare:
            log.info("%d labels occur less than %d times and are left out: %s", len(rare), min_count, ", ".join(rare))
        return dictionary

    def _no_label_type(self, label_type: str) -> str:
        types = self.get_label_types()
        if label_type in types:
            return f"label type {label_type!r} is in dev or test, but not in train: pass add_dev_test=True to use those"
        by_count = sorted(types.items(), key=lambda item: -item[1])
        known = ", ".join(f"{name} ({count:,} sentences)" for name, count in by_count) or "no labels at all"
        return f"no label type {label_type!r} in this corpus; it has: {known}"

    def make_vocab_dictionary(self, max_tokens: int = -1, min_freq: int = 1) -> Dictionary:
        """Collect the words of the training split behind `<unk>`, the most frequent first.

        Args:
            max_tokens: How many words to take at most; -1 for all.
            min_freq: Leave out words that occur less often.
        """
        counts = Counter(chain.from_iterable(sentence.words for sentence in self.train or ()))
        return Dictionary.from_counts(counts, min_count=min_freq, max_items=max_tokens)

    def make_tag_dictionary(self, tag_type: str) -> Dictionary:
        """Collect the labels of words between `O` and `<START>`, `<STOP>`; Flair's old form of a label dictionary."""
        warnings.warn(
            "make_tag_dictionary is deprecated: use make_label_dictionary(label_type, add_unk=False)",
            DeprecationWarning,
            stacklevel=2,
        )
        columns = (sentence.token_labels(tag_type) or () for sentence in self.get_all_sentences())
        values = dict.fromkeys(value or "O" for value in chain.from_iterable(columns))
        return Dictionary.from_items(["O", *values, "<START>", "<STOP>"], add_unk=False)

    def obtain_statistics(self, label_type: str | None = None, pretty_print: bool = True) -> dict[str, Any] | str:
        """Return how many sentences, words and labels the splits have, of one label type or of all.

        Args:
            label_type: Count only labels of this type.
            pretty_print: Return the figures as JSON, indented; else as a dict.
        """
        figures = {
            name: statistics_of(split, name, label_type)
            for name, split in (("TRAIN", self.train), ("TEST", self.test), ("DEV", self.dev))
        }
        return json.dumps(figures, indent=4) if pretty_print else figures

    def get_label_distribution(self, label_type: str | None = None) -> dict[str, int]:
        """Return how often each label occurs in the training split, of one label type or of all."""
        return dict(Counter(label.value for sentence in self.train or () for label in sentence.get_labels(label_type)))

    def add_label_noise(
        self,
        label_type: str,
        labels: Sequence[str],
        noise_share: float = 0.2,
        split: str = "train",
        noise_transition_matrix: Mapping[str, Sequence[float]] | None = None,
        random_seed: int | None = None,
    ) -> None:
        """Put wrong labels in place of some in a split; the right ones are kept under `{label_type}_clean`.

        Args:
            label_type: The label type.
            labels: All its labels.
            noise_share: The part to change, evenly among the others.
            split: train, dev or test.
            noise_transition_matrix: In place of `noise_share`: for each label, how likely it becomes each of the
                labels, in the order of the matrix.
            random_seed: Decides which labels are changed; the process's default seed when None.

        Raises:
            SettingError: when the split is none, or not in memory, or the matrix does not have these labels.
            LabelError: when a label occurs that is not among `labels`.
        """
        sentences = getattr(self, split) if split in SPLITS else None
        if sentences is None or not is_in_memory(sentences):
            raise SettingError(f"labels can be changed in a split that is there and in memory, which {split!r} is not")
        weights = noise_transition_matrix or uniform_noise(labels, noise_share)
        if set(weights) != set(labels) or any(len(row) != len(labels) for row in weights.values()):
            raise SettingError(
                "the noise_transition_matrix must have a row for each of the labels, and a number in it for each"
            )
        changed, total = add_noise(sentences, label_type, weights, random.Random(get_seed(random_seed)))
        log.info("%d of %d %s labels of the %s split were changed", changed, total, label_type, split)

    def _filter(self, keeps: Callable[[Sentence], bool], dropped: str) -> None:
        for split in SPLITS:
            if sentences := getattr(self, split):
                places = [place for place, sentence in enumerate(sentences) if keeps(sentence)]
                log.info("%s: %d %s taken out of %d", split, len(sentences) - len(places), dropped, len(sentences))
                setattr(self, split, chosen(sentences, places))

    def _sample(self, split: str, is_asked: bool, random_seed: int | None) -> None:
        sentences = self.train or ()
        if not is_asked:
            log.info("No %s split; sample_missing_splits=True takes a tenth of the training sentences for it", split)
            return
        size = max(1, round(len(sentences) * 0.1))
        drawn = _drawn(len(sentences), size, get_seed(random_seed))
        others = sorted(set(range(len(sentences))).difference(drawn))
        part = Subset if isinstance(sentences, FlairDataset) else chosen  # a Subset asks for no sentence ahead of time
        setattr(self, split, part(sentences, drawn))
        self.train = part(sentences, others)
        log.warning("No %s split: %d of the training sentences were taken for it, as asked", split, size)

    def __str__(self) -> str:
        sizes = " + ".join(f"{len(getattr(self, split) or ())} {split}" for split in SPLITS)
        return f"Corpus: {sizes} sentences"

    __repr__ = __str__


def _drawn(count: int, size: int, seed: int) -> list[int]:
    """Return `size` places drawn at random from `count`, in their order."""
    return sorted(random.Random(seed).sample(range(count), size))
