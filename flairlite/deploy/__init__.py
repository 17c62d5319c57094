"""Predict with exported models, without torch.

`Model.export` writes a model to a file that `load` reads. This package needs NumPy and ONNX Runtime, and syntok for
texts with the default tokenizer, and tokenizers for models over transformers.
"""

from flairlite.deploy.model import ExportedModel, load

__all__ = ["ExportedModel", "load"]
