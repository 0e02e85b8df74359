"""`torch.optim` as optax transformations: torch's arguments and torch's trajectory."""

from fnlearn.optim.adam import adam, adamax, adamw, nadam, radam, sparseadam
from fnlearn.optim.adaptive import adadelta, adagrad, rmsprop, rprop
from fnlearn.optim.lbfgs import lbfgs
from fnlearn.optim.matrix import adafactor, muon
from fnlearn.optim.sgd import asgd, sgd

__all__ = [
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "asgd",
    "lbfgs",
    "muon",
    "nadam",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
    "sparseadam",
]
