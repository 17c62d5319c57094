"""Write the encoders of transformers as ONNX graphs.

There are too many kinds of transformers to write their nodes one by one, so torch's exporter traces them. It is the
exporter that works through TorchScript: the newer one needs further packages, takes twenty times as long, and gives the
same network. What is traced could be right for the sequences of the trace alone; the result is therefore compared with
that of torch for sequences of other lengths.
"""

from __future__ import annotations

import inspect
import io
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flairlite.deploy.engines import read_engine
from flairlite.deploy.network_check import TRANSFORMER_OPERATORS, check_network
from flairlite.embeddings.transformer_base import TransformerEmbeddings
from flairlite.embeddings.transformer_files import Pretrained
from flairlite.errors import MissingExtraError, ModelFileError
from flairlite.models.onnx_graph import check_size, load_onnx

_OPSET = 17
_SHAPES = ((2, 7), (1, 3), (3, 12))  # windows and subwords: of the trace, then of the comparisons
_TOLERANCE = 1e-4  # as a part of the largest output
_INPUTS = ("input_ids", "mask")


def transformer_network(embedding: TransformerEmbeddings) -> bytes:
    """Return the network from the subwords of W windows to the chosen layers.

    The inputs are `input_ids` and `mask` (W, L) int64; the output is (W, L, D).

    Raises:
        ModelFileError: If the transformer cannot be traced, or its network is too large.
        MissingExtraError: If onnx or onnxruntime is not installed.
    """
    onnx, kind = load_onnx(), embedding.model.config.model_type
    check_size(sum(4 * weight.numel() for weight in embedding.model.parameters()))
    encoder = _Encoder(embedding)
    try:
        if embedding.pretrained.reads_padding:
            raise ValueError("its vectors depend on padding, which exported models need")
        model = onnx.load_from_string(_trace(encoder))
        _simplify(onnx, model)
        onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
        check_network(content, TRANSFORMER_OPERATORS)
        _compare(content, encoder)
    except (MemoryError, MissingExtraError):
        raise
    except Exception as error:  # torch's exporter raises many types
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelFileError(
            f"the transformer {embedding.name}, of type {kind!r}, cannot be exported ({reason}): use one of type bert, "
            "roberta, xlm-roberta, distilbert, electra, deberta-v2 or modernbert, or keep predicting with torch"
        ) from error
    return content


class _Encoder(nn.Module):
    """The transformer of an embedding with its chosen layers, in float32, without kernels that cannot be exported."""

    def __init__(self, embedding: TransformerEmbeddings) -> None:
        super().__init__()
        params = {**embedding.pretrained.to_params(), "attention": "eager", "dtype": "float32"}
        self.model = Pretrained.from_params(params).model.cpu()
        self.model.load_state_dict(embedding.model.state_dict())
        self._join = embedding.join_layers
        self.eval().requires_grad_(False)

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Return the layers (W, L, D)."""
        return self._join(self.model, input_ids, mask)


def _trace(encoder: _Encoder) -> bytes:
    """Return the network as torch's exporter writes it."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:  # since torch 2.5
        options["dynamo"] = False
    axes = {0: "windows", 1: "subwords"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that this exporter is the old one, and what it takes for constant
        torch.onnx.export(
            encoder,
            _example(encoder, *_SHAPES[0]),
            buffer,  # type: ignore[arg-type]
            input_names=list(_INPUTS),
            output_names=["output"],
            dynamic_axes={name: axes for name in (*_INPUTS, "output")},
            opset_version=_OPSET,
            **options,
        )
    return buffer.getvalue()


def _example(encoder: _Encoder, windows: int, length: int) -> tuple[Tensor, Tensor]:
    """Return subwords (W, L) and their mask, in which the last of several windows is shorter."""
    count = encoder.model.get_input_embeddings().num_embeddings
    ids = torch.arange(windows * length).view(windows, length) * 7 % count
    mask = torch.ones_like(ids)
    if windows > 1:
        mask[-1, length // 2 :] = 0
    return ids, mask


def _simplify(onnx: Any, model: Any) -> None:
    """Turn constants into weights, declare inputs that no layer uses, and remove descriptions."""
    graph, nodes = model.graph, []
    for node in graph.node:
        node.ClearField("doc_string")
        values = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type == "Constant":
            array = onnx.numpy_helper.to_array(values["value"].t)
            graph.initializer.append(onnx.numpy_helper.from_array(array, node.output[0]))
            continue
        if node.op_type == "ConstantOfShape":  # has a tensor as its attribute
            array = onnx.numpy_helper.to_array(values["value"].t) if values else np.zeros(1, np.float32)
            name = f"{node.output[0]}_value"
            graph.initializer.append(onnx.numpy_helper.from_array(array.reshape(()), name))
            node = onnx.helper.make_node("Expand", [name, node.input[0]], [node.output[0]], name=node.name)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    for name in set(_INPUTS) - {value.name for value in graph.input}:
        integers = onnx.TensorProto.INT64
        graph.input.append(onnx.helper.make_tensor_value_info(name, integers, ("windows", "subwords")))
    model.ClearField("metadata_props")


def _compare(network: bytes, encoder: _Encoder) -> None:
    """Check that ONNX Runtime computes for other shapes what the transformer does.

    Raises:
        ValueError: If it does not.
        MissingExtraError: If ONNX Runtime is not installed.
    """
    session = read_engine("onnxruntime", "float32", 1).make_session(network)
    for windows, length in _SHAPES[1:]:
        ids, mask = _example(encoder, windows, length)
        with torch.no_grad():
            expected = encoder(ids, mask)[mask.bool()].numpy()
        [found] = session({"input_ids": ids.numpy(), "mask": mask.numpy()})
        difference = np.abs(found[mask.numpy() > 0] - expected).max() / max(1.0, np.abs(expected).max())
        if not difference < _TOLERANCE:
            raise ValueError(f"its network differs from it by {difference:.2g} for {length} subwords")
