"""Training as a pure function: a state, a step, and a loop that runs whole epochs on the device."""

from fnlearn.train import log, metrics, sharding
from fnlearn.train.data import prefetch
from fnlearn.train.evaluation import EarlyStopping, evaluate
from fnlearn.train.faults import NonFinite, TrainingError, find_nonfinite
from fnlearn.train.loop import fit
from fnlearn.train.plot import plot_history
from fnlearn.train.precision import LossScale
from fnlearn.train.state import TrainState
from fnlearn.train.step import make_step

__all__ = [
    "EarlyStopping",
    "LossScale",
    "NonFinite",
    "TrainState",
    "TrainingError",
    "evaluate",
    "find_nonfinite",
    "fit",
    "log",
    "make_step",
    "metrics",
    "plot_history",
    "prefetch",
    "sharding",
]
