from __future__ import annotations

import copy
import importlib.util
import itertools
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flairlite.errors import FlairliteError, SettingError
from flairlite.tokenization import (
    JapaneseTokenizer,
    NoTokenizer,
    RegexTokenizer,
    SegtokTokenizer,
    SpaceTokenizer,
    SpacyTokenizer,
    StaccatoTokenizer,
    SyntokTokenizer,
    Tokenizer,
    TokenizerWrapper,
    default_tokenizer,
)
from flairlite.tokenization.base import align
from flairlite.tokenization.rules import KEEP_WHOLE

# What the rules look at, close together, and what text libraries trip over: other spaces, joiners, marks, emoji.
TRICKY = st.text(
    alphabet=".!?,;:'’-_@/\"$()*=~aAbBtnsé1 \t\n\r\x00\x1c\x1f\x85\xa0\u200b\u200d\u2028\u3000\ufeff\xad\u0301😀я語"
)
TEXTS = st.text() | TRICKY


def without_space(text: str) -> str:
    return "".join(character for character in text if not character.isspace())


# ------------------------------------------------------------------------------------------ default tokenizer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The grass is green.", "The grass is green ."),
        ("I don't, you can't; they're John's", "I do n't , you ca n't ; they 're John 's"),
        ("I don't.", "I do n't ."),
        ("He isn’t. 'U.S.'", "He is n’t . ' U.S. '"),
        ("I don’t", "I do n’t"),
        ("a 15-year low-end well_known plan", "a 15 - year low - end well _ known plan"),
        ('He said: "Yes, (no)?"', 'He said : " Yes , ( no ) ? "'),
        ("Mr. Lee, Ph. of U.S. Corp. at 5 a.m.", "Mr. Lee , Ph . of U.S. Corp. at 5 a.m."),
        ("John M. Smith (J.R.)", "John M. Smith ( J.R. )"),
        ("an iPhone of McDonald's", "an iPhone of McDonald 's"),
        ("see http://a.org/b-c_d?e=f, (www.b.de/)", "see http://a.org/b-c_d?e=f , ( www.b.de/ )"),
        ("<first.last-x@mail.example.org>", "< first.last-x@mail.example.org >"),
        ("What?! No!!! so.... yes--no ***", "What ? ! No !!! so .... yes -- no ***"),
        ("It cost $3,000.50 (5%) at 12:30", "It cost $ 3,000.50 ( 5 % ) at 12:30"),
    ],
)
def test_english_is_split_as_the_treebank_splits_it(text: str, expected: str) -> None:
    assert default_tokenizer().tokenize(text) == expected.split(" ")


@pytest.mark.parametrize("text", ["", " ", "\t\n \u3000"])
def test_text_without_words_has_no_tokens(text: str) -> None:
    assert default_tokenizer().tokenize(text) == []


@given(TEXTS)
@example("a\u200bb")
@example("\u200b")
@example("OʼHaraʼs and John Oʼneill’s site")  # segtok doubles words of these
@example("yes- \nno")  # libraries join hyphenated line breaks
@example("&lt; &amp;")
@example("can not ＂ ｗｉｄｅ 👩‍👩‍👧")
def test_no_character_but_white_space_is_lost(text: str) -> None:
    words = default_tokenizer().tokenize(text)
    assert "".join(words) == without_space(text)
    assert all(word and not any(map(str.isspace, word)) for word in words)


@given(TEXTS)
def test_every_token_is_found_at_its_place(text: str) -> None:
    words = default_tokenizer().tokenize(text)
    starts = align(text, words)
    assert [text[start : start + len(word)] for start, word in zip(starts, words, strict=True)] == words
    ends = [0, *(start + len(word) for start, word in zip(starts, words, strict=True)), len(text)]
    assert all(without_space(text[end:start]) == "" for end, start in zip(ends, [*starts, len(text)], strict=False))


