"""`torch.optim` as optax transformations: torch's arguments and torch's trajectory."""

from fnlearn.optim import schedules
from fnlearn.optim.adam import adam, adamax, adamw, nadam, radam, sparseadam
from fnlearn.optim.adaptive import adadelta, adagrad, rmsprop, rprop
from fnlearn.optim.averaging import averaged_model, get_ema_avg_fn, get_swa_avg_fn, update_bn
from fnlearn.optim.clip import clip_grad_norm, clip_grad_value, get_total_norm
from fnlearn.optim.grouping import groups
from fnlearn.optim.lbfgs import lbfgs
from fnlearn.optim.matrix import adafactor, muon
from fnlearn.optim.sgd import asgd, sgd
from fnlearn.optim.torch_state import from_torch, to_torch

__all__ = [
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "asgd",
    "averaged_model",
    "clip_grad_norm",
    "clip_grad_value",
    "from_torch",
    "get_ema_avg_fn",
    "get_swa_avg_fn",
    "get_total_norm",
    "groups",
    "lbfgs",
    "muon",
    "nadam",
    "radam",
    "rmsprop",
    "rprop",
    "schedules",
    "sgd",
    "sparseadam",
    "to_torch",
    "update_bn",
]
