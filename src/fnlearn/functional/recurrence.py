"""The loop of a recurrent network and its derivative.

A cell says what one step computes, and how gradients go back through it. What it saves are its activated gates, so that
going back computes no exponential again. They take the place of the gates from the input: on a CPU, memory that is
touched for the first time costs as much as the products of a step.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

State = tuple[jax.Array, ...]


class Cell(NamedTuple):
    """One step, without its products.

    gates: how many rows of weights a hidden number has. step: (gates from the input, gates from the state, state) →
    (new state, activated gates, what else is saved). back: (activated gates, what else was saved, old state, gradients
    of the new state) → (gradient of the gates from the input, gradients of the old state, those through its gates left
    out). hidden: (gradient of the gates from the input, what else was saved) → that of the gates from the state.
    biases: (bias_ih, bias_hh) → (added before the loop, added to the gates from the state inside it).
    """

    gates: int
    step: Callable[[jax.Array, jax.Array, State], tuple[State, jax.Array, State]]
    back: Callable[[jax.Array, State, State, State], tuple[jax.Array, Any]]
    hidden: Callable[[jax.Array, State], jax.Array]
    biases: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array | None]]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def recur(
    cell: Cell,
    reverse: bool,
    gates: jax.Array,
    state: State,
    weight: jax.Array,
    bias: jax.Array | None,
    projection: jax.Array | None,
    mask: jax.Array | None,
) -> tuple[jax.Array, State]:
    """All outputs (L, N, out) and the final state; gates are (L, N, gates · hidden), mask (L, N)."""
    return _forward(cell, reverse, gates, state, weight, bias, projection, mask)[0]


def _forward(
    cell: Cell,
    reverse: bool,
    gates: jax.Array,
    state: State,
    weight: jax.Array,
    bias: jax.Array | None,
    projection: jax.Array | None,
    mask: jax.Array | None,
) -> Any:
    across = weight.T

    def step(carried: tuple[State, jax.Array], now: Any) -> Any:
        (state, gates), (time, valid) = carried, now
        hidden = state[0] @ across
        if bias is not None:
            hidden = hidden + jnp.broadcast_to(bias, hidden.shape)
        new, activated, saved = cell.step(_at(gates, time), hidden, state)
        raw = new[0]
        if projection is not None:
            new = (raw @ projection.T, *new[1:])
        if valid is not None:
            new = _where(valid, new, state)
        return (new, _put(gates, activated, time)), (new, saved, None if projection is None else raw)

    along = jnp.arange(len(gates)), mask
    (final, activated), (states, saved, raw) = lax.scan(step, (state, gates), along, reverse=reverse)
    return (states[0], final), (state, states, activated, saved, raw, weight, bias, projection, mask)


def _backward(cell: Cell, reverse: bool, residuals: Any, cotangents: Any) -> Any:
    state, states, activated, saved, raw, weight, bias, projection, mask = residuals
    of_outputs, of_final = cotangents
    before = tuple(_shifted(first, all_, reverse) for first, all_ in zip(state, states, strict=True))

    def step(of_state: State, now: Any) -> Any:
        of_output, activated, saved, old, valid = now
        gradient = (of_state[0] + of_output, *of_state[1:])
        of_new = gradient if valid is None else _where(valid, gradient, tuple(jnp.zeros_like(g) for g in gradient))
        of_raw = of_new if projection is None else (of_new[0] @ projection, *of_new[1:])
        of_gates, of_old = cell.back(activated, saved, old, of_raw)
        through = cell.hidden(of_gates, saved) @ weight
        of_old = (through if of_old[0] is None else of_old[0] + through, *of_old[1:])
        if valid is not None:  # a step that doesn't count passes its state on
            of_old = _where(valid, of_old, gradient)
        return of_old, (of_gates, None if projection is None else of_new[0])

    along = (of_outputs, activated, saved, before, mask)
    of_first, (of_gates, of_projected) = lax.scan(step, of_final, along, reverse=not reverse)
    of_hidden = cell.hidden(of_gates, saved)
    of_weight = _outer(of_hidden, before[0])
    of_bias = None if bias is None else of_hidden.sum((0, 1))
    of_projection = None if projection is None else _outer(of_projected, raw)
    return of_gates, of_first, of_weight, of_bias, of_projection, None


def _at(rows: jax.Array, time: jax.Array) -> jax.Array:
    return lax.dynamic_index_in_dim(rows, time, keepdims=False)


def _put(rows: jax.Array, row: jax.Array, time: jax.Array) -> jax.Array:
    """In place, in a loop."""
    return lax.dynamic_update_index_in_dim(rows, row, time, 0)


@jax.custom_vjp
def project(x: jax.Array, weight: jax.Array) -> jax.Array:
    """The product (L, N, out) of x (L, N, in) with a weight (out, in), the same at every step."""
    return (x.reshape(-1, x.shape[-1]) @ weight.T).reshape(*x.shape[:-1], -1)


def _projected(x: jax.Array, weight: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return project(x, weight), (x, weight)


def _project_back(saved: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, weight = saved
    return project(gradient, weight.T), _outer(gradient, x)


project.defvjp(_projected, _project_back)


def _outer(left: jax.Array, right: jax.Array) -> jax.Array:
    """Σ over steps and samples of left · rightᵀ: a weight's gradient as one product.

    A CPU multiplies so long a sum faster when the left is turned over first, which the barrier keeps XLA from undoing.
    """
    rows, columns = (x.reshape(-1, x.shape[-1]) for x in (left, right))
    return lax.platform_dependent(
        rows, columns, cpu=lambda x, y: lax.optimization_barrier(x.T) @ y, default=lambda x, y: x.T @ y
    )


def _shifted(first: jax.Array, states: jax.Array, reverse: bool) -> jax.Array:
    """The state before each step."""
    return jnp.concatenate([states[1:], first[None]] if reverse else [first[None], states[:-1]])


def _where(valid: jax.Array, new: State, old: State) -> State:
    return tuple(jnp.where(jnp.broadcast_to(valid[:, None], a.shape), a, b) for a, b in zip(new, old, strict=True))


recur.defvjp(_forward, _backward)


def _same(of_gates: jax.Array, saved: State) -> jax.Array:
    return of_gates


def _both_before(bias_ih: jax.Array, bias_hh: jax.Array) -> tuple[jax.Array, None]:
    return bias_ih + bias_hh, None


def _lstm_step(given: jax.Array, hidden: jax.Array, state: State) -> tuple[State, jax.Array, State]:
    # One tanh for the whole row, sigmoid(x) = ½ + ½ tanh(½x): XLA:CPU joins four arrays number by number, slowly.
    cell = jnp.arange(given.shape[-1]) // state[1].shape[-1] == 2
    scale = jnp.broadcast_to(jnp.where(cell, 1, 0.5).astype(given.dtype), given.shape)
    activated = jnp.tanh((given + hidden) * scale) * scale + (1 - scale)
    i, f, g, o = jnp.split(activated, 4, -1)
    c = f * state[1] + i * g
    t = jnp.tanh(c)
    return (o * t, c), activated, (t,)


def _lstm_back(activated: jax.Array, saved: State, old: State, gradient: State) -> tuple[jax.Array, Any]:
    i, f, g, o = jnp.split(activated, 4, -1)
    (t,), (dh, dc) = saved, gradient
    dc = dc + dh * o * (1 - t * t)
    gates = [dc * g * i * (1 - i), dc * old[1] * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)]
    return jnp.concatenate(gates, -1), (None, dc * f)


def _gru_step(given: jax.Array, hidden: jax.Array, state: State) -> tuple[State, jax.Array, State]:
    two = 2 * state[0].shape[-1]
    r, z = jnp.split(jax.nn.sigmoid(given[..., :two] + hidden[..., :two]), 2, -1)
    inner = hidden[..., two:]
    n = jnp.tanh(given[..., two:] + r * inner)
    return ((state[0] - n) * z + n,), jnp.concatenate([r, z, n], -1), (r, inner)


def _gru_back(activated: jax.Array, saved: State, old: State, gradient: State) -> tuple[jax.Array, Any]:
    r, z, n = jnp.split(activated, 3, -1)
    (dh,) = gradient
    dn = dh * (1 - z) * (1 - n * n)
    gates = [dn * saved[1] * r * (1 - r), dh * (old[0] - n) * z * (1 - z), dn]
    return jnp.concatenate(gates, -1), (dh * z,)


def _gru_hidden(of_gates: jax.Array, saved: State) -> jax.Array:
    two = 2 * saved[0].shape[-1]
    return jnp.concatenate([of_gates[..., :two], of_gates[..., two:] * saved[0]], -1)


def _tanh_step(given: jax.Array, hidden: jax.Array, state: State) -> tuple[State, jax.Array, State]:
    h = jnp.tanh(given + hidden)
    return (h,), h, ()


def _tanh_back(activated: jax.Array, saved: State, old: State, gradient: State) -> tuple[jax.Array, Any]:
    return gradient[0] * (1 - activated * activated), (None,)


def _relu_step(given: jax.Array, hidden: jax.Array, state: State) -> tuple[State, jax.Array, State]:
    x = given + hidden
    h = jnp.where(x <= 0, jnp.zeros_like(x), x)
    return (h,), h, ()


def _relu_back(activated: jax.Array, saved: State, old: State, gradient: State) -> tuple[jax.Array, Any]:
    return jnp.where(activated <= 0, jnp.zeros_like(gradient[0]), gradient[0]), (None,)


LSTM = Cell(4, _lstm_step, _lstm_back, _same, _both_before)
GRU = Cell(3, _gru_step, _gru_back, _gru_hidden, lambda bias_ih, bias_hh: (bias_ih, bias_hh))
TANH = Cell(1, _tanh_step, _tanh_back, _same, _both_before)
RELU = Cell(1, _relu_step, _relu_back, _same, _both_before)
