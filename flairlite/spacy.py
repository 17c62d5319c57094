"""A component of spaCy's pipelines that labels documents with a model.

spaCy finds it by its entry point, so that no import is needed: `nlp.add_pipe("flairlite", config={"model": path})`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flairlite.checks import file_path, flag, shown
from flairlite.data import Sentence
from flairlite.errors import LabelError, MissingExtraError, ModelFileError, SettingError
from flairlite.models import Model
from flairlite.models.serialization import model_from_bytes, model_to_bytes
from flairlite.prediction.sentences import check_count
from flairlite.storage.atomic import atomic_write
from flairlite.tasks import Task

try:
    from spacy.language import Language
    from spacy.parts_of_speech import IDS
    from spacy.pipeline import Pipe
    from spacy.tokens import Doc, Span, Token
    from spacy.util import minibatch
except ImportError as error:
    raise MissingExtraError("flairlite.spacy needs spaCy", extra="spacy") from error

_Part = tuple[list[Token], Sentence]  # a sentence, and the tokens of spaCy that are its words

_MODEL_FILE = "model.pt"
_NONE = "_"  # what treebanks write for no value
_ATTRIBUTES = {  # where labels of words, of spans and of texts can be written, the default first
    "word": ("extension", "pos", "tag", "morph"),
    "span": ("spans", "ents"),
    "whole sentence": ("cats",),
}
_DEFAULTS = {"upos": "pos", "xpos": "tag", "feats": "morph", "ner": "ents"}
_OF_SPACES = {"pos": "SPACE", "tag": "_SP"}  # as spaCy's own pipelines label tokens of white space


class FlairliteComponent(Pipe):  # type: ignore[misc]  # spaCy's class has no types
    """Labels the tokens of spaCy with a model, and writes the labels to attributes of spaCy.

    The label type decides where labels are written, unless `attributes` does: `upos` to `token.pos_`, `xpos` to
    `token.tag_`, `feats` to `token.morph`, `ner` to `doc.ents`. Other labels of words are written to the extension
    attribute `token._.LABEL_TYPE`, other spans to `doc.spans["LABEL_TYPE"]`, and the probabilities of the labels of
    texts to `doc.cats`.

    The model labels each sentence of a document on its own if an earlier component has found sentences, such as
    `sentencizer`; otherwise the document as a whole. Labels of texts are always of whole documents. The words are those
    of spaCy, also if the model has a tokenizer.

    `nlp.to_disk` and `nlp.to_bytes` include the model, so that `spacy.load` does not need the file of `model`.

    Args:
        name: The name of the component.
        model: The path of a model file, which is loaded when it is first needed; None if `from_disk` or `from_bytes`
            will load the model.
        attributes: For single label types, another attribute: `pos`, `tag`, `morph` or `extension` for labels of words,
            `ents` or `spans` for spans, and `cats` for texts.
        overwrite: Whether to replace what earlier components have written to the same attributes; otherwise only tokens
            and categories without a value get one, and entities that overlap earlier ones are left out.
        mini_batch_size: Number of sentences that pass through the network at once.

    Raises:
        SettingError: If an argument has the wrong type.
    """

    def __init__(
        self,
        name: str,
        model: str | Path | None = None,
        *,
        attributes: Mapping[str, str] | None = None,
        overwrite: bool = True,
        mini_batch_size: int = 64,
    ) -> None:
        self.name = name
        self.path = None if model is None else file_path("model", model)
        if not isinstance(attributes, (Mapping, type(None))):
            raise SettingError(f"attributes must map label types to attributes of spaCy; it is {shown(attributes)}")
        self.attributes, self.overwrite = dict(attributes or {}), flag("overwrite", overwrite)
        self.mini_batch_size = check_count("mini_batch_size", mini_batch_size)
        self._model: Model | None = None
        self._tokenizer: Any = None  # of the model, which labels the words of spaCy instead

    def get_model(self) -> Model:
        """Return the model, which the first call loads.

        It is no attribute `model`, because spaCy reads that before `from_disk` to find out what a component is.

        Raises:
            ModelFileError: If there is no model, or its file is missing or damaged.
            SettingError: If `attributes` do not fit the label types of the model.
            LabelError: If a label cannot be a value of its attribute.
        """
        if self._model is None:
            if self.path is None:
                raise ModelFileError(
                    f"the component {self.name!r} has no model: give one, "
                    "nlp.add_pipe('flairlite', config={'model': 'path/of/best-model.pt'})"
                )
            self._take(Model.load(self.path))
        assert self._model is not None
        return self._model

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the model can predict, of all label types; none until it is loaded.

        spaCy reads them before `from_disk`, when the file of `model` may be gone.
        """
        tasks = () if self._model is None else self._model.tasks
        return tuple(dict.fromkeys(label for task in tasks for label in task.label_names))

    def __call__(self, doc: Doc) -> Doc:
        """Label a document."""
        error_handler = self.get_error_handler()
        try:
            self._label([doc])
        except Exception as error:
            error_handler(self.name, self, [doc], error)
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Label a stream of documents, `batch_size` at once."""
        error_handler = self.get_error_handler()
        for docs in minibatch(stream, size=batch_size):
            try:
                self._label(docs)
            except Exception as error:
                error_handler(self.name, self, docs, error)
            else:
                yield from docs

    def to_bytes(self, *, exclude: Sequence[str] = ()) -> bytes:
        """Return the model as bytes."""
        model = self.get_model()
        model.tokenizer = self._tokenizer
        try:
            return model_to_bytes(model)
        finally:
            model.tokenizer = None

    def from_bytes(self, data: bytes, *, exclude: Sequence[str] = ()) -> FlairliteComponent:
        """Load the model that `to_bytes` returned."""
        self._take(model_from_bytes(data))
        return self

    def to_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> None:
        """Write the model into a folder."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / _MODEL_FILE) as file:
            file.write(self.to_bytes())

    def from_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> FlairliteComponent:
        """Load the model that `to_disk` wrote."""
        self._take(Model.load(Path(path) / _MODEL_FILE))
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        options = {"attributes": self.attributes, "overwrite": self.overwrite, "mini_batch_size": self.mini_batch_size}
        content = None if self._model is None else self.to_bytes()
        return _restore, (self.name, self.path, options, content)

    def _take(self, model: Model) -> None:
        """Use a model, if its labels can be written."""
        if unknown := ", ".join(sorted(self.attributes.keys() - set(model.label_types))):
            raise SettingError(
                f"attributes of {self.name!r} name {unknown}, but the model predicts {', '.join(model.label_types)}"
            )
        self._targets = {task.label_type: self._target_of(task) for task in model.tasks}
        for label_type, target in self._targets.items():
            if target == "extension" and not Token.has_extension(label_type):
                Token.set_extension(label_type, default=None)
            elif target == "extension" and _is_computed(*Token.get_extension(label_type)):
                raise SettingError(
                    f"token._.{label_type} is computed by a function, so labels cannot be written to it: remove the "
                    "extension, or write to another attribute"
                )
        self._tokenizer, model.tokenizer = model.tokenizer, None
        self._model = model

    def _target_of(self, task: Task) -> str:
        """Return the attribute for the labels of a task."""
        choices = _ATTRIBUTES[task.unit]
        default = _DEFAULTS.get(task.label_type)
        target = self.attributes.get(task.label_type, default if default in choices else choices[0])
        if target not in choices:
            raise SettingError(
                f"the model labels {task.unit}s with {task.label_type!r}, which can be written to "
                f"{' or '.join(choices)}, not to {target!r}"
            )
        wrong = [label for label in task.label_names if label not in IDS and label != _NONE] if target == "pos" else []
        if wrong:
            raise LabelError(
                f"{wrong[0]!r}, a label of the type {task.label_type!r}, is no universal part of speech, as token.pos_ "
                f"needs. Write to another attribute: config={{'attributes': {{{task.label_type!r}: 'tag'}}, ...}}"
            )
        return target

    def _label(self, docs: Sequence[Doc]) -> None:
        by_doc = [(doc, self._split(doc)) for doc in docs]
        self.get_model().predict(
            [sentence for _, parts in by_doc for _, sentence in parts],
            mini_batch_size=self.mini_batch_size,
            return_probabilities_for_all_classes="cats" in self._targets.values(),
        )
        for doc, parts in by_doc:
            for label_type, target in self._targets.items():
                if target == "cats":
                    labels = [label for _, sentence in parts for label in sentence.get_labels(label_type)]
                    found = {label.value: label.score for label in labels}
                    doc.cats.update(found if self.overwrite else {**found, **doc.cats})
                elif target in _ATTRIBUTES["span"]:
                    self._write_spans(doc, parts, label_type, target)
                else:
                    self._write_tokens(doc, parts, label_type, target)

    def _split(self, doc: Doc) -> list[_Part]:
        """Return the sentences of a document with their tokens, without those of white space."""
        has_sentences = self.get_model().task.by_word and doc.has_annotation("SENT_START")
        found = []
        for part in doc.sents if has_sentences else [doc]:
            tokens = [token for token in part if not token.is_space]
            ends = [token.idx + len(token) for token in tokens]
            starts = [token.idx for token in tokens[1:]] + ends[-1:]
            spaces = [start - end for start, end in zip(starts, ends, strict=True)]
            found.append((tokens, Sentence([token.text for token in tokens], spaces=spaces)))
        Sentence.set_context_for_sentences([sentence for _, sentence in found])  # none of other documents
        return found

    def _write_spans(self, doc: Doc, parts: Sequence[_Part], label_type: str, target: str) -> None:
        found = [
            Span(doc, tokens[start].i, tokens[end - 1].i + 1, label=value)
            for tokens, sentence in parts
            for start, end, value in sentence.span_labels(label_type)
        ]
        if target == "spans":
            if self.overwrite or label_type not in doc.spans:
                doc.spans[label_type] = found
            return
        earlier = [] if self.overwrite else list(doc.ents)
        taken = {index for span in earlier for index in range(span.start, span.end)}
        doc.ents = [*earlier, *(span for span in found if taken.isdisjoint(range(span.start, span.end)))]

    def _write_tokens(self, doc: Doc, parts: Sequence[_Part], label_type: str, target: str) -> None:
        values = {token.i: _OF_SPACES[target] for token in doc if token.is_space} if target in _OF_SPACES else {}
        for tokens, sentence in parts:
            labels = sentence.token_labels(label_type) or [None] * len(tokens)
            values.update({token.i: label for token, label in zip(tokens, labels, strict=True) if label is not None})
        for index, value in values.items():
            token = doc[index]
            if target == "extension":
                if self.overwrite or token._.get(label_type) is None:
                    token._.set(label_type, value)
            elif self.overwrite or not (token.has_morph() if target == "morph" else getattr(token, target)):
                shown = "" if value == _NONE else value
                token.set_morph(shown) if target == "morph" else setattr(token, f"{target}_", shown)


@Language.factory(  # type: ignore[untyped-decorator, unused-ignore]  # spaCy has no types
    "flairlite", default_config={"model": None, "attributes": {}, "overwrite": True, "mini_batch_size": 64}
)
def make_component(
    nlp: Language,
    name: str,
    model: str | None,
    attributes: dict[str, str],
    overwrite: bool,
    mini_batch_size: int,
) -> FlairliteComponent:
    """Make the component for `nlp.add_pipe`; see `FlairliteComponent` for the configuration."""
    return FlairliteComponent(name, model, attributes=attributes, overwrite=overwrite, mini_batch_size=mini_batch_size)


def _is_computed(default: Any, method: Any, getter: Any, setter: Any) -> bool:
    """Return whether an extension of spaCy with these parts cannot be set."""
    return method is not None or (getter is not None and setter is None)


def _restore(name: str, path: Path | None, options: dict[str, Any], content: bytes | None) -> FlairliteComponent:
    component = FlairliteComponent(name, path, **options)
    return component if content is None else component.from_bytes(content)
