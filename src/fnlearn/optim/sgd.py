"""Stochastic gradient descent, plain and averaged."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fnlearn.optim.parameterwise import Kept, Number, Option, check, is_zero, lerp, parameterwise


def sgd(
    lr: Option = 1e-3,
    momentum: Option = 0,
    dampening: Option = 0,
    weight_decay: Option = 0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    fused: bool | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent with momentum, p ← p − lr · b with b ← momentum · b + (1 − dampening) · g.

    Torch: `torch.optim.SGD`.
    Shape: any tree of arrays.
    Args: lr: the step; like all numbers here it may be an array, traced or not, or a schedule, a function of the
        update's index. momentum: share of b that is kept. dampening: share of the gradient that is left out, from the
        second step on. weight_decay: factor of p that is added to g. nesterov: step along g + momentum · b. maximize:
        climb instead. foreach, differentiable, fused: accepted for the signature's sake; XLA fuses by itself and every
        update is differentiable.
    Raises: ValueError when a number is negative, or for nesterov without momentum or with dampening.
    Differs: complex gradients are torch's, which are the conjugates of `jax.grad`'s.
    Source: Sutskever et al.: On the Importance of Initialization and Momentum in Deep Learning (2013).
    """
    check(lr=lr, momentum=momentum, weight_decay=weight_decay)
    if nesterov and (is_zero(momentum) or not is_zero(dampening)):
        raise ValueError(
            f"nesterov needs a momentum and no dampening, got momentum={momentum} and dampening={dampening}"
        )
    slots = {} if is_zero(momentum) else {"momentum_buffer": jnp.zeros_like}
    options = {"lr": lr, "momentum": momentum, "dampening": dampening}
    rule = partial(_sgd, nesterov)
    return parameterwise(rule, slots, options, numbers=_sgd_numbers, weight_decay=weight_decay, maximize=maximize)


def _sgd_numbers(t: jax.Array, before: Kept, *, dampening: Number, **_: Any) -> tuple[Kept, Kept]:
    return {} if is_zero(dampening) else {"first": t == 1}, {}


def _sgd(
    nesterov: bool,
    g: jax.Array,
    p: jax.Array,
    kept: Kept,
    *,
    lr: jax.Array,
    momentum: Number,
    dampening: Number,
    first: jax.Array | None = None,
) -> tuple[jax.Array, Kept]:
    lr = lr.astype(g.dtype)
    if not kept:
        return -lr * g, kept
    b = momentum * kept["momentum_buffer"] + (1 - dampening) * g
    b = b if first is None else jnp.where(first, g, b)
    return -lr * (g + momentum * b if nesterov else b), {"momentum_buffer": b}


def asgd(
    lr: Option = 1e-2,
    lambd: Option = 1e-4,
    alpha: Option = 0.75,
    t0: Option = 1e6,
    weight_decay: Option = 0,
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Averaged stochastic gradient descent, p ← (1 − lambd · η) · p − η · g with η ← lr / (1 + lambd · lr · t)^alpha.

    The average of the parameters from step t0 on is kept as "ax".

    Torch: `torch.optim.ASGD`.
    Shape: any tree of arrays.
    Args: lr: the first step. lambd: decay. alpha: power of the step's decay. t0: where averaging begins. weight_decay,
        maximize: as for `sgd`. foreach, differentiable, capturable: accepted for the signature's sake.
    Raises: ValueError when lr or weight_decay is negative.
    Differs: as `sgd`. η and the average's weight are float32 whatever the parameters are, as torch keeps them with
        float32 as its default dtype.
    Source: Polyak, Juditsky: Acceleration of Stochastic Approximation by Averaging (1992).
    """
    check(lr=lr, weight_decay=weight_decay)
    first = {"eta": lr(jnp.zeros((), jnp.int32)) if callable(lr) else lr, "mu": 1}
    options = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0}
    return parameterwise(
        _asgd,
        {"ax": jnp.zeros_like},
        options,
        numbers=_asgd_numbers,
        first=first,
        weight_decay=weight_decay,
        maximize=maximize,
    )


def _asgd_numbers(
    t: jax.Array, before: Kept, *, lr: jax.Array, lambd: Number, alpha: Number, t0: Number, **_: Any
) -> tuple[Kept, Kept]:
    """The step's share of the gradient and of the average, which the step before has found, and the next one's."""
    lr = lr.astype(t.dtype)
    after = {"eta": lr / (1 + lambd * lr * t) ** alpha, "mu": 1 / jnp.maximum(1, t - t0)}
    told = {name: before[name].astype(t.dtype) for name in after}
    return told, {name: x.astype(jnp.float32) for name, x in after.items()}


def _asgd(
    g: jax.Array, p: jax.Array, kept: Kept, *, lambd: Number, eta: jax.Array, mu: jax.Array, **_: Any
) -> tuple[jax.Array, Kept]:
    step = -(lambd * eta) * p - eta * g
    after = p + step
    return step, {"ax": jnp.where(mu == 1, after, lerp(kept["ax"], after, mu))}
