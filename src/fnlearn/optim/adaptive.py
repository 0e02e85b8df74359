"""Steps divided by the root of summed or averaged squares: Adagrad, Adadelta, RMSprop; and by sign alone: Rprop."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fnlearn.optim.parameterwise import Fresh, Kept, Number, Option, check, is_zero, lerp, parameterwise


def adagrad(
    lr: Option = 1e-2,
    lr_decay: Option = 0,
    weight_decay: Option = 0,
    initial_accumulator_value: float = 0,
    eps: Option = 1e-10,
    foreach: bool | None = None,
    *,
    maximize: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Adagrad, p ← p − lr / (1 + (t − 1) · lr_decay) · g / (√s + eps) with the sum s of all g².

    Torch: `torch.optim.Adagrad`.
    Shape: any tree of arrays.
    Args: lr: the step; like all numbers here it may be an array, traced or not, or a schedule, a function of the
        update's index. lr_decay: how fast it falls. weight_decay: factor of p that is added to g.
        initial_accumulator_value: s at the start. eps: added to the root. maximize: climb instead. foreach,
        differentiable, fused: accepted for the signature's sake.
    Raises: ValueError when a number is negative.
    Differs: as `sgd`.
    Source: Duchi, Hazan, Singer: Adaptive Subgradient Methods (2011).
    """
    check(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)
    check(initial_accumulator_value=initial_accumulator_value)
    slots = {"sum": partial(_full, value=initial_accumulator_value)}
    options = {"lr": lr, "lr_decay": lr_decay, "eps": eps}
    return parameterwise(
        _adagrad, slots, options, numbers=_adagrad_numbers, weight_decay=weight_decay, maximize=maximize
    )


def _adagrad_numbers(t: jax.Array, before: Kept, *, lr: jax.Array, lr_decay: Number, **_: Any) -> tuple[Kept, Kept]:
    return {"size": lr.astype(t.dtype) / (1 + (t - 1) * lr_decay)}, {}


def _adagrad(
    g: jax.Array, p: jax.Array, kept: Kept, *, eps: Number, size: jax.Array, **_: Any
) -> tuple[jax.Array, Kept]:
    total = kept["sum"] + g * g
    return -size * (g / (jnp.sqrt(total) + eps)), {"sum": total}


