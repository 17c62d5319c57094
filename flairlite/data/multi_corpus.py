"""Several corpora as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from flairlite.data.corpus import SPLITS, Corpus
from flairlite.data.dataset import ConcatDataset
from flairlite.data.label_values import check_value
from flairlite.errors import SettingError


class MultiCorpus(Corpus):
    """Several corpora as one, split by split.

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
