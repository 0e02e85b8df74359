"""One update of 10 million parameters in 100 arrays: `torch.optim` in its fastest form, plain optax, and fnlearn."""

from functools import partial

import torch

from benchmarks.harness import Case, Side
from benchmarks.optim import jax_side, torch_side
from benchmarks.optim.table import COMPARED, ROWS, Row


def case(row: Row) -> Case:
    """Of one optimizer."""
    forms = {form: partial(torch_side.update, row, form) for form in torch_side.forms(row)}
    ours, plain = (
        {form: partial(side, row, form) for form in jax_side.FORMS} for side in (jax_side.fnlearn, jax_side.plain_optax)
    )
    sides = [Side("eager", forms, row.units, compiles=False), Side("fnlearn", ours, row.units)]
    if row.optax is not None:
        sides.insert(1, Side("optax", plain, row.units, answers=False))
    reference = partial(torch_side.update, row, dtype=torch.float64)
    name, title = f"optim_{row.name}", f"torch.optim.{row.cls} {row.options or ''}".strip()
    return Case(name, title, "update", None, tuple(sides), reference, COMPARED, rounds=7, file="optim")


CASES = tuple(map(case, ROWS))
