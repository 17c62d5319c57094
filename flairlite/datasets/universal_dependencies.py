"""CoNLL-U files as datasets and corpora, with syntactic words or with multiword tokens as the words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from flairlite.checks import flag
from flairlite.data.dataset import FlairDataset
from flairlite.data.sentence import Sentence
from flairlite.datasets.conllu import parse_sentences, read_conllu
from flairlite.datasets.corpora import FileCorpus
from flairlite.datasets.splits import Splits, find_files
from flairlite.datasets.text_file import FileDataset, Record, TextFile, to_path
from flairlite.errors import DataFormatError

# label types, and the column of a range's own value; for 0, the value of one of its words is used
_COLUMNS = {"lemma": 2, "upos": 3, "xpos": 4, "pos": 4, "feats": 5, "misc": 9, "head": 0, "deprel": 0, "dependency": 0}
_RANGES = "multiword_tokens"


class UniversalDependenciesDataset(FlairDataset):
    """The sentences of a CoNLL-U file; see `read_conllu`.

    Args:
        path_to_conll_file: The file.
        in_memory: Whether to keep the sentences, or to read them from the file on each access.
        split_multiwords: Whether the words are the syntactic words, `do` and `n't`, or the written words, `don't`.

    Raises:
        DataFormatError: If `read_conllu` raises it.
        SettingError: If the path is not a path.
    """

    def __init__(self, path_to_conll_file: str | Path, in_memory: bool = True, split_multiwords: bool = True) -> None:
        self.path_to_conll_file = to_path(path_to_conll_file)
        self.in_memory = flag("in_memory", in_memory)
        self.split_multiwords = flag("split_multiwords", split_multiwords)
        self._sentences: Sequence[Sentence]
        if not in_memory:
            self._sentences = _ConlluOnDisk(TextFile(path_to_conll_file))
        elif split_multiwords:
            self._sentences = read_conllu(path_to_conll_file)
        else:
            self._sentences = list(map(join_multiwords, read_conllu(path_to_conll_file)))

    def is_in_memory(self) -> bool:
        """Return whether an index always gives the same sentence object."""
        return self.in_memory

    def sentence_at(self, index: int) -> Sentence:
        """Return the sentence at an index."""
        return self._convert(self._sentences[index])

    def __iter__(self) -> Iterator[Sentence]:
        return map(self._convert, self._sentences)

    def __len__(self) -> int:
        return len(self._sentences)

    def _convert(self, sentence: Sentence) -> Sentence:
        return sentence if self.in_memory or self.split_multiwords else join_multiwords(sentence)


class ConlluCorpus(FileCorpus):
    """A corpus of CoNLL-U files, any number for each split."""

    reader = UniversalDependenciesDataset


class UniversalDependenciesCorpus(ConlluCorpus):
    """A corpus of CoNLL-U files in a folder, one for each split; see `read_conllu`.

    The other arguments are those of `UniversalDependenciesDataset`.

    Args:
        data_folder: The folder.
        train_file, test_file, dev_file: Names of the files. Without a training file, missing ones are searched for,
            see `find_train_dev_test_files`.
        name: Name of the corpus; the folder when None.
        options: Options of `FileCorpus`.

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
        in_memory: bool = True,
        split_multiwords: bool = True,
        *,
        name: str | None = None,
        **options: Any,
    ) -> None:
        files = find_files(data_folder, Splits(train_file, dev_file, test_file), suffix=".conllu")
        options |= {"in_memory": in_memory, "split_multiwords": split_multiwords}
        super().__init__(files, name=str(data_folder) if name is None else name, **options)


class _ConlluOnDisk(FileDataset):
    def __init__(self, file: TextFile) -> None:
        super().__init__(file, in_memory=False)
        self._store((record, None) for record in file.records(_is_empty) if list(self._parse(record)))

    def _sentence_of(self, record: Record) -> Sentence:
        return next(self._parse(record))

    def _parse(self, record: Record) -> Iterator[Sentence]:
        """Yield the sentence of a record, or nothing if the record has only comments."""
        return parse_sentences(record.text.encode(), record.line, self.file.path)

    def _no_sentences(self) -> DataFormatError:
        return self.file.error(
            "there is no sentence in it", remedy="CoNLL-U has 10 columns per word, separated by tabs"
        )


def _is_empty(line: bytes) -> bool:
    return line in (b"\n", b"\r\n", b"\r")


def join_multiwords(sentence: Sentence) -> Sentence:
    """Return the sentence with each range of CoNLL-U, such as `1-2 don't`, as one word.

    The word has the lemma, tags and features of the range's own row, which are mostly empty, and the head and relation
    of the part whose head is outside the range. Enhanced dependencies are left out, because their ids would be wrong.
    A sentence without a range is returned as it is.
    """
    rows = sentence.metadata.get(_RANGES)
    if not rows:
        return sentence
    ranges = {}  # by the index of the first word: the exclusive end, and the row
    for row in rows:
        first, last = map(int, row[0].split("-"))
        ranges[first - 1] = last, row
    starts = [0]
    while starts[-1] < len(sentence.words):
        starts.append(ranges[starts[-1]][0] if starts[-1] in ranges else starts[-1] + 1)
    new_index = {old: new for new, (start, end) in enumerate(pairwise(starts)) for old in range(start, end)}
    heads = sentence.token_labels("head")
    outermost = [_outermost_word(start, end, heads) for start, end in pairwise(starts)]
    words = [ranges[start][1][1] if start in ranges else sentence.words[start] for start in starts[:-1]]
    spaces = [sentence.tokens[end - 1].whitespace_after for end in starts[1:]]
    columns: dict[str, list[str | None]] = {}
    for name, field in _COLUMNS.items():
        column = sentence.token_labels(name)
        if column is None:
            continue
        values = [column[index] for index in outermost]
        if name == "head":
            values = [str(new_index[int(head) - 1] + 1) if head and head != "0" else head for head in values]
        elif field:
            values = [
                _known(ranges[start][1][field]) if start in ranges else value
                for start, value in zip(starts[:-1], values, strict=True)
            ]
        columns[name] = values
    metadata = {key: value for key, value in sentence.metadata.items() if key not in (_RANGES, "empty_nodes")}
    return Sentence.from_columns(words, spaces, columns, metadata)


def _outermost_word(start: int, end: int, heads: Sequence[str | None] | None) -> int:
    """Return the first word from `start` to `end` whose head is outside this range."""
    if heads is None:
        return start
    inside = {str(index + 1) for index in range(start, end)}
    return next((index for index in range(start, end) if heads[index] not in inside), start)


def _known(value: str) -> str | None:
    return None if value == "_" else value