@given(st.lists(TEXTS, max_size=4))
def test_a_text_is_split_as_its_parts_are(parts: list[str]) -> None:
    apart = [word for part in parts for word in default_tokenizer().tokenize(part)]
    assert default_tokenizer().tokenize("\n".join(parts)) == apart


@given(TRICKY)
def test_without_kept_stretches_the_tokens_are_those_of_syntok(text: str) -> None:
    from syntok.tokenizer import Tokenizer as Syntok

    text = "".join(character for character in text if character not in "\u200b\x1c\x1f")  # spaces to one of the two
    tokens = Syntok(emit_hyphen_or_underscore_sep=True, replace_not_contraction=False).split(text)
    expected = [token.value for token in tokens if token.value]
    assert SyntokTokenizer(keep=None).tokenize(text) == expected


@given(TRICKY)
def test_a_second_time_and_a_long_stretch_change_nothing(text: str) -> None:
    tokenizer = SyntokTokenizer()
    assert tokenizer.tokenize(text) == tokenizer.tokenize(text)
    padded = "x" * 100 + "," + without_space(text)  # too long to be remembered
    assert "".join(tokenizer.tokenize(padded)) == padded


def test_a_pattern_of_ones_own_is_kept_whole() -> None:
    text = "the IL-2 gene, IL-2-like, Mr. X"
    assert SyntokTokenizer(keep=r"IL-\d").tokenize(text) == [
        *("the", "IL-2", "gene", ",", "IL-2", "-", "like", ",", "Mr", ".", "X")
    ]


def test_the_results_of_two_patterns_do_not_mix() -> None:
    kept, split = SyntokTokenizer(), SyntokTokenizer(keep=None)
    assert [kept.tokenize("Mr."), split.tokenize("Mr."), kept.tokenize("Mr.")] == [["Mr."], ["Mr", "."], ["Mr."]]


def test_a_caller_cannot_spoil_what_is_remembered() -> None:
    default_tokenizer().tokenize("don't").clear()
    assert default_tokenizer().tokenize("don't") == ["do", "n't"]


@pytest.mark.parametrize(
    "config",
    [
        SyntokTokenizer().to_dict() | {"keep": "(("},
        RegexTokenizer("a").to_dict() | {"pattern": "[a"},
        RegexTokenizer("a").to_dict() | {"pattern": None},
    ],
)
def test_a_faulty_pattern_is_reported_when_the_tokenizer_is_built(config: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="expected a regular expression, got"):
        Tokenizer.from_dict(config)


def test_the_default_is_one_shared_tokenizer() -> None:
    assert default_tokenizer() is default_tokenizer()


def test_importing_loads_no_tokenizer_library() -> None:
    code = "import sys, flairlite.tokenization; print([n for n in ('syntok', 'regex', 'spacy') if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def count_calls(function: Callable[[str], Any], text: str) -> int:
    """Return the number of calls, of Python and of C functions, that `function(text)` makes."""
    calls = itertools.count()
    sys.setprofile(lambda *_: next(calls))  # type: ignore[misc,arg-type]
    try:
        function(text)
    finally:
        sys.setprofile(None)
    return next(calls)


WORD_LISTS = ["the cat's mat, don't. ", "http://a.b/c me@a.org U.S. Mr. X!! "]
UNBROKEN = [
    "a",
    "aA",
    "a-",
    "a'",
    "a,",
    "a.",
    "a@",
    "www.",
    "http:",
    'www."',
    "a.b@c",
    "Mr.",
    "--",
    "(",
    "é\u0301",
    "\u200b",
]


