"""Train a model on a corpus."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler

from flairlite.data import Corpus
from flairlite.errors import SettingError, TrainingError
from flairlite.metrics import DEFAULT_METRIC
from flairlite.models import Model
from flairlite.runtime import get_device, get_seed
from flairlite.storage.atomic import make_folder
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.callbacks.checkpoint import read_checkpoint
from flairlite.trainers.callbacks.training_log import logging_to
from flairlite.trainers.optimizer_options import with_options
from flairlite.trainers.optimizers import OptimizerFactory
from flairlite.trainers.plugins.base import BasePlugin, Pluggable
from flairlite.trainers.plugins.events import Events
from flairlite.trainers.plugins.schedules import LinearSchedulerPlugin
from flairlite.trainers.process.malloc import tidy_heap
from flairlite.trainers.process.run_folder import CHECKPOINT, TRAINING_LOG, locked
from flairlite.trainers.run import History
from flairlite.trainers.session import Session
from flairlite.trainers.settings import MAY_CHANGE, TrainingSettings


class ModelTrainer(Pluggable):
    """Trains a model on the training split of a corpus, and judges it on the others.

    Args:
        model: The model.
        corpus: The corpus.

    Attributes:
        optimizer: The optimizer, while training goes on.
        return_values: What `train` returns; plugins may add to it.
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
        self.model = model
        self.corpus = corpus
        self.optimizer: torch.optim.Optimizer | None = None
        self.return_values: dict[str, Any] = {}

    def train(
        self,
        base_path: str | Path,
        *,
        learning_rate: float = 0.1,
        decoder_learning_rate: float | None = None,
        mini_batch_size: int = 32,
        mini_batch_chunk_size: int | None = None,
        eval_batch_size: int = 64,
        max_epochs: int = 100,
        max_grad_norm: float | None = 5.0,
        optimizer: OptimizerFactory = torch.optim.SGD,
        anneal_factor: float = 0.5,
        patience: int = 3,
        min_learning_rate: float | Sequence[float] = 0.0001,
        initial_extra_patience: int = 0,
        anneal_with_restarts: bool = False,
        attach_default_scheduler: bool = True,
        train_with_dev: bool = False,
        train_with_test: bool = False,
        monitor_test: bool = False,
        monitor_train_sample: float = 0,
        main_evaluation_metric: tuple[str, str] = DEFAULT_METRIC,
        use_final_model_for_eval: bool = False,
        exclude_labels: Sequence[str] | None = None,
        sampler: Sampler[int] | type[Sampler[int]] | None = None,
        shuffle: bool = True,
        shuffle_first_epoch: bool = True,
        bucketing: bool = True,
        embeddings_storage_mode: str = "cpu",
        use_amp: bool = False,
        save_final_model: bool = True,
        compact_vectors: bool = True,
        checkpoint_every: int | None = None,
        resume: bool = False,
        save_model_each_k_epochs: int = 0,
        create_file_logs: bool = True,
        create_loss_file: bool = True,
        write_weights: bool = False,
        plugins: Sequence[Callback | BasePlugin] | None = None,
        seed: int | None = None,
        device: str | torch.device | None = None,
        **optimizer_options: Any,
    ) -> dict[str, Any]:
        """Train, then evaluate the best model on the test split.

        Writes into `base_path`: best-model.pt, final-model.pt, training.log, loss.tsv, dev.tsv, test.tsv, and
        checkpoint.pt, from which the run can go on. Afterwards the model has the weights of the best epoch, or of the
        last one where there is no dev split to choose by.

        Ctrl-C ends training early: a checkpoint is written, and what was reached is saved and evaluated. SIGTERM ends
        the program with 143 as soon as a checkpoint is written. A second one ends either at once.

        Args:
            base_path: The folder to write into.
            learning_rate: The first learning rate.
            decoder_learning_rate: Another one for all weights but those of the embeddings.
            mini_batch_size: Sentences a step; on average, with `bucketing`, where words are learned from.
            mini_batch_chunk_size: Sentences computed at once in a step, where all of them do not fit into memory.
            eval_batch_size: Sentences computed at once in evaluations.
            max_epochs: Epochs, at most.
            max_grad_norm: What the norm of the gradients is clipped to; None leaves it.
            optimizer: Makes an optimizer of the parameters and `lr`: a class of `torch.optim`, say.
            anneal_factor: What the learning rate is multiplied with when the score on dev gets no better.
            patience: Epochs in a row without a better score before that.
            min_learning_rate: Training stops when the learning rate falls below; or one for each group of weights.
            initial_extra_patience: So many more epochs before the learning rate is annealed for the first time.
            anneal_with_restarts: Go on from the best model whenever the learning rate was annealed.
            attach_default_scheduler: Anneal at all.
            train_with_dev: Train on dev too; the training loss then decides about annealing, and no model is the best.
            train_with_test: Train on test too; there is no final evaluation then.
            monitor_test: Evaluate the test split after each epoch too, for log and loss.tsv only.
            monitor_train_sample: Evaluate some training sentences too: a number of them, or a part between 0 and 1.
            main_evaluation_metric: The figure that decides which epoch is the best, as `("macro avg", "f1-score")`.
            use_final_model_for_eval: Evaluate the model of the last epoch; no best one is kept.
            exclude_labels: Labels to leave out of evaluations, with what has only these as gold labels.
            sampler: Yields positions of sentences for each epoch (`flairlite.samplers`), in place of `shuffle`.
            shuffle: Visit the sentences in a new random order in each epoch; else in the order they have.
            shuffle_first_epoch: Do so in the first epoch too.
            bucketing: When shuffling, put sentences of about the same length into a batch, which is much faster. The
                batches of a tagger are smaller then where sentences are long.
            embeddings_storage_mode: `cpu` keeps encoded sentences on the host, `gpu` on the device, and `none` encodes
                each batch when it is needed.
            use_amp: Compute in bfloat16 what bears it (automatic mixed precision); weights stay in float32.
            save_final_model: Write final-model.pt.
            compact_vectors: Round fixed word vectors to twelve bits a value, in training and in the files, which are
                less than half as large then and predict the same as the model in memory.
            checkpoint_every: Write the checkpoint after so many steps too, not only at the end of each epoch.
            resume: Go on with the run in `base_path`, which may have ended in any way; begin where there is none. The
                result is the same to the last bit as that of a run that was never interrupted, where model, corpus,
                plugins and settings are the same; with a higher `max_epochs` a finished run goes on.
            save_model_each_k_epochs: Write model_epoch_N.pt every so many epochs; 0 for never.
            create_file_logs: Write training.log.
            create_loss_file: Write loss.tsv.
            write_weights: Write weights.txt, which `Plotter.plot_weights` draws.
            plugins: Callbacks of your own, or Flair's plugins (`flairlite.trainers.plugins`). One that changes the
                learning rate takes the place of annealing.
            seed: Decides order and dropout; the process's default seed when None.
            device: Where to train; the default device when None.
            optimizer_options: More for the optimizer, as `weight_decay=0.01`.

        Returns:
            `test_score` (None without a test split) and, an entry an epoch, `train_loss_history`, `dev_loss_history`
            and `dev_score_history`.

        Raises:
            SettingError: when a setting makes no sense, or is none.
            LabelError: when the labels of the corpus are not those of the model.
            TrainingError: when there is nothing to train on, or the loss is not finite.
            FileWriteError: If `base_path` cannot be written.
        """
        known = inspect.signature(self.train).parameters
        lowest = tuple(min_learning_rate) if isinstance(min_learning_rate, Sequence) else min_learning_rate
        settings = TrainingSettings(
            learning_rate=learning_rate,
            decoder_learning_rate=decoder_learning_rate,
            mini_batch_size=mini_batch_size,
            mini_batch_chunk_size=mini_batch_chunk_size,
            eval_batch_size=eval_batch_size,
            max_epochs=max_epochs,
            max_grad_norm=max_grad_norm,
            optimizer=with_options(optimizer, optimizer_options, known),
            anneal_factor=anneal_factor,
            patience=patience,
            min_learning_rate=lowest,
            initial_extra_patience=initial_extra_patience,
            anneal_with_restarts=anneal_with_restarts,
            attach_default_scheduler=attach_default_scheduler,
            train_with_dev=train_with_dev,
            train_with_test=train_with_test,
            monitor_test=monitor_test,
            monitor_train_sample=monitor_train_sample,
            main_evaluation_metric=main_evaluation_metric,
            use_final_model_for_eval=use_final_model_for_eval,
            exclude_labels=(exclude_labels,) if isinstance(exclude_labels, str) else tuple(exclude_labels or ()),
            shuffle=shuffle,
            shuffle_first_epoch=shuffle_first_epoch,
            bucketing=bucketing,
            embeddings_storage_mode=embeddings_storage_mode,
            use_amp=use_amp,
            save_final_model=save_final_model,
            compact_vectors=compact_vectors,
            checkpoint_every=checkpoint_every,
            save_model_each_k_epochs=save_model_each_k_epochs,
            create_file_logs=create_file_logs,
            create_loss_file=create_loss_file,
            write_weights=write_weights,
            seed=get_seed(seed),
        )
        settings.check_metric(self.model)
        folder = make_folder(Path(base_path))
        with locked(folder):
            checkpoint = read_checkpoint(folder) if resume else None
            return self._run(folder, settings, plugins or (), sampler, device, checkpoint)

    def fine_tune(
        self,
        base_path: str | Path,
        *,
        warmup_fraction: float = 0.1,
        learning_rate: float = 5e-5,
        mini_batch_size: int = 4,
        eval_batch_size: int = 16,
        max_epochs: int = 10,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        use_final_model_for_eval: bool = True,
        attach_default_scheduler: bool = True,
        plugins: Sequence[Callback | BasePlugin] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Train in small steps: the learning rate rises for a while, and then falls to nothing with the last step.

        Args:
            base_path: The folder to write into.
            warmup_fraction: The part of all steps in which the learning rate rises.
            learning_rate: The highest learning rate.
            mini_batch_size: Sentences a step.
            eval_batch_size: Sentences computed at once in evaluations.
            max_epochs: Epochs.
            optimizer: Makes an optimizer of the parameters and `lr`.
            use_final_model_for_eval: Evaluate the model of the last epoch; no best one is kept.
            attach_default_scheduler: Let the learning rate rise and fall.
            plugins: Callbacks or plugins; one that changes the learning rate takes the place of all that.
            options: What else `train` takes.

        Returns:
            What `train` returns.
        """
        own = list(plugins or ())
        if attach_default_scheduler and not any(isinstance(plugin, Callback) and plugin.schedules for plugin in own):
            own.insert(0, LinearSchedulerPlugin(warmup_fraction))
        return self.train(
            base_path,
            learning_rate=learning_rate,
            mini_batch_size=mini_batch_size,
            eval_batch_size=eval_batch_size,
            max_epochs=max_epochs,
            optimizer=optimizer,
            use_final_model_for_eval=use_final_model_for_eval,
            attach_default_scheduler=False,
            plugins=own,
            **options,
        )

    def train_custom(self, base_path: str | Path, **options: Any) -> dict[str, Any]:
        """Train without a default for the learning rate: it stays, unless a plugin changes it; see `train`."""
        return self.train(base_path, **{"attach_default_scheduler": False, **options})

    def resume(
        self,
        base_path: str | Path,
        *,
        optimizer: OptimizerFactory | None = None,
        plugins: Sequence[Callback | BasePlugin] = (),
        sampler: Sampler[int] | type[Sampler[int]] | None = None,
        device: str | torch.device | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """Go on with a run, with the settings that it had; see `train` with `resume=True`.

        The model, whose weights are replaced, and the corpus are made as they were for that run.

        Args:
            base_path: The folder of the run.
            optimizer: What made its optimizer, where that is not one of torch's.
            plugins: Callbacks like those of the run; they get the state that theirs had.
            sampler: A sampler like that of the run, if it had one; likewise.
            device: Where to train; the default device when None.
            changes: Settings that may be others now, such as `max_epochs`.

        Returns:
            What `train` returns, with the histories from the first epoch on.

        Raises:
            TrainingError: when there is no checkpoint in the folder, another run is writing there, or as in `train`.
            SettingError: when model, corpus, plugins or settings are not those of the run.
        """
        folder = Path(base_path)
        if not (folder / CHECKPOINT).is_file():
            raise TrainingError(f"no {CHECKPOINT} in {folder}: there is no run to go on with. Use train")
        with locked(folder):
            checkpoint = read_checkpoint(folder)
            assert checkpoint is not None
            if unknown := ", ".join(sorted(changes.keys() - checkpoint["settings"].keys())):
                raise SettingError(f"training has no setting {unknown}; those that may change: {', '.join(MAY_CHANGE)}")
            settings = TrainingSettings.from_plain({**checkpoint["settings"], **changes}, optimizer=optimizer)
            return self._run(folder, settings, plugins, sampler, device, checkpoint)

    def _run(
        self,
        folder: Path,
        settings: TrainingSettings,
        plugins: Sequence[Callback | BasePlugin],
        sampler: Sampler[int] | type[Sampler[int]] | None,
        device: str | torch.device | None,
        checkpoint: Mapping[str, Any] | None,
        *,
        inputs: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        log_path = folder / TRAINING_LOG if settings.create_file_logs else None
        with logging_to(log_path, goes_on=checkpoint is not None), tidy_heap(), self._attached(plugins):
            callbacks = [plugin for plugin in plugins if isinstance(plugin, Callback)]
            if any(map(self.has_hook, self.valid_events)):
                callbacks.append(Events(self, {"base_path": folder, **vars(settings)}))
            model = self.model.to(get_device(device))
            chosen = sampler() if isinstance(sampler, type) else sampler
            with Session(model, self.corpus, settings, folder, callbacks, chosen) as session:
                if inputs is not None:
                    session.check_inputs(inputs)
                session.train(checkpoint)
                self.return_values = _values(session.run.history, session.finish())
        return self.return_values

    @contextlib.contextmanager
    def _attached(self, plugins: Sequence[Callback | BasePlugin]) -> Iterator[None]:
        attached: list[BasePlugin] = []
        try:
            for plugin in plugins:
                if isinstance(plugin, BasePlugin):
                    plugin.attach_to(self)
                    attached.append(plugin)
                elif not isinstance(plugin, Callback):
                    raise SettingError(f"plugins must be Callbacks or TrainerPlugins; one is {plugin!r}")
            yield
        finally:
            for plugin in attached:
                plugin.detach()


def _values(history: History, score: float | None) -> dict[str, Any]:
    return {
        "test_score": score,
        "dev_score_history": history.dev_scores,
        "train_loss_history": history.train_losses,
        "dev_loss_history": history.dev_losses,
    }
