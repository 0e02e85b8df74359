"""The question about a whole run: losses, gradient norms, parameters and buffers, step by step."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optax

from fnlearn.equivalence import jax_side, torch_side
from fnlearn.equivalence.answer import Answer, Findings, largest
from fnlearn.equivalence.pair import Pair
from fnlearn.equivalence.torch_side import Batch, Run, Trajectory

Losses = tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]
Clips = tuple[Callable[[list[Any]], Any] | None, Callable[[Any], Any]]
# Of float64. A bias before a normalisation has a gradient of rounding alone, 1e-16; Adam divides it by its eps of 1e-8.
NEAR = 1e-6
CAUSES = {
    "loss": "the forward pass: ask `forward`, and compare the batches",
    "gradients": "the backward pass: ask `backward` with this loss",
    "params": "the optimizer: ask `optimizer`; and its schedule, and the clipping, where there are any",
    "buffers": "buffers, as running statistics: ask `forward` in training",
}


def training(
    both: Pair,
    make: Callable[[list[Any]], Any],
    transformation: optax.GradientTransformation,
    batches: Sequence[Batch],
    losses: Losses,
    *,
    jax_batches: Sequence[Batch] | None = None,
    scheduler: Callable[[Any], Any] | None = None,
    clip: Clips | None = None,
    dtypes: Sequence[str] = ("float32",),
    key: Any = None,
) -> Answer:
    """Whether two runs are the same, and if not, at which step they part and what to look at.

    Args: both: a `Pair`. make: makes torch's optimizer of a list of parameters. transformation: JAX's. batches: for
        each step (inputs, target), inputs as for `forward`. losses: (torch's, JAX's), each of which makes a number of
        (output, target). jax_batches: what JAX's own loader gives; the same batches when left out. scheduler: makes
        torch's scheduler of its optimizer, stepped after every update, with the loss if it is a
        ReduceLROnPlateau; JAX's schedule is in the transformation, whose `update` may take the loss as `value`. clip:
        (torch's, JAX's): one changes the gradients of a list of parameters, as `clip_grad_norm_` does, the other makes
        new ones of a tree of gradients. dtypes: those to compute in; float64 is always among them. key: for the JAX
        side.
    Returns: an `Answer`; a leaf is one quantity over all steps: dtype.loss, dtype.gradients.norm (before a clip),
        dtype.params.NAME, dtype.buffers.NAME. Float64 must agree to 1e-6 of the largest loss or norm, of the way that
        the parameters went, and of the largest buffer. A problem says where the float64 runs part, and why they may.
    Raises: ValueError without batches, or when the sides have not equally many; what either side raises.
    """
    given = list(batches), list(batches if jax_batches is None else jax_batches)
    if not given[0] or len(given[0]) != len(given[1]):
        raise ValueError(f"there must be batches, as many on both sides, got {len(given[0])} and {len(given[1])}")
    found = Findings("training")
    if torch_side.draws_otherwise(both.module, given[0][0][0]):
        found.problems.append("the module draws numbers in training that can't be given to both sides: turn that off")
        return found.answer()
    start, _ = torch_side.weights(both.module)
    torch_clip, my_clip = clip or (None, None)
    asked = Run(make, given[0], losses[0], scheduler, torch_clip)
    possible, refused = torch_side.dtypes_of_run(both.module, asked, dtypes)
    if not possible:
        raise ValueError(f"the module is asked in float64 alone, but {refused}; give other dtypes")
    found.notes += [f"float64: not compared, {refused}"] if refused else []
    for dtype in possible:
        theirs, drawn = torch_side.run(both.module, asked, dtype, dtype)
        exact = dtype == "float64"
        wide = None if exact else torch_side.run(both.module, asked, "float64", dtype)[0]
        mine, problems = jax_side.run(both, transformation, given[1], losses[1], dtype, key, drawn, my_clip)
        found.problems += problems
        found.curves[f"{dtype}.loss"] = theirs["loss"][""].tolist(), mine["loss"][""].tolist()
        rounding = functools.cache(functools.partial(torch_side.run_rounding, both.module, asked, dtype))
        near = {part: NEAR * _size(part, theirs[part], start) for part in theirs}
        same = True
        for part, atol in near.items():
            again = lambda part=part, rounding=rounding: (of := rounding()) and of[part]  # noqa: E731
            same &= found.compare(f"{dtype}.{part}", theirs[part], mine[part], wide and wide[part], atol, again)
        if exact and not same and not found.problems and (parting := _parting(theirs, mine, near)):
            step, part = parting
            late = "" if step == 0 else ", or data in another order, or a state that was lost between steps"
            found.first = f"step {step + 1}, {part}"
            found.problems.append(f"the runs part at step {step + 1}, in {part}; look at {CAUSES[part]}{late}")
    return found.answer()


def _size(part: str, values: dict[str, np.ndarray], start: dict[str, np.ndarray]) -> float:
    """What an error is measured by: how far the parameters went, or how large the numbers are."""
    moved = {name: x - start[name] for name, x in values.items()} if part == "params" else values
    return largest(moved)


def _parting(theirs: Trajectory, mine: Trajectory, atol: dict[str, float]) -> tuple[int, str] | None:
    """The first step at which anything differs; of that step what is computed first."""
    first: dict[str, int] = {}
    for part, values in theirs.items():
        for name, expected in values.items():
            same = np.isclose(mine[part][name], expected, rtol=0, atol=atol[part], equal_nan=True)
            wrong = np.flatnonzero(~same.reshape(len(expected), -1).all(1))
            if wrong.size:
                first[part] = min(first.get(part, len(expected)), int(wrong[0]))
    if not first:
        return None
    step = min(first.values())
    return step, next(part for part in CAUSES if first.get(part) == step)
