"""Negative log-likelihoods of distributions whose parameters a network predicts."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.reduction import broadcast_pair, effective, known, reduced
from fnlearn.functional.typing import ArrayLike


@wide_inside
def gaussian_nll_loss(
    input: ArrayLike,
    target: ArrayLike,
    var: ArrayLike | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> jax.Array:
    """Negative log-likelihood of a normal distribution, (log v + (x − y)² / v) / 2.

    Torch: `torch.nn.functional.gaussian_nll_loss`.
    Shape: input and target (*), broadcast; var (*), input's without its last dimension, or input's with one dimension
        of 1 → () or, unreduced, (*).
    Args: input: the means. target: samples. var: the variances, at least 0. full: add the constant log(2π) / 2. eps:
        variances below it count as eps, with a gradient as if they were not. reduction: as for `mse_loss`.
    Raises: ValueError for an unknown reduction, a negative variance or shapes that don't fit; TypeError when an
        argument is not numeric.
    Differs: under jit, where values are unknown, a negative variance is not refused: it gives NaN.
    Source: Nix, Weigend: Estimating the Mean and Variance of the Target Probability Distribution (1994).
    """
    check.option("reduction", reduction, ("none", "mean", "sum"))
    x, y = broadcast_pair(check.number("input", input), check.number("target", target))
    v = _variance(var, check.number("input", input))
    if known(v) and bool((np.asarray(v) < 0).any()):
        raise ValueError(f"var must be at least 0, got {np.asarray(v).min()}")
    v = jnp.where(v < 0, jnp.full_like(v, jnp.nan), jnp.where(v < eps, v - lax.stop_gradient(v) + eps, v))
    error, v = broadcast_pair(jnp.square(x - y), v)
    loss = 0.5 * (jnp.log(v) + error / v)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def _variance(var: ArrayLike | float, x: jax.Array) -> jax.Array:
    """The variances with as many dimensions as the means, which they match in all of them but one."""
    if isinstance(var, float | int):
        return jnp.full(x.shape, var, x.dtype)
    v = check.number("var", var)
    if v.shape == x.shape:
        return v
    if v.shape == x.shape[:-1]:
        return v[..., None]
    unequal = [n for m, n in zip(x.shape, v.shape, strict=False) if m != n]
    if v.ndim != x.ndim or unequal != [1]:
        raise ValueError(f"var must have input's shape, but for one dimension left out or 1, got {v.shape}, {x.shape}")
    return v


@wide_inside
def poisson_nll_loss(
    input: ArrayLike,
    target: ArrayLike,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Negative log-likelihood of counts, exp(x) − y · x with x the logarithm of the rate, or x − y · log(x + eps).

    Torch: `torch.nn.functional.poisson_nll_loss`.
    Shape: input and target (*), broadcast → () or, unreduced, (*).
    Args: input: rates, or their logarithms with log_input. target: counts. full: add Stirling's approximation of
        log(y!) where y > 1. eps: keeps the logarithm finite at 0. size_average, reduce, reduction: as for `mse_loss`.
    Raises: ValueError for an unknown reduction or shapes that don't fit; TypeError when an argument is not numeric.
    Differs: nothing.
    Source: ATen `Loss.cpp`.
    """
    x, y = broadcast_pair(check.number("input", input), check.number("target", target))
    reduction = effective(size_average, reduce, reduction)
    loss = jnp.exp(x) - y * x if log_input else x - y * jnp.log(x + eps)
    return reduced(loss + _stirling(y) if full else loss, reduction)


def _stirling(y: jax.Array) -> jax.Array:
    """Log(y!) approximately for y > 1, and 0 elsewhere; the gradient at y ≤ 0 is NaN, as in torch."""
    approximation = y * jnp.log(y) - y + 0.5 * jnp.log(2 * math.pi * y)
    return jnp.where(y <= 1, jnp.zeros_like(y), approximation)
