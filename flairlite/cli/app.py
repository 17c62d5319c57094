"""The commands with their arguments and help. What they do is imported when they run, so that help is fast."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from flairlite.bundled import BUNDLED_MODELS
from flairlite.cli.process import CommandGroup, warnings_on_stderr
from flairlite.version import __version__

app = typer.Typer(
    cls=CommandGroup,
    name="flairlite",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success, 1 a bug or a different result of rerun, 2 wrong input or usage, 130 Ctrl-C.",
)


class Kind(str, Enum):
    """What `init` writes a run file for."""

    upos = "upos"
    ner = "ner"
    classify = "classify"


class InputFormat(str, Enum):
    """The formats that `tag` reads."""

    text = "text"
    lines = "lines"
    words = "words"
    conllu = "conllu"
    jsonl = "jsonl"
    csv = "csv"
    tsv = "tsv"


class OutputFormat(str, Enum):
    """The formats that `tag` writes."""

    text = "text"
    tsv = "tsv"
    conllu = "conllu"
    jsonl = "jsonl"


_KEY_VARIABLE = "FLAIRLITE_API_KEY"
_MODEL_HELP = f"A model, such as best-model.pt, or the name of a bundled one: {', '.join(BUNDLED_MODELS)}."
ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help=_MODEL_HELP, show_default=False)]
RunFileArgument = Annotated[
    Path, typer.Argument(metavar="RUN.toml", help="A run file; **flairlite init** writes one.", show_default=False)
]
Device = Annotated[
    str | None,
    typer.Option(metavar="DEVICE", help="cpu, cuda or cuda:N; by default CUDA if there is one.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Sentences that pass through the network at once.")]


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"flairlite {__version__}")
        raise typer.Exit


@app.callback()
def flairlite(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train and apply sequence taggers and text classifiers.

    First steps, which need no network:

    ```sh
    flairlite init ner run.toml
    flairlite train run.toml --out my-model
    echo "Ada Lovelace lived in London." | flairlite tag my-model/best-model.pt
    ```
    """


