"""What `import flairlite` does and does not do, which part may import which, and the settings of a process."""

from __future__ import annotations

import ast
import graphlib
import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import flairlite
from flairlite import runtime
from flairlite.errors import SettingError

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(flairlite.__file__).parent
package: Any = flairlite  # to a type checker, a module has no properties
SOURCES = sorted(PACKAGE.rglob("*.py"))

# A part imports only those above it. A new part is put where that holds.
ORDER = [
    "errors",
    "checks",
    "version",
    "bundled",
    "lookup",
    "single_chain",
    "runtime",
    "tensors",
    "storage",
    "markup",
    "download",
    "metrics",
    "tokenization",
    "data",
    "splitter",
    "datasets",
    "prediction",
    "deploy",
    "encoding",
    "batching",
    "tasks",
    "nn",
    "embeddings",
    "models",
    "samplers",
    "visual",
    "trainers",
    "training_utils",
    "serving",
    "sklearn",
    "spacy",
    "distributed_utils",
    "cli",
    "__main__",
]
HEAVY = {"conllu", "gensim", "hypothesis", "matplotlib", "pooch", "pytest", "requests", "scipy", "sklearn", "spacy"}
HEAVY |= {"jinja2", "mlflow", "onnx", "onnxruntime", "pandas", "syntok", "tensorboard", "tokenizers", "tqdm"}
HEAVY |= {"openvino", "pyarrow", "ray", "transformers", "wandb"}
SERVER = {"fastapi", "prometheus_client", "pydantic", "starlette", "uvicorn"}
HEAVY |= SERVER
# parts that extend classes of packages, which they import
BRIDGES = {"serving": SERVER, "sklearn": {"sklearn"}, "spacy": {"spacy"}}

# what a script that trains a tagger does not need
RARELY_USED = re.compile(
    r"flairlite\.((cli|deploy|visual)\b.*|datasets\.lexicons|embeddings\.(characters|document|flair\w*|from_flair|"
    r"gensim_files|language_model|lexicon\w*|shapes|subwords|trained|transformer\w*|vector_formats)|"
    r"models\.(export|from_flair|n_best|onnx_graph|soft_labels)|nn\.chain_kernels|storage\.flair_file|"
    r"trainers\.plugins\.loggers)"
)

OBSERVE = """
import json, logging, os, random, sys, warnings
import numpy, torch

def observe():
    root, own = logging.getLogger(), logging.getLogger("flairlite")
    return {
        "random": [repr(random.getstate()), repr(numpy.random.get_state()), torch.get_rng_state().tolist()],
        "root logger": [repr(root.handlers), root.level, logging.root.manager.disable, logging.raiseExceptions],
        "logger level": [own.level, own.propagate, own.disabled],
        "warnings": repr(warnings.filters),
        "environment": dict(os.environ),
        "torch": [torch.get_num_threads(), str(torch.get_default_dtype()), torch.is_grad_enabled(),
                  torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic],
        "streams": [sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
        "hooks": [sys.excepthook is sys.__excepthook__, repr(sys.path)],
    }

before, modules = observe(), set(sys.modules)
import flairlite
for name in flairlite.__all__:
    getattr(flairlite, name)  # parts are imported when they are asked for
after = observe()
handlers = [type(handler).__name__ for handler in logging.getLogger("flairlite").handlers]
print(json.dumps({"before": before, "after": after, "new": sorted(set(sys.modules) - modules), "handlers": handlers}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, Any]:
    """What a fresh process looks like before and after `import flairlite`, torch and numpy being there already."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", OBSERVE], env=environment, capture_output=True, text=True, check=True
    )
    assert process.stderr == ""
    found: dict[str, Any] = json.loads(process.stdout)  # fails if the import printed anything
    return found


def test_import_loads_no_heavy_package(imported: dict[str, Any]) -> None:
    new = {name.partition(".")[0] for name in imported["new"]}
    assert "flairlite" in new
    assert new & (HEAVY | SERVER) == set()


@pytest.mark.parametrize(
    "what", ["random", "root logger", "logger level", "warnings", "environment", "torch", "streams", "hooks"]
)
def test_import_does_not_change_the_process(imported: dict[str, Any], what: str) -> None:
    assert imported["after"][what] == imported["before"][what]


