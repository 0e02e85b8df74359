"""Training as a pure function: a state, a step, and a loop that runs whole epochs on the device."""

from fnlearn.train import metrics, sharding
from fnlearn.train.data import prefetch
from fnlearn.train.loop import fit
from fnlearn.train.precision import LossScale
from fnlearn.train.state import TrainState
from fnlearn.train.step import make_step

__all__ = ["LossScale", "TrainState", "fit", "make_step", "metrics", "prefetch", "sharding"]
