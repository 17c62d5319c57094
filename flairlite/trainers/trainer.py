"""Train a model on a corpus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flairlite.batching import bucketed_batches, plain_batches
from flairlite.data import Corpus
from flairlite.errors import SettingError
from flairlite.files import make_folder
from flairlite.metrics import AVERAGES, DEFAULT_METRIC, FIGURES, Result
from flairlite.models import Model
from flairlite.models.evaluation import evaluate_dataset
from flairlite.runtime import get_device, get_seed
from flairlite.trainers.annealing import Annealing
from flairlite.trainers.best_model import BEST_MODEL, BestModel
from flairlite.trainers.callback import Callback, Run
from flairlite.trainers.loop import check_finite, train_epoch
from flairlite.trainers.loss_table import LossTable
from flairlite.trainers.splits import STORAGE_MODES, Split, encode_split
from flairlite.trainers.training_log import LINE, TrainingLog, logging_to

log = logging.getLogger("flairlite")

FINAL_MODEL = "final-model.pt"
_OUTPUTS = (BEST_MODEL, FINAL_MODEL, "dev.tsv", "test.tsv")  # training.log and loss.tsv are written anew in any case


class ModelTrainer:
    """Trains a model on the training split of a corpus, and judges it on the others.

    Args:
        model: The model.
        corpus: The corpus.
    """

    def __init__(self, model: Model, corpus: Corpus) -> None:
        self.model = model
        self.corpus = corpus

    def train(
        self,
        base_path: str | Path,
        *,
        learning_rate: float = 0.1,
        mini_batch_size: int = 32,
        eval_batch_size: int = 64,
        max_epochs: int = 100,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
        anneal_factor: float = 0.5,
        patience: int = 3,
        min_learning_rate: float = 0.0001,
        train_with_dev: bool = False,
        monitor_test: bool = False,
        main_evaluation_metric: tuple[str, str] = DEFAULT_METRIC,
        shuffle: bool = True,
        bucketing: bool = True,
        embeddings_storage_mode: str = "cpu",
        use_amp: bool = False,
        save_final_model: bool = True,
        plugins: Sequence[Callback] = (),
        seed: int | None = None,
        device: str | torch.device | None = None,
    ) -> dict[str, Any]:
        """Train, then evaluate the best model on the test split.

        Writes into `base_path`: best-model.pt, final-model.pt, training.log, loss.tsv, dev.tsv and test.tsv. Ctrl-C
        ends training early: what was reached is saved and evaluated. Afterwards the model has the weights of the best
        epoch, or of the last one where there is no dev split to choose by.

        Args:
            base_path: The folder to write into.
            learning_rate: The first learning rate.
            mini_batch_size: Sentences a step.
            eval_batch_size: Sentences computed at once in evaluations.
            max_epochs: Epochs, at most.
            optimizer: Makes an optimizer of the parameters and `lr`: a class of `torch.optim`, say.
            anneal_factor: What the learning rate is multiplied with when the score on dev gets no better.
            patience: Epochs in a row without a better score before that.
            min_learning_rate: Training stops when the learning rate falls below.
            train_with_dev: Train on dev too; the training loss then decides about annealing, and no model is the best.
            monitor_test: Evaluate the test split after each epoch too, for log and loss.tsv only.
            main_evaluation_metric: The figure that decides which epoch is the best, as `("macro avg", "f1-score")`.
            shuffle: Visit the sentences in a new random order in each epoch; else in the order they have.
            bucketing: When shuffling, put sentences of about the same length into a batch, which is much faster.
            embeddings_storage_mode: `cpu` keeps encoded sentences on the host, `gpu` on the device, and `none` encodes
                each batch when it is needed.
            use_amp: Compute in bfloat16 what bears it (automatic mixed precision); weights stay in float32.
            save_final_model: Write final-model.pt.
            plugins: Callbacks of your own.
            seed: Decides order and dropout; the process's default seed when None.
            device: Where to train; the default device when None.

        Returns:
            `test_score` (None without a test split) and, an entry an epoch, `train_loss_history`, `dev_loss_history`
            and `dev_score_history`.

        Raises:
            SettingError: when a setting makes no sense.
            LabelError: when the labels of the corpus are not those of the model.
            TrainingError: when there is nothing to train on, `base_path` cannot be written, or the loss is not finite.
        """
        _check_numbers(mini_batch_size, eval_batch_size, max_epochs, learning_rate)
        _check_names(self.model, embeddings_storage_mode, main_evaluation_metric)
        annealing = Annealing(factor=anneal_factor, patience=patience, min_learning_rate=min_learning_rate)
        folder = make_folder(Path(base_path))
        with logging_to(folder / "training.log"):
            self.model.to(get_device(device))
            train = self._encode("train", embeddings_storage_mode, with_dev=train_with_dev)
            dev = self._encode("dev", embeddings_storage_mode) if self.corpus.dev and not train_with_dev else None
            test = self._encode("test", embeddings_storage_mode) if self.corpus.test else None
            for name in _OUTPUTS:  # those of an earlier run in this folder would be taken for this run's
                (folder / name).unlink(missing_ok=True)

            def evaluate(split: Split) -> Result:
                return evaluate_dataset(
                    self.model,
                    split.dataset,
                    split.labels,
                    mini_batch_size=eval_batch_size,
                    main_metric=main_evaluation_metric,
                    sentences=split.sentences,
                    out_path=folder / f"{split.name}.tsv",
                )

            monitored = [split for split in (dev, test if monitor_test else None) if split is not None]
            best = BestModel() if dev is not None else None
            table = LossTable(tuple(split.name for split in monitored))
            callbacks = [annealing, TrainingLog(embeddings_storage_mode), table, *([best] if best else []), *plugins]
            parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            run = Run(self.model, optimizer(parameters, lr=learning_rate), folder, max_epochs)
            orders = _orders(train, mini_batch_size, get_seed(seed), shuffle=shuffle, bucketing=bucketing)
            try:
                self._run_epochs(run, train, orders, get_seed(seed), callbacks, monitored, evaluate, use_amp=use_amp)
            except KeyboardInterrupt:
                log.info(LINE)
                log.info("Exiting from training early.")
            finally:
                self.model.eval()
                if best is not None:
                    best.complete(run)
            for callback in callbacks:
                callback.on_train_end(run)
            if save_final_model:
                self.model.save(folder / FINAL_MODEL)
            restored = best is not None and best.restore(run)
            score = _report_test(test, evaluate, restored=restored)
        return {
            "test_score": score,
            "dev_score_history": run.history.dev_scores,
            "train_loss_history": run.history.train_losses,
            "dev_loss_history": run.history.dev_losses,
        }

    def _encode(self, name: str, storage_mode: str, *, with_dev: bool = False) -> Split:
        sentences = [*(getattr(self.corpus, name) or ()), *((self.corpus.dev or ()) if with_dev else ())]
        return encode_split(self.model, name, sentences, storage_mode)

    def _run_epochs(
        self,
        run: Run,
        train: Split,
        orders: Iterator[list[Tensor]],
        seed: int,
        callbacks: Sequence[Callback],
        monitored: Sequence[Split],
        evaluate: Callable[[Split], Result],
        *,
        use_amp: bool,
    ) -> None:
        generator = torch.Generator(device=self.model.device).manual_seed(seed)
        for callback in callbacks:
            callback.on_train_begin(run)
        if not any(split.name == "dev" for split in monitored):
            log.info("No dev split: annealing goes by the training loss, and there is no best model")
        while run.epoch < run.max_epochs and run.stop_reason is None:
            train_epoch(run, train.dataset, next(orders), generator, callbacks, use_amp=use_amp)
            for split in monitored:
                setattr(run, split.name, evaluate(split))
            if run.dev is not None:
                check_finite(run, run.dev.loss)  # the last step of an epoch shows only here
            for callback in callbacks:
                callback.on_evaluated(run)
            _remember(run)
            for callback in callbacks:
                callback.on_epoch_end(run)


def _check_numbers(mini_batch_size: int, eval_batch_size: int, max_epochs: int, learning_rate: float) -> None:
    for name, value in (("mini_batch_size", mini_batch_size), ("eval_batch_size", eval_batch_size)):
        if value < 1:
            raise SettingError(f"{name} must be at least 1; it is {value}")
    if max_epochs < 0:
        raise SettingError(f"max_epochs must be at least 0; it is {max_epochs}")
    if not learning_rate > 0:
        raise SettingError(f"learning_rate must be above 0; it is {learning_rate}")


def _check_names(model: Model, storage_mode: str, main_metric: tuple[str, str]) -> None:
    if storage_mode not in STORAGE_MODES:
        raise SettingError(f"embeddings_storage_mode must be one of {', '.join(STORAGE_MODES)}, not {storage_mode!r}")
    average, figure = main_metric
    if average not in (*AVERAGES, *model.label_names) or figure not in FIGURES:
        raise SettingError(
            f"main_evaluation_metric must be one of {', '.join(AVERAGES)} or a label, with one of "
            f"{', '.join(FIGURES)}, as ('macro avg', 'f1-score'); it is {main_metric!r}"
        )


def _orders(train: Split, batch_size: int, seed: int, *, shuffle: bool, bucketing: bool) -> Iterator[list[Tensor]]:
    """Yield the batches of one epoch after the other."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        if shuffle and bucketing:
            yield bucketed_batches(train.dataset.lengths, batch_size, generator=generator)
        else:
            yield plain_batches(train.dataset.lengths, batch_size, generator=generator if shuffle else None)


def _remember(run: Run) -> None:
    run.history.learning_rates.append(run.epoch_learning_rate)
    run.history.train_losses.append(run.train_loss)
    if run.dev is not None:
        run.history.dev_losses.append(run.dev.loss)
        run.history.dev_scores.append(run.dev.main_score)
    if run.test is not None:
        run.history.test_scores.append(run.test.main_score)


def _report_test(test: Split | None, evaluate: Callable[[Split], Result], *, restored: bool) -> float | None:
    log.info(LINE)
    if test is None:
        log.info("No test split: there is no final evaluation")
        return None
    log.info("Testing using best model ..." if restored else "Testing using last state of model ...")
    result = evaluate(test)
    log.info(result.detailed_results)
    log.info(LINE)
    return result.main_score