@pytest.fixture(scope="module")
def imported_by_the_example() -> list[str]:
    """Return the modules of flairlite that a fresh process has after the imports of `examples/train_upos.py`."""
    example = ast.parse((ROOT / "examples" / "train_upos.py").read_text(encoding="utf-8"))
    lines = [ast.unparse(node) for node in example.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    script = "\n".join([*lines, "import sys", "print(*sorted(sys.modules))"])
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return [name for name in process.stdout.split() if name.partition(".")[0] == "flairlite"]


def test_training_a_tagger_imports_no_module_for_other_uses(imported_by_the_example: list[str]) -> None:
    found = set(imported_by_the_example)
    assert {"flairlite.embeddings.word", "flairlite.models.sequence_tagger"} <= found
    assert {name for name in found if RARELY_USED.fullmatch(name)} == set()


def test_training_a_tagger_imports_few_modules(imported_by_the_example: list[str]) -> None:
    """Each module takes a millisecond: count modules, because seconds depend on the machine."""
    assert len(imported_by_the_example) <= 150, "import what few programs need inside the function that needs it"


def test_logger_has_nothing_but_a_null_handler(imported: dict[str, Any]) -> None:
    assert imported["handlers"] == ["NullHandler"]


# --------------------------------------------------------------------------------------------- which part imports which


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def part_of(module: str) -> str:
    return [*module.split("."), ""][1]


def imports(node: ast.AST, *, in_functions: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the import statements that run, with those inside functions or without."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield node
    elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for other in node.orelse:
            yield from imports(other, in_functions=in_functions)
    elif in_functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from imports(child, in_functions=in_functions)


def imported_names(path: Path, *, in_functions: bool = True) -> set[str]:
    """Return the modules that a source file imports, absolute."""
    found = set()
    for statement in imports(ast.parse(path.read_text(encoding="utf-8")), in_functions=in_functions):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        else:
            assert statement.level == 0, f"{path}:{statement.lineno}: a relative import"
            assert statement.module is not None
            inner = {f"{statement.module}.{alias.name}" for alias in statement.names}
            found |= {name if name in MODULES else statement.module for name in inner}
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import flairlite.nn, os", {"flairlite.nn", "os"}),
        ("from flairlite import nn, FlairliteError", {"flairlite.nn", "flairlite"}),
        ("from flairlite.data import Sentence", {"flairlite.data"}),
        ("from flairlite.data import sentence", {"flairlite.data.sentence"}),
        ("def f():\n  if 1:\n    import a.b", {"a.b"}),
        ("if TYPE_CHECKING:\n  import a\nelse:\n  import b", {"b"}),
        ("try:\n  import a\nexcept ImportError:\n  import b", {"a", "b"}),
    ],
)
def test_the_import_finder_finds_imports(tmp_path: Path, source: str, expected: set[str]) -> None:
    (tmp_path / "x.py").write_text(source, encoding="utf-8")
    assert imported_names(tmp_path / "x.py") == expected


def test_every_part_is_in_the_order() -> None:
    parts = {part_of(name) for name in MODULES} - {""}
    assert parts - set(ORDER) == set(), "add the new part to ORDER, after all that it imports"
    assert set(ORDER) - parts == set(), "ORDER names a part that is gone"


@pytest.mark.parametrize("name", [name for name in MODULES if name != "flairlite"])
def test_parts_import_one_way(name: str) -> None:
    own = ORDER.index(part_of(name))
    for other in sorted(imported_names(MODULES[name])):
        if other.partition(".")[0] == "flairlite":
            assert part_of(other), f"{name} imports the package itself: import the module that is meant"
            assert ORDER.index(part_of(other)) <= own, f"{name} imports {other}, which comes after it"


