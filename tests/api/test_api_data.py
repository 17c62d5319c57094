"""Test the rows of flair-calls.md about sentences, tokenizers, corpora and data sets."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from api_rows import assert_missing, row
from sentences import tagged

import flairlite
from flairlite.data import ConcatDataset as JoinedDataset
from flairlite.data import Corpus, DataPoint, Dictionary, FlairDataset, Label, MultiCorpus, Sentence, Span, Token
from flairlite.datasets import (
    SAMPLE_ENGLISH,
    ClassificationCorpus,
    ClassificationDataset,
    ColumnCorpus,
    ColumnDataset,
    CSVClassificationCorpus,
    CSVClassificationDataset,
    DataLoader,
    FlairDatapointDataset,
    JsonlCorpus,
    JsonlDataset,
    MultiFileColumnCorpus,
    MultiFileJsonlCorpus,
    SentenceDataset,
    StringDataset,
    UniversalDependenciesCorpus,
    UniversalDependenciesDataset,
    find_train_dev_test_files,
)
from flairlite.errors import DataUnavailableError, FlairliteError
from flairlite.splitter import (
    NewlineSentenceSplitter,
    NoSentenceSplitter,
    SegtokSentenceSplitter,
    SentenceSplitter,
    SpacySentenceSplitter,
    TagSentenceSplitter,
)
from flairlite.tokenization import (
    JapaneseTokenizer,
    NoTokenizer,
    SegtokTokenizer,
    SpaceTokenizer,
    SpacyTokenizer,
    StaccatoTokenizer,
    Tokenizer,
    TokenizerWrapper,
)

package: Any = flairlite
TEXT = "I love Berlin, and  New York."


@pytest.fixture
def sentence() -> Sentence:
    sentence = Sentence(TEXT)
    sentence[2:3].add_label("ner", "LOC", 0.9)
    sentence[5:7].add_label("ner", "LOC")
    return sentence


# Flairlite


@row("`set_seed`")
def test_set_seed() -> None:
    states = random.getstate(), torch.get_rng_state()
    flairlite.set_seed(7)
    assert flairlite.runtime.get_seed() == 7
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])


@row("`device`, `cache_root`")
def test_device_and_cache_root(tmp_path: Path) -> None:
    package.device = "cpu"
    package.cache_root = tmp_path
    assert package.device == torch.device("cpu")
    assert package.cache_root == tmp_path


# Sentence


@row("`Sentence` of a text")
def test_sentence_of_a_text() -> None:
    assert [token.text for token in Sentence("Don't stop.")] == ["Do", "n't", "stop", "."]
    assert [token.text for token in Sentence("Don't stop.", use_tokenizer=False)] == ["Don't", "stop."]
    assert [token.text for token in Sentence("ab1", use_tokenizer=StaccatoTokenizer())] == ["ab", "1"]
    assert len(Sentence("")) == 0


@row("`Sentence` of words or tokens")
def test_sentence_of_words() -> None:
    assert Sentence(["I", "love", "Berlin"]).text == "I love Berlin"
    assert Sentence([Token("I"), Token("go", whitespace_after=0), Token("!")]).text == "I go!"


@row("`Sentence.tokens`, `.get_token`")
def test_tokens(sentence: Sentence) -> None:
    assert sentence.tokens == list(sentence)
    assert sentence.get_token(1) is sentence[0]
    assert len(sentence) == len(sentence.tokens)
    assert isinstance(sentence[1:3], Span)


@row("`Sentence.text`, `.to_original_text`, `.to_plain_string`, `.to_tokenized_string`")
def test_texts(sentence: Sentence) -> None:
    assert sentence.text == sentence.to_original_text() == TEXT
    assert sentence.to_tokenized_string() == "I love Berlin , and New York ."
    assert sentence.to_plain_string() == TEXT
    text = "a\x92s \u200b b"  # control and zero-width characters
    assert Sentence(text).text == Sentence(text).to_original_text() == text


@row("`Sentence.infer_space_after`")
def test_infer_space_after() -> None:
    words = Sentence(["I", "go", "!"])
    words.infer_space_after()
    assert words.to_plain_string() == words.text == "I go!"
    assert words[2].start_position == 4


@row("`Sentence.to_tagged_string`")
def test_to_tagged_string(sentence: Sentence) -> None:
    assert sentence.to_tagged_string() == (f'Sentence[8]: "{TEXT}" → ["Berlin"/LOC, "New York"/LOC]')


@row("`Sentence.start_position`, `.end_position`")
def test_positions(sentence: Sentence) -> None:
    assert (sentence.start_position, sentence.end_position) == (0, len(TEXT))
    for token in sentence:
        assert TEXT[token.start_position : token.end_position] == token.text
    assert Sentence("b", start_position=5).end_position == 6


@row("`Sentence.get_spans`, `.get_span`")
def test_spans_of_a_sentence(sentence: Sentence) -> None:
    assert [span.text for span in sentence.get_spans("ner")] == ["Berlin", "New York"]
    assert sentence.get_span(5, 7).tag == "LOC"


@row("`Sentence.get_labels`, `.remove_labels`")
def test_labels_of_a_sentence(sentence: Sentence) -> None:
    sentence.add_label("topic", "travel", 0.5)
    assert [label.value for label in sentence.get_labels("topic")] == ["travel"]
    assert len(sentence.get_labels("ner")) == 2
    sentence.remove_labels("ner")
    assert sentence.get_labels("ner") == []


@row("`Sentence.to_dict`, `.from_dict`")
def test_sentence_to_dict_and_back(sentence: Sentence) -> None:
    copy = Sentence.from_dict(sentence.to_dict())
    assert copy.to_dict() == sentence.to_dict()
    assert [span.tag for span in copy.get_spans("ner")] == ["LOC", "LOC"]
    sentence[0].set_label("pos", "PRON")
    assert Sentence.from_dict(json.loads(json.dumps(sentence.to_dict()))).token_labels("pos") == sentence.token_labels(
        "pos"
    )
    assert pickle.loads(pickle.dumps(sentence)).to_dict() == sentence.to_dict()


@row(
    "`Sentence.left_context`, `.right_context`, `.next_sentence`, `.previous_sentence`, `.is_context_set`, "
    "`.copy_context_from_sentence`, `.set_context_for_sentences`"
)
def test_context() -> None:
    sentences = [Sentence(["a", "b"]), Sentence(["c"]), Sentence(["d"])]
    Sentence.set_context_for_sentences(sentences)
    assert sentences[1].is_context_set()
    assert sentences[1].next_sentence() is sentences[2]
    assert sentences[1].previous_sentence() is sentences[0]
    assert [token.text for token in sentences[1].left_context(2)] == ["a", "b"]
    assert [token.text for token in sentences[1].right_context(2)] == ["d"]
    other = Sentence(["x"])
    other.copy_context_from_sentence(sentences[1])
    assert other.next_sentence() is sentences[2]


@row("`Sentence.tokenizer`, `.retokenize`, `.truncate`")
def test_retokenize_and_truncate(sentence: Sentence) -> None:
    sentence.retokenize(SpaceTokenizer())
    assert [token.text for token in sentence] == ["I", "love", "Berlin,", "and", "New", "York."]
    sentence.truncate(2)
    assert (len(sentence), sentence.text) == (2, "I love")
    assert isinstance(Sentence("a", use_tokenizer=SpaceTokenizer()).tokenizer, SpaceTokenizer)


@row("`Sentence.embedding`, `.to`, `.clear_embeddings`")
def test_embeddings_of_a_sentence(sentence: Sentence) -> None:
    sentence.set_embedding("name", torch.ones(3))
    assert sentence.embedding.tolist() == [1, 1, 1]
    sentence.to("cpu")
    sentence.clear_embeddings()
    with pytest.raises(FlairliteError, match="call embed"):  # Flair returns an empty vector
        _ = sentence.embedding


@row("`Sentence.unlabeled_identifier`")
def test_unlabeled_identifier(sentence: Sentence) -> None:
    assert sentence.unlabeled_identifier == f'Sentence[8]: "{TEXT}"'


@row("`Sentence.get_language_code`")
def test_language_code() -> None:
    assert Sentence("a", language_code="de").language_code == "de"
    assert_missing("flairlite.data", "Sentence.get_language_code")


@row("`Sentence.get_relations`")
def test_relations() -> None:
    assert_missing("flairlite.data", "Sentence.get_relations")


# Tokens, spans and labels


@row("`Token`, `.idx`, `.text`, `.start_position`, `.end_position`, `.get_head`, `.unlabeled_identifier`")
def test_token() -> None:
    sentence = Sentence([Token("dogs", head_id=2), Token("bark", head_id=0)])
    token = sentence[0]
    assert (token.idx, token.text, token.start_position, token.end_position) == (1, "dogs", 0, 4)
    assert token.get_head() is sentence[1]
    assert token.unlabeled_identifier == 'Token[0]: "dogs"'


@row("`Token.add_label`, `.set_label`, `.to_dict`, `.embedding`")
def test_labels_of_a_token() -> None:
    token = Sentence(["dogs"])[0]
    token.add_label("pos", "NOUN", 0.5)
    token.set_label("pos", "VERB", 0.25)
    assert [(label.value, label.score) for label in token.get_labels("pos")] == [("VERB", 0.25)]
    assert token.to_dict()["text"] == "dogs"
    token.set_embedding("name", torch.ones(2))
    assert token.embedding.tolist() == [1, 1]


@row("`Token.add_tags_proba_dist`, `.get_tags_proba_dist`")
def test_tags_proba_dist() -> None:
    token = Sentence(["dogs"])[0]
    token.add_tags_proba_dist("pos", [Label(token, "NOUN", 0.75), Label(token, "VERB", 0.25)])
    assert [label.value for label in token.get_tags_proba_dist("pos")] == ["NOUN", "VERB"]


@row("`Span`, `.text`, `.start_position`, `.end_position`, `.unlabeled_identifier`, `.embedding`, `.to_dict`")
def test_span(sentence: Sentence) -> None:
    span = sentence[5:7]
    assert (span.tag, span.start_position, span.end_position) == ("LOC", 20, 28)
    assert span.unlabeled_identifier == 'Span[5:7]: "New York"'
    assert [token.text for token in span] == ["New", "York"]
    assert span.to_dict()["text"] == "New York"
    assert span == sentence.get_span(5, 7)


@row(
    "`Label`, `.value`, `.score`, `.set_value`, `.to_dict`, `.shortstring`, `.metadata_str`, `.labeled_identifier`, "
    "`.unlabeled_identifier`, `.typename`"
)
def test_label(sentence: Sentence) -> None:
    label = sentence.get_labels("ner")[0]
    assert (label.value, label.score, label.typename) == ("LOC", 0.9, "ner")
    assert label.shortstring == '"Berlin"/LOC'
    assert label.unlabeled_identifier == 'Span[2:3]: "Berlin"'
    assert label.labeled_identifier == 'Span[2:3]: "Berlin"/LOC'
    assert label.to_dict()["value"] == "LOC"
    assert label.metadata_str == ""
    label = Label(sentence, "a", 0.5)
    label.set_value("b", 1.0)
    assert (label.value, label.score) == ("b", 1.0)


@row(
    "`DataPoint`, `.add_label`, `.set_label`, `.remove_labels`, `.has_label`, `.get_label`, `.get_labels`, `.labels`, "
    "`.tag`, `.score`"
)
def test_labels_of_data_points(sentence: Sentence) -> None:
    points: list[DataPoint] = [sentence, sentence[0], sentence[0:2]]
    for point in points:
        point.add_label("kind", "a", 0.5)
        point.set_label("kind", "b", 0.25)
        assert point.has_label("kind")
        assert point.get_label("kind").value == "b"
        assert next(label.value for label in point.labels if label.typename == "kind") == "b"
        point.remove_labels("kind")
        assert not point.has_label("kind")
        assert point.get_label("kind").value == "O"
    assert (sentence[2:3].tag, sentence[2:3].score) == ("LOC", 0.9)


@row("`DataPoint.embedding`, `.set_embedding`, `.get_embedding`, `.get_each_embedding`, `.to`, `.clear_embeddings`")
def test_embeddings_of_data_points(sentence: Sentence) -> None:
    for point in (sentence, sentence[0]):
        point.set_embedding("a", torch.ones(1))
        point.set_embedding("b", torch.zeros(1))
        assert point.get_embedding().tolist() == [1, 0]
        assert point.get_embedding(["b"]).tolist() == [0]
        assert len(point.get_each_embedding()) == 2
        point.to("cpu")
        point.clear_embeddings()
        with pytest.raises(FlairliteError, match="call embed"):
            _ = point.embedding


@row("`DataPoint.add_metadata`, `.get_metadata`, `.has_metadata`")
def test_metadata(sentence: Sentence) -> None:
    sentence.add_metadata("from", "a letter")
    assert sentence.has_metadata("from")
    assert sentence.get_metadata("from") == "a letter"


@row("`DataPoint.text`, `.start_position`, `.end_position`, `.unlabeled_identifier`")
def test_data_points_have_text_and_position(sentence: Sentence) -> None:
    for point in (sentence, sentence[2], sentence[2:3]):
        assert TEXT[point.start_position : point.end_position] == point.text
        assert point.text in point.unlabeled_identifier


@row("`Relation`, `DataPair`, `DataTriple`, `Image`, `BoundingBox`, `EntityCandidate`")
def test_other_data_points() -> None:
    names = ("Relation", "DataPair", "DataTriple", "Image", "BoundingBox", "EntityCandidate")
    assert_missing("flairlite.data", *names)


# Dictionaries, corpora


@row(
    "`Dictionary`, `.add_item`, `.get_idx_for_item`, `.get_idx_for_items`, `.get_items`, `.get_item_for_index`, "
    "`.has_item`"
)
def test_dictionary() -> None:
    dictionary = Dictionary(add_unk=True)
    assert dictionary.add_item("NOUN") == 1
    assert dictionary.get_items() == ["<unk>", "NOUN"]
    assert dictionary.get_idx_for_items(["NOUN", "unknown"]) == [1, 0]
    assert dictionary.get_idx_for_item("NOUN") == 1
    assert dictionary.get_item_for_index(1) == "NOUN"
    assert dictionary.has_item("NOUN")
    assert not dictionary.has_item("unknown")
    assert str(dictionary) == "Dictionary with 2 tags: <unk>, NOUN"


@row("`Dictionary.remove_item`, `.set_start_stop_tags`, `.start_stop_tags_are_set`, `.is_span_prediction_problem`")
def test_dictionary_of_span_tags() -> None:
    dictionary = Dictionary.from_items(["a", "b", "B-PER"])
    dictionary.remove_item("a")
    assert dictionary.get_items() == ["b", "B-PER"]
    assert dictionary.is_span_prediction_problem()
    dictionary.set_start_stop_tags()
    assert dictionary.start_stop_tags_are_set()


@row("`Dictionary.load`")
def test_dictionary_load(tmp_path: Path) -> None:
    Dictionary.from_items(["a"]).save(tmp_path / "dictionary")
    assert Dictionary.load(tmp_path / "dictionary").get_items() == ["a"]
    assert Dictionary.load("chars").has_item("ß")


@row("`Dictionary.save`, `.load_from_file`")
def test_dictionary_files(tmp_path: Path) -> None:
    Dictionary.from_items(["<unk>", "NOUN"]).save(tmp_path / "tags")
    assert Dictionary.load_from_file(tmp_path / "tags").get_items() == ["<unk>", "NOUN"]
    assert (tmp_path / "tags").read_text(encoding="utf-8").lstrip()[0] == "{"  # JSON, not a pickle


@row("`Corpus`, `Corpus.train`, `Corpus.dev`, `Corpus.test`")
def test_corpus() -> None:
    corpus = Corpus([Sentence("a b")] * 10, name="example")
    assert str(corpus) == "Corpus: 10 train + 0 dev + 0 test sentences"
    assert corpus.dev is corpus.test is None
    sampled = Corpus([Sentence("a b") for _ in range(10)], sample_missing_splits=True)
    assert [len(part or ()) for part in (sampled.train, sampled.dev, sampled.test)] == [8, 1, 1]


@row("`Corpus.downsample`")
def test_downsample(sample: Corpus) -> None:
    full_length = len(sample.train or ())
    sample.downsample(0.1, downsample_dev=False, random_seed=1)
    assert len(sample.train or ()) == round(full_length * 0.1)


@row("`Corpus.make_label_dictionary`, `.make_tag_dictionary`")
def test_make_label_dictionary() -> None:
    corpus = Corpus([tagged("a/X b/Y c/X")])
    assert corpus.make_label_dictionary("pos").get_items() == ["<unk>", "X", "Y"]
    assert corpus.make_label_dictionary("pos", min_count=2, add_unk=False).get_items() == ["X"]
    with pytest.warns(DeprecationWarning, match="use make_label_dictionary"):
        assert {"X", "Y"} <= set(corpus.make_tag_dictionary("pos").get_items())


@row("`Corpus.make_vocab_dictionary`")
def test_make_vocab_dictionary() -> None:
    words = Corpus([Sentence("a b a")]).make_vocab_dictionary(max_tokens=-1, min_freq=1)
    assert words.get_items() == ["<unk>", "a", "b"]


@row("`Corpus.obtain_statistics`, `.get_label_distribution`")
def test_statistics() -> None:
    corpus = Corpus([tagged("a/X b/Y c/X")])
    assert dict(corpus.get_label_distribution("pos")) == {"X": 2, "Y": 1}
    assert '"total_number_of_documents": 1' in corpus.obtain_statistics("pos")


@row("`Corpus.filter_empty_sentences`, `.filter_long_sentences`, `.get_all_sentences`")
def test_filters() -> None:
    corpus = Corpus([Sentence(""), Sentence("a"), Sentence("a b c d e f")], [Sentence("b")])
    corpus.filter_empty_sentences()
    corpus.filter_long_sentences(max_charlength=5)
    assert [sentence.text for sentence in corpus.get_all_sentences()] == ["a", "b"]


@row("`Corpus.add_label_noise`")
def test_add_label_noise() -> None:
    corpus = Corpus([tagged("a/X b/Y c/X d/Y e/X f/Y")])
    corpus.add_label_noise("pos", ["X", "Y"], noise_share=1.0)
    assert corpus.train
    assert [label.value for label in corpus.train[0].get_labels("pos_clean")] == ["X", "Y"] * 3
    assert [label.value for label in corpus.train[0].get_labels("pos")] != ["X", "Y"] * 3


@row("`Corpus.corpus_tokenizer`")
def test_corpus_tokenizer(tmp_path: Path) -> None:
    write(tmp_path / "train.txt", COLUMNS)
    corpus = ColumnCorpus(
        tmp_path, {0: "text", 1: "ner"}, use_tokenizer=StaccatoTokenizer(), sample_missing_splits=False
    )
    assert isinstance(corpus.corpus_tokenizer, StaccatoTokenizer)


@row("`MultiCorpus`")
def test_multi_corpus() -> None:
    joined = MultiCorpus([Corpus([Sentence("a")], [Sentence("b")]), Corpus([Sentence("c")], [Sentence("d")])])
    assert (len(joined.train or ()), len(joined.dev or ())) == (2, 2)


@row("`FlairDataset`, `.is_in_memory`")
def test_flair_dataset() -> None:
    assert issubclass(FlairDatapointDataset, FlairDataset)
    assert FlairDatapointDataset([Sentence("a")]).is_in_memory()


@row("`ConcatFlairDataset`")
def test_concat_dataset() -> None:
    joined = JoinedDataset([[Sentence("a")], [Sentence("b"), Sentence("c")]])
    assert [sentence.text for sentence in joined] == ["a", "b", "c"]
    assert_missing("flairlite.data", "ConcatFlairDataset")


@row("`randomly_split_into_two_datasets`")
def test_sampled_dev_split() -> None:
    sampled = Corpus([Sentence("a") for _ in range(10)], sample_missing_splits="only_dev", random_seed=1)
    assert (len(sampled.train or ()), len(sampled.dev or ())) == (9, 1)
    assert_missing("flairlite.data", "randomly_split_into_two_datasets")


@row("`get_spans_from_bio`")
def test_spans_from_tags() -> None:
    from flairlite.data import get_spans_from_bio

    tags = ["B-PER", "I-PER", "O"]
    assert get_spans_from_bio(tags, [0.5, 1.0, 1.0]) == [([0, 1], 0.75, "PER")]
    assert tags == ["B-PER", "I-PER", "O"]


# Tokenizers, splitters


@row("`Tokenizer`, `.tokenize`, `.name`, `.to_dict`, `.from_dict`")
def test_tokenizers() -> None:
    class Letters(Tokenizer):
        def tokenize(self, text: str) -> list[str]:
            return list(text)

    assert [token.text for token in Sentence("ab", use_tokenizer=Letters())] == ["a", "b"]
    assert Letters().name == "Letters"
    copy = Tokenizer.from_dict(SpaceTokenizer().to_dict())
    assert isinstance(copy, SpaceTokenizer)


@row("`SegtokTokenizer`, `.tokenize`, `.to_dict`, `.from_dict`")
def test_segtok() -> None:
    tokenizer = SegtokTokenizer(additional_split_characters=["%"])
    assert tokenizer.tokenize("15-year-old (5%).") == ["15-year-old", "(", "5", "%", ")", "."]
    assert SegtokTokenizer.from_dict(tokenizer.to_dict()) == tokenizer


@row(
    "`SpaceTokenizer`, `.tokenize`, `.to_dict`, `.from_dict`, `StaccatoTokenizer`, `.tokenize`, `.to_dict`, "
    "`.from_dict`, `NoTokenizer`, `.tokenize`, `.to_dict`, `.from_dict`"
)
def test_space_staccato_and_no_tokenizer() -> None:
    for kind in (SpaceTokenizer, StaccatoTokenizer, NoTokenizer):
        assert isinstance(kind.from_dict(kind().to_dict()), kind)
    assert SpaceTokenizer().tokenize("a b1") == ["a", "b1"]
    assert StaccatoTokenizer().tokenize("a b1") == ["a", "b", "1"]
    assert NoTokenizer().tokenize("a b1") == ["a b1"]


@row("`SegtokTokenizer.run_tokenize`, `SpaceTokenizer.run_tokenize`")
def test_run_tokenize() -> None:
    assert_missing("flairlite.tokenization", "SegtokTokenizer.run_tokenize", "SpaceTokenizer.run_tokenize")


@row("`TokenizerWrapper`, `.tokenize`, `.name`")
def test_tokenizer_wrapper() -> None:
    wrapped = TokenizerWrapper(str.split)
    assert wrapped.tokenize("a b") == ["a", "b"]
    assert "split" in wrapped.name


@row("`TokenizerWrapper.to_dict`, `.from_dict`")
def test_wrapped_function_cannot_be_saved() -> None:
    with pytest.raises(FlairliteError):
        TokenizerWrapper.from_dict(TokenizerWrapper(str.split).to_dict())


@row(
    "`SpacyTokenizer`, `.tokenize`, `.name`, `.to_dict`, `.from_dict`, `JapaneseTokenizer`, `.tokenize`, `.name`, "
    "`.to_dict`, `.from_dict`"
)
def test_external_tokenizers() -> None:
    class Word:
        def __init__(self, text: str) -> None:
            self.text, self.whitespace_ = text, " "

    class Language:
        meta = {"lang": "xx", "name": "words"}  # noqa: RUF012

        def make_doc(self, text: str) -> list[Word]:
            return [Word(part) for part in text.split()]

    assert SpacyTokenizer(Language()).tokenize("a b") == ["a", "b"]
    with pytest.raises((FlairliteError, ImportError)):
        JapaneseTokenizer("no such tokenizer").tokenize("a")


@row("`SciSpacyTokenizer`")
def test_scispacy() -> None:
    assert_missing("flairlite.tokenization", "SciSpacyTokenizer")


@row("`SentenceSplitter`, `.split`, `.name`, `.tokenizer`")
def test_sentence_splitter() -> None:
    first, second = SegtokSentenceSplitter().split("It rains. We stay.")
    assert (first.text, second.text) == ("It rains.", "We stay.")
    assert second.start_position == 10
    assert first.next_sentence() is second
    assert issubclass(SegtokSentenceSplitter, SentenceSplitter)
    splitter = SegtokSentenceSplitter(tokenizer=SpaceTokenizer())
    assert splitter.name == f"SegtokSentenceSplitter_{splitter.tokenizer.name}"


@row("`SegtokSentenceSplitter`, `.name`, `.tokenizer`")
def test_segtok_splitter() -> None:
    sentences = SegtokSentenceSplitter().split("Dr. Smith came. He left.")
    assert [sentence.text for sentence in sentences] == ["Dr. Smith came.", "He left."]


@row(
    "`TagSentenceSplitter`, `.name`, `.tokenizer`, `NewlineSentenceSplitter`, `.name`, `NoSentenceSplitter`, `.name`, "
    "`.tokenizer`"
)
def test_tag_newline_and_no_splitter() -> None:
    assert [sentence.text for sentence in TagSentenceSplitter("#").split("a b#c")] == ["a b", "c"]
    assert [sentence.text for sentence in NewlineSentenceSplitter().split("a b\nc")] == ["a b", "c"]
    assert [sentence.text for sentence in NoSentenceSplitter().split("a. b.")] == ["a. b."]


@row("`SpacySentenceSplitter`, `.name`, `.tokenizer`")
def test_spacy_splitter() -> None:
    assert issubclass(SpacySentenceSplitter, SentenceSplitter)
    with pytest.raises((FlairliteError, ImportError, OSError)):
        SpacySentenceSplitter("no_such_model")


@row("`SciSpacySentenceSplitter`")
def test_scispacy_splitter() -> None:
    assert_missing("flairlite.splitter", "SciSpacySentenceSplitter")


# Data sets


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


COLUMNS = "George B-PER\nWashington I-PER\nwent O\n\nParis B-LOC\nsleeps O\n"


@row("`ColumnCorpus`, `ColumnDataset`, `.is_in_memory`")
def test_column_corpus(tmp_path: Path) -> None:
    path = write(tmp_path / "train.txt", COLUMNS)
    corpus = ColumnCorpus(tmp_path, {0: "text", 1: "ner"}, sample_missing_splits=False)
    assert corpus.train
    assert [span.text for span in corpus.train[0].get_spans("ner")] == ["George Washington"]
    dataset = ColumnDataset(path, {0: "text", 1: "ner"}, in_memory=False)
    assert not dataset.is_in_memory()
    assert dataset[1].get_spans("ner")[0].tag == "LOC"


@row("`MultiFileColumnCorpus`")
def test_multi_file_column_corpus(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, COLUMNS) for name in ("a.txt", "b.txt")]
    corpus = MultiFileColumnCorpus({0: "text", 1: "ner"}, train_files=paths, sample_missing_splits=False)
    assert len(corpus.train or ()) == 4


JSON_LINE = '{"data": "I love Berlin", "label": [[7, 13, "LOC"]]}\n'


@row("`JsonlCorpus`, `JsonlDataset`, `.is_in_memory`, `MultiFileJsonlCorpus`")
def test_jsonl(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", JSON_LINE * 2)
    corpus = JsonlCorpus(tmp_path, sample_missing_splits=False)
    assert corpus.train
    assert corpus.train[0].get_spans("ner")[0].text == "Berlin"
    assert len(MultiFileJsonlCorpus(train_files=[path, path], sample_missing_splits=False).train or ()) == 4
    assert JsonlDataset(path).is_in_memory()


TEXTS = "__label__good What a day\n__label__bad What a night\n"


@row("`ClassificationCorpus`, `ClassificationDataset`, `.is_in_memory`")
def test_classification_corpus(tmp_path: Path) -> None:
    path = write(tmp_path / "train.txt", TEXTS)
    corpus = ClassificationCorpus(tmp_path, label_type="mood", sample_missing_splits=False)
    assert corpus.train
    assert [sentence.get_label("mood").value for sentence in corpus.train] == ["good", "bad"]
    assert len(ClassificationDataset(path, "mood")) == 2


@row("`CSVClassificationCorpus`, `CSVClassificationDataset`, `.is_in_memory`")
def test_csv_corpus(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", "good,What a day\nbad,What a night\n")
    names = {0: "label", 1: "text"}
    corpus = CSVClassificationCorpus(tmp_path, names, label_type="mood", sample_missing_splits=False)
    assert corpus.train
    assert corpus.train[1].get_label("mood").value == "bad"
    assert CSVClassificationDataset(path, names, "mood").is_in_memory()


@row("`UniversalDependenciesCorpus`, `UniversalDependenciesDataset`, `.is_in_memory`")
def test_universal_dependencies(tmp_path: Path) -> None:
    line = "1\tDogs\tdog\tNOUN\tNNS\tNumber=Plur\t0\troot\t_\tSpaceAfter=No\n\n"
    path = write(tmp_path / "train.conllu", line)
    corpus = UniversalDependenciesCorpus(tmp_path, train_file="train.conllu")
    assert corpus.train
    assert corpus.train[0][0].get_label("upos").value == "NOUN"
    assert not UniversalDependenciesDataset(path, in_memory=False).is_in_memory()


@row("`UD_ENGLISH` and the other `UD_*`")
def test_treebanks() -> None:
    names = [name for name in dir(flairlite.datasets) if name.startswith("UD_")]
    assert {"UD_ENGLISH", "UD_GERMAN", "UD_FRENCH", "UD_BAVARIAN_MAIBAAM"} <= set(names)
    assert len(names) >= 59
    with pytest.raises(DataUnavailableError, match="UD_German"):  # tests are offline
        flairlite.datasets.UD_GERMAN()


@row("`DataLoader`")
def test_data_loader() -> None:
    loader = DataLoader([Sentence(name) for name in "abcde"], batch_size=2)
    assert [[sentence.text for sentence in batch] for batch in loader] == [["a", "b"], ["c", "d"], ["e"]]


@row("`FlairDatapointDataset`, `.is_in_memory`, `SentenceDataset`, `StringDataset`, `.is_in_memory`")
def test_datasets_in_memory() -> None:
    assert len(FlairDatapointDataset([Sentence("a"), Sentence("b")])) == 2
    with pytest.warns(DeprecationWarning, match="FlairDatapointDataset"):
        assert SentenceDataset(Sentence("a"))[0].text == "a"
    assert not StringDataset(["a b"]).is_in_memory()  # sentences are created on access
    assert len(StringDataset(["a b"])[0]) == 2


@row("`find_train_dev_test_files`")
def test_find_files(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        write(tmp_path / f"{name}.txt", COLUMNS)
    dev, test, train = find_train_dev_test_files(tmp_path, None, None, None)
    assert [path.name for path in (dev, test, train) if path] == ["dev.txt", "test.txt", "train.txt"]


@row("`MongoDataset`")
def test_mongo() -> None:
    assert_missing("flairlite.datasets", "MongoDataset")


@row(
    "`WNUT_17`, `NER_ENGLISH_SEC_FILLINGS`, `NER_ENGLISH_WIKIGOLD`, `NER_FINNISH`, `NER_GERMAN_BIOFID`, "
    "`NER_GERMAN_LEGAL`, `NER_TURKU`, `GERMEVAL_2018_OFFENSIVE_LANGUAGE`, `CONLL_03`, `CONLL_03_DUTCH`, "
    "`CONLL_03_GERMAN`, `CONLL_03_SPANISH`"
)
def test_prepared_corpora() -> None:
    with pytest.raises(DataUnavailableError, match=r"wnut17train\.conll is not available"):  # tests are offline
        flairlite.datasets.WNUT_17()
    with pytest.raises(DataUnavailableError, match=r"lacks eng\.train"):
        flairlite.datasets.CONLL_03()


@row(
    "`KEYPHRASE_INSPEC`, `KEYPHRASE_SEMEVAL2010`, `KEYPHRASE_SEMEVAL2017`, `NER_ENGLISH_STACKOVERFLOW`, "
    "`NER_ICDAR_EUROPEANA`, `NER_MASAKHANE`, `MASAKHA_POS`, `NER_GERMAN_GERMEVAL`, `CONLL_2000`"
)
def test_more_prepared_corpora() -> None:
    with pytest.raises(DataUnavailableError, match=r"masakhane-ner/ba5843cd08aa491d5f96a5e809e71eb9ec461391/.*/luo/"):
        flairlite.datasets.NER_MASAKHANE()
    with pytest.raises(DataUnavailableError, match=r"lacks train\.txt, test\.txt: get them from https://www\.clips"):
        flairlite.datasets.CONLL_2000()


@row(
    "`CONLL_*`, `NER_*`, `UP_*`, `KEYPHRASE_*`, `SENTEVAL_*`, `GLUE_*`, `WASSA_*`, `TREC_*`, `ONTONOTES`, "
    "`CLEANCONLL`, `FEWNERD`, `BIOSCOPE`, `AMAZON_REVIEWS`, `IMDB`, `NEWSGROUPS`, `AGNEWS`, "
    "`STACKOVERFLOW`, `SENTIMENT_140`, `GO_EMOTIONS`, `YAHOO_ANSWERS`, `COMMUNICATIVE_FUNCTIONS`"
)
def test_other_data_sets() -> None:
    assert_missing("flairlite.datasets", "UP_GERMAN", "NER_BASQUE", "IMDB", "AGNEWS", "TREC_6")
    assert len(SAMPLE_ENGLISH().train or ()) > 400
    assert flairlite.datasets.SAMPLE_NER().train
