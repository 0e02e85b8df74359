"""A rule for one parameter made an optimizer for a whole tree: what all of them but L-BFGS have in common.

A rule takes a gradient, its parameter and what torch keeps of it, and returns the step and what is kept then:

    rule(g, p, kept, lr=…, …) -> (step, kept)

It sees real numbers of 32 or 64 bits only. Narrower ones are widened before and rounded after; a complex parameter is a
pair of real ones, as in torch. What it needs of the number of a parameter's gradients, such as a power of it, is
computed for all parameters at once, since a hundred small computations take longer than one:

    numbers(t, before, lr=…, …) -> (what rules are told, what is kept)

t counts each parameter's own gradients from 1 on; it, what is known from before, and all results have one number for
each parameter.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fnlearn import tree

Number = float | jax.Array
Schedule = Callable[[Any], Any]  # step → number
Option = Number | Schedule
Kept = dict[str, jax.Array]
Rule = Callable[..., tuple[jax.Array, Kept]]
Numbers = Callable[..., tuple[Kept, Kept]]
Fresh = Callable[[Any], jax.Array]  # what is kept of a parameter at the start


class Place(NamedTuple):
    """Stands for a parameter in a tree without arrays."""


class State(NamedTuple):
    """What an optimizer knows.

    Args: count: updates that were made, at which schedules are read. kept: trees like the parameters by torch's names
        of what it keeps, such as "exp_avg". numbers: by torch's names what is one number for each parameter, together
        in an array; under "step" how many gradients it has had. places: a tree like the parameters, which tells the
        order in these arrays.
    """

    count: jax.Array  # type: ignore[assignment]
    kept: dict[str, Any]
    numbers: Kept
    places: Any


def parameterwise(
    rule: Rule,
    slots: Mapping[str, Fresh],
    options: Mapping[str, Any],
    *,
    numbers: Numbers = lambda t, before, **_: ({}, {}),
    first: Mapping[str, Any] = {},
    weight_decay: Any = 0,
    decoupled: bool = False,
    maximize: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """The optimizer that a rule makes.

    A gradient that is None stands for one that is missing: the parameter and what is kept of it stay as they are. A
    rate passed to `update` as `lr=` takes the place of the one given here.

    Args: rule, numbers: as above. slots: what is kept, and what it is at the start. options: numbers, or schedules of
        the count, for both; "lr" is one of them. first: what of the numbers is kept, in float32, and what it is at the
        start. weight_decay: what of the parameter is added to the gradient; decoupled, what of it times the rate is
        taken off the parameter. maximize: climb.
    Raises: ValueError by `update` without parameters.
    """
    options = {name: number(name, value) for name, value in {**options, "weight_decay": weight_decay}.items()}

    def init(params: optax.Params) -> State:
        count = len(jax.tree.leaves(params))
        kept = {name: jax.tree.map(fresh, params) for name, fresh in slots.items()}
        known = {name: jnp.full(count, value, jnp.float32) for name, value in first.items()}
        known = {"step": jnp.zeros(count, jnp.int32), **known}
        return State(jnp.zeros((), jnp.int32), kept, known, jax.tree.map(lambda p: Place(), params))

    def update(
        updates: optax.Updates,
        state: State,
        params: optax.Params | None = None,
        *,
        lr: jax.typing.ArrayLike | None = None,
        **_: Any,
    ) -> tuple[optax.Updates, State]:
        if params is None:
            raise ValueError("params are needed: optimizer.update(gradients, state, params)")
        now = {name: read(value, state.count) for name, value in options.items()}
        now |= {} if lr is None else {"lr": number("lr", lr)}
        leaves: list[Any]
        form: Any
        leaves, form = jax.tree.flatten(params)
        gradients = form.flatten_up_to(updates)
        columns = [form.flatten_up_to(kept) for kept in state.kept.values()]
        rows = [dict(zip(state.kept, row, strict=True)) for row in zip(*columns, strict=True)] or [{} for _ in leaves]
        told, known = together(state.numbers, gradients, leaves, now)
        done = [advance(*each) for each in zip(gradients, leaves, rows, told, strict=True)]
        kept = {name: form.unflatten([row[name] for _, row in done]) for name in state.kept}
        steps = form.unflatten([step for step, _ in done])
        return steps, State(optax.safe_increment(state.count), kept, known, state.places)

    def together(
        known: Kept, gradients: list[Any], leaves: list[Any], now: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], Kept]:
        """The options and numbers that each rule is told, and the numbers that are kept."""
        dtypes, there = [inner_dtype(p.dtype) for p in leaves], np.array([g is not None for g in gradients], bool)
        told: list[dict[str, Any]] = [{} for _ in leaves]
        after = {**known, "step": known["step"] + there.astype(np.int32)}
        for dtype in dict.fromkeys(dtypes):
            lr = jnp.asarray(now["lr"], dtype) if isinstance(now["lr"], int | float) else jnp.asarray(now["lr"])
            given = {name: cast(value, dtype) for name, value in now.items() if name != "lr"} | {"lr": lr}
            found, kept = numbers((known["step"] + 1).astype(dtype), known, **given)
            mine = np.array([each == dtype for each in dtypes])
            for i in map(int, np.flatnonzero(mine)):
                told[i] = given | {name: jax.lax.index_in_dim(x, i, keepdims=False) for name, x in found.items()}
            for name, x in kept.items():
                after[name] = x if (mine & there).all() else jnp.where(mine & there, x, after[name])
        return told, after

    def advance(g: Any, p: Any, kept: Kept, now: dict[str, Any]) -> tuple[jax.Array, Kept]:
        if g is None:
            return jnp.zeros_like(p), kept
        dtype = inner_dtype(p.dtype)
        inner = {name: as_real(x, dtype) if x.dtype == p.dtype else x for name, x in kept.items()}
        step, after = ruled(as_real(g, dtype), as_real(p, dtype), inner, **now)
        after = {name: as_given(x, p.dtype) if kept[name].dtype == p.dtype else x for name, x in after.items()}
        return as_given(step, p.dtype), {**kept, **after}

    def ruled(g: jax.Array, p: jax.Array, kept: Kept, weight_decay: Number, **now: Any) -> tuple[jax.Array, Kept]:
        g = -g if maximize else g
        decays = not is_zero(weight_decay)
        if decays and not decoupled:
            g = g + weight_decay * p
        step, kept = rule(g, p, kept, **now)
        return step - _decay(now["lr"], weight_decay, p) * p if decays and decoupled else step, kept

    return optax.GradientTransformationExtraArgs(init, update)


def number(name: str, value: Any) -> Any:
    """A Python number or a schedule as it is; a torch tensor or an array of one number as an array of no dimensions."""
    if callable(value) or isinstance(value, int | float):
        return value
    array = jnp.asarray(tree.as_numpy(value)) if hasattr(value, "detach") else jnp.asarray(value)
    if array.size != 1:
        raise ValueError(f"{name} must be one number, got an array of shape {array.shape}")
    return array.reshape(())


def read(option: Any, count: jax.Array) -> Any:
    """A number, or what a schedule says at the count."""
    return jnp.asarray(option(count)) if callable(option) else option


def check(low: float = 0.0, below: float = float("inf"), **values: Any) -> None:
    """Refuse numbers under `low`, and those that are not below `below`; arrays and schedules are not looked into."""
    for name, value in values.items():
        if isinstance(value, int | float) and not low <= value < below:
            upper = "" if below == float("inf") else f" and below {below:g}"
            raise ValueError(f"{name} must be at least {low:g}{upper}, got {value}")


def check_betas(betas: tuple[Any, Any]) -> None:
    """Both at least 0 and below 1."""
    check(below=1.0, **{f"betas[{i}]": beta for i, beta in enumerate(betas)})


def is_zero(value: Any) -> bool:
    """Whether a number is 0 for certain; an array or a schedule never is."""
    return isinstance(value, int | float) and value == 0


def cast(value: Any, dtype: Any) -> Any:
    """An array in another dtype; Python's numbers take that of what they meet."""
    return value if isinstance(value, int | float) else value.astype(dtype)