@app.command()
def init(
    kind: Annotated[Kind, typer.Argument(help="Tags of words, named entities, or classes of texts.")],
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The file to write.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a run file with comments, which works as it is.

    It trains on data that comes with flairlite, so that no network is needed. Edit it for your own data.

    ```sh
    flairlite init ner run.toml
    ```
    """
    from flairlite.cli.init import write_template

    write_template(kind.value, run_file, force=force)


@app.command()
def train(
    run_file: RunFileArgument,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The folder to write into; by default RUN.toml without its ending."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the run file; can be repeated."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the folder, or begin it.")] = False,
    device: Device = None,
) -> None:
    """Train the model of a run file, and evaluate it on the test split.

    The folder gets best-model.pt, final-model.pt, training.log, predictions, and the run file as run.toml. Ctrl-C ends
    training early and keeps the model so far; --resume continues to the result of an uninterrupted run.

    ```sh
    flairlite train run.toml --out my-model --set trainer.max_epochs=3 --set embeddings.0.embeddings=glove
    ```
    """
    from flairlite.cli.train import run_training

    raise typer.Exit(run_training(run_file, out, changes or [], resume=resume, device=device))


@app.command()
def rerun(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of a run of flairlite train.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The new folder; by default FOLDER-rerun, with a number if it exists."),
    ] = None,
    device: Device = None,
) -> None:
    """Repeat a run in a new folder, and say whether the result is the same to the last bit.

    The exit code is 0 if it is, and 1 if it is not. Differences in versions and hardware are listed.

    ```sh
    flairlite rerun my-model
    ```
    """
    from flairlite.cli.train import repeat_training

    raise typer.Exit(repeat_training(folder, out, device=device))


@app.command()
def tag(
    model: ModelFile,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE ...]", help="Files to tag; standard input if none, or for -.", show_default=False
        ),
    ] = None,
    input_format: Annotated[
        InputFormat | None,
        typer.Option(
            "--input",
            "-i",
            help="**text**: running text, split into sentences and words; **lines**: a sentence in each line; "
            "**words**: likewise, with spaces between words; **conllu**; **jsonl**: objects with text or "
            "words; **csv**, **tsv**: tables, with the texts in the column text of the header, else in the first. By "
            "default from the name of the file, else text (for a classifier of texts, lines).",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--output",
            "-o",
            help="**text**: coloured on a terminal; **tsv**: a word and its tag in each line; **conllu**; "
            "**jsonl**: with scores and positions. By default as the input: conllu, jsonl or text.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to write, complete or not at all.", show_default="standard output"),
    ] = None,
    batch_size: BatchSize = 64,
    device: Device = None,
) -> None:
    """Predict the labels of sentences, in their order and in constant memory.

    Sentences are written as soon as they are read, so the input may be an endless stream. CoNLL-U keeps each byte
    except the predicted column.

    ```sh
    echo "Ada lives in London." | flairlite tag upos
    flairlite tag my-model/best-model.pt book.txt -o tsv --out book.tsv
    flairlite tag my-model/best-model.pt test.conllu --out predicted.conllu
    ```

    MODEL may also be a file of **flairlite export**, which needs no PyTorch.
    """
    from flairlite.cli.tag import tag_files

    formats = (input_format and input_format.value, output_format and output_format.value)
    with warnings_on_stderr():
        tag_files(model, files or [], *formats, out, batch_size=batch_size, device=device)


@app.command()
def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Models or files of **flairlite export**, as PATH or NAME=PATH; by default, the name is that of the "
            "file without its ending.",
            show_default=False,
        ),
    ],
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 for requests from other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for a free one.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar=_KEY_VARIABLE,
            metavar="KEY",
            help="Requests must have it, as `Authorization: Bearer KEY`. Use the variable: other users of the machine "
            "can read options.",
            show_default=False,
        ),
    ] = None,
    batch_size: BatchSize = 64,
    max_delay: Annotated[
        float, typer.Option(min=0, metavar="MS", help="Milliseconds for which a request waits for others.")
    ] = 2,
    max_waiting: Annotated[int, typer.Option(min=1, help="Requests that wait for a model; others get 503.")] = 256,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request.")] = 1 << 20,
    max_sentences: Annotated[int, typer.Option(min=1, help="Sentences of a request.")] = 1000,
    max_words: Annotated[int, typer.Option(min=1, help="Words of a request.")] = 20_000,
    device: Device = None,
) -> None:
    """Label texts over HTTP, until SIGTERM or Ctrl-C.

    Open the address in a browser to try the models. Programs send JSON to `/tag`, which `/openapi.json` describes;
    `/health`, `/ready` and `/metrics` are for monitoring. Requests that arrive at the same time are labelled together,
    and those that were accepted are answered before the server stops.

    ```sh
    flairlite serve my-model/best-model.pt topics=topics.onnx
    curl --json '{"text": "Ada lives in London.", "model": "best-model"}' http://127.0.0.1:8000/tag
    ```
    """
    from flairlite.cli.serve import serve_models
    from flairlite.errors import SettingError
    from flairlite.serving.settings import ServingSettings

    if api_key is None and os.environ.get(_KEY_VARIABLE) == "":  # as after a command that found no secret
        raise SettingError(f"{_KEY_VARIABLE} is empty: give the key, or unset the variable to serve without one")
    settings = ServingSettings(
        batch_size=batch_size,
        max_delay=max_delay / 1000,
        max_waiting=max_waiting,
        max_body=max_body,
        max_sentences=max_sentences,
        max_words=max_words,
        api_key=api_key,
    )
    with warnings_on_stderr():
        serve_models(models, host, port, device=device, settings=settings)


@app.command()
def evaluate(
    model: ModelFile,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file with gold labels.", show_default=False)],
    label_type: Annotated[
        str | None,
        typer.Option(help="The type of the gold labels, if it is not the model's.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    confusion: Annotated[bool, typer.Option("--confusion", help="Show which labels are confused.")] = False,
    batch_size: BatchSize = 64,
    device: Device = None,
) -> None:
    """Compare predictions with the gold labels of a file, and print the scores.

    The file is CoNLL-U for labels of words, columns or JSON lines (.jsonl) for spans, and fastText's format or a table
    (.csv, .tsv) for classes of texts.

    ```sh
    flairlite evaluate my-model/best-model.pt test.conllu --json
    ```
    """
    from flairlite.cli.evaluate import evaluate_file

    with warnings_on_stderr():
        evaluate_file(
            model, file, label_type, as_json=as_json, confusion=confusion, batch_size=batch_size, device=device
        )


@app.command()
def info(model: ModelFile, as_json: AsJson = False) -> None:
    """Show what is in a model file: labels, embeddings, scores, settings, versions and sizes.

    ```sh
    flairlite info my-model/best-model.pt
    ```
    """
    from flairlite.cli.info import show_model

    show_model(model, as_json=as_json)


@app.command()
def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME ...]", help="Treebanks, other corpora or word vectors.", show_default=False),
    ] = None,
) -> None:
    """Download corpora and word vectors into the cache, or list them.

    ```sh
    flairlite download UD_GERMAN glove
    ```
    """
    from flairlite.cli.download import download_data

    with warnings_on_stderr():
        download_data(names or [])


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a training run.", show_default=False)],
) -> None:
    """Write an HTML report about a training run into its folder.

    ```sh
    flairlite report my-model
    ```
    """
    from flairlite.cli.files import report_run

    with warnings_on_stderr():
        report_run(folder)


@app.command()
def convert(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A model of Flair.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The file to write.", show_default=False)],
) -> None:
    """Write a model of Flair, or of an older version, as a model file of this version.

    ```sh
    flairlite convert flair-model.pt my-model.pt
    ```
    """
    from flairlite.cli.files import convert_model

    with warnings_on_stderr():
        convert_model(old, new)


@app.command()
def export(
    model: ModelFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.", show_default=False)],
) -> None:
    """Export a model to a file for predictions without PyTorch, by **flairlite tag** or flairlite.deploy.

    ```sh
    flairlite export my-model/best-model.pt my-model.onnx
    echo "Ada lives in London." | flairlite tag my-model.onnx
    ```
    """
    from flairlite.cli.files import export_model

    with warnings_on_stderr():
        export_model(model, out)
