"""Ten million random numbers of each kind: torch's generator, and `TorchGenerator`, which draws the same ones."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from benchmarks.harness import Case, Side
from benchmarks.random import jax_side, torch_side

COUNT = 10_000_000
HALF = 0.5  # times torch's speed at least


class Row(NamedTuple):
    """A draw: the method of `TorchGenerator`, its arguments, and the same in torch."""

    name: str
    method: str
    args: tuple[Any, ...]
    torch: str
    torch_args: tuple[Any, ...]
    options: Mapping[str, str] = {}


ROWS = (
    Row("rand", "rand", (COUNT,), "rand", (COUNT,)),
    Row("rand_float64", "rand", (COUNT,), "rand", (COUNT,), {"dtype": "float64"}),
    Row("rand_bfloat16", "rand", (COUNT,), "rand", (COUNT,), {"dtype": "bfloat16"}),
    Row("uniform", "uniform", (-0.1, 0.3, COUNT), "uniform_", (-0.1, 0.3)),
    Row("randint", "randint", (0, 1000, COUNT), "randint", (0, 1000, (COUNT,))),
    Row("randint_64_bits", "randint", (0, 2**40, COUNT), "randint", (0, 2**40, (COUNT,))),
    Row("randperm", "randperm", (COUNT,), "randperm", (COUNT,)),
    Row("randn", "randn", (COUNT,), "randn", (COUNT,)),
    Row("randn_float64", "randn", (COUNT,), "randn", (COUNT,), {"dtype": "float64"}),
    Row("randn_bfloat16", "randn", (COUNT,), "randn", (COUNT,), {"dtype": "bfloat16"}),
    Row("normal", "normal", (0.0, 0.02, COUNT), "normal_", (0.0, 0.02)),
    Row("bernoulli", "bernoulli", (0.3, COUNT), "bernoulli_", (0.3,)),
    Row("exponential", "exponential", (1.0, COUNT), "exponential_", (1.0,)),
    Row("trunc_normal", "trunc_normal", (0.0, 0.02, -0.04, 0.04, COUNT), "trunc_normal_", (0.0, 0.02, -0.04, 0.04)),
)


def case(row: Row) -> Case:
    """Of one kind of numbers; both sides draw the next ones, and compare the first."""
    theirs, ours = partial(torch_side.draw, row, COUNT), partial(jax_side.draw, row)
    sides = (
        Side("eager", {"torch": theirs}, units=1, compiles=False),
        Side("fnlearn", {"generator": ours}, units=1),
    )
    title = f"{row.name.replace('_', ' ')}, 10⁷"
    return Case(f"random_{row.name}", title, "draw", HALF, sides, compared=2, rounds=5, file="random")


CASES = tuple(map(case, ROWS))
