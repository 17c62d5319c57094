"""The report of a run: its figures are those of its files, everything is escaped, and it stays small."""

from __future__ import annotations

import html.parser
import json
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from run_folders import Row, make_epoch, write_run
from sentences import tagged

from flairlite.data import Corpus
from flairlite.data.tag_schemes import spans_of
from flairlite.datasets import SAMPLE_NER
from flairlite.embeddings import DocumentPoolEmbeddings, WordEmbeddings
from flairlite.errors import DataFormatError, FlairliteError, MissingExtraError, SettingError
from flairlite.markup import NONE
from flairlite.models import SequenceTagger, TextClassifier
from flairlite.trainers import Callback, ModelTrainer, TrainingState
from flairlite.visual.predictions import Predictions, read_predictions, split_labels
from flairlite.visual.report import write_report

pytest.importorskip("jinja2", reason="jinja2 is not installed")

EVIL = '</script><script>alert("x")</script>'
ODD = [EVIL, "\"'&<>", "שלום עולם", "👩‍👩‍👧🙂", "w" * 3000, "<!--", "]]>", "{{ 7*7 }}", "{% raw %}", "\\u003c"]
_ENDS = "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # what ends a cell or a row of a table
WORDS = st.text(st.characters(exclude_characters=_ENDS, exclude_categories=["Cs"]), min_size=1)
SENTENCES: list[list[Row]] = [
    [("the", "DET", "DET"), ("dog", "NOUN", "VERB"), ("sleeps", "VERB", "VERB")],
    [("it", "PRON", "PRON"), ("runs", "VERB", "NOUN")],
]
SCORES = [["0.9000\t1", "0.6000\t0", "0.8000\t1"], ["1.0000\t1", "0.7500\t1"]]