def lerp(start: jax.Array, end: jax.Array, weight: Number) -> jax.Array:
    """From start to end."""
    return start + weight * (end - start)


def _decay(lr: jax.Array, weight_decay: Number, p: jax.Array) -> jax.Array:
    """The share of the parameter that is taken off; a rate in fewer bits than it rounds 1 − lr · decay, as in torch."""
    share = lr * cast(weight_decay, lr.dtype)
    rounded = 1 - (1 - share) if jnp.finfo(lr.dtype).bits < jnp.finfo(p.dtype).bits else share
    return rounded.astype(p.dtype)


def inner_dtype(dtype: Any) -> Any:
    """In which real numbers a parameter of this dtype is updated."""
    found = jnp.finfo(dtype)
    return found.dtype if found.bits >= 32 else jnp.float32


def as_real(x: jax.Array, dtype: Any) -> jax.Array:
    """In a real dtype; complex numbers as pairs, in a last dimension of their own."""
    pair = jnp.stack([x.real, x.imag], -1) if jnp.iscomplexobj(x) else x
    return pair.astype(dtype)


def as_given(x: jax.Array, dtype: Any) -> jax.Array:
    """What `as_real` was given, in its dtype."""
    return jax.lax.complex(x[..., 0], x[..., 1]) if jnp.issubdtype(dtype, jnp.complexfloating) else x.astype(dtype)
