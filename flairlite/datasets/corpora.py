"""Corpora whose splits are read from files."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from flairlite.data.corpus import Corpus
from flairlite.data.dataset import ConcatDataset, FlairDataset
from flairlite.data.dictionary import Dictionary
from flairlite.data.sentence import Sentence
from flairlite.datasets.classification import ClassificationDataset, CSVClassificationDataset
from flairlite.datasets.columns import ColumnDataset
from flairlite.datasets.jsonl import JsonlDataset
from flairlite.datasets.splits import Files, Splits, find_files, list_files
from flairlite.errors import LabelError, SettingError
from flairlite.tokenization import Tokenizer


class FileCorpus(Corpus):
    """A corpus whose splits are read from files.

    Args:
        files: A file, several files or None for each split.
        name: Name of the corpus.
        sample_missing_splits: As for `Corpus`.
        random_seed: Seed of the sampling, as for `Corpus`.
        options: Further arguments of the reader.

    Raises:
        SettingError: If there is no file, or an option is unknown.
    """

    reader: ClassVar[Callable[..., FlairDataset]]

    def __init__(
        self,
        files: Splits[Any],
        *,
        name: str = "corpus",
        sample_missing_splits: bool | str = False,
        random_seed: int | None = None,
        **options: Any,
    ) -> None:
        self._check_options(options)
        self._unlabelled: dict[str, str] = {}  # label types without a label, with the content of their columns
        paths = files.map(lambda given, split: list_files(given, f"{split}_files"))
        if not any(given for _, given in paths.items()):
            raise SettingError("a corpus needs at least one file: pass those of train, dev or test")

        def read(given: list[Path], split: str) -> Sequence[Sentence] | None:
            parts = [self._read(path, split, options) for path in given]
            return ConcatDataset(parts) if len(parts) > 1 else parts[0] if parts else None

        splits = paths.map(read)
        super().__init__(splits.train, splits.dev, splits.test, name, sample_missing_splits, random_seed)
        tokenizer = options.get("use_tokenizer", options.get("tokenizer"))
        self.tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else None

    def make_label_dictionary(self, label_type: str, *args: Any, **options: Any) -> Dictionary:
        """Collect the label values of the training split; see `Corpus.make_label_dictionary`.

        Raises:
            LabelError: If no sentence has a label of this type; the error shows the content of its column.
        """
        try:
            return super().make_label_dictionary(label_type, *args, **options)
        except LabelError as error:
            if label_type not in self._unlabelled:
                raise
            raise LabelError(f"{error}. {self._unlabelled[label_type]}") from error

    def _read(self, path: Path, split: str, options: dict[str, Any]) -> FlairDataset:
        return type(self).reader(path, **options)

    def _check_options(self, options: Mapping[str, Any]) -> None:
        parameters = inspect.signature(type(self).reader).parameters.values()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return
        known = [parameter.name for parameter in parameters][1:]
        for option in options:
            if option not in known:
                known += ["name", "sample_missing_splits", "random_seed"]
                near = difflib.get_close_matches(option, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
                raise UnknownOptionError(f"{type(self).__name__} has no option {option!r}: {hint}")


class UnknownOptionError(SettingError, TypeError):
    """A keyword argument that a corpus does not have."""


class MultiFileColumnCorpus(FileCorpus):
    """A corpus of column files, any number for each split.

    The first file determines which columns have labels of spans. Splits may be without labels, such as blind test data,
    which is logged.

    Args:
        column_format: The label type of each column, and `text` for the words, as for `ColumnDataset`.
        train_files, test_files, dev_files: The file or the files of each split.
        options: Options of `FileCorpus`, and of `ColumnDataset`, such as `column_delimiter` or `in_memory`.

    Raises:
        DataFormatError: If a file is malformed.
        SettingError: If there is no file, or an option is unknown or invalid.
    """

    reader = ColumnDataset

    def __init__(
        self,
        column_format: Mapping[int, str],
        train_files: Files = None,
        test_files: Files = None,
        dev_files: Files = None,
        **options: Any,
    ) -> None:
        super().__init__(Splits(train_files, dev_files, test_files), column_name_map=column_format, **options)

    def _read(self, path: Path, split: str, options: dict[str, Any]) -> ColumnDataset:
        dataset = ColumnDataset(path, **options)
        if options.get("span_label_types") is None:
            options["span_label_types"] = dataset.span_forms
        if split == "train":
            self._unlabelled.update(dataset.unlabelled)
        return dataset


class ColumnCorpus(MultiFileColumnCorpus):
    """A corpus of column files in a folder, one for each split.

    Args:
        data_folder: The folder.
        column_format: The label type of each column, and `text` for the words, as in `{0: "text", 3: "ner"}`.
        train_file, test_file, dev_file: Names of the files. Without a training file, missing ones are searched for,
            see `find_train_dev_test_files`.
        autofind_splits: Whether to search for missing files.
        name: Name of the corpus; the folder when None.
        comment_symbol: Start of comment lines, or None.
        use_tokenizer: Splits the text into words again, instead of the words of the files.
        options: Options of `FileCorpus`, and of `ColumnDataset`, such as `label_name_map` or `in_memory`.

    Raises:
        DataFormatError: If no file is found, or a file is malformed.
        SettingError: If several files fit the same split, or an option is unknown or invalid.
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
        files = find_files(data_folder, Splits(train_file, dev_file, test_file), autofind_splits)
        options |= {"comment_symbol": comment_symbol, "use_tokenizer": use_tokenizer}
        super().__init__(
            column_format,
            files.train,
            files.test,
            files.dev,
            name=str(data_folder) if name is None else name,
            **options,
        )


