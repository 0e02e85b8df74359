"""The question about an optimizer: the same steps from the same gradients, and the same state."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fnlearn import optim
from fnlearn.equivalence.answer import EXACT, Answer, Findings, largest
from fnlearn.equivalence.asked import SEED, float64_for
from fnlearn.tree import as_numpy, flatten, unflatten

Arrays = dict[str, np.ndarray]


class _Step(NamedTuple):
    """The parameters and the state after a step, {torch's name of what is kept: {parameter: array}}."""

    params: Arrays
    state: dict[str, Arrays]


def optimizer(
    make: Callable[[list[Any]], Any],
    transformation: optax.GradientTransformation,
    params: Mapping[str, Any],
    *,
    steps: int = 5,
    dtypes: Sequence[str] = ("float32",),
) -> Answer:
    """Whether an optimizer takes torch's steps: one, and then more, from identical gradients.

    Args: make: makes torch's optimizer of a list of parameters. transformation: what should be the same. params: a
        nested dict of arrays to start from, in torch's order. steps: how many, at least 1; gradients are drawn from a
        normal distribution. dtypes: those to compute in; float64 is always among them.
    Returns: an `Answer`; leaves are named dtype.step.params.NAME and dtype.step.state.WHAT.NAME. Float64 must agree to
        1e-10 of the way that the parameters went. A state that is not one of `fnlearn.optim`'s is left out; a note says
        so.
    Raises: ValueError for steps below 1; what either side raises.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    start = {name: as_numpy(value) for name, value in flatten(params).items()}
    found = Findings("optimizer")
    for dtype in dict.fromkeys((*dtypes, "float64")):
        seen = {name: value.astype(dtype) for name, value in start.items()}
        gradients = [_gradients(step, seen) for step in range(steps)]
        theirs, mine = _torch_run(make, seen, gradients, dtype), _jax_run(transformation, seen, gradients, make)
        wide = None if dtype == "float64" else _torch_run(make, seen, gradients, "float64")
        for step in range(steps):
            _compare(found, f"{dtype}.{step + 1}", theirs[step], mine[step], wide[step] if wide else None, seen)
    return found.answer()


def _compare(found: Findings, at: str, theirs: _Step, mine: _Step, wide: _Step | None, start: Arrays) -> None:
    near = EXACT * largest({name: x.astype("float64") - start[name] for name, x in theirs.params.items()})
    found.compare(f"{at}.params", theirs.params, mine.params, wide and wide.params, near)
    if theirs.state and not mine.state:
        found.notes += [] if found.notes else ["the state is not one of fnlearn.optim's: it was not compared"]
        return
    for what in sorted(theirs.state | mine.state):
        expected, actual = (side.state.get(what, {}) for side in (theirs, mine))
        found.compare(f"{at}.state.{what}", expected, actual, wide and wide.state.get(what, {}))


def _gradients(step: int, start: Arrays) -> Arrays:
    draw = np.random.default_rng((SEED, step))
    return {name: np.asarray(draw.standard_normal(x.shape)).astype(x.dtype) for name, x in start.items()}


def _torch_run(make: Callable[[list[Any]], Any], start: Arrays, gradients: list[Arrays], dtype: str) -> list[_Step]:
    import torch

    tensor = lambda x: torch.from_numpy(np.array(x, "float64")).to(getattr(torch, dtype))  # noqa: E731
    params = {name: torch.nn.Parameter(tensor(x)) for name, x in start.items()}
    taking = make(list(params.values()))
    run: list[_Step] = []
    for given in gradients:
        for name, p in params.items():
            p.grad = tensor(given[name])
        taking.step()
        now = {name: as_numpy(p).copy() for name, p in params.items()}
        run.append(_Step(now, _kept(taking.state_dict(), start)))
    return run


def _jax_run(
    transformation: optax.GradientTransformation,
    start: Arrays,
    gradients: list[Arrays],
    make: Callable[[list[Any]], Any],
) -> list[_Step]:
    import torch

    like = make([torch.nn.Parameter(torch.from_numpy(np.array(x, "float32"))) for x in start.values()]).state_dict()
    with float64_for(next((str(x.dtype) for x in start.values()), "float32")):
        params = unflatten({name: jnp.asarray(x) for name, x in start.items()})
        state = transformation.init(params)
        update = jax.jit(optax.with_extra_args_support(transformation).update)
        run: list[_Step] = []
        for given in gradients:
            updates, state = update(unflatten({name: jnp.asarray(g) for name, g in given.items()}), state, params)
            params = optax.apply_updates(params, updates)
            now = {name: np.asarray(value) for name, value in flatten(params).items()}
            run.append(_Step(now, _kept(optim.to_torch(state, like, params, tuple(start)), start)))
        return run


def _kept(state_dict: Mapping[str, Any], start: Arrays) -> dict[str, Arrays]:
    """What an optimizer keeps for its parameters, as long as that is numbers."""
    names, kept = list(start), dict[str, Arrays]()
    for position, own in state_dict["state"].items():
        for what, x in own.items():
            if hasattr(x, "shape") or isinstance(x, int | float):
                kept.setdefault(what, {})[names[position]] = as_numpy(x).copy()
    return kept
