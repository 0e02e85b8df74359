"""Stochastic gradient descent."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

Rate = float | jax.Array | Callable[[jax.Array], jax.typing.ArrayLike]


def sgd(
    lr: Rate = 1e-3,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    fused: bool | None = None,
) -> optax.GradientTransformation:
    """Stochastic gradient descent with momentum, p ← p − lr · b with b ← momentum · b + (1 − dampening) · g.

    Torch: `torch.optim.SGD`.
    Shape: any tree of arrays.
    Args: lr: the step, a number, an array or a function of the step's index. momentum: share of b that is kept.
        dampening: share of the gradient that is left out, from the second step on. weight_decay: factor of p that is
        added to g. nesterov: step along g + momentum · b. maximize: climb instead. foreach, differentiable, fused:
        accepted for the signature's sake; XLA fuses by itself and every update is differentiable.
    Raises: ValueError when a number is negative, or for nesterov without momentum or with dampening.
    Differs: nothing.
    Source: Sutskever et al.: On the Importance of Initialization and Momentum in Deep Learning (2013).
    """
    for name, value in {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}.items():
        if isinstance(value, int | float) and value < 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    if nesterov and (momentum <= 0 or dampening != 0):
        raise ValueError(
            f"nesterov needs a momentum and no dampening, got momentum={momentum} and dampening={dampening}"
        )
    steps = [optax.scale(-1.0)] if maximize else []
    steps += [optax.add_decayed_weights(weight_decay)] if weight_decay else []
    if momentum:
        steps += [_dampened(momentum, dampening) if dampening else optax.trace(momentum, nesterov)]
    return optax.chain(*steps, _descend(lr))


def _descend(lr: Rate) -> optax.GradientTransformation:
    """Times −lr; a rate that is an array takes each leaf's dtype, as torch's tensor of a rate does."""
    if callable(lr) or isinstance(lr, int | float):
        return optax.scale_by_learning_rate(lr)
    rate = jnp.asarray(lr)
    return optax.stateless_with_tree_map(lambda update, _: -rate.astype(update.dtype) * update)


class DampenedState(NamedTuple):
    """The momentum buffer, and whether it holds a first gradient yet."""

    started: jax.Array
    momentum_buffer: optax.Updates


def _dampened(momentum: float, dampening: float) -> optax.GradientTransformation:
    """Momentum whose first buffer is the whole gradient and later ones are dampened: no form of optax.trace."""

    def init(params: optax.Params) -> DampenedState:
        return DampenedState(jnp.zeros((), jnp.bool_), jax.tree.map(jnp.zeros_like, params))

    def update(
        updates: optax.Updates, state: DampenedState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, DampenedState]:
        def advance(gradient: jax.Array, buffer: jax.Array) -> jax.Array:
            return jnp.where(state.started, momentum * buffer + (1 - dampening) * gradient, gradient)

        buffers = jax.tree.map(advance, updates, state.momentum_buffer)
        return buffers, DampenedState(jnp.ones((), jnp.bool_), buffers)

    return optax.GradientTransformation(init, update)
