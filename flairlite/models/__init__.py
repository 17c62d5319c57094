"""Models: sentences in, labels out."""

from flairlite.models.model import Model
from flairlite.models.sequence_tagger import SequenceTagger

__all__ = ["Model", "SequenceTagger"]
