"""A model with a name: from requests to sentences, and from labels to answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fastapi import HTTPException

from flairlite.data import Sentence
from flairlite.prediction.layers import layers_of, to_json
from flairlite.serving.schema import ModelDescription, TagRequest
from flairlite.serving.settings import ServingSettings
from flairlite.splitter import NoSentenceSplitter, SegtokSentenceSplitter

if TYPE_CHECKING:  # exported models predict without torch
    from flairlite.deploy import ExportedModel
    from flairlite.models import Model


_MAX_CHARACTERS = 10_000  # of a word: networks over characters take a step for each


class ServedModel:
    """A model that answers requests.

    Args:
        name: The name of the model.
        model: The model, or an exported model. It is changed: texts are split here, so its tokenizer is set to None.
        settings: The settings of the server.
    """

    def __init__(self, name: str, model: Model | ExportedModel, settings: ServingSettings) -> None:
        self.name = name
        self._model, self._settings = model, settings
        self._layers = layers_of(model)
        self._tokenizer, model.tokenizer = model.tokenizer, None  # given words stay as they are
        labels_texts = self._layers[0].unit == "sentence"
        self._splitter = (NoSentenceSplitter if labels_texts else SegtokSentenceSplitter)(self._tokenizer)
        self.label([[Sentence(["a", "b"])]])  # the first prediction takes longer, or fails

    def describe(self) -> list[ModelDescription]:
        """Return what the model labels, by label type."""
        return [
            ModelDescription(
                model=self.name, label_type=layer.label_type, unit=layer.unit, labels=[*map(str, layer.label_names)]
            )
            for layer in self._layers
        ]

    def read(self, request: TagRequest) -> list[Sentence]:
        """Return the sentences of a request.

        Raises:
            HTTPException: 413 if there are too many sentences or words, or a word is too long; 422 if there are no
                words.
        """
        limits = self._settings
        if request.sentences is not None and len(request.sentences) > limits.max_sentences:
            raise _too_large(len(request.sentences), "sentences", limits.max_sentences)
        sentences: list[Sentence] = []
        num_words = 0
        for sentence in self._split(request):
            sentences.append(sentence)
            num_words += len(sentence.words)
            if num_words > limits.max_words:
                raise _too_large(f"at least {num_words:,}", "words", limits.max_words)
            if len(sentence.text) > _MAX_CHARACTERS and (longest := max(map(len, sentence.words))) > _MAX_CHARACTERS:
                raise _too_large(f"a word of {longest:,}", "characters", _MAX_CHARACTERS)
        if not num_words:
            raise HTTPException(422, "there is no text to label: give text or sentences with at least one word")
        return sentences

    def label(self, requests: Sequence[Sequence[Sentence]]) -> list[bytes]:
        """Label the sentences of several requests together, and return each answer as JSON.

        Raises:
            FlairliteError: If the model fails.
        """
        joined = [sentence for sentences in requests for sentence in sentences]
        for _ in self._model.predict_stream(joined, self._settings.batch_size):
            pass
        return [self._answer(sentences) for sentences in requests]

    def _split(self, request: TagRequest) -> Iterator[Sentence]:
        if request.text is not None:
            sentences = self._splitter.split(request.text, link_sentences=False)
            if len(sentences) > self._settings.max_sentences:
                raise _too_large(len(sentences), "sentences", self._settings.max_sentences)
            yield from sentences
        for item in request.sentences or ():
            yield Sentence(item, use_tokenizer=True if self._tokenizer is None else self._tokenizer)

    def _answer(self, sentences: Sequence[Sentence]) -> bytes:
        rows = [
            {
                "text": sentence.text,
                "start": sentence.start_position,
                "end": sentence.start_position + len(sentence.text),
                **to_json(sentence, self._layers, sentence.start_position),
            }
            for sentence in sentences
        ]
        return json.dumps({"model": self.name, "sentences": rows}, ensure_ascii=False).encode()


def _too_large(found: int | str, what: str, limit: int) -> HTTPException:
    count = f"{found:,}" if isinstance(found, int) else found
    return HTTPException(413, f"the request has {count} {what}, but at most {limit:,} are allowed: split it")