class Page(html.parser.HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def report_of(folder: Path) -> str:
    path = write_report(folder)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


def examples_in(text: str) -> dict[str, list[Any]]:
    match = re.search(r'<script type="application/json" id="examples">(.*?)</script>', text, re.DOTALL)
    assert match
    found: dict[str, list[Any]] = json.loads(match[1])
    return found


def read(folder: Path, unit: str, **options: Any) -> Predictions:
    found = read_predictions(folder, "test", unit, **options)
    assert found is not None
    return found


class TestTrainedRuns:
    """The report that training writes, for each kind of model."""

    def check(self, folder: Path) -> tuple[str, dict[str, Any]]:
        text = (folder / "report.html").read_text(encoding="utf-8")
        page = Page(text)
        assert page.open == []  # each element is closed
        assert text == report_of(folder)  # it can be made again, from the files alone
        evaluation = json.loads((folder / "run.json").read_text())["evaluation"]
        assert f"{evaluation['score']:.4f}" in text
        for label in evaluation["labels"]:
            assert f"{evaluation['report'][label]['f1-score']:.4f}" in text
        return text, evaluation

    def test_words(self, sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
        corpus = Corpus((sample.train or ())[:40], (sample.dev or ())[:10], (sample.test or ())[:20], name="<b>x</b>")
        tagger = SequenceTagger(mini_vectors, sample.make_label_dictionary("upos"), "upos", hidden_size=8)
        ModelTrainer(tagger, corpus).train(tmp_path, max_epochs=2, mini_batch_size=8)
        text, _ = self.check(tmp_path)
        assert "<b>x</b>" not in text
        rows = [line.split("\t") for line in (tmp_path / "test.tsv").read_text().splitlines() if line]
        golds, predictions = [row[1] for row in rows], [row[2] for row in rows]
        found = read(tmp_path, "word")
        labels = sorted({*golds, *predictions})
        expected = sklearn.metrics.confusion_matrix(golds, predictions, labels=labels)
        assert [[found.pairs[gold, predicted] for predicted in labels] for gold in labels] == expected.tolist()
        known = {word for sentence in corpus.train or () for word in sentence.words}
        right = [
            [gold == predicted for word, gold, predicted in rows if (word in known) == flag] for flag in (True, False)
        ]
        assert [found.by_knowledge[True], found.by_knowledge[False]] == [[len(part), sum(part)] for part in right]
        predicted_scores = [
            label.score
            for sentence in tagger.predict([s for s in _copies(corpus.test)])
            for label in sentence.get_labels("upos")
        ]
        written = [
            float(line.split("\t")[0]) for line in (tmp_path / "test-scores.tsv").read_text().splitlines() if line
        ]
        assert written == pytest.approx(predicted_scores, abs=1e-4)

    def test_several_label_types(self, sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
        types = {name: sample.make_label_dictionary(name) for name in ("xpos", "upos")}
        tagger = SequenceTagger(mini_vectors, types, "upos", hidden_size=8)
        result = ModelTrainer(tagger, sample).train(tmp_path, max_epochs=1, create_file_logs=False)
        predictions = read_predictions(tmp_path, "test", "word")
        assert predictions is not None
        total = sum(predictions.pairs.values())
        right = total - predictions.num_errors
        assert right / total == pytest.approx(result["test_score"])
        assert "report.html" in {path.name for path in tmp_path.iterdir()}
        others = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["evaluation"]["others"]
        evaluated = tagger.evaluate(list(sample.test or ())).by_type["xpos"]
        assert [(part["label_type"], part["score"]) for part in others] == [("xpos", evaluated.main_score)]
        texts = Page(report_of(tmp_path)).texts
        assert texts[texts.index("xpos") + 1] == f"{others[0]['score']:.4f}"

    def test_spans(self, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
        corpus = SAMPLE_NER()
        tagger = SequenceTagger(mini_vectors, corpus.make_label_dictionary("ner"), "ner", hidden_size=16)
        parts = (corpus.train or ())[:60], (corpus.dev or ())[:10], (corpus.test or ())[:30]
        ModelTrainer(tagger, Corpus(*parts)).train(
            tmp_path, max_epochs=3, mini_batch_size=4, optimizer="Adam", learning_rate=0.02
        )
        _, evaluation = self.check(tmp_path)
        found = read(tmp_path, "span")
        for label in evaluation["labels"]:  # counts of the report and of the matrix are the same
            golds = sum(count for (gold, _), count in found.pairs.items() if gold == label)
            assert golds == evaluation["report"][label]["support"]
            assert found.pairs[label, label] == pytest.approx(evaluation["report"][label]["recall"] * golds)

    @pytest.mark.parametrize("multi_label", [False, True])
    def test_sentences(self, multi_label: bool, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
        texts = [(f"good film {n}", "a, b") for n in range(6)] + [(f"bad plot {n}", "c") for n in range(6)]
        corpus = Corpus.from_examples(train=texts, dev=texts[:3], test=texts[4:8], label_type="topic")
        labels = corpus.make_label_dictionary("topic")
        model = TextClassifier(
            DocumentPoolEmbeddings(mini_vectors), label_type="topic", label_dictionary=labels, multi_label=multi_label,
            **({"multi_label_threshold": 0.4} if multi_label else {}),
        )  # fmt: skip
        ModelTrainer(model, corpus).train(tmp_path, max_epochs=3)
        _, evaluation = self.check(tmp_path)
        assert evaluation["is_multi_label"] == multi_label
        found = read(tmp_path, "whole sentence", multi_label={"a, b", "c"} if multi_label else None)
        for label in evaluation["labels"]:
            golds = sum(count for (gold, _), count in found.pairs.items() if gold == label)
            assert golds == evaluation["report"][label]["support"]
            assert found.pairs[label, label] == pytest.approx(evaluation["report"][label]["recall"] * golds)

    def test_without_test_it_shows_dev(self, sample: Corpus, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
        tagger = SequenceTagger(mini_vectors, sample.make_label_dictionary("upos"), "upos", hidden_size=8)
        result = ModelTrainer(tagger, Corpus((sample.train or ())[:20], (sample.dev or ())[:5])).train(
            tmp_path, max_epochs=2
        )
        _, evaluation = self.check(tmp_path)
        assert evaluation["split"] == "dev"
        assert evaluation["score"] == max(result["dev_score_history"])  # that of the best model

    def test_with_training_data_only_it_shows_the_curves(self, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
        sentence = tagged("the/DET dog/NOUN", "upos")
        corpus = Corpus([sentence])
        tagger = SequenceTagger(mini_vectors, corpus.make_label_dictionary("upos"), "upos", hidden_size=4)
        ModelTrainer(tagger, corpus).train(tmp_path, max_epochs=2)
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert 'id="curves"' in text
        assert 'id="classes"' not in text


def _copies(sentences: Any) -> list[Any]:
    return [type(sentence).from_dict(sentence.to_dict()) for sentence in sentences]


class TestContent:
    def test_figures_of_the_run_are_there(self, tmp_path: Path) -> None:
        text = report_of(write_run(tmp_path, SENTENCES, scores=SCORES))
        for expected in ("SequenceTagger for upos", "0.7500", "learning_rate", "2.13.0", "256 MiB", "500"):
            assert expected in text

    def test_examples_have_their_context(self, tmp_path: Path) -> None:
        examples = examples_in(report_of(write_run(tmp_path, SENTENCES, scores=SCORES)))
        listed = sorted(item for items in examples.values() for item in items)
        assert listed == [
            ["it", "runs", "", "VERB", "NOUN", 0.75, 2, False],
            ["the", "dog", "sleeps", "NOUN", "VERB", 0.6, 1, True],
        ]

    def test_calibration_is_the_expected_calibration_error(self, tmp_path: Path) -> None:
        found = read(write_run(tmp_path, SENTENCES, scores=SCORES), "word")
        # bins: 0.6 (wrong), 0.75 (wrong), 0.8 (right), 0.9 and 1.0 (right)
        expected = (1 * 0.6 + 1 * 0.75 + 1 * 0.2 + 2 * abs(0.95 - 1)) / 5
        assert found.calibration_error() == pytest.approx(expected)

    def test_without_scores_there_is_no_calibration(self, tmp_path: Path) -> None:
        text = report_of(write_run(tmp_path, SENTENCES))
        assert 'id="calibration"' not in text
        assert 'id="knowledge"' not in text
        assert 'id="worst"' in text

    def test_worst_errors_come_first(self, tmp_path: Path) -> None:
        found = read(write_run(tmp_path, SENTENCES, scores=SCORES), "word")
        assert [(error.words[error.start], error.score) for error in found.worst()] == [("runs", 0.75), ("dog", 0.6)]

    def test_excluded_and_missing_gold_labels_are_left_out(self, tmp_path: Path) -> None:
        rows: list[Row] = [("a", "X", "Y"), ("b", "_", "Y"), ("c", "Y", "Y")]
        found = read(write_run(tmp_path, [rows], exclude=["X"]), "word", exclude=["X"])
        assert found.pairs == {("Y", "Y"): 1}

    def test_an_unfinished_run_has_a_report(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path, SENTENCES, result=None, evaluation=None)
        text = report_of(folder)
        assert "Not finished" in text
        assert 'id="classes"' not in text

    def test_records_of_an_earlier_version_have_a_report(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path, SENTENCES)
        (folder / "history.jsonl").unlink()
        record = json.loads((folder / "run.json").read_text())
        for name in ("evaluation", "phases"):
            del record[name]
        del record["corpus"]["splits"]
        (folder / "run.json").write_text(json.dumps(record))
        assert "SequenceTagger for upos" in report_of(folder)

    def test_no_difference_depends_on_colour_alone(self, tmp_path: Path) -> None:
        text = report_of(write_run(tmp_path, SENTENCES, scores=SCORES))
        assert {"gold", "predicted", "✗"} <= set(re.split(r"[\s<>]+", text))
        assert "stroke-dasharray" in text  # lines differ by dashes too


@given(st.lists(st.lists(st.tuples(*[st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"])] * 2), min_size=1), max_size=6))
def test_spans_are_counted_as_a_set_comparison_does(tmp_path: Path, tags: list[list[tuple[str, str]]]) -> None:
    found = read(write_run(tmp_path, [[("w", *pair) for pair in pairs] for pairs in tags], unit="span"), "span")
    golds, predictions = (
        {(number, *span) for number, pairs in enumerate(tags) for span in spans_of([pair[side] for pair in pairs])}
        for side in (0, 1)
    )
    right = sum(count for (gold, predicted), count in found.pairs.items() if gold == predicted)
    assert right == len(golds & predictions)
    assert sum(count for (gold, _), count in found.pairs.items() if gold != NONE) == len(golds)
    assert sum(count for (_, predicted), count in found.pairs.items() if predicted != NONE) == len(predictions)
    assert found.num_sentences == len(tags)


class TestSafety:
    def test_words_and_labels_are_escaped(self, tmp_path: Path) -> None:
        plain_rows: list[Row] = [("w", f"A{n}", f"B{n}") for n in range(len(ODD))]
        plain_changes = {"corpus": {"name": "c", "splits": {}}, "embeddings": {"a": "b"}}
        plain = Page(report_of(write_run(tmp_path / "plain", [plain_rows], **plain_changes)))
        rows: list[Row] = [(text, f"A{text}", f"B{text}") for text in ODD]
        text = report_of(
            write_run(tmp_path / "odd", [rows], corpus={"name": EVIL, "splits": {}}, embeddings={EVIL: EVIL})
        )
        odd = Page(text)
        assert odd.tags == plain.tags  # no text has become an element
        assert [name for _, name, _ in odd.attributes] == [name for _, name, _ in plain.attributes]
        assert "49" not in {word for part in odd.texts for word in part.split() if "7*7" in part}
        assert "{{ 7*7 }}" in "".join(odd.texts)
        shown = [item[1] for items in examples_in(text).values() for item in items]
        assert EVIL in shown or EVIL[:39] + "…" in shown

    @given(st.lists(WORDS, min_size=2, max_size=4))
    def test_any_text_can_be_shown(self, tmp_path: Path, texts: list[str]) -> None:
        text = report_of(
            write_run(tmp_path, [[(word, f"g{word}", f"p{word}") for word in texts]], scores=None, epochs=0)
        )
        assert Page(text).open == []
        assert text.count("<script") == 2
        examples_in(text)

    def test_it_refers_to_nothing_outside(self, tmp_path: Path) -> None:
        text = report_of(write_run(tmp_path, SENTENCES, scores=SCORES))
        links = [
            value for _, name, value in Page(text).attributes if name in ("href", "src", "action", "data", "srcset")
        ]
        assert links
        assert all(value and value.startswith(("#", "data:")) for value in links)
        assert not re.search(r"url\(|@import|https?://", text)
        assert "default-src 'none'" in text

    def test_ids_are_distinct_and_links_lead_to_them(self, tmp_path: Path) -> None:
        attributes = Page(report_of(write_run(tmp_path, SENTENCES, scores=SCORES))).attributes
        ids = [value for _, name, value in attributes if name == "id"]
        assert len(ids) == len(set(ids))
        named = [value for _, name, value in attributes if name in ("aria-labelledby", "aria-controls")]
        named += [str(value)[1:] for _, name, value in attributes if name == "href" and str(value).startswith("#")]
        assert set(named) <= set(ids)


class TestSize:
    LIMIT = 2_000_000

    def test_a_thousand_labels(self, tmp_path: Path) -> None:
        draw = random.Random(0)
        labels = [f"{'label-' * 20}{number}" for number in range(1000)]
        rows: list[Row] = [("word" * 30, label, draw.choice(labels)) for label in labels for _ in range(3)]
        sentences = [rows[start : start + 30] for start in range(0, len(rows), 30)]
        text = report_of(write_run(tmp_path, sentences, scores=[["0.5\t1"] * len(part) for part in sentences]))
        assert len(text.encode()) < self.LIMIT
        assert "rarest labels are in one row and column" in text

    def test_a_hundred_thousand_sentences_and_a_thousand_epochs(self, tmp_path: Path) -> None:
        draw = random.Random(0)
        labels = [f"L{number}" for number in range(40)]
        some: list[list[Row]] = [[("é" * 400, draw.choice(labels), draw.choice(labels))] for _ in range(1000)]
        folder = write_run(tmp_path, some * 100, epochs=1000)
        text = report_of(folder)
        assert len(text.encode()) < self.LIMIT
        assert "600 earlier epochs are in history.jsonl" in text
        assert read(folder, "word").num_sentences == 100_000

    def test_long_texts_and_settings(self, tmp_path: Path) -> None:
        rows: list[list[Row]] = [[("x" * 50_000, f"a{n % 40}", f"b{n % 40}")] for n in range(200)]
        text = report_of(write_run(tmp_path, rows, unit="whole sentence", embeddings={"x" * 9999: "y" * 10**6}))
        assert len(text.encode()) < self.LIMIT


class TestErrors:
    @pytest.mark.parametrize("folder", ["nowhere", ""])
    def test_a_folder_without_a_run(self, folder: str, tmp_path: Path) -> None:
        with pytest.raises(DataFormatError, match="Give the folder of a training run"):
            write_report(tmp_path / folder)

    def test_not_a_path(self) -> None:
        with pytest.raises(SettingError, match="run_folder must be the path of a folder"):
            write_report(5)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("test.tsv", "a\tb\n", "line 1: expected 3 columns, found 2"),
            ("test.tsv", "a\tb\tc\n\nb\n", "line 3: expected 3 columns, found 1"),
            ("test-scores.tsv", "0.5\t1\n\n", "line 2: the line does not belong to that of test.tsv"),
            ("test-scores.tsv", "high\t1\n" * 9, "line 1: the line does not belong to that of test.tsv"),
            ("test-scores.tsv", "0.5\n" * 9, "line 1: the line does not belong to that of test.tsv"),
            ("test-scores.tsv", "0.5\t1\n0.5\t1\n0.5\t1\n", "line 4: the line does not belong to that of test.tsv"),
            ("history.jsonl", "[]\n", "line 1: expected a JSON object with an epoch"),
            ("history.jsonl", '{"epoch": 1}\n', "was changed by hand"),
            ("history.jsonl", "{\n", "line 1: expected a JSON object"),
            (
                "run.json",
                '{"format": "flairlite run", "format_version": 1, "parts": [], "result": null}',
                "was changed by hand",
            ),
        ],
    )
    def test_damaged_files_are_named(self, name: str, content: str, message: str, tmp_path: Path) -> None:
        folder = write_run(tmp_path, SENTENCES, scores=SCORES)
        (folder / name).write_text(content)
        if name == "test.tsv":
            (folder / "test-scores.tsv").unlink()
        with pytest.raises(DataFormatError, match=re.escape(message)):
            write_report(folder)
        assert not (folder / "report.html").exists()

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path, SENTENCES)
        (folder / "test.tsv").write_bytes(b"\xff\tA\tA\n")
        with pytest.raises(FlairliteError, match="cannot be read"):
            write_report(folder)

    def test_without_jinja2_the_extra_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from flairlite.visual import report

        report._load_template.cache_clear()
        monkeypatch.setitem(sys.modules, "jinja2", None)
        with pytest.raises(MissingExtraError, match=r"needs jinja2: pip install 'flairlite\[report\]'"):
            write_report(write_run(tmp_path, SENTENCES))


class TestCallback:
    """What training does when there is no report to write."""

    def train(self, folder: Path, mini_vectors: WordEmbeddings, **options: Any) -> dict[str, Any]:
        corpus = Corpus([tagged("the/DET dog/NOUN", "upos")] * 2)
        tagger = SequenceTagger(mini_vectors, corpus.make_label_dictionary("upos"), "upos", hidden_size=4)
        return ModelTrainer(tagger, corpus).train(folder, max_epochs=1, **options)

    def test_without_jinja2_training_says_once_how_to_get_it(
        self, mini_vectors: WordEmbeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from flairlite.trainers.callbacks.report import Report
        from flairlite.visual import report

        report._load_template.cache_clear()
        monkeypatch.setattr(Report, "_is_announced", False)
        monkeypatch.setitem(sys.modules, "jinja2", None)
        for name in ("one", "two"):
            self.train(tmp_path / name, mini_vectors)
            assert not (tmp_path / name / "report.html").exists()
        logs = [(tmp_path / name / "training.log").read_text() for name in ("one", "two")]
        assert [text.count("pip install 'flairlite[report]'") for text in logs] == [1, 0]

    def test_a_failed_report_does_not_fail_the_run(
        self, mini_vectors: WordEmbeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from flairlite.visual import report

        def fail(folder: Path) -> None:
            raise ZeroDivisionError("broken")

        monkeypatch.setattr(report, "write_report", fail)
        assert self.train(tmp_path, mini_vectors)["test_score"] is None
        assert "the run is complete: ZeroDivisionError('broken')" in (tmp_path / "training.log").read_text()

    def test_a_failed_run_has_no_report(self, mini_vectors: WordEmbeddings, tmp_path: Path) -> None:
        class Fail(Callback):
            def on_epoch_end(self, state: TrainingState) -> None:
                raise ZeroDivisionError

        self.train(tmp_path, mini_vectors)
        with pytest.raises(ZeroDivisionError):
            self.train(tmp_path, mini_vectors, plugins=[Fail()])
        assert not (tmp_path / "report.html").exists()  # not even that of the earlier run
        assert "Not finished" in report_of(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("_", []),
        ("a", ["a"]),
        ("a, b", ["a, b"]),
        ("a, b, c", ["a, b", "c"]),
        ("c, a", ["c", "a"]),
        ("x, y", ["x", "y"]),
    ],
)
def test_labels_with_commas_are_split_as_they_are_known(text: str, expected: list[str]) -> None:
    assert split_labels(text, {"a, b", "a", "c"}) == expected


def test_epochs_differ_in_their_splits(tmp_path: Path) -> None:
    folder = write_run(tmp_path, SENTENCES)
    lines = [
        json.dumps(make_epoch(1, test={"loss": None, "score": 0.25})),
        json.dumps(make_epoch(2, dev={"loss": 1, "score": None})),
    ]
    (folder / "history.jsonl").write_text("\n".join(lines) + "\n")
    assert "test loss" in report_of(folder)
