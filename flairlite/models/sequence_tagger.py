"""A tagger of words: embeddings, a recurrent network, a linear layer and a CRF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor, nn

from flairlite.data import Dictionary, Sentence
from flairlite.datasets import ColumnDataset, JsonlDataset
from flairlite.embeddings import TokenEmbeddings
from flairlite.encoding import Batch
from flairlite.errors import SettingError
from flairlite.models.inputs import to_sentence
from flairlite.models.model import Model
from flairlite.models.n_best import Hypothesis, find_n_best
from flairlite.models.word_decoder import WordDecoder
from flairlite.nn import FeatureDropout, LinearChainCRF, LockedDropout, PaddedRNN, WordDropout, class_loss
from flairlite.runtime import get_device, get_seed, seeded
from flairlite.tasks import Decoded, SpanTask, word_or_span_task


class SequenceTagger(Model):
    """Predicts a label for every word of a sentence, or labels of spans such as named entities.

    The model of Huang, Xu and Yu, Bidirectional LSTM-CRF Models for Sequence Tagging, 2015, as Flair builds it.

    Whether words or spans are labelled, `tag_dictionary.span_labels` says. For spans it predicts tags of words, such as
    `B-PER`, and only sequences of them that are valid are possible: in training, in what it finds and in its scores,
    with a CRF and without one.

    The score of a word's label or tag is its probability, over all (valid) sequences: with a CRF, by forward-backward.
    That of a span is the probability that just these words are a span with this label.

    `tagger.bfloat16()` makes a trained tagger predict in bfloat16, which is faster where the processor knows it.

    Args:
        embeddings: The embeddings of the words.
        tag_dictionary: The labels, as `corpus.make_label_dictionary` makes them.
        tag_type: The label type.
        use_rnn: Put a recurrent network between embeddings and labels.
        rnn: A network of torch's (with `batch_first`) in place of one of its own, so that several models train it. Then
            its settings count.
        rnn_type: LSTM, GRU or RNN.
        tag_format: How spans become tags of words: BIOES, BIO or BILOU.
        hidden_size: Features of the network's state in each direction.
        rnn_layers: Layers of the network.
        bidirectional: Read the sentence from its end too.
        use_crf: Score whole label sequences, not each label alone.
        reproject_embeddings: Pass the embeddings through a linear layer (D, D) first.
        dropout: Part of the single features that training drops before and after the network.
        word_dropout: Part of the words that it drops.
        locked_dropout: Part of the features that it drops for all words of a sentence.
        train_initial_hidden_state: Learn the state of the network before the first word.
        loss_weights: Weight of a label, or of a tag such as `B-PER`, in the loss, 1 for those not named; only without a
            CRF.
        allow_unk_predictions: Learn `<unk>` from all whose label is not in the dictionary, and predict it. Otherwise it
            is never predicted, and they teach nothing.
        seed: Decides the first weights; the process's default seed when None.

    Raises:
        LabelError: when the dictionary has no label, or a weight names one that it has not.
        SettingError: when settings do not go together.
    """

    def __init__(
        self,
        embeddings: TokenEmbeddings,
        tag_dictionary: Dictionary,
        tag_type: str,
        use_rnn: bool = True,
        rnn: nn.LSTM | nn.GRU | nn.RNN | None = None,
        rnn_type: str = "LSTM",
        tag_format: str = "BIOES",
        hidden_size: int = 256,
        rnn_layers: int = 1,
        bidirectional: bool = True,
        use_crf: bool = True,
        reproject_embeddings: bool = True,
        dropout: float = 0.0,
        word_dropout: float = 0.05,
        locked_dropout: float = 0.5,
        train_initial_hidden_state: bool = False,
        loss_weights: dict[str, float] | None = None,
        *,
        allow_unk_predictions: bool = False,
        seed: int | None = None,
    ) -> None:
        if loss_weights and use_crf:
            raise SettingError("loss_weights weigh single labels, but a CRF scores sequences: give use_crf=False too")
        super().__init__(
            embeddings,
            word_or_span_task(tag_dictionary, tag_type, tag_format, with_unknown=allow_unk_predictions),
        )
        self.tag_dictionary, self.tag_format = tag_dictionary, tag_format.upper()
        self.allow_unk_predictions = allow_unk_predictions
        if rnn is not None:
            hidden_size, rnn_layers, rnn_type = rnn.hidden_size, rnn.num_layers, type(rnn).__name__
            bidirectional = rnn.bidirectional
        self.hidden_size, self.rnn_layers, self.rnn_type = hidden_size, rnn_layers, rnn_type
        self.bidirectional, self.loss_weights = bidirectional, dict(loss_weights or {})
        self.dropout = FeatureDropout(dropout)
        self.word_dropout = WordDropout(word_dropout)
        self.locked_dropout = LockedDropout(locked_dropout)
        size = embeddings.embedding_length
        with seeded(get_seed(seed)):
            self.reprojection = nn.Linear(size, size) if reproject_embeddings else None
            self.rnn = (
                PaddedRNN(
                    size,
                    hidden_size,
                    num_layers=rnn_layers,
                    rnn_type=rnn_type,
                    bidirectional=bidirectional,
                    train_initial_state=train_initial_hidden_state,
                    rnn=rnn,
                )
                if use_rnn
                else None
            )
            num_classes = len(self.task.class_names)
            self.linear = nn.Linear(self.rnn.output_size if self.rnn is not None else size, num_classes)
            self.crf = LinearChainCRF(num_classes, transition_mask=self.task.transition_mask()) if use_crf else None
        self.word_decoder = WordDecoder(self.task, use_crf=use_crf)
        self.label_weights: Tensor  # (K,)
        self.register_buffer("label_weights", self.task.class_weights(loss_weights), persistent=False)
        self.to(get_device())

    @property
    def tag_type(self) -> str:
        """The label type."""
        return self.label_type

    @property
    def label_dictionary(self) -> Dictionary:
        """What the model chooses from for each word: the labels, or the tags of spans such as `B-PER`."""
        return Dictionary.from_items(self.task.class_names, add_unk=False)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Compute the emissions (B, T, K): a score of each label at each word."""
        features = self.features(batch).to(self.linear.weight.dtype)  # (B, T, D)
        features = self._dropped(features, generator, drop_words=True)
        if self.reprojection is not None:
            features = self.reprojection(features)
        if self.rnn is not None:
            features = self.rnn(features, batch.lengths)  # (B, T, H)
            features = self._dropped(features, generator)
        # torch's networks write word by word, and in that order nothing is copied
        emissions: Tensor = self.linear(features.transpose(0, 1)).transpose(0, 1)  # (B, T, K)
        return emissions.to(torch.promote_types(emissions.dtype, torch.float32))  # a CRF adds many of them up

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Compute the negative log-likelihood of the labels, summed over the labelled words; a tensor ()."""
        tags = self.targets(batch)
        if self.crf is not None:
            return self.crf(scores, tags, batch.lengths, is_partial=batch.is_partial).sum()  # type: ignore[no-any-return]
        return class_loss(scores, tags, self.label_weights)

    def decode(
        self, scores: Tensor, batch: Batch, *, with_scores: bool = True, with_probabilities: bool = False
    ) -> Decoded:
        """Choose the best label sequence; a score is the probability of the label at its word."""
        return self.word_decoder(  # type: ignore[no-any-return]
            scores, batch.lengths, self.crf, with_scores=with_scores, with_probabilities=with_probabilities
        )

    def read(self, path: str | Path) -> Sequence[Sentence]:
        """Read sentences with labels to compare with.

        Labels of words are read from a CoNLL-U file, those of spans from a file of columns, the word first and its tag
        last, or from one of JSON lines, where the name ends in `.jsonl`.
        """
        if not isinstance(self.task, SpanTask):
            return super().read(path)
        if Path(path).suffix == ".jsonl":
            return JsonlDataset(path, label_type=self.label_type)
        return ColumnDataset(path, {0: "text", -1: self.label_type})

    @overload
    def n_best(  # type: ignore[overload-overlap]  # a text is a sequence of texts too
        self, sentences: Sentence | str, n: int = ..., mini_batch_size: int = ...
    ) -> list[Hypothesis]: ...

    @overload
    def n_best(
        self, sentences: Sequence[Sentence | str], n: int = ..., mini_batch_size: int = ...
    ) -> list[list[Hypothesis]]: ...

    def n_best(
        self, sentences: Sentence | str | Sequence[Sentence | str], n: int = 5, mini_batch_size: int = 64
    ) -> list[Hypothesis] | list[list[Hypothesis]]:
        """Find the n most probable ways to label sentences, the best first; the sentences stay as they are.

        Args:
            sentences: A sentence or a text, or several. A text is split into words.
            n: How many ways. Where there are fewer, as for a short sentence, all are found.
            mini_batch_size: Sentences computed at once.

        Returns:
            The ways of one sentence, or a list of them for each of several: probability, tags and spans.

        Raises:
            SettingError: when n is less than 1.

        Example:
            >>> for way in tagger.n_best("I love Berlin", n=2):  # doctest: +SKIP
            ...     print(way.probability, way.spans)
            0.92 ((2, 3, 'LOC'),)
            0.05 ()
        """
        chain = self.word_decoder.chain(self.crf)
        if chain is None:
            chain = LinearChainCRF(len(self.task.class_names), is_learned=False).to(self.device)
        is_single = isinstance(sentences, (Sentence, str))
        given = [sentences] if isinstance(sentences, (Sentence, str)) else sentences
        listed = [to_sentence(item, self.tokenizer) for item in given]
        found = find_n_best(self, chain, listed, n, mini_batch_size)
        return found[0] if is_single else found

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, besides the embeddings."""
        return {
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

    @classmethod
    def from_settings(cls, settings: dict[str, Any], embeddings: TokenEmbeddings) -> SequenceTagger:
        """Build a tagger from what `settings` returned."""
        rest = {name: value for name, value in settings.items() if name not in ("tag_items", "span_labels")}
        dictionary = Dictionary.from_items(settings["tag_items"])
        dictionary.span_labels = settings.get("span_labels", False)  # older files are of words
        return cls(embeddings, dictionary, **rest)

    def _dropped(self, features: Tensor, generator: torch.Generator | None, *, drop_words: bool = False) -> Tensor:
        features = self.dropout(features, generator)
        if drop_words:
            features = self.word_dropout(features, generator)
        dropped: Tensor = self.locked_dropout(features, generator)
        return dropped
