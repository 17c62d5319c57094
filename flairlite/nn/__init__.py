"""Building blocks of models: tensors in, tensors out."""

from flairlite.nn.crf import LinearChainCRF
from flairlite.nn.dropout import FeatureDropout, LockedDropout, WordDropout
from flairlite.nn.rnn import PaddedRNN

__all__ = ["FeatureDropout", "LinearChainCRF", "LockedDropout", "PaddedRNN", "WordDropout"]
