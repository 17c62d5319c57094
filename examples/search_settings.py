"""Search settings with Optuna (the extra `search`). The study is in search.db: run the script again to continue it."""

import sys

import optuna

from flairlite.datasets import SAMPLE_ENGLISH
from flairlite.embeddings import WordEmbeddings
from flairlite.models import SequenceTagger
from flairlite.trainers import Callback, ModelTrainer, TrainingState

corpus, embeddings = SAMPLE_ENGLISH(), WordEmbeddings("glove-mini")
labels = corpus.make_label_dictionary("upos")


class Pruning(Callback):
    """Ends a trial that is worse than the median of the earlier ones after as many epochs."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_evaluated(self, state: TrainingState) -> None:
        """Report the score of an epoch."""
        self.trial.report(state.score, state.epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def train(trial: optuna.Trial) -> float:
    """Return the best score on dev; the test split is left for the settings that are chosen."""
    dropout, hidden_size = trial.suggest_float("dropout", 0, 0.5), trial.suggest_int("hidden_size", 32, 256)
    tagger = SequenceTagger(embeddings, labels, "upos", dropout=dropout, hidden_size=hidden_size)
    options = {"learning_rate": trial.suggest_float("learning_rate", 0.01, 1, log=True), "plugins": [Pruning(trial)]}
    result = ModelTrainer(tagger, corpus).train(f"resources/taggers/search-{trial.number}", max_epochs=5, **options)
    return max(result["dev_score_history"])


study = optuna.create_study(study_name="upos", storage="sqlite:///search.db", direction="maximize", load_if_exists=True)
study.optimize(train, n_trials=int([*sys.argv, 20][1]) - len(study.trials))  # 20 in all, or as many as the argument
print(f"Best of {len(study.trials)} trials: {study.best_value:.4f} with {study.best_params}")
