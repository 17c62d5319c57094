"""Corpora: sentences in a training, a development and a test split."""

from __future__ import annotations

import json
import logging
import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from itertools import chain
from types import GenericAlias
from typing import Any, ClassVar

from flairlite.checks import flag, shown, whole_number
from flairlite.checks import seed as check_seed
from flairlite.data.dataset import (
    ConcatDataset,
    FlairDataset,
    Subset,
    check_iterators,
    check_split,
    concatenate,
    draw,
    is_in_memory,
    select,
)
from flairlite.data.dictionary import UNKNOWN, Dictionary
from flairlite.data.examples import Example, make_sentences
from flairlite.data.label_values import check_count, check_type, check_value, is_number
from flairlite.data.sentence import Sentence
from flairlite.data.statistics import (
    add_noise,
    check_noise_labels,
    check_noise_weights,
    count_labels,
    describe_missing_type,
    statistics_of,
    uniform_noise,
)
from flairlite.data.tables import rows_of_dataset, rows_of_table, splits_of_datasets
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
        name: Name of the corpus.
        sample_missing_splits: Whether to move a tenth of the training split to each of test and dev that is missing;
            `"only_test"` or `"only_dev"` for one of them. Flair does so by default; here it has to be requested.
        random_seed: Seed of the sampling; the default seed of the process if None.

    Raises:
        SettingError: If a split is not a sequence of sentences.

    Example:
        >>> print(Corpus([Sentence(["Hello"])], name="tiny"))
        Corpus: 1 train + 0 dev + 0 test sentences
    """

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)  # scripts for Flair write Corpus[Sentence]
    _title = "Corpus"
    tokenizer: Tokenizer | None = None  # set by readers that split the text of their files with a tokenizer

    def __init__(
        self,
        train: Sequence[Sentence] | None = None,
        dev: Sequence[Sentence] | None = None,
        test: Sequence[Sentence] | None = None,
        name: str = "corpus",
        sample_missing_splits: bool | str = False,
        random_seed: int | None = None,
    ) -> None:
        if not isinstance(sample_missing_splits, str):
            sample_missing_splits = flag("sample_missing_splits", sample_missing_splits)
        elif sample_missing_splits not in ("only_dev", "only_test"):
            raise SettingError(
                f"sample_missing_splits must be True, False, 'only_dev' or 'only_test', not {sample_missing_splits!r}"
            )
        if not isinstance(name, str):
            raise SettingError(f"name must be a string; it is {shown(name)}")
        self.name, random_seed = name, check_seed("random_seed", random_seed)
        check_iterators(dict(zip(SPLITS, (train, dev, test), strict=True)))
        self.train, self.dev, self.test = map(check_split, SPLITS, (train, dev, test))
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
        labels_of: str | None = None,
        label_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Corpus:
        """Make a corpus of plain Python values.

        An example is one of

        - words and a tag for each: `(["in", "Berlin"], ["O", "B-LOC"])`. Tags such as `B-LOC`, in any scheme, become
          spans, other values labels of the words; None is no label;
        - a text and its spans by character: `("in Berlin", [(3, 9, "LOC")])`; with words instead of the text, spans by
          word. An empty list is no span;
        - a text and its label, or a list of labels: `("in Berlin", "place")`, `("in Berlin", ["place"])`;
        - spaCy's form: `("in Berlin", {"entities": [(3, 9, "LOC")]})`, `("in Berlin", {"cats": {"place": 1}})`;
        - a row of Hugging Face's datasets: `{"tokens": ["in", "Berlin"], "ner_tags": [0, 5]}`, `{"text": "in Berlin",
          "label": 1}`, where `label_type` is `ner` for `ner_tags`.

        All examples must have labels of the same kind: of words, of spans or of whole texts.

        Args:
            train: The examples of the training split.
            dev: Those of the development split, or None.
            test: Those of the test split, or None.
            label_type: The label type, such as `ner`.
            use_tokenizer: Splits texts into words, see `Sentence`.
            labels_of: `"word"`, `"span"` or `"text"`, if this cannot be derived: a list of labels beside words is read
                as one tag a word unless `labels_of="text"`.
            label_names: The name of each class, if labels are integer class ids.
            options: Further arguments of `Corpus`: `name`, `sample_missing_splits`, `random_seed`.

        Raises:
            DataFormatError: If an example has another form, with its split and number.
        """
        given = {name: part for name, part in zip(SPLITS, (train, dev, test), strict=True) if part is not None}
        made = make_sentences(given, check_type(label_type), use_tokenizer, labels_of, label_names)
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
        labels_of: str | None = None,
        label_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Corpus:
        """Make a corpus of tables, such as pandas DataFrames, with a row for each sentence or for each word.

        Args:
            train: The table of the training split: `table[column]` returns the values of a column.
            dev: The table of the development split, or None.
            test: The table of the test split, or None.
            text: The column with the text or with a list of words; with `sentence_id`, with the word.
            label: The column with the labels, as in `from_examples`. None and NaN are no label.
            sentence_id: The column whose value changes with each sentence, for tables of words.
            label_type: The label type; the name of the column if None.
            use_tokenizer: Splits texts into words, see `Sentence`.
            labels_of: As for `from_examples`.
            label_names: As for `from_examples`.
            options: Further arguments of `Corpus`: `name`, `sample_missing_splits`, `random_seed`.

        Raises:
            DataFormatError: If a column is missing, and as `from_examples`.
        """
        tables = {name: table for name, table in zip(SPLITS, (train, dev, test), strict=True) if table is not None}
        rows = {name: rows_of_table(table, text, label, sentence_id, name) for name, table in tables.items()}
        if label_type is None and not isinstance(label, str):
            raise SettingError(f"pass label_type, a name for the labels: that of their column is {label!r}")
        label_type = label if label_type is None else label_type
        made = make_sentences(rows, check_type(label_type), use_tokenizer, labels_of, label_names)
        return Corpus(made.get("train"), made.get("dev"), made.get("test"), **options)

    @classmethod
    def from_datasets(
        cls,
        datasets: Any,
        *,
        text: str = "text",
        label: str = "label",
        label_type: str | None = None,
        use_tokenizer: bool | Tokenizer = True,
        labels_of: str | None = None,
        label_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Corpus:
        """Make a corpus of Hugging Face's datasets, for the classification of tokens or of texts.

        The ids of a `ClassLabel`, or of a list of them, become the names of their classes; -1 is no label.

        Args:
            datasets: A `DatasetDict`, as `datasets.load_dataset` returns it, or a dict of datasets, with the splits
                `train`, `validation` (or `dev`) and `test`; or the `Dataset` of the training split. Streams are read
                too.
            text: The column with the texts, or with lists of words, such as `tokens`.
            label: The column with the labels, such as `ner_tags`; they may have any form of `from_examples`.
            label_type: The label type, such as `ner`; the name of the column if None.
            use_tokenizer: Splits texts into words, see `Sentence`.
            labels_of: As for `from_examples`.
            label_names: As for `from_examples`; needed if the ids of the column have no names.
            options: Further arguments of `Corpus`: `name`, `sample_missing_splits`, `random_seed`.

        Raises:
            SettingError: If `datasets` are no datasets, or no name is one of a split.
            DataFormatError: If a column is missing, and as `from_examples`.

        Example:
            >>> Corpus.from_datasets(datasets.load_dataset("conll2003"), text="tokens", label="ner_tags",
            ...                      label_type="ner")  # doctest: +SKIP
        """
        splits = splits_of_datasets(datasets)
        rows = {name: rows_of_dataset(split, text, label, label_names, name) for name, split in splits.items()}
        label_type = check_type(label if label_type is None else label_type)
        made = make_sentences(rows, label_type, use_tokenizer, labels_of, label_names)
        return Corpus(made.get("train"), made.get("dev"), made.get("test"), **options)

    @property
    def corpus_tokenizer(self) -> Tokenizer | None:
        """The tokenizer that split the text of the corpus, or None if the words are those of its files."""
        return self.tokenizer

    def downsample(
        self,
        percentage: float = 0.1,
        downsample_train: bool = True,
        downsample_dev: bool = True,
        downsample_test: bool = True,
        random_seed: int | None = None,
    ) -> Corpus:
        """Keep a random part of each split, in its order, at least one sentence, and return this corpus.

        Args:
            percentage: The part to keep, above 0 and at most 1.
            downsample_train: Whether to make the training split smaller.
            downsample_dev: Whether to make the development split smaller.
            downsample_test: Whether to make the test split smaller.
            random_seed: Seed of the selection; the default seed of the process (see `flairlite.set_seed`) if None.

        Raises:
            SettingError: If `percentage` is not a number above 0 and at most 1.
        """
        if isinstance(percentage, bool) or not is_number(percentage) or not 0 < percentage <= 1:
            raise SettingError(f"percentage must be above 0 and at most 1, as 0.1 for a tenth; it is {percentage!r}")
        wanted = zip(SPLITS, (downsample_train, downsample_dev, downsample_test), strict=True)
        for split in (name for name, is_wanted in wanted if is_wanted):
            sentences = getattr(self, split)
            if sentences:
                count = max(1, round(len(sentences) * percentage))
                setattr(self, split, select(sentences, draw(len(sentences), count, get_seed(random_seed))))
        return self

    def filter_empty_sentences(self) -> None:
        """Remove the sentences without words, and log their number."""
        self._filter(lambda sentence: bool(sentence.words), "empty sentences")

    def filter_long_sentences(self, max_charlength: int) -> None:
        """Remove the sentences whose text is longer than `max_charlength` characters, and log their number."""
        limit = check_count(max_charlength, "max_charlength")
        self._filter(
            lambda sentence: len(sentence.to_plain_string()) <= limit, f"sentences of more than {limit:,} characters"
        )

    def get_all_sentences(self) -> Sequence[Sentence]:
        """Return the sentences of all splits."""
        return concatenate([split for split in (self.train, self.dev, self.test) if split])

    def get_label_types(self) -> dict[str, int]:
        """Return the number of sentences with labels of each label type."""
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
            min_count: Minimum number of occurrences of a value.
            add_unk: Whether to start with `<unk>`, for values that a model has not seen.
            add_dev_test: Whether to collect from the other splits too.

        Raises:
            LabelError: If no sentence has a label of this type; the error names the existing types.
        """
        label_type, min_count = check_type(label_type), check_count(min_count, "min_count")
        sentences = self.get_all_sentences() if add_dev_test else self.train or ()
        found = count_labels(sentences, label_type)
        counts = found.counts
        if not counts:
            raise LabelError(describe_missing_type(label_type, self.get_label_types()))
        dictionary = Dictionary.from_counts(counts, min_count=min_count, add_unk=add_unk)
        dictionary.span_labels = found.has_spans
        dictionary.multi_label = found.has_several
        rare = [value for value, count in counts.items() if count < min_count]
        if rare:
            level = logging.WARNING if len(rare) == len(counts) else logging.INFO
            shown = ", ".join(rare)
            log.log(level, "%d labels occur less than %d times and are left out: %s", len(rare), min_count, shown)
        return dictionary

    def make_vocab_dictionary(self, max_tokens: int = -1, min_freq: int = 1) -> Dictionary:
        """Collect `<unk>` and the words of the training split, the most frequent first.

        Args:
            max_tokens: Maximum number of words; -1 for all.
            min_freq: Minimum number of occurrences of a word.

        Raises:
            SettingError: If a number is not an integer.
        """
        check = whole_number(least=-1)  # Flair's default of both
        max_tokens, min_freq = check("max_tokens", max_tokens), check("min_freq", min_freq)
        counts = Counter(chain.from_iterable(sentence.words for sentence in self.train or ()))
        return Dictionary.from_counts(counts, min_count=min_freq, max_items=max_tokens)

    def make_tag_dictionary(self, tag_type: str) -> Dictionary:
        """Collect `O`, the labels of words, `<START>` and `<STOP>`; Flair's old form of a label dictionary.

        Raises:
            LabelError: If no word has a label of this type.
        """
        warnings.warn(
            "make_tag_dictionary is deprecated: use make_label_dictionary(label_type, add_unk=False)",
            DeprecationWarning,
            stacklevel=2,
        )
        columns = [sentence.token_labels(tag_type) or () for sentence in self.get_all_sentences()]
        if not any(columns):
            raise LabelError(f"no word has a label of type {tag_type!r}: make a dictionary with make_label_dictionary")
        values = dict.fromkeys(value or "O" for value in chain.from_iterable(columns))
        return Dictionary.from_items(["O", *values, "<START>", "<STOP>"], add_unk=False)

    def obtain_statistics(self, label_type: str | None = None, pretty_print: bool = True) -> dict[str, Any] | str:
        """Return the numbers of sentences, words and labels of the splits.

        Args:
            label_type: The label type to count; all if None.
            pretty_print: Whether to return indented JSON instead of a dict.
        """
        splits = (("TRAIN", self.train), ("TEST", self.test), ("DEV", self.dev))
        statistics = {name: statistics_of(split, name, label_type) for name, split in splits}
        return json.dumps(statistics, indent=4) if pretty_print else statistics

    def get_label_distribution(self, label_type: str | None = None) -> dict[str, int]:
        """Return how often each label occurs in the training split, of one label type or of all."""
        return dict(Counter(label.value for sentence in self.train or () for label in sentence.get_labels(label_type)))

    def add_label_noise(
        self,
        label_type: str,
        labels: Sequence[str] | Dictionary,
        noise_share: float = 0.2,
        split: str = "train",
        noise_transition_matrix: Mapping[str, Sequence[float]] | None = None,
        random_seed: int | None = None,
    ) -> None:
        """Replace some labels of a split by wrong ones; the original labels are kept as type `{label_type}_clean`.

        Args:
            label_type: The label type.
            labels: All its labels, in a list or a dictionary.
            noise_share: The share of labels to change, to one of the others with equal probability.
            split: train, dev or test.
            noise_transition_matrix: Instead of `noise_share`: for each label, the probabilities with which it becomes
                each of the labels, in the order of the matrix.
            random_seed: Seed of the selection; the default seed of the process if None.

        Raises:
            SettingError: If the split does not exist or is not in memory, or the matrix does not fit the labels.
            LabelError: If a label occurs that is not among `labels`, or no label of this type.
        """
        if isinstance(labels, Dictionary):
            labels = [label for label in labels.get_items() if label != UNKNOWN]
        check_noise_labels(labels)
        sentences = getattr(self, split, None) if split in SPLITS else None
        if sentences is None or not is_in_memory(sentences):
            raise SettingError(f"labels can be changed in a split that exists and is in memory, but {split!r} is not")
        weights = uniform_noise(labels, noise_share) if noise_transition_matrix is None else noise_transition_matrix
        check_noise_weights(weights, labels)
        generator = random.Random(get_seed(random_seed))
        if not any(sentence.has_label(label_type) for sentence in sentences):
            raise LabelError(describe_missing_type(check_type(label_type), self.get_label_types()))
        changed, total = add_noise(sentences, label_type, weights, generator)
        log.info("%d of %d %s labels of the %s split were changed", changed, total, label_type, split)

    def fill_token_labels(self, label_type: str, value: str = "_") -> None:
        """Give the words without a label of a type a label, so that a model learns and predicts that they have none.

        CoNLL-U files have `_` in the column `feats` of words without morphological features, which is read as no label:
        a model learns nothing from these words, and an evaluation leaves them out. As a label, `_` is learned and
        counts in the accuracy, but not in precision, recall and F1. In a `MultiCorpus`, first fill the corpora that are
        annotated.

        Args:
            label_type: The label type, such as `feats`.
            value: The label of these words.

        Raises:
            LabelError: If no word has a label of this type, or `value` is not a label.
            SettingError: If a split is not in memory.
        """
        splits = [sentences for sentences in (self.train, self.dev, self.test) if sentences]
        if not all(map(is_in_memory, splits)):
            raise SettingError("labels can be changed only in splits that are in memory: read the corpus in_memory")
        if not any(sentence.token_labels(label_type) for sentences in splits for sentence in sentences):
            raise LabelError(describe_missing_type(check_type(label_type), self.get_label_types()))
        for sentence in (sentence for sentences in splits for sentence in sentences):
            column = sentence.token_labels(label_type) or [None] * len(sentence)
            if None in column:
                sentence.set_token_labels(label_type, [value if label is None else label for label in column])

    def _filter(self, keeps: Callable[[Sentence], bool], dropped: str) -> None:
        for split in SPLITS:
            if sentences := getattr(self, split):
                kept = [index for index, sentence in enumerate(sentences) if keeps(sentence)]
                level = logging.INFO if kept else logging.WARNING  # training would go on without the split
                num_dropped = len(sentences) - len(kept)
                log.log(level, "%s: %d %s taken out of %d", split, num_dropped, dropped, len(sentences))
                setattr(self, split, select(sentences, kept))

    def _sample(self, split: str, is_requested: bool, random_seed: int | None) -> None:
        sentences = self.train or ()
        if not is_requested:
            log.info("No %s split; sample_missing_splits=True takes a tenth of the training sentences for it", split)
            return
        if len(sentences) < 2:
            log.warning("No %s split: the training split has only one sentence, which stays there", split)
            return
        size = max(1, round(len(sentences) * 0.1))
        drawn = draw(len(sentences), size, get_seed(random_seed))
        others = sorted(set(range(len(sentences))).difference(drawn))
        part = Subset if isinstance(sentences, FlairDataset) else select  # a Subset reads no sentence in advance
        setattr(self, split, part(sentences, drawn))
        self.train = part(sentences, others)
        log.warning("No %s split: %d of the training sentences were taken for it, as asked", split, size)

    def __str__(self) -> str:
        sizes = " + ".join(f"{len(getattr(self, split) or ())} {split}" for split in SPLITS)
        return f"{self._title}: {sizes} sentences"

    def _repr_html_(self) -> str:
        from flairlite.markup import sentence_html, table

        splits = {"train": self.train, "dev": self.dev, "test": self.test}
        rows = [(name, "–" if split is None else len(split)) for name, split in splits.items()]
        first = next((split[0] for split in splits.values() if split), None)
        example = "" if first is None else f"<div><small>the first sentence</small></div>{sentence_html(first)}"
        return table((self.name, "sentences"), rows) + example

    def __repr__(self) -> str:
        return str(self)


class MultiCorpus(Corpus):
    """Several corpora as one, split by split.

    `Corpus(other.train)` adds only the training split of another corpus. `flairlite.samplers.MultiCorpusSampler` draws
    some corpora more often than others.

    Args:
        corpora: The corpora.
        task_ids: A name for each corpus, which its sentences have as their label of type `multitask_id`; `Task_0`,
            `Task_1` and so on if None. The sentences are copies: those of `corpora` stay as they are.
        name: Name of the whole.
        corpusargs: Further arguments of `Corpus`.

    Raises:
        SettingError: If `corpora` are not corpora, or `task_ids` are not different names, one for each.
    """

    _title = "MultiCorpus"

    def __init__(
        self,
        corpora: Sequence[Corpus],
        task_ids: Sequence[str] | None = None,
        name: str = "multicorpus",
        **corpusargs: Any,
    ) -> None:
        listed = list(corpora) if isinstance(corpora, Iterable) else []
        if not listed or not all(isinstance(corpus, Corpus) for corpus in listed):
            raise SettingError(f"a MultiCorpus is made of a list of corpora, not of {corpora!r:.60}")
        self.corpora = listed
        names = [f"Task_{index}" for index in range(len(listed))] if task_ids is None else task_ids
        is_list = isinstance(names, Iterable) and not isinstance(names, (str, bytes, Set, Mapping))
        ids = list(map(check_value, names)) if is_list else []
        if len(ids) != len(listed) or len(set(ids)) != len(ids):
            raise SettingError(f"task_ids must be {len(listed)} different names, one a corpus, not {task_ids!r:.80}")
        train, dev, test = (self._concatenate(split, ids) for split in SPLITS)
        super().__init__(train, dev, test, name=name, **corpusargs)

    def _concatenate(self, split: str, ids: Sequence[str]) -> ConcatDataset | None:
        parts = {task: part for task, corpus in zip(ids, self.corpora, strict=True) if (part := getattr(corpus, split))}
        return ConcatDataset(list(parts.values()), list(parts)) if parts else None

    def __str__(self) -> str:
        parts = [f"{type(corpus).__name__} {corpus} - {corpus.name}" for corpus in self.corpora]
        return "\n - ".join([super().__str__(), *parts])
