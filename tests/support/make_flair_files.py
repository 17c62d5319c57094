"""Write the files in `tests/data/flair` with Flair 0.15.1: small models, and what Flair itself predicts with them.

Run it in an environment with Flair, which flairlite and its tests do not need:

    python tests/support/make_flair_files.py tests/data/flair

Each model is a file of Flair with a JSON file beside it: the sentences, the labels and scores of Flair, and for taggers
the emissions and, with a CRF, the transitions that the scores of flairlite follow from.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flair
import torch
from flair.data import Corpus, Dictionary, Label, Sentence, Token
from flair.datasets import FlairDatapointDataset
from flair.embeddings import (
    CharacterEmbeddings,
    DocumentCNNEmbeddings,
    DocumentPoolEmbeddings,
    DocumentRNNEmbeddings,
    FlairEmbeddings,
    HashEmbeddings,
    OneHotEmbeddings,
    PooledFlairEmbeddings,
    StackedEmbeddings,
    TransformerDocumentEmbeddings,
    TransformerWordEmbeddings,
    WordEmbeddings,
)
from flair.models import LanguageModel, SequenceTagger, TextClassifier, TokenClassifier
from flair.trainers import ModelTrainer
from transformers import BertConfig, BertModel, BertTokenizerFast

TEXTS = [  # no word occurs twice in a sentence: Flair gives repeated words the characters of others
    "The dog sleeps in Berlin .",
    "Anna Smith sees 25 cats , and Bob",
    "a",
    "In 1999 the zebra visited New York City yesterday !",
    "été 中文 😀 ok",
    "THE Dog Sleeps",
    "unheard-of words such as qwxyz are here",
    "New York",
    "Bob sees Anna in the city of Berlin",
]
BATCHES = [  # of sentences that are embedded one batch after the other; words recur within and across sentences
    ["Anna sees Anna and the dog sees Bob", "the dog sees the cat"],
    ["Bob sees the city of New York", "New York New York", "a"],
    ["the city of Berlin , Bob and Anna"],
]
VOCABULARY = ["the", "dog", "sleeps", "in", "berlin", ".", "Anna", "sees", "##", "cats", "0000", "york", "city", "été"]
TAGS = ["NOUN", "VERB", "PROPN", "X"]
SPAN_LABELS = ["PER", "LOC"]
TOPICS = ["animals", "travel", "O"]


def words(*, seed: int = 1, **options: Any) -> WordEmbeddings:
    vocabulary = {word: index for index, word in enumerate(VOCABULARY)}
    embedding = WordEmbeddings(None, vocab=vocabulary, embedding_length=5, name="tiny", **options)
    table = torch.randn(len(vocabulary) + 1, 5, generator=torch.Generator().manual_seed(seed))
    if not options.get("fine_tune"):
        table[-1] = 0
    embedding.embedding.weight.data.copy_(table)
    return embedding


def characters() -> CharacterEmbeddings:
    return CharacterEmbeddings(dictionary("abcdefghinorstyABNS", add_unk=True), 3, 4)


def dictionary(items: Any, *, add_unk: bool = False, spans: bool = False, multi_label: bool = False) -> Dictionary:
    made = Dictionary(add_unk=add_unk)
    for item in items:
        made.add_item(item)
    made.span_labels, made.multi_label = spans, multi_label
    return made


def sentences() -> list[Sentence]:
    return [Sentence(text.split(" ")) for text in TEXTS]


def labelled(kind: str) -> list[Sentence]:
    """Return the sentences with labels that depend on the position, so that something can be learned."""
    made = sentences()
    for number, sentence in enumerate(made):
        if kind == "words":
            for index, token in enumerate(sentence):
                token.add_label("tag", TAGS[(index + len(token.text)) % len(TAGS)])
        elif kind == "spans":
            for begin in range(number % 2, len(sentence), 4):
                sentence[begin : begin + 1 + begin % 3].add_label("tag", SPAN_LABELS[begin % 2])
        else:
            sentence.add_label("tag", TOPICS[number % 2])
    return made


def train(model: Any, kind: str, steps: int = 40) -> Any:
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=0.05)
    data = labelled(kind)
    for _ in range(steps):
        for sentence in data:  # in evaluation mode: dropout would make the models predict less
            sentence.clear_embeddings()
        loss, count = model.forward_loss(data)
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    return model.eval()


def train_with_trainer(model: SequenceTagger) -> SequenceTagger:
    """Train as users do, which adds a model card to the file."""
    data = FlairDatapointDataset(labelled("words"))
    with tempfile.TemporaryDirectory() as folder:
        ModelTrainer(model, Corpus(data, data, data)).train(folder, max_epochs=3, mini_batch_size=4)
        model = SequenceTagger.load(Path(folder, "final-model.pt"))
    model.model_card["training_parameters"] |= {"base_path": "model", "plugins": []}  # without the temporary folder
    return model


def make_models() -> Iterator[tuple[str, Any]]:
    """Yield the models with the names of their files."""
    spans, tags = dictionary(SPAN_LABELS, spans=True), dictionary(TAGS)
    stack = StackedEmbeddings([words(), characters()])
    yield "words-crf", train_with_trainer(SequenceTagger(stack, dictionary(TAGS, add_unk=True), "tag", hidden_size=8))
    stack = StackedEmbeddings(
        [OneHotEmbeddings(dictionary(VOCABULARY, add_unk=True), embedding_length=4, stable=True), HashEmbeddings(20, 4)]
    )
    options: dict[str, Any] = {"use_crf": False, "use_rnn": False, "loss_weights": {"NOUN": 2.0, "none": 3.0}}
    yield "words-softmax", train(SequenceTagger(stack, tags, "tag", reproject_embeddings=False, **options), "words")
    tagger = SequenceTagger(
        words(), spans, "tag", hidden_size=6, rnn_type="GRU", rnn_layers=2, train_initial_hidden_state=True
    )
    yield "spans-crf", train(tagger, "spans")
    tagger = SequenceTagger(
        words(fine_tune=True, stable=True), spans, "tag", tag_format="BIO", use_crf=False, hidden_size=6, dropout=0.1
    )
    yield "spans-bio", train(tagger, "spans", steps=80)
    one_way = SequenceTagger(words(), dictionary(TAGS), "tag", hidden_size=6, rnn_type="RNN", bidirectional=False)
    yield "words-one-way", train(one_way, "words")
    yield (
        "token-words",
        train(TokenClassifier(words(), dictionary(TAGS, add_unk=True), "tag", word_dropout=0.1), "words"),
    )
    yield "token-spans", train(TokenClassifier(words(), spans, "tag"), "spans")
    pool = DocumentPoolEmbeddings([words(), characters()], fine_tune_mode="nonlinear", pooling="max")
    topics = dictionary(TOPICS[:2], add_unk=True)
    yield "text-pool", train(TextClassifier(pool, label_type="tag", label_dictionary=topics), "texts")
    rnn = DocumentRNNEmbeddings(
        [words()], hidden_size=5, bidirectional=True, rnn_type="LSTM", reproject_words_dimension=4
    )
    classifier = TextClassifier(
        rnn,
        label_type="tag",
        label_dictionary=dictionary(TOPICS[:2], multi_label=True),
        multi_label=True,
        multi_label_threshold={"default": 0.5, "travel": 0.45},
    )
    yield "text-rnn-multi", train(classifier, "texts")
    cnn = DocumentCNNEmbeddings([words()], kernels=((3, 2), (4, 5)), reproject_words_dimension=6)
    yield "text-cnn", train(TextClassifier(cnn, label_type="tag", label_dictionary=dictionary(TOPICS[:2])), "texts")
    gru = DocumentRNNEmbeddings([words()], hidden_size=5, reproject_words=False, dropout=0.2, locked_dropout=0.0)
    yield "text-gru", train(TextClassifier(gru, label_type="tag", label_dictionary=dictionary(TOPICS[:2])), "texts")


def make_language_models() -> Iterator[tuple[str, LanguageModel]]:
    """Yield language models with the names of their files; their weights are random."""
    characters = dictionary("\n abcdefghilnorstuwyABNTS.,0123456789", add_unk=True)
    for name, options in {
        "lm-forward": {"is_forward_lm": True, "nlayers": 1},
        "lm-backward": {"is_forward_lm": False, "nlayers": 2, "nout": 4},
        "lm-gru": {"is_forward_lm": False, "nlayers": 1, "recurrent_type": "GRU", "document_delimiter": "ab"},
    }.items():
        model = LanguageModel(characters, hidden_size=6, embedding_size=5, **options)
        model.encoder.weight.data.normal_()  # Flair begins with numbers near 0, whose states hardly differ
        yield name, model


def embed(folder: Path, name: str) -> dict[str, Any]:
    """Return the vectors of the words of all sentences, with some settings of `FlairEmbeddings`."""
    vectors = {}
    for setting, options in {
        "default": {},
        "chunks": {"chars_per_chunk": 7},
        "without whitespace": {"with_whitespace": False},
        "lower": {"is_lower": True},
    }.items():
        embedding, data = FlairEmbeddings(str(folder / f"{name}.pt"), **options), sentences()
        embedding.embed(data)
        vectors[setting] = [[token.embedding.tolist() for token in sentence] for sentence in data]
    return vectors


def embed_pooled(folder: Path) -> dict[str, Any]:
    """Return the vectors of words that `PooledFlairEmbeddings` have for batches, before and after `train()`."""
    found = {}
    for pooling in ("min", "max", "mean", "fade"):
        for only_capitalized in (False, True):
            embedding = PooledFlairEmbeddings(str(folder / "lm-forward.pt"), pooling, only_capitalized)
            batches = []
            for is_training in (False, True):
                if is_training:
                    embedding.train()
                for texts in BATCHES:
                    data = [Sentence(text.split(" ")) for text in texts]
                    embedding.embed(data)
                    batches.append([[round_all(token.embedding) for token in sentence] for sentence in data])
            found[f"{pooling} {only_capitalized}"] = batches
    return found


def round_all(vector: torch.Tensor) -> list[float]:
    return [round(value, 7) for value in vector.tolist()]


def make_pooled(folder: Path) -> None:
    """Write what `PooledFlairEmbeddings` compute, and a tagger over them with what it predicts after loading."""
    embedding = PooledFlairEmbeddings(str(folder / "lm-backward.pt"), "mean")
    embedding.context_embeddings.name = "lm"  # not the folder
    embedding.name = "lm-context"
    tagger = train(SequenceTagger(embedding, dictionary(TAGS), "tag", hidden_size=8), "words")
    tagger.save(folder / "pooled.pt")
    tagger, data = SequenceTagger.load(folder / "pooled.pt"), sentences()
    tagger.predict(data, mini_batch_size=len(data))  # all at once: the memory is that of the batch
    content = {
        "sentences": [text.split(" ") for text in TEXTS],
        "predicted": [[describe(label) for label in sentence.get_labels("tag")] for sentence in data],
        "batches": [[text.split(" ") for text in texts] for texts in BATCHES],
        "vectors": embed_pooled(folder),
    }
    (folder / "pooled.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def transformer(kind: Any, folder: Path, **options: Any) -> Any:
    """Return an embedding of a small BERT with random weights."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "dog", "sl", "##ee", "##ps", "in", "bob", "."]
    (folder / "vocab.txt").write_text("\n".join([*vocabulary, *"abcdefghinorstuvwy"]), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertModel(BertConfig(vocab_size=31, max_position_embeddings=40, **sizes))
    for weight in model.parameters():  # larger than at the start of training, so that vectors differ more
        torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    embedding = kind(str(folder), name="bert", **options)
    embedding.base_model_name = embedding.model.config._name_or_path = "bert"  # not the temporary folder
    return embedding


def make_transformers(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield models over transformers."""
    options: dict[str, Any] = {"layers": "-1,-2", "subtoken_pooling": "first_last", "use_context": 4}
    embedding = transformer(TransformerWordEmbeddings, folder, layer_mean=False, **options)
    plain: dict[str, Any] = {"use_crf": False, "use_rnn": False, "reproject_embeddings": False}
    yield "words-bert", SequenceTagger(embedding, dictionary(TAGS), "tag", **plain).eval()
    embedding = transformer(TransformerDocumentEmbeddings, folder, cls_pooling="mean")
    classifier = TextClassifier(embedding, label_type="tag", label_dictionary=dictionary([*TAGS, *TOPICS[:2]]))
    classifier.decoder.weight.data.normal_()  # so that texts have different labels
    yield "text-bert", classifier.eval()


def predict(model: Any) -> dict[str, Any]:
    """Return what Flair predicts, and what it computes for that, sentence by sentence."""
    predicted: list[Any] = []
    emissions: list[Any] = []
    for sentence in sentences():
        model.predict(sentence)
        predicted.append([describe(label) for label in sentence.get_labels("tag")])
        sentence.clear_embeddings()
        if not isinstance(model, TextClassifier):
            emissions.append(compute_emissions(model, sentence))
    content = {"flair": flair.__version__, "class": type(model).__name__, "predicted": predicted}
    if emissions:
        content |= {"tags": model.label_dictionary.get_items(), "emissions": emissions}
    if isinstance(model, SequenceTagger) and model.use_crf:
        content["transitions"] = model.crf.transitions.tolist()
    return content


def describe(label: Label) -> tuple[int, int, str, float]:
    """Return the first and the last position of the words of a label, from 0, its value and its score."""
    point = label.data_point
    tokens = [point] if isinstance(point, Token) else list(point)
    return tokens[0].idx - 1, tokens[-1].idx - 1, label.value, label.score


def compute_emissions(model: SequenceTagger | TokenClassifier, sentence: Sentence) -> list[list[float]]:
    """Return the score of each tag at each word."""
    with torch.no_grad():
        if isinstance(model, TokenClassifier):
            scores = model.decoder(model._encode_data_points([sentence], sentence.tokens))
        else:
            scores = model(*model._prepare_tensors([sentence]))
            if model.use_crf:  # Flair adds the transitions to the emissions
                scores = (scores[0] - model.crf.transitions)[0, :, :, 0]
        sentence.clear_embeddings()
        return scores.tolist()


def main(folder: Path) -> None:
    flair.set_seed(1)
    flair.device = torch.device("cpu")
    folder.mkdir(parents=True, exist_ok=True)
    for name, language_model in make_language_models():
        language_model.eval().save(folder / f"{name}.pt")
        vectors = {
            setting: [[[round(x, 7) for x in word] for word in sentence] for sentence in found]
            for setting, found in embed(folder, name).items()
        }
        content = {"sentences": [text.split(" ") for text in TEXTS], "vectors": vectors}
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    parts = [words(), *(FlairEmbeddings(str(folder / f"lm-{kind}.pt")) for kind in ("forward", "backward"))]
    tagger = train(SequenceTagger(StackedEmbeddings(parts), dictionary(TAGS), "tag", hidden_size=8), "words")
    temporary = tempfile.TemporaryDirectory()
    for name, model in (*make_models(), ("words-flair", tagger), *make_transformers(Path(temporary.name))):
        model.save(folder / f"{name}.pt")
        content = {"sentences": [text.split(" ") for text in TEXTS], **predict(model)}
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        flair.set_seed(1)  # so that no model depends on those before it
    make_pooled(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
