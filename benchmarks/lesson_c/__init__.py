"""Lesson C: Linear(1, 1), summed squared error, SGD on all three samples at once."""

from functools import partial

import torch

from benchmarks.harness import Case, Side
from benchmarks.lesson_c import jax_side, torch_side

SIDES = (
    Side("eager", {"eager": torch_side.eager}, units=500, compiles=False),
    Side("compiled", {"loss": torch_side.compiled_loss, "step": torch_side.compiled_step}, units=500),
    Side("fnlearn", {"fit": jax_side.fnlearn}, units=10_000),
)
CASES = (
    Case(
        "lesson_c",
        "lesson C: Linear(1, 1)",
        "epoch",
        target=400,
        sides=SIDES,
        reference=partial(torch_side.eager, torch.float64),
    ),
)