class MultiFileJsonlCorpus(FileCorpus):
    """A corpus of files of JSON lines, any number for each split.

    The other arguments are those of `JsonlDataset`.

    Args:
        train_files, test_files, dev_files: The file or the files of each split.
        options: Options of `FileCorpus`, and `in_memory`.

    Raises:
        DataFormatError: If a file is malformed.
        SettingError: If there is no file, or an option is unknown or invalid.
    """

    reader = JsonlDataset

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
        **options: Any,
    ) -> None:
        super().__init__(
            Splits(train_files, dev_files, test_files),
            encoding=encoding,
            text_column_name=text_column_name,
            label_column_name=label_column_name,
            metadata_column_name=metadata_column_name,
            label_type=label_type,
            use_tokenizer=use_tokenizer,
            **options,
        )


class JsonlCorpus(MultiFileJsonlCorpus):
    """A corpus of JSON lines in a folder, one file for each split.

    The other arguments are those of `JsonlDataset`.

    Args:
        data_folder: The folder.
        train_file, test_file, dev_file: Names of the files. Without a training file, missing ones are searched for,
            see `find_train_dev_test_files`.
        autofind_splits: Whether to search for missing files.
        name: Name of the corpus; the folder when None.
        options: Options of `FileCorpus`, and `in_memory`.

    Raises:
        DataFormatError: If no file is found, or a file is malformed.
        SettingError: If several files fit the same split, or an option is unknown or invalid.
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
        files = find_files(data_folder, Splits(train_file, dev_file, test_file), autofind_splits)
        super().__init__(
            *(files.train, files.test, files.dev),
            encoding=encoding,
            text_column_name=text_column_name,
            label_column_name=label_column_name,
            metadata_column_name=metadata_column_name,
            label_type=label_type,
            use_tokenizer=use_tokenizer,
            name=str(data_folder) if name is None else name,
            **options,
        )


class ClassificationCorpus(FileCorpus):
    """A corpus of texts in fastText's format in a folder, one file for each split.

    The other arguments are those of `ClassificationDataset` and `Corpus`.

    Args:
        data_folder: The folder.
        label_type: The label type.
        train_file, test_file, dev_file: Names of the files. Without a training file, missing ones are searched for,
            see `find_train_dev_test_files`.
        name: Name of the corpus; the folder when None.

    Raises:
        DataFormatError: If no file is found, or a file is malformed.
        SettingError: If several files fit the same split, or an argument is invalid.
    """

    reader = ClassificationDataset

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
        super().__init__(
            find_files(data_folder, Splits(train_file, dev_file, test_file)),
            name=str(data_folder) if name is None else name,
            sample_missing_splits=sample_missing_splits,
            random_seed=random_seed,
            label_type=label_type,
            truncate_to_max_tokens=truncate_to_max_tokens,
            truncate_to_max_chars=truncate_to_max_chars,
            filter_if_longer_than=filter_if_longer_than,
            tokenizer=tokenizer,
            memory_mode=memory_mode,
            label_name_map=label_name_map,
            skip_labels=skip_labels,
            allow_examples_without_labels=allow_examples_without_labels,
            encoding=encoding,
        )


class CSVClassificationCorpus(FileCorpus):
    """A corpus of CSV files in a folder, one for each split.

    The other arguments are those of `CSVClassificationDataset` and `Corpus`.

    Args:
        data_folder: The folder.
        train_file, test_file, dev_file: Names of the files. Without a training file, missing ones are searched for,
            see `find_train_dev_test_files`.
        fmtparams: Further arguments of `csv.reader`, such as `delimiter`.

    Raises:
        DataFormatError: If no file is found, or a file is malformed.
        SettingError: If several files fit the same split, or an argument is unknown or invalid.
    """

    reader = CSVClassificationDataset

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
        super().__init__(
            find_files(data_folder, Splits(train_file, dev_file, test_file)),
            name=name,
            sample_missing_splits=sample_missing_splits,
            random_seed=random_seed,
            column_name_map=column_name_map,
            label_type=label_type,
            max_tokens_per_doc=max_tokens_per_doc,
            max_chars_per_doc=max_chars_per_doc,
            tokenizer=tokenizer,
            in_memory=in_memory,
            skip_header=skip_header,
            encoding=encoding,
            no_class_label=no_class_label,
            **fmtparams,
        )