@pytest.mark.parametrize("pattern", WORD_LISTS + UNBROKEN)
def test_number_of_calls_is_linear_in_the_length_of_the_text(pattern: str) -> None:
    """`benchmarks/linear_time.py` measures the time, which depends on regular expressions too."""
    tokenizer = SyntokTokenizer()
    texts = [pattern * (size // len(pattern)) + "ab" for size in (1_000, 8_000)]
    tokenizer.tokenize(pattern)
    few, many = (count_calls(lambda text: align(text, tokenizer.tokenize(text)), text) for text in texts)
    assert many <= 8.5 * few + 100


@pytest.mark.parametrize("pattern", WORD_LISTS + UNBROKEN)
def test_long_texts_are_split_without_loss(pattern: str) -> None:
    text = pattern * (12_500 // len(pattern)) + "ab"
    assert "".join(SyntokTokenizer().tokenize(text)) == "".join(text.split())


# -------------------------------------------------------------------------------------------------------- align


@given(st.lists(st.tuples(st.text(alphabet=" \t\n\u3000", max_size=3), st.text(min_size=1))))
def test_words_are_found_from_left_to_right(pieces: list[tuple[str, str]]) -> None:
    text = "".join(space + word for space, word in pieces)
    words = [word for _, word in pieces]
    starts = align(text, words)
    end = 0
    for start, word in zip(starts, words, strict=True):
        # the oracle tries each offset
        assert start == next(i for i in range(end, len(text)) if text[i : i + len(word)] == word)
        end = start + len(word)


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("", [], []),
        ("no words", [], []),
        ("a a  a", ["a", "a", "a"], [0, 2, 5]),
        ("don't", ["do", "n't"], [0, 2]),
        ("👩‍👧 ok", ["👩‍👧", "ok"], [0, 4]),
        ("e\u0301e\u0301", ["e\u0301", "e\u0301"], [0, 2]),
        ("a\u200bb\x00c", ["a", "\u200b", "b", "\x00", "c"], [0, 1, 2, 3, 4]),
        ("drop, the comma", ["drop", "the", "comma"], [0, 6, 10]),
    ],
)
def test_offsets_of_known_words(text: str, words: list[str], expected: list[int]) -> None:
    assert align(text, words) == expected


@pytest.mark.parametrize(
    ("text", "words", "number", "place"),
    [
        ('say "hi"', ["say", "``", "hi"], 2, 3),  # NLTK's quotes
        ("I don't", ["I", "do", "not"], 3, 4),  # syntok's n't
        ("one two", ["two", "one"], 2, 7),
        ("short", ["short", "short"], 2, 5),
        ("a b", ["a", ""], 2, 1),
        ("", ["a"], 1, 0),
    ],
)
def test_a_rewritten_word_is_an_error_that_names_it(text: str, words: list[str], number: int, place: int) -> None:
    with pytest.raises(FlairliteError) as caught:
        align(text, words, tokenizer="MyTokenizer")
    message = str(caught.value)
    assert message.startswith(f"MyTokenizer gave {words[number - 1]!r} as word {number}, ")
    assert f"from character {place} on" in message


# ----------------------------------------------------------------------------------------------- other tokenizers


def flair_space_split(text: str) -> list[str]:
    """Split character by character at U+0020, the slow plain way."""
    words = [""]
    for character in text:
        if character == " ":
            words.append("")
        else:
            words[-1] += character
    return [word for word in words if word != ""]


@given(TEXTS)
@example("  two  spaces ")
@example("a\tb\nc\u00a0d")
def test_space_tokenizer_splits_at_spaces_only(text: str) -> None:
    assert SpaceTokenizer().tokenize(text) == flair_space_split(text)


def test_regex_tokenizer_returns_whole_matches() -> None:
    assert RegexTokenizer(r"(\w)(\w*)").tokenize("I love, Berlin.") == ["I", "love", "Berlin"]
    assert RegexTokenizer(r"\d*").tokenize("a12b3") == ["12", "3"]


def segtok_pieces(text: str) -> str:
    return " ".join(SegtokTokenizer().tokenize(text))


@pytest.mark.parametrize(
    ("text", "expected"),  # what segtok 1.5.11 gives
    [
        ("I love Berlin.", "I love Berlin ."),
        ("Dr. Smith arrived. He doesn't.", "Dr. Smith arrived . He does n't ."),
        ("15-year-old U.S. cars, e.g. well_known ones!!", "15-year-old U.S. cars , e.g. well _ known ones ! !"),
        ("Event on 03-16-2025 caused by Big Corp.", "Event on 03-16-2025 caused by Big Corp ."),
        ("It's $3,000.50 (5%) 12:30; x@y.org", "It 's $ 3,000.50 ( 5 %) 12:30 ; x @ y.org"),
        ("John's dogs' can't cannot", "John 's dogs' ca n't cannot"),
        ("a/b and C++ x=y #tag", "a / b and C ++ x = y # tag"),
        ("n't have new vintages.", "n't have new vintages ."),
        ("I’m here, they’ll go", "I ’m here , they ’ll go"),
    ],
)
def test_segtok_tokenizer_splits_as_segtok(text: str, expected: str) -> None:
    assert segtok_pieces(text) == expected


@given(TEXTS)
def test_segtok_tokenizer_loses_no_character_but_white_space(text: str) -> None:
    for tokenizer in (SegtokTokenizer(), SegtokTokenizer(additional_split_characters=["a", "]", "^", "-"])):
        assert without_space("".join(tokenizer.tokenize(text))) == without_space(text)


def test_segtok_tokenizer_always_splits_at_given_characters() -> None:
    text = "§12 a%b (5%)"
    assert SegtokTokenizer(additional_split_characters=["§", "%"]).tokenize(text) == [
        *("§", "12", "a", "%", "b", "(", "5", "%", ")"),
    ]
    for wrong in ("§%", ["§§"], [1], [""]):
        with pytest.raises(SettingError, match="list of single characters"):
            SegtokTokenizer(additional_split_characters=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's 03-16-2025", "It ' s 03 - 16 - 2025"),
        ("US-Präsident und Füchse.", "US - Präsident und Füchse ."),
        ("de l'été e\u0301", "de l ' été e\u0301"),
        ("the U.S.A. Inc. and i.e. in X.", "the U.S.A. Inc . and i.e. in X ."),
        ("Привет, мир! Это 123.", "Привет , мир ! Это 123 ."),
        ("你好，世界！123", "你 好 ， 世 界 ！ 123"),
        ("こんにちは世界！テスト123", "こんにちは 世 界 ！ テスト 123"),
        ("مرحبا بالعالم! 123", "مرحبا بالعالم ! 123"),
        ("हिन्दी में है।", "हिन्दी में है ।"),
        ("norm ❤ \ufe0f ok\u200b \ufeff", "norm ❤ ok"),
        ("m² = ½_x", "m² = ½ _ x"),
        ("", ""),
    ],
)
def test_staccato_tokenizer_splits_where_the_kind_of_character_changes(text: str, expected: str) -> None:
    assert StaccatoTokenizer().tokenize(text) == expected.split()


