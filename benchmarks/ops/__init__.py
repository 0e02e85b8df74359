"""Single operations: every family of `torch.nn.functional`, small and large, forward alone and with the gradients."""

from functools import partial
from typing import Any

import torch

from benchmarks.harness import Case, Prepare, Side, everything
from benchmarks.ops import jax_side, torch_side
from benchmarks.ops.table import OPS, Op

CALLS = {"small": 50, "large": 1}  # in one measured unit, so that the clock doesn't matter
ROUNDS, SHORTEST = 5, 0.05  # seconds; there are many operations
DIRECTIONS = {"forward": (torch_side.forward, jax_side.forward), "gradient": (torch_side.gradient, jax_side.gradient)}


def name(op: Op, direction: str) -> str:
    """Of the case of an operation in one direction."""
    return f"ops_{op.name}_{direction}"


def case(op: Op, direction: str) -> Case:
    """One operation in one direction."""
    theirs, ours = DIRECTIONS[direction]
    eager: Prepare = partial(theirs, op)
    sides = (
        Side("eager", {"eager": eager}, CALLS[op.size], compiles=False),
        Side("fnlearn", {"jit": partial(ours, op)}, CALLS[op.size]),
    )
    return Case(
        name(op, direction),
        f"{op.title}, {op.size}, {direction}",
        "call",
        op.target if direction == "gradient" else None,
        sides,
        partial(theirs, op, torch.float64),
        compared=1,
        rounds=ROUNDS,
        shortest=SHORTEST,
        seen=_form if op.random else everything,
        file=f"ops_{op.family}",
    )


def _form(outputs: list[Any]) -> list[Any]:
    """All that can be compared of random numbers: how many, of what dtype, and whether all are finite."""
    return [0 * x for x in outputs]


CASES = tuple(case(op, direction) for op in OPS for direction in DIRECTIONS)
