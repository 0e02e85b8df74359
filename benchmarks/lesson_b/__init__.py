"""Lesson B: y = w · x, fitted by hand one sample at a time."""

from functools import partial

import torch

from benchmarks.harness import Case, Side
from benchmarks.lesson_b import jax_side, torch_side

COMPILED = {
    "loss": torch_side.compiled_loss,
    "step": torch_side.compiled_step,
    "epoch": torch_side.compiled_epoch,
}
SIDES = (
    Side("eager", {"eager": torch_side.eager}, units=200, compiles=False),
    Side("compiled", COMPILED, units=200),
    Side("fnlearn", {"scan": jax_side.fnlearn}, units=10_000),
)
CASES = (
    Case(
        "lesson_b",
        "lesson B: w · x by hand",
        "epoch",
        target=400,
        sides=SIDES,
        reference=partial(torch_side.eager, torch.float64),
    ),
)
