"""What every model does: encode, predict, evaluate, save and load."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import GenericAlias
from typing import Any, ClassVar, Literal, TypeVar, overload

import torch
from torch import Tensor, nn

from flairlite.data import Dictionary, Sentence
from flairlite.datasets.conllu import read_conllu
from flairlite.embeddings import DocumentEmbeddings, Embeddings, TokenEmbeddings
from flairlite.embeddings.registry import embedding_from_params, embedding_to_params
from flairlite.encoding import Batch, EncodedDataset, encode
from flairlite.errors import LabelError, ModelFileError, SettingError
from flairlite.metrics import DEFAULT_METRIC, Result
from flairlite.models.inference import STORAGE_MODES, LossSum, evaluate_dataset, predict_sentences
from flairlite.models.inputs import (
    no_sentence,
    to_sentence,
    to_sentences,
    tokenizer_from_params,
    tokenizer_to_params,
    with_progress,
)
from flairlite.runtime import get_device
from flairlite.storage.archive_check import AtMost
from flairlite.storage.model_file import read_model_file, write_model_file
from flairlite.tasks import Decoded, Task
from flairlite.tensors import copy_to, map_tensors
from flairlite.tokenization import Tokenizer

log = logging.getLogger("flairlite")

_CHUNK = 2048  # sentences encoded at once: enough to bucket them well, little beside a stream

Self = TypeVar("Self", bound="Model")


class Model(nn.Module, ABC):
    """A model over sentences: embeddings, and something that makes labels of them.

    Args:
        embeddings: The embeddings of the words, or of the sentences.
        task: What the model labels, and with what.

    Raises:
        SettingError: when the embeddings are of sentences and words are labelled, or the other way round.
    """

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)  # Flair's scripts write Model[Sentence]
    _classes: ClassVar[dict[str, type[Model]]] = {}

    def __init__(self, embeddings: Embeddings, task: Task) -> None:
        super().__init__()
        _check_embeddings(type(self).__name__, embeddings, task)
        self._device_probe: Tensor
        self.register_buffer(
            "_device_probe", torch.empty(0), persistent=False
        )  # goes where the weights go, and is at hand
        self.embeddings = embeddings
        self.task = task
        self._tokenizer: Tokenizer | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the class known to `load`."""
        super().__init_subclass__(**kwargs)
        Model._classes[cls.__name__] = cls

    @abstractmethod
    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Compute scores of the K classes, (B, T, K) or (B, K); dropout draws from `generator`."""

    @abstractmethod
    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Compute the loss from what `forward` returned, summed over what has labels in a batch; a tensor ()."""

    @abstractmethod
    def decode(
        self, scores: Tensor, batch: Batch, *, with_scores: bool = True, with_probabilities: bool = False
    ) -> Decoded:
        """Choose classes from what `forward` returned; say how sure that is, and how likely each class, when asked."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, besides the embeddings, as plain containers."""

    @classmethod
    @abstractmethod
    def from_settings(cls: type[Self], settings: dict[str, Any], embeddings: Any) -> Self:
        """Build a model from what `settings` returned; its weights are loaded after."""

    @property
    def label_type(self) -> str:
        """The label type to learn and to predict."""
        return self.task.label_type

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels that the model can predict."""
        return self.task.label_names

    @property
    def tokenizer(self) -> Tokenizer | None:
        """What splits texts into words in `predict`, sentences that were split otherwise too; None: their own does.

        Training sets it where the corpus was read with a tokenizer, and model files hold it. It can be assigned.
        """
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Tokenizer | None) -> None:
        self._tokenizer = tokenizer

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self._device_probe.device

    # Strings to integers, integers to vectors

    def encode(
        self, sentences: Sequence[Sentence], *, label_type: str | None = None, labels: Sequence[str] = ()
    ) -> EncodedDataset:
        """Turn sentences into integers.

        Args:
            sentences: The sentences.
            label_type: The label type to encode, or None for words alone.
            labels: All labels of this type that occur, those of the model first; see `Task.all_labels`.
        """
        targets = None if label_type is None else self.task.targets(sentences, labels, label_type)
        return encode(sentences, self.embeddings.index, targets, fields=self.embeddings.fields)

    def inputs(self, batch: Batch) -> Any:
        """Return what the embeddings take of a batch, on the model's device."""
        inputs = self.embeddings.select(batch.table, batch.word_ids)
        return map_tensors(lambda tensor: copy_to(tensor, self.device), inputs)

    def features(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Compute the embeddings of a batch: (B, T, D) of its words, or (B, D) of its sentences."""
        inputs = self.inputs(batch)
        if isinstance(self.embeddings, DocumentEmbeddings):
            return self.embeddings(inputs, batch.lengths, generator)  # type: ignore[no-any-return]
        return self.embeddings(inputs)  # type: ignore[no-any-return]

    def targets(self, batch: Batch) -> Tensor:
        """Return the targets of a batch on the model's device; see `Batch.targets` and `Task.mask_unknown`."""
        if batch.targets is None:
            raise LabelError("these sentences were encoded without labels: there is nothing to learn from")
        return self.task.mask_unknown(copy_to(batch.targets, self.device))

    def forward_loss(self, sentences: Sequence[Sentence]) -> tuple[Tensor, int]:
        """Compute the loss of sentences with gold labels, for a training loop of your own.

        Returns:
            The loss, summed, a tensor (); and how many words, or sentences, it is the loss of.
        """
        labels = self.task.all_labels(sentences)
        encoded = self.encode(sentences, label_type=self.label_type, labels=labels)
        has_words = encoded.lengths.nonzero().squeeze(1)
        if not len(has_words):
            return torch.zeros((), device=self.device, requires_grad=True), 0
        batch = encoded.batch(has_words)
        return self.loss(self(batch), batch), batch.num_labels

    def compact(self) -> None:
        """Round fixed word vectors to twelve bits a value, as `save` then writes them; see `Embeddings.compact`."""
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
        return_loss: Literal[False] = ...,
        embedding_storage_mode: str | None = ...,
        force_token_predictions: bool = ...,
    ) -> Sentence: ...

    @overload
    def predict(
        self,
        sentences: Iterable[Sentence | str],
        mini_batch_size: int = ...,
        return_probabilities_for_all_classes: bool = ...,
        verbose: bool = ...,
        label_name: str | None = ...,
        return_loss: Literal[False] = ...,
        embedding_storage_mode: str | None = ...,
        force_token_predictions: bool = ...,
    ) -> list[Sentence]: ...

    @overload
    def predict(
        self,
        sentences: Sentence | str | Iterable[Sentence | str],
        mini_batch_size: int = ...,
        return_probabilities_for_all_classes: bool = ...,
        verbose: bool = ...,
        label_name: str | None = ...,
        *,
        return_loss: Literal[True],
        embedding_storage_mode: str | None = ...,
        force_token_predictions: bool = ...,
    ) -> tuple[Tensor, int]: ...

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
    ) -> Sentence | list[Sentence] | tuple[Tensor, int]:
        """Predict the labels of sentences, and write them with their scores onto the sentences.

        Args:
            sentences: A sentence or a text, or several. A text is split into words.
            mini_batch_size: Sentences computed at once.
            return_probabilities_for_all_classes: Write all labels of a text with their probabilities, not only the
                best; leave those of a word, or its tags, with it, for `token.get_tags_proba_dist`.
            verbose: Show a progress bar when standard error is a terminal.
            label_name: The label type to write, when it is not to be the one that the model learned.
            return_loss: Return the loss instead, of the gold labels that the sentences have before.
            embedding_storage_mode: `cpu` or `gpu` leave the embeddings of the model with sentences or tokens, on the
                host or on the model's device. They are computed once more for that.
            force_token_predictions: Write tags such as `B-PER` onto words, where a model labels spans.

        Returns:
            The sentence, or a list of all sentences in the order they came; empty ones are among them, without labels.
            With `return_loss`, the summed loss, a tensor (), and of how many labelled words, or sentences, it is.

        Raises:
            SettingError: when what is given is no sentence or text, or a setting makes no sense.
        """
        if embedding_storage_mode not in (*STORAGE_MODES, None):
            raise SettingError(
                f"embedding_storage_mode must be one of {', '.join(STORAGE_MODES)}, not {embedding_storage_mode!r}"
            )
        loss = LossSum(torch.zeros((), device=self.device)) if return_loss else None
        is_single = isinstance(sentences, (Sentence, str))
        stream = self._predict_stream(
            [sentences] if isinstance(sentences, (Sentence, str)) else sentences,
            mini_batch_size,
            label_name or self.label_type,
            with_probabilities=return_probabilities_for_all_classes,
            as_classes=force_token_predictions,
            loss=loss,
        )
        labelled = list(with_progress(stream, verbose and not is_single))
        if embedding_storage_mode in ("cpu", "gpu"):
            self._leave_embeddings(labelled, "cpu" if embedding_storage_mode == "cpu" else self.device)
        if loss is not None:
            return loss.total, loss.num_labels
        return labelled[0] if is_single else labelled

    def predict_stream(
        self,
        sentences: Iterable[Sentence | str],
        mini_batch_size: int = 64,
        return_probabilities_for_all_classes: bool = False,
        *,
        label_name: str | None = None,
        force_token_predictions: bool = False,
    ) -> Iterator[Sentence]:
        """Predict the labels of sentences as they come, in memory that does not grow; see `predict`.

        Yields:
            The sentences in the order they came, with labels.
        """
        return self._predict_stream(
            sentences,
            mini_batch_size,
            label_name or self.label_type,
            with_probabilities=return_probabilities_for_all_classes,
            as_classes=force_token_predictions,
        )

    def _predict_stream(
        self,
        sentences: Iterable[Sentence | str],
        mini_batch_size: int,
        label_name: str,
        *,
        with_probabilities: bool,
        as_classes: bool,
        loss: LossSum | None = None,
    ) -> Iterator[Sentence]:
        if not isinstance(sentences, Iterable):
            raise no_sentence(sentences)
        write = self.task.write_classes if as_classes else self.task.write
        iterator = iter(sentences)
        while chunk := [to_sentence(item, self.tokenizer) for item in islice(iterator, _CHUNK)]:
            decoded = predict_sentences(self, chunk, mini_batch_size, with_probabilities=with_probabilities, loss=loss)
            write(chunk, decoded, label_name)
            yield from chunk

    def _leave_embeddings(self, sentences: Sequence[Sentence], device: str | torch.device) -> None:
        self.embeddings.embed(sentences)
        for sentence in sentences:
            sentence.to(device)

    # Evaluation

    def read(self, path: str | Path) -> Sequence[Sentence]:
        """Read sentences with labels to compare with: from a CoNLL-U file."""
        return read_conllu(path)

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
        """Compare predictions with gold labels; the labels of the sentences stay as they are.

        Args:
            data_points: Sentences with gold labels, or the path of a file that `read` reads.
            gold_label_type: The label type of the gold labels, when it is not the one that the model learned.
            out_path: Where to write words, gold and predicted labels, or None.
            embedding_storage_mode: `gpu` puts all that is encoded on the model's device first; `none` and `cpu` put a
                batch there when it is needed. Nothing is left on the sentences.
            mini_batch_size: Sentences computed at once.
            main_evaluation_metric: Which figure is the main score.
            exclude_labels: Labels to leave out of the figures, with what has only these as gold labels.
            gold_label_dictionary: Not here: labels that the model does not know are compared under their own names.
            return_loss: Compute the loss too; else it is 0.

        Raises:
            LabelError: when no word, or sentence, has a gold label; spans may be absent, and then the scores are 0.
            SettingError: when a `gold_label_dictionary` is given, or another storage mode.
        """
        if gold_label_dictionary is not None:
            raise SettingError(
                "gold labels are compared under their own names, those that the model does not know as misses: leave "
                "gold_label_dictionary out"
            )
        if embedding_storage_mode not in ("none", "cpu", "gpu"):
            raise SettingError(f"embedding_storage_mode must be none, cpu or gpu, not {embedding_storage_mode!r}")
        sentences = self.read(data_points) if isinstance(data_points, (str, Path)) else to_sentences(data_points)
        label_type = gold_label_type or self.label_type
        exclude = [exclude_labels] if isinstance(exclude_labels, str) else list(exclude_labels or ())
        for message in self.task.check(sentences, "the data to evaluate", label_type=label_type, exclude=exclude):
            log.warning(message)
        gold = self.task.gold(sentences, label_type)
        encoded = self.encode(sentences, label_type=label_type, labels=gold.labels)
        return evaluate_dataset(
            self,
            encoded.to(self.device) if embedding_storage_mode == "gpu" else encoded,
            gold,
            mini_batch_size=mini_batch_size,
            main_metric=main_evaluation_metric,
            out_path=out_path,
            exclude=exclude,
            with_loss=return_loss,
        )

    # Files

    def save(self, model_file: str | Path, *, whole: bool = True) -> None:
        """Write the model with its embeddings: the file needs no other to be loaded.

        Args:
            model_file: The file.
            whole: Leave fixed word vectors out with False: the file is small and quickly written, but can be loaded
                only where the cache has the vectors. So does training with the best model until it ends.

        Raises:
            TrainingError: when the file cannot be written.
        """
        content = {
            "class": type(self).__name__,
            "settings": self.settings(),
            "tokenizer": tokenizer_to_params(self.tokenizer),
            "embeddings": embedding_to_params(self.embeddings, whole=whole),
            "state": self.state_dict(),
        }
        write_model_file(Path(model_file), content)

    @classmethod
    def load(cls: type[Self], model_path: str | Path, *, device: str | torch.device | None = None) -> Self:
        """Load a model that `save` or training wrote; nothing in the file is executed.

        Args:
            model_path: The file.
            device: Where to put the model; the default device when None.

        Raises:
            ModelFileError: when the file is missing, damaged, of another program, or holds a model of another class.
        """
        content = read_model_file(model_path)
        name = content.get("class")
        kind = Model._classes.get(str(name))
        if kind is None or not issubclass(kind, cls):
            raise ModelFileError(f"{model_path} holds a {name}: load it with {name}.load")
        try:
            with AtMost(Path(model_path).stat().st_size):
                model = kind.from_settings(content["settings"], embedding_from_params(content["embeddings"]))
            model.load_state_dict(content["state"])
            if any(type(name) is not str for name in (model.label_type, *model.label_names, *model.embeddings.fields)):
                raise TypeError("the name of a label or of a label type is no text")
            model.tokenizer = tokenizer_from_params(content.get("tokenizer"))
        except ModelFileError as error:
            raise ModelFileError(f"{model_path}: {error}") from error
        except Exception as error:  # whatever is in the file: it may have been changed, or made, by anybody
            raise ModelFileError(f"{model_path} is damaged: {error!r}. Copy it again, or train again") from error
        return model.to(get_device(device)).eval()


Classifier = Model  # Flair's name: there, some models are none


def _check_embeddings(name: str, embeddings: Embeddings, task: Task) -> None:
    if isinstance(embeddings, TokenEmbeddings if task.by_word else DocumentEmbeddings):
        return
    units = "words" if task.by_word else "sentences"
    remedy = "" if task.by_word else ": wrap those of words, as in DocumentPoolEmbeddings([WordEmbeddings('glove')])"
    raise SettingError(f"a {name} needs embeddings of {units}, not {type(embeddings).__name__}{remedy}")
