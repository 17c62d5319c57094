"""Training."""

from flairlite.trainers.annealing import Annealing
from flairlite.trainers.callback import Callback
from flairlite.trainers.repetition import Repetition, rerun
from flairlite.trainers.run import Run
from flairlite.trainers.trainer import ModelTrainer

__all__ = ["Annealing", "Callback", "ModelTrainer", "Repetition", "Run", "rerun"]
