"""Train a model on a corpus."""

from __future__ import annotations

import contextlib
import difflib
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Sampler

from flairlite.checks import flag, folder_path, shown
from flairlite.data import Corpus
from flairlite.errors import FileWriteError, SettingError, TrainingError
from flairlite.models import Model
from flairlite.runtime import get_device
from flairlite.storage.atomic import make_folder
from flairlite.storage.run_files import CHECKPOINT, TRAINING_LOG
from flairlite.trainers.batch_order import make_sampler
from flairlite.trainers.callbacks.annealing import Annealing
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.callbacks.checkpoint import read_checkpoint
from flairlite.trainers.callbacks.training_log import logging_errors_only, logging_to
from flairlite.trainers.data_parallel import SingleProcess, open_processes
from flairlite.trainers.plugins.averages import WeightAveragePlugin
from flairlite.trainers.plugins.base import BasePlugin, Pluggable
from flairlite.trainers.plugins.events import Events
from flairlite.trainers.plugins.schedules import LinearSchedulerPlugin, StepSchedule
from flairlite.trainers.process.malloc import tidy_heap
from flairlite.trainers.process.run_folder import RunFolderError, lock_folder
from flairlite.trainers.settings import FINE_TUNE, MAY_CHANGE, TrainingSettings, with_settings
from flairlite.trainers.training_run import TrainingRun

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from flairlite.trainers.options import TrainingOptions

log = logging.getLogger("flairlite")

_in_training: set[int] = set()  # ids of the models that are being trained
_lock = threading.Lock()  # of this set

_SINGLE: Mapping[Any, str] = {  # plugins of which a run has one at most
    WeightAveragePlugin: "average of the weights",
    (StepSchedule, Annealing): "schedule of the learning rate",
}
_WARMUP = 0.1
_Samplers = Sampler[int] | type[Sampler[int]]  # what `sampler` may be


