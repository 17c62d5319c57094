"""Training."""

from flairlite.storage.run_files import read_run_record
from flairlite.trainers.callbacks.annealing import Annealing
from flairlite.trainers.callbacks.base import Callback
from flairlite.trainers.reproduce.run_record import RunComparison, compare_runs
from flairlite.trainers.settings import TrainingSettings
from flairlite.trainers.state import TrainingState
from flairlite.trainers.trainer import ModelTrainer

Run = TrainingState  # the earlier name

__all__ = [
    "Annealing",
    "Callback",
    "ModelTrainer",
    "Run",
    "RunComparison",
    "TrainingSettings",
    "TrainingState",
    "compare_runs",
    "read_run_record",
]
