"""The splits of a corpus as training uses them: checked and encoded once."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flairlite.data import ConcatDataset, Corpus, Sentence
from flairlite.data.dataset import Subset, is_in_memory
from flairlite.embeddings.oov_report import UnknownWords, find_unknown_words
from flairlite.encoding import Dataset, EncodedDataset, Encoder, LazyDataset, Targets, Variants, count_words, encode
from flairlite.errors import SettingError, TrainingError
from flairlite.models import Model
from flairlite.runtime import get_seed
from flairlite.tasks import Gold, LabelSource, encode_labels, leave_out_parts, make_gold
from flairlite.tasks.checks import LabelCheck
from flairlite.trainers.augmentation import CASES, find_droppable

if TYPE_CHECKING:
    from flairlite.trainers.settings import TrainingSettings

log = logging.getLogger("flairlite")

_CHUNK = 1024  # sentences in memory at once


@dataclass(frozen=True)
class Split:
    """An encoded split.

    Attributes:
        name: train, dev, test or train_sample.
        dataset: Its sentences as integers.
        gold: Their gold labels.
        sha256: The hash of words, gold labels and of the token labels that the embeddings read.
        label_counts: How often each label of the main type occurs.
        unknown_words: The words without a vector, for each embedding that lacks some; empty for storage mode `none`.
        can_drop: (S,) which sentences may lose their last word in training; empty without augmentation.
    """

    name: str
    dataset: Dataset
    gold: Gold
    sha256: str
    label_counts: Mapping[str, int]
    unknown_words: Sequence[UnknownWords] = ()
    can_drop: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.bool))

    @property
    def sentences(self) -> Sequence[Sentence]:
        """The sentences."""
        return self.gold.sentences

    def describe(self) -> dict[str, Any]:
        """Return the numbers of sentences and words, and the hash."""
        return {"sentences": len(self.sentences), "words": int(self.dataset.lengths.sum()), "sha256": self.sha256}

    def count(self) -> dict[str, Any]:
        """Return how often each label occurs, the most frequent first, and how many words have no vector.

        The words themselves are left out: run.json is shared with models, and data may be private.
        """
        unknown = [
            {"embedding": words.embedding, "count": words.count, "distinct": words.distinct, "total": words.total}
            for words in self.unknown_words
        ]
        by_count = sorted(self.label_counts.items(), key=lambda item: -item[1])
        return {"labels": dict(by_count), "unknown_words": unknown}


def encode_split(
    model: Model,
    name: str,
    sentences: Sequence[Sentence] | None,
    storage_mode: str,
    *,
    exclude: Collection[str] = (),
    augment: bool = False,
) -> Split:
    """Check the labels of a split and encode it.

    Each sentence is read once, also if it is not in memory; with several label types of which some are spans, twice.

    Args:
        model: The model.
        name: The name of the split.
        sentences: The sentences.
        storage_mode: `cpu` keeps integers and vectors on the host, `gpu` on the device, and `none` encodes each batch
            when it is needed.
        exclude: Labels that evaluations exclude.
        augment: Whether to encode what `Augmentation` chooses from.

    Raises:
        TrainingError: If the split has no sentence with a word.
        LabelError: If there is nothing to learn, or to compare with; see `LabelCheck`.
    """
    problem = f"the {name} split is empty: give the corpus sentences for it, or None in its place"
    if not sentences:
        raise TrainingError(problem)
    fields, for_training = model.embeddings.fields, name == "train"
    checks = model.label_checks(f"the {name} split", len(sentences), for_training=for_training, exclude=exclude)
    variants = CASES if augment else ()
    context = model.embeddings.context
    if context is not None and is_in_memory(sentences):
        Sentence.set_context_for_sentences(sentences)
    encoder = None if storage_mode == "none" else Encoder(fields, variants, context)
    sources = leave_out_parts(model.label_sources(for_training=for_training), sentences)
    targets, lengths, can_drop, digest = [], [], [], hashlib.sha256()
    for chunk in _read_chunks(sentences):
        for check in checks:
            check.add(chunk)
        sources = [source.extend(chunk) for source in sources]  # labels that only the sentences have come last
        targets.append(encode_labels(sources, chunk))
        lengths.append(count_words(chunk))
        can_drop.append(find_droppable(chunk if augment else ()))
        _update_hash(digest, chunk, fields)
        if encoder is not None:
            encoder.add(chunk)
    if not any(map(torch.any, lengths)):
        raise TrainingError(problem)
    _warn(model, checks, for_training)
    gold = make_gold(sources, sentences, Targets.join(targets))
    details = (gold, _hash_with_labels(digest, gold), checks[0].counts)
    if encoder is None:
        encode_batch = functools.partial(_encode_batch, model, sources, variants)
        lazy = LazyDataset(sentences, encode_batch, torch.cat(lengths))
        return Split(name, lazy, *details, can_drop=torch.cat(can_drop))
    dataset = encoder.encode(model.embeddings.index, gold.targets)
    unknown_words = find_unknown_words(
        model.embeddings, dataset, sentences if is_in_memory(sentences) else [Sentence(encoder.words())]
    )
    for words in unknown_words if for_training else ():
        log.info("%s", words)
    dataset = replace(dataset, subwords=model.embeddings.count_subwords(dataset))
    dataset = replace(dataset, table=model.embeddings.prepare(dataset))
    dataset = replace(dataset, subwords=model.embeddings.count_subwords(dataset))  # none of computed vectors
    if storage_mode == "gpu":
        dataset = dataset.to(model.device)
    return Split(name, dataset, *details, unknown_words, torch.cat(can_drop))


def _encode_batch(
    model: Model, sources: Sequence[LabelSource], variants: Variants, sentences: Sequence[Sentence]
) -> EncodedDataset:
    targets = encode_labels(sources, sentences)
    embeddings = model.embeddings
    return encode(
        sentences,
        embeddings.index,
        targets,
        fields=embeddings.fields,
        variants=variants,
        context=embeddings.context,
    )


def _warn(model: Model, checks: Sequence[LabelCheck], for_training: bool) -> None:
    """Log what checks have found in the labels of a split, and labels that are both read and learned."""
    for message in (message for check in checks for message in check.finish()):
        log.warning("%s", message)
    for label_type in model.label_types if for_training else ():
        if label_type in model.embeddings.fields:
            log.warning(
                "the embeddings read the %r labels that the model predicts: on data with these labels, scores are "
                "meaningless",
                label_type,
            )


def _read_chunks(sentences: Sequence[Sentence]) -> Iterator[list[Sentence]]:
    """Yield the sentences once, all together if they are in memory."""
    size = len(sentences) if is_in_memory(sentences) else _CHUNK
    iterator = iter(sentences)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _update_hash(digest: Any, sentences: Sequence[Sentence], fields: Sequence[str]) -> None:
    """Add the words of sentences, and their labels of some types, to a hash."""
    for sentence in sentences:
        columns = [sentence.words, *(sentence.token_labels(field) or () for field in fields)]
        text = "\x1d".join("\x1f".join(value or "" for value in column) for column in columns)
        digest.update(text.encode("utf-8", "surrogatepass") + b"\x1e")


def _hash_with_labels(words: Any, gold: Gold) -> str:
    """Return the hash of words and gold labels, given the hash of the words."""
    digest = hashlib.sha256("\n".join(gold.labels).encode("utf-8", "surrogatepass"))
    digest.update(words.digest())
    for part in gold.targets.types:
        digest.update((part.class_ids[:-1] if part.by_word else part.class_ids).numpy().tobytes())
        for table in () if part.soft is None else (part.soft.class_ids, part.soft.probabilities):
            digest.update(table.numpy().tobytes())
    for other in filter(None, gold.others):
        digest.update("\n".join(other.labels).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def encode_splits(model: Model, corpus: Corpus, settings: TrainingSettings) -> dict[str, Split]:
    """Encode the training data, `train`, and the data to evaluate: `dev`, `test` and `train_sample`, if there are."""
    trained = [corpus.train or ()]
    parts: dict[str, Sequence[Sentence]] = {}
    for name, is_trained_on in (("dev", settings.train_with_dev), ("test", settings.train_with_test)):
        sentences = getattr(corpus, name)
        if sentences and is_trained_on:
            trained.append(sentences)
        elif sentences:
            parts[name] = sentences
    mode, exclude = settings.embeddings_storage_mode, settings.exclude_labels or ()
    train = trained[0] if len(trained) == 1 else ConcatDataset(trained)  # no list: it may be larger than memory
    splits = {"train": encode_split(model, "train", train, mode, exclude=exclude, augment=settings.augments)}
    if settings.monitor_train_sample:
        lengths = splits["train"].dataset.lengths
        parts["train_sample"] = draw_sample(train, lengths, settings.monitor_train_sample, get_seed(settings.seed))
    return {
        **splits,
        **{name: encode_split(model, name, sentences, mode, exclude=exclude) for name, sentences in parts.items()},
    }


def draw_sample(sentences: Sequence[Sentence], lengths: Iterable[int] | Tensor, amount: float, seed: int) -> Subset:
    """Draw sentences that have words, and return them in their order.

    Args:
        sentences: The sentences to draw from.
        lengths: (S,) words per sentence.
        amount: How many to draw, or which part of them if it is a float; at least one.
        seed: The seed of the draw.

    Raises:
        SettingError: If there are not so many.
    """
    candidates = torch.as_tensor(lengths).nonzero().squeeze(1).tolist()
    size = amount if isinstance(amount, int) else max(1, round(len(candidates) * amount))
    if not 1 <= size <= len(candidates):
        raise SettingError(
            f"monitor_train_sample must be a part from 0 to 1, or a number of sentences up to {len(candidates)}; "
            f"it is {amount}"
        )
    drawn = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(seed))[:size]
    return Subset(sentences, [candidates[index] for index in sorted(drawn.tolist())])