@given(TEXTS)
def test_staccato_tokenizer_leaves_out_only_what_cannot_be_seen(text: str) -> None:
    unseen = {"\ufeff", *map(chr, (*range(0x200B, 0x200E), *range(0x2060, 0x2070), *range(0xFE00, 0xFE10)))}
    kept = "".join(StaccatoTokenizer().tokenize(text))
    assert kept == "".join(c for c in text if not c.isspace() and c not in unseen)


def test_no_tokenizer_takes_the_text_for_a_word() -> None:
    assert [NoTokenizer().tokenize(text) for text in (" a b ", "", " \n")] == [[" a b "], [], []]


def test_japanese_is_split_sentence_by_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as much of konoha as the adapter uses."""
    made: list[tuple[str, str]] = []

    def word_tokenizer(name: str, mode: str) -> types.SimpleNamespace:
        made.append((name, mode))
        return types.SimpleNamespace(tokenize=lambda sentence: [sentence[:1], sentence[1:]])

    konoha = types.ModuleType("konoha")
    konoha.SentenceTokenizer = lambda: types.SimpleNamespace(tokenize=lambda text: text.split())  # type: ignore[attr-defined]
    konoha.WordTokenizer = word_tokenizer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "konoha", konoha)
    tokenizer = JapaneseTokenizer("sudachi", sudachi_mode="B")
    assert tokenizer.tokenize("abc de") == ["a", "bc", "d", "e"]
    assert Tokenizer.from_dict(tokenizer.to_dict()) == tokenizer != JapaneseTokenizer("janome")
    assert made == [("sudachi", "B")] * 2 + [("janome", "A")]
    assert tokenizer.name == "JapaneseTokenizer_sudachi"


def test_missing_konoha_and_unknown_japanese_tokenizers_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "konoha", None)  # import raises ImportError
    with pytest.raises(FlairliteError, match=r"pip install 'konoha\[janome\]'"):
        JapaneseTokenizer("janome")
    with pytest.raises(SettingError, match="one of mecab, janome, sudachi, not 'x'"):
        JapaneseTokenizer("x")


def upper_half(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def test_wrapper_returns_what_its_function_returns() -> None:
    tokenizer = TokenizerWrapper(upper_half)
    assert tokenizer.tokenize("abcd") == ["ab", "cd"]
    assert tokenizer.name == "TokenizerWrapper_upper_half"


def test_wrapper_takes_an_object_that_can_be_called() -> None:
    class Halver:
        def __call__(self, text: str) -> list[str]:
            return upper_half(text)

    tokenizer = TokenizerWrapper(Halver())
    assert tokenizer.tokenize("ab") == ["a", "b"]
    assert tokenizer.name.endswith("Halver")


def test_wrappers_of_different_functions_of_one_name_differ() -> None:
    functions = [lambda text, n=n: [text[:n]] for n in (1, 2)]
    first, second = map(TokenizerWrapper, functions)
    assert first != second
    assert first == TokenizerWrapper(functions[0])
    assert hash(first) == hash(TokenizerWrapper(functions[0]))
    assert TokenizerWrapper(str.split).tokenize("a b") == ["a", "b"]
    assert TokenizerWrapper(str.split).name == "TokenizerWrapper_split"


# --------------------------------------------------------------------------------------- description and equality


class PairTokenizer(Tokenizer):
    options = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def tokenize(self, text: str) -> list[str]:
        return [text[start : start + self.size] for start in range(0, len(text), self.size)]


ALL = [SyntokTokenizer(), SyntokTokenizer(keep=None), SyntokTokenizer(keep=r"\d+-\d+"), SpaceTokenizer()]
ALL += [SegtokTokenizer(), SegtokTokenizer(["%"]), StaccatoTokenizer(), NoTokenizer()]
ALL += [RegexTokenizer(r"\w+"), RegexTokenizer(r"\S+"), PairTokenizer(2), PairTokenizer(3)]


@pytest.mark.parametrize("tokenizer", ALL, ids=lambda tokenizer: str(tokenizer.to_dict())[-40:])
def test_a_description_builds_an_equal_tokenizer(tokenizer: Tokenizer) -> None:
    config = tokenizer.to_dict()
    assert all(isinstance(value, str | int | list | None) for value in config.values())
    for built in (
        Tokenizer.from_dict(config),
        type(tokenizer).from_dict(config),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert type(built) is type(tokenizer)
        assert built == tokenizer
        assert hash(built) == hash(tokenizer)
        assert built.tokenize("Mr. Lee-Roy's 1-2, ok") == tokenizer.tokenize("Mr. Lee-Roy's 1-2, ok")
    assert copy.deepcopy(tokenizer) == tokenizer
    assert config == tokenizer.to_dict()


def test_tokenizers_of_other_settings_differ() -> None:
    assert [[a == b for b in ALL] for a in ALL] == [[i == j for j in range(len(ALL))] for i in range(len(ALL))]
    assert SpaceTokenizer() != "SpaceTokenizer"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "expected a known Tokenizer"),
        ({"class_module": "os", "class_name": "system"}, "import the module that defines it"),
        ({"class_module": "no.such.module", "class_name": "SpaceTokenizer"}, "no.such.module"),
        ({**SpaceTokenizer().to_dict(), "keep": None}, "SpaceTokenizer does not take the options"),
        ({**RegexTokenizer("a").to_dict(), "pattern": "("}, "expected a regular expression"),
        ({**SpaceTokenizer().to_dict(), "class_name": "Tokenizer"}, "Tokenizer does not take the options {}"),
        (TokenizerWrapper(upper_half).to_dict(), "upper_half: wrap it again with TokenizerWrapper"),
    ],
)
def test_a_description_that_fits_nothing_is_an_error(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        Tokenizer.from_dict(config)
    assert message in str(caught.value)


def test_a_class_builds_no_tokenizer_of_another() -> None:
    with pytest.raises(SettingError, match="expected a known SpaceTokenizer"):
        SpaceTokenizer.from_dict(RegexTokenizer("a").to_dict())


# -------------------------------------------------------------------------------------------------------- spaCy


class Pipeline:
    """As much of a spaCy pipeline as its adapter uses; white space gives tokens, as with spaCy."""

    def __init__(self, name: str) -> None:
        self.meta = {"lang": "en", "name": name, "version": "3.8.0"}

    def make_doc(self, text: str) -> list[types.SimpleNamespace]:
        return [types.SimpleNamespace(text=piece) for piece in text.replace(".", "|.").replace("  ", "| |").split("|")]


@pytest.fixture
def spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Pipeline:
        if name != "en_small":
            raise OSError(f"[E050] Can't find model '{name}'")
        return Pipeline("small")

    module = types.ModuleType("spacy")
    module.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spacy", module)


@pytest.mark.usefixtures("spacy")
@pytest.mark.parametrize("model", ["en_small", Pipeline("small")])
def test_spacy_tokenizer_uses_the_model_and_leaves_white_space_out(model: Any) -> None:
    tokenizer = SpacyTokenizer(model)
    assert tokenizer.tokenize("Green  grass.") == ["Green", "grass", "."]
    assert tokenizer.name == "SpacyTokenizer_en_small"
    assert Tokenizer.from_dict(tokenizer.to_dict()) == tokenizer


@pytest.mark.usefixtures("spacy")
def test_a_missing_spacy_model_says_how_to_get_it() -> None:
    with pytest.raises(FlairliteError, match="python -m spacy download de_small"):
        SpacyTokenizer("de_small")


def test_missing_spacy_says_what_to_install_or_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)  # import raises ImportError
    with pytest.raises(FlairliteError, match="pip install spacy, or use SyntokTokenizer"):
        SpacyTokenizer("en_small")


# ---------------------------------------------------------------------------------------------------- benchmark


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    path = Path(__file__).parents[2] / "benchmarks" / "compare_tokenizers.py"
    if not path.is_file():
        pytest.skip("the benchmarks are not beside the tests: they are no part of a wheel")
    spec = importlib.util.spec_from_file_location("tokenizer_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)  # the benchmarks import each other
        spec.loader.exec_module(module)
        yield module


def rows(*pairs: tuple[str, str]) -> list[list[str]]:
    return [list(pair) for pair in pairs]


def test_benchmark_aligns_words_and_surface_tokens(benchmark: Any) -> None:
    gold = benchmark.align_gold(
        "don't go, wanna",
        rows(
            ("1-2", "don't"), ("1", "do"), ("2", "n't"), ("2.1", "unseen"), ("3", "go"), ("4", ","),
            ("5-6", "wanna"), ("5", "want"), ("6", "to"),
        ),
    )  # fmt: skip
    assert [gold.text[start:end] for start, end in gold.words] == ["do", "n't", "go", ",", "wanna"]
    assert [gold.text[start:end] for start, end in gold.tokens] == ["don't", "go", ",", "wanna"]


def test_benchmark_joins_texts_with_their_spans(benchmark: Any) -> None:
    texts = [benchmark.GoldText("a b", [(0, 1), (2, 3)], [(0, 3)]), benchmark.GoldText("cd", [(0, 2)], [(0, 2)])]
    (joined,) = benchmark.join_texts(texts, 2)
    assert joined == benchmark.GoldText("a b cd", [(0, 1), (2, 3), (4, 6)], [(0, 3), (4, 6)])
    assert benchmark.join_texts(texts, 1) == texts


def test_benchmark_counts_a_rewritten_word_as_wrong(benchmark: Any) -> None:
    gold = [(0, 1), (2, 4), (4, 7)]
    predicted = benchmark.to_spans("I don't", ["I", "do", "not"])
    score = benchmark.score([predicted], [gold])
    assert (score.correct, score.predicted, score.gold) == (2, 3, 3)
    assert score.precision == score.recall == score.f1 == 2 / 3
    assert benchmark.score([benchmark.to_spans("I don't", ["I", "don't"])], [gold]).f1 == 2 / 5


def test_benchmark_ranks_by_f1(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    path = tmp_path / "two.conllu"
    path.write_text(
        "# text = Go, now!\n1\tGo\n2\t,\n3\tnow\n4\t!\n\n# text = So be it\n1\tSo\n2\tbe\n3\tit\n\n", "utf-8"
    )
    candidates = [
        benchmark.Candidate("spaces", "", "re", lambda module: str.split),
        benchmark.Candidate("missing", "", "no_such_library", lambda module: str.split),
        benchmark.Candidate("rules", "", "re", lambda module: SyntokTokenizer().tokenize),
    ]
    monkeypatch.setattr(benchmark, "candidates", lambda: candidates)
    monkeypatch.setattr(sys, "argv", ["compare_tokenizers.py", str(path), "--repeats", "1"])
    benchmark.main()
    first, _, *table = capsys.readouterr().out.splitlines()
    assert first == "2 texts, 7 syntactic words, 7 surface tokens"
    assert [line.split()[0] for line in table] == ["rules", "spaces"]
    assert table[0].split()[2:6] == ["1.0000", "1.0000", "1.0000", "1.0000"]
    assert table[1].split()[2:5] == ["0.6000", "0.4286", "0.5000"]  # Go, | now! | So | be | it: 3 of 5, 3 of 7


@pytest.mark.mirror
@pytest.mark.parametrize("join", [1, 10])
def test_default_finds_the_words_of_english_text(benchmark: Any, join: int, mirror: Path) -> None:
    for name in benchmark.DEFAULT_FILES:
        texts = benchmark.join_texts(list(benchmark.read_gold(mirror / name)), join)
        found = [benchmark.to_spans(text.text, default_tokenizer().tokenize(text.text)) for text in texts]
        assert benchmark.score(found, [text.words for text in texts]).f1 > 0.98


def test_kept_stretches_are_a_pattern_that_a_file_can_hold() -> None:
    assert default_tokenizer().to_dict()["keep"] == KEEP_WHOLE


@pytest.mark.parametrize("value", [None, 5, True, ["x"], {"x": 1}, b"x", np.array([1, 2])], ids=str)
def test_arguments_of_tokenizers_are_checked(value: Any) -> None:
    with pytest.raises(SettingError, match=r"^expected a regular expression, got"):
        RegexTokenizer(value)
    with pytest.raises(SettingError, match=r"^model must be a pipeline of spaCy"):
        SpacyTokenizer(value)
    with pytest.raises(SettingError, match=r"^tokenizer must be one of mecab"):
        JapaneseTokenizer(value)
    with pytest.raises(SettingError, match=r"^sudachi_mode must be one of A, B, C"):
        JapaneseTokenizer("sudachi", value)
    if value is not None and not isinstance(value, list):
        with pytest.raises(SettingError, match=r"^additional_split_characters must be"):
            SegtokTokenizer(value)
