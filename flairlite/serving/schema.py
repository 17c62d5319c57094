"""Requests and answers of `/tag`: their form, and what is wrong with a request."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

_MAX_PROBLEMS = 3  # of a request that are described
_EXAMPLES: list[Any] = [{"text": "Ada Lovelace lived in London."}, {"sentences": ["It rained.", ["in", "Cork"]]}]


class TagRequest(BaseModel):
    """A text or sentences to label."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": _EXAMPLES})

    text: str | None = Field(None, description="Running text, which is split into sentences and words.")
    sentences: list[str | list[str]] | None = Field(
        None, description="Sentences: texts, which are split into words, or lists of words, which stay as they are."
    )
    model: str | None = Field(None, description="The name of the model, if the server has several.")


class Annotation(BaseModel):
    """A label of a word, of a span or of a whole sentence; that of a sentence has no text and no positions."""

    text: str | None = None
    start: int | None = Field(None, description="The position of the first character in the text of the request.")
    end: int | None = Field(None, description="The position after the last character.")
    label: str
    score: float = Field(description="The probability of the label.")


class LabelledSentence(BaseModel):
    """A sentence with its labels: those of several types are under the names of the types."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, list[Annotation]]

    text: str
    start: int = Field(description="The position of the first character in the text of the request.")
    end: int
    tokens: list[Annotation] | None = None
    spans: list[Annotation] | None = None
    labels: list[Annotation] | None = None


class TagAnswer(BaseModel):
    """The sentences of a request, in their order."""

    model: str
    sentences: list[LabelledSentence]


class ModelDescription(BaseModel):
    """A label type of a model."""

    model: str
    label_type: str
    unit: str = Field(description="What has the labels: word, span or sentence.")
    labels: list[str]


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


def parse_request(body: bytes) -> TagRequest:
    """Return the request in a body.

    Raises:
        HTTPException: 400 if the body is not JSON, 422 if it has another form.
    """
    try:
        request = TagRequest.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        status = 400 if problems[0]["type"] == "json_invalid" else 422
        described = list(dict.fromkeys(map(_describe, problems)))
        raise HTTPException(status, "; ".join(described[:_MAX_PROBLEMS])) from error
    if (request.text is None) == (request.sentences is None):
        raise HTTPException(422, 'give either text or sentences, as {"text": "Ada lived in London."}')
    return request


def _describe(problem: Any) -> str:
    """Return what is wrong; pydantic's words would be long here, or would not say what is expected."""
    name, *rest = map(str, problem["loc"] or ("",))
    if problem["type"] == "extra_forbidden":
        return f"{name!r:.100} is no key of a request, which has text or sentences, and model"
    if name == "sentences" and rest:
        return f"sentences.{rest[0]}: a text or a list of words is expected"
    return f"{name}: {problem['msg']}" if name else str(problem["msg"])
