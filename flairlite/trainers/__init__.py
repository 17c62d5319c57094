"""Training."""

from flairlite.trainers.callbacks.annealing import Annealing
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.run import Run
from flairlite.trainers.trainer import ModelTrainer

__all__ = ["Annealing", "Callback", "ModelTrainer", "Run"]
