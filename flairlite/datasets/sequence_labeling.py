"""Corpora of labelled words and spans: column files and JSON lines."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flairlite.data.corpus import Corpus
from flairlite.data.sentence import Sentence
from flairlite.datasets.columns import ColumnDataset
from flairlite.datasets.jsonl import JsonlDataset
from flairlite.datasets.splits import Files, find_train_dev_test_files, load_splits
from flairlite.tokenization import Tokenizer

__all__ = [
    "ColumnCorpus",
    "ColumnDataset",
    "JsonlCorpus",
    "JsonlDataset",
    "MultiFileColumnCorpus",
    "MultiFileJsonlCorpus",
]


class MultiFileColumnCorpus(Corpus):
    """A corpus of column files, any number for each split.

    Whether a column has labels of words or of spans is found in the first file, and holds for all. A training file
    without any label is an error; another split may have none, as blind test data has, and the log says so.

    Args:
        column_format: The label type of each column, and `text` for that of the words, as for `ColumnDataset`.
        train_files: The files of the training split.
        test_files: Those of the test split.
        dev_files: Those of the dev split.
        options: Others of `ColumnDataset`, such as `column_delimiter`, `comment_symbol`, `in_memory`, and of `Corpus`:
            `name`, `sample_missing_splits`, `random_seed`.

    Raises:
        DataFormatError: as `ColumnDataset`.
        SettingError: when there is no file.
    """

    def __init__(
        self,
        column_format: Mapping[int, str],
        train_files: Files = None,
        test_files: Files = None,
        dev_files: Files = None,
        **options: Any,
    ) -> None:
        known = inspect.signature(ColumnDataset).parameters
        reading = {name: options.pop(name) for name in list(options) if name in known}

        def load(path: Path, split: str) -> Sequence[Sentence]:
            dataset = ColumnDataset(path, column_format, **{"require_labels": split == "train", **reading})
            reading.setdefault("span_label_types", dataset.span_label_types)
            return dataset

        super().__init__(*load_splits(load, train_files, dev_files, test_files), **options)
        self.tokenizer = reading.get("use_tokenizer")


class ColumnCorpus(MultiFileColumnCorpus):
    """A corpus of column files in a folder, one for each split.

    Args:
        data_folder: The folder.
        column_format: The label type of each column, and `text` for that of the words, as in `{0: "text", 3: "ner"}`.
        train_file: The name of the training file. When None, the files that are not given are looked for, see
            `find_train_dev_test_files`.
        test_file: That of the test file.
        dev_file: That of the dev file.
        autofind_splits: Whether files are looked for.
        name: What to call the corpus; as the folder when None.
        comment_symbol: What comments begin with, or None.
        use_tokenizer: What splits the text into words anew, in place of those of the files.
        options: Others of `ColumnDataset`, such as `column_delimiter`, `skip_first_line`, `label_name_map`,
            `in_memory`, and of `Corpus`: `sample_missing_splits`, `random_seed`.

    Raises:
        DataFormatError: when no file is found, and as `ColumnDataset`.
        SettingError: when several files may be the same split.
    """

    def __init__(
        self,
        data_folder: str | Path,
        column_format: Mapping[int, str],
        train_file: str | Path | None = None,
        test_file: str | Path | None = None,
        dev_file: str | Path | None = None,
        autofind_splits: bool = True,
        name: str | None = None,
        comment_symbol: str | None = "# ",
        use_tokenizer: Tokenizer | None = None,
        **options: Any,
    ) -> None:
        dev, test, train = find_train_dev_test_files(data_folder, dev_file, test_file, train_file, autofind_splits)
        super().__init__(
            column_format,
            train,
            test,
            dev,
            name=name or str(data_folder),
            comment_symbol=comment_symbol,
            use_tokenizer=use_tokenizer,
            **options,
        )


class MultiFileJsonlCorpus(Corpus):
    """A corpus of files of JSON lines, any number for each split; see `JsonlDataset`.

    Args:
        train_files: The files of the training split.
        test_files: Those of the test split.
        dev_files: Those of the dev split.
        encoding: Their encoding.
        text_column_name: The key of the text.
        label_column_name: The key of the spans.
        metadata_column_name: The key of what else is known.
        label_type: What to call the labels.
        use_tokenizer: What splits texts into words, as for `Sentence`.
        options: Others of `Corpus`: `name`, `sample_missing_splits`, `random_seed`, and `in_memory`.

    Raises:
        DataFormatError: as `JsonlDataset`.
        SettingError: when there is no file.
    """

    def __init__(
        self,
        train_files: Files = None,
        test_files: Files = None,
        dev_files: Files = None,
        encoding: str = "utf-8",
        text_column_name: str = "data",
        label_column_name: str = "label",
        metadata_column_name: str = "metadata",
        label_type: str = "ner",
        use_tokenizer: bool | Tokenizer = True,
        *,
        in_memory: bool = True,
        **options: Any,
    ) -> None:
        def load(path: Path, split: str) -> Sequence[Sentence]:
            return JsonlDataset(
                path,
                encoding,
                text_column_name,
                label_column_name,
                metadata_column_name,
                label_type,
                use_tokenizer,
                in_memory=in_memory,
                require_labels=split == "train",
            )

        super().__init__(*load_splits(load, train_files, dev_files, test_files), **options)


class JsonlCorpus(MultiFileJsonlCorpus):
    """A corpus of JSON lines in a folder, a file for each split; see `JsonlDataset`.

    Args:
        data_folder: The folder.
        train_file: The name of the training file. When None, the files that are not given are looked for, see
            `find_train_dev_test_files`.
        test_file: That of the test file.
        dev_file: That of the dev file.
        encoding: Their encoding.
        text_column_name: The key of the text.
        label_column_name: The key of the spans.
        metadata_column_name: The key of what else is known.
        label_type: What to call the labels.
        autofind_splits: Whether files are looked for.
        name: What to call the corpus; as the folder when None.
        use_tokenizer: What splits texts into words, as for `Sentence`.
        options: Others of `Corpus`: `sample_missing_splits`, `random_seed`, and `in_memory`.

    Raises:
        DataFormatError: when no file is found, and as `JsonlDataset`.
        SettingError: when several files may be the same split.
    """

    def __init__(
        self,
        data_folder: str | Path,
        train_file: str | Path | None = None,
        test_file: str | Path | None = None,
        dev_file: str | Path | None = None,
        encoding: str = "utf-8",
        text_column_name: str = "data",
        label_column_name: str = "label",
        metadata_column_name: str = "metadata",
        label_type: str = "ner",
        autofind_splits: bool = True,
        name: str | None = None,
        use_tokenizer: bool | Tokenizer = True,
        **options: Any,
    ) -> None:
        dev, test, train = find_train_dev_test_files(data_folder, dev_file, test_file, train_file, autofind_splits)
        super().__init__(
            train,
            test,
            dev,
            encoding,
            text_column_name,
            label_column_name,
            metadata_column_name,
            label_type,
            use_tokenizer,
            name=name or str(data_folder),
            **options,
        )
