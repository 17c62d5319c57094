"""A sequence tagger: embeddings, a recurrent network, a linear layer and a CRF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor, nn

from flairlite.checks import one_of
from flairlite.data import Dictionary, Sentence
from flairlite.embeddings import TokenEmbeddings
from flairlite.encoding import Batch
from flairlite.errors import SettingError
from flairlite.models.inputs import (
    SentenceReader,
    check_count,
    check_flags,
    check_name,
    check_rate,
    iterate,
    make_dropouts,
)
from flairlite.models.model import Model
from flairlite.models.tag_heads import (
    TagHead,
    TagHeads,
    compute_emissions,
    dictionary_of,
    make_layers,
    read_head_settings,
    read_loss_settings,
)
from flairlite.nn import LinearChainCRF, PaddedRNN
from flairlite.prediction.label_types import choose_type
from flairlite.runtime import get_device, get_seed, seeded
from flairlite.tasks import Decoded, SpanTask

if TYPE_CHECKING:
    from flairlite.prediction.n_best import Hypothesis


class SequenceTagger(TagHeads, Model):
    """Predicts a label for each word of a sentence, or labelled spans such as named entities.

    This is the model of Huang, Xu and Yu, Bidirectional LSTM-CRF Models for Sequence Tagging, 2015, as Flair builds it.

    The model labels spans if `tag_dictionary.span_labels` is set, otherwise words. For spans, it predicts tags of words
    such as `B-PER`. Only valid tag sequences are possible in training, prediction and scores, with and without a CRF.

    The score of a label or tag of a word is its probability over all (valid) sequences, which a CRF computes with the
    forward-backward algorithm. The score of a span is the probability that exactly these words are a span with this
    label.

    A tagger of several label types has one head, a linear layer with a CRF or a softmax, for each type, over the same
    embeddings and network (Caruana, Multitask Learning, 1997):

        SequenceTagger(embeddings, {"upos": upos, "xpos": xpos, "deprel": deprel}, "upos", head_weights={"deprel": 0.3})

    The main type decides which model is the best, what `label_type` and `task` are, and what `n_best` returns by
    default. Words without a label of a type teach its head nothing. So do, for spans, the corpora of a `MultiCorpus`
    that have no span of the type. `drop_heads` removes types that are needed only in training.

    `tagger.bfloat16()` makes a trained tagger predict in bfloat16, which is faster on processors that support it.

    Args:
        embeddings: The embeddings of words.
        tag_dictionary: The labels, as returned by `corpus.make_label_dictionary`; for several label types, a dictionary
            from each type to its labels.
        tag_type: The label type, or the main one of several.
        use_rnn: Whether there is a recurrent network between embeddings and labels.
        rnn: A network of torch (with `batch_first`) to use instead of a new one, so that models can share it. Its
            settings override those given here.
        rnn_type: LSTM, GRU or RNN.
        tag_format: The tagging scheme of spans: BIOES, BIO or BILOU.
        hidden_size: Size of the hidden state in each direction.
        rnn_layers: Number of layers of the network.
        bidirectional: Whether the network also reads sentences backwards.
        use_crf: Whether to score whole label sequences instead of each label independently. For several label types,
            a dictionary may give a value for each (True for others). With K labels a CRF takes K * K operations per
            word, so types of hundreds of labels are faster without.
        reproject_embeddings: Whether the embeddings pass through a linear layer (D, D) first.
        dropout: Dropout rate of single features before and after the network.
        word_dropout: Dropout rate of whole words.
        locked_dropout: Dropout rate of features, for all words of a sentence at once.
        train_initial_hidden_state: Whether to learn the initial state of the network.
        rnn_dropout: Dropout rate between the layers of the network, of features for all words of a sentence at once.
        rnn_residual: Whether the states of each layer of the network but the first are added to those of the layer
            below it, which lets deeper networks learn.
        loss_weights: Weights of labels, or of tags such as `B-PER`, in the loss; others have weight 1. Only without a
            CRF. For several label types, a dictionary from each type to such weights.
        allow_unk_predictions: Whether to learn and predict `<unk>` for labels that are not in the dictionary. Otherwise
            `<unk>` is never predicted, and words with such labels are not learned from.
        head_weights: Weights of label types in the loss, from 0; others have weight 1. The loss of a type is summed
            over its labelled words, and the loss of the model is the weighted sum over the types.
        label_smoothing: The part of the target distribution that is uniform, from 0 to below 1; see
            `flairlite.nn.class_loss`. With a CRF, the classes of this definition are the label sequences of the
            sentence: the loss is one minus this times the negative log-likelihood of the gold labels, plus this times
            the mean negative log-likelihood of all sequences. Not for spans with a CRF.
        soft_labels: The name of distributions over labels that sentences carry, to learn besides gold labels, or a
            dictionary from label types to such names; see `SoftLabels`. Not for spans with a CRF.
        distillation_weight: Weight of the divergence from such a distribution where there is a gold label too, from 0
            to 1. That of the gold label is one minus this. Where there is only one of the two, its weight is 1.
        distillation_temperature: What scores are divided by before distributions are compared; see
            `flairlite.nn.Distillation`.
        seed: Seed of the initial weights; the default seed of the process if None.

    Raises:
        LabelError: If a dictionary has no label, or a weight is given for an unknown label.
        SettingError: If an argument is invalid, or contradicts another one.
    """

    def __init__(
        self,
        embeddings: TokenEmbeddings,
        tag_dictionary: Dictionary | Mapping[str, Dictionary],
        tag_type: str,
        use_rnn: bool = True,
        rnn: nn.LSTM | nn.GRU | nn.RNN | None = None,
        rnn_type: str = "LSTM",
        tag_format: str = "BIOES",
        hidden_size: int = 256,
        rnn_layers: int = 1,
        bidirectional: bool = True,
        use_crf: bool | Mapping[str, bool] = True,
        reproject_embeddings: bool = True,
        dropout: float = 0.0,
        word_dropout: float = 0.05,
        locked_dropout: float = 0.5,
        train_initial_hidden_state: bool = False,
        loss_weights: Mapping[str, Any] | None = None,
        *,
        rnn_dropout: float = 0.0,
        rnn_residual: bool = False,
        allow_unk_predictions: bool = False,
        head_weights: Mapping[str, float] | None = None,
        label_smoothing: float = 0.0,
        soft_labels: str | Mapping[str, str] | None = None,
        distillation_weight: float = 0.5,
        distillation_temperature: float = 1.0,
        seed: int | None = None,
    ) -> None:
        tag_format = check_name("tag_format", tag_format)
        check_flags(
            use_rnn=use_rnn,
            bidirectional=bidirectional,
            reproject_embeddings=reproject_embeddings,
            train_initial_hidden_state=train_initial_hidden_state,
            rnn_residual=rnn_residual,
            allow_unk_predictions=allow_unk_predictions,
        )
        heads = read_head_settings(tag_dictionary, tag_type, use_crf, loss_weights, head_weights, soft_labels)
        loss = read_loss_settings(label_smoothing, distillation_weight, distillation_temperature)
        tasks = [loss.make_task(head, tag_format, with_unknown=allow_unk_predictions) for head in heads]
        super().__init__(embeddings, tasks[0])
        self.loss_settings, self.head_settings = loss, heads[0]
        self.tag_format, self.allow_unk_predictions = tag_format.upper(), allow_unk_predictions
        if rnn is not None:
            hidden_size, rnn_layers, rnn_type, bidirectional = _read_rnn_settings(rnn)
        self.hidden_size = check_count("hidden_size", hidden_size)
        self.rnn_layers = check_count("rnn_layers", rnn_layers)
        self.rnn_type = one_of("LSTM", "GRU", "RNN")("rnn_type", rnn_type)
        self.bidirectional = bidirectional
        self.dropout, self.word_dropout, self.locked_dropout = make_dropouts(dropout, word_dropout, locked_dropout)
        size = embeddings.embedding_length
        layers = {"dropout": check_rate("rnn_dropout", rnn_dropout), "residual": rnn_residual}
        with seeded(get_seed(seed)):
            self.reprojection = nn.Linear(size, size) if reproject_embeddings else None
            self.rnn = self._make_rnn(size, train_initial_hidden_state, rnn, **layers) if use_rnn else None
            size = self.rnn.output_size if self.rnn is not None else size
            self.linear, self.crf, self.word_decoder = make_layers(self.task, size, heads[0].use_crf)
            others = [TagHead(task, size, head) for task, head in zip(tasks[1:], heads[1:], strict=True)]
        self.register_buffer("label_weights", self.task.class_weights(heads[0].loss_weights), persistent=False)
        self.other_heads = nn.ModuleList(others) if others else None
        self.to(get_device())

    def _make_rnn(
        self, size: int, train_initial_state: bool, rnn: nn.LSTM | nn.GRU | nn.RNN | None, **layers: Any
    ) -> PaddedRNN:
        return PaddedRNN(
            size,
            self.hidden_size,
            num_layers=self.rnn_layers,
            rnn_type=self.rnn_type,
            bidirectional=self.bidirectional,
            train_initial_state=train_initial_state,
            rnn=rnn,
            **layers,
        )

    @property
    def tag_type(self) -> str:
        """The label type."""
        return self.label_type

    @property
    def tag_dictionary(self) -> Dictionary:
        """The labels of the main label type."""
        return self.head_settings.dictionary

    @property
    def loss_weights(self) -> dict[str, float]:
        """Weights of labels of the main label type in the loss."""
        return self.head_settings.loss_weights

    @property
    def label_dictionary(self) -> Dictionary:
        """The classes of words: the labels, or the tags of spans such as `B-PER`."""
        return Dictionary.from_items(self.task.class_names, add_unk=False)

    @property
    def has_fixed_steps(self) -> bool:
        """Whether the operations of a training step depend on the shape of its batch alone, as CUDA graphs require."""
        is_plain = type(self) is SequenceTagger and not any(self.soft_types)  # subclasses may read more of a batch
        return is_plain and self.embeddings.has_fixed_shapes and (self.rnn is None or not self.rnn.is_packed)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Compute the emissions (B, T, K): a score of each class at each word."""
        features = self.features(batch, generator).to(self.linear.weight.dtype)  # (B, T, D)
        features = self._drop(features, generator, drop_words=True)
        if self.reprojection is not None:
            features = self.reprojection(features)
        if self.rnn is not None:
            features = self.rnn(features, batch.lengths, generator)  # (B, T, H)
            features = self._drop(features, generator)
        if self.other_heads is None:
            return compute_emissions(self, features)
        return torch.cat([compute_emissions(head, features) for head in self.heads], dim=2)  # (B, T, sum of K)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Compute the negative log-likelihood () of the labels, summed over the labelled words of each label type.

        With several label types, it is the weighted sum of their losses.
        """
        return self.join_losses(self.losses(scores, batch), range(len(batch.labels)))

    def decode(
        self, scores: Tensor, batch: Batch, *, with_scores: bool = True, with_probabilities: bool = False
    ) -> Decoded:
        """Predict the best label sequence of the main type; a score is the probability of the label at its word."""
        options = {"with_scores": with_scores, "with_probabilities": with_probabilities}
        return self.decode_types(scores, batch, [0], **options)[0]

    @overload
    def n_best(  # type: ignore[overload-overlap]  # a text is a sequence of texts too
        self, sentences: Sentence | str, n: int = ..., mini_batch_size: int = ..., *, label_type: str | None = ...
    ) -> list[Hypothesis]: ...

    @overload
    def n_best(
        self,
        sentences: Sequence[Sentence | str],
        n: int = ...,
        mini_batch_size: int = ...,
        *,
        label_type: str | None = ...,
    ) -> list[list[Hypothesis]]: ...

    def n_best(
        self,
        sentences: Sentence | str | Sequence[Sentence | str],
        n: int = 5,
        mini_batch_size: int = 64,
        *,
        label_type: str | None = None,
    ) -> list[Hypothesis] | list[list[Hypothesis]]:
        """Find the n most probable labelings of sentences, in descending order, without changing the sentences.

        Args:
            sentences: A sentence or a text, or an iterable of them. Texts are split into words.
            n: The number of labelings. If there are fewer, as for short sentences, all are returned.
            mini_batch_size: Number of sentences that pass through the network at once.
            label_type: The label type; by default the main one.

        Returns:
            The labelings of the sentence, or a list of labelings for each sentence: probability, tags and spans.

        Raises:
            SettingError: If the input is not sentences or texts, `n` is less than 1, or the label type is unknown.

        Example:
            >>> for labeling in tagger.n_best("I love Berlin", n=2):  # doctest: +SKIP
            ...     print(labeling.probability, labeling.spans)
            0.92 ((2, 3, 'LOC'),)
            0.05 ()
        """
        from flairlite.models.n_best import find_n_best

        index = choose_type(self.label_types, label_type)
        head = self.heads[index]
        chain = head.word_decoder.chain(head.crf)
        if chain is None:
            chain = LinearChainCRF(len(head.task.class_names), is_learned=False).to(self.device)
        is_single = isinstance(sentences, (Sentence, str))
        reader = SentenceReader(self.tokenizer, [head.task.label_type])
        items = iterate([sentences] if isinstance(sentences, (Sentence, str)) else sentences)
        copies = [reader.read_copy(item) for item in items]
        batch_size = check_count("mini_batch_size", mini_batch_size)
        hypotheses = find_n_best(self, index, chain, copies, check_count("n", n), batch_size)
        return hypotheses[0] if is_single else hypotheses

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, without the embeddings."""
        settings = {
            "tag_items": self.tag_dictionary.get_items(),
            "tag_type": self.label_type,
            "use_rnn": self.rnn is not None,
            "hidden_size": self.hidden_size,
            "rnn_layers": self.rnn_layers,
            "rnn_type": self.rnn_type,
            "bidirectional": self.bidirectional,
            "use_crf": self.crf is not None,
            "reproject_embeddings": self.reprojection is not None,
            "dropout": self.dropout.rate,
            "word_dropout": self.word_dropout.rate,
            "locked_dropout": self.locked_dropout.rate,
            "loss_weights": self.loss_weights or None,
            "span_labels": isinstance(self.task, SpanTask),
            "tag_format": self.tag_format,
            "allow_unk_predictions": self.allow_unk_predictions,
            "train_initial_hidden_state": self.rnn is not None and self.rnn.start is not None,
        }
        if self.rnn is not None and (self.rnn.dropout.rate or self.rnn.residual):  # older versions lack these
            settings |= {"rnn_dropout": self.rnn.dropout.rate, "rnn_residual": self.rnn.residual}
        return {**settings, **self.further_settings()}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], embeddings: TokenEmbeddings) -> SequenceTagger:
        """Build a tagger from the result of `settings`."""
        own = ("tag_items", "span_labels", "other_heads")
        rest = {name: value for name, value in settings.items() if name not in own}
        main = {"span_labels": False, **settings, "label_type": settings["tag_type"]}  # format 1 had no spans at first
        if "other_heads" not in settings:
            return cls(embeddings, dictionary_of(main), **rest)
        heads = [main, *settings["other_heads"]]
        dictionaries = {check_name("tag_type", head["label_type"]): dictionary_of(head) for head in heads}
        for name in ("use_crf", "loss_weights"):
            rest[name] = {head["label_type"]: head[name] for head in heads}
        return cls(embeddings, dictionaries, **rest)

    def _drop(self, features: Tensor, generator: torch.Generator | None, *, drop_words: bool = False) -> Tensor:
        features = self.dropout(features, generator)
        if drop_words:
            features = self.word_dropout(features, generator)
        dropped: Tensor = self.locked_dropout(features, generator)
        return dropped


def _read_rnn_settings(rnn: object) -> tuple[int, int, str, bool]:
    """Return the size, the number of layers, the type and the direction of a network of torch."""
    if not isinstance(rnn, (nn.LSTM, nn.GRU, nn.RNN)):
        raise SettingError(f"rnn must be an LSTM, GRU or RNN of torch.nn, not a {type(rnn).__name__}")
    return rnn.hidden_size, rnn.num_layers, type(rnn).__name__, rnn.bidirectional
