"""What a run says before it begins: what is trained, on what, how and where."""

from __future__ import annotations

from collections.abc import Iterable

from flairlite.data import Corpus
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.optimizers import optimizer_to_plain
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.state import TrainingState


def header(
    state: TrainingState, corpus: Corpus, settings: TrainingSettings, plugins: Iterable[Callback]
) -> list[list[str]]:
    """Return blocks of lines, those of Flair's first and behind them those that its tutorial shows."""
    decoder = settings.decoder_learning_rate
    device, storage = state.model.device, settings.embeddings_storage_mode
    is_best_tested = not settings.use_final_model_for_eval and not settings.train_with_dev and corpus.dev
    tested = "model from best epoch (best-model.pt)" if is_best_tested else "model after last epoch (final-model.pt)"
    return [
        [f'Model: "{state.model}"'],
        [str(corpus)],
        [
            f"Train:  {len(state.sentences)} sentences",
            f"        (train_with_dev={settings.train_with_dev}, train_with_test={settings.train_with_test})",
        ],
        [
            "Training Params:",
            f' - optimizer: "{optimizer_to_plain(settings.optimizer)["name"]}"',
            f' - learning_rate: "{settings.learning_rate}"' + (f" (decoder: {decoder})" if decoder else ""),
            f' - mini_batch_size: "{settings.mini_batch_size}"',
            f' - max_epochs: "{settings.max_epochs}"',
            f' - shuffle: "{settings.shuffle}"',
        ],
        ["Plugins:", *(f" - {plugin}" for plugin in plugins)],
        [f"Final evaluation on {tested}", f' - metric: "{settings.main_evaluation_metric}"'],
        ["Computation:", f" - compute on device: {device}", f" - embedding storage: {storage}"],
        [f'Model training base path: "{state.base_path}"'],
        [f"Device: {device}"],
        [f"Embeddings storage mode: {storage}"],
    ]
