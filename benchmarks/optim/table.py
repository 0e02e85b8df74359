"""What is updated, and by which optimizers: plain data."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

BLOCKS, WIDTH = 25, 448
COMPARED = 3  # updates after which outputs are compared, from the start


class Row(NamedTuple):
    """An optimizer.

    Args: name: in `fnlearn.optim`. cls: in `torch.optim`. options: of both. optax: its name there, with the options
        that come nearest; whether the trajectory is the same is not asked. blocks: of arrays, two matrices and two
        vectors each. units: updates in one measured call, going on.
    """

    name: str
    cls: str
    options: Mapping[str, Any] = {}
    optax: tuple[str, dict[str, Any]] | None = None
    blocks: int = BLOCKS
    units: int = 5


RATE = {"learning_rate": 1e-3}
ROWS = (
    Row("sgd", "SGD", {"momentum": 0.9}, ("sgd", {**RATE, "momentum": 0.9})),
    Row("adam", "Adam", {}, ("adam", RATE)),
    Row("adamw", "AdamW", {}, ("adamw", {**RATE, "weight_decay": 1e-2})),
    Row("adam_amsgrad", "Adam", {"amsgrad": True}, ("amsgrad", RATE)),
    Row("adamax", "Adamax", {}, ("adamax", RATE)),
    Row("nadam", "NAdam", {}, ("nadam", RATE)),
    Row("radam", "RAdam", {}, ("radam", RATE)),
    Row("adagrad", "Adagrad", {}, ("adagrad", RATE)),
    Row("adadelta", "Adadelta", {}, ("adadelta", RATE)),
    Row("rmsprop", "RMSprop", {}, ("rmsprop", RATE)),
    Row("rprop", "Rprop", {}, ("rprop", RATE)),
    Row("asgd", "ASGD", {}),
    Row("adafactor", "Adafactor", {}, ("adafactor", RATE)),
    Row("muon", "Muon", {}, ("contrib.muon", RATE), blocks=2, units=1),  # torch's would take a minute for all of them
)


def shapes(row: Row) -> list[tuple[int, ...]]:
    """Half matrices and half vectors, as a network has them; Muon takes matrices alone."""
    block: list[tuple[int, ...]] = [(WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH,), (WIDTH,)]
    return [shape for shape in block * row.blocks if row.name != "muon" or len(shape) == 2]


def start(row: Row) -> list[np.ndarray]:
    """The parameters, and the gradients of all updates."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, np.float32) / math.sqrt(WIDTH) for shape in shapes(row)]


def gradients(row: Row) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(shape, np.float32) for shape in shapes(row)]