def adadelta(
    lr: Option = 1.0,
    rho: Option = 0.9,
    eps: Option = 1e-6,
    weight_decay: Option = 0,
    foreach: bool | None = None,
    *,
    capturable: bool = False,
    maximize: bool = False,
    differentiable: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Adadelta, p ← p − lr · d with d = √(a + eps) / √(v + eps) · g and the running means v of g² and a of d².

    Torch: `torch.optim.Adadelta`.
    Shape: any tree of arrays.
    Args: rho: share of both means that is kept, 0 to 1. eps: added under the roots. lr, weight_decay, maximize: as for
        `adagrad`. foreach, capturable, differentiable: accepted for the signature's sake.
    Raises: ValueError when a number is negative or rho above 1.
    Differs: as `sgd`.
    Source: Zeiler: ADADELTA: An Adaptive Learning Rate Method (2012).
    """
    check(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)
    if isinstance(rho, int | float) and rho > 1:
        raise ValueError(f"rho must be at most 1, got {rho}")
    slots = {"square_avg": jnp.zeros_like, "acc_delta": jnp.zeros_like}
    options = {"lr": lr, "rho": rho, "eps": eps}
    return parameterwise(_adadelta, slots, options, weight_decay=weight_decay, maximize=maximize)


def _adadelta(
    g: jax.Array, p: jax.Array, kept: Kept, *, lr: jax.Array, rho: Number, eps: Number
) -> tuple[jax.Array, Kept]:
    square, before = rho * kept["square_avg"] + (1 - rho) * (g * g), kept["acc_delta"]
    delta = jnp.sqrt(before + eps) / jnp.sqrt(square + eps) * g
    squared = (before + eps) / (square + eps) * (g * g)  # of delta, which XLA would else keep for this
    return -lr.astype(g.dtype) * delta, {"square_avg": square, "acc_delta": rho * before + (1 - rho) * squared}


def rmsprop(
    lr: Option = 1e-2,
    alpha: Option = 0.99,
    eps: Option = 1e-8,
    weight_decay: Option = 0,
    momentum: Option = 0,
    centered: bool = False,
    capturable: bool = False,
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """RMSprop, p ← p − lr · g / (√v + eps) with the running mean v of g².

    Torch: `torch.optim.RMSprop`.
    Shape: any tree of arrays.
    Args: alpha: share of v that is kept. momentum: share of the last step that is added to the next. centered: take the
        square of the running mean of g off v. lr, eps, weight_decay, maximize: as for `adagrad`. capturable, foreach,
        differentiable: accepted for the signature's sake.
    Raises: ValueError when a number is negative.
    Differs: as `sgd`.
    Source: Tieleman, Hinton: Lecture 6.5, rmsprop (2012); Graves: Generating Sequences with Recurrent Neural Networks
        (2013).
    """
    check(lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)
    names = ["square_avg"] + ["grad_avg"] * centered + ["momentum_buffer"] * (not is_zero(momentum))
    options = {"lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum}
    slots = dict.fromkeys(names, jnp.zeros_like)
    return parameterwise(_rmsprop, slots, options, weight_decay=weight_decay, maximize=maximize)


def _rmsprop(
    g: jax.Array,
    p: jax.Array,
    kept: Kept,
    *,
    lr: jax.Array,
    alpha: Number,
    eps: Number,
    momentum: Number,
) -> tuple[jax.Array, Kept]:
    after = {"square_avg": alpha * kept["square_avg"] + (1 - alpha) * (g * g)}
    spread = after["square_avg"]
    if "grad_avg" in kept:
        after["grad_avg"] = lerp(kept["grad_avg"], g, 1 - alpha)
        spread = spread - after["grad_avg"] * after["grad_avg"]
    step = g / (jnp.sqrt(spread) + eps)
    if "momentum_buffer" in kept:
        step = after["momentum_buffer"] = momentum * kept["momentum_buffer"] + step
    return -lr.astype(g.dtype) * step, after


def rprop(
    lr: Option = 1e-2,
    etas: tuple[Option, Option] = (0.5, 1.2),
    step_sizes: tuple[Option, Option] = (1e-6, 50),
    *,
    capturable: bool = False,
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Resilient backpropagation: every number has a step of its own, which grows until its gradient changes sign.

    Torch: `torch.optim.Rprop`.
    Shape: any tree of arrays.
    Args: lr: all steps at the start. etas: factors of a step after a change of sign, below 1, and after none, above.
        step_sizes: the least and the greatest step. maximize: climb instead. capturable, foreach, differentiable:
        accepted for the signature's sake.
    Raises: ValueError when lr is negative or etas are not on both sides of 1.
    Differs: as `sgd`.
    Source: Riedmiller, Braun: A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm (1993).
    """
    check(lr=lr)
    if all(isinstance(eta, int | float) for eta in etas) and not 0 < etas[0] < 1 < etas[1]:  # type: ignore[operator]
        raise ValueError(f"etas must be a number between 0 and 1 and one above 1, got {etas}")
    first = lr(jnp.zeros((), jnp.int32)) if callable(lr) else lr
    slots: dict[str, Fresh] = {"prev": jnp.zeros_like, "step_size": partial(_full, value=first)}
    options = {"lr": lr, "shrink": etas[0], "grow": etas[1], "least": step_sizes[0], "most": step_sizes[1]}
    return parameterwise(_rprop, slots, options, maximize=maximize)


def _rprop(
    g: jax.Array,
    p: jax.Array,
    kept: Kept,
    *,
    lr: jax.Array,
    shrink: Number,
    grow: Number,
    least: Number,
    most: Number,
) -> tuple[jax.Array, Kept]:
    turn = g * kept["prev"]  # compared with 0: XLA's sign takes ten times as long on a CPU
    factor = jnp.where(turn > 0, grow, jnp.where(turn < 0, shrink, 1)).astype(g.dtype)
    size = jnp.minimum(jnp.maximum(kept["step_size"] * factor, least), most)
    g = jnp.where(turn < 0, 0, g)
    return jnp.where(g > 0, -size, jnp.where(g < 0, size, 0)), {"prev": g, "step_size": size}


def _full(p: jax.Array, value: jax.typing.ArrayLike) -> jax.Array:
    """One number everywhere, in the imaginary part too."""
    part = jnp.full(p.shape, value, jnp.finfo(p.dtype).dtype)
    return jax.lax.complex(part, part) if jnp.iscomplexobj(p) else part