def test_modules_do_not_import_in_circles() -> None:
    graph = {name: imported_names(path, in_functions=False) & set(MODULES) for name, path in MODULES.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, with the circle
    assert order.index("flairlite.errors") < order.index("flairlite.data") < order.index("flairlite.models")


@pytest.mark.parametrize("name", list(MODULES))
def test_heavy_packages_are_imported_where_they_are_used(name: str) -> None:
    at_import = {other.partition(".")[0] for other in imported_names(MODULES[name], in_functions=False)}
    assert at_import & HEAVY == BRIDGES.get(part_of(name), set()) & at_import


def test_only_the_estimators_import_scikit_learn() -> None:
    users = {
        part_of(name)
        for name, path in MODULES.items()
        if any(other.split(".")[0] == "sklearn" for other in imported_names(path))
    }
    assert users == {"sklearn"}


def test_no_module_has_a_catch_all_name() -> None:
    names = {path.relative_to(PACKAGE).as_posix() for path in SOURCES}
    names -= {"training_utils.py", "distributed_utils.py"}  # import paths of Flair's
    words = {word for name in names for word in re.split(r"[_./]", name)}
    assert words & {"util", "utils", "helper", "helpers", "common", "misc"} == set()


@pytest.mark.parametrize("name", list(MODULES))
def test_public_names_are_there(name: str) -> None:
    if name == "flairlite.nn.chain_kernels":
        pytest.importorskip("triton", reason="Triton is not installed")
    if part_of(name) == "cli":
        pytest.importorskip("typer", reason="typer is not installed")
    if part_of(name) == "serving":
        pytest.importorskip("fastapi", reason="fastapi is not installed")
        pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")
    if part_of(name) == "spacy":
        pytest.importorskip("spacy", reason="spaCy is not installed")
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)
        assert public in dir(module), "names that are imported on first use need __dir__"


def test_version_is_that_of_the_installed_package() -> None:
    try:
        installed = importlib.metadata.version("flairlite")
    except importlib.metadata.PackageNotFoundError:
        installed = "0+unknown"  # a checkout on the path
    assert flairlite.__version__ == installed
    assert (PACKAGE / "py.typed").is_file()


# ---------------------------------------------------------------------------------------------- settings of the process


def test_device_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert package.device == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert package.device == torch.device("cuda:0")


def test_device_can_be_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("FLAIRLITE_DEVICE", "cuda:3")
    assert package.device == torch.device("cuda:3")
    package.device = "meta"
    assert package.device == runtime.get_device() == torch.device("meta")
    package.device = torch.device("cpu")
    assert package.device == torch.device("cpu")
    assert runtime.get_device("cuda:1") == torch.device("cuda:1")  # what is asked for beats what is set
    runtime.set_device(None)
    assert package.device == torch.device("cuda:3")


def test_environment_that_names_no_device_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAIRLITE_DEVICE", "abacus")
    with pytest.raises(SettingError, match="FLAIRLITE_DEVICE='abacus' is not a device: use cpu, cuda or cuda:N"):
        _ = package.device


def test_cache_root_can_be_assigned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLAIRLITE_CACHE_ROOT", "~/elsewhere")
    assert package.cache_root == Path.home() / "elsewhere"
    package.cache_root = str(tmp_path)
    assert package.cache_root == runtime.get_cache_root() == tmp_path
    package.cache_root = tmp_path / "deeper"
    assert package.cache_root == tmp_path / "deeper"
    runtime.set_cache_root(None)
    monkeypatch.delenv("FLAIRLITE_CACHE_ROOT")
    assert package.cache_root == Path.home() / ".flairlite"


def test_seed_is_zero_until_it_is_set() -> None:
    assert runtime.get_seed() == 0
    flairlite.set_seed(5)
    assert (runtime.get_seed(), runtime.get_seed(7)) == (5, 7)


def test_seeded_draws_the_same_and_leaves_the_global_state() -> None:
    before = torch.get_rng_state()
    draws = []
    for seed in (3, 3, None, 0, 4):
        with runtime.seeded(seed):
            draws.append(torch.rand(4).tolist())
    assert draws[0] == draws[1]
    assert draws[2] == draws[3]  # the seed of the process
    assert len({tuple(draw) for draw in draws}) == 3
    with pytest.raises(RuntimeError), runtime.seeded(1):
        torch.rand(-1)
    assert torch.equal(torch.get_rng_state(), before)


def test_progress_can_be_hidden_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", type("Terminal", (), {"isatty": lambda self: True})())
    assert runtime.is_interactive()
    with runtime.hide_progress():
        assert not runtime.is_interactive()
    assert runtime.is_interactive()


def test_parts_are_imported_when_they_are_asked_for() -> None:
    script = """
import sys
import flairlite
assert "flairlite.models" not in sys.modules and "flairlite.trainers" not in sys.modules
assert "models" in dir(flairlite)
assert flairlite.models.SequenceTagger.__name__ == "SequenceTagger"
assert "flairlite.trainers" not in sys.modules
try:
    flairlite.modles
except AttributeError as error:
    assert "'modles'" in str(error)
else:
    raise AssertionError
from flairlite import *
assert trainers.ModelTrainer and set_seed
"""
    subprocess.run([sys.executable, "-c", script], check=True)


