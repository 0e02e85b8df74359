"""Lesson D: the 8-6-4-1 network on the 615 training rows of the diabetes table."""

from functools import partial

import torch

from benchmarks.harness import Case, Side
from benchmarks.lesson_d import jax_side, torch_side


def case(name: str, title: str, batch_size: int | None, target: float, epochs: int) -> Case:
    """The case for one batch size; epochs: of one call to PyTorch."""
    compiled = {
        "loss": partial(torch_side.compiled_loss, batch_size),
        "step": partial(torch_side.compiled_step, batch_size),
    }
    sides = (
        Side("eager", {"eager": partial(torch_side.eager, batch_size)}, epochs, compiles=False),
        Side("compiled", compiled, epochs),
        Side("fnlearn", {"fit": partial(jax_side.fnlearn, batch_size)}, units=1000),
    )
    reference = partial(torch_side.eager, batch_size, torch.float64)
    return Case(name, title, "epoch", target, sides, reference)


CASES = (
    case("lesson_d_minibatch", "lesson D: 8-6-4-1, batches of 32", batch_size=32, target=25, epochs=10),
    case("lesson_d_fullbatch", "lesson D: 8-6-4-1, all rows at once", batch_size=None, target=8, epochs=100),
)
