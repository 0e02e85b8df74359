"""Training steps of three models by everybody's means, what batch, depth and width cost, and epochs on the device."""

from functools import partial

import torch

from benchmarks.harness import Case, Side
from benchmarks.train import equinox_side, jax_side, nnx_side, torch_side
from benchmarks.train.models import EPOCHS, ROWS, SWEEPS, Row

STEPS = 4


def case(row: Row, others: bool = True) -> Case:
    """A model's step: gradients and SGD with momentum."""
    sides = [
        Side("eager", {"eager": partial(torch_side.eager, row)}, STEPS, compiles=False),
        Side("compiled", {"loss": partial(torch_side.compiled, row)}, STEPS),
        Side("fnlearn", {"make_step": partial(jax_side.fnlearn, row)}, STEPS),
    ]
    if others:
        sides += [
            Side("nnx", {form: partial(nnx_side.step, row, form) for form in nnx_side.FORMS}, STEPS),
            Side("equinox", {"filter_jit": partial(equinox_side.step, row)}, STEPS),
        ]
    reference = partial(torch_side.eager, row, torch.float64)
    return Case(row.name, row.title, "step", None, tuple(sides), reference, compared=3, rounds=7, file="train")


def epochs() -> Case:
    """The notes' network, all epochs in one call or a call for each step."""
    sides = (
        Side("eager", {"eager": torch_side.epochs}, 2, compiles=False),
        Side("loop", {"a call for each step": jax_side.loop}, 20),
        Side("fnlearn", {"fit": jax_side.fit_epochs}, 200),
    )
    reference = partial(torch_side.epochs, torch.float64)
    return Case("train_epochs", EPOCHS, "epoch", None, sides, reference, compared=2, rounds=7, file="train")


CASES = (*map(case, ROWS), *(case(row, others=False) for row in SWEEPS), epochs())
