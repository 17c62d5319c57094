"""Corpora of CoNLL-U files: splits in a folder, sentences on the disk, words that are written as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from flairlite.data.corpus import Corpus
from flairlite.data.dataset import FlairDataset
from flairlite.data.sentence import Sentence
from flairlite.datasets.conllu import parse_sentences, read_conllu
from flairlite.datasets.file_dataset import FileDataset
from flairlite.datasets.multiwords import with_multiwords
from flairlite.datasets.splits import Files, find_train_dev_test_files, load_splits
from flairlite.datasets.text_file import Record, TextFile
from flairlite.errors import DataFormatError


class UniversalDependenciesCorpus(Corpus):
    """A corpus of CoNLL-U files in a folder, one for each split; see `read_conllu`.

    Args:
        data_folder: The folder.
        train_file: The name of the training file. When None, the files that are not given are looked for among those
            that end with `.conllu`, see `find_train_dev_test_files`.
        test_file: That of the test file.
        dev_file: That of the dev file.
        in_memory: Whether the sentences are kept, or read from the file each time one is asked for.
        split_multiwords: Whether the syntactic words are the words, or what is written together, such as `don't`.
        name: What to call the corpus; as the folder when None.
        sample_missing_splits: As for `Corpus`.
        random_seed: Seed of the sampling.

    Raises:
        DataFormatError: when no file is found, and as `read_conllu`.
        SettingError: when several files may be the same split.
    """

    def __init__(
        self,
        data_folder: str | Path,
        train_file: str | Path | None = None,
        test_file: str | Path | None = None,
        dev_file: str | Path | None = None,
        in_memory: bool = True,
        split_multiwords: bool = True,
        *,
        name: str | None = None,
        sample_missing_splits: bool | str = False,
        random_seed: int | None = None,
    ) -> None:
        dev, test, train = find_train_dev_test_files(data_folder, dev_file, test_file, train_file, suffix=".conllu")
        super().__init__(
            *splits_of_conllu(train, dev, test, in_memory, split_multiwords),
            name=name or str(data_folder),
            sample_missing_splits=sample_missing_splits,
            random_seed=random_seed,
        )


class UniversalDependenciesDataset(FlairDataset):
    """The sentences of a CoNLL-U file; see `read_conllu`.

    Args:
        path_to_conll_file: The file.
        in_memory: Whether the sentences are kept, or read from the file each time one is asked for.
        split_multiwords: Whether the syntactic words are the words, or what is written together, such as `don't`.

    Raises:
        DataFormatError: as `read_conllu`.
    """

    def __init__(self, path_to_conll_file: str | Path, in_memory: bool = True, split_multiwords: bool = True) -> None:
        self.path_to_conll_file = Path(path_to_conll_file)
        self.in_memory, self.split_multiwords = in_memory, split_multiwords
        self._sentences = read_conllu(path_to_conll_file) if in_memory else _OnDisk(TextFile(path_to_conll_file))
        if in_memory and not split_multiwords:
            self._sentences = list(map(with_multiwords, self._sentences))

    def is_in_memory(self) -> bool:
        """Tell whether the same place gives the same sentence each time."""
        return self.in_memory

    def sentence_at(self, place: int) -> Sentence:
        """Return the sentence at a place."""
        return self._changed(self._sentences[place])

    def __iter__(self) -> Iterator[Sentence]:
        return map(self._changed, self._sentences)

    def __len__(self) -> int:
        return len(self._sentences)

    def _changed(self, sentence: Sentence) -> Sentence:
        return sentence if self.in_memory or self.split_multiwords else with_multiwords(sentence)


def splits_of_conllu(
    train: Files, dev: Files, test: Files, in_memory: bool, split_multiwords: bool
) -> tuple[Sequence[Sentence] | None, Sequence[Sentence] | None, Sequence[Sentence] | None]:
    """Return the sentences of train, dev and test from a file or several each."""

    def load(path: Path, _: str) -> Sequence[Sentence]:
        return UniversalDependenciesDataset(path, in_memory, split_multiwords)

    return load_splits(load, train, dev, test)


class _OnDisk(FileDataset):
    def __init__(self, file: TextFile) -> None:
        super().__init__(file, in_memory=False)
        self._take((record, None) for record in file.records(_is_empty) if list(self._all_of(record)))

    def _sentence_of(self, record: Record) -> Sentence:
        return next(self._all_of(record))

    def _all_of(self, record: Record) -> Iterator[Sentence]:
        """Yield the sentence of a record, or none where it is of comments alone."""
        text = record.text.replace("\r\n", "\n")
        if "\r" in text:
            remedy = "Write line feeds, or read the file with in_memory=True"
            raise self.file.problem("a line ends with a carriage return alone", record.line, remedy)
        return parse_sentences(text.encode(), record.line, self.file.path)

    def _without_sentences(self) -> DataFormatError:
        return self.file.problem(
            "there is no sentence in it", remedy="CoNLL-U has 10 columns a word, separated by tabs"
        )


def _is_empty(line: bytes) -> bool:
    return line in (b"\n", b"\r\n")
