"""The base class of all models: it encodes, predicts, evaluates, saves and loads."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import GenericAlias
from typing import Any, ClassVar, TypeVar, overload

import torch
from torch import Tensor, nn

from flairlite.checks import file_path, strings
from flairlite.data import Dictionary, Sentence
from flairlite.datasets.read_labelled import read_labelled
from flairlite.embeddings import Embeddings
from flairlite.encoding import Batch, EncodedDataset, Targets, encode
from flairlite.errors import SettingError
from flairlite.markup import model_html
from flairlite.metrics import DEFAULT_METRIC, Result
from flairlite.models.inference import check_finite, evaluate_dataset, predict_chunks
from flairlite.models.inputs import (
    check_count,
    check_embeddings,
    check_flags,
    check_name,
    check_storage_mode,
    check_tokenizer,
    show_progress,
    to_sentences,
)
from flairlite.models.label_types import LabelTypes, labels_of
from flairlite.models.serialization import load_model, register_model_class, save_model
from flairlite.tasks import Task, encode_labels, leave_out_parts, make_gold
from flairlite.tensors import copy_to, map_tensors
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

ModelType = TypeVar("ModelType", bound="Model")


class Model(LabelTypes, nn.Module, ABC):
    """A model over sentences: embeddings, and layers that predict labels from them.

    Args:
        embeddings: The embeddings of words, or of sentences.
        task: What the model labels, and with which labels.

    Attributes:
        training_record: Corpus, settings and scores of the training of the model, which trainers write and model files
            keep; None for a model that was not trained.

    Raises:
        SettingError: If the task is not a `Task`, or the embeddings are of sentences and the task is about words, or
            vice versa.
    """

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)  # Flair's scripts write Model[Sentence]

    def __init__(self, embeddings: Embeddings, task: Task) -> None:
        super().__init__()
        if not isinstance(task, Task):
            raise SettingError(f"task must be a Task, such as WordTask('upos', labels), not a {type(task).__name__}")
        check_embeddings(embeddings, type(self).__name__, by_word=task.by_word)
        self._device_probe: Tensor  # follows the weights, so that `device` needs no search for a parameter
        self.register_buffer("_device_probe", torch.empty(0), persistent=False)
        self.embeddings = embeddings
        self.task = task
        self.training_record: dict[str, Any] | None = None
        self._tokenizer: Tokenizer | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class for `load`.

        Raises:
            SettingError: If another module has a model class of the same name.
        """
        super().__init_subclass__(**kwargs)
        register_model_class(cls)

    @abstractmethod
    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Compute scores of the K classes, (B, T, K) or (B, K); dropout draws from `generator`."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, without the embeddings, as plain containers."""

    @classmethod
    @abstractmethod
    def from_settings(cls: type[ModelType], settings: dict[str, Any], embeddings: Any) -> ModelType:
        """Build a model from the result of `settings`; its weights are loaded afterwards."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels that the model can predict; of several label types, those of the main one."""
        return self.task.label_names

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Splits texts into words in `predict`, also sentences that another tokenizer has split; None leaves these.

        Training sets it if the corpus was read with a tokenizer, and model files contain it. It can be assigned.
        """
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Tokenizer | None) -> None:
        self._tokenizer = check_tokenizer(tokenizer)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self._device_probe.device

    @property
    def has_fixed_steps(self) -> bool:
        """Whether the operations of a training step depend on the shape of its batch alone, as CUDA graphs require."""
        return False

    # Strings to integers, integers to vectors

    def encode(
        self,
        sentences: Sequence[Sentence],
        *,
        label_type: str | None = None,
        labels: Sequence[str] = (),
        targets: Targets | None = None,
        in_order: bool = True,
    ) -> EncodedDataset:
        """Encode sentences as integers.

        Args:
            sentences: The sentences.
            label_type: The label type to encode for the main task, or None to encode only words.
            labels: All labels of this type that occur, those of the model first; see `Task.all_labels`.
            targets: In place of the two, the labels of all types as integers; see `encode_labels`.
            in_order: Whether the sentences follow each other, so that embeddings that read context make them
                neighbours, unless they have neighbours.
        """
        context = self.embeddings.context
        if context is not None and in_order:
            Sentence.set_context_for_sentences(sentences)
        if label_type is not None:
            targets = self.task.targets(sentences, labels, label_type)
        encoded = encode(sentences, self.embeddings.index, targets, fields=self.embeddings.fields, context=context)
        return replace(encoded, subwords=self.embeddings.count_subwords(encoded))

    def inputs(self, batch: Batch, generator: torch.Generator | None = None) -> Any:
        """Return the inputs of the embeddings for a batch, on the model's device."""
        if batch.inputs is not None:
            return batch.inputs
        inputs = self.embeddings.select_batch(batch, generator)
        return map_tensors(lambda tensor: copy_to(tensor, self.device), inputs)

    def features(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Compute the embeddings of a batch: (B, T, D) of its words, or (B, D) of its sentences."""
        return self.embeddings(self.inputs(batch, generator), batch.lengths, generator)  # type: ignore[no-any-return]

    def targets(self, batch: Batch) -> Tensor:
        """Return the targets of a batch on the model's device; see `Batch.targets` and `Task.mask_unknown`."""
        return self.task.mask_unknown(copy_to(labels_of(batch)[0].class_ids, self.device))

    def forward_loss(self, sentences: Sequence[Sentence]) -> tuple[Tensor, int]:
        """Compute the loss of sentences with gold labels, for your own training loop.

        A sentence without spans counts as one that contains none, also for a model of several label types.

        Returns:
            The summed loss (), and the number of words or sentences that it is summed over; see `Batch.num_labels`.
        """
        sentences = to_sentences(sentences)
        sources = [source.extend(sentences) for source in self.label_sources(for_training=True)]
        encoded = self.encode(sentences, targets=encode_labels(sources, sentences))
        has_words = encoded.lengths.nonzero().squeeze(1)
        if not len(has_words):
            return torch.zeros((), device=self.device, requires_grad=True), 0
        batch = encoded.batch(has_words)
        return self.loss(self(batch), batch), batch.num_labels

    def compact(self) -> None:
        """Round fixed word vectors to twelve bits per value, as `save` writes them; see `Embeddings.compact`."""
        for module in self.embeddings.modules():
            if isinstance(module, Embeddings):
                module.compact()

    # Prediction

    @overload
    def predict(  # type: ignore[overload-overlap]  # a text is an iterable of texts too
        self,
        sentences: Sentence | str,
        mini_batch_size: int = ...,
        return_probabilities_for_all_classes: bool = ...,
        verbose: bool = ...,
        label_name: str | None = ...,
        *,
        embedding_storage_mode: str | None = ...,
        force_token_predictions: bool = ...,
        label_types: str | Iterable[str] | None = ...,
    ) -> Sentence: ...

    @overload
    def predict(
        self,
        sentences: Iterable[Sentence | str],
        mini_batch_size: int = ...,
        return_probabilities_for_all_classes: bool = ...,
        verbose: bool = ...,
        label_name: str | None = ...,
        *,
        embedding_storage_mode: str | None = ...,
        force_token_predictions: bool = ...,
        label_types: str | Iterable[str] | None = ...,
    ) -> list[Sentence]: ...

    def predict(
        self,
        sentences: Sentence | str | Iterable[Sentence | str],
        mini_batch_size: int = 64,
        return_probabilities_for_all_classes: bool = False,
        verbose: bool = False,
        label_name: str | None = None,
        return_loss: bool = False,
        embedding_storage_mode: str | None = "none",
        force_token_predictions: bool = False,
        *,
        label_types: str | Iterable[str] | None = None,
    ) -> Sentence | list[Sentence] | tuple[Tensor, int]:
        """Predict the labels of sentences, and write them with their scores onto the sentences.

        The predictions replace all labels of the same type, gold labels too. To compare the two, predict with another
        `label_name`, or let `evaluate` predict.

        Args:
            sentences: A sentence or a text, or an iterable of them. Texts are split into words.
            mini_batch_size: Number of sentences that pass through the network at once; on a GPU, several such batches
                do, unless the embeddings read context.
            return_probabilities_for_all_classes: Write all labels of a text with their probabilities, not only the best
                one. For words, `token.get_tags_proba_dist` returns the probabilities of all labels or tags.
            verbose: Show a progress bar if standard error is a terminal.
            label_name: The label type to write; by default the one that the model learned. A model of several label
                types needs one of them as `label_types` too.
            return_loss: Return the loss of the gold labels that the sentences have before, instead of the sentences.
            embedding_storage_mode: `cpu` or `gpu` also store the embeddings on sentences or tokens, on the host or on
                the model's device, which computes the embeddings a second time.
            force_token_predictions: Write tags such as `B-PER` onto words if the model labels spans.
            label_types: The label types to predict, of those of the model; all if None.

        Returns:
            The sentence, or a list of all sentences in their order; empty sentences are included, without labels. With
            `return_loss`, the summed loss () and the number of labelled words or sentences.

        Raises:
            LabelError: If the scores are NaN.
            SettingError: If the input is not sentences or texts, or a setting is invalid.
        """
        storage_mode = check_storage_mode("embedding_storage_mode", embedding_storage_mode or "none")
        is_single = isinstance(sentences, (Sentence, str))
        chunks = predict_chunks(
            self,
            sentences,
            mini_batch_size,
            label_name,
            with_probabilities=return_probabilities_for_all_classes,
            as_classes=force_token_predictions,
            with_loss=return_loss,
            label_types=label_types,
        )
        labelled: list[Sentence] = []
        loss, num_labels = torch.zeros((), device=self.device), 0
        for chunk, inference in show_progress(chunks, verbose and not is_single):
            labelled += chunk
            if return_loss:
                types = inference.types
                loss = loss + self.join_losses([part.loss for part in types], [part.index for part in types])
            num_labels += inference.num_labels
        if storage_mode != "none":
            self.embeddings.embed(labelled, remember=False)  # prediction has done that
            for sentence in labelled:
                sentence.to("cpu" if storage_mode == "cpu" else self.device)
        if return_loss:
            return loss, num_labels
        return labelled[0] if is_single else labelled

    def predict_stream(
        self,
        sentences: Iterable[Sentence | str],
        mini_batch_size: int = 64,
        return_probabilities_for_all_classes: bool = False,
        *,
        label_name: str | None = None,
        force_token_predictions: bool = False,
        label_types: str | Iterable[str] | None = None,
    ) -> Iterator[Sentence]:
        """Predict the labels of a stream of sentences in constant memory; see `predict`.

        Yields:
            The sentences in their order, with labels.
        """
        chunks = predict_chunks(
            self,
            sentences,
            mini_batch_size,
            label_name,
            with_probabilities=return_probabilities_for_all_classes,
            as_classes=force_token_predictions,
            label_types=label_types,
        )
        return (sentence for chunk, _ in chunks for sentence in chunk)

    # Evaluation

    def evaluate(
        self,
        data_points: Iterable[Sentence] | str | Path,
        gold_label_type: str | None = None,
        out_path: str | Path | None = None,
        embedding_storage_mode: str = "none",
        mini_batch_size: int = 64,
        main_evaluation_metric: tuple[str, str] = DEFAULT_METRIC,
        exclude_labels: Sequence[str] | None = None,
        gold_label_dictionary: Dictionary | None = None,
        return_loss: bool = True,
    ) -> Result:
        """Compare predictions with gold labels, without changing the labels of the sentences.

        A model of several label types is compared with those of them that the sentences have. The main type must be
        among them: its scores are those of the result, and `result.by_type` has those of each type.

        Args:
            data_points: Sentences with gold labels, or the path of a file; see `read_labelled` for its format.
            gold_label_type: The label type of the gold labels; by default the one that the model learned. Of several
                label types, that of the main one; `result.by_type` has the others.
            out_path: The file to write words, gold and predicted labels to, or None.
            embedding_storage_mode: `gpu` copies all encoded sentences to the model's device first; `none` and `cpu`
                copy each batch when it is needed. No embeddings are stored on the sentences.
            mini_batch_size: Number of sentences that pass through the network at once.
            main_evaluation_metric: The metric of the main score.
            exclude_labels: Labels of the main type to leave out of the metrics, with words or sentences that have no
                other gold label.
            gold_label_dictionary: Not supported: labels that the model does not know are compared by their names.
            return_loss: Whether to compute the loss; otherwise it is 0.

        Raises:
            LabelError: If no word, or sentence, has a gold label (without spans, the scores are 0), or the loss is NaN.
            FileWriteError: If `out_path` cannot be written.
            SettingError: If a `gold_label_dictionary` is given, or another setting is invalid.
        """
        if gold_label_dictionary is not None:
            raise SettingError("gold labels are compared by their names: leave gold_label_dictionary out")
        check_flags(return_loss=return_loss)
        storage_mode = check_storage_mode("embedding_storage_mode", embedding_storage_mode or "none")
        mini_batch_size = check_count("mini_batch_size", mini_batch_size)
        label_type = self.label_type if gold_label_type is None else check_name("gold_label_type", gold_label_type)
        if label_type in self.label_types[1:]:
            raise SettingError(
                f"gold_label_type={label_type!r} would compare predictions of {self.label_type!r} with labels of "
                f"another type that the model predicts: leave it out, and read result.by_type[{label_type!r}]"
            )
        if isinstance(data_points, (str, bytes, os.PathLike)):
            path = file_path("data_points", data_points)
            unit: Any = self.task.unit if self.task.by_word else "sentence"
            sentences = read_labelled(path, label_type=label_type, unit=unit, allow_unlabelled=self.task.multi_label)
        else:
            sentences = to_sentences(data_points)
        exclude = strings(allow_one=True)("exclude_labels", exclude_labels)
        for message in self.check_labels(sentences, "the data to evaluate", label_type=label_type, exclude=exclude):
            log.warning(message)
        sources = leave_out_parts([source.extend(sentences) for source in self.label_sources(label_type)], sentences)
        targets = encode_labels(sources, sentences)
        encoded = self.encode(sentences, targets=targets)
        gold = make_gold(sources, sentences, targets)
        result = evaluate_dataset(
            self,
            encoded.to(self.device) if storage_mode == "gpu" else encoded,
            gold,
            mini_batch_size=mini_batch_size,
            main_metric=main_evaluation_metric,
            out_path=out_path,
            exclude=exclude,
            with_loss=return_loss,
        )
        check_finite(torch.tensor([part.loss for part in result.by_type.values()]))
        return result

    def _repr_html_(self) -> str:
        return model_html(self)

    # Files

    def save(self, model_file: str | Path, *, whole: bool = True, half_precision: bool = False) -> None:
        """Write the model with its embeddings; loading it needs no other file.

        Args:
            model_file: The path of the file.
            whole: False omits fixed word vectors that the cache has: the file is small, but can only be loaded where
                the cache has the vectors. Training writes its best model so until it ends.
            half_precision: Write weights with 16 bits instead of 32: the file is half as large, and predictions can
                change slightly. Loading makes 32 bits of them.

        Raises:
            FileWriteError: If the file cannot be written.
            ModelFileError: If a setting of the model or its embeddings cannot be stored in a model file.
            SettingError: If an argument is invalid.
        """
        check_flags(whole=whole, half_precision=half_precision)
        save_model(self, model_file, whole=whole, half_precision=half_precision)

    def export(self, path: str | Path) -> None:
        """Write the model to one ONNX file, to predict without torch; see `flairlite.deploy`.

        The file contains the networks, the words and vectors, the labels and the tokenizers. Fixed vectors have as many
        bits a value as in the model: twelve after training. Networks compute in float32.

        Args:
            path: The path of the file, such as `tagger.onnx`.

        Raises:
            FileWriteError: If the file cannot be written.
            MissingExtraError: If onnx, or onnxruntime, with which transformers are checked, is not installed.
            ModelFileError: If the model, its embeddings or its transformer are of a kind that cannot be exported, or a
                network has more than 2 GB.

        Example:
            >>> model.export("tagger.onnx")  # doctest: +SKIP
            >>> flairlite.deploy.load("tagger.onnx").predict("I love Berlin")  # doctest: +SKIP
        """
        from flairlite.models.export import export_model  # which imports this module

        export_model(self, path)

    @classmethod
    def load(cls: type[ModelType], model_path: str | Path, *, device: str | torch.device | None = None) -> ModelType:
        """Load a model that `save` or training wrote, or Flair 0.12 to 0.15.1; no code in the file is executed.

        Args:
            model_path: The path of the file.
            device: The device to put the model on; the default device if None.

        Raises:
            ModelFileError: If the file is missing, damaged, from another program, or holds a model of another class.
            DataUnavailableError: If the file was saved without word vectors, and the cache does not have them.
        """
        return load_model(cls, model_path, device)


Classifier = Model  # alias for Flair's scripts; in Flair not every Model is a Classifier
