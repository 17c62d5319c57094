"""What the recipe of the bundled taggers takes from elsewhere than the treebank: lexica, and texts without labels.

The lexica are files of two packages: `pip install --no-deps lemminflect==0.2.3 spacy-lookups-data==1.0.5`.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile, is_zipfile

from flairlite.data import Sentence
from flairlite.embeddings import (
    AffixEmbeddings,
    CharacterCNNEmbeddings,
    ClusterEmbeddings,
    LexiconEmbeddings,
    TokenEmbeddings,
    WordShapeEmbeddings,
)

_INSTALL = "pip install --no-deps lemminflect==0.2.3 spacy-lookups-data==1.0.5"
_LONGEST = 60  # words of a sentence; those of speeches in MASC are longer
_SHARED = 8  # words in a row that no text may share with a held-out split


def word_features(*, small: bool = False) -> list[TokenEmbeddings]:
    """Make embeddings of the spelling of words, and of what lexica say of them; small ones make a small model file."""
    if small:
        return [
            CharacterCNNEmbeddings(char_embedding_dim=16, num_filters=24),
            AffixEmbeddings(embedding_length=8, num_embeddings=15_000),
            WordShapeEmbeddings(8, num_embeddings=500),
            LexiconEmbeddings(read_parts_of_speech(), 32, name="parts-of-speech"),
            ClusterEmbeddings(read_clusters(40_000), 8),
        ]
    return [
        CharacterCNNEmbeddings(),
        AffixEmbeddings(),
        WordShapeEmbeddings(),
        LexiconEmbeddings(read_parts_of_speech(), 48, name="parts-of-speech"),
        LexiconEmbeddings(read_log_frequencies(100_000), 24, ("exact", "lower", "title", "upper"), "frequencies"),
        ClusterEmbeddings(read_clusters(100_000)),
    ]


def read_parts_of_speech() -> dict[str, list[str]]:
    """Read the parts of speech of English words: of inflected forms and lemmas (lemminflect), and WordNet's lemmas."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for line in (
        gzip.decompress(package_file("lemminflect", "resources/lemma_lu.csv.gz").read_bytes()).decode().splitlines()
    ):
        word, part, lemmas = line.split(",")
        found[word] |= {f"{part} {'lemma' if lemma == word else 'form'}" for lemma in lemmas.split("/")}
    for part, words in _lookup("en_lemma_index").items():
        for word in words:
            found[word].add(f"wordnet {part}")
    return {word: sorted(tags) for word, tags in found.items() if " " not in word and "_" not in word}


def read_log_frequencies(num_words: int) -> dict[str, float]:
    """Read the logarithms of the relative frequencies of the most frequent words, as they are written."""
    frequencies = _lookup("en_lexeme_prob")
    return {word: frequencies[word] for word in _most_frequent(frequencies, num_words)}


def read_clusters(num_words: int) -> dict[str, str]:
    """Read the Brown clusters of the most frequent words that have one."""
    clusters = _lookup("en_lexeme_cluster")
    words = _most_frequent((word for word, cluster in clusters.items() if cluster), num_words)
    return {word: f"{clusters[word]:020b}"[::-1] for word in words}  # the lowest bit of the number begins the path


def read_masc(path: str | Path, held_out: Iterable[Sentence]) -> list[Sentence]:
    """Read the texts of MASC, without its tags, and without sentences that share eight words in a row with others.

    Args:
        path: `masc_tagged.zip` of the data of NLTK.
        held_out: The sentences of the development and test splits.
    """
    if not is_zipfile(path):
        raise SystemExit(f"{path} is not masc_tagged.zip, the package masc_tagged of the data of NLTK")
    known = {run for sentence in held_out for run in _runs(sentence.words)}
    with ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.count("/") > 1 and name.endswith(".txt"))
        lines = [line.split() for name in names for line in archive.read(name).decode("utf-8", "replace").splitlines()]
    words = [[item.rpartition("_")[0] for item in line if item.find("_") > 0] for line in lines]
    if not any(words):
        raise SystemExit(f"{path} has no words with tags, as the files of masc_tagged.zip have")
    parts = [line[start : start + _LONGEST] for line in words for start in range(0, len(line), _LONGEST)]
    return [Sentence(part) for part in parts if known.isdisjoint(_runs(part))]


def _runs(words: Sequence[str]) -> Iterator[str]:
    """Yield every eight words in a row, and a shorter text of at least five words as a whole, in lower case."""
    lower = [word.lower() for word in words]
    if 5 <= len(lower) < _SHARED:
        yield " ".join(lower)
    for start in range(len(lower) - _SHARED + 1):
        yield " ".join(lower[start : start + _SHARED])


def _most_frequent(words: Iterable[str], count: int) -> list[str]:
    frequencies = _lookup("en_lexeme_prob")
    return sorted(words, key=lambda word: (-frequencies[word], word))[:count]


def _lookup(name: str) -> dict:
    return json.loads(gzip.decompress(package_file("spacy_lookups_data", f"data/{name}.json.gz").read_bytes()))


def package_file(package: str, name: str, command: str = _INSTALL) -> Path:
    """Return the path of a file in an installed package; without the package, end with the command that installs it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"The package {package} is missing: {command}")
    return Path(spec.origin).parent / name
