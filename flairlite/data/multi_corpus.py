"""Several corpora as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flairlite.data.corpus import SPLITS, Corpus
from flairlite.data.dataset import ConcatDataset
from flairlite.errors import SettingError


class MultiCorpus(Corpus):
    """Several corpora as one, split by split.

    Args:
        corpora: The corpora.
        task_ids: A name for each, which its sentences get as their label of the type `multitask_id`; `Task_0`, `Task_1`
            and so on when None.
        name: What to call the whole.
        corpusargs: Others of `Corpus`.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        task_ids: Sequence[str] | None = None,
        name: str = "multicorpus",
        **corpusargs: Any,
    ) -> None:
        self.corpora = list(corpora)
        ids = [f"Task_{number}" for number in range(len(self.corpora))] if task_ids is None else list(task_ids)
        if len(ids) != len(self.corpora) or len(set(ids)) != len(ids):
            raise SettingError(f"task_ids must be {len(self.corpora)} different names, one a corpus, not {ids}")
        super().__init__(
            self._concatenated("train", ids),
            self._concatenated("dev", ids),
            self._concatenated("test", ids),
            name=name,
            **corpusargs,
        )

    def _concatenated(self, split: str, ids: Sequence[str]) -> ConcatDataset | None:
        parts = {task: part for task, corpus in zip(ids, self.corpora, strict=True) if (part := getattr(corpus, split))}
        return ConcatDataset(list(parts.values()), list(parts)) if parts else None

    def __str__(self) -> str:
        sizes = " + ".join(f"{len(getattr(self, split) or ())} {split}" for split in SPLITS)
        parts = [f"{type(corpus).__name__} {corpus} - {corpus.name}" for corpus in self.corpora]
        return "\n - ".join([f"MultiCorpus: {sizes} sentences", *parts])

    __repr__ = __str__
