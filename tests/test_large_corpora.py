"""The examples for corpora that are too large for one machine, on real engines with two workers on this machine."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flairlite.datasets import SAMPLE_ENGLISH
from flairlite.deploy import load
from flairlite.splitter import SegtokSentenceSplitter

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
MODEL = ROOT / "tests" / "data" / "exports" / "format-2-types.onnx"
NUM_ROWS, PAYLOAD_SIZE = 3000, 40_000  # together 120 MB
Tagged = dict[int, dict[str, Any]]

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
pyarrow = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="examples/ is not next to tests/")


@pytest.fixture(scope="module")
def texts() -> list[str | None]:
    sentences = [sentence.text for sentence in SAMPLE_ENGLISH().train or ()]
    generator = random.Random(0)
    return [None, "", "   ", *(" ".join(generator.choices(sentences, k=2)) for _ in range(NUM_ROWS - 3))]


@pytest.fixture(scope="module")
def expected(texts: list[str | None]) -> Tagged:
    """The words and tags of each text, by one process, text by text."""
    model, splitter = load(MODEL), SegtokSentenceSplitter()
    tagged = {}
    for index, text in enumerate(texts):
        sentences = model.predict(splitter.split(text or ""), force_token_predictions=True)
        columns = {name: [sentence.token_labels(name) for sentence in sentences] for name in ("pos", "ner")}
        tagged[index] = {"text": text, "words": [sentence.words for sentence in sentences], **columns}
    assert len({str(row["ner"]) for row in tagged.values()}) > 100
    return tagged


def write_parquet(folder: Path, texts: list[str | None], payload_size: int) -> Path:
    folder.mkdir()
    generator = random.Random(1)
    for index in range(3):
        ids = list(range(index, len(texts), 3))
        payload = [generator.randbytes(payload_size) for _ in ids]
        table = pyarrow.table({"id": ids, "text": [texts[each] for each in ids], "payload": payload})
        parquet.write_table(table, folder / f"{index}.parquet", row_group_size=50)
    return folder


def write_json_lines(folder: Path, texts: list[str | None]) -> Path:
    folder.mkdir()
    for index in range(2):
        rows = [{"id": each, "text": texts[each]} for each in range(index, len(texts), 2)]
        (folder / f"{index}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder


def check_tagged(folder: Path, expected: Tagged) -> None:
    """Check that each row was written once, and has the tags that one process predicts."""
    rows = parquet.read_table(folder, columns=["id", "text", "words", "pos", "ner"]).to_pylist()
    assert sorted(row["id"] for row in rows) == sorted(expected)
    for row in rows:
        assert row == {"id": row["id"], **expected[row["id"]]}


def run(script: str, *arguments: Any, timeout: int = 580) -> subprocess.CompletedProcess[str]:
    folders = os.pathsep.join(map(str, [EXAMPLES, *([ROOT] if (ROOT / "flairlite").is_dir() else [])]))
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": folders, "RAY_USAGE_STATS_ENABLED": "0", "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


RAY = """
import os, signal, sys
from pathlib import Path

import ray
import tag_with_ray

folder, model = Path(sys.argv[1]), sys.argv[2]

class Observed(tag_with_ray.Tagger):
    # one worker is killed when half of the corpus was read
    def __call__(self, rows):
        tagged = super().__call__(rows)
        if 1500 in rows["id"].to_pylist() and not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with (folder / "calls").open("a") as file:
            file.write(f"{os.getpid()} {rows.num_rows}\\n")
        return tagged

tag_with_ray.Tagger = Observed
# blocks are small, and the memory for them is smaller than the corpus; none may be written to disk
settings = {"automatic_object_spilling_enabled": False}
ray.init(num_cpus=2, object_store_memory=80 << 20, include_dashboard=False, _system_config=settings)
ray.data.DataContext.get_current().target_max_block_size = 4 << 20
tag_with_ray.main(model, str(folder / "parquet"), str(folder / "tagged"), "2")
tag_with_ray.main(model, str(folder / "texts.jsonl"), str(folder / "tagged-json"), "2")
try:
    tag_with_ray.main(model, str(folder / "texts.jsonl"), str(folder / "tagged-json"), "2")
except Exception as error:
    print("refused:", error)
"""


def test_ray_workers_tag_as_one_process_and_a_killed_one_loses_nothing(
    tmp_path: Path, texts: list[str | None], expected: Tagged
) -> None:
    """The memory for blocks, 80 MB, is smaller than the corpus of 120 MB."""
    pytest.importorskip("ray", reason="ray is not installed")
    write_parquet(tmp_path / "parquet", texts, PAYLOAD_SIZE)
    write_json_lines(tmp_path / "texts.jsonl", texts[:200])
    process = run(RAY, tmp_path, MODEL)
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    assert (tmp_path / "killed").exists()
    check_tagged(tmp_path / "tagged", expected)
    check_tagged(tmp_path / "tagged-json", {index: expected[index] for index in range(200)})
    calls = [tuple(map(int, line.split())) for line in (tmp_path / "calls").read_text().splitlines()]
    assert len({pid for pid, _ in calls}) >= 2
    assert max(num_rows for _, num_rows in calls) <= 256
    assert "refused:" in process.stdout


SPARK = """
import sys
from pathlib import Path

import tag_with_spark
from pyspark.sql import SparkSession

folder, model = Path(sys.argv[1]), sys.argv[2]
settings = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
builder = SparkSession.builder.master("local[2]").config("spark.sql.files.maxPartitionBytes", "1m")
for name, value in settings.items():
    builder = builder.config(name, value)
builder.getOrCreate()
tag_with_spark.main(model, str(folder / "parquet"), str(folder / "tagged"))
tag_with_spark.main(model, str(folder / "texts.jsonl"), str(folder / "tagged-json"))
"""


def test_spark_workers_tag_as_one_process(tmp_path: Path, texts: list[str | None], expected: Tagged) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    write_parquet(tmp_path / "parquet", texts[:600], 10)
    write_json_lines(tmp_path / "texts.jsonl", texts[:200])
    process = run(SPARK, tmp_path, MODEL)
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    check_tagged(tmp_path / "tagged", {index: expected[index] for index in range(600)})
    check_tagged(tmp_path / "tagged-json", {index: expected[index] for index in range(200)})


@pytest.mark.parametrize("name", ["tag_with_ray.py", "tag_with_spark.py"])
def test_the_examples_are_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 40
