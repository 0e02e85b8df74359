"""A ported model's training step beside PyTorch's: the gallery's models, and six of a size that people train."""

from functools import partial

import torch

from benchmarks.harness import Case, Side
from benchmarks.port import jax_side, torch_side
from benchmarks.port.models import DRAWS, ROWS, Row

LARGE, SMALL = 0.6, 1.0  # of the faster PyTorch's speed, the least


def case(row: Row) -> Case:
    """One model; small ones are too fast to be timed step by step."""
    small = row.name.startswith("port_small_")
    steps = 20 if small else 2
    answers = not row.name.endswith(DRAWS)
    sides = (
        Side("eager", {"eager": partial(torch_side.eager, row)}, steps, compiles=False, answers=answers),
        Side("compiled", {"loss": partial(torch_side.compiled, row)}, steps, answers=answers),
        Side("fnlearn", {"port": partial(jax_side.fnlearn, row)}, steps, answers=answers),
    )
    reference = partial(torch_side.eager, row, torch.float64) if answers else None
    file = "port_small" if small else "port"
    target = SMALL if small else LARGE
    return Case(row.name, row.title, "step", target, sides, reference, compared=3, rounds=7, shortest=0.05, file=file)


CASES = tuple(map(case, ROWS))