class ModelTrainer(Pluggable):
    """Trains a model on the training split of a corpus, and evaluates it on the other splits.

    Args:
        model: The model.
        corpus: The corpus.

    Attributes:
        optimizer: The optimizer during training, otherwise None.
        return_values: What `train` returns; plugins may add to it.

    Raises:
        SettingError: If `model` is not a model or `corpus` is not a corpus.
    """

    valid_events = frozenset(
        {
            "after_setup",
            "before_training_epoch",
            "before_training_batch",
            "before_training_optimizer_step",
            "after_training_batch",
            "after_training_epoch",
            "after_evaluation",
            "metric_recorded",
            "after_training_loop",
            "training_interrupt",
            "_training_exception",
            "_training_finally",
            "after_training",
        }
    )

    def __init__(self, model: Model, corpus: Corpus) -> None:
        super().__init__()
        if isinstance(model, Corpus) and isinstance(corpus, Model):
            raise SettingError("the arguments are swapped: call ModelTrainer(model, corpus)")
        for name, value, kind in (("model", model, Model), ("corpus", corpus, Corpus)):
            if not isinstance(value, kind):
                raise SettingError(f"{name} must be a {kind.__name__}; it is {shown(value)}")
        self.model = model
        self.corpus = corpus
        self.optimizer: torch.optim.Optimizer | None = None
        self.return_values: dict[str, Any] = {}

    @with_settings(TrainingSettings())
    def train(
        self,
        base_path: str | Path,
        *,
        settings: TrainingSettings | None = None,
        plugins: Sequence[Callback | BasePlugin] | None = None,
        sampler: _Samplers | None = None,
        resume: bool = False,
        device: str | torch.device | None = None,
        multi_gpu: bool = False,
        **options: Unpack[TrainingOptions],
    ) -> dict[str, Any]:
        """Train, then evaluate the best model on the test split.

        Writes into `base_path`: best-model.pt, final-model.pt, training.log, loss.tsv, dev.tsv, test.tsv, run.json and
        checkpoint.pt, from which the run can continue; history.jsonl, the results of each epoch; test-scores.tsv, the
        scores of the predictions in test.tsv, line by line; and report.html (`flairlite.visual.report`). Afterwards
        the model has the weights of the best epoch, or of the last one without a dev split.

        Ctrl-C ends training early: a checkpoint is written, and the model is saved and evaluated. SIGTERM ends the
        program with exit code 143 when a checkpoint is written. A second signal ends either at once.

        Args:
            base_path: The folder to write into.
            settings: Settings to use in place of the defaults; `options` change single ones.
            plugins: Your own callbacks, or Flair's plugins (`flairlite.trainers.plugins`). A plugin that changes the
                learning rate replaces annealing.
            sampler: Yields the positions of the sentences of each epoch (`flairlite.samplers`), in place of `shuffle`.
            resume: Whether to continue the run in `base_path`, however it ended, or to begin if there is none. With the
                same model, corpus, plugins and settings the result is the same to the last bit as that of a run that
                was never interrupted. With a higher `max_epochs` a finished run continues.
            device: The device to train on; None for the default device.
            multi_gpu: Whether to train in all processes that `flairlite.distributed_utils.launch_distributed` or
                torchrun has started, one per GPU or several on the CPU. All of them must call `train` with the same
                model, corpus and settings. Each computes `mini_batch_size` sentences of a step, so that two processes
                do what one does with twice the batch size; evaluations are shared too. Only the process of rank 0
                writes files and messages. If a process fails or is killed, all of them end.
            options: Any of the settings (see `flairlite.trainers.TrainingSettings`), such as `max_epochs=10`, and
                options of the optimizer, such as `weight_decay=0.01`.

        Returns:
            `test_score` (None without a test split) and, with one entry per epoch, `train_loss_history`,
            `dev_loss_history` and `dev_score_history`.

        Raises:
            SettingError: If an argument has the wrong type or makes no sense, or is unknown.
            LabelError: If the labels of the corpus are not those of the model.
            TrainingError: If there is nothing to train on, `base_path` cannot be written, or the loss is not finite.
        """
        chosen = TrainingSettings.from_options(options, settings)
        parts = _Parts(plugins, sampler, device, multi_gpu)
        flag("resume", resume)
        chosen.check_metric(self.model)
        with parts.open(self.model) as processes, _open_folder(base_path, processes) as folder:
            checkpoint = processes.on_main(lambda: read_checkpoint(folder)) if resume else None
            return self._run(folder, chosen, parts, processes, checkpoint)

    @with_settings(FINE_TUNE)
    def fine_tune(
        self,
        base_path: str | Path,
        *,
        warmup_fraction: float = _WARMUP,
        settings: TrainingSettings | None = None,
        plugins: Sequence[Callback | BasePlugin] | None = None,
        sampler: _Samplers | None = None,
        resume: bool = False,
        device: str | torch.device | None = None,
        multi_gpu: bool = False,
        **options: Unpack[TrainingOptions],
    ) -> dict[str, Any]:
        """Train in small steps: the learning rate rises for a while, and then falls to nothing with the last step.

        Args:
            base_path: The folder to write into.
            warmup_fraction: The part of all steps in which the learning rate rises.
            settings: Settings to use in place of the defaults of `fine_tune`.
            plugins: As in `train`; a plugin that changes the learning rate replaces rise and fall.
            sampler: As in `train`.
            resume: As in `train`.
            device: As in `train`.
            multi_gpu: As in `train`.
            options: As in `train`.

        Returns:
            What `train` returns.

        Raises:
            SettingError: As `train`, or if `warmup_fraction` is given for a run that has another schedule.
        """
        chosen = TrainingSettings.from_options(options, FINE_TUNE if settings is None else settings)
        schedule = LinearSchedulerPlugin(warmup_fraction)
        own = _check_plugins(plugins)
        if chosen.attach_default_scheduler and not any(getattr(plugin, "schedules", False) for plugin in own):
            own.insert(0, schedule)
        elif warmup_fraction != _WARMUP:
            raise SettingError(
                f"warmup_fraction={warmup_fraction} is for the schedule of fine_tune, which this run does not have: "
                "give it to the plugin that changes the learning rate, or leave it out"
            )
        return self.train(
            base_path,
            settings=chosen,
            plugins=own,
            sampler=sampler,
            resume=resume,
            device=device,
            multi_gpu=multi_gpu,
            attach_default_scheduler=False,
        )

    def train_custom(self, base_path: str | Path, **options: Any) -> dict[str, Any]:
        """Train with a constant learning rate, unless a plugin changes it; the arguments are those of `train`."""
        return self.train(base_path, **{"attach_default_scheduler": False, **options})

    def resume(
        self,
        base_path: str | Path,
        *,
        optimizer: Any = None,
        plugins: Sequence[Callback | BasePlugin] | None = None,
        sampler: _Samplers | None = None,
        device: str | torch.device | None = None,
        multi_gpu: bool = False,
        **changes: Any,
    ) -> dict[str, Any]:
        """Continue a run with its settings; see `train` with `resume=True`.

        Model and corpus must be made as for that run. The weights of the model are replaced.

        Args:
            base_path: The folder of the run.
            optimizer: The optimizer of the run, if it is not one of torch's.
            plugins: Callbacks like those of the run; they get the state of those.
            sampler: A sampler like that of the run, if it had one; likewise.
            device: The device to train on; None for the default device.
            multi_gpu: As in `train`; for a run of several processes, of which there must be as many again.
            changes: Settings that may change, such as `max_epochs`.

        Returns:
            What `train` returns, with the histories from the first epoch on.

        Raises:
            TrainingError: If there is no checkpoint in the folder, another run is writing there, or as in `train`.
            SettingError: If model, corpus, plugins or settings are not those of the run.
        """
        parts = _Parts(plugins, sampler, device, multi_gpu)
        path = folder_path("base_path", base_path)

        def check_there_is_one() -> None:
            if not (path / CHECKPOINT).is_file():
                raise TrainingError(f"no {CHECKPOINT} in {base_path}: there is no run to continue. Use train")

        with contextlib.ExitStack() as stack:
            processes = stack.enter_context(parts.open(self.model))
            processes.on_main(check_there_is_one)
            folder = stack.enter_context(_open_folder(base_path, processes))
            checkpoint = processes.on_main(lambda: read_checkpoint(folder))
            if checkpoint is None:
                raise TrainingError(f"{CHECKPOINT} has just been removed from {folder}. Use train")
            if unknown := ", ".join(sorted(changes.keys() - checkpoint["settings"].keys())):
                raise SettingError(f"training has no setting {unknown}; those that may change: {', '.join(MAY_CHANGE)}")
            settings = TrainingSettings.from_plain({**checkpoint["settings"], **changes}, optimizer=optimizer)
            return self._run(folder, settings, parts, processes, checkpoint)

    def _run(
        self,
        folder: Path,
        settings: TrainingSettings,
        parts: _Parts,
        processes: SingleProcess,
        checkpoint: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        log_path = folder / TRAINING_LOG if settings.create_file_logs else None
        logged = logging_to(log_path, opened=False) if processes.is_main else logging_errors_only()
        tuned = tidy_heap() if settings.tune_process else contextlib.nullcontext()
        with _claim(self.model), logged as log_file, tuned, self._attach(parts.plugins):
            settings = settings.for_device(parts.device)
            callbacks = [plugin for plugin in parts.plugins if isinstance(plugin, Callback)]
            has_plugins = processes.size > 1 and self.plugins  # some act in the main process only
            if has_plugins or any(map(self.has_hook, self.valid_events)):
                callbacks.append(Events(self, {"base_path": folder, **vars(settings)}))
            model = self.model.to(parts.device)
            run = TrainingRun(model, self.corpus, settings, folder, callbacks, parts.sampler, log_file, processes)
            with run:
                run.train(checkpoint)
                score, history = run.finish(), run.state.history
                self.return_values = {
                    "test_score": score,
                    "dev_score_history": history.dev_scores,
                    "train_loss_history": history.train_losses,
                    "dev_loss_history": history.dev_losses,
                }
        return self.return_values

    @contextlib.contextmanager
    def _attach(self, plugins: Sequence[Callback | BasePlugin]) -> Iterator[None]:
        """Attach Flair's plugins to the trainer within a `with` statement."""
        attached: list[BasePlugin] = []
        try:
            for plugin in plugins:
                if isinstance(plugin, BasePlugin):
                    plugin.attach_to(self)
                    attached.append(plugin)
            yield
        finally:
            for plugin in attached:
                plugin.detach()


class _Parts:
    """The arguments of `train` that are not settings, checked.

    Args:
        plugins: Callbacks and plugins.
        sampler: A sampler or its class.
        device: A device.
        multi_gpu: Whether to train in several processes.
    """

    def __init__(self, plugins: Any, sampler: Any, device: Any, multi_gpu: Any) -> None:
        self.plugins = _check_plugins(plugins)
        self.sampler = make_sampler(sampler)
        self.multi_gpu: bool = flag("multi_gpu", multi_gpu)
        self.device = _find_device(device)

    def open(self, model: Model) -> contextlib.AbstractContextManager[SingleProcess]:
        """Return a context manager of the processes that train a model."""
        return open_processes(model, self.device, multi_gpu=self.multi_gpu)


def _check_plugins(plugins: Any) -> list[Callback | BasePlugin]:
    if isinstance(plugins, (Callback, BasePlugin)):
        raise SettingError(f"plugins must be a list; give plugins=[{type(plugins).__name__}(...)]")
    if plugins is not None and (isinstance(plugins, (str, bytes, type)) or not isinstance(plugins, Iterable)):
        raise SettingError(f"plugins must be a list of Callbacks or TrainerPlugins; it is {shown(plugins)}")
    found = [] if plugins is None else list(plugins)
    for plugin in found:
        if not isinstance(plugin, (Callback, BasePlugin)):
            hint = f"; give an object, {plugin.__name__}(...)" if isinstance(plugin, type) else ""
            raise SettingError(f"plugins must be Callbacks or TrainerPlugins; one is {shown(plugin)}{hint}")
        if isinstance(plugin, Callback):
            _warn_about_hooks(plugin)
    if len(set(map(id, found))) < len(found):
        raise SettingError("plugins must be different objects: one of them is in the list twice")
    for kinds, what in _SINGLE.items():
        if len(names := [type(plugin).__name__ for plugin in found if isinstance(plugin, kinds)]) > 1:
            raise SettingError(f"a run has one {what}, and plugins has {', '.join(names)}: choose one")
    return found


def _warn_about_hooks(callback: Callback) -> None:
    """Warn about methods whose names are almost those of hooks, because they are never called."""
    hooks = [name for name in dir(Callback) if name.startswith("on_")]
    for name in (name for name in dir(type(callback)) if name.startswith("on_") and name not in hooks):
        if close := difflib.get_close_matches(name, hooks, n=1, cutoff=0.75):
            log.warning("%s.%s is never called: did you mean %s?", type(callback).__name__, name, close[0])


def _find_device(device: Any) -> torch.device:
    """Return a device on which tensors can be made."""
    try:
        found = get_device(device)
        torch.zeros(1, device=found)
    except (TypeError, RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises all of these
        reason = str(error).partition("\n")[0]
        raise SettingError(f"device {shown(device)} cannot be used: {reason}. Use cpu, cuda or cuda:N") from error
    return found


@contextlib.contextmanager
def _claim(model: Model) -> Iterator[None]:
    """Keep other runs from training a model within the `with` statement.

    Raises:
        TrainingError: If another run trains it.
    """
    with _lock:
        if id(model) in _in_training:
            raise TrainingError("another run trains this model now: wait for its end, or make another model")
        _in_training.add(id(model))
    try:
        yield
    finally:
        _in_training.discard(id(model))


@contextlib.contextmanager
def _open_folder(base_path: Any, processes: SingleProcess) -> Iterator[Path]:
    """Make the folder of a run and lock it, in the main process.

    Raises:
        SettingError: If the path is not one.
        TrainingError: If another run has the folder.
        RunFolderError: If the folder, or later a file in it, cannot be written.
    """
    path = folder_path("base_path", base_path).absolute()  # the program may change its working folder meanwhile
    try:
        with contextlib.ExitStack() as stack:

            def open_folder() -> Path:
                folder = make_folder(path)
                stack.enter_context(lock_folder(folder))
                return folder

            yield processes.on_main(open_folder)
    except RunFolderError:
        raise
    except FileWriteError as error:
        raise RunFolderError(str(error), path=error.path, errno=error.errno) from error