# ----------------------------------------------------------------------------------------------------- without PyTorch

WITHOUT_TORCH = """
import json, pickle, sys, tempfile
from pathlib import Path

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError(f"{name} was imported, which must not be needed here")

sys.meta_path.insert(0, Blocker())
import flairlite
import flairlite.data, flairlite.deploy, flairlite.serving, flairlite.splitter, flairlite.tokenization
"""

USE_OF_DATA = """
from flairlite.data import ConcatDataset, Corpus, Dictionary, MultiCorpus, Sentence, Span, Token, get_spans_from_bio
from flairlite.splitter import NewlineSentenceSplitter, SegtokSentenceSplitter
from flairlite.tokenization import SpaceTokenizer, StaccatoTokenizer

flairlite.set_seed(3)
flairlite.cache_root = tempfile.gettempdir()
first, second = SegtokSentenceSplitter().split("I love Berlin. It is big.")
assert first.next_sentence() is second and [t.text for t in second.left_context(2)] == ["Berlin", "."]
first.set_token_labels("pos", ["PRON", "VERB", "PROPN", "PUNCT"], [0.5, 1.0, 1.0, 1.0]).add_label("topic", "travel")
first[2:3].add_label("ner", "LOC", note=1)
Span(first.tokens[:2]).add_label("chunk", "X")
second[0].add_label("feats", "Number=Sing").add_metadata("m", 1)
made = Sentence([Token("a", head_id=2), Token("b", head_id=0)])
assert made[0].get_head() is made[1]
for twin in (Sentence.from_dict(json.loads(json.dumps(first.to_dict()))), pickle.loads(pickle.dumps(first))):
    assert str(twin) == str(first)
first.clear_embeddings(), first.to("cpu"), first[0].clear_embeddings(), first[0].get_tags_proba_dist("pos")
assert first[0].get_each_embedding() == [] == first.embedding_names()
second.retokenize(StaccatoTokenizer())
second.truncate(2)
corpus = Corpus([first, second, made, Sentence("")], [Sentence("b")], sample_missing_splits=True)
corpus.filter_empty_sentences()
corpus.filter_long_sentences(100)
corpus.downsample(0.9)
assert isinstance(corpus.obtain_statistics(), str)
both = Corpus.from_examples([("in Berlin", [(3, 9, "LOC")]), (["in", "Rome"], ["O", "B-LOC"])], label_type="ner")
dictionary = both.make_label_dictionary("ner")
assert dictionary.get_items() == ["<unk>", "LOC"] and dictionary.span_labels
both.add_label_noise("ner", ["LOC", "PER"], 1.0)
assert len(MultiCorpus([corpus, both]).train) > 2
Corpus.from_dataframe({"text": ["a"], "label": ["x"]}).make_vocab_dictionary()
path = Path(tempfile.mkdtemp()) / "tags"
dictionary.save(path)
assert Dictionary.load(path) == dictionary
assert get_spans_from_bio(["B-X"]) == [([0], 1.0, "X")]
assert len(ConcatDataset([[first]], ["one"])[0].get_labels("multitask_id")) == 1
"""

USE_OF_DATASETS = """
import flairlite.datasets
from flairlite.datasets import SAMPLE_ENGLISH, SAMPLE_NER, SAMPLE_REVIEWS, FlairDatapointDataset, StringDataset
for corpus, label_type in ((SAMPLE_ENGLISH(), "upos"), (SAMPLE_NER(), "ner"), (SAMPLE_REVIEWS(), "sentiment")):
    assert len(corpus.make_label_dictionary(label_type)) > 2, corpus.get_label_types()
assert len(StringDataset(["a b"])[0]) == 2 and len(FlairDatapointDataset(list(corpus.train))) == len(corpus.train)
"""


@pytest.mark.parametrize("use", [USE_OF_DATA, USE_OF_DATASETS], ids=["data", "datasets"])
def test_sentences_and_corpora_need_no_torch(use: str, tmp_path: Path) -> None:
    """Importing torch is an error in this process, also for packages that would use it if they could."""
    script = WITHOUT_TORCH + use + "assert not [name for name in sys.modules if name.partition('.')[0] == 'torch']\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FLAIRLITE_CACHE_ROOT": str(tmp_path)}
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
