"""Readers of data files, and prepared corpora."""

from flairlite.datasets.conllu import iterate_conllu, read_conllu
from flairlite.datasets.sample import SAMPLE_ENGLISH
from flairlite.datasets.treebanks import UD_ENGLISH

__all__ = ["SAMPLE_ENGLISH", "UD_ENGLISH", "iterate_conllu", "read_conllu"]
