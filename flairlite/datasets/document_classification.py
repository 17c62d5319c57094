"""Corpora of labelled texts: fastText's form and tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from flairlite.data.corpus import Corpus
from flairlite.data.sentence import Sentence
from flairlite.datasets.classification import ClassificationDataset
from flairlite.datasets.csv_classification import CSVClassificationDataset
from flairlite.datasets.splits import find_train_dev_test_files, load_splits
from flairlite.tokenization import Tokenizer

__all__ = ["CSVClassificationCorpus", "CSVClassificationDataset", "ClassificationCorpus", "ClassificationDataset"]


class ClassificationCorpus(Corpus):
    """A corpus of texts in fastText's form in a folder, a file for each split; see `ClassificationDataset`.

    Args:
        data_folder: The folder.
        label_type: What to call the labels.
        train_file: The name of the training file. When None, the files that are not given are looked for, see
            `find_train_dev_test_files`.
        test_file: That of the test file.
        dev_file: That of the dev file.
        truncate_to_max_tokens: How many words of a text are kept; -1 for all.
        truncate_to_max_chars: How many of its characters; -1 for all.
        filter_if_longer_than: Leave out texts of more words than this; -1 for none.
        tokenizer: What splits texts into words, as for `Sentence`.
        memory_mode: `full` makes all sentences now, `partial` when they are asked for and keeps them, `disk` reads them
            from the file each time.
        label_name_map: Other names for labels.
        skip_labels: Labels; texts that have one of them are left out.
        allow_examples_without_labels: Whether texts without a label are kept.
        sample_missing_splits: As for `Corpus`.
        encoding: The encoding of the files.
        name: What to call the corpus; as the folder when None.
        random_seed: Seed of the sampling.

    Raises:
        DataFormatError: when no file is found, and as `ClassificationDataset`.
        SettingError: when several files may be the same split.
    """

    def __init__(
        self,
        data_folder: str | Path,
        label_type: str = "class",
        train_file: str | Path | None = None,
        test_file: str | Path | None = None,
        dev_file: str | Path | None = None,
        truncate_to_max_tokens: int = -1,
        truncate_to_max_chars: int = -1,
        filter_if_longer_than: int = -1,
        tokenizer: bool | Tokenizer = True,
        memory_mode: str = "partial",
        label_name_map: Mapping[str, str] | None = None,
        skip_labels: Collection[str] | None = None,
        allow_examples_without_labels: bool = False,
        sample_missing_splits: bool | str = False,
        encoding: str = "utf-8",
        *,
        name: str | None = None,
        random_seed: int | None = None,
    ) -> None:
        def load(path: Path, _: str) -> Sequence[Sentence]:
            return ClassificationDataset(
                path,
                label_type,
                truncate_to_max_tokens,
                truncate_to_max_chars,
                filter_if_longer_than,
                tokenizer,
                memory_mode,
                label_name_map,
                skip_labels,
                allow_examples_without_labels,
                encoding,
            )

        dev, test, train = find_train_dev_test_files(data_folder, dev_file, test_file, train_file)
        super().__init__(
            *load_splits(load, train, dev, test),
            name=name or str(data_folder),
            sample_missing_splits=sample_missing_splits,
            random_seed=random_seed,
        )
        self.tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else None


class CSVClassificationCorpus(Corpus):
    """A corpus of tables in a folder, a file for each split; see `CSVClassificationDataset`.

    Args:
        data_folder: The folder.
        column_name_map: What the columns are, as in `{0: "text", 1: "label_topic"}`.
        label_type: What to call the labels.
        name: What to call the corpus.
        train_file: The name of the training file. When None, the files that are not given are looked for, see
            `find_train_dev_test_files`.
        test_file: That of the test file.
        dev_file: That of the dev file.
        max_tokens_per_doc: How many words of a text are kept; -1 for all.
        max_chars_per_doc: How many of its characters; -1 for all.
        tokenizer: What splits texts into words, as for `Sentence`.
        in_memory: Whether the sentences are kept, or read from the file each time one is asked for.
        skip_header: Whether the first row of each file is a header.
        encoding: The encoding of the files.
        no_class_label: A value that stands for no label; its text is kept.
        sample_missing_splits: As for `Corpus`.
        random_seed: Seed of the sampling.
        fmtparams: Others of `csv.reader`, such as `delimiter`.

    Raises:
        DataFormatError: when no file is found, and as `CSVClassificationDataset`.
        SettingError: when several files may be the same split, and as `CSVClassificationDataset`.
    """

    def __init__(
        self,
        data_folder: str | Path,
        column_name_map: Mapping[int, str],
        label_type: str,
        name: str = "csv_corpus",
        train_file: str | Path | None = None,
        test_file: str | Path | None = None,
        dev_file: str | Path | None = None,
        max_tokens_per_doc: int = -1,
        max_chars_per_doc: int = -1,
        tokenizer: bool | Tokenizer = True,
        in_memory: bool = True,
        skip_header: bool = False,
        encoding: str = "utf-8",
        no_class_label: str | None = None,
        sample_missing_splits: bool | str = False,
        *,
        random_seed: int | None = None,
        **fmtparams: Any,
    ) -> None:
        def load(path: Path, _: str) -> Sequence[Sentence]:
            return CSVClassificationDataset(
                path,
                column_name_map,
                label_type,
                max_tokens_per_doc,
                max_chars_per_doc,
                tokenizer,
                in_memory,
                skip_header,
                encoding,
                no_class_label,
                **fmtparams,
            )

        dev, test, train = find_train_dev_test_files(data_folder, dev_file, test_file, train_file)
        super().__init__(
            *load_splits(load, train, dev, test),
            name=name,
            sample_missing_splits=sample_missing_splits,
            random_seed=random_seed,
        )
        self.tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else None
